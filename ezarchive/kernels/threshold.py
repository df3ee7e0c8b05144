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
    w00, w01, w02 = weights[0, 0], weights[0, 1], weights[0, 2]
    w10, w11, w12 = weights[1, 0], weights[1, 1], weights[1, 2]
    w20, w21, w22 = weights[2, 0], weights[2, 1], weights[2, 2]
    lines = np.zeros((3, nx + 2), np.float32)
    row = np.zeros(nx, np.float32)
    limits = np.empty(nx, np.float32)
    for x in range(nx):
        limits[x] = level
    ys, starts, stops = np.empty(1024, np.int32), np.empty(1024, np.int32), np.empty(1024, np.int32)
    values = np.empty(8192, np.float32)
    n_runs, n_values = 0, 0
    for y in range(first - 1, last + 1):
        # The row after the one that is smoothed comes in.
        above, middle, below = lines[(y - first + 2) % 3], lines[(y - first) % 3], lines[(y - first + 1) % 3]
        if 0 <= y < ny:
            for x in range(nx):
                below[x + 1] = data[y, x]
        else:
            for x in range(nx):
                below[x + 1] = 0.0
        centre = y - 1
        if not smooth:
            centre = y
        if centre < first or centre >= last:
            continue
        if smooth:
            for x in range(nx):
                total = w00 * above[x] + w01 * above[x + 1]
                total = total + w02 * above[x + 2]
                total = total + w10 * middle[x]
                total = total + w11 * middle[x + 1]
                total = total + w12 * middle[x + 2]
                total = total + w20 * below[x]
                total = total + w21 * below[x + 1]
                row[x] = total + w22 * below[x + 2]
        else:
            for x in range(nx):
                row[x] = below[x + 1]
        if mapped:
            for x in range(nx):
                limits[x] = level * noise[centre - first, x]
        x, inside = 0, False
        while x < nx:
            end = min(x + _BLOCK, nx)
            if not inside:
                count = 0
                for i in range(x, end):
                    count += row[i] > limits[i]
                if count == 0:
                    x = end
                    continue
            if n_values + _BLOCK > values.size:
                values = longer(values)
            for i in range(x, end):
                if row[i] > limits[i]:
                    if not inside:
                        if n_runs == ys.size:
                            ys, starts, stops = longer(ys), longer(starts), longer(stops)
                        ys[n_runs], starts[n_runs] = centre, i
                        inside = True
                    values[n_values] = row[i]
                    n_values += 1
                elif inside:
                    stops[n_runs] = i
                    n_runs += 1
                    inside = False
            x = end
        if inside:
            stops[n_runs] = nx
            n_runs += 1
        if n_values > limit:
            break
    return ys[:n_runs].copy(), starts[:n_runs].copy(), stops[:n_runs].copy(), values[:n_values].copy()
