"""Stored catalogs as a browser hands them out: rows of the database, tables read when they are asked for."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from typing import Any

from astropy.table import QTable

from ezarchive.browse.catalog import Catalog
from ezarchive.browse.handle import ArchiveHandle
from ezarchive.database import queries
from ezarchive.frames.record import Frame

StoredCatalog = Catalog


class CatalogSet:
    """Stored catalogs in the order of their frames (mjd_mid, frame_id)."""

    def __init__(self, catalogs: Sequence[Catalog] = ()) -> None:
        self.catalogs = list(catalogs)

    @property
    def target_catalogs(self) -> list[Catalog]:
        """All of them, under the tutorial's name."""
        return list(self.catalogs)

    def paths(self) -> list[str]:
        """Return the paths of the files."""
        return [str(item.path) for item in self.catalogs]

    def table(self) -> QTable:
        """Return what the database knows of them, one row a catalog."""
        names = ("catalog_id", "frame_id", "run_id", "method", "n_rows", "path")
        rows = [(*(getattr(item.row, name) for name in names[:-1]), str(item.path)) for item in self.catalogs]
        return QTable(rows=rows, names=names) if rows else QTable(names=names, dtype=("i8", "i8", "i8", "U8", "i8", "U8"))

    def __len__(self) -> int:
        return len(self.catalogs)

    def __iter__(self) -> Iterator[Catalog]:
        return iter(self.catalogs)

    def __getitem__(self, key: Any) -> Any:
        return CatalogSet(self.catalogs[key]) if isinstance(key, slice) else self.catalogs[key]

    def __repr__(self) -> str:
        return "\n".join([f"<CatalogSet: {len(self)} catalogs>", *(f"  {item!r}" for item in self.catalogs[:10])])

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


def stored_catalogs(handle: ArchiveHandle, frames: Sequence[Frame]) -> list[Catalog]:
    """Return the current catalogs of these frames.

    Parameters
    ----------
    handle : ArchiveHandle
    frames : sequence of Frame
        Frames of that archive.

    Returns
    -------
    list of Catalog
        In the order of the frames; one a method where several methods measured a frame, none where it was not measured.
    """
    if not frames:
        return []
    place = {frame.frame_id: (i, frame) for i, frame in enumerate(frames)}
    with handle.database.connect() as conn:
        rows = queries.catalogs(conn, frame_ids=[frame.frame_id for frame in frames])
    rows = sorted(rows, key=lambda row: (place[row.frame_id][0], row.run_id))
    return [Catalog(row=row, frame=place[row.frame_id][1], handle=handle) for row in rows]
