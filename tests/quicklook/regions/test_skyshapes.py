"""Shapes of the sky on pixels that are not square, not right-angled, or of another kind of WCS; and back."""

from __future__ import annotations

import numpy as np
import pytest
import regions as rg
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS

from ezarchive import sky
from ezarchive.errors import InputError
from ezarchive.quicklook.planes.inputs import picture
from ezarchive.quicklook.regions.regionkinds import shape_of
from ezarchive.quicklook.regions.shapes import Circle, Combined, Ellipse, Inverted, Polygon, Rectangle
from ezarchive.quicklook.regions.skyback import to_sky_shape
from ezarchive.quicklook.regions.skyshapes import SkyCombined, SkyInverted, SkyOutline, SkyPolygon, leaves, local_jacobian, project

RA, DEC = 30.0005, -40.0004


class Common:
    """A WCS that has the common interface only."""

    pixel_n_dim = 2

    def __init__(self, wcs, reach=np.inf):
        self.wcs, self.reach = wcs, reach

    def pixel_to_world(self, x, y):
        found = self.wcs.pixel_to_world(x, y)
        off = (np.abs(x) > self.reach) | (np.abs(y) > self.reach)
        return SkyCoord(np.where(off, np.nan, found.ra.deg), np.where(off, np.nan, found.dec.deg), unit="deg")

    def world_to_pixel(self, place):
        x, y = self.wcs.world_to_pixel(place)
        off = (np.abs(x) > self.reach) | (np.abs(y) > self.reach)
        return np.where(off, np.nan, x), np.where(off, np.nan, y)


def wcs_of(matrix):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = [30.0, -40.0], [50.0, 60.0]
    wcs.wcs.cd = np.array(matrix) * 0.3 / 3600
    return wcs


SQUARE = [[-1.0, 0.0], [0.0, 1.0]]
OBLONG = [[-2.0, 0.0], [0.0, 1.0]]
SKEW = [[-1.0, 0.3], [0.1, 1.0]]


def matches(shape, outline, wcs, n=400):
    """Whether the outline of the sky, point by point, lies on that of the shape on the pixels."""
    t = np.linspace(0, 2 * np.pi, n, endpoint=False)
    a, b = (outline.lengths * 2)[:2]
    east_north = np.stack([a * np.cos(t), b * np.sin(t)])
    angle = np.arctan2(east_north[1], east_north[0]) * u.rad + outline.pa * u.deg
    places = SkyCoord(outline.ra, outline.dec, unit="deg").directional_offset_by(angle, np.hypot(*east_north) * u.arcsec)
    x, y = wcs.world_to_pixel(places)
    cx, cy = shape.center
    inside = shape.contains(cx + (x - cx) * 0.999, cy + (y - cy) * 0.999)
    outside = ~shape.contains(cx + (x - cx) * 1.001, cy + (y - cy) * 1.001)
    return inside.all() and outside.all()


@pytest.mark.truth
@pytest.mark.parametrize("matrix", [SQUARE, OBLONG, SKEW], ids=["square", "oblong", "skew"])
def test_circles_and_ellipses_are_true_to_the_sky(matrix):
    wcs = wcs_of(matrix)
    circle, ellipse = SkyOutline("circle", RA, DEC, (3.0,)), SkyOutline("ellipse", RA, DEC, (4.0, 2.0), 35.0)
    round_, oval = project([circle, ellipse], wcs)
    assert isinstance(round_, Circle if matrix is SQUARE else Ellipse)
    assert matches(round_, circle, wcs)
    assert matches(oval, ellipse, wcs)
    back = to_sky_shape(oval, wcs)
    assert back.lengths == pytest.approx((4.0, 2.0), rel=1e-6)
    assert back.pa % 180 == pytest.approx(35.0, abs=1e-4)


@pytest.mark.truth
def test_a_circle_keeps_its_area_where_pixels_are_a_little_off_square():
    wcs = wcs_of([[-1.004, 0.0], [0.0, 1.0]])
    (found,) = project([SkyOutline("circle", RA, DEC, (3.0,))], wcs)
    assert isinstance(found, Circle)
    scale = float(sky.pixel_scale(wcs, *found.center))
    assert found.area * scale**2 == pytest.approx(np.pi * 9.0, rel=1e-7)


@pytest.mark.truth
@pytest.mark.parametrize("matrix", [SQUARE, OBLONG, SKEW], ids=["square", "oblong", "skew"])
def test_rectangles_are_rectangles_or_parallelograms(matrix):
    wcs = wcs_of(matrix)
    outline = SkyOutline("rectangle", RA, DEC, (6.0, 3.0), 0.0)
    (found,) = project([outline], wcs)
    assert isinstance(found, Polygon if matrix is SKEW else Rectangle)
    scale = float(sky.pixel_scale(wcs, *found.center))
    assert found.area * scale**2 == pytest.approx(18.0, rel=1e-6)
    c = SkyCoord(RA, DEC, unit="deg")
    for pa, half in ((0, 3.0), (90, 1.5), (180, 3.0), (270, 1.5)):
        for factor, inside in ((0.99, True), (1.01, False)):
            place = wcs.world_to_pixel(c.directional_offset_by(pa * u.deg, half * factor * u.arcsec))
            assert bool(found.contains(*place)) is inside


@pytest.mark.truth
@pytest.mark.parametrize("matrix", [SQUARE, OBLONG, SKEW], ids=["square", "oblong", "skew"])
@pytest.mark.parametrize("kind", ["circle", "ellipse", "rectangle"])
def test_annuli_have_the_area_of_the_sky(matrix, kind):
    wcs = wcs_of(matrix)
    lengths, inner = ((4.0,), (3.0,)) if kind == "circle" else ((6.0, 3.0), (4.0, 2.5))
    outline = SkyOutline(kind, RA, DEC, lengths, 20.0 if kind == "ellipse" else 0.0, inner)
    (found,) = project([outline], wcs)
    x0, x1, y0, y1 = found.bounds
    x, y = np.linspace(x0, x1, 900), np.linspace(y0, y1, 900)
    area = found.contains(x, y[:, None]).mean() * (x1 - x0) * (y1 - y0)
    scale = float(sky.pixel_scale(wcs, *found.center))
    whole = {"circle": np.pi * 7.0, "ellipse": np.pi * 8.0, "rectangle": 8.0}[kind]
    assert area * scale**2 == pytest.approx(whole, rel=0.02)
    back = to_sky_shape(found, wcs)
    assert isinstance(back, (SkyOutline, SkyCombined))


@pytest.mark.oracle
def test_the_common_interface_gives_the_same():
    wcs = wcs_of(SKEW)
    x, y = np.array([10.0, 40.0]), np.array([20.0, 55.0])
    assert local_jacobian(Common(wcs), x, y) == pytest.approx(sky.jacobian(wcs, x, y), abs=1e-7)
    assert np.isnan(local_jacobian(wcs, np.array([np.nan]), np.array([1.0]))).all()
    outline = SkyOutline("ellipse", RA, DEC, (4.0, 2.0), 35.0)
    (one,), (other,) = project([outline], wcs), project([outline], Common(wcs))
    assert one.bounds == pytest.approx(other.bounds, abs=1e-6)
    image = picture(np.zeros((80, 90)), wcs=Common(wcs))
    region = rg.CircleSkyRegion(SkyCoord(RA, DEC, unit="deg"), 2 * u.arcsec)
    assert isinstance(shape_of(region, image), Ellipse)


@pytest.mark.pure
def test_beyond_a_bounding_box_is_an_error():
    near = picture(np.zeros((80, 90)), wcs=Common(wcs_of(SQUARE), reach=20))
    region = rg.CircleSkyRegion(SkyCoord(RA, DEC, unit="deg"), 2 * u.arcsec)
    with pytest.raises(InputError, match="is not on the projection of the image: its WCS does not reach so far"):
        shape_of(region, near)


@pytest.mark.pure
def test_sip_that_does_not_lead_back_is_an_error():
    wcs = wcs_of(SQUARE)
    header = wcs.to_header()
    header.update({"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "A_ORDER": 2, "B_ORDER": 2, "A_2_0": 5e-3, "B_0_2": 5e-3})
    bent = WCS(header)
    (near, far) = project([SkyOutline("circle", 30.0, -40.0, (1.0,)), SkyOutline("circle", 30.2, -40.0, (1.0,))], bent)
    assert near.radius == pytest.approx(1.0 / 0.3, rel=0.01)
    assert isinstance(far, InputError)


@pytest.mark.pure
def test_trees():
    tree = SkyCombined(
        "and", (SkyOutline("circle", RA, DEC, (3.0,)), SkyInverted(SkyPolygon(((30.0, -40.0), (30.001, -40.0), (30.0, -40.001)))))
    )
    assert len(list(leaves(tree))) == 2
    (found,) = project([tree], wcs_of(SQUARE))
    assert isinstance(found, Combined)
    assert isinstance(found.parts[1], Inverted)
    back = to_sky_shape(found, wcs_of(SQUARE))
    assert isinstance(back.parts[1], SkyInverted)
    (crossed,) = project([SkyInverted(SkyPolygon(((30.0, -40.0), (30.001, -40.001), (30.001, -40.0), (30.0, -40.0015))))], wcs_of(SQUARE))
    assert isinstance(crossed, InputError)
    assert project([], wcs_of(SQUARE)) == []


@pytest.mark.truth
@pytest.mark.parametrize("place", [(59.9, 30.0), (30.0, -59.8), (59.7, 59.9), (-59.9, 59.6)])
def test_in_the_outermost_half_pixel_of_a_bounding_box_regions_are_as_within(place):
    wcs = wcs_of(SKEW)
    outline = to_sky_shape(Ellipse(*place, 6, 3, 20), wcs)
    (bounded,), (free,) = (project([outline], one) for one in (Common(wcs, reach=60.0), wcs))
    assert bounded.center == pytest.approx(free.center)
    assert (bounded.a, bounded.b, bounded.theta) == pytest.approx((free.a, free.b, free.theta), rel=1e-6)
    assert np.isnan(local_jacobian(Common(wcs, reach=60.0), [61.0], [0.0])).all()
