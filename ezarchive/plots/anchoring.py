"""One band against its reference in a picture: every pixel, the bins, and the line whose intercept is the zero level."""

# ruff: noqa: PLC0415 - importing this module must not import matplotlib
from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ezarchive.errors import InputError
from ezarchive.plots.common import HUES, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FEW = 5000
"""Pixels up to which each is drawn; more become a map of their density."""
_CELLS = 150
_TAIL = 0.5
_BINS, _LINE = "#B4321E", HUES[0]


def figure(
    fit: Any,
    reference: ArrayLike,
    image: ArrayLike,
    *,
    coverage: ArrayLike | None = None,
    labels: tuple[str, str] = ("reference", "image"),
    unit: str = "MJy/sr",
) -> Figure:
    """Draw a fit of an image against a reference.

    Parameters
    ----------
    fit : OffsetFit
        Of ``compare.anchoring.offsets.fit_offset``.
    reference, image : array_like, shape (ny, nx)
        On the same pixels; pixels that are not finite in both are left out.
    coverage : array_like, shape (ny, nx), optional
        Pixels below ``fit.coverage`` are left out.
    labels : (str, str)
        What reference and image are called.
    unit : str
        Of both; empty: not known.

    Returns
    -------
    matplotlib.figure.Figure
        Pixels in grey (their density, where they are many), medians and 16th to 84th percentiles of the bins, those that the fit left out
        open, the line, and the range that was fitted; the numbers in a box. The axes follow the data.

    Raises
    ------
    InputError
        If the arrays are not of one shape or have no pixel in common.
    """
    from matplotlib.figure import Figure

    x, y = _pixels(fit, reference, image, coverage)
    drawn = Figure(figsize=(5, 4), layout="constrained")
    axes = drawn.subplots()
    limits = _limits(x, fit, "x"), _limits(y, fit, "y")
    _cloud(axes, x, y, limits)
    _bins(axes, fit)
    ends = np.array(limits[0])
    axes.plot(ends, fit.intercept + fit.slope * ends, "--", color=_LINE, lw=1.2, zorder=5)
    _range(axes, fit)
    axes.set(xlim=limits[0], ylim=limits[1])
    for axis, label in zip((axes.xaxis, axes.yaxis), labels, strict=True):
        axis.set_label_text(f"{label} ({unit})" if unit else label, parse_math=False)
    _box(axes, fit, labels)
    return drawn


def save_anchoring(paths: Iterable[str | Path], fit: Any, reference: ArrayLike, image: ArrayLike, **options: Any) -> list[Path]:
    """Write the figure of a fit to files, each whole or not at all; parameters as of `figure`, 300 dots per inch.

    Raises
    ------
    InputError
        As `figure`, or if a suffix is not ``.png``, ``.pdf`` or ``.svg``.
    """
    drawn = figure(fit, reference, image, **options)
    return [save(drawn, path, dpi=300) for path in paths]


def _pixels(fit: Any, reference: ArrayLike, image: ArrayLike, coverage: ArrayLike | None) -> tuple[NDArray, NDArray]:
    x, y = np.asarray(reference, float), np.asarray(image, float)
    if x.shape != y.shape:
        raise InputError(f"image: must have the shape of the reference, {x.shape}, found {y.shape}")
    good = np.isfinite(x) & np.isfinite(y)
    if coverage is not None:
        good &= np.asarray(coverage) >= fit.coverage
    if not good.any():
        raise InputError("reference, image: must have a pixel in common, found none")
    return x[good], y[good]


def _limits(values: NDArray, fit: Any, axis: str) -> tuple[float, float]:
    """Return what nearly all pixels lie within, but no more than the bins' width to either side of the bins."""
    low, high = np.percentile(values, [_TAIL, 100 - _TAIL])
    binned = getattr(fit.bins, axis)
    if len(binned):
        first, last = np.min(binned), np.max(binned)
        low, high = min(max(low, 2 * first - last), first), max(min(high, 2 * last - first), last)
    room = 0.06 * (high - low) or 1.0
    return float(low - room), float(high + room)


def _cloud(axes: Axes, x: NDArray, y: NDArray, limits: tuple[tuple[float, float], tuple[float, float]]) -> None:
    if len(x) <= _FEW:
        axes.plot(x, y, ".", color="0.6", ms=2, mew=0, rasterized=True, zorder=1)
        return
    from matplotlib.colors import LogNorm

    counts, xs, ys = np.histogram2d(x, y, bins=_CELLS, range=limits)
    counts = np.ma.masked_equal(counts.T, 0)
    axes.pcolormesh(xs, ys, counts, cmap=_greys(), norm=LogNorm(1, max(float(counts.max()), 2.0)), rasterized=True, zorder=1)


def _greys() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("pixels", ["0.90", "0.45"])


def _bins(axes: Axes, fit: Any) -> None:
    bins, across = fit.bins, fit.range_axis == "image"
    centre = bins.x if across else bins.y
    spread = np.maximum(np.array([centre - bins.low, bins.high - centre]), 0)
    for part, filled in ((bins.used, True), (~bins.used, False)):
        if part.any():
            axes.errorbar(
                bins.x[part], bins.y[part], **{"xerr" if across else "yerr": spread[:, part]}, fmt="o", ms=4, color=_BINS,
                mfc=_BINS if filled else "white", elinewidth=0.9, capsize=0, zorder=4,
            )  # fmt: skip


def _range(axes: Axes, fit: Any) -> None:
    draw = axes.axhline if fit.range_axis == "image" else axes.axvline
    for value in fit.value_range:
        draw(value, color="0.3", lw=0.6, ls=":", zorder=2)


def _box(axes: Axes, fit: Any, labels: tuple[str, str]) -> None:
    lines = [
        f"{labels[1]} = {fit.intercept:.4f} ± {fit.intercept_err:.4f}",
        f"   + ({fit.slope:.4f} ± {fit.slope_err:.4f}) × {labels[0]}",
        f"{fit.n_bins} bins, {fit.n_pixels} pixels" + (f", {', '.join(fit.flags).replace('_', ' ')}" if fit.flags else ""),
    ]
    if not np.isfinite(fit.intercept_err):
        lines[:2] = [f"{labels[1]} = {fit.intercept:.4f}", f"   + {fit.slope:.4f} × {labels[0]}"]
    box = {"boxstyle": "round", "fc": "white", "ec": "0.7", "alpha": 0.85}
    place = (0.03, 0.97, "left", "top") if fit.slope >= 0 else (0.97, 0.97, "right", "top")
    axes.text(
        place[0], place[1], "\n".join(lines), transform=axes.transAxes, ha=place[2], va=place[3], fontsize=7.5, bbox=box, zorder=6,
        parse_math=False,
    )  # fmt: skip
