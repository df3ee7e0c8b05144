"""The numbers behind a row: every kind of shape, places that are not known, memory of what was not wanted."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.wcs import WCS

from ezarchive.errors import InputError
from ezarchive.flags import FLAGS_LOOK, decode
from ezarchive.quicklook.apertures.photometryrows import Options, fail, measured
from ezarchive.quicklook.apertures.resultcolumns import empty
from ezarchive.quicklook.planes.inputs import picture
from ezarchive.quicklook.regions.shapes import Annulus, Circle, Combined, Ellipse, Inverted, Polygon, Raster, Rectangle

pytestmark = pytest.mark.pure
DATA = np.random.default_rng(4).normal(3, 1, (40, 50))


def tan():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = ["RA---TAN", "DEC--TAN"], [10, -20], [25, 20], [-1e-4, 1e-4]
    return wcs


def test_every_kind_of_shape():
    ring = Annulus(Circle(20, 20, 3), Circle(20, 20, 6))
    mask = np.zeros(DATA.shape, bool)
    mask[5:9, 7:20] = True
    shapes = [
        Circle(20, 20, 6), Circle(20, 20, 3), ring, Ellipse(20, 20, 6, 6), Rectangle(20, 20, 4, 6),
        Polygon([(18, 17), (22, 17), (22, 23), (18, 23)]),
        Raster(mask), Combined("and", (Circle(20, 20, 6), Inverted(Circle(20, 20, 3)))), Inverted(Circle(20, 20, 6)),
    ]  # fmt: skip
    flat = measured(picture(DATA), shapes, Options(background=1.0))
    sums = flat["sum"]
    assert sums[2] == pytest.approx(sums[0] - sums[1], rel=1e-12)
    assert sums[3] == pytest.approx(sums[0], rel=1e-12)
    assert sums[5] == pytest.approx(sums[4], rel=1e-12)
    assert sums[6] == pytest.approx((DATA[5:9, 7:20] - 1).sum(), rel=1e-12)
    assert sums[7] == pytest.approx(sums[2], rel=1e-12)
    assert sums[8] == pytest.approx((DATA - 1).sum() - sums[0], rel=1e-12)
    assert (flat["flags"] == 0).all()
    assert flat["mean"][6] == pytest.approx(DATA[5:9, 7:20].mean() - 1, rel=1e-12)


def test_places_that_are_not_known_are_nan():
    flat = measured(picture(DATA, wcs=tan()), [Circle(20, 20, 4), Circle(-90, 20, 4)], Options())
    assert np.isfinite([flat["ra_center"], flat["dec_center"]]).all()
    assert np.isnan(flat["ra_centroid"]).tolist() == [False, True]
    assert [decode(one, FLAGS_LOOK) for one in flat["flags"]] == [(), ("OFF_IMAGE", "NO_CENTRE")]


def test_an_area_that_is_known_at_some_places_only():
    class Bounded:
        """The sky of a WCS, on the left half of the image."""

        pixel_n_dim = 2
        world_to_pixel = staticmethod(tan().world_to_pixel)

        @staticmethod
        def pixel_to_world(x, y):
            return tan().pixel_to_world(np.where(np.asarray(x) < 25, x, np.nan), y)

    flat = measured(picture(DATA, wcs=Bounded(), unit="MJy/sr"), [Circle(10, 20, 4), Circle(40, 20, 4)], Options())
    assert flat["sum_unit"].tolist() == ["MJy", "MJy"]
    assert np.isnan(flat["sum"]).tolist() == [False, True]
    assert decode(flat["flags"][1], FLAGS_LOOK) == ("NO_PIXEL_AREA",)
    assert flat["pixarea_rule"].tolist() == ["WCS", ""]
    assert np.isfinite(flat["sum_raw"]).all()


def test_pixels_of_whole_numbers():
    flat = measured(picture(np.full((9, 9), 7, np.uint16)), [Circle(4, 4, 2)], Options(background=10))
    assert flat["sum"][0] == pytest.approx(-12 * np.pi)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"counts_factor": -3}, "counts_factor: cannot be negative but got -3.0"),
        ({"flux_scaling": 0.0}, "flux_scaling=0"),
        ({"pixel_area": "on"}, "pixel_area: missing or invalid value 'on'"),
    ],
)
def test_options_that_no_image_can_make_right(options, message):
    with pytest.raises(InputError, match=message):
        Options(**options)


def test_quantities_wait_for_the_image():
    options = Options(counts_factor=2 * u.Jy / u.ct, flux_scaling="ab")
    assert measured(picture(DATA, unit="Jy"), [Circle(9, 9, 2)], options)["counts_fac"][0] == 2
    with pytest.raises(InputError, match="counts_factor=2.0 Jy / ct: its unit conflicts"):
        measured(picture(DATA, unit="K"), [Circle(9, 9, 2)], options)


def test_fail():
    flat = empty(2)
    fail(flat, 1, "no such thing")
    assert [decode(one, FLAGS_LOOK) for one in flat["flags"]] == [(), ("FAILED",)]
    assert flat["reason"].tolist() == ["", "no such thing"]
