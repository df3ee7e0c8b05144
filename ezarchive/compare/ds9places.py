"""Where DS9 regions lie on an image: their coordinate systems, units, and offsets of pixels from a place."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import FK4, FK5, BarycentricMeanEcliptic, Galactic, SkyCoord
from astropy.coordinates.baseframe import BaseCoordinateFrame
from astropy.time import Time
from astropy.wcs import WCS
from numpy.typing import NDArray

from ezarchive import sky
from ezarchive.compare.fluximage import FluxImage
from ezarchive.errors import InputError

Floats = NDArray[np.float64]

PIXEL_SYSTEMS = ("physical", "image")
SKY_SYSTEMS = {
    "icrs": "icrs", "fk5": "fk5", "j2000": "fk5", "fk4": "fk4", "b1950": "fk4", "galactic": "galactic", "ecliptic": "ecliptic"
}  # fmt: skip
"""Names in files -> the system."""

EQUATORIAL = ("icrs", "fk5", "fk4")
_MARGIN = 2.0
_ANGLES = np.linspace(0, 2 * np.pi, 64, endpoint=False)

Offsets = Callable[[Floats, Floats], tuple[Floats, Floats]]
Window = tuple[slice, slice]


def scale_of(region: Any, image: FluxImage) -> float:
    """Return what turns sizes into radians (sky) or pixels."""
    unit = region.unit
    if region.on_sky and unit == "deg":
        return math.radians(1)
    pixels = 1.0 if unit == "image" else _physical(image)[2]
    if region.on_sky:
        return pixels * math.radians(_pixel_deg(image))
    return pixels if unit != "deg" else 1 / _pixel_deg(image)


def _pixel_deg(image: FluxImage) -> float:
    wcs_of(image)
    return math.sqrt(math.prod(image.step)) / 3600


def wcs_of(image: FluxImage) -> WCS:
    """Return the WCS of an image; without one regions on the sky, or sizes that are angles, cannot be placed."""
    if image.wcs is None:
        raise InputError(f"{image.name}: must have a celestial WCS for regions on the sky or sizes that are angles")
    return image.wcs


def _physical(image: FluxImage) -> tuple[Floats, Floats, float]:
    """Return (offset, factor, size) of ``pixel = factor * physical + offset``, both counted from 1 (the IRAF keywords LTV and LTM)."""
    cards = [(f"LTV{axis}", f"LTM{axis}_{axis}") for axis in (1, 2)]
    offset = np.array([float(image.header.get(first, 0.0)) for first, _ in cards])
    factor = np.array([float(image.header.get(second, 1.0)) for _, second in cards])
    if not np.isfinite(offset).all() or not (np.isfinite(factor) & (factor != 0)).all():
        raise InputError(f"{image.name}: LTV and LTM must be finite numbers, LTM not 0, found {offset} and {factor}")
    return offset, factor, float(np.sqrt(np.abs(factor).prod()))


def pixels_of(region: Any, image: FluxImage, places: Floats) -> Floats:
    """Return 0-based pixels of places in the region's system, shape (2, n)."""
    if region.system == "image":
        return places - 1
    offset, factor, _ = _physical(image)
    return places * factor[:, None] + offset[:, None] - 1


def pixel_offsets(region: Any, image: FluxImage, reach: float) -> tuple[Window, Offsets]:
    """Return which pixels a region can reach, and what gives the offsets of pixels from its centre, in pixels."""
    (cx,), (cy,) = pixels_of(region, image, np.array([[region.x], [region.y]]))
    corners = np.array([-reach, reach])
    return window_of(image, cx + corners, cy + corners), lambda x, y: (x - cx, y - cy)


def sky_offsets(region: Any, image: FluxImage, reach: float) -> tuple[Window, Offsets]:
    """Return which pixels a region can reach, and what gives the offsets of pixels from its centre: radians to west and to north."""
    wcs = wcs_of(image)
    centre = sky.unit_vectors(*to_icrs(region.system, np.float64(region.x), np.float64(region.y)))
    pole = sky.unit_vectors(*to_icrs(region.system, np.float64(0.0), np.float64(90.0)))
    west = np.cross(centre, pole)
    if np.linalg.norm(west) < 1e-9:  # at the pole itself: along longitude + 90 degrees
        west = sky.unit_vectors(*to_icrs(region.system, np.float64(region.x - 90.0), np.float64(0.0)))
    west = west / np.linalg.norm(west)
    north = np.cross(west, centre)

    def offsets(x: Floats, y: Floats) -> tuple[Floats, Floats]:
        points = sky.unit_vectors(*sky.pixel_to_icrs(wcs, x, y))
        distance = 2 * np.arcsin(np.minimum(np.linalg.norm(points - centre, axis=-1) / 2, 1))
        right, up = points @ west, points @ north
        length = np.hypot(right, up)
        factor = np.divide(distance, length, out=np.ones_like(length), where=length > 0)
        return right * factor, up * factor

    return window_of(image, *_edge(wcs, centre, west, north, reach)), offsets


def _edge(wcs: WCS, centre: Floats, west: Floats, north: Floats, reach: float) -> tuple[Floats, Floats]:
    """Return pixels around a circle on the sky; NaN where it is no small one."""
    if reach > 1.0:
        return np.array([np.nan]), np.array([np.nan])
    around = np.cos(_ANGLES)[:, None] * west + np.sin(_ANGLES)[:, None] * north
    return sky.icrs_to_pixel(wcs, *sky.from_vectors(np.cos(reach) * centre + np.sin(reach) * around))


def window_of(image: FluxImage, x: Floats, y: Floats) -> Window:
    """Return the rows and columns that the points span, and some more; all where a point is not finite."""
    ny, nx = image.shape
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return slice(0, ny), slice(0, nx)
    found = []
    for values, n in ((y, ny), (x, nx)):
        margin = _MARGIN + 0.02 * float(np.ptp(values))
        limits = math.floor(values.min() - margin), math.ceil(values.max() + margin) + 1
        found.append(slice(*(int(np.clip(limit, 0, n)) for limit in limits)))
    return found[0], found[1]


def to_icrs(system: str, longitude: Floats, latitude: Floats) -> tuple[Floats, Floats]:
    """Return the ICRS position of places in one of `SKY_SYSTEMS`, degrees."""
    if system == "icrs":
        return longitude, latitude
    found = SkyCoord(longitude * u.deg, latitude * u.deg, frame=_frame(system)).icrs
    return found.ra.deg, found.dec.deg


def _frame(system: str) -> BaseCoordinateFrame:
    if system == "fk5":
        return FK5(equinox=Time("J2000"))
    if system == "fk4":
        return FK4(equinox=Time("B1950"))
    if system == "galactic":
        return Galactic()
    return BarycentricMeanEcliptic(equinox=Time("J2000"))
