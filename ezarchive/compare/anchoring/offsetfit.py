"""What a fit of one image's brightness against another's has found, and how it goes on to a third."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ezarchive.errors import InputError

Floats = NDArray[np.float64]

FEWEST_BINS = 4
"""With fewer a fit is flagged."""


@dataclass(frozen=True, eq=False)
class OffsetBins:
    """The bins of a fit, in order of brightness.

    Attributes
    ----------
    x, y : ndarray, shape (n,)
        Of the reference and of the image: medians, or the middle of the bin on the axis that is binned (``classic``).
    low, high : ndarray, shape (n,)
        Percentiles 16 and 84 of the axis that is not binned.
    n : ndarray of int, shape (n,)
        Points in each bin.
    used : ndarray of bool, shape (n,)
        Whether the line was fitted to it in the end.
    """

    x: Floats
    y: Floats
    low: Floats
    high: Floats
    n: NDArray[np.int64]
    used: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class OffsetFit:
    """A straight line through the brightness of two images.

    Attributes
    ----------
    slope, intercept : float
        ``image = intercept + slope * reference``, whichever axis was binned.
    slope_err, intercept_err : float
        Standard deviations; 0 of a slope that was given. NaN where the data do not tell.
    covariance : float
        Of slope and intercept.
    rms : float
        Standard deviation of the bins in use about the line, along the axis that is not binned.
    n_pixels, n_cells, n_bins : int
        Pixels with a value in both images and enough coverage; cells that lie in the range; bins in use.
    beams : float
        Area of those pixels in squares of the beam's FWHM.
    value_range : (float, float)
        Within which cells were binned.
    range_axis : {"reference", "image"}
        What was binned, and what `value_range` is of.
    coverage : float
        The coverage that was asked of a pixel.
    bins : OffsetBins
    method, kind : str
    flags : tuple of str
        ``low_coverage``: the coverage had to be lowered; ``few_beams``: under 20; ``few_bins``: under 4; ``slope``: not significant;
        ``curved``: the fainter half alone gives another zero level (the difference is in `intercept_err`).
    """

    slope: float
    intercept: float
    slope_err: float
    intercept_err: float
    covariance: float
    rms: float
    n_pixels: int
    n_cells: int
    n_bins: int
    beams: float
    value_range: tuple[float, float]
    range_axis: str
    coverage: float
    bins: OffsetBins
    method: str
    kind: str
    flags: tuple[str, ...] = ()

    @property
    def status(self) -> str:
        """``ok``, or ``flagged`` where there are flags."""
        return "flagged" if self.flags else "ok"

    @property
    def message(self) -> str:
        """What the flags mean, in words."""
        return "; ".join(_MEANINGS[flag] for flag in self.flags)

    @property
    def offset(self) -> float:
        """What must be added to the image so that it is 0 where the reference is 0."""
        return -self.intercept

    @property
    def offset_err(self) -> float:
        """Standard deviation of `offset`."""
        return self.intercept_err


def chain_offset(fit: OffsetFit, offset: float, offset_err: float = 0.0) -> tuple[float, float]:
    """Return the offset of an image from that of the reference it was fitted to.

    Parameters
    ----------
    fit : OffsetFit
        Of the image against the reference, both as they are (no offset added).
    offset, offset_err : float
        What must be added to the reference, and its standard deviation.

    Returns
    -------
    offset, offset_err : float
        What must be added to the image so that it is 0 where the reference with its offset is 0: ``slope * offset - intercept``.

    Notes
    -----
    variance = intercept_err^2 + offset^2 slope_err^2 - 2 offset covariance + slope^2 offset_err^2.
    """
    if not (np.isfinite(offset) and offset_err >= 0):
        raise InputError(f"offset {offset!r} +- {offset_err!r}: must be finite, its error not negative")
    variance = fit.intercept_err**2 + (offset * fit.slope_err) ** 2 - 2 * offset * fit.covariance + (fit.slope * offset_err) ** 2
    return fit.slope * offset - fit.intercept, float(np.sqrt(max(variance, 0.0)))


_MEANINGS = {
    "low_coverage": "too few pixels with most of the beam on the image: the coverage asked for was lowered",
    "few_beams": "fewer than 20 beams fit into the area in common",
    "few_bins": "fewer than 4 bins in use",
    "curved": "the fainter half alone gives another zero level: the colour changes with brightness",
    "slope": "the slope is not three times its error",
}
