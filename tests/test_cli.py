"""The command line: every command, on a small archive."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys

import pytest
from click.testing import CliRunner

from ezarchive import Archive
from ezarchive.cli import cli


def run(*arguments, code=0):
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture(scope="module")
def home(toy_sky, tmp_path_factory):
    """An archive made, indexed and measured from the command line."""
    folder = tmp_path_factory.mktemp("cli") / "home"
    assert "archive made" in run("init", folder, "--root", f"scidata={toy_sky.scidata}", "--root", f"refdata={toy_sky.refdata}")
    assert "4 new" in run("index", folder, "--workers", 1)
    options = ["--set", "detection_sigma=4", "--set", "aperture_diameter_arcsec=5,7,10"]
    assert "2 frames measured" in run("measure", folder, "--workers", 1, *options)
    return folder


def test_frames_in_every_format(home):
    listed = json.loads(run("frames", home, "--kind", "science", "--format", "json"))
    assert [row["filter"] for row in listed] == ["m600", "m625"]
    rows = list(csv.DictReader(io.StringIO(run("frames", home, "--filter", "m6*", "--telname", "7DT01", "--format", "csv"))))
    assert [row["kind"] for row in rows] == ["science", "science"]
    assert "reference" in run("frames", home, "--kind", "reference")
    assert "(1 row)" in run("frames", home, "--root", "scidata", "--limit", 1)
    assert "(2 rows)" in run("frames", home, "--root", "scidata", "--near", "21:45:00 -77:15:44", "1 arcmin")
    assert "(2 rows)" in run("frames", home, "--root", "scidata", "--covering", "326.25 -77.26222", "--between", "2025-01-01", "2026-01-01")
    assert "(0 rows)" in run("frames", home, "--seeing", 0.1)
    assert "(0 rows)" in run("frames", home, "--keyword", "EXPTIME<0")
    assert "(1 row)" in run("frames", home, "--root", "scidata", "--keyword", "EXPTIME>0", "--keyword", "!NOWHERE", "--limit", 1)


def test_a_negative_declination_is_no_option(home, tmp_path):
    star = Archive.open(home).sql("SELECT ra, dec FROM light_curve WHERE flags = 0 ORDER BY snr DESC LIMIT 1").to_pandas().iloc[0]
    assert star["dec"] < 0
    figure = tmp_path / "lc.png"
    rows = json.loads(run("lightcurve", home, star["ra"], star["dec"], "-o", figure, "--format", "json")[: -len(f"{figure}: written\n")])
    assert {row["filter"] for row in rows} == {"m600", "m625"}
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert "mag_err" in run("lightcurve", home, "21:45:00", "-77:15:44", "--radius", "1 arcmin")
    assert "(0 rows)" in run("lightcurve", home, "10", "-77", "--filter", "m600")


def test_sql_and_lists(home):
    assert run("sql", home, "SELECT count(*) AS n FROM frames", "--format", "csv") == "n\n4\n"
    assert '"n_catalogs": 2' in run("runs", home, "--format", "json")
    assert "(0 rows)" in run("quarantine", home)
    assert "(0 rows)" in run("quarantine", home, "--all")
    assert "verify: ok" in run("verify", home)
    assert "up to date" in run("migrate", home)


def test_nightly_does_what_is_left(home):
    assert "2 frames measured" in run("nightly", home, "--workers", 1)
    assert "2 already done" in run("nightly", home, "--workers", 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["frames", "nowhere"], "nowhere: holds no ezarchive.toml"),
        (["frames", "HOME", "--objname", "T0528"], "objname 'T0528': did you mean 'T00528'?"),
        (["frames", "HOME", "--near", "21:45:00 -77:15:44", "10"], "radius"),
        (["sql", "HOME", "DELETE FROM frames"], "DELETE"),
        (["sql", "HOME", "SELECT * FROM frame"], "frames"),
        (["measure", "HOME", "--set", "detection_sgma=3"], "option 'detection_sgma': did you mean 'detection_sigma'"),
        (["measure", "HOME", "--set", "detection_sigma"], "--set 'detection_sigma': must be NAME=VALUE"),
        (["measure", "HOME", "--set", "frames=1"], "--set 'frames=1': frames must not be set so"),
        (["measure", "HOME", "--set", "detection_sigma=3", "--set", "detection_sigma=4"], "detection_sigma must be given once"),
        (["forced", "HOME", "--targets", "1 2", "--set", "targets=3"], "--set 'targets=3': targets must not be set so"),
        (["lightcurve", "HOME", "10", "-97"], "-97"),
        (["lightcurve", "HOME", "10", "-9", "--radius", "2"], "unit"),
        (["init", "HOME", "--root", "scidata=."], "holds an archive already"),
        (["init", "other", "--root", "scidata"], "--root 'scidata': must be NAME=VALUE"),
        (["init", "other", "--root", "scidata=/no/such/folder"], "root 'scidata': /no/such/folder is not a folder"),
        (["init", "other", "--root", "a=.", "--layout", "b=x"], "--layout: no root is named 'b'"),
        (["init", "./inside", "--root", "a=."], "never writes inside a data root"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(home, arguments, message, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    output = run(*(str(home) if argument == "HOME" else argument for argument in arguments), code=2)
    assert message in output
    assert output.startswith("ezarchive: ")
    assert output.count("\n") == 1


def test_init_takes_layouts_kinds_and_defaults(tmp_path):
    (tmp_path / "raw").mkdir()
    arguments = ["--layout", "raw={night}/{telname}", "--kind", "raw=calibration", "--default", "raw.observatory=KASI"]
    run("init", tmp_path / "home", "--root", f"raw={tmp_path / 'raw'}", *arguments)
    with Archive.open(tmp_path / "home") as archive:
        root = archive.settings.roots["raw"]
    assert (root.layout, root.kind, dict(root.defaults)) == ("{night}/{telname}", "calibration", {"observatory": "KASI"})


def test_no_bar_when_piped(home, tmp_path):
    command = [sys.executable, "-m", "ezarchive", "index", str(home)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr == ""
    assert "4 unchanged" in done.stdout


def test_a_permission_that_is_wanting_is_one_line(home, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", "/elsewhere/home")

    monkeypatch.setattr(Archive, "create", refuse)
    output = run("init", "/elsewhere/home", "--root", "scidata=/data", code=2)
    assert output == "ezarchive: /elsewhere/home: this user may not read or write it (Permission denied)\n"


def test_what_the_system_refuses_is_one_line_and_no_failed_frame(home, tmp_path):
    copy = shutil.copytree(home, tmp_path / "home", ignore=shutil.ignore_patterns("logs"))
    (copy / "logs").write_text("a file where a folder must be")
    output = run("nightly", copy, "--workers", 1, code=2)
    assert output == f"ezarchive: [Errno 17] File exists: '{copy / 'logs'}'\n"


def test_a_light_curve_is_printed_with_the_digits_that_it_has(home):
    star = Archive.open(home).sql("SELECT ra, dec FROM light_curve WHERE flags = 0 ORDER BY snr DESC LIMIT 1")[0]
    head, _, row, *_ = run("lightcurve", home, star.ra, star.dec).splitlines()
    values = dict(zip(head.split(), row.split(), strict=True))
    assert {name: len(values[name].partition(".")[2]) for name in ("mag", "mag_err", "snr")} == {"mag": 4, "mag_err": 4, "snr": 1}
    found = run("lightcurve", home, star.ra, star.dec, "--aperture", 6)
    assert "have no aperture of 6 arcsec and give no rows; all have 5, 7, 10" in found


def test_a_limit_below_zero_is_refused(home):
    assert "limit=-1: must be a whole number of rows" in run("frames", home, "--limit", "-1", code=2)


def test_forced_measures_a_list_or_a_position(home, tmp_path):
    (frame, *_) = json.loads(run("frames", home, "--root", "scidata", "--format", "json"))
    listed = tmp_path / "list.csv"
    listed.write_text(f"name,ra,dec\nsn,{frame['ra']},{frame['dec']}\n")
    quiet = ["--workers", 1, "--set", "aperture_diameter_arcsec=5,7"]
    assert "2 frames measured (2 sources)" in run("forced", home, "--targets", listed, "--name", "sn", *quiet)
    assert "2 already done" in run("forced", home, "--targets", listed, "--name", "sn", *quiet)
    assert "1 frames measured" in run("forced", home, "--targets", f"{frame['ra']} {frame['dec']}", "--filter", "m600", *quiet)
    assert "circular: 0 frames measured" in run("forced", home, "--targets", "10 10", *quiet)
    assert "executor='x': must be" in run("measure", home, "--executor", "x", code=2)
    assert "0 catalogs free again" in run("pin", home, "--method", "circular")
    place = f"{frame['ra']} {frame['dec']}"
    axes = ["--set", "sma=4", "--set", "smi=3", "--set", "theta=20"]
    assert "2 frames measured" in run("forced", home, "--targets", place, "--method", "elliptical", *quiet[:2], *axes)
    assert "(2 rows)" in run("lightcurve", home, *place.split(), "--method", "elliptical")
    assert "hold ellipses and give no rows; method 'elliptical' shows them" in run("lightcurve", home, *place.split())
    query = "SELECT kind, aperture_arcsec, flux IS NULL AS none FROM light_curve"
    found = json.loads(run("sql", home, query, "--method", "elliptical", "--format", "json"))
    assert found == [{"kind": "forced", "aperture_arcsec": None, "none": False}] * 2
