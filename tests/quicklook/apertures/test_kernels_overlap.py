"""The exact share of a pixel in an outline: photutils for circles and ellipses, clipping for straight sides, and extremes of both."""

from __future__ import annotations

import math

import numpy as np
import pytest
from photutils.aperture import CircularAnnulus, CircularAperture, EllipticalAnnulus, EllipticalAperture, RectangularAperture

from ezarchive.quicklook import overlap
from ezarchive.quicklook.apertures.kernels_overlap import add_sums, fill
from ezarchive.quicklook.apertures.overlaps import aperture_sums
from ezarchive.quicklook.regions.shapes import Annulus, Circle, Ellipse, Polygon, Rectangle

SHAPE = (60, 70)


def on_image(shape, size=SHAPE):
    """The weights over the whole image."""
    found, whole = overlap(shape, size), np.zeros(size)
    whole[found.slices] = found.weights
    return whole


def by_photutils(aperture, size=SHAPE):
    made = aperture.to_mask(method="exact").to_image(size)
    return np.zeros(size) if made is None else made


def clipped(corners, x, y):
    """Area of a polygon within a pixel: the sides cut at each edge in turn (Sutherland & Hodgman), then the shoelace formula."""
    points = [(px - x, py - y) for px, py in corners]
    for axis, sign in ((0, 1), (0, -1), (1, 1), (1, -1)):
        kept = []
        for one, two in zip(points, points[1:] + points[:1], strict=True):
            a, b = 0.5 - sign * one[axis], 0.5 - sign * two[axis]
            if a >= 0:
                kept.append(one)
            if (a >= 0) != (b >= 0):
                t = a / (a - b)
                kept.append(tuple(p + t * (q - p) for p, q in zip(one, two, strict=True)))
        points = kept
        if not points:
            return 0.0
    return abs(sum(p[0] * q[1] - q[0] * p[1] for p, q in zip(points, points[1:] + points[:1], strict=True))) / 2


def by_clipping(corners, size):
    return np.array([[clipped(corners, x, y) for x in range(size[1])] for y in range(size[0])])


@pytest.mark.oracle
def test_circles_of_any_size_equal_photutils(rng):
    for _ in range(300):
        x, y, radius = rng.uniform(-15, 85), rng.uniform(-15, 75), 10 ** rng.uniform(-2, 2)
        np.testing.assert_allclose(on_image(Circle(x, y, radius)), by_photutils(CircularAperture((x, y), radius)), rtol=0, atol=2e-12)


@pytest.mark.oracle
def test_ellipses_of_any_shape_equal_photutils(rng):
    for _ in range(300):
        x, y, theta = rng.uniform(-15, 85), rng.uniform(-15, 75), rng.uniform(-400, 400)
        b, a = np.sort(10 ** rng.uniform(-2, 2, 2))
        expected = by_photutils(EllipticalAperture((x, y), a, b, theta=math.radians(theta)))
        np.testing.assert_allclose(on_image(Ellipse(x, y, a, b, theta)), expected, rtol=0, atol=2e-12)


@pytest.mark.oracle
@pytest.mark.parametrize("center", [(30, 30), (30.5, 30.5), (30.5, 30), (0, 0), (-0.5, -0.5), (69.5, 59.5), (30.25, 30)])
@pytest.mark.parametrize("radius", [0.5, 1, 1.5, 2, 5, math.sqrt(0.5), 20])
def test_circles_that_touch_edges_and_corners_of_pixels(center, radius):
    np.testing.assert_allclose(
        on_image(Circle(*center, radius)), by_photutils(CircularAperture(center, radius)), rtol=0, atol=1e-14
    )  # fmt: skip


@pytest.mark.oracle
def test_sums_in_annuli_equal_photutils_to_ten_digits(rng):
    data = rng.normal(100, 5, SHAPE)
    ours = [Annulus(Circle(33.3, 28.1, 7), Circle(33.3, 28.1, 17)), Annulus(Ellipse(2, 50, 3, 2, 30), Ellipse(2, 50, 12, 8, 30))]
    theirs = [
        CircularAnnulus((33.3, 28.1), 7, 17),
        EllipticalAnnulus((2, 50), a_in=3, a_out=12, b_in=2, b_out=8, theta=math.radians(30)),
    ]
    expected = [float(one.do_photometry(data, method="exact")[0][0]) for one in theirs]
    np.testing.assert_allclose(aperture_sums(data, ours).sum, expected, rtol=1e-10)


@pytest.mark.truth
@pytest.mark.parametrize("size", [1e-9, 1e-6, 1e-3, 0.1])
@pytest.mark.parametrize("place", [(5, 5), (5.5, 5.5), (5.5, 5), (3.2, 7.7)])
def test_outlines_smaller_than_a_pixel_have_their_area(size, place):
    """On a whole pixel, on an edge, on a corner; what coordinates near 5 lose to rounding is 1e-15 over the size."""
    limit = max(1e-12, 2e-15 / size)
    assert overlap(Circle(*place, size), (10, 10)).area == pytest.approx(math.pi * size**2, rel=limit)
    assert overlap(Ellipse(*place, size, 0.4 * size, 33), (10, 10)).area == pytest.approx(0.4 * math.pi * size**2, rel=limit)
    assert overlap(Rectangle(*place, size, 0.4 * size, 33), (10, 10)).area == pytest.approx(0.4 * size**2, rel=limit)


@pytest.mark.truth
@pytest.mark.parametrize("radius", [1e3, 1e5, 1e7])
def test_the_edge_of_a_huge_circle_is_nearly_straight(radius):
    """A circle about (-radius, 20) covers half of column 0 but for h^2 / (radius + sqrt(radius^2 - h^2)) at height h."""
    found = on_image(Circle(-radius, 20, radius), (41, 10))
    nodes, weights = np.polynomial.legendre.leggauss(8)
    height = np.arange(41)[:, None] - 20.0 + nodes / 2
    expected = 0.5 - (height**2 / (radius + np.sqrt(radius**2 - height**2))) @ (weights / 2)
    np.testing.assert_allclose(found[:, 0], expected, rtol=0, atol=1e-15 * radius)
    assert np.all(found[:, 1:] == 0)


@pytest.mark.truth
def test_an_outline_around_everything_holds_every_pixel_whole():
    corners = ((-1e6, -1e6), (1e6, -2e6), (3e6, 2e6), (-1e6, 1e6))
    for shape in (
        Circle(30, 30, 1e9),
        Circle(30, 30, 1e200),
        Ellipse(30, 30, 1e7, 1e4, 30),
        Rectangle(30, 30, 1e9, 1e5, 12),
        Polygon(corners),
    ):
        assert np.all(on_image(shape) == 1.0)


@pytest.mark.truth
def test_needles(rng):
    """Ellipses and rectangles of 1e-3 x 40 pixels keep their area."""
    for theta in (0, 45, 90, *rng.uniform(0, 180, 10)):
        assert overlap(Ellipse(30.1, 30.2, 20, 5e-4, theta), SHAPE).area == pytest.approx(math.pi * 0.01, rel=1e-9)
        assert overlap(Rectangle(30.1, 30.2, 40, 1e-3, theta), SHAPE).area == pytest.approx(0.04, rel=1e-9)


@pytest.mark.oracle
def test_turned_rectangles_equal_clipping(rng):
    for _ in range(25):
        x, y, theta = rng.uniform(-3, 18), rng.uniform(-3, 15), rng.uniform(-180, 180)
        width, height = 10 ** rng.uniform(-1, 1.3, 2)
        shape = Rectangle(x, y, width, height, theta)
        np.testing.assert_allclose(on_image(shape, (12, 15)), by_clipping(shape.corners, (12, 15)), rtol=0, atol=1e-13)


@pytest.mark.oracle
def test_a_turned_rectangle_against_ten_thousand_points_in_each_pixel():
    shape = Rectangle(6.2, 5.7, 7.3, 3.1, 27)
    fine = (np.arange(100) + 0.5) / 100 - 0.5
    along, up = np.meshgrid(fine, fine)
    points = np.array([[shape.contains(x + along, y + up).mean() for x in range(13)] for y in range(12)])
    found = on_image(shape, (12, 13))
    assert np.abs(found - points).max() < 2e-3
    assert found.sum() == pytest.approx(shape.area, rel=1e-14)


@pytest.mark.oracle
def test_photutils_divides_a_turned_rectangle_into_32_x_32_and_comes_near(rng):
    data = rng.normal(100, 5, SHAPE)
    expected = float(RectangularAperture((33.3, 28.1), 20, 15, theta=math.radians(30)).do_photometry(data, method="exact")[0][0])
    found = aperture_sums(data, Rectangle(33.3, 28.1, 20, 15, 30)).sum[0]
    assert found == pytest.approx(expected, rel=2e-4)


@pytest.mark.oracle
def test_polygons_of_any_form_equal_clipping(rng):
    """Stars about a centre: convex or not, in both senses of rotation, over the edges of the image."""
    for number in range(25):
        n = rng.integers(3, 12)
        angles = (np.arange(n) + rng.uniform(0, 0.4, n))[:: 1 if number % 2 else -1] * 2 * np.pi / n
        reach = rng.uniform(0.5, 9, angles.size)
        corners = np.column_stack([rng.uniform(0, 14) + reach * np.cos(angles), rng.uniform(0, 11) + reach * np.sin(angles)])
        shape = Polygon(corners.tolist())
        np.testing.assert_allclose(on_image(shape, (12, 15)), by_clipping(shape.vertices, (12, 15)), rtol=0, atol=1e-13)


@pytest.mark.truth
def test_sides_along_the_edges_of_pixels_are_exact():
    assert np.array_equal(on_image(Rectangle(3, 4, 3, 5), (9, 9)), np.pad(np.ones((5, 3)), ((2, 2), (2, 4))))
    assert np.array_equal(on_image(Rectangle(3, 4, 5, 3, 90), (9, 9)), np.pad(np.ones((5, 3)), ((2, 2), (2, 4))))
    step = Polygon(((0.5, 0.5), (4.5, 0.5), (4.5, 2.5), (2.5, 2.5), (2.5, 4.5), (0.5, 4.5)))
    expected = np.zeros((6, 6))
    expected[1:3, 1:5] = expected[3:5, 1:3] = 1.0
    assert np.array_equal(on_image(step, (6, 6)), expected)
    frame = Polygon(((-0.5, -0.5), (5.5, -0.5), (5.5, 5.5), (-0.5, 5.5)))
    assert np.all(on_image(frame, (6, 6)) == 1.0)


@pytest.mark.truth
def test_a_side_along_a_row_cuts_the_pixels_it_crosses():
    found = on_image(Rectangle(3, 4, 4, 4), (9, 9))
    expected = np.outer(share := np.array([0, 0, 0.5, 1, 1, 1, 0.5, 0, 0]), np.roll(share, -1))
    assert np.array_equal(found, expected)


@pytest.mark.truth
def test_rings_and_slices_fill_what_they_are_cut_from(rng):
    """Rings make up the circle and slices the polygon, in every pixel; the same everywhere on the grid of pixels."""
    radii = np.sort(rng.uniform(0.5, 20, 12))
    rings = [
        Annulus(Ellipse(30.3, 28.8, a, a * 0.6, 20), Ellipse(30.3, 28.8, b, b * 0.6, 20)) for a, b in zip(radii, radii[1:], strict=False)
    ]
    total = on_image(Ellipse(30.3, 28.8, radii[0], radii[0] * 0.6, 20)) + sum(on_image(ring) for ring in rings)
    np.testing.assert_allclose(total, on_image(Ellipse(30.3, 28.8, radii[-1], radii[-1] * 0.6, 20)), rtol=0, atol=1e-13)
    angles = (np.arange(9) + rng.uniform(0, 0.5, 9)) * 2 * np.pi / 9
    corners = [(30.3 + 14.1 * math.cos(angle), 28.8 + 14.1 * math.sin(angle)) for angle in angles]
    slices = [Polygon(((30.3, 28.8), one, two)) for one, two in zip(corners, corners[1:] + corners[:1], strict=True)]
    np.testing.assert_allclose(sum(on_image(one) for one in slices), on_image(Polygon(corners)), rtol=0, atol=1e-13)
    far = overlap(Polygon(corners).moved(4000, 3000), (4000, 5000)).weights
    np.testing.assert_allclose(far, overlap(Polygon(corners), SHAPE).weights, rtol=0, atol=1e-11)


@pytest.mark.truth
def test_a_polygon_with_a_hole():
    """The way in and the way out lie on each other."""
    ring = ((0, 0), (8, 0), (8, 8), (0, 8), (0, 0), (2, 2), (2, 6), (6, 6), (6, 2), (2, 2))
    found = overlap(Polygon(ring), (10, 10))
    assert found.area == pytest.approx(48, rel=1e-14)
    assert found.weights[4, 4] == 0
    assert not found.inside[4, 4]


@pytest.mark.truth
def test_a_polygon_of_many_sides_is_nearly_the_circle(rng):
    angles = np.linspace(0, 2 * np.pi, 20_000, endpoint=False)
    corners = np.column_stack([30.3 + 12 * np.cos(angles), 28.8 + 12 * np.sin(angles)])
    flat, round_ = overlap(_unchecked(corners), SHAPE), overlap(Circle(30.3, 28.8, 12), SHAPE)
    area = np.zeros(SHAPE)
    area[flat.slices] = flat.weights
    assert np.abs(area[round_.slices] - round_.weights).max() < 1e-6


def _unchecked(corners):
    """A polygon whose sides are known not to cross."""
    shape = object.__new__(Polygon)
    object.__setattr__(shape, "vertices", tuple(map(tuple, corners.tolist())))
    return shape


@pytest.mark.pure
def test_centres_are_inside_just_where_the_shape_says(rng):
    """Also where a centre lies on an edge: radii 5 and 13 pass through pixels (3, 4 and 5, 12)."""
    shapes = [Circle(30, 30, 5), Circle(30, 30, 13), Ellipse(30, 30, 10, 5, 90), Ellipse(30, 30, 5, 5, 37), Rectangle(30, 30, 10, 6)]
    shapes += [
        Rectangle(30, 30, 8, 8, 45),
        Polygon(((10, 10), (20, 10), (30, 20), (10, 20))),
        Annulus(Circle(30, 30, 5), Circle(30, 30, 13)),
    ]
    for _ in range(60):
        x, y, a, b, theta = *rng.uniform(0, 60, 2), *rng.uniform(0.1, 15, 2), rng.uniform(-90, 90)
        shapes += [Circle(x, y, a), Ellipse(x, y, a, b, theta), Rectangle(x, y, a, b, theta)]
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    for shape in shapes:
        found, expected = overlap(shape, SHAPE), shape.contains(x, y)
        assert np.array_equal(found.inside, expected[found.slices]), shape
        assert found.inside.sum() == expected.sum()


@pytest.mark.pure
def test_the_loops_are_compiled_for_one_kind_of_array():
    for kind in (np.float32, ">f4", np.int16, np.uint8, float):
        data = np.ones((20, 20), kind)
        data.flags.writeable = False
        aperture_sums(data[:, ::2], [Circle(5, 5, 3), Rectangle(5, 5, 3, 3, 20)], variance=data[:, ::2], good=np.ones((20, 10), bool))
    assert len(add_sums.signatures) == 1
    assert len(fill.signatures) == 1
