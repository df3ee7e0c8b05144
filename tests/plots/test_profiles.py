"""Growth curves, radial profiles, lines and cuts as figures."""

from __future__ import annotations

import io

import numpy as np
import pytest

from ezarchive import plots
from ezarchive.errors import InputError

R = np.arange(1.0, 11.0)


def texts(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


@pytest.mark.pure
def test_growth_curve():
    figure = plots.growth_curve(
        R, np.pi * R**2, np.sqrt(R), unit="MJy", axis="Semi-axis a", marks={"R50": 7.07, "R80": np.nan}, title="Subset 1"
    )
    (axes,) = figure.axes
    (curve,) = [line for line in axes.lines if len(line.get_xdata()) == 10]
    np.testing.assert_array_equal(curve.get_xdata(), R)
    np.testing.assert_allclose(curve.get_ydata(), np.pi * R**2)
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()) == ("Semi-axis a (pixel)", "Sum (MJy)", "Subset 1")
    assert texts(axes) == ["R50 = 7.07 pixel"]
    assert axes.get_xlim()[0] == 0
    figure.savefig(io.BytesIO(), format="png")


@pytest.mark.pure
@pytest.mark.parametrize("raw", [True, False])
def test_radial_profile(raw):
    values = np.exp(-(R**2))
    figure = plots.radial_profile(
        R, values, values / 9, raw=raw, curve=([0, 5], [1, 0]), curve_label="Moffat", fwhm=4.0, background=0.0, unit="MJy/sr"
    )
    (axes,) = figure.axes
    assert texts(axes)[-1 if raw else 2] in ("FWHM/2 = 2 pixel", "mean of ring")
    assert set(texts(axes)) == {"background", "pixels" if raw else "mean of ring", "Moffat", "FWHM/2 = 2 pixel"}
    assert axes.get_ylabel() == "Value (MJy/sr)"
    assert any(list(line.get_xdata()) == [2.0, 2.0] for line in axes.lines)


@pytest.mark.pure
def test_a_fit_that_failed_is_not_marked():
    axes = plots.radial_profile(R, R, fwhm=np.nan).axes[0]
    assert axes.get_legend() is None


@pytest.mark.pure
def test_line_profiles_at_the_first_pixel_and_with_a_gap():
    data = np.ones((10, 12))
    data[0, 5] = np.nan
    figure = plots.line_profiles(data[0], data[:, 0], x=0, y=0, unit="adu", title="image")
    row, column = figure.axes
    assert (row.get_title(), column.get_title()) == ("Y=0", "X=0")
    assert (row.get_xlabel(), column.get_xlabel(), row.get_ylabel()) == ("X (pixel)", "Y (pixel)", "Value (adu)")
    assert np.isnan(row.lines[0].get_ydata()[5])
    assert (row.get_xlim(), column.get_xlim()) == ((-0.5, 11.5), (-0.5, 9.5))
    np.testing.assert_allclose(row.get_ylim(), (0.95, 1.05))


@pytest.mark.pure
def test_the_height_is_that_of_what_is_in_view_also_below_zero():
    values = -np.arange(1.0, 101.0)
    row, column = plots.line_profiles(values, values, x=3, y=4, zoom=(9.5, 20.5, 0, 9.2)).axes
    np.testing.assert_allclose(row.get_ylim(), (-21.5, -10.5))
    np.testing.assert_allclose(column.get_ylim(), (-10.45, -0.55))
    assert (row.get_xlim(), column.get_xlim()) == ((9.5, 20.5), (0, 9.2))
    empty = plots.line_profiles(np.full(5, np.nan), np.zeros(1), x=0, y=0).axes
    np.testing.assert_allclose(empty[1].get_ylim(), (-1, 1))


@pytest.mark.pure
def test_cuts_of_several_images():
    curves = np.stack([R, 2 * R, R - 9])
    figure = plots.cut(R, curves, np.ones_like(curves), labels=["a", "b", "c"], unit="adu", axis="Distance (arcsec)")
    (axes,) = figure.axes
    assert texts(axes) == ["a", "b", "c"]
    assert len({line.get_color() for line in axes.lines}) == 3
    assert axes.get_xlabel() == "Distance (arcsec)"
    assert len(plots.cut(R, R).axes[0].lines) == 1


@pytest.mark.pure
def test_sizes_are_stated(tmp_path):
    from PIL import Image

    path = plots.save(plots.growth_curve(R, R, size=(5, 4)), tmp_path / "a.png", dpi=80)
    with Image.open(path) as found:
        assert found.size == (400, 320)


@pytest.mark.pure
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.growth_curve(R, R[:3]), r"total: must be a column of 10, found shape \(3,\)"),
        (lambda: plots.growth_curve(R, R, R[:3]), r"err: must be a column of 10, found shape \(3,\)"),
        (lambda: plots.growth_curve(R, R, size=3), "size=3: must be a width and a height in inches"),
        (lambda: plots.growth_curve(R, R, size=(3, 0)), "size=0: must be a number above 0"),
        (lambda: plots.radial_profile(R, R, curve=(R, R[:2])), r"curve: must be a column of 10, found shape \(2,\)"),
        (lambda: plots.line_profiles(R, R, x=1, y=1, zoom=(1, 2, 3)), r"zoom=\(1, 2, 3\): must be x0, x1, y0, y1"),
        (lambda: plots.line_profiles(R, R, x=1, y=1, zoom=(2, 1, 3, 4)), r"zoom=\(2, 1, 3, 4\): must be x0, x1, y0, y1"),
        (lambda: plots.cut(R, np.ones((2, 3))), r"values: must have a value for each of 10 distances, found shape \(2, 3\)"),
        (lambda: plots.cut(R, R, R[:2]), "values: must have a value for each of 10 distances"),
        (lambda: plots.cut(R, R, labels=["a", "b"]), "labels: must be one for each of 1 curves, found 2"),
    ],
)
def test_wrong_curves(call, message):
    with pytest.raises(InputError, match=message):
        call()
