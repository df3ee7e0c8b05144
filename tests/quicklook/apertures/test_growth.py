"""Curves of growth."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from gauss4 import new
from regions import CirclePixelRegion, CircleSkyRegion, EllipsePixelRegion, PixCoord, RectanglePixelRegion

from ezarchive.errors import InputError
from ezarchive.quicklook import Annulus as Background
from ezarchive.quicklook import GrowthCurve, aperture_photometry, curve_of_growth
from ezarchive.quicklook.regions.shapes import Annulus, Circle, Combined, Ellipse, Polygon, Raster, Rectangle

ONES = np.ones((51, 51))
CENTER = PixCoord(25, 25)
GOLDEN = {
    "circle": (
        CirclePixelRegion(CENTER, 20), "Radius",
        [12.566371, 50.265482, 113.097336, 201.06193, 314.159265, 452.389342, 615.75216, 804.247719, 1017.87602, 1256.637061],
    ),
    "ellipse": (
        EllipsePixelRegion(CENTER, 40, 30), "Semi-axis a", [9.424778 * k * k for k in range(1, 10)] + [942.477796],
    ),
    "rectangle": (RectanglePixelRegion(CENTER, 20, 15), "Width", [3, 12, 27, 48, 75, 108, 147, 192, 243, 300]),
}  # fmt: skip


@pytest.mark.parametrize("kind", GOLDEN)
def test_the_numbers_of_the_page(kind):
    region, axis, sums = GOLDEN[kind]
    curve = curve_of_growth(ONES, region)
    assert curve.sum == pytest.approx(sums, rel=2e-7)
    assert (curve.axis, curve.kind) == (axis, kind)
    assert curve.radius == pytest.approx(2.0 * np.arange(1, 11), abs=1e-12)
    assert curve.area == pytest.approx(curve.sum, rel=1e-12)
    assert np.isnan(curve.err).all() and not curve.n_bad.any() and (curve.on_image == 1).all()


@pytest.mark.parametrize("region", [Circle(150, 25, 7), Ellipse(150, 25, 9, 6, 30), Rectangle(150.3, 25.2, 12, 9, 20), Circle(197, 25, 9)])
def test_the_last_point_is_the_sum_of_the_table(region):
    settings = {"background": Background(9, 8), "error": np.full((100, 200), 5.0), "unit": "Jy"}
    curve, row = curve_of_growth(new(), region, **settings), aperture_photometry(new(), region, **settings)[0]
    assert curve.sum[-1] == row["sum"].value and curve.err[-1] == row["sum_err"].value
    assert curve.unit == u.Jy and curve.background == row["background"].value
    for factor, total in zip(np.arange(1, 11) / 10, curve.sum, strict=True):
        part = aperture_photometry(new(), region.scaled(factor), background=curve.background)
        assert total == pytest.approx(part["sum"][0], rel=1e-10, abs=1e-9)


def test_the_centre_is_that_of_the_aperture_throughout():
    """The viewer's first nine points were about the centre of mass: a step at the last."""
    lopsided = np.zeros((41, 41))
    lopsided[20, 26] = 1.0
    curve = curve_of_growth(lopsided, Circle(20, 20, 10), radii=[5.0, 6.0, 7.0, 10.0])
    assert curve.sum == pytest.approx([0, 0.5, 1, 1], abs=0.05)
    assert curve.center == (20, 20)


def test_half_the_light_of_a_flat_disc():
    curve = curve_of_growth(ONES, Circle(25, 25, 20))
    assert curve.r50 == pytest.approx(20 / math.sqrt(2), rel=1e-9)
    assert curve.r80 == pytest.approx(20 * math.sqrt(0.8), rel=1e-9)
    assert np.isnan(curve.r50_err)
    known = curve_of_growth(ONES, Circle(25, 25, 20), error=0.1)
    # V(S_r - S / 2) = V / 4 by independent pixels, and dS/dr = 2 pi r.
    assert known.r50_err == pytest.approx(0.5 * math.sqrt(math.pi * 400 * 0.01) / (2 * math.pi * known.r50), rel=1e-4)


@pytest.mark.parametrize("width", [1, 2.5])
def test_radii_do_not_depend_on_the_number_of_points(width):
    y, x = np.mgrid[:81, :81]
    star = np.exp(-0.5 * ((x - 40.2) ** 2 + (y - 39.7) ** 2) / (4 * width) ** 2)
    few, many = (curve_of_growth(star, Circle(40.2, 39.7, 30), n=n) for n in (1, 200))
    assert few.r50 == pytest.approx(many.r50, abs=1e-6) and few.r80 == pytest.approx(many.r80, abs=1e-6)


@pytest.mark.truth
def test_a_gaussian_has_its_radii():
    """A pixel spreads its light evenly, so 1/12 is added to the variance."""
    y, x = np.mgrid[:121, :121]
    star = 100 * np.exp(-0.5 * ((x - 60.2) ** 2 + (y - 59.7) ** 2) / 25)
    curve = curve_of_growth(star, Circle(60.2, 59.7, 40))
    sigma = math.sqrt(25 + 1 / 12)
    assert curve.sum[-1] == pytest.approx(100 * 2 * math.pi * 25, rel=1e-6)
    assert curve.r50 == pytest.approx(sigma * math.sqrt(2 * math.log(2)), rel=1e-4)
    assert curve.r80 == pytest.approx(sigma * math.sqrt(2 * math.log(5)), rel=1e-4)


@pytest.mark.truth
def test_errors_are_true():
    y, x = np.mgrid[:61, :61]
    star = 100 * np.exp(-0.5 * ((x - 30.2) ** 2 + (y - 29.7) ** 2) / 9)
    region, rng = Circle(30.2, 29.7, 12), np.random.default_rng(4)
    true = curve_of_growth(star, region, n=3)
    pulls = []
    for _ in range(120):
        noisy = star + 7 + rng.normal(0, 3, star.shape)
        found = curve_of_growth(noisy, region, n=3, error=3.0, background=Background(16, 10), background_method="mean")
        pulls.append([(found.r50 - true.r50) / found.r50_err, (found.r80 - true.r80) / found.r80_err, *(found.sum - true.sum) / found.err])
    assert np.std(pulls, axis=0) == pytest.approx(1, abs=0.22)
    assert np.abs(np.mean(pulls, axis=0)).max() < 0.33


def test_a_background_ring_is_about_the_whole_aperture():
    ramp = np.hypot(*np.mgrid[-25:26, -25:26])
    curve = curve_of_growth(ramp, Circle(25, 25, 10), background=Background(None, 5))
    whole = aperture_photometry(ramp, Circle(25, 25, 10), background=Background(None, 5))
    assert curve.background == whole["background"][0]
    assert curve.sum[0] == pytest.approx(curve_of_growth(ramp, Circle(25, 25, 1), background=curve.background).sum[-1])


def test_surface_brightness_is_summed_with_one_pixel_area():
    curve = curve_of_growth(ONES, Circle(25, 25, 20), unit="MJy/sr", pixel_area=0.01)
    assert curve.unit == u.MJy and curve.pixarea_rule == "user"
    assert curve.sum[-1] == pytest.approx(1256.637061 * 0.01 * 2.350443053909789e-11, rel=1e-8)
    assert curve.r50 == pytest.approx(20 / math.sqrt(2))


def test_a_sky_region():
    wcs = WCS(naxis=2)
    wcs.wcs.crpix, wcs.wcs.crval, wcs.wcs.cdelt, wcs.wcs.ctype = [26, 26], [10, 20], [-1e-4, 1e-4], ["RA---TAN", "DEC--TAN"]
    curve = curve_of_growth(ONES, CircleSkyRegion(SkyCoord(10, 20, unit="deg"), 2e-3 * u.deg), wcs=wcs)
    assert curve.radius[-1] == pytest.approx(20, rel=1e-6) and curve.center == pytest.approx((25, 25), abs=1e-6)


def test_rings_polygons_and_several_shapes_grow_too():
    ring = curve_of_growth(ONES, Annulus(Circle(25, 25, 5), Circle(25, 25, 10)))
    assert ring.radius[[0, -1]] == pytest.approx([5.5, 10])
    assert ring.sum == pytest.approx(math.pi * (ring.radius**2 - 25))
    oval = curve_of_growth(ONES, Annulus(Ellipse(25, 25, 8, 5), Ellipse(25, 25, 12, 11)), n=4)
    assert oval.sum[0] == pytest.approx(math.pi * (9 * 6.5 - 40)) and oval.sum[-1] == pytest.approx(math.pi * (132 - 40))
    square = curve_of_growth(ONES, Polygon([(20, 20), (30, 20), (30, 30), (20, 30)]))
    assert square.sum == pytest.approx(np.arange(1, 11) ** 2.0) and square.axis == "Radius of the same area"
    assert math.pi * square.radius**2 == pytest.approx(square.sum)
    two = curve_of_growth(ONES, Combined("or", (Rectangle(20, 25, 4, 4), Rectangle(30, 25, 4, 4))), n=2)
    assert two.sum == pytest.approx([8, 32]) and math.pi * two.radius[-1] ** 2 == pytest.approx(32)


def test_beyond_the_region_and_over_the_edge():
    curve = curve_of_growth(ONES, Circle(-0.5, 25, 5), radii=[5, 10])
    assert curve.sum == pytest.approx([math.pi * 12.5, math.pi * 50])
    assert curve.on_image == pytest.approx([0.5, 0.5])


def test_what_is_not_finite_or_masked_is_not_summed():
    holed = ONES.copy()
    holed[25, 25] = np.nan
    mask = np.zeros(holed.shape, bool)
    mask[25, 28] = True
    curve = curve_of_growth(holed, Circle(25, 25, 10), mask=mask)
    assert curve.sum[-1] == pytest.approx(100 * math.pi - 2) and curve.n_bad.tolist()[:2] == [1, 1] and curve.n_bad[-1] == 2
    assert curve.sum[0] == pytest.approx(math.pi - 1)


def test_no_light_no_radii():
    curve = curve_of_growth(-ONES, Circle(25, 25, 10))
    assert np.isnan([curve.r50, curve.r50_err, curve.r80, curve.r80_err]).all()


def test_it_serialises():
    curve = curve_of_growth(ONES, Circle(25, 25, 10), n=3, unit="Jy", label="flat")
    plain = json.loads(json.dumps(curve.to_dict(), allow_nan=False))
    assert plain["sum"] == curve.sum.tolist() and plain["err"] == [None] * 3 and plain["unit"] == "Jy" and plain["label"] == "flat"
    table = curve.to_table()
    assert table["sum"].unit == u.Jy and table["radius"].unit == u.pix and table.meta["r50"] == curve.r50
    assert isinstance(curve, GrowthCurve) and len(curve) == 3 and curve.fraction[-1] == 1
    assert curve_of_growth(ONES, Circle(25, 25, 10)).to_table()["sum"][0] > 0


def test_half_outside_is_half():
    assert curve_of_growth(ONES, Circle(25, 50.5, 5)).sum[-1] == pytest.approx(math.pi * 12.5)


def test_a_region_without_a_pixel_centre_has_a_sum():
    assert curve_of_growth(ONES, Circle(25.5, 25.5, 0.3), n=3).sum[-1] == pytest.approx(math.pi * 0.09)


def test_tiny_factors_count():
    curve = curve_of_growth(ONES * 1e-20, Circle(25, 25, 5), background=1e-21, pixel_area=1e-20, unit="Jy/sr", error=1e-20)
    assert curve.sum[-1] == pytest.approx(0.9e-20 * math.pi * 25 * 1e-20 * 2.350443053909789e-11, rel=1e-12) and curve.err[-1] > 0
    assert curve.r50 == pytest.approx(5 / math.sqrt(2))


@pytest.mark.parametrize(
    ("region", "options", "text"),
    [
        (CircleSkyRegion(SkyCoord(10, 20, unit="deg"), 2e-3 * u.deg), {}, "Sky region provided but data has no valid WCS"),
        (Circle(25, 25, 5), {"error": 1 * u.Jy}, "error: its unit 'Jy' conflicts"),
        (Circle(25, 25, 5), {"pixel_area": -1, "unit": "Jy/sr"}, "pixel_area=-1.0: must be above 0"),
        (Circle(25, 25, 5), {"unit": "nonsense"}, "unit='nonsense': must be a unit"),
        (Circle(25, 25, 5), {"n": 0}, "n=0: must be a whole number from 1"),
        (Circle(25, 25, 5), {"n": 2.5}, "n=2.5: must be a whole number"),
        (Circle(25, 25, 5), {"radii": [3, 2]}, "radii: must be increasing"),
        (Circle(25, 25, 5), {"radii": [0, 2]}, "radii: must be increasing and above 0"),
        (Circle(25, 25, 5), {"radii": 3}, "radii: must be 1 to"),
        (Circle(25, 25, 5), {"radii": [1, math.nan]}, "radii=nan: must be a finite number"),
        (Annulus(Circle(25, 25, 5), Circle(25, 25, 9)), {"radii": [4, 8]}, "radii: must be increasing and above 5"),
        (Raster(np.ones((3, 3), bool)), {}, "mask of pixels cannot be scaled"),
        (Circle(200, 25, 5), {}, "region: must lie on the image"),
        (Circle(25, 25, 5), {"background": Background(100, 2)}, "background: the .* holds no finite pixel"),
        (Circle(25, 25, 5), {"background": math.nan}, "background: missing or invalid value nan"),
    ],
)
def test_bad_input(region, options, text):
    with pytest.raises(InputError, match=text):
        curve_of_growth(ONES, region, **options)


def test_an_image_without_a_finite_pixel():
    with pytest.raises(InputError, match="with a usable pixel; found none"):
        curve_of_growth(np.full((9, 9), np.nan), Circle(4, 4, 3))


def test_one_pixel():
    curve = curve_of_growth(np.full((1, 1), 2.0), Circle(0, 0, 0.4), n=2)
    assert curve.sum == pytest.approx(2 * math.pi * np.array([0.04, 0.16]))


def test_nothing_given_is_changed():
    image, radii = ONES.copy(), np.array([1.0, 2.0])
    curve_of_growth(image, Circle(25, 25, 5), radii=radii)
    assert (image == 1).all() and radii.tolist() == [1, 2]
