"""An image on the pixels of another: bilinear, or through `reproject`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from astropy.wcs import WCS
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import RectBivariateSpline
from scipy.ndimage import map_coordinates

from ezarchive import sky
from ezarchive.errors import CompareError, InputError

Floats = NDArray[np.float64]
Mapping = Callable[[Floats, Floats], tuple[Floats, Floats]]

METHODS = ("interp", "exact", "adaptive")
_NODES = 32
"""Pixels between the nodes at which positions are worked out; between them splines do."""
_TOLERANCE = 1e-3
"""Largest error of the splines, in pixels."""
_CHUNK = 1 << 20
"""Pixels that are worked out at a time."""


@dataclass(frozen=True, eq=False)
class Reprojected:
    """An image on other pixels.

    Attributes
    ----------
    data : ndarray, shape (ny, nx)
        Surface brightness as before; NaN outside of the image and where a pixel that takes part is NaN.
    footprint : ndarray, shape (ny, nx)
        The share of the pixel that lies on the image, 0 to 1 (0 or 1 of ``interp``).
    coverage : ndarray, shape (ny, nx), or None
        What was given along, 0 outside.
    """

    data: Floats
    footprint: Floats
    coverage: Floats | None = None


def reproject_to(
    data: ArrayLike,
    wcs: WCS,
    like: WCS,
    shape: tuple[int, int],
    *,
    method: str = "interp",
    coverage: ArrayLike | None = None,
    points: int = 1,
) -> Reprojected:
    """Put an image of surface brightness on the pixels of another.

    Parameters
    ----------
    data : array_like, shape (ny, nx)
    wcs : WCS
        Of `data`.
    like : WCS
        Of the result; celestial, of any system, two axes.
    shape : (int, int)
        Rows and columns of the result.
    method : {"interp", "exact", "adaptive"}
        Bilinear; or by areas, or adaptively, as the `reproject` package does them.
    coverage : array_like, shape (ny, nx), optional
        Taken along bilinearly.
    points : {1, 2}
        Of ``interp``: sampled at the centre of each new pixel, or the mean of 2 x 2 points of Gauss and Legendre, which is the mean over
        the pixel wherever the image is smooth over it. Take 2 where the new pixels are larger than the old ones.

    Returns
    -------
    Reprojected

    Raises
    ------
    InputError
        If the arguments are wrong.
    CompareError
        ``no_overlap``: if no new pixel lies on the image.
    """
    data = np.asarray(data, float)
    if data.ndim != 2 or not data.size:
        raise InputError(f"data: must be a 2-D array with at least one pixel, found shape {data.shape}")
    if method not in METHODS:
        raise InputError(f"method {method!r}: must be one of {', '.join(METHODS)}")
    if points not in (1, 2):
        raise InputError(f"points {points!r}: must be 1 or 2")
    if len(shape) != 2 or min(shape) < 1:
        raise InputError(f"shape {shape!r}: must be two positive numbers, rows and columns")
    weight = None if coverage is None else np.asarray(coverage, float)
    if weight is not None and weight.shape != data.shape:
        raise InputError(f"coverage: must have the shape of data, {data.shape}, found {weight.shape}")
    mapping = _mapping(like, wcs, shape)
    footprint = _footprint(mapping, shape, data.shape)
    if not footprint.any():
        raise CompareError("no_overlap", "the two images do not overlap: no pixel of the one lies on the other")
    if _same(mapping, shape, data.shape):
        return Reprojected(data.copy(), footprint, None if weight is None else weight.copy())
    offsets = (0.0,) if points == 1 else (-0.5 / np.sqrt(3), 0.5 / np.sqrt(3))
    taken = None if weight is None else _sampled(weight, mapping, shape, (0.0,), 0.0)
    if method == "interp":
        return Reprojected(_sampled(data, mapping, shape, offsets, np.nan), footprint, taken)
    made, footprint = _through_reproject(method, data, wcs, like, shape)
    return Reprojected(made, footprint, taken)


def _mapping(source: WCS, target: WCS, shape: tuple[int, int]) -> Mapping:
    """Return the function from pixels (y, x) of `source`, an image of `shape`, to pixels (y, x) of `target`."""

    def exact(y: Floats, x: Floats) -> tuple[Floats, Floats]:
        there_x, there_y = sky.icrs_to_pixel(target, *sky.pixel_to_icrs(source, x, y))
        return there_y, there_x

    nodes = [np.linspace(-1, n, max(4, int(np.ceil(n / _NODES)) + 1)) for n in shape]
    middles = [(axis[1:] + axis[:-1]) / 2 for axis in nodes]
    known = exact(*np.meshgrid(*nodes, indexing="ij"))
    if not np.isfinite(known).all():
        return exact
    splines = [RectBivariateSpline(*nodes, plane) for plane in known]

    def smooth(y: Floats, x: Floats) -> tuple[Floats, Floats]:
        return splines[0](y[:, 0], x[0]), splines[1](y[:, 0], x[0])

    grid = np.meshgrid(*middles, indexing="ij")
    error = np.abs(np.subtract(smooth(*grid), exact(*grid)))
    return smooth if error.max() < _TOLERANCE else exact


def _grid(rows: slice, nx: int, shift_y: float = 0.0, shift_x: float = 0.0) -> tuple[Floats, Floats]:
    y, x = np.meshgrid(np.arange(rows.start, rows.stop) + shift_y, np.arange(nx) + shift_x, indexing="ij")
    return y, x


def _chunks(shape: tuple[int, int]) -> list[slice]:
    rows = max(1, _CHUNK // shape[1])
    return [slice(start, min(start + rows, shape[0])) for start in range(0, shape[0], rows)]


def _footprint(mapping: Mapping, shape: tuple[int, int], size: tuple[int, int]) -> Floats:
    made = np.zeros(shape)
    for rows in _chunks(shape):
        y, x = mapping(*_grid(rows, shape[1]))
        with np.errstate(invalid="ignore"):
            made[rows] = (y > -0.5) & (y < size[0] - 0.5) & (x > -0.5) & (x < size[1] - 0.5)
    return made


def _same(mapping: Mapping, shape: tuple[int, int], size: tuple[int, int]) -> bool:
    """Whether every pixel lies on the pixel of the same number."""
    if shape != size:
        return False
    grid = np.meshgrid(np.linspace(0, shape[0] - 1, 7), np.linspace(0, shape[1] - 1, 7), indexing="ij")
    return bool(np.abs(np.subtract(mapping(*grid), grid)).max() < 2 * _TOLERANCE)


def _sampled(data: Floats, mapping: Mapping, shape: tuple[int, int], offsets: tuple[float, ...], outside: float) -> Floats:
    """Return bilinear values, the mean over points at `offsets` from the centre of each pixel along both axes."""
    made = np.zeros(shape)
    for rows in _chunks(shape):
        for shift_y in offsets:
            for shift_x in offsets:
                made[rows] += _bilinear(data, *mapping(*_grid(rows, shape[1], shift_y, shift_x)), outside)
    return made / len(offsets) ** 2


def _bilinear(data: Floats, y: Floats, x: Floats, outside: float) -> Floats:
    with np.errstate(invalid="ignore"):
        inside = (y > -0.5) & (y < data.shape[0] - 0.5) & (x > -0.5) & (x < data.shape[1] - 0.5)
    made = np.full(y.shape, outside)
    made[inside] = map_coordinates(data, [y[inside], x[inside]], order=1, mode="nearest")
    return made


def _through_reproject(method: str, data: Floats, wcs: WCS, like: WCS, shape: tuple[int, int]) -> tuple[Floats, Floats]:
    import reproject  # noqa: PLC0415  (slow to import, and seldom asked for)

    function = reproject.reproject_exact if method == "exact" else reproject.reproject_adaptive
    made, footprint = function((data, wcs), like, shape_out=shape)
    made = np.asarray(made, float)
    made[~(footprint > 0)] = np.nan
    return made, np.nan_to_num(np.asarray(footprint, float))
