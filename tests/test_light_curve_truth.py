"""From simulated pixels to objects and their light curves: constant stars, periods, limits, and not one measurement lost or given twice."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table

from ezarchive import Archive, simulate
from ezarchive.catalogs.match import match_sky
from ezarchive.timeseries.period import find_period

pytestmark = [pytest.mark.truth, pytest.mark.slow, pytest.mark.timeout(600)]
APERTURE = 5.0  # arcsec: 9.9 pixels


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sky")
    return simulate.variable_archive(folder, shape=(1400, 1400), n_epochs=32, density=25, known_background=True)


@pytest.fixture(scope="module")
def archive(sky, tmp_path_factory):
    with Archive.create(tmp_path_factory.mktemp("home"), roots=sky.roots) as made:
        made.index(progress=False)
        assert made.measure(progress=False, workers=2).ok
        stars = sky.truth.stars
        steady = constant(stars)
        reference = Table({"ra": stars["ra"][steady], "dec": stars["dec"][steady], "r_mag": stars["mag"][steady]})
        reference["r_err"] = 1e-4
        made.calibrate(reference=reference, columns={"mag": "{filter}_mag", "mag_err": "{filter}_err"}, progress=False)
        made.associate(progress=False)
        yield made


def constant(stars):
    return (np.asarray(stars["kind"]) == "star") & (np.asarray(stars["variability"]).astype(str) == "constant")


def objects_of(sky, archive):
    """The objects and, for each, the row of the brightest true star within 1.5 arcsec."""
    found = archive.sql("SELECT * FROM object_filters WHERE n_good >= 10").to_pandas()
    stars = sky.truth.stars
    near = match_sky(stars["ra"].value, stars["dec"].value, found["ra"].to_numpy(), found["dec"].to_numpy(), 1.5, nearest=True)
    return found.iloc[near.wanted], near.row


def test_constant_stars_are_constant_to_their_errors(sky, archive):
    found, rows = objects_of(sky, archive)
    steady = constant(sky.truth.stars)[rows]
    assert steady.sum() >= 500
    chi2 = found["chi2_reduced"].to_numpy()[steady]
    assert 0.9 < np.median(chi2) < 1.1
    assert 1.9 < np.median(found["eta"].to_numpy()[steady]) < 2.1
    # The bright ones, whose errors are those of photons and zero points, in particular.
    bright = steady & (found["mag_mean"].to_numpy() < 14)
    assert bright.sum() > 100
    assert 0.85 < np.median(found["chi2_reduced"].to_numpy()[bright]) < 1.15


def test_the_variable_stars_stand_out(sky, archive):
    found, rows = objects_of(sky, archive)
    stars = sky.truth.stars
    chi2 = found["chi2_reduced"].to_numpy()
    varying = np.isin(np.asarray(stars["variability"]).astype(str)[rows], ("sine", "rrlyrae", "eclipsing"))
    assert varying.sum() >= 4
    assert chi2[varying].min() > np.quantile(chi2[constant(stars)[rows]], 0.99)


def test_periods_are_recovered(sky, archive):
    recovered = {}
    for star in sky.truth.variables:
        kind = str(star["variability"])
        if kind not in ("sine", "rrlyrae", "eclipsing"):
            continue
        (number,) = archive.sql(
            "SELECT object_id FROM cone(?, ?, 1.5) ORDER BY separation LIMIT 1", [float(star["ra"].value), float(star["dec"].value)]
        ).to_pandas()["object_id"]  # noqa: E501
        curve = archive.light_curve(int(number), quality="good")
        assert len(curve) > 25
        terms = {"sine": 1, "rrlyrae": 2, "eclipsing": 3}[kind]
        found = find_period(curve["mjd_mid"].value, curve["mag"].value, curve["mag_err"].value, n_terms=terms)
        true = float(star["period"].value)
        candidates = [found.period, found.period / 2, 2 * found.period] if kind == "eclipsing" else [found.period]
        recovered[kind, true] = min(abs(period / true - 1) for period in candidates)
    assert len(recovered) >= 4
    assert max(recovered.values()) < 2e-3, recovered


def test_rows_are_conserved(archive):
    rows = archive.sql("SELECT sum(n_rows) AS n FROM catalogs").to_pandas()["n"][0]
    seen = archive.sql("SELECT count(*) AS n, count(DISTINCT (catalog_id, row)) AS different FROM light_curve").to_pandas()
    assert (seen["n"][0], seen["different"][0]) == (rows, rows)
    pairs = "SELECT object_id, catalog_id FROM light_curve WHERE object_id IS NOT NULL GROUP BY ALL HAVING count(*) > 1"
    twice = archive.sql(f"SELECT count(*) AS n FROM ({pairs})")
    assert twice.to_pandas()["n"][0] == 0


def test_limits_are_where_the_star_is_below_them(sky, archive):
    """A frame shows a star, or says how bright it would have had to be: that is right but for the noise."""
    stars = sky.truth.stars
    faint = constant(stars) & (stars["mag"].value > 15.5) & (stars["mag"].value < 18.3)
    rng = np.random.default_rng(5)
    chosen = rng.choice(np.flatnonzero(faint), 60, replace=False)
    n_limits = n_wrong = 0
    for row in chosen:
        place = (float(stars["ra"][row].value), float(stars["dec"][row].value))
        others = match_sky(stars["ra"].value, stars["dec"].value, [place[0]], [place[1]], 8.0, nearest=False)
        curve = archive.light_curve(place, "2 arcsec", limits=True)
        if len(others.row) > 1 or not len(curve):
            continue
        limit, mag = np.asarray(curve["mag_limit"].value), float(stars["mag"][row].value)
        seen = np.asarray(curve["kind"]) == "detection"
        # One frame a row, and every frame that covers the place.
        assert len(set(curve["frame_id"])) == len(curve)
        # Half a magnitude is beyond 5 sigma of noise at 5 sigma, and what the threshold of detection differs from the aperture's limit.
        n_wrong += np.sum(seen & (mag > limit + 0.75)) + np.sum(~seen & (mag < limit - 0.75))
        n_limits += np.sum(~seen)
    assert n_limits > 100
    assert n_wrong <= 0.01 * n_limits
