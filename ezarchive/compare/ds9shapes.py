"""The shapes of DS9 regions, and which pixels of an image each of them covers.

Sky shapes are worked out on the sky at each pixel's own position, so that distortions, mirrored images and poles need no care: offsets from
the centre are great-circle distances, along west and north of the system that the region is in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ezarchive import sky
from ezarchive.compare import ds9places as places
from ezarchive.compare.ds9places import PIXEL_SYSTEMS, SKY_SYSTEMS
from ezarchive.compare.fluximage import FluxImage
from ezarchive.errors import InputError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_FULL = (0.0, 360.0)


@dataclass(frozen=True)
class Ds9Region:
    """What every region has.

    Attributes
    ----------
    shape : str
    exclude : bool
        Whether it takes its pixels away (``-`` before the shape).
    system : str
        ``physical``, ``image``, ``icrs``, ``fk5``, ``fk4``, ``galactic`` or ``ecliptic``; other names of these are taken too.
    x, y : float
        Centre: degrees on the sky; pixels counted from 1 otherwise.
    unit : str
        Of the sizes: ``"deg"``, ``"image"`` (pixels) or ``"physical"``; by default that of the system.
    """

    shape: str
    exclude: bool
    system: str
    x: float
    y: float
    unit: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        system = str(self.system).lower()
        if system not in PIXEL_SYSTEMS and system not in SKY_SYSTEMS:
            raise InputError(f"system {self.system!r}: must be one of {', '.join((*PIXEL_SYSTEMS, *SKY_SYSTEMS))}")
        object.__setattr__(self, "system", SKY_SYSTEMS.get(system, system))
        object.__setattr__(self, "unit", self.unit or ("deg" if self.on_sky else self.system))
        for name in ("x", "y"):
            object.__setattr__(self, name, _finite(name, getattr(self, name)))
        if self.on_sky and abs(self.y) > 90:
            raise InputError(f"y {self.y!r}: must be a latitude from -90 to 90 degrees")

    @property
    def on_sky(self) -> bool:
        """Whether it is in a system of the sky."""
        return self.system in SKY_SYSTEMS

    @property
    def reach(self) -> float:
        """No point of it is farther from its centre, in `unit`."""
        raise NotImplementedError

    def holds(self, right: Floats, up: Floats) -> Bools:
        """Tell which offsets from the centre, in `unit`, lie in it: ``right`` along +x, on the sky west; ``up`` along +y, north."""
        raise NotImplementedError

    def covers(self, image: FluxImage) -> Bools:
        """Return which pixels of an image have their centre in the region.

        Parameters
        ----------
        image : FluxImage
            With a celestial WCS, if the region is on the sky or its sizes are angles.

        Returns
        -------
        ndarray of bool, shape (ny, nx)
        """
        found = np.zeros(image.shape, bool)
        scale = places.scale_of(self, image)
        place = places.sky_offsets if self.on_sky else places.pixel_offsets
        window, offsets = place(self, image, self.reach * scale)
        y, x = np.mgrid[window]
        if y.size:
            right, up = offsets(x.astype(float), y.astype(float))
            found[window] = self.holds(right / scale, up / scale)
        return found


@dataclass(frozen=True)
class Ds9Circle(Ds9Region):
    """A circle: ``Ds9Circle(exclude, system, x, y, radius)``; the radius in degrees on the sky, else in pixels."""

    shape: str = field(init=False, default="circle")
    radius: float

    def __post_init__(self) -> None:
        super().__post_init__()
        _positive(self, "radius")

    @property
    def reach(self) -> float:
        """Its radius."""
        return self.radius

    def holds(self, right: Floats, up: Floats) -> Bools:
        """Tell which offsets lie in it."""
        return np.hypot(right, up) < self.radius


@dataclass(frozen=True)
class _Turned(Ds9Region):
    """What has two sizes and a direction."""

    width: float
    height: float
    pa: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _positive(self, "width", "height")
        object.__setattr__(self, "pa", _finite("pa", self.pa))


@dataclass(frozen=True)
class Ds9Ellipse(_Turned):
    """An ellipse: ``Ds9Ellipse(exclude, system, x, y, width, height, pa)``.

    ``width`` and ``height`` are its semi-axes; ``pa`` says how far the axis of ``width`` is turned, in degrees: from +x to +y, on the sky
    from west to north.
    """

    shape: str = field(init=False, default="ellipse")

    @property
    def reach(self) -> float:
        """Its longer semi-axis."""
        return max(self.width, self.height)

    def holds(self, right: Floats, up: Floats) -> Bools:
        """Tell which offsets lie in it."""
        return _in_ellipse(*_turned(right, up, self.pa), self.width, self.height)


@dataclass(frozen=True)
class Ds9Box(_Turned):
    """A rectangle: ``Ds9Box(exclude, system, x, y, width, height, pa)``; whole sides, ``pa`` as of `Ds9Ellipse`."""

    shape: str = field(init=False, default="box")

    @property
    def reach(self) -> float:
        """Half its diagonal."""
        return math.hypot(self.width, self.height) / 2

    def holds(self, right: Floats, up: Floats) -> Bools:
        """Tell which offsets lie in it."""
        return _in_box(*_turned(right, up, self.pa), self.width, self.height)


@dataclass(frozen=True)
class Ds9Ring(Ds9Region):
    """What lies between two circles, ellipses or boxes, or a sector of it: annulus, panda and the like.

    Attributes
    ----------
    inner, outer : (float, float)
        Radii, semi-axes or whole sides (boxes).
    pa : float
        As of `Ds9Ellipse`.
    sector : (float, float)
        Begin and end, degrees from the axis of the width on; ``(0, 360)`` is all.
    box : bool
        Whether it is of boxes.
    """

    inner: tuple[float, float]
    outer: tuple[float, float]
    pa: float = 0.0
    sector: tuple[float, float] = _FULL
    box: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        sizes = [_finite("size", value) for value in (*self.inner, *self.outer, self.pa, *self.sector)]
        if not all(0 <= first < last for first, last in zip(sizes[:2], sizes[2:4], strict=True)):
            raise InputError(f"{self.shape}: must have outer sizes larger than its inner ones, found {self.inner} and {self.outer}")

    @property
    def reach(self) -> float:
        """The farthest point of its outer edge."""
        return math.hypot(*self.outer) / 2 if self.box else max(self.outer)

    def holds(self, right: Floats, up: Floats) -> Bools:
        """Tell which offsets lie in it."""
        along, across = _turned(right, up, self.pa)
        inside = _in_box if self.box else _in_ellipse
        found = inside(along, across, *self.outer)
        if min(self.inner) > 0:
            found &= ~inside(along, across, *self.inner)
        begin, end = self.sector
        if end - begin < 360:
            found &= (np.degrees(np.arctan2(across, along)) - begin) % 360 < (end - begin) % 360
        return found


@dataclass(frozen=True)
class Ds9Polygon(Ds9Region):
    """A polygon of three corners or more; on the sky its sides are great circles. `x` and `y` are those of its first corner."""

    corners: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.corners) < 3:
            raise InputError(f"{self.shape}: must have three corners or more, found {len(self.corners)}")
        for place in self.corners:
            for value in place:
                _finite("corner", value)
        if self.on_sky and max(abs(latitude) for _, latitude in self.corners) > 90:
            raise InputError(f"{self.shape}: must have latitudes from -90 to 90 degrees")

    def covers(self, image: FluxImage) -> Bools:
        """Return which pixels of an image have their centre in the region."""
        corners = np.array(self.corners).T
        if not self.on_sky:
            x, y = places.pixels_of(self, image, corners)
            found, window = np.zeros(image.shape, bool), places.window_of(image, x, y)
            rows, columns = np.mgrid[window]
            found[window] = _in_polygon(columns.astype(float), rows.astype(float), x, y)
            return found
        vectors = sky.unit_vectors(*places.to_icrs(self.system, *corners))
        centre = vectors.sum(axis=0)
        if not np.linalg.norm(centre) or (vectors @ (centre / np.linalg.norm(centre))).min() < 0.05:
            raise InputError(f"{self.shape}: must be smaller than a hemisphere")
        return _on_the_sky(image, vectors, centre / np.linalg.norm(centre))


def _on_the_sky(image: FluxImage, vectors: Floats, centre: Floats) -> Bools:
    """Return which pixels lie in a polygon: projected on the plane that touches the sphere at `centre`, its sides are straight."""
    first = np.cross(centre, [0.0, 0, 1] if abs(centre[2]) < 0.9 else [1.0, 0, 0])
    axes = np.stack([first / np.linalg.norm(first), np.cross(centre, first) / np.linalg.norm(first)])
    ny, nx = image.shape
    y, x = np.mgrid[:ny, :nx]
    points = sky.unit_vectors(*sky.pixel_to_icrs(places.wcs_of(image), x, y))
    depth = points @ centre
    with np.errstate(divide="ignore", invalid="ignore"):
        plane = np.where(depth > 0, np.moveaxis(points @ axes.T, -1, 0) / depth, np.nan)
    corners = (vectors @ axes.T).T / (vectors @ centre)
    return _in_polygon(plane[0], plane[1], corners[0], corners[1])


def _in_polygon(x: Floats, y: Floats, corners_x: Floats, corners_y: Floats) -> Bools:
    """Tell which points lie in a polygon, by the number of sides that a ray along +x crosses."""
    found = np.zeros(x.shape, bool)
    for x1, y1, x2, y2 in zip(corners_x, corners_y, np.roll(corners_x, -1), np.roll(corners_y, -1), strict=True):
        if y1 != y2:
            found ^= ((y1 > y) != (y2 > y)) & (x < x1 + (y - y1) * (x2 - x1) / (y2 - y1))
    return found


def _in_ellipse(along: Floats, across: Floats, a: float, b: float) -> Bools:
    return (along / a) ** 2 + (across / b) ** 2 < 1


def _in_box(along: Floats, across: Floats, width: float, height: float) -> Bools:
    return (np.abs(along) < width / 2) & (np.abs(across) < height / 2)


def _turned(right: Floats, up: Floats, pa: float) -> tuple[Floats, Floats]:
    angle = math.radians(pa)
    return right * math.cos(angle) + up * math.sin(angle), up * math.cos(angle) - right * math.sin(angle)


def _finite(name: str, value: float) -> float:
    if not math.isfinite(value):
        raise InputError(f"{name} {value!r}: must be a finite number")
    return float(value)


def _positive(region: Ds9Region, *names: str) -> None:
    for name in names:
        value = _finite(name, getattr(region, name))
        if value <= 0:
            raise InputError(f"{name} {value!r}: must be larger than zero")
        object.__setattr__(region, name, value)
