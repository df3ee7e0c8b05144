"""Compiled loops of the masks: runs of bright pixels, the areas they make, disks over them."""

from __future__ import annotations

import numpy as np
from numba import njit

_RUN = [("y", np.int32), ("first", np.int32), ("last", np.int32), ("n", np.int32), ("sum", float), ("sum_x", float), ("peak", float)]
RUN = np.dtype(_RUN)
"""A stretch of pixels of one row: columns ``first`` to ``last``, sums of the smoothed value (times x), highest pixel as stored."""

AREA = np.dtype([("x", float), ("y", float), ("n", np.int64), ("peak", float)])
"""Connected runs: centroid of the smoothed values, number of pixels, highest pixel as stored."""


@njit(cache=True, nogil=True, error_model="numpy")
def _enter(line: np.ndarray, raw: np.ndarray, level: np.ndarray, left_out: np.ndarray) -> None:
    """Put a row less its level between the two zeros at the ends; what is left out or not finite is zero."""
    for x in range(len(raw)):
        value = np.float32(raw[x] - level[x])
        line[x + 1] = value if np.isfinite(value) else np.float32(0.0)
    for x in range(len(left_out)):
        if left_out[x]:
            line[x + 1] = 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _runs_of_row(smooth: np.ndarray, raw: np.ndarray, row: int, threshold: float, out: np.ndarray, count: int) -> int:
    nx, start = len(raw), -1
    total, moment, peak = 0.0, 0.0, -np.inf
    for x in range(nx + 1):
        if x < nx and smooth[x] > threshold:
            if start < 0:
                start, total, moment, peak = x, 0.0, 0.0, -np.inf
            total += smooth[x]
            moment += smooth[x] * x
            # Comparing so, a pixel that is not a number counts for nothing.
            if raw[x] > peak:
                peak = np.float64(raw[x])
        elif start >= 0:
            run = out[count]
            run["y"], run["first"], run["last"], run["n"] = row, start, x - 1, x - start
            run["sum"], run["sum_x"], run["peak"] = total, moment, peak
            count, start = count + 1, -1
    return count


@njit(cache=True, nogil=True, error_model="numpy")
def bright_runs(  # noqa: PLR0913  a kernel
    raw: np.ndarray, level: np.ndarray, left_out: np.ndarray, top: int, bottom: int, row: int, threshold: float, out: np.ndarray
) -> int:
    """Find the runs above a threshold in rows smoothed with a 3 x 3 pyramid; return how many.

    ``raw`` and ``level`` hold the rows and, where ``top`` (``bottom``) is 1, one more before (after) them. ``left_out`` is of the same
    shape, or empty; those pixels and such as are not finite count as 0. ``row`` is the number of the first row. ``out`` gets the runs.
    """
    rows, nx = raw.shape
    flat = np.zeros((3, nx + 2), np.float32)
    column, smooth = np.empty(nx + 2, np.float32), np.empty(nx, np.float32)
    nothing = np.zeros(0, np.bool_)
    count = 0
    for step in range(-1, rows - bottom):
        entering = flat[(step + 1) % 3]
        if step + 1 < rows:
            _enter(entering, raw[step + 1], level[step + 1], left_out[step + 1] if left_out.size > 0 else nothing)
        else:
            entering[:] = 0.0  # beyond the image
        if step < top:
            continue
        above, here, below = flat[(step - 1) % 3], flat[step % 3], entering
        for x in range(nx + 2):
            column[x] = above[x] + np.float32(2.0) * here[x] + below[x]
        for x in range(nx):
            smooth[x] = (column[x] + np.float32(2.0) * column[x + 1] + column[x + 2]) * np.float32(0.0625)
        count = _runs_of_row(smooth, raw[step], row + step - top, threshold, out, count)
    return count


@njit(cache=True, nogil=True, error_model="numpy")
def _root(parents: np.ndarray, item: int) -> int:
    while parents[item] != item:
        parents[item] = parents[parents[item]]
        item = parents[item]
    return item


@njit(cache=True, nogil=True, error_model="numpy")
def connect(runs: np.ndarray, minarea: int) -> np.ndarray:
    """Join runs that touch (corners count), in the order of rows and columns; return the areas of at least ``minarea`` pixels."""
    n = len(runs)
    parents = np.arange(n)
    before = 0
    for item in range(n):
        y, first, last = runs[item]["y"], runs[item]["first"], runs[item]["last"]
        while before < item and (runs[before]["y"] < y - 1 or (runs[before]["y"] == y - 1 and runs[before]["last"] + 1 < first)):
            before += 1
        other = before
        while other < item and runs[other]["y"] == y - 1 and runs[other]["first"] <= last + 1:
            a, b = _root(parents, other), _root(parents, item)
            parents[max(a, b)] = min(a, b)
            other += 1
    areas = np.zeros(n, AREA)
    sums = np.zeros(n)
    for item in range(n):
        root, run = _root(parents, item), runs[item]
        area = areas[root]
        if area["n"] == 0:
            area["peak"] = -np.inf
        sums[root] += run["sum"]
        area["x"] += run["sum_x"]
        area["y"] += run["sum"] * run["y"]
        area["n"] += run["n"]
        area["peak"] = max(area["peak"], run["peak"])
    count = 0
    for item in range(n):
        if areas[item]["n"] >= minarea:
            areas[count] = areas[item]
            areas[count]["x"] /= sums[item]
            areas[count]["y"] /= sums[item]
            count += 1
    return areas[:count]


@njit(cache=True, nogil=True, error_model="numpy")
def paint_disks(mask: np.ndarray, xs: np.ndarray, ys: np.ndarray, radii: np.ndarray) -> None:
    """Mark the pixels whose centre lies in one of the disks."""
    ny, nx = mask.shape
    for i in range(len(xs)):
        x, y, radius = xs[i], ys[i], radii[i]
        for row in range(max(int(np.ceil(y - radius)), 0), min(int(np.floor(y + radius)), ny - 1) + 1):
            for column in range(max(int(np.ceil(x - radius)), 0), min(int(np.floor(x + radius)), nx - 1) + 1):
                if (column - x) ** 2 + (row - y) ** 2 <= radius * radius:
                    mask[row, column] = True
