from __future__ import annotations

import json

import pytest

from ezarchive import flags
from ezarchive.config import SiteSettings

pytestmark = pytest.mark.pure


def has(frame, *names):
    return all(name in flags.decode(frame.quality, flags.QUALITY) for name in names)


@pytest.mark.parametrize(
    ("card", "exptime"),
    [
        (120, 120.0),
        ("120.0", 120.0),
        ("120 s", 120.0),
        (None, None),
        (-5.0, None),
        ("abc", None),
        ("= NaN", None),
        ("= 1E400", None),
        ("", None),
        (0.0, None),
        (True, None),
    ],
)
def test_exptime(build, card, exptime):
    frame = build({"EXPTIME": card})
    assert frame.exptime == exptime
    assert has(frame, "NO_EXPTIME") == (exptime is None)
    assert ("note:exptime" in frame.origin) == (card in (-5.0, "abc", "= 1E400", 0.0, True))


def test_the_next_synonym_stands_in(build):
    frame = build({"EXPTIME": -1, "EXPOSURE": 30.0})
    assert (frame.exptime, frame.origin["exptime"]) == (30.0, "header:EXPOSURE")
    assert frame.origin["note:exptime"] == "header:EXPTIME -1.0 must lie in 0 to 1e+09"


def test_a_bias_has_no_length(build):
    frame = build({"EXPTIME": 0.0, "IMAGETYP": "BIAS"})
    assert frame.exptime == 0.0
    assert not has(frame, "NO_EXPTIME")


@pytest.mark.parametrize(
    ("cards", "gain", "origin"),
    [
        ({"EGAIN": 0.2561}, 0.2561, "header:EGAIN"),
        ({"GAIN": 2750}, None, None),
        ({"EGAIN": 0.25, "GAIN": 2750}, 0.25, "header:EGAIN"),
        ({"EGAIN": 0.0}, None, None),
        ({"EGAIN": "= NaN"}, None, None),
        ({"GAIN": 3.98, "INSTRUME": "DECam"}, 3.98, "header:GAIN"),
        ({"GAIN": 1.6, "ORIGIN": "LCOGT"}, 1.6, "header:GAIN"),
        ({"GAIN": 100, "SWCREATE": "N.I.N.A. 3.0", "EGAIN": 1.02}, 1.02, "header:EGAIN"),
        ({"GAIN": 100, "SWCREATE": "MaxIm DL 6"}, None, None),
        ({"EGAIN": 2.0, "BUNIT": "MJy/sr"}, None, None),
        ({"EGAIN": 2.0, "BUNIT": "ELECTRONS/S"}, None, None),
        ({"EGAIN": 2.0, "BUNIT": "electron"}, 1.0, "header:BUNIT"),
        ({"EGAIN": 2.0, "BUNIT": "adu"}, 2.0, "header:EGAIN"),
        ({"HIERARCH": None, "ESO__DET__OUT1__CONAD": 2.1, "TELESCOP": "ESO-NTT"}, 2.1, "header:ESO DET OUT1 CONAD"),
        ({}, None, None),
    ],
)
def test_gain(build, cards, gain, origin):
    frame = build(cards)
    assert frame.gain == gain
    assert frame.origin.get("gain") == origin
    assert has(frame, "NO_GAIN") == (gain is None)


def test_gain_of_a_declared_default(build):
    frame = build(defaults={"gain": 1.5, "saturation": 30000, "telname": "X"})
    assert (frame.gain, frame.origin["gain"], frame.saturation) == (1.5, "default", 30000.0)


def test_saturation(build):
    assert build({"SATURATE": 50000}).origin["saturation"] == "header:SATURATE"
    layout = "{telkey}"
    frame = build(relpath="7DT_C361K_HIGH_1x1/a.fits", layout=layout)
    assert (frame.saturation, frame.origin["saturation"]) == (60000.0, "instrument:7DT C361K high gain")
    frame = build({"SATURATE": 50000}, relpath="7DT_C361K_HIGH_1x1/a.fits", layout=layout)
    assert frame.saturation == 50000.0
    assert build({"SATURATE": 0}).saturation is None


def test_levels_seeing_depth_and_zero_point(build):
    cards = {"SEEING": 2.1, "DEPTH": 19.5, "DEPTHAP": 5.0, "ZP": 25.1, "ZPERR": 0.01, "ZPAPER": 5.0, "MAGSYS": "AB"}
    cards |= {"SKYVAL": -3.0, "SKYSIG": 4.0, "AIRMASS": 1.2, "CENTALT": "48 30 00", "AZ": -10.0, "CCD-TEMP": -9.9}
    frame = build(cards | {"RDNOISE": 6.0, "NCOMBINE": 9.0, "BUNIT": "adu"})
    assert (frame.seeing, frame.depth, frame.depth_aperture) == (2.1, 19.5, 5.0)
    assert (frame.zero_point, frame.zero_point_err, frame.zero_point_aperture, frame.zero_point_system) == (25.1, 0.01, 5.0, "AB")
    assert (frame.sky, frame.sky_sigma, frame.airmass) == (-3.0, 4.0, 1.2)
    assert (frame.altitude, frame.azimuth, frame.ccd_temp) == (48.5, 350.0, -9.9)
    assert (frame.read_noise, frame.ncombine, frame.bunit) == (6.0, 9, "adu")
    assert frame.quality & ~flags.value(flags.QUALITY, "NO_GAIN", "NIGHT_UTC") == 0


@pytest.mark.parametrize(
    ("cards", "field", "value"),
    [
        ({"UL5SKY_APER_2": 21.5}, "depth", 21.5),
        ({"UL5_2": 21.0}, "depth", 21.0),
        ({"ZP_AUTO": 24.0, "ZP_2": 23.0}, "zero_point", 24.0),
        ({"ZP": 24.0, "ZP_AUTO": 23.0}, "zero_point", 24.0),
        ({"ZP": 24.0, "MAGSYS": "VEGAMAG"}, "zero_point_system", "Vega"),
        ({"MAGSYS": "AB"}, "zero_point_system", None),
        ({"ZP": 24.0, "MAGSYS": "odd"}, "zero_point_system", None),
        ({"SEEING": -1.0}, "seeing", None),
        ({"SEEING": "= NaN"}, "seeing", None),
        ({"AIRMASS": 0.0}, "airmass", None),
        ({"NCOMBINE": 0}, "ncombine", None),
        ({"DEPTH": 99.0}, "depth", None),
    ],
)
def test_synonyms_and_values_that_are_not_believed(build, cards, field, value):
    frame = build(cards)
    assert getattr(frame, field) == value
    json.dumps(dict(frame.origin))


def test_seeing_in_pixels(build):
    frame = build({"INSTRUME": "DECam", "FWHM": 4.0})
    assert frame.seeing == pytest.approx(4.0 * 1.4e-4 * 3600)
    assert build({"INSTRUME": "DECam", "FWHM": 4.0, "SEEING": 1.0}).seeing == pytest.approx(4.0 * 1.4e-4 * 3600)
    assert build({"INSTRUME": "DECam", "SEEING": 1.0}).seeing == 1.0
    assert build({"FWHM": 4.0}).seeing is None
    frame = build({"INSTRUME": "DECam", "FWHM": 4.0, "CTYPE1": None})
    assert frame.seeing is None
    assert frame.origin["note:seeing"] == "header:FWHM counts pixels of unknown size"


@pytest.mark.parametrize(
    ("cards", "position"),
    [
        ({"RA": 84.5, "DEC": -5.5}, (84.5, -5.5)),
        ({"RA": "05:38:00", "DEC": "-05:30:00"}, (84.5, -5.5)),
        ({"OBJCTRA": "05 38 00", "OBJCTDEC": "-05 30 00"}, (84.5, -5.5)),
        ({"RA": "84.5", "DEC": "-5.5"}, (84.5, -5.5)),
        ({"RA": -10.0, "DEC": 0.0}, (350.0, 0.0)),
        ({"RA": 84.5}, (None, None)),
        ({"RA": 84.5, "DEC": 95.0}, (None, None)),
        ({"RA": "= NaN", "DEC": 1.0}, (None, None)),
        ({}, (None, None)),
    ],
)
def test_pointing_of_a_frame_without_wcs(build, cards, position):
    frame = build({"CTYPE1": None, "CTYPE2": None} | cards)
    assert not frame.wcs_ok
    assert has(frame, "NO_WCS")
    assert (frame.ra, frame.dec) == position
    assert (frame.radius, frame.s_region) == (None, None)


def test_pixel_scale_without_wcs(build):
    assert build({"CTYPE1": None, "PIXSCALE": 0.5}).pixel_scale == 0.5
    frame = build({"CTYPE1": None}, relpath="7DT_C361K_HIGH_1x1/a.fits", layout="{telkey}")
    assert (frame.pixel_scale, frame.origin["pixel_scale"]) == (0.505, "instrument:7DT C361K high gain")
    assert build({"PIXSCALE": 9.0}).pixel_scale == pytest.approx(1.4e-4 * 3600)


def test_night(build):
    # 02:00 UTC: still the evening before in Chile.
    sites = {"El Sauce": SiteSettings(longitude=-70.8, latitude=-30.5)}
    frame = build({"OBSERVAT": "EL SAUCE"}, sites=sites)
    assert (frame.night, frame.origin["night"]) == ("2025-08-31", "site:El Sauce")
    frame = build({"SITELONG": 127.0})
    assert (frame.night, frame.origin["night"]) == ("2025-08-31", "header:SITELONG")
    frame = build({"SITELONG": "127 00 00", "DATE-OBS": "2025-09-01T14:00:00"})
    assert frame.night == "2025-09-01"
    frame = build({"INSTRUME": "DECam"})
    assert (frame.night, frame.origin["night"]) == ("2025-08-31", "instrument:DECam")
    assert not has(frame, "NIGHT_UTC")


def test_night_of_an_unknown_site(build):
    frame = build()
    assert (frame.night, frame.origin["night"]) == ("2025-08-31", "UTC")
    assert has(frame, "NIGHT_UTC")
    assert frame.origin["note:night"] == "counted from UTC noon: the site is unknown"
    frame = build({"TELESCOP": "JWST"})
    assert frame.origin["note:night"] == "counted from UTC noon: the telescope is in space"
    assert build({"DATE-OBS": None}).night is None


@pytest.mark.parametrize("folder", ["2025-08-31", "20250831", "2025_08_31", "20250831_gain2750", "250831", "2025.08.31"])
def test_night_of_the_path(build, folder):
    frame = build(relpath=f"{folder}/a.fits", layout="{night}")
    assert (frame.night, frame.origin["night"]) == ("2025-08-31", "path")
    assert not has(frame, "NIGHT_UTC")
    assert not has(frame, "FIELD_DISAGREES")
    frame = build({"DATE-OBS": None}, relpath=f"{folder}/a.fits", layout="{night}")
    assert frame.night == "2025-08-31"


def test_night_of_path_and_header_disagree(build):
    frame = build(relpath="2025-07-01/a.fits", layout="{night}")
    assert frame.night == "2025-07-01"
    assert frame.origin["note:night"] == "path 2025-07-01, header 2025-08-31"
    assert has(frame, "FIELD_DISAGREES")
    frame = build(relpath="2025-07-01/a.fits", layout="{night}", order=("header", "path"))
    assert frame.night == "2025-08-31"
    frame = build(relpath="first light/a.fits", layout="{night}")
    assert frame.origin["note:night"].startswith("path 'first light' is no date")


def test_night_of_a_date_alone(build):
    frame = build({"DATE-OBS": "29/11/51"})
    assert (frame.night, frame.date_obs, frame.mjd_start) == ("1951-11-29", "1951-11-29", 33979.0)


def test_quality_of_times(build):
    assert has(build({"DATE-OBS": "2025-13-45"}), "NO_TIME")
    frame = build({"MJD-OBS": 50000.0})
    assert has(frame, "TIME_DISAGREES")
    assert "MJD-OBS 50000.000000" in frame.origin["note:mjd_mid"]
