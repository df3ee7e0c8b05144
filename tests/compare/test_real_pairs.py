"""Real frames against each other: five DECam cutouts of one field, and a NIRCam cutout against itself, degraded by known amounts."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from ezarchive import compare
from ezarchive.compare.regrid import regrid
from ezarchive.compare.starpsf import measure_psf, with_noise
from ezarchive.simulate.transforms import moffat

STARS = {"a": (0.957, 0.0234, -0.0017), "b": (0.981, 0.0059, 0.0136), "c": (0.974, 0.0027, 0.0164), "d": (0.986, -0.0002, -0.0183)}
"""Of five stars each: median ratio of fluxes within 24 pixels, and difference of windowed positions along x and y in arcsec."""
TRACKS = (
    "icrs\n-polygon(318.09247,-66.01085,318.09214,-66.01187,318.09756,-66.01272,318.10244,-66.01335,318.10295,-66.01262,"
    "318.10006,-66.01197,318.09965,-66.01051,318.09749,-66.01053,318.09663,-66.01170)\n"
)


@pytest.fixture(scope="module")
def decam(real_data):
    frames = {}
    for letter in "abcde":
        frames[letter] = with_noise(compare.flux_image(real_data / "decam" / f"DEC-OBS04{letter}.mini.fits", letter), gain=3.98)
    return frames


@pytest.mark.oracle
@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("letter", "abcd")
def test_decam_frames_agree_with_their_stars(decam, tmp_path, letter):
    tracks = tmp_path / "tracks.reg"
    tracks.write_text(TRACKS)
    reference = measure_psf(decam["e"])
    found = compare.fit_image_photometry(decam["e"], decam[letter], hst_psf=reference.psf, antialias=False, regions=tracks)
    own = measure_psf(decam[letter])
    assert found.fwhm.value == pytest.approx(own.psf.fwhm, rel=0.025)
    ratio, dx, dy = STARS[letter]
    assert found.scale.value == pytest.approx(ratio, abs=0.03)
    assert (found.dx.value, found.dy.value) == pytest.approx((dx, dy), abs=0.015)
    assert abs(found.bg.value) < 2
    assert 1 < found.rchi < 3


@pytest.mark.oracle
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_cosmic_rays_of_the_reference_show_and_can_be_left_out(decam, tmp_path):
    tracks = tmp_path / "tracks.reg"
    tracks.write_text(TRACKS)
    options = {"hst_psf": measure_psf(decam["e"]).psf, "antialias": False}
    whole = compare.fit_image_photometry(decam["e"], decam["a"], **options)
    without = compare.fit_image_photometry(decam["e"], decam["a"], regions=tracks, **options)
    assert without.rchi < 0.75 * whole.rchi
    assert abs(without.bg.value) < abs(whole.bg.value)
    assert without.fwhm.value == pytest.approx(whole.fwhm.value, rel=0.005)


def degraded(reference, noise):
    """Every second pixel of a blurred, moved, dimmed and raised image."""
    data = np.where(reference.mask, np.nanmedian(reference.data), reference.data)
    step = reference.step[0]
    fx, fy = np.fft.rfftfreq(data.shape[1], step), np.fft.fftfreq(data.shape[0], step)[:, None]
    spectrum = np.fft.rfft2(data) * moffat(np.hypot(fx, fy), 0.2, 3.0) * np.exp(-2j * np.pi * (fx * 0.04 - fy * 0.025))
    image = 0.8 * np.fft.irfft2(spectrum, data.shape)[91:811:2, 91:811:2] + 0.05
    image += np.random.default_rng(1).normal(scale=noise, size=image.shape)
    wcs = reference.wcs.deepcopy()
    wcs.wcs.crpix, wcs.wcs.cdelt = (wcs.wcs.crpix - 92) / 2 + 1, wcs.wcs.cdelt * 2
    return compare.FluxImage(image, np.full(image.shape, noise**2), None, wcs, reference.unit, fits.Header())


@pytest.mark.truth
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_nircam_cutout_degraded_by_known_amounts(real_data):
    (path,) = (real_data / "nircam").glob("*_i2d_stamp.fits")
    reference = compare.flux_image(path, "nircam")
    image = degraded(reference, 0.005)
    found = compare.fit_image_photometry(regrid(reference, image), image, hst_psf=(1e-3, 3.0))
    truth = {"scale": 0.8, "bg": 0.05, "dx": 0.04, "dy": -0.025, "fwhm": 0.2, "beta": 3.0}
    for name, value in truth.items():
        fitted = getattr(found, name)
        assert fitted.value == pytest.approx(value, abs=4 * fitted.stdev), name
        assert fitted.stdev < 0.006 * max(abs(value), 0.05), name
    assert found.rchi == pytest.approx(1.0, abs=0.1)
    assert found.rms_error == pytest.approx(0.005, rel=0.02)
