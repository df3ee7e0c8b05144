"""Verify: compare the database with the files, and the files with what they were.

Nothing is repaired and nothing is written in a data root; only hashes of data units that were never made are added to the database, so
that the next call can tell whether the data have changed.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from astropy.table import QTable
from tqdm import tqdm

from ezarchive.associate import LOCK_NAME as STORE_LOCK
from ezarchive.batch import LOCK_NAME
from ezarchive.config import RootSettings
from ezarchive.database import ingest, queries, stores, targetlists, upkeep
from ezarchive.database.filerows import root_ids
from ezarchive.errors import FrameError, InputError
from ezarchive.files import Lock, is_temporary, sha256_file
from ezarchive.frames.header import data_hash
from ezarchive.indexing.ledger import plain
from ezarchive.indexing.walk import Walk, identity
from ezarchive.store import audit as store_audit

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ezarchive.archive import Archive

_YOUNG_SECONDS = 60

MADE = ("catalogs", "maps", "targets")
"""Folders of the home that hold only files with a row."""

_CHUNK = 200


class Finding(NamedTuple):
    """One thing that was found: where, and what is wrong with it."""

    path: str
    message: str


@dataclass(frozen=True)
class VerifyReport:
    """What an audit found.

    Attributes
    ----------
    rows_without_files : tuple of Finding
        The database, or the light-curve store, names a file that is not there.
    files_without_rows : tuple of Finding
        Science files that are not indexed; files in the home's ``catalogs``, ``maps`` and ``targets`` that the database does not know;
        leftovers beside the light-curve store.
    changed : tuple of Finding
        Files whose content is not the one that the database knows; a store whose rows are not those of its catalogs.
    quarantine, missing : tuple of Finding
        What the database lists itself: files that could not be read or measured, and files known to be gone.
    hashed, made : int
        Data units, catalogs and files of the store that were hashed; hashes that were made for the first time.
    elapsed : float
        Seconds.
    """

    rows_without_files: tuple[Finding, ...] = ()
    files_without_rows: tuple[Finding, ...] = ()
    changed: tuple[Finding, ...] = ()
    quarantine: tuple[Finding, ...] = field(default=(), repr=False)
    missing: tuple[Finding, ...] = field(default=(), repr=False)
    hashed: int = 0
    made: int = 0
    elapsed: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether database and files agree; what is listed as missing or quarantined is known, and does not count."""
        return not (self.rows_without_files or self.files_without_rows or self.changed)

    def _lists(self) -> Iterator[tuple[str, tuple[Finding, ...]]]:
        for name in ("rows_without_files", "files_without_rows", "changed", "missing", "quarantine"):
            yield name.replace("_", " "), getattr(self, name)

    def __str__(self) -> str:
        counts = ", ".join(f"{len(found)} {name}" for name, found in self._lists())
        verdict = "ok" if self.ok else "NOT ok"
        lines = [f"verify: {verdict}: {counts}; {self.hashed} hashed ({self.made} for the first time); {self.elapsed:.1f} s"]
        for name, found in self._lists():
            lines += [f"  {name}: {item.path}: {item.message}" for item in found[:20]]
            if len(found) > 20:
                lines.append(f"  {name}: {len(found) - 20} more")
        return "\n".join(lines)

    def table(self) -> QTable:
        """Return every finding as a table: ``what``, ``path``, ``message``."""
        rows = [(name, *item) for name, found in self._lists() for item in found]
        columns = list(zip(*rows, strict=True)) if rows else [(), (), ()]
        return QTable([list(column) for column in columns], names=("what", "path", "message"), dtype=(str, str, str))


def verify(
    archive: Archive,
    *,
    sample: float | str | None = None,
    seed: int | None = None,
    progress: bool | None = None,
) -> VerifyReport:
    """Compare the database with the files.

    Parameters
    ----------
    archive : Archive
    sample : float or str, optional
        How much to hash: None for everything, a share (up to 1), a number of data units and catalogs (whole, from 2), ``"none"`` or 0
        for nothing. A sample is another one at every call.
    seed : int, optional
        Of the sample, to draw the same one again.
    progress : bool, optional
        Show a progress bar on stderr; by default only if that is a terminal.

    Returns
    -------
    VerifyReport

    Raises
    ------
    InputError
        If ``sample`` is none of these.
    """
    started = time.monotonic()
    check_sample(sample)
    audit = _Audit(archive)
    audit.compare_roots()
    audit.compare_home()
    audit.compare_store()
    chosen = draw(audit.to_hash, sample, seed)
    with tqdm(total=len(chosen), desc="verify", disable=None if progress is None else not progress) as bar:
        for start in range(0, len(chosen), _CHUNK):
            audit.hash(chosen[start : start + _CHUNK])
            bar.update(len(chosen[start : start + _CHUNK]))
    return audit.report(time.monotonic() - started)


def check_sample(sample: float | str | None) -> None:
    """Check the argument ``sample`` of `verify`.

    Raises
    ------
    InputError
        If it is wrong.
    """
    if sample is None or sample == "none":
        return
    number = isinstance(sample, (int, float)) and not isinstance(sample, bool)
    if not number or not (0 <= sample <= 1 or (sample > 1 and float(sample).is_integer())):
        raise InputError(f"sample={sample!r}: must be None (all), a share from 0 to 1, a whole number from 2, or 'none'")


def draw(items: list[Any], sample: float | str | None, seed: int | None = None) -> list[Any]:
    """Return a random sample, in the order of the items: all for None or 1, at least one for any share above 0."""
    if sample is None:
        return items
    if sample == "none":
        return []
    number = -int(-float(sample) * len(items) // 1) if float(sample) <= 1 else int(sample)
    kept = set(random.Random(seed).sample(range(len(items)), min(number, len(items))))
    return [item for place, item in enumerate(items) if place in kept]


def _is_young(path: Path) -> bool:
    """Tell whether a file may be on its way into the database just now."""
    try:
        return time.time() - path.stat().st_mtime < _YOUNG_SECONDS
    except FileNotFoundError:
        return True


class _DataUnit(NamedTuple):
    """A frame in a file of a data root."""

    path: Path
    shown: str
    copy: upkeep.Copy


class _Made(NamedTuple):
    """A file in the home that has a hash."""

    path: Path
    shown: str
    sha256: str


class _Audit:
    """The lists of a report, as they grow."""

    def __init__(self, archive: Archive) -> None:
        self.home, self.settings, self.database = archive.home, archive.settings, archive.database
        self.rows_without_files: list[Finding] = []
        self.files_without_rows: list[Finding] = []
        self.changed: list[Finding] = []
        self.to_hash: list[_DataUnit | _Made] = []
        self.known: dict[int, str] = {}
        self.hashed = self.made = 0

    def compare_roots(self) -> None:
        """Compare the rows of every root with its tree."""
        with self.database.connect() as conn:
            ids = root_ids(conn)
            for name, root in self.settings.roots.items():
                if not root.path.is_dir():
                    message = f"root {name!r} is not there; none of its files was looked at"
                    self.rows_without_files.append(Finding(str(root.path), message))
                    continue
                others = [other.path for key, other in self.settings.roots.items() if key != name]
                tree = Walk(root.path, self.settings.index.pattern, {identity(path) for path in (self.home, *others)})
                self._compare_root(conn, root, ids.get(name, 0), tree)

    def _compare_root(self, conn: Connection, root: RootSettings, root_id: int, tree: Walk) -> None:
        here = {item.relpath: item for item in tree}
        rows = {row.relpath: row for row in ingest.signatures(conn, root_id)}
        same = set()
        for relpath, row in rows.items():
            item, shown = here.get(relpath), self._show(root, relpath)
            if item is None:
                # A file that is there may be one that the patterns no longer ask for.
                if row.state != "missing" and not tree.hides(relpath) and not (root.path / os.fsdecode(relpath)).exists():
                    self.rows_without_files.append(Finding(shown, "is not there; `ezarchive index` finds it or marks it missing"))
            elif row.state == "missing":
                self.changed.append(Finding(shown, "was missing and is there again; `ezarchive index` looks at it"))
            elif item[1:] == (row.size, row.mtime_ns, row.inode):
                same.add(relpath)
            elif row.state != "waiting":
                self.changed.append(Finding(shown, "size, time or inode is not the one known; `ezarchive index` looks at it"))
        for relpath in sorted(here.keys() - rows.keys()):
            self.files_without_rows.append(Finding(self._show(root, relpath), "is not indexed yet; `ezarchive index` does"))
        for copy in upkeep.copies(conn, root_id):
            if copy.relpath in same:
                self.to_hash.append(_DataUnit(root.path / os.fsdecode(copy.relpath), self._show(root, copy.relpath), copy))

    @staticmethod
    def _show(root: RootSettings, relpath: bytes) -> str:
        return f"{root.path}/{plain(relpath)}"

    def compare_home(self) -> None:
        """Compare the rows of catalogs and maps with the home."""
        # The files before the rows: what a batch at work adds in between has its row by then.
        files = [whole for folder in MADE for whole in sorted((self.home / folder).rglob("*")) if whole.is_file()]
        at_work = Lock(self.home / LOCK_NAME).holder() is not None
        with self.database.connect() as conn:
            rows = [(row.path, row.sha256) for row in queries.catalogs(conn, current=False)] + upkeep.product_files(conn)
            rows += [(item.path, item.sha256) for item in targetlists.every(conn)]
            self.quarantine = [
                Finding(plain(os.fsencode(row["path"] or f"frame {row['frame_id']}")), f"{row['stage']}: {row['code']}: {row['message']}")
                for row in queries.quarantine(conn)
            ]
            self.missing = [
                Finding(plain(os.fsencode(row["path"])), f"{row['n_frames']} frames lay in it, {row['n_lost']} lie nowhere else")
                for row in queries.missing(conn)
            ]
        for path, sha256 in rows:
            whole = self.home / path
            if not whole.is_file():
                self.rows_without_files.append(Finding(path, "is not there; measure the frame again"))
            elif sha256 is not None:
                self.to_hash.append(_Made(whole, path, sha256))
        named = {path for path, _ in rows}
        for whole in files:
            path = whole.relative_to(self.home).as_posix()
            if path not in named and not (at_work and _is_young(whole)):
                left = "left over from a process that was stopped" if is_temporary(whole.name) else "the database does not know it"
                self.files_without_rows.append(Finding(plain(os.fsencode(path)), left))

    def compare_store(self) -> None:
        """Compare the light-curve store with its manifest and with the rows of the database."""
        at_work = Lock(self.home / STORE_LOCK).holder() is not None
        with self.database.connect() as conn:
            number = stores.current(conn)
            stored = stores.stored(conn)
            versions = {row["number"]: row for row in stores.versions(conn)}
        found = store_audit.Audit()
        if number is not None:
            catalogs = dict(zip(stored["catalog_id"].to_pylist(), stored["n_rows"].to_pylist(), strict=True))
            totals = {name.removeprefix("n_"): versions[number][name] for name in stores.COUNTS}
            found = store_audit.audit(self.home, number, catalogs, totals)
        self.rows_without_files += [Finding(self._in_home(path), message) for path, message in found.missing]
        self.changed += [Finding(self._in_home(path), message) for path, message in found.changed]
        self.to_hash += [_Made(path, self._in_home(path), sha256) for path, sha256 in found.whole]
        for path in [] if at_work else store_audit.leftovers(self.home, number):
            message = "left over from a process that was stopped; `ezarchive associate` removes it"
            self.files_without_rows.append(Finding(self._in_home(path), message))

    def _in_home(self, path: Path) -> str:
        return path.relative_to(self.home).as_posix()

    def hash(self, part: list[_DataUnit | _Made]) -> None:
        """Hash files and compare; keep the hashes of data units that had none."""
        fresh: dict[int, str] = {}
        for item in part:
            try:
                found = data_hash(item.path, item.copy.hdu) if isinstance(item, _DataUnit) else sha256_file(item.path)
            except (OSError, FrameError) as err:
                self.changed.append(Finding(item.shown, f"cannot be read: {err}"))
                continue
            self.hashed += 1
            if isinstance(item, _Made):
                if found != item.sha256:
                    self.changed.append(Finding(item.shown, f"SHA-256 is {found}, was {item.sha256}"))
                continue
            copy = item.copy
            known = copy.data_hash or self.known.setdefault(copy.frame_id, found)
            if copy.data_hash is None and known is found:
                fresh[copy.frame_id] = found
            if found != known:
                self.changed.append(Finding(item.shown, f"data of HDU {copy.hdu}: SHA-256 is {found}, was {known}"))
        if fresh and self.database.write:
            with self.database.begin() as conn:
                ingest.set_data_hash(conn, fresh)
        self.made += len(fresh)

    def report(self, elapsed: float) -> VerifyReport:
        """Return the report."""
        return VerifyReport(
            tuple(self.rows_without_files), tuple(self.files_without_rows), tuple(self.changed), tuple(self.quarantine),
            tuple(self.missing), self.hashed, self.made, elapsed,
        )  # fmt: skip
