"""Transfer functions of PSFs."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive.compare.psf import ArrayPsf, GaussianPsf, MoffatPsf, as_psf
from ezarchive.errors import InputError

FX, FY = np.fft.rfftfreq(40, 0.2)[None], np.fft.fftfreq(30, 0.2)[:, None]


def gaussian(shape=(81, 81), fwhm=0.7, scale=0.05, x0=0.0, y0=0.0):
    y, x = (np.arange(n) - (n - 1) / 2 for n in shape)
    r2 = (x * scale - x0) ** 2 + ((y * scale - y0) ** 2)[:, None]
    return np.exp(-4 * np.log(2) * r2 / fwhm**2)


@pytest.mark.parametrize("shape", [(81, 81), (80, 91)])
def test_pixels_of_a_gaussian_have_its_transfer_function(shape):
    psf = ArrayPsf(7 * gaussian(shape), 0.05)
    np.testing.assert_allclose(psf.transfer(FX, FY), GaussianPsf(0.7).transfer(FX, FY), atol=1e-8)
    assert psf.fwhm == pytest.approx(0.7, rel=0.02)


def test_a_psf_off_its_middle_moves_light():
    moved = ArrayPsf(gaussian(x0=0.1, y0=-0.2), 0.05).transfer(FX, FY)
    np.testing.assert_allclose(moved, GaussianPsf(0.7).transfer(FX, FY) * np.exp(-2j * np.pi * (FX * 0.1 - FY * 0.2)), atol=1e-8)


def test_scattered_frequencies_give_the_same_as_a_grid():
    psf = ArrayPsf(np.random.default_rng(1).uniform(size=(5, 8)), (0.1, 0.2))
    np.testing.assert_allclose(psf.transfer(*np.broadcast_arrays(FX, FY)), psf.transfer(FX, FY), atol=1e-12)


def test_nothing_beyond_the_nyquist_frequency_of_the_array():
    found = ArrayPsf(np.ones((1, 1)), 0.5).transfer(FX, FY)
    np.testing.assert_array_equal(found != 0, (np.abs(FX) <= 1) & (np.abs(FY) <= 1))


def test_arrays_stay_as_they_are():
    array = gaussian()
    before = array.copy()
    psf = ArrayPsf(array, 0.05)
    np.testing.assert_array_equal(array, before)
    with pytest.raises(ValueError, match="read-only"):
        psf.array[0, 0] = 1


def test_a_moffat_is_the_same_by_table():
    fx, fy = np.fft.rfftfreq(300, 0.2)[None], np.fft.fftfreq(300, 0.2)[:, None]
    psf = MoffatPsf(0.7, 2.5)
    np.testing.assert_allclose(psf.transfer(fx, fy)[7, 9], psf.transfer(fx[0, 9], fy[7, 0]), atol=1e-9)


def test_what_may_be_given():
    assert as_psf(0.7) == GaussianPsf(0.7)
    assert as_psf((0.7, 2.5)) == MoffatPsf(0.7, 2.5)
    assert as_psf(gaussian(), 0.05).pixel_scale == (0.05, 0.05)
    assert as_psf((gaussian(), 0.1)).pixel_scale == (0.1, 0.1)
    psf = MoffatPsf(1, 3)
    assert as_psf(psf) is psf


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("sharp", "psf: must be a PSF"),
        ((0.7, 0.9), "psf beta 0.9: must be larger than 1"),
        ((-1.0, 2.5), "psf fwhm -1.0: must be a positive"),
        (np.ones((3, 3)), "must come with its arcsec per pixel"),
        ((np.ones((3, 3)), 0.0), "pixel_scale 0.0: must be positive"),
        ((np.zeros((3, 3)), 0.1), "its sum must be positive"),
        ((np.array([["a"]]), 0.1), "psf: must be an array of numbers, and one or two numbers of arcsec per pixel"),
        ((np.ones((3, 3)), "fine"), "psf: must be an array of numbers, and one or two numbers of arcsec per pixel"),
        ((np.ones((3, 3)), (0.1, 0.1, 0.1)), "psf: must be an array of numbers, and one or two numbers of arcsec per pixel"),
        ((np.full((3, 3), np.nan), 0.1), "must be finite, found 9"),
    ],
)
def test_what_may_not(value, message):
    with pytest.raises(InputError, match=message):
        as_psf(value)
