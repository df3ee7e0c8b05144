"""What a user asks for, as one frozen object: names, ranges, regions of the sky and of time.

`Selection` holds the conditions of a `DataBrowser`; every method returns a new one. Whatever the database can answer goes into its
`FrameQuery`; the rest (lists of numbers, a second region) is tested here on the frames that come back.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from astropy import units as u

from ezarchive import columns, sky
from ezarchive.database.conditions import NAME_KEYS, FrameQuery
from ezarchive.database.names import is_glob
from ezarchive.errors import InputError, UnknownNameError
from ezarchive.frames.record import KINDS, Frame
from ezarchive.times import day_of, parse_time

ATTRIBUTES = ("observatory", "telkey", "imgtype", "telname", "objname", "filter", "obsdate")
"""Attributes of a `DataBrowser`, the tutorial's."""

ALIASES = {"obsdate": "night", "egain": "gain"}
"""The tutorial's words for ours."""

_COLUMNS = {column.name: column for column in columns.FRAME}


@dataclass(frozen=True)
class Selection:
    """Conditions on frames; they add up.

    Attributes
    ----------
    root : str or None
        Name of a data root; None: all.
    kinds : tuple of str or None
        Kinds of frames; None: what the caller of `query` says.
    names : mapping
        Key of `NAME_KEYS` -> values, each exact or a glob; any of them.
    ranges : mapping
        Column of ``columns.FRAME`` -> (lowest, highest), inclusive, None for an open end.
    choices : mapping
        Column of ``columns.FRAME`` -> values; any of them.
    regions : tuple of (ra, dec, radius)
        ICRS degrees: the footprint meets each cone, or contains the point where the radius is None.
    mjd : tuple
        First and last `mjd_mid`, inclusive, None for an open end.
    keywords : tuple of KeywordTest
        Conditions on what headers say; `browse.keywords` tests them.
    """

    root: str | None = None
    kinds: tuple[str, ...] | None = None
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ranges: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    choices: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    regions: tuple[tuple[float, float, float | None], ...] = ()
    mjd: tuple[float | None, float | None] = (None, None)
    keywords: tuple[Any, ...] = ()

    def with_name(self, key: str, values: tuple[str, ...] | None) -> Selection:
        """Return a selection in which ``key`` has these values in place of its former ones (None: no condition)."""
        names = {name: given for name, given in self.names.items() if name != key}
        return replace(self, names=names if values is None else {**names, key: values})

    def with_range(self, key: str, low: Any, high: Any) -> Selection:
        """Return a selection that also needs ``low <= key <= high``."""
        return replace(self, ranges={**self.ranges, key: _meet(self.ranges.get(key, (None, None)), (low, high))})

    def with_choice(self, key: str, values: tuple[Any, ...]) -> Selection:
        """Return a selection that also needs ``key`` to be one of the values."""
        former = self.choices.get(key)
        kept = values if former is None else tuple(value for value in former if matches(value, values))
        return replace(self, choices={**self.choices, key: kept})

    def with_region(self, ra: float, dec: float, radius: float | None) -> Selection:
        """Return a selection that also needs the footprint to meet this cone (None: to contain the point)."""
        return replace(self, regions=(*self.regions, (ra, dec, radius)))

    def with_time(self, start: float | None, end: float | None) -> Selection:
        """Return a selection that also needs ``start <= mjd_mid <= end``."""
        return replace(self, mjd=_meet(self.mjd, (start, end)))

    def with_keyword(self, test: Any) -> Selection:
        """Return a selection that also needs a header to pass this `KeywordTest`."""
        return replace(self, keywords=(*self.keywords, test))

    @property
    def exact(self) -> bool:
        """Whether the database's answer needs no second look."""
        return not self.choices and len(self.regions) <= 1 and not self.keywords

    @property
    def empty(self) -> bool:
        """Whether no frame can fulfil it: a condition without any value left."""
        return any(not values for values in (*self.names.values(), *self.choices.values())) or self.kinds == ()

    def query(self, *, kinds: tuple[str, ...] | None = None, pattern: str | None = None) -> FrameQuery:
        """Return what the database is asked; `refine` does the rest, but for keywords.

        Parameters
        ----------
        kinds : tuple of str, optional
            Kinds of frames, unless the selection names its own.
        pattern : str, optional
            Glob on the file name.
        """
        ranges = dict(self.ranges)
        for key, values in self.choices.items():
            if _COLUMNS[key].dtype.startswith(("int", "float")):
                ranges[key] = _meet(ranges.get(key, (None, None)), (min(values), max(values)))
        cone, point = None, False
        if self.regions:
            # The smallest region leaves the fewest frames.
            ra, dec, radius = min(self.regions, key=lambda region: region[2] or 0.0)
            cone, point = (ra, dec, radius or 0.0), radius is None
        return FrameQuery(
            root=self.root, kinds=kinds if self.kinds is None else self.kinds, names=self.names, ranges=ranges, cone=cone, point=point,
            pattern=pattern, mjd=None if self.mjd == (None, None) else self.mjd,
        )  # fmt: skip

    def refine(self, frames: list[Frame]) -> list[Frame]:
        """Return the frames that fulfil what the database was not asked."""
        for key, values in self.choices.items():
            frames = [frame for frame in frames if matches(getattr(frame, key), values)]
        if len(self.regions) > 1:
            for region in self.regions:
                frames = _in_region(frames, region)
        return frames


def _meet(a: tuple[Any, Any], b: tuple[Any, Any]) -> tuple[Any, Any]:
    lows = [value for value in (a[0], b[0]) if value is not None]
    highs = [value for value in (a[1], b[1]) if value is not None]
    return max(lows, default=None), min(highs, default=None)


def _in_region(frames: list[Frame], region: tuple[float, float, float | None]) -> list[Frame]:
    frames = [frame for frame in frames if frame.s_region is not None]
    if not frames:
        return []
    ra, dec, radius = region
    outlines = [sky.parse_region(frame.s_region) for frame in frames]
    inside = sky.polygons_contain(outlines, ra, dec) if radius is None else sky.polygons_meet_cone(outlines, ra, dec, radius)
    return [frame for frame, good in zip(frames, inside, strict=True) if good]


def matches(value: Any, wanted: Iterable[Any]) -> bool:
    """Return whether a value is one of those wanted: texts exactly or by glob, numbers to 1 part in 10^6; None matches nothing."""
    if value is None:
        return False
    for item in wanted:
        if isinstance(value, str) or isinstance(item, str):
            if str(value) == str(item) or (is_glob(str(item)) and fnmatchcase(str(value), str(item))):
                return True
        elif math.isclose(value, item, rel_tol=1e-6):
            return True
    return False


def as_tuple(value: Any) -> tuple[Any, ...]:
    """Return a scalar as a tuple of one; a list, a set, an array, or a column of a table as a tuple."""
    if isinstance(value, u.Quantity):
        return (value,) if value.isscalar else tuple(value)
    if hasattr(value, "tolist"):  # of numpy, pandas and astropy
        items = value.tolist()
        return tuple(items) if isinstance(items, list) else (items,)
    return tuple(value) if isinstance(value, (Sequence, Set)) and not isinstance(value, (str, bytes)) else (value,)


def plain_number(name: str, value: Any, unit: str | None) -> Any:
    """Return a Quantity as a number in a unit, anything else as it is.

    Raises
    ------
    InputError
        If it is a Quantity of another kind.
    """
    if not isinstance(value, u.Quantity) or not value.isscalar:
        return value
    try:
        # A magnitude in a system, as ABmag, is still a number of magnitudes.
        return float(value.value if unit == "mag" and isinstance(value, u.Magnitude) else value.to_value(unit or ""))
    except u.UnitConversionError as err:
        raise InputError(f"{name}={value!s}: must be in {unit or 'no unit'}, found {value.unit}") from err


def name_values(what: str, value: Any) -> tuple[str, ...] | None:
    """Return the values of a name: None for no condition, else texts.

    Parameters
    ----------
    what : str
        The argument, for messages.
    value : str, list of str or None
        Exact names or globs.

    Raises
    ------
    InputError
        If a value is no text, or empty.
    """
    if value is None:
        return None
    values = as_tuple(value)
    for item in values:
        if not isinstance(item, str) or not item:
            raise InputError(f"{what}={value!r}: must be a name, a glob pattern or a list of them, found {item!r}")
    return tuple(dict.fromkeys(str(item) for item in values))


def night_values(what: str, value: Any) -> tuple[str, ...] | None:
    """Return nights of observation as YYYY-MM-DD: of dates in any form that `parse_time` reads, or globs such as ``202509*``."""
    if value is None:
        return None
    nights = []
    for item in as_tuple(value):
        if isinstance(item, str) and is_glob(item):
            digits = re.match(r"\d{5,8}(?!\d)", item)
            head = digits.group() if digits else ""
            nights.append("-".join(part for part in (head[:4], head[4:6], head[6:]) if part) + item[len(head) :])
        else:
            nights.append(day_of(parse_time(what, item)))
    return tuple(dict.fromkeys(nights))


def add_condition(selection: Selection, key: str, value: Any) -> Selection:
    """Return a selection with one condition more, of ``where(key=value)``; names of the database are left to the caller.

    Parameters
    ----------
    selection : Selection
    key : str
        ``kind``, or a column of ``columns.FRAME``.
    value : scalar, list or tuple
        A tuple (low, high) is a range, None an open end; a list is any of; a text may be a glob.

    Raises
    ------
    UnknownNameError
        If there is no such column, or no such kind.
    InputError
        If the value does not fit it.
    """
    if key == "kind":
        return _add_kinds(selection, value)
    if key not in _COLUMNS:
        raise UnknownNameError("condition", key, condition_names())
    number = _COLUMNS[key].dtype.startswith(("int", "float"))
    if isinstance(value, tuple):
        if len(value) != 2:
            raise InputError(f"{key}={value!r}: a tuple is a range (low, high), None for an open end; a list is any of its values")
        low, high = (None if end is None else _value(key, end, number) for end in value)
        return selection.with_range(key, low, high)
    values = tuple(_value(key, item, number) for item in as_tuple(value))
    if len(values) == 1 and number:
        return selection.with_range(key, values[0], values[0])
    return selection.with_choice(key, values)


def condition_names() -> tuple[str, ...]:
    """Return the keywords of ``where``."""
    return tuple(dict.fromkeys((*ATTRIBUTES, *NAME_KEYS, *ALIASES, *_COLUMNS)))


def _add_kinds(selection: Selection, value: Any) -> Selection:
    values = name_values("kind", list(value) if isinstance(value, tuple) else value) or ()
    for item in values:
        if not is_glob(item) and item not in KINDS:
            raise UnknownNameError("kind", item, KINDS)
    known = KINDS if selection.kinds is None else selection.kinds
    return replace(selection, kinds=tuple(kind for kind in known if matches(kind, values)))


def _value(key: str, value: Any, number: bool) -> Any:
    column = _COLUMNS[key]
    value = plain_number(key, value.item() if isinstance(value, np.generic) else value, column.unit) if number else value
    good = isinstance(value, bool) if column.dtype == "bool" else isinstance(value, (int, float) if number else str)
    if not good or (number and (isinstance(value, bool) or not math.isfinite(value))):
        word = "True or False" if column.dtype == "bool" else "a number" if number else "a text"
        unit = f" in {column.unit}" if column.unit else ""
        raise InputError(f"{key}={value!r}: must be {word}{unit}; a tuple is a range (low, high), a list is any of its values")
    return value
