"""What a star looks like in pixels."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive.compare.moffat import blackman, moffat_derivatives, moffat_transfer
from ezarchive.compare.starmodel import MoffatProfile, Pixels, TransferProfile, correlation

pytestmark = pytest.mark.pure


def grid(n=41, step=(0.2, 0.25)):
    y, x = (np.arange(n) - n // 2) * step[0], (np.arange(n) - n // 2) * step[1]
    xx, yy = np.meshgrid(x, y)
    return Pixels(xx.ravel(), yy.ravel(), step)


def free(fx, fy, shape):
    value, by_fwhm, by_inverse = moffat_derivatives(np.hypot(fx, fy), shape["fwhm"], shape["beta"])
    return value, [by_fwhm, -by_inverse / shape["beta"] ** 2]


PROFILES = {
    "moffat": MoffatProfile(),
    "integrated": MoffatProfile(integrate=True),
    "transfer": TransferProfile(free, ("fwhm", "beta"), 3),
    "filtered": TransferProfile(free, ("fwhm", "beta"), 1, blackman),
}
SHAPE = {"fwhm": 0.9, "beta": 2.7}


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_flux_and_place(profile):
    pixels = grid(121)
    values, _ = profile.evaluate(pixels, 0.07, -0.11, SHAPE)
    assert values.sum() == pytest.approx(1, abs=5e-3)  # wings outside
    near = np.hypot(pixels.x, pixels.y) < 4
    assert np.average(pixels.x[near], weights=values[near]) == pytest.approx(0.07, abs=2e-3)
    assert np.average(pixels.y[near], weights=values[near]) == pytest.approx(-0.11, abs=2e-3)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_derivatives(profile):
    pixels, step = grid(15), 1e-4
    _, slopes = profile.evaluate(pixels, 0.07, -0.11, SHAPE)
    for column, name in enumerate(("x", "y", "fwhm", "beta")):
        ends = []
        for sign in (1, -1):
            place = {"x": 0.07, "y": -0.11}
            shape = dict(SHAPE)
            (place if name in place else shape)[name] += sign * step
            ends.append(profile.evaluate(pixels, place["x"], place["y"], shape)[0])
        np.testing.assert_allclose(slopes[:, column], (ends[0] - ends[1]) / (2 * step), atol=2e-6)


def test_both_kinds_agree():
    """A transfer function up to three times the Nyquist frequency is as good as the profile at the centres of pixels."""
    pixels = grid(31)
    one, _ = MoffatProfile(0.9, 2.7).evaluate(pixels, 0.03, 0.04, {})
    known = TransferProfile(lambda fx, fy, shape: (moffat_transfer(np.hypot(fx, fy), 0.9, 2.7), []), band=3)
    other, slopes = known.evaluate(pixels, 0.03, 0.04, {})
    np.testing.assert_allclose(other, one, atol=3e-5 * one.max())
    assert slopes.shape == (31 * 31, 2)


@pytest.mark.parametrize("name", ["transfer", "filtered"])
def test_any_pixels_of_a_rectangle(name):
    """Of holes, and of a stamp whose first rows and columns are not used, each pixel gets what it gets in the whole."""
    whole, rng = grid(40), np.random.default_rng(1)
    values, slopes = PROFILES[name].evaluate(whole, 0.07, -0.11, SHAPE)
    used = (rng.uniform(size=1600) < 0.5) & (whole.x > -3) & (whole.y < 2.5)
    parts = PROFILES[name].evaluate(Pixels(whole.x[used], whole.y[used], whole.step), 0.07, -0.11, SHAPE)
    np.testing.assert_allclose(parts[0], values[used], atol=2e-5 * values.max())
    np.testing.assert_allclose(parts[1], slopes[used], atol=1e-4 * np.abs(slopes).max())


@pytest.mark.parametrize("name", ["transfer", "filtered"])
def test_places_between_the_pixels(name):
    """As the curve of a figure asks for them: what a star that is moved has at the pixels."""
    whole = grid(40)
    row = np.unique(whole.x)
    for off in (0.02, 0.137):
        between = Pixels(np.append(row + off, row[3] + 0.05), np.full(len(row) + 1, 0.2), whole.step)
        values, _ = PROFILES[name].evaluate(between, 0.07, -0.11, SHAPE)
        moved, _ = PROFILES[name].evaluate(Pixels(row, np.full(len(row), 0.2), whole.step), 0.07 - off, -0.11, SHAPE)
        np.testing.assert_allclose(values[:-1], moved, atol=1e-4 * moved.max())


def test_fixed_parameters_have_no_derivatives():
    assert MoffatProfile(0.7, 2.5).free == ()
    assert MoffatProfile(None, 2.5).free == ("fwhm",)
    _, slopes = MoffatProfile(0.7, None).evaluate(grid(5), 0, 0, {"beta": 3.0})
    assert slopes.shape == (25, 3)


def test_integration_over_a_pixel():
    pixels = Pixels(np.zeros(1), np.zeros(1), (0.2, 0.3))
    value, _ = MoffatProfile(0.8, 2.5, integrate=True).evaluate(pixels, 0.02, 0.01, {})
    y, x = np.meshgrid((np.arange(400) + 0.5) / 400 * 0.2 - 0.1, (np.arange(400) + 0.5) / 400 * 0.3 - 0.15, indexing="ij")
    fine, _ = MoffatProfile(0.8, 2.5).evaluate(Pixels(x.ravel(), y.ravel(), (0.2 / 400, 0.3 / 400)), 0.02, 0.01, {})
    assert value[0] == pytest.approx(fine.sum(), rel=2e-6)


def test_correlation_of_filtered_noise():
    found = correlation((9, 12), blackman)
    assert found.shape == (17, 23)
    assert found[8, 11] == pytest.approx(1)
    np.testing.assert_allclose(found, found[::-1, ::-1], atol=1e-12)
    n = 256
    f = np.fft.fftfreq(n)
    window = blackman(2 * np.hypot(f[:, None], f))
    wanted = np.fft.ifft2(window**2).real
    wanted /= wanted[0, 0]
    for dy, dx in ((0, 1), (1, 0), (2, 3), (4, 0)):
        assert found[8 + dy, 11 + dx] == pytest.approx(wanted[dy, dx], abs=2e-3)
