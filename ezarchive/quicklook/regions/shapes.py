"""Shapes on an image: what every region, aperture, mask and drawn box becomes before anything is measured in it.

Pixels are 0-based with whole numbers at the centres; angles are degrees counter-clockwise from +x. A shape never changes:
`Shape.moved` and `Shape.scaled` return new ones. A size of zero or below is an error, a centre of zero is not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ezarchive.errors import InputError
from ezarchive.quicklook.regions.outlines import crossing, outline_centroid, outline_contains
from ezarchive.quicklook.regions.shapebase import Bools, Bounds, Centred, Shape, cos_sin, number, read_only
from ezarchive.quicklook.regions.shapecompounds import Combined, Inverted, Raster, unpacked

__all__ = [
    "Annulus",
    "Circle",
    "Combined",
    "Ellipse",
    "Inverted",
    "Polygon",
    "Raster",
    "Rectangle",
    "Shape",
    "shape_from_dict",
]


@dataclass(frozen=True)
class Circle(Centred):
    """A circle.

    Parameters
    ----------
    x, y : float
        Its centre, pixels.
    radius : float
        Pixels, above 0.
    """

    x: float
    y: float
    radius: float
    kind: ClassVar[str] = "circle"
    lengths: ClassVar[tuple[str, ...]] = ("radius",)

    @property
    def reach(self) -> tuple[float, float]:
        """See `Centred`."""
        return self.radius, self.radius

    @property
    def area(self) -> float:
        """See `Shape`."""
        return math.pi * self.radius**2

    def contains(self, x: ArrayLike, y: ArrayLike) -> Bools:
        """See `Shape`."""
        return (np.asarray(x, float) - self.x) ** 2 + (np.asarray(y, float) - self.y) ** 2 < self.radius**2


@dataclass(frozen=True)
class Ellipse(Centred):
    """An ellipse.

    Parameters
    ----------
    x, y : float
        Its centre, pixels.
    a, b : float
        Semi-axes, pixels, above 0; `a` lies along `theta` and need not be the longer one.
    theta : float
        Degrees counter-clockwise from +x.
    """

    x: float
    y: float
    a: float
    b: float
    theta: float = 0.0
    kind: ClassVar[str] = "ellipse"
    lengths: ClassVar[tuple[str, ...]] = ("a", "b")

    @property
    def reach(self) -> tuple[float, float]:
        """See `Centred`."""
        cos, sin = cos_sin(self.theta)
        return math.hypot(self.a * cos, self.b * sin), math.hypot(self.a * sin, self.b * cos)

    @property
    def area(self) -> float:
        """See `Shape`."""
        return math.pi * self.a * self.b

    def contains(self, x: ArrayLike, y: ArrayLike) -> Bools:
        """See `Shape`."""
        along, across = self._turned(x, y, self.theta)
        return (along / self.a) ** 2 + (across / self.b) ** 2 < 1.0


@dataclass(frozen=True)
class Rectangle(Centred):
    """A rectangle.

    Parameters
    ----------
    x, y : float
        Its centre, pixels.
    width, height : float
        Full lengths, pixels, above 0; `width` lies along `theta`.
    theta : float
        Degrees counter-clockwise from +x.
    """

    x: float
    y: float
    width: float
    height: float
    theta: float = 0.0
    kind: ClassVar[str] = "rectangle"
    lengths: ClassVar[tuple[str, ...]] = ("width", "height")

    @property
    def reach(self) -> tuple[float, float]:
        """See `Centred`."""
        cos, sin = (abs(one) for one in cos_sin(self.theta))
        return (self.width * cos + self.height * sin) / 2.0, (self.width * sin + self.height * cos) / 2.0

    @property
    def area(self) -> float:
        """See `Shape`."""
        return self.width * self.height

    @property
    def corners(self) -> tuple[tuple[float, float], ...]:
        """The four corners (x, y), counter-clockwise from the one at -width/2, -height/2."""
        cos, sin = cos_sin(self.theta)
        half = ((-self.width, -self.height), (self.width, -self.height), (self.width, self.height), (-self.width, self.height))
        return tuple((self.x + (u * cos - v * sin) / 2.0, self.y + (u * sin + v * cos) / 2.0) for u, v in half)

    def contains(self, x: ArrayLike, y: ArrayLike) -> Bools:
        """See `Shape`."""
        along, across = self._turned(x, y, self.theta)
        return (np.abs(along) < self.width / 2.0) & (np.abs(across) < self.height / 2.0)


@dataclass(frozen=True)
class Annulus(Shape):
    """What lies between two concentric shapes of one kind and one angle.

    Parameters
    ----------
    inner, outer : Circle, Ellipse or Rectangle
        Every length of `inner` is below that of `outer`.
    """

    inner: Circle | Ellipse | Rectangle
    outer: Circle | Ellipse | Rectangle
    kind: ClassVar[str] = "annulus"

    def __post_init__(self) -> None:
        inner, outer = self.inner, self.outer
        if type(inner) is not type(outer) or not isinstance(inner, Centred):
            raise InputError(
                f"inner, outer: must be two circles, ellipses or rectangles, found {type(inner).__name__} and {type(outer).__name__}"
            )
        if inner.center != outer.center or getattr(inner, "theta", 0.0) != getattr(outer, "theta", 0.0):
            raise InputError(f"inner, outer: must share centre and angle, found {inner} and {outer}")
        for name in inner.lengths:
            if not getattr(inner, name) < getattr(outer, name):
                raise InputError(f"inner {name}={getattr(inner, name)}: must be below the outer {name}={getattr(outer, name)}")

    @property
    def center(self) -> tuple[float, float]:
        """See `Shape`."""
        return self.outer.center

    @property
    def bounds(self) -> Bounds:
        """See `Shape`."""
        return self.outer.bounds

    @property
    def area(self) -> float:
        """See `Shape`."""
        return self.outer.area - self.inner.area

    def contains(self, x: ArrayLike, y: ArrayLike) -> Bools:
        """See `Shape`."""
        return self.outer.contains(x, y) & ~self.inner.contains(x, y)

    def moved(self, dx: float, dy: float) -> Annulus:
        """See `Shape`."""
        return Annulus(self.inner.moved(dx, dy), self.outer.moved(dx, dy))

    def scaled(self, factor: float, about: tuple[float, float] | None = None) -> Annulus:
        """See `Shape`."""
        return Annulus(self.inner.scaled(factor, about), self.outer.scaled(factor, about))

    def to_dict(self) -> dict[str, Any]:
        """See `Shape`."""
        return {"kind": self.kind, "inner": self.inner.to_dict(), "outer": self.outer.to_dict()}


@dataclass(frozen=True)
class Polygon(Shape):
    """A polygon whose sides do not cross.

    Parameters
    ----------
    vertices : sequence of (x, y)
        At least three, in either sense of rotation; the last is joined to the first (and may repeat it).
    """

    vertices: tuple[tuple[float, float], ...]
    kind: ClassVar[str] = "polygon"

    def __post_init__(self) -> None:
        try:
            corners = np.array([tuple(one) for one in self.vertices], float)
        except (TypeError, ValueError) as err:
            raise InputError("vertices: must be pairs (x, y) of numbers") from err
        if len(corners) > 1 and np.array_equal(corners[0], corners[-1]):
            corners = corners[:-1]
        if corners.ndim != 2 or corners.shape[0] < 3 or corners.shape[1] != 2:
            raise InputError(f"vertices: must be three pairs (x, y) or more, found an array of shape {corners.shape}")
        if not np.all(np.isfinite(corners)):
            raise InputError("vertices: must be finite")
        object.__setattr__(self, "vertices", tuple((x, y) for x, y in corners.tolist()))
        if not self.area > 0:
            raise InputError("vertices: must enclose an area, found none")
        if (found := crossing(corners)) is not None:
            raise InputError(f"vertices: sides must not cross, found sides {found[0]} and {found[1]} crossing")

    @cached_property
    def corners(self) -> NDArray[np.float64]:
        """The vertices as an array of shape (n, 2), read-only."""
        return read_only(np.array(self.vertices, float))

    @cached_property
    def _area_center(self) -> tuple[float, float, float]:
        return outline_centroid(self.corners)

    @property
    def center(self) -> tuple[float, float]:
        """The centre of its area."""
        return self._area_center[1:]

    @property
    def bounds(self) -> Bounds:
        """See `Shape`."""
        (x0, y0), (x1, y1) = self.corners.min(axis=0).tolist(), self.corners.max(axis=0).tolist()
        return x0, x1, y0, y1

    @property
    def area(self) -> float:
        """See `Shape`."""
        return self._area_center[0]

    def contains(self, x: ArrayLike, y: ArrayLike) -> Bools:
        """See `Shape`; a place on a side counts for one of the two polygons that share it."""
        return outline_contains(self.corners, x, y)

    def moved(self, dx: float, dy: float) -> Polygon:
        """See `Shape`."""
        return self._similar(self.corners + (dx, dy))

    def scaled(self, factor: float, about: tuple[float, float] | None = None) -> Polygon:
        """See `Shape`."""
        factor = number(factor, "factor", positive=True)
        middle = np.array(self.center if about is None else about, float)
        return self._similar(middle + (self.corners - middle) * factor)

    def _similar(self, corners: NDArray[np.float64]) -> Polygon:
        """Return a polygon of these corners, of the same form, so that its sides need not be looked at again."""
        if not np.all(np.isfinite(corners)):
            raise InputError("vertices: must be finite")
        made = object.__new__(Polygon)
        object.__setattr__(made, "vertices", tuple((x, y) for x, y in corners.tolist()))
        if not made.area > 0:
            raise InputError("vertices: must enclose an area, found none")
        return made


_PLAIN = {one.kind: one for one in (Circle, Ellipse, Rectangle, Polygon)}


def shape_from_dict(values: Mapping[str, Any]) -> Shape:
    """Return the shape that `Shape.to_dict` wrote.

    Raises
    ------
    InputError
        If `values` is nothing of the kind.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"shape: must be a dict with 'kind', found {type(values).__name__}")
    given = dict(values)
    kind = given.pop("kind", None)
    try:
        if kind in _PLAIN:
            return _PLAIN[kind](**given)
        if kind == "annulus":
            return Annulus(shape_from_dict(given["inner"]), shape_from_dict(given["outer"]))  # type: ignore[arg-type]
        if kind == "raster":
            return Raster(unpacked(given["bits"], given["shape"]), given["x0"], given["y0"])
        if kind == "inverted":
            return Inverted(shape_from_dict(given["part"]))
        if kind == "combined":
            return Combined(given["operator"], tuple(shape_from_dict(part) for part in given["parts"]))
    except (KeyError, TypeError) as err:
        raise InputError(f"shape: a {kind} must have its own numbers, found {sorted(given)} ({err})") from err
    raise InputError(f"shape kind={kind!r}: must be one of {', '.join([*_PLAIN, 'annulus', 'raster', 'inverted', 'combined'])}")
