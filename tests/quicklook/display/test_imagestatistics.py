"""Numbers of an image and of a region of it."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from astropy.io import fits
from astropy.stats import mad_std
from photutils.datasets import make_4gaussians_image
from regions import CirclePixelRegion, PixCoord

from ezarchive.errors import FrameError, InputError
from ezarchive.quicklook.display.imagestatistics import statistics
from ezarchive.quicklook.regions.shapes import Circle, Rectangle


def check(found, values):
    """Compare with numpy's numbers of the pixels that count."""
    values = np.asarray(values, float)
    assert found.n == len(values)
    expected = {
        "min": values.min(), "max": values.max(), "sum": values.sum(), "mean": values.mean(), "median": np.median(values),
        "mode": 3 * np.median(values) - 2 * values.mean(), "std": values.std(), "mad_std": mad_std(values),
    }  # fmt: skip
    for name, value in expected.items():
        assert getattr(found, name) == pytest.approx(value, rel=1e-11, abs=1e-11), name


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int16, ">f4"])
def test_a_whole_image(dtype):
    data = make_4gaussians_image().astype(dtype)
    found = statistics(data)
    check(found, data.ravel())
    assert found.n_pixels == 20_000 and found.shape == (100, 200)
    assert data[found.max_place[1], found.max_place[0]] == data.max()
    assert data[found.min_place[1], found.min_place[0]] == data.min()


@pytest.mark.oracle
def test_a_large_image_with_bad_pixels():
    rng = np.random.default_rng(1)
    data = rng.normal(1e5, 3.0, (1300, 1100)).astype(np.float32)
    data[rng.random(data.shape) < 0.02] = np.nan
    data[7, 8], data[9, 10] = np.inf, -np.inf
    mask = rng.random(data.shape) < 0.1
    mask[7, 8] = False
    mask[9, 10] = True
    before = data.copy()
    found = statistics(np.ma.masked_array(data, mask))
    good = np.isfinite(data) & ~mask
    check(found, data[good])
    assert found.n_masked == mask.sum()
    assert found.n_infinite == 1
    assert found.n + found.n_masked + found.n_nan + found.n_infinite == data.size
    np.testing.assert_array_equal(data, before)


@pytest.mark.oracle
@pytest.mark.parametrize("region", [Circle(30.2, 40.1, 8.0), CirclePixelRegion(PixCoord(30.2, 40.1), 8.0)])
def test_a_region(region):
    data = make_4gaussians_image()
    y, x = np.mgrid[:100, :200]
    inside = (x - 30.2) ** 2 + (y - 40.1) ** 2 < 64.0
    found = statistics(data, region)
    check(found, data[inside])
    assert found.n_pixels == inside.sum()
    assert inside[found.max_place[1], found.max_place[0]]


def test_a_region_over_the_edge():
    data = np.arange(100.0).reshape(10, 10)
    found = statistics(data, Rectangle(0.0, 0.0, 5.0, 5.0, 0.0))
    check(found, data[:3, :3].ravel())
    assert found.min_place == (0, 0) and found.max_place == (2, 2)


@pytest.mark.parametrize(
    ("data", "region"),
    [
        (np.full((5, 6), np.nan), None),
        (np.ones((5, 6)), Circle(50.0, 50.0, 3.0)),
        (np.ones((5, 6)), Circle(2.5, 2.5, 0.1)),
        (np.full((3, 3), np.inf), None),
    ],
)
def test_nothing_to_measure(data, region):
    found = statistics(data, region)
    assert found.n == 0 and found.sum == 0.0 and found.min_place is None
    assert all(math.isnan(getattr(found, name)) for name in ("min", "max", "mean", "median", "mode", "std", "mad_std"))
    made = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert made["mean"] is None and made["shape"] == list(data.shape)


def test_both_infinities():
    data = np.arange(40.0).reshape(5, 8)
    data[0, :3] = np.inf, -np.inf, np.nan
    found = statistics(data)
    check(found, np.arange(3.0, 40.0))
    assert (found.n_infinite, found.n_nan) == (2, 1)


@pytest.mark.parametrize("value", [0.0, 1e-20, -5.0])
def test_one_pixel_and_constant_images(value):
    for shape in ((1, 1), (700, 800)):
        found = statistics(np.full(shape, value))
        assert (found.min, found.max, found.mean, found.median) == pytest.approx((value,) * 4, rel=1e-12, abs=0)
        assert (found.std, found.mad_std) == pytest.approx((0.0, 0.0), abs=abs(value) * 1e-12)
        assert found.min_place == found.max_place == (0, 0)


def test_numbers_near_the_ends_of_the_machine():
    small = statistics(np.array([[1e-300, 3e-300]]))
    assert (small.mean, small.median) == pytest.approx((2e-300, 2e-300), rel=1e-12)
    large = statistics(np.array([[-1.7e308, 0.0], [1.7e308, 1.7e308]]))
    assert (large.min, large.max, large.median) == (-1.7e308, 1.7e308, 8.5e307)
    assert large.to_dict()["std"] is None
    assert statistics(np.full((700, 800), 3e38, np.float32)).mean == pytest.approx(3e38, rel=1e-7)


def test_a_file_with_unit(tmp_path):
    data = np.arange(30, dtype=np.int16).reshape(5, 6)
    fits.writeto(tmp_path / "a.fits", data, fits.Header({"BUNIT": "ELECTRONS/S"}))
    found = statistics(tmp_path / "a.fits")
    check(found, data.ravel())
    assert found.unit == "electron / s"
    assert found.label.startswith("a")
    assert statistics(data, unit="adu").unit == "adu"


def test_what_is_no_image(tmp_path):
    with pytest.raises(FrameError, match=r"none\.fits"):
        statistics(tmp_path / "none.fits")
    with pytest.raises(InputError, match="region"):
        statistics(np.ones((3, 3)), region="circle")
