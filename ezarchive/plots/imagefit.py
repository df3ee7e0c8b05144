"""The fit of one image against another: the image, its model and their difference, with their spectra; or a star's profile in both."""

# ruff: noqa: PLC0415 - importing this module must not import matplotlib
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ezarchive.plots.averaging import averaged
from ezarchive.plots.common import HUES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

_SIZE = (11.0, 7.6)


class ImageFitPlanes(Protocol):
    """What a fit of an image leaves to be drawn.

    ``image``, ``model``, ``residual`` are pixels, shape (ny, nx), and ``weight`` is 0 where they were not compared; ``image_fft``,
    ``model_fft``, ``residual_fft`` amplitudes with the zero frequency in the middle, at ``fx`` and ``fy`` cycles per arcsec; ``step`` is
    arcsec per pixel along y and x.
    """

    image: Floats
    model: Floats
    residual: Floats
    weight: Floats
    image_fft: Floats
    model_fft: Floats
    residual_fft: Floats
    fx: Floats
    fy: Floats
    step: tuple[float, float]


class StarCurve(NamedTuple):
    """A star in one image.

    ``radius`` (arcsec from its centre), ``values`` and ``residuals`` of its pixels, shape (n,); the fitted profile ``model`` at
    ``model_radius``, shape (m,); ``level`` is the background, ``name`` stands above.
    """

    radius: Floats
    values: Floats
    residuals: Floats
    model_radius: Floats
    model: Floats
    level: float
    name: str


def image_fit(
    planes: ImageFitPlanes, *, title: str | None = None, note: str | None = None, unit: str | None = None, figure: Figure | None = None
) -> Figure:
    """Draw the fit of an image: pixels above, amplitudes of their spectra below; from the left the image, the model and the difference.

    Parameters
    ----------
    planes : ImageFitPlanes
    title, note : str, optional
        Above all, and below it in small letters.
    unit : str, optional
        Of the pixels.
    figure : matplotlib.figure.Figure, optional
        To draw into; it is cleared. By default a new one.

    Returns
    -------
    matplotlib.figure.Figure

    Notes
    -----
    Image and model have one scale, from 2 standard deviations below the mean of what was compared to 5 above; the difference has one of
    its own. Spectra: from .75 below, or 0, to 4 above.
    """
    figure = _figure(figure)
    pixels = [np.where(planes.weight > 0, plane, np.nan) for plane in (planes.image, planes.model, planes.residual)]
    spectra = [planes.image_fft, planes.model_fft, planes.residual_fft]
    axes = figure.subplots(2, 3)
    (sy, sx), (ny, nx) = planes.step, planes.image.shape
    here = (0.0, nx * sx, 0.0, ny * sy)
    there = (float(planes.fx.min()), float(planes.fx.max()), float(planes.fy.min()), float(planes.fy.max()))
    names = ("image", "reference, fitted to it", "difference")
    for row, (shown, reach, extent) in enumerate(((pixels, (2.0, 5.0), here), (spectra, (0.75, 4.0), there))):
        limits = _limits(shown[0], *reach)
        scales = [limits, limits, _limits(shown[2], *reach)]
        if row == 1:  # amplitudes are not negative
            scales = [(max(low, 0.0) if high > 0 else low, high) for low, high in scales]
        for one, values, scale, name in zip(axes[row], shown, scales, names, strict=True):
            drawn = _picture(one, values, scale, extent)
            one.set_title(name if row == 0 else f"|FFT| of the {name.split(',')[0]}", fontsize=9)
            figure.colorbar(drawn, ax=one, fraction=0.04, pad=0.02).ax.tick_params(labelsize=7)
    for one in axes[0]:
        one.set_xlabel("x (arcsec)", fontsize=8)
    for one in axes[1]:
        one.set_xlabel("x (cycles/arcsec)", fontsize=8)
    axes[0, 0].set_ylabel("y (arcsec)", fontsize=8)
    axes[1, 0].set_ylabel("y (cycles/arcsec)", fontsize=8)
    _caption(figure, title, note, f"pixels in {unit}" if unit else None)
    return figure


def star_fit(
    image: StarCurve, reference: StarCurve, *, title: str | None = None, note: str | None = None, unit: str | None = None,
    figure: Figure | None = None,
) -> Figure:  # fmt: skip
    """Draw the fit of a star: radial profiles above, residuals below; the image on the left, the reference on the right.

    Parameters
    ----------
    image, reference : StarCurve
    title, note, unit, figure
        As of `image_fit`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = _figure(figure)
    axes = figure.subplots(2, 2, sharex=True, height_ratios=(2, 1))
    for column, (curve, colour) in enumerate(((image, HUES[0]), (reference, HUES[1]))):
        above, below = axes[:, column]
        above.plot(curve.radius, curve.values, ".", ms=3, color=colour, alpha=0.6, label="pixels", rasterized=len(curve.radius) > 5000)
        above.plot(curve.model_radius, curve.model, "-", lw=1.2, color="black", label="fit")
        above.axhline(curve.level, color="0.5", lw=0.8, ls="--", label="background")
        above.set_title(curve.name, fontsize=9)
        above.legend(fontsize=8, frameon=False)
        below.plot(curve.radius, curve.residuals, ".", ms=3, color=colour, alpha=0.6)
        below.axhline(0, color="0.5", lw=0.8)
        below.set_xlabel("distance from the star (arcsec)", fontsize=8)
        below.set_xlim(0, None)
    axes[0, 0].set_ylabel(f"pixel ({unit})" if unit else "pixel", fontsize=8)
    axes[1, 0].set_ylabel("pixel - fit", fontsize=8)
    for one in axes.flat:
        one.tick_params(labelsize=8)
    _caption(figure, title, note, None)
    return figure


def _figure(figure: Figure | None) -> Figure:
    if figure is None:
        from matplotlib.figure import Figure as Made

        return Made(figsize=_SIZE, layout="constrained")
    figure.clear()
    figure.set_layout_engine("constrained")
    return figure


def _limits(values: Floats, below: float, above: float) -> tuple[float, float]:
    """Return the mean less and plus so many standard deviations."""
    finite = values[np.isfinite(values)]
    mean, spread = (float(finite.mean()), float(finite.std())) if finite.size else (0.0, 1.0)
    spread = spread or 1.0
    return mean - below * spread, mean + above * spread


def _picture(axes: Axes, values: Floats, limits: tuple[float, float], extent: Sequence[float]) -> Any:
    from matplotlib import colormaps

    shown = averaged(values)
    grey = colormaps["gray"].with_extremes(bad="#C8D6E5")
    drawn = axes.imshow(
        shown.values, origin="lower", extent=tuple(extent), vmin=limits[0], vmax=limits[1], cmap=grey, interpolation="nearest"
    )
    axes.set_aspect("equal")
    axes.tick_params(labelsize=7)
    return drawn


def _caption(figure: Figure, title: str | None, note: str | None, last: str | None) -> None:
    lines = [line for line in (title, note, last) if line]
    if lines:
        figure.suptitle("\n".join(lines), fontsize=9)
