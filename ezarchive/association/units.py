"""Units of work: areas of the sky small enough to be decided at once, and what is seen of their surroundings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ezarchive.association.reading import BORDER_SHIFT
from ezarchive.store.tree import MAX_ORDER, Leaf, Tree, margin_cells
from ezarchive.store.version import Version

UNIT_ROWS = 400_000
"""New rows and orphans of a unit beyond which it is divided, where that is possible."""


class View(NamedTuple):
    """What is seen when a unit is decided: the unit, and the cells of order 12 around it.

    Attributes
    ----------
    unit : Leaf
    low, high : ndarray of int64, shape (m,)
        Ranges of cells of order 29, ascending, apart from one another, upper ends left out.
    margin_low, margin_high : ndarray of int64, shape (k,)
        The same without the unit.
    """

    unit: Leaf
    low: np.ndarray
    high: np.ndarray
    margin_low: np.ndarray
    margin_high: np.ndarray

    @classmethod
    def of(cls, unit: Leaf) -> View:
        """Return the view of a unit."""
        cells = margin_cells(unit) << BORDER_SHIFT
        margin = _merged(cells, cells + (1 << BORDER_SHIFT))
        first, last = unit.cells
        whole = _merged(*(np.sort(np.append(edge, end)) for edge, end in zip(margin, (first, last), strict=True)))
        return cls(unit, *whole, *margin)

    def holds(self, healpix_29: np.ndarray) -> np.ndarray:
        """Tell which places are in view."""
        return _within(healpix_29, self.low, self.high)

    def in_margin(self, healpix_29: np.ndarray) -> np.ndarray:
        """Tell which places are in the margin."""
        return _within(healpix_29, self.margin_low, self.margin_high)

    def holds_any(self, cells: np.ndarray) -> bool:
        """Tell whether any of some cells of order 12 is in view."""
        return bool(self.holds(cells << BORDER_SHIFT).any())

    def leaves(self, tree: Tree) -> tuple[Leaf, ...]:
        """Return the leaves of the store that are in view; the unit lies in one of them."""
        return tuple(tree.leaves[index] for index in np.unique(tree.index_of(np.append(self.low, self.high - 1))))


def _merged(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Join ranges that touch; they are sorted and do not overlap."""
    apart = low[1:] != high[:-1]
    return low[np.append(True, apart)], high[np.append(apart, True)]


def _within(places: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    at = np.searchsorted(low, places, side="right") - 1
    return (at >= 0) & (places < high[np.maximum(at, 0)])


def spans(sorted_places: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return which of sorted places lie in ranges, as row numbers."""
    first, last = np.searchsorted(sorted_places, low), np.searchsorted(sorted_places, high)
    some = np.flatnonzero(last > first)
    return np.concatenate([np.arange(first[i], last[i]) for i in some]) if len(some) else np.empty(0, np.int64)


def units_of(version: Version, cells: np.ndarray, rows: np.ndarray) -> list[Leaf]:
    """Return the areas that must be decided: those with a new row in view.

    Parameters
    ----------
    version : Version
        Of the store as it is.
    cells, rows : ndarray of int64
        Cells of order 12 with new rows, ascending, and how many.

    Returns
    -------
    list of Leaf
        Along the sky; each lies in one leaf of the store.
    """
    if not len(cells):
        return []
    running = np.append(0, np.cumsum(rows))
    places = cells << BORDER_SHIFT

    def new(unit: Leaf) -> int:
        first, last = np.searchsorted(places, unit.cells)
        return int(running[last] - running[first])

    made: list[Leaf] = []
    waiting = [(leaf, version.rows("orphans", leaf)) for leaf in reversed(version.tree.leaves)]
    while waiting:
        unit, orphans = waiting.pop()
        count = new(unit)
        if unit.order < MAX_ORDER and count and count + orphans > UNIT_ROWS:
            waiting += [(child, orphans // 4) for child in reversed(unit.children())]
        else:
            made.append(unit)
    tree = Tree(made)
    _, near = tree.others_near(places)
    return [tree.leaves[index] for index in np.union1d(near, tree.index_of(places))]


def part_of(version: Version, leaves: Iterable[Leaf], datasets: Iterable[str]) -> Version:
    """Return a version that knows only some files: quick to send to another process."""
    chosen, names = set(leaves), set(datasets)
    kept = {place: stored for place, stored in version.files.items() if place.leaf in chosen and place.dataset in names}
    return Version(version.folder, version.number, {}, version.tree, kept)
