"""Loops over points that are sorted by cells."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive.kernels import friends
from ezarchive.store.sites import grid

pytestmark = pytest.mark.pure


def points_of(rng, n, width):
    points = np.array([1.0, 0.0, 0.0]) + rng.uniform(-width, width, (n, 3)) * [0, 1, 1]
    return points / np.linalg.norm(points, axis=1)[:, None]


def sorted_by_cell(points, reach):
    keys = grid(points, reach)
    order = np.argsort(keys, kind="stable")
    return keys[order], points[order]


@pytest.mark.parametrize("reach", [5e-6, 2e-5, 1e-3])
def test_every_pair_within_reach_is_joined(reach):
    rng = np.random.default_rng(1)
    keys, points = sorted_by_cell(points_of(rng, 300, 8 * reach), reach)
    parent = np.arange(300)
    friends.link(keys, points, parent, reach**2)
    label, count = friends.labels(parent)
    near = ((points[:, None] - points) ** 2).sum(axis=2) <= reach**2
    assert (label[:, None] == label)[near].all()
    # Each label is connected: spreading from its first member reaches all of it.
    for one in range(count):
        mine = np.flatnonzero(label == one)
        reached = mine == mine[0]
        for _ in range(len(mine)):
            reached = near[np.ix_(mine, mine)][:, reached].any(axis=1)
        assert reached.all()
    assert 1 < count < 300


def test_groups_are_joined():
    parent = np.arange(6)
    friends.join_groups(parent, np.array([4, 1, 5, 0]), np.array([0, 0, 1, 1]), 2)
    assert friends.labels(parent)[0].tolist() == [0, 1, 2, 3, 1, 0]
    assert friends.labels(np.arange(0))[1] == 0


def test_touches_finds_every_owner():
    rng, reach = np.random.default_rng(2), 1e-5
    keys, points = sorted_by_cell(points_of(rng, 80, 6 * reach), reach)
    others, other_points = sorted_by_cell(points_of(rng, 500, 6 * reach), reach)
    owner = rng.integers(0, 40, 500)
    found = {tuple(pair) for pair in friends.touches(keys, points, others, other_points, owner, reach**2).tolist()}
    near = ((points[:, None] - other_points) ** 2).sum(axis=2) <= reach**2
    assert found == {(i, owner[j]) for i, j in np.argwhere(near).tolist()}


def test_founders_are_the_first_in_order():
    group = np.array([0, 0, 1, -1, 1, 1])
    mjd = np.array([2.0, 1.0, 5.0, 0.0, 5.0, 5.0])
    cell, frame, row = np.array([1, 9, 4, 0, 3, 3]), np.array([1, 1, 1, 0, 7, 7]), np.array([0, 0, 0, 0, 2, 1])
    assert friends.founders(group, mjd, cell, frame, row, 3).tolist() == [1, 5, -1]
