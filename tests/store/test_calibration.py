"""Calibrating stored rows anew gives what calibrating them at once gives."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from storetables import light_curves, random_places

from ezarchive import magnitudes
from ezarchive.store.calibration import CALIBRATION, calibrated

ANEW = ("mag", "mag_err", "flux_ujy", "flux_ujy_err", "mag_limit", "zero_point", "zero_point_err")


@pytest.fixture
def curves():
    rng = np.random.default_rng(2)
    table = light_curves(rng, *random_places(rng, 40), 3)
    flux = table["flux"].to_numpy().copy()
    flux[::7] *= -1
    flux[5] = 0
    return table.set_column(table.column_names.index("flux"), "flux", pa.array(flux))


def calibration(**values):
    length = len(values["catalog_id"])
    return pa.table(
        [pa.array(values.get(name, [None] * length), CALIBRATION.field(name).type) for name in CALIBRATION.names], schema=CALIBRATION
    )


def column(table, name):
    return table[name].cast(pa.float64()).fill_null(np.nan).to_numpy()


def test_formulas(curves):
    new = calibrated(
        curves,
        calibration(catalog_id=[3, 1, 2], per=[100.0] * 3, zero_point=[25.0] * 3, zero_point_err=[0.02] * 3, zero_point_ab=[25.5] * 3),
    )
    flux, err = column(curves, "flux") * 100, column(curves, "flux_err") * 100
    np.testing.assert_allclose(column(new, "mag"), magnitudes.flux_to_mag(flux, 25.0), rtol=1e-6)
    np.testing.assert_allclose(column(new, "mag_err"), magnitudes.mag_error(flux, err), rtol=1e-6)
    np.testing.assert_allclose(column(new, "flux_ujy"), flux * magnitudes.flux_to_ujy(1.0, 25.5), rtol=1e-6)
    np.testing.assert_allclose(column(new, "flux_ujy_err"), err * magnitudes.flux_to_ujy(1.0, 25.5), rtol=1e-6)
    np.testing.assert_allclose(column(new, "mag_limit"), 25 - 2.5 * np.log10(500.0), rtol=1e-6)
    assert new["mag"].null_count == np.sum(flux <= 0)
    assert new["mag_err"].null_count == np.sum(flux <= 0)
    assert set(new["zero_point"].to_pylist()) == {25.0}
    assert new["zero_point_err"].to_numpy()[0] == np.float32(0.02)
    assert new.schema == curves.schema
    assert new.drop_columns(list(ANEW)).equals(curves.drop_columns(list(ANEW)))


def test_twice_is_once(curves):
    known = calibration(
        catalog_id=[1, 2, 3],
        per=[100.0, 1.0, 30.0],
        zero_point=[25.0, 24.0, 26.1],
        zero_point_err=[0.02] * 3,
        zero_point_ab=[25.5, None, 26.1],
    )
    other = calibration(catalog_id=[1, 2, 3], per=[100.0, 1.0, 30.0], zero_point=[21.0] * 3)
    assert calibrated(calibrated(curves, other), known).equals(calibrated(curves, known))


def test_no_zero_point(curves):
    new = calibrated(curves, calibration(catalog_id=[1, 2, 3], per=[100.0] * 3, mag_limit=[21.0, None, 20.0]))
    for name in ("mag", "mag_err", "flux_ujy", "flux_ujy_err", "zero_point", "zero_point_err"):
        assert new[name].null_count == len(new), name
    limits = dict(zip(new["catalog_id"].to_pylist(), new["mag_limit"].to_pylist(), strict=True))
    assert limits == {1: 21.0, 2: None, 3: 20.0}


def test_a_zero_point_that_is_not_ab(curves):
    new = calibrated(curves, calibration(catalog_id=[1, 2, 3], per=[1.0] * 3, zero_point=[25.0] * 3))
    assert new["flux_ujy"].null_count == len(new)
    assert new["mag"].null_count < len(new)


def test_other_catalogs_stay(curves):
    new = calibrated(curves, calibration(catalog_id=[2], per=[100.0], zero_point=[25.0]))
    same = np.asarray(curves["catalog_id"]) != 2
    assert new.filter(pa.array(same)).equals(curves.filter(pa.array(same)))
    assert not new.equals(curves)
    assert calibrated(curves, calibration(catalog_id=[77], zero_point=[25.0])) is curves
    assert calibrated(curves, CALIBRATION.empty_table()) is curves


def test_no_flux_per_second(curves):
    """Where the exposure time is not known magnitudes move with the zero point."""
    names = curves.column_names
    bare = curves
    for name in ("flux", "flux_err", "flux_limit"):
        bare = bare.set_column(names.index(name), name, pa.nulls(len(bare), pa.float32()))
    new = calibrated(bare, calibration(catalog_id=[1, 2, 3], zero_point=[24.9] * 3, zero_point_ab=[24.9] * 3))
    np.testing.assert_allclose(column(new, "mag") - column(bare, "mag"), 1.0, atol=1e-5)
    np.testing.assert_allclose(column(new, "mag_limit") - column(bare, "mag_limit"), 1.0, atol=1e-5)
    np.testing.assert_allclose(column(new, "flux_ujy"), column(bare, "flux_ujy") * 10**-0.4, rtol=1e-5)
    np.testing.assert_allclose(column(new, "mag_err"), column(bare, "mag_err"))
