"""Values for pixels that have none."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive.compare.holes import filled

pytestmark = pytest.mark.pure


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 5), (64, 64), (101, 37)])
def test_good_pixels_stay_and_bad_ones_are_between(shape):
    rng = np.random.default_rng(1)
    values, bad = rng.uniform(3, 5, shape), rng.random(shape) < 0.6
    bad[0, 0] = False
    values[bad] = np.nan
    kept = values.copy()
    made = filled(values, bad)
    assert (made[~bad] == values[~bad]).all()
    assert made.min() >= 3
    assert made.max() <= 5
    np.testing.assert_array_equal(values, kept)


def test_a_slope_goes_on_through_a_hole():
    y, x = np.mgrid[0:80, 0:90].astype(float)
    bad = np.hypot(x - 44, y - 40) < 6
    made = filled(np.where(bad, np.inf, x), bad)
    assert np.abs(made - x).max() < 4


def test_nothing_bad_or_all():
    values = np.arange(12.0).reshape(3, 4)
    assert filled(values, np.zeros((3, 4), bool)) is values
    assert (filled(values * np.nan, np.ones((3, 4), bool)) == 0).all()
