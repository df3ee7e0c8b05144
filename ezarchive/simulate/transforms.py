"""Skies, profiles and filters whose Fourier transforms are elementary, and the pixels that they give.

Nothing is sampled before it is transformed: pixels are inverse transforms of products of the functions below. Frequencies are in cycles
per arcsec. Trujillo et al. 2001 (MNRAS 328, 977) for the Moffat profile.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from astropy.wcs import WCS
from numpy.typing import NDArray
from scipy.special import gamma, kv

_PAD_ARCSEC = 10.0
_BLOCK = 16384
"""Frequencies that are worked on at a time: so few that they stay in the processor's cache."""

Floats = NDArray[np.float64]


class Sources(NamedTuple):
    """Point sources and exponential discs.

    ``east``, ``north`` are tangent-plane arcsec from the centre, ``flux`` in the reference's unit, ``length`` the scale length in arcsec
    (0: a point), ``ratio`` minor by major axis, ``angle`` of the major axis from east to north in radians. The first is the isolated star.
    """

    east: Floats
    north: Floats
    flux: Floats
    length: Floats
    ratio: Floats
    angle: Floats


def tangent_wcs(shape: tuple[int, int], pixel: float, rotation: float, centre: tuple[float, float]) -> WCS:
    """Return a TAN projection about the middle of an image, east left; arcsec and degrees."""
    wcs, turn = WCS(naxis=2), np.radians(rotation)
    wcs.wcs.ctype, wcs.wcs.cunit = ["RA---TAN", "DEC--TAN"], ["deg", "deg"]
    wcs.wcs.crval, wcs.wcs.crpix = list(centre), [shape[1] / 2 + 0.5, shape[0] / 2 + 0.5]
    wcs.wcs.cd = pixel / 3600 * np.array([[-np.cos(turn), -np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    wcs.array_shape = shape
    return wcs


def moffat(k: Floats, fwhm: float, beta: float) -> Floats:
    """Return the transform of a Moffat profile of unit flux: 2 (z/2)^n K_n(z) / Gamma(n), z = 2 pi a k, n = beta - 1.

    Parameters
    ----------
    k : ndarray
        Cycles per arcsec.
    fwhm : float
        Arcsec; a = fwhm / 2 / sqrt(2^(1/beta) - 1).
    beta : float
        The exponent; inf is a Gaussian.
    """
    if np.isinf(beta):
        return np.exp(-((np.pi * fwhm * k) ** 2) / (4 * np.log(2)))
    n, z = beta - 1, np.pi * fwhm / np.sqrt(2 ** (1 / beta) - 1) * np.asarray(k, float)
    made = np.ones_like(z)
    some = z > 1e-9
    made[some] = 2 * (z[some] / 2) ** n * kv(n, z[some]) / gamma(n)
    return made


def blackman(r: Floats) -> Floats:
    """Return a radial Blackman window: 1 at r = 0, 0 from r = 1 on."""
    return np.where(r <= 1, 0.42 + 0.5 * np.cos(np.pi * r) + 0.08 * np.cos(2 * np.pi * r), 0.0)


def stretched(fx: Floats, fy: Floats, ratio: float, angle: float) -> Floats:
    """Return the frequency at which a round profile's transform is that of an elliptical one with the same area.

    Parameters
    ----------
    fx, fy : ndarray
        Cycles per arcsec along x and y; they are broadcast.
    ratio : float
        Minor by major axis. An axis is sqrt(ratio), or 1 / sqrt(ratio), times that of the round profile.
    angle : float
        Of the major axis, degrees from +x to +y.
    """
    c, d = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return np.hypot((c * fx + d * fy) / np.sqrt(ratio), (c * fy - d * fx) * np.sqrt(ratio))


class Grid:
    """An image's Fourier plane, with room around the image so that wings do not come in on the other side.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns of the image.
    pixel : float
        Arcsec.
    fine : int
        Samples per pixel and axis: light beyond the Nyquist frequency of the pixels is folded back if there are several, as in a camera.
    """

    def __init__(self, shape: tuple[int, int], pixel: float, fine: int) -> None:
        self.shape, self.pixel, self.fine = shape, pixel, fine
        self.margin = int(np.ceil(_PAD_ARCSEC / pixel))
        self.padded = tuple((n + 2 * self.margin) * fine for n in shape)
        self.fx = np.fft.rfftfreq(self.padded[1], pixel / fine)
        self.fy = np.fft.fftfreq(self.padded[0], pixel / fine)

    def profile(self, fwhm: float, beta: float, ratio: float = 1.0, angle: float = 0.0) -> Floats:
        """Return the transform of an elliptical Moffat profile (`moffat`, `stretched`)."""
        return moffat(stretched(self.fx, self.fy[:, None], ratio, angle), fwhm, beta)

    def window(self) -> Floats:
        """Return the Blackman window that ends at the Nyquist frequency of the pixels."""
        return blackman(np.hypot(self.fx, self.fy[:, None]) * 2 * self.pixel)

    def sky(self, sources: Sources, wcs: WCS, shift: tuple[float, float] = (0, 0), star_motion: tuple[float, float] = (0, 0)) -> NDArray:
        """Return the spectrum of the sources: flux times phase times that of the disc, (1 + (2 pi h k')^2)^(-3/2).

        `shift` is that of everything along x and y, `star_motion` that of the first source besides; arcsec.
        """
        inverse = np.linalg.inv(wcs.wcs.cd * 3600)
        x, y = (c * self.pixel + self.margin * self.pixel + d for c, d in zip(pixels(wcs, sources), shift, strict=True))
        x[0], y[0] = x[0] + star_motion[0], y[0] + star_motion[1]
        along_y = sources.flux * np.exp(-2j * np.pi * np.outer(self.fy, y))
        along_x = np.exp(-2j * np.pi * np.outer(x, self.fx))
        points = np.asarray(sources.length) == 0
        spectrum = along_y[:, points] @ along_x[points]
        step = max(1, _BLOCK // len(self.fx))
        for rows in (slice(start, start + step) for start in range(0, len(self.fy), step)):
            for i in np.flatnonzero(~points):
                shape = self._disc(self.fy[rows], inverse, sources.length[i], sources.ratio[i], sources.angle[i])
                spectrum[rows] += along_y[rows, i, None] * shape * along_x[i]
        return spectrum

    def _disc(self, fy: Floats, inverse: Floats, length: float, ratio: float, angle: float) -> Floats:
        """Return the transform of an exponential disc of unit flux in some rows of the plane."""
        axis = inverse @ [np.cos(angle), np.sin(angle)]
        c, d = axis / np.hypot(*axis)
        size, fy = (2 * np.pi * length) ** 2, fy[:, None]
        # The square of k' = (c fx + d fy, ratio (c fy - d fx)), multiplied out.
        base = 1 + size * (d * d + (ratio * c) ** 2) * fy**2 + size * (c * c + (ratio * d) ** 2) * self.fx**2
        base += (2 * size * c * d * (1 - ratio**2) * fy) * self.fx
        return 1 / (base * np.sqrt(base))

    def image(self, spectrum: NDArray) -> Floats:
        """Return flux per pixel, at the centres of the pixels."""
        return self.inner(np.fft.irfft2(spectrum, s=self.padded)[:: self.fine, :: self.fine] * self.fine**2)

    def filtered_noise(self, rng: np.random.Generator, window: Floats, sigma: float) -> Floats:
        """Return white noise that has gone through a filter, of standard deviation `sigma` after it."""
        white = np.fft.irfft2(np.fft.rfft2(rng.normal(size=self.padded)) * window, s=self.padded)
        return self.inner(white * (sigma / np.sqrt(self._power(window))))

    def inner(self, padded: Floats) -> Floats:
        """Return the image without the room around it."""
        return padded[self.margin : self.margin + self.shape[0], self.margin : self.margin + self.shape[1]].copy()

    def _power(self, window: Floats) -> float:
        """Return the variance that a filter leaves of white noise of variance 1: the mean of its square over the whole plane."""
        weight = np.full(window.shape[1], 2.0)
        weight[0] = 1.0
        if self.padded[1] % 2 == 0:
            weight[-1] = 1.0
        return float((window**2 * weight).sum() / (self.padded[0] * self.padded[1]))


def pixels(wcs: WCS, sources: Sources) -> tuple[Floats, Floats]:
    """Return the 0-based pixels of tangent-plane positions."""
    x, y = np.linalg.inv(wcs.wcs.cd * 3600) @ [sources.east, sources.north]
    return x + wcs.wcs.crpix[0] - 1, y + wcs.wcs.crpix[1] - 1
