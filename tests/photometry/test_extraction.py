"""Detection: the same objects, pixels and order as ``sep.extract``; thresholds of maps; what cleaning leaves behind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sep
from scipy import ndimage

from ezarchive.errors import MeasurementError
from ezarchive.photometry.extraction import KERNEL, OBJECT, detect, detection_noise
from ezarchive.photometry.options import SexOptions
from ezarchive.photometry.pixels import prepare

pytestmark = pytest.mark.pure


def crowded(rng, shape=(300, 340), dtype=np.float32) -> np.ndarray:
    """Bumps of every size that touch each other and the edges."""
    data = 10 * ndimage.gaussian_filter(rng.normal(size=shape), 1.7) + rng.normal(0, 0.3, shape)
    y, x = np.mgrid[: shape[0], : shape[1]]
    for height, width in ((200, 6.0), (40, 12.0), (5000, 3.0)):
        data += height * np.exp(-((x - rng.uniform(0, shape[1])) ** 2 + (y - rng.uniform(0, shape[0])) ** 2) / (2 * width**2))
    return data.astype(dtype)


def of_sep(data, threshold, options, noise=None):
    before = sep.get_extract_pixstack(), sep.get_sub_object_limit()
    sep.set_extract_pixstack(data.size + 8)
    sep.set_sub_object_limit(8192)
    try:
        return sep.extract(
            data, threshold, err=noise, minarea=options.detect_minarea, filter_type="conv",
            filter_kernel=KERNEL if options.filter else None, deblend_nthresh=options.deblend_nthresh,
            deblend_cont=options.deblend_mincont, clean=options.clean,
            clean_param=options.clean_param, segmentation_map=True,
        )  # fmt: skip
    finally:
        sep.set_extract_pixstack(before[0])
        sep.set_sub_object_limit(before[1])


@pytest.mark.oracle
class TestAgainstSep:
    @pytest.mark.parametrize(
        "changes",
        [{}, {"filter": False}, {"clean": False}, {"clean_param": 0.5}, {"detect_minarea": 1}, {"detect_minarea": 3},
         {"detect_minarea": 30}, {"deblend_nthresh": 1},
         {"deblend_nthresh": 8, "deblend_mincont": 1e-4}, {"deblend_nthresh": 64, "deblend_mincont": 0.0},
         {"deblend_mincont": 1.0}, {"detect_thresh": 0.2}, {"detect_thresh": 3.0}, {"detect_thresh": 1e6}],
    )  # fmt: skip
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_every_field_of_every_object_bit_by_bit(self, rng, changes, dtype):
        data = crowded(rng, dtype=dtype)
        options = SexOptions(**{"detect_thresh": 0.4, **changes})
        objects, segmap = of_sep(data, options.detect_thresh * 1.25, options)
        found = detect(prepare(data, 1.25), options)
        assert found.objects.dtype == objects.dtype == OBJECT
        np.testing.assert_array_equal(found.objects, objects)
        np.testing.assert_array_equal(found.segmap, segmap)
        assert len(objects) > 5 or options.detect_thresh > 2

    @pytest.mark.parametrize("smooth", [True, False])
    def test_noise_maps(self, rng, smooth):
        data, options = crowded(rng, (700, 200)), SexOptions(detect_thresh=0.5, filter=smooth)
        noise = rng.uniform(0.7, 1.4, data.shape).astype(np.float32)
        noise[40:45, 50:60] = np.nan
        pixels = prepare(data, noise)
        objects, segmap = of_sep(pixels.data, 0.5, options, detection_noise(pixels, smooth=smooth))
        found = detect(pixels, options)
        np.testing.assert_array_equal(found.objects, objects)
        np.testing.assert_array_equal(found.segmap, segmap)

    @pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 2), (3, 50), (5, 64)])
    def test_tiny_images(self, rng, shape):
        data, options = rng.normal(0.5, 1, shape).astype(np.float32), SexOptions(detect_thresh=0.5, detect_minarea=1)
        objects, segmap = of_sep(data, 0.5, options)
        found = detect(prepare(data, 1.0), options)
        np.testing.assert_array_equal(found.objects, objects)
        np.testing.assert_array_equal(found.segmap, segmap)

    @pytest.mark.parametrize("name", ["ring", "comb", "spiral"])
    def test_shapes_that_enclose_others(self, name):
        y, x = np.mgrid[:61, :64]
        r, angle = np.hypot(x - 31, y - 30), np.arctan2(y - 30, x - 31)
        data = {
            "ring": ((r > 10) & (r < 14)) * 5.0 + (r < 4) * 7.0 + ((r > 20) & (r < 23)) * 3.0,
            "comb": ((x % 6 < 2) & (y > 5)) * 4.0 + ((x % 6 == 4) & (y % 7 < 5)) * 9.0 + (y == 50) * 2.0,
            "spiral": (np.mod(r - 2 * angle, 4 * np.pi) < 5) * (3.0 + np.sin(3 * angle)),
        }[name]  # fmt: skip
        for smooth in (False, True):
            options = SexOptions(detect_thresh=1.0, filter=smooth, deblend_mincont=1e-3)
            objects, segmap = of_sep(data, 1.0, options)
            found = detect(prepare(data, 1.0), options)
            np.testing.assert_array_equal(found.objects, objects)
            np.testing.assert_array_equal(found.segmap, segmap)


def test_noise_is_smoothed_like_the_image(rng):
    noise = rng.uniform(1, 3, (700, 30))
    pixels = prepare(np.ones(noise.shape), noise)
    smooth = detection_noise(pixels, smooth=True)
    np.testing.assert_allclose(smooth**2, ndimage.convolve(noise**2, KERNEL / 16, mode="nearest"), rtol=1e-6)
    np.testing.assert_array_equal(detection_noise(pixels, slice(300, 500), smooth=True), smooth[300:500])


def test_smooth_and_unsmoothed_maps_stay_as_they_are(rng):
    gentle = 10 + np.linspace(0, 1, 300)[:, None] * np.linspace(0, 1, 300)
    np.testing.assert_array_equal(detection_noise(prepare(np.ones(gentle.shape), gentle), smooth=True), gentle.astype(np.float32))
    rough = rng.uniform(1, 2, gentle.shape)
    np.testing.assert_array_equal(detection_noise(prepare(np.ones(gentle.shape), rough), smooth=False), rough.astype(np.float32))


@pytest.mark.parametrize("smooth", [True, False])
def test_bad_pixels_have_an_infinite_threshold(rng, smooth):
    noise = rng.uniform(1, 2, (20, 20))
    noise[4, 5] = np.nan
    result = detection_noise(prepare(np.ones((20, 20)), noise), smooth=smooth)
    assert np.isinf(result[4, 5])
    assert np.isfinite(np.delete(result.ravel(), 4 * 20 + 5)).all()


def test_members_are_the_pixels_of_the_segmap(sky):
    found = detect(prepare(sky.data, sky.noise), SexOptions(detect_thresh=3.0))
    assert (np.diff(found.member_source) >= 0).all()
    np.testing.assert_array_equal(np.bincount(found.member_source), found.objects["npix"])
    again = np.zeros(sky.data.shape, np.int32)
    again[found.member_y, found.member_x] = found.member_source + 1
    np.testing.assert_array_equal(again, found.segmap)
    assert found.noise == found.member_noise == sky.noise


def test_noise_of_members_is_that_of_the_threshold(rng):
    data, noise = crowded(rng), rng.uniform(0.7, 1.4, (300, 340))
    pixels = prepare(data, noise)
    found = detect(pixels, SexOptions(detect_thresh=1.0))
    np.testing.assert_array_equal(found.member_noise, detection_noise(pixels, smooth=True)[found.member_y, found.member_x])


def test_a_blend_of_thousands_is_taken_apart():
    # 60 x 60 stars on a plateau: more than sep's own limit of 1024 in one blend.
    yy, xx = np.mgrid[:480, :480]
    data = 50.0 + 1000 * np.exp(-(((xx % 8) - 4.0) ** 2 + ((yy % 8) - 4.0) ** 2) / 4)
    data[::16] = 0
    found = detect(prepare(data, 1.0), SexOptions(detect_thresh=5.0, deblend_mincont=1e-6, deblend_nthresh=8))
    assert len(found.objects) > 1024


class TestLeftOver:
    """Pixels of no source that stay masked."""

    def test_small_groups(self):
        data = np.zeros((40, 40))
        data[5:8, 5:8], data[20, 20:22], data[30:33, 10] = 10.0, 10.0, 10.0
        found = detect(prepare(data, 1.0), SexOptions(detect_thresh=3.0, detect_minarea=5, filter=False))
        assert len(found.objects) == 1
        assert {*zip(found.loose_y.tolist(), found.loose_x.tolist(), strict=True)} == {(20, 20), (20, 21), (30, 10), (31, 10), (32, 10)}

    @pytest.mark.parametrize(("first", "left"), [(122, 3), (35, 0)])
    def test_last_row_of_what_a_neighbour_explains(self, first, left):
        # A faint patch beside a star in rows 40 to 120: left where the star ends first, not where the star goes on.
        found = detect(prepare(star_and_patch(first), 8.0), SexOptions(detect_thresh=3.0, filter=False))
        assert len(found.objects) == 1
        assert found.loose_y.tolist() == [first + 2] * left
        assert found.loose_x.tolist() == [78, 79, 80][:left]

    def test_flags_of_what_was_swallowed(self):
        pixels, options = prepare(star_and_patch(122)[:125], 8.0), SexOptions(detect_thresh=3.0, filter=False)
        found = detect(pixels, options)
        assert found.objects["flag"].tolist() == [0]
        assert found.eaten_flag.tolist() == [sep.OBJ_TRUNC]
        assert detect(pixels, replace(options, clean=False)).eaten_flag.tolist() == [0, 0]


def star_and_patch(first) -> np.ndarray:
    y, x = np.mgrid[:160, :160]
    data = 4000.0 / (1 + ((x - 80) ** 2 + (y - 80) ** 2) / 100.0) ** 1.8
    data[data < 24] = 0.0
    data[first : first + 3, 78:81] = 24.5
    return data


def test_a_threshold_within_the_sky_is_named(rng):
    with pytest.raises(MeasurementError, match="over a quarter of the pixels exceed 0.5 sigma; is the background subtracted") as caught:
        detect(prepare(rng.normal(10, 1, (700, 700)), 1.0), SexOptions(detect_thresh=0.5))
    assert caught.value.code == "too_many_pixels"


def test_nothing_found():
    found = detect(prepare(np.zeros((30, 40)), 1.0), SexOptions())
    assert len(found.objects) == len(found.member_y) == len(found.loose_y) == 0
    assert not found.segmap.any()
