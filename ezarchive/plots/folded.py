"""A light curve folded with its period, below the periodogram that found it."""

# ruff: noqa: PLC0415 - importing this module must not import matplotlib
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ezarchive.errors import InputError
from ezarchive.plots.common import HUES
from ezarchive.plots.lightcurve import Curve, Style, curve_of, draw_points, finish_axes, legend, offsets_of, quantity_of, unit_of

if TYPE_CHECKING:
    from astropy.table import Table
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LINE, _FOUND = "0.35", HUES[1]
_COLUMNS = 1500
_NAMED = 0.25
_SCALES = {"mjd_mid": "MJD", "bjd_tdb": "BJD (TDB) 2400000.5 +", "hjd_utc": "HJD (UTC) 2400000.5 +"}


class Peak(Protocol):
    """A place of the periodogram."""

    name: str
    frequency: float
    power: float


class Search(Protocol):
    """What is drawn: a ``timeseries.period.PeriodSearch``."""

    period: float
    period_err: float
    epoch: float
    power: float
    false_alarm_probability: float
    false_alarm_level: float
    doubled: bool
    frequencies: NDArray[np.float64]
    powers: NDArray[np.float64]
    peaks: Sequence[Peak]

    def phase(self, mjd: ArrayLike) -> NDArray[np.float64]:
        """Return phases from 0 to 1."""

    def model(self, phase: ArrayLike, band: str | None = None) -> NDArray[np.float64]:
        """Return the model at phases in a filter."""


def folded(
    table: Table,
    search: Search | float,
    *,
    y: str | None = None,
    title: str | None = None,
    colour_by: str = "filter",
    offsets: Mapping[str, float] | str | None = None,
    epoch: float | None = None,
    time: str = "mjd_mid",
) -> Figure:
    """Draw a light curve folded with a period, twice over, and above it the periodogram with its aliases named.

    Parameters
    ----------
    table : Table
        As of `plots.light_curve`; limits are left out.
    search : PeriodSearch or float
        What ``timeseries.period.find_period`` found, or a period in days (no periodogram and no model are drawn then).
    y, title, colour_by, offsets
        As of `plots.light_curve`.
    epoch : float, optional
        MJD of phase 0, of a period that is a number; by default the first time.
    time : str
        Which times the period was found in: ``mjd_mid``, or ``bjd_tdb`` or ``hjd_utc`` less 2400000.5.

    Returns
    -------
    matplotlib.figure.Figure
        The periodogram first, then the folded curve; the latter alone for a number.

    Raises
    ------
    InputError
        If the period is not positive, or as of `plots.light_curve`.
    """
    from matplotlib.figure import Figure

    y = quantity_of(table) if y is None else y
    curve = curve_of(table, y, time=time)
    curve = curve._replace(limit=np.full(len(curve.limit), np.nan))
    added = offsets_of(offsets, curve, y)
    given = None if isinstance(search, (int, float, np.number)) else search
    phase = _phases(curve, search, epoch) if given is None else given.phase(curve.mjd)
    figure = Figure(figsize=(9, 4.8 if given is None else 7.2), layout="constrained")
    if given is not None:
        top, axes = figure.subplots(2, 1, height_ratios=(1, 1.5))
        _periodogram(top, given)
    else:
        axes = figure.add_subplot()
    curve, style = curve.moved(added), Style.of(curve, colour_by)
    for cycle in (0, 1):
        draw_points(axes, curve, style, phase + cycle)
    if given is not None:
        _draw_model(axes, curve, given, style, added)
    finish_axes(axes, y, unit_of(table, y))
    axes.set_xlim(0, 2)
    axes.set_xlabel(_abscissa(search, given, curve, epoch).replace("MJD", _SCALES[time]))
    legend(figure, curve, style, offsets=added, truth=None if given is None else True, line="model")
    if title:
        figure.suptitle(title)
    return figure


def _phases(curve: Curve, period: Any, epoch: float | None) -> NDArray[np.float64]:
    if isinstance(period, bool) or not 0 < period < np.inf:
        raise InputError(f"search {period!r}: must be a PeriodSearch or a positive number of days")
    return (curve.mjd - _start(curve, epoch)) / period % 1


def _start(curve: Curve, epoch: float | None) -> float:
    if epoch is not None:
        return epoch
    return float(np.nanmin(curve.mjd)) if np.isfinite(curve.mjd).any() else 0.0


def _abscissa(search: Any, given: Search | None, curve: Curve, epoch: float | None) -> str:
    if given is None:
        return f"phase of {float(search):.8g} d (0 at MJD {_start(curve, epoch):.5f})"
    return f"phase of {_with_error(given.period, given.period_err)} d (0 at MJD {given.epoch:.5f})"


def _with_error(value: float, error: float) -> str:
    """Return a number with as many digits as its error leaves it."""
    if not 0 < error < np.inf:
        return f"{value:.6g}"
    digits = int(np.clip(1 - np.floor(np.log10(error)), 0, 12))
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def _periodogram(axes: Axes, search: Search) -> None:
    x, height = _envelope(search.frequencies, search.powers)
    axes.plot(x, height, "-", color=_LINE, lw=0.7)
    axes.axhline(search.false_alarm_level, color="0.5", lw=0.8, ls="--")
    axes.annotate(
        "1 % false alarm", (1, search.false_alarm_level), xycoords=("axes fraction", "data"), xytext=(-3, 2), textcoords="offset points",
        ha="right", va="bottom", fontsize=8, color="0.35",
    )  # fmt: skip
    best = float(search.frequencies[int(np.argmax(search.powers))])
    top = max(search.power, search.false_alarm_level)
    axes.set_ylim(0, 1.28 * top)
    axes.set_xlim(0, search.frequencies[-1])
    axes.plot([best], [search.power], "v", color=_FOUND, ms=6, clip_on=False)
    chosen = 1 / search.period
    same = abs(chosen / best - 1) < 0.25
    right = best > 0.7 * search.frequencies[-1]
    axes.annotate(
        f"{search.period:.5g} d" if same else f"{1 / best:.4g} d", (best, search.power),
        xytext=(-7 if right else 7, 0), textcoords="offset points",
        ha="right" if right else "left", va="center", fontsize=8, color=_FOUND,
    )  # fmt: skip
    names = []
    if not same:
        names.append((chosen, float(np.interp(chosen, x, height)), f"{search.period:.5g} d", _FOUND))
    names += [(peak.frequency, peak.power, peak.name, "0.25") for peak in search.peaks if peak.name and peak.power > _NAMED * search.power]
    _write_names(axes, names, [best])
    axes.set_xlabel("frequency (cycles per day)")
    axes.set_ylabel("power")
    chance = search.false_alarm_probability
    axes.set_title(f"false alarm probability {chance:.2g}" if chance > 1e-100 else "false alarm probability < 1e-100", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)


def _envelope(frequencies: NDArray[np.float64], powers: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the highest power of every column of the figure: no peak is lost, and the file stays small."""
    step = len(powers) // _COLUMNS
    if step < 2:
        return frequencies, powers
    n = len(powers) // step * step
    blocks = powers[:n].reshape(-1, step)
    at = np.arange(0, n, step) + np.argmax(blocks, axis=1)
    return frequencies[at], powers[at]


def _write_names(axes: Axes, names: list[tuple[float, float, str, str]], taken: list[float]) -> None:
    """Write names upright above their peaks, but where one would run into another."""
    span = axes.get_xlim()[1]
    for x, height, text, colour in names:
        if any(abs(x - other) < 0.018 * span for other in taken):
            continue
        taken = [*taken, x]
        axes.annotate(
            text, (x, height), xytext=(0, 7), textcoords="offset points", ha="center", va="bottom", fontsize=8, color=colour, rotation=90,
            annotation_clip=False,
        )  # fmt: skip


def _draw_model(axes: Axes, curve: Curve, search: Search, style: Style, offsets: Mapping[str, float]) -> None:
    phase = np.linspace(0, 2, 1200)
    for band in sorted({str(name) for name in curve.band}):
        try:
            model = search.model(phase, band if any(curve.band) else None)
        except InputError:  # a filter with too few points for the search
            continue
        colour = style.hues[band] if style.colour_by == "filter" else _LINE
        axes.plot(phase, model + offsets.get(band, 0.0), "-", color=colour, lw=0.9, alpha=0.7, zorder=1)
