"""Shapes made of pixels or of other shapes: masks, the outside of a shape, several shapes as one."""

from __future__ import annotations

import base64
import binascii
import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike

from ezarchive.errors import InputError
from ezarchive.quicklook.regions.shapebase import Bools, Bounds, Shape, number, read_only, whole

Operator = Literal["and", "or", "xor"]
_LOGIC = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}


@dataclass(frozen=True, eq=False)
class Raster(Shape):
    """A mask of whole pixels.

    Parameters
    ----------
    mask : ndarray of bool, shape (ny, nx)
        True inside; copied.
    x0, y0 : int
        The pixel of its first column and row.
    """

    mask: Bools
    x0: int = 0
    y0: int = 0
    kind: ClassVar[str] = "raster"

    def __post_init__(self) -> None:
        mask = np.array(self.mask)
        if mask.ndim != 2 or mask.dtype != np.bool_:
            raise InputError(f"mask: must be a 2-D array of bool, found {mask.dtype} of shape {mask.shape}")
        if not mask.any():
            raise InputError("mask: must hold a pixel, found none that is True")
        object.__setattr__(self, "mask", read_only(mask))
        for name in ("x0", "y0"):
            object.__setattr__(self, name, whole(getattr(self, name), name))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Raster):
            return NotImplemented
        return (self.x0, self.y0) == (other.x0, other.y0) and np.array_equal(self.mask, other.mask)

    def __hash__(self) -> int:
        return hash((self.x0, self.y0, self.mask.shape, self.mask.tobytes()))

    def __repr__(self) -> str:
        return f"Raster({self.mask.shape[0]} x {self.mask.shape[1]} pixels, x0={self.x0}, y0={self.y0})"

    @cached_property
    def _box(self) -> tuple[int, int, int, int]:
        columns, rows = np.flatnonzero(self.mask.any(axis=0)), np.flatnonzero(self.mask.any(axis=1))
        return int(columns[0]), int(columns[-1]), int(rows[0]), int(rows[-1])

    @cached_property
    def center(self) -> tuple[float, float]:
        """The mean of its pixels."""
        rows, columns = np.nonzero(self.mask)
        return float(columns.mean()) + self.x0, float(rows.mean()) + self.y0

    @property
    def bounds(self) -> Bounds:
        """See `Shape`."""
        left, right, bottom, top = self._box
        return self.x0 + left - 0.5, self.x0 + right + 0.5, self.y0 + bottom - 0.5, self.y0 + top + 0.5

    @property
    def area(self) -> float:
        """See `Shape`."""
        return float(np.count_nonzero(self.mask))

    def trimmed(self) -> Raster:
        """Return it without empty rows and columns around it."""
        left, right, bottom, top = self._box
        return Raster(self.mask[bottom : top + 1, left : right + 1], self.x0 + left, self.y0 + bottom)

    def contains(self, x: ArrayLike, y: ArrayLike) -> Bools:
        """See `Shape`; of a place, that of the pixel it is in."""
        x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
        column, row = np.floor(x + 0.5) - self.x0, np.floor(y + 0.5) - self.y0
        ny, nx = self.mask.shape
        near = (column >= 0) & (column < nx) & (row >= 0) & (row < ny)
        return near & self.mask[np.where(near, row, 0).astype(int), np.where(near, column, 0).astype(int)]

    def moved(self, dx: float, dy: float) -> Raster:
        """See `Shape`; by whole pixels only."""
        return Raster(self.mask, self.x0 + whole(dx, "dx"), self.y0 + whole(dy, "dy"))

    def scaled(self, factor: float, about: tuple[float, float] | None = None) -> Raster:
        """Raise: a mask has no outline to scale."""
        if number(factor, "factor", positive=True) == 1.0:
            return self
        raise InputError(f"factor={factor}: a mask of pixels cannot be scaled; give a shape")

    def to_dict(self) -> dict[str, Any]:
        """See `Shape`; the bits are packed by rows, compressed, in base 64."""
        bits = base64.b64encode(zlib.compress(np.packbits(self.mask).tobytes())).decode("ascii")
        return {"kind": self.kind, "x0": self.x0, "y0": self.y0, "shape": list(self.mask.shape), "bits": bits}


@dataclass(frozen=True)
class Inverted(Shape):
    """Everything outside a shape."""

    part: Shape
    kind: ClassVar[str] = "inverted"

    def __post_init__(self) -> None:
        if not isinstance(self.part, Shape):
            raise InputError(f"part: must be a shape, found {type(self.part).__name__}")

    @property
    def center(self) -> tuple[float, float]:
        """That of what is left out."""
        return self.part.center

    @property
    def bounds(self) -> Bounds:
        """Without end."""
        return -math.inf, math.inf, -math.inf, math.inf

    @property
    def area(self) -> float:
        """Without end."""
        return math.inf

    def contains(self, x: ArrayLike, y: ArrayLike) -> Bools:
        """See `Shape`."""
        return ~self.part.contains(x, y)

    def moved(self, dx: float, dy: float) -> Inverted:
        """See `Shape`."""
        return Inverted(self.part.moved(dx, dy))

    def scaled(self, factor: float, about: tuple[float, float] | None = None) -> Inverted:
        """See `Shape`."""
        return Inverted(self.part.scaled(factor, about))

    def to_dict(self) -> dict[str, Any]:
        """See `Shape`."""
        return {"kind": self.kind, "part": self.part.to_dict()}


@dataclass(frozen=True)
class Combined(Shape):
    """Several shapes as one.

    Parameters
    ----------
    operator : {'and', 'or', 'xor'}
        In all of them, in any, or in an odd number of them.
    parts : sequence of Shape
        Two or more.
    """

    operator: Operator
    parts: tuple[Shape, ...]
    kind: ClassVar[str] = "combined"

    def __post_init__(self) -> None:
        if self.operator not in _LOGIC:
            raise InputError(f"operator={self.operator!r}: must be one of {', '.join(_LOGIC)}")
        parts = tuple(self.parts) if isinstance(self.parts, Iterable) else ()
        if len(parts) < 2 or not all(isinstance(part, Shape) for part in parts):
            raise InputError(f"parts: must be two shapes or more, found {[type(part).__name__ for part in parts]}")
        object.__setattr__(self, "parts", parts)

    @property
    def center(self) -> tuple[float, float]:
        """The middle of its bounds; where these have no end, the mean of the parts' centres."""
        x0, x1, y0, y1 = self.bounds
        if all(math.isfinite(edge) for edge in (x0, x1, y0, y1)):
            return (x0 + x1) / 2.0, (y0 + y1) / 2.0
        x, y = np.mean([part.center for part in self.parts], axis=0).tolist()
        return x, y

    @property
    def bounds(self) -> Bounds:
        """See `Shape`; those of 'and' are the common ones of the parts, of no width where the parts are apart."""
        x0, x1, y0, y1 = np.array([part.bounds for part in self.parts], float).T
        if self.operator == "and":
            left, bottom = x0.max(), y0.max()
            return float(left), float(max(left, x1.min())), float(bottom), float(max(bottom, y1.min()))
        return float(x0.min()), float(x1.max()), float(y0.min()), float(y1.max())

    @property
    def area(self) -> float:
        """NaN: no closed form; the weights of `overlap` add up to it."""
        return math.nan

    def contains(self, x: ArrayLike, y: ArrayLike) -> Bools:
        """See `Shape`."""
        return reduce(_LOGIC[self.operator], (part.contains(x, y) for part in self.parts))

    def moved(self, dx: float, dy: float) -> Combined:
        """See `Shape`."""
        return Combined(self.operator, tuple(part.moved(dx, dy) for part in self.parts))

    def scaled(self, factor: float, about: tuple[float, float] | None = None) -> Combined:
        """See `Shape`; all parts about one place."""
        middle = self.center if about is None else about
        return Combined(self.operator, tuple(part.scaled(factor, middle) for part in self.parts))

    def to_dict(self) -> dict[str, Any]:
        """See `Shape`."""
        return {"kind": self.kind, "operator": self.operator, "parts": [part.to_dict() for part in self.parts]}


def unpacked(text: str, shape: tuple[int, int]) -> Bools:
    """Return the mask that `Raster.to_dict` packed."""
    ny, nx = (whole(one, "shape") for one in shape)
    try:
        packed = np.frombuffer(zlib.decompress(base64.b64decode(text, validate=True)), np.uint8)
        return np.unpackbits(packed, count=ny * nx).astype(bool).reshape(ny, nx)
    except (binascii.Error, zlib.error, ValueError) as err:
        raise InputError(f"bits: must be those of a mask of {ny} x {nx} pixels ({err})") from err
