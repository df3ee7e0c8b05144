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

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray

from ezarchive.errors import InputError
from ezarchive.files import atomic_write
from ezarchive.simulate.transforms import Grid, Sources, pixels, tangent_wcs

IMAGE_UNIT = "10**(-20)*erg/s/cm**2/Angstrom"
REFERENCE_FILTER = "F606W"
_UNIT_CGS = 1e-20
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
    ratio, angle : float
        Minor by major axis of that profile, whose `fwhm` is the geometric mean of both; of the major axis, degrees from +x to +y.
    scale, bg : float
        Flux of the image divided by that of the reference, and what is added to it.
    dx, dy : float
        Arcsec by which things lie at larger x and y in the image than in the reference.
    reference_fwhm, reference_beta, reference_ratio, reference_angle : float
        Profile of the reference, before its low-pass filter.
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
    ratio: float = 1.0
    angle: float = 0.0
    scale: float = 0.95
    bg: float = 3.0
    dx: float = 0.13
    dy: float = -0.21
    reference_fwhm: float = 0.085
    reference_beta: float = 1.6
    reference_ratio: float = 1.0
    reference_angle: float = 0.0
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
            if not (1 < getattr(self, name) <= 100 or getattr(self, name) == np.inf):
                raise InputError(
                    f"{name} {getattr(self, name)!r}: must be larger than 1 (or the flux is not finite) and at most 100, or inf"
                )
        for name in ("ratio", "reference_ratio"):
            if not 0 < getattr(self, name) <= 1:
                raise InputError(f"{name} {getattr(self, name)!r}: must be larger than 0 and at most 1")
        for name in ("noise", "reference_noise", "n_stars", "n_discs"):
            if not 0 <= getattr(self, name) < np.inf:
                raise InputError(f"{name} {getattr(self, name)!r}: must not be negative")
        if len(self.shape) != 2 or min(self.shape) < 1:
            raise InputError(f"shape {self.shape!r}: must be rows and columns, one or more of each")


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


def image_pair(plan: PairPlan | None = None, *, sources: Sources | None = None, **options: object) -> ImagePair:
    """Make a pair of images.

    Parameters
    ----------
    plan : PairPlan, optional
    sources : Sources, optional
        In place of those that the plan draws.
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
    sources = make_sources(plan) if sources is None else sources
    wcs = tangent_wcs(plan.shape, plan.pixel, plan.rotation, plan.centre)
    rng = np.random.default_rng([plan.seed, 1])
    coarse = Grid(plan.shape, plan.pixel, 1)
    window = coarse.window()
    seen = coarse.profile(plan.reference_fwhm, plan.reference_beta, plan.reference_ratio, plan.reference_angle)
    reference = coarse.image(coarse.sky(sources, wcs) * seen * window)
    if plan.reference_noise:
        reference = reference + coarse.filtered_noise(rng, window, plan.reference_noise)
    fine = Grid(plan.shape, plan.pixel, _FINE)
    seen = fine.profile(plan.fwhm, plan.beta, plan.ratio, plan.angle)
    image = plan.scale * fine.image(fine.sky(sources, wcs, (plan.dx, plan.dy), plan.star_motion) * seen) + plan.bg
    if plan.noise:
        image = image + rng.normal(scale=plan.noise, size=image.shape)
    x, y = pixels(wcs, sources)
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
    grid = Grid(shape, pixel, 1)
    angle = plan.reference_angle + rotation - plan.rotation
    seen = grid.profile(plan.reference_fwhm, plan.reference_beta, plan.reference_ratio, angle)
    data = grid.image(grid.sky(pair.sources, wcs) * seen) * (_UNIT_CGS / photflam)
    if noise:
        data = data + np.random.default_rng([plan.seed, 2]).normal(scale=noise, size=shape)
    return data, wcs


def make_sources(plan: PairPlan) -> Sources:
    """Draw the sources of a plan; none of the others is within 6 arcsec of the isolated star, or a quarter of a small field."""
    rng = np.random.default_rng([plan.seed, 0])
    size = np.array(plan.shape[::-1]) * plan.pixel
    turn = np.radians(plan.rotation)
    star, apart = size * (-0.106, 0.152), min(6.0, 0.25 * size.min())
    places = [star]
    while len(places) < 1 + plan.n_stars + plan.n_discs:
        place = rng.uniform(-0.625, 0.625, 2) * size
        if np.hypot(*(place - star)) > apart:
            places.append(place)
    x, y = np.array(places).T
    n, disc = len(x), np.arange(len(x)) > plan.n_stars
    flux = 10 ** rng.uniform(2.6, 4.2, n)
    flux[0] = plan.star_flux
    length, ratio, angle = rng.uniform(0.12, 0.7, n), rng.uniform(0.3, 1.0, n), rng.uniform(0, np.pi, n)
    east, north = -np.cos(turn) * x - np.sin(turn) * y, -np.sin(turn) * x + np.cos(turn) * y
    return Sources(east, north, flux, np.where(disc, length, 0.0), np.where(disc, ratio, 1.0), angle)


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
