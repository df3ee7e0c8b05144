"""The numbers of aperture photometry: sums, errors, counts, magnitudes and statistics of many apertures on one image."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy import units as u
from numpy.typing import NDArray

from ezarchive import magnitudes
from ezarchive.errors import InputError
from ezarchive.flags import FLAGS_LOOK, value
from ezarchive.quicklook.apertures.backgrounds import Levels, background_levels
from ezarchive.quicklook.apertures.overlaps import Sums, aperture_statistics, aperture_sums
from ezarchive.quicklook.apertures.pixelarea import pixel_area
from ezarchive.quicklook.apertures.resultcolumns import Flat, empty
from ezarchive.quicklook.planes.pictures import Picture
from ezarchive.quicklook.planes.quality import bad_pixels, errors_of
from ezarchive.quicklook.planes.skywcs import to_sky
from ezarchive.quicklook.planes.units import (
    AB_ZERO,
    per_count,
    scaling,
    solid_angle_unit,
    sum_factor,
    takes_counts,
    takes_factors,
    unit_text,
)
from ezarchive.quicklook.regions.shapebase import Shape

OFF = "off"
_STATISTICS = (
    "min", "max", "mean", "median", "mode", "std", "mad_std", "var", "biweight_midvariance", "biweight_location", "fwhm",
    "semimajor_sigma", "semiminor_sigma", "orientation", "eccentricity", "xcentroid", "ycentroid",
)  # fmt: skip

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Options:
    """What a user says of a measurement; see `aperture_photometry`. None is off, and 0 is a number."""

    background: Any = 0.0
    background_method: str = "median"
    background_mask: Any = None
    pixel_area: Any = None
    counts_factor: Any = None
    flux_scaling: Any = None
    error: Any = None
    mask: Any = None

    def __post_init__(self) -> None:
        if isinstance(self.pixel_area, str) and self.pixel_area != OFF:
            raise InputError(f"pixel_area: missing or invalid value {self.pixel_area!r}; must be square arcseconds, a solid angle or 'off'")
        if self.counts_factor is not None and not isinstance(self.counts_factor, u.Quantity):
            per_count(self.counts_factor, "counts_factor", None)
        if self.flux_scaling is not None and not isinstance(self.flux_scaling, (u.Quantity, str)):
            scaling(self.flux_scaling, "flux_scaling", None, None)


@np.errstate(over="ignore")  # of numbers as 1e300, squares and quotients are infinite
def measured(picture: Picture, shapes: Sequence[Shape], options: Options) -> Flat:
    """Return the rows of apertures on one image.

    Parameters
    ----------
    picture : Picture
    shapes : sequence of n Shape
    options : Options

    Returns
    -------
    Flat
        n rows; those whose background could not be measured are flagged and have a reason.

    Raises
    ------
    InputError
        If an option does not fit the image.
    """
    flat = empty(len(shapes))
    bad = bad_pixels(picture, options.mask)
    good = None if bad is None else ~bad
    without = bad_pixels(picture, options.background_mask, name="background_mask", own=False)
    free = good if without is None else ~without if good is None else good & ~without
    levels = background_levels(picture, options.background, shapes, method=options.background_method, good=free)
    known = np.isfinite(levels.level)
    error = errors_of(picture, options.error)
    plain = np.where(known, levels.level, 0.0)
    sums = aperture_sums(picture.data, shapes, background=plain, good=good, variance=None if error is None else error**2)
    statistics = aperture_statistics(picture.data, shapes, background=plain, good=good)
    _places(flat, picture, shapes, statistics)
    flat |= {"background": levels.level, "background_err": levels.error, "background_std": levels.std, "n_background": levels.n}
    flat |= {name: np.where(known, statistics[name], np.nan) for name in _STATISTICS if name not in ("xcentroid", "ycentroid")}
    flat |= {"sum_raw": np.where(known, sums.sum, np.nan), "sum_aper_area": sums.area, "n_pixels": statistics["n"]}
    flat |= {"n_bad": sums.n_bad, "area_bad": sums.area_bad, "on_image": sums.on_image}
    flat["flags"] = _pixel_flags(picture, shapes, sums, statistics["n"], bad)
    for k in np.flatnonzero(~known):
        fail(flat, int(k), levels.reason[k])
    _fluxes(flat, picture, options, sums, levels)
    return flat


def fail(flat: Flat, k: int, reason: str) -> None:
    """Mark a row as not measured."""
    flat["flags"][k] |= value(FLAGS_LOOK, "FAILED")
    flat["reason"][k] = reason


def _places(flat: Flat, picture: Picture, shapes: Sequence[Shape], statistics: dict[str, Any]) -> None:
    flat["xcenter"], flat["ycenter"] = np.array([shape.center for shape in shapes], float).reshape(-1, 2).T
    flat["xcentroid"], flat["ycentroid"] = statistics["xcentroid"], statistics["ycentroid"]
    for which in ("center", "centroid"):
        if picture.wcs is not None:
            flat[f"ra_{which}"], flat[f"dec_{which}"] = to_sky(picture.wcs, flat[f"x{which}"], flat[f"y{which}"])
    flat["region"] = np.array([json.dumps(shape.to_dict()) for shape in shapes] + [None], dtype=object)[:-1]


def _pixel_flags(
    picture: Picture, shapes: Sequence[Shape], sums: Sums, n_pixels: NDArray[np.int64], bad: NDArray[np.bool_] | None
) -> NDArray[np.int64]:
    n_masked = np.zeros(len(shapes), np.int64)
    touched = np.flatnonzero(sums.n_bad > 0)
    if bad is not None and touched.size:
        unset = aperture_sums(picture.image.data, [shapes[k] for k in touched]).n_bad
        n_masked[touched] = sums.n_bad[touched] - unset
    covered = sums.area + sums.area_bad
    flags = np.zeros(len(shapes), np.int64)
    for name, where in (
        ("OFF_IMAGE", covered == 0),
        ("OFF_IMAGE_PARTLY", (covered > 0) & (sums.on_image < 1)),
        ("MASKED", n_masked > 0),
        ("NOT_FINITE", sums.n_bad > n_masked),
        ("NO_CENTRE", n_pixels == 0),
    ):
        flags[where] |= value(FLAGS_LOOK, name)
    return flags


def _fluxes(flat: Flat, picture: Picture, options: Options, sums: Sums, levels: Levels) -> None:
    """Fill what follows from the sum of the pixels: the sum with the pixel area, its error, counts and magnitudes."""
    unit, raw, flags = picture.unit, flat["sum_raw"], flat["flags"]
    area, rule = _area(picture, options, flat)
    sum_unit, factor, used = sum_factor(unit, area)
    flat["sum"], flat["pixarea_tot"] = raw * factor, used
    flat["pixarea_rule"][np.isfinite(used)] = rule
    flat["unit"][:], flat["sum_unit"][:] = unit_text(unit), unit_text(sum_unit)
    per = solid_angle_unit(unit)
    if per is not None and per != u.pix**2:
        flags[~np.isfinite(used)] |= value(FLAGS_LOOK, "NO_PIXEL_AREA")
    elif options.pixel_area is not None and not isinstance(options.pixel_area, str):
        flags |= value(FLAGS_LOOK, "FACTOR_UNUSED")
    counts = _counts(flat, unit, options)
    variance, source = _variance(flat, sums, levels, counts)
    with np.errstate(invalid="ignore"):
        raw_err = np.sqrt(variance)
    flat["sum_err"] = raw_err * np.abs(factor)
    flat["err_source"][:] = source
    _magnitudes(flat, unit, sum_unit, options, raw_err)


def _area(picture: Picture, options: Options, flat: Flat) -> tuple[Floats, str]:
    """Return the solid angle of a pixel at each aperture, sr, and the rule; NaN where it is not wanted."""
    n = len(flat["id"])
    if isinstance(options.pixel_area, str):
        return np.full(n, np.nan), ""
    if options.pixel_area is None and solid_angle_unit(picture.unit) in (None, u.pix**2):
        return np.full(n, np.nan), ""
    found = pixel_area(picture, flat["xcenter"], flat["ycenter"], value=options.pixel_area)
    return np.array(np.broadcast_to(np.asarray(found.sr, float), n)), found.rule


def _counts(flat: Flat, unit: u.UnitBase | None, options: Options) -> float | None:
    """Fill the columns of counts; return the units of the pixels per count, None where they are not known."""
    if options.counts_factor is None:
        return None
    if not takes_counts(unit) and not isinstance(options.counts_factor, u.Quantity):
        flat["flags"] |= value(FLAGS_LOOK, "FACTOR_UNUSED")
        return None
    factor = per_count(options.counts_factor, "counts_factor", unit)
    with np.errstate(invalid="ignore", over="ignore"):
        counts = flat["sum_raw"] / factor
        flat |= {"aperture_sum_counts": counts, "aperture_sum_counts_err": np.sqrt(counts)}
    flat["counts_fac"][:] = factor
    return factor


def _variance(flat: Flat, sums: Sums, levels: Levels, per_one: float | None) -> tuple[Floats, str]:
    """Return the variance of the sum of the pixels, and what is in it.

    Notes
    -----
    Of an error map the sum of weight x error^2; without one, the scatter of the measured background times the area, and Poisson's noise of
    the source where counts are known. A measured background adds area^2 times its own variance: together
    std^2 area (1 + area / n) for a mean, as IRAF's phot has it, and std^2 area (1 + pi / 2 area / n) for a median.
    """
    parts = []
    variance = np.zeros(len(sums))
    area = sums.area
    if sums.variance is not None:
        parts.append("map")
        variance = variance + sums.variance
    elif per_one is not None:
        parts.append("poisson")
        variance = variance + per_one * np.maximum(flat["sum_raw"], 0.0)
    if levels.n.any():
        parts.append("background")
        own = 0.0 if sums.variance is not None else levels.std**2 * area
        variance = variance + own + (area * levels.error) ** 2
    if not parts:
        return np.full(len(sums), np.nan), "none"
    return np.where(np.isfinite(flat["sum_raw"]), variance, np.nan), "+".join(parts)


def _magnitudes(flat: Flat, unit: u.UnitBase | None, sum_unit: u.UnitBase | None, options: Options, raw_err: Floats) -> None:
    raw, flux, flux_err, flags = flat["sum_raw"], flat["sum"], flat["sum_err"], flat["flags"]
    flags[raw <= 0] |= value(FLAGS_LOOK, "NON_POSITIVE")
    if options.flux_scaling is not None and (takes_factors(unit) or isinstance(options.flux_scaling, (u.Quantity, str))):
        of_raw, of_sum = scaling(options.flux_scaling, "flux_scaling", unit, sum_unit)
        flat["flux_scaling_raw"][:], flat["flux_scaling"][:] = of_raw, of_sum
        flat["aperture_sum_mag"] = magnitudes.flux_to_mag(raw / of_raw)
        flat["aperture_sum_mag_err"] = magnitudes.mag_error(raw / of_raw, raw_err / abs(of_raw))
        flat["sum_mag"] = magnitudes.flux_to_mag(flux / of_sum)
        flat["sum_mag_err"] = magnitudes.mag_error(flux / of_sum, flux_err / abs(of_sum))
        lost = np.isfinite(raw) & np.isnan(flat["aperture_sum_mag"]) & np.isnan(flat["sum_mag"])
        flags[lost] |= value(FLAGS_LOOK, "NON_POSITIVE")
    elif options.flux_scaling is not None:
        flags |= value(FLAGS_LOOK, "FACTOR_UNUSED")
    if sum_unit is not None and sum_unit.is_equivalent(AB_ZERO.unit):
        zero = AB_ZERO.to_value(sum_unit)
        flat["ab_mag"], flat["ab_mag_err"] = magnitudes.flux_to_mag(flux / zero), magnitudes.mag_error(flux, flux_err)
