"""Enter one batch of files that were read: decide what each is, then write all of it in one transaction."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ezarchive.database import ingest
from ezarchive.database.ingest import FileRow, Signature
from ezarchive.database.session import Database
from ezarchive.database.upkeep import PARENT
from ezarchive.frames.record import Frame
from ezarchive.indexing.identity import SAME, Decision, Identifier, Known
from ezarchive.indexing.reading import Reading

if TYPE_CHECKING:
    from sqlalchemy import Connection

STAGE = "index"
"""Stage of the quarantine."""

MEASURE = "measure"
"""Stage of the quarantine: frames that could not be measured."""


@dataclass
class Entered:
    """What came of a batch: counts by word, problems as (path, code, message), file rows that moved, paths that hold other content."""

    counts: Counter[str] = field(default_factory=Counter)
    problems: list[tuple[str, str, str]] = field(default_factory=list)
    moved: set[int] = field(default_factory=set)
    arrived: set[bytes] = field(default_factory=set)


class Ledger:
    """Enters the files of one root.

    Parameters
    ----------
    database : Database
    root_id : int
    tops : mapping of int to Path
        The folder of each root that is there.
    rows : dict of bytes to Signature
        The rows of paths that are known; the caller adds to it as it goes, and what has been entered is taken out.
    store_headers : bool
        Keep the cards of every header.
    renew : bool
        Write the fields of known frames again, as the settings of today give them.
    """

    def __init__(
        self,
        database: Database,
        root_id: int,
        tops: Mapping[int, Path],
        rows: dict[bytes, Signature],
        *,
        store_headers: bool,
        renew: bool = False,
    ) -> None:
        self._database, self._root_id, self._tops, self._rows = database, root_id, tops, rows
        self._store_headers = store_headers
        self._renew, self._renewed = renew, set[int]()

    def enter(self, batch: Sequence[Reading]) -> Entered:
        """Enter a batch: all of it or, if that fails, nothing."""
        readings = [reading for reading in batch if reading.state != "vanished"]
        decisions, hashed = self._decide(readings)
        with self._database.begin() as conn:
            return self._write(conn, readings, decisions, hashed)

    def _decide(self, readings: list[Reading]) -> tuple[dict[bytes, Decision], list[Known]]:
        """Compare with what is known; data are hashed here, outside of the transaction that writes."""
        good = [reading for reading in readings if reading.state == "ok"]
        rows = [self._rows.pop(reading.relpath, None) for reading in good]
        with self._database.connect() as conn:
            known = ingest.frames_with_hash(conn, {read.frame.header_hash for reading in good for read in reading.frames})
            file_ids = {file.file_id for frames in known.values() for frame in frames for file in frame.files}
            links = ingest.links(conn, file_ids | {row.file_id for row in rows if row is not None})
        identifier = Identifier(self._root_id, self._tops, known, links)
        decisions = {reading.relpath: identifier.decide(reading, row) for reading, row in zip(good, rows, strict=True)}
        return decisions, identifier.hashed

    def _write(self, conn: Connection, readings: list[Reading], decisions: dict[bytes, Decision], hashed: list[Known]) -> Entered:
        entered = Entered()
        relink = [decision for decision in decisions.values() if decision.what not in SAME]
        touched = self._frames(conn, decisions, entered) | self._free(conn, relink, entered)
        ingest.set_data_hash(conn, {known.frame_id: known.data_hash for known in hashed})
        files = [FileRow(r.relpath, r.size, r.mtime_ns, r.inode, r.state) for r in readings]
        file_ids = dict(zip([r.relpath for r in readings], ingest.upsert_files(conn, self._root_id, files), strict=True))
        touched |= set(ingest.frames_in(conn, file_ids.values()))
        ingest.link(
            conn,
            [
                (known.frame_id, file_ids[decision.reading.relpath], read.frame.hdu)
                for decision in relink
                for known, read in zip(decision.frames, decision.reading.frames, strict=True)
            ],
        )
        touched |= {known.frame_id for decision in decisions.values() for known in decision.frames}
        self._parents(conn, decisions)
        ingest.refresh(conn, touched)
        self._report(conn, readings, decisions, entered)
        entered.arrived.update(decision.reading.relpath for decision in relink)
        return entered

    def _frames(self, conn: Connection, decisions: dict[bytes, Decision], entered: Entered) -> set[int]:
        """Insert the frames that are new, and renew the fields of those that moved; return the ids of both."""
        new: dict[int, Known] = {}
        renewed: dict[int, Known] = {}
        for decision in decisions.values():
            for known, read in zip(decision.frames, decision.reading.frames, strict=True):
                if known.frame_id is None:
                    new[id(known)] = known
                elif known.read is not None and decision.what not in SAME:
                    renewed[known.frame_id] = known
                elif self._renew and known.frame_id not in self._renewed:
                    # The first of several copies gives the fields, as it did when the frame was new.
                    known.read = read
                    renewed[known.frame_id] = known
                    self._renewed.add(known.frame_id)
        made = ingest.insert_frames(conn, [self._stored(known) for known in new.values()])
        for known, frame_id in zip(new.values(), made, strict=True):
            known.frame_id = frame_id
        ingest.update_frames(conn, [(frame_id, *self._stored(known)) for frame_id, known in renewed.items()])
        entered.counts["frames"] += len(made)
        return {*made, *renewed}

    def _stored(self, known: Known) -> tuple[Frame, Sequence[int], bytes | None]:
        read = known.read
        origin = read.frame.origin
        if read.parent_name is not None:
            # Kept, because the parent may come later than its child.
            origin = {**origin, PARENT: read.parent_name}
        return replace(read.frame, origin=origin), read.cells, read.cards if self._store_headers else None

    def _free(self, conn: Connection, relink: list[Decision], entered: Entered) -> set[int]:
        """Take the old frames out of files that hold others now, and give files that moved their new paths."""
        stale = [decision.row.file_id for decision in relink if decision.row is not None]
        freed = ingest.unlink_files(conn, stale)
        if replaced := set(freed) - {known.frame_id for decision in relink for known in decision.frames}:
            # What could not be measured lies here no longer, so no later success would resolve it.
            paths = [decision.reading.relpath for decision in relink if decision.row is not None]
            ingest.resolve_quarantine(conn, self._root_id, paths, MEASURE, frame_ids=replaced)
        moves = {
            decision.moved_from: FileRow(r.relpath, r.size, r.mtime_ns, r.inode, r.state)
            for decision in relink
            if decision.moved_from is not None and (r := decision.reading)
        }
        if moves:
            # A row that makes room for the one that moved there must not be the place of any frame.
            ingest.refresh(conn, freed)
            ingest.move_files(conn, self._root_id, moves)
            entered.moved.update(moves)
        return set(freed)

    def _parents(self, conn: Connection, decisions: dict[bytes, Decision]) -> None:
        """Find the frames that new ones were made from, as far as they are here already."""
        parents = {}
        for decision in decisions.values():
            folder = decision.reading.relpath.rpartition(b"/")[0]
            for known, read in zip(decision.frames, decision.reading.frames, strict=True):
                if read.parent_name is not None:
                    hdu = read.frame.hdu if read.parent_hdu is None else read.parent_hdu
                    found = find_parent(conn, self._root_id, folder, read.parent_name, known.frame_id, hdu)
                    if found is not None:
                        parents[known.frame_id] = found
        ingest.set_parent(conn, parents)

    def _report(self, conn: Connection, readings: list[Reading], decisions: dict[bytes, Decision], entered: Entered) -> None:
        for reading in readings:
            if reading.code is not None:
                ingest.add_quarantine(conn, self._root_id, reading.relpath, STAGE, reading.code, reading.message)
                entered.problems.append((plain(reading.relpath), reading.code, reading.message))
                entered.counts["quarantined"] += 1
            else:
                entered.counts[decisions[reading.relpath].what if reading.relpath in decisions else "waiting"] += 1
        ingest.resolve_quarantine(conn, self._root_id, list(decisions), STAGE)


def find_parent(conn: Connection, root_id: int, folder: bytes, name: str, child: int, hdu: int) -> int | None:
    """Return the frame that a frame was made from: in the named file of its folder, the same HDU if there is one, else the first."""
    found = [held for held in ingest.find_by_name(conn, root_id, folder, os.fsencode(name)) if held.frame_id != child]
    found.sort(key=lambda held: (held.hdu != hdu, held.hdu))
    return found[0].frame_id if found else None


def plain(relpath: bytes) -> str:
    """Return a path as text that can be printed: what is not UTF-8 and control characters are written as escapes."""
    text = relpath.decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
