"""Convolution to a wider beam: against analytic truth, astropy, and Monte Carlo; blanks, edges, errors; time and memory."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from astropy.convolution import convolve
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import fftconvolve

from ezarchive.compare import convolve_to
from ezarchive.compare.anchoring.psfkernels import PsfKernel, gaussian_to_gaussian, read_kernel
from ezarchive.errors import CompareError, InputError
from ezarchive.simulate import nebulae
from ezarchive.simulate.nebulae import NebulaPlan, band_image, gaussian_kernel, write_kernel


def lopsided(ny, nx, seed=0):
    """A kernel without symmetry whose centroid is in the middle."""
    kernel = np.random.default_rng(seed).uniform(0.1, 1.0, (ny, nx))
    kernel += kernel[::-1, ::-1]
    return kernel / kernel.sum()


BEHIND = "a star lies within 0.5 arcsec behind an edge: off by 0.003 to 0.010 of 0.002 where the coverage is above 0.999"
MISSED = pytest.mark.xfail(strict=True, raises=AssertionError, reason=BEHIND)
CLOUDED = (3, 7, 8)
"""Skies with such a star."""
BEAMS_AND_SEEDS = [
    *(pytest.param(0.674, seed, marks=MISSED) for seed in CLOUDED),
    *((fwhm, seed) for fwhm in (0.674, 4.0) for seed in (1, 77, 20240126)),
    (4.0, 3),
]


@pytest.mark.truth
@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize(("fwhm", "seed"), BEAMS_AND_SEEDS)
@pytest.mark.parametrize("source", ["made", "file"])
def test_a_galaxy_through_a_wider_beam(tmp_path, seed, fwhm, source):
    plan = NebulaPlan(noise=0, seed=seed, position_angle=23.0 + seed % 90)
    band = plan.bands["F770W"]
    if source == "made":
        kernel, step = gaussian_to_gaussian(band.fwhm, fwhm, band.pixel), None
    else:
        path = write_kernel(tmp_path / "k.fits", gaussian_kernel(band.fwhm, fwhm, band.pixel / 4), band.pixel / 4)
        kernel, step = read_kernel(path), band.pixel
    like_the_truth(plan, kernel, fwhm, step)


def like_the_truth(plan, kernel, fwhm, step=None):
    """Assert what is asked of a convolved galaxy."""
    image, truth = band_image(plan, "F770W"), band_image(plan, "F770W", fwhm=fwhm)
    made = convolve_to(image.data, kernel, step=step)
    for limit, tolerance in ((0.99999, 1e-4), (0.999, 2e-3), (0.98, 2e-2)):
        used = np.isfinite(made.data) & (made.coverage > limit)
        assert np.count_nonzero(used) > 0.3 * used.size
        assert np.abs(made.data[used] / truth.data[used] - 1).max() < tolerance
    assert (np.isnan(made.data) == (np.isnan(image.data) | (image.data == 0))).all()


@pytest.mark.truth
@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", CLOUDED)
def test_what_is_missed_is_the_light_of_stars_behind_edges(monkeypatch, seed):
    """The same skies without the stars on blank pixels: all that is asked. No pixel holds the light of those."""
    plan = NebulaPlan(noise=0, seed=seed, position_angle=23.0 + seed % 90)
    band, image = plan.bands["F770W"], band_image(plan, "F770W")
    light = nebulae._components(plan, "miri")
    x, y = np.rint([nebulae._pixel(image.wcs, band.pixel, *one[:2]) for one in light]).astype(int).T
    inside = (x >= 0) & (y >= 0) & (x < image.data.shape[1]) & (y < image.data.shape[0])
    seen = inside.copy()
    seen[inside] = np.nan_to_num(image.data[y[inside], x[inside]]) != 0
    monkeypatch.setattr(nebulae, "_components", lambda *_: light[seen | (light[:, 4] != 2)])
    like_the_truth(plan, gaussian_to_gaussian(band.fwhm, 0.674, band.pixel), 0.674)


@pytest.mark.oracle
@pytest.mark.parametrize(("size", "shape"), [((40, 61), (7, 5)), ((33, 20), (21, 31)), ((5, 5), (9, 9)), ((1, 30), (3, 7))])
def test_like_a_direct_convolution(size, shape):
    rng = np.random.default_rng(1)
    data, kernel = 100 + rng.normal(size=size), lopsided(*shape)
    hole = rng.random(size) < 0.1
    data[hole] = np.nan
    made = convolve_to(data, kernel)
    weight = fftconvolve((~hole).astype(float), kernel, mode="full")[
        tuple(slice(k // 2, k // 2 + n) for n, k in zip(size, shape, strict=True))
    ]
    np.testing.assert_allclose(made.coverage, weight, atol=1e-5)
    padded = np.pad(data, [(k // 2, k // 2) for k in shape], constant_values=np.nan)
    oracle = convolve(padded, kernel, boundary="fill", fill_value=np.nan, nan_treatment="interpolate", preserve_nan=True)
    oracle = oracle[tuple(slice(k // 2, k // 2 + n) for n, k in zip(size, shape, strict=True))]
    np.testing.assert_allclose(made.data, oracle, rtol=2e-6)


@pytest.mark.pure
@settings(max_examples=25, deadline=None)
@given(
    level=st.floats(-1e6, 1e6).filter(lambda v: abs(v) > 1e-3),
    ny=st.integers(3, 40),
    nx=st.integers(3, 40),
    k=st.tuples(st.sampled_from([1, 3, 9]), st.sampled_from([1, 5, 15])),
)
def test_a_constant_stays_what_it_is(level, ny, nx, k):
    data = np.full((ny, nx), level)
    data[0, 0] = np.nan
    made = convolve_to(data, lopsided(*k))
    assert np.isnan(made.data[0, 0])
    np.testing.assert_allclose(np.delete(made.data.ravel(), 0), np.float32(level), rtol=1e-6)
    assert (made.coverage <= 1 + 1e-5).all()


@pytest.mark.pure
def test_the_kernel_is_not_mirrored_or_turned():
    data = np.zeros((31, 41))
    data[10, 25] = 1.0
    kernel = np.zeros((5, 7))
    kernel[2, 3] = 1.0
    kernel[1, 4], kernel[3, 2] = 0.5, 0.5
    kernel[2, 4], kernel[2, 1] = 0.4, 0.2
    made = convolve_to(data, kernel, blank_zeros=False)
    np.testing.assert_allclose(made.data[8:13, 22:29], kernel / kernel.sum(), atol=1e-6)


@pytest.mark.truth
@pytest.mark.parametrize("angle", [30.0, 110.0])
def test_an_elongated_kernel_keeps_its_angle(tmp_path, angle):
    turn, half = np.radians(angle), 80
    y, x = np.mgrid[-half : half + 1, -half : half + 1] * 0.05
    u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    path = write_kernel(tmp_path / "k.fits", np.exp(-0.5 * (u**2 / 0.8**2 + v**2 / 0.3**2)), 0.05)
    y, x = np.mgrid[-100:101, -100:101]
    made = convolve_to(np.exp(-0.5 * (x**2 + y**2) / 4.0) + 1e-6, read_kernel(path), step=0.1).data - 1e-6
    xx, yy, xy = ((made * p).sum() / made.sum() for p in (x**2, y**2, x * y))
    assert abs(np.degrees(0.5 * np.arctan2(2 * xy, xx - yy)) % 180 - angle) < 0.5
    mean, spread = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    np.testing.assert_allclose([mean + spread, mean - spread], [68, 13], rtol=0.01)


@pytest.mark.truth
@pytest.mark.parametrize("hole", [0.0, 0.3])
def test_errors_are_those_of_the_noise(hole):
    rng = np.random.default_rng(5)
    error = rng.uniform(0.5, 2.0, (40, 50)) * 1e-18
    blank = rng.random(error.shape) < hole
    kernel = lopsided(5, 7)
    draws = [convolve_to(rng.normal(size=error.shape) * error, kernel, mask=blank).data for _ in range(300)]
    made = convolve_to(np.full(error.shape, 1e-17), kernel, mask=blank, error=error)
    ratio = (np.std(draws, axis=0) / made.error)[~blank]
    assert abs(np.median(ratio) - 1) < 0.02
    assert (np.abs(ratio - 1) < 0.25).all()
    assert (np.isnan(made.error) == np.isnan(made.data)).all()


@pytest.mark.pure
def test_errors_that_are_not_known_count_as_none():
    error = np.full((20, 20), 2.0)
    error[3, 3] = np.nan
    made = convolve_to(np.ones((20, 20)), lopsided(3, 3), error=error)
    assert np.isfinite(made.error).all()
    assert made.error[3, 3] < made.error[10, 10]


@pytest.mark.pure
def test_what_is_blank():
    data = np.ones((20, 30))
    data[4, 4], data[5, 5], data[6, 6], data[7, 7] = 0, np.nan, np.inf, -np.inf
    mask = np.zeros(data.shape, bool)
    mask[8, 8] = True
    before = data.copy()
    made = convolve_to(data, lopsided(3, 3), mask=mask)
    assert [np.isnan(made.data[k, k]) for k in range(4, 10)] == [True] * 5 + [False]
    assert not np.isnan(convolve_to(data, lopsided(3, 3), blank_zeros=False).data[4, 4])
    np.testing.assert_array_equal(data, before)
    assert np.isnan(convolve_to(data, lopsided(3, 3), min_coverage=0.99).data[0]).all()


@pytest.mark.pure
def test_threads_and_kinds_of_arrays_change_nothing():
    data = np.random.default_rng(2).integers(1, 9, (64, 50))
    once = convolve_to(data, lopsided(9, 9))
    for other in (
        convolve_to(data, lopsided(9, 9), workers=2),
        convolve_to(data.astype(">f4"), lopsided(9, 9)),
        convolve_to(data.tolist(), lopsided(9, 9)),
    ):
        np.testing.assert_array_equal(once.data, other.data)


@pytest.mark.pure
def test_negative_lobes_do_not_turn_weights_round():
    kernel = np.full((5, 5), -0.03)
    kernel[2, 2] = 1.0
    kernel[1:4, 1:4] += 0.1
    data = np.full((20, 20), np.nan)
    data[10, 10], data[10, 13:] = 5.0, 5.0
    made = convolve_to(data, kernel)
    np.testing.assert_allclose(made.data[np.isfinite(made.data)], 5.0, rtol=1e-5)


@pytest.mark.pure
@pytest.mark.parametrize(
    ("kernel", "options", "text"),
    [
        (np.ones((4, 5)), {}, "odd number of rows and columns"),
        (np.ones(5), {}, "2-D array"),
        (np.zeros((3, 3)), {}, "positive sum"),
        (-np.ones((3, 3)), {}, "positive sum"),
        (np.full((3, 3), np.nan), {}, "finite"),
        (np.eye(5) * [9, 1, 1, 1, 1], {}, "centroid"),
        (np.ones((3, 3)), {"error": np.ones((3, 3))}, "error: must have the shape of data"),
        (np.ones((3, 3)), {"mask": np.ones(3)}, "mask: must have the shape of data"),
        (np.ones((3, 3)), {"min_coverage": 2.0}, "min_coverage 2.0: must be from 0 to 1"),
        (PsfKernel(np.ones((3, 3)), 0.1), {}, "step: must be given"),
    ],
)
def test_bad_arguments(kernel, options, text):
    with pytest.raises(InputError, match=text):
        convolve_to(np.ones((20, 20)), kernel, **options)


@pytest.mark.pure
@pytest.mark.parametrize("value", [np.nan, 0.0, np.inf])
def test_an_image_without_pixels(value):
    with pytest.raises(CompareError, match="every one of its 100 pixels is blank") as err:
        convolve_to(np.full((10, 10), value), np.ones((3, 3)))
    assert err.value.code == "no_pixels"
    with pytest.raises(InputError, match="data: must be a 2-D array"):
        convolve_to(np.ones((2, 3, 4)), np.ones((3, 3)))


SPEED = """
import json, re
from pathlib import Path
import numpy as np
from ezarchive.compare.anchoring.convolution import convolve_to
from ezarchive.compare.anchoring.psfkernels import gaussian_to_gaussian
data = np.random.default_rng(0).normal(5, 1, (4000, 4000)).astype(np.float32)
data[:100] = 0
kernel = gaussian_to_gaussian(0.269, 4.0, 0.11)
made = convolve_to(data, kernel)
peak = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])  # ru_maxrss would count what the parent held
print(json.dumps([peak * 1024 / 1e9, float(np.nanmean(made.data))]))
"""


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_large_image_in_bounded_memory():
    gigabytes, mean = json.loads(subprocess.run([sys.executable, "-c", SPEED], capture_output=True, check=True, text=True).stdout)
    assert abs(mean - 5) < 0.01
    assert gigabytes < 0.8


@pytest.mark.truth
@pytest.mark.parametrize("elongated", [False, True])
def test_edges_are_nearer_to_the_truth(elongated):
    """A plane and a Gaussian hill in a field that is cut off on all sides and has a hole: the truth is analytic."""
    y, x = np.indices((80, 96)).astype(float)
    sy, sx = (3.0, 6.0) if elongated else (4.0, 4.0)
    ky, kx = np.indices((61, 61)) - 30.0
    kernel = np.exp(-0.5 * ((ky / sy) ** 2 + (kx / sx) ** 2))

    def scene(wider_y, wider_x):
        vy, vx = 18.0**2 + wider_y**2, 18.0**2 + wider_x**2
        peak = 18.0**2 / np.sqrt(vy * vx)
        return 3 + 0.01 * x - 0.02 * y + 2 * peak * np.exp(-0.5 * ((y - 10) ** 2 / vy + (x - 80) ** 2 / vx))

    data, truth = scene(0, 0), scene(sy, sx)
    data[:7], data[40:46, 20:26] = 0, np.nan
    plain, better = convolve_to(data, kernel), convolve_to(data, kernel, edges=True)
    np.testing.assert_array_equal(plain.coverage, better.coverage)
    np.testing.assert_array_equal(np.isnan(plain.data), np.isnan(better.data))
    whole = better.coverage > 0.99995
    np.testing.assert_array_equal(plain.data[whole], better.data[whole])
    for least, most, share in ((0.98, 1.0, 0.9), (0.8, 0.98, 0.7), (0.7, 0.8, 0.7)):
        there = (plain.coverage > least) & (plain.coverage < most) & np.isfinite(plain.data)
        errors = [np.sqrt(np.mean((one.data[there] - truth[there]) ** 2)) for one in (plain, better)]
        assert errors[1] < share * errors[0], (least, errors)


def test_edges_of_a_plane_and_a_kernel_of_one_pixel():
    y, x = np.indices((50, 60)).astype(np.float32)
    plane = 1 + 0.1 * x + 0.2 * y
    ky, kx = np.indices((31, 31)) - 15.0
    kernel = np.exp(-0.5 * (ky**2 + kx**2) / 3.0**2)
    straight = np.s_[15:-15, 2:5]  # beside a straight edge, far from corners: a coverage of 0.8 to 0.95
    plain, better = (np.abs(convolve_to(plane, kernel, edges=edges).data - plane)[straight] for edges in (False, True))
    assert (better < 0.45 * plain).all()
    np.testing.assert_allclose(convolve_to(plane, np.ones((1, 1)), edges=True).data, plane, rtol=1e-6)
