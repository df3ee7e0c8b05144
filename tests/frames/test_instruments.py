from __future__ import annotations

import pickle

import pytest

from ezarchive.errors import ConfigError
from ezarchive.frames.cards import Cards
from ezarchive.frames.instruments import Instrument, Instruments

pytestmark = pytest.mark.pure

# Section 1.4 of the reference: what each property is called, first present wins.
REFERENCE = {
    "altitude": ["ALT", "ALTITUDE", "CENTALT"],
    "azimuth": ["AZ", "AZIMUTH", "CENTAZ"],
    "gain": ["EGAIN"],
    "ccd_temp": ["CCDTEMP", "CCD-TEMP"],
    "filter": ["FILTER", "FILTNAME", "BAND"],
    "imgtype": ["IMGTYPE", "IMAGETYP", "IMGTYP"],
    "exptime": ["EXPTIME", "EXPOSURE"],
    "time_start": ["DATE-OBS", "OBSDATE", "UTCDATE"],
    "ra": ["RA", "OBJCTRA", "OBSRA"],
    "dec": ["DEC", "OBJCTDEC", "OBSDEC"],
    "telname": ["TELESCOP", "TELNAME"],
    "binning": ["BINNING", "XBINNING"],
    "objname": ["OBJECT", "OBJNAME", "TARGET", "TARNAME"],
    "ncombine": ["NCOMBINE", "NCOMB", "NFRAMES"],
    "seeing": ["SEEING"],
    "sky_sigma": ["SKYSIG"],
    "sky": ["SKYVAL"],
    "zero_point": ["ZP", "ZP_AUTO", "ZP_2"],
    "zero_point_err": ["ZPERR", "ZPERR_AUTO", "EZP_2"],
    "depth": ["DEPTH", "UL5SKY_APER_2", "UL5_APER_2", "UL5_2", "UL5_4"],
}


@pytest.mark.parametrize("name", REFERENCE)
def test_all_synonyms_of_the_reference(instruments, name):
    known = instruments.keywords[name]
    places = [known.index(keyword) for keyword in REFERENCE[name]]
    assert places == sorted(places)


def camera(instruments, make_cards, **cards):
    return instruments.identify(make_cards({key.replace("_", "-") if key == "DATE_OBS" else key: value for key, value in cards.items()}))


@pytest.mark.parametrize(
    ("cards", "names"),
    [
        ({"INSTRUME": "DECam"}, ["DECam"]),
        ({"FILTER": "i DECam SDSS c0003 7835.0 1470.0"}, ["DECam"]),
        ({"INSTRUME": "fa15", "ORIGIN": "LCOGT"}, ["LCO"]),
        ({"TELESCOP": "JWST", "INSTRUME": "NIRCAM"}, ["JWST"]),
        ({"TELESCOP": "HST"}, ["HST"]),
        ({"INSTRUME": "IRAC"}, ["IRAC"]),
        ({"TELESCOP": "7DT14"}, ["7DT"]),
        ({"SWCREATE": "MaxIm DL Version 6.20"}, ["MaxIm DL"]),
        ({"SWCREATE": "N.I.N.A. 3.1.2"}, ["N.I.N.A."]),
        ({"TELESCOP": "ESONTTB", "INSTRUME": "EMMI"}, ["EMMI", "ESO"]),
        ({"TELESCOP": "Newton"}, []),
    ],
)
def test_cameras(instruments, make_cards, cards, names):
    assert [entry.name for entry in camera(instruments, make_cards, **cards).entries] == names


def test_a_camera_known_by_its_path(instruments, make_cards):
    names = {"telkey": "7DT_C361K_HIGH_1x1", "telname": "7DT14"}
    found = instruments.identify(make_cards(), names)
    assert [entry.name for entry in found.entries] == ["7DT", "7DT C361K high gain"]
    assert found.fact("saturation") == (60000.0, "instrument:7DT C361K high gain")
    assert found.fact("gain") is None


@pytest.mark.parametrize(
    ("cards", "text", "filter_name"),
    [
        ({"INSTRUME": "DECam"}, "i DECam SDSS c0003 7835.0 1470.0", "i"),
        ({"INSTRUME": "DECam"}, "VR DECam c0007 6300.0 2600.0", "VR"),
        ({"INSTRUME": "DECam"}, "i", "i"),
        ({"INSTRUME": "IRAC"}, "2", "I2"),
        ({"INSTRUME": "NIRCAM"}, "CLEAR", None),
        ({"INSTRUME": "NIRCAM"}, "F162M", "F162M"),
        ({}, "five  words of   a filter", "five words of a filter"),
    ],
)
def test_filter_names(instruments, make_cards, cards, text, filter_name):
    assert camera(instruments, make_cards, **cards).clean_filter(text) == filter_name


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Light Frame", None),
        ("LIGHT", None),
        ("object", None),
        ("EXPOSE", None),
        ("Bias Frame", "bias"),
        ("zero", "bias"),
        ("MASTERBIAS", "bias"),
        ("Dark Frame", "dark"),
        ("Dark Flat", "dark"),
        ("Flat Field", "flat"),
        ("dome flat", "flat"),
        ("SKYFLAT", "flat"),
        ("dqmask", "mask"),
        ("wtmap", "derived"),
    ],
)
def test_image_types(instruments, text, kind):
    assert instruments.kind_of_type(text) == kind


PREFIXES = ("subbkg", "sub", "scaled", "scale", "coadd", "com", "align", "conv", "convolved", "inv", "sci", "ref")
CALIB = "calib_7DT14_T00528_20250901_020304_m600_100.fits"


@pytest.mark.parametrize(
    ("name", "root", "wanted"),
    [
        (CALIB, "science", None),
        (CALIB.replace(".fits", ".com.fits"), "science", None),
        *((f"{prefix}_{CALIB}", "science", ("derived", CALIB)) for prefix in PREFIXES),
        (f"sub_align_{CALIB}", "science", ("derived", f"align_{CALIB}")),
        (f"sub_{CALIB}", "reference", ("derived", CALIB)),
        (f"coadd_{CALIB}", "reference", None),
        ("x_i2d_stamp.noise.fits", "science", ("errormap", "x_i2d_stamp.fits")),
        ("x.noise.fits.fz", "science", ("errormap", "x.fits.fz")),
        ("x_rms.fit", "reference", ("errormap", "x.fit")),
        ("x.mask.fits", "science", ("mask", "x.fits")),
        ("x.fits.bkgmap.fits", "science", ("background", "x.fits")),
        ("x.fits.srcmask", "science", ("mask", "x.fits")),
        ("x_weight.fits", "science", ("derived", "x.fits")),
        ("subject_7DT.fits", "science", None),
        ("a\nb.noise.fits", "science", ("errormap", "a\nb.fits")),
        ("bias_7DT01_20250901.fits", "science", None),
        ("bias_7DT01_20250901.fits", "calibration", ("bias", None)),
        ("mdark_100s.fits", "calibration", ("dark", None)),
        ("Master-Flat-r.fits", "calibration", ("flat", None)),
        ("darkflat.fits", "calibration", ("dark", None)),
        ("x.mask.fits", "calibration", ("mask", "x.fits")),
    ],
)
def test_file_names(instruments, name, root, wanted):
    assert instruments.kind_of_name(name, root) == wanted


@pytest.mark.parametrize(
    ("extname", "kind"),
    [
        ("SCI", None),
        ("N6", None),
        ("ERR", "errormap"),
        ("DQ", "mask"),
        ("BPM", "mask"),
        ("WHT", "derived"),
        ("VAR_POISSON", "derived"),
        ("BKG", "background"),
    ],
)
def test_extensions(instruments, extname, kind):
    assert instruments.kind_of_extension(extname) == kind


@pytest.mark.parametrize(
    ("unit", "rate"),
    [
        *((unit, True) for unit in ("MJy/sr", "Jy/beam", "ELECTRONS/S", "adu/s", "DN/s", "count s-1", "counts/sec", "cps")),
        *((unit, True) for unit in ("erg/s/cm2", "nanomaggy", "uJy")),
        *((unit, False) for unit in ("adu", "ADU", "counts", "electron", "ELECTRONS", "DN", "e-", "")),
    ],
)
def test_rates(instruments, unit, rate):
    assert bool(instruments.rate_units.match(unit)) == rate


@pytest.mark.parametrize(
    ("unit", "electrons"), [("electron", True), ("ELECTRONS", True), ("e-", True), ("e", True), ("adu", False), ("electrons/s", False)]
)
def test_electrons(instruments, unit, electrons):
    assert bool(instruments.electron_units.fullmatch(unit)) == electrons


def test_own_cameras_come_first(make_cards):
    mine = {
        "name": "Mine",
        "match": [{"instrume": "decam*"}],
        "gain": 2,
        "saturation": 30000,
        "telname": "Blanco",
        "keywords": {"seeing": ["MYSEE"]},
        "filter_clean": [["(.)-band", r"\1"]],
    }
    instruments = Instruments.load((mine,))
    found = instruments.identify(make_cards({"INSTRUME": "DECam"}))
    assert [entry.name for entry in found.entries] == ["Mine", "DECam"]
    assert found.fact("telname") == ("Blanco", "instrument:Mine")
    assert found.fact("gain") == (2.0, "instrument:Mine")
    assert found.keywords("seeing") == ("MYSEE", "FWHM", "SEEING")
    assert found.clean_filter("r-band") == "r"
    # EGAIN is always electrons and first; the entry's keyword of the gain comes second.
    assert found.keywords("gain")[:2] == ("EGAIN", "GAIN")


def test_an_entry_for_all():
    instruments = Instruments.load(({"name": "All", "observatory": "Home"},))
    assert instruments.identify(Cards(b"")).fact("observatory") == ("Home", "instrument:All")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"gain": 2}, "an entry has no name"),
        ({"name": "x", "satuartion": 1}, r"entry 'x': key 'satuartion': did you mean 'saturation'\?"),
        ({"name": "x", "gain": "two"}, "entry 'x': gain: must be a number, found 'two'"),
        ({"name": "x", "space": 1}, "space: must be true or false"),
        ({"name": "x", "match": {"A": "b"}}, "match: must be a list"),
        ({"name": "x", "match": ["A"]}, "match: must be a list of tables keyword = glob"),
        ({"name": "x", "match": [{"@telnam": "b"}]}, r"'@telnam': did you mean 'telname'\?"),
        ({"name": "x", "keywords": ["A"]}, "keywords: must be a table"),
        ({"name": "x", "keywords": {"seeing": "A"}}, "keywords.seeing: must be a list"),
        ({"name": "x", "keywords": {"seing": ["A"]}}, r"keywords of 'seing': did you mean 'seeing'\?"),
        ({"name": "x", "seeing_unit": "pix"}, "seeing_unit: must be 'arcsec' or 'pixel'"),
        ({"name": "x", "filter_skip": "("}, "is no regular expression"),
        ({"name": "x", "filter_clean": ["a"]}, r"must be a list of \[regular expression, replacement\]"),
        ({"name": "x", "filter_clean": [["a", r"\1"]]}, r"'a' has 0 groups, found \\1"),
    ],
)
def test_wrong_entries(table, message):
    with pytest.raises(ConfigError, match=message):
        Instruments.load((table,))


def test_they_travel_to_workers(instruments, make_cards):
    other = pickle.loads(pickle.dumps(instruments))
    assert [entry.name for entry in other.identify(make_cards({"INSTRUME": "DECam"})).entries] == ["DECam"]


def test_they_are_frozen(instruments):
    with pytest.raises(AttributeError, match="cannot assign"):
        instruments.entries = ()
    with pytest.raises(AttributeError, match="cannot assign"):
        Instrument("x").gain = 1.0
