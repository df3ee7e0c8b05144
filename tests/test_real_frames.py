"""Real frames, from the tree to the light curve, beside what source-extractor measured on them."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table
from scipy.spatial import cKDTree

from ezarchive import Archive, DataBrowser, read_catalog

pytestmark = [pytest.mark.oracle, pytest.mark.slow, pytest.mark.timeout(120)]

# Name of the catalog, file, options as in oracle/make_oracle.sh.
DECAM = {"aperture_diameter_pixel": [19.04, 26.66, 38.08], "gain": 3.984046692260535}
NIRCAM = {"aperture_diameter_pixel": [10, 15, 25], "gain": 0}
ORACLES = {
    **{f"DEC-OBS04{letter}": (f"DEC-OBS04{letter}.mini.fits", DECAM) for letter in "abcde"},
    "nircam_f200w": ("jw01324001001-01324-o001_t001_nircam_clear-f200w_i2d_stamp.fits", NIRCAM),
    "sep_image": ("image.fits", {"aperture_diameter_pixel": [10, 15, 20], "gain": 1}),
}
SETTINGS = {"detection_sigma": 3, "aperture_diameter_arcsec": None, "aperture_diameter_seeing": None, "workers": 1, "progress": False}


@pytest.fixture(scope="module")
def archive(real_data, tmp_path_factory):
    home = tmp_path_factory.mktemp("real") / "home"
    with Archive.create(home, roots={"real": {"path": real_data, "layout": "{telname}", "kind": "science"}}) as made:
        report = made.index(progress=False)
        assert report.new == 9, report
        yield made


def frame_of(archive, name):
    (frame,) = DataBrowser(archive).where(kind="science").search(name, return_type="science", verbose=False)
    return frame


def test_every_file_is_a_frame_of_its_kind(archive):
    rows = archive.sql("SELECT telname, kind, count(*) AS n FROM frames GROUP BY ALL ORDER BY ALL").to_pandas()
    assert [tuple(row) for row in rows.itertuples(index=False)] == [
        ("decam", "science", 5), ("irac", "science", 1), ("nircam", "errormap", 1), ("nircam", "science", 1), ("sep", "science", 1),
    ]  # fmt: skip
    decam = DataBrowser(archive).where(telname="decam").frames()
    assert {frame.filter for frame in decam} == {"i"}
    assert len({frame.frame.mjd_mid for frame in decam}) == 1
    assert not archive.quarantine()


@pytest.mark.parametrize("name", ORACLES)
def test_sources_and_fluxes_agree_with_source_extractor(archive, real_data, name):
    file, options = ORACLES[name]
    report = archive.measure(frame_of(archive, file), **SETTINGS, **options)
    assert report.ok
    (path,) = archive.sql("SELECT path FROM catalogs WHERE run_id = ?", [report.run_id], run=report.run_id).to_pandas()["path"]
    ours = read_catalog(archive.home / path)
    theirs = Table.read(real_data / "oracle" / f"{name}.CORRECT.cat", format="ascii.sextractor")
    positions = [np.column_stack([np.asarray(table[name], float) for name in ("X_IMAGE", "Y_IMAGE")]) for table in (ours, theirs)]
    positions[1] -= 1  # theirs are 1-based
    distance, index = cKDTree(positions[0]).query(positions[1], distance_upper_bound=0.5)
    matched = np.isfinite(distance)
    assert matched.all()
    assert len(ours) == len(theirs)
    np.testing.assert_array_equal(np.asarray(ours["FLAGS"])[index] & ~4, theirs["FLAGS"] & ~4)
    clean = matched & (np.asarray(theirs["FLAGS"]) == 0)
    mine = ours[index[clean]]
    for column in ("FLUX_AUTO", "FLUX_APER", "FLUX_APER_1", "FLUX_APER_2"):
        expected = np.asarray(theirs[column], float)[clean]
        relative = np.abs(np.asarray(mine[column].value) / expected - 1)
        assert np.median(relative) < 1e-5, column
        assert np.percentile(relative, 90) < 1e-3, column
    offset = np.abs(positions[0][index[clean]] - positions[1][clean])
    assert np.median(offset) < 1e-4


def test_the_five_rows_of_one_star_come_from_one_query(archive):
    decam = DataBrowser(archive).where(telname="decam").frames()
    report = archive.measure(decam, detection_sigma=3, aperture_diameter_arcsec=5, workers=1, progress=False)
    assert report.ok
    rows = archive.sql(
        """
        WITH one AS (SELECT ra, dec FROM light_curve WHERE flags = 0 ORDER BY flux DESC LIMIT 1)
        SELECT lc.frame_id, lc.mjd_mid, lc.filter, lc.flux, lc.flux_err, f.path AS file
        FROM light_curve lc JOIN frames f USING (frame_id), one
        WHERE angular_separation(lc.ra, lc.dec, one.ra, one.dec) * 3600 < 1
        ORDER BY file
        """
    ).to_pandas()
    assert len(rows) == 5
    assert rows["frame_id"].nunique() == 5
    assert rows["mjd_mid"].nunique() == 1
    # The same star through five exposures: the flux scale differs by the transparency only.
    assert rows["flux"].std() / rows["flux"].mean() < 0.2
    assert (rows["flux_err"] > 0).all()
    # The same from Python.
    bright = archive.sql("SELECT ra, dec FROM light_curve WHERE flags = 0 ORDER BY flux DESC LIMIT 1").to_pandas().iloc[0]
    curve = archive.light_curve((bright["ra"], bright["dec"]), "1 arcsec")
    assert sorted(curve["frame_id"]) == sorted(rows["frame_id"])


def test_a_galactic_wcs_is_found_by_its_equatorial_position(archive):
    frame = frame_of(archive, "spitzer_example_image.fits")
    assert frame.frame.wcs_ok
    found = DataBrowser(archive).covering((frame.frame.ra, frame.frame.dec)).paths()
    assert [str(frame.path)] == [str(path) for path in found]
    # The header's own words of its centre are those of the mosaic it was cut from: only near.
    assert abs(frame.frame.ra - 275.9) < 2
    assert abs(frame.frame.dec + 13.3) < 2
