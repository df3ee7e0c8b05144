"""What the figures share: colours, numbers of a table's column, and the writing of a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ezarchive.errors import InputError
from ezarchive.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("png", "pdf", "svg")
"""Suffixes that `save` writes."""

# Okabe & Ito (2008), without black (for the limits' edge) and with the yellow darkened to be seen on white.
HUES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#8A7A00")
_ON_GREY = ("#E8483B", "#56B4E9", "#F0E442", "#00C08B", "#FF9DD6", "#FFA94D")
RED, BLUE = "#E8483B", "#3FA9F5"
"""Of what was asked for, and of what was found, on a grey image."""


def colours(n: int, *, on_grey: bool = False) -> list[Any]:
    """Return one colour each: colour-blind-safe hues for a few (brighter ones on a grey image), a perceptual ramp for many."""
    hues = _ON_GREY if on_grey else HUES
    if n <= len(hues):
        return list(hues[:n])
    from matplotlib import colormaps  # noqa: PLC0415  importing this module must not import matplotlib

    return list(colormaps["viridis"](np.linspace(0, 0.92, n)))


def numbers(column: Any) -> NDArray[np.float64]:
    """Return a column, with unit or mask or not, as floats with NaN for what is missing."""
    column = getattr(column, "filled", lambda _: column)(np.nan) if getattr(column, "dtype", np.dtype(float)).kind == "f" else column
    plain = np.ma.asarray(getattr(column, "value", column))
    return np.ma.filled(plain.astype(float), np.nan)


def save(figure: Figure, path: str | Path, *, dpi: int = 150) -> Path:
    """Write a figure whole or not at all.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure.
    path : path
        Where to; the suffix ``.png``, ``.pdf`` or ``.svg`` chooses the format.
    dpi : int
        Dots per inch of a PNG.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    InputError
        If the suffix is another one.
    """
    path = Path(path)
    suffix = path.suffix.lower().removeprefix(".")
    if suffix not in FORMATS:
        raise InputError(f"path {str(path)!r}: the suffix must be one of {', '.join('.' + name for name in FORMATS)}")
    with atomic_write(path) as stream:
        figure.savefig(stream, format=suffix, dpi=dpi)
    return path
