"""Columns on the sky: positions, angles and sizes of sources through the local Jacobian of the WCS."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from astropy.wcs import WCS

from ezarchive import magnitudes, sky

_HEALPIX_ORDER = 29


def sky_columns(wcs: WCS | None, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the columns of ``columns.SOURCE`` that need a WCS.

    Parameters
    ----------
    wcs : WCS or None
        Celestial; None gives NaN everywhere.
    values : mapping of str to ndarray, shape (n,)
        X_IMAGE, Y_IMAGE, X2_IMAGE, Y2_IMAGE, XY_IMAGE, FWHM_IMAGE, FLUX_MAX.

    Returns
    -------
    dict of str to ndarray
        ``_healpix_29`` (masked where there is no position), X_WORLD, Y_WORLD, ALPHA_J2000, DELTA_J2000, FWHM_WORLD, MU_MAX, THETA_WORLD,
        THETA_SKY, THETA_J2000.

    Notes
    -----
    The covariance C of the pixels of a source becomes J C J^T, J the derivative of the offsets on the sky; its major axis gives the
    angles, and the square root of the determinant of J the size. SExtractor 2.25 lacks a factor 2 in the mixed term of that product, so
    that its angles on the sky are off by up to 10 degrees where the axes of the image are not those of the sky; these are right.
    """
    x, y = values["X_IMAGE"], values["Y_IMAGE"]
    if wcs is None or not len(x):
        return _missing(len(x))
    first, second = wcs.all_pix2world(x, y, 0)
    ra, dec = sky.pixel_to_icrs(wcs, x, y)
    covariance = _covariance(values)
    native, equatorial = sky.native_jacobian(wcs, x, y), sky.jacobian(wcs, x, y)
    theta_sky = _position_angle(native, covariance)
    scale = np.sqrt(np.abs(equatorial[:, 0, 0] * equatorial[:, 1, 1] - equatorial[:, 0, 1] * equatorial[:, 1, 0]))
    known = np.isfinite(ra) & np.isfinite(dec)
    cells = sky.cell_of(np.where(known, ra, 0.0), np.where(known, dec, 0.0), _HEALPIX_ORDER)
    return {
        "_healpix_29": np.ma.array(cells, mask=~known),
        "X_WORLD": first,
        "Y_WORLD": second,
        "ALPHA_J2000": ra,
        "DELTA_J2000": dec,
        "FWHM_WORLD": values["FWHM_IMAGE"] * scale / 3600.0,
        "MU_MAX": magnitudes.flux_to_mag(values["FLUX_MAX"] / scale**2),
        # From the first world axis towards the second; where that is the latitude it is the position angle itself.
        "THETA_WORLD": _half_turn(90.0 - theta_sky) if wcs.wcs.lng == 0 else theta_sky,
        "THETA_SKY": theta_sky,
        "THETA_J2000": _position_angle(equatorial, covariance),
    }


def _missing(n: int) -> dict[str, np.ndarray]:
    names = ("X_WORLD", "Y_WORLD", "ALPHA_J2000", "DELTA_J2000", "FWHM_WORLD", "MU_MAX", "THETA_WORLD", "THETA_SKY", "THETA_J2000")
    return {"_healpix_29": np.ma.masked_all(n, np.int64)} | {name: np.full(n, np.nan) for name in names}


def _covariance(values: Mapping[str, np.ndarray]) -> np.ndarray:
    x2, y2, xy = (values[name] for name in ("X2_IMAGE", "Y2_IMAGE", "XY_IMAGE"))
    return np.moveaxis(np.array([[x2, xy], [xy, y2]], float), -1, 0)


def _position_angle(jacobian: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Return the position angle of the major axis, degrees east of north in (-90, 90], of offsets (east, north)."""
    c = jacobian @ covariance @ np.swapaxes(jacobian, -1, -2)
    return _half_turn(np.degrees(0.5 * np.arctan2(2.0 * c[:, 0, 1], c[:, 1, 1] - c[:, 0, 0])))


def _half_turn(angle: np.ndarray) -> np.ndarray:
    """Bring angles of axes into (-90, 90] degrees."""
    return 90.0 - np.mod(90.0 - angle, 180.0)
