"""The sky under a figure: positions and directions by any WCS, round angles."""

# ruff: noqa: PLC0415 - commands import this module, and must start fast: astropy is for those who draw
from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_ROUND = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
_SLACK = 1e-6
"""A scale from a WCS is as good as its numerical derivative."""


def pixels_to_icrs(wcs: Any, x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    """Return ICRS degrees of 0-based pixels; NaN where the WCS has no sky."""
    from astropy.wcs import WCS

    from ezarchive import sky

    if isinstance(wcs, WCS):
        return sky.pixel_to_icrs(wcs.celestial, x, y)
    place = wcs.pixel_to_world(np.asarray(x, float), np.asarray(y, float)).icrs
    return np.asarray(place.ra.deg), np.asarray(place.dec.deg)


def icrs_to_pixels(wcs: Any, ra: ArrayLike, dec: ArrayLike) -> tuple[Floats, Floats]:
    """Return 0-based pixels of ICRS degrees; NaN where a position is not on the projection."""
    from astropy.coordinates import SkyCoord
    from astropy.wcs import WCS

    from ezarchive import sky

    if isinstance(wcs, WCS):
        return sky.icrs_to_pixel(wcs.celestial, ra, dec)
    ra, dec = np.asarray(ra, float), np.asarray(dec, float)
    known = np.isfinite(ra) & np.isfinite(dec)
    found = wcs.world_to_pixel(SkyCoord(np.where(known, ra, 0), np.where(known, dec, 0), unit="deg"))
    x, y = (np.where(known, np.asarray(axis, float), np.nan) for axis in found)
    return x, y


def local_jacobian(wcs: Any, x: float, y: float) -> Floats:
    """Return d(east, north) / d(x, y) at a pixel, arcsec per pixel, shape (2, 2); NaN where the WCS has no sky."""
    from astropy.wcs import WCS

    from ezarchive import sky

    if isinstance(wcs, WCS):
        return np.asarray(sky.jacobian(wcs.celestial, x, y))
    ra, dec = (np.radians(one) for one in pixels_to_icrs(wcs, x + np.array([0.5, -0.5, 0, 0]), y + np.array([0, 0, 0.5, -0.5])))
    place = np.array([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
    middle = place.mean(axis=1)
    middle /= np.linalg.norm(middle)
    east = np.array([-middle[1], middle[0], 0.0])
    east /= np.linalg.norm(east)
    north = np.cross(middle, east)
    steps = np.stack([place[:, 0] - place[:, 1], place[:, 2] - place[:, 3]], axis=1)
    return np.stack([east @ steps, north @ steps]) * math.degrees(1) * 3600


def north_east(wcs: Any, x: float, y: float) -> tuple[Floats, Floats] | None:
    """Return unit vectors (x, y) on the pixels to ICRS north and east; None where the WCS has none."""
    local = local_jacobian(wcs, x, y)
    if not np.isfinite(local).all() or np.linalg.det(local) == 0:
        return None
    east, north = np.linalg.inv(local).T
    return north / np.linalg.norm(north), east / np.linalg.norm(east)


def round_angle(most: float) -> tuple[float, str]:
    """Return the largest round angle up to `most` arcsec, and its text.

    Round are 1, 2, 5, 10, 20, 30 degrees, minutes or seconds of arc; below a second 1, 2, 5 times a power of ten.
    """
    for unit, mark in ((3600.0, "\N{DEGREE SIGN}"), (60.0, "\N{PRIME}"), (1.0, "\N{DOUBLE PRIME}")):
        if most * (1 + _SLACK) >= unit:
            steps = [step for step in _ROUND if step * unit <= most * (1 + _SLACK)]
            return steps[-1] * unit, f"{steps[-1]:g}{mark}"
    value = round_number(most)
    return value, f"{value * 1e3:g} mas" if value >= 1e-3 else f"{value:g}\N{DOUBLE PRIME}"


def round_number(most: float) -> float:
    """Return the largest 1, 2 or 5 times a power of ten up to `most`."""
    power = math.floor(math.log10(most))
    factor = max(step for step in (1, 2, 5) if step * 10.0**power <= most * (1 + _SLACK))
    return float(f"{factor}e{power}")
