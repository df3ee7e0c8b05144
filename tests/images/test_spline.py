"""The spline on stamps is the spline of the whole map."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive.images.background import MeshBackground
from ezarchive.images.spline import curvature


def mesh(rng, nodes, box):
    shape = nodes[0] * box[0], nodes[1] * box[1]
    return MeshBackground(shape, box, 3, rng.normal(400, 10, nodes), rng.uniform(1, 2, nodes), 400.0, 1.5)


@pytest.mark.pure
@pytest.mark.parametrize(("nodes", "box"), [((9, 12), (64, 64)), ((1, 5), (64, 32)), ((5, 1), (16, 64)), ((2, 2), (64, 64)),
                                            ((1, 1), (100, 100)), ((3, 40), (7, 9))])  # fmt: skip
def test_stamps_are_pieces_of_the_map(rng, nodes, box):
    model = mesh(rng, nodes, box)
    level, rms = model.level(), model.rms()
    h, w = (min(size, n) for size, n in zip((45, 33), model.shape, strict=True))
    y0, x0 = (rng.integers(0, n - size + 1, 40) for n, size in zip(model.shape, (h, w), strict=True))
    for found, full in ((model.level_stamps(y0, x0, (h, w)), level), (model.rms_stamps(y0, x0, (h, w)), rms)):
        assert found.dtype == np.float32
        pieces = np.stack([full[y : y + h, x : x + w] for y, x in zip(y0, x0, strict=True)])
        np.testing.assert_allclose(found, pieces, rtol=4e-7)


@pytest.mark.pure
def test_stamps_go_on_beyond_the_image(rng):
    model = mesh(rng, (4, 5), (32, 32))
    (inside,) = model.level_stamps(np.array([0]), np.array([0]), (8, 8))
    (beyond,) = model.level_stamps(np.array([-4]), np.array([-4]), (12, 12))
    np.testing.assert_allclose(beyond[4:, 4:], inside, rtol=1e-7)
    assert np.isfinite(beyond).all()


@pytest.mark.pure
def test_no_stamps(rng):
    assert mesh(rng, (4, 5), (32, 32)).level_stamps(np.array([], int), np.array([], int), (8, 8)).shape == (0, 8, 8)


@pytest.mark.pure
def test_the_curvature_is_shared_and_so_cannot_be_changed():
    assert curvature(7) is curvature(7)
    assert not curvature(7).flags.writeable
    np.testing.assert_allclose(curvature(7) @ np.arange(7.0), 0, atol=1e-12)
