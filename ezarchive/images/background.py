"""The background of an image as a small mesh: level and noise at the centres of boxes, and the spline between them.

It is estimated exactly as sep and SExtractor do (Bertin & Arnouts 1996, A&AS 117, 393: clipped mode in each box, median filter over boxes,
bicubic spline). What is kept are the mesh nodes: 150 x 100 numbers for a frame of 61 million pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from types import ModuleType

import numpy as np

from ezarchive.errors import InputError, MeasurementError
from ezarchive.images.fitsfile import FullMaps
from ezarchive.images.nodes import fill_poor_boxes, median_filtered, typical_noise
from ezarchive.images.spline import (
    Coefficients,
    abscissa_x,
    abscissa_y,
    coefficients,
    cubic,
    lines,
    points,
    runs,
    stamps,
)

_NO_VALUE = -1e30
_BLOCK_PIXELS = 65536
"""Pixels evaluated at once: they stay in the cache, and the matrix product is too small for BLAS to start threads."""

_STRIP = 64
"""Rows that the background is subtracted from at once."""

Slices = tuple[slice, slice]


@dataclass(frozen=True, eq=False)
class MeshBackground(FullMaps):
    """Level and noise of the sky everywhere on an image, evaluated for the pixels that are asked for.

    Attributes
    ----------
    shape : tuple of two ints
        Rows and columns of the image.
    box_size : tuple of two ints
        Rows and columns of a box, pixels.
    filter_size : int
        Boxes along a side of the median filter.
    level_nodes, rms_nodes : ndarray, shape (boxes along y, boxes along x)
        Level, and noise per pixel, at the nodes of the spline.
    global_level, global_rms : float
        Medians over the boxes, as SExtractor reports them; 0 noise means that the image has none.
    frame_id : int or None
        The frame of an archive that it was made of, where known.

    Notes
    -----
    Along each axis the nodes lie one box apart, and the spline between them is SExtractor's cubic one (without curvature at the ends), and
    continued by its end pieces. As in SExtractor, node 0 lies at pixel ``box / 2 - 1/2`` along x but at ``box / 2`` along y.
    """

    shape: tuple[int, int]
    box_size: tuple[int, int]
    filter_size: int
    level_nodes: np.ndarray
    rms_nodes: np.ndarray
    global_level: float
    global_rms: float
    frame_id: int | None = None

    def __repr__(self) -> str:
        rows, columns = self.shape
        boxes = " x ".join(str(side) for side in self.level_nodes.shape)
        return f"MeshBackground({rows} x {columns}, {boxes} nodes, level {self.global_level:.6g}, noise {self.global_rms:.4g})"

    @classmethod
    def constant(cls, level: float, rms: float, shape: tuple[int, int]) -> MeshBackground:
        """Make a background that is the same everywhere."""
        nodes = (np.full((1, 1), float(value)) for value in (level, rms))
        return cls(tuple(shape), tuple(shape), 1, *nodes, float(level), float(rms))

    def of_frame(self, frame_id: int | None) -> MeshBackground:
        """Return the same background, made known as that of a frame."""
        return replace(self, frame_id=frame_id)

    def level(self, slices: Slices | None = None) -> np.ndarray:
        """Evaluate the level of the sky.

        Parameters
        ----------
        slices : tuple of two slices, optional
            Rows and columns; the whole image by default.

        Returns
        -------
        ndarray of float32
        """
        return self._evaluated(self.level_nodes, slices)

    def rms(self, slices: Slices | None = None) -> np.ndarray:
        """Evaluate the noise per pixel, as `level`."""
        return self._evaluated(self.rms_nodes, slices)

    def at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the level at 0-based pixel positions (fractions of pixels too)."""
        return self._points(self.level_nodes, x, y)

    def rms_at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the noise per pixel at 0-based pixel positions."""
        return self._points(self.rms_nodes, x, y)

    def level_stamps(self, y0: np.ndarray, x0: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """Evaluate the level on many stamps of one size, which may go on beyond the image.

        Parameters
        ----------
        y0, x0 : ndarray of int, shape (n,)
            First row and column of each.
        shape : tuple of two ints
            Rows and columns of a stamp.

        Returns
        -------
        ndarray of float32, shape (n, rows, columns)
        """
        return stamps(self._level_coefficients, self.box_size, y0, x0, shape)

    def rms_stamps(self, y0: np.ndarray, x0: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """Evaluate the noise per pixel on many stamps, as `level_stamps`."""
        return stamps(self._rms_coefficients, self.box_size, y0, x0, shape)

    @cached_property
    def _level_coefficients(self) -> Coefficients:
        return coefficients(self.level_nodes)

    @cached_property
    def _rms_coefficients(self) -> Coefficients:
        return coefficients(self.rms_nodes)

    def subtract(self, data: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Subtract the level from an image.

        Parameters
        ----------
        data : array, shape (ny, nx)
            The image; it is not changed unless it is `out`.
        out : ndarray, optional
            Where to put the result; it may be `data` itself, which saves the memory of a second image.

        Returns
        -------
        ndarray
            float32, or float64 for an image of doubles or wide integers.

        Raises
        ------
        InputError
            If a shape is wrong.
        """
        data = np.asarray(data)
        if data.shape != self.shape:
            raise InputError(f"data: must have the shape of the background {self.shape}, found {data.shape}")
        if out is None:
            out = np.empty(self.shape, float_type(data.dtype))
        elif out.shape != self.shape:
            raise InputError(f"out: must have the shape of the background {self.shape}, found {out.shape}")
        if out.dtype != np.float32 or not out.flags.c_contiguous:
            for rows, block in self._blocks(self.level_nodes, slice(0, self.shape[0]), slice(0, self.shape[1]), out.dtype):
                np.subtract(data[rows], block, out=out[rows], casting="unsafe")
            return out
        surface, nodes = _surface(), np.ascontiguousarray(self.level_nodes, np.float32)
        bent = surface.curvatures(nodes)
        begin, at = surface.places(self.box_size[1], nodes.shape[1], self.shape[1])
        for first in range(0, self.shape[0], _STRIP):
            strip = out[first : first + _STRIP]
            if out is not data:
                strip[...] = data[first : first + _STRIP]
            surface.subtract(strip, first, nodes, bent, self.box_size[0], begin, at)
        return out

    @cached_property
    def upper(self) -> float:
        """A level that the map does not exceed."""
        nodes = self.level_nodes
        # A cubic spline overshoots its nodes by less than their range along each axis.
        return float(nodes.max() + 2.0 * np.ptp(nodes))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return everything as arrays, to be stored."""
        return {
            "shape": np.array(self.shape),
            "box_size": np.array(self.box_size),
            "filter_size": np.array(self.filter_size),
            "level_nodes": self.level_nodes,
            "rms_nodes": self.rms_nodes,
            "global": np.array([self.global_level, self.global_rms]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> MeshBackground:
        """Make a background of what `to_arrays` gave."""
        shape, box = (tuple(int(v) for v in arrays[name]) for name in ("shape", "box_size"))
        nodes = (np.array(arrays[name], float) for name in ("level_nodes", "rms_nodes"))
        return cls(shape, box, int(arrays["filter_size"]), *nodes, *(float(v) for v in arrays["global"]))

    def _evaluated(self, nodes: np.ndarray, slices: Slices | None) -> np.ndarray:
        rows, cols = (slice(0, n) for n in self.shape) if slices is None else slices
        rows, cols = (_whole_steps(name, s, n) for name, s, n in zip(("rows", "columns"), (rows, cols), self.shape, strict=True))
        out = np.empty((rows.stop - rows.start, cols.stop - cols.start), np.float32)
        for part, block in self._blocks(nodes, rows, cols, np.dtype(np.float32)):
            out[part.start - rows.start : part.stop - rows.start] = block
        return out

    def _blocks(self, nodes: np.ndarray, rows: slice, cols: slice, dtype: np.dtype) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield the map row block by row block; within an interval of nodes it is a product of thin matrices."""
        ny = nodes.shape[0]
        stacked, middle = self._along_x(nodes, cols, dtype)
        interval, weights = cubic(abscissa_y(np.arange(rows.start, rows.stop), self.box_size[0]), ny)
        limit = max(_BLOCK_PIXELS // max(cols.stop - cols.start, 1), 1)
        for first, last in runs(interval, limit):
            i = interval[first]
            pieces = stacked[[i, min(i + 1, ny - 1), ny + i, min(ny + i + 1, 2 * ny - 1)]]
            block = weights[first:last].astype(dtype) @ pieces
            block += dtype.type(middle)
            yield slice(rows.start + first, rows.start + last), block

    def _along_x(self, nodes: np.ndarray, cols: slice, dtype: np.dtype) -> tuple[np.ndarray, float]:
        """Return nodes and curvatures along y at columns, less a common part; those of whole rows are kept for the next strip."""
        key = (nodes is self.level_nodes, dtype.str)
        kept = self.__dict__.setdefault("_whole_rows", {})
        whole = (cols.start, cols.stop) == (0, self.shape[1])
        if whole and key in kept:
            return kept[key]
        mesh = self._level_coefficients if nodes is self.level_nodes else self._rms_coefficients
        values, curves = lines(mesh, abscissa_x(np.arange(cols.start, cols.stop), self.box_size[1]))
        # The large common part is added in double precision, so that single precision serves for the rest.
        middle = float(np.median(nodes))
        found = np.ascontiguousarray(np.concatenate([values - middle, curves]), dtype), middle
        if whole:
            kept[key] = found
        return found

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "_whole_rows"}

    def _points(self, nodes: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        found = self._level_coefficients if nodes is self.level_nodes else self._rms_coefficients
        x, y = np.asarray(x, float), np.asarray(y, float)
        flat = points(found, abscissa_x(x.ravel(), self.box_size[1]), abscissa_y(y.ravel(), self.box_size[0]))
        return flat.reshape(x.shape)


def estimate(
    data: np.ndarray, mask: np.ndarray | None = None, box_size: int | tuple[int, int] = 64, filter_size: int = 3
) -> MeshBackground:
    """Estimate the background of an image.

    Parameters
    ----------
    data : array, shape (ny, nx)
        Pixels; NaN and infinite ones are left out.
    mask : array of bool, shape (ny, nx), optional
        True: left out as well.
    box_size : int or tuple of two ints
        Side of a box in pixels (or rows, columns) [BACK_SIZE].
    filter_size : int
        Boxes along a side of the median filter [BACK_FILTERSIZE].

    Returns
    -------
    MeshBackground
        Of a constant image, its level and no noise.

    Raises
    ------
    InputError
        If an argument has a wrong shape, type or size.
    MeasurementError
        ``no_valid_pixels`` if every pixel is masked or not finite.
    """
    values, boxes = _checked(data), _checked_boxes(box_size, filter_size)
    left_out = _checked_mask(mask, values.shape)
    level, rms, n_good = _box_statistics(values, left_out, boxes)
    if not n_good:
        raise MeasurementError("no_valid_pixels", "data: every pixel is masked or not finite; there is no background")
    fill_poor_boxes(level, rms)
    if np.isnan(level).any():
        # No box has pixels enough: all of them together are one.
        level[:], rms[:] = _together(values, left_out)
    if not rms.any():
        low, high = _extremes(values, left_out)
        if low == high:
            return MeshBackground.constant(low, 0.0, values.shape)
    level, rms = (median_filtered(nodes, int(filter_size)) for nodes in (level, rms))
    return MeshBackground(values.shape, boxes, int(filter_size), level, rms, float(np.median(level)), typical_noise(rms))


def _kernels() -> ModuleType:
    # Browsing needs this module, but no compiled loops: numba takes 0.2 s to import.
    from ezarchive.kernels import mesh  # noqa: PLC0415

    return mesh


def _surface() -> ModuleType:
    from ezarchive.kernels import surface  # noqa: PLC0415

    return surface


def _box_statistics(values: np.ndarray, mask: np.ndarray | None, boxes: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, int]:
    """Estimate level and noise in each box, NaN where less than half of the pixels can be used; return the number of good pixels, too."""
    mesh = _kernels()
    counts = [-(-size // box) for size, box in zip(values.shape, boxes, strict=True)]
    level, rms = np.full(counts, np.nan), np.full(counts, np.nan)
    nothing, n_good = np.zeros((0, 0), bool), 0
    for line in range(counts[0]):
        rows = slice(line * boxes[0], (line + 1) * boxes[0])
        block = np.ascontiguousarray(values[rows], dtype=np.float32)
        bad = nothing if mask is None or not mask[rows].any() else np.ascontiguousarray(mask[rows] != 0)
        if not mesh.box_row(block, 0, len(block), boxes[1], bad, level[line], rms[line]):
            bad = _bad(block, bad if bad.size else None)
            mesh.box_row(block, 0, len(block), boxes[1], bad, level[line], rms[line])
        n_good += block.size - np.count_nonzero(bad)
    return level, rms, n_good


def _together(values: np.ndarray, mask: np.ndarray | None) -> tuple[float, float]:
    good = np.asarray(values, np.float32)[~_bad(values, mask)][None]
    level, rms = np.empty(1), np.empty(1)
    _kernels().box_row(good, 0, 1, good.size, np.zeros((0, 0), bool), level, rms)
    return level[0], rms[0]


def _extremes(values: np.ndarray, mask: np.ndarray | None) -> tuple[float, float]:
    good = ~_bad(values, mask)
    return float(values.min(where=good, initial=np.inf)), float(values.max(where=good, initial=-np.inf))


def _whole_steps(name: str, part: slice, size: int) -> slice:
    start, stop, step = part.indices(size)
    if step != 1:
        raise InputError(f"slices: {name} must have step 1, found {step}")
    return slice(start, max(stop, start))


def float_type(dtype: np.dtype) -> np.dtype:
    """Return the native float type that holds every value of a type of pixel: float32, or float64 where that would lose digits."""
    wide = dtype.itemsize > (4 if dtype.kind == "f" else 2)
    return np.dtype(np.float64 if wide else np.float32)


def _checked(data: np.ndarray) -> np.ndarray:
    values = np.asarray(data)
    if values.ndim != 2 or not values.size:
        raise InputError(f"data: must be a 2-D array that is not empty, found shape {values.shape}")
    if values.dtype.kind not in "fiub":
        raise InputError(f"data: must hold real numbers, found dtype {values.dtype}")
    return values


def _checked_mask(mask: np.ndarray | None, shape: tuple[int, int]) -> np.ndarray | None:
    if mask is None:
        return None
    mask = np.asarray(mask)
    if mask.shape != shape:
        raise InputError(f"mask: must have the shape of the image {shape}, found {mask.shape}")
    if mask.dtype.kind not in "biu":
        raise InputError(f"mask: must be bool (True is bad) or integer bits, found dtype {mask.dtype}")
    return mask


def _bad(values: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Return the pixels without a value (sep takes large negative ones as such, too), and those masked."""
    bad = ~(np.isfinite(values) & (values > _NO_VALUE))
    return bad if mask is None else bad | (mask != 0)


def _checked_boxes(box_size: int | tuple[int, int], filter_size: int) -> tuple[int, int]:
    boxes = (box_size, box_size) if np.ndim(box_size) == 0 else tuple(box_size)
    if len(boxes) != 2 or any(int(box) != box or box < 1 for box in boxes):
        raise InputError(f"box_size: must be a whole number of pixels (or two, rows and columns), found {box_size}")
    if int(filter_size) != filter_size or filter_size < 1:
        raise InputError(f"filter_size: must be a whole number of at least 1, found {filter_size}")
    return int(boxes[0]), int(boxes[1])
