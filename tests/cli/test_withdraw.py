"""`ezarchive withdraw`."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from ezarchive import Archive, simulate
from ezarchive.cli import cli


def run(*arguments, code=0):
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """An archive of one frame, measured twice."""
    folder = tmp_path_factory.mktemp("cli-withdraw")
    toy = simulate.toy_archive(
        folder / "toy", shape=(320, 360), targets=simulate.TARGETS[:1], telescopes=("7DT01",), filters=("m600",), n_epochs=1, density=25
    )
    with Archive.create(folder / "home", roots={"scidata": toy.scidata}) as archive:
        archive.index(progress=False)
        archive.measure(workers=1, progress=False, detection_sigma=5)
        archive.measure(workers=1, progress=False, detection_sigma=3)
    return folder / "home"


def test_there_and_back(home):
    text = "run 2 withdrawn: 1 catalogs and 0 zero points count no more; in 1 frames another run's catalog counts instead\n"
    assert run("withdraw", home, 2) == text
    assert "withdrawn" in run("runs", home)
    assert run("withdraw", home, 2) == text.replace("1", "0")
    assert run("withdraw", home, 2, "--restore") == "run 2 restored: 1 catalogs and 0 zero points count again\n"


def test_a_run_that_there_is_not(home):
    assert "run_id 9: there is no such run" in run("withdraw", home, 9, code=2)
