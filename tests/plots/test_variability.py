"""The variability plane as a figure."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive import plots
from ezarchive.errors import InputError


def cloud(n, seed=0):
    rng = np.random.default_rng(seed)
    return rng.chisquare(40, n) / 40, rng.normal(2, 0.25, n)


@pytest.mark.pure
def test_every_object_is_drawn_and_the_named_ones_are_ringed_and_listed():
    chi2, eta = cloud(50)
    chi2[7], eta[7], chi2[9] = 120.0, 0.1, np.nan
    figure = plots.variability_plane(chi2, eta, mag=np.linspace(12, 18, 50), named=[7, 9], names=["the one", "the other"], title="plane")
    axes = figure.axes[0]
    assert len(axes.collections[0].get_offsets()) == 49
    assert axes.get_title() == "49 light curves (1 without these numbers)"
    assert [text.get_text() for text in axes.texts] == ["1"]
    ring = axes.lines[-1]
    assert (ring.get_xdata().tolist(), ring.get_ydata().tolist()) == ([120.0], [0.1])
    assert " 1  the one\n 2  the other" in figure.texts[0].get_text()
    assert axes.get_xscale() == "log"


@pytest.mark.pure
def test_many_objects_are_a_density_and_none_is_lost():
    chi2, eta = cloud(30_000)
    eta[0] = 50.0
    axes = plots.variability_plane(chi2, eta).axes[0]
    assert axes.collections[0].get_array().sum() == 30_000


@pytest.mark.pure
def test_without_magnitudes_and_without_objects():
    assert plots.variability_plane(*cloud(10)).axes[0].lines[0].get_xdata().shape == (10,)
    assert [text.get_text() for text in plots.variability_plane([], []).axes[0].texts] == ["nothing to draw"]


@pytest.mark.pure
@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([1.0], [1.0, 2.0]), {}, "chi2_reduced, eta, mag: must be of one length"),
        (([1.0], [1.0]), {"mag": [1.0, 2.0]}, "chi2_reduced, eta, mag: must be of one length"),
        (([1.0], [1.0]), {"named": [0]}, "named, names: must be as many, at most 30, found 1 and 0"),
        (([1.0] * 40, [1.0] * 40), {"named": range(31), "names": ["a"] * 31}, "found 31 and 31"),
    ],
)
def test_wrong_arguments(arguments, options, message):
    with pytest.raises(InputError, match=message):
        plots.variability_plane(*arguments, **options)


@pytest.mark.pure
@pytest.mark.parametrize("form", plots.FORMATS)
def test_every_format_is_written(tmp_path, form):
    figure = plots.variability_plane(*cloud(60), named=[3], names=["3458764513820540928 r"])
    assert plots.save(figure, tmp_path / f"plane.{form}").stat().st_size > 2000
