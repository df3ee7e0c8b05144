"""Folded light curves and their periodograms as figures."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable

from ezarchive import plots
from ezarchive.errors import InputError
from ezarchive.timeseries.period import find_period


def curve(n=120, period=2.37, seed=0):
    rng = np.random.default_rng(seed)
    mjd = 60900 + np.arange(n) + rng.uniform(0, 0.3, n)
    band = np.resize(["g", "r"], n)
    mag = 15 + 0.3 * np.sin(2 * np.pi * mjd / period) + np.where(band == "g", 0.4, 0) + rng.normal(0, 0.02, n)
    return QTable({
        "mjd_mid": mjd * u.day, "filter": band, "telname": np.full(n, "7DT01"), "kind": np.full(n, "detection"),
        "mag": mag * u.mag, "mag_err": np.full(n, 0.02) * u.mag, "mag_limit": np.full(n, 18.0) * u.mag,
    })  # fmt: skip


def search(table, **options):
    return find_period(table["mjd_mid"].value, table["mag"].value, table["mag_err"].value, np.asarray(table["filter"]), **options)


@pytest.mark.pure
def test_every_point_is_drawn_in_both_cycles_at_its_phase():
    table = curve()
    found = search(table)
    figure = plots.folded(table, found, title="a star")
    top, axes = figure.axes
    drawn = np.concatenate([container.lines[0].get_xdata() for container in axes.containers])
    expected = found.phase(table["mjd_mid"].value)
    np.testing.assert_allclose(np.sort(drawn), np.sort(np.concatenate([expected, expected + 1])))
    assert axes.yaxis_inverted()
    assert "2.3" in axes.get_xlabel()
    assert "±" in axes.get_xlabel()
    assert "false alarm probability" in top.get_title()
    assert figure._suptitle.get_text() == "a star"


@pytest.mark.pure
def test_the_model_is_drawn_for_each_filter_with_its_offset():
    table = curve()
    found = search(table)
    axes = plots.folded(table, found, offsets={"g": 1.0}).axes[1]
    lines = [line for line in axes.lines if len(line.get_xdata()) == 1200]
    assert len(lines) == 2
    np.testing.assert_allclose(lines[0].get_ydata(), found.model(lines[0].get_xdata(), "g") + 1.0)


@pytest.mark.pure
def test_no_peak_is_lost_and_aliases_are_named():
    table = curve()
    found = search(table, min_period=0.02)
    assert len(found.powers) > 20000
    top = plots.folded(table, found).axes[0]
    line = top.lines[0]
    assert len(line.get_xdata()) < 4000
    assert line.get_ydata().max() == found.powers.max()
    texts = [text.get_text() for text in top.texts]
    assert "1 % false alarm" in texts
    assert any("1/d" in text for text in texts)


@pytest.mark.pure
def test_a_number_is_a_period():
    figure = plots.folded(curve(), 2.37, epoch=60900.25)
    (axes,) = figure.axes
    assert axes.get_xlabel() == "phase of 2.37 d (0 at MJD 60900.25000)"
    assert min(container.lines[0].get_xdata().min() for container in axes.containers) >= 0


@pytest.mark.pure
def test_a_filter_that_was_not_searched_has_no_model():
    table = curve()
    table["filter"][0] = "z"
    found = search(table)
    assert found.left_out == ("z",)
    axes = plots.folded(table, found).axes[1]
    assert len([line for line in axes.lines if len(line.get_xdata()) == 1200]) == 2


@pytest.mark.pure
@pytest.mark.parametrize("period", [0.0, -1.0, np.nan, np.inf, True])
def test_wrong_periods(period):
    with pytest.raises(InputError, match="search .*: must be a PeriodSearch or a positive number of days"):
        plots.folded(curve(), period)


@pytest.mark.pure
def test_an_empty_table_says_so():
    (axes,) = plots.folded(curve()[:0], 1.0, y="mag").axes
    assert [text.get_text() for text in axes.texts] == ["nothing to draw"]


@pytest.mark.pure
@pytest.mark.parametrize("form", plots.FORMATS)
def test_every_format_is_written(tmp_path, form):
    table = curve(40)
    assert plots.save(plots.folded(table, search(table)), tmp_path / f"folded.{form}").stat().st_size > 2000
