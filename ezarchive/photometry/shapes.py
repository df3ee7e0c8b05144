"""Everything that is measured of detected sources: isophotes, Kron ellipses, half-light radii, windowed positions, circles.

Names and formulas are SExtractor's (Bertin & Arnouts 1996, A&AS 117, 393; manual, chapters "Measurements" and "Photometry"); positions are
0-based. The work is done in ``kernels_sources``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ezarchive import flags
from ezarchive.photometry import kernels_sources as kernels
from ezarchive.photometry.aperture import ApertureSums, flux_error
from ezarchive.photometry.extraction import Detected
from ezarchive.photometry.kernels_measure import BAD, LOOSE, MASKED, SATURATED, SOURCE, Image
from ezarchive.photometry.options import SexOptions
from ezarchive.photometry.pixels import Pixels

_APER = {flag.name: flag.bit for flag in flags.FLAGS_APER}
_APER_OF_STATUS = ((SOURCE, "NEIGHBOUR"), (BAD, "NOT_FINITE"), (MASKED, "MASKED"), (SATURATED, "SATURATED"))
_HIDDEN = {"CORRECT": SOURCE | LOOSE | BAD, "BLANK": SOURCE | LOOSE | BAD, "NONE": BAD}


@dataclass(frozen=True)
class Measures:
    """What was measured of each source; arrays have shape (n,).

    Attributes
    ----------
    kron_radius : ndarray
        Semi-axes of the Kron ellipse in units of A and B.
    flux_auto, flux_auto_err : ndarray
        Flux in the Kron ellipse and its error.
    half_light, flux_radius : ndarray
        Radii, in pixels, of the circles that hold half and ``phot_fluxfrac`` of FLUX_AUTO.
    xwin, ywin : ndarray
        Windowed positions, 0-based.
    fwhm : ndarray
        FWHM of the Gaussian core, pixels; NaN where too few pixels are bright enough.
    isoarea : ndarray
        Pixels above the analysis threshold.
    flux_iso_err : ndarray
        Error of the flux of the isophote.
    least_noise : ndarray
        The least noise in the isophote, which thresholds are quoted for.
    bits : ndarray of int
        ``kernels_sources.CUT``, ``CROWDED``, ``HOLED``, ``BROKEN``.
    apertures : list of ApertureSums
        One for each circle.
    """

    kron_radius: np.ndarray
    flux_auto: np.ndarray
    flux_auto_err: np.ndarray
    half_light: np.ndarray
    flux_radius: np.ndarray
    xwin: np.ndarray
    ywin: np.ndarray
    fwhm: np.ndarray
    isoarea: np.ndarray
    flux_iso_err: np.ndarray
    least_noise: np.ndarray
    bits: np.ndarray
    apertures: list[ApertureSums]


def measure(pixels: Pixels, found: Detected, options: SexOptions, *, level: np.ndarray, mask: np.ndarray | None = None) -> Measures:
    """Measure all sources that were detected.

    Parameters
    ----------
    pixels : Pixels
        The image.
    found : Detected
        Its sources and their pixels.
    options : SexOptions
        Apertures, Kron parameters, gain, saturation, and how neighbours are masked.
    level : ndarray, shape (n,)
        The background that was subtracted at each source; NaN counts as none.
    mask : ndarray, shape (ny, nx), optional
        Masked pixels; apertures that hold any are flagged.

    Returns
    -------
    Measures

    Notes
    -----
    With ``mask_type`` CORRECT a pixel that belongs to another detection takes the value of its mirror image through the source, and zero
    where that is another's too; with BLANK it is zero; with NONE it stays. So do pixels without a value. FLUX_APER, FLUX_AUTO,
    FLUX_RADIUS and the windowed position see it; the first moment behind KRON_RADIUS leaves such pixels out, in either case.
    """
    objects = found.objects
    n, k = len(objects), len(options.phot_apertures)
    members = _members(found, n)
    ceiling = np.full(n, np.inf) if options.satur_level is None else options.satur_level - np.nan_to_num(level)
    least = _least_noise(found, members, n)
    results = kernels.Results(
        np.zeros((n, 10)), np.zeros(n, np.int64), np.zeros((n, k)), np.zeros((n, k)), np.zeros((n, k)), np.zeros((n, k), np.uint8)
    )
    if n:
        image = _image(pixels, found, options, members, ceiling, mask)
        ellipses = np.stack([objects[name] for name in ("x", "y", "a", "b", "cxx", "cyy", "cxy")], axis=1)
        radii = np.array(options.phot_apertures, float) / 2
        absolute = options.thresh_type == "ABSOLUTE"
        scales = map(float, (*options.phot_autoparams, options.phot_fluxfrac, options.analysis))
        settings = kernels.Settings(*scales, absolute, radii)
        kernels.measure(image, ellipses, np.array(objects["peak"], float), least, ceiling, members, settings, results)
    return _measures(results, found, options, least, pixels.shape)


def _members(found: Detected, n: int) -> kernels.Members:
    start = np.searchsorted(found.member_source, np.arange(n + 1))
    return kernels.Members(start.astype(np.int64), found.member_y, found.member_x)


def _least_noise(found: Detected, members: kernels.Members, n: int) -> np.ndarray:
    if not isinstance(found.member_noise, np.ndarray):
        return np.full(n, float(found.member_noise))
    return np.minimum.reduceat(found.member_noise, members.start[:-1]).astype(float) if n else np.zeros(0)


def _image(
    pixels: Pixels, found: Detected, options: SexOptions, members: kernels.Members, ceiling: np.ndarray, mask: np.ndarray | None
) -> Image:
    """Give every pixel its status."""
    status = np.zeros(pixels.shape, np.uint8)
    kernels.mark(status, members.y, members.x, SOURCE)
    # Of the type of the pixels: every pair of types would be compiled by itself.
    noise = np.ascontiguousarray(pixels.noise if pixels.has_map else [[0.0]], dtype=pixels.data.dtype)
    hidden = _HIDDEN[options.mask_type]
    if found.loose_y is not None:
        kernels.mark(status, found.loose_y, found.loose_x, LOOSE)
    for layer, bit in ((pixels.bad, BAD), (mask, MASKED)):
        if layer is not None:
            kernels.mark_where(status, layer, bit)
    if options.satur_level is not None:
        # Saturated pixels are bright: they belong to sources, or (hot ones) to groups too small to be a source.
        full = (found.objects["peak"] >= ceiling)[found.member_source]
        kernels.mark_saturated(status, pixels.data, members.y[full], members.x[full], ceiling[found.member_source[full]])
        if found.loose_y is not None:
            kernels.mark_saturated(status, pixels.data, found.loose_y, found.loose_x, np.full(len(found.loose_y), np.median(ceiling)))
    variance = 0.0 if pixels.has_map else float(pixels.noise) ** 2
    return Image(pixels.data, status, noise, variance, pixels.has_map, hidden, options.mask_type == "CORRECT")


def _measures(
    results: kernels.Results, found: Detected, options: SexOptions, least: np.ndarray, shape: tuple[int, int]
) -> Measures:
    column = results.values.T
    flux = column[kernels.AUTO]
    apertures = [
        _aperture(results, index, found.objects, diameter, options.gain, shape) for index, diameter in enumerate(options.phot_apertures)
    ]
    return Measures(
        kron_radius=column[kernels.KRON],
        flux_auto=flux,
        flux_auto_err=flux_error(np.sqrt(column[kernels.AUTO_VARIANCE]), flux, options.gain),
        half_light=column[kernels.HALF_LIGHT],
        flux_radius=column[kernels.RADIUS],
        xwin=column[kernels.XWIN],
        ywin=column[kernels.YWIN],
        fwhm=column[kernels.FWHM],
        isoarea=column[kernels.ISOAREA],
        flux_iso_err=flux_error(np.sqrt(column[kernels.ISO_VARIANCE]), found.objects["flux"], options.gain),
        least_noise=least,
        bits=results.bits,
        apertures=apertures,
    )


def _aperture(
    results: kernels.Results, index: int, objects: np.ndarray, diameter: float, gain: float | None, shape: tuple[int, int]
) -> ApertureSums:
    area, radius = results.area[:, index], diameter / 2
    flux, sky = (np.where(area > 0, v, np.nan) for v in (results.flux[:, index], np.sqrt(results.variance[:, index])))
    bits = np.zeros(len(objects), np.int16)
    for status, name in _APER_OF_STATUS:
        bits[(results.status[:, index] & status) != 0] |= _APER[name]
    for v, size in ((objects["x"], shape[1]), (objects["y"], shape[0])):
        bits[(v - radius < -0.5) | (v + radius > size - 0.5)] |= _APER["OFF_IMAGE_PARTLY"]
    bits[flux <= 0] |= _APER["NON_POSITIVE"]
    if gain is None:
        bits |= np.int16(_APER["NO_GAIN"])
    return ApertureSums(flux, flux_error(sky, flux, gain), sky, area, bits)
