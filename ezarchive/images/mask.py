"""Masks: pixels without a value, circles on the sky, sources, saturated pixels, cosmic rays. True is bad everywhere.

The functions take arrays and return bool arrays; `compact.Mask` keeps one in an eighth of the memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from ezarchive.errors import InputError, MeasurementError
from ezarchive.images.background import MeshBackground, estimate, float_type
from ezarchive.images.compact import Mask
from ezarchive.images.fitsfile import strips

_MINAREA = 5
_STRIP_PIXELS = 1 << 19
_LEAST_SIDE = 32
"""Pixels along a side below which astroscrappy writes beyond its arrays (some; this is on the safe side)."""
_NO_MASK = np.zeros((0, 0), bool)


class SourceMask(NamedTuple):
    """A mask with a disk over every source, the number of sources, and how many of them are saturated."""

    mask: np.ndarray
    n_sources: int
    n_saturated: int


@dataclass(frozen=True, kw_only=True)
class CosmicRayOptions:
    """Settings of the Laplacian search for cosmic rays (van Dokkum 2001), as astroscrappy names them.

    Attributes
    ----------
    sigclip : float
        Least height of the Laplacian above the noise.
    sigfrac : float
        The same for neighbours of a hit, as a fraction.
    objlim : float
        Least contrast to the smooth structure; higher spares the cores of undersampled stars.
    niter : int
        Iterations.
    """

    sigclip: float = 6.0
    sigfrac: float = 0.5
    objlim: float = 5.0
    niter: int = 4


def invalid_mask(data: np.ndarray, threshold_invalid_connection: int = 100_000) -> np.ndarray:
    """Mask pixels that hold no measurement.

    Parameters
    ----------
    data : array, shape (ny, nx)
        The image.
    threshold_invalid_connection : int
        Connected areas of exact zeros larger than this many pixels are masked too.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        NaN, infinite, or in a large area of zeros (pixels of one area touch along an edge).

    Raises
    ------
    InputError
        If an argument has a wrong shape or value.
    """
    data = _image(data)
    if not threshold_invalid_connection >= 0:
        raise InputError(f"threshold_invalid_connection: must not be negative, found {threshold_invalid_connection}")
    mask, zero = np.empty(data.shape, bool), np.empty(data.shape, bool)
    for rows in strips(data.shape, _STRIP_PIXELS):
        np.logical_not(np.isfinite(data[rows]), out=mask[rows])
        np.equal(data[rows], 0, out=zero[rows])
    if np.count_nonzero(zero) > threshold_invalid_connection:
        # Few frames get here, and it takes a sixth of a second to import.
        from scipy import ndimage  # noqa: PLC0415

        labels, _ = ndimage.label(zero)
        large = np.bincount(labels.ravel()) > threshold_invalid_connection
        large[0] = False
        mask |= large[labels]
    return mask


def saturated_mask(data: np.ndarray, level: float, grow: float = 0.0) -> np.ndarray:
    """Mask the pixels at or above the level of saturation, and what lies near them.

    Parameters
    ----------
    data : array, shape (ny, nx)
        The image, background not subtracted.
    level : float
        Stored unit.
    grow : float
        Pixels whose centre lies within this distance (pixels) of a saturated one are masked too.

    Returns
    -------
    ndarray of bool, shape (ny, nx)

    Raises
    ------
    InputError
        If an argument has a wrong shape or value.
    """
    data = _image(data)
    if not math.isfinite(level):
        raise InputError(f"level: must be finite (stored unit), found {level}")
    if not (math.isfinite(grow) and grow >= 0):
        raise InputError(f"grow: must be finite and not negative (pixels), found {grow}")
    # Not a number compares as False, and infinity is saturated.
    mask = data >= level
    if grow > 0:
        rows, cols = np.nonzero(mask)
        _kernels().paint_disks(mask, cols.astype(float), rows.astype(float), np.full(len(rows), float(grow)))
    return mask


def cosmic_ray_mask(
    data: np.ndarray,
    *,
    gain: float,
    read_noise: float,
    saturation: float | None = None,
    mask: Any = None,
    background: Any = None,
    options: CosmicRayOptions | None = None,
) -> np.ndarray:
    """Mask the pixels hit by cosmic rays (LA Cosmic, with astroscrappy).

    Parameters
    ----------
    data : array, shape (ny, nx)
        The image, stored unit.
    gain : float
        Electrons per stored unit.
    read_noise : float
        Electrons.
    saturation : float, optional
        Level from which pixels are saturated, stored unit; none by default.
    mask : Mask or array of bool, optional
        Pixels that are left out; they are not in the result. It is not changed.
    background : MeshBackground or PixelMap, optional
        Of an image whose sky was subtracted: what was, so that its noise is known. None where the sky is in the image.
    options : CosmicRayOptions, optional

    Returns
    -------
    ndarray of bool, shape (ny, nx)

    Raises
    ------
    InputError
        If an argument has a wrong shape or value.
    MeasurementError
        ``too_many_pixels``, if over a quarter of them are taken for hits: the noise is not what gain, read noise and sky tell.

    References
    ----------
    van Dokkum 2001, PASP 113, 1420; McCully et al. 2018, astroscrappy.
    """
    data, options = _image(data), options or CosmicRayOptions()
    for name, value, least in (("gain", gain, "positive"), ("read_noise", read_noise, "not negative")):
        if not (math.isfinite(value) and (value > 0 or (value == 0 and least == "not negative"))):
            raise InputError(f"{name}: must be {least} and finite, found {value}")
    if not (options.sigclip > 0 and options.sigfrac > 0 and options.objlim > 0 and options.niter >= 1):
        raise InputError(f"options: sigclip, sigfrac and objlim must be positive and niter at least 1, found {options}")
    left_out = None if mask is None else Mask.of(mask, data.shape)
    found = np.empty(data.shape, bool)
    # The search looks at most this far around a pixel; in strips it needs memory for a few rows only.
    reach = 12 * options.niter + 4
    for rows in strips(data.shape, 1 << 22):
        wide = slice(max(rows.start - reach, 0), min(rows.stop + reach, data.shape[0]))
        part = np.array(data[wide], np.float32)
        bad = ~np.isfinite(part) if left_out is None else ~np.isfinite(part) | left_out.cut(wide, slice(None))
        part[~np.isfinite(part)] = 0.0
        if background is not None:
            part += background.level((wide, slice(0, data.shape[1])))
        short = [(0, max(_LEAST_SIDE - side, 0)) for side in part.shape]
        if np.any(short):
            part, wrong = np.pad(part, short, mode="edge"), np.pad(bad, short, constant_values=True)
        else:
            wrong = bad
        hit, _ = _astroscrappy().detect_cosmics(
            part, inmask=wrong, gain=gain, readnoise=read_noise, satlevel=np.inf if saturation is None else saturation * gain,
            sigclip=options.sigclip, sigfrac=options.sigfrac, objlim=options.objlim, niter=options.niter,
        )  # fmt: skip
        found[rows] = (hit[: bad.shape[0], : bad.shape[1]] & ~bad)[rows.start - wide.start : rows.stop - wide.start]
    if np.count_nonzero(found) > found.size // 4:
        raise MeasurementError(
            "too_many_pixels", "data: over a quarter of the pixels are taken for cosmic rays; gain and read noise must be right, and a sky "
            "that was subtracted must be given as background",
        )  # fmt: skip
    return found


def circular_mask(
    shape: tuple[int, int],
    x: float,
    y: float,
    radius: float,
    *,
    jacobian: np.ndarray | None = None,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """Mask the pixels whose centre lies in a circle.

    Parameters
    ----------
    shape : tuple of two ints
        Rows and columns of the image.
    x, y : float
        Centre, 0-based pixels; it may lie off the image.
    radius : float
        In pixels; in arcsec where a Jacobian is given.
    jacobian : ndarray, shape (2, 2), optional
        Derivative of the offset (east, north; arcsec) with respect to (x, y) at the centre (``sky.jacobian``): the circle is then one on
        the sky, also where pixels are not square.
    mask : array of bool, optional
        A mask to add to; it is not changed.

    Returns
    -------
    ndarray of bool, shape (ny, nx)

    Raises
    ------
    InputError
        If the radius is not positive, the centre not finite, or the mask of another shape.
    """
    ny, nx = shape
    if not (np.isfinite(radius) and radius > 0):
        raise InputError(f"radius: must be positive and finite, found {radius}")
    if not (np.isfinite(x) and np.isfinite(y)):
        raise InputError(f"x, y: must be finite, found {x}, {y}")
    result = _copied(mask, shape)
    matrix = np.eye(2) if jacobian is None else np.asarray(jacobian, float)
    # The circle is an ellipse in pixels; its inverse covariance gives the box around it.
    quadratic = matrix.T @ matrix / radius**2
    half_x, half_y = np.sqrt(np.diag(np.linalg.inv(quadratic)))
    rows = slice(max(int(np.ceil(y - half_y)), 0), min(int(np.floor(y + half_y)) + 1, ny))
    cols = slice(max(int(np.ceil(x - half_x)), 0), min(int(np.floor(x + half_x)) + 1, nx))
    if rows.start >= rows.stop or cols.start >= cols.stop:
        return result
    dy, dx = np.ogrid[rows, cols]
    dy, dx = dy - y, dx - x
    result[rows, cols] |= quadratic[0, 0] * dx**2 + 2 * quadratic[0, 1] * dx * dy + quadratic[1, 1] * dy**2 <= 1.0
    return result


def source_mask(
    data: np.ndarray,
    mask: Any = None,
    *,
    sigma: float = 5.0,
    radius_factor: float = 3.0,
    saturation: float | None = None,
    background: MeshBackground | None = None,
) -> SourceMask:
    """Mask every source with a disk.

    Parameters
    ----------
    data : array, shape (ny, nx)
        The image, background not subtracted.
    mask : Mask or array of bool, optional
        Pixels to leave out and to keep masked; it is not changed.
    sigma : float
        Threshold in units of the background's noise, on the image smoothed with a 3 x 3 pyramid.
    radius_factor : float
        Radius of a disk in units of that of a circle of the source's area; twice as much for a saturated source.
    saturation : float, optional
        Level from which pixels are saturated, stored unit; a source is if any of its pixels is.
    background : MeshBackground, optional
        Estimated from the image otherwise.

    Returns
    -------
    SourceMask
        A source is a connected area (corners count) of at least 5 pixels above the threshold; a blend counts once. The centre of its disk
        is the centroid of the smoothed image there.

    Raises
    ------
    InputError
        If an argument has a wrong shape or value.
    MeasurementError
        ``no_valid_pixels`` or ``too_many_pixels``, if the threshold lies in the sky.

    Notes
    -----
    The areas are those of ``sep.extract`` with its default filter, without deblending and cleaning.
    """
    if not (sigma > 0 and radius_factor > 0):
        raise InputError(f"sigma, radius_factor: must be positive, found {sigma}, {radius_factor}")
    data = _image(data)
    background = estimate(data, mask) if background is None else background
    if background.shape != data.shape:
        raise InputError(f"background: must have the shape of the image {data.shape}, found {background.shape}")
    result = _copied(mask, data.shape)
    if not background.global_rms > 0:
        return SourceMask(result, 0, 0)
    runs = _bright_runs(data, result if mask is not None else None, background, sigma * background.global_rms)
    areas = _kernels().connect(runs, _MINAREA)
    saturated = np.zeros(len(areas), bool) if saturation is None else areas["peak"] >= saturation
    radii = radius_factor * np.sqrt(areas["n"] / np.pi) * np.where(saturated, 2.0, 1.0)
    _kernels().paint_disks(result, np.ascontiguousarray(areas["x"]), np.ascontiguousarray(areas["y"]), radii)
    return SourceMask(result, len(areas), int(saturated.sum()))


def _bright_runs(data: np.ndarray, left_out: np.ndarray | None, background: MeshBackground, threshold: float) -> np.ndarray:
    """Return the runs of pixels above the threshold; no image of the size of the frame is made."""
    ny, nx = data.shape
    found, bright = [], 0
    parts = strips(data.shape, _STRIP_PIXELS)
    out = np.empty((parts[0].stop - parts[0].start) * (nx // 2 + 1), _kernels().RUN)
    for rows in parts:
        top, bottom = int(rows.start > 0), int(rows.stop < ny)
        wide = slice(rows.start - top, rows.stop + bottom)
        raw = np.ascontiguousarray(data[wide], float_type(data.dtype))
        level = background.level((wide, slice(0, nx)))
        n = _kernels().bright_runs(
            raw, level, _NO_MASK if left_out is None else left_out[wide], top, bottom, rows.start, np.float32(threshold), out
        )
        found.append(out[:n].copy())
        bright += int(found[-1]["n"].sum())
        if bright > data.size // 4:
            raise MeasurementError("too_many_pixels", "data: over a quarter of the pixels exceed the threshold; raise sigma")
    return np.concatenate(found)


def _image(data: Any) -> np.ndarray:
    data = np.asarray(data)
    if data.ndim != 2 or not data.size:
        raise InputError(f"data: must be a 2-D array that is not empty, found shape {data.shape}")
    if data.dtype.kind not in "fiub":
        raise InputError(f"data: must hold real numbers, found dtype {data.dtype}")
    return data


def _copied(mask: Any, shape: tuple[int, int]) -> np.ndarray:
    if mask is None:
        return np.zeros(shape, bool)
    if isinstance(mask, Mask) and mask.shape == tuple(shape):
        return mask.to_array()
    mask = np.asarray(mask)
    if mask.shape != tuple(shape):
        raise InputError(f"mask: must have the shape of the image {tuple(shape)}, found {mask.shape}")
    return mask != 0 if mask.dtype != bool else mask.copy()


def _kernels() -> ModuleType:
    # Every image has this module, few need the compiled loops: numba takes 0.2 s to import.
    from ezarchive.images import kernels_mask  # noqa: PLC0415

    return kernels_mask


def _astroscrappy() -> ModuleType:
    import astroscrappy  # noqa: PLC0415

    return astroscrappy
