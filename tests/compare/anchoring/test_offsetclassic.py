"""The published fit: its bins, and where it used to crash."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive.compare.anchoring.offsetclassic import classic_fit
from ezarchive.errors import CompareError


def fit(x, y, **options):
    valid = np.isfinite(x) & np.isfinite(y)
    given = {"region": None, "kind": "external", "beam": 1.0, "percentiles": None, "value_range": (0.25, 2.0), "slope": None} | options
    return classic_fit(x, y, valid, **given)


@pytest.mark.pure
def test_medians_against_the_middles_of_bins():
    rng = np.random.default_rng(0)
    x = rng.uniform(0.2, 2.2, (80, 80))
    y = 0.3 + 0.9 * x + rng.normal(0, 0.1, x.shape)
    made = fit(x, y)
    assert made.bins.x.size == 17 and made.range_axis == "reference" and made.method == "classic"
    for k in (0, 7, 16):
        inside = (x >= 0.25 + 0.1 * k) & (x < 0.35 + 0.1 * k)
        np.testing.assert_allclose([made.bins.low[k], made.bins.y[k], made.bins.high[k]], np.percentile(y[inside], (16, 50, 84)))
        assert made.bins.n[k] == inside.sum()
    np.testing.assert_allclose([made.slope, made.intercept], np.polyfit(made.bins.x[made.bins.used], made.bins.y[made.bins.used], 1))
    assert abs(made.intercept - 0.3) < 5 * made.intercept_err < 0.05


@pytest.mark.pure
def test_an_exact_line_and_empty_bins_do_no_harm():
    x = np.repeat([0.3, 0.5, 0.9, 1.3, 1.9], 40).reshape(10, 20)
    middles = np.repeat([0.3, 0.5, 0.9, 1.3, 1.9], 40).reshape(10, 20)
    made = fit(x, 1.0 + 2 * middles)
    np.testing.assert_allclose([made.slope, made.intercept, made.n_bins], [2, 1, 5], atol=1e-9)
    two = fit(x, 1.0 + 2 * middles, value_range=(0.25, 0.6))
    assert two.n_bins == 2 and np.isnan(two.intercept_err) and two.flags == ("few_bins",)


@pytest.mark.pure
def test_too_little():
    x = np.full((10, 10), 0.5)
    with pytest.raises(CompareError, match="must have points in two bins of 0.1 from 0.25 to 2, found 1 of 17") as err:
        fit(x, x)
    assert err.value.code == "too_few_bins"
    with pytest.raises(CompareError, match="found 0 of 0") as err:
        fit(x, x, value_range=(0.5, 0.6))
    assert err.value.code == "no_data_in_range"
