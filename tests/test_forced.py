"""Forced photometry of lists of targets on every frame that covers them."""

from __future__ import annotations

import engines
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import QTable

from ezarchive import AperturePhotometry, Archive, DataBrowser, flags, read_catalog
from ezarchive.catalogs.measured import _complete
from ezarchive.catalogs.parquet import read_provenance
from ezarchive.catalogs.views import ELLIPSE_PLACE
from ezarchive.database import queries, targetlists
from ezarchive.errors import InputError, LockedError, UnknownNameError
from ezarchive.files import Lock
from ezarchive.targets import read_targets

postgresql_server, empty_postgresql_url = engines.postgresql_server, engines.empty_postgresql_url
QUIET = {"workers": 1, "progress": False}


@pytest.fixture
def archive(small_archive, tmp_path):
    with Archive.open(small_archive(tmp_path / "home")) as opened:
        yield opened


@pytest.fixture
def measured(archive):
    """An archive whose frames have catalogs and meshes."""
    archive.measure(detection_sigma=5, **QUIET)
    return archive


def catalogs_of(archive, method):
    with archive.database.connect() as conn:
        return {row.frame_id: row for row in queries.catalogs(conn, method=method)}


def brightest(archive, n=5):
    """The brightest clean sources of the first frame."""
    row = next(iter(catalogs_of(archive, "sex").values()))
    table = read_catalog(archive.home / row.path)
    inside = (table["X_IMAGE"].value > 40) & (table["X_IMAGE"].value < 180) & (table["Y_IMAGE"].value > 40) & (table["Y_IMAGE"].value < 160)
    table = table[(table["FLAGS"] == 0) & inside]
    return row, table[np.argsort(-table["FLUX_AUTO"].value)][:n]


def test_at_the_place_of_a_source_the_fluxes_are_those_of_detection(measured):
    row, sources = brightest(measured)
    names = [f"s{i}" for i in range(len(sources))]
    report = measured.forced({"name": names, "ra": sources["ALPHA_J2000"], "dec": sources["DELTA_J2000"]}, **QUIET)
    assert (report.measured, report.failed, report.uncovered) == (2, (), 0)
    made = catalogs_of(measured, "circular")[row.frame_id]
    assert made.apertures == row.apertures
    table = read_catalog(measured.home / made.path)
    table = table[np.argsort(table["NUMBER"])]
    assert table["target_id"].tolist() == names
    assert set(table["sky_source"]) == {"mesh"}
    for name in ("FLUX_APER", "FLUX_APER_2"):  # detection sums over 5 x 5 parts of a pixel, forced photometry exactly
        assert np.allclose(table[name].value, sources[name].value, rtol=0.01)
        error = name.replace("FLUX", "FLUXERR")
        assert np.allclose(table[error].value, sources[error].value, rtol=0.03)  # one noise for the whole image there
    # The mesh is that of the run, so are level and noise.
    assert np.allclose(table["BACKGROUND"].value, sources["BACKGROUND"].value, rtol=1e-3)  # there at the nearest pixel
    assert table.meta["mesh"].startswith(f"maps/{row.run_id}/")


def test_without_a_mesh_a_ring_serves_and_it_is_recorded(measured):
    _, sources = brightest(measured)
    position = SkyCoord(sources["ALPHA_J2000"][:1], sources["DELTA_J2000"][:1])
    measured.forced(position, name="mesh", **QUIET)
    measured.forced(position, name="rings", sky_from="annulus", **QUIET)
    by_mesh, by_ring = (
        [read_catalog(measured.home / row.path) for row in catalogs_with(measured, targets)] for targets in ("mesh", "rings")
    )
    for mesh, ring in zip(by_mesh, by_ring, strict=True):
        assert (mesh["sky_source"][0], ring["sky_source"][0]) == ("mesh", "annulus")
        error = np.hypot(mesh["FLUXERR_APER"][0], ring["FLUXERR_APER"][0])
        assert abs(mesh["FLUX_APER"][0] - ring["FLUX_APER"][0]) < 3 * error
        assert ring["NPIX_ANNULUS_APER"][0].value > 50
        assert ring["FLUXERR_APER"][0] > mesh["FLUXERR_APER"][0]


def catalogs_with(archive, targets):
    """The catalogs of a list, by frame."""
    rows = archive.sql("SELECT path, frame_id FROM catalogs WHERE method = 'circular' ORDER BY frame_id, run_id")
    return [row for row in rows if read_provenance(archive.home / row.path)["parameters"]["name"] == targets]


def test_only_frames_that_cover_a_target_are_measured(archive, tmp_path):
    (first, second) = DataBrowser(archive).where(kind="science").frames()
    away = (first.ra, first.dec + 5)
    report = archive.forced([away], **QUIET)
    assert (report.measured, report.run_id, report.uncovered) == (0, None, 0)
    report = archive.forced([away], [first], **QUIET)
    assert (report.measured, report.uncovered) == (0, 1)
    assert "1 without a target" in str(report)
    assert not archive.runs()
    ids = ["a", "away", "b", "nowhere"]
    listed = [(first.ra, first.dec), away, (first.ra, first.dec + 0.003), (np.nan, 1.0)]
    report = archive.forced(listed, ids=ids, **QUIET)
    assert (report.sources, report.nowhere) == (4, 2)
    assert "2 targets on no frame" in str(report)
    for row in catalogs_of(archive, "circular").values():
        assert sorted(read_catalog(archive.home / row.path)["target_id"]) == ["a", "b"]
    assert archive.forced(listed[0], second.frame_id, name="one", **QUIET).frame_ids == (second.frame_id,)


def test_what_is_done_is_skipped_and_a_list_that_grows_is_measured_anew(archive):
    (frame, _) = DataBrowser(archive).where(kind="science").frames()
    one, two = (frame.ra, frame.dec), (frame.ra, frame.dec + 0.002)
    first = archive.forced([one], name="sn", **QUIET)
    assert archive.forced([one], name="sn", **QUIET).skipped == 2
    grown = archive.forced([one, two], name="sn", **QUIET)
    other = archive.forced([two], **QUIET)
    assert [report.measured for report in (first, grown, other)] == [2, 2, 2]
    with archive.database.connect() as conn:
        rows = queries.catalogs(conn, frame_ids=[frame.frame_id], method="circular")
        lists = targetlists.every(conn)
    assert [row.run_id for row in rows] == [grown.run_id, other.run_id]
    assert [item.n_rows for item in lists] == [1, 2, 1]
    for item in lists:
        assert len(read_targets(archive.home / item.path)) == item.n_rows
    assert archive.verify(progress=False).ok
    (archive.home / rows[0].path).unlink()
    again = archive.forced([one, two], name="sn", **QUIET)
    assert again.frame_ids == (frame.frame_id,)


def test_ellipses_take_their_axes_from_the_list_or_the_call(measured):
    _, sources = brightest(measured, 1)
    ra, dec = sources["ALPHA_J2000"][0].value, sources["DELTA_J2000"][0].value
    table = QTable({"id": ["a", "b"], "ra": [ra, ra], "dec": [dec, dec + 0.0001]})
    table["sma"], table["smi"], table["theta"] = [4.0, 6.0], [3.0, 5.0], [10.0, 80.0]
    assert measured.forced(table, method="elliptical", **QUIET).measured == 2
    both = [read_catalog(measured.home / row.path) for row in catalogs_of(measured, "elliptical").values()]
    for made in both:
        made.sort("NUMBER")
        assert np.allclose(made["SMA_WORLD"].value, [4, 6], rtol=1e-3)
        assert np.allclose(made["THETA_SKY"].value, [10, 80], atol=0.1)
        assert np.all(made["FLUX_ELIP"] > 0)
    assert measured.forced(table, method="elliptical", sma=4, smi=4, theta=0, **QUIET).measured == 2
    with pytest.raises(InputError, match="sma: must be given, or be a column 'sma' of the targets, whose other columns are: none"):
        measured.forced(table["id", "ra", "dec"], method="elliptical", **QUIET)
    with pytest.raises(InputError, match=r"theta: must be one number or one for each of the 2 targets, found shape \(3,\)"):
        measured.forced(table, method="elliptical", theta=[1, 2, 3], **QUIET)


def test_positions_in_pixels_need_frames(archive):
    frames = DataBrowser(archive).where(kind="science").frames()
    with pytest.raises(InputError, match="targets: positions in pixels need frames="):
        archive.forced([(100, 100)], unit="pixel", **QUIET)
    report = archive.forced([(100, 100), (-500, 3)], frames, unit="pixel", aperture_diameter_pixel=8, **QUIET)
    assert report.sources == 4
    table = read_catalog(archive.home / catalogs_of(archive, "circular")[frames.frame_ids[0]].path)
    table.sort("NUMBER")
    assert table["PIXSIZE_APER_5"][0].value == 8
    assert table["FLAGS_APER_5"][1] & flags.value(flags.FLAGS_APER, "OFF_IMAGE")
    assert table["target_id"].tolist() == ["0", "1"]


def test_no_pixel_but_those_of_the_cutouts_is_read(measured, monkeypatch):
    from ezarchive.images.image import Image

    def refuse(self):
        raise AssertionError("the whole frame was read")

    monkeypatch.setattr(Image, "load", refuse)
    _, sources = brightest(measured, 1)
    report = measured.forced([(sources["ALPHA_J2000"][0].value, sources["DELTA_J2000"][0].value)], **QUIET)
    assert report.ok


def test_a_frame_that_fails_is_reported_and_resolved_later(archive):
    (frame, _) = DataBrowser(archive).where(kind="science").frames()
    content = frame.path.read_bytes()
    frame.path.write_bytes(content[:2880])
    report = archive.forced([(frame.ra, frame.dec)], **QUIET)
    assert (report.measured, [item[0] for item in report.failed]) == (1, [str(frame.path)])
    (entry,) = archive.quarantine()
    assert entry.stage == "forced"
    frame.path.write_bytes(content)
    assert archive.forced([(frame.ra, frame.dec)], **QUIET).measured == 1
    assert not archive.quarantine()


def test_a_mesh_that_is_damaged_fails_its_frame_and_one_that_is_gone_gives_way_to_a_ring(measured):
    (one, two) = DataBrowser(measured).where(kind="science").frames()
    with measured.database.connect() as conn:
        paths = {row.frame_id: measured.home / row.path for row in queries.products(conn, [one.frame_id, two.frame_id], "background")}
    paths[one.frame_id].write_bytes(b"PK")
    paths[two.frame_id].unlink()
    report = measured.forced([(one.ra, one.dec)], **QUIET)
    assert [code for _, code, _ in report.failed] == ["bad_map"]
    (row,) = catalogs_of(measured, "circular").values()
    assert read_catalog(measured.home / row.path)["sky_source"][0] == "annulus"


def test_sources_of_the_catalog_are_neighbours(measured):
    _, sources = brightest(measured, 1)
    beside = (sources["ALPHA_J2000"][0].value, sources["DELTA_J2000"][0].value + 2 / 3600)
    measured.forced([beside], name="with", **QUIET)
    measured.forced([beside], name="without", neighbours=False, **QUIET)
    bit = flags.value(flags.FLAGS_APER, "NEIGHBOUR")
    first, second = (read_catalog(measured.home / catalogs_with(measured, name)[0].path)["FLAGS_APER_2"][0] for name in ("with", "without"))
    assert first & bit
    assert not second & bit


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"method": "sex"}, InputError, "method='sex': must be one of circular, elliptical"),
        ({"sky_from": "map"}, InputError, "sky_from='map': must be one of mesh, annulus"),
        ({"aperture_arcsec": 5}, UnknownNameError, "option 'aperture_arcsec'"),
        ({"aperture_diameter_arcsec": -5}, InputError, "aperture_diameter_arcsec=-5: must be finite and positive"),
        ({"aperture_diameter_arcsec": 0}, InputError, "aperture_diameter_arcsec=0: must be finite and positive"),
        ({"annulus_width_arcsec": [1, 2]}, InputError, "annulus_width: must be one number, or one for each of the 5 apertures, found 2"),
        ({"annulus_width_arcsec": 1, "annulus_width_pixel": 2}, InputError, "annulus_width: must be given in arcsec or in pixels"),
        ({"theta_frame": "image"}, InputError, "theta_frame: must be 'pixel' or 'sky', found 'image'"),
        ({"executor": "threads"}, InputError, "executor='threads': must be"),
        ({"workers": 0}, InputError, "workers=0"),
    ],
)
def test_wrong_arguments(archive, given, error, message):
    with pytest.raises(error, match=message):
        archive.forced([(326.0, -77.0)], **{**QUIET, **given})
    assert not archive.runs()


def test_a_ring_within_its_aperture_fails_every_frame_by_name(archive):
    (frame, _) = DataBrowser(archive).where(kind="science").frames()
    here = [(frame.ra, frame.dec)]
    with pytest.raises(InputError, match="the ring must not reach into its aperture, found an inner radius of 1 arcsec for one of 5"):
        archive.forced(here, annulus_width_arcsec=3, annulus_inner_arcsec=1, **QUIET)
    assert not archive.runs()
    report = archive.forced(here, annulus_width_pixel=3, annulus_inner_pixel=1, **QUIET)  # told by the scale of each frame
    assert {code for _, code, _ in report.failed} == {"InputError"}
    assert "the ring must not reach into its aperture" in report.failed[0][2]


def test_a_light_curve_takes_one_point_a_frame_though_two_lists_hold_the_target(archive):
    (frame, _) = DataBrowser(archive).where(kind="science").frames()
    here = (frame.ra, frame.dec)
    archive.forced([here], **QUIET)
    newer = archive.forced([here, (frame.ra, frame.dec + 0.002)], **QUIET)
    curve = archive.light_curve(here, "1 arcsec")
    assert len(curve) == 2
    assert set(curve["run_id"]) == {newer.run_id}
    assert set(curve["kind"]) == {"forced"}


def test_light_curves_and_sql_of_ellipses(measured):
    _, sources = brightest(measured, 1)
    ra, dec = sources["ALPHA_J2000"][0].value, sources["DELTA_J2000"][0].value
    targets = {"id": ["host", "off"], "ra": [ra, ra], "dec": [dec, dec + 0.002]}
    measured.forced(targets, method="elliptical", sma=4, smi=3, theta=20, **QUIET)
    circles = measured.light_curve((ra, dec), "1 arcsec")
    assert set(circles["kind"]) == {"detection"}
    assert circles.meta["notes"] == ("(2 of 4 catalogs hold ellipses and give no rows; method 'elliptical' shows them alone)",)
    curve = measured.light_curve((ra, dec), "1 arcsec", method="elliptical")
    tables = {frame_id: read_catalog(measured.home / row.path) for frame_id, row in catalogs_of(measured, "elliptical").items()}
    assert sorted(curve["frame_id"]) == sorted(tables)
    assert (set(curve["kind"]), curve["aperture_arcsec"].mask.all(), curve["flags"].mask.all()) == ({"forced"}, True, True)
    assert (curve.meta["aperture"], curve.meta["notes"]) == (None, ())
    for point in curve:
        table = tables[point["frame_id"]]
        row = table[table["target_id"] == "host"][0]
        assert point["flux"].value == pytest.approx(row["FLUX_ELIP"].value / point["exptime"].value)
        assert point["flags_aper"] == row["FLAGS_ELIP"]
    assert curve["zero_point"].mask.all()
    run_id = int(curve["run_id"][0])
    assert len(measured.light_curve((ra, dec), "1 arcsec", run=run_id)) == 2  # a run is of one method
    assert measured.sql("SELECT count(*) AS n FROM light_curve", method="elliptical")[0].n == 4
    measured.forced(targets, name="round", aperture_diameter_arcsec=[5.0], **QUIET)
    query = "SELECT target_id, mjd_mid, FLUX_APER, FLUX_ELIP FROM measurements WHERE target_id = 'host' ORDER BY FLUX_APER NULLS LAST"
    rows = list(measured.sql(query))
    assert [(row.target_id, row.FLUX_APER is None, row.FLUX_ELIP is None) for row in rows] == [("host", n > 1, n < 2) for n in range(4)]
    # Files with every column are opened without a look at each footer.
    for method, place in (("circular", 0), ("elliptical", ELLIPSE_PLACE)):
        assert all(_complete(str(measured.home / row.path), place, method) for row in catalogs_of(measured, method).values())


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_on_postgresql(toy_sky, tmp_path, empty_postgresql_url):
    with Archive.create(tmp_path / "home", roots={"scidata": toy_sky.scidata}, database=empty_postgresql_url) as archive:
        archive.index(progress=False, workers=1)
        frames = DataBrowser(archive).where(kind="science").frames()
        archive.measure(frames.target_images[0], **QUIET)
        here = (frames.target_images[0].ra, frames.target_images[0].dec)
        report = archive.forced([here], name="sn", **QUIET)
        assert (report.measured, report.failed) == (2, ())
        assert archive.forced([here], name="sn", **QUIET).skipped == 2
        rows = [read_catalog(archive.home / row.path) for row in catalogs_of(archive, "circular").values()]
        assert sorted(row["sky_source"][0] for row in rows) == ["annulus", "mesh"]
        catalog = AperturePhotometry().circular_photometry(frames.target_images[1], *here, unit="coord", verbose=False)
        assert frames.target_images[1].frame_id == catalog.frame_id
        assert archive.pin(report.run_id) == 2
        assert archive.pin(None, method="circular") == 2
        assert archive.verify(progress=False).ok
    frames.target_images[0]._handle.database.dispose()


def test_only_one_batch_at_a_time(archive):
    with Lock(archive.home / ".measure.lock", what="measure"), pytest.raises(LockedError, match="measure"):
        archive.forced([(326.0, -77.0)], **QUIET)


def test_each_width_of_a_ring_has_its_circle(archive):
    (frame, _) = DataBrowser(archive).where(kind="science").frames()
    options = {"aperture_diameter_arcsec": [4, 8], "aperture_diameter_seeing": None}
    archive.forced([(frame.ra, frame.dec)], [frame], annulus_width_arcsec=[3, 6], **options, **QUIET)
    table = read_catalog(archive.home / catalogs_of(archive, "circular")[frame.frame_id].path)
    scale = frame.frame.pixel_scale
    for suffix, radius, width in (("", 2, 3), ("_1", 4, 6)):
        ring = np.pi * ((radius + width) ** 2 - radius**2) / scale**2
        assert table[f"NPIX_ANNULUS_APER{suffix}"][0].value == pytest.approx(ring, rel=0.25)
        assert table[f"PIXSIZE_APER{suffix}"][0].value == pytest.approx(2 * radius / scale, rel=1e-5)


def test_a_scaled_frame_is_read_as_numbers(archive):
    (frame, other) = DataBrowser(archive).where(kind="science").frames()
    with fits.open(frame.path) as hdus:
        data, header = hdus[0].data.copy(), hdus[0].header.copy()
    hdu = fits.PrimaryHDU(np.clip(data, 0, 65535).astype("u2"), header)
    archive.forced([(frame.ra, frame.dec)], [frame], name="float", **QUIET)
    hdu.writeto(frame.path, overwrite=True)
    assert archive.forced([(frame.ra, frame.dec)], [frame], name="unsigned", **QUIET).ok
    floats, unsigned = (read_catalog(archive.home / catalogs_with(archive, name)[0].path) for name in ("float", "unsigned"))
    assert unsigned["FLUX_APER_2"][0].value == pytest.approx(floats["FLUX_APER_2"][0].value, abs=0.5 * floats["FLUXERR_APER_2"][0].value)
