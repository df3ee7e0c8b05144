"""Leaves that are to hold too many rows are divided before anything is written to them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ezarchive.association.deciding import Decided
from ezarchive.association.reading import BORDER_SHIFT
from ezarchive.store.build import Builder
from ezarchive.store.tree import MAX_ORDER, Leaf


def divide(builder: Builder, decided: list[Decided], limit: int) -> None:
    """Divide the leaves that are to have too many rows with objects, or orphans (which are held in memory at once).

    Parameters
    ----------
    builder : Builder
    decided : list of Decided
        Of all units.
    limit : int
        Rows with an object that a leaf may have; of orphans a quarter.
    """
    cells = np.concatenate([np.empty(0, np.int64), *(one.cells for one in decided)])
    rows = np.concatenate([np.empty(0, np.int64), *(one.counts for one in decided)])
    lonely = np.concatenate([np.empty(0, np.int64), *(one.orphan_cells for one in decided)])
    alone = np.concatenate([np.empty(0, np.int64), *(one.orphan_counts for one in decided)])
    waiting = list(builder.tree.leaves)
    while waiting:
        leaf = waiting.pop()
        if leaf.order >= MAX_ORDER:
            continue
        low, high = (cell >> BORDER_SHIFT for cell in leaf.cells)
        count = builder.current().rows("light_curve", leaf) + rows[(cells >= low) & (cells < high)].sum()
        if count > limit or alone[(lonely >= low) & (lonely < high)].sum() > max(limit // 4, 1000):
            waiting += builder.divide(leaf)


def present_leaves(touched: Mapping[Leaf, np.ndarray | None], builder: Builder) -> dict[Leaf, np.ndarray | None]:
    """Return what was touched by the leaves that there are now.

    Parameters
    ----------
    touched : mapping
        Leaf -> ids of objects, or None: all of the leaf; such a leaf may have been divided since.
    builder : Builder
    """
    found: dict[Leaf, np.ndarray | None] = {}
    for leaf, objects in touched.items():
        if objects is not None or leaf in builder.tree.leaves:
            found[leaf] = objects
            continue
        low, high = leaf.cells
        found |= {part: None for part in builder.tree.leaves if low <= part.cells[0] < high}
    return found
