from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ezarchive import flags
from ezarchive.config import TUTORIAL_LAYOUT
from ezarchive.frames.names import agree

pytestmark = pytest.mark.pure

PATH = "7DT/7DT_C361K_HIGH_1x1/T00528/7DT14/m600/calib_7DT14_T00528_20250901_020304_m600_100.fits"
DISAGREES = flags.value(flags.QUALITY, "FIELD_DISAGREES")


def test_path_before_header_before_default(build):
    defaults = {"telname": "X", "observatory": "Y"}
    frame = build({"OBJECT": "T00528", "FILTER": "m600"}, relpath=PATH, layout=TUTORIAL_LAYOUT, defaults=defaults)
    assert (frame.observatory, frame.telkey, frame.objname) == ("7DT", "7DT_C361K_HIGH_1x1", "T00528")
    assert (frame.telname, frame.filter) == ("7DT14", "m600")
    assert frame.object_raw == "T00528"
    assert {frame.origin[name] for name in ("observatory", "telkey", "objname", "telname", "filter")} == {"path"}
    assert not frame.quality & DISAGREES


def test_a_path_of_another_depth_says_nothing(build):
    frame = build({"OBJECT": "M 31"}, relpath="a/b.fits", layout=TUTORIAL_LAYOUT, defaults={"telname": "X"})
    assert (frame.objname, frame.telname, frame.filter) == ("M 31", "X", None)
    assert frame.origin["objname"] == "header:OBJECT"
    assert frame.origin["telname"] == "default"


def test_the_user_may_set_another_order(build):
    frame = build({"OBJECT": "M 31"}, relpath=PATH, layout=TUTORIAL_LAYOUT, order=("header", "path", "default"))
    assert (frame.objname, frame.telname) == ("M 31", "7DT14")
    frame = build({"OBJECT": "M 31"}, relpath=PATH, layout=TUTORIAL_LAYOUT, order=("default", "path"), defaults={"objname": "Z"})
    assert (frame.objname, frame.telname) == ("Z", "7DT14")


def test_a_disagreement_is_noted(build):
    frame = build({"OBJECT": "M 31", "FILTER": "m600"}, relpath=PATH, layout=TUTORIAL_LAYOUT)
    assert frame.objname == "T00528"
    assert frame.origin["note:objname"] == "path 'T00528', header:OBJECT 'M 31'"
    assert frame.quality & DISAGREES
    assert "note:filter" not in frame.origin


@pytest.mark.parametrize("text", ["t00528", "T-00528", "T 00528 "])
def test_spelling_is_no_disagreement(build, text):
    frame = build({"OBJECT": text}, relpath=PATH, layout=TUTORIAL_LAYOUT)
    assert frame.objname == "T00528"
    assert not frame.quality & DISAGREES


@given(st.text(), st.text())
def test_agreement_is_symmetric(a, b):
    assert agree(a, a)
    assert agree(a, b) == agree(b, a)


@pytest.mark.parametrize(
    ("card", "objname", "raw"),
    [
        ("NGC  1566 ", "NGC 1566", "NGC  1566"),
        ("= 4151", "4151", "4151"),
        ("= 0042", "0042", "0042"),
        ("= T", "T", "T"),
        ("= 1E5", "1E5", "1E5"),
        ("Barnard's star", "Barnard's star", "Barnard's star"),
        ("α Cen / B", "± Cen / B", "± Cen / B"),
        ("a/../b", "a/../b", "a/../b"),
        ("", None, None),
        ("UNKNOWN", None, None),
        ("---", None, None),
        ("= / none", None, None),
    ],
)
def test_odd_values_of_object(build, card, objname, raw):
    # Latin-1 is how the test writes what a program put there in some encoding.
    frame = build({"OBJECT": card.replace("α", "±")})
    assert (frame.objname, frame.object_raw) == (objname, raw)


def test_a_filter_of_five_words(build):
    frame = build({"FILTER": "i DECam SDSS c0003 7835.0 1470.0"})
    assert frame.filter == "i"
    frame = build({"FILTER": "five words are a filter"})
    assert frame.filter == "five words are a filter"
    frame = build({"FILTER": None, "FILTNAME": "", "BAND": "= 5"})
    assert (frame.filter, frame.origin["filter"]) == ("5", "header:BAND")


def test_the_instrument_comes_last(build):
    frame = build({"INSTRUME": "DECam"})
    assert (frame.observatory, frame.telname, frame.telkey) == ("CTIO", "CTIO 4.0-m telescope", "CTIO_DECam")
    assert frame.origin["telname"] == "instrument:DECam"
    frame = build({"INSTRUME": "DECam"}, defaults={"telname": "Blanco"})
    assert frame.telname == "Blanco"


def test_narrow_filters_of_nircam(build):
    assert build({"INSTRUME": "NIRCAM", "FILTER": "F150W2", "PUPIL": "F162M"}).filter == "F162M"
    assert build({"INSTRUME": "NIRCAM", "FILTER": "F200W", "PUPIL": "CLEAR"}).filter == "F200W"


@pytest.mark.parametrize(
    ("cards", "binning"),
    [
        ({"XBINNING": 2, "YBINNING": 3}, "2x3"),
        ({"XBINNING": 2}, "2x2"),
        ({"BINNING": "1x1"}, "1x1"),
        ({"BINNING": "2 2"}, "2x2"),
        ({"CCDSUM": "1 2"}, "1x2"),
        ({"BINNING": 0}, None),
        ({}, None),
    ],
)
def test_binning(build, cards, binning):
    assert build(cards).binning == binning


def test_telkey_out_of_a_header(build):
    cards = {"OBSERVAT": "El Sauce", "INSTRUME": "C361K", "READMODE": "High Gain", "XBINNING": 1, "YBINNING": 1}
    assert build(cards).telkey == "El-Sauce_C361K_High-Gain_1x1"
    assert build().telkey is None


@pytest.mark.parametrize(
    ("kind", "cards", "relpath", "wanted", "origin"),
    [
        ("science", {}, "a.fits", "science", "root"),
        ("reference", {}, "a.fits", "reference", "root"),
        ("science", {"IMAGETYP": "Light Frame"}, "a.fits", "science", "root"),
        ("reference", {"IMAGETYP": "LIGHT"}, "a.fits", "reference", "root"),
        ("science", {"IMAGETYP": "Bias Frame"}, "a.fits", "bias", "header:IMAGETYP"),
        ("science", {"OBSTYPE": "EXPOSE"}, "a.fits", "science", "root"),
        ("science", {"IMAGETYP": "LIGHT"}, "sub_a.fits", "derived", "name"),
        ("science", {"EXTNAME": "ERR"}, "a.fits", "errormap", "header:EXTNAME"),
        ("science", {"EXTNAME": "SCI"}, "a.noise.fits", "errormap", "name"),
        ("calibration", {"IMAGETYP": "FLAT"}, "a.fits", "flat", "header:IMAGETYP"),
        ("calibration", {}, "mbias.fits", "bias", "name"),
        ("calibration", {"IMAGETYP": "DARK"}, "mbias.fits", "dark", "header:IMAGETYP"),
        ("calibration", {}, "a.fits", "derived", "root"),
    ],
)
def test_kinds(build, kind, cards, relpath, wanted, origin):
    frame = build(cards, relpath=relpath, kind=kind)
    assert frame.kind == wanted
    assert frame.origin["kind"] == origin


def test_the_folder_of_a_calibration_root_gives_the_kind(build):
    layout = "{observatory}/{telkey}/{imgtype}/{telname}"
    frame = build(relpath="7DT/K/DARK/7DT14/a.fits", kind="calibration", layout=layout)
    assert (frame.kind, frame.origin["kind"]) == ("dark", "path")
    frame = build({"IMAGETYP": "FLAT"}, relpath="7DT/K/DARK/7DT14/a.fits", kind="calibration", layout=layout)
    assert frame.kind == "dark"
    assert frame.origin["note:kind"] == "path says dark, header:IMAGETYP says flat"
    assert frame.quality & DISAGREES


def test_calibration_frames_have_no_target(build):
    frame = build({"OBJECT": "dome flat", "IMAGETYP": "FLAT"}, kind="calibration")
    assert (frame.objname, frame.object_raw) == (None, "dome flat")


def test_undecodable_bytes_in_a_path(build):
    frame = build(relpath="T\udcff\n1/a.fits", layout="{objname}")
    assert frame.objname == "T\\xff 1"
    assert frame.relpath == "T\udcff\n1/a.fits"
    frame.objname.encode("utf-8")
