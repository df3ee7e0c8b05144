"""`QueryResult`: printing, rows, and what it becomes."""

from __future__ import annotations

import csv
import datetime
import io
import json
import pickle
from decimal import Decimal

import astropy.units as u
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ezarchive.catalogs.result import QueryResult, arrow_to_qtable
from ezarchive.columns import FRAME, LIGHT_CURVE, NAMES, lookup
from ezarchive.errors import InputError


@pytest.fixture
def result() -> QueryResult:
    return QueryResult(
        pa.table(
            {
                "filter": ["m600", None, "r"],
                "mjd_mid": [60900.123456789, 60901.0, None],
                "n": pa.array([1, 20, None], pa.int32()),
                "mag": pa.array([15.25, np.nan, None], pa.float64()),
            }
        ),
        notes=["(a note)"],
    )


def test_rows(result: QueryResult) -> None:
    assert len(result) == 3
    assert result.columns == ("filter", "mjd_mid", "n", "mag")
    rows = list(result)
    assert rows[0] == ("m600", 60900.123456789, 1, 15.25)
    assert rows[0].n == 1
    assert rows[2] == ("r", None, None, None)
    assert result[0] == rows[0]
    assert result[-1] == rows[2]
    assert [row.filter for row in result] == ["m600", None, "r"]


def test_a_row_or_column_that_is_not_there(result: QueryResult) -> None:
    for place in (3, -4):
        with pytest.raises(IndexError, match=rf"row {place}: must be within the 3 rows"):
            result[place]
    with pytest.raises(InputError, match="column 'x': must be one of filter, mjd_mid, n, mag"):
        result["x"]


def test_a_column(result: QueryResult) -> None:
    assert result["mjd_mid"].unit == u.d
    assert list(result["n"].mask) == [False, False, True]


def test_it_prints_as_a_table(result: QueryResult) -> None:
    assert repr(result).splitlines() == [
        "filter       mjd_mid     n    mag",
        "------  ------------  ----  -----",
        "m600    60900.123457     1  15.25",
        "NULL           60901    20    nan",
        "r               NULL  NULL   NULL",
        "(3 rows)",
        "(a note)",
    ]


def test_long_and_wide_tables_say_what_they_hide() -> None:
    result = QueryResult(pa.table({f"column_{n:02}": list(range(100)) for n in range(30)}))
    lines = repr(result).splitlines()
    assert len(lines) == 23
    assert all(len(line) <= 160 for line in lines[:-1])
    assert lines[-1].startswith("(100 rows, the first 20 shown; 16 more columns: column_14, column_15")
    whole = result.to_text().splitlines()
    assert len(whole) == 103
    assert whole[-1] == "(100 rows)"
    assert "column_29" in whole[0]


def test_long_and_odd_cells_are_cut() -> None:
    text = QueryResult(pa.table({"a": ["x" * 100, "two\nlines"], "b": [[1.0, 2.0], None]})).to_text()
    assert "x" * 37 + "..." in text
    assert "two lines" in text
    assert "[1.0, 2.0]" in text


def test_empty_results() -> None:
    empty = QueryResult(pa.table({"mag": pa.array([], pa.float64()), "filter": pa.array([], pa.string())}))
    assert repr(empty) == "mag  filter\n---  ------\n(0 rows)"
    assert list(empty) == []
    assert empty.to_table()["mag"].unit == u.mag
    assert empty.to_csv() == "mag,filter\n"
    assert json.loads(empty.to_json()) == []
    assert len(empty.to_pandas()) == 0
    assert "0 rows" in empty._repr_html_()
    assert repr(QueryResult(pa.table({}))) == "(0 rows)"


def test_html_is_escaped() -> None:
    text = QueryResult(pa.table({"<b>": ["<script>", None]}), notes=["a < b"])._repr_html_()
    assert "<script>" not in text
    assert "<th>&lt;b&gt;</th>" in text
    assert "<td>&lt;script&gt;</td>" in text
    assert "<td>NULL</td>" in text
    assert "<p>a &lt; b</p>" in text


def test_names_that_come_twice() -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2]), pa.array([3]), pa.array([4])], names=["a", "a", "a_1", "class"])
    result = QueryResult(table)
    assert result.columns == ("a", "a_2", "a_1", "class")
    assert result[0] == (1, 2, 3, 4)
    assert result[0]._fields == ("a", "a_2", "a_1", "_3")


def test_csv(result: QueryResult) -> None:
    rows = list(csv.reader(io.StringIO(result.to_csv())))
    assert rows == [
        ["filter", "mjd_mid", "n", "mag"],
        ["m600", "60900.123456789", "1", "15.25"],
        ["", "60901.0", "20", "nan"],
        ["r", "", "", ""],
    ]
    assert QueryResult(pa.table({"a": ['x,"y"\nz']})).to_csv() == 'a\n"x,""y""\nz"\n'


def test_json(result: QueryResult) -> None:
    rows = json.loads(result.to_json())
    assert rows[0] == {"filter": "m600", "mjd_mid": 60900.123456789, "n": 1, "mag": 15.25}
    assert rows[1]["mag"] is None
    assert rows[2] == {"filter": "r", "mjd_mid": None, "n": None, "mag": None}
    odd = QueryResult(pa.table({"d": [datetime.date(2025, 9, 1)], "l": [[1.0, None]], "t": ["은하"], "i": [np.inf]}))
    assert json.loads(odd.to_json()) == [{"d": "2025-09-01", "l": [1.0, None], "t": "은하", "i": None}]
    assert "은하" in odd.to_json()


def test_a_table_with_units(result: QueryResult) -> None:
    table = result.to_table()
    assert table["mjd_mid"].unit == u.d
    assert table["mag"].unit == u.mag
    assert list(table["mjd_mid"].mask) == [False, False, True]
    assert table["n"].dtype == np.int32
    assert not hasattr(table["n"], "unit") or table["n"].unit is None
    assert list(table["filter"].mask) == [False, True, False]
    assert table["mag"].info.description.startswith("calibrated magnitude")
    assert np.isnan(table["mag"][1])


@pytest.mark.parametrize("column", {c.name: c for c in (*FRAME, *NAMES, *LIGHT_CURVE)}.values(), ids=lambda column: column.name)
def test_every_stored_name_has_its_unit(column: tuple) -> None:
    kinds = {"bool": pa.bool_(), "str": pa.string(), "int16": pa.int16(), "int32": pa.int32(), "int64": pa.int64(), "float64": pa.float64()}
    values = [None, True if column.dtype == "bool" else "a" if column.dtype == "str" else 3]
    table = QueryResult(pa.table({column.name: pa.array(values, kinds[column.dtype])})).to_table()
    found = table[column.name]
    assert (getattr(found, "unit", None) or None) == (None if column.unit is None else u.Unit(column.unit))
    assert list(found.mask) == [True, False]
    assert found.dtype == np.dtype(column.dtype if column.dtype != "str" else "U1")


def test_a_text_of_a_numbers_name_has_no_unit() -> None:
    assert QueryResult(pa.table({"mag": ["bright"]})).to_table()["mag"].dtype.kind == "U"


def test_odd_types() -> None:
    table = pa.table(
        {
            "decimal": pa.array([Decimal("1.50"), None], pa.decimal128(5, 2)),
            "sum": pa.array([Decimal(7), Decimal(2**62)], pa.decimal128(38, 0)),
            "huge": pa.array([Decimal(2**80), None], pa.decimal128(38, 0)),
            "when": pa.array([datetime.datetime(2025, 9, 1, 3), None]),
            "day": pa.array([datetime.date(2025, 9, 1), None]),
            "list": pa.array([[1.0, 2.0], None]),
            "flag": pa.array([True, None]),
            "nothing": pa.nulls(2),
        }
    )
    result = QueryResult(table)
    found = result.to_table()
    assert found["decimal"][0] == 1.5
    assert found["sum"].dtype == np.int64
    assert found["sum"][1] == 2**62
    assert found["huge"].dtype == np.float64
    assert found["when"][0] == np.datetime64("2025-09-01T03:00")
    assert found["day"][0] == np.datetime64("2025-09-01")
    assert found["list"][0] == [1.0, 2.0]
    assert found["flag"].dtype == bool
    assert all(name in ("sum",) or found[name].mask[1] for name in found.colnames)
    assert found["nothing"].mask.all()
    assert repr(result)
    assert result.to_json()


def test_pandas_and_arrow(result: QueryResult) -> None:
    frame = result.to_pandas()
    assert list(frame.columns) == list(result.columns)
    assert frame["n"].isna().sum() == 1
    assert result.to_arrow().column_names == list(result.columns)


def test_arrow_to_qtable_does_not_share_memory() -> None:
    arrow = pa.table({"mag": [1.0, 2.0]})
    table = arrow_to_qtable(arrow, lookup)
    table["mag"][0] = 9 * u.mag
    assert arrow["mag"][0].as_py() == 1.0


@pytest.mark.pure
@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.none() | st.text(max_size=8), st.none() | st.floats(allow_nan=False), st.none() | st.integers(-9, 9)), max_size=6)
)
def test_everything_agrees(rows: list[tuple[str | None, float | None, int | None]]) -> None:
    columns = list(zip(*rows, strict=True)) if rows else [(), (), ()]
    kinds = (pa.string(), pa.float64(), pa.int64())
    result = QueryResult(pa.table({name: pa.array(values, kind) for name, values, kind in zip("abc", columns, kinds, strict=True)}))
    assert [tuple(row) for row in result] == rows
    assert [result[n] for n in range(len(rows))] == rows
    assert len(result.to_pandas()) == len(result.to_table()) == len(json.loads(result.to_json())) == len(rows)
    read = list(csv.reader(io.StringIO(result.to_csv())))
    assert [row[0] for row in read[1:]] == ["" if row[0] is None else row[0] for row in rows]
    for row, (text, number, _) in zip(result.to_table(), rows, strict=True):
        assert np.ma.is_masked(row["a"]) if text is None else row["a"] == text.rstrip("\0")
        if number is not None:
            assert row["b"] == number


def test_a_slice_is_a_result(result: QueryResult) -> None:
    assert [row.filter for row in result[:2]] == ["m600", None]
    assert [row.filter for row in result[::-1]] == ["r", None, "m600"]
    assert result[1:1].columns == result.columns
    assert result[:1].notes == result.notes
    with pytest.raises(InputError, match=r"index 1\.5: must be the place of a row, a slice, or the name of a column"):
        result[1.5]


def test_it_travels_after_its_rows_were_read(result: QueryResult) -> None:
    assert result[0].filter == "m600"
    again = pickle.loads(pickle.dumps(result))
    assert list(again)[0] == result[0]
    assert again.notes == result.notes


def test_of_a_long_path_the_end_is_shown() -> None:
    path = f"/data/{'x' * 60}/frame_0001.fits"
    text = QueryResult(pa.table({"path": [path], "message": ["y" * 60]})).to_text()
    assert f"...{path[-37:]}" in text
    assert f"{'y' * 37}..." in text
