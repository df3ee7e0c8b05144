"""Periods of stars of an archive, and the commands of the pictures."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

from ezarchive import Archive, simulate
from ezarchive.cli import cli
from ezarchive.errors import InputError

pytestmark = pytest.mark.timeout(120)
QUIET = {"workers": 1, "progress": False}


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return simulate.variable_archive(tmp_path_factory.mktemp("toy") / "sky", n_epochs=22, shape=(192, 192))


@pytest.fixture(scope="module")
def archive(toy, tmp_path_factory):
    with Archive.create(tmp_path_factory.mktemp("archive") / "home", {"scidata": toy.scidata}) as made:
        made.index()
        made.measure(detection_sigma=5, **QUIET)
        yield made


@pytest.fixture(scope="module")
def sine(toy):
    rows = toy.truth.variables[toy.truth.variables["variability"] == "sine"]
    return rows[int(np.argmax(rows["period"].value))]


def place(star):
    return float(star["ra"].value), float(star["dec"].value)


@pytest.mark.truth
@pytest.mark.parametrize("bjd", [True, False])
def test_the_period_of_a_star_is_found(archive, sine, bjd):
    found = archive.period(place(sine), min_period=1.5, bjd=bjd)
    assert found.period == pytest.approx(sine["period"].value, rel=0.02)
    assert abs(found.period - sine["period"].value) < 5 * found.period_err
    assert found.search.false_alarm_probability < 1e-6
    assert (found.y, found.time) == ("mag", "bjd_tdb" if bjd else "mjd_mid")
    assert str(found).startswith("period 11.")
    label = found.figure().axes[1].get_xlabel()
    assert ("BJD (TDB) 2400000.5 + 6" if bjd else "MJD 6") in label


@pytest.mark.truth
def test_of_one_filter_in_flux(archive, sine):
    found = archive.period(place(sine), min_period=1.5, filter="r*", y="flux")
    assert found.period == pytest.approx(sine["period"].value, rel=0.02)
    assert set(found.table["filter"]) == {"r"}


@pytest.mark.pure
def test_wrong_arguments(archive, sine):
    with pytest.raises(InputError, match="y='colour': must be one of mag, mag_inst, flux, flux_ujy"):
        archive.period(place(sine), y="colour")
    with pytest.raises(InputError, match="mjd: has 0 good points"):
        archive.period((150.0, -24.0), y="mag")
    with pytest.raises(InputError, match="n_terms 9: must be"):
        archive.period(place(sine), n_terms=9)


def test_commands_of_the_pictures(archive, sine, tmp_path):
    ra, dec = (f"{value:.6f}" for value in place(sine))
    fold, stamps = tmp_path / "fold.png", tmp_path / "stamps.pdf"
    done = CliRunner().invoke(cli, ["period", str(archive.home), ra, dec, "--min", "1.5", "-o", str(fold)])
    assert done.exit_code == 0, done.output
    assert done.output.startswith("period 11.")
    assert fold.stat().st_size > 10_000
    done = CliRunner().invoke(cli, ["epochs", str(archive.home), ra, dec, "--size", "15 arcsec", "--filter", "r", "-o", str(stamps)])
    assert done.exit_code == 0, done.output
    assert "detected" in done.output
    assert stamps.stat().st_size > 10_000
    done = CliRunner().invoke(cli, ["epochs", str(archive.home), "nowhere"])
    assert done.exit_code == 2
    assert "position" in done.output
