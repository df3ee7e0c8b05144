"""Pairs of images of one sky with known truth: a sharp reference and a blurred, shifted, scaled image of it.

Every source has an elementary Fourier transform, and so have the PSFs: the pixels are inverse transforms of products of these. No kernel
is sampled and nothing is convolved, so that the truth does not depend on the code that it is meant to try. FITS Standard 4.0 for the WCS;
Trujillo et al. 2001 (MNRAS 328, 977) for the Moffat profile.
"""

from __future__ import annotations

import io
import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray
from scipy.special import gamma, kv

from ezarchive.errors import InputError
from ezarchive.files import atomic_write

IMAGE_UNIT = "10**(-20)*erg/s/cm**2/Angstrom"
REFERENCE_FILTER = "F606W"
_UNIT_CGS = 1e-20
_PAD_ARCSEC = 10.0
_FINE = 4
"""Samples of the image's light per pixel and axis: what lies beyond the Nyquist frequency of the pixels is folded back, as in a camera."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class PairPlan:
    """What a pair of images is like.

    Attributes
    ----------
    shape : (int, int)
        Rows and columns of both images.
    pixel : float
        Arcsec.
    rotation : float
        Position angle of the y axis, degrees, from north to west (as CROTA2).
    centre : (float, float)
        ICRS degrees.
    fwhm, beta : float
        Moffat profile of the image: arcsec, and the exponent; ``beta=inf`` is a Gaussian.
    scale, bg : float
        Flux of the image divided by that of the reference, and what is added to it.
    dx, dy : float
        Arcsec by which things lie at larger x and y in the image than in the reference.
    reference_fwhm, reference_beta : float
        Moffat profile of the reference, before its low-pass filter.
    noise, reference_noise : float
        Standard deviation of a pixel; that of the reference has gone through its low-pass filter.
    star_flux : float
        Of the isolated star.
    star_motion : (float, float)
        Arcsec by which that star has moved along x and y from the reference to the image, beside `dx` and `dy`.
    n_stars, n_discs : int
        Other sources; some lie outside of the field.
    seed : int
    """

    shape: tuple[int, int] = (300, 300)
    pixel: float = 0.2
    rotation: float = 20.0
    centre: tuple[float, float] = (53.16, -27.78)
    fwhm: float = 0.7
    beta: float = 2.5
    scale: float = 0.95
    bg: float = 3.0
    dx: float = 0.13
    dy: float = -0.21
    reference_fwhm: float = 0.085
    reference_beta: float = 1.6
    noise: float = 2.0
    reference_noise: float = 0.3
    star_flux: float = 60000.0
    star_motion: tuple[float, float] = (0.0, 0.0)
    n_stars: int = 5
    n_discs: int = 55
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("pixel", "fwhm", "reference_fwhm"):
            if not 0 < getattr(self, name) < np.inf:
                raise InputError(f"{name} {getattr(self, name)!r}: must be positive")
        for name in ("beta", "reference_beta"):
            if not getattr(self, name) > 1:
                raise InputError(f"{name} {getattr(self, name)!r}: must be larger than 1, or the profile has no finite flux")
        for name in ("noise", "reference_noise", "n_stars", "n_discs"):
            if not 0 <= getattr(self, name) < np.inf:
                raise InputError(f"{name} {getattr(self, name)!r}: must not be negative")
        if len(self.shape) != 2 or min(self.shape) < 1:
            raise InputError(f"shape {self.shape!r}: must be rows and columns, one or more of each")


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


@dataclass(frozen=True)
class ImagePair:
    """A reference and an image of the same sky on one grid.

    Attributes
    ----------
    reference, image : ndarray of float64, shape ``plan.shape``
        In units of 1e-20 erg/s/cm2/Angstrom. The reference is band-limited: its spectrum has been multiplied by a Blackman window that
        ends at the Nyquist frequency of a pixel.
    wcs : WCS
        TAN, of both.
    sources : Sources
    star : (float, float)
        ICRS degrees of the isolated star, as the reference shows it.
    star_xy : (float, float)
        Its 0-based pixel there.
    plan : PairPlan
        The truth.
    """

    reference: Floats
    image: Floats
    wcs: WCS
    sources: Sources
    star: tuple[float, float]
    star_xy: tuple[float, float]
    plan: PairPlan

    def write(self, folder: str | os.PathLike[str]) -> Path:
        """Write ``reference.fits``, ``image.fits`` (DATA, STAT) and ``truth.json`` into a folder, and return it."""
        folder = Path(folder)
        known = {"FILTER": REFERENCE_FILTER, "TELESCOP": "HST"}
        write_plane(folder / "reference.fits", self.reference, self.wcs, IMAGE_UNIT, self.plan.reference_noise**2, known)
        write_plane(folder / "image.fits", self.image, self.wcs, IMAGE_UNIT, self.plan.noise**2, {"OBJECT": "simulated"})
        with atomic_write(folder / "truth.json") as stream:
            stream.write(json.dumps(asdict(self.plan) | {"star": self.star, "star_xy": self.star_xy}, indent=1).encode())
        return folder


def image_pair(plan: PairPlan | None = None, **options: object) -> ImagePair:
    """Make a pair of images.

    Parameters
    ----------
    plan : PairPlan, optional
    **options
        Fields of `PairPlan` in place of the plan's.

    Returns
    -------
    ImagePair
        The same for the same plan, whatever else is made.

    Raises
    ------
    InputError
        If an option is wrong.

    Notes
    -----
    Frequencies k in cycles/arcsec. Moffat profile of width a and exponent beta, z = 2 pi a k, n = beta - 1:
    T = 2 (z/2)^n K_n(z) / Gamma(n). Exponential disc of scale length h: (1 + (2 pi h k')^2)^(-3/2) with k' in the axes of the disc.
    Light of a pixel is that at its centre: the PSFs are those of pixels.

    Examples
    --------
    >>> pair = image_pair(shape=(40, 50), n_discs=3, noise=0, reference_noise=0)
    >>> pair.image.shape
    (40, 50)
    """
    plan = replace(plan or PairPlan(), **options)
    sources = make_sources(plan)
    wcs = tangent_wcs(plan.shape, plan.pixel, plan.rotation, plan.centre)
    rng = np.random.default_rng([plan.seed, 1])
    coarse = _Grid(plan.shape, plan.pixel, 1)
    window = blackman(coarse.k * 2 * plan.pixel)
    spectrum = coarse.sky(sources, wcs) * moffat(coarse.k, plan.reference_fwhm, plan.reference_beta) * window
    reference = coarse.image(spectrum)
    if plan.reference_noise:
        white = np.fft.irfft2(np.fft.rfft2(rng.normal(size=coarse.padded)) * window, s=coarse.padded)
        reference = reference + coarse.inner(white * (plan.reference_noise / np.sqrt(_power(window, coarse.padded))))
    fine = _Grid(plan.shape, plan.pixel, _FINE)
    spectrum = fine.sky(sources, wcs, (plan.dx, plan.dy), plan.star_motion) * moffat(fine.k, plan.fwhm, plan.beta)
    image = plan.scale * fine.image(spectrum) + plan.bg
    if plan.noise:
        image = image + rng.normal(scale=plan.noise, size=image.shape)
    x, y = _pixels(wcs, sources)
    ra, dec = wcs.all_pix2world([[x[0], y[0]]], 0)[0]
    return ImagePair(reference, image, wcs, sources, (float(ra), float(dec)), (float(x[0]), float(y[0])), plan)


def fine_reference(
    pair: ImagePair,
    shape: tuple[int, int] = (2700, 2700),
    pixel: float = 0.03,
    rotation: float = -35.0,
    noise: float = 0.006,
    photflam: float = 7.73e-20,
) -> tuple[Floats, WCS]:
    """Make the sky of a pair as a telescope in space sees it, for the chain of regridding and rescaling.

    Parameters
    ----------
    pair : ImagePair
    shape : (int, int)
        Rows and columns.
    pixel, rotation : float
        Arcsec; degrees, as `PairPlan.rotation`.
    noise : float
        Standard deviation of a pixel, electrons per second.
    photflam : float
        erg/s/cm2/Angstrom that give one electron per second.

    Returns
    -------
    data : ndarray, shape `shape`
        Electrons per second.
    wcs : WCS
    """
    plan = pair.plan
    wcs = tangent_wcs(shape, pixel, rotation, plan.centre)
    grid = _Grid(shape, pixel, 1)
    data = grid.image(grid.sky(pair.sources, wcs) * moffat(grid.k, plan.reference_fwhm, plan.reference_beta)) * (_UNIT_CGS / photflam)
    if noise:
        data = data + np.random.default_rng([plan.seed, 2]).normal(scale=noise, size=shape)
    return data, wcs


def make_sources(plan: PairPlan) -> Sources:
    """Draw the sources of a plan; none of the others is within 6 arcsec of the isolated star."""
    rng = np.random.default_rng([plan.seed, 0])
    size = np.array(plan.shape[::-1]) * plan.pixel
    turn = np.radians(plan.rotation)
    star = size * (-0.106, 0.152)
    places = [star]
    while len(places) < 1 + plan.n_stars + plan.n_discs:
        place = rng.uniform(-0.625, 0.625, 2) * size
        if np.hypot(*(place - star)) > 6.0:
            places.append(place)
    x, y = np.array(places).T
    n, disc = len(x), np.arange(len(x)) > plan.n_stars
    flux = 10 ** rng.uniform(2.6, 4.2, n)
    flux[0] = plan.star_flux
    length, ratio, angle = rng.uniform(0.12, 0.7, n), rng.uniform(0.3, 1.0, n), rng.uniform(0, np.pi, n)
    east, north = -np.cos(turn) * x - np.sin(turn) * y, -np.sin(turn) * x + np.cos(turn) * y
    return Sources(east, north, flux, np.where(disc, length, 0.0), np.where(disc, ratio, 1.0), angle)


def tangent_wcs(shape: tuple[int, int], pixel: float, rotation: float, centre: tuple[float, float]) -> WCS:
    """Return a TAN projection about the middle of an image, east left; arcsec and degrees."""
    wcs, turn = WCS(naxis=2), np.radians(rotation)
    wcs.wcs.ctype, wcs.wcs.cunit = ["RA---TAN", "DEC--TAN"], ["deg", "deg"]
    wcs.wcs.crval, wcs.wcs.crpix = list(centre), [shape[1] / 2 + 0.5, shape[0] / 2 + 0.5]
    wcs.wcs.cd = pixel / 3600 * np.array([[-np.cos(turn), -np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    wcs.array_shape = shape
    return wcs


def moffat(k: Floats, fwhm: float, beta: float) -> Floats:
    """Return the Fourier transform of a Moffat profile of unit flux (`image_pair`, Notes); `beta` inf is a Gaussian."""
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


def write_plane(path: Path, data: Floats, wcs: WCS, unit: str, variance: float, known: dict[str, object]) -> Path:
    """Write an image as DATA and its variance, if there is one, as STAT; `known` are cards of the primary header."""
    header = wcs.to_header()
    for keyword in ("PC1_1", "PC1_2", "PC2_1", "PC2_2", "CDELT1", "CDELT2"):
        header.remove(keyword, ignore_missing=True)
    for i in (1, 2):
        for j in (1, 2):
            header[f"CD{i}_{j}"] = wcs.wcs.cd[i - 1, j - 1]
    header["BUNIT"] = unit
    primary = fits.PrimaryHDU()
    primary.header.update(known)
    units = [primary, fits.ImageHDU(data.astype(np.float32), header, "DATA")]
    if variance:
        units.append(fits.ImageHDU(np.full(data.shape, variance, np.float32), header, "STAT"))
    whole = io.BytesIO()
    fits.HDUList(units).writeto(whole)
    with atomic_write(path) as stream:
        stream.write(whole.getbuffer())
    return path


class _Grid:
    """An image's Fourier plane, with room around the image so that wings do not come in on the other side."""

    def __init__(self, shape: tuple[int, int], pixel: float, fine: int) -> None:
        self.shape, self.pixel, self.fine = shape, pixel, fine
        self.margin = int(np.ceil(_PAD_ARCSEC / pixel))
        self.padded = tuple((n + 2 * self.margin) * fine for n in shape)
        self.fx = np.fft.rfftfreq(self.padded[1], pixel / fine)
        self.fy = np.fft.fftfreq(self.padded[0], pixel / fine)
        self.k = np.hypot(self.fx, self.fy[:, None])

    def sky(self, sources: Sources, wcs: WCS, shift: tuple[float, float] = (0, 0), star_motion: tuple[float, float] = (0, 0)) -> NDArray:
        """Return the spectrum of the sources: flux times phase times that of the disc."""
        inverse = np.linalg.inv(wcs.wcs.cd * 3600)
        x, y = (c * self.pixel + self.margin * self.pixel + d for c, d in zip(_pixels(wcs, sources), shift, strict=True))
        x[0], y[0] = x[0] + star_motion[0], y[0] + star_motion[1]
        spectrum = np.zeros(self.k.shape, complex)
        for i in range(len(x)):
            one = np.exp(-2j * np.pi * self.fy * y[i])[:, None] * np.exp(-2j * np.pi * self.fx * x[i])
            if sources.length[i]:
                axis = inverse @ [np.cos(sources.angle[i]), np.sin(sources.angle[i])]
                c, d = axis / np.hypot(*axis)
                major, minor = c * self.fx + d * self.fy[:, None], sources.ratio[i] * (c * self.fy[:, None] - d * self.fx)
                one /= (1 + (2 * np.pi * sources.length[i]) ** 2 * (major**2 + minor**2)) ** 1.5
            spectrum += sources.flux[i] * one
        return spectrum

    def image(self, spectrum: NDArray) -> Floats:
        """Return flux per pixel, at the centres of the pixels."""
        return self.inner(np.fft.irfft2(spectrum, s=self.padded)[:: self.fine, :: self.fine] * self.fine**2)

    def inner(self, padded: Floats) -> Floats:
        """Return the image without the room around it."""
        return padded[self.margin : self.margin + self.shape[0], self.margin : self.margin + self.shape[1]].copy()


def _pixels(wcs: WCS, sources: Sources) -> tuple[Floats, Floats]:
    """Return the 0-based pixels of tangent-plane positions."""
    x, y = np.linalg.inv(wcs.wcs.cd * 3600) @ [sources.east, sources.north]
    return x + wcs.wcs.crpix[0] - 1, y + wcs.wcs.crpix[1] - 1


def _power(window: Floats, padded: tuple[int, ...]) -> float:
    """Return the variance that a filter leaves of white noise of variance 1: the mean of its square over the whole plane."""
    weight = np.full(window.shape[1], 2.0)
    weight[0] = 1.0
    if padded[1] % 2 == 0:
        weight[-1] = 1.0
    return float((window**2 * weight).sum() / (padded[0] * padded[1]))
