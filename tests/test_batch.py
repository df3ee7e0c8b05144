"""Batches: what is measured, what is skipped, what fails and is reported."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from astropy.io import fits

from ezarchive import Archive, DataBrowser, MeasureOptions, read_catalog
from ezarchive.batch import LOCK_NAME
from ezarchive.catalogs.parquet import read_provenance
from ezarchive.errors import CatalogError, InputError, LockedError, MeasurementError, UnknownNameError
from ezarchive.files import Lock
from ezarchive.images import background

OPTIONS = {"workers": 1, "progress": False, "detection_sigma": 5}


@pytest.fixture
def archive(small_archive, tmp_path):
    with Archive.open(small_archive(tmp_path / "home")) as opened:
        yield opened


def test_measure_writes_a_catalog_a_frame_linked_both_ways(archive):
    report = archive.measure(**OPTIONS)
    assert report.ok
    assert (report.measured, report.skipped) == (2, 0)
    rows = archive.sql("SELECT c.*, f.filter FROM catalogs c JOIN frames f USING (frame_id) ORDER BY frame_id").to_pandas()
    assert len(rows) == 2
    for _, row in rows.iterrows():
        table = read_catalog(archive.home / row["path"])
        assert len(table) == row["n_rows"] > 0
        assert set(table["frame_id"]) == {row["frame_id"]}
        assert set(table["filter"]) == {row["filter"]}
        assert read_provenance(archive.home / row["path"])["frame_id"] == row["frame_id"]
        assert 0.5 < row["seeing"] < 6
        assert row["depth_aperture"] == 5.0
    assert report.sources == rows["n_rows"].sum()


def test_the_mesh_of_every_frame_is_kept(archive):
    report = archive.measure(**OPTIONS)
    images = DataBrowser(archive).where(kind="science").frames().target_images
    for image in images:
        row = image.catalog.row
        assert row.run_id == report.run_id
        mesh = image.bkgmap
        assert mesh.frame_id == image.frame_id
        assert np.array_equal(mesh.level_nodes, background.estimate(image.load()).level_nodes)
        assert read_catalog(archive.home / row.path)["BACKGROUND"][0].value == pytest.approx(mesh.global_level, rel=0.2)
    assert archive.verify(progress=False).ok
    without = archive.measure(maps=False, again=True, **OPTIONS)
    assert not (archive.home / "maps" / str(without.run_id)).exists()
    assert archive.measure(**OPTIONS).skipped == 2  # to keep no mesh is no other recipe


def test_keywords_of_sextractor_are_options(archive):
    first = archive.measure(**OPTIONS)
    params = {"DETECT_THRESH": "5", "BACK_SIZE": 64, "FILTER": "Y"}
    assert archive.measure(sex_params=params, **OPTIONS).skipped == 2
    other = archive.measure(sex_params={**params, "MASK_TYPE": "NONE", "PHOT_FLUXFRAC": 0.8}, **OPTIONS)
    assert other.run_id != first.run_id
    (run, _) = archive.runs()
    recipe = json.loads(run.parameters)
    assert (recipe["mask_type"], recipe["sex_params"]) == ("NONE", {"PHOT_FLUXFRAC": 0.8})
    with pytest.raises(UnknownNameError, match="'MASK_TYP'"):
        archive.measure(sex_params={"MASK_TYP": "NONE"}, **OPTIONS)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_photutils_measures_batches_too(archive):
    report = archive.measure(method="photutils", **{**OPTIONS, "detection_sigma": 3})
    assert report.ok
    assert report.measured == 2
    assert {row.method for row in archive.sql("SELECT method FROM catalogs")} == {"photutils"}


def test_a_second_call_skips_what_is_done_and_another_recipe_is_another_run(archive):
    first = archive.measure(**OPTIONS)
    second = archive.measure(**OPTIONS)
    assert (second.measured, second.skipped, second.run_id) == (0, 2, None)
    third = archive.measure(**{**OPTIONS, "detection_sigma": 8})
    assert third.run_id != first.run_id
    assert third.sources < first.sources
    again = archive.measure(again=True, **OPTIONS)
    assert again.measured == 2
    assert len({first.run_id, third.run_id, again.run_id}) == 3
    assert len(archive.runs()) == 3
    current = archive.sql("SELECT DISTINCT run_id FROM measurements").to_pandas()["run_id"].tolist()
    assert current == [again.run_id]
    assert archive.sql("SELECT count(*) AS n FROM measurements", run=first.run_id).to_pandas()["n"][0] == first.sources


def test_frames_can_be_given_in_many_ways(archive):
    frames = DataBrowser(archive).where(kind="science").frames()
    assert archive.measure(frames.target_images[0], **OPTIONS).measured == 1
    assert archive.measure(frames, **OPTIONS).measured == 1
    assert archive.measure(list(frames.frame_ids), **OPTIONS).skipped == 2
    with pytest.raises(InputError, match="frames: frame_id 999 is not in this archive"):
        archive.measure([999], **OPTIONS)
    with pytest.raises(InputError, match="frames: 'x' is no frame"):
        archive.measure(["x"], **OPTIONS)


def test_a_frame_that_fails_is_reported_and_the_rest_goes_on(archive):
    frames = DataBrowser(archive).where(kind="science").frames()
    victim = frames.target_images[0]
    with fits.open(victim.path) as hdus:
        header = hdus[0].header.copy()
    fits.writeto(victim.path, np.full((64, 64), np.nan, "f4"), header, overwrite=True)
    report = archive.measure(**OPTIONS)
    assert report.measured == 1
    assert [path for path, _, _ in report.failed] == [str(victim.path)]
    (entry,) = archive.quarantine()
    assert (entry.stage, entry.tries) == ("measure", 1)
    assert archive.measure(**OPTIONS).failed
    assert next(iter(archive.quarantine())).tries == 2


def test_a_frame_whose_file_has_gone_fails_alone(archive):
    frames = DataBrowser(archive).where(kind="science").frames()
    frames.target_images[1].path.unlink()
    report = archive.measure(frames, **OPTIONS)
    assert (report.measured, len(report.failed)) == (1, 1)


def test_wrong_arguments(archive):
    with pytest.raises(InputError, match="method='psf': must be one of sex"):
        archive.measure(method="psf")
    with pytest.raises(UnknownNameError, match="option 'detecton_sigma': did you mean 'detection_sigma'"):
        archive.measure(detecton_sigma=3)
    with pytest.raises(InputError, match="detection_sigma=-1: must be finite and positive"):
        archive.measure(detection_sigma=-1)
    with pytest.raises(InputError, match="detect_minarea=2.5: must be a whole number"):
        archive.measure(detect_minarea=2.5)
    with pytest.raises(InputError, match="workers=0"):
        archive.measure(workers=0)
    assert not archive.runs()


def test_memory_bounds_the_workers(archive, monkeypatch):
    with pytest.raises(InputError, match=r"memory_gb=0.1: must be at least 0.25, which one worker needs for the largest frame"):
        archive.measure(memory_gb=0.1, **OPTIONS)
    counts = []
    monkeypatch.setattr("ezarchive.driver.Driver.work", lambda self, function, tasks, total, team, progress: counts.append(team.count))
    for memory_gb in (0.3, 0.6):
        archive.measure(memory_gb=memory_gb, **{**OPTIONS, "workers": 8})
    assert counts == [1, 2]


def test_only_one_batch_at_a_time(archive):
    with Lock(archive.home / ".measure.lock", what="measure"), pytest.raises(LockedError, match="measure"):
        archive.measure(**OPTIONS)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_worker_processes_give_what_one_process_gives(archive, small_archive, tmp_path):
    with Archive.open(small_archive(tmp_path / "other")) as other:
        one, two = archive.measure(**OPTIONS), other.measure(**{**OPTIONS, "workers": 2})
        assert (one.measured, one.sources) == (two.measured, two.sources)
        query = "SELECT X_IMAGE, Y_IMAGE, FLUX_AUTO, FLUX_APER FROM measurements ORDER BY ALL"
        assert archive.sql(query).to_pandas().equals(other.sql(query).to_pandas())


def test_a_frame_without_wcs_is_measured_in_pixels(tmp_path, rng):
    tree = tmp_path / "tree"
    tree.mkdir()
    y, x = np.mgrid[:128, :128]
    data = 100 + rng.normal(0, 3, (128, 128)) + 5000 * np.exp(-((x - 60) ** 2 + (y - 50) ** 2) / 8)
    fits.writeto(tree / "a.fits", data.astype("f4"), fits.Header({"EXPTIME": 10.0, "OBJECT": "x"}))
    with Archive.create(tmp_path / "home", roots={"scidata": {"path": tree, "layout": ""}}) as archive:
        archive.index(progress=False)
        report = archive.measure(aperture_diameter_pixel=[12, 20], **OPTIONS)
        assert report.ok
        (frame,) = DataBrowser(archive).frames()
        assert not frame.frame.wcs_ok
        row = archive.sql("SELECT X_IMAGE, Y_IMAGE, ALPHA_J2000, FLUX_APER, FLUX_APER_5, PIXSIZE_APER_5 FROM measurements").to_pandas()
    assert len(row) == 1
    assert abs(row["X_IMAGE"][0] - 60) < 0.05
    assert np.isnan(row["ALPHA_J2000"][0])
    assert np.isnan(row["FLUX_APER"][0])
    assert row["PIXSIZE_APER_5"][0] == 12
    assert row["FLUX_APER_5"][0] == pytest.approx(5000 * 2 * np.pi * 4 * (1 - np.exp(-36 / 8)), rel=0.01)


def test_a_catalog_that_was_deleted_is_measured_again(archive):
    first = archive.measure(**OPTIONS)
    lost, kept = archive.sql("SELECT frame_id, path, run_id FROM catalogs ORDER BY frame_id")
    (archive.home / lost.path).unlink()
    with pytest.raises(CatalogError, match="does not exist"):
        archive.sql("SELECT count(*) FROM measurements")
    assert archive.measure([kept.frame_id], **OPTIONS).measured == 0
    second = archive.measure(**OPTIONS)
    assert (second.measured, second.skipped, second.frame_ids) == (1, 1, (lost.frame_id,))
    (count,) = archive.sql("SELECT count(*) AS n FROM measurements")
    assert count.n == first.sources
    assert archive.measure(**OPTIONS).measured == 0
    (archive.home / kept.path).unlink()
    archive.measure(detection_sigma=9, **{key: value for key, value in OPTIONS.items() if key != "detection_sigma"})
    assert archive.measure(**OPTIONS).measured == 0  # the catalog that counts is there


def test_frames_can_be_a_table_with_their_ids(archive):
    frames = DataBrowser(archive).where(kind="science").frames()
    archive.measure(frames, **OPTIONS)
    for given in (frames.df, frames.table(), frames.df["frame_id"], frames.table()["frame_id"], np.int64(frames.frame_ids[0])):
        assert archive.measure(given, **OPTIONS).skipped == (1 if isinstance(given, np.integer) else 2)
    for wrong in ("T00528", 5.5):
        with pytest.raises(InputError, match=f"frames: {wrong!r} is no frame of an archive"):
            archive.measure(wrong, **OPTIONS)


@pytest.mark.parametrize("value", ["x", None, 0, 2.5, np.nan, np.inf])
def test_a_size_that_is_none(archive, value):
    with pytest.raises(InputError, match=f"box_size={value!r}: must be a whole number of at least 1"):
        archive.measure(box_size=value)


def test_a_pinned_run_stays_the_one_that_light_curves_use(archive):
    first = archive.measure(**OPTIONS)
    assert archive.pin(first.run_id) == 2
    second = archive.measure(**{**OPTIONS, "detection_sigma": 8})
    query = "SELECT DISTINCT run_id FROM measurements"
    assert archive.sql(query).to_pandas()["run_id"].tolist() == [first.run_id]
    assert archive.pin(None) == 2
    assert archive.sql(query).to_pandas()["run_id"].tolist() == [second.run_id]
    with pytest.raises(InputError, match="run_id 99: has no catalogs"):
        archive.pin(99)


def test_an_archive_travels_to_another_process(archive):
    with pickle.loads(pickle.dumps(archive)) as other:
        assert other.home == archive.home
        assert len(other.sql("SELECT * FROM frames")) == 2


def test_an_image_that_was_reduced_anew_counts_once(archive):
    archive.measure(**OPTIONS)
    (first, _) = DataBrowser(archive).where(kind="science").frames()
    n = len(archive.light_curve((first.ra, first.dec), "3 arcmin"))
    with fits.open(first.path) as hdus:
        header, data = hdus[0].header.copy(), hdus[0].data + 100
    fits.writeto(first.path, data, header, overwrite=True)
    assert archive.index(progress=False).changed == 1
    assert archive.measure(**OPTIONS).measured == 1
    assert len(archive.light_curve((first.ra, first.dec), "3 arcmin")) == n
    frames = archive.sql("SELECT frame_id, path FROM frames WHERE kind = 'science'").to_pandas()
    assert len(frames) == 2
    assert frames["path"].notna().all()
    assert first.frame_id not in set(archive.sql("SELECT frame_id FROM measurements").to_pandas()["frame_id"])
    old = archive.sql("SELECT count(*) AS n FROM light_curve WHERE frame_id = ?", [first.frame_id], run=1).to_pandas()
    assert old["n"][0] > 0


def test_a_failure_is_resolved_though_the_file_has_moved_since(archive, monkeypatch):
    (first, _) = DataBrowser(archive).where(kind="science").frames()
    broken = MeasurementError("no_noise", "for the test")
    monkeypatch.setattr("ezarchive.measure.measure_image", lambda *args, **kwargs: (_ for _ in ()).throw(broken))
    assert len(archive.measure(**OPTIONS).failed) == 2
    monkeypatch.undo()
    first.path.rename(first.path.with_name("moved.fits"))
    assert archive.index(progress=False).moved == 1
    assert archive.measure(**OPTIONS).measured == 2
    assert not archive.quarantine()


@pytest.mark.parametrize("value", ["57", True, [5, "x"], [True]])
def test_an_aperture_that_is_no_number(archive, value):
    with pytest.raises(InputError, match="aperture_diameter_arcsec="):
        archive.measure(aperture_diameter_arcsec=value)


def test_apertures_of_numpy_are_numbers():
    options = MeasureOptions.from_arguments({"aperture_diameter_arcsec": np.float32(5), "aperture_diameter_seeing": np.array([2, 3])})
    assert options.aperture_diameter_arcsec == (5.0,)
    assert options.aperture_diameter_seeing == (2.0, 3.0)


def test_verify_beside_a_batch_at_work_finds_nothing_amiss(archive):
    archive.measure(**OPTIONS)
    folder = archive.home / "catalogs" / "9"
    folder.mkdir()
    for name in ("on_its_way.1.parquet", ".on_its_way.2.parquet.7-0.tmp"):
        (folder / name).write_bytes(b"x")
    with Lock(archive.home / LOCK_NAME, what="measure"):
        assert archive.verify(progress=False).ok
    assert len(archive.verify(progress=False).files_without_rows) == 2


def test_a_pinned_catalog_that_was_deleted_is_measured_once_more_and_not_every_night(archive):
    first = archive.measure(**OPTIONS)
    archive.pin(first.run_id)
    lost, _ = archive.sql("SELECT frame_id, path FROM catalogs ORDER BY frame_id")
    (archive.home / lost.path).unlink()
    assert archive.measure(**OPTIONS).frame_ids == (lost.frame_id,)
    assert archive.measure(**OPTIONS).measured == 0
    archive.pin(None)
    (count,) = archive.sql("SELECT count(*) AS n FROM measurements")
    assert count.n == first.sources
