"""A galaxy through many bands whose zero levels are wrong by known amounts, with surveys whose levels are right.

Every component of the sky is a round Gaussian and so is every beam: the light of a pixel is an exact integral (error functions), and
nothing is convolved. So the truth does not depend on the code that it is meant to try.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.special import erf

from ezarchive.errors import InputError
from ezarchive.files import atomic_write

SCENARIOS = ("linear", "colour", "zerofill")
COMMON_BAND = "F2100W"
_FWHM = 2 * np.sqrt(2 * np.log(2))
_BORDER_ARCSEC, _CORNER_ARCSEC, _HOLE_ARCSEC = 3.0, 25.0, 0.8
_HOLES = ((20.0, 12.0), (-25.0, -8.0), (0.4, -0.3))
_UNIT = "MJy/sr"

Floats = NDArray[np.float64]


class NebulaBand(NamedTuple):
    """A band: instrument, pixel and FWHM in arcsec, noise of a pixel in MJy/sr, slope on its instrument's base, and false zero level."""

    instrument: str
    pixel: float
    fwhm: float
    noise: float
    slope: float
    offset: float


class NebulaSurvey(NamedTuple):
    """A survey with a true zero level: the instrument that it is compared with, FWHM and pixel in arcsec, noise of a beam, slope."""

    instrument: str
    fwhm: float
    pixel: float
    noise: float
    slope: float


BANDS: Mapping[str, NebulaBand] = MappingProxyType(
    {
        "F770W": NebulaBand("miri", 0.110, 0.269, 0.10, 1.000, 0.300),
        "F1000W": NebulaBand("miri", 0.110, 0.328, 0.12, 0.370, -0.120),
        "F1130W": NebulaBand("miri", 0.110, 0.375, 0.15, 1.362, 0.210),
        "F2100W": NebulaBand("miri", 0.110, 0.674, 0.25, 0.566, -0.450),
        "F300M": NebulaBand("nircam", 0.063, 0.100, 0.05, 1.000, 0.150),
        "F335M": NebulaBand("nircam", 0.063, 0.111, 0.05, 0.957, -0.060),
        "F360M": NebulaBand("nircam", 0.063, 0.120, 0.05, 0.870, 0.050),
        "F200W": NebulaBand("nircam", 0.063, 0.066, 0.08, 1.815, 0.400),
    }
)
SURVEYS: Mapping[str, NebulaSurvey] = MappingProxyType(
    {
        "irac4_atgauss4": NebulaSurvey("miri", 4.0, 0.75, 0.020, 1.050),
        "w3_atgauss15": NebulaSurvey("miri", 15.0, 2.75, 0.010, 0.581),
        "irac1_atgauss4": NebulaSurvey("nircam", 4.0, 0.75, 0.003, 1.109),
        "w1_atgauss7p5": NebulaSurvey("nircam", 7.5, 2.75, 0.005, 0.978),
    }
)
COLOURS: Mapping[str, tuple[float, float, float]] = MappingProxyType(
    {
        "F1000W": (1.00, 1.00, 1.60),
        "F1130W": (1.00, 1.05, 0.60),
        "F2100W": (0.90, 1.10, 3.00),
        "F200W": (1.10, 0.85, 1.30),
        "F335M": (0.97, 1.15, 0.95),
        "F360M": (0.99, 1.04, 0.95),
        "irac4_atgauss4": (1.00, 1.03, 1.20),
        "w3_atgauss15": (1.00, 1.05, 1.30),
        "irac1_atgauss4": (1.00, 1.02, 1.00),
        "w1_atgauss7p5": (1.00, 1.02, 1.00),
    }
)
"""Of the scenario ``colour``: what slopes are multiplied by in the disc, in the arms, and of stars."""


@dataclass(frozen=True, kw_only=True)
class NebulaPlan:
    """What a galaxy and its images are like.

    Attributes
    ----------
    width, height : float
        Of the bands' field, arcsec; surveys cover 2.2 times as much.
    position_angle : float
        Of the field's y axis, degrees.
    centre : (float, float)
        ICRS degrees.
    scenario : {"linear", "colour", "zerofill"}
        Bands are proportional to each other; or differently so in disc, arms and stars; or a part of the surveys is blank, written as 0.
    noise : float
        1 as `BANDS` says, 0 none.
    bands, surveys : mapping
        `NebulaBand` and `NebulaSurvey` by name.
    target : str
    seed : int
    """

    width: float = 100.0
    height: float = 90.0
    position_angle: float = 23.0
    centre: tuple[float, float] = (150.02, 12.5)
    scenario: str = "linear"
    noise: float = 1.0
    bands: Mapping[str, NebulaBand] = field(default_factory=lambda: BANDS)
    surveys: Mapping[str, NebulaSurvey] = field(default_factory=lambda: SURVEYS)
    target: str = "ngc9999"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.scenario not in SCENARIOS:
            raise InputError(f"scenario {self.scenario!r}: must be one of {', '.join(SCENARIOS)}")
        for name in ("width", "height"):
            if not 2 * _BORDER_ARCSEC < getattr(self, name) < np.inf:
                raise InputError(f"{name} {getattr(self, name)!r}: must be larger than {2 * _BORDER_ARCSEC:g} arcsec")


class Plane(NamedTuple):
    """Pixels in MJy/sr, their standard deviation (None: not known), and the WCS."""

    data: Floats
    error: Floats | None
    wcs: WCS


@dataclass(frozen=True)
class NebulaScene:
    """Where the files of a scene lie, and what is true.

    Attributes
    ----------
    folder, data, references, kernels, galaxy_table : Path
        ``data/<target>/<BAND>/lv3/<target>_<instrument>_lv3_<band>_i2d_align.fits``, ``refs/<target>_<survey>.fits``,
        ``kernels/<a>_to_<b>.fits``, ``galaxy_table.csv``.
    files : mapping
        Band -> file.
    offsets : mapping
        Band -> what must be added to its pixels, MJy/sr.
    plan : NebulaPlan
    """

    folder: Path
    data: Path
    references: Path
    kernels: Path
    galaxy_table: Path
    files: Mapping[str, Path]
    offsets: Mapping[str, float]
    plan: NebulaPlan


def nebula_scene(folder: str | os.PathLike[str], plan: NebulaPlan | None = None, **options: object) -> NebulaScene:
    """Write the images, references and kernels of a galaxy.

    Parameters
    ----------
    folder : path
        Made if need be; files of the same names are replaced.
    plan : NebulaPlan, optional
    **options
        Fields of `NebulaPlan` in place of the plan's.

    Returns
    -------
    NebulaScene

    Raises
    ------
    InputError
        If an option is wrong.
    """
    plan, folder = replace(plan or NebulaPlan(), **options), Path(folder)
    data, references, kernels = folder / "data" / plan.target, folder / "refs", folder / "kernels"
    files = {}
    for name, band in plan.bands.items():
        files[name] = data / name / "lv3" / f"{plan.target}_{band.instrument}_lv3_{name.lower()}_i2d_align.fits"
        _write_band(files[name], name, band, band_image(plan, name))
    for name in plan.surveys:
        plane = survey_image(plan, name)
        _write(references / f"{plan.target}_{name}.fits", [fits.PrimaryHDU(plane.data.astype(np.float32), _header(plane.wcs))])
    _write_kernels(kernels, plan)
    table = folder / "galaxy_table.csv"
    with atomic_write(table) as stream:
        row = f"{plan.target},{plan.centre[0]},{plan.centre[1]},{plan.position_angle},0.0,10.0,20.0"
        stream.write(f"name,ra,dec,posang,inclination,distance_mpc,size_reff\n{row}\n".encode())
    offsets = {name: -band.offset for name, band in plan.bands.items()}
    with atomic_write(folder / "truth.json") as stream:
        stream.write(json.dumps({"seed": plan.seed, "scenario": plan.scenario, "offsets": offsets}, indent=1).encode())
    return NebulaScene(folder, data, references, kernels, table, files, offsets, plan)


def band_image(plan: NebulaPlan, name: str, fwhm: float | None = None) -> Plane:
    """Return the image of a band, zero level wrong; blank (0) at the borders and in a corner, NaN in three saturated cores.

    Parameters
    ----------
    plan : NebulaPlan
    name : str
        Of the band.
    fwhm : float, optional
        Of a round Gaussian beam in arcsec, in place of the band's own: what the image convolved to it must be.

    Returns
    -------
    Plane
    """
    band = plan.bands[name]
    wcs, shape = _wcs(band.pixel, plan.width, plan.height, plan.position_angle, plan.centre)
    light = band.slope * _rendered(plan, name, band.instrument, wcs, shape, band.pixel, band.fwhm if fwhm is None else fwhm)
    error = np.hypot(band.noise, 0.02 * np.sqrt(np.maximum(light, 0)))
    rng = np.random.default_rng([plan.seed, 1, *name.encode()])
    data = light + (plan.noise * rng.normal(size=shape) * error if plan.noise else 0.0) + band.offset
    for plane in (data, error):
        _blank(plane, band.pixel)
    for east, north in _HOLES:
        px, py = _pixel(wcs, band.pixel, east, north)
        radius = _HOLE_ARCSEC / band.pixel
        rows, cols = (slice(max(0, int(c - radius)), max(0, int(c + radius) + 2)) for c in (py, px))
        y, x = np.ogrid[: shape[0], : shape[1]]
        hole = np.hypot(x[:, cols] - px, y[rows] - py) < radius
        data[rows, cols][hole] = error[rows, cols][hole] = np.nan
    return Plane(data, error, wcs)


def _blank(plane: Floats, pixel: float) -> None:
    """Set the borders and a corner of a plane to zero."""
    edge, side = _BORDER_ARCSEC / pixel, int(_CORNER_ARCSEC / pixel) + 2
    first, (top, right) = int(np.ceil(edge)), (int(np.ceil(size - edge)) for size in plane.shape)
    for border in (plane[:first], plane[:, :first], plane[top:], plane[:, right:]):
        border[...] = 0.0
    corner = plane[:side, :side]
    y, x = np.ogrid[: corner.shape[0], : corner.shape[1]]
    corner[(x + y) * pixel < _CORNER_ARCSEC] = 0.0


def survey_image(plan: NebulaPlan, name: str) -> Plane:
    """Return the image of a survey, with noise of the size of its beam; some columns are NaN, or its lower half 0 (``zerofill``)."""
    survey = plan.surveys[name]
    wcs, shape = _wcs(survey.pixel, 2.2 * plan.width, 2.2 * plan.height, 0.0, plan.centre)
    data = survey.slope * _rendered(plan, name, survey.instrument, wcs, shape, survey.pixel, survey.fwhm)
    rng = np.random.default_rng([plan.seed, 2, *name.encode()])
    noise = gaussian_filter(rng.normal(size=shape), survey.fwhm / _FWHM / survey.pixel)
    data = data + plan.noise * survey.noise * noise / noise.std()
    if plan.scenario == "zerofill":
        data[: shape[0] // 2 - int(8 / survey.pixel)] = 0.0
    else:
        data[:, :3] = np.nan
    return Plane(data, None, wcs)


def gaussian_kernel(fwhm_from: float, fwhm_to: float, pixel: float) -> Floats:
    """Return the kernel that takes one round Gaussian beam to a wider one: odd, centred, peak 1 (not unit sum); all in arcsec."""
    if not 0 < fwhm_from < fwhm_to:
        raise InputError(f"fwhm_to {fwhm_to!r}: must be larger than fwhm_from, {fwhm_from!r}")
    sigma = np.sqrt(fwhm_to**2 - fwhm_from**2) / _FWHM
    half = int(np.ceil(5 * sigma / pixel))
    axis = np.exp(-0.5 * (np.arange(-half, half + 1) * pixel / sigma) ** 2)
    return np.outer(axis, axis)


def write_kernel(path: str | os.PathLike[str], kernel: Floats, pixel: float) -> Path:
    """Write a kernel as the primary HDU of a file; `pixel` arcsec stand in CDELT, in degrees."""
    unit = fits.PrimaryHDU(kernel.astype(np.float32))
    for axis, size in ((1, kernel.shape[1]), (2, kernel.shape[0])):
        unit.header[f"CRPIX{axis}"], unit.header[f"CRVAL{axis}"] = (size + 1) / 2, 0.0
        unit.header[f"CDELT{axis}"] = (-1 if axis == 1 else 1) * pixel / 3600
        unit.header[f"CTYPE{axis}"] = ("RA---TAN", "DEC--TAN")[axis - 1]
    return _write(Path(path), [unit])


def _rendered(plan: NebulaPlan, name: str, instrument: str, wcs: WCS, shape: tuple[int, int], pixel: float, fwhm: float) -> Floats:
    """Return means over pixels of the components through a Gaussian beam."""
    colours = COLOURS.get(name, (1.0, 1.0, 1.0)) if plan.scenario == "colour" else (1.0, 1.0, 1.0)
    made, beam = np.zeros(shape), fwhm / _FWHM
    for east, north, sigma, peak, kind in _components(plan, instrument):
        width = float(np.hypot(sigma, beam)) / pixel
        x, y = _pixel(wcs, pixel, east, north)
        cols, rows = _reach(x, width, shape[1]), _reach(y, width, shape[0])
        if cols.start < cols.stop and rows.start < rows.stop:
            height = colours[int(kind)] * peak * (sigma / pixel / width) ** 2
            made[rows, cols] += height * np.outer(_pixel_means(rows, y, width), _pixel_means(cols, x, width))
    return made


def _components(plan: NebulaPlan, instrument: str) -> Floats:
    """Return (east, north, sigma, peak, kind) of the disc (kind 0), the clumps of two arms (1) and stars (2); arcsec, MJy/sr."""
    bases = sorted({band.instrument for band in plan.bands.values()} | {survey.instrument for survey in plan.surveys.values()})
    bright = 1.0 if instrument == "miri" else 0.8
    rng = np.random.default_rng([plan.seed, 0, bases.index(instrument) if len(bases) > 1 else 0])
    disc = [(0.0, 0.0, sigma, peak, 0) for sigma, peak in ((60.0, 0.30), (30.0, 0.55), (14.0, 0.60), (5.0, 0.90), (1.5, 2.00))]
    n, turn = 90, rng.uniform(0.3, 3.2, 90)
    radius, angle = 9.0 * np.exp(0.55 * turn) + rng.normal(0, 2.0, n), turn + rng.integers(0, 2, n) * np.pi
    width, peak = rng.uniform(0.8, 3.0, n), rng.lognormal(-0.9, 0.6, n)
    arms = np.stack([radius * np.cos(angle), radius * np.sin(angle), width, peak, np.ones(n)], axis=1)
    n, sigma = 220, 0.05
    flux = np.minimum(0.6 * rng.pareto(1.8, n), 25.0)
    stars = np.stack([*rng.uniform(-75, 75, (2, n)), np.full(n, sigma), flux / (2 * np.pi * sigma**2), np.full(n, 2)], axis=1)
    made = np.concatenate([np.array(disc), arms, stars])
    made[:, 3] *= bright
    return made


def _reach(centre: float, width: float, size: int) -> slice:
    return slice(max(0, int(centre - 7 * width)), min(size, max(0, int(centre + 7 * width) + 2)))


def _pixel_means(part: slice, centre: float, width: float) -> Floats:
    edges = np.arange(part.start, part.stop + 1) - 0.5 - centre
    return np.diff(erf(edges / (np.sqrt(2) * width))) * np.sqrt(np.pi / 2) * width


def _wcs(pixel: float, width: float, height: float, angle: float, centre: tuple[float, float]) -> tuple[WCS, tuple[int, int]]:
    wcs, shape, turn = WCS(naxis=2), (round(height / pixel), round(width / pixel)), np.radians(angle)
    wcs.wcs.ctype, wcs.wcs.cunit = ["RA---TAN", "DEC--TAN"], ["deg", "deg"]
    wcs.wcs.crval, wcs.wcs.crpix = list(centre), [(shape[1] + 1) / 2, (shape[0] + 1) / 2]
    wcs.wcs.cdelt = [-pixel / 3600, pixel / 3600]
    wcs.wcs.pc = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    return wcs, shape


def _pixel(wcs: WCS, pixel: float, east: float, north: float) -> tuple[float, float]:
    """Return the 0-based pixel of a tangent-plane position in arcsec."""
    x, y = np.linalg.solve(wcs.wcs.pc, [-east / pixel, north / pixel])
    return float(wcs.wcs.crpix[0] - 1 + x), float(wcs.wcs.crpix[1] - 1 + y)


def _header(wcs: WCS) -> fits.Header:
    header = wcs.to_header()
    header["BUNIT"] = _UNIT
    return header


def _write_band(path: Path, name: str, band: NebulaBand, plane: Plane) -> None:
    primary = fits.PrimaryHDU()
    primary.header.update(
        {"TELESCOP": "JWST", "INSTRUME": band.instrument.upper(), "FILTER": name, "DATAMODL": "ImageModel", "FILENAME": path.name}
    )
    units = [primary, fits.ImageHDU(plane.data.astype(np.float32), _header(plane.wcs), "SCI")]
    error = fits.ImageHDU(plane.error.astype(np.float32), name="ERR")
    error.header["BUNIT"] = _UNIT
    weight = fits.ImageHDU((plane.error > 0).astype(np.float32), name="WHT")
    _write(path, [*units, error, weight])


def _write_kernels(folder: Path, plan: NebulaPlan) -> None:
    for name, band in plan.bands.items():
        if COMMON_BAND in plan.bands and name != COMMON_BAND and band.fwhm < plan.bands[COMMON_BAND].fwhm:
            kernel = gaussian_kernel(band.fwhm, plan.bands[COMMON_BAND].fwhm, band.pixel / 4)
            write_kernel(folder / f"{name}_to_{COMMON_BAND}.fits".lower(), kernel, band.pixel / 4)
        if band.slope == 1:
            for fwhm in sorted({survey.fwhm for survey in plan.surveys.values() if survey.instrument == band.instrument}):
                goal = f"gauss{fwhm:g}".replace(".", "p")
                write_kernel(folder / f"{name.lower()}_to_{goal}.fits", gaussian_kernel(band.fwhm, fwhm, band.pixel), band.pixel)


def _write(path: Path, units: list[fits.PrimaryHDU | fits.ImageHDU]) -> Path:
    whole = io.BytesIO()
    fits.HDUList(units).writeto(whole)
    with atomic_write(path) as stream:
        stream.write(whole.getbuffer())
    return path
