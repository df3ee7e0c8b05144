"""Noise by propagation, against a Monte Carlo of the calibration."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ezarchive.errors import InputError
from ezarchive.images.noise import Masters, central_variance, propagated_rms, source_rms

SHAPE = (60, 70)


def masters(**changes) -> Masters:
    plain = Masters(bias=np.zeros(SHAPE), dark=np.zeros(SHAPE), flat=np.ones(SHAPE), bias_frames=9, dark_frames=9)
    return replace(plain, **changes)


@pytest.mark.truth
def test_scatter_of_calibrated_frames(rng):
    """Expose, subtract noisy master bias and dark, divide by a flat: the scatter is the propagated noise."""
    gain, read_noise, n_bias, n_dark, sky, dark_level, vignetting = 2.0, 8.0, 16, 12, 150.0, 30.0, 0.7
    shape, flat = (200, 200), np.full((200, 200), vignetting)

    def expose(signal):
        return rng.poisson(signal * gain, shape) / gain + rng.normal(0, read_noise / gain, shape)

    bias = np.mean([expose(0.0) for _ in range(n_bias)], axis=0)
    dark = np.mean([expose(dark_level) for _ in range(n_dark)], axis=0) - bias
    raw = expose(sky * vignetting + dark_level)
    calibrated = (raw - bias - dark) / flat
    frames = Masters(bias=bias, dark=dark, flat=flat, bias_frames=n_bias, dark_frames=n_dark)
    found = propagated_rms(np.full(shape, sky), frames, gain=gain, read_noise=read_noise)
    # The dark's own photon noise is not modelled: 30 / 2 / 12 of a variance of about 350.
    assert np.median(found) == pytest.approx(calibrated.std(), rel=0.02)


@pytest.mark.pure
class TestFormula:
    def test_photon_noise_alone(self):
        found = propagated_rms(np.full(SHAPE, 200.0), masters(), gain=2.0, read_noise=0.0)
        np.testing.assert_allclose(found, 10.0)
        assert found.dtype == np.float32

    def test_read_noise_alone(self):
        # R^2 of the frame and R^2 / 9 of the dark.
        found = propagated_rms(np.zeros(SHAPE), masters(), gain=2.0, read_noise=6.0)
        np.testing.assert_allclose(found, 3.0 * np.sqrt(1 + 1 / 9), rtol=1e-6)

    def test_flat_error_alone(self):
        found = propagated_rms(np.full(SHAPE, 1e6), masters(flat=np.full(SHAPE, 0.5), flat_err=0.01), gain=1e9, read_noise=0.0)
        np.testing.assert_allclose(found, 1e6 * 0.01 / 0.5, rtol=1e-4)

    def test_read_noise_from_the_bias(self, rng):
        bias = rng.normal(1000, 2.0, (300, 300))
        frames = Masters(bias=bias, dark=np.zeros(bias.shape), flat=np.ones(bias.shape), bias_frames=9, dark_frames=9)
        found = propagated_rms(np.zeros(bias.shape), frames, gain=1.0)
        # R^2 = 9 x 4, dark R^2 / 9 + 4, bias 4.
        np.testing.assert_allclose(found, np.sqrt(36 + 4 + 4 + 4), rtol=0.05)
        unsaid = replace(frames, bias_frames=None, dark_frames=None)
        np.testing.assert_array_equal(propagated_rms(np.zeros(bias.shape), unsaid, gain=1.0), found)

    def test_dead_flat_is_missing(self):
        flat = np.ones(SHAPE)
        flat[3, 4], flat[5, 6] = 0.0, -1.0
        found = propagated_rms(np.full(SHAPE, 10.0), masters(flat=flat), gain=1.0, read_noise=1.0)
        assert np.isnan(found[3, 4])
        assert np.isnan(found[5, 6])
        assert np.isfinite(found).sum() == found.size - 2

    def test_central_variance_resists_outliers(self, rng):
        frame = rng.normal(0, 3, (300, 300))
        frame[140:150, 140:150] = 1e5
        frame[0, 0] = np.nan
        assert central_variance(frame) == pytest.approx(9, rel=0.1)

    def test_source_noise(self):
        found = source_rms(np.full((2, 2), 3.0), np.array([[32.0, 0.0], [-50.0, 8.0]]), gain=2.0)
        np.testing.assert_allclose(found, [[5.0, 3.0], [3.0, np.sqrt(13)]])
        np.testing.assert_allclose(source_rms(3.0, np.array([[32.0]]), gain=2.0), 5.0)


@pytest.mark.pure
class TestInput:
    @pytest.mark.parametrize("name", ["bias", "dark", "flat"])
    def test_shapes(self, name):
        with pytest.raises(InputError, match=rf"{name}: must have the shape of the background \(60, 70\), found \(2, 2\)"):
            propagated_rms(np.zeros(SHAPE), masters(**{name: np.zeros((2, 2))}), gain=1.0)

    @pytest.mark.parametrize("gain", [0.0, -1.0, np.nan])
    def test_gain(self, gain):
        with pytest.raises(InputError, match="gain: must be positive and finite"):
            propagated_rms(np.zeros(SHAPE), masters(), gain=gain)
        with pytest.raises(InputError, match="gain: must be positive and finite"):
            source_rms(1.0, np.zeros(SHAPE), gain)

    def test_read_noise(self):
        with pytest.raises(InputError, match="read_noise: must not be negative"):
            propagated_rms(np.zeros(SHAPE), masters(), gain=1.0, read_noise=-1.0)

    def test_bias_without_pixels(self):
        with pytest.raises(InputError, match="bias: holds no finite pixel"):
            propagated_rms(np.zeros(SHAPE), masters(bias=np.full(SHAPE, np.nan)), gain=1.0)

    def test_nothing_is_altered(self):
        given = masters(flat=np.full(SHAPE, 0.5))
        background = np.full(SHAPE, 5.0)
        propagated_rms(background, given, gain=1.0)
        assert (background == 5).all()
        assert (given.flat == 0.5).all()
