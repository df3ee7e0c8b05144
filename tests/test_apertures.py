"""Aperture photometry of the quick look in an archive: measured on frames, kept once, linked to frames, asked for by SQL."""

from __future__ import annotations

import engines
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import QTable
from astropy.wcs import WCS
from regions import CircleSkyRegion

from ezarchive import Archive, DataBrowser
from ezarchive.errors import InputError, UnknownNameError
from ezarchive.quicklook import Annulus, PhotometryResults, aperture_photometry
from ezarchive.quicklook.regions.shapes import Circle

postgresql_server, postgresql_url = engines.postgresql_server, engines.postgresql_url
sqlite_url, url = engines.sqlite_url, engines.url

STAR = SkyCoord(10.001, -20.001, unit="deg")
REGION = CircleSkyRegion(STAR, 3 * u.arcsec)
FLUX = {"2025-09-01": 900.0, "2025-09-02": 1200.0, "2025-09-04": 600.0}


def frame(path, night, dx, filter_name="m600"):
    """Write a frame with a star of known flux, pointed elsewhere by some pixels."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = ["RA---TAN", "DEC--TAN"], [10, -20], [40 + dx, 40], [-1.4e-4, 1.4e-4]
    x, y = wcs.world_to_pixel(STAR)
    gy, gx = np.mgrid[:80, :90]
    data = 20 + FLUX[night] / (2 * np.pi) * np.exp(-((gx - x) ** 2 + (gy - y) ** 2) / 2)
    header = wcs.to_header()
    header.update({"OBJECT": "T01", "TELESCOP": "7DT", "FILTER": filter_name, "DATE-OBS": f"{night}T23:30:00", "EXPTIME": 60.0})
    header["BUNIT"] = "electron/s"
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.PrimaryHDU(data, header).writeto(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three nights' frames of one star."""
    made = tmp_path_factory.mktemp("apertures") / "sci"
    for k, night in enumerate(FLUX):
        frame(made / f"{night}.fits", night, 3.3 * k)
    return made


@pytest.fixture
def archive(folder, tmp_path):
    """An archive of them."""
    with Archive.create(tmp_path / "home", roots={"sci": {"path": folder, "layout": ""}}) as made:
        made.index(progress=False)
        yield made


def test_a_light_curve_by_sql(folder, tmp_path, url):
    with Archive.create(tmp_path / "home", roots={"sci": {"path": folder, "layout": ""}}, database=url) as archive:
        archive.index(progress=False)
        table = archive.aperture_photometry(region=REGION, background=Annulus(8, 5), counts_factor=0.5)
        np.testing.assert_allclose(table["sum"].to_value("electron/s"), list(FLUX.values()), rtol=2e-3)
        rows = archive.sql("SELECT night, filter, sum, sum_unit, n_bad FROM aperture_photometry WHERE objname = 'T01' ORDER BY mjd_mid")
        found = rows.to_arrow().to_pylist()
        assert [row["night"] for row in found] == list(FLUX)
        np.testing.assert_array_equal([row["sum"] for row in found], table["sum"].value)
        assert {(row["filter"], row["sum_unit"], row["n_bad"]) for row in found} == {("m600", "electron / s", 0)}
        joined = archive.sql("SELECT count(*) FROM aperture_photometry JOIN frames USING (frame_id) WHERE frames.exptime = 60")
        assert next(iter(joined))[0] == 3
        assert "look" in {row["method"] for row in archive.runs().to_arrow().to_pylist()}
        saved = archive.saved_photometry()
        assert saved["ra_center"].unit == u.deg
        again = PhotometryResults(saved)
        np.testing.assert_array_equal(again.to_table()["sum"].value, table["sum"].value)
        assert again.to_table()["sum"].unit == u.electron / u.s
        assert archive.save_photometry(again).saved == 0


def test_results_of_a_session_are_linked_to_frames(archive, folder):
    results = PhotometryResults(aperture_photometry(folder / "2025-09-02.fits", [REGION, Circle(9, 9, 3)]))
    results.append(aperture_photometry(np.ones((9, 9)), Circle(4, 4, 2)))
    done = archive.save_photometry(results)
    assert (done.saved, done.known, done.n_frames) == (3, 0, 1)
    assert f"3 rows saved, 0 already there; 1 frames; run {done.run_id}" in str(done)
    again = archive.save_photometry(results)
    assert (again.run_id, again.saved, again.known) == (None, 0, 3)
    results.append(aperture_photometry(np.ones((9, 9)), Circle(4, 4, 1)))
    more = archive.save_photometry(results)
    assert (more.saved, more.known) == (1, 3)
    rows = archive.sql("SELECT frame_id, night, data_label, subset_label FROM aperture_photometry").to_arrow().to_pylist()
    assert [row["night"] for row in rows] == ["2025-09-02", "2025-09-02", None, None]
    assert rows[2] == {"frame_id": None, "night": None, "data_label": "image", "subset_label": "Subset 1"}
    frame_id = rows[0]["frame_id"]
    assert archive.saved_photometry([frame_id])["subset_label"].tolist() == ["Subset 1", "Subset 2"]
    assert len(archive.saved_photometry(run=more.run_id)) == 1
    with pytest.raises(UnknownNameError, match="run '99'"):
        archive.saved_photometry(run=99)


def test_frames_of_a_browser_and_without_saving(archive):
    browser = DataBrowser(archive).where(night="2025-09-04")
    table = archive.aperture_photometry(browser, [REGION, Circle(20, 20, 4)], save=False, background=20.0)
    assert isinstance(table, QTable)
    assert len(table) == 2
    assert table["sum"][1].value == pytest.approx(0, abs=1e-9)
    assert len(archive.saved_photometry()) == 0


@pytest.mark.parametrize("together", [1, 2, 3, 100])
def test_rows_are_saved_part_by_part_in_one_run(archive, monkeypatch, together):
    monkeypatch.setattr("ezarchive.apertures._TOGETHER", together)
    table = archive.aperture_photometry(region=[REGION, Circle(20, 20, 4)], background=20.0)
    kept = archive.saved_photometry()
    assert len(set(kept["run_id"])) == 1
    np.testing.assert_allclose(kept["sum"], table["sum"].value)
    assert archive.save_photometry(table).known == 6


@pytest.mark.parametrize("together", [1, 100])
def test_what_was_measured_before_an_interruption_is_kept(archive, monkeypatch, together):
    monkeypatch.setattr("ezarchive.apertures._TOGETHER", together)
    done = []

    def measured(*args, **options):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(aperture_photometry(*args, **options))
        return done[-1]

    monkeypatch.setattr("ezarchive.apertures.photometry.aperture_photometry", measured)
    with pytest.raises(KeyboardInterrupt):
        archive.aperture_photometry(region=REGION, background=20.0)
    assert len(archive.saved_photometry()) == 2
    (run,) = archive.runs().to_pandas().to_dict("records")
    assert run["ended"]


def test_images_of_a_frame_set_are_measured_by_the_free_function(archive):
    frames = DataBrowser(archive).where(objname="T01").frames()
    table = aperture_photometry(frames, REGION, background=20.0)
    np.testing.assert_allclose(sorted(table["sum"].value), sorted(FLUX.values()), rtol=2e-3)
    assert archive.save_photometry(table).n_frames == 3
    one = aperture_photometry(frames.target_images[0], REGION)
    assert one["file"][0].endswith(".fits")


def test_a_withdrawn_run_does_not_count(archive):
    archive.aperture_photometry(region=REGION)
    (run,) = set(archive.saved_photometry()["run_id"].tolist())
    assert archive.withdraw(run).n_photometry == 3
    assert len(archive.saved_photometry()) == 0
    assert archive.withdraw(run, restore=True).n_photometry == 3
    assert len(archive.saved_photometry()) == 3


def test_a_frame_that_is_gone_is_a_row_with_a_reason(tmp_path):
    for night in ("2025-09-01", "2025-09-02"):
        frame(tmp_path / "sci" / f"{night}.fits", night, 0.0)
    with Archive.create(tmp_path / "home", roots={"sci": {"path": tmp_path / "sci", "layout": ""}}) as archive:
        archive.index(progress=False)
        (tmp_path / "sci" / "2025-09-01.fits").unlink()
        table = archive.aperture_photometry(region=REGION)
        assert sorted(bool(text) for text in table["reason"]) == [False, True]
        rows = archive.sql("SELECT night, reason, sum FROM aperture_photometry ORDER BY night").to_arrow().to_pylist()
        assert [row["night"] for row in rows] == ["2025-09-01", "2025-09-02"]
        assert "2025-09-01.fits" in rows[0]["reason"]
        assert rows[0]["sum"] is None


def test_what_is_refused(archive):
    with pytest.raises(InputError, match="No data for aperture photometry: region must be given"):
        archive.aperture_photometry()
    with pytest.raises(InputError, match="No data for aperture photometry: frames must hold one"):
        archive.aperture_photometry([], REGION)
    with pytest.raises(InputError, match="counts_factor: cannot be negative"):
        archive.aperture_photometry(region=REGION, counts_factor=-1)
    with pytest.raises(InputError, match="results: must be PhotometryResults or a table"):
        archive.save_photometry([1])
    assert len(archive.saved_photometry()) == 0
