"""Kernels that take one beam to a wider one: read and checked, put on other pixels, made where both beams are Gaussian."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import map_coordinates

from ezarchive.errors import FrameError, InputError
from ezarchive.images.fitsfile import open_fits

Floats = NDArray[np.float64]

FWHM_OF_SIGMA = float(np.sqrt(8 * np.log(2)))
MOST_NEGATIVE = 1.0
"""Largest sum of the negative lobes of a kernel of unit sum: beyond it convolution amplifies noise (0.3 safe, 0.5 fair, 1 aggressive)."""
_OFF_CENTRE = 0.25
"""Largest distance of the centroid from the middle, in units of the kernel's pixel."""
_REACH = 5.0
"""Half-size of a Gaussian kernel in sigma."""
_NARROWEST = 1e-3
"""Sigma in pixels below which a kernel is one pixel."""
_RESOLVED = 0.02
"""Largest response of a kernel at the Nyquist frequency of pixels that resolve it."""
_GAUSS = re.compile(r"(?:^|_at|_)gauss(\d+(?:[p.]\d+)?)$")


@dataclass(frozen=True, eq=False)
class PsfKernel:
    """A kernel on its own pixels.

    Attributes
    ----------
    data : ndarray, shape (ny, nx)
        Both odd, not necessarily equal; unit sum; ``[y, x]``, centre in the middle.
    step : (float, float)
        Arcsec per pixel along y and x.
    name : str
        Of its file, for messages.
    """

    data: Floats
    step: tuple[float, float]
    name: str = "kernel"

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", check_kernel(self.data, self.name))
        object.__setattr__(self, "step", both_steps(self.step))

    @property
    def negative(self) -> float:
        """The sum of the negative lobes, positive: 0 for a kernel without (W- of Aniano et al. 2011, PASP 123, 1218)."""
        return float(-self.data[self.data < 0].sum())


def read_kernel(path: str | os.PathLike[str], *, step: float | tuple[float, float] | None = None) -> PsfKernel:
    """Read a kernel: the first image of a FITS file.

    Parameters
    ----------
    path : path
    step : float or (float, float), optional
        Arcsec of its pixels (along y and x) where the header says nothing; the header's own keywords are XPIXSIZE (arcsec), CDELT or
        CD (degrees), PIXELSCL (arcsec), in this order.

    Returns
    -------
    PsfKernel

    Raises
    ------
    FrameError
        If the file is not there or is no FITS image.
    InputError
        If it is no kernel (see `check_kernel`), or the size of its pixels is not known.
    """
    path = Path(path)
    with open_fits(path) as units:
        image = next((unit for unit in units if unit.is_image and unit.data is not None), None)
        if image is None:
            raise FrameError("no_image", f"{path}: must hold a kernel as an image, found none in its {len(units)} HDUs")
        data, header = np.asarray(image.data, float), image.header
    found = _header_step(header, str(path)) or (None if step is None else both_steps(step))
    if found is None:
        raise InputError(f"{path}: must say the size of its pixels (XPIXSIZE, CDELT1, CD1_1 or PIXELSCL), or step must be given")
    return PsfKernel(data, found, str(path))


def check_kernel(kernel: ArrayLike, name: str = "kernel") -> Floats:
    """Return a kernel with unit sum.

    Parameters
    ----------
    kernel : array_like, shape (ny, nx)
    name : str
        For messages.

    Returns
    -------
    ndarray, shape (ny, nx)

    Raises
    ------
    InputError
        If it is not a 2-D array of odd sides, has values that are not finite, a sum that is not positive, negative lobes that sum up to
        more than `MOST_NEGATIVE`, or its centroid more than a quarter of a pixel from the middle.
    """
    try:
        array = np.asarray(kernel, float)
    except (TypeError, ValueError) as err:
        raise InputError(f"{name}: must be numbers, found {type(kernel).__name__}") from err
    if array.ndim != 2 or not array.size:
        raise InputError(f"{name}: must be a 2-D array, found shape {array.shape}")
    if array.shape[0] % 2 == 0 or array.shape[1] % 2 == 0:
        raise InputError(f"{name}: must have an odd number of rows and columns, so that a pixel is its centre, found {array.shape}")
    if not np.isfinite(array).all():
        raise InputError(f"{name}: must be finite, found {np.count_nonzero(~np.isfinite(array))} values that are not")
    total = array.sum()
    if not total > 1e-6 * np.abs(array).sum():
        raise InputError(f"{name}: must have a positive sum, found {total:g}")
    array = array / total
    negative = -array[array < 0].sum()
    if negative > MOST_NEGATIVE:
        raise InputError(f"{name}: its negative lobes must not exceed {MOST_NEGATIVE:g} of its sum, found {negative:.3g}")
    y, x = _centroid(array)
    if np.hypot(y, x) > _OFF_CENTRE:
        raise InputError(f"{name}: its centroid must lie in the middle pixel, found it off by {x:+.2f} (x), {y:+.2f} (y) pixels")
    return array


def resample_kernel(kernel: PsfKernel, step: float | tuple[float, float], *, angle: float = 0.0) -> Floats:
    """Put a kernel on the pixels of an image.

    Parameters
    ----------
    kernel : PsfKernel
    step : float or (float, float)
        Arcsec per pixel of the image, or along (y, x).
    angle : float
        Degrees by which the kernel is turned from +x towards +y.

    Returns
    -------
    ndarray of odd shape
        Unit sum, ``[y, x]``, covering what the kernel covers.

    Raises
    ------
    InputError
        If `step` is not positive.

    Notes
    -----
    Axes are kept: rows stay rows. Onto larger pixels the kernel is sampled after a low-pass at the new Nyquist frequency (sums with
    ``sinc``), which for a smooth kernel is its value at the pixel centres; a kernel that is too narrow for the pixels to resolve is
    averaged over them. Onto smaller pixels it is interpolated with cubic splines. Convolution of an image of pixel means with such
    samples gives pixel means of the wider image: averaging a resolved kernel over pixels would widen the beam once more.
    """
    step = both_steps(step)
    data = _turned(kernel, angle) if angle % 360 else kernel.data
    for axis in (0, 1):
        ratio = step[axis] / kernel.step[axis]
        data = np.moveaxis(np.tensordot(_sampling(data, axis, ratio), data, (1, axis)), 0, axis)
    return check_kernel(data, f"{kernel.name} on pixels of {step[1]:.4g} arcsec")


def gaussian_to_gaussian(fwhm_from: float, fwhm_to: float, step: float | tuple[float, float]) -> Floats:
    """Return the kernel that takes a round Gaussian beam to a wider one.

    Parameters
    ----------
    fwhm_from, fwhm_to : float
        Arcsec.
    step : float or (float, float)
        Arcsec per pixel, or along (y, x).

    Returns
    -------
    ndarray of odd shape
        Unit sum; a single 1 where the beams are equal.

    Raises
    ------
    InputError
        If a FWHM is not positive or `fwhm_to` is the smaller one.

    Notes
    -----
    A Gaussian of FWHM sqrt(fwhm_to^2 - fwhm_from^2), sampled at pixel centres up to 5 sigma; where sigma is below half a pixel, averaged
    over pixels.
    """
    if not 0 < fwhm_from < np.inf:
        raise InputError(f"fwhm_from {fwhm_from!r}: must be positive, in arcsec")
    if not fwhm_from <= fwhm_to < np.inf:
        raise InputError(f"fwhm_to {fwhm_to!r}: must not be smaller than fwhm_from, {fwhm_from!r} arcsec: a beam cannot be made narrower")
    sigma = np.sqrt(fwhm_to**2 - fwhm_from**2) / FWHM_OF_SIGMA
    rows, cols = (_gaussian(sigma / one) for one in both_steps(step))
    return np.outer(rows, cols)


def resolution_fwhm(name: str) -> float | None:
    """Return the FWHM in arcsec that the name of a resolution says, None where it names no Gaussian.

    Parameters
    ----------
    name : str
        For example ``gauss0p85``, ``gauss4p00``, ``irac4_atgauss4``, ``f2100w``.

    Returns
    -------
    float or None
    """
    found = _GAUSS.search(name.lower())
    fwhm = float(found[1].replace("p", ".")) if found else 0.0
    return fwhm if fwhm > 0 else None


def resolution_name(fwhm: float) -> str:
    """Return the name of a Gaussian resolution of a FWHM in arcsec: ``gauss4``, ``gauss7p5``, ``gauss0p85``."""
    if not 0 < fwhm < np.inf:
        raise InputError(f"fwhm {fwhm!r}: must be positive, in arcsec")
    text = f"{fwhm:.6f}".rstrip("0").rstrip(".")
    if not float(text):
        raise InputError(f"fwhm {fwhm!r}: must be at least 1e-6 arcsec")
    return f"gauss{text.replace('.', 'p')}"


def both_steps(step: float | tuple[float, float]) -> tuple[float, float]:
    """Return the size of a pixel along y and x, arcsec, of one number or two."""
    steps = np.broadcast_to(np.asarray(step, float), 2) if np.size(step) in (1, 2) else np.zeros(2)
    if not (np.isfinite(steps).all() and (steps > 0).all()):
        raise InputError(f"step {step!r}: must be one positive number of arcsec per pixel, or two: along y and x")
    return float(steps[0]), float(steps[1])


def _gaussian(sigma: float) -> Floats:
    """Return a 1-D Gaussian of unit sum, `sigma` in pixels."""
    if sigma < _NARROWEST:
        return np.ones(1)
    half = int(np.ceil(_REACH * sigma))
    fine = np.arange(-half, half + 1.0)
    if sigma < 0.5:
        offsets = (np.arange(16) - 7.5) / 16
        made = np.exp(-0.5 * ((fine[:, None] + offsets) / sigma) ** 2).sum(axis=1)
    else:
        made = np.exp(-0.5 * (fine / sigma) ** 2)
    return made / made.sum()


def _centroid(array: Floats) -> tuple[float, float]:
    y, x = (np.arange(n) - (n - 1) / 2 for n in array.shape)
    return float(array.sum(axis=1) @ y), float(array.sum(axis=0) @ x)


def _header_step(header: fits.Header, name: str) -> tuple[float, float] | None:
    """Return arcsec per pixel along y and x as the first of the known keywords says."""
    if "XPIXSIZE" in header:
        return both_steps((header.get("YPIXSIZE", header["XPIXSIZE"]), header["XPIXSIZE"]))
    if "CDELT1" in header or "CD1_1" in header:
        matrix = WCS(header, naxis=2).pixel_scale_matrix
        along_x, along_y = np.hypot(*matrix) * 3600
        if not (along_x > 0 and along_y > 0):
            raise InputError(f"{name}: its pixels must have a size, found CDELT or CD of 0")
        return float(along_y), float(along_x)
    if "PIXELSCL" in header:
        return both_steps(header["PIXELSCL"])
    return None


def _sampling(data: Floats, axis: int, ratio: float) -> Floats:
    """Return the matrix that takes samples along an axis to pixels `ratio` times as large, shape (new, old)."""
    old = data.shape[axis]
    here = np.arange(old) - (old - 1) / 2
    if abs(ratio - 1) < 1e-6:
        return np.eye(old)
    inner = (old / ratio - 1) / 2
    if ratio < 1:
        grid = _centres(int(inner + 1e-6), ratio) + (old - 1) / 2
        return np.stack([map_coordinates(unit, [grid], order=3, mode="mirror") for unit in np.eye(old)], axis=1)
    if _response(data.sum(axis=1 - axis), here, 0.5 / ratio) < _RESOLVED:
        return np.sinc((_centres(int(inner + 1e-6), ratio)[:, None] - here) / ratio)
    there = _centres(int(np.ceil(max(inner, 0.0) - 1e-6)), ratio)[:, None]
    return np.maximum(np.minimum(there + ratio / 2, here + 0.5) - np.maximum(there - ratio / 2, here - 0.5), 0.0)


def _centres(half: int, ratio: float) -> Floats:
    """Return the centres of ``2 half + 1`` pixels `ratio` times as large as the kernel's."""
    return np.arange(-half, half + 1) * ratio


def _response(profile: Floats, x: Floats, frequency: float) -> float:
    return float(abs(profile @ np.exp(-2j * np.pi * frequency * x)))


def _turned(kernel: PsfKernel, angle: float) -> Floats:
    """Return the kernel turned from +x towards +y on its own pixels, on a square that holds it."""
    turn, (ny, nx), (dy, dx) = np.radians(angle), kernel.data.shape, kernel.step
    reach = np.hypot(ny * dy, nx * dx) / 2
    half_y, half_x = int(np.ceil(reach / dy)), int(np.ceil(reach / dx))
    y, x = np.arange(-half_y, half_y + 1)[:, None] * dy, np.arange(-half_x, half_x + 1) * dx
    u, v = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
    return map_coordinates(kernel.data, [v / dy + (ny - 1) / 2, u / dx + (nx - 1) / 2], order=3, mode="constant")
