"""Light curves as figures: colours and markers by filter and telescope, limits as triangles."""

# ruff: noqa: PLC0415 - importing this module must not import matplotlib
from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ezarchive.columns import lookup
from ezarchive.errors import InputError
from ezarchive.magnitudes import AB_MICROJANSKY, MAG_PER_RELATIVE_ERROR
from ezarchive.plots.common import colours, numbers

if TYPE_CHECKING:
    from astropy.table import Table
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

QUANTITIES = ("mag", "mag_inst", "flux", "flux_ujy")
"""Columns of a light curve that `light_curve` draws."""
COLOUR_BY = ("filter", "telname")
"""What the colours can stand for; the markers stand for the other."""
LEAST_SNR = 3.0
"""Forced measurements of less are drawn as limits where magnitudes are drawn."""

TIMES = {"mjd_mid": "MJD", "bjd_tdb": "BJD (TDB)", "hjd_utc": "HJD (UTC)"}
"""Columns that can be the abscissa; of the last two 2400000.5 is taken away."""
_JULIAN = 2_400_000.5

_MARKERS = ("o", "s", "^", "D", "P", "X", "p", "*", "<", ">", "h")
_MANY = 400
_ROUND, _APART = 0.5, 0.1


class Curve(NamedTuple):
    """A light curve as plain arrays; NaN where missing."""

    mjd: NDArray[np.float64]
    value: NDArray[np.float64]
    error: NDArray[np.float64]
    limit: NDArray[np.float64]
    band: NDArray[np.str_]
    telescope: NDArray[np.str_]
    forced: NDArray[np.bool_]

    def select(self, chosen: NDArray[np.bool_]) -> Curve:
        """Return some of the rows."""
        return Curve(*(part[chosen] for part in self))

    def moved(self, offsets: Mapping[str, float]) -> Curve:
        """Return the curve with an offset added to the values and limits of each filter."""
        added = np.array([offsets.get(str(band), 0.0) for band in self.band])
        return self._replace(value=self.value + added, limit=self.limit + added)


class Style(NamedTuple):
    """What the colours and the markers stand for."""

    colour_by: str
    hues: dict[str, Any]
    markers: dict[str, str]
    size: float

    @classmethod
    def of(cls, curve: Curve, colour_by: str = "filter", more: Curve | None = None) -> Style:
        """Choose colours and markers for the names in a curve, and in one more."""
        if colour_by not in COLOUR_BY:
            raise InputError(f"colour_by {colour_by!r}: must be one of {', '.join(COLOUR_BY)}")
        bands = sorted(set(curve.band) | (set() if more is None else set(more.band)))
        names = {"filter": bands, "telname": sorted(set(curve.telescope))}
        coloured = names.pop(colour_by)
        (marked,) = names.values()
        markers = {name: _MARKERS[i % len(_MARKERS)] for i, name in enumerate(marked)}
        return cls(colour_by, dict(zip(coloured, colours(len(coloured)), strict=True)), markers, 4.5 if len(curve.mjd) <= _MANY else 3.0)

    def names(self, curve: Curve) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
        """Return what colour and marker of each row stand for."""
        return (curve.band, curve.telescope) if self.colour_by == "filter" else (curve.telescope, curve.band)


def light_curve(
    table: Table,
    *,
    truth: Table | None = None,
    y: str | None = None,
    title: str | None = None,
    colour_by: str = "filter",
    offsets: Mapping[str, float] | str | None = None,
    limits: bool = True,
    time: str = "mjd_mid",
) -> Figure:
    """Draw a light curve: error bars, one colour a filter, one marker a telescope (or the other way), limits as open triangles.

    Parameters
    ----------
    table : Table
        Columns of `columns.LIGHT_CURVE`: ``mjd_mid``, the quantity and its error; ``filter``, ``telname``, ``kind``, ``mag_limit`` and
        ``flux_limit`` where present. Detections are filled, forced measurements open. Rows of ``kind`` limit, forced ones without a
        magnitude, and forced ones of S/N below `LEAST_SNR` where magnitudes are drawn, stand at their limit.
    truth : Table, optional
        What is known to be true: ``mjd_mid``, ``filter`` and the quantity, as ``<y>_true`` or ``<y>``. Drawn as a thin line
        where it has more rows than ``table``, else as open circles.
    y : str, optional
        One of `QUANTITIES`. By default ``mag`` where any row is calibrated, else ``mag_inst``.
    title : str, optional
        Above the axes.
    colour_by : {"filter", "telname"}
        What the colours stand for.
    offsets : mapping or "auto", optional
        Filter -> what is added to its values, so that curves lie apart; the legend tells it. ``"auto"`` chooses them, in steps of half
        a magnitude (of magnitudes only).
    limits : bool
        Whether limits are drawn.
    time : str
        One of `TIMES`.

    Returns
    -------
    matplotlib.figure.Figure
        Its magnitude axis points down: brighter is up.

    Raises
    ------
    InputError
        If ``y`` or ``colour_by`` is none of these, an offset is of a filter that is not there, or the table lacks a column.
    """
    from matplotlib.figure import Figure

    y = quantity_of(table) if y is None else y
    curve = curve_of(table, y, time=time)
    if not limits:
        curve = curve._replace(limit=np.full(len(curve.limit), np.nan))
    expected = curve_of(truth, y, f"{y}_true" if f"{y}_true" in truth.colnames else y, time=time) if truth is not None else None
    added = offsets_of(offsets, curve, y)
    curve, expected = curve.moved(added), None if expected is None else expected.moved(added)
    figure = Figure(figsize=(9, 4.8), layout="constrained")
    axes = figure.add_subplot()
    style = Style.of(curve, colour_by, expected)
    start = _first_day(curve, expected)
    if expected is not None:
        _draw_truth(axes, expected, style, start, as_line=len(expected.mjd) > len(curve.mjd))
    draw_points(axes, curve, style, curve.mjd - start)
    _label_axes(axes, y, (TIMES[time], start), unit_of(table, y), title)
    legend(figure, curve, style, offsets=added, truth=None if expected is None else len(expected.mjd) > len(curve.mjd))
    return figure


def quantity_of(table: Table) -> str:
    """Return what is drawn of a table unless told otherwise: calibrated magnitudes where there are any."""
    return "mag" if "mag" in table.colnames and np.isfinite(numbers(table["mag"])).any() else "mag_inst"


def _texts(table: Table, name: str) -> NDArray[np.str_]:
    if name not in table.colnames:
        return np.full(len(table), "")
    return np.array(["" if value is None or value is np.ma.masked else str(value) for value in table[name]], dtype=str)


def curve_of(table: Table, y: str, column: str | None = None, *, time: str = "mjd_mid") -> Curve:
    """Return a table as plain arrays.

    Parameters
    ----------
    table : Table
        As of `light_curve`.
    y : str
        One of `QUANTITIES`.
    column : str, optional
        That holds it, by default of the same name.
    time : str
        One of `TIMES`: what ``mjd`` is then.

    Raises
    ------
    InputError
        If the quantity or the time is unknown, or the table lacks a column.
    """
    if y not in QUANTITIES:
        raise InputError(f"y {y!r}: must be one of {', '.join(QUANTITIES)}")
    if time not in TIMES:
        raise InputError(f"time {time!r}: must be one of {', '.join(TIMES)}")
    column = y if column is None else column
    for name in (time, column):
        if name not in table.colnames:
            raise InputError(f"table: lacks the column {name!r}; it holds {', '.join(table.colnames)}")
    value = numbers(table[column])
    error = numbers(table[f"{y}_err"]) if f"{y}_err" in table.colnames and column == y else np.full(len(table), np.nan)
    kind = _texts(table, "kind")
    value = np.where((kind == "limit") | ~np.isfinite(value), np.nan, value)
    if y.startswith("mag"):
        # In magnitudes a measurement of noise is a random number: its limit says what is known.
        value = np.where((kind == "forced") & (error > MAG_PER_RELATIVE_ERROR / LEAST_SNR), np.nan, value)
    # A detection without a magnitude lacks a zero point; it is no upper limit.
    limit = np.where(np.isnan(value) & (kind != "detection"), _limits(table, y, value), np.nan)
    times = numbers(table[time]) - (0.0 if time == "mjd_mid" else _JULIAN)
    return Curve(times, value, error, limit, _texts(table, "filter"), _texts(table, "telname"), kind == "forced")


def _limits(table: Table, y: str, value: NDArray[np.float64]) -> NDArray[np.float64]:
    if y == "mag" and "mag_limit" in table.colnames:
        return numbers(table["mag_limit"])
    if y == "flux_ujy" and "mag_limit" in table.colnames and np.isfinite(value).any():
        return 10 ** (-0.4 * (numbers(table["mag_limit"]) - AB_MICROJANSKY))
    if y in ("flux", "mag_inst") and "flux_limit" in table.colnames:
        flux = numbers(table["flux_limit"])
        return flux if y == "flux" else -2.5 * np.log10(np.where(flux > 0, flux, np.nan))
    return np.full(len(table), np.nan)


def offsets_of(offsets: Mapping[str, float] | str | None, curve: Curve, y: str) -> dict[str, float]:
    """Return what is added to each filter; ``offsets`` as of `light_curve`."""
    bands = [str(band) for band in np.unique(curve.band)]
    if offsets is None:
        return {}
    if isinstance(offsets, str):
        if offsets != "auto" or not y.startswith("mag"):
            raise InputError(f"offsets {offsets!r}: must map filters to numbers, or be 'auto' with magnitudes; y is {y!r}")
        return _spread(curve, bands)
    for band, value in offsets.items():
        if band not in bands:
            raise InputError(f"offsets: names the filter {band!r}; the light curve has {', '.join(map(repr, bands))}")
        if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not np.isfinite(value):
            raise InputError(f"offsets: holds {value!r} for filter {band!r}; must be a finite number")
    return {band: float(value) for band, value in offsets.items() if value}


def _spread(curve: Curve, bands: list[str]) -> dict[str, float]:
    """Choose offsets, multiples of half a magnitude, so that at any time each filter lies below the one before, the brightest first."""
    parts = []
    for band in bands:
        part = curve.select((curve.band == band) & np.isfinite(curve.value) & np.isfinite(curve.mjd))
        if len(part.mjd):
            parts.append((float(np.median(part.value)), band, part.select(np.argsort(part.mjd, kind="stable"))))
    added, above = {}, None
    for _, band, part in sorted(parts, key=lambda item: item[:2]):
        value = part.value
        if above is not None:
            # What few points overlap does no harm.
            needed = float(np.quantile(np.interp(part.mjd, *above) - value, 0.98)) + _APART
            added[band] = float(np.ceil(max(needed, 0.0) / _ROUND) * _ROUND)
            value = value + added[band]
        above = part.mjd, value
    return {band: value for band, value in added.items() if value}


def _first_day(curve: Curve, expected: Curve | None) -> int:
    times = curve.mjd if expected is None else np.concatenate([curve.mjd, expected.mjd])
    return int(np.floor(np.nanmin(times))) if np.isfinite(times).any() else 0


def draw_points(axes: Axes, curve: Curve, style: Style, x: NDArray[np.float64]) -> None:
    """Draw measurements with their error bars, and limits as triangles, at some abscissae."""
    coloured, marked = style.names(curve)
    for name, colour in style.hues.items():
        limited = (coloured == name) & np.isfinite(curve.limit) & np.isfinite(x)
        if limited.any():
            many = limited.sum() > _MANY
            axes.plot(
                x[limited], curve.limit[limited], "v", mfc="none", mec=colour, ms=style.size + 1.5, mew=0.5 if many else 0.9, ls="none",
                alpha=0.5 if many else 0.9, zorder=2,
            )  # fmt: skip
        for other, marker in style.markers.items():
            for forced in (False, True):
                seen = (coloured == name) & (marked == other) & np.isfinite(curve.value) & np.isfinite(x) & (curve.forced == forced)
                if seen.any():
                    face = {"mfc": "white", "mec": colour, "mew": 0.9} if forced else {"mew": 0}
                    error = np.nan_to_num(curve.error[seen], posinf=0)
                    axes.errorbar(
                        x[seen], curve.value[seen], error, fmt=marker, color=colour, ms=style.size, elinewidth=0.9, zorder=3, **face
                    )


def _draw_truth(axes: Axes, truth: Curve, style: Style, start: int, *, as_line: bool) -> None:
    for band in sorted(set(truth.band)):
        colour = style.hues[band] if style.colour_by == "filter" else "0.35"
        part = truth.select((truth.band == band) & np.isfinite(truth.value) & np.isfinite(truth.mjd))
        part = part.select(np.argsort(part.mjd, kind="stable"))
        x = part.mjd - start
        if as_line:
            axes.plot(x, part.value, "-", color=colour, lw=0.8, alpha=0.7, zorder=1)
        else:
            axes.plot(x, part.value, "o", mfc="none", mec=colour, ms=9, mew=0.7, ls="none", alpha=0.8, zorder=1)


def unit_of(table: Table, y: str) -> str:
    """Return the unit of a quantity as it is written at an axis."""
    unit = getattr(table[y], "unit", None) or lookup(y).unit
    return {"uJy": "µJy", "ct / s": "count / s", "count/s": "count / s"}.get(str(unit), str(unit))


def _label_axes(axes: Axes, y: str, scale: tuple[str, int], unit: str, title: str | None) -> None:
    name, start = scale
    date = np.datetime64("1858-11-17") + np.timedelta64(start, "D")
    if name == "MJD":
        axes.set_xlabel(f"MJD $-$ {start} (days since {date} 0 h UTC)" if start else "MJD")
    else:
        axes.set_xlabel(f"{name} $-$ {start + _JULIAN:.1f} (days since {date} 0 h)")
    axes.margins(x=0.03)
    axes.ticklabel_format(axis="both", useOffset=False)
    finish_axes(axes, y, unit)
    if title:
        axes.set_title(title)


def finish_axes(axes: Axes, y: str, unit: str) -> None:
    """Label the ordinate, turn magnitudes down, draw the grid."""
    names = {"mag": "magnitude", "mag_inst": "instrumental magnitude", "flux": "flux", "flux_ujy": "flux density"}
    axes.set_ylabel(f"{names[y]} ({unit})")
    axes.margins(y=0.08)
    axes.grid(color="0.9", lw=0.6)
    axes.set_axisbelow(True)
    if y.startswith("mag"):
        axes.invert_yaxis()
    elif axes.has_data() and axes.get_ylim()[0] < 0 < axes.get_ylim()[1]:
        axes.axhline(0, color="0.5", lw=0.8, zorder=0)
    if not axes.has_data():
        axes.text(0.5, 0.5, "nothing to draw", transform=axes.transAxes, ha="center", color="0.4")


def legend(
    figure: Figure,
    curve: Curve,
    style: Style,
    *,
    offsets: Mapping[str, float] | None = None,
    truth: bool | None = None,
    line: str = "truth",
) -> None:
    """Tell beside the axes what colours, markers and triangles mean; ``truth``: whether it is a line, None without one."""
    from matplotlib.lines import Line2D

    def label(name: str, *, band: bool) -> str:
        added = (offsets or {}).get(name, 0.0) if band else 0.0
        return f"{name} {'+' if added > 0 else '−'} {abs(added):g}" if added else name

    by_filter = style.colour_by == "filter"
    entries = [
        Line2D([], [], marker="o", ls="none", ms=6, mew=0, color=colour, label=label(name, band=by_filter))
        for name, colour in style.hues.items()
        if name
    ]
    grey = {"ls": "none", "color": "0.35"}
    entries += [
        Line2D([], [], marker=marker, ms=5, label=label(name, band=not by_filter), **grey) for name, marker in style.markers.items() if name
    ]
    if (curve.forced & np.isfinite(curve.value)).any():
        entries.append(Line2D([], [], marker="o", mfc="white", ms=5, label="forced", **grey))
    if np.isfinite(curve.limit).any():
        entries.append(Line2D([], [], marker="v", mfc="none", ms=6, label="5σ limit", **grey))
    if truth:
        entries.append(Line2D([], [], color="0.35", lw=0.8, label=line))
    elif truth is False:
        entries.append(Line2D([], [], marker="o", mfc="none", ms=9, mew=0.7, label=line, **grey))
    if entries:
        figure.legend(handles=entries, loc="outside right upper", frameon=False, ncols=1 + len(entries) // 22)
