"""Verify: rows without files, files without rows, hashes that changed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import trees

from ezarchive.database import runs
from ezarchive.errors import InputError
from ezarchive.files import sha256_file
from ezarchive.index import index
from ezarchive.verify import Finding, VerifyReport, draw, verify

write = trees.write


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    for number in range(4):
        write(folder / f"{number}.fits", number)
    return folder


@pytest.fixture
def archive(tmp_path: Path, data: Path):
    made = trees.archive_of(tmp_path / "home", scidata=data)
    index(made)
    yield made
    made.database.dispose()


def paths(found) -> list[str]:
    return [Path(item.path).name for item in found]


def add_catalog(archive, frame_id: int, content: bytes = b"catalog") -> Path:
    path = archive.home / "catalogs" / "1" / f"x.{frame_id}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    with archive.database.begin() as conn:
        run = runs.open_run(conn, runs.get_recipe(conn, "sex", {}, [5.0]), {})
        runs.add_catalog(
            conn, frame_id, run.run_id, method="sex", path=str(path.relative_to(archive.home)), n_rows=1, sha256=sha256_file(path),
            seeing=None, depth=None, depth_aperture=None, apertures=[5.0],
        )  # fmt: skip
    return path


def test_all_is_well_and_hashes_are_kept(archive):
    add_catalog(archive, 1)
    first = verify(archive)
    assert first.ok
    assert (first.hashed, first.made) == (5, 4)
    hashes = trees.rows(archive, "SELECT data_hash FROM frame")
    assert all(len(h) == 64 for (h,) in hashes)
    assert len(set(hashes)) == 4
    second = verify(archive)
    assert second.ok
    assert (second.hashed, second.made) == (5, 0)
    assert str(second).startswith("verify: ok: 0 rows without files, 0 files without rows, 0 changed, 0 missing, 0 quarantine; 5 hashed")
    assert len(second.table()) == 0


def test_a_bit_that_flipped_behind_the_signature_is_found(archive, data):
    verify(archive)
    path = data / "2.fits"
    before = path.stat()
    with path.open("r+b") as stream:
        stream.seek(-2800, 2)
        stream.write(b"\x01")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    report = verify(archive)
    assert not report.ok
    assert paths(report.changed) == ["2.fits"]
    assert "data of HDU 0: SHA-256 is" in report.changed[0].message
    assert "verify: NOT ok" in str(report)
    assert list(report.table()["what"]) == ["changed"]
    again = verify(archive)
    assert paths(again.changed) == ["2.fits"]


def test_copies_are_compared_with_each_other_at_the_first_call(archive, data):
    shutil.copyfile(data / "1.fits", data / "copy.fits")
    os.link(data / "1.fits", data / "link.fits")
    index(archive)
    with (data / "copy.fits").open("r+b") as stream:
        stream.seek(-2800, 2)
        stream.write(b"\x01")
    report = verify(archive)
    assert paths(report.changed) == ["copy.fits"]
    assert "`ezarchive index`" in report.changed[0].message


def test_files_that_came_went_or_changed_since_the_last_index(archive, data):
    write(data / "new.fits", 9)
    (data / "0.fits").unlink()
    write(data / "1.fits", 11, old=False)
    report = verify(archive)
    assert paths(report.files_without_rows) == ["new.fits"]
    assert paths(report.rows_without_files) == ["0.fits"]
    assert paths(report.changed) == ["1.fits"]
    assert report.hashed == 2
    index(archive)
    after = verify(archive)
    assert after.ok
    assert paths(after.missing) == ["0.fits"]
    assert after.missing[0].message == "1 frames lay in it, 1 lie nowhere else"
    write(data / "0.fits", 0)
    assert paths(verify(archive).changed) == ["0.fits"]


def test_quarantine_is_listed_and_does_not_count(archive, data):
    (data / "bad.fits").write_text("no FITS")
    index(archive)
    report = verify(archive)
    assert report.ok
    assert paths(report.quarantine) == ["bad.fits"]
    assert report.quarantine[0].message.startswith("index: not_fits: ")


def test_catalogs_that_are_lost_damaged_or_left_over(archive):
    good, lost, torn = (add_catalog(archive, number) for number in (1, 2, 3))
    lost.unlink()
    torn.write_bytes(b"cat")
    (good.parent / ".x.parquet.77-ab.tmp").write_bytes(b"half")
    (good.parent / "y.9.parquet").write_bytes(b"whole")
    (archive.home / "maps").mkdir()
    (archive.home / "maps" / "z.npz").write_bytes(b"map")
    (archive.home / "logs").mkdir()
    (archive.home / "logs" / "night.log").write_text("kept")
    report = verify(archive)
    assert paths(report.rows_without_files) == ["x.2.parquet"]
    assert paths(report.changed) == ["x.3.parquet"]
    assert [(item.path, item.message[:9]) for item in report.files_without_rows] == [
        ("catalogs/1/.x.parquet.77-ab.tmp", "left over"),
        ("catalogs/1/y.9.parquet", "the datab"),
        ("maps/z.npz", "the datab"),
    ]


def test_a_vanished_root_is_said_and_the_rest_goes_on(archive, data):
    data.rename(data.with_name("elsewhere"))
    report = verify(archive)
    assert [(item.path, item.message) for item in report.rows_without_files] == [
        (str(data), "root 'scidata' is not there; none of its files was looked at")
    ]


@pytest.mark.parametrize(("sample", "number"), [(None, 4), (1, 4), (1.0, 4), (0.5, 2), (0.1, 1), (0, 0), ("none", 0), (3, 3), (99, 4)])
def test_samples(archive, sample, number):
    assert verify(archive, sample=sample).hashed == number


@pytest.mark.parametrize("sample", [-1, 1.5, "half", True, float("nan"), [1]])
def test_a_wrong_sample_is_refused(archive, sample):
    with pytest.raises(InputError, match=r"sample=.*: must be None \(all\), a share from 0 to 1"):
        verify(archive, sample=sample)


@pytest.mark.pure
def test_a_sample_is_random_but_can_be_drawn_again():
    items = list(range(1000))
    one, two = draw(items, 0.1, seed=1), draw(items, 0.1, seed=2)
    assert len(one) == len(two) == 100
    assert one != two
    assert one == draw(items, 0.1, seed=1) == sorted(one)


def test_an_archive_open_for_reading_is_checked_without_keeping_hashes(archive):
    archive.database.write = False
    assert verify(archive).ok
    assert trees.rows(archive, "SELECT count(data_hash) FROM frame") == [(0,)]


def test_long_lists_are_cut():
    text = str(VerifyReport(changed=tuple(Finding(str(n), "x") for n in range(25))))
    assert text.splitlines()[-1] == "  changed: 5 more"
