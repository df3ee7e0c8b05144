"""Exact quantiles of images of any size, in two passes and without a copy of the pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ezarchive.quicklook.display.kernels_limits import extremes, sift
from ezarchive.quicklook.display.strips import Pixels, Strips

_SMALL = 1 << 18
"""Images up to so many pixels are sorted as they are."""

_ROOM = 1 << 22
"""Pixels that may lie within a bracket."""

_MARGINS = (7.0, 70.0)
"""Half width of a bracket, in standard deviations of a rank in a random sample: at first, and where that was not enough."""

Floats = NDArray[np.float64]


class Range(NamedTuple):
    """Number and extremes of the finite pixels; NaN where there are none."""

    n: int
    low: float
    high: float


def full_range(strips: Strips) -> Range:
    """Return number, minimum and maximum of the finite pixels."""
    found = [_extremes(values) for values in strips.flat()]
    n = int(sum(one[0] for one in found))
    if n == 0:
        return Range(0, math.nan, math.nan)
    return Range(n, float(min(one[1] for one in found)), float(max(one[2] for one in found)))


def _extremes(values: Pixels) -> tuple[int, float, float]:
    with np.errstate(invalid="ignore"):
        low, high = float(values.min()), float(values.max())
    if math.isfinite(low) and math.isfinite(high):  # then no pixel is NaN, and numpy is faster than a loop with a test
        return len(values), low, high
    return extremes(values)


def quantiles(strips: Strips, fractions: Sequence[float]) -> tuple[Floats, int]:
    """Return quantiles of the finite pixels and the number of these.

    Parameters
    ----------
    strips : Strips
    fractions : sequence of float
        From 0 to 1, ascending.

    Returns
    -------
    values : ndarray, shape (len(fractions),)
        As `numpy.quantile` has them of the finite pixels as float64 (method ``linear``); NaN where there are none.
    n : int

    Notes
    -----
    A sample on a grid tells between which two values a rank lies; a pass over all pixels counts those below and keeps those between, among
    which the value at the rank is selected. A rank that proves to lie elsewhere is looked for again in wider brackets, at last among all
    pixels: the sample decides how long it takes, never the result.
    """
    if strips.size <= _SMALL:
        return _of_all(strips, fractions)
    sample = np.sort(strips.sample())
    for margin in _MARGINS if len(sample) else ():
        found = _bracketed(strips, fractions, sample, margin)
        if found is not None:
            return found
    return _of_all(strips, fractions)


def _of_all(strips: Strips, fractions: Sequence[float]) -> tuple[Floats, int]:
    """Select among copies of all finite pixels."""
    values = np.concatenate([np.empty(0, np.float32), *(part[np.isfinite(part)] for part in strips.flat())])
    n = len(values)
    if n == 0:
        return np.full(len(fractions), np.nan), 0
    places = [_place(q, n) for q in fractions]
    values.partition(sorted({k for place in places for k in place[:2]}))
    return np.array([_between(float(values[k]), float(values[above]), t) for k, above, t in places]), n


def _bracketed(strips: Strips, fractions: Sequence[float], sample: Pixels, margin: float) -> tuple[Floats, int] | None:
    """Select among the pixels in brackets about the ranks; None where one lies elsewhere, or too many are inside."""
    values, n = np.empty(len(fractions)), 0
    for first in range(0, len(fractions), 2):
        pair = [fractions[first], fractions[min(first + 1, len(fractions) - 1)]]
        brackets = np.array([_bracket(q, sample, margin) for q in pair], sample.dtype)
        counts, kept = np.zeros((2, 5), np.int64), np.empty((2, _ROOM), sample.dtype)
        for part in strips.flat():
            sift(part, brackets, counts, kept)
        n = int(counts[0].sum())
        for k, q in enumerate(pair[: len(fractions) - first]):
            found = _ranked(q, n, brackets[k], counts[k], kept[k])
            if found is None:
                return None
            values[first + k] = found
    return values, n


def _bracket(q: float, sample: Pixels, margin: float) -> tuple[float, float]:
    m = len(sample)
    half = margin * math.sqrt(q * (1.0 - q) * m) + margin
    low, high = math.floor(q * (m - 1) - half), math.ceil(q * (m - 1) + half)
    return (-np.inf if low < 0 else sample[low]), (np.inf if high >= m else sample[high])


def _ranked(q: float, n: int, bracket: Pixels, counts: NDArray[np.int64], kept: Pixels) -> float | None:
    """Return the quantile, None where one of the two values that it lies between is not in the bracket."""
    below, at_low, inside, at_high = (int(number) for number in counts[:4])
    if inside > len(kept):
        return None
    k, above, t = _place(q, n)
    ranks = [rank - below - at_low for rank in (k, above)]
    if ranks[0] < -at_low or ranks[1] >= inside + at_high:
        return None
    ordered = kept[:inside]
    wanted = sorted({rank for rank in ranks if 0 <= rank < inside})
    if wanted:
        ordered.partition(wanted)
    ends = [float(bracket[0] if rank < 0 else ordered[rank] if rank < inside else bracket[1]) for rank in ranks]
    return _between(ends[0], ends[1], t)


def _place(q: float, n: int) -> tuple[int, int, float]:
    """Return the ranks on both sides of a quantile and the fraction of the way between them."""
    where = q * (n - 1)
    k = min(math.floor(where), n - 1)
    return k, min(k + 1, n - 1), where - k


def _between(low: float, high: float, t: float) -> float:
    """Interpolate from the nearer end, as numpy does, so that the result never leaves the ends."""
    step = high - low
    if not math.isfinite(step):
        return low * (1.0 - t) + high * t
    return high - step * (1.0 - t) if t >= 0.5 else low + step * t
