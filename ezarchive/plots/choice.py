"""A choice among frames as a figure: what was kept and what was not, in the plane of seeing and depth."""

# ruff: noqa: PLC0415 - importing this module must not import matplotlib
from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_KEPT, _LEFT = "#0072B2", "0.6"


def quality(
    seeing: ArrayLike,
    depth: ArrayLike,
    score: ArrayLike,
    kept: ArrayLike,
    *,
    limits: tuple[float | None, float | None] = (None, None),
    title: str | None = None,
) -> Figure:
    """Draw frames by seeing and depth with their histograms; those that were chosen are coloured by their score.

    Parameters
    ----------
    seeing, depth : array_like (n,)
        Arcsec, mag; NaN where unknown (such frames are counted in the legend, they have no place in the plane).
    score : array_like (n,)
        NaN for frames without one.
    kept : array_like of bool (n,)
        Which were chosen.
    limits : pair of float or None
        Largest seeing, least depth.
    title : str, optional
        Above the axes.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.figure import Figure

    seeing, depth, score = (np.asarray(values, float) for values in (seeing, depth, score))
    kept = np.asarray(kept, bool)
    figure = Figure(figsize=(7.5, 6.4), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(4, 1), height_ratios=(1, 4))
    axes = figure.add_subplot(grid[1, 0])
    top, side = figure.add_subplot(grid[0, 0], sharex=axes), figure.add_subplot(grid[1, 1], sharey=axes)
    known = np.isfinite(seeing) & np.isfinite(depth)
    lost = int((~known & ~kept).sum())
    axes.plot(*(values[known & ~kept] for values in (seeing, depth)), "o", color=_LEFT, ms=4, mew=0, label=f"{(~kept).sum()} not chosen")
    if lost:
        axes.plot([], [], ls="none", label=f"({lost} of unknown seeing or depth)")
    points = axes.scatter(
        seeing[known & kept], depth[known & kept], c=score[known & kept], cmap="viridis", s=30, lw=0.4, ec="k", label=f"{kept.sum()} chosen"
    )
    figure.colorbar(points, ax=side, label="score", fraction=0.3, aspect=24)
    for value, line in zip(limits, (axes.axvline, axes.axhline), strict=True):
        if value is not None:
            line(value, color="0.3", lw=0.8, ls="--")
    _histograms(top, side, seeing, depth, kept)
    axes.set_xlabel("seeing (arcsec)")
    axes.set_ylabel("depth (mag)")
    axes.legend(frameon=False, fontsize=8)
    if title:
        figure.suptitle(title, fontsize=10)
    return figure


def _histograms(top: object, side: object, seeing: np.ndarray, depth: np.ndarray, kept: np.ndarray) -> None:
    for axes, values, way in ((top, seeing, "vertical"), (side, depth, "horizontal")):
        there = np.isfinite(values)
        if there.any():
            bins = np.histogram_bin_edges(values[there], bins=min(30, max(8, int(there.sum() ** 0.5))))
            axes.hist([values[there & kept], values[there & ~kept]], bins, stacked=True, color=(_KEPT, _LEFT), orientation=way)
        axes.tick_params(labelbottom=way == "horizontal", labelleft=way == "vertical")
        axes.spines[["top", "right"]].set_visible(False)
