from __future__ import annotations

import numpy as np
import pytest

from ezarchive import simulate
from ezarchive.errors import InputError, UnknownNameError


@pytest.mark.truth
def test_flux_grows_with_the_aperture_to_the_total(toy):
    relpath = toy.truth.frames["relpath"][0]
    sources = toy.truth.frame(relpath).sources
    inner = sources["isolated"] & (sources["kind"] == "star") & (sources["flux"].value > 0)
    fluxes = np.array([toy.truth.flux(relpath, diameter)[inner] for diameter in (2, 5, 10, 18)])
    assert (np.diff(fluxes, axis=0) > 0).all()
    assert (fluxes < sources["flux"].value[inner]).all()
    np.testing.assert_allclose(fluxes[3], sources["flux"].value[inner], rtol=0.05)
    np.testing.assert_allclose(fluxes[1], sources["flux_5"].value[inner])


@pytest.mark.pure
def test_saved_and_loaded_truth_is_the_same(toy, tmp_path):
    toy.truth.save(tmp_path)
    loaded = simulate.ToyTruth.load(tmp_path)
    for name in ("stars", "frames", "sources"):
        mine, theirs = getattr(toy.truth, name), getattr(loaded, name)
        assert mine.colnames == theirs.colnames
        for column in mine.colnames:
            np.testing.assert_array_equal(mine[column], theirs[column])
            assert getattr(mine[column], "unit", None) == getattr(theirs[column], "unit", None)
    relpath = toy.truth.frames["relpath"][4]
    np.testing.assert_array_equal(loaded.flux(relpath, 7.0), toy.truth.flux(relpath, 7.0))
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


@pytest.mark.pure
def test_a_toy_archive_is_opened_again(toy, tmp_path):
    again = simulate.ToyArchive.load(toy.folder)
    assert again.scidata == toy.scidata
    assert len(again.truth.frames) == len(toy.truth.frames)
    with pytest.raises(InputError, match=r"holds no stars\.ecsv"):
        simulate.ToyArchive.load(tmp_path)


@pytest.mark.pure
def test_an_unknown_frame_names_the_near_ones(toy):
    relpath = str(toy.truth.frames["relpath"][0])
    with pytest.raises(UnknownNameError, match="did you mean"):
        toy.truth.frame(relpath.replace("T00528", "T0528"))


@pytest.mark.truth
def test_light_curves_follow_the_variation(toy):
    star = toy.truth.showcase()
    assert star["variability"] == "sine"
    curve = toy.truth.light_curve(star["star_id"])
    assert len(curve) == 3 * 3 * 3
    assert (np.diff(curve["mjd_mid"].value) >= 0).all()
    np.testing.assert_allclose(toy.truth.magnitudes(star["star_id"], curve["mjd_mid"], curve["filter"]).value, curve["mag"].value)
    phase = (curve["mjd_mid"].value - star["epoch"].value) / star["period"].value
    red = curve["filter"] == "r"
    expected = star["mag"].value - star["amplitude"].value / 2 * np.sin(2 * np.pi * phase)
    np.testing.assert_allclose(curve["mag"].value[red], expected[red], atol=1e-9)
    assert len(toy.truth.light_curve(star["star_id"], "m600")) == 9
    assert curve["isolated"].all()
    assert not curve["saturated"].any()


@pytest.mark.truth
def test_flux_of_the_light_curve_is_calibrated(toy):
    star = toy.truth.showcase()["star_id"]
    curve = toy.truth.light_curve(star, "m600")
    zero_points = {str(row["relpath"]): row["zero_point"].value for row in toy.truth.frames}
    found = [zero_points[str(row["relpath"])] - 2.5 * np.log10(row["flux"].value * 100) for row in curve]
    np.testing.assert_allclose(found, curve["mag"].value, atol=1e-3)


@pytest.mark.pure
def test_one_filter_serves_many_times(toy):
    star = toy.truth.showcase("T01462")
    assert star["target"] == "T01462"
    magnitudes = toy.truth.magnitudes(star["star_id"], [60919.0, 60920.0], "r")
    assert magnitudes.shape == (2,)
    assert magnitudes.unit == "mag"


@pytest.mark.pure
def test_unknown_stars_and_targets(toy):
    with pytest.raises(InputError, match="star_id 5: must be one of"):
        toy.truth.light_curve(5)
    with pytest.raises(InputError, match="target 'X': has no periodic star"):
        toy.truth.showcase("X")


@pytest.mark.truth
def test_variables_are_on_every_frame_of_their_field(toy):
    frames = toy.truth.frames[toy.truth.frames["objname"] == "T00528"]
    stars = toy.truth.variables[toy.truth.variables["target"] == "T00528"]
    for row in frames:
        sources = toy.truth.frame(row["relpath"]).sources
        on_frame = set(sources["star_id"][sources["on_frame"]])
        assert set(stars["star_id"]) <= on_frame
