from __future__ import annotations

import numpy as np
import pytest
from astropy.coordinates import SkyCoord, SkyOffsetFrame

from ezarchive.errors import InputError
from ezarchive.simulate import field
from ezarchive.sky import separation


@pytest.fixture(scope="module")
def stars():
    return field.field(field.TARGETS[0], 400.0, 10.0, seed=3)


@pytest.mark.pure
def test_generators_of_two_purposes_differ_and_repeat():
    first, again, other = (field.generator(7, label).random(3) for label in ("a", "a", "b"))
    assert (first == again).all()
    assert (first != other).all()


@pytest.mark.pure
@pytest.mark.parametrize("seed", [-1, 1.5, True, "1"])
def test_a_wrong_seed_is_refused(seed):
    with pytest.raises(InputError, match="must be a whole number from 0"):
        field.generator(seed)


@pytest.mark.truth
def test_counts_rise_by_their_slope():
    magnitudes = field.counts(200_000, np.random.default_rng(1))
    assert field.BRIGHT <= magnitudes.min() < magnitudes.max() <= field.FAINT
    steps = np.histogram(magnitudes, np.arange(12.5, 18.6, 1.0))[0]
    np.testing.assert_allclose(np.log10(steps[1:] / steps[:-1]), field.SLOPE, atol=0.02)


@pytest.mark.oracle
@pytest.mark.parametrize(("ra", "dec"), [(0.0, -30.0), (326.25, -77.26), (12.0, 89.9)])
def test_deproject_goes_out_along_great_circles(ra, dec):
    xi, eta = np.array([-500.0, 0, 300, 2000]), np.array([800.0, 0, -300, 10])
    found = SkyCoord(*field.deproject(ra, dec, xi, eta), unit="deg")
    offset = found.transform_to(SkyOffsetFrame(origin=SkyCoord(ra, dec, unit="deg")))
    lon, lat = offset.lon.rad, offset.lat.rad
    np.testing.assert_allclose(np.degrees(np.tan(lon)) * 3600, xi, atol=1e-6)
    np.testing.assert_allclose(np.degrees(np.tan(lat) / np.cos(lon)) * 3600, eta, atol=1e-6)
    assert (found.ra.deg >= 0).all()


@pytest.mark.truth
def test_a_field_holds_every_kind(stars):
    assert len(stars) == pytest.approx(10 * (400 / 60) ** 2, rel=0.1)
    assert set(stars["variability"]) == {"constant", "sine", "rrlyrae", "eclipsing", "transient"}
    assert 0.05 < np.mean(stars["kind"] == "galaxy") < 0.2
    assert np.sum(stars["mag"].value < 10) == 2
    galaxies = stars[stars["kind"] == "galaxy"]
    assert np.isfinite(galaxies["radius"].value).all()
    assert np.isnan(stars["radius"].value[stars["kind"] == "star"]).all()


@pytest.mark.truth
def test_variable_stars_stand_alone(stars):
    for i in np.flatnonzero(stars["variability"] != "constant"):
        away = separation(stars["ra"].value, stars["dec"].value, stars["ra"][i].value, stars["dec"][i].value) * 3600
        assert np.sort(away)[1] > 15


@pytest.mark.pure
def test_the_tutorials_positions_hold_a_source():
    wide = field.field(field.TARGETS[0], 4000.0, 0.01, seed=1)
    for ra, dec, kind in ((325.66015654, -77.300872906, "star"), (325.37, -77.393, "star"), (324.25336362, -77.573930752, "galaxy")):
        i = np.argmin(separation(wide["ra"].value, wide["dec"].value, ra, dec))
        assert wide["ra"][i].value == pytest.approx(ra, abs=1e-9)
        assert wide["dec"][i].value == pytest.approx(dec, abs=1e-9)
        assert wide["kind"][i] == kind


@pytest.mark.pure
def test_a_field_without_density_is_empty():
    assert len(field.field(field.Target("x", 10, 10), 10.0, 0.001, seed=1)) == 0


def varying(kind, period, amplitude, epoch=60000.0):
    table = field.stars_table(np.zeros(1), np.zeros(1), np.array([15.0]), np.array([False]), np.random.default_rng(0))
    table["variability"][0] = kind
    table["period"][0], table["epoch"][0] = period * table["period"].unit, epoch * table["epoch"].unit
    table["amplitude"][0] = amplitude * table["amplitude"].unit
    return table


@pytest.mark.pure
@pytest.mark.parametrize("kind", ["sine", "rrlyrae", "eclipsing"])
def test_periodic_stars_repeat_and_span_their_amplitude(kind):
    star = varying(kind, 2.0, 0.6)
    times = 60000 + np.linspace(0, 2, 401)
    curve = np.array([field.variation(star, t)[0] for t in times])
    again = np.array([field.variation(star, t + 14.0)[0] for t in times])
    np.testing.assert_allclose(curve, again, atol=1e-6)
    assert np.ptp(curve) == pytest.approx(0.6, abs=0.01)


@pytest.mark.pure
def test_a_transient_rises_then_fades():
    star = varying("transient", np.nan, 0.1)
    at = [field.variation(star, 60000.0 + days)[0] for days in (-1, 1, 3, 13)]
    assert at[0] == np.inf
    assert at[1] == pytest.approx(5 * np.log10(3))
    assert at[2] == pytest.approx(0, abs=1e-9)
    assert at[3] == pytest.approx(1.0)


@pytest.mark.pure
def test_colours_shift_magnitudes_between_filters(stars):
    blue, red = field.magnitudes(stars, "m400", 60919.0), field.magnitudes(stars, "r", 60919.0)
    seen = np.isfinite(red)
    np.testing.assert_allclose(blue[seen] - red[seen], stars["colour"].value[seen] * 225 / 250)


@pytest.mark.pure
def test_number_keeps_fields_apart(stars):
    both = field.number([stars, stars[:5]], field.TARGETS)
    assert len(np.unique(both["star_id"])) == len(both) == len(stars) + 5
    assert list(both["target"][[0, -1]]) == ["T00528", "T01462"]
