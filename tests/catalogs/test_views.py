"""The views over catalogs: what their columns hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io.votable.ucd import check_ucd
from hypothesis import given, settings
from hypothesis import strategies as st

from ezarchive import columns
from ezarchive.catalogs.sql import Engine
from ezarchive.catalogs.views import ZERO_POINTS_SCHEMA
from ezarchive.errors import InputError

ELLIPSE = 0.0
"""What stands for a diameter in `Archive.add`: the flux is that of an ellipse."""


def one(engine: Engine, sql: str, *args: Any, **options: Any) -> Any:
    result = engine.query(sql, *args, **options)
    assert len(result) == 1
    return result[0]


def test_views_of_an_empty_archive_have_their_columns(tmp_path: Path) -> None:
    with Engine({}, {}, tmp_path) as engine:
        assert len(engine.query("SELECT * FROM light_curve")) == 0
        assert engine.query("SELECT * FROM light_curve").columns == tuple(column.name for column in columns.LIGHT_CURVE)
        found = engine.query("SELECT * FROM measurements").columns
        assert found[:2] == ("catalog_id", "row")
        forced = [columns.lookup("target_id"), columns.lookup("sky_source")]
        expected = [*columns.CATALOG_LINK, *columns.SOURCE, *forced, *columns.aperture(0)]
        assert found[2:] == tuple(column.name for column in expected)
        assert {"frame_id", "filter", "mjd_mid", "path"} <= set(engine.query("SELECT * FROM frames").columns)
        assert {"catalog_id", "apertures", "sha256"} <= set(engine.query("SELECT * FROM catalogs").columns)
        assert {row[0] for row in engine.query("SHOW TABLES")} >= {"frames", "catalogs", "measurements", "light_curve"}


def test_light_curve_types_are_those_of_columns(archive: Any) -> None:
    archive.add({"filter": "r", "exptime": 10.0}, {5.0: np.array([100.0])})
    for engine in (archive.engine(), Engine({}, {}, archive.home)):
        arrow = engine.query("SELECT * FROM light_curve").to_arrow()
        names = {"int64": "int64", "double": "float64", "int32": "int32", "string": "str", "large_string": "str"}
        for column in columns.LIGHT_CURVE:
            assert names[str(arrow.schema.field(column.name).type)] == column.dtype, column.name
        engine.close()


def test_light_curve_values(archive: Any) -> None:
    frame = {"telname": "7DT01", "filter": "m600", "mjd_mid": 60900.5, "exptime": 100.0, "bunit": "adu"}
    frame |= {"zero_point": 25.0, "zero_point_aperture": 5.0, "zero_point_system": "AB"}
    archive.add(frame, {5.0: np.array([1e4, -50.0])}, depth=20.5, depth_aperture=5.0)
    with archive.engine() as engine:
        bright, faint = engine.query("SELECT * FROM light_curve ORDER BY flux DESC")
    assert (bright.frame_id, bright.run_id, bright.catalog_id, bright.row, bright.object_id) == (1, 1, 100, 0, None)
    assert (bright.telname, bright.filter, bright.mjd_mid, bright.exptime) == ("7DT01", "m600", 60900.5, 100.0)
    assert (bright.flux, bright.flux_err, bright.snr) == (100.0, 0.1, 1000.0)
    assert bright.mag_inst == pytest.approx(-5.0)
    assert bright.mag_inst_err == pytest.approx(1.0857362e-3, rel=1e-6)
    assert bright.mag == pytest.approx(15.0)
    assert bright.mag_err == pytest.approx(1.0857362e-3, rel=1e-6)
    assert bright.flux_ujy == pytest.approx(10 ** ((23.9 - 15.0) / 2.5))
    assert bright.flux_ujy_err == pytest.approx(bright.flux_ujy / 1000)
    assert (bright.aperture_arcsec, bright.mag_limit, bright.flags, bright.kind) == (5.0, 20.5, 0, "detection")
    assert (faint.flux, faint.mag_inst, faint.mag, faint.mag_err, faint.mag_inst_err) == (-0.5, None, None, None, None)
    assert faint.flux_ujy < 0
    assert faint.row == 1


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ({}, (None, None, None, None)),
        ({"exptime": 0.0}, (None, None, None, None)),
        ({"exptime": 50.0}, (2.0, None, None, None)),
        ({"exptime": 50.0, "bunit": "adu/s"}, (100.0, None, None, None)),
        ({"bunit": "MJy/sr"}, (100.0, None, None, None)),
        ({"exptime": 50.0, "zero_point": 25.0}, (2.0, None, None, None)),
        ({"exptime": 50.0, "zero_point": 25.0, "zero_point_aperture": 7.0}, (2.0, None, None, None)),
        ({"exptime": 50.0, "zero_point": 25.0, "zero_point_aperture": 5.04}, (2.0, 20.0, None, 19.0)),
        ({"exptime": 50.0, "zero_point": 25.0, "zero_point_aperture": 5.0, "zero_point_system": "Vega"}, (2.0, 20.0, None, 19.0)),
        ({"exptime": 50.0, "zero_point": 25.0, "zero_point_aperture": 5.0, "zero_point_system": "AB"}, (2.0, 20.0, 36.3, 19.0)),
        ({"zero_point": 25.0, "zero_point_aperture": 5.0, "zero_point_system": "ab"}, (None, 20.0, 36.3, 19.0)),
    ],
)
def test_light_curve_is_null_where_nothing_is_known(archive: Any, frame: dict[str, Any], expected: tuple[Any, ...]) -> None:
    archive.add(frame, {5.0: np.array([100.0])}, depth=19.0, depth_aperture=5.0)
    with archive.engine() as engine:
        row = one(engine, "SELECT flux, mag, flux_ujy, mag_limit FROM light_curve")
    assert (row.flux, row.mag, row.mag_limit) == (expected[0], expected[1], expected[3])
    assert row.flux_ujy == (None if expected[2] is None else pytest.approx(expected[2], rel=1e-2))


def test_mag_limit_needs_the_same_aperture(archive: Any) -> None:
    frame = {"exptime": 1.0, "zero_point": 25.0, "zero_point_aperture": 5.0}
    archive.add(frame, {5.0: np.array([1.0])}, depth=19.0, depth_aperture=7.0)
    archive.add({**frame, "depth": 18.0, "depth_aperture": 5.0}, {5.0: np.array([1.0])}, depth=19.0, depth_aperture=7.0)
    with archive.engine() as engine:
        limits = [row.mag_limit for row in engine.query("SELECT mag_limit FROM light_curve ORDER BY frame_id")]
    assert limits == [None, 18.0]


def test_a_stored_zero_point_comes_before_the_headers(archive: Any) -> None:
    header = {"exptime": 1.0, "zero_point": 25.0, "zero_point_err": 0.3, "zero_point_aperture": 5.0, "zero_point_system": "AB"}
    for _ in range(3):
        archive.add(header, {5.0: np.array([100.0])}, depth=19.0, depth_aperture=5.0)
    archive.calibrate(1, 5.0, 26.0, depth=18.5)
    archive.calibrate(2, 5.0, 26.0, system="Vega", ab_offset=None)
    archive.calibrate(2, None, 27.0)
    archive.calibrate(3, 7.0, 26.0)
    query = "SELECT mag, mag_err, zero_point, zero_point_err, flux_ujy, mag_limit FROM light_curve ORDER BY frame_id"
    with archive.engine() as engine:
        first, second, third = (tuple(row) for row in engine.query(query))
    error = pytest.approx(0.10857362)
    assert first == (21.0, error, 26.0, 0.01, pytest.approx(100 * 10 ** ((23.9 - 26) / 2.5)), 18.5)
    assert second == (21.0, error, 26.0, 0.01, None, None)
    assert third == (20.0, error, 25.0, 0.3, pytest.approx(100 * 10 ** ((23.9 - 25) / 2.5)), 19.0)


def test_a_stored_zero_point_is_that_of_the_aperture_within_a_hundredth(archive: Any) -> None:
    archive.add({"exptime": 1.0}, {5.0: np.array([100.0]), 7.0: np.array([200.0]), 10.0: np.array([300.0])})
    archive.calibrate(1, 7.05, 26.0)
    archive.calibrate(1, 7.01, 26.5)
    archive.calibrate(1, 4.94, 27.0)
    with archive.engine() as engine:
        found = {size: one(engine, "SELECT zero_point FROM light_curve", aperture=size)[0] for size in (5.0, 7.0, 10.0)}
    assert found == {5.0: None, 7.0: 26.5, 10.0: None}


def test_forced_rows_take_the_zero_points_of_the_frames_stars(archive: Any) -> None:
    archive.add({"exptime": 1.0}, {5.0: np.array([100.0])}, method="circular", drop=("FLAGS",), sky_sigma=2.0)
    archive.add({"exptime": 1.0}, {5.0: np.array([-100.0])}, method="photutils", sky_sigma=2.0)
    for frame_id in (1, 2):
        archive.calibrate(frame_id, 5.0, 25.0, depth=18.0)
        archive.calibrate(frame_id, 5.0, 25.5, depth=18.0, method="photutils", run_id=8)
    query = "SELECT kind, zero_point, mag, mag_limit, flags FROM light_curve ORDER BY frame_id"
    with archive.engine() as engine:
        assert [tuple(row) for row in engine.query(query)] == [("forced", 25.0, 20.0, 22.5, None), ("detection", 25.5, None, 23.0, 0)]


def test_a_limit_is_that_of_the_place_where_its_noise_is_known(archive: Any) -> None:
    frame = {"exptime": 1.0, "zero_point": 25.0, "zero_point_aperture": 5.0}
    archive.add(frame, {5.0: np.array([1.0])}, depth=19.0, depth_aperture=5.0, sky_sigma=2.0)
    archive.add({"exptime": 1.0}, {5.0: np.array([1.0])}, sky_sigma=2.0)
    with archive.engine() as engine:
        assert [row.mag_limit for row in engine.query("SELECT mag_limit FROM light_curve ORDER BY frame_id")] == [22.5, None]


def with_ellipses(archive: Any) -> None:
    """Three frames with a detection each, ellipses on the first two."""
    header = {"exptime": 10.0, "zero_point": 23.0, "zero_point_aperture": 5.0, "zero_point_system": "AB"}
    for _ in range(3):
        archive.add(header, {5.0: np.array([1.0])})
    for frame_id in (1, 2):
        frame = {"frame_id": frame_id, "exptime": 10.0}
        facts = {"method": "elliptical", "run_id": 2, "sky_sigma": 2.0, "targets": ["X", "Y"]}
        archive.add(frame, {ELLIPSE: np.array([100.0 * frame_id, -5.0])}, **facts)


def test_ellipses_are_left_out_unless_they_are_asked_for(archive: Any) -> None:
    with_ellipses(archive)
    archive.add({"frame_id": 3, "exptime": 10.0}, {7.0: np.array([1.0])}, method="circular", run_id=3)
    with archive.engine() as engine:
        circles = engine.query("SELECT DISTINCT run_id, kind, aperture_arcsec FROM light_curve")
        assert list(circles) == [(1, "detection", 5.0)]
        assert circles.notes == (
            "(1 of 4 catalogs have no aperture of 5 arcsec and give no rows)",
            "(2 of 6 catalogs hold ellipses and give no rows; method 'elliptical' shows them alone)",
        )
        assert engine.query("SELECT * FROM light_curve WHERE frame_id = 1").notes == (
            "(1 of 2 catalogs hold ellipses and give no rows; method 'elliptical' shows them alone)",
        )
    with archive.engine(ellipses=True) as engine:
        ellipses = engine.query("SELECT frame_id, flux, aperture_arcsec, kind, flags, flags_aper, snr FROM light_curve ORDER BY 1, 2")
        rows = [(n, flux, None, "forced", None, 64, flux) for n in (1, 2) for flux in (-0.5, 10.0 * n)]
        assert list(ellipses) == rows
        assert ellipses.notes == ()
        assert list(engine.query("SELECT frame_id, flux FROM light_curve WHERE flux > 15", aperture=7)) == [(2, 20.0)]


def test_ellipses_take_the_stored_zero_point_of_auto_and_never_the_headers_of_a_circle(archive: Any) -> None:
    with_ellipses(archive)
    archive.calibrate(1, 5.0, 26.0, depth=18.0)
    archive.calibrate(1, None, 25.0, error=0.02)
    archive.calibrate(1, None, 24.0, run_id=8, method="photutils")
    query = "SELECT mag, mag_err, zero_point, zero_point_err, flux_ujy, mag_limit FROM light_curve ORDER BY frame_id, flux DESC"
    ujy = 10 ** ((23.9 - 25) / 2.5)
    limit = pytest.approx(22.5)
    with archive.engine(ellipses=True) as engine:
        bright, negative, *unknown = (tuple(row) for row in engine.query(query))
    assert bright == (20.0, pytest.approx(0.10857362), 25.0, 0.02, pytest.approx(100 * ujy), limit)
    assert negative == (None, None, 25.0, 0.02, pytest.approx(-5 * ujy), limit)
    assert unknown == [(None,) * 6] * 2
    with archive.engine() as engine:  # and circles none of AUTO
        found = engine.query("SELECT zero_point FROM light_curve ORDER BY frame_id")
        assert [row.zero_point for row in found] == [26.0, 23.0, 23.0]


def test_measurements_hold_the_columns_of_forced_photometry(archive: Any) -> None:
    with_ellipses(archive)
    archive.add({"frame_id": 3}, {5.0: np.array([7.0, 8.0])}, method="circular", run_id=3, targets=["X", "Z"])
    with archive.engine() as engine:
        values = "target_id, frame_id, FLUX_APER, FLUX_ELIP, FLAGS_ELIP"
        found = engine.query(f"SELECT {values} FROM measurements WHERE target_id = 'X' ORDER BY 2")
        assert list(found) == [("X", 1, None, 100.0, 64), ("X", 2, None, 200.0, 64), ("X", 3, 7.0, None, None)]
        assert one(engine, "SELECT count(*), count(target_id) FROM measurements") == (9, 6)
        # No catalog of this frame has such columns, nor is any read here; the view has them all the same.
        query = "SELECT count(*), count(SMA_WORLD), count(BACKGROUND_APER), count(NPIX_ANNULUS_ELIP) FROM measurements WHERE frame_id = {}"
        assert [tuple(one(engine, query.format(n))) for n in (1, 4)] == [(3, 0, 0, 0), (0, 0, 0, 0)]
    with Engine({}, {}, archive.home) as engine:
        assert len(engine.query("SELECT mjd_mid, FLUX_APER FROM measurements WHERE target_id = 'X'")) == 0


def test_zero_points_are_a_view(archive: Any) -> None:
    archive.add({"filter": "r"}, {5.0: np.array([1.0])})
    archive.calibrate(1, 5.0, 25.0, n_stars=12)
    with archive.engine() as engine:
        assert one(engine, "SELECT filter, value, n_stars FROM zero_points JOIN frames USING (frame_id)") == ("r", 25.0, 12)
    with Engine({}, {}, archive.home) as engine:
        assert len(engine.query("SELECT * FROM zero_points")) == 0


def test_the_aperture_is_found_by_its_diameter_not_its_place(archive: Any) -> None:
    archive.add({"exptime": 1.0}, {5.0: np.array([50.0]), 7.0: np.array([70.0])})
    archive.add({"exptime": 1.0}, {2.5: np.array([25.0]), 3.0: np.array([30.0]), 5.005: np.array([50.1]), 7.0: np.array([70.1])})
    archive.add({"exptime": 1.0}, {7.0: np.array([70.2])})
    archive.add({"exptime": 1.0}, {5.0: np.array([50.3])}, method="circular")
    with archive.engine() as engine:
        five = engine.query("SELECT frame_id, flux, aperture_arcsec, kind FROM light_curve ORDER BY frame_id")
        assert list(five) == [(1, 50.0, 5.0, "detection"), (2, 50.1, 5.005, "detection"), (4, 50.3, 5.0, "forced")]
        assert five.notes == ("(1 of 4 catalogs have no aperture of 5 arcsec and give no rows)",)
        seven = engine.query("SELECT frame_id, flux FROM light_curve ORDER BY frame_id", aperture=7)
        assert list(seven) == [(1, 70.0), (2, 70.1), (3, 70.2)]
        assert len(engine.query("SELECT * FROM light_curve", aperture=6)) == 0
        assert len(engine.query("SELECT * FROM light_curve")) == 3
    with archive.engine(aperture=7.0) as engine:
        assert len(engine.query("SELECT * FROM light_curve")) == 3


@pytest.mark.parametrize("aperture", [0, -5, np.nan, np.inf])
def test_an_impossible_aperture_is_refused(archive: Any, aperture: float) -> None:
    archive.add({}, {5.0: np.array([50.0])})
    with archive.engine() as engine, pytest.raises(InputError, match="must be a diameter in arcsec"):
        engine.query("SELECT * FROM light_curve", aperture=aperture)


def test_an_aperture_without_scale_is_no_diameter(archive: Any) -> None:
    archive.add({"exptime": 1.0}, {5.0: np.array([1.0]), 6.0: np.array([2.0])})
    archive.catalogs[0]["apertures"] = [None, 5.0]
    archive.add({"exptime": 1.0}, {5.0: np.array([3.0])})
    archive.catalogs[1]["apertures"] = None
    archive.add({"exptime": 1.0}, {5.0: np.array([4.0])})
    with archive.engine() as engine:
        assert [tuple(row) for row in engine.query("SELECT frame_id, flux FROM light_curve ORDER BY 1")] == [(1, 2.0), (3, 4.0)]


def test_measurements_hold_every_column_of_catalogs_that_differ(archive: Any) -> None:
    archive.add({"filter": "r"}, {5.0: np.array([1.0, 2.0])})
    archive.add({"filter": "g"}, {5.0: np.array([3.0]), 7.0: np.array([4.0])}, drop=("FLAGS", "_healpix_29"))
    with archive.engine() as engine:
        rows = list(
            engine.query('SELECT catalog_id, "row", "NUMBER", FLUX_APER, FLUX_APER_1, FLAGS, filter FROM measurements ORDER BY 1, 2')
        )
        assert rows == [(100, 0, 1, 1.0, None, 0, "r"), (100, 1, 2, 2.0, None, 0, "r"), (101, 0, 1, 3.0, 4.0, None, "g")]
        assert one(engine, "SELECT count(*), count(MAG_AUTO) FROM measurements") == (3, 0)


def test_a_frame_without_wcs_gives_rows_without_position(archive: Any) -> None:
    archive.add({"exptime": 1.0}, {5.0: np.array([1.0])}, drop=("ALPHA_J2000", "DELTA_J2000", "_healpix_29"))
    with archive.engine() as engine:
        assert list(engine.query("SELECT frame_id, ra, dec, flux FROM light_curve")) == [(1, None, None, 1.0)]


angle = st.floats(0, 360, allow_nan=False)
latitude = st.floats(-90, 90, allow_nan=False)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(angle, latitude, angle, latitude), min_size=1, max_size=20))
def test_angular_separation_is_astropys(positions: list[tuple[float, float, float, float]]) -> None:
    with Engine({}, {}, ".") as engine:
        rows = ", ".join(f"({a}::DOUBLE, {b}::DOUBLE, {c}::DOUBLE, {d}::DOUBLE)" for a, b, c, d in positions)
        found = [row.s for row in engine.query(f"SELECT angular_separation(a, b, c, d) AS s FROM (VALUES {rows}) t(a, b, c, d)")]
    ra1, dec1, ra2, dec2 = np.array(positions).T
    expected = SkyCoord(ra1 * u.deg, dec1 * u.deg).separation(SkyCoord(ra2 * u.deg, dec2 * u.deg)).deg
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_the_columns_of_the_view_zero_points_are_well_specified() -> None:
    for column in ZERO_POINTS_SCHEMA:
        assert column.dtype in columns.DTYPES
        assert column.unit is None or u.Unit(column.unit)
        assert check_ucd(column.ucd, check_controlled_vocabulary=True), column


def test_limit_in_flux_target_and_night(archive: Any) -> None:
    archive.add({"exptime": 100.0, "night": "2025-09-01"}, {5.0: np.array([10.0])}, sky_sigma=20.0)
    archive.add({"exptime": 50.0}, {5.0: np.array([1.0, 2.0])}, method="circular", targets=["SN1", "SN2"], sky_sigma=20.0)
    archive.add({"exptime": None, "night": "2025-09-02"}, {5.0: np.array([3.0])}, sky_sigma=20.0)
    archive.add({"exptime": 10.0, "night": "2025-09-03"}, {5.0: np.array([4.0])})
    archive.add({"exptime": 10.0, "bunit": "electron/s"}, {5.0: np.array([5.0])}, sky_sigma=0.0)
    with archive.engine() as engine:
        rows = list(engine.query('SELECT flux_limit, target_id, night, frame_id FROM light_curve ORDER BY frame_id, "row"'))
        assert [row[:3] for row in rows[:3]] == [(1.0, None, "2025-09-01"), (2.0, "SN1", None), (2.0, "SN2", None)]
        assert [row[:3] for row in rows[3:]] == [(None, None, "2025-09-02"), (None, None, "2025-09-03"), (None, None, None)]
        assert [row.frame_id for row in engine.query("SELECT frame_id FROM light_curve WHERE night = '2025-09-03'")] == [4]
        assert len(engine.query("SELECT * FROM light_curve WHERE target_id = 'SN2'")) == 1
