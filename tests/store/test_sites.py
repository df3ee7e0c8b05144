"""Sites and their friends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skies import offset

from ezarchive.errors import InputError
from ezarchive.sky import cell_of, from_vectors, separation
from ezarchive.store import sites

pytestmark = pytest.mark.pure

PLACES = [(0.0, 12.3), (123.0, 90.0), (0.0, -90.0), (45.0, 0.0), (90.0, 41.8103149), (0.0, 0.0), (217.4, -33.3)]


def patch(place, rng, n, width):
    return cell_of(*offset(*place, *rng.uniform(-width, width, (2, n))), 29)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(PLACES), st.integers(0, 2**32 - 1), st.integers(0, 60), st.sampled_from([0.3, 1.0, 4.7]))
def test_components_are_friends_of_friends(place, seed, n, radius):
    rng = np.random.default_rng(seed)
    site = sites.site_of(patch(place, rng, n, 3 * radius * np.sqrt(n + 1) / 3))
    found = sites.components(site, radius)
    assert (found.site == np.unique(site)).all()
    ra, dec = from_vectors(sites.centres(found.site))
    near = separation(ra[:, None], dec[:, None], ra, dec) * 3600 <= radius
    reach = np.eye(len(ra), dtype=bool) | near
    for _ in range(7):
        reach = (reach.astype(float) @ reach) > 0
    same = found.component[:, None] == found.component
    assert (same == reach).all()
    assert found.count == len(np.unique(found.component))


def test_what_is_joined_stays_joined():
    site = sites.site_of(cell_of([10.0, 10.01, 10.02], [0.0, 0.0, 0.0], 29))
    assert sites.components(site, 1.0).count == 3
    assert sites.components(site, 1.0, joined=site[[0, 2]], group=np.array([5, 5])).count == 2


@pytest.mark.parametrize("radius", [0, -1, np.nan, 3600])
def test_no_radius(radius):
    with pytest.raises(InputError, match="radius .*: must lie in 0 to 3600 arcsec"):
        sites.components(np.array([1]), radius)


def test_centres_are_near():
    rng = np.random.default_rng(1)
    ra, dec = rng.uniform(0, 360, 20_000), np.degrees(np.arcsin(rng.uniform(-1, 1, 20_000)))
    at = from_vectors(sites.centres(sites.site_of(cell_of(ra, dec, 29))))
    assert (separation(ra, dec, *at) * 3600).max() < sites.SIZE_ARCSEC / 2


def test_both_kinds_of_sites_have_a_place():
    site = np.array([0, 5, 12345678])
    assert (sites.healpix_29(site) == site << 18).all()
    assert (sites.healpix_29(~site) == site << 18).all()
    assert (sites.site_of(sites.healpix_29(site)) == site).all()


def test_angles():
    one, other = sites.centres(np.array([10])), sites.centres(np.array([10]))
    assert sites.arcsec(one, other)[0] == 0
    assert sites.arcsec(np.array([[1.0, 0, 0]]), np.array([[0, 2.0, 0]]))[0] == pytest.approx(90 * 3600)
    assert sites.chord(1.0) == pytest.approx(np.radians(1 / 3600))


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(PLACES), st.integers(0, 2**32 - 1), st.sampled_from([0.3, 1.0, 5.0]))
def test_around_misses_no_friend(place, seed, radius):
    rng = np.random.default_rng(seed)
    one, others = sites.site_of(patch(place, rng, 1, 1.0)), np.unique(sites.site_of(patch(place, rng, 400, 4 * radius)))
    apart = sites.arcsec(np.repeat(sites.centres(one), len(others), axis=0), sites.centres(others))
    held = sites.around(one, radius).holds(others)
    assert held[apart <= radius].all()
    assert not sites.around(one[:0], radius).holds(others).any()


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(PLACES), st.integers(0, 2**32 - 1), st.sampled_from([0.5, 1.0, 5.0]), st.sampled_from([12, 13]))
def test_what_is_not_at_the_rim_has_no_friend_outside(place, seed, radius, order):
    rng = np.random.default_rng(seed)
    cells = patch(place, rng, 3000, 60.0)
    shift = 2 * (29 - order)
    view = np.unique(cells[:5] >> shift)
    low, high = view << shift, (view + 1) << shift
    inside = np.isin(cells >> shift, view)
    rim = sites.on_rim(cells[inside], low, high, radius)
    here, there = sites.centres(sites.site_of(cells[inside])), sites.centres(sites.site_of(cells[~inside]))
    for point, at_rim in zip(here, rim, strict=True):
        if len(there) and not at_rim:
            assert sites.arcsec(np.broadcast_to(point, there.shape), there).min() > radius
    assert not sites.on_rim(cells, np.array([0]), np.array([12 << 58]), radius).any()
    assert sites.on_rim(cells, low[:0], high[:0], radius).all()
    assert len(sites.on_rim(cells[:0], low, high, radius)) == 0


def test_helpers_agree_with_numpy():
    rng = np.random.default_rng(2)
    values, members = rng.integers(0, 50, 200), rng.integers(0, 50, 10)
    assert (sites.distinct(values) == np.unique(values)).all()
    assert (sites.among(values, members) == np.isin(values, members)).all()
    assert not sites.among(values, members[:0]).any()
    unsorted = rng.permutation(50)
    assert (unsorted[sites.places(unsorted, values)] == values).all()
    assert len(sites.places(unsorted[:0], values[:0])) == 0
    assert sites.flagged(np.array([True, False]), np.array([0, 1, -1])).tolist() == [True, False, False]
    assert sites.nights(np.array([0, 0, 2, 2]), np.array([5, 5, -1, 7]), 3).tolist() == [1, 0, 2]
    assert sites.nights(np.empty(0, int), np.empty(0, int), 2).tolist() == [0, 0]


def test_pairs_and_marks_are_those_of_sorting(rng):
    first, second = rng.integers(0, 30, 200), rng.integers(0, 3, 200)
    assert sites.distinct_pairs(first, second, 40, 3).tolist() == np.unique(first * 3 + second).tolist()
    assert sites.distinct_pairs(first, first % 3, 40, 3).tolist() == np.unique(first * 3 + first % 3).tolist()
    assert sites.distinct_pairs(first[:0], second[:0], 0, 1).tolist() == []
    marks = sites.marked(first, second, 40, 3)
    assert np.flatnonzero(marks).tolist() == np.unique(first * 3 + second).tolist()
    assert sites.marked(first, second, 40, 10**6) is None
    night = np.array([1, 1, 2, 10**6], np.int32)
    group = np.array([0, 0, 0, 2])
    assert sites.nights(group, night, 3).tolist() == sites.nights(group[:3], night[:3], 1).tolist() + [0, 1]
