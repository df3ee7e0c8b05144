"""Directions and round angles under a figure."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.wcs.wcsapi import HighLevelWCSWrapper
from flatsky import tan

from ezarchive.plots.skydirections import icrs_to_pixels, local_jacobian, north_east, pixels_to_icrs, round_angle, round_number


@pytest.mark.truth
@pytest.mark.parametrize("turn", [0, 30, 90, 200])
@pytest.mark.parametrize("parity", [-1, 1])
@pytest.mark.parametrize("wrap", [lambda wcs: wcs, HighLevelWCSWrapper])
def test_north_and_east(turn, parity, wrap):
    wcs = wrap(tan(0.5, turn, parity))
    north, east = north_east(wcs, 49.5, 49.5)
    angle = np.radians(turn)
    np.testing.assert_allclose(north, (-np.sin(angle), np.cos(angle)), atol=1e-6)
    np.testing.assert_allclose(east, parity * np.array((np.cos(angle), np.sin(angle))), atol=1e-6)
    assert np.hypot(*local_jacobian(wcs, 49.5, 49.5)[:, 0]) == pytest.approx(0.5, abs=1e-8)
    x, y = icrs_to_pixels(wcs, *pixels_to_icrs(wcs, [3.0, 80], [5.0, 9]))
    np.testing.assert_allclose([x, y], [(3, 80), (5, 9)], atol=1e-6)


@pytest.mark.pure
def test_outside_the_projection_there_is_no_north():
    wcs = tan(3600.0, system="RA---AIT DEC--AIT")
    assert north_east(wcs, 1e5, 1e5) is None
    assert np.isnan(icrs_to_pixels(HighLevelWCSWrapper(tan()), [np.nan], [2.0])).all()


@pytest.mark.pure
@pytest.mark.parametrize(
    ("most", "arcsec", "text"),
    [
        (5400, 3600, "1\N{DEGREE SIGN}"), (130, 120, "2\N{PRIME}"), (60, 60, "1\N{PRIME}"), (59, 30, "30\N{DOUBLE PRIME}"),
        (7, 5, "5\N{DOUBLE PRIME}"), (1, 1, "1\N{DOUBLE PRIME}"), (0.34, 0.2, "200 mas"), (0.0011, 0.001, "1 mas"),
    ],
)  # fmt: skip
def test_round_angles(most, arcsec, text):
    assert round_angle(most) == (arcsec, text)


@pytest.mark.pure
@pytest.mark.parametrize(("most", "expected"), [(1, 1), (1.99, 1), (2, 2), (499, 200), (5e-7, 5e-7), (0.3, 0.2)])
def test_round_numbers(most, expected):
    assert round_number(most) == expected
