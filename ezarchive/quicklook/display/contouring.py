"""Contours: their levels, and lines of equal value through an image."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.measure import find_contours

from ezarchive.errors import InputError
from ezarchive.quicklook.display.limits import display_limits
from ezarchive.quicklook.display.previews import Preview, preview
from ezarchive.quicklook.planes.inputs import picture
from ezarchive.quicklook.planes.pictures import Picture

__all__ = ["Contour", "Contours", "contour_levels", "contours"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Contour:
    """One line of equal value.

    Attributes
    ----------
    level : float
        Its value.
    x, y : ndarray, shape (k,)
        Pixels of the image (0-based centres); larger values lie to the left of the way they lead, seen with y upwards.
    """

    level: float
    x: Floats = field(repr=False)
    y: Floats = field(repr=False)

    @property
    def closed(self) -> bool:
        """Whether it ends where it begins, and not at an edge or at a pixel that is not finite."""
        return bool(len(self.x) > 2 and self.x[0] == self.x[-1] and self.y[0] == self.y[-1])

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"level": self.level, "closed": self.closed, "x": self.x.tolist(), "y": self.y.tolist()}


@dataclass(frozen=True, eq=False)
class Contours:
    """The lines of all levels; iterates over them.

    Attributes
    ----------
    levels : ndarray, shape (n,)
        In the unit of the image.
    lines : tuple of Contour
        Level by level; a level may have many or none.
    factor : int
        Pixels of the image along a side of the blocks whose means the lines go through; 1: its pixels.
    label, unit : str
        Of the image.
    """

    levels: Floats
    lines: tuple[Contour, ...] = field(repr=False)
    factor: int = 1
    label: str = ""
    unit: str = ""

    def __iter__(self) -> Iterator[Contour]:
        return iter(self.lines)

    def __len__(self) -> int:
        return len(self.lines)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "label": self.label,
            "unit": self.unit,
            "factor": self.factor,
            "levels": self.levels.tolist(),
            "lines": [one.to_dict() for one in self.lines],
        }


def contour_levels(data: Any, n: int = 5, percentile: Any = 95, *, levels: Sequence[float] | str | None = None) -> Floats:
    """Return the levels of contours.

    Parameters
    ----------
    data : path, Image, Picture, NDData or array of shape (ny, nx)
        Not looked at if `levels` are given.
    n : int
        Levels at equal distances from limit to limit, both included; 1: the lower limit alone.
    percentile : float, str, pair of floats or Limits
        Gives the limits, as of `display_limits`.
    levels : sequence of float or str, optional
        The levels themselves, in any order; a text has commas between them.

    Returns
    -------
    ndarray, shape (n,)
        One level where the limits are equal, none where the image has no finite pixel.

    Raises
    ------
    InputError
        If `n` is no whole number above 0, a level no finite number, or `percentile` nothing of the kind.

    Examples
    --------
    >>> import numpy as np
    >>> contour_levels(np.arange(101.0).reshape(1, 101), 3, 90).tolist()
    [5.0, 50.0, 95.0]
    >>> contour_levels(None, levels="1, 2.5, 0").tolist()
    [1.0, 2.5, 0.0]
    """
    if levels is not None:
        return _custom(levels)
    if isinstance(n, bool) or not isinstance(n, Integral) or n < 1:
        raise InputError(f"n={n!r}: must be a whole number above 0")
    low, high = display_limits(data, percentile)
    if math.isnan(low):
        return np.empty(0)
    return np.linspace(low, high, 1 if low == high else int(n))


def _custom(levels: Any) -> Floats:
    items = levels.split(",") if isinstance(levels, str) else [levels] if isinstance(levels, Real) else levels
    try:
        found = [_level(item, levels) for item in items]
    except TypeError as err:
        raise InputError(f"levels={levels!r}: must be numbers, or a text of numbers with commas between them") from err
    if not found:
        raise InputError(f"levels={levels!r}: must hold a number")
    return np.array(found)


def _level(item: Any, levels: Any) -> float:
    try:
        number = math.nan if isinstance(item, (bool, np.bool_)) else float(item)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"levels={levels!r}: {item!r} must be a finite number")
    return number


def contours(
    image: Any,
    levels: Sequence[float] | str | None = None,
    *,
    n: int = 5,
    percentile: Any = 95,
    box: Sequence[float] | None = None,
    size: int | None = None,
    wcs: Any = None,
    unit: Any = None,
    header: Mapping[str, Any] | None = None,
) -> Contours:
    """Return the lines along which an image has given values.

    Parameters
    ----------
    image : path, Image, Picture, NDData or array of shape (ny, nx)
        What `ezarchive.quicklook.picture` takes. No line crosses pixels that are not finite, or masked.
    levels : sequence of float or str, optional
        See `contour_levels`, as of `n` and `percentile`, which count without them and are those of the whole image.
    n : int
        Number of levels.
    percentile : float, str, pair of floats or Limits
        Gives the limits of the levels.
    box : sequence of four numbers, optional
        Only this part: x0, x1, y0, y1, pixels.
    size : int, optional
        Go through the means of square blocks, at most so many along the longer side (see `preview`), which smooths noise and is quick on
        a large image. By default through the pixels themselves.
    wcs, unit, header : optional
        In place of those of `image`.

    Returns
    -------
    Contours

    Raises
    ------
    InputError
        If an argument is not as it must be.
    FrameError
        If a file cannot be read.

    Notes
    -----
    Marching squares between the centres of the pixels, with linear interpolation (`skimage.measure.find_contours`).

    Examples
    --------
    >>> import numpy as np
    >>> line = contours(np.arange(12.0).reshape(3, 4) % 4, [1.5]).lines[0]
    >>> sorted(set(line.x.tolist())), line.closed
    ([1.5], False)
    """
    pic = picture(image, wcs=wcs, unit=unit, header=header)
    values = contour_levels(pic, n, percentile, levels=levels)
    small = preview(pic, max(pic.shape) if size is None else size, box=box)
    data = small.data.astype(np.float64) if small.factor > 1 else _pixels(pic, small)
    lines = tuple(line for level in values.tolist() for line in _lines(data, level, small)) if min(data.shape) > 1 else ()
    return Contours(values, lines, small.factor, small.label, small.unit)


def _pixels(pic: Picture, part: Preview) -> Floats:
    """Return the pixels of a part as they are, NaN where they are not finite or masked."""
    x0, x1, y0, y1 = part.box
    rows, cols = slice(y0, y1), slice(x0, x1)
    data = np.array(pic.image.cut(rows, cols), np.float64)
    data[~np.isfinite(data)] = np.nan
    if pic.mask is not None:
        data[pic.mask[rows, cols]] = np.nan
    return data


def _lines(data: Floats, level: float, part: Preview) -> list[Contour]:
    return [Contour(level, *part.to_image(path[:, 1], path[:, 0])) for path in find_contours(data, level)]
