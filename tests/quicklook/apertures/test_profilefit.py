"""Fits of radial profiles give back the width that went in."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from gauss4 import new
from scipy.optimize import curve_fit

from ezarchive.errors import InputError
from ezarchive.quicklook import Annulus as Background
from ezarchive.quicklook import ProfileFit, fit_profile, radial_profile
from ezarchive.quicklook.regions.shapes import Circle, Ellipse

FWHM = 7.0645
"""Of sigma = 3."""
STAR = Circle(150, 25, 7)


def radius(shape=(61, 61), place=(30.2, 29.7)):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.hypot(x - place[0], y - place[1])


def gaussian(place=(30.2, 29.7), sigma=3.0):
    return 5 + 100 * np.exp(-0.5 * (radius(place=place) / sigma) ** 2)


def moffat(gamma=4.0, beta=2.5):
    return 5 + 100 * (1 + (radius() / gamma) ** 2) ** -beta


@pytest.mark.truth
@pytest.mark.parametrize("place", [(30.0, 30.0), (30.2, 29.7), (30.5, 30.5)])
@pytest.mark.parametrize("reach", [7, 14])
@pytest.mark.parametrize("options", [{"raw": True}, {}, {"step": 0.3}, {"step": 1.7}, {"raw": True, "clip": True}], ids=str)
def test_the_true_width(place, reach, options):
    """The viewer's fits of the same star: 6.552 in bins with left edges, 6.998 with middles and the amplitude held."""
    fit = fit_profile(radial_profile(gaussian(place), Circle(*place, reach), **options))
    assert fit.fwhm == pytest.approx(FWHM, abs=1e-4) and fit.fwhm == pytest.approx(6 * math.sqrt(2 * math.log(2)), rel=1e-9)
    assert fit.values == pytest.approx({"amplitude": 100, "fwhm": fit.fwhm, "offset": 5, "sigma": 3}, rel=1e-9)
    assert fit.converged and fit.rms < 1e-9 and fit.free == ("amplitude", "fwhm", "offset")


@pytest.mark.truth
@pytest.mark.parametrize("options", [{"raw": True}, {}, {"step": 2}], ids=str)
@pytest.mark.parametrize(("gamma", "beta"), [(4.0, 2.5), (3.0, 4.765), (2.0, 1.5)])
def test_the_true_moffat(options, gamma, beta):
    fit = fit_profile(radial_profile(moffat(gamma, beta), Circle(30.2, 29.7, 20), **options), "moffat")
    true = 2 * gamma * math.sqrt(2 ** (1 / beta) - 1)
    assert fit.values == pytest.approx({"amplitude": 100, "fwhm": true, "offset": 5, "beta": beta, "gamma": gamma}, rel=1e-6)
    assert fit.fwhm == pytest.approx(true, abs=1e-4)


def test_a_gaussian_as_a_moffat():
    fit = fit_profile(radial_profile(gaussian(), Circle(30.2, 29.7, 14), raw=True), "moffat")
    assert fit.at_limit == ("beta",) and "beta" not in fit.free and math.isnan(fit.errors["beta"]) and fit.converged
    assert fit.values["beta"] == pytest.approx(1000) and fit.fwhm == pytest.approx(FWHM, abs=0.005) and math.isfinite(fit.fwhm_err)
    assert math.isnan(fit.errors["gamma"])


def viewers_widths(image, place, reach, level):
    """The viewer's two fits, with the amplitude held: of bins at their left edges about 0, of rings at their middles about any radius."""
    region = Circle(*place, reach)
    raw = radial_profile(image, region, raw=True, clip=True, center="centroid", background=level)
    bins = np.floor(raw.radius).astype(int)
    means = np.bincount(bins, raw.value) / np.bincount(bins)
    old = curve_fit(lambda r, sigma: means.max() * np.exp(-0.5 * (r / sigma) ** 2), np.arange(len(means)), means, p0=[3.0])[0]
    rings = radial_profile(image, region, max_radius=reach + 1, background=level)
    highest = rings.value.max()
    new_fit = curve_fit(
        lambda r, mean, sigma: highest * np.exp(-0.5 * ((r - mean) / sigma) ** 2), rings.radius, rings.value, p0=[0.5, 3.0]
    )[0]
    return [2.3548200450309493 * abs(sigma) for sigma in (old[0], new_fit[1])]


@pytest.mark.oracle
def test_the_bias_of_the_viewer_comes_from_its_method():
    """Its numbers come out of our profiles: -7.3 and -0.9 % without noise, and with it 6.589 and 6.850."""
    star = gaussian((30.0, 30.0)) - 5
    assert viewers_widths(star, (30, 30), 10, 0.0) == pytest.approx([6.552, 6.998], abs=5e-4)
    assert viewers_widths(new(), (150, 25), 7, 5.0) == pytest.approx([6.589, 6.850], abs=5e-4)


def test_the_viewers_numbers_with_noise():
    """Raw pixels about the centre of mass over the true background: amplitude held 7.184, free 7.089; true 7.0645."""
    profile = radial_profile(new(), STAR, raw=True, clip=True, center="centroid", background=5.0)
    highest = float(profile.value.max())
    assert fit_profile(profile, fixed={"amplitude": highest, "offset": 0.0}).fwhm == pytest.approx(7.184, abs=5e-4)
    assert fit_profile(profile, fixed={"offset": 0.0}).fwhm == pytest.approx(7.089, abs=5e-4)


@pytest.mark.parametrize("raw", [True, False])
def test_an_honest_fit_with_noise(raw):
    profile = radial_profile(new(), Circle(150, 25, 14), raw=raw, background=Background(14, 10))
    fit = fit_profile(profile)
    assert fit.fwhm == pytest.approx(7.09, abs=0.01) and fit.fwhm_err == pytest.approx(0.05, abs=0.005)
    assert abs(fit.fwhm - FWHM) < 2 * fit.fwhm_err and abs(fit.values["amplitude"] - 150) < 2 * fit.errors["amplitude"]
    within = fit_profile(radial_profile(new(), STAR, raw=raw, background=Background(14, 10)))
    assert abs(within.fwhm - FWHM) < 2 * within.fwhm_err and within.fwhm_err > 2 * fit.fwhm_err


@pytest.mark.truth
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("model", ["gaussian", "moffat"])
def test_pulls_have_unit_width(model, raw, known):
    place, rng = (20.2, 19.7), np.random.default_rng(7)
    r = radius((41, 41), place)
    star = 200 * np.exp(-0.5 * (r / 3) ** 2) if model == "gaussian" else 200 * (1 + (r / 5) ** 2) ** -2.5
    true = {"amplitude": 200, "offset": 5, "fwhm": FWHM} if model == "gaussian" else {"amplitude": 200, "offset": 5, "beta": 2.5}
    true |= {"sigma": 3.0} if model == "gaussian" else {"fwhm": 10 * math.sqrt(2**0.4 - 1), "gamma": 5.0}
    pulls, chi2 = [], []
    for _ in range(120):
        image = star + 5 + rng.normal(0, 5, star.shape)
        fit = fit_profile(radial_profile(image, Circle(*place, 15), raw=raw, error=5.0 if known else None), model)
        pulls.append([(fit.values[name] - true[name]) / fit.errors[name] for name in true])
        chi2.append(fit.reduced_chi2)
    # The width of 120 pulls is known to 6.5 %, their mean to 9 %.
    assert np.std(pulls, axis=0) == pytest.approx(1, abs=0.2)
    assert np.abs(np.mean(pulls, axis=0)).max() < 0.3
    assert np.isnan(chi2).all() if not known else np.mean(chi2) == pytest.approx(1, abs=0.12)


@pytest.mark.truth
def test_pulls_with_an_error_map_of_a_bright_star():
    """Photon noise: the middle is much noisier than the rest."""
    rng, pulls = np.random.default_rng(8), []
    model = gaussian() * 5
    for _ in range(100):
        image = rng.poisson(model).astype(float)
        fit = fit_profile(radial_profile(image, Circle(30.2, 29.7, 15), error=np.sqrt(model)))
        pulls.append([(fit.fwhm - FWHM) / fit.fwhm_err, (fit.values["amplitude"] - 500) / fit.errors["amplitude"]])
    assert np.std(pulls, axis=0) == pytest.approx(1, abs=0.22) and np.abs(np.mean(pulls, axis=0)).max() < 0.33


def test_rings_and_pixels_agree_with_noise():
    image = gaussian() + np.random.default_rng(9).normal(0, 2, (61, 61))
    raw, binned = (fit_profile(radial_profile(image, Circle(30.2, 29.7, 14), raw=raw)) for raw in (True, False))
    assert binned.fwhm == pytest.approx(raw.fwhm, abs=0.5 * raw.fwhm_err) and binned.fwhm_err == pytest.approx(raw.fwhm_err, rel=0.25)


def test_holes_and_edges_do_not_bias():
    image = gaussian()
    image[28:33, 30] = np.nan
    mask = image > 80
    for options in ({}, {"raw": True}):
        fit = fit_profile(radial_profile(image, Circle(30.2, 29.7, 14), mask=mask, **options))
        assert fit.fwhm == pytest.approx(FWHM, abs=1e-4)
    assert fit_profile(radial_profile(gaussian((1.3, 2.1)), Circle(1.3, 2.1, 14))).fwhm == pytest.approx(FWHM, abs=1e-4)


def test_elliptical_rings():
    y, x = np.mgrid[:61, :61]
    star = np.exp(-0.5 * (((x - 30) / 4) ** 2 + ((y - 30) / 2) ** 2))
    fit = fit_profile(radial_profile(star, Ellipse(30, 30, 16, 8), rings="aperture"))
    assert fit.values["sigma"] == pytest.approx(4, abs=1e-6)


def test_a_dark_spot_and_tiny_and_huge_numbers():
    assert fit_profile(radial_profile(-gaussian(), Circle(30.2, 29.7, 14))).values["amplitude"] == pytest.approx(-100)
    for scale in (1e-20, 1e20):
        fit = fit_profile(radial_profile(gaussian() * scale, Circle(30.2, 29.7, 14)))
        assert fit.fwhm == pytest.approx(FWHM, abs=1e-4) and fit.values["amplitude"] == pytest.approx(100 * scale, rel=1e-6)


def test_the_model():
    profile = radial_profile(gaussian(), Circle(30.2, 29.7, 14), raw=True)
    fit = fit_profile(profile)
    assert fit.at(profile.radius) == pytest.approx(profile.value) and fit.at(fit.fwhm / 2) == pytest.approx(55)
    wings = fit_profile(radial_profile(moffat(), Circle(30.2, 29.7, 20), raw=True), "moffat")
    assert wings.at([0, wings.fwhm / 2]) == pytest.approx([105, 55])


@pytest.mark.parametrize("level", [0.0, 1.0, 5.0, 1e10, 1e15, 1e20, 1e38])
@pytest.mark.parametrize("model", ["gaussian", "moffat"])
@pytest.mark.parametrize("raw", [True, False])
def test_a_flat_profile_tells_nothing(level, model, raw):
    fit = fit_profile(radial_profile(np.full((15, 19), level), Circle(3, 4, 6), raw=raw), model)
    assert isinstance(fit, ProfileFit) and fit.at(20.0) == pytest.approx(level) and fit.rms <= 1e-9 * (level or 1e-3)
    json.dumps(fit.to_dict(), allow_nan=False)


@pytest.mark.parametrize("raw", [True, False])
def test_a_flat_profile_has_no_width(raw):
    for level in (0.0, 1.0, 1e10, 1e17, 1e300):
        fit = fit_profile(radial_profile(np.full((15, 19), level), Circle(3, 4, 6), raw=raw))
        assert fit.fwhm_err == math.inf and fit.at(20.0) == pytest.approx(level)


@pytest.mark.parametrize("raw", [True, False])
def test_values_near_the_ends_of_the_range(raw):
    fit = fit_profile(radial_profile(gaussian() * 1e298, Circle(30.2, 29.7, 14), raw=raw))
    assert fit.fwhm == pytest.approx(FWHM, abs=1e-4) and fit.values["amplitude"] == pytest.approx(1e300, rel=1e-6) and fit.rms < 1e296
    json.dumps(fit.to_dict(), allow_nan=False)


def test_it_serialises():
    for model in ("gaussian", "moffat"):
        fit = fit_profile(radial_profile(gaussian(), Circle(30.2, 29.7, 14)), model)
        plain = json.loads(json.dumps(fit.to_dict(), allow_nan=False))
        assert plain["values"]["fwhm"] == fit.fwhm and plain["chi2"] is None and plain["model"] == model


def test_held_values_have_no_error():
    fit = fit_profile(radial_profile(moffat(), Circle(30.2, 29.7, 20)), "moffat", fixed={"beta": 2.5, "offset": 5})
    assert (fit.errors["beta"], fit.errors["offset"]) == (0, 0) and fit.free == ("amplitude", "fwhm") and fit.covariance.shape == (2, 2)
    assert fit.fwhm == pytest.approx(8 * math.sqrt(2**0.4 - 1), rel=1e-8)


@pytest.mark.parametrize(
    ("model", "fixed", "text"),
    [
        ("lorentz", None, "model='lorentz': must be one of gaussian, moffat"),
        ("gaussian", {"beta": 2}, "fixed: 'beta' must be one of amplitude, fwhm, offset"),
        ("gaussian", {"fwhm": -1}, "fixed fwhm=-1.0: must be a number above 0"),
        ("gaussian", {"offset": math.nan}, "fixed offset=nan: must be a finite number"),
        ("gaussian", {"amplitude": 1, "fwhm": 2, "offset": 0}, "fixed: must leave a parameter free"),
    ],
)
def test_bad_input(model, fixed, text):
    with pytest.raises(InputError, match=text):
        fit_profile(radial_profile(gaussian(), Circle(30.2, 29.7, 9)), model, fixed=fixed)


def test_bad_profiles():
    with pytest.raises(InputError, match="profile: must come from radial_profile, found dict"):
        fit_profile({})
    with pytest.raises(InputError, match="more data than the 3 free parameters of the gaussian, found 3"):
        fit_profile(radial_profile(gaussian(), Circle(30, 30, 3)))
    with pytest.raises(InputError, match="error: must be above 0 for a fit, found 0"):
        fit_profile(radial_profile(gaussian(), Circle(30, 30, 9), error=0.0))
