"""Walk a data root: which files lie in it, in the order of their paths, at the cost of one ``stat`` each.

Nothing is opened and nothing is written. Paths are bytes, because a file name need not be text.
"""

from __future__ import annotations

import errno
import fnmatch
import os
import re
import stat
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import NamedTuple

TEMPORARY = (b".tmp", b".temp", b".part", b".partial", b".filepart", b".crdownload", b".swp", b"~")
"""Ends of names that other programs give to files they have not finished; such files are not looked at (nor are dot-files)."""

Identity = tuple[int, int]
"""Device and inode."""

NOWHERE: Identity = (-1, -1)


class Found(NamedTuple):
    """A file that lies in the root, by its path relative to the root."""

    relpath: bytes
    size: int
    mtime_ns: int
    inode: int


class Obstacle(NamedTuple):
    """A file or folder that could not be looked at.

    Codes: ``no_permission``, ``broken_link``, ``link_loop``, ``not_a_file`` (a pipe or a device), ``io_error``.
    """

    relpath: bytes
    code: str
    message: str


class _Folder(NamedTuple):
    """A folder, or a symbolic link to one."""

    relpath: bytes
    linked: bool


_Item = Found | _Folder


class Walk:
    """The files below a folder whose names match a pattern, in plain byte order of their relative paths.

    Symbolic links are followed, with two exceptions that keep loops and doubles out: a link to a folder that the walk comes to
    anyway (inside the root), and a second link to the same folder.

    Parameters
    ----------
    top : pathlib.Path
        The root.
    patterns : collection of str
        Globs for the file name, upper or lower case, as ``*.fits``.
    skip : collection of (int, int)
        Device and inode of folders that are not entered (another root, the archive's home).

    Attributes
    ----------
    obstacles : list of Obstacle
        What could not be looked at; complete when the walk is.
    """

    def __init__(self, top: Path, patterns: Collection[str], skip: Collection[Identity] = ()) -> None:
        self.obstacles: list[Obstacle] = []
        self._top = os.fsencode(top)
        self._real = os.path.realpath(self._top)
        self._matches = matcher(patterns)
        self._never = {*skip, identity(self._top)} - {NOWHERE}
        self._linked: set[Identity] = set()

    def __iter__(self) -> Iterator[Found]:
        stack = [iter(self._folder(b""))]
        while stack:
            for item in stack[-1]:
                if isinstance(item, Found):
                    yield item
                elif self._worth_entering(item):
                    stack.append(iter(self._folder(item.relpath)))
                    break
            else:
                stack.pop()

    def hides(self, relpath: bytes) -> bool:
        """Whether a file is out of sight: it, or a folder above it, could not be looked at.

        What a broken link pointed to is not out of sight but gone.
        """
        blocked = {o.relpath for o in self.obstacles if o.code not in ("broken_link", "not_a_file")}
        return bool(blocked) and (b"" in blocked or any(part in blocked for part in _ancestry(relpath)))

    def _folder(self, folder: bytes) -> list[_Item]:
        """List a folder: files with their signature, folders by path, sorted as the full paths below them sort."""
        found: list[tuple[bytes, _Item]] = []
        prefix = folder + b"/" if folder else b""
        try:
            with os.scandir(os.path.join(self._top, folder)) as entries:  # noqa: PTH118  bytes
                for entry in entries:
                    name = entry.name
                    if name.startswith(b"."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        found.append((name + b"/", _Folder(prefix + name, False)))
                    elif (wanted := self._matches(name)) or entry.is_symlink():
                        self._file_or_link(entry, prefix + name, found, wanted)
        except FileNotFoundError:
            return []  # removed since its parent was listed
        except OSError as err:
            self._note(folder, err)
            return []
        found.sort()
        return [item for _, item in found]

    def _file_or_link(self, entry: os.DirEntry[bytes], relpath: bytes, found: list[tuple[bytes, _Item]], wanted: bool) -> None:
        try:
            status = entry.stat()
        except OSError as err:
            if not entry.is_symlink():
                if isinstance(err, FileNotFoundError):
                    return
                raise  # a folder that can be listed but not entered: it is noted once, not file by file
            if wanted:
                self._note(relpath, err, link=True)
            return
        if stat.S_ISREG(status.st_mode):
            if wanted:
                found.append((entry.name, Found(relpath, status.st_size, status.st_mtime_ns, status.st_ino)))
        elif stat.S_ISDIR(status.st_mode):
            found.append((entry.name + b"/", _Folder(relpath, True)))
        elif wanted:
            self.obstacles.append(Obstacle(relpath, "not_a_file", "is a pipe, a socket or a device; must be a regular file"))

    def _worth_entering(self, folder: _Folder) -> bool:
        path = os.path.join(self._top, folder.relpath)  # noqa: PTH118  bytes
        target = identity(path)
        if target in self._never or target in self._linked:
            return False
        if not folder.linked:
            return True
        real = os.path.realpath(path)
        if real.startswith(self._real + b"/"):
            inside = real[len(self._real) + 1 :]
            if not any(part.startswith(b".") for part in inside.split(b"/")):
                return False
        self._linked.add(target)
        return True

    def _note(self, relpath: bytes, err: OSError, *, link: bool = False) -> None:
        if err.errno in (errno.EACCES, errno.EPERM):
            code, must = "no_permission", "the user who indexes must be allowed to read it"
        elif err.errno == errno.ELOOP:
            code, must = "link_loop", "a symbolic link must lead to a file"
        elif link and err.errno in (errno.ENOENT, errno.ENOTDIR):
            code, must = "broken_link", "a symbolic link must lead to a file"
        else:
            code, must = "io_error", "it is looked at again next time"
        self.obstacles.append(Obstacle(relpath, code, f"{err.strerror}; {must}"))


def identity(path: bytes | str | Path) -> Identity:
    """Return device and inode of a file or folder, links followed; `NOWHERE` if there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116  bytes
    except OSError:
        return NOWHERE
    return status.st_dev, status.st_ino


def matcher(patterns: Collection[str]) -> Callable[[bytes], bool]:
    """Return a function that says whether a file name matches one of the globs and is not a temporary one.

    Upper and lower case are the same (of ASCII letters).
    """
    lowered = [os.fsencode(pattern).lower() for pattern in patterns]
    # Most globs ask for an ending, and `endswith` takes a tenth of a regular expression's time.
    ends = tuple(pattern[1:] for pattern in lowered if re.fullmatch(rb"\*[^*?\[]*", pattern))
    others = [pattern for pattern in lowered if not (pattern.startswith(b"*") and pattern[1:] in ends)]
    globs = [re.compile(fnmatch.translate(pattern.decode("latin-1")).encode("latin-1")) for pattern in others]

    def matches(name: bytes) -> bool:
        name = name.lower()
        return not name.endswith(TEMPORARY) and (name.endswith(ends) or any(glob.match(name) for glob in globs))

    return matches


def _ancestry(relpath: bytes) -> Iterator[bytes]:
    yield relpath
    while b"/" in relpath:
        relpath = relpath.rpartition(b"/")[0]
        yield relpath
