"""Figures of fits."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive.compare.fitfigures import check_screen, draw_star_fit, show
from ezarchive.compare.fluximage import FluxImage
from ezarchive.compare.starfit import StarFitOptions, fit_stars
from ezarchive.errors import InputError
from ezarchive.simulate.pairs import image_pair


@pytest.mark.truth
@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize("options", [{}, {"free_reference": True}, {"fix_fwhm": 0.7}], ids=["default", "free", "fixed"])
def test_the_curve_goes_through_the_pixels(options):
    pair = image_pair(shape=(60, 60), noise=0, reference_noise=0, n_discs=0, n_stars=0)
    image, reference = (FluxImage(data, wcs=pair.wcs, name=name) for data, name in ((pair.image, "a"), (pair.reference, "b")))
    fit = fit_stars(reference, image, (*pair.star, 2.0), StarFitOptions(**options))
    figure = draw_star_fit(fit, None, image, reference)
    assert [axes.get_title() for axes in figure.axes[:2]] == ["image: a", "reference: b"]
    assert "FWHM" in figure.get_suptitle() and figure.get_suptitle().startswith("a\n")
    for axes in figure.axes[:2]:
        pixels, model = axes.lines[:2]
        expected = np.interp(pixels.get_xdata(), model.get_xdata(), model.get_ydata())
        np.testing.assert_allclose(pixels.get_ydata(), expected, atol=2e-3 * model.get_ydata().max())


@pytest.mark.pure
def test_a_screen(monkeypatch):
    monkeypatch.setattr("matplotlib.get_backend", lambda: "agg")
    with pytest.raises(InputError, match="display: there is no screen here; hardcopy writes the figure to a file"):
        check_screen()
    monkeypatch.setattr("matplotlib.get_backend", lambda: "TkAgg")
    check_screen()


@pytest.mark.pure
def test_a_figure_on_the_screen(monkeypatch):
    from matplotlib import pyplot

    pyplot.switch_backend("agg")
    waited, drawn = [], []
    monkeypatch.setattr(pyplot, "show", lambda *, block: waited.append(block))
    show(drawn.append, wait=False)
    assert waited == [False] and len(drawn) == 1
    pyplot.close("all")
