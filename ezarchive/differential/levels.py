"""The level of an ensemble: the one constant that the stars themselves do not tell."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SYSTEM = "ensemble"
"""The ``system`` of zero points of an ensemble."""

UNCALIBRATED = 25.0
"""Where no frame is calibrated: the median zero point, of counts per second."""

_MEDIAN_ERROR = math.sqrt(math.pi / 2)

Floats = NDArray[np.float64]


class Level(NamedTuple):
    """What is added to the zero points of an ensemble.

    Attributes
    ----------
    offset : float
        Mag.
    error : float
        Its error, common to all frames, mag; NaN where nothing or one frame tells.
    ab_offset : float or None
        0 if the level is AB, None if it is not known what makes AB magnitudes.
    origin : str
        ``AB``, another system, ``ensemble`` (the level of an earlier one) or ``none`` (`UNCALIBRATED`).
    n_frames : int
        Calibrated frames that it is the median of.
    """

    offset: float
    error: float
    ab_offset: float | None
    origin: str
    n_frames: int

    @property
    def calibrated(self) -> bool:
        """Whether magnitudes on this level are those of a system, not only differences."""
        return self.origin not in (SYSTEM, "none")


def level(zero_point: Floats, ab: Floats, stored: Floats, system: NDArray[np.object_]) -> Level:
    """Return what makes the zero points of an ensemble those of its calibrated frames.

    Parameters
    ----------
    zero_point : ndarray of float, shape (n,)
        Of the ensemble, of counts per second, mag; NaN where there is none.
    ab, stored : ndarray of float, shape (n,)
        Zero points that the frames had before, of counts per second: in AB, and as they stand; NaN where there is none.
    system : ndarray of str or None, shape (n,)
        The system of ``stored``.

    Returns
    -------
    Level
        The median difference, of AB zero points if a frame has one; else of those of the commonest system; else of those of an earlier
        ensemble; else such that the median is `UNCALIBRATED`.
    """
    if np.isfinite(ab - zero_point).any():
        return _median(ab - zero_point, 0.0, "AB")
    known = np.isfinite(stored - zero_point)
    names = [str(name) for name in system[known] if name != SYSTEM]
    if names:
        commonest = max(sorted(set(names)), key=names.count)
        mine = np.array([str(name) == commonest for name in system])
        return _median(np.where(mine, stored - zero_point, np.nan), None, commonest)
    if known.any():
        return _median(stored - zero_point, None, SYSTEM)
    return Level(UNCALIBRATED - float(np.nanmedian(zero_point)), math.nan, None, "none", 0)


def _median(offsets: Floats, ab_offset: float | None, origin: str) -> Level:
    offsets = offsets[np.isfinite(offsets)]
    n = len(offsets)
    error = _MEDIAN_ERROR * float(np.std(offsets, ddof=1)) / math.sqrt(n) if n > 1 else math.nan
    return Level(float(np.median(offsets)), error, ab_offset, origin, n)
