"""Remove detections that the wings of a brighter neighbour explain (SExtractor's CLEAN).

Bertin & Arnouts 1996 (A&AS 117, 393), section 3.5: the wings of an object are taken as a Moffat profile with its isophotal shape, amplitude
and area; an object whose pixels would not be detected on top of them is not one.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ezarchive.kernels.lists import sort
from ezarchive.kernels.moments import ABCOR, FLAG

_ZONE = 10.0
"""Neighbours within so many times the sum of their major axes are looked at."""


@njit(cache=True, nogil=True, error_model="numpy")
def heights(members, first, n, smoothed, limits, level, min_area):  # pragma: no cover - compiled
    """Return by how much the ``min_area``-th brightest pixel of each object exceeds the threshold, as float32.

    Approximately: like sep (and SExtractor), the pixel after the first ``min_area`` is left out, the heap of the brightest is repaired in
    its upper part only, and an object of just ``min_area`` pixels is represented by its first.
    """
    out = np.zeros(n, np.float32)
    heap = np.empty(min_area, np.float32)
    for i in range(n):
        count = first[i + 1] - first[i]
        if count < min_area:
            continue
        for k in range(count):
            p = members[first[i] + k]
            height = smoothed[p] - (limits[p] if limits.size else level)
            if k < min_area:
                heap[k] = height
            elif k == min_area:
                sort(heap, 0, min_area)
            elif height > heap[0]:
                heap[0] = height
                _repair(heap, min_area)
        out[i] = heap[0]
    return out


@njit(cache=True, nogil=True)
def _repair(heap, size):  # pragma: no cover - compiled
    at = 0
    while 2 * (at + 1) <= size:
        child = 2 * at + 1
        if child + 1 < size and heap[child] > heap[child + 1]:
            child += 1
        if heap[at] <= heap[child]:
            break
        heap[at], heap[child] = heap[child], heap[at]
        # One further than the child itself: so is it there.
        at = child + 1


@njit(cache=True, nogil=True, error_model="numpy")
def survivors(floats, integers, height, param):  # pragma: no cover - compiled
    """Find the objects that are explained by others.

    Parameters
    ----------
    floats : array, shape (n, N_FLOATS)
    integers : array, shape (n, N_INTEGERS)
        Objects, as `moments.measure` describes them.
    height : array of float32
        Of `heights`.
    param : float
        Exponent of the Moffat profile [CLEAN_PARAM].

    Returns
    -------
    swallowed_by : array of int32, shape (n,)
        The object that explains each one; -1 for those that are kept.
    swallowed_flags : array of int16, shape (n,)
        Flags of all that each one swallowed.
    """
    n = len(floats)
    swallowed_by, swallowed_flags = np.empty(n, np.int32), np.zeros(n, np.int16)
    amplitude, steepness = np.empty(n), np.empty(n)
    for i in range(n):
        swallowed_by[i] = -1
        area = math.pi * floats[i, 9] * floats[i, 10]
        amplitude[i] = floats[i, 15] / (2 * area * floats[i, ABCOR])
        steepness[i] = (math.pow(amplitude[i] / floats[i, 0], 1.0 / param) - 1) * area / integers[i, 0]
    begin, others = _neighbours(floats, n)
    for i in range(n):
        if swallowed_by[i] >= 0:
            continue
        for k in range(begin[i], begin[i + 1]):
            j = others[k]
            if swallowed_by[j] >= 0:
                continue
            dx, dy = np.float32(floats[i, 1] - floats[j, 1]), np.float32(floats[i, 2] - floats[j, 2])
            reach = np.float32(floats[i, 9]) + np.float32(floats[j, 9])
            reach *= reach
            if np.float64(dx * dx + dy * dy) > np.float64(reach) * _ZONE * _ZONE:
                continue
            bright, faint = (i, j) if floats[j, 15] < floats[i, 15] else (j, i)
            cxx, cyy, cxy = np.float32(floats[bright, 12]), np.float32(floats[bright, 13]), np.float32(floats[bright, 14])
            profile = 1 + steepness[bright] * np.float64(cxx * dx * dx + cyy * dy * dy + cxy * dx * dy)
            if profile > 1.0:
                wing = amplitude[bright] * math.pow(profile, -param) if profile < 1e10 else 0.0
                if np.float32(wing) > height[faint]:
                    swallowed_by[faint] = bright
                    swallowed_flags[bright] |= swallowed_flags[faint] | integers[faint, FLAG]
    return swallowed_by, swallowed_flags


@njit(cache=True, nogil=True, error_model="numpy")
def _neighbours(floats, n):  # pragma: no cover - compiled
    """List for each object the later ones that may lie within its zone or it in theirs, in order."""
    cell = 64.0
    x_max, y_max = 0.0, 0.0
    for i in range(n):
        x_max, y_max = max(x_max, floats[i, 1]), max(y_max, floats[i, 2])
    columns, lines = int(x_max / cell) + 1, int(y_max / cell) + 1
    at = np.empty((n, 2), np.int32)
    first = np.zeros(columns * lines + 1, np.int32)
    for i in range(n):
        at[i, 0] = min(max(int(floats[i, 1] / cell), 0), columns - 1)
        at[i, 1] = min(max(int(floats[i, 2] / cell), 0), lines - 1)
        first[at[i, 1] * columns + at[i, 0] + 1] += 1
    for c in range(columns * lines):
        first[c + 1] += first[c]
    fill = np.empty(columns * lines, np.int32)
    for c in range(columns * lines):
        fill[c] = first[c]
    sorted_ = np.empty(n, np.int32)
    for i in range(n):
        c = at[i, 1] * columns + at[i, 0]
        sorted_[fill[c]] = i
        fill[c] += 1
    # Each pair is found from the object with the larger axis: the other one is within twice its zone.
    begin = np.zeros(n + 1, np.int64)
    for turn in range(2):
        if turn:
            for i in range(n):
                begin[i + 1] += begin[i]
            others = np.empty(begin[n], np.int32)
            place = np.empty(n, np.int64)
            for i in range(n):
                place[i] = begin[i]
        for i in range(n):
            reach = 2 * _ZONE * floats[i, 9] * (1 + 1e-6)
            if not reach >= 0:
                continue
            x0, x1 = max(int((floats[i, 1] - reach) / cell), 0), min(int((floats[i, 1] + reach) / cell), columns - 1)
            y0, y1 = max(int((floats[i, 2] - reach) / cell), 0), min(int((floats[i, 2] + reach) / cell), lines - 1)
            for y in range(y0, y1 + 1):
                for k in range(first[y * columns + x0], first[y * columns + x1 + 1]):
                    j = sorted_[k]
                    if floats[j, 9] > floats[i, 9] or (floats[j, 9] == floats[i, 9] and j <= i):
                        continue
                    low, high = min(i, j), max(i, j)
                    if low == high:
                        continue
                    dx, dy = floats[i, 1] - floats[j, 1], floats[i, 2] - floats[j, 2]
                    if dx * dx + dy * dy > reach * reach:
                        continue
                    if turn:
                        others[place[low]] = high
                        place[low] += 1
                    else:
                        begin[low + 1] += 1
    for i in range(n):
        sort(others, begin[i], begin[i + 1])
    return begin, others
