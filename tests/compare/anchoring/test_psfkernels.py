"""Kernels: files, checks, other pixels, Gaussians and names."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from ezarchive.compare.anchoring.psfkernels import (
    FWHM_OF_SIGMA,
    PsfKernel,
    check_kernel,
    gaussian_to_gaussian,
    read_kernel,
    resample_kernel,
    resolution_fwhm,
    resolution_name,
)
from ezarchive.errors import FrameError, InputError
from ezarchive.simulate.nebulae import gaussian_kernel, write_kernel


def elongated(step, long=0.8, short=0.3, angle=30.0, half_y=80, half_x=100):
    turn = np.radians(angle)
    y, x = np.mgrid[-half_y : half_y + 1, -half_x : half_x + 1] * step
    u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    return np.exp(-0.5 * (u**2 / long**2 + v**2 / short**2))


def moments(kernel):
    y, x = np.mgrid[: kernel.shape[0], : kernel.shape[1]] - np.array([(n - 1) / 2 for n in kernel.shape])[:, None, None]
    return [float((kernel * p).sum() / kernel.sum()) for p in (x, y, x * x, y * y, x * y)]


def angle_of(kernel):
    _, _, xx, yy, xy = moments(kernel)
    return np.degrees(0.5 * np.arctan2(2 * xy, xx - yy))


@pytest.mark.truth
@pytest.mark.parametrize("step", [0.05, 0.0333, 0.1, 0.12, 0.21])
def test_on_other_pixels_it_is_the_same_kernel(step):
    made = resample_kernel(PsfKernel(elongated(0.05), 0.05), step)
    assert abs(made.sum() - 1) < 1e-12
    assert made.shape[0] % 2 and made.shape[1] % 2 and made.shape[0] < made.shape[1]
    np.testing.assert_allclose(moments(made)[:2], 0, atol=1e-6)
    assert abs(angle_of(made) - 30) < 0.2
    _, _, xx, yy, _ = moments(made)
    assert (xx + yy) * step**2 == pytest.approx(0.8**2 + 0.3**2, rel=3e-3)
    half_y, half_x = made.shape[0] // 2, made.shape[1] // 2
    truth = elongated(step, half_y=half_y, half_x=half_x)
    np.testing.assert_allclose(made, truth / truth.sum(), atol=2e-5 * made.max() + 1e-9)


@pytest.mark.pure
def test_pixels_that_are_not_square():
    made = resample_kernel(PsfKernel(elongated(0.05), 0.05), (0.1, 0.2))
    assert made.shape == (79, 49)
    _, _, xx, yy, xy = moments(made)
    c, s = np.cos(np.radians(30)), np.sin(np.radians(30))
    truth = [0.64 * c**2 + 0.09 * s**2, 0.64 * s**2 + 0.09 * c**2, 0.55 * s * c]
    np.testing.assert_allclose([xx * 0.04, yy * 0.01, xy * 0.02], truth, rtol=5e-3)


@pytest.mark.pure
@pytest.mark.parametrize("angle", [-50.0, 17.0, 90.0])
def test_turned(angle):
    made = resample_kernel(PsfKernel(elongated(0.05), 0.05), 0.1, angle=angle)
    assert abs((angle_of(made) - 30 - angle + 90) % 180 - 90) < 0.3


@pytest.mark.pure
def test_a_kernel_that_the_pixels_do_not_resolve_is_averaged():
    fine = gaussian_kernel(0.1, 0.14, 0.01)
    made = resample_kernel(PsfKernel(fine, 0.01), 0.2)
    assert (made >= 0).all()
    assert made.max() > 0.9
    _, _, xx, _, _ = moments(made)
    assert 0 < xx < 0.15


@pytest.mark.pure
def test_the_same_pixels_change_nothing():
    kernel = PsfKernel(elongated(0.05), 0.05)
    np.testing.assert_array_equal(resample_kernel(kernel, 0.05), kernel.data / kernel.data.sum())
    assert not kernel.negative


@pytest.mark.pure
@given(st.floats(0.05, 5), st.floats(1.0, 20), st.floats(0.02, 1.5))
def test_gaussian_to_gaussian(start, ratio, step):
    ratio = min(ratio, 40 * step / start + 1)
    made = gaussian_to_gaussian(start, start * ratio, step)
    assert made.shape[0] == made.shape[1] and made.shape[0] % 2
    assert made.sum() == pytest.approx(1)
    sigma = start * np.sqrt(ratio**2 - 1) / FWHM_OF_SIGMA / step
    if sigma > 0.8:
        assert moments(made)[2] == pytest.approx(sigma**2, rel=2e-3)


@pytest.mark.pure
def test_gaussians_that_cannot_be():
    np.testing.assert_array_equal(gaussian_to_gaussian(2.0, 2.0, 0.1), [[1.0]])
    for start, end, text in ((2, 1, "fwhm_to 1: must not be smaller"), (0, 1, "fwhm_from 0: must be positive"), (1, np.inf, "fwhm_to inf")):
        with pytest.raises(InputError, match=text):
            gaussian_to_gaussian(start, end, 0.1)
    for step in (0, -1, np.nan, (0.1, 0.2, 0.3)):
        with pytest.raises(InputError, match="arcsec per pixel"):
            gaussian_to_gaussian(1, 2, step)


@pytest.mark.pure
@pytest.mark.parametrize(
    ("cards", "step"),
    [
        ({"CDELT1": -0.1 / 3600, "CDELT2": 0.2 / 3600}, (0.2, 0.1)),
        ({"CD1_1": -0.1 / 3600, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 0.1 / 3600}, (0.1, 0.1)),
        ({"CD1_1": 0.0, "CD1_2": 0.1 / 3600, "CD2_1": 0.1 / 3600, "CD2_2": 0.0}, (0.1, 0.1)),
        ({"PIXELSCL": 0.11}, (0.11, 0.11)),
        ({"XPIXSIZE": 0.3, "CDELT1": 1.0}, (0.3, 0.3)),
        ({}, (0.7, 0.7)),
    ],
)
def test_files(tmp_path, cards, step):
    unit = fits.PrimaryHDU(elongated(0.05, half_y=20, half_x=30).astype(">f4"))
    unit.header.update(cards)
    unit.writeto(tmp_path / "k.fits")
    made = read_kernel(tmp_path / "k.fits", step=0.7)
    np.testing.assert_allclose(made.step, step)
    assert made.data.shape == (41, 61)
    assert made.data.sum() == pytest.approx(1)
    if not cards:
        with pytest.raises(InputError, match="k.fits: must say the size of its pixels"):
            read_kernel(tmp_path / "k.fits")


@pytest.mark.pure
def test_files_that_are_no_kernels(tmp_path):
    with pytest.raises(FrameError, match="none.fits: is not there"):
        read_kernel(tmp_path / "none.fits")
    (tmp_path / "text.fits").write_text("not FITS")
    with pytest.raises(FrameError, match="text.fits: cannot be read as FITS"):
        read_kernel(tmp_path / "text.fits")
    fits.PrimaryHDU().writeto(tmp_path / "empty.fits")
    with pytest.raises(FrameError, match="empty.fits: must hold a kernel"):
        read_kernel(tmp_path / "empty.fits")
    write_kernel(tmp_path / "even.fits", np.ones((4, 4)), 0.1)
    with pytest.raises(InputError, match="even.fits: must have an odd number of rows and columns"):
        read_kernel(tmp_path / "even.fits")


@pytest.mark.pure
def test_checks():
    good = elongated(0.05)
    with pytest.raises(InputError, match=r"K: its centroid must lie in the middle pixel, found it off by \+1.00 \(x\), \+0.00"):
        check_kernel(np.roll(good, 1, axis=1), "K")
    with pytest.raises(InputError, match="must have a positive sum, found -"):
        check_kernel(good - 0.1)
    wild = np.zeros((5, 5))
    wild[2, 2], wild[1, 2], wild[3, 2] = 5.0, -1.9, -1.9
    with pytest.raises(InputError, match="negative lobes must not exceed 1"):
        check_kernel(wild)
    mild = good.copy()
    mild[0], mild[-1] = -0.001, -0.001
    kernel = PsfKernel(mild, 0.05, "mild")
    assert 0 < kernel.negative < 0.1
    assert good.max() == 1.0


@pytest.mark.pure
@pytest.mark.parametrize(
    ("name", "fwhm"),
    [
        ("gauss0p85", 0.85),
        ("gauss1", 1),
        ("GAUSS7p5", 7.5),
        ("gauss4p00", 4),
        ("irac4_atgauss4", 4),
        ("ngc1_w3_atgauss15", 15),
        ("gauss0.9", 0.9),
    ],
)
def test_names_of_gaussians(name, fwhm):
    assert resolution_fwhm(name) == fwhm
    assert resolution_fwhm(resolution_name(fwhm)) == fwhm


@pytest.mark.pure
def test_names_of_nothing_gaussian():
    assert [resolution_fwhm(name) for name in ("f2100w", "irac4", "_atirac1", "gauss", "gauss0", "gaussian4", "")] == [None] * 7
    assert [resolution_name(fwhm) for fwhm in (0.85, 4, 7.5, 15.0, 10, 100.0)] == [
        "gauss0p85",
        "gauss4",
        "gauss7p5",
        "gauss15",
        "gauss10",
        "gauss100",
    ]
    for fwhm in (0, -1, np.nan, 1e-9):
        with pytest.raises(InputError, match="fwhm"):
            resolution_name(fwhm)


@pytest.mark.pure
def test_words_are_no_kernel():
    with pytest.raises(InputError, match="kernel: must be numbers, found list"):
        check_kernel([["a"]])
