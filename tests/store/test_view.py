"""What the grouping sees."""

from __future__ import annotations

import numpy as np
import pytest
from skies import FIELDS, Sky, joined, offset, table

from ezarchive.sky import cell_of
from ezarchive.store import sites, view
from ezarchive.store.rows import Known, Rows

pytestmark = pytest.mark.pure


def star(catalog, night, east):
    return table(*offset(300.0, -20.0, np.asarray(east, float), np.zeros(len(east))), catalog, night)


def rows_of(fields, **changes):
    n = len(fields["ra"])
    flags = {"old": np.zeros(n, bool), "inside": np.ones(n, bool), "rim": np.zeros(n, bool)}
    return Rows(healpix_29=cell_of(fields["ra"], fields["dec"], 29), **{**{name: fields[name] for name in FIELDS}, **flags, **changes})


def known_sky():
    sky = Sky()
    sky.add(joined([star(1, 0, [0.0, 30.0, 60.0]), star(2, 1, [0.6, 30.0, 60.0])]))
    return sky, sky.known()


def test_only_sites_that_matter_are_kept():
    sky, known = known_sky()
    one = rows_of(star(3, 2, [30.4]))
    kept = view.thinned(known, one, 1.0)
    assert set(kept.site_object.tolist()) == {sky.object_id[1]}
    # A row in a known site needs no other; nor does it need those of its object beyond.
    same = view.thinned(known, rows_of(star(3, 2, [0.0])), 1.0)
    assert same.site.tolist() == sites.site_of(cell_of(sky.rows["ra"][:1], sky.rows["dec"][:1], 29)).tolist()
    assert len(kept.object_id) == 3
    marked = view.thinned(known._replace(ambiguous=known.object_id == sky.object_id[2]), one, 1.0)
    assert set(marked.site_object.tolist()) == {sky.object_id[1], sky.object_id[2]}
    assert view.thinned(Known.none(), one, 1.0).site.size == 0
    assert view.thinned(known, rows_of(star(3, 2, [])), 1.0).site.size == 0


def test_the_rim_is_remembered_where_the_site_there_is_not():
    _, known = known_sky()
    far = sites.site_of(cell_of(*offset(300.0, -20.0, np.array([0.6]), np.zeros(1)), 29))
    kept = view.thinned(known._replace(site_rim=known.site == far), rows_of(star(3, 2, [0.0])), 1.0)
    assert kept.site_rim.tolist() == [True]


def facts_of(rows, known=None, catalogs_of=None, min_nights=2):
    known = known or Known.none()
    seen = view.see(rows, known, 1.0)
    return seen, view.judge(rows, known, seen, min_nights, catalogs_of)


def test_kinds_of_components():
    fields = joined([star(1, 0, [0.0, 10.0, 20.0, 20.5]), star(2, 1, [0.1, 40.0])])
    inside, rim = np.array([1, 1, 1, 1, 1, 0], bool), np.array([0, 1, 0, 0, 0, 1], bool)
    seen, facts = facts_of(rows_of(fields, inside=inside, rim=rim))
    at = seen.component
    assert facts.nights[at].tolist() == [2, 1, 1, 1, 2, 1]
    assert facts.ambiguous[at].tolist() == [False, True, True, True, False, False]
    assert facts.unseen[at].tolist() == [False, False, False, False, False, True]


def test_catalogs_far_apart_in_number():
    fields = joined([star(1, 0, [0.0, 0.5]), star(2**50, 1, [9.0, 9.5]), star(2**51, 1, [20.0])])
    seen, facts = facts_of(rows_of(fields))
    assert facts.ambiguous[seen.component].tolist() == [True, True, True, True, False]


def test_the_store_is_asked_about_old_rows_only():
    _, known = known_sky()

    def refuse(object_id):
        raise AssertionError(object_id)

    facts_of(rows_of(star(3, 2, [0.0])), known, refuse)
    asked = []
    old = rows_of(star(1, 2, [0.3]), old=np.ones(1, bool))
    seen, facts = facts_of(old, known, lambda object_id: (asked.extend(object_id.tolist()), (object_id, np.ones(1, int)))[1])
    assert len(asked) == 1
    assert facts.ambiguous[seen.component].tolist() == [True]
