"""Region files: what is read, what is written, what fails and why."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
import regions as rg
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import QTable
from astropy.wcs import WCS

from ezarchive.errors import FrameError, InputError
from ezarchive.quicklook.inputs import picture
from ezarchive.quicklook.regionfiles import parse_regions, read_regions, stcs, write_regions
from ezarchive.quicklook.regionkinds import shapes_of
from ezarchive.quicklook.shapes import Annulus, Circle, Combined, Ellipse, Inverted, Polygon, Raster, Rectangle

pytestmark = pytest.mark.pure

DS9 = """# Region file format: DS9 version 4.1
# Filename: a.fits
global color=green dashlist=8 3 width=1 font="helvetica 10 normal roman" select=1
fk5
circle(2:00:00,-40:00:00,3.5") # text={a; star} color=red
-ellipse(30.0,-40.0,3",2",20)
image;box(10,20,5,4,30)
annulus(10,20,5,7,9)
panda(1,2,3,4,5,6,7,8)
point(5,5)
circle(1,2,-3)
nonsense(3)
physical
circle(4,5,6)
# vector(3,4,5,6)
# text(5,6) text={words}
galactic
polygon(1,2,3,4,5,9)
detector
circle(1,2,3)
"""


def tan(angle=33.0):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = [30.0, -40.0], [50.0, 60.0]
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    wcs.wcs.cd = np.array([[-c, s], [s, c]]) * 0.3 / 3600
    return wcs


IMAGE = picture(np.zeros((100, 120)), wcs=tan())
SHAPES = [
    Circle(3, 4, 2.123456789),
    Ellipse(3, 4, 5, 2, 33),
    Rectangle(3, 4, 5, 2, 33),
    Polygon([(0.5, 1), (4, 2), (3, 5)]),
    Polygon([(0, 0), (4, 2), (3, 5), (1, 4)]),
    Annulus(Circle(0, 0, 2), Circle(0, 0, 3)),
]


def test_ds9_line_by_line():
    found = parse_regions(DS9)
    assert [type(one).__name__ for one in found] == [
        "CircleSkyRegion", "RectanglePixelRegion", "CircleAnnulusPixelRegion", "CircleAnnulusPixelRegion", "PolygonSkyRegion"
    ]  # fmt: skip
    assert found.labels == ("a; star", "", "", "", "")
    assert found[0].radius == 3.5 * u.arcsec
    assert found[1].center.xy == (9, 19)
    assert [one.outer_radius for one in found[2:4]] == [7, 9]
    assert [type(one).__name__ for one in found.excluded] == ["EllipseSkyRegion"]
    reasons = [one.reason for one in found.failures]
    texts = [one.region if isinstance(one.region, str) else type(one.region).__name__ for one in found.failures]
    assert texts == [
        "panda(1,2,3,4,5,6,7,8)", "PointPixelRegion", "circle(1,2,-3)", "nonsense(3)", "CirclePixelRegion", "# vector(3,4,5,6)",
        "TextPixelRegion", "circle(1,2,3)",
    ]  # fmt: skip
    assert reasons[1] == "not implemented: PointPixelRegion has no area"
    assert "must be a strictly positive" in reasons[2]
    assert reasons[4].startswith("physical coordinates: give `image`")
    assert reasons[5] == "not implemented: it has no area"
    assert found.total == 14
    assert found.message.startswith("Loaded 5 of 14 regions, 1 excluded; panda(1,2,3,4,5,6,7,8): it cannot be understood")
    assert len(found) == len(found[:]) == 5


def test_to_dict_is_json():
    values = json.loads(json.dumps(parse_regions(DS9).to_dict(), allow_nan=False))
    assert len(values["regions"]) == 5
    assert values["failures"][1]["reason"] == "not implemented: PointPixelRegion has no area"


VARIANTS = """image
circle 100 100 10
CIRCLE(100 100 10) # color=red text='a;b'
box(10,20,5,4)
ellipse(10,20,5,4) # text="c;d"; +circle(1,2,3) # text={e;f}
# composite(10,10,0) || composite=1 color=red
circle(1,2,3) || # color=red
FK5; circle(12:34:56.7,-12:34:56,1.5')
circle(12h34m56.7s,-12d34m56s,1.5d)
icrs
circle(188.7d,-12.5d,10")
"""


def test_the_many_ways_to_write_a_line():
    found = parse_regions(VARIANTS.replace("\n", "\r\n"))
    assert not found.failures
    assert found.labels == ("", "a;b", "", "c;d", "e;f", "", "", "", "")
    shapes = shapes_of(found[:6])
    assert shapes[:4] == [Circle(99, 99, 10), Circle(99, 99, 10), Rectangle(9, 19, 5, 4), Ellipse(9, 19, 5, 4)]
    assert shapes[5] == Circle(0, 1, 3)
    assert found[6].center.ra.deg == pytest.approx(188.73625)
    assert found[7].radius == 1.5 * u.deg


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("fk5; circle(188.7,-12.5,10p)", "Cannot parse sky region angle parameter"),
        ("wcsa; circle(1,2,3)", "is not supported by the regions package"),
        ("icrs; polygon(1,2,3,4)", "vertices: must be three positions or more, found 2"),
        ("icrs; line(1,2,3,4)", "not implemented: LineSkyRegion has no area"),
        ("image; box(1,2,0,4,0)", "strictly positive"),
        ("image; polygon(1,1,5,5,5,1,1,5)", "vertices: must enclose an area, found none"),
        ("image; polygon(1,1,5,5,5,1,1,6)", "vertices: sides must not cross"),
    ],
)
def test_lines_that_fail_say_why(text, reason):
    found = parse_regions(text)
    assert not found.regions
    assert reason in found.failures[0].reason


def test_without_a_system_a_file_is_physical_as_in_ds9():
    header = fits.Header({"LTV1": -100.0, "LTV2": -50.0, "LTM1_1": 0.5, "LTM2_2": 0.5})
    binned = picture(np.zeros((100, 120)), header=header)
    (circle,) = parse_regions("circle(301,201,10)", image=binned)
    # image = 0.5 physical + LTV, both counted from 1: 50.5 and 50.5, which is 49.5 from 0.
    assert circle.center.xy == (49.5, 49.5)
    assert circle.radius == 5
    (plain,) = parse_regions("physical; circle(11,21,3) # text={b}", image=np.zeros((50, 50)))
    assert plain.center.xy == (10, 20)
    assert plain.meta["text"] == "b"


def test_the_sky_on_an_image_without_a_wcs():
    found = parse_regions(DS9, image=np.zeros((40, 40)))
    reasons = [one.reason for one in found.failures]
    assert reasons.count("Sky region provided but data has no valid WCS") == 3
    assert not found.excluded
    off = parse_regions('icrs; circle(210, 40, 3")', image=IMAGE)
    assert "is not on the projection of the image" in off.failures[0].reason


@pytest.mark.parametrize("suffix", [".reg", ".ds9", ".crtf", ".fits"])
def test_pixels_there_and_back(tmp_path, suffix):
    path = write_regions(tmp_path / f"a{suffix}", SHAPES)
    found = read_regions(path)
    assert found.message == "Loaded 6 of 6 regions"
    for shape, back in zip(SHAPES, shapes_of(found), strict=True):
        assert type(back) is type(shape)
        assert back.bounds == pytest.approx(shape.bounds, abs=1e-9)
        assert back.area == pytest.approx(shape.area, abs=1e-8)


@pytest.mark.parametrize("suffix", [".reg", ".crtf"])
def test_the_sky_there_and_back(tmp_path, suffix):
    path = write_regions(tmp_path / f"a{suffix}", SHAPES, wcs=IMAGE.wcs)
    found = read_regions(path, image=IMAGE)
    assert all(isinstance(one, rg.SkyRegion) for one in found)
    for shape, back in zip(SHAPES, shapes_of(found, IMAGE), strict=True):
        assert type(back) is type(shape)
        assert back.bounds == pytest.approx(shape.bounds, abs=1e-6)


def test_the_sky_in_fits_needs_a_wcs(tmp_path):
    region = rg.CircleSkyRegion(SkyCoord(30.001, -40.001, unit="deg"), 3 * u.arcsec)
    with pytest.raises(InputError, match="wcs: must be given for regions of the sky in a FITS table, which has pixels only"):
        write_regions(tmp_path / "a.fits", [region])
    (back,) = read_regions(write_regions(tmp_path / "a.fits", [region], wcs=IMAGE.wcs))
    assert back.radius == pytest.approx(10, rel=1e-6)


def test_texts_colours_and_signs_are_kept(tmp_path):
    star = rg.CirclePixelRegion(rg.PixCoord(10, 20), 3, meta={"text": "a star"}, visual={"color": "red"})
    out = rg.CirclePixelRegion(rg.PixCoord(30, 20), 3, meta={"include": False})
    for suffix in (".reg", ".crtf", ".fits"):
        found = read_regions(write_regions(tmp_path / f"a{suffix}", [star, out]))
        assert found.labels == (("a star",) if suffix != ".fits" else ("",))
        assert [one.center.xy for one in found.excluded] == [(30, 20)]
    assert star.meta == {"text": "a star"}
    text = (tmp_path / "a.reg").read_text()
    assert "image; circle(11.0000000000,21.0000000000,3.0000000000) # text={a star} color=red" in text
    assert "image; -circle(31.0000000000,21.0000000000,3.0000000000)\n" in text


def test_the_same_bytes_twice(tmp_path):
    for suffix in (".reg", ".crtf", ".fits"):
        one, two = write_regions(tmp_path / f"a{suffix}", SHAPES), write_regions(tmp_path / f"b{suffix}", SHAPES)
        assert one.read_bytes() == two.read_bytes()


def test_compressed_and_found_by_its_bytes(tmp_path):
    (tmp_path / "a.reg.gz").write_bytes(gzip.compress(b"image\ncircle(2,3,4)\n"))
    assert read_regions(tmp_path / "a.reg.gz")[0].center.xy == (1, 2)
    (tmp_path / "noname").write_text("#CRTFv0\ncircle[[1pix, 2pix], 4pix], coord=image\n")
    assert read_regions(tmp_path / "noname")[0].center.xy == (1, 2)
    path = write_regions(tmp_path / "a.fits", SHAPES[:1])
    path.rename(tmp_path / "other")
    assert len(read_regions(tmp_path / "other")) == 1


def test_crtf_line_by_line():
    text = "#CRTFv0\nglobal coord=ICRS, color=blue\n# a comment\ncircle[[10h0m0s, -3d0m0s], 3arcsec], label='a'\n"
    text += "symbol[[150deg, -3deg], .]\nellipse[[10pix, 20pix], [3pix, 2pix], 30deg], coord=image\n"
    text += "nonsense[[1deg, 2deg]]\ncircle[[1deg, 2deg], 5]\n"
    found = parse_regions(text, format="crtf")
    assert found.labels == ("a", "")
    assert found[0].center.ra.deg == pytest.approx(150)
    (ellipse,) = shapes_of(found[1])
    assert (ellipse.a, ellipse.b, ellipse.theta) == (2, 3, 30)
    assert [one.reason.split(":")[0] for one in found.failures] == ["not implemented", "it cannot be understood", "it cannot be understood"]


def test_fits_counts_pixels_from_one(tmp_path):
    """A table as the standard has it: the first pixel is (1, 1)."""
    columns = [
        fits.Column("X", "1D", array=[1.0, 5.0]), fits.Column("Y", "1D", array=[2.0, 6.0]),
        fits.Column("SHAPE", "16A", array=["circle", "!circle"]),
        fits.Column("R", "1D", array=[3.0, 1.0]), fits.Column("ROTANG", "1D", array=[0.0, 0.0]),
    ]  # fmt: skip
    fits.BinTableHDU.from_columns(columns, name="REGION").writeto(tmp_path / "a.fits")
    found = read_regions(tmp_path / "a.fits")
    assert found[0].center.xy == (0, 1)
    assert found.excluded[0].center.xy == (4, 5)


def test_fits_of_the_package_counts_from_zero(tmp_path):
    rg.Regions([rg.CirclePixelRegion(rg.PixCoord(10, 20), 3)]).write(tmp_path / "a.fits", format="fits")
    assert read_regions(tmp_path / "a.fits")[0].center.xy == (10, 20)


def test_fits_polygons_of_unequal_length_keep_their_corners(tmp_path):
    """The package pads rows with zeros and reads them as corners."""
    rg.Regions(
        [rg.PolygonPixelRegion(rg.PixCoord([1.0, 5, 3], [1.0, 1, 4])), rg.PolygonPixelRegion(rg.PixCoord([1.0, 5, 6, 3], [1.0, 1, 3, 4]))]
    ).write(tmp_path / "a.fits", format="fits")
    assert [len(one.vertices.x) for one in read_regions(tmp_path / "a.fits")] == [3, 4]


def test_fits_rows_that_fail(tmp_path):
    table = QTable(
        {
            "X": [1.0, 2.0, 3.0],
            "Y": [1.0, 2.0, 3.0],
            "SHAPE": ["pie", "heart", "elliptannulus"],
            "R": np.ones((3, 4)),
            "ROTANG": np.zeros(3),
        }
    )
    fits.BinTableHDU(table, name="REGION").writeto(tmp_path / "a.fits")
    found = read_regions(tmp_path / "a.fits")
    assert not found.regions
    assert [one.region for one in found.failures] == ["pie", "heart", "elliptannulus"]
    assert "is not supported" in found.failures[0].reason
    assert "is not a valid FITS region shape" in found.failures[1].reason
    assert "written in several ways" in found.failures[2].reason


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(FrameError, match=r"none\.reg: the region file cannot be read"):
        read_regions(tmp_path / "none.reg")
    fits.PrimaryHDU(np.zeros((3, 3))).writeto(tmp_path / "a.fits")
    with pytest.raises(FrameError, match="must hold a table with EXTNAME = REGION"):
        read_regions(tmp_path / "a.fits")
    (tmp_path / "b.fits").write_bytes(b"SIMPLE  = nothing more")
    with pytest.raises(FrameError, match=r"b\.fits: "):
        read_regions(tmp_path / "b.fits")
    with pytest.raises(InputError, match="format='xml': must be one of ds9, crtf, fits"):
        read_regions(tmp_path / "a.fits", format="xml")
    with pytest.raises(InputError, match="format='fits': must be ds9 or crtf for a text"):
        parse_regions("", format="fits")


def test_an_empty_file(tmp_path):
    found = parse_regions("")
    assert found.message == "Loaded 0 of 0 regions"
    for suffix in (".reg", ".crtf"):
        assert read_regions(write_regions(tmp_path / f"a{suffix}", [])).total == 0


def test_nothing_is_written_if_one_has_no_form(tmp_path):
    for suffix, shape, message in (
        (".reg", Combined("or", (Circle(1, 1, 1), Circle(2, 2, 1))), "regions: 1, CompoundPixelRegion, has no form in a DS9 file"),
        (".crtf", Annulus(Ellipse(1, 1, 1, 1), Ellipse(1, 1, 3, 2)), "regions: 1, EllipseAnnulusPixelRegion, has no form in a CRTF file"),
        (".fits", Annulus(Ellipse(1, 1, 1, 1), Ellipse(1, 1, 3, 2)), "regions: 1, EllipseAnnulusPixelRegion, has no form in a FITS table"),
        (".reg", Raster(np.ones((2, 2), bool)), "shape: there is no region for a mask of pixels"),
    ):
        with pytest.raises(InputError, match=message):
            write_regions(tmp_path / f"a{suffix}", [Circle(1, 1, 1), shape])
    assert list(tmp_path.iterdir()) == []


def test_writing_is_careful(tmp_path):
    path = write_regions(tmp_path / "a.reg", SHAPES)
    with pytest.raises(InputError, match="it exists; say overwrite=True to replace it"):
        write_regions(path, SHAPES)
    assert len(read_regions(write_regions(path, SHAPES[:1], overwrite=True))) == 1
    with pytest.raises(InputError, match="format=None: must be ds9, crtf or fits, or said by the suffix of a.txt"):
        write_regions(tmp_path / "a.txt", SHAPES)
    assert len(read_regions(write_regions(tmp_path / "a.txt", SHAPES, format="ds9"))) == 6


def test_stcs():
    c = SkyCoord(30.0, -40.0, unit="deg")
    circle = rg.CircleSkyRegion(c, 3.6 * u.arcsec)
    assert stcs(circle) == "Circle ICRS 30.0000000000 -40.0000000000 0.001000000000"
    ellipse = rg.EllipseSkyRegion(c, 7.2 * u.arcsec, 3.6 * u.arcsec, 120 * u.deg)
    assert stcs([ellipse]) == "Ellipse ICRS 30.0000000000 -40.0000000000 0.001000000000 0.000500000000 30.00000000"
    ring = rg.CircleAnnulusSkyRegion(c, 1.8 * u.arcsec, 3.6 * u.arcsec)
    assert stcs(ring).startswith("Difference ICRS (Circle 30.0000000000 -40.0000000000 0.001000000000 Circle 30.0")
    assert stcs(circle | ellipse).startswith("Union ICRS (Circle 30.0")
    assert stcs(circle & ellipse).startswith("Intersection ICRS (Circle 30.0")
    assert stcs(circle ^ ellipse).startswith("Difference ICRS (Union (Circle 30.0")
    box = stcs(rg.RectangleSkyRegion(c, 7.2 * u.arcsec, 3.6 * u.arcsec, 90 * u.deg))
    words = box.split()
    assert words[:2] == ["Polygon", "ICRS"]
    corners = SkyCoord(np.array(words[2::2], float), np.array(words[3::2], float), unit="deg")
    assert c.separation(corners).arcsec == pytest.approx(np.hypot(3.6, 1.8), rel=1e-4)
    assert np.ptp(corners.dec.arcsec) == pytest.approx(7.2, rel=1e-4)
    lines = stcs([Circle(49, 59, 10), Combined("and", (Circle(49, 59, 10), Inverted(Circle(49, 59, 5))))], IMAGE).split("\n")
    assert lines[0] == "Circle ICRS 30.0000000000 -40.0000000000 0.000833333333"
    assert lines[1].endswith("Not (Circle 30.0000000000 -40.0000000000 0.000416666667))")
    with pytest.raises(InputError, match="image: must have a WCS to bring regions of pixels to the sky"):
        stcs(Circle(1, 1, 1))
    with pytest.raises(InputError, match="a mask of pixels has no outline on the sky"):
        stcs(Raster(np.ones((2, 2), bool)), IMAGE)
