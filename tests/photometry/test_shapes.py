"""Isophotes, Kron ellipses, half-light radii and windows on analytic sources."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive.photometry import shapes
from ezarchive.photometry.extraction import detect
from ezarchive.photometry.options import SexOptions
from ezarchive.photometry.pixels import prepare


def gaussian(a=4.0, b=2.0, theta=30.0, x=40.3, y=35.7, shape=(80, 90), peak=1000.0) -> np.ndarray:
    yy, xx = np.mgrid[: shape[0], : shape[1]]
    turn = np.radians(theta)
    along = (xx - x) * np.cos(turn) + (yy - y) * np.sin(turn)
    across = -(xx - x) * np.sin(turn) + (yy - y) * np.cos(turn)
    return peak * np.exp(-((along / a) ** 2 + (across / b) ** 2) / 2)


def detected(data, noise=1.0, **options):
    pixels = prepare(data, noise)
    found = detect(pixels, SexOptions(**options))
    return pixels, found, shapes.members(pixels, found.segmap, len(found.objects))


@pytest.mark.truth
class TestGaussian:
    @pytest.mark.parametrize("sigma", [1.2, 2.0, 4.0])
    def test_fwhm(self, sigma):
        _, found, members = detected(gaussian(sigma, sigma))
        width = shapes.fwhm(members, found.objects, np.array([1.0]), np.array([np.inf]))[0]
        assert width == pytest.approx(2.35482 * sigma - 1 / (4 * 2.35482 * sigma), rel=2e-3)

    def test_fwhm_leaves_saturated_pixels_out(self):
        data = np.minimum(gaussian(3.0, 3.0), 600.0)
        _, found, members = detected(data)
        clipped, open_ended = (shapes.fwhm(members, found.objects, np.ones(1), np.array([top]))[0] for top in (590.0, np.inf))
        assert clipped == pytest.approx(2.35482 * 3 - 1 / (4 * 2.35482 * 3), rel=2e-3)
        assert open_ended > 1.1 * clipped

    def test_fwhm_of_too_few_pixels_is_missing(self):
        data = np.zeros((20, 20))
        data[10, 10] = 1000.0
        _, found, members = detected(data, detect_minarea=1)
        assert np.isnan(shapes.fwhm(members, found.objects, np.ones(1), np.array([np.inf]))[0])

    def test_half_light_radius(self):
        data = gaussian(3.0, 3.0)
        pixels, found, _ = detected(data)
        radius = shapes.half_light_radius(pixels.data, found.objects, np.array([data.sum()]))[0]
        assert radius == pytest.approx(np.sqrt(2 * np.log(2)) * 3.0, rel=5e-3)

    def test_kron_flux_and_radius(self):
        data = gaussian()
        pixels, found, _ = detected(data)
        sums = shapes.kron(pixels, found.objects, 2.5, 3.5, gain=2.0)
        assert sums.flux[0] == pytest.approx(data.sum(), rel=0.01)
        # The first moment of a Gaussian is sqrt(pi / 2) in units of sigma; A and B of the smoothed isophote come close to it.
        assert sums.radius[0] == pytest.approx(max(2.5 * np.sqrt(np.pi / 2), 3.5), rel=0.1)
        objects = found.objects[0]
        assert sums.area[0] == pytest.approx(np.pi * sums.radius[0] ** 2 * objects["a"] * objects["b"], rel=0.02)
        np.testing.assert_allclose(sums.flux_err[0] ** 2, sums.area[0] + sums.flux[0] / 2)

    def test_kron_radius_has_a_least_value(self):
        pixels, found, _ = detected(gaussian())
        assert shapes.kron(pixels, found.objects, 2.5, 8.0, None).radius[0] == 8.0

    def test_windowed_position(self):
        pixels, found, _ = detected(gaussian(3.0, 3.0))
        x, y, cut = shapes.windowed(pixels.data, found.objects, np.array([3.5]))
        assert x[0] == pytest.approx(40.3, abs=1e-3)
        assert y[0] == pytest.approx(35.7, abs=1e-3)
        assert not cut[0]

    def test_windowed_position_that_wanders_stays_at_the_barycentre(self):
        data = gaussian(1.5, 1.5, x=30, y=30, peak=50) + gaussian(6, 6, x=48, y=48, peak=5000)
        pixels, found, _ = detected(data, detect_thresh=20.0, deblend_mincont=1e-5)
        faint = np.argmin(np.hypot(found.objects["x"] - 30, found.objects["y"] - 30))
        x, y, _ = shapes.windowed(pixels.data, found.objects, np.full(len(found.objects), 12.0))
        assert np.hypot(x[faint] - 30, y[faint] - 30) < 2


@pytest.mark.pure
class TestMembers:
    def test_pixels_of_each_source(self, rng):
        segmap = rng.integers(0, 4, (12, 15)).astype(np.int32)
        data = rng.normal(size=segmap.shape)
        members = shapes.members(prepare(data, 1.0), segmap, 3)
        for source in range(3):
            mine = segmap == source + 1
            assert members.sum()[source] == mine.sum()
            assert members.sum(members.value)[source] == pytest.approx(data[mine].sum())
            np.testing.assert_array_equal(np.argwhere(mine), np.c_[members.y, members.x][members.source == source])

    def test_isophotal_area_and_least_noise_of_a_map(self, rng):
        segmap = np.ones((5, 6), np.int32)
        data, noise = rng.uniform(0, 5, segmap.shape), rng.uniform(1, 2, segmap.shape)
        members = shapes.members(prepare(data, noise), segmap, 1)
        assert shapes.isophotal_area(members, 1.5)[0] == (data > 1.5 * noise).sum()
        assert shapes.least_noise(members, noise)[0] == noise.min()
        assert shapes.least_noise(members, 3.0)[0] == 3.0

    def test_no_source(self):
        members = shapes.members(prepare(np.ones((4, 4)), 1.0), np.zeros((4, 4), np.int32), 0)
        assert members.sum().shape == (0,)

    def test_ellipse_is_what_sep_allows(self):
        _, found, _ = detected(gaussian(theta=90.0))
        objects = found.objects.copy()
        objects["theta"], objects["b"] = 1.5707964, objects["a"] * 1.0000001
        _, _, a, b, theta = shapes.ellipse(objects)
        assert (b <= a).all()
        assert (theta <= np.pi / 2).all()

    def test_kron_area_leaves_bad_pixels_out(self):
        data = gaussian()
        holed = data.copy()
        holed[36, 44] = np.nan
        areas = []
        for image in (data, holed):
            pixels, found, _ = detected(image)
            areas.append(shapes.kron(prepare(image, 1.0), detected(data)[1].objects, 2.5, 3.5, None).area[0])
        assert areas[0] - areas[1] == pytest.approx(1.0, abs=3.0)
        assert areas[0] > areas[1] - 3
