"""Point-spread functions as transfer functions: Moffat, Gaussian, or any array.

A PSF here is that of the pixels: the light of a point source at the centres of pixels, pixel included. `transfer` is its Fourier
transform at unit flux, with exp(-2 pi i (fx x + fy y)); fx and fy in cycles per arcsec along the axes of the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import zoom

from ezarchive.compare.moffat import Floats, MoffatTable, check_beta, check_fwhm, moffat_transfer
from ezarchive.errors import InputError

Transfer = NDArray[np.complex128]

_FINE = 5
_TABLE_FROM = 10_000


class Psf(Protocol):
    """What a PSF must have."""

    @property
    def fwhm(self) -> float:
        """Full width at half maximum, arcsec (of a PSF that is not round: of the circle of the same area)."""

    def transfer(self, fx: ArrayLike, fy: ArrayLike) -> Transfer:
        """Return its Fourier transform at frequencies in cycles per arcsec (broadcast against each other); 1 at 0."""


@dataclass(frozen=True)
class MoffatPsf:
    """A circular Moffat profile: `fwhm` in arcsec, `beta` larger than 1 (inf: a Gaussian)."""

    fwhm: float
    beta: float

    def __post_init__(self) -> None:
        check_fwhm(self.fwhm)
        check_beta(self.beta)

    def transfer(self, fx: ArrayLike, fy: ArrayLike) -> Transfer:
        """Return the closed form of `moffat_transfer`."""
        k = np.hypot(fx, fy)
        if k.size > _TABLE_FROM:
            return MoffatTable(k).transfer(self.fwhm, self.beta).astype(complex)
        return moffat_transfer(k, self.fwhm, self.beta).astype(complex)


@dataclass(frozen=True)
class GaussianPsf:
    """A circular Gaussian of full width `fwhm` in arcsec."""

    fwhm: float

    def __post_init__(self) -> None:
        check_fwhm(self.fwhm)

    def transfer(self, fx: ArrayLike, fy: ArrayLike) -> Transfer:
        """Return exp(-(pi fwhm k)^2 / (4 ln 2))."""
        return moffat_transfer(np.hypot(fx, fy), self.fwhm, np.inf).astype(complex)


@dataclass(frozen=True, eq=False)
class ArrayPsf:
    """A PSF given as pixels.

    Attributes
    ----------
    array : ndarray, shape (ny, nx)
        ``[y, x]``, along the axes of the image; need not be round, nor normalised, nor of an odd size. Its middle, pixel
        ``((nx - 1) / 2, (ny - 1) / 2)``, is where the point source lies.
    pixel_scale : float or (float, float)
        Arcsec per pixel of `array`: of both axes, or along y and along x. Usually finer than that of the image.

    Raises
    ------
    InputError
        If it is not two-dimensional and finite, or its sum is not positive.

    Notes
    -----
    Its transform is the sum over its pixels; beyond the Nyquist frequency of `array` it is 0.
    """

    array: Floats
    pixel_scale: float | tuple[float, float]

    def __post_init__(self) -> None:
        try:
            array, scales = np.array(self.array, dtype=float), tuple(np.broadcast_to(np.asarray(self.pixel_scale, dtype=float), 2).tolist())
        except (TypeError, ValueError) as err:
            raise InputError("psf: must be an array of numbers, and one or two numbers of arcsec per pixel") from err
        if array.ndim != 2 or not array.size:
            raise InputError(f"psf: must be an array of two axes, found shape {array.shape}")
        if not np.isfinite(array).all():
            raise InputError(f"psf: must be finite, found {int((~np.isfinite(array)).sum())} pixels that are not")
        if not array.sum() > 0:
            raise InputError(f"psf: its sum must be positive, found {array.sum():g}")
        if not all(0 < s < np.inf for s in scales):
            raise InputError(f"pixel_scale {self.pixel_scale!r}: must be positive, arcsec per pixel")
        array /= array.sum()
        array.setflags(write=False)
        object.__setattr__(self, "array", array)
        object.__setattr__(self, "pixel_scale", scales)

    @cached_property
    def fwhm(self) -> float:
        """Diameter in arcsec of the circle that covers as much as is above half of the maximum."""
        fine = zoom(np.pad(self.array, 1), _FINE, order=3)
        area = (fine > fine.max() / 2).sum() * self.pixel_scale[0] * self.pixel_scale[1] / _FINE**2
        return float(2 * np.sqrt(area / np.pi))

    def transfer(self, fx: ArrayLike, fy: ArrayLike) -> Transfer:
        """Return the sum of the pixels times their phases; an outer grid (fx a row, fy a column) costs two matrix products."""
        fx, fy = np.asarray(fx, dtype=float), np.asarray(fy, dtype=float)
        (ny, nx), (sy, sx) = self.array.shape, self.pixel_scale
        y, x = (np.arange(ny) - (ny - 1) / 2) * sy, (np.arange(nx) - (nx - 1) / 2) * sx
        if fx.ndim == fy.ndim == 2 and fx.shape[0] == 1 and fy.shape[1] == 1:
            found = np.exp(-2j * np.pi * fy * y) @ self.array @ np.exp(-2j * np.pi * fx * x[:, None])
        else:
            fx, fy = np.broadcast_arrays(fx, fy)
            found = np.einsum(
                "...y,yx,...x->...", np.exp(-2j * np.pi * fy[..., None] * y), self.array, np.exp(-2j * np.pi * fx[..., None] * x)
            )
        return np.where((np.abs(fx) * sx <= 0.5) & (np.abs(fy) * sy <= 0.5), found, 0.0)


def as_psf(value: Any, pixel_scale: float | tuple[float, float] | None = None, name: str = "psf") -> Psf:
    """Return what was given as a PSF.

    Parameters
    ----------
    value : Psf, float, (float, float), array or (array, float)
        A number is the fwhm of a Gaussian, two are fwhm and beta of a Moffat profile, an array the pixels of a PSF (with its scale in
        arcsec per pixel as the second of a pair).
    pixel_scale : float or (float, float), optional
        Arcsec per pixel (along y and along x) of an array that comes without: that of the image.
    name : str
        The argument, for messages.

    Returns
    -------
    Psf

    Raises
    ------
    InputError
        If it is nothing of the kind.
    """
    if hasattr(value, "transfer"):
        return value
    if isinstance(value, (int, float, np.number)):
        return GaussianPsf(check_fwhm(value, name))
    if isinstance(value, (tuple, list)) and len(value) == 2:
        first, second = value
        if np.ndim(first) == 2:
            return ArrayPsf(np.asarray(first), second)
        if np.ndim(first) == np.ndim(second) == 0:
            return MoffatPsf(check_fwhm(first, f"{name} fwhm"), check_beta(second, f"{name} beta"))
    if isinstance(value, np.ndarray) and value.ndim == 2:
        if pixel_scale is None:
            raise InputError(f"{name}: an array must come with its arcsec per pixel, (array, scale)")
        return ArrayPsf(value, pixel_scale)
    raise InputError(f"{name}: must be a PSF, a fwhm, (fwhm, beta), or an array and its arcsec per pixel, found {type(value).__name__}")
