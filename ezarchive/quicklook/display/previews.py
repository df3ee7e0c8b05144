"""Small pictures of large images, by averages over square blocks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ezarchive.errors import InputError
from ezarchive.quicklook.display.kernels_limits import add_blocks
from ezarchive.quicklook.display.strips import Strips
from ezarchive.quicklook.planes.inputs import picture

__all__ = ["Preview", "preview"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Preview:
    """An image, or a part of it, with fewer pixels.

    Attributes
    ----------
    data : ndarray of float32, shape (h, w)
        Mean of the finite pixels of each block, NaN where there are none; blocks at the right and upper edge may hold fewer pixels.
    factor : int
        Pixels of the image along a side of a block.
    box : tuple of int
        The part of the image: x0, x1, y0, y1, from the first to before the second.
    shape : tuple of int
        Rows and columns of the whole image.
    label, unit : str
        Of the image.
    """

    data: NDArray[np.float32] = field(repr=False)
    factor: int
    box: tuple[int, int, int, int]
    shape: tuple[int, int]
    label: str = ""
    unit: str = ""

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top edge of `data`, pixels of the image (0-based centres); the last blocks may reach past the image."""
        x0, _, y0, _ = self.box
        h, w = self.data.shape
        return x0 - 0.5, x0 + w * self.factor - 0.5, y0 - 0.5, y0 + h * self.factor - 0.5

    def to_image(self, x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
        """Return the pixels of the image at pixels of `data`; both have 0-based centres."""
        u, v = ((np.asarray(axis, float) + 0.5) * self.factor - 0.5 for axis in (x, y))
        return u + self.box[0], v + self.box[2]

    def to_preview(self, x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
        """Return the pixels of `data` at pixels of the image; both have 0-based centres."""
        u, v = np.asarray(x, float) - self.box[0], np.asarray(y, float) - self.box[2]
        return (u + 0.5) / self.factor - 0.5, (v + 0.5) / self.factor - 0.5

    def to_dict(self, *, pixels: bool = False) -> dict[str, Any]:
        """Return plain values; the pixels, row by row and None for NaN, only if they are asked for."""
        made = {
            "label": self.label,
            "unit": self.unit,
            "factor": self.factor,
            "box": list(self.box),
            "shape": list(self.shape),
            "preview_shape": list(self.data.shape),
            "extent": list(self.extent),
        }
        if pixels:
            made["data"] = [[value if math.isfinite(value) else None for value in row] for row in self.data.tolist()]
        return made


def preview(
    image: Any,
    size: int = 800,
    *,
    box: Sequence[float] | None = None,
    wcs: Any = None,
    unit: Any = None,
    header: Mapping[str, Any] | None = None,
) -> Preview:
    """Return a small picture of an image: the means of square blocks of pixels.

    Parameters
    ----------
    image : path, Image, Picture, NDData or array of shape (ny, nx)
        What `ezarchive.quicklook.picture` takes. Of a file that is not compressed a few rows are in memory at a time.
    size : int
        The longer side has at most so many blocks.
    box : sequence of four numbers, optional
        Only this part of the image: x0, x1, y0, y1 in pixels (0-based centres, as the limits of an axis); whole pixels that it touches.
    wcs, unit, header : optional
        In place of those of `image`.

    Returns
    -------
    Preview

    Raises
    ------
    InputError
        If `size` is no whole number above 0, or `box` has no pixel of the image.
    FrameError
        If a file cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> preview(np.arange(16.0).reshape(4, 4), 2).data.tolist()
    [[2.5, 4.5], [10.5, 12.5]]
    """
    if isinstance(size, bool) or not isinstance(size, Integral) or size < 1:
        raise InputError(f"size={size!r}: must be a whole number above 0")
    pic = picture(image, wcs=wcs, unit=unit, header=header)
    x0, x1, y0, y1 = part = _part(box, pic.shape)
    factor = -(-max(x1 - x0, y1 - y0) // int(size))
    shape = -(-(y1 - y0) // factor), -(-(x1 - x0) // factor)
    sums, numbers = np.zeros(shape), np.zeros(shape, np.int64)
    for first, rows in Strips(pic, box=part):
        add_blocks(rows, first, factor, sums, numbers)
    with np.errstate(invalid="ignore", over="ignore"):
        means = (sums / numbers).astype(np.float32)
    return Preview(means, factor, part, pic.shape, pic.label, pic.unit_text if pic.unit is None else pic.unit.to_string())


def _part(box: Sequence[float] | None, shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return first and one past the last of the columns and rows that a box touches."""
    ny, nx = shape
    if box is None:
        return 0, nx, 0, ny
    try:
        left, right, bottom, top = (float(value) for value in box)
    except (TypeError, ValueError) as err:
        raise InputError(f"box={box!r}: must be four numbers: x0, x1, y0, y1") from err
    if not all(map(math.isfinite, (left, right, bottom, top))) or left >= right or bottom >= top:
        raise InputError(f"box={box!r}: must be finite, with x0 below x1 and y0 below y1")
    x0, y0 = (max(math.floor(low + 0.5), 0) for low in (left, bottom))
    x1, y1 = (min(math.ceil(high + 0.5), n) for high, n in ((right, nx), (top, ny)))
    if x0 >= x1 or y0 >= y1:
        raise InputError(f"box={box!r}: must hold a pixel of the image, whose shape is {shape}")
    return x0, x1, y0, y1
