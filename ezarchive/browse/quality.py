"""How good images are: seeing, depth and the ellipticity of their stars, and a score among them.

Seeing and depth are those of the header, else those of the newest catalog. The ellipticity is that of the header (``ELLIP``,
``ELLIPTICITY``, or 1 - 1 / ``ELONG``), else the median ELLIPTICITY of the stars of the newest catalog.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import QTable

from ezarchive import plots
from ezarchive.browse.catalog import Catalog
from ezarchive.browse.catalogset import newest_catalogs
from ezarchive.browse.handle import ArchiveHandle
from ezarchive.browse.pictures import finish
from ezarchive.browse.selection import plain_number
from ezarchive.database import queries
from ezarchive.errors import CatalogError, InputError
from ezarchive.frames.record import Frame
from ezarchive.plots.common import numbers

WEIGHTS = {"ellipticity": 3.0, "seeing": 1.0, "depth": 2.0}
"""What each quantity counts in the score."""

_UNITS = {"seeing": "arcsec", "depth": "mag", "ellipticity": None}
_CARD = re.compile(rb"(?P<key>ELLIP|ELLIPTIC|ELONG|ELONGATI) *= +(?P<value>[-+0-9.EeDd]+)")
_STAR, _SNR, _FEWEST = 0.8, 20.0, 5


def quality_table(frames: Sequence[Frame], handle: ArchiveHandle | None) -> QTable:
    """Return what is known of the quality of frames.

    Parameters
    ----------
    frames : sequence of Frame
    handle : ArchiveHandle, optional
        Their archive, for headers and catalogs.

    Returns
    -------
    QTable
        ``frame_id``, ``seeing``, ``depth``, ``ellipticity`` (NaN where unknown), and ``<name>_from``: header, catalog or nothing.
    """
    catalogs = newest_catalogs(handle, frames)
    shapes = _header_ellipticities(frames, handle)
    rows = []
    for frame, catalog, shape in zip(frames, catalogs, shapes, strict=True):
        measured = None if catalog is None else catalog.info
        row: list[Any] = [-1 if frame.frame_id is None else frame.frame_id]
        for name in ("seeing", "depth"):
            row += _first(getattr(frame, name), None if measured is None else measured[name])
        rows.append([*row, *_first(shape, _stars_ellipticity(catalog) if shape is None else None)])
    names = ("frame_id", "seeing", "seeing_from", "depth", "depth_from", "ellipticity", "ellipticity_from")
    table = QTable(rows=rows, names=names) if rows else QTable(names=names, dtype=("i8", "f8", "U7", "f8", "U7", "f8", "U7"))
    for name, unit in _UNITS.items():
        table[name] = u.Quantity(np.asarray(table[name], float), unit) if unit else np.asarray(table[name], float)
    return table


def best_images(table: QTable, limits: Mapping[str, Any], most: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Choose the best images and score them.

    Parameters
    ----------
    table : QTable
        From `quality_table`.
    limits : mapping
        ``seeing`` and ``ellipticity``: at most; ``depth``: at least; None: no limit.
    most : int, optional
        Keep only so many, those of the highest scores (of equal ones the first).

    Returns
    -------
    kept : ndarray of bool (n,)
    score : ndarray of float (n,)
        NaN for images that do not fulfil the limits. A quantity that is unknown counts as the worst, one that all have alike as the best.

    Raises
    ------
    InputError
        If a limit is no number, or is set on what is known of none of the images.
    """
    kept = np.ones(len(table), bool)
    for name, given in limits.items():
        if given is None:
            continue
        limit = plain_number(name, given, _UNITS[name])
        if isinstance(limit, bool) or not isinstance(limit, (int, float, np.number)) or not math.isfinite(limit):
            raise InputError(f"{name}={given!r}: must be a number, or None for no limit")
        values = numbers(table[name])
        if len(values) and not np.isfinite(values).any():
            raise InputError(f"{name}={given!r}: of none of these {len(values)} images the {name} is known (no header tells it, no catalog "
                             f"was measured); must be None, or the images be measured first")  # fmt: skip
        with np.errstate(invalid="ignore"):
            kept &= values >= limit if name == "depth" else values <= limit
    if most is not None and (isinstance(most, bool) or int(most) != most or most < 1):
        raise InputError(f"max_images={most!r}: must be a whole number from 1, or None")
    score = np.full(len(table), np.nan)
    score[kept] = sum(weight * _goodness(numbers(table[name])[kept], name) for name, weight in WEIGHTS.items())
    if most is not None and kept.sum() > most:
        order = np.flatnonzero(kept)[np.argsort(-score[kept], kind="stable")]
        kept = np.isin(np.arange(len(table)), order[: int(most)])
    return kept, score


def draw_quality(
    table: QTable, score: np.ndarray, kept: np.ndarray, limits: tuple[Any, Any], handle: ArchiveHandle | None, *,
    save_path: str | os.PathLike[str] | None, visualize: bool,
) -> None:  # fmt: skip
    """Draw seeing against depth with what was chosen; the arguments are those of `plots.quality` and of ``show``."""
    plain = tuple(None if limit is None else plain_number(name, limit, _UNITS[name]) for name, limit in zip(_UNITS, limits, strict=False))
    title = f"{kept.sum()} of {len(kept)} images"
    figure = plots.quality(numbers(table["seeing"]), numbers(table["depth"]), score, kept, limits=plain, title=title)
    finish(figure, handle, figsize=None, save_path=save_path, close_fig=not visualize)


def _first(header: float | None, catalog: float | None) -> list[Any]:
    if header is not None:
        return [float(header), "header"]
    return [math.nan, ""] if catalog is None else [float(catalog), "catalog"]


def _goodness(values: np.ndarray, name: str) -> np.ndarray:
    """Return 1 for the best and 0 for the worst."""
    there = np.isfinite(values)
    if not there.any():
        return np.zeros(len(values))
    low, high = values[there].min(), values[there].max()
    scaled = (values - low) / (high - low) if high > low else np.where(there, float(name == "depth"), np.nan)
    return np.nan_to_num(scaled if name == "depth" else 1.0 - scaled)


def _header_ellipticities(frames: Sequence[Frame], handle: ArchiveHandle | None) -> list[float | None]:
    if handle is None:
        return [None] * len(frames)
    found = []
    with handle.database.connect() as conn:
        for frame in frames:
            cards = None if frame.frame_id is None else queries.header_cards(conn, frame.frame_id)
            found.append(None if cards is None else ellipticity_of(cards))
    return found


def ellipticity_of(cards: bytes) -> float | None:
    """Return the ellipticity that header cards tell, None where they do not."""
    for start in range(0, len(cards), 80):
        match = _CARD.match(cards, start)
        if match is None:
            continue
        try:
            value = float(match["value"].decode().upper().replace("D", "E"))
        except ValueError:
            continue
        value = 1.0 - 1.0 / value if match["key"].startswith(b"ELONG") and value >= 1.0 else value
        if 0.0 <= value < 1.0:
            return value
    return None


def _stars_ellipticity(catalog: Catalog | None) -> float | None:
    """Return the median over the bright, clean stars of a catalog, None where there are too few."""
    if catalog is None:
        return None
    try:
        data = catalog.data
    except CatalogError:  # a file that was deleted is found by `verify`; here it only says nothing
        return None
    if any(name not in data.colnames for name in ("ELLIPTICITY", "CLASS_STAR", "SNR", "FLAGS")):
        return None
    with np.errstate(invalid="ignore"):
        stars = (numbers(data["CLASS_STAR"]) > _STAR) & (numbers(data["SNR"]) > _SNR) & (np.asarray(data["FLAGS"]) == 0)
    shapes = numbers(data["ELLIPTICITY"])[stars]
    shapes = shapes[np.isfinite(shapes)]
    return float(np.median(shapes)) if len(shapes) >= _FEWEST else None
