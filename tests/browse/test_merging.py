"""The objects of several catalogs as one table."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import QTable

from ezarchive.browse.catalog import Catalog
from ezarchive.browse.catalogset import CatalogSet
from ezarchive.errors import InputError, UnknownNameError
from ezarchive.frames.record import Frame
from ezarchive.plots.common import numbers

pytestmark = pytest.mark.pure


def catalog(number, offsets, mags, **more):
    """Sources at these offsets in declination from (10, 20), arcsec."""
    table = QTable({
        "NUMBER": np.arange(1, len(offsets) + 1, dtype=np.int32),
        "ALPHA_J2000": np.full(len(offsets), 10.0) * u.deg, "DELTA_J2000": (20 + np.asarray(offsets, float) / 3600) * u.deg,
        "MAG_AUTO": np.asarray(mags, float) * u.mag, **more,
    })  # fmt: skip
    return Catalog(table, frame=Frame(frame_id=number, filter="r", path=f"/data/{number}.fits"), method="sex")


@pytest.fixture
def three():
    return CatalogSet([
        catalog(1, [0, 30, 60], [15, 16, 17], FLAGS=np.array([0, 1, 2], np.int16)),
        catalog(2, [60.2, 0.3], [17.1, 15.1]), catalog(3, [], []),
    ])  # fmt: skip


def test_one_row_an_object(three):
    table, info = three.merge_catalogs()
    assert isinstance(table["coord"], SkyCoord)
    np.testing.assert_allclose((table["dec"].value - 20) * 3600, [0.15, 30, 60.1], atol=1e-6)
    assert list(table["n_detections"]) == [2, 1, 2]
    np.testing.assert_array_equal(numbers(table["MAG_AUTO_idx0"]), [15, 16, 17])
    np.testing.assert_array_equal(numbers(table["MAG_AUTO_idx1"]), [15.1, np.nan, 17.1])
    assert table["MAG_AUTO_idx2"].mask.all()
    assert table["MAG_AUTO_idx0"].unit == u.mag
    assert list(table["FLAGS_idx0"]) == [0, 1, 2]
    assert table["FLAGS_idx1"].mask.all()
    assert sorted(info) == [0, 1, 2]
    assert info[1].frame_id == 2


def test_the_order_of_the_catalogs_only_names_the_columns(three):
    table, _ = three.merge_catalogs(data_keys="MAG_AUTO")
    turned, _ = CatalogSet(three.catalogs[::-1]).merge_catalogs(data_keys="MAG_AUTO")
    for name in ("ra", "dec", "n_detections"):
        np.testing.assert_allclose(numbers(turned[name]), numbers(table[name]))
    for number in range(3):
        np.testing.assert_array_equal(numbers(turned[f"MAG_AUTO_idx{2 - number}"]), numbers(table[f"MAG_AUTO_idx{number}"]))


def test_inner_and_selected(three):
    assert len(three.merge_catalogs(join_type="inner")[0]) == 0
    assert len(three[:2].merge_catalogs(join_type="inner")[0]) == 2
    three.select_sources(10.0, 20.0, radius=5)
    table, _ = three.merge_catalogs()
    assert list(table["n_detections"]) == [2]


def test_rows_without_a_position_are_counted():
    table, _ = CatalogSet([catalog(1, [0, np.nan], [15, 16])]).merge_catalogs()
    assert len(table) == 1
    assert table.meta["without_position"] == 1


def test_nothing_to_merge():
    table, info = CatalogSet([]).merge_catalogs()
    assert len(table) == 0
    assert info == {}
    assert len(CatalogSet([catalog(1, [], [])]).merge_catalogs()[0]) == 0


def test_what_is_wrong_is_named(three):
    with pytest.raises(InputError, match="join_type='left': must be one of outer, inner"):
        three.merge_catalogs(join_type="left")
    with pytest.raises(InputError, match="max_distance_arcsec='near': must be a number"):
        three.merge_catalogs("near")
    with pytest.raises(InputError, match="lacks the column 'RA'"):
        three.merge_catalogs(ra_key="RA")
    with pytest.raises(UnknownNameError, match="data_keys 'MAG_AUT': did you mean 'MAG_AUTO'"):
        three.merge_catalogs(data_keys=["MAG_AUT"])
    assert len(three.merge_catalogs(1 * u.arcmin)[0]) == 3  # of one catalog each source is an object of its own
