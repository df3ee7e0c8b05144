"""What all shapes have in common, and the checks of their numbers."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ezarchive.errors import InputError

Bounds = tuple[float, float, float, float]
Bools = NDArray[np.bool_]


def number(value: Any, name: str, *, positive: bool = False) -> float:
    """Return a finite number, above 0 if so wished; anything else is an `InputError` that names it."""
    must = "a number above 0" if positive else "a finite number"
    if isinstance(value, (bool, np.bool_, str)) or np.ndim(value) != 0:
        raise InputError(f"{name}={value!r}: must be {must}")
    try:
        found = float(value)
    except (TypeError, ValueError) as err:
        raise InputError(f"{name}={value!r}: must be {must}") from err
    if not math.isfinite(found) or (positive and not found > 0):
        raise InputError(f"{name}={found!r}: must be {must}")
    return found


def whole(value: Any, name: str) -> int:
    """Return a whole number; anything else is an `InputError` that names it."""
    found = number(value, name)
    if found != round(found):
        raise InputError(f"{name}={found!r}: must be a whole number of pixels for a mask")
    return int(found)


def cos_sin(theta: float) -> tuple[float, float]:
    """Return the cosine and sine of degrees, exact for the four quarters."""
    quarters = {0.0: (1.0, 0.0), 90.0: (0.0, 1.0), 180.0: (-1.0, 0.0), 270.0: (0.0, -1.0)}
    turned = theta % 360.0
    return quarters[turned] if turned in quarters else (math.cos(math.radians(turned)), math.sin(math.radians(turned)))


def about_place(center: tuple[float, float], factor: float, about: tuple[float, float] | None) -> tuple[float, float]:
    """Return where a centre goes when all is scaled about a place."""
    if about is None:
        return center
    return about[0] + (center[0] - about[0]) * factor, about[1] + (center[1] - about[1]) * factor


def read_only(array: np.ndarray) -> np.ndarray:
    """Return it, closed for writing."""
    array.flags.writeable = False
    return array


class Shape(ABC):
    """What all shapes have in common."""

    kind: ClassVar[str]

    @property
    @abstractmethod
    def center(self) -> tuple[float, float]:
        """The place (x, y) that `scaled` holds fixed."""

    @property
    @abstractmethod
    def bounds(self) -> Bounds:
        """The box (x0, x1, y0, y1) around it, edges in pixel coordinates (a pixel ends half a pixel from its centre)."""

    @property
    @abstractmethod
    def area(self) -> float:
        """Its area in square pixels, whole, not that on an image; NaN where no closed form is known (see `overlap`)."""

    @abstractmethod
    def contains(self, x: ArrayLike, y: ArrayLike) -> Bools:
        """Return whether places are inside; a place on the edge is outside, on the inner edge of an annulus inside."""

    @abstractmethod
    def moved(self, dx: float, dy: float) -> Shape:
        """Return it shifted by pixels."""

    @abstractmethod
    def scaled(self, factor: float, about: tuple[float, float] | None = None) -> Shape:
        """Return it with all lengths times `factor`, about a place (its own centre by default)."""

    def to_dict(self) -> dict[str, Any]:
        """Return numbers and words only; `shape_from_dict` is the way back."""
        return {"kind": self.kind} | {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]

    def at(self, x: float, y: float) -> Shape:
        """Return it with its centre at a place."""
        return self.moved(float(x) - self.center[0], float(y) - self.center[1])


class Centred(Shape):
    """A shape with a centre of its own and one or two lengths."""

    x: float
    y: float
    lengths: ClassVar[tuple[str, ...]]

    def __post_init__(self) -> None:
        for field in fields(self):  # type: ignore[arg-type]
            object.__setattr__(self, field.name, number(getattr(self, field.name), field.name, positive=field.name in self.lengths))

    @property
    def center(self) -> tuple[float, float]:
        """See `Shape`."""
        return self.x, self.y

    @property
    @abstractmethod
    def reach(self) -> tuple[float, float]:
        """How far it goes from its centre along x and y."""

    @property
    def bounds(self) -> Bounds:
        """See `Shape`."""
        rx, ry = self.reach
        return self.x - rx, self.x + rx, self.y - ry, self.y + ry

    def moved(self, dx: float, dy: float) -> Any:
        """See `Shape`."""
        return self._with(x=self.x + dx, y=self.y + dy)

    def scaled(self, factor: float, about: tuple[float, float] | None = None) -> Any:
        """See `Shape`."""
        factor = number(factor, "factor", positive=True)
        x, y = about_place(self.center, factor, about)
        return self._with(x=x, y=y, **{name: getattr(self, name) * factor for name in self.lengths})

    def _with(self, **changes: float) -> Any:
        return type(self)(**({field.name: getattr(self, field.name) for field in fields(self)} | changes))  # type: ignore[arg-type]

    def _turned(self, x: ArrayLike, y: ArrayLike, theta: float) -> tuple[np.ndarray, np.ndarray]:
        dx, dy = np.asarray(x, float) - self.x, np.asarray(y, float) - self.y
        cos, sin = cos_sin(theta)
        return dx * cos + dy * sin, dy * cos - dx * sin
