"""What differential photometry is made of: measurements of good stars, and what is known of their frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ezarchive.columns import DEFAULT_APERTURE
from ezarchive.errors import UnknownNameError
from ezarchive.flags import FLAGS_APER
from ezarchive.flags import value as flag_value
from ezarchive.magnitudes import AB_MICROJANSKY, is_rate

if TYPE_CHECKING:
    from ezarchive.archive import Archive

GROUPS = ("filter", "telname")

# Bits of an aperture that are none of its flux's: the error of a star is the sky's, its flux is what it is.
_HARMLESS = flag_value(FLAGS_APER, "NO_GAIN")
_FAINTEST = 5.0  # S/N of one measurement: fainter ones are found where noise makes them brighter
_MEASURED = f"""
    SELECT l.frame_id, l.catalog_id, l.object_id, l.filter, l.telname, l.ra, l.dec, l.mag_inst, l.mag_inst_err, l.snr, l.flux_limit,
        l.aperture_arcsec, l.zero_point, CASE WHEN l.flux_ujy > 0 THEN {AB_MICROJANSKY} - 2.5 * log10(l.flux_ujy / l.flux) END AS ab
    FROM light_curve l
    WHERE l.kind = 'detection' AND l.flags = 0 AND (l.flags_aper & ~{_HARMLESS}) = 0 AND l.snr > {_FAINTEST} AND l.mag_inst_err > 0
        AND isfinite(l.ra) AND isfinite(l.dec) AND l.catalog_id IN (SELECT catalog_id FROM catalogs WHERE method = $method)
"""  # noqa: S608  numbers of ours
_FRAMES = "SELECT frame_id, path, exptime, bunit, zero_point_system FROM frames"
_CATALOGS = "SELECT c.catalog_id, c.frame_id, f.filter, f.telname FROM catalogs c JOIN frames f USING (frame_id) WHERE c.method = $method"


@dataclass(frozen=True)
class FrameFacts:
    """What is known of frames, each by its id.

    ``per`` is what stored units are divided by to be those of a second, as 2.5 log10, mag; ``systems`` that of the header's zero point.
    """

    paths: Mapping[int, str]
    per: Mapping[int, float]
    systems: Mapping[int, str | None]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which measurements are asked for."""

    method: str
    frame_ids: tuple[int, ...] | None = None
    names: Mapping[str, tuple[str, ...]]
    cone: tuple[float, float, float] | None = None

    def where(self, ids: str, names: str) -> tuple[str, dict[str, Any]]:
        """Return conditions on frames and their parameters, for tables of these names that hold frame ids, and filters and telescopes."""
        parts, values = [], {}
        if self.frame_ids is not None:
            parts.append(f"{ids}.frame_id IN ({', '.join(map(str, self.frame_ids or (-1,)))})")
        for key, wanted in self.names.items():
            marks = [f"${key}{number}" for number in range(len(wanted))]
            parts.append(f"{names}.{key} IN ({', '.join(marks)})")
            values |= {f"{key}{number}": name for number, name in enumerate(wanted)}
        return "".join(f" AND {part}" for part in parts), values


def choose(archive: Archive, method: str, frame_ids: Sequence[int] | None, cone: Any, **names: str | Sequence[str] | None) -> Choice:
    """Return the choice with names that exist; globs are replaced by what they stand for.

    Raises
    ------
    UnknownNameError
        If no frame has such a filter or telescope.
    """
    found = {}
    for key, value in names.items():
        if value is None:
            continue
        known = [row[0] for row in archive.sql(f"SELECT DISTINCT {key} FROM frames WHERE {key} IS NOT NULL ORDER BY 1")]  # noqa: S608
        chosen: list[str] = []
        for pattern in (value,) if isinstance(value, str) else tuple(value):
            matching = [name for name in known if name == pattern or fnmatchcase(name, pattern)]
            if not matching:
                raise UnknownNameError(key, str(pattern), known)
            chosen += matching
        found[key] = tuple(dict.fromkeys(chosen))
    return Choice(method=method, frame_ids=None if frame_ids is None else tuple(frame_ids), names=found, cone=cone)


def measurements_of(archive: Archive, wanted: Choice, aperture: float = DEFAULT_APERTURE) -> pa.Table:
    """Return good measurements of one aperture, one row each, those of `_MEASURED`."""
    where, values = wanted.where("l", "l")
    if wanted.cone is not None:
        where += " AND angular_separation(l.ra, l.dec, $ra, $dec) <= $radius"
        values |= dict(zip(("ra", "dec", "radius"), wanted.cone, strict=True))
    return archive.sql(_MEASURED + where, {"method": wanted.method, **values}, aperture=aperture).to_arrow()


def catalogs_of(archive: Archive, wanted: Choice) -> pa.Table:
    """Return the catalogs that are meant: ``catalog_id frame_id filter telname``."""
    where, values = wanted.where("c", "f")
    return archive.sql(f"{_CATALOGS}{where} ORDER BY catalog_id", {"method": wanted.method, **values}).to_arrow()


def facts_of(archive: Archive, frame_ids: Sequence[int]) -> FrameFacts:
    """Return what is known of frames."""
    table = archive.sql(_FRAMES).to_arrow()
    table = table.filter(pc.is_in(table["frame_id"], pa.array(frame_ids, pa.int64())))
    rows = list(zip(*(table[name].to_pylist() for name in table.column_names), strict=True))
    per = {row[0]: 0.0 if is_rate(row[3]) else 2.5 * np.log10(row[2]) if row[2] and row[2] > 0 else np.nan for row in rows}
    return FrameFacts({row[0]: str(row[1]) for row in rows}, per, {row[0]: row[4] for row in rows})


def stored_of(archive: Archive, wanted: Choice) -> dict[int, list[dict[str, Any]]]:
    """Return the zero points that count for frames and come of catalogs of the method, by frame; those of the header are not among them."""
    table = archive.sql("SELECT * FROM zero_points WHERE method = $method", {"method": wanted.method}).to_arrow()
    found: dict[int, list[dict[str, Any]]] = {}
    for row in table.to_pylist():
        found.setdefault(row["frame_id"], []).append(row)
    return found
