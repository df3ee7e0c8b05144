"""The noise of an image's sky by differences of its pixels, which sources and their wings hardly enter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.float64]

_SMOOTH = 3.0
_FAINT, _FAINTEST = 0.5, 0.25
_NEAR, _FAR = 1, 4
_SAME = 0.03
_SIGMAS = 3.0
_LEAST = 60


def sky_noise(data: Floats) -> float:
    """Return the standard deviation of the noise of a pixel of the sky.

    Parameters
    ----------
    data : ndarray, shape (ny, nx)
        Large-scale background subtracted; NaN where there is no value.

    Returns
    -------
    float
        0 where the image shows none (constant, or clipped in half of its pixels), NaN where it has too few pixels.

    Notes
    -----
    Of second differences along rows and columns, (p[i - d] - 2 p[i] + p[i + d]) / sqrt(6), in the fainter half of the (smoothed) pixels,
    1.4826 times the median of the absolute deviations from the median. The light of sources has but its curvature over d pixels in them:
    with d = 1 that is little even where every pixel has some light. But such differences tell white noise only. Where they disagree with
    those along both axes at once (Immerkaer 1996, Comp. Vision Image Underst. 64, 300) by more than 3 per cent and than chance,
    neighbours share noise, as in a resampled image: then d = 4, in the faintest quarter.
    """
    good = np.isfinite(data)
    if good.sum() < _LEAST:
        return float("nan")
    smooth = ndimage.gaussian_filter(np.where(good, data, np.median(data[good])), _SMOOTH)
    faint = good & (smooth <= np.quantile(smooth[good], _FAINT))
    both = _along(_along(data, _NEAR, 0), _NEAR, 1)
    (sigma, n), (across, _) = _spread(_second(data, _NEAR), faint), _spread(both[None], faint)
    chance = _SIGMAS * 1.2 / np.sqrt(max(n, 1))
    if not sigma > 0 or abs(across - sigma) <= max(_SAME, chance) * sigma:
        return sigma
    far, n = _spread(_second(data, _FAR), faint & (smooth <= np.quantile(smooth[good], _FAINTEST)))
    return far if n >= _LEAST else sigma


def _second(data: Floats, apart: int) -> Floats:
    return np.array([_along(data, apart, axis) for axis in (0, 1)])


def _along(data: Floats, apart: int, axis: int) -> Floats:
    """Return the second differences along an axis, of the noise of `data`; NaN where a pixel of the three is missing."""
    made = np.full(data.shape, np.nan)
    n = data.shape[axis]
    if n > 2 * apart:
        low, middle, high = (_part(axis, first, n - 2 * apart) for first in (0, apart, 2 * apart))
        made[middle] = (data[low] - 2 * data[middle] + data[high]) / np.sqrt(6)
    return made


def _part(axis: int, first: int, length: int) -> tuple[slice, slice]:
    along = slice(first, first + length)
    return (along, slice(None)) if axis == 0 else (slice(None), along)


def _spread(differences: Floats, faint: NDArray[np.bool_]) -> tuple[float, int]:
    """Return the standard deviation of the differences at the faint pixels, by their median, and how many these are."""
    values = np.concatenate([plane[faint] for plane in differences])
    values = values[np.isfinite(values)]
    if not values.size:
        return float("nan"), 0
    # What is faint is so by its noise too, so that their median is not 0.
    return 1.4826 * float(np.median(np.abs(values - np.median(values)))), values.size
