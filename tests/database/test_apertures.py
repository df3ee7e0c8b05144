"""Aperture photometry in the database: each row once, and those that count."""

from __future__ import annotations

import math

import pytest
import sqlalchemy as sa

from ezarchive.columns import LOOK
from ezarchive.database import apertures, runs, stores, withdrawals
from ezarchive.frames.record import Frame

NAMES = {"objname": "T00528", "telname": "7DT01", "filter": "m600", "night": "2025-09-01", "mjd_mid": 60919.2, "exptime": 100.0}


@pytest.fixture
def conn(world):
    """A transaction in an archive of two frames."""
    world.add(Frame(**NAMES), Frame())
    with world.database.begin() as conn:
        yield conn


def new_run(conn) -> int:
    run = runs.open_run(conn, runs.get_recipe(conn, "look", {}, []), {}).run_id
    runs.close_run(conn, run)
    return run


def row(number: int, **facts) -> dict:
    values = {"calculation": "abc", "row": number, "flags": 0, "sum": 12.5, "min": math.nan, "unit": "MJy / sr", "reason": "", "n_bad": 3}
    return values | facts


def saved(conn, **options) -> list[dict]:
    return apertures.photometry_table(conn, **options).to_pylist()


def test_what_was_saved_comes_back_with_what_the_frame_is(conn):
    run = new_run(conn)
    apertures.add_photometry(conn, run, [row(1, label=1, data_label="a[SCI,1]"), row(2, flags=256, reason="no WCS")], [1, None])
    first, second = saved(conn)
    assert {name: first[name] for name in NAMES} == NAMES
    assert (first["run_id"], first["frame_id"], first["sum"], first["unit"], first["n_bad"]) == (run, 1, 12.5, "MJy / sr", 3)
    assert (first["min"], first["reason"], first["data_label"]) == (None, None, "a[SCI,1]")
    assert (second["frame_id"], second["objname"], second["flags"], second["reason"]) == (None, None, 256, "no WCS")
    assert list(first) == list(apertures.PHOTOMETRY_FIELDS)
    assert [name for name in first if name in {spec.name for spec in LOOK}] == [spec.name for spec in LOOK]
    assert [one["frame_id"] for one in saved(conn, frame_ids=[1, 2])] == [1]
    assert saved(conn, frame_ids=[]) == []


def test_a_row_is_known_by_its_calculation_and_place(conn):
    apertures.add_photometry(conn, new_run(conn), [row(1), row(2)], [None, None])
    assert apertures.unsaved(conn, [("abc", 1), ("abc", 3), ("other", 1)]) == [1, 2]
    assert apertures.unsaved(conn, []) == []


def test_the_same_row_twice_is_refused(world):
    with pytest.raises(sa.exc.IntegrityError, match="aperture_photometry"), world.database.engine.begin() as conn:
        apertures.add_photometry(conn, new_run(conn), [row(1), row(1)], [None, None])


def test_what_a_withdrawn_run_saved_does_not_count(conn):
    one, two = new_run(conn), new_run(conn)
    apertures.add_photometry(conn, one, [row(1)], [1])
    apertures.add_photometry(conn, two, [row(2)], [1])
    done = withdrawals.withdraw_run(conn, two)
    assert (done.n_photometry, done.n_image_fits) == (1, 0)
    assert [one["row"] for one in saved(conn)] == [1]
    assert [one["row"] for one in saved(conn, run_id=two)] == [2]
    assert withdrawals.restore_run(conn, two).n_photometry == 1
    assert [one["row"] for one in saved(conn)] == [1, 2]


def test_more_rows_than_a_statement_holds(conn):
    apertures.add_photometry(conn, new_run(conn), [row(k) for k in range(1, 1201)], [None] * 1200)
    assert [one["row"] for one in saved(conn)] == list(range(1, 1201))


def test_a_transaction_that_saves_counts_as_a_change(world):
    with world.database.begin() as conn:
        run = new_run(conn)
    with world.database.connect() as conn:
        before = stores.changes(conn)
    with world.database.begin() as conn:
        apertures.add_photometry(conn, run, [row(1)], [None])
    with world.database.connect() as conn:
        assert stores.changes(conn) == before + 1
