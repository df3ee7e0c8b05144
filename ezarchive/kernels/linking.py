"""Join runs of pixels into 8-connected components, in one pass over the rows.

The pixels of a component come in the order in which the one-pass algorithm of Lutz (1980, Computer Journal 23, 262) chains them, for
later sums and the random sharing of a blend's outskirts depend on that order: a run that meets components of the row before takes over
their chains where it meets them.
"""

from __future__ import annotations

from numba import njit

SCRATCH_ROWS = 12
"""Rows of the scratch array of `link`."""


@njit(cache=True, nogil=True, error_model="numpy")
def _root(parent, i):  # pragma: no cover - compiled
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@njit(cache=True, nogil=True, error_model="numpy")
def link(y, start, stop, offset, n_runs, min_area, scratch, order, begin):  # pragma: no cover - compiled
    """Join runs into components.

    Parameters
    ----------
    y, start, stop : array of int32
        Row, first column and the column after the last of each run, in the order of rows and columns.
    offset : array of int32
        Place of the first pixel of each run in the list of all pixels.
    n_runs : int
        Runs to be joined: the first of those given.
    min_area : int
        Smaller components are left out.
    scratch : array of int32, shape (12, at least 2 n_runs + 1)
        Overwritten.
    order : array of int32
        Filled with the places of the pixels, component after component, chained as Lutz does. Components come in the order of their
        last rows, and in one row in that of the last pixels there.
    begin : array of int32
        Filled with where each component begins in `order`; one more tells where the last one ends.

    Returns
    -------
    int
        Number of components.
    """
    owner, parent, head, tail, area, last_row = scratch[0], scratch[1], scratch[2], scratch[3], scratch[4], scratch[5]
    last_run, lead, piece_at, piece_n, following, seen = scratch[6], scratch[7], scratch[8], scratch[9], scratch[10], scratch[11]
    n_pieces, n_found, n_out = 0, 0, 0
    begin[0] = 0
    before_first, before_last = 0, 0
    row_first = 0
    while True:
        # Runs of the row above are before_first .. before_last, unless a row lies between.
        row = y[row_first] if row_first < n_runs else -1
        row_last = row_first
        while row_last < n_runs and y[row_last] == row:
            row_last += 1
        touching = before_last > before_first and row >= 0 and y[before_first] == row - 1
        reach = before_first
        for i in range(row_first, row_last):
            a, b = start[i], stop[i]
            place, current = a, -1
            if touching:
                while reach < before_last and stop[reach] < a:
                    reach += 1
                t = reach
                while t < before_last and start[t] <= b:
                    other = _root(parent, owner[t])
                    if start[t] < a:
                        current = other
                    else:
                        if current < 0:
                            current = i
                            parent[i], head[i], tail[i], area[i] = i, -1, -1, 0
                        if start[t] > place:
                            at, n = offset[i] + place - a, start[t] - place
                            n_pieces = _append(piece_at, piece_n, following, head, tail, area, current, at, n, n_pieces)
                            place = start[t]
                        if other != current:
                            if lead[t]:
                                current = _join(parent, head, tail, area, following, current, other)
                            else:
                                current = _join(parent, head, tail, area, following, other, current)
                    t += 1
            if current < 0:
                current = i
                parent[i], head[i], tail[i], area[i] = i, -1, -1, 0
            if b > place:
                at, n = offset[i] + place - a, b - place
                n_pieces = _append(piece_at, piece_n, following, head, tail, area, current, at, n, n_pieces)
            owner[i] = current
        for i in range(row_first, row_last):
            root = _root(parent, owner[i])
            last_row[root], last_run[root], seen[root] = row, i, 0
        for i in range(row_first, row_last):
            root = _root(parent, owner[i])
            lead[i] = seen[root] == 0
            seen[root] = 1
        for t in range(before_first, before_last):
            root = _root(parent, owner[t])
            if last_run[root] != t or (row >= 0 and last_row[root] == row):
                continue
            if area[root] < min_area:
                continue
            piece = head[root]
            while piece >= 0:
                for p in range(piece_at[piece], piece_at[piece] + piece_n[piece]):
                    order[n_out] = p
                    n_out += 1
                piece = following[piece]
            n_found += 1
            begin[n_found] = n_out
        if row_first >= n_runs:
            break
        before_first, before_last = row_first, row_last
        row_first = row_last
    return n_found


@njit(cache=True, nogil=True, error_model="numpy")
def _append(piece_at, piece_n, following, head, tail, area, to, at, n, n_pieces):  # pragma: no cover - compiled
    piece_at[n_pieces], piece_n[n_pieces], following[n_pieces] = at, n, -1
    if head[to] < 0:
        head[to] = n_pieces
    else:
        following[tail[to]] = n_pieces
    tail[to] = n_pieces
    area[to] += n
    return n_pieces + 1


@njit(cache=True, nogil=True, error_model="numpy")
def _join(parent, head, tail, area, following, one, other):  # pragma: no cover - compiled
    """Put the chain of another component behind that of one; return the component they are now."""
    if head[one] < 0:
        head[one], tail[one] = head[other], tail[other]
    elif head[other] >= 0:
        following[tail[one]] = head[other]
        tail[one] = tail[other]
    area[one] += area[other]
    parent[other] = one
    return one
