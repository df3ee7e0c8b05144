"""Skies: targets, stars, variable stars and galaxies, with their true magnitudes."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import astropy.units as u
import numpy as np
from astropy.table import QTable, vstack
from numpy.typing import ArrayLike, NDArray

from ezarchive.errors import InputError
from ezarchive.simulate.optics import band
from ezarchive.simulate.varying import variation as magnitudes_fainter
from ezarchive.sky import separation

SLOPE = 0.2
"""Slope of the number counts: log10 of the number of sources grows by this per magnitude."""
FAINT, BRIGHT = 18.5, 11.0
"""Limits of the drawn magnitudes (AB, r)."""
GALAXY_FRACTION = 0.12
_SATURATED = (9.0, 9.8)
_APART, _ROOM = 30.0, 15.0
_VARIABLES = (  # kind, period in days, amplitude in mag, magnitude at which it is looked for
    ("sine", 11.3, 0.5, 14.5),
    ("rrlyrae", 0.5668, 0.9, 15.0),
    ("eclipsing", 2.4673, 0.7, 14.0),
    ("sine", 0.1342, 0.3, 13.5),
    ("transient", np.nan, 0.08, 14.8),
)
# The positions and sizes that the tutorial measures: x, y, kind, magnitude, half-light radius ("), axis ratio, position angle (deg).
_TUTORIAL = {
    "T00528": (
        (325.66015654, -77.300872906, "star", 14.6, np.nan, np.nan, np.nan),
        (325.37, -77.393, "star", 8.0, np.nan, np.nan, np.nan),
        (324.25336362, -77.573930752, "galaxy", 14.8, 3.5, 0.497, 33.4),
    )
}


@dataclass(frozen=True)
class Target:
    """A field: its name, its centre (ICRS degrees), its number of epochs (None: that of the archive)."""

    name: str
    ra: float
    dec: float
    epochs: int | None = None


TARGETS = (Target("T00528", 326.25, -(77 + 15 / 60 + 44 / 3600)), Target("T01462", 0.0, -30.0, epochs=2))
"""The demo's fields: the tutorial's, and one that straddles RA 0."""


def generator(seed: int, *labels: str) -> np.random.Generator:
    """Return the random generator of one purpose, so that no part of a simulation shifts the numbers of another.

    Parameters
    ----------
    seed : int
        The simulation's seed, not negative.
    *labels : str
        Names of the purpose.

    Raises
    ------
    InputError
        If the seed is negative or no whole number.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InputError(f"seed {seed!r}: must be a whole number from 0")
    return np.random.default_rng([int(seed), *(zlib.crc32(label.encode()) for label in labels)])


def counts(n: int, rng: np.random.Generator, bright: float = BRIGHT, faint: float = FAINT) -> NDArray[np.float64]:
    """Draw magnitudes whose number rises by 10^`SLOPE` a magnitude.

    Parameters
    ----------
    n : int
        How many.
    rng : numpy.random.Generator
    bright, faint : float
        Limits, AB magnitudes in r.

    Returns
    -------
    ndarray (n,)
    """
    low, high = 10 ** (SLOPE * bright), 10 ** (SLOPE * faint)
    return np.log10(rng.uniform(low, high, n)) / SLOPE


def deproject(ra0: float, dec0: float, xi: ArrayLike, eta: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ICRS positions of points on the tangent plane (inverse gnomonic projection).

    Parameters
    ----------
    ra0, dec0 : float
        Point of contact, degrees.
    xi, eta : array_like
        East and north on the plane, arcsec.

    Returns
    -------
    ra, dec : ndarray
        Degrees, 0 <= ra < 360.
    """
    xi, eta = np.radians(np.asarray(xi, float) / 3600), np.radians(np.asarray(eta, float) / 3600)
    sin, cos = np.sin(np.radians(dec0)), np.cos(np.radians(dec0))
    ahead = cos - eta * sin
    return (ra0 + np.degrees(np.arctan2(xi, ahead))) % 360, np.degrees(np.arctan2(sin + eta * cos, np.hypot(xi, ahead)))


def field(target: Target, width: float, density: float, seed: int, *, inner: float | None = None, t0: float = 60919.0) -> QTable:
    """Make the sources of a field: stars, variable stars, saturated stars, galaxies.

    Parameters
    ----------
    target : Target
        The field.
    width : float
        Side of the square that is filled, arcsec.
    density : float
        Sources per square arcmin, between the limits of the counts.
    seed : int
        Seed of the simulation.
    inner : float, optional
        Radius in arcsec within which the variable and the saturated stars lie; a quarter of the width by default.
    t0 : float
        MJD near which the epochs of the variable stars lie.

    Returns
    -------
    QTable
        The columns of `stars_table`.
    """
    rng = generator(seed, "field", target.name)
    n = max(0, round(density * (width / 60) ** 2))
    xi, eta = rng.uniform(-width / 2, width / 2, (2, n))
    magnitudes = counts(n, rng)
    galaxy = rng.random(n) < GALAXY_FRACTION
    ra, dec = deproject(target.ra, target.dec, xi, eta)
    table = stars_table(ra, dec, magnitudes, galaxy, rng)
    inner = width / 4 if inner is None else inner
    table = _give_roles(table, np.hypot(xi, eta) < inner, min(_APART, inner / 2), t0, rng)
    extra = _tutorial_sources(target, width, rng)
    return vstack([table, extra]) if len(extra) else table


def stars_table(ra: NDArray, dec: NDArray, magnitudes: NDArray, galaxy: NDArray, rng: np.random.Generator) -> QTable:
    """Return a table of constant sources with drawn colours and shapes.

    Columns: ``star_id``; ``ra``, ``dec`` (ICRS deg); ``kind`` star or galaxy; ``mag`` (AB, r); ``colour`` (mag per 250 nm);
    ``variability`` constant, sine, rrlyrae, eclipsing or transient, with ``period`` (d), ``amplitude`` (mag; of a transient
    mag per day of its decline) and ``epoch`` (MJD); ``radius`` (half-light, arcsec, along the major axis), ``axis_ratio`` and
    ``position_angle`` (deg, east of north) of galaxies.

    Parameters
    ----------
    ra, dec : ndarray (n,)
        Degrees.
    magnitudes : ndarray (n,)
        AB, r.
    galaxy : ndarray of bool (n,)
        Which are galaxies.
    rng : numpy.random.Generator
        Draws the colours and the shapes.
    """
    n = len(ra)
    shapes = rng.uniform(size=(3, n))
    return QTable(
        {
            "star_id": np.arange(1, n + 1),
            "ra": ra * u.deg,
            "dec": dec * u.deg,
            "kind": np.where(galaxy, "galaxy", "star"),
            "mag": magnitudes * u.mag,
            "colour": rng.normal(0.25, 0.15, n) * u.mag,
            "variability": np.full(n, "constant", dtype="U9"),
            "period": np.full(n, np.nan) * u.day,
            "amplitude": np.zeros(n) * u.mag,
            "epoch": np.full(n, np.nan) * u.day,
            "radius": np.where(galaxy, 0.8 + 2.2 * shapes[0], np.nan) * u.arcsec,
            "axis_ratio": np.where(galaxy, 0.3 + 0.7 * shapes[1], np.nan),
            "position_angle": np.where(galaxy, 180 * shapes[2], np.nan) * u.deg,
        }
    )


def _give_roles(table: QTable, inner: NDArray, apart: float, t0: float, rng: np.random.Generator) -> QTable:
    """Make inner stars variable or saturated, far from each other, and take the neighbours of the variable ones away."""
    chosen: list[int] = []
    crowd = np.zeros(len(table), bool)
    for kind, period, amplitude, wanted in (*(("constant", np.nan, 0.0, m) for m in _SATURATED), *_VARIABLES):
        far = np.all([_distances(table, i) > apart for i in chosen], axis=0) if chosen else True
        free = np.flatnonzero(inner & far & ~crowd & (table["kind"] == "star"))
        phase = rng.random()
        if free.size == 0:
            continue
        i = free[np.argmin(np.abs(table["mag"][free].value - wanted))]
        chosen.append(i)
        table["mag"][i], table["variability"][i] = wanted * u.mag, kind
        if kind != "constant":
            crowd |= (_distances(table, i) < _ROOM) & (np.arange(len(table)) != i)
            table["period"][i], table["amplitude"][i] = period * u.day, amplitude * u.mag
            table["epoch"][i] = (t0 + (5 + 5 * phase if kind == "transient" else phase * period)) * u.day
    return table[~crowd]


def _distances(table: QTable, i: int) -> NDArray[np.float64]:
    """Distance of every source from one, arcsec."""
    return separation(table["ra"].value, table["dec"].value, table["ra"][i].value, table["dec"][i].value) * 3600


def _tutorial_sources(target: Target, width: float, rng: np.random.Generator) -> QTable:
    rows = _TUTORIAL.get(target.name, ())
    ra, dec, kind, magnitude, radius, ratio, angle = (np.array(column) for column in zip(*rows, strict=True)) if rows else [np.zeros(0)] * 7
    table = stars_table(ra, dec, magnitude, kind == "galaxy", rng)
    table["radius"], table["axis_ratio"], table["position_angle"] = radius * u.arcsec, ratio, angle * u.deg
    cos = np.cos(np.radians(target.dec))
    far = np.maximum(np.abs((ra - target.ra + 180) % 360 - 180) * cos, np.abs(dec - target.dec)) * 3600 > width / 2
    return table[~far]


def magnitudes(stars: QTable, filter_name: str, mjd: float) -> NDArray[np.float64]:
    """Return the true AB magnitudes of sources at a time.

    Parameters
    ----------
    stars : QTable
        Of `stars_table`.
    filter_name : str
        A filter of `optics.band`.
    mjd : float
        MJD UTC.

    Returns
    -------
    ndarray (n,)
        Infinite where a transient has not begun.
    """
    colour = stars["colour"].value * (625 - band(filter_name).wavelength) / 250
    return stars["mag"].value + colour + variation(stars, mjd)


def variation(stars: QTable, mjd: float) -> NDArray[np.float64]:
    """Return how much fainter than their ``mag`` sources are at a time, magnitudes."""
    delta = np.zeros(len(stars))
    for i in np.flatnonzero(stars["variability"] != "constant"):
        since = mjd - stars["epoch"][i].value
        delta[i] = magnitudes_fainter(str(stars["variability"][i]), since, stars["period"][i].value, stars["amplitude"][i].value)
    return delta


def number(tables: Sequence[QTable], targets: Sequence[Target]) -> QTable:
    """Stack the fields of several targets under one numbering; a column ``target`` names the field."""
    parts = []
    for k, (table, target) in enumerate(zip(tables, targets, strict=True)):
        part = table.copy()
        part["star_id"] = (k + 1) * 1_000_000 + np.arange(1, len(part) + 1)
        part.add_column(np.full(len(part), target.name), index=1, name="target")
        parts.append(part)
    return vstack(parts)
