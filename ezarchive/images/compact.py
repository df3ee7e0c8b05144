"""A mask of a large image in an eighth of its memory: bits, row by row, with the algebra of bool arrays."""

from __future__ import annotations

import os
import zlib
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from ezarchive.errors import InputError
from ezarchive.images.fitsfile import write_fits

_ALGEBRA = {
    np.bitwise_or: np.bitwise_or, np.logical_or: np.bitwise_or, np.bitwise_and: np.bitwise_and, np.logical_and: np.bitwise_and,
    np.bitwise_xor: np.bitwise_xor, np.logical_xor: np.bitwise_xor, np.not_equal: np.bitwise_xor,
}  # fmt: skip


class Mask:
    """Pixels marked True (bad) or False, eight to a byte; it cannot be changed.

    It stands wherever a bool array does: ``np.asarray(mask)``, ``mask[rows, cols]``, ``data[mask]``, ``mask.sum()``. The operators
    ``| & ^ ~ ==``, between masks and with bool arrays, give masks.

    Parameters
    ----------
    bits : ndarray of uint8, shape (ny, ceil(nx / 8))
        Every row as `numpy.packbits` makes it: the first pixel in the highest bit.
    shape : tuple of two ints
        Rows and columns.
    frame_id : int, optional
        The frame of an archive that it was made of.

    Raises
    ------
    InputError
        If bits and shape do not fit together.

    Examples
    --------
    >>> left, right = Mask.of([[True, False, False]]), Mask.of([[False, False, True]])
    >>> (left | right).to_array().tolist(), (~left).sum(), bool(right.at(2, 0))
    ([[True, False, True]], 2, True)
    """

    dtype = np.dtype(bool)
    ndim = 2

    def __init__(self, bits: np.ndarray, shape: tuple[int, int], frame_id: int | None = None) -> None:
        ny, nx = (int(size) for size in shape)
        bits = np.asarray(bits)
        if bits.dtype != np.uint8 or bits.shape != (ny, -(-nx // 8)):
            raise InputError(f"bits: must be uint8 of shape {(ny, -(-nx // 8))} for pixels {(ny, nx)}, found {bits.dtype} {bits.shape}")
        self.bits, self.shape, self.frame_id = bits.view(), (ny, nx), frame_id
        self.bits.flags.writeable = False

    @classmethod
    def of(cls, given: Any, shape: tuple[int, int] | None = None, *, name: str = "mask", frame_id: int | None = None) -> Mask:
        """Make a mask of what may be one.

        Parameters
        ----------
        given : Mask or array, shape (ny, nx)
            bool (True is bad), or integer bits (not zero is bad).
        shape : tuple of two ints, optional
            The shape that it must have.
        name : str
            Of the argument, for the message.
        frame_id : int, optional
            The frame that it belongs to; a `Mask` keeps its own.

        Raises
        ------
        InputError
            If it is none, or of another shape.
        """
        found = given if isinstance(given, cls) else np.asarray(given)
        wanted = "of shape (ny, nx)" if shape is None else f"of shape {tuple(shape)}"
        if found.dtype.kind not in "biu" or found.ndim != 2 or (shape is not None and found.shape != tuple(shape)):
            raise InputError(f"{name}: must be a bool array {wanted} (True is bad), found {found.dtype} {found.shape}")
        if isinstance(found, cls):
            return found
        return cls(np.packbits(found if found.dtype == bool else found != 0, axis=1), found.shape, frame_id)

    @classmethod
    def empty(cls, shape: tuple[int, int], frame_id: int | None = None) -> Mask:
        """Make a mask without any pixel."""
        return cls(np.zeros((shape[0], -(-shape[1] // 8)), np.uint8), shape, frame_id)

    def of_frame(self, frame_id: int | None) -> Mask:
        """Return the same mask, made known as that of a frame."""
        return Mask(self.bits, self.shape, frame_id)

    # ------------------------------------------------------------------ pixels

    def at(self, x: Any, y: Any) -> np.ndarray:
        """Return whether the pixels at 0-based positions (rounded to whole pixels) are marked; False off the image and for NaN."""
        x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
        inside = (x >= -0.5) & (x < self.shape[1] - 0.5) & (y >= -0.5) & (y < self.shape[0] - 0.5)
        column, row = (np.floor(np.where(inside, at, 0.0) + 0.5).astype(np.intp) for at in (x, y))
        return inside & ((self.bits[row, column >> 3] >> (7 - (column & 7))) & 1).astype(bool)

    def cut(self, rows: slice, cols: slice) -> np.ndarray:
        """Return a rectangle as a bool array; slices as of an array, with step 1."""
        (first, last, row_step), (left, right, step) = (part.indices(size) for part, size in zip((rows, cols), self.shape, strict=True))
        if row_step != 1 or step != 1:
            raise InputError(f"rows, cols: must have step 1, found {rows}, {cols}")
        start, right = left // 8, max(right, left)
        unpacked = np.unpackbits(self.bits[first : max(last, first), start : -(-right // 8)], axis=1)
        return unpacked[:, left - 8 * start : right - 8 * start].view(bool)

    def to_array(self) -> np.ndarray:
        """Return all pixels as a bool array of shape (ny, nx)."""
        return np.unpackbits(self.bits, axis=1, count=self.shape[1]).view(bool)

    def copy(self) -> Mask:
        """Return the mask itself: it cannot be changed."""
        return self

    @property
    def data(self) -> np.ndarray:
        """All pixels as a bool array, made anew."""
        return self.to_array()

    def to_fits(self, path: str | os.PathLike[str], header: fits.Header | None = None) -> Path:
        """Write it as FITS of bytes (1 is bad), whole or not at all; the cards of `header`, for example the WCS, go with it."""
        return write_fits(path, self.shape, lambda rows: self.cut(rows, slice(None)).view(np.uint8), np.uint8, header)

    # ------------------------------------------------------------------ numbers

    @cached_property
    def _count(self) -> int:
        return int(np.bitwise_count(self.bits).sum(dtype=np.int64))

    @property
    def size(self) -> int:
        """Number of pixels."""
        return self.shape[0] * self.shape[1]

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self.bits.nbytes

    def sum(self) -> int:
        """Return how many pixels are marked."""
        return self._count

    def mean(self) -> float:
        """Return the fraction that is marked."""
        return self._count / self.size

    def any(self) -> bool:
        """Return whether a pixel is marked."""
        return self._count > 0

    def all(self) -> bool:
        """Return whether all are."""
        return self._count == self.size

    # ------------------------------------------------------------------ standing for an array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("a Mask holds bits; an array of it is always a copy")
        found = self.to_array()
        return found if dtype is None else found.astype(dtype, copy=False)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method == "__call__" and not options:
            if ufunc in _ALGEBRA and len(inputs) == 2:
                return self._joined(_ALGEBRA[ufunc], *inputs)
            if ufunc in (np.invert, np.logical_not):
                return ~self
            if ufunc is np.equal:
                return ~self._joined(np.bitwise_xor, *inputs)
        plain = tuple(item.to_array() if isinstance(item, Mask) else item for item in inputs)
        if any(isinstance(item, Mask) for item in options.get("out", ())):
            raise TypeError("a Mask cannot be changed; take the result instead")
        return getattr(ufunc, method)(*plain, **options)

    def _joined(self, ufunc: Any, a: Any, b: Any) -> Any:
        a, b = (item if isinstance(item, Mask) else np.asarray(item) for item in (a, b))
        if any(item.shape != self.shape or item.dtype.kind != "b" for item in (a, b)):
            return ufunc(np.asarray(a), np.asarray(b))
        a, b = Mask.of(a), Mask.of(b)
        frames = {item.frame_id for item in (a, b)} - {None}
        return Mask(ufunc(a.bits, b.bits), self.shape, frames.pop() if len(frames) == 1 else None)

    def __or__(self, other: Any) -> Any:
        return self._joined(np.bitwise_or, self, other)

    def __and__(self, other: Any) -> Any:
        return self._joined(np.bitwise_and, self, other)

    def __xor__(self, other: Any) -> Any:
        return self._joined(np.bitwise_xor, self, other)

    def __eq__(self, other: object) -> Any:
        return ~self._joined(np.bitwise_xor, self, other)

    def __ne__(self, other: object) -> Any:
        return self ^ other

    __ror__, __rand__, __rxor__ = __or__, __and__, __xor__
    __hash__ = None

    def __invert__(self) -> Mask:
        bits = ~self.bits
        spare = -self.shape[1] % 8
        if spare:
            bits[:, -1] &= np.uint8(0xFF << spare & 0xFF)
        return Mask(bits, self.shape, self.frame_id)

    def __getitem__(self, key: Any) -> Any:
        # Rows alone, and rectangles, need not unpack the rest.
        parts = key if isinstance(key, tuple) else (key, slice(None))
        if len(parts) == 2 and all(isinstance(part, slice) and part.step in (None, 1) for part in parts):
            return self.cut(*parts)
        return self.to_array()[key.to_array() if isinstance(key, Mask) else key]

    def __len__(self) -> int:
        return self.shape[0]

    def __bool__(self) -> bool:
        raise ValueError("the truth value of a mask is ambiguous; use mask.any() or mask.all()")

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (zlib.compress(self.bits.tobytes(), 1), self.shape, self.frame_id)

    def __repr__(self) -> str:
        return f"Mask({self.shape[0]} x {self.shape[1]}, {self._count} bad)"


def _unpickled(packed: bytes, shape: tuple[int, int], frame_id: int | None) -> Mask:
    bits = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(shape[0], -1)
    return Mask(bits, shape, frame_id)
