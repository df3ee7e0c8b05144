"""Detection and measurement with the meaning that SExtractor gives its parameters."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from astropy.table import QTable
from astropy.wcs import WCS

from ezarchive.errors import InputError
from ezarchive.photometry import shapes, sourcetable, stellarity, world
from ezarchive.photometry.extraction import Detected, detect
from ezarchive.photometry.options import SexOptions
from ezarchive.photometry.pixels import Level, Pixels, as_mask, global_level, level_at, noise_at, prepare
from ezarchive.photometry.shapes import Measures
from ezarchive.photometry.sourceflags import source_flags

__all__ = ["SexOptions", "sex"]


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
        ``no_valid_pixels``, ``no_noise``, ``too_many_pixels`` (the threshold lies below the sky).
    """
    options = SexOptions() if options is None else options
    pixels = prepare(data, noise, scratch=scratch)
    mask = as_mask("mask", mask, pixels.shape)
    _check_background(background, pixels.shape)
    # An absolute threshold is one in units of a noise of 1.
    found = detect(pixels if options.thresh_type == "RELATIVE" else replace(pixels, noise=1.0), options)
    return _measure(pixels, options, found, _Sky(background, mask, wcs))


def _check_background(background: Level | float | np.ndarray | None, shape: tuple[int, int]) -> None:
    if background is None:
        return
    found = getattr(background, "shape", None)
    if found is None or not isinstance(background, Level):
        values = np.asarray(background)
        if values.dtype.kind not in "fiub":
            raise InputError(f"background: must be a model of the level, a number or a map, found {type(background).__name__}")
        found = values.shape
    if tuple(found) not in ((), tuple(shape)):
        raise InputError(f"background: must be a number or have the shape of the image {tuple(shape)}, found {tuple(found)}")


@dataclass(frozen=True)
class _Sky:
    """What is known besides the pixels."""

    background: Level | float | np.ndarray | None
    mask: np.ndarray | None
    wcs: WCS | None


def _measure(pixels: Pixels, options: SexOptions, found: Detected, sky: _Sky) -> QTable:
    objects = found.objects
    # SExtractor looks the level up at the nearest pixel; a fraction of a pixel makes no difference.
    level = level_at(sky.background, objects["x"], objects["y"])
    measures = shapes.measure(pixels, found, options, level=level, mask=sky.mask)
    values = _shape_values(objects) | _measured_values(measures, objects)
    values["THRESHOLD"] = options.detect_thresh * measures.least_noise
    values["BACKGROUND"] = level
    values["SKYSIG"] = noise_at(pixels.noise, objects["x"], objects["y"])
    values["DETECT_THRESH"] = options.detect_thresh / (values["SKYSIG"] if options.thresh_type == "ABSOLUTE" else np.ones(len(objects)))
    values["SKYVAL"] = np.full(len(objects), global_level(sky.background))
    values |= world.sky_columns(sky.wcs, values) | _mask_columns(sky.mask, found)
    values["CLASS_STAR"] = stellarity.class_star(
        values, pixels, seeing=options.seeing_fwhm, gain=options.gain, saturation=options.satur_level
    )
    values["FLAGS"] = source_flags(found, measures.bits, objects["peak"] + np.nan_to_num(level), options.satur_level)
    return sourcetable.build(values, measures.apertures, options.phot_apertures)


def _shape_values(objects: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "X_IMAGE": objects["x"],
        "Y_IMAGE": objects["y"],
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
        "FLUX_ISO": objects["flux"],
        "FLUX_MAX": objects["peak"],
    }


def _measured_values(measures: Measures, objects: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "XWIN_IMAGE": measures.xwin,
        "YWIN_IMAGE": measures.ywin,
        "FLUX_AUTO": measures.flux_auto,
        "FLUXERR_AUTO": measures.flux_auto_err,
        "NPIX_AUTO": np.pi * measures.kron_radius**2 * objects["a"] * objects["b"],
        "KRON_RADIUS": measures.kron_radius,
        "FLUXERR_ISO": measures.flux_iso_err,
        "FLUX_RADIUS": measures.flux_radius,
        "FWHM_IMAGE": measures.fwhm,
        "ISOAREA_IMAGE": measures.isoarea,
    }


def _mask_columns(mask: np.ndarray | None, found: Detected) -> dict[str, np.ma.MaskedArray]:
    n = len(found.objects)
    if mask is None:
        missing = np.ma.masked_all(n, np.int32)
        return {"IMAFLAGS_ISO": missing, "NIMAFLAGS_ISO": missing.copy()}
    bits = mask[found.member_y, found.member_x].astype(np.int64)
    hit = bits != 0
    source = found.member_source[hit]
    together = np.zeros(n, np.int64)
    np.bitwise_or.at(together, source, bits[hit])
    return {"IMAFLAGS_ISO": np.ma.array(together), "NIMAFLAGS_ISO": np.ma.array(np.bincount(source, minlength=n))}
