"""Which catalogs a query opens."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ezarchive.catalogs.sql import Engine
from ezarchive.errors import CatalogError

RA, DEC = 325.66, -77.3


def _opened(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Record how many catalogs each view is bound to."""
    seen: list[int] = []
    text = engine._binder._measured.text

    def record(view: str, links: Any, **options: Any) -> str:
        seen.append(len(links))
        return text(view, links, **options)

    monkeypatch.setattr(engine._binder._measured, "text", record)
    return seen


FIELDS = {
    "filter = 'r'": 3,
    "filter IN ('r', 'i')": 3,
    "lower(filter) LIKE 'R%' OR filter ~~ 'r%'": 3,
    "frame_id = 2": 1,
    "2 = frame_id AND flux > 0": 1,
    "mjd_mid BETWEEN 60001 AND 60003.5": 3,
    "mjd_mid > 60003 AND filter = 'r'": 1,
    "exptime IS NULL": 0,
    "NOT filter = 'r'": 3,
    "catalog_id IN (100, 105)": 2,
    "angular_separation(ra, dec, 10.0, 20.0) < 0.5": 1,
    "angular_separation(10.0 + 0, 20.0, ra, dec) <= 2 / 4.0": 1,
    "angular_separation(ra, dec, 10.0, 20.0) < 0.5 AND filter = 'r'": 0,
    "angular_separation(ra, dec, 10.0, ra) < 0.5": 6,
    "flux > 3": 6,
    "filter = 'r' OR flux > 3": 6,
    "frame_id IN (SELECT frame_id FROM frames WHERE filter = 'r')": 6,
    "random() < 2": 6,
    "filter = telname": 0,
}


@pytest.mark.parametrize("where", FIELDS)
def test_pruning_opens_what_is_needed_and_changes_no_row(archive: Any, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    for n in range(6):
        ra, dec = (10.0, 20.0) if n == 5 else (RA, DEC)
        frame = {"filter": "rg"[n % 2], "telname": "7DT01", "mjd_mid": 60000.0 + n, "exptime": 1.0, "ra": ra, "dec": dec, "radius": 0.2}
        archive.add(frame, {5.0: np.array([float(n), 10.0])}, ra=np.full(2, ra), dec=np.full(2, dec))
    sql = f'SELECT frame_id, "row", flux FROM light_curve WHERE {where} ORDER BY 1, 2'
    with archive.engine() as engine:
        seen = _opened(engine, monkeypatch)
        pruned = list(engine.query(sql))
        assert seen == [FIELDS[where]]
        monkeypatch.setattr("ezarchive.catalogs.prune.needed", lambda *args: None)
        assert pruned == list(engine.query(sql))


TARGETS = {
    "target_id = 'X'": 2,
    "'X' = m.target_id AND frame_id = 1": 1,
    "target_id IN ('X', 'Y')": 2,
    "target_id = ? AND FLUX_APER > 0": 2,
    "target_id <> 'X'": 4,
    "target_id NOT IN ('X')": 4,
    "target_id IS NULL": 4,
    "target_id = 'X' OR frame_id = 2": 4,
    "coalesce(target_id, 'X') = 'X'": 4,
    "NOT target_id = 'X'": 4,
}


@pytest.mark.parametrize("where", TARGETS)
def test_a_target_is_looked_for_in_forced_catalogs_alone(archive: Any, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    for n in range(2):
        archive.add({"exptime": 1.0}, {5.0: np.array([float(n), 10.0])})
        archive.add({"frame_id": n + 1}, {5.0: np.array([3.0, 4.0])}, method="circular", run_id=2, targets=["X", "Y"])
    sql = f'SELECT frame_id, run_id, "row" FROM measurements m WHERE {where} ORDER BY ALL'
    parameters = ["X"] if "?" in where else None
    with archive.engine() as engine:
        seen = _opened(engine, monkeypatch)
        pruned = list(engine.query(sql, parameters))
        assert seen == [TARGETS[where]]
        monkeypatch.setattr("ezarchive.catalogs.prune.needed", lambda *args: None)
        assert pruned == list(engine.query(sql, parameters))


JOINS = {
    "SELECT lc.flux FROM light_curve lc JOIN frames f USING (frame_id) WHERE f.objname = 'T2'": 1,
    "SELECT flux FROM light_curve JOIN frames USING (frame_id) WHERE objname = 'T2' AND frames.night = 'n2'": 1,
    "SELECT lc.flux FROM light_curve lc JOIN frames f ON lc.frame_id = f.frame_id AND f.quality = 0 WHERE f.objname = 'T2'": 1,
    "SELECT lc.flux FROM light_curve lc, frames f WHERE f.objname = 'T2' AND lc.frame_id = f.frame_id": 4,
    "SELECT lc.flux FROM light_curve lc JOIN frames f ON lc.frame_id = f.frame_id + 1 WHERE f.objname = 'T2'": 4,
    "SELECT lc.flux FROM frames f LEFT JOIN light_curve lc ON lc.frame_id = f.frame_id AND lc.filter = 'g' WHERE f.objname = 'T2'": 4,
    "SELECT f.objname, lc.flux FROM frames f LEFT JOIN light_curve lc USING (frame_id) WHERE lc.filter IS NULL": 4,
    "SELECT flux FROM light_curve POSITIONAL JOIN frames WHERE light_curve.frame_id = 3": 4,
    "WITH x AS (SELECT * FROM light_curve WHERE filter = 'g') SELECT flux FROM x ORDER BY 1": 2,
    "SELECT (SELECT max(flux) FROM light_curve lc WHERE lc.frame_id = f.frame_id) AS m FROM frames f ORDER BY 1": 4,
    "SELECT count(*) FROM light_curve WHERE filter = 'g' UNION ALL SELECT count(*) FROM light_curve": 4,
    "SELECT flux FROM light_curve WHERE filter = 'g' AND 'x' = 'x' ORDER BY 1": 2,
    "SELECT flux FROM light_curve AS l(a, b, filter, c, d, e, f) WHERE filter = 102": 4,
    "SELECT 1 AS filter, flux FROM light_curve WHERE filter = 'g' ORDER BY 2": 2,
    "DESCRIBE SELECT flux FROM light_curve WHERE filter = 'g'": 4,
    "EXPLAIN SELECT flux FROM light_curve WHERE filter = 'g'": 2,
}


@pytest.mark.parametrize("sql", JOINS)
def test_pruning_through_joins(archive: Any, monkeypatch: pytest.MonkeyPatch, sql: str) -> None:
    for n in range(4):
        frame = {"filter": "rg"[n % 2], "objname": f"T{n}", "night": f"n{n}", "exptime": 1.0, "quality": 0}
        archive.add(frame, {5.0: np.array([float(n)])})
    with archive.engine() as engine:
        seen = _opened(engine, monkeypatch)
        pruned = list(engine.query(sql))
        assert seen == [JOINS[sql]]
        monkeypatch.setattr("ezarchive.catalogs.prune.needed", lambda *args: None)
        if not sql.startswith("EXPLAIN"):
            assert pruned == list(engine.query(sql))


def test_a_pruned_query_does_not_open_other_files(archive: Any) -> None:
    archive.add({"filter": "r", "exptime": 1.0}, {5.0: np.array([1.0])})
    bad = archive.add({"filter": "g", "exptime": 1.0}, {5.0: np.array([1.0])})
    (archive.home / bad["path"]).unlink()
    with archive.engine() as engine:
        assert len(engine.query("SELECT * FROM light_curve WHERE filter = 'r'")) == 1
        assert len(engine.query("SELECT * FROM light_curve WHERE filter = ?", ["r"])) == 1
        assert len(engine.query("SELECT * FROM light_curve WHERE flux > ? AND filter = ?", [0, "r"])) == 1
        assert len(engine.query("SELECT * FROM light_curve WHERE flux > $a AND filter = $b", {"a": 0, "b": "r"})) == 1
        with pytest.raises(CatalogError, match="does not exist"):
            engine.query("SELECT * FROM light_curve")
