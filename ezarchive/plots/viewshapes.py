"""Regions in a view: shapes as plain values, regions on pixels or on the sky, to scale."""

# ruff: noqa: PLC0415 - importing this module must not import matplotlib
from __future__ import annotations

import base64
import binascii
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ezarchive.errors import InputError
from ezarchive.plots.common import RED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.path import Path

_STEPS = 600


def halo(width: float = 2.5) -> list[Any]:
    """Return the dark edge that keeps lines and letters readable on any image."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=width, foreground="#000000B0")]


def draw_regions(
    axes: Axes, regions: Iterable[Any], *, labels: Sequence[str] | None = None, wcs: Any = None, colour: Any = RED, width: float = 1.3
) -> None:
    """Draw regions into axes whose data coordinates are pixels.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    regions : iterable
        Shapes (with ``to_dict``), what their ``to_dict`` gives, or regions of the package ``regions`` on pixels or on the sky.
    labels : sequence of str, optional
        A text for each.
    wcs : WCS, optional
        For those on the sky.
    colour : colour of matplotlib, or a list with one for each
    width : float
        Of the lines, points.

    Raises
    ------
    InputError
        If one is nothing of the kind, or is on the sky and there is no WCS, or there are more or fewer labels.
    """
    from matplotlib.patches import PathPatch

    regions = list(regions)
    if labels is not None and len(labels) != len(regions):
        raise InputError(f"labels: must be one for each of {len(regions)} regions, found {len(labels)}")
    for place, region in enumerate(regions):
        line = colour[place % len(colour)] if isinstance(colour, list) else colour
        path, dashed = _outline(region, f"regions[{place}]", axes, wcs)
        style = (0, (4, 2.5)) if dashed else "-"
        axes.add_patch(PathPatch(path, fc="none", ec=line, lw=width, ls=style, path_effects=halo(width + 1.4)))
        if labels is not None and labels[place]:
            _write(axes, path, str(labels[place]), line)


def _write(axes: Axes, path: Path, text: str, colour: Any) -> None:
    """Write above an outline, or below one that reaches the upper edge of the view."""
    (x0, y0), (x1, y1) = path.get_extents().get_points()
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    if x1 < left or x0 > right or y1 < bottom or y0 > top:
        return
    under = y1 > bottom + 0.95 * (top - bottom)
    pad = 0.02 * (right - left)
    x = float(np.clip((x0 + x1) / 2, left + pad, right - pad))
    side = "left" if x == left + pad else "right" if x == right - pad else "center"
    axes.annotate(
        text, (x, max(y0, bottom + 0.05 * (top - bottom)) if under else y1), xytext=(0, -2 if under else 1), textcoords="offset points",
        color=colour, fontsize=9, ha=side, va="top" if under else "bottom", path_effects=halo(), annotation_clip=False, clip_on=True,
    )  # fmt: skip


def _outline(region: Any, name: str, axes: Axes, wcs: Any) -> tuple[Path, bool]:
    """Return the outline of a region, and whether it is what lies outside that counts."""
    if hasattr(region, "to_pixel") and hasattr(region, "contains") and not hasattr(region, "to_sky"):
        if wcs is None:
            raise InputError(f"{name}: is on the sky ({type(region).__name__}); the image must have a WCS")
        region = region.to_pixel(wcs)
    if isinstance(region, Mapping):
        return _of_shape(dict(region), name, None, axes)
    if hasattr(region, "to_dict"):
        return _of_shape(region.to_dict(), name, region, axes)
    if hasattr(region, "to_sky") and hasattr(region, "contains"):
        return _of_region(region, axes), False
    raise InputError(f"{name}: must be a shape or a region, found {type(region).__name__}")


def _of_region(region: Any, axes: Axes) -> Path:
    """Return the outline of a region on pixels; of one of several parts, all parts."""
    from matplotlib.patches import Patch
    from matplotlib.path import Path

    if hasattr(region, "region1"):
        return Path.make_compound_path(_of_region(region.region1, axes), _of_region(region.region2, axes))
    artist = region.as_artist()
    if isinstance(artist, Patch):
        return artist.get_patch_transform().transform_path(artist.get_path())
    x, y = np.atleast_1d(region.center.x), np.atleast_1d(region.center.y)
    size = (axes.get_xlim()[1] - axes.get_xlim()[0]) / 100
    return Path.make_compound_path(*[_lines([(a - size, b), (a + size, b)], [(a, b - size), (a, b + size)]) for a, b in zip(x, y)])  # noqa: B905


def _of_shape(shape: dict[str, Any], name: str, source: Any, axes: Axes) -> tuple[Path, bool]:
    from matplotlib.path import Path

    kind = shape.get("kind")
    try:
        if kind in ("circle", "ellipse"):
            a, b = (shape["radius"], shape["radius"]) if kind == "circle" else (shape["a"], shape["b"])
            return _placed(Path.unit_circle(), a, b, shape), False
        if kind == "rectangle":
            return _placed(_closed([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)]), shape["width"], shape["height"], shape), False
        if kind == "polygon":
            return _closed(shape["vertices"]), False
        if kind == "annulus":
            return Path.make_compound_path(*[_of_shape(shape[one], name, None, axes)[0] for one in ("inner", "outer")]), False
        if kind == "raster":
            return _of_mask(shape), False
        if kind == "inverted":
            return _of_shape(shape["part"], name, getattr(source, "part", None), axes)[0], True
        if kind == "combined":
            return _of_parts(shape, name, source, axes), False
    except (KeyError, TypeError, ValueError) as err:
        raise InputError(f"{name}: is no whole {kind} ({err!r})") from err
    raise InputError(f"{name}: must be a shape or a region, found kind {kind!r}")


def _placed(path: Path, along: float, across: float, shape: dict[str, Any]) -> Path:
    from matplotlib.transforms import Affine2D

    turned = Affine2D().scale(along, across).rotate_deg(shape.get("theta", 0.0)).translate(shape["x"], shape["y"])
    return turned.transform_path(path)


def _closed(corners: Iterable[Sequence[float]]) -> Path:
    from matplotlib.path import Path

    rows = [tuple(corner) for corner in corners]
    return Path([*rows, rows[0]], closed=True)


def _lines(*lines: Sequence[Sequence[float]]) -> Path:
    from matplotlib.path import Path

    return Path.make_compound_path(*[Path(line) for line in lines])


def _of_mask(shape: dict[str, Any]) -> Path:
    """Return the edges between the pixels of a mask and those that are not."""
    from matplotlib.path import Path

    ny, nx = shape["shape"]
    try:
        packed = np.frombuffer(zlib.decompress(base64.b64decode(shape["bits"])), np.uint8)
    except (binascii.Error, zlib.error) as err:
        raise ValueError(f"bits: {err}") from err
    mask = np.pad(np.unpackbits(packed, count=ny * nx).reshape(ny, nx).astype(bool), 1)
    x0, y0 = shape["x0"] - 1.5, shape["y0"] - 1.5
    row, column = np.nonzero(mask[1:] != mask[:-1])
    level = np.stack([column + x0, row + 1 + y0, column + 1 + x0, row + 1 + y0], axis=1)
    row, column = np.nonzero(mask[:, 1:] != mask[:, :-1])
    upright = np.stack([column + 1 + x0, row + y0, column + 1 + x0, row + 1 + y0], axis=1)
    ends = np.concatenate([level, upright]).reshape(-1, 2)
    return Path(ends, np.tile([Path.MOVETO, Path.LINETO], len(ends) // 2))


def _of_parts(shape: dict[str, Any], name: str, source: Any, axes: Axes) -> Path:
    """Return the outline of a combination, traced on a fine grid; of plain values, those of all its parts."""
    from matplotlib.path import Path

    if source is None or not hasattr(source, "contains"):
        return Path.make_compound_path(*[_of_shape(part, name, None, axes)[0] for part in shape["parts"]])
    x, y = _fine(source.bounds, axes)
    return _traced(x, y, np.asarray(source.contains(*np.meshgrid(x, y)), float))


def _fine(bounds: Sequence[float], axes: Axes) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return places over bounds, or over the view where they have no end."""
    view = (*axes.get_xlim(), *axes.get_ylim())
    x0, x1, y0, y1 = (found if math.isfinite(found) else seen for found, seen in zip(bounds, view, strict=True))
    pad = 0.01 * max(x1 - x0, y1 - y0, 1e-6)
    return np.linspace(x0 - pad, x1 + pad, _STEPS), np.linspace(y0 - pad, y1 + pad, _STEPS)


def _traced(x: NDArray[np.float64], y: NDArray[np.float64], values: NDArray[np.float64]) -> Path:
    from contourpy import contour_generator
    from matplotlib.path import Path

    lines = contour_generator(x, y, values).lines(0.5)
    return Path.make_compound_path(*[Path(line) for line in lines]) if lines else Path(np.empty((0, 2)))
