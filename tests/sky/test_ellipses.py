"""Ellipses between pixels and sky: round trips, mirrored and rotated fields, pixels that are not square."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st

from ezarchive import sky
from ezarchive.errors import InputError
from ezarchive.sky.ellipses import Ellipses, from_covariance, half_turn, jacobian_at, on_pixels, on_sky

pytestmark = pytest.mark.pure


def one(*values):
    return tuple(np.array([float(value)]) for value in values)


def make_wcs(rotation=0.0, mirrored=False, scales=(0.5, 0.5)):
    """A tangent plane; north is turned by the rotation, east is left unless the field is mirrored."""
    wcs, angle = WCS(naxis=2), np.radians(rotation)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [150.0, -40.0], [101.0, 101.0]
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    wcs.wcs.cd = turn @ np.diag([scales[0] * (1 if mirrored else -1), scales[1]]) / 3600
    wcs.wcs.set()
    return wcs


FIELDS = [(0.0, False, (0.5, 0.5)), (35.0, False, (0.5, 0.5)), (120.0, True, (0.5, 0.5)), (-20.0, True, (0.4, 0.9))]


@pytest.mark.parametrize("field", FIELDS)
@settings(max_examples=25, deadline=None)
@given(a=st.floats(1, 50), ratio=st.floats(0.05, 1), angle=st.floats(-400, 400))
def test_the_sky_and_back(field, a, ratio, angle):
    jacobian = jacobian_at(make_wcs(*field), *one(70, 130))
    shape = on_pixels(*one(a, a * ratio, angle), theta_frame="sky", unit="arcsec", jacobian=jacobian)
    a_sky, b_sky, pa = on_sky(shape, jacobian)
    assert a_sky[0] == pytest.approx(a, rel=1e-6)
    assert b_sky[0] == pytest.approx(a * ratio, rel=1e-6)
    assert -90 < shape.theta[0] <= 90
    if ratio < 0.99:
        assert np.mod(pa[0] - angle + 90, 180) == pytest.approx(90, abs=1e-3)


@pytest.mark.parametrize("field", FIELDS)
def test_the_ends_of_the_axis_lie_where_the_position_angle_says(field):
    """Checked on the sky itself: the tip of the major axis, turned into a position, lies at the angle and the distance."""
    wcs, (x, y) = make_wcs(*field), one(90, 110)
    shape = on_pixels(*one(20, 5, 56.6), theta_frame="sky", unit="arcsec", jacobian=jacobian_at(wcs, x, y))
    centre = wcs.pixel_to_world(x[0], y[0])
    reached = []
    for t in np.linspace(0, 2 * np.pi, 721):
        along, across = shape.a[0] * np.cos(t), shape.b[0] * np.sin(t)
        cos, sin = np.cos(np.radians(shape.theta[0])), np.sin(np.radians(shape.theta[0]))
        point = wcs.pixel_to_world(x[0] + along * cos - across * sin, y[0] + along * sin + across * cos)
        reached.append((centre.separation(point).arcsec, centre.position_angle(point).deg))
    distance, angle = np.array(reached).T
    assert distance.max() == pytest.approx(20, rel=1e-3)
    assert distance.min() == pytest.approx(5, rel=1e-3)
    assert np.mod(angle[distance.argmax()] - 56.6 + 90, 180) == pytest.approx(90, abs=0.6)


@pytest.mark.parametrize("field", FIELDS)
def test_mixed_frames(field):
    wcs, (x, y) = make_wcs(*field), one(90, 110)
    jacobian = jacobian_at(wcs, x, y)
    turned = on_pixels(*one(6, 3, 25), theta_frame="sky", unit="pixel", jacobian=jacobian)
    assert (turned.a[0], turned.b[0]) == (6, 3)
    assert np.mod(turned.theta[0] - sky.pa_to_theta(wcs, 90, 110, 25) + 90, 180) == pytest.approx(90)
    scaled = on_pixels(*one(6, 3, 25), theta_frame="pixel", unit="arcsec", jacobian=jacobian)
    assert scaled.theta[0] == 25
    assert scaled.a[0] == pytest.approx(6 / sky.pixel_scale(wcs, 90, 110))
    plain = on_pixels(*one(6, 3, 205), theta_frame="pixel", unit="pixel")
    assert (plain.a[0], plain.b[0], plain.theta[0]) == (6, 3, 25)


@settings(max_examples=50, deadline=None)
@given(a=st.floats(0.5, 100), ratio=st.floats(0.01, 1), theta=st.floats(-90, 90))
def test_form_reach_and_covariance(a, ratio, theta):
    shape = Ellipses(*one(a, a * ratio, theta))
    t = np.linspace(0, 2 * np.pi, 2001)
    cos, sin = np.cos(np.radians(theta)), np.sin(np.radians(theta))
    x, y = a * (np.cos(t) * cos - ratio * np.sin(t) * sin), a * (np.cos(t) * sin + ratio * np.sin(t) * cos)
    xx, xy, yy = shape.form()[0]
    np.testing.assert_allclose(xx * x**2 + xy * x * y + yy * y**2, 1, rtol=1e-6)
    width, height = shape.reach()
    assert width[0] == pytest.approx(x.max(), rel=1e-4)
    assert height[0] == pytest.approx(y.max(), rel=1e-4)
    assert shape.area[0] == pytest.approx(np.pi * a * a * ratio)
    matrix = np.array([[[np.mean(x * x), np.mean(x * y)], [np.mean(x * y), np.mean(y * y)]]]) * 2
    again = from_covariance(matrix)
    assert again.a[0] == pytest.approx(a, rel=2e-3)
    assert again.b[0] == pytest.approx(a * ratio, rel=2e-2)


def test_half_turns():
    np.testing.assert_allclose(half_turn(np.array([0, 90, -90, 91, 180, 270, -1.0])), [0, 90, 90, -89, 0, 90, -1])


def test_positions_without_a_jacobian():
    x, y = np.array([5.0, np.nan]), np.array([5.0, 5.0])
    jacobian = jacobian_at(make_wcs(), x, y)
    shape = on_pixels(np.full(2, 3.0), np.full(2, 2.0), np.zeros(2), theta_frame="sky", unit="arcsec", jacobian=jacobian)
    assert np.isfinite(shape.a).tolist() == [True, False]
    assert jacobian_at(None, x, y) is None


@pytest.mark.parametrize(
    ("axes", "frame", "unit", "message"),
    [((0, 1, 0), "pixel", "pixel", "a: semi-axes must be positive and finite, found 0.0 in row 0"),
     ((1, np.inf, 0), "pixel", "pixel", "b: semi-axes must be positive"),
     ((1, 2, 0), "pixel", "pixel", "a, b: the semi-minor axis must not exceed the semi-major one"),
     ((2, 1, np.inf), "pixel", "pixel", "theta: must be finite"), ((2, 1, 0), "north", "pixel", "theta_frame: must be 'pixel' or 'sky'"),
     ((2, 1, 0), "pixel", "deg", "axes_unit: must be 'pixel' or 'arcsec'"), ((2, 1, 0), "pixel", "arcsec", "wcs: must be given")],
)  # fmt: skip
def test_what_is_no_ellipse(axes, frame, unit, message):
    with pytest.raises(InputError, match=message):
        on_pixels(*one(*axes), theta_frame=frame, unit=unit)
