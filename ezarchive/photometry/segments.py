"""The pixels of segments, and the flags that they let know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ezarchive import flags
from ezarchive.photometry.aperture import ApertureSums
from ezarchive.photometry.pixels import Pixels

_BIT = {flag.name: flag.bit for flag in flags.FLAGS}
_CROWDED_FRACTION = 0.1
_OFF_OR_BROKEN = flags.value(flags.FLAGS_APER, "OFF_IMAGE_PARTLY", "OFF_IMAGE", "NOT_FINITE")


@dataclass(frozen=True)
class Segments:
    """The pixels of all segments: which source (from 0) and where.

    There are ``n`` sources; ``labels`` is the map (0: none, i + 1: source i), ``merged`` tells the sources that were separated from others,
    ``overflown`` those of blends with more peaks than can be separated.
    """

    source: np.ndarray
    y: np.ndarray
    x: np.ndarray
    n: int
    labels: np.ndarray
    merged: np.ndarray
    overflown: np.ndarray

    @classmethod
    def of(cls, labels: np.ndarray, merged: np.ndarray, overflown: np.ndarray) -> Segments:
        """List the pixels of a map of labels from 1 on."""
        labels = np.ascontiguousarray(labels, np.int32)
        y, x = np.nonzero(labels)
        return cls(labels[y, x] - 1, y, x, len(merged), labels, merged, overflown)

    def sum(self, what: np.ndarray | None = None, where: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Sum a quantity over the pixels of each source, or count them."""
        return np.bincount(self.source[where], None if what is None else what[where], minlength=self.n)


def segment_flags(
    pixels: Pixels,
    values: Mapping[str, np.ndarray],
    members: Segments,
    apertures: Sequence[ApertureSums],
    saturation: float | None,
) -> np.ndarray:
    """Return the bits of FLAGS that segments let know: all but EXTRACT_OVERFLOW.

    Parameters
    ----------
    pixels : Pixels
        The image.
    values : mapping of str to ndarray, shape (n,)
        X_IMAGE, Y_IMAGE, X2_IMAGE, Y2_IMAGE, XY_IMAGE, XMIN_IMAGE .. YMAX_IMAGE, KRON_RADIUS, FLUX_MAX, BACKGROUND.
    members : Segments
        The segments.
    apertures : sequence of ApertureSums
        What the circular apertures met.
    saturation : float or None
        Level from which pixels are saturated, background included.

    Returns
    -------
    ndarray of int16, shape (n,)
    """
    ny, nx = pixels.shape
    bits = np.where(members.merged, _BIT["MERGED"], 0).astype(np.int16)
    bits[members.overflown] |= _BIT["DEBLEND_OVERFLOW"]
    if saturation is not None:
        bits[values["FLUX_MAX"] + np.nan_to_num(values["BACKGROUND"]) >= saturation] |= _BIT["SATURATED"]
    xmin, xmax, ymin, ymax = (values[name] for name in ("XMIN_IMAGE", "XMAX_IMAGE", "YMIN_IMAGE", "YMAX_IMAGE"))
    bits[(xmin <= 0) | (ymin <= 0) | (xmax >= nx - 1) | (ymax >= ny - 1)] |= _BIT["TRUNCATED"]
    foreign, cut = _kron_surroundings(pixels, values, members)
    bits[foreign > _CROWDED_FRACTION] |= _BIT["CROWDED"]
    for sums in apertures:
        cut |= (sums.flags & _OFF_OR_BROKEN) != 0
    bits[cut] |= _BIT["APER_INCOMPLETE"]
    if pixels.bad is not None:
        bits[_isophote_broken(pixels.bad, members)] |= _BIT["ISO_INCOMPLETE"]
    return bits


def _kron_surroundings(pixels: Pixels, values: Mapping[str, np.ndarray], members: Segments) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of each Kron ellipse that neighbours and bad pixels fill, and whether it reaches off the image or holds bad ones."""
    x, y, x2, y2, xy, scale = (values[name] for name in ("X_IMAGE", "Y_IMAGE", "X2_IMAGE", "Y2_IMAGE", "XY_IMAGE", "KRON_RADIUS"))
    ny, nx = pixels.shape
    half_x, half_y = scale * np.sqrt(x2), scale * np.sqrt(y2)
    cut = (x - half_x < -0.5) | (x + half_x > nx - 0.5) | (y - half_y < -0.5) | (y + half_y > ny - 0.5)
    determinant = x2 * y2 - xy**2
    good = np.flatnonzero(np.isfinite(x + scale) & (determinant > 0))
    foreign = np.zeros(members.n)
    bad = None if pixels.bad is None else pixels.bad
    for i in good:
        rows = slice(max(int(y[i] - half_y[i]), 0), min(int(y[i] + half_y[i]) + 2, ny))
        cols = slice(max(int(x[i] - half_x[i]), 0), min(int(x[i] + half_x[i]) + 2, nx))
        v, w = np.ogrid[rows, cols]
        dy, dx = v - y[i], w - x[i]
        inside = y2[i] * dx**2 - 2 * xy[i] * dx * dy + x2[i] * dy**2 <= determinant[i] * scale[i] ** 2
        labels = members.labels[rows, cols]
        other = (labels != 0) & (labels != i + 1)
        if bad is not None:
            broken = bad[rows, cols]
            cut[i] |= bool((broken & inside).any())
            other |= broken
        foreign[i] = np.count_nonzero(other & inside) / max(np.count_nonzero(inside), 1)
    return foreign, cut


def _isophote_broken(bad: np.ndarray, members: Segments) -> np.ndarray:
    """Whether a bad pixel touches the isophote."""
    ny, nx = bad.shape
    broken = np.zeros(members.n, bool)
    for step_y, step_x in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        y, x = np.clip(members.y + step_y, 0, ny - 1), np.clip(members.x + step_x, 0, nx - 1)
        broken[members.source[bad[y, x]]] = True
    return broken
