"""The conditions of `FrameSet.select_images` and `CatalogSet.select_catalogs`: what was asked, as tests of a frame's facts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ezarchive.browse.handle import ArchiveHandle
from ezarchive.browse.selection import as_tuple, matches, name_values, plain_number
from ezarchive.database import queries
from ezarchive.database.conditions import FrameQuery
from ezarchive.database.names import is_glob
from ezarchive.errors import InputError, UnknownNameError
from ezarchive.times import parse_time

CRITERIA = ("file_key", "filter", "exptime", "objname", "obs_start", "obs_end", "seeing", "depth", "observatory", "telname")
"""The arguments of both, in their order."""

_NAMES = ("filter", "objname", "observatory", "telname")
_UNITS = {"exptime": "s", "seeing": "arcsec", "depth": "mag"}


def check_names(conditions: dict[str, Any], here: Iterable[Any], handle: ArchiveHandle | None) -> None:
    """Refuse an exact name that nothing in a set has and that the archive does not know either.

    Parameters
    ----------
    conditions : dict
        From `given_conditions`.
    here : iterable
        The frames, or other facts, of the set.
    handle : ArchiveHandle, optional
        Without one nothing is checked.
    """
    here = tuple(here)
    for name in _NAMES if handle is not None else ():
        values = name_values(name, conditions.get(name)) or ()
        known = {getattr(facts, name) for facts in here} if values else set()
        strange = tuple(value for value in values if value not in known and not is_glob(value))
        if strange:
            with handle.database.connect() as conn:
                queries.count(conn, FrameQuery(names={name: strange}))


def given_conditions(values: Sequence[Any], unknown: dict[str, Any]) -> dict[str, Any]:
    """Return the conditions that were given, by name."""
    for name in unknown:
        raise UnknownNameError("argument", name, CRITERIA)
    return {name: value for name, value in zip(CRITERIA, values, strict=True) if value is not None}


def made_tests(given: dict[str, Any]) -> list[Any]:
    """Return one test of a frame's facts for each condition; the two limits of time are one."""
    tests: list[Any] = []
    for name in (*_NAMES, "exptime"):
        if name in given:
            tests.append(_is_any_of(name, given[name]))
    if "file_key" in given:
        holds = [_path_holds(pattern) for pattern in as_tuple(given["file_key"])]
        tests.append(lambda frame: all(test(frame) for test in holds))
    if "seeing" in given:
        limit = _number("seeing", given["seeing"])
        tests.append(lambda frame: frame.seeing is not None and frame.seeing < limit)
    if "depth" in given:
        floor = _number("depth", given["depth"])
        tests.append(lambda frame: frame.depth is not None and frame.depth > floor)
    if "obs_start" in given or "obs_end" in given:
        tests.append(_is_between(given.get("obs_start"), given.get("obs_end")))
    return tests


def _is_any_of(name: str, value: Any) -> Any:
    wanted = as_tuple(value)
    if name == "exptime":
        wanted = tuple(_number(name, item) for item in wanted)
    else:
        wanted = name_values(name, value) or ()
    return lambda frame: matches(getattr(frame, name), wanted)


def _path_holds(pattern: Any) -> Any:
    if not isinstance(pattern, str):
        raise InputError(f"file_key={pattern!r}: must be a text or a list of texts")
    try:
        search = re.compile(pattern.strip("*")).search
    except re.error as err:
        raise InputError(f"file_key={pattern!r}: must be a regular expression: {err}") from err
    return lambda frame: search(str(frame.path)) is not None


def _is_between(start: Any, end: Any) -> Any:
    first = -np.inf if start is None else parse_time("obs_start", start)
    last = np.inf if end is None else parse_time("obs_end", end)

    def test(frame: Any) -> bool:
        when = frame.mjd_mid if frame.mjd_start is None else frame.mjd_start
        return when is not None and first <= when <= last

    return test


def _number(name: str, value: Any) -> float:
    value = plain_number(name, value, _UNITS[name])
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise InputError(f"{name}={value!r}: must be a number")
    if np.isnan(value):
        raise InputError(f"{name}={value!r}: must be a number; nothing would fulfil it")
    return float(value)
