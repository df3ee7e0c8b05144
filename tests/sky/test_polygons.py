from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ezarchive.errors import InputError
from ezarchive.sky import (
    from_vectors,
    parse_region,
    polygon_contains,
    polygon_meets_cone,
    polygons_contain,
    polygons_meet_cone,
    s_region,
    separation,
    unit_vectors,
)

pytestmark = pytest.mark.pure

RA, DEC = st.floats(0, 360), st.floats(-90, 90)
PLACES = [(0.0, 0.0), (0.2, 60.0), (359.9, -45.0), (77.0, 90.0), (10.0, -90.0), (120.0, 89.7), (200.0, -89.9), (180.0, 12.0)]


def turned(vectors, ra, dec, angle):
    """Bring vectors around the x axis to (ra, dec), after a turn about x."""
    a, d, t = np.radians([ra, dec, angle])
    about_x = np.array([[1, 0, 0], [0, np.cos(t), -np.sin(t)], [0, np.sin(t), np.cos(t)]])
    about_y = np.array([[np.cos(d), 0, -np.sin(d)], [0, 1, 0], [np.sin(d), 0, np.cos(d)]])
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    return vectors @ (about_z @ about_y @ about_x).T


def convex(ra, dec, size, angle, n=5):
    phi = np.radians(np.linspace(0, 360, n, endpoint=False) + [0, 5, -7, 11, 3, 0, 9, -3][:n])
    r = np.radians(size)
    vectors = np.stack([np.full(n, np.cos(r)), np.sin(r) * np.cos(phi), np.sin(r) * np.sin(phi)], axis=1)
    return np.stack(from_vectors(turned(vectors, ra, dec, angle)), axis=1)


def inside_by_half_spaces(corners, ra, dec):
    """Membership of a convex polygon by another way: the point is on one side of every great circle."""
    v = unit_vectors(corners[:, 0], corners[:, 1])
    sides = np.cross(v, np.roll(v, -1, axis=0)) @ np.atleast_2d(unit_vectors(ra, dec)).T
    return (sides > 0).all(0) | (sides < 0).all(0) & (unit_vectors(ra, dec) @ v.sum(0) > 0)


def sample(ra, dec, radius, n=3000, seed=0):
    rng = np.random.default_rng(seed)
    r = np.radians(radius) * np.sqrt(rng.random(n))
    phi = rng.uniform(0, 2 * np.pi, n)
    vectors = np.stack([np.cos(r), np.sin(r) * np.cos(phi), np.sin(r) * np.sin(phi)], axis=1)
    return from_vectors(turned(vectors, ra, dec, 0))


@pytest.mark.parametrize(("ra", "dec"), PLACES)
@pytest.mark.parametrize("size", [0.01, 0.7, 25.0])
@pytest.mark.parametrize("winding", [1, -1])
def test_contains_agrees_with_half_spaces(ra, dec, size, winding):
    corners = convex(ra, dec, size, 33)[::winding]
    points = sample(ra, dec, 1.6 * size)
    wanted = inside_by_half_spaces(corners, *points)
    assert 0.1 < wanted.mean() < 0.9
    assert np.array_equal(polygon_contains(corners, *points), wanted)
    for k in range(0, 3000, 300):
        assert polygons_contain([corners, corners[::-1]], points[0][k], points[1][k]).tolist() == [wanted[k]] * 2


def test_the_opposite_point_is_outside():
    corners = convex(0, 0, 5, 0)
    assert polygon_contains(corners, [0, 180], [0, 0]).tolist() == [True, False]


def test_a_notch_is_outside():
    corners = np.array([(359, -1), (1, -1), (1, 1), (0, -0.5), (359, 1)])
    assert polygon_contains(corners, [0, 0, 0.9, 359.1], [0.5, -0.8, 0.5, 0.5]).tolist() == [False, True, True, True]


@given(RA, DEC, st.floats(0.001, 40), st.floats(0, 360), RA, DEC)
def test_any_polygon_holds_what_half_spaces_say(ra, dec, size, angle, point_ra, point_dec):
    corners = convex(ra, dec, size, angle)
    v = unit_vectors(corners[:, 0], corners[:, 1])
    normals = np.cross(v, np.roll(v, -1, axis=0))
    margin = np.abs((normals / np.linalg.norm(normals, axis=1)[:, None]) @ unit_vectors(point_ra, point_dec)).min()
    assume(margin > 1e-9)
    assert polygon_contains(corners, point_ra, point_dec)[0] == inside_by_half_spaces(corners, point_ra, point_dec)[0]
    assert polygon_contains(corners, ra, dec)[0]


def distance_by_force(corners, ra, dec):
    """Smallest distance to the border, from many points along it."""
    v = unit_vectors(corners[:, 0], corners[:, 1])
    t = np.linspace(0, 1, 4001)[:, None, None]
    border = ((1 - t) * v + t * np.roll(v, -1, axis=0)).reshape(-1, 3)
    return separation(*from_vectors(border), ra, dec).min()


@pytest.mark.parametrize(("ra", "dec"), PLACES)
def test_meets_cone_agrees_with_brute_force(ra, dec):
    corners = convex(ra, dec, 0.7, 12)
    points = sample(ra, dec, 3.0, n=60, seed=3)
    for point_ra, point_dec in zip(*points, strict=True):
        held = inside_by_half_spaces(corners, point_ra, point_dec)[0]
        distance = distance_by_force(corners, point_ra, point_dec)
        for radius in (0.999 * distance, 1.001 * distance):
            if abs(radius - distance) > 2e-4:
                wanted = held or radius > distance
                assert polygon_meets_cone(corners, point_ra, point_dec, radius) == wanted
                assert polygons_meet_cone([corners[::-1]] * 3, point_ra, point_dec, radius).tolist() == [wanted] * 3


def test_cone_inside_polygon_and_polygon_inside_cone():
    corners = convex(0, 90, 2, 0)
    assert polygon_meets_cone(corners, 123, 89.9, 1e-6)
    assert polygon_meets_cone(corners, 123, 60, 40)
    assert polygon_meets_cone(corners, 123, -90, 180)
    assert not polygon_meets_cone(corners, 123, -90, 170)
    assert polygon_meets_cone(corners, 123, 89.9, 0)


def test_many_polygons_of_different_lengths():
    rng = np.random.default_rng(8)
    polygons = [convex(rng.uniform(0, 360), rng.uniform(-90, 90), rng.uniform(5, 30), 0, n=rng.integers(3, 9)) for _ in range(400)]
    wanted = [bool(polygon_contains(polygon, 10.0, 20.0)[0]) for polygon in polygons]
    assert 3 < sum(wanted) < 397
    assert polygons_contain(polygons, 10.0, 20.0).tolist() == wanted
    near = polygons_meet_cone(polygons, 10.0, 20.0, 5.0)
    assert near.tolist() == [polygon_meets_cone(polygon, 10.0, 20.0, 5.0) for polygon in polygons]
    assert near.sum() > sum(wanted)
    assert polygons_contain([], 1.0, 2.0).shape == polygons_meet_cone([], 1.0, 2.0, 1.0).shape == (0,)


def test_a_corner_given_twice_does_no_harm():
    corners = convex(0, 0, 1, 0)
    closed = np.concatenate([corners, corners[:1]])
    points = sample(0, 0, 1.5)
    assert np.array_equal(polygon_contains(corners, *points), polygon_contains(closed, *points))
    assert polygon_meets_cone(closed, 0, 1.5, 0.7) == polygon_meets_cone(corners, 0, 1.5, 0.7)


@given(RA, DEC, st.floats(0.01, 20), st.floats(0, 360))
def test_region_round_trip(ra, dec, size, angle):
    corners = convex(ra, dec, size, angle)
    text = s_region(corners)
    assert text.startswith("POLYGON ICRS ")
    assert parse_region(text) == pytest.approx(corners, abs=1e-8)


def test_region_without_a_system():
    assert parse_region("polygon 0 0 1 0 1 1").tolist() == [[0, 0], [1, 0], [1, 1]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: parse_region("CIRCLE ICRS 1 2 3"), "must be POLYGON ICRS"),
        (lambda: parse_region(""), "must be POLYGON ICRS"),
        (lambda: parse_region("POLYGON GALACTIC 1 2 3 4 5 6"), "POLYGON ICRS and numbers"),
        (lambda: parse_region("POLYGON ICRS 1 2 3 4 5"), "three or more pairs of numbers, found 5"),
        (lambda: polygon_contains([(0, 0), (1, 1)], 0, 0), r"shape \(n, 2\)"),
        (lambda: polygons_contain([[(0, 0), (1, np.inf), (1, 1)]], 0, 0), "must be finite"),
        (lambda: polygon_contains([(0, 0), (120, 0), (240, 0)], 0, 0), "smaller than a hemisphere"),
        (lambda: polygon_meets_cone([(0, 0), (1, 0), (1, 1)], 0, 0, -2), r"radius -2: must lie in 0 to 180"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(InputError, match=message):
        call()
