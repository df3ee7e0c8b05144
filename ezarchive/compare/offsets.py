"""The zero level of an image against another: a straight line through the brightness of the two, robustly or as published."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ezarchive.compare.dynamicrange import dynamic_range
from ezarchive.compare.offsetfit import OffsetBins, OffsetFit, chain_offset
from ezarchive.compare.offsetline import clipped_line, line, published_line
from ezarchive.errors import CompareError, InputError

__all__ = ["CLASSIC_RANGE", "CLASSIC_RANGE_W3", "OffsetBins", "OffsetFit", "chain_offset", "classic_range", "fit_offset"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

METHODS, KINDS = ("robust", "classic"), ("external", "internal")
CLASSIC_RANGE, CLASSIC_RANGE_W3 = (0.25, 2.0), (0.0, 0.8)
"""MJy/sr, of the reference; the second where its name has ``w3`` in it."""
_CLASSIC_WIDTH = 0.1
_COVERAGES = (0.98, 0.9)
_PERCENTILES = {"external": (2.0, 90.0), "internal": (2.0, 60.0)}
_FEWEST_PIXELS, _FEWEST_BEAMS, _ENOUGH_BEAMS = 100, 8.0, 20.0
_MOST_BINS, _FEWEST_BINS, _BIN_CELLS = 15, 4, 20
_FILLED = 0.5
_BLOCK = 2.0
"""Side of the squares that are drawn again together, in FWHM of the beam: their neighbours are independent for the most part."""


class _Cells(NamedTuple):
    """Points of both images, the square of the beam that each lies in, and how much was looked at."""

    reference: Floats
    image: Floats
    block: Ints
    region: NDArray[np.bool_]
    n_pixels: int
    beams: float
    coverage: float


def fit_offset(
    reference: ArrayLike,
    image: ArrayLike,
    *,
    method: str = "robust",
    kind: str = "external",
    beam_pixels: float = 1.0,
    coverage: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    region: ArrayLike | None = None,
    percentiles: tuple[float, float] | None = None,
    value_range: tuple[float, float] | None = None,
    slope: float | None = None,
    blank_zeros: bool = True,
    n_boot: int = 200,
    seed: int = 0,
) -> OffsetFit:
    """Fit the brightness of an image as a straight line of that of a reference, pixel by pixel.

    Parameters
    ----------
    reference, image : array_like, shape (ny, nx)
        Surface brightness in the same unit, on the same pixels and through the same beam. NaN: blank.
    method : {"robust", "classic"}
        As under Notes, or as published with fixed bins (see `classic_range`).
    kind : {"external", "internal"}
        A survey of low resolution whose own noise matters (the quieter image is binned), or another band of like resolution and pixels
        (the reference is binned).
    beam_pixels : float
        FWHM of the beam of both, in pixels of these arrays.
    coverage : array_like, shape (ny, nx), optional
        Share of the beam that lay on pixels (see `convolve_to`); of both, the smaller one.
    mask : array_like of bool, shape (ny, nx), optional
        True: left out.
    region : array_like of bool, shape (ny, nx), optional
        Where the percentiles that make the range are taken; the whole image by default.
    percentiles : (float, float), optional
        Of the axis that is binned, between which it is; 2 and 90 (external), 2 and 60 (internal), 15 and 60 with a `region`.
    value_range : (float, float), optional
        In place of percentiles, of the axis that is binned.
    slope : float, optional
        Given, only the intercept is fitted.
    blank_zeros : bool
        Whether pixels of exactly 0 are blank.
    n_boot : int
        Draws of the bootstrap.
    seed : int
        Of the bootstrap.

    Returns
    -------
    OffsetFit
        Its `value_range` and `range_axis` say what was binned where.

    Raises
    ------
    InputError
        If an argument is wrong or shapes differ.
    CompareError
        ``no_pixels``, ``too_few_pixels``, ``no_range``, ``no_data_in_range``, ``too_few_bins`` or ``no_slope``.

    Notes
    -----
    ``robust``: pixels with a coverage of 0.98 are used; where fewer than 100 of them or 8 beams (squares of the FWHM) are left, 0.9, once.
    Pixels smaller than the beam are averaged, internally into cells of one FWHM, half of them filled. The range is cut into 4 to 15 bins of
    equally many cells, at least 20; the line goes through the bins' medians, each weighted by its standard error, those that lie off by
    more than 3 robust deviations left out. Externally the line is reference = m' image + b', turned round afterwards. Errors: squares of
    two beams are drawn again and the line fitted to the weighted medians.

    ``classic``: x = reference in bins of 0.1 (MJy/sr) from 0.25 to 2.0; the medians of the image in them against the middles of the bins;
    three passes of unweighted least squares that leave out 3 standard deviations. Errors: from the scatter of the bins about the line.
    """
    reference, image, valid = _checked(reference, image, mask, blank_zeros)
    _choices(method, kind, beam_pixels, n_boot)
    weight = None if coverage is None else _alike("coverage", coverage, image.shape, float)
    where = np.ones(image.shape, bool) if region is None else _alike("region", region, image.shape, bool)
    if method == "classic":
        return _classic(reference, image, valid, where if region is not None else None, kind, beam_pixels, percentiles, value_range, slope)
    cells, flags = _gathered(reference, image, valid, weight, where, kind, beam_pixels)
    flipped = kind == "external"
    x, y = (cells.image, cells.reference) if flipped else (cells.reference, cells.image)
    if value_range is None:
        given = percentiles or (_PERCENTILES[kind] if region is None else (15.0, 60.0))
        value_range = dynamic_range(x, given, region=cells.region)
    low, high = _ordered(value_range)
    inside = (x >= low) & (x <= high)
    found = _robust(x[inside], y[inside], cells.block[inside], flipped, slope, n_boot, seed)
    flags += ("few_bins",) if np.count_nonzero(found["bins"].used) < _FEWEST_BINS else ()
    flags += ("slope",) if slope is None and not found["slope"] > 3 * found["slope_err"] else ()
    return OffsetFit(
        **found,
        n_pixels=cells.n_pixels,
        n_cells=int(np.count_nonzero(inside)),
        beams=cells.beams,
        value_range=(low, high),
        range_axis="image" if flipped else "reference",
        coverage=cells.coverage,
        method=method,
        kind=kind,
        flags=flags,
    )


def classic_range(reference_name: str) -> tuple[float, float]:
    """Return the range of the reference, MJy/sr, that the published method uses: by whether its name says WISE 3."""
    return CLASSIC_RANGE_W3 if "w3" in reference_name.lower() else CLASSIC_RANGE


def _checked(reference: ArrayLike, image: ArrayLike, mask: ArrayLike | None, blank_zeros: bool) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    image = np.asarray(image, float)
    if image.ndim != 2 or not image.size:
        raise InputError(f"image: must be a 2-D array with at least one pixel, found shape {image.shape}")
    reference = _alike("reference", reference, image.shape, float)
    valid = np.isfinite(reference) & np.isfinite(image)
    if blank_zeros:
        valid &= (reference != 0) & (image != 0)
    if mask is not None:
        valid &= ~_alike("mask", mask, image.shape, bool)
    if not valid.any():
        raise CompareError("no_pixels", "no pixel has a value in both images: they do not overlap, or all is masked or blank")
    return reference, image, valid


def _alike(name: str, values: ArrayLike, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    array = np.asarray(values, dtype)
    if array.shape != shape:
        raise InputError(f"{name}: must have the shape of image, {shape}, found {array.shape}")
    return array


def _choices(method: str, kind: str, beam_pixels: float, n_boot: int) -> None:
    if method not in METHODS:
        raise InputError(f"method {method!r}: must be one of {', '.join(METHODS)}")
    if kind not in KINDS:
        raise InputError(f"kind {kind!r}: must be one of {', '.join(KINDS)}")
    if not 0 < beam_pixels < np.inf:
        raise InputError(f"beam_pixels {beam_pixels!r}: must be positive: the FWHM of the beam in pixels")
    if n_boot < 10:
        raise InputError(f"n_boot {n_boot!r}: must be at least 10")


def _ordered(value_range: tuple[float, float]) -> tuple[float, float]:
    low, high = (float(value) for value in value_range)
    if not -np.inf < low < high < np.inf:
        raise InputError(f"value_range {value_range!r}: must be two finite numbers, the lower one first")
    return low, high


def _gathered(
    reference: Floats,
    image: Floats,
    valid: NDArray[np.bool_],
    weight: Floats | None,
    region: NDArray[np.bool_],
    kind: str,
    beam: float,
) -> tuple[_Cells, tuple[str, ...]]:
    """Return the cells of the pixels with enough coverage, the lower limit tried where the first leaves too little."""
    for limit in _COVERAGES if weight is not None else (0.0,):
        used = valid if weight is None else valid & (weight >= limit)
        n, beams = int(np.count_nonzero(used)), np.count_nonzero(used) / beam**2
        if n >= _FEWEST_PIXELS and beams >= _FEWEST_BEAMS:
            flags = ("low_coverage",) if weight is not None and limit < _COVERAGES[0] else ()
            flags += ("few_beams",) if beams < _ENOUGH_BEAMS else ()
            return _averaged(reference, image, used, region, kind, beam, (n, beams, limit)), flags
    raise CompareError(
        "too_few_pixels",
        f"must have {_FEWEST_PIXELS} pixels and {_FEWEST_BEAMS:g} beams in common with coverage {limit:g}, found {n} and {beams:.1f}",
    )


def _averaged(
    reference: Floats,
    image: Floats,
    used: NDArray[np.bool_],
    region: NDArray[np.bool_],
    kind: str,
    beam: float,
    counts: tuple[int, float, float],
) -> _Cells:
    side = max(1, round(beam) if kind == "internal" else int(beam / 4))
    number = _blocks(used, side)
    share = number / side**2
    full = share >= _FILLED
    means = [_blocks(np.where(used, plane, 0.0), side)[full] / number[full] for plane in (reference, image)]
    rows, cols = np.nonzero(full)
    width = max(1, round(_BLOCK * beam / side))
    block = (rows // width) * (full.shape[1] // width + 1) + cols // width
    inside = _blocks(used & region, side)[full] >= 0.5 * number[full]
    return _Cells(*means, np.unique(block, return_inverse=True)[1], inside, *counts)


def _blocks(plane: NDArray[Any], side: int) -> Floats:
    """Return sums over squares of `side` pixels; those at the far edges may be smaller."""
    if side == 1:
        return plane.astype(float)
    sums = np.add.reduceat(plane.astype(float), np.arange(0, plane.shape[0], side), axis=0)
    return np.add.reduceat(sums, np.arange(0, plane.shape[1], side), axis=1)


def _robust(x: Floats, y: Floats, block: Ints, flipped: bool, slope: float | None, n_boot: int, seed: int) -> dict[str, Any]:
    """Fit y on x, binned in x, and return what there is to say of it as image on reference."""
    parts = _equal_parts(x)
    medians_x, medians_y, low, high, error = (np.array(values) for values in zip(*(_summary(x[p], y[p]) for p in parts), strict=True))
    error = np.maximum(error, 1e-3 * np.median(error) + 1e-9 * np.abs(medians_y).max() + 1e-300)
    given = None if slope is None else (1 / slope if flipped else slope)
    m, b, used = clipped_line(medians_x, medians_y, error, given)
    _has_slope(m, slope, flipped)
    drawn_x, drawn_y = _drawn(x, y, block, parts, n_boot, seed)
    ms, bs = line(drawn_x[:, used], drawn_y[:, used], error[used] ** -2, given)
    if flipped:
        ms = np.where(ms * np.sign(m) > 0.05 * abs(m), ms, 0.05 * m)
        (m, b), (ms, bs) = _inverse(m, b), _inverse(ms, bs)
    covariance = np.cov(ms, bs)
    residual = medians_y[used] - (b + m * medians_x[used] if not flipped else (medians_x[used] - b) / m)
    pair = (medians_y, medians_x) if flipped else (medians_x, medians_y)
    return {
        "slope": float(m),
        "intercept": float(b),
        "slope_err": float(np.sqrt(covariance[0, 0])),
        "intercept_err": float(np.sqrt(covariance[1, 1])),
        "covariance": float(covariance[0, 1]),
        "rms": float(residual.std()),
        "n_bins": int(np.count_nonzero(used)),
        "bins": OffsetBins(*pair, low, high, np.array([p.size for p in parts]), used),
    }


def _inverse(m: Any, b: Any) -> tuple[Any, Any]:
    return 1 / m, -b / m


def _has_slope(m: float, slope: float | None, flipped: bool) -> None:
    if slope is not None and not (np.isfinite(slope) and slope):
        raise InputError(f"slope {slope!r}: must be a finite number other than 0")
    if flipped and not m > 0:
        raise CompareError("no_slope", f"the reference does not grow with the image (slope {m:.3g}): no zero level can be told from it")


def _equal_parts(x: Floats) -> list[Ints]:
    """Return the indices of the points of each bin, equally many in order of x."""
    n = min(_MOST_BINS, x.size // _BIN_CELLS)
    if n < 2:
        code = "no_data_in_range" if x.size == 0 else "too_few_bins"
        raise CompareError(code, f"must have {2 * _BIN_CELLS} points in the range at least, found {x.size}")
    return np.array_split(np.argsort(x, kind="stable"), n)


def _summary(x: Floats, y: Floats) -> tuple[float, float, float, float, float]:
    middle = np.median(y)
    low, high = np.percentile(y, (16, 84))
    spread = 1.4826 * np.median(np.abs(y - middle))
    return float(np.median(x)), float(middle), float(low), float(high), float(1.2533 * spread / np.sqrt(y.size))


def _drawn(x: Floats, y: Floats, block: Ints, parts: list[Ints], n_boot: int, seed: int) -> tuple[Floats, Floats]:
    """Return the medians of every bin, shape (n_boot, bins), when blocks are drawn again with replacement."""
    rng, n_blocks = np.random.default_rng(seed), int(block.max()) + 1
    present = np.unique(block)
    times = np.zeros((n_boot, n_blocks), np.int32)
    times[:, present] = rng.multinomial(present.size, np.full(present.size, 1 / present.size), size=n_boot)
    made = np.empty((2, n_boot, len(parts)))
    for k, part in enumerate(parts):
        for axis, values in enumerate((x, y)):
            order = part[np.argsort(values[part], kind="stable")]
            made[axis, :, k] = _weighted_medians(values[order], times[:, block[order]])
    return made[0], made[1]


def _weighted_medians(values: Floats, times: NDArray[np.int32]) -> Floats:
    """Return medians of sorted values that occur so many times, shape (draws, n); all of them where a draw has none."""
    sums = np.cumsum(times, axis=1)
    total = sums[:, -1:]
    low = np.argmax(2 * sums >= total, axis=1)
    high = np.argmax(2 * sums > total, axis=1)
    return np.where(total[:, 0] > 0, (values[low] + values[high]) / 2, np.median(values))


def _classic(
    reference: Floats,
    image: Floats,
    valid: NDArray[np.bool_],
    region: NDArray[np.bool_] | None,
    kind: str,
    beam: float,
    percentiles: tuple[float, float] | None,
    value_range: tuple[float, float] | None,
    slope: float | None,
) -> OffsetFit:
    """Fit as published: bins of 0.1 in the reference, medians of the image, three passes."""
    x, y = reference[valid], image[valid]
    if value_range is None and (percentiles is not None or region is not None):
        value_range = dynamic_range(x, percentiles or (15.0, 60.0), region=None if region is None else region[valid])
    low, high = _ordered(value_range or CLASSIC_RANGE)
    bins = _fixed_bins(x, y, low, high)
    m, b, covariance, used = published_line(bins.x, bins.y, slope)
    kept = OffsetBins(bins.x, bins.y, bins.low, bins.high, bins.n, used)
    return OffsetFit(
        slope=m,
        intercept=b,
        slope_err=float(np.sqrt(covariance[0, 0])),
        intercept_err=float(np.sqrt(covariance[1, 1])),
        covariance=float(covariance[0, 1]),
        rms=float((bins.y - b - m * bins.x)[used].std()),
        n_pixels=x.size,
        n_cells=int(bins.n.sum()),
        n_bins=int(np.count_nonzero(used)),
        beams=x.size / beam**2,
        value_range=(low, high),
        range_axis="reference",
        coverage=0.0,
        bins=kept,
        method="classic",
        kind=kind,
        flags=("few_bins",) if np.count_nonzero(used) < _FEWEST_BINS else (),
    )


def _fixed_bins(x: Floats, y: Floats, low: float, high: float) -> OffsetBins:
    n = max(0, int(np.ceil((high - low - _CLASSIC_WIDTH) / _CLASSIC_WIDTH - 1e-9)))
    edges = low + _CLASSIC_WIDTH * np.arange(n + 1)
    number = np.searchsorted(edges, x, side="right") - 1
    number[x == edges[-1]] = n - 1
    order = np.argsort(number, kind="stable")
    starts = np.searchsorted(number[order], np.arange(n + 1))
    filled = [k for k in range(n) if starts[k + 1] > starts[k]]
    if len(filled) < 2:
        code = "no_data_in_range" if not filled else "too_few_bins"
        raise CompareError(
            code, f"must have points in two bins of {_CLASSIC_WIDTH:g} from {low:.4g} to {high:.4g}, found {len(filled)} of {n}"
        )
    parts = [y[order[starts[k] : starts[k + 1]]] for k in filled]
    low16, middle, high84 = np.array([np.percentile(part, (16, 50, 84)) for part in parts]).T
    middles = edges[filled] + _CLASSIC_WIDTH / 2
    return OffsetBins(middles, middle, low16, high84, np.array([part.size for part in parts]), np.ones(len(filled), bool))
