"""An image with what was measured on it."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex

from ezarchive import plots, simulate
from ezarchive.plots import Overlay
from ezarchive.plots.common import colours

pytestmark = pytest.mark.pure


def test_the_box_is_drawn_where_it_lies_with_apertures_to_scale():
    data = np.random.default_rng(1).normal(100, 5, (60, 90))
    before = data.copy()
    overlays = [Overlay([(40, 30, 5.5), (45.25, 31, 6, 3, 20)], "measured", "#56B4E9"), Overlay([], "nothing")]
    figure = plots.sources(data, data[20:41, 30:61], corner=(30, 20), overlays=overlays, positions=([40, 45.25], [30, 31]), title="t")
    left, right = figure.axes[:2]
    assert (left.get_xlim(), left.get_ylim()) == ((-0.5, 89.5), (-0.5, 59.5))
    assert (right.get_xlim(), right.get_ylim()) == ((29.5, 60.5), (19.5, 40.5))
    (box,) = left.patches
    assert box.get_bbox().bounds == (29.5, 19.5, 31, 21)
    (found,) = right.collections
    np.testing.assert_allclose(np.array(found.get_offsets()), [(40, 30), (45.25, 31)])
    np.testing.assert_allclose(found.get_widths(), [11, 12])
    np.testing.assert_allclose(found.get_heights(), [11, 6])
    assert to_hex(found.get_edgecolor()[0]) == "#56b4e9"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["measured", "nothing"]
    assert left.lines[0].get_xydata().tolist() == [[40, 30], [45.25, 31]]
    assert figure.get_suptitle() == "t"
    np.testing.assert_array_equal(data, before)


def test_without_anything_to_draw_there_is_the_image():
    figure = plots.sources(np.zeros((30, 40)), np.zeros((5, 5)), corner=(3, 4))
    assert not figure.legends
    assert not figure.axes[1].collections


def test_crowded_fields_get_smaller_marks():
    data = np.zeros((50, 50))
    sizes = [
        plots.sources(data, data, corner=(0, 0), positions=np.zeros((2, n))).axes[0].lines[0].get_markersize() for n in (1, 1000, 30_000)
    ]
    assert sizes[0] == 5.0
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] >= 0.6


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_on_the_sky_in_every_format(tmp_path, suffix):
    image = simulate.frame((80, 100), 10)
    figure = plots.sources(
        image.data, image.data[10:50, 20:60], corner=(20, 10), wcs=image.truth.exposure.wcs, overlays=[Overlay([(40, 30, 5)], "5")]
    )
    assert plots.save(figure, tmp_path / f"a.{suffix}").stat().st_size > 5000
    assert [c.get_axislabel() for c in figure.axes[1].coords] == ["RA (deg)", "Dec (deg)"]


def test_colours_on_grey_are_many_and_apart():
    for n in (1, 6, 20):
        assert len({to_hex(colour) for colour in colours(n, on_grey=True)}) == n
