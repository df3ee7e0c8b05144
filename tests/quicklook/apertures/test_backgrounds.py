"""Levels under apertures: the numbers of the reference viewer, their errors, and what is refused."""

from __future__ import annotations

import gauss4
import numpy as np
import pytest
from astropy import units as u
from astropy.stats import sigma_clipped_stats
from astropy.wcs import WCS

from ezarchive.errors import InputError
from ezarchive.quicklook.apertures.backgrounds import METHODS, Annulus, background_levels, pixels_in
from ezarchive.quicklook.planes.inputs import picture
from ezarchive.quicklook.regions.shapes import Annulus as Ring
from ezarchive.quicklook.regions.shapes import Circle, Ellipse, Inverted, Polygon, Rectangle


@pytest.fixture(scope="module")
def old():
    """The four Gaussians with the noise of the generator that the reference's numbers were made with."""
    return picture(gauss4.old())


@pytest.fixture(scope="module")
def new():
    """The four Gaussians as photutils makes them today."""
    return picture(gauss4.new())


@pytest.mark.oracle
class TestNumbersOfTheReference:
    @pytest.mark.parametrize(
        ("x", "y", "inner", "width", "wanted"),
        [
            (150, 25, 7, 10, 5.745596129482831),
            (20.5, 37.5, 20.5, 10, 5.13918435824334),
            (20.5, 37.5, 40, 10, 4.783765940615679),
            (20.5, 37.5, 40, 5, 4.894003242594493),
        ],
    )
    def test_rings_of_the_old_noise(self, old, x, y, inner, width, wanted):
        levels = background_levels(old, Annulus(inner, width), [Circle(x, y, 3)])
        np.testing.assert_allclose(levels.level, wanted, rtol=0, atol=1e-13)

    @pytest.mark.parametrize(("x", "y", "inner", "wanted"), [(150, 25, 7, 5.802286789188564), (20.5, 37.5, 20.5, 5.052332379146563)])
    def test_rings_of_the_new_noise(self, new, x, y, inner, wanted):
        levels = background_levels(new, Annulus(inner), [Circle(x, y, 3)])
        np.testing.assert_allclose(levels.level, wanted, rtol=0, atol=1e-13)

    def test_a_region(self, old, new):
        for source, wanted in ((old, 44.72559981461203), (new, 45.41683436281312)):
            levels = background_levels(source, Circle(150, 25, 7), [Circle(5, 5, 2), Circle(9, 9, 2)])
            np.testing.assert_allclose(levels.level, [wanted] * 2, rtol=0, atol=1e-13)
            assert levels.n.tolist() == [145, 145]


@pytest.mark.parametrize(
    ("shape", "inner"),
    [
        (Circle(50, 50, 4), 4),
        (Ellipse(50, 50, 3, 7, 20), 7),
        (Rectangle(50, 50, 6, 8, 10), 5),
        (Ring(Circle(50, 50, 2), Circle(50, 50, 6)), 6),
        (Polygon([(47, 46), (53, 46), (53, 54), (47, 54)]), 5),
    ],
)
def test_the_inner_radius_is_that_of_the_aperture_unless_given(shape, inner):
    assert Annulus(width=3).around(shape) == Ring(Circle(50, 50, inner), Circle(50, 50, inner + 3))
    assert Annulus(2, 3).around(shape) == Ring(Circle(50, 50, 2), Circle(50, 50, 5))


def test_an_inner_radius_of_zero_is_a_number():
    assert Annulus(0, 3).around(Circle(50, 50, 9)) == Circle(50, 50, 3)


def test_a_ring_in_arcsec(old):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.cdelt, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], [-0.5 / 3600, 0.5 / 3600], [10, 20]
    ring = Annulus(2 * u.arcsec, 3 * u.arcsec).around(Circle(0, 0, 1), picture(old, wcs=wcs))
    assert ring.inner.radius == pytest.approx(4, rel=1e-6)
    assert ring.outer.radius == pytest.approx(10, rel=1e-6)
    with pytest.raises(InputError, match="annulus inner=2.0 arcsec: must be pixels for an image without a WCS"):
        Annulus(2 * u.arcsec).around(Circle(0, 0, 1), old)


def test_number_scatter_and_error():
    data = np.arange(100.0).reshape(10, 10)
    data[4, 4], data[5, 5] = np.nan, np.inf
    good = np.ones((10, 10), bool)
    good[3, 3] = False
    found = background_levels(picture(data), Rectangle(4.5, 4.5, 6, 6), [Circle(1, 1, 1)], good=good)
    inside = data[2:8, 2:8][good[2:8, 2:8] & np.isfinite(data[2:8, 2:8])]
    assert found.n.tolist() == [33] == [inside.size]
    assert found.level[0] == np.median(inside)
    assert found.std[0] == pytest.approx(np.std(inside), rel=1e-14)
    assert found.error[0] == pytest.approx(np.sqrt(np.pi / 2) * np.std(inside) / np.sqrt(33), rel=1e-14)
    mean = background_levels(picture(data), Rectangle(4.5, 4.5, 6, 6), [Circle(1, 1, 1)], good=good, method="mean")
    assert mean.level[0] == pytest.approx(np.mean(inside), rel=1e-14)
    assert mean.error[0] == pytest.approx(np.std(inside) / np.sqrt(33), rel=1e-14)


@pytest.mark.truth
def test_stars_in_the_ring_are_clipped_and_errors_are_true():
    rng = np.random.default_rng(1)
    data = rng.normal(100, 2, (800, 800))
    data[rng.integers(0, 800, 6400), rng.integers(0, 800, 6400)] += 500
    shapes = [Circle(x, y, 5) for x in range(40, 780, 40) for y in range(40, 780, 40)]
    found = {method: background_levels(picture(data), Annulus(8, 10), shapes, method=method) for method in METHODS}
    for method in ("clipped_median", "clipped_mean"):
        pull = (found[method].level - 100) / found[method].error
        assert abs(np.mean(pull)) < 3 / np.sqrt(len(shapes))
        assert np.std(pull) == pytest.approx(1, abs=3 / np.sqrt(2 * len(shapes)))
    assert found["mean"].level.mean() > 104
    assert np.median(found["clipped_median"].std) == pytest.approx(2, rel=0.03)
    values = pixels_in(data, Annulus(8, 10).around(shapes[3]))
    mean, median, std = sigma_clipped_stats(values, sigma=3, maxiters=None)
    assert found["clipped_mean"].level[3] == pytest.approx(mean, rel=1e-14)
    assert found["clipped_median"].level[3] == median
    assert found["clipped_median"].std[3] == pytest.approx(std, rel=1e-14)


def test_numbers_and_quantities(new):
    shapes = [Circle(5, 5, 2), Circle(9, 9, 2)]
    assert background_levels(new, -2, shapes).level.tolist() == [-2, -2]
    assert background_levels(new, [1, 2.5], shapes).level.tolist() == [1, 2.5]
    source = picture(new.data, unit="MJy/sr")
    found = background_levels(source, 3 * u.kJy / u.sr, shapes)
    np.testing.assert_allclose(found.level, 0.003, rtol=1e-15)
    assert np.isnan(found.error).all()
    assert found.n.tolist() == [0, 0]


def test_a_single_pixel_has_no_scatter(new):
    found = background_levels(new, Circle(20, 20, 0.6), [Circle(5, 5, 2)])
    assert found.n[0] == 1
    assert found.level[0] == new.data[20, 20]
    assert np.isnan([found.std[0], found.error[0]]).all()


def test_pixels_of_shapes_without_end_and_over_edges(new):
    assert pixels_in(new.data, Inverted(Circle(50, 50, 3))).size == new.data.size - 25  # a pixel on the edge is outside of the circle
    assert pixels_in(new.data, Circle(0, 0, 1.1)).tolist() == [new.data[0, 0], new.data[0, 1], new.data[1, 0]]
    assert pixels_in(new.data, Circle(-40, 0, 2)).size == 0


class TestRefused:
    @pytest.mark.parametrize(
        ("inner", "width", "message"),
        [
            (-1, 10, "annulus inner=-1: must be 0 or above"),
            (3, 0, "annulus width=0: must be above 0"),
            (3, -2, "annulus width=-2: must be above 0"),
            (np.nan, 1, "annulus inner: missing or invalid value nan"),
            ("a", 1, "annulus inner: missing or invalid value 'a'"),
            (3, None, "annulus width: missing or invalid value None"),
            (3 * u.Jy, 1, "must be pixels or an angle"),
        ],
    )
    def test_rings(self, inner, width, message):
        with pytest.raises(InputError, match=message):
            Annulus(inner, width)

    @pytest.mark.parametrize(
        ("background", "message"),
        [
            (None, "background: missing or invalid value None"),
            ("abc", "background: missing or invalid value 'abc'"),
            (np.nan, "background: missing or invalid value nan"),
            (True, "background: missing or invalid value True"),
            ([1, 2, 3], "one for each of 1 regions, found 3"),
            (1 * u.Jy, "unit 'Jy' conflicts with that of the image; must convert to none"),
            (object(), "region"),
        ],
    )
    def test_what_is_no_background(self, new, background, message):
        with pytest.raises(InputError, match=message):
            background_levels(new, background, [Circle(5, 5, 2)])

    def test_a_region_without_a_finite_pixel(self, new):
        holed = new.data.copy()
        holed[20:31, 20:31] = np.nan
        for region in (Circle(25, 25, 4), Circle(-50, 0, 3), Circle(50.5, 50.5, 0.2)):
            with pytest.raises(InputError, match="background: the region holds no finite pixel"):
                background_levels(picture(holed), region, [Circle(5, 5, 2)])

    def test_a_ring_without_a_finite_pixel_is_a_reason(self, new):
        found = background_levels(new, Annulus(7, 3), [Circle(50, 50, 3), Circle(-50, 50, 3)])
        assert found.reason == ["", "background: the annulus holds no finite pixel"]
        assert np.isnan(found.level).tolist() == [False, True]

    def test_methods(self, new):
        with pytest.raises(InputError, match="background_method='mode': must be one of median, mean"):
            background_levels(new, 0, [Circle(5, 5, 2)], method="mode")

    def test_an_aperture_without_end_has_no_radius(self):
        with pytest.raises(InputError, match="inner: must be given for an aperture without end"):
            Annulus().around(Inverted(Circle(5, 5, 2)))


def test_to_dict():
    assert Annulus(7, 3 * u.arcsec).to_dict() == {"inner": 7, "width": "3.0 arcsec"}
