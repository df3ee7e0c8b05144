"""Masks, backgrounds and noise beside their image."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive import plots, simulate
from ezarchive.errors import InputError
from ezarchive.plots import Panel

pytestmark = pytest.mark.pure


def test_panels_have_their_own_scales_and_share_the_view():
    data = np.random.default_rng(2).normal(100, 5, (50, 80))
    figure = plots.panels([Panel(data, "image", (90, 110)), Panel(data * 0 + 3, "background", (0, 5))], title="a.fits", label="ADU")
    first, second = figure.axes[:2]
    assert [axes.get_title() for axes in (first, second)] == ["image", "background"]
    assert [axes.images[0].get_clim() for axes in (first, second)] == [(90, 110), (0, 5)]
    assert first.get_xlim() == second.get_xlim() == (-0.5, 79.5)
    assert (first.get_ylabel(), second.get_ylabel()) == ("y (pixel)", "")
    assert {axes.get_ylabel() for axes in figure.axes[2:]} == {"ADU"}
    first.set_xlim(10, 20)
    assert second.get_xlim() == (10, 20)


def test_a_mask_covers_its_pixels_and_a_part_of_a_block_is_still_seen():
    mask = np.zeros((100, 120), bool)
    mask[40:60, 20:80] = True
    mask[90, 100] = True
    figure = plots.panels([Panel(np.zeros((100, 120)), "mask", (0, 1), mask=mask)], downsample=10)
    image, cover = figure.axes[0].images
    assert cover.get_extent() == image.get_extent()
    opacity = cover.get_array()[..., 3]
    expected = np.zeros((10, 12), np.float32)
    expected[4:6, 2:8] = 0.65
    expected[9, 10] = 0.65 * 0.1
    np.testing.assert_allclose(np.asarray(opacity), expected, rtol=1e-6)
    assert figure.axes[0].get_xlim() == (-0.5, 119.5)


def test_on_the_sky(tmp_path):
    image = simulate.frame((60, 90), 10)
    figure = plots.panels([Panel(image.data), Panel(image.data), Panel(image.data)], wcs=image.truth.exposure.wcs)
    plots.save(figure, tmp_path / "a.png")
    assert [axes.coords[1].get_ticklabel_visible() for axes in figure.axes[:3]] == [True, False, False]
    assert figure.axes[0].coords[1].get_axislabel() == "Dec (deg)"


@pytest.mark.parametrize("shapes", [[], [(5, 5), (5, 6)]])
def test_panels_of_several_images_are_refused(shapes):
    with pytest.raises(InputError, match="rows: must be one panel or more of one shape"):
        plots.panels([Panel(np.zeros(shape)) for shape in shapes])
