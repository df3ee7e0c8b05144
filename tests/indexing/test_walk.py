"""The walk: which files it finds, in which order, and what it says of the others."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ezarchive.config import IndexSettings
from ezarchive.indexing import walk

PATTERNS = IndexSettings().pattern


@pytest.fixture
def public_path():
    """A folder that a process without root's rights can reach (pytest's own is closed to it)."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def put(top: Path, *names: str | bytes) -> None:
    for name in names:
        path = top / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def found(top: Path, **options) -> list[bytes]:
    return [f.relpath for f in walk.Walk(top, PATTERNS, **options)]


NAME = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=4).filter(lambda n: n not in (".", ".."))
PATHS = st.lists(st.lists(st.one_of(NAME, st.sampled_from(["a", "a.", "a-", "a0", "ab", "A"])), min_size=1, max_size=4), max_size=12)


@pytest.mark.pure
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(paths=PATHS)
def test_order_is_that_of_the_bytes_of_the_whole_path(tmp_path: Path, paths):
    top = tmp_path / "top"
    shutil.rmtree(top, ignore_errors=True)
    top.mkdir()
    for parts in paths:
        try:
            put(top, "/".join(parts) + ".fits")
        except (NotADirectoryError, IsADirectoryError, FileExistsError):
            continue
    everything = (path.relative_to(top) for path in top.rglob("*") if path.is_file())
    expected = sorted(os.fsencode(path) for path in everything if not any(part.startswith(".") for part in path.parts))
    assert found(top) == expected


@pytest.mark.pure
def test_which_names_count():
    matches = walk.matcher(PATTERNS)
    for name in (b"a.fits", b"a.FIT", b"a.fts", b"a.fits.fz", b"a.fits.GZ", b"\xff\xfe.fits", b"a b\n'\".fits", b"a.fit.gz"):
        assert matches(name), name
    for name in (b"a.txt", b"a.gz", b"a.fits~", b"a.fits.tmp", b"a.fits.part", b"fits", b"a.fits.bak"):
        assert not matches(name), name
    odd = walk.matcher(["night?_[ab]*.img", "x.fits", "*.dat"])
    assert odd(b"NIGHT1_a7.img")
    assert odd(b"X.fits")
    assert odd(b"q.DAT")
    assert not odd(b"y.fits")
    assert not odd(b"night1_c.img")
    assert walk.matcher(["*"])(b"anything")


def test_signature_is_that_of_stat(tmp_path: Path):
    put(tmp_path, "a/b.fits")
    (item,) = walk.Walk(tmp_path, PATTERNS)
    status = (tmp_path / "a/b.fits").stat()
    assert item == (b"a/b.fits", status.st_size, status.st_mtime_ns, status.st_ino)


def test_hidden_and_unfinished_files_are_left_alone(tmp_path: Path):
    put(tmp_path, "a.fits", ".a.fits", ".hidden/b.fits", "c.fits.part", "d.fits~", "notes.txt")
    assert found(tmp_path) == [b"a.fits"]


def test_loops_of_links_end_and_lose_nothing(tmp_path: Path):
    top = tmp_path / "top"
    put(top, "a/one.fits", "b/two.fits", ".store/three.fits")
    put(tmp_path / "elsewhere", "four.fits")
    (top / "a/loop").symlink_to(top)
    (top / "b/loop").symlink_to("../b")
    (top / "again").symlink_to("b")
    (top / "store").symlink_to(".store")
    (top / "other").symlink_to(tmp_path / "elsewhere")
    (top / "other2").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(top)
    (tmp_path / "elsewhere/up").symlink_to(tmp_path)
    (top / "me.fits").symlink_to("me.fits")
    tree = walk.Walk(top, PATTERNS)
    assert [f.relpath for f in tree] == [b"a/one.fits", b"b/two.fits", b"other/four.fits", b"store/three.fits"]
    assert [(o.relpath, o.code) for o in tree.obstacles] == [(b"me.fits", "link_loop")]


def test_links_to_files(tmp_path: Path):
    put(tmp_path, "real.fits", "data.bin")
    (tmp_path / "a.fits").symlink_to("real.fits")
    (tmp_path / "b.fits").symlink_to("data.bin")
    (tmp_path / "c.txt").symlink_to("real.fits")
    (tmp_path / "gone.fits").symlink_to("nowhere")
    (tmp_path / "gone.txt").symlink_to("nowhere")
    tree = walk.Walk(tmp_path, PATTERNS)
    items = {f.relpath: f for f in tree}
    assert list(items) == [b"a.fits", b"b.fits", b"real.fits"]
    assert items[b"a.fits"][1:] == items[b"real.fits"][1:]
    assert [(o.relpath, o.code) for o in tree.obstacles] == [(b"gone.fits", "broken_link")]
    assert not tree.hides(b"gone.fits")


@pytest.mark.timeout(5)
def test_a_pipe_is_not_opened(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.fits")
    tree = walk.Walk(tmp_path, PATTERNS)
    assert list(tree) == []
    assert [o.code for o in tree.obstacles] == ["not_a_file"]


def test_folders_to_skip(tmp_path: Path):
    put(tmp_path, "a/x.fits", "ref/y.fits")
    (tmp_path / "link").symlink_to("ref")
    assert found(tmp_path, skip={walk.identity(tmp_path / "ref")}) == [b"a/x.fits"]
    assert found(tmp_path, skip={walk.NOWHERE}) == [b"a/x.fits", b"ref/y.fits"]


def test_a_folder_named_like_a_file(tmp_path: Path):
    put(tmp_path, "a.fits/b.fits", "a.fitt")
    assert found(tmp_path) == [b"a.fits/b.fits"]


UNREADABLE = textwrap.dedent("""
    import os, sys
    from pathlib import Path
    from ezarchive.indexing import walk
    from ezarchive.config import IndexSettings
    os.setgid(65534); os.setuid(65534)
    tree = walk.Walk(Path(sys.argv[1]), IndexSettings().pattern)
    print([f.relpath for f in tree])
    print(sorted((o.relpath, o.code) for o in tree.obstacles))
    print([tree.hides(p) for p in (b"closed/a.fits", b"closed/deep/a.fits", b"listed/a.fits", b"open/a.fits", b"closed.fits")])
""")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can drop its rights")
def test_folders_without_permission(public_path: Path):
    top = public_path / "top"
    put(top, "closed/a.fits", "closed/deep/a.fits", "listed/a.fits", "listed/b.fits", "open/a.fits", "closed.fits")
    (top / "closed").chmod(0o000)
    (top / "listed").chmod(0o444)
    done = subprocess.run([sys.executable, "-c", UNREADABLE, str(top)], capture_output=True, text=True, check=True, cwd="/")
    items, obstacles, hidden = done.stdout.splitlines()
    assert items == "[b'closed.fits', b'open/a.fits']"
    assert obstacles == "[(b'closed', 'no_permission'), (b'listed', 'no_permission')]"
    assert hidden == "[True, True, True, False, False]"
