"""Light curves as figures."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.table import MaskedColumn, QTable, Table
from astropy.utils.masked import Masked
from matplotlib.colors import to_hex

from ezarchive import plots
from ezarchive.errors import InputError


def curve(n=12, **columns):
    rng = np.random.default_rng(4)
    table = QTable({
        "mjd_mid": (60919.3 + np.arange(n)) * u.day,
        "filter": np.resize(["m600", "r", "m625"], n),
        "telname": np.resize(["7DT01", "7DT02"], n),
        "kind": np.full(n, "detection"),
        "mag": rng.normal(15, 0.2, n) * u.mag,
        "mag_err": np.full(n, 0.05) * u.mag,
        "mag_limit": np.full(n, 18.0) * u.mag,
        "mag_inst": rng.normal(-7, 0.2, n) * u.mag,
        "mag_inst_err": np.full(n, 0.05) * u.mag,
        "flux": rng.normal(100, 5, n) * u.ct / u.s,
        "flux_err": np.full(n, 3.0) * u.ct / u.s,
        "flux_ujy": rng.normal(100, 5, n) * u.uJy,
    })  # fmt: skip
    for name, values in columns.items():
        table[name] = values
    return table


def points(figure):
    """Every point with an error bar: (x, y, colour, marker)."""
    axes = figure.axes[0]
    found = []
    for container in axes.containers:
        line = container.lines[0]
        found += [(x, y, to_hex(line.get_color()), line.get_marker()) for x, y in zip(*line.get_data(), strict=True)]
    return found


def labels(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()] if figure.legends else []


def triangles(figure):
    return [line for line in figure.axes[0].lines if line.get_marker() == "v"]


@pytest.mark.pure
def test_every_point_is_drawn_once_with_its_colour_and_marker():
    table = curve()
    figure = plots.light_curve(table, title="a star")
    drawn = points(figure)
    assert sorted((round(x, 6), y) for x, y, *_ in drawn) == sorted(
        (round(m.value - 60919, 6), v.value) for m, v in zip(table["mjd_mid"], table["mag"], strict=True)
    )
    assert len({colour for *_, colour, _ in drawn}) == 3
    assert len({marker for *_, marker in drawn}) == 2
    assert labels(figure) == ["m600", "m625", "r", "7DT01", "7DT02"]
    axes = figure.axes[0]
    assert axes.get_title() == "a star"
    assert axes.yaxis_inverted()
    assert "60919" in axes.get_xlabel()
    assert "2025-09-01" in axes.get_xlabel()
    assert axes.get_ylabel() == "magnitude (mag)"


@pytest.mark.pure
def test_error_bars_have_their_length():
    axes = plots.light_curve(curve()).axes[0]
    lengths = [np.ptp(segment[:, 1]) for container in axes.containers for bars in container.lines[2] for segment in bars.get_segments()]
    np.testing.assert_allclose(lengths, 0.1)


@pytest.mark.pure
@pytest.mark.parametrize(
    ("y", "label", "down"),
    [
        ("flux", "flux (count / s)", False),
        ("flux_ujy", "flux density (µJy)", False),
        ("mag_inst", "instrumental magnitude (mag)", True),
        (None, "magnitude (mag)", True),
    ],
)
def test_quantities(y, label, down):
    axes = plots.light_curve(curve(), y=y).axes[0]
    assert axes.get_ylabel() == label
    assert axes.yaxis_inverted() == down


@pytest.mark.pure
def test_without_any_calibration_the_instrumental_magnitude_is_drawn():
    axes = plots.light_curve(curve(mag=np.full(12, np.nan) * u.mag)).axes[0]
    assert axes.get_ylabel() == "instrumental magnitude (mag)"


@pytest.mark.pure
@pytest.mark.parametrize("form", ["masked", "nan", "column"])
def test_missing_magnitudes_are_left_out(form):
    missing = np.arange(12) < 4
    values = np.linspace(14, 15, 12)
    table = curve()
    if form == "masked":
        table["mag"] = Masked(values, mask=missing) * u.mag
    elif form == "nan":
        table["mag"] = np.where(missing, np.nan, values) * u.mag
    else:
        table = Table(table)
        table["mag"] = MaskedColumn(values, mask=missing)
    figure = plots.light_curve(table)
    assert len(points(figure)) == 8
    assert not triangles(figure)  # detections on frames without zero point are no limits


@pytest.mark.pure
def test_limits_are_triangles():
    table = curve(kind=np.resize(["detection", "limit"], 12))
    figure = plots.light_curve(table)
    assert len(points(figure)) == 6
    assert sum(len(line.get_xdata()) for line in triangles(figure)) == 6
    assert {y for line in triangles(figure) for y in line.get_ydata()} == {18.0}
    assert "5σ limit" in labels(figure)
    assert not triangles(plots.light_curve(table, y="flux"))


@pytest.mark.pure
def test_truth_beside_the_points_is_open_circles():
    table = curve()
    table["mag_true"] = table["mag"] + 0.01 * u.mag
    figure = plots.light_curve(table, truth=table)
    rings = [line for line in figure.axes[0].lines if line.get_marker() == "o" and line.get_markerfacecolor() == "none"]
    assert sorted(y for line in rings for y in line.get_ydata()) == pytest.approx(sorted(table["mag_true"].value))
    assert labels(figure)[-1] == "truth"


@pytest.mark.pure
def test_dense_truth_is_a_line_in_time_order():
    n = 60
    truth = QTable({"mjd_mid": (60925 + np.arange(n)[::-1] / 10) * u.day, "filter": np.full(n, "r"), "mag": np.linspace(14, 15, n) * u.mag})
    truth["mag"][3] = np.inf * u.mag
    axes = plots.light_curve(curve(), truth=truth).axes[0]
    (line,) = [line for line in axes.lines if line.get_linestyle() == "-" and len(line.get_xdata()) > 10]
    assert (np.diff(line.get_xdata()) > 0).all()
    assert len(line.get_xdata()) == n - 1


@pytest.mark.pure
def test_many_filters_keep_distinct_colours():
    n = 20
    colours = {colour for *_, colour, _ in points(plots.light_curve(curve(n, filter=[f"m{400 + 25 * i}" for i in range(n)])))}
    assert len(colours) == n


@pytest.mark.pure
def test_an_empty_table_says_so():
    figure = plots.light_curve(curve()[:0])
    assert [text.get_text() for text in figure.axes[0].texts] == ["nothing to draw"]


@pytest.mark.pure
def test_names_that_are_missing_do_no_harm():
    table = Table({"mjd_mid": [60000.5, 60001.5], "mag": [15.0, 15.1]})
    figure = plots.light_curve(table)
    assert len(points(figure)) == 2
    assert labels(figure) == []


@pytest.mark.pure
def test_wrong_light_curves():
    with pytest.raises(InputError, match="y 'colour': must be one of mag, mag_inst, flux, flux_ujy"):
        plots.light_curve(curve(), y="colour")
    with pytest.raises(InputError, match="table: lacks the column 'mjd_mid'"):
        plots.light_curve(Table({"mag": [15.0]}))


@pytest.mark.pure
def test_colours_by_telescope():
    figure = plots.light_curve(curve(), colour_by="telname")
    assert len({colour for *_, colour, _ in points(figure)}) == 2
    assert len({marker for *_, marker in points(figure)}) == 3
    with pytest.raises(InputError, match="colour_by 'night': must be one of filter, telname"):
        plots.light_curve(curve(), colour_by="night")


@pytest.mark.pure
def test_offsets_are_added_and_labelled():
    table = curve(kind=np.resize(["detection", "detection", "detection", "limit"], 12))
    figure = plots.light_curve(table, offsets={"r": 0.5, "m600": -1})
    assert {"r + 0.5", "m600 − 1", "m625"} <= set(labels(figure))
    plain, moved = points(plots.light_curve(table)), points(figure)
    assert sum(y for _, y, *_ in moved) - sum(y for _, y, *_ in plain) == pytest.approx(3 * 0.5 - 3 * 1.0)
    assert {y for line in triangles(figure) for y in line.get_ydata()} == {18.0, 18.5, 17.0}


@pytest.mark.pure
def test_offsets_that_choose_themselves_set_the_filters_apart():
    table = curve(mag=np.resize([15.0, 15.2, 15.1], 12) * u.mag)
    figure = plots.light_curve(table, offsets="auto")
    values = {colour: {y for _, y, c, _ in points(figure) if c == colour} for *_, colour, _ in points(figure)}
    (a,), (b,), (c,) = sorted(values.values(), key=min)
    assert (a, b, c) == pytest.approx((15.0, 15.6, 16.2))


@pytest.mark.pure
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"offsets": {"z": 1.0}}, "offsets: names the filter 'z'; the light curve has 'm600', 'm625', 'r'"),
        ({"offsets": {"r": "a"}}, "offsets: holds 'a' for filter 'r'; must be a finite number"),
        ({"offsets": "auto", "y": "flux"}, "offsets 'auto': must map filters to numbers"),
        ({"offsets": "some"}, "offsets 'some': must map filters"),
    ],
)
def test_wrong_offsets(options, message):
    with pytest.raises(InputError, match=message):
        plots.light_curve(curve(), **options)


@pytest.mark.pure
def test_forced_measurements_are_open_and_those_of_noise_are_limits():
    kind = np.resize(["detection", "forced", "forced"], 12)
    error = np.resize([0.05, 0.05, 0.9], 12) * u.mag
    figure = plots.light_curve(curve(kind=kind, mag_err=error))
    assert len(points(figure)) == 8
    assert sum(len(line.get_xdata()) for line in triangles(figure)) == 4
    faces = [container.lines[0].get_markerfacecolor() for container in figure.axes[0].containers]
    assert "white" in faces
    assert {"forced", "5σ limit"} <= set(labels(figure))
    assert len(points(plots.light_curve(curve(kind=kind), y="flux"))) == 12


@pytest.mark.pure
def test_limits_of_fluxes():
    table = curve(kind=np.resize(["detection", "limit"], 12), flux_limit=np.full(12, 30.0) * u.ct / u.s)
    assert {y for line in triangles(plots.light_curve(table, y="flux")) for y in line.get_ydata()} == {30.0}
    limits = {y for line in triangles(plots.light_curve(table, y="flux_ujy")) for y in line.get_ydata()}
    assert sorted(limits) == pytest.approx([10 ** (-0.4 * (18 - 23.9))])
    instrumental = {y for line in triangles(plots.light_curve(table, y="mag_inst")) for y in line.get_ydata()}
    assert sorted(instrumental) == pytest.approx([-2.5 * np.log10(30)])
    assert not triangles(plots.light_curve(table, y="flux", limits=False))


@pytest.mark.pure
@pytest.mark.parametrize("form", plots.FORMATS)
def test_every_format_is_written(tmp_path, form):
    path = plots.save(plots.light_curve(curve()), tmp_path / f"curve.{form}")
    assert path.stat().st_size > 2000


@pytest.mark.pure
def test_other_time_scales():
    table = curve(bjd_tdb=(2460920.0 + np.arange(12)) * u.day)
    axes = plots.light_curve(table, time="bjd_tdb").axes[0]
    assert axes.get_xlabel() == "BJD (TDB) $-$ 2460919.5 (days since 2025-09-01 0 h)"
    assert min(container.lines[0].get_xdata().min() for container in axes.containers) == pytest.approx(0.5)
    with pytest.raises(InputError, match="time 'jd': must be one of mjd_mid, bjd_tdb, hjd_utc"):
        plots.light_curve(table, time="jd")
