from __future__ import annotations

import warnings

import pytest
from astropy.time import Time
from hypothesis import given
from hypothesis import strategies as st

from ezarchive.frames import dates

pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2025-09-01T02:03:04.5", "2025-09-01T02:03:04.500"),
        ("2025-09-01 02:03:04", "2025-09-01T02:03:04.000"),
        ("2025-09-01T02:03:04Z", "2025-09-01T02:03:04.000"),
        ("2025-09-01T02:03:04 UTC", "2025-09-01T02:03:04.000"),
        ("2025-09-01T02:03:04+09:00", "2025-08-31T17:03:04.000"),
        ("2025/09/01T02:03", "2025-09-01T02:03:00.000"),
        ("20250901T020304", "2025-09-01T02:03:04.000"),
        ("20250901_020304.25", "2025-09-01T02:03:04.250"),
        ("26/10/92T03:04:08", "1992-10-26T03:04:08.000"),
        ("2016-12-31T23:59:60.5", "2017-01-01T00:00:00.500"),
        ("2025-09-01T24:00:00", "2025-09-02T00:00:00.000"),
    ],
)
def test_dates_with_time(text, iso):
    mjd, precise = dates.parse_date(text)
    assert precise
    assert dates.iso(mjd) == iso


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("29/11/51", "1951-11-29"),
        ("26/10/92", "1992-10-26"),
        ("2025-09-01", "2025-09-01"),
        ("20250901", "2025-09-01"),
        ("01/09/2025", "2025-09-01"),
    ],
)
def test_dates_alone(text, day):
    mjd, precise = dates.parse_date(text)
    assert not precise
    assert mjd == int(mjd) == Time(day, scale="tai").mjd
    assert dates.iso(mjd, True) == day


@pytest.mark.parametrize(
    "text",
    ["2025-13-01T00:00:00", "2025-02-30", "0000-00-00T00:00:00", "31/02/99", "2025-09-01T25:00:00", "2025-09-01T02:61:00"]
    + ["yesterday", "", "12:30", "9999-01-01", "2025-09-01T02:03:04 PST"],
)
def test_what_is_no_date(text):
    assert dates.parse_date(text) is None


@given(st.floats(15_000, 80_000))
def test_iso_round_trip(mjd):
    back, precise = dates.parse_date(dates.iso(mjd))
    assert precise
    assert abs(back - mjd) * 86400 < 0.6e-3
    assert abs(Time(dates.iso(mjd), scale="tai").mjd - mjd) * 86400 < 0.6e-3


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("02:03:04.5", 7384.5), ("02:03", 7380.0), ("2:3:4", 7384.0), ("24:00:01", None), ("7384", None), ("02:03:04Z", 7384)],
)
def test_clock(text, seconds):
    assert dates.parse_clock(text) == seconds


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-77 15 44", -77.26222222222222),
        ("-00:00:36", -0.01),
        ("21h45m00s", 21.75),
        ("5 30.5", 5.508333333333334),
        ("12 61 00", None),
        ("12.5", None),
    ],
)
def test_sexagesimal(text, value):
    assert dates.parse_sexagesimal(text) == (None if value is None else pytest.approx(value))


@pytest.mark.parametrize("system", ["TAI", "TT", "TDB"])
@pytest.mark.parametrize("day", ["1975-06-01", "1999-01-02", "2017-01-01", "2024-05-05"])
def test_time_systems_agree_with_astropy(system, day):
    time = Time(f"{day}T12:00:00", scale=system.lower())
    assert dates.to_utc(time.mjd, system) == pytest.approx(time.utc.mjd, abs=3e-3 / 86400)


def test_time_systems():
    assert dates.to_utc(60000.5, "UTC") == dates.to_utc(60000.5, "") == 60000.5
    assert (dates.to_utc(60000.5, "GPS") - 60000.5) * 86400 == pytest.approx(-18, abs=1e-5)
    assert dates.to_utc(60000.5, "TT(BIPM)") == dates.to_utc(60000.5, "TT")
    assert dates.to_utc(60000.5, "LOCAL") is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert dates.to_utc(10000.0, "TAI") == pytest.approx(10000.0, abs=1e-3)


def test_julian_dates():
    assert dates.from_julian(2460554.5) == 60554.0
    assert dates.from_julian(60554.0) == 60554.0
    for value in (0.0, 1e9, -1e7, float("nan"), float("inf")):
        assert dates.from_julian(value) is None


@pytest.mark.parametrize(
    ("utc", "longitude", "night"),
    [
        ("2025-09-01T02:00:00", -70.8, "2025-08-31"),  # Chile, evening of the 31st
        ("2025-08-31T23:30:00", -70.8, "2025-08-31"),
        ("2025-09-01T16:42:00", -70.8, "2025-08-31"),  # 11:59 local
        ("2025-09-01T16:44:00", -70.8, "2025-09-01"),  # 12:01 local
        ("2025-09-01T14:00:00", 127.0, "2025-09-01"),  # Korea, 22:28 local
        ("2025-09-01T20:00:00", 127.0, "2025-09-01"),
        ("2025-09-01T20:00:00", -233.0, "2025-09-01"),  # the same longitude, counted west
        ("2025-09-01T05:00:00", 204.5, "2025-08-31"),  # Hawaii, 18:38 of the day before
        ("2025-09-01T11:59:00", None, "2025-08-31"),
        ("2025-09-01T12:01:00", None, "2025-09-01"),
    ],
)
def test_nights(utc, longitude, night):
    assert dates.night_of(Time(utc).mjd, longitude) == night


@given(st.floats(40_000, 70_000), st.floats(-180, 180))
def test_a_night_has_one_date(mjd, longitude):
    midnight = round(mjd) - longitude / 360
    assert dates.night_of(midnight - 0.49, longitude) == dates.night_of(midnight + 0.49, longitude)
    assert dates.night_of(midnight + 0.51, longitude) != dates.night_of(midnight, longitude)
