"""The pixels of a picture, some rows at a time, as the compiled passes take them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ezarchive.errors import InputError
from ezarchive.quicklook.planes.pictures import Picture

_PIXELS = 1 << 20
"""Of a strip, about."""

_SAMPLE = 240_000
"""Pixels that `Strips.sample` takes of a large image, about."""

Pixels = NDArray[Any]


class Strips:
    """Strips of rows of a picture: native float32 (of float32 and of what fits into it exactly) or float64, masked pixels NaN.

    Of a file that is not loaded only the rows at hand are read.

    Parameters
    ----------
    picture : Picture
    change : callable, optional
        Applied to each strip; must return an array of its own of the same shape and of float64.
    box : tuple of four int, optional
        Only these pixels: x0, x1, y0, y1, from the first to before the second.
    inside : ndarray of bool, optional
        Shape of the box: the other pixels become NaN.
    """

    def __init__(
        self,
        picture: Picture,
        change: Callable[[Pixels], Pixels] | None = None,
        box: tuple[int, int, int, int] | None = None,
        inside: NDArray[np.bool_] | None = None,
    ) -> None:
        self.picture, self.change, self.inside = picture, change, inside
        ny, nx = picture.shape
        self.x0, self.x1, self.y0, self.y1 = (0, nx, 0, ny) if box is None else box
        self.shape = (self.y1 - self.y0, self.x1 - self.x0)
        self.size = self.shape[0] * self.shape[1]

    def __iter__(self) -> Iterator[tuple[int, Pixels]]:
        """Yield the first row, counted from that of the box, and the pixels, shape (m, nx), contiguous and read-only."""
        ny, nx = self.shape
        step = max(1, _PIXELS // max(1, nx))
        for y0 in range(0, ny, step):
            yield y0, self._rows(slice(y0, min(y0 + step, ny)))

    def flat(self) -> Iterator[Pixels]:
        """Yield the strips as arrays of one axis."""
        for _, rows in self:
            yield rows.reshape(-1)

    def sample(self) -> Pixels:
        """Return the finite pixels of a grid over the whole image, whose rows are staggered; always the same ones."""
        step = max(1, math.isqrt(self.size // _SAMPLE))
        taken = []
        for y0, rows in self._thinned(step):
            shift = int(y0 // step * 0.6180339887 * step) % step
            taken.append(rows[0, shift::step])
        found = np.concatenate(taken) if taken else np.empty(0)
        return found[np.isfinite(found)]

    def _thinned(self, step: int) -> Iterator[tuple[int, Pixels]]:
        for y in range(max(0, min(step // 2, self.shape[0] - 1)), self.shape[0], step):
            yield y, self._rows(slice(y, y + 1))

    def _rows(self, rows: slice) -> Pixels:
        lines, cols = slice(self.y0 + rows.start, self.y0 + rows.stop), slice(self.x0, self.x1)
        part = np.asarray(self.picture.image.cut(lines, cols))
        part = np.ascontiguousarray(part, _float_type(part.dtype))
        if self.picture.mask is not None:
            part = np.where(self.picture.mask[lines, cols], part.dtype.type(np.nan), part)
        if self.inside is not None:
            part = np.where(self.inside[rows], part, part.dtype.type(np.nan))
        if self.change is not None:
            part = self.change(part)
        part = part.view()
        part.flags.writeable = False  # one type of array, hence one compilation, of memory-mapped and of other pixels
        return part


def _float_type(dtype: np.dtype) -> type[np.floating]:
    """Return the type that holds the pixels: float32 where it does so exactly."""
    if dtype.kind not in "biuf":
        raise InputError(f"image: its pixels must be real numbers, found {dtype}")
    return np.float32 if np.can_cast(dtype, np.float32, "safe") else np.float64
