"""From fits to levels: which fit gives an image its offset, how offsets go from band to band, what becomes of a band."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ezarchive.compare.anchoring.files import BACKGROUND, AnchorPaths
from ezarchive.compare.anchoring.offsets import chain_offset
from ezarchive.compare.anchoring.pixels import sky_centre
from ezarchive.compare.anchoring.table import ABSENT, FAILED, FLAGGED, OK, BandRecord, FitRecord, FitRecordKey, ImageRecord, record_key
from ezarchive.compare.anchoring.work import BandImage

_WORST = (OK, FLAGGED, FAILED)


@dataclass(frozen=True)
class Anchored:
    """An image whose level is known.

    Attributes
    ----------
    image : BandImage
    offset, offset_err : float
        To be added, in the unit of the image.
    record : FitRecord
        The fit that it follows from.
    offsets : mapping
        What every fit of the image would give.
    status : {"ok", "flagged"}
    message : str
        Why it is flagged.
    """

    image: BandImage
    offset: float
    offset_err: float
    record: FitRecord
    offsets: Mapping[FitRecordKey, tuple[float, float]] = field(default_factory=dict, compare=False)
    status: str = OK
    message: str = ""


def direct(image: BandImage, records: Sequence[FitRecord]) -> list[Anchored]:
    """Return the level of an image from the first survey that served; an empty list if none did."""
    fits = [(record, record.fit) for record in records if record.fit is not None]
    offsets = {record_key(record): (fit.offset, fit.offset_err) for record, fit in fits}
    return [Anchored(image, fit.offset, fit.offset_err, record, offsets, record.status, record.message) for record, fit in fits[:1]]


def chained(image: BandImage, records: Sequence[FitRecord], levels: Mapping[BandImage, Anchored]) -> list[Anchored]:
    """Return the level of an image from the image of another band that it was compared with; an empty list if that failed."""
    by_file = {str(known.image): level for known, level in levels.items()}
    for record in records:
        if record.fit is not None:
            level = by_file[str(record.reference_file)]
            offset, error = _chained(record, level)
            flagged = FLAGGED in (record.status, level.record.status)
            message = record.message or (f"reference band {record.reference} is flagged: {level.record.message}" if flagged else "")
            return [Anchored(image, offset, error, record, {record_key(record): (offset, error)}, FLAGGED if flagged else OK, message)]
    return []


def _chained(record: FitRecord, level: Anchored) -> tuple[float, float]:
    """Return offset and error; the error is NaN where that of the reference band is not known."""
    known = np.isfinite(level.offset_err)
    offset, error = chain_offset(record.fit, level.offset * record.factor, level.offset_err * record.factor if known else 0.0)
    return offset, error if known else np.nan


def nearest(image: BandImage, others: Sequence[BandImage]) -> tuple[BandImage, ...]:
    """Return images by how far their centres are from that of an image."""
    if len(others) < 2:
        return tuple(others)
    here = sky_centre(image.image)
    return tuple(sorted(others, key=lambda other: (-float(here @ sky_centre(other.image)), str(other.image))))


def failed_bands(bands: Sequence[str], images: Sequence[ImageRecord], paths: AnchorPaths) -> tuple[BandRecord, ...]:
    """Return what became of each band: the worst of its images; of one without images, whether that is a failure.

    A band that has no folder was not observed; one that has a folder without any image has lost them.
    """
    found = []
    for band in bands:
        mine = tuple(image for image in images if image.band == band)
        if mine:
            worst = max(mine, key=lambda image: _WORST.index(image.status))
            found.append(BandRecord(band, worst.status, worst.message, mine))
        elif band.lower().endswith(BACKGROUND) or not paths.band_folder(band).is_dir():
            found.append(BandRecord(band, ABSENT, f"no folder {paths.band_folder(band)}"))
        else:
            found.append(BandRecord(band, FAILED, f"no image *_{paths.in_ext}.fits in {paths.in_folder(band)}"))
    return tuple(found)
