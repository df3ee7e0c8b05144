"""Figures of the fits of images and stars."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure

from ezarchive import plots
from ezarchive.plots.imagefit import StarCurve, image_fit, star_fit

pytestmark = pytest.mark.pure


def planes(ny=60, nx=90):
    rng = np.random.default_rng(1)
    image = rng.normal(10, 2, (ny, nx))
    weight = np.ones((ny, nx))
    weight[:5], weight[20:30, 40:50] = 0, 0
    spectrum = np.abs(np.fft.fftshift(np.fft.fft2(image - 10)))
    frequencies = {"fy": np.fft.fftshift(np.fft.fftfreq(ny, 0.2)), "fx": np.fft.fftshift(np.fft.fftfreq(nx, 0.25))}
    known = {"image_fft": spectrum, "model_fft": spectrum, "residual_fft": 0.1 * spectrum, **frequencies}
    return SimpleNamespace(image=image, model=image + 1, residual=image * 0 - 1, weight=weight, step=(0.2, 0.25), **known)


def curve(name, n=50):
    radius = np.random.default_rng(2).uniform(0, 3, n)
    return StarCurve(radius, np.exp(-radius), radius * 0, np.linspace(0, 3), np.exp(-np.linspace(0, 3)), 0.0, name)


def pictures(figure):
    return [axes for axes in figure.axes if axes.images and axes.get_title()]


def test_six_panels_of_an_image_fit(tmp_path):
    shown = planes()
    figure = image_fit(shown, title="udf04", note="scale 0.95", unit="MJy/sr")
    panels = pictures(figure)
    assert [axes.get_title() for axes in panels] == [
        "image", "reference, fitted to it", "difference", "|FFT| of the image", "|FFT| of the reference", "|FFT| of the difference"
    ]  # fmt: skip
    drawn = panels[0].images[0]
    assert drawn.get_extent() == [0, 22.5, 0, 12]
    compared = shown.image[shown.weight > 0]
    assert drawn.get_clim() == pytest.approx((compared.mean() - 2 * compared.std(), compared.mean() + 5 * compared.std()))
    assert panels[1].images[0].get_clim() == drawn.get_clim() != panels[2].images[0].get_clim()
    assert np.isnan(np.ma.filled(drawn.get_array(), np.nan)[2, 2])
    spectrum = panels[3].images[0]
    assert spectrum.get_clim()[0] == pytest.approx(shown.image_fft.mean() - 0.75 * shown.image_fft.std())
    assert panels[3].get_xlabel() == "x (cycles/arcsec)"
    assert figure.get_suptitle() == "udf04\nscale 0.95\npixels in MJy/sr"
    for suffix in ("png", "pdf", "svg"):
        assert plots.save(figure, tmp_path / f"a.{suffix}", dpi=50).stat().st_size > 5000


def test_a_difference_that_is_0_everywhere():
    shown = planes()
    shown.residual[:] = 0
    low, high = pictures(image_fit(shown))[2].images[0].get_clim()
    assert low < 0 < high


def test_four_panels_of_a_star_fit(tmp_path):
    figure = star_fit(curve("image: a"), curve("reference: b"), title="star", unit="nJy")
    assert [axes.get_title() for axes in figure.axes[:2]] == ["image: a", "reference: b"]
    assert figure.axes[0].get_ylabel() == "pixel (nJy)"
    assert figure.axes[2].get_ylabel() == "pixel - fit"
    assert figure.axes[0].get_xlim() == figure.axes[3].get_xlim()
    plots.save(figure, tmp_path / "a.png")


def test_a_figure_that_is_given_is_cleared_and_drawn_into():
    figure = Figure()
    figure.add_subplot().plot([1, 2])
    assert star_fit(curve("a"), curve("b"), figure=figure) is figure
    assert len(figure.axes) == 4
    assert image_fit(planes(), figure=figure) is figure
    assert len(pictures(figure)) == 6


def test_a_large_image_is_made_small():
    drawn = pictures(image_fit(planes(2600, 2500)))[0].images[0]
    assert max(drawn.get_array().shape) <= 1300
    assert drawn.get_extent() == pytest.approx([0, 625, 0, 520])
