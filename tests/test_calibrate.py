"""Zero points of an archive whose truth is known: found, stored, used; and what happens when they cannot be had."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import engines
import numpy as np
import pytest
from astropy.table import Table

from ezarchive import Archive, DataBrowser, simulate
from ezarchive import calibrate as verb
from ezarchive.calibrate import CalibrationReport, FitOptions, StarSelection, calibration_of
from ezarchive.database import zeropoints
from ezarchive.errors import InputError, LockedError, UnknownNameError
from ezarchive.files import Lock
from ezarchive.simulate import ToyArchive
from ezarchive.simulate.field import magnitudes

BANDS = ("m600", "r")


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> ToyArchive:
    """Six frames of one field; some headers lack zero point or seeing."""
    folder = tmp_path_factory.mktemp("calibrate")
    target = simulate.TARGETS[:1]
    return simulate.toy_archive(
        folder, shape=(850, 900), targets=target, telescopes=("7DT01",), filters=BANDS, n_epochs=3, density=9, lacking=0.5, seed=7
    )


@pytest.fixture(scope="module")
def reference(toy: ToyArchive) -> Table:
    """The field's sources, galaxies and variable ones too, as a survey would list them."""
    stars = toy.truth.stars
    table = Table({"ra": stars["ra"].value, "dec": stars["dec"].value})
    for band in (*BANDS, "g"):
        table[f"{band}_mag"] = magnitudes(stars, band, 60000.0)
    table["blue"] = np.random.default_rng(3).normal(0.6, 0.3, len(table))
    return table


@pytest.fixture(scope="module")
def measured(toy: ToyArchive, tmp_path_factory: pytest.TempPathFactory) -> Archive:
    home = tmp_path_factory.mktemp("home") / "home"
    with Archive.create(home, roots={"scidata": toy.scidata}) as archive:
        archive.index(progress=False)
        assert archive.measure(workers=1, progress=False, detection_sigma=3, aperture_diameter_arcsec=[7, 5]).ok
        yield archive


@pytest.fixture
def archive(measured: Archive) -> Archive:
    """The measured archive, without zero points."""
    with measured.database.begin() as conn:
        conn.exec_driver_sql("DELETE FROM zero_point")
        conn.exec_driver_sql("DELETE FROM quarantine")
    return measured


def run(archive: Archive, reference: Any, frames: Any = None, **options: Any) -> CalibrationReport:
    return archive.calibrate(frames, reference=reference, progress=False, **options)


def stored(archive: Archive, **more: Any) -> dict[int, list[Any]]:
    with archive.database.connect() as conn:
        return zeropoints.of_frames(conn, range(1, 7), **more)


def hashes(*folders: Path) -> dict[str, str]:
    paths = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def truth(archive: Archive, toy: ToyArchive) -> dict[int, float]:
    """The zero point of the 5 arcsec aperture of each frame."""
    rows = {Path(str(row["relpath"])).name: row["zero_point"].value for row in toy.truth.frames}
    return {row.frame_id: rows[Path(row.path).name] for row in archive.sql("SELECT frame_id, path FROM frames")}


@pytest.mark.truth
def test_zero_points_are_recovered_within_their_errors(archive: Archive, reference: Table, toy: ToyArchive) -> None:
    report = run(archive, reference)
    assert report.ok
    assert (report.calibrated, report.skipped) == (6, 0)
    found, true = stored(archive), truth(archive, toy)
    pulls = []
    for frame_id, zero_points in found.items():
        (five,) = (z for z in zero_points if z.aperture == 5.0)
        assert five.error < 0.01
        pulls.append((five.value - true[frame_id]) / five.error)
        by_size = {z.aperture: z.value for z in zero_points}
        assert by_size[None] > by_size[7.0] > five.value  # the more light, the fainter 1 count
    assert len(pulls) == 6
    assert np.abs(pulls).max() < 4
    assert np.sqrt(np.mean(np.square(pulls))) < 1.8


def test_calibrated_light_curves_are_flat_and_use_the_stored_zero_point(archive: Archive, reference: Table, toy: ToyArchive) -> None:
    assert archive.sql("SELECT count(*) AS n FROM light_curve WHERE zero_point IS NULL")[0].n > 0
    run(archive, reference)
    values = {frame_id: next(z for z in found if z.aperture == 5.0) for frame_id, found in stored(archive).items()}
    stars = toy.truth.stars
    bright = (stars["mag"].value > 11.5) & (stars["mag"].value < 14)
    constant = stars[(stars["kind"] == "star") & (stars["variability"] == "constant") & bright]
    residuals = []
    for star in constant[:12]:
        curve = archive.light_curve((star["ra"].value, star["dec"].value))
        good = (curve["flags"] == 0) & (curve["n_within"] == 0)
        for row in curve[good]:
            assert row["zero_point"].value == values[row["frame_id"]].value
            assert row["zero_point_err"].value == values[row["frame_id"]].error
            assert row["mag_limit"].value == pytest.approx(17.3, abs=1.5)
            wanted = toy.truth.magnitudes(star["star_id"], row["mjd_mid"].value, row["filter"])[0].value
            residuals.append((row["mag"].value - wanted) / np.hypot(row["mag_err"].value, np.hypot(row["zero_point_err"].value, 0.01)))
    assert len(residuals) > 15
    assert abs(np.median(residuals)) < 1
    assert np.median(np.abs(residuals)) < 1.3


def test_catalogs_show_calibrated_columns_and_no_file_changes(archive: Archive, reference: Table, toy: ToyArchive) -> None:
    before = hashes(toy.scidata, archive.home / "catalogs")
    run(archive, reference)
    (catalog,) = DataBrowser(archive).where(filter="m600").frames().catalog[:1]
    table = catalog.data
    values = {z.aperture: z for z in stored(archive)[catalog.frame_id]}
    assert table["ZP_APER"].value[0] == values[7.0].value
    assert table["ZP_APER_1"].value[0] == values[5.0].value
    assert table["ZP_AUTO"].value[0] == values[None].value
    first = archive.sql(f"SELECT depth FROM zero_points WHERE frame_id = {catalog.frame_id} AND aperture = 7")[0].depth
    assert (catalog.info.depth, catalog.info.depth_aperture) == (first, pytest.approx(7))
    good = table[table["FLUX_APER_1"] > 0]
    mag = getattr(good["MAGSKY_APER_1"], "unmasked", good["MAGSKY_APER_1"]).value
    np.testing.assert_allclose(mag, values[5.0].value - 2.5 * np.log10(good["FLUX_APER_1"].value))
    assert hashes(toy.scidata, archive.home / "catalogs") == before


def test_what_is_done_is_not_done_again(archive: Archive, reference: Table) -> None:
    assert run(archive, reference, [1, 2]).calibrated == 2
    second = run(archive, reference)
    assert (second.calibrated, second.skipped) == (4, 2)
    third = run(archive, reference)
    assert (third.run_id, third.calibrated, third.skipped) == (None, 0, 6)
    assert "calibrate: 0 frames calibrated (0 zero points), 6 already done, 0 failed; no run" in str(third)
    again = run(archive, reference, [3], again=True)
    assert again.run_id > second.run_id
    other = run(archive, reference, snr=60)
    assert other.calibrated == 6
    with archive.database.connect() as conn:
        assert zeropoints.recipe_of(conn, other.run_id)["selection"]["snr"] == 60
        assert {z["run_id"] for z in zeropoints.zero_points_table(conn).to_pylist()} == {other.run_id}
    changed = reference.copy()
    changed["r_mag"] += 0.5
    assert run(archive, changed, [1]).calibrated == 1
    counts = archive.runs()[0].counts
    assert '"n_calibrated": 1' in counts
    assert '"n_failed": 0' in counts


def test_a_reference_without_stars_is_no_error_of_the_archive(archive: Archive, reference: Table) -> None:
    report = run(archive, reference[:0])
    assert {code for _, code, _ in report.failed} == {"no_reference_star"}
    assert "of one of its 0 stars with a magnitude" in report.failed[0][2]


def test_a_frame_that_was_measured_anew_is_calibrated_anew(archive: Archive, reference: Table) -> None:
    run(archive, reference)
    archive.measure([2], workers=1, progress=False, again=True, detection_sigma=3, aperture_diameter_arcsec=[7, 5])
    report = run(archive, reference)
    assert (report.frame_ids, report.skipped) == ((2,), 5)


@pytest.mark.truth
def test_a_colour_term_is_recovered(archive: Archive, reference: Table) -> None:
    tilted = reference.copy()
    for band in BANDS:
        tilted[f"{band}_mag"] += 0.08 * (tilted["blue"] - 0.5)
    options = {"columns": {"colour": "blue"}, "colour_term": "fit", "colour_pivot": 0.5}
    plain, fitted = run(archive, reference), run(archive, tilted, **options)
    assert fitted.ok
    with archive.database.connect() as conn:
        for frame_id in range(1, 7):
            before = {z["aperture"]: z for z in zeropoints.details(conn, plain.run_id, frame_id)}
            for row in zeropoints.details(conn, fitted.run_id, frame_id):
                assert row["colour_pivot"] == 0.5
                assert row["colour_term"] == pytest.approx(0.08, abs=5 * row["colour_term_err"])
                assert row["aperture"] != 5.0 or row["colour_term_err"] < 0.02
                error = np.hypot(row["error"], before[row["aperture"]]["error"])
                assert row["value"] == pytest.approx(before[row["aperture"]]["value"], abs=5 * error)
    unset = run(archive, tilted, [1], columns={"colour": "blue"}, colour_term="fit")
    with archive.database.connect() as conn:
        assert zeropoints.details(conn, unset.run_id, 1)[0]["colour_pivot"] == pytest.approx(np.median(reference["blue"]), abs=0.01)


def test_details_tell_how_it_was_found(archive: Archive, reference: Table) -> None:
    report = run(archive, reference, [1], columns={"mag": "{filter}_mag"})
    with archive.database.connect() as conn:
        row = zeropoints.details(conn, report.run_id, 1)[0]
    steps = row["details"]["steps"]
    assert steps["sources"] >= steps["matched"] >= steps["fwhm"] >= row["n_stars"]
    assert row["details"]["spatial"] is None or len(row["details"]["spatial"]["coefficients"]) == 6
    assert (row["system"], row["ab_offset"], row["method"]) == ("AB", 0.0, "sex")
    view = archive.sql("SELECT measure, aperture, value FROM zero_points ORDER BY aperture")
    assert [(r.measure, r.aperture) for r in view][:2] == [("APER", 5.0), ("APER", 7.0)]


def test_magnitudes_that_are_of_something_else_are_noted(archive: Archive, reference: Table, rng: np.random.Generator) -> None:
    strange = reference.copy()
    strange["m600_mag"] = rng.permutation(strange["m600_mag"])
    report = run(archive, strange, [1], magnitude=[None, 90])
    assert any("mag r.m.s.; are these magnitudes of the frame's filter?" in note for _, note in report.notes)
    assert not any("of the frame's filter" in note for _, note in run(archive, reference).notes)


def test_vega_magnitudes_need_an_offset_for_flux_densities(archive: Archive, reference: Table) -> None:
    run(archive, reference, system="vega", ab_offset={"r": 0.16})
    known = {r.filter: (r.n_ujy, r.n_mag) for r in archive.sql(
        "SELECT filter, count(flux_ujy) AS n_ujy, count(mag) AS n_mag FROM light_curve GROUP BY filter")}  # fmt: skip
    assert known["m600"][0] == 0 < known["m600"][1]
    assert known["r"][0] >= known["r"][1] > 0


def test_failures_are_named_and_go_when_they_are_mended(archive: Archive, reference: Table) -> None:
    lacking = reference.copy()
    lacking.remove_column("m600_mag")
    report = run(archive, lacking)
    assert not report.ok
    assert (report.calibrated, len(report.failed)) == (3, 3)
    assert {code for _, code, _ in report.failed} == {"no_reference_magnitude"}
    assert "reference: column with magnitudes of filter 'm600'" in report.failed[0][2]
    assert [r.stage for r in archive.quarantine()] == ["calibrate"] * 3
    assert set(stored(archive)) == set(report.frame_ids)
    run(archive, reference)
    assert len(archive.quarantine()) == 0
    moved = reference.copy()
    moved["dec"] += 1
    assert {code for _, code, _ in run(archive, moved).failed} == {"no_reference_star"}
    few = run(archive, reference, [1, 2], snr=1e5)
    assert {code for _, code, _ in few.failed} == {"too_few_stars"}
    assert "left after each cut: sources" in few.failed[0][2]
    unmeasured = run(archive, reference, [1], method="photutils")
    assert unmeasured.failed[0][1] == "no_catalog"
    assert len(stored(archive)) == 6


def test_a_torn_catalog_fails_alone(archive: Archive, reference: Table) -> None:
    row = archive.sql("SELECT path FROM catalogs WHERE frame_id = 4")[0]
    path = archive.home / row.path
    kept = path.read_bytes()
    path.write_bytes(kept[:500])
    try:
        report = run(archive, reference)
    finally:
        path.write_bytes(kept)
    assert (report.calibrated, [code for _, code, _ in report.failed]) == (5, ["CatalogError"])
    path.rename(path.with_suffix(".away"))
    gone = run(archive, reference)
    path.with_suffix(".away").rename(path)
    assert (gone.skipped, "no whole Parquet file" in gone.failed[0][2] or "does not exist" in gone.failed[0][2]) == (5, True)


def test_stars_can_be_queried(archive: Archive, reference: Table) -> None:
    asked = []

    def query(ra: float, dec: float, radius: float) -> Table:
        asked.append((ra, dec, radius))
        return reference

    report = archive.calibrate(query=query, progress=False)
    assert report.calibrated == 6
    assert len(asked) < 6, "frames of one field share an answer"
    assert all(0 < radius < 0.2 for _, _, radius in asked)
    with archive.database.connect() as conn:
        assert zeropoints.recipe_of(conn, report.run_id)["query"].endswith("query")

    def broken(ra: float, dec: float, radius: float) -> Table:
        raise ConnectionError("no network")

    failed = archive.calibrate([1], query=broken, progress=False).failed
    assert failed[0][1] == "query_failed"
    assert "ConnectionError: no network" in failed[0][2]


def test_stopped_it_goes_on_where_it_was(archive: Archive, reference: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    work, calls = verb.calibrate_frame, []

    def stop_at_the_third(task: Any) -> Any:
        calls.append(task)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return work(task)

    monkeypatch.setattr(verb, "calibrate_frame", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        run(archive, reference, snr=55)
    assert len(stored(archive)) == 2
    open_run = archive.runs()[0]
    assert open_run.ended is None
    report = run(archive, reference, snr=55)
    assert (report.run_id, report.calibrated, report.skipped) == (open_run.run_id, 4, 2)
    assert archive.runs()[0].ended is not None


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_processes_give_the_same(archive: Archive, reference: Table) -> None:
    run(archive, reference)
    alone = stored(archive)
    assert run(archive, reference, again=True, workers=2, figures=True).ok
    assert stored(archive) == alone
    figures = list((archive.home / "figures" / "calibrate").rglob("*.png"))
    assert len(figures) == 6
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in figures)


def test_one_frame_can_be_looked_at_without_storing(archive: Archive, reference: Table) -> None:
    found = calibration_of(archive, 1, reference=reference, selection=StarSelection(snr=40), fit=FitOptions(error="bootstrap"))
    assert set(found.fits) == {"AUTO", "APER", "APER_1", "APER_2", "APER_3"} or set(found.fits) == {"AUTO", "APER", "APER_1"}
    assert found.stars["cut"].size == found.steps["matched"]
    assert stored(archive) == {}


def test_one_column_for_several_filters_is_refused(archive: Archive, reference: Table) -> None:
    with pytest.raises(InputError, match="mag 'r_mag' is one column for frames of filters m600, r; must hold {filter}"):
        run(archive, reference, columns={"mag": "r_mag"})
    frames = DataBrowser(archive).where(filter="r").frames()
    assert run(archive, reference, frames, columns={"mag": "r_mag"}).calibrated == 3


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"method": "circular"}, InputError, "method='circular': must be one of sex, photutils"),
        ({"system": "ST"}, InputError, "system='ST': must be AB or Vega"),
        ({"radius": 1}, InputError, "radius 1: a bare number has no unit"),
        ({"radius": "2 arcmin"}, InputError, "radius='2 arcmin': must be more than 0 and at most 1 arcmin"),
        ({"snt": 20}, UnknownNameError, "option 'snt': did you mean 'snr'"),
        ({"columns": {"magnitude": "r"}}, UnknownNameError, "columns: meaning 'magnitude'"),
        ({"query": print}, InputError, "reference, query: one of the two must be given"),
        ({"snr": -1}, InputError, "snr=-1: must be a positive number"),
        ({"selection": {"snr": 20}}, InputError, "selection: must be a StarSelection, found dict"),
        ({"magnitude": 15}, InputError, "magnitude=15: must be a bright and a fainter limit"),
        ({"ab_offset": 0.1}, InputError, "ab_offset=0.1: must be left out for system='AB'"),
        ({"system": "Vega", "ab_offset": "0.1"}, InputError, "ab_offset='0.1': must be a number, or a mapping"),
        ({"system": "Vega", "ab_offset": {"r": np.nan}}, InputError, "ab_offset={'r': nan}: must be a number, or a mapping"),
        ({"workers": 0}, InputError, "workers=0: must be at least 1"),
        ({"frames": [99]}, InputError, "frame_id 99 is not in this archive"),
    ],
)
def test_wrong_arguments(archive: Archive, reference: Table, options: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        run(archive, reference, **options)
    assert stored(archive) == {}


def test_without_a_reference_and_beside_another(archive: Archive, reference: Table) -> None:
    with pytest.raises(InputError, match="reference, query: one of the two must be given"):
        archive.calibrate()
    with pytest.raises(InputError, match="frame: must be one frame, found 2"):
        calibration_of(archive, [1, 2], reference=reference)
    with Lock(archive.home / verb.LOCK_NAME, what="calibrate"), pytest.raises(LockedError, match="calibrate"):
        run(archive, reference)


def test_forced_measurements_are_calibrated_with_the_frames_zero_points(measured: Archive, reference: Table, toy: ToyArchive) -> None:
    run(measured, reference, [1, 2], again=True)
    stars = toy.truth.stars
    star = stars[(stars["kind"] == "star") & (stars["variability"] == "constant") & (stars["mag"].value > 12)][0]
    place = (star["ra"].value, star["dec"].value)
    measured.forced([place], [1, 2], workers=1, progress=False, aperture_diameter_arcsec=[5.0])
    curve = measured.light_curve(place, method="circular")
    assert len(curve) == 2
    for row in curve:
        five = next(z for z in stored(measured)[row["frame_id"]] if z.aperture == 5.0)
        assert (row["kind"], row["zero_point"].value) == ("forced", five.value)
        wanted = toy.truth.magnitudes(star["star_id"], row["mjd_mid"].value, row["filter"])[0].value
        assert row["mag"].value == pytest.approx(wanted, abs=0.1)
        assert row["mag_limit"].value == pytest.approx(17.3, abs=1.5)
    report = measured.forced([place], [1], method="elliptical", sma=5.0, smi=4.0, theta=20.0, workers=1, progress=False)
    assert report.measured == 1, report
    found = [catalog for catalog in DataBrowser(measured).search(return_type="catalog").catalogs if catalog.method == "elliptical"]
    auto = next(z for z in stored(measured)[1] if z.measure == "AUTO")
    assert [catalog.data["ZP_ELIP"].value[0] for catalog in found] == [auto.value]
    assert np.isfinite(found[0].data["MAGSKY_ELIP"].value[0])
    (point,) = measured.light_curve(place, method="elliptical")
    shown = ("MAGSKY_ELIP", "ZP_ELIP", "ZPERR_ELIP", "UL5SKY_ELIP", "FLUXUJY_ELIP")
    for name, column in zip(("mag", "zero_point", "zero_point_err", "mag_limit", "flux_ujy"), shown, strict=True):
        assert point[name].value == pytest.approx(found[0].data[column].value[0]), name


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_catalogs_of_photutils_calibrate_too(archive: Archive, reference: Table) -> None:
    archive.measure([1], method="photutils", workers=1, progress=False, aperture_diameter_arcsec=[5.0])
    report = run(archive, reference, method="photutils")
    assert (report.calibrated, report.ok) == (1, True)
    assert run(archive, reference, [1]).calibrated == 1
    by_method = {method: next(z for z in stored(archive, method=method)[1] if z.aperture == 5.0) for method in ("sex", "photutils")}
    assert by_method["sex"].value == pytest.approx(by_method["photutils"].value, abs=5 * by_method["sex"].error)
    assert by_method["sex"] != by_method["photutils"]


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_on_postgresql(toy: ToyArchive, reference: Table, tmp_path: Path) -> None:
    url = engines.server().make()
    with Archive.create(tmp_path / "home", roots={"scidata": toy.scidata}, database=url) as archive:
        archive.index(progress=False)
        archive.measure([1, 2], workers=1, progress=False, detection_sigma=3)
        assert run(archive, reference).calibrated == 2
        assert run(archive, reference).skipped == 2
        assert archive.sql("SELECT count(*) AS n FROM zero_points")[0].n == 12
        assert archive.sql("SELECT count(mag) > 100 AS ok FROM light_curve")[0].ok
    engines.server().drop(url)
