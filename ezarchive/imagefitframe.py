"""Fit one frame by a reference image: its pixels, the reference on them -> rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import astropy.units as u
import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from ezarchive import sky
from ezarchive.compare.ds9regions import Ds9Regions, region_mask
from ezarchive.compare.fluximage import FluxImage, flux_image, read_flux_image
from ezarchive.compare.grid import image_grids_aligned
from ezarchive.compare.imagefit import ImageFitOptions, fit_images
from ezarchive.compare.lowpass import LowPass, lowpass_of
from ezarchive.compare.psf import MoffatPsf
from ezarchive.compare.regrid import regrid
from ezarchive.compare.results import FittedPhotometry
from ezarchive.compare.starfit import StarFitOptions, fit_stars, star_pixel
from ezarchive.compare.starpsf import measure_psf, with_noise
from ezarchive.database.comparisons import NewImageFit
from ezarchive.database.models import FITTED
from ezarchive.errors import CompareError
from ezarchive.frames.record import Frame

METHODS = {"image": ("image",), "stars": ("stars",), "both": ("image", "stars")}
"""What may be asked for, and the fits that are made then."""

_SATURATED = 0.95
_AROUND_STAR = 3.0
_MARGIN = 40
_OVERLAP = 32
_SAME_PIXELS = 0.01
"""Arcsec by which pixels may be apart and yet be the same, as in `image_grids_aligned`."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The reference image: a path and the number of the HDU (None: the first image), or its pixels.

    ``name`` is what the database calls it, ``identity`` tells its content; ``frame_id``, ``gain`` and ``saturation`` are those of the frame
    that it may be.
    """

    name: str
    identity: str
    path: str | None = None
    hdu: int | None = None
    pixels: FluxImage | None = field(default=None, repr=False)
    frame_id: int | None = None
    gain: float | None = None
    saturation: float | None = None

    def load(self) -> FluxImage:
        """Return its pixels; saturated ones are masked. The last one stays in memory."""
        if self.pixels is not None:
            return with_noise(_without_saturated(self.pixels, self.saturation), gain=self.gain)
        return _loaded(self.path, self.hdu, self.gain, self.saturation)


@lru_cache(maxsize=1)
def _loaded(path: str, hdu: int | None, gain: float | None, saturation: float | None) -> FluxImage:
    found = flux_image(path, "reference") if hdu is None else read_flux_image(path, hdu)
    return with_noise(_without_saturated(found, saturation), gain=_photon_gain(found, gain))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How frames are fitted; what a recipe records, but for the reference.

    ``fit`` holds arguments of `ImageFitOptions`; ``reference_fwhm`` (arcsec) and ``reference_beta`` are of the reference before it is put
    on the pixels of a frame, ``measured`` if they were found by its stars; ``largest`` is the side in pixels of what is fitted of a
    frame, ``any_unit`` lets units differ.
    """

    methods: tuple[str, ...]
    reference_fwhm: float
    reference_beta: float
    measured: bool
    star: tuple[float, float, float] | None
    regions: Ds9Regions | None
    largest: int
    any_unit: bool
    fit: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Task:
    """One frame to fit, with all that a worker needs."""

    frame: Frame
    run_id: int
    reference: Reference
    settings: Settings
    relpath: str = ""


@dataclass(frozen=True)
class Done:
    """The fits of one frame."""

    rows: tuple[NewImageFit, ...]


def fit_frame(task: Task) -> Done:
    """Fit one frame.

    Raises
    ------
    CompareError, FrameError, InputError
        If it cannot be fitted.
    """
    frame, settings = task.frame, task.settings
    if frame.path is None:
        raise CompareError("missing", "the file of the frame is not there")
    reference, whole = task.reference.load(), read_flux_image(frame.path, frame.hdu)
    if whole.wcs is None or not frame.wcs_ok:
        raise CompareError("no_wcs", "the frame has no usable WCS: it must have one to be compared with the reference")
    whole = _without_saturated(whole, frame.saturation)
    rows = []
    for method in settings.methods:
        window = _overlap(reference, whole, settings.largest) if method == "image" else _around(whole, settings.star)
        image, used = _piece(whole, window, reference, frame, any_unit=settings.any_unit)
        made, regridded = on_grid(used, image)
        psf, filtered = _psf(used, made, settings, regridded=regridded)
        fit = _image_fit if method == "image" else _star_fit
        result = fit(made, image, settings, psf, antialias=filtered)
        rows.append(_row(task, method, result, image, window, regridded=regridded))
    return Done(tuple(rows))


def reference_psf(reference: Reference) -> tuple[MoffatPsf, int]:
    """Return the PSF of the reference by its stars, and how many these are; raises as `measure_psf`."""
    found = measure_psf(reference.load(), saturation=reference.saturation)
    return found.psf, found.n


def failure(task: Any, code: str, message: str) -> NewImageFit:
    """Return the row of a frame that could not be fitted."""
    reference, method = task.reference, task.settings.methods[0]
    return NewImageFit(
        task.frame.frame_id, task.run_id, method, reference.name, "failed", reference_id=reference.frame_id, code=code, message=message
    )  # fmt: skip


@dataclass(frozen=True)
class FilteredPsf:
    """A PSF behind a low-pass filter, which a reference had gone through before it was put on other pixels."""

    psf: MoffatPsf
    lowpass: LowPass

    @property
    def fwhm(self) -> float:
        """Of the PSF without the filter, arcsec."""
        return self.psf.fwhm

    def transfer(self, fx: Any, fy: Any) -> NDArray[np.complex128]:
        """Return the product of both transfer functions; frequencies in cycles per arcsec."""
        return self.psf.transfer(fx, fy) * self.lowpass.transfer(fx, fy)


def _psf(own: FluxImage, made: FluxImage, settings: Settings, *, regridded: bool) -> tuple[Any, bool]:
    """Return the PSF of the reference, and whether the filter of the frame's pixels comes on top of it."""
    psf, lowpass = MoffatPsf(settings.reference_fwhm, settings.reference_beta), lowpass_of(own.header)
    if settings.measured:  # by its stars it has in it whatever the reference had gone through
        return psf, regridded
    if regridded and lowpass is not None:
        return FilteredPsf(psf, lowpass), True
    return psf, lowpass_of(made.header) is not None


def _image_fit(reference: FluxImage, image: FluxImage, settings: Settings, psf: Any, *, antialias: bool) -> FittedPhotometry:
    mask = None if settings.regions is None else region_mask(settings.regions, image)
    options = ImageFitOptions(**settings.fit, reference_psf=psf, antialias=antialias, region_mask=mask)
    return fit_images(reference, image, options)[0]


def _star_fit(reference: FluxImage, image: FluxImage, settings: Settings, psf: Any, *, antialias: bool) -> FittedPhotometry:
    fixed = {name: settings.fit[name] for name in ("fix_fwhm", "fix_beta") if name in settings.fit}
    if not antialias:  # what is told of the filter is in the PSF already
        reference = reference.copy(header=_untold(reference.header))
    return fit_stars(reference, image, settings.star, StarFitOptions(**fixed, hst_psf=psf, antialias=antialias)).result


def _untold(header: fits.Header) -> fits.Header:
    made = header.copy()
    for keyword in LowPass(1.0, 1.0).cards():
        made.remove(keyword, ignore_missing=True)
    return made


def _row(
    task: Task, method: str, result: FittedPhotometry, image: FluxImage, window: tuple[slice, slice], *, regridded: bool
) -> NewImageFit:  # fmt: skip
    settings = task.settings
    found = {name: getattr(result, name) for name in FITTED}
    values = {name: value.value for name, value in found.items()}
    values |= {f"{name}_err": value.stdev for name, value in found.items()}
    chi2 = result.rchi if method == "image" else result.muse_rchi
    values |= {"rms": result.rms_error, "chi2": chi2, "n_pixels": result.n_pixels}
    details = {
        "reference_fwhm": settings.reference_fwhm, "reference_beta": settings.reference_beta, "regridded": regridded,
        "rows": [window[0].start, window[0].stop], "columns": [window[1].start, window[1].stop],
    }  # fmt: skip
    bound = next((line.strip() for line in result.fit_report.splitlines() if "at a bound" in line), None)
    return NewImageFit(
        task.frame.frame_id, task.run_id, method, task.reference.name, "ok" if bound is None else "flagged",
        reference_id=task.reference.frame_id, code=None if bound is None else "at_bound", message=bound,
        unit=None if image.unit is None else image.unit.to_string(), fixed=[name for name, value in found.items() if value.fixed],
        values=values, details=details,
    )  # fmt: skip


def _piece(
    whole: FluxImage, window: tuple[slice, slice], reference: FluxImage, frame: Frame, *, any_unit: bool
) -> tuple[FluxImage, FluxImage]:
    """Return the pixels of the frame that are fitted, with a variance, and the reference; without units if these may differ."""
    image = whole.copy(
        data=whole.data[window].copy(),
        mask=whole.mask[window].copy(),
        variance=None if whole.variance is None else whole.variance[window].copy(),
        wcs=whole.wcs.deepcopy().slice(window),
    )
    if image.mask.all():
        raise CompareError("all_masked", "every pixel of the frame that the reference covers is masked")
    image = with_noise(image, gain=_photon_gain(image, frame.gain))
    differ = None not in (image.unit, reference.unit) and not reference.unit.is_equivalent(image.unit)
    return image, reference.copy(unit=None) if any_unit and differ else reference


def on_grid(reference: FluxImage, image: FluxImage) -> tuple[FluxImage, bool]:
    """Return the reference on the pixels of an image, and whether it had to be regridded.

    Where it lies on these pixels already, but has more or fewer of them, its pixels are taken as they are.

    Raises
    ------
    CompareError
        ``no_overlap``.
    """
    if image_grids_aligned(reference, image):
        return reference, False
    (ny, nx), (my, mx) = image.shape, reference.shape
    x, y = np.array([0, nx - 1, 0, nx - 1, (nx - 1) // 2]), np.array([0, 0, ny - 1, ny - 1, (ny - 1) // 2])
    rx, ry = sky.icrs_to_pixel(reference.wcs, *sky.pixel_to_icrs(image.wcs, x, y))
    away_x, away_y = rx - x, ry - y
    if not (np.isfinite(away_x).all() and np.isfinite(away_y).all()):
        return regrid(reference, image), True
    left, low = round(float(np.median(away_x))), round(float(np.median(away_y)))
    apart = max(np.abs(away_x - left).max() * image.step[1], np.abs(away_y - low).max() * image.step[0])
    if apart > _SAME_PIXELS:
        return regrid(reference, image), True
    theirs = slice(max(0, low), min(my, low + ny)), slice(max(0, left), min(mx, left + nx))
    if theirs[0].stop <= theirs[0].start or theirs[1].stop <= theirs[1].start:
        raise CompareError("no_overlap", "the frame and the reference must overlap, found no place that both cover")
    ours = tuple(slice(part.start - shift, part.stop - shift) for part, shift in zip(theirs, (low, left), strict=True))

    def cut(values: NDArray[Any], outside: Any) -> NDArray[Any]:
        made = np.full(image.shape, outside, values.dtype)
        made[ours] = values[theirs]
        return made

    variance = None if reference.variance is None else cut(reference.variance, 0.0)
    return reference.copy(data=cut(reference.data, np.nan), mask=cut(reference.mask, True), variance=variance, wcs=image.wcs), False


def _without_saturated(image: FluxImage, saturation: float | None) -> FluxImage:
    """Return an image whose saturated pixels, and those beside them, are masked."""
    if not saturation or not math.isfinite(saturation):
        return image
    full = np.nan_to_num(image.data, nan=0.0, posinf=np.inf) >= _SATURATED * saturation
    if not full.any():
        return image
    grown = binary_dilation(full, np.ones((3, 3), bool))
    return image.copy(mask=image.mask | grown)


def _photon_gain(image: FluxImage, gain: float | None) -> float | None:
    """Return the gain where the pixels are counts, so that it tells the noise of their photons."""
    if image.unit is None or any(image.unit.is_equivalent(unit) for unit in (u.adu, u.ct)):
        return gain
    return 1.0 if image.unit.is_equivalent(u.electron) else None


def _overlap(reference: FluxImage, image: FluxImage, largest: int) -> tuple[slice, slice]:
    """Return the rows and columns of the image that the reference covers, at most so many: those in their middle.

    Raises
    ------
    CompareError
        ``no_overlap``.
    """
    if reference.wcs is None:
        raise CompareError("no_wcs", f"reference {reference.name}: must have a celestial WCS")
    ny, nx = image.shape
    covered = _covered(reference, image)
    if covered is None:
        raise CompareError("no_overlap", "the frame and the reference must overlap, found no place that both cover")
    slices = []
    for (low, high), n in zip(covered, (ny, nx), strict=True):
        low, high = max(0, low), min(n, high)
        if high - low > largest:
            low = (low + high - largest) // 2
            high = low + largest
        slices.append(slice(low, high))
    if min(part.stop - part.start for part in slices) < _OVERLAP:
        raise CompareError("no_overlap", f"the frame and the reference must share {_OVERLAP} rows and columns or more")
    return slices[0], slices[1]


def _covered(reference: FluxImage, image: FluxImage) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Return the first and last row and column of the image, tried on a grid of points, that lie on the reference."""
    (ny, nx), (my, mx) = image.shape, reference.shape
    y, x = np.meshgrid(_places(ny), _places(nx), indexing="ij")
    rx, ry = sky.icrs_to_pixel(reference.wcs, *sky.pixel_to_icrs(image.wcs, x, y))
    with np.errstate(invalid="ignore"):
        on = (rx >= -0.5) & (rx <= mx - 0.5) & (ry >= -0.5) & (ry <= my - 0.5)
    if not on.any():
        return _of_small(reference, image)
    rows, columns = y[on], x[on]
    # One step of the grid more on each side, unless that is beyond the image.
    return tuple(
        (int(math.floor(values.min() - step)), int(math.ceil(values.max() + step)) + 1)
        for values, step in ((rows, _step(ny)), (columns, _step(nx)))
    )


def _of_small(reference: FluxImage, image: FluxImage) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Return the rows and columns of a reference that is smaller than the steps of the grid."""
    my, mx = reference.shape
    y, x = np.meshgrid([-0.5, (my - 1) / 2, my - 0.5], [-0.5, (mx - 1) / 2, mx - 0.5], indexing="ij")
    ix, iy = sky.icrs_to_pixel(image.wcs, *sky.pixel_to_icrs(reference.wcs, x, y))
    ny, nx = image.shape
    if not (np.isfinite(ix).all() and np.isfinite(iy).all()):
        return None
    found = tuple((int(math.floor(values.min())), int(math.ceil(values.max())) + 1) for values in (iy, ix))
    inside = all(low < n and high > 0 for (low, high), n in zip(found, (ny, nx), strict=True))
    return found if inside else None


def _places(n: int) -> NDArray[np.float64]:
    return np.linspace(0, n - 1, 65)


def _step(n: int) -> float:
    return (n - 1) / 64


def _around(image: FluxImage, star: tuple[float, float, float]) -> tuple[slice, slice]:
    """Return the rows and columns around a star."""
    x, y = star_pixel(image, star, "frame")
    half = [int(math.ceil(_AROUND_STAR * star[2] / step)) + _MARGIN for step in image.step]
    return tuple(slice(max(0, int(c) - h), min(n, int(c) + h + 1)) for c, h, n in zip((y, x), half, image.shape, strict=True))
