"""The level under an aperture: a number, a ring around it, or a region of the image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from astropy import units as u
from astropy.stats import sigma_clip
from astropy.wcs import WCS
from numpy.typing import NDArray

from ezarchive import sky
from ezarchive.errors import InputError
from ezarchive.quicklook.apertures.overlaps import aperture_statistics
from ezarchive.quicklook.planes.pictures import Picture
from ezarchive.quicklook.planes.units import in_unit, number_of
from ezarchive.quicklook.regions import shapes as outlines
from ezarchive.quicklook.regions.regionkinds import shape_of
from ezarchive.quicklook.regions.shapebase import Shape

__all__ = ["METHODS", "Annulus", "Levels", "background_levels", "pixels_in"]

METHODS = ("median", "mean", "clipped_median", "clipped_mean")
"""How the level is made of the pixels."""

CLIP_SIGMA = 3.0
DEFAULT_WIDTH = 10.0

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


_MEDIAN = math.sqrt(math.pi / 2)
"""How much wider than a mean of normal noise its median scatters; of two pixels or one they are the same."""


@dataclass(frozen=True)
class Annulus:
    """A circular ring about the centre of each aperture, where its background is measured.

    Parameters
    ----------
    inner : float or Quantity, optional
        Its inner radius, pixels or an angle, 0 or above. By default that of the aperture: the radius of a circle, the larger semi-axis
        of an ellipse, half the diagonal of a rectangle, else that of the circle around it.
    width : float or Quantity
        The outer radius is so much larger; above 0.

    Raises
    ------
    InputError
        If a number is not as it must be.

    Examples
    --------
    >>> Annulus(7, 10)
    Annulus(inner=7, width=10)
    """

    inner: Any = None
    width: Any = DEFAULT_WIDTH

    def __post_init__(self) -> None:
        if self.inner is not None and _plain(self.inner, "inner") < 0:
            raise InputError(f"background annulus inner={self.inner}: must be 0 or above")
        if _plain(self.width, "width") <= 0:
            raise InputError(f"background annulus width={self.width}: must be above 0")

    def around(self, shape: Shape, picture: Picture | None = None) -> Shape:
        """Return the ring around a shape; the image's WCS makes pixels of angles.

        Raises
        ------
        InputError
            If a radius is an angle and the image has no WCS.
        """
        x, y = shape.center
        inner = _reach(shape) if self.inner is None else _pixels(self.inner, "inner", x, y, picture)
        outer = outlines.Circle(x, y, inner + _pixels(self.width, "width", x, y, picture))
        return outer if inner == 0 else outlines.Annulus(outlines.Circle(x, y, inner), outer)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {name: value.to_string() if isinstance(value, u.Quantity) else value for name, value in vars(self).items()}


class Levels(NamedTuple):
    """Backgrounds of apertures, shape (n,): level, error of it, scatter of its pixels, their number, and why there is none (or "").

    A level that was given has no error, no scatter (NaN) and 0 pixels.
    """

    level: Floats
    error: Floats
    std: Floats
    n: NDArray[np.int64]
    reason: Sequence[str]


def background_levels(
    picture: Picture,
    background: Any,
    shapes: Sequence[Shape],
    *,
    method: str = "median",
    good: Bools | None = None,
) -> Levels:
    """Return the background of each aperture, in the unit of the pixels.

    Parameters
    ----------
    picture : Picture
    background : float, Quantity, array of shape (n,), Annulus, or region
        A number or quantity for all or one for each, a ring around each, or one region for all.
    shapes : sequence of Shape
        The apertures.
    method : {'median', 'mean', 'clipped_median', 'clipped_mean'}
        Of the finite, good pixels whose centres lie in the ring or region, without weights; clipped at 3 standard deviations about the
        median until nothing changes.
    good : ndarray of bool, optional
        Shape of the image: the pixels to use.

    Returns
    -------
    Levels
        ``error`` is std / sqrt(n), of a median sqrt(pi / 2) times that (normal noise, many pixels); ``std`` has n in the denominator.

    Raises
    ------
    InputError
        If `background` is none of these, or a region that holds no finite pixel. A ring without any has a reason instead.
    """
    if method not in METHODS:
        raise InputError(f"background_method={method!r}: must be one of {', '.join(METHODS)}")
    count = len(shapes)
    if isinstance(background, Annulus):
        rows = _measured(picture, [background.around(shape, picture) for shape in shapes], method, good)
        reasons = ["" if row[3] else "background: the annulus holds no finite pixel" for row in rows]
        return _levels(rows, reasons)
    if _is_number(background):
        level = _numbers(in_unit(background, "background", picture.unit), count)
        nothing = np.full(count, np.nan)
        return Levels(level, nothing, nothing, np.zeros(count, np.int64), [""] * count)
    region = background.on(picture) if hasattr(background, "on") else background
    (row,) = _measured(picture, [shape_of(region, picture)], method, good)
    if not row[3]:
        raise InputError("background: the region holds no finite pixel; must hold one")
    return _levels([row] * count, [""] * count)


def pixels_in(data: np.ndarray, shape: Shape, good: Bools | None = None) -> Floats:
    """Return the finite, good pixels whose centres lie in a shape, as float64, row by row."""
    ny, nx = data.shape
    x0, x1, y0, y1 = shape.bounds
    left, right = _cut(x0, nx), _cut(x1, nx, 1)
    bottom, top = _cut(y0, ny), _cut(y1, ny, 1)
    if left >= right or bottom >= top:
        return np.empty(0)
    part = data[bottom:top, left:right]
    use = shape.contains(np.arange(left, right), np.arange(bottom, top)[:, None]) & np.isfinite(part)
    if good is not None:
        use = use & good[bottom:top, left:right]
    return np.asarray(part[use], np.float64)


def _cut(edge: float, n: int, more: int = 0) -> int:
    """Return the first pixel whose centre is at or above an edge (with `more`, one after the last below it), within the image."""
    if not math.isfinite(edge):
        return 0 if edge < 0 else n
    return int(min(max(math.floor(edge) + more if more else math.ceil(edge), 0), n))


def _measured(picture: Picture, shapes: Sequence[Shape], method: str, good: Bools | None) -> list[tuple[float, float, float, int]]:
    """Return level, error, scatter and number of pixels of each shape."""
    if method.startswith("clipped"):
        return [_clipped(pixels_in(picture.data, shape, good), method) for shape in shapes]
    found = aperture_statistics(picture.data, shapes, good=good)
    columns = (found[name].tolist() for name in (method, "std", "n"))
    return [_row(level, std, n, method) for level, std, n in zip(*columns, strict=True)]


def _clipped(values: Floats, method: str) -> tuple[float, float, float, int]:
    if not values.size:
        return _row(np.nan, np.nan, 0, method)
    values = np.asarray(sigma_clip(values, sigma=CLIP_SIGMA, maxiters=None, masked=False))
    return _row(float(np.median(values) if method.endswith("median") else np.mean(values)), float(np.std(values)), values.size, method)


def _row(level: float, std: float, n: int, method: str) -> tuple[float, float, float, int]:
    # One pixel says nothing of the scatter.
    std = std if n > 1 else np.nan
    wider = _MEDIAN if method.endswith("median") and n > 2 else 1.0
    return level, wider * std / math.sqrt(n) if n else np.nan, std, n


def _levels(rows: Sequence[tuple[float, float, float, int]], reasons: Sequence[str]) -> Levels:
    level, error, std, n = np.array(rows, float).reshape(-1, 4).T
    return Levels(level, error, std, n.astype(np.int64), reasons)


def _is_number(value: Any) -> bool:
    if isinstance(value, (u.Quantity, str, bool, int, float, np.number, np.bool_)) or value is None:
        return True
    return isinstance(value, (list, tuple, np.ndarray)) and np.ndim(value) <= 1 and not any(isinstance(one, Shape) for one in value)


def _numbers(value: Any, count: int) -> Floats:
    must = "a number, a quantity, an Annulus or a region"
    if np.ndim(value) == 0:
        return np.full(count, number_of(value, "background", must))
    found = [number_of(one, "background", must) for one in np.asarray(value, object).tolist()]
    if len(found) != count:
        raise InputError(f"background: must be one number or one for each of {count} regions, found {len(found)}")
    return np.array(found)


def _plain(value: Any, name: str) -> float:
    if isinstance(value, u.Quantity):
        if not (value.unit.is_equivalent(u.rad) or value.unit == u.pix):
            raise InputError(f"background annulus {name}={value}: must be pixels or an angle")
        value = value.value
    return number_of(value, f"background annulus {name}", "a number of pixels, or an angle")


def _pixels(value: Any, name: str, x: float, y: float, picture: Picture | None) -> float:
    if not isinstance(value, u.Quantity) or value.unit == u.pix:
        return _plain(value, name)
    wcs = None if picture is None else picture.wcs
    if wcs is None:
        raise InputError(f"background annulus {name}={value}: must be pixels for an image without a WCS")
    if not isinstance(wcs, WCS):
        raise InputError(f"background annulus {name}={value}: must be pixels for an image whose WCS is no FITS WCS")
    return float(value.to_value(u.arcsec) / sky.pixel_scale(wcs, x, y))


def _reach(shape: Shape) -> float:
    """Return the radius of the aperture, beyond which a ring lies outside of it."""
    if isinstance(shape, outlines.Annulus):
        return _reach(shape.outer)
    if isinstance(shape, outlines.Circle):
        return shape.radius
    if isinstance(shape, outlines.Ellipse):
        return max(shape.a, shape.b)
    if isinstance(shape, outlines.Rectangle):
        return math.hypot(shape.width, shape.height) / 2.0
    x, y = shape.center
    x0, x1, y0, y1 = shape.bounds
    found = math.hypot(max(x1 - x, x - x0), max(y1 - y, y - y0))
    if not math.isfinite(found):
        raise InputError("background annulus inner: must be given for an aperture without end")
    return found
