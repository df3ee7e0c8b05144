"""The most variable objects: verb and command, over tables of objects of a simulated survey."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner

import ezarchive
from ezarchive import plots, simulate
from ezarchive.archive import Archive
from ezarchive.catalogs.result import QueryResult
from ezarchive.cli import cli
from ezarchive.errors import InputError, UnknownNameError
from ezarchive.timeseries import variability as measures
from ezarchive.variability import variability

_FIRST = 3458764513820540928


class Tables:
    """What `variability` asks of an archive: SQL over objects and object_filters."""

    def __init__(self, objects, object_filters):
        self.connection = duckdb.connect()
        self.connection.register("objects", objects)
        self.connection.register("object_filters", object_filters)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass

    def sql(self, query, parameters=None):
        return QueryResult(self.connection.sql(query, params=parameters or []).to_arrow_table())

    def variability(self, **options):
        return variability(self, **options)


@pytest.fixture(scope="module")
def survey():
    return simulate.measurements(n_constant=400, n_nights=40, filters=("g", "r"), seed=8)


@pytest.fixture(scope="module")
def tables(survey):
    rows = []
    for star in range(len(survey.stars)):
        for band in ("g", "r"):
            curve = survey.of(star, band)
            mag, error = curve["mag"], curve["mag_err"]
            if len(mag) < 2:
                continue
            rows.append({
                "object_id": _FIRST + star, "filter": band, "n_good": len(mag), "calibrated": True, "mag_mean": mag.mean(),
                "mag_std": mag.std(ddof=1), "amplitude": measures.amplitude(mag), "chi2_reduced": measures.chi2_reduced(mag, error),
                "eta": measures.von_neumann_eta(curve["mjd"], mag), "stetson_j": measures.stetson_j(curve["mjd"], mag, error),
            })  # fmt: skip
    n = len(survey.stars)
    objects = pa.table({
        "object_id": _FIRST + np.arange(n), "ra": survey.stars["ra"].value, "dec": survey.stars["dec"].value,
        "ambiguous": np.arange(n) == n - 1,
    })  # fmt: skip
    return Tables(objects, pa.Table.from_pylist(rows))


@pytest.mark.truth
def test_the_variable_stars_stand_out(survey, tables):
    found = variability(tables, n=15)
    stars = np.array([row.object_id - _FIRST for row in found.most])
    assert len(stars) == len(set(stars)) == 15
    assert np.all(survey.stars["variability"][stars] != "constant")
    assert np.all(np.diff([row.score for row in found.most]) <= 0)
    assert f"15 of {found.n_objects} objects stand out" == str(found)
    figure = found.figure(title="all")
    assert figure.texts[0].get_text().count(str(_FIRST)[:10]) == 15


@pytest.mark.pure
def test_one_filter_and_ambiguous_objects(survey, tables):
    found = variability(tables, filter="r", n=30)
    assert {row.filter for row in found.most} == {"r"}
    last = _FIRST + len(survey.stars) - 1
    assert last not in {row.object_id for row in found.most}
    assert last in {row.object_id for row in variability(tables, n=30, ambiguous=True).most}


@pytest.mark.pure
def test_nothing_stands_out_of_nothing(tables):
    found = variability(tables, least=1000)
    assert len(found.most) == 0
    assert str(found) == "0 of 0 objects stand out"
    assert plots.FORMATS
    assert found.figure().axes[0].texts[0].get_text() == "nothing to draw"


@pytest.mark.pure
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n": 0}, InputError, "n=0: must be a whole number from 1 to 30"),
        ({"n": 31}, InputError, "n=31: must be a whole number from 1 to 30"),
        ({"least": 1}, InputError, "least=1: must be a whole number from 2"),
        ({"filter": "z"}, UnknownNameError, "filter 'z'"),
    ],
)  # fmt: skip
def test_bad_options_are_named(tables, options, error, message):
    with pytest.raises(error, match=message):
        variability(tables, **options)


def test_the_command_lists_and_draws(tables, tmp_path, monkeypatch):
    monkeypatch.setattr(Archive, "open", lambda home, write: tables)
    plane = tmp_path / "plane.png"
    done = CliRunner().invoke(cli, ["variability", str(tmp_path), "-n", "3", "--filter", "r", "-o", str(plane)])
    assert done.exit_code == 0, done.output
    assert "(3 rows)" in done.output
    assert "3 of" in done.output
    assert plane.stat().st_size > 5000
    done = CliRunner().invoke(cli, ["variability", str(tmp_path), "--format", "csv"])
    assert done.stdout.startswith("object_id,filter,ra,dec,")
    assert ezarchive.__version__
