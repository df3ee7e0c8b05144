"""Leaves: the sky is covered once, places are found, borders are seen from both sides."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from storetables import random_places

from ezarchive.errors import InputError
from ezarchive.sky import cell_of, separation
from ezarchive.store import ids
from ezarchive.store.tree import BORDER_ORDER, Leaf, Tree, border_cells, leaves_from, margin_cells

pytestmark = pytest.mark.pure


def deep_tree(rng, splits=12):
    tree = Tree.base()
    for _ in range(splits):
        tree = tree.split(tree.leaves[rng.integers(len(tree))])
    return tree


def test_base_pixels():
    assert [tuple(leaf) for leaf in Tree.base().leaves] == [(0, pixel) for pixel in range(12)]


def test_children_cover_their_leaf():
    leaf = Leaf(3, 77)
    children = leaf.children()
    assert (children[0].range[0], children[-1].range[1]) == leaf.range
    assert all(one.range[1] == other.range[0] for one, other in zip(children, children[1:], strict=False))


def test_range_is_that_of_ids():
    assert Leaf(5, 1234).range == tuple(ids.range_of(5, 1234))


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1))
def test_every_place_has_the_one_leaf_that_holds_it(seed):
    rng = np.random.default_rng(seed)
    tree = deep_tree(rng)
    cells = cell_of(*random_places(rng, 300, ra=(0, 360), dec=(-90, 90)), 29)
    for cell, index in zip(cells.tolist(), tree.index_of(cells).tolist(), strict=True):
        holders = [leaf for leaf in tree.leaves if leaf.cells[0] <= cell < leaf.cells[1]]
        assert holders == [tree.leaves[index]]
        assert tree.leaf_of(cell << 1 | 1) == holders[0]


def test_leaves_of_ranges():
    tree = Tree.base().split(Leaf(0, 3))
    low, high = Leaf(1, 13).range
    assert tree.leaves_of([(low, high)]) == (Leaf(1, 13),)
    assert tree.leaves_of([(low, high + 1)]) == (Leaf(1, 13), Leaf(1, 14))
    assert tree.leaves_of([(low, low)]) == ()
    assert tree.leaves_of([(0, ids.N_IDS)]) == tree.leaves


@pytest.mark.parametrize(
    "leaf", [Leaf(0, 0), Leaf(0, 4), Leaf(0, 11), Leaf(5, 0), Leaf(7, 4**7 - 1), Leaf(12, 12345), Leaf(12, 0)], ids=str
)
def test_borders_from_both_sides(leaf):
    inside, outside = border_cells(leaf), margin_cells(leaf)
    shift = 2 * (BORDER_ORDER - leaf.order)
    assert (inside >> shift == leaf.pixel).all()
    assert (outside >> shift != leaf.pixel).all()
    assert len(inside) == max(4 * 2 ** (BORDER_ORDER - leaf.order) - 4, 1)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
def test_what_is_near_another_leaf_is_told(seed):
    """Places within 20 arcsec of a place in another leaf: that leaf is among the others near them."""
    rng = np.random.default_rng(seed)
    tree = deep_tree(rng, 30)
    leaf = tree.leaves[rng.integers(len(tree))]
    cells = rng.choice(border_cells(leaf), 200) << 34 | rng.integers(0, 1 << 34, 200)
    ra, dec = ids.place(cells << 1)
    angle = rng.uniform(0, 2 * np.pi, len(ra))
    near_dec = np.clip(dec + 19.9 / 3600 * np.sin(angle), -90, 90)
    near_ra = (ra + 19.9 / 3600 * np.cos(angle) / np.maximum(np.cos(np.radians(dec)), 1e-9)) % 360
    kept = separation(ra, dec, near_ra, near_dec) * 3600 < 20
    other = tree.index_of(cell_of(near_ra, near_dec, 29))
    rows, leaves = tree.others_near(cells)
    told = set(zip(rows.tolist(), leaves.tolist(), strict=True))
    own = tree.index_of(cells)
    for row in np.flatnonzero(kept & (other != own)).tolist():
        assert (row, int(other[row])) in told
    assert (leaves != own[rows]).all()
    assert len(told) == len(rows)


def test_others_near_far_from_borders():
    rows, leaves = Tree.base().others_near([cell_of(45.0, 20.0, 29)[0]])
    assert len(rows) == len(leaves) == 0
    rows, leaves = Tree.base().others_near([])
    assert len(rows) == 0


def test_all_base_pixels_meet_at_the_poles():
    tree = Tree.base()
    _, leaves = tree.others_near(cell_of(10.0, 89.9999, 29))
    assert [tree.leaves[index].pixel for index in leaves] == [1, 2, 3]


def test_neighbours():
    assert set(Tree.base().neighbours(Leaf(0, 4))) == {Leaf(0, pixel) for pixel in (0, 3, 5, 7, 8, 11)}


def test_manifest_form():
    tree = Tree.base().split(Leaf(0, 7))
    assert leaves_from([list(leaf) for leaf in tree.leaves]) == tree
    assert hash(tree) == hash(leaves_from(tree.leaves))
    assert tree != Tree.base()


def test_gaps_and_overlaps_are_refused():
    with pytest.raises(InputError, match="gap or an overlap"):
        Tree([Leaf(0, pixel) for pixel in range(12) if pixel != 5])
    with pytest.raises(InputError, match="gap or an overlap"):
        Tree([*Tree.base().leaves, Leaf(1, 0)])
    with pytest.raises(InputError, match="must cover the sky, these 11 end before"):
        Tree([Leaf(0, pixel) for pixel in range(11)])
    with pytest.raises(InputError, match="its order must lie in 0 to 12"):
        Tree([Leaf(13, 0)])


def test_splits_that_are_refused():
    with pytest.raises(InputError, match="is no leaf of this tree"):
        Tree.base().split(Leaf(1, 0))
    tree, leaf = Tree.base(), Leaf(0, 0)
    for _ in range(12):
        tree = tree.split(leaf)
        leaf = leaf.children()[0]
    with pytest.raises(InputError, match="order must be below 12"):
        tree.split(leaf)
