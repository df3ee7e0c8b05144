"""Detection and measurement with the meaning that SExtractor gives its parameters; sep does the sums."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy.table import QTable
from astropy.wcs import WCS

from ezarchive import flags
from ezarchive.photometry import aperture, shapes, sourcetable, world
from ezarchive.photometry.aperture import Surroundings
from ezarchive.photometry.extraction import Detected, detect
from ezarchive.photometry.options import SexOptions
from ezarchive.photometry.pixels import Level, Pixels, as_mask, global_level, level_at, noise_at, prepare
from ezarchive.photometry.shapes import KronSums, Members, Windowed
from ezarchive.photometry.sourceflags import Measured, source_flags

__all__ = ["SexOptions", "sex"]

_NOT_FINITE = flags.value(flags.FLAGS_APER, "NOT_FINITE")


def sex(
    data: np.ndarray,
    options: SexOptions | None = None,
    *,
    noise: float | np.ndarray,
    background: Level | float | np.ndarray | None = None,
    mask: np.ndarray | None = None,
    wcs: WCS | None = None,
    scratch: bool = False,
) -> QTable:
    """Detect and measure the sources of an image.

    Parameters
    ----------
    data : array, shape (ny, nx)
        Background-subtracted pixels; NaN and infinite ones are left out and flagged.
    options : SexOptions, optional
        Thresholds, apertures, gain and saturation.
    noise : float or array, shape (ny, nx)
        Noise of the sky per pixel, stored unit: the global one, or a map.
    background : Level, float, array or None
        The level that was subtracted, for BACKGROUND, SKYVAL and the test of saturation: a model with ``at(x, y)`` and
        ``global_level``, a constant, or a map.
    mask : array of bool or integer bits, shape (ny, nx), optional
        Sources on masked pixels are measured all the same, and flagged (IMAFLAGS_ISO, NIMAFLAGS_ISO, bit MASKED of FLAGS_APER).
    wcs : WCS, optional
        Celestial; without it the sky columns are NaN (``_healpix_29`` is masked).
    scratch : bool
        Whether `data` may be written to; else it is copied where it holds bad pixels.

    Returns
    -------
    QTable
        ``columns.SOURCE`` and ``columns.aperture(i)`` for each aperture, in the order of NUMBER; empty where nothing is detected.
        What could not be measured is NaN.

    Raises
    ------
    InputError
        If an argument has a wrong shape or type.
    MeasurementError
        ``no_valid_pixels``, ``no_noise``, ``too_many_pixels`` (the threshold lies below the sky), ``deblending``.
    """
    options = SexOptions() if options is None else options
    pixels = prepare(data, noise, scratch=scratch)
    mask = as_mask("mask", mask, pixels.shape)
    return _measure(pixels, options, detect(pixels, options), _Sky(background, mask, wcs))


@dataclass(frozen=True)
class _Sky:
    """What is known besides the pixels."""

    background: Level | float | np.ndarray | None
    mask: np.ndarray | None
    wcs: WCS | None


def _measure(pixels: Pixels, options: SexOptions, found: Detected, sky: _Sky) -> QTable:
    objects, segmap = found.objects, found.segmap
    members = shapes.members(pixels, segmap, len(objects))
    # SExtractor looks the level up at the nearest pixel; a fraction of a pixel makes no difference.
    level = level_at(sky.background, objects["x"], objects["y"])
    kron = shapes.kron(pixels, objects, *options.phot_autoparams, options.gain)
    half_light = shapes.half_light_radius(pixels.data, objects, kron.flux)
    win = shapes.windowed(pixels.data, objects, half_light)
    around = Surroundings(
        mask=sky.mask,
        saturated=_saturated_pixels(pixels, sky.background, options.satur_level),
        segmap=segmap,
        number=np.arange(1, len(objects) + 1, dtype=np.int32),
    )
    apertures = aperture.circular(pixels, objects["x"], objects["y"], options.phot_apertures, gain=options.gain, around=around)
    values = _shape_values(objects, win) | _flux_values(objects, members, kron, options)
    values |= _level_values(options, found, members, level)
    values["SKYSIG"] = noise_at(pixels.noise, objects["x"], objects["y"])
    values["SKYVAL"] = np.full(len(objects), global_level(sky.background))
    values["FLUX_RADIUS"] = half_light
    if options.phot_fluxfrac != 0.5:
        values["FLUX_RADIUS"] = shapes.half_light_radius(pixels.data, objects, kron.flux, options.phot_fluxfrac)
    values |= world.sky_columns(sky.wcs, values) | _mask_columns(sky.mask, members)
    peak = objects["peak"] + np.nan_to_num(level)
    has_bad = np.logical_or.reduce([kron.n_bad > 0, *((sums.flags & _NOT_FINITE) != 0 for sums in apertures)])
    measured = Measured(objects, kron.radius, win, options.phot_apertures, has_bad, peak, options.satur_level)
    # Last, for it writes over the segmentation map.
    values["FLAGS"] = source_flags(pixels, members, measured, segmap)
    return sourcetable.build(values, apertures, options.phot_apertures)


def _shape_values(objects: np.ndarray, win: Windowed) -> dict[str, np.ndarray]:
    return {
        "X_IMAGE": objects["x"],
        "Y_IMAGE": objects["y"],
        "XWIN_IMAGE": win.x,
        "YWIN_IMAGE": win.y,
        "A_IMAGE": objects["a"],
        "B_IMAGE": objects["b"],
        "THETA_IMAGE": np.degrees(objects["theta"]),
        "X2_IMAGE": objects["x2"],
        "Y2_IMAGE": objects["y2"],
        "XY_IMAGE": objects["xy"],
        "XMIN_IMAGE": objects["xmin"],
        "XMAX_IMAGE": objects["xmax"],
        "YMIN_IMAGE": objects["ymin"],
        "YMAX_IMAGE": objects["ymax"],
        "CLASS_STAR": np.full(len(objects), np.nan),
    }


def _flux_values(objects: np.ndarray, members: Members, kron: KronSums, options: SexOptions) -> dict[str, np.ndarray]:
    sky = np.sqrt(members.sum(np.square(members.noise, dtype=float)))
    return {
        "FLUX_AUTO": kron.flux,
        "FLUXERR_AUTO": kron.flux_err,
        "NPIX_AUTO": np.pi * kron.radius**2 * objects["a"] * objects["b"],
        "KRON_RADIUS": kron.radius,
        "FLUX_ISO": objects["flux"],
        "FLUXERR_ISO": aperture.flux_error(sky, objects["flux"], options.gain),
        "FLUX_MAX": objects["peak"],
    }


def _level_values(options: SexOptions, found: Detected, members: Members, level: np.ndarray) -> dict[str, np.ndarray]:
    n = len(found.objects)
    analysis = options.detect_thresh if options.analysis_thresh is None else options.analysis_thresh
    least = shapes.least_noise(members, found.noise)
    ceiling = np.full(n, np.inf) if options.satur_level is None else options.satur_level - np.nan_to_num(level)
    return {
        "FWHM_IMAGE": shapes.fwhm(members, found.objects, analysis * least, ceiling),
        "ISOAREA_IMAGE": shapes.isophotal_area(members, analysis),
        "THRESHOLD": options.detect_thresh * least,
        "DETECT_THRESH": np.full(n, options.detect_thresh),
        "BACKGROUND": level,
    }


def _saturated_pixels(
    pixels: Pixels, background: Level | float | np.ndarray | None, level: float | None
) -> tuple[np.ndarray, np.ndarray] | None:
    if level is None:
        return None
    # Only pixels within reach of the level are looked at one by one, in the few rows that have any.
    limit = level - (0.0 if background is None else _highest(background))
    rows = np.flatnonzero(pixels.data.max(axis=1) >= limit)
    line, x = np.nonzero(pixels.data[rows] >= limit)
    y = rows[line]
    full = pixels.data[y, x] + np.nan_to_num(level_at(background, x, y)) >= level
    return (y[full], x[full]) if full.any() else None


def _highest(background: Level | float | np.ndarray) -> float:
    upper = getattr(background, "upper", None)
    return float(np.max(background)) if upper is None else float(upper)


def _mask_columns(mask: np.ndarray | None, members: shapes.Members) -> dict[str, np.ma.MaskedArray]:
    if mask is None:
        missing = np.ma.masked_all(members.n, np.int32)
        return {"IMAFLAGS_ISO": missing, "NIMAFLAGS_ISO": missing.copy()}
    bits = mask[members.y, members.x].astype(np.int64)
    hit = bits != 0
    together = np.zeros(members.n, np.int64)
    np.bitwise_or.at(together, members.source[hit], bits[hit])
    return {"IMAFLAGS_ISO": np.ma.array(together), "NIMAFLAGS_ISO": np.ma.array(members.sum(where=hit))}
