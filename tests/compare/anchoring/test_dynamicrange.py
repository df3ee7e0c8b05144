"""Ranges: percentiles, the disc of a galaxy, and the table it comes from."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS

from ezarchive.compare.anchoring.dynamicrange import Galaxy, dynamic_range, galaxy_radius, galaxy_region, read_galaxy_table
from ezarchive.errors import CompareError, FrameError, InputError

TABLE = """# a comment
name, distance_mpc, ra, dec, posang, inclination, size_reff
NGC0628,9.8,24.17,15.78,20,8,0.1e3

ngc1365,19,53.4,-36.1,201,55,120.5
ngc1365b,19,x,-36.1,201,55,120.5
"""


def wcs(ra, dec, pixel=2.0, turn=0.0, size=101):
    made, t = WCS(naxis=2), np.radians(turn)
    made.wcs.ctype, made.wcs.crval, made.wcs.crpix = ["RA---TAN", "DEC--TAN"], [ra, dec], [(size + 1) / 2] * 2
    made.wcs.cd = pixel / 3600 * np.array([[-np.cos(t), np.sin(t)], [np.sin(t), np.cos(t)]])
    return made


@pytest.mark.pure
def test_the_table(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(TABLE)
    assert read_galaxy_table(path, "ngc0628") == Galaxy("ngc0628", 24.17, 15.78, 20.0, 8.0, 100.0)
    assert read_galaxy_table(path, "NGC1365").inclination == 55
    with pytest.raises(InputError, match=r"table.csv: must have one row whose name is 'ngc9', found 0"):
        read_galaxy_table(path, "ngc9")
    with pytest.raises(InputError, match=r"table.csv: ra of ngc1365b: must be a number, found 'x'"):
        read_galaxy_table(path, "ngc1365b")
    with pytest.raises(FrameError, match=r"none.csv: is not there"):
        read_galaxy_table(tmp_path / "none.csv", "ngc9")
    path.write_text(TABLE.replace("posang", "pa"))
    with pytest.raises(InputError, match=r"table.csv: must have the columns .*, found no posang"):
        read_galaxy_table(path, "ngc0628")
    path.write_text("")
    with pytest.raises(InputError, match="found no name, ra"):
        read_galaxy_table(path, "ngc0628")


@pytest.mark.pure
@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("inclination", 91.0, "inclination of n: must be from 0 to 90"),
        ("size_reff", 0.0, "size_reff of n: must be positive"),
        ("dec", 95.0, "dec of n: must be from -90"),
        ("ra", np.nan, "ra of n: must be a finite number"),
    ],
)
def test_galaxies_that_cannot_be(field, value, text):
    good = {"ra": 10.0, "dec": 0.0, "posang": 0.0, "inclination": 0.0, "size_reff": 1.0}
    with pytest.raises(InputError, match=text):
        Galaxy("n", **good | {field: value})


@pytest.mark.oracle
@pytest.mark.parametrize(("ra", "dec"), [(150.0, 12.5), (0.0, -30.0), (359.9999, 60.0), (10.0, 89.99), (0.0, -90.0)])
def test_face_on_it_is_the_separation(ra, dec):
    grid = wcs(ra, dec, turn=30.0)
    y, x = np.mgrid[:101, :101]
    there = grid.pixel_to_world(x, y)
    made = galaxy_radius(grid, (101, 101), Galaxy("n", ra, dec, 33.0, 0.0, 10.0))
    np.testing.assert_allclose(made, there.separation(SkyCoord(ra, dec, unit="deg")).arcsec, atol=2e-3)


@pytest.mark.truth
@pytest.mark.parametrize("posang", [0.0, 35.0, 120.0, 201.0])
@pytest.mark.parametrize("inclination", [0.0, 60.0, 90.0])
def test_the_major_axis_is_the_long_one(posang, inclination):
    grid, centre = wcs(0.001, 40.0, turn=77.0), SkyCoord(0.001, 40.0, unit="deg")
    galaxy = Galaxy("n", 0.001, 40.0, posang, inclination, 20.0)
    made = galaxy_radius(grid, (101, 101), galaxy)
    for angle, factor in ((posang, 1), (posang + 180, 1), (posang + 90, 1 / np.cos(np.radians(min(inclination, 85))))):
        x, y = grid.world_to_pixel(centre.directional_offset_by(angle * u.deg, 60 * u.arcsec))
        assert made[round(float(y)), round(float(x))] == pytest.approx(60 * factor, abs=3 * factor)
    area = np.count_nonzero(galaxy_region(galaxy, grid, (101, 101), 2.0)) * 4
    assert area == pytest.approx(np.pi * 40**2 * np.cos(np.radians(min(inclination, 85))), rel=0.1)


@pytest.mark.pure
def test_the_other_side_of_the_sky_is_far():
    made = galaxy_radius(wcs(180.0, 0.0), (101, 101), Galaxy("n", 0.0, 0.0, 0.0, 0.0, 1.0))
    assert not (made < 1e5).any()
    with pytest.raises(InputError, match="reff_factor 0: must be positive"):
        galaxy_region(Galaxy("n", 0.0, 0.0, 0.0, 0.0, 1.0), wcs(0.0, 0.0), (5, 5), 0)


@pytest.mark.pure
def test_percentiles():
    values = np.arange(101.0).reshape(1, -1).repeat(3, axis=0)
    values[0, :50] = np.nan
    region = np.zeros(values.shape, bool)
    region[1] = True
    assert dynamic_range(values, region=region) == (15.0, 60.0)
    assert dynamic_range(values[1:], (0, 100)) == (0.0, 100.0)
    for wrong in ((60, 15), (-1, 5), (5, 101), (5, 5)):
        with pytest.raises(InputError, match="percentiles .*: must be two numbers from 0 to 100"):
            dynamic_range(values, wrong)
    with pytest.raises(InputError, match="region: must have the shape of the values"):
        dynamic_range(values, region=region[0])
    for nothing in (np.full((3, 3), np.nan), np.ones((3, 3))):
        with pytest.raises(CompareError, match="no pixel with a value|are the same") as err:
            dynamic_range(nothing)
        assert err.value.code == "no_range"
    with pytest.raises(CompareError, match="no pixel with a value"):
        dynamic_range(values, region=np.zeros(values.shape, bool))
