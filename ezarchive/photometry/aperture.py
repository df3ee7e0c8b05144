"""Sums in circular apertures and Kron ellipses, with errors, effective areas and flags.

Formulas (``w`` the fraction of a pixel inside the aperture, ``s`` the noise of the sky per pixel, ``g`` the gain):

- flux ``F = sum w D``; area ``A = sum w`` over the pixels that were summed
- noise of the sky in the aperture ``S^2 = sum w s^2`` (linear in ``w``, as in SExtractor)
- error ``dF^2 = S^2 + max(F, 0) / g``: SExtractor manual, section "Flux measurements"
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import sep
from scipy.spatial import cKDTree

from ezarchive import flags
from ezarchive.errors import InputError
from ezarchive.photometry.pixels import Pixels

SUBPIX = 5
"""SExtractor divides the pixels on the edge of a circle into 5 x 5."""

_STRIP_ROWS = 512
_HALF_DIAGONAL = 0.7072
_BIT = {flag.name: flag.bit for flag in flags.FLAGS_APER}


@dataclass(frozen=True)
class ApertureSums:
    """Sums in one aperture at many positions; every field has shape (n,).

    Attributes
    ----------
    flux, flux_err : ndarray
        Flux and its error, stored unit; NaN where no pixel could be summed.
    sky_sigma : ndarray
        Noise of the sky in the whole aperture.
    area : ndarray
        Effective area in pixels: what was summed.
    flags : ndarray of int16
        Bits of ``flags.FLAGS_APER``.
    """

    flux: np.ndarray
    flux_err: np.ndarray
    sky_sigma: np.ndarray
    area: np.ndarray
    flags: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What is known of the pixels besides their values; each may be missing.

    Attributes
    ----------
    mask : ndarray of bool, shape (ny, nx)
        Masked pixels: they raise a flag.
    leave_out : bool
        Whether masked pixels are left out of the sums as well.
    saturated : tuple of two ndarrays
        Rows and columns of the saturated pixels.
    segmap : ndarray of int32, shape (ny, nx)
        Which source a pixel belongs to, 0 for none.
    number : ndarray of int, shape (n,)
        The sources' own numbers in `segmap`.
    """

    mask: np.ndarray | None = None
    leave_out: bool = False
    saturated: tuple[np.ndarray, np.ndarray] | None = None
    segmap: np.ndarray | None = None
    number: np.ndarray | None = None


def flux_error(sky_sigma: np.ndarray, flux: np.ndarray, gain: float | None) -> np.ndarray:
    """Return the error of a flux: the noise of the sky, and the photon noise of the source where the gain is known.

    Parameters
    ----------
    sky_sigma : ndarray
        Noise of the sky in the whole aperture.
    flux : ndarray
        Background-subtracted flux; negative ones add no photon noise.
    gain : float or None
        Electrons per stored unit; None (unknown), 0 and infinity (none by SExtractor's convention) add nothing.
    """
    variance = np.square(sky_sigma, dtype=float)
    if gain is not None and gain > 0 and np.isfinite(gain):
        variance = variance + np.maximum(flux, 0.0) / gain
    return np.sqrt(variance)


def circular(
    pixels: Pixels,
    x: np.ndarray,
    y: np.ndarray,
    diameters: tuple[float, ...],
    *,
    gain: float | None = None,
    around: Surroundings | None = None,
    subpix: int = SUBPIX,
) -> list[ApertureSums]:
    """Sum circular apertures.

    Parameters
    ----------
    pixels : Pixels
        Background-subtracted image and its noise (``pixels.prepare``).
    x, y : ndarray, shape (n,)
        Centres, 0-based pixels; they may lie off the image.
    diameters : tuple of float
        In pixels.
    gain : float, optional
        Electrons per stored unit; None sets the bit ``NO_GAIN``.
    around : Surroundings, optional
        Masks, saturated pixels and neighbours, for the flags.
    subpix : int
        Pixels on the edge are divided into ``subpix`` x ``subpix``; 0 means their exact overlap.

    Returns
    -------
    list of ApertureSums
        One for each diameter. Bad pixels are left out of every sum and of the area.

    Raises
    ------
    InputError
        If a diameter is not positive, or the positions do not match.
    """
    around = Surroundings() if around is None else around
    x, y = (np.atleast_1d(np.asarray(v, float)) for v in (x, y))
    if x.shape != y.shape or x.ndim != 1:
        raise InputError(f"x, y: must be 1-D and of equal length, found shapes {x.shape} and {y.shape}")
    sums = [_Sums(x, y, _radius(diameter), pixels.shape) for diameter in diameters]
    # Apertures are nested: what does not touch the largest touches none, so the flags are asked for from the largest down.
    largest_first = sorted(sums, key=lambda one: -one.radius)
    margin = int(max((one.radius for one in sums), default=0)) + 2
    for rows, index in _strips(y, margin, pixels.shape[0]):
        strip = _Strip(pixels, around, rows)
        touched = dict.fromkeys(strip.layers, index) | {"NEIGHBOUR": index}
        for one in largest_first:
            one.add(strip, index, subpix)
            for name in touched:
                touched[name] = one.touching(strip, name, touched[name], subpix)
                one.bits[touched[name]] |= _BIT[name]
    for one in sums:
        one.mark_saturated(around.saturated)
    return [one.result(gain) for one in sums]


class _Strip:
    """The rows around some sources, with excluded pixels zeroed; what is made here is small whatever the frame's size."""

    def __init__(self, pixels: Pixels, around: Surroundings, rows: slice) -> None:
        self.first = rows.start
        self.data, self.noise = pixels.data[rows], pixels.noise[rows] if pixels.has_map else pixels.noise
        self.segmap = None if around.segmap is None else around.segmap[rows]
        self.number = around.number
        self.good: np.ndarray | None = None
        bad = None if pixels.bad is None else _some(pixels.bad[rows])
        mask = None if around.mask is None else _some(around.mask[rows] != 0)
        self.layers = {name: part.astype(np.float32) for name, part in (("NOT_FINITE", bad), ("MASKED", mask)) if part is not None}
        excluded = bad
        if around.leave_out and mask is not None:
            excluded = mask if excluded is None else excluded | mask
        if excluded is not None:
            self.good = (~excluded).astype(np.float32)
            self.data = np.where(excluded, self.data.dtype.type(0), self.data)
            if isinstance(self.noise, np.ndarray):
                self.noise = np.where(excluded, self.noise.dtype.type(0), self.noise)


class _Sums:
    """Sums of one aperture, filled strip by strip."""

    def __init__(self, x: np.ndarray, y: np.ndarray, radius: float, shape: tuple[int, int]) -> None:
        n = len(x)
        ny, nx = shape
        self.x, self.y, self.radius = x, y, radius
        self.flux, self.area, self.sky = np.zeros(n), np.zeros(n), np.zeros(n)
        self.bits = np.zeros(n, np.int16)
        inside = np.isfinite(x) & np.isfinite(y)
        gap = np.hypot(*(np.maximum(np.maximum(-0.5 - v, v - (size - 0.5)), 0) for v, size in ((x, nx), (y, ny))))
        self.on_image = inside & (gap < radius)
        cut = (x - radius < -0.5) | (x + radius > nx - 0.5) | (y - radius < -0.5) | (y + radius > ny - 0.5)
        self.bits[self.on_image & cut] |= _BIT["OFF_IMAGE_PARTLY"]
        self.bits[~self.on_image] |= _BIT["OFF_IMAGE"]

    def add(self, strip: _Strip, index: np.ndarray, subpix: int) -> None:
        index = index[self.on_image[index]]
        if not index.size:
            return
        where = (self.x[index], self.y[index] - strip.first, self.radius)
        err = strip.noise if isinstance(strip.noise, np.ndarray) else 1.0
        self.flux[index], spread, _ = sep.sum_circle(strip.data, *where, err=err, subpix=subpix)
        if strip.good is not None:
            self.area[index] = sep.sum_circle(strip.good, *where, subpix=subpix)[0]
        elif isinstance(err, np.ndarray):
            self.area[index] = np.square(sep.sum_circle(strip.data, *where, err=1.0, subpix=subpix)[1])
        else:
            self.area[index] = np.square(spread)
        self.sky[index] = spread if isinstance(err, np.ndarray) else strip.noise * np.sqrt(self.area[index])

    def touching(self, strip: _Strip, name: str, index: np.ndarray, subpix: int) -> np.ndarray:
        """Return which of the sources have pixels of a kind in their aperture."""
        index = index[self.on_image[index]]
        where = (self.x[index], self.y[index] - strip.first, self.radius)
        if not index.size:
            return index
        if name in strip.layers:
            return index[sep.sum_circle(strip.layers[name], *where, subpix=subpix)[0] > 0]
        if strip.segmap is None or strip.number is None:
            return index[:0]
        bits = sep.sum_circle(strip.data, *where, segmap=strip.segmap, seg_id=strip.number[index], subpix=subpix)[2]
        return index[(bits & sep.APER_HASMASKED) != 0]

    def mark_saturated(self, positions: tuple[np.ndarray, np.ndarray] | None) -> None:
        """Set the bit of apertures that overlap a saturated pixel, of which there are few."""
        index = np.flatnonzero(self.on_image)
        if positions is None or not len(positions[0]) or not index.size:
            return
        tree = cKDTree(np.c_[positions[1], positions[0]])
        centres = np.c_[self.x[index], self.y[index]]
        near = tree.query_ball_point(centres, self.radius + _HALF_DIAGONAL, return_sorted=False)
        for source, (x, y), pixels in zip(index, centres, near, strict=True):
            if pixels:
                gap = np.maximum(np.abs(tree.data[pixels] - (x, y)) - 0.5, 0.0)
                if (np.hypot(gap[:, 0], gap[:, 1]) < self.radius).any():
                    self.bits[source] |= _BIT["SATURATED"]

    def result(self, gain: float | None) -> ApertureSums:
        flux, sky = (np.where(self.area > 0, v, np.nan) for v in (self.flux, self.sky))
        bits = self.bits
        # An aperture that only brushes the edge of the image may hold not one of the points that are summed.
        nothing = (self.area == 0) & ((bits & ~_BIT["OFF_IMAGE_PARTLY"]) == 0)
        bits[nothing] = _BIT["OFF_IMAGE"]
        bits[flux <= 0] |= _BIT["NON_POSITIVE"]
        if gain is None:
            bits |= np.int16(_BIT["NO_GAIN"])
        return ApertureSums(flux, flux_error(sky, flux, gain), sky, self.area, bits)


def _radius(diameter: float) -> float:
    if not np.isfinite(diameter) or diameter <= 0:
        raise InputError(f"diameters: must be positive and finite (pixels), found {diameter}")
    return float(diameter) / 2


def _some(layer: np.ndarray) -> np.ndarray | None:
    return layer if layer.any() else None


def _strips(y: np.ndarray, margin: int, ny: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield rows and the sources whose apertures lie in them, from the bottom up."""
    lines = np.clip(np.nan_to_num(y, nan=0.0, posinf=ny, neginf=0), 0, ny - 1).astype(np.int64) // _STRIP_ROWS
    order = np.argsort(lines, kind="stable")
    starts = np.flatnonzero(np.diff(lines[order], prepend=-1))
    for index in np.split(order, starts[1:]) if order.size else ():
        first = int(lines[index[0]]) * _STRIP_ROWS
        yield slice(max(first - margin, 0), min(first + _STRIP_ROWS + margin, ny)), index
