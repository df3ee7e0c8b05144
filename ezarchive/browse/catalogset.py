"""Stored catalogs as a browser hands them out: rows of the database, tables read when they are asked for."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from astropy.table import QTable

from ezarchive.browse.handle import ArchiveHandle
from ezarchive.catalogs.parquet import read_catalog
from ezarchive.database import queries
from ezarchive.frames.record import Frame
from ezarchive.screen import Info


class StoredCatalog:
    """The catalog of one frame and run.

    Parameters
    ----------
    row : CatalogRow
        Its row in the database.
    frame : Frame
        The frame that was measured.
    home : path
        The archive's folder.
    """

    def __init__(self, row: Any, frame: Frame, home: Path) -> None:
        self.row, self.frame = row, frame
        self.path = home / row.path

    @property
    def frame_id(self) -> int:
        """The frame's identity."""
        return self.row.frame_id

    @property
    def run_id(self) -> int:
        """The run that measured it."""
        return self.row.run_id

    @cached_property
    def data(self) -> QTable:
        """The sources, with units; read at first use."""
        return read_catalog(self.path)

    @property
    def info(self) -> Info:
        """Frame and catalog by attribute, in the tutorial's words."""
        frame, row = self.frame, self.row
        return Info(
            path=str(self.path), target_img=frame.path, obsdate=frame.date_obs, filter=frame.filter, exptime=frame.exptime, depth=row.depth,
            seeing=row.seeing, catalog_type="all", ra=frame.ra, dec=frame.dec, fov_ra=frame.fov[0], fov_dec=frame.fov[1],
            objname=frame.objname, observatory=frame.observatory, telname=frame.telname, aperture_diameter_arcsec=list(row.apertures),
            frame_id=frame.frame_id, run_id=row.run_id, method=row.method,
        )  # fmt: skip

    def __len__(self) -> int:
        return self.row.n_rows

    def __repr__(self) -> str:
        return f"<StoredCatalog {self.path.name}: {self.row.n_rows} sources, {self.row.method}, run {self.row.run_id}>"


class CatalogSet:
    """Stored catalogs in the order of their frames (mjd_mid, frame_id)."""

    def __init__(self, catalogs: Sequence[StoredCatalog] = ()) -> None:
        self.catalogs = list(catalogs)

    @property
    def target_catalogs(self) -> list[StoredCatalog]:
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

    def __iter__(self) -> Iterator[StoredCatalog]:
        return iter(self.catalogs)

    def __getitem__(self, key: Any) -> Any:
        return CatalogSet(self.catalogs[key]) if isinstance(key, slice) else self.catalogs[key]

    def __repr__(self) -> str:
        return "\n".join([f"<CatalogSet: {len(self)} catalogs>", *(f"  {item!r}" for item in self.catalogs[:10])])

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


def stored_catalogs(handle: ArchiveHandle, frames: Sequence[Frame]) -> list[StoredCatalog]:
    """Return the current catalogs of these frames.

    Parameters
    ----------
    handle : ArchiveHandle
    frames : sequence of Frame
        Frames of that archive.

    Returns
    -------
    list of StoredCatalog
        In the order of the frames; one a method where several methods measured a frame, none where it was not measured.
    """
    if not frames:
        return []
    place = {frame.frame_id: (i, frame) for i, frame in enumerate(frames)}
    with handle.database.connect() as conn:
        rows = queries.catalogs(conn, frame_ids=[frame.frame_id for frame in frames])
    rows = sorted(rows, key=lambda row: (place[row.frame_id][0], row.run_id))
    return [StoredCatalog(row, place[row.frame_id][1], handle.home) for row in rows]
