"""Boxes of pixels, weights of compound shapes, and how apertures are put together."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ezarchive.quicklook.apertures.packing import BLOCK, box_of, grid, pack, parts
from ezarchive.quicklook.regions.shapes import Annulus, Circle, Combined, Ellipse, Inverted, Polygon, Raster, Rectangle

BOX = (0, 40, 0, 50)


def area(shape, box=BOX):
    return grid(shape, box)[0].sum()


@pytest.mark.pure
@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ((0.0, 2.0, 0.0, 3.0), (0, 4, 0, 3)),
        ((-0.5, 1.5, -0.5, 0.5), (0, 1, 0, 2)),
        ((2.6, 2.7, 3.4, 3.6), (3, 5, 3, 4)),
        ((-9.0, 99.0, -9.0, 99.0), (0, 10, 0, 20)),
        ((-math.inf, math.inf, -math.inf, math.inf), (0, 10, 0, 20)),
        ((-1e300, 1e300, -1e300, 1e300), (0, 10, 0, 20)),
    ],
)
def test_boxes_are_clipped_to_the_image(bounds, expected):
    assert box_of(bounds, (10, 20)) == expected


@pytest.mark.pure
@pytest.mark.parametrize("bounds", [(-9, -3, 2, 4), (25, 30, 2, 4), (2, 4, -9, -3), (2, 4, 12, 15), (-9, -0.5, 2, 4), (19.5, 30, 2, 4)])
def test_boxes_off_the_image_are_empty(bounds):
    y0, y1, x0, x1 = box_of(bounds, (10, 20))
    assert y0 == y1 or x0 == x1


@pytest.mark.pure
def test_a_box_need_not_be_on_an_image():
    assert box_of((-7.0, -4.0, 100.2, 103.9)) == (100, 105, -7, -3)


@pytest.mark.truth
def test_compounds_of_whole_pixels_are_exact():
    one, two = Rectangle(14.5, 9.5, 10, 10), Rectangle(19.5, 14.5, 10, 10)
    assert area(Combined("and", (one, two))) == 25.0
    assert area(Combined("or", (one, two))) == 175.0
    assert area(Combined("xor", (one, two))) == 150.0
    assert area(Inverted(one)) == 40 * 50 - 100.0
    assert area(Combined("and", (one, Inverted(two)))) == 75.0
    assert area(Combined("and", (one, Raster(np.ones((5, 5), bool), 10, 5)))) == 25.0


@pytest.mark.truth
def test_compounds_of_outlines_apart_and_within_one_another_are_exact():
    one, apart, within = Circle(12.3, 14.2, 8.7), Ellipse(35.1, 20.3, 9.2, 6.1, 40), Circle(13.1, 14.0, 3.3)
    assert area(Combined("or", (one, apart))) == pytest.approx(one.area + apart.area, rel=1e-13)
    assert area(Combined("xor", (one, apart))) == pytest.approx(one.area + apart.area, rel=1e-13)
    assert area(Combined("and", (one, apart))) == 0.0
    assert area(Combined("and", (one, within))) == pytest.approx(within.area, rel=1e-13)
    assert area(Combined("or", (one, within))) == pytest.approx(one.area, rel=1e-13)
    assert area(Combined("and", (one, Inverted(within)))) == pytest.approx(one.area - within.area, rel=1e-13)


@pytest.mark.truth
def test_where_outlines_cross_the_error_is_that_of_32_x_32_points():
    """Two circles of radius r, d apart: 2 r^2 acos(d / 2r) - (d / 2) sqrt(4 r^2 - d^2)."""
    r, d = 8.0, 7.3
    lens = 2 * r**2 * math.acos(d / (2 * r)) - d / 2 * math.sqrt(4 * r**2 - d**2)
    one, two = Circle(17.2, 19.4, r), Circle(17.2 + d, 19.4, r)
    weights, _ = grid(Combined("and", (one, two)), BOX)
    assert weights.sum() == pytest.approx(lens, abs=0.01)
    assert area(Combined("or", (one, two))) == pytest.approx(one.area + two.area - lens, abs=0.01)
    assert area(Combined("xor", (one, two))) == pytest.approx(one.area + two.area - 2 * lens, abs=0.02)
    alike = Combined("and", (one, one))
    np.testing.assert_allclose(grid(alike, BOX)[0], grid(one, BOX)[0], rtol=0, atol=0.02)


@pytest.mark.pure
def test_every_pixel_of_a_compound_against_points(rng):
    fine = (np.arange(50) + 0.5) / 50 - 0.5
    along, up = np.meshgrid(fine, fine)
    shapes = [Circle(5, 6, 4), Rectangle(8, 5, 7, 3, 30), Polygon(((1, 1), (11, 2), (6, 9))), Annulus(Circle(6, 5, 2), Circle(6, 5, 4))]
    for operator in ("and", "or", "xor"):
        shape = Combined(operator, (*shapes[:3], Inverted(shapes[3])))
        weights, inside = grid(shape, (0, 12, 0, 13))
        points = np.array([[shape.contains(x + along, y + up).mean() for x in range(13)] for y in range(12)])
        assert np.abs(weights - points).max() < 0.02
        y, x = np.mgrid[:12, :13]
        assert np.array_equal(inside, shape.contains(x, y))


@pytest.mark.pure
def test_both_senses_of_rotation_become_one():
    corners = ((1.0, 1.0), (5.0, 2.0), (3.0, 6.0))
    made = pack([Polygon(corners), Polygon(corners[::-1])], np.zeros((2, 4), np.int64))
    for k in range(2):
        x, y = made.corners[slice(*made.first[k, 0])].T
        assert np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) > 0


@pytest.mark.pure
@pytest.mark.parametrize("split", [True, False])
def test_each_aperture_comes_once_and_its_box_is_read(rng, split):
    n = 3000
    y, x, size = rng.integers(0, 9000, n), rng.integers(0, 9000, n), rng.integers(1, 40, n)
    boxes = np.column_stack([y, y + size, x, x + size])
    boxes[7] = 0, 9000, 0, 9000
    seen = np.zeros(n, int)
    for which, box in parts(boxes, np.arange(n), split=split):
        pixels = (box[1] - box[0]) * (box[3] - box[2])
        assert pixels <= 4 * BLOCK or (not split and which.tolist() == [7])
        assert np.all(boxes[which, 2] >= box[2])
        assert np.all(boxes[which, 3] <= box[3])
        if which.tolist() == [7]:
            seen[7] += box[1] - box[0]
        else:
            assert np.all((boxes[which, 0] >= box[0]) & (boxes[which, 1] <= box[1]))
            seen[which] += 1
    assert seen[7] == 9000
    assert np.all(np.delete(seen, 7) == 1)


@pytest.mark.pure
def test_few_apertures_far_apart_are_read_one_by_one():
    boxes = np.array([[0, 10, 0, 10], [100, 110, 8000, 8010]])
    assert [box for _, box in parts(boxes, np.arange(2), split=True)] == [(0, 10, 0, 10), (100, 110, 8000, 8010)]
