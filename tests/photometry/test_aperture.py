"""Circular apertures against photutils, analytic areas, and each flag on its own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from photutils.aperture import CircularAperture, aperture_photometry

from ezarchive import flags
from ezarchive.errors import InputError
from ezarchive.photometry.aperture import Surroundings, circular, flux_error
from ezarchive.photometry.pixels import prepare

SHAPE = (80, 100)


def measure(data, x, y, diameters=(10.0,), *, noise=1.0, gain=None, around=None, subpix=5):
    return circular(prepare(data, noise), np.atleast_1d(x), np.atleast_1d(y), diameters, gain=gain, around=around, subpix=subpix)


def names(bits) -> tuple[str, ...]:
    return flags.decode(int(bits), flags.FLAGS_APER)


@pytest.mark.oracle
class TestAgainstPhotutils:
    def test_exact_sums_errors_and_areas(self, rng):
        data = rng.normal(10, 3, (1400, 90))
        noise = rng.uniform(1, 2, data.shape)
        x, y = rng.uniform(-4, 94, 300), rng.uniform(-4, 1404, 300)
        x[0], y[0] = 40.0, 511.5  # across the border of two strips
        for diameter in (3.0, 9.9, 25.0):
            (ours,) = measure(data, x, y, (diameter,), noise=noise, gain=2.0, subpix=0)
            aperture = CircularAperture(np.c_[x, y], diameter / 2)
            on = (ours.flags & 2) == 0
            for values, expected in ((data, ours.flux), (noise**2, ours.sky_sigma**2), (np.ones_like(data), ours.area)):
                table = aperture_photometry(values, aperture, method="exact")
                np.testing.assert_allclose(expected[on], np.asarray(table["aperture_sum"])[on], rtol=1e-7, atol=1e-7)
            np.testing.assert_allclose(ours.flux_err[on] ** 2, (ours.sky_sigma**2 + np.maximum(ours.flux, 0) / 2)[on])

    def test_subpixels(self, rng):
        data = rng.normal(10, 3, SHAPE)
        x, y = rng.uniform(10, 60, 50), rng.uniform(10, 60, 50)
        (ours,) = measure(data, x, y, (9.9,), subpix=5)
        table = aperture_photometry(data, CircularAperture(np.c_[x, y], 4.95), method="subpixel", subpixels=5)
        np.testing.assert_allclose(ours.flux, table["aperture_sum"], rtol=1e-6)

    def test_left_out_pixels(self, rng):
        data, mask = rng.normal(10, 3, SHAPE), rng.random(SHAPE) < 0.2
        data[rng.random(SHAPE) < 0.05] = np.nan
        x, y = rng.uniform(10, 60, 50), rng.uniform(10, 60, 50)
        (ours,) = measure(data, x, y, (9.0,), around=Surroundings(mask=mask, leave_out=True), subpix=0)
        out = mask | ~np.isfinite(data)
        aperture = CircularAperture(np.c_[x, y], 4.5)
        for values, expected in ((np.nan_to_num(data), ours.flux), (np.ones(SHAPE), ours.area)):
            table = aperture_photometry(values, aperture, mask=out, method="exact")
            np.testing.assert_allclose(expected, table["aperture_sum"], rtol=1e-7)
        np.testing.assert_allclose(ours.sky_sigma, np.sqrt(ours.area))


@pytest.mark.pure
class TestFlags:
    def test_clean_aperture_has_none(self):
        (sums,) = measure(np.ones(SHAPE), 50, 40, gain=1.0)
        assert names(sums.flags[0]) == ()

    @pytest.mark.parametrize(
        ("x", "y", "expected"),
        [(4.4, 40, "OFF_IMAGE_PARTLY"), (4.6, 40, None), (94.6, 40, "OFF_IMAGE_PARTLY"), (94.4, 40, None), (50, 4.4, "OFF_IMAGE_PARTLY"),
         (50, 74.6, "OFF_IMAGE_PARTLY"), (-5.2, 40, "OFF_IMAGE_PARTLY"), (-5.49, 40, "OFF_IMAGE"),
         (-5.6, 40, "OFF_IMAGE"), (50, 500, "OFF_IMAGE"),
         (1e300, 40, "OFF_IMAGE"), (np.nan, 40, "OFF_IMAGE"), (50, -np.inf, "OFF_IMAGE")],
    )  # fmt: skip
    def test_edges(self, x, y, expected):
        (sums,) = measure(np.ones(SHAPE), x, y, gain=1.0)
        assert names(sums.flags[0]) == (() if expected is None else (expected,))
        assert np.isnan(sums.flux[0]) == (expected == "OFF_IMAGE")

    def test_off_image_has_no_flux_and_no_area(self):
        (sums,) = measure(np.ones(SHAPE), -50, 40)
        assert np.isnan([sums.flux[0], sums.flux_err[0], sums.sky_sigma[0]]).all()
        assert sums.area[0] == 0

    @pytest.mark.parametrize("layer", ["MASKED", "NOT_FINITE", "SATURATED", "NEIGHBOUR"])
    def test_one_bad_pixel(self, layer):
        data, mask, segmap = np.ones(SHAPE), np.zeros(SHAPE, bool), np.zeros(SHAPE, np.int32)
        segmap[38:43, 48:53] = 1
        around = {"number": np.array([1], np.int32), "segmap": segmap}
        if layer == "MASKED":
            mask[40, 53] = True
            around["mask"] = mask
        elif layer == "NOT_FINITE":
            data[40, 53] = np.nan
        elif layer == "SATURATED":
            around["saturated"] = (np.array([40, 70]), np.array([53, 3]))
        else:
            segmap[40, 53] = 2
        (near, far) = (measure(data, x, 40, gain=1.0, around=Surroundings(**around))[0] for x in (50, 41))
        assert names(near.flags[0]) == (layer,)
        assert layer not in names(far.flags[0])

    def test_masked_pixels_count_unless_left_out(self):
        mask = np.zeros(SHAPE, bool)
        mask[40, 50] = True
        keep, leave = (measure(np.ones(SHAPE), 50, 40, around=Surroundings(mask=mask, leave_out=out))[0] for out in (False, True))
        assert keep.area[0] - leave.area[0] == pytest.approx(1.0)
        assert keep.flux[0] - leave.flux[0] == pytest.approx(1.0)

    def test_everything_masked(self):
        (sums,) = measure(np.ones(SHAPE), 50, 40, around=Surroundings(mask=np.ones(SHAPE, bool), leave_out=True))
        assert "MASKED" in names(sums.flags[0])
        assert np.isnan(sums.flux[0])
        assert sums.area[0] == 0

    def test_non_positive_flux_and_unknown_gain(self):
        (sums,) = measure(-np.ones(SHAPE), 50, 40)
        assert names(sums.flags[0]) == ("NON_POSITIVE", "NO_GAIN")
        (sums,) = measure(np.zeros(SHAPE), 50, 40, gain=0.0)
        assert names(sums.flags[0]) == ("NON_POSITIVE",)


@pytest.mark.pure
class TestValues:
    @settings(max_examples=50, deadline=None)
    @given(x=st.floats(20, 80), y=st.floats(20, 60), diameter=st.floats(1.5, 30))
    def test_area_of_a_circle(self, x, y, diameter):
        (sums,) = measure(np.ones(SHAPE), x, y, (diameter,), subpix=0)
        assert sums.area[0] == pytest.approx(np.pi * diameter**2 / 4, rel=1e-6)
        assert sums.flux[0] == pytest.approx(sums.area[0], rel=1e-6)

    @settings(max_examples=30, deadline=None)
    @given(flux=st.floats(-1e6, 1e6), sigma=st.floats(0.1, 1e4), gain=st.sampled_from([None, 0.0, 0.3, 5.0, np.inf]))
    def test_error(self, flux, sigma, gain):
        photons = max(flux, 0) / gain if gain and np.isfinite(gain) else 0.0
        assert flux_error(np.array([sigma]), np.array([flux]), gain)[0] == pytest.approx(np.sqrt(sigma**2 + photons))

    def test_noise_map_and_number_agree(self, rng):
        data, x, y = rng.normal(size=SHAPE), rng.uniform(0, 100, 20), rng.uniform(0, 80, 20)
        number, mapped = (measure(data, x, y, noise=noise)[0] for noise in (2.5, np.full(SHAPE, 2.5)))
        for name in ("flux", "flux_err", "sky_sigma", "area", "flags"):
            np.testing.assert_allclose(getattr(mapped, name), getattr(number, name), rtol=1e-6)

    def test_no_positions_and_no_apertures(self):
        assert measure(np.ones(SHAPE), [], [])[0].flux.shape == (0,)
        assert measure(np.ones(SHAPE), 5, 5, ()) == []

    def test_strips_do_not_show(self, rng):
        data = rng.normal(size=(1200, 40)).astype(np.float32)
        x, y = rng.uniform(0, 40, 400), rng.uniform(0, 1200, 400)
        (sums,) = measure(data, x, y, (25.0,))
        for part in (slice(0, 200), slice(200, 400)):
            np.testing.assert_array_equal(measure(data, x[part], y[part], (25.0,))[0].flux, sums.flux[part])


@pytest.mark.pure
class TestInput:
    @pytest.mark.parametrize("diameter", [0.0, -3.0, np.nan, np.inf])
    def test_diameters(self, diameter):
        with pytest.raises(InputError, match="diameters: must be positive and finite"):
            measure(np.ones(SHAPE), 5, 5, (diameter,))

    def test_positions(self):
        with pytest.raises(InputError, match="x, y: must be 1-D and of equal length"):
            measure(np.ones(SHAPE), [1, 2], [1])

    def test_nothing_is_altered(self, rng):
        data, noise, mask = rng.normal(size=SHAPE), np.ones(SHAPE), rng.random(SHAPE) < 0.1
        data[3, 4] = np.nan
        x, y, segmap = np.array([3.0, 50.0]), np.array([4.0, 60.0]), np.zeros(SHAPE, np.int32)
        kept = [part.copy() for part in (data, noise, mask, x, y, segmap)]
        around = Surroundings(mask=mask, leave_out=True, segmap=segmap, number=np.array([1, 2], np.int32))
        circular(prepare(data, noise), x, y, (5.0,), around=around)
        for part, copy in zip((data, noise, mask, x, y, segmap), kept, strict=True):
            np.testing.assert_array_equal(part, copy)
