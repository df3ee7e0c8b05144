from __future__ import annotations

import gzip
import hashlib

import numpy as np
import pytest
from astropy.io import fits

from ezarchive.errors import FrameError
from ezarchive.frames import hdus
from ezarchive.frames.cards import Cards

pytestmark = pytest.mark.pure


def scan(path):
    with hdus.open_fits(path) as opened:
        return list(hdus.scan(opened))


def hashes(path):
    with hdus.open_fits(path) as opened:
        found = list(hdus.scan(opened))
        return [
            (hdus.header_hash(hdu, found[0]), hdus.data_sample(opened, hdu), hdus.data_digest(opened, hdu)) for hdu in found if hdu.is_frame
        ]


@pytest.fixture
def plain(tmp_path, image_header, image_data):
    path = tmp_path / "a.fits"
    fits.PrimaryHDU(image_data, image_header).writeto(path)
    return path


def test_offsets_agree_with_astropy(tmp_path, image_header, image_data):
    path = tmp_path / "m.fits"
    table = fits.BinTableHDU.from_columns([fits.Column("x", "PJ()", array=np.array([[1, 2], [3]], dtype=object))])
    image = fits.ImageHDU(image_data.astype(np.int16), image_header, name="SCI")
    fits.HDUList([fits.PrimaryHDU(), table, image, fits.ImageHDU(np.zeros(7)), fits.ImageHDU(np.zeros((1, 4, 5)))]).writeto(path)
    found = scan(path)
    with fits.open(path) as wanted:
        assert [hdu.data_offset for hdu in found] == [hdu._data_offset for hdu in wanted]
        assert [-(-hdu.data_bytes // 2880) * 2880 for hdu in found] == [hdu._data_size for hdu in wanted]
    assert [hdu.is_frame for hdu in found] == [False, False, True, False, True]
    assert found[2].shape == (300, 200)
    assert found[2].bitpix == 16


@pytest.mark.parametrize("level", [1, 9])
def test_a_gzipped_file_is_the_plain_one(tmp_path, plain, level):
    packed = tmp_path / "a.fits.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes(), level))
    (a,), (b,) = hashes(plain), hashes(packed)
    assert a[0] == b[0]
    assert a[2] == b[2]
    assert a[1] is not None
    assert b[1] is None
    assert scan(packed)[0].raw == scan(plain)[0].raw


def test_several_images_in_a_gzipped_file(tmp_path, image_data):
    path = tmp_path / "m.fits.gz"
    hdulist = fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(image_data), fits.ImageHDU(image_data + 1)])
    hdulist.writeto(path)
    hdulist.writeto(tmp_path / "m.fits")
    assert [h[2] for h in hashes(path)] == [h[2] for h in hashes(tmp_path / "m.fits")]
    assert [hdu.index for hdu in scan(path)] == [0, 1, 2]


def test_a_whole_gzipped_image_is_not_decompressed(tmp_path, plain, monkeypatch):
    packed = tmp_path / "a.fits.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    monkeypatch.setattr(hdus, "_skip", lambda *args: pytest.fail("read to the end"))
    assert len(scan(packed)) == 1


@pytest.mark.parametrize("quantize", [None, "lossless"])
def test_a_tile_compressed_file(tmp_path, plain, image_data, image_header, quantize):
    path = tmp_path / "a.fits.fz"
    data = image_data if quantize is None else image_data.astype(np.int16)
    fits.PrimaryHDU(data, image_header).writeto(plain, overwrite=True)
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(data, image_header, compression_type="RICE_1")]).writeto(path)
    (hdu,) = (hdu for hdu in scan(path) if hdu.is_frame)
    assert hdu.index == 1
    assert hdu.compressed
    assert hdu.shape == (300, 200)
    assert hdu.bitpix == (-32 if quantize is None else 16)
    cards = Cards(hdu.raw)
    assert cards["NAXIS1"] == 300
    assert cards["DATE-OBS"] == "2025-09-01T02:00:00"
    assert not any(keyword.startswith(("Z", "TFORM", "TTYPE")) for keyword in cards)
    assert "EXTNAME" not in cards
    (a,), (b,) = hashes(plain), hashes(path)
    assert a[0] == b[0]
    assert a[2] != b[2]
    assert b[1] is None


def test_zero_points_are_no_compression(make_cards):
    hdu = hdus.HDU(0, make_cards({"ZP": 25.0}).raw, -32, (300, 200), True, False, 2880, 240_000)
    other = hdu._replace(raw=make_cards({"ZP": 25.1}).raw)
    assert hdus.header_hash(hdu) != hdus.header_hash(other)


def test_what_the_header_hash_leaves_out(tmp_path, plain):
    before = hashes(plain)[0][0]
    with fits.open(plain, mode="update") as opened:
        header = opened[0].header
        header["DATE"] = "2030-01-01"
        header["HISTORY"] = "copied"
        header["COMMENT"] = "by hand"
        opened[0].add_checksum()
    assert hashes(plain)[0][0] == before
    with fits.open(plain, mode="update") as opened:
        opened[0].header["OBJECT"] = "M 31"
    assert hashes(plain)[0][0] != before


def test_an_extension_is_known_by_its_primary_header_too(tmp_path, image_data):
    for index in (1, 2):
        primary = fits.PrimaryHDU()
        primary.header["EXPNUM"] = index
        fits.HDUList([primary, fits.ImageHDU(image_data)]).writeto(tmp_path / f"{index}.fits")
    assert hashes(tmp_path / "1.fits")[0][0] != hashes(tmp_path / "2.fits")[0][0]


def test_sample_sees_both_ends(tmp_path, plain, image_data, image_header):
    samples = {hashes(plain)[0][1]}
    for index in (0, -1):
        data = image_data.copy()
        data.flat[index] += 1
        fits.PrimaryHDU(data, image_header).writeto(plain, overwrite=True)
        samples.add(hashes(plain)[0][1])
    assert len(samples) == 3
    assert all(len(sample) == 32 for sample in samples)


def test_sample_of_a_tiny_image(tmp_path):
    path = tmp_path / "t.fits"
    fits.PrimaryHDU(np.zeros((2, 2), np.float32)).writeto(path)
    assert len(hashes(path)[0][1]) == 32


def test_digest_is_that_of_the_data_unit(plain, image_data):
    assert hashes(plain)[0][2] == hashlib.sha256(image_data.astype(">f4").tobytes()).hexdigest()


def test_what_follows_the_last_hdu_does_not_matter(tmp_path, plain):
    path = tmp_path / "more.fits"
    path.write_bytes(plain.read_bytes() + b"\0" * 2880 + b"something else")
    assert len(scan(path)) == 1


def test_missing_padding_does_not_matter(tmp_path, plain):
    path = tmp_path / "short.fits"
    hdu = scan(plain)[0]
    path.write_bytes(plain.read_bytes()[: hdu.data_offset + hdu.data_bytes])
    assert hashes(path) == hashes(plain)
    path.write_bytes(plain.read_bytes()[: hdu.data_offset + hdu.data_bytes - 1])
    with pytest.raises(FrameError, match="HDU 0 needs 242880 bytes and the file has 242879") as info:
        scan(path)
    assert info.value.code == "truncated"


def test_long_headers(tmp_path, image_data):
    path = tmp_path / "long.fits"
    header = fits.Header()
    for index in range(2000):
        header[f"K{index}"] = index
    header["COMMENT"] = "the word END     is no end"
    fits.PrimaryHDU(image_data, header).writeto(path)
    hdu = scan(path)[0]
    assert Cards(hdu.raw)["K1999"] == 1999
    assert hdu.data_offset % 2880 == 0


def test_random_groups_are_no_image(tmp_path, fits_bytes):
    path = tmp_path / "g.fits"
    names = {
        "SIMPLE": "T",
        "BITPIX": "-32",
        "NAXIS": "3",
        "NAXIS1": "0",
        "NAXIS2": "4",
        "NAXIS3": "2",
        "GROUPS": "T",
        "PCOUNT": "3",
        "GCOUNT": "5",
    }
    cards = b"".join(f"{key:<8}= {value:>20}".ljust(80).encode() for key, value in names.items())
    path.write_bytes(fits_bytes(cards, b"\0" * (4 * 5 * (3 + 8))))
    (hdu,) = scan(path)
    assert not hdu.is_frame
    assert hdu.data_bytes == 220
