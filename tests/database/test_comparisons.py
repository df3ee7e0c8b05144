"""Image fits and anchors in the database: which of them count."""

from __future__ import annotations

import math

import pytest
import sqlalchemy as sa

from ezarchive.database import comparisons, runs, stores, withdrawals
from ezarchive.database.comparisons import NewAnchor, NewImageFit
from ezarchive.frames.record import Frame

NAMES = {"objname": "T00528", "telname": "7DT01", "filter": "m600", "night": "2025-09-01", "mjd_mid": 60919.2, "exptime": 100.0}


@pytest.fixture
def conn(world):
    """A transaction in an archive of three frames."""
    world.add(Frame(**NAMES), Frame(), Frame())
    with world.database.begin() as conn:
        yield conn


def new_run(conn, what: str = "image_fit", **parameters) -> int:
    run = runs.open_run(conn, runs.get_recipe(conn, what, parameters, []), {}).run_id
    runs.close_run(conn, run)
    return run


def fit(frame_id: int, run_id: int, fwhm: float | None = 1.2, **facts) -> NewImageFit:
    values = {"fwhm": fwhm, "fwhm_err": 0.01, "dx": -0.2, "dx_err": math.nan, "n_pixels": 400, "rms": 3.0}
    return NewImageFit(frame_id, run_id, **{"method": "image", "reference": "/ref.fits", "values": values, **facts})


def failed(frame_id: int, run_id: int) -> NewImageFit:
    return fit(frame_id, run_id, status="failed", code="no_overlap", message="elsewhere", values={})


def rows(conn, **options) -> list[dict]:
    return comparisons.image_fits_table(conn, **options).to_pylist()


def test_what_was_stored_comes_back_with_what_the_frame_is(conn):
    run = new_run(conn)
    comparisons.add_image_fits(conn, [fit(1, run, unit="adu", fixed=["beta", "bg"], reference_id=2, details={"a": 1}), failed(2, run)])
    first, second = rows(conn)
    assert {name: first[name] for name in NAMES} == NAMES
    assert (first["fwhm"], first["dx"], first["dx_err"], first["n_pixels"], first["rms"]) == (1.2, -0.2, None, 400, 3.0)
    assert (first["unit"], first["fixed"], first["reference_id"], first["status"]) == ("adu", "beta,bg", 2, "ok")
    assert (second["status"], second["code"], second["message"], second["fwhm"]) == ("failed", "no_overlap", "elsewhere", None)
    assert list(first) == list(comparisons.IMAGE_FIT_FIELDS)
    assert [row["frame_id"] for row in rows(conn, frame_ids=[2, 3])] == [2]
    assert rows(conn, frame_ids=[]) == []


def test_the_newest_that_did_not_fail_counts(conn):
    one, two, three = (new_run(conn, a=a) for a in range(3))
    comparisons.add_image_fits(conn, [fit(1, two, 2.0), failed(2, two)])
    comparisons.add_image_fits(conn, [fit(1, one, 1.0), fit(2, one, 1.0)])
    comparisons.add_image_fits(conn, [failed(1, three), failed(2, three), failed(3, three)])
    assert [(row["run_id"], row["status"]) for row in rows(conn)] == [(two, "ok"), (one, "ok"), (three, "failed")]
    assert [row["status"] for row in rows(conn, run_id=three)] == ["failed"] * 3


def test_methods_and_references_do_not_displace_each_other(conn):
    one, two = new_run(conn, a=1), new_run(conn, a=2)
    comparisons.add_image_fits(conn, [fit(1, one), fit(1, one, method="stars")])
    comparisons.add_image_fits(conn, [fit(1, two, reference="frame 3")])
    assert sorted((row["method"], row["reference"]) for row in rows(conn)) == [
        ("image", "/ref.fits"), ("image", "frame 3"), ("stars", "/ref.fits")
    ]  # fmt: skip


def test_twice_is_once_and_recipes_tell_what_is_done(conn):
    recipe = runs.get_recipe(conn, "image_fit", {"a": 1}, [])
    run = runs.open_run(conn, recipe, {}).run_id
    comparisons.add_image_fits(conn, [failed(1, run), fit(2, run)])
    assert comparisons.fitted(conn, recipe, [1, 2, 3]) == {2}
    comparisons.add_image_fits(conn, [fit(1, run, 1.5)])
    assert comparisons.fitted(conn, recipe, [1, 2, 3]) == {1, 2}
    assert comparisons.fitted(conn, recipe, []) == set()
    assert [row["fwhm"] for row in rows(conn)] == [1.5, 1.2]
    other = runs.get_recipe(conn, "image_fit", {"a": 2}, [])
    assert comparisons.fitted(conn, other, [1, 2]) == set()


def test_what_a_withdrawn_run_made_does_not_count(conn):
    recipe = runs.get_recipe(conn, "image_fit", {"a": 1}, [])
    one, two = new_run(conn, a=1), new_run(conn, a=1)
    comparisons.add_image_fits(conn, [fit(1, one, 1.0)])
    comparisons.add_image_fits(conn, [fit(1, two, 2.0), fit(2, two, 2.0)])
    done = withdrawals.withdraw_run(conn, two)
    assert (done.n_catalogs, done.n_image_fits, done.n_anchors) == (0, 2, 0)
    assert [(row["frame_id"], row["fwhm"]) for row in rows(conn)] == [(1, 1.0)]
    assert comparisons.fitted(conn, recipe, [1, 2]) == {1}
    assert withdrawals.restore_run(conn, two).n_image_fits == 2
    assert [row["fwhm"] for row in rows(conn)] == [2.0, 2.0]


def test_a_transaction_that_records_counts_as_a_change(world):
    world.add(Frame(**NAMES))
    with world.database.begin() as conn:
        run = new_run(conn)
    with world.database.connect() as conn:
        before = stores.changes(conn)
    with world.database.begin() as conn:
        comparisons.add_image_fits(conn, [fit(1, run)])
    with world.database.connect() as conn:
        assert stores.changes(conn) == before + 1


@pytest.mark.parametrize("column", ["method", "status"])
def test_other_words_are_refused(world, column):
    world.add(Frame())
    with pytest.raises(sa.exc.IntegrityError, match=f"ck_image_fit_{column}"), world.database.engine.begin() as conn:
        comparisons.add_image_fits(conn, [fit(1, new_run(conn), **{column: "other"})])


def anchor(run_id: int, **facts) -> NewAnchor:
    values = {"target": "ngc0628", "band": "F770W", "kind": "external", "reference": "irac4", "file": "a.fits", "slope": 0.9, "used": True}
    return NewAnchor(run_id, **{**values, **facts})


def test_anchors_come_back_and_the_newest_counts(conn):
    one, two = new_run(conn, "anchor", a=1), new_run(conn, "anchor", a=2)
    new = [
        anchor(one, anchor_offset=-0.3, anchor_offset_err=math.inf),
        anchor(one, reference="w3", status="failed", code="few", used=False),
    ]
    comparisons.add_anchors(conn, new)
    comparisons.add_anchors(conn, [anchor(two, anchor_offset=-0.31, details={"a": [1]}), anchor(two, file="b.fits", n_bins=5)])
    table = comparisons.anchors_table(conn)
    assert table.column_names == list(comparisons.ANCHOR_FIELDS)
    found = [(row["reference"], row["file"], row["run_id"], row["anchor_offset"], row["used"], row["n_bins"]) for row in table.to_pylist()]
    assert sorted(found) == [
        ("irac4", "a.fits", two, -0.31, True, None), ("irac4", "b.fits", two, None, True, 5), ("w3", "a.fits", one, None, False, None)
    ]  # fmt: skip
    assert comparisons.anchors_table(conn, run_id=one)["anchor_offset_err"].to_pylist() == [None, None]
    assert withdrawals.withdraw_run(conn, two).n_anchors == 2
    assert [row["run_id"] for row in comparisons.anchors_table(conn).to_pylist()] == [one, one]


def test_anchors_of_a_target_are_replaced_together(conn):
    run = new_run(conn, "anchor")
    comparisons.add_anchors(conn, [anchor(run), anchor(run, reference="w3"), anchor(run, target="ngc1")])
    comparisons.add_anchors(conn, [anchor(run, slope=0.8)])
    table = comparisons.anchors_table(conn)
    assert list(zip(table["target"].to_pylist(), table["slope"].to_pylist(), strict=True)) == [("ngc0628", 0.8), ("ngc1", 0.9)]
    comparisons.add_anchors(conn, [])
