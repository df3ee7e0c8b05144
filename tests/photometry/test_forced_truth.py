"""Forced photometry against injected truth: pulls, biases, limits, rings, angles on the sky."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.wcs import WCS

from ezarchive import simulate
from ezarchive.images.background import estimate
from ezarchive.images.mask import source_mask
from ezarchive.photometry import forced
from ezarchive.photometry.forced import ForcedOptions
from ezarchive.simulate.exposure import Exposure
from ezarchive.simulate.frames import expose
from ezarchive.simulate.profiles import circle_overlap, ellipse, galaxy_pixels, moffat, moffat_pixels, window_around

pytestmark = pytest.mark.truth

GAIN, SKY, READ_NOISE = 0.2561, 400.0, 6.0
SIGMA = float(np.sqrt(SKY / GAIN + (READ_NOISE / GAIN) ** 2))
RADIUS = 4.937
SNR = np.array([5.0, 10.0, 30.0, 100.0, 500.0])


def for_snr(snr, area):
    """Flux in the aperture of a source whose ratio of flux to error is this."""
    photons = np.square(snr) / GAIN
    return (photons + np.sqrt(photons**2 + 4 * np.square(snr) * area * SIGMA**2)) / 2


class Grid:
    """Sources of every S/N on a grid, wide enough apart to be alone, with their noise-free flux in a circle by simulate's own areas."""

    def __init__(self, rng, kind, n=25, step=44):
        at = step / 2 + step * np.arange(n)
        self.x, self.y = (part.ravel() + rng.uniform(-0.5, 0.5, n * n) for part in np.meshgrid(at, at))
        self.snr = np.resize(SNR, n * n)
        self.scene, self.truth = np.zeros((n * step, n * step)), np.zeros(n * n)
        psf, half = moffat(6.3, 0.1, 30), ellipse(3.0, 1.6, 25)
        wanted = for_snr(self.snr, np.pi * RADIUS**2)
        for i, (x, y) in enumerate(zip(self.x, self.y, strict=True)):
            window = window_around(x, y, step / 2 - 2)
            light = moffat_pixels(x, y, psf, window)
            if kind == "galaxy":
                pixels, full = galaxy_pixels(x, y, half, psf)
                light = pixels[window.within(full)]
            light *= wanted[i] / np.sum(light * circle_overlap(x, y, RADIUS, window))
            self.scene[window.slices] += light
        for i, (x, y) in enumerate(zip(self.x, self.y, strict=True)):
            window = window_around(x, y, RADIUS)
            self.truth[i] = np.sum(self.scene[window.slices] * circle_overlap(x, y, RADIUS, window))

    def exposed(self, rng):
        electrons = rng.poisson((self.scene + SKY) * GAIN) + READ_NOISE * rng.standard_normal(self.scene.shape)
        return (electrons / GAIN).astype(np.float32)


def pulls(grid, rng, options, repeats, **sky):
    found = []
    for _ in range(repeats):
        table = forced.circular(grid.exposed(rng), grid.x, grid.y, 2 * RADIUS, options, **sky)
        assert not (table["FLAGS_APER"] & ~64).any(), "only a flux that is not positive may be flagged"
        found.append((table["FLUX_APER"].value - grid.truth) / table["FLUXERR_APER"].value)
    return np.array(found), np.resize(grid.snr, (repeats, len(grid.x)))


@pytest.mark.parametrize("kind", ["star", "galaxy"])
def test_pulls_with_a_known_background(rng, kind):
    grid = Grid(rng, kind)
    pull, snr = pulls(grid, rng, ForcedOptions(gain=GAIN, satur_level=6e4), 8, noise=SIGMA, background=SKY)
    for one in SNR:
        part = pull[snr == one]
        assert abs(part.mean()) < 0.1, (kind, one)
        # sum w s^2 exceeds the variance sum w^2 s^2 by 7 % in this circle (SExtractor's convention): 0.97 is to be expected.
        assert part.std() == pytest.approx(0.97, abs=0.06), (kind, one)


def test_half_of_the_5_sigma_sources_exceed_their_limit(rng):
    grid = Grid(rng, "star", n=20)
    grid.scene *= np.float64(5 * SIGMA * np.sqrt(np.pi) * RADIUS) / np.median(grid.truth[grid.snr == 500])
    limits, magnitudes = [], []
    for _ in range(12):
        table = forced.circular(grid.exposed(rng), grid.x, grid.y, 2 * RADIUS, ForcedOptions(gain=GAIN), noise=SIGMA, background=SKY)
        chosen = grid.snr == 500
        limits.append(table["UL5_APER"].value[chosen])
        magnitudes.append(table["MAG_APER"].value[chosen])
    brighter = np.mean(np.array(magnitudes) < np.array(limits))
    # 960 sources: 50 +- 1.6 %.
    assert brighter == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("known_noise", [True, False])
def test_rings_on_a_sky_that_was_not_subtracted(rng, known_noise):
    grid = Grid(rng, "star")
    grid.scene, grid.truth = grid.scene * 0, grid.truth * 0
    options = ForcedOptions(gain=GAIN, annulus_width=2.5, annulus_inner=8.0)
    pull, _ = pulls(grid, rng, options, 6, noise=SIGMA if known_noise else None)
    # The median of Poisson numbers lies a sixth of an electron below their mean: 0.0104 sigma a pixel here, 0.08 of this aperture.
    assert pull.mean() == pytest.approx(0.08, abs=0.06)
    assert pull.std() == pytest.approx(1, abs=0.05)
    # The ring holds 145 pixels and the aperture 77: without its part the errors would be 30 % too small.
    table = forced.circular(grid.exposed(rng), grid.x, grid.y, 2 * RADIUS, options, noise=SIGMA)
    bare = pull.std() * np.median(table["FLUXERR_APER"].value / table["SKYSIG_APER"].value)
    assert bare > 1.25


def test_the_level_and_the_noise_of_a_ring(rng):
    data = rng.normal(1000, 20, (900, 900)).astype(np.float32)
    data[rng.random(data.shape) < 0.01] += 3000
    at = np.arange(50, 850, 40.0)
    x, y = (part.ravel() for part in np.meshgrid(at, at))
    table = forced.circular(data, x, y, 6.0, ForcedOptions(gain=1.0, annulus_width=8.0))
    pull = (table["BACKGROUND_APER"].value - 1000) / table["BACKGROUNDERR_APER"].value
    assert pull.std() == pytest.approx(1, abs=0.12)
    assert abs(pull.mean()) < 0.35, "one pixel in a hundred is a source: the median is off by 0.01 / (2 x 0.4) sigma at most"
    assert np.median(table["SKYSIG"].value) == pytest.approx(20, rel=0.02)


@pytest.mark.parametrize(("n_stars", "field"), [(60, "sparse"), (920, "crowded")])
def test_bias_with_our_own_mesh_and_mask(n_stars, field):
    """As many sources a pixel as in scenes of 2,500 and 25,000 a frame of 61 Mpix; the truth holds the neighbours' light too.

    The mode of Poisson numbers lies below their mean, so that SExtractor's level is 0.017 sigma low on a sky of 100 electrons: of the
    apertures of 5 and 10 arcsec that is 0.1 and 0.2 sigma.
    """
    rng, n, radii = np.random.default_rng(7), 1200, (RADIUS, 2 * RADIUS)
    base = simulate.frame((n, n), n_stars=round(n_stars * (n / 1500) ** 2), seed=7)
    exposure: Exposure = base.truth.exposure
    scene = base.truth.scene()
    x, y = rng.uniform(30, n - 30, (2, 400))
    flux = for_snr(np.resize(SNR, 400), np.pi * RADIUS**2) / 0.75
    for one in zip(x, y, flux, strict=True):
        window = window_around(*one[:2], 40).meet(exposure.window)
        scene[window.slices] += one[2] * moffat_pixels(*one[:2], exposure.psf, window)
    data = expose(scene, exposure, rng)
    mesh = estimate(data, np.asarray(source_mask(data, saturation=exposure.saturation).mask))
    options = ForcedOptions(gain=exposure.gain, satur_level=exposure.saturation)
    table = forced.circular(data, x, y, [2 * radius for radius in radii], options, noise=mesh, background=mesh)
    for suffix, radius in zip(("", "_1"), radii, strict=True):
        windows = [(window_around(*one, radius), one) for one in zip(x, y, strict=True)]
        truth = [np.sum(scene[window.slices] * circle_overlap(*one, radius, window)) for window, one in windows]
        pull = (table[f"FLUX_APER{suffix}"].value - truth) / table[f"FLUXERR_APER{suffix}"].value
        pull = pull[table[f"FLAGS_APER{suffix}"] == 0]
        assert abs(np.median(pull)) < 0.25, (field, radius)
        assert np.std(pull) == pytest.approx(1, abs=0.15), (field, radius)


@pytest.mark.parametrize(("rotation", "mirrored"), [(0.0, False), (37.0, False), (37.0, True), (200.0, True)])
def test_an_ellipse_at_an_angle_on_the_sky(rotation, mirrored):
    """A thin galaxy whose position angle is known: the right ellipse holds more of it than any other."""
    exposure = Exposure(nx=201, ny=201, rotation=rotation, mirrored=mirrored, seeing=1.5)
    wcs, angle = WCS(exposure.wcs_cards), 56.6
    matrix = np.linalg.inv(_east_north(wcs, 100, 100))
    axes = [matrix @ np.array([np.sin(a), np.cos(a)]) * size for a, size in ((np.radians(angle), 6.0), (np.radians(angle + 90), 1.5))]
    shape = np.outer(axes[0], axes[0]) + np.outer(axes[1], axes[1])
    pixels, window = galaxy_pixels(100.2, 99.7, type(moffat(3))(shape[0, 0], shape[0, 1], shape[1, 1]), moffat(3.0))
    scene = np.zeros((201, 201))
    common = window.meet(exposure.window)
    scene[common.slices] = 1e5 * pixels[common.within(window)]
    options = ForcedOptions(gain=1.0, axes_unit="arcsec", theta_frame="sky")
    tried = np.array([angle, angle + 8, angle - 8, 90 - angle, -angle])
    place = np.full(len(tried), 100.2), np.full(len(tried), 99.7)
    table = forced.elliptical(scene, *place, 10.0, 2.5, tried, options, noise=1.0, wcs=wcs)
    flux = table["FLUX_ELIP"].value
    assert (flux[0] > flux[1:] * 1.01).all()
    np.testing.assert_allclose(table["SMA_WORLD"].value, 10.0, rtol=1e-6)
    turned = table["THETA_SKY"].value - tried + 90
    np.testing.assert_allclose(np.mod(turned, 180), 90, atol=1e-4)


def _east_north(wcs, x, y):
    """The derivative of the offsets on the sky by pixels, from steps along the axes (astropy alone)."""
    centre, right, up = (wcs.pixel_to_world(x + dx, y + dy) for dx, dy in ((0, 0), (1, 0), (0, 1)))
    steps = [[offset.to_value("arcsec") for offset in centre.spherical_offsets_to(other)] for other in (right, up)]
    return np.array(steps).T
