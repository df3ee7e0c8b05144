"""Temporary tables."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ezarchive.association import scratch
from ezarchive.store import files

FACTS = {
    "catalog_id": [7], "per": [10.0], "zero_point": [25.0], "zero_point_err": [0.01], "zero_point_ab": [25.0], "mag_limit": [20.0],
    "frame_id": [3], "run_id": [1], "telname": ["7DT01"], "filter": ["r"], "mjd_mid": [60000.0], "exptime": [10.0],
    "aperture_arcsec": [5.0], "kind": ["detection"], "night": ["2023-02-24"],
}  # fmt: skip


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


def test_what_follows_from_the_catalog_is_made_again(tmp_path):
    facts = pa.table(
        {name: pa.array([values[0]] * 2, scratch.FACTS.field(name).type) for name, values in FACTS.items()}, schema=scratch.FACTS
    ).set_column(0, scratch.FACTS.field("catalog_id"), pa.array([7, 9]))
    own = {name: pa.array([1.0, 2.0, 4.0]).cast(files.schema("orphans").field(name).type) for name in scratch.OWN if name != "target_id"}
    own |= {"catalog_id": pa.array([9, 7, 9]), "target_id": pa.nulls(3, pa.string())}
    rows = scratch.Rows(pa.table({**{name: own[name] for name in scratch.OWN}, "_healpix_29": pa.array([3, 4, 5])}), facts)
    whole = rows.whole()
    assert whole.column_names == files.schema("orphans").names
    np.testing.assert_allclose(scratch.column(whole, "mag"), 25 - 2.5 * np.log10(np.array([1.0, 2.0, 4.0]) * 10), rtol=1e-6)
    assert whole["filter"].to_pylist() == ["r"] * 3
    scratch.write(tmp_path / "rows.arrow", rows.take(np.array([2, 0])))
    assert scratch.read(tmp_path / "rows.arrow").to_pylist() == whole.take(pa.array([2, 0])).to_pylist()
    assert scratch.rows(tmp_path / "rows.arrow").select(["row", "mjd_mid"], np.array([1])).to_pylist() == [{"row": 1, "mjd_mid": 60000.0}]
    both = scratch.Rows.joined([rows, scratch.Rows(whole)], "orphans")
    assert both.facts is None
    assert scratch.column(both.table, "row").tolist() == [1, 2, 4, 1, 2, 4]
    curves = rows.with_objects(np.array([6, 8, 8]))
    assert curves.whole().column_names == files.schema("light_curve").names
    assert scratch.column(curves.whole(), "_healpix_29").tolist() == [3, 4, 4]
    assert (
        curves.whole()
        .select(["object_ra", "object_dec"])
        .equals(scratch.with_objects(whole, np.array([6, 8, 8])).select(["object_ra", "object_dec"]))
    )
