"""Frames against a reference image: what is fitted is the truth, whatever fails is told, whatever stops goes on."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import threading
import time

import astropy.units as u
import engines
import numpy as np
import psutil
import pytest
from astropy.io import fits

from ezarchive import Archive, Image, imagefits, pool
from ezarchive.compare.fluximage import FluxImage
from ezarchive.compare.lowpass import LowPass
from ezarchive.errors import CompareError, FrameError, InputError, LockedError, UnknownNameError
from ezarchive.files import Lock
from ezarchive.imagefitframe import Reference, Task
from ezarchive.simulate.pairs import IMAGE_UNIT, PairPlan, image_pair

postgresql_server, postgresql_url = engines.postgresql_server, engines.postgresql_url
sqlite_url, url = engines.sqlite_url, engines.url

PLAN = PairPlan(shape=(150, 170), seed=4, n_stars=8, n_discs=25)
NIGHTS = {
    "2025-09-01": {"fwhm": 0.7, "dx": 0.13, "dy": -0.21, "scale": 0.95, "bg": 3.0},
    "2025-09-02": {"fwhm": 0.9, "dx": -0.4, "dy": 0.1, "scale": 1.2, "bg": -1.0},
    "2025-09-04": {"fwhm": 1.1, "dx": 0.0, "dy": 0.7, "scale": 0.5, "bg": 20.0},
}
UNIT = u.Unit("1e-20 erg s-1 cm-2 Angstrom-1")
FIT = {"fix_beta": 2.5, "reference_fwhm": 0.085, "reference_beta": 1.6, "progress": False, "workers": 1}


def write(path, pixels, wcs, night="2025-09-01", **cards):
    """Write a frame of an archive."""
    header = wcs.to_header() if wcs is not None else fits.Header()
    header.update(
        {"OBJECT": "udf", "TELESCOP": "VLT", "FILTER": "F606W", "DATE-OBS": f"{night}T23:30:00", "EXPTIME": 100.0, "BUNIT": IMAGE_UNIT}
    )
    header.update(cards)
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.PrimaryHDU(pixels.astype(np.float32), header).writeto(path, overwrite=True)
    return path


def lowpassed():
    """The header of a reference that `image_pair` has made."""
    header = fits.Header()
    header.update(LowPass(PLAN.pixel, PLAN.pixel).cards())
    return header


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    """A folder of a reference image and three nights' frames of one sky."""
    folder = tmp_path_factory.mktemp("image-fits")
    for night, changes in NIGHTS.items():
        pair = image_pair(PLAN, **changes)
        write(folder / "sci" / f"{night}.fits", pair.image, pair.wcs, night)
    noise = np.full(PLAN.shape, PLAN.reference_noise**2)
    FluxImage(pair.reference, noise, wcs=pair.wcs, unit=UNIT, header=lowpassed()).write(folder / "reference.fits")
    return folder, pair


@pytest.fixture
def folder(sky, tmp_path):
    """A copy of that folder."""
    return shutil.copytree(sky[0], tmp_path / "data")


@pytest.fixture
def archive(folder, tmp_path):
    """An archive of the three frames."""
    with Archive.create(tmp_path / "home", roots={"sci": {"path": folder / "sci", "layout": ""}}) as made:
        made.index(progress=False)
        yield made


def table(archive, **options):
    return archive.image_fits(**options)


def failures(archive):
    rows = archive.quarantine().to_arrow().to_pylist()
    return {(row["frame_id"], row["stage"], row["code"]) for row in rows}


def test_seeing_and_pointing_of_every_night_from_sql(folder, tmp_path, url):
    with Archive.create(tmp_path / "home", roots={"sci": {"path": folder / "sci", "layout": ""}}, database=url) as archive:
        archive.index(progress=False)
        report = archive.fit_photometry(reference=folder / "reference.fits", **FIT)
        assert report.ok, report
        assert (report.fitted, report.skipped, report.elsewhere) == (3, 0, 0)
        assert "3 frames fitted by" in str(report)
        sql = (
            "SELECT night, avg(fwhm) AS seeing, avg(dx) AS dx, avg(dy) AS dy, avg(scale), avg(bg) FROM image_fits GROUP BY night ORDER BY 1"
        )
        rows = {row[0]: row[1:] for row in archive.sql(sql)}
        joined = archive.sql(
            "SELECT count(*) FROM image_fits i JOIN frames f USING (frame_id) WHERE f.night = i.night AND i.filter = 'F606W'"
        )
        assert next(iter(joined))[0] == 3
        found = archive.image_fits()
    assert sorted(rows) == sorted(NIGHTS)
    for night, truth in NIGHTS.items():
        seeing, dx, dy, scale, bg = rows[night]
        assert seeing == pytest.approx(truth["fwhm"], abs=0.004)
        assert (dx, dy) == pytest.approx((truth["dx"], truth["dy"]), abs=0.003)
        assert scale == pytest.approx(truth["scale"], rel=0.004)
        assert bg == pytest.approx(truth["bg"], abs=0.15)
    assert (found["fwhm_err"].value < 0.003).all()
    assert (found["fwhm_err"].value > 0.0001).all()
    assert str(found["fwhm"].unit) == "arcsec"
    assert list(found["night"]) == sorted(NIGHTS)
    np.testing.assert_allclose(found["chi2"], 1.0, atol=0.1)
    assert set(found["fixed"]) == {"beta"}


def test_the_shift_on_the_sky_is_what_the_wcs_says_too_much(archive, folder, sky):
    archive.fit_photometry(reference=folder / "reference.fits", **FIT)
    wcs, (ny, nx) = sky[1].wcs, PLAN.shape
    for row in archive.image_fits():
        truth = NIGHTS[row["night"]]
        moved = wcs.all_pix2world([[nx / 2, ny / 2], [nx / 2 + truth["dx"] / 0.2, ny / 2 + truth["dy"] / 0.2]], 0)
        expected = (moved[1] - moved[0]) * 3600
        assert (row["dra"].value, row["ddec"].value) == pytest.approx(tuple(expected), abs=0.004)


def test_a_second_call_does_nothing_and_a_new_frame_is_added(archive, folder, sky):
    first = archive.fit_photometry(reference=folder / "reference.fits", **FIT)
    again = archive.fit_photometry(reference=folder / "reference.fits", **FIT)
    assert (again.run_id, again.fitted, again.skipped) == (None, 0, 3)
    write(folder / "sci" / "new.fits", sky[1].image, sky[1].wcs, "2025-09-09")
    archive.index(progress=False)
    third = archive.fit_photometry(reference=folder / "reference.fits", **FIT)
    assert (third.fitted, third.skipped) == (1, 3)
    assert third.run_id != first.run_id
    assert archive.fit_photometry([1], folder / "reference.fits", again=True, **FIT).fitted == 1
    assert len(table(archive)) == 4
    # Other settings are another recipe; of one reference the newest counts.
    assert archive.fit_photometry([2], folder / "reference.fits", **FIT | {"fix_beta": 2.6}).fitted == 1
    assert len(table(archive)) == 4


@pytest.mark.parametrize("after", [1, 2])
def test_what_was_stopped_goes_on_in_the_same_run(archive, folder, monkeypatch, after):
    done, plain = [], pool._attempt

    def stopping(function, task):
        if len(done) == after:
            raise KeyboardInterrupt
        done.append(task)
        return plain(function, task)

    monkeypatch.setattr(pool, "_attempt", stopping)
    with pytest.raises(KeyboardInterrupt):
        archive.fit_photometry(reference=folder / "reference.fits", **FIT)
    monkeypatch.undo()
    assert len(table(archive)) == after
    run_id = next(iter(archive.sql("SELECT max(run_id) FROM image_fits")))[0]
    report = archive.fit_photometry(reference=folder / "reference.fits", **FIT)
    assert (report.run_id, report.fitted, report.skipped) == (run_id, 3 - after, after)
    assert set(table(archive)["run_id"]) == {run_id}


def test_what_fails_is_recorded_and_tried_again(archive, folder, sky):
    pair = sky[1]
    write(folder / "sci" / "blank.fits", np.full(PLAN.shape, np.nan), pair.wcs, "2025-09-05")
    write(folder / "sci" / "nowhere.fits", pair.image, None, "2025-09-06")
    write(folder / "sci" / "units.fits", pair.image, pair.wcs, "2025-09-07", BUNIT="adu")
    archive.index(progress=False)
    report = archive.fit_photometry(reference=folder / "reference.fits", **FIT)
    assert not report.ok
    assert report.fitted == 3
    codes = {path.rsplit("/", 1)[-1]: code for path, code, _ in report.failed}
    assert codes == {"blank.fits": "all_masked", "nowhere.fits": "no_wcs", "units.fits": "other_units"}
    rows = (
        archive.sql("SELECT frame_id, status, code, message, fwhm FROM image_fits WHERE status = 'failed' ORDER BY code")
        .to_arrow()
        .to_pylist()
    )
    assert [row["code"] for row in rows] == ["all_masked", "no_wcs", "other_units"]
    assert all(row["fwhm"] is None and row["message"] for row in rows)
    assert {row["frame_id"]: row["code"] for row in rows} == {number: code for number, _, code in failures(archive)}
    again = archive.fit_photometry(reference=folder / "reference.fits", **FIT)
    assert (again.fitted, again.skipped, len(again.failed)) == (0, 3, 3)
    # In any unit the third one can be fitted: its failure is resolved.
    report = archive.fit_photometry([rows[2]["frame_id"]], folder / "reference.fits", any_unit=True, **FIT)
    assert report.ok
    assert {code for _, _, code in failures(archive)} == {"all_masked", "no_wcs"}
    (row,) = archive.sql("SELECT status, unit, scale FROM image_fits WHERE frame_id = ?", [rows[2]["frame_id"]]).to_arrow().to_pylist()
    assert (row["status"], row["unit"]) == ("ok", "adu")
    assert row["scale"] == pytest.approx(0.5, rel=0.01)


def test_frames_elsewhere_are_left_out_unless_they_are_asked_for(archive, folder):
    far = image_pair(PLAN, centre=(150.0, 2.0), n_discs=1, n_stars=1)
    write(folder / "sci" / "far.fits", far.image, far.wcs, "2025-10-01")
    archive.index(progress=False)
    report = archive.fit_photometry(reference=folder / "reference.fits", **FIT)
    assert (report.fitted, report.elsewhere, report.failed) == (3, 1, ())
    assert "1 elsewhere on the sky" in str(report)
    report = archive.fit_photometry([4], folder / "reference.fits", **FIT)
    assert [code for _, code, _ in report.failed] == ["no_overlap"]


def test_a_frame_of_the_archive_as_reference_with_the_psf_of_its_stars(archive):
    sharpest = next(iter(archive.sql("SELECT frame_id FROM frames WHERE night = '2025-09-01'")))[0]
    report = archive.fit_photometry(reference=sharpest, fix_beta=2.5, progress=False)
    assert report.ok, report
    assert report.fitted == 2
    first = NIGHTS["2025-09-01"]
    for row in archive.image_fits():
        truth = NIGHTS[row["night"]]
        assert row["reference_id"] == sharpest
        assert row["reference"] == f"frame {sharpest}"
        assert row["fwhm"].value == pytest.approx(truth["fwhm"], rel=0.02)
        assert row["scale"] == pytest.approx(truth["scale"] / first["scale"], rel=0.02)
        assert (row["dx"].value, row["dy"].value) == pytest.approx((truth["dx"] - first["dx"], truth["dy"] - first["dy"]), abs=0.01)


def test_a_reference_on_other_pixels_is_put_on_those_of_the_frame(archive, sky, tmp_path):
    pair = sky[1]
    turned = image_pair(PLAN, sources=pair.sources, rotation=55.0, shape=(190, 200), reference_fwhm=0.6, reference_beta=2.5)
    reference = FluxImage(turned.reference, np.full((190, 200), 0.09), wcs=turned.wcs, unit=UNIT, header=lowpassed())
    path = reference.write(tmp_path / "turned.fits")
    for given in (path, str(path), Image(path, 1), reference):
        report = archive.fit_photometry([1], given, **FIT | {"reference_fwhm": 0.6, "reference_beta": 2.5})
        assert report.ok, report
        row = archive.image_fits(run=report.run_id)[0]
        truth = NIGHTS[row["night"]]
        assert row["fwhm"].value == pytest.approx(truth["fwhm"], abs=0.02)
        assert (row["dx"].value, row["dy"].value) == pytest.approx((truth["dx"], truth["dy"]), abs=0.01)
        assert row["scale"] == pytest.approx(truth["scale"], rel=0.01)


def test_the_reference_is_not_fitted_by_itself_when_it_is_given_by_its_path(archive, folder):
    report = archive.fit_photometry(None, folder / "sci" / "2025-09-01.fits", **FIT | {"reference_fwhm": 0.7, "reference_beta": 2.5})
    assert len(report.frame_ids) + len(report.failed) == 2


def test_of_a_large_frame_the_middle_of_what_the_reference_covers_is_fitted(archive, folder):
    report = archive.fit_photometry([1], folder / "reference.fits", largest=100, **FIT)
    row = archive.image_fits(run=report.run_id)[0]
    assert row["n_pixels"] < 100 * 100
    assert row["fwhm"].value == pytest.approx(0.7, abs=0.02)


def test_regions_are_left_out_and_saturated_pixels_too(archive, folder, sky, tmp_path):
    pair = sky[1]
    ra, dec = pair.star
    spoilt = image_pair(PLAN, **NIGHTS["2025-09-01"]).image
    x, y = (round(value) for value in pair.star_xy)
    spoilt[y - 3 : y + 4, x - 3 : x + 4] += 5000
    write(folder / "sci" / "spoilt.fits", spoilt, pair.wcs, "2025-09-08")
    archive.index(progress=False)
    (tmp_path / "star.reg").write_text(f'icrs; -circle({ra}, {dec}, 3")\n')
    report = archive.fit_photometry([4], folder / "reference.fits", regions=tmp_path / "star.reg", **FIT)
    row = archive.image_fits(run=report.run_id)[0]
    assert row["fwhm"].value == pytest.approx(0.7, abs=0.03)
    assert row["scale"] == pytest.approx(0.95, rel=0.02)
    write(folder / "sci" / "full.fits", np.where(spoilt > 2000, 1e5, spoilt), pair.wcs, "2025-09-09", SATURATE=2000.0)
    archive.index(progress=False)
    report = archive.fit_photometry([5], folder / "reference.fits", **FIT)
    assert archive.image_fits(run=report.run_id)[0]["scale"] == pytest.approx(0.95, rel=0.03)


def test_stars_and_both(archive, folder, sky):
    star = (*sky[1].star, 3.0)
    report = archive.fit_photometry(reference=folder / "reference.fits", method="both", star=star, **FIT)
    assert report.ok, report
    rows = archive.image_fits()
    assert sorted(rows["method"]) == ["image"] * 3 + ["stars"] * 3
    for row in rows[rows["method"] == "stars"]:
        truth = NIGHTS[row["night"]]
        assert row["fwhm"].value == pytest.approx(truth["fwhm"], abs=0.01)
        assert row["scale"] == pytest.approx(truth["scale"], rel=0.01)
        assert (row["dx"].value, row["dy"].value) == pytest.approx((truth["dx"], truth["dy"]), abs=0.005)
    report = archive.fit_photometry([1], folder / "reference.fits", method="stars", star=(10.0, 10.0, 3.0), **FIT)
    assert [code for _, code, _ in report.failed] == ["InputError"]
    assert "must be on frame" in report.failed[0][2]


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_many_processes_give_the_same(archive, folder):
    one = archive.fit_photometry(reference=folder / "reference.fits", **FIT)
    two = archive.fit_photometry(reference=folder / "reference.fits", again=True, **FIT | {"workers": 2})
    first, second = (archive.image_fits(run=report.run_id) for report in (one, two))
    for name in ("fwhm", "dx", "dy", "scale", "bg", "fwhm_err", "rms"):
        np.testing.assert_allclose(np.asarray(first[name]), np.asarray(second[name]), rtol=1e-9)


class Deadly(Reference):
    """A reference that ends the process that it comes to."""

    def __reduce__(self):
        return os._exit, (9,)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_frame_that_kills_its_process_is_recorded_and_the_others_are_fitted(archive, folder, monkeypatch):
    def task(*, frame, reference, **others):
        deadly = frame.path.endswith("2025-09-02.fits")
        return Task(frame=frame, reference=Deadly(**vars(reference)) if deadly else reference, **others)

    monkeypatch.setattr(imagefits, "Task", task)
    report = archive.fit_photometry(reference=folder / "reference.fits", **FIT | {"workers": 2})
    assert report.fitted == 2
    ((path, code, message),) = report.failed
    assert path.endswith("2025-09-02.fits")
    assert code == "worker_died"
    assert "the process that worked on it died (out of memory, or a crash in compiled code)" in message
    (row,) = archive.sql("SELECT code, fwhm FROM image_fits WHERE status = 'failed'").to_arrow().to_pylist()
    assert row == {"code": "worker_died", "fwhm": None}
    assert {code for _, _, code in failures(archive)} == {"worker_died"}
    monkeypatch.undo()
    again = archive.fit_photometry(reference=folder / "reference.fits", **FIT)
    assert (again.fitted, again.skipped, again.failed) == (1, 2, ())
    assert not failures(archive)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_process_that_is_killed_costs_no_frame(archive, folder):
    killed = []

    def kill():
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not killed:
            for child in psutil.Process().children():
                if "spawn" in " ".join(child.cmdline()) and child.cpu_times().user > 0.5:
                    os.kill(child.pid, signal.SIGKILL)
                    killed.append(child.pid)
                    return
            time.sleep(0.01)

    killer = threading.Thread(target=kill)
    killer.start()
    report = archive.fit_photometry(reference=folder / "reference.fits", **FIT | {"workers": 2})
    killer.join()
    assert killed
    assert report.ok
    assert report.fitted == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "galaxies"}, "method='galaxies': must be one of image, stars, both"),
        ({"method": "stars"}, "star=None: must be given with method 'stars' or 'both'"),
        ({"star": (1, 2, 3)}, "must be given with method 'stars' or 'both', and not with 'image'"),
        ({"method": "stars", "star": (1, 2, 0)}, "radius must be a positive number"),
        ({"largest": 10}, "largest=10: must be a number of pixels, 64 or more"),
        ({"fix_beta": 0.9}, "fix_beta"),
        ({"fix_scale": -1.0}, "fix_scale -1.0: must be positive"),
        ({"reference_fwhm": 0.0}, "reference_fwhm 0.0: must be a positive number of arcsec"),
        ({"reference_fwhm": None}, "reference_beta: must be given with reference_fwhm"),
        ({"reference_beta": 1.0}, "reference_beta 1.0: must be larger than 1"),
        ({"regions": ["image; circle(3,3,3)"]}, "regions: must be on the sky"),
        ({"regions": ["fk5; hexagon(3,3,3)"]}, "no such shape"),
        ({"reference": None}, "reference: must be a path"),
        ({"reference": [1, 2]}, "reference: must be one frame, found 2"),
        ({"reference": 999}, "reference: frame_id 999 is not in this archive"),
        ({"reference": 77}, "frame_id 77 is not in this archive"),
        ({"frames": [77]}, "frame_id 77 is not in this archive"),
        ({"workers": 0}, "workers"),
        ({"reference": FluxImage(np.ones((50, 50)))}, "must have a celestial WCS"),
    ],
)
def test_wrong_arguments_are_told_before_anything_is_stored(archive, folder, changes, message):
    arguments = FIT | {"reference": folder / "reference.fits"} | changes
    with pytest.raises(InputError, match=message):
        archive.fit_photometry(arguments.pop("frames", None), arguments.pop("reference"), **arguments)
    assert len(archive.runs()) == 0


def test_other_mistakes(archive, folder, tmp_path, sky):
    with pytest.raises(UnknownNameError, match="did you mean 'fix_beta'"):
        archive.fit_photometry(reference=folder / "reference.fits", fix_bet=2.5)
    with pytest.raises(FrameError, match="is not there"):
        archive.fit_photometry(reference=tmp_path / "none.fits", **FIT)
    empty = FluxImage(np.full(PLAN.shape, np.nan), wcs=sky[1].wcs)
    with pytest.raises(CompareError, match="must have pixels that are not masked"):
        archive.fit_photometry(reference=empty, **FIT)
    noise = FluxImage(np.random.default_rng(1).normal(size=PLAN.shape), wcs=sky[1].wcs)
    with pytest.raises(CompareError, match="reference_fwhm must be given"):
        archive.fit_photometry(reference=noise)
    with pytest.raises(UnknownNameError, match="run '5'"):
        archive.image_fits(run=5)
    with Lock(archive.home / imagefits.LOCK_NAME, what="test"), pytest.raises(LockedError, match="test"):
        archive.fit_photometry(reference=folder / "reference.fits", **FIT)


def test_withdrawn_fits_count_no_more_and_files_stay_as_they_are(archive, folder):
    before = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.fits")}
    report = archive.fit_photometry(reference=folder / "reference.fits", **FIT)
    done = archive.withdraw(report.run_id)
    assert done.n_image_fits == 3
    assert len(archive.sql("SELECT * FROM image_fits")) == 0
    assert len(archive.image_fits(run=report.run_id)) == 3
    archive.withdraw(report.run_id, restore=True)
    assert len(archive.sql("SELECT * FROM image_fits")) == 3
    assert before == {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.fits")}


@pytest.mark.oracle
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_real_frames_of_one_camera(real_data, tmp_path):
    """The widths are those of the stars, and in proportion to what the frames' headers say (by another definition of FWHM)."""
    with Archive.create(tmp_path / "home", roots={"real": {"path": real_data / "decam", "layout": ""}}) as archive:
        archive.index(progress=False)
        sharpest = next(iter(archive.sql("SELECT frame_id FROM frames WHERE path LIKE '%04e%'")))[0]
        assert archive.fit_photometry(reference=sharpest, progress=False).ok
        rows = archive.sql("SELECT fwhm, f.seeing, dx, dy, scale FROM image_fits JOIN frames f USING (frame_id)").to_arrow().to_pydict()
    fwhm, seeing = np.array(rows["fwhm"]), np.array(rows["seeing"])
    assert len(fwhm) == 4
    np.testing.assert_allclose(fwhm / seeing, 0.915, atol=0.03)
    assert np.hypot(rows["dx"], rows["dy"]).max() < 0.05
    np.testing.assert_allclose(rows["scale"], 0.97, atol=0.04)
