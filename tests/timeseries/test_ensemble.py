"""Ensembles whose zero points are known: found to what photons allow, with honest errors, whatever the stars do."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from ezarchive.errors import InputError, MeasurementError
from ezarchive.timeseries import ensemble
from ezarchive.timeseries.ensemble import EnsembleOptions, EnsembleSolution, solve

SIGMA = 0.010857  # S/N 100


class Sky(NamedTuple):
    """Measurements and their truth."""

    star: np.ndarray
    epoch: np.ndarray
    mag: np.ndarray
    err: np.ndarray
    zero_point: np.ndarray
    variable: np.ndarray

    @property
    def measured(self) -> tuple[np.ndarray, ...]:
        return self[:4]

    def errors(self, found: EnsembleSolution) -> np.ndarray:
        """Found minus true zero points, but for what is common to them."""
        off = found.zero_point - self.zero_point[found.epochs]
        return off - np.nanmean(off)


def sky(
    seed: int, stars: int = 200, epochs: int = 50, *, missing: float = 0.1, variable: float = 0.0, outliers: float = 0.0, sigma: Any = SIGMA
) -> Sky:
    rng = np.random.default_rng(seed)
    zero_point, true = rng.normal(0, 0.3, epochs), rng.uniform(12, 16, stars)
    star, epoch = (axis.ravel() for axis in np.meshgrid(np.arange(stars), np.arange(epochs), indexing="ij"))
    err = np.broadcast_to(sigma, star.shape) if np.ndim(sigma) == 0 else np.asarray(sigma)[star]
    mag = true[star] - zero_point[epoch] + rng.normal(0, 1, len(star)) * err
    varies = np.arange(stars) < variable * stars
    amplitude, pace, phase = rng.uniform(0.05, 0.5, stars), rng.uniform(0.2, 3, stars), rng.uniform(0, 6, stars)
    mag += np.where(varies[star], amplitude[star] * np.sin(epoch * pace[star] + phase[star]), 0)
    mag += np.where(rng.random(len(star)) < outliers, rng.normal(0, 1, len(star)), 0)
    kept = rng.random(len(star)) >= missing
    return Sky(star[kept], epoch[kept], mag[kept], err[kept], zero_point, varies)


@pytest.mark.truth
@pytest.mark.parametrize(
    ("case", "rms", "pulls"),
    [
        ({}, 0.00085, (0.95, 1.05)),
        ({"variable": 0.2, "outliers": 0.02}, 0.001, (0.9, 1.1)),
        ({"variable": 0.4, "outliers": 0.05}, 0.0013, (0.85, 1.15)),
        ({"stars": 20}, 0.003, (0.9, 1.1)),
        ({"stars": 30, "epochs": 300}, 0.0025, (0.93, 1.07)),
        ({"epochs": 3, "variable": 0.2}, 0.002, (0.8, 1.3)),  # few variable stars show in three epochs
        ({"epochs": 2}, 0.001, (0.7, 1.1)),
    ],
)
def test_zero_points_are_found_to_the_noise_of_photons(case: dict[str, Any], rms: float, pulls: tuple[float, float]) -> None:
    off, pull = [], []
    for seed in range(20):
        made = sky(seed, **case)
        found = solve(*made.measured)
        assert found.converged
        off.append(made.errors(found))
        pull.append(off[-1] / found.zero_point_err)
    assert np.sqrt(np.mean(np.square(off))) < rms < 0.0031
    assert pulls[0] < np.std(pull) < pulls[1]


def test_variable_stars_are_told_from_comparison_stars() -> None:
    made = sky(5, variable=0.2, outliers=0.02)
    found = solve(*made.measured)
    assert (found.reason[made.variable] == "variable").all()
    assert found.used[~made.variable].mean() > 0.98
    assert np.median(found.star_excess[made.variable]) > 0.05
    assert np.median(found.star_excess[~made.variable]) < 0.004
    assert found.chi2_reduced[~made.variable].mean() == pytest.approx(1.15, abs=0.1)  # outliers count as 3 sigma
    assert 0.01 < found.n_clipped / len(made.mag) < 0.025
    assert found.floor < 0.002


def test_noise_that_the_errors_do_not_tell_of_is_found() -> None:
    """Errors half as large as they should be, and an instrument that adds 10 mmag to bright stars."""
    made = sky(1)
    found = solve(made.star, made.epoch, made.mag, made.err / 2)
    assert found.floor == pytest.approx(SIGMA * np.sqrt(0.75), rel=0.05)
    assert found.used.mean() > 0.97
    rng = np.random.default_rng(3)
    bright = sky(2, sigma=np.geomspace(0.001, 0.05, 200))
    found = solve(bright.star, bright.epoch, bright.mag + rng.normal(0, 0.01, len(bright.mag)), bright.err)
    assert found.floor == pytest.approx(0.01, abs=0.0015)
    assert found.used.mean() > 0.9


@pytest.mark.truth
def test_clouds_over_a_few_epochs_spoil_those_only() -> None:
    clear, cloudy = [], []
    for seed in range(10):
        made = sky(seed)
        noise = np.random.default_rng(seed + 100).normal(0, 0.1, len(made.mag))
        found = solve(made.star, made.epoch, made.mag + np.where(made.epoch < 3, noise, 0), made.err)
        np.testing.assert_allclose(found.excess[:3], 0.1, rtol=0.35)
        assert (found.excess[3:] == 0).all()
        off = found.zero_point - made.zero_point
        pull = (off - np.median(off)) / found.zero_point_err
        clear += pull[3:].tolist()
        cloudy += pull[:3].tolist()
        assert found.zero_point_err[:3].min() > 4 * found.zero_point_err[3:].max()
        assert found.used.mean() > 0.97
    assert 0.85 < np.std(clear) < 1.15
    assert 0.6 < np.std(cloudy) < 1.4


def test_stars_have_magnitudes_on_the_scale_of_the_zero_points() -> None:
    made = sky(8)
    found = solve(*made.measured)
    calibrated = made.mag + found.zero_point[made.epoch]
    for number in (0, 77, 199):
        mine = made.star == number
        assert calibrated[mine].mean() == pytest.approx(found.mag[number], abs=0.001)
        assert calibrated[mine].std() == pytest.approx(SIGMA, rel=0.4)
    assert found.mag_err == pytest.approx(np.full(200, SIGMA / np.sqrt(45)), rel=0.2)
    assert found.zero_point.mean() == pytest.approx(0, abs=1e-12)


def test_order_and_names_are_of_no_account() -> None:
    made = sky(4, stars=40, epochs=12, variable=0.1, outliers=0.02)
    found = solve(*made.measured)
    turned = np.random.default_rng(0).permutation(len(made.mag))
    names = np.array([f"s{number:03}" for number in range(40)])
    again = solve(names[made.star][turned], made.epoch[turned] * 10 + 7, made.mag[turned], made.err[turned])
    np.testing.assert_allclose(again.zero_point, found.zero_point, atol=1e-10)
    np.testing.assert_allclose(again.zero_point_err, found.zero_point_err, atol=1e-10)
    assert again.stars.tolist() == names.tolist()
    assert again.epochs.tolist() == list(range(7, 127, 10))
    assert (again.reason == found.reason).all()


def test_what_is_not_finite_is_left_out_and_no_array_is_changed() -> None:
    made = sky(6, stars=30, epochs=10, missing=0)
    mag, err = made.mag.copy(), made.err.copy()
    mag[::17], err[::23], err[5] = np.nan, np.inf, -1
    before = mag.copy(), err.copy()
    found = solve(made.star, made.epoch, mag, err)
    assert made.errors(found).std() < 0.004
    np.testing.assert_array_equal(mag, before[0])
    np.testing.assert_array_equal(err, before[1])
    masked = solve(made.star, made.epoch, np.ma.masked_invalid(mag), err)
    np.testing.assert_array_equal(masked.zero_point, found.zero_point)


def test_epochs_with_too_few_stars_have_no_zero_point() -> None:
    made = sky(7, stars=10, epochs=6, missing=0)
    kept = (made.epoch != 2) | (made.star < 2)
    found = solve(*(values[kept] for values in made.measured))
    assert np.isnan(found.zero_point).tolist() == [False, False, True, False, False, False]
    assert np.isnan(found.zero_point_err[2])
    assert (found.n_stars[2], found.group[2]) == (0, -1)
    assert np.isfinite(solve(*(values[kept] for values in made.measured), EnsembleOptions(min_stars=2)).zero_point).all()


def test_a_star_of_one_epoch_is_listed_and_does_not_count() -> None:
    made = sky(7, stars=10, epochs=6, missing=0)
    kept = (made.star != 4) | (made.epoch == 1)
    found = solve(*(values[kept] for values in made.measured))
    assert found.reason[4] == "few_epochs"
    assert not found.used[4]
    assert np.delete(found.used, 4).all()


def test_sets_of_epochs_without_common_stars_are_an_error_or_solved_apart() -> None:
    first, second = sky(1, stars=40, epochs=12), sky(2, stars=60, epochs=20)
    both = [np.concatenate([first.star, second.star + 1000]), np.concatenate([first.epoch, second.epoch + 100])]
    both += [np.concatenate([first.mag, second.mag]), np.concatenate([first.err, second.err])]
    with pytest.raises(MeasurementError, match=r"2 sets of epochs share no comparison star \(of 20, 12 epochs") as caught:
        solve(*both)
    assert caught.value.code == "disconnected"
    found = solve(*both, EnsembleOptions(apart=True))
    assert found.group.tolist() == [1] * 12 + [0] * 20
    assert set(found.star_group[:40]) == {1}
    for number, made in ((1, first), (0, second)):
        mine = found.group == number
        assert found.zero_point[mine].mean() == pytest.approx(0, abs=1e-12)
        off = found.zero_point[mine] - made.zero_point
        assert (off - off.mean()).std() < 0.004
        alone = solve(*made.measured)
        np.testing.assert_allclose(found.zero_point_err[mine], alone.zero_point_err, rtol=0.2)


def test_one_star_serves_where_one_is_allowed() -> None:
    made = sky(3, stars=1, epochs=8, missing=0)
    with pytest.raises(MeasurementError, match="no epoch has 3 stars that are on 2 epochs or more; found 1 stars on 8 epochs") as caught:
        solve(*made.measured)
    assert caught.value.code == "too_few_stars"
    found = solve(*made.measured, EnsembleOptions(min_stars=1))
    np.testing.assert_allclose(made.mag + found.zero_point, found.mag[0], atol=1e-9)
    assert found.zero_point_err == pytest.approx(np.full(8, SIGMA * np.sqrt(7 / 8)))


def test_an_epoch_alone_has_nothing_to_be_compared_with() -> None:
    with pytest.raises(MeasurementError, match="too few|no epoch has 3 stars"):
        solve(np.arange(50), np.zeros(50), np.full(50, 15.0), np.full(50, 0.01))


def test_nothing_measured_is_a_named_error() -> None:
    with pytest.raises(MeasurementError, match="none of 3 measurements is finite") as caught:
        solve([1, 2, 3], [1, 1, 2], [np.nan] * 3, [0.1] * 3)
    assert caught.value.code == "no_measurements"
    with pytest.raises(MeasurementError, match="none of 0 measurements"):
        solve([], [], [], [])


def test_only_variable_stars_are_a_named_error_or_leave_their_median() -> None:
    rng = np.random.default_rng(0)
    star, epoch = (axis.ravel() for axis in np.meshgrid(np.arange(4), np.arange(40), indexing="ij"))
    mag = rng.normal(0, 0.3, 160)
    found = solve(star, epoch, mag, np.full(160, 0.01))
    assert found.floor > 0.1  # no telling stars that vary from errors that are too small
    assert found.zero_point_err.min() > 0.05


def test_many_unknowns_are_solved_without_a_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    made = sky(9, stars=60, epochs=40)
    exact = solve(*made.measured)
    monkeypatch.setattr("ezarchive.timeseries.ensemblefit.DENSE", 10)
    found = solve(*made.measured)
    np.testing.assert_allclose(found.zero_point, exact.zero_point, atol=1e-6)
    np.testing.assert_allclose(found.zero_point_err, exact.zero_point_err, rtol=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_stars": 0}, "min_stars=0: must be a whole number from 1"),
        ({"min_epochs": 1}, "min_epochs=1: must be a whole number from 2"),
        ({"iterations": 1.5}, "iterations=1.5: must be a whole number from 1"),
        ({"clip": 1}, "clip=1: must be a number of sigma from 2"),
        ({"clip": np.nan}, "clip=nan: must be a number of sigma from 2"),
        ({"significance": 0.5}, "significance=0.5: must be a probability"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        EnsembleOptions(**options)


def test_arrays_of_different_length_are_refused() -> None:
    with pytest.raises(InputError, match=r"must be of one length, found shapes \(2,\), \(2,\), \(3,\), \(2,\)"):
        solve([1, 2], [1, 2], [1, 2, 3], [1, 2])


def test_names_are_complete() -> None:
    assert ensemble.__all__ == sorted(ensemble.__all__)
