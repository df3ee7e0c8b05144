"""`ezarchive fit-photometry`, `regrid` and `wideband`."""

from __future__ import annotations

import json

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable
from click.testing import CliRunner

from ezarchive.cli import cli
from ezarchive.compare import fit_photometry_main, make_wideband_image_main, regrid_hst_to_muse_main
from ezarchive.compare.results import HEADER
from ezarchive.simulate.cubes import image_cube
from ezarchive.simulate.pairs import fine_reference, image_pair


def run(*arguments, code=0):
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def pair():
    return image_pair(shape=(90, 80), seed=8, n_discs=10, n_stars=2)


@pytest.fixture
def folder(pair, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return pair.write(tmp_path)


@pytest.mark.truth
def test_the_table(folder):
    lines = run("fit-photometry", "reference.fits", "image.fits").stdout.splitlines()
    assert "\n".join(lines[:3]) == HEADER
    name, method, *numbers = lines[3].split()
    assert (name, method) == ("image", "image")
    scale, fwhm, beta, bg, dx, dy = map(float, numbers[:6])
    assert (scale, fwhm, bg, dx, dy) == pytest.approx((0.95, 0.7, 3.0, 0.13, -0.21), abs=0.1)
    assert beta == 2.5
    assert len(lines) == 4
    assert not list(folder.glob("image_*"))


@pytest.mark.truth
@pytest.mark.slow
@pytest.mark.timeout(60)
def test_every_value_with_its_error(folder, pair):
    words = ["--star", *pair.star, 2.5, "--regions", "none", "--fix-beta", "none"]
    told = run("fit-photometry", "reference.fits", "image.fits", *words, "-o", "fits.ecsv", "--verbose").stdout
    assert "2.5 (fixed)" not in told and "scale 0.9" in told
    assert [line.split()[1] for line in told.splitlines() if line.startswith("image  ")] == ["image", "stars"]
    table = QTable.read(folder / "fits.ecsv")
    assert list(table["method"]) == ["image", "stars"]
    assert (table["scale_err"] > 0).all() and table["dx"].unit == "arcsec"
    assert (abs(table["fwhm"].value - 0.7) < 5 * table["fwhm_err"].value).all()
    found = json.loads(run("fit-photometry", "reference.fits", "image.fits", *words, "--format", "json").stdout)
    assert [one["method"] for one in found] == ["image", "stars"]
    assert found[1]["muse_flux"]["value"] == pytest.approx(57000, rel=0.01)
    text = run("fit-photometry", "reference.fits", "image.fits", "--fix_scale", "0.95", "--format", "ecsv").stdout
    assert QTable.read(text, format="ascii.ecsv")["scale_fixed"][0]


@pytest.mark.truth
@pytest.mark.slow
@pytest.mark.timeout(60)
def test_files_and_figures(folder, pair):
    (folder / "out").mkdir()
    words = ["--star", *pair.star, 2.5, "--hardcopy", "png", "--save", "--apply", "--outdir", "out", "--title", "mine"]
    run("fit-photometry", "reference.fits", "image.fits", *words)
    names = {path.name for path in (folder / "out").iterdir()}
    assert {"image_image_fit.png", "image_star_fit.png", "image_aligned.fits", "image_residual_fft.fits"} <= names


@pytest.mark.truth
def test_two_images_of_one_camera(folder):
    """The reference was never low-passed: an image of a Gaussian against a sharper one of the same kind."""
    options = {"shape": (90, 80), "seed": 8, "n_discs": 10, "n_stars": 2, "dx": 0.0, "dy": 0.0, "scale": 1.0, "bg": 0.0, "noise": 0.01}
    for name, fwhm in (("sharp", 0.7), ("blurred", np.hypot(0.7, 0.8))):
        image_pair(**options, fwhm=fwhm, beta=np.inf).write(folder / name)
    words = ["sharp/image.fits", "blurred/image.fits", "--fix-beta", "200", "--hst-fwhm", "0.01", "--hst-beta", "4", "--format", "json"]
    widths = [json.loads(run("fit-photometry", *words, *more).stdout)[0]["fwhm"]["value"] for more in ([], ["--no-antialias"])]
    assert widths[1] == pytest.approx(0.8, abs=0.01)
    assert abs(widths[0] - 0.8) > abs(widths[1] - 0.8)


@pytest.mark.pure
def test_an_image_that_cannot_be_fitted_does_not_stop_the_others(folder):
    done = run("fit-photometry", "reference.fits", "none.fits", "image.fits", "--workers", 1, code=1)
    assert "none.fits: is not there" in done.stderr
    assert len(done.stdout.splitlines()) == 4


@pytest.mark.pure
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--fix_fwhm", "wide"], "'wide': must be a number, or none"),
        (["--star", "53", "-27", "0"], "its radius must be a positive number of arcsec"),
        (["-o", "fits.txt"], "--output 'fits.txt': the suffix must be .ecsv or .json"),
        (["-o", "none/fits.json"], "--output 'none/fits.json': 'none': must be a folder that can be written"),
        (["-o", "image.json"], "--output 'image.json': must be a file, found a folder"),
        (["-o", "source.json"], "--output 'source.json': would replace what it is made of"),
        (["--star", "53", "-27"], "requires 3 arguments"),
    ],
)
def test_wrong_options(folder, monkeypatch, words, message):
    (folder / "image.json").mkdir()
    (folder / "source.json").symlink_to("image.fits")
    monkeypatch.setattr("ezarchive.pool.run", lambda *arguments: pytest.fail("nothing must be fitted"))
    assert message in run("fit-photometry", "reference.fits", "image.fits", *words, code=2).output


@pytest.mark.pure
@pytest.mark.parametrize(
    ("words", "message"),
    [(["--fix_beta", "1"], "fix_beta 1.0: must be larger than 1"), (["--hardcopy", "gif"], "hardcopy 'gif': must be one of png, pdf, svg")],
)
def test_options_that_a_fit_refuses(folder, words, message):
    assert message in run("fit-photometry", "reference.fits", "image.fits", *words, code=1).output


@pytest.mark.truth
def test_regrid(folder, pair):
    data, wcs = fine_reference(pair, (600, 600), 0.06, noise=0.001)
    header = wcs.to_header()
    header["FILTER"], header["BUNIT"] = "F606W", "electron/s"
    fits.PrimaryHDU(data.astype(np.float32), header).writeto("fine.fits")
    assert run("regrid", "image.fits", "fine.fits").stdout == "hst_F606W_for_image.fits: written\n"
    line = run("fit-photometry", "hst_F606W_for_image.fits", "image.fits").stdout.splitlines()[-1].split()
    assert float(line[2]) == pytest.approx(0.95, abs=0.01)
    assert float(line[3]) == pytest.approx(0.7, abs=0.01)
    assert run("regrid", "image.fits", "fine.fits", "--quiet", "--field", "b").stdout == ""
    assert (folder / "hst_F606W_for_b.fits").exists()
    assert "is not there" in run("regrid", "image.fits", "none.fits", code=2).stderr


@pytest.mark.pure
def test_wideband(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image_cube(n_planes=8, shape=(20, 24), n_discs=2, n_stars=1).write(tmp_path / "datacube.fits")
    (tmp_path / "V.txt").write_text("500 0\n600 1\n700 0\n")
    assert run("wideband", "V.txt", "datacube.fits", "--wave_units", "nm").stdout == "V_image.fits: written\n"
    assert run("wideband", "V.txt", "datacube.fits", "--wave-units", "nm", "--prefix", "b", "--quiet", "--nprocess", 1).stdout == ""
    assert fits.getdata("V_image.fits", "DATA").shape == (20, 24)
    np.testing.assert_array_equal(fits.getdata("V_image.fits", "DATA"), fits.getdata("b_image.fits", "DATA"))
    (tmp_path / "bad.txt").write_text("500 a\n")
    assert "bad.txt, line 1" in run("wideband", "bad.txt", "datacube.fits", code=2).stderr


@pytest.mark.pure
@pytest.mark.parametrize(
    ("function", "told"),
    [(fit_photometry_main, "--fix-beta"), (regrid_hst_to_muse_main, "--field"), (make_wideband_image_main, "--wave-units")],
)
def test_the_scripts(capsys, monkeypatch, function, told):
    with pytest.raises(SystemExit, match="0"):
        function(["script", "--help"])
    assert told in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["script"])
    with pytest.raises(SystemExit, match="2"):
        function()
    assert "Missing argument" in capsys.readouterr().err
