"""One ensemble after the other: measurements of an aperture -> zero points of frames and a list of stars."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ezarchive.differential.levels import Level, level
from ezarchive.differential.reading import FrameFacts
from ezarchive.differential.report import EnsembleRow
from ezarchive.differential.stars import join, mean_places
from ezarchive.magnitudes import SAME_APERTURE
from ezarchive.timeseries.ensemble import EnsembleOptions, EnsembleSolution, solve
from ezarchive.timeseries.ensemblefit import group_median

Floats = NDArray[np.float64]
Stored = dict[int, list[dict[str, Any]]]


@dataclass(frozen=True)
class FrameZeroPoint:
    """The zero point of one frame and aperture; ``value`` is of 1 stored unit per exposure, ``details`` what is recorded besides."""

    frame_id: int
    catalog_id: int
    aperture: float
    value: float
    error: float
    scatter: float
    n_stars: int
    depth: float
    ab_offset: float | None
    details: dict[str, Any]
    facts: tuple[Any, ...]
    """What the report shows of it: filter, telescope, set, zero point per second, excess."""


@dataclass(frozen=True)
class Solved:
    """What came of one group of measurements."""

    zero_points: list[FrameZeroPoint]
    stars: dict[str, Any]
    rows: list[EnsembleRow]
    few: dict[int, int]
    """Frames without zero point -> good stars that they have."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """How measurements become ensembles: aperture in arcsec, S/N that a star needs, radius of one star in arcsec, how to solve."""

    aperture: float
    snr: float
    match: float
    options: EnsembleOptions


class _Rows:
    """Measurements of one group as arrays; NaN and -1 for NULL."""

    def __init__(self, table: pa.Table) -> None:
        floats = ("ra", "dec", "mag_inst", "mag_inst_err", "snr", "flux_limit", "aperture_arcsec", "zero_point", "ab")
        self.of = {name: table[name].to_numpy().astype(float) for name in floats}
        self.frame, self.catalog = (table[name].to_numpy() for name in ("frame_id", "catalog_id"))
        self.object = table["object_id"].fill_null(-1).to_numpy().astype(np.int64)


def grouped(table: pa.Table, keys: tuple[str, ...]) -> Iterator[tuple[dict[str, str], pa.Table]]:
    """Yield the measurements of each filter (and telescope) with its names; a missing name is an empty text."""
    names = [table[key].to_pandas().fillna("").astype(str).to_numpy() for key in keys]
    labels = np.array(["\t".join(row) for row in zip(*names, strict=True)], dtype=object)
    for label in sorted(set(labels)):
        rows = np.flatnonzero(labels == label)
        yield dict(zip(keys, label.split("\t"), strict=True)), table.take(pa.array(rows))


def solve_group(table: pa.Table, names: dict[str, str], job: Job, frames: FrameFacts, known: Stored) -> Solved:
    """Solve the measurements of one filter (and telescope) in one aperture.

    Raises
    ------
    MeasurementError
        As of `ensemble.solve`.
    """
    rows = _Rows(table)
    star = join(rows.object, rows.frame, rows.of["ra"], rows.of["dec"], job.match)
    n = int(star.max(initial=-1)) + 1
    counted = np.flatnonzero(star >= 0)
    bright = group_median(star[counted], rows.of["snr"][counted], n) >= job.snr
    counted = counted[bright[star[counted]]]
    solution = solve(star[counted], rows.catalog[counted], rows.of["mag_inst"][counted], rows.of["mag_inst_err"][counted], job.options)
    sets = _levels(solution, rows, frames, known)
    frame_of = dict(zip(rows.catalog.tolist(), rows.frame.tolist(), strict=True))
    zero_points, few = [], {}
    per_catalog = _of_catalogs(rows, solution.epochs)
    for place, catalog_id in enumerate(solution.epochs.tolist()):
        if solution.group[place] < 0:
            few[frame_of[catalog_id]] = int((rows.catalog[counted] == catalog_id).sum())
            continue
        facts = {name: values[place] for name, values in per_catalog.items()}
        zero_points.append(_zero_point(solution, place, frame_of[catalog_id], sets[solution.group[place]], names, facts, frames))
    few |= {frame: 0 for catalog, frame in frame_of.items() if catalog not in set(solution.epochs.tolist())}
    shown = [_row(solution, number, names, job, found) for number, found in enumerate(sets)]
    return Solved(zero_points, _stars(solution, rows, star, counted, names, job, sets), shown, few)


def _of_catalogs(rows: _Rows, epochs: NDArray[Any]) -> dict[str, Floats]:
    """Return medians of what is the same, or nearly so, all over a catalog."""
    place = np.searchsorted(epochs, rows.catalog)
    inside = (place < len(epochs)) & (epochs[np.minimum(place, len(epochs) - 1)] == rows.catalog)
    found = {}
    for name in ("flux_limit", "aperture_arcsec", "zero_point", "ab"):
        good = inside & np.isfinite(rows.of[name])
        found[name] = group_median(place[good], rows.of[name][good], len(epochs))
    return found


def _levels(solution: EnsembleSolution, rows: _Rows, frames: FrameFacts, known: Stored) -> list[Level]:
    of = _of_catalogs(rows, solution.epochs)
    first = dict(zip(rows.catalog.tolist(), rows.frame.tolist(), strict=True))
    frame_ids = [first[catalog] for catalog in solution.epochs.tolist()]
    per = np.array([frames.per[frame] for frame in frame_ids])
    system = np.array(
        [_system(frame, size, frames, known) for frame, size in zip(frame_ids, of["aperture_arcsec"], strict=True)], dtype=object
    )
    found = []
    for number in range(int(solution.group.max()) + 1):
        mine = solution.group == number
        found.append(level(solution.zero_point[mine], of["ab"][mine], (of["zero_point"] - per)[mine], system[mine]))
    return found


def _system(frame_id: int, diameter: float, frames: FrameFacts, known: Stored) -> str | None:
    """Return the system of the zero point that a frame had: a stored one's, else the header's."""
    mine = same_aperture(known.get(frame_id, ()), diameter)
    return frames.systems.get(frame_id) if mine is None else mine["system"]


def same_aperture(stored: Any, diameter: float) -> dict[str, Any] | None:
    """Return the stored zero point of an aperture."""
    near = [row for row in stored if row["measure"] == "APER" and abs(row["aperture"] - diameter) <= SAME_APERTURE * diameter]
    return min(near, key=lambda row: abs(row["aperture"] - diameter), default=None)


def _zero_point(
    solution: EnsembleSolution, place: int, frame_id: int, found: Level, names: dict[str, str], facts: dict[str, float], frames: FrameFacts
) -> FrameZeroPoint:  # fmt: skip
    per_second = float(solution.zero_point[place]) + found.offset
    value = per_second + frames.per[frame_id]
    number = int(solution.group[place])
    level_error = None if np.isnan(found.error) else found.error
    details = {
        "set": number, "excess": float(solution.excess[place]), "floor": solution.floor,
        "level": {"origin": found.origin, "error": level_error, "n_frames": found.n_frames},
    }  # fmt: skip
    # A catalog shows the depth of its zero point as its own: only a calibrated one will do.
    limit = facts["flux_limit"] if found.calibrated else np.nan
    shown = (*(names.get(key, "") for key in ("filter", "telname")), number, per_second, float(solution.excess[place]))
    return FrameZeroPoint(
        frame_id=frame_id, catalog_id=int(solution.epochs[place]), aperture=round(float(facts["aperture_arcsec"]), 9), value=value,
        error=float(solution.zero_point_err[place]), scatter=float(solution.scatter[place]), n_stars=int(solution.n_stars[place]),
        depth=per_second - 2.5 * np.log10(limit) if limit > 0 else np.nan, ab_offset=found.ab_offset,
        details=details, facts=shown,
    )  # fmt: skip


def _stars(
    solution: EnsembleSolution, rows: _Rows, star: NDArray[Any], counted: NDArray[Any], names: dict[str, str], job: Job, sets: list[Level]
) -> dict[str, Any]:  # fmt: skip
    place = np.searchsorted(solution.stars, star[counted])
    ra, dec = mean_places(place, rows.of["ra"][counted], rows.of["dec"][counted], len(solution.stars))
    objects = np.full(len(solution.stars), -1, np.int64)
    np.maximum.at(objects, place, rows.object[counted])
    offsets = np.array([found.offset for found in sets] + [np.nan])[solution.star_group]
    n = len(solution.stars)
    return {
        "filter": [names.get("filter", "")] * n, "telname": [names.get("telname", "")] * n, "aperture_arcsec": np.full(n, job.aperture),
        "set": solution.star_group, "object_id": objects, "ra": ra, "dec": dec, "n_epochs": solution.n_epochs,
        "mag": solution.mag + offsets, "mag_err": solution.mag_err, "chi2_reduced": solution.chi2_reduced,
        "excess": solution.star_excess, "reason": solution.reason,
    }  # fmt: skip


def _row(solution: EnsembleSolution, number: int, names: dict[str, str], job: Job, found: Level) -> EnsembleRow:
    mine = solution.group == number
    of_set = solution.star_group == number
    variable = int((of_set & (solution.reason == "variable")).sum())
    return EnsembleRow(
        " ".join(filter(None, names.values())) or "-", job.aperture, number, int(mine.sum()), int((of_set & solution.used).sum()), variable,
        float(np.median(solution.zero_point_err[mine])), solution.floor, found.origin, found.error,
    )  # fmt: skip
