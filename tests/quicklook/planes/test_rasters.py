"""PNG and JPEG as grey."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image as Raster

from ezarchive.errors import FrameError
from ezarchive.quicklook.planes.loading import load_one
from ezarchive.quicklook.planes.rasters import read_raster

RED = 0.2125 * 200 / 255 + 0.7154 * 100 / 255 + 0.0721 * 50 / 255


def write(path, pixels):
    Raster.fromarray(pixels).save(path)
    return path


@pytest.mark.pure
def test_colours_are_weighed_and_the_lowest_row_comes_first(tmp_path):
    pixels = np.zeros((2, 3, 3), np.uint8)
    pixels[0, 1] = (200, 100, 50)
    made = load_one(write(tmp_path / "sky.png", pixels))
    assert made.label == "sky"
    expected = np.zeros((2, 3))
    expected[1, 1] = RED
    np.testing.assert_allclose(made.data, expected, atol=1e-15)


@pytest.mark.oracle
def test_weights_are_those_of_skimage(tmp_path):
    from skimage.color import rgb2gray, rgba2rgb

    rng = np.random.default_rng(3)
    for channels, reference in ((3, rgb2gray), (4, lambda rgba: rgb2gray(rgba2rgb(rgba)))):
        pixels = rng.integers(0, 256, (5, 4, channels), np.uint8)
        np.testing.assert_allclose(read_raster(write(tmp_path / "x.png", pixels)), reference(pixels)[::-1], atol=1e-12)


@pytest.mark.pure
def test_grey_levels(tmp_path):
    eight = np.array([[0, 255], [51, 102]], np.uint8)
    np.testing.assert_allclose(read_raster(write(tmp_path / "8.png", eight)), eight[::-1] / 255)
    sixteen = np.array([[0, 65535], [13107, 2]], np.uint16)
    np.testing.assert_allclose(read_raster(write(tmp_path / "16.png", sixteen)), sixteen[::-1] / 65535)
    np.testing.assert_allclose(read_raster(write(tmp_path / "1.png", eight > 60)), eight[::-1] > 60)
    flat = np.full((8, 8, 3), 128, np.uint8)
    np.testing.assert_allclose(read_raster(write(tmp_path / "x.JPG", flat)), 128 / 255, atol=0.01)


@pytest.mark.pure
def test_bad_files(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(FrameError, match="cannot be read as PNG"):
        load_one(tmp_path / "bad.png")
    whole = write(tmp_path / "cut.png", np.random.default_rng(0).integers(0, 256, (50, 50, 3), np.uint8))
    whole.write_bytes(whole.read_bytes()[:3000])
    with pytest.raises(FrameError, match="cannot be read as PNG"):
        load_one(whole)
    with pytest.raises(FrameError, match="none.jpg: is not there"):
        load_one(tmp_path / "none.jpg")
    with pytest.raises(FrameError, match=r"bad.png\[SCI\]: a PNG file has no HDUs"):
        load_one(tmp_path / "bad.png[SCI]")
