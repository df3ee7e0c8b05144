"""Lists of targets in every form that users have them."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pandas as pd
import pytest
from astropy.coordinates import AltAz, SkyCoord
from astropy.table import MaskedColumn, QTable, Table

from ezarchive.errors import InputError
from ezarchive.targets import Targets, read_targets

pytestmark = pytest.mark.pure
RA, DEC = [326.25, 10.5, 0.25], [-77.25, 20.0, -0.5]


def check(found: Targets, ids=("0", "1", "2"), ra=RA, dec=DEC, *, named=False):
    assert found.unit == "coord"
    assert found.ids.tolist() == list(ids)
    assert found.named is named
    np.testing.assert_allclose(found.ra, ra, atol=1e-9)
    np.testing.assert_allclose(found.dec, dec, atol=1e-9)
    assert len(found) == len(ids)


class TestPositions:
    @pytest.mark.parametrize("source", [
        (RA, DEC), (np.array(RA), np.array(DEC)), (RA * u.deg, DEC * u.deg), (np.array(RA) * 60 * u.arcmin, DEC * u.deg),
        list(zip(RA, DEC, strict=True)), np.stack([RA, DEC], axis=1), SkyCoord(RA, DEC, unit="deg"), SkyCoord(RA, DEC, unit="deg").galactic,
        [SkyCoord(ra, dec, unit="deg") for ra, dec in zip(RA, DEC, strict=True)], ((ra, dec) for ra, dec in zip(RA, DEC, strict=True)),
        ["21:45:00 -77:15:00", "10.5 20", "0h1m0s -0d30m0s"], (np.array(RA) - 360, DEC),
    ])  # fmt: skip
    def test_lists(self, source):
        check(read_targets(source))

    @pytest.mark.parametrize("source", [(326.25, -77.25), "21:45:00 -77:15:00", ("21:45:00", "-77:15:00"),
                                        SkyCoord(326.25, -77.25, unit="deg"),
                                        [(326.25, -77.25)], [326.25, -77.25], np.array([326.25, -77.25])])  # fmt: skip
    def test_one(self, source):
        check(read_targets(source), ids=("0",), ra=[326.25], dec=[-77.25])

    def test_pixels(self):
        found = read_targets(([1.5, -2.0], [3.0, np.nan]), unit="pixel", ids=[7, "b"])
        assert (found.unit, found.ids.tolist(), found.named) == ("pixel", ["7", "b"], True)
        np.testing.assert_array_equal(found.positions, [[1.5, -2.0], [3.0, np.nan]])
        assert found.ra is None

    def test_positions_that_are_missing_stay(self):
        found = read_targets(([1.0, np.nan], [2.0, 3.0]))
        assert np.isnan(found.ra[1])
        assert len(read_targets((np.ma.array(RA, mask=[0, 1, 0]), DEC))) == 3

    def test_none_at_all(self):
        for source in ([], ([], []), np.zeros((0, 2)), {"ra": [], "dec": []}, SkyCoord([], [], unit="deg")):
            assert len(read_targets(source)) == 0

    def test_targets_come_back(self):
        found = read_targets((RA, DEC))
        assert read_targets(found) is found
        check(read_targets(found, ids=["a", "b", "c"]), ids=("a", "b", "c"), named=True)


class TestTables:
    @pytest.mark.parametrize("kind", [Table, QTable, dict, pd.DataFrame])
    @pytest.mark.parametrize("names", [("target_id", "ra", "dec"), ("NAME", "RAJ2000", "DEJ2000"), ("NUMBER", "ALPHA_J2000", "DELTA_J2000"),
                                       ("Source_ID", "RA_ICRS", "DE_ICRS")])  # fmt: skip
    def test_names(self, kind, names):
        source = kind({names[0]: ["a1", "a2", "a3"], names[1]: RA, names[2]: DEC, "mag": [14.0, 15.0, 16.0]})
        found = read_targets(source)
        check(found, ids=("a1", "a2", "a3"), named=True)
        assert found.extra["mag"].tolist() == [14.0, 15.0, 16.0]
        assert found.extra.colnames == ["mag"]

    def test_units(self):
        table = Table({"id": [3, 1, 2], "ra": np.array(RA) / 15, "dec": np.radians(DEC)})
        table["ra"].unit, table["dec"].unit = "hourangle", "rad"
        check(read_targets(table), ids=("3", "1", "2"), named=True)

    def test_text(self):
        table = {"name": ["x", "y", "z"], "ra": ["21:45:00", "10.5", "00 01 00"], "dec": ["-77 15 00", "+20d00m00s", "-0.5"]}
        check(read_targets(table), ids=("x", "y", "z"), named=True)

    def test_a_column_of_coordinates(self):
        table = QTable({"where": SkyCoord(RA, DEC, unit="deg").galactic, "id": [b"a", b"b", b"c"], "ra": [1.0, 2.0, 3.0]})
        check(read_targets(table), ids=("a", "b", "c"), named=True)

    def test_sky_before_pixels(self):
        table = {"x": [1.0, 2.0, 3.0], "y": [4.0, 5.0, 6.0], "ra": RA, "dec": DEC}
        check(read_targets(table))
        pixels = read_targets(table, unit="pixel")
        assert pixels.x.tolist() == [1.0, 2.0, 3.0]
        assert pixels.extra.colnames == ["ra", "dec"]
        assert read_targets({"X_IMAGE": [1.0], "Y_IMAGE": [2.0]}).unit == "pixel"

    def test_our_own_catalogs(self):
        table = QTable({"NUMBER": [1, 2], "X_IMAGE": [3.0, 4.0] * u.pix, "Y_IMAGE": [5.0, 6.0] * u.pix, "ALPHA_J2000": [1.0, 2.0] * u.deg,
                        "DELTA_J2000": [3.0, 4.0] * u.deg})  # fmt: skip
        check(read_targets(table), ids=("1", "2"), ra=[1, 2], dec=[3, 4], named=True)
        assert read_targets(table, unit="pixel").y.tolist() == [5.0, 6.0]

    def test_missing_entries(self):
        table = Table({"id": MaskedColumn([1, 2, 3], mask=[0, 1, 0]), "ra": MaskedColumn(RA, mask=[0, 0, 1]), "dec": DEC})
        found = read_targets(table)
        assert found.ids.tolist() == ["1", "", "3"]
        assert np.isnan(found.ra).tolist() == [False, False, True]


class TestFiles:
    @pytest.mark.parametrize("name", ["a.ecsv", "a.fits", "a.vot", "a.xml", "a.parquet", "a.csv"])
    def test_formats(self, tmp_path, name):
        table = Table({"name": ["007", "b", "c"], "ra": RA, "dec": DEC, "mag": [1.0, 2.0, 3.0]})
        formats = {"vot": "votable", "xml": "votable", "csv": "ascii.csv"}
        suffix = name.split(".")[1]
        table.write(tmp_path / name, format=formats.get(suffix, suffix if suffix != "ecsv" else "ascii.ecsv"))
        for path in (tmp_path / name, str(tmp_path / name)):
            found = read_targets(path)
            check(found, ids=("007", "b", "c"), named=True)
            assert found.extra["mag"].tolist() == [1.0, 2.0, 3.0]

    def test_csv_as_people_write_it(self, tmp_path):
        text = "\ufeff# my targets\nID, RA, Dec, note\n\n0042, 21:45:00, -77:15:00, first one\n43, 10.5, 20,\n44, , , lost\n"
        (tmp_path / "list.csv").write_text(text, encoding="utf-8")
        found = read_targets(tmp_path / "list.csv")
        assert found.ids.tolist() == ["0042", "43", "44"]
        np.testing.assert_allclose(found.ra, [326.25, 10.5, np.nan])
        assert found.extra["note"].tolist() == ["first one", "", "lost"]

    @pytest.mark.parametrize(
        ("name", "text", "message"),
        [("a.csv", None, "there is no such file"), ("a.csv", "", "holds no line with the names"),
         ("a.csv", "ra,dec\n1\n", "row 1 has 1 entr"),
         ("a.fits", "nothing", "cannot be read as fits"), ("a.dat", "1 2", "the suffix must be one of .csv"),
         ("a.csv", "a,b\n1,2\n", "must have columns ra and dec, or x and y, found a, b"), ("a.parquet", "x", "cannot be read as parquet"),
         ("a.vot", "x", "cannot be read as votable"), ("a.csv", "ra,dec\n1,95\n", "declination in -90 to 90"),
         ("a.csv", "ra,dec\nnorth,5\n", "column ra, row 0: 'north' must be degrees or sexagesimal")],
    )  # fmt: skip
    def test_files_that_are_none(self, tmp_path, name, text, message):
        if text is not None:
            (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match=message):
            read_targets(tmp_path / name)


class TestKeeping:
    def test_to_table_and_back(self):
        found = read_targets({"name": ["a", "b", "c"], "ra": RA, "dec": DEC, "mag": [1.0, 2.0, 3.0], "x": [0, 1, 2]})
        table = found.to_table()
        assert table.colnames == ["target_id", "ra", "dec", "mag", "x"]
        again = read_targets(table)
        check(again, ids=("a", "b", "c"), named=True)
        assert again.digest() == found.digest()
        pixels = read_targets(([1, 2], [3, 4]), unit="pixel")
        assert read_targets(pixels.to_table()).digest() == pixels.digest()

    def test_the_digest_tells_lists_apart(self):
        lists = [read_targets((RA, DEC)), read_targets((RA, DEC), ids=list("abc")), read_targets((RA[::-1], DEC)),
                 read_targets((RA, DEC), unit="coord"), read_targets((RA[:2], DEC[:2])),
                 read_targets((RA, DEC), ids=["ab", "c", ""])]  # fmt: skip
        digests = [one.digest() for one in lists]
        assert digests[0] == digests[3]
        assert len(set(digests)) == 5
        assert all(len(digest) == 16 for digest in digests)
        same_numbers = read_targets((RA, DEC), unit="pixel")
        assert same_numbers.digest() != digests[0]

    def test_rows(self):
        found = read_targets({"name": ["a", "b", "c"], "ra": RA, "dec": DEC, "mag": [1.0, 2.0, 3.0]})
        part = found[np.array([True, False, True])]
        check(part, ids=("a", "c"), ra=[RA[0], RA[2]], dec=[DEC[0], DEC[2]], named=True)
        assert part.extra["mag"].tolist() == [1.0, 3.0]
        check(found[1], ids=("b",), ra=RA[1:2], dec=DEC[1:2], named=True)

    def test_nothing_is_altered(self):
        table = QTable({"id": ["a", "b", "c"], "ra": RA * u.deg, "dec": DEC * u.deg})
        kept = table.copy()
        read_targets(table).ra[:] = 0
        assert (table["ra"] == kept["ra"]).all()


@pytest.mark.parametrize(
    ("source", "arguments", "message"),
    [(5, {}, "targets: must be positions, a table or a file, found int"), (None, {}, "found NoneType"),
     ([1, 2, 3], {}, "a list must hold pairs"), ([[1, 2, 3]], {}, "a list must hold pairs"), (["here"], {}, "must be two words"),
     ("here", {}, "must be two words"), (([1, 2], [3]), {}, "both coordinates must be 1-D and of equal length"),
     ((RA, [-77, 20, 99]), {}, r"found \(0.25, 99.0\) in row 2"), (([400], [0]), {}, "right ascension must lie in -360 to 360"),
     ((RA, DEC), {"unit": "deg"}, "unit: must be 'coord' or 'pixel', found 'deg'"),
     ((RA, DEC), {"ids": ["a"]}, r"ids: must be as many as targets \(3\)"),
     ({"ra": [1.0], "x": [2.0]}, {}, "must have columns ra and dec, or x and y, found ra, x"),
     ({"ra": [1.0], "dec": [2.0]}, {"unit": "pixel"}, "must have columns x and y, found ra, dec"),
     ({"ra": [1.0, 2.0], "dec": [2.0]}, {}, "must have columns of equal length"),
     ({"ra": [True], "dec": [2.0]}, {}, "column ra must hold angles"),
     ({"ra": [1.0] * u.m, "dec": [2.0]}, {}, "column ra has unit m, which must be an angle"),
     ({"x": [1.0] * u.deg, "y": [2.0]}, {}, "column x must be in pixels, found unit deg"),
     ({"x": ["a"], "y": [2.0]}, {}, "column x must hold numbers"), ("21:45:00 -77:15:00", {"unit": "pixel"}, "pixels must be numbers"),
     (SkyCoord(1, 2, unit="deg"), {"unit": "pixel"}, "are given in unit 'coord' and must be in 'pixel'"),
     (([1.0, "x"], [1.0, 2.0]), {}, "targets: must hold numbers"), ((RA * u.m, DEC), {}, "targets: must hold angles, found unit m"),
     (SkyCoord(AltAz(1 * u.deg, 2 * u.deg)), {}, "must be one that can be converted to ICRS")],
)  # fmt: skip
def test_bad_input(source, arguments, message):
    with pytest.raises(InputError, match=message):
        read_targets(source, **arguments)
