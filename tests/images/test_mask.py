"""Masks."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import sep
from scipy import ndimage

from ezarchive.errors import InputError, MeasurementError
from ezarchive.images import mask as masks
from ezarchive.images.background import MeshBackground, estimate
from ezarchive.images.compact import Mask
from ezarchive.images.mask import CosmicRayOptions, circular_mask, cosmic_ray_mask, invalid_mask, saturated_mask, source_mask


def stars(rng, n=12, shape=(200, 240), level=500.0):
    yy, xx = np.mgrid[: shape[0], : shape[1]]
    data = rng.normal(level, 5, shape)
    grid = np.array([(30 + 45 * (i % 5), 30 + 45 * (i // 5)) for i in range(n)], float)
    x, y = (grid + rng.uniform(-5, 5, grid.shape)).T
    for tx, ty in zip(x, y, strict=True):
        data += 2000 * np.exp(-((xx - tx) ** 2 + (yy - ty) ** 2) / 8)
    return data.astype(np.float32), x, y


@pytest.mark.pure
class TestInvalid:
    def test_nan_infinity_and_large_areas_of_zeros(self):
        data = np.ones((60, 70))
        data[0, 0], data[1, 1] = np.nan, -np.inf
        data[10:30, 10:30] = 0
        data[40:43, 40:43] = 0
        mask = invalid_mask(data, threshold_invalid_connection=100)
        assert mask[0, 0]
        assert mask[1, 1]
        assert mask[10:30, 10:30].all()
        assert mask.sum() == 402
        assert invalid_mask(data).sum() == 2

    def test_wants_an_image(self):
        with pytest.raises(InputError, match="data: must be a 2-D array"):
            invalid_mask(np.ones(3))


    def test_areas_against_brute_force(self, rng):
        data = np.where(ndimage.gaussian_filter(rng.normal(size=(80, 90)), 2) > 0.02, 0.0, 1.0)
        data[3, 3] = np.nan
        labels, n = ndimage.label(data == 0)
        sizes = ndimage.sum_labels(np.ones(data.shape), labels, range(1, n + 1))
        least = int(np.median(sizes))
        wanted = np.isin(labels, 1 + np.flatnonzero(sizes > least)) | np.isnan(data)
        np.testing.assert_array_equal(invalid_mask(data, least), wanted)
        assert wanted.sum() not in (1, 1 + sizes.sum())

    def test_wrong_arguments(self):
        with pytest.raises(InputError, match="threshold_invalid_connection: must not be negative, found -1"):
            invalid_mask(np.ones((3, 3)), -1)
        with pytest.raises(InputError, match="data: must hold real numbers, found dtype complex128"):
            invalid_mask(np.ones((3, 3), complex))


@pytest.mark.pure
class TestSaturated:
    def test_against_brute_force(self, rng):
        data = rng.uniform(0, 100, (60, 70)).astype(">f4")
        data[5, 6], data[7, 8] = np.nan, np.inf
        plain = saturated_mask(data, 99.0)
        np.testing.assert_array_equal(plain, np.nan_to_num(data, nan=0.0) >= 99)
        assert plain[7, 8]
        rows, cols = np.nonzero(plain)
        yy, xx = np.mgrid[:60, :70]
        near = np.min((yy[..., None] - rows) ** 2 + (xx[..., None] - cols) ** 2, axis=-1)
        for grow in (1.0, 2.5, 5.0):
            np.testing.assert_array_equal(saturated_mask(data, 99.0, grow), near <= grow**2)

    def test_integers(self):
        np.testing.assert_array_equal(saturated_mask(np.array([[1, 65535]], np.uint16), 60000), [[False, True]])

    def test_wrong_arguments(self):
        for arguments, message in (((np.nan,), "level: must be finite"), ((5.0, -1.0), "grow: must be finite and not negative")):
            with pytest.raises(InputError, match=message):
                saturated_mask(np.ones((3, 3)), *arguments)


@pytest.mark.truth
class TestCosmicRays:
    gain, read_noise = 1.5, 6.0

    def scene(self, rng, shape=(150, 170)):
        """Stars of 3 pixels FWHM, and hits of one pixel and of tracks."""
        yy, xx = np.mgrid[: shape[0], : shape[1]]
        light = np.full(shape, 200.0)
        for _ in range(12):
            x, y, peak = rng.uniform(0, shape[1]), rng.uniform(0, shape[0]), 10 ** rng.uniform(2, 4)
            light += peak * np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / (2 * 1.3**2))
        data = rng.poisson(light * self.gain) / self.gain + rng.normal(0, self.read_noise / self.gain, shape)
        hits = np.zeros(shape, bool)
        for _ in range(20):
            x, y, length = rng.integers(10, shape[1] - 20), rng.integers(10, shape[0] - 20), rng.integers(1, 8)
            hits[y + np.arange(length) // 3, x + np.arange(length)] = True
        data[hits] += rng.uniform(400, 2000, hits.sum())
        return data.astype(np.float32), hits

    def test_hits_are_found_and_stars_spared(self, rng):
        data, hits = self.scene(rng)
        kept = data.copy()
        found = cosmic_ray_mask(data, gain=self.gain, read_noise=self.read_noise, saturation=60000)
        assert found[hits].mean() > 0.9
        assert (found & ~ndimage.binary_dilation(hits, iterations=2)).sum() < 0.1 * hits.sum()
        np.testing.assert_array_equal(data, kept)

    def test_strips_make_no_difference(self, rng, monkeypatch):
        data, _ = self.scene(rng)
        options = {"gain": self.gain, "read_noise": self.read_noise, "options": CosmicRayOptions(sigclip=5, niter=1)}
        whole = cosmic_ray_mask(data, **options)
        monkeypatch.setattr(masks, "strips", lambda shape, _: [slice(y, min(y + 60, shape[0])) for y in range(0, shape[0], 60)])
        np.testing.assert_array_equal(cosmic_ray_mask(data, **options), whole)
        assert whole.any()

    def test_what_is_left_out(self, rng):
        data, hits = self.scene(rng)
        data[hits] = np.nan
        assert not cosmic_ray_mask(data, gain=self.gain, read_noise=self.read_noise)[hits].any()
        data, hits = self.scene(rng)
        mask = Mask.of(hits)
        assert not cosmic_ray_mask(data, gain=self.gain, read_noise=self.read_noise, mask=mask)[hits].any()

    def test_of_a_subtracted_image(self, rng):
        data, hits = self.scene(rng)
        level = MeshBackground.constant(200.0, 1.0, data.shape)
        given = {"gain": self.gain, "read_noise": self.read_noise}
        found = cosmic_ray_mask(level.subtract(data), background=level, **given)
        assert (found != cosmic_ray_mask(data, **given)).sum() <= 2
        # Noise of the sky that is not told of looks like hits.
        assert cosmic_ray_mask(level.subtract(data), **given).sum() > found.sum()

    @pytest.mark.parametrize(
        ("changes", "message"),
        [({"gain": 0.0}, "gain: must be positive"), ({"read_noise": -1.0}, "read_noise: must be not negative"),
         ({"read_noise": np.nan}, "read_noise: must be"), ({"mask": np.zeros((2, 2), bool)}, "mask: must be a bool array of shape"),
         ({"options": CosmicRayOptions(niter=0)}, "options: sigclip, sigfrac and objlim must be positive and niter at least 1")],
    )  # fmt: skip
    def test_wrong_arguments(self, changes, message):
        with pytest.raises(InputError, match=message):
            cosmic_ray_mask(np.ones((20, 20)), **{"gain": 1.0, "read_noise": 3.0, **changes})


@pytest.mark.pure
class TestCircular:
    def test_pixels_whose_centre_lies_inside(self, rng):
        yy, xx = np.mgrid[:80, :90]
        for _ in range(30):
            x, y, radius = rng.uniform(-20, 110), rng.uniform(-20, 100), rng.uniform(0.3, 50)
            np.testing.assert_array_equal(circular_mask((80, 90), x, y, radius), (xx - x) ** 2 + (yy - y) ** 2 <= radius**2)

    def test_circle_on_the_sky(self):
        # Pixels of 0.5 x 1 arcsec, turned by 30 degrees: the circle is an ellipse of 20 x 10 pixels.
        turn = np.radians(30)
        rotate = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        jacobian = rotate @ np.diag([-0.5, 1.0])
        mask = circular_mask((80, 90), 45, 40, 10.0, jacobian=jacobian)
        yy, xx = np.mgrid[:80, :90]
        np.testing.assert_array_equal(mask, ((xx - 45) / 20) ** 2 + ((yy - 40) / 10) ** 2 <= 1)

    def test_added_to_a_mask_that_stays_as_it_was(self):
        former = np.zeros((80, 90), bool)
        former[3, 4] = True
        mask = circular_mask((80, 90), 45, 40, 5.0, mask=former)
        assert mask[3, 4]
        assert mask[40, 45]
        assert former.sum() == 1
        assert not np.shares_memory(mask, former)

    def test_off_the_image(self):
        assert not circular_mask((80, 90), -100, 40, 50.0).any()

    @pytest.mark.parametrize(
        ("arguments", "options", "message"),
        [((5, 5, 0.0), {}, "radius: must be positive"), ((5, 5, np.nan), {}, "radius: must be positive"),
         ((np.nan, 5, 3), {}, "x, y: must be finite"),
         ((5, 5, 3), {"mask": np.zeros((2, 2), bool)}, r"mask: must have the shape of the image \(80, 90\)")],
    )  # fmt: skip
    def test_wrong_arguments(self, arguments, options, message):
        with pytest.raises(InputError, match=message):
            circular_mask((80, 90), *arguments, **options)


@pytest.mark.truth
class TestSources:
    def test_every_star_is_masked_and_little_else(self, rng):
        data, x, y = stars(rng)
        mask, n_sources, n_saturated = source_mask(data, sigma=5, radius_factor=2)
        assert (n_sources, n_saturated) == (12, 0)
        assert mask[np.rint(y).astype(int), np.rint(x).astype(int)].all()
        assert 0.05 < mask.mean() < 0.3

    def test_radius_factor_and_saturation(self, rng):
        data, _, _ = stars(rng, n=1)
        small, large = (source_mask(data, radius_factor=factor).mask.sum() for factor in (1.5, 3.0))
        assert large / small == pytest.approx(4, rel=0.05)
        saturated = source_mask(data, radius_factor=1.5, saturation=1000.0)
        assert saturated.n_saturated == 1
        assert saturated.mask.sum() == pytest.approx(large, rel=0.02)
        assert source_mask(data, saturation=1e5).n_saturated == 0

    def test_gradients_do_not_count_as_sources(self, rng):
        data, _, _ = stars(rng)
        sloped = data + np.linspace(0, 2000, data.shape[1], dtype=np.float32)
        assert source_mask(sloped, sigma=5).n_sources == 12

    def test_masked_and_bad_pixels(self, rng):
        data, x, y = stars(rng)
        former = circular_mask(data.shape, x[0], y[0], 15.0)
        data[100, 5] = np.nan
        kept = former.copy(), data.copy()
        found = source_mask(data, former)
        assert found.n_sources == 11
        assert found.mask[former].all()
        np.testing.assert_array_equal(former, kept[0])
        np.testing.assert_array_equal(data, kept[1])

    def test_given_background(self, rng):
        data, _, _ = stars(rng)
        assert source_mask(data, background=MeshBackground.constant(500.0, 5.0, data.shape)).n_sources == 12

    @pytest.mark.oracle
    @pytest.mark.parametrize("sigma", [1.5, 5.0])
    @pytest.mark.parametrize("dtype", [np.float32, np.float64, ">f4", np.int32])
    def test_against_sep_and_brute_force(self, rng, monkeypatch, sigma, dtype):
        """Areas, centroids and disks, with masked and bad pixels, whatever the strips."""
        data, x, y = stars(rng, shape=(240, 250))
        data[40:60, 0:3] += 400
        former = circular_mask(data.shape, x[0], y[0], 9.0)
        data = data.astype(dtype)
        if data.dtype.kind == "f":
            data[100:103, 120:123] = np.nan
            data[int(y[3]), int(x[3])] = np.inf
        mesh = estimate(data, former)
        monkeypatch.setattr(masks, "_STRIP_PIXELS", 250 * 47)
        found = source_mask(data, Mask.of(former), sigma=sigma, radius_factor=2.3, saturation=2200.0)
        flat = mesh.subtract(data.astype(data.dtype.newbyteorder("=")))
        flat[former | ~np.isfinite(flat)] = 0
        objects = sep.extract(flat, sigma * mesh.global_rms, minarea=5, filter_type="conv", deblend_cont=1.0, clean=False)
        assert found.n_sources == len(objects) > 10
        yy, xx = np.mgrid[: data.shape[0], : data.shape[1]]
        wanted, n_saturated = former.copy(), 0
        flat += mesh.level()
        for item in objects:
            peak = flat[item["ypeak"], item["xpeak"]]
            n_saturated += peak >= 2200
            radius = 2.3 * np.sqrt(item["npix"] / np.pi) * (2 if peak >= 2200 else 1)
            wanted |= (xx - item["x"]) ** 2 + (yy - item["y"]) ** 2 <= radius**2
        assert found.n_saturated == n_saturated
        assert 0 < n_saturated < len(objects)
        # sep's centroids are good to 1e-6 pixels: a pixel on the very rim may differ.
        assert (found.mask != wanted).sum() <= 1

    def test_big_images_in_little_memory(self, rng):
        """No second image: what is made beyond the mask is a strip."""
        import tracemalloc

        data = rng.normal(500, 5, (3000, 3000)).astype(np.float32)
        mesh = MeshBackground.constant(500.0, 5.0, data.shape)
        source_mask(data[:50, :50], background=MeshBackground.constant(500.0, 5.0, (50, 50)))
        tracemalloc.start()
        source_mask(data, background=mesh)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < data.size + 30e6

    def test_constant_image(self):
        found = source_mask(np.ones((50, 50)))
        assert found.n_sources == 0
        assert not found.mask.any()


@pytest.mark.pure
class TestSourceInput:
    def test_wrong_numbers(self):
        with pytest.raises(InputError, match="sigma, radius_factor: must be positive"):
            source_mask(np.ones((5, 5)), sigma=0)

    def test_nothing_to_see(self):
        for data, mask in ((np.full((60, 70), np.nan), None), (np.ones((60, 70)), np.ones((60, 70), bool))):
            with pytest.raises(MeasurementError, match="every pixel is masked or not finite") as caught:
                source_mask(data, mask)
            assert caught.value.code == "no_valid_pixels"
        found = source_mask(np.full((60, 70), np.nan), background=MeshBackground.constant(0.0, 1.0, (60, 70)))
        assert (found.n_sources, found.mask.any()) == (0, False)
        with pytest.raises(InputError, match="data: must be a 2-D array that is not empty"):
            source_mask(np.ones((0, 5)))

    def test_wrong_background(self):
        with pytest.raises(InputError, match=r"background: must have the shape of the image \(5, 5\), found \(4, 4\)"):
            source_mask(np.ones((5, 5)), background=MeshBackground.constant(0.0, 1.0, (4, 4)))

    def test_wrong_mask(self):
        with pytest.raises(InputError, match="mask: must have the shape of the image"):
            source_mask(np.ones((5, 5)), np.zeros((3, 3), bool))

    def test_threshold_in_the_sky(self, rng):
        flat = MeshBackground.constant(0.0, 1.0, (1200, 1200))
        with pytest.raises(MeasurementError, match="raise sigma") as caught:
            source_mask(rng.normal(100, 1, (1200, 1200)).astype(np.float32), background=flat)
        assert caught.value.code == "too_many_pixels"


@pytest.mark.pure
def test_images_too_small_for_the_search_are_no_danger(tmp_path):
    # astroscrappy writes beyond the arrays of some of these; in a process of its own that cannot harm the others.
    code = """
import numpy as np
from ezarchive.images.mask import cosmic_ray_mask
for shape in ((90, 1), (2, 90), (3, 90), (4, 4), (1, 90), (1, 1), (31, 31), (8, 500)):
    data = np.random.default_rng(1).normal(100, 5, shape).astype("f4")
    data[shape[0] // 2, shape[1] // 2] += 5000
    found = cosmic_ray_mask(data, gain=1.0, read_noise=3.0)
    assert found.shape == shape, shape
    print(int(found.sum()), end=" ")
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "0 0 0 0 0 0 1 1 "), done.stderr
