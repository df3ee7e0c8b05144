"""Questions to headers: against astropy's headers, on each engine."""

from __future__ import annotations

import os
import zlib
from types import SimpleNamespace

import engines
import numpy as np
import pytest
from astropy.io import fits

from ezarchive import config
from ezarchive.browse import DataBrowser
from ezarchive.browse.keywords import keyword_condition, keyword_test
from ezarchive.database import ingest
from ezarchive.errors import InputError
from ezarchive.frames.cardfinder import END_CARD, Found
from ezarchive.frames.cards import Cards
from ezarchive.frames.record import Frame

postgresql_server, postgresql_url = engines.postgresql_server, engines.postgresql_url
sqlite_url, url, database = engines.sqlite_url, engines.url, engines.database

HEADERS = [
    {"AIRMASS": 1.25, "OBJECT": "M 31", "CLEAR": True, "N": 1},
    {"AIRMASS": 1.75, "OBJECT": "M 33", "CLEAR": False, "N": 1.0, "LONG": "a" * 90 + " the end"},
    {"AIRMASS": "1.9", "OBJECT": "m 31", "N": "1"},
    {"AIRMASS": 0, "HIERARCH ESO TEL AMB": -3, "N": True},
    {"AIRMASS": None, "OBJECT": 31},
    {"OBJECT": "NGC 253"},
    None,
]
HISTORY = "flat-fielded with m600"


def cards(header):
    made = fits.Header()
    for key, value in header.items():
        made[key] = value
    if header.get("AIRMASS") == 1.75:
        made.append(("AIRMASS", 9.0))
        made["HISTORY"] = HISTORY
    return Cards.of(made).raw


def filled(tmp_path, database, packed, **facts):
    """An archive whose frames have these headers."""
    home, root = tmp_path / "home", tmp_path / "scidata"
    home.mkdir()
    root.mkdir()
    config.create(home, config.Settings(roots={"scidata": config.root_settings("scidata", {"path": root})}))
    frames = [
        Frame(kind="science", filter="rg"[k % 2], mjd_mid=60000.0 + k, naxis1=2, naxis2=2, exptime=10.0, header_hash=f"{k:032x}", **facts)
        for k in range(len(packed))
    ]
    with database.begin() as conn:
        root_id = ingest.upsert_root(conn, "scidata", str(root), "science")
        files = ingest.upsert_files(conn, root_id, [(os.fsencode(f"f{k}.fits"), 100, 1, k, "ok") for k in range(len(packed))])
        ids = ingest.insert_frames(conn, [(frame, (), one) for frame, one in zip(frames, packed, strict=True)])
        ingest.link(conn, [(frame_id, file_id, facts.get("hdu", 0)) for frame_id, file_id in zip(ids, files, strict=True)])
        ingest.refresh(conn, ids)
    return SimpleNamespace(home=home, settings=config.load(home), database=database), ids


@pytest.fixture
def asked(tmp_path, database):
    """A browser and the places that a browser finds, on each engine."""
    archive, ids = filled(tmp_path, database, [None if header is None else zlib.compress(cards(header)) for header in HEADERS])
    browser = DataBrowser(archive)
    return SimpleNamespace(browser=browser, places=lambda made: [ids.index(frame_id) for frame_id in made.frames().frame_ids])


CONDITIONS = [
    (("AIRMASS", {"above": 1.2}), [0, 1]),
    (("AIRMASS", {"above": 1.25}), [1]),
    (("airmass", {"below": 1.5}), [0, 3]),
    (("AIRMASS", {"above": 0, "below": 1.5}), [0]),
    (("AIRMASS", {"above": -1, "below": 0.1}), [3]),
    (("AIRMASS", {"equals": 0}), [3]),
    (("AIRMASS", {"equals": "1.9"}), [2]),
    (("AIRMASS", {"equals": 1.9}), []),
    (("AIRMASS", {"equals": 9}), []),
    (("AIRMASS", {"exists": True}), [0, 1, 2, 3, 4]),
    (("AIRMASS", {"exists": False}), [5]),
    (("OBJECT", {"equals": "M 31"}), [0]),
    (("OBJECT", {"equals": "M 31   "}), [0]),
    (("OBJECT", {"equals": ["M 31", "NGC 253", 31.0]}), [0, 4, 5]),
    (("OBJECT", {"contains": "M 3"}), [0, 1, 2]),
    (("OBJECT", {"contains": "31", "equals": ["m 31"]}), [2]),
    (("OBJECT", {"above": 30}), [4]),
    (("CLEAR", {"equals": True}), [0]),
    (("CLEAR", {"equals": False}), [1]),
    (("CLEAR", {"above": -1}), []),
    (("N", {"equals": 1}), [0, 1]),
    (("N", {"equals": True}), [3]),
    (("N", {"equals": np.int64(1)}), [0, 1]),
    (("N", {"above": np.float32(0.5)}), [0, 1]),
    (("LONG", {"contains": "THE END"}), [1]),
    (("ESO TEL AMB", {"below": 0}), [3]),
    (("HIERARCH eso tel amb", {"exists": True}), [3]),
    (("HISTORY", {"contains": "M600"}), [1]),
    (("NOWHERE", {"exists": False}), [0, 1, 2, 3, 4, 5]),
    (("NOWHERE", {"above": 0}), []),
]


def test_conditions(asked):
    for (keyword, condition), wanted in CONDITIONS:
        found = asked.browser.where_keyword(keyword, **condition)
        assert asked.places(found) == wanted, (keyword, condition)
        assert found.count() == len(wanted)


def test_they_add_up_with_all_others(asked):
    above = asked.browser.where_keyword("AIRMASS", above=1)
    assert asked.places(above.where(filter="g")) == [1]
    assert asked.places(asked.browser.where(filter="r").where_keyword("AIRMASS", above=1)) == [0]
    assert asked.places(above.where_keyword("OBJECT", contains="33")) == [1]
    assert asked.places(above.between(60000.5, None)) == [1]
    assert above.where(filter="g").keys["filter"] == ["g"]
    assert above.paths() == [str(frame.path) for frame in above.frames().frames]
    assert len(asked.browser.frames()) == 7
    assert "keyword (1) = 'AIRMASS above 1'" in repr(above)
    assert asked.places(asked.browser.where_header("AIRMASS>1", "OBJECT~33")) == [1]
    assert asked.places(asked.browser.where_header()) == list(range(7))
    assert above.search("f1*", verbose=False) == [str(above.frames().frames[1].path)]


def test_the_table(asked):
    table = asked.browser.keywords("AIRMASS", "object", "CLEAR", "N", "ESO TEL AMB")
    assert table.colnames == ["frame_id", "path", "AIRMASS", "OBJECT", "CLEAR", "N", "ESO TEL AMB"]
    assert table["AIRMASS"].tolist() == ["1.25", "1.75", "1.9", "0", None, None, None]
    assert table["OBJECT"].tolist() == ["M 31", "M 33", "m 31", None, "31", "NGC 253", None]
    assert table["CLEAR"].tolist() == [True, False, None, None, None, None, None]
    assert (table["CLEAR"].dtype.kind, table["ESO TEL AMB"].dtype.kind) == ("b", "i")
    numbers = asked.browser.where_keyword("AIRMASS", below=10).keywords("AIRMASS")
    assert numbers["AIRMASS"].dtype.kind == "f"
    assert numbers["AIRMASS"].tolist() == [1.25, 1.75, 0.0]
    assert len(asked.browser.where_keyword("NOWHERE", exists=True).keywords("NOWHERE")) == 0
    assert asked.browser.keywords("NOWHERE")["NOWHERE"].mask.all()


def test_integers_beyond_64_bits_become_floats(tmp_path, sqlite_url):
    from ezarchive.database.session import Database

    with Database.open(sqlite_url) as database:
        archive, _ = filled(tmp_path, database, [zlib.compress(cards({"BIG": 2**70})), zlib.compress(cards({"BIG": 3}))])
        assert DataBrowser(archive).keywords("BIG")["BIG"].tolist() == [float(2**70), 3.0]
        assert DataBrowser(archive).where_keyword("BIG", above=2**69).count() == 1


class TestExtensions:
    PRIMARY, OWN = {"AIRMASS": 1.5, "NAXIS1": 7, "OBJECT": "primary"}, {"OBJECT": "own", "NAXIS1": 2}

    def expect(self, browser, airmass):
        table = browser.keywords("AIRMASS", "OBJECT", "NAXIS1")
        assert table["AIRMASS"].tolist() == [airmass]
        assert table["OBJECT"].tolist() == ["own"]
        assert table["NAXIS1"].tolist() == [2]

    def test_the_primary_header_is_kept_beside_that_of_an_extension(self, tmp_path, database):
        packed = zlib.compress(cards(self.OWN) + END_CARD + cards(self.PRIMARY))
        archive, _ = filled(tmp_path, database, [packed], hdu=1)
        self.expect(DataBrowser(archive), 1.5)
        assert DataBrowser(archive).where_keyword("AIRMASS", above=1).count() == 1

    def test_of_older_archives_it_is_read_from_the_file(self, tmp_path, database):
        archive, _ = filled(tmp_path, database, [zlib.compress(cards(self.OWN))], hdu=1)
        browser = DataBrowser(archive)
        self.expect(browser, None)
        for condition in ({"exists": False}, {"exists": True}):
            assert browser.where_keyword("AIRMASS", **condition).count() == 0, "nobody can say"
        primary = fits.PrimaryHDU(header=fits.Header({"AIRMASS": 1.5}))
        fits.HDUList([primary, fits.ImageHDU(np.ones((2, 2)))]).writeto(tmp_path / "scidata" / "f0.fits")
        self.expect(browser, 1.5)
        assert browser.where_keyword("AIRMASS", exists=True).count() == 1

    def test_the_index_keeps_it(self, tmp_path):
        from ezarchive import Archive

        folder = tmp_path / "data"
        folder.mkdir()
        primary = fits.PrimaryHDU(header=fits.Header({"AIRMASS": 1.5}))
        fits.HDUList([primary, fits.ImageHDU(np.ones((8, 8), np.float32), name="SCI")]).writeto(folder / "x.fits")
        with Archive.create(tmp_path / "home", roots={"scidata": folder}) as archive:
            archive.index()
            (folder / "x.fits").unlink()
            assert DataBrowser(archive).keywords("AIRMASS", "EXTNAME")["AIRMASS"].tolist() == [1.5]


@pytest.mark.pure
@pytest.mark.parametrize(
    ("keyword", "condition", "match"),
    [
        ("AIRMASS", {}, "keyword AIRMASS: one of above, below, equals, contains and exists must be given"),
        ("", {"above": 1}, "keyword '': must be a text such as 'AIRMASS'"),
        (3, {"above": 1}, "keyword 3: must be a text"),
        ("AIRMASS", {"above": "1.5"}, "above='1.5': must be a number"),
        ("AIRMASS", {"below": True}, "below=True: must be a number"),
        ("AIRMASS", {"above": float("nan")}, "above=nan: must be a number"),
        ("AIRMASS", {"contains": ""}, "contains='': must be a text that is not empty"),
        ("AIRMASS", {"contains": 3}, "contains=3: must be a text"),
        ("AIRMASS", {"exists": "yes"}, "exists='yes': must be True, False or None"),
        ("AIRMASS", {"equals": [None]}, "equals=None: must be a text, a number, True or False, or a list of them"),
        ("AIRMASS", {"exists": False, "above": 0}, "exists=False: a keyword that is not there has no value; AIRMASS must have no other"),
    ],
)
def test_bad_input(keyword, condition, match):
    with pytest.raises(InputError, match=match):
        keyword_test(keyword, **condition)


@pytest.mark.pure
@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("AIRMASS>1.5", ("AIRMASS", {"above": 1.5})),
        (" AIRMASS < -2e3", ("AIRMASS", {"below": -2000.0})),
        ("N=1", ("N", {"equals": 1})),
        ("N='1'", ("N", {"equals": "1"})),
        ("CLEAR=T", ("CLEAR", {"equals": True})),
        ("OBJECT=M 31", ("OBJECT", {"equals": "M 31"})),
        ("OBJECT=a=b>c", ("OBJECT", {"equals": "a=b>c"})),
        ("HISTORY~flat", ("HISTORY", {"contains": "flat"})),
        ("ESO TEL AMB", ("ESO TEL AMB", {"exists": True})),
        ("!DATE-OBS", ("DATE-OBS", {"exists": False})),
    ],
)
def test_conditions_as_texts(text, wanted):
    assert keyword_condition(text) == wanted
    assert keyword_test(wanted[0], **wanted[1])


@pytest.mark.pure
@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("AIRMASS>high", "test 'AIRMASS>high': must have a number after >, found 'high'"),
        ("AIRMASS>", "must have a number after >, found ''"),
        (">3", "test '>3': must be NAME>NUMBER"),
        ("!AIRMASS>3", "test '!AIRMASS>3': must be NAME>NUMBER"),
        ("", "test '': must be NAME>NUMBER"),
    ],
)
def test_wrong_texts(text, match):
    with pytest.raises(InputError, match=match):
        keyword_condition(text)


@pytest.mark.pure
def test_no_keyword_at_all(tmp_path, sqlite_url):
    from ezarchive.database.session import Database

    with Database.open(sqlite_url) as database:
        archive, _ = filled(tmp_path, database, [None])
        with pytest.raises(InputError, match="keywords: at least one must be given"):
            DataBrowser(archive).keywords()


@pytest.mark.pure
def test_infinite_limits_and_values():
    test = keyword_test("A", below=float("inf"))
    assert test.passes(Found(3, "3"))
    assert not test.passes(Found(float("nan"), "nan"))
    assert str(keyword_test("a", equals=[1, "x"])) == "A equals 1 or 'x'"
    assert str(keyword_test("a", exists=False)) == "A does not exist"
