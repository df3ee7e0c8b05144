"""Engines that estimate a background; whatever the engine, the result is a `MeshBackground`."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from astropy.utils.exceptions import AstropyUserWarning

from ezarchive.errors import InputError, MeasurementError
from ezarchive.images.background import MeshBackground, estimate
from ezarchive.images.compact import Mask
from ezarchive.images.fitsfile import strips

ENGINES = ("sep", "photutils", "constant")
"""Names of the engines."""

_LEVELS = {
    "mean": "MeanBackground", "median": "MedianBackground", "mode": "ModeEstimatorBackground", "sextractor": "SExtractorBackground",
    "mmm": "MMMBackground", "biweight": "BiweightLocationBackground",
}  # fmt: skip
_NOISES = {"std": "StdBackgroundRMS", "mad": "MADStdBackgroundRMS", "biweight": "BiweightScaleBackgroundRMS"}
ESTIMATORS = tuple(_LEVELS)
"""Estimators of the level in a box, for the engines ``photutils`` and ``constant``."""
RMS_ESTIMATORS = tuple(_NOISES)
"""Estimators of the noise in a box, for the same."""
_SAMPLE = 1_000_000


@dataclass(frozen=True, kw_only=True)
class BackgroundOptions:
    """How a background is estimated.

    Attributes
    ----------
    engine : {"sep", "photutils", "constant"}
        ``sep``: SExtractor's mesh. ``photutils``: its ``Background2D``. ``constant``: one level and noise for the whole image.
    box_size : int or tuple of two ints
        Side of a box in pixels (or rows, columns); ``constant`` has none.
    filter_size : int
        Boxes along a side of the median filter over boxes.
    estimator : str
        One of `ESTIMATORS`: mean, median, mode (3 median - 2 mean), sextractor (2.5 median - 1.5 mean, or the median of a crowded box),
        mmm (DAOPHOT's), biweight. SExtractor's own engine, ``sep``, knows but ``sextractor``.
    rms_estimator : str
        One of `RMS_ESTIMATORS`: std, mad, biweight; ``sep`` knows but ``std``.
    clip_sigma : float
        Pixels further than so many standard deviations from the median of their box are left out.
    clip_iterations : int
        At most so many times.
    exclude_percentile : float
        ``photutils``: a box with a larger part of its pixels masked or clipped gets the level of its neighbours.
    recentre : bool
        Add the clipped mean of image less map, over the pixels that are not masked. Photon noise is skewed, so that SExtractor's mode lies
        0.02 sigma too low on 100 electrons, 0.35 sigma of the sum over 300 pixels; this takes it away where the mask is deep or sources are
        few. In crowded fields it adds the light of those that are not masked.
    """

    engine: str = "sep"
    box_size: int | tuple[int, int] = 64
    filter_size: int = 3
    estimator: str = "sextractor"
    rms_estimator: str = "std"
    clip_sigma: float = 3.0
    clip_iterations: int = 10
    exclude_percentile: float = 50.0
    recentre: bool = False

    def __post_init__(self) -> None:
        for name, known in (("engine", ENGINES), ("estimator", ESTIMATORS), ("rms_estimator", RMS_ESTIMATORS)):
            if getattr(self, name) not in known:
                raise InputError(f"{name}={getattr(self, name)!r}: must be one of {', '.join(known)}")
        if self.engine == "sep" and (self.estimator, self.rms_estimator) != ("sextractor", "std"):
            raise InputError(
                f"estimator={self.estimator!r}, rms_estimator={self.rms_estimator!r}: engine 'sep' knows but 'sextractor' and 'std'; "
                "must be these, or the engine 'photutils' or 'constant'"
            )
        if not self.clip_sigma > 0:
            raise InputError(f"clip_sigma={self.clip_sigma!r}: must be positive")
        if not self.clip_iterations >= 1:
            raise InputError(f"clip_iterations={self.clip_iterations!r}: must be at least 1")
        if not 0 <= self.exclude_percentile <= 100:
            raise InputError(f"exclude_percentile={self.exclude_percentile!r}: must be between 0 and 100")


def estimate_background(data: np.ndarray, mask: Any = None, options: BackgroundOptions | None = None) -> MeshBackground:
    """Estimate the background of an image with one of the engines.

    Parameters
    ----------
    data : array, shape (ny, nx)
        Pixels; NaN and infinite ones are left out. It is not changed.
    mask : Mask or array of bool, shape (ny, nx), optional
        True: left out as well.
    options : BackgroundOptions, optional
        By default SExtractor's mesh of boxes of 64 pixels, median-filtered over 3 x 3 boxes.

    Returns
    -------
    MeshBackground
        Nodes at the centres of the boxes, and the same spline between them for every engine; photutils' own map differs from it by less
        than a tenth of the noise unless the sky changes within a box.

    Raises
    ------
    InputError
        If an argument has a wrong shape, type or size.
    MeasurementError
        ``no_valid_pixels`` if every pixel is masked or not finite.
    """
    options = options or BackgroundOptions()
    data = np.asarray(data)
    if data.ndim != 2 or not data.size or data.dtype.kind not in "fiub":
        raise InputError(f"data: must be a 2-D array of numbers that is not empty, found {data.dtype} {data.shape}")
    left_out = None if mask is None else Mask.of(mask, data.shape)
    if options.engine == "sep":
        found = estimate(data, left_out, options.box_size, options.filter_size)
    else:
        found = (_constant if options.engine == "constant" else _photutils)(data, left_out, options)
    return _recentred(found, data, left_out) if options.recentre else found


def mean_level(background: MeshBackground) -> float:
    """Return the mean of the level over all pixels."""
    total = sum(float(background.level((rows, slice(0, background.shape[1]))).sum(dtype=float)) for rows in strips(background.shape))
    return total / (background.shape[0] * background.shape[1])


def _recentred(found: MeshBackground, data: np.ndarray, mask: Mask | None) -> MeshBackground:
    """Shift a background by the mean of image less map, clipped at 3 sigma."""
    total, number = 0.0, 0
    for rows in strips(data.shape, 1 << 18):
        rest = np.subtract(data[rows], found.level((rows, slice(0, data.shape[1]))), dtype=np.float64)
        with np.errstate(invalid="ignore"):
            good = np.abs(rest) <= 3.0 * found.global_rms
        if mask is not None:
            good &= ~mask.cut(rows, slice(None))
        total, number = total + float(rest.sum(where=good)), number + int(np.count_nonzero(good))
    shift = total / number if number else 0.0
    return replace(found, level_nodes=found.level_nodes + shift, global_level=found.global_level + shift)


def _constant(data: np.ndarray, mask: Mask | None, options: BackgroundOptions) -> MeshBackground:
    """Clip and estimate over all pixels, or over an even sample of rows of a large image."""
    step = max(data.size // _SAMPLE, 1)
    for rows in (slice(step // 2, None, step), slice(None)):
        values = np.asarray(data[rows], float)
        good = np.isfinite(values)
        if mask is not None:
            good &= ~np.unpackbits(mask.bits[rows], axis=1, count=data.shape[1]).view(bool)
        if good.any():
            break
    else:
        raise _nothing_left()
    clip, level_of, rms_of, _ = _tools(options)
    clipped = clip(values[good], masked=False)
    level, rms = level_of(clipped), rms_of(clipped)
    return MeshBackground.constant(float(level), float(rms), data.shape)


def _photutils(data: np.ndarray, mask: Mask | None, options: BackgroundOptions) -> MeshBackground:
    boxes = _boxes(options.box_size)
    size = tuple(min(box, n) for box, n in zip(boxes, data.shape, strict=True))
    finite = np.isfinite(data)
    bad = ~finite if mask is None else ~finite | mask.to_array()
    if bad.all():
        raise _nothing_left()
    clip, level_of, rms_of, background2d = _tools(options)
    with warnings.catch_warnings():
        # It tells of pixels that are not finite, though they are masked.
        warnings.simplefilter("ignore", AstropyUserWarning)
        try:
            found = background2d(
                np.where(finite, data, 0), size, mask=bad if bad.any() else None, filter_size=options.filter_size,
                exclude_percentile=options.exclude_percentile, sigma_clip=clip, bkg_estimator=level_of, bkg_rms_estimator=rms_of,
            )  # fmt: skip
            level, rms = (np.array(nodes, float) for nodes in (found.background_mesh, found.background_rms_mesh))
        except ValueError as err:
            if "exclude_percentile" not in str(err) and "All meshes" not in str(err):
                raise InputError(f"box_size, filter_size: {err}") from err
            # No box has pixels enough: all of them together are one.
            return replace(_constant(data, mask, options), filter_size=1)
    return MeshBackground(data.shape, size, int(options.filter_size), level, rms, float(np.median(level)), float(np.median(rms)))


def _tools(options: BackgroundOptions) -> tuple[Any, Any, Any, Any]:
    """Return photutils' clipping, estimators of level and noise, and ``Background2D``."""
    # It takes half a second to import, and most backgrounds are sep's.
    from astropy.stats import SigmaClip  # noqa: PLC0415
    from photutils import background as room  # noqa: PLC0415

    clip = SigmaClip(sigma=options.clip_sigma, maxiters=options.clip_iterations)
    level, rms = getattr(room, _LEVELS[options.estimator]), getattr(room, _NOISES[options.rms_estimator])
    return clip, level(sigma_clip=None), rms(sigma_clip=None), room.Background2D


def _boxes(box_size: int | tuple[int, int]) -> tuple[int, int]:
    boxes = (box_size, box_size) if np.ndim(box_size) == 0 else tuple(box_size)
    if len(boxes) != 2 or any(int(box) != box or box < 1 for box in boxes):
        raise InputError(f"box_size: must be a whole number of pixels (or two, rows and columns), found {box_size}")
    return int(boxes[0]), int(boxes[1])


def _nothing_left() -> MeasurementError:
    return MeasurementError("no_valid_pixels", "data: every pixel is masked or not finite; there is no background")
