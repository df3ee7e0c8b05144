"""Curves measured on an image: growth, radial profile, rows and columns, cuts."""

# ruff: noqa: PLC0415 - importing this module must not import matplotlib
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ezarchive.errors import InputError
from ezarchive.plots.common import HUES, RED, checked_size, colours, describe, numbers, set_heading

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
Size = tuple[float, float]

_BLUE, _GREY = HUES[0], "#666666"
_MANY = 3000


def growth_curve(
    radius: ArrayLike,
    total: ArrayLike,
    err: ArrayLike | None = None,
    *,
    unit: str = "",
    axis: str = "Radius",
    marks: Mapping[str, float] | None = None,
    label: str = "",
    title: str | None = None,
    size: Size | None = None,
) -> Figure:
    """Draw what apertures of rising size hold.

    Parameters
    ----------
    radius, total : array_like (n,)
        Sizes in pixels, and the sums within.
    err : array_like (n,), optional
        Standard deviations of the sums.
    unit : str
        Of the sums.
    axis : str
        What the size is, as "Radius" or "Semi-axis a".
    marks : mapping of str to float, optional
        Sizes with a name, as ``{"R50": 3.2}``; those that are not finite are left out.
    label : str
        Of the curve.
    title : str, optional
    size : (float, float), optional
        Width and height in inches; by default 7 by 4.5.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If the columns are not of one length, or an argument is none of the above.
    """
    radius, total = _columns(radius=radius, total=total)
    figure, axes = _panel(size)
    axes.axhline(0, color="#BBBBBB", lw=0.8)
    _points(axes, radius, total, err, line=True, label=label or None)
    for (name, place), style in zip(_finite_marks(marks), ["--", ":", "-."] * 9, strict=False):
        axes.axvline(place, color=_GREY, lw=1, ls=style, label=f"{name} = {place:.4g} pixel")
    axes.set_xlim(left=0)
    return _finish(figure, axes, f"{axis} (pixel)", f"Sum{_in(unit)}", title)


def radial_profile(
    radius: ArrayLike,
    value: ArrayLike,
    err: ArrayLike | None = None,
    *,
    raw: bool = False,
    unit: str = "",
    curve: tuple[ArrayLike, ArrayLike] | None = None,
    curve_label: str | None = None,
    fwhm: float | None = None,
    background: float | None = None,
    title: str | None = None,
    size: Size | None = None,
) -> Figure:
    """Draw how bright a source is at a distance from its centre.

    Parameters
    ----------
    radius, value : array_like (n,)
        Distances in pixels, and means over rings, or single pixels.
    err : array_like (n,), optional
        Standard deviations.
    raw : bool
        Each point is a pixel.
    unit : str
        Of the values.
    curve : pair of array_like, optional
        Distances and values of a model.
    curve_label : str, optional
        Its name.
    fwhm : float, optional
        The full width at half maximum in pixels: half of it is marked, and written.
    background : float, optional
        A level to draw.
    title : str, optional
    size : (float, float), optional
        Width and height in inches; by default 7 by 4.5.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If the columns are not of one length, or an argument is none of the above.
    """
    radius, value = _columns(radius=radius, value=value)
    figure, axes = _panel(size)
    axes.axhline(0, color="#BBBBBB", lw=0.8)
    if background is not None:
        axes.axhline(background, color=HUES[2], lw=1.2, ls=":", label="background", zorder=3)
    if raw:
        many = len(radius) > _MANY
        axes.plot(radius, value, ".", color=_BLUE, ms=2.5 if many else 4, mew=0, alpha=0.6, rasterized=many, label="pixels")
    else:
        _points(axes, radius, value, err, line=curve is None, label="mean of ring" if curve is not None else None)
    if curve is not None:
        model_radius, model = _columns(radius=curve[0], curve=curve[1])
        axes.plot(model_radius, model, color=RED, lw=1.6, label=curve_label or "model", zorder=3)
    for _, full in _finite_marks({"FWHM": fwhm} if fwhm is not None else None):
        axes.axvline(full / 2, color=_GREY, lw=1, ls="--", label=f"FWHM/2 = {full / 2:.4g} pixel")
    axes.set_xlim(left=0)
    return _finish(figure, axes, "Distance from the centre (pixel)", f"Value{_in(unit)}", title)


def line_profiles(
    row: ArrayLike,
    column: ArrayLike,
    *,
    x: float,
    y: float,
    zoom: Sequence[float] | None = None,
    unit: str = "",
    title: str | None = None,
    size: Size | None = None,
) -> Figure:
    """Draw the row and the column of an image through a pixel.

    Parameters
    ----------
    row : array_like (nx,)
        ``data[y, :]``; NaN leaves a gap.
    column : array_like (ny,)
        ``data[:, x]``.
    x, y : float
        The pixel, 0-based.
    zoom : (x0, x1, y0, y1), optional
        What is shown, in pixels; the vertical range is that of the values within. By default all.
    unit : str
        Of the values.
    title : str, optional
    size : (float, float), optional
        Width and height in inches; by default 8 by 6.

    Returns
    -------
    matplotlib.figure.Figure
        With two axes: the row above, the column below.

    Raises
    ------
    InputError
        If ``zoom`` is none of the above.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 6.0) if size is None else checked_size(size), layout="constrained")
    ranges = _ranges(zoom, np.size(row), np.size(column))
    kinds = (("row", row, "X (pixel)", f"Y={y:g}", x, ranges[0]), ("column", column, "Y (pixel)", f"X={x:g}", y, ranges[1]))
    for place, (name, values, axis, heading, mark, seen) in enumerate(kinds, start=1):
        pixels, values = _columns(pixel=np.arange(np.size(values)), **{name: values})
        axes = figure.add_subplot(2, 1, place)
        axes.plot(pixels, values, color=_BLUE, lw=1.0, drawstyle="steps-mid")
        axes.axvline(mark, color=RED, lw=0.9, ls=":")
        axes.set_xlim(*seen)
        _fit_height(axes, values[(pixels >= seen[0]) & (pixels <= seen[1])])
        _dress(axes, axis, f"Value{_in(unit)}")
        axes.set_title(heading, fontsize=10)
    if title:
        figure.suptitle(title, fontsize=10)
    return describe(figure, {"title": title or "", "x": x, "y": y, "unit": unit})


def cut(
    distance: ArrayLike,
    values: ArrayLike,
    err: ArrayLike | None = None,
    *,
    labels: Sequence[str] | None = None,
    unit: str = "",
    axis: str = "Distance (pixel)",
    title: str | None = None,
    size: Size | None = None,
) -> Figure:
    """Draw the values along a line, of one image or several.

    Parameters
    ----------
    distance : array_like (n,)
        From the start.
    values : array_like (n,) or (m, n)
        Of one image, or of each; NaN leaves a gap.
    err : array_like, shape of `values`, optional
        Standard deviations: a band.
    labels : sequence of str, optional
        A name for each image.
    unit, axis : str
        Of the values; text of the horizontal axis.
    title : str, optional
    size : (float, float), optional
        Width and height in inches; by default 7 by 4.5.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If the numbers of points or of labels do not agree.
    """
    place = numbers(distance)
    curves = np.atleast_2d(numbers(values))
    bands = None if err is None else np.atleast_2d(numbers(err))
    if place.ndim != 1 or curves.shape[1:] != place.shape or (bands is not None and bands.shape != curves.shape):
        raise InputError(f"values: must have a value for each of {place.size} distances, found shape {np.shape(values)}")
    if labels is not None and len(labels) != len(curves):
        raise InputError(f"labels: must be one for each of {len(curves)} curves, found {len(labels)}")
    figure, axes = _panel(size)
    for row, (curve, colour) in enumerate(zip(curves, colours(len(curves)), strict=True)):
        axes.plot(place, curve, color=colour, lw=1.2, label=None if labels is None else labels[row])
        if bands is not None:
            axes.fill_between(place, curve - bands[row], curve + bands[row], color=colour, alpha=0.22, lw=0)
    axes.margins(x=0.01)
    return _finish(figure, axes, axis, f"Value{_in(unit)}", title)


def _columns(**columns: Any) -> tuple[Floats, Floats]:
    """Return two columns of one length."""
    (_, first), (name, second) = ((name, np.atleast_1d(numbers(column))) for name, column in columns.items())
    if first.ndim != 1 or second.shape != first.shape:
        raise InputError(f"{name}: must be a column of {first.size}, found shape {second.shape}")
    return first, second


def _ranges(zoom: Sequence[float] | None, nx: int, ny: int) -> tuple[tuple[float, float], tuple[float, float]]:
    whole = (-0.5, nx - 0.5), (-0.5, ny - 0.5)
    if zoom is None:
        return whole
    if np.shape(zoom) != (4,) or not np.isfinite(np.asarray(zoom, float)).all() or not (zoom[0] < zoom[1] and zoom[2] < zoom[3]):
        raise InputError(f"zoom={zoom!r}: must be x0, x1, y0, y1 with x0 below x1 and y0 below y1")
    x0, x1, y0, y1 = (float(edge) for edge in zoom)
    return (x0, x1), (y0, y1)


def _finite_marks(marks: Mapping[str, float] | None) -> Iterable[tuple[str, float]]:
    return [(name, float(place)) for name, place in (marks or {}).items() if place is not None and np.isfinite(place)]


def _in(unit: str) -> str:
    return f" ({unit})" if unit else ""


def _panel(size: Size | None) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 4.5) if size is None else checked_size(size), layout="constrained")
    return figure, figure.add_subplot()


def _points(axes: Axes, x: Floats, y: Floats, err: ArrayLike | None, *, line: bool, label: str | None) -> None:
    bars = None if err is None else _columns(x=x, err=err)[1]
    axes.errorbar(
        x, y, yerr=bars, color=_BLUE, fmt="o-" if line else "o", ms=4, lw=1.2, elinewidth=0.9, capsize=0, label=label,
    )  # fmt: skip


def _fit_height(axes: Axes, values: Floats) -> None:
    """Show all values in view with a little room, whatever their sign."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return
    low, high = float(finite.min()), float(finite.max())
    room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    axes.set_ylim(low - room, high + room)


def _dress(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(color="#DDDDDD", lw=0.6)
    axes.set_axisbelow(True)
    axes.ticklabel_format(axis="y", scilimits=(-4, 5), useMathText=True)


def _finish(figure: Figure, axes: Axes, x: str, y: str, title: str | None) -> Figure:
    _dress(axes, x, y)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(fontsize=9, frameon=False)
    if title:
        set_heading(axes, title, pad=14.0)
    return describe(figure, {"title": title or "", "x_axis": x, "y_axis": y})
