"""The numbers of a shape as a person edits them."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive.errors import InputError
from ezarchive.quicklook.regions.shapes import Annulus, Circle, Ellipse, Polygon, Raster, Rectangle
from ezarchive.quicklook.regions.subsets import Subsets
from ezarchive.quicklook.regions.subsetvalues import values_of, with_values

pytestmark = pytest.mark.pure

VALUES = [
    (Circle(1, 2, 3), {"x": 0, "radius": 5}, Circle(0, 2, 5)),
    (Ellipse(1, 2, 3, 2, 10), {"theta": 0, "b": 4}, Ellipse(1, 2, 3, 4, 0)),
    (Rectangle(1, 2, 4, 2, 10), {"xmin": 0, "ymax": 5}, Rectangle(1.5, 3, 3, 4, 10)),
    (Annulus(Circle(1, 2, 3), Circle(1, 2, 5)), {"x": 0, "outer_radius": 9}, Annulus(Circle(0, 2, 3), Circle(0, 2, 9))),
    (
        Annulus(Ellipse(1, 2, 3, 2, 10), Ellipse(1, 2, 5, 4, 10)),
        {"theta": 0, "inner_b": 1},
        Annulus(Ellipse(1, 2, 3, 1, 0), Ellipse(1, 2, 5, 4, 0)),
    ),
    (Polygon([(0, 0), (3, 0), (3, 3)]), {"vertices": [(0, 0), (4, 0), (4, 4)]}, Polygon([(0, 0), (4, 0), (4, 4)])),
]


@pytest.mark.parametrize(("shape", "values", "want"), VALUES, ids=lambda one: getattr(one, "kind", ""))
def test_edit(shape, values, want):
    assert with_values(shape, values) == want
    assert with_values(shape, values_of(shape)) == shape
    subsets = Subsets()
    label = subsets.add(shape).label
    assert subsets.edit(label).shape == shape
    assert subsets.edit(label, **values).shape == want


@pytest.mark.parametrize(
    ("shape", "values", "message"),
    [
        (Rectangle(0, 0, 4, 2), {"xmin": 5, "xmax": 0}, r"xmin=5: must be below xmax=0"),
        (Rectangle(0, 0, 4, 2), {"ymin": 0, "ymax": 0}, r"ymin=0: must be below ymax=0"),
        (Rectangle(5, 0, 4, 2), {"xmax": 0}, r"xmin=3: must be below xmax=0"),
        (Annulus(Circle(0, 0, 1), Circle(0, 0, 2)), {"inner_radius": 2}, r"inner radius=2.0: must be below the outer radius=2.0"),
        (Annulus(Circle(0, 0, 1), Circle(0, 0, 2)), {"inner_radius": 0}, r"radius=0.0: must be a number above 0"),
        (Ellipse(0, 0, 4, 2), {"a": 0}, r"a=0.0: must be a number above 0"),
        (Raster(np.ones((2, 2), bool)), {"x": 1}, r"x: must be one of nothing, as a mask cannot be edited"),
    ],
)
def test_zero_is_a_number_that_is_checked(shape, values, message):
    with pytest.raises(InputError, match=message):
        with_values(shape, values)
