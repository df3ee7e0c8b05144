"""Light of stars and galaxies in pixels, and in circles on pixels; arrays only.

A shape is a symmetric 2x2 matrix C in square pixels: a profile depends on position through the quadratic form d' C^-1 d, and its
Fourier transform through k' C k. Pixel centres are whole numbers, axes are x to the right and y up.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BETA = 3.5
"""Exponent of the Moffat profile; a half-integer has an elementary Fourier transform."""

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(3)
_NODES, _WEIGHTS = _NODES / 2, _WEIGHTS / 2
_EXPONENTIAL_HALF_LIGHT = 1.6783469900166605
"""Half-light radius of an exponential disc in units of its scale length: the root of (1 + r) exp(-r) = 1/2."""


class Shape(NamedTuple):
    """A symmetric matrix (xx, xy, yy) in square pixels."""

    xx: float
    xy: float
    yy: float

    @property
    def determinant(self) -> float:
        """Its determinant, pixels to the fourth."""
        return self.xx * self.yy - self.xy * self.xy

    @property
    def major(self) -> float:
        """The larger semi-axis, pixels."""
        half, difference = (self.xx + self.yy) / 2, (self.xx - self.yy) / 2
        return float(np.sqrt(half + np.hypot(difference, self.xy)))

    def inverse(self) -> Shape:
        """Return the inverse matrix."""
        det = self.determinant
        return Shape(self.yy / det, -self.xy / det, self.xx / det)

    def form(self, u: NDArray, v: NDArray) -> NDArray:
        """Return the quadratic form of vectors (u, v), broadcast."""
        return self.xx * u * u + (2 * self.xy * u) * v + self.yy * v * v


class Window(NamedTuple):
    """A rectangle of pixels: its first column and row, and its size."""

    x0: int
    y0: int
    nx: int
    ny: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """The window as a NumPy index, ``[y, x]``."""
        return slice(self.y0, self.y0 + self.ny), slice(self.x0, self.x0 + self.nx)

    def meet(self, other: Window) -> Window:
        """Return the common part; its size is 0 where there is none."""
        x0, y0 = max(self.x0, other.x0), max(self.y0, other.y0)
        x1 = min(self.x0 + self.nx, other.x0 + other.nx)
        y1 = min(self.y0 + self.ny, other.y0 + other.ny)
        return Window(x0, y0, max(0, x1 - x0), max(0, y1 - y0))

    def within(self, outer: Window) -> tuple[slice, slice]:
        """Return this window as an index into an array that holds ``outer``."""
        return Window(self.x0 - outer.x0, self.y0 - outer.y0, self.nx, self.ny).slices


def window_around(x: float, y: float, half: float) -> Window:
    """Return the square of pixels whose centres lie within ``half`` of (x, y), and a pixel more."""
    reach = int(np.ceil(half)) + 1
    return Window(round(x) - reach, round(y) - reach, 2 * reach + 1, 2 * reach + 1)


def ellipse(a: float, b: float, theta: float = 0.0) -> Shape:
    """Return the shape of an ellipse.

    Parameters
    ----------
    a, b : float
        Semi-axes, pixels.
    theta : float
        Direction of ``a``, degrees counter-clockwise from +x.
    """
    cos, sin = np.cos(np.radians(theta)), np.sin(np.radians(theta))
    return Shape(float((a * cos) ** 2 + (b * sin) ** 2), float((a * a - b * b) * cos * sin), float((a * sin) ** 2 + (b * cos) ** 2))


def moffat(fwhm: float, ellipticity: float = 0.0, theta: float = 0.0) -> Shape:
    """Return the shape of a Moffat profile of exponent `BETA`.

    Parameters
    ----------
    fwhm : float
        Full width at half maximum, pixels: the geometric mean of both axes.
    ellipticity : float
        1 - b/a.
    theta : float
        Direction of the major axis, degrees counter-clockwise from +x.
    """
    alpha = fwhm / (2 * np.sqrt(2 ** (1 / BETA) - 1))
    stretch = np.sqrt(1 - ellipticity)
    return ellipse(alpha / stretch, alpha * stretch, theta)


def moffat_reach(psf: Shape, outside: float) -> float:
    """Return the radius, pixels along the major axis, that leaves the fraction ``outside`` of the light out."""
    return psf.major * float(np.sqrt(outside ** (-1 / (BETA - 1)) - 1))


def moffat_pixels(x: float, y: float, psf: Shape, window: Window) -> NDArray[np.float64]:
    """Return the fraction of a star's light in each pixel of a window.

    The Moffat profile, normalised over the whole plane, is integrated over each pixel by a 3 x 3 Gauss-Legendre rule; against
    a 12 x 12 rule it is right to 2e-6 of the peak for a FWHM of 4 pixels, to 2e-4 for 2.

    Parameters
    ----------
    x, y : float
        Centre of the star.
    psf : Shape
        Of `moffat`.
    window : Window
        The pixels wanted.

    Returns
    -------
    ndarray (ny, nx)
    """
    inverse = psf.inverse()
    u = (window.x0 - x + np.arange(window.nx)[:, None] + _NODES).ravel()
    v = (window.y0 - y + np.arange(window.ny)[:, None] + _NODES).ravel()[:, None]
    q = v * (2 * inverse.xy * u)
    q += inverse.xx * u * u
    q += 1 + inverse.yy * v * v
    root = np.sqrt(q)
    root *= q
    root *= q
    root *= q
    norm = (BETA - 1) / (np.pi * np.sqrt(psf.determinant))
    columns = np.divide(norm, root, out=root).reshape(-1, 3) @ _WEIGHTS
    return np.einsum("iaj,a->ij", columns.reshape(window.ny, 3, window.nx), _WEIGHTS)


def galaxy_pixels(x: float, y: float, shape: Shape, psf: Shape) -> tuple[NDArray[np.float64], Window]:
    """Return the fraction of an exponential galaxy's light in each pixel, convolved with the PSF.

    Made in Fourier space, where the disc, the Moffat profile and the pixel are products of closed forms: the cusp needs no
    sampling. What is left is the light beyond the window, which wraps round (under 1e-3 of the total), and the cut of the spectrum
    at the sampling frequency (for a FWHM of 4 pixels under 1e-3 of the peak of a star, far less of a galaxy).

    Parameters
    ----------
    x, y : float
        Centre of the galaxy.
    shape : Shape
        Semi-axes are the scale lengths.
    psf : Shape
        Of `moffat`.

    Returns
    -------
    pixels : ndarray (n, n)
    window : Window
    """
    half = int(np.ceil(moffat_reach(psf, 3e-4) + 8 * shape.major) / 8 + 1) * 8
    window = Window(round(x) - half, round(y) - half, 2 * half, 2 * half)
    kx, ky = _frequencies(2 * half)
    spectrum = _moffat_spectrum(psf, 2 * half) / (1 + shape.form(kx, ky)) ** 1.5
    spectrum = spectrum * np.exp(-1j * kx * (x - window.x0)) * np.exp(-1j * ky * (y - window.y0))
    return np.fft.irfft2(spectrum, s=(2 * half, 2 * half)), window


def _frequencies(n: int) -> tuple[NDArray, NDArray]:
    return 2 * np.pi * np.fft.rfftfreq(n), 2 * np.pi * np.fft.fftfreq(n)[:, None]


@lru_cache(maxsize=16)
def _moffat_spectrum(psf: Shape, n: int) -> NDArray:
    """Fourier transform of the pixel-integrated profile: for beta = 7/2 it is (1 + k + k^2/3) exp(-k)."""
    kx, ky = _frequencies(n)
    k = np.sqrt(psf.form(kx, ky))
    return (1 + k + k * k / 3) * np.exp(-k) * np.sinc(kx / (2 * np.pi)) * np.sinc(ky / (2 * np.pi))


def scale_length(half_light_radius: float) -> float:
    """Return the scale length of an exponential disc with this half-light radius, in its unit."""
    return half_light_radius / _EXPONENTIAL_HALF_LIGHT


def circle_overlap(x: float, y: float, radius: float, window: Window) -> NDArray[np.float64]:
    """Return the exact area of each pixel that lies in a circle.

    The area of the disc in the rectangle from its centre to a corner is a closed form of the corner; a pixel is the second
    difference of it.

    Parameters
    ----------
    x, y, radius : float
        The circle, pixels.
    window : Window
        The pixels wanted.

    Returns
    -------
    ndarray (ny, nx)
        Between 0 and 1.
    """
    u = np.clip(window.x0 - 0.5 + np.arange(window.nx + 1) - x, -radius, radius)
    v = np.clip(window.y0 - 0.5 + np.arange(window.ny + 1) - y, -radius, radius)[:, None]
    width, height = np.abs(u), np.abs(v)
    chord = np.sqrt(radius * radius - height * height)
    # The primitive of the circle grows with its argument, so the smaller argument has the smaller primitive.
    segment = _circle_primitive(width, radius) - np.minimum(_circle_primitive(chord, radius), _circle_primitive(width, radius))
    corner = np.sign(u) * np.sign(v) * (height * np.minimum(chord, width) + segment)
    return np.clip(np.diff(np.diff(corner, axis=0), axis=1), 0, 1)


def _circle_primitive(t: NDArray, radius: float) -> NDArray:
    return (t * np.sqrt(np.maximum(radius * radius - t * t, 0)) + radius * radius * np.arcsin(np.clip(t / radius, -1, 1))) / 2


def aperture_fraction(psf: Shape, radius: float) -> float:
    """Return the fraction of a star's light in a circle around it: the mean over 16 places of its centre in a pixel.

    Parameters
    ----------
    psf : Shape
        Of `moffat`.
    radius : float
        Radius of the circle, pixels.
    """
    places = (np.arange(4) + 0.5) / 4
    window = window_around(0.5, 0.5, radius + 1)
    return float(np.mean([np.sum(moffat_pixels(x, y, psf, window) * circle_overlap(x, y, radius, window)) for x in places for y in places]))
