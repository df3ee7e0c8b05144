"""The published line through the brightness of two images: fixed bins of the reference, medians of the image, three passes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ezarchive.compare.anchoring.dynamicrange import dynamic_range
from ezarchive.compare.anchoring.offsetfit import FEWEST_BINS, OffsetBins, OffsetFit
from ezarchive.compare.anchoring.offsetline import published_line
from ezarchive.errors import CompareError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

CLASSIC_RANGE, CLASSIC_RANGE_W3 = (0.25, 2.0), (0.0, 0.8)
"""MJy/sr, of the reference; the second where its name has ``w3`` in it."""
_WIDTH = 0.1
_REGION_PERCENTILES = (15.0, 60.0)


def classic_range(reference_name: str) -> tuple[float, float]:
    """Return the range of the reference, MJy/sr, that the published method uses: by whether its name says WISE 3."""
    return CLASSIC_RANGE_W3 if "w3" in reference_name.lower() else CLASSIC_RANGE


def classic_fit(
    reference: Floats,
    image: Floats,
    valid: Bools,
    region: Bools | None,
    kind: str,
    beam: float,
    percentiles: tuple[float, float] | None,
    value_range: tuple[float, float] | None,
    slope: float | None,
) -> OffsetFit:
    """Fit as published: bins of 0.1 in the reference, medians of the image, three passes."""
    x, y = reference[valid], image[valid]
    if value_range is None and (percentiles is not None or region is not None):
        value_range = dynamic_range(x, percentiles or _REGION_PERCENTILES, region=None if region is None else region[valid])
    low, high = value_range or CLASSIC_RANGE
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
        flags=("few_bins",) if np.count_nonzero(used) < FEWEST_BINS else (),
    )


def _fixed_bins(x: Floats, y: Floats, low: float, high: float) -> OffsetBins:
    n = max(0, int(np.ceil((high - low - _WIDTH) / _WIDTH - 1e-9)))
    edges = low + _WIDTH * np.arange(n + 1)
    number = np.searchsorted(edges, x, side="right") - 1
    number[x == edges[-1]] = n - 1
    order = np.argsort(number, kind="stable")
    starts = np.searchsorted(number[order], np.arange(n + 1))
    filled = [k for k in range(n) if starts[k + 1] > starts[k]]
    if len(filled) < 2:
        code = "no_data_in_range" if not filled else "too_few_bins"
        raise CompareError(code, f"must have points in two bins of {_WIDTH:g} from {low:.4g} to {high:.4g}, found {len(filled)} of {n}")
    parts = [y[order[starts[k] : starts[k + 1]]] for k in filled]
    low16, middle, high84 = np.array([np.percentile(part, (16, 50, 84)) for part in parts]).T
    middles = edges[filled] + _WIDTH / 2
    return OffsetBins(middles, middle, low16, high84, np.array([part.size for part in parts]), np.ones(len(filled), bool))
