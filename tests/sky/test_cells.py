from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ezarchive.errors import InputError
from ezarchive.sky import cell_of, cells_of_cone, cells_of_polygon, from_vectors, polygon_contains, separation, unit_vectors

pytestmark = pytest.mark.pure

# RA 0, both poles, the corners where three base cells meet, the equator of base-cell edges.
PLACES = [(0, 0), (359.999, -30), (10, 90), (200, -90), (45, 41.8103), (90, 41.8103)]
PLACES += [(0, -41.8103), (45, 0), (90, 0), (123, 66), (301, -77)]


def tangent_points(ra, dec, x, y):
    """Points of the tangent plane at (ra, dec), x and y in degrees there."""
    centre = unit_vectors(ra, dec)
    east = np.array([-np.sin(np.radians(ra)), np.cos(np.radians(ra)), 0])
    north = np.cross(centre, east)
    return from_vectors(centre + np.tan(np.radians(x))[..., None] * east + np.tan(np.radians(y))[..., None] * north)


def box(ra, dec, width, height, angle, mirrored):
    """Corners of a turned rectangle, and points all over it and along its edge."""
    t = np.linspace(0, 1, 60)
    u, v = (part.ravel() for part in np.meshgrid(t, t))
    corner_u, corner_v = np.array([0, 1, 1, 0.0]), np.array([0, 0, 1, 1.0])
    out = []
    for a, b in ((corner_u, corner_v), (u, v)):
        x, y = (a - 0.5) * width * (-1 if mirrored else 1), (b - 0.5) * height
        turn = np.radians(angle)
        out.append(tangent_points(ra, dec, x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)))
    return np.stack(out[0], axis=1), out[1]


@pytest.mark.parametrize(("ra", "dec"), PLACES)
@pytest.mark.parametrize("mirrored", [False, True])
def test_polygon_misses_no_cell_that_it_touches(ra, dec, mirrored):
    rng = np.random.default_rng(int(ra * 100 + dec + 9000))
    for _ in range(12):
        width, height = 10 ** rng.uniform(-2, 0.9, 2)
        corners, (inside_ra, inside_dec) = box(ra, dec, width, height, rng.uniform(0, 360), mirrored)
        got = cells_of_polygon(corners, 7)
        assert np.isin(cell_of(inside_ra, inside_dec, 7), got).all()
        assert (np.diff(got) > 0).all()
        assert np.array_equal(got, np.sort(cells_of_polygon(corners[::-1], 7)))


def test_polygon_covers_little_more_than_it_must():
    total = needed = 0
    for ra, dec in PLACES:
        corners, (inside_ra, inside_dec) = box(ra, dec, 1.35, 0.9, 20, False)
        total += len(cells_of_polygon(corners))
        needed += len(np.unique(cell_of(inside_ra, inside_dec, 7)))
    assert total <= 1.2 * needed


@given(st.floats(0, 360), st.floats(-90, 90), st.floats(1e-4, 3), st.floats(0, 360), st.integers(0, 8))
def test_any_polygon_covers_itself(ra, dec, size, angle, order):
    corners, (inside_ra, inside_dec) = box(ra, dec, size, size / 3, angle, False)
    assert np.isin(cell_of(inside_ra, inside_dec, order), cells_of_polygon(corners, order)).all()


def test_polygon_that_is_not_convex():
    x, y = np.array([-1, 1, 1, 0, -1.0]), np.array([-1, -1, 1, -0.8, 1.0])
    corners = np.stack(tangent_points(0, 0, x, y), axis=1)
    rng = np.random.default_rng(1)
    ra, dec = tangent_points(0, 0, *rng.uniform(-1, 1, (2, 4000)))
    held = polygon_contains(corners, ra, dec)
    assert np.isin(cell_of(ra[held], dec[held], 9), cells_of_polygon(corners, 9)).all()


def test_polygon_without_area_gets_the_cells_of_its_corners():
    assert cells_of_polygon([(10, 10), (10, 10), (10, 10)]).tolist() == cell_of(10, 10, 7).tolist()


@given(st.floats(0, 360), st.floats(-90, 90), st.floats(0, 20), st.integers(3, 7))
def test_cone_misses_no_cell_that_it_touches(ra, dec, radius, order):
    rng = np.random.default_rng(5)
    distance = radius * np.concatenate([np.ones(200), np.sqrt(rng.random(200))]) * (1 - 1e-12)
    angle = np.radians(np.concatenate([np.arange(200) * 1.8, rng.uniform(0, 360, 200)]))
    centre = unit_vectors(ra, dec)
    east = np.array([-np.sin(np.radians(ra)), np.cos(np.radians(ra)), 0])
    away = np.sin(angle)[:, None] * east + np.cos(angle)[:, None] * np.cross(centre, east)
    rim = from_vectors(np.cos(np.radians(distance))[:, None] * centre + np.sin(np.radians(distance))[:, None] * away)
    assert np.isin(cell_of(*rim, order), cells_of_cone(ra, dec, radius, order)).all()


def test_cone_at_base_cell_corners_holds_few_others():
    for ra, dec in PLACES:
        cells = cells_of_cone(ra, dec, 10 / 60, 7)
        assert 1 <= len(cells) <= 9


def test_cone_of_half_the_sky_and_of_all_of_it():
    every = np.arange(12 * 4**4)
    assert np.array_equal(cells_of_cone(10, 20, 180, 4), every)
    half = cells_of_cone(10, 20, 90, 4)
    assert 0.5 < len(half) / len(every) < 0.6


def test_cells_are_the_nested_scheme():
    # The first base cell is centred on 45 deg and sin(dec) = 2/3; its NESTED children count from the southern corner.
    assert cell_of([45, 135, 45], [41.8, 41.8, 1e-6], 0).tolist() == [0, 1, 0]
    fine, coarse = cell_of(np.arange(360), np.linspace(-89, 89, 360), 12), cell_of(np.arange(360), np.linspace(-89, 89, 360), 5)
    assert np.array_equal(fine >> 14, coarse)
    assert cell_of([], [], 7).shape == (0,)
    assert cell_of(1, 1, 29).dtype == np.int64


def test_area_of_the_cells_is_that_of_the_cone():
    cells = cells_of_cone(80, 33, 8, 9)
    assert len(cells) / (12 * 4**9) == pytest.approx((1 - np.cos(np.radians(8))) / 2, rel=0.05)
    assert separation(80, 33, 80, 41) == pytest.approx(8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cell_of(np.nan, 0, 7), "must be finite"),
        (lambda: cell_of(0, 91, 7), "declination in -90 to 90"),
        (lambda: cell_of(0, 0, 30), r"order 30: must lie in 0 to 29"),
        (lambda: cells_of_cone(0, 0, -1), r"radius -1: must lie in 0 to 180"),
        (lambda: cells_of_cone(0, 0, np.nan), "radius nan: must lie"),
        (lambda: cells_of_polygon([(0, 0), (1, 1)]), r"must have shape \(n, 2\)"),
        (lambda: cells_of_polygon([(0, 0), (1, np.nan), (1, 1)]), "must be finite"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(InputError, match=message):
        call()
