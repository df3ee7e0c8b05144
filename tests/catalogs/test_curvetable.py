"""What a light curve can become."""

from __future__ import annotations

import builtins
import sys

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable

from ezarchive.catalogs.curvetable import LightCurveTable, set_column
from ezarchive.columns import LIGHT_CURVE
from ezarchive.errors import InputError
from ezarchive.plots.common import numbers

ZERO_POINT = 25.0


def curve(mjd, flux, flux_err=1.0, *, band="r", kind="detection", night="2025-09-01", exptime=1.0, zero_point=ZERO_POINT, **more):
    """A light curve calibrated in AB, of fluxes per second."""
    n = len(mjd)
    flux, flux_err, exptime, zero_point = (np.broadcast_to(np.asarray(v, float), n) for v in (flux, flux_err, exptime, zero_point))
    per_second = zero_point - 2.5 * np.log10(exptime)
    positive = np.where(flux > 0, flux, np.nan)
    values = {
        "mjd_mid": np.asarray(mjd, float), "flux": flux, "flux_err": flux_err, "mag_inst": -2.5 * np.log10(positive),
        "mag_inst_err": 1.0857362 * flux_err / positive, "mag": per_second - 2.5 * np.log10(positive),
        "mag_err": 1.0857362 * flux_err / positive, "flux_ujy": flux * 10 ** ((23.9 - per_second) / 2.5),
        "flux_ujy_err": flux_err * 10 ** ((23.9 - per_second) / 2.5), "flux_limit": 5 * flux_err, "zero_point": zero_point,
        "mag_limit": per_second - 2.5 * np.log10(5 * flux_err), "zero_point_err": np.full(n, 0.01), "exptime": exptime,
        "aperture_arcsec": np.full(n, 5.0), **more,
    }  # fmt: skip
    texts = {"filter": band, "telname": "7DT01", "kind": kind, "night": night}
    table = LightCurveTable()
    for column in LIGHT_CURVE:
        if column.name in values:
            set_column(table, column.name, values[column.name], column.unit, column.description)
        elif column.name in texts:
            table[column.name] = np.broadcast_to(np.asarray(texts[column.name]), n)
        elif column.dtype != "str":
            table[column.name] = np.zeros(n, column.dtype)
    table.meta["object_id"] = 42
    return table


def limits(mjd, mag_limit, **facts):
    """Non-detections."""
    nothing = np.full(len(mjd), np.nan)
    made = {name: nothing for name in ("mag", "mag_err", "mag_inst", "mag_inst_err", "flux_ujy", "flux_ujy_err")}
    flux_limit = 10 ** ((ZERO_POINT - np.asarray(mag_limit)) / 2.5)
    return curve(mjd, nothing, nothing, kind="limit", mag_limit=np.asarray(mag_limit, float), flux_limit=flux_limit, **{**made, **facts})


def together(*parts):
    from astropy.table import vstack

    return vstack(list(parts), metadata_conflicts="silent")


def test_slices_and_selections_stay_light_curves():
    table = together(curve([1.0, 2.0], 10.0), curve([3.0], 10.0, band="g"), limits([4.0], [19.0]))
    assert isinstance(table[:2], LightCurveTable)
    assert isinstance(table[np.array([True, False, True, False])], LightCurveTable)
    assert list(table.select(filter="g")["mjd_mid"].value) == [3.0]
    assert list(table.select(filter=["g", "r"], kind="detection")["mjd_mid"].value) == [1.0, 2.0, 3.0]
    assert list(table.select(kind="limit")["mjd_mid"].value) == [4.0]


class TestBinned:
    def test_weighted_by_hand(self):
        table = curve([60000.1, 60000.2, 60001.1], [100.0, 200.0, 50.0], [10.0, 20.0, 5.0], night=["a", "a", "b"])
        found = table.binned("night")
        assert list(found["n"]) == [2, 1]
        np.testing.assert_allclose(found["flux"].value, [120.0, 50.0])
        np.testing.assert_allclose(found["flux_err"].value, [np.sqrt(80.0), 5.0])
        np.testing.assert_allclose(numbers(found["mag"]), 25 - 2.5 * np.log10([120.0, 50.0]))
        np.testing.assert_allclose(numbers(found["mag_err"]), 1.0857362 * np.array([np.sqrt(80) / 120, 0.1]), rtol=1e-6)
        np.testing.assert_allclose(numbers(found["flux_ujy"]), np.array([120.0, 50.0]) * 10 ** ((23.9 - 25) / 2.5))
        np.testing.assert_allclose(numbers(found["mjd_mid"]), [60000.12, 60001.1])
        assert list(numbers(found["mjd_first"])) == [60000.1, 60001.1]
        assert list(numbers(found["mjd_last"])) == [60000.2, 60001.1]
        assert list(numbers(found["chi2_reduced"]))[0] == pytest.approx(20.0**2 / 100 + 80.0**2 / 400)
        # 4/5 of one frame and 1/5 of the other, each 0.01 mag off on its own.
        np.testing.assert_allclose(numbers(found["zero_point_err"]), [0.01 * np.sqrt(17) / 5, 0.01])
        np.testing.assert_allclose(numbers(found["flux_limit"]), [5 * np.sqrt(80), 25.0])
        assert list(found["exptime"].value) == [2.0, 1.0]
        assert isinstance(found, LightCurveTable)
        assert found.meta["object_id"] == 42

    def test_frames_of_different_zero_points_meet_in_magnitudes(self):
        # One and the same star on frames of which one gives twice the counts, and one is ten times as long.
        table = curve([1.1, 1.2, 1.3], [100.0, 200.0, 100.0], 1.0, zero_point=[25.0, 25.0 + 2.5 * np.log10(2), 27.5], exptime=[1, 1, 10])
        found = table.binned(1.0)
        assert numbers(found["mag"])[0] == pytest.approx(20.0)
        assert numbers(found["flux_ujy"])[0] == pytest.approx(10 ** ((23.9 - 20) / 2.5))

    def test_negative_fluxes_count(self):
        table = curve([1.1, 1.2], [-30.0, 40.0], 10.0, kind="forced")
        found = table.binned("night")
        assert numbers(found["flux"])[0] == pytest.approx(5.0)
        assert numbers(found["mag"])[0] == pytest.approx(25 - 2.5 * np.log10(5.0))
        assert numbers(found["snr"])[0] == pytest.approx(5 / np.sqrt(50))
        alone = curve([1.1], [-30.0], 10.0, kind="forced").binned("night")
        assert np.isnan(numbers(alone["mag"]))[0]
        assert numbers(alone["mag_limit"])[0] == pytest.approx(25 - 2.5 * np.log10(50.0))

    def test_limits(self):
        table = together(
            curve([1.1, 1.2], [100.0, 110.0], night="a"), limits([1.3], [19.0], night="a"), limits([5.1, 5.3], [18.0, 18.5], night="b")
        )
        found = table.binned("night")
        assert list(found["kind"]) == ["detection", "limit"]
        assert list(found["n"]) == [2, 0]
        assert list(found["n_limits"]) == [1, 2]
        assert numbers(found["mag_limit"])[1] == pytest.approx(18.5)
        assert np.isnan(numbers(found["mag"]))[1]
        assert numbers(found["mjd_mid"])[1] == pytest.approx(5.2)

    def test_filters_and_kinds_stay_apart(self):
        table = together(curve([1.1], 10.0), curve([1.1], 20.0, band="g"), curve([1.1], 30.0, kind="forced"))
        found = table.binned(10 * u.day)
        assert sorted(zip(found["filter"], found["kind"], numbers(found["flux"]), strict=True)) == [
            ("g", "detection", 20.0), ("r", "detection", 10.0), ("r", "forced", 30.0)
        ]  # fmt: skip

    def test_no_rows_and_no_times(self):
        assert len(curve([], []).binned("night")) == 0
        assert list(curve([1.0, np.nan], 10.0).binned(1)["n"]) == [1]
        assert list(curve([1.0, 1.1], 10.0, night=["", "2025-09-01"]).binned()["n"]) == [1, 1]

    @pytest.mark.parametrize("by", [0, -1, "week", None, True, np.inf])
    def test_a_wrong_width_is_named(self, by):
        with pytest.raises(InputError, match="must be 'night' or a number of days above 0"):
            curve([1.0], 10.0).binned(by)


def test_constant_stars_binned_are_right(rng):
    error = rng.uniform(1.0, 4.0, 3000)
    table = curve(np.sort(rng.uniform(60000, 60300, 3000)), rng.normal(100.0, error), error, night="")
    found = table.binned(1.0)
    pull = (numbers(found["flux"]) - 100) / numbers(found["flux_err"])
    assert np.std(pull) == pytest.approx(1, abs=0.12)
    assert np.mean(numbers(found["chi2_reduced"])) == pytest.approx(1, abs=0.1)


class TestFold:
    def test_phase(self):
        found = curve([10.0, 10.75, 11.5, np.nan], 1.0).fold(0.5 * u.day, epoch=10.0)
        np.testing.assert_allclose(found["phase"], [0, 0, 0.5])
        assert list(found["cycle"]) == [0, 3, 1]
        assert found.colnames[:2] == ["phase", "cycle"]
        assert curve([10.25, 10.5], 1.0).fold(1.0)["phase"][0] == 0

    @pytest.mark.parametrize("period", [0, -1.0, "1", None, np.nan, True])
    def test_a_wrong_period_is_named(self, period):
        with pytest.raises(InputError, match="must be a number of days above 0"):
            curve([1.0], 1.0).fold(period)

    def test_a_time_that_is_not_there_is_named(self):
        with pytest.raises(InputError, match="time='bjd_tdb': must be a time of this table.*bjd=True"):
            curve([1.0], 1.0).fold(1.0, time="bjd_tdb")
        with pytest.raises(InputError, match="time='when': must be a time"):
            curve([1.0], 1.0).fold(1.0, time="when")


def test_to_timeseries():
    table = curve([60001.0, np.nan, 60000.0], [1.0, 2.0, 3.0])
    series = table.to_timeseries()
    assert series.time.scale == "utc"
    assert list(series.time.mjd) == [60000.0, 60001.0]
    assert list(series["flux"].value) == [3.0, 1.0]
    assert series["mag"].unit == u.mag
    set_column(table, "bjd_tdb", np.array([2460001.5, np.nan, 2460000.5]), "d", "")
    series = table.to_timeseries("bjd_tdb")
    assert series.time.scale == "tdb"
    assert list(series.time.jd) == [2460000.5, 2460001.5]


def test_to_pandas():
    table = together(curve([1.0], [-5.0]), limits([2.0], [19.0]))
    frame = table.to_pandas()
    assert list(frame["flux"])[0] == -5.0
    assert frame["mag"].isna().all()
    assert list(frame["kind"]) == ["detection", "limit"]
    assert frame["flux"].isna().tolist() == [False, True]


def test_plot_is_a_figure():
    assert together(curve([1.0, 2.0], 100.0), limits([3.0], [19.0])).plot().axes


@pytest.mark.parametrize(("name", "start"), [("mjd_mid", 60000.0), ("bjd_tdb", 2460000.5)])
def test_a_folded_curve_is_drawn_by_its_phase(name, start):
    days = np.array([0.0, 0.25, 1.5])
    table = curve(60000.0 + days, 100.0, bjd_tdb=2460000.5 + days)
    set_column(table, "bjd_tdb", 2460000.5 + days, "d", "")
    folded = table.fold(2.0, epoch=start - 0.5, time=name)
    (axes,) = folded.plot(colour_by="telname").axes
    assert axes.get_xlabel() == f"phase of 2 d (0 at {'MJD' if name == 'mjd_mid' else 'BJD (TDB) 2400000.5 +'} 59999.50000)"
    drawn = np.sort(np.concatenate([line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 3]))
    np.testing.assert_allclose(drawn, [0, 0.25, 0.375, 1, 1.25, 1.375], atol=1e-6)
    assert "days" in folded.binned(1.0).plot().axes[0].get_xlabel()


class TestLightkurve:
    def test_one_filter(self):
        pytest.importorskip("lightkurve")
        table = together(curve([2.0, 1.0, np.nan], [5.0, 6.0, 7.0]), curve([3.0], 8.0, band="g"), limits([4.0], [19.0]))
        with pytest.raises(InputError, match="filter: must be given, one of g, r"):
            table.to_lightkurve()
        found = table.to_lightkurve("r")
        assert type(found).__name__ == "LightCurve"
        np.testing.assert_allclose(found.time.mjd, [1.0, 2.0])
        np.testing.assert_allclose(found.flux.to_value(u.uJy), np.array([6.0, 5.0]) * 10 ** ((23.9 - 25) / 2.5))
        assert found.flux_err.unit == u.uJy
        assert found.meta["FILTER"] == "r"
        with pytest.raises(InputError, match="filter='x': must be one of g, r"):
            table.to_lightkurve("x")

    def test_uncalibrated_counts(self):
        pytest.importorskip("lightkurve")
        nothing = np.array([np.nan])
        found = curve([1.0], [5.0], flux_ujy=nothing, flux_ujy_err=nothing).to_lightkurve()
        assert found.flux.unit == u.ct / u.s

    def test_it_is_an_extra(self, monkeypatch):
        real = builtins.__import__

        def without(name, *args, **kwargs):
            if name == "lightkurve":
                raise ModuleNotFoundError("No module named 'lightkurve'")
            return real(name, *args, **kwargs)

        monkeypatch.delitem(sys.modules, "lightkurve", raising=False)
        monkeypatch.setattr(builtins, "__import__", without)
        with pytest.raises(InputError, match=r"lightkurve is not installed; pip install 'ezarchive\[lightkurve\]'"):
            curve([1.0], 1.0).to_lightkurve()


@pytest.mark.parametrize("suffix", ["ecsv", "csv", "vot", "parquet", "fits"])
def test_written_and_read(tmp_path, suffix):
    table = together(curve([1.0, 2.0], [5.0, -6.0]), limits([3.0], [19.0]))
    path = table.write(tmp_path / f"curve.{suffix}")
    forms = {"vot": "votable", "parquet": "parquet.votable"}
    found = QTable.read(path, **({"format": forms[suffix]} if suffix in forms else {}))
    np.testing.assert_allclose(numbers(found["mag_limit"]), numbers(table["mag_limit"]))
    np.testing.assert_allclose(numbers(found["flux"]), numbers(table["flux"]))
    assert [str(kind) for kind in found["kind"]] == ["detection", "detection", "limit"]
    if suffix != "csv":
        assert found["flux_limit"].unit == u.ct / u.s


def test_astropy_writes_its_own_formats(tmp_path):
    table = curve([1.0, 2.0], 5.0)
    path = tmp_path / "curve.txt"
    assert table.write(path, format="ascii.ecsv") == path
    with pytest.raises(OSError, match="already exists"):
        table.write(path, format="ascii.ecsv")
    table.write(path, format="ascii.ecsv", overwrite=True)
    assert len(QTable.read(path, format="ascii.ecsv")) == 2
    assert table.write(tmp_path / "curve.ecsv", overwrite=True).exists()
