"""Paths of the store, both ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ezarchive.errors import InputError
from ezarchive.store.paths import LEAF_DATASETS, file_path, hats_pixel, leaf_folder, parse, store_folder, version_folder
from ezarchive.store.tree import Leaf

pytestmark = pytest.mark.pure

LEAVES = st.integers(0, 12).flatmap(lambda order: st.builds(Leaf, st.just(order), st.integers(0, 12 * 4**order - 1)))


@given(dataset=st.sampled_from(LEAF_DATASETS), leaf=LEAVES, version=st.integers(1, 10**7), more=st.integers(0, 30))
def test_round_trip(dataset, leaf, version, more):
    assert parse(file_path(dataset, leaf, version, more)) == (dataset, leaf, version, more)


def test_unplaced_has_no_leaf():
    assert parse(file_path("unplaced", None, 3)) == ("unplaced", None, 3, 0)


def test_hats_layout():
    assert hats_pixel(Leaf(8, 123_456)) == "Norder=8/Dir=120000/Npix=123456"
    assert leaf_folder("sites", Leaf(2, 7)) == "sites/Norder=2/Npix=7"


def test_folders(tmp_path):
    assert version_folder(tmp_path, 12) == store_folder(tmp_path) / "12"


@pytest.mark.parametrize(
    ("dataset", "leaf"), [("light_curve", None), ("nonsense", Leaf(0, 0)), ("unplaced", Leaf(0, 0)), ("aliases", None)]
)
def test_no_such_dataset(dataset, leaf):
    with pytest.raises(InputError, match="must be one of light_curve"):
        file_path(dataset, leaf, 1)


@pytest.mark.parametrize(
    "path",
    ["", "objects/x.parquet", "objects/dataset/Norder=1/Dir=5/Npix=3/000001.parquet", "sites/Norder=1/Npix=3/1.parquet",
     "unplaced/Norder=0/Npix=1/000001.parquet", "nonsense/Norder=0/Npix=1/000001.parquet", "sites/Norder=1/Npix=3/000001-0.parquet"],
)  # fmt: skip
def test_no_path_of_the_store(path):
    with pytest.raises(InputError, match="is no file of the store"):
        parse(path)
