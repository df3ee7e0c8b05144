"""The PSF of an image by its stars, and noise where none is told."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive.compare.fluximage import FluxImage
from ezarchive.compare.starpsf import measure_psf, with_noise
from ezarchive.errors import CompareError
from ezarchive.simulate.pairs import image_pair

pytestmark = pytest.mark.truth


@pytest.mark.parametrize(("fwhm", "beta"), [(0.6, 2.5), (0.9, 3.5), (1.3, 2.0)])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_stars_tell_width_and_exponent(fwhm, beta, seed):
    pair = image_pair(shape=(260, 300), fwhm=fwhm, beta=beta, n_stars=25, n_discs=5, seed=seed)
    found = measure_psf(FluxImage(pair.image, wcs=pair.wcs))
    assert found.n >= 3
    assert found.psf.fwhm == pytest.approx(fwhm, rel=0.03)
    assert found.psf.beta == pytest.approx(beta, rel=0.15)
    assert 0 < found.fwhm_err < 0.05 * fwhm


def test_saturated_stars_and_bad_pixels_do_not_count():
    pair = image_pair(shape=(260, 300), n_stars=25, n_discs=0, seed=5)
    clipped = np.minimum(pair.image, 3000.0)
    clipped[100:110] = np.nan
    found = measure_psf(FluxImage(clipped, wcs=pair.wcs), saturation=3000.0)
    assert found.psf.fwhm == pytest.approx(0.7, rel=0.04)


@pytest.mark.parametrize("data", [np.zeros((80, 80)), np.full((80, 80), np.nan), np.random.default_rng(1).normal(size=(80, 80))])
def test_an_image_without_stars_is_told(data):
    with pytest.raises(CompareError, match="must have stars") as caught:
        measure_psf(FluxImage(data, wcs=image_pair(shape=(80, 80)).wcs))
    assert caught.value.code == "no_star"


def test_noise_of_the_sky_and_of_photons():
    rng, level = np.random.default_rng(2), 100.0
    light = np.zeros((300, 300))
    light[100:110, 100:110] = 5000.0
    given = FluxImage(level + light + rng.normal(scale=3.0, size=light.shape))
    plain, photons = with_noise(given), with_noise(given, gain=4.0)
    assert given.variance is None
    assert np.sqrt(np.median(plain.variance)) == pytest.approx(3.0, rel=0.03)
    assert photons.variance[105, 105] == pytest.approx(9 + 5000 / 4, rel=0.05)
    assert np.ptp(plain.variance) == 0
    known = FluxImage(given.data, np.ones(light.shape))
    assert with_noise(known) is known
    for empty in (np.zeros((50, 50)), np.full((50, 50), np.nan)):
        assert with_noise(FluxImage(empty)).variance is None
