"""The normal equations of an ensemble against those that numpy solves whole."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive.timeseries import ensemblefit
from ezarchive.timeseries.ensemblefit import Network, fit, group_median, group_sum


def network(seed: int, stars: int, epochs: int, filled: float = 0.6) -> tuple[Network, np.ndarray]:
    rng = np.random.default_rng(seed)
    star, epoch = np.nonzero(rng.random((stars, epochs)) < filled)
    err = rng.uniform(0.005, 0.05, len(star))
    mag = rng.uniform(12, 16, stars)[star] - rng.normal(0, 0.3, epochs)[epoch] + rng.normal(0, 1, len(star)) * err
    return Network(star, epoch, mag, err, stars, epochs), 1 / err**2


def whole(made: Network, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Zero points of mean 0, magnitudes, and errors of the zero points, of the design matrix as it stands."""
    n = len(made.mag)
    design = np.zeros((n, made.n_stars + made.n_epochs))
    design[np.arange(n), made.star], design[np.arange(n), made.n_stars + made.epoch] = 1, -1
    root = np.sqrt(weight)
    found = np.linalg.lstsq(design * root[:, None], made.mag * root, rcond=None)[0]
    covariance = np.linalg.pinv(design.T @ (design * weight[:, None]))[made.n_stars :, made.n_stars :]
    centre = np.eye(made.n_epochs) - 1 / made.n_epochs
    zero = found[made.n_stars :]
    return zero - zero.mean(), found[: made.n_stars] - zero.mean(), np.sqrt(np.diag(centre @ covariance @ centre))


@pytest.mark.parametrize(("stars", "epochs"), [(30, 12), (12, 30), (15, 15), (3, 2), (1, 5)])
def test_solution_and_errors_are_those_of_the_whole_matrix(stars: int, epochs: int) -> None:
    made, weight = network(stars, stars, epochs, 0.6 if stars > 3 else 1.0)
    zero, mag, errors = whole(made, weight)
    found = fit(made, weight)
    np.testing.assert_allclose(found.zero_point, zero, atol=1e-9)
    np.testing.assert_allclose(found.mag, mag, atol=1e-9)
    np.testing.assert_allclose(found.errors(made), errors, rtol=1e-6)


def test_freedom_adds_up_to_the_degrees_of_freedom() -> None:
    made, weight = network(4, 100, 60, 0.9)
    free = fit(made, weight).freedom(made)
    assert free.sum() == pytest.approx(len(made.mag) - 100 - 60 + 1, rel=0.002)


def test_what_has_no_weight_does_not_count_and_is_known_all_the_same() -> None:
    made, weight = network(5, 30, 12)
    out = np.where((made.star == 3) | (made.epoch == 7), 0.0, weight)
    found = fit(made, out)
    kept = out > 0
    np.testing.assert_allclose(found.zero_point, fit(made.of(kept), out[kept]).zero_point, atol=1e-10)
    assert np.isnan(found.zero_point[7])
    assert np.isnan(found.errors(made)[7])
    assert found.group[7] == -1
    assert np.isfinite(found.mag[3])
    assert np.isnan(found.residuals(made)[made.epoch == 7]).all()


@pytest.mark.parametrize("sizes", [(30, 12), (12, 30)])
def test_sets_that_do_not_hang_together_have_mean_zero_each(sizes: tuple[int, int]) -> None:
    first, w1 = network(1, *sizes)
    second, w2 = network(2, sizes[0], sizes[1] + 5)
    joined = Network(
        np.concatenate([first.star, second.star + sizes[0]]), np.concatenate([first.epoch, second.epoch + sizes[1]]),
        np.concatenate([first.mag, second.mag]), np.concatenate([first.err, second.err]), 2 * sizes[0], 2 * sizes[1] + 5,
    )  # fmt: skip
    found = fit(joined, np.concatenate([w1, w2]))
    assert found.n_groups == 2
    assert found.group.tolist() == [1] * sizes[1] + [0] * (sizes[1] + 5)
    np.testing.assert_allclose(found.zero_point, np.concatenate([fit(first, w1).zero_point, fit(second, w2).zero_point]), atol=1e-9)
    np.testing.assert_allclose(found.errors(joined), np.concatenate([fit(first, w1).errors(first), fit(second, w2).errors(second)]))


def test_conjugate_gradients_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    made, weight = network(6, 80, 40)
    exact = fit(made, weight)
    monkeypatch.setattr(ensemblefit, "DENSE", 5)
    np.testing.assert_allclose(fit(made, weight).zero_point, exact.zero_point, atol=1e-7)


def test_sums_and_medians_by_group() -> None:
    group, values = np.array([2, 0, 2, 0, 2, 3]), np.array([5.0, 1.0, 3.0, 2.0, 9.0, 4.0])
    assert group_sum(group, values, 5).tolist() == [3, 0, 17, 4, 0]
    np.testing.assert_array_equal(group_median(group, values, 5), [1.5, np.nan, 5, 4, np.nan])


@pytest.mark.parametrize(("name", "value"), [("_FILLED", 2.0), ("_BLOCK", 40)])
def test_sparse_and_filled_matrices_give_the_same(monkeypatch: pytest.MonkeyPatch, name: str, value: float) -> None:
    made, weight = network(7, 80, 20)
    before = fit(made, weight)
    monkeypatch.setattr(ensemblefit, name, value)
    after = fit(made, weight)
    np.testing.assert_allclose(after.zero_point, before.zero_point, atol=1e-10)
    np.testing.assert_allclose(after.errors(made), before.errors(made), rtol=1e-9)
