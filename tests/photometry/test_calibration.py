"""Zero points of stars whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive.errors import InputError, MeasurementError
from ezarchive.photometry.calibration import FitOptions, ZeroPointFit, fit_zero_point

ZERO_POINT = 24.7


def stars(rng: np.random.Generator, n: int, *, intrinsic: float = 0.01, outliers: float = 0.05) -> dict[str, np.ndarray]:
    """Stars of errors from 2 to 50 mmag, some of them variable: arguments of `fit_zero_point`."""
    error = np.exp(rng.uniform(np.log(0.002), np.log(0.05), n))
    mag = rng.uniform(12, 17, n)
    off = np.where(rng.random(n) < outliers, rng.normal(0, 0.7, n), 0)
    inst = mag - ZERO_POINT + rng.normal(size=n) * np.hypot(error, intrinsic) + off
    return {"reference_mag": mag, "instrumental_mag": inst, "instrumental_err": error}


@pytest.mark.truth
@pytest.mark.parametrize(("error", "n"), [("analytic", 12), ("analytic", 60), ("analytic", 400), ("bootstrap", 60)])
def test_pulls_have_unit_width(rng: np.random.Generator, error: str, n: int) -> None:
    options = FitOptions(error=error, n_bootstrap=100)
    fits = [fit_zero_point(**stars(rng, n), options=options) for _ in range(300)]
    pulls = np.array([(fit.value - ZERO_POINT) / fit.error for fit in fits])
    assert abs(pulls.mean()) < 3 / np.sqrt(300)
    assert 0.85 < pulls.std() < (1.15 if n > 20 else 1.25)
    assert np.mean([fit.intrinsic for fit in fits]) == pytest.approx(0.01, rel=0.15)


def test_of_equal_errors_the_error_is_that_of_a_median(rng: np.random.Generator) -> None:
    mag = rng.uniform(12, 17, 2000)
    fit = fit_zero_point(mag, mag - 25 + rng.normal(0, 0.03, 2000))
    assert fit.error == pytest.approx(1.2533 * 0.03 / np.sqrt(2000), rel=0.05)
    assert fit.scatter == pytest.approx(0.03, rel=0.05)
    assert fit.n + fit.n_clipped == 2000


def test_outliers_are_clipped_and_said(rng: np.random.Generator) -> None:
    mag = rng.uniform(12, 17, 100)
    inst = mag - 25 + rng.normal(0, 0.01, 100)
    inst[:20] += 1.5
    inst[20:23] = [np.nan, np.inf, np.nan]
    fit = fit_zero_point(mag, inst)
    assert fit.value == pytest.approx(25, abs=0.006)
    assert not fit.used[:23].any()
    assert np.isnan(fit.residual[20:23]).all()
    np.testing.assert_allclose(fit.residual[:20], -1.5, atol=0.06)
    assert 20 <= fit.n_clipped <= 22
    assert fit.n == fit.used.sum()


@pytest.mark.truth
def test_a_colour_term_is_found_with_its_error(rng: np.random.Generator) -> None:
    pulls = []
    for _ in range(200):
        given = stars(rng, 80)
        colour = rng.normal(0.9, 0.3, 80)
        given["instrumental_mag"] = given["instrumental_mag"] - 0.06 * (colour - 0.5)
        fit = fit_zero_point(**given, colour=colour, options=FitOptions(colour_term="fit", colour_pivot=0.5))
        pulls.append(((fit.colour_term - 0.06) / fit.colour_term_err, (fit.value - ZERO_POINT) / fit.error))
    assert np.abs(np.mean(pulls, axis=0)).max() < 0.25
    assert np.std(pulls, axis=0) == pytest.approx(1, abs=0.2)
    assert fit.colour_pivot == 0.5


def test_a_given_colour_term_is_taken_as_it_is(rng: np.random.Generator) -> None:
    given = stars(rng, 200, outliers=0)
    colour = rng.normal(0.9, 0.3, 200)
    given["instrumental_mag"] = given["instrumental_mag"] - 0.06 * (colour - np.median(colour))
    fit = fit_zero_point(**given, colour=colour, options=FitOptions(colour_term=0.06))
    assert (fit.colour_term, fit.colour_term_err) == (0.06, None)
    assert fit.colour_pivot == np.median(colour)
    assert fit.value == pytest.approx(ZERO_POINT, abs=4 * fit.error)
    plain = fit_zero_point(**given, colour=colour)
    assert (plain.colour_term, plain.colour_pivot) == (None, None)
    assert plain.intrinsic > 1.3 * fit.intrinsic


def test_a_star_without_colour_serves_only_where_no_colour_is_needed(rng: np.random.Generator) -> None:
    given = stars(rng, 50, outliers=0)
    colour = np.where(np.arange(50) < 10, np.nan, 0.7 + 0.01 * np.arange(50))
    assert fit_zero_point(**given, colour=colour).n > 45
    assert not fit_zero_point(**given, colour=colour, options=FitOptions(colour_term="fit")).used[:10].any()


def test_a_slope_with_magnitude_is_found(rng: np.random.Generator) -> None:
    given = stars(rng, 300)
    assert fit_zero_point(**given).linear
    given["instrumental_mag"] = given["instrumental_mag"] * 1.01
    fit = fit_zero_point(**given)
    assert fit.magnitude_slope == pytest.approx(-0.01, abs=4 * fit.magnitude_slope_err)
    assert fit.linear is False


def test_the_map_of_residuals_is_that_of_the_frame(rng: np.random.Generator) -> None:
    given, shape = stars(rng, 400), (900, 1200)
    x, y = rng.uniform(0, 1199, 400), rng.uniform(0, 899, 400)
    flat = fit_zero_point(**given, x=x, y=y, shape=shape).spatial
    assert flat.p_value > 1e-3
    assert flat.rms < 0.003
    u, v = (2 * x - 1199) / 1200, (2 * y - 899) / 900
    true = 0.03 * u - 0.02 * v**2 + 0.01 * u * v
    tilted = fit_zero_point(**{**given, "instrumental_mag": given["instrumental_mag"] - true}, x=x, y=y, shape=shape)
    assert tilted.spatial.p_value < 1e-6
    np.testing.assert_allclose(tilted.spatial.at(x, y) + tilted.value - ZERO_POINT, true, atol=0.006)
    assert tilted.spatial.at(599.5, 449.5).shape == ()
    assert fit_zero_point(**given, x=x, y=y, shape=shape, options=FitOptions(spatial_order=0)).spatial is None


def test_few_stars_have_no_map(rng: np.random.Generator) -> None:
    x = rng.uniform(0, 100, 15)
    assert fit_zero_point(**stars(rng, 15), x=x, y=x, shape=(100, 100)).spatial is None


def test_identical_stars_have_a_zero_point_without_scatter() -> None:
    fit = fit_zero_point(np.full(6, 15.0), np.full(6, -9.7))
    assert (fit.value, fit.scatter, fit.intrinsic, fit.n) == (ZERO_POINT, 0, 0, 6)
    assert fit.magnitude_slope is None
    assert fit.linear is None


def test_arguments_do_not_change(rng: np.random.Generator) -> None:
    given = stars(rng, 30)
    given["reference_mag"][3] = np.nan
    before = {name: values.copy() for name, values in given.items()}
    assert isinstance(fit_zero_point(**given), ZeroPointFit)
    for name, values in given.items():
        np.testing.assert_array_equal(values, before[name])


def test_too_few_stars(rng: np.random.Generator) -> None:
    with pytest.raises(MeasurementError, match="4 of 4 calibrating stars are left; must be at least 5") as caught:
        fit_zero_point(**stars(rng, 4))
    assert caught.value.code == "too_few_stars"
    with pytest.raises(MeasurementError, match="0 of 0"):
        fit_zero_point([], [])
    with pytest.raises(MeasurementError, match="stars of different colours, found 30 of one"):
        fit_zero_point(**stars(rng, 30), colour=np.ones(30), options=FitOptions(colour_term="fit", clip=1e3))


def test_arrays_that_do_not_fit() -> None:
    with pytest.raises(InputError, match="instrumental_mag: has 3 values; must be 4, one a star"):
        fit_zero_point(np.ones(4), np.ones(3))
    with pytest.raises(InputError, match=r"reference_mag: has shape \(2, 2\); must be one-dimensional"):
        fit_zero_point(np.ones((2, 2)), np.ones(4))
    with pytest.raises(InputError, match="colour: must be given for colour_term='fit'"):
        fit_zero_point(np.ones(9), np.ones(9), options=FitOptions(colour_term="fit"))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"error": "std"}, "error='std': must be one of analytic, bootstrap"),
        ({"clip": 0}, "clip=0: must be a positive number of sigma"),
        ({"iterations": 0}, "iterations=0: must be a whole number from 1"),
        ({"n_min": 2.5}, "n_min=2.5: must be a whole number from 1"),
        ({"colour_term": "yes"}, "colour_term='yes': must be a number, 'fit' or None"),
    ],
)
def test_wrong_options(option: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        FitOptions(**option)


@pytest.mark.truth
def test_the_chance_of_a_flat_map_is_a_chance(rng: np.random.Generator) -> None:
    chances = []
    for _ in range(400):
        x, y, err = rng.uniform(0, 999, 150), rng.uniform(0, 799, 150), rng.uniform(0.01, 0.05, 150)
        fit = fit_zero_point(
            np.full(150, 15.0), rng.normal(-10.0, np.hypot(err, 0.02)), instrumental_err=err, x=x, y=y, shape=(800, 1000)
        )  # fmt: skip
        chances.append(fit.spatial.p_value)
    # Three standard errors of the mean of as many even deviates.
    assert np.mean(chances) == pytest.approx(0.5, abs=3 * np.sqrt(1 / 12 / 400))
    assert np.mean(np.array(chances) < 0.1) == pytest.approx(0.1, abs=3 * np.sqrt(0.09 / 400))
