"""Shapes: what they enclose, where they end, how they move, and that nothing bad becomes one."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from ezarchive.errors import InputError
from ezarchive.quicklook.regions.shapebase import number
from ezarchive.quicklook.regions.shapecompounds import Combined, Inverted, Raster
from ezarchive.quicklook.regions.shapes import (
    Annulus,
    Circle,
    Ellipse,
    Polygon,
    Rectangle,
    shape_from_dict,
)

pytestmark = pytest.mark.pure

SHAPES = {
    "circle": Circle(10.3, 8.2, 4.1),
    "ellipse": Ellipse(10.3, 8.2, 5.0, 2.5, 30.0),
    "rectangle": Rectangle(10.3, 8.2, 7.0, 3.0, -20.0),
    "square": Rectangle(10.0, 8.0, 6.0, 6.0, 45.0),
    "annulus": Annulus(Circle(10.3, 8.2, 2.0), Circle(10.3, 8.2, 5.5)),
    "elliptical annulus": Annulus(Ellipse(10.0, 8.0, 2.0, 1.0, 30.0), Ellipse(10.0, 8.0, 5.0, 4.0, 30.0)),
    "rectangular annulus": Annulus(Rectangle(10.0, 8.0, 2.0, 1.0, 30.0), Rectangle(10.0, 8.0, 5.0, 4.0, 30.0)),
    "polygon": Polygon([(3.0, 2.0), (15.5, 4.0), (12.0, 13.0), (9.0, 7.0)]),
}


def sample(shape, n=1200):
    """Area, centre and box of the places inside, by a fine grid."""
    x0, x1, y0, y1 = shape.bounds
    x = x0 - 0.5 + (x1 - x0 + 1.0) * (np.arange(n) + 0.5) / n
    y = y0 - 0.5 + (y1 - y0 + 1.0) * (np.arange(n) + 0.5) / n
    inside = shape.contains(x, y[:, None])
    cell = (x[1] - x[0]) * (y[1] - y[0])
    rows, columns = np.nonzero(inside)
    return inside.sum() * cell, (x[columns].mean(), y[rows].mean()), (x[columns.min()], x[columns.max()], y[rows.min()], y[rows.max()])


@pytest.mark.parametrize("name", SHAPES)
def test_area_centre_and_bounds_are_those_of_the_places_inside(name):
    shape = SHAPES[name]
    area, center, box = sample(shape)
    assert area == pytest.approx(shape.area, rel=2e-3)
    assert center == pytest.approx(shape.center, abs=0.02)
    assert box == pytest.approx(shape.bounds, abs=0.05)


@pytest.mark.parametrize("name", SHAPES)
def test_moved_and_scaled(name):
    shape = SHAPES[name]
    moved = shape.moved(2.5, -1.25)
    assert moved.center == pytest.approx((shape.center[0] + 2.5, shape.center[1] - 1.25))
    assert moved.area == pytest.approx(shape.area, rel=1e-12)
    assert shape.at(0, 0).center == pytest.approx((0, 0), abs=1e-12)
    twice = shape.scaled(2)
    assert twice.center == pytest.approx(shape.center)
    assert twice.area == pytest.approx(4 * shape.area)
    about = shape.scaled(2, about=(0, 0))
    assert about.center == pytest.approx((2 * shape.center[0], 2 * shape.center[1]))
    assert about.area == pytest.approx(4 * shape.area)
    with pytest.raises(InputError, match="factor=0.0: must be a number above 0"):
        shape.scaled(0)


@pytest.mark.parametrize("name", SHAPES)
def test_dict_and_back_is_json(name):
    shape = SHAPES[name]
    text = json.dumps(shape.to_dict(), allow_nan=False)
    assert shape_from_dict(json.loads(text)) == shape
    assert hash(shape_from_dict(json.loads(text))) == hash(shape)


def test_an_edge_is_outside_and_the_inner_edge_of_an_annulus_inside():
    assert Circle(0, 0, 2).contains([1.999999, 2.0], 0).tolist() == [True, False]
    assert Ellipse(0, 0, 2, 1).contains([0, 0], [0.999999, 1.0]).tolist() == [True, False]
    assert Rectangle(0, 0, 4, 2).contains([1.999999, 2.0], 0).tolist() == [True, False]
    assert Annulus(Circle(0, 0, 1), Circle(0, 0, 2)).contains([0.99, 1.0, 2.0], 0).tolist() == [False, True, False]


def test_angles_are_counter_clockwise_from_x():
    ellipse = Ellipse(0, 0, 10, 1, 30)
    x, y = 9 * math.cos(math.radians(30)), 9 * math.sin(math.radians(30))
    assert ellipse.contains(x, y)
    assert not ellipse.contains(x, -y)
    box = Rectangle(0, 0, 20, 2, 90)
    assert box.bounds == (-1, 1, -10, 10)
    assert box.contains(0, 9.9)
    assert np.allclose(box.corners, [(1, -10), (1, 10), (-1, 10), (-1, -10)])


def test_a_polygon_is_the_same_in_either_sense_and_closed_or_not():
    corners = [(0, 0), (4, 0), (4, 3)]
    one, other, closed = Polygon(corners), Polygon(corners[::-1]), Polygon([*corners, corners[0]])
    assert one.area == other.area == closed.area == 6.0
    assert closed == one
    assert one.center == pytest.approx(other.center)
    assert not one.corners.flags.writeable


def test_polygons_that_share_a_side_share_the_places_on_it():
    left, right = Polygon([(0, 0), (2, 0), (2, 4), (0, 4)]), Polygon([(2, 0), (5, 0), (5, 4), (2, 4)])
    y = np.linspace(0.5, 3.5, 7)
    assert (left.contains(2.0, y).astype(int) + right.contains(2.0, y) == 1).all()


def test_centres_and_edges_of_zero_are_numbers():
    assert Circle(0, 0, 1).center == (0, 0)
    assert Rectangle(0, 0, 1, 1, 0).bounds == (-0.5, 0.5, -0.5, 0.5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Circle(0, 0, 0), r"radius=0.0: must be a number above 0"),
        (lambda: Circle(0, 0, -3), r"radius=-3.0: must be a number above 0"),
        (lambda: Circle(np.nan, 0, 1), r"x=nan: must be a finite number"),
        (lambda: Circle("a", 0, 1), r"x='a': must be a finite number"),
        (lambda: Circle(True, 0, 1), r"x=True: must be a finite number"),
        (lambda: Circle([1, 2], 0, 1), r"x=\[1, 2\]: must be a finite number"),
        (lambda: Ellipse(0, 0, 2, 0), r"b=0.0: must be a number above 0"),
        (lambda: Ellipse(0, 0, 2, 1, np.inf), r"theta=inf: must be a finite number"),
        (lambda: Rectangle(0, 0, -1, 1), r"width=-1.0: must be a number above 0"),
        (lambda: Annulus(Circle(0, 0, 2), Circle(0, 0, 2)), r"inner radius=2.0: must be below the outer radius=2.0"),
        (lambda: Annulus(Circle(0, 0, 1), Circle(1, 0, 2)), r"inner, outer: must share centre and angle"),
        (lambda: Annulus(Ellipse(0, 0, 1, 1, 0), Ellipse(0, 0, 2, 2, 1)), r"inner, outer: must share centre and angle"),
        (lambda: Annulus(Circle(0, 0, 1), Ellipse(0, 0, 2, 2)), r"must be two circles, ellipses or rectangles, found Circle and Ellipse"),
        (lambda: Polygon([(0, 0), (1, 1)]), r"vertices: must be three pairs \(x, y\) or more, found an array of shape \(2, 2\)"),
        (lambda: Polygon([(0, 0), (1, 1), (2, 2)]), r"vertices: must enclose an area, found none"),
        (lambda: Polygon([(0, 0), (2, 2), (2, 0), (0, 3)]), r"sides must not cross, found sides 0 and 2 crossing"),
        (lambda: Polygon([(0, 0), (2, 2), (4, 4), (4, 0), (2, 2), (0, 3)]), r"sides must not cross, found sides 0 and 4 crossing"),
        (lambda: Polygon([(0, 0), (4, 0), (4, 4)] * 2), r"sides must not cross, found sides 0 and 5 crossing"),
        (lambda: Polygon([(0, 0), (4, 0), (4, 4)]).moved(np.nan, 0), r"vertices: must be finite"),
        (lambda: Polygon([(0, 0), (4, 0), (4, 4)]).scaled(1e-300), r"vertices: must enclose an area, found none"),
        (lambda: Polygon([(0, 0), (2, np.nan), (2, 0)]), r"vertices: must be finite"),
        (lambda: Polygon(5), r"vertices: must be pairs \(x, y\) of numbers"),
    ],
)
def test_bad_numbers(make, message):
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "heart"}, r"shape kind='heart': must be one of circle"),
        ({}, r"shape kind=None: must be one of"),
        ("circle", r"shape: must be a dict with 'kind', found str"),
        ({"kind": "circle", "x": 1}, r"shape: a circle must have its own numbers, found \['x'\]"),
        ({"kind": "annulus", "inner": Circle(0, 0, 1).to_dict()}, r"shape: an? annulus must have its own numbers"),
        ({"kind": "raster", "bits": "!", "shape": [2, 2], "x0": 0, "y0": 0}, r"bits: must be those of a mask of 2 x 2 pixels"),
    ],
)
def test_bad_dicts(values, message):
    with pytest.raises(InputError, match=message):
        shape_from_dict(values)


def test_tiny_lengths_are_numbers():
    assert Circle(0, 0, 1e-20).area == pytest.approx(math.pi * 1e-40)
    assert number(np.float32(2), "x") == 2.0


def test_every_kind_comes_back():
    shape = Combined("or", (SHAPES["circle"], Inverted(Raster(np.eye(3, dtype=bool), -2, 5))))
    assert shape_from_dict(json.loads(json.dumps(shape.to_dict(), allow_nan=False))) == shape
