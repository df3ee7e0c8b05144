"""Shares of pixels in rings."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive.errors import InputError
from ezarchive.quicklook.apertures.overlaps import overlap
from ezarchive.quicklook.apertures.rings import Grid, ring_covariance, ring_means, ring_shares
from ezarchive.quicklook.regions.shapes import Ellipse


def centres(n=41):
    y, x = np.mgrid[:n, :n]
    return x.ravel().astype(float), y.ravel().astype(float)


def disc(grid, k):
    if k == 0:
        return np.zeros((41, 41))
    found, weights = overlap(Ellipse(grid.x, grid.y, k * grid.step, k * grid.step * grid.ratio, grid.theta), (41, 41)), np.zeros((41, 41))
    weights[found.slices] = found.weights
    return weights


@pytest.mark.parametrize(
    "grid",
    [Grid(20, 20, 1.0, 15), Grid(20.3, 19.8, 0.4, 30), Grid(20.3, 19.8, 2.5, 6, 0.4, 35.0), Grid(20.5, 20.5, 1.0, 7, 2.0, -80.0),
     Grid(2, 38, 1.3, 9)],
    ids=str,
)  # fmt: skip
def test_shares_are_those_of_discs(grid):
    shares = ring_shares(grid, *centres())
    for k in range(grid.n):
        assert shares[[k]].toarray().reshape(41, 41) == pytest.approx(disc(grid, k + 1) - disc(grid, k), abs=1e-12)
    if grid.x > 5:
        assert shares.sum(axis=1) == pytest.approx(grid.areas, rel=1e-10)


def test_the_box_holds_all():
    grid = Grid(20.3, 19.8, 1.0, 5, 2.0, 20.0)
    rows, columns = grid.box((41, 41))
    y, x = np.mgrid[rows, columns]
    assert ring_shares(grid, x.ravel().astype(float), y.ravel().astype(float)).sum() == pytest.approx(50 * np.pi, rel=1e-12)
    assert grid.box((5, 5)) == (slice(5, 5), slice(5, 5))


def test_covariance_is_that_of_draws():
    x, y = centres(15)
    found = ring_means(ring_shares(Grid(7.2, 6.9, 0.8, 8), x, y), np.ones(225), np.full(225, 4.0))
    draws = found.weights @ np.random.default_rng(1).normal(0, 2, (225, 20_000))
    covariance = ring_covariance(found.weights, np.full(225, 4.0))
    assert np.cov(draws) == pytest.approx(covariance, abs=0.05 * covariance.max())
    assert np.sqrt(np.diag(covariance)) == pytest.approx(found.err) and covariance[0, 1] > 0.05 * covariance[1, 1]


def test_too_many_rings():
    with pytest.raises(InputError, match="makes 200000 rings; must make 100000 at most"):
        Grid(0, 0, 1e-3, 200_000)
