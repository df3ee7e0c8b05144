"""The text forms of region files, line by line."""

from __future__ import annotations

import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord

from ezarchive.quicklook.regions.regionfiles import parse_regions
from ezarchive.quicklook.regions.regionkinds import shapes_of
from ezarchive.quicklook.regions.shapes import Circle, Ellipse, Rectangle

pytestmark = pytest.mark.pure

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


def test_crtf_pixels_are_those_of_the_image_whatever_the_frame_of_the_file():
    text = "#CRTFv0\nglobal coord=J2000\ncircle[[5pix, 6pix], 2pix], label='5 pix'\n-box[[1pix, 1pix], [5pix, 4pix]]\n"
    text += "circle[[150deg, 2deg], 3arcsec], label='[[x pix]'\n"
    found = parse_regions(text, format="crtf")
    assert not found.failures
    assert shapes_of(found[0]) == [Circle(5, 6, 2)]
    assert shapes_of(found.excluded) == [Rectangle(3, 2.5, 4, 3)]
    assert found[1].center.ra.deg == pytest.approx(150)


@pytest.mark.parametrize("ra", [150.0, 0.0, 359.999])
def test_a_crtf_box_between_corners_on_the_sky_has_the_width_that_it_has_there(ra):
    west, east = ((ra + off) % 360.0 for off in (-0.01, 0.01))
    for first, last in ((east, west), (west, east)):
        text = f"#CRTFv0\nglobal coord=ICRS\nbox[[{first}deg, 59.99deg], [{last}deg, 60.01deg]]\n"
        (box,) = parse_regions(text, format="crtf")
        assert box.center.separation(SkyCoord(ra, 60, unit="deg")).arcsec < 1e-6
        assert (box.width.to_value("deg"), box.height.to_value("deg")) == pytest.approx((0.01, 0.02))


def test_crtf_annotations_are_nothing_to_measure_in():
    found = parse_regions("#CRTFv0\nann circle[[1deg, 2deg], 3arcsec], coord=ICRS\n", format="crtf")
    assert not found.regions
    assert found.failures[0].reason == "not implemented: an annotation, which is nothing to measure in"
