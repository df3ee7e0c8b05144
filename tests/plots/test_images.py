"""Images as figures."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.wcs import WCS
from matplotlib.collections import EllipseCollection

from ezarchive import plots, simulate
from ezarchive.errors import InputError


@pytest.mark.pure
def test_an_image_keeps_the_pixels_of_the_full_one():
    data = np.random.default_rng(1).normal(100, 5, (130, 250))
    before = data.copy()
    axes = plots.image(data, downsample=4, title="t", apertures=[(30, 40, 9.9), (50, 60, 10, 5, 30)]).axes[0]
    drawn = axes.images[0]
    assert drawn.get_array().shape == (33, 63)
    assert tuple(drawn.get_extent()) == (-0.5, 251.5, -0.5, 131.5)
    assert axes.get_xlim() == (-0.5, 249.5)
    assert axes.get_ylim() == (-0.5, 129.5)
    (ellipses,) = [c for c in axes.collections if isinstance(c, EllipseCollection)]
    np.testing.assert_array_equal(ellipses.get_offsets(), [(30, 40), (50, 60)])
    np.testing.assert_allclose(ellipses.get_widths(), [19.8, 20])
    np.testing.assert_allclose(ellipses.get_heights(), [19.8, 10])
    np.testing.assert_allclose(ellipses.get_angles(), [0, 30])
    np.testing.assert_array_equal(data, before)


@pytest.mark.pure
def test_a_piece_of_an_image_lies_in_its_place():
    axes = plots.image(np.zeros((20, 30)), corner=(100, 50)).axes[0]
    assert tuple(axes.images[0].get_extent()) == (99.5, 129.5, 49.5, 69.5)
    assert axes.get_xlim() == (99.5, 129.5)
    assert axes.get_ylim() == (49.5, 69.5)


@pytest.mark.pure
def test_limits():
    data = np.arange(100.0).reshape(10, 10)
    data[0, 0] = np.nan
    assert plots.image(data, limits="minmax").axes[0].images[0].get_clim() == (1, 99)
    assert plots.image(data, limits=(5, 20)).axes[0].images[0].get_clim() == (5, 20)
    low, high = plots.image(data).axes[0].images[0].get_clim()
    assert 0 <= low < high <= 100
    assert plots.image(np.full((5, 5), np.nan)).axes[0].images[0].get_clim() == (0, 1)


@pytest.mark.pure
@pytest.mark.parametrize("telescope", ["7DT01", "7DT02", "7DT14"])
def test_sky_coordinates(telescope, tmp_path):
    image = simulate.frame((150, 200), 10, telescope=telescope)
    figure = plots.image(image.data, wcs=image.truth.exposure.wcs, label="ADU")
    plots.save(figure, tmp_path / "a.png")
    axes = figure.axes[0]
    assert [c.get_axislabel() for c in axes.coords] == ["RA (deg)", "Dec (deg)"]
    assert axes.get_xlim() == (-0.5, 199.5)
    assert figure.axes[1].get_ylabel() == "ADU"


@pytest.mark.pure
@pytest.mark.parametrize(("system", "names"), [("GLON GLAT", ["galactic longitude", "galactic latitude"]), ("DEC- RA--", ["Dec", "RA"])])
def test_the_axes_are_named_after_the_system_of_the_wcs(system, names):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [f"{name}-TAN" for name in system.split()]
    wcs.wcs.cdelt = [0.001, 0.001]
    axes = plots.image(np.zeros((20, 30)), wcs=wcs).axes[0]
    assert [coordinate.get_axislabel() for coordinate in axes.coords] == [f"{name} (deg)" for name in names]


@pytest.mark.pure
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data": np.zeros(5)}, r"data: has shape \(5,\)"),
        ({"data": np.zeros((0, 5))}, r"data: has shape \(0, 5\)"),
        ({"limits": "log"}, "limits 'log': must be 'zscale', 'minmax' or two values"),
        ({"limits": (5, 5)}, r"limits \(5, 5\): must be 'zscale', 'minmax' or two finite values, the lower first"),
        ({"limits": 5}, "limits 5: must be 'zscale', 'minmax' or two finite values"),
        ({"limits": (1, 2, 3)}, r"limits \(1, 2, 3\): must be 'zscale'"),
        ({"limits": ("1", "2")}, r"limits \('1', '2'\): must be 'zscale'"),
        ({"data": np.array([["a"]])}, "data: must hold real numbers, found dtype <U1"),
        ({"downsample": 0}, "downsample 0: must be a whole number from 1"),
        ({"apertures": [(1, 2)]}, r"apertures: holds \(1, 2\)"),
        ({"cmap": "grey scale"}, "cmap 'grey scale': must be a colour map"),
    ],
)
def test_wrong_images(arguments, message):
    with pytest.raises(InputError, match=message):
        plots.image(**{"data": np.zeros((5, 5)), **arguments})
