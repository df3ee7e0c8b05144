"""Which part of an image a view shows at a zoom level."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

from ezarchive.errors import InputError

__all__ = ["zoom_box"]

Box = tuple[float, float, float, float]


def zoom_box(
    shape: Sequence[int], zoom: float | str = "fit", *, view: Sequence[float] | None = None, center: Sequence[float] | None = None
) -> Box:
    """Return the part of an image that is seen.

    Parameters
    ----------
    shape : sequence of two int
        Rows and columns of the image.
    zoom : float or 'fit'
        Pixels of the screen along a pixel of the image: 2 doubles it. ``'fit'``: the whole image is just seen.
    view : sequence of two float, optional
        Height and width of the view, pixels of the screen; by default those of the image, so that ``zoom=2`` shows a quarter of it.
    center : sequence of two float, optional
        x and y of the image (0-based centres) in the middle of the view; by default the middle of the image.

    Returns
    -------
    tuple of float
        x0, x1, y0, y1: the edges of the view in pixels of the image, on it or beyond.

    Raises
    ------
    InputError
        If a size is not above 0, or the zoom neither above 0 nor 'fit': "Unsupported zoom level".

    Examples
    --------
    >>> zoom_box((100, 200), 2)
    (49.5, 149.5, 24.5, 74.5)
    """
    ny, nx = _pair(shape, "shape", positive=True)
    height, width = (ny, nx) if view is None else _pair(view, "view", positive=True)
    x, y = ((nx - 1) / 2.0, (ny - 1) / 2.0) if center is None else _pair(center, "center", positive=False)
    if isinstance(zoom, str) and zoom == "fit":
        zoom = min(height / ny, width / nx)
    if isinstance(zoom, bool) or not isinstance(zoom, Real) or not (math.isfinite(zoom) and zoom > 0):
        raise InputError(f"Unsupported zoom level: zoom={zoom!r} must be a number above 0, or 'fit'")
    across, up = width / float(zoom) / 2.0, height / float(zoom) / 2.0
    return x - across, x + across, y - up, y + up


def _pair(values: Any, name: str, *, positive: bool) -> tuple[float, float]:
    text = f"{name}={values!r}: must be two finite numbers" + (" above 0" if positive else "")
    try:
        first, second = (float(value) for value in values)
    except (TypeError, ValueError) as err:
        raise InputError(text) from err
    if not (math.isfinite(first) and math.isfinite(second)) or (positive and min(first, second) <= 0):
        raise InputError(text)
    return first, second
