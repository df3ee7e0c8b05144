"""The calibration of a frame in pictures: zero points against magnitude and colour, residuals over the frame, the choice of stars."""

# ruff: noqa: PLC0415 - importing this module must not import matplotlib
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ezarchive.errors import InputError
from ezarchive.plots.common import HUES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CUTS = ("magnitude", "near the edge", "FLAGS", "masked", "S/N", "not isolated", "CLASS_STAR", "elongation", "FWHM")
"""What a star failed, in the order of ``cut``."""
_USED, _OTHER, _LINE = HUES[0], "0.72", HUES[1]
_GRID = 60


class Calibration(Protocol):
    """What is drawn: a ``photometry.calibrators.FrameCalibration``."""

    fits: dict[str, Any]
    apertures: dict[str, float | None]
    stars: dict[str, NDArray]
    shape: tuple[int, int]


def figure(calibration: Calibration, *, measure: str | None = None, title: str | None = None) -> Figure:
    """Draw the calibration of one frame.

    Parameters
    ----------
    calibration : FrameCalibration
        Of ``calibrate.calibration_of`` or ``photometry.calibrators.calibrate_sources``.
    measure : str, optional
        Whose zero point: ``AUTO``, ``APER``, ``APER_1`` ...; by default the first that there is.
    title : str, optional
        Above the panels.

    Returns
    -------
    matplotlib.figure.Figure
        Four panels: the zero point of each star against its reference magnitude, the same against its colour, the residuals of the
        stars over the frame with the polynomial through them, and size against magnitude of all matched sources with what each
        failed.

    Raises
    ------
    InputError
        If there is no zero point of that measurement.
    """
    from matplotlib.figure import Figure

    measure = next(iter(calibration.fits), None) if measure is None else measure
    if measure not in calibration.fits:
        raise InputError(f"measure={measure!r}: must be one of {', '.join(calibration.fits)}")
    fit, stars = calibration.fits[measure], calibration.stars
    drawn = Figure(figsize=(11, 8), layout="constrained")
    axes = drawn.subplots(2, 2)
    slope = 0.0 if fit.magnitude_slope is None else fit.magnitude_slope
    _zero_points(axes[0, 0], stars["mag"], fit, "reference magnitude (mag)", slope)
    if fit.magnitude_slope is not None:
        _write(axes[0, 0], f"slope {fit.magnitude_slope:+.4f} ± {fit.magnitude_slope_err:.4f} mag per mag")
    _colours(axes[0, 1], stars["colour"], fit)
    _over_the_frame(axes[1, 0], stars, fit, calibration.shape)
    _choice(axes[1, 1], stars, fit)
    size = calibration.apertures[measure]
    name = f'{measure} ({size:g}")' if size is not None else measure
    found = f"ZP {name} = {fit.value:.4f} ± {fit.error:.4f} mag, scatter {fit.scatter:.4f} mag, {fit.n} stars ({fit.n_clipped} clipped)"
    drawn.suptitle(f"{title}\n{found}" if title else found, fontsize=11)
    return drawn


def _zero_points(axes: Axes, x: NDArray, fit: Any, label: str, slope: float, *, pivot: float | None = None) -> None:
    """Draw the zero point of each star that was chosen against something."""
    shown = np.isfinite(fit.residual) & np.isfinite(x)
    colour = 0.0 if pivot is None else slope * (x - pivot)
    values = fit.value + fit.residual + colour
    used, clipped = shown & fit.used, shown & ~fit.used
    axes.plot(x[used], values[used], "o", ms=3.5, mew=0, color=_USED, alpha=0.7, label=f"used ({used.sum()})", zorder=3)
    if clipped.any():
        axes.plot(x[clipped], values[clipped], "x", ms=4.5, mew=0.9, color="0.45", label=f"clipped ({clipped.sum()})", zorder=2)
    span = np.array([np.min(x[shown]), np.max(x[shown])]) if shown.any() else np.array([0.0, 1.0])
    middle = np.average(x[used]) if pivot is None and used.any() else pivot or 0.0
    axes.plot(span, fit.value + slope * (span - middle), "-", color=_LINE, lw=1.3, zorder=4)
    axes.axhspan(fit.value - fit.scatter, fit.value + fit.scatter, color=_LINE, alpha=0.13, lw=0, zorder=0)
    half = max(6 * fit.scatter, 0.02) + abs(slope) * float(np.ptp(span)) / 2
    centre = fit.value if pivot is None else float(fit.value + slope * (span.mean() - pivot))
    axes.set_ylim(centre - half, centre + half)
    beyond = int(np.sum(shown & (np.abs(values - centre) > half)))
    axes.set_xlabel(label)
    axes.set_ylabel("zero point of a star (mag)")
    axes.legend(loc="upper left", fontsize=8, frameon=False, title=f"{beyond} beyond the axis" if beyond else None, title_fontsize=8)
    _tidy(axes)


def _colours(axes: Axes, colour: NDArray, fit: Any) -> None:
    if not (np.isfinite(colour) & fit.used).any():
        axes.text(0.5, 0.5, "no colours", transform=axes.transAxes, ha="center", color="0.4")
        axes.set_axis_off()
        return
    if fit.colour_term is None:
        _zero_points(axes, colour, fit, "colour of the reference (mag)", 0.0)
        _write(axes, "no colour term")
        return
    _zero_points(axes, colour, fit, "colour of the reference (mag)", fit.colour_term, pivot=fit.colour_pivot)
    axes.axvline(fit.colour_pivot, color=_LINE, lw=0.8, ls=":", zorder=1)
    error = "" if fit.colour_term_err is None else f" ± {fit.colour_term_err:.4f}"
    _write(axes, f"colour term {fit.colour_term:+.4f}{error}, zero point at colour {fit.colour_pivot:.3f}")


def _over_the_frame(axes: Axes, stars: dict[str, NDArray], fit: Any, shape: tuple[int, int]) -> None:
    """Draw the residuals over the frame: the stars in the colours of the map behind them."""
    ny, nx = shape
    used = fit.used
    limit = max(2.5 * fit.scatter, 0.005)
    look = {"cmap": "RdBu", "vmin": -limit, "vmax": limit}
    if fit.spatial is not None:
        x, y = np.meshgrid(np.linspace(-0.5, nx - 0.5, _GRID), np.linspace(-0.5, ny - 0.5, _GRID))
        axes.imshow(fit.spatial.at(x, y), origin="lower", extent=(-0.5, nx - 0.5, -0.5, ny - 0.5), interpolation="bilinear", **look)
        _write(axes, f"map: {fit.spatial.rms:.4f} mag r.m.s., chance {fit.spatial.p_value:.2g}")
    drawn = axes.scatter(stars["x"][used], stars["y"][used], c=fit.residual[used], s=20, edgecolors="0.25", linewidths=0.4, **look)
    axes.figure.colorbar(drawn, ax=axes, label="residual (mag)", fraction=0.045, pad=0.02)
    axes.set(xlim=(-0.5, nx - 0.5), ylim=(-0.5, ny - 0.5), xlabel="x (pixel)", ylabel="y (pixel)", aspect="equal")


def _choice(axes: Axes, stars: dict[str, NDArray], fit: Any) -> None:
    """Draw size against magnitude of the matched sources, and which cut each of them failed first."""
    from matplotlib import colormaps

    cut, fwhm, mag = stars["cut"], stars["fwhm"], stars["mag"]
    failed = [place for place in range(len(_CUTS)) if (cut == place).any()]
    hues = colormaps["tab10"](np.arange(10))
    for place in failed:
        those = cut == place
        axes.plot(mag[those], fwhm[those], ".", ms=4, color=hues[place], alpha=0.6, label=f"{_CUTS[place]} ({those.sum()})", zorder=1)
    chosen = cut < 0
    axes.plot(mag[chosen], fwhm[chosen], "o", ms=4, mfc="none", mec="k", mew=0.8, label=f"chosen ({chosen.sum()})", zorder=3)
    known = fwhm[fit.used & np.isfinite(fwhm)]
    if known.size:
        axes.set_ylim(0, 3 * np.median(known))
        beyond = int(np.sum(fwhm > 3 * np.median(known)))
    else:
        beyond = 0
    axes.set_xlabel("reference magnitude (mag)")
    axes.set_ylabel("FWHM (pixel)")
    title = f"left out, and why; {beyond} above the axis" if beyond else "left out, and why"
    axes.legend(fontsize=7.5, frameon=False, title=title, title_fontsize=8, ncols=2, loc="upper left")
    _tidy(axes)


def _write(axes: Axes, text: str) -> None:
    look = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 2}
    axes.text(0.98, 0.03, text, transform=axes.transAxes, ha="right", va="bottom", fontsize=8, bbox=look, zorder=5)


def _tidy(axes: Axes) -> None:
    axes.grid(color="0.92", lw=0.6)
    axes.set_axisbelow(True)
    axes.ticklabel_format(axis="both", useOffset=False)
