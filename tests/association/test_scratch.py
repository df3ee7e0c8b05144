"""Temporary tables."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ezarchive.association import scratch
from ezarchive.store import files


def test_a_table_comes_back_with_coded_texts(tmp_path):
    table = pa.table({"a": [1, 2, 3], "b": ["x", None, "x"]})
    scratch.write(tmp_path / "deep" / "t.arrow", table)
    found = scratch.read(tmp_path / "deep" / "t.arrow")
    assert pa.types.is_dictionary(found["b"].type)
    assert found["b"].to_pylist() == ["x", None, "x"]
    assert scratch.column(found, "a").tolist() == [1, 2, 3]


def test_tables_are_joined_whatever_their_dictionaries():
    empty = files.schema("sites").empty_table()
    table = pa.table({"site": [1, -3], "object_id": [4, 5]})
    assert scratch.joined([empty, table.select(["object_id", "site"]), table], "sites").to_pydict() == {
        "site": [1, -3, 1, -3],
        "object_id": [4, 5, 4, 5],
    }
    assert scratch.joined([], "orphans").column_names == files.schema("orphans").names
    texts = [pa.table({"b": ["x", "y"]}), pa.table({"b": ["y", "z"]})]
    joined = pa.concat_tables([scratch.coded(text) for text in texts]).unify_dictionaries()
    assert joined["b"].to_pylist() == ["x", "y", "y", "z"]


def test_take_by_number_and_by_mask():
    table = pa.table({"a": [1, 2, 3]})
    assert scratch.take(table, np.array([2, 0]))["a"].to_pylist() == [3, 1]
    assert scratch.take(table, np.array([True, False, True]))["a"].to_pylist() == [1, 3]
