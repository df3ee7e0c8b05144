"""A cube of planes at many wavelengths whose image through any filter curve is known."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from ezarchive.errors import InputError
from ezarchive.files import atomic_write
from ezarchive.simulate.pairs import IMAGE_UNIT, PairPlan, make_sources
from ezarchive.simulate.transforms import Grid, tangent_wcs

AXES = ("linear", "descending", "log")

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PairCube:
    """Planes ``level + tilt * (wavelength / pivot - 1)``, so that every source has a colour of its own.

    Attributes
    ----------
    data : ndarray of float64, shape (n, ny, nx)
    variance : float
        Of every pixel of a plane.
    edges : ndarray, shape (n, 2)
        Where each plane's channel begins and ends, Angstrom; the first is that at the lower index end.
    wavelengths : ndarray, shape (n,)
        Of the planes, Angstrom: the middle of the channel, on the axis's own scale.
    level, tilt : ndarray, shape (ny, nx)
    header : Header
        Of the cube: celestial axes and the spectral one.
    pivot : float
        Angstrom.
    plan : PairPlan
    """

    data: Floats
    variance: float
    edges: Floats
    wavelengths: Floats
    level: Floats
    tilt: Floats
    header: fits.Header
    pivot: float
    plan: PairPlan

    def through(self, weights: Floats) -> Floats:
        """Return the noise-free image whose planes have these weights, shape (n,): sum(w d) / sum(w)."""
        mean = float((weights * (self.wavelengths / self.pivot - 1)).sum() / weights.sum())
        return self.level + self.tilt * mean

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write it as a FITS file of DATA and, where there is noise, STAT; return its path."""
        units = [fits.PrimaryHDU(), fits.ImageHDU(self.data.astype(np.float32), self.header, "DATA")]
        if self.variance:
            units.append(fits.ImageHDU(np.full(self.data.shape, self.variance, np.float32), self.header, "STAT"))
        whole = io.BytesIO()
        fits.HDUList(units).writeto(whole)
        with atomic_write(path) as stream:
            stream.write(whole.getbuffer())
        return Path(path)


def image_cube(
    plan: PairPlan | None = None,
    *,
    n_planes: int = 40,
    begin: float = 4750.0,
    end: float = 9350.0,
    axis: str = "linear",
    **options: object,
) -> PairCube:
    """Make a cube of the sky of a pair: the image of `image_pair`, at many wavelengths.

    Parameters
    ----------
    plan : PairPlan, optional
    n_planes : int
    begin, end : float
        Middle of the first and of the last channel in wavelength, Angstrom.
    axis : {"linear", "descending", "log"}
        Wavelengths grow evenly with the index, fall evenly, or grow by an even factor (FITS Paper III, ``WAVE-LOG``).
    **options
        Fields of `PairPlan` in place of the plan's.

    Returns
    -------
    PairCube

    Raises
    ------
    InputError
        If an option is wrong.
    """
    if axis not in AXES:
        raise InputError(f"axis {axis!r}: must be one of {', '.join(AXES)}")
    if not (n_planes > 1 and 0 < begin < end < np.inf):
        raise InputError(f"n_planes {n_planes}, begin {begin!r}, end {end!r}: must be two or more planes of growing wavelengths")
    plan = replace(plan or PairPlan(), **options)
    wavelengths, edges, cards = _spectral_axis(n_planes, begin, end, axis)
    sources, wcs = make_sources(plan), tangent_wcs(plan.shape, plan.pixel, plan.rotation, plan.centre)
    rng = np.random.default_rng([plan.seed, 3])
    grid, slopes = Grid(plan.shape, plan.pixel, 1), rng.uniform(-0.5, 0.5, len(sources.flux))
    seen = grid.profile(plan.fwhm, plan.beta, plan.ratio, plan.angle) * plan.scale
    level, tilt = (
        grid.image(grid.sky(sources._replace(flux=flux), wcs, (plan.dx, plan.dy), plan.star_motion) * seen)
        for flux in (sources.flux, sources.flux * slopes)
    )
    pivot, level = (begin + end) / 2, level + plan.bg
    data = level + tilt * (wavelengths / pivot - 1)[:, None, None]
    if plan.noise:
        data = data + rng.normal(scale=plan.noise, size=data.shape)
    header = wcs.to_header()
    header.update({**_matrix(wcs), **cards, "WCSAXES": 3, "BUNIT": IMAGE_UNIT})
    for keyword in [k for k in header if k.startswith(("PC", "CDELT"))]:
        header.remove(keyword)
    return PairCube(data, plan.noise**2, edges, wavelengths, level, tilt, header, pivot, plan)


def _spectral_axis(n: int, begin: float, end: float, axis: str) -> tuple[Floats, Floats, dict[str, object]]:
    """Return the planes' wavelengths, the edges of their channels, and the cards of the third axis."""
    index = np.arange(n)
    if axis == "log":
        step = np.log(end / begin) / (n - 1)
        grid = begin * np.exp(step * (index[:, None] + [-0.5, 0.0, 0.5]))
        kind, first, step = "WAVE-LOG", begin, step * begin
    else:
        first, last = (begin, end) if axis == "linear" else (end, begin)
        step = (last - first) / (n - 1)
        grid, kind = first + step * (index[:, None] + [-0.5, 0.0, 0.5]), "WAVE"
    cards = {"CTYPE3": kind, "CUNIT3": "Angstrom", "CRPIX3": 1.0, "CRVAL3": first, "CD3_3": step}
    return grid[:, 1], grid[:, [0, 2]], cards


def _matrix(wcs: object) -> dict[str, float]:
    return {f"CD{i}_{j}": float(wcs.wcs.cd[i - 1, j - 1]) for i in (1, 2) for j in (1, 2)}
