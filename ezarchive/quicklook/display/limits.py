"""The values of an image that are shown as black and as white."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ezarchive.errors import InputError
from ezarchive.quicklook.display.quantiles import full_range, quantiles
from ezarchive.quicklook.display.strips import Strips
from ezarchive.quicklook.planes.inputs import picture

__all__ = ["PRESETS", "Limits", "display_limits"]

PRESETS: tuple[str | float, ...] = ("minmax", 99.5, 99.0, 95.0, 90.0, "zscale")
"""What a menu would offer; any other percentage above 0, up to 100, is taken too."""


@dataclass(frozen=True)
class Limits:
    """The values that are shown as 0 and as 1; unpacks as ``low, high``.

    Attributes
    ----------
    low, high : float
        In the unit of the image; NaN where it has no finite pixel.
    preset : str
        ``minmax``, ``zscale``, ``custom`` or a percentage (``95%``).
    n : int or None
        Finite pixels that decided; None for limits that were given.
    """

    low: float
    high: float
    preset: str = "custom"
    n: int | None = None

    def __iter__(self) -> Iterator[float]:
        return iter((self.low, self.high))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, None for NaN."""
        low, high = (value if math.isfinite(value) else None for value in self)
        return {"low": low, "high": high, "preset": self.preset, "n": self.n}


def display_limits(data: Any, percentile: Any = 95) -> Limits:
    """Return the values of an image to be shown as black and as white.

    Parameters
    ----------
    data : path, Image, Picture, NDData or array of shape (ny, nx)
        What `ezarchive.quicklook.picture` takes. Pixels that are not finite, or masked, do not count.
    percentile : float, str, pair of floats or Limits
        p: the percentiles (100 - p) / 2 and 100 - (100 - p) / 2; above 0, up to 100. ``'minmax'`` is 100. ``'zscale'``: the algorithm of
        IRAF. Two numbers are the limits themselves, the first not above the second.

    Returns
    -------
    Limits

    Raises
    ------
    InputError
        If `percentile` is none of these: "Invalid autocut", or "Invalid cut levels" for numbers that are not two.
    FrameError
        If a file cannot be read.

    Notes
    -----
    All pixels count, and the same pixels always give the same limits: percentiles are those of `numpy.percentile` (method ``linear``) of
    the pixels as float64. A whole frame of 61 million pixels takes some tenths of a second.

    Examples
    --------
    >>> import numpy as np
    >>> low, high = display_limits(np.arange(101.0).reshape(1, 101), 90)
    >>> low, high
    (5.0, 95.0)
    """
    if isinstance(percentile, Limits):
        return percentile
    kind = checked_percentile(percentile)
    if isinstance(kind, tuple):
        return Limits(*kind)
    strips = Strips(picture(data, "data"))
    if kind == "minmax":
        found = full_range(strips)
        return Limits(found.low, found.high, "minmax", found.n)
    if kind == "zscale":
        return _zscale(strips)
    tail = (100.0 - kind) / 2.0
    (low, high), n = quantiles(strips, (tail / 100.0, (100.0 - tail) / 100.0))
    return Limits(float(low), float(high), f"{kind:g}%", n)


def checked_percentile(percentile: Any) -> str | float | tuple[float, float]:
    """Return 'minmax', 'zscale', a percentage below 100, or two limits, of what `display_limits` takes.

    Raises
    ------
    InputError
        If it is none of these: "Invalid autocut" or "Invalid cut levels".
    """
    if isinstance(percentile, (tuple, list, np.ndarray, Limits)):
        return _custom(tuple(percentile))
    text = f"Invalid autocut: percentile={percentile!r} must be above 0, up to 100, or 'minmax', or 'zscale', or two numbers as cut levels"
    name = str(percentile).strip().lower() if isinstance(percentile, str) else ""
    if name in ("minmax", "zscale"):
        return name
    if isinstance(percentile, (bool, np.bool_)):
        raise InputError(text)
    try:
        number = float(name.removesuffix("%") if name else percentile)
    except (TypeError, ValueError) as err:
        raise InputError(text) from err
    if not 0.0 < number <= 100.0:
        raise InputError(text)
    return "minmax" if number == 100.0 else number


def _custom(pair: tuple[Any, ...]) -> tuple[float, float]:
    text = f"Invalid cut levels: percentile={pair!r} must be two finite numbers, the first not above the second"
    if len(pair) != 2 or any(isinstance(value, (bool, np.bool_, str)) for value in pair):
        raise InputError(text)
    try:
        low, high = (float(value) for value in pair)
    except (TypeError, ValueError) as err:
        raise InputError(text) from err
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise InputError(text)
    return low, high


_POINTS, _CONTRAST, _REJECTED, _SIGMA, _ROUNDS, _FEWEST, _GROWN = 1000, 0.25, 0.5, 2.5, 5, 5, 0.01
"""Of zscale: pixels in the sample, contrast, largest part to reject, where, how often, fewest pixels, part of neighbours that go too."""


def _zscale(strips: Strips) -> Limits:
    """Return the limits of IRAF's display task: a line through the sorted sample, steepened by the contrast, about the median."""
    n = full_range(strips).n
    if n == 0:
        return Limits(math.nan, math.nan, "zscale", 0)
    ordered = np.sort(_every(strips, max(1, n // _POINTS))[:_POINTS]).astype(np.float64)
    power = int(np.frexp(np.max(np.abs(ordered)))[1])  # near 1 no square is too large or too small
    low, high = _steepened(np.ldexp(ordered, -power))
    return Limits(float(np.ldexp(low, power)), float(np.ldexp(high, power)), "zscale", n)


def _steepened(ordered: NDArray[np.float64]) -> tuple[float, float]:
    """Return where the line through the sorted sample, divided by the contrast, reaches the first and the last of it."""
    fewest = max(_FEWEST, int(len(ordered) * _REJECTED))
    slope, good = _slope(ordered, fewest)
    low, high = float(ordered[0]), float(ordered[-1])
    if good < fewest:
        return low, high
    if low == high:
        # What is left of a slope through equal values is rounding, which may turn the limits around.
        return low, high
    middle, steep, median = (len(ordered) - 1) // 2, slope / _CONTRAST, float(np.median(ordered))
    return max(low, median - (middle - 1) * steep), min(high, median + (len(ordered) - middle) * steep)


def _slope(ordered: NDArray[np.float64], fewest: int) -> tuple[float, int]:
    """Return slope of the line through the sorted values, without those that lie off it, and the number of those left."""
    n = len(ordered)
    x, bad = np.arange(n, dtype=np.float64), np.zeros(n, np.bool_)
    grown = np.ones(max(1, int(n * _GROWN)))
    slope, good, before = 0.0, n, n + 1
    for _ in range(_ROUNDS):
        if good >= before or good < fewest:
            break
        slope, off = np.polyfit(x, ordered, 1, w=(~bad).astype(np.float64))
        rest = ordered - (slope * x + off)
        bad = bad | (np.abs(rest) > _SIGMA * rest[~bad].std())
        bad = np.convolve(bad, grown, mode="same") > 0.5
        before, good = good, int(np.count_nonzero(~bad))
    return float(slope), good


def _every(strips: Strips, step: int) -> NDArray[Any]:
    """Return every step-th of the finite pixels."""
    taken, start = [], 0
    for part in strips.flat():
        with np.errstate(invalid="ignore", over="ignore"):
            whole = math.isfinite(float(part.sum(dtype=np.float64)))
        good = part if whole else part[np.isfinite(part)]
        taken.append(good[start::step])
        start = (start - len(good)) % step
    return np.concatenate(taken)
