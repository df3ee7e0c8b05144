"""Fit a whole image by a reference image: seeing, scale, background, and pointing.

Both images are arrays on one grid; `fit_image_photometry` is the same with files, regions and plots.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.fft
from astropy.wcs import WCS
from numpy.typing import NDArray

from ezarchive.compare.fluximage import FluxImage
from ezarchive.compare.imagepair import Fitted, ImageFitOptions, converged, prepared
from ezarchive.compare.imagesolve import NONLINEAR, Q_RANGE, Errors, Solution, errors_of
from ezarchive.compare.results import FitOutcome, FittedImagePhotometry, FittedValue

Floats = NDArray[np.float64]

__all__ = ["ImageFitOptions", "ImageFitProducts", "fit_images"]


@dataclass(frozen=True)
class ImageFitProducts:
    """Images of a fit, for plots and files.

    Attributes
    ----------
    image, model, residual : ndarray, shape (ny, nx)
        The image, the reference made like it, and their difference, cropped to the rows and columns that have pixels in both, all at
        their common resolution (that of image, reference PSF and low-pass filter); finite everywhere.
    weight : ndarray, shape (ny, nx)
        What each residual counts; 0 where it does not.
    image_fft, model_fft, residual_fft : ndarray, shape (ny, nx)
        Amplitudes of the Fourier transforms of the three times `weight`, the background taken off, frequency 0 at pixel ``n // 2``.
    fy, fx : ndarray, shape (ny,) and (nx,)
        Frequencies of these pixels, cycles per arcsec.
    wcs : WCS or None
        Of the cropped images.
    slices : (slice, slice)
        What was cropped: rows, columns.
    step : (float, float)
        Arcsec per pixel along y and x.
    """

    image: Floats
    model: Floats
    residual: Floats
    weight: Floats
    image_fft: Floats
    model_fft: Floats
    residual_fft: Floats
    fy: Floats
    fx: Floats
    wcs: WCS | None
    slices: tuple[slice, slice]
    step: tuple[float, float]


def fit_images(
    reference: FluxImage, image: FluxImage, options: ImageFitOptions | None = None
) -> tuple[FittedImagePhotometry, ImageFitProducts]:
    """Fit an image by a reference of the same sky on the same grid.

    Parameters
    ----------
    reference : FluxImage
        The sharper one. Converted to the image's unit where both have units that allow it.
    image : FluxImage
        The one that is characterised; one of the two must have a WCS.
    options : ImageFitOptions, optional

    Returns
    -------
    FittedImagePhotometry
        With errors that follow from the variances of both images, enlarged by the root of `rchi` where that exceeds 1; where the image has
        no variance, from the residuals.
    ImageFitProducts

    Raises
    ------
    InputError
        If shapes differ, or an option is wrong.
    CompareError
        ``other_units``, ``all_masked``, ``no_overlap`` (too few pixels are left), ``no_match`` (nothing in common).

    Notes
    -----
    The model is that of `imagemodel`. All pixels with a value take part in the convolutions, also those that are left out of the fit;
    pixels of the image that are masked or left out take the model's value in turn, masked pixels of the reference the mean of what is
    near. Weights are put on after the convolutions, on model and image alike. Pixels near the edges, where light from outside of the field
    comes in, do not count (10 pixels or 3 fwhm, at most 15 per cent of the image).

    `rms_error` is of pixels of the image, not of the common resolution. `rchi` compares the residuals with the noise: 1 if the
    variances and the model are right.
    """
    fitted = converged(prepared(reference, image, ImageFitOptions() if options is None else options))
    own = fitted.pair.own(fitted.solution.shape)
    errors = errors_of(fitted.problem, fitted.solution, fitted.pair.noise, own)
    fitted = replace(fitted, solution=_without_pull(fitted.solution, errors))
    rms = _rms(fitted, own)
    return FittedImagePhotometry(image, _outcome(fitted, errors, rms), rms), _products(fitted, image, reference)


def _without_pull(found: Solution, errors: Errors) -> Solution:
    """Return a solution without what the noise of the reference had shifted."""
    by = dict(zip(errors.names, errors.shift, strict=True))
    shape = {name: getattr(found.shape, name) + by[name] for name in by if name in NONLINEAR}
    if "q" in shape:
        shape["q"] = float(np.clip(shape["q"], *Q_RANGE))
    return replace(found, shape=replace(found.shape, **shape), scale=found.scale + by.get("scale", 0.0), bg=found.bg + by.get("bg", 0.0))


def _rms(fitted: Fitted, own: Floats) -> float:
    """Return the root mean square of image minus model, at the image's own resolution, over the pixels that were compared."""
    pair, found = fitted.pair, fitted.solution
    sharp = fitted.problem.model.sharp(found.shape)[: pair.image.shape[0], : pair.image.shape[1]]
    model = found.scale * (sharp + pair.level) + found.bg
    return float(np.sqrt(np.mean((pair.image - model)[own & fitted.problem.at] ** 2)))


def _outcome(fitted: Fitted, errors: Errors, rms: float) -> FitOutcome:
    options, found, n = fitted.pair.options, fitted.solution, len(fitted.problem.w)
    psf = options.image_psf
    numbers = {"scale": found.scale, "bg": found.bg, "dx": found.shape.dx, "dy": found.shape.dy}
    numbers |= {"fwhm": found.shape.fwhm, "beta": found.shape.beta if psf is None else getattr(psf, "beta", np.nan)}
    held = {"scale": options.fix_scale is not None, "bg": options.fix_bg is not None}
    held |= {name: name not in options.held.free for name in ("dx", "dy", "fwhm")} | {"beta": "q" not in options.held.free}
    stdev = dict(zip(errors.names, np.sqrt(np.clip(np.diag(errors.covariance), 0, None)), strict=True))
    if "q" in stdev:
        stdev["beta"] = stdev["q"] * found.shape.beta**2
    values = {name: FittedValue(value=number, stdev=stdev.get(name), fixed=held[name]) for name, number in numbers.items()}
    at = [errors.names.index(name) if name in errors.names else None for name in ("dx", "dy")]
    covariance = np.array([[0.0 if i is None or j is None else errors.covariance[i, j] for j in at] for i in at])
    chi2 = errors.rchi * max(n - len(errors.names), 1)
    lines = [f"image fit of {n} pixels: rms {rms:.6g}, reduced chi2 {errors.rchi:.4g}"]
    lines += [f"  {name:<5} {value}" for name, value in values.items()]
    if found.bounded:
        lines.append(f"  at a bound: {', '.join('beta' if name == 'q' else name for name in found.bounded)}")
    return FitOutcome(values, covariance, chi2, errors.rchi, n, "\n".join(lines))


def _products(fitted: Fitted, image: FluxImage, reference: FluxImage) -> ImageFitProducts:
    pair, problem, found = fitted.pair, fitted.problem, fitted.solution
    known = np.argwhere(pair.own(found.shape))
    crop = tuple(slice(int(low), int(high) + 1) for low, high in zip(known.min(axis=0), known.max(axis=0), strict=True))
    model = found.scale * (problem.model.blurred(found.shape) + pair.level) + found.bg
    planes = {"image": problem.target[crop], "model": model[crop], "residual": (problem.target - model)[crop]}
    weight = problem.weight[crop]
    base = found.bg + found.scale * pair.level
    ffts = {}
    for name, plane in planes.items():
        level = 0.0 if name == "residual" else base
        ffts[f"{name}_fft"] = np.abs(scipy.fft.fftshift(scipy.fft.fft2((plane - level) * weight)))
    fy, fx = (scipy.fft.fftshift(scipy.fft.fftfreq(n, s)) for n, s in zip(weight.shape, pair.step, strict=True))
    wcs = image.wcs if image.wcs is not None else reference.wcs
    return ImageFitProducts(**planes, **ffts, weight=weight, fy=fy, fx=fx, wcs=_cropped(wcs, crop), slices=crop, step=pair.step)


def _cropped(wcs: WCS | None, crop: tuple[slice, slice]) -> WCS | None:
    return None if wcs is None else wcs.deepcopy().slice(crop)
