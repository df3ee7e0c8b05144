"""What is checked before anything is measured."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ezarchive.errors import InputError, MeasurementError
from ezarchive.images.background import MeshBackground
from ezarchive.photometry.pixels import Level, as_float, as_mask, bad_pixels, global_level, level_at, noise_at, prepare

pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("<f4", "f4"), (">f4", "f4"), ("<f8", "f8"), (">f8", "f8"), ("i1", "f4"), ("u1", "f4"), (">i2", "f4"), ("u2", "f4"), ("i4", "f8"),
     (">i4", "f8"), ("u4", "f8"), ("i8", "f8"), ("?", "f4"), ("f2", "f4")],
)  # fmt: skip
def test_as_float_keeps_every_digit(dtype, expected):
    data = np.array([[0, 1], [1, 0]], dtype)
    result = as_float("data", data)
    assert result.dtype == np.dtype(expected)
    assert result.dtype.isnative
    assert result.flags.c_contiguous
    np.testing.assert_array_equal(result, data)


def test_as_float_copies_only_what_must_change():
    fits = np.zeros((3, 4), np.float32)
    assert as_float("data", fits) is fits
    fits.flags.writeable = False
    assert as_float("data", fits).flags.writeable


@pytest.mark.parametrize("data", [np.zeros(3), np.zeros((2, 2, 2)), np.zeros((0, 3)), 5.0])
def test_as_float_wants_an_image(data):
    with pytest.raises(InputError, match="data: must be a 2-D array that is not empty"):
        as_float("data", data)


def test_as_float_wants_numbers():
    with pytest.raises(InputError, match="data: must hold real numbers, found dtype <U1"):
        as_float("data", np.array([["a"]]))


@settings(max_examples=40, deadline=None)
@given(where=st.sets(st.tuples(st.integers(0, 5), st.integers(0, 7))), value=st.sampled_from([np.nan, np.inf, -np.inf]))
def test_bad_pixels_are_found(where, value):
    data = np.full((6, 8), 1e38, np.float32)  # the sum overflows, and must not be taken for a bad pixel
    for place in where:
        data[place] = value
    bad = bad_pixels(data)
    assert (bad is None) == (not where)
    assert bad is None or {tuple(int(i) for i in place) for place in np.argwhere(bad)} == where


def test_bad_pixels_of_opposite_infinities():
    assert bad_pixels(np.array([[np.inf, -np.inf]], np.float32)).all()


def test_prepare_copies_unless_scratch():
    data = np.ones((4, 5), np.float32)
    data[1, 2] = np.nan
    pixels = prepare(data, 2.0)
    assert np.isnan(data[1, 2])
    assert pixels.data[1, 2] == 0
    assert pixels.bad.sum() == 1
    assert prepare(data, 2.0, scratch=True).data is data
    assert data[1, 2] == 0


def test_prepare_without_bad_pixels_is_free():
    data, noise = np.ones((4, 5), np.float32), np.ones((4, 5), np.float32)
    pixels = prepare(data, noise)
    assert pixels.data is data
    assert pixels.noise is noise
    assert pixels.bad is None
    assert pixels.has_map
    assert not prepare(data, 1.0).has_map


def test_pixels_without_valid_noise_are_bad():
    noise = np.ones((3, 4))
    noise[0, 0], noise[1, 1], noise[2, 2] = 0.0, np.nan, np.inf
    pixels = prepare(np.ones((3, 4)), noise)
    assert pixels.bad.sum() == 3
    assert (pixels.noise[pixels.bad] == 0).all()
    assert (pixels.data[pixels.bad] == 0).all()
    assert np.isnan(noise[1, 1])


def test_nothing_left_to_measure():
    with pytest.raises(MeasurementError, match="holds no finite pixel") as caught:
        prepare(np.full((3, 4), np.inf), 1.0)
    assert caught.value.code == "no_valid_pixels"
    with pytest.raises(MeasurementError, match="noise: holds no positive, finite pixel") as caught:
        prepare(np.ones((3, 4)), np.zeros((3, 4)))
    assert caught.value.code == "no_noise"


def test_masks():
    assert as_mask("mask", None, (2, 3)) is None
    with pytest.raises(InputError, match=r"mask: must have the shape of the image \(2, 3\), found \(3, 2\)"):
        as_mask("mask", np.zeros((3, 2), bool), (2, 3))
    with pytest.raises(InputError, match="mask: must be bool .* or integer bits, found dtype float64"):
        as_mask("mask", np.zeros((2, 3)), (2, 3))


def test_levels_of_every_kind():
    x, y = np.array([0.0, 2.4]), np.array([1.0, 0.6])
    level = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    np.testing.assert_array_equal(level_at(level, x, y), [4.0, 6.0])
    np.testing.assert_array_equal(level_at(7, x, y), [7.0, 7.0])
    assert np.isnan(level_at(None, x, y)).all()
    assert global_level(level) == 3.5
    assert global_level(7) == 7
    assert np.isnan(global_level(None))
    np.testing.assert_array_equal(noise_at(2.0, x, y), [2.0, 2.0])


def test_a_mesh_is_a_level():
    mesh = MeshBackground.constant(3.0, 1.0, (20, 30))
    assert isinstance(mesh, Level)
    assert not isinstance(np.zeros(3), Level)
    np.testing.assert_allclose(level_at(mesh, np.array([1.0]), np.array([2.0])), 3.0)
    assert global_level(mesh) == 3.0
