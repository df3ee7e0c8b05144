"""What objects turned out to be: aliases of those that were merged, and pairs that share a place."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from ezarchive.association.deciding import present
from ezarchive.errors import StoreError


def pairs_of(table: pa.Table) -> np.ndarray:
    """Return a table of aliases as old and present ids, shape (k, 2), by the first."""
    pairs = np.stack([table[name].to_numpy() for name in ("old_id", "object_id")], axis=1).astype(np.int64)
    return pairs[np.argsort(pairs[:, 0], kind="stable")]


def followed(known: np.ndarray, merged: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return all aliases with what each id is in the end.

    Parameters
    ----------
    known : ndarray of int64, shape (k, 2)
        Aliases of before.
    merged : iterable of ndarray of int64, shape (m, 2)
        What each unit found: ids of known objects, and what they are.

    Returns
    -------
    aliases, new : ndarray of int64, shape (n, 2)
        All, and those that are new; both by the first.

    Raises
    ------
    StoreError
        If the merges go in a circle.
    """
    step = {int(old): int(new) for part in merged for old, new in part.tolist()}
    ends = {old: _end(step, old) for old in step}
    new = np.array(sorted(ends.items()), np.int64).reshape(-1, 2)
    whole = np.concatenate([np.stack([known[:, 0], present(known[:, 1], new)], axis=1), new])
    return whole[np.argsort(whole[:, 0], kind="stable")], new


def _end(step: dict[int, int], old: int) -> int:
    seen = {old}
    while old in step:
        old = step[old]
        if old in seen:
            raise StoreError(
                f"object {old}: was merged with itself by way of others; `ezarchive associate HOME --rebuild` makes the store anew"
            )
        seen.add(old)
    return old


def alias_table(pairs: np.ndarray) -> pa.Table:
    """Return aliases as ``columns.ALIAS``."""
    return pa.table({"old_id": pairs[:, 0], "object_id": pairs[:, 1]})


def ambiguous_table(known: pa.Table, found: Iterable[np.ndarray], aliases: np.ndarray) -> pa.Table:
    """Return the recorded pairs with those that were found now, under present ids; the first separation of a pair stays.

    Parameters
    ----------
    known : pyarrow.Table
        ``columns.AMBIGUOUS``.
    found : iterable of ndarray of grouping.PAIR
    aliases : ndarray of int64, shape (k, 2)

    Returns
    -------
    pyarrow.Table
        ``columns.AMBIGUOUS``.
    """
    before = [known["object_id"].to_numpy(), known["other_id"].fill_null(0).to_numpy(), known["separation"].fill_null(np.nan).to_numpy()]
    now = [np.concatenate([before[i], *(part[name] for part in found)]) for i, name in enumerate(("object_id", "other_id", "separation"))]
    one, other = (present(column.astype(np.int64), aliases) for column in now[:2])
    alone = other == 0
    low, high = np.where(alone, one, np.minimum(one, other)), np.where(alone, 0, np.maximum(one, other))
    apart = low != high
    low, high, separation = low[apart], high[apart], now[2][apart]
    _, first = np.unique(np.stack([low, high], axis=1), axis=0, return_index=True)
    low, high, separation = low[first], high[first], separation[first]
    return pa.table({
        "object_id": low, "other_id": pa.array(high, mask=high == 0), "separation": pa.array(separation, mask=np.isnan(separation)),
    })  # fmt: skip
