"""What the anchoring of bands found: a record for each fit and image, the table of fits, the cards of anchored images, the report."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import QTable, Table, vstack

from ezarchive.errors import InputError
from ezarchive.files import atomic_write

if TYPE_CHECKING:
    from ezarchive.compare.anchoring.offsets import OffsetFit

VERSION = "2"
"""Of the method: it must be raised whenever kernels, convolution or fits give other numbers.

Convolved images are kept by it, and so is the marker of what was done: those of another version are made anew, while under the same one
what older code made would be taken for what this one makes. It stands in anchored images and in the table of fits (ANCHVER).
"""

FitRecordKey = tuple[str, str]
"""What tells a fit from others: image and file of the reference."""

OK, FLAGGED, FAILED, ABSENT = "ok", "flagged", "failed", "absent"
EXTERNAL, INTERNAL = "external", "internal"

_FORMATS = {".ecsv": "ascii.ecsv", ".csv": "ascii.csv", ".fits": "fits"}

COLUMNS: Mapping[str, type] = {
    "target": str,
    "ref_filter": str,
    "compar_filename": str,
    "compar_filter": str,
    "slope": float,
    "intercept": float,
    "slope_err": float,
    "intercept_err": float,
    "covariance": float,
    "offset": float,
    "offset_err": float,
    "used": bool,
    "status": str,
    "kind": str,
    "resolution": str,
    "method": str,
    "unit": str,
    "n_pixels": int,
    "n_bins": int,
    "range_low": float,
    "range_high": float,
    "range_axis": str,
    "instrument": str,
    "message": str,
}
"""Columns of the table of fits and their types; the first six are the published ones.

``offset`` is what the fit says must be added to the image, ``used`` whether it was; image = intercept + slope * reference.
"""


@dataclass(frozen=True)
class FitRecord:
    """One image against one reference.

    Attributes
    ----------
    band, instrument : str
    image : Path
    reference : str
        Name of the survey, or of the band.
    reference_file : Path
    kind : {"external", "internal"}
    resolution : str
        The common one, as ``gauss4`` or ``f2100w``.
    fit : OffsetFit or None
        None if there is none; `message` says why.
    unit : str
        Of the intercept and offset.
    factor : float
        The reference was multiplied by it, to be in the unit of the image.
    code, message : str
        Of what went wrong.
    """

    band: str
    instrument: str
    image: Path
    reference: str
    reference_file: Path
    kind: str
    resolution: str
    fit: OffsetFit | None = None
    unit: str = ""
    factor: float = 1.0
    code: str = ""
    message: str = ""

    @property
    def status(self) -> str:
        """``ok``, ``flagged`` or ``failed``."""
        return FAILED if self.fit is None else self.fit.status


@dataclass(frozen=True)
class ImageRecord:
    """What became of one image.

    Attributes
    ----------
    band, instrument : str
    image, output : Path
        The anchored image is there unless the status is ``failed``.
    status : {"ok", "flagged", "failed"}
    offset, offset_err : float
        What was added, and its standard error; NaN if it failed.
    record : FitRecord or None
        The fit that it came from.
    unit : str
    message : str
        Why it failed or is flagged.
    """

    band: str
    instrument: str
    image: Path
    output: Path
    status: str
    offset: float = np.nan
    offset_err: float = np.nan
    record: FitRecord | None = None
    unit: str = ""
    message: str = ""

    @property
    def reference(self) -> str:
        """Name of the reference that gave the offset, empty if none did."""
        return "" if self.record is None else self.record.reference


@dataclass(frozen=True)
class BandRecord:
    """What became of one band: the worst of its images."""

    band: str
    status: str
    message: str = ""
    images: tuple[ImageRecord, ...] = ()


@dataclass(frozen=True)
class AnchorReport:
    """What an anchoring did.

    Attributes
    ----------
    target : str
    bands : tuple of BandRecord
        Every band that was asked for, in that order.
    fits : tuple of FitRecord
        Every fit that was tried, those that failed too.
    method : str
    done_before : bool
        Nothing was to be done: all had been done by an earlier run.
    offsets : mapping
        `record_key` of a fit -> what it would add, and the error.
    run_id : int or None
        Of the archive that it is recorded in.
    """

    target: str
    bands: tuple[BandRecord, ...] = ()
    fits: tuple[FitRecord, ...] = ()
    method: str = "robust"
    done_before: bool = False
    offsets: Mapping[FitRecordKey, tuple[float, float]] = field(default_factory=dict)
    run_id: int | None = None

    def of_run(self, run_id: int) -> AnchorReport:
        """Return the report as one that is recorded in a run."""
        return replace(self, run_id=run_id)

    @property
    def ok(self) -> bool:
        """No band failed, and at least one is there."""
        if self.done_before:
            return True
        return any(band.images for band in self.bands) and all(band.status != FAILED for band in self.bands)

    @property
    def images(self) -> tuple[ImageRecord, ...]:
        """Every image of every band."""
        return tuple(image for band in self.bands for image in band.images)

    def to_table(self) -> QTable:
        """Return one row for each band and image: band, instrument, file, status, offset, offset_err, reference, message."""
        rows = []
        for band in self.bands:
            rows += [
                (band.band, i.instrument, i.image.name, i.status, i.offset, i.offset_err, i.reference, i.message) for i in band.images
            ] or [(band.band, "", "", band.status, np.nan, np.nan, "", band.message)]
        names = ("band", "instrument", "file", "status", "offset", "offset_err", "reference", "message")
        return QTable(rows=rows or None, names=names, dtype=(str, str, str, str, float, float, str, str))

    def __str__(self) -> str:
        if self.done_before:
            return f"{self.target}: anchored before, nothing has changed"
        run = "" if self.run_id is None else f"; run {self.run_id}"
        lines = [f"{self.target}: {sum(image.status != FAILED for image in self.images)} of {len(self.images)} images anchored{run}"]
        for band in self.bands:
            lines += [_line(image) for image in band.images] or [f"  {band.band:<8} {band.status}: {band.message}"]
        lines += [f"  {r.band:<8} against {r.reference}: {r.message}" for r in self.fits if r.fit is None]
        return "\n".join(lines)


def _line(image: ImageRecord) -> str:
    start = f"  {image.band:<8} {image.image.name}: {image.status}"
    if image.status == FAILED:
        return f"{start}: {image.message}"
    why = f"; {image.message}" if image.message else ""
    value = f"{image.offset:+.5f} +- {image.offset_err:.5f}{' ' if image.unit else ''}{image.unit}"
    return f"{start}, {value} from {image.reference}{why}"


def anchor_cards(image: ImageRecord) -> dict[str, tuple[Any, str]]:
    """Return the cards of an anchored image."""
    record = image.record
    unit = f"[{image.unit}] " if image.unit else ""
    cards: dict[str, tuple[Any, str]] = {"ANCHOFF": (image.offset, f"{unit}added to pixels with data")}
    if np.isfinite(image.offset_err):
        cards["ANCHERR"] = (image.offset_err, f"{unit}standard error of ANCHOFF")
    if record is not None and record.fit is not None:
        cards["ANCHREF"] = (record.reference, "what it was anchored to")
        cards["ANCHSLP"] = (record.fit.slope, "slope: image against reference")
        cards["ANCHRES"] = (record.resolution, "common resolution of the fit")
    cards["ANCHVER"] = (f"ezarchive {VERSION}", "version of the method")
    return cards


def anchor_history(image: ImageRecord) -> list[str]:
    """Return the HISTORY lines of an anchored image."""
    return [f"ANCHOR BKGRDVAL: {image.offset}"]


def fit_table(
    target: str,
    fits: Sequence[FitRecord],
    images: Iterable[ImageRecord],
    offsets: Mapping[FitRecordKey, tuple[float, float]],
    method: str,
) -> Table:
    """Return the table of fits.

    Parameters
    ----------
    target : str
    fits : sequence of FitRecord
    images : iterable of ImageRecord
        They say which fits were used.
    offsets : mapping
        `record_key` -> offset and error that a fit gives.
    method : str

    Returns
    -------
    Table
        Columns as `COLUMNS`, sorted by ``compar_filter``, then file; a fit that failed has NaN and its reason.
    """
    used = {record_key(image.record) for image in images if image.record is not None}
    rows = [_row(target, record, offsets.get(record_key(record)), record_key(record) in used, method) for record in fits]
    rows.sort(key=lambda row: (row["compar_filter"], row["compar_filename"]))
    table = Table({name: np.array([row[name] for row in rows], dtype=kind) for name, kind in COLUMNS.items()})
    table.meta["ANCHVER"] = VERSION
    return table


def record_key(record: FitRecord) -> FitRecordKey:
    """Return what tells a fit from others: image and file of the reference."""
    return str(record.image), str(record.reference_file)


def check_table_path(path: Path) -> None:
    """Refuse a name that `write_levels` could not write."""
    if path.suffix.lower() not in _FORMATS:
        raise InputError(f"path {str(path)!r}: the suffix must be one of {', '.join(_FORMATS)}")


def write_levels(path: Path, reports: Sequence[AnchorReport]) -> Path:
    """Write the levels of several targets as one table (ECSV, CSV or FITS by the suffix), whole or not at all."""
    check_table_path(path)
    tables = [report.to_table() for report in reports]
    for table, report in zip(tables, reports, strict=True):
        table.add_column([report.target] * len(table), index=0, name="target")
    whole, form = vstack(tables), _FORMATS[path.suffix.lower()]
    for name in whole.colnames if form == "fits" else ():
        if whole[name].dtype.kind == "U":
            whole[name] = [_ascii(text) for text in whole[name]]
    text = io.BytesIO() if form == "fits" else io.StringIO()
    whole.write(text, format=form)
    with atomic_write(path) as stream:
        stream.write(text.getvalue() if form == "fits" else text.getvalue().encode())
    return path


def write_table(path: Path, table: Table) -> Path:
    """Write a table as FITS, whole or not at all."""
    whole = io.BytesIO()
    table.write(whole, format="fits")
    with atomic_write(path) as stream:
        stream.write(whole.getbuffer())
    return path


def _row(target: str, record: FitRecord, offset: tuple[float, float] | None, used: bool, method: str) -> dict[str, Any]:
    fit = record.fit
    row: dict[str, Any] = {
        "target": target, "ref_filter": record.reference_file.name.removesuffix(".fits"), "compar_filename": record.image.name,
        "compar_filter": record.band.lower(), "used": used, "status": record.status, "kind": record.kind, "resolution": record.resolution,
        "method": method, "unit": record.unit, "instrument": record.instrument, "message": record.message,
        "range_axis": "", "n_pixels": 0, "n_bins": 0,
    }  # fmt: skip
    row |= {name: np.nan for name, kind in COLUMNS.items() if kind is float}
    row["offset"], row["offset_err"] = offset or (np.nan, np.nan)
    if fit is not None:
        row |= {
            name: getattr(fit, name) for name in ("slope", "intercept", "slope_err", "intercept_err", "n_pixels", "n_bins", "range_axis")
        }
        row["covariance"] = fit.covariance
        row["range_low"], row["range_high"] = fit.value_range
        row["message"] = record.message or fit.message
    return {name: _ascii(value) if isinstance(value, str) else value for name, value in row.items()}


def _ascii(text: str) -> str:
    """Return a text as FITS tables can hold it."""
    return text.encode("ascii", "backslashreplace").decode()
