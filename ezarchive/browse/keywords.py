"""Questions to the headers of all frames: "which frames have keyword X above Y".

The index keeps the raw cards of every frame; only the keyword that is asked for is read of them, after every other condition was answered.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import MaskedColumn, QTable

from ezarchive.browse.selection import Selection, as_tuple
from ezarchive.database.headercards import packed_headers
from ezarchive.errors import FrameError, InputError
from ezarchive.frames.cardfinder import CardFinder, Found, RawHeader
from ezarchive.frames.header import read_cards
from ezarchive.frames.record import Frame

if TYPE_CHECKING:
    from ezarchive.browse.browser import DataBrowser
    from ezarchive.browse.handle import ArchiveHandle

_BIGGEST = 1 << 63
_TEST = re.compile(r"(?P<not>!?)(?P<name>[^=<>~!]+)(?:(?P<sign>[=<>~])(?P<value>.*))?", re.DOTALL)


@dataclass(frozen=True)
class KeywordTest:
    """A condition on the value of one keyword; None is no condition. Made by `keyword_test`."""

    keyword: str
    above: float | None = None
    below: float | None = None
    equals: tuple[Any, ...] | None = None
    contains: str | None = None
    exists: bool = True

    def passes(self, found: Found | None) -> bool:
        """Say whether a frame passes whose header says this (None: it has no such keyword)."""
        if found is None or not self.exists:
            return found is None and not self.exists
        value = found.value
        if self.equals is not None and not any(_equal(value, wanted) for wanted in self.equals):
            return False
        if self.contains is not None and not (isinstance(value, str) and self.contains.casefold() in value.casefold()):
            return False
        if self.above is None and self.below is None:
            return True
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        return (self.above is None or value > self.above) and (self.below is None or value < self.below)

    def __str__(self) -> str:
        words = [f"{name} {getattr(self, name)!r}" for name in ("above", "below", "contains") if getattr(self, name) is not None]
        words += [] if self.equals is None else [f"equals {' or '.join(map(repr, self.equals))}"]
        return f"{self.keyword} {', '.join(words) or ('exists' if self.exists else 'does not exist')}"


def keyword_test(
    keyword: str, *, above: Any = None, below: Any = None, equals: Any = None, contains: Any = None, exists: bool | None = None
) -> KeywordTest:
    """Return a condition on the value of a keyword, as ``DataBrowser.where_keyword`` describes it.

    Raises
    ------
    InputError
        If the keyword or a value is wrong, or nothing is asked.
    """
    name = _keyword(keyword)
    limits = {key: None if value is None else _number(key, value) for key, value in (("above", above), ("below", below))}
    if contains is not None and (not isinstance(contains, str) or not contains):
        raise InputError(f"contains={contains!r}: must be a text that is not empty")
    if exists is not None and not isinstance(exists, (bool, np.bool_)):
        raise InputError(f"exists={exists!r}: must be True, False or None")
    wanted = None if equals is None else tuple(_wanted(value) for value in as_tuple(equals))
    others = any(value is not None for value in (above, below, wanted, contains))
    if not others and exists is None:
        raise InputError(f"keyword {name}: one of above, below, equals, contains and exists must be given")
    if others and exists is False:
        raise InputError(f"exists=False: a keyword that is not there has no value; {name} must have no other condition")
    return KeywordTest(name, limits["above"], limits["below"], wanted, contains, exists is not False)


def keyword_condition(text: str) -> tuple[str, dict[str, Any]]:
    """Return the arguments of ``DataBrowser.where_keyword`` that a text means, as ``where_header`` describes it."""
    found = _TEST.fullmatch(str(text).strip())
    if found is None or (found["not"] and found["sign"]):
        raise InputError(f"test {text!r}: must be NAME>NUMBER, NAME<NUMBER, NAME=VALUE, NAME~TEXT, NAME or !NAME")
    name, sign, value = found["name"].strip(), found["sign"], (found["value"] or "").strip()
    if sign is None:
        return name, {"exists": not found["not"]}
    if sign == "~":
        return name, {"contains": value}
    typed = _typed(value)
    if sign == "=":
        return name, {"equals": typed}
    if isinstance(typed, (str, bool)):
        raise InputError(f"test {text!r}: must have a number after {sign}, found {value!r}")
    return name, {"above" if sign == ">" else "below": typed}


def passing(handle: ArchiveHandle, frames: list[Frame], tests: Sequence[KeywordTest]) -> list[Frame]:
    """Return the frames whose headers pass all tests, in their order; one whose header is not kept passes none."""
    finders = [CardFinder(test.keyword) for test in tests]
    kept = set()
    for frame_id, found, whole in _said(handle, frames, finders):
        # Where the primary header is not known, nobody can say that a keyword is not there.
        if all(test.passes(one) and (whole or one is not None) for test, one in zip(tests, found, strict=True)):
            kept.add(frame_id)
    return [frame for frame in frames if frame.frame_id in kept]


def keyword_table(handle: ArchiveHandle, frames: Sequence[Frame], keywords: Sequence[str]) -> QTable:
    """Return the values of keywords, as ``DataBrowser.keywords`` describes them."""
    finders = [CardFinder(_keyword(keyword)) for keyword in keywords]
    if not finders:
        raise InputError("keywords: at least one must be given")
    said = {frame_id: found for frame_id, found, _ in _said(handle, frames, finders)}
    nothing = (None,) * len(finders)
    rows = [said.get(frame.frame_id, nothing) for frame in frames]
    table = QTable({"frame_id": np.array([frame.frame_id for frame in frames], np.int64)})
    table["path"] = np.array([str(frame.path or "") for frame in frames], dtype=str)
    for place, finder in enumerate(finders):
        table[finder.keyword] = _column([row[place] for row in rows])
    return table


class KeywordQuestions:
    """What a `DataBrowser` can ask of headers."""

    _handle: ArchiveHandle
    _selection: Selection

    def where_keyword(
        self, keyword: str, *, above: Any = None, below: Any = None, equals: Any = None, contains: Any = None, exists: bool | None = None
    ) -> DataBrowser:
        """Return a browser for frames whose header says something; conditions add up.

        Parameters
        ----------
        keyword : str
            In any case of letters; ``"ESO DET CHIPS"`` is that of ``HIERARCH ESO DET CHIPS``. Of a keyword that occurs twice the first
            card counts. ``"HISTORY"`` and ``"COMMENT"`` are texts of all lines.
        above, below : number, optional
            The value is a number greater, less than this; a text such as ``'1.5'`` is no number.
        equals : text, number, bool or list of them, optional
            The value is this one, or one of these: texts in all letters (blanks at the end do not count), numbers by value; ``'1'`` is
            not 1, and True is not 1.
        contains : str, optional
            The value is a text that holds this one, in any case of letters.
        exists : bool, optional
            The keyword is there, with or without a value; or it is not.

        Returns
        -------
        DataBrowser

        Raises
        ------
        InputError
            If a value is of the wrong type, or nothing is asked.

        Notes
        -----
        The header is that of the frame's own HDU; keywords that may be inherited are looked for in the primary header too. A frame whose
        header the archive did not keep is not found. Headers are read after every other condition was answered.

        Examples
        --------
        ``browser.where(filter="m600").where_keyword("AIRMASS", above=1.5).frames()``
        """
        test = keyword_test(keyword, above=above, below=below, equals=equals, contains=contains, exists=exists)
        return self._with(self._selection.with_keyword(test))

    def where_header(self, *tests: str) -> DataBrowser:
        """Return a browser for frames whose headers pass tests that are written as texts; see `where_keyword`.

        Parameters
        ----------
        *tests : str
            ``NAME>NUMBER``, ``NAME<NUMBER``, ``NAME=VALUE`` (a number, T or F, else a text; in quotes always a text), ``NAME~TEXT`` (holds
            the text, in any case of letters), ``NAME`` (is there) or ``!NAME`` (is not there).

        Raises
        ------
        InputError
            If one is none of these.

        Examples
        --------
        ``browser.where_header("AIRMASS>1.5", "OBJECT~ngc").frames()``
        """
        selection = self._selection
        for text in tests:
            name, condition = keyword_condition(text)
            selection = selection.with_keyword(keyword_test(name, **condition))
        return self._with(selection)

    def keywords(self, *keywords: str) -> QTable:
        """Return what the headers of the frames say.

        Parameters
        ----------
        *keywords : str
            As for `where_keyword`.

        Returns
        -------
        QTable
            ``frame_id``, ``path``, then a column for each keyword, masked where a frame has none or it has no value: of numbers where all
            are numbers, of truth values where all are, else of texts as the headers have them. In the order of mjd_mid and frame_id.

        Raises
        ------
        InputError
            If none is given, or one is no text.
        """
        return keyword_table(self._handle, self._find(), keywords)

    if TYPE_CHECKING:

        def _with(self, selection: Selection) -> DataBrowser: ...

        def _find(self) -> list[Frame]: ...


def _said(
    handle: ArchiveHandle, frames: Sequence[Frame], finders: Sequence[CardFinder]
) -> Iterator[tuple[int, tuple[Found | None, ...], bool]]:
    """Yield frame_id, what its header says, and whether that is all there is; frames whose header is not kept are left out."""
    by_id = {frame.frame_id: frame for frame in frames if frame.frame_id is not None}
    primary_of = lru_cache(maxsize=64)(_primary)
    with handle.database.connect() as conn:
        for part in packed_headers(conn, list(by_id)):
            for frame_id, packed in part:
                header, whole = RawHeader(zlib.decompress(packed)), True
                found = tuple([finder.find(header) for finder in finders])
                if None in found and header.primary is None and by_id[frame_id].hdu:
                    primary = primary_of(by_id[frame_id].path)
                    whole = primary is not None
                    found = tuple([finder.find(RawHeader(header.raw, primary)) for finder in finders])
                yield frame_id, found, whole


def _primary(path: str | None) -> bytes | None:
    """Return the primary header of a file that was indexed when only the extension's was kept; None where it cannot be read."""
    try:
        return None if path is None else read_cards(path, 0).raw
    except FrameError:
        return None


def _column(found: Sequence[Found | None]) -> MaskedColumn:
    mask = [one is None or one.value is None for one in found]
    values = [one.value for one in found if one is not None and one.value is not None]
    kinds = {type(value) for value in values}
    if kinds == {bool}:
        empty: Any = False
    elif kinds and kinds <= {int, float}:
        whole = kinds == {int} and all(-_BIGGEST <= value < _BIGGEST for value in values)
        empty = 0 if whole else math.nan
    else:
        texts = ["" if one is None or hidden else _text(one) for one, hidden in zip(found, mask, strict=True)]
        return MaskedColumn(np.array(texts, dtype=str), mask=mask)
    filled = [empty if one is None or hidden else type(empty)(one.value) for one, hidden in zip(found, mask, strict=True)]
    return MaskedColumn(np.array(filled, dtype=type(empty)), mask=mask)


def _text(found: Found) -> str:
    return found.value if isinstance(found.value, str) else found.text


def _keyword(keyword: Any) -> str:
    if not isinstance(keyword, str) or not keyword.strip():
        raise InputError(f"keyword {keyword!r}: must be a text such as 'AIRMASS'")
    return CardFinder(keyword).keyword


def _number(name: str, value: Any) -> float:
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
        raise InputError(f"{name}={value!r}: must be a number")
    return value


def _wanted(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    if not isinstance(value, (str, bool, int, float)):
        raise InputError(f"equals={value!r}: must be a text, a number, True or False, or a list of them")
    return value.rstrip(" ") if isinstance(value, str) else value


def _typed(text: str) -> str | bool | float:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    if text in ("T", "F"):
        return text == "T"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _equal(value: Any, wanted: Any) -> bool:
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    return isinstance(value, str) == isinstance(wanted, str) and value == wanted
