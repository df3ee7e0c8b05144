"""The demonstration's stars against their truth: fluxes with honest errors, and curves that follow the stars."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from ezarchive import Archive, Image, simulate
from ezarchive.photometry.detection import SexOptions, sex

pytestmark = [pytest.mark.truth, pytest.mark.slow, pytest.mark.timeout(120)]
ARCSEC = (5.0, 7.0, 10.0)


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    return simulate.toy_archive(
        tmp_path_factory.mktemp("truth"), targets=simulate.TARGETS[:1], filters=("m600", "r"), n_epochs=4, known_background=True
    )


@pytest.fixture(scope="module")
def archive(sky, tmp_path_factory):
    with Archive.create(tmp_path_factory.mktemp("home"), roots=sky.roots) as made:
        made.index(progress=False)
        assert made.measure(progress=False, workers=2).ok
        yield made


def pulls_of(sky, relpath, noise):
    """Aperture flux minus noise-free flux in units of the quoted error, of isolated unsaturated stars with S/N > 20."""
    truth = sky.truth.frame(relpath)
    image = Image(sky.scidata / relpath)
    level = truth.background()
    gain = truth.exposure.gain
    diameters = tuple(np.array(ARCSEC) / image.pixel_scale)
    table = sex(image.data - level, SexOptions(detect_thresh=2, phot_apertures=diameters, gain=gain), noise=noise, background=level)
    sources = truth.sources
    wanted = sources["isolated"] & ~sources["saturated"] & sources["on_frame"] & (sources["snr"] > 20) & (sources["kind"] != "galaxy")
    found = np.column_stack([table["X_IMAGE"].value, table["Y_IMAGE"].value])
    distance, index = cKDTree(found).query(np.column_stack([sources["x"][wanted], sources["y"][wanted]]), distance_upper_bound=1)
    near = np.isfinite(distance)
    assert near.mean() > 0.95
    values = {}
    for number, arcsec in enumerate(ARCSEC):
        suffix = f"_{number}" if number else ""
        flux, error = (table[f"{name}_APER{suffix}"].value[index[near]] for name in ("FLUX", "FLUXERR"))
        values[arcsec] = (flux - truth.flux(arcsec)[wanted][near]) / error
    return values


def test_aperture_fluxes_have_honest_errors(sky):
    frames = sky.truth.frames[sky.truth.frames["root"] == "scidata"]
    each = [pulls_of(sky, str(row["relpath"]), row["sky_sigma"].value) for row in frames]
    for arcsec in ARCSEC:
        pulls = np.concatenate([values[arcsec] for values in each])
        assert len(pulls) > 200
        assert abs(pulls.mean()) < 0.15, arcsec
        assert 0.85 < pulls.std() < 1.2, arcsec


def test_the_curves_of_the_variable_stars_follow_their_truth(sky, archive):
    followed = 0
    for star in sky.truth.variables:
        curve = archive.light_curve((star["ra"].value, star["dec"].value), "1.5 arcsec")
        curve = curve[(np.asarray(curve["flags"]) == 0) & ~np.isnan(np.ma.filled(np.ma.asarray(curve["mag"].value), np.nan))]
        curve = curve[np.asarray(curve["snr"]) > 20]
        if len(curve) < 12:
            continue
        expected = sky.truth.magnitudes(star["star_id"], curve["mjd_mid"], curve["filter"]).value
        pulls = (np.asarray(curve["mag"].value) - expected) / np.asarray(curve["mag_err"].value)
        amplitude = np.ptp(expected[np.asarray(curve["filter"]) == "r"])
        assert abs(np.median(pulls)) < 1.5
        assert np.median(np.abs(pulls)) < 2
        if amplitude > 0.1:
            assert np.corrcoef(np.asarray(curve["mag"].value), expected)[0, 1] > 0.9
            followed += 1
    assert followed >= 2


def test_times_are_those_of_mid_exposure(sky, archive):
    rows = archive.sql("SELECT path, mjd_mid FROM frames WHERE kind = 'science'").to_pandas().set_index("path")["mjd_mid"]
    truth = sky.truth.frames
    for relpath, root, mjd in zip(truth["relpath"], truth["root"], truth["mjd_mid"], strict=True):
        if root == "scidata":
            assert abs(rows[str(sky.scidata / str(relpath))] - getattr(mjd, "value", mjd)) < 1e-6
