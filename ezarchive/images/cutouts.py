"""`MappedPixels`: rectangles of an image in a file, of which no more is read than is asked for."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np

from ezarchive.errors import FrameError, InputError
from ezarchive.frames import hdus
from ezarchive.frames.cards import Cards
from ezarchive.images.background import float_type

_FEW = 200
_SMALL = 1 << 20
"""Rectangles, and bytes of one, of which the pages are fetched one by one; of more, the system may read ahead."""
_STORED = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}


class MappedPixels:
    """The pixels of one image of a FITS file, mapped into memory.

    A rectangle costs microseconds once the file is open. Files that are compressed, as a whole or by tiles, cannot be mapped: they are
    read whole, once. Pixels come as ``images.image.Image.load`` gives them: native floats, scaled, BLANK as NaN.

    Parameters
    ----------
    path : path
        A FITS file.
    hdu : int
        Which HDU of it.
    load : callable, optional
        Gives all pixels of a file that is compressed.

    Raises
    ------
    FrameError
        If the file cannot be read; ``code`` says why.
    InputError
        If the file is compressed and there is no `load`.
    """

    def __init__(self, path: str | os.PathLike[str], hdu: int = 0, load: Callable[[], np.ndarray] | None = None) -> None:
        self.path, self.hdu = Path(path), int(hdu)
        try:
            with hdus.open_fits(self.path) as opened:
                unit = next((found for found in hdus.scan(opened) if found.index == self.hdu), None)
                compressed = opened.gzipped or (unit is not None and unit.compressed)
        except FrameError as err:
            raise FrameError(err.code, f"{self.path}: {err}") from err
        if unit is None or not unit.is_image or len(unit.shape) < 2 or any(n != 1 for n in unit.shape[2:]) or not all(unit.shape):
            raise FrameError("no_image", f"{self.path}: holds no 2-D image in HDU {self.hdu}")
        self.cards = Cards(unit.raw)
        """The header, as it lies in the file."""
        self.shape = unit.shape[1], unit.shape[0]
        self._count, self._sparing = 0, True
        if compressed:
            if load is None:
                raise InputError(f"{self.path}: is compressed and cannot be mapped; open it as an Image")
            self._pixels = load()
            return
        stored = np.dtype(_STORED[unit.bitpix])
        self._pixels = np.memmap(self.path, stored, "r", unit.data_offset, self.shape)
        self._advise("MADV_RANDOM")

    def cut(self, rows: slice, cols: slice) -> np.ndarray:
        """Read a rectangle.

        Parameters
        ----------
        rows, cols : slice
            With step 1.

        Returns
        -------
        ndarray
            Native floats, of the caller's own.

        Raises
        ------
        InputError
            If a step is not 1.
        """
        if rows.step not in (None, 1) or cols.step not in (None, 1):
            raise InputError(f"rows, cols: must have step 1, found {rows}, {cols}")
        part = self._pixels[rows, cols]
        if not isinstance(self._pixels, np.memmap):
            return part.copy()
        self._count += 1
        if self._sparing and (self._count > _FEW or part.nbytes > _SMALL):
            self._advise("MADV_NORMAL")
            self._sparing = False
        scale, zero, blank = self._scaling
        if part.dtype == ">i8" and (scale, zero) == (1.0, 2.0**63):
            # Unsigned: as whole numbers, for a double cannot hold the sum.
            values = (part.astype(np.int64).view(np.uint64) ^ np.uint64(1 << 63)).astype(np.float64)
        else:
            values = part.astype(float_type(part.dtype))
            values *= values.dtype.type(scale)
            values += values.dtype.type(zero)
        if blank is not None and part.dtype.kind != "f":
            values[part == blank] = np.nan
        return values

    @cached_property
    def _scaling(self) -> tuple[float, float, int | None]:
        """BSCALE, BZERO and BLANK."""
        scale, zero, blank = self.cards.number("BSCALE"), self.cards.number("BZERO"), self.cards.get("BLANK")
        is_whole = isinstance(blank, int) and not isinstance(blank, bool)
        return 1.0 if scale is None else scale, 0.0 if zero is None else zero, blank if is_whole else None

    def _advise(self, advice: str) -> None:
        """Tell the system how the file will be read, where it can be told.

        Reading ahead takes ten times as long as the pages of a few small rectangles.
        """
        if hasattr(mmap, advice):
            self._pixels._mmap.madvise(getattr(mmap, advice))  # noqa: SLF001 - NumPy has no other door to it

    def __repr__(self) -> str:
        return f"MappedPixels({str(self.path)!r}, hdu={self.hdu}, {self.shape[0]} x {self.shape[1]})"
