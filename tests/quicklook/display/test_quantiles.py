"""Quantiles by brackets are those of numpy, whatever the pixels and however they were sampled."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from ezarchive.quicklook.display import quantiles as module
from ezarchive.quicklook.display import strips as parts
from ezarchive.quicklook.display.quantiles import full_range, quantiles
from ezarchive.quicklook.display.strips import Strips
from ezarchive.quicklook.planes.inputs import picture

few = st.sampled_from([0.0, 1.0, -1.0, 2.5, 1e-20, 1e6, np.nan, np.inf, -np.inf])
any_number = st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False) | few
images = arrays(
    st.sampled_from([np.float32, np.float64]), array_shapes(min_dims=2, max_dims=2, max_side=25), elements=any_number.map(np.float32)
)
repeated = arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=25), elements=few.map(np.float32))
shares = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=5).map(sorted)


def expected(data, fractions):
    good = np.asarray(data, np.float64)[np.isfinite(data)]
    return np.quantile(good, fractions) if good.size else np.full(len(fractions), np.nan)


@pytest.mark.oracle
@settings(max_examples=100, deadline=None)
@given(data=images | repeated, fractions=shares, seen=st.integers(1, 50), room=st.integers(1, 500), strip=st.integers(20, 300))
def test_they_are_numpys(data, fractions, seen, room, strip):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_SMALL", 0)
        patch.setattr(module, "_ROOM", room)
        patch.setattr(parts, "_SAMPLE", seen)
        patch.setattr(parts, "_PIXELS", strip)
        strips = Strips(picture(data))
        found, n = quantiles(strips, fractions)
        limits = full_range(strips)
    good = data[np.isfinite(data)]
    assert n == limits.n == good.size
    np.testing.assert_array_equal(found, expected(data, fractions))
    if n:
        assert (limits.low, limits.high) == (good.min(), good.max())


@pytest.mark.oracle
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), narrow=st.floats(0.0, 3.0), fractions=shares)
def test_brackets_that_miss(seed, narrow, fractions):
    """Margins that are too narrow cost time and nothing else."""
    data = np.random.default_rng(seed).normal(size=(60, 70)).round(2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_SMALL", 0)
        patch.setattr(module, "_MARGINS", (narrow, 2 * narrow))
        patch.setattr(parts, "_SAMPLE", 40)
        found, _ = quantiles(Strips(picture(data)), fractions)
    np.testing.assert_array_equal(found, expected(data, fractions))


def test_the_common_way_is_the_first_bracket(monkeypatch):
    """Neither the wider bracket nor the sorting of everything is needed for a sky with stars."""
    rng = np.random.default_rng(1)
    data = rng.normal(100.0, 5.0, (1100, 1000)) + (rng.random((1100, 1000)) < 0.01) * rng.exponential(1e4, (1100, 1000))
    monkeypatch.setattr(module, "_MARGINS", module._MARGINS[:1])
    monkeypatch.setattr(module, "_of_all", lambda *args: pytest.fail("all pixels were copied"))
    found, n = quantiles(Strips(picture(data)), (0.005, 0.025, 0.5, 0.975, 0.995))
    np.testing.assert_array_equal(found, np.quantile(data, (0.005, 0.025, 0.5, 0.975, 0.995)))
    assert n == data.size


def test_the_sample_is_the_same_each_time_and_small():
    data = np.arange(4_000_000.0).reshape(1000, 4000)
    first, second = Strips(picture(data)).sample(), Strips(picture(data.astype(">f8"))).sample()
    np.testing.assert_array_equal(first, second)
    assert 200_000 < len(first) < 500_000
    assert len(np.unique(first.astype(int) % 4000)) > 2000  # the rows are staggered


def test_strips_are_read_only_and_change_nothing():
    data = np.arange(12.0).reshape(3, 4)
    for _, rows in Strips(picture(data), box=(1, 3, 0, 2)):
        np.testing.assert_array_equal(rows, [[1, 2], [5, 6]])
        with pytest.raises(ValueError, match="read-only"):
            rows[0, 0] = 5.0
    assert data.flags.writeable
