"""The background between the nodes of its mesh in single precision, rounded as SExtractor rounds it.

A bicubic spline (Bertin & Arnouts 1996, A&AS 117, 393): along y for each row, then along x. What SExtractor subtracts holds the rounding of
every step, up to 4 units in the last place of the level; fluxes on a bright sky agree to 1e-7 only where the steps are the same.
"""

# Types come from what is passed; the loops are compiled.
# ruff: noqa: ANN001, ANN201, ANN202
from __future__ import annotations

import numpy as np
from numba import njit

_ONE, _TWO, _FOUR, _SIX = np.float32(1), np.float32(2), np.float32(4), np.float32(6)


@njit(cache=True, nogil=True, error_model="numpy")
def curvatures(nodes):  # pragma: no cover - compiled
    """Return the curvature along y at the nodes of a mesh.

    Parameters
    ----------
    nodes : array of float32, shape (ny, nx)

    Returns
    -------
    array of float32, shape (ny, nx)
        Zero at both ends of each column.
    """
    found = np.empty(nodes.shape, np.float32)
    column = np.empty(nodes.shape[0], np.float32)
    work = np.empty(nodes.shape[0], np.float32)
    for x in range(nodes.shape[1]):
        _bend(nodes[:, x], column, work)
        found[:, x] = column
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def _bend(values, found, work):  # pragma: no cover - compiled
    """Solve for the curvatures of a line of nodes; `work` is scratch of their number."""
    n = values.size
    found[:] = np.float32(0)
    work[0] = np.float32(0)
    for k in range(1, n - 1):
        factor = -_ONE / (found[k - 1] + _FOUR)
        found[k] = factor
        work[k] = factor * (work[k - 1] - _SIX * (values[k + 1] + values[k - 1] - _TWO * values[k]))
    if n > 1:
        found[n - 1] = np.float32(0)
    for k in range(n - 2, 0, -1):
        found[k] = (found[k] * found[k + 1] + work[k]) / _SIX


@njit(cache=True, nogil=True, error_model="numpy")
def places(width, nodes, nx):  # pragma: no cover - compiled
    """Return where the columns of an image lie between the nodes.

    Parameters
    ----------
    width : int
        Columns of a box.
    nodes : int
        Nodes along x.
    nx : int
        Columns of the image.

    Returns
    -------
    begin : array of int64, shape (intervals + 1,)
        First column of each interval, and the end of the last one.
    at : array of float32, shape (nx,)
        Distance of a column from the node before it in units of a box, summed up column by column.
    """
    begin = np.full(max(nodes - 1, 1) + 1, nx, np.int64)
    begin[0] = 0
    at = np.empty(nx, np.float32)
    step = _ONE / np.float32(width)
    here = (step - _ONE) / _TWO
    fresh = np.float32((width + 1) % 2) * step / _TWO
    interval = 0
    for x in range(nx):
        at[x] = here
        here = here + step
        if (x + 1) % width == width // 2 and x + 1 > width // 2 and interval < nodes - 2:
            interval += 1
            begin[interval] = x + 1
            here = fresh
    return begin, at


@njit(cache=True, nogil=True, error_model="numpy")
def subtract(image, first, nodes, bent, height, begin, at):  # pragma: no cover - compiled
    """Subtract the map from rows of an image, in place.

    Parameters
    ----------
    image : array of float32, shape (n, nx)
        Overwritten.
    first : int
        Its first row, among those of the whole image.
    nodes, bent : array of float32, shape (nodes along y, nodes along x)
        Level, and curvature along y (`curvatures`).
    height : int
        Rows of a box.
    begin, at
        As of `places`.
    """
    rows, n = nodes.shape
    level, bend, work = np.empty(n, np.float32), np.zeros(n, np.float32), np.empty(n, np.float32)
    back = _ONE - at
    at3, back3 = at * at - _ONE, back * back - _ONE
    for y in range(image.shape[0]):
        _level_of_row(first + y, height, nodes, bent, level)
        if rows > 1:
            # In a mesh of a single row SExtractor joins the nodes by straight lines.
            _bend(level, bend, work)
        for k in range(begin.size - 1):
            follow = min(k + 1, n - 1)
            a, b, c, d = level[k], level[follow], bend[k], bend[follow]
            part = slice(begin[k], begin[k + 1])
            piece, u, v, s, t = image[y, part], back[part], at[part], back3[part], at3[part]
            if n == 1:
                piece -= a
                continue
            for x in range(piece.size):
                piece[x] -= u[x] * (a + s[x] * c) + v[x] * (b + t[x] * d)


@njit(cache=True, nogil=True, error_model="numpy")
def _level_of_row(y, height, nodes, bent, level):  # pragma: no cover - compiled
    """Write the level at the columns of nodes, for one row of the image."""
    last = nodes.shape[0] - 1
    if last == 0:
        level[:] = nodes[0]
        return
    place = np.float32(np.float32(y) / np.float32(height) - 0.5)
    i = min(int(place), last - 1)
    place = place - np.float32(i)
    rest = _ONE - place
    place3, rest3 = place * place * place - place, rest * rest * rest - rest
    for k in range(level.size):
        level[k] = rest * nodes[i, k] + place * nodes[i + 1, k] + rest3 * bent[i, k] + place3 * bent[i + 1, k]
