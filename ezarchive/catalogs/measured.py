"""The views over per-image catalogs, made of the catalogs that a query can need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from ezarchive.catalogs import views
from ezarchive.catalogs.links import Links
from ezarchive.catalogs.parquet import column_names
from ezarchive.catalogs.sources import Source
from ezarchive.errors import CatalogError

NOTHING = pa.table(
    {
        "catalog_id": pa.array([], pa.int64()),
        "frame_id": pa.array([], pa.int64()),
        "run_id": pa.array([], pa.int64()),
        "method": pa.array([], pa.string()),
        "path": pa.array([], pa.string()),
        "place": pa.array([], pa.int32()),
    }
)
"""Links of no catalog."""


class Measured:
    """Makes the text of ``measurements`` and ``light_curve`` over per-image files.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
    source : Source
    home : Path
        The archive's folder.
    ellipses : bool
        As of `sql.Engine`.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, source: Source, home: Path, *, ellipses: bool) -> None:
        self._connection, self._source, self._home, self._ellipses = connection, source, home, ellipses

    def links(self, links: Links, ids: Sequence[int] | None, diameter: float, notes: list[str]) -> pa.Table:
        """Return what is to be read for ``light_curve``: catalogs with the aperture; what the others are is noted."""
        found = links.full(ids, diameter)
        if not self._ellipses:
            found = self._circles(found, diameter, notes)
        return found.filter(pc.is_valid(found["place"]))

    def text(self, view: str, links: pa.Table, *, by_name: bool = False, named: bool = True) -> str:
        """Return the query behind a view.

        Parameters
        ----------
        view : str
            ``measurements`` or ``light_curve``.
        links : pyarrow.Table
            The catalogs; they are registered for the view.
        by_name : bool
            The footer of each file is read first, for the columns that it has.
        named : bool
            False: no query names the view, so that it need not have the columns of every aperture.
        """
        self._connection.register(f"_selected_{view}", links)
        light_curve = view == "light_curve"
        groups = []
        for number, rows in enumerate(_split(links, ["method", "place"] if light_curve else [])):
            files = [str(self._home / path) for path in rows["path"].to_pylist()]
            place = rows["place"][0].as_py() or 0
            alike = light_curve and not by_name and _complete(files[0], place, rows["method"][0].as_py())
            group = views.Group(f"_files_{view}_{number}", place, by_name=not alike)
            self._connection.execute(f"SET VARIABLE {group.variable} = ?", [files])
            groups.append(group)
        if light_curve:
            return views.light_curve(groups)
        if not named:
            return views.measurements(groups, 1)
        known = self._source.read("catalogs", ["apertures", "method"])
        most = pc.max(pc.list_value_length(known["apertures"])).as_py() or 1
        return views.measurements(groups, most, pc.unique(known["method"]).to_pylist())

    def _circles(self, links: pa.Table, diameter: float, notes: list[str]) -> pa.Table:
        """Leave out catalogs of ellipses, and note what gives no rows."""
        circles = links.filter(pc.fill_null(pc.not_equal(links["method"], views.ELLIPTICAL), True))
        without = circles["place"].null_count
        if without:
            have = f"have no aperture of {diameter:g} arcsec and give no rows{self._common_apertures(circles)}"
            notes.append(f"({without} of {len(circles)} catalogs {have})")
        if len(circles) < len(links):
            hold = f"hold ellipses and give no rows; method {views.ELLIPTICAL!r} shows them alone"
            notes.append(f"({len(links) - len(circles)} of {len(links)} catalogs {hold})")
        return circles

    def _common_apertures(self, links: pa.Table) -> str:
        """Name the apertures that each of the catalogs has; nothing where there is none."""
        frames = pc.unique(links["frame_id"]).to_pylist()
        known = self._source.read("catalogs", ["catalog_id", "apertures"], frames)
        rows = known["apertures"].filter(pc.is_in(known["catalog_id"], links["catalog_id"].combine_chunks()))
        counts = Counter(round(value, 2) for row in rows.to_pylist() for value in {*(row or ())} if value is not None)
        common = sorted(value for value, n in counts.items() if n == len(rows))
        return f"; all have {', '.join(f'{value:g}' for value in common)}" if common else ""


def _complete(path: str, place: int, method: str | None) -> bool:
    """Tell whether a catalog has every column that ``light_curve`` is made of; FLAGS is of detections alone, target_id of targets."""
    wanted = {column.name for column in views.light_curve_sources(place)}
    try:
        return wanted - {"FLAGS" if method in views.FORCED_METHODS else "target_id"} <= set(column_names(path))
    except CatalogError:  # the query will say so
        return False


def _split(links: pa.Table, keys: list[str]) -> Iterator[pa.Table]:
    """Yield the rows of each group; of no keys, all rows; of no rows, nothing."""
    if not len(links):
        return
    if not keys:
        yield links
        return
    groups: dict[tuple[Any, ...], list[int]] = {}
    for number, values in enumerate(zip(*(links[key].to_pylist() for key in keys), strict=True)):
        groups.setdefault(values, []).append(number)
    for numbers in groups.values():
        yield links.take(numbers)
