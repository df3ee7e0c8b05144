"""The quick look on a real GWCS: a pipeline with a bounding box, as JWST images carry it."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import coordinates as coord
from astropy import units as u
from astropy.modeling import models
from astropy.wcs import WCS
from regions import CirclePixelRegion, CircleSkyRegion, PixCoord

from ezarchive import quicklook
from ezarchive.quicklook.planes.skywcs import to_pixel, to_sky

gwcs = pytest.importorskip("gwcs")

pytestmark = pytest.mark.oracle
SHAPE = (160, 200)
SCALE = 1e-4


def tangent(crpix=(100.0, 80.0)):
    """The same plane as a FITS WCS."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], [30.0, -40.0]
    wcs.wcs.crpix, wcs.wcs.cd = np.add(crpix, 1), SCALE * np.diag([-1.0, 1.0])
    return wcs


@pytest.fixture(scope="module")
def pipeline():
    from gwcs import coordinate_frames as frames

    detector = frames.Frame2D(name="detector", axes_names=("x", "y"), unit=(u.pix, u.pix))
    sky = frames.CelestialFrame(reference_frame=coord.ICRS(), name="icrs", unit=(u.deg, u.deg))
    steps = models.Shift(-100) & models.Shift(-80) | models.AffineTransformation2D(SCALE * np.diag([-1.0, 1.0]), [0, 0])
    steps = steps | models.Pix2Sky_TAN() | models.RotateNative2Celestial(30, -40, 180)
    made = gwcs.WCS([(detector, steps), (sky, None)])
    made.bounding_box = ((-0.5, SHAPE[1] - 0.5), (-0.5, SHAPE[0] - 0.5))
    return made


@pytest.fixture(scope="module")
def plane(pipeline):
    data = np.zeros(SHAPE)
    data[80, 100] = 500.0
    return quicklook.picture(data, wcs=pipeline)


def test_places_are_those_of_the_same_fits_wcs(pipeline):
    x, y = np.meshgrid([0.0, 50.0, 199.0], [0.0, 159.0])
    np.testing.assert_allclose(to_sky(pipeline, x, y), to_sky(tangent(), x, y), atol=1e-10)
    np.testing.assert_allclose(to_pixel(pipeline, *to_sky(tangent(), x, y)), (x, y), atol=1e-6)


def test_there_is_no_sky_outside_the_bounding_box(pipeline, plane):
    assert np.isnan(to_sky(pipeline, [500.0], [0.0])).all()
    assert np.isnan(to_pixel(pipeline, [50.0], [10.0])).all()
    assert quicklook.cursor(plane, 300, 0).sky_text == ""
    line = quicklook.cut(plane, (-5, 0), (20, 20)).to_table()
    assert np.isnan(np.asarray(line["ra"])[0])
    assert np.isfinite(np.asarray(line["ra"])[-1])


def test_links_both_ways(plane):
    other = quicklook.picture(np.zeros(SHAPE), wcs=tangent((90.0, 70.0)))
    there, back = quicklook.link(plane, other), quicklook.link(other, plane)
    assert (there.kind, back.kind) == ("affine", "affine")
    np.testing.assert_allclose(there.forward(100.0, 80.0), (90.0, 70.0), atol=1e-6)
    np.testing.assert_allclose(back.forward(90.0, 70.0), (100.0, 80.0), atol=1e-6)
    assert there.max_error < 1e-6
    assert np.isnan(back.forward(-50.0, -50.0)).all()


def test_compass(plane):
    rose = quicklook.compass(plane)
    assert rose.parity == -1
    assert rose.pixel_scale == pytest.approx(0.36, rel=1e-8)
    assert (rose.xe, rose.yn) == pytest.approx((36.0, 144.0), abs=1e-3)


def test_apertures(plane):
    pixels = quicklook.aperture_photometry(plane, CirclePixelRegion(PixCoord(100, 80), 5))
    sky = quicklook.aperture_photometry(plane, CircleSkyRegion(coord.SkyCoord(30, -40, unit="deg"), 1.8 * u.arcsec))
    assert pixels["sum"][0] == pytest.approx(500)
    assert sky["sum"][0] == pytest.approx(500)
    assert pixels["sky_center"][0].separation(coord.SkyCoord(30, -40, unit="deg")).arcsec < 1e-6
    assert sky["xcenter"][0].value == pytest.approx(100, abs=1e-4)
