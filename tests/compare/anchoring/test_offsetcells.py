"""Cells of the beam's size."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive.compare.anchoring.offsetcells import cell_side, gathered
from ezarchive.errors import CompareError


@pytest.mark.pure
def test_means_over_half_filled_cells():
    rng = np.random.default_rng(0)
    reference, image = rng.normal(size=(2, 26, 31))
    valid = np.ones(image.shape, bool)
    valid[:5, :3] = False
    valid[5:10, 5:7] = False
    reference[~valid] = np.nan
    cells = gathered(reference, image, valid, None, np.ones(image.shape, bool), 5.0, 5)
    assert cells.used.shape == (6, 7)
    assert cells.used[:5, :6].sum() == 29 and not cells.used[0, 0] and not cells.used[5].any() and not cells.used[:, 6].any()
    assert cells.reference[1, 1] == pytest.approx(np.nanmean(reference[5:10, 5:10]))
    assert cells.image[1, 1] == pytest.approx(image[5:10, 5:10][valid[5:10, 5:10]].mean())
    assert cells.beam == 1.0 and cells.n_pixels == valid.sum() and cells.flags == ()


@pytest.mark.pure
def test_coverage_and_region():
    image, valid = np.ones((40, 40)), np.ones((40, 40), bool)
    coverage = np.where(np.arange(40) < 35, 1.0, 0.5) * np.ones((40, 1))
    region = np.zeros(image.shape, bool)
    region[:20] = True
    cells = gathered(image, image, valid, coverage, region, 2.0, 1)
    assert cells.n_pixels == 40 * 35 and cells.coverage == 0.98
    assert cells.region.sum() == 20 * 35 and not (cells.region & ~cells.used).any()
    assert cells.beams == pytest.approx(350)
    with pytest.raises(CompareError, match=r"100 pixels and 8 beams in common \(coverage 0\), found 1600 and 4.0"):
        gathered(image, image, valid, None, region, 20.0, 1)


@pytest.mark.pure
def test_sides():
    assert [cell_side("internal", beam) for beam in (0.3, 1.0, 6.1, 10.7)] == [1, 1, 6, 11]
    assert [cell_side("external", beam) for beam in (0.3, 5.3, 8.0, 40.0)] == [1, 1, 2, 10]
