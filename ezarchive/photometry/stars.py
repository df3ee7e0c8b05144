"""Stars among sources, the seeing that they show, and the depth that the noise allows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from astropy.table import Table

from ezarchive import flags, magnitudes
from ezarchive.photometry.detection import SexOptions, sex
from ezarchive.photometry.pixels import Level
from ezarchive.photometry.starlocus import centres, find_locus

FIRST_PASS_SIGMA = 10.0
"""Threshold of the pass that only looks for stars."""

_ENOUGH_STARS = 30
_FIRST_LOOK = 2048
_ELONGATION = 1.5
_LIKE_A_STAR = 0.5
_FEWEST = 3
_BLENDED = flags.value(flags.FLAGS, "CROWDED", "MERGED")
_STRICTNESS = ((0, 20.0), (_BLENDED, 20.0), (_BLENDED, 10.0))
_WIDTH_ERROR = 0.01
_WINDOW = 0.35
_CLIP = 3.0


class Seeing(NamedTuple):
    """FWHM of the stars in pixels, its scatter from star to star, and their number."""

    fwhm: float
    scatter: float
    n: int


def select_stars(table: Table, *, saturation: float | None = None) -> np.ndarray:
    """Choose the unsaturated, unblended, round sources whose size is that of the stars.

    Parameters
    ----------
    table : Table
        Sources, from ``detection.sex``.
    saturation : float, optional
        Level from which pixels are saturated, background included; a source whose peak comes within 5 % of it is left out. Saturated
        sources flagged as such are left out in any case.

    Returns
    -------
    ndarray of bool, shape (n,)

    Notes
    -----
    Of the sources with FLAGS 0, S/N > 20 and elongation < 1.5 those that look like the frame's stars (CLASS_STAR above a half, where it is
    known) and whose width lies within 3 robust sigma of the stars' (``starlocus.find_locus``: the peak at the lower end of the widths).
    Where fewer than three are left, as in crowds or on empty fields, blended sources count too, then those of S/N > 10.
    """
    fwhm, snr, elongation, peak = (_plain(table, name) for name in ("FWHM_IMAGE", "SNR", "ELONGATION", "FLUX_MAX"))
    bits = np.asarray(table["FLAGS"]).astype(int)
    stellarity = _plain(table, "CLASS_STAR") if "CLASS_STAR" in table.colnames else np.full(len(table), np.nan)
    sound = np.isfinite(fwhm) & (fwhm > 0.5) & (elongation < _ELONGATION) & ~(stellarity < _LIKE_A_STAR)
    if saturation is not None:
        sound &= peak + np.nan_to_num(_plain(table, "BACKGROUND")) < 0.95 * saturation
    for forgiven, least_snr in _STRICTNESS:
        good = sound & ((bits & ~forgiven) == 0) & (snr > least_snr)
        if good.sum() >= _FEWEST:
            break
    if good.sum() < _FEWEST:
        return good
    width = np.log(np.where(good, fwhm, 1.0))
    if np.isfinite(stellarity[good]).all():
        # Few but stars are left; the seeing may change over the frame.
        return _clipped(width, good, good & (np.abs(width - np.median(width[good])) < _WINDOW), 0.1)
    error = np.maximum(1.0 / np.where(good, snr, 1.0), _WIDTH_ERROR)
    found = find_locus(width[good], error[good], centres(width[good].min(), np.quantile(width[good], 0.9)))
    near = good & (np.abs(width - found.centre) < _CLIP * np.hypot(error, found.spread))
    # Never wider than the peak: a field of galaxies would draw the stars' sequence apart.
    return _clipped(width, near, near, found.spread) if near.any() else good


def _clipped(width: np.ndarray, good: np.ndarray, chosen: np.ndarray, most: float) -> np.ndarray:
    """Return which of the good sources lie within 3 robust sigma (at most so many) of the median, starting from those chosen."""
    for _ in range(10):
        centre = np.median(width[chosen])
        sigma = np.clip(1.4826 * np.median(np.abs(width[chosen] - centre)), 0.01, most)
        last, chosen = chosen, good & (np.abs(width - centre) < _CLIP * sigma)
        if np.array_equal(chosen, last):
            break
    return chosen


def seeing_of(table: Table, *, saturation: float | None = None) -> Seeing | None:
    """Return the median FWHM of the stars of a table, None where there is none.

    Parameters
    ----------
    table : Table
        Sources, from ``detection.sex``.
    saturation : float, optional
        As in `select_stars`.
    """
    fwhm = _plain(table, "FWHM_IMAGE")[select_stars(table, saturation=saturation)]
    if not fwhm.size:
        return None
    centre = float(np.median(fwhm))
    return Seeing(centre, float(1.4826 * np.median(np.abs(fwhm - centre))), int(fwhm.size))


def estimate_seeing(
    data: np.ndarray,
    *,
    noise: float | np.ndarray,
    background: Level | float | np.ndarray | None = None,
    saturation: float | None = None,
    detection_sigma: float = FIRST_PASS_SIGMA,
) -> Seeing | None:
    """Find bright stars in an image and return their FWHM.

    Parameters
    ----------
    data : array, shape (ny, nx)
        Background-subtracted pixels.
    noise : float or array
        Noise of the sky per pixel.
    background : Level, float, array, optional
        What was subtracted; needed to tell saturated stars.
    saturation : float, optional
        Level from which pixels are saturated, background included.
    detection_sigma : float
        Threshold.

    Returns
    -------
    Seeing or None
        In pixels; None where no star is found. Of a large frame the central 2048 x 2048 pixels are tried first, and are enough if they
        hold 30 stars.
    """
    options = SexOptions(detect_thresh=detection_sigma, satur_level=saturation, phot_apertures=())
    data = np.asarray(data)
    ny, nx = data.shape
    rows, cols = _middle(ny), _middle(nx)
    if (rows, cols) != (slice(0, ny), slice(0, nx)) and np.isfinite(data[rows, cols]).any():
        piece = noise if np.ndim(noise) == 0 else noise[rows, cols]
        level = background if np.ndim(background) == 0 else background[rows, cols]
        level = _Moved(background, rows, cols) if isinstance(background, Level) else level
        found = seeing_of(sex(data[rows, cols], options, noise=piece, background=level), saturation=saturation)
        if found is not None and found.n >= _ENOUGH_STARS:
            return found
    return seeing_of(sex(data, options, noise=noise, background=background), saturation=saturation)


def depth(sky_sigma: np.ndarray, *, zero_point: float = 0.0, n_sigma: float = 5.0) -> float | None:
    """Return the limiting magnitude in an aperture, of the median noise in it.

    Parameters
    ----------
    sky_sigma : array_like
        Noise of the sky in the whole aperture (SKYSIG_APER), of one or many sources; NaN is left out.
    zero_point : float
        Magnitude of one stored unit.
    n_sigma : float
        How many sigma.

    Returns
    -------
    float or None
        ``zero_point - 2.5 log10(n_sigma median(sky_sigma))``; None where no noise is known.
    """
    values = np.asarray(sky_sigma, float)
    values = values[np.isfinite(values) & (values > 0)]
    return float(magnitudes.upper_limit(np.median(values), n_sigma, zero_point)) if values.size else None


class _Moved:
    """The background of a frame, asked in the pixels of a piece of it."""

    def __init__(self, level: Level, rows: slice, cols: slice) -> None:
        self.level, self.first_x, self.first_y = level, cols.start, rows.start
        self.shape = rows.stop - rows.start, cols.stop - cols.start
        self.global_level = level.global_level
        self.upper = getattr(level, "upper", np.inf)

    def at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return self.level.at(x + self.first_x, y + self.first_y)


def _middle(n: int) -> slice:
    first = max((n - _FIRST_LOOK) // 2, 0)
    return slice(first, min(first + _FIRST_LOOK, n))


def _plain(table: Table, name: str) -> np.ndarray:
    column = table[name]
    return np.asarray(getattr(column, "value", column), float)
