"""``ezarchive lightcurve``."""

from __future__ import annotations

import csv
import io
import json

import pytest
from click.testing import CliRunner

from ezarchive import Archive
from ezarchive.cli import cli

PLACE = ("21:45:00", "-77:15:44")


def run(*arguments, code=0):
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture(scope="module")
def home(toy_sky, tmp_path_factory):
    folder = tmp_path_factory.mktemp("curve") / "home"
    with Archive.create(folder, roots={"scidata": toy_sky.scidata}) as archive:
        archive.index(progress=False)
        archive.measure(workers=1, progress=False)
    return folder


@pytest.fixture(scope="module")
def star(home):
    with Archive.open(home) as archive:
        row = archive.sql("SELECT ra, dec FROM light_curve WHERE flags = 0 ORDER BY snr DESC LIMIT 1").to_pandas().iloc[0]
    return f"{row.ra:.8f}", f"{row.dec:.8f}"


def test_limits_and_kinds(home):
    assert "(0 rows)" in run("lightcurve", home, *PLACE)
    shown = run("lightcurve", home, *PLACE, "--limits")
    assert "(2 rows)" in shown
    assert "mag_limit" in shown
    rows = json.loads(run("lightcurve", home, *PLACE, "--kind", "limit", "--filter", "m600", "--format", "json"))
    assert [(row["kind"], row["flux"]) for row in rows] == [("limit", None)]
    assert rows[0]["mag_limit"] > 10


def test_times_bins_and_phases(home, star):
    rows = list(csv.DictReader(io.StringIO(run("lightcurve", home, *star, "--bjd", "--heliocentric", "--format", "csv"))))
    assert all(abs(float(row["bjd_tdb"]) - 2400000.5 - float(row["mjd_mid"])) < 0.01 for row in rows)
    assert "hjd_utc" in rows[0]
    assert "n_limits" in run("lightcurve", home, *star, "--bin", "night")
    assert "(2 rows)" in run("lightcurve", home, *star, "--bin", "0.5", "--quality", "0")
    assert "phase" in run("lightcurve", home, *star, "--period", "0.5", "--quality", "good")


def test_files(home, star, tmp_path):
    for name in ("curve.png", "curve.csv", "curve.ecsv", "curve.vot", "curve.parquet"):
        assert f"{tmp_path / name}: written" in run("lightcurve", home, *star, "--limits", "-o", tmp_path / name)
        assert (tmp_path / name).stat().st_size > 500
    run("lightcurve", home, *star, "--period", "0.5", "--bjd", "-o", tmp_path / "folded.png")
    assert (tmp_path / "folded.png").read_bytes().startswith(b"\x89PNG")
    run("lightcurve", home, *star, "-o", tmp_path / "star.aavso", "--name", "SS Cyg", "--observer", "ABC")
    assert (tmp_path / "star.aavso").read_text().startswith("#TYPE=Extended\n#OBSCODE=ABC\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["12"], "object 12: "),
        (["12.5"], "RA '12.5': DEC must follow"),
        ([*PLACE, "--bin", "week"], "--bin 'week': must be night or a number of days"),
        ([*PLACE, "--quality", "best"], "quality='best': must be 'good'"),
        ([*PLACE, "-o", "curve.xyz"], "the suffix must be one of"),
        ([*PLACE, "-o", "curve.aavso"], "name=None: format='aavso' needs it"),
        ([*PLACE, "--period", "-1"], "period=-1.0: must be a number of days above 0"),
    ],
)
def test_what_is_wrong_is_one_line(home, arguments, message):
    found = run("lightcurve", home, *arguments, code=2)
    assert message in found
    assert found.splitlines()[-1].startswith("ezarchive: ")
