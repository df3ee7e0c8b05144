"""What measurements need of their catalogs, frames and zero points: one row a catalog, read as far as a query needs it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ezarchive.catalogs import views
from ezarchive.catalogs.sources import Source

MANY = 20_000
"""Catalogs up to which all are looked at together."""

FEW = 2_000
"""Of more, those up to which only theirs is read."""

_THIN = ("catalog_id", "frame_id", "run_id", "method", "n_rows")
_CATALOG = (*_THIN, "path", "depth", "depth_aperture", "apertures")
_NAMED = ("telname", "filter", "mjd_mid", "exptime", "night")
_PLACE = ("ra", "dec", "radius")
_FRAME = (
    "frame_id", *_NAMED, *_PLACE, "bunit", "zero_point", "zero_point_err", "zero_point_aperture", "zero_point_system", "depth",
    "depth_aperture",
)  # fmt: skip
_ZERO_POINT = ("frame_id", "run_id", "method", "measure", "aperture", "value", "error", "ab_offset", "depth")


class Links:
    """The catalogs of a scope, and what their measurements need.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
    source : Source
    ellipses : bool
        Measurements are those of ellipses.
    scope : pyarrow.Table, optional
        ``catalog_id``, ``frame_id`` of the catalogs; all by default.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, source: Source, *, ellipses: bool, scope: pa.Table | None = None) -> None:
        self._connection, self._source, self._ellipses = connection, source, ellipses
        self._ids = None if scope is None else scope["catalog_id"].combine_chunks()
        self._frames = None if scope is None or len(scope) > MANY else _plain_ids(scope["frame_id"])
        self._catalogs: dict[tuple[str, ...], pa.Table] = {}
        self._thin: dict[frozenset[str], pa.Table] = {}
        self._full: tuple[float, pa.Table] | None = None

    def __len__(self) -> int:
        return len(self._ids) if self._ids is not None else len(self._of_scope(_THIN))

    def rows(self, ids: Iterable[int] | None = None) -> int:
        """Return how many measurements the catalogs hold, of all or of some."""
        catalogs = self._of_scope(_THIN)
        if ids is not None:
            catalogs = catalogs.filter(pc.is_in(catalogs["catalog_id"], pa.array(ids, pa.int64())))
        return pc.sum(catalogs["n_rows"]).as_py() or 0

    def thin(self, words: frozenset[str], *, placed: bool) -> None:
        """Make the table ``_links`` for `prune.needed`.

        Parameters
        ----------
        words : frozenset of str
            Those of the query: columns of frames that it does not name are left out.
        placed : bool
            With ``frame_ra``, ``frame_dec`` and ``frame_radius``.
        """
        names = [name for name in _NAMED if name in words or len(self) <= MANY]
        names += _PLACE if placed or len(self) <= MANY else ()
        key = frozenset(names)
        if key not in self._thin:
            catalogs = self._of_scope(_THIN)
            self._connection.register("_thin_catalogs", catalogs)
            self._connection.register("_thin_frames", self._source.read("frames", ["frame_id", *names], self._frames))
            made = ", ".join(f"f.{name} AS {'frame_' if name in _PLACE else ''}{name}" for name in names)
            sql = f"SELECT c.*{', ' if made else ''}{made} FROM _thin_catalogs c LEFT JOIN _thin_frames f USING (frame_id)"
            self._thin[key] = self._connection.sql(sql).to_arrow_table()
        self._connection.register("_links", self._thin[key])

    def full(self, ids: Sequence[int] | None, diameter: float) -> pa.Table:
        """Return the rows of ``views.LINKS`` of all catalogs or of some.

        Parameters
        ----------
        ids : sequence of int or None
            Catalogs; those out of scope are left out.
        diameter : float
            Of the apertures, arcsec; of no account for ellipses.
        """
        if ids is not None and len(ids) <= FEW and len(self) > MANY:
            chosen = self._chosen(ids)
            return self._linked(chosen, _plain_ids(chosen["frame_id"]), diameter)
        if self._full is None or self._full[0] != diameter:
            self._full = (diameter, self._linked(self._of_scope(_CATALOG), self._frames, diameter))
        return self._full[1] if ids is None else self._full[1].filter(pc.is_in(self._full[1]["catalog_id"], pa.array(ids, pa.int64())))

    def _chosen(self, ids: Sequence[int]) -> pa.Table:
        thin = self._of_scope(_THIN)
        thin = thin.filter(pc.is_in(thin["catalog_id"], pa.array(ids, pa.int64())))
        catalogs = self._source.read("catalogs", _CATALOG, _plain_ids(thin["frame_id"]))
        return catalogs.filter(pc.is_in(catalogs["catalog_id"], thin["catalog_id"].combine_chunks()))

    def _linked(self, catalogs: pa.Table, frame_ids: Sequence[int] | None, diameter: float) -> pa.Table:
        placed = views.placed_ellipses(catalogs) if self._ellipses else views.placed(catalogs, diameter)
        frames = self._source.read("frames", _FRAME, frame_ids)
        self._connection.register("_placed", placed)
        self._connection.register("_fitting", views.fitting(placed, self._source.read("zero_points", _ZERO_POINT, frame_ids)))
        self._connection.register("_rates", views.rates(frames))
        self._connection.register("_frames", frames)
        return self._connection.sql(views.links("_frames")).to_arrow_table()

    def _of_scope(self, columns: tuple[str, ...]) -> pa.Table:
        if columns not in self._catalogs:
            found = self._source.read("catalogs", columns, self._frames)
            if self._ids is not None:
                found = found.filter(pc.is_in(found["catalog_id"], self._ids))
            self._catalogs[columns] = found
        return self._catalogs[columns]


def _plain_ids(ids: pa.ChunkedArray) -> list[int]:
    return np.unique(ids.drop_null().to_numpy()).tolist()
