"""Headers as tables."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import NDData
from astropy.time import Time

from ezarchive.errors import FrameError, InputError
from ezarchive.quicklook import all_headers, metadata, metadata_differences
from ezarchive.quicklook.headers import Metadata, MetadataRow, numbered

pytestmark = pytest.mark.pure


@pytest.fixture
def path(tmp_path):
    """A file with everything that headers may hold."""
    primary = fits.Header([("TELESCOP", "JWST", "telescope"), ("EXPTIME", 10.0)])
    header = fits.Header()
    header["ZETA"] = (1, "an integer")
    header["ALPHA"] = (2.5, "a float")
    header["GOOD"] = (True, "")
    header["EMPTY"] = (None, "nothing")
    header["OBJECT"] = "M 31"
    header["HIERARCH ESO DET CHIPS"] = (4, "of ESO")
    header["LONG"] = "x" * 100
    header.append(("ALPHA", 1.5, "again"))
    header["_SECRET"] = "no"
    header["COMMENT"] = "first remark"
    header["HISTORY"] = "flat-fielded"
    header["COMMENT"] = "second remark"
    header["HISTORY"] = "summed"
    header.append(("", "a line without keyword"))
    fits.HDUList([fits.PrimaryHDU(header=primary), fits.ImageHDU(np.ones((2, 3)), header, name="SCI")]).writeto(tmp_path / "m.fits")
    return tmp_path / "m.fits"


def test_values_are_typed_and_sorted(path):
    found = metadata(path)
    rows = {row.key: row for row in found.rows}
    assert rows["ZETA"] == MetadataRow("ZETA", 1, "an integer")
    assert type(rows["ZETA"].value) is int
    assert rows["GOOD"].value is True
    assert rows["EMPTY"] == ("EMPTY", None, "nothing")
    assert rows["LONG"].value == "x" * 100
    assert rows["ESO DET CHIPS"].value == 4
    assert "_SECRET" not in rows
    assert [row.key for row in found.rows] == sorted(row.key for row in found.rows)
    assert [row.value for row in found.rows if row.key == "ALPHA"] == [1.5, 2.5]
    assert (found.label, found.has_primary, found.show_primary, found.has_comments) == ("m[SCI,1]", True, False, True)


def test_comments_and_history_are_kept_apart(path):
    found = metadata(path)
    assert found.comments == ("first remark", "second remark", "a line without keyword")
    assert found.history == ("flat-fielded", "summed")
    assert not {"COMMENT", "HISTORY", ""} & {row.key for row in found.rows}


def test_the_order_of_the_file(path):
    keys = [row.key for row in metadata(path, order="file").rows]
    assert keys[keys.index("ZETA") :][:3] == ["ZETA", "ALPHA", "GOOD"]
    assert metadata(path, order="file")["alpha"] == 2.5


def test_the_primary_header(path):
    found = metadata(path, show_primary=True)
    assert found["TELESCOP"] == "JWST"
    assert found.show_primary
    assert "ZETA" not in {row.key for row in found.rows}


def test_without_a_primary_header_the_switch_does_nothing(tmp_path):
    fits.PrimaryHDU(np.ones((2, 2)), fits.Header({"A": 1})).writeto(tmp_path / "one.fits")
    found = metadata(tmp_path / "one.fits", show_primary=True)
    assert (found.has_primary, found.show_primary, found["A"]) == (False, False, 1)


@pytest.mark.parametrize(
    ("contains", "keys", "lines"),
    [
        ("alpha", ["ALPHA", "ALPHA"], 0),
        ("AN INTEGER", ["ZETA"], 0),
        ("m 31", ["OBJECT"], 0),
        ("eso det", ["ESO DET CHIPS"], 0),
        ("true", ["GOOD"], 0),
        ("REMARK", [], 2),
        ("flat-", [], 1),
        ("nowhere", [], 0),
    ],
)
def test_what_holds_a_text(path, contains, keys, lines):
    found = metadata(path, contains=contains)
    assert [row.key for row in found.rows if row.key != "XTENSION"] == keys
    assert len(found.comments) + len(found.history) == lines


def test_nested_metadata_are_flattened():
    when = Time("2025-01-02T03:04:05")
    meta = {
        "REF": {"foo": [1, 2.5, {"deep": True}], "bar": {}}, "when": when, "at": datetime(2025, 1, 2, tzinfo=UTC), "_x": 1, "original_y": 2,
        "n": np.float32(0.5), "COMMENT": ["one", "two"], "HISTORY": "a\nb", "": 3, "nan": np.nan, "none": None, "c": 1 + 2j,
    }  # fmt: skip
    found = metadata(NDData(np.ones((2, 2)), meta=meta))
    assert {row.key: row.value for row in found.rows if row.key != "nan"} == {
        "REF.foo.0": 1, "REF.foo.1": 2.5, "REF.foo.2.deep": True, "when": "2025-01-02T03:04:05.000", "at": "2025-01-02T00:00:00+00:00",
        "n": 0.5, "none": None, "c": 1 + 2j,
    }  # fmt: skip
    assert (found.comments, found.history) == (("one", "two"), ("a", "b"))
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert [row["value"] for row in told["rows"] if row["key"] in ("nan", "c")] == ["(1+2j)", None]


def test_nothing_known():
    found = metadata(np.ones((2, 2)))
    assert found == Metadata("image")
    assert not found.has_metadata
    assert str(found) == "image: Selected data does not contain any metadata"
    assert len(found.to_table()) == 0
    assert found.to_dict()["rows"] == []


def test_table_text_and_json(path, tmp_path):
    found = metadata(path)
    table = found.to_table()
    assert table.colnames == ["key", "value", "type", "comment"]
    row = table[list(table["key"]).index("GOOD")]
    assert (row["value"], row["type"]) == ("True", "bool")
    assert table.meta["history"] == ["flat-fielded", "summed"]
    table.write(tmp_path / "m.ecsv")
    assert "ALPHA" in str(found)
    assert str(found).endswith("HISTORY flat-fielded\nHISTORY summed")
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["show_primary"] is False


def test_illegal_cards_are_shown_as_they_stand(tmp_path):
    made = tmp_path / "bad.fits"
    fits.PrimaryHDU(np.ones((2, 2)), fits.Header({"AIRMASS": 1.25, "SEEING": 3.0})).writeto(made)
    raw = made.read_bytes()
    card = fits.Card("AIRMASS", 1.25).image.encode()
    made.write_bytes(raw.replace(card, b"AIRMASS = 1.2.5 wrong".ljust(80)))
    found = metadata(made)
    assert found["AIRMASS"] == "1.2.5 wrong"
    assert found["SEEING"] == 3.0


def test_the_headers_of_all_hdus(path, tmp_path):
    table = fits.BinTableHDU.from_columns([fits.Column("a", "E", array=np.ones(3))], name="TAB")
    with fits.open(path) as units:
        fits.HDUList([*units, table, fits.CompImageHDU(np.ones((8, 8), np.float32))]).writeto(tmp_path / "all.fits")
    found = all_headers(f"{tmp_path / 'all.fits'}[SCI]")
    assert [one.label for one in found][:3] == ["all[PRIMARY,1]", "all[SCI,1]", "all[TAB,1]"]
    assert len(found) == 4
    assert found[2]["TTYPE1"] == "a"
    assert (found[0].show_primary, found[0].has_primary, found[1].has_primary) == (True, False, True)
    assert len(all_headers(tmp_path / "all.fits", contains="telescop")[0]) == 1
    with pytest.raises(FrameError, match="is not there"):
        all_headers(tmp_path / "none.fits")


def test_differences(tmp_path):
    headers = [{"A": 1, "B": "x", "C": True, "E": np.pi}, {"A": 1.0, "B": "y", "C": 1, "D": 5, "E": np.pi}]
    images = [(np.ones((2, 2)), header) for header in headers]
    table = metadata_differences([NDData(pixels, meta=header) for pixels, header in images])
    assert table.colnames == ["key", "image", "image (2)"]
    assert list(table["key"]) == ["B", "C", "D"]
    assert list(table["image (2)"]) == ["y", "1", "5"]
    assert table["image"].mask.tolist() == [False, False, True]
    everything = metadata_differences([NDData(pixels, meta=header) for pixels, header in images], everything=True)
    assert list(everything["key"]) == ["A", "B", "C", "D", "E"]
    assert list(metadata_differences([NDData(pixels, meta=h) for pixels, h in images], contains="TRUE")["key"]) == ["C"]
    table.write(tmp_path / "differences.ecsv")


def test_differences_of_repeated_keywords_and_not_a_number():
    one, two = fits.Header([("A", 1), ("A", 2)]), fits.Header([("A", 1), ("A", 3)])
    table = metadata_differences([NDData(np.ones((2, 2)), meta=header) for header in (one, two)])
    assert [list(row) for row in table] == [["A", "1; 2", "1; 3"]]
    assert len(metadata_differences([NDData(np.ones((2, 2)), meta={"A": np.nan}) for _ in range(2)])) == 0


def test_bad_input(path):
    with pytest.raises(InputError, match="order='up': must be 'sorted' or 'file'"):
        metadata(path, order="up")
    with pytest.raises(InputError, match="contains=3: must be a text"):
        metadata(path, contains=3)
    with pytest.raises(InputError, match="images: must be at least two, found 1"):
        metadata_differences([path])
    with pytest.raises(InputError, match="images: must be at least two, found 1"):
        metadata_differences(str(path))
    with pytest.raises(KeyError, match="NOWHERE"):
        metadata(path)["NOWHERE"]


def test_labels_are_numbered():
    assert numbered(["a", "b", "a", "a (2)", "a"]) == ["a", "b", "a (2)", "a (2) (2)", "a (3)"]
    assert numbered(["a"], taken=["a", "a (2)"]) == ["a (3)"]
