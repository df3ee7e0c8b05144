"""Straight lines: robust, and as published."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive.compare.anchoring.offsetline import huber_line, line, published_line


@pytest.mark.pure
def test_weighted_lines_many_at_once():
    x = np.random.default_rng(0).uniform(0, 3, (4, 20))
    weight = np.random.default_rng(1).uniform(1, 2, 20)
    slope, intercept = line(x, 0.3 - 2 * x, weight)
    np.testing.assert_allclose([slope, intercept], [[-2] * 4, [0.3] * 4])
    y = x[0] + np.random.default_rng(2).normal(size=20)
    np.testing.assert_allclose(np.polyfit(x[0], y, 1, w=np.sqrt(weight)), line(x[0], y, weight))
    np.testing.assert_allclose(line(x[0], y, weight, 1.0)[1], np.average(y - x[0], weights=weight))


@pytest.mark.pure
def test_robust_on_a_line_that_is_exact():
    x = np.linspace(0, 1, 50)
    slope, intercept, weight, scale = huber_line(x, 2 + 3 * x)
    np.testing.assert_allclose([slope, intercept], [3, 2])
    assert scale < 1e-10 and weight.shape == x.shape
    assert huber_line(x, np.zeros(50))[:2] == (0, 0)


@pytest.mark.truth
def test_robust_against_outliers():
    rng, found = np.random.default_rng(3), []
    for _ in range(60):
        x = rng.uniform(0.3, 2, 200)
        y = 0.1 + 1.5 * x + rng.normal(0, 0.05, 200)
        y[:20] += 5
        found.append([huber_line(x, y)[1], np.polyfit(x, y, 1)[1]])
    robust, plain = np.abs(np.mean(found, axis=0) - 0.1)
    assert robust < 0.02 < 0.3 < plain


@pytest.mark.truth
def test_robust_is_nearly_as_good_as_least_squares():
    rng, found = np.random.default_rng(4), []
    for _ in range(300):
        x = rng.uniform(0.3, 2, 60)
        y = 0.1 + 1.5 * x + rng.normal(0, 0.05, 60)
        found.append([huber_line(x, y)[1], np.polyfit(x, y, 1)[1]])
    robust, plain = np.std(found, axis=0)
    assert robust < 1.1 * plain


@pytest.mark.pure
def test_published():
    x = np.arange(17.0)
    slope, intercept, covariance, used = published_line(x, 0.3 + 0.9 * x)
    np.testing.assert_allclose([slope, intercept], [0.9, 0.3])
    assert used.all() and (covariance < 1e-20).all()
    y = 0.3 + 0.9 * x
    y[5] += 50
    slope, intercept, _, used = published_line(x, y)
    np.testing.assert_allclose([slope, intercept], [0.9, 0.3])
    assert not used[5] and used.sum() == 16


@pytest.mark.pure
def test_published_clips_no_more_than_it_did():
    """Among ten points or fewer none lies three of their own deviations off: so it was, and so it is."""
    x = np.arange(8.0)
    y = 0.3 + 0.9 * x
    y[2] += 5
    slope, intercept, _, used = published_line(x, y)
    np.testing.assert_allclose([slope, intercept], np.polyfit(x, y, 1))
    assert used.all()


@pytest.mark.pure
def test_published_with_two_points():
    slope, intercept, covariance, used = published_line(np.array([1.0, 2.0]), np.array([3.0, 5.0]))
    np.testing.assert_allclose([slope, intercept], [2, 1])
    assert np.isnan(covariance).all() and used.all()


@pytest.mark.oracle
def test_published_errors_are_those_of_least_squares():
    rng = np.random.default_rng(5)
    x = rng.uniform(0, 2, 30)
    y = x + rng.normal(0, 0.1, 30)
    _, covariance = np.polyfit(x, y, 1, cov=True)
    np.testing.assert_allclose(published_line(x, y)[2], covariance, rtol=1e-6)
    assert published_line(x, y, 1.0)[2][1, 1] == pytest.approx(np.var(y - x, ddof=1) / 30)
