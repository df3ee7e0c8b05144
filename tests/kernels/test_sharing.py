"""Detections shared among centres."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive.kernels import sharing
from ezarchive.store.sites import step_of

pytestmark = pytest.mark.pure

REACH = 5e-6


def share(x, image, *, night=None, old=None, component=None, known=(), known_component=None, min_nights=2):
    """Share points on a line, given in units of the reach."""

    def vectors(x):
        at = np.asarray(x, float) * REACH
        return np.stack([np.cos(at), np.sin(at), np.zeros_like(at)], axis=-1)

    n, k = len(x), len(known)
    return sharing.share(
        vectors(x), np.zeros(n, np.int64) if component is None else np.array(component), np.array(image, np.int64),
        np.array(image if night is None else night, np.int64), np.zeros(n, bool) if old is None else np.array(old, bool), vectors(known),
        np.zeros(k, np.int64) if known_component is None else np.array(known_component, np.int64), step_of(REACH), REACH**2, min_nights,
    )  # fmt: skip


def test_the_nearest_pair_comes_first_and_each_centre_has_an_image_once():
    centre, mean, _ = share([0.3, 0.1, 0.9], [0, 0, 0], known=[0.0, 1.0])
    assert centre.tolist() == [2, 0, 1]
    assert len(mean) == 3


def test_what_is_out_of_reach_founds_something_new():
    centre, mean, group = share([0.0, 1.5, 0.1, 1.4], [0, 0, 1, 1], component=[4, 4, 4, 4])
    assert centre.tolist() == [0, 1, 0, 1]
    assert mean[:, 1] / REACH == pytest.approx([0.05, 1.45])
    assert group.tolist() == [4, 4]


def test_detections_stay_in_their_component():
    assert share([0.0, 0.1], [0, 1], component=[0, 1])[0].tolist() == [0, 1]
    assert share([0.0], [0], component=[1], known=[0.0], known_component=[0])[0].tolist() == [1]


def test_old_ones_had_their_chance_at_known_centres():
    assert share([0.0, 0.1], [0, 1], old=[True, False], known=[0.0])[0].tolist() == [1, 0]


def test_centres_seen_on_enough_nights_are_served_first():
    # A stray at 0.5 beside a star at 0: the star is found at 0.3 later on, and stays one star.
    assert share([0.0, 0.0, 0.5, 0.3], [0, 1, 1, 2])[0].tolist() == [0, 0, 1, 0]


def test_nights_are_counted_not_images():
    # Three images of a night are not enough: the nearest is taken.
    centre, _, _ = share([0.0, 0.0, 0.6, 0.5], [0, 1, 1, 2], night=[7, 7, 7, 7])
    assert centre.tolist() == [0, 0, 1, 1]


def test_equally_near_ones_are_shared_in_their_order():
    assert share([0.5, -0.5], [0, 0], known=[0.0])[0].tolist() == [0, 1]


def test_many_offers_are_sorted():
    rng = np.random.default_rng(1)
    x = rng.permutation(np.repeat(np.arange(200) * 0.3, 1) + rng.uniform(-0.05, 0.05, 200))
    centre, _, _ = share(x, np.zeros(200, np.int64), known=np.arange(200) * 0.3)
    assert np.abs(centre * 0.3 - x).max() < 0.06
    assert len(set(centre.tolist())) == 200


def test_sorting():
    cost = np.array([3.0, 1.0, 2.0, 1.0, 0.0, 1.0])
    order = np.empty(6, np.int64)
    sharing._sort(order, cost, 6)
    assert order.tolist() == [4, 1, 3, 5, 2, 0]


def test_means_may_wander():
    # Each detection is within reach of the running mean, which moves through many cells of the grid.
    x = np.cumsum(np.full(60, 0.05)).tolist()
    centre, mean, _ = share(x, list(range(60)))
    assert set(centre.tolist()) == {0, 1}
    assert len(mean) == 2


def test_nothing():
    centre, mean, group = share([], [])
    assert (len(centre), len(mean), len(group)) == (0, 0, 0)
