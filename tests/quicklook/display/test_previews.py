"""Previews: means of blocks, where their pixels lie, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import block_reduce

from ezarchive.errors import InputError
from ezarchive.quicklook.display.limits import display_limits
from ezarchive.quicklook.display.previews import preview


@pytest.mark.oracle
@pytest.mark.parametrize(("shape", "size"), [((96, 120), 40), ((400, 30), 10), ((1300, 1200), 100), ((3000, 700), 30)])
def test_means_of_blocks(shape, size):
    data = np.random.default_rng(1).normal(1000.0, 5.0, shape)
    found = preview(data, size)
    f = found.factor
    whole = block_reduce(data, f, np.mean)
    np.testing.assert_allclose(found.data[: shape[0] // f, : shape[1] // f], whole, rtol=1e-7)
    assert max(found.data.shape) <= size
    assert f == -(-max(shape) // size)


def by_hand(data: np.ndarray, f: int) -> np.ndarray:
    ny, nx = data.shape
    blocks = [[data[y : y + f, x : x + f] for x in range(0, nx, f)] for y in range(0, ny, f)]
    return np.array([[b[np.isfinite(b)].mean() if np.isfinite(b).any() else np.nan for b in row] for row in blocks])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, ">f4", np.uint8])
def test_edges_and_pixels_that_are_not_finite(dtype):
    data = np.random.default_rng(2).uniform(0, 200, (53, 47)).astype(dtype)
    if data.dtype.kind == "f":
        data[10:20, 10:20] = np.nan
        data[0, 0], data[1, 1] = np.inf, -np.inf
    before = data.copy()
    found = preview(data, 11)
    assert found.factor == 5 and found.data.shape == (11, 10)
    np.testing.assert_allclose(found.data, by_hand(data, 5), rtol=1e-6)
    np.testing.assert_array_equal(data, before)


def test_blocks_that_cross_strips(monkeypatch):
    data = np.random.default_rng(3).normal(size=(100, 64))
    whole = preview(data, 9)
    monkeypatch.setattr("ezarchive.quicklook.display.strips._PIXELS", 64 * 7)
    np.testing.assert_allclose(preview(data, 9).data, whole.data, rtol=1e-6)


def test_a_small_image_stays():
    data = np.arange(12.0).reshape(3, 4)
    found = preview(data)
    assert found.factor == 1 and found.extent == (-0.5, 3.5, -0.5, 2.5)
    np.testing.assert_array_equal(found.data, data)
    assert preview(np.array([[5.0]])).data.tolist() == [[5.0]]
    assert np.isnan(preview(np.full((900, 5), np.nan), 10).data).all()


def test_masked_pixels_do_not_count():
    data = np.ma.masked_array(np.arange(16.0).reshape(4, 4), np.arange(16).reshape(4, 4) % 2 == 0)
    np.testing.assert_array_equal(preview(data, 2).data, [[3.0, 5.0], [11.0, 13.0]])


def test_pixels_there_and_back():
    found = preview(np.zeros((100, 80)), 10, box=(13, 59, 21, 90))
    assert found.box == (13, 60, 21, 91)
    assert found.factor == 7
    x, y = found.to_image(0, 0)
    assert (x, y) == (13 + 3.0, 21 + 3.0)
    u, v = found.to_preview(*found.to_image([0.3, 5.0], [2.0, -0.5]))
    np.testing.assert_allclose([u, v], [[0.3, 5.0], [2.0, -0.5]], atol=1e-12)
    left, right, bottom, top = found.extent
    assert found.to_image(-0.5, -0.5) == (left, bottom)
    assert found.to_image(found.data.shape[1] - 0.5, found.data.shape[0] - 0.5) == (right, top)


def test_a_star_stays_where_it_is():
    y, x = np.mgrid[:300, :400]
    data = np.exp(-((x - 217.3) ** 2 + (y - 88.6) ** 2) / 200.0)
    found = preview(data, 80)
    v, u = np.mgrid[: found.data.shape[0], : found.data.shape[1]]
    total = found.data.sum()
    centre = found.to_image((found.data * u).sum() / total, (found.data * v).sum() / total)
    assert centre == pytest.approx((217.3, 88.6), abs=1e-3)


def test_a_part_of_an_image():
    data = np.random.default_rng(4).normal(size=(200, 300))
    found = preview(data, 50, box=(99.6, 199.4, -30, 49.4))
    np.testing.assert_allclose(found.data, by_hand(data[0:50, 100:200], 2), rtol=1e-6)
    assert found.shape == (200, 300)
    assert preview(data, 50, box=(10, 10.4, 20, 20.4)).data.tolist() == [[np.float32(data[20, 10])]]


def test_a_file(tmp_path):
    data = np.random.default_rng(5).normal(size=(90, 70)).astype(np.float32)
    fits.writeto(tmp_path / "night.fits", data, fits.Header({"BUNIT": "MJy/sr"}))
    found = preview(tmp_path / "night.fits", 30)
    np.testing.assert_allclose(found.data, by_hand(data, 3), rtol=1e-5, atol=1e-7)
    assert found.label.startswith("night") and found.unit == "MJy / sr"
    assert preview(data, unit="Jy").unit == "Jy"


def test_as_json():
    found = preview(np.array([[1.0, np.nan]]))
    assert "data" not in found.to_dict()
    assert json.loads(json.dumps(found.to_dict(pixels=True), allow_nan=False))["data"] == [[1.0, None]]


@pytest.mark.parametrize("wrong", [0, -5, 2.5, "800", None, True])
def test_no_size(wrong):
    with pytest.raises(InputError, match="size="):
        preview(np.ones((3, 3)), wrong)


@pytest.mark.parametrize("wrong", [(0, 1, 2), (5, 2, 0, 3), (0, 3, 4, 4), (np.nan, 1, 0, 1), "abcd", (10, 20, 0, 2), (-9, -3, 0, 2), 7])
def test_no_part_of_the_image(wrong):
    with pytest.raises(InputError, match="box="):
        preview(np.ones((3, 3)), box=wrong)


@pytest.mark.slow
def test_a_frame_of_61_million_pixels():
    data = np.ones((9576, 6388), np.float32)
    data[::7] = 3.0
    found, limits = preview(data), display_limits(data)
    assert found.data.shape == (798, 533)
    assert tuple(limits) == (1.0, 3.0)
    assert float(found.data.astype(float).mean()) == pytest.approx(1.0 + 2.0 / 7.0, rel=1e-3)
