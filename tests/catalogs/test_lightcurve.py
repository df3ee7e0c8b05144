"""The light curve of a position."""

from __future__ import annotations

from typing import Any

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ezarchive.catalogs.lightcurve import light_curve
from ezarchive.columns import LIGHT_CURVE
from ezarchive.errors import CatalogError, InputError

RA, DEC = 325.66, -77.3
ARCSEC = 1 / 3600


def around(ra: float, dec: float, *offsets: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Positions at (position angle in degrees, distance in arcsec) from a position."""
    centre = SkyCoord(ra * u.deg, dec * u.deg)
    found = [centre.directional_offset_by(angle * u.deg, distance * u.arcsec) for angle, distance in offsets]
    return np.array([c.ra.deg for c in found]), np.array([c.dec.deg for c in found])


def add(archive: Any, ra: float, dec: float, *offsets: tuple[float, float], **frame: Any) -> None:
    ras, decs = around(ra, dec, *offsets)
    flux = np.arange(1.0, len(offsets) + 1)
    archive.add({"exptime": 1.0, "ra": ra, "dec": dec, "radius": 0.7, **frame}, {5.0: flux, 7.0: flux * 2}, ra=ras, dec=decs)


@pytest.mark.parametrize(
    ("ra", "dec"),
    [(RA, DEC), (0.0, 0.0), (359.9999, 30.0), (0.0001, 89.9995), (123.0, -90.0), (10.0, 90.0), (180.0, -89.9999), (400.0, 10.0)],
)
def test_the_nearest_source_of_every_frame(archive: Any, ra: float, dec: float) -> None:
    add(archive, ra, dec, (90, 1.5), (270, 0.4), (0, 30), mjd_mid=60002.0, filter="r")
    add(archive, ra, dec, (200, 1.9), mjd_mid=60001.0, filter="g")
    add(archive, ra, dec, (120, 2.5), mjd_mid=60000.0, filter="g")
    add(archive, ra, dec, (45, 0.0), (45, 1.0), (135, 1.0), filter="i")
    with archive.engine() as engine:
        table = light_curve(engine, ra, dec, 2 * ARCSEC)
    assert list(table["frame_id"]) == [2, 1, 4]
    assert list(table["flux"].value) == [1.0, 2.0, 1.0]
    np.testing.assert_allclose(table["separation"].to_value(u.arcsec), [1.9, 0.4, 0.0], atol=1e-5)
    assert list(table["n_within"]) == [0, 1, 2]
    assert list(table["filter"]) == ["g", "r", "i"]
    assert table["mjd_mid"].mask[2]


def test_units_and_metadata(archive: Any) -> None:
    add(archive, RA, DEC, (0, 0.5), mjd_mid=60000.0)
    with archive.engine() as engine:
        table = light_curve(engine, RA, DEC, 2 * ARCSEC)
    assert table.colnames[:8] == ["mjd_mid", "filter", "telname", "flux", "flux_err", "mag", "mag_err", "snr"]
    assert set(table.colnames) == {*(column.name for column in LIGHT_CURVE), "separation", "n_within"}
    assert len(table.colnames) == len(LIGHT_CURVE) + 2
    for column in LIGHT_CURVE:
        assert (getattr(table[column.name], "unit", None) or None) == (None if column.unit is None else u.Unit(column.unit))
    assert table["separation"].unit == u.arcsec
    assert table["mag"].mask.all()
    assert table["object_id"].mask.all()
    meta = table.meta
    assert (meta["ra"], meta["dec"], meta["aperture"]) == (RA * u.deg, DEC * u.deg, 5 * u.arcsec)
    assert meta["radius"].to_value(u.arcsec) == pytest.approx(2)
    assert meta["notes"] == ()


def test_nothing_there(archive: Any) -> None:
    with archive.engine() as engine:
        table = light_curve(engine, RA, DEC, 1.0)
    assert len(table) == 0
    assert table["flux"].unit == u.ct / u.s


def test_aperture_filters_and_kind(archive: Any) -> None:
    add(archive, RA, DEC, (0, 0.5), mjd_mid=60000.0, filter="r")
    add(archive, RA, DEC, (0, 0.5), mjd_mid=60001.0, filter="g")
    ras, decs = around(RA, DEC, (0, 0.0))
    archive.add(archive.frames[0], {5.0: np.array([9.0])}, ra=ras, dec=decs, method="circular", run_id=2)
    with archive.engine() as engine:
        seven = light_curve(engine, RA, DEC, 2 * ARCSEC, aperture=7.0)
        assert list(seven["flux"].value) == [2.0, 2.0]
        assert seven["aperture_arcsec"][0] == 7 * u.arcsec
        assert "1 of 3 catalogs have no aperture of 7 arcsec" in seven.meta["notes"][0]
        assert list(light_curve(engine, RA, DEC, 2 * ARCSEC)["kind"]) == ["detection", "forced", "detection"]
        assert list(light_curve(engine, RA, DEC, 2 * ARCSEC, kind="forced")["flux"].value) == [9.0]
        assert list(light_curve(engine, RA, DEC, 2 * ARCSEC, filters=["g"])["frame_id"]) == [2]
        assert list(light_curve(engine, RA, DEC, 2 * ARCSEC, filters="g")["frame_id"]) == [2]
        assert len(light_curve(engine, RA, DEC, 2 * ARCSEC, filters=["r", "g"], kind="detection")) == 2
        assert len(light_curve(engine, RA, DEC, 2 * ARCSEC, filters=[])) == 0
        assert len(light_curve(engine, RA, DEC, 2 * ARCSEC, filters=["o'r"])) == 0


def test_frames_elsewhere_are_not_opened(archive: Any) -> None:
    add(archive, RA, DEC, (0, 0.5), mjd_mid=60000.0)
    add(archive, RA, DEC + 3, (0, 0.5), mjd_mid=60001.0)
    (archive.home / archive.catalogs[1]["path"]).write_bytes(b"torn")
    with archive.engine() as engine:
        assert len(light_curve(engine, RA, DEC, 2 * ARCSEC)) == 1
        with pytest.raises(CatalogError, match=r"2\.parquet.*catalog of frame 2"):
            light_curve(engine, RA, DEC + 3, 2 * ARCSEC)


def test_a_frame_without_footprint_is_looked_at(archive: Any) -> None:
    add(archive, RA, DEC, (0, 0.5), radius=None)
    with archive.engine() as engine:
        assert len(light_curve(engine, RA, DEC, 2 * ARCSEC)) == 1


def test_many_sources_are_pruned_right(archive: Any, rng: np.random.Generator) -> None:
    n = 40000
    ra, dec = rng.uniform(10, 11, n), rng.uniform(20, 21, n)
    archive.add({"exptime": 1.0, "ra": 10.5, "dec": 20.5, "radius": 0.8}, {5.0: np.arange(n, dtype=float)}, ra=ra, dec=dec)
    centres = SkyCoord(ra * u.deg, dec * u.deg)
    with archive.engine() as engine:
        for place in rng.integers(0, n, 5):
            table = light_curve(engine, ra[place] + 1e-5, dec[place], 30 * ARCSEC)
            separation = centres.separation(SkyCoord((ra[place] + 1e-5) * u.deg, dec[place] * u.deg))
            assert table["flux"].value[0] == np.argmin(separation)
            assert table["n_within"][0] == np.sum(separation < 30 * u.arcsec) - 1


@pytest.mark.pure
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(0, 360), st.floats(-90, 90), st.floats(0.001, 20), st.integers(0, 2**31))
def test_any_cone_is_that_of_brute_force(archive: Any, ra: float, dec: float, radius: float, seed: int) -> None:
    archive.frames.clear()
    archive.catalogs.clear()
    rng = np.random.default_rng(seed)
    centre = SkyCoord(ra * u.deg, dec * u.deg)
    placed = []
    for mjd in range(3):
        where = centre.directional_offset_by(rng.uniform(0, 360, 6) * u.deg, rng.uniform(0, 2 * radius, 6) * u.deg)
        placed.append(where)
        middle = centre.directional_offset_by(0 * u.deg, radius * u.deg)
        frame = {"exptime": 1.0, "mjd_mid": float(mjd), "ra": middle.ra.deg, "dec": middle.dec.deg, "radius": 3 * radius + 0.1}
        archive.add(frame, {5.0: np.arange(6.0)}, ra=where.ra.deg, dec=where.dec.deg)
    with archive.engine() as engine:
        table = light_curve(engine, ra, dec, radius)
    expected = []
    for frame_id, where in enumerate(placed, 1):
        separation = where.separation(centre).deg
        if separation.min() <= radius:
            expected.append((frame_id, float(np.argmin(separation)), int(np.sum(separation <= radius)) - 1))
    found = list(zip(table["frame_id"].tolist(), table["flux"].value.tolist(), table["n_within"].tolist(), strict=True))
    assert found == expected


@pytest.mark.parametrize("position", [(np.nan, 0), (0, np.inf), (0, 91), (0, -90.1)])
def test_impossible_positions(archive: Any, position: tuple[float, float]) -> None:
    with archive.engine() as engine, pytest.raises(InputError, match="position .* must be finite ICRS degrees"):
        light_curve(engine, *position, 1.0)


@pytest.mark.parametrize("radius", [0, -1, np.nan, 181])
def test_impossible_radii(archive: Any, radius: float) -> None:
    with archive.engine() as engine, pytest.raises(InputError, match="radius .* must be above 0"):
        light_curve(engine, 0, 0, radius)


def test_rows_of_frames_without_wcs_are_not_found(archive: Any) -> None:
    archive.add({"exptime": 1.0, "ra": None, "dec": None, "radius": None}, {5.0: np.ones(2)}, drop=("ALPHA_J2000", "DELTA_J2000"))
    with archive.engine() as engine:
        assert len(light_curve(engine, RA, DEC, 1.0)) == 0
