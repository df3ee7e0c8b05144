"""Index: bring the database up to date with the data roots.

The tree is walked in the order of its paths beside the rows that the database has, in the same order. A file whose path, size, time and
inode are those of its row costs nothing more. The others are read by worker processes, compared with what is known (`identity`), and
entered by this process alone, one transaction a batch (`ledger`). What is then known but was not met is marked missing. Killed
anywhere and run again, the result is that of one run. Data roots are only read.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from ezarchive.config import RootSettings
from ezarchive.database import ingest, upkeep
from ezarchive.database.ingest import Signature
from ezarchive.database.names import all_names
from ezarchive.errors import RootMissingError, UnknownNameError
from ezarchive.files import Lock
from ezarchive.frames.instruments import Instruments
from ezarchive.indexing.ledger import STAGE, Ledger, find_parent, plain
from ezarchive.indexing.reading import Source, read_many
from ezarchive.indexing.walk import Found, Walk, identity

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ezarchive.archive import Archive

LOCK_NAME = ".index.lock"
WALK = "walk"
"""Stage of the quarantine: what the walk could not look at."""

PAGE = 20_000
"""Rows that are looked at in one transaction."""

MANY = 5000
"""New frames after which the statistics of the query planner are renewed."""

SETTLED = ("ok", "corrupt")
"""States of a file that is not read again unless it changes."""


@dataclass(frozen=True)
class IndexReport:
    """What a run of the indexer met: counts of files, of new frames, and what went wrong.

    Every file in a root counts once: ``new``; ``changed`` (other content under a known path); ``moved`` (a vanished path's content);
    ``duplicate`` (content of a file that is still there); ``returned`` (missing or unreadable before, with the content it had);
    ``waiting`` (still growing, or not readable at the moment); ``quarantined``; ``unchanged``. ``missing`` are the files that this run
    found to be gone, ``frames`` the new frames, ``elapsed`` seconds, ``unknown`` the telescopes and filters that were met for the first
    time, ``problems`` holds ``(path, code, message)``, as the table ``quarantine`` does (stages ``walk`` and ``index``).
    """

    new: int = 0
    changed: int = 0
    moved: int = 0
    duplicate: int = 0
    returned: int = 0
    waiting: int = 0
    missing: int = 0
    quarantined: int = 0
    unchanged: int = 0
    frames: int = 0
    elapsed: float = 0.0
    unknown: tuple[str, ...] = ()
    problems: tuple[tuple[str, str, str], ...] = ()

    def __str__(self) -> str:
        names = ("new", "changed", "moved", "duplicate", "returned", "waiting", "missing", "quarantined", "unchanged")
        counts = ", ".join(f"{getattr(self, name)} {name}" for name in names if getattr(self, name))
        lines = [f"index: {counts or 'no files'}; {self.frames} new frames; {self.elapsed:.1f} s"]
        if self.unknown:
            lines.append(f"  met for the first time: {', '.join(self.unknown)}")
        lines += [f"  {path}: {code}: {message}" for path, code, message in self.problems[:20]]
        if len(self.problems) > 20:
            lines.append(f"  and {len(self.problems) - 20} more; `ezarchive quarantine` lists them all")
        return "\n".join(lines)


def index(
    archive: Archive,
    *,
    roots: str | Iterable[str] | None = None,
    workers: int | None = None,
    retry: bool = False,
    reread: bool = False,
    progress: bool | None = None,
) -> IndexReport:
    """Bring the database up to date with the data roots.

    Parameters
    ----------
    archive : Archive
    roots : str or iterable of str, optional
        Names of the roots to walk; all by default. The rows of others are left alone.
    workers : int, optional
        Processes that read headers; by default the one in ``ezarchive.toml``, else the cores.
    retry : bool
        Read quarantined files again although they have not changed.
    reread : bool
        Read every file again, so that changed settings (layout, order, defaults, instruments, sites) reach the frames that are known, and
        content that changed while path, size, time and inode stayed (`verify` finds it) is entered.
    progress : bool, optional
        Show a progress bar on stderr; by default only if that is a terminal.

    Returns
    -------
    IndexReport

    Raises
    ------
    RootMissingError
        If a root is not there, cannot be read, or is empty although the database knows files in it. Nothing has been changed then.
    UnknownNameError
        If ``roots`` holds a name that is not one of a root.
    LockedError
        If another process is indexing this archive.
    """
    started = time.monotonic()
    chosen = _choose(archive.settings.roots, roots)
    with Lock(archive.home / LOCK_NAME, what="index"):
        run = _Run(archive, workers=workers, retry=retry, reread=reread)
        ids = run.register(chosen)
        with tqdm(desc="index", unit=" files", disable=None if progress is None else not progress) as bar:
            for name in chosen:
                run.walk(name, ids[name], bar)
        run.finish(ids)
        if run.counts["frames"] >= MANY:
            archive.database.optimize()
        return run.report(time.monotonic() - started)


def _choose(roots: dict[str, RootSettings], asked: str | Iterable[str] | None) -> list[str]:
    if asked is None:
        return list(roots)
    names = [asked] if isinstance(asked, str) else list(asked)
    for name in names:
        if name not in roots:
            raise UnknownNameError("root", name, roots)
    return list(dict.fromkeys(names))


class _Run:
    """One run: what it works with, and what it has met so far."""

    def __init__(self, archive: Archive, *, workers: int | None, retry: bool, reread: bool) -> None:
        settings = archive.settings
        self.database, self.roots, self.settings = archive.database, settings.roots, settings.index
        self.workers = workers if workers is not None else settings.index.workers
        self.again = SETTLED if reread else ("corrupt",) if retry else ()
        self.reread = reread
        self.instruments, self.sites = Instruments.load(settings.instruments), settings.sites
        self.counts: Counter[str] = Counter()
        self.problems: list[tuple[str, str, str]] = []
        self.home = archive.home
        self.tops: dict[int, Path] = {}
        self.moved: set[int] = set()
        self.arrived: set[tuple[int, bytes]] = set()
        self.resumed, self.names = False, set()
        self.gone: dict[int, list[Signature]] = {}
        self.unknown: list[str] = []

    def register(self, chosen: list[str]) -> dict[str, int]:
        """Enter the roots, all or none.

        Raises
        ------
        RootMissingError
            If one has vanished.
        """
        ids = {}
        with self.database.begin() as conn:
            self.resumed = upkeep.set_unfinished(conn, True)
            self.names = _known_names(conn)
            for name, root in self.roots.items():
                root_id = ingest.upsert_root(conn, name, str(root.path), root.kind)
                try:
                    _check_root(conn, name, root, root_id)
                except RootMissingError:
                    if name in chosen:
                        raise
                    # What lies in a root that is off line is neither gone nor there.
                    continue
                self.tops[root_id] = root.path
                ids[name] = root_id
        return {name: ids[name] for name in chosen}

    def walk(self, name: str, root_id: int, bar: Any) -> None:
        """Walk one root and enter what is new in it."""
        root = self.roots[name]
        others = [other.path for key, other in self.roots.items() if key != name]
        tree = Walk(root.path, self.settings.pattern, {identity(path) for path in (self.home, *others)})
        source = Source(name, root, self.instruments, self.sites, self.settings.settle_seconds)
        rows: dict[bytes, Signature] = {}
        ledger = Ledger(self.database, root_id, self.tops, rows, store_headers=self.settings.store_headers, renew=self.reread)
        self.gone[root_id] = []
        readings = read_many(source, self._merge(tree, root_id, rows, bar), self.workers)
        while batch := list(islice(readings, self.settings.batch_size)):
            entered = ledger.enter(batch)
            self.counts += entered.counts
            self.problems += entered.problems
            self.moved |= entered.moved
            if len(self.arrived) < PAGE:
                self.arrived |= {(root_id, relpath) for relpath in entered.arrived}
            bar.update(len(batch))
        self._close(tree, root_id)

    def _signatures(self, root_id: int) -> Iterator[Signature]:
        """Yield the rows of a root in the order of their paths, in pages: a transaction left open would let SQLite's log grow."""
        last: bytes | None = None
        while True:
            with self.database.connect() as conn:
                page = upkeep.signatures_after(conn, root_id, last, PAGE)
            yield from page
            if len(page) < PAGE:
                return
            last = page[-1].relpath

    def _merge(self, tree: Walk, root_id: int, rows: dict[bytes, Signature], bar: Any) -> Iterator[Found]:
        """Go through the tree and the rows side by side: yield what must be read, count what is unchanged, note what is gone."""
        signatures, gone, same = self._signatures(root_id), self.gone[root_id], 0
        settled = [state for state in SETTLED if state not in self.again]
        row = next(signatures, None)
        for item in tree:
            path = item.relpath
            while row is not None and row.relpath < path:
                gone.append(row)
                row = next(signatures, None)
            if row is not None and row.relpath == path:
                known, row = row, next(signatures, None)
                if known.mtime_ns == item.mtime_ns and known.size == item.size and known.inode == item.inode and known.state in settled:
                    same += 1
                    if same % 1000 == 0:
                        bar.update(1000)
                    continue
                rows[path] = known
            yield item
        while row is not None:
            gone.append(row)
            row = next(signatures, None)
        self.counts["unchanged"] += same
        bar.update(same % 1000)

    def _close(self, tree: Walk, root_id: int) -> None:
        """Note what the walk could not look at, and take back what it could look at again."""
        gone = (row for row in self.gone[root_id] if row.state != "missing")
        self.gone[root_id] = [row for row in gone if not tree.hides(row.relpath)]
        with self.database.begin() as conn:
            before = upkeep.open_paths(conn, root_id, WALK)
            ingest.resolve_quarantine(conn, root_id, before - {o.relpath for o in tree.obstacles}, WALK)
            for o in tree.obstacles:
                ingest.add_quarantine(conn, root_id, o.relpath, WALK, o.code, o.message)
        self.counts["quarantined"] += len(tree.obstacles)
        self.problems += [(plain(o.relpath), o.code, o.message) for o in tree.obstacles]

    def finish(self, ids: dict[str, int]) -> None:
        """Mark what is gone; content that turned up elsewhere, in whichever root, has moved and is not gone.

        Raises
        ------
        RootMissingError
            If a root has vanished since it was walked; then nothing is marked.
        """
        with self.database.connect() as conn:
            for name, root_id in ids.items():
                _check_root(conn, name, self.roots[name], root_id)
        for root_id, rows in self.gone.items():
            lost = [row for row in rows if row.file_id not in self.moved and not self._lies_there(root_id, row)]
            for start in range(0, len(lost), self.settings.batch_size):
                part = lost[start : start + self.settings.batch_size]
                with self.database.begin() as conn:
                    ingest.refresh(conn, ingest.set_file_state(conn, [row.file_id for row in part], "missing"))
                    ingest.resolve_quarantine(conn, root_id, [row.relpath for row in part], STAGE)
            self.counts["missing"] += len(lost)
        with self.database.begin() as conn:
            if self.resumed or self.arrived:
                # Few arrivals are named, so that frames whose parent never comes cost nothing night after night.
                _adopt(conn, None if self.resumed or len(self.arrived) >= PAGE else self.arrived)
            for root_id in self.gone:
                ingest.touch_seen(conn, root_id)
            upkeep.set_unfinished(conn, False)
            self.unknown = sorted(_known_names(conn) - self.names)

    def _lies_there(self, root_id: int, row: Signature) -> bool:
        # It may have come since the walk, or be a file that the patterns no longer ask for.
        return os.path.exists(os.path.join(os.fsencode(self.tops[root_id]), row.relpath))  # noqa: PTH110, PTH118  bytes

    def report(self, elapsed: float) -> IndexReport:
        """Return the report."""
        return IndexReport(**self.counts, elapsed=elapsed, unknown=tuple(self.unknown), problems=tuple(self.problems))


def _known_names(conn: Connection) -> set[str]:
    return {f"{word} {name}" for word, what in (("telescope", "telname"), ("filter", "filter")) for name in all_names(conn, what)}


def _adopt(conn: Connection, arrived: set[tuple[int, bytes]] | None) -> None:
    """Give frames their parent that came after them, or lay in another batch; only one in these files, unless that is None."""
    found = {}
    for child in upkeep.without_parent(conn):
        folder, slash, _ = child.relpath.rpartition(b"/")
        if arrived is not None and (child.root_id, folder + slash + os.fsencode(child.parent_name)) not in arrived:
            continue
        found[child.frame_id] = find_parent(conn, child.root_id, folder, child.parent_name, child.frame_id, child.hdu)
    ingest.set_parent(conn, {child: parent for child, parent in found.items() if parent is not None})


def _check_root(conn: Connection, name: str, root: RootSettings, root_id: int) -> None:
    try:
        with os.scandir(root.path) as entries:
            empty = all(entry.name.startswith(".") or entry.name == "lost+found" for entry in entries)
    except OSError as err:
        must = "must be a folder that can be read; is the disk mounted?"
        raise RootMissingError(f"root {name!r}: {root.path}: {err.strerror}; {must}") from err
    if empty and any(row.state != "missing" for row in ingest.signatures(conn, root_id)):
        raise RootMissingError(
            f"root {name!r}: {root.path} is empty, but the archive knows files in it; is the disk mounted? "
            "If it is empty on purpose, remove the root from ezarchive.toml"
        )
