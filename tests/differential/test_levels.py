"""Where an ensemble gets its one constant from."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive.differential.levels import level

NAN = np.nan
ZERO = np.array([-0.1, 0.0, 0.1, NAN])


def names(*values: str | None) -> np.ndarray:
    return np.array(values, dtype=object)


def test_ab_comes_first() -> None:
    found = level(ZERO, np.array([24.9, NAN, NAN, 30.0]), np.array([24.0, 24.0, 24.0, 24.0]), names("Vega", "Vega", "Vega", "Vega"))
    assert found[:1] + found[2:] == (pytest.approx(25.0), 0.0, "AB", 1)
    assert np.isnan(found.error)
    assert found.calibrated


def test_the_median_of_calibrated_frames_counts() -> None:
    found = level(ZERO, np.array([24.9, 25.02, 28.1, NAN]), np.full(4, NAN), names(None, None, None, None))
    assert found.offset == pytest.approx(25.02)
    assert (found.n_frames, found.origin) == (3, "AB")
    assert found.error > 1


def test_the_commonest_system_counts() -> None:
    stored = np.array([20.9, 21.0, 25.1, NAN])
    found = level(ZERO, np.full(4, NAN), stored, names("Vega", "Vega", "ensemble", None))
    assert (found.offset, found.ab_offset, found.origin, found.n_frames) == (pytest.approx(21.0), None, "Vega", 2)
    found = level(ZERO, np.full(4, NAN), stored, names("ensemble", "ensemble", "SDSS", None))
    assert (found.offset, found.origin, found.n_frames) == (pytest.approx(25.0), "SDSS", 1)


def test_an_earlier_ensemble_is_better_than_nothing() -> None:
    found = level(ZERO, np.full(4, NAN), np.array([23.9, 24.0, NAN, NAN]), names("ensemble", "ensemble", None, None))
    assert (found.offset, found.ab_offset, found.origin, found.n_frames) == (pytest.approx(24.0), None, "ensemble", 2)


def test_without_any_the_median_is_25() -> None:
    found = level(ZERO + 3, np.full(4, NAN), np.full(4, NAN), names(None, None, None, None))
    assert (found.offset, found.ab_offset, found.origin, found.n_frames) == (pytest.approx(22.0), None, "none", 0)
    assert not found.calibrated
