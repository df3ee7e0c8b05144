"""`ezarchive calibrate`."""

from __future__ import annotations

import shutil

import pytest
from astropy.table import Table
from click.testing import CliRunner

from ezarchive import Archive, simulate
from ezarchive.cli import cli
from ezarchive.simulate.field import magnitudes


def run(*arguments, code=0):
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An archive of two measured frames, and a reference with columns of its own names."""
    folder = tmp_path_factory.mktemp("cli-calibrate")
    toy = simulate.toy_archive(
        folder / "toy", shape=(320, 360), targets=simulate.TARGETS[:1], telescopes=("7DT01",), filters=("m600", "r"), n_epochs=1, density=25
    )
    stars = toy.truth.stars
    table = Table({"RAJ2000": stars["ra"].value, "DEJ2000": stars["dec"].value})
    table["B"], table["V"] = 0.1, 0.0
    for band in ("m600", "r"):
        table[f"AB({band})"] = magnitudes(stars, band, 60000.0)
    table.write(folder / "stars.ecsv")
    with Archive.create(folder / "home", roots={"scidata": toy.scidata}) as archive:
        archive.index(progress=False)
        archive.measure(workers=1, progress=False, detection_sigma=3)
    return folder


@pytest.fixture
def home(made, tmp_path):
    return shutil.copytree(made / "home", tmp_path / "home")


def test_zero_points_from_the_command_line(made, home):
    arguments = ["calibrate", home, "--reference", made / "stars.ecsv", "--column", "mag=AB({filter})", "--set", "snr=30"]
    options = ["--set", "isolation_contrast=2", "--figures"]
    assert "2 frames calibrated" in run(*arguments, *options)
    assert "2 already done" in run(*arguments, *options)
    assert len(list((home / "figures").rglob("*.png"))) == 2
    found = run("sql", home, "SELECT filter, count(*) AS n, bool_and(n_stars > 4) AS ok FROM zero_points JOIN frames USING (frame_id) "
                "GROUP BY filter ORDER BY filter", "--format", "csv")  # fmt: skip
    assert [line.split(",")[0::2] for line in found.splitlines()[1:]] == [["m600", "True"], ["r", "True"]]
    assert '"calibrate"' in run("runs", home, "--format", "json")
    one = ["--column", 'mag={"r": "AB(r)"}', "--column", "colour=B - V", "--filter", "r"]
    assert "1 frames calibrated" in run(*arguments[:4], *one, "--set", "isolation_contrast=2", "--set", "snr=30")


def test_mistakes_are_one_line(made, home):
    arguments = ["calibrate", home, "--reference"]
    assert "there is no such file" in run(*arguments, home / "none.csv", code=2)
    stars = made / "stars.ecsv"
    assert "option 'snrr': did you mean 'snr'" in run(*arguments, stars, "--set", "snrr=2", code=2)
    assert "--column 'mag': must be NAME=VALUE" in run(*arguments, stars, "--column", "mag", code=2)
    assert "must hold a name, or JSON as '{\"r\": \"r_mag\"}'" in run(*arguments, stars, "--column", 'mag={"r":', code=2)
    assert "--column 'mag=b': mag must be given once" in run(*arguments, stars, "--column", "mag=a", "--column", "mag=b", code=2)
    for taken in ("columns=3", "frames=1", "radius=2", "selection=1"):
        assert f"--set '{taken}': {taken.split('=')[0]} must not be set so" in run(*arguments, stars, "--set", taken, code=2)
    assert "--set 'snr=3': snr must be given once" in run(*arguments, stars, "--set", "snr=2", "--set", "snr=3", code=2)
    failed = run(*arguments, stars, code=1)
    assert "2 failed" in failed
    assert "no_reference_magnitude" in failed
