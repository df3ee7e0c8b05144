from __future__ import annotations

import numpy as np
import photutils.geometry
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ezarchive.simulate import profiles
from ezarchive.simulate.profiles import Shape, Window

SHAPES = st.tuples(st.floats(4, 9), st.floats(0, 0.2), st.floats(0, 180))


def fine_moffat(x, y, psf, window, n=12):
    """The same integral by a finer rule."""
    nodes, weights = np.polynomial.legendre.leggauss(n)
    u = (window.x0 - x + np.arange(window.nx)[:, None] + nodes / 2).ravel()
    v = (window.y0 - y + np.arange(window.ny)[:, None] + nodes / 2).ravel()[:, None]
    value = (profiles.BETA - 1) / np.pi / np.sqrt(psf.determinant) * (1 + psf.inverse().form(u, v)) ** -profiles.BETA
    return np.einsum("iajb,a,b->ij", value.reshape(window.ny, n, window.nx, n), weights / 2, weights / 2)


@pytest.mark.pure
@given(SHAPES, st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
def test_moffat_pixels_hold_all_the_light(form, x, y):
    psf = profiles.moffat(*form)
    window = profiles.window_around(x, y, profiles.moffat_reach(psf, 1e-4))
    assert 1 - 1e-4 < profiles.moffat_pixels(x, y, psf, window).sum() < 1


@pytest.mark.pure
@pytest.mark.parametrize(("fwhm", "tolerance"), [(4, 2e-6), (2, 2e-4), (8, 1e-7)])
def test_moffat_pixels_are_as_exact_as_they_say(fwhm, tolerance):
    psf, window = profiles.moffat(fwhm, 0.1, 30), Window(-10, -10, 21, 21)
    fine = fine_moffat(0.3, -0.2, psf, window)
    assert np.abs(profiles.moffat_pixels(0.3, -0.2, psf, window) - fine).max() < tolerance * fine.max()


@pytest.mark.pure
def test_moffat_has_its_width_and_direction():
    def profile(x, y):
        return (1 + psf.inverse().form(np.array(x), np.array(y))) ** -profiles.BETA

    psf = profiles.moffat(6.0)
    assert profile(3.0, 0.0) == pytest.approx(0.5)
    psf = profiles.moffat(6.0, 0.19, 90)
    assert profile(0.0, 3 / 0.9) == pytest.approx(0.5)
    assert profile(3 * 0.9, 0.0) == pytest.approx(0.5)
    assert psf.major == pytest.approx(profiles.moffat(6.0).major / 0.9)


@pytest.mark.pure
def test_moffat_reach_leaves_out_what_it_says():
    psf = profiles.moffat(5.0)
    assert profiles.aperture_fraction(psf, profiles.moffat_reach(psf, 0.01)) == pytest.approx(0.99, abs=2e-4)


@pytest.mark.pure
@given(SHAPES, st.floats(100, 101), st.floats(-0.5, 0.5))
def test_a_galaxy_of_no_size_is_a_star(form, x, y):
    psf = profiles.moffat(*form)
    pixels, window = profiles.galaxy_pixels(x, y, profiles.ellipse(1e-3, 1e-3), psf)
    star = profiles.moffat_pixels(x, y, psf, window)
    # The cut of the spectrum at the sampling frequency, and what wraps round.
    assert np.abs(pixels - star).max() < 1e-3 * star.max()
    assert pixels.sum() == pytest.approx(1, abs=1e-9)


@pytest.mark.pure
def test_a_galaxy_has_the_moments_of_its_ellipse():
    psf, shape = profiles.ellipse(0.01, 0.01), profiles.ellipse(6, 3, 30)
    pixels, window = profiles.galaxy_pixels(50.2, 40.7, shape, profiles.moffat(3.0))
    u = window.x0 + np.arange(window.nx) - 50.2
    v = (window.y0 + np.arange(window.ny) - 40.7)[:, None]
    assert np.sum(pixels * u) == pytest.approx(0, abs=1e-3)
    assert np.sum(pixels * v) == pytest.approx(0, abs=1e-3)
    inner = np.hypot(u, v) < 20
    xx, xy, yy = (np.sum(pixels * inner * m) / np.sum(pixels * inner) for m in (u * u, u * v, v * v))
    assert np.degrees(0.5 * np.arctan2(2 * xy, xx - yy)) == pytest.approx(30, abs=0.5)
    assert psf.major == pytest.approx(0.01)


@pytest.mark.pure
def test_half_of_a_disc_lies_in_its_half_light_radius():
    length = profiles.scale_length(10.0)
    pixels, window = profiles.galaxy_pixels(0.0, 0.0, profiles.ellipse(length, length), profiles.moffat(2.5))
    assert np.sum(pixels * profiles.circle_overlap(0.0, 0.0, 10.0, window)) == pytest.approx(0.5, abs=0.02)


@pytest.mark.oracle
@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(0.2, 12))
def test_circle_overlap_is_the_exact_area(x, y, radius):
    window = Window(-16, -15, 33, 31)
    ours = profiles.circle_overlap(x, y, radius, window)
    theirs = photutils.geometry.circular_overlap_grid(-16.5 - x, 16.5 - x, -15.5 - y, 15.5 - y, 33, 31, radius, 1, 1)
    np.testing.assert_allclose(ours, theirs, atol=1e-9)
    assert ours.sum() == pytest.approx(np.pi * radius**2, rel=1e-9)


@pytest.mark.pure
def test_circle_off_the_window_has_no_area():
    assert profiles.circle_overlap(100, 100, 5, Window(0, 0, 10, 10)).sum() == 0


@pytest.mark.pure
def test_aperture_fraction_is_nearly_the_growth_curve():
    psf = profiles.moffat(6.0)
    growth = 1 - (1 + 25 / psf.xx) ** (1 - profiles.BETA)
    # The pixel spreads the light a little.
    assert growth - 0.008 < profiles.aperture_fraction(psf, 5.0) < growth


@pytest.mark.pure
@given(st.floats(0.5, 9), st.floats(0.5, 9), st.floats(0, 180))
def test_shapes_invert(a, b, theta):
    shape = profiles.ellipse(a, b, theta)
    inverse = shape.inverse()
    product = np.array([[shape.xx, shape.xy], [shape.xy, shape.yy]]) @ np.array([[inverse.xx, inverse.xy], [inverse.xy, inverse.yy]])
    np.testing.assert_allclose(product, np.eye(2), atol=1e-9)
    assert shape.major == pytest.approx(max(a, b))
    assert shape.determinant == pytest.approx((a * b) ** 2)


@pytest.mark.pure
def test_windows_meet():
    assert Window(0, 0, 10, 10).meet(Window(8, -3, 5, 5)) == Window(8, 0, 2, 2)
    assert Window(0, 0, 10, 10).meet(Window(20, 20, 5, 5))[2:] == (0, 0)
    array = np.zeros((10, 10))
    array[Window(8, 0, 2, 2).within(Window(0, 0, 10, 10))] = 1
    assert array.sum() == 4
    assert array[0, 9] == 1
    assert isinstance(profiles.moffat(3.0), Shape)
