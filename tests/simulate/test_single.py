from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import sep
from astropy.wcs import WCS

from ezarchive import simulate
from ezarchive.errors import InputError

BIG = """
import resource, time
from ezarchive import simulate
started = time.perf_counter()
image = simulate.frame()
print(image.data.shape[1], time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2)
"""


def pulls(image, diameter, **chosen):
    """Measured minus noise-free flux of good stars, in units of the error."""
    truth = image.truth
    sources, exposure = truth.sources, truth.exposure
    good = sources["isolated"] & ~sources["saturated"] & (sources["snr"] > 20)
    radius = exposure.radius(diameter)
    data = (image.data - truth.background()).astype(float)
    flux, _, flag = sep.sum_circle(data, sources["x"].value[good], sources["y"].value[good], radius, subpix=5)
    true = truth.flux(diameter)[good]
    assert not flag.any()
    return (flux - true) / np.sqrt(true / exposure.gain + np.pi * (radius * exposure.sky_sigma) ** 2)


@pytest.mark.truth
@pytest.mark.timeout(60)
@pytest.mark.parametrize("telescope", ["7DT01", "7DT02", "7DT14"])
@pytest.mark.parametrize("diameter", [5.0, 10.0])
def test_pulls_of_isolated_stars(telescope, diameter):
    image = simulate.frame((1500, 1500), 1800, seed=11, telescope=telescope)
    found = pulls(image, diameter)
    assert len(found) > 200
    assert abs(found.mean()) < 0.15
    assert 0.85 < found.std() < 1.2


@pytest.mark.truth
def test_a_calibrated_5_arcsec_magnitude_is_the_true_one():
    image = simulate.frame((600, 600), 150, seed=2)
    sources = image.truth.sources
    stars = (sources["kind"] == "star") & sources["isolated"]
    calibrated = image.header["ZP"] - 2.5 * np.log10(image.truth.flux(image.header["ZPAPER"])[stars])
    np.testing.assert_allclose(calibrated, sources["mag"].value[stars], atol=1e-3)


@pytest.mark.truth
def test_background_alternatives():
    assert np.ptp(simulate.frame((64, 80), 1, known_background=True).truth.background()) == 0
    assert np.ptp(simulate.frame((64, 80), 1).truth.background()) > 10


@pytest.mark.pure
def test_seeds():
    one, again, other = (simulate.frame((64, 80), 20, seed).data for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


@pytest.mark.pure
def test_an_exposure_of_ones_own():
    exposure = simulate.Exposure(seeing=3.9, filter="r", sky=900.0)
    image = simulate.frame((64, 80), 3, exposure=exposure)
    assert image.data.shape == (64, 80)
    assert (image.header["FILTER"], image.header["SEEING"]) == ("r", 3.9)
    assert image.data.mean() == pytest.approx(900, rel=0.2)
    assert WCS(image.header).celestial.has_celestial


@pytest.mark.pure
def test_an_empty_frame():
    image = simulate.frame((64, 80), 0)
    assert len(image.truth.sources) == 0
    assert len(image.truth.flux(5.0)) == 0


@pytest.mark.pure
@pytest.mark.parametrize(
    ("shape", "n", "message"),
    [((0, 5), 1, "must be two positive numbers"), ((5,), 1, "two positive"), ((5, 5), -1, "must not be negative")],
)
def test_wrong_arguments(shape, n, message):
    with pytest.raises(InputError, match=message):
        simulate.frame(shape, n)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_full_frame_is_quick_and_lean():
    run = subprocess.run([sys.executable, "-c", BIG], capture_output=True, text=True, check=True)
    columns, seconds, gigabytes = (float(word) for word in run.stdout.split())
    assert columns == 9576
    assert seconds < 60
    assert gigabytes < 1.5
