"""Figures from arrays and tables.

Every function takes plain results and returns a `matplotlib.figure.Figure`; nothing is shown, nothing is kept, and pyplot is never
touched, so figures can be made in threads and on machines without a screen. matplotlib is imported when the first figure is made.
"""

# ruff: noqa: PLC0415 - importing this module must not import matplotlib
from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ezarchive.columns import lookup
from ezarchive.errors import InputError
from ezarchive.files import atomic_write

if TYPE_CHECKING:
    from astropy.table import Table
    from astropy.wcs import WCS
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("png", "pdf", "svg")
"""Suffixes that `save` writes."""
QUANTITIES = ("mag", "mag_inst", "flux", "flux_ujy")
"""Columns of a light curve that `light_curve` draws."""

# Okabe & Ito (2008), without black (for the limits' edge) and with the yellow darkened to be seen on white.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#8A7A00")
_MARKERS = ("o", "s", "^", "D", "P", "X", "p", "*", "<", ">", "h")
_LARGEST = 1200


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
    colours = dict(zip(bands, _colours(len(bands)), strict=True))
    markers = {name: _MARKERS[i % len(_MARKERS)] for i, name in enumerate(sorted(set(curve.telescope)))}
    offset = _offset(curve, expected)
    if expected is not None:
        _draw_truth(axes, expected, colours, offset, as_line=len(expected.mjd) > len(curve.mjd))
    _draw_points(axes, curve, colours, markers, offset)
    _label_axes(axes, y, offset, _unit(table, y), title)
    _legend(figure, curve, colours, markers, expected)
    return figure


def _default_quantity(table: Table) -> str:
    return "mag" if "mag" in table.colnames and np.isfinite(_numbers(table["mag"])).any() else "mag_inst"


def _numbers(column: Any) -> NDArray[np.float64]:
    """Return a column, with unit or mask or not, as floats with NaN for what is missing."""
    column = getattr(column, "filled", lambda _: column)(np.nan) if getattr(column, "dtype", np.dtype(float)).kind == "f" else column
    plain = np.ma.asarray(getattr(column, "value", column))
    return np.ma.filled(plain.astype(float), np.nan)


def _texts(table: Table, name: str) -> NDArray[np.str_]:
    if name not in table.colnames:
        return np.full(len(table), "")
    return np.array(["" if value is None or value is np.ma.masked else str(value) for value in table[name]], dtype=str)


def _curve(table: Table, y: str, column: str) -> _Curve:
    for name in ("mjd_mid", column):
        if name not in table.colnames:
            raise InputError(f"table: lacks the column {name!r}; it holds {', '.join(table.colnames)}")
    missing = np.full(len(table), np.nan)
    value = _numbers(table[column])
    error = _numbers(table[f"{y}_err"]) if f"{y}_err" in table.colnames and column == y else missing
    limit = _numbers(table["mag_limit"]) if y == "mag" and "mag_limit" in table.colnames else missing
    kind = _texts(table, "kind")
    value = np.where((kind == "limit") | ~np.isfinite(value), np.nan, value)
    # A detection without a magnitude lacks a zero point; it is no upper limit.
    limit = np.where(np.isnan(value) & (kind != "detection"), limit, np.nan)
    return _Curve(_numbers(table["mjd_mid"]), value, error, limit, _texts(table, "filter"), _texts(table, "telname"))


def _colours(n: int) -> list[Any]:
    """One colour each: colour-blind-safe hues for a few, a perceptual ramp for many."""
    if n <= len(_COLOURS):
        return list(_COLOURS[:n])
    from matplotlib import colormaps

    return list(colormaps["viridis"](np.linspace(0, 0.92, n)))


def _offset(curve: _Curve, expected: _Curve | None) -> int:
    times = curve.mjd if expected is None else np.concatenate([curve.mjd, expected.mjd])
    return int(np.floor(np.nanmin(times))) if np.isfinite(times).any() else 0


def _draw_points(axes: Axes, curve: _Curve, colours: dict[str, Any], markers: dict[str, str], offset: int) -> None:
    for band, colour in colours.items():
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


def _draw_truth(axes: Axes, truth: _Curve, colours: dict[str, Any], offset: int, *, as_line: bool) -> None:
    for band in sorted(set(truth.band)):
        part = truth.select((truth.band == band) & np.isfinite(truth.value) & np.isfinite(truth.mjd))
        part = part.select(np.argsort(part.mjd, kind="stable"))
        x = part.mjd - offset
        if as_line:
            axes.plot(x, part.value, "-", color=colours[band], lw=0.8, alpha=0.7, zorder=1)
        else:
            axes.plot(x, part.value, "o", mfc="none", mec=colours[band], ms=9, mew=0.7, ls="none", alpha=0.8, zorder=1)


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


def _legend(figure: Figure, curve: _Curve, colours: dict[str, Any], markers: dict[str, str], truth: _Curve | None) -> None:
    from matplotlib.lines import Line2D

    entries = [Line2D([], [], marker="o", ls="none", ms=6, mew=0, color=colour, label=band) for band, colour in colours.items() if band]
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


def image(
    data: ArrayLike,
    *,
    wcs: WCS | None = None,
    limits: str | tuple[float, float] = "zscale",
    downsample: int | None = None,
    apertures: Iterable[Sequence[float]] = (),
    corner: tuple[int, int] = (0, 0),
    title: str | None = None,
    label: str | None = None,
    cmap: str = "gray",
) -> Figure:
    """Draw an image, with the sky's coordinates where there is a WCS, and apertures on it.

    Parameters
    ----------
    data : array_like (ny, nx)
        Pixels; those that are not finite are drawn in pale red.
    wcs : astropy.wcs.WCS, optional
        Of the full image; the axes are RA and Dec then, else 0-based pixels.
    limits : str or (float, float)
        Black and white: ``"zscale"``, ``"minmax"``, or two values.
    downsample : int, optional
        Pixels to average along each axis; by default so many that at most 1200 are drawn.
    apertures : iterable of (x, y, radius) or (x, y, a, b, theta)
        Circles, or ellipses with their semi-axes; 0-based pixels of the full image, theta in degrees counter-clockwise from +x.
    corner : (int, int)
        Column and row of the full image at which ``data`` begins, when it is a piece of it.
    title : str, optional
        Above the axes.
    label : str, optional
        Of the colour bar, for example the unit.
    cmap : str
        A colour map of matplotlib.

    Returns
    -------
    matplotlib.figure.Figure
        Data coordinates of its first axes are pixels of the full image.

    Raises
    ------
    InputError
        If ``data`` is not 2-D, or another argument is not one of the above.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    data = np.asarray(data)
    if data.ndim != 2 or data.size == 0:
        raise InputError(f"data: has shape {data.shape}; must be an image (ny, nx)")
    if cmap not in colormaps:
        raise InputError(f"cmap {cmap!r}: must be a colour map of matplotlib, as 'gray'")
    ny, nx = data.shape
    step = max(1, -(-max(ny, nx) // _LARGEST)) if downsample is None else downsample
    shown = _average(data, step)
    low, high = _limits(shown, limits)
    width = 7.5
    figure = Figure(figsize=(width + 1.6, float(np.clip(width * ny / nx, 2.5, 11)) + 0.7), layout="compressed")
    axes = figure.add_subplot(projection=wcs.celestial if wcs is not None else None)
    ramp = colormaps[cmap].with_extremes(bad="#F3C9C4")
    # The last block may reach over the edge: the extent is that of whole blocks, the view that of the image.
    left, bottom = corner[0] - 0.5, corner[1] - 0.5
    extent = (left, left + shown.shape[1] * step, bottom, bottom + shown.shape[0] * step)
    drawn = axes.imshow(shown, origin="lower", extent=extent, cmap=ramp, vmin=low, vmax=high, interpolation="nearest")
    axes.set_xlim(left, left + nx)
    axes.set_ylim(bottom, bottom + ny)
    _draw_apertures(axes, list(apertures))
    if wcs is not None:
        _label_sky(axes)
    else:
        axes.set_xlabel("x (pixel)")
        axes.set_ylabel("y (pixel)")
    figure.colorbar(drawn, ax=axes, label=label or "", fraction=0.04, aspect=28, pad=0.02)
    if title:
        axes.set_title(title, fontsize=10)
    return figure


def _average(data: NDArray, step: int) -> NDArray[np.float32]:
    """Average blocks of pixels, leaving out those that are not finite; blocks at the far edges may be partial."""
    if isinstance(step, bool) or not isinstance(step, (int, np.integer)) or step < 1:
        raise InputError(f"downsample {step!r}: must be a whole number from 1")
    ny, nx = data.shape
    if step == 1:
        return np.where(np.isfinite(data), data, np.nan).astype(np.float32)
    total = np.zeros((-(-ny // step), -(-nx // step)))
    number = np.zeros_like(total)
    for row, start in enumerate(range(0, ny, step)):  # a row of blocks at a time, so that a big frame is never copied
        strip = np.asarray(data[start : start + step], dtype=np.float64)
        good = np.isfinite(strip)
        columns = np.arange(0, nx, step)
        total[row] = np.add.reduceat(np.where(good, strip, 0).sum(axis=0), columns)
        number[row] = np.add.reduceat(good.sum(axis=0), columns)
    return np.divide(total, number, out=np.full_like(total, np.nan), where=number > 0).astype(np.float32)


def _limits(shown: NDArray, limits: str | tuple[float, float]) -> tuple[float, float]:
    finite = shown[np.isfinite(shown)]
    if isinstance(limits, str):
        if limits not in ("zscale", "minmax"):
            raise InputError(f"limits {limits!r}: must be 'zscale', 'minmax' or two values")
        if finite.size == 0:
            return 0.0, 1.0
        if limits == "minmax":
            return float(finite.min()), float(finite.max())
        # Importing it pulls matplotlib in.
        from astropy.visualization import ZScaleInterval

        low, high = ZScaleInterval().get_limits(finite)
        return float(low), float(high)
    low, high = (float(value) for value in limits)
    if not (np.isfinite([low, high]).all() and low < high):
        raise InputError(f"limits {tuple(limits)!r}: must be two finite values, the lower first")
    return low, high


def _draw_apertures(axes: Axes, apertures: list[Sequence[float]]) -> None:
    if not apertures:
        return
    from matplotlib.collections import EllipseCollection

    rows = []
    for aperture in apertures:
        if len(aperture) not in (3, 5):
            raise InputError(f"apertures: holds {tuple(aperture)!r}; each must be (x, y, radius) or (x, y, a, b, theta)")
        rows.append((*aperture, aperture[2], 0.0) if len(aperture) == 3 else tuple(aperture))
    x, y, a, b, theta = np.array(rows, float).T
    ellipses = EllipseCollection(
        2 * a, 2 * b, theta, units="xy", offsets=np.stack([x, y], axis=1), offset_transform=axes.transData, fc="none", ec="#E8483B", lw=1
    )
    axes.add_collection(ellipses, autolim=False)


def _label_sky(axes: Any) -> None:
    for coordinate, name in zip(axes.coords, ("RA (deg)", "Dec (deg)"), strict=False):
        coordinate.set_axislabel(name)
        coordinate.set_format_unit("deg", decimal=True)
        coordinate.set_ticks(number=6)
    axes.coords.grid(color="#8FC1FF", alpha=0.8, ls=":", lw=1)


def save(figure: Figure, path: str | Path, *, dpi: int = 150) -> Path:
    """Write a figure whole or not at all.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure.
    path : path
        Where to; the suffix ``.png``, ``.pdf`` or ``.svg`` chooses the format.
    dpi : int
        Dots per inch of a PNG.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    InputError
        If the suffix is another one.
    """
    path = Path(path)
    suffix = path.suffix.lower().removeprefix(".")
    if suffix not in FORMATS:
        raise InputError(f"path {str(path)!r}: the suffix must be one of {', '.join('.' + name for name in FORMATS)}")
    with atomic_write(path) as stream:
        figure.savefig(stream, format=suffix, dpi=dpi)
    return path
