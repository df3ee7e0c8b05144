from __future__ import annotations

import gzip
import json
import os
import pickle
import warnings
import zlib

import numpy as np
import pytest
from astropy.io import fits

from ezarchive import flags, sky
from ezarchive.config import RootSettings
from ezarchive.errors import FrameError
from ezarchive.frames.cards import Cards
from ezarchive.frames.header import build_frame, data_hash, read_file, read_header, wcs_from_header
from ezarchive.frames.record import Frame

pytestmark = pytest.mark.pure


@pytest.fixture
def plain(tmp_path, image_header, image_data):
    path = tmp_path / "a.fits"
    fits.PrimaryHDU(image_data, image_header).writeto(path)
    return path


def test_one_image(read, plain, image_data):
    (got,) = read(plain)
    frame = got.frame
    assert (frame.root, frame.relpath, frame.path, frame.hdu) == ("r", "a.fits", str(plain), 0)
    assert (frame.naxis1, frame.naxis2, frame.wcs_ok) == (300, 200, True)
    assert (frame.ra, frame.dec) == pytest.approx((150.0, 2.0), abs=1e-4)
    assert frame.pixel_scale == pytest.approx(1.4e-4 * 3600)
    vertices = sky.parse_region(frame.s_region)
    assert got.cells.tolist() == sky.cells_of_polygon(vertices).tolist()
    assert sky.separation(frame.ra, frame.dec, *vertices.T).max() == pytest.approx(frame.radius)
    assert Cards(zlib.decompress(got.cards))["EXPTIME"] == 100.0
    stored = np.fromfile(plain, ">f4", offset=got.data_offset, count=got.data_bytes // 4)
    assert np.array_equal(stored, image_data.ravel())
    assert (got.parent_name, got.parent_hdu, frame.frame_id, frame.data_hash) == (None, None, None, None)


def test_results_travel_between_processes(read, plain):
    (got,) = pickle.loads(pickle.dumps(read(plain)))
    assert isinstance(got.frame, Frame)
    assert got.cells.dtype == np.int64


def test_a_header_without_a_file(image_header):
    image_header["NAXIS1"], image_header["NAXIS2"] = 300, 200
    before = image_header.copy()
    frame = build_frame(image_header)
    assert frame.wcs_ok
    assert frame.exptime == 100.0
    assert frame.header_hash is None
    assert frame.root is None
    assert image_header == before


@pytest.mark.parametrize("suffix", [".fits", ".fit", ".fts", ".fits.gz"])
def test_endings(tmp_path, read, image_header, image_data, suffix):
    path = tmp_path / f"a{suffix}"
    fits.PrimaryHDU(image_data, image_header).writeto(path)
    (got,) = read(path)
    assert (got.data_offset is None) == suffix.endswith("gz")


def test_a_gzipped_twin(read, plain, tmp_path):
    packed = tmp_path / "b.fits.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    (a,), (b,) = read(plain), read(packed)
    assert a.frame.header_hash == b.frame.header_hash
    assert b.frame.data_sample is None
    assert data_hash(plain) == data_hash(packed)
    assert b.parent_name is None
    assert read_header(packed) == read_header(plain)


def test_a_compressed_copy_is_a_frame_with_a_parent(tmp_path, read, plain, image_header, image_data):
    path = tmp_path / "a.fits.fz"
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(image_data, image_header)]).writeto(path)
    (got,), (original,) = read(path), read(plain)
    assert (got.frame.hdu, got.parent_name, got.data_offset, got.data_bytes) == (1, "a.fits", None, None)
    assert got.frame.kind == "science"
    assert got.frame.header_hash == original.frame.header_hash
    assert data_hash(path, 1) != data_hash(plain)
    assert got.frame.s_region == original.frame.s_region
    header = read_header(path, 1)
    assert (header["NAXIS1"], header["BITPIX"], header["XTENSION"]) == (300, -32, "IMAGE")
    assert wcs_from_header(header) is not None


def mef(path, header, data):
    primary = fits.PrimaryHDU()
    primary.header["OBJECT"], primary.header["FILTER"], primary.header["EXPTIME"] = "M 31", "r", 60.0
    hdulist = [primary]
    for version in (1, 2):
        for name in ("SCI", "ERR", "DQ"):
            hdulist.append(fits.ImageHDU(data, header, name=name, ver=version))
    hdulist.append(fits.BinTableHDU.from_columns([fits.Column("x", "E", array=np.zeros(3))], name="CAT"))
    del hdulist[4].header["EXPTIME"]
    fits.HDUList(hdulist).writeto(path)


def test_several_extensions(tmp_path, read, image_header, image_data):
    path = tmp_path / "m.fits"
    mef(path, image_header, image_data)
    got = read(path)
    assert [read.frame.hdu for read in got] == [1, 2, 3, 4, 5, 6]
    assert [read.frame.kind for read in got] == ["science", "errormap", "mask"] * 2
    assert [read.parent_name for read in got] == [None, "m.fits", "m.fits"] * 2
    assert [read.parent_hdu for read in got] == [None, 1, 1, None, 4, 4]
    # Its own card first, then that of the primary header.
    assert [read.frame.exptime for read in got][:4] == [100.0, 100.0, 100.0, 60.0]
    assert {read.frame.objname for read in got} == {"M 31"}
    assert len({read.frame.header_hash for read in got}) == 6
    assert read_header(path, 5)["EXTNAME"] == "ERR"
    assert data_hash(path, 2) == data_hash(path, 1)


def test_extensions_of_a_derived_file_belong_to_its_own_image(tmp_path, read, image_header, image_data):
    path = tmp_path / "sub_m.fits"
    mef(path, image_header, image_data)
    got = read(path)[:2]
    assert [(read.frame.kind, read.parent_name, read.parent_hdu) for read in got] == [
        ("derived", "m.fits", None),
        ("errormap", "sub_m.fits", 1),
    ]


def test_axes_of_length_one(tmp_path, read, image_header, image_data):
    path = tmp_path / "c.fits"
    fits.PrimaryHDU(image_data[None], image_header).writeto(path)
    (got,) = read(path)
    assert (got.frame.naxis1, got.frame.naxis2, got.frame.wcs_ok) == (300, 200, True)


def test_an_error_map_beside_its_image(tmp_path, read, plain, image_header, image_data):
    path = tmp_path / "a.noise.fits"
    fits.PrimaryHDU(image_data, image_header).writeto(path)
    (got,) = read(path)
    assert (got.frame.kind, got.parent_name, got.parent_hdu) == ("errormap", "a.fits", None)


@pytest.mark.parametrize(
    "name",
    [
        b"with space.fits",
        b"new\nline.fits",
        b'quote\'s "x".fits',
        "unicode_é_日本.fits".encode(),
        b"undecodable_\xff\xfe.fits",
        b"-rf.fits",
        b"%s{0}.fits",
    ],
)
def test_file_names(tmp_path, instruments, plain, name):
    relpath = os.fsdecode(b"T\xff 'x'/" + name)
    path = os.fsencode(tmp_path / relpath)
    (tmp_path / relpath).parent.mkdir()
    plain.rename(tmp_path / relpath)
    for form in (path, os.fsdecode(path)):
        (got,) = read_file(
            form, relpath=relpath, root=RootSettings(path=tmp_path, layout="{objname}"), root_name="r", instruments=instruments, sites={}
        )
    assert os.fsencode(got.frame.path) == path
    assert got.frame.relpath == relpath
    assert got.frame.objname == "T\\xff 'x'"
    assert len(read_header(path)) > 5


def fails(read, path, code, message):
    with pytest.raises(FrameError, match=message) as info:
        read(path)
    assert info.value.code == code
    assert str(pickle.loads(pickle.dumps(info.value))) == str(info.value)


@pytest.mark.parametrize(
    ("name", "content", "code", "message"),
    [
        ("empty.fits", b"", "empty", "holds 0 bytes"),
        ("text.fits", b"these are my notes\n" * 300, "not_fits", "begins with b'these are' and must begin with b'SIMPLE  ='"),
        ("short.fits", b"SIM", "truncated", "ends within the header of HDU 0"),
        ("zip.fits.gz", b"\x1f\x8b" + b"\0" * 300, "bad_compression", "the gzipped file is damaged"),
        ("tiny.fits.gz", b"\x1f\x8b\x08", "truncated", "ends before its data do"),
        ("noend.fits", b"SIMPLE  =                    T".ljust(2880), "truncated", "has no END card"),
    ],
)
def test_what_is_no_fits_file(tmp_path, read, name, content, code, message):
    path = tmp_path / name
    path.write_bytes(content)
    fails(read, path, code, message)


@pytest.mark.parametrize("keep", [0.98, 0.5, 0.1])
@pytest.mark.parametrize("packed", [False, True])
def test_truncated(tmp_path, read, plain, image_data, image_header, keep, packed):
    data = image_data + np.random.default_rng(0).normal(size=image_data.shape).astype(np.float32)
    fits.PrimaryHDU(data, image_header).writeto(plain, overwrite=True)
    content = gzip.compress(plain.read_bytes()) if packed else plain.read_bytes()
    path = tmp_path / ("b.fits.gz" if packed else "b.fits")
    path.write_bytes(content[: int(keep * len(content))])
    fails(read, path, "truncated", "ends before its data do" if packed else r"HDU 0 needs 242880 bytes and the file has \d+")


def test_truncated_in_a_later_extension(tmp_path, read, image_header, image_data):
    path = tmp_path / "m.fits"
    mef(path, image_header, image_data)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    fails(read, path, "truncated", r"HDU \d")


CARDS = {"SIMPLE": "T", "BITPIX": "-32", "NAXIS": "2", "NAXIS1": "30", "NAXIS2": "20"}


def structure(**changes):
    cards = {**CARDS, **changes}
    return b"".join(f"{key:<8}= {value:>20}".ljust(80).encode() for key, value in cards.items() if value is not None)


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"NAXIS1": "1000000000"}, "absurd_size", "1000000000 x 20 pixels; no side may exceed 1000000"),
        ({"NAXIS1": "99999999999999999999"}, "absurd_size", "no side may exceed"),
        ({"NAXIS1": "-5"}, "bad_header", "NAXISn is -5 and must not be negative"),
        ({"NAXIS1": "'many'"}, "bad_header", "NAXIS1 is 'many' and must be an integer"),
        ({"NAXIS1": None}, "bad_header", "NAXIS1 is None and must be an integer"),
        ({"NAXIS": None}, "bad_header", "NAXIS is None"),
        ({"NAXIS": "5000"}, "bad_header", "NAXIS is 5000 and must lie in 0 to 999"),
        ({"BITPIX": "7"}, "bad_header", "BITPIX is 7 and must be one of 8, 16"),
        ({"BITPIX": "T"}, "bad_header", "BITPIX is True and must be an integer"),
        ({"NAXIS": "0", "NAXIS1": None, "NAXIS2": None}, "no_image", "no HDU holds a 2-D image: found no data"),
        ({"NAXIS": "1", "NAXIS2": None}, "no_image", "found 30"),
        ({"NAXIS": "3", "NAXIS3": "3"}, "no_image", "found 30 x 20 x 3"),
        ({"NAXIS2": "0"}, "no_image", "found 30 x 0"),
    ],
)
def test_absurd_headers(tmp_path, read, fits_bytes, changes, code, message):
    path = tmp_path / "x.fits"
    path.write_bytes(fits_bytes(structure(**changes), b"\0" * (30 * 20 * 3 * 4)))
    fails(read, path, code, message)


def test_no_data_in_any_extension(tmp_path, read):
    path = tmp_path / "x.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(), fits.ImageHDU(np.zeros(5))]).writeto(path)
    fails(read, path, "no_image", "found no data, no data, 5")


def ordinary(make_cards, changes):
    return structure(NAXIS1="300", NAXIS2="200") + make_cards({"NAXIS": None, "NAXIS1": None, "NAXIS2": None, **changes}).raw


@pytest.mark.parametrize("value", ["NaN", "inf", "-Infinity", "1.0E999"])
def test_coordinates_that_are_not_finite(tmp_path, read, fits_bytes, make_cards, value):
    path = tmp_path / "x.fits"
    path.write_bytes(fits_bytes(ordinary(make_cards, {"CRVAL1": f"= {value}"}), b"\0" * 240_000))
    fails(read, path, "bad_coordinates", "CRVAL1 is -?(nan|inf) and must be finite")


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"CTYPE1": None, "CTYPE2": None, "CRVAL1": None, "CRVAL2": None}, None),
        ({"CD1_1": 1e-4, "CD1_2": 1e-4, "CD2_1": 1e-4, "CD2_2": 1e-4}, "no complete celestial WCS"),
        ({"CRVAL2": 100.0}, ""),
        ({"CD1_1": 1e-14}, "must invert"),
        ({"CD1_1": -5.0, "CD2_2": 5.0}, "pixels must be smaller than 2 degrees, found 5"),
        ({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--XXX"}, "no complete celestial WCS"),
        ({"CTYPE1": "HPLN-TAN", "CTYPE2": "HPLT-TAN"}, "CTYPE must be RA/DEC"),
    ],
)
def test_images_without_a_usable_wcs_are_frames(tmp_path, read, fits_bytes, make_cards, changes, note):
    path = tmp_path / "x.fits"
    path.write_bytes(fits_bytes(ordinary(make_cards, changes), b"\0" * 240_000))
    (got,) = read(path)
    assert not got.frame.wcs_ok
    assert got.frame.quality & flags.value(flags.QUALITY, "NO_WCS")
    assert (got.frame.ra, got.frame.s_region, len(got.cells)) == (None, None, 0)
    assert got.frame.mjd_mid is not None
    assert (note is None) == ("note:wcs_ok" not in got.frame.origin)
    assert (note or "") in got.frame.origin.get("note:wcs_ok", "")


def test_illegal_cards_do_not_fail(tmp_path, read, fits_bytes, make_cards):
    lines = [
        b"OBSERVER= 'Jos\xc3\xa9'",
        b"OBJECT  = 'caf\xe9'",
        b"lower   = 1",
        b"NOSPACE =5",
        b"BROKEN  = 'never closed",
        b"\xff\xfe\x00\x01 = 3",
        b"FILTER  = r band",
        b"TEMP    = NaN",
    ]
    cards = ordinary(make_cards, {}) + b"".join(line.ljust(80) for line in lines)
    path = tmp_path / "x.fits"
    path.write_bytes(fits_bytes(cards, b"\0" * 240_000))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (got,) = read(path)
        header = read_header(path)
    assert got.frame.quality & flags.value(flags.QUALITY, "BAD_CARDS")
    assert got.frame.wcs_ok
    assert (got.frame.objname, got.frame.filter) == ("café", "r band")
    assert header["EXPTIME"] == 100.0


def test_damaged_headers_give_a_frame_or_a_reason(tmp_path, read, fits_bytes, make_cards):
    whole = fits_bytes(ordinary(make_cards, {"EGAIN": 2.0, "OBJECT": "M 31", "SITELONG": "-70 45 00"}), b"\0" * 240_000)
    path = tmp_path / "x.fits"
    rng = np.random.default_rng(4)
    outcomes = set()
    for _ in range(400):
        damaged = bytearray(whole)
        for at in rng.integers(0, 2880, rng.choice([1, 3, 20])):
            damaged[at] = rng.choice([rng.integers(256), *b"0123456789.-ET' "])
        path.write_bytes(damaged)
        try:
            (got,) = read(path)
        except FrameError as err:
            outcomes.add(err.code)
            continue
        outcomes.add("ok")
        values = [value for value in vars(got.frame).values() if isinstance(value, (str, float))]
        assert all(np.isfinite(value) if isinstance(value, float) else "\0" not in value for value in values)
        json.dumps(dict(got.frame.origin)).encode()
    assert {"ok", "bad_header"} <= outcomes


def test_legal_cards_have_no_bit(read, plain):
    assert not read(plain)[0].frame.quality & flags.value(flags.QUALITY, "BAD_CARDS")


def test_bad_cards_of_the_primary_header_count(tmp_path, read, image_header, image_data):
    path = tmp_path / "m.fits"
    mef(path, image_header, image_data)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"OBJECT  = 'M 31    '", b"OBJECT  = 'M\xe931    '", 1))
    got = read(path)
    assert all(read.frame.quality & flags.value(flags.QUALITY, "BAD_CARDS") for read in got)


def test_files_that_cannot_be_opened(tmp_path, read):
    fails(read, tmp_path / "gone.fits", "vanished", "the file has vanished")
    (tmp_path / "folder.fits").mkdir()
    fails(read, tmp_path / "folder.fits", "not_fits", "this is a folder")


def test_no_permission(read, plain, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    # Root ignores file modes, so the refusal is put on.
    monkeypatch.setattr("builtins.open", refuse)
    fails(read, plain, "no_permission", "give this user the permission")


def test_a_disk_that_fails(read, plain, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("ezarchive.frames.hdus.os.pread", fail)
    fails(read, plain, "io_error", "Input/output error")


def test_a_missing_extension(plain):
    with pytest.raises(FrameError, match="the file has no HDU 3"):
        data_hash(plain, 3)
    with pytest.raises(FrameError, match="the file has no HDU 3"):
        read_header(plain, 3)


def test_nothing_is_written(tmp_path, read, plain):
    before = (plain.read_bytes(), plain.stat().st_mtime_ns, sorted(tmp_path.iterdir()))
    read(plain)
    data_hash(plain)
    assert (plain.read_bytes(), plain.stat().st_mtime_ns, sorted(tmp_path.iterdir())) == before
