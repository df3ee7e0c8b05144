"""Surveys without pixels: what is measured agrees with the truth."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive import simulate
from ezarchive.errors import InputError, UnknownNameError
from ezarchive.simulate import SurveyPlan, VariableSurvey
from ezarchive.sky import separation


@pytest.fixture(scope="module")
def survey():
    return simulate.measurements(n_constant=300, n_nights=30, filters=("g", "r"), telescopes=("A", "B"), seed=3)


@pytest.mark.truth
def test_pulls_are_normal(survey):
    bright = survey.mag_true < survey.limit - 2
    pulls = ((survey.mag - survey.mag_true) / survey.mag_err)[bright]
    assert abs(pulls.mean()) < 0.05
    assert abs(pulls.std() - 1) < 0.03


@pytest.mark.truth
def test_every_star_is_detected_or_missed_on_every_frame(survey):
    seen = np.stack([survey.star, survey.frame])
    missed = np.stack([survey.missed_star, survey.missed_frame])
    both = np.concatenate([seen, missed], axis=1)
    assert both.shape[1] == len(survey.stars) * len(survey.frames)
    assert len(np.unique(both, axis=1).T) == both.shape[1]
    assert np.all(survey.flux / (10 ** (-0.4 * (survey.limit - (survey.mag - survey.mag_inst))) / 5) >= 5 - 1e-9)


@pytest.mark.truth
def test_positions_scatter_as_stated_also_at_the_pole():
    found = simulate.measurements(n_constant=60, variables={}, n_nights=30, centre=(10.0, 89.9), radius=0.5, bright=10, depth=19, seed=5)
    bright = found.mag_true < 15
    stars = found.stars[found.star[bright]]
    away = separation(found.ra[bright], found.dec[bright], stars["ra"].value, stars["dec"].value) * 3600
    assert np.sqrt(np.mean(away**2) / 2) == pytest.approx(0.05, rel=0.1)
    assert np.all(separation(found.stars["ra"].value, found.stars["dec"].value, 10.0, 89.9) <= 0.5 + 1e-9)


@pytest.mark.truth
def test_stars_are_apart_and_frames_in_order(survey):
    ra, dec = survey.stars["ra"].value, survey.stars["dec"].value
    apart = separation(ra[:, None], dec[:, None], ra, dec) * 3600 + 1e9 * np.eye(len(ra))
    assert apart.min() > 10
    assert np.all(np.diff(survey.frames["mjd_mid"].value) > 0)
    assert len(set(survey.frames["night"])) == 30
    assert survey.frames["night"][0] == "2025-08-31"
    assert set(survey.frames["telname"]) == {"A", "B"}


@pytest.mark.truth
@pytest.mark.parametrize("kind", ["sine", "rrlyrae", "eclipsing", "transient"])
def test_variables_vary_as_told(survey, kind):
    row = int(np.flatnonzero(survey.stars["variability"] == kind)[0])
    curve = survey.of(row, "r")
    assert np.all(np.diff(curve["mjd"]) > 0)
    assert set(curve["filter"]) == {"r"}
    star = survey.stars[row]
    if kind == "transient":
        assert curve["mjd"].min() > star["epoch"].value
        assert curve["mag_true"].min() > star["mag"].value - 0.01
        assert row in survey.missed_star
    else:
        assert np.ptp(curve["mag_true"]) <= star["amplitude"].value + 1e-9
        assert np.ptp(curve["mag_true"]) > 0.3 * star["amplitude"].value


@pytest.mark.pure
def test_frames_do_not_depend_on_each_other():
    survey = VariableSurvey(SurveyPlan(n_constant=20, n_nights=4), seed=9)
    whole, part = survey.measure(), survey.measure([3])
    rows = whole.frame == 3
    for name in ("star", "mag", "ra", "dec", "flux_err"):
        np.testing.assert_array_equal(getattr(whole, name)[rows], getattr(part, name))
    again = VariableSurvey(SurveyPlan(n_constant=20, n_nights=4), seed=9).measure()
    np.testing.assert_array_equal(whole.mag, again.mag)


@pytest.mark.pure
def test_a_field_without_stars_has_no_rows():
    found = simulate.measurements(n_constant=0, variables={}, n_nights=2)
    assert len(found.mag) == len(found.stars) == 0


@pytest.mark.pure
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variables": {"sin": 1}}, "variables 'sin': .*sine"),
        ({"n_nights": 0}, "n_nights 0: must be a whole number from 1"),
        ({"n_constant": -1}, "n_constant -1: must be a whole number from 0"),
        ({"filters": "r"}, "filters 'r': must be a list"),
        ({"filters": ("zz",)}, "filter 'zz': must be one of"),
        ({"radius": 0.0}, "radius 0.0: must be positive"),
        ({"radius": 200.0}, "radius 200.0: must be at most 180"),
        ({"cloud": -1.0}, "cloud -1.0: must not be negative"),
        ({"bright": 18.0}, "bright 18.0: must be more than 2.5 mag brighter"),
        ({"radius": 0.001}, "radius 0.001: the field has no room for 520 stars"),
        ({"seed": -1}, "seed -1: must be a whole number"),
    ],
)  # fmt: skip
def test_bad_options_are_named(options, message):
    with pytest.raises((InputError, UnknownNameError), match=message):
        simulate.measurements(**options)


@pytest.mark.pure
def test_no_frames_are_an_error():
    with pytest.raises(InputError, match="frames: must name one frame or more"):
        VariableSurvey(SurveyPlan(n_constant=1, n_nights=1)).measure([])


@pytest.mark.truth
def test_variable_archive_has_every_kind(tmp_path):
    toy = simulate.variable_archive(tmp_path / "sky", n_epochs=2, shape=(384, 384))
    assert set(toy.truth.variables["variability"]) >= {"sine", "rrlyrae", "eclipsing"}
    assert len(list(toy.scidata.rglob("*.fits"))) == 2
