"""An image as a viewer shows it: layers, stretch, regions, contours, compass, scale bar, colour bar, the sky's grid."""

# ruff: noqa: PLC0415 - importing this module must not import matplotlib
from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ezarchive.errors import InputError
from ezarchive.plots.averaging import Averaged
from ezarchive.plots.common import RED, checked_size, describe, set_heading
from ezarchive.plots.viewlayers import Grid, Layer, blended, sampled, smooth_on
from ezarchive.plots.viewmarks import Box, draw_colour_bar, draw_compass, draw_contours, draw_names, draw_outline, draw_scale_bar
from ezarchive.plots.viewshapes import draw_regions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COORDINATES = ("sexagesimal", "degrees", "pixels")
_WIDTH, _MARGIN = 8.0, (1.9, 1.0)
_BEYOND = "#404040"
_NAMES = {
    "pos.eq.ra": "RA", "pos.eq.dec": "Dec", "pos.galactic.lon": "galactic longitude", "pos.galactic.lat": "galactic latitude",
    "pos.ecliptic.lon": "ecliptic longitude", "pos.ecliptic.lat": "ecliptic latitude",
}  # fmt: skip


def view(  # noqa: PLR0913  all that a viewer's panel of settings has; those of a layer are in `Layer`
    data: ArrayLike | Averaged,
    *,
    layers: Iterable[Layer] = (),
    regions: Iterable[Any] = (),
    labels: Sequence[str] | None = None,
    region_colour: Any = RED,
    zoom: Box | None = None,
    outline: Any = None,
    coordinates: str | None = "sexagesimal",
    grid: bool = False,
    colour_bar: bool = True,
    scale_bar: Any = True,
    compass: Any = True,
    title: str | None = None,
    size: tuple[float, float] | None = None,
    dpi: float = 150,
    **look: Any,
) -> Figure:
    """Draw an image as a viewer shows it.

    Parameters
    ----------
    data : array_like (ny, nx), or averaged
        Pixels of any number (averaged to those of the figure), or blocks of them; see `Layer`. Those that are not finite are pale red.
    layers : iterable of Layer
        Further images, drawn over it on its pixels: through the WCS of both, by ``Layer.mapping``, or pixel over pixel.
    regions : iterable
        Shapes or regions, drawn to scale: see `plots.viewshapes.draw_regions`; on the sky only with a WCS.
    labels : sequence of str, optional
        A text for each region.
    region_colour : colour, or list of them
    zoom : (x0, x1, y0, y1), optional
        What is shown: edges in 0-based pixels (a pixel ends half a pixel from its centre); by default all.
    outline : (x0, x1, y0, y1) or array_like (n, 2), optional
        A box or polygon in red, as the zoom box of another view.
    coordinates : {'sexagesimal', 'degrees', 'pixels', None}
        Of the axes; those of the sky only with a WCS, else pixels. None for no axes.
    grid : bool
        Lines of equal coordinates.
    colour_bar : bool
        The colours of the first layer beside the image, with the values of the image.
    scale_bar : bool, or with ``pixels`` and ``label``
        A bar of a round angle (of round pixels without a WCS), or the one given.
    compass : bool, or with ``x y xn yn xe ye``
        Arms to north and east where there is a WCS, or those given.
    title : str, optional
        By default the label of the image.
    size : (float, float), optional
        Width and height of the figure in inches; by default 8 wide, and high as the image asks.
    dpi : float
        For which the figure is made: it decides how many pixels are averaged. `plots.save` takes it too; a PNG has ``size * dpi`` pixels.
    **look
        All other arguments of `Layer`, for `data`: wcs, limits, stretch, contrast, bias, cmap, opacity, colour, contours, contour_colour,
        contour_smooth, label, unit.

    Returns
    -------
    matplotlib.figure.Figure
        Data coordinates of its first axes are 0-based pixels of the image. `plots.save` writes label, limits, stretch and so on into
        the file.

    Raises
    ------
    InputError
        If an argument is none of the above; it names it.
    """
    first, others = _first(data, look), _others(layers)
    box = _box(zoom, first.shape)
    if coordinates is not None and coordinates not in COORDINATES:
        raise InputError(f"coordinates={coordinates!r}: must be one of {', '.join(COORDINATES)}, or None")
    inches = _size(size, box, colour_bar)
    figure, axes = _axes(first, coordinates, inches)
    cells = _draw_layers(axes, first, others, box, math.ceil(max(inches) * dpi))
    _label_axes(axes, coordinates, box, inches, grid=grid)
    draw_regions(axes, regions, labels=labels, wcs=first.wcs, colour=region_colour)
    if outline is not None:
        draw_outline(axes, outline)
    if scale_bar is not False:
        draw_scale_bar(axes, first.wcs, box, scale_bar)
    if compass is not False:
        draw_compass(axes, first.wcs, box, compass)
    if colour_bar:
        draw_colour_bar(axes, first, label=first.unit)
    if heading := first.label if title is None else title:
        set_heading(axes, heading)
    return describe(figure, _facts(first, others, box, cells, heading))


def _first(data: Any, look: dict[str, Any]) -> Layer:
    known = set(Layer.__dataclass_fields__) - {"data", "pixels", "mapping"}
    if unknown := sorted(set(look) - known):
        raise InputError(f"{unknown[0]}: is no argument of a view; must be one of {', '.join(sorted(known))}")
    return Layer(data, **look)


def _others(layers: Iterable[Layer]) -> list[Layer]:
    found = list(layers)
    for place, layer in enumerate(found):
        if not isinstance(layer, Layer):
            raise InputError(f"layers[{place}]: must be a Layer, found {type(layer).__name__}")
    return found


def _box(zoom: Any, shape: tuple[int, int]) -> Box:
    """Return what is shown, as edges in pixels."""
    if zoom is None:
        return -0.5, shape[1] - 0.5, -0.5, shape[0] - 0.5
    if isinstance(zoom, str) or np.shape(zoom) != (4,) or not np.isfinite(np.asarray(zoom, float)).all():
        raise InputError(f"zoom={zoom!r}: must be four numbers x0, x1, y0, y1")
    x0, x1, y0, y1 = (float(edge) for edge in zoom)
    if not (x0 < x1 and y0 < y1):
        raise InputError(f"zoom={zoom!r}: x0 must be below x1, and y0 below y1")
    if x1 <= -0.5 or y1 <= -0.5 or x0 >= shape[1] - 0.5 or y0 >= shape[0] - 0.5:
        raise InputError(f"zoom={zoom!r}: must reach onto the image of {shape[1]} x {shape[0]} pixels")
    return x0, x1, y0, y1


def _size(size: Any, box: Box, colour_bar: bool) -> tuple[float, float]:
    if size is not None:
        return checked_size(size)
    wide = _WIDTH - _MARGIN[0] * (1.0 if colour_bar else 0.6)
    return _WIDTH, round(float(np.clip(wide * (box[3] - box[2]) / (box[1] - box[0]), 2.2, 11.0)) + _MARGIN[1], 2)


def _axes(first: Layer, coordinates: str | None, inches: tuple[float, float]) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=inches, layout="compressed")
    sky = first.wcs is not None and coordinates in ("sexagesimal", "degrees")
    axes = figure.add_subplot(projection=getattr(first.wcs, "celestial", first.wcs) if sky else None)
    return figure, axes


def _draw_layers(axes: Axes, first: Layer, others: list[Layer], box: Box, largest: int) -> Grid:
    cells, values = sampled(first, others, box, largest)
    everything = [first, *others]
    axes.set_facecolor(_BEYOND)
    axes.imshow(blended(everything, values), origin="lower", extent=cells.extent, interpolation="auto")
    for layer in everything:
        if layer.contours is not None:
            draw_contours(axes, layer, cells, smooth_on(first, layer, cells))
    draw_names(axes, everything)
    axes.set_xlim(box[0], box[1])
    axes.set_ylim(box[2], box[3])
    return cells


def _label_axes(axes: Any, coordinates: str | None, box: Box, inches: tuple[float, float], *, grid: bool) -> None:
    if coordinates is None:
        axes.set_axis_off()
        return
    axes.tick_params(labelsize=9)
    line = {"color": "#4C97FF", "alpha": 0.9, "ls": (0, (1.5, 2)), "lw": 1.0}
    if not hasattr(axes, "coords"):
        axes.set_xlabel("x (pixel)", fontsize=10)
        axes.set_ylabel("y (pixel)", fontsize=10)
        if grid:
            axes.grid(**line)
        return
    kinds = list(axes.wcs.world_axis_physical_types)
    for coordinate, kind in zip(axes.coords, kinds, strict=False):
        name = _NAMES.get(kind, kind or "")
        if coordinates == "degrees":
            coordinate.set_format_unit("deg", decimal=True)
            name += " (deg)"
        elif kind == "pos.eq.ra":
            coordinate.set_format_unit("hourangle")
        else:
            coordinate.set_format_unit("deg", decimal=False)
        coordinate.set_axislabel(name, fontsize=10, minpad=0.6)
        coordinate.set_ticklabel(exclude_overlapping=True, size=9)
        coordinate.set_ticks(number=max(5, round(inches[0] * 0.9)), color="white", direction="in")
    if grid:
        axes.coords.grid(**line)


def _facts(first: Layer, others: list[Layer], box: Box, cells: Grid, title: str) -> dict[str, Any]:
    """Return what is drawn, for the file."""
    found = {"title": title, **_look(first), "shape": list(first.shape), "box": list(box), "pixels_per_cell": cells.side}
    return found | ({"layers": [_look(layer) for layer in others]} if others else {})


def _look(layer: Layer) -> dict[str, Any]:
    drawn = layer.rendering
    return {
        "label": layer.label, "unit": layer.unit, "limits": [drawn.low, drawn.high], "stretch": drawn.stretch, "contrast": drawn.contrast,
        "bias": drawn.bias, "colours": layer.colour or layer.cmap, "opacity": layer.opacity, "contours": layer.levels.tolist(),
    }  # fmt: skip
