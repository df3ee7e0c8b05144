"""Differential photometry: zero points of frames from the stars that they share, stored like those of a calibration."""

from __future__ import annotations

import io
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from astropy.table import MaskedColumn, QTable

from ezarchive import driver, sky
from ezarchive.batch import frames_of
from ezarchive.calibrate import LOCK_NAME
from ezarchive.columns import DEFAULT_APERTURE
from ezarchive.database import filerows, queries, runs, troubles, zeropoints
from ezarchive.database.zeropoints import NewZeroPoint
from ezarchive.differential.ensembles import FrameZeroPoint, Job, Solved, Stored, grouped, same_aperture, solve_group
from ezarchive.differential.levels import SYSTEM
from ezarchive.differential.reading import GROUPS, Choice, catalogs_of, choose, facts_of, measurements_of, stored_of
from ezarchive.differential.report import DifferentialReport
from ezarchive.engines import arcsec
from ezarchive.errors import InputError, MeasurementError, UnknownNameError
from ezarchive.files import Lock, atomic_write
from ezarchive.timeseries.ensemble import NO_MEASUREMENTS, TOO_FEW_STARS, EnsembleOptions

if TYPE_CHECKING:
    from ezarchive.archive import Archive

METHODS = ("sex", "photutils")
STAGE = "differential"
FOLDER = "ensembles"
"""Where the stars of each run are listed, in the home: ``ensembles/<run>.ecsv``."""

_UNITS = {"aperture_arcsec": u.arcsec, "ra": u.deg, "dec": u.deg, "mag": u.mag, "mag_err": u.mag, "excess": u.mag}
_FRAME_UNITS = {"aperture_arcsec": u.arcsec, **dict.fromkeys(("zero_point", "zero_point_err", "scatter", "excess"), u.mag)}
_CARRIED = ("scatter", "n_stars", "colour_term", "colour_term_err", "colour_pivot", "magnitude_slope", "magnitude_slope_err")

Failure = tuple[int, str, str]


def differential(  # noqa: PLR0913  what a user says of frames, stars and the solution
    archive: Archive,
    frames: Any = None,
    *,
    filter: str | Sequence[str] | None = None,  # noqa: A002  the archive's word
    telname: str | Sequence[str] | None = None,
    position: Any = None,
    radius: Any = None,
    aperture: Any = DEFAULT_APERTURE,
    method: str = "sex",
    by: str | Sequence[str] = "filter",
    snr: float = 20.0,
    match: Any = "1 arcsec",
    save: bool = True,
    **options: Any,
) -> DifferentialReport:
    """Find the zero points of frames from the many constant stars that they share, and store them.

    Parameters
    ----------
    archive : Archive
    frames : FrameSet, DataBrowser, iterable of frames, images or frame ids, optional
        Which frames; by default every one that has a catalog of the method.
    filter, telname : str or sequence of str, optional
        Only these (globs allowed).
    position, radius : optional
        Only stars within ``radius`` (Quantity, or str with unit) of a position (SkyCoord, (ra, dec) in degrees, or str).
    aperture : float, Quantity, str, or sequence of these
        Diameters of circular apertures, a number counts arcsec; each is solved for itself.
    method : str
        Whose catalogs: ``sex`` or ``photutils``.
    by : str or sequence of str
        Frames that are solved together: those of a ``filter``, whatever telescope made them, or ``("filter", "telname")``: of a filter and
        a telescope. Say so where telescopes differ in colour response: their stars would seem to vary.
    snr : float
        Median S/N that a star needs.
    match : Quantity or str
        Within what distance measurements that belong to no object are of one star.
    save : bool
        Store the zero points; False: only report.
    **options
        Fields of `timeseries.ensemble.EnsembleOptions`, as ``min_stars=5``. ``apart`` is True by default: sets of frames that share no star
        (several fields) are solved each for itself.

    Returns
    -------
    DifferentialReport

    Raises
    ------
    InputError, UnknownNameError
        If an argument is wrong.
    MeasurementError
        If there is no good measurement at all, or sets of frames share no star and ``apart=False``.
    LockedError
        If a calibration is at work in this archive.

    Notes
    -----
    `timeseries.ensemble.solve` says how. Good measurements are those without any flag, S/N above 5. What the stars do not tell, one
    constant for each ensemble, is taken from the frames that are calibrated already, by `calibrate`, by their headers or by an earlier
    ensemble: the median of their differences, in AB if possible. Where there is none, the median zero point is 25 for counts per second:
    such magnitudes are good for differences; they give no flux densities and no depths. The error of that constant is common to all
    frames; it stands in the report and in the details of each zero point, not in its error.

    A frame's zero points of other apertures and of ``AUTO`` that count at present are stored again, changed by as much as that of the
    aperture: what changed is the sky's transparency. Zero points are stored with the run, with system ``ensemble``; of `calibrate` and
    `differential` the newest run counts, frame by frame. Differences of colour between stars, and of transparency over the field, are not
    modelled.
    """
    started = time.monotonic()
    diameters = _diameters(aperture)
    keys = _keys(by)
    job = Job(aperture=diameters[0], snr=_positive("snr", snr), match=_radius("match", match, 60), options=_options(options))
    if method not in METHODS:
        raise InputError(f"method={method!r}: must be one of {', '.join(METHODS)}")
    chosen = None if frames is None else [frame.frame_id for frame in frames_of(archive, frames)]
    wanted = choose(archive, method, chosen, _cone(position, radius), filter=filter, telname=telname)
    parameters = {"method": method, "by": keys, "snr": job.snr, "match": job.match, "cone": wanted.cone, **asdict(job.options)}
    if not save:
        return _report(archive, None, *_solved(archive, wanted, keys, diameters, job), started)
    with Lock(archive.home / LOCK_NAME, what=STAGE):
        solved, failures, stored = _solved(archive, wanted, keys, diameters, job)
        rows = [point for found in solved for point in found.zero_points]
        run_id = _save(archive, parameters, diameters, method, solved, failures, stored) if rows else None
    return _report(archive, run_id, solved, failures, stored, started)


def comparison_stars(archive: Archive, run_id: int) -> QTable:
    """Return the stars of a stored run of `differential`.

    Parameters
    ----------
    archive : Archive
    run_id : int

    Returns
    -------
    QTable
        As ``DifferentialReport.stars``; comparison stars are those of reason ``used``.

    Raises
    ------
    UnknownNameError
        If no run of that number has a list of stars.
    """
    path = _stars_path(archive.home, run_id)
    if not path.exists():
        raise UnknownNameError("run", str(run_id), [found.stem for found in path.parent.glob("*.ecsv")])
    return QTable.read(path, format="ascii.ecsv")


def _solved(
    archive: Archive, wanted: Choice, keys: tuple[str, ...], diameters: Sequence[float], job: Job
) -> tuple[list[Solved], list[Failure], Stored]:  # fmt: skip
    """Solve every group in every aperture; a group that cannot be solved fails with all its frames."""
    catalogs = catalogs_of(archive, wanted)
    frames = facts_of(archive, catalogs["frame_id"].to_pylist())
    stored = stored_of(archive, wanted)
    solved: list[Solved] = []
    failures: dict[int, tuple[str, str]] = {}
    for diameter in diameters:
        table = measurements_of(archive, wanted, diameter)
        seen = set(table["frame_id"].to_pylist())
        lacking = [frame for frame in catalogs["frame_id"].to_pylist() if frame not in seen]
        message = f"no good detection in an aperture of {diameter:g} arcsec"
        failures |= dict.fromkeys(lacking, (NO_MEASUREMENTS, message))
        for names, rows in grouped(table, keys):
            try:
                found = solve_group(rows, names, replace(job, aperture=diameter), frames, stored)
            except MeasurementError as err:
                if not job.options.apart and err.code not in (TOO_FEW_STARS, NO_MEASUREMENTS):
                    raise
                failures |= dict.fromkeys(set(rows["frame_id"].to_pylist()), (err.code, str(err)))
                continue
            solved.append(found)
            few = f"good stars in common with other frames; must be at least {job.options.min_stars} (min_stars)"
            failures |= {frame: (TOO_FEW_STARS, f"{n} {few}") for frame, n in found.few.items()}
    if not failures and not solved:
        raise MeasurementError(
            NO_MEASUREMENTS, f"no catalog of method {wanted.method!r} is of frames that were asked for; measure them first"
        )
    return solved, [(frame, *why) for frame, why in sorted(failures.items())], stored


def _save(
    archive: Archive, parameters: dict[str, Any], diameters: Sequence[float], method: str, solved: Sequence[Solved],
    failures: Sequence[Failure], stored: Stored,
) -> int:  # fmt: skip
    """Store zero points, failures and the list of stars, all at once; return the run."""
    points = [point for found in solved for point in found.zero_points]
    with archive.database.begin() as conn:
        recipe_id = runs.get_recipe(conn, STAGE, parameters, list(diameters))
        run_id = runs.open_run(conn, recipe_id, driver.versions()).run_id
        rows = list(_rows(points, run_id, method, stored))
        zeropoints.add_zero_points(conn, rows)
        good = sorted({point.frame_id for point in points} - {frame for frame, _, _ in failures})
        troubles.resolve_frames(conn, good, STAGE)
        roots = filerows.root_ids(conn) if failures else {}
        reasons = {frame: why for frame, *why in failures}
        for frame in queries.frames_by_id(conn, sorted(reasons)):
            code, message = reasons[frame.frame_id]
            troubles.add_quarantine(conn, roots.get(frame.root), frame.relpath, STAGE, code, message, frame.frame_id)
        counts = {"n_calibrated": len({point.frame_id for point in points}), "n_failed": len(failures), "n_zero_points": len(rows)}
        runs.close_run(conn, run_id, counts)
        # Before the rows that tell of it: a kill leaves at most a list that the next run of this number replaces.
        _write_stars(_stars_path(archive.home, run_id), _star_table(solved))
    return run_id


def _rows(points: Iterable[FrameZeroPoint], run_id: int, method: str, stored: Stored) -> Iterator[NewZeroPoint]:
    """Yield the rows of the ensembles, and for each frame those of its other measurements, moved with them."""
    of_frame: dict[int, list[FrameZeroPoint]] = {}
    for point in points:
        of_frame.setdefault(point.frame_id, []).append(point)
        yield NewZeroPoint(
            frame_id=point.frame_id, catalog_id=point.catalog_id, run_id=run_id, method=method, measure="APER", aperture=point.aperture,
            value=point.value, error=point.error, scatter=point.scatter, n_stars=point.n_stars, system=SYSTEM, ab_offset=point.ab_offset,
            depth=point.depth, details=point.details,
        )  # fmt: skip
    for frame_id, mine in of_frame.items():
        old = stored.get(frame_id, [])
        before = [same_aperture(old, point.aperture) for point in mine]
        pairs = [(point, row) for point, row in zip(mine, before, strict=True) if row is not None]
        if pairs:
            replaced = [row for _, row in pairs]
            yield from (_carried(row, *pairs[0], run_id) for row in old if row not in replaced)


def _carried(row: dict[str, Any], point: FrameZeroPoint, before: dict[str, Any], run_id: int) -> NewZeroPoint:
    """Return a zero point of another measurement, changed by as much as that of an aperture was."""
    shift = point.value - before["value"]
    depth = None if row["depth"] is None else row["depth"] + shift
    return NewZeroPoint(
        frame_id=point.frame_id, catalog_id=row["catalog_id"], run_id=run_id, method=row["method"], measure=row["measure"],
        aperture=row["aperture"], value=row["value"] + shift, error=np.hypot(row["error"] or 0.0, point.error), system=SYSTEM,
        ab_offset=point.ab_offset, depth=depth, details={"carried_from": row["run_id"], "aperture": point.aperture},
        **{name: row[name] for name in _CARRIED},
    )  # fmt: skip


def _report(
    archive: Archive, run_id: int | None, solved: Sequence[Solved], failures: Sequence[Failure], stored: Stored, started: float
) -> DifferentialReport:
    points = [point for found in solved for point in found.zero_points]
    paths = facts_of(archive, [frame for frame, _, _ in failures]).paths if failures else {}
    failed = tuple((paths.get(frame, f"frame {frame}"), code, message) for frame, code, message in failures)
    n_rows = len(list(_rows(points, 0, "", stored)))
    columns = {
        "frame_id": [point.frame_id for point in points],
        "filter": [point.facts[0] for point in points], "telname": [point.facts[1] for point in points],
        "aperture_arcsec": [point.aperture for point in points], "set": [point.facts[2] for point in points],
        "zero_point": [point.facts[3] for point in points], "zero_point_err": [point.error for point in points],
        "n_stars": [point.n_stars for point in points], "scatter": [point.scatter for point in points],
        "excess": [point.facts[4] for point in points],
    }  # fmt: skip
    ensembles = tuple(row for found in solved for row in found.rows)
    frames = QTable(columns, units=_FRAME_UNITS, dtype=(int, str, str, float, int, float, float, int, float, float))
    return DifferentialReport(run_id, ensembles, failed, n_rows, time.monotonic() - started, _star_table(solved), frames)


def _star_table(solved: Sequence[Solved]) -> QTable:
    """Put the stars of all ensembles into one table."""
    names = (
        "filter",
        "telname",
        "aperture_arcsec",
        "set",
        "object_id",
        "ra",
        "dec",
        "n_epochs",
        "mag",
        "mag_err",
        "chi2_reduced",
        "excess",
    )
    kinds = (str, str, float, int, np.int64, float, float, int, float, float, float, float, str)
    empty = {name: np.array([], kind) for name, kind in zip((*names, "reason"), kinds, strict=True)}
    columns = {name: np.concatenate([empty[name], *(np.asarray(found.stars[name]) for found in solved)]) for name in empty}
    table = QTable(columns, units=_UNITS)
    table["object_id"] = MaskedColumn(columns["object_id"], mask=columns["object_id"] < 0)
    return table


def _write_stars(path: Path, table: QTable) -> None:
    text = io.StringIO()
    table.write(text, format="ascii.ecsv")
    with atomic_write(path) as file:
        file.write(text.getvalue().encode())


def _stars_path(home: Path, run_id: int) -> Path:
    return home / FOLDER / f"{run_id}.ecsv"


def _options(options: dict[str, Any]) -> EnsembleOptions:
    known = {item.name for item in fields(EnsembleOptions)}
    for name in options:
        if name not in known:
            raise UnknownNameError("option", name, known)
    return EnsembleOptions(**{"apart": True, **options})


def _keys(by: str | Sequence[str]) -> tuple[str, ...]:
    keys = (by,) if isinstance(by, str) else tuple(by)
    for key in keys:
        if key not in GROUPS:
            raise InputError(f"by={by!r}: must be of {', '.join(GROUPS)}")
    return tuple(key for key in GROUPS if key == "filter" or key in keys)


def _diameters(aperture: Any) -> list[float]:
    many = isinstance(aperture, (list, tuple)) or (isinstance(aperture, np.ndarray) and np.ndim(aperture) == 1)
    found = [arcsec("aperture", value) for value in (aperture if many else [aperture])]
    if not found or not all(np.isfinite(value) and value > 0 for value in found):
        raise InputError(f"aperture={aperture!r}: must be diameters in arcsec, above zero")
    return list(dict.fromkeys(found))


def _radius(name: str, value: Any, largest: float) -> float:
    found = sky.parse_angle(value, name) * 3600
    if not 0 < found <= largest:
        raise InputError(f"{name}={value!r}: must be more than 0 and at most {largest:g} arcsec")
    return found


def _positive(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not (np.isfinite(value) and value > 0):
        raise InputError(f"{name}={value!r}: must be a positive number")
    return float(value)


def _cone(position: Any, radius: Any) -> tuple[float, float, float] | None:
    if (position is None) != (radius is None):
        raise InputError("position, radius: must be given together")
    if position is None:
        return None
    return *sky.parse_position(position), _radius("radius", radius, 180 * 3600) / 3600
