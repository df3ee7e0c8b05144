"""Layers on the pixels of the first."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from flatsky import tan

from ezarchive import plots
from ezarchive.errors import InputError
from ezarchive.plots.viewlayers import Layer, blended, sampled, smooth_on


def stars(wcs, n):
    """Gaussians of 4 arcsec on the sky, where they are by any WCS."""
    places = SkyCoord(10 + np.array([-12, 0, 9]) / 3600, 20 + np.array([3, -8, 11]) / 3600, unit="deg")
    sky = wcs.pixel_to_world(*np.meshgrid(np.arange(n), np.arange(n)))
    return sum(np.exp(-0.5 * (sky.separation(one).arcsec / 4) ** 2) for one in places)


def whole(n):
    return (-0.5, n - 0.5, -0.5, n - 0.5)


@pytest.mark.truth
@pytest.mark.parametrize(("scale", "turn", "parity", "n"), [(0.5, 33, -1, 200), (0.5, 120, 1, 200), (1.0, 10, -1, 100), (0.2, 70, -1, 500)])
def test_a_layer_of_another_wcs_lies_in_its_place(scale, turn, parity, n):
    first, other = tan(0.5, n=120), tan(scale, turn, parity, n)
    truth = stars(first, 120)
    layer = Layer(stars(other, n), wcs=other)
    grid, (mine, found) = sampled(Layer(truth, wcs=first), [layer], whole(120), 1200)
    np.testing.assert_array_equal(mine[:: round(1 / grid.side), :: round(1 / grid.side)], truth)
    split = round(1 / grid.side)
    assert split == (3 if scale == 0.2 else 1)
    back = found.reshape(120, split, 120, split).mean(axis=(1, 3))
    # Half the diagonal of its pixel by the steepest slope of a star, which others near it may add to.
    assert np.nanmax(np.abs(back - truth)) < 1.15 * scale * np.sqrt(0.5) * np.exp(-0.5) / 4
    smooth = smooth_on(Layer(truth, wcs=first), layer, grid).reshape(120, split, 120, split).mean(axis=(1, 3))
    assert np.nanmax(np.abs(smooth - truth)) < 0.02
    assert abs(np.nanmean(back - truth)) < 1e-3


@pytest.mark.pure
def test_nodes_and_splines_are_as_good_as_the_full_wcs():
    wide, other = tan(30, n=400), tan(20, 40, n=700)
    at = {}

    def by_wcs(x, y):
        at["asked"] = np.size(x)
        return other.world_to_pixel(wide.pixel_to_world(x, y))

    ramp = np.add.outer(np.arange(700.0), 1000 * np.arange(700.0))
    layer = Layer(ramp, wcs=other)
    grid, (_, found) = sampled(Layer(np.zeros((400, 400)), wcs=wide), [layer], whole(400), 1200)
    u, v = by_wcs(*np.meshgrid(grid.x, grid.y))
    expected = np.full(u.shape, np.nan)
    inside = (u > -0.5) & (v > -0.5) & (u < 699.5) & (v < 699.5)
    expected[inside] = ramp[np.rint(v[inside]).astype(int), np.rint(u[inside]).astype(int)]
    assert np.mean(~np.isclose(found, expected, equal_nan=True)) < 1e-3


@pytest.mark.pure
def test_layers_without_wcs_lie_pixel_over_pixel():
    small = np.arange(12.0).reshape(3, 4)
    _, (_, found) = sampled(Layer(np.zeros((5, 6)), wcs=tan()), [Layer(small)], (-0.5, 5.5, -0.5, 4.5), 100)
    np.testing.assert_array_equal(found[:3, :4], small)
    assert np.isnan(found[3:]).all()
    assert np.isnan(found[:, 4:]).all()


@pytest.mark.pure
def test_a_mapping_goes_before_the_wcs():
    image = np.arange(30.0).reshape(5, 6)
    shifted = Layer(image, wcs=tan(), mapping=lambda x, y: (np.asarray(x) + 2.0, np.asarray(y) + 1.0))
    _, (_, found) = sampled(Layer(np.zeros((5, 6)), wcs=tan()), [shifted], (-0.5, 5.5, -0.5, 4.5), 100)
    np.testing.assert_array_equal(found[:4, :4], image[1:, 2:])
    assert np.isnan(found[4]).all()


@pytest.mark.pure
def test_a_layer_with_nothing_in_common_is_empty():
    away = tan()
    away.wcs.crval = [200, -20]
    first = Layer(np.ones((20, 20)), wcs=tan())
    _, (_, found) = sampled(first, [Layer(np.ones((20, 20)), wcs=away)], whole(20), 100)
    assert np.isnan(found).all()
    assert blended([first, Layer(np.ones((20, 20)), wcs=away)], [np.ones((20, 20)), found]).shape == (20, 20, 3)


@pytest.mark.pure
def test_blocks_are_means_and_zoom_takes_pixels():
    data = np.arange(10000.0).reshape(100, 100)
    grid, (values,) = sampled(Layer(data), [], whole(100), 25)
    assert grid == (-0.5, -0.5, 4.0, 25, 25)
    assert values[0, 0] == data[:4, :4].mean()
    grid, (values,) = sampled(Layer(data), [], (9.7, 20.2, 4.5, 8.5), 25)
    assert grid == (9.5, 4.5, 1.0, 11, 4)
    np.testing.assert_array_equal(values, data[5:9, 10:21])
    made = plots.averaged(data, 10)
    grid, (values,) = sampled(Layer(made), [], (20, 40, 0, 10), 25)
    assert grid == (19.5, -0.5, 10.0, 3, 2)
    np.testing.assert_array_equal(values, made.values[:2, 2:5])


@pytest.mark.pure
def test_blending():
    low, high = np.zeros((1, 2)), np.array([[1.0, np.nan]])
    grey = {"limits": (0, 1)}
    assert blended([Layer(high, **grey)], [high]).tolist() == [[[255, 255, 255], [243, 201, 196]]]
    half = blended([Layer(low, **grey), Layer(high, opacity=0.4, **grey)], [low, high])
    assert half.tolist() == [[[102] * 3, [0] * 3]]
    added = blended([Layer(high, colour="#FF0000", **grey), Layer(high, colour="#0000FF", opacity=0.6, **grey)], [high, high])
    assert added[0, 0].tolist() == [255, 0, 153]


@pytest.mark.pure
def test_previews_and_masked_arrays():
    class Preview:
        data, factor, shape = np.ones((3, 4), np.float32), 10, (25, 40)

    assert Layer(Preview()).shape == (25, 40)
    Preview.shape = (250, 400)
    with pytest.raises(InputError, match="data: must be a preview of a whole image of 400 x 250 pixels, found a part"):
        Layer(Preview())
    masked = np.ma.masked_equal(np.array([[1, 2], [3, 3]]), 3)
    assert np.isnan(Layer(masked).pixels[1]).all()


@pytest.mark.pure
def test_levels():
    data = np.arange(100.0).reshape(10, 10)
    np.testing.assert_allclose(Layer(data, contours=5, limits=(0, 8)).levels, [0, 2, 4, 6, 8])
    np.testing.assert_array_equal(Layer(data, contours=[3, 1, 0]).levels, [0, 1, 3])
    assert Layer(data).levels.size == 0


@pytest.mark.pure
@pytest.mark.parametrize("contours", [0, -1, True, "1, 2", [], [1, "a"], [np.nan], 2.5])
def test_wrong_levels(contours):
    with pytest.raises(InputError, match=r"contours=.*: must be a number of levels from 1, or the levels"):
        Layer(np.zeros((3, 3)), contours=contours).levels  # noqa: B018


@pytest.mark.pure
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data": np.zeros(3)}, r"data: has shape \(3,\); must be an image"),
        ({"data": np.array([["a"]])}, "data: must hold real numbers, found dtype <U1"),
        ({"cmap": "grey scale"}, "Invalid colormap: cmap='grey scale': must be a colour map of matplotlib"),
        ({"colour": "reddish"}, "colour='reddish': must be a colour of matplotlib"),
        ({"contour_colour": "reddish"}, "contour_colour='reddish': must be a colour"),
        ({"stretch": "cubic"}, "Invalid stretch: stretch='cubic': must be one of linear, sqrt, arcsinh, log"),
        ({"opacity": 1.1}, "opacity=1.1: must be a number from 0 to 1"),
        ({"opacity": np.nan}, "opacity=nan: must be a number from 0 to 1"),
        ({"contour_smooth": -1}, "contour_smooth=-1: must be a number from 0"),
    ],
)
def test_wrong_layers(arguments, message):
    with pytest.raises(InputError, match=message):
        Layer(**{"data": np.zeros((3, 3)), **arguments})


@pytest.mark.pure
def test_arguments_stay_as_they_are():
    data = np.random.default_rng(1).normal(size=(20, 20))
    data[3, 3] = np.nan
    before = data.copy()
    layer = Layer(data, wcs=WCS(naxis=2), contours=3)
    _, values = sampled(layer, [layer], whole(20), 7)
    blended([layer, layer], values)
    np.testing.assert_array_equal(data, before)
