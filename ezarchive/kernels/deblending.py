"""Take blends apart by many thresholds, as SExtractor does, and measure every object.

Bertin & Arnouts 1996 (A&AS 117, 393), section 3.4: thresholds between that of detection and the peak, evenly spaced in the logarithm,
grow a tree of components; where at least two branches hold more than a share (``mincont``) of the light of all, they are objects of their
own. The pixels below them are shared at random, in proportion to the Gaussian profile of each branch there. sep draws with the C library's
``rand_r`` from a seed of 1 for each image; so does this, with glibc's constants on every system, so that both share alike.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ezarchive.kernels.linking import SCRATCH_ROWS, link
from ezarchive.kernels.lists import longer, sort, taller
from ezarchive.kernels.moments import ABCOR, FLAG, MERGED, N_FLOATS, N_INTEGERS, edge_flag, measure

_BRANCH_AREA = 3
"""Least pixels of a branch, if not of an object."""
_GRID_AREA = 1 << 16
"""Components with larger boxes are not looked through for a single peak first."""


@njit(cache=True, nogil=True, error_model="numpy")
def deblend(
    order, begin, n_components, rows, columns, smoothed, values, noise, limits, level, n_thresh, mincont, min_area, ny, nx
):  # pragma: no cover - compiled
    """Deblend and measure components.

    Parameters
    ----------
    order, begin : array of int32
        Pixels of each component, as `linking.link` gives them.
    n_components : int
    rows, columns : array of int32
        Places of all pixels, in the order of rows and columns.
    smoothed, values : array of float32
        Smoothed and plain values.
    noise, limits : array of float32
        Noise and threshold of each pixel; empty for one threshold.
    level : float32
        That threshold.
    n_thresh : int
        Thresholds between detection and peak.
    mincont : float
        Least share of the light of a branch.
    min_area : int
        Least pixels of an object.
    ny, nx : int
        Rows and columns of the image.

    Returns
    -------
    floats : array of float64, shape (n, N_FLOATS)
    integers : array of int64, shape (n, N_INTEGERS)
        As `moments` names them.
    members, first : array of int32
        Pixels of each object, object after object, and where each begins; one more tells where the last one ends.
    last_row : array of int32, shape (n,)
        Last row of the component that each object comes from.
    """
    n_pixels = begin[n_components]
    room = max(n_components + n_components // 4, 16)
    floats, integers = np.zeros((room, N_FLOATS)), np.zeros((room, N_INTEGERS), np.int64)
    members, first, last_row = np.empty(n_pixels, np.int32), np.zeros(room + 1, np.int32), np.zeros(room, np.int32)
    longest = 1
    for c in range(n_components):
        longest = max(longest, begin[c + 1] - begin[c])
    branch_area = min(min_area, _BRANCH_AREA)
    grid, taken, random = np.zeros(_GRID_AREA, np.int32), np.zeros(rows.size, np.bool_), np.ones(1, np.int64)
    scratch = np.empty((SCRATCH_ROWS, 2 * longest + 1), np.int32)
    work = np.empty((9, longest + 1), np.int32)
    n = 0
    for c in range(n_components):
        start, stop = begin[c], begin[c + 1]
        thresh = level
        if limits.size:
            thresh = _mean_limit(limits, order, start, stop)
        n_parts = 0
        may_split = n_thresh > 1 and mincont < 1.0 and stop - start > 2 * branch_area
        if may_split and not _single_peak(order, start, stop, rows, columns, smoothed, grid):
            branches, ends, branch_thresh = _branches(
                order, start, stop, rows, columns, smoothed, thresh, n_thresh, mincont, branch_area, scratch, work
            )
            n_parts = ends.size - 1
        while n + max(n_parts, 1) > floats.shape[0]:
            floats, integers, first, last_row = taller(floats), taller(integers), longer(first), longer(last_row)
        at = first[n]
        bottom = 0
        for k in range(start, stop):
            bottom = max(bottom, rows[order[k]])
        for i in range(max(n_parts, 1)):
            last_row[n + i] = bottom
        if n_parts == 0:
            for k in range(start, stop):
                members[at + k - start] = order[k]
            first[n + 1] = at + stop - start
            integers[n, FLAG] = edge_flag(order, start, stop, rows, columns, ny, nx)
            measure(members, at, first[n + 1], rows, columns, smoothed, values, noise, thresh, False, floats[n], integers[n])
            n += 1
            continue
        for i in range(n_parts):
            integers[n + i, FLAG] = MERGED | edge_flag(branches, ends[i], ends[i + 1], rows, columns, ny, nx)
            part, own = branch_thresh[i], (floats[n + i], integers[n + i])
            measure(branches, ends[i], ends[i + 1], rows, columns, smoothed, values, noise, part, False, own[0], own[1])
        goes_to = _share(order, start, stop, rows, columns, branches, ends, thresh, floats, n, n_parts, taken, random)
        for i in range(n_parts):
            for k in range(ends[i], ends[i + 1]):
                members[at] = branches[k]
                at += 1
            for k in range(start, stop):
                if goes_to[k - start] == i:
                    members[at] = order[k]
                    at += 1
            first[n + i + 1] = at
            measure(members, first[n + i], at, rows, columns, smoothed, values, noise, thresh, True, floats[n + i], integers[n + i])
        n += n_parts
    return floats[:n], integers[:n], members, first[: n + 1], last_row[:n]


@njit(cache=True, nogil=True, error_model="numpy")
def _mean_limit(limits, order, start, stop):  # pragma: no cover - compiled
    total = 0.0
    for k in range(start, stop):
        total += limits[order[k]]
    return np.float32(total / (stop - start))


@njit(cache=True, nogil=True, error_model="numpy")
def _single_peak(order, start, stop, rows, columns, smoothed, grid):  # pragma: no cover - compiled
    """Whether only one pixel of a component is higher than its neighbours: then no threshold takes it apart."""
    x_min = x_max = columns[order[start]]
    y_min = y_max = rows[order[start]]
    for k in range(start, stop):
        p = order[k]
        x_min, x_max = min(x_min, columns[p]), max(x_max, columns[p])
        y_min, y_max = min(y_min, rows[p]), max(y_max, rows[p])
    width = x_max - x_min + 3
    if width * (y_max - y_min + 3) > grid.size:
        return False
    for k in range(start, stop):
        p = order[k]
        grid[(rows[p] - y_min + 1) * width + columns[p] - x_min + 1] = p + 1
    peaks = 0
    for k in range(start, stop):
        p = order[k]
        at = (rows[p] - y_min + 1) * width + columns[p] - x_min + 1
        highest = True
        for dy in range(-1, 2):
            for dx in range(-1, 2):
                q = grid[at + dy * width + dx] - 1
                # Of equal ones the later counts as higher.
                if q >= 0 and (smoothed[q] > smoothed[p] or (smoothed[q] == smoothed[p] and q > p)):
                    highest = False
        peaks += highest
    for k in range(start, stop):
        p = order[k]
        grid[(rows[p] - y_min + 1) * width + columns[p] - x_min + 1] = 0
    return peaks < 2


@njit(cache=True, nogil=True, error_model="numpy")
def _branches(order, start, stop, rows, columns, smoothed, thresh, n_thresh, mincont, branch_area, scratch, work):  # pragma: no cover
    """Grow the tree of a component and cut it.

    Returns the pixels of the branches that are objects, where each begins (one more for the end), and the threshold of each; no branch
    where the component is one object.
    """
    active, label, carried, sequence, begin = work[0], work[1], work[2], work[7], work[8]
    n = stop - start
    flux, peak = _begin(order, start, stop, smoothed, active, label)
    least, base, top = np.float64(flux) * mincont, np.float64(thresh), np.float64(peak)
    # Nodes of the tree, level by level, and within a level parent by parent; `store` holds their pixels.
    parent, size, where, heavy = np.zeros(64, np.int32), np.zeros(64, np.int32), np.zeros(64, np.int32), np.zeros(64, np.bool_)
    level_first, levels = np.zeros(n_thresh + 1, np.int32), np.zeros(n_thresh, np.float32)
    store, n_store, n_nodes, n_levels = np.empty(4 * n, np.int32), 0, 1, 1
    level_first[1] = 1
    for k in range(1, n_thresh):
        limit = np.float32(base * math.pow(top / base, k / n_thresh)) if top > 0.0 else np.float32(base)
        levels[k] = limit
        n, n_runs = _runs_of_level(n, rows, columns, smoothed, limit, work)
        found = link(work[3], work[4], work[5], work[6], n_runs, branch_area, scratch, sequence, begin) if n else 0
        if found == 0:
            break
        while n_nodes + found > parent.size:
            parent, size, where, heavy = longer(parent), longer(size), longer(where), longer(heavy)
        while n_store + begin[found] > store.size:
            store = longer(store)
        for i in range(n):
            label[i] = -1
        # Children of one parent follow one another; those of the first parent come first.
        ranks = np.empty(found, np.int64)
        for j in range(found):
            ranks[j] = carried[sequence[begin[j]]] * found + j
        sort(ranks, 0, found)
        for rank in ranks:
            j, light = rank % found, 0.0
            where[n_nodes], size[n_nodes], parent[n_nodes] = n_store, begin[j + 1] - begin[j], rank // found
            for q in range(begin[j], begin[j + 1]):
                p = active[sequence[q]]
                store[n_store] = p
                n_store += 1
                label[sequence[q]] = n_nodes
                light += smoothed[p]
            heavy[n_nodes] = np.float32(light) - limit * np.float32(size[n_nodes]) > least
            n_nodes += 1
        n_levels = k + 1
        level_first[n_levels] = n_nodes
    chosen, n_chosen = _cut(parent, heavy, level_first, n_levels)
    return _pixels_of(chosen, n_chosen, size, where, store, level_first, levels)


@njit(cache=True, nogil=True, error_model="numpy")
def _begin(order, start, stop, smoothed, active, label):  # pragma: no cover - compiled
    """List the pixels of a component by rows and columns; return its light and its peak."""
    total, peak = 0.0, np.float32(-1e30)
    for k in range(start, stop):
        active[k - start], label[k - start] = order[k], 0
        total += smoothed[order[k]]
        peak = max(peak, smoothed[order[k]])
    # The places of pixels grow with rows and columns.
    sort(active, 0, stop - start)
    return np.float32(total), peak


@njit(cache=True, nogil=True, error_model="numpy")
def _runs_of_level(n, rows, columns, smoothed, limit, work):  # pragma: no cover - compiled
    """Keep the pixels of branches that are above a threshold, and join them to runs; return the number of both."""
    active, label, carried = work[0], work[1], work[2]
    run_y, run_start, run_stop, run_at = work[3], work[4], work[5], work[6]
    kept, n_runs = 0, 0
    for i in range(n):
        p = active[i]
        if label[i] < 0 or not smoothed[p] > limit:
            continue
        if kept > 0 and active[kept - 1] == p - 1 and rows[p - 1] == rows[p] and columns[p - 1] == columns[p] - 1:
            run_stop[n_runs - 1] += 1
        else:
            run_y[n_runs], run_start[n_runs], run_stop[n_runs], run_at[n_runs] = rows[p], columns[p], columns[p] + 1, kept
            n_runs += 1
        active[kept], carried[kept] = p, label[i]
        kept += 1
    return kept, n_runs


@njit(cache=True, nogil=True, error_model="numpy")
def _pixels_of(chosen, n_chosen, size, where, store, level_first, levels):  # pragma: no cover - compiled
    """Return the pixels of the chosen nodes, where each begins, and its threshold."""
    ends, thresh = np.zeros(n_chosen + 1, np.int32), np.empty(n_chosen, np.float32)
    for i in range(n_chosen):
        ends[i + 1] = ends[i] + size[chosen[i]]
    pixels = np.empty(ends[n_chosen], np.int32)
    for i in range(n_chosen):
        for q in range(size[chosen[i]]):
            pixels[ends[i] + q] = store[where[chosen[i]] + q]
        k = 0
        while level_first[k + 1] <= chosen[i]:
            k += 1
        thresh[i] = levels[k]
    return pixels, ends, thresh


@njit(cache=True, nogil=True, error_model="numpy")
def _cut(parent, heavy, level_first, n_levels):  # pragma: no cover - compiled
    """Choose the nodes that are objects, from the top of the tree down; none where the root is whole."""
    n_nodes = level_first[n_levels]
    whole = np.ones(n_nodes, np.bool_)
    chosen, n_chosen = np.empty(n_nodes, np.int32), 0
    for k in range(n_levels - 2, -1, -1):
        son = level_first[k + 1]
        for node in range(level_first[k], level_first[k + 1]):
            first, count = son, 0
            while son < level_first[k + 2] and parent[son] == node:
                count += heavy[son]
                whole[node] &= whole[son]
                son += 1
            if count > 1:
                for j in range(first, son):
                    if whole[j] and heavy[j]:
                        chosen[n_chosen] = j
                        n_chosen += 1
                whole[node] = False
    return chosen, 0 if whole[0] else n_chosen


@njit(cache=True, nogil=True, error_model="numpy")
def _share(order, start, stop, rows, columns, branches, ends, thresh, floats, n, n_parts, taken, random):  # pragma: no cover - compiled
    """Return which branch each pixel of a blend goes to, -1 for those that are in one already."""
    for k in range(ends[n_parts]):
        taken[branches[k]] = True
    height, chance = np.empty(n_parts, np.float32), np.zeros(n_parts + 1, np.float32)
    for i in range(n_parts):
        a, b, abcor, peak = floats[n + i, 9], floats[n + i, 10], floats[n + i, ABCOR], np.float32(floats[n + i, 17])
        steep = np.float32((ends[i + 1] - ends[i]) / (2 * math.pi * abcor * a * b))
        height[i] = thresh * math.exp(steep) if steep < 70.0 else np.float32(4.0 * np.float64(peak))
        if np.float64(height[i]) > 4.0 * np.float64(peak):
            height[i] = np.float32(4.0 * np.float64(peak))
    goes_to = np.empty(stop - start, np.int32)
    nearest = 0
    for k in range(start, stop):
        p = order[k]
        goes_to[k - start] = -1
        if taken[p]:
            continue
        closest = np.float32(1e31)
        for i in range(n_parts):
            dx, dy = np.float32(columns[p] - floats[n + i, 1]), np.float32(rows[p] - floats[n + i, 2])
            cxx, cyy, cxy = np.float32(floats[n + i, 12]), np.float32(floats[n + i, 13]), np.float32(floats[n + i, 14])
            distance = np.float32(0.5 * np.float64(cxx * dx * dx + cyy * dy * dy + cxy * dx * dy) / floats[n + i, ABCOR])
            more = height[i] * math.exp(-distance) if distance < 70.0 else np.float32(0.0)
            chance[i + 1] = np.float32(np.float64(chance[i]) + np.float64(more))
            if distance < closest:
                closest, nearest = distance, i
        which = nearest
        if chance[n_parts] > 1.0e-31:
            drawn = chance[n_parts] * np.float32(_random(random)) / np.float32(2147483647.0)
            i = 0
            while i < n_parts and chance[i + 1] < drawn:
                i += 1
            if i < n_parts:
                which = i
        goes_to[k - start] = which
    return goes_to


@njit(cache=True, nogil=True)
def _random(state):  # pragma: no cover - compiled
    """Draw as the C library's ``rand_r`` does: three steps of a linear congruential generator, the upper bits of each."""
    result = 0
    for bits in (11, 10, 10):
        state[0] = (state[0] * 1103515245 + 12345) & 0xFFFFFFFF
        result = (result << bits) ^ ((state[0] >> 16) & ((1 << bits) - 1))
    return result
