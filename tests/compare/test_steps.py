"""From files to files: references on other grids, and wide-band images of cubes."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from ezarchive.compare import flux_image, image_grids_aligned
from ezarchive.compare.steps import _image_name, read_curve, regrid_files, wideband_files
from ezarchive.errors import FrameError, InputError
from ezarchive.simulate.cubes import image_cube
from ezarchive.simulate.pairs import fine_reference, image_pair


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A pair, and its sky at .06 arcsec per pixel in electrons per second: ``fine.fits``."""
    folder = tmp_path_factory.mktemp("steps")
    pair = image_pair(shape=(60, 70), seed=4, n_discs=8, n_stars=2)
    pair.write(folder)
    data, wcs = fine_reference(pair, (420, 420), 0.06, noise=0.001)
    header = wcs.to_header()
    header["FILTER"], header["TELESCOP"], header["BUNIT"] = "F606W", "HST", "electron/s"
    fits.PrimaryHDU(data.astype(np.float32), header).writeto(folder / "fine.fits")
    return folder


@pytest.mark.truth
def test_a_reference_on_the_grid_of_an_image(made, tmp_path):
    (path,) = regrid_files(made / "image.fits", [made / "fine.fits"], outdir=tmp_path)
    assert path == tmp_path / "hst_F606W_for_image.fits"
    found, wanted = flux_image(path), flux_image(made / "reference.fits")
    assert image_grids_aligned(found, wanted)
    assert found.unit == wanted.unit
    inner = np.s_[20:40, 20:50]
    assert abs(found.data - wanted.data)[inner].max() < 0.02 * wanted.data[inner].max() + 2


@pytest.mark.pure
def test_names(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (path,) = regrid_files(made / "image.fits", [made / "fine.fits"], field="udf04", rescale=False)
    assert str(path) == "hst_F606W_for_udf04.fits"
    assert flux_image(path).unit.to_string() == "electron / s"
    copy = tmp_path / "nircam.fits"
    with fits.open(made / "fine.fits") as units:
        header = units[0].header
        header["TELESCOP"], header["FILTER"], header["BUNIT"] = "JWST", "F200W", "10**(-20)*erg/s/cm**2/Angstrom"
        units.writeto(copy)
    for rescale in (False, True):
        (path,) = regrid_files(made / "image.fits", [copy], rescale=rescale)
        assert str(path) == "jwst_F200W_for_image.fits"


@pytest.mark.pure
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hst": ["fine.fits", "fine.fits"]}, "hst_F606W_for_image.fits: would be made of .* and of .*; another field"),
        ({"field": "a/b"}, "field 'a/b': must be a name without folders"),
        ({"outdir": "nowhere"}, "outdir 'nowhere': must be a folder that can be written"),
    ],
)
def test_what_cannot_be_regridded(made, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    references = [made / name for name in options.pop("hst", ["fine.fits"])]
    with pytest.raises(InputError, match=message):
        list(regrid_files(made / "image.fits", references, **options))
    assert not list(tmp_path.iterdir())


@pytest.mark.pure
def test_a_reference_that_is_not_there(made, tmp_path):
    with pytest.raises(FrameError, match="none.fits: is not there"):
        list(regrid_files(made / "image.fits", [made / "fine.fits", made / "none.fits"], outdir=tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def cube(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cube")
    made = image_cube(n_planes=12, shape=(20, 24), n_discs=2, n_stars=1)
    made.write(folder / "DATACUBE_a.fits")
    return made, folder / "DATACUBE_a.fits"


@pytest.mark.truth
def test_a_wide_band(cube, tmp_path):
    made, path = cube
    curve = tmp_path / "F606W.acs.txt"
    low, high = made.edges.min(), made.edges.max()
    curve.write_text(f"# wavelength sensitivity\n{low + 1e-6:.6f} 0.4\n{high - 1e-6:.6f}, 0.4\n")
    (written,) = wideband_files(curve, [path], outdir=tmp_path)
    assert written == tmp_path / "F606W_IMAGE_a.fits"
    widths = abs(np.diff(made.edges, axis=1)[:, 0])
    wanted = np.tensordot(widths / widths.sum(), made.data, axes=1)
    np.testing.assert_allclose(flux_image(written).data, wanted, rtol=1e-4, atol=1e-3)


@pytest.mark.pure
@pytest.mark.parametrize(
    ("cube", "image"),
    [
        ("DATACUBE_UDF-10.fits", "IMAGE_UDF-10.fits"),
        ("datacube_cube.fits", "image_cube.fits"),
        ("my_Cube.fits.gz", "my_image.fits"),
        ("field.fits", "field.fits"),
    ],
)
def test_names_of_wide_band_images(tmp_path, cube, image):
    assert _image_name(tmp_path / cube) == image


@pytest.mark.pure
def test_wide_band_images_of_one_name(cube, tmp_path):
    curve = tmp_path / "a.txt"
    curve.write_text("5000 1\n6000 1\n")
    with pytest.raises(InputError, match="a_IMAGE_a.fits: would be made of"):
        list(wideband_files(curve, [cube[1], cube[1]], outdir=tmp_path))
    with pytest.raises(InputError, match="prefix 'x/y': must be a name without folders"):
        list(wideband_files(curve, [cube[1]], prefix="x/y", outdir=tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.pure
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("5000 1\nhigh 2\n", "line 2: 'high 2' must be a wavelength and a sensitivity"),
        ("5000\n", "line 1: '5000' must be a wavelength and a sensitivity"),
        ("5000 1\n5000 1\n", r"curve .*curve\.txt: wavelengths: must rise, found repeated ones: 5000, then 5000"),
        ("6000 1\n5000 1\n", r"curve .*curve\.txt: wavelengths: must rise, found falling ones: 6000, then 5000"),
        ("5000 1\nnan 1\n", r"curve .*curve\.txt: wavelengths: must be one list of finite numbers"),
        ("5000 0\n6000 0\n", r"curve .*curve\.txt: sensitivities: must have a positive integral, found 0"),
        ("5000 1\n", r"curve .*curve\.txt: wavelengths, sensitivities: must have as many values, two or more, found 1 and 1"),
        ("# nothing\n\n", "must hold lines of wavelength and sensitivity, found none"),
        (None, "must be a text file of wavelengths and sensitivities"),
    ],
)
def test_curves_that_cannot_be_read(tmp_path, text, message):
    path = tmp_path / "curve.txt"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_curve(path)


@pytest.mark.pure
def test_a_curve_with_commas_and_comments(tmp_path):
    path = tmp_path / "curve.csv"
    path.write_text("# A, fraction\n4000, 0.1  # first\n5000 0.2 0.9\n")
    wavelengths, sensitivities = read_curve(path)
    assert (wavelengths.tolist(), sensitivities.tolist()) == ([4000.0, 5000.0], [0.1, 0.2])
