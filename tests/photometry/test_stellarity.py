"""Stellarity on simulated fields: beside source-extractor's, and in the cases that need care."""

from __future__ import annotations

import importlib.util
import shutil
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from ezarchive.photometry.pixels import Pixels, prepare
from ezarchive.photometry.stellarity import class_star

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "bench_stellarity.py"


@pytest.fixture(scope="module")
def bench():
    """The benchmark's simulated fields."""
    spec = importlib.util.spec_from_file_location("bench_stellarity", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up.
    import sys

    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@lru_cache(maxsize=8)
def field_of(module, scene, seed=0):
    return module.make_field(scene, seed)


def sources_of(field, *, fwhm, seeing, shift=0.0, sigma=10.0, **more) -> tuple[np.ndarray, Pixels, dict[str, np.ndarray]]:
    """Stellarity at the true places (the peaks of the image stand for measured ones), without detection."""
    pixels = prepare(field.image - 1000, sigma)
    n = len(field.x)
    peak = pixels.data[np.rint(field.y).astype(int), np.rint(field.x).astype(int)]
    values = {
        "X_IMAGE": field.x + shift, "Y_IMAGE": field.y - shift, "SKYSIG": np.full(n, sigma), "BACKGROUND": np.full(n, 1000.0),
        "FLUX_MAX": peak, "FWHM_IMAGE": np.full(n, fwhm),
    }  # fmt: skip
    return class_star(values, pixels, seeing=seeing, **more), pixels, values


def alone(field, distance) -> np.ndarray:
    """Which sources have no neighbour that matters."""
    places = np.c_[field.x, field.y]
    near = cKDTree(places).query(places, k=2)[0][:, 1] > distance
    inside = ((places > distance) & (places < field.image.shape[0] - distance)).all(axis=1)
    return near & inside


POOLED = ("fwhm 5", "fwhm 3.5", "7DT 3.2 arcsec", "drift 20 %", "dense", "crowded", "many galaxies", "few stars")


@pytest.fixture(scope="module")
def judged(bench):
    """Fields of many kinds, measured by both programs."""
    scenes = [scene for scene in bench.SCENES if scene.name in POOLED]
    assert len(scenes) == len(POOLED)
    return bench.together([bench.judge(scene, seed) for scene in scenes for seed in range(1 if scene.n > 100 else 4)])


@pytest.mark.oracle
@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.skipif(shutil.which("source-extractor") is None, reason="source-extractor is not installed")
class TestSourceExtractor:
    """Area under the ROC curve, pooled over fields of many kinds; source-extractor is told the right seeing."""

    @pytest.mark.parametrize(("low", "high", "least"), [(10, 20, 0.92), (20, 40, 0.96), (40, 100, 0.98)])
    def test_no_worse(self, bench, judged, low, high, least):
        inside = (judged.snr >= low) & (judged.snr < high)
        assert inside.sum() > 500
        is_star = judged.is_star[inside]
        theirs = bench.roc_area(judged.theirs[inside], is_star)
        # With the seeing told, and without.
        for stellarity in judged.ours:
            area = bench.roc_area(stellarity[inside], is_star)
            assert area >= theirs
            assert area > least

    def test_it_is_a_probability(self, judged):
        stellarity = judged.ours[0]
        assert np.mean(judged.is_star[stellarity > 0.9]) > 0.93
        assert np.mean(judged.is_star[stellarity < 0.1]) < 0.07


@pytest.mark.truth
class TestBright:
    @pytest.fixture(params=[{}, {"fwhm": 3.0}, {"beta": None}, {"drift": 0.25}, {"ellipticity": 0.2}], ids=str)
    def case(self, request, bench):
        scene = bench.Scene("bright", n=120, size=500, snr=(80.0, 400.0), radii=(0.3, 1.2), **request.param)
        return scene, field_of(bench, scene)

    def test_stars_and_galaxies(self, case):
        scene, field = case
        stellarity, _, _ = sources_of(field, fwhm=scene.fwhm, seeing=scene.fwhm, gain=1.0)
        good = alone(field, 3 * scene.fwhm)
        assert stellarity.dtype == np.float32
        assert ((stellarity >= 0) & (stellarity <= 1)).all()
        assert np.median(stellarity[good & field.is_star]) > 0.95
        assert np.mean(stellarity[good & field.is_star] > 0.9) > 0.8
        assert np.mean(stellarity[good & ~field.is_star] < 0.1) > 0.95

    @pytest.mark.parametrize("seeing", [None, 0.85, 1.2])
    def test_seeing_is_found_or_corrected(self, case, seeing):
        scene, field = case
        told = None if seeing is None else scene.fwhm * seeing
        told, right = (sources_of(field, fwhm=scene.fwhm * 1.1, seeing=value)[0] for value in (told, scene.fwhm))
        assert np.mean((told > 0.5) == (right > 0.5)) > 0.96


@pytest.mark.truth
class TestCases:
    @pytest.fixture
    def field(self, bench):
        return field_of(bench, bench.Scene("cases", n=60, size=400, snr=(80.0, 400.0), radii=(0.3, 1.2)))

    def test_saturated_stars_are_stars(self, field):
        clipped = type(field)(np.minimum(field.image, 1300), field.x, field.y, field.is_star, field.flux)
        stellarity, _, values = sources_of(clipped, fwhm=5.0, seeing=5.0, saturation=1300.0)
        full = (values["FLUX_MAX"] >= 299.9) & field.is_star & alone(field, 15)
        assert full.sum() > 5
        assert np.median(stellarity[full]) > 0.9
        blind, _, _ = sources_of(clipped, fwhm=5.0, seeing=5.0)
        assert np.median(blind[full]) < 0.1

    def test_spikes_are_not_stars(self, field):
        image = field.image.copy()
        x, y = np.array([33.0, 111.0, 222.0]), np.array([44.0, 311.0, 77.0])
        image[y.astype(int), x.astype(int)] += 600
        more = type(field)(image, np.r_[field.x, x], np.r_[field.y, y], np.r_[field.is_star, [False] * 3], np.r_[field.flux, [600] * 3])
        assert (sources_of(more, fwhm=5.0, seeing=5.0)[0][-3:] < 0.2).all()

    def test_measured_centres_may_be_off(self, field):
        exact, off = (sources_of(field, fwhm=5.0, seeing=5.0, shift=shift)[0] for shift in (0.0, 0.7))
        assert np.mean(np.abs(exact - off) < 0.1) > 0.95

    def test_bad_pixels_are_mirrored(self, field):
        image = field.image.copy()
        stars = np.flatnonzero(field.is_star & alone(field, 15))[:6]
        for i in stars:
            image[round(field.y[i]) + 2, round(field.x[i]) - 3 : round(field.x[i]) + 2] = np.nan
        holed = type(field)(image, field.x, field.y, field.is_star, field.flux)
        stellarity, pixels, _ = sources_of(holed, fwhm=5.0, seeing=5.0)
        assert pixels.bad is not None
        assert np.median(stellarity[stars]) > 0.9

    def test_noise_at_each_source_counts(self, field):
        _, pixels, values = sources_of(field, fwhm=5.0, seeing=5.0)
        noisy = values | {"SKYSIG": values["SKYSIG"] * 1000}
        # Nothing can be said of what lies in the noise.
        assert np.abs(class_star(noisy, pixels, seeing=5.0) - 0.5).max() < 0.2

    def test_double_precision_and_byte_order(self, field):
        expected, pixels, values = sources_of(field, fwhm=5.0, seeing=5.0)
        wide = Pixels(pixels.data.astype(np.float64), 10.0)
        np.testing.assert_allclose(class_star(values, wide, seeing=5.0), expected, atol=1e-3)

    def test_same_answer_every_time_and_nothing_changes(self, field):
        expected, pixels, values = sources_of(field, fwhm=5.0, seeing=5.0)
        before = pixels.data.copy(), {name: value.copy() for name, value in values.items()}
        np.testing.assert_array_equal(class_star(values, pixels, seeing=5.0), expected)
        np.testing.assert_array_equal(pixels.data, before[0])
        for name, value in before[1].items():
            np.testing.assert_array_equal(values[name], value)

    def test_one_star_and_its_seeing(self, field):
        i = np.flatnonzero(field.is_star & alone(field, 15))[0]
        one = type(field)(field.image, field.x[[i]], field.y[[i]], field.is_star[[i]], field.flux[[i]])
        assert sources_of(one, fwhm=5.0, seeing=5.0)[0][0] > 0.8
        assert sources_of(one, fwhm=5.0, seeing=2.5)[0][0] < 0.2


@pytest.mark.pure
class TestNothingKnown:
    def values(self, n, **changed):
        base = {name: np.full(n, 20.0) for name in ("X_IMAGE", "Y_IMAGE", "FWHM_IMAGE", "FLUX_MAX", "BACKGROUND")}
        return base | {"SKYSIG": np.ones(n)} | changed

    @pytest.fixture
    def pixels(self):
        return Pixels(np.zeros((40, 40), np.float32), 1.0)

    def test_no_source(self, pixels):
        assert class_star(self.values(0), pixels, seeing=4.0).shape == (0,)
        assert class_star(self.values(0), pixels).dtype == np.float32

    def test_neither_seeing_nor_stars(self, pixels):
        assert np.isnan(class_star(self.values(2), pixels)).all()
        assert np.isnan(class_star(self.values(5, FLUX_MAX=np.full(5, 1e-3)), pixels)).all()
        assert np.isnan(class_star(self.values(5, FWHM_IMAGE=np.full(5, np.nan)), pixels, seeing=0.0)).all()

    def test_no_noise(self, pixels):
        assert np.isnan(class_star(self.values(3, SKYSIG=np.zeros(3)), pixels, seeing=4.0)).all()

    def test_no_light(self, pixels):
        found = class_star(self.values(3, SKYSIG=np.array([1.0, np.nan, 0.0])), pixels, seeing=4.0)
        assert np.isfinite(found).all()

    def test_identical_places(self, pixels):
        pixels.data[18:23, 18:23] = 50.0
        assert np.isfinite(class_star(self.values(4), pixels, seeing=4.0)).all()
