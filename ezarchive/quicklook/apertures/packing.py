"""Shapes as the plain arrays that compiled loops take, the boxes of pixels under them, and weights of compound shapes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import reduce

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ezarchive.quicklook.apertures.kernels_overlap import CIRCLE, ELLIPSE, GRID, NOTHING, POLYGON, RECTANGLE, Outlines, fill
from ezarchive.quicklook.regions.shapebase import Bools, Bounds, Shape, cos_sin
from ezarchive.quicklook.regions.shapes import Annulus, Circle, Combined, Ellipse, Inverted, Polygon, Raster, Rectangle

Floats = NDArray[np.float64]
Box = tuple[int, int, int, int]
"""First and last row (exclusive), first and last column (exclusive)."""
Plain = Circle | Ellipse | Rectangle | Polygon | Annulus
PLAIN = (Circle, Ellipse, Rectangle, Polygon, Annulus)
"""Shapes whose overlap with a pixel is compiled and exact."""
BLOCK = 2**22
"""Pixels that are held at a time."""
_FINE = 32
"""Divisions of a pixel, both ways, where several outlines of a compound shape cross it."""


def boxes_of(bounds: ArrayLike, image_shape: tuple[int, int] | None = None) -> NDArray[np.int64]:
    """Return the pixels that bounds touch, those of the image only; of an empty box, the last row or column is the first.

    Parameters
    ----------
    bounds : array_like, shape (n, 4)
        x0, x1, y0, y1; may be infinite where `image_shape` is given.
    image_shape : (ny, nx), optional

    Returns
    -------
    ndarray of int64, shape (n, 4)
        See `Box`.
    """
    ny, nx = (math.inf, math.inf) if image_shape is None else image_shape
    least = -math.inf if image_shape is None else 0
    x0, x1, y0, y1 = np.reshape(np.asarray(bounds, float), (-1, 4)).T + 0.5
    spans = ((y0, y1, ny), (x0, x1, nx))
    first, last = ([edge(np.clip(pair[k], least, pair[2])) for pair in spans] for k, edge in enumerate((np.floor, np.ceil)))
    return np.stack([first[0], np.maximum(last[0], first[0]), first[1], np.maximum(last[1], first[1])], axis=1).astype(np.int64)


def box_of(bounds: Bounds, image_shape: tuple[int, int] | None = None) -> Box:
    """Return the pixels that bounds touch, as `boxes_of` does."""
    y0, y1, x0, x1 = boxes_of([bounds], image_shape)[0].tolist()
    return y0, y1, x0, x1


def pack(shapes: Sequence[Shape], boxes: NDArray[np.int64]) -> Outlines:
    """Return plain shapes as arrays; of others, a place is kept and nothing is written.

    Parameters
    ----------
    shapes : sequence of Shape
    boxes : ndarray of int64, shape (n, 4)
        See `Box`.
    """
    n = len(shapes)
    kinds, numbers, first = np.full((n, 2), NOTHING, np.int64), np.zeros((n, 2, 6)), np.zeros((n, 2, 2), np.int64)
    corners: list[Floats] = []
    count = 0
    for k, shape in enumerate(shapes):
        parts = (shape.outer, shape.inner) if isinstance(shape, Annulus) else (shape,)
        for which, part in enumerate(parts if isinstance(shape, PLAIN) else ()):
            kinds[k, which], numbers[k, which], sides = _outline(part)  # type: ignore[arg-type]
            if sides is not None:
                corners.append(sides)
                first[k, which] = count, count + len(sides)
                count += len(sides)
    flat = np.concatenate(corners) if corners else np.zeros((0, 2))
    return Outlines(kinds, numbers, first, flat, boxes, np.zeros(0), np.zeros(0, np.bool_))


def _outline(shape: Circle | Ellipse | Rectangle | Polygon) -> tuple[int, tuple[float, ...], Floats | None]:
    if isinstance(shape, Circle):
        return CIRCLE, (shape.x, shape.y, shape.radius, shape.radius, 1.0, 0.0), None
    if isinstance(shape, Ellipse):
        return ELLIPSE, (shape.x, shape.y, shape.a, shape.b, *cos_sin(shape.theta)), None
    if isinstance(shape, Rectangle):
        turn = cos_sin(shape.theta)
        return RECTANGLE, (shape.x, shape.y, shape.width / 2.0, shape.height / 2.0, *turn), np.array(shape.corners)
    sides = np.array(shape.corners)
    dx, dy = (sides - sides[0]).T
    clockwise = float(np.sum(dx * np.roll(dy, -1) - np.roll(dx, -1) * dy)) < 0
    return POLYGON, (0.0,) * 6, np.ascontiguousarray(sides[::-1]) if clockwise else sides


def pack_grid(weights: Floats, inside: Bools, box: Box) -> Outlines:
    """Return weights that are known over a box as one aperture."""
    kinds = np.array([[GRID, NOTHING]], np.int64)
    boxes = np.array([box], np.int64)
    flat = np.ascontiguousarray(weights).ravel(), np.ascontiguousarray(inside).ravel()
    return Outlines(kinds, np.zeros((1, 2, 6)), np.zeros((1, 2, 2), np.int64), np.zeros((0, 2)), boxes, *flat)


def grid(shape: Shape, box: Box) -> tuple[Floats, Bools]:
    """Return the share of each pixel of a box that lies in a shape, and whether its centre does.

    Parameters
    ----------
    shape : Shape
    box : Box
        It need not be on any image.

    Returns
    -------
    weights : ndarray, shape (rows, columns)
    inside : ndarray of bool, shape (rows, columns)

    Notes
    -----
    Exact, but for the pixels of compound shapes that outlines of two parts cross: these are divided into 32 x 32.
    """
    weights, inside, doubtful = _grid(shape, box)
    rows, columns = np.nonzero(doubtful)
    fine = (np.arange(_FINE) + 0.5) / _FINE - 0.5
    up, along = (one.ravel() for one in np.meshgrid(fine, fine, indexing="ij"))
    for start in range(0, rows.size, 1024):
        y, x = rows[start : start + 1024], columns[start : start + 1024]
        points = shape.contains((x + box[2])[:, None] + along, (y + box[0])[:, None] + up)
        weights[y, x] = points.mean(axis=1)
    return weights, inside


def centres(shape: Shape, box: Box) -> Bools:
    """Return whether the centres of the pixels of a box lie in a shape; only some `BLOCK` of weights are held for it."""
    inside = np.empty((box[1] - box[0], box[3] - box[2]), np.bool_)
    for piece in rows_of(box):
        inside[piece[0] - box[0] : piece[1] - box[0]] = _grid(shape, piece)[1]
    return inside


def _grid(shape: Shape, box: Box) -> tuple[Floats, Bools, Bools]:
    """Return weights, centres, and where the weights are not exact."""
    if isinstance(shape, Inverted):
        weights, inside, doubtful = _grid(shape.part, box)
        return 1.0 - weights, ~inside, doubtful
    if isinstance(shape, Combined):
        return reduce(_OPERATORS[shape.operator], (_grid(part, box) for part in shape.parts))
    size = box[1] - box[0], box[3] - box[2]
    weights, inside = np.zeros(size), np.zeros(size, np.bool_)
    if isinstance(shape, Raster):
        y, x = np.arange(box[0], box[1])[:, None], np.arange(box[2], box[3])
        inside = shape.contains(x, y)
        weights = inside.astype(float)
    else:
        fill(pack([shape], np.array([box], np.int64)), 0, weights, inside)
    return weights, inside, np.zeros(size, np.bool_)


_Grid = tuple[Floats, Bools, Bools]


def _and(one: _Grid, two: _Grid) -> _Grid:
    (a, centre_a, _), (b, centre_b, _) = one, two
    return a * b, centre_a & centre_b, _doubtful(one, two) & (a > 0) & (b > 0)


def _or(one: _Grid, two: _Grid) -> _Grid:
    (a, centre_a, _), (b, centre_b, _) = one, two
    return a + b - a * b, centre_a | centre_b, _doubtful(one, two) & (a < 1) & (b < 1)


def _xor(one: _Grid, two: _Grid) -> _Grid:
    (a, centre_a, _), (b, centre_b, _) = one, two
    return a + b - 2.0 * a * b, centre_a ^ centre_b, _doubtful(one, two)


def _doubtful(one: _Grid, two: _Grid) -> Bools:
    """Return where the products of shares are not those of areas: where both parts hold a pixel in part."""
    (a, _, doubt_a), (b, _, doubt_b) = one, two
    return doubt_a | doubt_b | ((a > 0) & (a < 1) & (b > 0) & (b < 1))


_OPERATORS = {"and": _and, "or": _or, "xor": _xor}


def parts(boxes: NDArray[np.int64], which: NDArray[np.int64], *, split: bool) -> Iterator[tuple[NDArray[np.int64], Box]]:
    """Yield apertures that are measured together, and the box of pixels that is read for them.

    Parameters
    ----------
    boxes : ndarray of int64, shape (n, 4)
    which : ndarray of int64
        Those to be measured; their boxes are not empty.
    split : bool
        Whether an aperture of more than `BLOCK` pixels comes in several boxes, one above the other.
    """
    if which.size == 0:
        return
    size = (boxes[:, 1] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 2])
    height = max(BLOCK // int(boxes[which, 3].max()), 1)
    small = which[size[which] <= BLOCK]
    alone = [which[size[which] > BLOCK]]
    bands = boxes[small, 0] // height
    for band in np.unique(bands):
        members = small[bands == band]
        y0, _, x0, _ = boxes[members].min(axis=0).tolist()
        _, y1, _, x1 = boxes[members].max(axis=0).tolist()
        if members.size > 1 and (y1 - y0) * (x1 - x0) <= min(8 * int(size[members].sum()), 4 * BLOCK):
            yield members, (y0, y1, x0, x1)
        else:
            alone.append(members)
    for k in np.concatenate(alone):
        box = tuple(boxes[k].tolist())
        for piece in rows_of(box) if split else (box,):  # type: ignore[arg-type]
            yield np.array([k], np.int64), piece  # type: ignore[misc]


def rows_of(box: Box) -> Iterator[Box]:
    """Yield a box in pieces of at most `BLOCK` pixels, or of one row."""
    y0, y1, x0, x1 = box
    step = max(BLOCK // max(x1 - x0, 1), 1)
    for y in range(y0, y1, step):
        yield y, min(y + step, y1), x0, x1
