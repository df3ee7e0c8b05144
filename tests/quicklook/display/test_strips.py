"""Strips of rows: types, boxes, masks and what is left out."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive.errors import InputError
from ezarchive.quicklook.display.strips import Strips
from ezarchive.quicklook.planes.inputs import picture


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("f4", "f4"),
        ("f8", "f8"),
        (">f4", "f4"),
        ("i2", "f4"),
        ("u2", "f4"),
        ("u1", "f4"),
        ("i4", "f8"),
        ("i8", "f8"),
        ("f2", "f4"),
        ("?", "f4"),
    ],
)
def test_types_hold_the_pixels(given, kept):
    data = np.array([[0, 1], [1, 0]]).astype(given)
    ((y0, rows),) = Strips(picture(data))
    assert (y0, rows.dtype) == (0, np.dtype(kept))
    np.testing.assert_array_equal(rows, data)


def test_large_integers_are_kept():
    data = np.array([[2**31 - 1, -(2**31) + 1]], np.int32)
    ((_, rows),) = Strips(picture(data))
    assert rows.tolist() == data.tolist()


def test_boxes_masks_and_insides(monkeypatch):
    monkeypatch.setattr("ezarchive.quicklook.display.strips._PIXELS", 3)
    data = np.arange(20.0).reshape(4, 5)
    image = np.ma.masked_array(data, data == 7)
    inside = np.array([[True, True, False], [True, True, True]])
    strips = Strips(picture(image), box=(1, 4, 1, 3), inside=inside)
    assert (strips.shape, strips.size) == ((2, 3), 6)
    assert [y0 for y0, _ in strips] == [0, 1]
    np.testing.assert_array_equal(np.concatenate([rows for _, rows in strips]), [[6, np.nan, np.nan], [11, 12, 13]])
    np.testing.assert_array_equal(np.concatenate(list(Strips(picture(data), lambda part: part + 1.0).flat())), np.arange(1.0, 21.0))


def test_an_empty_box():
    strips = Strips(picture(np.ones((3, 3))), box=(0, 0, 0, 0))
    assert list(strips) == [] and strips.size == 0 and len(strips.sample()) == 0


def test_pixels_that_are_no_numbers():
    with pytest.raises(InputError, match="real numbers"):
        list(Strips(picture(np.ones((2, 2), complex))))
