"""Tables for other programs."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.io.votable import parse_single_table
from astropy.table import MaskedColumn, QTable, Table
from astropy.utils.masked import Masked

from ezarchive.catalogs.export import FORMATS, plain_table, write_table
from ezarchive.errors import InputError

pytestmark = pytest.mark.pure

READERS = {".csv": "ascii.csv", ".vot": "votable", ".xml": "votable", ".parquet": "parquet.votable"}
FACTS = {"frame_id": 7, "filter": "m600", "aperture_diameter_arcsec": [5.0, None, 7.0], "depth": None, "objname": "Ω"}


@pytest.fixture
def table():
    return QTable({
        "NUMBER": np.arange(1, 4, dtype=np.int32),
        "X_IMAGE": np.array([1.5, 2, np.nan]) * u.pix,
        "FLUX_APER_1": Masked(np.array([1.0, 2, 3]), mask=[False, True, False]) * u.ct,
        "NPIX_APER": np.array([78.5, 78.5, 40.25]) * u.pix**2,
        "MU_MAX": np.array([1, 2, 3], np.float32) * u.Unit("mag/arcsec2"),
        "FLUXUJY_AUTO": np.ones(3) * u.uJy,
        "target_id": ["a", "bé,", '"c"'],
        "IMAFLAGS_ISO": MaskedColumn(np.array([1, 2, 3], np.int32), mask=[True, False, False]),
        "separation": np.ones(3) * u.arcmin,
        "good": np.array([True, False, True]),
    })  # fmt: skip


@pytest.mark.oracle
@pytest.mark.parametrize("suffix", sorted(FORMATS))
def test_other_readers_find_values_units_and_gaps(table, tmp_path, suffix):
    path = write_table(table, tmp_path / "deep" / f"a{suffix}", facts=FACTS)
    found = Table.read(path, **({"format": READERS[suffix]} if suffix in READERS else {}))
    assert found.colnames == table.colnames
    assert found["NUMBER"].tolist() == [1, 2, 3]
    expected = {"X_IMAGE": [1.5, 2, None], "FLUX_APER_1": [1, None, 3], "IMAFLAGS_ISO": [None, 2, 3]}
    for name, values in expected.items():
        plain = np.ma.filled(np.ma.asarray(found[name]).astype(float), np.nan)
        np.testing.assert_array_equal(plain, [np.nan if value is None else value for value in values], err_msg=name)
    if suffix != ".csv":
        assert [u.Unit(found[name].unit or "") for name in table.colnames] == [u.Unit(table[name].unit or "") for name in table.colnames]
    texts = [str(text) for text in found["target_id"]]
    assert texts == (["a", "b\\xe9,", '"c"'] if suffix in (".fits", ".fit") else ["a", "bé,", '"c"'])
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_what_the_rows_are_is_kept(table, tmp_path):
    header = fits.getheader(write_table(table, tmp_path / "a.fits", facts=FACTS), 1)
    assert (header["FRAME_ID"], header["FILTER"], header["APERTUR0"], header["APERTUR2"]) == (7, "m600", 5.0, 7.0)
    assert header["OBJNAME"] == "\\u03a9"
    assert header.comments["TTYPE1"] == "running number on this frame, from 1"
    assert Table.read(write_table(table, tmp_path / "a.ecsv", facts=FACTS)).meta["aperture_diameter_arcsec"] == [5.0, None, 7.0]
    votable = parse_single_table(str(write_table(table, tmp_path / "a.vot", facts=FACTS)))
    assert {info.name: info.value for info in votable.infos}["objname"] == "Ω"
    assert votable.get_field_by_id("FLUX_APER_1").ucd == "phot.count"
    assert votable.get_field_by_id("FLUX_APER_1").description == "flux in the aperture"
    assert pq.read_schema(write_table(table, tmp_path / "a.parquet", facts=FACTS)).metadata[b"ezarchive.frame_id"] == b"7"


def test_the_table_given_is_not_changed(table, tmp_path):
    before = table.copy()
    for suffix in FORMATS:
        write_table(table, tmp_path / f"a{suffix}", facts=FACTS)
    assert table.colnames == before.colnames
    assert table.meta == before.meta == {}
    assert all(repr(table[name]) == repr(before[name]) for name in table.colnames)
    plain = plain_table(table)
    plain["NUMBER"][0] = 99
    assert table["NUMBER"][0] == 1


def test_no_rows(table, tmp_path):
    for suffix in FORMATS:
        path = write_table(table[:0], tmp_path / f"a{suffix}")
        assert len(Table.read(path, **({"format": READERS[suffix]} if suffix in READERS else {}))) == 0


def test_the_format_goes_before_the_suffix_and_must_be_known(table, tmp_path):
    assert Table.read(write_table(table, tmp_path / "a.dat", "ECSV"), format="ascii.ecsv").colnames == table.colnames
    with pytest.raises(InputError, match=r"path='.*a.dat': the suffix: must be one of .ecsv, .csv, .fits"):
        write_table(table, tmp_path / "a.dat")
    with pytest.raises(InputError, match="format='hdf5': must be one of ecsv, csv, fits, votable, parquet"):
        write_table(table, tmp_path / "a.csv", "hdf5")
    assert [p.name for p in tmp_path.iterdir()] == ["a.dat"]


def test_facts_that_are_not_finite_have_no_card(table, tmp_path):
    header = fits.getheader(write_table(table, tmp_path / "a.fits", facts={"seeing": np.nan, "depth": 20.5}), 1)
    assert ("SEEING" in header, header["DEPTH"]) == (False, 20.5)
