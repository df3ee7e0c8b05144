"""Rows near positions."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from hypothesis import given
from hypothesis import strategies as st

from ezarchive.catalogs.match import match_pixels, match_sky
from ezarchive.errors import InputError

pytestmark = pytest.mark.pure


@pytest.mark.oracle
@pytest.mark.parametrize(("ra", "dec"), [(0.0, 0.0), (359.9999, 89.9), (120.0, -77.3)])
def test_all_rows_within_the_radius_as_astropy_finds_them(ra, dec, rng):
    def scattered(n):
        ras = ra + rng.normal(0, 0.01, n) / np.cos(np.radians(dec))
        return SkyCoord(ras % 360, np.clip(dec + rng.normal(0, 0.01, n), -90, 90), unit="deg")

    rows, wanted = scattered(400), scattered(30)
    found = match_sky(rows.ra.deg, rows.dec.deg, wanted.ra.deg, wanted.dec.deg, 12.0, nearest=False)
    row, place, separation, _ = wanted.search_around_sky(rows, 12.0 * u.arcsec)
    assert len(found.row) > 20
    assert sorted(zip(found.wanted, found.row, strict=True)) == sorted(zip(place, row, strict=True))
    np.testing.assert_allclose(found.separation, wanted[found.wanted].separation(rows[found.row]).arcsec, rtol=1e-6, atol=1e-7)
    assert (np.diff(found.wanted) >= 0).all()
    assert all((np.diff(found.separation[found.wanted == i]) >= 0).all() for i in range(30))
    nearest = match_sky(rows.ra.deg, rows.dec.deg, wanted.ra.deg, wanted.dec.deg, 12.0, nearest=True)
    index, distance, _ = wanted.match_to_catalog_sky(rows)
    near = distance.arcsec <= 12.0
    assert nearest.wanted.tolist() == np.flatnonzero(near).tolist()
    assert nearest.row.tolist() == index[near].tolist()


@given(st.integers(0, 30), st.integers(0, 6), st.floats(0.1, 40), st.booleans())
def test_pixels_by_brute_force(n, m, radius, nearest):
    rng = np.random.default_rng(n * 7 + m)
    x, y = rng.uniform(0, 50, (2, n))
    px, py = rng.uniform(0, 50, (2, m))
    found = match_pixels(x, y, px, py, radius, nearest=nearest)
    expected = set()
    for i in range(m):
        distance = np.hypot(x - px[i], y - py[i])
        rows = np.flatnonzero(distance <= radius)
        expected |= {(i, int(row)) for row in (rows[np.argsort(distance[rows])][:1] if nearest else rows)}
    assert set(zip(found.wanted.tolist(), found.row.tolist(), strict=True)) == expected
    assert (found.separation <= radius * (1 + 1e-9)).all()


def test_the_edge_counts_and_rows_without_a_position_match_nothing():
    found = match_pixels([0, 3, np.nan, 0], [0, 4, 0, np.nan], [0], [0], 5, nearest=False)
    assert (found.row.tolist(), found.separation.tolist()) == ([0, 1], [0.0, 5.0])
    assert match_sky([10.0, np.nan], [0.0, 0.0], [10.0 + 5 / 3600], [0.0], 5.0, nearest=False).row.tolist() == [0]
    assert match_sky([], [], [1], [2], 5, nearest=True).row.size == 0


@pytest.mark.parametrize(
    ("wanted", "radius", "message"),
    [
        (([1], [2]), 0, r"matching_radius=0: must be positive and finite, in arcsec"),
        (([1], [2]), np.nan, "matching_radius=nan: must be positive"),
        (([1, 2], [2]), 5, r"x, y: must be of one length, found shapes \(2,\) and \(1,\)"),
        (([np.nan], [2]), 5, r"x, y: must be finite, found \(\[nan\], \[2.0\]\)"),
    ],
)
def test_wrong_questions(wanted, radius, message):
    with pytest.raises(InputError, match=message):
        match_sky([1.0], [2.0], *wanted, radius, nearest=False)
