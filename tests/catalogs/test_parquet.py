"""Catalogs as files: what is written is what is read, by every reader."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import astropy.units as u
import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from astropy.table import Column, MaskedColumn, QTable, Table
from astropy.utils.masked import Masked
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ezarchive.catalogs.parquet import FORMAT_VERSION, column_names, read_catalog, read_columns, read_provenance, write_catalog
from ezarchive.columns import CATALOG_LINK, SOURCE, aperture, lookup
from ezarchive.errors import CatalogError, InputError
from ezarchive.flags import FLAG_VERSION

LINK = {"frame_id": 42, "run_id": 7, "telname": "7DT01", "filter": "m600", "mjd_mid": 60900.25, "exptime": 100.0}
PROVENANCE = {"recipe": {"method": "sex", "detection_sigma": 5}, "header_hash": "ab" * 16, "apertures": [5.0, 7.0, None]}
EVERY = (*SOURCE, *aperture(0), *aperture(1), *aperture(10))


def full_table(n: int = 50, seed: int = 1) -> QTable:
    """A table with every column, in the types that `columns` asks for."""
    rng = np.random.default_rng(seed)
    table = QTable()
    for column in EVERY:
        values = (rng.normal(size=n) * 50).astype(column.dtype)
        if column.name == "NUMBER":
            values = np.arange(1, n + 1, dtype=np.int32)
        table[column.name] = values if column.unit is None else u.Quantity(values, column.unit, dtype=values.dtype)
    return table


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalogs" / "1" / "x.42.parquet"


def sorted_like_a_catalog(table: Table) -> np.ndarray:
    return np.lexsort((table["NUMBER"], table["_healpix_29"]))


@pytest.mark.parametrize("column", (*CATALOG_LINK, *EVERY), ids=lambda column: column.name)
def test_every_column_keeps_type_unit_and_values(path: Path, column: Any) -> None:
    table = full_table()
    write_catalog(path, table, link=LINK, provenance=PROVENANCE)
    found = read_catalog(path)[column.name]
    assert found.dtype.kind == "U" if column.dtype == "str" else found.dtype == np.dtype(column.dtype)
    assert (getattr(found, "unit", None) or None) == (None if column.unit is None else u.Unit(column.unit))
    assert found.info.description == column.description
    assert found.info.meta == {"ucd": column.ucd}
    if column.name in LINK:
        assert set(np.asarray(found)) == {LINK[column.name]}
    else:
        np.testing.assert_array_equal(np.asarray(found), np.asarray(table[column.name])[sorted_like_a_catalog(table)])


def test_the_order_of_columns_and_rows(path: Path) -> None:
    table = full_table()[["FLUX_APER", "NUMBER", "_healpix_29"]]
    table["_healpix_29"] = np.array([3, 1, 1, 2, 5] * 10)
    table["_healpix_29"] = MaskedColumn(table["_healpix_29"], mask=np.arange(50) % 10 == 4)
    written = write_catalog(path, table[::-1], link=LINK, provenance={})
    found = read_catalog(path)
    assert found.colnames == [*LINK, "FLUX_APER", "NUMBER", "_healpix_29"]
    assert column_names(path) == tuple(found.colnames)
    cells = found["_healpix_29"]
    assert written.rows == len(found) == 50
    assert list(cells.mask) == [False] * 45 + [True] * 5
    keys = list(zip(cells.filled(9).tolist(), found["NUMBER"].tolist(), strict=True))
    assert keys == sorted(keys)


def test_rows_without_cell_or_number_keep_their_order(path: Path) -> None:
    flux = np.array([3.0, 1.0, 2.0]) * u.ct
    write_catalog(path, QTable({"FLUX_APER": flux}), link=LINK, provenance={})
    np.testing.assert_array_equal(read_catalog(path)["FLUX_APER"].value, flux.value)


def test_nan_and_masks_become_null(path: Path) -> None:
    table = QTable()
    table["NUMBER"] = np.arange(1, 5)
    table["FLUX_APER"] = [1.0, np.nan, np.inf, -np.inf] * u.ct
    table["MAG_APER"] = Masked([1.0, 2.0, 3.0, np.nan] * u.mag, mask=[False, True, False, False])
    table["IMAFLAGS_ISO"] = np.array([1.0, np.nan, 0.0, 4.0])
    table["FLAGS"] = MaskedColumn([1, 2, 3, 4], mask=[False, False, True, False])
    table["SNR"] = [np.nan] * 4
    write_catalog(path, table, link={**LINK, "filter": None, "exptime": np.nan}, provenance={})
    rows = duckdb.sql(f"SELECT FLUX_APER, MAG_APER, IMAFLAGS_ISO, FLAGS, SNR, filter, exptime, telname FROM '{path}'").fetchall()
    assert rows == [
        (1.0, 1.0, 1, 1, None, None, None, "7DT01"),
        (None, None, None, 2, None, None, None, "7DT01"),
        (np.inf, 3.0, 0, None, None, None, None, "7DT01"),
        (-np.inf, None, 4, 4, None, None, None, "7DT01"),
    ]
    found = read_catalog(path)
    assert list(found["MAG_APER"].mask) == [False, True, False, True]
    assert found["FLAGS"].dtype == np.int16
    assert list(found["IMAFLAGS_ISO"].mask) == [False, True, False, False]
    assert found["filter"].mask.all()
    assert found["exptime"].mask.all()
    assert not hasattr(found["telname"], "mask")


def test_units_are_converted(path: Path) -> None:
    table = QTable()
    table["ALPHA_J2000"] = [3600.0, 7200.0] * u.arcsec
    table["FWHM_WORLD"] = np.array([3.6], dtype=np.float32) * u.arcsec
    table["SNR"] = [50, 100] * u.percent
    table["FLUX_AUTO"] = [1, 2]  # no unit: that of the column
    table["FLUX_ISO"] = Column([5, 6], unit="count")
    write_catalog(path, table, link=LINK, provenance={})
    found = read_catalog(path)
    np.testing.assert_allclose(found["ALPHA_J2000"].to_value(u.deg), [1, 2])
    np.testing.assert_allclose(found["FWHM_WORLD"].to_value(u.deg), 0.001)
    np.testing.assert_allclose(found["SNR"], [0.5, 1.0])
    assert found["FLUX_AUTO"].unit == found["FLUX_ISO"].unit == u.ct
    np.testing.assert_array_equal(found["FLUX_ISO"].value, [5.0, 6.0])


def test_byte_order_and_strides(path: Path) -> None:
    values = np.arange(20, dtype=">f8")[::2]
    table = Table({"FLUX_APER": values, "NUMBER": np.arange(10, dtype=">i4"), "FLUX_RADIUS": values.astype(">f4")})
    write_catalog(path, table, link=LINK, provenance={})
    found = read_catalog(path)
    np.testing.assert_array_equal(found["FLUX_APER"].value, values)
    np.testing.assert_array_equal(found["FLUX_RADIUS"].value, values)


def test_the_table_is_not_changed(path: Path) -> None:
    table = full_table()[::-1]
    before = table.copy()
    write_catalog(path, table, link=LINK, provenance=PROVENANCE)
    assert table.colnames == before.colnames
    assert all((table[name] == before[name]).all() for name in table.colnames)


def test_an_empty_catalog(path: Path) -> None:
    assert write_catalog(path, full_table(0), link=LINK, provenance={}).rows == 0
    found = read_catalog(path)
    assert len(found) == 0
    assert found["FLUX_APER"].unit == u.ct
    assert found["FLAGS"].dtype == np.int16
    assert found.meta["frame_id"] == 42


def test_provenance(path: Path) -> None:
    write_catalog(path, full_table(3), link=LINK, provenance=PROVENANCE)
    expected = {**PROVENANCE, "frame_id": 42, "run_id": 7, "rows": 3, "format_version": FORMAT_VERSION, "flag_version": FLAG_VERSION}
    assert read_provenance(path) == expected
    assert read_catalog(path).meta == expected
    assert pq.read_metadata(path).metadata[b"ezarchive.frame_id"] == b"42"


def test_the_hash_and_the_bytes(path: Path, tmp_path: Path) -> None:
    table = full_table()
    one = write_catalog(path, table, link=LINK, provenance=PROVENANCE)
    other = write_catalog(tmp_path / "other", table[::-1], link=dict(reversed(LINK.items())), provenance=dict(reversed(PROVENANCE.items())))
    assert one.sha256 == other.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (one.path, one.rows) == (path, 50)
    assert write_catalog(path, table, link={**LINK, "run_id": 8}, provenance=PROVENANCE).sha256 != one.sha256
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_what_lies_under_a_mask_does_not_change_the_bytes(path: Path) -> None:
    hashes = set()
    for hidden in (1.0, 99.0, np.nan):
        table = QTable({"FLUX_APER": Masked([1.0, hidden] * u.ct, mask=[False, True]), "NUMBER": [1, 2]})
        hashes.add(write_catalog(path, table, link=LINK, provenance={}).sha256)
    assert len(hashes) == 1


@pytest.mark.oracle
def test_astropy_restores_units(path: Path) -> None:
    write_catalog(path, full_table(), link=LINK, provenance=PROVENANCE)
    found = QTable.read(path, format="parquet")
    for column in (*CATALOG_LINK, *EVERY):
        assert (found[column.name].unit or None) == (None if column.unit is None else u.Unit(column.unit)), column.name
        assert found[column.name].info.description == column.description
        assert found[column.name].info.meta["ucd"] == column.ucd
    assert set(found["telname"]) == {"7DT01"}


@pytest.mark.oracle
@pytest.mark.parametrize("n", [0, 1, 20])
def test_the_votable_in_the_footer_restores_units(path: Path, n: int) -> None:
    write_catalog(path, full_table(n), link={**LINK, "filter": None}, provenance=PROVENANCE)
    found = Table.read(path, format="parquet.votable")
    assert len(found) == n
    for column in (*CATALOG_LINK, *EVERY):
        assert (found[column.name].unit or None) == (None if column.unit is None else u.Unit(column.unit)), column.name
        assert found[column.name].description == column.description
    footer = pq.read_metadata(path).metadata
    assert footer[b"IVOA.VOTable-Parquet.version"] == b"1.0"


@pytest.mark.oracle
def test_pandas_pyarrow_and_duckdb_read_it(path: Path) -> None:
    write_catalog(path, full_table(), link=LINK, provenance=PROVENANCE)
    assert len(pd.read_parquet(path)) == 50
    assert pq.read_table(path).num_rows == 50
    assert duckdb.sql(f"SELECT count(*), min(frame_id), max(filter) FROM '{path}'").fetchall() == [(50, 42, "m600")]


def test_the_file_is_small_and_prunable(path: Path) -> None:
    table = full_table(40000)
    write_catalog(path, table, link=LINK, provenance=PROVENANCE)
    footer = pq.read_metadata(path)
    assert footer.num_row_groups == 3
    groups = [footer.row_group(n) for n in range(3)]
    for name in ("frame_id", "filter", "mjd_mid"):
        place = footer.schema.names.index(name)
        assert sum(group.column(place).total_compressed_size for group in groups) < 1000
        assert all(group.column(place).statistics.has_min_max for group in groups)
    cell = footer.schema.names.index("_healpix_29")
    assert [group.column(cell).compression for group in groups] == ["ZSTD"] * 3
    ends = [(group.column(cell).statistics.min, group.column(cell).statistics.max) for group in groups]
    assert all(before[1] <= after[0] for before, after in zip(ends, ends[1:], strict=False))
    write_catalog(path, full_table(0), link=LINK, provenance=PROVENANCE)
    assert path.stat().st_size < 50_000


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"FLUX": [1.0]}, "column 'FLUX': no table of the archive has it"),
        ({"FLUX_APER": [1.0] * u.mag}, "column 'FLUX_APER': unit must be count, found mag"),
        ({"SNR": [1.0] * u.pix}, "column 'SNR': unit must be none, found pix"),
        ({"FLAGS": [1.5]}, "column 'FLAGS': must be int16, found float64"),
        ({"FLAGS": [70000]}, "column 'FLAGS': must be int16, found int64"),
        ({"NUMBER": ["a"]}, "column 'NUMBER': must be int32"),
        ({"FLUX_APER": ["a"]}, "column 'FLUX_APER': must be float64"),
        ({"FLUX_APER": [[1.0, 2.0]]}, r"column 'FLUX_APER': must have one value a row, found shape \(1, 2\)"),
    ],
)
def test_wrong_tables(path: Path, table: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        write_catalog(path, QTable(table), link=LINK, provenance={})
    assert not path.exists()


@pytest.mark.parametrize("link", [{}, {"frame_id": 1}, {"frame_id": 1, "run_id": None}, {**LINK, "filtre": "r"}])
def test_wrong_links(path: Path, link: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="must hold frame_id and run_id, and may hold telname, filter, mjd_mid, exptime"):
        write_catalog(path, full_table(1), link=link, provenance={})


@pytest.mark.parametrize("value", [object(), np.nan, {1, 2}])
def test_provenance_must_be_plain(path: Path, value: object) -> None:
    with pytest.raises(InputError, match="provenance 'x': must be plain JSON values"):
        write_catalog(path, full_table(1), link=LINK, provenance={"x": value})


def test_a_link_column_of_the_table_gives_way(path: Path) -> None:
    table = full_table(2)
    table["filter"] = ["x", "y"]
    write_catalog(path, table, link=LINK, provenance={})
    assert set(read_catalog(path)["filter"]) == {"m600"}


def test_damaged_files(path: Path, tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"x\.42\.parquet: does not exist"):
        read_catalog(path)
    write_catalog(path, full_table(2000), link=LINK, provenance=PROVENANCE)
    whole = path.read_bytes()
    for torn in (b"", b"PAR1", whole[:-1], whole[:1000], b"x" * 5000):
        path.write_bytes(torn)
        for read in (read_provenance, read_catalog, column_names):
            with pytest.raises(CatalogError, match="is no whole Parquet file"):
                read(path)
    path.write_bytes(whole[:5000] + bytes(len(whole) - 65_000) + whole[-60_000:])
    assert read_provenance(path)["frame_id"] == 42
    with pytest.raises(CatalogError, match="is damaged"):
        read_catalog(path)
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(CatalogError, match="is a Parquet file, but no catalog of ezarchive"):
        read_catalog(tmp_path / "other.parquet")


numbers = {
    "float64": st.floats(),
    "float32": st.floats(width=32),
    "int16": st.none() | st.integers(-(2**15), 2**15 - 1),
    "int32": st.none() | st.integers(-(2**31), 2**31 - 1),
    "int64": st.none() | st.integers(-(2**63), 2**63 - 1),
}


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[Any]]]:
    names = draw(
        st.lists(st.sampled_from([column.name for column in EVERY if column.name != "NUMBER"]), unique=True, min_size=1, max_size=6)
    )
    n = draw(st.integers(0, 8))
    return names, [draw(st.lists(numbers[lookup(name).dtype], min_size=n, max_size=n)) for name in names]


@pytest.mark.pure
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tables(), st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=10))
def test_any_values_round_trip(path: Path, content: tuple[list[str], list[list[Any]]], text: str | None) -> None:
    names, values = content
    n = len(values[0])
    table = Table({"NUMBER": np.arange(1, n + 1)})
    for name, column in zip(names, values, strict=True):
        dtype = lookup(name).dtype
        missing = [value is None for value in column]
        filled = np.array([0 if value is None else value for value in column], dtype=dtype)
        table[name] = MaskedColumn(filled, mask=missing, unit=lookup(name).unit) if any(missing) else Column(filled, unit=lookup(name).unit)
    write_catalog(path, table, link={**LINK, "telname": text}, provenance={})
    found = read_catalog(path)
    order = np.argsort(found["NUMBER"])
    for name, column in zip(names, values, strict=True):
        got = found[name][order]
        mask = np.asarray(getattr(got, "mask", np.zeros(n, bool)))
        for place, value in enumerate(column):
            gone = value is None or value != value
            assert mask[place] == gone
            if not gone:
                assert np.asarray(getattr(got, "unmasked", got))[place] == value
    telname = found["telname"]
    assert telname.mask.all() if text is None and n else set(telname) <= {text}


def test_some_columns_as_plain_numbers(path: Path) -> None:
    table = full_table()
    table["FLUX_AUTO"][3] = np.nan
    write_catalog(path, table, link=LINK, provenance=PROVENANCE)
    found, whole = read_columns(path, ["FLAGS", "FLUX_AUTO", "FLUX_APER_7", "ALPHA_J2000"]), read_catalog(path)
    assert set(found) == {"FLAGS", "FLUX_AUTO", "ALPHA_J2000"}
    assert {values.dtype for values in found.values()} == {np.dtype(float)}
    np.testing.assert_array_equal(found["FLAGS"], whole["FLAGS"])
    assert np.isnan(found["FLUX_AUTO"]).tolist() == whole["FLUX_AUTO"].mask.tolist()
    found["FLAGS"][0] = 1
    with pytest.raises(CatalogError, match="no whole Parquet file"):
        read_columns(path.with_name("none.parquet"), ["FLAGS"])
    content = path.read_bytes()
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    path.write_bytes(content[:4] + bytes(footer - 4) + content[footer:])
    with pytest.raises(CatalogError, match="is damaged"):
        read_columns(path, ["FLAGS", "FLUX_AUTO", "ALPHA_J2000"])


def test_plain_columns_give_the_file_of_a_table(tmp_path):
    columns = {"NUMBER": np.array([2, 1]), "FLUX_APER": np.array([np.nan, 3.5]), "_healpix_29": np.ma.array([7, 0], mask=[False, True])}
    table = QTable({name: values if name != "FLUX_APER" else values * u.ct for name, values in columns.items()})
    a, b = tmp_path / "a.parquet", tmp_path / "b.parquet"
    write_catalog(a, columns, link=LINK, provenance=PROVENANCE, durable=False)
    write_catalog(b, table, link=LINK, provenance=PROVENANCE)
    assert a.read_bytes() == b.read_bytes()
