"""Results of queries as files."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.table import QTable, Table

from ezarchive.catalogs.result import QueryResult
from ezarchive.catalogs.resultfiles import FORMATS
from ezarchive.errors import InputError

RESULT = QueryResult(
    pa.table({"mjd_mid": [60000.5, 60001.5], "mag": [15.25, None], "filter": ["m600", 'ü,"'], "n": [1, None], "apertures": [[5.0], None]}),
    notes=("(a note)",),
)
READ = {"csv": "ascii.csv", "ecsv": "ascii.ecsv", "votable": "votable", "fits": "fits"}


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_is_read_back(tmp_path: Path, form: str) -> None:
    path = RESULT.write(tmp_path / "out.x", format=form)
    if form == "json":
        assert json.loads(path.read_text())[0]["mag"] == 15.25
        assert json.loads(path.read_text())[1]["mag"] is None
        return
    if form == "parquet":
        assert pq.read_table(path).to_pylist() == RESULT.to_arrow().to_pylist()
        return
    table = Table.read(path, format=READ[form])
    assert list(table["mjd_mid"]) == [60000.5, 60001.5]
    assert table["mag"][0] == 15.25
    if form in ("ecsv", "votable"):
        assert str(table["mag"].unit) == "mag"
        assert table["mag"].mask[1]
        assert "a note" in path.read_text(errors="replace")


def test_parquet_keeps_units_and_meanings(tmp_path: Path) -> None:
    plain = QueryResult(RESULT.to_arrow().select(["mjd_mid", "mag", "filter"]))
    path = plain.write(tmp_path / "out.parquet")
    table = QTable.read(path)
    assert str(table["mag"].unit) == "mag"
    assert QueryResult(pa.table({"filter": pa.array([], pa.string())})).write(tmp_path / "none.parquet").stat().st_size > 100


def test_wrong_formats_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="format='xls': must be one of csv, json, parquet"):
        RESULT.write(tmp_path / "out.csv", format="xls")
    with pytest.raises(InputError, match=r"out': the suffix: must be one of .ecsv"):
        RESULT.write(tmp_path / "out")
    assert not list(tmp_path.iterdir())
