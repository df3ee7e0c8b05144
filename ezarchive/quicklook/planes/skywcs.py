"""Sky and pixels of any WCS: of FITS by the fast functions of `ezarchive.sky`, of anything else through the common interface (APE 14)."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS, WcsError
from numpy.typing import ArrayLike, NDArray

from ezarchive import sky
from ezarchive.errors import InputError

Floats = NDArray[np.float64]


def checked_wcs(wcs: Any, name: str = "wcs") -> Any:
    """Return a celestial WCS of two axes, or None for None.

    Parameters
    ----------
    wcs : WCS, object of the common interface (for example a GWCS), or None
    name : str
        The argument, for messages.

    Raises
    ------
    InputError
        If it is nothing of the kind, or its two pixel axes do not give a place on the sky.
    """
    if wcs is None:
        return None
    if isinstance(wcs, WCS):
        try:
            flat = wcs.celestial
        except WcsError as err:
            raise InputError(f"{name}: must turn pixels into positions and back: {last_line(err)}") from err
        if flat.naxis != 2 or flat.wcs.lng < 0 or flat.wcs.lat < 0:
            raise InputError(f"{name}: must have two celestial axes, found {list(wcs.wcs.ctype)}")
        return flat
    for method in ("pixel_to_world", "world_to_pixel"):
        if not hasattr(wcs, method):
            raise InputError(f"{name}: must be a WCS, found {type(wcs).__name__} without {method}")
    if getattr(wcs, "pixel_n_dim", 2) != 2:
        raise InputError(f"{name}: must have two pixel axes, found {wcs.pixel_n_dim}")
    return wcs


def last_line(err: Exception) -> str:
    """Return what an error of wcslib says in the end: the lines before it are its path through the source."""
    return str(err).strip().splitlines()[-1]


def to_sky(wcs: Any, x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    """Return the ICRS positions of 0-based pixels.

    Parameters
    ----------
    wcs : WCS or object of the common interface
    x, y : array_like
        They broadcast.

    Returns
    -------
    ra, dec : ndarray
        Degrees, ra from 0 to 360; NaN where the WCS has no sky, which is so outside the bounding box of a GWCS.
    """
    x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
    if isinstance(wcs, WCS):
        return sky.pixel_to_icrs(wcs, x, y)
    found = wcs.pixel_to_world(x, y)
    if not isinstance(found, SkyCoord):
        raise InputError(f"wcs: must give positions on the sky, found {type(found).__name__}")
    place = found.icrs
    return np.asarray(place.ra.deg) % 360.0, np.asarray(place.dec.deg)


def to_pixel(wcs: Any, ra: ArrayLike, dec: ArrayLike) -> tuple[Floats, Floats]:
    """Return the 0-based pixels of ICRS positions.

    Parameters
    ----------
    wcs : WCS or object of the common interface
    ra, dec : array_like
        Degrees; they broadcast.

    Returns
    -------
    x, y : ndarray
        NaN where a position is not on the projection, or outside the bounding box of a GWCS.
    """
    ra, dec = np.broadcast_arrays(np.asarray(ra, float), np.asarray(dec, float))
    if isinstance(wcs, WCS):
        return sky.icrs_to_pixel(wcs, ra, dec)
    known = np.isfinite(ra) & np.isfinite(dec)
    found = wcs.world_to_pixel(SkyCoord(np.where(known, ra, 0.0), np.where(known, dec, 0.0), unit="deg", frame="icrs"))
    x, y = (np.where(known, np.asarray(axis, float), np.nan) for axis in found)
    return x, y
