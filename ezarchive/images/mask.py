"""Masks: pixels without a value, circles on the sky, and the sources themselves. True is bad everywhere."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import sep
from scipy import ndimage

from ezarchive.errors import InputError, MeasurementError
from ezarchive.images.background import MeshBackground, estimate

_MINAREA = 5


class SourceMask(NamedTuple):
    """A mask with a disk over every source, the number of sources, and how many of them are saturated."""

    mask: np.ndarray
    n_sources: int
    n_saturated: int


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
        NaN, infinite, or in a large area of zeros.
    """
    data = np.asarray(data)
    if data.ndim != 2:
        raise InputError(f"data: must be a 2-D array, found shape {data.shape}")
    mask = ~np.isfinite(data)
    zero = data == 0
    if np.count_nonzero(zero) > threshold_invalid_connection:
        labels, _ = ndimage.label(zero)
        large = np.bincount(labels.ravel()) > threshold_invalid_connection
        large[0] = False
        mask |= large[labels]
    return mask


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
    mask: np.ndarray | None = None,
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
    mask : array of bool, optional
        Pixels to leave out and to keep masked; it is not changed.
    sigma : float
        Threshold in units of the background's noise, on the image smoothed with a 3 x 3 pyramid.
    radius_factor : float
        Radius of a disk in units of that of a circle of the source's area; twice as much for a saturated source.
    saturation : float, optional
        Level from which pixels are saturated, stored unit.
    background : MeshBackground, optional
        Estimated from the image otherwise.

    Returns
    -------
    SourceMask

    Raises
    ------
    InputError
        If an argument has a wrong shape or value.
    MeasurementError
        ``no_valid_pixels`` or ``too_many_pixels``, if the threshold lies in the sky.
    """
    if not (sigma > 0 and radius_factor > 0):
        raise InputError(f"sigma, radius_factor: must be positive, found {sigma}, {radius_factor}")
    data = np.asarray(data)
    background = estimate(data, mask) if background is None else background
    result = _copied(mask, data.shape)
    if background.global_rms <= 0:
        return SourceMask(result, 0, 0)
    left_out = ~np.isfinite(data) | result
    smooth = background.subtract(data)
    smooth[left_out] = 0.0
    objects = _extract(smooth, sigma * background.global_rms)
    saturated = np.zeros(len(objects), bool)
    if saturation is not None:
        saturated = objects["peak"] + background.at(objects["xpeak"], objects["ypeak"]) >= saturation
    radii = radius_factor * np.sqrt(objects["npix"] / np.pi) * np.where(saturated, 2.0, 1.0)
    for x, y, radius in zip(objects["x"], objects["y"], radii, strict=True):
        _paint_disk(result, x, y, radius)
    return SourceMask(result, len(objects), int(saturated.sum()))


def _extract(data: np.ndarray, threshold: float) -> np.ndarray:
    before = sep.get_extract_pixstack()
    sep.set_extract_pixstack(max(before, data.size // 4))
    try:
        # A blend may stay in one piece: the disks of its parts would overlap anyway.
        return sep.extract(data, threshold, minarea=_MINAREA, filter_type="conv", deblend_cont=1.0, clean=False)
    # sep knows no error class of its own.
    except Exception as err:
        if "pixel buffer full" not in str(err):
            raise
        raise MeasurementError("too_many_pixels", "data: over a quarter of the pixels exceed the threshold; raise sigma") from err
    finally:
        sep.set_extract_pixstack(before)


def _paint_disk(mask: np.ndarray, x: float, y: float, radius: float) -> None:
    ny, nx = mask.shape
    first_y, last_y = max(int(y - radius), 0), min(int(y + radius) + 2, ny)
    first_x, last_x = max(int(x - radius), 0), min(int(x + radius) + 2, nx)
    dy, dx = np.ogrid[first_y:last_y, first_x:last_x]
    mask[first_y:last_y, first_x:last_x] |= (dx - x) ** 2 + (dy - y) ** 2 <= radius**2


def _copied(mask: np.ndarray | None, shape: tuple[int, int]) -> np.ndarray:
    if mask is None:
        return np.zeros(shape, bool)
    mask = np.asarray(mask)
    if mask.shape != tuple(shape):
        raise InputError(f"mask: must have the shape of the image {tuple(shape)}, found {mask.shape}")
    return mask != 0 if mask.dtype != bool else mask.copy()
