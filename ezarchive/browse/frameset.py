"""`FrameSet`: the frames that a search found, in a stable order; no file is opened before pixels or a header are asked for."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

import numpy as np
import pandas as pd
from astropy.table import QTable

from ezarchive.browse.archive_image import ArchiveImage
from ezarchive.browse.catalog import Catalog
from ezarchive.browse.catalogset import stored_catalogs
from ezarchive.browse.frametable import dataframe, frame_table, shown
from ezarchive.browse.handle import ArchiveHandle
from ezarchive.browse.selection import as_tuple, matches, name_values, plain_number
from ezarchive.database import queries
from ezarchive.database.conditions import FrameQuery
from ezarchive.database.names import is_glob
from ezarchive.errors import InputError, UnknownNameError
from ezarchive.frames.record import Frame
from ezarchive.screen import help_text, say
from ezarchive.times import parse_time

CRITERIA = ("file_key", "filter", "exptime", "objname", "obs_start", "obs_end", "seeing", "depth", "observatory", "telname")
"""Arguments of `FrameSet.select_images`."""

_SHOWN = ("frame_id", "objname", "filter", "telname", "date_obs", "exptime", "seeing", "depth", "path")
_ROWS_SHOWN = 10
_NAMES = ("filter", "objname", "observatory", "telname")
_UNITS = {"exptime": "s", "seeing": "arcsec", "depth": "mag"}


class _Store:
    """The frames of a search and their images, shared by a set and its selections: a map made on one image is there on all."""

    def __init__(self, frames: Sequence[Frame], handle: ArchiveHandle | None) -> None:
        self.frames, self.handle = tuple(frames), handle
        self._images: dict[int, ArchiveImage] = {}

    def image(self, index: int) -> ArchiveImage:
        if index not in self._images:
            self._images[index] = ArchiveImage(self.frames[index], self.handle)
        return self._images[index]


class FrameSet:
    """Frames in a stable order (mjd_mid, frame_id), with a selection among them.

    `images` are all of them; `target_images`, ``len``, iteration, indexing, `df`, `table()`, `paths()` and the maps follow the
    selection, which is everything until `select_images` or `exclude_images` is called.

    Parameters
    ----------
    frames : sequence of Frame
        As the database gave them.
    archive : Archive, path or ArchiveHandle, optional
        Where they come from; needed for catalogs, masters and maps.
    """

    def __init__(self, frames: Sequence[Frame] = (), archive: Any = None) -> None:
        self._store = _Store(frames, None if archive is None else ArchiveHandle.of(archive))
        self._all: tuple[int, ...] = tuple(range(len(self._store.frames)))
        self._selected = self._all

    @classmethod
    def _of(cls, store: _Store, indices: tuple[int, ...]) -> FrameSet:
        made = cls.__new__(cls)
        made._store, made._all, made._selected = store, indices, indices
        return made

    # ------------------------------------------------------------------ what is in it

    @property
    def images(self) -> list[ArchiveImage]:
        """All images, selected or not."""
        return [self._store.image(i) for i in self._all]

    @property
    def target_images(self) -> list[ArchiveImage]:
        """The selected images."""
        return [self._store.image(i) for i in self._selected]

    @property
    def frames(self) -> tuple[Frame, ...]:
        """The records of the selected frames."""
        return tuple(self._store.frames[i] for i in self._selected)

    @property
    def frame_ids(self) -> list[int | None]:
        """Their identities in the archive."""
        return [frame.frame_id for frame in self.frames]

    def paths(self) -> list[str]:
        """Return the paths of the selected frames' files."""
        return [str(frame.path) for frame in self.frames]

    @property
    def df(self) -> pd.DataFrame:
        """The selected frames as a pandas table: the tutorial's columns, then the rest; missing values are NaN or NA."""
        return dataframe(self.frames, self.target_images)

    def table(self) -> QTable:
        """Return the selected frames as a table with units; missing values are masked."""
        return frame_table(self.frames)

    def __len__(self) -> int:
        return len(self._selected)

    def __iter__(self) -> Iterator[ArchiveImage]:
        return (self._store.image(i) for i in self._selected)

    @overload
    def __getitem__(self, key: int) -> ArchiveImage: ...
    @overload
    def __getitem__(self, key: slice | Sequence[Any] | np.ndarray | pd.Series) -> FrameSet: ...
    def __getitem__(self, key: Any) -> ArchiveImage | FrameSet:
        """Return the image at a place, or the set at a slice, a list of places, or a condition such as ``frames.df.seeing < 3``."""
        if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
            return self._store.image(self._selected[key])
        if isinstance(key, slice):
            return self._of(self._store, self._selected[key])
        wanted = np.asarray(key)
        if wanted.ndim != 1 or (wanted.size and wanted.dtype.kind not in "biu") or (wanted.dtype.kind == "b" and len(wanted) != len(self)):
            raise InputError(f"index {key!r}: must be a number, a slice, a list of numbers, or {len(self)} truth values")
        places = np.asarray(self._selected, dtype=int)
        return self._of(self._store, tuple(places[wanted if wanted.size else []].tolist()) if len(places) else ())

    def __repr__(self) -> str:
        part = f"{len(self)} frames" if len(self) == len(self._all) else f"{len(self)} of {len(self._all)} frames"
        rows = [[shown(getattr(frame, name)) for name in _SHOWN] for frame in self.frames[:_ROWS_SHOWN]]
        widths = [max(map(len, cells)) for cells in zip(_SHOWN, *rows, strict=True)]
        lines = [f"<FrameSet: {part}>"]
        for row in (_SHOWN, *rows) if rows else ():
            lines.append("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if len(self) > _ROWS_SHOWN:
            lines.append(f"  ... {len(self) - _ROWS_SHOWN} more")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in _SHOWN)
        rows = ["".join(f"<td>{html.escape(shown(getattr(frame, name)))}</td>" for name in _SHOWN) for frame in self.frames[:_ROWS_SHOWN]]
        first = repr(self).partition("\n")[0].strip("<>")
        more = f"<p>... {len(self) - _ROWS_SHOWN} more</p>" if len(self) > _ROWS_SHOWN else ""
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        return f"<p><b>{html.escape(first)}</b></p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"

    def help(self) -> None:
        """Print the public methods with their signatures."""
        say(help_text(type(self)))

    # ------------------------------------------------------------------ selecting

    def select_images(
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
    ) -> FrameSet:
        """Select, among all images, those that fulfil every condition given; an earlier selection is forgotten.

        Parameters
        ----------
        file_key : str or list of str
            Regular expression in the path (stars at its ends are dropped); of several, all must be found.
        filter, objname, observatory, telname : str or list of str
            Names or globs; any of them.
        exptime : float or list of float
            Seconds; any of them.
        obs_start, obs_end : date
            ``obs_start <= obsdate <= obs_end``; any form that `ezarchive.times.parse_time` reads (a date alone is its 0h UTC).
        seeing : float
            Arcsec; the frame's must be less. A frame of unknown seeing does not fulfil it.
        depth : float
            Magnitudes; the frame's must be greater. A frame of unknown depth does not fulfil it.

        Returns
        -------
        FrameSet
            The selection, as a set of its own: ``frames.select_images(seeing=3).exclude_images(telname="7DT02")`` adds up.

        Raises
        ------
        UnknownNameError
            If there is no argument of a name, or the archive knows no such filter, target, observatory or telescope.
        InputError
            If a value is of the wrong type.
        """
        given = (file_key, filter, exptime, objname, obs_start, obs_end, seeing, depth, observatory, telname)
        tests = self._tests(given, unknown)
        return self._keep(i for i in self._all if all(test(self._store.frames[i]) for test in tests))

    def exclude_images(
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
    ) -> FrameSet:
        """Take out of the selection every image that fulfils any of the conditions given.

        It goes on from the selection as it is: ``frames.select_images(seeing=3); frames.exclude_images(telname="7DT02")`` leaves the
        images of good seeing that 7DT02 did not take. The arguments mean what they mean for `select_images`; the two limits of time
        together are one condition, the interval between them.

        Returns
        -------
        FrameSet
            The selection, as a set of its own.

        Raises
        ------
        UnknownNameError, InputError
            As `select_images`.
        """
        given = (file_key, filter, exptime, objname, obs_start, obs_end, seeing, depth, observatory, telname)
        tests = self._tests(given, unknown)
        return self._keep(i for i in self._selected if not any(test(self._store.frames[i]) for test in tests))

    def clear(self) -> FrameSet:
        """Select all images again."""
        self._selected = self._all
        return self

    def _tests(self, given: Sequence[Any], unknown: dict[str, Any]) -> list[Any]:
        """Return the conditions given; an exact name that no frame of the set has must be one that the archive knows."""
        conditions = _given(given, unknown)
        tests = _tests(conditions)
        handle = self._store.handle
        for name in _NAMES if handle is not None else ():
            values = name_values(name, conditions.get(name)) or ()
            here = {getattr(self._store.frames[i], name) for i in self._all} if values else set()
            strange = tuple(value for value in values if value not in here and not is_glob(value))
            if strange:
                with handle.database.connect() as conn:
                    queries.count(conn, FrameQuery(names={name: strange}))
        return tests

    def _keep(self, indices: Iterable[int]) -> FrameSet:
        self._selected = tuple(indices)
        return self._of(self._store, self._selected)

    # ------------------------------------------------------------------ what belongs to the images

    @property
    def bkgmap(self) -> list[Any]:
        """The background of each selected image, None where there is none."""
        return [image.bkgmap for image in self]

    @property
    def bkgrms(self) -> list[Any]:
        """The RMS map of each selected image, None where there is none."""
        return [image.bkgrms for image in self]

    @property
    def sourcemask(self) -> list[Any]:
        """The source mask of each selected image, None where there is none."""
        return [image.sourcemask for image in self]

    @property
    def catalog(self) -> list[Catalog | None]:
        """The newest catalog of each selected image, None where it was not measured."""
        if self._store.handle is None or not self:
            return [None] * len(self)
        newest = {item.frame_id: item for item in stored_catalogs(self._store.handle, self.frames)}
        return [newest.get(frame_id) for frame_id in self.frame_ids]


# ---------------------------------------------------------------------- conditions


def _given(values: Sequence[Any], unknown: dict[str, Any]) -> dict[str, Any]:
    """Return the conditions that were given, by name."""
    for name in unknown:
        raise UnknownNameError("argument", name, CRITERIA)
    return {name: value for name, value in zip(CRITERIA, values, strict=True) if value is not None}


def _tests(given: dict[str, Any]) -> list[Any]:
    tests: list[Any] = []
    for name in (*_NAMES, "exptime"):
        if name in given:
            tests.append(_is_any_of(name, given[name]))
    if "file_key" in given:
        holds = [_path_holds(pattern) for pattern in as_tuple(given["file_key"])]
        tests.append(lambda frame: all(test(frame) for test in holds))
    if "seeing" in given:
        limit = _number("seeing", given["seeing"])
        tests.append(lambda frame: frame.seeing is not None and frame.seeing < limit)
    if "depth" in given:
        floor = _number("depth", given["depth"])
        tests.append(lambda frame: frame.depth is not None and frame.depth > floor)
    if "obs_start" in given or "obs_end" in given:
        tests.append(_is_between(given.get("obs_start"), given.get("obs_end")))
    return tests


def _is_any_of(name: str, value: Any) -> Any:
    wanted = as_tuple(value)
    if name == "exptime":
        wanted = tuple(_number(name, item) for item in wanted)
    else:
        wanted = name_values(name, value) or ()
    return lambda frame: matches(getattr(frame, name), wanted)


def _path_holds(pattern: Any) -> Any:
    if not isinstance(pattern, str):
        raise InputError(f"file_key={pattern!r}: must be a text or a list of texts")
    try:
        search = re.compile(pattern.strip("*")).search
    except re.error as err:
        raise InputError(f"file_key={pattern!r}: must be a regular expression: {err}") from err
    return lambda frame: search(str(frame.path)) is not None


def _is_between(start: Any, end: Any) -> Any:
    first = -np.inf if start is None else parse_time("obs_start", start)
    last = np.inf if end is None else parse_time("obs_end", end)

    def test(frame: Frame) -> bool:
        when = frame.mjd_mid if frame.mjd_start is None else frame.mjd_start
        return when is not None and first <= when <= last

    return test


def _number(name: str, value: Any) -> float:
    value = plain_number(name, value, _UNITS[name])
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise InputError(f"{name}={value!r}: must be a number")
    return float(value)
