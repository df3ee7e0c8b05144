"""Radial profiles."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table
from gauss4 import new
from photutils.profiles import RadialProfile as Photutils
from regions import EllipsePixelRegion, PixCoord

from ezarchive.errors import InputError
from ezarchive.quicklook import Annulus as Background
from ezarchive.quicklook import radial_profile, recenter
from ezarchive.quicklook.regions.shapes import Annulus, Circle, Ellipse, Inverted, Polygon, Rectangle

ONES = np.ones((51, 51))
OVAL = EllipsePixelRegion(PixCoord(25, 25), 40, 30)


def test_the_pixels_of_the_aperture_are_those_of_the_page():
    raw = radial_profile(ONES, OVAL, raw=True, clip=True)
    assert len(raw) == 923 and raw.radius[0] == 0 and raw.radius[-1] == pytest.approx(19.4164878389476, abs=1e-12)
    assert (raw.value == 1).all() and (np.diff(raw.radius) >= 0).all()
    binned = radial_profile(ONES, OVAL, clip=True)
    # The page has x = 0 ... 19, the left edges of the bins, half a pixel too low.
    assert binned.radius == pytest.approx(np.arange(20) + 0.5) and (binned.value == pytest.approx(np.ones(20)))


def test_rings_to_a_radius_are_those_of_the_page():
    binned = radial_profile(ONES, OVAL, max_radius=21)
    assert binned.radius == pytest.approx(np.arange(21) + 0.5) and binned.value == pytest.approx(np.ones(21), abs=1e-14)
    raw = radial_profile(ONES, OVAL, max_radius=21, raw=True)
    # The page counts 1371: of the four pixels at a distance of exactly 21, two were beyond the viewer's cutout.
    assert len(raw) == 1373 and raw.radius[-1] == 21 and (raw.value == 1).all()
    assert np.count_nonzero(raw.radius < 21) == 1369


@pytest.mark.oracle
@pytest.mark.parametrize("place", [(150.0, 25.0), (90.3, 60.8), (1.2, 97.0)])
def test_photutils_has_the_same_means(place):
    ours = radial_profile(new(), Circle(*place, 15))
    theirs = Photutils(new(), place, np.arange(16))
    assert ours.value == pytest.approx(theirs.profile, rel=1e-10)
    assert ours.radius == pytest.approx(theirs.radius) and ours.area == pytest.approx(theirs.area, rel=1e-10)


@pytest.mark.oracle
def test_photutils_has_the_same_errors():
    error = np.random.default_rng(1).uniform(1, 3, (100, 200))
    ours, theirs = radial_profile(new(), Circle(90, 60, 9), error=error), Photutils(new(), (90, 60), np.arange(10), error=error)
    # Theirs adds weight x variance and takes differences of discs; ours weight^2 x variance, right for a mean of independent pixels.
    assert (ours.err <= theirs.profile_error * (1 + 1e-9)).all() and ours.err == pytest.approx(theirs.profile_error, rel=0.35)


def test_means_over_an_edge():
    y, x = np.mgrid[:30, :30]
    profile = radial_profile(np.hypot(x - 1.0, y - 2.0), Circle(1, 2, 12))
    assert profile.value[3:] == pytest.approx(profile.radius[3:], abs=0.1)
    assert profile.fraction[0] == pytest.approx(1) and 0.3 < profile.fraction[-1] < 0.5
    assert radial_profile(np.hypot(x - 1.0, y - 2.0), Circle(1, 2, 12), raw=True).value[-1] <= 12


def test_what_is_not_finite_or_masked_counts_nowhere():
    holed = ONES.copy()
    holed[25, 25] = np.nan
    mask = np.zeros(holed.shape, bool)
    mask[24:27, 24:27] = True
    profile = radial_profile(holed, Circle(25, 25, 5))
    assert profile.value == pytest.approx(np.ones(5)) and profile.fraction[0] < 0.7 and profile.fraction[2] == pytest.approx(1)
    masked = radial_profile(holed, Circle(25, 25, 5), mask=mask)
    assert np.isnan([masked.value[0], masked.err[0], masked.std[0]]).all() and masked.area[0] == 0 and masked.n[0] == 0
    assert len(radial_profile(holed, Circle(25, 25, 5), mask=mask, raw=True)) == len(radial_profile(ONES, Circle(25, 25, 5), raw=True)) - 9


@pytest.mark.truth
@pytest.mark.parametrize("known", [True, False])
def test_errors_of_the_means_are_true(known):
    rng, pulls = np.random.default_rng(5), []
    for _ in range(150):
        profile = radial_profile(rng.normal(5, 2, (31, 31)), Circle(15.2, 14.6, 12), error=2.0 if known else None)
        pulls.append((profile.value - 5) / profile.err)
    assert np.std(pulls, axis=0)[2:] == pytest.approx(1, abs=0.22)
    assert np.std(np.array(pulls)[:, 2:]) == pytest.approx(1, abs=0.05)
    assert abs(np.mean(pulls)) < 0.1


def test_scatter():
    profile = radial_profile(np.random.default_rng(2).normal(0, 3, (201, 201)), Circle(100, 100, 90))
    assert profile.std[20:] == pytest.approx(3, rel=0.25) and np.mean(profile.std[20:]) == pytest.approx(3, rel=0.02)
    assert profile.n.dtype == np.int64 and profile.n[0] == 9


def test_elliptical_rings_follow_the_aperture():
    y, x = np.mgrid[:101, :101]
    turned = np.radians(30)
    along, across = (x - 50) * np.cos(turned) + (y - 50) * np.sin(turned), (y - 50) * np.cos(turned) - (x - 50) * np.sin(turned)
    galaxy = np.exp(-np.hypot(along, across / 0.5) / 10)
    own = radial_profile(galaxy, Ellipse(50, 50, 40, 20, 30), rings="aperture")
    assert own.value[5:] == pytest.approx(np.exp(-own.radius[5:] / 10), rel=0.01)
    assert own.fraction == pytest.approx(np.ones(40)) and own.area.sum() == pytest.approx(math.pi * 800)
    assert np.max(own.std[5:] / own.value[5:]) < 0.15 < np.max(radial_profile(galaxy, Ellipse(50, 50, 40, 20, 30)).std[5:]) * 10
    raw = radial_profile(galaxy, Ellipse(50, 50, 40, 20, 30), rings="aperture", raw=True)
    assert raw.value == pytest.approx(np.exp(-raw.radius / 10)) and raw.radius[-1] <= 40
    ring = Annulus(Ellipse(50, 50, 20, 10, 30), Ellipse(50, 50, 40, 20, 30))
    assert radial_profile(galaxy, ring, rings="aperture").value == pytest.approx(own.value)


def test_the_background_is_taken_off():
    profile = radial_profile(new(), Circle(150, 25, 7), background=Background(7, 10))
    assert profile.background == pytest.approx(5.802286789188564, abs=1e-12) and profile.background_err > 0
    assert profile.value == pytest.approx(radial_profile(new(), Circle(150, 25, 7)).value - profile.background)


def test_centres():
    region = Circle(151, 24, 7)
    assert radial_profile(new(), region).center == (151, 24)
    found = radial_profile(new(), region, center="centroid", background=5.0)
    assert found.center_kind == "centroid" and found.center == pytest.approx((150.1, 24.9), abs=0.2)
    given = radial_profile(new(), region, center=(150, 25))
    assert given.center == (150, 25) and given.center_kind == "given" and given.value[0] > radial_profile(new(), region).value[0]
    assert radial_profile(new(), recenter(new(), region, background=5.0).shape).value[0] == pytest.approx(given.value[0], rel=0.02)
    corner = np.zeros((10, 8))
    corner[0, 0] = 1.0
    assert radial_profile(corner, Circle(2, 2, 3), center="centroid").center == (0, 0)


@pytest.mark.parametrize(
    ("region", "reach"),
    [
        (Circle(25, 25, 7.2), 8), (Rectangle(25, 25, 6, 8), 5), (Rectangle(25, 25, 6, 8, 45), 5),
        (Polygon([(20, 20), (30, 20), (30, 30)]), 8), (Annulus(Circle(25, 25, 3), Circle(25, 25, 6)), 6),
    ],
)  # fmt: skip
def test_the_reach_is_that_of_the_region(region, reach):
    assert radial_profile(ONES, region).edges[-1] == reach


def test_steps():
    assert radial_profile(ONES, Circle(25, 25, 5), step=0.5).edges == pytest.approx(np.arange(0, 5.5, 0.5))
    assert radial_profile(ONES, Circle(25, 25, 5), step=2).radius == pytest.approx([1, 3, 5])
    assert radial_profile(ONES, Circle(25, 25, 5), step=2, max_radius=5).radius == pytest.approx([1, 3])
    assert len(radial_profile(ONES, Circle(25, 25, 3), step=0.1)) == 30


@pytest.mark.parametrize("raw", [True, False])
def test_it_serialises(raw, tmp_path):
    profile = radial_profile(ONES, Circle(25, 25, 3), raw=raw, unit="MJy/sr", label="flat")
    plain = json.loads(json.dumps(profile.to_dict(), allow_nan=False))
    assert plain["value"] == profile.value.tolist() and plain["unit"] == "MJy / sr" and plain["label"] == "flat"
    assert ("x" in profile.to_table().colnames) == raw and ("area" in profile.to_table().colnames) == (not raw)
    assert profile.to_table()["value"].unit == u.MJy / u.sr and profile.to_table()["radius"].unit == u.pix
    if raw:
        assert ONES[profile.y, profile.x].shape == (29,) and np.hypot(profile.x - 25, profile.y - 25) == pytest.approx(profile.radius)
    assert radial_profile(ONES, Circle(25, 25, 3), raw=raw).to_table()["value"][0] == pytest.approx(1)
    profile.to_table().write(tmp_path / "profile.ecsv")
    back = Table.read(tmp_path / "profile.ecsv")
    assert (back["value"] == profile.value).all() and back["value"].unit == u.MJy / u.sr and back.meta["center"] == [25, 25]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"step": 0}, "step=0.0: must be a number above 0"),
        ({"step": 1e-6}, "step=1e-06: makes 5000000 rings"),
        ({"max_radius": -1}, "max_radius=-1.0: must be a number above 0"),
        ({"max_radius": 0.5}, "max_radius=0.5: must not be below step=1"),
        ({"center": "middle"}, "center='middle': must be aperture, centroid or"),
        ({"center": (1, 2, 3)}, "center=.*must be aperture, centroid or"),
        ({"center": (1, math.nan)}, "center y=nan: must be a finite number"),
        ({"rings": "square"}, "rings='square': must be one of circular, aperture"),
        ({"background": "sky"}, "background: missing or invalid value 'sky'"),
        ({"background": Circle(25, 200, 4)}, "background: the region holds no finite pixel"),
        ({"background": Background(100, 5)}, "background: the annulus holds no finite pixel"),
        ({"error": np.ones((3, 3))}, "error: must have the shape of the image"),
    ],
)
def test_bad_input(options, text):
    with pytest.raises(InputError, match=text):
        radial_profile(ONES, Circle(25, 25, 5), **options)


@pytest.mark.parametrize(
    ("image", "region", "options", "text"),
    [
        (ONES, Circle(100, 25, 5), {}, "region: must hold a usable pixel, found none on the image"),
        (ONES, Rectangle(25, 25, 5, 5), {"rings": "aperture"}, "the region must be a circle or an ellipse, found a rectangle"),
        (ONES, Inverted(Circle(25, 25, 3)), {}, "max_radius: must be given for a region without end"),
        (np.full((9, 9), np.nan), Circle(4, 4, 2), {}, "region: must hold a usable pixel"),
        (np.zeros((9, 9)), Circle(4, 4, 2), {"center": "centroid"}, "center='centroid': the region must hold light"),
        (ONES, Circle(25.5, 25.5, 0.3), {"raw": True, "max_radius": 0.3, "step": 0.3}, "none whose centre is within its reach"),
    ],
)
def test_bad_regions(image, region, options, text):
    with pytest.raises(InputError, match=text):
        radial_profile(image, region, **options)


def test_a_region_without_a_pixel_centre_has_means():
    profile = radial_profile(ONES, Circle(25.5, 25.5, 0.3), step=0.3)
    assert profile.value == pytest.approx([1]) and profile.area == pytest.approx([math.pi * 0.09])


def test_one_pixel():
    assert radial_profile(np.full((1, 1), 2.0), Circle(0, 0, 1)).value == pytest.approx([2])


def test_integers_and_nothing_changed():
    image = np.full((21, 21), 7, np.int16)
    assert radial_profile(image, Circle(10, 10, 5), background=2).value == pytest.approx(np.full(5, 5.0))
    assert (image == 7).all()
