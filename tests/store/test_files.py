"""Files of the store: rows survive, equal rows are equal bytes, damage is named."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from storetables import light_curves, objects, random_places, table_of

from ezarchive.columns import OBJECT, STORE
from ezarchive.errors import InputError, StoreError
from ezarchive.store import files


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.fixture
def curves(rng):
    table = light_curves(rng, *random_places(rng, 900), 50)
    return table.take(pa.array(files.sort_order(table, files.ORDERS["light_curve"])))


def pieces(table, cuts):
    bounds = [0, *cuts, len(table)]
    return [table.slice(low, high - low) for low, high in zip(bounds, bounds[1:], strict=False)]


def test_schemas_are_those_of_columns():
    assert files.schema("light_curve").names == [column.name for column in STORE]
    assert files.schema("objects").names == [column.name for column in OBJECT]
    for name, order in files.ORDERS.items():
        assert set(order) <= set(files.schema(name).names)
    with pytest.raises(InputError, match="dataset 'nonsense': must be one of"):
        files.schema("nonsense")


def test_round_trip(tmp_path, curves):
    assert files.write(tmp_path / "a.parquet", [curves], "light_curve") == len(curves)
    back = files.read(tmp_path / "a.parquet")
    assert back.equals(curves)
    assert files.read(tmp_path / "a.parquet", ["night", "flux"]).equals(curves.select(["night", "flux"]))
    assert pq.read_schema(tmp_path / "a.parquet").equals(files.schema("light_curve"), check_metadata=True)


def test_bytes_do_not_depend_on_the_pieces(tmp_path, curves):
    coded = curves.set_column(curves.column_names.index("filter"), "filter", curves["filter"].dictionary_encode())
    ways = {
        "one": [curves],
        "cut": pieces(curves, [1, 40_960, 40_961, 43_000]),
        "coded": pieces(coded, [10_000]),
        "mixed": [*pieces(coded, [10_000])[:1], *pieces(curves, [10_000])[1:]],
        "other codes": [pa.concat_tables([pieces(curves, [30_000])[1], curves]).unify_dictionaries().slice(len(curves) - 30_000)],
    }
    for name, tables in ways.items():
        files.write(tmp_path / name, tables, "light_curve")
    contents = {name: (tmp_path / name).read_bytes() for name in ways}
    assert set(contents.values()) == {contents["one"]}


def test_row_groups(tmp_path, curves):
    files.write(tmp_path / "a.parquet", pieces(curves, [5, 700]), "light_curve")
    footer = pq.read_metadata(tmp_path / "a.parquet")
    assert [footer.row_group(i).num_rows for i in range(footer.num_row_groups)] == [40_960, 45_000 - 40_960]
    column = footer.row_group(0).column(0)
    assert column.path_in_schema == "object_id"
    assert column.statistics.has_min_max
    assert column.compression == "ZSTD"


def test_no_rows_no_file(tmp_path, curves):
    assert files.write(tmp_path / "x" / "a.parquet", [curves.slice(0, 0)], "light_curve") == 0
    assert not (tmp_path / "x").exists()


def test_a_failure_leaves_no_file(tmp_path, curves):
    def broken():
        yield curves
        raise OSError("the source is gone")

    with pytest.raises(OSError, match="the source is gone"):
        files.write(tmp_path / "a.parquet", broken(), "light_curve")
    assert list(tmp_path.iterdir()) == []


def test_columns_that_do_not_fit(tmp_path, curves):
    with pytest.raises(InputError, match="column 'night' is missing"):
        files.write(tmp_path / "a.parquet", [curves.drop_columns(["night"])], "light_curve")
    wrong = curves.set_column(0, "object_id", pa.array(["x"] * len(curves)))
    with pytest.raises(InputError, match="column 'object_id' must be int64, found string"):
        files.write(tmp_path / "a.parquet", [wrong], "light_curve")


def test_wider_types_are_cast(tmp_path, rng):
    table = objects(rng, *random_places(rng, 5))
    wide = table.set_column(table.column_names.index("n_det"), "n_det", table["n_det"].cast(pa.int64()))
    files.write(tmp_path / "a.parquet", [wide], "objects")
    assert files.read(tmp_path / "a.parquet").equals(table)


@pytest.mark.parametrize("seed", range(5))
def test_sort_order_is_that_of_lexsort(seed):
    rng = np.random.default_rng(seed)
    table = pa.table({
        "a": rng.integers(0, 20, 500), "b": pa.array(rng.choice([1.0, 2.0, np.nan], 500), from_pandas=True),
        "c": pa.array(rng.choice(["x", "y", "zz"], 500)).dictionary_encode(), "d": rng.integers(0, 3, 500),
    })  # fmt: skip
    order = files.sort_order(table, ["a", "b", "c", "d"])
    expected = pc.sort_indices(table.set_column(2, "c", table["c"].cast(pa.string())), sort_keys=[(name, "ascending") for name in "abcd"])
    assert table.take(pa.array(order)).equals(table.take(expected))
    assert files.is_sorted(table.take(pa.array(order)), ["a", "b", "c", "d"])
    assert not files.is_sorted(table, ["a", "b", "c", "d"])


def test_sort_order_is_stable():
    table = pa.table({"a": [2, 1, 2, 1], "b": [0, 0, 0, 0]})
    assert files.sort_order(table, ["a", "b"]).tolist() == [1, 3, 0, 2]
    assert files.sort_order(table.slice(0, 0), ["a", "b"]).tolist() == []


def test_missing_and_torn_files(tmp_path, curves):
    path = tmp_path / "a.parquet"
    with pytest.raises(StoreError, match="a.parquet: is missing from the light-curve store"):
        files.read(path)
    files.write(path, [curves], "light_curve")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(StoreError, match="a.parquet: is damaged"):
        files.read(path)
    path.write_bytes(content[:4] + bytes(2000) + content[2004:])
    with pytest.raises(StoreError, match="a.parquet: is damaged"):
        files.read(path)


def test_nulls_and_no_texts_at_all(tmp_path):
    table = table_of("orphans", {"_healpix_29": [3, 1], "frame_id": [1, 2], "catalog_id": [1, 2], "row": [0, 0]})
    files.write(tmp_path / "a.parquet", [table], "orphans")
    assert files.read(tmp_path / "a.parquet").equals(table)
