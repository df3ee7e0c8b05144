"""Where the figures of catalogs, images and sets of them go."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ezarchive import plots
from ezarchive.browse.handle import ArchiveHandle
from ezarchive.errors import InputError
from ezarchive.screen import display

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
