"""Files written whole or not at all, locks between processes, hashes, path components."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ezarchive import files
from ezarchive.errors import FrameError, InputError, LockedError
from ezarchive.files import Lock, atomic_write, check_folder, check_output, data_hash, decode_part, encode_part, is_temporary, sha256_file

CHILD_PAUSES = {
    "while writing": "stream.write(b'new' * 1000); stream.flush(); pause()",
    "before the fsync": "stream.write(b'new' * 1000)\n    os.fsync = lambda fd: pause()",
    "before the rename": "stream.write(b'new' * 1000)\n    pathlib.Path.replace = lambda self, to: pause()",
}


def start(code: str, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code, *args], stdout=subprocess.PIPE, text=True)


def killed(process: subprocess.Popen[str]) -> None:
    """Wait until the child says that it is ready, and kill it."""
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_outputs_that_could_not_be_written_are_told_before_they_are_made(tmp_path: Path) -> None:
    old, source = tmp_path / "old.json", tmp_path / "source.json"
    old.touch()
    source.touch()
    (tmp_path / "link.json").symlink_to(source)
    check_output(old, "--output", [source, tmp_path / "not_there"])
    check_output(tmp_path / "new.json", "--output", [source])
    check_output(Path("new.json"), "--output")
    for path, message in (
        (tmp_path, "must be a file, found a folder"),
        (tmp_path / "none" / "a.json", "'.*none': must be a folder that can be written"),
        (old / "a.json", "'.*old.json': must be a folder that can be written"),
        (tmp_path / "link.json", "would replace what it is made of"),
    ):
        with pytest.raises(InputError, match=f"--output '{path}': {message}"):
            check_output(path, "--output", [source])
    assert names(tmp_path) == ["link.json", "old.json", "source.json"]


@pytest.mark.pure
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="has no /proc")
def test_a_folder_that_takes_no_files_whatever_its_permissions_say():
    with pytest.raises(InputError, match="outdir '/proc': must be a folder that can be written"):
        check_folder(Path("/proc"), "outdir '/proc'")


def test_a_folder_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_folder(tmp_path, "outdir")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(InputError, match="outdir 'x': must be a folder that can be written"):
        check_folder(tmp_path, "outdir 'x'")


def test_a_file_appears_whole_and_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "x.bin"
    for content in (b"one", b"two"):
        with atomic_write(path) as stream:
            stream.write(content)
            assert is_temporary(Path(stream.name).name)
            assert Path(stream.name).parent == path.parent
            assert not path.exists() or path.read_bytes() == b"one"
        assert path.read_bytes() == content
    assert names(path.parent) == ["x.bin"]


def test_the_mode_follows_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        with atomic_write(tmp_path / "x") as stream:
            stream.write(b"")
    finally:
        os.umask(old)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640


def test_an_error_in_the_block_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")

    def write() -> None:
        with atomic_write(path) as stream:
            stream.write(b"new")
            raise RuntimeError("science went wrong")

    with pytest.raises(RuntimeError, match="science went wrong"):
        write()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["x"]


def test_fsync_comes_before_the_rename_and_the_folder_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (calls.append("folder" if Path(f"/proc/self/fd/{fd}").is_dir() else "file"), fsync(fd)))
    monkeypatch.setattr(Path, "replace", lambda self, to: (calls.append("rename"), replace(self, to))[1])
    with atomic_write(tmp_path / "x") as stream:
        stream.write(b"1")
    assert calls == ["file", "rename", "folder"]


@pytest.mark.parametrize("moment", CHILD_PAUSES)
def test_a_killed_writer_leaves_only_a_dot_file(tmp_path: Path, moment: str) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(b"old")
    code = (
        "import os, pathlib, sys, time\n"
        "from ezarchive.files import atomic_write\n"
        "def pause():\n    print('ready', flush=True); time.sleep(60)\n"
        f"with atomic_write(sys.argv[1]) as stream:\n    {CHILD_PAUSES[moment]}\n"
    )
    killed(start(code, str(path)))
    assert path.read_bytes() == b"old"
    left = [name for name in names(tmp_path) if name != path.name]
    assert len(left) == 1
    assert is_temporary(left[0])
    with atomic_write(path) as stream:
        stream.write(b"again")
    assert path.read_bytes() == b"again"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("a small tmpfs cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(path: Path) -> None:
    with atomic_write(path) as stream:
        for _ in range(100):
            stream.write(bytes(10_000))


def test_a_full_disk_leaves_nothing_behind(small_disk: Path) -> None:
    (small_disk / "x").write_bytes(b"old")
    with pytest.raises(OSError, match="nothing was written.*small/x") as caught:
        fill(small_disk / "x")
    assert caught.value.errno == errno.ENOSPC
    assert names(small_disk) == ["x"]
    assert (small_disk / "x").read_bytes() == b"old"


def test_a_full_disk_at_the_fsync_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device; nothing was written.*/x'") as caught:
        fill(tmp_path / "x")
    assert caught.value.errno == errno.ENOSPC
    assert names(tmp_path) == []


def test_a_folder_without_permission(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir()
    folder.chmod(0o555)
    code = (
        "import os, sys\n"
        "if os.geteuid() == 0:\n    os.setuid(65534)\n"
        "from ezarchive.files import atomic_write\n"
        "try:\n"
        "    with atomic_write(sys.argv[1]) as stream:\n        stream.write(b'x')\n"
        "except PermissionError as err:\n    print(err)\n"
    )
    # A child without root's rights must be able to reach the folder at all, and to import what was imported here.
    for parent in [folder.parent, *folder.parent.parents]:
        if parent.stat().st_uid == os.geteuid() and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    code = code.replace("from ezarchive", "sys.path[:0] = sys.argv[2:]\nfrom ezarchive").replace(
        "if os.geteuid", "import ezarchive.files\nif os.geteuid"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder / "x")], capture_output=True, text=True, check=True)
    assert "nothing was written" in done.stdout
    assert "closed/x" in done.stdout
    assert names(folder) == []


def test_an_error_of_the_block_keeps_its_own_file_name(tmp_path: Path) -> None:
    def write() -> None:
        with atomic_write(tmp_path / "x"):
            (tmp_path / "not-there").read_bytes()

    with pytest.raises(FileNotFoundError, match="not-there"):
        write()
    assert names(tmp_path) == []


def test_writers_at_once_give_one_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x"
    contents = [bytes([n]) * 200_000 for n in range(8)]

    def write(content: bytes) -> None:
        with atomic_write(path) as stream:
            for begin in range(0, len(content), 1000):
                stream.write(content[begin : begin + 1000])

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert not path.exists() or path.read_bytes() in contents
    for thread in threads:
        thread.join()
    assert path.read_bytes() in contents
    assert names(path.parent) == ["x"]


def test_the_longest_names_have_room_for_the_temporary_one(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 127)
    with atomic_write(path) as stream:
        stream.write(b"1")
        assert len(os.fsencode(Path(stream.name).name)) <= 255
    assert path.read_bytes() == b"1"


def test_hashes(tmp_path: Path) -> None:
    path = tmp_path / "x"
    content = os.urandom(3_000_001)
    path.write_bytes(content)
    assert sha256_file(path) == hashlib.sha256(content).hexdigest()
    assert data_hash(path, 0, len(content)) == sha256_file(path)
    assert data_hash(path, 2880, 1_500_000) == hashlib.sha256(content[2880:1_502_880]).hexdigest()
    assert data_hash(path, 5, 0) == hashlib.sha256(b"").hexdigest()
    with pytest.raises(FrameError, match="ends 9 bytes before the end of its data unit") as caught:
        data_hash(path, 10, len(content) - 1)
    assert caught.value.code == "truncated"


HOLDER = """
import sys, time
from ezarchive.files import Lock
with Lock(sys.argv[1], what="nightly"):
    print("ready", flush=True)
    time.sleep(60)
"""


def test_a_lock_is_for_one(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "index.lock"
    with Lock(path, what="index") as lock:
        found = lock.holder()
        assert found is not None
        assert (found["pid"], found["what"]) == (os.getpid(), "index")
        assert Lock(path).holder() == found
        with pytest.raises(LockedError, match=rf"index\.lock: 'index' is running already \(process {os.getpid()} on .*, since 20"):
            Lock(path, what="other").__enter__()
    assert Lock(path).holder() is None
    with Lock(path):
        pass


def test_the_lock_is_freed_when_the_block_fails(tmp_path: Path) -> None:
    def work() -> None:
        with Lock(tmp_path / "l"):
            raise RuntimeError("went wrong")

    with pytest.raises(RuntimeError, match="went wrong"):
        work()
    assert Lock(tmp_path / "l").holder() is None


def test_a_lock_of_another_process_and_of_a_killed_one(tmp_path: Path) -> None:
    path = tmp_path / "l"
    child = start(HOLDER, str(path))
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    found = Lock(path).holder()
    assert found is not None
    assert (found["pid"], found["what"]) == (child.pid, "nightly")
    with pytest.raises(LockedError, match=rf"'nightly' is running already \(process {child.pid}"):
        Lock(path).__enter__()
    child.kill()
    child.wait()
    child.stdout.close()
    assert b"nightly" in path.read_bytes()
    assert Lock(path).holder() is None
    with Lock(path, what="index") as lock:
        found = lock.holder()
        assert found is not None
        assert found["pid"] == os.getpid()


@pytest.mark.parametrize("content", [b"", b"not json", b"[1]"])
def test_a_lock_file_that_says_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "l"
    path.write_bytes(content)
    assert Lock(path).holder() is None
    with Lock(path, what="index"):
        path.write_bytes(content)
        with pytest.raises(LockedError, match="another process has the lock"):
            Lock(path).__enter__()


def test_only_one_of_many_gets_the_lock(tmp_path: Path) -> None:
    inside, most, got = [0], [0], [0]

    def work() -> None:
        for _ in range(30):
            try:
                with Lock(tmp_path / "l"):
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                    got[0] += 1
                    time.sleep(0.0005)
                    inside[0] -= 1
            except LockedError:
                time.sleep(0.0003)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    assert got[0] > 0


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (None, "_"),
        ("_", "%5F"),
        ("", "%"),
        ("7DT_C361K_HIGH_1x1", "7DT_C361K_HIGH_1x1"),
        ("NGC 1365", "NGC%201365"),
        ("..", "%2E."),
        (".hidden", "%2Ehidden"),
        ("a/b", "a%2Fb"),
        ("50%", "50%25"),
        ("x\ny\0", "x%0Ay%00"),
        ("[a]*?", "%5Ba%5D%2A%3F"),
        ("\udcff", "%FF"),
        ("은하", "%EC%9D%80%ED%95%98"),
    ],
)
def test_path_components(text: str | None, part: str) -> None:
    assert encode_part(text) == part
    assert decode_part(part) == text


@given(st.none() | st.text(max_size=60))
def test_path_components_round_trip(text: str | None) -> None:
    # Lone surrogates stand for no file name and no header text, but for those of the surrogate escape.
    if text is not None and any("\ud800" <= c <= "\udfff" for c in text):
        return
    part = encode_part(text)
    assert part
    assert part.isascii()
    assert not set(part) & set("/\0\n*?[")
    assert not part.startswith(".")
    assert len(part) <= files.MAX_PART_BYTES
    if "%~" not in part:
        assert decode_part(part) == text


@given(st.binary(min_size=1, max_size=30))
def test_names_of_any_bytes_round_trip(name: bytes) -> None:
    text = name.decode("utf-8", "surrogateescape")
    assert decode_part(encode_part(text)) == text


@given(st.text("ab은", min_size=201, max_size=400), st.text("ab은", min_size=201, max_size=400))
def test_long_components_are_cut_and_stay_apart(one: str, other: str) -> None:
    part = encode_part(one)
    assert len(part) == files.MAX_PART_BYTES
    assert (part == encode_part(other)) == (one == other)
    with pytest.raises(InputError, match="was cut at 200 bytes"):
        decode_part(part)


def test_a_text_that_looks_cut_is_not() -> None:
    assert decode_part(encode_part("abc%~0011223344556677")) == "abc%~0011223344556677"


@pytest.mark.parametrize("n", [1, 7])
def test_many_files_are_made_durable_at_once(tmp_path, monkeypatch, n):
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (synced.append(descriptor), fsync(descriptor)))
    paths = [tmp_path / f"{name}.bin" for name in range(n)]
    for path in paths:
        with files.atomic_write(path, durable=False) as stream:
            stream.write(b"x")
    assert not synced
    files.sync_files(paths)
    assert len(synced) == (0 if n > 4 and sys.platform == "linux" else n + 1)
    monkeypatch.setattr(files, "_sync_file_system", lambda folder: False)
    files.sync_files(paths)
    assert len(synced) >= n + 1
    assert [path.read_bytes() for path in paths] == [b"x"] * n
