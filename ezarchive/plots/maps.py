"""Masks, backgrounds and noise beside the image that they were made of."""

# ruff: noqa: PLC0415 - importing this module must not import matplotlib
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ezarchive.errors import InputError
from ezarchive.plots.averaging import Averaged, averaged
from ezarchive.plots.images import draw_image

if TYPE_CHECKING:
    from astropy.wcs import WCS
    from matplotlib.figure import Figure

_MASK = "#E8483B"


class Panel(NamedTuple):
    """One picture of a row.

    Attributes
    ----------
    data : array_like (ny, nx) or Averaged
        Pixels.
    title : str
        Above it.
    limits : str or (float, float)
        Black and white, as of `plots.image`.
    mask : array_like of bool (ny, nx) or Averaged, optional
        Drawn over it in red, as opaque as the share of masked pixels.
    cmap : str
        A colour map of matplotlib.
    """

    data: ArrayLike | Averaged
    title: str = ""
    limits: str | tuple[float, float] = "zscale"
    mask: ArrayLike | Averaged | None = None
    cmap: str = "gray"


def panels(
    rows: Sequence[Panel], *, wcs: WCS | None = None, downsample: int | None = None, title: str | None = None, label: str | None = None
) -> Figure:
    """Draw one to three pictures of one image side by side, each with its own scale.

    Parameters
    ----------
    rows : sequence of Panel
        Of one shape.
    wcs : astropy.wcs.WCS, optional
        The axes are RA and Dec then, else 0-based pixels.
    downsample : int, optional
        Pixels to average along each axis; by default so many that at most 1200 are drawn.
    title : str, optional
        Above all.
    label : str, optional
        Of the scales, for example the unit.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If there is no panel, or they differ in shape.
    """
    from matplotlib.figure import Figure

    shown = [averaged(panel.data, downsample) for panel in rows]
    if not rows or len({item.shape for item in shown}) > 1:
        raise InputError(f"rows: must be one panel or more of one shape, found {[item.shape for item in shown]}")
    ny, nx = shown[0].shape
    width = 5.0
    figure = Figure(figsize=(len(rows) * (width + 0.9), float(np.clip(width * ny / nx, 2.2, 9)) + 1.0), layout="compressed")
    first, drawn = None, []
    for place, (panel, item) in enumerate(zip(rows, shown, strict=True), start=1):
        axes = figure.add_subplot(1, len(rows), place, projection=None if wcs is None else wcs.celestial, sharex=first, sharey=first)
        first = first or axes
        drawn.append(draw_image(axes, item, limits=panel.limits, cmap=panel.cmap, sky=wcs is not None))
        if panel.mask is not None:
            _cover(axes, averaged(panel.mask, item.step), drawn[-1].get_extent())
        axes.set_title(panel.title, fontsize=9)
        if place > 1:
            _hide_ordinate(axes)
    for item in drawn:
        figure.colorbar(item, ax=item.axes, label=label or "", fraction=0.04, aspect=28, pad=0.02)
    if title:
        figure.suptitle(title, fontsize=10)
    return figure


def _hide_ordinate(axes: object) -> None:
    """Leave out what the first panel says already."""
    if hasattr(axes, "coords"):
        axes.coords[1].set_axislabel(" ")
        axes.coords[1].set_ticklabel_visible(False)
    else:
        axes.set_ylabel("")


def _cover(axes: object, mask: Averaged, extent: Sequence[float]) -> None:
    from matplotlib.colors import to_rgb

    # A block that is masked in part must still be seen.
    share = np.sqrt(np.nan_to_num(mask.values)) * 0.65
    colour = np.empty((*share.shape, 4), np.float32)
    colour[..., :3], colour[..., 3] = to_rgb(_MASK), share
    limits = axes.get_xlim(), axes.get_ylim()
    axes.imshow(colour, origin="lower", extent=extent, interpolation="nearest")
    axes.set_xlim(limits[0])
    axes.set_ylim(limits[1])
