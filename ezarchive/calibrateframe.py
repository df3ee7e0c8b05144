"""Calibrate one frame: its catalog and the stars near it -> zero points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from ezarchive import plots
from ezarchive.catalogs import parquet
from ezarchive.columns import suffix
from ezarchive.database.queries import CatalogRow
from ezarchive.database.zeropoints import NewZeroPoint
from ezarchive.errors import EzarchiveError
from ezarchive.frames.record import Frame
from ezarchive.photometry.calibration import FitOptions
from ezarchive.photometry.calibrators import FrameCalibration, ReferenceStars, StarSelection, calibrate_sources
from ezarchive.plots import calibration as drawing

_READ = (
    "X_IMAGE", "Y_IMAGE", "ALPHA_J2000", "DELTA_J2000", "FLAGS", "IMAFLAGS_ISO", "CLASS_STAR", "ELONGATION", "FWHM_IMAGE",
    "FLUX_AUTO", "FLUXERR_AUTO",
)  # fmt: skip
# What is worth a note: mag per mag of an aperture, and of AUTO, whose ellipses hold less of the light of faint stars; mag.
_SLOPE, _SLOPE_AUTO, _MAP = 0.005, 0.02, 0.01
_SCATTER = 0.3  # mag; more is rather another filter's magnitudes, or no magnitudes


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How frames are calibrated; what a recipe records, but for the reference."""

    method: str
    system: str
    ab_offset: float | Mapping[str, float] | None
    radius_deg: float
    selection: StarSelection
    fit: FitOptions

    def offset(self, band: str | None) -> float | None:
        """Return what makes an AB magnitude in a filter."""
        if self.system == "AB":
            return 0.0
        return self.ab_offset.get(str(band)) if isinstance(self.ab_offset, Mapping) else self.ab_offset


@dataclass(frozen=True, kw_only=True)
class Task:
    """One frame to calibrate, with all that a worker needs.

    ``stars`` are those of the reference near it, or the reason why there are none; ``fit`` is that of the settings with the colour pivot of
    the frame's filter.
    """

    frame: Frame
    run_id: int
    relpath: str
    home: Path
    row: CatalogRow | None
    settings: Settings
    stars: ReferenceStars | EzarchiveError
    fit: FitOptions
    figure: Path | None


@dataclass(frozen=True)
class Done:
    """The zero points of one frame."""

    rows: tuple[NewZeroPoint, ...]
    notes: tuple[str, ...]


def calibrate_frame(task: Task) -> Done:
    """Find the zero points of one frame.

    Raises
    ------
    MeasurementError, CatalogError
        If it cannot be calibrated.
    """
    found, row = frame_calibration(task), task.row
    assert row is not None
    common = {
        "frame_id": task.frame.frame_id, "catalog_id": row.catalog_id, "run_id": task.run_id, "method": row.method,
        "system": task.settings.system, "ab_offset": task.settings.offset(task.frame.filter),
    }  # fmt: skip
    rows = []
    for measure, fitted in found.fits.items():
        details = {"steps": found.steps, "n_clipped": fitted.n_clipped, "intrinsic": fitted.intrinsic, "failed": found.failed}
        details["spatial"] = None if fitted.spatial is None else asdict(fitted.spatial)
        rows.append(
            NewZeroPoint(
                **common, measure=measure.split("_")[0], aperture=_size(found.apertures[measure]), value=fitted.value, error=fitted.error,
                scatter=fitted.scatter, n_stars=fitted.n, depth=found.depths[measure], colour_term=fitted.colour_term,
                colour_term_err=fitted.colour_term_err, colour_pivot=fitted.colour_pivot, magnitude_slope=fitted.magnitude_slope,
                magnitude_slope_err=fitted.magnitude_slope_err, details=details,
            )  # fmt: skip
        )
    if task.figure is not None:
        plots.save(drawing.figure(found, title=f"{task.relpath.rsplit('/', 1)[-1]}"), task.figure)
    return Done(tuple(rows), tuple(_notes(found)))


def _size(diameter: float | None) -> float | None:
    """Return a diameter without what came of its way through pixels, as 6.999999999999999."""
    return None if diameter is None else round(diameter, 9)


def frame_calibration(task: Task) -> FrameCalibration:
    """Return the zero points of one frame and the stars behind them; errors as of `calibrate_frame`."""
    if isinstance(task.stars, Exception):
        raise task.stars
    frame, row, settings = task.frame, task.row, task.settings
    assert row is not None
    names = [f"{what}_APER{suffix(index)}" for index in range(len(row.apertures)) for what in ("FLUX", "FLUXERR", "SKYSIG")]
    sources = parquet.read_columns(task.home / task.relpath, [*_READ, *names])
    return calibrate_sources(
        sources, task.stars, row.apertures, shape=(frame.naxis2, frame.naxis1), pixel_scale=frame.pixel_scale,
        radius_deg=settings.radius_deg, selection=settings.selection, options=task.fit,
    )  # fmt: skip


def _notes(found: FrameCalibration) -> Iterator[str]:
    """Yield what a user should know: of the measurements that say the same, the first."""
    for measure, fitted in found.fits.items():
        if fitted.scatter > _SCATTER:
            yield f"{measure}: stars differ by {fitted.scatter:.2f} mag r.m.s.; are these magnitudes of the frame's filter?"
            break
    for measure, fitted in found.fits.items():
        slope = fitted.magnitude_slope
        if fitted.linear is False and slope is not None and abs(slope) > (_SLOPE_AUTO if measure == "AUTO" else _SLOPE):
            yield f"{measure}: residuals change by {slope:+.4f} +- {fitted.magnitude_slope_err:.4f} mag per mag"
            break
    for measure, fitted in found.fits.items():
        if fitted.spatial is not None and fitted.spatial.p_value < 1e-3 and fitted.spatial.rms > _MAP:
            yield f"{measure}: the zero point changes over the frame by {fitted.spatial.rms:.3f} mag r.m.s."
            break
    yield from (f"{measure}: no zero point: {why}" for measure, why in found.failed.items())
