"""What lies on and beside a view: colour bar, scale bar, compass, contours, the outline of another view."""

# ruff: noqa: PLC0415 - importing this module must not import matplotlib
from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ezarchive.errors import InputError
from ezarchive.plots.common import RED
from ezarchive.plots.rendering import bar_ticks
from ezarchive.plots.skydirections import local_jacobian, north_east, round_angle, round_number
from ezarchive.plots.viewlayers import Grid, Layer
from ezarchive.plots.viewshapes import halo

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Box = tuple[float, float, float, float]

_PEN = "white"
_COLOURS = 256


def draw_colour_bar(axes: Axes, layer: Layer, *, label: str) -> Axes:
    """Draw the colours of a layer beside axes, as high as these; its ticks are values of the image."""
    bar = axes.inset_axes((1.015, 0.0, 0.03, 1.0))
    first, last = layer.rendering.span
    first, last = (first, last) if last > first else (first, first + 1e-6)
    ramp = layer.palette(np.linspace(first, last, _COLOURS))[:, None, :3]
    bar.imshow(np.round(ramp * 255).astype(np.uint8), origin="lower", extent=(0, 1, first, last), aspect="auto", interpolation="nearest")
    values, texts = bar_ticks(layer.rendering)
    bar.set_xticks([])
    bar.yaxis.tick_right()
    bar.yaxis.set_label_position("right")
    bar.set_yticks(layer.rendering.index(values), texts)
    bar.set_ylim(first, last)
    bar.tick_params(labelsize=9, length=3)
    if label:
        bar.set_ylabel(label, fontsize=9)
    return bar


def draw_names(axes: Axes, layers: list[Layer]) -> None:
    """Write the labels of several layers at the upper left, each beside its colour."""
    from matplotlib.patches import Patch

    named = [layer for layer in layers if layer.label]
    if len(layers) < 2 or not named:
        return
    boxes = [Patch(fc=layer.palette(1.0 if layer.colour else 0.7), ec="white", lw=0.6, label=layer.label) for layer in named]
    axes.legend(
        handles=boxes, loc="upper left", fontsize=9, labelcolor=_PEN, facecolor="black", edgecolor="none", framealpha=0.55,
        handlelength=1.0, handleheight=1.0, borderaxespad=0.6,
    )  # fmt: skip


def draw_contours(axes: Axes, layer: Layer, grid: Grid, values: NDArray[np.float64]) -> None:
    """Draw the contours of what a layer has on the cells of a view."""
    from contourpy import contour_generator
    from matplotlib.collections import LineCollection

    if min(values.shape) < 2:
        return
    smooth = values if layer.contour_smooth == 0 else _smoothed(values, layer.contour_smooth / grid.side)
    found = contour_generator(grid.x, grid.y, np.ma.masked_invalid(smooth))
    lines = [line for level in layer.levels for line in found.lines(float(level))]
    axes.add_collection(LineCollection(lines, colors=layer.contour_colour, linewidths=0.8, alpha=0.95), autolim=False)


def _smoothed(values: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Return values smoothed with a Gaussian; those that are not finite have no weight and stay."""
    from scipy.ndimage import gaussian_filter

    good = np.isfinite(values)
    weight = gaussian_filter(good.astype(float), sigma, mode="constant")
    total = gaussian_filter(np.where(good, values, 0.0), sigma, mode="constant")
    return np.divide(total, weight, out=np.full(values.shape, np.nan), where=good & (weight > 0))


def draw_scale_bar(axes: Axes, wcs: Any, box: Box, given: Any = True) -> None:
    """Draw a bar of a round angle at the lower left, of round pixels without a WCS; or a given one (``.pixels``, ``.label``)."""
    wide, high = box[1] - box[0], box[3] - box[2]
    if given is not True:
        length, text = float(given.pixels), str(given.label)
    else:
        length, text = _bar(wcs, box)
    x, y = box[0] + 0.04 * wide, box[2] + 0.045 * high
    axes.plot([x, x + length], [y, y], color=_PEN, lw=2.2, solid_capstyle="butt", scalex=False, scaley=False, path_effects=halo(4.2))
    axes.annotate(
        text, (x + length / 2, y), xytext=(0, 3), textcoords="offset points", ha="center", va="bottom", color=_PEN, fontsize=10,
        path_effects=halo(),
    )  # fmt: skip


def _bar(wcs: Any, box: Box) -> tuple[float, str]:
    most = (box[1] - box[0]) / 5
    if wcs is not None:
        scale = float(np.hypot(*local_jacobian(wcs, (box[0] + box[1]) / 2, (box[2] + box[3]) / 2)[:, 0]))
        if math.isfinite(scale) and scale > 0:
            arcsec, text = round_angle(most * scale)
            return arcsec / scale, text
    length = round_number(most)
    return length, f"{length:g} pixel{'s' if length != 1 else ''}"


def draw_compass(axes: Axes, wcs: Any, box: Box, given: Any = True) -> None:
    """Draw arms to north and east at the upper right; `given` may be a compass (``x y xn yn xe ye``)."""
    found = _arms(given) if given is not True else None
    if given is True and wcs is not None:
        found = north_east(wcs, (box[0] + box[1]) / 2, (box[2] + box[3]) / 2)
    if found is None:
        return
    arm = 0.085 * min(box[1] - box[0], box[3] - box[2])
    tips = np.array(found) * arm
    reach = tips * 1.36
    gap = 0.5 * arm
    x = box[1] - gap - max(0.0, float(reach[:, 0].max()))
    y = box[3] - gap - max(0.0, float(reach[:, 1].max()))
    for (dx, dy), (tx, ty), name in zip(tips, reach, "NE", strict=True):
        axes.annotate(
            "", (x + dx, y + dy), (x, y),
            arrowprops={"arrowstyle": "-|>,head_width=0.22,head_length=0.45", "color": _PEN, "lw": 1.6, "shrinkA": 0, "shrinkB": 0,
                        "path_effects": halo(3.4)},
        )  # fmt: skip
        axes.text(x + tx, y + ty, name, color=_PEN, fontsize=10, ha="center", va="center", path_effects=halo())


def _arms(compass: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    numbers = [getattr(compass, name, None) for name in ("x", "y", "xn", "yn", "xe", "ye")]
    if any(number is None for number in numbers):
        raise InputError(f"compass: must be True, False or a compass with x, y, xn, yn, xe and ye, found {type(compass).__name__}")
    x, y, xn, yn, xe, ye = numbers
    north, east = np.array([xn - x, yn - y], float), np.array([xe - x, ye - y], float)
    lengths = np.hypot(*north), np.hypot(*east)
    if not all(math.isfinite(length) and length > 0 for length in lengths):
        return None
    return north / lengths[0], east / lengths[1]


def draw_outline(axes: Axes, outline: Any) -> None:
    """Draw a polygon, corners of shape (n, 2), or a box (x0, x1, y0, y1), in red."""
    from matplotlib.patches import Polygon

    corners = np.asarray(outline, float)
    if corners.shape == (4,):
        x0, x1, y0, y1 = corners
        corners = np.array([(x0, y0), (x0, y1), (x1, y1), (x1, y0)])
    if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3 or not np.isfinite(corners).all():
        raise InputError(f"outline: must be a box (x0, x1, y0, y1) or corners (n, 2), found shape {corners.shape}")
    axes.add_patch(Polygon(corners, closed=True, fc="none", ec=RED, lw=1.5, path_effects=halo(2.8)))
