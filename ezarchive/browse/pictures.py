"""What images and catalogs share when they draw themselves: pixels a strip at a time, and where a figure goes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ezarchive import plots
from ezarchive.browse.handle import ArchiveHandle
from ezarchive.errors import InputError
from ezarchive.images.image import Image
from ezarchive.plots import Averaged
from ezarchive.screen import display

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WHOLE = (".gz", ".bz2", ".xz", ".z")


def averaged_pixels(image: Image, downsample: int | None = None) -> Averaged:
    """Return an image with blocks of pixels averaged, without the whole of it in memory.

    Parameters
    ----------
    image : Image
        Its pixels are read a strip at a time, unless they are there already; a file that can only be unpacked as a whole is read at once.
    downsample : int, optional
        Pixels along a side of a block; by default as many as a figure needs.
    """
    if "data" in vars(image):
        return plots.averaged(image.data, downsample)
    if image.path is not None and image.path.suffix.lower() in _WHOLE:
        return plots.averaged(image.load(), downsample)
    return plots.averaged_from(image.cut, image.shape, downsample)


def wcs_for(image: Image, coord_type: str) -> Any:
    """Return the WCS for axes of a kind: None for ``"pixel"``.

    Raises
    ------
    InputError
        If the kind is neither ``"pixel"`` nor ``"coord"``, or the image has no WCS that works.
    """
    if coord_type not in ("pixel", "coord"):
        raise InputError(f"coord_type={coord_type!r}: must be 'pixel' or 'coord'")
    if coord_type == "coord" and image.wcs is None:
        raise InputError(f"coord_type='coord': {image.path or 'the image'} has no WCS that works; must be 'pixel'")
    return image.wcs if coord_type == "coord" else None


def finish(
    figure: Figure, handle: ArchiveHandle | None, *, figsize: tuple[float, float] | None, save_path: Any, close_fig: bool
) -> Figure:
    """Give a figure its size, write it if it is to be written, show it in a notebook unless it is to be closed."""
    if figsize is not None:
        figure.set_size_inches(*figsize)
    if save_path is not None:
        plots.save(figure, outside_roots(save_path, handle))
    if not close_fig:
        display(figure)
    return figure


def outside_roots(path: str | os.PathLike[str], handle: ArchiveHandle | None, name: str = "save_path") -> Path:
    """Return a path to write to, which must not lie in a data root: ezarchive never writes there."""
    path = Path(path)
    for root_name, root in ({} if handle is None else handle.settings.roots).items():
        if path.resolve().is_relative_to(root.path.resolve()):
            raise InputError(f"{name}={str(path)!r}: must not lie in data root {root_name!r}, where ezarchive never writes")
    return path
