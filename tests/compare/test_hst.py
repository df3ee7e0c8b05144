"""Filters of the Hubble Space Telescope, from headers first."""

from __future__ import annotations

import math

import numpy as np
import pytest
from astropy.io import fits

from ezarchive.compare.fluximage import FluxImage
from ezarchive.compare.hst import FILTERS, HstFilterInfo, filter_name
from ezarchive.errors import InputError

pytestmark = pytest.mark.pure

PUBLISHED = {
    "F435W": 3.11e-19, "F475W": 1.82e-19, "F555W": 1.96e-19, "F606W": 7.73e-20,
    "F625W": 1.18e-19, "F775W": 9.74e-20, "F814W": 7.05e-20, "F850LP": 1.50e-19,
}  # fmt: skip


def image(cards=None, primary=None):
    return FluxImage(np.zeros((3, 3)), header=fits.Header(cards or {}), primary=fits.Header(primary or {}), name="h")


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_table(name):
    """The published flux densities are rounded: within half a per cent of what zero point and pivot wavelength give."""
    info = HstFilterInfo(name.lower())
    assert info.filter_name == name
    assert info.photflam == pytest.approx(PUBLISHED[name], rel=5e-3)
    assert info.photflam == pytest.approx(10 ** (-info.abmag_zero / 2.5 - 2 * math.log10(info.photplam) - 0.9632), rel=1e-12)
    assert (info.abmag_zero, info.photplam, info.photbw) == pytest.approx(FILTERS[name])


def test_the_header_comes_first():
    info = HstFilterInfo(image({"FILTER": "F606W", "PHOTFLAM": 8e-20}, {"PHOTPLAM": 5920.0}))
    assert (info.filter_name, info.photflam, info.photplam, info.photbw) == ("F606W", 8e-20, 5920.0, 672.3)
    assert info.abmag_zero == pytest.approx(-2.5 * math.log10(8e-20) - 5 * math.log10(5920.0) - 2.408)


def test_an_unknown_filter_with_a_calibrated_header():
    info = HstFilterInfo(fits.Header({"FILTER": "F160W", "PHOTFLAM": 1.9e-20, "PHOTPLAM": 15369.0}))
    assert info.filter_name == "F160W"
    assert math.isnan(info.photbw)
    assert HstFilterInfo(fits.Header({"PHOTFLAM": 1.9e-20, "PHOTPLAM": 15369.0})).filter_name is None


@pytest.mark.parametrize(
    "cards",
    [
        {"FILTER": "f606w "},
        {"FILTER1": "F606W", "FILTER2": "CLEAR2L"},
        {"FILTER1": "CLEAR1L", "FILTER2": "F606W"},
        {"FILTER1": 606, "FILTER2": 0, "FILTNAM1": "F606W", "FILTNAM2": ""},
        {"FILTER1": 606, "FILTER2": "F606W"},
        {"FILTER": "F606W", "PHOTFLAM": 0.0},
    ],
)
def test_where_the_filter_is_named(cards):
    assert HstFilterInfo(image(primary=cards)).photflam == pytest.approx(7.7267e-20, rel=1e-4)


def test_files(tmp_path):
    path = tmp_path / "h.fits"
    fits.PrimaryHDU(np.zeros((3, 3)), fits.Header({"FILTER": "F814W"})).writeto(path)
    assert HstFilterInfo(path).filter_name == HstFilterInfo(str(path)).filter_name == "F814W"
    assert "F814W: abmag_zero=25.9400" in repr(HstFilterInfo(path))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("F999X", "hst 'F999X': must be the name of a filter, found F999X; known are F435W"),
        (image(), "hst h: must tell its filter"),
        (image({"FILTER": "F160W", "PHOTFLAM": 1e-20}), "must have PHOTFLAM and PHOTPLAM, or a known filter, found F160W"),
        (image({"FILTER1": 606, "FILTER2": 0}), "must tell its filter"),
        (image({"FILTER": "F606W", "PHOTFLAM": -1.0}), "PHOTFLAM must be a positive number, found -1.0"),
        (image({"FILTER": "F606W", "PHOTPLAM": "long"}), "PHOTPLAM must be a positive number, found 'long'"),
        (7, "hst: must be a path"),
    ],
)
def test_what_is_not_known(source, message):
    with pytest.raises(InputError, match=message):
        HstFilterInfo(source)


def test_the_name_alone_needs_no_calibration():
    assert filter_name(image({"FILTER": "f200w"})) == "F200W"
    assert filter_name(image()) is None
    assert filter_name("f606w") == "F606W"
