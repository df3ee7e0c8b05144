"""Cubes whose image through any curve is known."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from ezarchive.errors import InputError
from ezarchive.simulate.cubes import AXES, image_cube
from ezarchive.simulate.pairs import image_pair

SMALL = {"shape": (40, 52), "n_stars": 1, "n_discs": 3}


@pytest.mark.truth
@pytest.mark.parametrize("axis", AXES)
def test_header_says_the_wavelengths_and_edges(axis):
    cube = image_cube(axis=axis, n_planes=9, begin=4800.0, end=9300.0, noise=0, **SMALL)
    assert cube.data.shape == (9, 40, 52)
    index = np.arange(9)
    for shift, expected in ((0.0, cube.wavelengths), (-0.5, cube.edges[:, 0]), (0.5, cube.edges[:, 1])):
        world = WCS(cube.header).all_pix2world(np.stack([index * 0, index * 0, index + shift], axis=1), 0)
        np.testing.assert_allclose(world[:, 2] * 1e10, expected, rtol=1e-12)
    assert sorted((cube.wavelengths[0], cube.wavelengths[-1])) == pytest.approx([4800.0, 9300.0])
    np.testing.assert_allclose(cube.edges[1:, 0], cube.edges[:-1, 1])


@pytest.mark.truth
def test_sky_is_that_of_the_pair():
    cube, pair = image_cube(noise=0, seed=3, n_planes=5, **SMALL), image_pair(noise=0, seed=3, reference_noise=0, **SMALL)
    pixel = [[17.0, 11.0]]
    np.testing.assert_allclose(WCS(cube.header).celestial.all_pix2world(pixel, 0), pair.wcs.all_pix2world(pixel, 0), atol=1e-10)
    assert np.abs(cube.level - pair.image).max() < 0.01 * np.ptp(pair.image)
    np.testing.assert_allclose(cube.data[2], cube.level, atol=1e-9)


@pytest.mark.truth
@pytest.mark.parametrize("axis", AXES)
def test_through_is_the_weighted_mean_of_the_planes(axis):
    cube = image_cube(noise=0, axis=axis, n_planes=7, **SMALL)
    weights = np.random.default_rng(5).uniform(0, 1, 7)
    np.testing.assert_allclose(cube.through(weights), np.average(cube.data, axis=0, weights=weights), atol=1e-9)


@pytest.mark.truth
def test_noise_and_file(tmp_path):
    cube, clean = (image_cube(noise=noise, n_planes=12, seed=2, **SMALL) for noise in (2.0, 0.0))
    assert (cube.data - clean.data).std() == pytest.approx(2.0, rel=0.03)
    with fits.open(cube.write(tmp_path / "cube.fits")) as units:
        assert [unit.name for unit in units] == ["PRIMARY", "DATA", "STAT"]
        np.testing.assert_allclose(units["DATA"].data, cube.data, rtol=1e-6)
        assert (units["STAT"].data == 4).all()
    with fits.open(clean.write(tmp_path / "clean.fits")) as units:
        assert [unit.name for unit in units] == ["PRIMARY", "DATA"]


@pytest.mark.pure
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"axis": "freq"}, "axis 'freq': must be one of linear, descending, log"),
        ({"n_planes": 1}, "n_planes 1, .*must be two or more planes"),
        ({"begin": 9000.0, "end": 5000.0}, "must be two or more planes of growing wavelengths"),
        ({"pixel": 0.0}, r"pixel 0\.0: must be positive"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(InputError, match=message):
        image_cube(**options)
