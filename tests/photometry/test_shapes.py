"""What is measured of analytic sources, and how their neighbours are masked."""

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


def measured(data, noise=1.0, level=0.0, mask=None, **options):
    pixels, chosen = prepare(data, noise), SexOptions(**options)
    found = detect(pixels, chosen)
    return found, shapes.measure(pixels, found, chosen, level=np.full(len(found.objects), level), mask=mask)


@pytest.mark.truth
class TestGaussian:
    @pytest.mark.parametrize("sigma", [1.2, 2.0, 4.0])
    def test_fwhm(self, sigma):
        _, found = measured(gaussian(sigma, sigma))
        assert found.fwhm[0] == pytest.approx(2.35482 * sigma - 1 / (4 * 2.35482 * sigma), rel=2e-3)

    def test_fwhm_leaves_saturated_pixels_out(self):
        data = np.minimum(gaussian(3.0, 3.0), 600.0)
        clipped, open_ended = (measured(data, level=50.0, satur_level=top)[1].fwhm[0] for top in (640.0, None))
        assert clipped == pytest.approx(2.35482 * 3 - 1 / (4 * 2.35482 * 3), rel=2e-3)
        assert open_ended > 1.1 * clipped

    def test_fwhm_of_too_few_pixels_is_missing(self):
        data = np.zeros((20, 20))
        data[10, 10] = 1000.0
        assert np.isnan(measured(data, detect_minarea=1)[1].fwhm[0])

    def test_half_light_radius_and_other_shares(self):
        _, found = measured(gaussian(3.0, 3.0), phot_fluxfrac=0.8)
        # Of FLUX_AUTO, which is nearly all.
        assert found.half_light[0] == pytest.approx(np.sqrt(2 * np.log(2)) * 3.0, rel=5e-3)
        assert found.flux_radius[0] == pytest.approx(np.sqrt(2 * np.log(5)) * 3.0, rel=1e-2)

    def test_half_light_radius_of_a_wide_source(self):
        # Bins of the curve of growth wider than a pixel's diagonal.
        _, found = measured(gaussian(25.0, 25.0, x=200.2, y=190.6, shape=(400, 410)))
        assert found.half_light[0] == pytest.approx(np.sqrt(2 * np.log(2)) * 25.0, rel=5e-3)

    def test_kron_flux_and_radius(self):
        data = gaussian()
        found, sums = measured(data, gain=2.0)
        assert sums.flux_auto[0] == pytest.approx(data.sum(), rel=0.01)
        # The first moment of a Gaussian is sqrt(pi / 2) in units of sigma; A and B of the smoothed isophote come close to it.
        assert sums.kron_radius[0] == pytest.approx(max(2.5 * np.sqrt(np.pi / 2), 3.5), rel=0.1)
        one = found.objects[0]
        yy, xx = np.mgrid[:80, :90]
        inside = one["cxx"] * (xx - one["x"]) ** 2 + one["cyy"] * (yy - one["y"]) ** 2 + one["cxy"] * (xx - one["x"]) * (yy - one["y"])
        inside = inside <= sums.kron_radius[0] ** 2
        np.testing.assert_allclose(sums.flux_auto[0], data.astype(np.float32)[inside].sum(dtype=float), rtol=1e-6)
        np.testing.assert_allclose(sums.flux_auto_err[0] ** 2, inside.sum() + sums.flux_auto[0] / 2)

    def test_kron_radius_has_a_least_value(self):
        assert measured(gaussian(), phot_autoparams=(2.5, 8.0))[1].kron_radius[0] == 8.0

    def test_windowed_position(self):
        _, found = measured(gaussian(3.0, 3.0))
        assert found.xwin[0] == pytest.approx(40.3, abs=1e-3)
        assert found.ywin[0] == pytest.approx(35.7, abs=1e-3)

    def test_windowed_position_that_wanders_stays_at_the_barycentre(self):
        data = gaussian(1.5, 1.5, x=30, y=30, peak=50) + gaussian(6, 6, x=48, y=48, peak=5000)
        found, sums = measured(data, detect_thresh=20.0, deblend_mincont=1e-5, mask_type="NONE")
        faint = np.argmin(np.hypot(found.objects["x"] - 30, found.objects["y"] - 30))
        assert np.hypot(sums.xwin[faint] - 30, sums.ywin[faint] - 30) < 2

    @pytest.mark.parametrize("diameter", [5.0, 6.3, 20.0])
    def test_circles(self, diameter):
        data = gaussian(3.0, 3.0)
        _, found = measured(data, noise=2.0, phot_apertures=(diameter,), gain=4.0)
        sums = found.apertures[0]
        inside = 1 - np.exp(-((diameter / 2) ** 2) / 18)
        assert sums.flux[0] == pytest.approx(inside * data.sum(), rel=0.03)
        # 25 points a pixel.
        assert sums.area[0] == pytest.approx(np.pi * diameter**2 / 4, rel=0.05)
        assert sums.sky_sigma[0] ** 2 == pytest.approx(4 * sums.area[0])
        assert sums.flux_err[0] ** 2 == pytest.approx(sums.sky_sigma[0] ** 2 + sums.flux[0] / 4)


@pytest.mark.truth
class TestMasking:
    """A star with a neighbour, of which the noise-free flux is known."""

    apart = {"a": 2.0, "b": 2.0, "x": 40.3, "y": 35.7}

    def pair(self, mask_type, distance=14.0, peak=3000.0):
        data = gaussian(**self.apart) + gaussian(2.0, 2.0, x=40.3 + distance, y=35.7, peak=peak)
        found, sums = measured(data, mask_type=mask_type, phot_apertures=(24.0,), detect_thresh=3.0)
        here = np.argmin(np.abs(found.objects["x"] - 40.3))
        return sums.apertures[0].flux[here], sums.flux_auto[here], sums.apertures[0].flags[here], sums.xwin[here]

    def test_correct_is_nearer_to_the_truth_than_none(self):
        truth = gaussian(**self.apart).sum()
        none, blank, correct = (self.pair(kind) for kind in ("NONE", "BLANK", "CORRECT"))
        assert none[0] > 1.3 * truth
        assert correct[0] == pytest.approx(truth, rel=0.03)
        assert correct[1] == pytest.approx(truth, rel=0.03)
        assert abs(correct[3] - 40.3) < 0.02

    def test_every_kind_flags_the_neighbour(self):
        assert all(self.pair(kind)[2] & 32 for kind in ("NONE", "BLANK", "CORRECT"))

    def test_a_pixel_takes_the_value_of_its_mirror_image(self):
        rng = np.random.default_rng(5)
        data = (gaussian(2.0, 2.0, x=40, y=35) + gaussian(2.0, 2.0, x=52, y=39, peak=400) + rng.normal(size=(80, 90))).astype(np.float32)
        found, sums = measured(data, detect_thresh=5.0, phot_apertures=(26.0,))
        near, other = np.argsort(found.objects["x"])
        x, y = (found.objects[name][near] for name in "xy")
        taken = np.zeros(data.shape, bool)
        mine = found.member_source == other
        taken[found.member_y[mine], found.member_x[mine]] = True
        taken[found.loose_y, found.loose_x] = True
        mirrored = data.astype(float)
        for row, column in np.argwhere(taken):
            row2, column2 = int(2 * y + 0.49999 - row), int(2 * x + 0.49999 - column)
            mirrored[row, column] = 0.0 if taken[row2, column2] else data[row2, column2]
        yy, xx = (grid[..., None] for grid in np.mgrid[:80, :90])
        points = np.stack(np.meshgrid(np.arange(-2, 3) / 5, np.arange(-2, 3) / 5), -1).reshape(-1, 2)
        share = (((xx + points[:, 0] - x) ** 2 + (yy + points[:, 1] - y) ** 2) < 13.0**2).mean(-1)
        assert sums.apertures[0].flux[near] == pytest.approx((share * mirrored).sum(), rel=1e-9)

    def test_pixels_detected_in_too_small_a_group_are_masked_too(self):
        data = gaussian(2.0, 2.0)
        data[35, 52:54] += 400.0
        flux = [measured(data, detect_minarea=8, filter=False, mask_type=kind, phot_apertures=(30.0,))[1] for kind in ("NONE", "CORRECT")]
        none, correct = (one.apertures[0].flux[0] for one in flux)
        assert none - correct == pytest.approx(800.0, abs=2.0)
        # They are no neighbour's.
        assert not flux[1].apertures[0].flags[0] & 32

    def test_order_of_the_sources_does_not_matter(self):
        rng = np.random.default_rng(1)
        data = rng.normal(size=(120, 130))
        for _ in range(25):
            data += gaussian(2.0, 2.0, x=rng.uniform(5, 125), y=rng.uniform(5, 115), shape=data.shape, peak=rng.uniform(20, 500))
        turned, upright = (measured(part, phot_apertures=(16.0,)) for part in (data[::-1, ::-1], data))
        places = [np.lexsort((found.objects["y"], found.objects["x"])) for found, _ in (turned, upright)]
        # A group of pixels ends at its last row, which is another one from below: cleaning keeps all but a few.
        assert abs(len(places[0]) - len(places[1])) <= 2
        assert np.median(turned[1].flux_auto) == pytest.approx(np.median(upright[1].flux_auto), rel=0.02)


@pytest.mark.pure
class TestBadPixels:
    def test_bad_pixels_are_mirrored_or_left_out_and_do_not_count_as_area(self):
        data = gaussian(2.0, 2.0, x=40, y=35, shape=(80, 90))
        holed = data.copy()
        holed[35, 47] = np.nan  # beyond the isophote, which is the same then
        whole, correct, blank = (
            measured(image, mask_type=kind, phot_apertures=(18.0,), detect_thresh=20.0)[1].apertures[0]
            for image, kind in ((data, "CORRECT"), (holed, "CORRECT"), (holed, "BLANK"))
        )
        assert correct.flux[0] == pytest.approx(whole.flux[0], rel=1e-6)
        assert blank.flux[0] == pytest.approx(whole.flux[0] - data[35, 47], rel=1e-9)
        assert correct.area[0] == blank.area[0] == pytest.approx(whole.area[0] - 1)
        assert correct.flags[0] & 8
        assert not whole.flags[0] & 8

    def test_noise_of_a_map_is_summed_where_the_value_comes_from(self):
        data = gaussian(2.0, 2.0, x=40, y=35)
        noise = np.ones(data.shape)
        noise[:, :40] = 2.0
        holed = data.copy()
        holed[35, 48] = np.nan  # takes the value of column 32, where the noise is twice as large
        settings = {"noise": noise, "phot_apertures": (20.0,), "detect_thresh": 20.0}
        plain, mirrored = (measured(image, **settings)[1].apertures[0].sky_sigma[0] ** 2 for image in (data, holed))
        assert mirrored - plain == pytest.approx(3.0)

    def test_mask_and_saturation_only_raise_flags(self):
        data = gaussian(2.0, 2.0, x=40, y=35)
        mask = np.zeros(data.shape, np.int16)
        mask[35, 45] = 2
        plain, flagged = (
            measured(data, phot_apertures=(9.0, 12.0), **more)[1].apertures for more in ({}, {"mask": mask, "satur_level": 990.0})
        )
        assert [one.flags[0] & ~128 for one in plain] == [0, 0]
        assert [one.flags[0] & ~128 for one in flagged] == [16, 16 + 4]
        np.testing.assert_array_equal(plain[1].flux, flagged[1].flux)

    def test_a_hot_pixel_that_is_no_source_saturates_the_aperture(self):
        data = gaussian(2.0, 2.0, x=40, y=35)
        data[35, 52] = 5000.0
        for mask_type in ("CORRECT", "NONE"):
            small, large = measured(data, phot_apertures=(12.0, 30.0), satur_level=4000.0, filter=False, mask_type=mask_type)[1].apertures
            assert (small.flags[0] & 16, large.flags[0] & 16) == (0, 16)

    def test_aperture_partly_and_source_wholly_at_the_edge(self):
        data = gaussian(2.0, 2.0, x=3, y=35)
        sums = measured(data, phot_apertures=(6.0, 12.0))[1].apertures
        assert not sums[0].flags[0] & 1
        assert sums[1].flags[0] & 1
        assert sums[1].area[0] < 0.9 * np.pi * 36

    def test_no_source(self):
        found, sums = measured(np.zeros((20, 20)), phot_apertures=(5.0, 8.0))
        assert len(found.objects) == 0
        assert sums.kron_radius.shape == sums.apertures[1].flux.shape == (0,)


@pytest.mark.pure
class TestEdges:
    def test_a_window_that_wanders_off_the_image(self):
        # A faint knot at the edge, and on the other side of it a bright slope that ends there.
        data = np.zeros((40, 60))
        data[18:22, 2:5] = 50.0
        data[10:30, 0] = 4000.0
        found, sums = measured(data, detect_thresh=30.0, filter=False, deblend_mincont=1e-6, mask_type="NONE", clean=False)
        assert len(found.objects) >= 1
        assert np.isfinite(sums.xwin).all()
        assert np.isfinite(sums.ywin).all()

    @pytest.mark.parametrize("mask_type", ["NONE", "BLANK", "CORRECT"])
    def test_noise_everywhere_and_sources_on_every_edge(self, rng, mask_type):
        data = rng.normal(size=(50, 70)) * 5
        for x, y in ((0, 0), (69, 0), (0, 49), (69, 49), (35, 0), (0, 25), (69, 25), (35, 49), (35, 25)):
            data += gaussian(rng.uniform(1, 6), 1.0, theta=rng.uniform(0, 180), x=x, y=y, shape=data.shape, peak=300.0)
        found, sums = measured(data, detect_thresh=0.8, phot_apertures=(5.0, 60.0), mask_type=mask_type, detect_minarea=1)
        assert len(found.objects) > 20
        for name in ("kron_radius", "flux_auto", "flux_auto_err", "half_light", "xwin", "ywin"):
            assert np.isfinite(getattr(sums, name)).all(), name
        assert (sums.apertures[1].area <= 50 * 70 + 1e-9).all()


    def test_any_scene_is_measured(self, rng):
        # Holes, negative sources, apertures larger than the image, thresholds in the noise.
        for mask_type in ("NONE", "BLANK", "CORRECT") * 20:
            shape = tuple(rng.integers(2, 50, 2))
            data = rng.normal(size=shape)
            for peak in (5, 50, 5000, -500):
                a, b, x, y = rng.uniform(0.5, 20), rng.uniform(0.5, 5), rng.uniform(-5, shape[1] + 5), rng.uniform(-5, shape[0] + 5)
                data += gaussian(a, b, theta=rng.uniform(0, 180), x=x, y=y, shape=shape, peak=peak)
            data[rng.random(shape) < 0.05] = np.nan
            apertures = tuple(rng.uniform(0.1, 100, 3))
            _, sums = measured(data, detect_thresh=0.5, detect_minarea=1, phot_apertures=apertures, mask_type=mask_type, gain=1.0)
            for name in ("kron_radius", "flux_auto", "flux_auto_err", "half_light", "flux_radius", "xwin", "ywin"):
                assert np.isfinite(getattr(sums, name)).all(), name
            assert (sums.half_light >= 0).all()
            assert all(one.area.max(initial=0) <= data.size for one in sums.apertures)


@pytest.mark.pure
def test_isophote(rng):
    data = np.zeros((30, 30), np.float32)
    data[10:16, 10:18] = rng.uniform(4, 9, (6, 8))
    noise = rng.uniform(1, 1.5, data.shape)
    found, sums = measured(data, noise=noise, detect_thresh=2.0, analysis_thresh=5.0, filter=False, deblend_mincont=1.0)
    assert sums.isoarea[0] == (data > 5.0 * noise).sum()
    mine = data > 2.0 * noise
    assert sums.least_noise[0] == pytest.approx(noise[mine].min(), rel=1e-6)
    assert sums.flux_iso_err[0] ** 2 == pytest.approx(np.square(noise[mine]).sum(), rel=1e-5)


@pytest.mark.pure
def test_nothing_depends_on_the_number_of_threads_or_runs(rng):
    data = rng.normal(size=(200, 200)) + gaussian(3.0, 2.0, shape=(200, 200))
    first, second = (measured(data, phot_apertures=(5.0,))[1] for _ in range(2))
    for name in ("flux_auto", "half_light", "xwin", "ywin", "fwhm"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
