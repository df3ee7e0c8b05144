"""Which model a link takes."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.wcs import WCS

from ezarchive.errors import InputError
from ezarchive.quicklook.places.linkfits import Nodes, best_fit, nodes_between
from ezarchive.quicklook.places.pixelmaps import Grid, grid_over

pytestmark = pytest.mark.pure


def nodes(function, back, shape=(64, 64), good=None):
    x, y = grid_over(shape)
    u, v = function(x, y)
    back_x, back_y = back(u, v)
    return Nodes(Grid(x, y, np.ones(x.shape, bool) if good is None else good), u, v, back_x, back_y, 1.0, 1.0)


def test_an_offset_where_it_is_as_good():
    fit = best_fit(nodes(lambda x, y: (x + 3, y - 0.25), lambda u, v: (u - 3, v + 0.25)), 0.05, 1)
    assert (fit.kind, fit.model) == ("affine", "offset")
    fit = best_fit(nodes(lambda x, y: (x * 1.0001 + 3, y), lambda u, v: ((u - 3) / 1.0001, v)), 0.05, 1)
    assert fit.model == "affine"
    assert fit.offset_max_error == pytest.approx(0.0032, abs=1e-5)


def test_the_way_back_counts_too():
    """Ten pixels of the reference in one of the image: 0.03 of the one are 0.3 of the other."""

    def there(x, y):
        return (x + 0.3 * np.sin(x)) / 10, y / 10

    def back(u, v):
        x = 10 * u
        for _ in range(200):
            x = 10 * u - 0.3 * np.sin(x)
        return x, 10 * v

    fit = best_fit(nodes(there, back), 0.05, 1)
    assert fit.affine_max_error < 0.05
    assert fit.kind == "wcs"


def test_the_lowest_degree_that_does():
    fit = best_fit(nodes(lambda x, y: (x + 1e-3 * y**2, y), lambda u, v: (u - 1e-3 * v**2, v)), 1e-6, 5)
    assert (fit.kind, fit.models[0].degree) == ("polynomial", 2)
    assert fit.max_error < 1e-9
    assert "full WCS" in best_fit(nodes(lambda x, y: (x + 1e-3 * y**2, y), lambda u, v: (u - 1e-3 * v**2, v)), 1e-6, 1).reason


def test_too_few_nodes():
    x, _ = grid_over((64, 64))
    good = np.zeros(x.shape, bool)
    good[0, :2] = True
    fit = best_fit(nodes(lambda x, y: (x, y), lambda u, v: (u, v), good=good), 0.05, 1)
    assert fit.kind == "wcs"
    assert "2 nodes of the grid do not fix an affine map" in fit.reason


def test_nodes_of_singular_maps():
    good = WCS(naxis=2)
    good.wcs.ctype, good.wcs.cdelt = ["RA---TAN", "DEC--TAN"], [-1e-4, 1e-4]
    bad = good.deepcopy()
    bad.wcs.cd = np.zeros((2, 2))
    with pytest.raises(InputError, match="the WCS cannot be walked both ways: wcs: must turn pixels into positions and back"):
        nodes_between(good, bad, (4, 4), (4, 4))
