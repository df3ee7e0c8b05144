"""Times as if the observer stood at the barycentre or in the Sun: BJD_TDB and HJD.

Positions of Earth and observatory are ERFA's, so that nothing is downloaded: Earth by VSOP2000-like series (`erfa.epv00`), the
observatory by the Earth's rotation with UT1 = UTC. The errors of both together stay below 20 microseconds.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import erfa
import numpy as np
from astropy import constants
from astropy.time import Time
from numpy.typing import ArrayLike, NDArray

from ezarchive.errors import InputError
from ezarchive.sky import unit_vectors

Floats = NDArray[np.float64]

_LIGHT_DAYS_PER_AU = float((constants.au / constants.c).to_value("day"))
_AU = float(constants.au.to_value("m"))
_MJD = 2400000.5


class Site(NamedTuple):
    """Where an observatory stands: east longitude and latitude (degrees, WGS84), metres above the ellipsoid."""

    longitude: float
    latitude: float
    elevation: float = 0.0


def bjd_tdb(mjd_utc: ArrayLike, ra: ArrayLike, dec: ArrayLike, sites: Site | None | Sequence[Site | None] = None) -> Floats:
    """Return barycentric Julian dates in TDB.

    Parameters
    ----------
    mjd_utc : array_like, shape (n,)
        MJD in UTC; NaN gives NaN.
    ra, dec : array_like
        Of the source, ICRS degrees; one place, or one for each time.
    sites : Site or None, or a sequence of them, optional
        Of the observer, for all times or one each. None is the centre of the Earth: up to 21 ms off.

    Returns
    -------
    ndarray of float64, shape (n,)
        BJD_TDB, days (a float64 holds them to 40 microseconds).

    Raises
    ------
    InputError
        If the sites are not one, or one for each time.

    Notes
    -----
    Eastman, Siverd & Gaudi 2010, PASP 122, 935: BJD_TDB = JD_TDB + (r . n) / c with r the observer's barycentric position and n towards
    the source, which is taken to be infinitely far away. Shapiro's delay (under 0.1 ms beyond 1 degree from the Sun) is left out.
    """
    return _moved(mjd_utc, ra, dec, sites, barycentric=True)


def hjd_utc(mjd_utc: ArrayLike, ra: ArrayLike, dec: ArrayLike, sites: Site | None | Sequence[Site | None] = None) -> Floats:
    """Return heliocentric Julian dates in UTC, which is what the AAVSO means by HJD.

    Parameters and errors are those of `bjd_tdb`; the Sun's centre is the origin, and the scale stays UTC.
    """
    return _moved(mjd_utc, ra, dec, sites, barycentric=False)


def _moved(mjd_utc: ArrayLike, ra: ArrayLike, dec: ArrayLike, sites: Site | None | Sequence[Site | None], *, barycentric: bool) -> Floats:
    mjd = np.atleast_1d(np.asarray(mjd_utc, float))
    known = [sites] * len(mjd) if sites is None or isinstance(sites, Site) else list(sites)
    if len(known) != len(mjd):
        raise InputError(f"sites: must be one, or one for each of the {len(mjd)} times, found {len(known)}")
    found = np.full(len(mjd), np.nan)
    good = np.flatnonzero(np.isfinite(mjd))
    if not good.size:
        return found
    towards = np.broadcast_to(np.atleast_2d(unit_vectors(ra, dec)), (len(mjd), 3))[good]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", erfa.ErfaWarning)  # of years whose leap seconds nobody knows yet
        found[good] = _delayed(mjd[good], towards, [known[place] for place in good], barycentric=barycentric)
    return found


def _delayed(mjd: Floats, towards: Floats, sites: Sequence[Site | None], *, barycentric: bool) -> Floats:
    """Return the dates of finite times; `towards` are unit vectors to the source."""
    times = Time(_MJD, mjd, format="jd", scale="utc")
    heliocentric, from_barycentre = erfa.epv00(times.tdb.jd1, times.tdb.jd2)
    earth = (from_barycentre if barycentric else heliocentric)["p"]
    observer = earth + _geocentric(times, sites) / _AU
    delay = (observer * towards).sum(axis=-1) * _LIGHT_DAYS_PER_AU
    scale = times.tdb if barycentric else times
    return scale.jd1 + (scale.jd2 + delay)


def _geocentric(times: Time, sites: Sequence[Site | None]) -> Floats:
    """Return where observers are, metres from the Earth's centre along the axes of GCRS; zero where a site is unknown."""
    position = np.zeros((len(sites), 3))
    there = np.array([place for place, site in enumerate(sites) if site is not None], dtype=int)
    if not there.size:
        return position
    longitude, latitude, elevation = np.array([sites[place] for place in there], dtype=float).T
    utc, tt = times[there], times[there].tt
    rotation = erfa.era00(utc.jd1, utc.jd2)  # UT1 is UTC to a second: 0.5 km, 1.5 microseconds
    local = erfa.pvtob(np.radians(longitude), np.radians(latitude), elevation, 0.0, 0.0, 0.0, rotation)["p"]
    to_gcrs = np.swapaxes(erfa.c2i06a(tt.jd1, tt.jd2), -1, -2)
    position[there] = np.einsum("nij,nj->ni", to_gcrs, local)
    return position


def site_list(observatories: Sequence[str | None], sites: Mapping[str, Site]) -> tuple[list[Site | None], list[str]]:
    """Return the site of each observatory, None where it is not known, and the names that are not.

    Parameters
    ----------
    observatories : sequence of str or None
        One for each time.
    sites : mapping
        Name -> site; capitals do not matter.

    Returns
    -------
    sites : list of Site or None
    unknown : list of str
        Sorted; an observatory without a name is ``"?"``.
    """
    known = {name.casefold(): site for name, site in sites.items()}
    found = [None if name is None else known.get(name.casefold()) for name in observatories]
    unknown = sorted({name or "?" for name, site in zip(observatories, found, strict=True) if site is None})
    return found, unknown
