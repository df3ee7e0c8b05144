"""The light curve of a place or an object."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pyarrow as pa
import pytest

from ezarchive import Archive
from ezarchive.catalogs.curvetable import LightCurveTable
from ezarchive.catalogs.result import QueryResult
from ezarchive.columns import LIGHT_CURVE
from ezarchive.errors import InputError, QueryError, UnknownNameError
from ezarchive.lightcurves import query
from ezarchive.lightcurves.query import _object
from ezarchive.plots.common import numbers

EMPTY = (326.25, -77.2622)


@pytest.fixture(scope="module")
def star(toy):
    """A bright isolated star on all frames."""
    sources = toy.truth.sources
    good = sources[(sources["isolated"]) & (~sources["saturated"]) & (sources["mag"].value < 15.5)]
    names, counts = np.unique(good["star_id"], return_counts=True)
    row = toy.truth.stars[toy.truth.stars["star_id"] == names[counts.argmax()]][0]
    return float(row["ra"].value), float(row["dec"].value)


def kinds(table):
    return [str(kind) for kind in table["kind"]]


def test_columns_as_ever(measured, star):
    table = measured.light_curve(star)
    assert isinstance(table, LightCurveTable)
    assert len(table) == 6
    assert set(table.colnames) == {*(column.name for column in LIGHT_CURVE), "separation", "n_within"}
    assert set(table.meta) == {"ra", "dec", "radius", "aperture", "notes"}
    assert table["separation"].unit == u.arcsec
    assert kinds(table) == ["detection"] * 6


def test_limits_join_in_time(measured, star):
    table = measured.light_curve(EMPTY, limits=True)
    assert kinds(table) == ["limit"] * 6
    assert numbers(table["mjd_mid"]).tolist() == sorted(numbers(table["mjd_mid"]))
    assert np.isfinite(numbers(table["mag_limit"])).all()
    assert table["mag"].mask.all()
    assert len(measured.light_curve(EMPTY)) == 0
    assert kinds(measured.light_curve(star, limits=True)) == ["detection"] * 6
    assert len(measured.light_curve(star, kind="limit")) == 0
    assert len(measured.light_curve(EMPTY, kind="limit", filter="m600")) == 3
    assert kinds(measured.light_curve(EMPTY, kind="detection", limits=True)) == ["limit"] * 6


def test_forced_measurements_stand_where_limits_would(toy, star, tmp_path):
    with Archive.create(tmp_path / "home", roots={"scidata": toy.scidata}) as archive:
        archive.index(progress=False)
        archive.measure(workers=1, progress=False)
        frames = [int(number) for number in archive.sql("SELECT frame_id FROM frames ORDER BY frame_id").to_table()["frame_id"]]
        archive.forced(f"{EMPTY[0]} {EMPTY[1]}", frames[:2], workers=1, progress=False)
        table = archive.light_curve(EMPTY, limits=True)
        assert sorted(kinds(table)) == ["forced"] * 2 + ["limit"] * 4
        assert [frame for frame, kind in zip(table["frame_id"], kinds(table), strict=True) if kind == "forced"] == frames[:2]
        assert {*archive.light_curve(EMPTY, kind="forced")["frame_id"]} == {*frames[:2]}
        binned = table.binned("night")
        assert int(np.sum(binned["n_limits"])) == 4
        assert table.plot().axes


def test_quality(measured, star):
    everything = measured.light_curve(star)
    bits = int(np.bitwise_or.reduce(np.asarray(everything["flags"])))
    assert len(measured.light_curve(star, quality="good")) <= len(everything)
    assert len(measured.light_curve(star, quality=0)) == len(everything)
    marked = everything[np.asarray(everything["flags"]) != 0]
    assert len(measured.light_curve(star, quality=bits)) == len(everything) - len(marked)
    assert len(measured.light_curve(star, quality=(0, 511))) == np.count_nonzero(np.asarray(everything["flags_aper"]) == 0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"quality": "best"}, "quality='best': must be 'good', bits"),
        ({"quality": -1}, "quality=.*must be 'good'"),
        ({"quality": True}, "quality=True: must be"),
        ({"quality": (1, 2, 3)}, "quality=.*two numbers"),
        ({"limits": "no"}, "limits='no': must be True or False"),
        ({"bjd": 1.0}, "bjd=1.0: must be True or False"),
        ({"heliocentric": None}, "heliocentric=None: must be True or False"),
        ({"kind": "limits"}, "kind='limits': must be one of detection, forced, limit"),
        ({"radius": 2}, "radius 2: a bare number has no unit"),
        ({"radius": "2 deg"}, "radius='2 deg': must be more than 0 and at most 1 degree"),
    ],
)
def test_wrong_arguments_are_named(measured, given, message):
    with pytest.raises(InputError, match=message):
        measured.light_curve(EMPTY, **given)


def test_unknown_names_are_told(measured):
    with pytest.raises(UnknownNameError, match="filter 'm60'"):
        measured.light_curve(EMPTY, filter="m60")
    with pytest.raises(UnknownNameError, match="telname"):
        measured.light_curve(5, telname="8DT")


def test_an_object_without_a_store_is_told(measured):
    with pytest.raises(QueryError, match="object 12345: this archive has no objects; `ezarchive associate` makes them"):
        measured.light_curve(12345)
    with pytest.raises(InputError, match="position True: must be"):
        measured.light_curve(True)


def test_times_of_the_barycentre(measured, star):
    table = measured.light_curve(star, bjd=True, heliocentric=True)
    names = table.colnames
    assert names[names.index("mjd_mid") + 1 : names.index("mjd_mid") + 3] == ["bjd_tdb", "hjd_utc"]
    off = numbers(table["bjd_tdb"]) - 2400000.5 - numbers(table["mjd_mid"])
    assert (np.abs(off) < 0.007).all()
    assert table.meta["notes"] == ()  # the headers tell the site
    from astropy.coordinates import EarthLocation, SkyCoord
    from astropy.time import Time
    from astropy.utils import iers

    from ezarchive.simulate import exposure

    place = EarthLocation(lon=exposure.LONGITUDE * u.deg, lat=exposure.LATITUDE * u.deg, height=exposure.ELEVATION * u.m)
    with iers.conf.set_temp("auto_download", False), iers.conf.set_temp("iers_degraded_accuracy", "ignore"):
        times = Time(numbers(table["mjd_mid"]), format="mjd", scale="utc", location=place)
        expected = times.tdb + times.light_travel_time(SkyCoord(*star, unit="deg"))
    np.testing.assert_allclose(numbers(table["bjd_tdb"]), expected.jd, rtol=0, atol=1e-9)
    assert table.fold(0.5).colnames[0] == "phase"
    assert table.to_timeseries("bjd_tdb").time.scale == "tdb"


def test_no_rows_have_times_too(measured):
    assert len(measured.light_curve((10.0, 10.0), bjd=True, limits=True)) == 0


@pytest.fixture(scope="module")
def associated(toy, tmp_path_factory):
    """The archive with objects."""
    home = tmp_path_factory.mktemp("associated") / "home"
    with Archive.create(home, roots={"scidata": toy.scidata}) as archive:
        archive.index(progress=False)
        archive.measure(workers=1, progress=False)
        archive.associate(workers=1, progress=False)
        yield archive


def test_an_object_by_its_number(associated):
    found = associated.sql("SELECT object_id, ra, dec, n_det FROM objects ORDER BY n_det DESC, object_id LIMIT 3")
    for row in found:
        table = associated.light_curve(row.object_id)
        assert isinstance(table, LightCurveTable)
        assert set(table.colnames) == {*(column.name for column in LIGHT_CURVE), "separation", "n_within"}
        assert set(np.asarray(table["object_id"])) == {row.object_id}
        assert kinds(table).count("detection") == row.n_det
        assert (numbers(table["separation"]) < 1.0).all()
        assert table.meta["object_id"] == row.object_id
        assert table.meta["ra"].value == row.ra
        # By its place the same rows come, and those that are of no object.
        there = associated.light_curve((row.ra, row.dec))
        assert set(table["catalog_id"]) <= set(there["catalog_id"])
        own = there[np.nan_to_num(numbers(there["object_id"])) == float(row.object_id)]
        np.testing.assert_allclose(numbers(own["flux"]), numbers(table["flux"]), rtol=2e-7)


def test_limits_of_an_object(associated):
    for row in associated.sql("SELECT object_id, ra, dec FROM objects ORDER BY n_det LIMIT 3"):
        table = associated.light_curve(row.object_id, limits=True)
        assert len({*np.asarray(table["frame_id"])}) == len(table) <= 6
        assert set(np.asarray(table["object_id"])) == {row.object_id}
        near = {*np.asarray(associated.light_curve((row.ra, row.dec))["frame_id"])}
        assert not near & {*np.asarray(table.select(kind="limit")["frame_id"])}


def test_filters_and_apertures_of_an_object(associated):
    number = associated.sql("SELECT object_id FROM objects ORDER BY n_det DESC LIMIT 1").to_table()["object_id"][0]
    assert isinstance(number, np.integer)
    everything = associated.light_curve(number)
    assert set(associated.light_curve(number, filter="m600")["filter"]) == {"m600"}
    assert len(associated.light_curve(number, telname="7DT*", kind="detection")) == len(everything)
    seven = associated.light_curve(number, aperture=7)
    assert len(seven) == len(everything)
    assert set(seven["aperture_arcsec"].value) == {7.0}
    assert len(associated.light_curve(number, method="sex")) == len(everything)


def test_an_object_that_does_not_exist_is_told(associated):
    with pytest.raises(QueryError, match="object 12345: there is no such object"):
        associated.light_curve(12345)


class _Answers:
    """An archive that knows one object, which another became."""

    def sql(self, query, parameters):
        rows = {"objects": {7: (10.0, 20.0)}, "aliases": {5: (7,)}}["objects" if "objects" in query else "aliases"].get(parameters[0])
        names = ["ra", "dec"] if "objects" in query else ["object_id"]
        return QueryResult(pa.table({name: [] if rows is None else [rows[place]] for place, name in enumerate(names)}))


def test_an_id_that_became_another_object_is_followed(monkeypatch):
    monkeypatch.setattr(query, "_has_objects", lambda archive: True)
    assert _object(_Answers(), 7) == (7, 10.0, 20.0)
    assert _object(_Answers(), 5) == (7, 10.0, 20.0)
    with pytest.raises(QueryError, match="object 6: there is no such object"):
        _object(_Answers(), 6)
