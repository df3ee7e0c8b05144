"""The robust line through the brightness of two images, with errors that know how far noise is correlated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ezarchive.compare.anchoring.dynamicrange import dynamic_range
from ezarchive.compare.anchoring.offsetcells import Cells
from ezarchive.compare.anchoring.offsetfit import FEWEST_BINS, OffsetBins, OffsetFit
from ezarchive.compare.anchoring.offsetline import huber_line
from ezarchive.compare.anchoring.psfkernels import FWHM_OF_SIGMA
from ezarchive.errors import CompareError, InputError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

PERCENTILES = {"external": (2.0, 95.0), "internal": (2.0, 60.0)}
REGION_PERCENTILES = (15.0, 60.0)
_NARROWER = (85.0, 70.0)
"""Upper percentiles to which a range may shrink where colours count for more than noise."""
_MOST_BINS, _BIN_CELLS = 15, 20
_WIDER = 2.0
"""How much wider than the beam correlations are looked for."""
_SHUNNED = 2.5
"""How many times over what colours may do counts where a range is chosen: more data do not make it smaller, as they do noise."""
_ENOUGH = 500
"""Independent patches of that size whose residuals tell the noise by themselves."""
_SIGNIFICANT = 3.0
_BENT = 2.5
_ROUNDING = 1e-6
"""Of the range of values: what single precision may do."""


def robust_fit(
    cells: Cells,
    kind: str,
    percentiles: tuple[float, float] | None,
    value_range: tuple[float, float] | None,
    slope: float | None,
    has_region: bool,
    colour: float = 0.0,
) -> OffsetFit:
    """Fit a line to cells (see `fit_offset`)."""
    flipped = kind == "external"
    x, y = (cells.image, cells.reference) if flipped else (cells.reference, cells.image)
    ranges = [value_range]
    if value_range is None:
        low, high = percentiles or (REGION_PERCENTILES if has_region else PERCENTILES[kind])
        shrinks = colour > 0 and flipped and percentiles is None and not has_region
        ranges = [dynamic_range(x, (low, upper), region=cells.region) for upper in ((high, *_NARROWER) if shrinks else (high,))]
    given = _given(slope, flipped)
    lines = [_fitted(cells, x, y, ranges[0], given, colour)]
    for limits in ranges[1:]:
        if _enough(x[_within(cells, x, limits)]):
            lines.append(_fitted(cells, x, y, limits, given, colour))
    return _described(cells, x, y, min(lines, key=lambda line: line.cost), kind, slope)


@dataclass(frozen=True, eq=False)
class _Line:
    """A line y = intercept + slope x through the cells of a range, and the covariance of slope and intercept."""

    inside: Bools
    limits: tuple[float, float]
    slope: float
    intercept: float
    covariance: Floats
    curved: bool
    allowed: float

    @property
    def cost(self) -> float:
        """The variance of where the line is 0, along x, and what colours may do, which counts for more (`_SHUNNED`)."""
        if not self.slope > 0:
            return np.inf
        change = np.array([self.intercept / self.slope, -1.0]) / self.slope
        return float(change @ self.covariance @ change) + (_SHUNNED**2 - 1) * self.allowed**2


def _fitted(cells: Cells, x: Floats, y: Floats, limits: tuple[float, float], given: float | None, colour: float) -> _Line:
    inside = _within(cells, x, limits)
    _equal_parts(x[inside])
    if not np.ptp(x[inside]):
        raise CompareError("no_range", f"the {np.count_nonzero(inside)} points in the range all have the same value, {x[inside][0]:g}")
    m, b, weight, _ = huber_line(x[inside], y[inside], given)
    covariance = _covariance(inside, x, y - b - m * x, weight, cells, given is None)
    bent, curved = _bend(inside, x, y, (m, b), covariance, cells) if given is None else (0.0, False)
    allowed = colour * (limits[1] - limits[0])
    extra = bent**2 + (m * allowed) ** 2
    return _Line(inside, limits, m, b, covariance + np.array([[0.0, 0.0], [0.0, extra]]), curved, allowed)


def _within(cells: Cells, x: Floats, limits: tuple[float, float]) -> Bools:
    return cells.used & (x >= limits[0]) & (x <= limits[1])


def _enough(x: Floats) -> bool:
    return x.size >= 2 * _BIN_CELLS and np.ptp(x) > 0


def _described(cells: Cells, x: Floats, y: Floats, line: _Line, kind: str, slope: float | None) -> OffsetFit:
    flipped, inside, m, b, covariance = kind == "external", line.inside, line.slope, line.intercept, line.covariance
    parts = _equal_parts(x[inside])
    bins = _bins(x[inside], y[inside], parts, flipped)
    residual = bins.x - b - m * bins.y if flipped else bins.y - b - m * bins.x
    if flipped:
        m, b, covariance = _turned(m, b, covariance)
    errors = np.sqrt(np.maximum(np.diag(covariance), 0))
    flags = cells.flags + (("few_bins",) if len(parts) < FEWEST_BINS else ())
    flags += ("curved",) if line.curved else ()
    flags += ("slope",) if slope is None and not m > _SIGNIFICANT * errors[0] else ()
    return OffsetFit(
        slope=m,
        intercept=b,
        slope_err=float(errors[0]),
        intercept_err=float(errors[1]),
        covariance=float(covariance[0, 1]),
        rms=float(residual.std()),
        n_pixels=cells.n_pixels,
        n_cells=int(np.count_nonzero(inside)),
        n_bins=len(parts),
        beams=cells.beams,
        value_range=(float(line.limits[0]), float(line.limits[1])),
        range_axis="image" if flipped else "reference",
        coverage=cells.coverage,
        bins=bins,
        method="robust",
        kind=kind,
        flags=flags,
    )


def _given(slope: float | None, flipped: bool) -> float | None:
    if slope is None:
        return None
    if not (np.isfinite(slope) and slope > 0):
        raise InputError(f"slope {slope!r}: must be positive and finite")
    return 1 / slope if flipped else float(slope)


def _covariance(inside: Bools, x: Floats, residual: Floats, weight: Floats, cells: Cells, free: bool) -> Floats:
    """Return the covariance (2, 2) of slope and intercept of a weighted line: of two, the one that is seen, or the larger one.

    Notes
    -----
    (A'WA)^-1 A'W C W A (A'WA)^-1 with A = (x, 1). C is, on the one hand, what noise of the beam has: s^2 exp(-d^2 / (4 sigma^2)) at a
    distance d, sigma that of the beam; s^2 of the residuals, corrected for the parameters. On the other, the products of the residuals
    themselves within twice that distance (Conley 1999, J. Econometrics 92, 1), which know structure that the line does not describe, and
    noise that is not correlated over the beam. Where there are five hundred such patches these are believed; where fewer, the larger one.
    """
    columns = [x, np.ones(x.shape)] if free else [np.ones(x.shape)]
    own = weight * residual[inside]
    variance = float((weight * residual[inside] ** 2).sum() / weight.sum())
    spread = np.sqrt(2) * cells.beam / FWHM_OF_SIGMA
    independent = weight.size / max(1.0, 2 * np.pi * spread**2)
    variance *= independent / max(independent - len(columns), 1.0)
    flat = [column[inside] for column in columns]
    normal = np.linalg.pinv(np.array([[(weight * p * q).sum() for p in flat] for q in flat]))
    noise = normal @ _pairs(inside, [weight * p for p in flat], spread) @ normal * variance
    seen = normal @ _pairs(inside, [own * p for p in flat], _WIDER * spread) @ normal
    patches = weight.size / max(1.0, 2 * np.pi * (_WIDER * spread) ** 2)
    found = seen if patches >= _ENOUGH or seen[-1, -1] > noise[-1, -1] else noise
    return found if free else np.array([[0.0, 0.0], [0.0, found[0, 0]]])


def _bend(inside: Bools, x: Floats, y: Floats, fitted: tuple[float, float], covariance: Floats, cells: Cells) -> tuple[float, bool]:
    """Return by how much the intercept changes if the fainter half alone is fitted, and whether noise does not do that: else 0."""
    faint = inside & (x <= np.median(x[inside]))
    if np.count_nonzero(faint) < 2 * _BIN_CELLS or not np.ptp(x[faint]):
        return 0.0, False
    m, b, weight, _ = huber_line(x[faint], y[faint])
    own = _covariance(faint, x, y - b - m * x, weight, cells, True)
    variance = max(own[1, 1] - covariance[1, 1], 0.25 * own[1, 1], (_ROUNDING * np.ptp(y[inside])) ** 2)
    change = (b - fitted[1]) ** 2
    if change <= _BENT**2 * variance:
        return 0.0, False
    return float(np.sqrt(change - variance)), True


def _pairs(inside: Bools, values: list[Floats], spread: float) -> Floats:
    """Return the sums over pairs of cells of the products of values times exp(-d^2 / (2 spread^2)), symmetric."""
    planes = []
    for value in values:
        plane = np.zeros(inside.shape)
        plane[inside] = value
        planes.append(plane)
    wide = [gaussian_filter(plane, spread, mode="constant", truncate=4.0) for plane in planes]
    middle = np.zeros((2 * int(4 * spread + 1) + 1,) * 2)
    middle[middle.shape[0] // 2, middle.shape[1] // 2] = 1.0
    peak = gaussian_filter(middle, spread, mode="constant", truncate=4.0).max()
    sums = np.array([[(p * q).sum() for p in planes] for q in wide]) / peak
    return (sums + sums.T) / 2


def _turned(m: float, b: float, covariance: Floats) -> tuple[float, float, Floats]:
    """Return the line reference = b + m image as image on reference."""
    if not m > 0:
        raise CompareError("no_slope", f"the reference does not grow with the image (slope {m:.3g}): no zero level can be told from it")
    change = np.array([[-1 / m**2, 0.0], [b / m**2, -1 / m]])
    return 1 / m, -b / m, change @ covariance @ change.T


def _equal_parts(x: Floats) -> list[NDArray[np.int64]]:
    """Return the indices of the points of each bin, equally many in order of x."""
    n = min(_MOST_BINS, x.size // _BIN_CELLS)
    if n < 2:
        code = "no_data_in_range" if x.size == 0 else "too_few_bins"
        raise CompareError(code, f"the range must hold {2 * _BIN_CELLS} points at least, found {x.size}")
    return np.array_split(np.argsort(x, kind="stable"), n)


def _bins(x: Floats, y: Floats, parts: list[NDArray[np.int64]], flipped: bool) -> OffsetBins:
    middles = np.array([np.median(x[part]) for part in parts])
    low, medians, high = np.array([np.percentile(y[part], (16, 50, 84)) for part in parts]).T
    pair = (medians, middles) if flipped else (middles, medians)
    return OffsetBins(*pair, low, high, np.array([part.size for part in parts]), np.ones(len(parts), bool))
