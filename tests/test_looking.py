"""Images, sessions and results drawn and written."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from astropy.io import fits
from flatsky import tan
from PIL import Image

from ezarchive import looking, plots, quicklook
from ezarchive.errors import FrameError, InputError
from ezarchive.quicklook.regions.shapes import Circle

DATA = np.random.default_rng(2).normal(10, 1, (60, 80)) + 200 * np.exp(-(np.hypot(*np.mgrid[-25:35, -30:50]) ** 2) / 18)


@pytest.fixture
def frame(tmp_path):
    path = tmp_path / "star.fits"
    header = tan(n=60).to_header()
    header["BUNIT"] = "MJy/sr"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(DATA.astype(np.float32), header, "SCI")]).writeto(path)
    return path


@pytest.mark.pure
def test_an_image_is_drawn_with_what_is_known_of_it(frame):
    axes = looking.draw(frame).axes[0]
    assert axes.get_title() == "star[SCI,1]"
    assert axes.child_axes[0].get_ylabel() == "MJy/sr"
    assert [one.get_axislabel() for one in axes.coords] == ["RA", "Dec"]
    assert looking.draw(frame, title="mine", unit="Jy").axes[0].get_title() == "mine"
    assert looking.draw(DATA, wcs=tan(), coordinates="degrees").axes[0].coords[0].get_axislabel() == "RA (deg)"


@pytest.mark.truth
@pytest.mark.parametrize("limits", [95, 99.5, "minmax", (0, 50)])
def test_the_limits_are_those_of_the_quick_look(frame, tmp_path, limits):
    path = looking.export(frame, tmp_path / "a.png", limits=limits, size=(4, 3), dpi=100, metadata={"by": "me"})
    with Image.open(path) as found:
        facts = json.loads(found.info["Description"])
        assert found.size == (400, 300)
    low, high = quicklook.display_limits(DATA.astype(np.float32), limits)
    assert facts["limits"] == pytest.approx([low, high], rel=1e-6)
    assert (facts["label"], facts["unit"], facts["by"]) == ("star[SCI,1]", "MJy/sr", "me")


@pytest.mark.pure
@pytest.mark.parametrize("data", [np.full((3, 4), np.nan), np.ones((1, 1)), np.zeros((5, 5)), np.full((4, 4), -1e-20)])
def test_images_with_nothing_to_see(data):
    assert looking.draw(data, contours=2).axes


@pytest.mark.truth
def test_over_each_other():
    figure = looking.draw(DATA, wcs=tan(), over=[(DATA[::-1], {"cmap": "viridis", "opacity": 1.0, "wcs": tan()})])
    only = looking.draw(DATA[::-1], wcs=tan(), cmap="viridis")
    drawn, expected = (one.axes[0].images[0].get_array() for one in (figure, only))
    np.testing.assert_array_equal(drawn, expected)
    assert looking.draw(DATA, over=[DATA]).axes[0].images[0].get_array().shape == (60, 80, 3)


@pytest.mark.truth
def test_a_session_draws_images_as_they_are_linked_and_its_subsets():
    session = quicklook.QuickLook()
    moved = tan()
    moved.wcs.crpix = moved.wcs.crpix + (7, -4)
    other = np.full_like(DATA, 10.0)
    other[:56, 7:] = DATA[4:, :-7]
    session.load(quicklook.picture(DATA, wcs=tan(), label="a"))
    session.load(quicklook.picture(other, wcs=moved, label="b"))
    session.add_subset(Circle(30, 25, 6))
    session.link_data("wcs")
    whole = {"opacity": 1.0, "limits": (0, 200)}
    figure = looking.draw(session, over=[("b", whole)], limits=(0, 200))
    alone = looking.draw_session(session, "a", limits=(0, 200))
    drawn, expected = (one.axes[0].images[0].get_array() for one in (figure, alone))
    np.testing.assert_array_equal(drawn[4:, :-7], expected[4:, :-7])
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["a", "b"]
    (patch,) = alone.axes[0].patches[-1:]
    np.testing.assert_allclose(patch.get_path().get_extents().get_points(), [(24, 19), (36, 31)], atol=1e-6)
    on_b = looking.draw_session(session, "b").axes[0].patches[-1]
    np.testing.assert_allclose(on_b.get_path().get_extents().get_points(), [(31, 15), (43, 27)], atol=1e-3)
    back = looking.draw_session(session, "b", over=[("a", whole)], subsets=False, limits=(0, 200))
    np.testing.assert_array_equal(back.axes[0].images[0].get_array()[:56, 7:], expected[4:, :-7])
    assert len(back.axes[0].patches) < len(alone.axes[0].patches)


@pytest.mark.pure
def test_the_plot_options_of_a_session_are_used():
    session = quicklook.QuickLook()
    session.load(quicklook.picture(DATA, label="a"))
    session.load(quicklook.picture(DATA[::-1], label="b"))
    plain = looking.draw(session).axes[0]
    values = {"stretch": "log", "cmap": "viridis", "percentile": (0, 100), "contour_visible": True, "contour_levels": (50.0,), "bias": 0.4}
    session.set_plot_options("a", **values)
    axes = looking.draw(session).axes[0]
    same = looking.draw(DATA, settings=session.plot_options("a")).axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), same.images[0].get_array())
    assert (axes.images[0].get_array() != plain.images[0].get_array()).any()
    assert (len(axes.collections), len(plain.collections)) == (1, 0)
    gray = looking.draw(session, stretch="linear", cmap="gray", limits=95, contours=None, bias=0.5).axes[0]
    np.testing.assert_array_equal(gray.images[0].get_array(), plain.images[0].get_array())
    session.set_plot_options("b", visible=False)
    hidden = looking.draw(session, over=["b"]).axes[0]
    np.testing.assert_array_equal(hidden.images[0].get_array(), axes.images[0].get_array())


@pytest.mark.pure
def test_results(frame, tmp_path):
    circle = Circle(30, 25, 10)
    growth = quicklook.curve_of_growth(frame, circle)
    axes = looking.draw(growth).axes[0]
    assert axes.get_xlabel() == f"{growth.axis} (pixel)"
    assert any(text.get_text().startswith("R50 = ") for text in axes.get_legend().get_texts())
    for raw in (True, False):
        profile = quicklook.radial_profile(frame, circle, raw=raw)
        fit = quicklook.fit_profile(profile)
        figure = looking.draw(profile, fit=fit)
        labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        assert {"Gaussian", f"FWHM/2 = {fit.fwhm / 2:.4g} pixel"} < set(labels)
        assert figure.axes[0].get_ylabel() == "Value (MJy/sr)"
    lines = looking.draw(quicklook.line_profiles(frame, 0, 25, zoom=(0, 20, 10, 40))).axes
    assert [one.get_title() for one in lines] == ["Y=25", "X=0"]
    assert lines[0].get_xlim() == (-0.5, 20.5)
    cut = looking.draw(quicklook.cut(frame, (5, 5), (50, 40), width=3)).axes[0]
    assert cut.get_xlabel() == "Distance (arcsec)"
    for suffix in plots.FORMATS:
        assert looking.export(growth, tmp_path / f"growth.{suffix}", size=(3, 2)).stat().st_size > 1000


@pytest.mark.pure
def test_the_same_bytes_twice(tmp_path):
    paths = [looking.export(DATA, tmp_path / f"{k}.svg", wcs=None, contours=3) for k in range(2)]
    assert all(one.read_bytes() == other.read_bytes() for one, other in pairwise(paths))


@pytest.mark.pure
def test_wrong_drawings(frame, tmp_path):
    growth = quicklook.curve_of_growth(frame, Circle(30, 25, 10))
    with pytest.raises(InputError, match="fit: goes with a RadialProfile, found GrowthCurve"):
        looking.draw(growth, fit=quicklook.fit_profile(quicklook.radial_profile(frame, Circle(30, 25, 10))))
    with pytest.raises(InputError, match="session: holds no image; load one first"):
        looking.draw(quicklook.QuickLook())
    with pytest.raises(InputError, match=r"over='b\.fits': must be a list of images"):
        looking.draw(DATA, over="b.fits")
    with pytest.raises(InputError, match="image: must be a path, an Image"):
        looking.draw(3)
    with pytest.raises(FrameError, match=r"none\.fits"):
        looking.draw(tmp_path / "none.fits")
    with pytest.raises(InputError, match="must be one of .png, .pdf, .svg"):
        looking.export(DATA, tmp_path / "a.jpg")
