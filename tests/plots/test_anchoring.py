"""The picture of a band against its reference."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive.compare.anchoring.offsets import fit_offset
from ezarchive.errors import InputError
from ezarchive.plots.anchoring import figure, save_anchoring


def planes(n=120, slope=0.9, noise=0.02):
    rng = np.random.default_rng(3)
    reference = rng.gamma(2.0, 0.5, (n, n)) + 0.1
    return reference, 0.3 + slope * reference + rng.normal(0, noise, (n, n))


@pytest.fixture(scope="module")
def data():
    return planes()


@pytest.mark.parametrize(("method", "kind"), [("robust", "external"), ("robust", "internal"), ("classic", "external")])
def test_bins_line_range_and_numbers_are_drawn(data, method, kind):
    fit = fit_offset(*data, method=method, kind=kind)
    drawn = figure(fit, *data, labels=("IRAC4", "F770W"))
    (axes,) = drawn.axes
    assert axes.get_xlabel() == "IRAC4 (MJy/sr)"
    assert axes.get_ylabel() == "F770W (MJy/sr)"
    (text,) = (text.get_text() for text in axes.texts)
    assert f"{fit.intercept:.4f}" in text
    assert f"{fit.slope:.4f}" in text
    line = next(line for line in axes.lines if line.get_linestyle() == "--")
    x, y = line.get_data()
    np.testing.assert_allclose(y, fit.intercept + fit.slope * np.asarray(x))
    low, high = axes.get_ylim() if fit.range_axis == "image" else axes.get_xlim()
    binned = fit.bins.y if fit.range_axis == "image" else fit.bins.x
    assert low < binned.min() < binned.max() < high
    drawn.draw_without_rendering()


def test_few_pixels_are_drawn_each_and_many_as_density(data):
    fit = fit_offset(*data)
    many, few = figure(fit, *data).axes[0], figure(fit, *(plane[:20] for plane in data)).axes[0]
    assert len(many.collections) > len(few.collections)
    assert any(len(line.get_xdata()) == 20 * 120 for line in few.lines)


def test_pixels_of_little_coverage_are_left_out(data):
    fit, coverage = fit_offset(*data), np.ones(data[0].shape)
    fit = fit_offset(*data, coverage=coverage)
    coverage[15:] = 0.5
    drawn = figure(fit, *data, coverage=coverage).axes[0]
    assert any(len(line.get_xdata()) == 15 * 120 for line in drawn.lines)


def test_it_is_written_to_every_name_without_a_display(data, tmp_path):
    fit = fit_offset(*data)
    made = save_anchoring([tmp_path / "a.png", tmp_path / "a.pdf"], fit, *data, unit="")
    assert [path.stat().st_size > 5000 for path in made] == [True, True]
    assert made[0].read_bytes().startswith(b"\x89PNG")
    assert made[1].read_bytes().startswith(b"%PDF")


def test_names_with_dollars_and_underscores_are_texts(data):
    drawn = figure(fit_offset(*data), *data, labels=("a_$b$_c", "x_y"))
    drawn.draw_without_rendering()
    assert drawn.axes[0].get_xlabel().startswith("a_$b$_c")


def test_what_cannot_be_drawn(data):
    fit = fit_offset(*data)
    with pytest.raises(InputError, match="must have the shape of the reference"):
        figure(fit, data[0], data[1][:5])
    with pytest.raises(InputError, match="must have a pixel in common"):
        figure(fit, data[0] * np.nan, data[1])
