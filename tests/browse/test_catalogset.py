"""Stored catalogs as a browser hands them out."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.table import QTable

from ezarchive.browse.catalog import Catalog
from ezarchive.browse.catalogset import CatalogSet, stored_catalogs
from ezarchive.catalogs.parquet import write_catalog
from ezarchive.database.queries import CatalogRow
from ezarchive.errors import CatalogError
from ezarchive.frames.record import Frame

pytestmark = pytest.mark.pure

FRAME = Frame(
    frame_id=7, path="/data/a.fits", filter="m600", objname="T00528", exptime=100.0, date_obs="2025-09-01T02:00:00", naxis1=720, naxis2=360,
    pixel_scale=0.5, seeing=9.9,
)  # fmt: skip


def stored(home, path="catalogs/1/a.parquet", rows=3):
    row = CatalogRow(1, 7, 2, "sex", path, rows, "0", 2.5, None, None, (5.0, 7.0, None))
    return Catalog(row=row, frame=FRAME, home=home)


def test_the_table_is_read_when_it_is_asked_for(tmp_path):
    catalog = stored(tmp_path)
    with pytest.raises(CatalogError, match="does not exist"):
        _ = catalog.data
    table = QTable({"NUMBER": np.arange(1, 4, dtype=np.int32), "FLUX_AUTO": np.array([1.0, 2.0, 3.0])})
    write_catalog(catalog.path, table, link={"frame_id": 7, "run_id": 2}, provenance={})
    assert catalog.data["NUMBER"].tolist() == [1, 2, 3]
    assert catalog.data is catalog.data


def test_info_has_the_tutorials_words(tmp_path):
    info = stored(tmp_path).info
    for name in (
        "path", "target_img", "obsdate", "filter", "exptime", "depth", "seeing", "catalog_type", "ra", "dec", "fov_ra", "fov_dec",
        "objname", "observatory", "telname", "aperture_diameter_arcsec",
    ):  # fmt: skip
        assert hasattr(info, name), name
    assert (info.seeing, info.target_img, info.aperture_diameter_arcsec) == (2.5, "/data/a.fits", [5.0, 7.0, None])
    assert "filter:" in repr(info)
    with pytest.raises(AttributeError, match="info has no 'filtre'; it has path"):
        _ = info.filtre


def test_a_set(tmp_path):
    found = CatalogSet([stored(tmp_path), stored(tmp_path, "catalogs/1/b.parquet", 4)])
    assert [len(item) for item in found] == [3, 4]
    assert found[1].path == tmp_path / "catalogs/1/b.parquet"
    assert isinstance(found[:1], CatalogSet)
    assert found.target_catalogs == found.catalogs
    assert found.table()["n_rows"].tolist() == [3, 4]
    assert CatalogSet().table().colnames == found.table().colnames
    assert "b.parquet: 4 sources, sex, run 2" in repr(found)
    assert "&lt;Catalog" in found._repr_html_()


def test_nothing_is_asked_for_no_frames():
    assert stored_catalogs(SimpleNamespace(), []) == []
