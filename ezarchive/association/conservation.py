"""Every row of every catalog is in the store once: where it is, and the check."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from ezarchive.errors import StoreError
from ezarchive.store.version import Version


def count(version: Version, rows: Mapping[int, int]) -> pa.Table:
    """Count the rows of each catalog in a version of the store.

    Parameters
    ----------
    version : Version
    rows : mapping
        Catalog -> rows that it holds.

    Returns
    -------
    pyarrow.Table
        ``catalog_id rows light_curve orphans unplaced``, by catalog; also of catalogs that should not be there, with no ``rows``.
    """
    found = {name: _counts(version, dataset) for name, dataset in _DATASETS.items()}
    ids = sorted(set(rows).union(*found.values()))
    columns = {name: [counts.get(number, 0) for number in ids] for name, counts in (("rows", rows), *found.items())}
    return pa.table({"catalog_id": pa.array(ids, pa.int64()), **{name: pa.array(values, pa.int64()) for name, values in columns.items()}})


_DATASETS = {"light_curve": "contents", "orphans": "orphans", "unplaced": "unplaced"}


def _counts(version: Version, dataset: str) -> dict[int, int]:
    counts: dict[int, int] = {}
    leaves = (None,) if dataset == "unplaced" else version.leaves(dataset)
    for leaf in leaves:
        table = version.read(dataset, leaf, ["catalog_id", "rows"] if dataset == "contents" else ["catalog_id"])
        ids, place = np.unique(table["catalog_id"].to_numpy(), return_inverse=True)
        weights = table["rows"].to_numpy() if dataset == "contents" else None
        numbers = np.bincount(place, weights=weights, minlength=len(ids)).astype(np.int64)
        for number, rows in zip(ids.tolist(), numbers.tolist(), strict=True):
            counts[number] = counts.get(number, 0) + rows
    return counts


def check(table: pa.Table) -> None:
    """Refuse a store in which a row of a catalog is missing or twice.

    Parameters
    ----------
    table : pyarrow.Table
        Of `count`.

    Raises
    ------
    StoreError
        If rows in are not rows out; the message names the first catalog.
    """
    rows = table["rows"].to_numpy()
    out = sum(table[name].to_numpy() for name in ("light_curve", "orphans", "unplaced"))
    wrong = np.flatnonzero(rows != out)
    if len(wrong):
        first = int(wrong[0])
        numbers = {name: table[name][first].as_py() for name in table.column_names}
        raise StoreError(
            f"catalog {numbers.pop('catalog_id')}: {numbers['rows']} rows must be in the store, found {out[first]} ({numbers})"
        )
