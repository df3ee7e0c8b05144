"""The noise of the sky by differences of pixels: sparse and crowded skies, white and shared noise, holes, and images that have none."""

from __future__ import annotations

import numpy as np
import pytest
from fitpairs import filtered_noise

from ezarchive.compare.skynoise import sky_noise
from ezarchive.simulate.pairs import image_pair

pytestmark = pytest.mark.truth


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("sources", [(5, 5), (8, 25), (40, 150)], ids=["sparse", "some", "crowded"])
@pytest.mark.parametrize("fwhm", [0.6, 1.1])
def test_light_of_sources_hardly_counts(seed, sources, fwhm):
    pair = image_pair(shape=(150, 170), seed=seed, n_stars=sources[0], n_discs=sources[1], fwhm=fwhm)
    assert sky_noise(pair.image) == pytest.approx(2.0, rel=0.04)


@pytest.mark.parametrize("seed", range(6))
def test_noise_that_neighbours_share(seed):
    noise = filtered_noise(np.random.default_rng(seed), (200, 230), 2.0)
    assert sky_noise(noise) == pytest.approx(2.0, rel=0.08)
    sparse = image_pair(shape=(200, 230), seed=seed, n_stars=4, n_discs=10, noise=0.0)
    assert sky_noise(sparse.image + noise) == pytest.approx(2.0, rel=0.08)


def test_pixels_without_a_value_and_small_images():
    data = np.random.default_rng(1).normal(scale=3.0, size=(120, 130))
    data[np.random.default_rng(2).uniform(size=data.shape) < 0.1] = np.nan
    data[40:60] = np.nan
    assert sky_noise(data) == pytest.approx(3.0, rel=0.05)
    assert sky_noise(np.random.default_rng(3).normal(size=(3, 400))) == pytest.approx(1.0, rel=0.15)
    assert sky_noise(np.zeros((50, 50))) == 0
    assert np.isnan(sky_noise(np.zeros((5, 5))))
    assert np.isnan(sky_noise(np.full((50, 50), np.nan)))
