"""`FrameSet`: the frames that a search found, in a stable order; no file is opened before pixels or a header are asked for."""

from __future__ import annotations

import html
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

import numpy as np
import pandas as pd
from astropy.table import QTable

from ezarchive.browse.archive_image import ArchiveImage
from ezarchive.browse.catalog import Catalog
from ezarchive.browse.catalogset import newest_catalogs
from ezarchive.browse.conditions import check_names, given_conditions, made_tests
from ezarchive.browse.division import divided
from ezarchive.browse.frametable import dataframe, frame_table, shown
from ezarchive.browse.handle import ArchiveHandle
from ezarchive.browse.quality import best_images, draw_quality, quality_table
from ezarchive.errors import InputError
from ezarchive.frames.record import Frame
from ezarchive.screen import help_text, say

_SHOWN = ("frame_id", "objname", "filter", "telname", "date_obs", "exptime", "seeing", "depth", "path")
_ROWS_SHOWN = 10


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

    @property
    def target_df(self) -> pd.DataFrame:
        """The same table, under the tutorial's name."""
        return self.df

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
        conditions = given_conditions(given, unknown)
        tests = made_tests(conditions)
        check_names(conditions, (self._store.frames[i] for i in self._all), self._store.handle)
        return tests

    def _keep(self, indices: Iterable[int]) -> FrameSet:
        self._selected = tuple(indices)
        return self._of(self._store, self._selected)

    def select_quality_images(
        self,
        seeing: float | None = 6.0,
        depth: float | None = 18.0,
        ellipticity: float | None = 0.3,
        max_images: int | None = None,
        visualize: bool = False,
        save_path: str | os.PathLike[str] | None = None,
    ) -> FrameSet:
        """Select the best of the selected images; it goes on from the selection as it is.

        Parameters
        ----------
        seeing : float, optional
            Arcsec, at most; None: no limit, as for the next two.
        depth : float, optional
            Mag, at least.
        ellipticity : float, optional
            Of the stars, at most.
        max_images : int, optional
            Only so many, those of the highest scores.
        visualize : bool
            Show seeing, depth and what was chosen, where a notebook can.
        save_path : path, optional
            Write that figure: ``.png``, ``.pdf`` or ``.svg``.

        Returns
        -------
        FrameSet
            The selection, in time; `quality_table` tells values and scores.

        Raises
        ------
        InputError
            If a limit is no number, or is set on what is known of none of the images.

        Notes
        -----
        The score is ``3 (1 - e') + (1 - s') + 2 d'`` with ellipticity, seeing and depth scaled to 0 ... 1 among the images that fulfil
        the limits. See `ezarchive.browse.quality` for where the values come from.
        """
        table = quality_table(self.frames, self._store.handle)
        kept, score = best_images(table, {"seeing": seeing, "depth": depth, "ellipticity": ellipticity}, max_images)
        if save_path is not None or visualize:
            draw_quality(table, score, kept, (seeing, depth), self._store.handle, save_path=save_path, visualize=visualize)
        return self._keep(i for i, good in zip(self._selected, kept, strict=True) if good)

    def quality_table(self) -> QTable:
        """Return seeing, depth and ellipticity of the selected images, where each comes from, and the ``score`` among them."""
        table = quality_table(self.frames, self._store.handle)
        table["score"] = best_images(table, {})[1]
        return table

    def divide_images(
        self,
        by_filter: bool = False,
        by_exptime: bool = False,
        by_objname: bool = False,
        by_telname: bool = False,
        by_observatory: bool = False,
        by_obsdate: bool = False,
        obsdate_delta: Any = 0.5,
    ) -> list[FrameSet]:
        """Divide the selected images into sets of one filter, one exposure time, one target ... each; the selection stays.

        Parameters
        ----------
        by_filter, by_exptime, by_objname, by_telname, by_observatory : bool
            What the images of a set have in common; where it is unknown, that is a set too.
        by_obsdate : bool
            Also divide in time: between two exposures of a set, one after the other, lie at most `obsdate_delta`.
        obsdate_delta : float or Quantity
            Days.

        Returns
        -------
        list of FrameSet
            In the order of target, observatory, telescope, filter, exposure time and time; every image is in one of them.
        """
        keys = {"objname": by_objname, "observatory": by_observatory, "telname": by_telname, "filter": by_filter, "exptime": by_exptime}
        parts = divided(self.frames, [name for name, wanted in keys.items() if wanted], obsdate_delta if by_obsdate else None)
        return [self._of(self._store, tuple(self._selected[i] for i in part)) for part in parts]

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
        """The newest catalog of each selected image (of detections where there is one), None where it was not measured."""
        return newest_catalogs(self._store.handle, self.frames)
