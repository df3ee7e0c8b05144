"""The solid angle of a pixel: which rule comes first, and what each gives."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.nddata import NDData
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_area

from ezarchive.errors import InputError
from ezarchive.quicklook.apertures.pixelarea import pixel_area
from ezarchive.quicklook.planes.inputs import picture

pytestmark = pytest.mark.pure
ARCSEC2 = 2.350443053909789e-11
DATA = np.ones((20, 30))


def tan(scale=0.5, sheared=1.0):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [10, 20], [15, 10]
    wcs.wcs.cd = scale / 3600 * np.array([[-1, 0.2], [0.1, sheared]])
    return wcs


def test_the_order_of_the_rules():
    cards = {
        "TELESCOP": "HST", "INSTRUME": "ACS", "DETECTOR": "WFC", "IDCSCALE": 0.05, "D001SCAL": 0.04, "PIXAR_A2": 0.01,
        "PIXAR_SR": 0.03 * ARCSEC2,
    }  # fmt: skip
    wcs = tan()
    found = [pixel_area(DATA, value=0.25, wcs=wcs, header=cards)]
    for gone in ("PIXAR_SR", "PIXAR_A2", "D001SCAL", "IDCSCALE"):
        found.append(pixel_area(DATA, wcs=wcs, header=cards))
        cards.pop(gone)
        if gone == "D001SCAL":
            cards["DRIZCORR"] = "COMPLETE"
    found += [pixel_area(DATA, wcs=wcs, header=cards), pixel_area(DATA, header=cards), pixel_area(DATA, header={})]
    assert [one.rule for one in found] == ["user", "PIXAR_SR", "PIXAR_A2", "D001SCAL", "IDCSCALE", "WCS", "instrument", ""]
    wanted = [0.25, 0.03, 0.01, 0.0016, 0.0025, proj_plane_pixel_area(wcs) * 3600**2, 0.0025, np.nan]
    np.testing.assert_allclose([one.arcsec2 for one in found], wanted, rtol=1e-6)
    np.testing.assert_allclose(found[0].sr, 0.25 * ARCSEC2, rtol=1e-15)


def test_the_scale_of_the_detector_is_not_that_of_distorted_pixels():
    cards = {"TELESCOP": "HST", "INSTRUME": "ACS", "DETECTOR": "WFC", "IDCSCALE": 0.05}
    assert pixel_area(DATA, wcs=tan(), header=cards).rule == "WCS"
    assert pixel_area(DATA, header=cards | {"NDRIZIM": 4}).rule == "IDCSCALE"


@pytest.mark.parametrize(
    ("instrument", "detector", "wanted"),
    [
        ("ACS", "WFC", 0.0025), ("ACS", "HRC", 0.0007), ("ACS", "SBC", 0.00102), ("WFC3", "UVIS", 0.0016), ("WFC3", "IR", np.nan),
        ("WFPC2", "", np.nan),
    ],
)  # fmt: skip
def test_instruments(instrument, detector, wanted):
    found = pixel_area(DATA, header={"TELESCOP": "HST", "INSTRUME": instrument, "DETECTOR": detector})
    np.testing.assert_allclose(found.arcsec2, wanted, rtol=1e-14)
    assert found.rule == ("" if np.isnan(wanted) else "instrument")


def test_the_primary_header_goes_first(tmp_path):
    primary = fits.PrimaryHDU(header=fits.Header({"PIXAR_A2": 0.02, "TELESCOP": "JWST"}))
    image = fits.ImageHDU(DATA, fits.Header({"PIXAR_A2": 0.01, "BUNIT": "MJy/sr"}), name="SCI")
    fits.HDUList([primary, image]).writeto(tmp_path / "a.fits")
    assert pixel_area(tmp_path / "a.fits").arcsec2 == 0.02
    del primary.header["PIXAR_A2"]
    fits.HDUList([primary, image]).writeto(tmp_path / "b.fits")
    assert pixel_area(tmp_path / "b.fits").arcsec2 == 0.01


@pytest.mark.parametrize("tree", [{"photometry": {"pixelarea_arcsecsq": 0.0039}}, {"meta": {"photometry": {"pixelarea_arcsecsq": 0.0039}}}])
def test_asdf(tree):
    found = pixel_area(NDData(DATA, meta=tree))
    assert (found.arcsec2, found.rule) == (0.0039, "ASDF")
    steradians = pixel_area(NDData(DATA, meta={"photometry": {"pixelarea_steradians": 0.5 * ARCSEC2 * u.sr}}))
    assert steradians.arcsec2 == pytest.approx(0.5, rel=1e-14)


@pytest.mark.parametrize("bad", [0, -1.0, "unknown", True])
def test_cards_that_are_no_area_are_passed_over(bad):
    assert pixel_area(DATA, header={"PIXAR_SR": bad, "PIXAR_A2": 0.01}).rule == "PIXAR_A2"


@pytest.mark.truth
def test_the_wcs_is_asked_at_the_source():
    """The pixels of a wide tangential image cover less sky away from its middle: by cos^3 of the distance."""
    wcs = tan(3600.0)
    wcs.wcs.cd = [[-1, 0], [0, 1]]
    found = pixel_area(DATA, [14, 24], [9, 9], wcs=wcs)
    np.testing.assert_allclose(found.arcsec2, 3600**2 * np.cos(np.arctan(np.radians([0, 10]))) ** 3, rtol=2e-4)
    other = pixel_area(DATA, [14, 24], [9, 9], wcs=_Common(wcs))
    np.testing.assert_allclose(other.arcsec2, found.arcsec2, rtol=2e-4)


class _Common:
    """A WCS of the common interface only, as a GWCS is."""

    pixel_n_dim = 2

    def __init__(self, wcs):
        self.pixel_to_world, self.world_to_pixel = wcs.pixel_to_world, wcs.world_to_pixel


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0, r"pixel_area=0.0: must be above 0 square arcseconds \(None: found for itself, 'off': not used\)"),
        (-0.1, "pixel_area=-0.1: must be above 0"),
        ("big", "pixel_area: missing or invalid value 'big'; must be a number of square arcseconds"),
        (2 * u.arcsec, "pixel_area=2.0 arcsec: must be a solid angle"),
        (np.nan, "pixel_area: missing or invalid value nan"),
    ],
)
def test_what_is_no_area(value, message):
    with pytest.raises(InputError, match=message):
        pixel_area(DATA, value=value)


def test_a_solid_angle_and_to_dict():
    found = pixel_area(picture(DATA), value=1e-12 * u.sr)
    assert found.sr == pytest.approx(1e-12, rel=1e-14)
    assert pixel_area(DATA).to_dict() == {"arcsec2": None, "rule": ""}
