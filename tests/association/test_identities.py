"""Aliases and pairs."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from ezarchive.association import identities
from ezarchive.errors import StoreError
from ezarchive.store import files
from ezarchive.store.grouping import PAIR


def pairs(*values):
    return np.array(values, np.int64).reshape(-1, 2)


def test_merges_are_followed_to_their_end():
    aliases, new = identities.followed(pairs((3, 5), (9, 5)), [pairs((5, 4)), pairs((4, 2)), pairs((5, 4))])
    assert aliases.tolist() == [[3, 2], [4, 2], [5, 2], [9, 2]]
    assert new.tolist() == [[4, 2], [5, 2]]
    assert identities.followed(pairs(), [])[0].shape == (0, 2)
    assert identities.pairs_of(identities.alias_table(aliases)).tolist() == aliases.tolist()


def test_a_circle_is_refused():
    with pytest.raises(StoreError, match="object 1: was merged with itself"):
        identities.followed(pairs(), [pairs((1, 2)), pairs((2, 1))])


def test_pairs_keep_their_first_separation_and_their_present_ids():
    known = pa.table({"object_id": [2, 7], "other_id": pa.array([8, None], pa.int64()), "separation": [1.5, None]})
    known = files.conform(known, "ambiguous")
    found = np.array([(2, 8, 1.7), (4, 9, 0.5), (3, 0, np.nan)], PAIR)
    table = identities.ambiguous_table(known, [found, found[:1]], pairs((4, 9), (7, 2)))
    assert table.to_pylist() == [
        {"object_id": 2, "other_id": None, "separation": None},
        {"object_id": 2, "other_id": 8, "separation": 1.5},
        {"object_id": 3, "other_id": None, "separation": None},
    ]
    nothing = identities.ambiguous_table(files.schema("ambiguous").empty_table(), [], pairs())
    assert len(files.conform(nothing, "ambiguous")) == 0
