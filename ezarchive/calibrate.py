"""Zero points of frames from the stars of a reference catalog; FITS files and catalogs stay as they are."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from ezarchive import driver, pool, sky
from ezarchive.batch import frames_of
from ezarchive.calibrateframe import Settings, Task, calibrate_frame, frame_calibration
from ezarchive.catalogs import paths
from ezarchive.catalogs.reference import QueriedReference, Reference, read_reference
from ezarchive.database import queries, runs, zeropoints
from ezarchive.database.queries import CatalogRow
from ezarchive.driver import Driver
from ezarchive.errors import EzarchiveError, InputError, MeasurementError, UnknownNameError
from ezarchive.files import Lock, encode_part
from ezarchive.frames.record import Frame
from ezarchive.photometry.calibration import FitOptions, is_number
from ezarchive.photometry.calibrators import FrameCalibration, ReferenceStars, StarSelection

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ezarchive.archive import Archive

__all__ = ["CalibrationReport", "FitOptions", "StarSelection", "calibrate", "calibration_of"]

LOCK_NAME = ".calibrate.lock"
METHODS = ("sex", "photutils")
"""Methods whose catalogs hold stars to calibrate with."""
SYSTEMS = {"ab": "AB", "vega": "Vega"}

_SHOWN = 10  # notes that are printed
_BYTES = 300e6  # of memory that a worker needs
_FEW = 200  # frames below which more processes do not pay
_PART = 500  # frames that are looked up together

Query = Callable[[float, float, float], Any]


@dataclass(frozen=True)
class CalibrationReport:
    """What a calibration did: counts of frames, why some failed, and what is to be minded.

    ``failed`` lists ``(path, code, message)``, as the table ``quarantine`` does (stage ``calibrate``); ``notes`` lists ``(path, note)``:
    zero points that change with magnitude or over the frame, measurements without zero point.
    """

    run_id: int | None
    calibrated: int
    skipped: int
    failed: tuple[tuple[str, str, str], ...]
    notes: tuple[tuple[str, str], ...]
    zero_points: int
    elapsed: float
    frame_ids: tuple[int, ...] = field(default=(), repr=False)

    @property
    def ok(self) -> bool:
        """Whether no frame failed."""
        return not self.failed

    def __str__(self) -> str:
        run = "no run" if self.run_id is None else f"run {self.run_id}"
        first = (
            f"calibrate: {self.calibrated} frames calibrated ({self.zero_points} zero points), {self.skipped} already done, "
            f"{len(self.failed)} failed; {run}; {self.elapsed:.1f} s"
        )
        failed = (f"  {path}: {code}: {message}" for path, code, message in self.failed)
        notes = [f"  {path}: note: {note}" for path, note in self.notes]
        more = [f"  and {len(notes) - _SHOWN} more notes (.notes)"] if len(notes) > _SHOWN else []
        return "\n".join([first, *failed, *notes[:_SHOWN], *more])


def calibrate(  # noqa: PLR0913  what a user says of reference, method and fit
    archive: Archive,
    frames: Any = None,
    *,
    reference: Any = None,
    columns: Mapping[str, Any] | None = None,
    query: Query | None = None,
    method: str = "sex",
    radius: Any = "1 arcsec",
    system: str = "AB",
    ab_offset: float | Mapping[str, float] | None = None,
    selection: StarSelection | None = None,
    fit: FitOptions | None = None,
    figures: bool = False,
    again: bool = False,
    workers: int | None = None,
    progress: bool | None = None,
    **options: Any,
) -> CalibrationReport:
    """Find the zero points of measured frames from stars of known magnitudes, and store them.

    Parameters
    ----------
    archive : Archive
    frames : FrameSet, DataBrowser, iterable of frames, images or frame ids, optional
        Which frames; by default every one that has a catalog of the method.
    reference : path, Table, DataFrame or dict of columns
        CSV, ECSV, FITS, VOTable or Parquet, with positions (ICRS) and magnitudes.
    columns : mapping, optional
        What its columns mean: any of ``ra dec mag mag_err colour`` -> a name. ``{filter}`` in it stands for the frame's filter;
        ``mag`` may be a mapping of filter -> name, ``colour`` be ``"g_mag - r_mag"``. By default the usual names of positions, and
        ``{filter}_mag`` or the like.
    query : callable, optional
        In place of ``reference``: ``query(ra, dec, radius)``, all in degrees, returns a table of the stars there. Frames that lie in
        the answer of an earlier call do not ask again. A function is known by its name: if another one of that name answers, or it answers
        otherwise, say ``again``.
    method : str
        Whose catalogs: ``sex`` or ``photutils``.
    radius : Quantity or str
        Largest separation of a source and its star.
    system : str
        Of the magnitudes: ``AB`` or ``Vega``.
    ab_offset : float or mapping of filter -> float, optional
        m_AB - m_Vega, for ``system="Vega"``; without it Vega magnitudes give no flux densities.
    selection : StarSelection, optional
        Which stars to trust.
    fit : FitOptions, optional
        How to fit. The colour pivot of a colour term is by default the median colour of the reference (of the frame's stars, if they are
        queried).
    figures : bool
        Draw every calibration: ``figures/calibrate/<run>/<frame stem>.<frame_id>.png`` in the home.
    again : bool
        Also frames whose current catalog this recipe has calibrated already.
    workers : int, optional
        Processes; by default one for up to 200 frames, else as many as there are cores.
    progress : bool, optional
        Show a progress bar; by default on a terminal only.
    **options
        Fields of `StarSelection` and `FitOptions`, as ``snr=50`` or ``colour_term="fit"``.

    Returns
    -------
    CalibrationReport

    Raises
    ------
    InputError, UnknownNameError
        If an argument is wrong, or the reference cannot be read.
    LockedError
        If another calibration is at work in this archive.

    Notes
    -----
    Each measurement gets its own zero point: ``AUTO``, and every circular aperture by its size. They are stored with the run, and the
    newest run counts, frame by frame; catalogs that are read show calibrated columns (`catalogs.calibrated`), light curves use the
    zero point of their aperture. Neither FITS files nor catalogs are rewritten. A frame counts as done when its current catalog was
    calibrated with the same reference and settings; a call that was stopped goes on in the run that it had begun.
    """
    started = time.monotonic()
    selection, fit = _options(selection, fit, options)
    settings = _settings(method, system, ab_offset, radius, selection, fit)
    stars = _reference(reference, columns, query)
    pool.worker_count(workers)  # wrong arguments are told before any work
    with Lock(archive.home / LOCK_NAME, what="calibrate"):
        chosen = None if frames is None else [frame.frame_id for frame in frames_of(archive, frames)]
        with archive.database.begin() as conn:
            recipe_id = runs.get_recipe(conn, "calibrate", {**stars.identity(), **_plain(settings)}, [])
            todo, meant = _todo(conn, recipe_id, method, chosen, again=again)
            run = runs.open_run(conn, recipe_id, driver.versions()) if todo else None
            if run is None and meant:
                runs.close_unfinished(conn, recipe_id)
        if run is None:
            return CalibrationReport(None, 0, meant, (), (), 0, time.monotonic() - started)
        _check_bands(archive, stars, todo)
        work = _Recorder(archive, run.run_id, "calibrate", stage="calibrate")
        count = workers if workers is not None else 1 if len(todo) <= _FEW else None
        with driver.crew(None, count, None, _BYTES, len(todo)) as team:
            tasks = _tasks(archive, todo, run.run_id, settings, stars, figures=figures)
            work.work(calibrate_frame, tasks, len(todo), team, progress)
        with archive.database.begin() as conn:
            counts = {"n_calibrated": len(work.measured), "n_failed": len(work.failed), "n_zero_points": work.sources}
            runs.close_run(conn, run.run_id, counts)
    return CalibrationReport(
        run.run_id, len(work.measured), meant - len(todo), tuple(work.failed), tuple(work.notes), work.sources,
        time.monotonic() - started, tuple(work.measured),
    )  # fmt: skip


def calibration_of(
    archive: Archive, frame: Any, *, reference: Any = None, columns: Mapping[str, Any] | None = None, **options: Any
) -> FrameCalibration:
    """Calibrate one frame without storing anything, to look at its stars.

    Parameters
    ----------
    archive, reference, columns, **options
        As of `calibrate`.
    frame : Frame, image or frame id

    Returns
    -------
    FrameCalibration
        For ``plots.calibration.figure``.

    Raises
    ------
    MeasurementError
        If the frame cannot be calibrated.
    """
    given = {"method": "sex", "system": "AB", "ab_offset": None, "radius": "1 arcsec"}
    given |= {name: options.pop(name) for name in tuple(options) if name in given}
    stars = _reference(reference, columns, options.pop("query", None))
    selection, fit = _options(options.pop("selection", None), options.pop("fit", None), options)
    settings = _settings(selection=selection, fit=fit, **given)
    ids = [found.frame_id for found in frames_of(archive, frame)]
    if len(ids) != 1:
        raise InputError(f"frame: must be one frame, found {len(ids)}")
    (task,) = _tasks(archive, ids, 0, settings, stars, figures=False)
    return frame_calibration(task)


def _reference(reference: Any, columns: Mapping[str, Any] | None, query: Query | None) -> Reference | QueriedReference:
    if (reference is None) == (query is None):
        raise InputError("reference, query: one of the two must be given")
    return read_reference(reference, columns) if query is None else QueriedReference(query, columns)


def _options(selection: StarSelection | None, fit: FitOptions | None, options: Mapping[str, Any]) -> tuple[StarSelection, FitOptions]:
    """Put loose options into the objects that they belong to."""
    for name, value, kind in (("selection", selection, StarSelection), ("fit", fit, FitOptions)):
        if value is not None and not isinstance(value, kind):
            raise InputError(f"{name}: must be a {kind.__name__}, found {type(value).__name__}")
    made = [selection or StarSelection(), fit or FitOptions()]
    known = [{item.name for item in fields(value)} for value in made]
    for name in options:
        if name not in known[0] | known[1]:
            raise UnknownNameError("option", name, known[0] | known[1])
    chosen = [{name: value for name, value in options.items() if name in names} for names in known]
    if isinstance(chosen[0].get("magnitude"), list):
        chosen[0]["magnitude"] = tuple(chosen[0]["magnitude"])
    return replace(made[0], **chosen[0]), replace(made[1], **chosen[1])


def _settings(method: str, system: str, ab_offset: Any, radius: Any, selection: StarSelection, fit: FitOptions) -> Settings:
    if method not in METHODS:
        raise InputError(f"method={method!r}: must be one of {', '.join(METHODS)}")
    if str(system).lower() not in SYSTEMS:
        raise InputError(f"system={system!r}: must be AB or Vega")
    radius_deg = sky.parse_angle(radius, "radius")
    if not 0 < radius_deg <= 1 / 60:
        raise InputError(f"radius={radius!r}: must be more than 0 and at most 1 arcmin")
    offset = dict(ab_offset) if isinstance(ab_offset, Mapping) else ab_offset
    if offset is not None and str(system).lower() == "ab":
        raise InputError(f"ab_offset={ab_offset!r}: must be left out for system='AB', where it is 0")
    if not all(map(is_number, offset.values() if isinstance(offset, dict) else () if offset is None else (offset,))):
        raise InputError(f"ab_offset={ab_offset!r}: must be a number, or a mapping of filter -> number")
    return Settings(
        method=method, system=SYSTEMS[system.lower()], ab_offset=offset, radius_deg=radius_deg, selection=selection, fit=fit
    )  # fmt: skip


def _plain(settings: Settings) -> dict[str, Any]:
    return {**asdict(settings), "selection": asdict(settings.selection), "fit": asdict(settings.fit)}


def _todo(conn: Any, recipe_id: int, method: str, chosen: Sequence[int] | None, *, again: bool) -> tuple[list[int], int]:
    """Return the frames to calibrate, and how many were meant."""
    if chosen is None:
        lacking, total = zeropoints.uncalibrated(conn, recipe_id, method)
        return ([row.frame_id for row in queries.catalogs(conn, method=method)] if again else lacking), total
    if again:
        return list(chosen), len(chosen)
    known = {row.catalog_id: row.frame_id for row in queries.catalogs(conn, frame_ids=chosen, method=method)}
    done = {known[catalog_id] for catalog_id in zeropoints.calibrated(conn, recipe_id, known)}
    return [frame_id for frame_id in chosen if frame_id not in done], len(chosen)


def _check_bands(archive: Archive, stars: Reference | QueriedReference, frame_ids: Sequence[int]) -> None:
    """Refuse to give frames of several filters the magnitudes of one."""
    if stars.of_one_band is None:
        return
    bands: set[str] = set()
    with archive.database.connect() as conn:
        for start in range(0, len(frame_ids), _PART):
            bands |= {str(frame.filter) for frame in queries.frames_by_id(conn, frame_ids[start : start + _PART])}
    if len(bands) > 1:
        raise InputError(
            f"columns: mag {stars.of_one_band!r} is one column for frames of filters {', '.join(sorted(bands))}; "
            "must hold {filter}, be a mapping of filter -> column, or the frames must be of one filter"
        )


def _tasks(
    archive: Archive, frame_ids: Sequence[int], run_id: int, settings: Settings, stars: Reference | QueriedReference, *, figures: bool
) -> Iterator[Task]:
    pivots: dict[str | None, float | None] = {}
    for start in range(0, len(frame_ids), _PART):
        part = frame_ids[start : start + _PART]
        with archive.database.connect() as conn:
            frames = queries.frames_by_id(conn, part)
            rows = {row.frame_id: row for row in queries.catalogs(conn, frame_ids=part, method=settings.method)}
        for frame in frames:
            row = rows.get(frame.frame_id)
            found = _stars(frame, row, settings, stars)
            fit = settings.fit
            if fit.colour_term is not None and fit.colour_pivot is None and not isinstance(found, Exception):
                if frame.filter not in pivots:
                    pivots[frame.filter] = stars.median_colour(frame.filter)
                fit = replace(fit, colour_pivot=pivots[frame.filter])
            name = f"{encode_part(paths.frame_stem(frame.relpath))}.{frame.frame_id}.png"
            figure = archive.home / "figures" / "calibrate" / str(run_id) / name if figures else None
            yield Task(
                frame=frame, run_id=run_id, relpath="" if row is None else row.path, home=archive.home, row=row, settings=settings,
                stars=found, fit=fit, figure=figure,
            )  # fmt: skip


def _stars(
    frame: Frame, row: CatalogRow | None, settings: Settings, stars: Reference | QueriedReference
) -> ReferenceStars | EzarchiveError:
    """Return the stars near a frame, or why there are none."""
    if row is None:
        return MeasurementError("no_catalog", f"the frame has no catalog of method {settings.method!r}; it must be measured first")
    if frame.ra is None or frame.dec is None or frame.radius is None or not frame.pixel_scale:
        return MeasurementError("no_wcs", "the frame has no usable WCS: its sources cannot be matched with stars")
    try:
        return ReferenceStars(**stars.cone(frame.filter, frame.ra, frame.dec, frame.radius + settings.radius_deg))
    except UnknownNameError as err:
        return MeasurementError("no_reference_magnitude", str(err))
    except EzarchiveError as err:
        return err


class _Recorder(Driver):
    """A driver that records zero points; ``sources`` counts them."""

    _files = False  # but figures

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.notes: list[tuple[str, str]] = []

    def _store(self, conn: Connection, good: Sequence[tuple[Any, Any]], bad: Sequence[tuple[Any, str, str]]) -> None:  # noqa: ARG002
        zeropoints.add_zero_points(conn, [row for _, result in good for row in result.rows])

    def _count(self, good: Sequence[tuple[Any, Any]]) -> None:
        self.sources += sum(len(result.rows) for _, result in good)
        self.notes += [(str(task.frame.path), note) for task, result in good for note in result.notes]
