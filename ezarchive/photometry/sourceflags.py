"""SExtractor's eight flag bits for sources that sep detected (sep's own bits mean other things)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sep

from ezarchive import flags
from ezarchive.photometry.pixels import Pixels
from ezarchive.photometry.shapes import GROWTH_SIGMAS, KRON_SIGMAS, Members, Windowed, ellipse, elliptical_distance

CROWDED_FRACTION = 0.1
"""From this share of foreign or bad pixels in its ellipse on, a source is ``CROWDED``."""

_BIT = {flag.name: flag.bit for flag in flags.FLAGS}


@dataclass(frozen=True)
class Measured:
    """What the flags are judged by; arrays have shape (n,).

    Attributes
    ----------
    objects : structured ndarray
        From ``sep.extract``.
    kron_radius : ndarray
        In units of A and B.
    windowed : Windowed
        Windowed positions.
    diameters : tuple of float
        Circular apertures in pixels.
    has_bad : ndarray of bool
        Whether the Kron ellipse or a circular aperture holds pixels without a value.
    peak_level : ndarray
        Peak with the background's level added.
    saturation : float or None
        Level from which pixels are saturated.
    """

    objects: np.ndarray
    kron_radius: np.ndarray
    windowed: Windowed
    diameters: tuple[float, ...]
    has_bad: np.ndarray
    peak_level: np.ndarray
    saturation: float | None


def source_flags(pixels: Pixels, members: Members, measured: Measured, segmap: np.ndarray) -> np.ndarray:
    """Return FLAGS as SExtractor means them.

    Parameters
    ----------
    pixels : Pixels
        The image.
    members : Members
        Pixels of the sources.
    measured : Measured
        Results that the flags depend on.
    segmap : ndarray of int32, shape (ny, nx)
        Segmentation map; it is written over (a copy would double its memory).

    Returns
    -------
    ndarray of int16, shape (n,)
    """
    objects = measured.objects
    bits = np.zeros(len(objects), np.int16)
    for sep_bit, name in ((sep.OBJ_MERGED, "MERGED"), (sep.OBJ_TRUNC, "TRUNCATED"), (sep.OBJ_DOVERFLOW, "DEBLEND_OVERFLOW")):
        bits[(objects["flag"] & sep_bit) != 0] |= _BIT[name]
    if measured.saturation is not None:
        bits[measured.peak_level >= measured.saturation] |= _BIT["SATURATED"]
    bits[_cut_by_edge(measured, pixels.shape)] |= _BIT["APER_INCOMPLETE"]
    bits[_crowded(pixels, members, measured, segmap)] |= _BIT["CROWDED"]
    if pixels.bad is not None:
        bits[measured.has_bad] |= _BIT["APER_INCOMPLETE"]
        bits[_isophote_broken(pixels.bad, members)] |= _BIT["ISO_INCOMPLETE"]
    return bits


def _cut_by_edge(measured: Measured, shape: tuple[int, int]) -> np.ndarray:
    """Whether any box that SExtractor integrates over reaches off the image: apertures, ellipses, curve of growth, window."""
    objects = measured.objects
    x, y = objects["x"], objects["y"]
    radii = [np.full(len(x), diameter / 2) for diameter in measured.diameters]
    radii.append(GROWTH_SIGMAS * objects["a"] + 1.5)
    cut = measured.windowed.cut.copy()
    for radius in radii:
        cut |= _box_cut(x, y, radius, shape)
    for scale in (KRON_SIGMAS, measured.kron_radius):
        cut |= _ellipse_cut(objects, scale, shape)
    return cut


def _box_cut(x: np.ndarray, y: np.ndarray, radius: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    # SExtractor truncates towards zero, so a box may reach a whole pixel off the image on the low side before it counts.
    low = np.minimum(x, y) - radius + 0.499999 <= -1
    return low | (np.trunc(x + radius + 1.499999) > shape[1]) | (np.trunc(y + radius + 1.499999) > shape[0])


def _ellipse_cut(objects: np.ndarray, scale: float | np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    cxx, cyy, cxy = objects["cxx"], objects["cyy"], objects["cxy"]
    cut = np.zeros(len(objects), bool)
    for v, along, across, size in ((objects["x"], cxx, cyy, shape[1]), (objects["y"], cyy, cxx, shape[0])):
        extent = scale / np.sqrt(np.maximum(along - cxy**2 / (4.0 * across), 1e-30))
        cut |= (np.rint(v - extent) < 0) | (np.rint(v + extent) + 1 > size)
    return cut


def _crowded(pixels: Pixels, members: Members, measured: Measured, segmap: np.ndarray) -> np.ndarray:
    """Whether pixels of other sources, or bad ones, fill over a tenth of the 6 sigma ellipse or of the Kron ellipse."""
    objects = measured.objects
    where = ellipse(objects)
    np.minimum(segmap, 1, out=segmap)
    if pixels.bad is not None:
        segmap[pixels.bad] = 1
    distance = elliptical_distance(members, objects)
    crowded = np.zeros(len(objects), bool)
    for scale in (np.full(len(objects), KRON_SIGMAS), measured.kron_radius):
        taken, area = sep.sum_ellipse(segmap, *where, scale, err=1.0, subpix=1)[:2]
        own = members.sum(where=distance <= scale[members.source])
        crowded |= (taken - own) > CROWDED_FRACTION * np.square(area)
    return crowded


def _isophote_broken(bad: np.ndarray, members: Members) -> np.ndarray:
    """Whether a bad pixel touches the isophote."""
    ny, nx = bad.shape
    broken = np.zeros(members.n, bool)
    for step_y, step_x in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        y, x = np.clip(members.y + step_y, 0, ny - 1), np.clip(members.x + step_x, 0, nx - 1)
        broken[members.source[bad[y, x]]] = True
    return broken
