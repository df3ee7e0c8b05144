"""How far a point lies from the edge of a footprint."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive import sky

SQUARE = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])


def test_by_hand():
    assert sky.edge_distances([SQUARE, SQUARE / 2], 0.0, 0.0) == pytest.approx([1.0, 0.5], abs=1e-3)
    assert sky.edge_distances([SQUARE], 0.9, 0.0) == pytest.approx([0.1], abs=1e-6)
    assert sky.edge_distances([SQUARE], 359.1, 0.0) == pytest.approx([0.1], abs=1e-6)
    assert sky.edge_distances([SQUARE], 1.5, 0.0) == pytest.approx([0.5], abs=1e-6)
    assert sky.edge_distances([], 0.0, 0.0).shape == (0,)
