"""`ezarchive columns` and `ezarchive flags`."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from ezarchive import columns, flags
from ezarchive.cli import cli

pytestmark = pytest.mark.pure


def run(*arguments):
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_every_column_is_explained_and_no_text_is_cut():
    text = run("columns")
    families = (
        columns.NAMES, columns.FRAME, columns.CATALOG_LINK, columns.SOURCE, columns.APERTURE, columns.PHOTUTILS, columns.FORCED,
        columns.ANNULUS, columns.ELLIPSE, columns.calibrated("AUTO"), columns.calibrated("APER"), columns.LIGHT_CURVE,
    )  # fmt: skip
    lines = [line.split() for line in text.splitlines()]
    for column in (column for family in families for column in family):
        assert any(line[:2] == [column.name, column.dtype] for line in lines), column.name
        assert column.description in text
    assert "source: one detected source" in text


def test_one_family_in_every_format():
    rows = list(csv.DictReader(io.StringIO(run("columns", "--family", "aperture", "--format", "csv"))))
    assert [row["name"] for row in rows] == [column.name for column in columns.APERTURE]
    assert rows[0] == {"family": "aperture", **{key: value or "" for key, value in columns.APERTURE[0]._asdict().items()}}
    both = json.loads(run("columns", "--family", "link", "--family", "ellipse", "--format", "json"))
    assert {row["family"] for row in both} == {"link", "ellipse"}
    assert next(row for row in both if row["name"] == "frame_id")["unit"] is None


def test_every_bit_is_explained():
    text = run("flags")
    for flag in (*flags.FLAGS, *flags.FLAGS_APER, *flags.QUALITY):
        assert any(line.split()[:2] == [str(flag.bit), flag.name] and line.endswith(flag.meaning) for line in text.splitlines()), flag
    rows = json.loads(run("flags", "--format", "json"))
    assert [(row["family"], row["bit"]) for row in rows if row["name"] == "NO_SKY"] == [("FLAGS_APER", 256)]


def test_the_table_needs_no_heavy_import():
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom ezarchive.cli import cli\nCliRunner().invoke(cli, ['columns'])\n"
        "assert not {'pandas', 'pyarrow', 'astropy'} & set(sys.modules), 'heavy'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
