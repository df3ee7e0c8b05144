"""`ezarchive anchor`."""

from __future__ import annotations

import pytest
from anchorscenes import anchored, small_scene
from astropy.table import Table
from click.testing import CliRunner

from ezarchive import Archive
from ezarchive.cli import cli

CONFIG = """
target = "ngc9999"
bands = ["F770W", "F2100W"]
in_dir = "scene/data/{target}"
ref_dir = "scene/refs"
kernel_dir = "scene/kernels"
in_step_ext = "i2d_align"
in_subdir = "lv3"
internal_conv_band = "F2100W"
ref_band = "F770W"
external_bands = "irac4_atgauss4"
"""


def run(*arguments, code=0):
    result = CliRunner().invoke(cli, ["anchor", *(str(argument) for argument in arguments)], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def scene(tmp_path):
    return small_scene(tmp_path / "scene", bands=("F770W", "F2100W"))


@pytest.fixture
def config(tmp_path, scene):
    path = tmp_path / "anchor.toml"
    path.write_text(CONFIG)
    return path


def test_levels_from_the_command_line(config, scene, tmp_path):
    text = run(config, "--dry-run")
    assert "F770W" in text
    assert "external against irac4_atgauss4 at gauss4, kernel f770w_to_gauss4.fits" in text
    assert not list(scene.data.rglob("*anchor*"))
    text = run(config, "-o", tmp_path / "levels.ecsv", "--no-plots")
    assert "ngc9999: 2 of 2 images anchored" in text
    levels = Table.read(tmp_path / "levels.ecsv")
    assert list(levels["band"]) == ["F770W", "F2100W"]
    for row in levels:
        assert row["offset"] == pytest.approx(scene.offsets[row["band"]], abs=0.02)
        assert anchored(scene, row["band"]).exists()
    assert not list(scene.data.rglob("*.png"))
    assert "anchored before" in run(config, "--no-plots")
    assert "2 of 2 images anchored" in run(config, "--overwrite", "--method", "classic", "--plots")
    assert len(list(scene.data.rglob("*.png"))) == 2


def test_a_band_that_fails_is_exit_code_1(config, scene):
    (scene.references / "ngc9999_irac4_atgauss4.fits").unlink()
    text = run(config, "--no-plots", code=1)
    assert "ngc9999_irac4_atgauss4.fits: is not there" in text


def test_levels_are_recorded(config, scene, tmp_path):
    (tmp_path / "root").mkdir()
    Archive.create(tmp_path / "home", roots={"scidata": tmp_path / "root"}).close()
    assert "images anchored; run 1" in run(config, "--archive", tmp_path / "home", "--no-plots")
    with Archive.open(tmp_path / "home") as archive:
        rows = archive.sql("SELECT band, anchor_offset, used FROM anchors ORDER BY band").to_table()
    assert list(rows["band"]) == ["F2100W", "F770W"]


def test_a_configuration_that_is_wrong(tmp_path):
    path = tmp_path / "anchor.toml"
    path.write_text(CONFIG + "kernels = 'x'")
    assert "anchor.toml: argument 'kernels': did you mean 'kernel_dir'" in run(path, code=2)
    assert "none.toml: cannot be read" in run(tmp_path / "none.toml", code=2)


def test_a_table_of_another_kind_is_refused_before_anything(config, scene):
    assert "the suffix must be one of .ecsv, .csv, .fits" in run(config, "-o", "levels.xml", code=2)
    assert not list(scene.data.rglob("*anchor*"))
