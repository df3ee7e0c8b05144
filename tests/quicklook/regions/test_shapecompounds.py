"""Masks, the outside of a shape, and several shapes as one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ezarchive.errors import InputError
from ezarchive.quicklook.regions.shapes import Circle, Combined, Inverted, Polygon, Raster, Rectangle

pytestmark = pytest.mark.pure

ONE, TWO, THREE = Circle(5, 5, 3), Circle(8, 5, 3), Rectangle(5, 6, 4, 4)
Y, X = np.mgrid[:12, :15]


def test_a_mask_is_its_pixels():
    mask = np.zeros((4, 6), bool)
    mask[1:3, 2:5] = True
    shape = Raster(mask, 10, 20)
    assert shape.area == 6
    assert shape.center == (13.0, 21.5)
    assert shape.bounds == (11.5, 14.5, 20.5, 22.5)
    assert shape.contains([12, 11.6, 11.49, 14.49, 14.51], 21).tolist() == [True, True, False, True, False]
    assert shape.trimmed().mask.shape == (2, 3)
    assert shape.trimmed().bounds == shape.bounds
    assert shape.moved(-3, 2).bounds == (8.5, 11.5, 22.5, 24.5)
    assert not shape.contains(np.nan, 21)


def test_a_mask_is_copied_and_closed():
    mask = np.ones((2, 2), bool)
    shape = Raster(mask)
    mask[0, 0] = False
    assert shape.area == 4
    with pytest.raises(ValueError, match="read-only"):
        shape.mask[0, 0] = False
    assert shape != "mask"
    assert shape == Raster(np.ones((2, 2), bool))
    assert hash(shape) == hash(Raster(np.ones((2, 2), bool)))
    assert repr(shape) == "Raster(2 x 2 pixels, x0=0, y0=0)"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Raster(np.zeros((3, 3), bool)), "mask: must hold a pixel, found none that is True"),
        (lambda: Raster(np.ones((3, 3))), "mask: must be a 2-D array of bool, found float64"),
        (lambda: Raster(np.ones(3, bool)), r"mask: must be a 2-D array of bool, found bool of shape \(3,\)"),
        (lambda: Raster(np.ones((3, 3), bool), 0.5), "x0=0.5: must be a whole number of pixels for a mask"),
        (lambda: Raster(np.ones((3, 3), bool)).moved(0.5, 0), "dx=0.5: must be a whole number of pixels for a mask"),
        (lambda: Raster(np.ones((3, 3), bool)).scaled(2), "factor=2: a mask of pixels cannot be scaled; give a shape"),
        (lambda: Inverted("a"), "part: must be a shape, found str"),
        (lambda: Combined("nand", (ONE, TWO)), "operator='nand': must be one of and, or, xor"),
        (lambda: Combined("or", (ONE,)), r"parts: must be two shapes or more, found \['Circle'\]"),
        (lambda: Combined("or", 5), r"parts: must be two shapes or more, found \[\]"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize(("operator", "logic"), [("and", np.logical_and), ("or", np.logical_or), ("xor", np.logical_xor)])
def test_combined(operator, logic):
    shape = Combined(operator, [ONE, TWO, THREE])
    want = logic(logic(ONE.contains(X, Y), TWO.contains(X, Y)), THREE.contains(X, Y))
    assert np.array_equal(shape.contains(X, Y), want)
    moved = shape.moved(1, 2)
    assert np.array_equal(moved.contains(X + 1, Y + 2), want)
    twice = shape.scaled(2)
    cx, cy = shape.center
    assert np.array_equal(twice.contains(cx + 2 * (X - cx), cy + 2 * (Y - cy)), want)
    assert math.isnan(shape.area)


def test_bounds_of_combined():
    assert Combined("or", (ONE, TWO)).bounds == (2, 11, 2, 8)
    assert Combined("and", (ONE, TWO)).bounds == (5, 8, 2, 8)
    assert Combined("or", (ONE, TWO)).center == (6.5, 5)
    assert Combined("and", (ONE, Circle(50, 50, 1))).bounds == (49, 49, 49, 49)
    assert Combined("and", (ONE, Inverted(TWO))).bounds == ONE.bounds
    endless = Combined("or", (ONE, Inverted(TWO)))
    assert endless.bounds == (-math.inf, math.inf, -math.inf, math.inf)
    assert endless.center == (6.5, 5)


def test_the_outside():
    shape = Inverted(ONE)
    assert np.array_equal(shape.contains(X, Y), ~ONE.contains(X, Y))
    assert shape.area == math.inf
    assert shape.center == ONE.center
    assert shape.moved(1, 0) == Inverted(ONE.moved(1, 0))
    assert shape.scaled(3) == Inverted(ONE.scaled(3))


def test_a_mask_of_one_scale_is_itself():
    shape = Raster(np.ones((2, 2), bool))
    assert shape.scaled(1) is shape


def test_parts_may_be_of_any_kind():
    polygon = Polygon([(0, 0), (6, 0), (6, 6), (0, 6)])
    shape = Combined("xor", (polygon, Combined("and", (ONE, Inverted(THREE)))))
    want = polygon.contains(X, Y) ^ (ONE.contains(X, Y) & ~THREE.contains(X, Y))
    assert np.array_equal(shape.contains(X, Y), want)
