"""An image set right by what a fit has found: its position, its zero level and its scale."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
from astropy.wcs import WCS
from numpy.typing import NDArray
from scipy import ndimage

from ezarchive.compare.fluximage import FluxImage, flux_image
from ezarchive.compare.holes import filled
from ezarchive.errors import CompareError, InputError

Floats = NDArray[np.float64]

CORRECTIONS = ("xy", "scale", "zero")
_ORDER = 5
_REACH = 24
"""Pixels over which the weights of the interpolation are followed; they fall by a factor of 2.3 per pixel."""
_MASKED = 0.1


class Fitted(Protocol):
    """A fitted parameter."""

    value: float


class Fit(Protocol):
    """What `apply_corrections` needs of a fit: see `FittedPhotometry`."""

    dx: Fitted
    dy: Fitted
    scale: Fitted
    bg: Fitted


def apply_corrections(im: Any, imfit: Fit, corrections: str = "xy,scale,zero", resample: bool = False, inplace: bool = False) -> FluxImage:
    """Correct an image for the differences that a fit has found to the reference image.

    Parameters
    ----------
    im : path, FluxImage, Image, NDData or array
        The image that was fitted, or another one of the same grid and unit.
    imfit : FittedPhotometry
        ``dx.value``, ``dy.value`` (arcsec by which things lie at larger x and y in the image than in the reference), ``scale.value``
        (image / reference) and ``bg.value`` (image - reference, in the image's unit) are used.
    corrections : str
        Which of ``xy``, ``scale`` and ``zero``, with commas between; ``x,y`` means ``xy``.
    resample : bool
        For ``xy``: whether the pixels are moved, instead of the reference pixel of the WCS.
    inplace : bool
        Whether a `FluxImage` given as `im` itself gets the new arrays and WCS; whatever else is given stays as it is.

    Returns
    -------
    FluxImage

    Raises
    ------
    InputError
        If a correction has no such name, the fit has no finite values or a scale that is not positive, or for ``xy`` there is no WCS.
    CompareError
        ``shift_too_large``: with ``resample``, the image would be moved off itself.

    Notes
    -----
    ``xy``: CRPIX1 += dx / step_x and CRPIX2 += dy / step_y; or with ``resample`` output(x, y) = image(x + dx / step_x, y + dy / step_y) by
    cardinal splines of order 5 (Unser 1999, IEEE Signal Process. Mag. 16, 22), which hardly widen what is sampled well. The variance goes
    with the squares of the weights of the pixels. Pixels without a value are filled from around; where they have more than a tenth of the
    weight there is no value after, and where masked ones have, the result is masked.
    ``zero``, then ``scale``: (data - bg) / scale; the variance is divided by scale squared.
    """
    chosen = _chosen(corrections)
    image = flux_image(im, "im")
    dx, dy, scale, bg = (_value(imfit, name) for name in ("dx", "dy", "scale", "bg"))
    if "scale" in chosen and not scale > 0:
        raise InputError(f"imfit: the scale must be positive, found {scale:g}")
    made = image.copy()
    if "xy" in chosen:
        step_y, step_x = image.step
        made = _resampled(made, dx / step_x, dy / step_y) if resample else _moved(made, dx / step_x, dy / step_y)
    if "zero" in chosen:
        made.data = made.data - bg
    if "scale" in chosen:
        made.data = made.data / scale
        made.variance = None if made.variance is None else made.variance / scale**2
    return image.update(made) if inplace and isinstance(im, FluxImage) else made


def shifted(values: Floats, x: float, y: float) -> Floats:
    """Return ``values`` as they are at (column + x, row + y), by cardinal splines of order 5; mirrored at the edges.

    Parameters
    ----------
    values : ndarray, shape (ny, nx)
        Finite.
    x, y : float
        Pixels.
    """
    return ndimage.shift(values, (-y, -x), order=_ORDER, mode="mirror")


def _chosen(corrections: str) -> set[str]:
    if not isinstance(corrections, str):
        raise InputError(f"corrections: must be a text of {', '.join(CORRECTIONS)}, found {corrections!r}")
    words = {word.strip() for word in corrections.split(",")} - {""}
    if {"x", "y"} <= words:
        words = words - {"x", "y"} | {"xy"}
    if words - set(CORRECTIONS) or not words:
        raise InputError(f"corrections: must be of {', '.join(CORRECTIONS)} with commas between, found {corrections!r}")
    return words


def _value(imfit: Fit, name: str) -> float:
    try:
        value = float(getattr(imfit, name).value)
    except (AttributeError, TypeError, ValueError) as err:
        raise InputError(f"imfit: must be the result of a fit, with {name}.value, found {type(imfit).__name__}") from err
    if not math.isfinite(value):
        raise InputError(f"imfit: {name} must be finite, found {value}")
    return value


def _moved(image: FluxImage, x: float, y: float) -> FluxImage:
    """Move the reference pixel of the WCS, that of its distortion too."""
    wcs: WCS = image.wcs
    wcs.wcs.crpix = wcs.wcs.crpix + (x, y)
    if wcs.sip is not None:
        wcs.sip.crpix = wcs.sip.crpix + (x, y)
    for keyword, value in zip(("CRPIX1", "CRPIX2"), wcs.wcs.crpix, strict=True):
        image.header[keyword] = float(value)
    return image


def _resampled(image: FluxImage, x: float, y: float) -> FluxImage:
    ny, nx = image.shape
    if not (abs(x) < nx and abs(y) < ny):
        raise CompareError("shift_too_large", f"imfit: moves {image.name} by ({x:.1f}, {y:.1f}) pixels, must be less than its {nx} x {ny}")
    void = ~np.isfinite(image.data)
    data = shifted(filled(image.data, void), x, y)
    gone = _weighed(void, x, y) > _MASKED
    mask = _weighed(image.mask, x, y) > _MASKED
    data[gone] = np.nan
    variance = None
    if image.variance is not None:
        known = np.isfinite(image.variance)
        variance = _moved_whole(_separable(filled(image.variance, ~known), weights(x) ** 2, weights(y) ** 2), x, y)
        variance[gone | (_weighed(~known, x, y) > _MASKED)] = np.nan
    image.data, image.variance, image.mask = data, variance, mask | gone
    return image


def weights(shift: float) -> Floats:
    """Return what the pixels from -`_REACH` to `_REACH` around the whole number nearest to ``shift`` weigh in a shifted pixel.

    The cardinal spline at the distances: element ``_REACH + j`` belongs to the pixel ``round(shift) + j``.
    """
    impulse = np.zeros(4 * _REACH + 1)
    impulse[2 * _REACH] = 1.0
    fraction = shift - round(shift)
    moved = ndimage.shift(impulse, -fraction, order=_ORDER, mode="mirror")
    # moved[m] = spline(m + fraction - centre): the weight of pixel j is that at the distance fraction - j.
    return moved[3 * _REACH : _REACH - 1 : -1]


def _weighed(flags: NDArray[np.bool_], x: float, y: float) -> Floats:
    """Return which part of the weight of a shifted pixel lies on flagged pixels; all that is outside of the image is flagged."""
    if not flags.any() and abs(x) < 1e-9 and abs(y) < 1e-9:
        return np.zeros(flags.shape)
    along_x, along_y = (np.abs(weights(shift)) for shift in (x, y))
    margin = _REACH + 1
    reach = [margin + abs(round(shift)) for shift in (y, x)]
    padded = np.pad(flags.astype(np.float64), [(n, n) for n in reach], constant_values=1.0)
    made = _separable(padded, along_x / along_x.sum(), along_y / along_y.sum())
    return _moved_whole(made, x, y)[reach[0] : -reach[0], reach[1] : -reach[1]]


def _separable(values: Floats, along_x: Floats, along_y: Floats) -> Floats:
    return ndimage.correlate1d(ndimage.correlate1d(values, along_x, 1, mode="nearest"), along_y, 0, mode="nearest")


def _moved_whole(values: Floats, x: float, y: float) -> Floats:
    """Return ``values`` at whole numbers of pixels away; the edge goes on."""
    rows, cols = (np.clip(np.arange(n) + round(shift), 0, n - 1) for n, shift in zip(values.shape, (y, x), strict=True))
    return values[np.ix_(rows, cols)]
