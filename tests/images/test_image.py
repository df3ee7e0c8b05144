"""`Image`: what is read, when, and how files that cannot be read say so."""

from __future__ import annotations

import gzip
import pickle
import tracemalloc

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

from ezarchive.errors import FrameError, InputError
from ezarchive.frames.record import Frame
from ezarchive.images.image import Image

SHAPE = (60, 80)


def wcs_cards(shape=SHAPE) -> fits.Header:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [150.0, 2.0], [shape[1] / 2, shape[0] / 2]
    wcs.wcs.cdelt = [-0.5 / 3600, 0.5 / 3600]
    return wcs.to_header()


@pytest.fixture
def pixels(rng) -> np.ndarray:
    return rng.normal(100, 5, SHAPE).astype(np.float32)


@pytest.fixture
def path(tmp_path, pixels):
    name = tmp_path / "image.fits"
    fits.writeto(name, pixels, wcs_cards())
    return name


@pytest.mark.pure
class TestReading:
    def test_making_one_reads_nothing(self):
        image = Image("/nowhere/at all.fits")
        assert repr(image) == "Image('/nowhere/at all.fits', hdu=0)"
        assert pickle.loads(pickle.dumps(image)).path == image.path

    def test_pixels_header_wcs(self, path, pixels):
        image = Image(path)
        assert image.shape == SHAPE
        np.testing.assert_array_equal(image.data, pixels)
        assert image.data.dtype == np.float32
        assert image.data.dtype.isnative
        assert image.data is image.data
        assert image.header["CRVAL1"] == 150.0
        assert image.pixel_scale == pytest.approx(0.5, rel=1e-6)
        assert repr(image).endswith("hdu=0, 60 x 80)")

    def test_load_gives_a_copy_of_ones_own(self, path, pixels):
        image = Image(path)
        first = image.load()
        first[:] = 0
        np.testing.assert_array_equal(image.load(), pixels)
        image.data
        second = image.load()
        second[:] = 0
        np.testing.assert_array_equal(image.data, pixels)
        with fits.open(path) as units:
            np.testing.assert_array_equal(units[0].data, pixels)

    @pytest.mark.parametrize(
        ("dtype", "expected"),
        [("i1", "f4"), ("u1", "f4"), ("i2", "f4"), ("u2", "f4"), ("i4", "f8"), ("u4", "f8"), ("i8", "f8"), ("f4", "f4"), ("f8", "f8")],
    )
    def test_every_type_of_pixel(self, tmp_path, dtype, expected):
        info = np.iinfo(dtype) if np.dtype(dtype).kind != "f" else None
        values = np.array([[0, 1, 5], [7, 100, 3]], dtype)
        if info is not None and info.bits < 64:
            values[0, 0], values[1, 2] = info.min, info.max
        fits.writeto(tmp_path / "typed.fits", values)  # unsigned ones with BZERO
        image = Image(tmp_path / "typed.fits")
        assert image.data.dtype == np.dtype(expected)
        np.testing.assert_array_equal(image.data, values.astype(expected))

    def test_scaled_integers_and_blank(self, tmp_path):
        unit = fits.PrimaryHDU(np.array([[0, 1], [2, -32768]], np.int16))
        unit.header["BSCALE"], unit.header["BZERO"], unit.header["BLANK"] = 0.5, 10.0, -32768
        raw = unit.header.tostring().encode() + np.array([[0, 1], [2, -32768]], ">i2").tobytes().ljust(2880, b"\0")
        (tmp_path / "scaled.fits").write_bytes(raw)
        np.testing.assert_array_equal(Image(tmp_path / "scaled.fits").data, [[10.0, 10.5], [11.0, np.nan]])

    def test_gzip_compressed_and_extensions(self, tmp_path, path, pixels):
        packed = tmp_path / "image.fits.gz"
        packed.write_bytes(gzip.compress(path.read_bytes()))
        tiles = tmp_path / "tiles.fits.fz"
        units = [fits.PrimaryHDU(), fits.CompImageHDU(np.rint(pixels).astype(np.int16), wcs_cards()), fits.ImageHDU(pixels * 2)]
        fits.HDUList(units).writeto(tiles)
        np.testing.assert_array_equal(Image(packed).data, pixels)
        np.testing.assert_array_equal(Image(tiles, 1).data, np.rint(pixels))
        np.testing.assert_array_equal(Image(tiles, 2).data, pixels * 2)
        assert Image(tiles, 1).shape == SHAPE
        np.testing.assert_array_equal(Image(tiles, 1).cutout(30, 20, 10).data, np.rint(pixels)[15:25, 25:35])
        np.testing.assert_array_equal(Image(packed).cutout(30, 20, 10).data, pixels[15:25, 25:35])

    def test_cube_of_one_plane(self, tmp_path, pixels):
        fits.writeto(tmp_path / "cube.fits", pixels[None])
        image = Image(tmp_path / "cube.fits")
        assert image.shape == SHAPE
        np.testing.assert_array_equal(image.data, pixels)
        np.testing.assert_array_equal(image.cutout(10, 10, 5).data, pixels[8:13, 8:13])

    def test_illegal_cards_are_no_obstacle(self, tmp_path, path, pixels):
        raw = bytearray(path.read_bytes())
        at = raw.index(b"END     ")
        raw[at : at + 160] = b"bad key\xff= no number".ljust(80) + b"END".ljust(80)
        (tmp_path / "odd.fits").write_bytes(raw)
        np.testing.assert_array_equal(Image(tmp_path / "odd.fits").data, pixels)


@pytest.mark.pure
class TestArrays:
    def test_array_is_taken_as_it_is(self, pixels):
        image = Image(pixels)
        assert image.data is pixels
        assert image.shape == SHAPE
        assert image.path is None
        assert image.wcs is None
        assert image.pixel_scale is None
        assert len(image.header) == 0

    def test_other_types_are_converted(self):
        values = np.arange(12, dtype=">i2").reshape(3, 4)
        assert Image(values).data.dtype == np.dtype(np.float32)
        np.testing.assert_array_equal(Image(values).data, values)

    def test_given_header_is_copied(self, pixels):
        header = wcs_cards()
        image = Image(pixels, header=header)
        header["CRVAL1"] = 10.0
        assert image.header["CRVAL1"] == 150.0
        assert image.wcs.wcs.crval[0] == 150.0

    @pytest.mark.parametrize("source", [np.zeros(3), np.zeros((0, 3)), np.zeros((2, 2, 2))])
    def test_no_image(self, source):
        with pytest.raises(InputError, match="source: must be a path or a 2-D array"):
            Image(source)

    def test_no_numbers(self):
        with pytest.raises(InputError, match="source: must hold real numbers"):
            Image(np.zeros((2, 2), complex))


@pytest.mark.pure
class TestCutout:
    @pytest.mark.parametrize("lazy", [True, False])
    def test_pixels_and_corner(self, path, pixels, lazy):
        image = Image(path)
        if not lazy:
            image.data
        for x, y, size, rows, cols in (
            (30, 20, 5, slice(18, 23), slice(28, 33)),
            (30.4, 19.6, 5, slice(18, 23), slice(28, 33)),
            (30, 20, 4, slice(18, 22), slice(28, 32)),
            (30.5, 20.5, 4, slice(19, 23), slice(29, 33)), (0, 0, 7, slice(0, 4), slice(0, 4)), (79, 59, 7, slice(56, 60), slice(76, 80)),
            (30, 20, (3, 9), slice(19, 22), slice(26, 35)),
        ):  # fmt: skip
            piece = image.cutout(x, y, size)
            np.testing.assert_array_equal(piece.data, pixels[rows, cols])
            assert piece.corner == (cols.start, rows.start)

    def test_wcs_of_the_piece(self, path):
        image = Image(path)
        piece = image.cutout(30, 20, 11)
        x, y = piece.corner
        np.testing.assert_allclose(piece.wcs.all_pix2world(3, 4, 0), image.wcs.all_pix2world(3 + x, 4 + y, 0))

    def test_header_of_the_piece(self, path, tmp_path):
        header = fits.getheader(path)
        header["CRPIX1A"], header["CTYPE1A"], header["CTYPE2A"] = 4.0, "LINEAR", "LINEAR"
        image = Image(path, header=header)
        piece = image.cutout(30, 20, (11, 9))
        x, y = piece.corner
        assert (piece.header["NAXIS1"], piece.header["NAXIS2"]) == (9, 11)
        assert piece.header["CRPIX1"] == image.header["CRPIX1"] - x
        assert (piece.header["CRPIX1A"], piece.header["CRPIX2A"]) == (4.0 - x, -float(y))
        assert (image.header["CRPIX1A"], "CRPIX2A" in image.header) == (4.0, False)
        piece.calculate_bkg(box_size=4, verbose=False)
        written = WCS(fits.getheader(piece.write_map("background", tmp_path / "map.fits")))
        np.testing.assert_allclose(written.all_pix2world(3, 4, 0), image.wcs.all_pix2world(3 + x, 4 + y, 0), rtol=1e-12)

    def test_positions_in_any_form(self, path):
        image = Image(path)
        place = SkyCoord(*image.wcs.all_pix2world(30, 20, 0), unit="deg")
        for x, y in ((place, None), (place.to_string("hmsdms", precision=4), None), (*place.to_string("hmsdms", precision=4).split(),),
                     (place.ra, place.dec), image.wcs.all_pix2world(30, 20, 0)):  # fmt: skip
            assert image.cutout(x, y, 11, unit="coord").corner == (25, 15)
        for x, y, unit, message in (
            ("10:00", "x", "coord", "x, y: 'x' must be degrees or sexagesimal"), (None, None, "coord", "x, y None: must be a"),
            ("3", 4, "pixel", "x='3': must be a number of pixels"),
        ):  # fmt: skip
            with pytest.raises(InputError, match=message):
                image.cutout(x, y, 11, unit=unit)

    def test_positions_on_the_sky(self, path):
        image = Image(path)
        ra, dec = image.wcs.all_pix2world(30, 20, 0)
        assert image.to_pixel(ra, dec) == pytest.approx((30, 20), abs=1e-6)
        assert image.cutout(float(ra), float(dec), 11, unit="coord").corner == (25, 15)

    @pytest.mark.parametrize("size", ["5 arcsec", 5 * u.arcsec, '5"'])
    def test_size_as_an_angle(self, path, size):
        assert Image(path).cutout(30, 20, size).shape in {(10, 10), (11, 11)}

    def test_reads_only_its_rows(self, tmp_path):
        fits.writeto(tmp_path / "large.fits", np.zeros((3000, 2000), np.float32))
        image = Image(tmp_path / "large.fits")
        image.cutout(500, 1000, 30)
        tracemalloc.start()
        image.cutout(1000, 1500, 64)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1_000_000

    def test_does_not_alter_the_image(self, pixels):
        image = Image(pixels.copy())
        image.cutout(30, 20, 5).data[:] = 0
        np.testing.assert_array_equal(image.data, pixels)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [((-10, 20, 5), "must overlap the image"), ((30, 99, 5), "must overlap the image"), ((np.nan, 20, 5), "x, y: must be finite"),
         ((30, 20, None), "size: must be a number of pixels"), ((30, 20, 0), "size: must be a number of pixels"),
         ((30, 20, 2.5), "size: must be a number of pixels"),
         ((30, 20, 5, "sky"), "unit: must be 'pixel' or 'coord', found 'sky'")],
    )  # fmt: skip
    def test_wrong_arguments(self, path, arguments, message):
        with pytest.raises(InputError, match=message):
            Image(path).cutout(*arguments)

    def test_sky_without_wcs(self, pixels):
        with pytest.raises(InputError, match="has no WCS that works"):
            Image(pixels).cutout(150.0, 2.0, 5, unit="coord")
        with pytest.raises(InputError, match="size: must be in pixels"):
            Image(pixels).cutout(30, 20, "5 arcsec")


@pytest.mark.pure
class TestFrame:
    def test_what_the_archive_knows_comes_first(self, path):
        known = {"wcs_ok": True, "pixel_scale": 0.505, "gain": 0.25, "saturation": 6e4, "seeing": 2.5}
        frame = Frame(frame_id=3, path=str(path), naxis1=80, naxis2=60, **known)
        image = Image(path, frame=frame)
        assert (image.gain, image.saturation, image.seeing, image.pixel_scale) == (0.25, 6e4, 2.5, 0.505)
        assert image.info["frame_id"] == 3
        assert "origin" not in image.info
        assert "data" not in image.__dict__

    def test_wcs_that_the_index_refused(self, path):
        assert Image(path, frame=Frame(naxis1=80, naxis2=60, wcs_ok=False)).wcs is None

    def test_wcs_that_does_not_invert(self, pixels):
        header = wcs_cards()
        header["CDELT1"] = 0.0
        assert Image(pixels, header=header).wcs is None

    def test_without_a_frame(self, path):
        image = Image(path)
        assert (image.gain, image.saturation, image.seeing) == (None, None, None)
        assert image.info == {"path": str(path), "hdu": 0, "naxis1": 80, "naxis2": 60}

    def test_pickle_leaves_the_pixels_of_files_behind(self, path, pixels):
        image = Image(path, frame=Frame(frame_id=1, naxis1=80, naxis2=60, wcs_ok=True))
        image.data
        image.wcs
        again = pickle.loads(pickle.dumps(image))
        assert "data" not in again.__dict__
        assert again.frame == image.frame
        np.testing.assert_array_equal(again.data, pixels)
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(Image(pixels))).data, pixels)


@pytest.mark.pure
class TestUnreadable:
    @pytest.mark.parametrize("use", [lambda image: image.data, lambda image: image.shape, lambda image: image.cutout(1, 1, 1)])
    def test_vanished(self, tmp_path, use):
        with pytest.raises(FrameError, match="is not there") as caught:
            use(Image(tmp_path / "gone.fits"))
        assert caught.value.code == "vanished"

    @pytest.mark.parametrize("content", [b"", b"hello, this is text\n" * 500])
    def test_not_fits(self, tmp_path, content):
        (tmp_path / "text.fits").write_bytes(content)
        with pytest.raises(FrameError, match=r"text\.fits"):
            Image(tmp_path / "text.fits").load()

    def test_truncated(self, tmp_path, path):
        (tmp_path / "cut.fits").write_bytes(path.read_bytes()[:8000])
        with pytest.raises(FrameError, match=r"cut\.fits: pixels cannot be read") as caught:
            Image(tmp_path / "cut.fits").load()
        assert caught.value.code == "unreadable"

    def test_hdu_that_is_not_there_or_no_image(self, tmp_path, path):
        with pytest.raises(FrameError, match="has 1 HDUs, found a request for number 4") as caught:
            Image(path, 4).load()
        assert caught.value.code == "no_image"
        table = fits.BinTableHDU.from_columns([fits.Column("a", "D", array=[1.0])])
        fits.HDUList([fits.PrimaryHDU(), table]).writeto(tmp_path / "table.fits")
        for hdu in (0, 1):
            with pytest.raises(FrameError, match="holds no 2-D image") as caught:
                Image(tmp_path / "table.fits", hdu).load()
            assert caught.value.code == "no_image"


class TestCut:
    """Rectangles of every kind of file are those of the whole."""

    @pytest.mark.parametrize("kind", ["plain", "double", "scaled", "unsigned", "gz", "fz", "extension"])
    def test_rectangles(self, tmp_path, rng, kind):
        dtypes = {"double": np.float64, "scaled": np.int16, "unsigned": np.uint16}
        data = rng.uniform(0, 1000, (30, 40)).astype(dtypes.get(kind, np.float32))
        path, hdu = tmp_path / f"a.fits{'.gz' if kind == 'gz' else ''}", 1 if kind in ("fz", "extension") else 0
        unit = fits.PrimaryHDU(data)
        if kind == "scaled":
            unit.header["BSCALE"], unit.header["BZERO"] = 0.5, 3.0
            unit = fits.PrimaryHDU(data, unit.header, do_not_scale_image_data=True)
            unit.header["BSCALE"], unit.header["BZERO"] = 0.5, 3.0
        if hdu:
            extension = fits.CompImageHDU(data) if kind == "fz" else fits.ImageHDU(data)
            fits.HDUList([fits.PrimaryHDU(), extension]).writeto(path)
        else:
            unit.writeto(path)
        image, whole = Image(path, hdu), Image(path, hdu).load()
        pieces = (slice(3, 9), slice(30, 40)), (slice(None), slice(None)), (slice(29, 99), slice(0, 1)), (slice(5, 5), slice(2, 8))
        for rows, cols in pieces:
            found = image.cut(rows, cols)
            np.testing.assert_array_equal(found, whole[rows, cols])
            assert found.dtype == whole.dtype or not found.size
            assert found.dtype.isnative
        assert "data" not in vars(image)
        assert np.array_equal(pickle.loads(pickle.dumps(image)).cut(slice(3, 9), slice(1, 4)), whole[3:9, 1:4])
        assert len(pickle.dumps(image)) < 2000

    def test_of_what_was_read_it_is_a_view(self, tmp_path):
        fits.writeto(tmp_path / "a.fits", np.ones((5, 6), np.float32))
        image = Image(tmp_path / "a.fits")
        assert np.shares_memory(image.data, image.cut(slice(1, 2), slice(None)))

    def test_a_torn_file(self, tmp_path):
        fits.writeto(tmp_path / "a.fits", np.ones((500, 600), np.float32))
        with (tmp_path / "a.fits").open("r+b") as stream:
            stream.truncate(20000)
        with pytest.raises(FrameError, match=r"a\.fits: HDU 0 needs"):
            Image(tmp_path / "a.fits").cut(slice(400, 500), slice(None))
