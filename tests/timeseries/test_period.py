"""Periods that were put in are found."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive import simulate
from ezarchive.errors import InputError
from ezarchive.simulate.varying import variation
from ezarchive.timeseries.period import find_period


@pytest.fixture(scope="module")
def survey():
    kinds = {"sine": 10, "rrlyrae": 10, "eclipsing": 10}
    return simulate.measurements(n_constant=10, variables=kinds, n_nights=60, per_night=3, filters=("g", "r"), bright=13.5, seed=11)


def stars(survey, kind):
    """Rows and periods of the stars of a kind that are not in step with the days."""
    for row in np.flatnonzero(survey.stars["variability"] == kind):
        period = float(survey.stars["period"][row].value)
        if min(abs(k / period - round(k / period)) for k in (1, 2)) > 0.02:
            yield row, period


def search(survey, row, **options):
    curve = survey.of(row)
    return find_period(curve["mjd"], curve["mag"], curve["mag_err"], curve["filter"], **options)


def noisy(kind, period, n=150, error=0.02, amplitude=0.4, seed=0, baseline=90.0):
    rng = np.random.default_rng(seed)
    mjd = 60000 + np.sort(rng.uniform(0, baseline, n))
    return mjd, 15 + variation(kind, mjd - 60000.3, period, amplitude) + rng.normal(0, error, n), np.full(n, error)


@pytest.mark.truth
@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("n_terms", [1, 2])
@pytest.mark.parametrize("kind", ["sine", "rrlyrae", "eclipsing"])
def test_periods_are_recovered(survey, kind, n_terms):
    found = [(search(survey, row, n_terms=n_terms), period) for row, period in stars(survey, kind)]
    assert len(found) >= 7
    for result, period in found:
        assert result.period == pytest.approx(period, rel=1e-3)
        assert abs(result.period - period) < 6 * result.period_err
        assert result.false_alarm_probability < 1e-10
        assert result.doubled == (kind == "eclipsing")


@pytest.mark.truth
def test_errors_of_periods_are_honest():
    pulls = []
    for seed in range(60):
        result = find_period(*noisy("sine", 3.217, error=0.1, seed=seed))
        pulls.append((result.period - 3.217) / result.period_err)
    assert np.std(pulls) == pytest.approx(1, abs=0.25)
    # Montgomery & O'Donoghue (1999)
    expected = np.sqrt(6 / 150) * 0.1 / (np.pi * 90 * 0.2) * 3.217**2
    assert result.period_err == pytest.approx(expected, rel=0.2)


@pytest.mark.truth
def test_constant_stars_have_no_period(survey):
    chances = [search(survey, row).false_alarm_probability for row in np.flatnonzero(survey.stars["variability"] == "constant")]
    assert min(chances) > 1e-3


@pytest.mark.truth
def test_phase_zero_is_the_primary_minimum_of_an_eclipsing_star_and_the_maximum_of_a_sine():
    result = find_period(*noisy("eclipsing", 2.3, 400, 0.01), n_terms=2)
    assert result.doubled
    assert result.phase(60000.3) == pytest.approx(0, abs=0.01) or result.phase(60000.3) == pytest.approx(1, abs=0.01)
    assert result.amplitude == pytest.approx(0.4, abs=0.05)
    result = find_period(*noisy("sine", 2.3, 200, 0.01))
    assert result.phase(60000.3 + 2.3 / 4) % 1 == pytest.approx(0, abs=0.02) or result.phase(60000.3 + 2.3 / 4) > 0.98
    assert result.amplitude == pytest.approx(0.4, abs=0.01)
    assert result.model(0.0) == pytest.approx(14.8, abs=0.01)


@pytest.mark.truth
def test_doubling_can_be_left_out():
    mjd, mag, error = noisy("eclipsing", 2.3, 400, 0.01)
    result = find_period(mjd, mag, error, n_terms=2, doubling=False)
    assert result.period == pytest.approx(1.15, rel=1e-3)
    assert not result.doubled


@pytest.mark.truth
def test_aliases_of_the_day_are_named():
    rng = np.random.default_rng(3)
    mjd = 60000 + np.arange(90) + rng.normal(0, 0.01, 90)  # once a night
    mag = 15 + 0.2 * np.sin(2 * np.pi * mjd / 0.63) + rng.normal(0, 0.02, 90)
    result = find_period(mjd, mag, np.full(90, 0.02), min_period=0.3)
    frequencies = {peak.name: peak.frequency for peak in result.peaks}
    assert any(abs(frequency - 1 / 0.63) < 0.02 for frequency in (*frequencies.values(), 1 / result.period))
    assert "nearly as high" in str(result)
    assert "/d" in str(result)


@pytest.mark.truth
def test_filters_have_means_and_with_each_amplitudes_of_their_own():
    mjd, mag, error = noisy("sine", 1.7, 200)
    band = np.resize(["g", "r"], 200)
    mag = np.where(band == "g", 17 + 2 * (mag - 15), mag)
    result = find_period(mjd, mag, error, band, amplitudes="each")
    assert result.period == pytest.approx(1.7, rel=1e-3)
    assert np.ptp(result.model(np.linspace(0, 1, 200), "g")) == pytest.approx(0.8, abs=0.03)
    assert np.ptp(result.model(np.linspace(0, 1, 200), "r")) == pytest.approx(0.4, abs=0.03)
    with pytest.raises(InputError, match="band 'i': must be one of 'g', 'r'"):
        result.model(0.5, "i")


@pytest.mark.pure
def test_a_filter_with_one_point_is_told():
    mjd, mag, error = noisy("sine", 1.7)
    result = find_period(mjd, mag, error, ["i", *["r"] * 149])
    assert result.left_out == ("i",)
    assert result.n_points == 149


@pytest.mark.pure
def test_without_errors_all_points_weigh_the_same():
    mjd, mag, error = noisy("sine", 1.7, error=0.05)
    with_errors, without = find_period(mjd, mag, error), find_period(mjd, mag)
    assert without.period == pytest.approx(with_errors.period, rel=1e-6)
    assert without.period_err == pytest.approx(with_errors.period_err, rel=0.3)
    assert np.isfinite(with_errors.chi2_reduced)


@pytest.mark.pure
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_terms": 0}, "n_terms 0: must be a whole number from 1 to 8"),
        ({"amplitudes": "own"}, "amplitudes 'own': must be one of shared, each"),
        ({"min_period": -1}, "min_period -1: must be a positive number"),
        ({"min_period": 200.0}, "min_period 200.0: must be shorter than the longest period"),
        ({"min_period": 1e-5}, "min_period 1e-05: asks for .* frequencies, at most"),
        ({"max_period": np.nan}, "max_period nan: must be a positive number"),
    ],
)  # fmt: skip
def test_bad_options_are_named(options, message):
    with pytest.raises(InputError, match=message):
        find_period(*noisy("sine", 1.7), **options)


@pytest.mark.pure
@pytest.mark.parametrize(
    ("mjd", "value", "message"),
    [
        ([1.0, 2, 3], [1.0, 2, 3], "mjd: has 3 good points; a period of this model takes at least 8"),
        ([1.0] * 9, np.arange(9.0), "mjd: must hold different times"),
        (np.arange(9.0), [1.0] * 9, "value: must vary"),
        (np.full(9, np.nan), np.arange(9.0), "mjd: has 0 good points"),
    ],
)
def test_bad_light_curves_are_named(mjd, value, message):
    with pytest.raises(InputError, match=message):
        find_period(mjd, value)
