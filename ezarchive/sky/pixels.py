"""Between pixels and sky: footprints, positions, and the local Jacobian of a celestial WCS.

Pixels are 0-based, the centre of the first one is (0, 0). "Native" is the system that the WCS itself is in (galactic, FK5 of some
equinox, ...); everything else is ICRS.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from astropy import units
from astropy.coordinates import FK4, FK5, ICRS, BarycentricMeanEcliptic, FK4NoETerms, Galactic, SkyCoord, Supergalactic
from astropy.coordinates.baseframe import BaseCoordinateFrame
from astropy.time import Time
from astropy.wcs import WCS, NoConvergence, WcsError
from numpy.typing import ArrayLike, NDArray

from ezarchive.errors import InputError
from ezarchive.sky.positions import from_vectors, separation, unit_vectors

Floats = NDArray[np.float64]

_ARCSEC = 206264.80624709636
_STEP = 0.5
"""Half-width in pixels of the central differences."""
_COARSEST = 7200.0
"""Largest believable pixel in arcsec: all-sky cameras have some hundreds."""
_SEGMENTS = 16
"""Points tried along a side of a footprint."""


class FieldOfView(NamedTuple):
    """Where an image lies: corners (n, 2), centre and radius in ICRS degrees, pixel scale in arcsec."""

    vertices: Floats
    ra: float
    dec: float
    radius: float
    pixel_scale: float


def field_of_view(wcs: WCS, nx: int, ny: int) -> FieldOfView:
    """Return the footprint of an image and what follows from it.

    Parameters
    ----------
    wcs : WCS
        Celestial, two axes.
    nx, ny : int
        Columns and rows.

    Returns
    -------
    FieldOfView
        The corners are the outer edges of the outer pixels, anti-clockwise on the sky with north up and east left; a side that is
        curved has points between, so that the footprint is right to half a pixel.

    Raises
    ------
    InputError
        If the WCS does not invert, is not finite over the image, covers more than a hemisphere or has pixels of degrees.
    """
    border = _border(nx, ny)
    grid_x, grid_y = (part.ravel() for part in np.meshgrid([0, (nx - 1) / 2, nx - 1], [0, (ny - 1) / 2, ny - 1]))
    x = np.concatenate([border[:, 0], grid_x])
    y = np.concatenate([border[:, 1], grid_y])
    vectors = _icrs_vectors(wcs, x, y)
    local = jacobian(wcs, grid_x, grid_y)
    determinant = _det(local)
    _check_inverts(wcs, grid_x, grid_y, local, determinant)
    edge, centre = vectors[: len(border)], vectors[len(border) + 4]
    if (edge @ centre).min() <= 0.01:
        raise InputError("wcs: the image must cover less than a hemisphere")
    scale = float(np.sqrt(abs(determinant[4])))
    if scale > _COARSEST:
        raise InputError(f"wcs: pixels must be smaller than {_COARSEST / 3600:g} degrees, found {scale / 3600:.2g}")
    kept = edge[:: _stride(edge, 0.5 * scale / _ARCSEC)]
    ra, dec = from_vectors(kept if determinant[4] < 0 else kept[::-1])
    ra0, dec0 = (float(value) for value in from_vectors(centre))
    return FieldOfView(np.stack([ra, dec], axis=1), ra0, dec0, float(separation(ra0, dec0, ra, dec).max()), scale)


def footprint(wcs: WCS, nx: int, ny: int) -> Floats:
    """Return the corners of an image, shape (n, 2), ICRS degrees (see `field_of_view`)."""
    return field_of_view(wcs, nx, ny).vertices


def centre_radius(wcs: WCS, nx: int, ny: int) -> tuple[float, float, float]:
    """Return the centre of an image and the largest distance of its footprint from there, in degrees (see `field_of_view`)."""
    view = field_of_view(wcs, nx, ny)
    return view.ra, view.dec, view.radius


def pixel_to_icrs(wcs: WCS, x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    """Return the ICRS position of pixels.

    Parameters
    ----------
    wcs : WCS
        Celestial, two axes, of any system.
    x, y : array_like
        0-based pixels; they broadcast.

    Returns
    -------
    ra, dec : ndarray
        Degrees, of the broadcast shape; NaN where the WCS has no sky.

    Raises
    ------
    InputError
        If the WCS is singular or of a system that is not known.
    """
    return from_vectors(_icrs_vectors(wcs, x, y))


def icrs_to_pixel(wcs: WCS, ra: ArrayLike, dec: ArrayLike) -> tuple[Floats, Floats]:
    """Return the 0-based pixel of ICRS positions.

    Parameters
    ----------
    wcs : WCS
        Celestial, two axes, of any system.
    ra, dec : array_like
        Degrees; they broadcast.

    Returns
    -------
    x, y : ndarray
        0-based pixels, of the broadcast shape; NaN where the position is not on the projection.

    Raises
    ------
    InputError
        If the WCS is singular or of a system that is not known.
    """
    vectors = unit_vectors(ra, dec)
    longitude, latitude = _system(wcs).from_icrs(vectors)
    world = np.empty((longitude.size, 2))
    world[:, wcs.wcs.lng], world[:, wcs.wcs.lat] = longitude.ravel(), latitude.ravel()
    pixels = _to_pixels(wcs, world)
    return pixels[:, 0].reshape(longitude.shape), pixels[:, 1].reshape(longitude.shape)


def jacobian(wcs: WCS, x: ArrayLike, y: ArrayLike) -> Floats:
    """Return the local derivative of the sky by the pixels.

    Parameters
    ----------
    wcs : WCS
        Celestial, two axes.
    x, y : array_like
        0-based pixels; they broadcast.

    Returns
    -------
    ndarray, shape (..., 2, 2)
        d(east, north) / d(x, y) in arcsec per pixel, ICRS: row 0 is east, column 0 is x. Its determinant is negative where east
        is left of north, as on the sky, positive in a mirrored image.

    Raises
    ------
    InputError
        If the WCS is singular or of a system that is not known.
    """
    return _differences(lambda px, py: _icrs_vectors(wcs, px, py), x, y)


def native_jacobian(wcs: WCS, x: ArrayLike, y: ArrayLike) -> Floats:
    """Return `jacobian` in the system of the WCS itself: d(longitude cos(latitude), latitude) / d(x, y), arcsec per pixel."""
    return _differences(lambda px, py: _native_vectors(wcs, px, py), x, y)


def pixel_scale(wcs: WCS, x: ArrayLike, y: ArrayLike) -> Floats:
    """Return the side in arcsec of a square with the area of the pixel at (x, y)."""
    return np.sqrt(np.abs(_det(jacobian(wcs, x, y))))


def theta_to_pa(wcs: WCS, x: ArrayLike, y: ArrayLike, theta: ArrayLike) -> Floats:
    """Turn an angle on the pixels into a position angle on the sky.

    Parameters
    ----------
    wcs : WCS
        Celestial, two axes.
    x, y : array_like
        0-based pixels where the direction starts.
    theta : array_like
        Degrees counter-clockwise from +x.

    Returns
    -------
    ndarray
        Degrees east of ICRS north, 0 to 360 (of an axis, take it modulo 180).
    """
    angle = np.radians(theta)
    local = jacobian(wcs, x, y)
    east = local[..., 0, 0] * np.cos(angle) + local[..., 0, 1] * np.sin(angle)
    north = local[..., 1, 0] * np.cos(angle) + local[..., 1, 1] * np.sin(angle)
    return np.degrees(np.arctan2(east, north)) % 360 % 360


def pa_to_theta(wcs: WCS, x: ArrayLike, y: ArrayLike, pa: ArrayLike) -> Floats:
    """Turn a position angle into an angle on the pixels: the inverse of `theta_to_pa`, 0 to 360."""
    angle = np.radians(pa)
    local = jacobian(wcs, x, y)
    # The inverse of a 2x2 matrix without its determinant, whose sign alone matters to the direction.
    sign = np.sign(_det(local))
    along_x = sign * (local[..., 1, 1] * np.sin(angle) - local[..., 0, 1] * np.cos(angle))
    along_y = sign * (local[..., 0, 0] * np.cos(angle) - local[..., 1, 0] * np.sin(angle))
    return np.degrees(np.arctan2(along_y, along_x)) % 360 % 360


def _det(matrices: Floats) -> Floats:
    with np.errstate(invalid="ignore"):
        return matrices[..., 0, 0] * matrices[..., 1, 1] - matrices[..., 0, 1] * matrices[..., 1, 0]


@lru_cache(maxsize=256)
def _border(nx: int, ny: int) -> Floats:
    """Return points along the outer edge of the pixels, `_SEGMENTS` a side, counter-clockwise on the pixels."""
    t = np.arange(_SEGMENTS) / _SEGMENTS
    zero, one = np.zeros(_SEGMENTS), np.ones(_SEGMENTS)
    x = np.concatenate([t, one, 1 - t, zero]) * nx - 0.5
    y = np.concatenate([zero, t, one, 1 - t]) * ny - 0.5
    return np.stack([x, y], axis=1)


def _stride(edge: Floats, tolerance: float) -> int:
    """Return the largest step along the border whose chords stay within the tolerance (radians) of it."""
    for stride in (16, 8, 4, 2):
        begin = edge[::stride]
        normal = np.cross(begin, np.roll(begin, -1, axis=0))
        normal /= np.maximum(np.sqrt((normal**2).sum(1)), 1e-300)[:, None]
        between = edge.reshape(-1, stride, 3)
        if np.abs((between * normal[:, None, :]).sum(2)).max() <= tolerance:
            return stride
    return 1


def _check_inverts(wcs: WCS, x: Floats, y: Floats, local: Floats, determinant: Floats) -> None:
    largest = np.abs(local).max(axis=(1, 2))
    if not np.isfinite(local).all():
        raise InputError("wcs: must give finite positions over the whole image")
    if (np.abs(determinant) <= 1e-8 * largest**2).any() or not (np.sign(determinant) == np.sign(determinant[0])).all():
        raise InputError("wcs: must invert over the whole image")
    pixels = np.stack([x, y], axis=1)
    back = wcs.wcs_world2pix(wcs.all_pix2world(pixels, 0), 0)
    # Distortions in pixels (SIP) come before the core, whose inverse is checked here.
    error = np.abs(back - wcs.pix2foc(pixels, 0)).max()
    if not error < 0.1:
        raise InputError(f"wcs: must invert over the whole image, found positions that come back {error:.3g} pixels away")


def _differences(vectors: Callable[[Floats, Floats], Floats], x: ArrayLike, y: ArrayLike) -> Floats:
    x, y = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
    points = vectors(np.stack([x + _STEP, x - _STEP, x, x]), np.stack([y, y, y + _STEP, y - _STEP]))
    along_x = (points[0] - points[1]) * (_ARCSEC / (2 * _STEP))
    along_y = (points[2] - points[3]) * (_ARCSEC / (2 * _STEP))
    centre = points.sum(axis=0)
    centre /= np.sqrt((centre**2).sum(-1))[..., None]
    longitude = np.arctan2(centre[..., 1], centre[..., 0])
    east = np.stack([-np.sin(longitude), np.cos(longitude), np.zeros_like(longitude)], axis=-1)
    north = np.cross(centre, east)
    rows = [[(along * axis).sum(-1) for along in (along_x, along_y)] for axis in (east, north)]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def _native_vectors(wcs: WCS, x: ArrayLike, y: ArrayLike) -> Floats:
    x, y = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
    try:
        if wcs.wcs.naxis != 2 or wcs.wcs.lng < 0 or wcs.wcs.lat < 0:
            raise InputError(f"wcs: must have two celestial axes, found {', '.join(wcs.wcs.ctype)}")
        world = wcs.all_pix2world(np.stack([x.ravel(), y.ravel()], axis=1), 0)
    except WcsError as err:
        raise InputError(f"wcs: must turn pixels into positions: {_first_line(err)}") from err
    return unit_vectors(world[:, wcs.wcs.lng], world[:, wcs.wcs.lat]).reshape(*x.shape, 3)


def _icrs_vectors(wcs: WCS, x: ArrayLike, y: ArrayLike) -> Floats:
    native = _native_vectors(wcs, x, y)
    return _system(wcs).to_icrs(native)


def _to_pixels(wcs: WCS, world: Floats) -> Floats:
    try:
        return wcs.all_world2pix(world, 0, quiet=True)
    except NoConvergence as err:
        return np.asarray(err.best_solution)
    except WcsError as err:
        raise InputError(f"wcs: must turn positions into pixels: {_first_line(err)}") from err


def _first_line(err: Exception) -> str:
    lines = [line.strip() for line in str(err).splitlines() if line.strip()]
    return lines[-1] if lines else type(err).__name__


class _System(NamedTuple):
    """A celestial system: a rotation to ICRS, or None and the frame when it is more than one."""

    rotation: Floats | None
    frame: BaseCoordinateFrame

    def to_icrs(self, vectors: Floats) -> Floats:
        if self.rotation is not None:
            return vectors @ self.rotation.T
        longitude, latitude = from_vectors(vectors)
        position = _transformed(longitude, latitude, self.frame, ICRS())
        return unit_vectors(*position)

    def from_icrs(self, vectors: Floats) -> tuple[Floats, Floats]:
        if self.rotation is not None:
            return from_vectors(vectors @ self.rotation)
        return _transformed(*from_vectors(vectors), ICRS(), self.frame)


def _transformed(longitude: Floats, latitude: Floats, source: BaseCoordinateFrame, target: BaseCoordinateFrame) -> tuple[Floats, Floats]:
    position = SkyCoord(longitude * units.deg, latitude * units.deg, frame=source).transform_to(target).spherical
    return position.lon.deg, position.lat.deg


def _system(wcs: WCS) -> _System:
    core = wcs.wcs
    equinox = float(core.equinox)
    return _system_named(core.lngtyp.strip().upper(), core.radesys.strip().upper(), None if np.isnan(equinox) else equinox)


@lru_cache(maxsize=64)
def _system_named(axis: str, radesys: str, equinox: float | None) -> _System:
    """Return the system of CTYPE's first letters, RADESYS and EQUINOX (FITS standard 4.0, section 8.3)."""
    with warnings.catch_warnings():
        # An equinox far from now is outside the leap-second table, which does not matter here.
        warnings.filterwarnings("ignore", message=".*dubious year.*")
        frame = _frame(axis, radesys, equinox)
        if isinstance(frame, ICRS):
            return _System(np.eye(3), frame)
        if isinstance(frame, (FK4, FK4NoETerms)):
            return _System(None, frame)
        ra, dec = np.array([0.0, 90.0, 0.0]), np.array([0.0, 0.0, 90.0])
        return _System(unit_vectors(*_transformed(ra, dec, frame, ICRS())).T, frame)


def _frame(axis: str, radesys: str, equinox: float | None) -> BaseCoordinateFrame:
    if axis == "GLON":
        return Galactic()
    if axis == "SLON":
        return Supergalactic()
    if axis == "ELON":
        return BarycentricMeanEcliptic(equinox=Time(equinox or 2000.0, format="jyear"))
    if axis != "RA":
        raise InputError(f"wcs: CTYPE must be RA/DEC, GLON/GLAT, ELON/ELAT or SLON/SLAT, found {axis}")
    if not radesys:
        radesys = "ICRS" if equinox is None else "FK4" if equinox < 1984 else "FK5"
    if radesys == "ICRS":
        return ICRS()
    if radesys == "FK5":
        return FK5(equinox=Time(equinox or 2000.0, format="jyear"))
    if radesys in ("FK4", "FK4-NO-E"):
        return (FK4 if radesys == "FK4" else FK4NoETerms)(equinox=Time(equinox or 1950.0, format="byear"))
    raise InputError(f"wcs: RADESYS must be ICRS, FK5 or FK4, found {radesys}")
