"""Compaction: rows in are rows out, in order, and the bytes are those of rows that were written at once."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from storetables import all_rows, contents, light_curves, publish, random_places

from ezarchive.errors import StoreError
from ezarchive.sky import cell_of
from ezarchive.store import compact, files, ids
from ezarchive.store.build import Builder
from ezarchive.store.calibration import CALIBRATION, calibrated
from ezarchive.store.tree import Leaf, Tree
from ezarchive.store.version import Version


@pytest.fixture
def rng():
    return np.random.default_rng(21)


@pytest.fixture
def sky(rng):
    return random_places(rng, 250, ra=(0, 100), dec=(-40, 40))


@pytest.fixture
def nights(tmp_path, rng, sky):
    """Five versions of two catalogs each."""
    tables = [light_curves(rng, *sky, 2, first_catalog=first) for first in (1, 7, 3, 5, 9)]  # one night comes late
    version = Version.none(tmp_path)
    for number, table in enumerate(tables, 1):
        version = publish(tmp_path, number, curves=table, previous=version)
    return version, pa.concat_tables(tables)


def compacted(home, version, **options):
    with Builder(home, version, version.number + 1, {}) as builder:
        counts = compact.compact(builder, workers=1, **options)
        return builder.publish(), counts


def test_rows_in_are_rows_out(tmp_path, nights):
    version, _ = nights
    made, counts = compacted(tmp_path, version)
    assert all_rows(made).equals(all_rows(version))
    assert {len(made.files_of("light_curve", leaf)) for leaf in made.leaves("light_curve")} == {1}
    assert [count.rows_in for count in counts] == [count.rows_out for count in counts]
    assert sum(count.rows_out for count in counts) == 2500
    assert made.leaves_with([3]) == version.leaves_with([3])
    assert {len(made.files_of("contents", leaf)) for leaf in made.leaves("contents")} == {1}


@pytest.mark.parametrize("step", [1, 700, 10**6])
def test_the_bytes_are_those_of_one_delta(tmp_path, nights, step, monkeypatch):
    """Whatever number of files and steps it took."""
    monkeypatch.setattr(compact, "STEP_ROWS", step)
    version, rows = nights
    made, _ = compacted(tmp_path, version)
    at_once = publish(tmp_path / "other", made.number, curves=rows)
    assert contents(made.folder) == contents(at_once.folder)


def test_in_steps_over_row_groups(tmp_path, rng, monkeypatch):
    monkeypatch.setattr(compact, "STEP_ROWS", 25_000)
    ra, dec = random_places(rng, 2000, ra=(10, 20), dec=(10, 20))
    first = publish(tmp_path, 1, curves=light_curves(rng, ra, dec, 30))
    second = publish(tmp_path, 2, curves=light_curves(rng, ra[:100], dec[:100], 5, first_catalog=40), previous=first)
    made, counts = compacted(tmp_path, second)
    assert counts[0].rows_in == counts[0].rows_out == 60_500
    assert all_rows(made).equals(all_rows(second))


def test_leaves_of_one_file_are_left_alone(tmp_path, rng, sky, nights):
    version, _ = nights
    made, counts = compacted(tmp_path, version)
    again, more = compacted(tmp_path, made)
    assert len(counts) == len(version.leaves("light_curve"))
    assert more == []
    assert all(one.samefile(other) for one, other in zip(made.paths("light_curve"), again.paths("light_curve"), strict=True))
    with Builder(tmp_path, again, again.number + 1, {}) as builder:
        leaf = again.leaves("light_curve")[0]
        assert [count.leaf for count in compact.compact(builder, [leaf], workers=1)] == [leaf]


def test_withdrawn_catalogs_leave(tmp_path, nights):
    version, _ = nights
    made, counts = compacted(tmp_path, version, drop_catalogs={3, 10})
    rows = all_rows(version)
    assert all_rows(made).equals(rows.filter(pc.invert(pc.is_in(rows["catalog_id"], pa.array([3, 10])))))
    assert sum(count.dropped for count in counts) == 500
    assert made.leaves_with([3]) == ()
    everything, _ = compacted(tmp_path, made, drop_catalogs=range(1, 20))
    assert everything.paths("light_curve") == []
    assert everything.totals["light_curve"] == everything.totals["contents"] == 0


def test_calibrated_anew(tmp_path, nights):
    version, _ = nights
    values = [[2, 9], [1.0, 100.0], [25.0, 26.0], [0.1, 0.1], [25.0, None], [21.0, 21.0]]
    known = pa.table([pa.array(column, kind) for column, kind in zip(values, CALIBRATION.types, strict=True)], schema=CALIBRATION)
    made, _ = compacted(tmp_path, version, calibration=known)
    assert all_rows(made).equals(calibrated(all_rows(version), known))


def merged_pair(home, rng, apart):
    """A version with two objects on either side of a border, and others; returns it, the older and the newer id."""
    ra, dec = np.array([90 - apart, 90 + apart, 80.0, 100.0, 89.0]), np.full(5, 60.0)
    version = publish(home, 1, curves=light_curves(rng, ra, dec, 3))
    version = publish(home, 2, curves=light_curves(rng, ra, dec, 2, first_catalog=4), previous=version)
    old, new = ids.object_ids(cell_of(ra[:2], dec[:2], 29)).tolist()
    return version, old, new


@pytest.mark.parametrize("swap", [False, True])
def test_objects_that_became_another_in_the_next_leaf(tmp_path, rng, swap):
    version, one, other = merged_pair(tmp_path, rng, 1e-5)
    old, new = (other, one) if swap else (one, other)
    assert version.tree.leaf_of(old) != version.tree.leaf_of(new)
    made, counts = compacted(tmp_path, version, relabel={old: new})
    rows, before = all_rows(made), all_rows(version)
    assert len(rows) == len(before)
    assert old not in rows["object_id"].to_pylist()
    moved = rows.filter(pc.equal(rows["object_id"], new))
    assert len(moved) == 10
    assert set(moved["object_ra"].to_pylist()) == {ids.place([new])[0][0]}
    assert set(moved["_healpix_29"].to_pylist()) == {new >> 1}
    untouched = [name for name in rows.column_names if name not in ("object_id", "object_ra", "object_dec", "_healpix_29")]
    key = [("catalog_id", "ascending"), ("row", "ascending")]
    assert rows.select(untouched).sort_by(key).equals(before.select(untouched).sort_by(key))
    assert sum(count.moved_in for count in counts) == sum(count.moved_out for count in counts) == 5


def test_both_leaves_are_done_when_one_is_asked_for(tmp_path, rng):
    version, old, new = merged_pair(tmp_path, rng, 1e-5)
    for leaf in (version.tree.leaf_of(old), version.tree.leaf_of(new)):
        with Builder(tmp_path, version, 3, {}) as builder:
            assert len(compact.compact(builder, [leaf], relabel=np.array([[old, new]]), workers=1)) == 2
            assert len(all_rows(builder.current())) == 25


def test_an_object_can_move_into_a_leaf_without_rows(tmp_path, rng):
    version = publish(tmp_path, 1, curves=light_curves(rng, np.array([90 - 1e-5]), np.array([60.0]), 3))
    old, new = ids.object_ids(cell_of([90 - 1e-5, 90 + 1e-5], [60.0, 60.0], 29)).tolist()
    made, counts = compacted(tmp_path, version, relabel={old: new})
    assert made.leaves("light_curve") == (version.tree.leaf_of(new),)
    assert len(counts) == 2
    assert set(all_rows(made)["object_id"].to_pylist()) == {new}


def test_merged_within_a_leaf_and_withdrawn_at_once(tmp_path, rng, nights):
    version, _ = nights
    leaf = version.leaves("light_curve")[0]
    found = sorted(set(version.read("light_curve", leaf, ["object_id"])["object_id"].to_pylist()))
    made, _ = compacted(tmp_path, version, relabel={found[0]: found[9], found[20]: found[9]}, drop_catalogs=[1])
    rows = made.read("light_curve", leaf)
    assert pc.sum(pc.equal(rows["object_id"], found[9])).as_py() == 27
    assert files.is_sorted(rows, files.ORDERS["light_curve"])


def test_chains_of_ids_are_followed(tmp_path, nights):
    version, _ = nights
    leaf = version.leaves("light_curve")[0]
    a, b, c = sorted(set(version.read("light_curve", leaf, ["object_id"])["object_id"].to_pylist()))[:3]
    made, _ = compacted(tmp_path, version, relabel={a: b, b: c})
    rows = made.read("light_curve", leaf, ["object_id"])["object_id"]
    assert pc.sum(pc.equal(rows, c)).as_py() == 30
    with Builder(tmp_path, version, 9, {}) as builder, pytest.raises(StoreError, match="stand for each other"):
        compact.compact(builder, relabel={a: b, b: a})


def test_a_torn_file_stops_it(tmp_path, nights):
    version, _ = nights
    path = version.paths("light_curve")[2]
    content = path.read_bytes()
    with Builder(tmp_path, version, 9, {}) as builder:
        copy = builder.folder / path.relative_to(version.folder)
        copy.unlink()
        copy.write_bytes(content[:-20])
        with pytest.raises(StoreError, match="is damaged"):
            compact.compact(builder, workers=1)
    assert version.check(hashes=True) == []


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_in_processes_as_in_this_one(tmp_path, nights):
    version, _ = nights
    with Builder(tmp_path, version, 6, {}) as builder:
        compact.compact(builder, workers=2)
        made = builder.publish()
    with Builder(tmp_path / "x", version, 6, {}) as builder:
        compact.compact(builder, workers=1)
        alone = builder.publish()
    assert contents(made.folder) == contents(alone.folder)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_memory_does_not_grow_with_the_leaf(tmp_path, rng, monkeypatch):
    monkeypatch.setattr(compact, "STEP_ROWS", 50_000)
    ra, dec = random_places(rng, 5000, ra=(10, 20), dec=(10, 20))
    peaks = []
    for name, epochs in (("small", 20), ("large", 100)):
        version = publish(tmp_path / name, 1, curves=light_curves(rng, ra, dec, epochs))
        version = publish(tmp_path / name, 2, curves=light_curves(rng, ra, dec, 10, first_catalog=200), previous=version)
        before = pa.total_allocated_bytes()
        seen = []
        finished = compact._Merge._finished

        def watched(self, parts, finished=finished, seen=seen, before=before):
            table = finished(self, parts)
            seen.append(pa.total_allocated_bytes() - before)
            return table

        monkeypatch.setattr(compact._Merge, "_finished", watched)
        compacted(tmp_path / name, version)
        monkeypatch.setattr(compact._Merge, "_finished", finished)
        peaks.append(max(seen))
    assert peaks[1] < 1.5 * peaks[0]


def test_leaves_are_in_order(tmp_path, rng, nights):
    version, _ = nights
    _, counts = compacted(tmp_path, version)
    cells = [count.leaf.cells for count in counts]
    assert cells == sorted(cells)
    assert isinstance(counts[0].leaf, Leaf)
    assert version.tree == Tree.base()
