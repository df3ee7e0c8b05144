"""The SQL text of the views over the light-curve store: its light curves, objects, and what belongs to none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ezarchive.catalogs.views import SQL_TYPES, nulls
from ezarchive.catalogs.wanted import Wanted
from ezarchive.columns import ALIAS, AMBIGUOUS, LIGHT_CURVE, OBJECT, OBJECT_FILTER, ORPHAN, STORE, Column
from ezarchive.magnitudes import MAG_PER_RELATIVE_ERROR
from ezarchive.store.ids import DRIFT_ARCSEC, N_IDS, Range, merged, ranges_of_cone

SUMMARIES = {"objects": OBJECT, "object_filters": OBJECT_FILTER}
"""Views over files of leaves that hold objects, and their columns."""

TABLES = {"ambiguous": AMBIGUOUS, "aliases": ALIAS}
"""Views over tables of the store, and their columns."""

_FEW = 4
"""Ranges in a condition: more take longer than the rows that they spare."""
_LISTED = 16
"""Ids up to which they are written into the query; DuckDB joins a table of more."""
_NARROW = 256
"""Ids up to which each is a range of its own; more are taken together by cells of order `_COARSE`."""
_COARSE = 6
_ROW_MARGIN = 2 * DRIFT_ARCSEC / 3600
_DERIVED = {
    "mag_inst": "CASE WHEN s.flux > 0 THEN -2.5 * log10(CAST(s.flux AS DOUBLE)) END",
    "mag_inst_err": f"CASE WHEN s.flux > 0 THEN {MAG_PER_RELATIVE_ERROR} * CAST(s.flux_err AS DOUBLE) / s.flux END",
    "snr": "CAST(s.flux AS DOUBLE) / nullif(s.flux_err, 0)",
}


class Version(Protocol):
    """What is needed of `ezarchive.store.version.Version`."""

    def paths(self, dataset: str, ranges: Iterable[tuple[int, int]] | None = None) -> list[Path]:
        """Return the files of a dataset that may hold objects of these ranges of ids."""

    def aliases(self) -> pa.Table:
        """Return old ids and what each is now."""

    def ambiguous(self) -> pa.Table:
        """Return pairs that share a place."""

    @property
    def totals(self) -> dict[str, int]:
        """Rows of each dataset."""


class Stored(NamedTuple):
    """The store, and how it differs from the current catalogs."""

    version: Version
    aperture: float
    """Diameter in arcsec of the apertures in it."""
    pending: pa.Table
    """``catalog_id``, ``frame_id`` of the current catalogs whose rows must be read from their own files."""
    left_out: pa.Array
    """Catalogs whose rows in the store do not count."""


class StoreViews:
    """Makes the views over a store in a connection.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
    stored : Stored or None
        None: there is no store, and its views are empty.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, stored: Stored | None) -> None:
        self._connection, self._stored = connection, stored
        self._variables: dict[str, Any] = {}
        self._aliases = TABLES_EMPTY["aliases"] if stored is None else stored.version.aliases()
        tables = {"aliases": self._aliases, "ambiguous": TABLES_EMPTY["ambiguous"] if stored is None else stored.version.ambiguous()}
        for name, table in tables.items():
            connection.register(name, table.select([column.name for column in TABLES[name]]))
        if stored is not None:
            connection.register("_left_out", pa.table({"catalog_id": stored.left_out}))

    def rows(self, wanted: Wanted | None = None) -> int:
        """Return how many measurements the store holds; of a part, about."""
        if self._stored is None:
            return 0
        total, files = self._stored.version.totals["light_curve"], len(self._stored.version.paths("light_curve"))
        part = len(self._stored.version.paths("light_curve", _ranges(wanted, _ROW_MARGIN))) if wanted is not None else files
        return total * part // max(files, 1)

    def current(self, object_id: int) -> int:
        """Return what an id is now."""
        found = self._aliases.filter(pc.equal(self._aliases["old_id"], object_id))
        return found["object_id"][0].as_py() if len(found) else object_id

    def summary(self, view: str, wanted: Wanted) -> str:
        """Return the query behind ``objects`` or ``object_filters``, of the files that can matter."""
        ranges = _ranges(wanted, DRIFT_ARCSEC / 3600)
        paths = [] if self._stored is None else self._stored.version.paths(view, ranges)
        variable = self._files(view, paths)
        if not variable:
            return f"SELECT {nulls(SUMMARIES[view])} WHERE false"
        conditions = [] if wanted.written else [self._of_ids(view, "s.object_id", wanted.ids)]
        if wanted.cone is not None and ranges is not None:
            conditions.append(self._between(f"{view}_cells", "s._healpix_29", ranges, shift=1))
        return _select(_cells(SUMMARIES[view], SUMMARIES[view], {}), variable, conditions)

    def light_curve(self, wanted: Wanted) -> list[str]:
        """Return the queries whose rows together are those of the store in ``light_curve``."""
        if self._stored is None:
            return []
        ranges = _ranges(wanted, _ROW_MARGIN)
        branches = []
        for dataset in ("light_curve", "orphans", "unplaced"):
            if dataset != "light_curve" and wanted.ids is not None or dataset == "unplaced" and wanted.cone is not None:
                continue
            variable = self._files(dataset, self._stored.version.paths(dataset, None if dataset == "unplaced" else ranges))
            if variable:
                branches.append(self._rows(dataset, variable, wanted, ranges))
        return branches

    def _rows(self, dataset: str, variable: str, wanted: Wanted, ranges: Sequence[Range] | None) -> str:
        owned = dataset == "light_curve"
        object_id = "s.object_id" if owned else "NULL"
        if owned and len(self._aliases):
            object_id = "coalesce(a.object_id, s.object_id)"
        cells = _cells(LIGHT_CURVE, STORE if owned else ORPHAN, {"object_id": object_id, **_DERIVED})
        # An id that the query itself names is a condition on the column of the file, unless the view has another there.
        named = wanted.written and not len(self._aliases)
        conditions = [self._of_ids("light_curve", "s.object_id", self._with_old(wanted.ids))] if owned and not named else []
        if wanted.cone is not None and ranges is not None:
            conditions.append(
                self._between("cone", "s.object_id", ranges) if owned else self._between("cone_cells", "s._healpix_29", ranges, shift=1)
            )
        if self._stored is not None and len(self._stored.left_out):
            conditions.append("s.catalog_id NOT IN (SELECT catalog_id FROM temp.main._left_out)")
        join = "LEFT JOIN temp.main.aliases a ON s.object_id = a.old_id" if owned and len(self._aliases) else ""
        return _select(cells, variable, conditions, join)

    def assigned(self, wanted: Wanted, catalog_ids: Sequence[int] | None = None) -> str:
        """Return the query that gives ``catalog_id``, ``row`` and ``object_id`` of measurements that have one, of all or some catalogs."""
        paths = [] if self._stored is None else self._stored.version.paths("light_curve", _ranges(wanted, _ROW_MARGIN))
        variable = self._files("assigned", paths)
        if not variable:
            return f"SELECT {nulls([column for column in LIGHT_CURVE if column.name in ('catalog_id', 'row', 'object_id')])} WHERE false"
        conditions = [self._of_ids("assigned", "s.object_id", self._with_old(wanted.ids))]
        if catalog_ids is not None:
            self._connection.register("_assigned_to", pa.table({"catalog_id": pa.array(catalog_ids, pa.int64())}))
            conditions.append("s.catalog_id IN (SELECT catalog_id FROM temp.main._assigned_to)")
        join = "LEFT JOIN temp.main.aliases a ON s.object_id = a.old_id"
        return _select('s.catalog_id, s."row", coalesce(a.object_id, s.object_id) AS object_id', variable, conditions, join)

    def _with_old(self, ids: NDArray[np.int64] | None) -> NDArray[np.int64] | None:
        """Add the ids that became these: files written before may have them."""
        if ids is None or not len(self._aliases):
            return ids
        old = self._aliases["old_id"].to_numpy()[np.isin(self._aliases["object_id"].to_numpy(), ids)]
        return np.union1d(ids, old)

    def _files(self, label: str, paths: Sequence[Path]) -> str:
        if not paths:
            return ""
        self._set(f"_store_{label}", [str(path) for path in paths])
        return f"_store_{label}"

    def _set(self, name: str, value: Any) -> None:
        if self._variables.get(name) != value:
            self._connection.execute(f"SET VARIABLE {name} = ?", [value])
            self._variables[name] = value

    def _between(self, label: str, column: str, ranges: Sequence[Range], *, shift: int = 0) -> str:
        """Return a condition by which DuckDB leaves out row groups: a few ranges that hold all of these."""
        if not ranges:
            return "false"
        bounds = [bound >> shift for first, last in _few(ranges) for bound in (first, last - 1)]
        n = _FEW if len(ranges) > 1 else 1
        self._set(f"_bounds_{label}", bounds + [1, 0] * (n - len(bounds) // 2))  # nothing lies between 1 and 0
        value = f"getvariable('_bounds_{label}')"
        return "(" + " OR ".join(f"{column} BETWEEN {value}[{2 * k + 1}] AND {value}[{2 * k + 2}]" for k in range(n)) + ")"

    def _of_ids(self, label: str, column: str, ids: NDArray[np.int64] | None) -> str:
        if ids is None:
            return ""
        if not len(ids):
            return "false"
        if len(ids) == 1:
            return self._between(label, column, [Range(int(ids[0]), int(ids[0]) + 1)])
        if len(ids) <= _LISTED:
            return f"{column} IN ({', '.join(map(str, ids.tolist()))})"
        self._connection.register(f"_wanted_{label}", pa.table({"object_id": ids}))
        return f"{column} BETWEEN {ids[0]} AND {ids[-1]} AND {column} IN (SELECT object_id FROM temp.main._wanted_{label})"


def _few(ranges: Sequence[Range]) -> list[tuple[int, int]]:
    """Return a few ranges, parted at the widest gaps: those of a cone lie far apart where it crosses the border of a large cell."""
    by_gap = sorted(range(1, len(ranges)), key=lambda place: ranges[place - 1].high - ranges[place].low)
    cuts = [0, *sorted(by_gap[: _FEW - 1]), len(ranges)]
    return [(ranges[start].low, ranges[end - 1].high) for start, end in pairwise(cuts)]


def _ranges(wanted: Wanted | None, margin_deg: float) -> list[Range] | None:
    """Return the ranges of ids of a part of the sky; None: all of it."""
    if wanted is None or (wanted.ids is None and wanted.cone is None):
        return None
    if wanted.ids is not None:
        ids = wanted.ids[(wanted.ids >= 0) & (wanted.ids < N_IDS)]
        shift = 0 if len(ids) <= _NARROW else 2 * (29 - _COARSE) + 1
        cells = np.unique(ids >> shift).tolist()
        return merged([Range(cell << shift, (cell + 1) << shift) for cell in cells])
    return ranges_of_cone(*wanted.cone, margin_deg=margin_deg) if wanted.cone is not None else None


def _select(cells: str, variable: str, conditions: Sequence[str], join: str = "") -> str:
    where = " AND ".join(condition for condition in conditions if condition)
    files = f"read_parquet(getvariable('{variable}'), hive_partitioning = false)"
    return f"SELECT {cells} FROM {files} s {join}{' WHERE ' + where if where else ''}"


def _cells(columns: Sequence[Column], stored: Sequence[Column], sources: Mapping[str, str]) -> str:
    """Return the columns of a view, from ``s`` where `sources` has no other expression; each cast costs a query 0.05 ms."""
    types = {column.name: column.dtype for column in stored if column.name not in sources or sources[column.name] == f"s.{column.name}"}
    own = {column.name: sources.get(column.name, f's."{column.name}"') for column in columns}
    as_stored = {column.name for column in columns if types.get(column.name) == column.dtype}
    cells = (own[c.name] if c.name in as_stored else f"CAST({own[c.name]} AS {SQL_TYPES[c.dtype]})" for c in columns)
    return ", ".join(f'{cell} AS "{column.name}"' for cell, column in zip(cells, columns, strict=True))


_ARROW = {"int64": pa.int64(), "float64": pa.float64()}
TABLES_EMPTY = {name: pa.table({column.name: pa.array([], _ARROW[column.dtype]) for column in columns}) for name, columns in TABLES.items()}
"""The views `TABLES` without a store."""
