"""An image set right by what a fit has found: its position, its zero level and its scale."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
from astropy.wcs import WCS, Sip
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import i0

from ezarchive.compare.fluximage import FluxImage, flux_image
from ezarchive.compare.holes import filled
from ezarchive.errors import CompareError, InputError

Floats = NDArray[np.float64]

CORRECTIONS = ("xy", "scale", "zero")
_REACH = 16
_KAISER = 5.0
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
    ``xy``: CRPIX1 += dx / step_x and CRPIX2 += dy / step_y; or with ``resample`` output(x, y) = image(x + dx / step_x, y + dy / step_y), by
    sincs in a Kaiser window of 16 pixels to each side (Kaiser & Schafer 1980, IEEE Trans. ASSP 28, 105), which pass all but the highest
    frequencies as they are. The variance goes with the squares of the weights of the pixels. Pixels without a value are filled from
    around; where more than a tenth of a new pixel's area lies on them it has no value either, and is masked where that much lies on masked
    ones.
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
    """Return ``values`` as they are at (column + x, row + y), by windowed sincs; mirrored at the edges.

    Parameters
    ----------
    values : ndarray, shape (ny, nx)
        Finite.
    x, y : float
        Pixels.
    """
    return _moved_whole(_separable(values, weights(x), weights(y)), x, y)


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
        old = wcs.sip
        wcs.sip = Sip(old.a, old.b, old.ap, old.bp, old.crpix + (x, y))
    for keyword, value in zip(("CRPIX1", "CRPIX2"), wcs.wcs.crpix, strict=True):
        image.header[keyword] = float(value)
    return image


def _resampled(image: FluxImage, x: float, y: float) -> FluxImage:
    ny, nx = image.shape
    if not (abs(x) < nx and abs(y) < ny):
        raise CompareError("shift_too_large", f"imfit: moves {image.name} by ({x:.1f}, {y:.1f}) pixels, must be less than its {nx} x {ny}")
    void = ~np.isfinite(image.data)
    data = shifted(filled(image.data, void), x, y)
    gone = _part(void, x, y) > _MASKED
    mask = _part(image.mask, x, y) > _MASKED
    data[gone] = np.nan
    variance = None
    if image.variance is not None:
        known = np.isfinite(image.variance)
        variance = _moved_whole(_separable(filled(image.variance, ~known), weights(x) ** 2, weights(y) ** 2), x, y)
        variance[gone | (_part(~known, x, y) > _MASKED)] = np.nan
    image.data, image.variance, image.mask = data, variance, mask | gone
    return image


def weights(shift: float) -> Floats:
    """Return what the pixels from -16 to 16 around the whole number nearest to ``shift`` weigh in a shifted pixel; their sum is 1."""
    distance = shift - round(shift) - np.arange(-_REACH, _REACH + 1)
    window = i0(_KAISER * np.sqrt(np.clip(1 - (distance / (_REACH + 0.5)) ** 2, 0, None)))
    made = np.sinc(distance) * window
    return made / made.sum()


def _part(flags: NDArray[np.bool_], x: float, y: float) -> Floats:
    """Return which part of the area of a shifted pixel lies on flagged pixels; all that is outside of the image is flagged."""
    return ndimage.shift(flags.astype(np.float64), (-y, -x), order=1, mode="grid-constant", cval=1.0)


def _separable(values: Floats, along_x: Floats, along_y: Floats) -> Floats:
    return ndimage.correlate1d(ndimage.correlate1d(values, along_x, 1, mode="mirror"), along_y, 0, mode="mirror")


def _moved_whole(values: Floats, x: float, y: float) -> Floats:
    """Return ``values`` at whole numbers of pixels away; the edge goes on."""
    rows, cols = (np.clip(np.arange(n) + round(shift), 0, n - 1) for n, shift in zip(values.shape, (y, x), strict=True))
    return values[np.ix_(rows, cols)]
