"""The part of an image that a view shows."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive.errors import InputError
from ezarchive.quicklook.display.previews import preview
from ezarchive.quicklook.display.zooming import zoom_box


@pytest.mark.parametrize(
    ("shape", "values", "box"),
    [
        ((100, 200), {}, (-0.5, 199.5, -0.5, 99.5)),
        ((100, 200), {"zoom": 1}, (-0.5, 199.5, -0.5, 99.5)),
        ((100, 200), {"zoom": 4, "center": (0, 0)}, (-25, 25, -12.5, 12.5)),
        ((100, 200), {"view": (400, 400)}, (-0.5, 199.5, -50.5, 149.5)),
        ((100, 200), {"zoom": 0.5, "view": (10, 20), "center": (5, 6)}, (-15, 25, -4, 16)),
        ((1, 1), {"zoom": 1e-3}, (-500, 500, -500, 500)),
    ],
)
def test_boxes(shape, values, box):
    assert zoom_box(shape, **values) == pytest.approx(box, abs=1e-12)


def test_a_box_makes_a_preview():
    data = np.arange(200.0).reshape(10, 20)
    found = preview(data, box=zoom_box(data.shape, 5, center=(7, 3)))
    np.testing.assert_array_equal(found.data, data[2:5, 5:10])


@pytest.mark.parametrize("wrong", [0, -1, 0.0, np.nan, np.inf, "fitting", "2", None, True])
def test_what_is_no_zoom(wrong):
    with pytest.raises(InputError, match="Unsupported zoom level"):
        zoom_box((10, 10), wrong)


@pytest.mark.parametrize(
    ("values", "match"),
    [({"view": (0, 5)}, "view="), ({"view": 5}, "view="), ({"center": (1, np.nan)}, "center="), ({"center": (1,)}, "center=")],
)
def test_what_is_no_view(values, match):
    with pytest.raises(InputError, match=match):
        zoom_box((10, 10), **values)
