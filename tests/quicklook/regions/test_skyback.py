"""From pixels to the sky, and from one image to another."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS

from ezarchive.errors import InputError
from ezarchive.quicklook.planes.inputs import picture
from ezarchive.quicklook.regions.shapes import Annulus, Circle, Combined, Ellipse, Inverted, Polygon, Raster, Rectangle
from ezarchive.quicklook.regions.skyback import on_other, to_sky_shape
from ezarchive.quicklook.regions.skyshapes import project


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


@pytest.mark.pure
@pytest.mark.parametrize(
    "shape",
    [
        Circle(40, 50, 6),
        Ellipse(40, 50, 6, 3, 20),
        Rectangle(40, 50, 6, 3, 0),
        Annulus(Circle(40, 50, 3), Circle(40, 50, 6)),
        Polygon([(40, 50), (46, 50), (41, 57)]),
        Combined("and", (Circle(40, 50, 6), Inverted(Circle(42, 50, 2)))),
    ],
    ids=lambda one: one.kind,
)
@pytest.mark.parametrize("matrix", [SQUARE, OBLONG, SKEW], ids=["square", "oblong", "skew"])
def test_to_another_image_and_back(shape, matrix):
    one, other = picture(np.zeros((100, 120)), wcs=wcs_of(SQUARE)), picture(np.zeros((100, 120)), wcs=wcs_of(matrix))
    there = on_other(shape, one, other)
    back = on_other(there, other, one)
    x, y = np.meshgrid(np.linspace(30.03, 49.9, 160), np.linspace(40.02, 59.93, 160))
    assert (back.contains(x, y) != shape.contains(x, y)).mean() < 2e-3
    px, py = other.wcs.world_to_pixel(one.wcs.pixel_to_world(x, y))
    assert (there.contains(px, py) != shape.contains(x, y)).mean() < 2e-3


@pytest.mark.pure
def test_a_mask_on_another_image_is_the_pixels_whose_centres_are_in_it():
    one, other = picture(np.zeros((100, 120)), wcs=wcs_of(SQUARE)), picture(np.zeros((100, 120)), wcs=wcs_of(OBLONG), label="b")
    mask = np.zeros((100, 120), bool)
    mask[50:60, 40:60] = True
    found = on_other(Raster(mask), one, other)
    assert found.area == 10 * 10
    with pytest.raises(InputError, match="mask: must have a pixel on b, found none"):
        on_other(Raster(mask, 5000, 0), one, other)
    with pytest.raises(InputError, match="image: must have a WCS to bring a region from one image to another"):
        on_other(Circle(1, 1, 1), picture(np.zeros((5, 5))), one)
    with pytest.raises(InputError, match="shape: a mask of pixels has no outline on the sky"):
        to_sky_shape(Raster(mask), one.wcs)


@pytest.mark.pure
def test_no_sky_no_shape():
    short = Common(wcs_of(SQUARE), reach=20)
    with pytest.raises(InputError, match=r"shape: the WCS must have a sky at its centre \(40, 50\)"):
        to_sky_shape(Circle(40, 50, 6), short)
    with pytest.raises(InputError, match="shape: the WCS must have a sky at all its corners"):
        to_sky_shape(Polygon([(10, 10), (30, 10), (10, 30)]), short)


@pytest.mark.pure
@pytest.mark.parametrize("place", [(0.0, 0.0), (0.001, 60.0), (10.0, 90.0), (359.9999, -89.999)])
@pytest.mark.parametrize("kind", [Ellipse, Rectangle])
def test_an_annulus_stays_one_on_the_sky_and_back(place, kind):
    for turned in np.linspace(0, 180, 13):
        sin, cos = np.sin(np.radians(turned)), np.cos(np.radians(turned))
        wcs = WCS(naxis=2)
        wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], place, [50, 50]
        wcs.wcs.cd = np.array([[-cos, sin], [sin, cos]]) / 3600
        shape = Annulus(kind(30, 40, 3, 2, 50), kind(30, 40, 6, 4, 50))
        (found,) = project([to_sky_shape(shape, wcs)], wcs)
        assert isinstance(found, Annulus)
        assert found.area == pytest.approx(shape.area, rel=1e-7)
