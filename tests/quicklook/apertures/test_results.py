"""Results: rows are never lost, keep their units, and come back from every kind of file."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.nddata import NDData
from astropy.table import QTable, Table
from astropy.wcs import WCS

from ezarchive.errors import FrameError, InputError
from ezarchive.quicklook import PhotometryResults, aperture_photometry, read_results
from ezarchive.quicklook.apertures.results import FORMATS
from ezarchive.quicklook.regions.shapes import Circle

pytestmark = pytest.mark.pure
ONES = np.ones((30, 40))
CIRCLE = Circle(20, 15, 5)


def tan():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = ["RA---TAN", "DEC--TAN"], [10, -20], [20, 15], [-1e-4, 1e-4]
    return wcs


@pytest.fixture
def mixed():
    """With and without WCS, of several units, one that failed, one off the image; a label beyond ASCII."""
    results = PhotometryResults(aperture_photometry(ONES, CIRCLE, wcs=tan(), unit="MJy/sr", flux_scaling=0.003631, label='α, "β"'))
    results.append(aperture_photometry(ONES, CIRCLE))
    results.append(aperture_photometry([NDData(2 * ONES, unit="DN/s"), "gone.fits"], [CIRCLE, Circle(-99, 0, 2)], counts_factor=1e-20))
    results.append(aperture_photometry(ONES, CIRCLE, unit="ct"))
    return results


def test_rows_without_wcs_do_not_displace_those_with(mixed):
    assert len(mixed) == 7
    table = mixed.to_table()
    assert table["id"].tolist() == list(range(1, 8))
    assert np.isfinite(table["sky_center"].ra.deg).tolist() == [True] + [False] * 6
    assert table["unit"].tolist() == ["MJy / sr", "", "DN / s", "DN / s", "", "", "ct"]
    assert table["sum_unit"][0] == "MJy"
    assert not isinstance(table["sum"], u.Quantity)
    assert table["xcenter"].unit == u.pix


def test_units_in_common_are_kept():
    results = PhotometryResults(aperture_photometry(ONES, CIRCLE, unit="Jy"))
    results.append(aperture_photometry(ONES, CIRCLE, unit="mJy"))
    assert results.to_table()["sum"].unit == u.Jy
    np.testing.assert_allclose(results.to_table()["sum"].value, 25 * np.pi * np.array([1, 0.001]))
    # The rows themselves stay in their own units.
    assert [row["unit"] for row in results] == ["Jy", "mJy"]
    assert [row["sum"] for row in results] == pytest.approx([25 * np.pi] * 2)


def test_what_is_no_table_changes_nothing(mixed):
    for wrong in (QTable({"a": [1]}), [1, 2], None):
        with pytest.raises(InputError, match="results: must be a table of aperture_photometry"):
            mixed.append(wrong)
    assert len(mixed) == 7


def test_tables_come_back_as_they_went_in(mixed):
    again = PhotometryResults(mixed.to_table())
    for name, wanted in mixed.flat().items():
        np.testing.assert_array_equal(again.flat()[name], wanted, err_msg=name)
    again.append(mixed)
    assert [row["id"] for row in again] == list(range(1, 15))


def test_quantities_that_a_user_has_converted_come_back():
    table = aperture_photometry(ONES, CIRCLE, unit="Jy")
    table["sum"], table["mean"] = table["sum"].to("mJy"), table["mean"].to("mJy")
    (row,) = PhotometryResults(table)
    assert (row["sum"], row["sum_unit"], row["mean"]) == (pytest.approx(25 * np.pi), "Jy", pytest.approx(1))
    table["mean"] = [1.0] * u.m
    with pytest.raises(InputError, match="the unit m of mean conflicts with the unit Jy"):
        PhotometryResults(table)


def test_legacy_tables_are_taken():
    table = aperture_photometry(ONES, CIRCLE, unit="MJy/sr", pixel_area=1.0, columns="legacy")
    (row,) = PhotometryResults(table)
    assert (row["unit"], row["sum_unit"]) == ("MJy / sr", "MJy")
    assert row["sum_aper_area"] == pytest.approx(25 * np.pi)
    assert row["std"] == 0
    assert row["n_bad"] == 0
    assert len(row["calculation"]) == 36
    assert row["row"] == 1


@pytest.mark.parametrize("suffix", FORMATS)
def test_files(mixed, tmp_path, suffix):
    path = mixed.write(tmp_path / f"out{suffix}")
    again = read_results(path)
    assert len(again) == 7
    for name, wanted in mixed.flat().items():
        found = again.flat()[name]
        if suffix.startswith(".fit") and name == "data_label":
            assert found[0] == r'\u03b1, "\u03b2"'
            continue
        assert found.dtype == wanted.dtype, name
        np.testing.assert_array_equal(found, wanted, err_msg=f"{name} of {suffix}")
    with pytest.raises(InputError, match="exists already; overwrite=True replaces it"):
        mixed.write(path)
    mixed.write(path, overwrite=True)


@pytest.mark.parametrize("suffix", [".ecsv", ".fits", ".vot", ".parquet"])
def test_units_stand_in_the_file(tmp_path, suffix):
    results = PhotometryResults(aperture_photometry(ONES, CIRCLE, unit="MJy/sr", pixel_area=1.0, wcs=tan()))
    path = results.write(tmp_path / f"out{suffix}")
    if suffix == ".parquet":
        field = pq.read_schema(path).field("sum")
        assert field.metadata[b"unit"] == b"MJy"
        return
    table = Table.read(path)
    assert [table[name].unit for name in ("sum", "mean", "xcenter", "ra_center")] == [u.MJy, u.MJy / u.sr, u.pix, u.deg]


def test_json_is_strict_and_says_what_columns_are(mixed, tmp_path):
    def no_nan(text):
        raise AssertionError(text)

    made = json.loads(mixed.write(tmp_path / "out.json").read_text(), parse_constant=no_nan)
    assert made["columns"]["xcenter"]["unit"] == "pix"
    assert made["columns"]["sum"]["description"].startswith("sum of the pixels")
    assert made["rows"][1]["ra_center"] is None
    assert made == mixed.to_dict()


def test_nothing_at_all(tmp_path):
    empty = PhotometryResults()
    assert len(empty) == len(empty.to_table()) == 0
    assert list(empty) == []
    for suffix in (".ecsv", ".fits", ".parquet", ".json", ".csv"):
        assert len(read_results(empty.write(tmp_path / f"none{suffix}"))) == 0
    assert repr(empty) == "PhotometryResults(0 rows)"


def test_what_is_refused(mixed, tmp_path):
    with pytest.raises(InputError, match=r"out.txt: its suffix must be one of .ecsv, .csv"):
        mixed.write(tmp_path / "out.txt")
    with pytest.raises(InputError, match="its folder must exist"):
        mixed.write(tmp_path / "no" / "out.csv")
    with pytest.raises(InputError, match="its suffix must be one of"):
        read_results(tmp_path / "out.dat")
    with pytest.raises(FrameError, match="is not there"):
        read_results(tmp_path / "gone.ecsv")
    for name, text in (("a.json", "{"), ("a.csv", "x,y\n1,2\n"), ("a.parquet", "no"), ("b.json", '{"rows": 3}'), ("a.ecsv", "no")):
        (tmp_path / name).write_text(text)
        with pytest.raises(FrameError, match="must be results of aperture photometry"):
            read_results(tmp_path / name)
    fits.PrimaryHDU().writeto(tmp_path / "a.fits")
    with pytest.raises(FrameError, match="must be results of aperture photometry"):
        read_results(tmp_path / "a.fits")


def test_what_is_here_cannot_be_changed_from_outside(mixed):
    table = mixed.to_table()
    table["sum"][:] = -1
    mixed.flat()["sum"][:] = -1
    assert mixed.flat()["sum"][0] > 0
