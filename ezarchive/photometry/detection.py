"""Detection and measurement with the meaning that SExtractor gives its parameters; sep does the sums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import sep
from astropy.table import QTable
from astropy.wcs import WCS

from ezarchive.errors import InputError, MeasurementError, UnknownNameError
from ezarchive.photometry import aperture, shapes, sourcetable, world
from ezarchive.photometry.aperture import Surroundings
from ezarchive.photometry.pixels import Level, Pixels, as_mask, global_level, level_at, noise_at, prepare
from ezarchive.photometry.sourceflags import Measured, source_flags

KERNEL = np.array([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]])
"""The 3 x 3 pyramid of SExtractor's ``default.conv``."""

_PIXEL_STACK = 300_000
_SUB_OBJECTS = 1024


@dataclass(frozen=True, kw_only=True)
class SexOptions:
    """Parameters of `sex`: SExtractor's, in small letters.

    Attributes
    ----------
    detect_thresh : float
        Threshold of detection in units of the noise: of the global noise when a number is given, of the map at each pixel when a map
        is (SExtractor's THRESH_TYPE RELATIVE).
    analysis_thresh : float, optional
        Threshold of the isophotal area and of the FWHM; `detect_thresh` by default.
    detect_minarea : int
        Least number of pixels above the threshold.
    filter : bool
        Whether detection works on the image smoothed with the 3 x 3 pyramid.
    deblend_nthresh : int
        Number of thresholds of deblending.
    deblend_mincont : float
        Least share of the flux that makes a branch a source of its own; 1 switches deblending off.
    clean : bool
        Whether detections in the wings of brighter ones are dropped.
    clean_param : float
        Efficiency of that.
    phot_apertures : tuple of float
        Diameters of the circular apertures, pixels, in the order of their suffixes.
    phot_autoparams : tuple of two floats
        Factor and least value of the Kron radius.
    phot_fluxfrac : float
        Share of FLUX_AUTO that FLUX_RADIUS holds.
    satur_level : float, optional
        Level from which pixels are saturated, stored unit, background included; None: no pixel is.
    gain : float, optional
        Electrons per stored unit; None: unknown (flagged), 0: no photon noise.
    """

    detect_thresh: float = 1.5
    analysis_thresh: float | None = None
    detect_minarea: int = 5
    filter: bool = True
    deblend_nthresh: int = 32
    deblend_mincont: float = 0.005
    clean: bool = True
    clean_param: float = 1.0
    phot_apertures: tuple[float, ...] = (5.0,)
    phot_autoparams: tuple[float, float] = (2.5, 3.5)
    phot_fluxfrac: float = 0.5
    satur_level: float | None = None
    gain: float | None = None

    def __post_init__(self) -> None:
        for name in ("detect_thresh", "analysis_thresh", "clean_param"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value > 0):
                raise InputError(f"{name}: must be positive and finite, found {value}")
        for name in ("detect_minarea", "deblend_nthresh"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: must be at least 1, found {getattr(self, name)}")
        for name, top in (("deblend_mincont", 1.0), ("phot_fluxfrac", 1.0)):
            if not 0 <= getattr(self, name) <= top:
                raise InputError(f"{name}: must lie between 0 and {top:g}, found {getattr(self, name)}")
        if any(not (np.isfinite(diameter) and diameter > 0) for diameter in self.phot_apertures):
            raise InputError(f"phot_apertures: must be positive and finite (pixels), found {self.phot_apertures}")
        if len(self.phot_autoparams) != 2 or min(self.phot_autoparams) <= 0:
            raise InputError(f"phot_autoparams: must be two positive numbers, found {self.phot_autoparams}")
        if self.gain is not None and not self.gain >= 0:
            raise InputError(f"gain: must not be negative, found {self.gain}")

    @classmethod
    def from_sex_params(cls, parameters: Mapping[str, Any], base: SexOptions | None = None) -> SexOptions:
        """Make options of SExtractor keywords in any case, such as ``{"DETECT_THRESH": 3, "FILTER": "N"}``.

        Parameters
        ----------
        parameters : mapping
            Keywords; it is not changed. ``PHOT_APERTURES`` and ``PHOT_AUTOPARAMS`` may be comma lists.
        base : SexOptions, optional
            What holds where no keyword is given.

        Raises
        ------
        UnknownNameError
            If a keyword is not one of these options.
        InputError
            If a value is out of range.
        """
        base = cls() if base is None else base
        known = {item.name: item for item in fields(cls)}
        values = {name: getattr(base, name) for name in known}
        for keyword, value in parameters.items():
            name = keyword.lower()
            if name not in known:
                raise UnknownNameError("sex_params keyword", keyword, [item.upper() for item in known])
            values[name] = _from_keyword(keyword, value, str(known[name].type))
        return cls(**values)


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
    objects, segmap = detect(pixels, options)
    return _measure(pixels, options, objects, segmap, _Sky(background, mask, wcs))


@dataclass(frozen=True)
class _Sky:
    """What surrounds the pixels."""

    background: Level | float | np.ndarray | None
    mask: np.ndarray | None
    wcs: WCS | None


def detect(pixels: Pixels, options: SexOptions) -> tuple[np.ndarray, np.ndarray]:
    """Detect and deblend sources.

    Parameters
    ----------
    pixels : Pixels
        The image.
    options : SexOptions
        Thresholds.

    Returns
    -------
    objects : structured ndarray, shape (n,)
        As ``sep.extract`` describes it.
    segmap : ndarray of int32, shape (ny, nx)
        0 for no source, ``i + 1`` for ``objects[i]``.

    Raises
    ------
    MeasurementError
        ``too_many_pixels`` or ``deblending`` if sep's buffers overflow at their largest.
    """
    stack, subobjects = _PIXEL_STACK, _SUB_OBJECTS
    while True:
        try:
            return _extract(pixels, options, stack, subobjects)
        # sep knows no error class of its own.
        except Exception as err:
            if "pixel buffer full" in str(err) and stack < pixels.data.size // 4:
                stack = min(stack * 4, pixels.data.size)
            elif "deblending overflow" in str(err) and subobjects < 2**17:
                subobjects *= 8
            elif "pixel buffer full" in str(err):
                message = f"data: over a quarter of the pixels exceed {options.detect_thresh:g} sigma; is the background subtracted?"
                raise MeasurementError("too_many_pixels", message) from err
            elif "deblending overflow" in str(err):
                raise MeasurementError("deblending", f"data: over {subobjects} sources in one blend; raise deblend_mincont") from err
            else:
                raise


def _extract(pixels: Pixels, options: SexOptions, stack: int, subobjects: int) -> tuple[np.ndarray, np.ndarray]:
    before = sep.get_extract_pixstack(), sep.get_sub_object_limit()
    sep.set_extract_pixstack(stack)
    sep.set_sub_object_limit(subobjects)
    thresh = options.detect_thresh if pixels.has_map else options.detect_thresh * pixels.noise
    try:
        return sep.extract(
            pixels.data,
            thresh,
            # A bad pixel (noise 0, value 0) is not above its threshold of 0, but a smoothed neighbour's light may be.
            err=np.where(pixels.noise > 0, pixels.noise, np.inf) if pixels.has_map and pixels.bad is not None else _map(pixels),
            mask=None,
            minarea=options.detect_minarea,
            filter_kernel=KERNEL if options.filter else None,
            filter_type="conv",
            deblend_nthresh=options.deblend_nthresh,
            deblend_cont=options.deblend_mincont,
            clean=options.clean,
            clean_param=options.clean_param,
            segmentation_map=True,
        )
    finally:
        sep.set_extract_pixstack(before[0])
        sep.set_sub_object_limit(before[1])


def _map(pixels: Pixels) -> np.ndarray | None:
    return pixels.noise if isinstance(pixels.noise, np.ndarray) else None


def _measure(pixels: Pixels, options: SexOptions, objects: np.ndarray, segmap: np.ndarray, sky: _Sky) -> QTable:
    x, y = objects["x"], objects["y"]
    members = shapes.members(pixels.data, segmap, len(objects))
    sigma = noise_at(pixels.noise, x, y)
    level = level_at(sky.background, x, y)
    analysis = options.detect_thresh if options.analysis_thresh is None else options.analysis_thresh
    kron = shapes.kron(pixels, objects, *options.phot_autoparams, options.gain)
    half_light = shapes.half_light_radius(pixels.data, objects, kron.flux)
    radius = half_light
    if options.phot_fluxfrac != 0.5:
        radius = shapes.half_light_radius(pixels.data, objects, kron.flux, options.phot_fluxfrac)
    win = shapes.windowed(pixels.data, objects, half_light)
    ceiling = np.full(len(objects), np.inf) if options.satur_level is None else options.satur_level - np.nan_to_num(level)
    # SExtractor looks the background of a source up at its nearest pixel; a fraction of a pixel makes no difference.
    around = Surroundings(
        mask=sky.mask,
        saturated=_saturated_pixels(pixels, sky.background, options.satur_level),
        segmap=segmap,
        number=np.arange(1, len(objects) + 1, dtype=np.int32),
    )
    apertures = aperture.circular(pixels, x, y, options.phot_apertures, gain=options.gain, around=around)
    iso_sky = sigma * np.sqrt(members.sum())
    if pixels.has_map:
        iso_sky = np.sqrt(members.sum(np.square(pixels.noise[members.y, members.x], dtype=float)))
    measured = Measured(
        objects, kron.radius, win, options.phot_apertures, objects["peak"] + np.nan_to_num(level), options.satur_level
    )
    values = {
        "X_IMAGE": x,
        "Y_IMAGE": y,
        "XWIN_IMAGE": win.x,
        "YWIN_IMAGE": win.y,
        "FLUX_AUTO": kron.flux,
        "FLUXERR_AUTO": kron.flux_err,
        "NPIX_AUTO": np.pi * kron.radius**2 * objects["a"] * objects["b"],
        "KRON_RADIUS": kron.radius,
        "FLUX_ISO": objects["flux"],
        "FLUXERR_ISO": aperture.flux_error(iso_sky, objects["flux"], options.gain),
        "FLUX_MAX": objects["peak"],
        "FLUX_RADIUS": radius,
        "FWHM_IMAGE": shapes.fwhm(members, objects, analysis * sigma, ceiling),
        "A_IMAGE": objects["a"],
        "B_IMAGE": objects["b"],
        "THETA_IMAGE": np.degrees(objects["theta"]),
        "X2_IMAGE": objects["x2"],
        "Y2_IMAGE": objects["y2"],
        "XY_IMAGE": objects["xy"],
        "ISOAREA_IMAGE": shapes.isophotal_area(members, analysis * sigma),
        "THRESHOLD": objects["thresh"],
        "BACKGROUND": level,
        "SKYSIG": sigma,
        "DETECT_THRESH": np.full(len(objects), options.detect_thresh),
        "SKYVAL": np.full(len(objects), global_level(sky.background)),
    }
    values |= world.sky_columns(sky.wcs, values)
    values |= _mask_columns(sky.mask, members)
    # Last, for it writes over the segmentation map.
    values["FLAGS"] = source_flags(pixels, members, measured, segmap)
    return sourcetable.build(values, apertures, options.phot_apertures)


def _saturated_pixels(
    pixels: Pixels, background: Level | float | np.ndarray | None, level: float | None
) -> tuple[np.ndarray, np.ndarray] | None:
    if level is None:
        return None
    # The sky is smooth: only pixels within reach of the level are looked at one by one.
    reach = 0.0 if background is None else _highest(background)
    y, x = np.divmod(np.flatnonzero(pixels.data.ravel() >= level - reach), pixels.shape[1])
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


def _from_keyword(keyword: str, value: Any, annotation: str) -> Any:
    try:
        if annotation.startswith("tuple"):
            parts = value.split(",") if isinstance(value, str) else np.atleast_1d(value)
            return tuple(float(part) for part in parts)
        if annotation == "bool":
            return value.strip().upper() in {"Y", "YES", "TRUE"} if isinstance(value, str) else bool(value)
        if annotation == "int":
            return int(value)
        return None if value is None else float(value)
    except (TypeError, ValueError) as err:
        raise InputError(f"sex_params {keyword}={value!r}: must be {annotation}") from err
