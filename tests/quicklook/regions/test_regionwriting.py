"""Regions to files and to STC-S."""

from __future__ import annotations

import numpy as np
import pytest
import regions as rg
from astropy import units as u
from astropy.coordinates import FK4, FK5, SkyCoord
from astropy.wcs import WCS

from ezarchive.errors import InputError
from ezarchive.quicklook.planes.inputs import picture
from ezarchive.quicklook.regions.regionfiles import read_regions, stcs, write_regions
from ezarchive.quicklook.regions.regionkinds import shapes_of
from ezarchive.quicklook.regions.shapes import Annulus, Circle, Combined, Ellipse, Inverted, Polygon, Raster, Rectangle

pytestmark = pytest.mark.pure


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


@pytest.mark.parametrize("suffix", ["reg", "crtf"])
@pytest.mark.parametrize("frame", ["icrs", "fk5", FK5(equinox="J1975"), "fk4", FK4(equinox="B1900"), "galactic"], ids=str)
def test_places_and_angles_of_any_frame_are_the_same_after_writing(tmp_path, frame, suffix):
    place = SkyCoord(30.0, -40.0, unit="deg").transform_to(frame)
    given = [rg.EllipseSkyRegion(place, 8 * u.arcsec, 3 * u.arcsec, 20 * u.deg), rg.CircleSkyRegion(place, 3 * u.arcsec)]
    given += [rg.RectangleSkyRegion(place, 8 * u.arcsec, 3 * u.arcsec, 20 * u.deg, meta=rg.RegionMeta(text="a box"))]
    found = read_regions(write_regions(tmp_path / f"a.{suffix}", given))
    assert not found.failures
    assert found.labels == ("", "", "a box")
    for one, other in zip(shapes_of(found, IMAGE), shapes_of(given, IMAGE), strict=True):
        assert one.center == pytest.approx(other.center, abs=1e-5)
        assert one.area == pytest.approx(other.area, rel=1e-6)
        assert getattr(one, "theta", 0.0) == pytest.approx(getattr(other, "theta", 0.0), abs=1e-4)


def test_a_wcs_that_is_none_is_named(tmp_path):
    with pytest.raises(InputError, match="wcs: must be a WCS, found str without pixel_to_world"):
        write_regions(tmp_path / "a.reg", [Circle(1, 2, 3)], wcs="x")
    assert not (tmp_path / "a.reg").exists()


@pytest.mark.parametrize("suffix", ["reg", "crtf"])
@pytest.mark.parametrize("text", ["two\nlines", "a } b", "{", "it's", 'say "hi"; no', "# b", "[a, b]", "\N{GREEK SMALL LETTER MU} Cen"])
def test_no_text_harms_a_region(tmp_path, text, suffix):
    given = [rg.CirclePixelRegion(rg.PixCoord(1, 2), 3, meta=rg.RegionMeta(text=text)), Circle(4, 5, 6)]
    found = read_regions(write_regions(tmp_path / f"a.{suffix}", given))
    assert not found.failures
    assert shapes_of(found) == [Circle(1, 2, 3), Circle(4, 5, 6)]
    assert given[0].meta["text"] == text
    if suffix == "reg":
        assert found.labels[0] == text.translate(str.maketrans("{}\n", "() "))
