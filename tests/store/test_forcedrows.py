"""Forced measurements given to objects."""

from __future__ import annotations

import numpy as np
import pytest
from skies import Sky, joined, offset, table

pytestmark = pytest.mark.pure


def star(catalog, night, east=0.0, **options):
    return table(*offset(0.0, 89.9999, np.atleast_1d(np.asarray(east, float)), np.zeros(np.size(east))), catalog, night, **options)


def two_stars(apart):
    return joined([star(1, 0, [0.0, apart]), star(2, 1, [0.0, apart])])


@pytest.mark.parametrize(("east", "which"), [(-0.7, 0), (0.4, 0), (2.4, 1), (2.6, 1), (4.5, None)])
def test_the_object_within_the_radius(east, which):
    sky = Sky()
    sky.add(joined([two_stars(3.0), star(50, 2, east, forced=True)]))
    assert sky.object_id[-1] == (0 if which is None else sky.object_id[which])
    assert not sky.doubtful


@pytest.mark.parametrize(("east", "which"), [(0.65, 0), (0.85, 1)])
def test_the_nearest_of_two_and_both_are_told(east, which):
    sky = Sky()
    sky.add(two_stars(1.5))
    sky.add(star(50, 2, east, forced=True))
    assert sky.object_id[-1] == sky.object_id[which]
    ((pair, apart),) = sky.pairs.items()
    assert set(pair) == set(sky.object_id[:2].tolist())
    assert apart == pytest.approx(1.5, abs=1e-6)


def test_new_objects_have_means_too():
    sky = Sky()
    sky.add(joined([star(50, 2, 0.85, forced=True), two_stars(1.5)]))
    assert sky.object_id[0] == sky.object_id[2]
    assert list(sky.pairs.values()) == pytest.approx([1.5], abs=1e-6)


def test_two_targets_of_a_list_may_be_of_one_object():
    sky = Sky()
    sky.add(joined([two_stars(10.0), star(50, 2, [-0.3, 0.3], forced=True)]))
    assert sky.object_id[-2] == sky.object_id[-1] == sky.object_id[0]


def test_forced_alone():
    sky = Sky()
    sky.add(star(50, 2, [0.0, 5.0], forced=True))
    sky.add(star(51, 3, [0.0, 5.0], forced=True))
    assert not sky.object_id.any()
    assert len(sky.sites) == 0
