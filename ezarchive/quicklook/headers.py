"""Headers as tables: typed values, comments, provenance (COMMENT and HISTORY) apart, and what differs between images."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, NamedTuple

import numpy as np
from astropy.io import fits
from astropy.table import MaskedColumn, QTable
from astropy.time import Time

from ezarchive.errors import InputError
from ezarchive.images.fitsfile import open_fits
from ezarchive.quicklook.planes.inputs import picture
from ezarchive.quicklook.planes.loading import Address, unit_label

ORDERS = ("sorted", "file")
NO_METADATA = "Selected data does not contain any metadata"

Value = str | bool | int | float | complex | None

_COMMENTARY = ("COMMENT", "HISTORY", "")
_PRIVATE = ("_", "original_")


class MetadataRow(NamedTuple):
    """One keyword: its name (of nested metadata with dots), its value with its type, and its comment."""

    key: str
    value: Value
    comment: str


@dataclass(frozen=True)
class Metadata:
    """What is known of an image by name.

    Attributes
    ----------
    label : str
        Of the image or HDU.
    rows : tuple of MetadataRow
        A keyword that occurs twice has two.
    comments, history : tuple of str
        The COMMENT and HISTORY cards, in the order of the file; cards without a keyword count as comments.
    has_primary : bool
        Whether there is a primary header beside that of the extension.
    show_primary : bool
        Whether this is the primary header.
    """

    label: str
    rows: tuple[MetadataRow, ...] = ()
    comments: tuple[str, ...] = ()
    history: tuple[str, ...] = ()
    has_primary: bool = False
    show_primary: bool = False

    @property
    def has_metadata(self) -> bool:
        """Whether there is anything."""
        return bool(self.rows or self.comments or self.history)

    @property
    def has_comments(self) -> bool:
        """Whether any keyword has a comment."""
        return any(row.comment for row in self.rows)

    def __getitem__(self, key: str) -> Value:
        """Return the value of a keyword, in any case of letters; the first one's where it occurs twice."""
        for row in self.rows:
            if row.key.upper() == key.upper():
                return row.value
        raise KeyError(key)

    def __len__(self) -> int:
        return len(self.rows)

    def ordered(self, order: str) -> Metadata:
        """Return it in the order ``"sorted"`` (by keyword, then value, then comment) or ``"file"`` (as it is)."""
        if order not in ORDERS:
            raise InputError(f"order={order!r}: must be 'sorted' or 'file'")
        if order == "file":
            return self
        return replace(self, rows=tuple(sorted(self.rows, key=lambda row: (row.key, str(row.value), row.comment))))

    def filtered(self, contains: str | None) -> Metadata:
        """Return only the rows with this text in keyword, value or comment, and the lines of comments and history with it, in any case."""
        if contains is None:
            return self
        if not isinstance(contains, str):
            raise InputError(f"contains={contains!r}: must be a text")
        wanted = contains.casefold()
        return replace(
            self,
            rows=tuple(row for row in self.rows if wanted in f"{row.key} {row.value} {row.comment}".casefold()),
            comments=tuple(line for line in self.comments if wanted in line.casefold()),
            history=tuple(line for line in self.history if wanted in line.casefold()),
        )

    def to_table(self) -> QTable:
        """Return the columns key, value (as text), type (``str``, ``bool``, ``int``, ``float``, ``complex`` or empty) and comment."""
        types = ["" if row.value is None else type(row.value).__name__ for row in self.rows]
        values = ["" if row.value is None else str(row.value) for row in self.rows]
        columns = {"key": [row.key for row in self.rows], "value": values, "type": types, "comment": [row.comment for row in self.rows]}
        table = QTable({name: np.array(column, dtype=str) for name, column in columns.items()})
        table.meta |= {"label": self.label, "comments": list(self.comments), "history": list(self.history)}
        return table

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON: numbers that are not finite become None, complex ones texts."""
        rows = [{"key": row.key, "value": _for_json(row.value), "comment": row.comment} for row in self.rows]
        flags = {name: getattr(self, name) for name in ("has_metadata", "has_primary", "show_primary", "has_comments")}
        return {"label": self.label, **flags, "rows": rows, "comments": list(self.comments), "history": list(self.history)}

    def __str__(self) -> str:
        if not self.has_metadata:
            return f"{self.label}: {NO_METADATA}"
        width = max((len(row.key) for row in self.rows), default=0)
        lines = [f"{row.key:<{width}}  {row.value}{f'  / {row.comment}' if row.comment else ''}" for row in self.rows]
        lines += [f"COMMENT {line}" for line in self.comments] + [f"HISTORY {line}" for line in self.history]
        return "\n".join([self.label, *lines])


def metadata(
    image: Any,
    show_primary: bool = False,
    *,
    order: str = "sorted",
    contains: str | None = None,
    header: Mapping[str, Any] | None = None,
) -> Metadata:
    """Return the metadata of an image.

    Parameters
    ----------
    image : path, Image, Picture, NDData or array
    show_primary : bool
        The primary header of the file in place of the extension's. Of an image that has none beside its own it changes nothing, and the
        result's ``show_primary`` is False.
    order : {"sorted", "file"}
        By keyword, or as the file has it.
    contains : str, optional
        Only what holds this text in keyword, value or comment, in any case of letters.
    header : mapping, optional
        In place of the image's own.

    Returns
    -------
    Metadata
        Nested metadata (of NDData) have keywords with dots, as ``REF.foo.2.0``; those that begin with ``_`` or ``original_`` are left
        out. Times become ISO texts.

    Raises
    ------
    InputError
        If an argument is wrong.
    FrameError
        If a file cannot be read.
    """
    made = picture(image, header=header)
    primary = made.primary
    shown = bool(show_primary) and primary is not None
    found = _described(made.label, primary if shown else made.meta)
    return replace(found, has_primary=primary is not None, show_primary=shown).ordered(order).filtered(contains)


def all_headers(path: str | os.PathLike[str], *, order: str = "file", contains: str | None = None) -> list[Metadata]:
    """Return the headers of all HDUs of a file, tables too.

    Parameters
    ----------
    path : path
        A FITS file; an HDU that is named in brackets does not count.
    order, contains
        As for `metadata`.

    Raises
    ------
    FrameError
        If the file cannot be read.
    """
    where = Address.of(path).path
    with open_fits(where) as units:
        found = [_described(unit_label(where, unit, k), unit.header) for k, unit in enumerate(units)]
    more = len(found) > 1
    return [replace(one, has_primary=more and k > 0, show_primary=k == 0).ordered(order).filtered(contains) for k, one in enumerate(found)]


def metadata_differences(
    images: Iterable[Any], show_primary: bool = False, *, contains: str | None = None, everything: bool = False
) -> QTable:
    """Return the keywords in which images differ.

    Parameters
    ----------
    images : iterable of images
        At least two.
    show_primary : bool
        Compare the primary headers, where there are any.
    contains : str, optional
        Only keywords whose name, values or comment hold this text, in any case of letters.
    everything : bool
        Also the keywords in which they agree.

    Returns
    -------
    QTable
        ``key``, then a column of texts for each image under its label, masked where the image has no such keyword; values of a keyword
        that occurs more than once are joined by ``"; "``. Sorted by keyword. Numbers that are equal are equal however they are written;
        True is not 1.

    Raises
    ------
    InputError
        If there are fewer than two images.
    """
    listed = list(images) if not isinstance(images, (str, os.PathLike)) else [images]
    if len(listed) < 2:
        raise InputError(f"images: must be at least two, found {len(listed)}")
    found = [metadata(one, show_primary, order="file") for one in listed]
    by_key: list[dict[str, list[Value]]] = [_by_key(one.rows) for one in found]
    keys = sorted({key for one in by_key for key in one})
    if not everything:
        keys = [key for key in keys if any(not _same(by_key[0].get(key), one.get(key)) for one in by_key[1:])]
    texts = [[None if key not in one else "; ".join(map(str, one[key])) for key in keys] for one in by_key]
    if contains is not None:
        notes = {row.key: row.comment for one in found for row in one.rows}
        kept = _holding(contains, [" ".join([key, notes[key], *(column[k] or "" for column in texts)]) for k, key in enumerate(keys)])
        keys, texts = [keys[k] for k in kept], [[column[k] for k in kept] for column in texts]
    table = QTable({"key": np.array(keys, dtype=str)})
    for name, column in zip(numbered([one.label for one in found], taken=["key"]), texts, strict=True):
        table[name] = MaskedColumn(np.array([text or "" for text in column], dtype=str), mask=[text is None for text in column])
    return table


def numbered(labels: Sequence[str], taken: Iterable[str] = ()) -> list[str]:
    """Return labels of which none comes twice: the second becomes ``label (2)``."""
    used, made = set(taken), []
    for label in labels:
        name, number = label, 1
        while name in used:
            number += 1
            name = f"{label} ({number})"
        used.add(name)
        made.append(name)
    return made


def _holding(wanted: str, texts: Sequence[str]) -> list[int]:
    return [k for k, text in enumerate(texts) if wanted.casefold() in text.casefold()]


def _by_key(rows: Iterable[MetadataRow]) -> dict[str, list[Value]]:
    found: dict[str, list[Value]] = {}
    for row in rows:
        found.setdefault(row.key, []).append(row.value)
    return found


def _same(a: list[Value] | None, b: list[Value] | None) -> bool:
    if a is None or b is None or len(a) != len(b):
        return a is b
    return all(_equal(one, other) for one, other in zip(a, b, strict=True))


def _equal(a: Value, b: Value) -> bool:
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b):
        return True
    return isinstance(a, bool) == isinstance(b, bool) and a == b


def _described(label: str, meta: Mapping[str, Any]) -> Metadata:
    if isinstance(meta, fits.Header):
        return _of_header(label, meta)
    rows = [MetadataRow(key, value, "") for key, value in _flat(meta) if not key.startswith(_PRIVATE) and key not in _COMMENTARY]
    lines = {name: _lines(meta.get(name)) for name in ("COMMENT", "HISTORY")}
    # Lists are flattened with numbers: those of commentary are lines, not keywords.
    rows = [row for row in rows if not row.key.startswith(("COMMENT.", "HISTORY."))]
    return Metadata(label, tuple(rows), comments=lines["COMMENT"], history=lines["HISTORY"])


def _of_header(label: str, header: fits.Header) -> Metadata:
    rows: list[MetadataRow] = []
    lines: dict[str, list[str]] = {"COMMENT": [], "HISTORY": []}
    with warnings.catch_warnings():
        # What the standard does not allow is shown as it stands.
        warnings.simplefilter("ignore")
        for card in header.cards:
            if card.keyword in _COMMENTARY:
                text = str(card.value).rstrip()
                if text or card.keyword:
                    lines[card.keyword or "COMMENT"].append(text)
            elif not card.keyword.startswith(_PRIVATE):
                rows.append(_row(card))
    return Metadata(label, tuple(rows), comments=tuple(lines["COMMENT"]), history=tuple(lines["HISTORY"]))


def _row(card: fits.Card) -> MetadataRow:
    image = card.image  # as long as it is not parsed: astropy repairs what it finds
    try:
        return MetadataRow(card.keyword, _plain(card.value), card.comment)
    except (fits.VerifyError, ValueError):
        return MetadataRow(card.keyword, image[8:].lstrip("= ").rstrip(), "")


def _lines(found: Any) -> tuple[str, ...]:
    if found is None:
        return ()
    return tuple(str(found).splitlines()) if isinstance(found, str) else tuple(str(line) for line in found)


def _flat(meta: Mapping[Any, Any], before: str = "") -> Iterator[tuple[str, Value]]:
    """Yield nested dicts and lists as keys with dots."""
    for key, value in meta.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}.")
        elif isinstance(value, (list, tuple)):
            yield from _flat(dict(enumerate(value)), f"{name}.")
        else:
            yield name, _plain(value)


def _plain(value: Any) -> Value:
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or isinstance(value, (bool, int, float, complex)):
        return value
    if isinstance(value, fits.card.Undefined):
        return None
    if isinstance(value, Time):
        return str(value.isot)
    return value.isoformat() if isinstance(value, date) else str(value)


def _for_json(value: Value) -> Value:
    if isinstance(value, complex):
        return str(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
