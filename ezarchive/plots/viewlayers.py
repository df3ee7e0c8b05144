"""The layers of a view: images with a WCS each, brought onto the pixels of the first and blended."""

# ruff: noqa: PLC0415 - importing this module must not import matplotlib
from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ezarchive.errors import InputError
from ezarchive.plots.averaging import Averaged, averaged, step_for
from ezarchive.plots.rendering import CURVES, Rendering, limits_of
from ezarchive.plots.skydirections import icrs_to_pixels, pixels_to_icrs

Floats = NDArray[np.float64]
Mapping = Callable[[Floats, Floats], tuple[Floats, Floats]]

_NOT_FINITE = (0.953, 0.788, 0.769)
_NODES = 33
_FINEST = 8


@dataclass(frozen=True, eq=False)
class Layer:
    """An image and how it is drawn.

    Parameters
    ----------
    data : array_like (ny, nx), or averaged
        Pixels (a memory map is read in strips), or blocks of them: `Averaged`, or a preview of the whole image (``data factor shape``).
    wcs : WCS or object of the common interface (APE 14), optional
        Of the whole image.
    limits : number, str or pair
        As of `plots.rendering.limits_of`.
    stretch : {'linear', 'sqrt', 'arcsinh', 'log'}
    contrast, bias : float
        As of `plots.rendering.Rendering`.
    cmap : str
        A colour map of matplotlib.
    colour : str, optional
        In place of a colour map: from black to this colour, and added to what is below.
    opacity : float
        0 to 1.
    contours : int or sequence of float, optional
        So many levels evenly from one limit to the other, or the levels.
    contour_colour : str
    contour_smooth : float
        Standard deviation, in pixels of the first layer, of a Gaussian with which a copy is smoothed for the contours; 0 for none.
    label, unit : str
        For the legend and the colour bar.
    mapping : callable, optional
        From 0-based pixels (x, y) of the first layer to those of this one, in place of both WCS.
    """

    data: ArrayLike | Averaged
    wcs: Any = None
    limits: Any = 95
    stretch: str = "linear"
    contrast: float = 1.0
    bias: float = 0.5
    cmap: str = "gray"
    colour: str | None = None
    opacity: float = 1.0
    contours: int | Iterable[float] | None = None
    contour_colour: str = "#7FE08A"
    contour_smooth: float = 0.0
    label: str = ""
    unit: str = ""
    mapping: Mapping | None = None
    pixels: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        from matplotlib import colormaps
        from matplotlib.colors import is_color_like

        object.__setattr__(self, "pixels", _plain(self.data))
        if self.cmap not in colormaps:
            raise InputError(f"Invalid colormap: cmap={self.cmap!r}: must be a colour map of matplotlib, as 'gray'")
        for name in ("colour", "contour_colour"):
            if getattr(self, name) is not None and not is_color_like(getattr(self, name)):
                raise InputError(f"{name}={getattr(self, name)!r}: must be a colour of matplotlib, as 'red' or '#FF0000'")
        if self.stretch not in CURVES:
            raise InputError(f"Invalid stretch: stretch={self.stretch!r}: must be one of {', '.join(CURVES)}")
        for name, most in (("opacity", 1.0), ("contour_smooth", math.inf)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0 <= value <= most:
                raise InputError(f"{name}={value!r}: must be a number from 0" + (" to 1" if most == 1 else ""))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the whole image."""
        return self.pixels.shape

    @cached_property
    def rendering(self) -> Rendering:
        """How its values become colours."""
        low, high = limits_of(self.pixels.values if isinstance(self.pixels, Averaged) else self.pixels, self.limits)
        return Rendering(low, high, self.stretch, self.contrast, self.bias)

    @cached_property
    def levels(self) -> Floats:
        """The levels of the contours, rising."""
        if self.contours is None:
            return np.empty(0)
        if isinstance(self.contours, (int, np.integer)) and not isinstance(self.contours, bool):
            if self.contours < 1:
                raise InputError(f"contours={self.contours}: must be a number of levels from 1, or the levels")
            return np.linspace(self.rendering.low, self.rendering.high, int(self.contours))
        good = isinstance(self.contours, Iterable) and not isinstance(self.contours, str)
        found = list(self.contours) if good else []
        if not found or not all(isinstance(one, (int, float, np.number)) and np.isfinite(one) for one in found):
            raise InputError(f"contours={self.contours!r}: must be a number of levels from 1, or the levels")
        return np.unique(np.array(found, float))

    @cached_property
    def palette(self) -> Any:
        """The colour map."""
        from matplotlib import colormaps
        from matplotlib.colors import LinearSegmentedColormap

        if self.colour is None:
            return colormaps[self.cmap]
        return LinearSegmentedColormap.from_list("one colour", ["black", self.colour])


class Grid(NamedTuple):
    """The cells of a view: `nx` by `ny` of `side` pixels of the first layer, from its edges `left` and `bottom` (pixel coordinates)."""

    left: float
    bottom: float
    side: float
    nx: int
    ny: int

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top."""
        return self.left, self.left + self.nx * self.side, self.bottom, self.bottom + self.ny * self.side

    @property
    def x(self) -> Floats:
        """The columns' middles."""
        return self.left + (np.arange(self.nx) + 0.5) * self.side

    @property
    def y(self) -> Floats:
        """The rows' middles."""
        return self.bottom + (np.arange(self.ny) + 0.5) * self.side


def sampled(first: Layer, layers: list[Layer], box: tuple[float, float, float, float], largest: int) -> tuple[Grid, list[Floats]]:
    """Bring layers onto cells of the first.

    Parameters
    ----------
    first : Layer
    layers : list of Layer
        The others.
    box : (x0, x1, y0, y1)
        What is shown, edges in pixels of the first.
    largest : int
        Cells along the longer side, at most.

    Returns
    -------
    grid : Grid
    values : list of ndarray, each of shape (ny, nx)
        Of the first, then of the others: means over a cell's pixels, or the pixel below it; NaN beyond an image.
    """
    blocks, x0, y0 = _blocks(first, box, largest)
    rows, columns = blocks.values.shape
    maps = [_mapping(first, layer) for layer in layers]
    split = _split(maps, box, blocks.step, largest // max(rows, columns))
    grid = Grid(x0 - 0.5, y0 - 0.5, blocks.step / split, columns * split, rows * split)
    mine = np.repeat(np.repeat(blocks.values, split, axis=0), split, axis=1).astype(float)
    return grid, [mine, *(_on_grid(layer, to, grid) for layer, to in zip(layers, maps, strict=True))]


def blended(layers: list[Layer], values: list[Floats]) -> NDArray[np.uint8]:
    """Return layers over each other as red, green and blue, shape (ny, nx, 3); the first's pixels that are not finite are pale red."""
    picture = np.empty((*values[0].shape, 3))
    for place, (layer, own) in enumerate(zip(layers, values, strict=True)):
        good = np.isfinite(own)[..., None]
        colours = layer.palette(layer.rendering.index(np.where(good[..., 0], own, layer.rendering.low)))[..., :3]
        if place == 0:
            picture[:] = np.where(good, colours * layer.opacity + (0.0 if layer.colour else 1.0 - layer.opacity), _NOT_FINITE)
        elif layer.colour is not None:
            picture += np.where(good, colours * layer.opacity, 0.0)
        else:
            picture = np.where(good, picture * (1.0 - layer.opacity) + colours * layer.opacity, picture)
    return np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def smooth_on(first: Layer, layer: Layer, grid: Grid) -> Floats:
    """Return a layer on the cells of a view, linearly between its pixels: what contours are drawn of."""
    return _on_grid(layer, None if layer is first else _mapping(first, layer), grid, linear=True)


def _plain(data: Any) -> Any:
    if isinstance(data, Averaged):
        return data
    if hasattr(data, "factor") and hasattr(data, "data"):
        return _of_preview(np.asarray(data.data), int(data.factor), tuple(data.shape))
    pixels = np.ma.filled(data.astype(float), np.nan) if np.ma.isMaskedArray(data) else np.asarray(data)
    if pixels.ndim != 2 or pixels.size == 0:
        raise InputError(f"data: has shape {pixels.shape}; must be an image (ny, nx)")
    if pixels.dtype.kind not in "fiub":
        raise InputError(f"data: must hold real numbers, found dtype {pixels.dtype}")
    return pixels


def _of_preview(values: NDArray, factor: int, shape: tuple[int, int]) -> Averaged:
    """Return the blocks of a preview (``data``, ``factor``, ``shape``), which must be one of the whole image."""
    if values.shape != tuple(-(-size // factor) for size in shape):
        raise InputError(f"data: must be a preview of a whole image of {shape[1]} x {shape[0]} pixels, found a part of it")
    return Averaged(values, factor, shape)


def _blocks(layer: Layer, box: tuple[float, float, float, float], largest: int, step: int | None = None) -> tuple[Averaged, int, int]:
    """Return the blocks that cover a box, and the column and row at which they begin."""
    ny, nx = layer.shape
    own = layer.pixels.step if isinstance(layer.pixels, Averaged) else 1
    x0, y0 = (max(0, math.floor(edge + 0.5) // own * own) for edge in (box[0], box[2]))
    x1, y1 = (min(size, math.ceil(edge + 0.5)) for edge, size in ((box[1], nx), (box[3], ny)))
    if x0 >= x1 or y0 >= y1:
        return Averaged(np.full((1, 1), np.nan, np.float32), 1, (1, 1)), x0, y0
    if isinstance(layer.pixels, Averaged):
        kept = layer.pixels.values[y0 // own : -(-y1 // own), x0 // own : -(-x1 // own)]
        return Averaged(kept, own, (y1 - y0, x1 - x0)), x0, y0
    piece = layer.pixels[y0:y1, x0:x1]
    step = step_for(piece.shape, largest) if step is None else step
    # Pixels as they are keep all their digits, which means do not.
    return averaged(piece, step) if step > 1 else Averaged(np.asarray(piece, float), 1, piece.shape), x0, y0


def _mapping(first: Layer, layer: Layer) -> Mapping | None:
    if layer.mapping is not None:
        return layer.mapping
    if first.wcs is None or layer.wcs is None or first.wcs is layer.wcs:
        return None
    return lambda x, y: icrs_to_pixels(layer.wcs, *pixels_to_icrs(first.wcs, x, y))


def _scale(to: Mapping | None, x: float, y: float) -> float:
    """Return how many of a layer's pixels are along one of the first's; NaN where it has none."""
    if to is None:
        return 1.0
    u, v = to(np.array([x, x + 1, x]), np.array([y, y, y + 1]))
    return math.sqrt(abs(float((u[1] - u[0]) * (v[2] - v[0]) - (u[2] - u[0]) * (v[1] - v[0]))))


def _split(maps: list[Mapping | None], box: tuple[float, float, float, float], step: int, most: int) -> int:
    """Return into how many parts a cell is split so that a finer layer shows its pixels."""
    if step > 1 or not maps:
        return 1
    finest = max((_scale(to, (box[0] + box[1]) / 2, (box[2] + box[3]) / 2) for to in maps), key=lambda one: one if one == one else 0.0)
    return int(max(1, min(math.ceil(finest - 0.01), most, _FINEST))) if math.isfinite(finest) else 1


def _on_grid(layer: Layer, to: Mapping | None, grid: Grid, *, linear: bool = False) -> Floats:
    u, v = _positions(to, grid)
    known = np.isfinite(u) & np.isfinite(v)
    ny, nx = layer.shape
    inside = known & (u > -0.5) & (u < nx - 0.5) & (v > -0.5) & (v < ny - 0.5)
    out = np.full(u.shape, np.nan)
    if not inside.any():
        return out
    u, v = u[inside], v[inside]
    wide = _scale(to, grid.left + grid.nx * grid.side / 2, grid.bottom + grid.ny * grid.side / 2) * grid.side
    step = max(1, round(wide)) if math.isfinite(wide) else 1
    blocks, x0, y0 = _blocks(layer, (u.min() - 0.5, u.max() + 0.5, v.min() - 0.5, v.max() + 0.5), 0, step)
    out[inside] = _between(blocks, u - x0, v - y0) if linear else _below(blocks, u - x0, v - y0)
    return out


def _below(blocks: Averaged, u: Floats, v: Floats) -> Floats:
    """Return the block below each place."""
    rows, columns = (
        np.clip(((place + 0.5) // blocks.step).astype(int), 0, size - 1) for place, size in zip((v, u), blocks.values.shape, strict=True)
    )
    return blocks.values[rows, columns]


def _between(blocks: Averaged, u: Floats, v: Floats) -> Floats:
    """Return values linearly between the middles of blocks; the outermost go on to the edge."""
    from scipy.ndimage import map_coordinates

    places = [(one + 0.5) / blocks.step - 0.5 for one in (v, u)]
    return map_coordinates(blocks.values.astype(float), places, order=1, mode="nearest")


def _positions(to: Mapping | None, grid: Grid) -> tuple[Floats, Floats]:
    """Return where the middles of cells are on a layer: smooth, so that some nodes and splines between them are enough."""
    x, y = grid.x, grid.y
    if to is None:
        return np.broadcast_to(x, (len(y), len(x))), np.broadcast_to(y[:, None], (len(y), len(x)))
    if min(len(x), len(y)) > 2 * _NODES:
        from scipy.interpolate import RectBivariateSpline

        nodes_x, nodes_y = np.linspace(x[0], x[-1], _NODES), np.linspace(y[0], y[-1], _NODES)
        u, v = to(*np.meshgrid(nodes_x, nodes_y))
        if np.isfinite(u).all() and np.isfinite(v).all():
            return RectBivariateSpline(nodes_y, nodes_x, u)(y, x), RectBivariateSpline(nodes_y, nodes_x, v)(y, x)
    u, v = to(*np.meshgrid(x, y))
    return np.asarray(u, float), np.asarray(v, float)
