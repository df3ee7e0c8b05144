"""Measurements as a query gives them, ensemble by ensemble."""

from __future__ import annotations

import pyarrow as pa
import pytest

from ezarchive.differential.ensembles import grouped, same_aperture


def test_groups_have_names_and_missing_ones_are_a_group_too() -> None:
    table = pa.table({"filter": ["r", None, "g", "r"], "telname": ["A", "A", None, "B"], "n": [1, 2, 3, 4]})
    found = [(names, rows["n"].to_pylist()) for names, rows in grouped(table, ("filter",))]
    assert found == [({"filter": ""}, [2]), ({"filter": "g"}, [3]), ({"filter": "r"}, [1, 4])]
    found = [(tuple(names.values()), rows["n"].to_pylist()) for names, rows in grouped(table, ("filter", "telname"))]
    assert found == [(("", "A"), [2]), (("g", ""), [3]), (("r", "A"), [1]), (("r", "B"), [4])]
    assert list(grouped(table.slice(0, 0), ("filter",))) == []


@pytest.mark.parametrize(("diameter", "wanted"), [(5.0, 1), (5.04, 1), (6.99, 2), (6.0, None)])
def test_zero_points_are_found_by_the_size_of_the_aperture(diameter: float, wanted: int | None) -> None:
    stored = [
        {"measure": "AUTO", "aperture": None, "n": 0},
        *({"measure": "APER", "aperture": size, "n": n} for n, size in ((1, 5.0), (2, 7.0))),
    ]
    found = same_aperture(stored, diameter)
    assert (None if found is None else found["n"]) == wanted
