"""The most variable objects of an archive: a table, and the plane that they stand out in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ezarchive import plots
from ezarchive.catalogs.result import QueryResult
from ezarchive.errors import InputError, UnknownNameError
from ezarchive.timeseries.outliers import LEAST_EXCESS, outliers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ezarchive.archive import Archive

_PLANE = """
SELECT f.object_id, f.filter, f.n_good, f.mag_mean, f.chi2_reduced, f.eta
FROM object_filters f JOIN objects o USING (object_id)
WHERE f.n_good >= ? AND (? OR NOT o.ambiguous)
ORDER BY f.object_id, f.filter
"""
_NAMED = """
SELECT f.object_id, f.filter, o.ra, o.dec, f.n_good, f.calibrated, f.mag_mean, f.mag_std, f.amplitude, f.chi2_reduced, f.eta, f.stetson_j,
       o.ambiguous
FROM object_filters f JOIN objects o USING (object_id) WHERE f.object_id IN (SELECT unnest($ids))
"""
_FORMATS = {
    "ra": ".6f", "dec": ".6f", "mag_mean": ".3f", "mag_std": ".3f", "amplitude": ".3f", "chi2_reduced": ".2f", "eta": ".2f",
    "stetson_j": ".2f", "score": ".1f",
}  # fmt: skip


@dataclass(frozen=True)
class VariabilityReport:
    """What `variability` found.

    Attributes
    ----------
    most : QueryResult
        The most variable objects, one row each in the filter where it stands out most: ``object_id``, ``filter``, ``ra``, ``dec``,
        ``n_good``, ``calibrated``, ``mag_mean``, ``mag_std``, ``amplitude``, ``chi2_reduced``, ``eta``, ``stetson_j``, ``ambiguous``,
        ``score``.
    n_objects : int
        Objects that were compared.
    """

    most: QueryResult
    n_objects: int
    _chi2: NDArray[np.float64]
    _eta: NDArray[np.float64]
    _mag: NDArray[np.float64]
    _rows: NDArray[np.int64]

    def figure(self, title: str | None = None) -> Figure:
        """Draw the variability plane: one point an object and filter; the most variable named."""
        rows = self.most.to_arrow().to_pylist()
        names = [f"{row['object_id']} {row['filter']} {row['mag_mean']:.1f}" for row in rows]
        return plots.variability_plane(self._chi2, self._eta, mag=self._mag, named=self._rows.tolist(), names=names, title=title)

    def __str__(self) -> str:
        return f"{len(self.most)} of {self.n_objects} objects stand out"


def variability(
    archive: Archive,
    *,
    filter: str | Sequence[str] | None = None,  # noqa: A002 - the archive's word
    n: int = 10,
    least: int = 10,
    least_excess: float = LEAST_EXCESS,
    ambiguous: bool = False,
) -> VariabilityReport:
    """Return the most variable objects, by chi-square and von Neumann's eta among objects as bright.

    Parameters
    ----------
    archive : Archive
        With objects: ``archive.associate()`` makes them.
    filter : str or sequence of str, optional
        Only these (globs allowed); all by default.
    n : int
        How many, at most 30.
    least : int
        Good measurements that a light curve must have in a filter.
    least_excess : float
        How far chi-square must stand out; see `timeseries.outliers.outliers`.
    ambiguous : bool
        Also objects that share their surroundings with another one, whose measurements may be mixed.

    Returns
    -------
    VariabilityReport

    Raises
    ------
    InputError
        If a number is out of range.
    UnknownNameError
        If no object has a measurement in a filter.
    """
    for name, value, lowest, highest in (("n", n, 1, 30), ("least", least, 2, 2**31)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not lowest <= value <= highest:
            raise InputError(f"{name}={value!r}: must be a whole number from {lowest}" + (f" to {highest}" if highest < 100 else ""))
    found = archive.sql(_PLANE, [int(least), bool(ambiguous)]).to_arrow()
    if filter is not None:
        found = found.filter(_of_filters(found["filter"].to_pylist(), filter))
    columns = {name: _floats(found[name]) for name in ("chi2_reduced", "eta", "n_good", "mag_mean")}
    ids, bands = found["object_id"].to_numpy(), np.array(found["filter"].to_pylist(), dtype=str)
    # Magnitudes of different filters are not compared with each other.
    score, rows = [], []
    for band in np.unique(bands):
        part = np.flatnonzero(bands == band)
        best = outliers(*(values[part] for values in columns.values()), n=4 * n, least_excess=least_excess)
        rows.append(part[best.rows])
        score.append(best.score)
    rows, score = (np.concatenate(parts) if parts else np.zeros(0, int) for parts in (rows, score))
    rows, score = _one_each(ids, rows, score, n)
    most = _described(archive, ids[rows], bands[rows], score)
    return VariabilityReport(most, len(np.unique(ids)), columns["chi2_reduced"], columns["eta"], columns["mag_mean"], rows)


def _floats(column: Any) -> NDArray[np.float64]:
    return column.cast("float64").to_numpy().astype(float)


def _of_filters(bands: list[str], wanted: str | Sequence[str]) -> list[bool]:
    patterns = (wanted,) if isinstance(wanted, str) else tuple(wanted)
    known = sorted({band for band in bands if band is not None})
    for pattern in patterns:
        if not any(fnmatchcase(band, pattern) for band in known):
            raise UnknownNameError("filter", pattern, known)
    chosen = {band for band in known if any(fnmatchcase(band, pattern) for pattern in patterns)}
    return [band in chosen for band in bands]


def _one_each(ids: NDArray[np.int64], rows: NDArray[np.int64], score: NDArray[np.float64], n: int) -> tuple[NDArray, NDArray]:
    """Return the best row of each object, the most variable first."""
    order = np.argsort(-score, kind="stable")
    _, first = np.unique(ids[rows][order], return_index=True)
    kept = order[np.sort(first)][:n]
    return rows[kept], score[kept]


def _described(archive: Archive, ids: NDArray[np.int64], bands: NDArray[np.str_], score: NDArray[np.float64]) -> QueryResult:
    """Return what is known of some objects in one filter each, in their order."""
    found = archive.sql(_NAMED, {"ids": ids.tolist()}).to_arrow()
    place = {pair: at for at, pair in enumerate(zip(found["object_id"].to_pylist(), found["filter"].to_pylist(), strict=True))}
    order = [place[int(number), str(band)] for number, band in zip(ids, bands, strict=True)]
    made = found.take(pa.array(order, pa.int64()))
    return QueryResult(made.append_column("score", pa.array(score, pa.float64())), formats=_FORMATS)
