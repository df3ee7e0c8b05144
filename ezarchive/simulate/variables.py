"""Many epochs of many stars without a pixel: measurements with known truth, for tests and benchmarks of light curves.

``measurements(...)`` gives them all at once as arrays; `VariableSurvey` gives them frame by frame, so that a survey of any length fits into
memory. Stars are constant, or vary as a sine, an RR Lyrae star, an eclipsing binary or a transient.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import astropy.units as u
import numpy as np
from astropy.table import QTable
from astropy.time import Time
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ezarchive.errors import InputError, UnknownNameError
from ezarchive.simulate.field import Target, counts, generator
from ezarchive.simulate.optics import band
from ezarchive.simulate.plan import FIRST_NIGHT
from ezarchive.simulate.tree import ToyArchive, toy_archive
from ezarchive.simulate.varying import KINDS, variation
from ezarchive.sky import from_vectors, unit_vectors

ZERO_POINT = 25.0
"""Magnitude of 1 count per second through a clear sky."""
_FEW = {"sine": 5, "rrlyrae": 5, "eclipsing": 5, "transient": 5}
_PERIODS = {"sine": (0.13, 20.0), "rrlyrae": (0.42, 0.78), "eclipsing": (0.8, 4.0)}
_AMPLITUDES = {"sine": (0.15, 0.6), "rrlyrae": (0.5, 1.1), "eclipsing": (0.35, 0.8), "transient": (0.05, 0.12)}
_HEADROOM = 2.5


@dataclass(frozen=True, kw_only=True)
class SurveyPlan:
    """What a simulated survey is like.

    Attributes
    ----------
    n_constant : int
        Stars that do not vary.
    variables : mapping
        Kind of variability -> number of stars; kinds of `varying.KINDS`.
    n_nights, per_night : int
        Nights, and exposures in each of them through each filter.
    filters, telescopes : tuple of str
        Telescopes take turns.
    cadence : float
        Mean days from one night to the next.
    centre : (float, float)
        ICRS degrees.
    radius : float
        Of the field, degrees; every frame covers all of it.
    apart : float
        Least separation of two stars, arcsec.
    bright, depth : float
        Magnitudes: the brightest star, and the 5-sigma limit of a frame through a clear sky. Stars are drawn down to the limit
        (variable ones to 2.5 mag above it).
    gain : float
        Electrons per count of 1 s at `ZERO_POINT`, for all of an exposure: what the photon noise of bright stars is made from.
    cloud : float
        Mean extinction of a frame (exponential), mag: its zero point is `ZERO_POINT` less that, its limit brighter.
    astrometry : float
        Scatter of positions of bright stars on each axis, arcsec; that of faint ones grows with the noise.
    seeing : float
        FWHM, arcsec.
    exptime : float
        Seconds.
    """

    n_constant: int = 500
    variables: Mapping[str, int] = field(default_factory=lambda: dict(_FEW))
    n_nights: int = 40
    per_night: int = 2
    filters: tuple[str, ...] = ("r",)
    telescopes: tuple[str, ...] = ("7DT01",)
    cadence: float = 2.0
    centre: tuple[float, float] = (326.25, -77.26)
    radius: float = 0.6
    apart: float = 10.0
    bright: float = 12.0
    depth: float = 19.0
    gain: float = 100.0
    cloud: float = 0.05
    astrometry: float = 0.05
    seeing: float = 2.5
    exptime: float = 100.0

    def __post_init__(self) -> None:
        for name in self.variables:
            if name not in KINDS:
                raise UnknownNameError("variables", name, KINDS)
        self._check_whole_numbers()
        for name in ("filters", "telescopes"):
            if isinstance(getattr(self, name), str) or not getattr(self, name):
                raise InputError(f"{name} {getattr(self, name)!r}: must be a list of one name or more")
        for name in ("cadence", "radius", "gain", "seeing", "exptime"):
            if not 0 < getattr(self, name) < np.inf:
                raise InputError(f"{name} {getattr(self, name)!r}: must be positive")
        if self.radius > 180:
            raise InputError(f"radius {self.radius!r}: must be at most 180 degrees")
        for name in ("apart", "cloud", "astrometry"):
            if not 0 <= getattr(self, name) < np.inf:
                raise InputError(f"{name} {getattr(self, name)!r}: must not be negative")
        if not self.bright < self.depth - _HEADROOM:
            raise InputError(f"bright {self.bright!r}: must be more than {_HEADROOM} mag brighter than the depth, {self.depth!r}")

    def _check_whole_numbers(self) -> None:
        whole = {"n_constant": self.n_constant, "n_nights": self.n_nights, "per_night": self.per_night, **self.variables}
        for name, value in whole.items():
            least = 1 if name in ("n_nights", "per_night") else 0
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
                raise InputError(f"{name} {value!r}: must be a whole number from {least}")


class Measurements(NamedTuple):
    """Detections, one row each, frame by frame; and what was not detected.

    Attributes
    ----------
    star : ndarray of int64 (n,)
        Row of the star in ``stars``.
    frame : ndarray of int64 (n,)
        Row of the frame in ``frames``.
    mjd : ndarray (n,)
        Middle of the exposure, MJD UTC.
    filter : ndarray of str (n,)
    ra, dec : ndarray (n,)
        Measured, ICRS degrees.
    mag_true : ndarray (n,)
    mag, mag_err : ndarray (n,)
        Measured, with the frame's true zero point.
    mag_inst : ndarray (n,)
        -2.5 log10 of the counts per second: ``mag`` less the zero point.
    flux, flux_err : ndarray (n,)
        Counts per second.
    limit : ndarray (n,)
        5-sigma limit of the frame, calibrated.
    missed_star, missed_frame : ndarray of int64 (m,)
        The stars that each frame covers without detecting them.
    stars, frames : QTable
        The truth, of `VariableSurvey`.
    """

    star: NDArray[np.int64]
    frame: NDArray[np.int64]
    mjd: NDArray[np.float64]
    filter: NDArray[np.str_]
    ra: NDArray[np.float64]
    dec: NDArray[np.float64]
    mag_true: NDArray[np.float64]
    mag: NDArray[np.float64]
    mag_err: NDArray[np.float64]
    mag_inst: NDArray[np.float64]
    flux: NDArray[np.float64]
    flux_err: NDArray[np.float64]
    limit: NDArray[np.float64]
    missed_star: NDArray[np.int64]
    missed_frame: NDArray[np.int64]
    stars: QTable
    frames: QTable

    def of(self, star: int, filter: str | None = None) -> dict[str, NDArray]:  # noqa: A002 - the archive's word
        """Return the light curve of one star, by time: the columns from ``star`` to ``limit``."""
        chosen = self.star == star
        if filter is not None:
            chosen &= self.filter == filter
        rows = np.flatnonzero(chosen)
        rows = rows[np.argsort(self.mjd[rows], kind="stable")]
        return {name: getattr(self, name)[rows] for name in self._fields[: self._fields.index("missed_star")]}


class VariableSurvey:
    """A field of constant and variable stars seen many times.

    Parameters
    ----------
    plan : SurveyPlan
    seed : int
        Of everything; each frame draws its own numbers, whichever frames are made before it.

    Attributes
    ----------
    stars : QTable
        One row a star: ``star_id`` (from 1), ``ra``, ``dec`` (ICRS deg), ``mag`` (AB, r; of a sine and an RR Lyrae star the middle of its
        range, of an eclipsing one its level out of eclipse, of a transient its peak), ``colour`` (mag per 250 nm), ``variability``,
        ``period`` (d), ``amplitude`` (mag; of a transient mag per day of its decline), ``epoch`` (MJD).
    frames : QTable
        One row a frame, by time: ``frame_id`` (from 1), ``mjd_mid``, ``night`` (YYYY-MM-DD of its evening), ``filter``, ``telname``,
        ``exptime``, ``zero_point`` (mag of 1 count per second), ``depth`` (5-sigma limit, mag).
    """

    def __init__(self, plan: SurveyPlan | None = None, seed: int = 0) -> None:
        self.plan, self.seed = SurveyPlan() if plan is None else plan, seed
        self.frames = _frames(self.plan, generator(seed, "survey frames"))
        self.stars = _stars(self.plan, generator(seed, "survey stars"), self.frames["mjd_mid"].value)

    def __len__(self) -> int:
        return len(self.frames)

    def magnitudes(self, mjd: float, filter: str) -> NDArray[np.float64]:  # noqa: A002 - the archive's word
        """Return the true magnitude of every star at a time; infinite where a transient has not begun."""
        found = self._steady + self.stars["colour"].value * (625 - band(filter).wavelength) / 250
        for kind, rows in self._rows.items():
            period, amplitude, epoch = (self.stars[name].value[rows] for name in ("period", "amplitude", "epoch"))
            found[rows] += variation(kind, mjd - epoch, period, amplitude)
        return found

    @cached_property
    def _steady(self) -> NDArray[np.float64]:
        return self.stars["mag"].value

    @cached_property
    def _rows(self) -> dict[str, NDArray[np.int64]]:
        return {kind: np.flatnonzero(self.stars["variability"] == kind) for kind in KINDS if kind != "constant"}

    def measure(self, frames: Iterable[int] | None = None) -> Measurements:
        """Measure some frames.

        Parameters
        ----------
        frames : iterable of int, optional
            Rows of ``frames``; all by default.

        Returns
        -------
        Measurements
        """
        rows = range(len(self)) if frames is None else frames
        parts = [self._frame(int(row)) for row in rows]
        if not parts:
            raise InputError("frames: must name one frame or more, found none")
        joined = [np.concatenate(columns) for columns in zip(*parts, strict=True)]
        return Measurements(*joined, self.stars, self.frames)

    def _frame(self, row: int) -> tuple[NDArray, ...]:
        """Return the columns of `Measurements` of one frame."""
        rng, frame, plan = generator(self.seed, "survey frame", str(row)), self._plain[row], self.plan
        truth = self.magnitudes(frame.mjd, frame.filter)
        bright = 10 ** (-0.4 * (truth - frame.zero_point))
        sky = 10 ** (-0.4 * (frame.depth - frame.zero_point)) / 5
        noise = rng.standard_normal((3, len(truth)))
        flux = bright + np.sqrt(bright / plan.gain + sky**2) * noise[0]
        seen = np.flatnonzero(flux >= 5 * sky)
        missed = np.flatnonzero(flux < 5 * sky)
        flux = flux[seen]
        error = np.sqrt(flux / plan.gain + sky**2)
        inst = -2.5 * np.log10(flux)
        scatter = np.hypot(plan.astrometry, plan.seeing / 2.355 * error / flux) / 3600
        ra, dec = _shifted(self._places[seen], scatter * noise[1, seen], scatter * noise[2, seen])
        n = len(seen)
        return (
            seen, np.full(n, row), np.full(n, frame.mjd), np.full(n, frame.filter), ra, dec, truth[seen], inst + frame.zero_point,
            2.5 / np.log(10) * error / flux, inst, flux, error, np.full(n, frame.depth), missed, np.full(len(missed), row),
        )  # fmt: skip

    @cached_property
    def _plain(self) -> list[_Frame]:
        names = ("mjd_mid", "filter", "zero_point", "depth")
        columns = (np.asarray(getattr(self.frames[name], "value", self.frames[name])).tolist() for name in names)
        return [_Frame(*values) for values in zip(*columns, strict=True)]

    @cached_property
    def _places(self) -> NDArray[np.float64]:
        return np.stack([self.stars["ra"].value, self.stars["dec"].value], axis=1)


class _Frame(NamedTuple):
    mjd: float
    filter: str
    zero_point: float
    depth: float


def measurements(*, seed: int = 0, **options: Any) -> Measurements:
    """Simulate a survey of a field of constant and variable stars, and measure every frame of it.

    Errors are those that a pipeline would state: of the measured flux, photon noise and sky. A star is detected where its measured flux
    is five times the noise of the sky.

    Parameters
    ----------
    seed : int
        Of everything.
    **options
        Fields of `SurveyPlan`.

    Returns
    -------
    Measurements

    Raises
    ------
    InputError
        If an option is out of range, or the field is too small for its stars.

    Examples
    --------
    >>> found = measurements(n_constant=3, variables={"sine": 1}, n_nights=2, per_night=1, bright=12, depth=19, seed=1)
    >>> len(found.stars), len(found.frames), sorted(set(found.frame.tolist()))
    (4, 2, [0, 1])
    """
    return VariableSurvey(SurveyPlan(**options), seed).measure()


def variable_archive(
    folder: str | os.PathLike[str],
    *,
    n_epochs: int = 30,
    filters: Sequence[str] = ("r",),
    shape: tuple[int, int] = (384, 384),
    density: float = 10.0,
    seed: int = 528,
    **options: Any,
) -> ToyArchive:
    """Write many epochs of one field, with pixels, whose variable stars are of every kind; one plain telescope, every card there.

    Parameters
    ----------
    folder : path
        As of `tree.toy_archive`, whose tree and truth it makes.
    n_epochs : int
        Exposures through each filter, one to three nights apart.
    filters, shape, density, seed
        As of `tree.toy_archive`.
    **options
        Others of it, as ``telescopes`` or ``targets``.

    Returns
    -------
    ToyArchive
    """
    chosen = {"targets": (Target("V0001", 150.0, -25.0),), "telescopes": ("7DT01",), "lacking": 0.0, **options}
    return toy_archive(folder, shape=shape, seed=seed, filters=filters, n_epochs=n_epochs, density=density, **chosen)


def _frames(plan: SurveyPlan, rng: np.random.Generator) -> QTable:
    gaps = 1 + rng.poisson(max(plan.cadence - 1, 0), plan.n_nights)
    nights = np.repeat(FIRST_NIGHT + np.cumsum(gaps) - gaps[0], plan.per_night)
    start = nights + np.sort(rng.uniform(1.0, 8.5, (plan.n_nights, plan.per_night)) / 24, axis=1).ravel()
    later = np.arange(len(plan.filters)) * (plan.exptime + 50) / 86400
    mjd = (start[:, None] + later).ravel() + plan.exptime / 2 / 86400
    n = len(mjd)
    cloud = rng.exponential(plan.cloud, n) if plan.cloud else np.zeros(n)
    table = QTable({
        "mjd_mid": mjd * u.day,
        "night": Time(np.repeat(nights, len(plan.filters)) - 1.0, format="mjd").strftime("%Y-%m-%d"),
        "filter": np.tile(plan.filters, len(start)),
        "telname": np.resize(np.repeat(plan.telescopes, len(plan.filters)), n),
        "exptime": np.full(n, plan.exptime) * u.s,
        "zero_point": (ZERO_POINT - cloud) * u.mag,
        "depth": (plan.depth - cloud) * u.mag,
    })  # fmt: skip
    table = table[np.argsort(mjd, kind="stable")]
    table.add_column(np.arange(1, n + 1), index=0, name="frame_id")
    return table


def _stars(plan: SurveyPlan, rng: np.random.Generator, mjd: NDArray[np.float64]) -> QTable:
    kinds = ["constant"] * plan.n_constant + [kind for kind, n in plan.variables.items() for _ in range(n)]
    n, names = len(kinds), np.array(kinds, dtype="U9")
    ra, dec = _spread(plan, n, rng)
    varies = names != "constant"
    mag = np.where(varies, rng.uniform(plan.bright, plan.depth - _HEADROOM, n), counts(n, rng, plan.bright, plan.depth))
    share = rng.random((3, n))
    period, amplitude, epoch = np.full(n, np.nan), np.zeros(n), np.full(n, np.nan)
    for kind in set(kinds) - {"constant"}:
        rows = names == kind
        low, high = _AMPLITUDES[kind]
        amplitude[rows] = low + (high - low) * share[0, rows]
        if kind == "transient":
            epoch[rows] = mjd[0] + (0.2 + 0.4 * share[2, rows]) * np.ptp(mjd)
        else:
            low, high = _PERIODS[kind]
            period[rows] = low * (high / low) ** share[1, rows]
            epoch[rows] = mjd[0] + period[rows] * share[2, rows]
    return QTable({
        "star_id": np.arange(1, n + 1), "ra": ra * u.deg, "dec": dec * u.deg, "mag": mag * u.mag,
        "colour": rng.normal(0.25, 0.15, n) * u.mag, "variability": names, "period": period * u.day, "amplitude": amplitude * u.mag,
        "epoch": epoch * u.day,
    })  # fmt: skip


def _spread(plan: SurveyPlan, n: int, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw places all over the field, none nearer to another than ``apart``."""
    east, north, pole = _axes(*plan.centre)
    chosen = np.zeros((0, 3))
    for _ in range(30):
        height = 1 - rng.random(2 * n + 10) * (1 - np.cos(np.radians(plan.radius)))
        angle = rng.uniform(0, 2 * np.pi, len(height))
        side = np.sqrt(np.maximum(1 - height**2, 0))
        drawn = np.outer(side * np.cos(angle), east) + np.outer(side * np.sin(angle), north) + np.outer(height, pole)
        chosen = np.concatenate([chosen, drawn])
        pairs = cKDTree(chosen).query_pairs(2 * np.sin(np.radians(plan.apart / 3600) / 2), output_type="ndarray")
        chosen = np.delete(chosen, np.unique(pairs.max(axis=1)) if len(pairs) else [], axis=0)
        if len(chosen) >= n:
            return from_vectors(chosen[:n])
    raise InputError(f"radius {plan.radius!r}: the field has no room for {n} stars that are {plan.apart:g} arcsec apart")


def _axes(ra: float, dec: float) -> tuple[NDArray, NDArray, NDArray]:
    """Return unit vectors to the east and to the north of a position, and to it."""
    a, d = np.radians(ra), np.radians(dec)
    east = np.array([-np.sin(a), np.cos(a), 0.0])
    return east, np.array([-np.sin(d) * np.cos(a), -np.sin(d) * np.sin(a), np.cos(d)]), unit_vectors(ra, dec)


def _shifted(places: NDArray, east: NDArray, north: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Move positions by small angles, degrees; right also at the poles."""
    a, d = np.radians(places.T)
    vectors = unit_vectors(places[:, 0], places[:, 1])
    to_east = np.stack([-np.sin(a), np.cos(a), np.zeros_like(a)], axis=-1)
    to_north = np.stack([-np.sin(d) * np.cos(a), -np.sin(d) * np.sin(a), np.cos(d)], axis=-1)
    return from_vectors(vectors + np.radians(east)[:, None] * to_east + np.radians(north)[:, None] * to_north)
