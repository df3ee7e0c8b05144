"""The level of the sky from a ring around an aperture, with its error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ezarchive.photometry.kernels_ring import clipped_statistics, gather_ring
from ezarchive.photometry.stamps import Stamps
from ezarchive.sky.ellipses import Ellipses

MEDIAN_VARIANCE = math.pi / 2
"""Variance of the median of many Gaussian values in units of that of their mean (Kendall & Stuart, The Advanced Theory of Statistics I)."""


@dataclass(frozen=True)
class Ring:
    """The sky in rings; every field has shape (n,).

    Attributes
    ----------
    level : ndarray
        Clipped median per pixel; NaN where the ring holds too few pixels.
    level_err : ndarray
        Its error.
    sigma : ndarray
        Noise of the sky per pixel: clipped standard deviation, corrected for what clipping takes from a Gaussian; NaN where the
        pixels are all the same.
    pixels : ndarray of int32
        Pixels after clipping.
    """

    level: np.ndarray
    level_err: np.ndarray
    sigma: np.ndarray
    pixels: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Clipping:
    """How the pixels of a ring are clipped: at how many standard deviations, how often, and how few may be left."""

    sigma: float = 3.0
    iterations: int = 5
    least_pixels: int = 10


def measure_rings(stamps: Stamps, inner: Ellipses, outer: Ellipses, clipping: Clipping) -> Ring:
    """Measure the sky in a ring around each position.

    Parameters
    ----------
    stamps : Stamps
        Pixels that are left out of apertures, and those of any source of a segmentation map, are left out of rings.
    inner, outer : Ellipses
        The edges; both of the same axis ratio and direction. A pixel belongs to the ring if its centre does.
    clipping : Clipping

    Returns
    -------
    Ring

    Notes
    -----
    The error of the median of N pixels is ``sqrt(pi / 2 / N) sigma``. The median of Poisson numbers lies a sixth of an electron below their
    mean, so that a ring on a faint sky is that much low; other sources in the ring lift it.
    """
    n, h, _ = stamps.data.shape
    out = stamps.out if stamps.sources is None else stamps.out | stamps.sources
    centre = np.stack([stamps.x, stamps.y - np.arange(n) * h], axis=-1)
    ring = out, centre, inner.form(), np.stack(outer.reach(), axis=-1), (outer.a / inner.a) ** 2
    level, spread, count = np.empty(n), np.empty(n), np.empty(n, np.int32)
    room = np.empty((n, int(np.ceil(1.05 * (outer.area - inner.area).max(initial=0.0))) + 16), stamps.data.dtype)
    gather_ring(stamps.data, *ring, room, count)
    if count.max(initial=0) > room.shape[1]:
        room = np.empty((n, count.max()), room.dtype)
        gather_ring(stamps.data, *ring, room, count)
    room[np.arange(room.shape[1]) >= count[:, None]] = np.inf
    room.sort(axis=1)
    clipped_statistics(room, clipping.sigma, clipping.iterations, level, spread, count)
    sigma = spread / remaining_sigma(clipping.sigma)
    few = count < clipping.least_pixels
    level[few], sigma[few] = np.nan, np.nan
    with np.errstate(divide="ignore"):
        error = np.sqrt(MEDIAN_VARIANCE / count) * sigma
    # Pixels that are all the same have a level, but tell nothing of the noise.
    sigma[sigma == 0] = np.nan
    return Ring(level, error, sigma, count)


@lru_cache(maxsize=16)
def remaining_sigma(clip: float) -> float:
    """Return the standard deviation that is left of a unit Gaussian clipped again and again.

    Parameters
    ----------
    clip : float
        In units of the standard deviation of what is left.

    Returns
    -------
    float
        Root of ``s^2 = 1 - 2 c phi(c) / (2 Phi(c) - 1)``, ``c = clip s``: the variance of a Gaussian that is cut at +-c. 0.9848 for 3;
        1 where clipping would take everything (below 1.73).

    Examples
    --------
    >>> round(remaining_sigma(3.0), 4)
    0.9848
    """
    s = 1.0
    for _ in range(200):
        c = clip * s
        inside = math.erf(c / math.sqrt(2))
        variance = 1 - 2 * c * math.exp(-c * c / 2) / math.sqrt(2 * math.pi) / inside
        if variance <= 0.05:
            return 1.0
        s = math.sqrt(variance)
    return s
