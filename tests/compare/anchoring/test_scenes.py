"""Whole scenes with known levels, through files: the asks of every scenario."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from anchorscenes import anchored, applied

from ezarchive.compare import AnchoringStep
from ezarchive.simulate.nebulae import nebula_scene

TOOL = Path(__file__).resolve().parents[4] / "shared" / "tools" / "anchor_scene.py"
SURVEYS = {"miri": ["irac4_atgauss4", "w3_atgauss15"], "nircam": ["irac1_atgauss4", "w1_atgauss7p5"]}
LINEAR = {
    "F770W": 0.012, "F1000W": 0.008, "F1130W": 0.015, "F2100W": 0.012, "F300M": 0.003, "F335M": 0.003, "F360M": 0.003, "F200W": 0.003
}  # fmt: skip
COLOUR = {"F770W": 0.015, "F300M": 0.006, "F200W": 0.025}
PUBLISHED = {
    ("F770W", "irac4_atgauss4"): (0.94512, 0.30625),
    ("F770W", "w3_atgauss15"): (1.56466, 0.39038),
    ("F300M", "irac1_atgauss4"): (0.90429, 0.14530),
    ("F300M", "w1_atgauss7p5"): (1.01201, 0.15711),
    ("F1000W", "F770W"): (0.36724, -0.22825),
    ("F1130W", "F770W"): (1.35344, -0.18978),
    ("F2100W", "F770W"): (0.56458, -0.61821),
    ("F200W", "F300M"): (1.82037, 0.11646),
    ("F335M", "F300M"): (0.95984, -0.20955),
    ("F360M", "F300M"): (0.87242, -0.08577),
}
"""Slope and intercept of the published method on the default scene."""


def step(folder, target, bands, **changes):
    values = {
        "ref_band": {"miri": "F770W", "nircam": "F300M"}, "external_bands": SURVEYS, "internal_conv_band": "F2100W",
        "in_subdir": "lv3", "out_subdir": "anchoring", "plots": False,
    }  # fmt: skip
    places = {"in_dir": folder / "data" / target, "ref_dir": folder / "refs", "kernel_dir": folder / "kernels"}
    return AnchoringStep(target, bands, procs=1, in_step_ext="i2d_align", **places, **(values | changes))


def errors(scene):
    """Return what is off of every band, MJy/sr; zeros and NaN are checked on the way."""
    return {name: applied(path, anchored(scene, name)) - scene.offsets[name] for name, path in scene.files.items()}


def largest(found, asked):
    return {name: round(error, 4) for name, error in found.items() if name in asked and abs(error) > asked[name]}


@pytest.mark.truth
@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ({"noise": 0.0}, dict.fromkeys(LINEAR, 0.002)),
        ({"seed": 11}, LINEAR),
        ({"seed": 12, "position_angle": -77.0, "width": 90.0, "height": 110.0}, LINEAR),
        ({"seed": 13, "scenario": "colour"}, COLOUR),
    ],
)
def test_levels_of_whole_scenes(tmp_path, options, asked):
    scene = nebula_scene(tmp_path, **options)
    assert step(tmp_path, "ngc9999", list(scene.files)).do_step() is True
    assert not largest(errors(scene), asked)


@pytest.mark.truth
@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("scenario", ["linear", "zerofill"])
def test_a_survey_of_fifteen_arcsec_alone(tmp_path, scenario):
    from ezarchive.simulate.nebulae import BANDS, SURVEYS

    bands = {name: BANDS[name] for name in ("F770W", "F2100W")}
    surveys = {"w3_atgauss15": SURVEYS["w3_atgauss15"]}
    scene = nebula_scene(tmp_path, bands=bands, surveys=surveys, scenario=scenario, seed=14)
    made = step(tmp_path, "ngc9999", list(bands), external_bands="w3_atgauss15")
    assert made.do_step() is True
    assert not largest(errors(scene), {"F770W": 0.04})


@pytest.fixture(scope="module")
def tool():
    if not TOOL.exists():
        pytest.skip("no scene tool here")
    specification = importlib.util.spec_from_file_location("anchor_scene", TOOL)
    made = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(made)
    return made


@pytest.fixture(scope="module")
def published(tool, tmp_path_factory):
    """The default scene of the tool."""
    folder = tmp_path_factory.mktemp("tool")
    tool.main([str(folder)])
    return folder


@pytest.mark.oracle
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_published_method_gives_the_published_numbers(published):
    made = step(published, "ngc9999", list(LINEAR), method="classic")
    assert made.do_step() is True
    found = {(record.band, record.reference): (record.fit.slope, record.fit.intercept) for record in made.report.fits}
    assert set(found) == set(PUBLISHED)
    for key, (slope, intercept) in PUBLISHED.items():
        assert found[key][1] == pytest.approx(intercept, abs=0.002), key
        assert found[key][0] == pytest.approx(slope, abs=0.003), key


@pytest.mark.oracle
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_scene_tool_scores_what_is_written(published):
    assert step(published, "ngc9999", list(LINEAR), overwrite=True, galaxy_table=None).do_step() is True
    done = subprocess.run([sys.executable, TOOL, published, "--score"], check=True, capture_output=True, text=True)
    rows = json.loads(done.stdout)
    assert all(row["zeros_kept"] and row["nans_kept"] for row in rows.values())
    assert not largest({name: row["error"] for name, row in rows.items()}, LINEAR)


@pytest.mark.oracle
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_survey_that_does_not_fit_into_a_small_field_is_refused(tool, tmp_path):
    tool.main([str(tmp_path), "--field", "45x40", "--miri-only", "--target", "ngc_1_a", "--seed", "5"])
    bands = ["F770W", "F1000W", "F1130W", "F2100W"]
    made = step(tmp_path, "ngc_1_a", bands)
    assert made.do_step() is True
    status = {record.reference: record.status for record in made.report.fits if record.kind == "external"}
    assert status["w3_atgauss15"] == "failed"
    truth = json.loads((tmp_path / "truth.json").read_text())["bands"]
    found = {image.band: image.offset - truth[image.band]["anchor_offset"] for image in made.report.images}
    assert np.abs(list(found.values())).max() < 0.02, found
