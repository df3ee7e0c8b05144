"""What was measured on one frame: rows of a file that is read when it is asked for, or of a table in memory; facts and selection."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from astropy.table import QTable, Table

from ezarchive.browse.handle import ArchiveHandle
from ezarchive.browse.places import coordinates, matched, matching_distance, positions
from ezarchive.catalogs.calibrated import add_zero_points, of_frame
from ezarchive.catalogs.match import match_pixels, match_sky
from ezarchive.catalogs.parquet import read_catalog, read_provenance
from ezarchive.database import zeropoints
from ezarchive.errors import InputError
from ezarchive.frames.record import Frame
from ezarchive.images.image import Image
from ezarchive.screen import Info, help_text, say

CATALOG_TYPES = ("all", "reference", "valid", "transient", "candidate", "forced")
"""What the rows of a catalog are, in the tutorial's words."""

_FACTS = ("obsdate", "filter", "exptime", "ra", "dec", "fov_ra", "fov_dec", "objname", "observatory", "telname", "frame_id")


class CatalogRows:
    """Rows, facts and selection of a `Catalog`, which adds what they can become; its docstring tells the parameters."""

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
        self._has_zero_points = False

    # ------------------------------------------------------------------ the rows

    @property
    def data(self) -> QTable:
        """All rows, with units; a file is read at first use. Calibrated columns are there where the archive knows zero points."""
        if self._data is None:
            self._data = read_catalog(self.path)
        if not self._has_zero_points:
            self._data, self._has_zero_points = self._calibrated(self._data), True
        return self._data

    def _calibrated(self, table: QTable) -> QTable:
        """Return the rows with what the frame's zero points add; as they are where it has none."""
        zero_points = of_frame(self.frame, self._stored_zero_points())
        return add_zero_points(table, zero_points, self.apertures) if zero_points else table

    def _stored_zero_points(self) -> list[Any]:
        if self._handle is None or self.frame_id is None:
            return []
        with self._handle.database.connect() as conn:
            return zeropoints.of_frames(conn, [self.frame_id], method=self.method).get(self.frame_id, [])

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
    ) -> Self:  # fmt: skip
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
        self._selected = self._near(x, y, unit, matching_radius, nearest=nearest)
        return self._with(self._selected)

    def _near(self, x: Any, y: Any, unit: str, radius: Any, *, nearest: bool) -> QTable:
        first, second, distance = coordinates(self.data, unit)
        match = match_sky if unit == "coord" else match_pixels
        found = match(first, second, *positions(x, y, unit), matching_distance(radius, unit), nearest=nearest)
        return matched(self.data, found, distance)

    def apply_mask(self, mask: Any) -> Self:
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
        x, y, _ = coordinates(self.target_data, "pixel")
        there = np.isfinite(x) & np.isfinite(y)
        column, row = (np.rint(np.where(there, values, -1)).astype(int) for values in (x, y))
        there &= (column >= 0) & (row >= 0) & (column < bad.shape[1]) & (row < bad.shape[0])
        there[there] = bad[row[there], column[there]] == 0
        self._selected = self.target_data[there]
        return self._with(self._selected)

    def clear(self) -> Self:
        """Select all rows again, and let go of those that can be read again from the file."""
        self._selected = None
        if not self._in_memory:
            self._data, self._has_zero_points = None, False
        return self

    def copy(self) -> Self:
        """Return a catalog that shares no table with this one; nothing is selected in it."""
        if not self._in_memory:
            return self._with(None)
        return self._with(self.data.copy(copy_data=True))

    def _with(self, data: QTable | None) -> Self:
        """Return a catalog of the same frame and run with other rows; None: those of the file."""
        given = {name: value for name, value in self._given.items() if name != "apertures"}
        if data is not None:  # of rows in memory nothing is looked up in the file
            given |= {name: self._fact(name) for name in given}
        made = type(self)(
            data, frame=self.frame, path=self.path, row=self.row, handle=self._handle, catalog_type=self.catalog_type, image=self._image,
            apertures=self.apertures if data is not None else self._given["apertures"] or (), **given,
        )  # fmt: skip
        made._has_zero_points = data is not None and self._has_zero_points
        return made

    # ------------------------------------------------------------------ how it reads

    def help(self) -> None:
        """Print the public methods with their signatures."""
        say(help_text(type(self)))

    def __getstate__(self) -> dict[str, Any]:
        # A catalog that comes back from a worker must be small: its image, with masks and maps, is made again of the frame.
        known = self.frame is not None and self.frame.path is not None
        return {**self.__dict__, "_image": None} if known else dict(self.__dict__)

    @property
    def _rows(self) -> str:
        return "positions" if self.catalog_type == "forced" else "sources"

    def _name(self) -> str:
        if self.path is not None:
            return self.path.name
        return f"of {Path(self.frame.path).name}" if self.frame is not None and self.frame.path else "in memory"

    def __repr__(self) -> str:
        facts = [f"{self.nsources} {self._rows}" if self.is_saved or self._data is not None or self.row is not None else "no file"]
        if self._selected is not None:
            facts.append(f"{self.nselected} selected")
        given = (self._given["method"], self._given["run_id"]) if self.row is None else (self.row.method, self.row.run_id)
        facts += [text for text, value in ((given[0], given[0]), (f"run {given[1]}", given[1])) if value is not None]
        return f"<{type(self).__name__} {self._name()}: {', '.join(facts)}>"

    def _repr_html_(self) -> str:
        return f"<p><b>{html.escape(repr(self).strip('<>'))}</b></p>{self.target_data[:10]._repr_html_()}"
