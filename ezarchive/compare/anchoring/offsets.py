"""The zero level of an image against another: a straight line through the brightness of the two, robustly or as published."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ezarchive.compare.anchoring.offsetcells import COVERAGES, cell_side, gathered
from ezarchive.compare.anchoring.offsetclassic import CLASSIC_RANGE, CLASSIC_RANGE_W3, classic_fit, classic_range
from ezarchive.compare.anchoring.offsetfit import OffsetBins, OffsetFit, chain_offset
from ezarchive.compare.anchoring.offsetrobust import robust_fit
from ezarchive.errors import CompareError, InputError

__all__ = ["CLASSIC_RANGE", "CLASSIC_RANGE_W3", "OffsetBins", "OffsetFit", "chain_offset", "classic_range", "fit_offset"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

METHODS, KINDS = ("robust", "classic"), ("external", "internal")


def fit_offset(  # noqa: PLR0913  what a fit may be told, by name
    reference: ArrayLike,
    image: ArrayLike,
    *,
    method: str = "robust",
    kind: str = "external",
    beam_pixels: float = 1.0,
    coverage: ArrayLike | None = None,
    least_coverage: tuple[float, ...] = COVERAGES,
    mask: ArrayLike | None = None,
    region: ArrayLike | None = None,
    percentiles: tuple[float, float] | None = None,
    value_range: tuple[float, float] | None = None,
    slope: float | None = None,
    colour: float = 0.0,
    blank_zeros: bool = True,
) -> OffsetFit:
    """Fit the brightness of an image as a straight line of that of a reference, pixel by pixel.

    Parameters
    ----------
    reference, image : array_like, shape (ny, nx)
        Surface brightness in the same unit, on the same pixels and through the same beam. NaN: blank.
    method : {"robust", "classic"}
        As under Notes, or as published with fixed bins (see `classic_range`).
    kind : {"external", "internal"}
        A survey of low resolution whose own noise matters (the quieter image is binned), or another band of like resolution and pixels
        (the reference is binned).
    beam_pixels : float
        FWHM of the beam of both, in pixels of these arrays.
    coverage : array_like, shape (ny, nx), optional
        Share of the beam that lay on pixels (see `convolve_to`); of both, the smaller one.
    least_coverage : tuple of float
        What is asked of it (``robust``): the first, and the next where too little is left.
    mask : array_like of bool, shape (ny, nx), optional
        True: left out.
    region : array_like of bool, shape (ny, nx), optional
        Where the percentiles that make the range are taken; the whole image by default.
    percentiles : (float, float), optional
        Of the axis that is binned, between which it is; 2 and 95 (external), 2 and 60 (internal), 15 and 60 with a `region`.
    value_range : (float, float), optional
        In place of percentiles, of the axis that is binned.
    slope : float, optional
        Given, only the intercept is fitted.
    colour : float
        What colours that change with brightness may do to the zero level, as a share of the width of the range (``robust``). It is part
        of the errors; and the upper percentile of an external fit becomes 85 or 70 where that leaves a smaller sum of noise and colours.
    blank_zeros : bool
        Whether pixels of exactly 0 are blank.

    Returns
    -------
    OffsetFit
        Its `value_range` and `range_axis` say what was binned where.

    Raises
    ------
    InputError
        If an argument is wrong or shapes differ.
    CompareError
        ``no_pixels``, ``too_few_pixels``, ``no_range``, ``no_data_in_range``, ``too_few_bins`` or ``no_slope``.

    Notes
    -----
    ``robust``: pixels with a coverage of 0.98 are used; where fewer than 100 of them or 8 beams (squares of the FWHM) are left, 0.9, once
    (`least_coverage`: images of `convolve_to` with ``edges`` can do with less).
    Pixels smaller than the beam are averaged, internally into cells of one FWHM, half of them filled. A line goes through all the cells
    in the range by Huber's M-estimator; externally it is reference = m' image + b', turned round afterwards. Its errors are what the
    residuals show, noise that is correlated over the beam at least. They are of this fit: they know nothing of a reference whose zero level
    is wrong, or, without `colour`, of colours that change with brightness (surveys differ by some 0.05 MJy/sr among each other). The bins,
    4 to 15 of equally many cells, at least 20, are for looking at.

    ``classic``: x = reference in bins of 0.1 (MJy/sr) from 0.25 to 2.0; the medians of the image in them against the middles of the bins;
    three passes of unweighted least squares that leave out 3 standard deviations. Errors: from the scatter of the bins about the line.
    """
    reference, image, valid = _checked(reference, image, mask, blank_zeros)
    _choices(method, kind, beam_pixels)
    if not 0 <= colour < 1:
        raise InputError(f"colour {colour!r}: must be from 0 to below 1, a share of the width of the range")
    weight = None if coverage is None else _alike("coverage", coverage, image.shape, float)
    where = None if region is None else _alike("region", region, image.shape, bool)
    limits = _falling(least_coverage)
    if value_range is not None:
        value_range = _ordered(value_range)
    if method == "classic":
        return classic_fit(reference, image, valid, where, kind, beam_pixels, percentiles, value_range, slope)
    everywhere = np.ones(image.shape, bool) if where is None else where
    cells = gathered(reference, image, valid, weight, everywhere, beam_pixels, cell_side(kind, beam_pixels), limits)
    return robust_fit(cells, kind, percentiles, value_range, slope, where is not None, colour)


def _checked(reference: ArrayLike, image: ArrayLike, mask: ArrayLike | None, blank_zeros: bool) -> tuple[Floats, Floats, Bools]:
    image = np.asarray(image, float)
    if image.ndim != 2 or not image.size:
        raise InputError(f"image: must be a 2-D array with at least one pixel, found shape {image.shape}")
    reference = _alike("reference", reference, image.shape, float)
    valid = np.isfinite(reference) & np.isfinite(image)
    if blank_zeros:
        valid &= (reference != 0) & (image != 0)
    if mask is not None:
        valid &= ~_alike("mask", mask, image.shape, bool)
    if not valid.any():
        raise CompareError("no_pixels", "no pixel has a value in both images: they do not overlap, or all is masked or blank")
    return reference, image, valid


def _alike(name: str, values: ArrayLike, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    array = np.asarray(values, dtype)
    if array.shape != shape:
        raise InputError(f"{name}: must have the shape of image, {shape}, found {array.shape}")
    return array


def _choices(method: str, kind: str, beam_pixels: float) -> None:
    if method not in METHODS:
        raise InputError(f"method {method!r}: must be one of {', '.join(METHODS)}")
    if kind not in KINDS:
        raise InputError(f"kind {kind!r}: must be one of {', '.join(KINDS)}")
    if not 0 < beam_pixels < np.inf:
        raise InputError(f"beam_pixels {beam_pixels!r}: must be positive: the FWHM of the beam in pixels")


def _falling(least_coverage: tuple[float, ...]) -> tuple[float, ...]:
    limits = tuple(float(value) for value in least_coverage)
    if not limits or not all(0 < value <= 1 for value in limits) or sorted(limits, reverse=True) != list(limits):
        raise InputError(f"least_coverage {least_coverage!r}: must be numbers above 0 and up to 1, the largest first")
    return limits


def _ordered(value_range: tuple[float, float]) -> tuple[float, float]:
    low, high = (float(value) for value in value_range)
    if not -np.inf < low < high < np.inf:
        raise InputError(f"value_range {value_range!r}: must be two finite numbers, the lower one first")
    return low, high
