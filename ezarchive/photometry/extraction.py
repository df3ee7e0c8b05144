"""Detection: smoothing, threshold, connected pixels, deblending, cleaning, in compiled loops (`ezarchive.kernels`).

Objects, their order and their pixels are those of ``sep.extract`` bit by bit. Most of the sky holds no source: one pass over the image
finds the pixels above the threshold, and all that follows sees those alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from ezarchive.errors import MeasurementError
from ezarchive.kernels import cleaning, deblending, linking, moments, threshold
from ezarchive.kernels import pixels as listed
from ezarchive.photometry.options import SexOptions
from ezarchive.photometry.pixels import Pixels

KERNEL = np.array([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]])
"""The 3 x 3 pyramid of SExtractor's ``default.conv``."""

OBJECT = np.dtype(
    [(name, "f8") for name in moments.FLOATS[:1]]
    + [(name, "i8") for name in moments.INTEGERS[:6]]
    + [(name, "f8") for name in moments.FLOATS[1:]]
    + [(name, "i8") for name in moments.INTEGERS[6:-1]]
    + [("flag", "i2")]
)
"""One object, field by field as ``sep.extract`` returns it."""

_MANY_PIXELS = 300_000
"""So many pixels above the threshold are accepted in every image, in larger ones a quarter of all."""
_ROWS_AT_ONCE = 256
_SMOOTH = 0.002
"""Noise maps whose neighbouring pixels differ by less than this share are not smoothed."""
_NOTHING = np.empty(0, np.float32)


@dataclass(frozen=True, eq=False)
class Detected:
    """What was detected.

    Attributes
    ----------
    objects : structured ndarray, shape (n,)
        As ``sep.extract`` describes it.
    shape : tuple of two ints
        Rows and columns of the image.
    noise : float or ndarray, shape (ny, nx)
        The noise of the pixels as given.
    member_source, member_y, member_x : ndarray of int32, shape (number of detected pixels,)
        Source (from 0), row and column of every pixel that belongs to one, source by source; in any order within a source.
    member_noise : float or ndarray of float32, shape (number of detected pixels,)
        The noise that the threshold was made of: in a map, that of the smoothed image.
    loose_y, loose_x : ndarray of int32, or None
        Row and column of the pixels above the threshold that belong to no source and yet stay masked for their neighbours, as in
        SExtractor: those of groups of fewer than ``detect_minarea`` pixels, and of what cleaning removed the pixels in the last row of its
        group of pixels (before deblending), unless a source swallowed it whose group ended in a later row. None if they were not listed.
    eaten_flag : ndarray of int16, shape (n,), or None
        sep's flags, but ``OBJ_MERGED``, of what each source swallowed in cleaning. None if that is not known.
    """

    objects: np.ndarray
    shape: tuple[int, int]
    noise: float | np.ndarray
    member_source: np.ndarray
    member_y: np.ndarray
    member_x: np.ndarray
    member_noise: float | np.ndarray
    loose_y: np.ndarray | None = None
    loose_x: np.ndarray | None = None
    eaten_flag: np.ndarray | None = None

    @cached_property
    def segmap(self) -> np.ndarray:
        """Segmentation map, int32: 0 for no source, ``i + 1`` for ``objects[i]``. Made when asked for: it is as large as the image."""
        labels = np.zeros(self.shape, np.int32)
        listed.paint(labels, self.member_y, self.member_x, self.member_source + 1)
        return labels


class _Listed(NamedTuple):
    """The pixels above the threshold, in the order of rows and columns; `noise` and `limits` are empty for one threshold."""

    y: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    offset: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    smoothed: np.ndarray
    noise: np.ndarray
    limits: np.ndarray
    level: np.float32


def detect(pixels: Pixels, options: SexOptions) -> Detected:
    """Detect and deblend sources.

    Parameters
    ----------
    pixels : Pixels
        The image.
    options : SexOptions
        Thresholds.

    Returns
    -------
    Detected

    Raises
    ------
    MeasurementError
        ``too_many_pixels`` if over a quarter of the image exceeds the threshold.
    """
    found = _above_threshold(pixels, options)
    floats, integers, members, first, last_row = _deblended(found, pixels, options)
    eater, flags = np.full(len(floats), -1, np.int32), np.zeros(len(floats), np.int16)
    if options.clean:
        height = cleaning.heights(members, first, len(floats), found.smoothed, found.limits, found.level, options.detect_minarea)
        eater, flags = cleaning.survivors(floats, integers, height, options.clean_param)
    kept = eater < 0
    left = _left_behind(eater, last_row)
    source, y, x, noise, loose_y, loose_x = listed.share_out(members, first, kept, left, found.rows, found.columns, found.noise)
    return Detected(
        objects=_objects(floats[kept], integers[kept]), shape=pixels.shape, noise=pixels.noise,
        member_source=source, member_y=y, member_x=x,
        member_noise=noise if pixels.has_map else pixels.noise, loose_y=loose_y, loose_x=loose_x,
        eaten_flag=flags[kept] & ~np.int16(moments.MERGED),
    )  # fmt: skip


def _left_behind(eater: np.ndarray, last_row: np.ndarray) -> np.ndarray:
    """Return for each object the row whose pixels stay masked though it was removed, -1 for none."""
    removed = eater >= 0
    later = last_row[eater] > last_row
    return np.where(removed & ~later, last_row, -1)


def _above_threshold(pixels: Pixels, options: SexOptions) -> _Listed:
    """List the pixels above the threshold, a few rows at a time, so that no list has room for more than it holds."""
    data, mapped = pixels.data, pixels.has_map
    level = np.float32(options.detect_thresh * (1.0 if mapped else pixels.noise))
    limit = max(data.size // 4, _MANY_PIXELS)
    weights = (KERNEL / KERNEL.sum()).astype(np.float32)
    parts, noises, total = [], [], 0
    for first in range(0, len(data), _ROWS_AT_ONCE):
        rows = slice(first, min(first + _ROWS_AT_ONCE, len(data)))
        noise = detection_noise(pixels, rows, smooth=options.filter) if mapped else _NOTHING.reshape(0, 0)
        block, offset = (data, 0) if data.dtype == np.float32 else _single(data, rows)
        part = threshold.runs_above(block, rows.start - offset, rows.stop - offset, weights, options.filter, level, noise, limit)
        part[0][:] += offset
        total += len(part[3])
        if total > limit:
            message = f"data: over a quarter of the pixels exceed {options.detect_thresh:g} sigma; is the background subtracted?"
            raise MeasurementError("too_many_pixels", message)
        parts.append(part)
        if mapped:
            noises.append(listed.values_at(noise, rows.start, *listed.places(*part[:3])[:2]))
    y, start, stop, smoothed = (np.concatenate(column) for column in zip(*parts, strict=True))
    del parts
    lines, columns, offset = listed.places(y, start, stop)
    noise = np.concatenate(noises) if mapped else _NOTHING
    return _Listed(y, start, stop, offset, lines, columns, smoothed, noise, level * noise, level)


def _single(data: np.ndarray, rows: slice) -> tuple[np.ndarray, int]:
    """Return rows and those beside them in single precision, and the number of the first."""
    first = max(rows.start - 1, 0)
    return data[first : rows.stop + 1].astype(np.float32), first


def _deblended(found: _Listed, pixels: Pixels, options: SexOptions) -> tuple[np.ndarray, ...]:
    """Join the pixels to components and take these apart to objects; see `deblending.deblend`."""
    n = len(found.y)
    order, begin = np.empty(len(found.rows), np.int32), np.empty(n + 1, np.int32)
    scratch = np.empty((linking.SCRATCH_ROWS, 2 * n + 1), np.int32)
    count = linking.link(found.y, found.start, found.stop, found.offset, n, options.detect_minarea, scratch, order, begin)
    del scratch
    values = listed.values_at(pixels.data, 0, found.rows, found.columns)
    return deblending.deblend(
        order, begin, count, found.rows, found.columns, found.smoothed, values, found.noise, found.limits, found.level,
        options.deblend_nthresh, options.deblend_mincont, options.detect_minarea, *pixels.shape,
    )  # fmt: skip


def _objects(floats: np.ndarray, integers: np.ndarray) -> np.ndarray:
    out = np.empty(len(floats), OBJECT)
    for names, values in ((moments.FLOATS, floats), (moments.INTEGERS, integers)):
        for i, name in enumerate(names):
            out[name] = values[:, i]
    return out


def detection_noise(pixels: Pixels, rows: slice | None = None, *, smooth: bool) -> np.ndarray:
    """Return the noise that thresholds are made of.

    Parameters
    ----------
    pixels : Pixels
        With a noise map.
    rows : slice, optional
        Of the map; all by default.
    smooth : bool
        Whether detection works on a smoothed image: then the variance is smoothed alike, as in SExtractor (which lets it drop at the
        edges, though; here the outer pixels are continued), unless neighbouring pixels hardly differ, as in maps made of a mesh.

    Returns
    -------
    ndarray of float32, shape (rows, nx)
        Infinite in bad pixels.
    """
    rows = slice(0, pixels.shape[0]) if rows is None else rows
    margin = slice(max(rows.start - 1, 0), min(rows.stop + 1, pixels.shape[0]))
    noise = pixels.noise[margin]
    inner = slice(rows.start - margin.start, rows.stop - margin.start)
    if smooth and not _is_smooth(noise, None if pixels.bad is None else pixels.bad[margin]):
        noise = np.sqrt(ndimage.convolve(np.square(noise, dtype=float), KERNEL / KERNEL.sum(), mode="nearest"))
    out = np.ascontiguousarray(noise[inner], dtype=np.float32)
    if pixels.bad is not None:
        out = np.where(pixels.bad[rows], np.float32(np.inf), out)
    return out


def _is_smooth(noise: np.ndarray, bad: np.ndarray | None) -> bool:
    """Whether neighbouring pixels hardly differ."""
    if bad is not None and bad.any():
        return False
    limit = _SMOOTH * noise.min()
    return not any(step.size and np.abs(step).max() > limit for step in (np.diff(noise, axis=0), np.diff(noise, axis=1)))
