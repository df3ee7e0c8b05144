"""Pixels for figures, and where figures go."""

from __future__ import annotations

import gzip
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits

from ezarchive import config
from ezarchive.browse.pictures import averaged_pixels, outside_roots, wcs_for
from ezarchive.errors import InputError
from ezarchive.images.image import Image


@pytest.mark.pure
@pytest.mark.parametrize("form", ["array", "plain", "scaled", "gz", "fz"])
def test_every_kind_of_file_is_averaged_as_its_pixels_are(tmp_path, form):
    data = np.random.default_rng(1).integers(0, 60000, (301, 403)).astype(np.uint16)
    path = tmp_path / "a.fits"
    if form == "fz":
        fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(data)]).writeto(path)
    else:
        fits.PrimaryHDU(data if form == "scaled" else data.astype(np.float32)).writeto(path)
    if form == "gz":
        packed = tmp_path / "a.fits.gz"
        packed.write_bytes(gzip.compress(path.read_bytes()))
        path = packed
    image = Image(data.astype(np.float32)) if form == "array" else Image(path, 1 if form == "fz" else 0)
    found = averaged_pixels(image, 4)
    expected = [[data[j : j + 4, i : i + 4].mean() for i in range(0, 403, 4)] for j in range(0, 301, 4)]
    np.testing.assert_allclose(found.values, expected, rtol=1e-6)
    assert "data" in vars(image) or form != "array"
    assert "data" not in vars(image) or form == "array"


@pytest.mark.pure
def test_a_large_file_is_never_whole_in_memory(tmp_path):
    path = tmp_path / "big.fits"
    header = fits.PrimaryHDU(np.zeros((1, 1), np.float32)).header
    header["NAXIS1"], header["NAXIS2"] = 8000, 4000
    with path.open("wb") as stream:  # a sparse file: zeros that take no room
        stream.write(header.tostring().encode())
        stream.truncate(-(-(len(header.tostring()) + 8000 * 4000 * 4) // 2880) * 2880)
    averaged_pixels(Image(path), 4000)
    tracemalloc.start()
    found = averaged_pixels(Image(path), 8)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.values.shape == (500, 1000)
    assert peak < 0.45 * 8000 * 4000 * 4


@pytest.mark.pure
def test_figures_keep_out_of_data_roots(tmp_path):
    handle = SimpleNamespace(settings=config.Settings(roots={"scidata": {"path": tmp_path / "sci"}}))
    assert outside_roots(tmp_path / "a.png", handle) == tmp_path / "a.png"
    assert outside_roots(str(tmp_path / "sci" / "a.png"), None) == tmp_path / "sci" / "a.png"
    with pytest.raises(InputError, match="folder=.*must not lie in data root 'scidata'"):
        outside_roots(tmp_path / "x" / ".." / "sci" / "a.png", handle, "folder")


@pytest.mark.pure
def test_axes_on_the_sky_need_a_wcs():
    image = Image(np.zeros((5, 5), np.float32))
    assert wcs_for(image, "pixel") is None
    with pytest.raises(InputError, match="coord_type='coord': the image has no WCS that works"):
        wcs_for(image, "coord")
    with pytest.raises(InputError, match="coord_type='sky': must be 'pixel' or 'coord'"):
        wcs_for(image, "sky")
