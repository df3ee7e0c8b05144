"""The model of an image: the reference, blurred by the image's PSF, shifted, scaled, on a background.

Both sides are brought to one resolution, that of image, reference PSF and the reference's low-pass filter together: where M is the image,
H the reference, P_h the reference's PSF, B its filter and P_m the image's PSF,

    M * B * P_h  =  scale (H * P_m shifted by dx, dy) + bg.

Nothing is deconvolved. Convolutions are products of Fourier transforms in a plane with room around the images.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from ezarchive.compare.lowpass import LowPass
from ezarchive.compare.moffat import MoffatTable
from ezarchive.compare.psf import Psf

Floats = NDArray[np.float64]
Spectrum = NDArray[np.complex128]

_FLOOR = 3e-4
"""Relative power below which the common resolution cannot be undone (`PairModel.sharp`)."""


class FourierPlane:
    """Real images of one shape in a larger plane, and their spectra.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns of the images.
    step : (float, float)
        Arcsec per pixel along y and x.
    room : (int, int)
        Pixels that are free beside the images, at least.

    Attributes
    ----------
    fx, fy : ndarray, shape (1, mx) and (my, 1)
        Cycles per arcsec.
    k : ndarray, shape (my, mx)
        Their length.
    """

    def __init__(self, shape: tuple[int, int], step: tuple[float, float], room: tuple[int, int]) -> None:
        self.shape, self.step = shape, step
        self.size = tuple(scipy.fft.next_fast_len(n + extra, real=True) for n, extra in zip(shape, room, strict=True))
        self.fy = scipy.fft.fftfreq(self.size[0], step[0])[:, None]
        self.fx = scipy.fft.rfftfreq(self.size[1], step[1])[None]
        self.k = np.hypot(self.fx, self.fy)

    @cached_property
    def slopes(self) -> tuple[Spectrum, Spectrum]:
        """-2 pi i f along y and along x, 0 at the frequency that has no sign."""
        made = []
        for f, n, axis in ((self.fy, self.size[0], 0), (self.fx, self.size[1], 1)):
            f = f.copy()
            if n % 2 == 0:
                f[(n // 2, 0) if axis == 0 else (0, n // 2)] = 0.0
            made.append(-2j * np.pi * f)
        return tuple(made)

    def phase(self, dy: float, dx: float) -> Spectrum:
        """Return the factor that moves an image by arcsec along y and x."""
        return np.exp(-2j * np.pi * self.fy * dy) * np.exp(-2j * np.pi * self.fx * dx)

    def forward(self, image: Floats) -> Spectrum:
        """Return the spectrum of an image, 0 beside it."""
        return scipy.fft.rfft2(image, self.size)

    def back(self, spectrum: Spectrum) -> Floats:
        """Return the image of a spectrum, without the room beside it."""
        return self.whole(spectrum)[: self.shape[0], : self.shape[1]]

    def whole(self, spectrum: Spectrum) -> Floats:
        """Return the image of a spectrum with the room beside it, shape `size`."""
        return scipy.fft.irfft2(spectrum, self.size)

    def mean(self, values: Floats) -> float:
        """Return the mean of a real even function over the whole plane of frequencies."""
        twice = 2 * values.sum() - values[:, 0].sum()
        if self.size[1] % 2 == 0:
            twice -= values[:, -1].sum()
        return float(twice / (self.size[0] * self.size[1]))


@dataclass(frozen=True)
class Shape:
    """The parameters on which the model does not depend linearly: `fwhm`, `dx`, `dy` in arcsec, and `q` = 1/beta."""

    fwhm: float
    q: float
    dx: float
    dy: float

    @property
    def beta(self) -> float:
        """Moffat exponent; inf for a Gaussian."""
        return 1 / self.q if self.q > 0 else np.inf


class PairModel:
    """Images at the common resolution, and derivatives of them.

    Parameters
    ----------
    plane : FourierPlane
    reference : ndarray, shape of the plane's images
        Finite, its level subtracted.
    reference_psf : Psf
    image_psf : Psf or None
        None: a Moffat profile with the parameters of a `Shape`.
    lowpass : LowPass or None
        What the spectrum of the reference has been multiplied by.
    """

    def __init__(self, plane: FourierPlane, reference: Floats, reference_psf: Psf, image_psf: Psf | None, lowpass: LowPass | None) -> None:
        self.plane = plane
        self.window = np.ones_like(plane.k) if lowpass is None else lowpass.transfer(plane.fx, plane.fy)
        self.common = self.window * reference_psf.transfer(plane.fx, plane.fy)
        self.image_psf = image_psf
        self._reference = plane.forward(reference) * (self.window > 0)
        self._table = MoffatTable(plane.k) if image_psf is None else None
        self._known = None if image_psf is None else image_psf.transfer(plane.fx, plane.fy)

    def degraded(self, image: Floats) -> Floats:
        """Return an image at the common resolution; one of the whole plane is taken as it is, 0 is beside a smaller one."""
        return self.plane.back(self.plane.forward(image) * self.common)

    def transfer(self, shape: Shape) -> Spectrum | Floats:
        """Return the transfer function of the image's PSF."""
        return self._table.transfer(shape.fwhm, shape.beta) if self._known is None else self._known

    def blurred(self, shape: Shape) -> Floats:
        """Return the reference with the image's PSF, where the image shows it."""
        return self.plane.back(self._reference * self.plane.phase(shape.dy, shape.dx) * self.transfer(shape))

    def sharp(self, shape: Shape) -> Floats:
        """Return the same at the image's own resolution, in the whole plane: the common one undone where the reference has power."""
        power = np.abs(self.common) ** 2
        undone = self._reference * self.transfer(shape) * np.conj(self.common) / np.maximum(power, _FLOOR)
        return self.plane.whole(undone * self.plane.phase(shape.dy, shape.dx))

    def factors(self, shape: Shape, names: tuple[str, ...]) -> dict[str, Spectrum | Floats]:
        """Return the transfer function (``"scale"``) and its derivatives by those of fwhm, q, dx, dy that are named."""
        if self._known is None:
            found = dict(zip(("scale", "fwhm", "q"), self._table.derivatives(shape.fwhm, shape.beta), strict=True))
        else:
            found = {"scale": self._known}
        along_y, along_x = self.plane.slopes
        found |= {"dy": found["scale"] * along_y, "dx": found["scale"] * along_x}
        return {name: found[name] for name in ("scale", *names)}

    def derivatives(self, shape: Shape, names: tuple[str, ...]) -> dict[str, Floats]:
        """Return `blurred` (as ``"scale"``) and its derivatives by the named parameters."""
        moved = self._reference * self.plane.phase(shape.dy, shape.dx)
        return {name: self.plane.back(moved * factor) for name, factor in self.factors(shape, names).items()}
