"""The pixels of runs: their places, and what an image holds there."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def places(y, start, stop):  # pragma: no cover - compiled
    """Return row and column of every pixel of runs, and the place of each run's first pixel in those lists (int32)."""
    offset = np.empty(y.size + 1, np.int32)
    offset[0] = 0
    for i in range(y.size):
        offset[i + 1] = offset[i] + stop[i] - start[i]
    rows, columns = np.empty(offset[-1], np.int32), np.empty(offset[-1], np.int32)
    for i in range(y.size):
        for x in range(start[i], stop[i]):
            k = offset[i] + x - start[i]
            rows[k], columns[k] = y[i], x
    return rows, columns, offset


@njit(cache=True, nogil=True)
def values_at(image, first, rows, columns):  # pragma: no cover - compiled
    """Return the values of an image, whose first row has the number ``first``, at pixels, as float32."""
    out = np.empty(rows.size, np.float32)
    for k in range(rows.size):
        out[k] = image[rows[k] - first, columns[k]]
    return out


@njit(cache=True, nogil=True)
def paint(image, rows, columns, labels):  # pragma: no cover - compiled
    """Write labels into an image."""
    for k in range(rows.size):
        image[rows[k], columns[k]] = labels[k]
