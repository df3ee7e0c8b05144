"""Records become rows and come back."""

from __future__ import annotations

import dataclasses
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ezarchive import columns
from ezarchive.database import rows
from ezarchive.database.rows import Labels, as_path, as_text, clean_float, clean_int, clean_text, frame_row
from ezarchive.frames.record import Frame

pytestmark = pytest.mark.pure

FULL = Frame(
    observatory="7DT", telkey="7DT_C361K_HIGH_1x1", telname="7DT02", objname="T00528", filter="m600", kind="reference", object_raw="T 528",
    night="2025-09-01", date_obs="2025-09-02T01:02:03.456", mjd_start=60920.1, mjd_mid=60920.2, mjd_end=60920.3, exptime=100.5, ncombine=3,
    naxis1=9576, naxis2=6388, binning="1x1", wcs_ok=True, ra=325.0, dec=-77.0, radius=0.8, s_region=None, pixel_scale=0.505, gain=0.25,
    read_noise=3.5, saturation=60000.0, bunit="ADU", seeing=2.5, depth=18.5, depth_aperture=5.0, zero_point=22.1, zero_point_err=0.01,
    zero_point_aperture=5.0, zero_point_system="AB", sky=210.5, sky_sigma=9.5, airmass=1.2, altitude=56.0, azimuth=180.0, ccd_temp=-10.0,
    quality=17, header_hash="ab" * 16, data_sample="cd" * 16, data_hash="ef" * 32, origin={"seeing": "header:SEEING", "note:filter": "è"},
)  # fmt: skip


def test_full_record_names_every_column():
    assert {column.name for column in columns.FRAME if getattr(FULL, column.name) is None} == {"s_region"}


def test_a_full_record_survives(world):
    (frame_id,) = world.add(FULL, names=["a/b.fits"])
    (found,) = world.search()
    wanted = dataclasses.replace(FULL, frame_id=frame_id, root="scidata", relpath="a/b.fits", path="/data/sci/a/b.fits", hdu=0, origin={})
    assert dataclasses.asdict(found) == dataclasses.asdict(wanted)
    assert [type(value) for value in vars(found).values()] == [type(getattr(wanted, name)) for name in vars(found)]


def test_an_empty_record_survives(world):
    world.add(Frame())
    (found,) = world.search()
    fields = dataclasses.asdict(found)
    assert {name: fields.pop(name) for name in ("frame_id", "root", "relpath", "path")}["root"] == "scidata"
    assert fields == {name: value for name, value in dataclasses.asdict(Frame()).items() if name in fields}


def test_a_found_record_behaves_as_one_that_was_made(world):
    world.add(FULL)
    (found,) = world.search()
    assert pickle.loads(pickle.dumps(found)) == found
    assert found.fov == FULL.fov
    assert dataclasses.replace(found, filter="r").filter == "r"
    assert hash(found) == hash(found.frame_id)
    with pytest.raises(dataclasses.FrozenInstanceError, match="filter"):
        found.filter = "r"


def test_not_a_number_becomes_null(world):
    floats = {column.name: bad for column in columns.FRAME if column.dtype == "float64" for bad in (math.nan,)}
    floats |= {"seeing": math.inf, "depth": -math.inf, "ra": np.float32("nan")}
    world.add(Frame(**floats))
    (row,) = world.rows(f"SELECT {', '.join(floats)} FROM frame")
    assert row == (None,) * len(floats)


def test_numpy_values_are_stored_as_numbers(world):
    world.add(Frame(naxis1=np.int64(7), naxis2=np.int32(8), exptime=np.float32(2.5), wcs_ok=np.bool_(True), quality=np.int16(3)))
    (found,) = world.search()
    assert (found.naxis1, found.naxis2, found.exptime, found.wcs_ok, found.quality) == (7, 8, 2.5, True, 3)


def test_numbers_too_large_for_their_column_become_null(world):
    world.add(Frame(ncombine=10**12))
    assert world.search()[0].ncombine is None


@pytest.mark.parametrize("text", ["a\0b", "caf\udce9", "\udcff\0", "naïve ✓", "quote ' \" ; -- \\", "a\nb\tc"])
def test_any_text_can_be_stored_and_found(world, text):
    world.add(Frame(objname=text, filter=text, object_raw=text, bunit=text))
    (found,) = world.search(names={"filter": (clean_text(text),)})
    assert found.bunit == found.filter == found.objname == found.object_raw == clean_text(text)


@given(st.text(st.characters(codec=None, exclude_categories=()), min_size=1))
def test_clean_text_is_utf8_without_nul_and_stays_clean(text):
    cleaned = clean_text(text)
    cleaned.encode("utf-8")
    assert "\0" not in cleaned
    assert clean_text(cleaned) == cleaned


@given(st.binary().filter(lambda path: b"\0" not in path))
def test_paths_survive_as_text(path):
    assert as_path(as_text(path)) == path


@given(st.floats())
def test_clean_float_keeps_finite_numbers_only(number):
    assert clean_float(number) == (number if math.isfinite(number) else None)


def test_cleaners_keep_none():
    assert clean_float(None) is clean_int(None) is clean_text(None) is clean_text("") is as_text(None) is None
    assert clean_int(math.nan) is None


def test_row_has_every_column_of_a_frame():
    row = frame_row(FULL, {"site_id": 1})
    assert {column.name for column in columns.FRAME} < set(row)
    assert row["origin"] == '{"note:filter": "\\u00e8", "seeing": "header:SEEING"}'
    assert frame_row(Frame(), {})["origin"] is None


def test_a_root_may_end_in_a_slash():
    labels = Labels({name: {} for name in rows.DIMENSIONS}, {1: ("data", "/")})
    row = (*(None for _ in rows.STORED), None, None, None, None, None, 1, b"a.fits", 2)
    (frame,) = labels.frames([row])
    assert (frame.path, frame.hdu) == ("/a.fits", 2)
