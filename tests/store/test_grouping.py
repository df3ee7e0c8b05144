"""Which detections are of one object."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from skies import FIELDS, Sky, brute_force, joined, offset, table

from ezarchive.errors import InputError
from ezarchive.sky import cell_of
from ezarchive.store import grouping, ids
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


@SLOW
@given(skies())
def test_sites_left_out_of_sight_change_nothing(sky):
    catalogs, rng = sky
    parts = list(batches(catalogs, rng))
    one = associated(parts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grouping, "thinned", lambda known, rows, radius: known)
        two = associated(parts)
    for name in ("object_id", "sites"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    assert one.alias == two.alias
    # Pairs are told again where more is in sight, and no others.
    assert set(one.pairs) == set(two.pairs)


def star(catalog, night, east=0.0, north=0.0, place=(40.0, 20.0), **options):
    return table(*offset(*place, np.atleast_1d(np.asarray(east, float)), np.asarray(north, float)), catalog, night, **options)


def test_nothing_to_decide():
    sky = Sky()
    sky.add(star(1, 0, east=[]))
    assert len(sky.object_id) == 0
    answer = decide(
        rows_of(table([], [], [], [])), Known.none(), radius=1.0, min_nights=2, catalogs_of=sky.catalogs_of, taken=sky.sites[:, 0]
    )
    assert [len(field) for field in answer] == [0] * 6


@pytest.mark.parametrize("place", PLACES)
def test_a_star_on_two_nights_is_an_object(place):
    sky = associated([star(1, 0, place=place), star(2, 0, east=0.2, place=place)])
    assert (sky.object_id == 0).all()
    sky.add(star(3, 1, north=0.2, place=place))
    (number,) = set(sky.object_id.tolist())
    assert number == ids.object_ids(cell_of(sky.rows["ra"][:1], sky.rows["dec"][:1], 29))[0] or number == 1
    sky.add(star(4, 2, place=place))
    assert set(sky.object_id.tolist()) == {number}
    assert not sky.doubtful


def test_an_id_of_nought_is_none():
    # The southern corner of cell 0.
    sky = associated([table([45.0], [0.0], 1, 0), table([45.0], [0.0], 2, 1)])
    assert (cell_of(45.0, 0.0, 29) << 1).tolist() == [0]
    assert sky.object_id.tolist() == [1, 1]


def test_an_id_that_was_taken_is_not_given_again():
    sky = Sky()
    cell = int(cell_of(*offset(40.0, 20.0, np.zeros(1), np.zeros(1)), 29)[0])
    sky.taken = {2 * cell, 2 * cell + 1}
    sky.add(joined([star(1, 0), star(2, 1)]))
    assert sky.object_id.tolist() == [2 * cell + 2] * 2


def test_ids_at_the_end_of_a_cell_do_not_run_into_one_far_away():
    # The north pole is the last cell of its base pixel; the number after it is on the equator.
    cell = int(cell_of(10.0, 90.0, 29)[0])
    assert (cell + 1) % (1 << 2 * 29) == 0
    sky = Sky()
    sky.taken = {2 * cell, 2 * cell + 1}
    sky.add(joined([table([10.0], [90.0], night, night) for night in (1, 2)]))
    assert sky.object_id.tolist() == [2 * cell - 1] * 2


def test_two_objects_that_meet_are_merged_into_the_first():
    sky = associated([joined([star(1, 3), star(2, 4)]), joined([star(3, 1, east=1.8), star(4, 2, east=1.8)])])
    old, first = sky.object_id[0], sky.object_id[2]
    assert old != first
    sky.add(star(5, 5, east=0.9))
    assert sky.alias == {old: first}
    assert set(sky.object_id.tolist()) == {first}
    assert not sky.doubtful
    assert sky.asked == 1


def test_two_objects_seen_apart_are_not_merged():
    apart = [joined([star(1, 3), star(2, 4)]), joined([star(3, 1, east=1.8), star(4, 2, east=1.8)])]
    both = star(5, 5, east=[0.0, 1.8])
    sky = associated([*apart, both, star(6, 6, east=0.9)])
    first, second = sky.object_id[0], sky.object_id[2]
    assert sky.object_id[:6].tolist() == [first, first, second, second, first, second]
    assert sky.object_id[6] in {first, second}
    assert sky.ambiguous == {first, second}
    ((pair, apart),) = sky.pairs.items()
    assert set(pair) == {first, second}
    assert apart == pytest.approx(1.8, abs=0.01)


def test_a_star_with_a_high_proper_motion_is_one_object_in_any_order():
    rng = np.random.default_rng(3)
    epochs = [star(i, i, east=0.7 * i) for i in range(25)]
    for _ in range(5):
        sky = associated(batches(epochs, rng))
        assert len(set(sky.object_id.tolist())) == 1
        assert not sky.doubtful
        assert sky.object_id[0] > 0


def test_a_chain_beyond_the_margin_is_ambiguous_and_nothing_is_lost():
    epochs = [star(i, i, east=0.8 * i) for i in range(90)]
    sky = associated([joined(epochs)], leaf_order=13)
    assert sky.ambiguous
    assert set(sky.object_id[sky.object_id > 0].tolist()) == sky.ambiguous
    assert len(sky.object_id) == 90


def test_forced_measurements_go_to_the_object_once_there_is_one():
    sky = associated([star(1, 0), star(101, 0, east=0.3, forced=True), star(102, 1, east=5.0, forced=True)])
    assert not sky.object_id.any()
    sky.add(star(2, 1))
    number = sky.object_id[0]
    assert sky.object_id.tolist() == [number, number, 0, number]
    sky.add(star(103, 3, east=0.3, forced=True))
    assert sky.object_id[-1] == number
    assert (sky.sites[:, 0] < 0).sum() == 1


def test_forced_measurements_link_nothing_and_found_nothing():
    sky = associated([star(1, 0), star(2, 1), star(3, 0, east=1.9), star(4, 1, east=1.9)])
    one, two = sky.object_id[0], sky.object_id[2]
    assert one != two
    sky.add(star(101, 2, east=0.9, forced=True))
    assert sky.object_id[-1] == one
    assert not sky.ambiguous
    assert {one, two} == sky.doubtful
    lonely = associated([star(100 + i, i, forced=True) for i in range(4)])
    assert not lonely.object_id.any()


def test_an_object_that_comes_near_a_forced_measurement_later_is_told():
    sky = associated([star(1, 0), star(2, 1), star(101, 2, east=0.9, forced=True), star(3, 0, east=1.9), star(4, 1, east=1.9)])
    assert sky.object_id[2] == sky.object_id[0] != sky.object_id[3]
    assert {sky.object_id[0], sky.object_id[3]} == sky.doubtful


def blend(rng, share, *, flux=0.5, apart=2.0, scatter=0.1, n=60):
    """Catalogs of a pair of stars that are one detection now and then; and which star each row is of."""
    catalogs, truth = [], []
    for epoch in range(n):
        names = ["both"] if rng.random() < share else ["west", "east"]
        x = np.array([flux * apart] if len(names) == 1 else [0.0, apart]) + rng.normal(0, scatter, len(names))
        order = rng.permutation(len(names))
        catalogs.append(star(epoch + 1, epoch, east=x[order], north=rng.normal(0, scatter, len(names))))
        truth += [names[i] for i in order]
    return catalogs, np.array(truth)


@pytest.mark.truth
@pytest.mark.parametrize("share", [0.2, 0.5])
@pytest.mark.parametrize("flux", [0.5, 0.3])
@pytest.mark.parametrize("apart", [1.2, 2.0])
@pytest.mark.parametrize("nightly", [True, False])
def test_a_blend_is_two_objects_where_it_is_resolved(share, flux, apart, nightly):
    catalogs, truth = blend(np.random.default_rng(0), share, flux=flux, apart=apart)
    sky = associated(catalogs if nightly else [joined(catalogs)])
    west, east = sky.object_id[truth == "west"], sky.object_id[truth == "east"]
    # A few of the first ones may go where the sum of both was measured.
    (w, n_west), (e, n_east) = (
        max(zip(*np.unique(side, return_counts=True), strict=True), key=lambda one: one[1]) for side in (west, east)
    )
    assert w != e
    assert w > 0 < e
    assert n_west >= len(west) - 2
    assert n_east >= len(east) - 2
    assert {w, e} <= sky.doubtful


def test_a_stray_beside_a_star_takes_nothing_from_it():
    rng = np.random.default_rng(4)
    catalogs = [star(i, i, east=rng.normal(0, 0.1), north=rng.normal(0, 0.1)) for i in range(40)]
    catalogs[5] = star(5, 5, east=[0.0, 0.5])
    for parts in (catalogs, [joined(catalogs)]):
        sky = associated(parts)
        names, counts = np.unique(sky.object_id, return_counts=True)
        assert names[0] == 0
        assert counts.tolist() == [1, 40]


@pytest.mark.truth
@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize(("scatter", "most"), [(0.1, 0.015), (0.2, 0.02), (0.3, 0.035)])
def test_few_objects_of_a_dense_sky_are_ambiguous(scatter, most):
    # 10,000 stars a square degree, 100 epochs, one detection in a hundred a stray one.
    rng, n, side = np.random.default_rng(5), 3000, np.sqrt(0.3)
    ra, dec = rng.uniform(10, 10 + side, n), rng.uniform(-side / 2, side / 2, n)
    parts, stars = [], []
    for epoch in range(100):
        seen = np.flatnonzero(rng.random(n) < 0.9)
        x, y = ra[seen] + rng.normal(0, scatter / 3600, len(seen)), dec[seen] + rng.normal(0, scatter / 3600, len(seen))
        strays = rng.poisson(0.01 * n)
        x, y = np.append(x, rng.uniform(10, 10 + side, strays)), np.append(y, rng.uniform(-side / 2, side / 2, strays))
        parts.append(table(x, y, epoch + 1, epoch // 2))
        stars.append(np.append(seen, np.full(strays, -1)))
    rows, star_of = rows_of(joined(parts)), np.concatenate(stars)
    answer = decide(rows, Known.none(), radius=1.0, min_nights=2, catalogs_of=lambda ids: (ids[:0], ids[:0]), taken=np.empty(0, np.int64))
    assert len(answer.ambiguous) < most * len(answer.minted)
    assert abs(len(answer.minted) - n) < 0.01 * n
    # Nearly every star has its detections in one object of its own.
    names = np.unique(answer.object_id)
    table_of = np.zeros((n, len(names)), np.int32)
    np.add.at(table_of, (star_of[star_of >= 0], np.searchsorted(names, answer.object_id[star_of >= 0])), 1)
    table_of[:, 0] = 0
    main = table_of.max(axis=1) / np.bincount(star_of[star_of >= 0], minlength=n)
    assert (main > 0.99).mean() > 0.98
    assert (main < 0.9).mean() < 0.01


def rows_of(fields, **changes):
    """Return rows that are new and decided here."""
    n = len(fields["ra"])
    flags = {"old": np.zeros(n, bool), "inside": np.ones(n, bool), "rim": np.zeros(n, bool)}
    return Rows(healpix_29=cell_of(fields["ra"], fields["dec"], 29), **{**{name: fields[name] for name in FIELDS}, **flags, **changes})


def none_of(object_id):
    return object_id[:0], object_id[:0]


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({}, {"radius": 0.0}, "radius 0.0: must lie in 0 to 5 arcsec"),
        ({}, {"radius": np.nan}, "radius nan: must lie in 0 to 5 arcsec"),
        ({}, {"radius": 5.1}, "radius 5.1: must lie in 0 to 5 arcsec"),
        ({}, {"min_nights": 0}, "min_nights 0: must be 1 or more"),
        ({"mjd_mid": np.array([np.nan, 1.0])}, {}, "rows: ra, dec and mjd_mid must be finite"),
        ({"dec": np.array([0.0, np.nan])}, {}, "rows: ra, dec and mjd_mid must be finite"),
        ({"row": np.array([1])}, {}, r"rows: must have one length, found \[1, 2\]"),
    ],
)
def test_what_cannot_be_joined(changes, options, message):
    rows = rows_of(star(1, 0, east=[0.0, 3.0]), **changes)
    with pytest.raises(InputError, match=message):
        decide(rows, Known.none(), **{"radius": 1.0, "min_nights": 2, **options}, catalogs_of=none_of, taken=np.empty(0, np.int64))


def test_known_objects_must_fit():
    rows, one = rows_of(star(1, 0)), np.array([2], np.int64)
    known = Known(one, one * 1.0, one * 1.0, one > 5, one * 1.0, one, one, one > 5)

    def attempt(changed):
        decide(rows, changed, radius=1.0, min_nights=2, catalogs_of=none_of, taken=np.empty(0, np.int64))

    with pytest.raises(InputError, match=r"known: fields of objects: must have one length, found \[1, 2\]"):
        attempt(known._replace(ra=np.zeros(2)))
    with pytest.raises(InputError, match=r"known: fields of sites: must have one length, found \[0, 1\]"):
        attempt(known._replace(site_rim=np.empty(0, bool)))
    with pytest.raises(InputError, match=r"known.site_object: must be ids of known.object_id, found 7"):
        attempt(known._replace(site_object=np.array([7])))
    with pytest.raises(InputError, match=r"known.object_id: each object must be given once"):
        attempt(Known(*(np.append(field, field) for field in known)))


def test_answers_about_other_objects_are_refused():
    sky = associated([joined([star(1, 3), star(2, 4)]), joined([star(3, 1, east=1.8), star(4, 2, east=1.8)])])
    sky.catalogs_of = lambda object_id: (np.array([1]), np.array([1]))
    with pytest.raises(InputError, match="catalogs_of: must tell of the objects that it was asked for"):
        sky.add(star(5, 5, east=0.9))
