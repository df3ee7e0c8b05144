"""Questions about frames, against a brute-force answer."""

from __future__ import annotations

import math
import random
from fnmatch import fnmatchcase

import pytest

from ezarchive import sky
from ezarchive.database import ingest, names, queries, runs
from ezarchive.database.queries import FrameQuery
from ezarchive.errors import InputError, UnknownNameError
from ezarchive.frames.record import Frame

FILTERS = ("g", "r", "m600", "m625")
TARGETS = ("T00001", "T00002", "NGC 253")


def a_frame(rng: random.Random, footprint) -> Frame:
    place = {} if rng.random() < 0.1 else footprint(rng.uniform(0, 360), rng.uniform(-90, 90), 0.7, rng.uniform(0, 360))
    return Frame(
        kind=rng.choice(["science", "science", "reference"]), observatory=rng.choice(["7DT", None]), telkey=rng.choice(["a", "b"]),
        telname=rng.choice(["7DT01", "7DT02", "7DT11"]), objname=rng.choice([*TARGETS, None]), filter=rng.choice(FILTERS),
        object_raw=rng.choice(["T 1", "t1", None]), night=rng.choice(["2025-01-01", "2025-01-02", "2025-02-01", None]),
        mjd_mid=rng.choice([None, 60000.0, 60000.5, 60001.0 + rng.random()]), exptime=rng.choice([10.0, 100.0, None]),
        seeing=rng.choice([None, 2.0, 3.0, 4.0]), ncombine=rng.choice([None, 1, 5]), **place,
    )  # fmt: skip


@pytest.fixture
def many(world, footprint):
    """300 frames all over the sky, some without a place."""
    rng = random.Random(3)
    frames = [a_frame(rng, footprint) for _ in range(300)]
    world.add(*frames[:250])
    world.add(*frames[250:], root="calib", names=[f"x/calib_{number}_100.fits" for number in range(50)])
    return world


def brute(world, passes, root=None) -> list[int]:
    """Return the ids of the frames that pass, in order of time."""
    roots = {frame.frame_id: frame.root for frame in world.search()}
    chosen = [key for key, frame in world.frames.items() if passes(frame) and root in (None, roots[key])]
    return sorted(chosen, key=lambda key: (world.frames[key].mjd_mid is None, world.frames[key].mjd_mid or 0.0, key))


def within(value, low, high):
    return value is not None and (low is None or value >= low) and (high is None or value <= high)


NAMES = [
    ({}, lambda f: True),
    ({"filter": ("r",)}, lambda f: f.filter == "r"),
    ({"filter": ("m*", "g")}, lambda f: f.filter != "r"),
    ({"filter": ("z*",)}, lambda f: False),
    ({"objname": ("ngc253",), "telname": ("7DT0?",)}, lambda f: f.objname == "NGC 253" and f.telname != "7DT11"),
    ({"objname": ("*",)}, lambda f: f.objname is not None),
    ({"observatory": ("7DT",)}, lambda f: f.observatory == "7DT"),
    ({"telkey": ("a",), "night": ("2025-01-*",)}, lambda f: f.telkey == "a" and (f.night or "").startswith("2025-01")),
    ({"night": ("2025-02-01", "1999-01-01")}, lambda f: f.night == "2025-02-01"),
    ({"imgtype": ("ref*",)}, lambda f: f.kind == "reference"),
    ({"object_raw": ("T 1",)}, lambda f: f.object_raw == "T 1"),
    ({"object_raw": ("[tT]?1", "t1")}, lambda f: f.object_raw is not None),
    ({"filter": ()}, lambda f: False),
]


class TestSearch:
    @pytest.mark.parametrize(("given", "passes"), NAMES, ids=[str(given) for given, _ in NAMES])
    def test_names(self, many, given, passes):
        assert many.ids(names=given) == brute(many, passes)
        assert many.ids(names=given, root="calib") == brute(many, passes, "calib")
        kinds = ("science",)
        assert many.ids(names=given, kinds=kinds) == brute(many, lambda frame: passes(frame) and frame.kind == "science")

    @pytest.mark.parametrize(
        ("ranges", "passes"),
        [
            ({"seeing": (None, 3.0)}, lambda f: within(f.seeing, None, 3.0)),
            ({"seeing": (2.5, 3)}, lambda f: within(f.seeing, 2.5, 3.0)),
            ({"seeing": (3, 3), "exptime": (50, None)}, lambda f: f.seeing == 3 and f.exptime == 100),
            ({"ncombine": (1.5, 10**12)}, lambda f: f.ncombine == 5),
            ({"night": ("2025-01-02", "2025-01-31")}, lambda f: f.night == "2025-01-02"),
            ({"seeing": (None, None)}, lambda f: True),
        ],
    )
    def test_ranges(self, many, ranges, passes):
        assert many.ids(ranges=ranges) == brute(many, passes)

    @pytest.mark.parametrize("mjd", [(60000.0, 60000.5), (60000.25, None), (None, 60001.5)])
    def test_times(self, many, mjd):
        assert many.ids(mjd=mjd) == brute(many, lambda frame: within(frame.mjd_mid, *mjd))

    @pytest.mark.parametrize(
        "pattern", ["*_100.fits", "calib_1?_*", "f000[1-3].fits", "*", "f000[!1-3].fits", "nothing", "x/*", "?????.fits", "[f]0*"]
    )
    def test_file_names(self, many, pattern):
        def fits(frame_id):
            path = many.paths[frame_id]
            return fnmatchcase(path if "/" in pattern else path.rpartition("/")[2], pattern)

        wanted = [frame_id for frame_id in brute(many, lambda frame: True) if fits(frame_id)]
        assert many.ids(pattern=pattern) == wanted
        with many.database.connect() as conn:
            assert queries.count(conn, FrameQuery(pattern=pattern)) == len(wanted)

    def test_names_of_any_bytes_are_matched(self, world):
        world.add(*(Frame(),) * 4, names=[b"caf\xe9.fits", "café.fits".encode(), b"a\nb [1].fits", b"*.fits"])
        found = {
            pattern: [frame.frame_id for frame in world.search(pattern=pattern)] for pattern in ("caf?.fits", "café*", "a?b [[]1]*", "[*]*")
        }
        assert found == {"caf?.fits": [1, 2], "café*": [2], "a?b [[]1]*": [3], "[*]*": [4]}

    def test_those_without_a_time_come_last_and_a_limit_takes_the_first(self, many):
        everything = brute(many, lambda frame: True)
        assert many.ids() == everything
        assert many.ids(limit=7) == everything[:7]
        assert many.ids(limit=0) == []
        assert many.ids(limit=5, pattern="f*") == [key for key in everything if many.paths[key].startswith("f")][:5]

    def test_nothing_in_an_empty_archive(self, world):
        assert world.search() == world.search(cone=(10, 10, 1)) == []
        with world.database.connect() as conn:
            assert queries.count(conn, FrameQuery()) == 0
            assert set(map(tuple, queries.keys(conn, FrameQuery()).values())) == {()}

    def test_conditions_add_up(self, many):
        found = many.ids(names={"filter": ("r", "g")}, ranges={"seeing": (None, 3)}, mjd=(60000, None), cone=(120, 0, 60), pattern="f*")
        cone = set(many.ids(cone=(120, 0, 60)))
        assert found == [
            key
            for key in brute(many, lambda f: f.filter in "rg" and within(f.seeing, None, 3) and within(f.mjd_mid, 60000, None))
            if key in cone and many.paths[key].startswith("f")
        ]
        assert len(found) > 3


class TestPlaces:
    @pytest.mark.parametrize("radius", [0.0, 0.01, 1.0, 19.0, 25.0, 100.0, 180.0])
    def test_cones_are_those_of_the_exact_test(self, many, radius):
        rng = random.Random(5)
        points = [(rng.uniform(0, 360), math.degrees(math.asin(rng.uniform(-1, 1)))) for _ in range(8)]
        points += [(frame.ra + 0.3, max(-90, frame.dec - 0.2)) for frame in list(many.frames.values())[:40] if frame.ra is not None]
        outlines = {key: sky.parse_region(frame.s_region) for key, frame in many.frames.items() if frame.s_region}
        for ra, dec in [*points, (0.0, 90.0), (360.0, 0.0)]:
            met = {
                key for key, good in zip(outlines, sky.polygons_meet_cone(list(outlines.values()), ra, dec, radius), strict=True) if good
            }
            held = {key for key, good in zip(outlines, sky.polygons_contain(list(outlines.values()), ra, dec), strict=True) if good}
            assert set(many.ids(cone=(ra, dec, radius))) == met
            assert set(many.ids(cone=(ra, dec, radius), point=True)) == held

    @pytest.mark.parametrize(("ra", "dec"), [(0.0, 0.0), (359.9, 30.0), (10.0, 90.0), (200.0, -89.7), (45.0, 41.81), (180.0, 0.0)])
    @pytest.mark.parametrize("mirrored", [False, True])
    def test_edges_poles_and_mirrored_fields(self, world, footprint, ra, dec, mirrored):
        (frame_id,) = world.add(Frame(**footprint(ra, dec, 0.5, 30.0, mirrored=mirrored)))
        world.add(Frame(**footprint(ra + 180, -dec, 0.5)))
        inside = math.copysign(min(abs(dec), 89.95), dec)
        assert world.ids(cone=(ra, inside, 0.0), point=True) == [frame_id]
        assert world.ids(cone=(ra, inside - math.copysign(1.0, dec), 0.2)) == []
        assert world.ids(cone=(ra, inside - math.copysign(1.0, dec), 0.9)) == [frame_id]

    def test_a_frame_without_a_place_is_never_found_by_place(self, world):
        world.add(Frame(wcs_ok=False))
        assert world.ids(cone=(0, 0, 180)) == []
        assert len(world.ids()) == 1

    def test_count_and_keys_know_places(self, many):
        cone = (100.0, 10.0, 40.0)
        found = many.search(cone=cone)
        with many.database.connect() as conn:
            assert queries.count(conn, FrameQuery(cone=cone)) == len(found) > 5
            assert queries.count(conn, FrameQuery(cone=cone, limit=2)) == 2
            keys = queries.keys(conn, FrameQuery(cone=cone))
        assert keys["objname"] == sorted({frame.objname for frame in found} - {None})
        assert keys["night"] == sorted({frame.night for frame in found} - {None})
        assert keys["imgtype"] == sorted({frame.kind for frame in found})

    @pytest.mark.parametrize("cone", [(math.nan, 0, 1), (0, 91, 1), (0, 0, -1), (0, 0, 181)])
    def test_a_cone_must_be_one(self, world, cone):
        with pytest.raises(InputError, match=r"cone .*: must be \(ra, dec, radius\) in degrees"):
            world.search(cone=cone)


class TestCountAndKeys:
    @pytest.mark.parametrize(("given", "passes"), NAMES, ids=[str(given) for given, _ in NAMES])
    def test_are_those_of_the_frames(self, many, given, passes):
        attributes = {
            "observatory": "observatory", "telkey": "telkey", "imgtype": "kind", "telname": "telname", "objname": "objname",
            "filter": "filter", "night": "night",
        }  # fmt: skip
        for conditions in ({}, {"root": "scidata"}, {"kinds": ("reference",)}, {"mjd": (60000.2, None)}):
            found = many.search(names=given, **conditions)
            with many.database.connect() as conn:
                query = FrameQuery(names=given, **conditions)
                assert queries.count(conn, query) == len(found)
                keys = queries.keys(conn, query)
            assert list(keys) == list(attributes)
            for key, attribute in attributes.items():
                assert keys[key] == sorted({getattr(frame, attribute) for frame in found} - {None})


class TestWhatCannotBeRead:
    def test_is_offered_only_when_asked_for(self, world):
        a, b = world.add(Frame(objname="T1", filter="r"), Frame(objname="T2"))
        with world.database.begin() as conn:
            (file_id, _) = conn.exec_driver_sql(f"SELECT file_id, hdu FROM frame_file WHERE frame_id = {a}").one()
            ingest.refresh(conn, ingest.set_file_state(conn, [file_id], "missing"))
        assert world.ids() == [b]
        for conditions in ({}, {"root": "scidata"}, {"names": {"objname": ("T1", "T2")}}):
            assert sorted(world.ids(available=False, **conditions)) == [a, b]
        assert world.ids(available=False, root="calib") == []
        with world.database.connect() as conn:
            assert queries.keys(conn, FrameQuery())["objname"] == ["T2"]
            assert queries.keys(conn, FrameQuery(available=False))["objname"] == ["T1", "T2"]
            assert (queries.count(conn, FrameQuery()), queries.count(conn, FrameQuery(available=False))) == (1, 2)
            lost, _ = queries.frames_by_id(conn, [a, b])
        assert (lost.path, lost.root, lost.relpath, lost.objname) == (None, None, None, "T1")


class TestMistakes:
    @pytest.mark.parametrize(
        ("conditions", "message"),
        [
            ({"names": {"objname": ("T0001",)}}, r"objname 'T0001': did you mean 'T00001' or 'T00002'\?"),
            ({"names": {"filter": ("m600", "M625")}}, r"filter 'M625': did you mean 'm625'"),
            ({"names": {"objnam": ("x",)}}, r"name 'objnam': did you mean 'objname'\?"),
            ({"names": {"imgtype": ("sciense",)}}, r"imgtype 'sciense': did you mean 'science'\?"),
            ({"kinds": ("sciense",)}, r"kind 'sciense': did you mean 'science'\?"),
            ({"root": "scidat"}, r"root 'scidat': did you mean 'scidata'\?"),
            ({"ranges": {"seing": (1, 2)}}, r"column 'seing': did you mean 'seeing'"),
        ],
    )
    def test_name_the_near_misses(self, many, conditions, message):
        for ask in (queries.search, queries.count, queries.keys):
            with many.database.connect() as conn, pytest.raises(UnknownNameError, match=message):
                ask(conn, FrameQuery(**conditions))


class TestById:
    def test_keeps_the_order_and_leaves_out_what_is_not_there(self, many):
        ids = list(range(300, 0, -3))
        with many.database.connect() as conn:
            assert [frame.frame_id for frame in queries.frames_by_id(conn, [*ids, 10**6, 300])] == [*ids, 300]
            assert queries.frames_by_id(conn, []) == []


class TestMasters:
    def test_fit_the_frame_the_nearest_in_time_first(self, world):
        common = {"observatory": "7DT", "telkey": "a", "telname": "7DT01", "naxis1": 100, "naxis2": 80}

        def cal(kind, mjd, **facts):
            return Frame(**{**common, "kind": kind, "mjd_mid": mjd, **facts})

        bias = world.add(
            cal("bias", 60010.0), cal("bias", 60001.0), cal("bias", None), cal("bias", 60000.0, telname="7DT02"),
            cal("bias", 60000.0, naxis1=99), cal("bias", 60000.0, telkey="b"), cal("bias", 60000.0, observatory="LCO"),
            cal("bias", 59990.5), root="calib",
        )  # fmt: skip
        dark = world.add(
            cal("dark", 60000, exptime=100.04), cal("dark", 60000, exptime=10.0), cal("dark", 60000), root="calib", names=list("abc")
        )
        flat = world.add(cal("flat", 60000, filter="r"), cal("flat", 60000, filter="g"), root="calib", names=list("de"))
        science = Frame(**common, mjd_mid=60000.0, exptime=100.0, filter="r")
        with world.database.connect() as conn:

            def ids(kind, frame=science):
                return [found.frame_id for found in queries.masters(conn, frame, kind)]

            assert ids("bias") == [bias[1], bias[7], bias[0], bias[2]]
            assert ids("dark") == dark[:1]
            assert ids("flat") == flat[:1]
            assert ids("dark", Frame(**common)) == []
            assert ids("bias", Frame(**{**common, "telname": "unknown"})) == []
            with pytest.raises(InputError, match="kind 'science': must be one of bias, dark, flat"):
                ids("science")


class TestWhatBelongsToFrames:
    def test_products(self, world):
        a, b = world.add(Frame(), Frame())
        with world.database.begin() as conn:
            first = runs.add_product(conn, a, "background", "maps/1/a.bkg", size=10)
            assert runs.add_product(conn, a, "background", "maps/1/a.bkg", size=11, sha256="x") == first
            runs.add_product(conn, a, "errormap", "maps/1/a.rms")
            runs.add_product(conn, b, "background", "maps/1/b.bkg")
        with world.database.connect() as conn:
            (found,) = queries.products(conn, [a], "background")
            assert found == (first, a, "background", "maps/1/a.bkg", None, 11, "x")
            assert [row.path for row in queries.products(conn, [b, a])] == ["maps/1/a.bkg", "maps/1/a.rms", "maps/1/b.bkg"]


class TestTargets:
    def test_frames_of_an_alias_are_found_under_the_name(self, world):
        (a,) = world.add(Frame(objname="NGC 253", object_raw="ngc253"))
        with world.database.begin() as conn:
            names.add_alias(conn, "NGC 253", "Sculptor Galaxy")
        (b,) = world.add(Frame(objname="SCULPTOR GALAXY"), names=["b.fits"])
        assert {frame.objname for frame in world.search(names={"objname": ("sculptor*",)})} == {"NGC 253"}
        assert sorted(world.ids(names={"objname": ("NGC253",)})) == [a, b]


class TestPlans:
    """A question by name is answered by an index, not by reading the table."""

    @pytest.mark.parametrize(
        ("conditions", "index"),
        [
            ({"names": {"objname": ("T00001",), "filter": ("r",)}}, "ix_frame_target_id_filter_id_mjd_mid_telescope_id"),
            ({"names": {"filter": ("r",)}, "mjd": (60000, 60000.1)}, "ix_frame_filter_id_mjd_mid"),
            ({"mjd": (60000, 60000.1)}, "ix_frame_mjd_mid"),
            ({"names": {"night": ("2025-01-01",), "telname": ("7DT01",)}}, "ix_frame_night_telescope_id_target_id_filter_id"),
            ({"cone": (10, 10, 0.1)}, "pk_frame_cell|frame_cell USING PRIMARY KEY"),
        ],
    )
    def test_of_sqlite(self, many, conditions, index):
        if many.database.dialect != "sqlite":
            pytest.skip("PostgreSQL reads a small table whole, whatever its indexes")
        with many.database.connect() as conn:
            statement = queries._FRAMES.where(*queries.frame_conditions(conn, FrameQuery(**conditions)))
            text = str(statement.compile(many.database.engine, compile_kwargs={"literal_binds": True}))
            plan = "\n".join(row[3] for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}"))
        assert any(name in plan for name in index.split("|")), plan
        assert "SCAN frame" not in plan
