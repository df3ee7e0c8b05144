"""Averages over bins of time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ezarchive.errors import InputError
from ezarchive.timeseries.binning import average, bins, number_of_bin, weights


def test_bins_are_of_equal_keys_in_their_order():
    found = bins(["r", "g", "r", "g", "r"], [1, 0, 0, 0, 1], mjd=[5.0, 3.0, 1.0, 2.0, 4.0])
    assert found.order.tolist() == [3, 1, 2, 4, 0]
    assert found.starts.tolist() == [0, 2, 3]
    assert found.counts.tolist() == [2, 1, 2]
    assert found.first(np.array(["a", "b", "c", "d", "e"])).tolist() == ["d", "c", "e"]
    assert found.least([5.0, np.nan, 1.0, np.nan, 4.0]).tolist()[1:] == [1.0, 4.0]
    assert np.isnan(found.greatest([5.0, np.nan, 1.0, np.nan, 4.0])[0])


def test_no_rows():
    found = bins([], mjd=[])
    assert len(found) == 0
    assert found.first(np.array([], float)).tolist() == []
    assert average(found, [], []).value.shape == (0,)


def test_weighted_mean_by_hand():
    found = average(bins([0, 0, 0, 1, 2], mjd=range(5)), [1.0, 3.0, np.nan, 7.0, 9.0], [1.0, 2.0, 1.0, 0.0, 0.5])
    np.testing.assert_allclose(found.value, [1.4, np.nan, 9.0])
    np.testing.assert_allclose(found.error, [np.sqrt(0.8), np.nan, 0.5])
    assert found.n.tolist() == [2, 0, 1]
    np.testing.assert_allclose(found.chi2_reduced, [0.16 + 2.56 / 4, np.nan, np.nan])


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(-1e3, 1e3), st.floats(0.01, 10)), max_size=60), st.randoms())
def test_the_order_of_the_rows_does_not_matter(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    values = []
    for part in (rows, shuffled):
        keys, value, error = (np.array([row[i] for row in part]) for i in range(3))
        values.append(average(bins(keys, mjd=value), value, error))
    np.testing.assert_allclose(values[0].value, values[1].value, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(values[0].n, values[1].n)
    assert values[0].n.sum() == len(rows)


def test_the_error_is_that_of_the_scatter(rng):
    keys = np.repeat(np.arange(4000), 5)
    error = rng.uniform(0.5, 3.0, len(keys))
    found = average(bins(keys, mjd=keys), rng.normal(10.0, error), error)
    assert np.std((found.value - 10) / found.error) == pytest.approx(1, abs=0.03)
    assert np.mean(found.chi2_reduced) == pytest.approx(1, abs=0.03)


def test_weights_of_what_cannot_count():
    assert weights([1.0, np.nan, 1.0, 1.0, 1.0], [0.5, 1.0, 0.0, -1.0, np.nan]).tolist() == [4.0, 0.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("days", [0, -1.0, np.inf, np.nan, True])
def test_a_wrong_width_is_named(days):
    with pytest.raises(InputError, match="must be 'night' or a number of days above 0"):
        number_of_bin([60000.0], days)
