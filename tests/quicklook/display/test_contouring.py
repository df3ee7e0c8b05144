"""Contours: levels by preset or by hand, where the lines lie, and what is no level."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from ezarchive.errors import InputError
from ezarchive.quicklook.display.contouring import contour_levels, contours
from ezarchive.quicklook.display.limits import Limits

HUNDRED = np.arange(100.0).reshape(10, 10)


def hill(shape=(61, 81), x0=40.3, y0=29.6, sigma=9.0):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return 100.0 * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / (2 * sigma**2))


def test_five_levels_from_limit_to_limit():
    np.testing.assert_allclose(contour_levels(HUNDRED), np.linspace(2.475, 96.525, 5), rtol=1e-14)
    np.testing.assert_allclose(contour_levels(HUNDRED, 3, "minmax"), [0.0, 49.5, 99.0])
    np.testing.assert_allclose(contour_levels(HUNDRED, 4, (0, 30)), [0, 10, 20, 30])
    np.testing.assert_allclose(contour_levels(HUNDRED, 2, Limits(1.0, 2.0)), [1, 2])
    assert contour_levels(HUNDRED, 1, "minmax").tolist() == [0.0]


@pytest.mark.parametrize(
    ("given", "levels"),
    [
        ("1, 2.5 ,0", [1, 2.5, 0]),
        ([3, -1e-20], [3, -1e-20]),
        ((0,), [0]),
        ("0", [0]),
        (0, [0]),
        (np.array([1, 2]), [1, 2]),
        ("1e3", [1000]),
    ],
)
def test_levels_by_hand(given, levels):
    assert contour_levels(HUNDRED, levels=given).tolist() == levels


@pytest.mark.parametrize("wrong", ["1, two, 3", "1,,2", "", "nan", [1, None], [np.inf], [True], [[1, 2]], ["x"], {}, []])
def test_what_is_no_level_is_not_dropped(wrong):
    with pytest.raises(InputError, match="levels="):
        contour_levels(HUNDRED, levels=wrong)


@pytest.mark.parametrize("wrong", [0, -1, 2.0, "5", None, True])
def test_what_is_no_number_of_levels(wrong):
    with pytest.raises(InputError, match="n="):
        contours(HUNDRED, n=wrong)


def test_images_without_lines():
    assert len(contour_levels(np.full((4, 4), np.nan))) == 0
    assert contour_levels(np.full((4, 4), 7.0)).tolist() == [7.0]
    for data in (np.full((4, 4), np.nan), np.full((4, 4), 7.0), np.array([[1.0]]), np.arange(5.0)[None, :], np.arange(5.0)[:, None]):
        assert len(contours(data)) == 0


@pytest.mark.truth
def test_circles_about_a_star():
    for line in contours(hill(), [20.0, 50.0, 80.0]):
        radius = 9.0 * math.sqrt(2.0 * math.log(100.0 / line.level))
        assert line.closed
        np.testing.assert_allclose(np.hypot(line.x - 40.3, line.y - 29.6), radius, atol=0.03)


@pytest.mark.truth
def test_lines_through_blocks_lie_where_those_through_pixels_do():
    data = hill((610, 810), 400.3, 290.6, 90.0)
    found = contours(data, "50", size=100)
    assert found.factor == 9
    (line,) = found.lines
    np.testing.assert_allclose(np.hypot(line.x - 400.3, line.y - 290.6), 90.0 * math.sqrt(2.0 * math.log(2.0)), atol=0.4)


def test_larger_values_lie_to_the_left():
    (line,) = contours(hill(), [50.0]).lines
    area = 0.5 * np.sum(line.x[:-1] * np.diff(line.y) - line.y[:-1] * np.diff(line.x))
    assert area > 0


def test_a_part():
    part = contours(HUNDRED, [44.5], box=(2, 6, 3, 7))
    np.testing.assert_allclose(10 * part.lines[0].y + part.lines[0].x, 44.5, rtol=1e-14)
    assert part.lines[0].x.min() == 2 and part.lines[0].x.max() == 6


def test_no_line_crosses_bad_pixels():
    data = np.tile(np.arange(9.0), (20, 1))
    bad = data.copy()
    bad[8:12] = np.nan
    masked = np.ma.masked_array(data, np.isnan(bad))
    infinite = np.where(np.isnan(bad), np.inf, data)
    for image in (bad, masked, infinite):
        before = np.array(image)
        found = contours(image, [4.5])
        assert len(found) == 2
        assert not any(line.closed or ((line.y > 7) & (line.y < 12)).any() for line in found)
        np.testing.assert_array_equal(np.array(image), before)


def test_numbers_far_from_zero_and_tiny_ones():
    for scale, offset in ((1e-20, 0.0), (1.0, 1e8)):
        lines = contours(hill() * scale + offset, [50.0 * scale + offset]).lines
        assert len(lines) == 1
        np.testing.assert_allclose(np.hypot(lines[0].x - 40.3, lines[0].y - 29.6), 10.597, atol=0.03)


def test_as_json():
    made = contours(hill(), n=3, unit="Jy").to_dict()
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    assert made["unit"] == "Jy" and len(made["levels"]) == 3
