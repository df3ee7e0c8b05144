"""Display limits: exact percentiles of images of any size, and what is no limit."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import NDData
from astropy.visualization import ZScaleInterval
from photutils.datasets import make_100gaussians_image

from ezarchive.errors import InputError
from ezarchive.quicklook.display.limits import PRESETS, Limits, display_limits
from ezarchive.quicklook.display.stretches import rendered, unrendered
from ezarchive.quicklook.planes.inputs import picture

CHECKED = {"minmax": (0.0, 99.0), 99.5: (0.2475, 98.7525), 99.0: (0.495, 98.505), 95.0: (2.475, 96.525), 90.0: (4.95, 94.05)}
"""Of arange(100), 10 x 10."""

HUNDRED = np.arange(100).reshape(10, 10)


def sorted_out(data: np.ndarray, percent: float) -> tuple[float, float]:
    """Return numpy's percentiles of the finite pixels."""
    good = np.asarray(data, np.float64)[np.isfinite(data)]
    tail = (100.0 - percent) / 2.0
    return float(np.percentile(good, tail)), float(np.percentile(good, 100.0 - tail))


def sky(shape: tuple[int, int], seed: int = 1, dtype: type = np.float32) -> np.ndarray:
    """Return noise on a gradient, with bright pixels and a vignette."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    data = 1000.0 + 0.01 * x + 0.02 * y + rng.normal(0.0, 10.0, shape)
    hot = rng.random(shape) < 0.001
    return np.where(hot, data * rng.exponential(5.0, shape), data).astype(dtype)


@pytest.mark.oracle
@pytest.mark.parametrize("preset", [one for one in PRESETS if one != "zscale"])
def test_the_presets_of_the_numbers_up_to_hundred(preset):
    assert tuple(display_limits(HUNDRED, preset)) == pytest.approx(CHECKED[preset], abs=1e-12)


def test_95_percent_is_what_an_image_starts_with():
    found = display_limits(HUNDRED)
    assert tuple(found) == pytest.approx((2.475, 96.525), abs=1e-12)
    assert (found.preset, found.n) == ("95%", 100)


@pytest.mark.parametrize(("text", "number"), [("99.5", 99.5), ("95%", 95), (" MinMax ", 100), ("90 %", 90)])
def test_texts_mean_what_their_numbers_mean(text, number):
    assert display_limits(HUNDRED, text) == display_limits(HUNDRED, number)


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.uint16, np.int32, np.uint8, ">f4", ">i2"])
@pytest.mark.parametrize("percent", [99.5, 95, 50, 1e-3, 99.9999])
def test_percentiles_are_numpys_to_the_last_bit(dtype, percent):
    data = sky((700, 911), dtype=np.float64)
    data = np.clip(data, 0, 250).astype(dtype) if np.dtype(dtype) == np.uint8 else np.clip(data, 0, 30000).astype(dtype)
    assert tuple(display_limits(data, percent)) == sorted_out(data, percent)


@pytest.mark.oracle
@pytest.mark.parametrize("seed", range(4))
def test_pixels_that_are_not_finite_do_not_count(seed):
    data = sky((613, 877), seed)
    rng = np.random.default_rng(seed)
    for value in (np.nan, np.inf, -np.inf):
        data[rng.random(data.shape) < 0.1] = value
    before = data.copy()
    found = display_limits(data)
    assert tuple(found) == sorted_out(data, 95)
    assert found.n == np.count_nonzero(np.isfinite(data))
    low, high = display_limits(data, "minmax")
    assert (low, high) == (data[np.isfinite(data)].min(), data[np.isfinite(data)].max())
    np.testing.assert_array_equal(data, before)


@pytest.mark.oracle
@pytest.mark.parametrize(
    "name",
    [
        "constant",
        "two values",
        "ramp",
        "down",
        "stripes",
        "rows between",
        "columns between",
        "steep",
        "tiny numbers",
        "one bad row",
        "one row",
    ],
)
def test_images_that_a_sample_misjudges_are_right_too(name):
    y, x = np.mgrid[:800, :800]
    step = 800 // 480
    made = {
        "constant": np.full((800, 800), 7.0),
        "two values": np.where((x + y) % 40 == 0, 1e6, 0.0),
        "ramp": (y * 800.0 + x),
        "down": -(y * 800.0 + x),
        "stripes": (x % 16) * 1.0,
        "rows between": np.where(y % max(step, 2) == 0, y * 1.0, 1e5 + y),
        "columns between": np.where(x % 2 == 0, x * 1.0, -1e5 - x),
        "steep": np.exp(x / 20.0) * 1e-10,
        "tiny numbers": 1e-20 * np.sin(x * y),
        "one bad row": np.where(y == 400, np.nan, 1.0 * x),
        "one row": np.random.default_rng(2).normal(size=(1, 700_001)),
    }[name]
    for percent in (95, 99.5, 10):
        assert tuple(display_limits(made, percent)) == sorted_out(made, percent)


@pytest.mark.oracle
def test_an_image_whose_sampled_pixels_lie_is_right_too(monkeypatch):
    """The sample sees nothing of where the quantiles are: wider brackets, then all pixels."""
    data = sky((900, 900))
    from ezarchive.quicklook.display.strips import Strips

    for told in (
        np.array([5e5], np.float32),
        np.linspace(0, 1, 1000, dtype=np.float32),
        np.empty(0, np.float32),
        np.linspace(900, 1015, 300, dtype=np.float32),
    ):
        monkeypatch.setattr(Strips, "sample", lambda self, told=told: told)
        assert tuple(display_limits(data)) == sorted_out(data, 95)


@pytest.mark.oracle
def test_no_room_in_the_brackets(monkeypatch):
    monkeypatch.setattr("ezarchive.quicklook.display.quantiles._ROOM", 10)
    data = sky((900, 900))
    assert tuple(display_limits(data)) == sorted_out(data, 95)


def test_the_same_pixels_give_the_same_limits():
    data = sky((1200, 1300))
    views = (data, data[::-1][::-1], np.asfortranarray(data), data.astype(">f4"), data.astype(np.float64))
    assert len({tuple(display_limits(one)) for one in views}) == 1
    assert tuple(display_limits(data[::2, ::3])) == sorted_out(data[::2, ::3], 95)


@pytest.mark.parametrize("preset", PRESETS)
def test_nothing_but_nan(preset):
    found = display_limits(np.full((40, 30), np.nan), preset)
    assert math.isnan(found.low) and math.isnan(found.high) and found.n == 0
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["low"] is None
    assert np.isnan(rendered(np.full((4, 3), np.nan), found)).all()


def test_nothing_but_nan_in_a_large_image():
    data = np.full((700, 700), np.nan, np.float32)
    assert display_limits(data).n == 0
    data[3, 4] = 8.5
    assert tuple(display_limits(data)) == (8.5, 8.5)


@pytest.mark.parametrize("preset", PRESETS)
def test_both_infinities(preset):
    data = np.arange(40.0).reshape(5, 8)
    data[0, :2] = np.inf, -np.inf
    found = display_limits(data, preset)
    assert found.n == 38
    assert 2.0 <= found.low < found.high <= 39.0


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("value", [0.0, -3.5, 1e-20])
def test_one_pixel(preset, value):
    assert tuple(display_limits(np.array([[value]]), preset)) == (value, value)


def test_masked_pixels_do_not_count():
    mask = HUNDRED >= 50
    expected = sorted_out(HUNDRED[~mask], 95)
    assert tuple(display_limits(NDData(HUNDRED.astype(float), mask=mask))) == expected
    assert tuple(display_limits(np.ma.masked_array(HUNDRED, mask))) == expected


def test_a_file_is_read_some_rows_at_a_time(tmp_path):
    data = np.round(sky((1500, 1100))).astype(np.int16)
    fits.writeto(tmp_path / "a.fits", data)
    assert tuple(display_limits(tmp_path / "a.fits")) == sorted_out(data, 95)


@pytest.mark.parametrize("level", [1.0, 0.1, -3.3, 1e20])
def test_zscale_of_equal_pixels(level):
    for n in (3, 9, 30, 50):
        assert tuple(display_limits(np.full((n, n), level), "zscale")) == (level, level)


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["gauss100", "sky", "constant", "few", "tail", "with NaN"])
def test_zscale_is_that_of_astropy(name):
    data = {
        "gauss100": make_100gaussians_image(),
        "sky": sky((1100, 1213)),
        "constant": np.full((50, 50), 3.0),
        "few": np.arange(4.0).reshape(2, 2),
        "tail": np.random.default_rng(3).pareto(1.0, (300, 300)),
        "with NaN": np.where(np.arange(90_000).reshape(300, 300) % 7 == 0, np.nan, sky((300, 300), 5)),
    }[name]
    expected = ZScaleInterval().get_limits(np.asarray(data, np.float64))
    assert tuple(display_limits(data, "zscale")) == pytest.approx(tuple(map(float, expected)), rel=1e-12)


@pytest.mark.parametrize("pair", [(0, 0), [0, 5.5], np.array([-1.0, 2.0])])
def test_two_numbers_are_the_limits(pair):
    found = display_limits(np.full((2, 2), np.nan), pair)
    assert (tuple(found), found.preset) == ((float(pair[0]), float(pair[1])), "custom")
    assert display_limits(HUNDRED, found) is found


@pytest.mark.parametrize("wrong", ["max", "", "zskale", 0, 0.0, -1, 100.1, np.nan, np.inf, None, True, {"a": 1}])
def test_what_is_no_preset(wrong):
    with pytest.raises(InputError, match="Invalid autocut: percentile="):
        display_limits(HUNDRED, wrong)


@pytest.mark.parametrize("wrong", [(1,), (1, 2, 3), ("1", "2"), (2, 1), (np.nan, 1), (0, np.inf), (None, 1), [[1, 2]], (True, 3)])
def test_what_are_no_cut_levels(wrong):
    with pytest.raises(InputError, match="Invalid cut levels: percentile="):
        display_limits(HUNDRED, wrong)


def test_what_is_no_image():
    with pytest.raises(InputError, match="data"):
        display_limits(3.0)
    with pytest.raises(InputError, match="real numbers"):
        display_limits(np.ones((3, 3), complex))


@pytest.mark.parametrize("scale", [1e-300, 1e-38, 1e38, 1e306])
@pytest.mark.parametrize("preset", PRESETS)
def test_numbers_near_the_ends_of_the_machine(preset, scale):
    data = np.random.default_rng(1).normal(0.0, 10.0, (60, 50))
    low, high = display_limits(data * scale, preset)
    expected = display_limits(data, preset)
    assert (low / scale, high / scale) == pytest.approx(tuple(expected), rel=1e-9)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_range_that_is_no_number(preset):
    data = np.array([[-1.7e308, 0.0], [1.0, 1.7e308]])
    low, high = display_limits(data, preset)
    assert math.isfinite(low) and math.isfinite(high) and low < high
    np.testing.assert_allclose(rendered(data, (-1.7e308, 1.7e308)), [[0.0, 0.5], [0.5, 1.0]])
    np.testing.assert_allclose(unrendered([0.0, 0.5, 1.0], (-1.7e308, 1.7e308)), [-1.7e308, 0.0, 1.7e308])


def test_limits_as_json():
    assert Limits(0.0, 1.0).to_dict() == {"low": 0.0, "high": 1.0, "preset": "custom", "n": None}


@pytest.mark.oracle
@pytest.mark.parametrize("pattern", ["irac/spitzer*.fits", "nircam/*stamp.fits", "decam/*04a.mini.fits"])
def test_real_frames(real_data, pattern):
    """A frame with a few NaN, a drizzled one, and integers."""
    (path,) = real_data.glob(pattern)
    data = picture(path).data
    for percent in (99.5, 99, 95, 90):
        assert tuple(display_limits(path, percent)) == sorted_out(data, percent)
    expected = ZScaleInterval().get_limits(np.asarray(data, np.float64))
    assert tuple(display_limits(path, "zscale")) == pytest.approx(tuple(map(float, expected)), rel=1e-9)


@pytest.mark.slow
@pytest.mark.oracle
def test_a_frame_of_61_million_pixels():
    rng = np.random.default_rng(5)
    tile = sky((1197, 1597), 3)
    data = np.empty((9576, 6388), np.float32)
    for j in range(8):
        for i in range(4):
            data[j * 1197 : (j + 1) * 1197, i * 1597 : (i + 1) * 1597] = tile + np.float32(rng.normal(0, 20))
    found = display_limits(data)
    for value, q in zip(found, (0.025, 0.975), strict=True):
        # The ranks are checked by counting, which needs no sorted copy.
        place = q * (data.size - 1)
        assert np.count_nonzero(data < np.float32(value)) <= place + 1
        assert np.count_nonzero(data <= np.nextafter(np.float32(value), np.float32(np.inf))) >= place
