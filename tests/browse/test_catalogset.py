"""A set of catalogs: order, selection, tables."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from astropy import units as u
from astropy.table import QTable

from ezarchive.browse.catalog import Catalog
from ezarchive.browse.catalogset import CatalogSet, newest_catalogs, stored_catalogs
from ezarchive.catalogs.parquet import write_catalog
from ezarchive.database.queries import CatalogRow
from ezarchive.errors import CatalogError, InputError, UnknownNameError
from ezarchive.frames.record import Frame
from ezarchive.times import parse_time

pytestmark = pytest.mark.pure

FRAME = Frame(
    frame_id=7, path="/data/a.fits", filter="m600", objname="T00528", exptime=100.0, date_obs="2025-09-01T02:00:00", naxis1=720, naxis2=360,
    pixel_scale=0.5, seeing=9.9,
)  # fmt: skip


def stored(home, path="catalogs/1/a.parquet", rows=3):
    row = CatalogRow(1, 7, 2, "sex", path, rows, "0", 2.5, None, None, (5.0, 7.0, None))
    return Catalog(row=row, frame=FRAME, home=home)


def night(i, **changes):
    """Return the catalog of one night: two sources, the second of which moves away."""
    start = parse_time("day", f"2025-09-{1 + i:02d}")
    values = {
        "frame_id": i, "path": f"/data/{i}.fits", "filter": ("m600", "m625")[i % 2], "telname": f"7DT0{1 + i % 3}", "objname": "T00528",
        "observatory": "7DT", "exptime": 100.0, "date_obs": f"2025-09-{1 + i:02d}T00:00:00", "mjd_start": start, "mjd_mid": start,
    } | changes  # fmt: skip
    table = QTable({
        "NUMBER": np.array([1, 2], np.int32), "ALPHA_J2000": [10.0, 10.0] * u.deg, "DELTA_J2000": [20.0, 20 + i / 3600] * u.deg,
    })  # fmt: skip
    return Catalog(table, frame=Frame(**values), method="sex", seeing=2.0 + i / 10 if i else None, depth=18.0 + i / 10)


@pytest.fixture
def nights():
    return CatalogSet([night(i) for i in range(6)])


def ids(found):
    return [item.frame_id for item in found]


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


def test_select_and_exclude_work_in_place_and_return_the_selection(nights):
    chosen = nights.select_catalogs(filter="m600")
    assert ids(chosen) == ids(nights) == [0, 2, 4]
    assert len(nights.catalogs) == 6
    assert repr(nights).startswith("<CatalogSet: 3 of 6 catalogs>")
    assert ids(nights.exclude_catalogs(telname="7DT03")) == [0, 4]
    assert ids(nights.select_catalogs(telname=["7DT01", "7DT03"], seeing=2.4)) == [2, 3]
    assert ids(nights.select_catalogs(depth=18.3)) == [4, 5]
    assert ids(nights.select_catalogs(obs_start="20250902", obs_end="20250904")) == [1, 2, 3]
    assert ids(chosen.select_catalogs(objname="T0*", exptime=100)) == [0, 2, 4]
    assert ids(nights.clear()) == list(range(6))
    assert ids(nights.exclude_catalogs(seeing=99)) == [0]


def test_the_conditions_are_those_of_frames(nights, tmp_path):
    with pytest.raises(UnknownNameError, match="argument 'seing': did you mean 'seeing'"):
        nights.select_catalogs(seing=3)
    with pytest.raises(InputError, match="seeing='3': must be a number"):
        nights.exclude_catalogs(seeing="3")
    files = CatalogSet([stored(tmp_path), stored(tmp_path, "catalogs/2/b.parquet")])
    assert [item.path.name for item in files.select_catalogs(file_key="*2/b*")] == ["b.parquet"]


def test_rows_near_a_place_in_every_catalog(nights):
    nights.select_catalogs(filter="m600")
    found = nights.select_sources(10.0, 20.0, radius=2.5)
    assert [len(item) for item in found] == [2, 2, 1]
    assert [len(item.target_data) for item in nights] == [2, 2, 1]
    nearest = nights.select_sources("10 20.001", radius="10 arcsec", nearest=True)
    assert [item.data["NUMBER"].tolist() for item in nearest] == [[1], [2], [2]]
    assert [len(item) for item in nights.select_sources(11.0, 20.0)] == [0, 0, 0]
    assert nights.clear()[0].nselected == 2


def test_catalogs_are_added_once(nights, tmp_path):
    nights.select_catalogs(filter="m600")
    extra = night(9)
    assert nights.add_catalogs(extra) is nights
    nights.add_catalogs([extra, night(10), tmp_path / "c.parquet", str(tmp_path / "c.parquet")])
    assert len(nights.catalogs) == 9
    assert [item.frame_id for item in nights[:5]] == [0, 2, 4, 9, 10]
    assert nights[5].path == tmp_path / "c.parquet"


def test_tables_follow_the_selection(nights):
    df = nights.select_catalogs(filter="m625").df
    assert list(df.columns[:6]) == ["catalog", "path", "filter", "exptime", "obsdate", "observatory"]
    assert df["frame_id"].tolist() == [1, 3, 5] == nights.table()["frame_id"].tolist()
    assert df["catalog"].tolist() == nights.target_catalogs
    assert df["nsources"].tolist() == [2, 2, 2]
    assert df["seeing"].tolist() == pytest.approx([2.1, 2.3, 2.5])
    assert nights.target_df.equals(df)
    assert np.isnan(CatalogSet([night(0)]).df["seeing"][0])
    assert CatalogSet().df.empty


def test_indexing(nights):
    assert ids(nights[nights.df.seeing < 2.25]) == [1, 2]
    assert ids(nights[[5, 0]]) == [5, 0]
    assert nights[-1].frame_id == 5
    assert len(nights[[]]) == 0
    with pytest.raises(InputError, match="or 6 truth values"):
        nights[[True]]


def test_it_travels_and_helps(nights, capsys):
    nights.select_catalogs(filter="m600")
    assert ids(pickle.loads(pickle.dumps(nights))) == [0, 2, 4]
    nights.help()
    assert ".select_catalogs(file_key=None, filter=None" in capsys.readouterr().out


def test_nothing_is_asked_for_no_frames():
    assert stored_catalogs(SimpleNamespace(), []) == []
    assert newest_catalogs(None, [FRAME]) == [None]


def test_the_catalog_of_a_frame_is_that_of_its_detections(monkeypatch, tmp_path):
    from ezarchive.browse import catalogset

    methods = [(7, 1, "sex"), (7, 2, "photutils"), (7, 3, "circular"), (8, 4, "circular"), (8, 5, "elliptical")]
    items = [
        Catalog(
            row=CatalogRow(run, frame_id, run, method, f"{run}.parquet", 1, "0", None, None, None, ()), frame=Frame(frame_id=frame_id),
            home=tmp_path, catalog_type="forced" if method in catalogset.FORCED_METHODS else "all",
        )
        for frame_id, run, method in methods
    ]  # fmt: skip
    monkeypatch.setattr(catalogset, "stored_catalogs", lambda handle, frames: items)
    found = newest_catalogs(object(), [Frame(frame_id=8), Frame(frame_id=7), Frame(frame_id=9)])
    assert [item and item.run_id for item in found] == [5, 2, None]


@pytest.mark.pure
def test_what_is_no_catalog_is_told():
    with pytest.raises(InputError, match="catalogs: must be a catalog, a path or a sequence of them, found int"):
        CatalogSet(3)
