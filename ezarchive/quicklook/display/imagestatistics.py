"""Numbers of a whole image, or of the pixels of a region."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ezarchive.quicklook.apertures.overlaps import overlap
from ezarchive.quicklook.display.kernels_limits import squares
from ezarchive.quicklook.display.quantiles import full_range, quantiles
from ezarchive.quicklook.display.strips import Pixels, Strips
from ezarchive.quicklook.planes.inputs import picture
from ezarchive.quicklook.planes.pictures import Picture
from ezarchive.quicklook.regions.regionkinds import shape_of

__all__ = ["ImageStatistics", "statistics"]

MAD_TO_STD = 1.482602218505602
"""Standard deviation of a normal distribution in units of its median absolute deviation."""


@dataclass(frozen=True)
class ImageStatistics:
    """Numbers of the finite pixels; NaN (and None for places) where there are none.

    Attributes
    ----------
    label, unit : str
        Of the image.
    shape : tuple of int
        Rows and columns of the image.
    n_pixels : int
        Pixels of the image, or those whose centres lie in the region.
    n, n_masked, n_nan, n_infinite : int
        Those that are finite and not masked, which the other numbers are of; those that are masked; of the rest, those that are no number
        and those that are infinite.
    min, max, sum, mean, median, mode, std, mad_std : float
        mode = 3 median - 2 mean; std with n in the denominator; mad_std = 1.4826 times the median absolute deviation from the median.
    min_place, max_place : tuple of int or None
        The first pixel (x, y) that has the extreme.
    """

    label: str
    unit: str
    shape: tuple[int, int]
    n_pixels: int
    n: int
    n_masked: int
    n_nan: int
    n_infinite: int
    min: float
    max: float
    sum: float
    mean: float
    median: float
    mode: float
    std: float
    mad_std: float
    min_place: tuple[int, int] | None
    max_place: tuple[int, int] | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, None for NaN."""
        return {name: _plain(value) for name, value in asdict(self).items()}


def statistics(
    image: Any,
    region: Any = None,
    *,
    wcs: Any = None,
    unit: Any = None,
    header: Mapping[str, Any] | None = None,
) -> ImageStatistics:
    """Return numbers of an image, or of what lies in a region of it.

    Parameters
    ----------
    image : path, Image, Picture, NDData or array of shape (ny, nx)
        What `ezarchive.quicklook.picture` takes.
    region : region, aperture, shape or mask, optional
        What `ezarchive.quicklook.shape_of` takes; the pixels whose centres lie in it count, without weights. By default all.
    wcs, unit, header : optional
        In place of those of `image`.

    Returns
    -------
    ImageStatistics

    Raises
    ------
    InputError
        If an argument is not as it must be.
    FrameError
        If a file cannot be read.

    Notes
    -----
    All pixels count, in float64; the medians are exact. A few rows are in memory at a time.

    Examples
    --------
    >>> import numpy as np
    >>> found = statistics(np.arange(100.0).reshape(10, 10))
    >>> found.n, found.mean, found.median, found.max_place
    (100, 49.5, 49.5, (9, 9))
    """
    pic = picture(image, wcs=wcs, unit=unit, header=header)
    box, inside = _where(pic, region)
    n_pixels = (box[1] - box[0]) * (box[3] - box[2]) if inside is None else int(np.count_nonzero(inside))
    strips = Strips(pic, box=box, inside=inside)
    n, low, high = full_range(strips)
    n_masked, n_infinite = _not_finite(pic, strips, n_pixels - n)
    total, mean, std = _moments(strips, n)
    median = float(quantiles(strips, (0.5,))[0][0])
    spread = Strips(pic, lambda part: _distance(part, median), box, inside)
    mad = float(quantiles(spread, (0.5,))[0][0]) if n else math.nan
    return ImageStatistics(
        label=pic.label,
        unit=pic.unit_text if pic.unit is None else pic.unit.to_string(),
        shape=pic.shape,
        n_pixels=n_pixels,
        n=n,
        n_masked=n_masked,
        n_nan=n_pixels - n - n_masked - n_infinite,
        n_infinite=n_infinite,
        min=low,
        max=high,
        sum=total,
        mean=mean,
        median=median,
        mode=3.0 * median - 2.0 * mean,
        std=std,
        mad_std=MAD_TO_STD * mad,
        min_place=_place(strips, low),
        max_place=_place(strips, high),
    )


def _where(pic: Picture, region: Any) -> tuple[tuple[int, int, int, int], np.ndarray | None]:
    """Return the box x0, x1, y0, y1 and which of its pixels count, None for all."""
    if region is None:
        ny, nx = pic.shape
        return (0, nx, 0, ny), None
    found = overlap(shape_of(region, pic), pic.shape)
    rows, cols = found.slices
    return (cols.start, cols.stop, rows.start, rows.stop), found.inside


def _not_finite(pic: Picture, strips: Strips, n_bad: int) -> tuple[int, int]:
    """Return how many pixels are masked, and how many of the others are infinite."""
    if n_bad == 0:
        return 0, 0
    n_masked = 0
    if pic.mask is not None:
        masked = pic.mask[strips.y0 : strips.y1, strips.x0 : strips.x1]
        n_masked = int(np.count_nonzero(masked if strips.inside is None else masked & strips.inside))
    return n_masked, sum(int(np.count_nonzero(np.isinf(part))) for part in strips.flat())


def _moments(strips: Strips, n: int) -> tuple[float, float, float]:
    """Return sum, mean and standard deviation."""
    if n == 0:
        return 0.0, math.nan, math.nan
    total = sum(_sum(part) for part in strips.flat())
    mean = total / n
    return total, mean, math.sqrt(sum(squares(part, mean) for part in strips.flat()) / n)


def _distance(part: Pixels, value: float) -> Pixels:
    with np.errstate(over="ignore", invalid="ignore"):
        return np.abs(part.astype(np.float64) - value)


def _sum(part: Pixels) -> float:
    with np.errstate(invalid="ignore", over="ignore"):
        total = float(part.sum(dtype=np.float64))
        return total if math.isfinite(total) else float(part[np.isfinite(part)].sum(dtype=np.float64))


def _place(strips: Strips, value: float) -> tuple[int, int] | None:
    """Return x and y of the first pixel that has a value."""
    for y0, rows in strips:
        found = rows == value
        if found.any():
            y, x = divmod(int(found.argmax()), rows.shape[1])
            return strips.x0 + x, strips.y0 + y0 + y
    return None


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return list(value) if isinstance(value, tuple) else value
