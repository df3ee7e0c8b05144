"""`ezarchive image-fits`."""

from __future__ import annotations

import json

import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner

from ezarchive import Archive
from ezarchive.cli import cli
from ezarchive.simulate.pairs import PairPlan, image_pair


def run(*arguments, code=0):
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def home(tmp_path):
    """An archive of two frames of one sky; the first is the sharper one."""
    for place, fwhm in enumerate((0.7, 1.0)):
        pair = image_pair(PairPlan(shape=(120, 130), fwhm=fwhm, dx=0.2 * place, dy=0.0, n_stars=12, n_discs=8, star_flux=20000.0))
        header = pair.wcs.to_header()
        header.update(
            {"OBJECT": "udf", "TELESCOP": "VLT", "FILTER": "F606W", "DATE-OBS": f"2025-09-0{place + 1}T23:30:00", "EXPTIME": 100.0}
        )
        (tmp_path / "sci").mkdir(exist_ok=True)
        fits.PrimaryHDU(pair.image.astype(np.float32), header).writeto(tmp_path / "sci" / f"{place}.fits")
    with Archive.create(tmp_path / "home", roots={"sci": {"path": tmp_path / "sci", "layout": ""}}) as archive:
        archive.index(progress=False)
    return tmp_path / "home"


def test_frames_by_one_of_them(home, tmp_path):
    options = ("--reference-fwhm", 0.7, "--reference-beta", 2.5, "--set", "fix_beta=2.5")
    text = run("image-fits", home, "--reference", "frame:1", *options)
    assert "1 frames fitted by frame 1, 0 already done" in text
    (row,) = json.loads(run("sql", home, "SELECT night, fwhm, dx, reference_id FROM image_fits", "--format", "json"))
    assert row["fwhm"] == pytest.approx(1.0, abs=0.02)
    assert row["dx"] == pytest.approx(0.2, abs=0.01)
    assert (row["night"], row["reference_id"]) == ("2025-09-02", 1)
    assert "0 frames fitted by frame 1, 1 already done" in run("image-fits", home, "--reference", "frame:1", *options)
    path = tmp_path / "sci" / "0.fits"
    assert "2 frames fitted by" in run("image-fits", home, "--reference", path, "--objname", "udf", *options)
    assert "image_fit" in run("runs", home)
    assert "2 image fits count no more" in run("withdraw", home, 2)


def test_a_failure_is_told_by_the_exit_code(home):
    text = run("image-fits", home, "--reference", "frame:1", "--method", "stars", "--star", 10, 10, 3, "--reference-fwhm", 0.7, code=1)
    assert "must be on frame" in text


def test_mistakes_are_one_line(home, tmp_path):
    reference = ("--reference", "frame:1")
    assert "must be a path, or frame: and" in run("image-fits", home, "--reference", "frame:x", code=2)
    assert "none.fits: is not there" in run("image-fits", home, "--reference", tmp_path / "none.fits", code=2)
    assert "option 'fix_bet'" in run("image-fits", home, *reference, "--set", "fix_bet=3", code=2)
    assert "must not be set so" in run("image-fits", home, *reference, "--set", "method=stars", code=2)
    (tmp_path / "bad.reg").write_text("fk5; circle(1,2\n")
    assert "a bracket is not closed" in run("image-fits", home, *reference, "--regions", tmp_path / "bad.reg", code=2)
    assert "Missing option '--reference'" in run("image-fits", home, code=2)
