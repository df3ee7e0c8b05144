"""Engines of the background."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.stats import SigmaClip
from photutils.background import Background2D, MedianBackground

from ezarchive.errors import InputError, MeasurementError
from ezarchive.images.background import MeshBackground, estimate
from ezarchive.images.compact import Mask
from ezarchive.images.engines import ENGINES, ESTIMATORS, RMS_ESTIMATORS, BackgroundOptions, estimate_background, mean_level

SHAPE, NOISE = (300, 380), 8.0


@pytest.fixture
def sky(rng):
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    truth = 400 + 0.03 * x - 0.02 * y + 2e-4 * (x - 190) ** 2
    return (truth + rng.normal(0, NOISE, SHAPE)).astype(np.float32), truth


@pytest.mark.truth
@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("rms_estimator", RMS_ESTIMATORS)
def test_every_estimator_finds_the_sky(sky, estimator, rms_estimator):
    data, truth = sky
    found = estimate_background(data, None, BackgroundOptions(engine="photutils", estimator=estimator, rms_estimator=rms_estimator))
    assert isinstance(found, MeshBackground)
    assert abs(np.mean(found.level() - truth)) < 0.1 * NOISE
    assert np.std(found.level() - truth) < 0.2 * NOISE
    assert found.global_rms == pytest.approx(NOISE, rel=0.04)
    flat = (data - truth + 400).astype(np.float32)
    constant = estimate_background(flat, None, BackgroundOptions(engine="constant", estimator=estimator, rms_estimator=rms_estimator))
    assert constant.global_level == pytest.approx(400, abs=0.2)
    assert constant.global_rms == pytest.approx(NOISE, rel=0.04)
    assert np.ptp(constant.level()) == 0


@pytest.mark.oracle
def test_nodes_are_those_of_photutils(sky):
    data, _ = sky
    clip = SigmaClip(3.0, maxiters=10)
    truth = Background2D(data, 50, filter_size=3, exclude_percentile=50, sigma_clip=clip, bkg_estimator=MedianBackground())
    found = estimate_background(data, None, BackgroundOptions(engine="photutils", estimator="median", box_size=50))
    np.testing.assert_allclose(found.level_nodes, truth.background_mesh, rtol=1e-7)
    np.testing.assert_allclose(found.rms_nodes, truth.background_rms_mesh, rtol=1e-6)
    inner = (slice(50, -50), slice(50, -50))
    assert np.abs(found.level() - truth.background)[inner].max() < 0.1 * NOISE
    assert (found.shape, found.box_size) == (SHAPE, (50, 50))


@pytest.mark.pure
def test_sep_is_the_usual_one(sky):
    data, _ = sky
    found = estimate_background(data, None, BackgroundOptions(box_size=40, filter_size=5))
    wanted = estimate(data, None, 40, 5)
    np.testing.assert_array_equal(found.level(), wanted.level())
    np.testing.assert_array_equal(estimate_background(data).level(), estimate(data).level())


@pytest.mark.truth
@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_masked_or_no_number_does_not_count(sky, engine):
    data, truth = sky[0].copy(), sky[1]
    mask = np.zeros(SHAPE, bool)
    mask[100:180, 150:230] = True
    data[mask] = 1e5
    data[20:24, 30:60] = np.nan
    data[200, 5] = np.inf
    kept, kept_mask = data.copy(), mask.copy()
    options = BackgroundOptions(engine=engine)
    found = estimate_background(data, Mask.of(mask), options)
    assert abs(np.mean(found.level() - truth)) < 0.3 * NOISE
    np.testing.assert_array_equal(found.level(), estimate_background(data, mask, options).level())
    np.testing.assert_array_equal(data, kept)
    np.testing.assert_array_equal(mask, kept_mask)


@pytest.mark.pure
@pytest.mark.parametrize("engine", ENGINES)
class TestBadImages:
    def test_nothing_left(self, engine):
        for data, mask in ((np.full((40, 50), np.nan), None), (np.ones((40, 50)), np.ones((40, 50), bool))):
            with pytest.raises(MeasurementError, match="every pixel is masked or not finite") as caught:
                estimate_background(data, mask, BackgroundOptions(engine=engine, box_size=16))
            assert caught.value.code == "no_valid_pixels"

    def test_a_constant_image(self, engine):
        found = estimate_background(np.full((40, 50), 7.0, ">f4"), None, BackgroundOptions(engine=engine, box_size=16))
        np.testing.assert_array_equal(found.level(), 7.0)
        assert found.global_rms == 0

    def test_integers_and_big_endian(self, engine, rng):
        data = rng.integers(90, 110, (64, 64))
        options = BackgroundOptions(engine=engine, box_size=32)
        level = estimate_background(data.astype(float), None, options).global_level
        for dtype in (np.uint16, ">i2", ">f4"):
            assert estimate_background(data.astype(dtype), None, options).global_level == pytest.approx(level, rel=1e-6)

    def test_few_pixels_left(self, engine, rng):
        data, mask = rng.normal(50, 2, (64, 64)), np.ones((64, 64), bool)
        mask[::4, ::4] = False
        found = estimate_background(data, mask, BackgroundOptions(engine=engine, box_size=16))
        assert found.global_level == pytest.approx(50, abs=1.0)

    def test_a_box_larger_than_the_image(self, engine, rng):
        data = rng.normal(50, 2, (30, 40))
        found = estimate_background(data, None, BackgroundOptions(engine=engine, box_size=256))
        assert found.level().shape == (30, 40)
        assert found.global_level == pytest.approx(50, abs=0.5)

    def test_shapes(self, engine):
        with pytest.raises(InputError, match="data: must be a 2-D array"):
            estimate_background(np.ones(5), None, BackgroundOptions(engine=engine))
        with pytest.raises(InputError, match="mask: must"):
            estimate_background(np.ones((5, 5)), np.ones((2, 2), bool), BackgroundOptions(engine=engine))


@pytest.mark.pure
def test_of_a_large_image_rows_are_sampled():
    rows = np.linspace(0, 1, 4500)[:, None]
    data = np.broadcast_to(rows, (4500, 2000)) + np.tile([0.0, 0.2], 1000)
    found = estimate_background(data.astype(np.float32), None, BackgroundOptions(engine="constant", estimator="mean"))
    assert found.global_level == pytest.approx(0.6, abs=1e-3)


@pytest.mark.truth
def test_skewed_noise(rng):
    """Photons are skewed: the mode lies below the mean, and apertures would gain what it lacks."""
    data = (rng.poisson(50.0, (1500, 1500)) + rng.normal(0, 3, (1500, 1500))).astype(np.float32)
    data[700:720, 700:720] += 1000
    data[3, 4] = np.nan
    mask = np.zeros(data.shape, bool)
    mask[690:730, 690:730] = True
    plain, moved = (estimate_background(data, mask, BackgroundOptions(recentre=recentre)) for recentre in (False, True))
    noise = np.sqrt(59.0)
    assert (np.mean(plain.level()) - 50.0) / noise < -0.02
    # Of the mean's own error, 0.0007, and what clipping skewed noise takes.
    assert abs(np.mean(moved.level()) - 50.0) / noise < 0.006
    np.testing.assert_allclose(moved.level() - plain.level(), moved.global_level - plain.global_level, atol=1e-4)
    np.testing.assert_array_equal(moved.rms(), plain.rms())


@pytest.mark.pure
def test_mean_of_a_map(sky):
    mesh = estimate(sky[0])
    assert mean_level(mesh) == pytest.approx(float(mesh.level().mean(dtype=float)), rel=1e-7)


@pytest.mark.pure
@pytest.mark.parametrize(
    ("options", "message"),
    [({"engine": "sex"}, "engine='sex': must be one of sep, photutils, constant"),
     ({"engine": "photutils", "estimator": "best"}, "estimator='best': must be one of mean, median"),
     ({"rms_estimator": "x"}, "rms_estimator='x': must be one of std, mad, biweight"),
     ({"estimator": "median"}, "engine 'sep' knows but 'sextractor' and 'std'"),
     ({"clip_sigma": 0}, "clip_sigma=0: must be positive"), ({"clip_iterations": 0}, "clip_iterations=0: must be at least 1"),
     ({"exclude_percentile": 101}, "exclude_percentile=101: must be between 0 and 100")],
)  # fmt: skip
def test_wrong_options(options, message):
    with pytest.raises(InputError, match=message):
        BackgroundOptions(**options)


@pytest.mark.pure
def test_wrong_sizes():
    for options, message in (({"box_size": 0}, "box_size: must be a whole number"), ({"box_size": (1, 2, 3)}, "box_size: must be"),
                             ({"box_size": 2.5}, "box_size: must be"), ({"filter_size": 2}, "filter_size")):  # fmt: skip
        with pytest.raises(InputError, match=message):
            estimate_background(np.random.default_rng(1).normal(size=(20, 20)), None, BackgroundOptions(engine="photutils", **options))
