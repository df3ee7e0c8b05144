from __future__ import annotations

import math

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord, angular_separation
from hypothesis import given
from hypothesis import strategies as st

from ezarchive.errors import InputError
from ezarchive.sky import from_vectors, parse_angle, parse_position, separation, unit_vectors

pytestmark = pytest.mark.pure

RA = st.floats(0, 359.9999)
DEC = st.floats(-90, 90)
WANTED = (326.25, -77.26222222222222)


@pytest.mark.parametrize(
    "value",
    [
        "21:45:00 -77:15:44",
        "21 45 00 -77 15 44",
        "21:45:00, -77:15:44",
        "21h45m00s -77d15m44s",
        "21h45m -77d15m44s",
        "326d15m00s -77d15m44s",
        "326.25 -77.26222222222222",
        "326.25,-77.26222222222222",
        "326.25 \N{MINUS SIGN}77:15:44",
        "326.25° -77°15′44″",
        ("21:45:00", "-77:15:44"),
        (326.25, -77.26222222222222),
        [326.25, -77.26222222222222],
        (-33.75, -77.26222222222222),
        np.array([326.25, -77.26222222222222]),
        (326.25 * u.deg, -77.26222222222222 * u.deg),
        (21.75 * u.hourangle, -77.26222222222222 * u.deg),
        SkyCoord("21:45:00 -77:15:44", unit=("hourangle", "deg")),
        SkyCoord("21:45:00 -77:15:44", unit=("hourangle", "deg")).galactic,
    ],
)
def test_forms_of_a_position(value):
    assert parse_position(value) == pytest.approx(WANTED, abs=1e-9)


def test_small_negative_declination_keeps_its_sign():
    assert parse_position("00:00:00 -00:00:36") == pytest.approx((0, -0.01))


@given(RA, DEC)
def test_text_of_degrees_comes_back(ra, dec):
    got = parse_position(f"{ra:.12f} {dec:.12f}")
    assert separation(*got, ra, dec) < 1e-9


@given(RA, DEC)
def test_agrees_with_astropy_on_sexagesimal_text(ra, dec):
    coord = SkyCoord(ra * u.deg, dec * u.deg)
    for text in (coord.to_string("hmsdms", precision=6), coord.to_string("hmsdms", sep=":", precision=6)):
        wanted = SkyCoord(text, unit=("hourangle", "deg"))
        assert separation(*parse_position(text), wanted.ra.deg, wanted.dec.deg) < 1e-9


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ((math.nan, 0), "must be finite"),
        ((0, math.inf), "must be finite"),
        ((0, 90.001), r"declination in -90 to 90"),
        ((721, 0), r"right ascension must lie"),
        ("25:00:00 10:00:00", "hours of right ascension must lie in 0 to 24"),
        ("21:61:00 10:00:00", "minutes and seconds must lie below 60"),
        ("21:45:00", "must be two words"),
        ("T00528", "must be two words"),
        ("one two", "'one' must be degrees or sexagesimal"),
        ("21h00m00s 10h00m00s", "'10h00m00s' must be degrees or sexagesimal"),
        (12.0, "must be a SkyCoord"),
        (None, "must be a SkyCoord"),
        ((True, 1), "must be a number of degrees"),
        (([1, 2], 1), "must be a number of degrees"),
        ((1 * u.m, 1 * u.deg), "unit m must be an angle"),
        ((1 * u.deg, [1, 2] * u.deg), "must be one value, found 2"),
        (SkyCoord([1, 2] * u.deg, [1, 2] * u.deg), "must be one position, found 2"),
    ],
)
def test_what_is_no_position(value, message):
    with pytest.raises(InputError, match=message):
        parse_position(value)


@pytest.mark.parametrize(
    ("value", "degrees"),
    [
        ("10 arcmin", 1 / 6),
        ("10'", 1 / 6),
        ("10′", 1 / 6),
        ('2"', 2 / 3600),
        ("2″", 2 / 3600),
        ("2arcsec", 2 / 3600),
        ("0.5 deg", 0.5),
        ("0.5°", 0.5),
        ("1e-1 Degrees", 0.1),
        ("250 mas", 250 / 3.6e6),
        ("1 rad", 57.29577951308232),
        (10 * u.arcmin, 1 / 6),
        (2.0 * u.arcsec, 2 / 3600),
    ],
)
def test_forms_of_an_angle(value, degrees):
    assert parse_angle(value) == pytest.approx(degrees, rel=1e-12)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (10, r"radius 10: a bare number has no unit; write '10 arcsec'"),
        (np.float64(2.5), "a bare number has no unit"),
        ("10", r"radius '10': has no unit; write '10 arcsec'"),
        ("10 parsec", r"unit 'parsec' must be one of deg"),
        ("wide", "must be a number with a unit"),
        (3 * u.s, "unit s must be an angle"),
        (None, "must be a Quantity or text"),
        (math.nan * u.deg, "must be finite"),
    ],
)
def test_what_is_no_angle(value, message):
    with pytest.raises(InputError, match=message):
        parse_angle(value, "radius")


@given(RA, DEC)
def test_vectors_round_trip(ra, dec):
    vector = unit_vectors(ra, dec)
    assert np.linalg.norm(vector) == pytest.approx(1)
    back = from_vectors(vector)
    assert 0 <= back[0] < 360
    assert separation(ra, dec, *back) < 1e-11


def test_vectors_broadcast():
    assert unit_vectors(np.zeros((4, 1)), np.zeros(5)).shape == (4, 5, 3)


@given(RA, DEC, RA, DEC)
def test_separation_agrees_with_astropy(ra1, dec1, ra2, dec2):
    wanted = np.degrees(angular_separation(*np.radians([ra1, dec1, ra2, dec2])))
    assert separation(ra1, dec1, ra2, dec2) == pytest.approx(wanted, abs=1e-12)


def test_a_frame_that_has_no_icrs_is_named() -> None:
    with pytest.raises(InputError, match="position: its frame 'altaz' must be one that can be converted to ICRS"):
        parse_position(SkyCoord(10 * u.deg, 20 * u.deg, frame="altaz"))
