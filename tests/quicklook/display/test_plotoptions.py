"""Plot options: the defaults and ranges of the reference page, one layer and several, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ezarchive.errors import InputError
from ezarchive.quicklook.display.limits import display_limits
from ezarchive.quicklook.display.plotoptions import PlotOptions, mixed, unified
from ezarchive.quicklook.display.stretches import rendered

HUNDRED = np.arange(100.0).reshape(10, 10)


def test_the_defaults():
    found = PlotOptions()
    assert (found.stretch, found.percentile, found.contrast, found.bias, found.cmap, found.opacity) == ("linear", 95, 1, 0.5, "gray", 1)
    assert (found.visible, found.bitmap_visible, found.contour_visible, found.contour_n) == (True, True, False, 5)
    assert tuple(found.limits_of(HUNDRED)) == pytest.approx((2.475, 96.525))
    assert len(found.levels_of(HUNDRED)) == 0


def test_editing_a_limit_makes_it_custom():
    shown = PlotOptions(percentile=90)
    assert shown.preset == "90%"
    edited = shown.changed(v_min=0, limits=shown.limits_of(HUNDRED))
    assert (edited.preset, edited.percentile) == ("custom", (0.0, pytest.approx(94.05)))
    assert edited.changed(v_max=50).percentile == (0.0, 50.0)
    assert shown.changed(v_min=-1, v_max=0).percentile == (-1.0, 0.0)
    assert shown.percentile == 90
    assert edited.changed(percentile="zscale").preset == "zscale"
    assert PlotOptions(percentile="100").preset == "minmax"


def test_shades_and_levels():
    shown = PlotOptions(
        stretch="log", percentile="minmax", contrast=2, bias=0.3, contour_visible=True, contour_percentile=(0, 8), contour_n=3
    )
    expected = rendered(HUNDRED, display_limits(HUNDRED, 100), "log", contrast=2, bias=0.3)
    np.testing.assert_array_equal(shown.shades(HUNDRED, shown.limits_of(HUNDRED)), expected)
    assert shown.levels_of(HUNDRED).tolist() == [0, 4, 8]
    assert shown.changed(contour_levels="0, 7.5").levels_of(HUNDRED).tolist() == [0, 7.5]


def test_several_layers_at_once():
    layers = [PlotOptions(), PlotOptions(stretch="sqrt"), PlotOptions(opacity=0, percentile=(0, 1))]
    assert mixed(layers) == ("stretch", "percentile", "opacity")
    assert mixed(layers[:1]) == mixed([]) == ()
    same = unified(layers, stretch="log", opacity=0.5)
    assert mixed(same) == ("percentile",)
    assert mixed(unified(same, percentile=99)) == ()
    assert layers[0].stretch == "linear"


def test_there_and_back_as_json():
    for one in (PlotOptions(), PlotOptions(percentile=(0, 5), contour_levels=(1, 2), colour="red"), PlotOptions(percentile="zscale")):
        assert PlotOptions(**json.loads(json.dumps(one.to_dict(), allow_nan=False))) == one


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"stretch": "cube"}, "Invalid stretch"),
        ({"percentile": "auto"}, "Invalid autocut"),
        ({"percentile": 0}, "Invalid autocut"),
        ({"percentile": (1, 2, 3)}, "Invalid cut levels"),
        ({"percentile": ("a", "b")}, "Invalid cut levels"),
        ({"contour_percentile": None}, "Invalid autocut"),
        ({"cmap": ""}, "Invalid colormap"),
        ({"cmap": 3}, "Invalid colormap"),
        ({"colour": 3}, "colour=3"),
        ({"opacity": 1.01}, "opacity=1.01: must be from 0 to 1"),
        ({"opacity": np.nan}, "opacity=nan"),
        ({"contrast": 5}, "contrast=5: must be from 0 to 4"),
        ({"bias": -1e-20}, "bias=-1e-20: must be from 0 to 1"),
        ({"visible": 1}, "visible=1: must be True or False"),
        ({"contour_n": 0}, "contour_n=0"),
        ({"contour_levels": "1, x"}, "levels="),
        ({"strech": "log"}, "strech: no plot option; did you mean 'stretch'"),
    ],
)
def test_what_is_refused(values, match):
    with pytest.raises(InputError, match=match):
        PlotOptions().changed(**values)


def test_one_limit_alone_is_not_enough():
    with pytest.raises(InputError, match="limits: must be given"):
        PlotOptions().changed(v_min=0.0)
    with pytest.raises(InputError, match="Invalid cut levels"):
        PlotOptions().changed(v_min=5.0, limits=(0.0, 1.0))
