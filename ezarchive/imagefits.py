"""Frames against a reference image: seeing, flux scale, background and pointing of each, stored with the run and asked for by SQL."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import QTable

from ezarchive import driver, pool, sky
from ezarchive.batch import frames_of
from ezarchive.catalogs.compared import IMAGE_FITS_SCHEMA
from ezarchive.catalogs.result import arrow_to_qtable
from ezarchive.compare.ds9regions import Ds9Regions
from ezarchive.compare.fluximage import FluxImage, flux_image
from ezarchive.compare.imagefit import ImageFitOptions
from ezarchive.compare.moffat import check_beta, check_fwhm
from ezarchive.compare.psf import MoffatPsf
from ezarchive.compare.starfit import check_star
from ezarchive.database import comparisons, runs
from ezarchive.driver import Driver
from ezarchive.errors import CompareError, InputError, UnknownNameError
from ezarchive.files import Lock, sha256_file
from ezarchive.frames.record import Frame
from ezarchive.imagefitframe import METHODS, Reference, Settings, Task, failure, fit_frame, reference_psf
from ezarchive.images.image import Image
from ezarchive.images.planes import data_hdu

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ezarchive.archive import Archive

__all__ = ["ImageFitReport", "fit_photometry", "image_fits"]

LOCK_NAME = ".image_fit.lock"
STAGE = "image_fit"
DEFAULT_BETA = 2.5

_FIT_OPTIONS = (
    "fix_scale", "fix_bg", "fix_dx", "fix_dy", "fix_fwhm", "fix_beta", "min_scale", "init_dx", "init_dy", "margin", "taper", "segment"
)  # fmt: skip
_FEW = 20  # frames below which more processes do not pay
_SMALLEST = 64
_BYTES = 400e6
_BYTES_PER_PIXEL = 30
_BYTES_PER_FITTED = 450


@dataclass(frozen=True)
class ImageFitReport:
    """What `fit_photometry` did: counts of frames, and why some failed.

    ``failed`` lists ``(path, code, message)``, as the table ``quarantine`` does (stage ``image_fit``); ``elsewhere`` counts science frames
    that do not reach the reference's place and were not asked for by name.
    """

    run_id: int | None
    reference: str
    fitted: int
    skipped: int
    elsewhere: int
    failed: tuple[tuple[str, str, str], ...]
    elapsed: float
    frame_ids: tuple[int, ...] = field(default=(), repr=False)

    @property
    def ok(self) -> bool:
        """Whether no frame failed."""
        return not self.failed

    def __str__(self) -> str:
        run = "no run" if self.run_id is None else f"run {self.run_id}"
        elsewhere = f"{self.elsewhere} elsewhere on the sky, " if self.elsewhere else ""
        first = (
            f"image fits: {self.fitted} frames fitted by {self.reference}, {self.skipped} already done, {elsewhere}"
            f"{len(self.failed)} failed; {run}; {self.elapsed:.1f} s"
        )
        return "\n".join([first, *(f"  {path}: {code}: {message}" for path, code, message in self.failed)])


def fit_photometry(  # noqa: PLR0913  what a user says of reference, method and fit
    archive: Archive,
    frames: Any = None,
    reference: Any = None,
    *,
    method: str = "image",
    star: Any = None,
    regions: Any = None,
    reference_fwhm: float | None = None,
    reference_beta: float | None = None,
    largest: int = 1024,
    any_unit: bool = False,
    again: bool = False,
    workers: int | None = None,
    progress: bool | None = None,
    **options: Any,
) -> ImageFitReport:
    """Fit seeing, flux scale, background and pointing of frames by a reference image of the same sky, and store them.

    Parameters
    ----------
    archive : Archive
    frames : FrameSet, DataBrowser, iterable of frames, images or frame ids, optional
        Which frames; by default every science frame that reaches the reference's place, the reference itself apart.
    reference : path, Image, FluxImage, or a frame of the archive (Frame, image, frame id, FrameSet or DataBrowser of one)
        The reference image. It is put on the pixels of each frame where it does not lie on these already (`compare.regrid`).
    method : {"image", "stars", "both"}
        Fit the whole image, one star, or both.
    star : (float, float, float), optional
        ICRS degrees, and the radius in arcsec: the star of ``"stars"`` and ``"both"``.
    regions : path, iterable of str, or Ds9Regions, optional
        DS9 regions to use and to leave out, on the sky.
    reference_fwhm, reference_beta : float, optional
        Moffat profile of the reference in its own pixels: arcsec, and exponent. By default both are those of its stars; with a
        `reference_fwhm` alone the exponent is 2.5.
    largest : int
        Rows and columns of a frame that are fitted at most: those in the middle of what the reference covers. 1024 take some 5 seconds
        and 0.3 GB, 2048 four times that.
    any_unit : bool
        Whether the unit of the reference may be another one; the scale is the frame's unit by the reference's then.
    again : bool
        Also frames that were fitted already with this reference and these settings.
    workers : int, optional
        Processes; by default one for up to 20 frames, else as many as there are cores and the memory allows.
    progress : bool, optional
        Show a progress bar; by default on a terminal only.
    **options
        ``fix_scale fix_bg fix_dx fix_dy fix_fwhm fix_beta min_scale init_dx init_dy margin taper segment`` of `compare.ImageFitOptions`.

    Returns
    -------
    ImageFitReport

    Raises
    ------
    InputError, UnknownNameError
        If an argument is wrong.
    FrameError, CompareError
        If the reference cannot be read, or `reference_fwhm` is not given and it has no stars (``no_star``).
    LockedError
        If another call is at work in this archive.

    Notes
    -----
    ``fwhm`` and ``beta`` are those of the frame's pixels as they are. ``dx``, ``dy`` (arcsec) are positive where things lie at larger x
    and y in the frame than the reference says; ``dra``, ``ddec`` say the same in right ascension (not times cos(dec)) and declination, at
    the centre of what was fitted: what the frame's WCS gives too much. Pixels from 95 % of the saturation level on are left out. Where a
    file has no variance, the noise is that of its sky and, where the gain is known, of the photons of its sources.

    A frame that fails is recorded with its reason, in ``image_fits`` and in the quarantine, and tried again by the next call. A call that
    was stopped goes on in the run that it had begun. Files are never written to.
    """
    started = time.monotonic()
    if method not in METHODS:
        raise InputError(f"method={method!r}: must be one of {', '.join(METHODS)}")
    checked = _checked(method, star, regions, options, reference_fwhm, reference_beta, largest)
    pool.worker_count(workers)
    found = _reference(archive, reference)
    psf = _psf(found, reference_fwhm, reference_beta)
    settings = Settings(
        methods=METHODS[method], reference_fwhm=psf.fwhm, reference_beta=psf.beta, measured=reference_fwhm is None,
        any_unit=bool(any_unit), **checked,
    )  # fmt: skip
    with Lock(archive.home / LOCK_NAME, what=STAGE):
        chosen, elsewhere = _chosen(archive, frames, found)
        with archive.database.begin() as conn:
            recipe_id = runs.get_recipe(conn, STAGE, _parameters(found, settings), [])
            done = set() if again else comparisons.fitted(conn, recipe_id, [frame.frame_id for frame in chosen])
            todo = [frame for frame in chosen if frame.frame_id not in done]
            run = runs.open_run(conn, recipe_id, driver.versions()) if todo else None
            if run is None:
                runs.close_unfinished(conn, recipe_id)
        if run is None:
            return ImageFitReport(None, found.name, 0, len(done), elsewhere, (), time.monotonic() - started)
        work = _Recorder(archive, run.run_id, STAGE, stage=STAGE)
        _work(work, [Task(frame=frame, run_id=run.run_id, reference=found, settings=settings) for frame in todo], workers, progress)
    elapsed = time.monotonic() - started
    return ImageFitReport(
        run.run_id, found.name, len(work.measured), len(done), elsewhere, tuple(work.failed), elapsed, tuple(work.measured)
    )  # fmt: skip


def image_fits(archive: Archive, frames: Any = None, *, run: int | None = None) -> QTable:
    """Return the image fits of frames, with their errors and units.

    Parameters
    ----------
    archive : Archive
    frames : FrameSet, DataBrowser, iterable of frames, images or frame ids, optional
        By default all.
    run : int, optional
        Those of this run; by default of each frame, method and reference the newest that did not fail, or the newest where all failed.

    Returns
    -------
    QTable
        The columns of the SQL view ``image_fits``, in the order of time; missing values are masked.

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
        rows = comparisons.image_fits_table(conn, frame_ids=chosen, run_id=run)
    by_name = {column.name: column for column in IMAGE_FITS_SCHEMA}
    return arrow_to_qtable(rows.sort_by([("mjd_mid", "ascending"), ("frame_id", "ascending")]), by_name.__getitem__)


def _checked(
    method: str, star: Any, regions: Any, options: dict[str, Any], fwhm: float | None, beta: float | None, largest: Any
) -> dict[str, Any]:  # fmt: skip
    """Return the settings that need no look at the reference, every argument checked."""
    for name in options:
        if name not in _FIT_OPTIONS:
            raise UnknownNameError("option", name, _FIT_OPTIONS)
    fit = {name: value for name, value in options.items() if value is not None}
    ImageFitOptions(**fit)
    if (star is None) != (method == "image"):
        raise InputError(f"star={star!r}: must be given with method 'stars' or 'both', and not with 'image'")
    if not isinstance(largest, Integral) or isinstance(largest, bool) or largest < _SMALLEST:
        raise InputError(f"largest={largest!r}: must be a number of pixels, {_SMALLEST} or more")
    if fwhm is None and beta is not None:
        raise InputError("reference_beta: must be given with reference_fwhm")
    if fwhm is not None:
        check_fwhm(fwhm, "reference_fwhm")
        check_beta(DEFAULT_BETA if beta is None else beta, "reference_beta")
    none = regions is None or (isinstance(regions, str) and regions.lower() in ("", "none"))
    made = None if none else regions if isinstance(regions, Ds9Regions) else Ds9Regions(regions)
    if made is not None and not all(region.on_sky for region in made):
        raise InputError("regions: must be on the sky (fk5, icrs, galactic ...), for frames have pixels of their own")
    return {"star": None if star is None else check_star(star), "regions": made, "largest": int(largest), "fit": fit}


def _reference(archive: Archive, reference: Any) -> Reference:
    """Return what was given as a reference."""
    if reference is None:
        raise InputError("reference: must be a path, an image, or a frame of the archive")
    if isinstance(reference, (str, os.PathLike)):
        path = Path(reference).absolute()
        image = flux_image(path, "reference")
        _check_reference(image, str(path))
        return Reference(name=str(path), identity=sha256_file(path), path=str(path))
    if isinstance(reference, (Image, FluxImage)) and not hasattr(reference, "frame_id"):
        image = flux_image(reference, "reference")
        _check_reference(image, image.name)
        digest = hashlib.sha256(image.data.tobytes() + image.mask.tobytes()).hexdigest()
        return Reference(name=str(image.path) if image.path else f"pixels {digest[:16]}", identity=digest, pixels=image)
    try:
        found = frames_of(archive, reference)
    except InputError as err:
        raise InputError(f"reference: {str(err).removeprefix('frames: ')}") from err
    if len(found) != 1:
        raise InputError(f"reference: must be one frame, found {len(found)}")
    (frame,) = found
    if frame.path is None or not frame.wcs_ok:
        raise InputError(f"reference: frame {frame.frame_id} must be a file that is there, with a usable WCS")
    return Reference(
        name=f"frame {frame.frame_id}", identity=sha256_file(frame.path), path=frame.path, hdu=frame.hdu, frame_id=frame.frame_id,
        gain=frame.gain, saturation=frame.saturation,
    )  # fmt: skip


def _check_reference(image: FluxImage, name: str) -> None:
    if image.wcs is None:
        raise InputError(f"reference {name}: must have a celestial WCS")
    if image.mask.all():
        raise CompareError("all_masked", f"reference {name}: must have pixels that are not masked, found none")


def _psf(reference: Reference, fwhm: float | None, beta: float | None) -> MoffatPsf:
    if fwhm is not None:
        return MoffatPsf(float(fwhm), DEFAULT_BETA if beta is None else float(beta))
    try:
        return reference_psf(reference)[0]
    except CompareError as err:
        raise CompareError(err.code, f"reference {reference.name}: {err}; reference_fwhm must be given") from err


def _chosen(archive: Archive, frames: Any, reference: Reference) -> tuple[list[Frame], int]:
    """Return the frames to fit, and how many were left out as being elsewhere."""
    if frames is not None:
        return frames_of(archive, frames), 0
    every = [frame for frame in frames_of(archive) if not _is_reference(frame, reference)]
    image = reference.load()
    ra, dec, radius = sky.centre_radius(image.wcs, *image.shape[::-1])
    near = []
    for frame in every:
        placed = frame.wcs_ok and None not in (frame.ra, frame.dec, frame.radius)
        # One without a place is tried, and fails with that reason.
        if not placed or sky.separation(ra, dec, frame.ra, frame.dec) < radius + frame.radius:
            near.append(frame)
    return near, len(every) - len(near)


def _is_reference(frame: Frame, reference: Reference) -> bool:
    """Say whether a frame is the reference, which may have been given by its path."""
    if frame.frame_id == reference.frame_id:
        return True
    if reference.frame_id is not None or None in (frame.path, reference.path):
        return False
    path = Path(reference.path).resolve()
    return Path(frame.path).resolve() == path and frame.hdu == data_hdu(path)


def _parameters(reference: Reference, settings: Settings) -> dict[str, Any]:
    values = {name: value for name, value in asdict(settings).items() if name != "regions"}
    values["regions"] = None if settings.regions is None else [str(region) for region in settings.regions]
    values["fit"] = {name: _plain(value) for name, value in settings.fit.items()}
    return {"reference": reference.name, "identity": reference.identity, **values}


def _plain(value: Any) -> Any:
    """Return a number that JSON has; an infinite beta is a Gaussian."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    return float(value) if np.isfinite(value) else str(value)


def _work(work: _Recorder, tasks: Sequence[Task], workers: int | None, progress: bool | None) -> None:
    settings = tasks[0].settings
    largest = max(task.frame.naxis1 * task.frame.naxis2 for task in tasks)
    needed = _BYTES + _BYTES_PER_PIXEL * largest + _BYTES_PER_FITTED * min(largest, settings.largest**2)
    count = workers if workers is not None else 1 if len(tasks) <= _FEW else None
    with driver.crew(None, count, None, needed, len(tasks)) as team:
        work.work(fit_frame, iter(tasks), len(tasks), team, progress)
    with work.archive.database.begin() as conn:
        runs.close_run(conn, work.run_id, {"n_fitted": len(work.measured), "n_failed": len(work.failed), "n_fits": work.sources})


class _Recorder(Driver):
    """A driver that records image fits; ``sources`` counts them."""

    _files = False

    def _store(self, conn: Connection, good: Sequence[tuple[Any, Any]], bad: Sequence[tuple[Any, str, str]]) -> None:
        rows = [row for _, result in good for row in result.rows]
        comparisons.add_image_fits(conn, [*rows, *(failure(task, code, message) for task, code, message in bad)])

    def _count(self, good: Sequence[tuple[Any, Any]]) -> None:
        self.sources += sum(len(result.rows) for _, result in good)
