"""Which detections are of one object."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from skies import FIELDS, Sky, brute_force, joined, offset, table

from ezarchive.errors import InputError
from ezarchive.sky import cell_of, separation
from ezarchive.store import ids
from ezarchive.store.grouping import Known, Rows, decide

pytestmark = pytest.mark.pure

# RA 0, poles, a corner and an edge of base cells, where three base cells meet, anywhere.
PLACES = [(0.0, 12.3), (123.0, 90.0), (0.0, -90.0), (45.0, 0.0), (90.0, 41.8103149), (0.0, 0.0), (217.4, -33.3)]
SLOW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@st.composite
def skies(draw):
    """Catalogs of a small sky: stars, some of them close together or moving, missed now and then, strays, and forced targets."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    ra, dec = draw(st.sampled_from(PLACES))
    width, n_stars = draw(st.sampled_from([(4.0, 3), (15.0, 6), (60.0, 12)]))
    scatter, n_catalogs = draw(st.sampled_from([0.05, 0.2, 0.4])), draw(st.integers(1, 8))
    east, north = rng.uniform(-width, width, (2, n_stars))
    motion = np.where(rng.random((n_stars, 2)) < 0.2, rng.normal(0, 0.6, (n_stars, 2)), 0.0)
    targets = rng.integers(0, n_stars, draw(st.integers(0, 2)))
    catalogs = []
    for i in range(n_catalogs):
        night = i // 2 if draw(st.booleans()) else i
        seen = np.flatnonzero(rng.random(n_stars) < 0.8)
        x = east[seen] + motion[seen, 0] * night + rng.normal(0, scatter, len(seen))
        y = north[seen] + motion[seen, 1] * night + rng.normal(0, scatter, len(seen))
        strays = rng.random() < 0.3
        x, y = np.append(x, rng.uniform(-width, width, int(strays))), np.append(y, rng.uniform(-width, width, int(strays)))
        catalogs.append(table(*offset(ra, dec, x, y), 10 + i, night))
        if len(targets):
            at = offset(ra, dec, east[targets] + 0.4, north[targets])
            catalogs.append(table(*at, 1000 + i, night, forced=True, frame_id=10 + i))
    return catalogs, rng


def batches(catalogs, rng):
    """Yield the catalogs in random order and random batches."""
    order = rng.permutation(len(catalogs))
    cuts = np.flatnonzero(rng.random(len(order)) < 0.5)
    for part in np.split(order, cuts):
        if len(part):
            yield joined([catalogs[i] for i in part])


def associated(parts, **options):
    sky = Sky(**options)
    for part in parts:
        sky.add(part)
    return sky


@SLOW
@given(skies(), st.sampled_from([1, 2, 3]))
def test_any_order_groups_the_same(sky, min_nights):
    catalogs, rng = sky
    whole = associated([joined(catalogs)], min_nights=min_nights)
    for _ in range(3):
        parts = associated(batches(catalogs, rng), min_nights=min_nights, shuffle=rng)
        assert parts.groups() == whole.groups()


@SLOW
@given(skies(), st.sampled_from([1, 2, 3]))
def test_groups_are_friends_of_friends(sky, min_nights):
    catalogs, rng = sky
    truth = brute_force(joined(catalogs), radius=1.0, min_nights=min_nights)
    for parts in ([joined(catalogs)], batches(catalogs, rng)):
        found = associated(parts, min_nights=min_nights)
        sure, all_of_them = found.groups(forced=False), found.groups(forced=False, sure=False)
        # A pair that only a forced measurement makes leaves the detections what they are.
        assert sure <= truth <= all_of_them
        alone = {frozenset(group) for group in truth - sure}
        assert all(found.object_id[index(found, group)].tolist()[0] in found.doubtful for group in alone)


def index(sky, group):
    keys = list(zip(sky.rows["catalog_id"].tolist(), sky.rows["row"].tolist(), strict=True))
    return [keys.index(key) for key in group]


@settings(SLOW, max_examples=12)
@given(skies(), st.sampled_from([12, 13]))
def test_leaves_decide_as_one(sky, order):
    catalogs, rng = sky
    whole = associated([joined(catalogs)])
    parts = associated(batches(catalogs, rng), leaf_order=order)
    assert parts.groups() == whole.groups()


@SLOW
@given(skies())
def test_an_object_has_a_catalog_once(sky):
    catalogs, rng = sky
    found = associated(batches(catalogs, rng))
    for group in found.groups(sure=False, forced=False):
        assert len({catalog for catalog, _ in group}) == len(group)


@SLOW
@given(skies())
def test_a_replay_is_the_same(sky):
    catalogs, rng = sky
    parts = list(batches(catalogs, rng))
    one, two = associated(parts), associated(parts, shuffle=rng)
    for name in ("object_id", "sites"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    assert one.alias == two.alias
    assert one.ambiguous == two.ambiguous
    np.testing.assert_equal(one.pairs, two.pairs)


@SLOW
@given(skies())
def test_every_ambiguous_object_is_in_a_pair(sky):
    catalogs, rng = sky
    found = associated(batches(catalogs, rng))
    assert found.ambiguous <= {found.present(one) for pair in found.pairs for one in pair}
