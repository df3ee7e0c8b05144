"""Pairs of simulated images as the fits take them, and noise for them."""

from __future__ import annotations

import functools

import numpy as np
import scipy.fft

from ezarchive.compare.fluximage import FluxImage
from ezarchive.compare.imagefit import ImageFitOptions, fit_images
from ezarchive.compare.moffat import blackman
from ezarchive.compare.psf import MoffatPsf
from ezarchive.simulate import image_pair

SMALL = {"shape": (130, 150), "n_stars": 4, "n_discs": 16, "star_flux": 20000.0, "noise": 0.0, "reference_noise": 0.0}


@functools.cache
def _clean(items):
    return image_pair(**dict(items))


def clean(**plan):
    """A small pair without noise; the same object for the same plan."""
    return _clean(tuple(sorted((SMALL | plan).items())))


def fluxes(pair, noise=None, reference_noise=None):
    """Reference and image as `FluxImage`; the variances are given where the noise is."""
    known = [None if s is None else np.full(pair.image.shape, s**2) for s in (reference_noise, noise)]
    return FluxImage(pair.reference, known[0], wcs=pair.wcs), FluxImage(pair.image, known[1], wcs=pair.wcs)


def filtered_noise(rng, shape, sigma):
    """Noise of a pixel's standard deviation `sigma` that has gone through the Blackman window."""
    size = tuple(scipy.fft.next_fast_len(n + 40, real=True) for n in shape)
    r = 2 * np.hypot(scipy.fft.rfftfreq(size[1]), scipy.fft.fftfreq(size[0])[:, None])
    full = 2 * np.hypot(scipy.fft.fftfreq(size[1]), scipy.fft.fftfreq(size[0])[:, None])
    made = scipy.fft.irfft2(scipy.fft.rfft2(rng.normal(size=size)) * blackman(r), size)
    return sigma / np.sqrt(np.mean(blackman(full) ** 2)) * made[: shape[0], : shape[1]]


def fit(pair, reference=None, image=None, **options):
    """Fit a pair with the PSF of its own reference."""
    plan = pair.plan
    ours = {"reference_psf": MoffatPsf(plan.reference_fwhm, plan.reference_beta)} | options
    theirs = fluxes(pair)
    return fit_images(reference or theirs[0], image or theirs[1], ImageFitOptions(**ours))


def errors(found, plan, names=("scale", "bg", "dx", "dy", "fwhm")):
    return np.array([getattr(found, name).value - getattr(plan, name) for name in names])
