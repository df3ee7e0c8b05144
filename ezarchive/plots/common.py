"""What the figures share: colours, numbers of a table's column, and the writing of a file."""

from __future__ import annotations

import contextlib
import json
import math
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from ezarchive.errors import InputError
from ezarchive.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("png", "pdf", "svg")
"""Suffixes that `save` writes."""

_MAKER = "ezarchive"
_FIXED = {
    "savefig.bbox": None, "savefig.facecolor": "auto", "savefig.edgecolor": "auto", "savefig.transparent": False,
    "svg.hashsalt": _MAKER, "svg.fonttype": "path", "svg.image_inline": True, "pdf.fonttype": 42, "pdf.compression": 6,
}  # fmt: skip
"""Settings of matplotlib that change the bytes of a file, whatever a user's own file of settings says."""

_PASSES = 12
_SAVING = threading.Lock()
_FACTS: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()

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


def set_heading(axes: Any, text: str, *, pad: float = 6.0) -> None:
    """Write a title that fits the width of the figure: smaller where it is long, and with its middle left out where that is not enough."""
    points = axes.figure.get_size_inches()[0] * 72 * 0.9
    size = min(10.0, max(7.0, points / (0.6 * max(len(text), 1))))
    most = max(int(points / (0.6 * size)), 8)
    if len(text) > most:
        text = f"{text[: (most - 1) // 2]}\N{HORIZONTAL ELLIPSIS}{text[-(most // 2) :]}"
    axes.set_title(text, fontsize=size, pad=pad)


def describe(figure: Figure, facts: Mapping[str, Any]) -> Figure:
    """Keep what a figure shows, for `save` to write into the file.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    facts : mapping
        Words and numbers; those that are not finite become null.

    Returns
    -------
    matplotlib.figure.Figure
        The same.
    """
    _FACTS[figure] = dict(facts)
    return figure


def save(
    figure: Figure,
    path: str | Path,
    *,
    dpi: float = 150,
    size: tuple[float, float] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Path:
    """Write a figure whole or not at all; the same figure gives the same bytes, in any process and at any time.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure.
    path : path
        Where to; the suffix ``.png``, ``.pdf`` or ``.svg`` chooses the format.
    dpi : float
        Dots per inch of a PNG, and of the images inside a PDF or SVG.
    size : (float, float), optional
        Width and height in inches, for this file; by default those of the figure. A PNG has ``size * dpi`` pixels.
    metadata : mapping, optional
        Words and numbers to write into the file beside those of the figure itself (a view's label, limits, stretch ...): as JSON in
        ``Description`` (PNG, SVG) or ``Subject`` (PDF). ``title`` is its title too.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    InputError
        If the suffix is another one, or dpi, size or metadata are none.

    Notes
    -----
    Names inside an SVG come from a fixed salt, and neither dates nor versions of programs are written.
    """
    path = Path(path)
    suffix = path.suffix.lower().removeprefix(".")
    if suffix not in FORMATS:
        raise InputError(f"path {str(path)!r}: the suffix must be one of {', '.join('.' + name for name in FORMATS)}")
    _positive(dpi, "dpi")
    embedded = _embedded(suffix, {**_FACTS.get(figure, {}), **(metadata or {})})
    with atomic_write(path) as stream, _fixed_settings(), _laid_out(figure, size, dpi if suffix == "png" else 72.0):
        figure.savefig(stream, format=suffix, dpi=dpi, metadata=embedded)
    return path


def _embedded(suffix: str, facts: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata of a file as the writer of its format wants them."""
    fixed: dict[str, dict[str, Any]] = {
        "png": {"Software": _MAKER},
        "svg": {"Creator": _MAKER, "Date": None},
        "pdf": {"Creator": _MAKER, "Producer": _MAKER, "CreationDate": None},
    }
    found = fixed[suffix]
    if facts:
        try:
            text = json.dumps(_finite(facts), sort_keys=True, allow_nan=False)
        except (TypeError, ValueError) as err:
            raise InputError(f"metadata: must be words, numbers, lists and dicts ({err})") from err
        found["Subject" if suffix == "pdf" else "Description"] = text
        if facts.get("title"):
            found["Title"] = str(facts["title"])
    return found


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_finite(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _positive(value: Any, name: str) -> float:
    good = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not (good and math.isfinite(value) and value > 0):
        raise InputError(f"{name}={value!r}: must be a number above 0")
    return float(value)


def checked_size(size: Any) -> tuple[float, float]:
    """Return the width and height of a figure in inches; anything else is an `InputError`."""
    if isinstance(size, str) or np.shape(size) != (2,):
        raise InputError(f"size={size!r}: must be a width and a height in inches")
    width, height = size
    return _positive(width, "size"), _positive(height, "size")


@contextlib.contextmanager
def _fixed_settings() -> Iterator[None]:
    from matplotlib import rc_context  # noqa: PLC0415  importing this module must not import matplotlib

    # The settings are global: one thread writes at a time.
    with _SAVING, rc_context(_FIXED):
        yield


@contextlib.contextmanager
def _laid_out(figure: Figure, size: tuple[float, float] | None, dpi: float) -> Iterator[None]:
    """Lay a figure out for a size and resolution until nothing moves; a single pass depends on those before it."""
    before, resolution, engine = figure.get_size_inches(), figure.dpi, figure.get_layout_engine()
    if size is not None:
        figure.set_size_inches(*checked_size(size))
    try:
        figure.dpi = dpi
        if engine is not None:
            _settle(figure, engine)
            figure.set_layout_engine("none")
        yield
    finally:
        figure.dpi = resolution
        figure.set_size_inches(*before)
        figure.set_layout_engine(engine)


def _settle(figure: Figure, engine: Any) -> None:
    places = None
    for _ in range(_PASSES):
        engine.execute(figure)
        found = [axes.get_position(original=True) for axes in figure.axes]
        if places is not None and all(np.allclose(one, other, rtol=0, atol=1e-6) for one, other in zip(places, found, strict=True)):
            break
        places = found
    for axes, place in zip(figure.axes, found, strict=True):
        # Rounded, as the last digits still depend on where it began; the private setter is what the engines themselves use.
        axes._set_position(place.from_extents(*np.round(place.extents, 5)))
