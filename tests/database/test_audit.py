"""Lists for people, and ObsCore."""

from __future__ import annotations

import random
from collections import Counter
from urllib.parse import unquote_to_bytes

import pytest

from ezarchive.database import ingest, names, queries
from ezarchive.errors import UnknownNameError
from ezarchive.frames.record import Frame


class TestFrames:
    def test_as_dictionaries(self, world):
        world.add(Frame(objname="T1", seeing=2.5))
        found = world.search()
        (row,) = queries.list_frames(found)
        assert (row["objname"], row["seeing"], row["path"]) == ("T1", 2.5, "/data/sci/f0000.fits")
        assert queries.list_frames(found, ["gain", "hdu"]) == [{"gain": None, "hdu": 0}]
        with pytest.raises(UnknownNameError, match=r"column 'seing': did you mean 'seeing'"):
            queries.list_frames(found, ["seing"])


class TestMissing:
    def test_files_and_what_was_in_them(self, world):
        a, b = world.add(Frame(), Frame(), names=[b"\xff.fits", "b.fits"])
        with world.database.begin() as conn:
            (copy,) = ingest.upsert_files(conn, world.roots["calib"], [(b"copy.fits", 1, 1, 1)])
            ingest.link(conn, [(b, copy, 0)])
            lost = [file_id for (file_id,) in conn.exec_driver_sql(f"SELECT file_id FROM frame_file WHERE file_id <> {copy}")]
            ingest.touch_seen(conn, world.roots["scidata"], 70000.0)
            ingest.refresh(conn, ingest.set_file_state(conn, lost, "missing"))
        with world.database.connect() as conn:
            rows = queries.missing(conn)
            assert queries.missing(conn, root="calib") == []
        facts = [tuple(row[name] for name in ("relpath", "path", "size", "last_seen", "n_frames", "n_lost")) for row in rows]
        assert facts == [
            ("b.fits", "/data/sci/b.fits", 2880, 70000.0, 1, 0),
            ("\udcff.fits", "/data/sci/\udcff.fits", 2880, 70000.0, 1, 1),
        ]


class TestRollup:
    def test_adds_up_over_what_is_not_asked_for(self, world):
        rng = random.Random(1)
        frames = [
            Frame(filter=rng.choice(["r", "g", None]), night=rng.choice(["2025-01-01", None]), exptime=rng.choice([1.0, None]))
            for _ in range(40)
        ]
        world.add(*frames)
        with world.database.connect() as conn:
            rows = queries.rollup(conn, by=["filter"])
            assert queries.rollup(conn, by=[]) == [{"n": 40, "exptime": sum(frame.exptime or 0 for frame in frames)}]
            with pytest.raises(UnknownNameError, match=r"column 'filters': did you mean 'filter'"):
                queries.rollup(conn, by=["filters"])
        counts = Counter(frame.filter for frame in frames)
        assert [(row["filter"], row["n"]) for row in rows] == [("g", counts["g"]), ("r", counts["r"]), (None, counts[None])]

    def test_of_nothing(self, world):
        with world.database.connect() as conn:
            assert queries.rollup(conn) == []
            assert queries.rollup(conn, by=[]) == [{"n": 0, "exptime": 0.0}]


class TestObsCore:
    """The view is compared with the frames, one by one."""

    def rows(self, world):
        with world.database.connect() as conn:
            return {row["obs_id"]: dict(row) for row in conn.exec_driver_sql("SELECT * FROM ivoa_obscore").mappings()}

    def test_science_frames_that_can_be_read(self, world, footprint):
        full = Frame(
            observatory="7DT", telname="7DT02", telkey="7DT_C361K_HIGH_1x1", objname="T00528", object_raw="T 528", filter="m600",
            mjd_start=60000.0, mjd_mid=60000.1, mjd_end=60000.2, exptime=100.0, naxis1=9576, naxis2=6388, seeing=2.5, ncombine=3,
            **footprint(10, -20),
        )  # fmt: skip
        a, b, c, d = world.add(full, Frame(observatory="7DT", object_raw="M 31"), Frame(kind="reference"), Frame())
        with world.database.begin() as conn:
            names.set_band(conn, "m600", em_min=587.5e-9, em_max=612.5e-9)
            (gone,) = conn.exec_driver_sql(f"SELECT file_id FROM frame WHERE frame_id = {d}").one()
            ingest.refresh(conn, ingest.set_file_state(conn, [gone], "missing"))
        rows = self.rows(world)
        assert sorted(rows) == [str(a), str(b)]
        assert rows[str(a)] == {
            "dataproduct_type": "image", "calib_level": 3, "obs_collection": "scidata", "obs_id": str(a),
            "obs_publisher_did": f"ivo://ezarchive/frame?{a}", "access_url": "file:///data/sci/f0000.fits", "access_format": "image/fits",
            "access_estsize": 3, "target_name": "T00528", "s_ra": 10.0, "s_dec": -20.0, "s_fov": pytest.approx(1.42), "s_region":
            full.s_region, "s_xel1": 9576, "s_xel2": 6388, "s_resolution": 2.5, "t_min": 60000.0, "t_max": 60000.2, "t_exptime": 100.0,
            "t_resolution": 100.0, "t_xel": 1, "em_min": 587.5e-9, "em_max": 612.5e-9, "em_res_power": pytest.approx(24.0), "em_xel": 1,
            "o_ucd": "phot.count", "pol_states": None, "pol_xel": 0, "facility_name": "7DT02", "instrument_name": "7DT_C361K_HIGH_1x1",
        }  # fmt: skip
        sparse = {name for name, value in rows[str(b)].items() if value is not None}
        assert sparse == {
            "dataproduct_type", "calib_level", "obs_collection", "obs_id", "obs_publisher_did", "access_url", "access_format",
            "access_estsize", "target_name", "s_xel1", "s_xel2", "t_xel", "em_xel", "o_ucd", "pol_xel", "facility_name",
        }  # fmt: skip
        assert (rows[str(b)]["target_name"], rows[str(b)]["facility_name"], rows[str(b)]["calib_level"]) == ("M 31", "7DT", 2)

    def test_is_right_against_a_brute_force_count(self, world, footprint):
        rng = random.Random(2)
        frames = [
            Frame(
                kind=rng.choice(["science", "reference", "flat"]), objname=rng.choice(["A", "B", None]), **footprint(rng.uniform(0, 360), 0)
            )
            for _ in range(80)
        ]
        ids = world.add(*frames)
        wanted = {
            str(key): (frame.objname, frame.ra, frame.s_region) for key, frame in zip(ids, frames, strict=True) if frame.kind == "science"
        }
        found = {key: (row["target_name"], row["s_ra"], row["s_region"]) for key, row in self.rows(world).items()}
        assert found == wanted

    def test_every_path_is_a_url(self, world):
        paths = [
            b"plain/A_b-1,2.fits",
            b"with space/#1 50%?.fits",
            "naïve.fits".encode(),
            b"\xff\xfe.fits",
            b"new\nline'\"\\.fits",
            b"a[1]*.fits",
        ]
        ids = world.add(*(Frame(),) * len(paths), names=paths)
        rows = self.rows(world)
        for frame_id, path in zip(ids, paths, strict=True):
            url = rows[str(frame_id)]["access_url"]
            assert url.isascii()
            assert not set(url) & set(" \n#?\"'\\[]*")
            assert unquote_to_bytes(url.removeprefix("file://")) == b"/data/sci/" + path
        assert rows[str(ids[0])]["access_url"] == "file:///data/sci/plain/A_b-1,2.fits"
