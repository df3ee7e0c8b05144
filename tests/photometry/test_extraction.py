"""Detection: thresholds of maps, buffers, and sep's global state."""

from __future__ import annotations

import numpy as np
import pytest
import sep
from scipy import ndimage

from ezarchive.errors import MeasurementError
from ezarchive.photometry.extraction import KERNEL, detect, detection_noise
from ezarchive.photometry.options import SexOptions
from ezarchive.photometry.pixels import prepare

pytestmark = pytest.mark.pure


def test_noise_is_smoothed_like_the_image(rng):
    noise = rng.uniform(1, 3, (700, 30))  # more than one block of rows
    smooth = detection_noise(prepare(np.ones(noise.shape), noise), smooth=True)
    np.testing.assert_allclose(smooth**2, ndimage.convolve(noise**2, KERNEL / 16, mode="nearest"), rtol=1e-12)


def test_smooth_and_unsmoothed_maps_stay_as_they_are(rng):
    gentle = 10 + np.linspace(0, 1, 300)[:, None] * np.linspace(0, 1, 300)
    pixels = prepare(np.ones(gentle.shape), gentle)
    assert detection_noise(pixels, smooth=True) is pixels.noise
    rough = prepare(np.ones(gentle.shape), rng.uniform(1, 2, gentle.shape))
    assert detection_noise(rough, smooth=False) is rough.noise


@pytest.mark.parametrize("smooth", [True, False])
def test_bad_pixels_have_an_infinite_threshold(rng, smooth):
    noise = rng.uniform(1, 2, (20, 20))
    noise[4, 5] = np.nan
    result = detection_noise(prepare(np.ones((20, 20)), noise), smooth=smooth)
    assert np.isinf(result[4, 5])
    assert np.isfinite(np.delete(result.ravel(), 4 * 20 + 5)).all()


def test_sep_is_left_as_it_was(sky):
    sep.set_extract_pixstack(123_456)
    before = sep.get_extract_pixstack(), sep.get_sub_object_limit()
    try:
        detect(prepare(sky.data, sky.noise), SexOptions())
        assert (sep.get_extract_pixstack(), sep.get_sub_object_limit()) == before
    finally:
        sep.set_extract_pixstack(300_000)


def test_segmap_belongs_to_the_objects(sky):
    found = detect(prepare(sky.data, sky.noise), SexOptions(detect_thresh=3.0))
    counts = np.bincount(found.segmap.ravel())[1:]
    np.testing.assert_array_equal(counts, found.objects["npix"])
    assert found.noise == sky.noise


def test_a_blend_of_thousands_is_taken_apart():
    # 60 x 60 stars on a plateau: more than sep's first limit of 1024 in one blend.
    yy, xx = np.mgrid[:480, :480]
    data = 50.0 + 1000 * np.exp(-(((xx % 8) - 4.0) ** 2 + ((yy % 8) - 4.0) ** 2) / 4)
    found = detect(prepare(data, 1.0), SexOptions(detect_thresh=5.0, deblend_mincont=1e-6, deblend_nthresh=8))
    assert len(found.objects) > 1024


def test_errors_of_other_kinds_pass(monkeypatch, sky):
    def broken(*_args, **_kwargs):
        raise Exception("something else")

    monkeypatch.setattr(sep, "extract", broken)
    with pytest.raises(Exception, match="something else") as caught:
        detect(prepare(sky.data, sky.noise), SexOptions())
    assert not isinstance(caught.value, MeasurementError)


def test_deblending_that_never_ends_is_named(monkeypatch, sky):
    def overflowing(*_args, **_kwargs):
        raise Exception("object deblending overflow: limit of sub-objects reached")

    monkeypatch.setattr(sep, "extract", overflowing)
    with pytest.raises(MeasurementError, match="raise deblend_mincont") as caught:
        detect(prepare(sky.data, sky.noise), SexOptions())
    assert caught.value.code == "deblending"
