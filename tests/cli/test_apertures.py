"""`ezarchive photometry`."""

from __future__ import annotations

import csv
import io
import json
import math

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable, Table
from click.testing import CliRunner

from ezarchive.cli import cli
from ezarchive.quicklook import Annulus, aperture_photometry, curve_of_growth, fit_profile, radial_profile, read_results
from ezarchive.quicklook.regions.shapes import Circle

REGIONS = """image
circle(31.2,20.7,12) # text={star}
ellipse(12,30,4,3,30)
"""


def run(*arguments, code=0):
    result = CliRunner().invoke(cli, ["photometry", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A star of FWHM 7.0645 at (30.2, 19.7) over 5 MJy/sr, with errors and bad pixels, and its regions."""
    y, x = np.mgrid[:45, :60]
    data = 5 + 100 * np.exp(-0.5 * ((x - 30.2) ** 2 + (y - 19.7) ** 2) / 9)
    header = fits.Header({"BUNIT": "MJy/sr", "PIXAR_A2": 0.01, "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 30.5})
    header.update({"CRPIX2": 20.5, "CRVAL1": 150.0, "CRVAL2": 2.0, "CDELT1": -0.1 / 3600, "CDELT2": 0.1 / 3600})
    quality = np.zeros(data.shape, np.int32)
    quality[30, 12] = 4
    planes = [fits.PrimaryHDU(), fits.ImageHDU(data, header, "SCI"), fits.ImageHDU(np.full(data.shape, 0.5), None, "ERR")]
    fits.HDUList([*planes, fits.ImageHDU(quality, None, "DQ")]).writeto(tmp_path / "image.fits")
    fits.PrimaryHDU(data.astype(np.float32)).writeto(tmp_path / "plain.fits")
    (tmp_path / "some.reg").write_text(REGIONS)
    (tmp_path / "sky.reg").write_text("image\nbox(10,10,8,8,0)\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows(*arguments, code=0):
    return json.loads(run("image.fits", "--format", "json", *arguments, code=code).stdout)["rows"]


def test_the_table(folder):
    lines = run("image.fits", "--regions", "some.reg", "--background", "5").stdout.splitlines()
    assert lines[0] == "image[SCI,1]" and lines[1].split() == [
        "id",
        "region",
        "x",
        "y",
        "ra",
        "dec",
        "sum",
        "unit",
        "area",
        "background",
        "ab_mag",
        "fwhm",
    ]
    star = lines[2].split()
    true = aperture_photometry("image.fits", Circle(30.2, 19.7, 12), background=5)
    assert star[:4] == ["1", "star", "30.2", "19.7"] and star[6:8] == [f"{true['sum'][0].value:.4e}", "MJy"]
    assert star[-2] == f"{-2.5 * math.log10(true['sum'][0].value * 1e6 / 3631):.3f}" and lines[3].split()[1:3] == ["Subset", "2"]


def test_one_region_in_full(folder):
    lines = run("image.fits", "--region", "image; circle(31.2,20.7,12)", "--background", "5").stdout.splitlines()
    told = dict(line.split(None, 1) for line in lines if len(line.split(None, 1)) == 2)
    assert told["pixarea_rule"] == "PIXAR_A2" and told["sum_aper_area"].startswith("452.3893 pix2")
    assert float(told["sum_raw"].split()[0]) == pytest.approx(5654.9 * (1 - math.exp(-8)), rel=1e-3)
    assert told["sky_center"].startswith("149.999981 +2.000006") and told["flags"] == "0"


def test_the_backgrounds(folder):
    (star, _) = rows("--regions", "some.reg", "--background", "annulus:13,4")
    true = aperture_photometry("image.fits", Circle(30.2, 19.7, 12), background=Annulus(13, 4))
    assert star["background"] == true["background"][0].value == pytest.approx(5, abs=0.01)
    assert star["n_background"] == true["n_background"][0] and star["err_source"] == "background"
    assert rows("--regions", "some.reg", "--background", "annulus:1.3 arcsec,0.4arcsec")[0]["background"] == pytest.approx(
        star["background"]
    )
    assert rows("--regions", "some.reg", "--background", "sky.reg")[0]["background"] == pytest.approx(5, abs=0.01)
    assert rows("--regions", "some.reg", "--background", "annulus", "--background-method", "mean")[0]["n_background"] > 0
    assert rows("--regions", "some.reg", "--background", "-1e-20")[0]["background"] == -1e-20


def test_the_factors(folder):
    (star, _) = rows("--regions", "some.reg", "--counts-factor", "1e-20", "--flux-scaling", "0.003631", "--pixel-area", "0.02")
    assert (
        star["pixarea_rule"] == "user"
        and star["counts_fac"] == 1e-20
        and star["aperture_sum_counts"] == pytest.approx(star["sum_raw"] * 1e20)
    )
    assert star["sum_mag"] == pytest.approx(-2.5 * math.log10(star["sum"] / 0.003631))
    assert star["aperture_sum_mag"] == pytest.approx(-2.5 * math.log10(star["sum_raw"] / 0.003631))
    assert rows("--regions", "some.reg", "--flux-scaling", "3631 Jy")[0]["sum_mag"] == pytest.approx(star["sum_mag"] + 2.5 * math.log10(2))
    off = rows("--regions", "some.reg", "--pixel-area", "off")[0]
    assert off["sum"] == off["sum_raw"] and off["pixarea_tot"] is None


def test_errors_and_bad_pixels_of_the_file(folder):
    (star, other) = rows("--regions", "some.reg", "--error", "file", "--mask", "file")
    assert star["err_source"] == "map" and star["sum_err"] == pytest.approx(0.5 * math.sqrt(math.pi * 144) * star["pixarea_tot"])
    assert (star["n_bad"], other["n_bad"]) == (0, 1)
    near = rows("--region", "image; circle(13,31,3)", "--mask", "file", "--error", "2")
    assert near[0]["n_bad"] == 1 and near[0]["sum_err"] > 0


def test_growth_profiles_and_fits(folder):
    found = json.loads(
        run("image.fits", "--regions", "some.reg", "--growth", "--fit", "gaussian", "--background", "5", "--format", "json").stdout
    )["curves"][0]
    shape = Circle(30.2, 19.7, 12)
    assert found["growth"] == curve_of_growth("image.fits", shape, background=5.0).to_dict()
    assert found["radial"]["value"] == pytest.approx(radial_profile("image.fits", shape, background=5.0).value)
    assert found["fit"]["values"]["fwhm"] == pytest.approx(7.0645, abs=1e-4)
    told = run("image.fits", "--regions", "some.reg", "--growth", "--radial", "--background", "5", "--fit", "gaussian").stdout
    assert "R50" in told and "12 rings" in told and "7.0645" in told
    assert "moffat (beta at its limit)" in run("image.fits", "--region", "image; circle(31.2,20.7,12)", "--fit", "moffat").stdout
    raw = json.loads(run("image.fits", "--region", "image; circle(31.2,20.7,9)", "--raw", "--fit", "moffat", "--format", "json").stdout)[
        "curves"
    ][0]
    assert raw["radial"]["raw"] and raw["growth"] is None
    assert raw["fit"]["values"]["fwhm"] == pytest.approx(
        fit_profile(radial_profile("image.fits", Circle(30.2, 19.7, 9), raw=True), "moffat").fwhm
    )


def test_recentring(folder):
    away = ("--region", "image; circle(33,22,9)", "--background", "5")
    (moved,) = rows(*away, "--recenter")
    assert (moved["xcenter"], moved["ycenter"]) == pytest.approx((30.2, 19.7), abs=0.02)
    assert rows(*away)[0]["xcenter"] == 32
    result = run("image.fits", "--region", "image; circle(10,40,3)", "--background", "6", "--recenter")
    assert "not recentred" in result.stderr


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_images_of_one_name_do_not_replace_each_others_figures(folder):
    (folder / "other").mkdir()
    (folder / "other" / "plain.fits").write_bytes((folder / "plain.fits").read_bytes())
    arguments = ("--region", "image; circle(31.2,20.7,12)", "--figures", "drawn")
    result = run("plain.fits", "other/plain.fits", *arguments, code=2)
    assert "--figures: images must have names of their own, found 'plain.fits' in 2 folders" in result.stderr
    assert not (folder / "drawn").exists()
    run("plain.fits,image.fits", *arguments)


def test_figures(folder):
    result = run("image.fits", "--region", "image; circle(31.2,20.7,12)", "--growth", "--fit", "gaussian", "--figures", "drawn")
    assert "drawn: 3 figures written" in result.stderr
    names = ["image_SCI_1.png", *(f"image_SCI_1_1_Subset_1_{what}.{end}" for what in ("growth", "radial") for end in ("ecsv", "png"))]
    assert sorted(path.name for path in (folder / "drawn").iterdir()) == sorted(names)
    curve = QTable.read(folder / "drawn" / "image_SCI_1_1_Subset_1_growth.ecsv")
    assert len(curve) == 10 and curve["sum"].unit == "MJy" and Table.read(folder / "drawn" / names[3])["value"].unit == "MJy / sr"


def test_curves_are_numbered_as_their_regions(folder):
    regions = ["--region", "image; circle(-50,5,3)", "--region", "image; circle(31.2,20.7,12)"]
    result = run("plain.fits", *regions, "--growth", "--figures", "drawn", code=1)
    assert "Subset 1: region: must lie on the image" in result.stderr
    assert (folder / "drawn" / "plain_PRIMARY_1_2_Subset_2_growth.ecsv").exists()


def test_a_file_that_fails_is_named_once(folder):
    result = run("plain.fits", "nowhere.fits", "--regions", "some.reg", code=1)
    assert result.stderr.splitlines() == ["ezarchive: nowhere.fits: is not there"]


@pytest.mark.parametrize("suffix", ["ecsv", "csv", "fits", "parquet", "json", "vot"])
def test_all_rows_are_written(folder, suffix):
    run("image.fits", "plain.fits", "--regions", "some.reg", "-o", f"out.{suffix}")
    back = list(read_results(f"out.{suffix}"))
    assert [row["data_label"] for row in back] == ["image[SCI,1]"] * 2 + ["plain[PRIMARY,1]"] * 2 and [row["id"] for row in back] == [
        1,
        2,
        3,
        4,
    ]
    assert "exists already" in run("image.fits", "--regions", "some.reg", "-o", f"out.{suffix}", code=2).stderr
    run("image.fits", "--regions", "some.reg", "-o", f"out.{suffix}", "--overwrite")
    assert len(read_results(f"out.{suffix}")) == 2


def test_csv_and_ecsv(folder):
    told = run("image.fits", "--regions", "some.reg", "--format", "csv").stdout
    assert [row["subset_label"] for row in csv.DictReader(io.StringIO(told))] == ["star", "Subset 2"]
    table = QTable.read(run("image.fits", "--regions", "some.reg", "--format", "ecsv").stdout, format="ascii.ecsv")
    assert table["sum"].unit == "MJy" and len(table) == 2


def test_the_legacy_columns(folder):
    told = run("image.fits", "--region", "image; circle(31.2,20.7,12)", "--legacy").stdout
    names = [line.split()[0] for line in told.splitlines()]
    assert (
        len(names) == 21 and names[:5] == ["id", "xcenter", "ycenter", "sky_center", "background"] and "npix" in names and "stddev" in names
    )
    table = Table.read(run("image.fits", "--regions", "some.reg", "--legacy", "--format", "csv").stdout, format="ascii.csv")
    assert "aperture_sum" in table.colnames and len(table) == 2


def test_what_fails_is_told_and_the_rest_goes_on(folder):
    (folder / "mixed.reg").write_text("image\ncircle(31.2,20.7,12)\npoint(3,3)\n")
    result = run("image.fits", "missing.fits", "--regions", "mixed.reg", code=1)
    assert "no area" in result.stderr and "missing.fits" in result.stderr and "image[SCI,1]" in result.stdout
    (folder / "sky2.reg").write_text('icrs\ncircle(150.0,2.0,1")\n')
    result = run("image.fits", "plain.fits", "--regions", "sky2.reg", code=1)
    assert "no valid WCS" in result.stderr and "image[SCI,1]" in result.stdout
    result = run("image.fits", "--region", "image; circle(500,500,3)", "--region", "image; circle(31,20,3)", "--growth", code=1)
    assert "OFF_IMAGE" in result.stdout and "region: must lie on the image" in result.stderr


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ([], "No data for aperture photometry: --regions or --region must be given"),
        (["--regions", "nowhere.reg"], "nowhere.reg"),
        (["--region", "image; point(3,3)"], "must have a region that can be used, found none"),
        (["--regions", "some.reg", "--background", "sky"], "missing or invalid background value"),
        (["--regions", "some.reg", "--background", "nan"], "background: missing or invalid value nan"),
        (["--regions", "some.reg", "--background", "annulus:-1,3"], "inner=-1.0: must be 0 or above"),
        (["--regions", "some.reg", "--background", "annulus:a,3"], "'a' must be a number of pixels, or an angle"),
        (["--regions", "some.reg", "--background", "annulus:1,2,3"], "must be annulus:INNER,WIDTH"),
        (["--regions", "some.reg", "--background", "some.reg"], "must hold one region, found 2"),
        (["--regions", "some.reg", "--counts-factor", "-1"], "counts_factor: cannot be negative but got -1.0"),
        (["--regions", "some.reg", "--counts-factor", "0"], "counts_factor=0: is a number, and not 'off'"),
        (["--regions", "some.reg", "--pixel-area", "large"], "--pixel-area 'large': must be a number or off"),
        (["--regions", "some.reg", "--flux-scaling", "3 K"], "conflicts"),
        (["--regions", "some.reg", "--flux-scaling", "bright"], "--flux-scaling 'bright': must be a number, a quantity"),
        (["--regions", "some.reg", "--mask", "nowhere.fits"], "nowhere.fits"),
        (["--regions", "some.reg", "-o", "out.txt"], "suffix must be one of"),
        (["--regions", "some.reg", "--raw"], "--raw: says how profiles and fits are made; --radial or --fit must be given"),
        (["--regions", "some.reg", "--legacy", "--format", "json"], "--legacy: must not be given with --format json"),
        (["--regions", "some.reg", "-o", "nowhere/out.csv"], "nowhere"),
    ],
)
def test_bad_input(folder, options, text):
    result = run("image.fits", *options, code=2)
    assert text in result.stderr and result.stderr.splitlines()[-1].startswith("ezarchive: ")
    assert not (folder / "out.txt").exists()


def test_an_output_that_is_read_or_cannot_be_is_refused_before_anything_is_measured(folder):
    before = (folder / "image.fits").read_bytes()
    for name in ("image.fits", "image.fits[1]", "image.fits[SCI,1]", "plain.fits,image.fits"):
        told = run(name, "--regions", "some.reg", "-o", "image.fits", "--overwrite", code=2)
        assert "would replace what it is made of" in told.stderr and not told.stdout
    told = run("plain.fits", "--regions", "some.reg", "--error", "image.fits", "-o", "image.fits", "--overwrite", code=2)
    assert "would replace what it is made of" in told.stderr and (folder / "image.fits").read_bytes() == before
    assert not run("image.fits", "--regions", "some.reg", "-o", "out.txt", code=2).stdout


def test_what_is_not_known_is_blank(folder):
    lines = run("plain.fits", "--region", "image; circle(31.2,20.7,12)").stdout.splitlines()
    blank = {line for line in lines if len(line.split()) == 1}
    assert {"sum_err", "ab_mag", "sky_center"} <= blank and not any(line.endswith("nan") for line in lines)


def test_errors_of_a_file_without_any(folder):
    assert "must hold ERR or VAR" in run("plain.fits", "--regions", "some.reg", "--error", "file", code=2).stderr


@pytest.mark.oracle
def test_a_catalog_of_spitzer(real_data, tmp_path):
    """Fluxes of 40 bright stars in a circle of 7.2 arcsec are those of the mosaic's own catalog (GLIMPSE, 4.5 micron)."""
    catalog = Table.read(real_data / "irac" / "spitzer_example_catalog.xml")
    catalog.sort("f4_5", reverse=True)
    stars = catalog[:40]
    lines = [f'circle({star["l"]},{star["b"]},7.2")' for star in stars]
    (tmp_path / "stars.reg").write_text("\n".join(["galactic", *lines]))
    image = real_data / "irac" / "spitzer_example_image.fits"
    told = run(image, "--regions", tmp_path / "stars.reg", "--background", "annulus:12,8", "--format", "json").stdout
    ratio = np.array([row["sum"] * 1e9 for row in json.loads(told)["rows"]]) / np.asarray(stars["f4_5"])
    assert np.median(ratio) == pytest.approx(1, abs=0.03) and np.median(np.abs(ratio - np.median(ratio))) < 0.04


def test_a_galaxy_of_jwst(real_data):
    """MJy/sr with the header's pixel area: an AB magnitude; the same sum by hand."""
    (image,) = (real_data / "nircam").glob("*_stamp.fits")
    told = json.loads(
        run(image, "--region", "image; circle(465.5,636.5,20)", "--background", "annulus:30,15", "--growth", "--format", "json").stdout
    )
    (row,), (curves,) = told["rows"], told["curves"]
    assert row["pixarea_rule"] in ("PIXAR_SR", "PIXAR_A2") and row["ab_mag"] == pytest.approx(
        -2.5 * math.log10(row["sum"]) - 6.0999, abs=1e-3
    )
    assert 23 < row["ab_mag"] < 24.5 and curves["growth"]["sum"][-1] == row["sum"] and 5 < curves["growth"]["r50"] < 12
