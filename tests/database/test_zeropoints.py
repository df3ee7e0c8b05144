"""Zero points in the database: which of them count."""

from __future__ import annotations

import pytest

from ezarchive.database import queries, runs, zeropoints
from ezarchive.database.zeropoints import NewZeroPoint
from ezarchive.frames.record import Frame
from ezarchive.magnitudes import ZeroPoint

NAN = float("nan")


@pytest.fixture
def conn(world):
    """A transaction in an archive of three frames; each has a catalog of `sex` (run 1), the first one of `photutils` (run 2) too."""
    world.add(Frame(), Frame(), Frame())
    with world.database.begin() as conn:
        for method, frame_ids in (("sex", (1, 2, 3)), ("photutils", (1,))):
            run = runs.open_run(conn, runs.get_recipe(conn, method, {}, []), {}).run_id
            for frame_id in frame_ids:
                runs.add_catalog(
                    conn, frame_id, run, method=method, path=f"{run}/{frame_id}.parquet", n_rows=1, sha256="a", apertures=[5.0]
                )
        yield conn


def new_run(conn, **parameters) -> int:
    recipe = runs.get_recipe(conn, "calibrate", parameters, [])
    run = runs.open_run(conn, recipe, {}).run_id
    runs.close_run(conn, run)
    return run


def row(frame_id: int, run_id: int, measure: str = "AUTO", aperture: float | None = None, **facts) -> NewZeroPoint:
    values = {"catalog_id": frame_id, "method": "sex", "value": 25.0, "error": 0.01, "scatter": 0.05, "n_stars": 30}
    values |= {"system": "AB", "ab_offset": 0.0}
    return NewZeroPoint(frame_id=frame_id, run_id=run_id, measure=measure, aperture=aperture, **{**values, **facts})


def values(conn, frame_id: int, **options) -> list[tuple]:
    found = zeropoints.of_frames(conn, [frame_id], **options).get(frame_id, [])
    return [(zero_point.measure, zero_point.aperture, zero_point.value) for zero_point in found]


def test_what_was_stored_comes_back(conn):
    run = new_run(conn)
    zeropoints.add_zero_points(conn, [row(1, run), row(1, run, "APER", 5.0, value=24.5, system="Vega", ab_offset=None)])
    assert zeropoints.of_frames(conn, [1, 2]) == {
        1: [ZeroPoint("AUTO", None, 25.0, 0.01, "AB", 0.0), ZeroPoint("APER", 5.0, 24.5, 0.01, "Vega", None)]
    }


def test_the_newest_run_counts_frame_by_frame(conn):
    one, two = new_run(conn, a=1), new_run(conn, a=2)
    zeropoints.add_zero_points(conn, [row(1, two, value=26.0), row(3, two, value=26.0)])
    zeropoints.add_zero_points(conn, [row(1, one), row(2, one), row(1, one, "APER", 5.0)])
    assert values(conn, 1) == [("AUTO", None, 26.0)]
    assert values(conn, 2) == [("AUTO", None, 25.0)]
    table = zeropoints.zero_points_table(conn)
    assert table["frame_id"].to_pylist() == [1, 2, 3]
    assert table["value"].to_pylist() == [26.0, 25.0, 26.0]
    assert table.column_names == list(zeropoints.ZERO_POINT_FIELDS)
    assert zeropoints.zero_points_table(conn, frame_ids=[2])["run_id"].to_pylist() == [one]
    assert len(zeropoints.zero_points_table(conn, frame_ids=[])) == 0


def test_twice_is_once(conn):
    run = new_run(conn)
    zeropoints.add_zero_points(conn, [row(1, run), row(2, run), row(1, run, "APER", 5.0)])
    zeropoints.add_zero_points(conn, [row(1, run, value=24.0)])
    assert values(conn, 1) == [("AUTO", None, 24.0)]
    assert values(conn, 2) == [("AUTO", None, 25.0)]


def test_methods_do_not_displace_each_other_and_auto_is_of_its_own(conn):
    one, two = new_run(conn, a=1), new_run(conn, a=2)
    aperture = {"measure": "APER", "aperture": 5.0}
    zeropoints.add_zero_points(conn, [row(1, one), row(1, one, **aperture)])
    other = {"method": "photutils", "catalog_id": 4}
    zeropoints.add_zero_points(conn, [row(1, two, value=26.0, **other), row(1, two, value=26.5, **aperture, **other)])
    assert values(conn, 1, method="sex") == [("AUTO", None, 25.0), ("APER", 5.0, 25.0), ("APER", 5.0, 26.5)]
    assert values(conn, 1, method="photutils") == [("AUTO", None, 26.0), ("APER", 5.0, 26.5), ("APER", 5.0, 25.0)]
    assert values(conn, 1, method="elliptical")[0] == ("AUTO", None, 26.0)
    assert len(values(conn, 1)) == 4


def test_what_is_calibrated_is_judged_by_recipe_and_catalog(conn):
    one, two = new_run(conn, a=1), new_run(conn, a=2)
    zeropoints.add_zero_points(conn, [row(1, one), row(2, two)])
    recipe = runs.get_recipe(conn, "calibrate", {"a": 1}, [])
    assert zeropoints.calibrated(conn, recipe, [1, 2, 3, 4]) == {1}
    assert zeropoints.calibrated(conn, recipe, []) == set()


def test_what_is_left_is_what_counts_now_and_lacks_the_recipe(conn):
    one = new_run(conn, a=1)
    zeropoints.add_zero_points(conn, [row(1, one), row(2, one)])
    recipe = runs.get_recipe(conn, "calibrate", {"a": 1}, [])
    assert zeropoints.uncalibrated(conn, recipe, "sex") == ([3], 3)
    assert zeropoints.uncalibrated(conn, recipe, "photutils") == ([1], 1)
    assert zeropoints.uncalibrated(conn, runs.get_recipe(conn, "calibrate", {"a": 2}, []), "sex") == ([1, 2, 3], 3)
    newer = runs.open_run(conn, runs.get_recipe(conn, "sex", {"again": 1}, []), {}).run_id
    runs.add_catalog(conn, 2, newer, method="sex", path="new.parquet", n_rows=1, sha256="a", apertures=[5.0])
    assert zeropoints.uncalibrated(conn, recipe, "sex") == ([2, 3], 3)
    conn.exec_driver_sql("DELETE FROM frame_file WHERE frame_id = 3")
    assert zeropoints.uncalibrated(conn, recipe, "sex") == ([2], 2)


def test_the_depth_of_a_catalog_is_that_of_its_own_newest_zero_point(conn):
    one, two = new_run(conn, a=1), new_run(conn, a=2)
    aperture = {"measure": "APER", "aperture": 5.0}
    conn.exec_driver_sql("UPDATE catalog SET depth = 17.0, depth_aperture = 5.02 WHERE frame_id < 3")
    zeropoints.add_zero_points(conn, [row(1, two, depth=19.0, **aperture), row(2, one, "APER", 7.0, depth=20.0), row(2, one, depth=21.0)])
    zeropoints.add_zero_points(conn, [row(1, one, depth=18.0, **aperture)])
    wanted = {(1, "sex"): 19.0, (1, "photutils"): 17.0, (2, "sex"): 17.0, (3, "sex"): None}
    assert {(found.frame_id, found.method): found.depth for found in queries.catalogs(conn)} == wanted
    table = queries.catalogs_table(conn, frame_ids=[1, 2, 3])
    names = ("frame_id", "method", "depth")
    assert {(a, b): c for a, b, c in zip(*(table[name].to_pylist() for name in names), strict=True)} == wanted


def test_details_and_numbers_that_are_none(conn):
    run = new_run(conn, snr=20)
    facts = {"n_matched": 40, "spatial": None}
    zeropoints.add_zero_points(conn, [row(1, run, error=NAN, depth=float("inf"), colour_term=0.03, details=facts)])
    (found,) = zeropoints.details(conn, run, 1)
    assert (found["error"], found["depth"], found["colour_term"], found["details"]) == (None, None, 0.03, facts)
    assert zeropoints.of_frames(conn, [1])[1][0].error != zeropoints.of_frames(conn, [1])[1][0].error  # NaN
    assert zeropoints.recipe_of(conn, run) == {"snr": 20}
    assert zeropoints.recipe_of(conn, 1) is None


def test_frames_that_were_replaced_have_no_rows_in_the_table(world, conn):
    run = new_run(conn)
    zeropoints.add_zero_points(conn, [row(1, run), row(2, run)])
    conn.exec_driver_sql("DELETE FROM frame_file WHERE frame_id = 1")
    assert zeropoints.zero_points_table(conn)["frame_id"].to_pylist() == [2]
