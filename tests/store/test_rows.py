"""What goes into the grouping."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive.store.rows import PAIR, Known

pytestmark = pytest.mark.pure


def test_no_objects():
    known = Known.none()
    assert {len(field) for field in known} == {0}
    assert known.object_id.dtype == known.site.dtype == known.site_object.dtype == np.int64
    assert known.ambiguous.dtype == known.site_rim.dtype == np.bool_


def test_pairs_have_the_columns_of_the_table():
    assert PAIR.names == ("object_id", "other_id", "separation")
