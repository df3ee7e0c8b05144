"""Ambiguous components shared out."""

from __future__ import annotations

import numpy as np
import pytest
from skies import FIELDS, joined, offset, table

from ezarchive.sky import cell_of
from ezarchive.store import blends
from ezarchive.store.rows import Known, Rows

pytestmark = pytest.mark.pure


def rows_of(*stars):
    """Return rows from (east, catalog, night)."""
    fields = joined(
        [
            table(*offset(40.0, 20.0, np.array([east]), np.zeros(1)), catalog, night, row=[i])
            for i, (east, catalog, night) in enumerate(stars)
        ]
    )
    n = len(stars)
    flags = {"old": np.zeros(n, bool), "inside": np.ones(n, bool), "rim": np.zeros(n, bool)}
    return Rows(healpix_29=cell_of(fields["ra"], fields["dec"], 29), **{name: fields[name] for name in FIELDS}, **flags)


def share(rows, known=None, known_component=(), **options):
    component = np.zeros(len(rows.row), np.int64)
    held = np.array(known_component, np.int64)
    return blends.share(rows, known or Known.none(), component, held, **{"radius": 1.0, "min_nights": 2, "first_new": len(held), **options})


def by_row(crowd, n):
    out = np.full(n, -9)
    out[crowd.rows] = crowd.entity
    return out.tolist()


def test_new_objects_are_those_seen_on_enough_nights():
    rows = rows_of((0.0, 1, 0), (1.6, 1, 0), (0.1, 2, 1), (1.5, 2, 1), (0.8, 3, 1), (0.05, 3, 1))
    crowd = share(rows)
    west, east = by_row(crowd, 6)[:2]
    assert {west, east} == {0, 1}
    assert by_row(crowd, 6) == [west, east, west, east, east, west]
    assert crowd.n_new == 2
    assert share(rows, min_nights=3).n_new == 0


def test_known_objects_keep_their_place():
    ra, dec = offset(40.0, 20.0, np.array([0.0, 50.0]), np.zeros(2))
    known = Known(np.array([8, 4]), ra, dec, np.ones(2, bool), np.zeros(2), np.array([1, 2]), np.array([8, 4]), np.zeros(2, bool))
    rows = rows_of((0.0, 1, 0), (1.6, 1, 0), (0.1, 2, 1), (1.5, 2, 1))
    crowd = share(rows, known, [0, -1])
    assert by_row(crowd, 4) == [0, 2, 0, 2]
    assert crowd.mean_entity.tolist() == [0, 2]
    assert crowd.mean_component.tolist() == [0, 0]


def test_no_rows():
    nothing = blends.share(rows_of((0.0, 1, 0)), Known.none(), np.array([-1]), np.empty(0, np.int64), radius=1.0, min_nights=1, first_new=0)
    assert (len(nothing.rows), nothing.n_new, nothing.mean.shape) == (0, 0, (0, 3))
    assert [len(part) for part in blends.pairs(nothing, np.zeros(0, bool), 1.0)] == [0, 0, 0]


def pairs(rows, inside=True):
    """Return pairs, the object of the first row called 0 and that of the second 1."""
    crowd = share(rows)
    one, other, apart = blends.pairs(crowd, np.array([inside]), 1.0)
    swapped = {-1: -1, **{number: int(number != by_row(crowd, len(rows.row))[0]) for number in range(2)}}
    return sorted((swapped[a], swapped[b], round(c, 1)) for a, b, c in zip(one.tolist(), other.tolist(), apart.tolist(), strict=True))


def test_pairs_of_objects_and_of_what_has_no_id():
    stars = [(0.0, 1, 0), (1.6, 1, 0), (0.0, 2, 1), (1.6, 2, 1)]
    assert [(*sorted(pair), apart) for *pair, apart in pairs(rows_of(*stars))] == [(0, 1, 1.6)]
    assert pairs(rows_of(*stars), inside=False) == []
    strays = [(-1.2, 3, 2), (-2.5, 3, 2)]
    told = {(*sorted(pair), apart) for *pair, apart in pairs(rows_of(*stars, *strays))}
    assert told == {(-1, 0, 1.2), (0, 1, 1.6), (-1, 1, 2.8)}


def test_one_that_is_far_from_all_others_is_told_with_the_nearest():
    far = [(0.0, 1, 0), (7.0, 1, 0), (0.0, 2, 1), (7.0, 2, 1)]
    assert pairs(rows_of(*far)) == [(0, 1, 7.0), (1, 0, 7.0)]
    ((one, other, apart),) = pairs(rows_of((0.0, 1, 0), (0.0, 2, 1)))
    assert (one, other) == (0, -1)
    assert np.isnan(apart)
