"""One source through the catalogs of a set."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import QTable

import ezarchive
from ezarchive import Archive, CatalogSet, DataBrowser, LightCurve
from ezarchive.browse.catalog import Catalog
from ezarchive.errors import InputError, UnknownNameError
from ezarchive.frames.record import Frame
from ezarchive.plots.common import numbers
from ezarchive.sky import s_region

SQUARE = np.array([[9.9, 19.9], [10.1, 19.9], [10.1, 20.1], [9.9, 20.1]])


def night(i, *, offset=0.0, mag=15.0, band="r", region=SQUARE, **changes):
    """A catalog of a star at (10, 20) and one 20 arcsec north of it, 2 mag fainter."""
    dec = 20 + np.array([offset, 20.0]) / 3600
    table = QTable({
        "NUMBER": np.array([1, 2], np.int32), "ALPHA_J2000": [10.0, 10.0] * u.deg, "DELTA_J2000": dec * u.deg,
        "MAGSKY_AUTO": (mag + np.array([0.0, 2.0])) * u.mag, "MAGERR_AUTO": [0.03, 0.05] * u.mag, "ZPERR_AUTO": [0.04, 0.04] * u.mag,
        "MAGSKY_APER": (mag + np.array([0.1, 2.1])) * u.mag, "MAGERR_APER": [0.02, 0.04] * u.mag, "ZPERR_APER": [0.01, 0.01] * u.mag,
        "UL5SKY_APER": [19.0, 18.8] * u.mag, "FLUX_AUTO": [100.0, 16.0] * u.ct, "FLUXERR_AUTO": [1.0, 2.0] * u.ct,
    })  # fmt: skip
    facts = {
        "frame_id": i, "path": f"/data/{i}.fits", "filter": band, "telname": f"7DT0{1 + i % 2}", "observatory": "7DT", "exptime": 100.0,
        "date_obs": "2025-09-01T00:00:00", "mjd_mid": 60000.0 + i, "s_region": s_region(region), "wcs_ok": True,
    } | changes  # fmt: skip
    return Catalog(table, frame=Frame(**facts), method="sex", seeing=2.5, depth=18.5)


@pytest.fixture
def nights():
    far = SQUARE + [1.0, 0.0]
    return CatalogSet(
        [night(3), night(1, mag=15.2, band="g"), night(2, offset=-60.0), night(0, offset=-60.0, region=far), night(4, mag=15.4)]
    )


def test_one_row_a_catalog_in_time(nights):
    table = LightCurve(nights).extract_source_info(10.0, 20.0)
    assert list(table["status"]) == ["outside", "detected", "not detected", "detected", "detected"]
    assert list(numbers(table["mjd"])) == [60000.0, 60001.0, 60002.0, 60003.0, 60004.0]
    np.testing.assert_allclose(numbers(table["jd"]) - numbers(table["mjd"]), 2400000.5)
    np.testing.assert_array_equal(numbers(table["MAGSKY_AUTO"]), [np.nan, 15.2, np.nan, 15.0, 15.4])
    np.testing.assert_allclose(numbers(table["MAGSKY_APER"]), [np.nan, 15.3, np.nan, 15.1, 15.5])
    assert list(table["filter"]) == ["r", "g", "r", "r", "r"]
    assert isinstance(table["coord"], SkyCoord)
    assert table["exptime"].unit == u.s
    assert table.colnames[:5] == ["status", "separation", "ra", "dec", "coord"]
    assert {"seeing", "depth", "observatory", "telname", "zp_err", "frame_id", "path"} <= set(table.colnames)


def test_each_key_has_its_own_zero_point(nights):
    curve = LightCurve(nights)
    table = curve.extract_source_info(10.0, 20.0)
    assert np.nanmax(numbers(table["ZPERR_AUTO"])) == 0.04
    assert np.nanmax(numbers(table["ZPERR_APER"])) == 0.01
    assert np.nanmax(numbers(table["zp_err"])) == 0.04
    other = curve.extract_source_info(10.0, 20.0, ["MAGSKY_APER"])
    assert np.nanmax(numbers(other["zp_err"])) == 0.01
    assert "MAGSKY_AUTO" not in other.colnames


def test_limits_where_nothing_was_found(nights):
    table = LightCurve(nights).extract_source_info(10.0, 20.0)
    np.testing.assert_allclose(numbers(table["LIMIT_APER"]), [np.nan, np.nan, 18.9, np.nan, np.nan])
    for item in nights:
        item.data.remove_column("UL5SKY_APER")
    table = LightCurve(nights).extract_source_info(10.0, 20.0)
    np.testing.assert_allclose(numbers(table["LIMIT_AUTO"]), [np.nan, np.nan, 18.5, np.nan, np.nan])


def test_no_source_is_remembered(nights):
    curve = LightCurve(nights)
    _, _, first = curve.plot(10.0, 20.0)
    _, _, second = curve.plot(10.0, 20 + 20 / 3600)
    _, _, again = curve.plot(10.0, 20.0)
    assert np.nanmin(numbers(first["MAGSKY_AUTO"])) == 15.0
    assert np.nanmin(numbers(second["MAGSKY_AUTO"])) == 17.0
    np.testing.assert_array_equal(numbers(first["MAGSKY_AUTO"]), numbers(again["MAGSKY_AUTO"]))
    assert all(item.nselected == item.nsources for item in nights)


def test_the_order_of_the_catalogs_does_not_matter(nights):
    turned = LightCurve(CatalogSet(nights.catalogs[::-1])).extract_source_info(10.0, 20.0)
    table = LightCurve(nights).extract_source_info(10.0, 20.0)
    for name in table.colnames:
        if name != "coord":
            assert np.array_equal(np.asarray(turned[name]), np.asarray(table[name])) or table[name].dtype.kind == "f"
    np.testing.assert_array_equal(numbers(turned["MAGSKY_AUTO"]), numbers(table["MAGSKY_AUTO"]))


@pytest.mark.parametrize("color_key", ["filter", "telname", "observatory"])
@pytest.mark.parametrize("offsets", [True, False])
def test_plot(nights, color_key, offsets):
    figure, axes, table = LightCurve(nights).plot(10.0, 20.0, color_key=color_key, apply_filter_offsets=offsets)
    assert axes.yaxis_inverted()
    assert figure.axes[0] is axes
    assert len(table) == 5


def test_errors_hold_those_of_the_zero_point(nights):
    from ezarchive.browse.lightcurve import _curve

    table = LightCurve(nights).extract_source_info(10.0, 20.0, "MAGSKY_AUTO")
    drawn = _curve(table, "MAGSKY_AUTO", None, "filter")
    assert len(drawn) == 4
    np.testing.assert_allclose(numbers(drawn["mag_err"])[np.asarray(drawn["kind"]) == "detection"], 0.05)
    drawn = _curve(table, "MAGSKY_AUTO", "MAGERR_AUTO", "filter")
    np.testing.assert_allclose(numbers(drawn["mag_err"])[np.asarray(drawn["kind"]) == "detection"], 0.03)


def test_fluxes_and_their_errors(nights):
    table = LightCurve(nights).extract_source_info("00:40:00 +20:00:00", flux_keys="FLUX_AUTO")
    assert table["FLUX_AUTO"].unit == u.ct
    assert np.nanmax(numbers(table["FLUXERR_AUTO"])) == 1.0
    assert "LIMIT_AUTO" not in table.colnames


def test_what_is_wrong_is_named(nights):
    curve = LightCurve(nights)
    with pytest.raises(UnknownNameError, match="column 'MAGSKY_AUT': did you mean 'MAGSKY_AUTO'"):
        curve.extract_source_info(10.0, 20.0, "MAGSKY_AUT")
    with pytest.raises(InputError, match="fluxerr_keys: must be one for each of the 2"):
        curve.extract_source_info(10.0, 20.0, ["MAGSKY_AUTO", "MAGSKY_APER"], ["MAGERR_AUTO"])
    with pytest.raises(InputError, match="flux_keys: must name a column"):
        curve.extract_source_info(10.0, 20.0, [])
    with pytest.raises(InputError, match="ra, dec: must be one position, found 2"):
        curve.extract_source_info([10.0, 11.0], [20.0, 20.0])
    with pytest.raises(InputError, match="ra, dec .*declination"):
        curve.extract_source_info(10.0, 95.0)
    with pytest.raises(InputError, match="color_key='seeing': must be one of"):
        curve.plot(10.0, 20.0, color_key="seeing")
    with pytest.raises(InputError, match="flux_key='FLUX_AUTO': must be a column of magnitudes"):
        curve.plot(10.0, 20.0, flux_key="FLUX_AUTO")


def test_no_catalogs():
    curve = LightCurve([])
    assert len(curve.extract_source_info(10.0, 20.0)) == 0
    figure, _, _ = curve.plot(10.0, 20.0)
    assert figure.axes
    assert repr(curve) == "<LightCurve of 0 catalogs>"


def test_on_an_archive(toy_sky, tmp_path):
    with Archive.create(tmp_path / "home", roots={"scidata": toy_sky.scidata}) as archive:
        archive.index(progress=False)
        archive.measure(workers=1, progress=False)
        catalogs = DataBrowser(archive).catalogs()
        star = archive.sql("SELECT ra, dec FROM light_curve WHERE flags = 0 ORDER BY snr DESC LIMIT 1").to_pandas().iloc[0]
        curve = ezarchive.LightCurve(catalogs)
        table = curve.extract_source_info(star.ra, star.dec)
        assert list(table["status"]) == ["detected"] * 2
        by_archive = archive.light_curve((star.ra, star.dec))
        np.testing.assert_allclose(numbers(table["mjd"]), numbers(by_archive["mjd_mid"]))
        np.testing.assert_allclose(numbers(table["MAGSKY_APER"]), numbers(by_archive["mag"]))
        missing = curve.extract_source_info(326.25, -77.2622)
        assert list(missing["status"]) == ["not detected"] * 2
        # The same as the archive says, which takes the frame's depth where this takes the noise around the place.
        limits = archive.light_curve((326.25, -77.2622), kind="limit")
        np.testing.assert_allclose(numbers(missing["LIMIT_APER"]), numbers(limits["mag_limit"]), atol=0.05)
        merged, info = catalogs.merge_catalogs()
        assert merged["n_detections"].max() == 2
        assert len(info) == 2
