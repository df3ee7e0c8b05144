"""The SQL that questions become."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ezarchive import sky
from ezarchive.database.conditions import FrameQuery, parse_regions
from ezarchive.database.queries import root_id
from ezarchive.errors import UnknownNameError


@pytest.mark.pure
class TestParseRegions:
    @given(st.lists(st.lists(st.tuples(st.floats(0, 359), st.floats(-90, 90)), min_size=3, max_size=9), min_size=1, max_size=6))
    def test_is_that_of_sky_one_by_one(self, polygons):
        texts = [sky.s_region(np.array(vertices)) for vertices in polygons]
        for found, text in zip(parse_regions(texts), texts, strict=True):
            np.testing.assert_array_equal(found, sky.parse_region(text))


@pytest.mark.pure
class TestFrameQuery:
    @pytest.mark.parametrize("conditions", [{}, {"root": "x"}, {"kinds": ("bias",)}, {"names": {"filter": ("r",), "night": ("2025*",)}}])
    def test_counts_answer_names(self, conditions):
        assert FrameQuery(**conditions).of_rollup

    @pytest.mark.parametrize(
        "conditions",
        [
            {"ranges": {"seeing": (1, 2)}}, {"cone": (0, 0, 1)}, {"pattern": "*"}, {"mjd": (0, 1)}, {"available": False}, {"limit": 0},
            {"names": {"object_raw": ("x",)}},
        ],
    )  # fmt: skip
    def test_counts_do_not_answer_the_rest(self, conditions):
        assert not FrameQuery(**conditions).of_rollup

    def test_is_frozen(self):
        with pytest.raises(AttributeError, match="cannot assign to field 'root'"):
            FrameQuery().root = "x"


def test_root_id(world):
    with world.database.connect() as conn:
        assert root_id(conn, "calib") == world.roots["calib"]
        with pytest.raises(UnknownNameError, match=r"root 'calibs': did you mean 'calib'\?"):
            root_id(conn, "calibs")
