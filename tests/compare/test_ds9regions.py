"""DS9 regions: the grammar, the pixels they cover, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import regions as oracle
from astropy.coordinates import FK4, SkyCoord
from astropy.wcs import WCS

from ezarchive import sky
from ezarchive.compare import ds9regions
from ezarchive.compare.ds9regions import Ds9Box, Ds9Circle, Ds9Ellipse, Ds9Polygon, Ds9Regions, region_mask, star_region
from ezarchive.compare.fluximage import FluxImage
from ezarchive.errors import FrameError, InputError

SHAPE = (90, 120)


def image(rotation=20.0, centre=(53.16, -27.78), *, mirrored=False, shape=SHAPE, system="ICRS"):
    made, t, s = WCS(naxis=2), np.radians(rotation), 0.2 / 3600
    made.wcs.ctype = ["GLON-TAN", "GLAT-TAN"] if system == "galactic" else ["RA---TAN", "DEC--TAN"]
    made.wcs.crval, made.wcs.crpix = centre, [shape[1] / 2, shape[0] / 2]
    if system != "galactic":
        made.wcs.radesys = system
    sign = 1 if mirrored else -1
    made.wcs.cd = s * np.array([[sign * np.cos(t), -np.sin(t)], [sign * np.sin(t), np.cos(t)]])
    made.wcs.set()
    return FluxImage(np.zeros(shape), wcs=made)


def covered(text, on):
    """The pixels inside the regions that include."""
    return ~region_mask(text.splitlines(), on)


def test_the_published_grammar():
    text = """# Region file format: DS9
global color=green dashlist=8 3
circle(10,20,5)
fk5; -circle(3:32:38.012,-27:46:59.77,3.5") # a star; circle(1,2,3)

J2000
ellipse(53.158344,-27.78, 4", 0.05', 30)
 - box( 3 32 38, -27 46 59, 0.001, 0.002, 350 ) # text={box}
IMAGE;circle(1,2,3);-circle 4 5 6"""
    made = Ds9Regions(text.splitlines())
    assert len(made) == 6
    assert [region.shape for region in made] == ["circle", "circle", "ellipse", "box", "circle", "circle"]
    assert [region.exclude for region in made] == [False, True, False, True, False, True]
    assert [region.system for region in made] == ["physical", "fk5", "fk5", "fk5", "image", "image"]
    assert made[1].x == pytest.approx(15 * (3 + 32 / 60 + 38.012 / 3600), abs=1e-10)
    assert made[1].y == pytest.approx(-(27 + 46 / 60 + 59.77 / 3600), abs=1e-10)
    assert made[1].radius == pytest.approx(3.5 / 3600)
    assert (made[2].x, made[2].width * 3600, made[2].height * 3600, made[2].pa) == pytest.approx((53.158344, 4, 3, 30))
    assert (made[3].x, made[3].width, made[3].height, made[3].pa) == pytest.approx((53.15833333, 0.001, 0.002, 350))
    assert made[5] == Ds9Circle(True, "image", 4, 5, 6)
    assert "Ds9Ellipse" in str(made)
    assert "6" in repr(made)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3:32:38", 53.158333333), ("3h32m38s", 53.158333333), ("53d09m30s", 53.158333333), ("53.158333333d", 53.158333333),
        ("0.927787949r", 53.158333333), ("3h32m", 53.0), ("+53.25", 53.25), ("5.325e1", 53.25),
    ],
)  # fmt: skip
def test_longitudes(text, expected):
    assert Ds9Regions([f"icrs; circle({text}, 0, 1')"])[0].x == pytest.approx(expected, abs=1e-6)


def test_minus_zero_degrees_is_south_and_galactic_longitudes_are_degrees():
    assert Ds9Regions(['fk5; circle(1, -0:30:00, 1")'])[0].y == -0.5
    assert Ds9Regions(['galactic; circle(120:30:00, 1, 1")'])[0].x == 120.5


def test_a_file(tmp_path):
    path = tmp_path / "stars.reg"
    path.write_text('fk5\n-circle(53.16,-27.78,3")\n')
    assert len(Ds9Regions(path)) == len(Ds9Regions(str(path))) == 1
    assert region_mask(path, image()).sum() == pytest.approx(np.pi * 15**2, rel=0.02)
    with pytest.raises(FrameError, match=r"none.reg: is not there"):
        Ds9Regions(tmp_path / "none.reg")
    with pytest.raises(FrameError, match="cannot be read"):
        Ds9Regions(tmp_path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("wcsa; circle(1,2,3)", "must be a coordinate system"),
        ("detector; circle(1,2,3)", "detector cannot be used; must be one of physical, image, icrs"),
        ("linear", "linear cannot be used"),
        ("amplifier", "amplifier cannot be used"),
        ("hexagon(1,2,3)", "no such shape; must be one of circle"),
        ("point(1,2)", "point has no area"),
        ("circle(1,2,3", "a bracket is not closed"),
        ("circle(1,2,3) 4", "must end with the bracket"),
        ("circle(1,(2),3)", "one pair of brackets"),
        ("circle 1,2,3)", "one pair of brackets"),
        ("circle(1,2,x)", "'x' must be a number"),
        ("circle(1,b,3)", "'b' must be a number"),
        ("circle(nan,2,3)", "'nan' must be a number"),
        ("circle(1,,3)", "a number before and after every comma"),
        ("circle(1,2)", "must have 3 numbers, found 2"),
        ("circle(1,2,3,4)", "must have 3 numbers, found 4"),
        ("circle(1,2,0)", "radius 0.0: must be larger than zero"),
        ("circle(1,2,-3)", "radius -3.0: must be larger than zero"),
        ("box(1,2,3)", "must have 5 numbers"),
        ("ellipse(1,2,3,4',5)", "sizes must all have units, or none"),
        ("annulus(1,2,5,3)", "outer sizes larger than its inner"),
        ("polygon(1,2,3,4)", "three pairs"),
        ("polygon(1,2,3,4,5,6,7)", "three pairs"),
        ("fk5; circle(3:61:00,2,3)", "must be degrees, or sexagesimal"),
        ("fk5; circle(3:32:00,-95,3)", "latitude from -90 to 90"),
        ("circle", "must have 3 numbers, found 0"),
        ("-fk5", "no such shape"),
        ("???", "must be a coordinate system"),
        ("circle(1e400,2,3)", "must be a finite number"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named(tmp_path, line, message):
    path = tmp_path / "bad.reg"
    path.write_text(f"# first\n{line}\n")
    with pytest.raises(InputError, match=message) as caught:
        Ds9Regions(path)
    assert str(caught.value).startswith(f"{path}, line 2: ")


def test_other_arguments_are_refused():
    with pytest.raises(InputError, match="must be a path, or lines"):
        Ds9Regions(3)
    with pytest.raises(InputError, match="must be lines of text, found int"):
        Ds9Regions([3])
    with pytest.raises(InputError, match="must have a celestial WCS"):
        region_mask(['fk5; circle(1,2,3")'], np.zeros((5, 5)))
    with pytest.raises(InputError, match="system 'wcs'"):
        Ds9Circle(False, "wcs", 1, 2, 3)


@pytest.mark.parametrize("exclude", [False, True])
@pytest.mark.parametrize("name", [None, "none", "NONE", ""])
def test_nothing_masks_nothing(name, exclude):
    assert not region_mask(name, image()).any()
    assert region_mask(Ds9Circle(exclude, "image", 5, 5, 2), image()).any()


def test_pixels_count_from_one_and_centres_are_exact():
    y, x = np.indices(SHAPE)
    found = covered("physical; circle(30.3,41.2,5.05)", image())
    np.testing.assert_array_equal(found, np.hypot(x - 29.3, y - 40.2) < 5.05)
    np.testing.assert_array_equal(covered("image; circle(30.3,41.2,5.05)", image()), found)


def test_physical_pixels_follow_the_header():
    on = image()
    on.header.update({"LTV1": -100.0, "LTV2": -50.0, "LTM1_1": 0.5, "LTM2_2": 0.5})
    y, x = np.indices(SHAPE)
    found = covered("physical; circle(260.6,182.4,10.1)", on)  # the pixel 30.3, 41.2
    np.testing.assert_array_equal(found, np.hypot(x - 29.3, y - 40.2) < 5.05)


def test_exclusion_wins_and_inclusion_leaves_the_rest_out():
    on = image()
    inside, out = covered("image; circle(40,40,20)", on), covered("image; circle(50,40,10)", on)
    mask = region_mask(["image", "circle(40,40,20)", "-circle(50,40,10)", "circle(50,40,3)"], on)
    np.testing.assert_array_equal(mask, ~inside | out)
    np.testing.assert_array_equal(region_mask(["image", "-circle(50,40,10)"], on), out)


def test_regions_that_include_elsewhere_are_said_to_be_left_out():
    with pytest.warns(UserWarning, match="no region that includes covers a pixel"):
        assert not region_mask(['fk5; circle(10, 10, 3")'], image()).any()


@pytest.mark.parametrize("rotation", [0.0, 20.0, 130.0])
@pytest.mark.parametrize(
    "text",
    [
        'fk5; circle(53.16,-27.78,3.03")', 'icrs; ellipse(53.161,-27.779,4.1",2.2",30)', 'fk5; box(53.16,-27.78,7.1",3.3",75)',
        'galactic; circle(223.58,-54.43,5.3")', 'fk4; circle(52.65,-27.95,9.7")', 'fk5; annulus(53.16,-27.78,2.1",4.3")',
        "icrs; polygon(53.158,-27.782,53.162,-27.781,53.1605,-27.778)", "image; polygon(3.2,4.1,60.3,10.2,40,50.7)",
        "image; ellipse(40.2,30.7,21.3,10.2,40)", "image; box(40.2,30.7,21.3,10.2,40)", "image; annulus(40,30,10.2,20.3)",
        'fk5; ellipse(53.16,-27.78,2.1",1.1",4.2",2.2",30)', 'fk5; box(53.16,-27.78,2.1",1.1",4.2",2.2",30)',
    ],
)  # fmt: skip
def test_pixels_agree_with_the_regions_package(rotation, text):
    on = image(rotation)
    found = covered_or_none(text, on)
    made = oracle.Regions.parse(text.replace("; ", "\n"), format="ds9")[0]
    made = made.to_pixel(on.wcs) if hasattr(made, "to_pixel") else made
    y, x = np.indices(SHAPE)
    expected = made.contains(oracle.PixCoord(x, y))
    # Theirs is a flat approximation: a pixel on the edge may differ.
    assert (found != expected).sum() <= max(2, 0.004 * expected.sum())
    if not text.startswith(("gal", "fk4")):
        assert expected.sum() > 50


def covered_or_none(text, on):
    """As `covered`, but nothing where no pixel is met."""
    (region,) = Ds9Regions(text.splitlines())
    return region.covers(on)


@pytest.mark.parametrize("system", ["ICRS", "FK5", "galactic"])
@pytest.mark.parametrize("name", ["icrs", "fk5", "fk4", "galactic", "ecliptic"])
def test_one_circle_in_every_system(system, name):
    place = SkyCoord(53.16, -27.78, unit="deg")
    centre = (place.galactic.l.deg, place.galactic.b.deg) if system == "galactic" else (53.16, -27.78)
    on = image(centre=centre, system=system)
    frame = {"fk4": FK4(equinox="B1950"), "ecliptic": "barycentricmeanecliptic"}.get(name, name)
    there = place.transform_to(frame).spherical
    found = covered(f'{name}\ncircle({there.lon.deg:.10f},{there.lat.deg:.10f},4.01")', on)
    y, x = np.indices(SHAPE)
    ra, dec = sky.pixel_to_icrs(on.wcs, x, y)
    expected = SkyCoord(ra, dec, unit="deg").separation(place).arcsec < 4.01
    assert (found != expected).sum() <= 1


def test_angles_are_of_the_sky_in_a_mirrored_image():
    """The long axis points north-west: 45 degrees from west to north, in any image."""
    for mirrored in (False, True):
        on = image(rotation=0.0, mirrored=mirrored)
        found = covered('fk5; ellipse(53.16,-27.78,6",1",45)', on)
        y, x = np.nonzero(found)
        ra, dec = sky.pixel_to_icrs(on.wcs, x, y)
        west, north = -(ra - 53.16) * np.cos(np.radians(-27.78)), dec + 27.78
        assert np.corrcoef(west, north)[0, 1] > 0.9


@pytest.mark.parametrize("centre", [(0.0, 10.0), (359.9999, -10.0), (10.0, 89.999), (200.0, -89.9995)])
@pytest.mark.parametrize("shape", ['circle({},{},3.01")', 'ellipse({},{},3.01",3.01",20)', 'annulus({},{},0",3.01")'])
def test_zero_right_ascension_and_poles(centre, shape):
    on = image(centre=centre)
    found = covered("icrs; " + shape.format(*centre), on)
    assert found.sum() == pytest.approx(np.pi * (3.01 / 0.2) ** 2, rel=0.03)


def test_a_polygon_over_zero_right_ascension():
    on = image(centre=(0.0, 0.0), rotation=0.0)
    found = covered("icrs; polygon(0.00101,-0.00101,359.99899,-0.00101,359.99899,0.00101,0.00101,0.00101)", on)
    assert found.sum() == pytest.approx(37**2)


def test_a_polygon_as_large_as_the_sky_is_refused():
    with pytest.raises(InputError, match="smaller than a hemisphere"):
        region_mask(["icrs; polygon(0,0,120,0,240,0)"], image())
    with pytest.raises(InputError, match="latitudes from -90 to 90"):
        Ds9Polygon("polygon", False, "icrs", 0, 0, ((0, 0), (1, 0), (1, 91)))


def test_sizes_in_other_units():
    y, x = np.indices(SHAPE)
    np.testing.assert_array_equal(covered('image; circle(30.3,41.2,1.01")', image()), np.hypot(x - 29.3, y - 40.2) < 5.05)
    sky_size, pixels = covered('fk5; circle(53.16,-27.78,3.01")', image()), covered("fk5; circle(53.16,-27.78,15.05i)", image())
    assert (sky_size != pixels).sum() <= 1
    with pytest.raises(InputError, match="must have a celestial WCS"):
        region_mask(['image; circle(3,3,1")'], np.zeros((9, 9)))


def test_sectors():
    on = image()
    ring = covered("image; annulus(60,45,5,20.5)", on)
    first, second = (covered(f"image; panda(60,45,{a},{b},1,5,20.5,1)", on) for a, b in ((30, 300), (300, 30)))
    assert not (first & second).any()
    np.testing.assert_array_equal(first | second, ring)
    assert first.sum() / ring.sum() == pytest.approx(0.75, abs=0.01)
    turned = covered("image; epanda(60,45,0,90,1,2,1,20.5,10,1,45)", on)
    y, x = np.nonzero(turned)
    assert np.degrees(np.arctan2(y.mean() - 44, x.mean() - 59)) == pytest.approx(45 + 30, abs=20)
    assert covered("image; bpanda(60,45,0,360,1,4,4,20,10,1,0)", on).sum() == 19 * 9 - 9


def test_a_star_keeps_every_digit():
    region = star_region(350.85123456789, -27.1234567891, 3.0)
    assert (region.x, region.y, region.radius * 3600) == pytest.approx((350.85123456789, -27.1234567891, 3.0), abs=1e-12)
    on = image(centre=(350.85123456789, -27.1234567891), shape=(301, 301))
    y, x = np.indices(on.shape)
    px, py = sky.icrs_to_pixel(on.wcs, region.x, region.y)
    np.testing.assert_array_equal(region.covers(on), np.hypot(x - px, y - py) * 0.2 < 3.0)
    np.testing.assert_array_equal(region_mask(star_region(region.x, region.y, 3.0, exclude=True), on), region.covers(on))


@pytest.mark.parametrize(
    ("star", "message"),
    [((1, 2, 0), "radius must be more than 0"), ((1, 2, -1), "more than 0"), ((1, 2, np.nan), "more than 0"), (("1", 2, 3), "ra must be a"),
     ((np.nan, 2, 3), "finite number"), ((1, 95, 3), "latitude")],
)  # fmt: skip
def test_a_star_that_cannot_be(star, message):
    with pytest.raises(InputError, match=message):
        star_region(*star)


def test_a_region_off_the_image_or_behind_the_sky_covers_nothing():
    assert not star_region(53.16, -27.7, 3).covers(image()).any()
    assert not star_region(233.16, 27.78, 3).covers(image()).any()
    assert Ds9Circle(False, "icrs", 53.16, -27.78, 100.0).covers(image()).all()


def test_objects_can_be_given():
    made = Ds9Regions([Ds9Box(False, "image", 10, 10, 4, 4), Ds9Ellipse(True, "fk5", 1, 2, 3, 4, 5)])
    assert [region.shape for region in made] == ["box", "ellipse"]
    assert len(Ds9Regions(made)) == 2
    assert set(ds9regions.__all__) <= set(dir(ds9regions))


def test_regions_of_the_package_are_read():
    made = oracle.Regions.parse('icrs\ncircle(53.16,-27.78,3.03")\n-ellipse(53.161,-27.779,2",1",30)\n', format="ds9")
    ours = Ds9Regions(made)
    assert [(region.shape, region.exclude, region.system) for region in ours] == [("circle", False, "icrs"), ("ellipse", True, "icrs")]
    assert ours[0].radius * 3600 == pytest.approx(3.03, abs=1e-6)
    np.testing.assert_array_equal(region_mask(made[0], image()), region_mask(star_region(53.16, -27.78, 3.03), image()))


def test_the_property_include_counts():
    lines = ["global include=0", "circle(1,2,3)", "circle(1,2,3) # include=1 text={include=0}", "global include = 1", "circle(1,2,3)",
             "circle(1,2,3) # color=red include=0", "-circle(1,2,3) # include=1"]  # fmt: skip
    assert [region.exclude for region in Ds9Regions(lines)] == [True, False, False, True, True]
