"""The PSF of an image from its own stars: the median Moffat profile of its best ones; and the noise of an image that comes without."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ezarchive.compare.fluximage import FluxImage
from ezarchive.compare.psf import MoffatPsf
from ezarchive.compare.skynoise import sky_noise
from ezarchive.compare.starmodel import MoffatProfile, Pixels
from ezarchive.compare.starsolve import Stamp, StarSolution, solve
from ezarchive.errors import CompareError, MeasurementError
from ezarchive.images import background
from ezarchive.photometry.detection import SexOptions, sex
from ezarchive.photometry.stars import FIRST_PASS_SIGMA, select_stars

Floats = NDArray[np.float64]

_LARGEST = 2048
_BOX = 64
_STARS = 25
_RADIUS_FWHM = 3.0
_LEAST_RADIUS = 4.0


class StarPsf(NamedTuple):
    """The PSF that the stars of an image have: the median, its error by the scatter from star to star (arcsec), and their number."""

    psf: MoffatPsf
    fwhm_err: float
    n: int


def measure_psf(image: FluxImage, *, saturation: float | None = None) -> StarPsf:
    """Return the median Moffat profile of the brightest unsaturated, unblended stars of an image.

    Parameters
    ----------
    image : FluxImage
        With a WCS. Of a large one the central 2048 x 2048 pixels are looked at.
    saturation : float, optional
        Level from which pixels are saturated, in the unit of the pixels.

    Returns
    -------
    StarPsf
        Of the pixels as they are: the width includes that of the pixels.

    Raises
    ------
    CompareError
        ``no_star`` if there is no star that could be fitted.
    """
    cut = _central(image.shape)
    data = np.where(image.mask[cut], np.nan, image.data[cut])
    no_star = f"{image.name}: must have stars that are not saturated nor blended, found none; its PSF must be given"
    try:
        level = background.estimate(data, box_size=_BOX)
        options = SexOptions(detect_thresh=FIRST_PASS_SIGMA, satur_level=saturation, phot_apertures=())
        table = sex(data - level.level(), options, noise=level.global_rms, background=level)
    except MeasurementError as err:
        raise CompareError("no_star", f"{no_star} ({err})") from err
    chosen = np.flatnonzero(select_stars(table, saturation=saturation))
    chosen = chosen[np.argsort(-_plain(table["SNR"])[chosen])][:_STARS]
    places = zip(*(_plain(table[name])[chosen] for name in ("X_IMAGE", "Y_IMAGE", "FWHM_IMAGE")), strict=True)
    found = [star for x, y, fwhm in places if (star := _star(data, image.step, x, y, fwhm)) is not None]
    if not found:
        raise CompareError("no_star", no_star)
    fwhm, beta = (np.array([star[name] for star in found]) for name in ("fwhm", "beta"))
    scatter = 1.4826 * np.median(np.abs(fwhm - np.median(fwhm))) if len(fwhm) > 1 else np.sqrt(found[0].cov("fwhm")[0, 0])
    return StarPsf(MoffatPsf(float(np.median(fwhm)), float(np.median(beta))), float(scatter / np.sqrt(len(fwhm))), len(fwhm))


def with_noise(image: FluxImage, *, gain: float | None = None) -> FluxImage:
    """Return an image with a variance where it comes without: the noise of its sky, and that of the photons of its sources.

    Parameters
    ----------
    image : FluxImage
    gain : float, optional
        Electrons per unit of the pixels; None: the photons of sources are left out.

    Returns
    -------
    FluxImage
        The same if its variance is known or its sky shows no noise.

    Notes
    -----
    The noise of the sky is that of `sky_noise`, of the central 2048 x 2048 pixels: the scatter of pixels around the background, which wings
    of sources fill, is up to four times as large in a crowded field.
    """
    if image.variance is not None:
        return image
    data = np.where(image.mask, np.nan, image.data)
    try:
        level = background.estimate(data, box_size=_BOX)
    except MeasurementError:
        return image
    if not level.global_rms > 0:
        return image
    sigma = sky_noise((data - level.level())[_central(image.shape)])
    variance = np.full(image.shape, (sigma if sigma > 0 else level.global_rms) ** 2)
    if gain:
        variance += np.clip(np.nan_to_num(data - level.level()), 0, None) / gain
    return image.copy(variance=variance)


def _central(shape: tuple[int, int]) -> tuple[slice, slice]:
    return tuple(slice(max(0, (n - _LARGEST) // 2), max(0, (n - _LARGEST) // 2) + _LARGEST) for n in shape)


def _star(data: Floats, step: tuple[float, float], x: float, y: float, fwhm: float) -> StarSolution | None:
    """Return the fit of a star at a pixel; None if it lies at the edge, has bad pixels, or cannot be fitted."""
    radius = max(_RADIUS_FWHM * fwhm, _LEAST_RADIUS)
    ny, nx = data.shape
    x0, x1, y0, y1 = (int(np.floor(x - radius)), int(np.ceil(x + radius)), int(np.floor(y - radius)), int(np.ceil(y + radius)))
    if x0 < 0 or y0 < 0 or x1 >= nx or y1 >= ny:
        return None
    rows, columns = np.mgrid[y0 : y1 + 1, x0 : x1 + 1]
    inside = np.hypot(columns - x, rows - y) < radius
    rows, columns = rows[inside], columns[inside]
    values = data[rows, columns]
    if not np.isfinite(values).all():
        return None
    pixels = Pixels((columns - x) * step[1], (rows - y) * step[0], step)
    stamp = Stamp(pixels, values, None, rows - y0, columns - x0, None, radius * float(np.sqrt(step[0] * step[1])))
    try:
        found = solve(stamp, MoffatProfile(), "star")
    except CompareError:
        return None
    return found if np.isfinite(found.values).all() and found["flux"] > 0 else None


def _plain(column: object) -> Floats:
    return np.asarray(np.ma.filled(np.ma.asarray(getattr(column, "value", column), dtype=float), np.nan))
