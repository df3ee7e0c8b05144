"""`DataBrowser`: find frames by name, place, time and quality; hand out images, catalogs and tables.

The tutorial's surface (attributes, ``search(return_type=...)``, printed counts) is a thin skin over one frozen `Selection`.
"""

from __future__ import annotations

import glob
import html
import os
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from astropy.table import QTable

from ezarchive import sky
from ezarchive.browse.archive_image import ArchiveImage
from ezarchive.browse.catalogset import CatalogSet, stored_catalogs
from ezarchive.browse.frameset import FrameSet
from ezarchive.browse.handle import ArchiveHandle
from ezarchive.browse.keywords import KeywordQuestions, passing
from ezarchive.browse.selection import (
    ALIASES,
    ATTRIBUTES,
    NAME_KEYS,
    Selection,
    add_condition,
    condition_names,
    is_glob,
    matches,
    name_values,
    night_values,
)
from ezarchive.catalogs.result import QueryResult
from ezarchive.database import queries
from ezarchive.database.audit import LIST_COLUMNS
from ezarchive.database.conditions import FrameQuery
from ezarchive.errors import InputError, UnknownNameError
from ezarchive.frames.record import CALIBRATION_KINDS, Frame
from ezarchive.screen import help_text, say
from ezarchive.times import parse_time


class _Return(NamedTuple):
    """What one ``return_type`` means: kinds of frames (None: those of the root), and what is made of them."""

    kinds: tuple[str, ...] | None
    make: Callable[[DataBrowser, list[Frame]], Any]


def _frame_set(browser: DataBrowser, frames: list[Frame]) -> FrameSet:
    return FrameSet(frames, browser._handle)


RETURN_TYPES = {
    "path": _Return(None, lambda browser, frames: [str(frame.path) for frame in frames]),
    "imginfo": _Return(None, lambda browser, frames: _frame_set(browser, frames).table()),
    "science": _Return(("science",), _frame_set),
    "reference": _Return(("reference",), _frame_set),
    "calibration": _Return(CALIBRATION_KINDS, _frame_set),
    "background": _Return(("background",), _frame_set),
    "errormap": _Return(("errormap",), _frame_set),
    "mask": _Return(("mask",), _frame_set),
    "catalog": _Return(None, lambda browser, frames: CatalogSet(stored_catalogs(browser._handle, frames))),
}
"""The values of ``return_type``."""

_LIST_FORMATS = {"mjd_mid": ".6f", "exptime": ".6g", "seeing": ".2f", "depth": ".2f", "ra": ".5f", "dec": ".5f"}
_FIELDS = {"imgtype": "kind"}
_ROOT_KINDS = {"science": ("science",), "reference": ("reference",), "calibration": CALIBRATION_KINDS}


def _attribute(name: str) -> property:
    def read(self: Any) -> str | list[str] | None:
        values = self._selection.names.get(ALIASES.get(name, name))
        if values is None:
            return None
        return values[0] if len(values) == 1 else list(values)

    return property(read, doc=f"The {name} asked for: a name, a list, or a glob pattern; None for any.")


class DataBrowser(KeywordQuestions):
    """A question to an archive.

    Set the attributes ``observatory``, ``telkey``, ``imgtype``, ``telname``, ``objname``, ``filter``, ``obsdate`` (a name, a list of
    names, or a glob pattern; None for any) and `search`; or chain `where`, `where_keyword`, `near`, `covering`, `between`, which return a
    new browser each, and finish with `frames`, `images`, `catalogs`, `count`, `table`, `keywords` or `paths`.

    Parameters
    ----------
    archive : Archive or path
        An open archive, or its home.
    root : str, optional
        Name of a data root; all roots by default.

    Raises
    ------
    UnknownNameError
        If there is no root of that name; later, if an attribute or a value is misspelt.

    Notes
    -----
    Frames are of the kind of the root (science frames where no root is named) unless ``where(kind=...)`` or ``return_type`` says
    otherwise. ``obsdate`` is the night of observation. Results are in the order of mjd_mid and frame_id.
    """

    observatory = _attribute("observatory")
    telkey = _attribute("telkey")
    imgtype = _attribute("imgtype")
    telname = _attribute("telname")
    objname = _attribute("objname")
    filter = _attribute("filter")
    obsdate = _attribute("obsdate")

    def __init__(self, archive: Any, root: str | None = None) -> None:
        handle = ArchiveHandle.of(archive)
        if root is not None and root not in handle.settings.roots:
            raise UnknownNameError("root", root, handle.settings.roots)
        self._handle = handle
        self._selection = Selection(root=root)

    def _with(self, selection: Selection) -> DataBrowser:
        made = type(self).__new__(type(self))
        made._handle, made._selection = self._handle, selection
        return made

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ATTRIBUTES:
            value = self._names(name, value)
            object.__setattr__(self, "_selection", self._selection.with_name(ALIASES.get(name, name), value))
        elif name in ("_handle", "_selection"):
            object.__setattr__(self, name, value)
        else:
            raise UnknownNameError("attribute", name, ATTRIBUTES)

    def _names(self, name: str, value: Any) -> tuple[str, ...] | None:
        """Return the values of a name; an exact one that no frame of the archive has, in whatever root, is an error."""
        if ALIASES.get(name, name) == "night":
            return night_values(name, value)
        values = name_values(name, value)
        if values:
            with self._handle.database.connect() as conn:
                queries.count(conn, FrameQuery(names={name: values}))  # it knows aliases and other spellings of targets
        return values

    # ------------------------------------------------------------------ narrowing

    def where(self, **conditions: Any) -> DataBrowser:
        """Return a browser with more conditions; they add up.

        Parameters
        ----------
        **conditions
            A name (``objname``, ``telname``, ``filter``, ``observatory``, ``telkey``, ``imgtype``, ``obsdate`` or ``night``,
            ``object_raw``), ``kind``, or any column of ``columns.FRAME``. The value is exact, a glob pattern, a list (any of them), or
            a tuple (low, high): a range with both ends, None for an open one. None alone is no condition.

        Returns
        -------
        DataBrowser

        Raises
        ------
        UnknownNameError
            If there is no such keyword, or the archive knows no such name.
        InputError
            If a value does not fit its column.

        Examples
        --------
        ``browser.where(filter=["m600", "m625"], seeing=(None, 3.0), exptime=100)``
        """
        selection = self._selection
        for keyword, value in conditions.items():
            key = ALIASES.get(keyword, keyword)
            if keyword not in condition_names():
                raise UnknownNameError("condition", keyword, condition_names())
            if value is None:
                continue
            if key not in NAME_KEYS:
                selection = add_condition(selection, key, value)
            elif isinstance(value, tuple):
                selection = self._with_name_range(selection, keyword, value)
            else:
                selection = self._with_more_names(selection, key, self._names(keyword, value))
        return self._with(selection)

    def _with_name_range(self, selection: Selection, keyword: str, value: tuple[Any, ...]) -> Selection:
        key = ALIASES.get(keyword, keyword)
        if key != "night" or len(value) != 2:
            raise InputError(f"{keyword}={value!r}: a tuple is a range (low, high); any of several names is a list: {list(value)!r}")
        ends = [None if end is None else (night_values(keyword, end) or (None,))[0] for end in value]
        return selection.with_range(key, *ends)

    def _with_more_names(self, selection: Selection, key: str, values: tuple[str, ...] | None) -> Selection:
        """Return a selection whose ``key`` must fulfil both its former values and these."""
        former = selection.names.get(key)
        if former is None or values is None:
            return selection.with_name(key, former if values is None else values)
        with self._handle.database.connect() as conn:
            known = queries.keys(conn, Selection().query()).get(key, [])
        known = [*known, *(item for item in (*former, *values) if not is_glob(item))]
        return selection.with_name(key, tuple(dict.fromkeys(v for v in known if matches(v, former) and matches(v, values))))

    def near(self, position: Any, radius: Any) -> DataBrowser:
        """Return a browser for frames whose footprint meets a circle on the sky.

        Parameters
        ----------
        position : SkyCoord, (ra, dec) in degrees, or str
            ICRS, as ``"21:45:00 -77:15:44"`` (hours, degrees) or ``"326.25 -77.26"``.
        radius : Quantity or str
            With its unit, as ``"10 arcmin"``.

        Raises
        ------
        InputError
            If the position cannot be read, or the radius has no unit or is negative.
        """
        ra, dec = sky.parse_position(position)
        degrees = sky.parse_angle(radius, "radius")
        if not 0 <= degrees <= 180:
            raise InputError(f"radius={radius!r}: must be between 0 and 180 degrees")
        return self._with(self._selection.with_region(ra, dec, degrees))

    def covering(self, position: Any) -> DataBrowser:
        """Return a browser for frames whose footprint contains a position, given as in `near`."""
        ra, dec = sky.parse_position(position)
        return self._with(self._selection.with_region(ra, dec, None))

    def between(self, start: Any, end: Any) -> DataBrowser:
        """Return a browser for frames with ``start <= mjd_mid <= end``.

        Parameters
        ----------
        start, end : str, Time, datetime, float or None
            ISO, YYYYMMDD, YYMMDD, Time, datetime or MJD (UTC; a date alone is its 0h); None for an open end.

        Raises
        ------
        InputError
            If a time cannot be read, or ``end`` is before ``start``.
        """
        first = None if start is None else parse_time("start", start)
        last = None if end is None else parse_time("end", end)
        if first is not None and last is not None and last < first:
            raise InputError(f"end={end!r}: must not be before start={start!r}")
        return self._with(self._selection.with_time(first, last))

    # ------------------------------------------------------------------ answers

    def frames(self) -> FrameSet:
        """Return the frames; none found is an empty set."""
        return FrameSet(self._find(), self._handle)

    def images(self) -> list[ArchiveImage]:
        """Return the frames as images; their files are not opened yet."""
        return self.frames().images

    def catalogs(self) -> CatalogSet:
        """Return the current catalogs of the frames."""
        return CatalogSet(stored_catalogs(self._handle, self._find()))

    def count(self) -> int:
        """Return the number of frames."""
        if self._selection.empty:
            return 0
        if not self._selection.exact:
            return len(self._find())
        with self._handle.database.connect() as conn:
            return queries.count(conn, self._query())

    def table(self) -> QTable:
        """Return the frames as a table with units."""
        return self.frames().table()

    def paths(self) -> list[str]:
        """Return the paths of the frames' files."""
        return [str(frame.path) for frame in self._find()]

    def listing(self, limit: int | None = None) -> QueryResult:
        """Return what a person wants to see of the frames, as the command line prints it.

        Parameters
        ----------
        limit : int, optional
            At most so many rows.

        Raises
        ------
        InputError
            If the limit is negative or no whole number.
        """
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, (int, np.integer)) or limit < 0):
            raise InputError(f"limit={limit!r}: must be a whole number of rows, or None for all")
        rows = queries.list_frames(self._find()[:limit])
        return QueryResult(pa.table({name: [row[name] for row in rows] for name in LIST_COLUMNS}), formats=_LIST_FORMATS)

    def search(self, pattern: str = "*.fits", return_type: str = "path", *, verbose: bool = True) -> Any:
        """Find files by the attributes and a pattern, and say how many there are.

        Parameters
        ----------
        pattern : str
            Glob on the file name; of ``return_type="catalog"``, on the name of the image that was measured.
        return_type : str
            ``path`` (list of str), ``imginfo`` (QTable), ``science``, ``reference``, ``calibration``, ``background``, ``errormap``,
            ``mask`` (FrameSet of frames of that kind), ``catalog`` (CatalogSet). The first two are of the kind of the root.
        verbose : bool
            Say the number of files.

        Raises
        ------
        UnknownNameError
            If there is no such return type.
        """
        return self._search(pattern, None, return_type, verbose)

    def search_folder(self, pattern: str = "*.fits", folder: Any = ".", return_type: str = "path", *, verbose: bool = True) -> Any:
        """Find files as `search` does, in one folder of the data roots and below it.

        Parameters
        ----------
        pattern : str
            Glob on the file name.
        folder : path
            Absolute and inside a data root, or relative to one.
        return_type, verbose
            As in `search`.

        Raises
        ------
        InputError
            If the folder lies in none of the roots.
        """
        return self._search(pattern, self._folder(folder), return_type, verbose)

    def _search(self, pattern: str, folder: tuple[str, str] | None, return_type: str, verbose: bool) -> Any:
        if return_type not in RETURN_TYPES:
            raise UnknownNameError("return_type", str(return_type), RETURN_TYPES)
        if not isinstance(pattern, str):
            raise InputError(f"pattern={pattern!r}: must be a glob pattern such as '*100.fits'")
        wanted = RETURN_TYPES[return_type]
        browser = self if folder is None else self._with(Selection(root=folder[0], kinds=self._selection.kinds))
        if folder is None or not folder[1]:
            frames = browser._find(wanted.kinds, pattern)
        else:
            below = browser._find(wanted.kinds, f"{glob.escape(folder[1])}/*")
            frames = [frame for frame in below if fnmatchcase(PurePosixPath(str(frame.relpath)).name, pattern)]
        result = wanted.make(self, frames)
        where = self.searchpath.replace("\n", ", ") if folder is None else "/".join(folder).rstrip("/")
        say(f"{len(result)} files found: {pattern} in {where}", verbose)
        return result

    def _folder(self, folder: Any) -> tuple[str, str]:
        """Return root and path inside it."""
        path = Path(folder)
        roots = self._handle.settings.roots
        names = [self._selection.root] if self._selection.root is not None else list(roots)
        for name in names:
            top = roots[name].path
            inside = Path(os.path.normpath(top / path))
            if inside.is_relative_to(top) and (path.is_absolute() or len(names) == 1 or inside.is_dir()):
                relative = inside.relative_to(top).as_posix()
                return name, "" if relative == "." else relative
        where = ", ".join(f"{name} ({roots[name].path})" for name in names) or "none"
        raise InputError(f"folder={str(folder)!r}: must lie in a data root; the roots are {where}")

    # ------------------------------------------------------------------ what there is

    @property
    def keys(self) -> dict[str, list[str]]:
        """What can be asked for: sorted values of each attribute among the frames that the conditions leave."""
        if self._selection.exact and not self._selection.empty:
            with self._handle.database.connect() as conn:
                found = queries.keys(conn, self._query())
        else:
            frames = self._find()
            found = {key: sorted({getattr(frame, _FIELDS.get(key, key)) for frame in frames} - {None}) for key in NAME_KEYS}
        return {name: found[ALIASES.get(name, name)] for name in ATTRIBUTES}

    @property
    def searchpath(self) -> str:
        """The folders that are searched, as a glob pattern; one line a root."""
        roots = self._handle.settings.roots
        names = list(roots) if self._selection.root is None else [self._selection.root]
        return "\n".join(str(roots[name].path / self._folders(roots[name].template)) for name in names)

    def _folders(self, template: str) -> str:
        for name in ATTRIBUTES:
            values = self._selection.names.get(ALIASES.get(name, name), ("*",))
            text = values[0] if len(values) == 1 else "{" + ",".join(values) + "}"
            template = template.replace("{" + name + "}", text).replace("{" + ALIASES.get(name, name) + "}", text)
        return template.replace("{_}", "*")

    def help(self) -> None:
        """Print the public methods with their signatures."""
        say(help_text(type(self)))

    def __repr__(self) -> str:
        lines = [f"<DataBrowser {self._handle.home} root: {self._selection.root or 'all'}>"]
        lines += [f"  {name} = {value!r}" for name, value in self._conditions().items()]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        keys = self.keys
        rows = "".join(
            f"<tr><td>{name}</td><td>{html.escape(repr(getattr(self, name)))}</td><td>{html.escape(_some(keys[name]))}</td></tr>"
            for name in ATTRIBUTES
        )
        first = html.escape(repr(self)).replace("\n", "<br>")
        head = "<thead><tr><th>attribute</th><th>set to</th><th>there is</th></tr></thead>"
        return f"<p>{first}</p><table>{head}<tbody>{rows}</tbody></table>"

    def _conditions(self) -> dict[str, Any]:
        selection = self._selection
        shown: dict[str, Any] = {name: getattr(self, name) for name in ATTRIBUTES if getattr(self, name) is not None}
        shown |= {"kind": list(selection.kinds)} if selection.kinds is not None else {}
        shown |= {key: pair for key, pair in selection.ranges.items()}
        shown |= {key: list(values) for key, values in selection.choices.items()}
        for number, (ra, dec, radius) in enumerate(selection.regions, 1):
            name = "covering" if radius is None else "near"
            shown[f"{name} ({number})"] = (ra, dec) if radius is None else (ra, dec, f"{radius} deg")
        shown |= {f"keyword ({number})": str(test) for number, test in enumerate(selection.keywords, 1)}
        return shown | ({"mjd_mid": selection.mjd} if selection.mjd != (None, None) else {})

    # ------------------------------------------------------------------ asking the database

    def _kinds(self, any_calibration: bool = False) -> tuple[str, ...]:
        root = self._selection.root
        if root is None:
            return CALIBRATION_KINDS if any_calibration else ("science",)
        return _ROOT_KINDS[self._handle.settings.roots[root].kind]

    def _query(self, kinds: tuple[str, ...] | None = None, pattern: str | None = None) -> FrameQuery:
        return self._selection.query(kinds=kinds or self._kinds("imgtype" in self._selection.names), pattern=pattern)

    def _find(self, kinds: tuple[str, ...] | None = None, pattern: str | None = None) -> list[Frame]:
        if self._selection.empty:
            return []
        with self._handle.database.connect() as conn:
            found = queries.search(conn, self._query(kinds, pattern))
        found = self._selection.refine(found)
        return passing(self._handle, found, self._selection.keywords) if self._selection.keywords else found


def _some(values: list[str], n: int = 8) -> str:
    return ", ".join(values[:n]) + (f", ... ({len(values)})" if len(values) > n else "")
