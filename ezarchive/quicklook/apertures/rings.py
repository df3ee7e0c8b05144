"""Concentric rings on pixels: exact shares, means, scatter and errors, and how the errors of rings that share pixels go together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ezarchive.errors import InputError
from ezarchive.quicklook.apertures.kernels_rings import shares
from ezarchive.quicklook.regions.shapebase import cos_sin

Floats = NDArray[np.float64]
MOST_RINGS = 100_000


@dataclass(frozen=True)
class Grid:
    """Where the rings are.

    Attributes
    ----------
    x, y : float
        Their centre, pixels.
    step : float
        Each is so wide, pixels along the first axis.
    n : int
        So many rings.
    ratio : float
        Second semi-axis over the first; 1 for circles.
    theta : float
        Of the first axis, degrees counter-clockwise from +x.
    """

    x: float
    y: float
    step: float
    n: int
    ratio: float = 1.0
    theta: float = 0.0

    def __post_init__(self) -> None:
        if self.n > MOST_RINGS:
            raise InputError(f"step={self.step}: makes {self.n} rings; must make {MOST_RINGS} at most")

    @property
    def edges(self) -> Floats:
        """Of the rings, shape (n + 1,)."""
        return self.step * np.arange(self.n + 1)

    @property
    def areas(self) -> Floats:
        """Of the whole rings, square pixels, shape (n,)."""
        return np.pi * self.ratio * np.diff(self.edges**2)

    def radius(self, x: Floats, y: Floats) -> Floats:
        """Return the distance of places from the centre; of ellipses, the semi-axis of the one through the place."""
        cos, sin = cos_sin(self.theta)
        dx, dy = x - self.x, y - self.y
        return np.hypot(dx * cos + dy * sin, (dy * cos - dx * sin) / self.ratio)

    def box(self, image_shape: tuple[int, int]) -> tuple[slice, slice]:
        """Return the pixels of an image that the rings may touch."""
        reach = self.step * self.n * max(1.0, self.ratio)
        return _cut(self.y, reach, image_shape[0]), _cut(self.x, reach, image_shape[1])


def _cut(center: float, reach: float, n: int) -> slice:
    low = min(max(np.floor(center - reach + 0.5), 0.0), float(n))
    return slice(int(low), int(min(max(np.ceil(center + reach + 0.5), low), float(n))))


def ring_shares(grid: Grid, x: Floats, y: Floats) -> sparse.csr_array:
    """Return which share of each pixel's area lies in each ring.

    Parameters
    ----------
    grid : Grid
    x, y : ndarray, shape (p,)
        Centres of the pixels.

    Returns
    -------
    csr_array, shape (n, p)
    """
    cos, sin = cos_sin(grid.theta)
    numbers = (np.ascontiguousarray(x - grid.x, float), np.ascontiguousarray(y - grid.y, float), grid.ratio, cos, sin, grid.step, grid.n)
    room = 4 * len(x)
    while True:
        rings, pixels, weights = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room)
        count = shares(*numbers, rings, pixels, weights)
        if count <= room:
            break
        room = count
    return sparse.csr_array((weights[:count], (rings[:count], pixels[:count])), shape=(grid.n, len(x)))


@dataclass(frozen=True, eq=False)
class RingMeans:
    """Of each ring, arrays of shape (n,); NaN where a ring holds no pixel.

    Attributes
    ----------
    mean, err, std : ndarray
        Mean of the values weighted by the shares, the error of it, and the scatter about it.
    n : ndarray of int64
        Pixels in the ring, in part at least.
    area : ndarray
        Sum of the shares, square pixels.
    weights : csr_array, shape (n, p)
        Each row adds up to 1: `mean` is this times the values.
    """

    mean: Floats
    err: Floats
    std: Floats
    n: NDArray[np.int64]
    area: Floats
    weights: sparse.csr_array


def ring_means(found: sparse.csr_array, values: Floats, variance: Floats | None) -> RingMeans:
    """Return mean, scatter and errors of values in rings.

    Parameters
    ----------
    found : csr_array, shape (n, p)
        Shares of the pixels.
    values : ndarray, shape (p,)
        Finite.
    variance : ndarray of shape (p,), or None
        Of the values; where None, the errors of the means follow from the scatter within each ring, which also holds the slope of the
        profile across it, so they are upper limits where the profile is steep.
    """
    area = found.sum(axis=1)
    n = np.diff(found.indptr).astype(np.int64)
    filled = area > 0
    inverse = np.divide(1.0, area, out=np.zeros_like(area), where=filled)
    weights = sparse.csr_array(sparse.diags_array(inverse) @ found)
    mean = np.where(filled, weights @ values, np.nan)
    rows = np.repeat(np.arange(len(n)), n)
    apart = values[weights.indices] - mean[rows]
    # What is left of huge values, as 1e300, has squares beyond the range of the machine.
    with np.errstate(over="ignore"):
        away = np.bincount(rows, weights.data * apart**2, minlength=len(n))
    std = np.where(filled, np.sqrt(away), np.nan)
    squares = weights.power(2)
    if variance is not None:
        err = np.sqrt(squares @ variance)
    else:
        # The mean of squares about the mean is (1 - sum w^2) of the variance: with n equal weights the usual (n - 1) / n.
        shared = squares.sum(axis=1)
        free = 1.0 - shared
        err = np.sqrt(np.divide(away * shared, free, out=np.full_like(area, np.nan), where=free > 1e-9))
    return RingMeans(mean, np.where(filled, err, np.nan), std, n, area, weights)


def ring_covariance(weights: sparse.csr_array, variance: Floats) -> Floats:
    """Return the covariance of the means of rings, shape (n, n): neighbours share the pixels on their edge."""
    return (weights @ sparse.diags_array(variance) @ weights.T).toarray()
