"""Blocks of pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ezarchive import plots
from ezarchive.errors import InputError


@pytest.mark.pure
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 9))
def test_averages_are_those_of_blocks(ny, nx, step):
    data = np.random.default_rng(ny * 100 + nx).normal(size=(ny, nx))
    data[data > 1] = np.nan
    found = plots.averaged(data, step).values
    assert found.shape == (-(-ny // step), -(-nx // step))
    for j in range(found.shape[0]):
        for i in range(found.shape[1]):
            block = data[j * step : (j + 1) * step, i * step : (i + 1) * step]
            block = block[np.isfinite(block)]
            assert found[j, i] == pytest.approx(block.mean() if block.size else np.nan, nan_ok=True, abs=1e-6)


@pytest.mark.pure
def test_big_images_are_averaged_by_themselves():
    assert max(plots.image(np.zeros((10, 5000), np.float32)).axes[0].images[0].get_array().shape) <= 1200
    assert plots.image(np.zeros((10, 700), np.float32)).axes[0].images[0].get_array().shape == (10, 700)


@pytest.mark.pure
def test_an_image_is_read_in_strips_and_never_whole():
    data = np.random.default_rng(2).normal(100, 5, (3000, 1700)).astype(np.float32)
    data[1234, 567] = np.nan
    asked = []

    def read(rows, cols):
        asked.append(rows.stop - rows.start)
        return data[rows, cols]

    found = plots.averaged_from(read, data.shape, 7)
    np.testing.assert_allclose(found.values, plots.averaged(data.astype(float), 7).values, rtol=1e-6)
    assert sum(asked) == 3000
    assert max(asked) * 1700 <= 2_000_000
    assert (found.shape, found.step) == ((3000, 1700), 7)
    assert plots.averaged(found) is found


@pytest.mark.pure
def test_masks_and_whole_numbers_become_means():
    mask = np.zeros((4, 4), bool)
    mask[0, 0] = mask[3, 2] = True
    assert plots.averaged(mask, 2).values.tolist() == [[0.25, 0], [0, 0.25]]
    assert plots.averaged(np.full((3, 3), 60000, ">u2"), 2).values.tolist() == [[60000, 60000], [60000, 60000]]


@pytest.mark.pure
def test_a_step_that_is_none():
    with pytest.raises(InputError, match=r"downsample 1.5: must be a whole number from 1"):
        plots.averaged_from(lambda rows, cols: np.zeros((5, 5)), (5, 5), 1.5)
    assert plots.step_for((6388, 9576)) == 8
