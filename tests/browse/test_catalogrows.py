"""Rows, facts and selection of a catalog."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import QTable
from astropy.utils.masked import Masked

from ezarchive.browse.archive_image import ArchiveImage
from ezarchive.browse.catalog import Catalog
from ezarchive.catalogs.parquet import write_catalog
from ezarchive.errors import CatalogError, InputError
from ezarchive.images.compact import Mask
from ezarchive.images.image import Image


@pytest.fixture
def grid():
    """Nine sources, 10 pixels and 5 arcsec apart; the last has no position on the sky."""
    x, y = (values.ravel().astype(float) for values in np.meshgrid([10, 20, 30], [10, 20, 30]))
    dec = Masked(y / 10 * 5 / 3600, mask=np.arange(9) == 8) * u.deg
    return Catalog(QTable({
        "NUMBER": np.arange(1, 10, dtype=np.int32), "X_IMAGE": x * u.pix, "Y_IMAGE": y * u.pix,
        "ALPHA_J2000": (x / 10 * 5 / 3600) * u.deg, "DELTA_J2000": dec,
    }))  # fmt: skip


def numbers_of(catalog):
    return catalog.data["NUMBER"].tolist()


@pytest.mark.pure
def test_all_within_the_radius_or_the_nearest(grid):
    five = 5 / 3600
    found = grid.select_sources(2 * five, 2 * five, matching_radius=5.1)
    assert (numbers_of(found)[0], sorted(numbers_of(found))) == (5, [2, 4, 5, 6, 8])
    np.testing.assert_allclose(found.data["separation"].to_value("arcsec"), [0, 5, 5, 5, 5], atol=1e-6)
    assert found.data["separation"].unit == u.arcsec
    assert grid.nselected == len(grid.target_data) == 5
    assert (grid.nsources, len(grid)) == (9, 9)
    several = grid.select_sources([five, 99, 2 * five], [five, 0, 2 * five], matching_radius="5.1 arcsec", nearest=True)
    assert numbers_of(several) == [1, 5]
    assert several.data["input_index"].tolist() == [0, 2]
    assert numbers_of(grid.select_sources(12, 11, unit="pixel", matching_radius=9 * u.pix)) == [1, 2]
    assert grid.target_data["separation"].unit == u.pix
    assert numbers_of(grid.select_sources([10, 12], [10, 10], unit="pixel", matching_radius=3)) == [1, 1]
    # The last one has no position on the sky, but one on the pixels.
    assert len(grid.select_sources(3 * five, 3 * five, matching_radius=1)) == 0
    assert numbers_of(grid.select_sources(30, 30, unit="pixel")) == [9]
    assert grid.clear().nselected == 9
    assert "separation" not in grid.data.colnames


@pytest.mark.pure
def test_places_in_every_form(grid):
    five = 5 / 3600
    forms = [
        (SkyCoord(five, five, unit="deg"), None), (SkyCoord([five], [five], unit="deg").galactic, None),
        ("00:00:00.3333 +00:00:05", None), (["00:00:00.3333 +00:00:05"], None), (five * u.deg, 5 * u.arcsec), ([five], np.array([five])),
    ]  # fmt: skip
    for x, y in forms:
        assert numbers_of(grid.select_sources(x, y, matching_radius=0.1)) == [1], (x, y)


@pytest.mark.pure
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": 1, "y": 2, "unit": "sky"}, "unit='sky': must be 'coord' or 'pixel'"),
        ({"x": 1}, "y: must be given with x=1"),
        ({"x": SkyCoord(1, 2, unit="deg"), "y": 2}, "y must be left out when x is a SkyCoord"),
        ({"x": "here", "y": "there"}, "x, y"),
        ({"x": [1, None], "y": [2, 3]}, "x, y: must be (numbers|finite)"),
        ({"x": 1, "y": 2, "matching_radius": -1}, "matching_radius=-1.0: must be positive"),
        ({"x": 1, "y": 2, "matching_radius": 5 * u.pix}, "matching_radius=5.0 pix: must be in arcsec"),
        ({"x": 1, "y": 2, "matching_radius": None}, "matching_radius=None: must be a number or an angle"),
        ({"x": np.nan, "y": 2}, "x, y: must be finite"),
    ],
)
def test_wrong_places(grid, arguments, message):
    with pytest.raises(InputError, match=message):
        grid.select_sources(**arguments)
    assert grid.nselected == 9


@pytest.mark.pure
@pytest.mark.parametrize("kind", ["bool", "bits", "int"])
def test_a_mask_takes_rows_out_of_the_selection(grid, kind):
    mask = np.zeros((25, 31), bool)
    mask[10, 20] = True
    before = mask.copy()
    given = {"bool": mask, "bits": Mask.of(mask), "int": mask.astype(np.int16)}[kind]
    assert numbers_of(grid.apply_mask(given)) == [1, 3, 4, 5, 6]  # 7, 8 and 9 lie above the mask
    grid.select_sources(10, 20, unit="pixel", matching_radius=10)
    assert sorted(numbers_of(grid.apply_mask(given))) == [1, 4, 5]
    assert (mask == before).all()
    assert grid.nsources == 9
    with pytest.raises(InputError, match=r"mask: must be a 2-D array of bool \(True is bad\), found float64"):
        grid.apply_mask(np.zeros((3, 3)))


@pytest.mark.pure
def test_rows_columns_and_copies(grid):
    assert grid["NUMBER"].tolist() == grid.data["NUMBER"].tolist()
    assert numbers_of(grid[2:4]) == [3, 4]
    assert numbers_of(grid[grid["X_IMAGE"] > 25 * u.pix]) == [3, 6, 9]
    assert numbers_of(grid[-1]) == [9]
    other = grid.copy()
    other.data["NUMBER"][0] = 77
    assert grid.data["NUMBER"][0] == 1
    with pytest.raises(InputError, match=r"index 99: must be a column, or rows among the 9"):
        grid[99]
    with pytest.raises(InputError, match="data: lacks the column 'ALPHA_J2000'; it holds NUMBER"):
        Catalog(QTable({"NUMBER": [1]})).select_sources(1, 2)


@pytest.mark.pure
def test_what_no_catalog_can_be_made_of():
    with pytest.raises(InputError, match="data, path: a table or a file must be given"):
        Catalog()
    with pytest.raises(InputError, match="data: must be a table or the path of a catalog, found list"):
        Catalog([1, 2])
    with pytest.raises(InputError, match="catalog_type='some': must be one of all, reference"):
        Catalog("a.parquet", catalog_type="some")


@pytest.fixture
def stored(tmp_path):
    path = tmp_path / "catalogs" / "a.parquet"
    table = QTable({"NUMBER": np.arange(1, 4, dtype=np.int32), "FLUX_AUTO": np.array([1.0, 2.0, 3.0]) * u.ct})
    link = {"frame_id": 7, "run_id": 2, "filter": "m600", "exptime": 100.0}
    write_catalog(path, table, link=link, provenance={"apertures": [5.0, None], "seeing": 2.5, "method": "sex"})
    return path


@pytest.mark.pure
def test_a_file_tells_what_it_is_without_its_rows(stored):
    catalog = Catalog(stored)
    assert (len(catalog), catalog.run_id, catalog.frame_id, catalog.apertures) == (3, 2, 7, (5.0, None))
    assert (catalog.info.seeing, catalog.info.method, catalog.info.aperture_diameter_arcsec) == (2.5, "sex", [5.0, None])
    assert catalog._data is None
    assert catalog.data["FLUX_AUTO"].unit == u.ct
    assert catalog.is_saved
    assert catalog.savepath == stored
    assert catalog.clear()._data is None
    assert repr(Catalog(stored)) == "<Catalog a.parquet: 3 sources>"
    again = pickle.loads(pickle.dumps(catalog))
    assert again.data["NUMBER"].tolist() == [1, 2, 3]
    assert again.copy().run_id == 2
    assert catalog[:1].info == catalog.info


@pytest.mark.pure
def test_a_file_that_was_deleted_behind_our_back(stored):
    catalog = Catalog(stored, method="sex")
    stored.unlink()
    assert not catalog.is_saved
    assert repr(catalog) == "<Catalog a.parquet: no file, sex>"
    with pytest.raises(CatalogError, match=r"a\.parquet: does not exist"):
        _ = catalog.data
    with pytest.raises(CatalogError, match="does not exist"):
        len(catalog)


@pytest.mark.pure
def test_info_in_memory_is_that_of_the_frame(catalog, frame):
    info = catalog.info
    assert (info.target_img, info.filter, info.telname, info.frame_id, info.seeing) == (frame.path, "m600", "7DT01", 7, 2.5)
    assert (info.path, info.catalog_type, info.ra, info.obsdate) == (None, "all", 326.25, "2025-09-01T02:00:00")
    assert not catalog.is_saved
    assert catalog.savepath is None
    assert "of calib_7DT01_T00528_20250901_020000_m600_100.fits" in repr(catalog)
    chosen = catalog.select_sources(10, 10, unit="pixel", matching_radius=60)
    assert chosen.info == info
    assert f"{chosen.nsources} selected" in repr(catalog)
    assert f"{chosen.nsources} sources, sex" in repr(chosen)
    assert "<table" in catalog._repr_html_()


@pytest.mark.pure
def test_it_travels_without_its_image(measured, frame):
    image = ArchiveImage(frame)
    image.sourcemask = Mask.of(np.random.default_rng(1).random((2000, 2000)) > 0.5)
    catalog = Catalog(measured, frame=frame, image=image, method="sex")
    packed = pickle.dumps(catalog)
    assert len(packed) < 100_000
    again = pickle.loads(packed)
    assert again.image.path == image.path
    assert catalog.image is image
    alone = pickle.loads(pickle.dumps(Catalog(measured, image=Image(np.zeros((5, 6), np.float32)))))
    assert alone.image.shape == (5, 6)


@pytest.mark.pure
def test_help(catalog, capsys):
    catalog.help()
    out = capsys.readouterr().out
    assert ".select_sources(x, y=None, unit='coord', matching_radius=5, *, nearest=False)" in out
    assert ".to_region(" in out


@pytest.mark.pure
def test_the_zero_point_of_the_header_calibrates_its_aperture_alone(measured, frame):
    from dataclasses import replace

    known = replace(frame, zero_point=25.0, zero_point_err=0.02, zero_point_aperture=5.0, zero_point_system="AB")
    catalog = Catalog(measured, frame=known, apertures=(5.0, 7.0, 10.0))
    added = [name for name in catalog.data.colnames if name not in measured.colnames]
    assert "MAGSKY_APER" in added
    assert not any(name.endswith(("AUTO", "APER_1", "APER_2")) for name in added)
    np.testing.assert_allclose(catalog["MAGSKY_APER"].value - 25.0, catalog["MAG_APER"].value, rtol=1e-12)
    assert "MAGSKY_APER" not in measured.colnames
    assert catalog.data is catalog.data
    assert catalog[:3].data.colnames == catalog.data.colnames


@pytest.mark.pure
def test_the_archives_zero_points_come_first(measured, frame, monkeypatch):
    from contextlib import nullcontext

    from ezarchive.browse import catalogrows
    from ezarchive.magnitudes import ZeroPoint

    asked = []

    def of_frames(conn, ids, *, method):
        asked.append((ids, method))
        return {7: [ZeroPoint("AUTO", None, 24.0, 0.01, "AB", 0.0)]}

    monkeypatch.setattr(catalogrows.zeropoints, "of_frames", of_frames)
    handle = SimpleNamespace(database=SimpleNamespace(connect=lambda: nullcontext()), home=None)
    catalog = Catalog(measured, frame=frame, handle=handle, method="sex")
    np.testing.assert_allclose(catalog["MAGSKY_AUTO"].value - 24.0, catalog["MAG_AUTO"].value, rtol=1e-12)
    assert asked == [([7], "sex")]


@pytest.mark.pure
def test_positions_in_another_unit_are_told(grid):
    with pytest.raises(InputError, match="x, y: must be in deg, found <Quantity 1. m>"):
        grid.select_sources(1 * u.m, 1 * u.m)
    with pytest.raises(InputError, match="x, y: must be in pix, found"):
        grid.select_sources(1 * u.deg, 1 * u.deg, unit="pixel")
