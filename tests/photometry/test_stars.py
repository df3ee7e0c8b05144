"""Seeing and depth."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table

from ezarchive.images.background import MeshBackground
from ezarchive.photometry import stars
from ezarchive.photometry.detection import SexOptions, sex


@pytest.mark.truth
class TestSeeing:
    def test_of_stars(self, sky):
        found = stars.estimate_seeing(sky.data, noise=sky.noise)
        assert found.fwhm == pytest.approx(2.3548 * sky.sigma - 0.05, rel=0.02)
        assert found.n > 20
        assert found.scatter < 0.1 * found.fwhm

    def test_galaxies_hot_pixels_and_saturated_stars_do_not_count(self, rng, make_sky):
        sky = make_sky(rng, shape=(300, 400), n=60)
        data = sky.data.copy()
        yy, xx = np.mgrid[:300, :400]
        for x, y in zip(rng.uniform(20, 380, 20), rng.uniform(20, 280, 20), strict=True):
            data += (60 * np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / (2 * rng.uniform(4, 8) ** 2))).astype(np.float32)
        for x, y in zip(rng.uniform(5, 395, 40), rng.uniform(5, 295, 40), strict=True):
            data[int(y), int(x)] += 5e3
        data = np.minimum(data, 500.0)
        found = stars.estimate_seeing(data, noise=sky.noise, saturation=500.0, background=0.0)
        assert found.fwhm == pytest.approx(2.3548 * sky.sigma - 0.05, rel=0.03)

    def test_none_where_there_is_no_star(self, rng):
        assert stars.estimate_seeing(rng.normal(size=(60, 60)), noise=1.0) is None
        assert stars.seeing_of(sex(np.zeros((30, 30)), noise=1.0)) is None

    def test_large_frames_are_looked_at_in_the_middle_first(self, rng, make_sky, monkeypatch):
        monkeypatch.setattr(stars, "_FIRST_LOOK", 200)
        sky = make_sky(rng, shape=(300, 400), n=90, separation=12)
        shapes = []
        monkeypatch.setattr(stars, "sex", lambda data, *args, **kwargs: shapes.append(data.shape) or sex(data, *args, **kwargs))
        whole = np.full(sky.data.shape, sky.noise)
        level = MeshBackground.constant(10.0, 1.0, sky.data.shape)
        for noise, background in ((sky.noise, None), (whole, level), (sky.noise, np.zeros(sky.data.shape)), (sky.noise, 5.0)):
            monkeypatch.setattr(stars, "_ENOUGH_STARS", 5)
            found = stars.estimate_seeing(sky.data, noise=noise, background=background, saturation=1e6)
            assert shapes.pop() == (200, 200)
            assert found.fwhm == pytest.approx(2.3548 * sky.sigma - 0.05, rel=0.05)
            monkeypatch.setattr(stars, "_ENOUGH_STARS", 10_000)
            assert stars.estimate_seeing(sky.data, noise=noise, background=background).n > found.n
            assert shapes == [(200, 200), (300, 400)]
            shapes.clear()

    def test_middle_without_pixels(self, rng, make_sky, monkeypatch):
        monkeypatch.setattr(stars, "_FIRST_LOOK", 20)
        data = make_sky(rng).data.copy()
        data[80:130, 100:140] = np.nan
        assert stars.estimate_seeing(data, noise=5.0).n > 3


@pytest.mark.oracle
@pytest.mark.parametrize(("name", "fwhm"), [("DEC-OBS04a", 5.2), ("DEC-OBS04b", 5.1), ("DEC-OBS04c", 5.9), ("DEC-OBS04e", 4.0)])
def test_seeing_of_real_frames(compare, name, fwhm):
    # The seeing in the settings of the oracle, in pixels of 0.2626 arcsec, was measured by another program.
    assert stars.seeing_of(compare(name).ours).fwhm == pytest.approx(fwhm, rel=0.1)


@pytest.mark.pure
class TestSelection:
    def test_flagged_and_saturated_sources_are_left_out(self, sky):
        table = sex(sky.data, SexOptions(satur_level=300.0), noise=sky.noise, background=0.0)
        chosen = stars.select_stars(table, saturation=300.0)
        assert chosen.any()
        assert (np.asarray(table["FLAGS"])[chosen] == 0).all()
        assert (np.asarray(table["FLUX_MAX"].value)[chosen] < 285).all()


@pytest.fixture
def sources():
    """Make a table of sources with the widths given, all bright, round and single."""

    def make(fwhm, **changed):
        n = len(fwhm)
        one = np.ones(n)
        values = {"FWHM_IMAGE": fwhm, "SNR": 100 * one, "ELONGATION": one, "FLUX_MAX": 50 * one, "FLAGS": np.zeros(n, int)}
        return Table(values | changed)

    return make


@pytest.mark.truth
class TestFewStars:
    def test_most_are_galaxies(self, rng, sources):
        width = np.r_[5.0 * np.exp(rng.normal(0, 0.01, 12)), 5.0 * np.exp(rng.exponential(0.35, 80))]
        chosen = stars.select_stars(sources(width))
        assert chosen[:12].sum() >= 10
        assert chosen[12:].sum() <= 16
        assert stars.seeing_of(sources(width)).fwhm == pytest.approx(5.0, rel=0.025)

    def test_stellarity_decides_where_it_is_known(self, sources):
        width = np.array([5.0, 5.02, 4.98, 5.05, 5.01, 4.99])
        table = sources(width, CLASS_STAR=np.array([0.9, 0.95, 0.9, 0.1, 0.2, np.nan], np.float32))
        assert stars.select_stars(table).tolist() == [True, True, True, False, False, True]

    def test_crowds_take_blends_but_nothing_saturated(self, sources):
        width = np.full(5, 4.0)
        table = sources(width, FLAGS=np.array([3, 2, 0, 4, 3]))
        assert stars.select_stars(table).tolist() == [True, True, True, False, True]
        isolated = sources(width, FLAGS=np.array([3, 0, 0, 0, 3]))
        assert stars.select_stars(isolated).tolist() == [False, True, True, True, False]

    def test_faint_ones_as_a_last_resort(self, sources):
        table = sources(np.full(4, 4.0), SNR=np.array([15.0, 12.0, 11.0, 5.0]))
        assert stars.select_stars(table).tolist() == [True, True, True, False]

    def test_one_or_two(self, sources):
        assert stars.seeing_of(sources(np.array([4.0, 4.1]))).n == 2
        assert stars.seeing_of(sources(np.zeros(0))) is None


@pytest.mark.pure
class TestDepth:
    def test_five_sigma(self):
        assert stars.depth([20.0, 20.0, np.nan], zero_point=25.0) == pytest.approx(25.0 - 2.5 * 2)
        assert stars.depth([20.0], n_sigma=3.0) == pytest.approx(-2.5 * np.log10(60.0))

    def test_nothing_known(self):
        assert stars.depth([]) is None
        assert stars.depth([np.nan, 0.0]) is None
