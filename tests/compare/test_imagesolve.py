"""Least squares and errors, on problems that are known."""

from __future__ import annotations

import numpy as np
import pytest
from fitpairs import clean

from ezarchive.compare.imagemodel import FourierPlane, PairModel, Shape
from ezarchive.compare.imagesolve import Held, Noise, Problem, errors_of, minimise, start_shape
from ezarchive.compare.lowpass import LowPass
from ezarchive.compare.psf import MoffatPsf
from ezarchive.errors import CompareError

pytestmark = pytest.mark.pure
TRUE = Shape(0.7, 0.4, 0.13, -0.21)


def problem(held=Held(), reference=None):
    pair = clean()
    plane = FourierPlane(pair.image.shape, (0.2, 0.2), (40, 40))
    model = PairModel(plane, pair.reference if reference is None else reference, MoffatPsf(0.085, 1.6), None, LowPass(0.2, 0.2))
    weight = np.zeros(pair.image.shape)
    weight[12:-12, 12:-12] = 1.0
    return Problem(model, 0.95 * model.blurred(TRUE) + 3.0, weight, 0.0, held)


@pytest.mark.parametrize("start", [Shape(0.4, 0.3, 0.0, 0.0), Shape(2.0, 0.8, 0.4, -0.5), Shape(0.15, 0.01, 0.1, 0.1)])
def test_the_minimum_is_found_from_afar(start):
    made = problem()
    found = minimise(made, start_shape(made, start))
    assert found.shape.fwhm == pytest.approx(0.7, abs=1e-6)
    assert found.shape.beta == pytest.approx(2.5, abs=1e-5)
    assert (found.shape.dx, found.shape.dy) == pytest.approx((0.13, -0.21), abs=1e-6)
    assert (found.scale, found.bg) == pytest.approx((0.95, 3.0), abs=1e-5)


def test_nothing_free_is_nothing_to_do():
    made = problem(Held(scale=1.0, bg=0.0, free=()))
    found = minimise(made, TRUE)
    assert found.shape == TRUE
    errors = errors_of(made, found, Noise(None, None), np.ones(made.weight.shape, bool))
    assert errors.names == []
    assert errors.covariance.shape == (0, 0)


def test_a_flat_reference_is_refused():
    with pytest.raises(CompareError, match="nothing in common"):
        minimise(problem(reference=np.zeros(clean().image.shape)), TRUE)


def test_errors_grow_with_the_noise_of_either_image():
    made = problem()
    found, used, one = minimise(made, TRUE), np.ones(made.weight.shape, bool), np.ones(made.weight.shape)

    def stdev(image, reference):
        return np.sqrt(np.diag(errors_of(made, found, Noise(image * one, reference * one), used).covariance))

    np.testing.assert_allclose(stdev(4.0, 0.0), 2 * stdev(1.0, 0.0), rtol=1e-6)
    both = np.hypot(stdev(4.0, 0.0), stdev(0.0, 1e-4))
    np.testing.assert_allclose(stdev(4.0, 1e-4), both, rtol=1e-3)


def test_local_variances_count_where_they_are():
    """The error of the background is that of a mean."""
    made = problem(Held(scale=0.95, free=()))
    found, used = minimise(made, TRUE), np.ones(made.weight.shape, bool)
    variance = np.where(np.arange(made.weight.shape[1]) < 75, 1.0, 9.0) * np.ones(made.weight.shape)
    errors = errors_of(made, found, Noise(variance, None), used)
    n = made.weight.sum()
    assert np.sqrt(errors.covariance[0, 0]) == pytest.approx(np.sqrt(variance[made.at].sum()) / n, rel=0.03)


def test_the_noise_of_a_reference_lowers_the_scale_and_that_is_taken_off():
    made = problem()
    found, used = minimise(made, TRUE), np.ones(made.weight.shape, bool)
    errors = errors_of(made, found, Noise(np.full(made.weight.shape, 4.0), np.full(made.weight.shape, 1.0)), used)
    shift = dict(zip(errors.names, errors.shift, strict=True))
    assert shift["scale"] > 0
    assert abs(shift["dx"]) < 1e-3 * abs(shift["scale"])
