"""Leaves with too many rows."""

from __future__ import annotations

import numpy as np

from ezarchive.association import deciding, dividing
from ezarchive.store.build import Builder
from ezarchive.store.tree import Leaf
from ezarchive.store.version import Version


def test_leaves_are_divided_until_they_hold_few(tmp_path):
    cells = np.arange(3) * 4**11  # the first three children of the first base pixel
    nothing = deciding._nothing(Leaf(0, 0))
    decided = [nothing._replace(cells=cells, counts=np.array([700, 700, 10])), nothing._replace(cells=cells[:1], counts=np.array([400]))]
    with Builder(tmp_path, Version.none(tmp_path), 1, {}) as builder:
        dividing.divide(builder, decided, 1100)
        assert {leaf.order for leaf in builder.tree.leaves} == {0, 1}
        assert len(builder.tree) == 15
    with Builder(tmp_path, Version.none(tmp_path), 1, {}) as builder:
        dividing.divide(builder, [nothing._replace(orphan_cells=cells, orphan_counts=np.array([600, 600, 0]))], 100)
        assert len(builder.tree) == 15


def test_what_was_touched_as_a_whole_stays_so(tmp_path):
    with Builder(tmp_path, Version.none(tmp_path), 1, {}) as builder:
        children = builder.divide(Leaf(0, 3))
        touched = {Leaf(0, 3): None, Leaf(0, 4): None, Leaf(0, 5): np.array([1])}
        found = dividing.present_leaves(touched, builder)
        assert {leaf for leaf, objects in found.items() if objects is None} == {*children, Leaf(0, 4)}
        assert found[Leaf(0, 5)].tolist() == [1]
