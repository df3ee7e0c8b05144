"""Stamps: what lies in them, what is left out, and how many are made at once."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive.errors import InputError
from ezarchive.images.background import MeshBackground
from ezarchive.photometry.stamps import STACK_PIXELS, ArrayCutouts, Cutouts, Scene, as_cutouts, as_layer, as_level, chunks, stacked

pytestmark = pytest.mark.pure
SHAPE = (50, 60)


@pytest.fixture
def data(rng):
    return rng.normal(100, 5, SHAPE).astype(np.float32)


def cut(data, x, y, half=(6, 4), **known):
    return stacked(Scene(ArrayCutouts(data), **known), np.atleast_1d(x).astype(float), np.atleast_1d(y).astype(float), half)


def test_a_stamp_is_a_piece_of_the_image(data):
    stamps = cut(data, [20.3, 40.6], [15.0, 30.0])
    assert stamps.data.shape == (2, 13, 9)
    np.testing.assert_array_equal(stamps.data[0], data[9:22, 16:25])
    np.testing.assert_array_equal(stamps.data[1], data[24:37, 37:46])
    np.testing.assert_allclose(stamps.x, [4.3, 3.6], atol=1e-8)
    np.testing.assert_allclose(stamps.y, [6, 13 + 6])
    assert not stamps.out.any()
    assert stamps.layers == {}


def test_beyond_the_edges_pixels_are_left_out(data):
    stamps = cut(data, -1.0, 48.0, background=90.0)
    assert stamps.out[0, :, :5].all()
    assert stamps.out[0, 8:].all()
    assert not stamps.out[0, :8, 5:].any()
    assert (stamps.data[stamps.out] == 0).all()
    np.testing.assert_allclose(stamps.data[0, :8, 5:], data[42:50, 0:4] - 90, rtol=1e-6)
    assert stamps.layers == {}, "what lies off the image is no bad pixel"


def test_level_noise_and_what_is_bad(data, rng):
    mesh = MeshBackground(SHAPE, (16, 16), 3, rng.normal(100, 3, (4, 4)), rng.uniform(1, 2, (4, 4)), 100.0, 1.5)
    data[20, 20], data[21, 20], data[22, 20] = np.nan, np.inf, 5000
    mask = np.zeros(SHAPE, np.uint8)
    mask[23, 20] = 8
    background, noise = as_level("background", mesh, "level", SHAPE), as_level("noise", mesh, "rms", SHAPE)
    stamps = cut(data, 20, 20, background=background, noise=noise, mask=ArrayCutouts(mask), satur_level=4999.0)
    good = ~stamps.out[0]
    assert np.argwhere(~good).tolist() == [[6, 4], [7, 4], [9, 4]]
    expected = (data - mesh.level())[14:27, 16:25]
    np.testing.assert_allclose(stamps.data[0][good], expected[good], rtol=1e-5)
    np.testing.assert_allclose(stamps.noise[0][good], mesh.rms()[14:27, 16:25][good], rtol=1e-6)
    assert (stamps.noise[0][~good] == 0).all()
    assert {name: int(layer.sum()) for name, layer in stamps.layers.items()} == {"SATURATED": 1, "NOT_FINITE": 2, "MASKED": 1}
    assert stamps.sky[0] == pytest.approx(mesh.level()[20, 20])
    assert stamps.sigma[0] == pytest.approx(mesh.rms()[20, 20])


def test_neighbours_in_a_segmentation_map(data):
    segmap = np.zeros(SHAPE, np.int32)
    segmap[18:22, 18:22], segmap[24:26, 20:22] = 7, 9
    stamps = cut(data, [20, 45], [20, 10], segmap=ArrayCutouts(segmap))
    assert stamps.layers["NEIGHBOUR"].sum(axis=(1, 2)).tolist() == [4, 0]
    assert stamps.sources.sum(axis=(1, 2)).tolist() == [20, 0]


def test_stamps_larger_than_the_image_are_cut_to_it(data):
    stamps = cut(data, 100.0, -300.0, half=(400, 2))
    assert stamps.data.shape == (1, 50, 5)
    assert stamps.y[0] == -300
    whole = cut(data, 100.0, -300.0, half=(400, 400))
    np.testing.assert_array_equal(whole.data[0], data)
    assert (whole.x[0], whole.y[0]) == (100, -300)


@pytest.mark.parametrize("dtype", [">f4", "<f8", ">i2", "u2", "i4", "f2", "u1"])
def test_dtypes_become_native_floats(data, dtype):
    stamps = cut(np.rint(data).astype(dtype), 20, 20)
    assert stamps.data.dtype == (np.float64 if dtype in ("<f8", "i4") else np.float32)
    assert stamps.data.dtype.isnative
    np.testing.assert_array_equal(stamps.data[0], np.rint(data).astype(dtype)[14:27, 16:25])


def test_portions(rng):
    y = rng.uniform(0, 5000, 20_000)
    portions = chunks((5000, 5000), y, (20, 20))
    assert sorted(np.concatenate(portions).tolist()) == list(range(20_000))
    assert max(len(part) for part in portions) * 41 * 41 <= STACK_PIXELS
    lines = [y[part] for part in portions]
    assert all(before.max() <= after.min() for before, after in zip(lines[:-1], lines[1:], strict=True))
    assert [len(part) for part in chunks((30, 30), y[:4], (20, 20))] == [1, 1, 1, 1]
    assert chunks((30, 30), y[:0], (2, 2)) == []


def test_what_counts_as_an_image(data):
    class Reader:
        shape = SHAPE

        def cut(self, rows, cols):
            return data[rows, cols]

    reader = Reader()
    assert isinstance(reader, Cutouts)
    assert as_cutouts("data", reader) is reader
    assert as_level("noise", reader, "rms", SHAPE) is reader
    assert as_level("noise", 3, "rms", SHAPE) == 3.0
    assert as_level("noise", None, "rms", SHAPE) is None
    assert as_layer("mask", None, SHAPE) is None


@pytest.mark.parametrize(
    ("call", "message"),
    [(lambda: as_cutouts("data", np.ones(3)), "data: must be a 2-D array"), (lambda: as_cutouts("data", [["a"]]), "must hold real numbers"),
     (lambda: as_level("noise", np.inf, "rms", SHAPE), "noise: must be finite and positive"),
     (lambda: as_level("noise", object(), "rms", SHAPE), r"noise: must be a number, an array, or have a method rms\(slices\), found"),
     (lambda: as_level("background", np.ones((2, 2)), "level", SHAPE), r"background: .* found \(2, 2\)"),
     (lambda: as_layer("mask", np.ones(SHAPE), SHAPE), r"mask: must hold bool \(True is bad\) or integers, found dtype float64")],
)  # fmt: skip
def test_bad_input(call, message):
    with pytest.raises(InputError, match=message):
        call()
