"""What `verify` finds of a light-curve store that is not what it was."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import surveys
from surveys import Survey

from ezarchive import Archive
from ezarchive.store import audit
from ezarchive.verify import Finding


@pytest.fixture
def survey(tmp_path: Path) -> Survey:
    made = Survey(tmp_path / "home")
    surveys.epochs(made, np.random.default_rng(1), 3, 10)
    made.archive.associate(progress=False)
    return made


def in_store(found: tuple[Finding, ...]) -> list[tuple[str, str]]:
    return [item for item in found if item.path.startswith("store/")]


def curves(survey: Survey) -> Path:
    return next((survey.home / "store" / "1" / "light_curve").rglob("0*.parquet"))


def test_a_store_that_is_whole(survey: Survey):
    report = survey.archive.verify(progress=False)
    assert not in_store(report.rows_without_files + report.changed + report.files_without_rows)
    assert report.hashed > 3
    assert audit.leftovers(survey.home / "none", None) == []


def test_files_that_are_gone_cut_or_changed(survey: Survey):
    path = curves(survey)
    whole, shown = path.read_bytes(), path.relative_to(survey.home).as_posix()
    path.write_bytes(whole[:-1])
    assert in_store(survey.archive.verify(progress=False).changed) == [(shown, f"has {len(whole) - 1} bytes, had {len(whole)}")]
    path.write_bytes(whole[:500] + bytes([whole[500] ^ 1]) + whole[501:])
    assert [where for where, _ in in_store(survey.archive.verify(progress=False).changed)] == [shown]
    assert not in_store(survey.archive.verify(progress=False, sample="none").changed)
    path.unlink()
    (found,) = in_store(survey.archive.verify(progress=False).rows_without_files)
    assert found == (shown, "is not there; `ezarchive associate HOME --rebuild` makes the light-curve store anew")


def test_a_store_that_was_deleted(survey: Survey):
    shutil.rmtree(survey.home / "store")
    report = survey.archive.verify(progress=False)
    assert not report.ok
    ((where, message),) = in_store(report.rows_without_files)
    assert (where, "manifest.json: is missing" in message) == ("store/1", True)


def test_counts_that_differ(survey: Survey):
    with survey.archive.database.begin() as conn:
        conn.exec_driver_sql("UPDATE store_catalog SET n_rows = n_rows + 1 WHERE catalog_id = 2")
        conn.exec_driver_sql("UPDATE store_version SET n_objects = n_objects + 2")
    messages = [message for _, message in in_store(survey.archive.verify(progress=False).changed)]
    assert [message.partition(":")[0].partition(" rows")[0] for message in messages] == ["catalog 2", "holds 9"]
    assert "the database says 11" in messages[1]
    manifest = survey.home / "store" / "1" / "manifest.json"
    found = json.loads(manifest.read_text())
    for entry in found["files"]:
        if entry["dataset"] == "orphans" or entry["dataset"] == "light_curve":
            entry["files"][0]["rows"] += 1
    manifest.write_text(json.dumps(found))
    with Archive.open(survey.home) as archive:
        messages = [message for _, message in in_store(archive.verify(progress=False).changed)]
    assert any("rows of light_curve, its catalogs" in message for message in messages)


def test_leftovers(survey: Survey):
    for name in ("2", ".3.1-aa.tmp"):
        (survey.home / "store" / name).mkdir()
    found = in_store(survey.archive.verify(progress=False).files_without_rows)
    assert [where for where, _ in found] == ["store/.3.1-aa.tmp", "store/2"]
    assert "`ezarchive associate` removes it" in found[0][1]
    survey.catalog(survey.frame(150, 20, surveys.MJD + 9), [150.0], [20.0], [100.0])
    survey.archive.associate(progress=False)
    assert not in_store(survey.archive.verify(progress=False).files_without_rows)
