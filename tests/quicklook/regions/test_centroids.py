"""Centres of mass, right at the edges of the image, and regions moved there until they stay."""

from __future__ import annotations

import json

import numpy as np
import photutils.aperture as ap
import pytest
import regions as rg
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.nddata import NDData
from astropy.wcs import WCS
from photutils.aperture import ApertureStats
from photutils.datasets import make_4gaussians_image

from ezarchive.errors import InputError
from ezarchive.quicklook.apertures.backgrounds import Annulus as Ring
from ezarchive.quicklook.regions.centroids import COMPOSITE, TO_AND_FRO, centroid, recenter
from ezarchive.quicklook.regions.shapes import Annulus, Circle, Combined, Ellipse, Inverted, Polygon, Raster, Rectangle

Y, X = np.mgrid[:60, :70]


def star(x, y, sigma=3.0, sky=0.0, flux=100.0):
    return flux * np.exp(-0.5 * ((X - x) ** 2 + (Y - y) ** 2) / sigma**2) + sky


@pytest.fixture(scope="module")
def gauss4():
    return make_4gaussians_image()


@pytest.mark.truth
def test_a_corner_pixel_is_the_centre_of_mass_and_not_one_beyond():
    """What an origin of the unclipped box makes (-1, -1) of."""
    image = np.zeros((10, 8))
    image[0, 0] = 1
    found = recenter(image, Circle(2, 2, 3))
    assert (found.x, found.y) == (0.0, 0.0)
    assert found.converged
    assert found.n_iter == 2
    assert found.reason == ""
    assert found.shape == found.region == Circle(0, 0, 3)
    assert centroid(image, Circle(2, 2, 3)) == (0.0, 0.0)


@pytest.mark.truth
def test_the_left_edge(gauss4):
    """The reference's number, where photutils is off by the columns that the image lacks."""
    found = recenter(gauss4, rg.CirclePixelRegion(rg.PixCoord(2.3, 97.6), 6), max_iter=1)
    assert found.x == pytest.approx(3.609, abs=5e-4)
    assert not found.converged
    assert found.reason == "it was still moving after 1 steps"
    assert found.region.center.x == found.x
    theirs = ApertureStats(gauss4, ap.CircularAperture((2.3, 97.6), 6)).centroid
    assert theirs[0] == pytest.approx(-0.391, abs=5e-4)
    assert found.y == pytest.approx(theirs[1], abs=1e-9)


@pytest.mark.oracle
@pytest.mark.parametrize(("x", "y"), [(150.3, 25.2), (20.5, 37.5), (90.1, 60.4), (198.0, 96.0)])
def test_away_from_left_and_bottom_it_is_that_of_photutils(gauss4, x, y):
    theirs = ApertureStats(gauss4, ap.CircularAperture((x, y), 6)).centroid
    assert centroid(gauss4, Circle(x, y, 6)) == pytest.approx(tuple(theirs), abs=1e-9)


@pytest.mark.truth
@pytest.mark.parametrize("weights", ["center", "exact"])
@pytest.mark.parametrize(
    "shape",
    [Circle(31, 27, 8), Ellipse(31, 27, 9, 7, 30), Rectangle(31, 27, 15, 13, 10), Polygon([(22, 18), (42, 18), (42, 36), (22, 36)])],
    ids=lambda one: one.kind,
)
def test_it_ends_on_the_star(shape, weights):
    found = recenter(star(33.3, 28.7), shape, weights=weights)
    assert found.converged
    assert (found.x, found.y) == pytest.approx((33.3, 28.7), abs=0.02)
    assert found.shape.center == pytest.approx((found.x, found.y), abs=1e-9)
    assert found.shape.area == pytest.approx(shape.area)
    assert found.n_iter > 1


@pytest.mark.truth
def test_a_sky_left_in_needs_more_steps_than_one_subtracted():
    image = star(33.3, 28.7, sky=50.0)
    clean, left = recenter(image, Circle(30, 27, 9), background=50), recenter(image, Circle(30, 27, 9))
    assert clean.converged
    assert (clean.x, clean.y) == pytest.approx((33.3, 28.7), abs=0.02)
    assert left.n_iter > clean.n_iter
    ring = recenter(image, Circle(30, 27, 9), background=Ring(20, 8))
    assert (ring.x, ring.y) == pytest.approx((33.3, 28.7), abs=0.02)
    by_region = recenter(image, Circle(30, 27, 9), background=Rectangle(10, 50, 10, 10))
    assert (by_region.x, by_region.y) == pytest.approx((33.3, 28.7), abs=0.02)


@pytest.mark.pure
def test_an_annulus_moves_with_what_it_surrounds():
    found = recenter(star(33.3, 28.7), Annulus(Circle(31, 27, 8), Circle(31, 27, 12)))
    assert found.converged
    assert (found.x, found.y) == pytest.approx((33.3, 28.7), abs=0.02)
    assert found.shape.inner.radius == 8


@pytest.mark.pure
def test_a_mask_moves_by_whole_pixels():
    mask = np.zeros((60, 70), bool)
    mask[20:35, 24:39] = True
    found = recenter(star(33.3, 28.7), mask)
    assert found.converged
    assert found.region.dtype == bool
    assert found.region.shape == mask.shape
    assert (found.x, found.y) == (33.0, 29.0)
    assert recenter(star(33.3, 28.7), Raster(mask)).region.trimmed() == found.shape


@pytest.mark.pure
@pytest.mark.parametrize("shape", [Combined("or", (Circle(5, 5, 2), Circle(9, 5, 2))), Inverted(Circle(5, 5, 2))], ids=lambda one: one.kind)
def test_several_parts_stay(shape):
    found = recenter(star(33.3, 28.7), shape)
    assert found.region is shape
    assert not found.converged
    assert found.n_iter == 0
    assert found.reason == COMPOSITE


@pytest.mark.pure
@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (np.zeros((10, 10)), "there is no centre of mass: the sum of the pixels in the region is not above 0"),
        (np.full((10, 10), np.nan), "there is no centre of mass: the sum of the pixels in the region is not above 0"),
        (-np.ones((10, 10)), "there is no centre of mass: the sum of the pixels in the region is not above 0"),
    ],
    ids=["zero", "nan", "negative"],
)
def test_no_light_no_move(image, reason):
    shape = Circle(4, 5, 2)
    found = recenter(image, shape)
    assert found.region is shape
    assert (found.x, found.y, found.converged, found.reason) == (4.0, 5.0, False, reason)


@pytest.mark.pure
def test_fully_outside_stays_and_says_so():
    found = recenter(np.ones((10, 10)), Circle(100, 100, 3))
    assert not found.converged
    assert found.shape.center == (100, 100)
    assert found.reason == "there is no centre of mass: no pixel of the image has its centre in the region"


@pytest.mark.pure
def test_a_region_between_the_centres_of_pixels():
    found = recenter(np.ones((9, 9)), Circle(4.5, 4.5, 0.2))
    assert found.reason == "there is no centre of mass: no pixel of the image has its centre in the region"
    assert recenter(np.ones((9, 9)), Circle(4.5, 4.5, 0.2), weights="exact").converged
    assert "no pixel of the image is in the region" in recenter(np.ones((9, 9)), Circle(40, 4, 2), weights="exact").reason


@pytest.mark.pure
def test_negative_pixels_cannot_throw_it_out():
    image = np.zeros((11, 11))
    image[5, 5], image[5, 3] = 1.0, -0.9
    found = recenter(image, Circle(5, 5, 3))
    assert found.reason == "the centre of mass is outside the region, as negative pixels make it"
    assert found.shape == Circle(5, 5, 3)


@pytest.mark.pure
def test_max_shift_refuses_another_star():
    image = star(40.0, 28.0)
    found = recenter(image, Circle(30, 28, 9), max_shift=2)
    assert found.reason == "the centre of mass is more than max_shift=2 pixels away"
    assert found.shape.center == (30, 28)
    assert recenter(image, Circle(39, 28, 9), max_shift=2).converged


@pytest.mark.pure
@pytest.mark.parametrize("background", [0, Ring(1.6, 1.5)])
@pytest.mark.parametrize("seed", range(4, 12))
def test_whole_pixels_that_come_and_go_at_the_rim_do_not_go_on_for_ever(seed, background):
    """Where their turns have no end the search goes on with exact shares: it ends where these agree."""
    image = np.random.default_rng(seed).integers(-3, 5, (7, 7)).astype(float)
    found = recenter(image, Circle(3.2, 3.1, 1.6), background=background)
    assert found.converged or found.reason
    if seed == 4 and background == 0:
        assert found.converged
        assert centroid(image, found.shape, weights="exact") == pytest.approx((found.x, found.y), abs=1e-3)


@pytest.mark.pure
def test_a_mask_that_goes_to_and_fro_stays_and_says_so():
    tries = [
        recenter(np.random.default_rng(seed).integers(-3, 5, (7, 7)).astype(float), Raster(np.ones((3, 3), bool), 2, 2))
        for seed in range(60)
    ]
    turning = [one for one in tries if one.reason == TO_AND_FRO]
    assert turning
    assert not any(one.converged for one in turning)


@pytest.mark.pure
def test_bad_pixels_are_left_out():
    image = star(33.3, 28.7)
    hot = image.copy()
    hot[20, 30] = 1e6
    mask = np.zeros(image.shape, bool)
    mask[20, 30] = True
    found = recenter(NDData(hot, mask=mask), Circle(32, 27, 9))
    assert (found.x, found.y) == pytest.approx((33.3, 28.7), abs=0.05)
    hot[20, 30] = np.nan
    assert recenter(hot, Circle(32, 27, 9)).x == found.x


@pytest.mark.pure
def test_one_pixel_image():
    found = recenter(np.ones((1, 1)), Circle(0.3, 0.2, 1))
    assert (found.x, found.y) == (0.0, 0.0)


@pytest.mark.pure
def test_the_kind_stays_what_it_was():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = [30.0, -40.0], [35.0, 30.0], [-1e-4, 1e-4]
    image = star(33.3, 28.7)
    place = wcs.pixel_to_world(32.0, 27.5)
    for region in (
        rg.CircleSkyRegion(place, 3 * u.arcsec, meta={"text": "a"}),
        rg.EllipseSkyRegion(place.galactic, 6 * u.arcsec, 5 * u.arcsec, 20 * u.deg),
        ap.SkyCircularAperture(place, 3 * u.arcsec),
        ap.EllipticalAperture((32, 27.5), 9, 7, theta=0.3),
        rg.PolygonPixelRegion(rg.PixCoord([24.0, 42, 42, 24], [20.0, 20, 37, 37]), visual={"color": "red"}),
        rg.PolygonSkyRegion(wcs.pixel_to_world([24.0, 42, 42, 24], [20.0, 20, 37, 37])),
        Circle(32, 27.5, 8).to_dict(),
    ):
        found = recenter(image, region, wcs=wcs)
        assert found.converged
        assert type(found.region) is type(region)
        assert (found.x, found.y) == pytest.approx((33.3, 28.7), abs=0.05)
    sky = recenter(image, rg.CircleSkyRegion(place, 3 * u.arcsec, meta={"text": "a"}), wcs=wcs).region
    assert sky.meta["text"] == "a"
    assert sky.radius == 3 * u.arcsec
    assert wcs.world_to_pixel(sky.center) == pytest.approx((33.3, 28.7), abs=0.05)
    galactic = recenter(image, rg.EllipseSkyRegion(place.galactic, 6 * u.arcsec, 5 * u.arcsec, 20 * u.deg), wcs=wcs).region
    assert galactic.center.frame.name == "galactic"
    aperture = ap.CircularAperture((32, 27.5), 8)
    assert tuple(recenter(image, aperture).region.positions) == pytest.approx((33.3, 28.7), abs=0.05)
    assert tuple(aperture.positions) == (32, 27.5)


@pytest.mark.pure
def test_the_argument_is_not_changed():
    region = rg.CirclePixelRegion(rg.PixCoord(32, 27.5), 8)
    image = star(33.3, 28.7)
    before = image.copy()
    recenter(image, region)
    assert region.center.xy == (32, 27.5)
    assert np.array_equal(image, before)


@pytest.mark.pure
def test_to_dict_is_json():
    found = recenter(star(33.3, 28.7), Circle(32, 27, 9))
    values = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert values["shape"]["kind"] == "circle"
    assert values["converged"] is True


@pytest.mark.pure
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_iter": 0}, "max_iter=0: must be a whole number of 1 or more"),
        ({"max_iter": 1.5}, "max_iter=1.5: must be a whole number of 1 or more"),
        ({"max_iter": True}, "max_iter=True: must be a whole number of 1 or more"),
        ({"tolerance": 0}, "tolerance=0.0: must be a number above 0"),
        ({"max_shift": -1}, "max_shift=-1.0: must be a number above 0"),
        ({"weights": "all"}, "weights='all': must be 'center' or 'exact'"),
        ({"background": "dark"}, "dark|str"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(InputError, match=message):
        recenter(np.ones((10, 10)), Circle(5, 5, 2), **options)


@pytest.mark.pure
def test_a_background_without_pixels():
    image = np.ones((10, 10))
    image[0, :] = np.nan
    with pytest.raises(InputError, match="background: the region holds no finite pixel"):
        recenter(image, Circle(5, 5, 2), background=Rectangle(5, 0, 6, 0.9))
    found = recenter(image, Circle(5, 5, 2), background=Ring(100, 5))
    assert found.reason == "background: the annulus holds no finite pixel"
    assert found.shape == Circle(5, 5, 2)


@pytest.mark.pure
def test_no_wcs():
    region = rg.CircleSkyRegion(SkyCoord(30, -40, unit="deg"), 3 * u.arcsec)
    with pytest.raises(InputError, match="Sky region provided but data has no valid WCS"):
        recenter(np.ones((10, 10)), region)
