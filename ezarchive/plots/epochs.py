"""Stamps of one place through time, framed by what was found on each."""

# ruff: noqa: PLC0415 - importing this module must not import matplotlib
from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ezarchive.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STATUSES = ("detected", "forced", "negative", "not detected", "not measured", "outside")
"""What can be found of a place on a frame."""
_COLOURS = {
    "detected": "#009E73", "forced": "#0072B2", "negative": "#CC79A7", "not detected": "#D55E00", "not measured": "#B79F00",
    "outside": "0.6",
}  # fmt: skip
_DASHED = ("not detected", "not measured", "outside")
_MOST = 120
_FAINT, _BRIGHT, _BEND = -2.5, 60.0, 3.0
_EMPTY = "0.93"


class Stamp(NamedTuple):
    """One picture.

    Attributes
    ----------
    pixels : ndarray (ny, nx) or None
        North up, east to the left, the place in the middle; NaN where there is no image. None where nothing could be read.
    status : str
        One of `STATUSES`.
    title : str
        Above it, one or two lines.
    note : str
        In the middle of a stamp without pixels: why.
    """

    pixels: NDArray | None
    status: str
    title: str = ""
    note: str = ""


def epoch_stamps(stamps: Sequence[Stamp], *, radius: float | None = None, columns: int = 8, title: str | None = None) -> Figure:
    """Draw stamps in rows, each on a scale of its own noise (bent for bright pixels), so that frames of any depth can be compared.

    Parameters
    ----------
    stamps : sequence of Stamp
        In time, at most 120.
    radius : float, optional
        Of a circle around the place, as a share of half a stamp's side.
    columns : int
        Stamps in a row.
    title : str, optional
        Above all.

    Returns
    -------
    matplotlib.figure.Figure
        Frame and circle tell the status: full lines for measurements, dashed ones where nothing is known of the place; a legend counts.

    Raises
    ------
    InputError
        If there are too many, a status is unknown, or ``columns`` is not positive.
    """
    from matplotlib.figure import Figure

    _check(stamps, columns)
    n = len(stamps)
    wide = max(1, min(columns, n))
    rows = max(1, -(-n // wide))
    figure = Figure(figsize=(max(1.45 * wide, 4.5) + 0.2, 1.68 * rows + (1.1 if title else 0.7)), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.04, wspace=0.02, hspace=0.02)
    grid = figure.subplots(rows, wide, squeeze=False)
    for axes in grid.flat[n:]:
        axes.set_axis_off()
    for axes, stamp in zip(grid.flat, stamps, strict=False):
        _draw(axes, stamp, radius)
    if not n:
        grid[0, 0].text(0.5, 0.5, "nothing to draw", transform=grid[0, 0].transAxes, ha="center", color="0.4")
    _legend(figure, stamps)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def _check(stamps: Sequence[Stamp], columns: int) -> None:
    if len(stamps) > _MOST:
        raise InputError(f"stamps: must be at most {_MOST}, found {len(stamps)}")
    if isinstance(columns, bool) or not isinstance(columns, (int, np.integer)) or columns < 1:
        raise InputError(f"columns {columns!r}: must be a whole number from 1")
    for stamp in stamps:
        if stamp.status not in STATUSES:
            raise InputError(f"stamps: holds the status {stamp.status!r}; must be one of {', '.join(STATUSES)}")
        if stamp.pixels is not None and np.ndim(stamp.pixels) != 2:
            raise InputError(f"stamps: holds pixels of shape {np.shape(stamp.pixels)}; must be (ny, nx)")


def in_noise(pixels: NDArray) -> NDArray[np.float64]:
    """Return pixels above their median in units of their noise, both of the clipped pixels; NaN stays."""
    pixels = np.asarray(pixels, float)
    finite = np.isfinite(pixels)
    if not finite.any():
        return np.full(pixels.shape, np.nan)
    good = pixels[finite]
    for _ in range(5):
        centre = np.median(good)
        sigma = 1.4826 * np.median(np.abs(good - centre))
        kept = good[np.abs(good - centre) <= 3 * sigma]
        if len(kept) in (0, len(good)):
            break
        good = kept
    return (pixels - centre) / (sigma if sigma > 0 else 1.0)


def _draw(axes: Axes, stamp: Stamp, radius: float | None) -> None:
    from matplotlib.patches import Circle

    colour, style = _COLOURS[stamp.status], ("--" if stamp.status in _DASHED else "-")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_box_aspect(1)
    axes.set_facecolor(_EMPTY)
    axes.set_title(stamp.title, fontsize=7, pad=2.5, linespacing=1.15)
    for spine in axes.spines.values():
        spine.set(color=colour, lw=1.8, ls=style)
    there = stamp.pixels is not None and np.isfinite(stamp.pixels).any()
    if there:
        low, high = np.arcsinh([_FAINT / _BEND, _BRIGHT / _BEND])
        ny, nx = np.shape(stamp.pixels)
        axes.imshow(
            np.arcsinh(in_noise(stamp.pixels) / _BEND), origin="lower", cmap="gray_r", vmin=low, vmax=high, interpolation="nearest",
            extent=(-1, 1, -ny / nx, ny / nx), aspect="auto",
        )  # fmt: skip
    else:
        axes.set_xlim(-1, 1)
        axes.set_ylim(-1, 1)
    note = stamp.note or ("" if there else stamp.status)
    if note and not there:
        axes.text(0, 0, note, ha="center", va="center", fontsize=7, color="0.35", wrap=True)
    if radius is not None and there:
        axes.add_patch(Circle((0, 0), radius, fill=False, ec=colour, lw=1.0, ls=style))


def _legend(figure: Figure, stamps: Sequence[Stamp]) -> None:
    from matplotlib.lines import Line2D

    counts = Counter(stamp.status for stamp in stamps)
    entries = [
        Line2D([], [], color=_COLOURS[name], lw=2.2, ls="--" if name in _DASHED else "-", label=f"{name} ({counts[name]})")
        for name in STATUSES
        if counts[name]
    ]
    if entries:
        columns = max(1, int(figure.get_size_inches()[0] / 1.6))
        figure.legend(handles=entries, loc="outside lower center", ncols=min(len(entries), columns), frameon=False, fontsize=8)
