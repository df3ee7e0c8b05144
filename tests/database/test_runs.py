"""Recipes, runs, catalogs, and which of them light curves use."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from ezarchive.database import queries, runs
from ezarchive.errors import InputError
from ezarchive.frames.record import Frame

VERSIONS = {"ezarchive": "0.1.0", "sep": "1.4.1"}


def add(conn, frame_id, run_id, **facts):
    values = {
        "method": "sex",
        "path": f"catalogs/{run_id}/{frame_id}.parquet",
        "n_rows": 10,
        "sha256": "ab",
        "apertures": [5.0, None, 10.0],
    }
    return runs.add_catalog(conn, frame_id, run_id, **{**values, **facts})


@pytest.fixture
def conn(world):
    """A transaction in an archive of three frames."""
    world.add(Frame(), Frame(), Frame())
    with world.database.begin() as conn:
        yield conn


@pytest.fixture
def recipe(conn) -> int:
    return runs.get_recipe(conn, "sex", {"detection_sigma": 5}, [5.0, 7.0])


def new_run(conn, recipe, **versions) -> int:
    return runs.open_run(conn, recipe, VERSIONS | versions).run_id


class TestRecipe:
    def test_equal_recipes_are_one(self, conn, recipe):
        assert runs.get_recipe(conn, "sex", {"detection_sigma": 5}, (5.0, 7.0)) == recipe
        a = runs.get_recipe(conn, "sex", {"b": 1, "a": [1, 2], "c": None}, [])
        assert runs.get_recipe(conn, "sex", {"c": None, "a": (1, 2), "b": 1}, []) == a

    @pytest.mark.parametrize(
        ("method", "parameters", "apertures"),
        [
            ("forced", {"detection_sigma": 5}, [5.0, 7.0]),
            ("sex", {"detection_sigma": 3}, [5.0, 7.0]),
            ("sex", {"detection_sigma": 5}, [7.0, 5.0]),
        ],
    )
    def test_different_recipes_are_several(self, conn, recipe, method, parameters, apertures):
        assert runs.get_recipe(conn, method, parameters, apertures) != recipe

    @pytest.mark.parametrize("value", [float("nan"), {1, 2}, object()])
    def test_a_parameter_is_plain(self, conn, value):
        with pytest.raises(InputError, match="parameters .* must be numbers, texts, lists, mappings or None"):
            runs.get_recipe(conn, "sex", {"x": value}, [])


class TestRun:
    def test_an_unfinished_run_is_resumed_and_a_finished_one_is_not(self, conn, recipe):
        first = runs.open_run(conn, recipe, VERSIONS)
        assert not first.resumed
        assert runs.open_run(conn, recipe, dict(reversed(VERSIONS.items()))) == (first.run_id, True)
        runs.close_run(conn, first.run_id)
        assert runs.open_run(conn, recipe, VERSIONS) != (first.run_id, True)

    def test_a_run_of_other_versions_or_recipe_is_another(self, conn, recipe):
        first = new_run(conn, recipe)
        assert new_run(conn, recipe, sep="1.5.0") != first
        assert new_run(conn, runs.get_recipe(conn, "sex", {}, [])) != first
        assert new_run(conn, recipe) == first

    def test_the_list_shows_what_was_done(self, conn, recipe):
        one = new_run(conn, recipe)
        add(conn, 1, one)
        add(conn, 2, one, n_rows=5)
        runs.close_run(conn, one, {"n_failed": 3})
        two = new_run(conn, recipe)
        runs.pin_run(conn, one, [1])
        newest, oldest = runs.list_runs(conn)
        assert (newest["run_id"], newest["ended"], newest["counts"], newest["n_catalogs"]) == (two, None, None, 0)
        assert oldest["counts"] == {"n_failed": 3, "n_catalogs": 2, "n_sources": 15}
        assert (oldest["n_catalogs"], oldest["n_pinned"], oldest["versions"], oldest["method"]) == (2, 1, VERSIONS, "sex")
        assert (oldest["parameters"], oldest["apertures"]) == ({"detection_sigma": 5}, [5.0, 7.0])
        assert oldest["started"] <= oldest["ended"]


class TestRunWithout:
    def test_catalogs_of_several_frames_share_a_run_and_a_second_one_of_a_frame_begins_another(self, conn, recipe):
        first = runs.run_without(conn, recipe, VERSIONS, 1)
        add(conn, 1, first)
        assert runs.run_without(conn, recipe, VERSIONS, 2) == first
        add(conn, 2, first)
        second = runs.run_without(conn, recipe, VERSIONS, 1)
        assert second != first
        assert runs.run_without(conn, recipe, VERSIONS, 3) == second  # the newest one
        assert runs.run_without(conn, recipe, {**VERSIONS, "sep": "9"}, 3) not in (first, second)

    def test_a_batch_at_work_is_left_alone(self, conn, recipe):
        batch = new_run(conn, recipe)
        assert runs.run_without(conn, recipe, VERSIONS, 1) != batch
        assert runs.open_run(conn, recipe, VERSIONS) == (batch, True)


class TestCatalog:
    def test_measured_is_judged_by_recipe(self, conn, recipe):
        add(conn, 1, new_run(conn, recipe))
        add(conn, 2, new_run(conn, recipe, sep="9"))
        other = runs.get_recipe(conn, "sex", {}, [])
        add(conn, 3, new_run(conn, other))
        assert runs.measured(conn, recipe, [1, 2, 3, 99]) == {1, 2}
        assert runs.measured(conn, other, range(2500)) == {3}

    def test_twice_is_once(self, conn, recipe):
        run = new_run(conn, recipe)
        first = add(conn, 1, run)
        assert add(conn, 1, run, n_rows=11, seeing=2.5) == first
        (row,) = queries.catalogs(conn)
        assert (row.catalog_id, row.n_rows, row.seeing, row.apertures) == (first, 11, 2.5, (5.0, None, 10.0))

    def test_not_a_number_becomes_null(self, conn, recipe):
        nan = float("nan")
        add(conn, 1, new_run(conn, recipe), seeing=nan, depth=float("inf"), depth_aperture=nan, apertures=[nan, 5])
        (row,) = queries.catalogs(conn)
        assert row[7:] == (None, None, None, (None, 5.0))

    def test_can_be_asked_for_by_frame_run_and_method(self, conn, recipe):
        one, two = new_run(conn, recipe), new_run(conn, recipe, sep="2")
        old = [add(conn, frame_id, one) for frame_id in (1, 2)]
        new = [add(conn, frame_id, two) for frame_id in (2, 3)]
        forced = add(conn, 2, new_run(conn, runs.get_recipe(conn, "forced", {}, [])), method="forced")

        def ids(**conditions):
            return [row.catalog_id for row in queries.catalogs(conn, **conditions)]

        assert ids() == [old[0], new[0], forced, new[1]]
        assert ids(method="sex") == [old[0], *new]
        assert ids(run_id=one) == old
        assert ids(frame_ids=[2], method="sex") == new[:1]
        assert ids(frame_ids=[2], current=False) == [old[1], new[0], forced]
        assert ids(frame_ids=[]) == []


class TestCurrent:
    def current(self, conn):
        return {row.frame_id: row.run_id for row in queries.catalogs(conn, method="sex")}

    def test_the_newest_run_is_current_whatever_comes_late(self, conn, recipe):
        one, two = new_run(conn, recipe), new_run(conn, recipe, sep="2")
        add(conn, 1, two)
        add(conn, 1, one)
        assert self.current(conn) == {1: two}

    def test_a_pinned_run_stays_until_it_is_freed(self, conn, recipe):
        one, two, three = (new_run(conn, recipe, sep=str(number)) for number in range(3))
        for frame_id in (1, 2):
            add(conn, frame_id, one)
            add(conn, frame_id, two)
        assert runs.pin_run(conn, one, [1]) == 1
        for frame_id in (1, 2, 3):
            add(conn, frame_id, three)
        assert self.current(conn) == {1: one, 2: three, 3: three}
        assert runs.pin_run(conn, two) == 2
        assert self.current(conn) == {1: two, 2: two, 3: three}
        assert runs.unpin(conn, "sex", [2, 3]) == 1
        assert self.current(conn) == {1: two, 2: three, 3: three}
        assert runs.unpin(conn, "sex") == 1
        assert self.current(conn) == {1: three, 2: three, 3: three}
        assert conn.execute(sa.text("SELECT count(*) FROM current_run WHERE pinned")).scalar() == 0

    def test_every_list_of_targets_has_a_current_catalog_of_its_own(self, conn):
        recipes = [runs.get_recipe(conn, "circular", {"targets": name}, [5.0]) for name in ("a", "b")]
        ids = {}
        for number, (recipe, targets) in enumerate(zip([*recipes, recipes[0]], ["a", "b", "a"], strict=True)):
            run = new_run(conn, recipe, sep=str(number))
            ids[number] = run, add(conn, 1, run, method="circular", targets=targets)
        assert [row.catalog_id for row in queries.catalogs(conn)] == [ids[1][1], ids[2][1]]
        runs.pin_run(conn, ids[0][0])
        assert [row.catalog_id for row in queries.catalogs(conn, method="circular")] == [ids[0][1], ids[1][1]]
        assert runs.unpin(conn, "circular") == 1
        assert [row.catalog_id for row in queries.catalogs(conn)] == [ids[1][1], ids[2][1]]

    def test_many_are_recorded_at_once(self, world):
        ids = world.add(*(Frame() for _ in range(1100)))
        with world.database.begin() as conn:
            old, new = (new_run(conn, runs.get_recipe(conn, "sex", {}, []), sep=str(number)) for number in range(2))
            rows = [runs.NewCatalog(frame_id, new, "sex", f"{frame_id}.parquet", 7, "ab", apertures=(5.0,)) for frame_id in ids]
            runs.add_catalogs(conn, rows)
            runs.add_catalogs(conn, [row._replace(run_id=old, seeing=float("nan")) for row in rows[:3]])
            runs.add_catalogs(conn, [])
            assert {(row.run_id, row.n_rows, row.apertures) for row in queries.catalogs(conn)} == {(new, 7, (5.0,))}
            assert [row.seeing for row in queries.catalogs(conn, run_id=old)] == [None] * 3

    def test_a_run_without_catalogs_cannot_be_pinned(self, conn, recipe):
        with pytest.raises(InputError, match=r"run_id 77: has no catalogs; `ezarchive runs` lists the runs"):
            runs.pin_run(conn, 77)


def test_products_are_written_again_by_their_path(world):
    world.add(Frame(), Frame())
    with world.database.begin() as conn:
        first = runs.add_product(conn, 1, "mesh", "maps/1/a.npz", size=10)
        same = {"kind": "mesh", "run_id": None, "size": 7, "sha256": "ab"}
        rows = [{"frame_id": number, "path": f"maps/1/{name}.npz", **same} for number, name in ((1, "a"), (2, "b"))]
        runs.add_products(conn, rows)
        runs.add_products(conn, [])
        found = queries.products(conn, [1, 2])
        assert [(row.frame_id, row.path, row.sha256) for row in found] == [(1, "maps/1/a.npz", "ab"), (2, "maps/1/b.npz", "ab")]
        assert found[0].product_id == first
