"""What the documents say is so: commands, examples, tables, the picture of the house."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ezarchive import Archive, demo
from ezarchive.cli import cli

REPOSITORY = Path(__file__).resolve().parents[1]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def test_every_command_is_in_the_readme():
    for name in cli.commands:
        assert f"ezarchive {name}" in README, name


def test_the_two_commands_are_there_and_executable():
    for name in ("demo", "test", "nightly_ingest.py"):
        assert f"scripts/{name}" in README
        assert (REPOSITORY / "scripts" / name).stat().st_mode & 0o111


def test_the_tables_of_columns_are_up_to_date():
    done = subprocess.run([sys.executable, str(REPOSITORY / "scripts" / "document_columns.py"), "--check"], check=False)
    assert done.returncode == 0, "run scripts/document_columns.py"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_tour_of_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    demo.demo("ezarchive-demo", say=lambda line: None)
    (tour,) = re.findall(r"```pycon\n(.*?)```", README, re.DOTALL)
    parser = doctest.DocTestParser()
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    runner = doctest.DocTestRunner(optionflags=flags)
    runner.run(parser.get_doctest(tour, {}, "README.md", "README.md", 0))
    assert runner.failures == 0
    with Archive.open("ezarchive-demo/archive") as archive:
        check_the_questions(archive)


def check_the_questions(archive):
    """Every SQL query of the README is answered with rows."""
    queries = [query for block in re.findall(r"```sql\n(.*?)```", README, re.DOTALL) for query in block.split(";") if query.strip()]
    assert len(queries) >= 10
    for query in queries:
        assert len(archive.sql(query)) > 0, query


def house():
    """The paths that the README's picture of the house names."""
    (picture,) = re.findall(r"```\n(ezarchive/\n.*?)```", README, re.DOTALL)
    stack, found = [], {}
    for line in picture.splitlines():
        name = line.split()[0] if line.split() else ""
        if not name or not re.fullmatch(r"[\w.]+/?", name):
            continue
        depth = (len(line) - len(line.lstrip())) // 2
        stack = [*stack[:depth], name.rstrip("/")]
        found["/".join(stack)] = name.endswith("/")
    return found


def test_the_picture_of_the_house_is_the_tree():
    drawn = house()
    for path, is_folder in drawn.items():
        assert (REPOSITORY / path).is_dir() if is_folder else (REPOSITORY / path).is_file(), path
    inside = (REPOSITORY / "ezarchive").iterdir()
    there = {f"ezarchive/{path.name}" for path in inside if path.suffix == ".py" or (path / "__init__.py").exists()}
    rooms_drawn_open = {path.rsplit("/", 1)[0] for path in drawn if path.count("/") == 2}
    for room in rooms_drawn_open:
        there |= {f"{room}/{path.name}" for path in (REPOSITORY / room).glob("*.py") if path.name != "__init__.py"}
    assert there == {path for path in drawn if path.startswith("ezarchive/") and not path.endswith(".toml")}
