"""An image with what was measured on it: the whole frame at the left, the surroundings of some sources at the right."""

# ruff: noqa: PLC0415 - importing this module must not import matplotlib
from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ezarchive.plots.averaging import Averaged, averaged
from ezarchive.plots.common import BLUE, RED
from ezarchive.plots.images import draw_apertures, draw_image

if TYPE_CHECKING:
    from astropy.wcs import WCS
    from matplotlib.figure import Figure


class Overlay(NamedTuple):
    """Apertures of one colour.

    Attributes
    ----------
    apertures : sequence of (x, y, radius) or (x, y, a, b, theta)
        0-based pixels of the full image, theta in degrees counter-clockwise from +x: what is measured, to scale.
    label : str
        Of the legend; none where it is empty.
    colour : str
        Of the lines.
    """

    apertures: Sequence[Sequence[float]]
    label: str = ""
    colour: str = RED


def sources(
    data: ArrayLike | Averaged,
    piece: ArrayLike | Averaged,
    *,
    corner: tuple[int, int],
    overlays: Iterable[Overlay] = (),
    positions: Any = None,
    wcs: WCS | None = None,
    limits: str | tuple[float, float] = "zscale",
    downsample: int | None = None,
    title: str | None = None,
    cmap: str = "gray",
) -> Figure:
    """Draw a whole image with a box and the places of its sources, and beside it the box with the apertures.

    Parameters
    ----------
    data : array_like (ny, nx) or Averaged
        The whole image.
    piece : array_like
        The pixels of the box.
    corner : (int, int)
        Column and row of the image at which the piece begins.
    overlays : iterable of Overlay
        The apertures, drawn to scale in the box.
    positions : pair of array_like, optional
        x and y of the sources that are marked on the whole image, 0-based pixels.
    wcs : astropy.wcs.WCS, optional
        Of the full image; the axes are RA and Dec then, else 0-based pixels.
    limits, downsample, title, cmap
        As of `plots.image`; the limits hold for each panel by itself, unless they are two values.

    Returns
    -------
    matplotlib.figure.Figure
        Data coordinates of its first two axes are pixels of the full image.
    """
    from matplotlib.figure import Figure

    whole, near = averaged(data, downsample), averaged(piece)
    figure = Figure(figsize=(12.5, 6), layout="compressed")
    celestial = None if wcs is None else wcs.celestial
    left, right = (figure.add_subplot(1, 2, place, projection=celestial) for place in (1, 2))
    draw_image(left, whole, limits=limits, cmap=cmap, sky=wcs is not None)
    draw_image(right, near, limits=limits, corner=corner, cmap=cmap, sky=wcs is not None)
    if positions is not None:
        _mark(left, *positions)
    _draw_box(left, corner, near.shape)
    handles = []
    for overlay in overlays:
        draw_apertures(right, overlay.apertures, colour=overlay.colour, width=1.1)
        if overlay.label:
            handles.append(_handle(overlay))
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 6), frameon=False, fontsize=9)
    if title:
        figure.suptitle(title, fontsize=10)
    return figure


def _mark(axes: Any, x: ArrayLike, y: ArrayLike) -> None:
    """Mark the places of sources; the more there are, the smaller."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    size = float(np.clip(60.0 / np.sqrt(max(len(x), 1)), 0.6, 5.0))
    many = len(x) > 2000
    axes.plot(
        x, y, ls="none", marker="o", ms=size, mfc="none", mec=BLUE, mew=0.5, alpha=0.6 if many else 1.0, scalex=False, scaley=False,
        rasterized=many,
    )  # fmt: skip


def _draw_box(axes: Any, corner: tuple[int, int], shape: tuple[int, int]) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((corner[0] - 0.5, corner[1] - 0.5), shape[1], shape[0], fc="none", ec=RED, lw=1.2))


def _handle(overlay: Overlay) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], ls="none", marker="o", ms=9, mfc="none", mec=overlay.colour, label=overlay.label)
