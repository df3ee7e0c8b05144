"""Between `Frame` and the table ``frame``, both ways: the only place that knows how one becomes the other."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ezarchive import columns
from ezarchive.database.models import NAME_IDS
from ezarchive.frames.record import Frame

STORED = ("frame_id", "parent_id", *(column.name for column in columns.FRAME))
"""Fields of `Frame` that are columns of ``frame``."""

DIMENSIONS = tuple(NAME_IDS)
"""Names of a frame, in the order of their ids in a selected row."""

_BLANK = dict.fromkeys(Frame.__dataclass_fields__)

UNIX_EPOCH_MJD = 40587.0

_INT32 = 1 << 31


def now() -> float:
    """Return the time as MJD UTC."""
    return UNIX_EPOCH_MJD + time.time() / 86400


def clean_float(value: Any) -> float | None:
    """Return a float; None for None, NaN and infinities."""
    if value is None:
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def clean_int(value: Any) -> int | None:
    """Return an int that fits 32 bits; None for others."""
    if value is None or value != value:
        return None
    return int(value) if -_INT32 <= value < _INT32 else None


def clean_text(value: Any) -> str | None:
    r"""Return text that both databases can hold: NUL and bytes that are no UTF-8 become ``\x00`` and the like; empty is None.

    Examples
    --------
    >>> clean_text("T\udcff1")
    'T\\udcff1'
    """
    if value is None or value == "":
        return None
    text = str(value)
    if text.isascii():
        return text.replace("\0", "\\x00") if "\0" in text else text
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")


def _clean_bool(value: Any) -> bool:
    return bool(value)


_CLEANERS: dict[str, Callable[[Any], Any]] = {
    "bool": _clean_bool,
    "int16": clean_int,
    "int32": clean_int,
    "int64": clean_int,
    "float32": clean_float,
    "float64": clean_float,
    "str": clean_text,
}

_FIELDS = tuple((column.name, _CLEANERS[column.dtype]) for column in columns.FRAME)


def frame_row(frame: Frame, ids: Mapping[str, int | None]) -> dict[str, Any]:
    """Return the row of table ``frame`` for a record.

    Parameters
    ----------
    frame : Frame
        NaN and infinities in it become NULL.
    ids : mapping
        Ids of its names, by column (``site_id`` ...).

    Returns
    -------
    dict
        Without ``frame_id``, ``file_id`` and ``hdu``.
    """
    row = {name: clean(getattr(frame, name)) for name, clean in _FIELDS}
    row["quality"] = row["quality"] or 0
    row["parent_id"] = frame.parent_id
    row["origin"] = json.dumps(dict(frame.origin), sort_keys=True) if frame.origin else None
    row.update(ids)
    return row


def as_path(relpath: str | bytes | os.PathLike[str]) -> bytes:
    """Return a path as the bytes that the file system holds."""
    return relpath if isinstance(relpath, bytes) else os.fsencode(relpath)


def as_text(relpath: bytes | None) -> str | None:
    """Return a path as text, from which `as_path` gives the same bytes."""
    return None if relpath is None else os.fsdecode(relpath)


class Labels:
    """Names and roots by their ids, for the rows of one answer.

    Parameters
    ----------
    names : mapping
        Name of a dimension -> id -> name.
    roots : mapping
        root_id -> (name, uri).
    """

    def __init__(self, names: Mapping[str, Mapping[int, str]], roots: Mapping[int, tuple[str, str]]) -> None:
        self._names = tuple(names[dimension].get for dimension in DIMENSIONS)
        self._roots = {root_id: (name, uri.rstrip("/") + "/") for root_id, (name, uri) in roots.items()}

    def frames(self, rows: Sequence[Sequence[Any]]) -> list[Frame]:
        """Make records of rows.

        Parameters
        ----------
        rows : sequence of tuples
            The columns `STORED`, the ids of `DIMENSIONS`, then root_id, relpath, hdu.

        Returns
        -------
        list of Frame
        """
        last, new, put, fsdecode = len(STORED), Frame.__new__, object.__setattr__, os.fsdecode
        site, telescope, camera, filter_, target = self._names
        made = []
        for row in rows:
            site_id, telescope_id, camera_id, filter_id, target_id, root_id, relpath, hdu = row[last:]
            fields = _BLANK.copy()
            fields.update(zip(STORED, row, strict=False))
            fields["wcs_ok"] = bool(fields["wcs_ok"])  # SQLite has numbers for truth values
            fields["observatory"], fields["telname"], fields["telkey"] = site(site_id), telescope(telescope_id), camera(camera_id)
            fields["filter"], fields["objname"], fields["hdu"], fields["origin"] = filter_(filter_id), target(target_id), hdu or 0, {}
            if root_id is not None:
                fields["root"], uri = self._roots[root_id]
                fields["relpath"] = relpath = fsdecode(relpath)
                fields["path"] = uri + relpath
            frame = new(Frame)
            # A frozen record's __init__ sets 50 fields one by one, at five times the cost of handing it a filled dictionary.
            put(frame, "__dict__", fields)
            made.append(frame)
        return made
