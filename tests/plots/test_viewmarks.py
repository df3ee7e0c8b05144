"""Colour bar, scale bar, compass, contours and outline of a view."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from flatsky import tan

from ezarchive import plots
from ezarchive.errors import InputError

FLAT = np.arange(10000.0).reshape(100, 100)


def bare(**options):
    """A view with nothing but what is asked for."""
    return plots.view(FLAT, **{"colour_bar": False, "scale_bar": False, "compass": False, "coordinates": "pixels", **options}).axes[0]


@pytest.mark.truth
@pytest.mark.parametrize(("scale", "text", "pixels"), [(0.5, "10\N{DOUBLE PRIME}", 20), (7, "2\N{PRIME}", 120 / 7), (0.01, "200 mas", 20)])
def test_the_scale_bar_is_a_round_angle_long(scale, text, pixels):
    axes = bare(wcs=tan(scale, 30), scale_bar=True)
    (bar,) = axes.lines
    assert np.ptp(bar.get_xdata()) == pytest.approx(pixels, rel=1e-6)
    assert [one.get_text() for one in axes.texts] == [text]


@pytest.mark.pure
def test_without_a_wcs_the_scale_bar_is_in_pixels():
    axes = bare(scale_bar=True)
    assert (np.ptp(axes.lines[0].get_xdata()), axes.texts[0].get_text()) == (20, "20 pixels")
    axes = bare(scale_bar=True, zoom=(3.5, 7.5, 3.5, 9.5))
    assert (np.ptp(axes.lines[0].get_xdata()), axes.texts[0].get_text()) == (pytest.approx(0.5), "0.5 pixels")
    axes = bare(scale_bar=SimpleNamespace(pixels=33.0, label="1 kpc"))
    assert (np.ptp(axes.lines[0].get_xdata()), axes.texts[0].get_text()) == (33, "1 kpc")


def arms(axes):
    """Directions from where the arms start to the letters."""
    arrows = [one for one in axes.texts if getattr(one, "arrow_patch", None) is not None]
    letters = {one.get_text(): np.array(one.get_position()) for one in axes.texts if one.get_text() in ("N", "E")}
    start = np.array(arrows[0].xyann)
    return {name: (place - start) / np.hypot(*(place - start)) for name, place in letters.items()}, letters


@pytest.mark.truth
@pytest.mark.parametrize("turn", [0, 25, 140, 250])
@pytest.mark.parametrize("parity", [-1, 1])
def test_the_compass_points_to_north_and_east(turn, parity):
    found, letters = arms(bare(wcs=tan(0.5, turn, parity), compass=True))
    angle = np.radians(turn)
    np.testing.assert_allclose(found["N"], (-np.sin(angle), np.cos(angle)), atol=1e-4)
    np.testing.assert_allclose(found["E"], parity * np.array((np.cos(angle), np.sin(angle))), atol=1e-4)
    assert all((place > 50).all() and (place < 97).all() for place in letters.values())


@pytest.mark.pure
def test_a_given_compass_is_drawn_as_it_is():
    given = SimpleNamespace(x=5.0, y=5.0, xn=5.0, yn=25.0, xe=25.0, ye=5.0)
    found, _ = arms(bare(compass=given))
    np.testing.assert_allclose([found["N"], found["E"]], [(0, 1), (1, 0)], atol=1e-12)
    assert not bare(compass=SimpleNamespace(**{**vars(given), "xn": np.nan})).texts
    assert not bare(compass=True).texts
    with pytest.raises(InputError, match="compass: must be True, False or a compass with x, y, xn, yn, xe and ye, found int"):
        bare(compass=3)


@pytest.mark.truth
@pytest.mark.parametrize("stretch", ["linear", "sqrt", "arcsinh", "log"])
def test_the_colour_bar_tells_the_value_of_a_colour(stretch):
    figure = plots.view(FLAT, stretch=stretch, limits=(100, 9000), contrast=0.8, bias=0.45, cmap="viridis", unit="adu", compass=False)
    image, bar = figure.axes[0].images[0].get_array(), figure.axes[0].child_axes[0]
    assert bar.get_ylabel() == "adu"
    ramp = bar.images[0].get_array()
    low, high = bar.get_ylim()
    for place, label in zip(bar.get_yticks(), bar.get_yticklabels(), strict=True):
        value = float(label.get_text().replace("\N{MINUS SIGN}", "-"))
        row, column = np.argwhere(FLAT == round(value))[0]
        shade = ramp[min(int((place - low) / (high - low) * 256), 255), 0].astype(int)
        assert np.abs(image[row, column].astype(int) - shade).max() <= 4


@pytest.mark.truth
def test_contours_lie_where_the_values_are():
    y, x = np.mgrid[:100, :100]
    cone = np.hypot(x - 40.0, y - 60.0)
    axes = plots.view(cone, contours=[10, 20], compass=False, scale_bar=False).axes[0]
    (lines,) = axes.collections
    radii = [np.hypot(*(line - (40, 60)).T) for line in lines.get_segments()]
    assert sorted(round(float(one.mean())) for one in radii) == [10, 20]
    assert max(np.abs(one - one.mean().round()).max() for one in radii) < 0.05


@pytest.mark.truth
def test_contours_of_a_large_image_and_of_another_layer():
    y, x = np.mgrid[:3000, :3000]
    cone = np.hypot(x - 1500.0, y - 1200.0).astype(np.float32)
    lines = plots.view(cone, contours=[500], compass=False, scale_bar=False).axes[0].collections[0].get_segments()
    assert np.abs(np.hypot(*(lines[0] - (1500, 1200)).T) - 500).max() < 0.5
    small = plots.Layer(cone[::10, ::10], contours=[300], mapping=lambda x, y: (np.asarray(x) / 10, np.asarray(y) / 10), opacity=0.3)
    lines = plots.view(cone, layers=[small], compass=False, scale_bar=False).axes[0].collections[0].get_segments()
    assert np.abs(np.hypot(*(lines[0] - (1500, 1200)).T) - 300).max() < 1


@pytest.mark.pure
def test_smoothed_contours_have_no_noise_and_respect_gaps():
    noise = np.random.default_rng(5).normal(size=(100, 100))
    noise[40:60, 40:60] = np.nan
    count = [len(_lines(noise, sigma)) for sigma in (0.0, 3.0)]
    assert count[0] > 5 * count[1]
    assert not any(((line > 41) & (line < 58)).all(axis=1).any() for line in _lines(noise, 3.0))


def _lines(data, sigma):
    axes = plots.view(data, contours=[0.1], contour_smooth=sigma, compass=False, scale_bar=False, colour_bar=False).axes[0]
    return axes.collections[0].get_segments()


@pytest.mark.pure
def test_contours_of_one_row_are_none():
    assert not plots.view(np.arange(9.0)[None], contours=3, compass=False).axes[0].collections


@pytest.mark.pure
@pytest.mark.parametrize("outline", [(10, 30, 20, 60), [(10, 20), (10, 60), (30, 60), (30, 20)]])
def test_the_outline_of_another_view(outline):
    (patch,) = bare(outline=outline).patches
    np.testing.assert_array_equal(patch.get_xy()[:4], [(10, 20), (10, 60), (30, 60), (30, 20)])


@pytest.mark.pure
@pytest.mark.parametrize("outline", [3, (1, 2, 3), [(1, 2), (3, 4)], [(1, 2), (3, 4), (np.nan, 3)]])
def test_wrong_outlines(outline):
    with pytest.raises(InputError, match=r"outline: must be a box \(x0, x1, y0, y1\) or corners \(n, 2\)"):
        bare(outline=outline)


@pytest.mark.pure
def test_layers_are_named():
    layers = [plots.Layer(FLAT, label="b", colour="#00ff00"), plots.Layer(FLAT)]
    axes = bare(label="a", layers=layers)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]
    assert bare(label="a").get_legend() is None
