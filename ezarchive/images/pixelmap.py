"""`PixelMap`: a background or noise map that is kept as pixels (in memory or in a file), asked like a mesh."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from astropy.io import fits

from ezarchive.errors import InputError
from ezarchive.images.background import float_type
from ezarchive.images.fitsfile import strips, write_fits

Slices = tuple[slice, slice]
_SAMPLE_ROWS = 64


class Level(Protocol):
    """A level that is known everywhere on an image: of a `MeshBackground`, a `PixelMap`."""

    shape: tuple[int, int]

    def level(self, slices: Slices | None = None) -> np.ndarray:
        """Return it for rows and columns, all by default."""
        ...


class Pixels(Protocol):
    """Pixels that are read where they are asked for: an `images.image.Image`, an `ArrayPixels`."""

    shape: tuple[int, int]

    def cut(self, rows: slice, cols: slice) -> np.ndarray:
        """Return a rectangle as native floats."""
        ...


class ArrayPixels:
    """An array as `Pixels`."""

    path = frame = None

    def __init__(self, pixels: Any, name: str = "pixels") -> None:
        self.data = checked_array(pixels, name)
        self.shape = self.data.shape

    def cut(self, rows: slice, cols: slice) -> np.ndarray:
        """Return a rectangle, as a view."""
        return self.data[rows, cols]


class PixelMap:
    """Level, or noise per pixel, given by pixels; a file is read only where it is asked.

    Parameters
    ----------
    pixels : array of shape (ny, nx), Image or other `Pixels`
        The map; an image of a file stays on disk.
    kind : {"background", "rms"}
        What it is; the methods of the other kind are errors.
    frame_id : int, optional
        The frame of an archive that it belongs to.

    Raises
    ------
    InputError
        If there is another kind.
    """

    def __init__(self, pixels: np.ndarray | Pixels, kind: str, frame_id: int | None = None) -> None:
        if kind not in ("background", "rms"):
            raise InputError(f"kind={kind!r}: must be 'background' or 'rms'")
        self.source: Any = pixels if hasattr(pixels, "cut") else ArrayPixels(pixels)
        self.kind, self.frame_id = kind, frame_id

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.source.shape

    def of_frame(self, frame_id: int | None) -> PixelMap:
        """Return the same map, made known as that of a frame."""
        return PixelMap(self.source, self.kind, frame_id)

    def level(self, slices: Slices | None = None) -> np.ndarray:
        """Return the level in rows and columns, all by default; native floats."""
        return self._read("background", slices)

    def rms(self, slices: Slices | None = None) -> np.ndarray:
        """Return the noise per pixel, as `level`."""
        return self._read("rms", slices)

    def at(self, x: Any, y: Any) -> np.ndarray:
        """Return the level of the pixels nearest to 0-based positions; NaN off the image."""
        return self._points("background", x, y)

    def rms_at(self, x: Any, y: Any) -> np.ndarray:
        """Return the noise of the pixels nearest to 0-based positions; NaN off the image."""
        return self._points("rms", x, y)

    def level_stamps(self, y0: np.ndarray, x0: np.ndarray, shape: tuple[int, int], fill: float = 0.0) -> np.ndarray:
        """Return the level on many stamps of one size, as of a `MeshBackground`; ``fill`` beyond the image."""
        return self._stamps("background", y0, x0, shape, fill)

    def rms_stamps(self, y0: np.ndarray, x0: np.ndarray, shape: tuple[int, int], fill: float = 0.0) -> np.ndarray:
        """Return the noise per pixel on many stamps, as `level_stamps`."""
        return self._stamps("rms", y0, x0, shape, fill)

    @cached_property
    def global_level(self) -> float:
        """Median over a sample of rows."""
        return self._median("background")

    @cached_property
    def global_rms(self) -> float:
        """Median over a sample of rows."""
        return self._median("rms")

    def to_fits(self, path: str | os.PathLike[str], header: fits.Header | None = None) -> Path:
        """Write all pixels as FITS, whole or not at all, with the cards of a header (WCS)."""
        return write_fits(path, self.shape, lambda rows: self._read(self.kind, (rows, slice(None))), np.float32, header)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self._read(self.kind, None), dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        return f"PixelMap({self.kind}, {self.shape[0]} x {self.shape[1]})"

    def _read(self, kind: str, slices: Slices | None) -> np.ndarray:
        self._check(kind)
        return self.source.cut(*((slice(None), slice(None)) if slices is None else slices))

    def _stamps(self, kind: str, y0: np.ndarray, x0: np.ndarray, shape: tuple[int, int], fill: float) -> np.ndarray:
        self._check(kind)
        (height, width), (ny, nx) = shape, self.shape
        out = np.full((len(y0), height, width), fill, np.float32)
        for stamp, row, col in zip(out, np.asarray(y0).tolist(), np.asarray(x0).tolist(), strict=True):
            rows, cols = slice(max(row, 0), min(row + height, ny)), slice(max(col, 0), min(col + width, nx))
            if rows.start < rows.stop and cols.start < cols.stop:
                stamp[rows.start - row : rows.stop - row, cols.start - col : cols.stop - col] = self.source.cut(rows, cols)
        return out

    def _points(self, kind: str, x: Any, y: Any) -> np.ndarray:
        self._check(kind)
        return nearest_pixels(self.shape, lambda rows: self.source.cut(rows, slice(None)), x, y)

    def _median(self, kind: str) -> float:
        self._check(kind)
        found = [self.source.cut(rows, slice(None)) for rows in sample_rows(self.shape)]
        finite = np.concatenate([part[np.isfinite(part)] for part in found])
        return float(np.median(finite)) if finite.size else float("nan")

    def _check(self, kind: str) -> None:
        if kind != self.kind:
            asked = {"background": "level", "rms": "noise"}[kind]
            raise InputError(f"map: has kind {self.kind!r} and so has no {asked}")


def checked_array(pixels: Any, name: str, wanted: str = "a 2-D array") -> np.ndarray:
    """Return a 2-D array of real numbers as native floats; the array itself where it fits already.

    Raises
    ------
    InputError
        If it is none; the message begins with ``name`` and tells what is ``wanted``.
    """
    array = np.asarray(pixels)
    if array.ndim != 2 or not array.size:
        raise InputError(f"{name}: must be {wanted} that is not empty, found shape {array.shape}")
    if array.dtype.kind not in "fiub":
        raise InputError(f"{name}: must hold real numbers, found dtype {array.dtype}")
    dtype = float_type(array.dtype)
    return array if array.dtype == dtype else array.astype(dtype)


def nearest_pixels(shape: tuple[int, int], read: Any, x: Any, y: Any) -> np.ndarray:
    """Return the pixels nearest to positions, reading only the rows that hold any.

    Parameters
    ----------
    shape : tuple of two ints
        Rows and columns.
    read : callable
        Gives whole rows, of a slice.
    x, y : array_like
        0-based positions.

    Returns
    -------
    ndarray of float64
        NaN off the image and where a position is NaN.
    """
    x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
    column, row = np.floor(x.ravel() + 0.5), np.floor(y.ravel() + 0.5)
    inside = (column >= 0) & (column < shape[1]) & (row >= 0) & (row < shape[0])
    out = np.full(x.size, np.nan)
    wanted = np.flatnonzero(inside)
    wanted = wanted[np.argsort(row[wanted], kind="stable")]
    rows = row[wanted].astype(np.intp)
    for part in strips(shape):
        chosen = wanted[slice(*np.searchsorted(rows, (part.start, part.stop)))]
        if chosen.size:
            lines = row[chosen].astype(np.intp)
            first = int(lines[0])
            out[chosen] = read(slice(first, int(lines[-1]) + 1))[lines - first, column[chosen].astype(np.intp)]
    return out.reshape(x.shape)


def sample_rows(shape: tuple[int, int]) -> Iterator[slice]:
    """Yield single rows spread evenly over an image."""
    for row in np.unique(np.linspace(0, shape[0] - 1, min(_SAMPLE_ROWS, shape[0])).astype(int)):
        yield slice(int(row), int(row) + 1)
