"""Cubes: planes one at a time, and the wavelengths of their channels."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import NDData, StdDevUncertainty

from ezarchive.compare.cube import FluxCube, flux_cube, is_cube
from ezarchive.errors import FrameError, InputError
from ezarchive.simulate.pairs import tangent_wcs

pytestmark = pytest.mark.pure
SHAPE = (11, 6, 7)
LIGHT = 2.99792458e18
LOGARITHMS = {"CUNIT3": "Angstrom", "CRVAL3": 3.6, "CRPIX3": 1.0, "CDELT3": 1e-4, "DC-FLAG": 1}
LINEAR = {"CTYPE3": "AWAV", "CUNIT3": "Angstrom", "CRVAL3": 4750.0, "CRPIX3": 1.0, "CDELT3": 1.25}


def header(**cards):
    made = tangent_wcs(SHAPE[1:], 0.2, 20.0, (53.16, -27.78)).to_header()
    made.update({"BUNIT": "10**(-20)*erg/s/cm**2/Angstrom"} | (cards or LINEAR))
    return made


def test_limits_through_a_cd_matrix():
    made = header()
    for keyword in ("CDELT1", "CDELT2", "CDELT3", "PC1_1", "PC1_2", "PC2_1", "PC2_2"):
        made.remove(keyword, ignore_missing=True)
    made.update({"CD1_1": -5e-5, "CD2_2": 5e-5, "CD3_3": 1.25, "CD1_3": 0.0, "CD3_1": 0.0})
    np.testing.assert_allclose(FluxCube(SHAPE, made, fits.Header()).edges(u.AA)[[0, -1]], [4749.375, 4763.125])


def voxels():
    data = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    data[3, 2, 1] = np.nan
    return data


def write(path, *, names=("DATA", "STAT", "DQ"), telescope="VLT", dtype=np.float32, **cards):
    quality = np.zeros(SHAPE, np.int32)
    quality[4, 0, 0], quality[4, 0, 1] = 1, 4
    parts = (voxels().astype(dtype), np.full(SHAPE, 9.0, np.float32), quality)
    primary = fits.PrimaryHDU(header=fits.Header({"TELESCOP": telescope}))
    hdus = [fits.ImageHDU(part, header(**cards), name) for part, name in zip(parts, names, strict=True)]
    fits.HDUList([primary, *hdus]).writeto(path)
    return path


def test_planes_of_a_file(tmp_path):
    cube = flux_cube(write(tmp_path / "DATACUBE_udf.fits"))
    assert cube.shape == SHAPE
    assert cube.name == "DATACUBE_udf"
    assert cube.unit == u.Unit("1e-20 erg s-1 cm-2 Angstrom-1")
    planes = list(cube.planes())
    data = voxels()
    np.testing.assert_array_equal([plane.data for plane in planes], data)
    assert {plane.data.dtype for plane in planes} == {np.dtype(float)}
    assert (np.argwhere([plane.mask for plane in planes]) == [[3, 2, 1], [4, 0, 0], [4, 0, 1]]).all()
    assert planes[0].variance.mean() == 9
    np.testing.assert_array_equal(cube.plane(5).data, data[5])
    expected = tangent_wcs(SHAPE[1:], 0.2, 20.0, (53.16, -27.78))
    np.testing.assert_allclose(cube.wcs.wcs_pix2world([[2.5, 2.0]], 0), expected.wcs_pix2world([[2.5, 2.0]], 0))


def test_errors_are_squared_and_jwst_has_harmless_bits(tmp_path):
    cube = flux_cube(write(tmp_path / "c.fits", names=("SCI", "ERR", "DQ"), telescope="JWST"))
    assert cube.plane(0).variance.mean() == 81
    assert cube.plane(4).mask.sum() == 1


def test_scaled_integers_and_a_leading_axis(tmp_path):
    data = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(1, *SHAPE)
    unit = fits.PrimaryHDU(data, header())
    unit.header["BLANK"] = 5
    unit.header["BSCALE"], unit.header["BZERO"] = 0.5, 10.0
    unit.writeto(tmp_path / "c.fits")
    with fits.open(tmp_path / "c.fits", mode="update", do_not_scale_image_data=True) as units:
        units[0].data[:] = data
    cube = flux_cube(tmp_path / "c.fits")
    assert cube.shape == SHAPE
    raw = fits.getdata(tmp_path / "c.fits")[0]
    np.testing.assert_array_equal(cube.plane(3).data, raw[3])
    assert cube.plane(3).variance is None


def test_what_is_a_cube(tmp_path):
    assert is_cube(write(tmp_path / "c.fits"))
    fits.PrimaryHDU(np.zeros((5, 6))).writeto(tmp_path / "i.fits")
    fits.PrimaryHDU(np.zeros((1, 5, 6))).writeto(tmp_path / "one.fits")
    assert not is_cube(tmp_path / "i.fits")
    assert not is_cube(tmp_path / "one.fits")


def test_arrays_and_nddata():
    data, mask = voxels().astype(float), np.zeros(SHAPE, bool)
    mask[0, 0, 0] = True
    cube = flux_cube(NDData(data, uncertainty=StdDevUncertainty(np.full(SHAPE, 2.0)), mask=mask, unit=u.Jy, meta=header()))
    assert cube.unit == u.Jy
    assert cube.plane(0).variance[1, 1] == 4
    assert cube.plane(0).mask.sum() == 1
    assert cube.plane(3).mask[2, 1]
    assert flux_cube(cube) is cube
    np.testing.assert_array_equal(flux_cube(data).plane(2).data, data[2])


@pytest.mark.parametrize(
    ("cards", "first", "last"),
    [
        (LINEAR, 4749.375, 4763.125),
        (LINEAR | {"CDELT3": -1.25}, 4750.625, 4736.875),
        (LINEAR | {"CUNIT3": "nm", "CRVAL3": 475.0, "CDELT3": 0.125}, 4749.375, 4763.125),
        ({"CTYPE3": "WAVE", "CUNIT3": "m", "CRVAL3": 4.75e-7, "CRPIX3": 1.0, "CDELT3": 1.25e-10}, 4749.375, 4763.125),
        ({"CTYPE3": "LINEAR", "CUNIT3": "Angstrom", "CRVAL3": 4750.0, "CRPIX3": 1.0, "CDELT3": 1.25}, 4749.375, 4763.125),
        (
            {"CTYPE3": "WAVE-LOG", "CUNIT3": "Angstrom", "CRVAL3": 4000.0, "CRPIX3": 1.0, "CDELT3": 4.0},
            4000 * np.exp(-0.5e-3),
            4000 * np.exp(10.5e-3),
        ),
        (LOGARITHMS | {"CTYPE3": "LINEAR"}, 10**3.59995, 10**3.60105),
        (LOGARITHMS | {"CTYPE3": "AWAV"}, 10**3.59995, 10**3.60105),
        (LOGARITHMS, 10**3.59995, 10**3.60105),
        (LINEAR | {"DC-FLAG": 0}, 4749.375, 4763.125),
        (LINEAR | {"CTYPE3": "WAVE-LOG", "DC-FLAG": 1}, 4750 * np.exp(-0.625 / 4750), 4750 * np.exp(10.5 * 1.25 / 4750)),
        (
            {"CTYPE3": "FREQ", "CUNIT3": "Hz", "CRVAL3": 6e14, "CRPIX3": 1.0, "CDELT3": 1e12},
            2.99792458e18 / 5.995e14,
            2.99792458e18 / 6.105e14,
        ),
    ],
)
def test_limits_of_channels(cards, first, last):
    edges = FluxCube(SHAPE, header(**cards), fits.Header()).edges(u.AA)
    assert len(edges) == SHAPE[0] + 1
    np.testing.assert_allclose(edges[[0, -1]], [first, last], rtol=1e-9)
    np.testing.assert_allclose(FluxCube(SHAPE, header(**cards), fits.Header()).edges(None)[[0, -1]], [-0.5, 10.5])


@pytest.mark.parametrize(
    ("cards", "message"),
    [
        ({"OBJECT": "x"}, "cube: must have a spectral axis of wavelengths .* found CTYPE3 '' with unit 'none'"),
        ({"CTYPE3": "WAVE-TAB", "CUNIT3": "m", "PS3_0": "WCS-TABLE"}, "cube: CTYPE3 'WAVE-TAB' is a table, which is not read"),
        ({"CTYPE3": "VELO", "CUNIT3": "m/s", "CRVAL3": 0.0, "CRPIX3": 1.0, "CDELT3": 100.0}, "found CTYPE3 'VELO' with unit 'm / s'"),
        (LINEAR | {"CDELT3": 0.0}, "cube: the channels of the third axis must have a width, found CD3_3 or CDELT3 of 0"),
        (LINEAR | {"CUNIT3": "parsnip"}, "cube: the WCS of the third axis cannot be used: .*parsnip"),
    ],
)
def test_cubes_without_wavelengths(cards, message):
    with pytest.raises(InputError, match=message):
        FluxCube(SHAPE, header(**cards), fits.Header()).edges(u.AA)
    assert len(FluxCube(SHAPE, header(**cards), fits.Header()).edges(None)) == 12


@pytest.mark.parametrize("more", [{}, {"PS3_0": "WCS-TABLE", "PS3_1": "WAVE"}])
def test_a_table_of_wavelengths_leaves_the_places_on_the_sky(tmp_path, more):
    sky = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10.0, "CRVAL2": 20.0, "CDELT1": -1e-4, "CDELT2": 1e-4}
    fits.PrimaryHDU(np.ones(SHAPE, np.float32), header(**sky, CTYPE3="WAVE-TAB", CUNIT3="Angstrom", **more)).writeto(tmp_path / "t.fits")
    cube = flux_cube(tmp_path / "t.fits")
    np.testing.assert_allclose(cube.wcs.wcs.crval, [10, 20])
    with pytest.raises(InputError, match="t: CTYPE3 'WAVE-TAB' is a table, which is not read; give channel numbers"):
        cube.edges(u.AA)


def test_files_that_are_no_cubes(tmp_path):
    fits.PrimaryHDU(np.zeros((5, 6))).writeto(tmp_path / "i.fits")
    (tmp_path / "text.fits").write_text("no FITS")
    with pytest.raises(FrameError, match=r"i.fits: must hold a cube of three axes, found none in its 1 HDUs"):
        flux_cube(tmp_path / "i.fits")
    with pytest.raises(FrameError, match="cannot be read as FITS"):
        flux_cube(tmp_path / "text.fits")
    with pytest.raises(FrameError, match="is not there"):
        flux_cube(tmp_path / "no.fits")
    with pytest.raises(InputError, match="cube: must be a path, a FluxCube, an NDData or an array of three axes, found int"):
        flux_cube(4)
    with pytest.raises(InputError, match="muse: must have three axes"):
        flux_cube(np.zeros((3, 4)), "muse")
    write(tmp_path / "c.fits")
    with fits.open(tmp_path / "c.fits", mode="update") as units:
        units[2] = fits.ImageHDU(np.zeros((11, 6, 8), np.float32), name="STAT")
    with pytest.raises(FrameError, match=r"c.fits.STAT.: must have the shape of the data"):
        flux_cube(tmp_path / "c.fits")


def test_a_file_that_was_cut_off(tmp_path):
    path = write(tmp_path / "c.fits", dtype=np.float64)
    path.write_bytes(path.read_bytes()[: 2880 * 3])
    with pytest.raises(FrameError, match="cannot be read as FITS"):
        list(flux_cube(path).planes())
