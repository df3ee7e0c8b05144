"""`Archive.forced`: forced photometry of a list of targets on every frame that covers any of them, a Parquet catalog each."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ezarchive import columns, driver, pool, sky
from ezarchive.batch import BYTES_PER_WORKER, LOCK_NAME, frames_of, without_file
from ezarchive.catalogs import paths
from ezarchive.database import coverage, queries, runs, targetlists
from ezarchive.driver import BatchReport, Driver
from ezarchive.errors import InputError
from ezarchive.files import Lock, atomic_write, sha256_file
from ezarchive.forcedframe import ForcedTask, forced_frame
from ezarchive.frames.record import Frame
from ezarchive.measureoptions import METHODS as DETECTIONS
from ezarchive.positions import METHODS, Axes, PositionOptions, list_digest
from ezarchive.targets import Targets, read_targets

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ezarchive.archive import Archive

FOLDER = "targets"
"""Where the lists lie in the home: ``targets/<hash>.parquet``."""

BYTES_PER_ROW = 3000
"""Memory of a worker for each target on its frame."""

_PART = 500
_AXES = ("sma", "smi", "theta")
_SKIES = ("mesh", "annulus")


def forced(  # noqa: PLR0913 - the words of a user
    archive: Archive,
    targets: Any,
    frames: Any = None,
    *,
    method: str = "circular",
    name: str | None = None,
    ids: Sequence[Any] | None = None,
    unit: str | None = None,
    sma: Any = None,
    smi: Any = None,
    theta: Any = None,
    sky_from: str = "mesh",
    workers: int | None = None,
    memory_gb: float | None = None,
    executor: Any = None,
    again: bool = False,
    progress: bool | None = None,
    **options: Any,
) -> BatchReport:
    """Measure a list of targets on every frame that covers any of them.

    Parameters
    ----------
    archive : Archive
    targets : SkyCoord, table, path, positions
        As of `ezarchive.targets.read_targets`; identifiers come back as ``target_id``.
    frames : FrameSet, DataBrowser, iterable of frames, images or frame ids, optional
        Where to look; every science frame by default. Frames that cover no target are left alone.
    method : {"circular", "elliptical"}
    name : str, optional
        Of the list: of lists of one name light curves use the newest run, so a list may grow; each list without a name stands by itself.
    ids : sequence, optional
        Identifiers in place of the list's own.
    unit : {"coord", "pixel"}, optional
        Of positions that do not say it; pixels need ``frames``.
    sma, smi, theta : float or sequence, optional
        Ellipses: semi-axes and angle, for all or one each; by default the list's columns of these names.
    sky_from : {"mesh", "annulus"}
        Level and noise of the sky: the mesh that is stored with the frame's current catalog, else the newest one stored, and where there
        is none a ring around each aperture; or rings everywhere. ``sky_source`` records which it was.
    workers, memory_gb, executor, again, progress
        As of `Archive.measure`.
    **options
        Fields of `PositionOptions`; ``theta_frame`` is ``"sky"`` by default, for frames lie in any direction. By default the apertures in
        ``ezarchive.toml``.

    Returns
    -------
    BatchReport
        ``skipped`` are frames that have this list measured already, ``uncovered`` frames that cover none of it, ``nowhere`` targets that
        lie on no frame or have no position.

    Raises
    ------
    InputError
        If an argument is wrong.
    UnknownNameError
        If there is no option of a name.
    LockedError
        If another batch is at work in this archive.
    """
    started = time.monotonic()
    if method not in METHODS:
        raise InputError(f"method={method!r}: must be one of {', '.join(METHODS)}")
    if sky_from not in _SKIES:
        raise InputError(f"sky_from={sky_from!r}: must be one of {', '.join(_SKIES)}")
    settings = archive.settings.measure
    chosen = PositionOptions.from_arguments({"theta_frame": "sky", **_shared(settings.options), **options})
    listed = read_targets(targets, unit=unit, ids=ids)
    if listed.unit == "pixel" and frames is None:
        raise InputError("targets: positions in pixels need frames=, for they mean another place of the sky on every frame")
    axes = _axes(listed, (sma, smi, theta), chosen) if method == "elliptical" else None
    workers = workers if workers is not None else settings.workers
    memory_gb = memory_gb if memory_gb is not None else settings.memory_gb
    executor = executor if executor is not None else settings.executor
    pool.worker_count(workers, memory_gb=memory_gb)  # wrong arguments are told before any work
    pool.check_executor(executor)
    work = _Forced(archive, listed, axes, method, name, chosen, sky_from)
    with Lock(archive.home / LOCK_NAME, what="measure"):
        run_id, plan = work.plan(frames, again=again)
        if run_id is None:
            return BatchReport(method, None, 0, work.n_done, (), 0, time.monotonic() - started, **work.notes())
        needed = BYTES_PER_WORKER + BYTES_PER_ROW * max(len(item.rows) for item in plan)
        with driver.crew(executor, workers, memory_gb, needed, len(plan)) as team:
            # On this machine one call makes many files durable; what other machines have written only they can.
            made = Driver(archive, run_id, method, targets=work.key, stage="forced", synced=team.client is not None)
            made.work(forced_frame, work.tasks(run_id, plan, durable=made.synced), len(plan), team, progress)
    return BatchReport(
        method, run_id, len(made.measured), work.n_done, tuple(made.failed), made.sources, time.monotonic() - started, tuple(made.measured),
        **work.notes(),
    )  # fmt: skip


def _shared(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the options of `measure` in the settings that mean the same here."""
    shared = ("aperture_diameter_arcsec", "aperture_diameter_seeing", "aperture_diameter_pixel", "saturation_level", "gain", "seeing")
    return {name: options[name] for name in shared if name in options}


def _axes(listed: Targets, given: tuple[Any, Any, Any], options: PositionOptions) -> Axes:
    """Return the semi-axes and angles: those given, else the list's columns."""
    lowered = {name.lower(): name for name in listed.extra.colnames}
    values = []
    for axis, value in zip(_AXES, given, strict=True):
        found = listed.extra[lowered[axis]] if value is None and axis in lowered else value
        if found is None:
            there = ", ".join(listed.extra.colnames) or "none"
            raise InputError(f"{axis}: must be given, or be a column {axis!r} of the targets, whose other columns are: {there}")
        wanted = u.deg if axis == "theta" else u.arcsec if options.axes_unit == "arcsec" else u.pix
        values.append(_plain_axis(axis, found, wanted, len(listed)))
    return Axes(*values)


def _plain_axis(axis: str, value: Any, wanted: u.Unit, n: int) -> np.ndarray:
    try:
        if getattr(value, "unit", None) is not None:
            value = u.Quantity(value).to_value(wanted)
        array = np.ma.filled(np.ma.atleast_1d(np.ma.asarray(value, float)), np.nan)
    except (TypeError, ValueError, u.UnitConversionError) as err:
        raise InputError(f"{axis}: must be numbers ({wanted}), found {value!r}") from err
    if array.shape not in ((1,), (n,)):
        raise InputError(f"{axis}: must be one number or one for each of the {n} targets, found shape {array.shape}")
    return np.broadcast_to(array, n)


@dataclass(frozen=True)
class _Plan:
    """A frame and the places in the list of the targets that it covers."""

    frame: Frame
    rows: np.ndarray


class _Forced:
    """One list, on its way to the frames that cover it."""

    def __init__(
        self, archive: Archive, listed: Targets, axes: Axes | None, method: str, name: str | None, options: PositionOptions, sky_from: str
    ) -> None:
        self.archive, self.listed, self.axes, self.method = archive, listed, axes, method
        self.name, self.options, self.sky_from = name, options, sky_from
        self.digest = list_digest(listed, axes)
        self.key = self.digest if name is None else name

    def notes(self) -> dict[str, int]:
        """Return what a report tells besides: frames without a target, and targets without a frame."""
        return {"uncovered": self.n_others, "nowhere": self.n_nowhere}

    def plan(self, frames: Any, *, again: bool) -> tuple[int | None, list[_Plan]]:
        """Return the run and its frames; None where nothing is to be done."""
        parameters = {**self.options.parameters(), "targets": self.digest, "name": self.name, "sky_from": self.sky_from}
        apertures = self.options.apertures() if self.method == "circular" else []
        candidates = None if frames is None else frames_of(self.archive, frames)
        with self.archive.database.begin() as conn:
            covered, self.n_others = self._covered(conn, candidates)
            seen = np.zeros(len(self.listed), bool)
            for item in covered:
                seen[item.rows] = True
            self.n_nowhere = int(np.count_nonzero(~seen))
            recipe_id = runs.get_recipe(conn, self.method, parameters, apertures)
            frame_ids = [item.frame.frame_id for item in covered]
            done = set() if again else runs.measured(conn, recipe_id, frame_ids)
            done -= without_file(conn, self.archive.home, self.method, recipe_id, done)
            todo = [item for item in covered if item.frame.frame_id not in done]
            self.n_done = len(covered) - len(todo)
            if not todo:
                runs.close_unfinished(conn, recipe_id)
                return None, []
            self._store(conn)
            run = runs.open_run(conn, recipe_id, driver.versions())
        if run.resumed:
            driver.remove_leftovers(self.archive.home / paths.CATALOGS / str(run.run_id))
        self.recipe_id, self.parameters = recipe_id, parameters
        return run.run_id, todo

    def _covered(self, conn: Connection, candidates: list[Frame] | None) -> tuple[list[_Plan], int]:
        """Return the frames that cover a target, in time, and how many of those given cover none; no file is opened."""
        if self.listed.unit == "pixel":
            rows = np.arange(len(self.listed))
            return [_Plan(frame, rows) for frame in candidates or ()], 0
        good = np.flatnonzero(np.isfinite(self.listed.ra) & np.isfinite(self.listed.dec))
        cells = np.unique(sky.cell_of(self.listed.ra[good], self.listed.dec[good])).tolist()
        ids = coverage.touching(conn, cells)
        if candidates is None:
            candidates = queries.frames_by_id(conn, ids)
            candidates.sort(key=lambda frame: (frame.mjd_mid is None, frame.mjd_mid or 0.0, frame.frame_id))
            return _covering(candidates, self.listed, good), 0
        found = _covering(candidates, self.listed, good)
        return found, len(candidates) - len(found)

    def _store(self, conn: Connection) -> None:
        """Write the list, once; its row is committed with the run."""
        if targetlists.find(conn, self.digest) is not None and (self.archive.home / FOLDER / f"{self.digest}.parquet").exists():
            return
        table = self.listed.to_table()[["target_id", *(("ra", "dec") if self.listed.unit == "coord" else ("x", "y"))]]
        if self.axes is not None:
            table["sma"], table["smi"], table["theta"] = self.axes.sma, self.axes.smi, self.axes.theta
        relative = f"{FOLDER}/{self.digest}.parquet"
        buffer = io.BytesIO()
        pq.write_table(pa.table({column: np.asarray(table[column]) for column in table.colnames}), buffer, compression="zstd")
        with atomic_write(self.archive.home / relative) as stream:
            stream.write(buffer.getvalue())
        row = targetlists.TargetList(self.digest, self.name, relative, len(self.listed), sha256_file(self.archive.home / relative))
        targetlists.add(conn, row)

    def tasks(self, run_id: int, plan: Sequence[_Plan], *, durable: bool) -> Iterator[ForcedTask]:
        """Yield the tasks, with what the archive knows of the sky of each frame."""
        provenance = {
            "method": self.method, "recipe_id": self.recipe_id, "parameters": self.parameters, "versions": driver.versions(),
        }  # fmt: skip
        home = self.archive.home
        for start in range(0, len(plan), _PART):
            part = plan[start : start + _PART]
            known = self._known([item.frame.frame_id for item in part])
            for item in part:
                frame = item.frame
                names = {column.name: getattr(frame, column.name) for column in columns.NAMES}
                relative = str(paths.catalog_path(run_id, frame.frame_id, names=names, relpath=frame.relpath))
                yield ForcedTask(
                    frame=frame, run_id=run_id, home=home, relpath=relative,
                    targets=replace(self.listed[item.rows], extra=_NO_EXTRA),
                    axes=None if self.axes is None else self.axes[item.rows], options=self.options,
                    provenance=provenance, durable=durable, **known[frame.frame_id],
                )  # fmt: skip

    def _known(self, frame_ids: list[int]) -> dict[int, dict[str, Any]]:
        """Return for each frame its mesh, its catalog of sources, its measured seeing and where its saturation comes from."""
        with self.archive.database.connect() as conn:
            origins = queries.origins(conn, frame_ids)
            catalogs = {row.frame_id: row for row in queries.catalogs(conn, frame_ids=frame_ids) if row.method in DETECTIONS}
            meshes: dict[int, list[queries.ProductRow]] = {}
            for row in queries.products(conn, frame_ids, "background") if self.sky_from == "mesh" else ():
                meshes.setdefault(row.frame_id, []).append(row)
        found = {}
        for frame_id in frame_ids:
            catalog = catalogs.get(frame_id)
            found[frame_id] = {
                "mesh": _mesh(self.archive.home, meshes.get(frame_id, ()), None if catalog is None else catalog.run_id),
                "catalog": None if catalog is None else catalog.path,
                "seeing": None if catalog is None else catalog.seeing,
                "saturation_origin": origins.get(frame_id, {}).get("saturation"),
            }
        return found


_NO_EXTRA = Targets(np.array([], str)).extra


def _mesh(home: Path, rows: Sequence[queries.ProductRow], run_id: int | None) -> str | None:
    """Return the path of the background of the current run, else of the newest one that is there."""
    for row in sorted(rows, key=lambda row: (row.run_id == run_id, row.product_id), reverse=True):
        if (home / row.path).exists():
            return row.path
    return None


def _covering(frames: Sequence[Frame], listed: Targets, good: np.ndarray) -> list[_Plan]:
    """Return the frames whose footprint holds any of the positions, and which ones."""
    order = good[np.argsort(listed.dec[good], kind="stable")]
    dec = listed.dec[order]
    found = []
    for frame in frames:
        if not frame.wcs_ok or frame.s_region is None or frame.path is None:
            continue
        first, last = np.searchsorted(dec, [frame.dec - frame.radius - 1e-6, frame.dec + frame.radius + 1e-6])
        near = order[first:last]
        if near.size:
            rows = near[sky.polygon_contains(sky.parse_region(frame.s_region), listed.ra[near], listed.dec[near])]
            if rows.size:
                found.append(_Plan(frame, np.sort(rows)))
    return found
