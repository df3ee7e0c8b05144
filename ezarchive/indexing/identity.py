"""Which frame is this? New files compared with what the archive knows, by content and not by name.

A frame is known by its header hash and its data unit together. An equal header hash alone merges nothing, because images derived from
one another copy their headers. Whether the data are equal is found out in this order, the cheapest first:

1. other size or other `data_sample` (blocks spread over the data unit): other data;
2. the known file has gone (moved) or is this very file (touched), and size, time and inode are the same: equal data;
3. the known file is the same file on disk (a hard or symbolic link): equal data;
4. the known frame has a `data_hash`, or a file that lies there unchanged: both data units are hashed, and that decides;
5. no file of the known frame lies there any more: an equal sample decides, or, where there is none (compressed data), equal size and time.

Reads the data of files; writes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from ezarchive.database.ingest import KnownFile, KnownFrame, Signature
from ezarchive.errors import FrameError
from ezarchive.frames.header import ReadFrame, data_hash
from ezarchive.indexing.reading import Reading

SAME = ("unchanged", "returned")
"""What a file is that holds what its row says."""

PRESENT, ALTERED, GONE, UNSEEN = "present", "altered", "gone", "unseen"
"""What lies at a known path now: the file that is known, something else, nothing, or it cannot be told."""


@dataclass(eq=False)
class Place:
    """A file that holds, or held, a frame."""

    root_id: int
    relpath: bytes
    hdu: int
    size: int
    mtime_ns: int
    inode: int
    file_id: int | None = None
    is_there: str = PRESENT

    @property
    def key(self) -> tuple[int, bytes]:
        """Root and path."""
        return self.root_id, self.relpath


@dataclass(eq=False)
class Known:
    """A frame that the archive has, or that this batch brings."""

    frame_id: int | None
    kind: str
    size: tuple[int, int]
    sample: str | None
    data_hash: str | None
    places: list[Place]
    read: ReadFrame | None = None
    """What was read, where the frame is new or its only file was moved."""


@dataclass(eq=False)
class Decision:
    """What becomes of one file."""

    reading: Reading
    row: Signature | None
    """The row of its path, if there was one."""
    what: str = "new"
    """``new``, ``changed``, ``moved``, ``duplicate``, or one of `SAME`."""
    frames: list[Known] = field(default_factory=list)
    """One for each of its frames, in the order of ``reading.frames``."""
    moved_from: int | None = None
    """The file row that is this file under its earlier path."""


class Identifier:
    """Decides for the files of one root, one after another, and remembers what it decided.

    Parameters
    ----------
    root_id : int
        The root that the files lie in.
    tops : mapping of int to Path
        The folder of each root that can be looked at.
    known : mapping of str to sequence of KnownFrame
        What the database has, by header hash.
    links : mapping of int to set of (int, int)
        Frame and HDU that each file row holds, for every file in ``known`` and every file that is decided about.
    """

    def __init__(
        self,
        root_id: int,
        tops: Mapping[int, Path],
        known: Mapping[str, Iterable[KnownFrame]],
        links: Mapping[int, set[tuple[int, int]]],
    ) -> None:
        self._root_id, self._tops, self._links = root_id, tops, links
        self.hashed: list[Known] = []
        """Frames whose `data_hash` was made here."""
        self._known = {key: [self._load(frame) for frame in frames] for key, frames in known.items()}
        self._at: dict[tuple[int, bytes], list[Known]] = {}
        for frame in chain.from_iterable(self._known.values()):
            for place in frame.places:
                self._at.setdefault(place.key, []).append(frame)

    def _load(self, frame: KnownFrame) -> Known:
        places = [self._place(file) for file in frame.files]
        return Known(frame.frame_id, frame.kind, (frame.naxis1, frame.naxis2), frame.data_sample, frame.data_hash, places)

    def _place(self, file: KnownFile) -> Place:
        place = Place(file.root_id, file.relpath, file.hdu, file.size, file.mtime_ns, file.inode, file.file_id)
        place.is_there = self._look(place, file.state)
        return place

    def _look(self, place: Place, state: str) -> str:
        if place.root_id not in self._tops:
            return UNSEEN
        try:
            status = os.stat(self._path(place))  # noqa: PTH116  bytes
        except (FileNotFoundError, NotADirectoryError):
            return GONE
        except OSError:
            return UNSEEN
        same = (status.st_size, status.st_mtime_ns, status.st_ino) == (place.size, place.mtime_ns, place.inode)
        return PRESENT if same and state in ("ok", "missing") else ALTERED

    def _path(self, place: Place) -> bytes:
        return os.path.join(os.fsencode(self._tops[place.root_id]), place.relpath)  # noqa: PTH118  bytes

    def decide(self, reading: Reading, row: Signature | None) -> Decision:
        """Decide what one file is.

        Parameters
        ----------
        reading : Reading
            In state ``ok``.
        row : Signature or None
            The row of its path, if there is one.

        Returns
        -------
        Decision
        """
        decision = Decision(reading, row)
        here = [Place(self._root_id, reading.relpath, read.frame.hdu, *reading[1:4]) for read in reading.frames]
        for place, read in zip(here, reading.frames, strict=True):
            own_hash = _Lazy(self._path(place), read)
            known = self._match(place, read, decision.frames, own_hash) or self._add(read)
            if known.data_hash is None and own_hash.done:
                self._keep(known, own_hash.value)
            decision.frames.append(known)
        decision.moved_from = self._moved_from(here, decision.frames)
        decision.what = self._what(decision, here)
        self._settle(here, decision)
        return decision

    def _add(self, read: ReadFrame) -> Known:
        frame = read.frame
        known = Known(None, frame.kind, (frame.naxis1, frame.naxis2), frame.data_sample, None, [], read)
        self._known.setdefault(frame.header_hash, []).append(known)
        return known

    def _keep(self, known: Known, data_hash: str | None) -> None:
        if data_hash is not None:
            known.data_hash = data_hash
            self.hashed.append(known)

    def _match(self, place: Place, read: ReadFrame, taken: list[Known], own_hash: _Lazy) -> Known | None:
        frame = read.frame
        candidates = [
            known
            for known in self._known.get(frame.header_hash, ())
            if known not in taken
            and known.kind == frame.kind
            and known.size == (frame.naxis1, frame.naxis2)
            and not (known.sample and frame.data_sample and known.sample != frame.data_sample)
        ]
        # What lay at this very path and HDU comes first, so that equal extensions of one file keep their places.
        candidates.sort(key=lambda known: -max(((p.key == place.key) + (p.hdu == place.hdu) for p in known.places), default=0))
        for known in candidates:
            if self._same(place, read, known, own_hash):
                return known
        return None

    def _same(self, place: Place, read: ReadFrame, known: Known, own_hash: _Lazy) -> bool:
        """Whether the data are equal: steps 2 to 5 of the module's list; step 1 has been taken."""
        left = [p for p in known.places if p.key == place.key or p.is_there == GONE]
        signature = (place.size, place.mtime_ns, place.inode)
        if any((p.size, p.mtime_ns, p.inode) == signature and p.hdu == place.hdu for p in left):
            return True
        present = [p for p in known.places if p.is_there == PRESENT and p.key != place.key]
        if any(p.hdu == place.hdu and _samefile(self._path(p), self._path(place)) for p in present):
            return True
        if known.data_hash is None:
            self._keep(known, next((h for p in present if (h := _hash(self._path(p), p.hdu)) is not None), None))
        if known.data_hash is not None:
            return own_hash.value == known.data_hash
        if present or any(p.is_there == UNSEEN for p in known.places):
            return False
        if known.sample and read.frame.data_sample:
            return True
        return any((p.size, p.mtime_ns) == (place.size, place.mtime_ns) and p.hdu == place.hdu for p in left)

    def _moved_from(self, here: list[Place], frames: list[Known]) -> int | None:
        """Return the row of a file that has gone and whose frames are exactly those of this one."""
        if any(known.frame_id is None for known in frames) or not frames:
            return None
        wanted = {(known.frame_id, place.hdu) for known, place in zip(frames, here, strict=True)}
        gone = [p for p in frames[0].places if p.is_there == GONE and p.key != here[0].key]
        gone = [p for p in gone if self._links.get(p.file_id) == wanted]
        name = here[0].relpath.rpartition(b"/")[2]
        gone.sort(key=lambda p: (p.inode != here[0].inode, p.relpath.rpartition(b"/")[2] != name, p.key))
        return gone[0].file_id if gone else None

    def _what(self, decision: Decision, here: list[Place]) -> str:
        links = self._links.get(decision.row.file_id) if decision.row is not None else None
        if links:
            held = {(known.frame_id, place.hdu) for known, place in zip(decision.frames, here, strict=True)}
            if links != held:
                return "changed"
            return "unchanged" if decision.row.state == "ok" else "returned"
        if any(not known.places and known.frame_id is None for known in decision.frames):
            return "new"
        elsewhere = all(any(p.is_there == PRESENT for p in known.places) for known in decision.frames)
        return "duplicate" if elsewhere and decision.moved_from is None else "moved"

    def _settle(self, here: list[Place], decision: Decision) -> None:
        """Remember where the frames lie now."""
        for known in self._at.pop((self._root_id, decision.reading.relpath), ()):
            known.places = [p for p in known.places if p.key != here[0].key]
        if decision.moved_from is not None:
            for known in decision.frames:
                known.places = [p for p in known.places if p.file_id != decision.moved_from]
        for place, known, read in zip(here, decision.frames, decision.reading.frames, strict=True):
            if not any(p.is_there == PRESENT for p in known.places):
                # The fields of a frame come with its first file; when that has moved, the new path may give others.
                known.read = read
            known.places.append(place)
            self._at.setdefault(place.key, []).append(known)


class _Lazy:
    """The hash of a new file's data unit, made at most once."""

    def __init__(self, path: bytes, read: ReadFrame) -> None:
        self._path, self._hdu = path, read.frame.hdu
        self.done = False
        self._value: str | None = None

    @property
    def value(self) -> str | None:
        if not self.done:
            self._value, self.done = _hash(self._path, self._hdu), True
        return self._value


def _hash(path: bytes, hdu: int) -> str | None:
    """Return the hash of a data unit, or None if it cannot be read any more (the walk says why)."""
    try:
        return data_hash(os.fsdecode(path), hdu)
    except (OSError, FrameError):
        return None


def _samefile(a: bytes, b: bytes) -> bool:
    try:
        return os.path.samefile(a, b)  # noqa: PTH121  bytes
    except OSError:
        return False
