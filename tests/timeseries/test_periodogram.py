"""Periodograms of several filters against plain least squares, and false alarms against noise."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.timeseries import LombScargle

from ezarchive.errors import InputError
from ezarchive.timeseries.periodogram import false_alarm_level, false_alarm_probability, points, power


def noise(n=120, seed=1, baseline=200.0, bands="gri"):
    rng = np.random.default_rng(seed)
    band = rng.choice(list(bands), n)
    mjd = 60000 + np.sort(rng.uniform(0, baseline, n))
    error = rng.uniform(0.03, 0.08, n)
    return mjd, rng.normal(0, error) + np.where(band == "g", 1.0, 0.0), error, band


def height_by_least_squares(curve, frequency, n_terms, each):
    root = np.sqrt(curve.weight)
    own = np.equal.outer(curve.band, np.arange(len(curve.bands))).astype(float)
    angles = [2 * np.pi * k * frequency * curve.time for k in range(1, n_terms + 1)]
    waves = np.stack([f(a) for a in angles for f in (np.cos, np.sin)], axis=1)
    waves = (own[:, :, None] * waves[:, None, :]).reshape(len(own), -1) if each else waves
    design = np.concatenate([own, waves], axis=1) * root[:, None]
    found = np.linalg.lstsq(design, curve.value * root, rcond=None)[0]
    return 1 - np.sum((curve.value * root - design @ found) ** 2) / curve.chi2


@pytest.mark.oracle
@pytest.mark.parametrize("n_terms", [1, 2, 3])
@pytest.mark.parametrize("amplitudes", ["shared", "each"])
def test_several_filters_agree_with_least_squares(n_terms, amplitudes):
    curve = points(*noise())
    frequencies = 0.005 + 0.0005 * np.arange(3000)
    found = power(curve, frequencies, n_terms, amplitudes)
    for at in (0, 255, 256, 1777, 2999):
        # astropy's fast sums are good to a few parts in a thousand; the shared ones are exact
        tolerance = {"rel": 1e-9} if amplitudes == "shared" else {"abs": 3e-3}
        assert found[at] == pytest.approx(height_by_least_squares(curve, frequencies[at], n_terms, amplitudes == "each"), **tolerance)


@pytest.mark.oracle
def test_one_filter_is_that_of_astropy():
    mjd, value, error, _ = noise(bands="r")
    frequencies = 0.005 + 0.0005 * np.arange(3000)
    expected = LombScargle(mjd - mjd.mean(), value, error).power(frequencies, method="slow")
    np.testing.assert_allclose(power(points(mjd, value, error), frequencies), expected, atol=3e-3)


@pytest.mark.oracle
@pytest.mark.parametrize("height", [0.1, 0.2, 0.3, 0.5])
def test_false_alarms_of_a_sine_are_those_of_baluev(height):
    curve = points(*noise(bands="r")[:3])
    lomb = LombScargle(curve.time, curve.value, curve.weight**-0.5)
    expected = lomb.false_alarm_probability(height, maximum_frequency=5.0, method="baluev")
    assert false_alarm_probability(height, curve, 5.0) == pytest.approx(expected, rel=1e-3)


@pytest.mark.truth
@pytest.mark.parametrize(
    ("bands", "n_terms", "amplitudes"), [("r", 1, "shared"), ("gri", 1, "shared"), ("gri", 1, "each"), ("gri", 2, "shared")]
)
def test_noise_makes_false_alarms_as_often_as_stated(bands, n_terms, amplitudes):
    frequencies = np.arange(0.01, 2, 0.001)
    chances = []
    for seed in range(150):
        curve = points(*noise(60, seed, 100.0, bands))
        highest = power(curve, frequencies, n_terms, amplitudes).max()
        chances.append(float(false_alarm_probability(highest, curve, frequencies[-1], n_terms, amplitudes)))
    assert np.mean(np.array(chances) < 0.3) == pytest.approx(0.25, abs=0.12)
    assert np.mean(np.array(chances) < 0.01) < 0.05


@pytest.mark.pure
@pytest.mark.parametrize("n_terms", [1, 2])
def test_a_level_has_its_probability(n_terms):
    curve = points(*noise())
    level = false_alarm_level(0.01, curve, 5.0, n_terms)
    assert 0 < level < 1
    assert false_alarm_probability(level, curve, 5.0, n_terms) == pytest.approx(0.01, rel=1e-4)


@pytest.mark.pure
def test_too_few_points_are_never_significant():
    curve = points([1.0, 2, 3], [1.0, 2, 1])
    assert false_alarm_probability(0.99, curve, 1.0) == 1
    assert false_alarm_level(0.01, curve, 1.0) == 1


@pytest.mark.pure
def test_bad_rows_are_left_out():
    curve = points([1, 2, np.nan, 4, 5, 6], [1, np.nan, 3, 4, 5, 6], [1, 1, 1, 0, np.inf, 1], ["a", "a", "a", "a", "a", "b"], least=1)
    assert curve.bands == ("a", "b")
    assert len(curve.time) == 2
    assert points([1.0], [1.0], None, ["a"], least=2).bands == ()


@pytest.mark.pure
def test_lengths_must_agree():
    with pytest.raises(InputError, match=r"error: has shape \(1,\); must be as long as mjd"):
        points([1.0, 2.0], [1.0, 2.0], [1.0])
