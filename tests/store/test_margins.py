"""Margins of the objects: complete to their threshold, renewed where objects change, and used by LSDB."""

from __future__ import annotations

import warnings

import numpy as np
import pyarrow as pa
import pytest
from storetables import objects, publish, split

from ezarchive.sky import cell_of, separation
from ezarchive.store.build import Builder
from ezarchive.store.margins import THRESHOLD_ARCSEC
from ezarchive.store.paths import MARGIN
from ezarchive.store.tree import Leaf, Tree, border_cells
from ezarchive.store.version import Version


def along_borders(rng, tree, n=60):
    """Places in the cells along the borders of all leaves."""
    ra, dec = [], []
    for leaf in tree.leaves:
        chosen = rng.choice(border_cells(leaf), n) << 34 | rng.integers(0, 1 << 34, n)
        place = _places(chosen)
        ra.append(place[0])
        dec.append(place[1])
    return np.concatenate(ra), np.concatenate(dec)


def _places(cells):
    from ezarchive.store import ids

    return ids.place(cells << 1)


@pytest.fixture
def rng():
    return np.random.default_rng(31)


def test_complete_to_the_threshold(tmp_path, rng):
    tree = Tree.base().split(Leaf(0, 5))
    ra, dec = along_borders(rng, tree)
    other_ra, other_dec = (
        (ra + rng.uniform(-1, 1, len(ra)) / 200 / np.maximum(np.cos(np.radians(dec)), 0.01)) % 360,
        np.clip(dec + rng.uniform(-1, 1, len(ra)) / 200, -90, 90),
    )
    all_ra, all_dec = np.append(ra, other_ra), np.append(dec, other_dec)
    version = publish(tmp_path, 1, objs=objects(rng, all_ra, all_dec), tree=tree)
    own = tree.index_of(cell_of(all_ra, all_dec, 29))
    n = len(ra)
    near = (separation(ra, dec, other_ra, other_dec) * 3600 <= THRESHOLD_ARCSEC) & (own[:n] != own[n:])
    assert near.sum() > 20
    ids_of = {leaf: set(version.read(MARGIN, leaf, ["object_id"])["object_id"].to_pylist()) for leaf in tree.leaves}
    theirs = objects(rng, all_ra, all_dec)["object_id"].to_numpy()
    for index in np.flatnonzero(near).tolist():
        assert theirs[n + index] in ids_of[tree.leaves[own[index]]]
        assert theirs[index] in ids_of[tree.leaves[own[n + index]]]
    for leaf, found in ids_of.items():
        assert not found & set(version.read("objects", leaf, ["object_id"])["object_id"].to_pylist())


def test_only_what_changed_is_written(tmp_path, rng):
    ra, dec = along_borders(rng, Tree.base(), 20)
    objs = objects(rng, ra, dec)
    first = publish(tmp_path, 1, objs=objs)
    leaf = Leaf(0, 4)
    with Builder(tmp_path, first, 2, {}) as builder:
        builder.replace(leaf, "objects", first.read("objects", leaf).slice(1))
        second = builder.publish()
    renewed = {other for other in second.leaves(MARGIN) if second.files_of(MARGIN, other) != first.files_of(MARGIN, other)}
    assert renewed == {leaf, *Tree.base().neighbours(leaf)}
    untouched = publish(tmp_path, 3, previous=second)
    assert untouched.files == second.files


def test_as_if_made_at_once(tmp_path, rng):
    """Whatever changes came before, the margins hold what a version made at once holds."""
    ra, dec = along_borders(rng, Tree.base().split(Leaf(0, 4)), 30)
    objs = objects(rng, ra, dec)
    first = publish(tmp_path, 1, objs=objs.filter(pa.array(rng.random(len(objs)) < 0.5)))
    with Builder(tmp_path, first, 2, {}) as builder:
        builder.divide(Leaf(0, 4))
        for leaf, table in split(objs, builder.tree).items():
            builder.replace(leaf, "objects", table)
        builder.replace(Leaf(0, 7), "objects", objs.slice(0, 0))
        second = builder.publish()
    kept = split(objs, second.tree)
    kept.pop(Leaf(0, 7))
    at_once = publish(tmp_path / "x", 1, objs=pa.concat_tables(kept.values()), tree=second.tree)
    assert second.leaves(MARGIN) == at_once.leaves(MARGIN)
    for leaf in second.leaves(MARGIN):
        assert second.read(MARGIN, leaf).equals(at_once.read(MARGIN, leaf))
    assert second.check(hashes=True) == []
    assert Leaf(0, 7) not in second.leaves(MARGIN)


def test_no_objects_no_margin(tmp_path):
    version = publish(tmp_path, 1)
    assert version.leaves(MARGIN) == ()
    assert not (version.folder / "collection.properties").exists()


@pytest.mark.slow
@pytest.mark.oracle
@pytest.mark.timeout(120)
@pytest.mark.filterwarnings("ignore:The inplace keyword")
def test_lsdb_matches_across_borders(tmp_path, rng):
    """Each object is matched to one whose nearest neighbour lies in the next pixel."""
    lsdb = pytest.importorskip("lsdb")
    validation = pytest.importorskip("hats.io.validation")
    ra, dec = np.full(40, 90.0), np.linspace(50, 80, 40)
    step = 2 / 3600 / np.cos(np.radians(dec))
    version = publish(tmp_path, 1, objs=objects(rng, np.append(ra - step, 300.0), np.append(dec, 0.0)))
    other = publish(tmp_path / "x", 1, objs=objects(rng, np.append(ra + step, 60.0), np.append(dec, 0.0)))
    both = publish(tmp_path / "y", 1, objs=objects(rng, np.concatenate([ra - step, ra + step]), np.tile(dec, 2)))
    assert validation.is_valid_catalog(both.folder, strict=True)
    assert both.totals[MARGIN] == 80
    assert Version.open(tmp_path / "y", 1).totals["objects"] == 80
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        whole = lsdb.open_catalog(both.folder)
        found = lsdb.open_catalog(version.folder / "objects").crossmatch(whole, radius_arcsec=10, n_neighbors=2).compute()
        mine = lsdb.open_catalog(other.folder / "objects").crossmatch(whole, radius_arcsec=10, n_neighbors=2).compute()
    assert whole.margin is not None
    assert len(found) == len(mine) == 80
