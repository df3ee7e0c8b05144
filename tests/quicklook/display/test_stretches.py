"""Stretches, contrast and bias: the formulas, their inverses, the order, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from astropy import visualization

from ezarchive.errors import InputError
from ezarchive.plots.rendering import Rendering
from ezarchive.quicklook.display.limits import display_limits
from ezarchive.quicklook.display.stretches import (
    STRETCHES,
    checked_limits,
    contrast_bias,
    drag_contrast_bias,
    rendered,
    stretch,
    unrendered,
)

GRID = np.linspace(0.0, 1.0, 1001)


@pytest.mark.parametrize(
    ("name", "x", "y"),
    [
        ("linear", 0.3, 0.3),
        ("sqrt", 0.25, 0.5),
        ("arcsinh", 0.1, math.asinh(1.0) / math.asinh(10.0)),
        ("log", 0.001, math.log(2.0) / math.log(1001.0)),
        ("log", 0.5, math.log(501.0) / math.log(1001.0)),
    ],
)
def test_the_formulas(name, x, y):
    assert stretch(x, name) == pytest.approx(y, rel=1e-14)


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("name", "theirs"),
    [("sqrt", visualization.SqrtStretch()), ("arcsinh", visualization.AsinhStretch(0.1)), ("log", visualization.LogStretch(1000))],
)
def test_they_are_those_of_astropy(name, theirs):
    np.testing.assert_allclose(stretch(GRID, name), theirs(GRID), rtol=1e-13)
    np.testing.assert_allclose(stretch(GRID, name, inverse=True), theirs.inverse(GRID), rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("name", STRETCHES)
def test_ends_stay_and_the_inverse_leads_back(name):
    assert stretch([0.0, 1.0], name).tolist() == [0.0, 1.0]
    assert stretch([0.0, 1.0], name, inverse=True).tolist() == [0.0, 1.0]
    np.testing.assert_allclose(stretch(stretch(GRID, name), name, inverse=True), GRID, atol=1e-14)
    assert np.all(np.diff(stretch(GRID, name)) > 0)


@pytest.mark.parametrize("name", STRETCHES)
def test_outside_and_nan(name):
    values = np.array([-0.5, 1.5, np.nan, -np.inf, np.inf])
    before = values.copy()
    np.testing.assert_array_equal(stretch(values, name), [0.0, 1.0, np.nan, 0.0, 1.0])
    np.testing.assert_array_equal(values, before)


def test_linear_is_a_copy():
    assert not np.shares_memory(stretch(GRID), GRID)


@pytest.mark.parametrize(
    ("x", "contrast", "bias", "y"),
    [
        (0.3, 1, 0.5, 0.3),
        (0.5, 4, 0.5, 0.5),
        (0.6, 2, 0.5, 0.7),
        (0.9, 2, 0.5, 1.0),
        (0.0, 1, 0.0, 0.5),
        (0.2, 0, 0.7, 0.5),
        (0.1, 4, 0.5, 0.0),
    ],
)
def test_contrast_and_bias(x, contrast, bias, y):
    assert contrast_bias(x, contrast, bias) == pytest.approx(y, abs=1e-15)


@pytest.mark.parametrize(("contrast", "bias"), [(1, 0.5), (0.25, 0.0), (4, 1.0), (2.5, 0.31)])
def test_contrast_and_bias_lead_back(contrast, bias):
    shades = np.linspace(0.01, 0.99, 50)
    x = contrast_bias(shades, contrast, bias, inverse=True)
    np.testing.assert_allclose((x - bias) * contrast + 0.5, shades, atol=1e-14)


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [(0, 0, (4.0, 0.0)), (99, 49, (0.0, 1.0)), (49.5, 36.75, (1.0, 0.5)), (-5, 500, (0.0, 0.0)), (200, -1, (4.0, 1.0))],
)
def test_dragging(x, y, expected):
    assert drag_contrast_bias(x, y, 100, 50) == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize(
    "wrong", [(0, 0, 1, 50), (0, 0, 100, 0), (0, 0, 100, -3), (np.nan, 0, 10, 10), ("1", 0, 10, 10), (0, None, 10, 10)]
)
def test_dragging_over_nothing(wrong):
    with pytest.raises(InputError, match="must be"):
        drag_contrast_bias(*wrong)


@pytest.mark.parametrize("name", STRETCHES)
def test_limits_then_contrast_and_bias_then_stretch(name):
    data = np.linspace(-50.0, 250.0, 400).reshape(20, 20)
    shades = rendered(data, (10.0, 110.0), name, contrast=1.7, bias=0.4)
    x = np.clip((data - 10.0) / 100.0, 0.0, 1.0)
    expected = stretch(np.clip((x - 0.4) * 1.7 + 0.5, 0.0, 1.0), name)
    assert shades.dtype == np.float32
    np.testing.assert_allclose(shades, expected, atol=2.0**-24)
    ours = unrendered(expected, (10.0, 110.0), name, contrast=1.7, bias=0.4)
    inside = (expected > 1e-3) & (expected < 1.0)
    np.testing.assert_allclose(ours[inside], data[inside], rtol=1e-9)


@pytest.mark.parametrize("name", STRETCHES)
@pytest.mark.parametrize(("contrast", "bias"), [(1.0, 0.5), (2.3, 0.1), (0.4, 0.9)])
def test_figures_show_the_same_shades(name, contrast, bias):
    data = np.linspace(-3.0, 12.0, 500)
    drawn = Rendering(-1.0, 9.5, name, contrast, bias)
    np.testing.assert_allclose(drawn.index(data), rendered(data, (-1.0, 9.5), name, contrast=contrast, bias=bias), atol=2.0**-24)
    shades = np.linspace(0.0, 1.0, 50)
    np.testing.assert_allclose(
        drawn.value(shades), unrendered(shades, (-1.0, 9.5), name, contrast=contrast, bias=bias), rtol=1e-12, atol=1e-12
    )


def test_the_order_matters():
    """A stretch before contrast and bias would give 0.414."""
    assert rendered([25.0], (0, 100), "sqrt", contrast=1.0, bias=0.4)[0] == pytest.approx(math.sqrt(0.35), abs=1e-7)


def test_a_large_offset_of_float32_is_kept():
    data = np.float32(1e7) + np.arange(9, dtype=np.float32)
    np.testing.assert_allclose(rendered(data, (1e7, 1e7 + 8)), np.arange(9) / 8, atol=1e-7)


def test_nan_and_infinity():
    np.testing.assert_array_equal(rendered([[np.nan, np.inf], [-np.inf, 5.0]], (0, 10)), [[np.nan, 1.0], [0.0, 0.5]])
    assert np.isnan(rendered([1.0, 2.0], (np.nan, np.nan))).all()


@pytest.mark.parametrize("value", [0.0, -7.0, 1e-20])
def test_limits_that_are_equal(value):
    data = np.array([value - 1.0, value, value + 1.0, np.nan])
    np.testing.assert_array_equal(rendered(data, (value, value)), [0.0, 0.0, 1.0, np.nan])
    assert unrendered([0.0, 1.0], (value, value)).tolist() == [value, value]


def test_integers_numbers_and_nothing():
    assert rendered(np.array([[0, 128, 255]], np.uint8), (0, 255))[0].tolist() == pytest.approx([0.0, 128 / 255, 1.0], abs=1e-7)
    assert float(rendered(5, (0, 10))) == 0.5
    assert rendered(np.empty((0, 4)), (0, 1)).shape == (0, 4)
    assert rendered(np.array([[True, False]]), (0, 1)).tolist() == [[1.0, 0.0]]


def test_limits_are_taken_as_they_come():
    data = np.arange(100.0).reshape(10, 10)
    shades = rendered(data, display_limits(data, "minmax"))
    np.testing.assert_allclose(shades, data / 99.0, atol=1e-7)


def test_rows_of_a_large_image_agree():
    data = np.random.default_rng(1).normal(size=(1500, 1000)).astype(np.float32)
    shades = rendered(data, (-1, 1), "log")
    np.testing.assert_array_equal(shades[1490:], rendered(data[1490:], (-1, 1), "log"))


@pytest.mark.parametrize("wrong", ["asinh10", "", None, 3, "Linear"])
def test_no_such_stretch(wrong):
    for call in (lambda: stretch([0.5], wrong), lambda: rendered([0.5], (0, 1), wrong), lambda: unrendered([0.5], (0, 1), wrong)):
        with pytest.raises(InputError, match="Invalid stretch"):
            call()


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"contrast": -0.01}, "contrast=-0.01: must be from 0 to 4"),
        ({"contrast": 4.01}, "contrast=4.01"),
        ({"bias": 1.1}, "bias=1.1: must be from 0 to 1"),
        ({"bias": np.nan}, "bias=nan: must be a finite number"),
        ({"contrast": "2"}, "contrast='2'"),
        ({"contrast": None}, "contrast=None"),
        ({"bias": True}, "bias=True"),
    ],
)
def test_contrast_and_bias_out_of_range(values, match):
    for call in (rendered, unrendered):
        with pytest.raises(InputError, match=match):
            call([0.5], **values)


def test_without_contrast_nothing_leads_back():
    assert contrast_bias([0.1, 0.9], 0.0, 0.5).tolist() == [0.5, 0.5]
    with pytest.raises(InputError, match="contrast=0"):
        contrast_bias([0.5], 0.0, 0.5, inverse=True)


@pytest.mark.parametrize("wrong", [(1,), (1, 2, 3), (2, 1), (0, np.inf), None, "ab", (None, 1), 5])
def test_what_are_no_limits(wrong):
    with pytest.raises(InputError, match="Invalid cut levels"):
        checked_limits(wrong)


def test_pixels_that_are_no_numbers():
    with pytest.raises(InputError, match="data: must be real numbers"):
        rendered(np.array(["a"]))
