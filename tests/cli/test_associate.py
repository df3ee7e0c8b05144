"""``ezarchive associate`` and ``ezarchive compact``."""

from __future__ import annotations

from pathlib import Path

import pytest
import surveys
from click.testing import CliRunner
from surveys import Survey

from ezarchive.cli import cli


@pytest.fixture
def home(tmp_path: Path) -> str:
    """An archive with a star on three nights."""
    survey = Survey(tmp_path / "home")
    for night in range(3):
        survey.catalog(survey.frame(10, 10, surveys.MJD + night), [10.0], [10.0], [100.0])
    survey.archive.close()
    return str(survey.home)


def run(*arguments: str):
    return CliRunner().invoke(cli, arguments)


def test_associate_shows_the_check(home: str):
    done = run("associate", home)
    assert done.exit_code == 0, done.output
    assert "store version 1: 3 catalogs added" in done.output
    assert "rows of 3 catalogs: 3 = 3 of objects + 0 of none yet + 0 without a position: conserved" in done.output
    assert "up to date" in run("associate", home).output
    assert "store version 2: 3 catalogs added" in run("associate", home, "--rebuild", "--workers", "1").output


def test_compact_has_nothing_to_do(home: str):
    assert "no store" in run("compact", home).output
    run("associate", home)
    done = run("compact", home)
    assert done.exit_code == 0
    assert "store version 1: up to date" in done.output


def test_wrong_numbers_are_told(home: str):
    done = run("associate", home, "--workers", "0")
    assert done.exit_code != 0
    assert "workers=0" in done.output
