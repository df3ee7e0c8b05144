"""Ids that were published are found for ever, whatever is made anew."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import surveys
from surveys import Survey

from ezarchive import Archive
from ezarchive.association import lineage
from ezarchive.database import stores
from ezarchive.store.version import Version


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody pulls the plug here."""
    monkeypatch.setattr("os.fsync", lambda _: None)
    monkeypatch.setattr("ezarchive.files._sync_file_system", lambda _: True)


def version(archive: Archive) -> Version:
    with archive.database.connect() as conn:
        return Version.open(archive.home, stores.current(conn) or 0)


def rows_of(archive: Archive) -> dict:
    """(catalog, row) -> object."""
    found, store = {}, version(archive)
    for leaf in store.leaves("light_curve"):
        table = store.read("light_curve", leaf)
        found |= dict(
            zip(zip(table["catalog_id"].to_pylist(), table["row"].to_pylist(), strict=True), table["object_id"].to_pylist(), strict=True)
        )
    return found


def aliases_of(archive: Archive) -> dict[int, int]:
    table = version(archive).aliases()
    return dict(zip(table["old_id"].to_pylist(), table["object_id"].to_pylist(), strict=True))


def check(before: dict, archive: Archive, aliases: dict[int, int]) -> None:
    """Check that every id of before, and every alias, is found as what has most of its rows."""
    after, now = rows_of(archive), aliases_of(archive)
    live = set(after.values())
    assert not live & now.keys()
    assert set(now.values()) <= live
    for old in set(before.values()):
        heirs = Counter(after[key] for key, number in before.items() if number == old and key in after)
        assert old in live or heirs[now[old]] == max(heirs.values())
    for old, target in aliases.items():
        assert old in live or now[old] == now.get(target, target)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("ra", "dec"), [(150.0, 20.0), (0.0, 0.0), (77.0, 89.9999)])
def test_ids_of_nights_in_reverse_order_are_found_after_a_rebuild(tmp_path: Path, ra, dec):
    survey = Survey(tmp_path / "home")
    rng = np.random.default_rng(4)
    true = surveys.epochs(survey, rng, 8, 40, half=0.003, ra=ra, dec=dec, scatter=0.2)
    archive, everyone = survey.archive, survey.hide()
    for start in range(4, -1, -4):
        survey.show(everyone[start : start + 4])
        archive.associate(progress=False)
    before, aliases = rows_of(archive), aliases_of(archive)
    report = archive.associate(rebuild=True, progress=False)
    assert (report.unread, report.conserved) == ((), True)
    check(before, archive, aliases)
    assert len(aliases_of(archive)) > 15
    old = next(iter(aliases_of(archive)))
    assert len(archive.light_curve(old)) == len(archive.light_curve(aliases_of(archive)[old])) > 0
    found = aliases_of(archive)
    archive.associate(rebuild=True, progress=False)
    assert aliases_of(archive) == found
    places = surveys.jittered(rng, *true, 0.1)
    survey.catalog(survey.frame(ra, dec, surveys.MJD - 5), *places, np.full(40, 100.0))
    archive.associate(progress=False)
    before, aliases = rows_of(archive), aliases_of(archive)
    archive.associate(rebuild=True, progress=False)
    check(before, archive, aliases)


def test_an_object_whose_first_detection_was_withdrawn(tmp_path: Path):
    survey = Survey(tmp_path / "home")
    for night in range(4):
        survey.catalog(survey.frame(10, 10, surveys.MJD + night), [10.0], [10.0 + 0.3 * night / 3600], [100.0])
    archive = survey.archive
    archive.associate(progress=False)
    (old,) = set(rows_of(archive).values())
    everyone = survey.hide()
    survey.show(everyone[1:])
    archive.associate(progress=False)
    assert set(rows_of(archive).values()) == {old}
    archive.associate(rebuild=True, progress=False)
    (new,) = set(rows_of(archive).values())
    assert new != old
    assert aliases_of(archive) == {old: new}
    assert archive.sql(f"SELECT DISTINCT object_id FROM lc({old})").to_arrow()["object_id"].to_pylist() == [new]
    # It is one again: an object is not an alias too.
    survey.show(everyone[:1])
    archive.associate(rebuild=True, progress=False)
    assert set(rows_of(archive).values()) == {old}
    assert aliases_of(archive) == {new: old}


def test_what_cannot_be_read_is_told(tmp_path: Path):
    survey = Survey(tmp_path / "home")
    surveys.epochs(survey, np.random.default_rng(4), 4, 20)
    archive = survey.archive
    archive.associate(progress=False)
    path = next((survey.home / "store" / "1" / "light_curve").rglob("0*.parquet"))
    path.write_bytes(path.read_bytes()[:50])
    survey.show(survey.hide()[1:])
    report = archive.associate(rebuild=True, progress=False)
    assert report.version == 2
    assert [str(path) in text for text in report.unread] == [True]
    assert f"ids of before may be lost: {path}" in str(report)
    (survey.home / "store" / "2" / "manifest.json").unlink()
    report = archive.associate(rebuild=True, progress=False)
    assert [text.split(":")[0] for text in report.unread] == [str(survey.home / "store" / "2" / "manifest.json")]


def test_a_store_that_is_the_first_has_no_aliases(tmp_path: Path):
    assert lineage.before(tmp_path, 0).number == 0
    assert len(lineage.follow(Version.none(tmp_path), Version.none(tmp_path), lambda *_: ()).aliases) == 0
    assert len(lineage.follow(None, Version.none(tmp_path), lambda *_: ()).aliases) == 0
