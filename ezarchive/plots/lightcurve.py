"""Light curves as figures: one colour a filter, one marker a telescope."""

# ruff: noqa: PLC0415 - importing this module must not import matplotlib
from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ezarchive.columns import lookup
from ezarchive.errors import InputError
from ezarchive.plots.common import colours, numbers

if TYPE_CHECKING:
    from astropy.table import Table
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

QUANTITIES = ("mag", "mag_inst", "flux", "flux_ujy")
"""Columns of a light curve that `light_curve` draws."""

_MARKERS = ("o", "s", "^", "D", "P", "X", "p", "*", "<", ">", "h")


class _Curve(NamedTuple):
    """A light curve as plain arrays; NaN where missing."""

    mjd: NDArray[np.float64]
    value: NDArray[np.float64]
    error: NDArray[np.float64]
    limit: NDArray[np.float64]
    band: NDArray[np.str_]
    telescope: NDArray[np.str_]

    def select(self, chosen: NDArray[np.bool_]) -> _Curve:
        return _Curve(*(part[chosen] for part in self))


def light_curve(table: Table, *, truth: Table | None = None, y: str | None = None, title: str | None = None) -> Figure:
    """Draw a light curve: one colour a filter, one marker a telescope, error bars, limits as open triangles.

    Parameters
    ----------
    table : Table
        Columns of `columns.LIGHT_CURVE`: ``mjd_mid``, the quantity and its error; ``filter``, ``telname``, ``kind`` and ``mag_limit``
        where present. Rows of ``kind`` limit, and forced ones without a magnitude, are drawn at ``mag_limit``.
    truth : Table, optional
        What is known to be true: ``mjd_mid``, ``filter`` and the quantity, as ``<y>_true`` or ``<y>``. Drawn as a thin line
        where it has more rows than ``table``, else as open circles.
    y : str, optional
        One of `QUANTITIES`. By default ``mag`` where any row is calibrated, else ``mag_inst``.
    title : str, optional
        Above the axes.

    Returns
    -------
    matplotlib.figure.Figure
        Its magnitude axis points down: brighter is up.

    Raises
    ------
    InputError
        If ``y`` is none of these, or the table lacks a column.
    """
    from matplotlib.figure import Figure

    y = _default_quantity(table) if y is None else y
    if y not in QUANTITIES:
        raise InputError(f"y {y!r}: must be one of {', '.join(QUANTITIES)}")
    curve = _curve(table, y, y)
    expected = _curve(truth, y, f"{y}_true" if f"{y}_true" in truth.colnames else y) if truth is not None else None
    figure = Figure(figsize=(9, 4.8), layout="constrained")
    axes = figure.add_subplot()
    bands = sorted(set(curve.band) | (set(expected.band) if expected is not None else set()))
    hues = dict(zip(bands, colours(len(bands)), strict=True))
    markers = {name: _MARKERS[i % len(_MARKERS)] for i, name in enumerate(sorted(set(curve.telescope)))}
    offset = _offset(curve, expected)
    if expected is not None:
        _draw_truth(axes, expected, hues, offset, as_line=len(expected.mjd) > len(curve.mjd))
    _draw_points(axes, curve, hues, markers, offset)
    _label_axes(axes, y, offset, _unit(table, y), title)
    _legend(figure, curve, hues, markers, expected)
    return figure


def _default_quantity(table: Table) -> str:
    return "mag" if "mag" in table.colnames and np.isfinite(numbers(table["mag"])).any() else "mag_inst"


def _texts(table: Table, name: str) -> NDArray[np.str_]:
    if name not in table.colnames:
        return np.full(len(table), "")
    return np.array(["" if value is None or value is np.ma.masked else str(value) for value in table[name]], dtype=str)


def _curve(table: Table, y: str, column: str) -> _Curve:
    for name in ("mjd_mid", column):
        if name not in table.colnames:
            raise InputError(f"table: lacks the column {name!r}; it holds {', '.join(table.colnames)}")
    missing = np.full(len(table), np.nan)
    value = numbers(table[column])
    error = numbers(table[f"{y}_err"]) if f"{y}_err" in table.colnames and column == y else missing
    limit = numbers(table["mag_limit"]) if y == "mag" and "mag_limit" in table.colnames else missing
    kind = _texts(table, "kind")
    value = np.where((kind == "limit") | ~np.isfinite(value), np.nan, value)
    # A detection without a magnitude lacks a zero point; it is no upper limit.
    limit = np.where(np.isnan(value) & (kind != "detection"), limit, np.nan)
    return _Curve(numbers(table["mjd_mid"]), value, error, limit, _texts(table, "filter"), _texts(table, "telname"))


def _offset(curve: _Curve, expected: _Curve | None) -> int:
    times = curve.mjd if expected is None else np.concatenate([curve.mjd, expected.mjd])
    return int(np.floor(np.nanmin(times))) if np.isfinite(times).any() else 0


def _draw_points(axes: Axes, curve: _Curve, hues: dict[str, Any], markers: dict[str, str], offset: int) -> None:
    for band, colour in hues.items():
        for telescope, marker in markers.items():
            part = curve.select((curve.band == band) & (curve.telescope == telescope))
            seen = np.isfinite(part.value) & np.isfinite(part.mjd)
            if seen.any():
                x, error = part.mjd[seen] - offset, np.nan_to_num(part.error[seen], posinf=0)
                axes.errorbar(x, part.value[seen], error, fmt=marker, color=colour, ms=4.5, mew=0, elinewidth=0.9, zorder=3)
            limited = np.isfinite(part.limit) & np.isfinite(part.mjd)
            if limited.any():
                x = part.mjd[limited] - offset
                axes.plot(x, part.limit[limited], "v", mfc="none", mec=colour, ms=6, mew=0.9, ls="none", zorder=2)


def _draw_truth(axes: Axes, truth: _Curve, hues: dict[str, Any], offset: int, *, as_line: bool) -> None:
    for band in sorted(set(truth.band)):
        part = truth.select((truth.band == band) & np.isfinite(truth.value) & np.isfinite(truth.mjd))
        part = part.select(np.argsort(part.mjd, kind="stable"))
        x = part.mjd - offset
        if as_line:
            axes.plot(x, part.value, "-", color=hues[band], lw=0.8, alpha=0.7, zorder=1)
        else:
            axes.plot(x, part.value, "o", mfc="none", mec=hues[band], ms=9, mew=0.7, ls="none", alpha=0.8, zorder=1)


def _unit(table: Table, y: str) -> str:
    unit = getattr(table[y], "unit", None) or lookup(y).unit
    return {"uJy": "µJy", "ct / s": "count / s", "count/s": "count / s"}.get(str(unit), str(unit))


def _label_axes(axes: Axes, y: str, offset: int, unit: str, title: str | None) -> None:
    names = {"mag": "magnitude", "mag_inst": "instrumental magnitude", "flux": "flux", "flux_ujy": "flux density"}
    date = np.datetime64("1858-11-17") + np.timedelta64(offset, "D")
    axes.set_xlabel(f"MJD $-$ {offset} (days since {date} 0 h UTC)" if offset else "MJD")
    axes.set_ylabel(f"{names[y]} ({unit})")
    axes.margins(x=0.03, y=0.08)
    axes.ticklabel_format(axis="both", useOffset=False)
    axes.grid(color="0.9", lw=0.6)
    axes.set_axisbelow(True)
    if y.startswith("mag"):
        axes.invert_yaxis()
    if not axes.has_data():
        axes.text(0.5, 0.5, "nothing to draw", transform=axes.transAxes, ha="center", color="0.4")
    if title:
        axes.set_title(title)


def _legend(figure: Figure, curve: _Curve, hues: dict[str, Any], markers: dict[str, str], truth: _Curve | None) -> None:
    from matplotlib.lines import Line2D

    entries = [Line2D([], [], marker="o", ls="none", ms=6, mew=0, color=colour, label=band) for band, colour in hues.items() if band]
    grey = {"ls": "none", "color": "0.35"}
    entries += [Line2D([], [], marker=marker, ms=5, label=name, **grey) for name, marker in markers.items() if name]
    if np.isfinite(curve.limit).any():
        entries.append(Line2D([], [], marker="v", mfc="none", ms=6, label="5σ limit", **grey))
    if truth is not None and len(truth.mjd) > len(curve.mjd):
        entries.append(Line2D([], [], color="0.35", lw=0.8, label="truth"))
    elif truth is not None:
        entries.append(Line2D([], [], marker="o", mfc="none", ms=9, mew=0.7, label="truth", **grey))
    if entries:
        figure.legend(handles=entries, loc="outside right upper", frameon=False, ncols=1 + len(entries) // 22)
