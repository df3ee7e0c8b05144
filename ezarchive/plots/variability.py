"""Many objects by how they vary: von Neumann's eta against the reduced chi-square, with the outliers named."""

# ruff: noqa: PLC0415 - importing this module must not import matplotlib
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ezarchive.errors import InputError
from ezarchive.plots.common import RED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MANY = 20_000
_MOST_NAMED = 30
_TOP = 4.0


def variability_plane(
    chi2_reduced: ArrayLike,
    eta: ArrayLike,
    *,
    mag: ArrayLike | None = None,
    named: Sequence[int] = (),
    names: Sequence[str] = (),
    title: str | None = None,
) -> Figure:
    """Draw the variability plane: constant stars gather at (1, 2), smooth variables lie at the lower right, fast ones to the right.

    Parameters
    ----------
    chi2_reduced, eta : array_like (n,)
        Of each object, as in ``columns.OBJECT_FILTER``; rows that lack either are left out, and counted in the title of the axes.
    mag : array_like (n,), optional
        Mean magnitudes, which colour the points (of more than 20,000 the density is drawn instead).
    named : sequence of int
        Rows that are ringed and numbered, at most 30.
    names : sequence of str
        Their names, listed beside the axes.
    title : str, optional
        Above all.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If the arrays, or ``named`` and ``names``, differ in length, or too many are named.
    """
    from matplotlib.figure import Figure

    chi2, eta = (np.atleast_1d(np.asarray(values, float)) for values in (chi2_reduced, eta))
    mag = np.full(chi2.shape, np.nan) if mag is None else np.atleast_1d(np.asarray(mag, float))
    if not chi2.shape == eta.shape == mag.shape or chi2.ndim != 1:
        raise InputError(f"chi2_reduced, eta, mag: must be of one length, found shapes {(chi2.shape, eta.shape, mag.shape)}")
    if len(named) != len(names) or len(named) > _MOST_NAMED:
        raise InputError(f"named, names: must be as many, at most {_MOST_NAMED}, found {len(named)} and {len(names)}")
    figure = Figure(figsize=(9.5, 6), layout="constrained")
    axes = figure.add_subplot()
    shown = np.isfinite(chi2) & np.isfinite(eta) & (chi2 > 0)
    # What lies above the axes is drawn at its edge: no object is lost.
    height = np.minimum(eta, _TOP)
    _draw(figure, axes, chi2, height, mag, shown)
    axes.axvline(1, color="0.5", lw=0.8, ls="--", zorder=1)
    axes.axhline(2, color="0.5", lw=0.8, ls="--", zorder=1)
    _name(axes, chi2, height, [row for row in named if shown[row]], named)
    axes.set_xscale("log")
    axes.set_ylim(-0.08, min(_TOP, max(2.6, float(np.max(height[shown], initial=0)) + 0.1)) + 0.05)
    axes.set_xlabel("reduced $\\chi^2$ against constancy")
    axes.set_ylabel("von Neumann $\\eta$ (2: noise, 0: smooth)")
    left = f" ({(~shown).sum()} without these numbers)" if (~shown).any() else ""
    axes.set_title(f"{shown.sum()} light curves{left}", fontsize=9)
    axes.grid(color="0.92", lw=0.6)
    axes.set_axisbelow(True)
    if len(names):
        lines = "\n".join(f"{place:>2}  {name}" for place, name in enumerate(names, start=1))
        figure.text(1.0, 0.5, "\n".join(["most variable", lines]), ha="left", va="center", fontsize=8, family="monospace", linespacing=1.5)
        _widen(figure, names)
    if title:
        figure.suptitle(title)
    return figure


def _draw(figure: Figure, axes: Axes, chi2: NDArray, eta: NDArray, mag: NDArray, shown: NDArray[np.bool_]) -> None:
    if not shown.any():
        axes.text(0.5, 0.5, "nothing to draw", transform=axes.transAxes, ha="center", color="0.4")
        return
    if shown.sum() > _MANY:
        from matplotlib import colormaps
        from matplotlib.colors import ListedColormap

        ramp = ListedColormap(colormaps["Greys"](np.linspace(0.35, 1, 200)))
        drawn = axes.hexbin(chi2[shown], eta[shown], xscale="log", gridsize=90, bins="log", cmap=ramp, mincnt=1, lw=0.1, zorder=2)
        figure.colorbar(drawn, ax=axes, label="light curves", fraction=0.05, aspect=30, pad=0.01)
        return
    told = shown & np.isfinite(mag)
    size = float(np.clip(900 / max(shown.sum(), 1) ** 0.6, 4, 26))
    axes.plot(chi2[shown & ~told], eta[shown & ~told], "o", ms=size**0.5, mew=0, color="0.6", zorder=2)
    if told.any():
        points = axes.scatter(chi2[told], eta[told], c=mag[told], s=size, cmap="viridis", lw=0, zorder=3)
        bar = figure.colorbar(points, ax=axes, label="mean magnitude", fraction=0.05, aspect=30, pad=0.01)
        bar.ax.invert_yaxis()


def _name(axes: Axes, chi2: NDArray, eta: NDArray, rows: Sequence[int], named: Sequence[int]) -> None:
    """Ring the rows and write their places in the list beside them."""
    axes.plot(chi2[rows], eta[rows], "o", ms=9, mfc="none", mec=RED, mew=1.1, ls="none", zorder=4)
    place_of = {row: place for place, row in enumerate(named, start=1)}
    for row in rows:
        axes.annotate(
            str(place_of[row]), (chi2[row], eta[row]), xytext=(6, 4), textcoords="offset points", fontsize=8, color=RED, zorder=5
        )  # fmt: skip


def _widen(figure: Figure, names: Sequence[str]) -> None:
    """Make room at the right for the list."""
    width, height = figure.get_size_inches()
    room = 0.085 * (max(len(str(name)) for name in names) + 5)
    figure.set_size_inches(width + room, height)
    share = width / (width + room)
    figure.get_layout_engine().set(rect=(0, 0, share, 1))
    figure.texts[0].set_position((share + 0.01, 0.5))
