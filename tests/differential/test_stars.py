"""Which measurements are of one star."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive.differential.stars import NO_STAR, join, mean_places


def scattered(seed: int, places: np.ndarray, frames: int, scatter: float = 0.1) -> tuple[np.ndarray, ...]:
    """Star, frame, ra and dec of measurements of places (degrees), in any order."""
    rng = np.random.default_rng(seed)
    star, frame = (axis.ravel() for axis in np.meshgrid(np.arange(len(places)), np.arange(frames), indexing="ij"))
    turned = rng.permutation(len(star))
    star, frame = star[turned], frame[turned]
    dec = places[star, 1] + rng.normal(0, scatter / 3600, len(star))
    ra = places[star, 0] + rng.normal(0, scatter / 3600, len(star)) / np.cos(np.radians(places[star, 1]))
    return star, frame, ra % 360, dec


def same(found: np.ndarray, star: np.ndarray) -> bool:
    """Whether two numberings are the same but for the numbers."""
    pairs = set(zip(found.tolist(), star.tolist(), strict=True))
    return len(pairs) == len(set(found.tolist())) == len(set(star.tolist()))


@pytest.mark.parametrize("centre", [(150.0, 2.0), (0.0, -30.0), (200.0, 89.98), (0.0001, -77.0)])
def test_measurements_without_objects_are_joined_by_place(centre: tuple[float, float]) -> None:
    grid = np.arange(-5, 6) * 8 / 3600
    x, y = np.meshgrid(grid, grid)
    dec = centre[1] + y.ravel()
    places = np.column_stack([centre[0] + x.ravel() / np.cos(np.radians(dec)), dec])
    star, frame, ra, dec = scattered(1, places, 40)
    found = join(np.full(len(star), -1), frame, ra, dec, 1.0)
    assert same(found, star)
    assert sorted(set(found.tolist())) == list(range(len(places)))


def test_objects_come_before_places() -> None:
    """Two objects 0.5 arcsec apart stay two."""
    places = np.array([[10.0, 0.0], [10.0 + 0.5 / 3600, 0.0], [11.0, 0.0]])
    star, frame, ra, dec = scattered(2, places, 10, 0.02)
    found = join(np.array([1 << 40, (1 << 40) + 1, 1 << 50])[star], frame, ra, dec, 1.0)
    assert same(found, star)


def test_frames_that_are_not_associated_yet_join_the_nearest_object() -> None:
    places = np.array([[10.0, 5.0], [10.01, 5.0], [10.02, 5.0]])
    star, frame, ra, dec = scattered(3, places, 12)
    objects = np.where((frame < 8) & (star < 2), 700 + star, -1)  # the third star has no object at all
    found = join(objects, frame, ra, dec, 1.0)
    assert same(found, star)
    far = join(objects, frame, ra, dec, 0.0001)
    assert not same(far, star)


def test_two_of_one_frame_at_one_star_are_nobodys() -> None:
    ra = np.array([10.0, 10.0 + 0.2 / 3600, 10.0, 10.0])
    found = join(np.full(4, -1), np.array([1, 1, 2, 3]), ra, np.zeros(4), 1.0)
    assert found.tolist()[:2] == [NO_STAR, NO_STAR]
    assert found[2] == found[3] >= 0


def test_nothing_is_nothing() -> None:
    empty = np.array([])
    assert join(empty.astype(int), empty.astype(int), empty, empty, 1.0).shape == (0,)


def test_means_across_ra_zero() -> None:
    ra, dec = mean_places(np.array([0, 0, 1, 1]), np.array([359.999, 0.001, 20.0, 20.0]), np.array([1.0, 1.0, -5.0, -5.002]), 2)
    assert min(ra[0], 360 - ra[0]) < 1e-9
    np.testing.assert_allclose([ra[1], dec[1]], [20.0, -5.001])
