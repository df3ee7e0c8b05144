"""Values for pixels that have none, from those around, so that a filter can run over them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def filled(values: Floats, bad: NDArray[np.bool_]) -> Floats:
    """Return an image whose bad pixels have smooth values from around them.

    Parameters
    ----------
    values : ndarray, shape (ny, nx)
        Anything where `bad`.
    bad : ndarray of bool, shape (ny, nx)

    Returns
    -------
    ndarray
        `values` itself where nothing is bad; zeros where everything is.

    Notes
    -----
    Means of the good pixels of 2 x 2, of these again, and so on; then back, linear between the means of each level, where the finer level
    has nothing (pull and push: Gortler et al. 1996, SIGGRAPH 96, 43).
    """
    if not bad.any():
        return values
    if bad.all():
        return np.zeros_like(values)
    coarse, empty = _pulled(np.where(bad, 0.0, values), ~bad)
    return np.where(bad, _pushed(filled(coarse, empty), values.shape), values)


def _pulled(values: Floats, good: NDArray[np.bool_]) -> tuple[Floats, NDArray[np.bool_]]:
    odd = [(0, n % 2) for n in values.shape]
    total, count = np.pad(values, odd), np.pad(good.astype(np.float64), odd)
    for axis in (0, 1):
        even, after = [slice(None)] * 2, [slice(None)] * 2
        even[axis], after[axis] = slice(0, None, 2), slice(1, None, 2)
        total = total[tuple(even)] + total[tuple(after)]
        count = count[tuple(even)] + count[tuple(after)]
    return total / np.maximum(count, 1.0), count == 0


def _pushed(coarse: Floats, shape: tuple[int, int]) -> Floats:
    for axis, n in enumerate(shape):
        ends = np.pad(coarse, [(1, 1) if k == axis else (0, 0) for k in (0, 1)], mode="edge")
        here = np.take(ends, range(1, ends.shape[axis] - 1), axis)
        before, after = np.take(ends, range(ends.shape[axis] - 2), axis), np.take(ends, range(2, ends.shape[axis]), axis)
        pair = np.stack([0.75 * here + 0.25 * before, 0.75 * here + 0.25 * after], axis=axis + 1)
        coarse = np.take(pair.reshape([-1 if k == axis else m for k, m in enumerate(here.shape)]), range(n), axis)
    return coarse
