"""Aperture photometry of the quick look and the archive: measure frames, keep results in the database, and ask for them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astropy.table import QTable, Table

from ezarchive import driver
from ezarchive.batch import frames_of
from ezarchive.catalogs.looked import APERTURE_PHOTOMETRY_SCHEMA
from ezarchive.catalogs.result import arrow_to_qtable
from ezarchive.database import apertures, filerows, runs
from ezarchive.errors import InputError, UnknownNameError
from ezarchive.images.image import Image
from ezarchive.quicklook.apertures import photometry
from ezarchive.quicklook.apertures.results import PhotometryResults

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ezarchive.archive import Archive

__all__ = ["SavedPhotometry", "aperture_photometry", "save_photometry", "saved_photometry"]

STAGE = "look"
_TOGETHER = 100
"""Frames whose rows are saved in one transaction."""


@dataclass(frozen=True)
class SavedPhotometry:
    """What `save_photometry` did.

    Attributes
    ----------
    run_id : int or None
        The run that the new rows belong to; None if there were none.
    saved, known : int
        Rows that were saved, and that had been before.
    n_frames : int
        Frames of the archive among the images of the saved rows.
    """

    run_id: int | None
    saved: int
    known: int
    n_frames: int

    def __str__(self) -> str:
        run = "no run" if self.run_id is None else f"run {self.run_id}"
        return f"aperture photometry: {self.saved} rows saved, {self.known} already there; {self.n_frames} frames; {run}"


class _Saving:
    """Rows that are saved part by part, in one run: it is opened with the first new row."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.run_id: int | None = None
        self.saved = 0
        self.frames: set[int] = set()

    def add(self, rows: Sequence[Mapping[str, Any]], *, last: bool) -> None:
        """Save those that are not there yet; close the run after the last ones."""
        with self.archive.database.begin() as conn:
            new = [rows[place] for place in apertures.unsaved(conn, [(row["calculation"], row["row"]) for row in rows])]
            if new:
                frame_ids = _frame_ids(self.archive, conn, new)
                if self.run_id is None:
                    recipe_id = runs.get_recipe(conn, STAGE, {"what": "aperture_photometry"}, [])
                    self.run_id = runs.open_run(conn, recipe_id, driver.versions()).run_id
                apertures.add_photometry(conn, self.run_id, new, frame_ids)
                self.saved += len(new)
                self.frames |= {one for one in frame_ids if one is not None}
            if last and self.run_id is not None:
                runs.close_run(conn, self.run_id, {"n_rows": self.saved})


def save_photometry(archive: Archive, results: PhotometryResults | Table) -> SavedPhotometry:
    """Keep results of aperture photometry in the archive's database; a row that is there already is not saved again.

    Parameters
    ----------
    archive : Archive
    results : PhotometryResults or QTable
        Of `ezarchive.quicklook.aperture_photometry`. Rows of images that are frames of the archive are linked to them, by their files.

    Returns
    -------
    SavedPhotometry

    Raises
    ------
    InputError
        If it is nothing of the kind.
    """
    if not isinstance(results, (PhotometryResults, Table)):
        raise InputError(f"results: must be PhotometryResults or a table of aperture_photometry, found {type(results).__name__}")
    rows = list(results if isinstance(results, PhotometryResults) else PhotometryResults(results))
    saving = _Saving(archive)
    saving.add(rows, last=True)
    return SavedPhotometry(saving.run_id, saving.saved, len(rows) - saving.saved, len(saving.frames))


def aperture_photometry(archive: Archive, frames: Any = None, region: Any = None, *, save: bool = True, **options: Any) -> QTable:
    """Measure regions on frames.

    Parameters
    ----------
    archive : Archive
    frames : FrameSet, DataBrowser, iterable of frames, images or frame ids, optional
        By default every science frame that is there.
    region : region, list of them, or region file
        As of `ezarchive.quicklook.aperture_photometry`; on the sky they are projected onto each frame.
    save : bool
        Keep the rows in the database (`save_photometry`), every 100 frames and at the end, also where it is interrupted.
    **options
        ``background``, ``pixel_area``, ``error`` ... of `ezarchive.quicklook.aperture_photometry`.

    Returns
    -------
    QTable
        One row for each frame and region. What could not be measured is flagged and has a reason.

    Raises
    ------
    InputError
        If an argument is wrong.
    """
    chosen = frames_of(archive, frames)
    if not chosen:
        raise InputError(f"{photometry.NO_DATA}: frames must hold one, found none")
    results, saving, kept = PhotometryResults(), _Saving(archive), 0
    try:
        for number, frame in enumerate(chosen, 1):
            # A file that is gone has no path; its row says so.
            source = Image(frame.path, frame.hdu or 0) if frame.path is not None else f"frame {frame.frame_id}"
            results.append(photometry.aperture_photometry([source], region, **options))
            if save and number % _TOGETHER == 0:
                saving.add(list(results)[kept:], last=False)
                kept = len(results)
    finally:
        # Also of a run that is interrupted.
        if save:
            saving.add(list(results)[kept:], last=True)
    return results.to_table()


def saved_photometry(archive: Archive, frames: Any = None, *, run: int | None = None) -> QTable:
    """Return the aperture photometry that is kept in the database.

    Parameters
    ----------
    archive : Archive
    frames : FrameSet, DataBrowser, iterable of frames, images or frame ids, optional
        Only of these frames; by default everything, also of images that are no frames.
    run : int, optional
        What this run saved; by default what all saved that are not withdrawn.

    Returns
    -------
    QTable
        The columns of the SQL view ``aperture_photometry``, in the order in which they were saved; missing values are masked. Numbers in
        the units of the pixels are plain: the row's ``unit`` and ``sum_unit`` say which. `PhotometryResults` takes the table.

    Raises
    ------
    UnknownNameError
        If there is no such run.
    """
    chosen = None if frames is None else [frame.frame_id for frame in frames_of(archive, frames)]
    with archive.database.connect() as conn:
        if run is not None:
            known = {row["run_id"] for row in runs.list_runs(conn) if row["method"] == STAGE}
            if run not in known:
                raise UnknownNameError("run", str(run), map(str, known))
        rows = apertures.photometry_table(conn, frame_ids=chosen, run_id=run)
    by_name = {column.name: column for column in APERTURE_PHOTOMETRY_SCHEMA}
    return arrow_to_qtable(rows, by_name.__getitem__)


def _frame_ids(archive: Archive, conn: Connection, rows: Iterable[Mapping[str, Any]]) -> list[int | None]:
    """Return the frames that rows are of, found by their files; None for an image that is none."""
    roots = {name: Path(root.path).resolve() for name, root in archive.settings.roots.items()}
    numbers = filerows.root_ids(conn)
    found: dict[tuple[str, int], int | None] = {}
    listed = []
    for row in rows:
        key = (row["file"] or "", row["hdu"] or 0)
        if key not in found:
            found[key] = _frame_of(conn, key, roots, numbers)
        listed.append(found[key])
    return listed


def _frame_of(conn: Connection, key: tuple[str, int], roots: Mapping[str, Path], numbers: Mapping[str, int]) -> int | None:
    if not key[0]:
        return None
    path = Path(key[0]).resolve()
    for name, root in roots.items():
        if name in numbers and path.is_relative_to(root):
            folder, leaf = os.path.split(os.fsencode(path.relative_to(root)))
            for linked in filerows.find_by_name(conn, numbers[name], folder, leaf):
                if linked.hdu == key[1]:
                    return linked.frame_id
    return None
