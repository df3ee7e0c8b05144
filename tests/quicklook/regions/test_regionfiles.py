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
from astropy.wcs import WCS

from ezarchive.errors import FrameError, InputError
from ezarchive.quicklook.planes.inputs import picture
from ezarchive.quicklook.regions.regionfiles import parse_regions, read_regions, write_regions
from ezarchive.quicklook.regions.regionkinds import shapes_of
from ezarchive.quicklook.regions.shapes import Annulus, Circle, Ellipse, Polygon, Rectangle

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


def test_compressed_and_found_by_its_bytes(tmp_path):
    (tmp_path / "a.reg.gz").write_bytes(gzip.compress(b"image\ncircle(2,3,4)\n"))
    assert read_regions(tmp_path / "a.reg.gz")[0].center.xy == (1, 2)
    (tmp_path / "noname").write_text("#CRTFv0\ncircle[[1pix, 2pix], 4pix], coord=image\n")
    assert read_regions(tmp_path / "noname")[0].center.xy == (1, 2)
    path = write_regions(tmp_path / "a.fits", SHAPES[:1])
    path.rename(tmp_path / "other")
    assert len(read_regions(tmp_path / "other")) == 1


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


@pytest.mark.parametrize(
    ("cards", "reason"),
    [
        ({"LTM1_1": 0.5, "LTM2_2": 0.25}, "LTM1_1 and LTM2_2 must be equal and above 0, found 0.5 and 0.25"),
        ({"LTM1_1": -1.0, "LTM2_2": -1.0}, "LTM1_1 and LTM2_2 must be equal and above 0, found -1 and -1"),
        ({"LTV1": "left"}, "LTV1='left': must be a finite number"),
    ],
)
def test_physical_coordinates_that_cannot_be_followed_are_failures(cards, reason):
    found = parse_regions("physical; circle(11,21,3)", image=picture(np.zeros((50, 50)), header=fits.Header(cards)))
    assert not found.regions
    assert reason in found.failures[0].reason


def test_a_compressed_file_that_is_damaged(tmp_path):
    whole = gzip.compress(b"image;circle(1,2,3)\n" * 50)
    for raw in (whole[:12], whole[:20] + b"xx" + whole[22:]):
        (tmp_path / "a.reg.gz").write_bytes(raw)
        with pytest.raises(FrameError, match=r"a\.reg\.gz: the region file cannot be read"):
            read_regions(tmp_path / "a.reg.gz")


def test_one_region_is_written_as_a_list_of_one(tmp_path):
    for k, one in enumerate((Circle(1, 2, 3), rg.CirclePixelRegion(rg.PixCoord(1, 2), 3))):
        assert shapes_of(read_regions(write_regions(tmp_path / f"{k}.crtf", one))) == [Circle(1, 2, 3)]


def test_an_empty_file(tmp_path):
    found = parse_regions("")
    assert found.message == "Loaded 0 of 0 regions"
    for suffix in (".reg", ".crtf"):
        assert read_regions(write_regions(tmp_path / f"a{suffix}", [])).total == 0
