"""SQL over the light-curve store: the same rows as without it, from the files that can matter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from stores import LONELY, OBJECTS, OLD, STARS, engine, fill, store

from ezarchive.catalogs import stored as stored_module
from ezarchive.errors import SQLError, StoreError
from ezarchive.store.ids import Range

A, B, C, D = OBJECTS.values()
NAMES = 'frame_id, run_id, catalog_id, "row", telname, filter, mjd_mid, exptime, ra, dec, aperture_arcsec, flags, kind, night, target_id'
FLOATS = "flux, flux_err, mag_inst, mag_inst_err, mag, mag_err, flux_ujy, mag_limit, snr, zero_point, flux_limit"


def rows(asked: Any, sql: str, *args: Any, **options: Any) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in asked.query(sql, *args, **options)]


def test_the_store_and_the_files_give_the_same_rows(archive: Any) -> None:
    fill(archive)
    stored = store(archive)
    with archive.engine() as plain, engine(archive, stored) as asked:
        order = 'ORDER BY frame_id, "row"'
        assert rows(asked, f"SELECT {NAMES} FROM light_curve {order}") == rows(plain, f"SELECT {NAMES} FROM light_curve {order}")
        new, old = (each.query(f"SELECT {FLOATS} FROM light_curve {order}").to_pandas() for each in (asked, plain))
        np.testing.assert_allclose(new.astype(float), old.astype(float), rtol=2e-7, atol=1e-6)
        assert asked.query("SELECT * FROM light_curve").to_arrow().schema == plain.query("SELECT * FROM light_curve").to_arrow().schema
        ids = rows(asked, "SELECT object_id, count(*) FROM light_curve GROUP BY 1 ORDER BY 1 NULLS LAST")
        assert ids == [*((number, 5) for number in sorted(OBJECTS.values())), (None, 2 + 4)]


@pytest.mark.parametrize(
    ("where", "n"),
    [
        (f"object_id = {A}", 5),
        (f"{A} = object_id AND filter = 'r'", 3),
        (f"object_id IN ({A}, {D}, NULL)", 10),
        (f"object_id IN ({A}, {D}) AND object_id = {D}", 5),
        (f"object_id = {A}.0", 5),
        ("object_id = NULL", 0),
        ("object_id = -5", 0),
        (f"object_id = {A} OR flux > 0", 26),
        ("object_id IS NULL", 6),
        ("angular_separation(ra, dec, 10.0, 20.0) < 2 / 3600.0", 6),
        ("3600 * angular_separation(10.0, 20.0, ra, dec) <= 2", 6),
        ("angular_separation(ra, dec, 0, 0) * 3600 < 2", 6),
        ("angular_separation(ra, dec, 370.0, 20.0) < 1", 13),
        ("angular_separation(ra, dec, 10.0, 95.0) < 1", 0),
        ("frame_id = 2", 5),
        ("frame_id = 6", 4),
        ("night = '2025-01-01' AND object_id IS NOT NULL", 4),
        ("ra IS NULL", 1),
    ],
)
def test_what_is_left_out_changes_no_row(archive: Any, where: str, n: int) -> None:
    fill(archive)
    with engine(archive, store(archive)) as asked:
        if "95.0" in where:
            assert rows(asked, f"SELECT * FROM light_curve WHERE {where}") == []
            return
        assert len(asked.query(f'SELECT frame_id, "row", object_id FROM light_curve WHERE {where}')) == n
        # The same through a view of which nothing can be left out.
        query = f'WITH x AS (SELECT * FROM light_curve) SELECT frame_id, "row", object_id FROM x WHERE {where}'
        assert len(asked.query(query)) == n


def test_only_the_leaves_of_the_objects_are_opened(archive: Any) -> None:
    fill(archive)
    stored = store(archive)
    with engine(archive, stored) as asked:
        opened = "SELECT len(getvariable('_store_light_curve'))"

        def files(sql: str, *args: Any) -> int:
            asked.query(sql, *args)
            return asked._connection.execute(opened).fetchall()[0][0]

        everywhere = files("SELECT * FROM light_curve")
        assert everywhere == 2
        for sql in (
            f"SELECT * FROM light_curve WHERE object_id = {A}",
            f"SELECT * FROM light_curve l WHERE l.object_id IN ({A}, {B})",
            "SELECT * FROM light_curve WHERE angular_separation(ra, dec, 10, 20) < 0.01",
            "SELECT l.* FROM light_curve l JOIN cone(10, 20, 20) c USING (object_id)",
            "SELECT l.* FROM cone(10, 20, 20) c JOIN light_curve l ON c.object_id = l.object_id",
            "SELECT l.* FROM light_curve l, cone(10, 20, 20) c WHERE c.object_id = l.object_id",
            "SELECT l.* FROM light_curve l JOIN frames f USING (frame_id) JOIN cone(10, 20, 20) c USING (object_id)",
            "SELECT * FROM light_curve WHERE object_id IN (SELECT object_id FROM objects WHERE dec > 10)",
            "SELECT l.* FROM light_curve l JOIN objects o USING (object_id) WHERE o.dec > 10",
            "SELECT l.* FROM light_curve l JOIN (SELECT * FROM objects ORDER BY dec DESC LIMIT 2) USING (object_id)",
            "WITH top AS (SELECT * FROM objects WHERE dec > 10) SELECT l.* FROM top JOIN light_curve l USING (object_id)",
            "SELECT * FROM lc($1)",
        ):
            args = [[A]] if "$1" in sql else []
            assert files(sql, *args) == 1, sql
            n = len(asked.query(sql, *args))
            assert n in (5, 10, 12), sql
        assert files("SELECT * FROM light_curve l JOIN cone(10, 20, 5) c ON l.frame_id = c.n_det") == everywhere
        assert files("SELECT * FROM light_curve l JOIN objects o USING (object_id) WHERE o.dec > 10 OR l.flux > 0") == everywhere


def test_cones_of_objects(archive: Any) -> None:
    fill(archive)
    with engine(archive, store(archive)) as asked:
        found = rows(asked, "SELECT object_id, round(separation, 3) FROM cone(10.0, 20.0, 20)")
        assert found == [(A, 0.0), (B, pytest.approx(0.003 * 3600 * np.cos(np.radians(20)), abs=0.01))]
        assert rows(asked, "SELECT object_id FROM cone(?, ?, ?)", [360.0, 0.0, 1.0]) == [(C,)]
        assert rows(asked, "SELECT object_id FROM cone($ra, dec := $dec, radius_arcsec := 1)", {"ra": 200, "dec": -60}) == [(D,)]
        assert rows(asked, "SELECT c.object_id FROM cone(10 + 0, -(-20), 1) AS c") == [(A,)]
        assert rows(asked, "SELECT count(*) FROM cone(10, 20, 648000)") == [(4,)]
        assert rows(asked, "SELECT a.object_id FROM cone(10, 20, 1) a JOIN cone(10, 20, 9) b USING (object_id)") == [(A,)]
        assert "EXPLAIN" not in str(asked.query("EXPLAIN SELECT * FROM cone(10, 20, 1)"))
        assert len(asked.query("SELECT * FROM objects WHERE angular_separation(ra, dec, 10, 20) < 0.001")) == 1
        assert len(asked.query("SELECT * FROM object_filters WHERE object_id = ?", [A])) == 2


def test_old_ids_are_followed(archive: Any) -> None:
    fill(archive)
    with engine(archive, store(archive, old_of_b=True)) as asked:
        assert len(asked.query(f"SELECT * FROM light_curve WHERE object_id = {B}")) == 5
        assert {row[0] for row in rows(asked, "SELECT DISTINCT object_id FROM light_curve")} == {*OBJECTS.values(), None}
        assert len(asked.query("SELECT * FROM lc(?)", [OLD])) == 5
        assert rows(asked, "SELECT * FROM aliases") == [(OLD, B)]
        assert rows(asked, "SELECT * FROM ambiguous") == [(A, B, 10.1)]


def test_catalogs_that_count_no_more_are_left_out(archive: Any) -> None:
    fill(archive)
    with engine(archive, store(archive, left_out=(100, 101))) as asked:
        assert rows(asked, "SELECT DISTINCT catalog_id FROM light_curve ORDER BY 1") == [(102,), (103,), (104,), (105,)]
        assert len(asked.query(f"SELECT * FROM light_curve WHERE object_id = {A}")) == 3


def test_new_zero_points_count_before_the_store_has_them(archive: Any) -> None:
    fill(archive)
    stored = store(archive)
    archive.zero_points[0]["value"] += 1.0
    waiting = pa.table({"catalog_id": [100, 105], "frame_id": [1, 6]})
    with engine(archive, stored._replace(pending=waiting, left_out=pa.array([100]))) as asked:
        found = rows(asked, f"SELECT frame_id, round(mag, 3) FROM light_curve WHERE object_id = {A} ORDER BY frame_id")
        assert found[0] == (1, 16.0)
        assert [row[0] for row in found] == [1, 2, 3, 4, 5]
        assert len(asked.query("SELECT * FROM light_curve")) == 26
        assert rows(asked, "SELECT count(*) FROM light_curve WHERE object_id IS NULL") == [(6,)]


@pytest.mark.parametrize("options", [{"aperture": 7.0}, {"from_store": False}])
def test_rows_of_other_apertures_and_runs_know_their_objects(archive: Any, options: Any) -> None:
    fill(archive)
    with engine(archive, store(archive, old_of_b=True), **options) as asked:
        counted = rows(asked, "SELECT object_id, count(*) FROM light_curve GROUP BY 1 ORDER BY 1 NULLS LAST")
        assert counted == [*((number, 5) for number in sorted(OBJECTS.values())), (None, 6)]
        assert len(asked.query(f"SELECT flux FROM light_curve WHERE object_id = {B}")) == 5
        assert rows(asked, "SELECT DISTINCT aperture_arcsec FROM light_curve") == [(options.get("aperture", 5.0),)]
        assert len(asked.query("SELECT flux FROM light_curve")) == 26


def test_a_light_curve_alone_is_as_in_a_larger_query(archive: Any) -> None:
    fill(archive)
    with engine(archive, store(archive, old_of_b=True)) as asked:
        for listed in (
            "*",
            "mag",
            'mjd_mid, "filter", mag_err',
            "mag, mag",
            "MAG",
            "mag AS m",
            "l.mag",
            "mag + 0 AS mag",
            "count(*)",
            "lc",
        ):
            for alias in ("", " AS l", " AS mag"):
                sql = f"SELECT {listed} FROM lc(?){alias}"
                for number in (A, B, OLD, 5):
                    assert same(asked, sql, f"{sql} WHERE true", [number]), (sql, number)


@pytest.mark.parametrize("radius", [0, 5, 60, 61, 648000])
def test_a_cone_alone_is_as_in_a_larger_query(archive: Any, radius: float) -> None:
    fill(archive)
    with engine(archive, store(archive)) as asked:
        for listed in ("*", "object_id, separation", "separation", "ra, ra", "* EXCLUDE (ra)", "c.*", "DISTINCT n_det"):
            sql = f"SELECT {listed} FROM cone(10, 20, ?) AS c"
            assert same(asked, sql, f"{sql} WHERE true", [radius]), sql
        found = rows(asked, "SELECT separation, object_id FROM cone(10, 20, ?)", [radius])
        assert found == sorted(found)
        assert len(found) == {0: 0, 5: 1, 60: 2, 61: 2, 648000: 4}[radius]


def same(asked: Any, sql: str, other: str, args: list[Any]) -> bool:
    """Tell whether two queries give equal rows, or are refused for the same reason."""
    answers = []
    for query in (sql, other):
        try:
            table = asked.query(query, args).to_arrow()
            answers.append((table.schema, sorted(table.to_pylist(), key=str) if "DISTINCT" in sql else table.to_pylist()))
        except SQLError as err:
            answers.append((None, str(err)))
    return answers[0] == answers[1]


@pytest.mark.parametrize("old_of_b", [False, True])
def test_an_id_in_the_query_finds_the_same_rows_as_without_pruning(archive: Any, old_of_b: bool) -> None:
    fill(archive)
    with engine(archive, store(archive, old_of_b=old_of_b)) as asked:
        for view in ("objects", "object_filters", "light_curve"):
            names = "*" if view != "light_curve" else f"{NAMES}, object_id"
            for value in (A, B, OLD, float(A), str(A), None, 5, True):
                for where in ("object_id = ?", "? = object_id", "object_id = ? AND object_id = object_id"):
                    pruned = rows(asked, f"SELECT {names} FROM {view} WHERE {where}", [value])
                    everything = rows(asked, f"WITH x AS (SELECT * FROM {view}) SELECT {names} FROM x WHERE {where}", [value])
                    assert sorted(pruned, key=str) == sorted(everything, key=str), (view, value, where)


def test_without_a_store_there_are_no_objects(archive: Any) -> None:
    fill(archive)
    with archive.engine() as asked:
        for sql in ("SELECT * FROM objects", "SELECT * FROM cone(10, 20, 5)", "SELECT * FROM object_filters"):
            found = asked.query(sql)
            assert len(found) == 0
            assert found.notes == ("(there are no objects yet: `ezarchive associate` makes them)",)
        assert len(asked.query(f"SELECT * FROM lc({A})")) == 0
        assert len(asked.query(f"SELECT * FROM light_curve WHERE object_id = {A}")) == 0
        assert len(asked.query("SELECT * FROM ambiguous, aliases")) == 0


def test_limits_are_asked_for_by_place_and_frames_seen(archive: Any) -> None:
    fill(archive)
    asked_for = []

    def limits(ra: float, dec: float, seen: Any, aperture: float) -> pa.Table:
        asked_for.append((ra, dec, sorted(seen), aperture))
        with archive.engine() as plain:
            return plain.query("SELECT * FROM light_curve LIMIT 2").to_arrow()

    with engine(archive, store(archive), limits_of=limits) as asked:
        assert rows(asked, f"SELECT object_id FROM upper_limits({D})") == [(D,), (D,)]
        assert asked_for == [(pytest.approx(200), pytest.approx(-60), [1, 2, 3, 4, 5], 5.0)]
        assert len(asked.query("SELECT * FROM upper_limits(17)")) == 0
    with engine(archive, store(archive)) as asked, pytest.raises(SQLError, match=r"upper_limits\(\) needs an archive"):
        asked.query(f"SELECT * FROM upper_limits({D})")


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT * FROM cone(10, 20)", r"cone\(ra, dec, radius_arcsec\): radius_arcsec is missing"),
        ("SELECT * FROM cone(10, 20, 1, 2)", "has an argument too many"),
        ("SELECT * FROM cone(10, 20, rad := 1)", "has an argument too many"),
        ("SELECT * FROM cone(10, 100, 1)", "dec must be a number from -90 to 90 degrees, found 100"),
        ("SELECT * FROM cone('x', 20, 1)", "ra must be a number of degrees, finite, found 'x'"),
        ("SELECT * FROM cone(10, 20, -1)", "radius_arcsec must be a number from 0"),
        ("SELECT * FROM cone(10, 20, NULL)", "radius_arcsec must be a number"),
        ("SELECT * FROM cone(10, 20, 'inf'::DOUBLE)", "radius_arcsec must be a number"),
        ("SELECT * FROM lc('x')", "object_id must be a whole number of 64 bits, found 'x'"),
        ("SELECT * FROM lc(9223372036854775808)", "object_id must be a whole number of 64 bits, found 9223372036854775808"),
        ("SELECT * FROM lc(1e300)", "object_id must be a whole number of 64 bits, found 1e\\+300"),
        ("SELECT * FROM lc(6356382937519001314.0)", "object_id must be a whole number of 64 bits, found 6.35638"),
        ("SELECT * FROM lc(1.5)", "object_id must be a whole number of 64 bits, found 1.5"),
        ("SELECT * FROM objects o, lc(o.object_id)", "must be a constant or a parameter; for many objects join light_curve"),
        ("SELECT * FROM lc((SELECT max(object_id) FROM objects))", "must be a constant or a parameter"),
        ("SELECT * FROM cone(random(), 1, 1)", "must be a constant or a parameter"),
        ("SELECT * FROM cone(?, 1, 1)", "[Pp]arameter"),
        ("SELECT * FROM lc((SELECT 1 FROM read_text('/etc/passwd')))", "read_text.*refused"),
        ("SELECT * FROM cone(10, 20, length(getenv('HOME')))", "getenv.*refused"),
        ("SELECT lc(5)", "lc does not exist"),
        ("SELECT * FROM _asked_0", "table '_asked_0'"),
        ("SELECT * FROM temp.main._left_out", "table '_left_out'"),
    ],
)
def test_wrong_arguments_are_named(archive: Any, sql: str, message: str) -> None:
    fill(archive)
    with engine(archive, store(archive)) as asked, pytest.raises(SQLError, match=message):
        asked.query(sql)


def test_a_torn_store_is_named(archive: Any) -> None:
    fill(archive)
    stored = store(archive)
    for path in stored.version.paths("light_curve"):
        path.write_bytes(path.read_bytes()[:-100])
    with engine(archive, stored) as asked, pytest.raises(StoreError, match="store.*cannot be read.*--rebuild"):
        asked.query("SELECT sum(flux) FROM light_curve")


def test_a_lonely_measurement_has_no_object(archive: Any) -> None:
    fill(archive)
    with engine(archive, store(archive)) as asked:
        ra, dec = LONELY
        sql = "SELECT frame_id, object_id FROM light_curve WHERE angular_separation(ra, dec, ?, ?) < 1e-4"
        assert rows(asked, sql, [ra, dec]) == [(1, None)]
        assert len(STARS) == len(asked.query("SELECT * FROM objects"))


@pytest.mark.parametrize("n", range(1, 9))
def test_a_few_ranges_hold_all_of_many(n):
    """Whatever many ranges hold, the few hold too; they part where the gaps are widest."""
    rng = np.random.default_rng(n)
    bounds = np.sort(rng.choice(10_000, 2 * n, replace=False)).tolist()
    ranges = [Range(low, high) for low, high in zip(bounds[::2], bounds[1::2], strict=True)]
    few = stored_module._few(ranges)
    assert len(few) == min(n, 4)
    assert all(any(low <= one.low and one.high <= high for low, high in few) for one in ranges)
    assert few[0][0] == ranges[0].low
    assert few[-1][1] == ranges[-1].high
    between = [low - high for (_, high), (low, _) in zip(few, few[1:], strict=False)]
    gaps = sorted((after.low - before.high for before, after in zip(ranges, ranges[1:], strict=False)), reverse=True)
    assert sorted(between, reverse=True) == gaps[: len(few) - 1]
