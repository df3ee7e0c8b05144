"""Zero points from the stars that frames share, in archives of known truth: found, stored, used; and what comes after them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from astropy.table import Table
from surveyarchives import WIDER, plan, survey_archive

from ezarchive import Archive
from ezarchive.database import zeropoints
from ezarchive.differential import DifferentialReport, comparison_stars
from ezarchive.errors import InputError, LockedError, MeasurementError, UnknownNameError
from ezarchive.files import Lock
from ezarchive.simulate.field import magnitudes
from ezarchive.simulate.variables import VariableSurvey, variable_archive

EXPTIME = (60.0, 100.0, 30.0)


@pytest.fixture(scope="module")
def survey() -> VariableSurvey:
    """Twelve frames of r and g by two telescopes, behind clouds."""
    return VariableSurvey(plan(filters=("r", "g"), telescopes=("7DT01", "7DT02")), seed=3)


@pytest.fixture(scope="module")
def measured(survey: VariableSurvey, tmp_path_factory: pytest.TempPathFactory) -> Archive:
    with survey_archive(tmp_path_factory.mktemp("differential") / "home", survey, exptime=np.resize(EXPTIME, len(survey))) as archive:
        yield archive


@pytest.fixture
def archive(measured: Archive) -> Archive:
    """The archive without zero points."""
    with measured.database.begin() as conn:
        for table in ("zero_point", "quarantine"):
            conn.exec_driver_sql(f"DELETE FROM {table}")
    return measured


def truth(survey: VariableSurvey, report: DifferentialReport, name: str = "r") -> tuple[np.ndarray, np.ndarray]:
    """Found and true zero points of counts per second, each less its mean, and the pulls."""
    rows = report.frames[report.frames["filter"] == name]
    true = survey.frames["zero_point"].value[rows["frame_id"] - 1]
    off = rows["zero_point"].value - true
    off -= off.mean()
    return off, off / rows["zero_point_err"].value


@pytest.mark.truth
def test_zero_points_are_those_of_the_clouds(archive: Archive, survey: VariableSurvey) -> None:
    report = archive.differential()
    assert report.ok
    assert [row.name for row in report.ensembles] == ["g", "r"]
    assert [row.n_frames for row in report.ensembles] == [12, 12]
    assert np.ptp(survey.frames["zero_point"].value) > 0.5
    for name in ("r", "g"):
        off, pull = truth(survey, report, name)
        assert off.std() < 0.002
        assert 0.5 < pull.std() < 1.6


@pytest.mark.truth
def test_light_curves_of_constant_stars_are_flat_to_the_noise(archive: Archive, survey: VariableSurvey) -> None:
    archive.differential(filter="r")
    chosen = np.flatnonzero((survey.stars["variability"] == "constant") & (survey.stars["mag"].value < 16))
    chi2, raw = [], []
    for star in chosen[:20]:
        curve = archive.light_curve((survey.stars["ra"][star].value, survey.stars["dec"][star].value), filter="r")
        assert len(curve) == 12
        mag, err = curve["mag"].value, np.hypot(curve["mag_err"].value, curve["zero_point_err"].value)
        mean = np.average(mag, weights=err**-2)
        chi2.append(np.sum(((mag - mean) / err) ** 2) / 11)
        raw.append(np.std(curve["mag_inst"].value))
    assert min(raw) > 0.1
    assert 0.8 < np.mean(chi2) < 1.2
    assert archive.sql("SELECT count(*) AS n FROM light_curve WHERE filter = 'g' AND mag IS NOT NULL")[0].n == 0


def test_what_is_stored_is_the_zero_point_of_an_exposure(archive: Archive, survey: VariableSurvey) -> None:
    report = archive.differential(filter="r")
    rows = archive.sql("SELECT z.*, f.exptime FROM zero_points z JOIN frames f USING (frame_id) ORDER BY frame_id")
    assert len(rows) == report.zero_points == 12
    assert {row.exptime for row in rows} == set(EXPTIME)
    by_frame = dict(zip(report.frames["frame_id"].tolist(), report.frames["zero_point"].value.tolist(), strict=True))
    for row in rows:
        assert (row.system, row.method, row.measure, row.aperture, row.ab_offset) == ("ensemble", "sex", "APER", 5.0, None)
        assert row.value == pytest.approx(by_frame[row.frame_id] + 2.5 * np.log10(row.exptime))
        assert row.n_stars > 20
        assert row.depth is None  # the level is of no reference
    assert np.median(report.frames["zero_point"].value) == pytest.approx(25)
    assert archive.sql("SELECT count(*) AS n FROM light_curve WHERE flux_ujy IS NOT NULL")[0].n == 0
    with archive.database.connect() as conn:
        (found,) = zeropoints.details(conn, report.run_id, 1) or zeropoints.details(conn, report.run_id, 2)
    assert found["details"]["level"] == {"origin": "none", "error": None, "n_frames": 0}


def test_rates_are_not_divided_by_the_exposure(tmp_path: Path) -> None:
    survey = VariableSurvey(plan(exptime=100.0, n_nights=5), seed=4)
    with survey_archive(tmp_path / "home", survey, exptime=np.ones(5), bunit="ADU/s") as archive:
        report = archive.differential()
        values = [row.value for row in archive.sql("SELECT value FROM zero_points ORDER BY frame_id")]
        np.testing.assert_allclose(values, report.frames["zero_point"].value)
        (row, *_) = archive.sql("SELECT * FROM light_curve WHERE frame_id = 1 AND mag IS NOT NULL")
        assert row.mag == pytest.approx(values[0] - 2.5 * np.log10(row.flux))


def test_comparison_stars_are_listed_and_variable_ones_are_told(archive: Archive, survey: VariableSurvey) -> None:
    report = archive.differential(filter="r")
    table = report.stars
    assert table["object_id"].mask.all()
    place = np.hypot(
        (table["ra"].value[:, None] - survey.stars["ra"].value) * np.cos(np.radians(77.26)),
        table["dec"].value[:, None] - survey.stars["dec"].value,
    )
    nearest = place.argmin(axis=1)
    assert place.min(axis=1).max() < 1 / 3600
    assert len(set(nearest.tolist())) == len(table)
    varies = survey.stars["variability"][nearest] != "constant"
    assert (table["reason"][varies] == "variable").mean() > 0.85
    assert (table["reason"][~varies] == "used").mean() > 0.98
    assert len(report.comparison_stars) == (table["reason"] == "used").sum() > 50
    again = comparison_stars(archive, report.run_id)
    assert again.colnames == table.colnames
    np.testing.assert_allclose(again["mag"].value, table["mag"].value)
    assert again["ra"].unit == "deg"
    true = survey.magnitudes(0.0, "r")[nearest]
    off = (table["mag"].value - true)[table["reason"] == "used"]
    assert off.std() < 0.02
    with pytest.raises(UnknownNameError, match="run '999'"):
        comparison_stars(archive, 999)


def test_the_level_is_that_of_calibrated_frames(archive: Archive, survey: VariableSurvey) -> None:
    """Three of twelve frames are calibrated: all of them are in AB afterwards, other measurements too."""
    frames = archive.sql("SELECT frame_id FROM frames WHERE filter = 'r' ORDER BY mjd_mid").to_arrow()["frame_id"].to_pylist()
    known = [
        zeropoints.NewZeroPoint(
            frame_id=frame, catalog_id=frame, run_id=1, method="sex", measure=measure, aperture=aperture, system="AB", ab_offset=0.0,
            value=survey.frames["zero_point"].value[frame - 1] + 2.5 * np.log10(EXPTIME[(frame - 1) % 3]) + wider + off, error=0.004,
            scatter=0.01, n_stars=50, depth=20.0,
        )
        for frame, off in zip(frames[:3], (0.03, 0.0, -0.03), strict=True)
        for measure, aperture, wider in (("APER", 5.0, 0.0), ("APER", 7.0, WIDER), ("AUTO", None, 0.1))
    ]  # fmt: skip
    with archive.database.begin() as conn:
        zeropoints.add_zero_points(conn, known)
    report = archive.differential(filter="r")
    assert report.ensembles[0].origin == "AB"
    assert report.ensembles[0].level_error > 0.01
    off = report.frames["zero_point"].value - survey.frames["zero_point"].value[report.frames["frame_id"] - 1]
    np.testing.assert_allclose(off, 0, atol=0.006)
    assert archive.sql("SELECT count(*) AS n FROM light_curve WHERE filter = 'r' AND flux > 0 AND flux_ujy IS NULL")[0].n == 0
    depths = archive.sql("SELECT frame_id, depth FROM zero_points WHERE aperture = 5")
    np.testing.assert_allclose([row.depth for row in depths], [survey.frames["depth"].value[row.frame_id - 1] for row in depths], atol=0.01)
    # AUTO and 7 arcsec of the three frames go with them: the scatter of their calibration is gone.
    rows = archive.sql("SELECT * FROM zero_points WHERE measure = 'AUTO' OR aperture = 7 ORDER BY frame_id, measure")
    assert len(rows) == 6
    assert report.zero_points == 12 + 6
    for row in rows:
        wider = 0.1 if row.measure == "AUTO" else WIDER
        true = survey.frames["zero_point"].value[row.frame_id - 1] + 2.5 * np.log10(EXPTIME[(row.frame_id - 1) % 3])
        assert row.value == pytest.approx(true + wider, abs=0.006)
        assert (row.system, row.ab_offset, row.run_id, row.n_stars) == ("ensemble", 0.0, report.run_id, 50)
        assert row.error > 0.004
    again = archive.differential(filter="r")
    np.testing.assert_allclose(again.frames["zero_point"].value, report.frames["zero_point"].value, atol=1e-6)
    assert again.ensembles[0].origin == "AB"


def test_an_earlier_level_of_no_reference_is_kept(archive: Archive) -> None:
    first = archive.differential([1, 3, 5, 7, 9, 11], filter="*")
    second = archive.differential()
    kept = {row["frame_id"]: row["zero_point"].value for row in second.frames}
    for row in first.frames:
        assert kept[row["frame_id"]] == pytest.approx(row["zero_point"].value, abs=0.004)
    assert {row.name: row.origin for row in second.ensembles} == {name: "ensemble" for name in set(first.frames["filter"])} | {
        name: "none" for name in {"r", "g"} - set(first.frames["filter"])
    }


def test_headers_give_a_level_too(tmp_path: Path) -> None:
    survey = VariableSurvey(plan(n_nights=6), seed=5)
    facts = {"zero_point_aperture": 5.0, "zero_point_system": "AB", "zero_point_err": 0.01}
    header = {k: {**facts, "zero_point": float(survey.frames["zero_point"][k].value + 5.0)} for k in (1, 4)}
    with survey_archive(tmp_path / "home", survey, header=header) as archive:
        report = archive.differential()
        off = report.frames["zero_point"].value - survey.frames["zero_point"].value[report.frames["frame_id"] - 1]
        np.testing.assert_allclose(off, 0, atol=0.005)
        assert report.ensembles[0].origin == "AB"


def test_several_apertures_are_solved_each_for_itself(archive: Archive) -> None:
    report = archive.differential(filter="r", aperture=[5, "7 arcsec"])
    assert [row.aperture for row in report.ensembles] == [5.0, 7.0]
    rows = archive.sql("SELECT aperture, count(*) AS n FROM zero_points GROUP BY aperture ORDER BY aperture")
    assert [(row.aperture, row.n) for row in rows] == [(5.0, 12), (7.0, 12)]
    flat = "SELECT stddev(mag) AS s FROM light_curve WHERE filter = 'r' AND mag < 14 AND angular_separation(ra, dec, ?, ?) < 0.001"
    star = report.comparison_stars[np.argmin(report.comparison_stars["mag"].value)]
    assert archive.sql(flat.replace("AND mag < 14", ""), [star["ra"].value, star["dec"].value], aperture=7)[0].s < 0.02


def test_telescopes_are_solved_together_or_apart(archive: Archive) -> None:
    together, apart = archive.differential(save=False), archive.differential(save=False, by=("filter", "telname"))
    assert together.run_id is None
    assert [row.name for row in together.ensembles] == ["g", "r"]
    assert [row.name for row in apart.ensembles] == ["g 7DT01", "g 7DT02", "r 7DT01", "r 7DT02"]
    assert archive.sql("SELECT count(*) AS n FROM zero_points")[0].n == 0
    assert [row.name for row in archive.differential(save=False, telname="7DT01").ensembles] == ["g", "r"]


def test_stars_of_a_cone_alone(archive: Archive, survey: VariableSurvey) -> None:
    whole = archive.differential(filter="r", save=False)
    part = archive.differential(filter="r", save=False, position=survey.plan.centre, radius="0.15 deg")
    assert 5 < len(part.stars) < len(whole.stars)
    assert part.frames["zero_point_err"].value.mean() > whole.frames["zero_point_err"].value.mean()


def test_the_newest_run_counts_whoever_made_it(archive: Archive, survey: VariableSurvey) -> None:
    def runs() -> set[int]:
        return {row.run_id for row in archive.sql("SELECT run_id FROM zero_points WHERE frame_id = 1 OR frame_id = 2")}

    first = archive.differential(filter="r")
    assert runs() == {first.run_id}
    second = archive.differential(filter="r")
    assert second.run_id > first.run_id
    assert runs() == {second.run_id}
    with archive.database.begin() as conn:
        old = zeropoints.details(conn, second.run_id, 1) or zeropoints.details(conn, second.run_id, 2)
        row = {name: old[0][name] for name in zeropoints.NewZeroPoint._fields}
        conn.execute(sa.text("INSERT INTO run (recipe_id, versions, started) SELECT recipe_id, '{}', 1 FROM run WHERE run_id = 1"))
        newest = conn.execute(sa.text("SELECT max(run_id) FROM run")).scalar_one()
        zeropoints.add_zero_points(conn, [zeropoints.NewZeroPoint(**{**row, "run_id": newest, "system": "AB", "ab_offset": 0.0})])
    assert newest in runs()
    third = archive.differential(filter="r")
    assert runs() == {third.run_id}
    assert third.ensembles[0].origin == "AB"


def test_a_withdrawn_run_counts_no_more(archive: Archive) -> None:
    first, second = archive.differential(filter="r"), archive.differential(filter="r")
    archive.withdraw(second.run_id)
    assert {row.run_id for row in archive.sql("SELECT run_id FROM zero_points")} == {first.run_id}
    assert archive.sql("SELECT count(*) AS n FROM light_curve WHERE filter = 'r' AND mag IS NULL AND flux > 0")[0].n == 0
    archive.withdraw(first.run_id)
    assert len(archive.sql("SELECT run_id FROM zero_points")) == 0
    assert archive.sql("SELECT count(*) AS n FROM light_curve WHERE mag IS NOT NULL")[0].n == 0
    archive.withdraw(second.run_id, restore=True)
    assert {row.run_id for row in archive.sql("SELECT run_id FROM zero_points")} == {second.run_id}


@pytest.mark.timeout(60)
def test_stars_are_objects_where_the_archive_is_associated(survey: VariableSurvey, tmp_path: Path) -> None:
    with survey_archive(tmp_path / "home", survey) as archive:
        alone = archive.differential(save=False)
        archive.associate(workers=1, progress=False)
        report = archive.differential()
        assert not report.stars["object_id"].mask.any()
        known = {row.object_id for row in archive.sql("SELECT object_id FROM objects")}
        assert set(report.stars["object_id"].tolist()) <= known
        np.testing.assert_allclose(report.frames["zero_point"].value, alone.frames["zero_point"].value, atol=1e-4)
        star = report.comparison_stars[np.argmin(report.comparison_stars["mag"].value)]
        query = "SELECT count(*) AS n, stddev(mag) AS s FROM light_curve WHERE object_id = ? AND filter = ?"
        values = [int(star["object_id"]), str(star["filter"])]
        fresh = archive.sql(query, values)[0]
        assert (fresh.n, fresh.s < 0.01) == (12, True)
        archive.associate(workers=1, progress=False)
        stored = archive.sql(query, values)[0]
        assert stored.s == pytest.approx(fresh.s, abs=1e-5)
        summary = archive.sql("SELECT mag_std FROM object_filters WHERE object_id = ? AND filter = ?", values)[0]
        assert summary.mag_std == pytest.approx(fresh.s, abs=1e-4)


def test_what_fails_half_way_leaves_nothing(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    runs = len(archive.runs())
    with monkeypatch.context() as patch:
        patch.setattr("ezarchive.differential.verb._write_stars", full)
        with pytest.raises(OSError, match="No space left"):
            archive.differential()
    assert len(archive.sql("SELECT run_id FROM zero_points")) == 0
    assert len(archive.runs()) == runs
    assert archive.differential().ok


def test_a_frame_with_too_few_stars_is_told_and_recorded(tmp_path: Path) -> None:
    survey = VariableSurvey(plan(n_nights=6), seed=6)
    survey.frames["zero_point"][2] -= 6 * survey.frames["zero_point"].unit
    survey.frames["depth"][2] -= 6 * survey.frames["depth"].unit
    with survey_archive(tmp_path / "home", survey) as archive:
        report = archive.differential(min_stars=20)
        assert not report.ok
        ((path, code, message),) = report.failed
        assert path.endswith("f0002.fits")
        assert code in ("too_few_stars", "no_measurements")
        assert "must be at least 20 (min_stars)" in message or "no good detection" in message
        (entry,) = archive.quarantine()
        assert (entry.stage, entry.frame_id) == ("differential", 3)
        assert f"1 failed; run {report.run_id}" in str(report)
        assert len(report.frames) == 5


def test_nothing_in_common_is_reported(archive: Archive) -> None:
    report = archive.differential([1])
    assert (report.run_id, report.zero_points, len(report.frames), len(report.stars)) == (None, 0, 0, 0)
    assert [code for _, code, _ in report.failed] == ["too_few_stars"]
    assert "nothing saved" in str(report)
    assert archive.differential(filter="r", aperture=99).failed[0][1] == "no_measurements"


def test_an_empty_archive_says_so(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with Archive.create(tmp_path / "home", roots={"scidata": tmp_path / "data"}) as archive:
        with pytest.raises(MeasurementError, match="no catalog of method 'sex' is of frames that were asked for"):
            archive.differential()


def test_calibrations_wait_for_each_other(archive: Archive) -> None:
    with Lock(archive.home / ".calibrate.lock", what="calibrate"), pytest.raises(LockedError, match="calibrate"):
        archive.differential()
    assert archive.differential(save=False).ok


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"filter": "z"}, UnknownNameError, "filter 'z'"),
        ({"telname": ["7DT01", "7DT09"]}, UnknownNameError, "telname '7DT09'"),
        ({"method": "forced"}, InputError, "method='forced': must be one of sex, photutils"),
        ({"by": "night"}, InputError, "by='night': must be of filter, telname"),
        ({"snr": 0}, InputError, "snr=0: must be a positive number"),
        ({"snr": True}, InputError, "snr=True: must be a positive number"),
        ({"match": "2 arcmin"}, InputError, "match='2 arcmin': must be more than 0 and at most 60 arcsec"),
        ({"match": 1}, InputError, "match 1: a bare number has no unit"),
        ({"aperture": -5}, InputError, "aperture=-5: must be diameters in arcsec, above zero"),
        ({"aperture": []}, InputError, r"aperture=\[\]: must be diameters"),
        ({"position": (1, 2)}, InputError, "position, radius: must be given together"),
        ({"position": (1, 2), "radius": 3}, InputError, "radius"),
        ({"min_stars": 0}, InputError, "min_stars=0"),
        ({"min_star": 3}, UnknownNameError, "did you mean 'min_stars'"),
        ({"frames": [999]}, InputError, "frame_id 999 is not in this archive"),
    ],
)
def test_wrong_arguments_are_told_before_any_work(archive: Archive, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        archive.differential(**options)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.truth
def test_from_pixels_to_flat_light_curves_between_calibrations(tmp_path: Path) -> None:
    """Frames measured by detection, calibrated with a poor reference; then differential; then calibrated again."""
    toy = variable_archive(tmp_path / "toy", n_epochs=8, shape=(450, 450), density=25, seed=11, lacking=0.0)
    sky = toy.truth.stars
    rng = np.random.default_rng(0)
    reference = Table({"ra": sky["ra"].value, "dec": sky["dec"].value})
    reference["r_mag"] = magnitudes(sky, "r", 60000.0) + rng.normal(0, 0.03, len(sky))
    with Archive.create(tmp_path / "home", roots={"scidata": toy.scidata}) as archive:
        archive.index(progress=False)
        assert archive.measure(workers=1, progress=False, detection_sigma=3, aperture_diameter_arcsec=[5, 7]).ok
        first = archive.calibrate(reference=reference, progress=False)
        before = _zero_points(archive)
        assert {run_id for _, run_id, _ in before.values()} == {first.run_id}
        noisy = _flatness(archive, sky)
        report = archive.differential()
        assert (report.ok, report.ensembles[0].origin) == (True, "AB")
        after = _zero_points(archive)
        assert after.keys() == before.keys()
        assert {run_id for _, run_id, _ in after.values()} == {report.run_id}
        for (frame, measure, size), (value, _, system) in after.items():
            assert system == "ensemble"
            if size != 5.0:
                kept = value - after[frame, "APER", 5.0][0]
                assert kept == pytest.approx(before[frame, measure, size][0] - before[frame, "APER", 5.0][0], abs=1e-9)
        flat = _flatness(archive, sky)
        assert flat < 0.6 * noisy
        assert flat < 0.006
        last = archive.calibrate(reference=reference, progress=False, again=True)
        assert {run_id for _, run_id, _ in _zero_points(archive).values()} == {last.run_id}
        assert _zero_points(archive) == {key: (value, last.run_id, "AB") for key, (value, _, _) in before.items()}


def _zero_points(archive: Archive) -> dict[tuple[int, str, float | None], tuple[float, int, str]]:
    rows = archive.sql("SELECT frame_id, measure, aperture, value, run_id, system FROM zero_points")
    return {(row.frame_id, row.measure, row.aperture): (row.value, row.run_id, row.system) for row in rows}


def _flatness(archive: Archive, stars: Any) -> float:
    """Scatter of bright constant stars from frame to frame: the r.m.s. over frames of the median residual."""
    chosen = stars[(stars["kind"] == "star") & (stars["variability"] == "constant") & (stars["mag"].value < 14.5)]
    curves = [archive.light_curve((star["ra"].value, star["dec"].value), "1 arcsec") for star in chosen]
    rows = [
        (frame, off)
        for curve in curves
        if len(curve) == 8 and (curve["flags"] == 0).all()
        for frame, off in zip(curve["frame_id"], curve["mag"].value - np.mean(curve["mag"].value), strict=True)
    ]
    frames, offs = (np.array(column) for column in zip(*rows, strict=True))
    return float(np.std([np.median(offs[frames == frame]) for frame in np.unique(frames)]))
