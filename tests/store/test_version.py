"""A version on disk: what is read of it, what is pruned, what damage says."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from storetables import all_rows, light_curves, objects, publish, random_places, table_of

from ezarchive.errors import InputError, StoreError
from ezarchive.sky import cell_of
from ezarchive.store import ids
from ezarchive.store.build import Builder
from ezarchive.store.tree import Leaf, Tree
from ezarchive.store.version import Place, Version, published


@pytest.fixture
def rng():
    return np.random.default_rng(8)


@pytest.fixture
def tree():
    return Tree.base().split(Leaf(0, 4)).split(Leaf(1, 18))


@pytest.fixture
def store(tmp_path, rng, tree):
    """Two versions: the second has a delta file in every leaf."""
    ra, dec = random_places(rng, 300, ra=(0, 360), dec=(-90, 90))
    first = publish(tmp_path, 1, curves=light_curves(rng, ra, dec, 4), objs=objects(rng, ra, dec), tree=tree, parameters={"radius": 1.0})
    return publish(tmp_path, 2, curves=light_curves(rng, ra, dec, 3, first_catalog=5), previous=first, parameters={"radius": 1.0})


def test_none(tmp_path):
    version = Version.none(tmp_path)
    assert version.number == 0
    assert version.tree == Tree.base()
    assert version.paths("light_curve") == []
    assert version.read("light_curve", Leaf(0, 0)).num_rows == 0
    assert version.read("objects", Leaf(0, 0), ["ra"]).column_names == ["ra"]
    assert version.aliases().column_names == ["old_id", "object_id"]
    assert version.ambiguous().num_rows == version.conservation().num_rows == 0
    assert Version.open(tmp_path, 0).files == {}
    assert version.leaves_with([1]) == ()
    assert published(tmp_path) == []


def test_opened_is_what_was_published(store, tmp_path):
    opened = Version.open(tmp_path, 2)
    assert opened.files == store.files
    assert opened.tree == store.tree
    assert opened.parameters == {"radius": 1.0}
    assert opened.totals["light_curve"] == 300 * 7
    assert opened.totals["objects"] == 300
    assert published(tmp_path) == [1, 2]
    assert opened.check(hashes=True) == []
    assert pickle.loads(pickle.dumps(opened)).files == opened.files


def test_every_row_is_in_its_leaf(store):
    for dataset in ("light_curve", "objects"):
        for leaf in store.leaves(dataset):
            table = store.read(dataset, leaf)
            low, high = leaf.cells
            assert table.num_rows == store.rows(dataset, leaf)
            assert all(low <= cell < high for cell in table["_healpix_29"].to_pylist())


def test_rows_of_several_files_come_in_order(store):
    leaf = store.leaves("light_curve")[0]
    assert len(store.files_of("light_curve", leaf)) == 2
    table = store.read("light_curve", leaf, ["mjd_mid", "object_id"])
    assert table.column_names == ["mjd_mid", "object_id"]
    pairs = list(zip(table["object_id"].to_pylist(), table["mjd_mid"].to_pylist(), strict=True))
    assert pairs == sorted(pairs)
    assert store.read("light_curve", leaf, ["flux"]).column_names == ["flux"]


def test_some_objects_of_a_leaf(store):
    leaf = store.leaves("light_curve")[0]
    table = store.read("light_curve", leaf)
    chosen = sorted(set(table["object_id"].to_pylist()))[1:3]
    found = store.read("light_curve", leaf, ids=chosen)
    assert found.equals(table.filter(pc.is_in(table["object_id"], pa.array(chosen))))
    assert store.read("light_curve", leaf, ["flux"], ids=chosen).num_rows == 14
    assert store.read("light_curve", leaf, ids=[]).num_rows == 0
    assert store.read("light_curve", leaf, ids=[7]).num_rows == 0


def test_paths_of_an_object(store):
    for leaf in store.leaves("light_curve"):
        object_id = store.read("light_curve", leaf, ["object_id"])["object_id"][0].as_py()
        paths = store.paths("light_curve", [(object_id, object_id + 1)])
        assert paths == [store.folder / file.path for file in store.files_of("light_curve", leaf)]
        assert all(path.is_file() for path in paths)
    assert store.paths("light_curve", []) == []
    assert store.paths("light_curve", [(5, 5)]) == []
    assert len(store.paths("light_curve", [(0, ids.N_IDS)])) == len(store.paths("light_curve")) == 2 * len(store.leaves("light_curve"))


def test_an_object_whose_mean_lies_in_another_leaf_is_found_by_its_id(tmp_path, rng):
    """Founded on one side of a border, its mean drifts to the other side."""
    ra, dec = np.array([44.9999, 45.5, 89.99999]), np.array([30.0, 30.0, 60.0])
    founded = ids.object_ids(cell_of(ra, dec, 29))
    tree = Tree.base().split(Leaf(0, 0))
    moved_ra = np.array([45.0, 45.5, 90.00001])
    version = publish(tmp_path, 1, objs=objects(rng, moved_ra, dec, founded), tree=tree)
    for object_id, leaf_ra, leaf_dec in zip(founded.tolist(), moved_ra, dec, strict=True):
        leaf = tree.leaves[int(tree.index_of(cell_of(leaf_ra, leaf_dec, 29))[0])]
        paths = Version.open(tmp_path, 1).paths("objects", [(object_id, object_id + 1)])
        assert version.folder / version.files_of("objects", leaf)[0].path in paths
        assert object_id in version.read("objects", leaf)["object_id"].to_pylist()
    strays = [file.strays for stored in version.files.values() for file in stored if file.strays]
    assert sum(map(len, strays)) >= 1
    assert version.paths("objects", [Leaf(0, 9).range]) == []


def test_leaves_that_hold_a_catalog(tmp_path, rng):
    first = publish(tmp_path, 1, curves=light_curves(rng, np.array([10.0, 200.0]), np.array([5.0, 5.0]), 2))
    version = publish(tmp_path, 2, curves=light_curves(rng, np.array([10.0]), np.array([5.0]), 1, first_catalog=7), previous=first)
    assert len(version.leaves_with([1])) == 2
    assert version.leaves_with([7]) == (version.tree.leaf_of(int(ids.object_ids(cell_of(10.0, 5.0, 29))[0])),)
    assert version.leaves_with([99]) == version.leaves_with([]) == ()


def test_small_tables(tmp_path):
    with Builder(tmp_path, Version.none(tmp_path), 1, {}) as builder:
        builder.set_aliases(table_of("aliases", {"old_id": [9, 4], "object_id": [2, 2]}))
        builder.set_ambiguous(table_of("ambiguous", {"object_id": [3], "other_id": [None], "separation": [0.4]}))
        builder.set_conservation(
            table_of("conservation", {name: [1] for name in ("catalog_id", "rows", "light_curve", "orphans", "unplaced")})
        )
        builder.unplaced(table_of("unplaced", {"catalog_id": [2, 1], "row": [0, 0], "frame_id": [5, 6]}))
        builder.set_aliases(table_of("aliases", {"old_id": [9, 4, 1], "object_id": [2, 2, 2]}))
        version = builder.publish()
    assert version.aliases()["old_id"].to_pylist() == [1, 4, 9]
    assert version.ambiguous()["other_id"].to_pylist() == [None]
    assert version.conservation()["rows"].to_pylist() == [1]
    assert version.read("unplaced")["catalog_id"].to_pylist() == [1, 2]
    assert version.rows("unplaced") == 2
    assert version.paths("unplaced", [(1, 2)]) == version.paths("unplaced") == [version.folder / "unplaced" / "000001.parquet"]
    assert version.totals["aliases"] == 3


def test_no_such_dataset(store):
    with pytest.raises(InputError, match="dataset 'aliases': must be one of light_curve"):
        store.paths("aliases")


def test_a_version_that_is_not_there(tmp_path):
    with pytest.raises(StoreError, match=r"store/3/manifest.json: is missing.*--rebuild"):
        Version.open(tmp_path, 3)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff\xfe"], ids=["empty", "torn", "list", "binary"])
def test_a_torn_manifest(store, tmp_path, text):
    (store.folder / "manifest.json").write_bytes(text)
    with pytest.raises(StoreError, match="manifest.json: is damaged"):
        Version.open(tmp_path, 2)


@pytest.mark.parametrize(("key", "value"), [("format", 2), ("number", 7), ("format", None)])
def test_a_manifest_of_another_version(store, tmp_path, key, value):
    path = store.folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(StoreError, match="must be of format 1 and number 2, found format"):
        Version.open(tmp_path, 2)


@pytest.mark.parametrize("key", ["leaves", "files", "parameters"])
def test_a_manifest_with_a_part_missing(store, tmp_path, key):
    path = store.folder / "manifest.json"
    found = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in found.items() if name != key}))
    with pytest.raises(StoreError, match="manifest.json: is damaged"):
        Version.open(tmp_path, 2)
    path.write_text(json.dumps({**found, "leaves": found["leaves"][1:]}))
    with pytest.raises(StoreError, match="gap or an overlap"):
        Version.open(tmp_path, 2)


def test_damaged_files_are_told(store):
    missing, torn, other = store.paths("light_curve")[:3]
    content = other.read_bytes()
    missing.unlink()
    torn.write_bytes(torn.read_bytes()[:-10])
    other.unlink()
    other.write_bytes(content[:-30] + b"x" + content[-29:])
    assert sum("is missing" in line or "found" in line for line in store.check()) == 2
    assert len(store.check(hashes=True)) == 3
    with pytest.raises(StoreError, match="is missing from the light-curve store"):
        store.read("light_curve", store.leaves("light_curve")[0])


def test_manifest_is_canonical(store):
    text = (store.folder / "manifest.json").read_text()
    assert json.dumps(json.loads(text), sort_keys=True, separators=(",", ":")) + "\n" == text
    assert Place("objects", None) not in store.files
    assert all_rows(store).num_rows == 2100
