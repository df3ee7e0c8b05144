"""Maps of pixels, in memory and in files; full maps as FITS."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from astropy.io import fits

from ezarchive.errors import InputError
from ezarchive.images.background import estimate
from ezarchive.images.fitsfile import strips, write_fits
from ezarchive.images.image import Image
from ezarchive.images.pixelmap import PixelMap, nearest_pixels

pytestmark = pytest.mark.pure


@pytest.fixture
def pixels(rng):
    return rng.normal(10, 1, (40, 50)).astype(np.float32)


@pytest.fixture(params=["array", "file"])
def source(request, pixels, tmp_path):
    if request.param == "array":
        return pixels
    fits.writeto(tmp_path / "a.fits", pixels)
    return Image(tmp_path / "a.fits")


def test_asked_like_a_mesh(source, pixels):
    level = PixelMap(source, "background", frame_id=3)
    assert (level.shape, level.frame_id, level.of_frame(4).frame_id) == ((40, 50), 3, 4)
    np.testing.assert_array_equal(level.level(), pixels)
    np.testing.assert_array_equal(level.level((slice(3, 9), slice(40, 50))), pixels[3:9, 40:50])
    np.testing.assert_array_equal(np.asarray(level), pixels)
    assert level.level().dtype == np.float32
    np.testing.assert_array_equal(level.at([[2.4, 49.4]], [[39.4, -0.4]]), [[pixels[39, 2], pixels[0, 49]]])
    assert level.global_level == pytest.approx(np.median(pixels))
    with pytest.raises(InputError, match="map: has kind 'background' and so has no noise"):
        level.rms()
    noise = PixelMap(source, "rms")
    np.testing.assert_array_equal(noise.rms(), pixels)
    np.testing.assert_array_equal(noise.rms_at(2, 3), pixels[3, 2])
    assert noise.global_rms == level.global_level
    if isinstance(source, Image):
        assert "data" not in vars(source)


def test_points_read_only_the_rows_that_hold_them():
    shape, read = (5000, 1000), []

    def rows_of(rows):
        read.append(rows.stop - rows.start)
        return np.add.outer(np.arange(rows.start, rows.stop), np.arange(1000) / 1000.0)

    x, y = np.array([3.0, 999.4, 999.6, 0.0]), np.array([4000.0, 17.0, 3.0, -0.6])
    np.testing.assert_allclose(nearest_pixels(shape, rows_of, x, y), [4000.003, 17.999, np.nan, np.nan])
    assert sum(read) == 2


@pytest.mark.parametrize(("shape", "n"), [((7, 10), 30), ((7, 10), 1), ((3, 5), 1000)])
def test_strips_cover_all_rows(shape, n):
    parts = strips(shape, n)
    assert [row for part in parts for row in range(part.start, part.stop)] == list(range(shape[0]))
    assert all((part.stop - part.start) * shape[1] <= max(n, shape[1]) for part in parts)


def test_as_fits(source, pixels, tmp_path):
    header = fits.Header({"CTYPE1": "RA---TAN", "BSCALE": 2.0, "BZERO": 5.0, "NAXIS3": 3, "EXPTIME": 100.0})
    header.add_history("made")
    kept = header.copy()
    path = PixelMap(source, "rms").to_fits(tmp_path / "out" / "n.fits", header)
    assert header == kept
    with fits.open(path) as units:
        units.verify("exception")
        np.testing.assert_array_equal(units[0].data, pixels)
        assert [units[0].header[name] for name in ("CTYPE1", "EXPTIME")] == ["RA---TAN", 100.0]
        assert str(units[0].header["HISTORY"]) == "made"
        assert "BSCALE" not in units[0].header
    assert path.stat().st_size % 2880 == 0
    assert [item.name for item in path.parent.iterdir()] == ["n.fits"]


def test_cards_that_are_not_standard_become_comments(tmp_path):
    odd = "ESO-LOG 00:00:00> DATE         = '1992-10-26'  / Mon Oct 26, 1992"
    cards = ["SIMPLE  =                    T", "OBJECT  = 'M13     '", odd, "HIERARCH ESO TEL ALT = 12.5", "COMMENT  as it was", "END"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header = fits.Header.fromstring("".join(card.ljust(80) for card in cards))
        header["LONG"] = "x" * 100
    path = write_fits(tmp_path / "a.fits", (2, 3), lambda rows: np.ones((rows.stop - rows.start, 3)), np.float32, header)
    with fits.open(path) as units:
        units.verify("exception")
        found = units[0].header
        assert (found["OBJECT"], found["ESO TEL ALT"], found["LONG"]) == ("M13", 12.5, "x" * 100)
        assert [str(line).strip() for line in found["COMMENT"]] == [odd, "as it was"]
        assert (units[0].data == 1).all()


def test_nothing_half_written(tmp_path):
    def failing(rows):
        if rows.start:
            raise MemoryError
        return np.zeros((rows.stop - rows.start, 2_000_000), np.float32)

    (tmp_path / "a.fits").write_text("before")
    with pytest.raises(MemoryError):
        write_fits(tmp_path / "a.fits", (3, 2_000_000), failing, np.float32)
    assert (tmp_path / "a.fits").read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 1


def test_wrong_arguments():
    with pytest.raises(InputError, match="kind='mask': must be 'background' or 'rms'"):
        PixelMap(np.ones((2, 2)), "mask")
    with pytest.raises(InputError, match="pixels: must be a 2-D array that is not empty"):
        PixelMap(np.ones(2), "rms")
    with pytest.raises(InputError, match="pixels: must hold real numbers, found dtype complex128"):
        PixelMap(np.ones((2, 2), complex), "rms")


def test_a_mesh_as_fits(tmp_path, rng):
    mesh = estimate(rng.normal(100, 3, (70, 90)), None, 16)
    for what in ("level", "rms"):
        path = mesh.to_fits(tmp_path / f"{what}.fits", fits.Header({"OBJECT": "x"}), what=what)
        with fits.open(path) as units:
            np.testing.assert_array_equal(units[0].data, getattr(mesh, what)())
            assert units[0].header["OBJECT"] == "x"
    with pytest.raises(InputError, match="what='noise': must be 'level' or 'rms'"):
        mesh.to_fits(tmp_path / "a.fits", what="noise")
