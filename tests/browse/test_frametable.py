"""Frames as tables."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u

from ezarchive import columns
from ezarchive.browse.frametable import TUTORIAL_COLUMNS, dataframe, frame_table, shown
from ezarchive.frames.record import Frame

pytestmark = pytest.mark.pure

FULL = Frame(
    frame_id=7, path="/data/a.fits", root="scidata", filter="m600", exptime=100.0, date_obs="2025-09-01T02:00:00", naxis1=720, naxis2=360,
    pixel_scale=0.5, seeing=2.5, depth=18.25, ra=325.0, dec=-77.0, wcs_ok=True, ncombine=3, gain=0.25, ccd_temp=-10.0,
)  # fmt: skip
BARE = Frame(frame_id=8, path="/data/b.fits")


def test_dataframe_begins_with_the_tutorials_columns():
    df = dataframe([FULL, BARE], ["image 7", "image 8"])
    assert tuple(df.columns[:14]) == TUTORIAL_COLUMNS
    assert {column.name for column in (*columns.FRAME, *columns.NAMES)} - {"date_obs"} <= set(df.columns)
    assert df["image"].tolist() == ["image 7", "image 8"]
    first = df.iloc[0]
    assert (first["obsdate"], first["exptime"], first["fov_ra"], first["fov_dec"]) == ("2025-09-01T02:00:00", 100.0, 0.1, 0.05)
    assert df["seeing"].isna().tolist() == [False, True]
    assert df["ncombine"].tolist()[0] == 3
    assert df["wcs_ok"].dtype == bool
    assert df["frame_id"].dtype == np.int64


def test_dataframe_does_not_take_images_apart():
    class Boxy:
        shape = (2, 2)

        def __len__(self):
            return 2

        def __array__(self, dtype=None, copy=None):
            raise AssertionError("pixels were read")

    images = [Boxy(), Boxy()]
    assert dataframe([FULL, BARE], images)["image"].tolist() == images


def test_table_has_units_and_masks_what_is_missing():
    table = frame_table([FULL, BARE])
    assert table["seeing"][0] == 2.5 * u.arcsec
    assert table["gain"].unit == u.Unit("electron/count")
    assert table["depth"].mask.tolist() == [False, True]
    assert table["filter"].mask.tolist() == [False, True]
    assert table["naxis1"].tolist() == [720, 0]
    assert table["ra"].info.description == columns.lookup("ra").description
    for column in columns.FRAME:
        if column.unit and column.dtype.startswith("float"):
            assert table[column.name].unit == u.Unit(column.unit), column.name


def test_empty_tables_keep_their_columns():
    assert frame_table([]).colnames == frame_table([FULL]).colnames
    assert list(dataframe([], []).columns) == list(dataframe([FULL], [None]).columns)


def test_shown():
    assert [shown(value) for value in (None, 2.50, "m600", 3)] == ["-", "2.5", "m600", "3"]
