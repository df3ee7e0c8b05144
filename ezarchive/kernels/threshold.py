"""Smooth an image and list the pixels above a threshold as runs along rows: most of the sky holds none."""

from __future__ import annotations

import numpy as np
from numba import njit

from ezarchive.kernels.lists import longer

_BLOCK = 64
"""Pixels of a row that are looked at together: where none is above the threshold, the next ones are looked at."""


@njit(cache=True, nogil=True, error_model="numpy")
def runs_above(data, first, last, weights, smooth, level, noise, limit):  # pragma: no cover - compiled
    """List the runs of pixels of rows ``first`` to ``last`` whose smoothed value is above the threshold.

    Parameters
    ----------
    data : array of float32, shape (ny, nx)
        Background-subtracted pixels, all finite.
    first, last : int
        Rows; those beside them are read too, for the smoothing.
    weights : array of float32, shape (3, 3)
        The kernel, normalised. Off the image pixels are zero.
    smooth : bool
        Whether to smooth at all.
    level : float32
        Threshold: in the unit of the pixels, or of `noise` where that is given.
    noise : array of float32, shape (last - first, nx), or (0, 0)
        Noise per pixel of these rows; empty for one threshold everywhere.
    limit : int
        Nothing more is looked for after so many pixels.

    Returns
    -------
    y, start, stop : array of int32, shape (n_runs,)
        Row, first column and the column after the last.
    smoothed : array of float32
        Smoothed values of the pixels of all runs, one after the other.
    """
    ny, nx = data.shape
    mapped = noise.size > 0
    outside, row, limits = np.zeros(nx, np.float32), np.empty(nx, np.float32), np.empty(nx, np.float32)
    for x in range(nx):
        limits[x] = level
    ys, starts, stops = np.empty(1024, np.int32), np.empty(1024, np.int32), np.empty(1024, np.int32)
    values = np.empty(8192, np.float32)
    n_runs, n_values = 0, 0
    for y in range(max(first, 0), min(last, ny)):
        middle = data[y]
        if smooth:
            above, below = data[y - 1] if y > 0 else outside, data[y + 1] if y + 1 < ny else outside
            _smooth(above, middle, below, weights, row)
        else:
            for x in range(nx):
                row[x] = middle[x]
        if mapped:
            for x in range(nx):
                limits[x] = level * noise[y - first, x]
        start = -1
        for block in range(0, nx, _BLOCK):
            end = min(block + _BLOCK, nx)
            if start < 0 and not _any_above(row, limits, block, end):
                continue
            if n_values + _BLOCK > values.size:
                values = longer(values)
            for i in range(block, end):
                if row[i] > limits[i]:
                    start = i if start < 0 else start
                    values[n_values] = row[i]
                    n_values += 1
                elif start >= 0:
                    if n_runs == ys.size:
                        ys, starts, stops = longer(ys), longer(starts), longer(stops)
                    ys[n_runs], starts[n_runs], stops[n_runs] = y, start, i
                    n_runs, start = n_runs + 1, -1
        if start >= 0:
            if n_runs == ys.size:
                ys, starts, stops = longer(ys), longer(starts), longer(stops)
            ys[n_runs], starts[n_runs], stops[n_runs] = y, start, nx
            n_runs += 1
        if n_values > limit:
            break
    return ys[:n_runs].copy(), starts[:n_runs].copy(), stops[:n_runs].copy(), values[:n_values].copy()


@njit(cache=True, nogil=True, error_model="numpy")
def _smooth(above, middle, below, weights, row):  # pragma: no cover - compiled
    """Smooth one row; the sums are taken in the order of the kernel's cells."""
    nx = row.size
    w00, w01, w02 = weights[0, 0], weights[0, 1], weights[0, 2]
    w10, w11, w12 = weights[1, 0], weights[1, 1], weights[1, 2]
    w20, w21, w22 = weights[2, 0], weights[2, 1], weights[2, 2]
    for x in range(1, nx - 1):
        total = w00 * above[x - 1] + w01 * above[x] + w02 * above[x + 1]
        total = total + w10 * middle[x - 1] + w11 * middle[x] + w12 * middle[x + 1]
        row[x] = total + w20 * below[x - 1] + w21 * below[x] + w22 * below[x + 1]
    for x in (0, nx - 1):
        total = np.float32(0.0)
        for line, wl, wm, wr in ((above, w00, w01, w02), (middle, w10, w11, w12), (below, w20, w21, w22)):
            if x > 0:
                total = total + wl * line[x - 1]
            total = total + wm * line[x]
            if x + 1 < nx:
                total = total + wr * line[x + 1]
        row[x] = total


@njit(cache=True, nogil=True, error_model="numpy")
def _any_above(row, limits, first, last):  # pragma: no cover - compiled
    # Slices and a small integer: so the loop is one of vectors, nine times as fast.
    values, levels, found = row[first:last], limits[first:last], np.uint32(0)
    for i in range(values.size):
        found |= np.uint32(values[i] > levels[i])
    return found > 0
