"""The indexer: what becomes of files that are new, touched, moved, copied, replaced, lost and found again."""

from __future__ import annotations

import gzip
import os
import shutil
import sys
from pathlib import Path

import engines
import numpy as np
import pytest
import trees
from astropy.io import fits

from ezarchive import Archive, config
from ezarchive.database import audit, ingest
from ezarchive.errors import LockedError, RootMissingError, UnknownNameError
from ezarchive.files import Lock
from ezarchive.index import LOCK_NAME, IndexReport, index
from ezarchive.indexing import reading
from ezarchive.verify import verify

write = trees.write


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def archive(tmp_path: Path, data: Path):
    made = trees.archive_of(tmp_path / "home", scidata=data)
    yield made
    made.database.dispose()


def counts(report: IndexReport) -> dict[str, int]:
    names = ("new", "changed", "moved", "duplicate", "returned", "waiting", "missing", "quarantined", "unchanged", "frames")
    return {name: getattr(report, name) for name in names if getattr(report, name)}


def test_first_index_and_a_rescan(archive, data):
    for number in range(5):
        write(data / f"a{number % 2}" / f"{number}.fits", number)
    report = index(archive)
    assert counts(report) == {"new": 5, "frames": 5}
    assert report.problems == ()
    assert set(report.unknown) == {"telescope 7DT01", "telescope 7DT02", "filter m600", "filter m625"}
    before = trees.dump(archive)
    again = index(archive)
    assert counts(again) == {"unchanged": 5}
    assert again.unknown == ()
    assert trees.dump(archive) == before
    (frame,) = trees.rows(archive, "SELECT kind, exptime, naxis1, naxis2, hdu, file_id IS NULL FROM frame ORDER BY frame_id LIMIT 1")
    assert frame == ("science", 100.0, 12, 10, 0, 0)
    assert trees.rows(archive, "SELECT sum(n) FROM rollup") == [(5,)]


def test_nothing_changed_costs_no_read(archive, data, monkeypatch):
    write(data / "a.fits")
    (data / "bad.fits").write_text("no FITS file")
    assert counts(index(archive)) == {"new": 1, "quarantined": 1, "frames": 1}
    monkeypatch.setattr(reading, "read_file", lambda *args, **kw: pytest.fail("was read"))
    assert counts(index(archive)) == {"unchanged": 2}


def test_content_changed_behind_the_signature_is_found_by_verify_and_reread(archive, data, monkeypatch):
    path, other = write(data / "a.fits", 1), write(data / "b.fits", 2)
    index(archive)
    assert verify(archive).ok
    before, old = path.stat(), trees.frames_in(archive)
    shutil.copy2(other, path)
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino)
    with monkeypatch.context() as patch:
        patch.setattr(reading, "read_file", lambda *args, **kw: pytest.fail("was read"))
        assert counts(index(archive)) == {"unchanged": 2}
    assert [Path(finding.path).name for finding in verify(archive).changed] == ["a.fits"]
    assert counts(index(archive, reread=True)) == {"changed": 1, "unchanged": 1}
    assert trees.frames_in(archive) == {"a.fits": old["b.fits"], "b.fits": old["b.fits"]}
    assert trees.rows(archive, "SELECT frame_id FROM frame WHERE file_id IS NULL") == [tuple(old["a.fits"])]
    assert verify(archive).ok


def test_a_touched_file_is_the_same_frame(archive, data):
    path = write(data / "a.fits")
    index(archive)
    before = trees.rows(archive, "SELECT * FROM frame")
    os.utime(path, (trees.OLD + 5, trees.OLD + 5))
    assert counts(index(archive)) == {"unchanged": 1}
    assert trees.rows(archive, "SELECT * FROM frame") == before
    assert trees.rows(archive, "SELECT mtime_ns FROM file") == [((trees.OLD + 5) * 10**9,)]
    assert counts(index(archive)) == {"unchanged": 1}


def test_a_file_written_again_with_the_same_content_is_the_same_frame(archive, data):
    write(data / "a.fits", 1)
    index(archive)
    (data / "a.fits").unlink()
    write(data / "other.dat", 9)
    write(data / "a.fits", 1, old=False)
    assert counts(index(archive)) == {"unchanged": 1}
    assert len(trees.rows(archive, "SELECT * FROM frame")) == 1


@pytest.mark.parametrize("how", ["header", "pixels", "one pixel in place"])
def test_a_file_replaced_by_another_is_another_frame(archive, data, how):
    path = write(data / "a.fits", 1)
    index(archive)
    ((old,),) = trees.rows(archive, "SELECT frame_id FROM frame")
    if how == "header":
        write(path, 2, pixels=1, old=False)
    elif how == "pixels":
        write(path, 1, pixels=2, old=False)
    else:
        with path.open("r+b") as stream:
            stream.seek(-2800, 2)
            stream.write(b"\x43")
    assert counts(index(archive)) == {"changed": 1, "frames": 1}
    rows = dict(trees.rows(archive, "SELECT frame_id, file_id FROM frame"))
    assert len(rows) == 2
    assert rows[old] is None
    assert trees.frames_in(archive)["a.fits"] == [max(rows)]
    assert trees.rows(archive, "SELECT sum(n) FROM rollup") == [(1,)]


def test_a_frame_that_was_replaced_and_comes_back_is_itself(archive, data):
    path = write(data / "a.fits", 1)
    index(archive)
    write(path, 2, old=False)
    index(archive)
    write(path, 1, old=False)
    assert counts(index(archive)) == {"changed": 1}
    assert trees.frames_in(archive) == {"a.fits": [1]}


def test_a_moved_file_keeps_its_frame_and_its_row(archive, data):
    write(data / "a.fits", 1)
    write(data / "b.fits", 2)
    index(archive)
    files = dict(trees.rows(archive, "SELECT file_id, first_seen FROM file"))
    (data / "sub").mkdir()
    (data / "a.fits").rename(data / "sub/z.fits")
    assert counts(index(archive)) == {"moved": 1, "unchanged": 1}
    assert trees.frames_in(archive) == {"b.fits": [2], "sub/z.fits": [1]}
    assert trees.states(archive) == {"b.fits": "ok", "sub/z.fits": "ok"}
    assert dict(trees.rows(archive, "SELECT file_id, first_seen FROM file")) == files
    (data / "sub/z.fits").rename(data / "0.fits")
    assert counts(index(archive)) == {"moved": 1, "unchanged": 1}
    assert trees.frames_in(archive) == {"0.fits": [1], "b.fits": [2]}


def test_a_move_is_seen_by_content_when_inode_and_time_are_new(archive, data):
    write(data / "a.fits", 1)
    index(archive)
    shutil.copyfile(data / "a.fits", data / "b.fits")
    (data / "a.fits").unlink()
    assert counts(index(archive)) == {"moved": 1}
    assert trees.frames_in(archive) == {"b.fits": [1]}


def test_a_move_into_another_target_s_folder_changes_the_target(tmp_path, data):
    archive = trees.archive_of(tmp_path / "home", scidata={"path": data, "layout": "{objname}"})
    write(data / "T1/a.fits", 1)
    write(data / "T1/b.fits", 2)
    index(archive)
    (data / "T2").mkdir()
    (data / "T1/a.fits").rename(data / "T2/a.fits")
    index(archive)
    names = trees.rows(archive, "SELECT frame_id, name FROM frame JOIN target USING (target_id) ORDER BY frame_id")
    assert names == [(1, "T2"), (2, "T1")]
    counted = trees.rows(archive, "SELECT name, n FROM rollup JOIN target USING (target_id) ORDER BY name")
    assert counted == [("T1", 1), ("T2", 1)]


def test_a_move_onto_a_known_path(archive, data):
    write(data / "a.fits", 1)
    write(data / "b.fits", 2)
    index(archive)
    (data / "a.fits").replace(data / "b.fits")
    assert counts(index(archive)) == {"changed": 1}
    assert trees.frames_in(archive) == {"b.fits": [1]}
    assert trees.states(archive) == {"b.fits": "ok"}
    assert dict(trees.rows(archive, "SELECT frame_id, file_id IS NULL FROM frame")) == {1: 0, 2: 1}


def test_two_files_that_change_places(archive, data):
    write(data / "a.fits", 1)
    write(data / "b.fits", 2)
    index(archive)
    (data / "a.fits").rename(data / "c")
    (data / "b.fits").rename(data / "a.fits")
    (data / "c").rename(data / "b.fits")
    assert counts(index(archive)) == {"changed": 2}
    assert trees.frames_in(archive) == {"a.fits": [2], "b.fits": [1]}


def test_a_chain_of_moves(archive, data):
    write(data / "a.fits", 1)
    write(data / "b.fits", 2)
    index(archive)
    (data / "b.fits").rename(data / "c.fits")
    (data / "a.fits").rename(data / "b.fits")
    assert counts(index(archive)) == {"changed": 1, "moved": 1}
    assert trees.frames_in(archive) == {"b.fits": [1], "c.fits": [2]}
    assert trees.states(archive) == {"b.fits": "ok", "c.fits": "ok"}


def test_a_move_between_roots(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    write(one / "a.fits", 1)
    write(one / "b.fits", 2)
    write(two / "c.fits", 3)
    archive = trees.archive_of(tmp_path / "home", one=one, two=two)
    index(archive)
    (one / "b.fits").rename(two / "b.fits")
    assert counts(index(archive)) == {"moved": 1, "unchanged": 2}
    counted = trees.rows(archive, "SELECT r.name, count(*) FROM file JOIN root r USING (root_id) GROUP BY 1 ORDER BY 1")
    assert counted == [("one", 1), ("two", 2)]


def test_a_whole_folder_renamed(archive, data):
    for number in range(4):
        write(data / "night1" / f"{number}.fits", number)
    write(data / "other.fits", 9)
    index(archive)
    (data / "night1").rename(data / "night2")
    assert counts(index(archive)) == {"moved": 4, "unchanged": 1}
    assert len(trees.rows(archive, "SELECT * FROM frame")) == 5


def test_equal_content_is_one_frame_with_two_files(archive, data):
    write(data / "a.fits", 1)
    shutil.copyfile(data / "a.fits", data / "b.fits")
    assert counts(index(archive)) == {"new": 1, "duplicate": 1, "frames": 1}
    assert trees.frames_in(archive) == {"a.fits": [1], "b.fits": [1]}
    ((data_hash,),) = trees.rows(archive, "SELECT data_hash FROM frame")
    assert len(data_hash) == 64
    shutil.copyfile(data / "a.fits", data / "0.fits")
    assert counts(index(archive)) == {"duplicate": 1, "unchanged": 2}
    assert trees.rows(archive, "SELECT sum(n) FROM rollup") == [(1,)]


def test_a_lost_copy_is_missing_and_the_frame_is_read_from_the_other(archive, data):
    write(data / "a.fits", 1)
    shutil.copyfile(data / "a.fits", data / "b.fits")
    index(archive)
    (data / "a.fits").unlink()
    assert counts(index(archive)) == {"missing": 1, "unchanged": 1}
    assert trees.states(archive) == {"a.fits": "missing", "b.fits": "ok"}
    assert trees.rows(archive, "SELECT f.relpath FROM frame JOIN file f USING (file_id)") == [(b"b.fits",)]


def test_both_copies_moved(archive, data):
    write(data / "a/x.fits", 1)
    shutil.copyfile(data / "a/x.fits", data / "a/y.fits")
    write(data / "z.fits", 2)
    index(archive)
    (data / "a").rename(data / "b")
    assert counts(index(archive)) == {"moved": 2, "unchanged": 1}
    assert trees.frames_in(archive) == {"b/x.fits": [1], "b/y.fits": [1], "z.fits": [2]}


def test_one_move_and_one_copy(archive, data):
    write(data / "a.fits", 1)
    index(archive)
    shutil.copyfile(data / "a.fits", data / "b.fits")
    (data / "a.fits").rename(data / "c.fits")
    assert counts(index(archive)) == {"moved": 1, "duplicate": 1}
    assert trees.frames_in(archive) == {"b.fits": [1], "c.fits": [1]}


def test_an_equal_header_alone_merges_nothing(archive, data):
    write(data / "a.fits", 1, pixels=1)
    write(data / "b.fits", 1, pixels=2)
    assert counts(index(archive)) == {"new": 2, "frames": 2}
    (hashes,) = trees.rows(archive, "SELECT count(DISTINCT header_hash), count(DISTINCT data_sample) FROM frame")
    assert hashes == (1, 2)


def test_cards_that_do_not_count(archive, data):
    write(data / "a.fits", 1)
    with fits.open(data / "a.fits") as hdus:
        hdus[0].header["DATE"] = "2026-01-01"
        hdus[0].header["HISTORY"] = "copied"
        hdus[0].add_checksum()
        hdus[0].writeto(data / "b.fits")
    assert counts(index(archive)) == {"new": 1, "duplicate": 1, "frames": 1}


def test_a_gzipped_copy_is_the_same_frame(archive, data):
    write(data / "a.fits", 1)
    (data / "a.fits.gz").write_bytes(gzip.compress((data / "a.fits").read_bytes()))
    assert counts(index(archive)) == {"new": 1, "duplicate": 1, "frames": 1}
    (data / "b.fits.gz").write_bytes(gzip.compress(write(data / "b.dat", 1, pixels=7).read_bytes()))
    assert counts(index(archive)) == {"new": 1, "frames": 1, "unchanged": 2}


def test_hard_and_symbolic_links_are_the_same_frame_without_hashing(archive, data, monkeypatch):
    write(data / "a.fits", 1)
    os.link(data / "a.fits", data / "b.fits")
    (data / "c.fits").symlink_to("a.fits")
    monkeypatch.setattr("ezarchive.indexing.identity._hash", lambda *args: pytest.fail("was hashed"))
    assert counts(index(archive)) == {"new": 1, "duplicate": 2, "frames": 1}
    assert trees.frames_in(archive) == {"a.fits": [1], "b.fits": [1], "c.fits": [1]}


def test_frames_of_other_kinds_are_kept_apart(tmp_path):
    science, reference = tmp_path / "sci", tmp_path / "ref"
    write(science / "a.fits", 1)
    write(reference / "a.fits", 1)
    archive = trees.archive_of(tmp_path / "home", sci=science, ref={"path": reference, "layout": "", "kind": "reference"})
    assert counts(index(archive)) == {"new": 2, "frames": 2}
    assert trees.rows(archive, "SELECT kind FROM frame ORDER BY kind") == [("reference",), ("science",)]


def mef(path: Path, numbers, pixels=None) -> None:
    data = [np.random.default_rng(n).normal(size=(10, 12)).astype("f4") for n in (pixels or numbers)]
    images = [fits.ImageHDU(d, trees.cards(n), name=f"SCI{i}") for i, (n, d) in enumerate(zip(numbers, data, strict=True))]
    fits.HDUList([fits.PrimaryHDU(), *images]).writeto(path, overwrite=True)
    trees.age(path)


def test_several_extensions(archive, data):
    mef(data / "m.fits", [1, 2, 3])
    assert counts(index(archive)) == {"new": 1, "frames": 3}
    assert trees.rows(archive, "SELECT hdu FROM frame ORDER BY frame_id") == [(1,), (2,), (3,)]
    (data / "m.fits").rename(data / "n.fits")
    assert counts(index(archive)) == {"moved": 1}
    shutil.copyfile(data / "n.fits", data / "o.fits")
    assert counts(index(archive)) == {"duplicate": 1, "unchanged": 1}
    assert trees.frames_in(archive) == {"n.fits": [1, 2, 3], "o.fits": [1, 2, 3]}


def test_one_extension_of_several_changes(archive, data):
    mef(data / "m.fits", [1, 2, 3])
    index(archive)
    mef(data / "m.fits", [1, 2, 3], pixels=[1, 9, 3])
    os.utime(data / "m.fits")
    assert counts(index(archive)) == {"changed": 1, "frames": 1}
    assert trees.frames_in(archive) == {"m.fits": [1, 4, 3]}
    assert dict(trees.rows(archive, "SELECT frame_id, file_id IS NULL FROM frame")) == {1: 0, 2: 1, 3: 0, 4: 0}


def test_equal_extensions_of_one_file_are_frames_of_their_own(archive, data):
    images = [fits.ImageHDU(np.ones((10, 12), "f4"), trees.cards(1)) for _ in range(2)]
    fits.HDUList([fits.PrimaryHDU(), *images]).writeto(data / "m.fits")
    assert counts(index(archive)) == {"new": 1, "frames": 2}
    os.utime(data / "m.fits", (trees.OLD, trees.OLD))
    assert counts(index(archive)) == {"unchanged": 1}
    shutil.copyfile(data / "m.fits", data / "n.fits")
    assert counts(index(archive)) == {"duplicate": 1, "unchanged": 1}
    assert trees.frames_in(archive) == {"m.fits": [1, 2], "n.fits": [1, 2]}


def test_an_extension_is_added(archive, data):
    mef(data / "m.fits", [1, 2])
    index(archive)
    mef(data / "m.fits", [1, 2, 3])
    assert counts(index(archive)) == {"changed": 1, "frames": 1}
    assert trees.frames_in(archive) == {"m.fits": [1, 2, 3]}


def test_missing_and_back(archive, data, tmp_path):
    write(data / "a.fits", 1)
    write(data / "b.fits", 2)
    index(archive)
    shutil.move(data / "a.fits", tmp_path / "away.fits")
    assert counts(index(archive)) == {"missing": 1, "unchanged": 1}
    assert trees.states(archive) == {"a.fits": "missing", "b.fits": "ok"}
    assert trees.rows(archive, "SELECT sum(n) FROM rollup") == [(1,)]
    assert counts(index(archive)) == {"unchanged": 1}
    shutil.move(tmp_path / "away.fits", data / "a.fits")
    assert counts(index(archive)) == {"returned": 1, "unchanged": 1}
    assert trees.states(archive) == {"a.fits": "ok", "b.fits": "ok"}
    assert trees.frames_in(archive) == {"a.fits": [1], "b.fits": [2]}
    assert trees.rows(archive, "SELECT sum(n) FROM rollup") == [(2,)]


def test_missing_and_found_elsewhere(archive, data, tmp_path):
    write(data / "a.fits", 1)
    write(data / "b.fits", 2)
    index(archive)
    shutil.move(data / "a.fits", tmp_path / "away.fits")
    index(archive)
    shutil.move(tmp_path / "away.fits", data / "c.fits")
    assert counts(index(archive)) == {"moved": 1, "unchanged": 1}
    assert trees.states(archive) == {"b.fits": "ok", "c.fits": "ok"}


def test_parents_before_after_and_later(tmp_path, data):
    archive = trees.archive_of(tmp_path / "home", index={"batch_size": 1}, scidata=data)
    write(data / "a_first.fits", 1)
    write(data / "sub_a_first.fits", 1, pixels=5)
    write(data / "z_last.fits", 2)
    write(data / "sub_z_last.fits", 2, pixels=6)
    write(data / "sub_never.fits", 3)
    write(data / "sub_tomorrow.fits", 4)
    write(data / "x/sub_a_first.fits", 1, pixels=7)
    index(archive)

    def parents():
        query = "SELECT a.relpath, b.relpath FROM frame f JOIN file a USING (file_id) LEFT JOIN frame p ON p.frame_id = f.parent_id " \
            "LEFT JOIN file b ON b.file_id = p.file_id WHERE f.kind = 'derived' ORDER BY 1"  # fmt: skip
        return {a.decode(): b and b.decode() for a, b in trees.rows(archive, query)}

    expected = {"sub_a_first.fits": "a_first.fits", "sub_z_last.fits": "z_last.fits", "sub_never.fits": None, "sub_tomorrow.fits": None}
    assert parents() == {**expected, "x/sub_a_first.fits": None}
    write(data / "tomorrow.fits", 4, pixels=8)
    index(archive)
    assert parents()["sub_tomorrow.fits"] == "tomorrow.fits"
    write(data / "elsewhere/never.fits", 3, pixels=9)
    index(archive)
    assert parents()["sub_never.fits"] is None
    (data / "elsewhere/never.fits").rename(data / "never.fits")
    assert counts(index(archive))["moved"] == 1
    assert parents()["sub_never.fits"] == "never.fits"


@pytest.mark.parametrize("page", [20_000, 1])
def test_frames_whose_parent_never_comes_are_looked_at_only_after_many_arrivals(archive, data, monkeypatch, page):
    for number in range(3):
        write(data / f"sub_{number}.fits", number)
    index(archive)
    monkeypatch.setattr("ezarchive.index.PAGE", page)
    asked = []
    monkeypatch.setattr("ezarchive.index.find_parent", lambda conn, root_id, folder, name, *of: asked.append(name))
    write(data / "other.fits", 9)
    index(archive)
    assert asked == ([f"{number}.fits" for number in range(3)] if page == 1 else [])
    asked.clear()
    write(data / "1.fits", 10)
    index(archive)
    assert "1.fits" in asked
    assert page == 1 or len(asked) == 1


def test_roots_are_chosen_by_name(tmp_path):
    write(tmp_path / "one/a.fits", 1)
    write(tmp_path / "two/b.fits", 2)
    archive = trees.archive_of(tmp_path / "home", one=tmp_path / "one", two=tmp_path / "two")
    assert counts(index(archive, roots="two")) == {"new": 1, "frames": 1}
    assert list(trees.states(archive)) == ["b.fits"]
    shutil.rmtree(tmp_path / "two")
    assert counts(index(archive, roots=["one"])) == {"new": 1, "frames": 1}
    assert trees.states(archive)["b.fits"] == "ok"
    with pytest.raises(UnknownNameError, match=r"root 'thre': (must be one of|did you mean)"):
        index(archive, roots=["thre"])


@pytest.mark.parametrize("how", ["gone", "empty", "a file"])
def test_a_vanished_root_changes_nothing(tmp_path, how):
    write(tmp_path / "one/a.fits", 1)
    write(tmp_path / "two/b.fits", 2)
    archive = trees.archive_of(tmp_path / "home", one=tmp_path / "one", two=tmp_path / "two")
    index(archive)
    before = trees.dump(archive)
    write(tmp_path / "one/new.fits", 3)
    shutil.rmtree(tmp_path / "two")
    if how == "empty":
        (tmp_path / "two/lost+found").mkdir(parents=True)
    if how == "a file":
        (tmp_path / "two").write_text("")
    with pytest.raises(RootMissingError, match=rf"root 'two': {tmp_path}/two.*is the disk mounted"):
        index(archive)
    assert trees.dump(archive) == before
    shutil.rmtree(tmp_path / "two", ignore_errors=True)
    (tmp_path / "two").unlink(missing_ok=True)
    write(tmp_path / "two/b.fits", 2)
    assert counts(index(archive))["new"] == 1


def test_a_root_that_vanishes_while_it_is_walked_marks_nothing(archive, data, monkeypatch):
    write(data / "a.fits", 1)
    index(archive)
    walk = sys.modules["ezarchive.index"].Walk

    def unmounted(*args):
        tree = walk(*args)
        data.rename(data.with_name("away"))
        data.mkdir()
        return tree

    monkeypatch.setattr("ezarchive.index.Walk", unmounted)
    with pytest.raises(RootMissingError, match="is empty, but the archive knows files in it"):
        index(archive)
    assert trees.states(archive) == {"a.fits": "ok"}


def test_a_copy_of_what_lies_in_a_root_off_line_is_no_move(tmp_path):
    write(tmp_path / "one/a.fits", 1)
    write(tmp_path / "two/b.fits", 2)
    archive = trees.archive_of(tmp_path / "home", one=tmp_path / "one", two=tmp_path / "two")
    index(archive)
    (tmp_path / "two").rename(tmp_path / "away")
    (tmp_path / "two").mkdir()
    shutil.copy(tmp_path / "away/b.fits", tmp_path / "one/c.fits")
    assert counts(index(archive, roots="one")) == {"new": 1, "unchanged": 1, "frames": 1}
    assert trees.frames_in(archive) == {"a.fits": [1], "b.fits": [2], "c.fits": [3]}


def test_a_pattern_that_no_longer_asks_for_a_file_leaves_it_alone(archive, data):
    write(data / "a.fits", 1)
    write(data / "b.fit", 2)
    index(archive)
    narrow = archive.settings.index.model_copy(update={"pattern": ("*.fits",)})
    archive.settings = archive.settings.model_copy(update={"index": narrow})
    assert counts(index(archive)) == {"unchanged": 1}
    assert trees.states(archive) == {"a.fits": "ok", "b.fit": "ok"}


def test_a_link_that_broke_is_missing_and_in_quarantine(archive, data, tmp_path):
    write(tmp_path / "store/x.fits", 1)
    (data / "a.fits").symlink_to(tmp_path / "store/x.fits")
    write(data / "b.fits", 2)
    index(archive)
    (tmp_path / "store/x.fits").unlink()
    assert counts(index(archive)) == {"missing": 1, "unchanged": 1, "quarantined": 1}
    assert trees.states(archive) == {"a.fits": "missing", "b.fits": "ok"}
    assert trees.quarantine(archive) == [("a.fits", "walk", "broken_link")]


def test_an_empty_root_that_never_held_anything_is_fine(archive):
    assert counts(index(archive)) == {}
    assert "no files" in str(index(archive))


def test_a_root_taken_out_of_the_settings_is_left_alone(tmp_path):
    write(tmp_path / "one/a.fits", 1)
    write(tmp_path / "two/b.fits", 2)
    archive = trees.archive_of(tmp_path / "home", one=tmp_path / "one", two=tmp_path / "two")
    index(archive)
    only_one = {"one": archive.settings.roots["one"]}
    archive.settings = archive.settings.model_copy(update={"roots": only_one})
    assert counts(index(archive)) == {"unchanged": 1}
    assert trees.states(archive) == {"a.fits": "ok", "b.fits": "ok"}


def test_a_root_inside_another_and_the_home_are_not_walked_twice(tmp_path, data):
    write(data / "a.fits", 1)
    write(data / "ref/b.fits", 2)
    write(data / "home/maps/c.fits", 3)
    archive = trees.archive_of(data / "home", sci=data, ref={"path": data / "ref", "layout": "", "kind": "reference"})
    assert counts(index(archive)) == {"new": 2, "frames": 2}
    assert list(trees.states(archive)) == ["a.fits", "b.fits"]


def test_one_at_a_time(archive, data):
    write(data / "a.fits")
    with Lock(archive.home / LOCK_NAME, what="index"), pytest.raises(LockedError, match="'index' is running already"):
        index(archive)
    assert trees.states(archive) == {}
    assert index(archive).new == 1


def test_retry_reads_the_quarantine_again(archive, data, monkeypatch):
    (data / "bad.fits").write_text("no FITS file")
    index(archive)
    write(data / "good.dat", 1)
    assert counts(index(archive)) == {"unchanged": 1}
    assert counts(index(archive, retry=True)) == {"quarantined": 1}
    ((tries,),) = trees.rows(archive, "SELECT tries FROM quarantine")
    assert tries == 2


def test_what_could_not_be_measured_is_resolved_when_its_file_is_replaced(archive, data):
    path = data / "many.fits"
    images = [fits.ImageHDU(np.full((10, 12), value, "f4"), trees.cards(value)) for value in (50, 51)]
    fits.HDUList([fits.PrimaryHDU(), *images]).writeto(path)
    index(archive)
    with archive.database.begin() as conn:
        failed = trees.frames_in(archive)["many.fits"]
        for frame_id in failed:
            ingest.add_quarantine(conn, 1, b"many.fits", "measure", "no_valid_pixels", "nothing there", frame_id)
    images[1].data += 1
    fits.HDUList([fits.PrimaryHDU(), *images]).writeto(path, overwrite=True)
    assert counts(index(archive))["changed"] == 1
    # The first extension is as it was, and so is what is known of it.
    assert trees.rows(archive, "SELECT frame_id FROM quarantine WHERE resolved IS NULL") == [(failed[0],)]
    assert trees.rows(archive, "SELECT frame_id FROM quarantine WHERE resolved IS NOT NULL") == [(failed[1],)]


def test_a_lost_quarantined_file_is_missing_and_no_longer_in_quarantine(archive, data):
    (data / "bad.fits").write_text("no FITS file")
    write(data / "a.fits")
    index(archive)
    (data / "bad.fits").unlink()
    assert counts(index(archive)) == {"missing": 1, "unchanged": 1}
    assert trees.quarantine(archive) == []
    assert trees.states(archive) == {"a.fits": "ok", "bad.fits": "missing"}


def test_batches_of_any_size_and_workers_give_the_same_rows(tmp_path, data):
    for number in range(12):
        write(data / f"{number % 4}" / f"{number}.fits", number)
    shutil.copyfile(data / "0/0.fits", data / "3/copy.fits")
    write(data / "sub_x.fits", 30)
    write(data / "x.fits", 30, pixels=3)
    (data / "bad.fits").write_text("x")
    dumps = []
    for batch_size in (1, 3, 500):
        archive = trees.archive_of(tmp_path / f"home{batch_size}", index={"batch_size": batch_size}, scidata=data)
        index(archive)
        dumps.append(trees.dump(archive))
        archive.database.dispose()
    assert dumps[0] == dumps[1] == dumps[2]


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_worker_processes_give_the_same_rows(tmp_path, data, monkeypatch):
    monkeypatch.setattr(reading, "IN_PROCESS", 4)
    monkeypatch.setattr(reading, "CHUNK", 3)
    for number in range(20):
        write(data / f"{number % 4}" / f"{number}.fits", number)
    (data / "bad.fits").write_text("x")
    dumps = []
    for workers in (1, 2):
        archive = trees.archive_of(tmp_path / f"home{workers}", scidata=data)
        report = index(archive, workers=workers)
        assert (report.new, report.quarantined) == (20, 1)
        dumps.append(trees.dump(archive))
        archive.database.dispose()
    assert dumps[0] == dumps[1]


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_postgresql_holds_the_same_rows(tmp_path):
    server = engines.server()
    one, two = tmp_path / "one", tmp_path / "two"
    urls = {"sqlite": None, "postgresql": server.make()}
    archives = [trees.archive_of(tmp_path / name, url=url, index={"batch_size": 4}, one=one, two=two) for name, url in urls.items()]
    dumps = []
    for change in (trees.first_state, trees.second_state):
        change(one, two)
        for archive in archives:
            index(archive)
            assert verify(archive, sample="none").ok
            dumps.append(trees.dump(archive))
    assert dumps[0] == dumps[1]
    assert dumps[2] == dumps[3] != dumps[0]
    for archive in archives:
        archive.database.dispose()


def test_progress_is_shown_only_when_asked_or_on_a_terminal(archive, data, capsys):
    write(data / "a.fits")
    index(archive)
    assert capsys.readouterr() == ("", "")
    index(archive, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "index" in err


def test_report_prints_what_happened():
    text = str(IndexReport(new=3, quarantined=1, frames=5, elapsed=1.25, unknown=("filter u",), problems=(("a.fits", "empty", "0 bytes"),)))
    assert text.splitlines() == [
        "index: 3 new, 1 quarantined; 5 new frames; 1.2 s",
        "  met for the first time: filter u",
        "  a.fits: empty: 0 bytes",
    ]
    many = IndexReport(problems=tuple(("x", "empty", "") for _ in range(30)))
    assert str(many).splitlines()[-1] == "  and 10 more; `ezarchive quarantine` lists them all"


def test_nothing_is_written_in_the_tree(archive, data):
    write(data / "a/b.fits")
    before = {path: path.stat().st_mtime_ns for path in [data, *data.rglob("*")]}
    index(archive)
    assert {path: path.stat().st_mtime_ns for path in [data, *data.rglob("*")]} == before


def test_reread_gives_known_frames_the_fields_of_the_settings_of_today(tmp_path: Path, data: Path):
    write(data / "T1" / "a.fits", 1, OBJECT="x")
    write(data / "T1" / "b.fits", 2, OBJECT="x")
    with Archive.create(tmp_path / "home", roots={"scidata": {"path": data, "layout": ""}}) as archive:
        archive.index(progress=False)
        before = archive.sql("SELECT frame_id, objname, observatory FROM frames ORDER BY frame_id").to_pandas()
        assert set(before["objname"]) == {"x"}
    settings = tmp_path / "home" / config.FILE_NAME
    changed = settings.read_text().replace('layout = ""', 'layout = "{objname}"')
    settings.write_text(changed + '\n[roots.scidata.defaults]\nobservatory = "KASI"\n')
    with Archive.open(tmp_path / "home") as archive:
        assert archive.index(progress=False).unchanged == 2
        assert archive.sql("SELECT objname FROM frames").to_pandas()["objname"].unique().tolist() == ["x"]
        assert archive.index(reread=True, progress=False).unchanged == 2
        after = archive.sql("SELECT frame_id, objname, observatory FROM frames ORDER BY frame_id").to_pandas()
        assert after["frame_id"].tolist() == before["frame_id"].tolist()
        assert set(zip(after["objname"], after["observatory"], strict=True)) == {("T1", "KASI")}
        with archive.database.connect() as conn:
            (counted,) = audit.rollup(conn, ("objname", "observatory"))
        assert (counted["objname"], counted["observatory"], counted["n"]) == ("T1", "KASI", 2)
