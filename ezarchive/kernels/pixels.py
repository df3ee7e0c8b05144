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


@njit(cache=True, nogil=True)
def share_out(members, first, kept, row_left, rows, columns, noise):  # pragma: no cover - compiled
    """Share out the pixels above the threshold between the objects that are kept, and those that stay masked all the same.

    Parameters
    ----------
    members, first : array of int32
        Pixels of each object, and where each begins, as `deblending.deblend` gives them.
    kept : array of bool, shape (n,)
        Objects that are kept.
    row_left : array of int32, shape (n,)
        Of the others: the row whose pixels stay masked, or -1.
    rows, columns : array of int32
        Places of all pixels.
    noise : array of float32
        Of all pixels, or empty.

    Returns
    -------
    source, y, x : array of int32
        Object (counted among those kept), row and column of the pixels of the objects that are kept.
    noise : array of float32
        Of the same pixels, or empty.
    loose_y, loose_x : array of int32
        Row and column of the pixels that stay masked: those of no object, and those that removed ones leave.
    """
    n_kept, n_loose = 0, 0
    alone = np.ones(rows.size, np.bool_)
    for i in range(kept.size):
        for k in range(first[i], first[i + 1]):
            p = members[k]
            alone[p] = not kept[i] and rows[p] == row_left[i]
            n_kept += kept[i]
    for p in range(rows.size):
        n_loose += alone[p]
    source, y, x = np.empty(n_kept, np.int32), np.empty(n_kept, np.int32), np.empty(n_kept, np.int32)
    own_noise = np.empty(n_kept if noise.size else 0, np.float32)
    at, number = 0, 0
    for i in range(kept.size):
        if not kept[i]:
            continue
        for k in range(first[i], first[i + 1]):
            p = members[k]
            source[at], y[at], x[at] = number, rows[p], columns[p]
            if noise.size:
                own_noise[at] = noise[p]
            at += 1
        number += 1
    loose_y, loose_x = np.empty(n_loose, np.int32), np.empty(n_loose, np.int32)
    at = 0
    for p in range(rows.size):
        if alone[p]:
            loose_y[at], loose_x[at] = rows[p], columns[p]
            at += 1
    return source, y, x, own_noise, loose_y, loose_x
