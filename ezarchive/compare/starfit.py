"""Fit of one star that two images share: seeing, scale, background and pointing of the image from the star alone.

In the image the star is a Moffat profile (or a PSF that is given); in the reference it is what a point source becomes by the PSF of the
reference and by the low-pass filter of its regridding. Both stars have a flux, a background and a place of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ezarchive import sky
from ezarchive.compare.ds9regions import star_region
from ezarchive.compare.fluximage import FluxImage
from ezarchive.compare.lowpass import blackman, lowpass_of
from ezarchive.compare.moffat import check_beta, check_fwhm, moffat_derivatives
from ezarchive.compare.psf import MoffatPsf, as_psf
from ezarchive.compare.results import FitOutcome, FittedStarPhotometry, FittedValue
from ezarchive.compare.starmodel import MoffatProfile, Pixels, TransferProfile, correlation
from ezarchive.compare.starsolve import Profile, Stamp, StarSolution, solve
from ezarchive.errors import InputError

Floats = NDArray[np.float64]

_FOLDED = 3
"""Nyquist frequencies up to which a transfer function counts where nothing has been filtered."""


@dataclass(frozen=True, kw_only=True)
class StarFitOptions:
    """How to fit a star.

    Attributes
    ----------
    fix_fwhm, fix_beta : float, optional
        Of the star in the image, arcsec and exponent; None: fitted.
    muse_psf : Psf, array or (array, arcsec per pixel), optional
        Shape of the star in the image, in place of a Moffat profile.
    hst_fwhm, hst_beta : float
        Moffat profile of the PSF of the reference before its low-pass filter.
    hst_psf : Psf, array or (array, arcsec per pixel), optional
        In place of it.
    free_reference : bool
        Fit the width and the exponent of the reference's star too; they start at `hst_fwhm` and `hst_beta`.
    antialias : bool
        The reference has been low-passed at the Nyquist frequency of its pixels, as by `regrid_hst_like_muse`; where its header tells of a
        filter, that one counts.
    integrate : bool
        The star's profile in the image is that of its light before the pixels, and is integrated over them.
    """

    fix_fwhm: float | None = None
    fix_beta: float | None = None
    muse_psf: Any = None
    hst_fwhm: float = 0.085
    hst_beta: float = 1.6
    hst_psf: Any = None
    free_reference: bool = False
    antialias: bool = True
    integrate: bool = False

    def __post_init__(self) -> None:
        for name, check in (("fix_fwhm", check_fwhm), ("hst_fwhm", check_fwhm), ("fix_beta", check_beta), ("hst_beta", check_beta)):
            if getattr(self, name) is not None:
                check(getattr(self, name), name)


@dataclass(frozen=True)
class StarPairFit:
    """What was found in both images.

    Attributes
    ----------
    result : FittedStarPhotometry
    image, reference : StarSolution
    stamp, reference_stamp : Stamp
        The pixels of each.
    profile, reference_profile : MoffatProfile or TransferProfile
    """

    result: FittedStarPhotometry
    image: StarSolution
    reference: StarSolution
    stamp: Stamp
    reference_stamp: Stamp
    profile: Profile
    reference_profile: Profile


def check_star(star: Any, name: str = "star") -> tuple[float, float, float]:
    """Return right ascension, declination (ICRS degrees) and radius (arcsec) of a star.

    Raises
    ------
    InputError
        If it is not three finite numbers, the declination beyond a pole, or the radius not positive.
    """
    try:
        ra, dec, radius = (float(value) for value in star)
    except (TypeError, ValueError) as err:
        raise InputError(f"{name} {star!r}: must be three numbers: right ascension and declination in degrees, radius in arcsec") from err
    if not (np.isfinite(ra) and abs(dec) <= 90):
        raise InputError(f"{name} {star!r}: its position must be finite degrees, the declination from -90 to 90")
    if not 0 < radius < np.inf:
        raise InputError(f"{name} {star!r}: its radius must be a positive number of arcsec, found {radius:g}")
    return ra, dec, radius


def star_pixel(image: FluxImage, star: tuple[float, float, float], argument: str) -> tuple[float, float]:
    """Return the 0-based pixel of a star.

    Raises
    ------
    InputError
        If it is not on the image, or this has no WCS.
    """
    if image.wcs is None:
        raise InputError(f"{argument}: {image.name} must have a celestial WCS")
    x, y = (float(value) for value in sky.icrs_to_pixel(image.wcs, star[0], star[1]))
    ny, nx = image.shape
    if not (-0.5 <= x < nx - 0.5 and -0.5 <= y < ny - 0.5):
        where = f"pixel ({x:.1f}, {y:.1f}) of {nx} columns and {ny} rows"
        raise InputError(f"star ({star[0]:.6f}, {star[1]:.6f}): must be on {argument} {image.name}, found it at {where}")
    return x, y


def fit_stars(reference: FluxImage, image: FluxImage, star: Any, options: StarFitOptions | None = None) -> StarPairFit:
    """Fit the star in both images.

    Parameters
    ----------
    reference, image : FluxImage
        On the same grid.
    star : (float, float, float)
        ICRS degrees and the radius in arcsec within which pixels are used.
    options : StarFitOptions, optional

    Returns
    -------
    StarPairFit

    Raises
    ------
    InputError
        If the star is wrong or not on the image.
    CompareError
        ``too_few_pixels``, ``no_star`` or ``degenerate``; see `starsolve.solve`.

    Notes
    -----
    Pixels that are masked, or whose variance is not positive and finite, are left out. Weights are inverse variances. The noise of the
    image is taken as white, that of a low-passed reference as correlated by its filter.
    """
    options = options or StarFitOptions()
    star = check_star(star)
    window = _window(reference, options)
    theirs = _stamp(reference, star_pixel(reference, star, "hst"), star, window)
    ours = _stamp(image, star_pixel(image, star, "muse"), star, None)
    profile, of_theirs = _image_profile(image, options), _reference_profile(reference, options, window)
    found = solve(ours, profile, f"muse {image.name}")
    of_reference = solve(theirs, of_theirs, f"hst {reference.name}")
    held = (options.fix_fwhm, options.fix_beta) if options.muse_psf is None else _held(options.muse_psf, image, "muse_psf")
    own = (options.hst_fwhm, options.hst_beta) if options.hst_psf is None else _held(options.hst_psf, reference, "hst_psf")
    outcomes = (
        _outcome(found, held, f"muse {image.name}", len(ours.values)),
        _outcome(of_reference, own, f"hst {reference.name}", len(theirs.values)),
    )
    result = FittedStarPhotometry(image, *outcomes, float(np.sqrt(np.mean(found.residual**2))), star[0], star[1])
    return StarPairFit(result, found, of_reference, ours, theirs, profile, of_theirs)


def _held(psf: Any, image: FluxImage, name: str) -> tuple[float, float]:
    """Return fwhm and beta of a PSF that was given, NaN for what it has not."""
    psf = as_psf(psf, image.step, name)
    return float(psf.fwhm), float(getattr(psf, "beta", np.nan))


def _outcome(found: StarSolution, held: tuple[float | None, float | None], what: str, n_pixels: int) -> FitOutcome:
    values = {}
    for name, fixed in (("flux", None), ("bg", None), ("dx", None), ("dy", None), ("fwhm", held[0]), ("beta", held[1])):
        if name in found.names:
            values[name] = FittedValue(value=found[name], stdev=float(np.sqrt(found.cov(name)[0, 0])), fixed=False)
        else:
            values[name] = FittedValue(value=fixed, stdev=0.0, fixed=True)
    known = found.chi2 is not None
    noise = f", chi2 {found.chi2:.6g}, reduced chi2 {found.rchi:.4g}" if known else ""
    lines = [f"star fit of {n_pixels} pixels of {what}: rms {np.sqrt(np.mean(found.residual**2)):.6g}{noise}"]
    lines += [f"  {name:<5} {value}" for name, value in values.items()]
    rchi, chi2 = (found.rchi, found.chi2) if known else (np.nan, np.nan)
    return FitOutcome(values, found.cov("dx", "dy"), chi2, rchi, n_pixels, "\n".join(lines))


def _stamp(image: FluxImage, pixel: tuple[float, float], star: tuple[float, float, float], window: Any) -> Stamp:
    """Cut the pixels out whose centres are less than the radius from the star."""
    step, radius = image.step, star[2]
    (left, right), (low, high) = (
        (max(0, int(np.floor(c - radius / s))), min(n, int(np.ceil(c + radius / s)) + 1))
        for c, s, n in zip(pixel, step[::-1], image.shape[::-1], strict=True)
    )
    y, x = np.mgrid[low:high, left:right]
    away_x, away_y = (x - pixel[0]) * step[1], (y - pixel[1]) * step[0]
    cut = np.s_[low:high, left:right]
    used = star_region(*star).covers(image)[cut] & ~image.mask[cut]
    variance = None if image.variance is None else image.variance[cut]
    if variance is not None and (variance[used] > 0).any():
        used &= np.isfinite(variance) & (variance > 0)
    else:
        variance = None
    rows, columns = np.nonzero(used)
    pixels = Pixels(away_x[used], away_y[used], step)
    noise = None if window is None else correlation(used.shape, window)
    return Stamp(pixels, image.data[cut][used], None if variance is None else variance[used], rows, columns, noise, radius)


def _window(reference: FluxImage, options: StarFitOptions) -> Callable[[Floats], Floats] | None:
    """Return the low-pass filter of the reference, of frequencies in units of the Nyquist frequency of its pixels."""
    told = lowpass_of(reference.header)
    if told is None:
        return blackman if options.antialias else None
    wider = float(np.sqrt(told.step_x * told.step_y / np.prod(reference.step)))
    return lambda r: blackman(r * wider)


def _reference_profile(reference: FluxImage, options: StarFitOptions, window: Any) -> Profile:
    band = 1 if window is not None else _FOLDED
    if options.hst_psf is None and options.free_reference:
        return TransferProfile(_free_moffat, ("fwhm", "beta"), band, window)
    psf = MoffatPsf(options.hst_fwhm, options.hst_beta) if options.hst_psf is None else as_psf(options.hst_psf, reference.step, "hst_psf")
    return TransferProfile(_known(psf), (), band, window)


def _image_profile(image: FluxImage, options: StarFitOptions) -> Profile:
    if options.muse_psf is None:
        return MoffatProfile(options.fix_fwhm, options.fix_beta, options.integrate)
    return TransferProfile(_known(as_psf(options.muse_psf, image.step, "muse_psf")), (), _FOLDED)


def _known(psf: Any) -> Callable[..., Any]:
    """Return a transfer function without free parameters, which is worked out once for the frequencies of a stamp."""
    kept: dict[tuple[Any, ...], Any] = {}

    def transfer(fx: Floats, fy: Floats, shape: dict[str, float]) -> tuple[Any, list[Any]]:
        key = (fx.size, fy.size, float(fx.flat[0]), float(fy.flat[0]))
        if key not in kept:
            kept[key] = psf.transfer(fx, fy)
        return kept[key], []

    return transfer


def _free_moffat(fx: Floats, fy: Floats, shape: dict[str, float]) -> tuple[Floats, list[Floats]]:
    value, by_fwhm, by_inverse = moffat_derivatives(np.hypot(fx, fy), shape["fwhm"], shape["beta"])
    return value, [by_fwhm, -by_inverse / shape["beta"] ** 2]
