"""Pixels along a line: the points of a cut, and what an image has there by interpolation."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float64]


class Points(NamedTuple):
    """The points of a cut: their distance from its start (n,), and x and y (n, m) of m lines side by side, from right to left."""

    distance: Floats
    x: Floats
    y: Floats


def points_along(start: tuple[float, float], end: tuple[float, float], step: float, width: float) -> Points:
    """Return points along a line and across its width.

    Parameters
    ----------
    start, end : (x, y)
        Two different places.
    step : float
        Between points along the line; the first is at `start`, none beyond `end`.
    width : float
        It is cut into as many equal strips as it has pixels, at least one; points are in their middles.

    Returns
    -------
    Points
    """
    (x0, y0), (x1, y1) = start, end
    length = math.hypot(x1 - x0, y1 - y0)
    ux, uy = (x1 - x0) / length, (y1 - y0) / length
    distance = step * np.arange(math.floor(length / step * (1 + 1e-12)) + 1.0)
    strips = max(math.ceil(width * (1 - 1e-12)), 1)
    across = width * ((np.arange(strips) + 0.5) / strips - 0.5)
    return Points(
        distance,
        x0 + ux * distance[:, None] - uy * across[None, :],
        y0 + uy * distance[:, None] + ux * across[None, :],
    )


class Taps(NamedTuple):
    """The pixels that a point is interpolated from: rows, columns and weights of shape (..., taps), and which points are on the image."""

    row: NDArray[np.int64]
    column: NDArray[np.int64]
    weight: Floats
    on: NDArray[np.bool_]


def taps_of(x: Floats, y: Floats, shape: tuple[int, int], order: int) -> Taps:
    """Return the pixels and weights that give the value at points.

    Parameters
    ----------
    x, y : ndarray
        0-based pixels. The image reaches from -0.5 to n - 0.5; in its outer half pixel the outermost pixels are continued.
    shape : (ny, nx)
    order : {0, 1, 3}
        Nearest pixel, bilinear, bicubic.

    Notes
    -----
    The cubic weights are those of Keys (1981, IEEE Trans. ASSP 29, 1153) with a = -1/2: they pass through the pixels, need 4 x 4 of
    them, and are exact for quadratic surfaces.
    """
    with np.errstate(invalid="ignore"):
        on = (x >= -0.5) & (x <= shape[1] - 0.5) & (y >= -0.5) & (y <= shape[0] - 0.5)
    rows, along_y = _along(np.where(on, y, 0.0), shape[0], order)
    columns, along_x = _along(np.where(on, x, 0.0), shape[1], order)
    count = along_x.shape[-1]
    weight = (along_y[..., :, None] * along_x[..., None, :]).reshape(*x.shape, count * count)
    return Taps(np.repeat(rows, count, axis=-1), np.tile(columns, count), weight, on)


def _along(place: Floats, n: int, order: int) -> tuple[NDArray[np.int64], Floats]:
    place = np.clip(place, 0.0, n - 1.0)
    if order == 0:
        return np.floor(place + 0.5).astype(np.int64).clip(0, n - 1)[..., None], np.ones((*place.shape, 1))
    base = np.floor(place)
    t = place - base
    if order == 1:
        steps, weights = np.arange(2), np.stack([1 - t, t], axis=-1)
    else:
        steps = np.arange(-1, 3)
        outer, inner = (((-0.5 * t + 1) * t - 0.5) * t, ((1.5 * t - 2.5) * t) * t + 1)
        mirrored = 1 - t
        weights = np.stack(
            [
                outer,
                inner,
                ((1.5 * mirrored - 2.5) * mirrored) * mirrored + 1,
                ((-0.5 * mirrored + 1) * mirrored - 0.5) * mirrored,
            ],
            axis=-1,
        )
    return (base.astype(np.int64)[..., None] + steps).clip(0, n - 1), weights


def sampled(pixels: Floats, taps: Taps) -> Floats:
    """Return the value at each point; NaN off the image, and where a pixel that counts is not finite.

    Parameters
    ----------
    pixels : ndarray, shape (ny, nx)
    taps : Taps
        Into these pixels.
    """
    found = pixels[taps.row, taps.column]
    # A pixel of no weight may be what it likes.
    value = np.where(taps.weight == 0, 0.0, taps.weight * np.where(np.isfinite(found), found, np.nan)).sum(axis=-1)
    return np.where(taps.on, value, np.nan)


_MEDIAN = (
    1.0, 1.0, 1.346, 1.190, 1.434, 1.287, 1.475, 1.343, 1.496, 1.384, 1.511, 1.412, 1.517, 1.430, 1.522, 1.446, 1.534, 1.458, 1.534, 1.467,
)  # fmt: skip
"""Variance of the median of 1, 2, ... normal numbers in terms of that of their mean, from 2e6 trials each; pi / 2 of many."""


class Combined(NamedTuple):
    """Columns (n,) of a cut: the value across its width, how many points it is of, and their standard deviation (n - 1)."""

    value: Floats
    n: NDArray[np.int64]
    std: Floats


def combined(samples: Floats, combine: str) -> Combined:
    """Combine the points across a cut.

    Parameters
    ----------
    samples : ndarray, shape (n, m)
        NaN is left out.
    combine : {"mean", "median"}
    """
    known = np.isfinite(samples)
    n = known.sum(axis=1)
    total = np.where(known, samples, 0.0).sum(axis=1)
    mean = np.divide(total, n, out=np.full(len(n), np.nan), where=n > 0)
    squares = (np.where(known, samples - mean[:, None], 0.0) ** 2).sum(axis=1)
    std = np.sqrt(np.divide(squares, n - 1, out=np.full(len(n), np.nan), where=n > 1))
    if combine == "mean":
        return Combined(mean, n, std)
    ordered = np.sort(samples, axis=1)  # NaN comes last
    rows = np.arange(len(n))
    low, high = np.maximum(n - 1, 0) // 2, np.minimum(n // 2, samples.shape[1] - 1)
    return Combined(0.5 * (ordered[rows, low] + ordered[rows, high]), n, std)


def median_factor(n: NDArray[np.int64]) -> Floats:
    """Return the error of the median of n independent normal numbers in terms of that of their mean."""
    return np.sqrt(np.array([*_MEDIAN, np.pi / 2])[np.clip(n, 1, len(_MEDIAN) + 1) - 1])


def propagated(variance: Floats, taps: Taps, known: NDArray[np.bool_], n: NDArray[np.int64]) -> Floats:
    """Return the error of the mean across a cut from the variances of the pixels.

    Parameters
    ----------
    variance : ndarray, shape (ny, nx)
        Of independent pixels.
    taps : Taps
        Of points of shape (n, m).
    known : ndarray of bool, shape (n, m)
        The points that the mean is of.
    n : ndarray of int, shape (n,)
        How many they are.

    Returns
    -------
    ndarray, shape (n,)
        A pixel that several points share counts with the sum of its weights. NaN where there is no point, or a variance is not finite.
    """
    share = np.divide(1.0, n, out=np.zeros(len(n)), where=n > 0)
    weight = (taps.weight * (known * share[:, None])[..., None]).reshape(len(n), -1)
    pixel = (taps.row * variance.shape[1] + taps.column).reshape(len(n), -1)
    first = np.repeat(np.arange(len(n)), weight.shape[1])
    used = weight.ravel() != 0
    places, inverse = np.unique(pixel.ravel()[used], return_inverse=True)
    matrix = sparse.coo_array((weight.ravel()[used], (first[used], inverse)), shape=(len(n), places.size)).tocsr()
    total = matrix.power(2) @ variance.ravel()[places]
    return np.where(n > 0, np.sqrt(total), np.nan)


def propagated_median(variance: Floats, taps: Taps, known: NDArray[np.bool_], n: NDArray[np.int64]) -> Floats:
    """Return the error of the median across a cut; parameters and result are those of `propagated`.

    Notes
    -----
    The median of normal numbers with errors s_i and correlations r_ij has, where they are many, the variance
    sum_ij asin(r_ij) / (sum_i 1 / s_i)**2: its influence is the sign of each, and the signs of two correlate as 2 / pi asin(r). Of few it
    is smaller; that factor is taken from independent numbers. Neighbours correlate because they are interpolated from shared pixels.
    """
    values = variance[taps.row, taps.column]
    pixel = taps.row * variance.shape[1] + taps.column
    own = _covariances(pixel, taps.weight, values, 0)
    own = np.where(known, own, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = np.where(known, 1 / np.sqrt(own), 0.0).sum(axis=1)
        total = n * (np.pi / 2)
        for apart in range(1, min(known.shape[1], 2 * math.isqrt(pixel.shape[-1]) + 1)):
            shared = _covariances(pixel, taps.weight, values, apart) / np.sqrt(own[:, apart:] * own[:, :-apart])
            both = known[:, apart:] & known[:, :-apart]
            total = total + 2 * np.where(both, np.arcsin(np.clip(shared, -1, 1)), 0.0).sum(axis=1)
        return np.where(n > 0, median_factor(n) * np.sqrt(total / (np.pi / 2)) / weight, np.nan)


def _covariances(pixel: NDArray[np.int64], weight: Floats, values: Floats, apart: int) -> Floats:
    """Return the covariance of every point with the one so many places on across the cut, shape (n, m - apart)."""
    stop = pixel.shape[1] - apart
    total = np.zeros((len(pixel), stop))
    for tap in range(pixel.shape[-1]):
        same = pixel[:, apart:] == pixel[:, :stop, tap, None]
        product = np.where(same, weight[:, apart:], 0.0).sum(axis=-1) * weight[:, :stop, tap]
        total += np.where(product == 0, 0.0, product * values[:, :stop, tap])
    return total
