"""The stars that calibrate a frame: which sources to trust, which star of a reference each of them is, and the zero points they give.

Arrays in, a `FrameCalibration` out; `photometry.calibration` fits the numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ezarchive import magnitudes, sky
from ezarchive.columns import suffix
from ezarchive.errors import InputError, MeasurementError
from ezarchive.photometry.calibration import TOO_FEW_STARS, FitOptions, ZeroPointFit, fit_zero_point, is_number

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

NO_MATCH = "no_reference_star"
STEPS = ("magnitude", "inner", "flags", "masked", "snr", "isolated", "class_star", "elongation", "fwhm")
"""The cuts of `select`, in their order."""


@dataclass(frozen=True, kw_only=True)
class StarSelection:
    """Which sources are stars that can be trusted; a limit that is None is not applied.

    Attributes
    ----------
    magnitude : (float or None, float or None)
        Bright and faint limit of the reference magnitude.
    inner_fraction : float
        Only sources within this part of the frame's width and height, around its centre.
    flags : int
        Bits of FLAGS that a star may have.
    masked : bool
        Whether a star may have masked pixels (IMAFLAGS_ISO).
    snr : float, optional
        Least FLUX_AUTO / FLUXERR_AUTO. Fainter stars suffer from what the background lacks: at 20 it biases a zero point by 2 mmag.
    isolation_arcsec : float, optional
        No neighbour, among the sources or in the reference, that is less than ``isolation_contrast`` magnitudes fainter lies within it.
    isolation_contrast : float
        Magnitudes.
    class_star : float, optional
        Least CLASS_STAR.
    elongation : float, optional
        Largest ELONGATION.
    elongation_clip, fwhm_clip : float, optional
        Sources whose ELONGATION or FWHM_IMAGE differs from the median of those left by more than this many robust sigma are left out.
    fwhm_lower : float, optional
        Least FWHM_IMAGE, pixels: smaller ones are no stars but hits of cosmic rays.
    """

    magnitude: tuple[float | None, float | None] = (None, None)
    inner_fraction: float = 0.9
    flags: int = 0
    masked: bool = False
    snr: float | None = 50.0
    isolation_arcsec: float | None = 10.0
    isolation_contrast: float = 4.0
    class_star: float | None = 0.5
    elongation: float | None = 1.7
    elongation_clip: float | None = 5.0
    fwhm_clip: float | None = 5.0
    fwhm_lower: float | None = 1.0

    def __post_init__(self) -> None:
        if not (is_number(self.inner_fraction) and 0 < self.inner_fraction <= 1):
            raise InputError(f"inner_fraction={self.inner_fraction!r}: must be above 0, and 1 at the most")
        if isinstance(self.flags, bool) or not isinstance(self.flags, (int, np.integer)) or not 0 <= self.flags <= 255:
            raise InputError(f"flags={self.flags!r}: must be a sum of bits of FLAGS, from 0 to 255")
        limits = self.magnitude if isinstance(self.magnitude, tuple) else ()
        known = [limit for limit in limits if limit is not None]
        if len(limits) != 2 or not all(map(is_number, known)) or (len(known) == 2 and not known[0] < known[1]):
            raise InputError(f"magnitude={self.magnitude!r}: must be a bright and a fainter limit, each a number or None")
        for name in ("snr", "isolation_arcsec", "elongation", "elongation_clip", "fwhm_clip", "fwhm_lower"):
            value = getattr(self, name)
            if value is not None and not (is_number(value) and value > 0):
                raise InputError(f"{name}={value!r}: must be a positive number or None")
        if self.class_star is not None and not is_number(self.class_star):
            raise InputError(f"class_star={self.class_star!r}: must be a number or None")
        if not is_number(self.isolation_contrast):
            raise InputError(f"isolation_contrast={self.isolation_contrast!r}: must be a number of magnitudes")


class ReferenceStars(NamedTuple):
    """Stars of a reference, as arrays: ICRS degrees and magnitudes, NaN where missing."""

    ra: Array
    dec: Array
    mag: Array
    mag_err: Array
    colour: Array

    def take(self, chosen: NDArray) -> ReferenceStars:
        """Return some of the stars."""
        return ReferenceStars(*(values[chosen] for values in self))


@dataclass(frozen=True, eq=False)
class FrameCalibration:
    """The zero points of one frame, and the stars behind them.

    Attributes
    ----------
    fits : dict
        ``AUTO``, ``APER``, ``APER_1`` ... -> `ZeroPointFit`; measurements of one size come once.
    apertures : dict
        Of the same names: the diameter in arcsec, None for ``AUTO``.
    depths : dict
        Of the same names: 5-sigma limit, mag: of the median SKYSIG_APER of all sources; NaN for ``AUTO``.
    failed : dict
        Measurements without zero point: name -> why.
    steps : dict
        How many sources are left after each cut: ``sources``, ``matched``, then those of `STEPS`.
    stars : dict of ndarray
        Of the matched sources: ``x``, ``y`` (pixels), ``mag``, ``mag_err``, ``colour`` (reference), ``inst`` and ``inst_err`` (AUTO),
        ``fwhm`` (pixels), and ``cut`` (int: the place in `STEPS` of the cut that it failed first, -1: chosen).
    shape : (int, int)
        Rows and columns of the frame.
    """

    fits: dict[str, ZeroPointFit]
    apertures: dict[str, float | None]
    depths: dict[str, float]
    failed: dict[str, str]
    steps: dict[str, int]
    stars: dict[str, NDArray]
    shape: tuple[int, int]


def match(ra: Array, dec: Array, reference_ra: Array, reference_dec: Array, radius_deg: float) -> tuple[NDArray, NDArray]:
    """Match sources with the stars of a reference, one to one.

    Parameters
    ----------
    ra, dec, reference_ra, reference_dec : ndarray
        ICRS degrees; what is not finite is not matched.
    radius_deg : float
        Largest separation, degrees.

    Returns
    -------
    sources, stars : ndarray of int
        Places of pairs that are each other's nearest, in the order of the sources.
    """
    if not 0 < radius_deg <= 180:
        raise InputError(f"radius {radius_deg!r} deg: must be above 0, and 180 at the most")
    ours, theirs = (np.flatnonzero(np.isfinite(a) & np.isfinite(d)) for a, d in ((ra, dec), (reference_ra, reference_dec)))
    nothing = np.array([], int)
    if not (len(ours) and len(theirs)):
        return nothing, nothing
    places = sky.unit_vectors(ra[ours], dec[ours]), sky.unit_vectors(reference_ra[theirs], reference_dec[theirs])
    trees = [cKDTree(vectors) for vectors in places]
    chord = 2 * math.sin(math.radians(radius_deg) / 2)
    distance, nearest = trees[1].query(places[0], distance_upper_bound=chord * (1 + 1e-12))
    near = np.flatnonzero(np.isfinite(distance))
    _, back = trees[0].query(places[1][nearest[near]])
    mutual = near[back == near]
    return ours[mutual], theirs[nearest[mutual]]


def isolated(points: Array, mag: Array, radius: float, contrast: float) -> Mask:
    """Tell which points have no neighbour within a radius that is less than ``contrast`` magnitudes fainter.

    Parameters
    ----------
    points : ndarray (n, d)
        Coordinates of any dimension, in the unit of ``radius``.
    mag : ndarray (n,)
        Magnitudes on any zero point; NaN counts as faint.
    radius, contrast : float

    Returns
    -------
    ndarray of bool (n,)
    """
    alone = np.ones(len(points), bool)
    good = np.flatnonzero(np.isfinite(points).all(axis=1) & np.isfinite(mag))
    if len(good) < 2:
        return alone
    pairs = good[cKDTree(points[good]).query_pairs(radius, output_type="ndarray")]
    for one, other in ((pairs[:, 0], pairs[:, 1]), (pairs[:, 1], pairs[:, 0])):
        alone[one[mag[other] < mag[one] + contrast]] = False
    return alone


def select(sources: Mapping[str, Array], reference_mag: Array, alone: Mask, selection: StarSelection, shape: tuple[int, int]) -> NDArray:
    """Apply the cuts to matched sources.

    Parameters
    ----------
    sources : mapping of ndarray (n,)
        Columns of a catalog: X_IMAGE, Y_IMAGE, FLUX_AUTO, FLUXERR_AUTO, and where present FLAGS, IMAFLAGS_ISO, CLASS_STAR, ELONGATION,
        FWHM_IMAGE. A column that is absent, or a value that is NaN, cuts nothing.
    reference_mag : ndarray (n,)
    alone : ndarray of bool (n,)
        Of `isolated`.
    selection : StarSelection
    shape : (int, int)
        Rows and columns of the frame.

    Returns
    -------
    ndarray of int (n,)
        The place in `STEPS` of the first cut that a source failed; -1: it passed all.
    """
    n = len(reference_mag)
    cut = np.full(n, -1)

    def column(name: str, missing: float) -> Array:
        values = np.asarray(sources.get(name, np.full(n, np.nan)), float)
        return np.where(np.isfinite(values), values, missing)

    def apply(step: str, passed: Mask) -> None:
        cut[(cut < 0) & ~passed] = STEPS.index(step)

    bright, faint = selection.magnitude
    least = {"snr": selection.snr, "class_star": selection.class_star}
    apply("magnitude", (reference_mag >= (-np.inf if bright is None else bright)) & (reference_mag <= (np.inf if faint is None else faint)))
    apply("inner", _inner(column("X_IMAGE", np.nan), column("Y_IMAGE", np.nan), shape, selection.inner_fraction))
    apply("flags", (column("FLAGS", 0).astype(int) & ~selection.flags) == 0)
    apply("masked", selection.masked | (column("IMAFLAGS_ISO", 0) == 0))
    flux, error = column("FLUX_AUTO", -1), column("FLUXERR_AUTO", np.inf)
    apply("snr", flux > (0 if least["snr"] is None else least["snr"]) * error)
    apply("isolated", alone)
    apply("class_star", column("CLASS_STAR", np.inf) >= (-np.inf if least["class_star"] is None else least["class_star"]))
    elongation = column("ELONGATION", np.nan)
    apply("elongation", ~(elongation > (np.inf if selection.elongation is None else selection.elongation)))
    apply("elongation", _near_median(elongation, cut < 0, selection.elongation_clip))
    fwhm = column("FWHM_IMAGE", np.nan)
    apply("fwhm", ~(fwhm < (-np.inf if selection.fwhm_lower is None else selection.fwhm_lower)))
    apply("fwhm", _near_median(fwhm, cut < 0, selection.fwhm_clip))
    return cut


def calibrate_sources(
    sources: Mapping[str, Array],
    reference: ReferenceStars,
    apertures: Sequence[float | None],
    *,
    shape: tuple[int, int],
    pixel_scale: float,
    radius_deg: float,
    selection: StarSelection | None = None,
    options: FitOptions | None = None,
) -> FrameCalibration:
    """Fit the zero points of all measurements of one frame.

    Parameters
    ----------
    sources : mapping of ndarray (n,)
        Columns of its catalog, as plain numbers: what `select` reads, ALPHA_J2000, DELTA_J2000, and for each measurement FLUX and FLUXERR
        (SKYSIG_APER for the depth).
    reference : ReferenceStars
        At least those on the frame.
    apertures : sequence of float or None
        Diameters in arcsec in the order of the suffixes.
    shape : (int, int)
        Rows and columns of the frame.
    pixel_scale : float
        Arcsec per pixel.
    radius_deg : float
        Largest separation of a match, degrees.
    selection : StarSelection, optional
    options : FitOptions, optional

    Returns
    -------
    FrameCalibration

    Raises
    ------
    MeasurementError
        ``no_reference_star``: if no source matches; ``too_few_stars``: if no measurement has enough stars.
    """
    selection, options = selection or StarSelection(), options or FitOptions()
    ours, theirs = match(sources["ALPHA_J2000"], sources["DELTA_J2000"], reference.ra, reference.dec, radius_deg)
    usable = np.isfinite(reference.mag[theirs])
    ours, theirs = ours[usable], theirs[usable]
    if not len(ours):
        found = f"none of {len(sources['ALPHA_J2000'])} sources lies within {radius_deg * 3600:g} arcsec"
        raise MeasurementError(NO_MATCH, f"reference: {found} of one of its {len(reference.ra)} stars with a magnitude")
    alone = _alone(sources, reference, pixel_scale, selection)
    matched, stars = {name: values[ours] for name, values in sources.items()}, reference.take(theirs)
    cut = select(matched, stars.mag, alone[0][ours] & alone[1][theirs], selection, shape)
    left = [int(np.sum((cut < 0) | (cut > place))) for place in range(len(STEPS))]
    steps = {"sources": len(sources["ALPHA_J2000"]), "matched": len(ours), **dict(zip(STEPS, left, strict=True))}
    fits, sizes, failed = {}, {}, {}
    for measure, diameter in _measures(sources, apertures):
        try:
            fits[measure] = _fit(matched, stars, measure, (cut < 0, shape), options)
            sizes[measure] = diameter
        except MeasurementError as err:
            failed[measure] = str(err)
    if not fits:
        counts = ", ".join(f"{name} {number}" for name, number in steps.items())
        raise MeasurementError(TOO_FEW_STARS, f"{next(iter(failed.values()), 'the catalog holds no flux')} (left after each cut: {counts})")
    depths = {measure: _depth(sources, measure, fit.value) for measure, fit in fits.items()}
    return FrameCalibration(fits, sizes, depths, failed, steps, _stars(matched, stars, cut), tuple(shape))


def _fit(
    matched: Mapping[str, Array],
    stars: ReferenceStars,
    measure: str,
    chosen: tuple[Mask, tuple[int, int]],
    options: FitOptions,
) -> ZeroPointFit:
    flux, error = matched[f"FLUX_{measure}"], matched[f"FLUXERR_{measure}"]
    return fit_zero_point(
        stars.mag, np.where(chosen[0], magnitudes.flux_to_mag(flux), np.nan), reference_err=stars.mag_err,
        instrumental_err=magnitudes.mag_error(flux, error), colour=stars.colour,
        x=matched["X_IMAGE"], y=matched["Y_IMAGE"], shape=chosen[1], options=options,
    )  # fmt: skip


def _measures(sources: Mapping[str, Array], apertures: Sequence[float | None]) -> list[tuple[str, float | None]]:
    """Return AUTO and the apertures with their diameters; of two of one size only the first."""
    found: list[tuple[str, float | None]] = [("AUTO", None)] if "FLUX_AUTO" in sources else []
    sizes: list[float] = []
    for index, diameter in enumerate(apertures):
        measure = f"APER{suffix(index)}"
        if diameter is None or f"FLUX_{measure}" not in sources or any(math.isclose(diameter, size, rel_tol=1e-6) for size in sizes):
            continue
        sizes.append(diameter)
        found.append((measure, diameter))
    return found


def _depth(sources: Mapping[str, Array], measure: str, zero_point: float) -> float:
    noise = sources.get(f"SKYSIG_{measure}")
    noise = np.array([]) if noise is None else noise[np.isfinite(noise) & (noise > 0)]
    return float(magnitudes.upper_limit(np.median(noise), 5, zero_point)) if noise.size else np.nan


def _stars(matched: Mapping[str, Array], stars: ReferenceStars, cut: NDArray) -> dict[str, NDArray]:
    flux, error = matched["FLUX_AUTO"], matched["FLUXERR_AUTO"]
    return {
        "x": matched["X_IMAGE"], "y": matched["Y_IMAGE"], "mag": stars.mag, "mag_err": stars.mag_err, "colour": stars.colour,
        "inst": magnitudes.flux_to_mag(flux), "inst_err": magnitudes.mag_error(flux, error),
        "fwhm": matched.get("FWHM_IMAGE", np.full(len(cut), np.nan)), "cut": cut,
    }  # fmt: skip


def _alone(sources: Mapping[str, Array], reference: ReferenceStars, scale: float, selection: StarSelection) -> tuple[Mask, Mask]:
    """Tell which sources and which stars of the reference are isolated."""
    if selection.isolation_arcsec is None:
        return np.ones(len(sources["ALPHA_J2000"]), bool), np.ones(len(reference.ra), bool)
    radius, contrast = selection.isolation_arcsec, selection.isolation_contrast
    inst = magnitudes.flux_to_mag(sources["FLUX_AUTO"])
    pixels = np.stack([sources["X_IMAGE"], sources["Y_IMAGE"]], axis=-1)
    chord = 2 * math.sin(math.radians(radius / 3600) / 2)
    theirs = isolated(sky.unit_vectors(reference.ra, reference.dec), reference.mag, chord, contrast)
    return isolated(pixels, inst, radius / scale, contrast), theirs


def _inner(x: Array, y: Array, shape: tuple[int, int], fraction: float) -> Mask:
    ny, nx = shape
    return (np.abs(2 * x - (nx - 1)) <= fraction * nx) & (np.abs(2 * y - (ny - 1)) <= fraction * ny)


def _near_median(values: Array, among: Mask, clip: float | None) -> Mask:
    """Tell what lies within ``clip`` robust sigma of the median of some of the values; NaN does."""
    known = values[among & np.isfinite(values)]
    if clip is None or len(known) < 3:
        return np.ones(len(values), bool)
    centre = np.median(known)
    # Never narrower than a hundredth: values that hardly differ are no outliers of each other.
    sigma = max(1.4826 * float(np.median(np.abs(known - centre))), 0.01 * abs(centre))
    return ~(np.abs(values - centre) > clip * sigma)
