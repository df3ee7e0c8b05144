"""Images made small enough for a screen: blocks of pixels averaged, a strip of rows at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ezarchive.errors import InputError

LARGEST = 1200
"""Pixels along the longer side that a figure needs."""

_STRIP_PIXELS = 2_000_000


class Averaged(NamedTuple):
    """An image with blocks of pixels averaged.

    Attributes
    ----------
    values : ndarray of float32, shape (ceil(ny / step), ceil(nx / step))
        Means over the finite pixels of each block, NaN where it has none; blocks at the far edges may be partial.
    step : int
        Pixels along a side of a block.
    shape : tuple of int
        (ny, nx) of the image.
    """

    values: NDArray[np.float32]
    step: int
    shape: tuple[int, int]


def step_for(shape: tuple[int, int], largest: int = LARGEST) -> int:
    """Return the smallest step with which no side of an image has more than `largest` blocks."""
    return max(1, -(-max(shape) // largest))


def averaged(data: ArrayLike | Averaged, step: int | None = None) -> Averaged:
    """Average blocks of pixels of an array.

    Parameters
    ----------
    data : array_like (ny, nx) or Averaged
        What is averaged already stays as it is.
    step : int, optional
        By default so many that at most `LARGEST` blocks are along each side.

    Returns
    -------
    Averaged

    Raises
    ------
    InputError
        If ``data`` is not 2-D or holds no numbers, or the step is no whole number from 1.
    """
    if isinstance(data, Averaged):
        return data
    pixels = np.asarray(data)
    if pixels.ndim != 2 or pixels.size == 0:
        raise InputError(f"data: has shape {pixels.shape}; must be an image (ny, nx)")
    if pixels.dtype.kind not in "fiub":
        raise InputError(f"data: must hold real numbers, found dtype {pixels.dtype}")
    return averaged_from(lambda rows, cols: pixels[rows, cols], pixels.shape, step)


def averaged_from(read: Callable[[slice, slice], Any], shape: tuple[int, int], step: int | None = None) -> Averaged:
    """Average blocks of pixels that are read a strip at a time: the whole image is never in memory.

    Parameters
    ----------
    read : callable
        Gives the pixels of some rows and columns, bool or numbers.
    shape : tuple of int
        (ny, nx) of the image.
    step : int, optional
        As of `averaged`.

    Returns
    -------
    Averaged
    """
    ny, nx = shape
    step = step_for(shape) if step is None else step
    if isinstance(step, bool) or not isinstance(step, (int, np.integer)) or step < 1:
        raise InputError(f"downsample {step!r}: must be a whole number from 1")
    step = int(step)
    out = np.empty((-(-ny // step), -(-nx // step)), np.float32)
    height = max(1, _STRIP_PIXELS // (step * nx)) * step
    for start in range(0, ny, height):
        strip = np.asarray(read(slice(start, min(start + height, ny)), slice(0, nx)))
        out[start // step : start // step + -(-len(strip) // step)] = _mean_blocks(strip, step)
    return Averaged(out, step, (ny, nx))


def _mean_blocks(strip: NDArray, step: int) -> NDArray:
    good = np.isfinite(strip) if strip.dtype.kind == "f" else np.ones((1, 1), bool)
    if step == 1:
        return strip if good.all() else np.where(good, strip, np.nan)
    rows, columns = (np.arange(0, size, step) for size in strip.shape)
    if good.all():
        number = np.multiply.outer(np.minimum(strip.shape[0] - rows, step), np.minimum(strip.shape[1] - columns, step))
        return _sums(strip, rows, columns) / number
    total, number = _sums(np.where(good, strip, 0), rows, columns), _sums(good, rows, columns)
    return np.divide(total, number, out=np.full_like(total, np.nan), where=number > 0)


def _sums(strip: NDArray, rows: NDArray, columns: NDArray) -> NDArray[np.float64]:
    return np.add.reduceat(np.add.reduceat(strip, rows, axis=0, dtype=np.float64), columns, axis=1)
