"""Texts of the commands of the quick look."""

from __future__ import annotations

import math

from astropy.table import Table

from ezarchive.cli import looktext


def test_numbers():
    assert [looktext.number(value, ".1f") for value in (None, math.nan, 1.26, 0.0)] == ["", "", "1.3", "0.0"]
    assert looktext.with_error(1.234, 0.05, ".2f") == "1.23 +- 0.05"
    assert looktext.with_error(1.234, math.nan, ".2f") == "1.23" and looktext.with_error(math.nan, 1.0) == ""


def test_columns_without_anything_are_left_out():
    rows = [{"id": "1", "mag": "", "flags": "A"}, {"id": "20", "mag": "", "flags": ""}]
    assert looktext.columns(rows) == "id  flags\n 1      A\n20"


def test_tables():
    table = Table({"a": [1], "b": ["x, y"]})
    assert looktext.as_text(table, "csv") == 'a,b\n1,"x, y"\n' and looktext.as_text(table, "ecsv").startswith("# %ECSV")
    assert looktext.rows_as_csv([{"a": 1, "b": None}, {"a": 2, "b": "x"}]) == "a,b\n1,\n2,x\n"


def test_regions_of_texts_and_files(tmp_path, capsys):
    path = tmp_path / "some.reg"
    path.write_text("image\ncircle(10,10,3) # text={one}\n-circle(2,2,1)\npoint(5,5)\n")
    regions, labels, failed = looktext.regions_of([path], ["image; circle(3,3,1)"], None)
    assert len(regions) == 2 and labels == ["one", "Subset 2"] and failed == 1
    told = capsys.readouterr().err
    assert "has no area" in told and "1 excluded" in told and regions[0].center.x == 9
