"""Lists of positions as one list of objects."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ezarchive.catalogs.merge import group
from ezarchive.errors import InputError

ARCSEC = 1 / 3600


def test_by_hand():
    # Three lists of two stars 10 arcsec apart; the third list lacks the second star and has one more.
    dec = np.array([0.0, 10.0, 0.2, 10.3, -0.1, 40.0]) * ARCSEC
    assert group(np.full(6, 10.0), dec, [0, 0, 1, 1, 2, 2], 1.0).tolist() == [0, 1, 0, 1, 0, 2]
    assert group([], [], [], 1.0).tolist() == []
    assert group([10.0], [20.0], [0], 1.0).tolist() == [0]


def test_of_two_in_one_list_the_closer_is_taken():
    dec = np.array([0.0, 0.3, 0.8]) * ARCSEC
    assert group(np.full(3, 10.0), dec, [0, 1, 1], 1.0).tolist() == [0, 0, 1]
    assert group(np.full(3, 10.0), dec[::-1], [1, 1, 0], 1.0).tolist() == [1, 0, 0]


def test_a_chain_is_no_object():
    dec = np.arange(8) * 0.9 * ARCSEC
    found = group(np.full(8, 10.0), dec, np.arange(8), 1.0)
    assert len(set(found)) > 2
    for label in set(found):
        assert np.ptp(dec[found == label]) < 2.1 * ARCSEC


@pytest.mark.parametrize(("ra", "dec"), [(0.0, 0.0), (359.99999, 45.0), (123.0, 89.99999), (123.0, -90.0)])
def test_anywhere_on_the_sky(ra, dec):
    ras = (ra + np.array([-0.2, 0.2]) * ARCSEC / max(np.cos(np.radians(dec)), 0.05)) % 360
    assert group(ras, [dec, dec], [0, 1], 1.0).tolist() == [0, 0]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 1.5))
def test_the_order_of_lists_and_rows_does_not_matter(seed, scatter):
    rng = np.random.default_rng(seed)
    stars = rng.uniform(0, 12 * ARCSEC, (12, 2))
    ra, dec, owner = [], [], []
    for number in range(5):
        seen = rng.random(12) < 0.8
        place = stars[seen] + rng.normal(0, scatter * ARCSEC, (seen.sum(), 2))
        ra, dec, owner = [*ra, *place[:, 0]], [*dec, *place[:, 1]], [*owner, *[number] * len(place)]
    ra, dec, owner = np.array(ra) % 360, np.array(dec), np.array(owner)
    first = group(ra, dec, owner, 1.0)
    order = rng.permutation(len(ra))
    names = rng.permutation(5)
    assert group(ra[order], dec[order], names[owner[order]], 1.0).tolist() == first[order].tolist()
    for label in set(first):
        assert len(set(owner[first == label])) == np.count_nonzero(first == label)


def test_nothing_is_lost_among_many(rng):
    stars = rng.uniform(10, 10.3, (1500, 2))
    ra, dec = (np.concatenate([stars[:, axis] + rng.normal(0, 0.1 * ARCSEC, 1500) for _ in range(20)]) for axis in (0, 1))
    found = group(ra, dec, np.repeat(np.arange(20), 1500), 1.5)
    counts = np.bincount(found)
    assert counts.sum() == 30000
    assert np.count_nonzero(counts == 20) > 1450


@pytest.mark.parametrize("distance", [0, -1, 3601, np.nan, True])
def test_a_wrong_distance_is_named(distance):
    with pytest.raises(InputError, match="max_distance_arcsec=.*must be more than 0 and at most 3600"):
        group([1.0], [1.0], [0], distance)
