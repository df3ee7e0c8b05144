"""`CatalogSet`: the catalogs that a search found, in the order of their frames; no file is opened before its rows are asked for."""

from __future__ import annotations

import html
import os
from collections.abc import Iterable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from astropy.table import QTable

from ezarchive.browse.catalog import Catalog
from ezarchive.browse.conditions import check_names, given_conditions, made_tests
from ezarchive.browse.handle import ArchiveHandle
from ezarchive.browse.merging import merge
from ezarchive.database import queries
from ezarchive.errors import InputError
from ezarchive.frames.record import Frame
from ezarchive.screen import help_text, say

FORCED_METHODS = ("circular", "elliptical")
"""Methods that measure positions which were given."""

_COLUMNS = (
    "catalog", "path", "filter", "exptime", "obsdate", "observatory", "telname", "objname", "seeing", "depth",
    "ra", "dec", "fov_ra", "fov_dec", "target_img", "catalog_type", "method", "frame_id", "run_id", "nsources",
)  # fmt: skip
_NUMBERS = ("exptime", "seeing", "depth", "ra", "dec", "fov_ra", "fov_dec")
_SHOWN = 10


class CatalogSet:
    """Catalogs in a stable order, with a selection among them.

    `catalogs` are all of them; `target_catalogs`, ``len``, iteration, indexing, `df`, `table()` and `paths()` follow the selection, which
    is everything until `select_catalogs` or `exclude_catalogs` is called.

    Parameters
    ----------
    catalogs : sequence of Catalog or path
        In the order that they shall have.
    """

    def __init__(self, catalogs: Iterable[Catalog | str | os.PathLike[str]] = ()) -> None:
        self.catalogs: list[Catalog] = []
        self._selected: list[int] = []
        self.add_catalogs(catalogs)

    # ------------------------------------------------------------------ what is in it

    @property
    def target_catalogs(self) -> list[Catalog]:
        """The selected catalogs."""
        return [self.catalogs[i] for i in self._selected]

    def paths(self) -> list[str]:
        """Return the paths of the selected catalogs' files."""
        return [str(item.path) for item in self]

    @property
    def df(self) -> pd.DataFrame:
        """The selected catalogs as a pandas table: the tutorial's columns, then the rest; missing values are NaN or NA."""
        facts = [item.info for item in self]
        held = np.empty(len(self), dtype=object)
        for i, item in enumerate(self):
            held[i] = item
        values: dict[str, Any] = {"catalog": pd.Series(held, dtype=object)}
        for name in _COLUMNS[1:-1]:
            column = [info[name] for info in facts]
            whole = name in ("frame_id", "run_id")
            values[name] = pd.Series(column, dtype="float64" if name in _NUMBERS else "Int64" if whole else "str")
        return pd.DataFrame({**values, "nsources": pd.Series([len(item) for item in self], dtype="int64")})

    @property
    def target_df(self) -> pd.DataFrame:
        """The same table, under the tutorial's name."""
        return self.df

    def table(self) -> QTable:
        """Return what the archive knows of the selected catalogs, one row each."""
        names = ("catalog_id", "frame_id", "run_id", "method", "n_rows", "path")
        rows = [
            (getattr(item.row, "catalog_id", -1), item.frame_id or -1, item.run_id or -1, item.method or "", len(item), str(item.path))
            for item in self
        ]
        return QTable(rows=rows, names=names) if rows else QTable(names=names, dtype=("i8", "i8", "i8", "U8", "i8", "U8"))

    def __len__(self) -> int:
        return len(self._selected)

    def __iter__(self) -> Iterator[Catalog]:
        return iter(self.target_catalogs)

    def __getitem__(self, key: Any) -> Any:
        """Return the catalog at a place, or the set at a slice, a list of places, or a condition such as ``found.df.seeing < 3``."""
        if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
            return self.catalogs[self._selected[key]]
        if isinstance(key, slice):
            return CatalogSet(self.target_catalogs[key])
        wanted = np.asarray(key)
        if wanted.ndim != 1 or (wanted.size and wanted.dtype.kind not in "biu") or (wanted.dtype.kind == "b" and len(wanted) != len(self)):
            raise InputError(f"index {key!r}: must be a number, a slice, a list of numbers, or {len(self)} truth values")
        chosen = np.arange(len(self))[wanted] if wanted.size else []
        return CatalogSet(self[int(i)] for i in chosen)

    def __repr__(self) -> str:
        part = f"{len(self)} catalogs" if len(self) == len(self.catalogs) else f"{len(self)} of {len(self.catalogs)} catalogs"
        more = [f"  ... {len(self) - _SHOWN} more"] if len(self) > _SHOWN else []
        return "\n".join([f"<CatalogSet: {part}>", *(f"  {item!r}" for item in self.target_catalogs[:_SHOWN]), *more])

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"

    def help(self) -> None:
        """Print the public methods with their signatures."""
        say(help_text(type(self)))

    # ------------------------------------------------------------------ selecting

    def select_catalogs(
        self,
        file_key: Any = None,
        filter: Any = None,
        exptime: Any = None,
        objname: Any = None,
        obs_start: Any = None,
        obs_end: Any = None,
        seeing: float | None = None,
        depth: float | None = None,
        observatory: Any = None,
        telname: Any = None,
        **unknown: Any,
    ) -> CatalogSet:
        """Select, among all catalogs, those that fulfil every condition given; an earlier selection is forgotten.

        Parameters
        ----------
        file_key, filter, exptime, objname, obs_start, obs_end, observatory, telname
            As of ``FrameSet.select_images``; `file_key` is looked for in the path of the catalog.
        seeing, depth : float
            As there, of the catalog: what was measured.

        Returns
        -------
        CatalogSet
            The selection, as a set of its own.

        Raises
        ------
        UnknownNameError, InputError
            As ``FrameSet.select_images``.
        """
        given = (file_key, filter, exptime, objname, obs_start, obs_end, seeing, depth, observatory, telname)
        tests, facts = self._tests(given, unknown)
        return self._keep(i for i in range(len(self.catalogs)) if all(test(facts[i]) for test in tests))

    def exclude_catalogs(
        self,
        file_key: Any = None,
        filter: Any = None,
        exptime: Any = None,
        objname: Any = None,
        obs_start: Any = None,
        obs_end: Any = None,
        seeing: float | None = None,
        depth: float | None = None,
        observatory: Any = None,
        telname: Any = None,
        **unknown: Any,
    ) -> CatalogSet:
        """Take out of the selection every catalog that fulfils any of the conditions given; it goes on from the selection as it is.

        Returns
        -------
        CatalogSet
            The selection, as a set of its own; the arguments are those of `select_catalogs`.
        """
        given = (file_key, filter, exptime, objname, obs_start, obs_end, seeing, depth, observatory, telname)
        tests, facts = self._tests(given, unknown)
        return self._keep(i for i in self._selected if not any(test(facts[i]) for test in tests))

    def select_sources(self, ra: Any, dec: Any = None, radius: Any = 60, *, nearest: bool = False) -> CatalogSet:
        """Select, in every selected catalog, the rows near positions.

        Parameters
        ----------
        ra, dec : float, sequence, SkyCoord or str
            ICRS degrees; `ra` alone may be a SkyCoord or a sexagesimal text.
        radius : float, Quantity or str
            Arcsec.
        nearest : bool
            Only the nearest row of each position, else every one within the radius.

        Returns
        -------
        CatalogSet
            One catalog for each, of those rows, empty where there are none: a frame without the source is told apart from one that was
            not looked at. Rows are also selected in the catalogs of this set (``target_data``), until `clear`.
        """
        return CatalogSet([item.select_sources(ra, dec, matching_radius=radius, nearest=nearest) for item in self])

    def merge_catalogs(
        self,
        max_distance_arcsec: Any = 1,
        ra_key: str = "ALPHA_J2000",
        dec_key: str = "DELTA_J2000",
        data_keys: Sequence[str] | str | None = None,
        join_type: str = "outer",
    ) -> tuple[QTable, dict[int, Any]]:
        """Merge the selected rows of the selected catalogs: one row an object, whichever catalog comes first.

        Parameters
        ----------
        max_distance_arcsec : float or Quantity
            Largest distance of two detections of one object; of one catalog an object has one at most.
        ra_key, dec_key : str
            Columns of the position, degrees.
        data_keys : sequence of str, optional
            Columns to take over; by default `merging.DATA_KEYS`, as far as they are there.
        join_type : {"outer", "inner"}
            All objects, or only those in every catalog.

        Returns
        -------
        table : QTable
            ``ra``, ``dec`` (mean of the detections), ``n_detections``, ``coord``, then ``<key>_idx<i>`` of catalog i, masked where it has
            none; by right ascension. ``meta["without_position"]`` rows had no position and are left out.
        info : dict
            i -> ``info`` of the catalog.

        Raises
        ------
        InputError
            If the distance or the join is none, or a catalog lacks a position.
        UnknownNameError
            If no catalog has a column of a name.
        """
        return merge(self.target_catalogs, max_distance_arcsec, (ra_key, dec_key), data_keys, join_type)

    def add_catalogs(self, catalogs: Catalog | str | os.PathLike[str] | Iterable[Catalog | str | os.PathLike[str]]) -> CatalogSet:
        """Add catalogs at the end, selected; one that is in the set already is not added again.

        Parameters
        ----------
        catalogs : Catalog, path, or a sequence of them

        Returns
        -------
        CatalogSet
            This set.
        """
        if not isinstance(catalogs, (Catalog, str, os.PathLike, Iterable)):
            raise InputError(f"catalogs: must be a catalog, a path or a sequence of them, found {type(catalogs).__name__}")
        known = {_identity(item) for item in self.catalogs}
        for given in [catalogs] if isinstance(catalogs, (Catalog, str, os.PathLike)) else catalogs:
            item = given if isinstance(given, Catalog) else Catalog(given)
            if _identity(item) not in known:
                known.add(_identity(item))
                self.catalogs.append(item)
                self._selected.append(len(self.catalogs) - 1)
        return self

    def clear(self) -> CatalogSet:
        """Select all catalogs again, with all their rows; those that can be read again from a file are let go of."""
        self._selected = list(range(len(self.catalogs)))
        for item in self.catalogs:
            item.clear()
        return self

    def _tests(self, given: Sequence[Any], unknown: dict[str, Any]) -> tuple[list[Any], list[SimpleNamespace]]:
        conditions = given_conditions(given, unknown)
        tests, facts = made_tests(conditions), [_facts(item) for item in self.catalogs]
        check_names(conditions, facts, next((item._handle for item in self.catalogs if item._handle is not None), None))
        return tests, facts

    def _keep(self, indices: Iterable[int]) -> CatalogSet:
        self._selected = list(indices)
        return CatalogSet(self.target_catalogs)


def _identity(item: Catalog) -> Any:
    """Return what two catalogs of the same rows share: the file, or the object where it holds rows of its own."""
    return id(item) if item._in_memory else item.path.absolute()


def _facts(item: Catalog) -> SimpleNamespace:
    """Return what the conditions look at."""
    info, frame = item.info, item.frame
    times = {name: item._stored.get(name) if frame is None else getattr(frame, name) for name in ("mjd_start", "mjd_mid")}
    return SimpleNamespace(**info, **times)


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
        In the order of the frames; one for each way in which a frame was measured, none where it was not.
    """
    if not frames:
        return []
    place = {frame.frame_id: (i, frame) for i, frame in enumerate(frames)}
    with handle.database.connect() as conn:
        rows = queries.catalogs(conn, frame_ids=[frame.frame_id for frame in frames])
    rows = sorted(rows, key=lambda row: (place[row.frame_id][0], row.run_id))
    kinds = ("forced" if row.method in FORCED_METHODS else "all" for row in rows)
    return [Catalog(row=row, frame=place[row.frame_id][1], handle=handle, catalog_type=kind) for row, kind in zip(rows, kinds, strict=True)]


def newest_catalogs(handle: ArchiveHandle | None, frames: Sequence[Frame]) -> list[Catalog | None]:
    """Return one catalog for each frame, None where it was not measured: of detections the newest, else the newest of any kind."""
    if handle is None:
        return [None] * len(frames)
    found: dict[int | None, Catalog] = {}
    for item in stored_catalogs(handle, [frame for frame in frames if frame.frame_id is not None]):
        if item.catalog_type == "all" or found.get(item.frame_id, item).catalog_type == "forced":
            found[item.frame_id] = item
    return [found.get(frame.frame_id) for frame in frames]
