"""Runs that are withdrawn, and what counts instead of them."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from ezarchive.database import queries, runs, tables, zeropoints
from ezarchive.database.withdrawals import Withdrawal, restore_run, withdraw_run
from ezarchive.database.zeropoints import NewZeroPoint
from ezarchive.errors import InputError
from ezarchive.frames.record import Frame


@pytest.fixture
def conn(world):
    """A transaction in an archive of three frames; run 1 holds all of them, run 2 (of another recipe) the first two."""
    world.add(Frame(), Frame(), Frame())
    with world.database.begin() as conn:
        measure(conn, [1, 2, 3], sigma=5)
        measure(conn, [1, 2], sigma=3)
        yield conn


def measure(conn, frame_ids, *, close=True, targets="", **parameters) -> int:
    run = runs.open_run(conn, runs.get_recipe(conn, "sex", parameters, []), {}).run_id
    rows = [
        runs.NewCatalog(
            number, run, "sex", f"{run}/{number}.parquet", 5, "a", depth=20.0, depth_aperture=5.0, apertures=(5.0,), targets=targets
        )
        for number in frame_ids
    ]
    runs.add_catalogs(conn, rows)
    if close:
        runs.close_run(conn, run)
    return run


def calibrate(conn, frame_ids, catalogs, value, **parameters) -> int:
    run = runs.open_run(conn, runs.get_recipe(conn, "calibrate", parameters, []), {}).run_id
    rows = [
        NewZeroPoint(a, b, run, "sex", "APER", 5.0, value, 0.01, 0.05, 30, "AB", 0.0, depth=value - 5)
        for a, b in zip(frame_ids, catalogs, strict=True)
    ]
    zeropoints.add_zero_points(conn, rows)
    runs.close_run(conn, run)
    return run


def current(conn) -> dict[int, int]:
    return {row.frame_id: row.run_id for row in conn.execute(sa.text("SELECT frame_id, run_id FROM current_run"))}


def values(conn) -> dict[int, float]:
    return {frame_id: rows[0].value for frame_id, rows in zeropoints.of_frames(conn, [1, 2, 3]).items()}


class TestCatalogs:
    def test_the_run_before_counts_again(self, conn):
        assert current(conn) == {1: 2, 2: 2, 3: 1}
        assert withdraw_run(conn, 2) == Withdrawal(2, 2, 0)
        assert current(conn) == {1: 1, 2: 1, 3: 1}
        assert {row.run_id for row in queries.catalogs(conn)} == {1}

    def test_a_frame_without_another_one_has_none(self, conn):
        assert withdraw_run(conn, 1) == Withdrawal(1, 0, 0)
        assert current(conn) == {1: 2, 2: 2}
        assert withdraw_run(conn, 2) == Withdrawal(2, 0, 0)
        assert current(conn) == {}
        assert tables.catalogs_table(conn).num_rows == 0

    def test_nothing_is_deleted_and_it_can_be_asked_for(self, conn):
        withdraw_run(conn, 2)
        assert conn.execute(sa.text("SELECT count(*) FROM catalog")).scalar() == 5
        assert tables.catalogs_table(conn, run_id=2).num_rows == 2

    def test_twice_is_once(self, conn):
        withdraw_run(conn, 2)
        when = runs.list_runs(conn)[0]["withdrawn"]
        assert withdraw_run(conn, 2) == Withdrawal()
        assert runs.list_runs(conn)[0]["withdrawn"] == when

    def test_a_pin_to_it_is_gone_and_one_to_another_stays(self, conn):
        runs.pin_run(conn, 2, [1])
        runs.pin_run(conn, 1, [2])
        withdraw_run(conn, 2)
        assert current(conn) == {1: 1, 2: 1, 3: 1}
        assert conn.execute(sa.text("SELECT frame_id FROM current_run WHERE pinned")).scalars().all() == [2]

    def test_an_unpinned_frame_does_not_fall_to_it(self, conn):
        runs.pin_run(conn, 1)
        withdraw_run(conn, 2)
        runs.unpin(conn, "sex")
        assert current(conn) == {1: 1, 2: 1, 3: 1}

    def test_it_cannot_be_pinned(self, conn):
        withdraw_run(conn, 2)
        with pytest.raises(InputError, match=r"run_id 2: is withdrawn; `ezarchive withdraw --restore` makes it count again"):
            runs.pin_run(conn, 2)

    def test_a_batch_that_still_adds_to_it_adds_nothing_that_counts(self, conn):
        run = measure(conn, [3], close=False, sigma=7)
        withdraw_run(conn, run)
        runs.add_catalog(conn, 2, run, method="sex", path="late.parquet", n_rows=1, sha256="a")
        assert current(conn) == {1: 2, 2: 2, 3: 1}

    def test_it_is_not_resumed(self, conn):
        recipe = runs.get_recipe(conn, "sex", {"sigma": 7}, [])
        run = measure(conn, [3], close=False, sigma=7)
        withdraw_run(conn, run)
        assert runs.open_run(conn, recipe, {}).run_id != run
        closed = measure(conn, [3], sigma=8)
        withdraw_run(conn, closed)
        assert runs.run_without(conn, runs.get_recipe(conn, "sex", {"sigma": 8}, []), {}, 1) != closed

    def test_its_frames_are_not_measured_any_more(self, conn):
        recipe = runs.get_recipe(conn, "sex", {"sigma": 3}, [])
        assert runs.measured(conn, recipe, [1, 2, 3]) == {1, 2}
        withdraw_run(conn, 2)
        assert runs.measured(conn, recipe, [1, 2, 3]) == set()
        assert set(runs.unmeasured(conn, recipe)) == {1, 2, 3}
        assert runs.catalog_paths(conn, recipe, [1, 2]) == []
        again = measure(conn, [1, 2], sigma=3)
        assert again > 2
        assert current(conn) == {1: again, 2: again, 3: 1}

    def test_lists_of_targets_are_kept_apart(self, conn):
        one = measure(conn, [1], targets="a", radius=1)
        two = measure(conn, [1], targets="b", radius=2)
        withdraw_run(conn, two)
        found = conn.execute(sa.text("SELECT targets, run_id FROM current_run WHERE frame_id = 1 ORDER BY targets")).all()
        assert found == [("", 2), ("a", one)]

    @pytest.mark.parametrize("function", [withdraw_run, restore_run])
    def test_a_run_that_there_is_not(self, conn, function):
        with pytest.raises(InputError, match="run_id 99: there is no such run; `ezarchive runs` lists the runs"):
            function(conn, 99)


class TestRestore:
    @pytest.mark.parametrize("number", [1, 2])
    def test_all_is_as_it_was(self, conn, number):
        before = current(conn)
        gone = withdraw_run(conn, number)
        assert restore_run(conn, number) == gone
        assert current(conn) == before
        assert all(row["withdrawn"] is None for row in runs.list_runs(conn))

    def test_the_order_does_not_matter(self, conn):
        before = current(conn)
        for number in (1, 2):
            withdraw_run(conn, number)
        for number in (2, 1):
            restore_run(conn, number)
        assert current(conn) == before

    def test_of_a_run_that_counts_it_changes_nothing(self, conn):
        before = current(conn)
        assert restore_run(conn, 1) == Withdrawal()
        assert current(conn) == before

    def test_a_pin_stays(self, conn):
        withdraw_run(conn, 2)
        runs.pin_run(conn, 1, [1])
        assert restore_run(conn, 2) == Withdrawal(1, 1, 0)
        assert current(conn) == {1: 1, 2: 2, 3: 1}


class TestZeroPoints:
    def test_those_of_the_run_before_count_again(self, conn):
        calibrate(conn, [1, 2, 3], [1, 2, 3], 25.0, step=1)
        second = calibrate(conn, [1, 2], [1, 2], 26.0, step=2)
        assert values(conn) == {1: 26.0, 2: 26.0, 3: 25.0}
        assert withdraw_run(conn, second) == Withdrawal(0, 0, 2)
        assert values(conn) == {1: 25.0, 2: 25.0, 3: 25.0}
        assert zeropoints.zero_points_table(conn)["value"].to_pylist() == [25.0] * 3
        assert restore_run(conn, second) == Withdrawal(0, 0, 2)
        assert values(conn) == {1: 26.0, 2: 26.0, 3: 25.0}

    def test_those_made_of_its_catalogs_count_no_more(self, conn):
        calibrate(conn, [1, 2, 3], [1, 2, 3], 25.0, step=1)
        calibrate(conn, [1, 2], [4, 5], 26.0, step=2)
        assert withdraw_run(conn, 2) == Withdrawal(2, 2, 2)
        assert values(conn) == {1: 25.0, 2: 25.0, 3: 25.0}
        withdraw_run(conn, 1)
        assert values(conn) == {}

    def test_the_depth_of_a_catalog_is_that_of_one_that_counts(self, conn):
        run = calibrate(conn, [3], [3], 25.5, step=1)
        depths = dict.fromkeys((1, 2), 20.0)
        assert {row.frame_id: row.depth for row in queries.catalogs(conn)} == {**depths, 3: 20.5}
        withdraw_run(conn, run)
        assert {row.frame_id: row.depth for row in queries.catalogs(conn)} == {**depths, 3: 20.0}

    def test_its_frames_are_to_be_calibrated_anew(self, conn):
        run = calibrate(conn, [3], [3], 25.5, step=1)
        recipe = runs.get_recipe(conn, "calibrate", {"step": 1}, [])
        assert zeropoints.calibrated(conn, recipe, [1, 2, 3]) == {3}
        assert zeropoints.uncalibrated(conn, recipe, "sex") == ([1, 2], 3)
        withdraw_run(conn, run)
        assert zeropoints.calibrated(conn, recipe, [1, 2, 3]) == set()
        assert zeropoints.uncalibrated(conn, recipe, "sex") == ([1, 2, 3], 3)
