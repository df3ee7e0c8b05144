"""Two images made ready for a fit: units, masks, holes, where to begin, and the turns of filling and fitting."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy import ndimage

from ezarchive.compare import imagewindow as window
from ezarchive.compare.fluximage import FluxImage
from ezarchive.compare.imagemodel import FourierPlane, PairModel, Shape
from ezarchive.compare.imagesolve import NONLINEAR, Held, Noise, Problem, Solution, minimise, start_shape
from ezarchive.compare.lowpass import LowPass, lowpass_of
from ezarchive.compare.moffat import check_beta, check_fwhm, check_number
from ezarchive.compare.psf import MoffatPsf, Psf
from ezarchive.errors import CompareError, InputError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

HST_PSF = MoffatPsf(0.085, 1.6)
_GUARD_PIXELS = 10
_GUARD_FWHM = 3.0
_GUARD_SLACK = 2
_SEARCH_ARCSEC = 5.0
_SEARCH_PIXELS = 10
_PASSES = 8
_SETTLED = 0.02
_AROUND_ARCSEC = 2.0
_KEPT = 0.5
_START_Q = 0.36
_LEAST = 30
_WINGS = 60


@dataclass(frozen=True, kw_only=True)
class ImageFitOptions:
    """How an image is fitted.

    Attributes
    ----------
    fix_scale, fix_bg, fix_dx, fix_dy, fix_fwhm, fix_beta : float or None
        Values that are held; None: fitted. Arcsec, the image's unit, and conventions of `FittedPhotometry`. ``fix_beta=inf``: a Gaussian.
    min_scale : float
        The scale is not less than this.
    init_dx, init_dy : float or None
        Where to begin, arcsec; None: at the peak of the cross-correlation, up to 5 arcsec or 10 pixels away.
    reference_psf : Psf
        Of the reference, before its low-pass filter.
    image_psf : Psf or None
        Of the image where it is known (fwhm and beta are then its own, held); None: a Moffat profile is fitted.
    antialias : bool
        Whether a reference whose header does not say how it was filtered (`lowpass_of`) has gone through the Blackman window of its present
        pixels, as regridding applies it.
    margin : float
        Arcsec of room beside the images in the Fourier plane, at least (there is always room for the wings that matter).
    taper : float
        Pixels over which the weight falls at the edges of what is fitted, half of them inside; below 2 it falls at once.
    segment : bool
        Leave out the sky between the sources.
    region_mask : ndarray of bool or None, shape (ny, nx)
        True where the sky is to be left out, in pixels of the reference.
    extramask : ndarray of bool or None, shape (ny, nx)
        True where the image is to be left out, in its own pixels.

    Raises
    ------
    InputError
        If an option is wrong.
    """

    fix_scale: float | None = None
    fix_bg: float | None = None
    fix_dx: float | None = None
    fix_dy: float | None = None
    fix_fwhm: float | None = None
    fix_beta: float | None = None
    min_scale: float = 0.0
    init_dx: float | None = None
    init_dy: float | None = None
    reference_psf: Psf = HST_PSF
    image_psf: Psf | None = None
    antialias: bool = True
    margin: float = 2.0
    taper: float = 9
    segment: bool = False
    region_mask: Bools | None = None
    extramask: Bools | None = None

    def __post_init__(self) -> None:
        for name in ("fix_scale", "fix_bg", "fix_dx", "fix_dy", "init_dx", "init_dy", "min_scale", "margin", "taper"):
            value = getattr(self, name)
            if value is not None and not np.isfinite(check_number(value, name)):
                raise InputError(f"{name} {value!r}: must be finite")
        for name in ("min_scale", "margin", "taper"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} {getattr(self, name)!r}: must not be negative")
        if self.taper != int(self.taper):
            raise InputError(f"taper {self.taper!r}: must be a whole number of pixels")
        if self.fix_scale is not None and not self.fix_scale > 0:
            raise InputError(f"fix_scale {self.fix_scale!r}: must be positive")
        if self.fix_fwhm is not None:
            check_fwhm(self.fix_fwhm, "fix_fwhm")
        if self.fix_beta is not None:
            check_beta(self.fix_beta, "fix_beta")
        for name in ("reference_psf", "image_psf"):
            value = getattr(self, name)
            if not hasattr(value, "transfer") and (name, value) != ("image_psf", None):
                raise InputError(f"{name}: must be a PSF (as_psf makes one), found {type(value).__name__}")

    @property
    def held(self) -> Held:
        """What is held and what is free."""
        fixed = {"dx": self.fix_dx, "dy": self.fix_dy, "fwhm": self.fix_fwhm, "q": self.fix_beta}
        free = [name for name in NONLINEAR if fixed[name] is None]
        if self.image_psf is not None:
            free = [name for name in free if name in ("dx", "dy")]
        return Held(self.fix_scale, self.fix_bg, self.min_scale, tuple(free))


@dataclass
class Pair:
    """Pixels of both images, finite, with what is known of them.

    Attributes
    ----------
    image, reference : ndarray, shape (ny, nx)
        In the image's unit, holes filled from beside them.
    image_out, reference_holes, region : ndarray of bool, shape (ny, nx)
        Pixels of the image that have no value or are left out; pixels of the reference that have none; sky that is left out, in pixels of
        the reference.
    sky : ndarray of bool, shape (ny, nx)
        Sky between the sources that does not count (`ImageFitOptions.segment`), as the reference shows it.
    noise : Noise
    level : float
        Median of the reference.
    step : (float, float)
    options : ImageFitOptions
    lowpass : LowPass or None
        What the spectrum of the reference has been multiplied by.
    """

    image: Floats
    reference: Floats
    image_out: Bools
    reference_holes: Bools
    region: Bools
    sky: Bools
    noise: Noise
    level: float
    step: tuple[float, float]
    options: ImageFitOptions
    lowpass: LowPass | None

    def whole(self, shape: Shape) -> tuple[int, int]:
        """Return the shift in whole pixels along y and x."""
        return tuple(int(np.floor(d / s + 0.5)) for d, s in zip((shape.dy, shape.dx), self.step, strict=True))

    def guard(self, shape: Shape) -> tuple[int, int]:
        """Return the pixels along y and x from the edges within which light from outside of the field matters."""
        return tuple(int(np.ceil(max(_GUARD_PIXELS, _GUARD_FWHM * shape.fwhm / s))) for s in self.step)

    def own(self, shape: Shape) -> Bools:
        """Return the pixels of the image that keep their own value."""
        return ~self.image_out & ~window.shifted(self.region, *self.whole(shape), outside=False)

    def good(self, shape: Shape) -> Bools:
        """Return the pixels to compare.

        Raises
        ------
        CompareError
            ``no_overlap`` if there are too few.
        """
        shift, guard = self.whole(shape), self.guard(shape)
        good = window.inner(self.image.shape, shift, guard) & ~self.image_out & ~window.shifted(self.region | self.sky, *shift)
        good = window.beside_holes(good, window.shifted(self.reference_holes, *shift, outside=False), max(guard))
        if good.sum() < _LEAST:
            raise CompareError("no_overlap", f"{int(good.sum())} pixels of both images are left to compare: must be {_LEAST} or more")
        return good

    def same(self, one: Shape, other: Shape) -> bool:
        """Tell whether two shapes compare the same pixels, but for a trifle."""
        near = all(abs(a - b) <= _GUARD_SLACK for a, b in zip(self.guard(one), self.guard(other), strict=True))
        return near and self.whole(one) == self.whole(other)


@dataclass(frozen=True)
class Fitted:
    """What the turns came to: the problem of the last, and its solution."""

    pair: Pair
    problem: Problem
    solution: Solution


def prepared(reference: FluxImage, image: FluxImage, options: ImageFitOptions) -> Pair:
    """Return two images with holes filled, in one unit; raises what `fit_images` says."""
    if reference.shape != image.shape:
        raise InputError(f"reference and image: must have one shape, found {reference.shape} and {image.shape}")
    masks = {}
    for name in ("region_mask", "extramask"):
        mask = getattr(options, name)
        masks[name] = np.zeros(image.shape, bool) if mask is None else np.asarray(mask, bool)
        if masks[name].shape != image.shape:
            raise InputError(f"{name}: must have the shape of the image, {image.shape}, found {masks[name].shape}")
    factor = _unit_factor(reference, image)
    step = (image if image.wcs is not None else reference).step
    holes = reference.mask | ~np.isfinite(reference.data)
    for name, mask in (("reference", holes | masks["region_mask"]), ("image", image.mask | masks["extramask"])):
        if mask.all():
            what = "region_mask" if name == "reference" else "extramask"
            told = f"{name} {image.name if name == 'image' else reference.name}: every pixel is masked, by its own mask or {what}"
            raise CompareError("all_masked", told)
    sky = window.segment_mask(reference.data, holes) if options.segment else np.zeros(image.shape, bool)
    level = float(np.median(reference.data[~holes])) * factor
    pixels = window.patched(np.where(holes, 0.0, reference.data) * factor, holes, level)
    out = image.mask | masks["extramask"]
    base = float(np.median(image.data[~out])) if not out.all() else 0.0
    lowpass = lowpass_of(reference.header) or (LowPass(*step) if options.antialias else None)
    noise = Noise(_variance(image, 1.0, out), _variance(reference, factor**2, holes))
    filled = window.patched(np.where(out, 0.0, image.data), out, base)
    return Pair(filled, pixels, out, holes, masks["region_mask"], sky, noise, level, step, options, lowpass)


def _unit_factor(reference: FluxImage, image: FluxImage) -> float:
    if reference.unit is None or image.unit is None or reference.unit == image.unit:
        return 1.0
    if not reference.unit.is_equivalent(image.unit):
        message = f"reference {reference.name} is in {reference.unit}, image {image.name} in {image.unit}: must be units that convert"
        raise CompareError("other_units", f"{message} (rescale_hst_like_muse makes fluxes of count rates)")
    return float(reference.unit.to(image.unit))


def _variance(image: FluxImage, factor: float, holes: Bools) -> Floats | None:
    """Return the variance, 0 in holes; None where it is not known for every pixel that counts."""
    if image.variance is None:
        return None
    found = np.where(holes, 0.0, image.variance) * factor
    return found if np.isfinite(found).all() and found.max() > 0 else None


def _plane(pair: Pair, shape: Shape) -> FourierPlane:
    """Return a plane with room for the margin, the shift and the wings."""
    margin = [int(np.ceil(pair.options.margin / s)) for s in pair.step]
    shift = [abs(n) for n in pair.whole(shape)]
    room = [max(m, min(_WINGS, n) + d) for m, d, n in zip(margin, shift, pair.image.shape, strict=True)]
    return FourierPlane(pair.image.shape, pair.step, tuple(room))


def _first(pair: Pair) -> Shape:
    """Return where to begin: shifts that are known, or else those of the best cross-correlation."""
    options = pair.options
    psf = options.image_psf
    fwhm = options.fix_fwhm or (psf.fwhm if psf is not None else 3 * float(np.sqrt(np.prod(pair.step))))
    q = _START_Q if options.fix_beta is None else 1 / options.fix_beta
    known = {"dx": (options.fix_dx, options.init_dx), "dy": (options.fix_dy, options.init_dy)}
    shifts = {name: next((v for v in values if v is not None), None) for name, values in known.items()}
    if None in shifts.values():
        peak = _correlated(pair, shifts)
        shifts = {name: peak[name] if value is None else value for name, value in shifts.items()}
    return Shape(float(fwhm), float(q), shifts["dx"], shifts["dy"])


def _correlated(pair: Pair, known: dict[str, float | None]) -> dict[str, float]:
    """Return the shift in arcsec of whole pixels at which image and reference are most alike."""
    plane = FourierPlane(pair.image.shape, pair.step, tuple(n // 2 for n in pair.image.shape))
    out = _around(pair.region, pair) | pair.image_out | pair.reference_holes
    if out.all():
        return {name: value or 0.0 for name, value in known.items()}
    ours, theirs = (np.where(out, 0.0, a - np.median(a[~out])) for a in (pair.image, pair.reference))
    soft = np.exp(-((np.pi * plane.k * 3 * min(pair.step)) ** 2) / (4 * np.log(2)))
    power = scipy.fft.irfft2(plane.forward(ours) * np.conj(plane.forward(theirs)) * soft, plane.size)
    reach = [int(np.clip(max(_SEARCH_ARCSEC / s, _SEARCH_PIXELS), 1, n // 4)) for s, n in zip(pair.step, pair.image.shape, strict=True)]
    places = []
    for name, s, n in zip(("dy", "dx"), pair.step, reach, strict=True):
        places.append(np.arange(-n, n + 1) if known[name] is None else np.array([int(np.floor(known[name] / s + 0.5))]))
    found = power[np.ix_(places[0] % plane.size[0], places[1] % plane.size[1])]
    iy, ix = np.unravel_index(np.argmax(found), found.shape)
    return {"dy": float(places[0][iy] * pair.step[0]), "dx": float(places[1][ix] * pair.step[1])}


def _around(region: Bools, pair: Pair) -> Bools:
    """Return sky that is left out, with what lies around it: the image shows the same sky elsewhere."""
    if not region.any() or region.all():
        return region
    wide = ndimage.distance_transform_edt(~region, sampling=pair.step) <= _AROUND_ARCSEC
    return wide if (~wide).sum() > _KEPT * (~region).sum() else region


def converged(pair: Pair) -> Fitted:
    """Fit until neither the pixels that are compared nor those that take the model's value change what is found."""
    shape, options, solution = _first(pair), pair.options, None
    model = PairModel(_plane(pair, shape), pair.reference - pair.level, options.reference_psf, options.image_psf, pair.lowpass)
    base = float(np.median(pair.image[pair.good(shape)]))
    light = pair.image - base
    for turn in range(_PASSES):
        weight = window.tapered(pair.good(shape), options.taper)
        problem = Problem(model, model.degraded(light) + base, weight, pair.level, options.held)
        if turn == 0:
            starts = [start_shape(problem, one) for one in (shape, _nearest(shape, options))]
            shape = min(starts, key=lambda one: problem.at_shape(one).cost)
        last, solution = solution, minimise(problem, shape)
        same, shape = pair.same(shape, solution.shape), solution.shape
        if same and last is not None and _settled(problem, last, solution):
            break
        base = solution.bg + solution.scale * pair.level
        light = solution.scale * model.sharp(shape)
        inside, own = light[: pair.image.shape[0], : pair.image.shape[1]], pair.own(shape)
        inside[own] = pair.image[own] - base
    return Fitted(pair, problem, solution)


def _nearest(shape: Shape, options: ImageFitOptions) -> Shape:
    """Return a shape without the shifts that the cross-correlation has found."""
    known = {name: getattr(options, f"fix_{name}") is None and getattr(options, f"init_{name}") is None for name in ("dx", "dy")}
    return replace(shape, **{name: 0.0 for name, found in known.items() if found})


def _settled(problem: Problem, last: Solution, found: Solution) -> bool:
    """Tell whether two turns differ by much less than their errors."""
    names, columns, _ = problem.columns(found)
    change = np.array([_of(found, name) - _of(last, name) for name in names])
    return bool(((change @ columns) ** 2).sum() * len(problem.w) <= _SETTLED**2 * found.cost)


def _of(found: Solution, name: str) -> float:
    return getattr(found.shape if name in NONLINEAR else found, name)
