"""Detection: smoothing, threshold, connected pixels, deblending, cleaning. sep does the work."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import sep
from scipy import ndimage

from ezarchive.errors import MeasurementError
from ezarchive.photometry.options import SexOptions
from ezarchive.photometry.pixels import Pixels

KERNEL = np.array([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]])
"""The 3 x 3 pyramid of SExtractor's ``default.conv``."""

_PIXEL_STACK = 300_000
_SUB_OBJECTS = 1024
_ROWS_AT_ONCE = 256
_SMOOTH = 0.002
"""Noise maps whose neighbouring pixels differ by less than this share are not smoothed."""


class Detected(NamedTuple):
    """What was detected.

    Attributes
    ----------
    objects : structured ndarray, shape (n,)
        As ``sep.extract`` describes it.
    segmap : ndarray of int32, shape (ny, nx)
        0 for no source, ``i + 1`` for ``objects[i]``.
    noise : float or ndarray, shape (ny, nx)
        The noise that thresholds were made of.
    member_source, member_y, member_x : ndarray of int32, shape (number of detected pixels,)
        Source (from 0), row and column of every pixel that belongs to one, source by source; in any order within a source.
    loose_y, loose_x : ndarray of int32, or None
        Row and column of the pixels above the threshold that belong to no source and yet stay masked for their neighbours, as in
        SExtractor: those of groups of fewer than ``detect_minarea`` pixels, and of what cleaning removed the pixels in the last row of its
        group of pixels (before deblending), unless a source swallowed it whose group ended in a later row. None if they were not listed.
    eaten_flag : ndarray of int16, shape (n,), or None
        sep's flags, but ``OBJ_MERGED``, of what each source swallowed in cleaning. None if that is not known.
    """

    objects: np.ndarray
    segmap: np.ndarray
    noise: float | np.ndarray
    member_source: np.ndarray
    member_y: np.ndarray
    member_x: np.ndarray
    loose_y: np.ndarray | None = None
    loose_x: np.ndarray | None = None
    eaten_flag: np.ndarray | None = None


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
        ``too_many_pixels`` or ``deblending`` if sep's buffers overflow at their largest.
    """
    stack, subobjects = _PIXEL_STACK, _SUB_OBJECTS
    noise = detection_noise(pixels, smooth=options.filter) if pixels.has_map else pixels.noise
    while True:
        try:
            objects, segmap = _extract(pixels.data, noise, options, stack, subobjects)
            return Detected(objects, segmap, noise, *_members(segmap))
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


def _extract(
    data: np.ndarray, noise: float | np.ndarray, options: SexOptions, stack: int, subobjects: int
) -> tuple[np.ndarray, np.ndarray]:
    before = sep.get_extract_pixstack(), sep.get_sub_object_limit()
    sep.set_extract_pixstack(stack)
    sep.set_sub_object_limit(subobjects)
    try:
        return sep.extract(
            data,
            options.detect_thresh if isinstance(noise, np.ndarray) else options.detect_thresh * noise,
            err=noise if isinstance(noise, np.ndarray) else None,
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


def _members(segmap: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    y, x = np.nonzero(segmap)
    source = segmap[y, x] - 1
    order = np.argsort(source, kind="stable")
    return source[order], y[order].astype(np.int32), x[order].astype(np.int32)


def detection_noise(pixels: Pixels, *, smooth: bool) -> np.ndarray:
    """Return the noise map that thresholds are made of.

    Parameters
    ----------
    pixels : Pixels
        With a noise map.
    smooth : bool
        Whether detection works on a smoothed image: then the variance is smoothed alike, as in SExtractor (which lets it drop at the
        edges, though; here the outer pixels are continued).

    Returns
    -------
    ndarray, shape (ny, nx)
        Infinite in bad pixels; the map itself where nothing must change.
    """
    noise = pixels.noise
    if pixels.bad is None and (not smooth or _is_smooth(noise)):
        return noise
    if not smooth:
        return np.where(pixels.bad, np.inf, noise)
    kernel = KERNEL / KERNEL.sum()
    out = np.empty_like(noise)
    ny = noise.shape[0]
    for first in range(0, ny, _ROWS_AT_ONCE):
        last = min(first + _ROWS_AT_ONCE, ny)
        margin = slice(max(first - 1, 0), min(last + 1, ny))
        variance = ndimage.convolve(np.square(noise[margin]), kernel, mode="nearest")
        out[first:last] = np.sqrt(variance[first - margin.start : last - margin.start])
    if pixels.bad is not None:
        out[pixels.bad] = np.inf
    return out


def _is_smooth(noise: np.ndarray) -> bool:
    """Whether neighbouring pixels hardly differ, as in maps made of a mesh."""
    for first in range(0, noise.shape[0], _ROWS_AT_ONCE):
        rows = noise[first : first + _ROWS_AT_ONCE + 1]
        limit = _SMOOTH * rows.min()
        if any(step.size and np.abs(step).max() > limit for step in (np.diff(rows, axis=0), np.diff(rows, axis=1))):
            return False
    return True
