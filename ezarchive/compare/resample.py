"""A low-pass filter and the sampling of what it leaves, in pieces of bounded memory; arrays only.

A pixel t of the new grid lies at s(t) on the pixels of the source, with the derivative A = ds/dt. A frequency f of the source (cycles per
pixel) is A' f there. The filter is radial in the frequencies of the new pixels, wherever these have another size or direction: its window
is evaluated at A' f. What passes is sampled by splines of order 5 on a grid so fine that they are exact to some 1e-5 of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage
from scipy.interpolate import RectBivariateSpline

from ezarchive.compare.holes import filled
from ezarchive.compare.moffat import blackman

Floats = NDArray[np.float64]

_MARGIN = 32
"""New pixels around a piece over which the filter is followed: it has fallen to 1e-6 of its peak there."""
_OVERSAMPLED = 2.0
"""Nyquist frequency of the grid that is sampled, by the highest frequency that passes."""
_ORDER = 5
_SOURCE_PIXELS = 4_000_000
_TARGET_PIXELS = 1_000_000
_SMALLEST = 32
_NODES = 16


class Piece(NamedTuple):
    """A rectangle of the source: values, whether they are bad, and their variance or None. Beyond the source, all is bad."""

    data: Floats
    bad: NDArray[np.bool_]
    variance: Floats | None


class Source(NamedTuple):
    """Where pixels come from: rows and columns, and a function of (first row, last row + 1, first column, last column + 1), all inside."""

    shape: tuple[int, int]
    read: Callable[[int, int, int, int], Piece]


class Sampled(NamedTuple):
    """The new pixels, each of shape (ny, nx): flux (NaN where masked), variance or None, mask."""

    data: Floats
    variance: Floats | None
    mask: NDArray[np.bool_]


@dataclass(frozen=True)
class Sampling:
    """How a source is sampled.

    Attributes
    ----------
    to_source : callable
        From new pixels (x, y) to those of the source; 0-based, NaN where there are none.
    stretch : (float, float)
        Along y and x: new pixels per half a cycle of the highest frequency that passes; 1 for all that they can hold.
    conserve : bool
        Whether the values are fluxes of pixels, whose sum is kept, rather than a brightness.
    max_missing : float
        Part of the filter's weight that may lie on bad pixels.
    """

    to_source: Callable[[Floats, Floats], tuple[Floats, Floats]]
    stretch: tuple[float, float] = (1.0, 1.0)
    conserve: bool = True
    max_missing: float = 0.01


def sample(source: Source, shape: tuple[int, int], how: Sampling, *, variance: bool = True) -> Sampled:
    """Filter a source and sample it at the pixels of a new grid.

    Parameters
    ----------
    source : Source
    shape : (int, int)
        Rows and columns of the new grid.
    how : Sampling
    variance : bool
        Whether to make a variance; the source must have one.

    Returns
    -------
    Sampled

    Notes
    -----
    data: the filtered values at s(t), times det A for fluxes: so that the sum over all pixels is that of the source. Variance of white
    noise: sum b^2 v at s(t), b the filter's kernel, times det A squared; it does not tell that neighbours share noise. Bad pixels are
    filled from around before the filter.
    """
    made = Sampled(np.full(shape, np.nan), np.full(shape, np.nan) if variance else None, np.ones(shape, bool))
    for rows, cols, where in _tiles(source.shape, shape, how):
        tile = _tile(source, where, how, variance=variance)
        made.data[rows, cols], made.mask[rows, cols] = tile.data, tile.mask
        if variance:
            made.variance[rows, cols] = tile.variance
    return made


class _Where(NamedTuple):
    """Where the pixels of a tile lie on the source: positions, determinants, the matrix A at its centre, and the box to read."""

    x: Floats
    y: Floats
    area: Floats
    matrix: Floats
    box: tuple[int, int, int, int]


def _tiles(source: tuple[int, int], shape: tuple[int, int], how: Sampling) -> Iterator[tuple[slice, slice, _Where]]:
    """Yield the tiles of the new grid that meet the source, each small enough."""
    waiting = [(slice(0, shape[0]), slice(0, shape[1]))]
    while waiting:
        rows, cols = waiting.pop()
        height, width = rows.stop - rows.start, cols.stop - cols.start
        large = height * width > _TARGET_PIXELS
        where = None if large else _placed(source, rows, cols, how)
        if not large and where is None:
            continue
        box = (0, 0, 0, 0) if where is None else where.box
        if large or ((box[1] - box[0]) * (box[3] - box[2]) > _SOURCE_PIXELS and max(height, width) > _SMALLEST):
            waiting.extend(_halves(rows, cols))
        else:
            yield rows, cols, where


def _halves(rows: slice, cols: slice) -> list[tuple[slice, slice]]:
    if rows.stop - rows.start >= cols.stop - cols.start:
        middle = (rows.start + rows.stop) // 2
        return [(slice(rows.start, middle), cols), (slice(middle, rows.stop), cols)]
    middle = (cols.start + cols.stop) // 2
    return [(rows, slice(cols.start, middle)), (rows, slice(middle, cols.stop))]


def _placed(source: tuple[int, int], rows: slice, cols: slice, how: Sampling) -> _Where | None:
    """Return where a tile lies, None if it does not meet the source."""
    x, y, local = _positions(rows, cols, how.to_source)
    area = np.abs(local[0, 0] * local[1, 1] - local[0, 1] * local[1, 0])
    inside = (x > -0.5) & (x < source[1] - 0.5) & (y > -0.5) & (y < source[0] - 0.5) & (area > 0)
    if not inside.any():
        return None
    places = np.argwhere(inside)
    middle = places[np.argmin(((places - np.array(x.shape) / 2) ** 2).sum(1))]
    matrix = local[:, :, middle[0], middle[1]]
    box: list[int] = []
    for values, row, n, stretch in ((y, matrix[1], source[0], how.stretch), (x, matrix[0], source[1], how.stretch)):
        margin = int(np.ceil(_MARGIN * max(stretch) * np.hypot(*row)))
        first, last = values[inside].min() - margin, values[inside].max() + margin + 1
        first = max(int(np.floor(first)), -margin)
        size = fft.next_fast_len(min(int(np.ceil(last)), n + margin) - first, real=True)
        box += [first, first + size]
    return _Where(np.where(inside, x, np.nan), np.where(inside, y, np.nan), area, matrix, tuple(box))


def _positions(rows: slice, cols: slice, to_source: Callable[[Floats, Floats], tuple[Floats, Floats]]) -> tuple[Floats, Floats, Floats]:
    """Return the positions of a tile's pixels on the source, and their derivatives [source axis, new axis, row, column].

    They are calculated at nodes some pixels apart, and splined between; the mapping between two projections is that smooth.
    """
    along_y, along_x = (np.linspace(part.start - 1, part.stop, max((part.stop - part.start) // _NODES, 4) + 2) for part in (rows, cols))
    found = to_source(*np.meshgrid(along_x, along_y))
    y, x = np.arange(rows.start, rows.stop, dtype=float), np.arange(cols.start, cols.stop, dtype=float)
    if not all(np.isfinite(part).all() for part in found):
        return _each(x, y, to_source)
    splines = [RectBivariateSpline(along_y, along_x, part) for part in found]
    local = [[spline(y, x, dy=1), spline(y, x, dx=1)] for spline in splines]
    return splines[0](y, x), splines[1](y, x), np.array(local)


def _each(x: Floats, y: Floats, to_source: Callable[[Floats, Floats], tuple[Floats, Floats]]) -> tuple[Floats, Floats, Floats]:
    """Return the same from every single pixel, where some are not on the projection."""
    wide_x, wide_y = (np.concatenate([[axis[0] - 1], axis, [axis[-1] + 1]]) for axis in (x, y))
    found = to_source(*np.meshgrid(wide_x, wide_y))
    local = [[(part[1:-1, 2:] - part[1:-1, :-2]) / 2, (part[2:, 1:-1] - part[:-2, 1:-1]) / 2] for part in found]
    return found[0][1:-1, 1:-1], found[1][1:-1, 1:-1], np.array(local)


def _tile(source: Source, where: _Where, how: Sampling, *, variance: bool) -> Sampled:
    piece = _read(source, where.box)
    if piece.bad.all():
        return Sampled(np.full(where.x.shape, np.nan), np.full(where.x.shape, np.nan), np.ones(where.x.shape, bool))
    low = _Filter(piece.data.shape, where.matrix, how.stretch)
    at = np.array([where.y - where.box[0], where.x - where.box[2]])
    inside = np.isfinite(at).all(axis=0)
    at = np.where(inside, at, 0.0)
    data = low.sampled(low.spectrum(filled(piece.data, piece.bad)), at)
    missing = np.zeros_like(data)
    if piece.bad.any():
        missing = low.sampled(low.spectrum(piece.bad.astype(np.float64)), at)
    mask = ~inside | (missing > how.max_missing)
    area = where.area if how.conserve else np.ones_like(where.area)
    noise = None
    if variance:
        unknown = ~np.isfinite(piece.variance)
        known = filled(piece.variance, piece.bad | unknown)
        noise = np.maximum(low.sampled(low.spectrum(known, squared=True), at), 0.0) * area**2
        noise[mask] = np.nan
    return Sampled(np.where(mask, np.nan, data * area), noise, mask)


def _read(source: Source, box: tuple[int, int, int, int]) -> Piece:
    """Read a box, which may reach beyond the source."""
    y0, y1, x0, x1 = box
    rows, cols = slice(max(y0, 0), min(y1, source.shape[0])), slice(max(x0, 0), min(x1, source.shape[1]))
    inner = source.read(rows.start, rows.stop, cols.start, cols.stop)
    if inner.data.shape == (y1 - y0, x1 - x0):
        return inner
    place = slice(rows.start - y0, rows.stop - y0), slice(cols.start - x0, cols.stop - x0)
    data, bad = np.zeros((y1 - y0, x1 - x0)), np.ones((y1 - y0, x1 - x0), bool)
    data[place], bad[place] = inner.data, inner.bad
    variance = None
    if inner.variance is not None:
        variance = np.zeros_like(data)
        variance[place] = inner.variance
    return Piece(data, bad, variance)


class _Filter:
    """The window on the spectrum of a box, and the finer or coarser grid on which what passes is sampled."""

    def __init__(self, shape: tuple[int, int], matrix: Floats, stretch: tuple[float, float]) -> None:
        self.shape = shape
        inverse = np.linalg.inv(matrix)
        # The highest frequencies along the axes of the source, of all whose r is 1: those of an ellipse.
        limits = [0.5 * np.hypot(inverse[0, k] / stretch[1], inverse[1, k] / stretch[0]) for k in (0, 1)]
        self.made = tuple(
            fft.next_fast_len(max(int(np.ceil(2 * _OVERSAMPLED * n * limit)), 8), real=True)
            for n, limit in zip(shape, limits[::-1], strict=True)
        )
        kept = [min(n, m) for n, m in zip(shape, self.made, strict=True)]
        self.rows = np.fft.fftfreq(kept[0], 1 / kept[0]).astype(int)
        self.cols = np.arange(kept[1] // 2 + 1)
        fy, fx = self.rows[:, None] / shape[0], self.cols / shape[1]
        along_x, along_y = matrix[0, 0] * fx + matrix[1, 0] * fy, matrix[0, 1] * fx + matrix[1, 1] * fy
        self.window = blackman(2 * np.hypot(along_x * stretch[1], along_y * stretch[0]))

    def spectrum(self, values: Floats, *, squared: bool = False) -> NDArray:
        """Return the filtered spectrum on the grid that is sampled; `squared`: filtered by the kernel's square."""
        window = self._squared() if squared else self.window
        whole = fft.rfft2(values)
        made = np.zeros((self.made[0], self.made[1] // 2 + 1), complex)
        made[np.ix_(self.rows, self.cols)] = whole[np.ix_(self.rows, self.cols)] * window
        return made * (self.made[0] * self.made[1] / (self.shape[0] * self.shape[1]))

    def sampled(self, spectrum: NDArray, at: Floats) -> Floats:
        """Return what a spectrum has at positions (y, x) of the box."""
        finer = np.array([m / n for m, n in zip(self.made, self.shape, strict=True)])
        values = fft.irfft2(spectrum, s=self.made, overwrite_x=True)
        return ndimage.map_coordinates(values, at * finer[:, None, None], order=_ORDER, mode="grid-wrap")

    def _squared(self) -> Floats:
        """Return the transfer function of the square of the kernel (real, for the kernel is even)."""
        made = np.zeros((self.made[0], self.made[1] // 2 + 1))
        made[np.ix_(self.rows, self.cols)] = self.window
        kernel = fft.irfft2(made, s=self.made)
        return fft.rfft2(kernel**2).real[np.ix_(self.rows, self.cols)] * (self.made[0] * self.made[1] / (self.shape[0] * self.shape[1]))
