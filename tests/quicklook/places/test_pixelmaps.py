"""Polynomials of two variables, grids, and the full way between two WCS."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.wcs import WCS
from astropy.wcs.utils import pixel_to_pixel

from ezarchive.errors import InputError
from ezarchive.quicklook.places.pixelmaps import (
    BLOCK,
    Grid,
    fit_offset,
    fit_polynomial,
    full_map,
    grid_over,
    inside,
    inverse_affine,
)

pytestmark = pytest.mark.pure


def points(n=200, seed=1):
    return np.random.default_rng(seed).uniform(-50, 3000, (2, n))


@pytest.mark.parametrize("degree", [1, 2, 4])
def test_a_polynomial_is_found_again(degree):
    x, y = points()
    u, v = 5 + 0.9 * x - 0.2 * y, 7000 + 0.1 * x + 1.1 * y
    if degree > 1:
        u, v = u + 1e-4 * x * y, v - 2e-4 * x**2
    model = fit_polynomial(x, y, u, v, degree)
    assert model.degree == degree
    x, y = points(3, 2)
    u, v = 5 + 0.9 * x - 0.2 * y, 7000 + 0.1 * x + 1.1 * y
    if degree > 1:
        u, v = u + 1e-4 * x * y, v - 2e-4 * x**2
    np.testing.assert_allclose(model(x, y), [u, v], rtol=1e-10)


def test_matrix_offset_and_inverse():
    x, y = points()
    model = fit_polynomial(x, y, 5 + 0.9 * x - 0.2 * y, 7000 + 0.1 * x + 1.1 * y, 1)
    np.testing.assert_allclose(model.matrix, [[0.9, -0.2], [0.1, 1.1]], atol=1e-12)
    np.testing.assert_allclose(model.offset, [5, 7000], atol=1e-8)
    np.testing.assert_allclose(inverse_affine(model)(*model(x, y)), [x, y], atol=1e-8)
    np.testing.assert_allclose(fit_offset(x, y, x + 3, y - 4)(x, y), [x + 3, y - 4])
    assert inverse_affine(fit_polynomial(x, y, x + y, 2 * x + 2 * y, 1)) is None


def test_points_that_fix_nothing():
    line = np.arange(10.0)
    assert fit_polynomial(line, line, line, line, 1) is None
    assert fit_polynomial(line, np.zeros(10), line, line, 1) is None
    assert fit_polynomial(line[:2], line[:2], line[:2], line[:2], 1) is None


def test_many_points_go_in_blocks():
    x, y = points(100)
    model = fit_polynomial(x, y, x + 1e-5 * y**2, y, 2)
    x, y = (part.reshape(2, -1) for part in points(2 * BLOCK + 2))
    u, v = model(x, y)
    assert u.shape == x.shape
    np.testing.assert_allclose(u, x + 1e-5 * y**2, rtol=1e-9)


def test_the_grid_has_edges_and_corners():
    x, y = grid_over((100, 2000))
    assert x.shape == (33, 33)
    assert (x[0, 0], x[0, -1], y[0, 0], y[-1, 0]) == (-0.5, 1999.5, -0.5, 99.5)
    assert grid_over((1, 3))[0].shape == (2, 4)


def test_cells_are_good_where_their_corners_are():
    x, y = grid_over((32, 32))
    whole = Grid(x, y, np.ones(x.shape, bool))
    assert whole.holds(np.array([-0.5, 31.5]), np.array([3.0, 4.0])) is None
    assert whole.holds(np.array([-0.6, 31.5]), np.array([3.0, 4.0])).tolist() == [False, True]
    assert whole.holds(np.array([np.nan, 31.5]), np.array([3.0, 4.0])).tolist() == [False, True]
    good = x < 20
    part = Grid(x, y, good)
    held = part.holds(np.array([3.0, 19.4, 19.6, 40.0, np.nan]), np.full(5, 7.0))
    assert held.tolist() == [True, True, False, False, False]


def test_inside():
    assert inside([-0.5, 4.5, 4.6, np.nan], [0, 2.5, 0, 0], (3, 5)).tolist() == [True, True, False, False]


@pytest.mark.oracle
def test_the_full_way_as_astropy():
    """Axes in the other order, another equinox, galactic: with and without a short way."""
    first = WCS(naxis=2)
    first.wcs.ctype, first.wcs.crval, first.wcs.cdelt = ["RA---TAN", "DEC--TAN"], [10.0, 41.0], [-1e-4, 1e-4]
    swapped = WCS(naxis=2)
    swapped.wcs.ctype, swapped.wcs.crval, swapped.wcs.cdelt = ["DEC--TAN", "RA---TAN"], [41.01, 10.0], [1e-4, -1e-4]
    galactic = WCS(naxis=2)
    galactic.wcs.ctype, galactic.wcs.crval, galactic.wcs.cdelt = ["GLON-TAN", "GLAT-TAN"], [121.0, -21.8], [-1e-4, 1e-4]
    old = first.deepcopy()
    old.wcs.radesys, old.wcs.equinox = "FK5", 1975.0
    x, y = points(20)
    for second in (swapped, galactic, old):
        np.testing.assert_allclose(full_map(first, second)(x, y), pixel_to_pixel(first, second, x, y), atol=2e-4)
    np.testing.assert_allclose(full_map(first, swapped)(x, y), pixel_to_pixel(first, swapped, x, y), atol=1e-9)


def test_a_singular_wcs_says_so():
    good = WCS(naxis=2)
    good.wcs.ctype, good.wcs.cdelt = ["RA---TAN", "DEC--TAN"], [-1e-4, 1e-4]
    bad = good.deepcopy()
    bad.wcs.cd = np.zeros((2, 2))
    with pytest.raises(InputError, match="wcs: must turn pixels into positions and back"):
        full_map(good, bad)(np.zeros(1), np.zeros(1))
