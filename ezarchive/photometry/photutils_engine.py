"""Detection and measurement by photutils: the second engine, with the columns of the first.

photutils finds and separates the sources and measures positions, shapes, Kron and circular fluxes. Errors, effective areas and flags are
those of the house (``aperture``), so that a column means the same whoever measured it; what photutils does not know is NaN.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import astropy.units as u
import numpy as np
import sep
from astropy.table import QTable
from astropy.utils.exceptions import AstropyUserWarning
from astropy.wcs import WCS
from photutils.segmentation import SegmentationImage, SourceCatalog, deblend_sources, detect_sources
from photutils.utils.exceptions import NoDetectionsWarning

from ezarchive import columns, flags
from ezarchive.errors import InputError, UnknownNameError
from ezarchive.photometry import aperture, sourcetable, stellarity, world
from ezarchive.photometry.aperture import ApertureSums, Surroundings, flux_error
from ezarchive.photometry.gaussfit import gaussian_fwhm
from ezarchive.photometry.pixels import Level, Pixels, as_mask, global_level, level_at, noise_at, prepare
from ezarchive.photometry.segments import Segments, segment_flags

_MASK_TYPES = {"CORRECT": "correct", "BLANK": "mask", "NONE": "none"}
_LEAST_KRON = 1.0
_NON_POSITIVE = flags.value(flags.FLAGS_APER, "NON_POSITIVE")


@dataclass(frozen=True, kw_only=True)
class PhotutilsOptions:
    """Parameters of `photutils_sources`.

    Attributes
    ----------
    detection_sigma : float
        Threshold of detection in units of the noise of each pixel.
    minarea_pixels : int
        Least number of connected pixels above it.
    kron_factor : float
        Factor of the Kron radius.
    calc_accurate_fwhm : bool
        Whether FWHM_IMAGE is that of a Gaussian fitted to each source; else it is twice the half-light radius.
    nlevels : int
        Number of thresholds of deblending.
    contrast : float
        Least share of the flux that makes a branch a source of its own; 1 switches deblending off.
    phot_apertures : tuple of float
        Diameters of the circular apertures, pixels, in the order of their suffixes.
    mask_type : str
        What stands for the pixels of neighbours in apertures, Kron ellipses and half-light radii: ``CORRECT`` their mirror images,
        ``BLANK`` nothing, ``NONE`` themselves.
    satur_level : float, optional
        Level from which pixels are saturated, stored unit, background included; None: no pixel is.
    gain : float, optional
        Electrons per stored unit; None: unknown (flagged), 0: no photon noise.
    seeing_fwhm : float, optional
        FWHM of the stars, pixels, for CLASS_STAR; None: from the stars of the frame.
    """

    detection_sigma: float = 1.5
    minarea_pixels: int = 5
    kron_factor: float = 2.5
    calc_accurate_fwhm: bool = True
    nlevels: int = 32
    contrast: float = 0.005
    phot_apertures: tuple[float, ...] = (5.0,)
    mask_type: str = "CORRECT"
    satur_level: float | None = None
    gain: float | None = None
    seeing_fwhm: float | None = None

    def __post_init__(self) -> None:
        for name in ("detection_sigma", "kron_factor", "seeing_fwhm"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value > 0):
                raise InputError(f"{name}: must be positive and finite, found {value}")
        for name in ("minarea_pixels", "nlevels"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: must be at least 1, found {getattr(self, name)}")
        if not 0 <= self.contrast <= 1:
            raise InputError(f"contrast: must lie between 0 and 1, found {self.contrast}")
        if any(not (np.isfinite(diameter) and diameter > 0) for diameter in self.phot_apertures):
            raise InputError(f"phot_apertures: must be positive and finite (pixels), found {self.phot_apertures}")
        if self.gain is not None and not self.gain >= 0:
            raise InputError(f"gain: must not be negative, found {self.gain}")
        if self.mask_type not in _MASK_TYPES:
            raise UnknownNameError("mask_type", self.mask_type, list(_MASK_TYPES))


def photutils_sources(
    data: np.ndarray,
    *,
    noise: float | np.ndarray,
    background: Level | float | np.ndarray | None = None,
    mask: np.ndarray | None = None,
    wcs: WCS | None = None,
    options: PhotutilsOptions | None = None,
) -> QTable:
    """Detect and measure the sources of an image with photutils.

    Parameters
    ----------
    data : array, shape (ny, nx)
        Background-subtracted pixels; NaN and infinite ones are left out and flagged.
    noise : float or array, shape (ny, nx)
        Noise of the sky per pixel, stored unit: the global one, or a map.
    background : Level, float, array or None
        The level that was subtracted, for BACKGROUND, SKYVAL and the test of saturation.
    mask : array of bool or integer bits, shape (ny, nx), optional
        Sources on masked pixels are measured all the same, and flagged, as by ``detection.sex``.
    wcs : WCS, optional
        Celestial; without it the sky columns are NaN (``_healpix_29`` is masked).
    options : PhotutilsOptions, optional
        Thresholds, apertures, gain and saturation.

    Returns
    -------
    QTable
        ``columns.SOURCE``, ``columns.aperture(i)`` for each aperture and ``columns.PHOTUTILS``; without rows where nothing is detected.

    Raises
    ------
    InputError
        If an argument has a wrong shape or type.
    MeasurementError
        ``no_valid_pixels``, ``no_noise``.

    Notes
    -----
    As in `detection.sex` but: the image is not smoothed before the threshold; pixels on the edge of apertures and Kron ellipses count with
    their exact overlap (there 5 x 5 parts, and whole pixels); the Kron radius has no least value after scaling, but 1 before; nothing is
    cleaned; ISOAREA_IMAGE, THRESHOLD and FLUX_ISO are those of the detection.
    """
    options = PhotutilsOptions() if options is None else options
    pixels = prepare(data, noise)
    mask = as_mask("mask", mask, pixels.shape)
    _check_level(background, pixels.shape)
    segments, members = _segments(pixels, options)
    if segments is None or members is None:
        return _table(_nothing(), [ApertureSums(*(np.zeros(0),) * 4, np.zeros(0, np.int16)) for _ in options.phot_apertures], options)
    kron, neighbours = (options.kron_factor, _LEAST_KRON, 0.0), _MASK_TYPES[options.mask_type]
    found = SourceCatalog(pixels.data, segments, mask=pixels.bad, kron_params=kron, aperture_mask_method=neighbours)
    return _measure(pixels, found, members, options, _Sky(background, mask, wcs))


@dataclass(frozen=True)
class _Sky:
    """What is known besides the pixels."""

    background: Level | float | np.ndarray | None
    mask: np.ndarray | None
    wcs: WCS | None


def _check_level(background: Level | float | np.ndarray | None, shape: tuple[int, int]) -> None:
    found = getattr(background, "shape", shape) if isinstance(background, Level) else np.shape(background)
    if tuple(found) not in ((), tuple(shape)):
        raise InputError(f"background: must be a number or have the shape of the image {tuple(shape)}, found {tuple(found)}")


def _segments(pixels: Pixels, options: PhotutilsOptions) -> tuple[SegmentationImage, Segments] | tuple[None, None]:
    """Return the segments, numbered from 1, twice: as photutils has them, and as a list of pixels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoDetectionsWarning)
        blends = detect_sources(pixels.data, options.detection_sigma * pixels.noise, options.minarea_pixels, mask=pixels.bad)
    if blends is None:
        return None, None
    if options.contrast >= 1 or options.nlevels < 2:
        none = np.zeros(blends.n_labels, bool)
        return blends, Segments.of(blends.data, none, none)
    with warnings.catch_warnings():
        # That of too many peaks in one blend becomes a flag.
        warnings.filterwarnings("ignore", "The deblending mode", AstropyUserWarning)
        single = deblend_sources(
            pixels.data, blends, options.minarea_pixels, n_levels=options.nlevels, contrast=options.contrast, progress_bar=False
        )
    overflown = getattr(single, "info", {}).get("warnings", {}).get("nmarkers", {}).get("input_labels", ())
    inside = single.data > 0
    parent = np.zeros(single.n_labels + 1, np.int64)
    parent[single.data[inside]] = blends.data[inside]
    merged = np.bincount(parent[1:])[parent[1:]] > 1
    return single, Segments.of(single.data, merged, np.isin(parent[1:], overflown))


def _measure(pixels: Pixels, found: SourceCatalog, members: Segments, options: PhotutilsOptions, sky: _Sky) -> QTable:
    values = _shape_values(found)
    x, y = values["X_IMAGE"], values["Y_IMAGE"]
    level = level_at(sky.background, np.nan_to_num(x), np.nan_to_num(y))
    values |= _flux_values(pixels, found, members, options)
    values["BACKGROUND"], values["SKYVAL"] = level, np.full(len(x), global_level(sky.background))
    values["SKYSIG"] = noise_at(pixels.noise, np.nan_to_num(x), np.nan_to_num(y))
    values["THRESHOLD"] = options.detection_sigma * values["SKYSIG"]
    values["DETECT_THRESH"] = np.full(len(x), options.detection_sigma)
    values["FLUX_RADIUS"] = _plain(found.flux_radius(0.5))
    values["FWHM_IMAGE"] = _fwhm(pixels, members.labels, values, options)
    values |= world.sky_columns(sky.wcs, values) | _mask_columns(sky.mask, members)
    values["CLASS_STAR"] = stellarity.class_star(
        values, pixels, seeing=options.seeing_fwhm, gain=options.gain, saturation=options.satur_level
    )
    apertures = _apertures(pixels, found, members, options, sky)
    values["FLAGS"] = segment_flags(pixels, values, members, apertures, options.satur_level)
    return _table(values, apertures, options)


def _plain(values: u.Quantity | np.ndarray) -> np.ndarray:
    return np.atleast_1d(np.asarray(getattr(values, "value", values), float))


def _shape_values(found: SourceCatalog) -> dict[str, np.ndarray]:
    window = np.atleast_2d(found.centroid_win)
    return {
        "X_IMAGE": _plain(found.x_centroid),
        "Y_IMAGE": _plain(found.y_centroid),
        "XWIN_IMAGE": window[:, 0],
        "YWIN_IMAGE": window[:, 1],
        "A_IMAGE": _plain(found.semimajor_axis),
        "B_IMAGE": _plain(found.semiminor_axis),
        "THETA_IMAGE": 90.0 - np.mod(90.0 - _plain(found.orientation), 180.0),
        "X2_IMAGE": _plain(found.covariance_xx),
        "Y2_IMAGE": _plain(found.covariance_yy),
        "XY_IMAGE": _plain(found.covariance_xy),
        "XMIN_IMAGE": _plain(found.bbox_xmin),
        "XMAX_IMAGE": _plain(found.bbox_xmax),
        "YMIN_IMAGE": _plain(found.bbox_ymin),
        "YMAX_IMAGE": _plain(found.bbox_ymax),
        "ISOAREA_IMAGE": _plain(found.area),
        "ECCENTRICITY": _plain(found.eccentricity),
        "FLUX_MAX": _plain(found.max_value),
        "FLUX_MIN": _plain(found.min_value),
        "FLUX_ISO": _plain(found.segment_flux),
    }


def _flux_values(pixels: Pixels, found: SourceCatalog, members: Segments, options: PhotutilsOptions) -> dict[str, np.ndarray]:
    a, b = _plain(found.semimajor_axis), _plain(found.semiminor_axis)
    scaled = options.kron_factor * _plain(found.kron_radius)
    flux, sky = _plain(found.kron_flux), _ellipse_noise(pixels, found, scaled)
    noise = pixels.noise[members.y, members.x] if pixels.has_map else np.full(len(members.y), pixels.noise)
    iso_sky = np.sqrt(members.sum(np.square(noise, dtype=float)))
    return {
        "FLUX_AUTO": flux,
        "FLUXERR_AUTO": flux_error(sky, flux, options.gain),
        "KRON_RADIUS": scaled,
        "NPIX_AUTO": np.pi * scaled**2 * a * b,
        "FLUXERR_ISO": flux_error(iso_sky, _plain(found.segment_flux), options.gain),
    }


def _ellipses(found: SourceCatalog, scale: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Return which ellipses can be summed, and x, y, a, b, theta, r of these as sep takes them."""
    x, y, a, b = (_plain(v) for v in (found.x_centroid, found.y_centroid, found.semimajor_axis, found.semiminor_axis))
    theta = np.clip(np.radians(90.0 - np.mod(90.0 - _plain(found.orientation), 180.0)), -np.pi / 2, np.pi / 2)
    good = np.flatnonzero(np.isfinite(x + y + a + b + theta + scale) & (b > 0) & (scale > 0))
    return good, tuple(v[good] for v in (x, y, a, np.minimum(a, b), theta, scale))


def _ellipse_noise(pixels: Pixels, found: SourceCatalog, scale: np.ndarray) -> np.ndarray:
    """Return the noise of the sky in the part of each Kron ellipse that lies on the image and holds values."""
    good, where = _ellipses(found, scale)
    out = np.full(len(scale), np.nan)
    if pixels.has_map:
        out[good] = sep.sum_ellipse(pixels.data, *where, err=pixels.noise, subpix=0)[1]
    elif pixels.bad is None:
        out[good] = pixels.noise * sep.sum_ellipse(pixels.data, *where, err=1.0, subpix=0)[1]
    else:
        area = sep.sum_ellipse((~pixels.bad).astype(np.float32), *where, subpix=0)[0]
        out[good] = pixels.noise * np.sqrt(area)
    return out


def _fwhm(pixels: Pixels, left_out: np.ndarray, values: Mapping[str, np.ndarray], options: PhotutilsOptions) -> np.ndarray:
    if not options.calc_accurate_fwhm:
        return 2.0 * values["FLUX_RADIUS"]
    if pixels.bad is not None:
        left_out = np.where(pixels.bad, -1, left_out)
    sigma = np.sqrt(values["A_IMAGE"] * values["B_IMAGE"])
    return gaussian_fwhm(pixels.data, values["X_IMAGE"], values["Y_IMAGE"], sigma, left_out)


def _mask_columns(mask: np.ndarray | None, members: Segments) -> dict[str, np.ma.MaskedArray]:
    if mask is None:
        missing = np.ma.masked_all(members.n, np.int32)
        return {"IMAFLAGS_ISO": missing, "NIMAFLAGS_ISO": missing.copy()}
    bits = mask[members.y, members.x].astype(np.int64)
    hit = bits != 0
    together = np.zeros(members.n, np.int64)
    np.bitwise_or.at(together, members.source[hit], bits[hit])
    return {"IMAFLAGS_ISO": np.ma.array(together), "NIMAFLAGS_ISO": np.ma.array(members.sum(where=hit))}


def _apertures(
    pixels: Pixels, found: SourceCatalog, members: Segments, options: PhotutilsOptions, sky: _Sky
) -> list[ApertureSums]:
    """Sum the circles: fluxes by photutils, the rest by the house."""
    saturated = None if options.satur_level is None else _saturated(pixels, sky.background, options.satur_level)
    around = Surroundings(mask=sky.mask, saturated=saturated, segmap=members.labels, number=np.arange(1, members.n + 1, dtype=np.int32))
    x, y = (_plain(v) for v in (found.x_centroid, found.y_centroid))
    made = []
    for diameter, sums in zip(
        options.phot_apertures,
        aperture.circular(pixels, x, y, options.phot_apertures, gain=options.gain, around=around, subpix=0),
        strict=True,
    ):
        flux = _plain(found.circular_photometry(diameter / 2.0)[0])
        flux = np.where(np.isfinite(sums.flux), flux, np.nan)
        bits = sums.flags & ~_NON_POSITIVE
        bits[flux <= 0] |= _NON_POSITIVE
        made.append(ApertureSums(flux, flux_error(sums.sky_sigma, flux, options.gain), sums.sky_sigma, sums.area, bits))
    return made


def _saturated(pixels: Pixels, background: Level | float | np.ndarray | None, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and columns of the saturated pixels; only those within reach of the level are looked at one by one."""
    highest = 0.0
    if background is not None:
        highest = float(getattr(background, "upper", np.inf)) if isinstance(background, Level) else float(np.max(background))
    rows, cols = np.nonzero(pixels.data >= level - highest)
    full = pixels.data[rows, cols] + np.nan_to_num(level_at(background, cols, rows)) >= level
    return rows[full], cols[full]


def _nothing() -> dict[str, np.ndarray]:
    """Return the columns of no source."""
    kinds = {column.name: column.dtype for column in (*columns.SOURCE, *columns.PHOTUTILS)}
    masked = ("_healpix_29", "IMAFLAGS_ISO", "NIMAFLAGS_ISO")
    return {name: np.ma.masked_all(0, kind) if name in masked else np.zeros(0, kind) for name, kind in kinds.items()}


def _table(values: Mapping[str, np.ndarray], apertures: list[ApertureSums], options: PhotutilsOptions) -> QTable:
    table = sourcetable.build(values, apertures, options.phot_apertures)
    for column in columns.PHOTUTILS:
        item = np.asarray(values[column.name]).astype(column.dtype)
        table[column.name] = item if column.unit is None else u.Quantity(item, column.unit, dtype=item.dtype)
        table[column.name].info.description = column.description
    return table
