"""What is done to the nodes of a mesh: boxes without values are filled, all are median-filtered."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def fill_poor_boxes(level: np.ndarray, rms: np.ndarray) -> None:
    """Give boxes without values the mean of the nearest ones that have some (in place)."""
    poor = np.isnan(level)
    if not poor.any() or poor.all():
        return
    y, x = np.nonzero(~poor)
    known = level[y, x], rms[y, x]
    for row, column in np.argwhere(poor):
        distance2 = (y - row) ** 2 + (x - column) ** 2
        nearest = distance2 == distance2.min()
        level[row, column], rms[row, column] = (values[nearest].mean() for values in known)


def median_filtered(nodes: np.ndarray, size: int) -> np.ndarray:
    """Return the median around each node, over windows that shrink symmetrically towards the edges."""
    ny, nx = nodes.shape
    half = size // 2
    reach_y, reach_x = (np.minimum(half, np.minimum(np.arange(n), n - 1 - np.arange(n))) for n in (ny, nx))
    out = np.empty_like(nodes)
    for dy in np.unique(reach_y):
        for dx in np.unique(reach_x):
            medians = np.median(sliding_window_view(nodes, (2 * dy + 1, 2 * dx + 1)), axis=(2, 3))
            rows, cols = np.flatnonzero(reach_y == dy), np.flatnonzero(reach_x == dx)
            out[np.ix_(rows, cols)] = medians[np.ix_(rows - dy, cols - dx)]
    return out


def typical_noise(rms: np.ndarray) -> float:
    """Return the median over boxes, or over those with any noise if most have none, as SExtractor does."""
    noise = float(np.median(rms))
    return noise if noise > 0 or not rms.any() else float(np.median(rms[rms > 0]))
