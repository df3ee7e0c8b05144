from __future__ import annotations

import pytest
from astropy.time import Time
from hypothesis import given
from hypothesis import strategies as st

from ezarchive.frames.times import read_times

pytestmark = pytest.mark.pure

START = float(Time("2025-09-01T02:00:00").mjd)
NONE = {"DATE-OBS": None}


@pytest.fixture
def times(make_cards, instruments):
    """The times of an exposure of 100 s (unless given) with these cards."""

    def make(changes=None, exptime=100.0, filename="a.fits"):
        cards = make_cards(changes)
        return read_times(cards, instruments.identify(cards), exptime, filename)

    return make


def test_a_start_and_half_the_exposure(times):
    got = times()
    assert got.mjd_start == pytest.approx(START, abs=1e-9)
    assert (got.mjd_mid - START) * 86400 == pytest.approx(50, abs=1e-4)
    assert (got.mjd_end - START) * 86400 == pytest.approx(100, abs=1e-4)
    assert got.date_obs == "2025-09-01T02:00:00.000"
    assert got.origin == dict.fromkeys(("mjd_start", "mjd_mid", "mjd_end", "date_obs"), "header:DATE-OBS")
    assert not got.disagree
    assert got.notes == []


@pytest.mark.parametrize("keyword", ["MJD-AVG", "DATE-AVG", "EXPMID"])
def test_a_stated_middle_comes_first(times, keyword):
    value = "2025-09-01T02:01:00" if keyword == "DATE-AVG" else START + 60 / 86400
    got = times({keyword: value})
    assert (got.mjd_mid - START) * 86400 == pytest.approx(60, abs=1e-3)
    assert got.mjd_start == pytest.approx(START, abs=1e-9)
    assert got.origin["mjd_mid"] == f"header:{keyword}"
    assert not got.disagree


def test_a_middle_alone_gives_start_and_end(times):
    got = times({**NONE, "MJD-AVG": START})
    assert [(t - START) * 86400 for t in (got.mjd_start, got.mjd_end)] == pytest.approx([-50, 50], abs=1e-4)
    got = times({**NONE, "MJD-AVG": START}, exptime=None)
    assert (got.mjd_start, got.mjd_mid, got.mjd_end) == (None, START, None)


@pytest.mark.parametrize("keyword", ["MJD-BEG", "DATE-BEG", "OBSDATE", "UTCDATE", "EXPSTART"])
def test_other_names_of_the_start(times, keyword):
    value = START if keyword in ("MJD-BEG", "EXPSTART") else "2025-09-01T02:00:00"
    assert times({**NONE, keyword: value}).mjd_mid == pytest.approx(START + 50 / 86400, abs=1e-9)


@pytest.mark.parametrize(("keyword", "value"), [("MJD-OBS", START), ("MJD", START), ("JD", START + 2400000.5), ("MJD-OBS", f"{START}")])
def test_julian_dates_come_last(times, keyword, value):
    got = times({**NONE, keyword: value})
    assert got.mjd_mid == pytest.approx(START + 50 / 86400, abs=1e-8)
    assert got.origin["mjd_mid"] == f"header:{keyword}"
    got = times({keyword: 50000.0})
    assert got.mjd_start == pytest.approx(START)
    assert got.disagree


@pytest.mark.parametrize(
    ("changes", "origin"),
    [
        ({"DATE-OBS": "2025-09-01", "TIME-OBS": "02:00:00"}, "header:DATE-OBS+TIME-OBS"),
        ({"DATE-OBS": "01/09/25", "UT": "02:00:00"}, "header:DATE-OBS+UT"),
        ({"DATE-OBS": "2025-09-01", "TM-START": 7200.0}, "header:DATE-OBS+TM-START"),
    ],
)
def test_a_date_and_its_time_of_day(times, changes, origin):
    got = times(changes)
    wanted = START if "25" == changes["DATE-OBS"][2:4] else START - 36525
    assert got.mjd_start == pytest.approx(wanted, abs=1e-9)
    assert got.origin["mjd_start"] == origin


def test_a_date_alone_is_read_at_day_precision(times):
    got = times({"DATE-OBS": "29/11/51"})
    assert got.date_obs == "1951-11-29"
    assert got.day_only
    assert got.mjd_start == 33979.0
    assert got.mjd_mid == pytest.approx(33979.0, abs=0.01)
    assert got.mjd_end is None
    assert "only the date is known" in got.notes[0]


def test_a_julian_date_beats_a_date_alone(times):
    got = times({"DATE-OBS": "2025-09-01", "MJD-OBS": START})
    assert got.mjd_start == START
    assert not got.day_only
    assert not got.disagree
    assert times({"DATE-OBS": "2025-09-03", "MJD-OBS": START}).disagree


@pytest.mark.parametrize("value", ["2025-13-45T99:00:00", "0000-00-00T00:00:00", "31/02/99", "tonight", 20250901.5])
def test_an_impossible_date_is_none(times, value):
    got = times({"DATE-OBS": value})
    assert (got.mjd_start, got.mjd_mid, got.mjd_end, got.date_obs) == (None,) * 4
    assert got.notes == [f"DATE-OBS {str(value)!r} is no time"]


@pytest.mark.parametrize("value", ["", "N/A", "unknown"])
def test_an_empty_date_says_nothing(times, value):
    assert times({"DATE-OBS": value}).notes == []


def test_date_is_never_looked_at(times):
    assert times({**NONE, "DATE": "2025-09-01T02:00:00"}).mjd_mid is None


@pytest.mark.parametrize(("system", "seconds"), [("UTC", 0), ("TAI", -37), ("TT", -69.184), ("TDB", -69.184), ("GPS", -18)])
def test_time_systems(times, system, seconds):
    assert (times({"TIMESYS": system}).mjd_start - START) * 86400 == pytest.approx(seconds, abs=0.003)


def test_an_unknown_time_system_is_noted(times):
    got = times({"TIMESYS": "LOCAL"})
    assert got.mjd_start == pytest.approx(START)
    assert got.notes == ["TIMESYS 'LOCAL' is not known: taken as UTC"]


@pytest.mark.parametrize("seconds", [99.0, 101.0])
def test_sources_may_differ_by_the_exposure(times, seconds):
    got = times({"MJD-OBS": START + seconds / 86400})
    assert got.disagree == (seconds > 100)
    assert bool(got.notes) == got.disagree


def test_rounding_of_a_bias_is_no_difference(times):
    assert not times({"MJD-OBS": round(START + 0.4 / 86400, 5)}, exptime=0.0).disagree


def test_a_wrong_start_gives_way_to_the_middle(times):
    got = times({"MJD-AVG": START + 3})
    assert got.mjd_mid == START + 3
    assert (got.mjd_start - START - 3) * 86400 == pytest.approx(-50, abs=1e-4)
    assert got.disagree


def test_start_and_end(times):
    got = times({"DATE-END": "2025-09-01T02:03:20"})
    # The shutter was closed for a part of the time: half the exposure, as the rule has it.
    assert (got.mjd_mid - START) * 86400 == pytest.approx(50, abs=1e-3)
    assert (got.mjd_end - START) * 86400 == pytest.approx(200, abs=1e-3)
    got = times({"DATE-END": "2025-09-01T02:03:20"}, exptime=44579.0)
    assert (got.mjd_mid - START) * 86400 == pytest.approx(100, abs=1e-3)
    assert (times({"DATE-END": "2025-09-01T02:03:20"}, exptime=None).mjd_mid - START) * 86400 == pytest.approx(100, abs=1e-3)
    got = times({"DATE-END": "2025-08-01T02:03:20"})
    assert (got.mjd_end - START) * 86400 == pytest.approx(100, abs=1e-3)
    assert "header:DATE-END lies before header:DATE-OBS" in got.notes
    got = times({**NONE, "DATE-END": "2025-09-01T02:01:40"})
    assert (got.mjd_mid - START) * 86400 == pytest.approx(50, abs=1e-3)


def test_without_exposure_the_middle_is_the_start(times):
    got = times(exptime=None)
    assert got.mjd_mid == got.mjd_start
    assert got.mjd_end is None
    assert got.notes == ["no exposure time: the middle is taken to be the start"]


@pytest.mark.parametrize(
    "filename",
    ["calib_7DT14_T00528_20250901_020000_m600_100.fits", "7DT14_20250901_020000_T00528_m600_1x1_100s_0001.fits", "x-20250901T020000.fit"],
)
def test_a_time_in_the_file_name(times, filename):
    got = times(NONE, filename=filename)
    assert got.mjd_start == pytest.approx(START, abs=1e-9)
    assert got.origin["mjd_mid"] == "name"
    # A file's name may count local time: where the header has one, it says nothing.
    assert not times({"DATE-OBS": "2025-08-01T02:00:00"}, filename=filename).disagree


def test_numbers_in_a_file_name_are_no_time(times):
    assert times(NONE, filename="calib_120250901_020000_1.fits").mjd_mid is None
    assert times(NONE, filename="calib_20251301_020000_1.fits").mjd_mid is None


@given(mjd=st.floats(40_000, 70_000), exptime=st.floats(0.1, 10_000))
def test_middle_lies_between_start_and_end(make_cards, instruments, mjd, exptime):
    cards = make_cards({**NONE, "MJD-BEG": mjd})
    got = read_times(cards, instruments.identify(cards), exptime, "")
    assert got.mjd_start <= got.mjd_mid <= got.mjd_end
    assert (got.mjd_end - got.mjd_start) * 86400 == pytest.approx(exptime, abs=1e-4)
