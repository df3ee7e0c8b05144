"""An image as a viewer shows it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from astropy.wcs.wcsapi import HighLevelWCSWrapper
from flatsky import tan

from ezarchive import plots
from ezarchive.errors import InputError
from ezarchive.quicklook.regions.shapes import Circle

DATA = np.random.default_rng(8).normal(size=(60, 80))


def png(figure):
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=60)
    return stream.getvalue()


@pytest.mark.pure
def test_a_view_has_the_pixels_of_the_image():
    before = DATA.copy()
    axes = plots.view(DATA, wcs=tan(), regions=[Circle(30, 20, 5)], labels=["a"], title="t").axes[0]
    assert (axes.get_xlim(), axes.get_ylim(), axes.get_title()) == ((-0.5, 79.5), (-0.5, 59.5), "t")
    assert tuple(axes.images[0].get_extent()) == (-0.5, 79.5, -0.5, 59.5)
    assert axes.images[0].get_array().shape == (60, 80, 3)
    np.testing.assert_array_equal(DATA, before)


@pytest.mark.pure
def test_zoom():
    figure = plots.view(DATA, zoom=(9.5, 29.5, -5, 8.2))
    axes = figure.axes[0]
    assert (axes.get_xlim(), axes.get_ylim()) == ((9.5, 29.5), (-5, 8.2))
    assert tuple(axes.images[0].get_extent()) == (9.5, 29.5, -0.5, 8.5)
    # The limits are still those of the whole image.
    whole = plots.view(DATA).axes[0].images[0].get_array()
    np.testing.assert_array_equal(axes.images[0].get_array(), whole[:9, 10:30])


@pytest.mark.pure
@pytest.mark.parametrize(
    ("coordinates", "system", "labels"),
    [
        ("sexagesimal", "RA---TAN DEC--TAN", ["RA", "Dec"]), ("degrees", "RA---TAN DEC--TAN", ["RA (deg)", "Dec (deg)"]),
        ("sexagesimal", "GLON-TAN GLAT-TAN", ["galactic longitude", "galactic latitude"]),
        ("degrees", "ELON-TAN ELAT-TAN", ["ecliptic longitude (deg)", "ecliptic latitude (deg)"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("wrap", [lambda wcs: wcs, HighLevelWCSWrapper])
def test_coordinates_of_the_sky(coordinates, system, labels, wrap):
    figure = plots.view(DATA, wcs=wrap(tan(system=system)), coordinates=coordinates, grid=True)
    axes = figure.axes[0]
    assert [one.get_axislabel() for one in axes.coords] == labels
    if wrap is not HighLevelWCSWrapper:
        png(figure)
        assert ("h" in axes.coords[0].get_format_unit().to_string()) == (coordinates == "sexagesimal" and system.startswith("RA"))


@pytest.mark.pure
def test_coordinates_of_pixels_and_none():
    for figure in (plots.view(DATA), plots.view(DATA, wcs=tan(), coordinates="pixels", grid=True)):
        assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == ("x (pixel)", "y (pixel)")
        assert not hasattr(figure.axes[0], "coords")
    assert not plots.view(DATA, wcs=tan(), coordinates=None).axes[0].axison


@pytest.mark.pure
def test_large_images_are_averaged_to_the_pixels_of_the_figure():
    large = np.zeros((1500, 4000), np.float32)
    axes = plots.view(large, size=(5, 3), dpi=100, colour_bar=False).axes[0]
    assert axes.images[0].get_array().shape == (188, 500, 3)
    assert axes.get_xlim() == (-0.5, 3999.5)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.truth
def test_a_frame_of_61_million_pixels(tmp_path):
    frame = np.memmap(tmp_path / "frame", np.float32, "w+", shape=(6388, 9576))
    frame[3000:3400, 4000:4400] = 10
    figure = plots.view(frame, wcs=tan(0.5, 5, n=6000), limits=(0, 10), compass=False, scale_bar=False)
    shades = figure.axes[0].images[0].get_array()[..., 0]
    assert shades.shape == (799, 1197)
    assert (shades[376:424, 501:549] == 255).all()
    assert shades.astype(int).sum() == pytest.approx(255 * 160000 / 64, rel=0.01)


@pytest.mark.pure
@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (2, 2)])
@pytest.mark.parametrize("wcs", [None, tan()])
def test_small_images(shape, wcs):
    assert png(plots.view(np.ones(shape), wcs=wcs, contours=[0.5], regions=[Circle(0, 0, 0.4)]))


@pytest.mark.pure
def test_images_without_a_number_are_pale_red():
    figure = plots.view(np.full((5, 5), np.nan), contours=3, stretch="log")
    assert (figure.axes[0].images[0].get_array() == (243, 201, 196)).all()
    assert png(figure)


@pytest.mark.pure
def test_a_wcs_without_sky_there_has_no_compass():
    wcs = tan(3600, system="RA---AIT DEC--AIT")
    wcs.wcs.crpix = [-4000, -4000]
    axes = plots.view(DATA, wcs=wcs, coordinates="pixels").axes[0]
    assert [text.get_text() for text in axes.texts] == ["10 pixels"]


@pytest.mark.pure
def test_different_looks_give_different_pictures():
    looks = [
        {},
        {"stretch": "log"},
        {"contrast": 2.0},
        {"bias": 0.2},
        {"cmap": "viridis"},
        {"opacity": 0.5},
        {"colour": "red"},
        {"limits": 50},
    ]
    found = {plots.view(DATA, **look).axes[0].images[0].get_array().tobytes() for look in looks}
    assert len(found) == len(looks)


@pytest.mark.pure
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data": np.zeros(3)}, r"data: has shape \(3,\)"),
        ({"sketch": 3}, "sketch: is no argument of a view; must be one of bias, cmap, colour"),
        ({"mapping": None}, "mapping: is no argument of a view"),
        ({"coordinates": "hours"}, "coordinates='hours': must be one of sexagesimal, degrees, pixels, or None"),
        ({"layers": [DATA]}, r"layers\[0\]: must be a Layer, found ndarray"),
        ({"zoom": (1, 2, 3)}, r"zoom=\(1, 2, 3\): must be four numbers x0, x1, y0, y1"),
        ({"zoom": (5, 5, 1, 2)}, r"zoom=\(5, 5, 1, 2\): x0 must be below x1, and y0 below y1"),
        ({"zoom": (90, 95, 1, 2)}, r"zoom=.*: must reach onto the image of 80 x 60 pixels"),
        ({"zoom": (1, np.nan, 1, 2)}, "zoom=.*: must be four numbers"),
        ({"size": (1, 2, 3)}, r"size=\(1, 2, 3\): must be a width and a height in inches"),
        ({"limits": (3, 2)}, r"limits \(3, 2\): must be"),
        ({"contours": "5"}, "contours='5': must be a number of levels from 1, or the levels"),
        ({"labels": ["a"]}, "labels: must be one for each of 0 regions, found 1"),
    ],
)
def test_wrong_views(arguments, message):
    with pytest.raises(InputError, match=message):
        plots.view(**{"data": DATA, **arguments})
