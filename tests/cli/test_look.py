"""`ezarchive look`."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from click.testing import CliRunner
from PIL import Image as Pillow

from ezarchive.cli import cli
from ezarchive.quicklook import compass, display_limits, metadata, statistics


def run(*arguments, code=0):
    result = CliRunner().invoke(cli, ["look", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def image(tmp_path):
    """Two planes, the first with a WCS of 0.5 arcsec pixels, north up."""
    header = fits.Header({"BUNIT": "MJy/sr", "FILTER": "F200W", "EXPTIME": 30.5, "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN"})
    header.update({"CRPIX1": 30.5, "CRPIX2": 20.5, "CRVAL1": 150.0, "CRVAL2": 2.0, "CDELT1": -0.5 / 3600, "CDELT2": 0.5 / 3600})
    header["HISTORY"] = "made for a test"
    data = np.arange(2400, dtype=np.float32).reshape(40, 60)
    data[3, 4] = np.nan
    planes = [
        fits.PrimaryHDU(header=fits.Header({"OBJECT": "M 1"})),
        fits.ImageHDU(data, header, "SCI"),
        fits.ImageHDU(data * 0 + 2, None, "ERR"),
    ]
    path = tmp_path / "image.fits"
    fits.HDUList(planes).writeto(path)
    return path


def test_what_an_image_is(image):
    lines = {line.split()[0]: " ".join(line.split()) for line in run(image).stdout.splitlines()}
    assert lines["image[SCI,1]"] == "image[SCI,1]"
    assert lines["size"] == "size 60 x 40 pixels, 1 NaN" and lines["unit"] == "unit MJy / sr"
    std = np.nanstd(fits.getdata(image, 1).astype(float))
    assert lines["min"] == "min 0 max 2399 at x=59 y=39" and lines["mean"].startswith(f"mean 1199.92 median 1200 std {std:.6g}")
    assert lines["limits"].endswith("(95%)")
    assert lines["centre"] == "centre 150.000000 +2.000000 deg ICRS 10h00m00.0000s +02d00m00.0000s"
    assert lines["field"] == "field 30 arcsec x 20 arcsec, pixel 0.5 arcsec"
    assert lines["orientation"] == "orientation +y at position angle 0.00 deg (east of north); east is left of north, as on the sky"
    assert lines["OBJECT"] == "OBJECT M 1" and lines["EXPTIME"] == "EXPTIME 30.5" and "--header" in lines["header"]


def test_the_header(image):
    told = run(image, "--header").stdout
    assert "CRVAL1" in told and "HISTORY made for a test" in told and told.index("FILTER ") < told.index("CRPIX1")
    ordered = run(image, "--header", "--order", "sorted").stdout
    assert ordered.index("CRPIX1") < ordered.index("FILTER ")
    assert "OBJECT" in run(image, "--header", "--primary").stdout and "CRVAL1" not in run(image, "--header", "--primary").stdout
    some = run(image, "--contains", "crval").stdout
    assert "CRVAL2" in some and "FILTER" not in some
    assert "no header line holds 'nonsense'" in run(image, "--contains", "nonsense").stdout


def test_json_holds_all_of_it(image):
    (found,) = json.loads(run(image, "--format", "json").stdout)
    assert found["label"] == "image[SCI,1]" and found["path"] == str(image)
    assert found["statistics"] == statistics(image).to_dict()
    assert found["limits"] == display_limits(statistics_free(image)).to_dict()
    assert found["compass"] == compass(image, at="center").to_dict()
    assert found["metadata"] == metadata(image, order="file").to_dict()


def statistics_free(image):
    return fits.getdata(image, "SCI").astype(np.float32)


@pytest.mark.parametrize("form", ["csv", "ecsv"])
def test_the_header_as_a_table(image, form):
    told = run(image, "--format", form).stdout
    rows = list(csv.DictReader(io.StringIO(told))) if form == "csv" else Table.read(told, format="ascii.ecsv")
    assert [row["value"] for row in rows if row["key"] == "FILTER"] == ["F200W"]


def test_planes_and_several_files(image, tmp_path):
    np.save(tmp_path / "other.npy", 1)
    assert "image[ERR,1]" in run(f"{image}[ERR]").stdout
    told = run(f"{image}[*]").stdout
    assert "image[SCI,1]\n" in told and "image[ERR,1]\n" in told
    result = run(image, tmp_path / "missing.fits", f"{image}[ERR]", code=1)
    assert "missing.fits" in result.stderr and "image[ERR,1]" in result.stdout
    assert [one["label"] for one in json.loads(run(image, f"{image}[ERR]", "--format", "json").stdout)] == ["image[SCI,1]", "image[ERR,1]"]


def test_a_cube_is_told_in_a_line(tmp_path):
    fits.PrimaryHDU(np.zeros((18, 5, 6), np.float32)).writeto(tmp_path / "cube.fits")
    result = run(tmp_path / "cube.fits")
    assert result.stdout.count("6 x 5 pixels") == 16 and result.stderr.startswith("ezarchive: ") and result.stderr.count("\n") == 1


def test_no_sky(image):
    assert "has no celestial WCS" in run(f"{image}[ERR]").stdout


def test_a_picture_is_the_same_twice(image, tmp_path):
    first, second, regions = tmp_path / "a.png", tmp_path / "b.png", tmp_path / "some.reg"
    regions.write_text('icrs\ncircle(150.0,2.0,3") # text={middle}\n')
    options = ["--regions", regions, "--stretch", "arcsinh", "--percentile", "99", "--contours", "3", "--size", "4", "3", "--dpi", "100"]
    assert "a.png: written" in run(image, "-o", first, *options).stderr
    run(image, "-o", second, *options)
    assert first.read_bytes() == second.read_bytes()
    with Pillow.open(first) as drawn:
        assert drawn.size == (400, 300)


@pytest.mark.parametrize(("name", "start"), [("a.svg", b"<?xml"), ("a.pdf", b"%PDF")])
def test_other_pictures(image, tmp_path, name, start):
    drawn = [
        "--limits",
        "0",
        "100",
        "--zoom",
        "0",
        "20",
        "0",
        "20",
        "--contours",
        "10,20.5",
        "--coordinates",
        "pixels",
        "--percentile",
        "zscale",
    ]
    run(image, "-o", tmp_path / name, *drawn, "--size", "4", "3")
    assert (tmp_path / name).read_bytes().startswith(start)


def test_a_region_that_cannot_be_drawn_is_told(image, tmp_path):
    regions = tmp_path / "some.reg"
    regions.write_text("image\ncircle(10,10,3)\npoint(5,5)\n")
    result = run(image, "--regions", regions, "-o", tmp_path / "a.png", code=1)
    assert "point" in result.stderr.lower() and "no area" in result.stderr and (tmp_path / "a.png").exists()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["-o", "a.jpg"], "the suffix must be one of"),
        (["--percentile", "most"], "percentile"),
        (["--contours", "3"], "--contours: says how the image is drawn; -o must be given"),
        (["--dpi", "150"], "--dpi: says how the image is drawn; -o must be given"),
        (["--regions", "some.reg"], "--regions: says how the image is drawn; -o must be given"),
        (["--contours", "some", "-o", "a.png"], "--contours 'some': must be a whole number, or levels"),
        (["--zoom", "5", "1", "0", "9", "-o", "a.png"], "zoom"),
        (["--cmap", "nothing", "-o", "a.png"], "cmap"),
        (["--regions", "nowhere.reg", "-o", "a.png"], "nowhere.reg"),
    ],
)
def test_bad_input(image, tmp_path, monkeypatch, options, text):
    monkeypatch.chdir(tmp_path)
    result = run(image, *options, code=2)
    assert text in result.stderr and result.stderr.startswith("ezarchive: ") and result.stderr.count("\n") == 1
    assert not (tmp_path / "a.png").exists()


def test_a_picture_never_replaces_what_it_is_made_of(tmp_path):
    path = tmp_path / "a.png"
    Pillow.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4)).save(path)
    before = path.read_bytes()
    told = run(path, "-o", path, code=2)
    assert "would replace what it is made of" in told.stderr and not told.stdout and path.read_bytes() == before


def test_bad_files(image, tmp_path):
    assert "missing.fits" in run(tmp_path / "missing.fits", code=2).stderr
    assert "needs one image, found 2" in run(f"{image}[*]", "-o", tmp_path / "a.png", code=2).stderr
    assert "NOPE" in run(f"{image}[NOPE]", code=2).stderr


def test_an_image_without_a_finite_pixel(tmp_path):
    fits.PrimaryHDU(np.full((3, 3), np.nan, np.float32)).writeto(tmp_path / "nothing.fits")
    assert "9 NaN" in run(tmp_path / "nothing.fits").stdout
    json.loads(run(tmp_path / "nothing.fits", "--format", "json", "-o", tmp_path / "nothing.png").stdout)


def test_one_pixel(tmp_path):
    fits.PrimaryHDU(np.ones((1, 1), np.float32)).writeto(tmp_path / "one.fits")
    assert "1 x 1 pixels" in run(tmp_path / "one.fits", "-o", tmp_path / "one.png").stdout


def test_real_images(real_data, tmp_path):
    """A mosaic of JWST turned by 43 degrees, and one of Spitzer along galactic latitude, of which north is 62 degrees left of up."""
    (nircam,) = (real_data / "nircam").glob("*_stamp.fits")
    told = run(nircam, "-o", tmp_path / "n.png", "--size", "4", "4", "--dpi", "100").stdout
    assert "27.7 arcsec x 27.7 arcsec, pixel 0.03078 arcsec" in told and "position angle 43.02 deg" in told and "ABELL2744" in told
    told = run(real_data / "irac" / "spitzer_example_image.fits").stdout
    assert "20.5 arcmin x 10.26 arcmin, pixel 1.2 arcsec" in told and "position angle 297.96 deg" in told and "MJy / sr" in told
