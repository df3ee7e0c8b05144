"""The writer alone: what it refuses, what it tells, and that it can be sent elsewhere."""

from __future__ import annotations

import pickle

import numpy as np
import pyarrow as pa
import pytest
from storetables import light_curves, objects, random_places, split, table_of

from ezarchive.errors import InputError
from ezarchive.sky import cell_of
from ezarchive.store import files, ids
from ezarchive.store.tree import Leaf, Tree
from ezarchive.store.writer import Writer


@pytest.fixture
def rng():
    return np.random.default_rng(4)


@pytest.fixture
def writer(tmp_path):
    return Writer(tmp_path, 7)


@pytest.fixture
def curves(rng):
    return light_curves(rng, *random_places(rng, 30, ra=(40, 50), dec=(5, 15)), 3)


def sorted_curves(curves):
    return curves.take(pa.array(files.sort_order(curves, files.ORDERS["light_curve"])))


def test_add(writer, curves):
    (leaf,) = split(curves, Tree.base())
    change, contents = writer.add(leaf, curves)
    assert change.place == ("light_curve", leaf)
    assert not change.replaces
    (file,) = change.files
    assert (file.rows, file.strays) == (90, ())
    assert sum(rows for _, rows in file.cells) == 90
    assert files.read(writer.folder / file.path).equals(sorted_curves(curves))
    assert files.read(writer.folder / contents.files[0].path).to_pydict() == {"catalog_id": [1, 2, 3], "rows": [30, 30, 30]}
    assert writer.add(leaf, curves.slice(0, 0)) == ()


def test_rewrite_is_what_add_writes(writer, curves, tmp_path):
    (leaf,) = split(curves, Tree.base())
    added, _ = writer.add(leaf, curves)
    table = sorted_curves(curves)
    change, contents = Writer(tmp_path / "other", 7).rewrite(leaf, [table.slice(0, 33), table.slice(33, 0), table.slice(33)])
    assert change.replaces
    assert contents.replaces
    assert change.files == added.files
    gone = writer.rewrite(leaf, [])
    assert [(item.replaces, item.files) for item in gone] == [(True, ()), (True, ())]


def test_strays_are_told(writer, rng):
    ra, dec = np.array([89.99999, 80.0, 70.0]), np.full(3, 60.0)
    founded = ids.object_ids(cell_of([90.00001, 80.0, 70.0], dec, 29))
    table = objects(rng, ra, dec, founded)
    (leaf,) = split(table, Tree.base())
    (change,) = writer.replace(leaf, "objects", table)
    assert change.files[0].strays == (int(ids.cell_12(founded)[0]),)


def test_rows_of_another_leaf_are_refused(writer, curves):
    with pytest.raises(InputError, match=r"table of light_curve: column '_healpix_29' must lie in the leaf \(0, 5\)"):
        writer.add(Leaf(0, 5), curves)
    sites = table_of("sites", {"site": [~(3 << 40), 5], "object_id": [1, 1]})
    with pytest.raises(InputError, match=r"table of sites: column 'site' must lie in the leaf \(0, 0\)"):
        writer.replace(Leaf(0, 0), "sites", sites)


def test_rows_out_of_order_are_refused(writer, curves):
    (leaf,) = split(curves, Tree.base())
    table = sorted_curves(curves)
    with pytest.raises(InputError, match="must come sorted by object_id, mjd_mid"):
        writer.rewrite(leaf, [table.take(pa.array(np.arange(90)[::-1]))])
    with pytest.raises(InputError, match="must come sorted by object_id, mjd_mid"):
        writer.rewrite(leaf, [table.slice(50), table.slice(0, 50)])


def test_places_that_are_none(writer, curves):
    with pytest.raises(InputError, match="dataset 'nonsense'"):
        writer.replace(Leaf(0, 0), "nonsense", curves)
    with pytest.raises(InputError, match="with a leaf, or unplaced without"):
        writer.replace(None, "objects", curves)


def test_unplaced(writer):
    table = table_of("unplaced", {"catalog_id": [3], "row": [1]})
    (change,) = writer.add_unplaced(table)
    assert change.place == ("unplaced", None)
    assert change.files[0].cells == ()


def test_can_be_sent(writer, curves):
    (leaf,) = split(curves, Tree.base())
    changes = pickle.loads(pickle.dumps(writer)).add(leaf, curves)
    assert pickle.loads(pickle.dumps(changes)) == changes
