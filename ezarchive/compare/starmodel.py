"""What one star looks like in the pixels of an image: profiles of unit flux, with their derivatives by place and shape.

Two kinds: a Moffat profile at the centres of pixels (or integrated over them), and the inverse transform of a known transfer function,
which is what a star of a filtered reference image is. Trujillo et al. 2001 (MNRAS 328, 977) for the Moffat profile.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy.fft
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_ROOM_ARCSEC = 12.0
"""Around a stamp in the plane of a transfer function, so that wings do not come in on the other side."""
_MOST_NODES = 512
_WHOLE = 1e-6
"""Pixels by which places may be off whole numbers of pixels and yet be these."""
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(5)


class Pixels(NamedTuple):
    """The pixels of a stamp.

    ``x``, ``y`` are arcsec from the place where the star is looked for, along the axes of the image, shape (n,); ``step`` is arcsec per
    pixel along y and x.
    """

    x: Floats
    y: Floats
    step: tuple[float, float]

    @property
    def area(self) -> float:
        """Square arcsec of a pixel."""
        return self.step[0] * self.step[1]


@dataclass(frozen=True)
class MoffatProfile:
    """A Moffat profile of unit flux.

    Attributes
    ----------
    fwhm, beta : float or None
        Arcsec, and the exponent; None: free.
    integrate : bool
        The profile is that of the light before it falls on the pixels, and is integrated over each; otherwise that of the pixels' values.

    Notes
    -----
    P = area (beta - 1) / (pi a^2) (1 + r^2 / a^2)^-beta, a = fwhm / 2 / sqrt(2^(1/beta) - 1).
    """

    fwhm: float | None = None
    beta: float | None = None
    integrate: bool = False

    @property
    def free(self) -> tuple[str, ...]:
        """Names of the free parameters of the shape."""
        return tuple(name for name in ("fwhm", "beta") if getattr(self, name) is None)

    def evaluate(self, pixels: Pixels, x: float, y: float, shape: dict[str, float]) -> tuple[Floats, Floats]:
        """Return the profile of a star at (x, y) arcsec.

        Returns
        -------
        values : ndarray, shape (n,)
            Part of the flux that is in each pixel.
        derivatives : ndarray, shape (n, 2 + free)
            By x, y and the free parameters.
        """
        fwhm, beta = (shape[name] if getattr(self, name) is None else getattr(self, name) for name in ("fwhm", "beta"))
        chosen = [0, 1, *(2 + ("fwhm", "beta").index(name) for name in self.free)]
        east, north = pixels.x - x, pixels.y - y
        if not self.integrate:
            every = _moffat(east, north, fwhm, beta) * pixels.area
        else:
            every = np.zeros((5, len(east)))
            for node_y, weight_y in zip(_NODES, _WEIGHTS, strict=True):
                for node_x, weight_x in zip(_NODES, _WEIGHTS, strict=True):
                    place = east + node_x * pixels.step[1] / 2, north + node_y * pixels.step[0] / 2
                    every += weight_x * weight_y / 4 * _moffat(*place, fwhm, beta)
            every *= pixels.area
        return every[0], every[1:].T[:, chosen]


def _moffat(x: Floats, y: Floats, fwhm: float, beta: float) -> Floats:
    """Return profile and derivatives by the star's x and y, fwhm and beta, shape (5, n), per square arcsec."""
    root = 2 ** (1 / beta) - 1
    width = fwhm / 2 / np.sqrt(root)
    radius2 = (x**2 + y**2) / width**2
    u = 1 + radius2
    value = (beta - 1) / (np.pi * width**2) * u**-beta
    slope = 2 * beta * value / (u * width**2)
    by_width = value * (2 * beta * radius2 / u - 2) / width
    width_by_beta = width * np.log(2) * (root + 1) / (2 * beta**2 * root)
    by_beta = value * (1 / (beta - 1) - np.log(u)) + by_width * width_by_beta
    return np.array([value, slope * x, slope * y, by_width * width / fwhm, by_beta])


Transfer = Callable[[Floats, Floats, dict[str, float]], tuple[NDArray[Any], list[NDArray[Any]]]]
"""From frequencies (cycles/arcsec along x, shape (1, nx), and y, shape (ny, 1)) and the free parameters to the transfer function, shape
(ny, nx), and its derivatives by these."""


@dataclass(frozen=True)
class TransferProfile:
    """A star whose transfer function is known, or known but for some parameters.

    Attributes
    ----------
    transfer : callable
        See `Transfer`.
    free : tuple of str
        Names of the free parameters of the shape.
    band : int
        Highest frequency along each axis in units of the Nyquist frequency of the pixels: 1 where the image has been low-passed; more
        where light above it is folded back.
    window : callable or None
        Low-pass filter, of frequency in units of the Nyquist frequency (a radius).
    """

    transfer: Transfer
    free: tuple[str, ...] = ()
    band: int = 1
    window: Callable[[Floats], Floats] | None = None

    def evaluate(self, pixels: Pixels, x: float, y: float, shape: dict[str, float]) -> tuple[Floats, Floats]:
        """Return the profile and its derivatives (as `MoffatProfile.evaluate`)."""
        v, u = (_frequencies(place, step, self.band) for place, step in ((pixels.y, pixels.step[0]), (pixels.x, pixels.step[1])))
        fy, fx = v[0][:, None] / pixels.step[0], u[0][None] / pixels.step[1]
        value, by_shape = self.transfer(fx, fy, shape)
        known = v[1][:, None] * u[1]
        if self.window is not None:
            known = known * self.window(2 * np.hypot(u[0], v[0][:, None]))
        turns = -2j * np.pi
        spectra = [value * known, value * known * turns * fx, value * known * turns * fy, *(one * known for one in by_shape)]
        made = _inverse(np.array(spectra), pixels, u[0], v[0], (x, y), self.band)
        return made[0], made[1:].T


def correlation(shape: tuple[int, int], window: Callable[[Floats], Floats]) -> Floats:
    """Return the correlation of white noise that went through a low-pass filter.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns of a stamp.
    window : callable
        As of `TransferProfile`.

    Returns
    -------
    ndarray, shape (2 ny - 1, 2 nx - 1)
        By the distance of two pixels in rows and columns; 1 in the middle.
    """
    (v, wv), (u, wu) = (_frequencies(np.arange(n), 1.0, 1) for n in shape)
    power = window(2 * np.hypot(u, v[:, None])) ** 2 * wv[:, None] * wu
    lag_y, lag_x = (np.arange(1 - n, n) for n in shape)
    made = np.cos(2 * np.pi * np.outer(lag_y, v)) @ power @ np.cos(2 * np.pi * np.outer(u, lag_x))
    made -= np.sin(2 * np.pi * np.outer(lag_y, v)) @ power @ np.sin(2 * np.pi * np.outer(u, lag_x))
    return made / power.sum()


def _frequencies(places: Floats, step: float, band: int) -> tuple[Floats, Floats]:
    """Return frequencies in cycles per pixel from -band/2 to band/2, and the part of the band that each stands for."""
    extent = (places.max() - places.min()) / step + 1
    n = int(min(extent + np.ceil(_ROOM_ARCSEC / step), max(_MOST_NODES, extent * 1.2)))
    n = scipy.fft.next_fast_len(n + n % 2) * band
    u = (np.arange(n) + 0.5) / n * band - band / 2
    return u, np.full(n, band / n)


def _inverse(spectra: NDArray[Any], pixels: Pixels, u: Floats, v: Floats, place: tuple[float, float], band: int) -> Floats:
    """Return the inverse transforms, shape (k, n), of spectra, shape (k, v, u), at the pixels, as seen from a place (x, y)."""
    at = []
    for values, step, f, centre, axis in ((pixels.y, pixels.step[0], v, place[1], 1), (pixels.x, pixels.step[1], u, place[0], 2)):
        first = values.min()
        away = (values - first) / step
        index = np.rint(away).astype(int)
        shape = [-1 if k == axis else 1 for k in range(3)]
        spectra = spectra * np.exp(2j * np.pi * f * (first - centre) / step).reshape(shape)
        if np.abs(away - index).max() > _WHOLE:
            places, index = np.unique(away, return_inverse=True)
            spectra = np.moveaxis(np.tensordot(spectra, np.exp(2j * np.pi * np.outer(f, places)), (axis, 0)), -1, axis)
        else:
            spectra = _at_whole(spectra, f, int(index.max()) + 1, axis, band)
        at.append(index)
    return spectra.real[:, at[0], at[1]]


def _at_whole(spectra: NDArray[Any], f: Floats, length: int, axis: int, band: int) -> NDArray[Any]:
    """Return the inverse transform along an axis at so many whole numbers of pixels, from 0."""
    # Frequencies that differ by one cycle per pixel are the same there.
    n = len(f) // band
    spectra = spectra.reshape(*spectra.shape[:axis], band, n, *spectra.shape[axis + 1 :]).sum(axis=axis)
    kept = np.arange(length)
    turned = np.exp(2j * np.pi * f[0] * kept).reshape([-1 if k == axis else 1 for k in range(3)])
    return np.take(scipy.fft.ifft(spectra, axis=axis, overwrite_x=True) * n, kept, axis=axis) * turned
