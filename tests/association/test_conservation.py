"""The check that rows in are rows out."""

from __future__ import annotations

import pyarrow as pa
import pytest

from ezarchive.association import conservation
from ezarchive.errors import StoreError
from ezarchive.store.version import Version


def table(**columns):
    return pa.table({"catalog_id": [4, 5], "rows": [3, 2], "light_curve": [1, 2], "orphans": [1, 0], "unplaced": [1, 0], **columns})


def test_all_there():
    conservation.check(table())


@pytest.mark.parametrize("found", [1, 3])
def test_lost_or_twice(found):
    with pytest.raises(StoreError, match=f"catalog 5: 2 rows must be in the store, found {found} "):
        conservation.check(table(light_curve=[1, found]))


def test_a_catalog_that_should_not_be_there():
    with pytest.raises(StoreError, match="catalog 5: 0 rows must be in the store, found 2"):
        conservation.check(table(rows=[3, 0]))


def test_an_empty_store_lacks_what_was_read(tmp_path):
    counted = conservation.count(Version.none(tmp_path), {7: 0, 3: 2})
    assert counted["catalog_id"].to_pylist() == [3, 7]
    with pytest.raises(StoreError, match="catalog 3: 2 rows"):
        conservation.check(counted)
