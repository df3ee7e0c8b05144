"""Runs that count no more, and that count again."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa

from ezarchive.database.models import anchor, aperture_photometry, catalog, current_run, image_fit, run, zero_point
from ezarchive.database.names import insert
from ezarchive.database.rows import now
from ezarchive.database.runs import CURRENT_KEY, newest_catalog
from ezarchive.errors import InputError


class Withdrawal(NamedTuple):
    """What a withdrawal, or its undoing, has changed.

    ``n_catalogs`` catalogs count no more (or again), ``n_replaced`` of them gave way to those of other runs (or took their place), and so
    many zero points, fits of frames by a reference image, anchors of bands, and rows of aperture photometry.
    """

    n_catalogs: int = 0
    n_replaced: int = 0
    n_zero_points: int = 0
    n_image_fits: int = 0
    n_anchors: int = 0
    n_photometry: int = 0


def withdraw_run(conn: sa.Connection, run_id: int) -> Withdrawal:
    """Make a run count no more: neither its catalogs, zero points and comparisons, nor zero points made of its catalogs.

    Nothing is deleted.
    Where a frame has a catalog of another run of that method and those targets, the newest one takes its place. The run is not resumed;
    its frames are measured anew by the next ``measure`` with its recipe. One that is withdrawn already stays so.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    run_id : int

    Returns
    -------
    Withdrawal

    Raises
    ------
    InputError
        If there is no such run.
    """
    if _withdrawn(conn, run_id):
        return Withdrawal()
    n_zero_points = _zero_points(conn, run_id)
    conn.execute(sa.update(run).where(run.c.run_id == run_id).values(withdrawn=now()))
    mine = current_run.c.run_id == run_id
    new = {"catalog_id": newest_catalog(catalog.c.catalog_id), "run_id": newest_catalog(catalog.c.run_id), "pinned": False}
    replaced = conn.execute(sa.update(current_run).where(mine, newest_catalog(catalog.c.catalog_id).is_not(None)).values(new)).rowcount
    lost = conn.execute(sa.delete(current_run).where(mine)).rowcount
    return Withdrawal(replaced + lost, replaced, n_zero_points, *_compared(conn, run_id))


def restore_run(conn: sa.Connection, run_id: int) -> Withdrawal:
    """Make a withdrawn run count again, as if it had never been withdrawn; what was pinned to it is pinned no more.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    run_id : int

    Returns
    -------
    Withdrawal

    Raises
    ------
    InputError
        If there is no such run.
    """
    if not _withdrawn(conn, run_id):
        return Withdrawal()
    conn.execute(sa.update(run).where(run.c.run_id == run_id).values(withdrawn=None))
    names = (*CURRENT_KEY, "catalog_id", "run_id")
    mine = sa.select(*(catalog.c[name] for name in names)).where(catalog.c.run_id == run_id)
    before = conn.execute(sa.select(sa.func.count()).select_from(current_run)).scalar_one()
    rows = mine.add_columns(sa.false().label("pinned"))
    statement = insert(conn, current_run).from_select([*names, "pinned"], rows)
    new = {"catalog_id": statement.excluded.catalog_id, "run_id": statement.excluded.run_id}
    older = sa.and_(current_run.c.pinned.is_(False), current_run.c.run_id < statement.excluded.run_id)
    conn.execute(statement.on_conflict_do_update(index_elements=list(CURRENT_KEY), set_=new, where=older))
    after = conn.execute(sa.select(sa.func.count()).select_from(current_run)).scalar_one()
    count = conn.execute(sa.select(sa.func.count()).select_from(current_run).where(current_run.c.run_id == run_id)).scalar_one()
    return Withdrawal(count, count - (after - before), _zero_points(conn, run_id), *_compared(conn, run_id))


def _withdrawn(conn: sa.Connection, run_id: int) -> bool:
    found = conn.execute(sa.select(run.c.withdrawn).where(run.c.run_id == run_id)).one_or_none()
    if found is None:
        raise InputError(f"run_id {run_id}: there is no such run; `ezarchive runs` lists the runs")
    return found.withdrawn is not None


def _zero_points(conn: sa.Connection, run_id: int) -> int:
    """Return how many zero points a run made, or were made of its catalogs."""
    its = sa.select(catalog.c.catalog_id).where(catalog.c.run_id == run_id)
    query = sa.select(sa.func.count()).where(sa.or_(zero_point.c.run_id == run_id, zero_point.c.catalog_id.in_(its)))
    return conn.execute(query.select_from(zero_point)).scalar_one()


def _compared(conn: sa.Connection, run_id: int) -> list[int]:
    """Return how many image fits, anchors and rows of aperture photometry a run made."""
    count = sa.select(sa.func.count())
    tables = (image_fit, anchor, aperture_photometry)
    return [conn.execute(count.select_from(table).where(table.c.run_id == run_id)).scalar_one() for table in tables]
