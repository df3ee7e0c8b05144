"""Times as users write them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest
from astropy.time import Time
from hypothesis import given
from hypothesis import strategies as st

from ezarchive.errors import InputError
from ezarchive.times import day_of, parse_time

pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("value", "mjd"),
    [
        ("2025-09-01", 60919.0),
        ("20250901", 60919.0),
        ("250901", 60919.0),
        (20250901, 60919.0),
        (250901, 60919.0),
        (60919, 60919.0),
        (60919.25, 60919.25),
        ("60919.25", 60919.25),
        (np.float64(60919.25), 60919.25),
        ("2025-09-01T06:00:00", 60919.25),
        ("2025-09-01 06:00", 60919.25),
        ("2025-09-01T06:00:00Z", 60919.25),
        ("2025-09-01T09:00:00+03:00", 60919.25),
        (date(2025, 9, 1), 60919.0),
        (datetime(2025, 9, 1, 6), 60919.25),
        (datetime(2025, 9, 1, 9, tzinfo=timezone(timedelta(hours=3))), 60919.25),
        (pd.Timestamp("2025-09-01T06:00"), 60919.25),
        (np.datetime64("2025-09-01T06:00"), 60919.25),
        (Time(60919.25, format="mjd", scale="utc"), 60919.25),
    ],
)
def test_forms(value, mjd):
    assert parse_time("t", value) == pytest.approx(mjd, abs=1e-9)


def test_other_scales_become_utc():
    moment = Time("2025-09-01T06:00:00", scale="utc")
    assert parse_time("t", moment.tt) == pytest.approx(60919.25, abs=1e-9)


@pytest.mark.parametrize("value", ["2025-13-01", "tomorrow", "", "2025", None, True, [60919], b"20250901"])
def test_what_is_no_time(value):
    with pytest.raises(InputError, match="^obs_start=.*must be a date"):
        parse_time("obs_start", value)


@pytest.mark.parametrize("value", [2460920.5, float("nan"), float("inf")])
def test_a_julian_date_is_named(value):
    with pytest.raises(InputError, match="must be an MJD .*a JD is an MJD plus 2400000.5"):
        parse_time("end", value)


def test_one_time_at_a_time():
    with pytest.raises(InputError, match="must be one time, found 2"):
        parse_time("end", Time([60000, 60001], format="mjd"))


@given(st.datetimes(min_value=datetime(1972, 1, 1), max_value=datetime(2028, 1, 1)))
def test_agrees_with_astropy(moment):
    assert parse_time("t", moment.isoformat()) == pytest.approx(Time(moment, scale="utc").mjd, abs=1.2e-5)
    assert day_of(parse_time("t", moment)) == moment.replace(tzinfo=UTC).date().isoformat()
