"""What the deblending does where it can be said in advance; its every digit is tested against sep (photometry/test_extraction.py)."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
import sep
from scipy import ndimage

from ezarchive.kernels import deblending, moments

pytestmark = pytest.mark.pure

NONE = np.empty(0, np.float32)


def deblended(image, thresh=1.0, n_thresh=32, mincont=0.005):
    """Deblend each component of an image, in the order of its pixels."""
    labels, count = ndimage.label(image > thresh, np.ones((3, 3)))
    rows, columns = (index.astype(np.int32) for index in np.nonzero(labels))
    values = image[rows, columns].astype(np.float32)
    order = np.argsort(labels[rows, columns], kind="stable").astype(np.int32)
    begin = np.searchsorted(labels[rows, columns][order], np.arange(1, count + 2)).astype(np.int32)
    return (rows, columns), deblending.deblend(
        order, begin, count, rows, columns, values, values, NONE, NONE, np.float32(thresh), n_thresh, mincont, 5, *image.shape
    )


def stars(*places, width=2.0, shape=(60, 80)):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return sum(height * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * width**2)) for cx, cy, height in places)


def test_two_stars_share_all_pixels():
    image = stars((30, 30, 1000), (40, 31, 700))
    (rows, columns), (floats, integers, members, first, last_row) = deblended(image)
    assert len(floats) == 2
    assert (integers[:, moments.FLAG] == moments.MERGED).all()
    assert moments.MERGED == sep.OBJ_MERGED
    assert sorted(members[: first[-1]].tolist()) == list(range(len(rows)))
    assert sorted(floats[:, 1].tolist()) == pytest.approx([30, 40], abs=0.2)
    assert (last_row == rows.max()).all()
    # Nearly every pixel goes to the star it is nearer to.
    for i in range(2):
        own = members[first[i] : first[i + 1]]
        assert np.mean((columns[own] < 35) == (floats[i, 1] < 35)) > 0.9


@pytest.mark.parametrize(
    ("places", "options", "expected"),
    [([(30, 30, 1000)], {}, 1), ([(30, 30, 1000), (40, 31, 3)], {}, 1), ([(30, 30, 1000), (40, 31, 3)], {"mincont": 1e-5}, 2),
     ([(30, 30, 1000), (40, 31, 700)], {"mincont": 1.0}, 1), ([(30, 30, 1000), (40, 31, 700)], {"n_thresh": 1}, 1),
     ([(20, 30, 900), (30, 30, 1000), (40, 31, 700), (25, 20, 800)], {}, 4), ([], {}, 0)],
)  # fmt: skip
def test_number_of_objects(places, options, expected):
    image = stars(*places) if places else np.zeros((60, 80))
    floats = deblended(image, **options)[1][0]
    assert len(floats) == expected


def test_branches_of_branches():
    # A wide pair, each of them a close one: more levels of the tree than one.
    image = stars((20, 30, 1000), (27, 30, 900)) + stars((50, 30, 800), (57, 30, 700)) + 5 * stars((38, 30, 3), width=14.0)
    floats = deblended(image)[1][0]
    assert sorted(np.rint(floats[:, 1]).astype(int).tolist()) == [20, 27, 50, 57]


def test_random_numbers_are_those_of_the_c_library():
    try:
        draw = ctypes.CDLL("libc.so.6").rand_r
    except OSError:
        pytest.skip("another C library")
    seed, state = ctypes.c_uint(1), np.ones(1, np.int64)
    assert [deblending._random(state) for _ in range(1000)] == [draw(ctypes.byref(seed)) for _ in range(1000)]
