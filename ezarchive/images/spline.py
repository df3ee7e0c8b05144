"""SExtractor's bicubic spline through the nodes of a mesh: as matrices, and evaluated on many small rectangles at once."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

_BATCH_PIXELS = 1 << 18
_BATCH_POINTS = 1 << 14


class Coefficients(NamedTuple):
    """Nodes of a mesh, and their curvatures along y, along x, and along both; each of shape (boxes along y, boxes along x)."""

    nodes: np.ndarray
    along_y: np.ndarray
    along_x: np.ndarray
    both: np.ndarray


def coefficients(nodes: np.ndarray) -> Coefficients:
    """Return the coefficients of the spline through nodes."""
    ny, nx = nodes.shape
    along_y = curvature(ny) @ nodes
    if ny == 1:
        # In a mesh of a single row SExtractor joins the nodes by straight lines.
        return Coefficients(nodes, along_y, np.zeros_like(nodes), np.zeros_like(nodes))
    turned = curvature(nx).T
    return Coefficients(nodes, along_y, nodes @ turned, along_y @ turned)


def stamps(mesh: Coefficients, box_size: tuple[int, int], y0: np.ndarray, x0: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Evaluate the spline on stamps of one size.

    Parameters
    ----------
    mesh : Coefficients
    box_size : tuple of two ints
        Rows and columns of a box, pixels.
    y0, x0 : ndarray of int, shape (n,)
        First row and column of each stamp.
    shape : tuple of two ints
        Rows and columns of a stamp.

    Returns
    -------
    ndarray of float32, shape (n, rows, columns)
    """
    n, (h, w) = len(y0), shape
    out = np.empty((n, h, w), np.float32)
    step = max(_BATCH_PIXELS // max(h * w, 1), 1)
    for first in range(0, n, step):
        part = slice(first, first + step)
        out[part] = _some_stamps(mesh, box_size, y0[part], x0[part], shape)
    return out


def _some_stamps(mesh: Coefficients, box_size: tuple[int, int], y0: np.ndarray, x0: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Evaluate stamps, a product of two thin matrices each: the weights of the rows of nodes near it, and these rows along x."""
    (ny, nx), n, (h, w) = mesh.nodes.shape, len(y0), shape
    interval, weights = cubic(abscissa_y((y0[:, None] + np.arange(h)).ravel(), box_size[0]), ny)
    interval, weights = interval.reshape(n, h), weights.reshape(n, h, 4)
    first = interval[:, 0]
    lines = int((interval[:, -1] - first).max()) + 2
    column, across = cubic(abscissa_x((x0[:, None] + np.arange(w)).ravel(), box_size[1]), nx)
    column, across = column.reshape(n, 1, w), np.moveaxis(across.reshape(n, 1, w, 4), -1, 0)
    row, following = np.minimum(first[:, None] + np.arange(lines), ny - 1)[:, :, None], np.minimum(column + 1, nx - 1)
    left, right, bent_left, bent_right = across
    parts = (
        left * flat[row, column] + right * flat[row, following] + bent_left * bent[row, column] + bent_right * bent[row, following]
        for flat, bent in ((mesh.nodes, mesh.along_x), (mesh.along_y, mesh.both))
    )
    pieces = np.concatenate(list(parts), axis=1)
    matrix = np.zeros((n, h, 2 * lines))
    stamp, line, place = np.arange(n)[:, None], np.arange(h)[None, :], interval - first[:, None]
    for k, shift in enumerate((0, 1, lines, lines + 1)):
        matrix[stamp, line, place + shift] += weights[:, :, k]
    return matrix @ pieces


def abscissa_y(y: np.ndarray, box: int) -> np.ndarray:
    """Return rows in units of the distance of nodes, from the first one."""
    return np.asarray(y, float) / box - 0.5


def abscissa_x(x: np.ndarray, box: int) -> np.ndarray:
    """Return columns in units of the distance of nodes, from the first one."""
    return (np.asarray(x, float) + 0.5) / box - 0.5


def cubic(at: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the interval of each abscissa and the weights of its two nodes and of their two curvatures."""
    if n == 1:
        return np.zeros(len(at), np.int64), np.tile([1.0, 0.0, 0.0, 0.0], (len(at), 1))
    interval = np.clip(np.floor(at).astype(np.int64), 0, n - 2)
    right = at - interval
    left = 1.0 - right
    return interval, np.stack([left, right, left**3 - left, right**3 - right], axis=-1)


@lru_cache(maxsize=64)
def curvature(n: int) -> np.ndarray:
    """Return the matrix from the nodes of SExtractor's spline to its curvature at them.

    A natural cubic spline would solve the tridiagonal system ``c[k-1] + 4 c[k] + c[k+1] = second difference``. SExtractor's back
    substitution divides by 6 on the way rather than at the end; the map that it subtracts is made so, and hence this one.
    """
    second = np.zeros((n, n))
    inner = np.arange(1, n - 1)
    second[inner, inner - 1], second[inner, inner], second[inner, inner + 1] = 1.0, -2.0, 1.0
    factor, forward, matrix = np.zeros(n), np.zeros((n, n)), np.zeros((n, n))
    for k in inner:
        factor[k] = -1.0 / (factor[k - 1] + 4.0)
        forward[k] = factor[k] * (forward[k - 1] - 6.0 * second[k])
    for k in inner[::-1]:
        matrix[k] = (factor[k] * matrix[k + 1] + forward[k]) / 6.0
    matrix.flags.writeable = False
    return matrix


def spline_matrix_x(x: np.ndarray, box: int, counts: tuple[int, int]) -> np.ndarray:
    """Return `spline_matrix` for columns, of a mesh with so many nodes along y and along x."""
    # In a mesh of a single row SExtractor joins the nodes by straight lines.
    return spline_matrix(abscissa_x(x, box), counts[1], curved=counts[0] > 1)


def spline_matrix(at: np.ndarray, n: int, *, curved: bool = True) -> np.ndarray:
    """Return the matrix from ``n`` nodes to the values of their spline at abscissae (in units of the node distance)."""
    interval, weights = cubic(at, n)
    follow = np.minimum(interval + 1, n - 1)
    line = np.arange(len(at))
    direct = np.zeros((len(at), n))
    direct[line, interval] = weights[:, 0]
    direct[line, follow] += weights[:, 1]
    if not curved or n < 3:
        return direct
    bent = np.zeros((len(at), n))
    bent[line, interval], bent[line, follow] = weights[:, 2], weights[:, 3]
    return direct + bent @ curvature(n)


def lines(mesh: Coefficients, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Evaluate the spline along x on every row of nodes.

    Parameters
    ----------
    mesh : Coefficients
    at : ndarray, shape (n,)
        Columns in units of the distance of nodes (`abscissa_x`).

    Returns
    -------
    values, curves : ndarray, shape (boxes along y, n)
        Level, and curvature along y.
    """
    column, weights = cubic(at, mesh.nodes.shape[1])
    following = np.minimum(column + 1, mesh.nodes.shape[1] - 1)
    left, right, bent_left, bent_right = weights.T
    out = []
    for flat, bent in ((mesh.nodes, mesh.along_x), (mesh.along_y, mesh.both)):
        out.append(left * flat[:, column] + right * flat[:, following] + bent_left * bent[:, column] + bent_right * bent[:, following])
    return out[0], out[1]


def points(mesh: Coefficients, at_x: np.ndarray, at_y: np.ndarray) -> np.ndarray:
    """Evaluate the spline at points.

    Parameters
    ----------
    mesh : Coefficients
    at_x, at_y : ndarray, shape (n,)
        In units of the distance of nodes (`abscissa_x`, `abscissa_y`).

    Returns
    -------
    ndarray of float64, shape (n,)
    """
    out = np.empty(len(at_x))
    for first in range(0, len(out), _BATCH_POINTS):
        part = slice(first, first + _BATCH_POINTS)
        (row, wy), (column, wx) = cubic(at_y[part], mesh.nodes.shape[0]), cubic(at_x[part], mesh.nodes.shape[1])
        rows, columns = (row, np.minimum(row + 1, mesh.nodes.shape[0] - 1)), (column, np.minimum(column + 1, mesh.nodes.shape[1] - 1))
        total = np.zeros(len(row))
        for tables, first_y in (((mesh.nodes, mesh.along_x), 0), ((mesh.along_y, mesh.both), 2)):
            for table, first_x in zip(tables, (0, 2), strict=True):
                for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
                    total += wy[:, first_y + i] * wx[:, first_x + j] * table[rows[i], columns[j]]
        out[part] = total
    return out


def runs(interval: np.ndarray, limit: int) -> Iterator[tuple[int, int]]:
    """Yield stretches of equal interval, none longer than a limit."""
    edges = np.flatnonzero(np.diff(interval)) + 1
    for first, last in zip(np.r_[0, edges], np.r_[edges, len(interval)], strict=True):
        for start in range(int(first), int(last), limit):
            yield start, min(start + limit, int(last))
