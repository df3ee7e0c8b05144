"""`ezarchive sql`: queries, files, statements from a pipe, the shell."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys

import pyarrow.parquet as pq
import pytest
from astropy.table import Table
from click.testing import CliRunner

from ezarchive import Archive
from ezarchive.cli import cli, sqlshell


@pytest.fixture(scope="module")
def home(toy_sky, tmp_path_factory):
    home = tmp_path_factory.mktemp("sql") / "home"
    with Archive.create(home, roots={"scidata": toy_sky.scidata}) as archive:
        archive.index(progress=False)
    return home


def run(*arguments, code=0, **options):
    result = CliRunner().invoke(cli, ["sql", *map(str, arguments)], catch_exceptions=False, **options)
    assert result.exit_code == code, result.output
    return result.output


QUERY = "SELECT frame_id, filter, mjd_mid, exptime FROM frames ORDER BY frame_id LIMIT 2"


@pytest.mark.parametrize("suffix", ["csv", "json", "parquet", "vot", "ecsv", "fits"])
def test_a_file_is_written_by_its_suffix(home, tmp_path, suffix):
    path = tmp_path / f"out.{suffix}"
    assert run(home, QUERY, "-o", path) == f"{path}: 2 rows\n"
    if suffix == "json":
        assert [row["frame_id"] for row in json.loads(path.read_text())] == [1, 2]
        return
    read = {"vot": "votable", "ecsv": "ascii.ecsv", "csv": "ascii.csv"}.get(suffix, suffix)
    table = Table.read(path, format=read)
    assert list(table["frame_id"]) == [1, 2]
    if suffix != "csv":
        assert str(table["exptime"].unit) == "s"
    if suffix == "parquet":
        assert pq.read_schema(path).names == ["frame_id", "filter", "mjd_mid", "exptime"]


def test_formats_on_standard_output(home):
    assert run(home, "SELECT count(*) AS n FROM frames", "--format", "csv") == "n\n2\n"
    assert "VOTABLE" in run(home, "SELECT 1 AS a", "--format", "votable")
    assert run(home, "SELECT 1 AS a", "--format", "ecsv").startswith("# %ECSV")
    result = CliRunner().invoke(cli, ["sql", str(home), QUERY, "--format", "parquet"])
    assert pq.read_table(io.BytesIO(result.stdout_bytes)).num_rows == 2


def test_wrong_files_are_named(home, tmp_path):
    assert "the suffix: must be one of" in run(home, QUERY, "-o", tmp_path / "out.txt", code=2)
    assert "--output: needs a QUERY" in run(home, "-o", tmp_path / "out.csv", code=2)
    assert not list(tmp_path.iterdir())


def test_statements_from_a_pipe(home):
    text = "SELECT 1 AS a;\n-- nothing; here\nSELECT ';' AS b,\n 2 AS c;\n.format csv\n"
    text += "SELECT 'it''s; x' AS d; SELECT count(*) AS n FROM frames"
    output = run(home, input=text)
    assert "(1 row)" in output
    assert output.endswith("d\nit's; x\nn\n2\n")
    assert run(home, input="") == ""
    assert run(home, input="-- only a comment\n") == ""
    assert "frames (" in run(home, input=".schema frames\n")
    assert "object_id BIGINT" in run(home, input=".schema objects\n")
    assert "cone(ra, dec, radius_arcsec)" in run(home, input=".tables\n")
    assert run(home, input=".quit\nSELECT 1;") == ""
    assert ".schema [TABLE]" in run(home, input=".help\n")


def test_a_pipe_ends_at_the_first_error(home):
    output = run(home, "--format", "csv", input="SELECT 1 AS a; SELECT * FROM frame; SELECT 2 AS b;", code=2)
    assert output.startswith("a\n1\n")
    assert "did you mean 'frames'" in output
    assert "b\n" not in output
    for text, message in ((".x", "no such command"), (".schema x", "must be one of frames"), (".format xml", "must be one of table")):
        assert message in run(home, input=text, code=2)


@pytest.mark.parametrize(
    ("text", "statements", "rest"),
    [
        ("", [], ""),
        (";;", [], ""),
        ("a;b", ["a"], "b"),
        ("'a;b", [], "'a;b"),
        ('"a;";b;', ['"a;"', "b"], ""),
        ("/* ; */ a;", ["/* ; */ a"], ""),
        ("-- ;\na;", ["-- ;\na"], ""),
    ],
)
def test_statements_end_with_a_semicolon(text, statements, rest):
    assert sqlshell.split(text) == (statements, rest)


def test_what_is_typed_is_answered_and_kept(home, monkeypatch, capsys):
    lines = iter(
        ["SELECT 40", " + 2 AS answer;", "SELECT nothing;", KeyboardInterrupt, "SELECT 'half", KeyboardInterrupt, ".tables", ".quit"]
    )

    def typed(prompt):
        line = next(lines)
        if line is KeyboardInterrupt:
            raise KeyboardInterrupt
        return line

    monkeypatch.setattr("builtins.input", typed)
    with Archive.open(home, write=False) as archive:
        sqlshell._Shell(archive, "table", {}).talk()
    out, err = capsys.readouterr()
    assert "42" in out
    assert "upper_limits" in out
    assert "ezarchive: SQL" in err


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_terminal_has_a_history(home):
    here, there = pty.openpty()
    command = [sys.executable, "-m", "ezarchive", "sql", str(home)]
    with subprocess.Popen(command, stdin=there, stdout=there, stderr=there, close_fds=True) as process:
        os.close(there)
        os.write(here, b"SELECT 6 * 7 AS x;\n.quit\n")
        text = b""
        while b".quit" not in text.rpartition(b"ezarchive>")[2] or process.poll() is None:
            try:
                text += os.read(here, 4096)
            except OSError:
                break
        assert process.wait(60) == 0
    os.close(here)
    assert b"42" in text
    assert "SELECT 6 * 7 AS x;" in (home / "logs" / "sql_history").read_text()
