"""Frames divided into groups that have something in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ezarchive.browse.selection import plain_number
from ezarchive.errors import InputError


def divided(frames: Sequence[Any], keys: Sequence[str], delta: Any = None) -> list[list[int]]:
    """Divide frames, or other things with their facts, into groups.

    Parameters
    ----------
    frames : sequence
        With the attributes `keys`, and ``mjd_start`` or ``mjd_mid`` for `delta`.
    keys : sequence of str
        What the members of a group have in common; None is a value too.
    delta : float or Quantity, optional
        Days: a longer gap between one exposure and the next divides a group. Those of unknown time are a group of their own.

    Returns
    -------
    list of list of int
        Places in the sequence; groups by their keys and time, places in their former order. None is last.

    Raises
    ------
    InputError
        If `delta` is no positive number of days.
    """
    gap = None if delta is None else plain_number("obsdate_delta", delta, "d")
    if gap is not None and (isinstance(gap, bool) or not isinstance(gap, (int, float, np.number)) or not gap > 0):
        raise InputError(f"obsdate_delta={delta!r}: must be a positive number of days")
    groups: dict[tuple[Any, ...], list[int]] = {}
    for place, frame in enumerate(frames):
        groups.setdefault(tuple(_key(getattr(frame, name)) for name in keys), []).append(place)
    ordered = [groups[key] for key in sorted(groups)]
    return ordered if gap is None else [part for group in ordered for part in _in_time(frames, group, float(gap))]


def _key(value: Any) -> tuple[bool, Any]:
    """Return what sorts and compares: None last, numbers to 1 part in 10^6."""
    if isinstance(value, (float, np.floating)):
        return False, float(f"{value:.6g}")
    return value is None, "" if value is None else value


def _in_time(frames: Sequence[Any], group: list[int], gap: float) -> list[list[int]]:
    times = {place: _time(frames[place]) for place in group}
    timeless = [place for place in group if times[place] is None]
    parts: list[list[int]] = []
    last = None
    for place in sorted((place for place in group if times[place] is not None), key=lambda place: times[place]):
        if last is None or times[place] - last > gap:
            parts.append([])
        parts[-1].append(place)
        last = times[place]
    return [sorted(part) for part in parts] + ([timeless] if timeless else [])


def _time(frame: Any) -> float | None:
    return frame.mjd_mid if frame.mjd_start is None else frame.mjd_start
