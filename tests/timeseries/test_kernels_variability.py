"""The compiled loops: rows sorted by filter; `tests/store/test_summary.py` compares the numbers with plain numpy."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive.timeseries import kernels_variability as kernels
from ezarchive.timeseries import variability


@pytest.mark.parametrize("n_codes", [1, 2, 9])
def test_detections_are_sorted_by_object_and_filter_and_stay_in_time(n_codes):
    rng = np.random.default_rng(n_codes)
    start = np.concatenate([[0], np.sort(rng.integers(0, 300, 20)), [300]]).astype(np.int64)
    detected, code = rng.random(300) < 0.8, rng.integers(0, n_codes, 300).astype(np.int32)
    order, begin, owner, which = kernels.arrange(start, detected, code, n_codes)
    number = np.repeat(np.arange(len(start) - 1), np.diff(start))
    expected = np.lexsort((np.arange(300), code, number))
    assert order.tolist() == expected[detected[expected]].tolist()
    keys = list(zip(number[order].tolist(), code[order].tolist(), strict=True))
    groups = sorted(set(keys))
    assert list(zip(owner.tolist(), which.tolist(), strict=True)) == groups
    assert np.diff(begin).tolist() == [keys.count(key) for key in groups]


def test_of_nothing_there_are_no_groups():
    order, begin, owner, which = kernels.arrange(np.zeros(1, np.int64), np.zeros(0, bool), np.zeros(0, np.int32), 3)
    assert (order.size, begin.tolist(), owner.size, which.size) == (0, [0], 0, 0)


@pytest.mark.parametrize("n", [1, 2, 3, 32, 33, 500])
def test_a_long_light_curve_is_as_good_as_a_short_one(n):
    rng = np.random.default_rng(n)
    mjd, mag, err = np.sort(rng.uniform(0, 5, n)), rng.normal(18, 1, n), rng.uniform(0.01, 0.1, n)
    nothing = np.full(n, np.nan)
    rows = kernels.Rows(
        np.array([0, n]), np.ones(n, bool), np.ones(n, bool), np.zeros(n, np.int32), np.zeros(n, np.int32), mjd, nothing, nothing,
        np.ones(n), np.ones(n), mag, err, nothing.copy(),
    )  # fmt: skip
    order, begin, owner, which = kernels.arrange(rows.start, rows.detected, rows.code, 1)
    groups = kernels.Groups(order, begin, owner, which, np.zeros(1, np.int64), np.zeros(1, bool))
    out = np.full((11, 1), np.nan)
    delta = kernels.measure_groups(rows, groups, out)
    mean, error = variability.weighted_mean(mag, err)
    expected = [
        mean, error, np.median(mag), np.std(mag, ddof=1) if n > 1 else np.nan, mag.min(), mag.max(),
        np.sum(((mag - mean) / err) ** 2), variability.von_neumann_eta(mjd, mag), variability.stetson_j(mjd, mag, err), mjd[0], mjd[-1],
    ]  # fmt: skip
    np.testing.assert_allclose(out[:, 0], expected, rtol=1e-9, atol=1e-9)
    assert np.isfinite(delta).all() == (n > 1)
