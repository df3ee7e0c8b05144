"""Masks as bits do what bool arrays do."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ezarchive.errors import InputError
from ezarchive.images.compact import Mask

pytestmark = pytest.mark.pure

SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 40))
PAIRS = SHAPES.flatmap(lambda shape: st.tuples(arrays(bool, shape), arrays(bool, shape)))


@given(PAIRS)
def test_algebra(pair):
    a, b = pair
    mask, other = Mask.of(a), Mask.of(b)
    for found, wanted in ((mask | other, a | b), (mask & other, a & b), (mask ^ other, a ^ b), (~mask, ~a), (mask == other, a == b),
                          (mask != other, a != b), (mask | b, a | b), (a & other, a & b), (np.logical_or(a, other), a | b),
                          (np.logical_not(mask), ~a)):  # fmt: skip
        assert isinstance(found, Mask)
        np.testing.assert_array_equal(found.to_array(), wanted)
        # No bit beyond the last pixel may be set: it would count.
        assert (found.sum(), found.mean(), found.any(), found.all()) == (wanted.sum(), wanted.mean(), wanted.any(), wanted.all())


@given(PAIRS, st.data())
def test_pixels(pair, data):
    array, _ = pair
    mask, (ny, nx) = Mask.of(array), array.shape
    edges = [sorted(data.draw(st.lists(st.integers(-n - 2, n + 2), min_size=2, max_size=2))) for n in (ny, nx)]
    rows, cols = (slice(*pair) for pair in edges)
    np.testing.assert_array_equal(mask.cut(rows, cols), array[rows, cols])
    np.testing.assert_array_equal(mask[rows], array[rows])
    x = np.array(data.draw(st.lists(st.floats(-2, nx + 2) | st.just(np.nan), min_size=1, max_size=5)))
    y = np.array(data.draw(st.lists(st.floats(-2, ny + 2), min_size=len(x), max_size=len(x))))

    def marked(i, j):
        inside = -0.5 <= i < nx - 0.5 and -0.5 <= j < ny - 0.5
        return inside and bool(array[int(np.floor(j + 0.5)), int(np.floor(i + 0.5))])

    wanted = [marked(i, j) for i, j in zip(x, y, strict=True)]
    assert mask.at(x, y).tolist() == wanted


@given(arrays(bool, SHAPES))
def test_it_travels(array):
    mask = pickle.loads(pickle.dumps(Mask.of(array, frame_id=3)))
    np.testing.assert_array_equal(mask, array)
    assert mask.frame_id == 3


class TestStandingForAnArray:
    array = np.arange(60).reshape(6, 10) % 7 == 0

    def test_where_numpy_wants_one(self):
        mask, data = Mask.of(self.array), np.arange(60.0).reshape(6, 10)
        np.testing.assert_array_equal(data[mask], data[self.array])
        np.testing.assert_array_equal(np.where(mask, 0, data), np.where(self.array, 0, data))
        np.testing.assert_array_equal(mask[mask], self.array[self.array])
        assert mask[1, 4] == self.array[1, 4]
        np.testing.assert_array_equal(mask[::2, 3], self.array[::2, 3])
        np.testing.assert_array_equal(mask * data, self.array * data)
        assert np.count_nonzero(mask) == self.array.sum()
        filled = self.array.copy()
        filled |= ~mask
        assert filled.all()
        assert (len(mask), mask.shape, mask.ndim, mask.size, mask.dtype) == (6, (6, 10), 2, 60, np.dtype(bool))
        assert mask.nbytes == 12

    def test_it_cannot_be_changed(self):
        mask = Mask.of(self.array)
        with pytest.raises(ValueError, match="read-only"):
            mask.bits[0, 0] = 1
        with pytest.raises(TypeError, match="a Mask cannot be changed"):
            np.logical_or(self.array, self.array, out=(mask,))
        kept, mask_before = mask, mask.to_array()
        mask |= ~mask
        assert mask.all()
        np.testing.assert_array_equal(kept, mask_before)
        bits = np.zeros((2, 1), np.uint8)
        view = Mask(bits, (2, 5))
        bits[0] = 128
        assert bits.flags.writeable
        assert view.sum() == 1
        assert mask.copy() is mask

    def test_its_truth_is_ambiguous(self):
        with pytest.raises(ValueError, match="truth value of a mask is ambiguous"):
            bool(Mask.of(self.array))

    def test_frames(self):
        one, two, none = (Mask.of(self.array, frame_id=frame_id) for frame_id in (1, 2, None))
        assert [(one | one).frame_id, (one | none).frame_id, (one | two).frame_id, (~two).frame_id] == [1, 1, None, 2]
        assert none.of_frame(4).frame_id == 4
        assert Mask.empty((3, 9), 5).sum() == 0

    def test_as_fits(self, tmp_path):
        header = fits.Header({"CRVAL1": 12.5, "BITPIX": -32, "OBJECT": "x"})
        path = Mask.of(self.array).to_fits(tmp_path / "m.fits", header)
        with fits.open(path) as units:
            assert units[0].data.dtype == np.uint8
            np.testing.assert_array_equal(units[0].data != 0, self.array)
            assert (units[0].header["CRVAL1"], units[0].header["OBJECT"]) == (12.5, "x")
        with pytest.raises(InputError, match=r"m\.png': the suffix must be \.fits"):
            Mask.of(self.array).to_fits(tmp_path / "m.png")


class TestInput:
    def test_what_is_no_mask(self):
        for wrong in (np.zeros((3, 4)), np.zeros(3, bool), "x"):
            with pytest.raises(InputError, match=r"target_mask: must be a bool array of shape \(ny, nx\) \(True is bad\)"):
                Mask.of(wrong, name="target_mask")
        with pytest.raises(InputError, match=r"mask: must be a bool array of shape \(2, 2\) .*found bool \(3, 4\)"):
            Mask.of(np.zeros((3, 4), bool), (2, 2))
        with pytest.raises(InputError, match=r"found bool \(3, 4\)"):
            Mask.of(Mask.empty((3, 4)), (2, 2))

    def test_bits_that_do_not_fit(self):
        with pytest.raises(InputError, match=r"bits: must be uint8 of shape \(3, 2\) for pixels \(3, 9\)"):
            Mask(np.zeros((3, 1), np.uint8), (3, 9))

    def test_integers_are_bits(self):
        np.testing.assert_array_equal(Mask.of(np.array([[0, 4], [-1, 0]], np.int16)), [[False, True], [True, False]])

    def test_steps(self):
        with pytest.raises(InputError, match="rows, cols: must have step 1"):
            Mask.empty((3, 4)).cut(slice(None, None, 2), slice(None))


def test_algebra_of_two_masks_unpacks_neither(monkeypatch):
    one, other = Mask.of(np.eye(9, 13, dtype=bool)), Mask.of(np.eye(9, 13, 2, dtype=bool))
    wanted = one.to_array() | other.to_array(), one.to_array() == other.to_array()
    with monkeypatch.context() as patched:
        patched.setattr(Mask, "to_array", None)
        joined, same = one | other, one == other
    np.testing.assert_array_equal(joined, wanted[0])
    np.testing.assert_array_equal(same, wanted[1])
