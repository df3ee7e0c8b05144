"""One image of a band against its references, from files to fits: what a process of the anchoring does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from ezarchive.compare.anchoring.convolution import convolve_to
from ezarchive.compare.anchoring.dynamicrange import Galaxy, galaxy_region
from ezarchive.compare.anchoring.files import AnchorPaths, band_key, label_of, resolution_of
from ezarchive.compare.anchoring.levels import level_factor
from ezarchive.compare.anchoring.matching import Level, anchor_fit
from ezarchive.compare.anchoring.offsets import classic_range
from ezarchive.compare.anchoring.pixels import (
    Pixels,
    Smoothed,
    cache_key,
    image_shape,
    read_error,
    read_pixels,
    read_smoothed,
    write_smoothed,
)
from ezarchive.compare.anchoring.psfkernels import FWHM_OF_SIGMA, gaussian_to_gaussian, read_kernel, resample_kernel, resolution_fwhm
from ezarchive.compare.anchoring.table import EXTERNAL, INTERNAL, VERSION, FitRecord
from ezarchive.compare.anchoring.threads import ALONE
from ezarchive.compare.ds9regions import region_mask
from ezarchive.compare.fluximage import read_flux_image
from ezarchive.errors import CompareError, FrameError, InputError
from ezarchive.files import sha256_file
from ezarchive.plots.anchoring import save_anchoring

GALAXY_PERCENTILES = (15.0, 60.0)
LEAST_COVERAGE = (0.8, 0.7)
"""Of images that are compared with surveys: what is missing beyond edges is known to first order (`convolve_to`)."""
COLOUR = 0.0008
"""Of such images: the share of the range's width by which colours that change with brightness may move a zero level (`fit_offset`)."""
ALL_BANDS = "*"
_PROBLEMS = (CompareError, FrameError, InputError)


@dataclass(frozen=True, kw_only=True)
class AnchorJob:
    """What is the same for every image of a target.

    Attributes
    ----------
    paths : AnchorPaths
    common : str
        Resolution in which bands are compared with each other: a band, or ``gauss...``.
    method : {"robust", "classic"}
    reproject : {"interp", "exact", "adaptive"}
    beams : mapping
        Band or resolution, lower case -> FWHM of its round Gaussian beam, arcsec: kernels that are not there are made from them.
    masks : mapping
        Band, lower case, or ``*`` -> DS9 region file, or FITS image that is not 0 where pixels must not be used.
    galaxy : Galaxy or None
        The percentiles are taken within `reff_factor` of its effective radii.
    percentiles : (float, float) or None
    unit : str
        Of images and references that do not say it.
    plots, simplify : bool
    threads : int
        Of the Fourier transforms.
    """

    paths: AnchorPaths
    common: str
    method: str = "robust"
    reproject: str = "interp"
    beams: Mapping[str, float] = field(default_factory=dict)
    masks: Mapping[str, Path] = field(default_factory=dict)
    galaxy: Galaxy | None = None
    reff_factor: float = 2.0
    percentiles: tuple[float, float] | None = None
    unit: str = "MJy/sr"
    plots: bool = True
    simplify: bool = True
    threads: int = 1


@dataclass(frozen=True)
class BandImage:
    """An image, its band, its instrument, and whether it is its band's only one."""

    band: str
    image: Path
    instrument: str = ""
    alone: bool = True


@dataclass(frozen=True)
class AnchorTask:
    """An image and what it is to be compared with: surveys, all of them, and images of other bands until one serves.

    With `prepare` it is brought to the common resolution, for others to be compared with.
    """

    job: AnchorJob
    target: BandImage
    surveys: tuple[str, ...] = ()
    references: tuple[BandImage, ...] = ()
    prepare: bool = False


def fit_image(task: AnchorTask) -> tuple[FitRecord, ...]:
    """Compare an image with its references.

    Parameters
    ----------
    task : AnchorTask

    Returns
    -------
    tuple of FitRecord
        One for each survey, and for each image up to the first that served; what went wrong is told in the record.

    Raises
    ------
    OSError
        If a convolved image or a plot cannot be written.
    """
    source, records = _Source(task.job, task.target), []
    for survey in task.surveys:
        records.append(_recorded(source, _survey_record(source, survey), survey))
    for other in task.references:
        records.append(_recorded(source, _band_record(source, other), other))
        if records[-1].fit is not None:
            break
    if task.prepare:
        try:
            source.smoothed(task.job.common)
        except _PROBLEMS:
            pass  # whoever is compared with it tells what is wrong
    return tuple(records)


def resolution_kernel(job: AnchorJob, band: str, goal: str) -> Path | tuple[float, float] | None:
    """Return how a band gets to a resolution.

    Returns
    -------
    Path, (float, float), or None
        A kernel file; FWHM of the Gaussian beams that it goes from and to; or None: it has that resolution.

    Raises
    ------
    CompareError
        ``no_kernel``, if there is no file and one of the beams is not known.
    """
    start, goal = band_key(band), goal.lower()
    if start == goal:
        return None
    path = job.paths.kernel(start, goal)
    if path.is_file():
        return path
    have, want = beam_of(job, start), beam_of(job, goal)
    if have is None or want is None:
        unknown = " and ".join(name for name, value in ((start, have), (goal, want)) if value is None)
        raise CompareError("no_kernel", f"{path}: is not there, and psf_fwhm does not tell the beam of {unknown}")
    return None if have == want else (have, want)


def beam_of(job: AnchorJob, resolution: str) -> float | None:
    """Return the FWHM in arcsec of a band or resolution, None where neither its name nor `psf_fwhm` tells it."""
    known = job.beams.get(resolution.lower())
    return resolution_fwhm(resolution.lower()) if known is None else known


class _Source:
    """An image, read once, at the resolutions that are asked for."""

    def __init__(self, job: AnchorJob, what: BandImage) -> None:
        self.job, self.what = job, what
        self._pixels: Pixels | None = None
        self._mask_file = job.masks.get(band_key(what.band), job.masks.get(ALL_BANDS))

    @property
    def pixels(self) -> Pixels:
        with ALONE:  # no lock of a cached property around it: that would be another thread's to wait for
            if self._pixels is None:
                mask = None if self._mask_file is None else read_mask(self._mask_file, self.what.image)
                self._pixels = read_pixels(self.what.image, mask)
            return self._pixels

    @property
    def unit(self) -> str:
        with ALONE:
            return self.job.unit if self.pixels.unit is None else self.pixels.unit.to_string().replace(" / ", "/")

    def smoothed(self, resolution: str) -> Smoothed:
        """Return the image at a resolution, from the file of an earlier run if nothing has changed since."""
        how = resolution_kernel(self.job, self.what.band, resolution)
        if how is None:
            data = self.pixels.data
            return Smoothed(data, np.isfinite(data).astype(np.float32))
        kernel = _digest(how) if isinstance(how, Path) else how
        edges = self.job.method == "robust"
        key = cache_key(VERSION, _digest(self.what.image), kernel, edges, "" if self._mask_file is None else _digest(self._mask_file))
        path = self.job.paths.convolved(self.what.band, self.what.image, resolution)
        found = read_smoothed(path, key)
        if found is None:
            error = read_error(self.what.image)
            made = convolve_to(self.pixels.data, self._kernel(how), error=error, edges=edges, workers=self.job.threads)
            found = Smoothed(made.data, made.coverage, made.error)
            cards = {"ANCHRES": (resolution, "resolution"), "ANCHVER": (f"ezarchive {VERSION}", "version of the method")}
            write_smoothed(path, found, self.what.image, key, cards)
        return found

    def fwhm(self, resolution: str) -> float | None:
        """Return the FWHM in arcsec of a resolution, from the kernel that leads to it where nothing else tells."""
        known = beam_of(self.job, resolution)
        if known is not None:
            return known
        how = resolution_kernel(self.job, self.what.band, resolution)
        return _width(how) if isinstance(how, Path) else None

    def _kernel(self, how: Path | tuple[float, float]) -> np.ndarray:
        if isinstance(how, Path):
            with ALONE:
                kernel = read_kernel(how)
            return resample_kernel(kernel, self.pixels.step)
        return gaussian_to_gaussian(*how, self.pixels.step)


def read_mask(path: Path, image: Path) -> np.ndarray:
    """Return the pixels of an image that a mask excludes.

    Parameters
    ----------
    path : Path
        A DS9 region file (``.reg``), or a FITS image of the same shape that is not 0 where pixels must not be used.
    image : Path

    Raises
    ------
    InputError
        If the shapes differ, or the region file cannot be understood.
    FrameError
        If a file cannot be read.
    """
    with ALONE:
        if path.suffix.lower() == ".reg":
            return np.asarray(region_mask(path, read_flux_image(image)), bool)
        found, shape = read_flux_image(path), image_shape(image)
    if found.shape != shape:
        raise InputError(f"mask {path}: must have the shape of {image.name}, {shape}, found {found.shape}")
    return found.mask | (found.data != 0)


def _digest(path: Path) -> str:
    """Return the SHA-256 of a file, read once while nothing about it changes."""
    there = path.stat()
    return _known_digest(path, there.st_ino, there.st_size, there.st_mtime_ns, there.st_ctime_ns)


@lru_cache(maxsize=256)
def _known_digest(path: Path, *_: int) -> str:
    return sha256_file(path)


def _survey_record(source: _Source, survey: str) -> FitRecord:
    what, path = source.what, source.job.paths.reference(survey)
    return FitRecord(what.band, what.instrument, what.image, survey, path, EXTERNAL, resolution_of(survey))


def _band_record(source: _Source, other: BandImage) -> FitRecord:
    what = source.what
    return FitRecord(what.band, what.instrument, what.image, other.band, other.image, INTERNAL, source.job.common.lower())


def _recorded(source: _Source, record: FitRecord, reference: str | BandImage) -> FitRecord:
    """Return the record with the fit in it, or what went wrong."""
    try:
        if isinstance(reference, str):
            return _with_fit(source, record, *_survey_level(source, record))
        return _with_fit(source, record, *_band_level(source, record, reference))
    except _PROBLEMS as err:
        return replace(record, code=getattr(err, "code", "input"), message=str(err))


def _survey_level(source: _Source, record: FitRecord) -> tuple[Level, float, float]:
    if not record.reference_file.is_file():
        raise CompareError("no_reference", f"{record.reference_file}: is not there")
    pixels = read_pixels(record.reference_file)
    with ALONE:
        factor = level_factor(pixels.unit or source.job.unit, source.unit, pixels.step, str(record.reference_file))
    data = pixels.data if factor == 1 else pixels.data * np.float32(factor)
    return Level(data, pixels.wcs, None), source.fwhm(record.resolution) or 2 * max(pixels.step), factor


def _band_level(source: _Source, record: FitRecord, reference: BandImage) -> tuple[Level, float, float]:
    other = _Source(source.job, reference)
    try:
        smoothed = other.smoothed(record.resolution)
    except _PROBLEMS as err:
        raise CompareError(getattr(err, "code", "input"), f"reference band {reference.band}: {err}") from err
    with ALONE:
        factor = level_factor(other.unit, source.unit, other.pixels.step, str(reference.image))
    data = smoothed.data if factor == 1 else smoothed.data * np.float32(factor)
    fwhm = source.fwhm(record.resolution) or other.fwhm(record.resolution) or 2 * max(other.pixels.step)
    return Level(data, other.pixels.wcs, _covered(source, smoothed)), fwhm, factor


def _with_fit(source: _Source, record: FitRecord, level: Level, fwhm: float, factor: float) -> FitRecord:
    job, smoothed = source.job, source.smoothed(record.resolution)
    image = Level(smoothed.data, source.pixels.wcs, _covered(source, smoothed))
    options = _range(job, record, level) | ({"least_coverage": LEAST_COVERAGE, "colour": COLOUR} if record.kind == EXTERNAL else {})
    fit, matched = anchor_fit(image, level, fwhm=fwhm, kind=record.kind, method=job.method, reproject=job.reproject, **options)
    if job.plots:
        name = record.reference if record.kind == EXTERNAL else record.reference.lower()
        paths = job.paths.figures(source.what.band, source.what.image, name, alone=source.what.alone)
        labels = tuple(label_of(text, simplify=job.simplify) for text in (record.reference, source.what.band))
        planes = {"reference": matched.reference, "image": matched.image, "coverage": matched.coverage}
        with ALONE:
            save_anchoring(paths, fit, **planes, labels=labels, unit=source.unit)
    return replace(record, fit=fit, unit=source.unit, factor=factor, message=fit.message if fit.status != "ok" else "")


def _covered(source: _Source, smoothed: Smoothed) -> np.ndarray | None:
    return smoothed.coverage if source.job.method == "robust" else None


def _range(job: AnchorJob, record: FitRecord, level: Level) -> dict[str, Any]:
    """Return the arguments that say what range of surface brightness is used."""
    if job.galaxy is not None:
        with ALONE:
            region = galaxy_region(job.galaxy, level.wcs, level.data.shape, job.reff_factor)
        return {"region": region, "percentiles": job.percentiles or GALAXY_PERCENTILES}
    if job.percentiles is not None:
        return {"percentiles": job.percentiles}
    return {"value_range": classic_range(record.reference)} if job.method == "classic" else {}


def _width(path: Path) -> float:
    """Return the FWHM in arcsec of the round Gaussian with the second moments of a kernel."""
    with ALONE:
        kernel = read_kernel(path)
    y, x = np.indices(kernel.data.shape)
    y, x = ((axis - (n - 1) / 2) * step for axis, n, step in zip((y, x), kernel.data.shape, kernel.step, strict=True))
    return float(np.sqrt(max((kernel.data * (x**2 + y**2)).sum() / 2, 0.0)) * FWHM_OF_SIGMA)


def image_instrument(paths: AnchorPaths, image: Path) -> str:
    """Return the instrument of an image, lower case: its name tells it, or else INSTRUME."""
    found = paths.instrument(image)
    if found is not None:
        return found
    try:
        return str(fits.getval(image, "INSTRUME", 0)).strip().lower()
    except (OSError, KeyError, ValueError):
        return ""
