"""The leaves of the store: HEALPix pixels (NESTED, ICRS) of several orders that together cover the sky once.

A leaf holds the rows of a place; one with too many is divided in four. Every cell number here is NESTED; cells without another order
said are of order 29, as in the column ``_healpix_29``, and an object id is such a cell times two, plus a little (`ezarchive.store.ids`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from cdshealpix import nested
from numpy.typing import ArrayLike, NDArray

from ezarchive.errors import InputError

CELL_ORDER = 29
"""Order of the cells of positions."""

BORDER_ORDER = 12
"""Order of the cells that borders of leaves are made of: 51.5 arcsec a side, more than any margin."""

MAX_ORDER = BORDER_ORDER
"""Order of the smallest leaves; they are not divided, however many rows they hold."""

_THREADS = 1
_ID_SHIFT = 1


class Leaf(NamedTuple):
    """One HEALPix pixel, NESTED."""

    order: int
    pixel: int

    @property
    def cells(self) -> tuple[int, int]:
        """The cells of order 29 in it: from the first to before the second."""
        shift = 2 * (CELL_ORDER - self.order)
        return self.pixel << shift, (self.pixel + 1) << shift

    @property
    def range(self) -> tuple[int, int]:
        """The object ids in it: from the first to before the second."""
        low, high = self.cells
        return low << _ID_SHIFT, high << _ID_SHIFT

    def children(self) -> tuple[Leaf, Leaf, Leaf, Leaf]:
        """Return the four pixels of the next order in it."""
        first, second, third, fourth = (Leaf(self.order + 1, 4 * self.pixel + part) for part in range(4))
        return first, second, third, fourth


class Tree:
    """Leaves that cover the sky once, in the order of their cells.

    Parameters
    ----------
    leaves : iterable of Leaf
        In any order.

    Raises
    ------
    InputError
        If they overlap, leave a gap, or one is of an order over 12.
    """

    def __init__(self, leaves: Iterable[Leaf]) -> None:
        self.leaves: tuple[Leaf, ...] = tuple(sorted((Leaf(*leaf) for leaf in leaves), key=lambda leaf: leaf.cells))
        end = 0
        for leaf in self.leaves:
            if not 0 <= leaf.order <= MAX_ORDER:
                raise InputError(f"leaf {tuple(leaf)}: its order must lie in 0 to {MAX_ORDER}")
            if leaf.cells[0] != end:
                raise InputError(f"leaf {tuple(leaf)}: the leaves must cover the sky once, in front of it there is a gap or an overlap")
            end = leaf.cells[1]
        if end != 12 << 2 * CELL_ORDER:
            raise InputError(f"leaves: must cover the sky, these {len(self.leaves)} end before")

    @classmethod
    def base(cls) -> Tree:
        """Return the tree of the 12 base pixels."""
        return cls(Leaf(0, pixel) for pixel in range(12))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tree) and self.leaves == other.leaves

    def __hash__(self) -> int:
        return hash(self.leaves)

    def __contains__(self, leaf: Leaf) -> bool:
        return leaf in self._known

    def __len__(self) -> int:
        return len(self.leaves)

    def __repr__(self) -> str:
        return f"Tree of {len(self)} leaves"

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        return np.array([leaf.cells[0] for leaf in self.leaves], np.int64)

    def index_of(self, healpix_29: ArrayLike) -> NDArray[np.int64]:
        """Return the place in `leaves` of the leaf that holds each cell of order 29.

        Parameters
        ----------
        healpix_29 : array_like of int64, shape (n,)

        Returns
        -------
        ndarray of int64, shape (n,)
        """
        return np.searchsorted(self._starts, np.asarray(healpix_29, np.int64), side="right") - 1

    def leaf_of(self, object_id: int) -> Leaf:
        """Return the leaf that holds an object's id."""
        return self.leaves[int(self.index_of(object_id >> _ID_SHIFT))]

    def split(self, leaf: Leaf) -> Tree:
        """Return the tree with this leaf divided in four.

        Raises
        ------
        InputError
            If it is no leaf of this tree, or of the highest order.
        """
        if leaf not in self:
            raise InputError(f"leaf {tuple(leaf)}: is no leaf of this tree")
        if leaf.order >= MAX_ORDER:
            raise InputError(f"leaf {tuple(leaf)}: cannot be divided, its order must be below {MAX_ORDER}")
        return Tree([other for other in self.leaves if other != leaf] + list(leaf.children()))

    @cached_property
    def _known(self) -> frozenset[Leaf]:
        return frozenset(self.leaves)

    def leaves_of(self, ranges: Iterable[tuple[int, int]]) -> tuple[Leaf, ...]:
        """Return the leaves that hold ids of these ranges, in order.

        Parameters
        ----------
        ranges : iterable of (int, int)
            Object ids, from the first to before the second (`ids.Range`).
        """
        found: set[int] = set()
        for low, high in ranges:
            if high > low:
                first, last = self.index_of([max(low, 0) >> _ID_SHIFT, max(high - 1, 0) >> _ID_SHIFT])
                found.update(range(int(first), int(last) + 1))
        return tuple(self.leaves[index] for index in sorted(found))

    def neighbours(self, leaf: Leaf) -> tuple[Leaf, ...]:
        """Return the leaves that touch this one, in order."""
        return tuple(self.leaves[index] for index in np.unique(self.index_of(_to_29(margin_cells(leaf)))))

    def others_near(self, healpix_29: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return in which other leaves' margins positions may lie.

        Parameters
        ----------
        healpix_29 : array_like of int64, shape (n,)
            Cells of the positions, order 29.

        Returns
        -------
        row, leaf : ndarray of int64, shape (m,)
            Pairs, sorted: the position with this row is in the order-12 cell next to (or across a corner from) the leaf with this place
            in `leaves`, which is not its own. Everything within 20 arcsec of another leaf is among them, and little beyond 75 arcsec.
        """
        cells, inverse = np.unique(np.asarray(healpix_29, np.int64) >> 2 * (CELL_ORDER - BORDER_ORDER), return_inverse=True)
        own = self.index_of(_to_29(cells))
        around = self.index_of(_to_29(_neighbours(cells)))
        around[around == own[:, None]] = -1
        around = np.sort(around, axis=1)
        around[:, 1:][around[:, 1:] == around[:, :-1]] = -1
        cell, column = np.nonzero(around >= 0)
        counts = np.bincount(cell, minlength=len(cells))
        firsts = np.cumsum(counts) - counts
        touching = np.flatnonzero(counts[inverse])
        repeats = counts[inverse[touching]]
        rows = np.repeat(touching, repeats)
        within = np.arange(len(rows)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        leaves = around[cell, column][np.repeat(firsts[inverse[touching]], repeats) + within]
        order = np.lexsort((leaves, rows))
        return rows[order], leaves[order]


def margin_cells(leaf: Leaf) -> NDArray[np.int64]:
    """Return the cells of order 12 just outside a leaf, corners included, sorted."""
    around = _neighbours(border_cells(leaf)).ravel()
    return np.unique(around[around >> 2 * (BORDER_ORDER - leaf.order) != leaf.pixel])


def border_cells(leaf: Leaf) -> NDArray[np.int64]:
    """Return the cells of order 12 in a leaf that touch its border, sorted."""
    depth = BORDER_ORDER - leaf.order
    side = np.arange(1 << depth, dtype=np.int64)
    spread = np.zeros_like(side)
    for bit in range(depth):  # the bits of a coordinate are every second one of the cell's number
        spread |= (side >> bit & 1) << 2 * bit
    last = spread[-1]
    edges = [spread, spread << 1, spread | last << 1, spread << 1 | last]
    return np.unique(np.concatenate(edges)) + (leaf.pixel << 2 * depth)


def _neighbours(cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the cells of order 12 around each of them and itself, shape (n, 9); where one is missing at a corner, itself."""
    if not len(cells):
        return np.empty((0, 9), np.int64)
    found = nested.neighbours(cells.astype(np.uint64), np.uint8(BORDER_ORDER), num_threads=_THREADS).astype(np.int64)
    return np.where(found < 0, cells[:, None], found)


def _to_29(cells: NDArray[np.int64]) -> NDArray[np.int64]:
    return cells << 2 * (CELL_ORDER - BORDER_ORDER)


def leaves_from(pairs: Sequence[Sequence[int]]) -> Tree:
    """Return the tree of ``[[order, pixel], ...]``, as the manifest has it."""
    return Tree(Leaf(int(order), int(pixel)) for order, pixel in pairs)
