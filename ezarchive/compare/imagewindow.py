"""Which pixels of two images are compared, with what weight, and what stands in for pixels that have no value."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_CROSS = ndimage.generate_binary_structure(2, 1)
_NEAR = 1.5
_SMOOTH = 1.0
_SIGMAS = 3.0
_KEPT = 0.5
_GUARD_SHARE = 0.15


def segment_mask(data: Floats, mask: Bools) -> Bools:
    """Return the pixels of the sky between the sources, to be left out of a fit.

    Parameters
    ----------
    data : ndarray, shape (ny, nx)
        The reference.
    mask : ndarray of bool, shape (ny, nx)
        True where `data` has no value.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        True: sky. The data are smoothed, opened and dilated by a flat cross of 3 x 3 pixels; what is less than three sigma above the median
        of that is sky, but for one pixel along its edge. Sigma is that of the pixels below the median. It does not depend on scale or zero
        level of `data`. (To cut at the median itself would choose pixels by their noise, and with it a wrong background.)
    """
    if mask.all():
        return mask
    level = np.median(data[~mask])
    smooth = ndimage.gaussian_filter(np.where(mask, level, data), _SMOOTH)
    smooth = ndimage.grey_dilation(ndimage.grey_opening(smooth, footprint=_CROSS), footprint=_CROSS)
    level = np.median(smooth[~mask])
    below = level - smooth[~mask]
    sigma = 1.4826 * np.median(below[below >= 0])
    return ndimage.binary_erosion(smooth < level + _SIGMAS * sigma, _CROSS)


def shifted(mask: Bools, dy: int, dx: int, outside: bool = True) -> Bools:
    """Return a mask moved by whole pixels towards larger y and x; what comes in from outside of the image is `outside`."""
    ny, nx = mask.shape
    made = np.full(mask.shape, outside)
    if abs(dy) < ny and abs(dx) < nx:
        target = made[max(dy, 0) : ny + min(dy, 0), max(dx, 0) : nx + min(dx, 0)]
        target[:] = mask[max(-dy, 0) : ny - max(dy, 0), max(-dx, 0) : nx - max(dx, 0)]
    return made


def inner(shape: tuple[int, int], shift: tuple[int, int], guard: tuple[int, int]) -> Bools:
    """Return where both an image and a reference that is moved by `shift` (y, x) have `guard` (y, x) pixels of sky all around."""
    made = np.zeros(shape, bool)
    edges = []
    for n, d, g in zip(shape, shift, guard, strict=True):
        g = min(g, int(_GUARD_SHARE * n))
        edges.append(slice(max(d, 0) + g, max(n + min(d, 0) - g, 0)))
    made[tuple(edges)] = True
    return made


def beside_holes(good: Bools, holes: Bools, reach: float) -> Bools:
    """Return the good pixels that are further than `reach` pixels from a hole of the reference.

    Where that would leave less than half of them the reach is halved, down to the holes alone: many small holes are filled well.
    """
    if not (good & holes).any() and not holes.any():
        return good
    distance = ndimage.distance_transform_edt(~holes)
    enough = _KEPT * (good & ~holes).sum()
    while reach >= 1 and (good & (distance > reach)).sum() < enough:
        reach /= 2
    return good & (distance > (reach if reach >= 1 else 0))


def tapered(good: Bools, taper: float) -> Floats:
    """Return weights: 0 where a pixel is not good, rising to 1 over half of `taper` pixels inside of the good ones.

    Parameters
    ----------
    good : ndarray of bool, shape (ny, nx)
    taper : float
        Pixels; below 2 the weights are 0 and 1.

    Returns
    -------
    ndarray of float64, shape (ny, nx)
        They are put on the residuals, after all convolutions: a sharp edge of the mask does no harm, a soft one spreads the weight.
    """
    if taper < 2:
        return good.astype(float)
    depth = ndimage.distance_transform_edt(np.pad(good, 1))[1:-1, 1:-1]
    return np.sin(np.pi / 2 * np.clip(depth / (taper / 2 + 1), 0, 1)) ** 2


def patched(data: Floats, holes: Bools, level: float) -> Floats:
    """Return pixels whose holes hold the mean of what is near, or else `level`."""
    if not holes.any():
        return data
    weight = ndimage.gaussian_filter((~holes).astype(float), _NEAR)
    total = ndimage.gaussian_filter(np.where(holes, 0.0, data - level), _NEAR)
    near = level + np.where(weight > 1e-3, total / np.maximum(weight, 1e-3), 0.0)
    return np.where(holes, near, data)
