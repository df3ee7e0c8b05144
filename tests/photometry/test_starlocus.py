"""The peak of the stars among sizes, and polynomials over the frame."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive.photometry.starlocus import centres, find_locus, polynomial


@pytest.mark.truth
class TestLocus:
    @pytest.mark.parametrize(("n_stars", "n_galaxies", "limit"), [(100, 0, 0.01), (100, 100, 0.01), (30, 300, 0.02), (8, 30, 0.03)])
    def test_stars_are_found_among_galaxies(self, rng, n_stars, n_galaxies, limit):
        size = np.r_[rng.normal(0.1, 0.015, n_stars), 0.1 + rng.exponential(0.35, n_galaxies)]
        found = find_locus(size, np.full(len(size), 0.01), centres(-0.5, 1.0))
        assert found.centre == pytest.approx(0.1, abs=limit)
        assert found.spread <= 0.035

    def test_share(self, rng):
        size = np.r_[rng.normal(0, 0.01, 200), rng.exponential(0.35, 200)]
        assert find_locus(size, np.full(400, 0.005), centres(-0.3, 0.3)).share == 0.5

    def test_errors_count(self, rng):
        precise, vague = rng.normal(0.2, 0.01, 20), rng.normal(0.5, 0.3, 400)
        found = find_locus(np.r_[precise, vague], np.r_[np.full(20, 0.005), np.full(400, 0.5)], centres(-0.3, 0.6))
        assert found.centre == pytest.approx(0.2, abs=0.02)

    def test_expectation_decides_between_two_peaks(self):
        size, error = np.r_[np.full(10, 0.0), np.full(11, 0.3)], np.full(21, 0.01)
        grid = centres(-0.1, 0.5)
        assert find_locus(size, error, grid, expected=(0.3, 0.02)).centre == pytest.approx(0.3, abs=0.011)
        assert find_locus(size, error, grid).centre == pytest.approx(0.0, abs=0.011)

    def test_only_the_most_precise_of_many_are_used(self, rng):
        size, error = np.r_[rng.normal(0.1, 0.01, 1000), np.full(3000, 0.25)], np.r_[np.full(1000, 0.01), np.full(3000, 0.02)]
        assert find_locus(size, error, centres(0.0, 0.4)).centre == pytest.approx(0.1, abs=0.011)


@pytest.mark.pure
class TestPolynomial:
    @pytest.mark.parametrize(("n_stars", "terms"), [(3, 1), (9.9, 1), (10, 3), (39, 3), (40, 6), (149, 6), (150, 10), (1e4, 10)])
    def test_terms(self, n_stars, terms):
        assert polynomial(np.arange(5.0), np.arange(5.0), (10, 20), n_stars).shape == (5, terms)

    def test_corners_are_one(self):
        terms = polynomial(np.array([0.0, 20.0]), np.array([0.0, 10.0]), (10, 20), 20)
        np.testing.assert_allclose(terms, [[1, -1, -1], [1, 1, 1]])
