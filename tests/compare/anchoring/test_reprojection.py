"""Images on other pixels: planes and Gaussians that are known everywhere, and the reproject package."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.wcs import WCS, Sip
from reproject import reproject_interp

from ezarchive import sky
from ezarchive.compare.anchoring.reprojection import _mapping, reproject_to
from ezarchive.errors import CompareError, InputError


def wcs(shape, pixel, turn=0.0, ra=150.0, dec=12.5, shift=(0.0, 0.0), system="RA---TAN"):
    made, t = WCS(naxis=2), np.radians(turn)
    made.wcs.ctype = [system, system.replace("RA-", "DEC").replace("GLON", "GLAT")]
    made.wcs.crval, made.wcs.crpix = [ra, dec], [(shape[1] + 1) / 2 + shift[0], (shape[0] + 1) / 2 + shift[1]]
    made.wcs.cd = pixel / 3600 * np.array([[-np.cos(t), np.sin(t)], [np.sin(t), np.cos(t)]])
    return made


def light(grid, shape, ra=150.0, dec=12.5, width=30.0):
    """A round Gaussian and a gradient, as seen at the centres of pixels."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    longitude, latitude = sky.pixel_to_icrs(grid, x, y)
    east = ((longitude - ra + 180) % 360 - 180) * np.cos(np.radians(dec)) * 3600
    north = (latitude - dec) * 3600
    return 5 + 0.01 * east + np.exp(-0.5 * ((east - 8) ** 2 + (north + 5) ** 2) / width**2)


@pytest.mark.truth
@pytest.mark.parametrize(("ra", "dec"), [(150.0, 12.5), (0.0, -45.0), (30.0, 89.9)])
@pytest.mark.parametrize(("pixel", "turn"), [(0.5, 0.0), (1.7, 33.0), (4.0, 200.0)])
def test_a_smooth_sky_is_the_same_on_other_pixels(ra, dec, pixel, turn):
    shape, goal = (150, 190), (60, 41)
    source, like = wcs(shape, 1.0, 23.0, ra, dec), wcs(goal, pixel, turn, ra, dec, (3.3, -1.2))
    flat = lambda grid, size: light(grid, size, ra, dec) if abs(dec) < 80 else np.full(size, 3.0)  # noqa: E731
    made = reproject_to(flat(source, shape), source, like, goal)
    truth = flat(like, goal)
    inside = np.isfinite(made.data)
    assert (inside == (made.footprint > 0)).all() and inside.sum() > 300
    np.testing.assert_allclose(made.data[inside], truth[inside], atol=2e-3 if pixel < 4 else 6e-3)


@pytest.mark.oracle
def test_like_the_package():
    rng = np.random.default_rng(3)
    data = rng.normal(size=(80, 90))
    data[20, 30] = np.nan
    source, like = wcs(data.shape, 1.0, 23.0), wcs((70, 60), 1.1, -40.0, shift=(5.0, 1.0))
    made = reproject_to(data, source, like, (70, 60))
    oracle, footprint = reproject_interp((data, source), like, shape_out=(70, 60))
    assert np.count_nonzero((footprint > 0) != (made.footprint > 0)) < 5, "pixels whose centre is on the very edge"
    both = np.isfinite(oracle) & np.isfinite(made.data)
    assert np.count_nonzero(np.isfinite(oracle) != np.isfinite(made.data)) < 5 and both.sum() > 1000
    np.testing.assert_allclose(made.data[both], oracle[both], atol=3e-3)


@pytest.mark.pure
def test_another_system():
    source = wcs((100, 100), 1.0)
    from astropy.coordinates import SkyCoord

    centre = SkyCoord(150.0, 12.5, unit="deg").galactic
    like = wcs((40, 40), 1.0, 10.0, centre.l.deg, centre.b.deg, system="GLON-TAN")
    made = reproject_to(light(source, (100, 100)), source, like, (40, 40))
    np.testing.assert_allclose(made.data, light(like, (40, 40)), atol=1e-3)


@pytest.mark.pure
def test_the_same_pixels_are_left_alone():
    data = np.random.default_rng(0).normal(size=(40, 50))
    made = reproject_to(data, wcs(data.shape, 1.0, 7.0), wcs(data.shape, 1.0, 7.0), data.shape, coverage=np.ones(data.shape))
    np.testing.assert_array_equal(made.data, data)
    assert made.data is not data and made.footprint.all() and made.coverage.all()


@pytest.mark.truth
def test_two_points_are_the_mean_over_a_larger_pixel():
    shape, goal = (240, 240), (20, 20)
    source, like = wcs(shape, 0.5), wcs(goal, 4.0, 30.0)
    y, x = np.mgrid[:240, :240] - 119.5
    sigma = 6.0
    data = np.exp(-0.5 * (x**2 + y**2) * 0.25 / sigma**2)
    fine = wcs((200, 200), 0.4, 30.0)
    fine.wcs.crpix = [100.5, 100.5]
    means = reproject_to(data, source, fine, (200, 200)).data.reshape(20, 10, 20, 10).mean(axis=(1, 3))
    errors = [np.nanmax(np.abs(reproject_to(data, source, like, goal, points=points).data - means)) for points in (1, 2)]
    assert errors[1] < 0.002 < 0.02 < errors[0]


@pytest.mark.oracle
@pytest.mark.parametrize("method", ["exact", "adaptive"])
def test_through_the_package(method):
    source, like = wcs((80, 90), 1.0, 23.0), wcs((30, 20), 2.5, -40.0)
    data = light(source, (80, 90))
    before = data.copy()
    made = reproject_to(data, source, like, (30, 20), method=method, coverage=np.ones(data.shape))
    inside = np.isfinite(made.data) & (made.footprint > 0.99)
    np.testing.assert_allclose(made.data[inside], light(like, (30, 20))[inside], atol=0.01)
    assert inside.sum() > 300 and made.coverage.shape == (30, 20)
    np.testing.assert_array_equal(data, before)


@pytest.mark.truth
@pytest.mark.parametrize("system", ["RA---TAN", "RA---ARC", "RA---TAN-SIP"])
@pytest.mark.parametrize(("ra", "dec"), [(150.0, 12.5), (0.0, -45.0), (30.0, 89.99)])
def test_positions_are_those_of_the_wcs(system, ra, dec):
    shape = (600, 500)
    source, like = wcs((900, 800), 1.0, 23.0, ra, dec, system=system), wcs(shape, 1.3, -70.0, ra, dec, (40.0, -80.0))
    if system.endswith("SIP"):
        forward = np.zeros((4, 4))
        forward[2, 0], forward[0, 3], forward[1, 1] = 2e-5, -3e-8, 1e-5
        source.sip = Sip(forward, forward.T, None, None, source.wcs.crpix)
    rows, cols = np.arange(0.0, 600, 7), np.arange(0.0, 500, 7)
    y, x = _mapping(like, source, shape)(rows, cols)
    truth_x, truth_y = sky.icrs_to_pixel(source, *sky.pixel_to_icrs(like, *np.meshgrid(cols, rows)))
    np.testing.assert_allclose(y, truth_y, rtol=0, atol=1e-5)
    np.testing.assert_allclose(x, truth_x, rtol=0, atol=1e-5)


@pytest.mark.pure
def test_pixels_without_a_place_on_the_sky_take_nothing():
    shape = (60, 60)  # pixels of 4 degrees: beyond the horizon of the projection on all sides
    like = wcs(shape, 4 * 3600.0, system="RA---SIN")
    made = reproject_to(np.ones((300, 300)), wcs((300, 300), 360.0), like, shape)
    assert np.isnan(made.data[0]).all() and np.nansum(made.data) == made.footprint.sum() > 20


@pytest.mark.pure
def test_singles_stay_as_good_as_doubles():
    data = np.random.default_rng(5).normal(size=(80, 90)).astype(np.float32)
    grids = wcs(data.shape, 1.0, 23.0), wcs((50, 40), 1.4, -10.0)
    one, other = (reproject_to(values, *grids, (50, 40), coverage=abs(values)) for values in (data, data.astype(float)))
    np.testing.assert_array_equal(one.data, other.data)
    np.testing.assert_array_equal(one.coverage, other.coverage)
    assert one.data.dtype == one.coverage.dtype == float


@pytest.mark.pure
def test_coverage_goes_along():
    source, like = wcs((80, 90), 1.0), wcs((50, 120), 1.0, shift=(0.5, 0.0))
    weight = np.ones((80, 90))
    weight[:, :45] = 0.25
    made = reproject_to(weight, source, like, (50, 120), coverage=weight)
    inside = made.footprint > 0
    np.testing.assert_allclose(made.coverage[inside], made.data[inside])
    assert (made.coverage[~inside] == 0).all() and (~inside).any()


@pytest.mark.pure
def test_images_far_apart():
    for dec in (13.5, -80.0):
        with pytest.raises(CompareError, match="do not overlap") as err:
            reproject_to(np.ones((20, 20)), wcs((20, 20), 1.0), wcs((20, 20), 1.0, dec=dec), (20, 20))
        assert err.value.code == "no_overlap"


@pytest.mark.pure
@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"method": "cubic"}, "method 'cubic': must be one of interp, exact, adaptive"),
        ({"points": 3}, "points 3: must be 1 or 2"),
        ({"shape": (0, 5)}, "shape .*: must be two positive numbers"),
        ({"coverage": np.ones(3)}, "coverage: must have the shape of data"),
        ({"data": np.ones(3)}, "data: must be a 2-D array"),
    ],
)
def test_bad_arguments(options, text):
    good = {"data": np.ones((20, 20)), "shape": (20, 20)} | options
    with pytest.raises(InputError, match=text):
        reproject_to(good.pop("data"), wcs((20, 20), 1.0), wcs((20, 20), 1.0), good.pop("shape"), **good)
