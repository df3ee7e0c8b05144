"""Files written whole or not at all, hashes, locks between processes, and safe path components.

A file is written as ``.<name>.<pid>-<random>.tmp`` in its own folder, fsynced, renamed, and the folder fsynced. After a kill at any
point there is either the old file, or the new one, and at most a dot-file beside it.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import hashlib
import json
import os
import secrets
import socket
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self
from urllib.parse import quote, unquote

from ezarchive.errors import FrameError, InputError, LockedError

CHUNK = 1 << 20
_FEW_FILES = 4
MAX_PART_BYTES = 200
"""Longest encoded path component: it leaves room for ``.<frame_id>.parquet`` and a temporary name in the usual 255 bytes."""

_SAFE = "-_.~+=,@"
_SHORTENED = "%~"


@contextlib.contextmanager
def atomic_write(path: Path | str, *, durable: bool = True) -> Iterator[BinaryIO]:
    """Write a file whole or not at all.

    Parameters
    ----------
    path : path
        Its final name. Missing folders are made. What is there already is replaced when the block ends well.
    durable : bool
        Whether it must have reached the disk at the end; False where `sync_files` follows, for many files at once. A power failure
        before that may leave a torn file under the final name.

    Yields
    ------
    binary file
        Open for writing.

    Raises
    ------
    OSError
        If the file cannot be written (a full disk, no permission); the temporary file is gone then, and what was there before is
        untouched. The error names `path`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_write(Path(folder) / "a.txt") as stream:
    ...         _ = stream.write(b"whole")
    ...     (Path(folder) / "a.txt").read_text()
    'whole'
    """
    path = Path(path)
    make_folder(path.parent)
    temporary = path.parent / temporary_name(path.name)
    try:
        stream = temporary.open("xb")
        try:
            with stream:
                yield stream
                stream.flush()
                if durable:
                    os.fsync(stream.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        if durable:
            sync_folder(path.parent)
    except OSError as err:
        if err.filename is None or str(err.filename) == str(temporary):
            raise OSError(err.errno, f"{err.strerror}; nothing was written", str(path)) from err
        raise


def check_folder(folder: Path, name: str) -> None:
    """Refuse a folder in which no file could be written, before work is done for one.

    Parameters
    ----------
    folder : Path
    name : str
        The argument and what it says, for messages.

    Raises
    ------
    InputError
        If it is not there, is no folder, or may not be written.
    """
    if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        found = "one that may not be written" if folder.is_dir() else "a file" if folder.exists() else "nothing there"
        raise InputError(f"{name}: must be a folder that can be written, found {found}")
    probe = folder / temporary_name("probe")
    try:  # what may be written by its permissions may still refuse: /proc, a full or read-only disk
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as err:
        raise InputError(f"{name}: must be a folder that can be written: {err.strerror or err}") from err


def check_output(path: Path, name: str, sources: Iterable[Path] = ()) -> None:
    """Refuse a file that `atomic_write` could not or must not write, before work is done for it.

    Parameters
    ----------
    path : Path
        What is there already may be replaced, unless it is a folder.
    name : str
        The argument, for messages.
    sources : iterable of Path
        Files that must not be replaced: what `path` is made of.

    Raises
    ------
    InputError
        If its folder is not there or may not be written, or `path` is a folder or one of the sources.
    """
    if path.is_dir():
        raise InputError(f"{name} {str(path)!r}: must be a file, found a folder")
    check_folder(path.parent, f"{name} {str(path)!r}: {str(path.parent)!r}")
    if path.exists() and any(path.samefile(one) for one in sources if one.exists()):
        raise InputError(f"{name} {str(path)!r}: would replace what it is made of")


def temporary_name(name: str) -> str:
    """Return a name of this process's own for a file that is to become `name`."""
    kept = os.fsdecode(os.fsencode(name)[:MAX_PART_BYTES])
    return f".{kept}.{os.getpid()}-{secrets.token_hex(4)}.tmp"


def is_temporary(name: str) -> bool:
    """Tell whether a file name is one that `atomic_write` gives before the rename."""
    return name.startswith(".") and name.endswith(".tmp")


def make_folder(path: Path) -> None:
    """Make a folder and the missing ones above it, and fsync what holds them."""
    missing = []
    while not path.exists():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_files(paths: Iterable[Path]) -> None:
    """Make files and their names durable: all of a file system at once where that is possible (Linux), else one by one."""
    listed = list(paths)
    if len(listed) > _FEW_FILES and _sync_file_system(listed[0].parent):
        return
    for path in listed:
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
    for folder in {path.parent for path in listed}:
        sync_folder(folder)


def _sync_file_system(folder: Path) -> bool:
    call = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None) if sys.platform == "linux" else None
    if call is None:
        return False
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return call(descriptor) == 0
    finally:
        os.close(descriptor)


def sha256_file(path: Path | str) -> str:
    """Return the SHA-256 of a file, 64 hex digits."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def data_hash(path: Path | str, offset: int, nbytes: int) -> str:
    """Return the SHA-256 of a part of a file, 64 hex digits.

    Parameters
    ----------
    path : path
        The file.
    offset : int
        First byte.
    nbytes : int
        Number of bytes.

    Raises
    ------
    FrameError
        ``truncated``, if the file ends before.
    """
    digest = hashlib.sha256()
    left = nbytes
    with Path(path).open("rb") as stream:
        stream.seek(offset)
        while left > 0:
            block = stream.read(min(left, CHUNK))
            if not block:
                raise FrameError("truncated", f"{path}: ends {left} bytes before the end of its data unit ({offset} + {nbytes})")
            digest.update(block)
            left -= len(block)
    return digest.hexdigest()


class Lock:
    """A lock that only one process (and one holder in it) has at a time.

    The kernel frees it when the process dies, so a file left behind by a dead one is taken over. The file itself stays, and says who
    has the lock.

    Parameters
    ----------
    path : path
        The lock's file; its folder is made.
    what : str
        What is being done, for the message to the others.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Lock(Path(folder) / "index.lock", what="index") as lock:
    ...         lock.holder()["what"]
    'index'
    """

    def __init__(self, path: Path | str, *, what: str = "ezarchive") -> None:
        self.path = Path(path)
        self.what = what
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            os.close(descriptor)
            raise LockedError(self._locked_message()) from err
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": _now(), "what": self.what}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def holder(self) -> dict[str, Any] | None:
        """Return who has the lock: ``pid``, ``host``, ``since`` (ISO UTC), ``what``; None when it is free or not written yet."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            if self._descriptor is None:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    pass
                else:
                    return None
            text = os.pread(descriptor, 4096, 0)
        finally:
            os.close(descriptor)
        try:
            found = json.loads(text)
        except ValueError:
            return None
        return found if isinstance(found, dict) else None

    def _locked_message(self) -> str:
        found = self.holder()
        if found is None:
            return f"{self.path}: another process has the lock for {self.what!r}; wait until it has ended"
        return (
            f"{self.path}: {found.get('what')!r} is running already (process {found.get('pid')} on {found.get('host')}, "
            f"since {found.get('since')}); wait until it has ended"
        )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def encode_part(text: str | None) -> str:
    """Return one path component for any text.

    ASCII letters, digits and ``-_.~+=,@`` stay; all else is percent-encoded, and so are a leading dot and a lone ``_``, which stands
    for None. A component over 200 bytes is cut and marked with a hash; that one cannot be decoded.

    Parameters
    ----------
    text : str or None
        Any text, with surrogate escapes where a file name is not UTF-8.

    Returns
    -------
    str

    Examples
    --------
    >>> encode_part("NGC 1365"), encode_part(None), encode_part("_"), encode_part("../x")
    ('NGC%201365', '_', '%5F', '%2E.%2Fx')
    """
    if text is None:
        return "_"
    if text in ("", "_"):
        return "%5F" if text else "%"
    part = quote(text, safe=_SAFE, errors="surrogateescape")
    if part.startswith("."):
        part = "%2E" + part[1:]
    if len(part) > MAX_PART_BYTES:
        digest = hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
        part = part[: MAX_PART_BYTES - len(_SHORTENED) - len(digest)] + _SHORTENED + digest
    return part


def decode_part(part: str) -> str | None:
    """Return the text of a path component made by `encode_part`.

    Raises
    ------
    InputError
        If the component was cut.

    Examples
    --------
    >>> decode_part("NGC%201365"), decode_part("_")
    ('NGC 1365', None)
    """
    if part == "_":
        return None
    if part == "%":
        return ""
    if _SHORTENED in part:
        raise InputError(f"path component {part!r}: was cut at {MAX_PART_BYTES} bytes, its text must be looked up in the database")
    return unquote(part, errors="surrogateescape")
