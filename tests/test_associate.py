"""Objects and the light-curve store: nights in any order, withdrawals, and the check that nothing is lost."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import surveys
from surveys import Survey

from ezarchive import Archive, associate
from ezarchive.association import reading, summaries, units, writing
from ezarchive.database import stores
from ezarchive.database.rows import now
from ezarchive.errors import ConfigError, DatabaseError, InputError, LockedError, StoreError
from ezarchive.files import Lock
from ezarchive.store.version import Version


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody pulls the plug here: what is durable is tested where processes are killed."""
    monkeypatch.setattr("os.fsync", lambda _: None)
    monkeypatch.setattr("ezarchive.files._sync_file_system", lambda _: True)


@pytest.fixture
def survey(tmp_path: Path) -> Survey:
    """An archive without a frame."""
    return Survey(tmp_path / "home")


def version(archive: Archive) -> Version:
    """The version that readers take."""
    with archive.database.connect() as conn:
        return Version.open(archive.home, stores.current(conn) or 0)


def rows_of(archive: Archive, dataset: str = "light_curve") -> dict:
    """Every row of a dataset: (catalog, row) -> object, 0 of none."""
    found = {}
    store = version(archive)
    for leaf in (None,) if dataset == "unplaced" else store.leaves(dataset):
        table = store.read(dataset, leaf)
        ids = table["object_id"].to_pylist() if dataset == "light_curve" else [0] * len(table)
        keys = list(zip(table["catalog_id"].to_pylist(), table["row"].to_pylist(), strict=True))
        assert not found.keys() & set(keys)
        found |= dict(zip(keys, ids, strict=True))
    return found


def everything(archive: Archive) -> dict:
    """Where each row is, each once."""
    parts = [rows_of(archive, dataset) for dataset in ("light_curve", "orphans", "unplaced")]
    assert len(set().union(*parts)) == sum(len(part) for part in parts)
    return parts[0] | parts[1] | parts[2]


def grouping(archive: Archive) -> set[frozenset]:
    """The objects as sets of rows, but for ambiguous ones, and the rows of none."""
    store = version(archive)
    unclear = {one for leaf in store.leaves("objects") for one in ids_where(store.read("objects", leaf))}
    groups: dict[int, set] = {}
    for key, object_id in everything(archive).items():
        if object_id not in unclear:
            groups.setdefault(object_id, set()).add(key)
    return {frozenset(group) for group in groups.values()}


def ids_where(objects) -> list[int]:
    return [number for number, unclear in zip(objects["object_id"].to_pylist(), objects["ambiguous"].to_pylist(), strict=True) if unclear]


def contents(archive: Archive) -> dict[str, str]:
    """Hashes of the files of the version; the names of files by their places alone, as they tell the version too.

    Without the aliases: those of a store made anew tell of the ids before, and of nothing else.
    """
    folder = version(archive).folder
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if path.name[:6].isdigit():
            parent = path.parent.relative_to(folder).as_posix()
            name = f"{parent}/{sum(other.startswith(parent + '/') for other in found)}"
        if path.name not in ("manifest.json", "_metadata", "_common_metadata", "aliases.parquet"):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def store_bytes(home: Path) -> dict[str, bytes]:
    """Every file of the store."""
    return {path.relative_to(home).as_posix(): path.read_bytes() for path in sorted((home / "store").rglob("*")) if path.is_file()}


def by_night(rows: list[dict], per_night: int = 2) -> list[list[dict]]:
    return [rows[start : start + per_night] for start in range(0, len(rows), per_night)]


def test_one_field_becomes_objects(survey: Survey, rng):
    surveys.epochs(survey, rng, 8, 100, missed=0.0)
    report = survey.archive.associate(progress=False)
    assert (report.added, report.rows_in, report.objects, report.new) == (8, 800, 100, 100)
    assert report.changed
    assert report.conserved
    assert "rows of 8 catalogs: 800 = 800 of objects + 0 of none yet + 0 without a position: conserved" in str(report)
    store = version(survey.archive)
    (leaf,) = store.leaves("objects")
    objects = store.read("objects", leaf)
    assert objects["n_det"].to_pylist() == [8] * 100
    assert objects["n_nights"].to_pylist() == [4] * 100
    light_curve = store.read("light_curve", leaf)
    assert light_curve["mag"].null_count == 0
    assert not survey.archive.associate(progress=False).changed


def test_nights_in_any_order_give_the_same_grouping(survey: Survey, rng):
    surveys.epochs(survey, rng, 8, 150, half=0.015)
    archive = survey.archive
    everyone = survey.hide()
    survey.show(everyone)
    archive.associate(progress=False)
    expected, total = grouping(archive), len(everything(archive))
    for seed in (1,):
        survey.hide()
        archive.associate(progress=False)
        assert not everything(archive)
        nights = by_night(everyone)
        np.random.default_rng(seed).shuffle(nights)
        for night in nights:
            survey.show(night)
            report = archive.associate(progress=False)
            assert report.conserved
        assert len(everything(archive)) == total
        assert grouping(archive) == expected


@pytest.mark.timeout(40)
def test_rebuild_is_the_same_whatever_was_before(survey: Survey, rng):
    surveys.epochs(survey, rng, 10, 100, half=0.01)
    archive = survey.archive
    archive.associate(progress=False)
    archive.associate(rebuild=True, progress=False)
    expected = contents(archive)
    everyone = survey.hide()
    archive.associate(progress=False)
    for night in reversed(by_night(everyone, 3)):
        survey.show(night)
        archive.associate(progress=False)
    assert archive.associate(rebuild=True, progress=False).conserved
    assert contents(archive) == expected


def test_replay_gives_the_same_bytes(tmp_path: Path):
    found = []
    for name in ("a", "b"):
        survey = Survey(tmp_path / name / "home")
        surveys.epochs(survey, np.random.default_rng(5), 6, 80, half=0.01)
        nights = by_night(survey.hide())
        for night in nights:
            survey.show(night)
            survey.archive.associate(progress=False)
            survey.archive.associate(progress=False)
        found.append(store_bytes(survey.home))
    assert found[0] == found[1]
    assert any(name.startswith("store/3/") for name in found[0])


def test_detections_of_one_night_are_kept_apart(survey: Survey):
    for epoch in range(3):
        frame = survey.frame(10, 10, surveys.MJD + 0.01 * epoch)
        survey.catalog(frame, [10.0], [10.0], [100.0])
    report = survey.archive.associate(progress=False)
    assert (report.objects, report.orphans) == (0, 3)
    survey.catalog(survey.frame(10, 10, surveys.MJD + 1), [10.0], [10.0], [100.0])
    report = survey.archive.associate(progress=False)
    assert (report.objects, report.light_curve, report.orphans) == (1, 4, 0)


@pytest.mark.parametrize(("ra", "dec"), [(0.0, 0.0), (0.0, 89.9999), (120.0, -89.9999), (45.0, 0.0), (180.0, 41.810314895778596)])
def test_places_that_are_special(survey: Survey, rng, ra, dec):
    surveys.epochs(survey, rng, 4, 60, ra=ra, dec=dec, half=0.004, missed=0.0, scatter=0.05)
    together = survey.archive.associate(progress=False)
    assert together.conserved
    expected = grouping(survey.archive)
    everyone = survey.hide()
    survey.archive.associate(progress=False)
    for night in by_night(everyone):
        survey.show(night)
        survey.archive.associate(progress=False)
    assert grouping(survey.archive) == expected


def test_withdrawn_and_measured_again(survey: Survey, rng):
    ra, dec = surveys.stars(rng, 50)
    frames = [survey.frame(150, 20, surveys.MJD + epoch) for epoch in range(4)]
    for frame in frames:
        survey.catalog(frame, ra, dec, np.full(50, 200.0))
    archive = survey.archive
    archive.associate(progress=False)
    before = set(rows_of(archive).values())
    again = [survey.catalog(frame, ra + 1e-5, dec, np.full(50, 210.0), run=1) for frame in frames[:2]]
    report = archive.associate(progress=False)
    assert (report.added, report.withdrawn, report.rows_in, report.conserved) == (2, 2, 200, True)
    after = rows_of(archive)
    assert set(after.values()) == before
    assert set(again) <= {catalog for catalog, _ in after}
    archive.withdraw(survey.run("sex", 1))
    report = archive.associate(progress=False)
    assert (report.added, report.withdrawn) == (2, 2)
    assert set(rows_of(archive).values()) == before
    everyone = survey.hide()
    survey.show(everyone[2:])
    report = archive.associate(progress=False)
    assert (report.withdrawn, report.rows_in) == (2, 100)
    assert set(rows_of(archive).values()) == before
    survey.hide()
    report = archive.associate(progress=False)
    assert (report.rows_in, report.objects, report.conserved) == (0, 0, True)
    survey.show(everyone)
    archive.associate(progress=False)
    assert set(rows_of(archive).values()) == before


def test_new_zero_points_give_new_magnitudes_as_a_rebuild_would(survey: Survey, rng):
    surveys.epochs(survey, rng, 6, 50)
    archive = survey.archive
    archive.associate(progress=False, compact=True)
    with archive.database.begin() as conn:
        conn.exec_driver_sql("UPDATE frame SET zero_point = zero_point + 0.25 WHERE frame_id <= 3")
    report = archive.associate(progress=False)
    assert (report.added, report.withdrawn, report.recalibrated) == (0, 0, 3)
    found = contents(archive)
    archive.associate(rebuild=True, progress=False)
    assert contents(archive) == found
    assert not archive.associate(progress=False).changed


def test_what_changes_during_the_work_is_newer_than_the_store(survey: Survey, monkeypatch: pytest.MonkeyPatch):
    survey.catalog(survey.frame(10, 10, surveys.MJD), [10.0], [10.0], [100.0])
    times = []
    monkeypatch.setattr("ezarchive.association.conservation.check", lambda _: times.append(now()))
    survey.archive.associate(progress=False)
    with survey.archive.database.connect() as conn:
        assert stores.versions(conn)[0]["created"] < times[0]


def test_rows_without_a_position_and_catalogs_without_the_aperture(survey: Survey):
    survey.catalog(survey.frame(10, 10, surveys.MJD), [np.nan, np.nan], [np.nan, np.nan], [100.0, 50.0])
    survey.catalog(survey.frame(10, 10, surveys.MJD + 1), [10.0], [10.0], [100.0], apertures=(7.0,))
    survey.catalog(survey.frame(10, 10, surveys.MJD + 2), [10.0, np.nan], [10.0, np.nan], [100.0, 20.0])
    survey.catalog(survey.frame(10, 10, surveys.MJD + 3), [], [], [])
    report = survey.archive.associate(progress=False)
    assert (report.without, report.unplaced, report.orphans, report.rows_in, report.catalogs) == (1, 3, 1, 4, 3)
    assert "1 catalogs without the store's aperture stay outside" in str(report)


def test_forced_rows_go_to_the_object_there(survey: Survey):
    for epoch in range(3):
        survey.catalog(survey.frame(10, 10, surveys.MJD + epoch), [10.0], [10.0], [100.0])
    frame = survey.frame(10, 10, surveys.MJD + 5)
    survey.catalog(frame, [10.0, 10.01], [10.0, 10.0], [100.0, -3.0], method="circular", targets=["a", "b"])
    report = survey.archive.associate(progress=False)
    assert (report.objects, report.light_curve, report.orphans) == (1, 4, 1)
    store = version(survey.archive)
    objects = store.read("objects", store.leaves("objects")[0])
    assert (objects["n_det"][0].as_py(), objects["n_forced"][0].as_py()) == (3, 1)


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_partitions_are_divided_and_compacted(tmp_path: Path, rng):
    survey = Survey(tmp_path / "home", associate={"rows_per_partition": 1000, "compact_after": 2})
    surveys.epochs(survey, rng, 12, 300, half=0.3)
    nights = by_night(survey.hide())
    compacted = 0
    for night in nights[:-1]:
        survey.show(night)
        report = survey.archive.associate(progress=False)
        compacted += report.compacted
        assert report.conserved
    assert compacted
    survey.show(nights[-1])
    assert survey.archive.associate(progress=False, compact=False).compacted == 0
    store = version(survey.archive)
    assert len(store.leaves("light_curve")) >= 4
    assert max(store.rows("light_curve", leaf) for leaf in store.leaves("light_curve")) <= 1000
    assert store.check(hashes=True) == []
    expected = grouping(survey.archive)
    before = rows_of(survey.archive)
    report = survey.archive.compact(progress=False)
    assert report.compacted
    assert rows_of(survey.archive) == before
    assert not survey.archive.compact().changed
    survey.archive.associate(rebuild=True, progress=False)
    assert grouping(survey.archive) == expected
    assert version(survey.archive).tree == store.tree


def test_what_is_refused(survey: Survey):
    frame = survey.frame(10, 10, surveys.MJD)
    number = survey.catalog(frame, [10.0], [10.0], [100.0])
    assert number
    with Lock(survey.home / ".associate.lock", what="associate"), pytest.raises(LockedError, match="associate"):
        survey.archive.associate()
    with pytest.raises(InputError, match="workers=0"):
        survey.archive.associate(workers=0)
    survey.archive.associate(progress=False)
    toml = survey.home / "ezarchive.toml"
    toml.write_text(toml.read_text() + "\n[associate]\nradius = 2.0\n")
    with Archive.open(survey.home) as changed, pytest.raises(ConfigError, match=r"radius = 2\.0: the light-curve store was made with 1\.0"):
        changed.associate()
    with Archive.open(survey.home) as changed:
        assert changed.associate(rebuild=True, progress=False).version == 2


def test_a_torn_catalog_is_told_and_tried_again(survey: Survey):
    numbers = [survey.catalog(survey.frame(10, 10, surveys.MJD + night), [10.0], [10.0], [100.0]) for night in range(3)]
    path = sorted((survey.home / "catalogs").rglob("*.parquet"))[1]
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    report = survey.archive.associate(progress=False)
    assert not report.ok
    assert [number for number, _ in report.failed] == numbers[1:2]
    assert f"catalog {numbers[1]}: {path}" in str(report)
    assert (report.added, report.rows_in, report.conserved) == (2, 2, True)
    report = survey.archive.associate(progress=False)
    assert (report.ok, report.changed, report.version) == (False, False, 1)
    path.write_bytes(whole)
    report = survey.archive.associate(progress=False)
    assert (report.ok, report.added, report.rows_in) == (True, 1, 3)


def test_a_catalog_of_other_rows_than_are_counted_is_told(survey: Survey):
    numbers = [survey.catalog(survey.frame(10, 10, surveys.MJD + night), [10.0], [10.0], [100.0]) for night in range(3)]
    with survey.archive.database.begin() as conn:
        conn.exec_driver_sql("UPDATE catalog SET n_rows = 7 WHERE catalog_id = 2")
    report = survey.archive.associate(progress=False)
    assert report.failed == ((numbers[1], "its file has 1 rows, must have 7; `ezarchive verify` lists all that are damaged"),)
    assert (report.added, report.rows_in, report.conserved) == (2, 2, True)


def test_a_rebuild_that_can_read_nothing_leaves_the_store(survey: Survey):
    for night in range(3):
        survey.catalog(survey.frame(10, 10, surveys.MJD + night), [10.0], [10.0], [100.0])
    survey.archive.associate(progress=False)
    (survey.home / "catalogs").rename(survey.home / "away")
    with pytest.raises(StoreError, match="none of the 3 catalogs can be read, the store stays as it is; .*does not exist"):
        survey.archive.associate(rebuild=True, progress=False)
    assert len(rows_of(survey.archive)) == 3
    (survey.home / "away").rename(survey.home / "catalogs")
    assert survey.archive.associate(rebuild=True, progress=False).rows_in == 3


def test_an_archive_without_catalogs_has_no_store(survey: Survey):
    report = survey.archive.associate(progress=False)
    assert report.version is None
    assert "no store: up to date" in str(report)
    assert not survey.archive.compact().changed


def test_small_steps_give_the_same_bytes(survey: Survey, rng, monkeypatch: pytest.MonkeyPatch):
    surveys.epochs(survey, rng, 8, 200, half=0.02)
    survey.catalog(survey.frame(150, 20, surveys.MJD), [np.nan, 150.0], [np.nan, 20.0], [100.0, 100.0])
    survey.archive.associate(progress=False)
    whole = contents(survey.archive)
    for module, name, value in (
        (units, "UNIT_ROWS", 60), (reading, "TASK_ROWS", 200), (writing, "CHUNK_ROWS", 64), (summaries, "CHUNK_ROWS", 100)
    ):  # fmt: skip
        monkeypatch.setattr(module, name, value)
    survey.archive.associate(rebuild=True, progress=False)
    assert contents(survey.archive) == whole


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_processes_give_the_same_bytes(survey: Survey, rng, tmp_path: Path):
    surveys.epochs(survey, rng, 4, 100)
    survey.archive.associate(progress=False, workers=2)
    one = contents(survey.archive)
    survey.archive.associate(rebuild=True, progress=False, workers=1)
    assert contents(survey.archive) == one


def test_two_objects_that_turn_out_to_be_one(survey: Survey):
    # Half an arcsecond a night between detections that no night has twice: two chains, until one between them is seen.
    places = {0: 0.0, 1: 0.0, 2: 1.6, 3: 1.6, 4: 0.8}
    for night in range(4):
        survey.catalog(survey.frame(10, 10, surveys.MJD + night), [10.0], [10.0 + places[night] / 3600], [100.0])
    archive = survey.archive
    assert archive.associate(progress=False).objects == 2
    first, second = sorted(set(rows_of(archive).values()), key=lambda number: min(k for k, v in rows_of(archive).items() if v == number))
    survey.catalog(survey.frame(10, 10, surveys.MJD + 4), [10.0], [10.0 + places[4] / 3600], [100.0])
    report = archive.associate(progress=False)
    assert (report.objects, report.merged, report.new, report.ambiguous) == (1, 1, 0, 0)
    assert set(rows_of(archive).values()) == {first}
    store = version(archive)
    assert store.aliases().to_pylist() == [{"old_id": second, "object_id": first}]
    (leaf,) = store.leaves("objects")
    assert store.read("objects", leaf)["n_det"].to_pylist() == [5]
    assert set(store.read("sites", leaf)["object_id"].to_pylist()) == {first}
    survey.catalog(survey.frame(10, 10, surveys.MJD + 5), [10.0], [10.0 + 1.6 / 3600], [100.0])
    assert archive.associate(progress=False).merged == 0
    assert set(rows_of(archive).values()) == {first}
    assert len(version(archive).aliases()) == 1
    archive.associate(rebuild=True, progress=False)
    assert set(rows_of(archive).values()) == {first}
    assert version(archive).aliases().to_pylist() == [{"old_id": second, "object_id": first}]


def test_blends_are_recorded(survey: Survey, rng):
    for night in range(6):
        dec = 10.0 + np.array([0.0, 1.2]) / 3600 + rng.normal(0, 0.15 / 3600, 2)
        survey.catalog(survey.frame(10, 10, surveys.MJD + night), [10.0, 10.0], dec, [100.0, 90.0])
        if night in (2, 5):
            report = survey.archive.associate(progress=False)
    assert report.objects == 2
    assert report.ambiguous == 1
    store = version(survey.archive)
    assert store.ambiguous()["separation"][0].as_py() == pytest.approx(1.2, abs=0.3)
    rows = rows_of(survey.archive)
    assert len({(catalog, number) for (catalog, _), number in rows.items()}) == len(rows)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_lost_whatever_is_done(tmp_path: Path, seed):
    rng = np.random.default_rng(seed)
    survey = Survey(tmp_path / "home", associate={"rows_per_partition": 1000, "compact_after": 1 + seed})
    archive = survey.archive
    ra, dec = surveys.stars(rng, 150, half=0.002 * 4**seed)
    frames, hidden = [], []
    for _step in range(12):
        match int(rng.integers(6)):
            case 0 | 1 | 2:
                for _ in range(int(rng.integers(1, 4))):
                    frames.append(survey.frame(150, 20, surveys.MJD + 0.3 * rng.integers(60)))
                    seen = rng.random(150) < 0.7
                    survey.catalog(frames[-1], *surveys.jittered(rng, ra[seen], dec[seen], 0.2), np.full(seen.sum(), 100.0))
            case 3 if frames:  # measured anew, a little elsewhere, some lost
                frame = frames[int(rng.integers(len(frames)))]
                run = int(rng.integers(1, 4))
                survey.catalog(frame, *surveys.jittered(rng, ra, dec, 0.2), np.full(150, 90.0), run=run)
            case 4 if frames:  # forced, and some that have no position
                targets = [f"t{number}" for number in range(6)]
                places = (np.append(ra[:5], np.nan), np.append(dec[:5], np.nan))
                survey.catalog(frames[int(rng.integers(len(frames)))], *places, np.full(6, -1.0), method="circular", targets=targets)
            case 5:
                hidden, again = survey.hide(), hidden
                survey.show(hidden[len(hidden) // 3 :])
                hidden, known = hidden[: len(hidden) // 3], {row["frame_id"] for row in hidden[len(hidden) // 3 :]}
                survey.show([row for row in again if row["frame_id"] not in known | {other["frame_id"] for other in hidden}])
        report = archive.associate(progress=False)
        assert report.conserved
        current = archive.sql("SELECT catalog_id, n_rows FROM catalogs").to_pandas()
        found = everything(archive)
        counts = {number: 0 for number in current["catalog_id"]}
        for catalog, _ in found:
            counts[catalog] += 1
        assert counts == dict(zip(current["catalog_id"], current["n_rows"], strict=True))
    assert version(archive).check(hashes=True) == []
    objects = set(rows_of(archive).values())
    summaries = [n for leaf in version(archive).leaves("objects") for n in version(archive).read("objects", leaf)["object_id"].to_pylist()]
    assert sorted(objects) == sorted(summaries)


def test_an_archive_opened_for_reading_is_told_at_once(survey: Survey):
    survey.catalog(survey.frame(10, 10, surveys.MJD), [10.0], [10.0], [100.0])
    with Archive.open(survey.home, write=False) as archive, pytest.raises(DatabaseError, match="reading only"):
        archive.associate()
    assert not (survey.home / "store").exists()


def test_rows_without_a_position_are_kept_in_few_files(survey: Survey, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(associate, "_MOST_FILES", 2)
    for night in range(4):
        survey.catalog(survey.frame(10, 10, surveys.MJD + night), [np.nan], [np.nan], [100.0])
        report = survey.archive.associate(progress=False)
    assert report.unplaced == 4
    assert len(version(survey.archive).files_of("unplaced")) == 2
