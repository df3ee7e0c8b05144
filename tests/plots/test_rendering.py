"""From values to colours and back."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.visualization import AsinhStretch, ContrastBiasStretch, LinearStretch, LogStretch, SqrtStretch

from ezarchive.errors import InputError
from ezarchive.plots.rendering import CURVES, Rendering, bar_ticks, limits_of, tick_text

ORACLES = {"linear": LinearStretch(), "sqrt": SqrtStretch(), "arcsinh": AsinhStretch(0.1), "log": LogStretch(1000.0)}


@pytest.mark.oracle
@pytest.mark.parametrize("stretch", list(CURVES))
@pytest.mark.parametrize(("contrast", "bias"), [(1.0, 0.5), (2.0, 0.3), (0.4, 0.9), (0.0, 0.5)])
def test_contrast_and_bias_come_before_the_stretch(stretch, contrast, bias):
    values = np.linspace(-3, 13, 400)
    x = np.clip((values + 1) / 10, 0, 1)
    expected = ORACLES[stretch](np.clip(ContrastBiasStretch(contrast, bias)(x, clip=False), 0, 1))
    np.testing.assert_allclose(Rendering(-1, 9, stretch, contrast, bias).index(values), expected, rtol=0, atol=1e-13)


@pytest.mark.pure
@pytest.mark.parametrize("stretch", list(CURVES))
@pytest.mark.parametrize(("contrast", "bias"), [(1.0, 0.5), (2.5, 0.3), (0.4, 0.9)])
def test_a_place_on_the_colours_gives_its_value_back(stretch, contrast, bias):
    rendering = Rendering(-1e-3, 5e-3, stretch, contrast, bias)
    first, last = rendering.span
    places = np.linspace(first, last, 50)[1:-1]
    np.testing.assert_allclose(rendering.index(rendering.value(places)), places, rtol=0, atol=1e-9)
    assert np.isnan(rendering.index(np.nan))


@pytest.mark.pure
def test_without_contrast_there_is_no_way_back():
    flat = Rendering(0, 1, "log", 0.0, 0.5)
    assert np.isnan(flat.value([0.2, 0.7])).all()
    assert bar_ticks(flat)[1] == []


@pytest.mark.pure
@pytest.mark.parametrize(
    ("percentage", "low", "high"),
    [("minmax", 0, 99), (100, 0, 99), (99.5, 0.2475, 98.7525), (99, 0.495, 98.505), (95, 2.475, 96.525), (90, 4.95, 94.05)],
)
def test_presets(percentage, low, high):
    np.testing.assert_allclose(limits_of(np.arange(100.0).reshape(10, 10), percentage), (low, high), rtol=0, atol=1e-12)


@pytest.mark.pure
def test_limits_of_odd_images():
    assert limits_of(np.full((3, 3), np.nan), 95) == (0, 1)
    assert limits_of(np.full((3, 3), 4.0), 95) == (2, 6)
    assert limits_of(np.zeros((1, 1)), "minmax") == (-0.5, 0.5)
    assert limits_of(np.full((2, 2), -1e-20), 95) == pytest.approx((-1.5e-20, -0.5e-20), rel=1e-12, abs=0)
    assert limits_of(np.zeros((2, 2)), (0, 1e-20)) == (0, 1e-20)
    for low, high, expected in [(np.nan, np.nan, (0, 1)), (3.0, 3.0, (1.5, 4.5)), (0.0, 0.0, (-0.5, 0.5)), (1.0, 2.0, (1, 2))]:
        assert limits_of(np.zeros((2, 2)), SimpleNamespace(low=low, high=high)) == expected
    data = np.random.default_rng(1).normal(size=(1500, 1500))
    assert limits_of(data, 95) == limits_of(data, 95)
    np.testing.assert_allclose(limits_of(data, 95), (-1.96, 1.96), rtol=0, atol=0.01)


@pytest.mark.pure
@pytest.mark.parametrize("stretch", list(CURVES))
@pytest.mark.parametrize(("low", "high"), [(0, 1), (-0.0072, 0.07), (2.3, 31), (1e-21, 6e-20), (-4e6, 3e7), (999.7, 1000.4)])
def test_ticks_of_a_colour_bar_are_values_in_their_places(stretch, low, high):
    rendering = Rendering(low, high, stretch)
    values, texts = bar_ticks(rendering)
    assert 3 <= len(values) <= 9
    assert len(set(texts)) == len(texts)
    assert (np.diff(values) > 0).all()
    places = rendering.index(values)
    assert np.diff(places).min() > 0.06
    np.testing.assert_allclose([float(text.replace("\N{MINUS SIGN}", "-")) for text in texts], values, rtol=0, atol=1e-2 * (high - low))
    assert max(len(text) for text in texts) <= 10


@pytest.mark.pure
def test_ticks_are_round():
    assert bar_ticks(Rendering(0, 1))[1] == ["0", "0.2", "0.4", "0.6", "0.8", "1"]
    assert bar_ticks(Rendering(0, 1000, "log"))[1] == ["0", "2", "10", "30", "100", "300", "1000"]
    assert tick_text(-2.5e-21, np.array([-2.5e-21, 0])) == "\N{MINUS SIGN}2.5e\N{MINUS SIGN}21"
    # Contrast 2 uses the middle half of the values only.
    values, _ = bar_ticks(Rendering(0, 100, contrast=2.0))
    assert (values.min(), values.max()) == (30, 70) or (values.min(), values.max()) == (25, 75)


@pytest.mark.pure
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"low": 1, "high": 1}, r"limits \(1, 1\): must be"),
        ({"low": np.nan}, r"limits \(nan, 1\): must be"),
        ({"stretch": "cubic"}, "stretch='cubic': must be one of linear, sqrt, arcsinh, log"),
        ({"contrast": -1}, "contrast=-1: must be a number from 0"),
        ({"bias": np.inf}, "bias=inf: must be a number"),
        ({"bias": "0.5"}, "bias='0.5': must be a number"),
    ],
)
def test_wrong_renderings(arguments, message):
    with pytest.raises(InputError, match=message):
        Rendering(**{"low": 0, "high": 1, **arguments})


@pytest.mark.pure
@pytest.mark.parametrize("limits", [0, -5, 101, True, np.nan])
def test_wrong_percentages(limits):
    with pytest.raises(InputError, match="must be a percentage above 0 to 100, 'zscale', 'minmax' or two values"):
        limits_of(np.zeros((3, 3)), limits)


@pytest.mark.pure
@pytest.mark.parametrize("limits", ["log", (1,), (2, 1), (0, np.nan)])
def test_wrong_limits(limits):
    with pytest.raises(InputError, match="must be 'zscale', 'minmax' or two"):
        limits_of(np.zeros((3, 3)), limits)
