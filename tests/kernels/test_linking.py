"""Connected components, against scipy's; the order within them is tested against sep (photometry/test_extraction.py)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from ezarchive.kernels import linking, pixels

pytestmark = pytest.mark.pure


def components(mask, min_area=1):
    edges = np.diff(np.pad(mask.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    (y, start), (_, stop) = np.nonzero(edges == 1), np.nonzero(edges == -1)
    y, start, stop = (values.astype(np.int32) for values in (y, start, stop))
    rows, columns, offset = pixels.places(y, start, stop)
    order, begin = np.empty(len(rows), np.int32), np.empty(len(y) + 1, np.int32)
    scratch = np.empty((linking.SCRATCH_ROWS, 2 * len(y) + 1), np.int32)
    n = linking.link(y, start, stop, offset, len(y), min_area, scratch, order, begin)
    return [list(zip(rows[part].tolist(), columns[part].tolist(), strict=True)) for part in np.split(order[: begin[n]], begin[1:n])][:n]


def of_scipy(mask, min_area=1):
    labels, n = ndimage.label(mask, np.ones((3, 3)))
    found = [list(zip(*map(np.ndarray.tolist, np.nonzero(labels == i + 1)), strict=True)) for i in range(n)]
    # By their last rows, and there by their last pixels.
    return sorted((one for one in found if len(one) >= min_area), key=lambda one: max(one))


@settings(max_examples=300, deadline=None)
@given(hnp.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 14)), elements=st.booleans()), st.integers(1, 6))
def test_components_are_those_of_scipy(mask, min_area):
    mine = components(mask, min_area)
    assert [sorted(one) for one in mine] == of_scipy(mask, min_area)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.45, 0.6])
def test_large(rng, share):
    mask = rng.random((200, 300)) < share
    assert [sorted(one) for one in components(mask)] == of_scipy(mask)


def test_a_run_takes_over_the_chain_it_meets():
    mask = np.array([[0, 0, 1, 0, 0], [1, 1, 1, 1, 1]], bool)
    # The lower run begins alone, takes over the pixel above where it meets it, and goes on.
    assert components(mask) == [[(1, 0), (1, 1), (0, 2), (1, 2), (1, 3), (1, 4)]]
