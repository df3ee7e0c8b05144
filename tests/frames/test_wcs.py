from __future__ import annotations

import logging
import pickle
import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_scales

from ezarchive.frames.header import read_header
from ezarchive.frames.wcs import has_bad_coordinates, wcs_from_header

pytestmark = pytest.mark.oracle

PIXELS = np.array([[0, 0], [299, 0], [150, 100], [0, 199], [299, 199.0]])


def sip(header, order=3, names="AB"):
    for name in names:
        header[f"{name}_ORDER"] = order
        for i in range(order + 1):
            for j in range(order - i + 1):
                if i + j > 1:
                    header[f"{name}_{i}_{j}"] = (1 if name == "A" else -0.7) * 2e-6 * 10.0 ** (-3 * (i + j - 2))


def pv(header, codes=("TPV", "TPV")):
    header["CTYPE1"], header["CTYPE2"] = f"RA---{codes[0]}", f"DEC--{codes[1]}"
    for axis in (1, 2):
        for term in range(11):
            if term != 3:
                header[f"PV{axis}_{term}"] = {0: 1e-5, 1: 1.001}.get(term, 1e-4 * (term - 4))


def ctype(header, first, second):
    header["CTYPE1"], header["CTYPE2"] = first, second


def swap(header):
    for key in ("CTYPE", "CRVAL"):
        header[f"{key}1"], header[f"{key}2"] = header[f"{key}2"], header[f"{key}1"]
    for j in (1, 2):
        header[f"CD1_{j}"], header[f"CD2_{j}"] = header[f"CD2_{j}"], header[f"CD1_{j}"]


def crota(header):
    for i in (1, 2):
        for j in (1, 2):
            del header[f"CD{i}_{j}"]
    header["CDELT1"], header["CDELT2"], header["CROTA2"] = -1.4e-4, 1.4e-4, 30.0


def pc(header):
    crota(header)
    del header["CROTA2"]
    header["PC1_1"], header["PC1_2"], header["PC2_1"], header["PC2_2"] = 0.8, -0.6, 0.6, 0.8
    header["CUNIT1"], header["CUNIT2"] = "deg", "deg"


def axes(header):
    header["WCSAXES"] = 3
    header["CTYPE3"], header["CRVAL3"], header["CRPIX3"], header["CD3_3"] = "FREQ", 1e9, 1.0, 1.0


CASES = {
    "plain": lambda h: None,
    "sip": lambda h: (ctype(h, "RA---TAN-SIP", "DEC--TAN-SIP"), sip(h)),
    "sip without suffix": sip,
    "sip with inverse": lambda h: (ctype(h, "RA---TAN-SIP", "DEC--TAN-SIP"), sip(h), sip(h, names=("AP", "BP"))),
    "suffix without sip": lambda h: ctype(h, "RA---TAN-SIP", "DEC--TAN-SIP"),
    "sip of order 1": lambda h: sip(h, 1),
    "tpv": pv,
    "scamp's tan": lambda h: pv(h, ("TAN", "TAN")),
    "tpv and sip": lambda h: (pv(h), sip(h)),
    "scamp's tan and sip": lambda h: (pv(h, ("TAN", "TAN")), sip(h)),
    "tan-sip and scamp's pv": lambda h: (sip(h), pv(h, ("TAN-SIP", "TAN-SIP"))),
    "galactic": lambda h: ctype(h, "GLON-CAR", "GLAT-CAR"),
    "zpn": lambda h: (ctype(h, "RA---ZPN", "DEC--ZPN"), h.update({"PV2_1": 1.0, "PV2_3": 40.0})),
    "latitude first": swap,
    "old rotation": crota,
    "pc matrix": pc,
    "fk5": lambda h: h.update({"RADESYS": "FK5", "EQUINOX": 2000.0}),
    "old radecsys": lambda h: h.update({"RADECSYS": "FK5", "EPOCH": 2000.0}),
    "poles": lambda h: h.update({"LONPOLE": 150.0, "LATPOLE": 10.0}),
    "no step": lambda h: [h.pop(f"CD{i}_{j}") for i in (1, 2) for j in (1, 2)] and h.update({"CDELT1": -1e-4, "CDELT2": 1e-4}),
}


@pytest.mark.parametrize("change", CASES.values(), ids=CASES)
def test_agrees_with_astropy(image_header, change):
    image_header["NAXIS1"], image_header["NAXIS2"] = 300, 200
    change(image_header)
    got = wcs_from_header(image_header)
    logging.getLogger("astropy").disabled = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = WCS(image_header)
    logging.getLogger("astropy").disabled = False
    assert got.all_pix2world(PIXELS, 0) == pytest.approx(wanted.all_pix2world(PIXELS, 0), abs=1e-11)
    assert proj_plane_pixel_scales(got) == pytest.approx(proj_plane_pixel_scales(wanted))
    assert (got.sip is None) == (wanted.sip is None)
    assert got.pixel_shape == (300, 200)


def test_three_axes_of_which_one_is_none(image_header):
    plain = wcs_from_header(image_header)
    axes(image_header)
    got = wcs_from_header(image_header)
    assert got.naxis == got.wcs.naxis == 2
    assert got.all_pix2world(PIXELS, 0) == pytest.approx(plain.all_pix2world(PIXELS, 0))


def test_it_is_silent(image_header, caplog, capfd):
    sip(image_header)
    image_header["DATE-OBS"], image_header["MJD-OBS"], image_header["CUNIT1"] = "26/10/92", 48921.6, "DEG"
    image_header["RADECSYS"] = "FK5"
    with caplog.at_level(logging.DEBUG):
        assert wcs_from_header(image_header) is not None
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "changes",
    [
        {"CTYPE1": None, "CTYPE2": None},
        {"CTYPE1": "", "CTYPE2": ""},
        {"CTYPE1": "LINEAR", "CTYPE2": "LINEAR"},
        {"CTYPE2": None},
        {"CTYPE1": "RA---XYZ", "CTYPE2": "DEC--XYZ"},
        {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--SIN"},
        {"CTYPE1": "RA---TAN", "CTYPE2": "RA---TAN"},
        {"CD1_1": 0.0, "CD2_2": 0.0},
        {"CD1_1": 1e-4, "CD1_2": 1e-4, "CD2_1": 1e-4, "CD2_2": 1e-4},
        {"CRVAL2": "= 'north'"},
        {"CRVAL2": "= '2.0'"},
        {"CRVAL2": None},
        {"CRVAL1": True},
        {"CRPIX1": "= NaN"},
        {"CD1_1": "= NaN"},
        {"CD1_1": None, "CD1_2": None, "CD2_1": None, "CD2_2": None},
        {"LONPOLE": "= 'up'"},
        {"CTYPE1": 5, "CTYPE2": 6},
        {"A_ORDER": 2, "A_2_0": 1e-6},
        {"A_ORDER": "= 'two'", "B_ORDER": 2},
        {"A_ORDER": 2, "B_ORDER": 2, "A_2_0": "= 'x'"},
    ],
)
def test_no_usable_wcs(make_cards, changes):
    assert wcs_from_header(make_cards(changes)) is None


def test_bad_coordinates(make_cards):
    for value in ("NaN", "inf", "-INF", "1.0E400"):
        assert "must be finite" in has_bad_coordinates(make_cards({"CRVAL1": f"= {value}"}))
    assert has_bad_coordinates(make_cards()) is None
    # Without a celestial WCS the cards mean something else.
    assert has_bad_coordinates(make_cards({"CRVAL1": "= NaN", "CTYPE1": None})) is None


def test_cards_that_are_not_ascii(make_cards):
    cards = make_cards({"CRVAL1": "= 150.0 / caf\xe9 \0\t"})
    assert cards.bad
    assert wcs_from_header(cards).all_pix2world(PIXELS, 0) == pytest.approx(wcs_from_header(make_cards()).all_pix2world(PIXELS, 0))


def test_it_travels_and_is_cut(image_header):
    sip(image_header)
    wcs = wcs_from_header(image_header)
    other = pickle.loads(pickle.dumps(wcs))
    assert other.all_pix2world(PIXELS, 0) == pytest.approx(wcs.all_pix2world(PIXELS, 0), abs=1e-11)
    cut = wcs[20:, 10:]
    assert cut.all_pix2world([[5, 7]], 0) == pytest.approx(wcs.all_pix2world([[15, 27]], 0), abs=1e-11)
    copy = wcs.deepcopy()
    assert copy.all_pix2world(PIXELS, 0) == pytest.approx(wcs.all_pix2world(PIXELS, 0), abs=1e-12)


def test_real_headers(real_data):
    for path in sorted(real_data.glob("*/*.fits")):
        got = wcs_from_header(read_header(path))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wanted = WCS(fits.getheader(path))
        if not wanted.has_celestial:
            assert got is None
            continue
        assert got.all_pix2world(PIXELS, 0) == pytest.approx(wanted.all_pix2world(PIXELS, 0), abs=1e-12)
