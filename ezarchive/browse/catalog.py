"""`Catalog`: what was measured on one frame; a file of the archive that is read when it is asked for, or a table in memory."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import QTable, Table

from ezarchive import sky
from ezarchive.browse.handle import ArchiveHandle
from ezarchive.browse.selection import plain_number
from ezarchive.catalogs.match import Matches, match_pixels, match_sky
from ezarchive.catalogs.parquet import read_catalog, read_provenance
from ezarchive.errors import InputError
from ezarchive.frames.record import Frame
from ezarchive.images.image import Image
from ezarchive.screen import Info, help_text, say

CATALOG_TYPES = ("all", "reference", "valid", "transient", "candidate", "forced")
"""What the rows of a catalog are, in the tutorial's words."""

_FACTS = ("obsdate", "filter", "exptime", "ra", "dec", "fov_ra", "fov_dec", "objname", "observatory", "telname", "frame_id")
_UNITS = {"coord": ("ALPHA_J2000", "DELTA_J2000", "arcsec"), "pixel": ("X_IMAGE", "Y_IMAGE", "pix")}


class Catalog:
    """The sources of one frame and run, or the forced measurements of one frame.

    `data` is all rows, `target_data` those that were selected last (all, until `select_sources` or `apply_mask` is called).

    Parameters
    ----------
    data : Table or path, optional
        The rows, which are never changed; or the file that holds them, as `path`.
    frame : Frame, optional
        The frame that was measured.
    path : path, optional
        A catalog's Parquet file; it is read when the rows are asked for.
    row : CatalogRow, optional
        Its row in the database; tells path, run, method, apertures and seeing unless they are given.
    home : path, optional
        The archive's folder, for the path in `row`.
    handle : ArchiveHandle, optional
        The archive; for its images and zero points.
    method : str, optional
        ``sex``, ``photutils``, ``circular`` or ``elliptical``.
    run_id : int, optional
        The run that measured it.
    apertures : sequence of float or None
        Diameters in arcsec in the order of the suffixes, None for one without a scale.
    seeing : float, optional
        Arcsec, as measured.
    depth, depth_aperture : float, optional
        5-sigma limit, mag, and the aperture it holds in, arcsec.
    catalog_type : str
        One of `CATALOG_TYPES`.
    image : Image, optional
        The image that was measured, where it is no frame of an archive.

    Raises
    ------
    InputError
        If there is neither a table nor a file, or the type is unknown.
    """

    def __init__(  # noqa: PLR0913  the facts of a catalog, each by name
        self,
        data: Table | str | os.PathLike[str] | None = None,
        *,
        frame: Frame | None = None,
        path: str | os.PathLike[str] | None = None,
        row: Any = None,
        home: str | os.PathLike[str] | None = None,
        handle: ArchiveHandle | None = None,
        method: str | None = None,
        run_id: int | None = None,
        apertures: Sequence[float | None] = (),
        seeing: float | None = None,
        depth: float | None = None,
        depth_aperture: float | None = None,
        catalog_type: str = "all",
        image: Image | None = None,
    ) -> None:
        if isinstance(data, (str, os.PathLike)):
            data, path = None, data
        if data is not None and not isinstance(data, Table):
            raise InputError(f"data: must be a table or the path of a catalog, found {type(data).__name__}")
        if catalog_type not in CATALOG_TYPES:
            raise InputError(f"catalog_type={catalog_type!r}: must be one of {', '.join(CATALOG_TYPES)}")
        home = handle.home if home is None and handle is not None else home
        if path is None and row is not None and home is not None:
            path = Path(home) / row.path
        if data is None and path is None:
            raise InputError("data, path: a table or a file must be given, found neither")
        self.frame, self.row, self.catalog_type = frame, row, catalog_type
        self.path = None if path is None else Path(path)
        self._data = None if data is None else QTable(data, copy=False)
        self._in_memory, self._handle, self._image = data is not None, handle, image
        given = {"method": method, "run_id": run_id, "seeing": seeing, "depth": depth, "depth_aperture": depth_aperture}
        self._given = {**given, "apertures": tuple(apertures) or None}
        self._provenance: Mapping[str, Any] | None = None
        self._selected: QTable | None = None

    # ------------------------------------------------------------------ the rows

    @property
    def data(self) -> QTable:
        """All rows, with units; a file is read at first use. Calibrated columns are there where the archive knows zero points."""
        if self._data is None:
            self._data = read_catalog(self.path)
        return self._data

    @property
    def target_data(self) -> QTable:
        """The selected rows; all of them where nothing was selected."""
        return self.data if self._selected is None else self._selected

    @property
    def nsources(self) -> int:
        """Number of rows."""
        if self._data is None and self.row is not None:
            return self.row.n_rows
        return int(self._stored["rows"]) if self._data is None else len(self._data)

    @property
    def nselected(self) -> int:
        """Number of selected rows."""
        return self.nsources if self._selected is None else len(self._selected)

    def __len__(self) -> int:
        return self.nsources

    def __getitem__(self, key: Any) -> Any:
        """Return a column of `data` by its name, or a catalog of some of its rows (a slice, places, or truth values)."""
        if isinstance(key, str):
            return self.data[key]
        try:
            chosen = np.arange(self.nsources)[key]
        except IndexError as err:
            raise InputError(f"index {key!r}: must be a column, or rows among the {self.nsources}: {err}") from err
        return self._with(self.data[np.atleast_1d(chosen)])

    # ------------------------------------------------------------------ what is known of it

    @property
    def method(self) -> str | None:
        """How it was measured."""
        return self._fact("method")

    @property
    def frame_id(self) -> int | None:
        """The frame's identity."""
        return self._fact("frame_id") if self.frame is None else self.frame.frame_id

    @property
    def run_id(self) -> int | None:
        """The run that measured it."""
        return self._fact("run_id")

    @property
    def apertures(self) -> tuple[float | None, ...]:
        """Diameters in arcsec in the order of the suffixes; None for one without a scale."""
        return tuple(self._fact("apertures") or ())

    @property
    def info(self) -> Info:
        """Frame and catalog by attribute, in the tutorial's words."""
        known = self._frame_facts()
        return Info(
            path=None if self.path is None else str(self.path), target_img=known.pop("target_img"), obsdate=known["obsdate"],
            filter=known["filter"], exptime=known["exptime"], depth=self._fact("depth"), seeing=self._fact("seeing"),
            catalog_type=self.catalog_type, **{name: known[name] for name in _FACTS[3:-1]},
            aperture_diameter_arcsec=list(self.apertures), frame_id=self.frame_id, run_id=self.run_id, method=self.method,
            depth_aperture=self._fact("depth_aperture"),
        )  # fmt: skip

    def _frame_facts(self) -> dict[str, Any]:
        frame = self.frame
        if frame is None:
            path = None if self._image is None or self._image.path is None else str(self._image.path)
            return {**{name: self._stored.get(name) for name in _FACTS}, "target_img": path}
        facts = {name: getattr(frame, name) for name in _FACTS if hasattr(frame, name)}
        return {**facts, "obsdate": frame.date_obs, "fov_ra": frame.fov[0], "fov_dec": frame.fov[1], "target_img": frame.path}

    def _fact(self, name: str) -> Any:
        """Return what was given, else what the database says, else what the file says."""
        if self._given.get(name) is not None:
            return self._given[name]
        if self.row is not None:
            return getattr(self.row, name, None)
        return self._stored.get(name)

    @property
    def _stored(self) -> Mapping[str, Any]:
        """What the footer of the file says, or the table's own meta."""
        if self._in_memory:
            return self._data.meta
        if self._provenance is None:
            self._provenance = read_provenance(self.path)
        return self._provenance

    @property
    def savepath(self) -> Path | None:
        """The file in the archive that holds it; None for one that was only measured."""
        return self.path

    @property
    def is_saved(self) -> bool:
        """Whether its file is there."""
        return self.path is not None and self.path.is_file()

    # ------------------------------------------------------------------ selecting

    def select_sources(
        self, x: Any, y: Any = None, unit: str = "coord", matching_radius: Any = 5, *, nearest: bool = False
    ) -> Catalog:  # fmt: skip
        """Select the rows near positions; an earlier selection is forgotten.

        Parameters
        ----------
        x, y : float, sequence, SkyCoord or str
            ICRS degrees, or 0-based pixels for ``unit="pixel"``; `x` alone may be a SkyCoord or a sexagesimal text.
        unit : {"coord", "pixel"}
            What `x` and `y` are.
        matching_radius : float, Quantity or str
            Arcsec, or pixels for ``unit="pixel"``.
        nearest : bool
            Only the nearest row of each position, else every one within the radius.

        Returns
        -------
        Catalog
            The rows, by position and distance, with ``separation`` (arcsec or pix) and ``input_index``, the place of the position
            from 0. A row that lies near two positions comes twice.

        Raises
        ------
        InputError
            If a position or the radius is not one, or the catalog has no such coordinates.
        """
        first, second, distance = self._coordinates(unit)
        radius = _radius(matching_radius, unit)
        match = match_sky if unit == "coord" else match_pixels
        found = match(first, second, *_positions(x, y, unit), radius, nearest=nearest)
        self._selected = _matched(self.data, found, distance)
        return self._with(self._selected)

    def apply_mask(self, mask: Any) -> Catalog:
        """Take out of the selection the rows whose pixel is masked, or lies off the mask.

        Parameters
        ----------
        mask : array_like of bool, shape (ny, nx)
            True is bad; the pixel of a row is the one that X_IMAGE and Y_IMAGE round to.

        Returns
        -------
        Catalog
            The rows that are left.
        """
        bad = np.asarray(mask)
        if bad.ndim != 2 or bad.dtype.kind not in "biu":
            raise InputError(f"mask: must be a 2-D array of bool (True is bad), found {bad.dtype} of shape {bad.shape}")
        x, y = (plain_column(self.target_data, name) for name in _UNITS["pixel"][:2])
        there = np.isfinite(x) & np.isfinite(y)
        column, row = (np.rint(np.where(there, values, -1)).astype(int) for values in (x, y))
        there &= (column >= 0) & (row >= 0) & (column < bad.shape[1]) & (row < bad.shape[0])
        there[there] = bad[row[there], column[there]] == 0
        self._selected = self.target_data[there]
        return self._with(self._selected)

    def clear(self) -> Catalog:
        """Select all rows again, and let go of those that can be read again from the file."""
        self._selected = None
        if not self._in_memory:
            self._data = None
        return self

    def copy(self) -> Catalog:
        """Return a catalog that shares no table with this one; nothing is selected in it."""
        if not self._in_memory:
            return self._with(None)
        return self._with(self.data.copy(copy_data=True))

    def _with(self, data: QTable | None) -> Catalog:
        """Return a catalog of the same frame and run with other rows; None: those of the file."""
        given = {name: value for name, value in self._given.items() if name != "apertures"}
        if data is not None:  # of rows in memory nothing is looked up in the file
            given |= {name: self._fact(name) for name in given}
        return Catalog(
            data, frame=self.frame, path=self.path, row=self.row, handle=self._handle, catalog_type=self.catalog_type, image=self._image,
            apertures=self.apertures if data is not None else self._given["apertures"] or (), **given,
        )  # fmt: skip

    def _coordinates(self, unit: str) -> tuple[np.ndarray, np.ndarray, str]:
        if unit not in _UNITS:
            raise InputError(f"unit={unit!r}: must be 'coord' or 'pixel'")
        first, second, distance = _UNITS[unit]
        return plain_column(self.data, first), plain_column(self.data, second), distance

    # ------------------------------------------------------------------ how it reads

    def help(self) -> None:
        """Print the public methods with their signatures."""
        say(help_text(type(self)))

    def _name(self) -> str:
        if self.path is not None:
            return self.path.name
        return f"of {Path(self.frame.path).name}" if self.frame is not None and self.frame.path else "in memory"

    def __repr__(self) -> str:
        facts = [f"{self.nsources} sources" if self.is_saved or self._data is not None or self.row is not None else "no file"]
        if self._selected is not None:
            facts.append(f"{self.nselected} selected")
        given = (self._given["method"], self._given["run_id"]) if self.row is None else (self.row.method, self.row.run_id)
        facts += [text for text, value in ((given[0], given[0]), (f"run {given[1]}", given[1])) if value is not None]
        return f"<Catalog {self._name()}: {', '.join(facts)}>"

    def _repr_html_(self) -> str:
        return f"<p><b>{html.escape(repr(self).strip('<>'))}</b></p>{self.target_data[:10]._repr_html_()}"


def plain_column(table: Table, name: str) -> np.ndarray:
    """Return a column as bare floats, NaN where it is masked.

    Raises
    ------
    InputError
        If the table lacks it.
    """
    if name not in table.colnames:
        raise InputError(f"data: lacks the column {name!r}; it holds {', '.join(table.colnames[:12])}")
    column = table[name]
    values = np.asarray(getattr(getattr(column, "unmasked", column), "value", column), dtype=float)
    mask = getattr(column, "mask", None)
    return np.array(values) if mask is None else np.where(mask, np.nan, np.ma.getdata(values))


def _positions(x: Any, y: Any, unit: str) -> tuple[np.ndarray, np.ndarray]:
    """Return positions as two arrays of plain numbers."""
    if unit == "coord" and isinstance(x, SkyCoord):
        if y is not None:
            raise InputError("x, y: y must be left out when x is a SkyCoord")
        return np.atleast_1d(x.icrs.ra.deg), np.atleast_1d(x.icrs.dec.deg)
    if unit == "coord" and (isinstance(x, str) or (y is None and np.size(x) and isinstance(np.ravel(x)[0], str))):
        texts = [x] if isinstance(x, str) and y is None else [(x, y)] if isinstance(x, str) else list(x)
        places = [sky.parse_position(text, "x, y") for text in texts]
        return np.array([ra for ra, _ in places]), np.array([dec for _, dec in places])
    if y is None:
        raise InputError(f"y: must be given with x={x!r}; only a SkyCoord or a text holds both")
    wanted = u.deg if unit == "coord" else u.pix
    numbers = [value.to_value(wanted) if isinstance(value, u.Quantity) else value for value in (x, y)]
    try:
        return tuple(np.atleast_1d(np.asarray(value, dtype=float)) for value in numbers)
    except (TypeError, ValueError) as err:
        raise InputError(f"x, y: must be numbers, found {x!r} and {y!r}") from err


def _radius(radius: Any, unit: str) -> float:
    if isinstance(radius, str) and unit == "coord":
        return sky.parse_angle(radius, "matching_radius") * 3600.0
    number = plain_number("matching_radius", radius, _UNITS[unit][2])
    if isinstance(number, bool) or not isinstance(number, (int, float, np.integer, np.floating)):
        raise InputError(f"matching_radius={radius!r}: must be a number{' or an angle' if unit == 'coord' else ''}")
    return float(number)


def _matched(data: QTable, found: Matches, unit: str) -> QTable:
    table = data[found.row]
    table["separation"] = u.Quantity(found.separation, unit)
    table["separation"].info.description = "distance from the position asked for"
    table["input_index"] = found.wanted.astype(np.int32)
    table["input_index"].info.description = "place of the position in the list, from 0"
    return table
