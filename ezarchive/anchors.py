"""The verb ``anchor``: levels of bands, found by `compare.AnchoringStep`, recorded in the archive."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ezarchive import compare, driver
from ezarchive.compare.anchoring.table import FAILED, AnchorReport, FitRecord, ImageRecord, record_key
from ezarchive.database import comparisons, runs
from ezarchive.database.comparisons import NewAnchor
from ezarchive.errors import InputError

if TYPE_CHECKING:
    from ezarchive.archive import Archive
    from ezarchive.compare.anchoring.step import AnchoringStep

STAGE = "anchor"
_NOT_RECIPE = ("target", "procs", "overwrite", "plots", "simplify_labels")
"""Arguments on which no number depends."""


def anchor(archive: Archive, config: str | os.PathLike[str] | None = None, **arguments: Any) -> list[AnchorReport]:
    """Anchor the bands of targets, and record what was found.

    Parameters
    ----------
    archive : Archive
    config : path, optional
        TOML, see `ezarchive.compare.anchorconfig.read_config`.
    **arguments
        Of `ezarchive.compare.AnchoringStep`; they go before those of the file.

    Returns
    -------
    list of AnchorReport
        One for each target; ``report.ok`` is False if a band of it failed. The records are in the SQL view ``anchors``.

    Raises
    ------
    InputError, FrameError
        If an argument is wrong, before anything is written: also if `in_dir`, which anchored images go to, lies in a data root.
    OSError
        If a file cannot be written.
    """
    given = [{}] if config is None else compare.read_anchor_config(config)
    wanted = [{**values, **arguments} for values in given]
    steps = [compare.AnchoringStep(**values) for values in wanted]
    for step in steps:
        _check_place(archive, step.paths.in_dir)
    return [_one(archive, step, values) for step, values in zip(steps, wanted, strict=True)]


def _check_place(archive: Archive, folder: Path) -> None:
    for name, root in archive.settings.roots.items():
        if folder.resolve().is_relative_to(root.path.resolve()):
            raise InputError(f"in_dir {str(folder)!r}: lies inside root {name!r} ({root.path}); ezarchive never writes inside a data root")


def _one(archive: Archive, step: AnchoringStep, arguments: dict[str, Any]) -> AnchorReport:
    step.do_step()
    if step.report.done_before and not _recorded(archive, step):
        step.run_again()
    report = step.report
    if report.done_before:
        return report
    parameters = {name: _plain(value) for name, value in arguments.items() if name not in _NOT_RECIPE}
    with archive.database.begin() as conn:
        recipe_id = runs.get_recipe(conn, STAGE, parameters, [])
        run_id = runs.open_run(conn, recipe_id, driver.versions()).run_id
        comparisons.add_anchors(conn, _rows(run_id, step, report))
        failed = sum(image.status == FAILED for image in report.images)
        runs.close_run(conn, run_id, {"n_anchored": len(report.images) - failed, "n_failed": failed})
    return report.of_run(run_id)


def _recorded(archive: Archive, step: AnchoringStep) -> bool:
    with archive.database.connect() as conn:
        table = comparisons.anchors_table(conn)
    return step.paths.target in table["target"].to_pylist()


def _rows(run_id: int, step: AnchoringStep, report: AnchorReport) -> list[NewAnchor]:
    """Return a row for each fit, and for images and bands that failed without any."""
    images = {image.image: image for image in report.images}
    rows = [_row(run_id, report, record, images[record.image], step) for record in report.fits if record.reference]
    told = {record.image for record in report.fits if record.reference}
    for image in report.images:
        if image.image not in told:
            kind = step.kind_of(image.band)
            lost = FitRecord(image.band, image.instrument, image.image, "", Path(), kind, "", unit=image.unit, message=image.message)
            rows.append(_row(run_id, report, lost, image, step))
    for band in report.bands:
        if not band.images and band.status == FAILED:
            rows.append(NewAnchor(run_id, report.target, band.band, step.kind_of(band.band), "", status=FAILED, message=band.message))
    return rows


def _row(run_id: int, report: AnchorReport, record: FitRecord, image: ImageRecord, step: AnchoringStep) -> NewAnchor:
    fit, values = record.fit, {}
    used = image.record is not None and record_key(image.record) == record_key(record)
    if fit is not None:
        names = ("slope", "slope_err", "intercept", "intercept_err", "n_bins", "n_cells")
        values = {name: getattr(fit, name) for name in names} | dict(zip(("range_low", "range_high"), fit.value_range, strict=True))
        values["anchor_offset"], values["anchor_offset_err"] = report.offsets.get(record_key(record), (None, None))
    return NewAnchor(
        run_id, report.target, record.band, record.kind, record.reference, status=record.status, used=used,
        resolution=record.resolution or None, code=record.code or None, message=record.message or None, unit=record.unit or None,
        file=str(image.image), output=None if image.status == FAILED else str(image.output),
        details={"method": step.job.method, "instrument": record.instrument, "reference_file": str(record.reference_file)}, **values,
    )  # fmt: skip


def _plain(value: Any) -> Any:
    """Return an argument as JSON can hold it."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
