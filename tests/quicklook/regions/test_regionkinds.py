"""Regions of every kind as shapes: regions, photutils, masks, boxes; and back."""

from __future__ import annotations

import operator

import numpy as np
import photutils.aperture as ap
import pytest
import regions as rg
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS

from ezarchive.errors import InputError
from ezarchive.quicklook.planes.inputs import picture
from ezarchive.quicklook.regions.regionkinds import from_box, on_sky, outcomes, shape_of, shapes_of, to_region
from ezarchive.quicklook.regions.shapes import Annulus, Circle, Combined, Ellipse, Inverted, Polygon, Raster, Rectangle
from ezarchive.quicklook.regions.skyshapes import SkyOutline

P = rg.PixCoord(10.25, 20.5)
DEG = u.deg


def tan(angle=33.0, scale=0.3, *, mirrored=False, center=(30.0, -40.0)):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = center, [50.0, 60.0]
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    wcs.wcs.cd = np.array([[c if mirrored else -c, s], [s if not mirrored else -s, c]]) * scale / 3600
    return wcs


def image(**options):
    return picture(np.zeros((100, 120)), wcs=tan(**options))


PIXEL = [
    (rg.CirclePixelRegion(P, 3.5), Circle(10.25, 20.5, 3.5)),
    (rg.EllipsePixelRegion(P, 8.0, 5.0, 30 * DEG), Ellipse(10.25, 20.5, 4.0, 2.5, 30)),
    (rg.RectanglePixelRegion(P, 8.0, 5.0, 30 * DEG), Rectangle(10.25, 20.5, 8, 5, 30)),
    (rg.CircleAnnulusPixelRegion(P, 2.0, 5.0), Annulus(Circle(10.25, 20.5, 2), Circle(10.25, 20.5, 5))),
    (
        rg.EllipseAnnulusPixelRegion(P, 4.0, 8.0, 2.0, 6.0, 30 * DEG),
        Annulus(Ellipse(10.25, 20.5, 2, 1, 30), Ellipse(10.25, 20.5, 4, 3, 30)),
    ),
    (
        rg.RectangleAnnulusPixelRegion(P, 4.0, 8.0, 2.0, 6.0, 30 * DEG),
        Annulus(Rectangle(10.25, 20.5, 4, 2, 30), Rectangle(10.25, 20.5, 8, 6, 30)),
    ),
    (rg.PolygonPixelRegion(rg.PixCoord([1.0, 5.0, 4.0], [2.0, 2.0, 7.0])), Polygon([(1, 2), (5, 2), (4, 7)])),
]


@pytest.mark.pure
@pytest.mark.parametrize(("region", "shape"), PIXEL, ids=lambda one: type(one).__name__)
def test_pixel_regions_and_back(region, shape):
    assert shape_of(region) == shape
    back = to_region(shape)
    assert type(back) is type(region)
    assert shape_of(back) == shape
    y, x = np.mgrid[:40, :40] + 0.013
    assert np.array_equal(shape.contains(x, y), region.contains(rg.PixCoord(x, y)))


@pytest.mark.pure
def test_a_regular_polygon_is_a_polygon():
    found = shape_of(rg.RegularPolygonPixelRegion(P, 6, 4.0))
    assert isinstance(found, Polygon)
    assert len(found.vertices) == 6


@pytest.mark.pure
@pytest.mark.parametrize(("function", "name"), [(operator.and_, "and"), (operator.or_, "or"), (operator.xor, "xor"), (np.logical_or, "or")])
def test_compounds(function, name):
    one, two = PIXEL[0][0], PIXEL[2][0]
    found = shape_of(rg.CompoundPixelRegion(one, two, function))
    assert found == Combined(name, (PIXEL[0][1], PIXEL[2][1]))
    again = shape_of(to_region(found))
    assert again == found


@pytest.mark.pure
def test_three_parts_become_nested_pairs():
    shape = Combined("xor", (Circle(5, 5, 3), Circle(8, 5, 3), Circle(6, 8, 3)))
    y, x = np.mgrid[:12, :15]
    assert np.array_equal(shape_of(to_region(shape)).contains(x, y), shape.contains(x, y))


APERTURES = [
    (ap.CircularAperture((10.25, 20.5), 3.5), PIXEL[0][1]),
    (ap.EllipticalAperture((10.25, 20.5), 4.0, 2.5, theta=30 * DEG), PIXEL[1][1]),
    (ap.EllipticalAperture((10.25, 20.5), 4.0, 2.5, theta=np.radians(30)), PIXEL[1][1]),
    (ap.RectangularAperture((10.25, 20.5), 8.0, 5.0, theta=30 * DEG), PIXEL[2][1]),
    (ap.CircularAnnulus((10.25, 20.5), 2.0, 5.0), PIXEL[3][1]),
    (ap.EllipticalAnnulus((10.25, 20.5), 2.0, 4.0, 3.0, b_in=1.0, theta=30 * DEG), PIXEL[4][1]),
    (ap.RectangularAnnulus((10.25, 20.5), 4.0, 8.0, 6.0, h_in=2.0, theta=30 * DEG), PIXEL[5][1]),
]


@pytest.mark.pure
@pytest.mark.parametrize(("aperture", "shape"), APERTURES, ids=lambda one: type(one).__name__)
def test_photutils_pixel_apertures(aperture, shape):
    found = shape_of(aperture)
    assert type(found) is type(shape)
    assert found.bounds == pytest.approx(shape.bounds, abs=1e-12)
    assert found.area == pytest.approx(shape.area, rel=1e-12)


@pytest.mark.pure
def test_an_aperture_of_many_positions_is_many_shapes():
    many = ap.CircularAperture([(1, 2), (3, 4)], 2.0)
    assert shapes_of(many) == [Circle(1, 2, 2), Circle(3, 4, 2)]
    assert shapes_of([many, Circle(9, 9, 1)])[2] == Circle(9, 9, 1)
    with pytest.raises(InputError, match="region: must be one, found an aperture with 2 positions"):
        shape_of(many)


@pytest.mark.pure
def test_lists_of_any_kind():
    regions = [PIXEL[0][0], PIXEL[1][0]]
    want = [PIXEL[0][1], PIXEL[1][1]]
    assert shapes_of(rg.Regions(regions)) == shapes_of(tuple(regions)) == shapes_of(iter(regions)) == want
    assert shapes_of([]) == []


@pytest.mark.pure
def test_masks_are_those_of_the_image():
    mask = np.zeros((100, 120), bool)
    mask[3:5, 7:10] = True
    assert shape_of(mask, image()) == Raster(np.ones((2, 3), bool), 7, 3)
    with pytest.raises(InputError, match=r"Mask creation failed: a mask must have the shape of the image, \(100, 120\), found \(3, 4\)"):
        shape_of(np.ones((3, 4), bool), image())
    with pytest.raises(InputError, match="must hold a pixel"):
        shape_of(np.zeros((100, 120), bool), image())


@pytest.mark.pure
def test_shapes_and_their_dicts_are_regions():
    shape = Ellipse(3, 4, 2, 1, 10)
    assert shape_of(shape) is shape
    assert shape_of(shape.to_dict()) == shape


@pytest.mark.pure
def test_drawn_boxes():
    assert from_box("circle", 2, 4, 12, 14) == Circle(7, 9, 5)
    assert from_box("ellipse", 12, 14, 2, 10) == Ellipse(7, 12, 5, 2)
    assert from_box("rectangle", 0, 0, 5, 2) == Rectangle(2.5, 1, 5, 2)
    with pytest.raises(InputError, match="box: must have an area, found 0 x 2 pixels"):
        from_box("circle", 1, 1, 1, 3)
    with pytest.raises(InputError, match="kind='star': must be circle, ellipse or rectangle"):
        from_box("star", 1, 1, 2, 3)
    with pytest.raises(InputError, match="x1=nan: must be a finite number"):
        from_box("circle", 1, 1, np.nan, 3)


@pytest.mark.pure
@pytest.mark.parametrize(
    ("region", "message"),
    [
        (rg.PointPixelRegion(P), "region: not implemented: PointPixelRegion has no area"),
        (rg.TextPixelRegion(P, "a"), "region: not implemented: TextPixelRegion has no area"),
        (rg.LinePixelRegion(P, rg.PixCoord(3, 4)), "region: not implemented: LinePixelRegion has no area"),
        (rg.PointSkyRegion(SkyCoord(30 * DEG, -40 * DEG)), "region: not implemented: PointSkyRegion has no area"),
        ("circle", "Mask creation failed: must be a region, an aperture, a shape or a mask of bool, found str"),
        (None, "Mask creation failed: must be a region, an aperture, a shape or a mask of bool, found NoneType"),
        (np.ones((3, 3)), "Mask creation failed: must be a region, an aperture, a shape or a mask of bool, found ndarray"),
        (rg.CompoundPixelRegion(PIXEL[0][0], PIXEL[1][0], operator.add), "region: must be combined by and, or, xor, found add"),
    ],
)
def test_what_is_no_region(region, message):
    with pytest.raises(InputError, match=message):
        shape_of(region if not isinstance(region, str) else [region][0], image())


@pytest.mark.pure
def test_the_message_says_which():
    with pytest.raises(InputError, match="region 1: not implemented: PointPixelRegion has no area"):
        shapes_of([PIXEL[0][0], rg.PointPixelRegion(P)])
    found = outcomes([PIXEL[0][0], rg.PointPixelRegion(P), rg.CircleSkyRegion(SkyCoord(30 * DEG, -40 * DEG), 1 * u.arcsec)])
    assert [isinstance(one, InputError) for one in found] == [False, True, True]
    assert str(found[2]) == "Sky region provided but data has no valid WCS"


@pytest.mark.pure
def test_the_sky_needs_a_wcs():
    region = rg.CircleSkyRegion(SkyCoord(30 * DEG, -40 * DEG), 1 * u.arcsec)
    for bare in (None, np.zeros((5, 5))):
        with pytest.raises(InputError, match="region: Sky region provided but data has no valid WCS"):
            shape_of(region, bare)


@pytest.mark.pure
def test_what_has_no_region():
    with pytest.raises(InputError, match="shape: there is no region for a mask of pixels"):
        to_region(Raster(np.ones((2, 2), bool)))
    with pytest.raises(InputError, match="shape: there is no region for the outside of a shape"):
        to_region(Inverted(Circle(0, 0, 1)))
    with pytest.raises(InputError, match="shape: must be a shape, found str"):
        to_region("circle")


@pytest.mark.oracle
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("angle", [0.0, 33.0, 140.0])
def test_sky_regions_are_where_regions_puts_them(angle, mirrored):
    on = image(angle=angle, mirrored=mirrored)
    c = SkyCoord(30.001, -40.002, unit="deg")
    for region in (
        rg.CircleSkyRegion(c, 3 * u.arcsec),
        rg.EllipseSkyRegion(c, 6 * u.arcsec, 3 * u.arcsec, 20 * DEG),
        rg.RectangleSkyRegion(c, 6 * u.arcsec, 3 * u.arcsec, 20 * DEG),
        rg.RectangleSkyRegion(c, 3 * u.arcsec, 3 * u.arcsec, 20 * DEG),
        rg.CircleAnnulusSkyRegion(c, 2 * u.arcsec, 3 * u.arcsec),
        rg.EllipseAnnulusSkyRegion(c, 3 * u.arcsec, 4 * u.arcsec, 2 * u.arcsec, 3 * u.arcsec, 20 * DEG),
        rg.RectangleAnnulusSkyRegion(c, 3 * u.arcsec, 4 * u.arcsec, 2 * u.arcsec, 3 * u.arcsec, 20 * DEG),
        rg.PolygonSkyRegion(SkyCoord([30.0, 30.001, 30.0005], [-40.0, -40.0, -40.001], unit="deg")),
    ):
        ours, theirs = shape_of(region, on), shape_of(region.to_pixel(on.wcs))
        assert type(ours) is type(theirs)
        assert ours.bounds == pytest.approx(theirs.bounds, abs=1e-5)
        assert ours.area == pytest.approx(theirs.area, rel=1e-6)


@pytest.mark.oracle
@pytest.mark.parametrize("mirrored", [False, True])
def test_photutils_counts_position_angles_from_north_and_regions_from_west(mirrored):
    """The trap of 90 degrees: the same ellipse in both packages, and a place along its long axis."""
    on = image(angle=15.0, mirrored=mirrored)
    c = SkyCoord(30.001, -40.002, unit="deg")
    pa = 25 * DEG
    aperture = ap.SkyEllipticalAperture(c, 6 * u.arcsec, 2 * u.arcsec, theta=pa)
    region = rg.EllipseSkyRegion(c, 12 * u.arcsec, 4 * u.arcsec, pa + 90 * DEG)
    one, two = shape_of(aperture, on), shape_of(region, on)
    assert one.theta == pytest.approx(two.theta, abs=1e-9)
    along, across = (c.directional_offset_by(direction, 5 * u.arcsec) for direction in (pa, pa + 90 * DEG))
    for shape in (one, two):
        assert shape.contains(*on.wcs.world_to_pixel(along))
        assert not shape.contains(*on.wcs.world_to_pixel(across))
    box = ap.SkyRectangularAperture(c, 12 * u.arcsec, 4 * u.arcsec, theta=pa)
    assert shape_of(box, on).contains(*on.wcs.world_to_pixel(along))


@pytest.mark.oracle
def test_sky_apertures_are_where_photutils_puts_them():
    on = image()
    c = SkyCoord([30.001, 30.002], [-40.002, -40.001], unit="deg")
    for aperture in (
        ap.SkyCircularAperture(c, 3 * u.arcsec),
        ap.SkyCircularAnnulus(c, 2 * u.arcsec, 3 * u.arcsec),
        ap.SkyEllipticalAperture(c, 3 * u.arcsec, 1 * u.arcsec, theta=20 * DEG),
        ap.SkyRectangularAperture(c, 3 * u.arcsec, 1 * u.arcsec, theta=20 * DEG),
        ap.SkyEllipticalAnnulus(c, 2 * u.arcsec, 3 * u.arcsec, 2 * u.arcsec, b_in=1 * u.arcsec, theta=20 * DEG),
        ap.SkyRectangularAnnulus(c, 2 * u.arcsec, 3 * u.arcsec, 2 * u.arcsec, h_in=1 * u.arcsec, theta=20 * DEG),
    ):
        ours = shapes_of(aperture, on)
        theirs = [shape_of(one.to_pixel(on.wcs)) for one in (aperture[0], aperture[1])]
        for one, other in zip(ours, theirs, strict=True):
            assert type(one) is type(other)
            assert one.bounds == pytest.approx(other.bounds, abs=1e-4)


@pytest.mark.truth
def test_an_angle_in_the_galactic_system_is_from_its_own_north():
    """An ICRS image: the long axis of a galactic ellipse points along galactic latitude, not declination."""
    on = image(angle=0.0)
    c = SkyCoord(30.001, -40.002, unit="deg").galactic
    region = rg.EllipseSkyRegion(c, 12 * u.arcsec, 3 * u.arcsec, 90 * DEG)
    shape = shape_of(region, on)
    assert shape.contains(*on.wcs.world_to_pixel(c.directional_offset_by(0 * DEG, 5.5 * u.arcsec)))
    assert not shape.contains(*on.wcs.world_to_pixel(c.directional_offset_by(90 * DEG, 3 * u.arcsec)))


@pytest.mark.truth
def test_an_icrs_angle_on_a_galactic_image_is_from_icrs_north():
    wcs = tan()
    wcs.wcs.ctype = ["GLON-TAN", "GLAT-TAN"]
    center = SkyCoord(30.0, -40.0, unit="deg").galactic
    wcs.wcs.crval = [center.l.deg, center.b.deg]
    on = picture(np.zeros((100, 120)), wcs=wcs)
    c = SkyCoord(30.001, -40.002, unit="deg")
    shape = shape_of(rg.EllipseSkyRegion(c, 12 * u.arcsec, 3 * u.arcsec, 90 * DEG), on)
    assert shape.contains(*wcs.world_to_pixel(c.directional_offset_by(0 * DEG, 5.5 * u.arcsec)))
    assert not shape.contains(*wcs.world_to_pixel(c.directional_offset_by(90 * DEG, 3 * u.arcsec)))


@pytest.mark.pure
def test_sky_regions_follow_each_image():
    region = rg.CircleSkyRegion(SkyCoord(30.001, -40.002, unit="deg"), 3 * u.arcsec)
    fine, coarse = shape_of(region, image()), shape_of(region, image(angle=80.0, scale=0.6))
    assert fine.radius == pytest.approx(10, rel=1e-7)
    assert coarse.radius == pytest.approx(5, rel=1e-7)
    assert coarse.center != pytest.approx(fine.center, abs=1)


@pytest.mark.pure
def test_many_at_once_are_those_one_by_one():
    on = image()
    places = SkyCoord(30 + np.linspace(0, 0.004, 40), -40 - np.linspace(0, 0.003, 40), unit="deg", frame="fk5")
    regions = [rg.CircleSkyRegion(c, 2 * u.arcsec) for c in places[:20]]
    regions += [rg.EllipseSkyRegion(c.galactic, 4 * u.arcsec, 2 * u.arcsec, 10 * DEG) for c in places[20:]]
    regions.insert(7, Circle(3, 3, 2))
    together = shapes_of(regions, on)
    for region, shape in zip(regions, together, strict=True):
        alone = shape_of(region, on)
        assert type(alone) is type(shape)
        assert alone.bounds == pytest.approx(shape.bounds, abs=1e-9)


@pytest.mark.pure
def test_compounds_of_the_sky():
    on = image()
    c = SkyCoord(30.001, -40.002, unit="deg")
    one, two = rg.CircleSkyRegion(c, 3 * u.arcsec), rg.CircleSkyRegion(c, 1 * u.arcsec)
    found = shape_of(one ^ two, on)
    assert isinstance(found, Combined)
    assert found.operator == "xor"
    assert [part.radius for part in found.parts] == pytest.approx([10, 10 / 3], rel=1e-7)
    with pytest.raises(InputError, match="region: must be combined by and, or, xor, found add"):
        shape_of(rg.CompoundSkyRegion(one, two, operator.add), on)


@pytest.mark.pure
def test_off_the_projection_is_said():
    on = image()
    beyond = rg.CircleSkyRegion(SkyCoord(210.0, 40.0, unit="deg"), 3 * u.arcsec)
    with pytest.raises(InputError, match=r"\(210.000000, 40.000000\) deg is not on the projection of the image"):
        shape_of(beyond, on)
    corners = SkyCoord([30.0, 30.001, 210.0], [-40.0, -40.0, 40.0], unit="deg")
    with pytest.raises(InputError, match="is not on the projection of the image"):
        shape_of(rg.PolygonSkyRegion(corners), on)
    inside = rg.CircleSkyRegion(SkyCoord(30.0, -40.0, unit="deg"), 3 * u.arcsec)
    with pytest.raises(InputError, match="region 1: "):
        shapes_of([inside, inside | beyond], on)


@pytest.mark.pure
def test_a_wcs_that_cannot_be_used_is_a_reason():
    flat = tan()
    flat.wcs.cd = np.array([[1e-4, 1e-4], [1e-4, 1e-4]])
    found = outcomes(
        [rg.CircleSkyRegion(SkyCoord(30.0, -40.0, unit="deg"), 3 * u.arcsec), Circle(1, 1, 1)], picture(np.zeros((9, 9)), wcs=flat)
    )
    assert isinstance(found[0], InputError)
    assert found[1] == Circle(1, 1, 1)


@pytest.mark.pure
def test_on_sky():
    c = SkyCoord(30.001, -40.002, unit="deg")
    assert on_sky(Circle(1, 2, 3)) is None
    assert on_sky(rg.CircleSkyRegion(c, 3 * u.arcsec)) == SkyOutline("circle", c.ra.deg, c.dec.deg, (3.0,))
    made = on_sky(ap.SkyRectangularAperture(c, 3 * u.arcsec, 2 * u.arcsec, theta=5 * DEG))
    assert made.lengths == pytest.approx((3, 2))
    assert made.pa == 5
    assert on_sky(made) is made


@pytest.mark.pure
def test_sky_regions_back_and_forth():
    on = image()
    for shape in (Circle(40, 50, 6), Ellipse(40, 50, 6, 3, 20), Rectangle(40, 50, 6, 3, 20), Polygon([(40, 50), (46, 50), (41, 57)])):
        region = to_region(shape, on.wcs)
        assert isinstance(region, rg.SkyRegion)
        back = shape_of(region, on)
        assert back.bounds == pytest.approx(shape.bounds, abs=1e-5)


@pytest.mark.truth
@pytest.mark.parametrize("matrix", [[[-1, 0], [0, 1]], [[1, 0], [0, 1]], [[-2, 0], [0, 1]], [[-1, 0.3], [0.1, 1]]])
def test_to_the_sky_and_back_where_pixels_are_mirrored_oblong_or_skew(matrix):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [0.001, 75.0], [40, 40]
    wcs.wcs.cd = np.array(matrix) * 0.3 / 3600
    on, places = picture(np.zeros((90, 90)), wcs=wcs), np.random.default_rng(1).uniform(10, 70, (2, 5000))
    rings = [Annulus(kind(40, 40, 6, 4, 50), kind(40, 40, 12, 8, 50)) for kind in (Ellipse, Rectangle)]
    shapes = [Circle(40, 40, 9), Ellipse(40, 40, 9, 4, 20), Rectangle(40, 40, 9, 4, 20), Polygon([(20, 20), (40, 25), (30, 50)]), *rings]
    shapes += [Annulus(Circle(40, 40, 5), Circle(40, 40, 9)), Combined("xor", (Circle(30, 40, 9), Ellipse(40, 40, 12, 8, 0)))]
    for shape in shapes:
        back = shape_of(to_region(shape, wcs), on)
        assert np.count_nonzero(back.contains(*places) != shape.contains(*places)) <= 2, (shape, back)


@pytest.mark.pure
def test_a_wcs_that_is_none_is_named():
    with pytest.raises(InputError, match="wcs: must be a WCS, found str without pixel_to_world"):
        to_region(Circle(1, 2, 3), "x")
