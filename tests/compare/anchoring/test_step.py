"""The step that anchors bands: what it does when files are missing, many, changed or wrong."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from anchorscenes import MIRI, NIRCAM, anchored, applied, arguments, shift, small_scene, step_of
from astropy.io import fits
from astropy.table import Table

from ezarchive.compare import AnchoringStep
from ezarchive.compare.anchoring.table import COLUMNS
from ezarchive.errors import FrameError, InputError
from ezarchive.simulate.nebulae import BANDS, NebulaBand


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return small_scene(tmp_path_factory.mktemp("miri"))


@pytest.fixture
def scene(original, tmp_path):
    """The scene in a folder of the test's own."""
    return moved(original, tmp_path / "scene")


def moved(scene, folder):
    shutil.copytree(scene.folder, folder)
    inside = {name: folder / path.relative_to(scene.folder) for name, path in scene.files.items()}
    places = {name: folder / getattr(scene, name).relative_to(scene.folder) for name in ("data", "references", "kernels", "galaxy_table")}
    return type(scene)(folder, **places, files=inside, offsets=scene.offsets, plan=scene.plan)


def digests(folder):
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


def products(scene):
    """Digests of what the step writes, the marker apart (it holds times of files)."""
    return {name: digest for name, digest in digests(scene.data).items() if "align.fits" not in name and "complete" not in name}


def band(report, name):
    return next(found for found in report.bands if found.band == name)


@pytest.mark.truth
def test_levels_are_found_and_the_inputs_stay(scene):
    before = digests(scene.folder)
    step = step_of(scene)
    assert step.do_step() is True
    assert step.report.ok
    for name, path in scene.files.items():
        assert applied(path, anchored(scene, name)) == pytest.approx(scene.offsets[name], abs=0.02)
        assert band(step.report, name).status == "ok"
        (image,) = band(step.report, name).images
        assert 0 < image.offset_err < 0.02
    after = digests(scene.folder)
    assert {name: after[name] for name in before} == before


def test_a_second_run_does_nothing(scene):
    assert step_of(scene).do_step()
    before = {path: path.stat().st_mtime_ns for path in scene.data.rglob("*")}
    step = step_of(scene)
    assert step.do_step() is True
    assert step.report.done_before
    assert "anchored before" in str(step.report)
    assert {path: path.stat().st_mtime_ns for path in scene.data.rglob("*")} == before


def test_an_empty_marker_of_another_system_counts(scene):
    (scene.data / "anchoring_step_complete.txt").touch()
    assert step_of(scene).do_step() is True
    assert not anchored(scene, "F770W").exists()
    assert step_of(scene, overwrite=True).do_step() is True
    assert anchored(scene, "F770W").exists()


@pytest.mark.parametrize("overwrite", [True, False])
def test_an_input_that_has_changed_gets_a_new_offset(scene, overwrite):
    assert step_of(scene).do_step()
    first = applied(scene.files["F1000W"], anchored(scene, "F1000W"))
    shift(scene.files["F1000W"], 1.0)
    assert step_of(scene, overwrite=overwrite).do_step() is True
    assert applied(scene.files["F1000W"], anchored(scene, "F1000W")) == pytest.approx(first - 1.0, abs=2e-3)


def test_a_reference_that_has_changed_is_noticed_too(scene):
    assert step_of(scene).do_step()
    path = scene.references / "ngc9999_irac4_atgauss4.fits"
    with fits.open(path, mode="update") as units:
        units[0].data += np.float32(0.5)
    step = step_of(scene)
    assert step.do_step()
    assert not step.report.done_before
    assert applied(scene.files["F770W"], anchored(scene, "F770W")) == pytest.approx(scene.offsets["F770W"] + 0.5 / 1.05, abs=0.03)


@pytest.mark.parametrize("references", ["F770W", ["F770W"], {"miri": "F770W"}, {"miri": ["F770W"], "nircam": "F300M"}])
def test_one_instrument_only(scene, references):
    assert step_of(scene, ref_band=references, external_bands=["irac4_atgauss4"]).do_step() is True


def test_bands_of_another_instrument_that_are_not_there_are_told_of(scene):
    step = step_of(scene, bands=[*scene.files, "F300M"])
    assert step.do_step() is True
    assert band(step.report, "F300M").status == "absent"
    assert "F300M" in str(step.report)


def test_a_folder_that_has_lost_its_images_is_a_failure(scene):
    scene.files["F1000W"].unlink()
    step = step_of(scene)
    assert step.do_step() is False
    assert "no image *_i2d_align.fits" in band(step.report, "F1000W").message
    assert not (scene.data / "anchoring_step_complete.txt").exists()
    assert band(step.report, "F770W").status == "ok"


def test_nothing_at_all_is_a_failure(scene):
    assert step_of(scene, bands=["F560W"]).do_step() is False


def test_no_reference_file_is_a_failure_that_names_it(scene):
    (scene.references / "ngc9999_irac4_atgauss4.fits").unlink()
    step = step_of(scene)
    assert step.do_step() is False
    assert "ngc9999_irac4_atgauss4.fits: is not there" in band(step.report, "F770W").message
    assert "F770W" in band(step.report, "F1000W").message
    assert not any(anchored(scene, name).exists() for name in scene.files)
    assert not (scene.data / "anchoring_step_complete.txt").exists()
    (row,) = Table.read(scene.data / "ngc9999_anchor_tab.fits")
    assert (row["status"], bool(row["used"])) == ("failed", False)
    assert np.ma.is_masked(row["slope"]) or np.isnan(row["slope"])


def test_a_missing_kernel_fails_its_band_alone_and_is_named(scene):
    (scene.kernels / "f1000w_to_f2100w.fits").unlink()
    step = step_of(scene)
    assert step.do_step() is False
    assert "f1000w_to_f2100w.fits" in band(step.report, "F1000W").message
    assert band(step.report, "F2100W").status == "ok"
    assert not anchored(scene, "F1000W").exists()


def test_a_missing_kernel_of_the_reference_band_fails_the_others(scene):
    (scene.kernels / "f770w_to_f2100w.fits").unlink()
    step = step_of(scene)
    assert step.do_step() is False
    assert band(step.report, "F770W").status == "ok"
    for name in ("F1000W", "F2100W"):
        assert "f770w_to_f2100w.fits" in band(step.report, name).message


@pytest.mark.truth
def test_missing_kernels_are_made_from_gaussian_beams(scene):
    assert step_of(scene).do_step()
    expected = {name: applied(path, anchored(scene, name)) for name, path in scene.files.items()}
    for path in scene.kernels.iterdir():
        path.unlink()
    step = step_of(scene, psf_fwhm={name: BANDS[name].fwhm for name in MIRI})
    assert step.do_step() is True
    for name, path in scene.files.items():
        assert applied(path, anchored(scene, name)) == pytest.approx(expected[name], abs=2e-3)


@pytest.mark.parametrize("kind", ["even", "off-centre", "zero", "negative"])
def test_a_kernel_that_is_none_fails_its_band(scene, kind):
    path = scene.kernels / "f1000w_to_f2100w.fits"
    with fits.open(path, mode="update") as units:
        kernel = units[0].data
        made = {"even": kernel[:-1, :-1], "off-centre": np.roll(kernel, 3, 1), "zero": kernel * 0, "negative": -kernel}[kind]
        units[0].data = made
    step = step_of(scene)
    assert step.do_step() is False
    assert str(path) in band(step.report, "F1000W").message
    assert band(step.report, "F2100W").status == "ok"


def test_an_earlier_anchored_image_does_not_outlive_a_failure(scene):
    assert step_of(scene).do_step()
    (scene.kernels / "f1000w_to_f2100w.fits").unlink()
    assert step_of(scene).do_step() is False
    assert not anchored(scene, "F1000W").exists()
    assert anchored(scene, "F2100W").exists()


def second_tile(scene, name, extra):
    """Write an image of a band again under another name, its level off by some more."""
    path = scene.files[name].with_name(scene.files[name].name.replace("ngc9999_", "ngc9999-2_"))
    shutil.copy(scene.files[name], path)
    shift(path, extra)
    return path


@pytest.mark.truth
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_several_images_of_a_band_are_all_anchored(scene):
    tiles = {name: second_tile(scene, name, 0.5) for name in ("F770W", "F1000W")}
    step = step_of(scene, plots=True)
    assert step.do_step() is True
    for name, path in tiles.items():
        first = applied(scene.files[name], anchored(scene, name))
        output = path.with_name(path.name.replace("i2d_align", "i2d_anchor"))
        assert applied(path, output) == pytest.approx(first - 0.5, abs=0.01)
        assert len(band(step.report, name).images) == 2
    drawn = [path.name for path in (scene.data / "F770W" / "anchoring").glob("*.png")]
    assert sorted(drawn) == [
        "ngc9999-2_miri_lv3_f770w_vs_irac4_atgauss4_anchoring.png",
        "ngc9999_miri_lv3_f770w_vs_irac4_atgauss4_anchoring.png",
    ]


def test_a_reference_without_data_in_common_makes_way_for_the_next(tmp_path):
    scene = small_scene(tmp_path / "scene", bands=("F770W", "F2100W"), surveys=("irac4_atgauss4",))
    away = scene.references / "ngc9999_away_atgauss4.fits"
    shutil.copy(scene.references / "ngc9999_irac4_atgauss4.fits", away)
    fits.setval(away, "CRVAL1", value=10.0)
    step = step_of(scene, external_bands={"miri": ["away_atgauss4", "irac4_atgauss4"]})
    assert step.do_step() is True
    assert band(step.report, "F770W").images[0].reference == "irac4_atgauss4"
    table = Table.read(scene.data / "ngc9999_anchor_tab.fits")
    assert dict(zip(table["ref_filter"], table["used"], strict=True))["ngc9999_away_atgauss4"] == np.False_
    step = step_of(scene, external_bands={"miri": ["away_atgauss4"]})
    assert step.do_step() is False
    assert band(step.report, "F770W").status == "failed"


@pytest.mark.truth
def test_bands_of_reference_are_tried_by_rank(scene):
    step = step_of(scene, ref_band={"miri": ["F560W", "F1000W", "F770W"]})
    assert step.do_step() is False or step.report.ok
    (image,) = band(step.report, "F770W").images
    assert image.reference == "irac4_atgauss4"  # F1000W has no kernel to the survey: the next in rank gives the level
    assert applied(scene.files["F1000W"], anchored(scene, "F1000W")) == pytest.approx(scene.offsets["F1000W"], abs=0.02)


def test_bands_of_an_instrument_that_nothing_is_said_of(scene):
    step = step_of(scene, ref_band={"niriss": "F150W"})
    assert step.do_step() is False
    assert "ref_band names no band for the instrument 'miri'" in band(step.report, "F770W").message
    step = step_of(scene, external_bands={"nircam": "irac1"})
    assert step.do_step() is False
    assert "external_bands names no survey for the instrument 'miri'" in band(step.report, "F770W").message


@pytest.mark.truth
def test_a_target_with_underscores_and_a_band_with_a_digit_at_its_end(tmp_path):
    bands = {"F150W2": NebulaBand("niriss", 0.11, 0.2, 0.05, 1.0, 0.3), "F2100W": BANDS["F2100W"]._replace(instrument="niriss")}
    from ezarchive.simulate.nebulae import SURVEYS, nebula_scene

    surveys = {"w3_like_atgauss4": SURVEYS["irac4_atgauss4"]._replace(instrument="niriss")}
    scene = nebula_scene(tmp_path / "s", bands=bands, surveys=surveys, target="ngc_5194_w3", width=60, height=50, seed=3)
    step = step_of(scene, ref_band="F150W2", external_bands="w3_like_atgauss4", psf_fwhm={"F150W2": 0.2}, plots=True)
    assert step.do_step() is True
    for name, path in scene.files.items():
        assert applied(path, anchored(scene, name)) == pytest.approx(scene.offsets[name], abs=0.02)
        assert band(step.report, name).images[0].instrument == "niriss"
    assert (scene.data / "F150W2" / "anchoring" / "ngc_5194_w3_f150w2_vs_w3_like_atgauss4_anchoring.png").exists()


def test_backgrounds_are_left_out(scene):
    extra = scene.files["F770W"].with_name("ngc9999_bgr_miri_lv3_f770w_i2d_align.fits")
    shutil.copy(scene.files["F770W"], extra)
    step = step_of(scene)
    assert step.do_step() is True
    assert len(band(step.report, "F770W").images) == 1


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_one_process_and_two_give_equal_bytes(original, tmp_path):
    made = []
    for procs in (1, 2):
        scene = moved(original, tmp_path / str(procs))
        assert step_of(scene, procs=procs).do_step() is True
        made.append(products(scene))
    assert made[0] == made[1]
    assert len(made[0]) == 3 + 3 + 1  # anchored, convolved (two of F770W, one of F1000W), table


def test_every_hdu_is_kept_byte_for_byte(scene):
    path = scene.files["F1000W"]
    tree = np.frombuffer(b"#ASDF 1.0.0\n" + bytes(range(256)) * 20, np.uint8)
    column = fits.Column("ASDF_METADATA", f"{tree.size}B", array=tree[np.newaxis])
    with fits.open(path, mode="append") as units:
        units.append(fits.BinTableHDU.from_columns([column], name="ASDF"))
    assert step_of(scene).do_step() is True
    with fits.open(path) as before, fits.open(anchored(scene, "F1000W"), checksum=True) as after:
        assert [unit.name for unit in after] == ["PRIMARY", "SCI", "ERR", "WHT", "ASDF"]
        assert after["SCI"].data.dtype == np.dtype(">f4")
        assert after["SCI"].header == before["SCI"].header
        assert raw(path, before, (2, 3, 4)) == raw(anchored(scene, "F1000W"), after, (2, 3, 4))
        header = after[0].header
        assert header["ANCHOFF"] == pytest.approx(-BANDS["F1000W"].offset, abs=0.02)
        assert 0 < header["ANCHERR"] < 0.02
        assert (header["ANCHREF"], header["ANCHRES"]) == ("F770W", "f2100w")
        assert header["ANCHSLP"] == pytest.approx(BANDS["F1000W"].slope, rel=0.05)
        assert str(header["ANCHVER"]).startswith("ezarchive")
        assert str(header["HISTORY"]).startswith("ANCHOR BKGRDVAL: 0.1")
        assert header["FILENAME"] == anchored(scene, "F1000W").name


def raw(path, units, numbers):
    whole = path.read_bytes()
    places = [units[k].fileinfo() for k in numbers]
    return [whole[place["hdrLoc"] : place["datLoc"] + place["datSpan"]] for place in places]


def test_the_table_has_the_published_columns_first(scene):
    step = step_of(scene)
    assert step.do_step()
    table = Table.read(scene.data / "ngc9999_anchor_tab.fits")
    assert table.colnames == list(COLUMNS)
    assert table.colnames[:6] == ["target", "ref_filter", "compar_filename", "compar_filter", "slope", "intercept"]
    assert list(table["compar_filter"]) == sorted(table["compar_filter"]) == ["f1000w", "f2100w", "f770w"]
    row = table[table["compar_filter"] == "f770w"][0]
    assert row["ref_filter"] == "ngc9999_irac4_atgauss4"
    assert row["offset"] == -row["intercept"]
    assert row["used"]
    for row in table:
        name = row["compar_filter"].upper()
        assert applied(scene.files[name], anchored(scene, name)) == pytest.approx(row["offset"], abs=1e-6)


def test_an_exact_line_does_not_crash(scene):
    """Noise-free copies of one image: the residuals of the fit are all 0."""
    with fits.open(scene.files["F770W"]) as units:
        data = units["SCI"].data
    for name in ("F1000W", "F2100W"):
        with fits.open(scene.files[name], mode="update") as units:
            units["SCI"].data = np.where(np.isfinite(data) & (data != 0), 2 * data + np.float32(0.25), data)
    (scene.kernels / "f1000w_to_f2100w.fits").unlink()
    shutil.copy(scene.kernels / "f770w_to_f2100w.fits", scene.kernels / "f1000w_to_f2100w.fits")
    for method, slack in (("robust", 1e-3), ("classic", 0.1)):  # middles of bins are not the medians in them
        step = step_of(scene, method=method, overwrite=True)
        step.do_step()
        (record,) = [record for record in step.report.fits if record.band == "F1000W"]
        assert record.fit.slope == pytest.approx(2, abs=slack)
        assert record.fit.intercept == pytest.approx(0.25, abs=slack)


def test_a_range_without_data_is_a_failure_not_a_crash(scene):
    for name in MIRI:
        shift(scene.files[name], 50.0)
    with fits.open(scene.references / "ngc9999_irac4_atgauss4.fits", mode="update") as units:
        units[0].data += np.float32(50)
    step = step_of(scene, method="classic")
    assert step.do_step() is False
    assert band(step.report, "F770W").status == "failed"
    assert "from 0.25 to 2, found 0" in band(step.report, "F770W").message


@pytest.mark.truth
def test_references_in_another_unit_are_brought_to_that_of_the_image(scene):
    path = scene.references / "ngc9999_irac4_atgauss4.fits"
    with fits.open(path, mode="update") as units:
        units[0].data /= np.float32(1000)
        units[0].header["BUNIT"] = "GJy/sr"
    step = step_of(scene)
    assert step.do_step() is True
    assert applied(scene.files["F770W"], anchored(scene, "F770W")) == pytest.approx(scene.offsets["F770W"], abs=0.02)
    fits.setval(path, "BUNIT", value="K")
    step = step_of(scene)
    assert step.do_step() is False
    assert "unit" in band(step.report, "F770W").message


@pytest.mark.truth
def test_masked_pixels_take_no_part_but_are_anchored(scene, tmp_path):
    """A bright ghost on an image that the mask covers; regions and images serve alike."""
    y, x = 250, 300
    with fits.open(scene.files["F1000W"], mode="update") as units:
        data = units["SCI"].data
        data[y - 60 : y + 60, x - 60 : x + 60] += np.float32(30)
        ghost = np.zeros(data.shape, np.uint8)
    ghost[y - 80 : y + 80, x - 80 : x + 80] = 1
    fits.PrimaryHDU(ghost).writeto(tmp_path / "ghost.fits")
    (tmp_path / "ghost.reg").write_text(f"image\n-box({x + 1},{y + 1},160,160,0)\n")
    found = []
    for mask in ("ghost.fits", "ghost.reg"):
        assert step_of(scene, masks={"F1000W": tmp_path / mask}).do_step() is True
        found.append(applied(scene.files["F1000W"], anchored(scene, "F1000W")))
        assert found[-1] == pytest.approx(scene.offsets["F1000W"], abs=0.02)
    assert found[0] == pytest.approx(found[1], abs=1e-3)
    fits.PrimaryHDU(ghost[:-1]).writeto(tmp_path / "other.fits")
    step = step_of(scene, masks={"F1000W": tmp_path / "other.fits"})
    assert step.do_step() is False
    assert "must have the shape" in band(step.report, "F1000W").message


@pytest.mark.truth
def test_a_galaxy_table_gives_the_range_on_the_axis_that_is_binned(scene):
    step = step_of(scene, galaxy_table=scene.galaxy_table)
    assert step.do_step() is True
    for name, path in scene.files.items():
        assert applied(path, anchored(scene, name)) == pytest.approx(scene.offsets[name], abs=0.03)
    plain = step_of(scene)
    assert plain.do_step()
    assert plain.report.fits[0].fit.value_range != step.report.fits[0].fit.value_range


def test_a_galaxy_table_without_the_target_stops_before_anything(scene):
    scene.galaxy_table.write_text(scene.galaxy_table.read_text().replace("ngc9999", "ngc1"))
    before = digests(scene.folder)
    with pytest.raises(InputError, match="ngc9999"):
        step_of(scene, galaxy_table=scene.galaxy_table).do_step()
    with pytest.raises(FrameError, match="not there"):
        step_of(scene, galaxy_table=scene.folder / "none.csv").do_step()
    assert digests(scene.folder) == before


def test_an_output_folder_that_cannot_be_written_stops_before_anything(scene):
    (scene.data / "F1000W" / "anchoring").write_text("a file")
    before = digests(scene.folder)
    with pytest.raises(InputError, match="anchoring: must be a folder that can be written to"):
        step_of(scene).do_step()
    assert digests(scene.folder) == before


def test_a_full_disk_leaves_no_half_written_image(scene, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ezarchive.compare.anchoring.step.write_anchored", full)
    with pytest.raises(OSError, match="No space left"):
        step_of(scene).do_step()
    assert not list(scene.data.rglob("*anchor.fits"))
    assert not (scene.data / "anchoring_step_complete.txt").exists()
    monkeypatch.undo()
    assert step_of(scene).do_step() is True


@pytest.mark.parametrize("damage", ["truncated", "no data", "no wcs"])
def test_a_damaged_image_fails_its_band_alone(scene, damage):
    path = scene.files["F1000W"]
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    else:
        with fits.open(path, mode="update") as units:
            if damage == "no data":
                units["SCI"].data[:] = np.nan
            else:
                del units["SCI"].header["CTYPE1"]
    step = step_of(scene)
    assert step.do_step() is False
    assert path.name in band(step.report, "F1000W").message
    assert band(step.report, "F2100W").status == "ok"


KILL = """
import sys, json
sys.path.insert(0, sys.argv[2])
from ezarchive.compare import AnchoringStep
AnchoringStep(**json.loads(sys.argv[1])).do_step()
"""


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_run_that_is_killed_is_finished_by_the_next(original, tmp_path):
    whole = moved(original, tmp_path / "whole")
    assert step_of(whole).do_step()
    scene = moved(original, tmp_path / "killed")
    values = json.dumps(arguments(scene), default=str)
    root = str(Path(__file__).resolve().parents[3])
    process = subprocess.Popen([sys.executable, "-c", KILL, values, root], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(scene.data.rglob("*_at*.fits")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (scene.data / "anchoring_step_complete.txt").exists()
    assert step_of(scene).do_step() is True
    left = {name: digest for name, digest in products(scene).items() if not name.endswith(".tmp")}
    assert left == products(whole)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_worker_that_dies_costs_nothing(scene):
    """One of two processes is killed at work: what it was at is done again."""
    import threading

    def kill():
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for child in psutil.Process().children():
                if "spawn" in " ".join(child.cmdline()) and child.cpu_times().user > 0.5:
                    os.kill(child.pid, signal.SIGKILL)
                    return
            time.sleep(0.01)

    killer = threading.Thread(target=kill)
    killer.start()
    step = step_of(scene, procs=2)
    assert step.do_step() is True
    killer.join()
    for name, path in scene.files.items():
        assert applied(path, anchored(scene, name)) == pytest.approx(scene.offsets[name], abs=0.02)


class Deadly(dict):
    """An argument that ends the process that it comes to."""

    def __reduce__(self):
        return os._exit, (9,)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_images_that_kill_their_processes_are_told_of(scene):
    step = step_of(scene, procs=2)
    step.job = replace(step.job, beams=Deadly(step.job.beams))
    assert step.do_step() is False
    assert {band.status for band in step.report.bands} == {"failed"}
    assert "the process that worked on it died (out of memory, or a crash in compiled code)" in str(step.report)
    assert not any(anchored(scene, name).exists() for name in scene.files)
    assert not (scene.data / "anchoring_step_complete.txt").exists()
    assert not [path for path in scene.data.rglob(".*") if path.name.endswith(".tmp")]


@pytest.mark.truth
def test_two_instruments_are_anchored_each_to_its_own(tmp_path):
    scene = small_scene(tmp_path / "s", bands=("F770W", "F2100W", *NIRCAM), surveys=("irac4_atgauss4", "irac1_atgauss4"))
    step = step_of(scene)
    assert step.do_step() is True
    for name, path in scene.files.items():
        assert applied(path, anchored(scene, name)) == pytest.approx(scene.offsets[name], abs=0.02)
    assert band(step.report, "F335M").images[0].reference == "F300M"


def test_one_image_against_what_one_likes(scene):
    step = step_of(scene)
    found = step.parallel_anchoring(scene.files["F770W"])
    assert [record.reference for record in found] == ["irac4_atgauss4"]
    (record,) = step.parallel_anchoring(scene.files["F1000W"], external=False, internal_reference=scene.files["F770W"])
    assert record.kind == "internal"
    assert record.fit.slope == pytest.approx(BANDS["F1000W"].slope, rel=0.05)
    assert not list(scene.data.rglob("*anchor.fits"))


def test_some_images_only(scene):
    step = step_of(scene)
    assert step.run_step([scene.files["F770W"]]) is False  # the other bands were asked for
    assert anchored(scene, "F770W").exists()
    step = step_of(scene, bands=["F770W", "F1000W"])
    assert step.run_step({"miri": [scene.files["F770W"], scene.files["F1000W"]]}) is True
    with pytest.raises(InputError, match="must lie in the folder of a band"):
        step.run_step([scene.references / "ngc9999_irac4_atgauss4.fits"])


def test_the_plan_tells_what_is_missing(scene):
    (scene.kernels / "f1000w_to_f2100w.fits").unlink()
    before = digests(scene.folder)
    plan = step_of(scene, external_bands=["irac4_atgauss4", "w3_atgauss15"]).plan()
    problems = [row["problem"] for row in plan if row["problem"]]
    assert len(plan) == 4
    assert "ngc9999_w3_atgauss15.fits is not there" in problems[0]
    assert "f1000w_to_f2100w.fits" in problems[1]
    assert digests(scene.folder) == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kernel_dir": None}, "kernel_dir: must be given"),
        ({"kernel_dir": "/nowhere/at/all"}, "kernel_dir '/nowhere/at/all': must be a folder"),
        ({"out_subdir": None}, "out_subdir: must be given"),
        ({"external_bands": None}, "external_bands: must be given"),
        ({"external_bands": {}}, "external_bands: must name at least one"),
        ({"internal_conv_band": None}, "internal_conv_band: must be given"),
        ({"ref_band": None}, "ref_band: must be given"),
        ({"ref_band": 5}, "ref_band: must be a name or a list of names"),
        ({"reproject_func": "nearest"}, "reproject_func 'nearest': must be one of interp, adaptive, exact"),
        ({"method": "best"}, "method 'best': must be one of robust, classic"),
        ({"procs": 0}, "workers=0: must be at least 1"),
        ({"bands": []}, "bands: must be a name or a list of names"),
        ({"percentile_range": (60, 15)}, "percentile_range .*the lower one first"),
        ({"percentile_range": 5}, "percentile_range 5: must be two numbers"),
        ({"psf_fwhm": {"F770W": -1}}, "psf_fwhm of F770W.*must be a positive number"),
        ({"masks": "/nowhere.reg"}, "masks of .*/nowhere.reg is not there"),
        ({"reff_factor": 0}, "reff_factor 0: must be a positive number"),
        ({"unit": "furlong?"}, "unit 'furlong.': must be a unit"),
        ({"out_step_ext": "new_i2d_align"}, "out_step_ext 'new_i2d_align': must not end like in_step_ext"),
        ({"target": "a/b"}, "target 'a/b': must be a part of a file name"),
    ],
)
def test_arguments_that_are_wrong(original, changes, message):
    with pytest.raises(InputError, match=message):
        step_of(original, **changes)


def test_a_folder_that_is_not_there(scene):
    with pytest.raises(InputError, match="in_dir .*must be a folder that exists"):
        step_of(scene, in_dir=scene.folder / "none").do_step()


def test_arguments_are_not_changed(original):
    given = arguments(original, external_bands={"miri": "irac4_atgauss4"}, psf_fwhm={"F770W": 0.269})
    copy = {name: value.copy() if isinstance(value, dict) else value for name, value in given.items()}
    AnchoringStep(**given)
    assert given == copy
