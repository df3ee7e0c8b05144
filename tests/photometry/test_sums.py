"""Exact sums: two engines and the closed form of the area."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ezarchive.photometry.sums import ENGINES, exact_sums
from ezarchive.sky.ellipses import Ellipses


@pytest.mark.pure
@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=25, deadline=None)
@given(x=st.floats(15, 45), y=st.floats(15, 45), a=st.floats(0.6, 12), ratio=st.floats(0.1, 1), theta=st.floats(-90, 90))
def test_areas(engine, x, y, a, ratio, theta):
    shape = Ellipses(*(np.array([value]) for value in (a, a * ratio, theta)))
    found = exact_sums(engine, np.ones((60, 60)), np.array([x]), np.array([y]), shape, np.full((60, 60), 2.0))
    assert found.value[0] == pytest.approx(np.pi * a * a * ratio, rel=1e-6)
    assert found.variance[0] == pytest.approx(4 * found.value[0], rel=1e-6)


@pytest.mark.pure
def test_areas_of_ellipses_that_are_symmetric_to_the_pixels(rng):
    """sep alone is wrong by up to a factor of six here, or gives NaN."""
    n = 20_000
    a = np.round(rng.uniform(0.5, 6, n) * 4) / 4
    b = np.clip(np.round(a * rng.uniform(0.1, 1, n) * 4) / 4, 0.25, a)
    x, y = np.round(rng.uniform(20, 40, (2, n)) * 2) / 2
    theta = np.round(rng.uniform(-89, 90, n) / 15) * 15
    for shape in (Ellipses(a, b, theta), Ellipses(a, a, theta)):
        found = exact_sums("sep", np.ones((60, 60)), x, y, shape)
        np.testing.assert_allclose(found.value, shape.area, rtol=1e-9)


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_engines_agree(rng, dtype):
    plane, noise = rng.normal(50, 10, (70, 80)).astype(dtype), rng.uniform(1, 2, (70, 80)).astype(dtype)
    n = 40
    x, y, a = rng.uniform(-3, 83, n), rng.uniform(-3, 73, n), rng.uniform(1, 12, n)
    for b, theta in ((a, np.zeros(n)), (a * rng.uniform(0.1, 1, n), rng.uniform(-90, 90, n))):
        ours, theirs = (exact_sums(engine, plane, x, y, Ellipses(a, b, theta), noise) for engine in ENGINES)
        on = theirs.variance > 0
        np.testing.assert_allclose(ours.value[on], theirs.value[on], rtol=1e-6, atol=1e-5)
        np.testing.assert_allclose(ours.variance[on], theirs.variance[on], rtol=1e-6, atol=1e-6)


@pytest.mark.pure
@pytest.mark.parametrize("engine", ENGINES)
def test_no_noise_and_no_positions(engine):
    nothing = np.zeros(0)
    assert exact_sums(engine, np.ones((5, 5)), np.array([2.0]), np.array([2.0]), Ellipses.circles(1, 1)).variance is None
    found = exact_sums(engine, np.ones((5, 5)), nothing, nothing, Ellipses.circles(1, 0), np.ones((5, 5)))
    assert found.value.shape == found.variance.shape == (0,)
