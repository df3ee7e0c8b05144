"""Compiled loop that shares the detections of crowded places among centres, image after image."""

from __future__ import annotations

import numpy as np
from numba import njit

from ezarchive.kernels.lists import longer

_STEP_Y, _STEP_X = 1 << 21, 1 << 42


@njit(cache=True, nogil=True, error_model="numpy")
def _cell(x, y, z, step):  # pragma: no cover - compiled
    half = 1 << 20
    return (np.int64(np.floor(x / step)) + half) << 42 | (np.int64(np.floor(y / step)) + half) << 21 | (np.int64(np.floor(z / step)) + half)


@njit(cache=True, nogil=True, error_model="numpy")
def _slot(table, key):  # pragma: no cover - compiled
    """Return the place of a cell in a hash table whose length is a power of two."""
    mask = np.uint64(len(table) - 1)
    mixed = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    at = (mixed ^ (mixed >> np.uint64(29))) & mask
    while table[at] != -1 and table[at] != key:
        at = (at + np.uint64(1)) & mask
    return at


@njit(cache=True, nogil=True, error_model="numpy")
def _enter(table, head, chain, node, who, key, centre):  # pragma: no cover - compiled
    """Put a centre at the head of the list of a cell."""
    at = _slot(table, key)
    table[at] = key
    who[node] = centre
    chain[node] = head[at]
    head[at] = node


@njit(cache=True, nogil=True, error_model="numpy")
def _sort(order, cost, count):  # pragma: no cover - compiled
    """Fill `order` with the places of the lowest costs, then the next; of equal ones the first comes first (Shell's method)."""
    for i in range(count):
        order[i] = i
    gap = 1
    while gap < count:
        gap = 3 * gap + 1
    while gap > 0:
        for i in range(gap, count):
            place, j = order[i], i
            while j >= gap:
                other = order[j - gap]
                if cost[other] < cost[place] or (cost[other] == cost[place] and other < place):
                    break
                order[j] = other
                j -= gap
            order[j] = place
        gap //= 3


@njit(cache=True, nogil=True, error_model="numpy")
def share(points, component, image, night, old, known, known_component, step, limit, min_nights):  # pragma: no cover - compiled
    """Give each detection to a centre, no two of an image to the same one.

    Parameters
    ----------
    points : array of float64, shape (n, 3)
        Unit vectors of detections, image after image in the order of time.
    component : array of int64, shape (n,)
        Detections go to centres of their own component only.
    image : array of int64, shape (n,)
        Number of the image: equal for the detections of one, which follow each other.
    night : array of int64, shape (n,)
    old : array of bool, shape (n,)
        Detections that the known centres have had their chance at.
    known : array of float64, shape (k, 3)
        Centres that stay where they are.
    known_component : array of int64, shape (k,)
    step : float
        Width of the cells that centres are found by: the reach or more.
    limit : float
        Square of the chord of the reach.
    min_nights : int
        Nights after which a new centre is served before those with fewer.

    Returns
    -------
    centre : array of int64, shape (n,)
        0 to k: known; from k on: new ones in the order of their founding. Everyone gets one.
    mean : array of float64, shape (c, 3)
        Of all centres, those that are known first.
    component : array of int64, shape (c,)
        Of all centres.
    """
    n, k = len(points), len(known)
    total = n + k
    out = np.full(n, -1, np.int64)
    mean, sums, members = np.empty((total, 3)), np.zeros((total, 3)), np.zeros(total, np.int64)
    group, cell = np.empty(total, np.int64), np.empty(total, np.int64)
    nights, first, last = np.zeros(total, np.int64), np.zeros(total, np.int64), np.zeros(total, np.int64)
    taken = np.full(total, -1, np.int64)
    size = 16
    while size < 2 * (total + n):
        size *= 2
    table, head = np.full(size, -1, np.int64), np.full(size, -1, np.int64)
    chain, who = np.empty(total + n, np.int64), np.empty(total + n, np.int64)
    offered, to, order, cost = np.empty(64, np.int64), np.empty(64, np.int64), np.empty(64, np.int64), np.empty(64)
    n_nodes, count = 0, k
    for c in range(k):
        for axis in range(3):
            mean[c, axis] = known[c, axis]
        group[c] = known_component[c]
        nights[c] = min_nights
        cell[c] = _cell(mean[c, 0], mean[c, 1], mean[c, 2], step)
        _enter(table, head, chain, n_nodes, who, cell[c], c)
        n_nodes += 1
    begin = 0
    while begin < n:
        end = begin + 1
        while end < n and image[end] == image[begin]:
            end += 1
        n_offers = 0
        for i in range(begin, end):
            own = _cell(points[i, 0], points[i, 1], points[i, 2], step)
            for dx in range(-1, 2):
                for dy in range(-1, 2):
                    for dz in range(-1, 2):
                        key = own + dx * _STEP_X + dy * _STEP_Y + dz
                        node = head[_slot(table, key)]
                        while node >= 0:
                            c = who[node]
                            node = chain[node]
                            if cell[c] != key or group[c] != component[i] or (c < k and old[i]):
                                continue
                            x, y, z = points[i, 0] - mean[c, 0], points[i, 1] - mean[c, 1], points[i, 2] - mean[c, 2]
                            square = x * x + y * y + z * z
                            if square <= limit:
                                if n_offers == len(cost):
                                    offered, to, cost, order = longer(offered), longer(to), longer(cost), longer(order)
                                offered[n_offers], to[n_offers] = i, c
                                # Those that are objects by now come before those that may never be.
                                cost[n_offers] = square / limit + (0.0 if nights[c] >= min_nights else 2.0)
                                n_offers += 1
        _sort(order, cost, n_offers)
        for place in range(n_offers):
            at = order[place]
            if out[offered[at]] < 0 and taken[to[at]] != image[begin]:
                out[offered[at]] = to[at]
                taken[to[at]] = image[begin]
        for i in range(begin, end):
            c = out[i]
            if c < 0:
                c = count
                count += 1
                out[i] = c
                group[c] = component[i]
                cell[c] = -1
            if c < k:
                continue
            members[c] += 1
            for axis in range(3):
                sums[c, axis] += points[i, axis]
                mean[c, axis] = sums[c, axis] / members[c]
            if members[c] == 1:
                nights[c], first[c], last[c] = 1, night[i], night[i]
            elif night[i] > last[c] or night[i] < first[c]:
                nights[c] += 1
                first[c], last[c] = min(first[c], night[i]), max(last[c], night[i])
            key = _cell(mean[c, 0], mean[c, 1], mean[c, 2], step)
            if key != cell[c]:
                cell[c] = key
                _enter(table, head, chain, n_nodes, who, key, c)
                n_nodes += 1
        begin = end
    return out, mean[:count], group[:count]
