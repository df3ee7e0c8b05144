"""The model of an image and its derivatives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fitpairs import clean

from ezarchive.compare.imagemodel import FourierPlane, PairModel, Shape
from ezarchive.compare.lowpass import LowPass
from ezarchive.compare.psf import ArrayPsf, MoffatPsf

pytestmark = pytest.mark.pure
SHAPE = Shape(fwhm=0.8, q=0.37, dx=0.13, dy=-0.21)


def model(image_psf=None, lowpass=LowPass(0.2, 0.2), size=(41, 52)):
    reference = np.zeros(size)
    reference[20, 25], reference[28, 14] = 100.0, 30.0
    return PairModel(FourierPlane(size, (0.2, 0.2), (20, 21)), reference, MoffatPsf(0.1, 2.0), image_psf, lowpass)


@pytest.mark.parametrize("size", [(41, 52), (40, 51)])
@pytest.mark.parametrize("name", ["fwhm", "q", "dx", "dy"])
def test_derivatives_are_differences(name, size):
    made = model(size=size)
    step = 1e-5
    ends = [made.blurred(replace(SHAPE, **{name: getattr(SHAPE, name) + sign * step})) for sign in (1, -1)]
    found = made.derivatives(SHAPE, (name,))
    np.testing.assert_allclose(found["scale"], made.blurred(SHAPE), atol=1e-10)
    np.testing.assert_allclose(found[name], (ends[0] - ends[1]) / (2 * step), atol=2e-4 * np.abs(found[name]).max())


def test_a_positive_shift_is_towards_larger_pixels():
    made = model()
    y, x = np.unravel_index(np.argmax(made.blurred(replace(SHAPE, dx=0.6, dy=-0.8))), (41, 52))
    assert (y, x) == (16, 28)


@pytest.mark.parametrize("name", ["scale", "dx", "dy"])
def test_an_array_moves_like_a_profile(name):
    y, x = (np.arange(41) - 20) * 0.1, (np.arange(43) - 21) * 0.1
    made = model(ArrayPsf(np.exp(-((x - 0.1) ** 2) - (y[:, None]) ** 2 / 0.5), 0.1))
    found = made.derivatives(SHAPE, ("dx", "dy"))
    shifted = made.blurred(replace(SHAPE, dx=SHAPE.dx + 1e-5)), made.blurred(replace(SHAPE, dy=SHAPE.dy + 1e-5))
    base = made.blurred(SHAPE)
    expected = {"scale": base, "dx": (shifted[0] - base) / 1e-5, "dy": (shifted[1] - base) / 1e-5}[name]
    np.testing.assert_allclose(found[name], expected, atol=1e-3 * np.abs(expected).max())


def test_the_common_resolution_is_undone_where_the_reference_has_power():
    pair = clean()
    made = PairModel(FourierPlane(pair.image.shape, (0.2, 0.2), (60, 60)), pair.reference, MoffatPsf(0.085, 1.6), None, LowPass(0.2, 0.2))
    shape = Shape(0.7, 0.4, 0.13, -0.21)
    inner = (slice(15, -15), slice(15, -15))
    sharp = made.sharp(shape)[: pair.image.shape[0], : pair.image.shape[1]]
    assert np.abs(0.95 * sharp + 3 - pair.image)[inner].max() < 0.01 * pair.image.max()
    same = made.degraded(pair.image - 3) - 0.95 * made.blurred(shape)
    assert np.abs(same)[inner].max() < 1e-4 * pair.image.max()


def test_the_plane():
    plane = FourierPlane((41, 52), (0.2, 0.3), (20, 21))
    image = np.random.default_rng(1).normal(size=(41, 52))
    np.testing.assert_allclose(plane.back(plane.forward(image)), image, atol=1e-12)
    whole = np.hypot(np.fft.fftfreq(plane.size[0], 0.2)[:, None], np.fft.fftfreq(plane.size[1], 0.3))
    assert plane.mean(np.exp(-plane.k)) == pytest.approx(np.exp(-whole).mean())
    assert plane.size[0] >= 61
    assert plane.size[1] >= 73
    assert Shape(1, 0, 0, 0).beta == np.inf
