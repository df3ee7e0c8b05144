"""Variable stars stand out, bright ones with small errors do not."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive import simulate
from ezarchive.errors import InputError
from ezarchive.timeseries.outliers import outliers
from ezarchive.timeseries.variability import chi2_reduced, von_neumann_eta


def plane(survey, floor=0.0):
    """chi2, eta, number and magnitude of every star, with errors that leave out a noise of `floor` mag."""
    rng = np.random.default_rng(1)
    rows = []
    for star in range(len(survey.stars)):
        curve = survey.of(star)
        mag = curve["mag"] + rng.normal(0, 1, len(curve["mag"])) * floor
        if len(mag) < 10:
            rows.append((np.nan, np.nan, len(mag), np.nan))
        else:
            rows.append((chi2_reduced(mag, curve["mag_err"]), von_neumann_eta(curve["mjd"], mag), len(mag), mag.mean()))
    return [np.array(column) for column in zip(*rows, strict=True)]


@pytest.mark.truth
@pytest.mark.parametrize("floor", [0.0, 0.01])
def test_variable_stars_are_found_and_no_other(floor):
    survey = simulate.measurements(n_constant=800, n_nights=40, per_night=2, seed=2)
    chi2, eta, number, mag = plane(survey, floor)
    found = outliers(chi2, eta, number, mag, n=50)
    kinds = survey.stars["variability"][found.rows]
    assert np.mean(kinds != "constant") > 0.9
    assert len(found.rows) >= 15
    assert np.all(np.diff(found.score) <= 0)


@pytest.mark.pure
def test_noise_has_no_smoothness():
    rng = np.random.default_rng(0)
    eta = [von_neumann_eta(np.arange(40), rng.normal(0, 1, 40)) for _ in range(2000)]
    found = outliers(np.ones(2000), eta, np.full(2000, 40), np.full(2000, 15.0))
    assert found.smoothness.mean() == pytest.approx(0, abs=0.1)
    assert found.smoothness.std() == pytest.approx(1, abs=0.1)
    assert len(found.rows) == 0


@pytest.mark.pure
def test_unknown_values_are_no_outliers():
    found = outliers([np.nan, 1.0, 1.1, 0.0, 1e4], [np.nan, 2.0, 2.0, 2.0, np.nan], [1, 20, 20, 20, 20], [np.nan] * 5, n=4)
    assert found.rows.tolist() == [4]
    assert len(outliers([], [], [], []).rows) == 0


@pytest.mark.pure
def test_wrong_arguments():
    with pytest.raises(InputError, match="must be of one length"):
        outliers([1.0], [1.0, 2.0], [1], [1.0])
    with pytest.raises(InputError, match="n -1: must be a whole number from 0"):
        outliers([1.0], [1.0], [1], [1.0], n=-1)
