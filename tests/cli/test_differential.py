"""`ezarchive differential`."""

from __future__ import annotations

import shutil

import pytest
from astropy.table import Table
from click.testing import CliRunner
from surveyarchives import plan, survey_archive

from ezarchive.cli import cli
from ezarchive.simulate.variables import VariableSurvey


def run(*arguments, code=0):
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An archive of six frames of each of two filters."""
    folder = tmp_path_factory.mktemp("cli-differential")
    survey_archive(folder / "home", VariableSurvey(plan(n_nights=6, filters=("r", "g")), seed=1)).close()
    return folder / "home"


@pytest.fixture
def home(made, tmp_path):
    return shutil.copytree(made, tmp_path / "home")


def test_zero_points_from_the_command_line(home, tmp_path):
    text = run("differential", home, "--filter", "r", "--stars", tmp_path / "stars.csv", "--set", "min_stars=10")
    assert "differential: 6 frames in 1 ensembles (6 zero points), 0 failed; run 2" in text
    assert "r, 5 arcsec, set 0: 6 frames" in text
    stars = Table.read(tmp_path / "stars.csv")
    assert (stars["reason"] == "used").sum() > 30
    found = run(
        "sql", home, "SELECT filter, count(*) AS n FROM zero_points JOIN frames USING (frame_id) GROUP BY filter", "--format", "csv"
    )
    assert found.splitlines()[1:] == ["r,6"]
    assert '"differential"' in run("runs", home, "--format", "json")


@pytest.mark.parametrize("suffix", ["ecsv", "fits", "vot"])
def test_stars_in_every_format(home, tmp_path, suffix):
    path = tmp_path / f"stars.{suffix}"
    text = run("differential", home, "--dry-run", "--by", "telname", "--aperture", 5, "--aperture", 7, "--stars", path)
    assert "nothing saved" in text
    assert "r 7DT01, 7 arcsec, set 0" in text
    assert len(Table.read(path)) > 150
    assert run("sql", home, "SELECT count(*) AS n FROM zero_points", "--format", "csv").split() == ["n", "0"]


def test_a_place_and_a_target(home):
    assert "6 frames" in run(
        "differential", home, "--filter", "g", "--objname", "F0001", "--position", "326.25 -77.26", "--radius", "12 arcmin"
    )


def test_mistakes_are_one_line(home, tmp_path):
    assert "filter 'z'" in run("differential", home, "--filter", "z", code=2)
    assert "must not be set so" in run("differential", home, "--set", "snr=3", code=2)
    assert "must end in one of .ecsv" in run("differential", home, "--dry-run", "--stars", tmp_path / "stars.txt", code=2)
    assert "no_measurements" in run("differential", home, "--aperture", 30, code=1)
