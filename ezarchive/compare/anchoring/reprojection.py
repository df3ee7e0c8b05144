"""An image on the pixels of another: bilinear, or through `reproject`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.wcs import WCS
from numpy.polynomial import chebyshev
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import map_coordinates

from ezarchive import sky
from ezarchive.compare.anchoring.threads import ALONE
from ezarchive.errors import CompareError, InputError

Floats = NDArray[np.float64]
Mapping = Callable[[Floats, Floats], tuple[Floats, Floats]]

METHODS = ("interp", "exact", "adaptive")
_DEGREES = (1, 4, 8, 16, 32)
_EXACT, _TOLERANCE = 1e-6, 1e-3
"""Largest errors of positions, in pixels: such as end the search for a degree, and such as will do."""
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
    data = _floats(data)
    if data.ndim != 2 or not data.size:
        raise InputError(f"data: must be a 2-D array with at least one pixel, found shape {data.shape}")
    if method not in METHODS:
        raise InputError(f"method {method!r}: must be one of {', '.join(METHODS)}")
    if points not in (1, 2):
        raise InputError(f"points {points!r}: must be 1 or 2")
    if len(shape) != 2 or min(shape) < 1:
        raise InputError(f"shape {shape!r}: must be two positive numbers, rows and columns")
    weight = None if coverage is None else _floats(coverage)
    if weight is not None and weight.shape != data.shape:
        raise InputError(f"coverage: must have the shape of data, {data.shape}, found {weight.shape}")
    mapping = _mapping(like, wcs, shape)
    if _same(mapping, shape, data.shape):
        return Reprojected(np.array(data, float), np.ones(shape), None if weight is None else np.array(weight, float))
    offsets = (0.0,) if points == 1 else (-0.5 / np.sqrt(3), 0.5 / np.sqrt(3))
    made = _sampled(data, weight, mapping, shape, offsets if method == "interp" else ())
    if not made.footprint.any():
        raise CompareError("no_overlap", "the two images do not overlap: no pixel of the one lies on the other")
    if method == "interp":
        return made
    return Reprojected(*_through_reproject(method, data.astype(float), wcs, like, shape), made.coverage)


def _floats(values: ArrayLike) -> NDArray[Any]:
    """Return numbers as floats of the precision they have: singles need no copy to be interpolated."""
    array = np.asarray(values)
    return array if array.dtype in (np.float32, np.float64) else array.astype(float)


def _mapping(source: WCS, target: WCS, shape: tuple[int, int]) -> Mapping:
    """Return the function from rows y and columns x of `source`, an image of `shape`, to pixels (y, x) of `target`, planes both.

    A Chebyshev series, of the lowest of some degrees that is right to `_EXACT` pixels at points between its nodes (for most pairs of
    images a straight line is), or to `_TOLERANCE` where none is; every position by itself where that fails too.
    """

    def exact(y: Floats, x: Floats) -> tuple[Floats, Floats]:
        with ALONE:
            there_x, there_y = sky.icrs_to_pixel(target, *sky.pixel_to_icrs(source, *np.meshgrid(x, y)))
        return there_y, there_x

    for degree in _DEGREES:
        series = _Series.through(exact, shape, degree)
        if series is None:
            return exact
        middles = [np.linspace(-1, n, 2 * degree + 3) for n in shape]
        error = np.abs(np.subtract(series(*middles), exact(*middles))).max()
        if error < _EXACT:
            return series
    return series if error < _TOLERANCE else exact


class _Series:
    """Positions as a Chebyshev series in rows and columns."""

    def __init__(self, shape: tuple[int, int], planes: list[Floats]) -> None:
        self._shape, self._planes = shape, planes

    @classmethod
    def through(cls, exact: Mapping, shape: tuple[int, int], degree: int) -> _Series | None:
        """Return the series of a degree that is right at its nodes; None where a node has no position."""
        nodes = chebyshev.chebpts1(degree + 1)
        planes = exact(*((nodes + 1) / 2 * (n + 1) - 1 for n in shape))
        if not np.isfinite(planes).all():
            return None
        back = np.linalg.inv(chebyshev.chebvander(nodes, degree))
        return cls(shape, [back @ plane @ back.T for plane in planes])

    def __call__(self, y: Floats, x: Floats) -> tuple[Floats, Floats]:
        degree = len(self._planes[0]) - 1
        rows, cols = (chebyshev.chebvander(2 * (v + 1) / (n + 1) - 1, degree) for v, n in zip((y, x), self._shape, strict=True))
        # Not by BLAS: its rounding might follow the number of its threads.
        first, second = (np.einsum("ik,jk->ij", np.einsum("il,lk->ik", rows, plane), cols) for plane in self._planes)
        return first, second


def _chunks(shape: tuple[int, int]) -> list[slice]:
    rows = max(1, _CHUNK // shape[1])
    return [slice(start, min(start + rows, shape[0])) for start in range(0, shape[0], rows)]


def _positions(mapping: Mapping, rows: slice, nx: int, shift_y: float = 0.0, shift_x: float = 0.0) -> tuple[Floats, Floats]:
    return mapping(np.arange(rows.start, rows.stop) + shift_y, np.arange(nx) + shift_x)


def _inside(y: Floats, x: Floats, size: tuple[int, int]) -> NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):
        return (y > -0.5) & (y < size[0] - 0.5) & (x > -0.5) & (x < size[1] - 0.5)


def _same(mapping: Mapping, shape: tuple[int, int], size: tuple[int, int]) -> bool:
    """Whether every pixel lies on the pixel of the same number."""
    if shape != size:
        return False
    axes = [np.linspace(0, n - 1, 7) for n in shape]
    return bool(np.abs(np.subtract(mapping(*axes), np.meshgrid(*axes, indexing="ij"))).max() < 2 * _TOLERANCE)


def _sampled(
    data: Floats, weight: NDArray[Any] | None, mapping: Mapping, shape: tuple[int, int], offsets: tuple[float, ...]
) -> Reprojected:
    """Return bilinear values of the data, the mean over points at `offsets` from the centre of each pixel along both axes (none: NaN)."""
    made, footprint = np.zeros(shape), np.zeros(shape)
    taken = None if weight is None else np.zeros(shape)
    for rows in _chunks(shape):
        middle = _positions(mapping, rows, shape[1])
        footprint[rows] = _inside(*middle, data.shape)
        if taken is not None:
            taken[rows] = _bilinear(weight, *middle, 0.0)
        for shift_y in offsets:
            for shift_x in offsets:
                where = _positions(mapping, rows, shape[1], shift_y, shift_x) if shift_y or shift_x else middle
                made[rows] += _bilinear(data, *where, np.nan)
    return Reprojected(made / max(len(offsets), 1) ** 2, footprint, taken)


def _bilinear(data: NDArray[Any], y: Floats, x: Floats, outside: float) -> Floats:
    inside = _inside(y, x, data.shape)
    if inside.all():
        return map_coordinates(data, [y, x], float, order=1, mode="nearest")
    made = np.full(y.shape, outside)
    if inside.any():
        made[inside] = map_coordinates(data, [y[inside], x[inside]], float, order=1, mode="nearest")
    return made


def _through_reproject(method: str, data: Floats, wcs: WCS, like: WCS, shape: tuple[int, int]) -> tuple[Floats, Floats]:
    import reproject  # noqa: PLC0415  (slow to import, and seldom asked for)

    function = reproject.reproject_exact if method == "exact" else reproject.reproject_adaptive
    made, footprint = function((data, wcs), like, shape_out=shape)
    made = np.asarray(made, float)
    made[~(footprint > 0)] = np.nan
    return made, np.nan_to_num(np.asarray(footprint, float))
