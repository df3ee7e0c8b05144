"""Barycentric and heliocentric times."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import EarthLocation, SkyCoord
from astropy.time import Time
from astropy.utils import iers

from ezarchive.errors import InputError
from ezarchive.timeseries.scales import Site, bjd_tdb, hjd_utc, site_list

SAUCE = Site(-70.763, -30.4725, 1570.0)
QUANTUM = 5e-10
"""Days: what a float64 holds of a Julian date."""


def place(site: Site) -> EarthLocation:
    return EarthLocation(lon=site.longitude * u.deg, lat=site.latitude * u.deg, height=site.elevation * u.m)


def by_astropy(mjd: np.ndarray, ra: float, dec: float, site: Site | None, kind: str) -> np.ndarray:
    """The same by astropy's own function, without a download."""
    location = EarthLocation.from_geocentric(0, 0, 0, u.m) if site is None else place(site)
    with iers.conf.set_temp("auto_download", False):
        times = Time(mjd, format="mjd", scale="utc", location=location)
        delay = times.light_travel_time(SkyCoord(ra * u.deg, dec * u.deg), kind)
        times = times.tdb if kind == "barycentric" else times
        return times.jd1 + (times.jd2 + delay.to_value(u.day))


@pytest.mark.parametrize("site", [None, SAUCE, Site(0.0, 51.477), Site(120.87, 85.0, 4000.0)])
@pytest.mark.parametrize(("ra", "dec"), [(326.25, -77.26), (0.0, 0.0), (270.0, 66.56), (10.0, 89.999), (180.0, -90.0)])
def test_as_astropy(ra, dec, site):
    mjd = np.linspace(51544.0, 60000.3, 173)
    # 20 microseconds, and the grain of float64: astropy's positions know UT1, the pole, and the relativistic terms of the site in TDB.
    limit = 20e-6 / 86400 + QUANTUM
    np.testing.assert_allclose(bjd_tdb(mjd, ra, dec, site), by_astropy(mjd, ra, dec, site, "barycentric"), rtol=0, atol=limit)
    np.testing.assert_allclose(hjd_utc(mjd, ra, dec, site), by_astropy(mjd, ra, dec, site, "heliocentric"), rtol=0, atol=limit)


def test_the_value_in_the_manual_of_astropy():
    # https://docs.astropy.org/en/stable/time/#barycentric-and-heliocentric-light-travel-time-corrections: IP Peg from Greenwich.
    mjd = np.array([56325.95833333, 56325.978254])
    star = SkyCoord("23:23:08.55", "+18:24:59.3", unit=(u.hourangle, u.deg), frame="icrs")
    found = bjd_tdb(mjd, star.ra.deg, star.dec.deg, Site(-0.001475, 51.477811, 46.0))
    # TDB - UTC was 35 leap seconds + 32.184 s (TDB - TT is under 2 ms).
    np.testing.assert_allclose((found - 2400000.5 - mjd) - (35 + 32.184) / 86400, [-0.0037715, -0.00377286], rtol=0, atol=3e-8)


def test_a_source_on_the_ecliptic_by_hand():
    # At the equinox of 2024 the Sun stood at RA 0, Dec 0 of date, and the Earth at a true anomaly of 180 - 103.354 degrees:
    distance = (1 - 0.016698**2) / (1 + 0.016698 * np.cos(np.radians(180 - 103.354)))
    mjd = Time("2024-03-20T03:06:00").mjd
    behind = float(hjd_utc(mjd, 0.0, 0.0)[0] - 2400000.5 - mjd)
    # The Moon moves the Earth by up to 3e-5 au.
    assert behind == pytest.approx(-distance * 499.004784 / 86400, abs=4e-5 * 499.004784 / 86400)
    assert float(hjd_utc(mjd, 180.0, 0.0)[0] - 2400000.5 - mjd) == pytest.approx(-behind, abs=1e-9)
    assert float(hjd_utc(mjd, 270.0, 66.5607)[0] - 2400000.5 - mjd) == pytest.approx(0, abs=5e-8)


def test_far_in_the_future_without_a_download():
    with iers.conf.set_temp("auto_download", True):
        assert np.isfinite(bjd_tdb([75000.0], 10.0, 20.0, SAUCE)).all()


def test_missing_times_and_sites_by_row():
    mjd = np.array([60000.0, np.nan, 60000.0])
    found = bjd_tdb(mjd, 10.0, 20.0, [SAUCE, SAUCE, None])
    assert np.isnan(found[1])
    assert found[0] == bjd_tdb(60000.0, 10.0, 20.0, SAUCE)[0]
    assert found[2] == bjd_tdb(60000.0, 10.0, 20.0)[0]
    assert 0 < abs(found[0] - found[2]) < 0.0215 / 86400
    assert bjd_tdb([], 10.0, 20.0).shape == (0,)
    many = bjd_tdb([60000.0, 60000.0], [10.0, 190.0], [0.0, 0.0])
    assert many[0] != many[1]


def test_wrong_sites_are_named():
    with pytest.raises(InputError, match="sites: must be one, or one for each of the 2 times, found 1"):
        bjd_tdb([60000.0, 60001.0], 10.0, 20.0, [SAUCE])


def test_sites_by_name():
    assert site_list(["7dt", None, "Mars", "7DT"], {"7DT": SAUCE}) == ([SAUCE, None, None, SAUCE], ["?", "Mars"])
    assert site_list([], {}) == ([], [])
