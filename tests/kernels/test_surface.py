"""The subtracted map is sep's to the last bit, in images of any size."""

from __future__ import annotations

import numpy as np
import pytest
import sep

from ezarchive.images.background import estimate
from ezarchive.kernels import surface

SIZES = [
    ((256, 256), 64, 3), ((333, 517), (50, 70), 3), ((300, 301), (37, 33), 1), ((60, 300), 64, 3), ((300, 60), 64, 3), ((65, 65), 64, 1),
    ((30, 20), 64, 3), ((129, 130), 128, 1), ((70, 3), 16, 1), ((130, 131), 7, 3),
]  # fmt: skip


@pytest.mark.oracle
@pytest.mark.parametrize(("shape", "box", "filter_size"), SIZES)
def test_what_is_subtracted_is_seps_map_bit_by_bit(shape, box, filter_size, rng):
    slope = np.linspace(0, 300, shape[1]) ** 1.2 + np.linspace(50, -20, shape[0])[:, None]
    data = (rng.normal(6852, 40, shape) + slope).astype(np.float32)
    mesh = estimate(data, box_size=box, filter_size=filter_size)
    height, width = mesh.box_size
    theirs = sep.Background(data, bw=width, bh=height, fw=filter_size, fh=filter_size)
    np.testing.assert_array_equal(mesh.subtract(data), data - theirs.back())


def test_boxes_of_one_column(rng):
    """Here sep itself goes astray; the map is that of double precision."""
    data = rng.normal(6852, 40, (64, 50)).astype(np.float32)
    mesh = estimate(data, box_size=(64, 1), filter_size=1)
    np.testing.assert_allclose(mesh.subtract(data), data - mesh.level(), atol=5e-3)


@pytest.mark.parametrize(("width", "nodes", "nx"), [(64, 1, 40), (64, 2, 100), (64, 4, 256), (5, 7, 33), (2, 4, 8), (1, 5, 5)])
def test_every_column_lies_between_its_nodes(width, nodes, nx):
    begin, at = surface.places(width, nodes, nx)
    assert begin[0] == 0
    assert begin[-1] == nx
    assert (np.diff(begin) >= 0).all()
    interval = np.searchsorted(begin[1:-1], np.arange(nx), side="right")
    exact = (np.arange(nx) + 0.5) / width - 0.5 - interval
    np.testing.assert_allclose(at, exact, atol=1e-5)


def test_curvatures_of_a_straight_line_are_none():
    line = np.repeat(np.arange(5, dtype=np.float32)[:, None], 3, axis=1)
    np.testing.assert_array_equal(surface.curvatures(line), 0)
    np.testing.assert_array_equal(surface.curvatures(np.ones((1, 4), np.float32)), 0)
