"""Values with errors, lines, tables, JSON."""

from __future__ import annotations

import json
import pickle
from types import SimpleNamespace

import astropy.units as u
import numpy as np
import pytest

from ezarchive.compare.fluximage import FluxImage
from ezarchive.compare.results import HEADER, PARAMETERS, FitOutcome, FittedImagePhotometry, FittedStarPhotometry, FittedValue
from ezarchive.simulate.pairs import tangent_wcs

VALUES = {"scale": 0.95, "bg": 3.0, "dx": 0.13, "dy": -0.21, "fwhm": 0.7, "beta": 2.5, "flux": 60000.0}
COVARIANCE = np.array([[4e-6, 1e-6], [1e-6, 9e-6]])


def values(**changes):
    return {name: FittedValue(value=value, stdev=0.01) for name, value in VALUES.items()} | changes


def image(rotation=20.0, centre=(53.16, -27.78), shape=(300, 300)):
    made = FluxImage(np.zeros(shape), wcs=tangent_wcs(shape, 0.2, rotation, centre), unit=u.Unit("1e-20 erg s-1 cm-2 Angstrom-1"))
    made.name = "udf04"
    return made


def result(source=None, **changes):
    return FittedImagePhotometry(source or image(), FitOutcome(values(**changes), COVARIANCE, 99.0, 1.01, 100, "report"), 2.0)


def test_a_value_may_come_from_a_parameter():
    assert FittedValue(SimpleNamespace(value=1.5, stderr=None, vary=False)) == FittedValue(value=1.5, stdev=0.0, fixed=True)
    assert np.isnan(FittedValue(SimpleNamespace(value=1.5, stderr=None, vary=True)).stdev)
    assert str(FittedValue(value=1.5, stdev=0.25)) == "1.5 +- 0.25"
    assert str(FittedValue(value=1.5, fixed=True)) == "1.5 (fixed)"


def test_the_line_has_the_columns_of_the_header():
    lines = result().summary().split("\n")
    assert lines[:3] == HEADER.split("\n")
    assert len(lines) == 4
    assert len({len(lines[2]), len(lines[3])}) == 1
    numbers = "0.9500 0.7000 2.5000 3.00000 0.13000 -0.21000 -0.05689 -0.24180 2.0000"
    assert lines[3].split() == ["udf04", "image", *numbers.split()]
    assert result().summary(header=False) == lines[3]


def test_shifts_on_the_sky_are_differences_of_coordinates_at_the_centre():
    found = result()
    wcs = image().wcs
    ends = wcs.all_pix2world([150, 150.65], [150, 148.95], 0)
    assert found.dra.value == pytest.approx(np.diff(ends[0])[0] * 3600, abs=1e-9)
    assert found.ddec.value == pytest.approx(np.diff(ends[1])[0] * 3600, abs=1e-9)


@pytest.mark.parametrize("rotation", [0, 20, 110, 200, 290])
@pytest.mark.parametrize("centre", [(53.16, -27.78), (0.0, 60.0)])
def test_errors_on_the_sky_are_those_of_many_draws(rotation, centre):
    source = image(rotation, centre)
    found = result(source)
    draws = np.random.default_rng(3).multivariate_normal([0.13, -0.21], COVARIANCE, 4000)
    world = np.array(source.wcs.all_pix2world(150 + draws[:, 0] / 0.2, 150 + draws[:, 1] / 0.2, 0)) * 3600
    world = (world + 180 * 3600) % (360 * 3600)
    for name, column in (("dra", world[0]), ("ddec", world[1])):
        assert getattr(found, name).stdev == pytest.approx(column.std(), rel=0.05)
        assert abs(getattr(found, name).value) < 1.0


def test_an_image_without_a_name_or_wcs():
    found = result(FluxImage(np.zeros((4, 4))))
    assert found.name == "image"
    assert np.isnan(found.dra.value)
    assert json.loads(json.dumps(found.to_dict()))["dra"] == {"value": None, "stdev": None, "fixed": False}


def test_tables_have_units_and_errors():
    table = result().to_table()
    assert len(table) == 1
    assert table["fwhm"].unit == table["dra_err"].unit == u.arcsec
    assert table["bg"].unit == table["rms_error"].unit == u.Unit("1e-20 erg s-1 cm-2 Angstrom-1")
    assert table["scale_err"][0] == 0.01
    assert table["n_pixels"][0] == 100
    for name in PARAMETERS:
        assert {name, f"{name}_err", f"{name}_fixed"} <= set(table.colnames)


def test_everything_but_the_report_goes_through_json():
    found = json.loads(json.dumps(result(beta=FittedValue(value=np.inf, fixed=True)).to_dict()))
    assert found["dx"] == {"value": 0.13, "stdev": 0.01, "fixed": False}
    assert found["beta"] == {"value": None, "stdev": 0.0, "fixed": True}
    assert (found["rchi"], found["n_pixels"]) == (1.01, 100)
    assert u.Unit(found["unit"]) == image().unit


def test_results_travel_and_cannot_be_changed():
    found = pickle.loads(pickle.dumps(result()))
    assert found.dx == result().dx
    with pytest.raises(AttributeError, match="scale: results of a fit cannot be changed"):
        found.scale = 1
    with pytest.raises(AttributeError, match="dx: results of a fit cannot be changed"):
        del found.dx


def test_a_star_is_measured_in_both():
    theirs = values(flux=FittedValue(value=50000.0, stdev=50.0), bg=FittedValue(value=1.0, stdev=0.02))
    outcomes = FitOutcome(values(), rchi=1.1, n_pixels=704, report="a"), FitOutcome(theirs, rchi=0.9, report="b")
    found = FittedStarPhotometry(image(), *outcomes, 2.0, 53.1, -27.7)
    assert found.scale.value == pytest.approx(1.2)
    assert found.scale.stdev == pytest.approx(np.hypot(0.01, 1.2 * 50) / 50000)
    assert found.bg.value == 2.0
    assert found.bg.stdev == pytest.approx(np.hypot(0.01, 0.02))
    assert (found.muse_rchi, found.hst_rchi, found.fit_report) == (1.1, 0.9, "a\nb")
    table = found.to_table()
    assert table["hst_flux"].unit == found.unit
    assert table["muse_fwhm"].unit == u.arcsec
    assert found.to_dict()["hst_flux"]["value"] == 50000.0
    assert (found.n_pixels, found.to_dict()["n_pixels"], table["n_pixels"][0]) == (704, 704, 704)
    assert found.method == "stars"
