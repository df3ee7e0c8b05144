"""What ``measure`` writes: recipes, runs, catalogs, products, and which catalog light curves use."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from ezarchive.database.models import catalog, current_run, frame, product, recipe, run
from ezarchive.database.names import insert
from ezarchive.database.parts import chunks, in_ids
from ezarchive.database.rows import clean_float, now
from ezarchive.errors import InputError


class Run(NamedTuple):
    """A run that is open; ``resumed`` if it was begun earlier and not finished."""

    run_id: int
    resumed: bool


class NewCatalog(NamedTuple):
    """A catalog to be recorded; fields as the arguments of `add_catalog`."""

    frame_id: int
    run_id: int
    method: str
    path: str
    n_rows: int
    sha256: str
    seeing: float | None = None
    depth: float | None = None
    depth_aperture: float | None = None
    apertures: tuple[float | None, ...] = ()
    targets: str = ""


_COUNTS = run.c.withdrawn.is_(None)
_CATALOG_VALUES = NewCatalog._fields[2:]
CURRENT_KEY = ["frame_id", "method", "targets"]
"""What light curves use one catalog of."""


def canonical_json(value: Any) -> str:
    """Return JSON in which equal values are equal texts: sorted keys, no spaces, tuples as lists, no NaN.

    Raises
    ------
    InputError
        If the value is none that JSON can hold.
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    except (TypeError, ValueError) as err:
        raise InputError(f"parameters {value!r}: {err}; must be numbers, texts, lists, mappings or None") from err


def get_recipe(conn: sa.Connection, method: str, parameters: Mapping[str, Any], apertures: Any) -> int:
    """Return the id of a recipe; a new one is added.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    method : str
        ``sex``, ``photutils``, ``circular``, ``elliptical``, or a kind of map.
    parameters : mapping
        Every parameter, by name.
    apertures : JSON value
        The apertures as they were asked for.

    Returns
    -------
    int
        recipe_id: the same for equal method, parameters and apertures, whatever the versions of libraries.
    """
    texts = {"parameters": canonical_json(parameters), "apertures": canonical_json(apertures)}
    digest = hashlib.sha256(canonical_json([method, texts["parameters"], texts["apertures"]]).encode()).hexdigest()
    statement = insert(conn, recipe).values(method=method, hash=digest, created=now(), **texts)
    conn.execute(statement.on_conflict_do_nothing(index_elements=["hash"]))
    return conn.execute(sa.select(recipe.c.recipe_id).where(recipe.c.hash == digest)).scalar_one()


def open_run(conn: sa.Connection, recipe_id: int, versions: Mapping[str, str]) -> Run:
    """Return the run to go on with: the newest unfinished one of the recipe made with the same versions, or a new one.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    recipe_id : int
    versions : mapping
        Of ezarchive and of the libraries that measure. A run with others stays as it is: what one run holds was made by one set.
    """
    text = canonical_json(versions)
    unfinished = sa.select(run.c.run_id).where(run.c.recipe_id == recipe_id, run.c.ended.is_(None), run.c.versions == text, _COUNTS)
    run_id = conn.execute(unfinished.order_by(run.c.run_id.desc()).limit(1)).scalar()
    if run_id is not None:
        return Run(run_id, True)
    statement = sa.insert(run).values(recipe_id=recipe_id, versions=text, started=now()).returning(run.c.run_id)
    return Run(conn.execute(statement).scalar_one(), False)


def run_without(conn: sa.Connection, recipe_id: int, versions: Mapping[str, str], frame_id: int) -> int:
    """Return a run for one more catalog, of a frame that it does not hold: the newest of the recipe if it will do, else a new one.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    recipe_id : int
    versions : mapping
        As of `open_run`.
    frame_id : int

    Returns
    -------
    int
        A run that has ended (it is no batch's): many processes may add to it, a frame each.
    """
    text = canonical_json(versions)
    newest = sa.select(run.c.run_id, run.c.ended, run.c.versions).where(run.c.recipe_id == recipe_id, _COUNTS).order_by(run.c.run_id.desc())
    found = conn.execute(newest.limit(1)).one_or_none()
    if found is not None and found.ended is not None and found.versions == text:
        held = sa.select(catalog.c.catalog_id).where(catalog.c.run_id == found.run_id, catalog.c.frame_id == frame_id)
        if conn.execute(held).first() is None:
            return found.run_id
    when = now()
    counts = canonical_json({"n_catalogs": 0, "n_sources": 0})
    values = {"recipe_id": recipe_id, "versions": text, "started": when, "ended": when, "counts": counts}
    return conn.execute(sa.insert(run).values(**values).returning(run.c.run_id)).scalar_one()


def measured(conn: sa.Connection, recipe_id: int, frame_ids: Iterable[int]) -> set[int]:
    """Return those of the frames that have a catalog of this recipe, of whatever run that is not withdrawn."""
    done: set[int] = set()
    for part in chunks(frame_ids):
        query = sa.select(catalog.c.frame_id).join(run, run.c.run_id == catalog.c.run_id)
        done.update(conn.execute(query.where(run.c.recipe_id == recipe_id, _COUNTS, in_ids(catalog.c.frame_id, part))).scalars())
    return done


def catalog_paths(conn: sa.Connection, recipe_id: int, frame_ids: Iterable[int]) -> list[tuple[int, str]]:
    """Return frame and path of every catalog of this recipe, of whatever run that is not withdrawn, for some frames."""
    found: list[tuple[int, str]] = []
    for part in chunks(frame_ids):
        query = sa.select(catalog.c.frame_id, catalog.c.path).join(run, run.c.run_id == catalog.c.run_id)
        rows = conn.execute(query.where(run.c.recipe_id == recipe_id, _COUNTS, in_ids(catalog.c.frame_id, part)))
        found += [(frame_id, path) for frame_id, path in rows]
    return found


def unmeasured(conn: sa.Connection, recipe_id: int, kind: str = "science") -> list[int]:
    """Return the frames of a kind that can be read at present and have no catalog of this recipe, of whatever run that counts."""
    mine = sa.and_(run.c.run_id == catalog.c.run_id, run.c.recipe_id == recipe_id, _COUNTS)
    done = sa.exists().where(catalog.c.frame_id == frame.c.frame_id, mine)
    query = sa.select(frame.c.frame_id).where(frame.c.kind == kind, frame.c.file_id.is_not(None), ~done)
    return list(conn.execute(query).scalars())


def add_catalog(
    conn: sa.Connection,
    frame_id: int,
    run_id: int,
    *,
    method: str,
    path: str,
    n_rows: int,
    sha256: str,
    seeing: float | None = None,
    depth: float | None = None,
    depth_aperture: float | None = None,
    apertures: Sequence[float | None] = (),
    targets: str = "",
) -> int:
    """Record a catalog that lies on disk; it becomes the one that light curves use, unless another one is pinned.

    A second call for the same frame and run writes the same row again. Many at once: `add_catalogs`.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    frame_id, run_id : int
    method : str
        ``sex``, ``photutils``, ``circular``, ``elliptical``.
    path : str
        Relative to the archive's home.
    n_rows : int
    sha256 : str
        Of the file.
    seeing : float, optional
        Measured FWHM, arcsec.
    depth, depth_aperture : float, optional
        5-sigma limit, mag, and the diameter of its aperture, arcsec.
    apertures : sequence of float or None
        Diameters in arcsec in the order of the columns' suffixes; None where there is no scale.
    targets : str
        Of forced photometry: the list of targets, by its name or hash; light curves use one catalog for each frame, method and list.

    Returns
    -------
    int
        catalog_id.
    """
    row = NewCatalog(frame_id, run_id, method, path, n_rows, sha256, seeing, depth, depth_aperture, tuple(apertures), targets)
    add_catalogs(conn, [row])
    found = sa.select(catalog.c.catalog_id).where(catalog.c.frame_id == frame_id, catalog.c.run_id == run_id)
    return conn.execute(found).scalar_one()


def add_catalogs(conn: sa.Connection, rows: Sequence[NewCatalog]) -> None:
    """Record catalogs that lie on disk, many in few statements; see `add_catalog`.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    rows : sequence of NewCatalog
        Of one run; a frame at most once.
    """
    if not rows:
        return
    insertion = insert(conn, catalog)
    values = {name: insertion.excluded[name] for name in _CATALOG_VALUES}
    conn.execute(insertion.on_conflict_do_update(index_elements=["frame_id", "run_id"], set_=values), [_values(row) for row in rows])
    # The newest run is the current one, whatever comes late; a pinned one stays.
    current = insert(conn, current_run)
    for part in chunks(rows):
        same = sa.and_(catalog.c.run_id == part[0].run_id, in_ids(catalog.c.frame_id, [row.frame_id for row in part]))
        names = ("frame_id", "method", "targets", "catalog_id", "run_id")
        made = sa.select(*(catalog.c[name] for name in names), sa.false().label("pinned")).where(same, of_run_that_counts())
        statement = current.from_select([*names, "pinned"], made)
        new = {"catalog_id": statement.excluded.catalog_id, "run_id": statement.excluded.run_id}
        replaceable = sa.and_(current_run.c.pinned.is_(False), current_run.c.run_id <= statement.excluded.run_id)
        conn.execute(statement.on_conflict_do_update(index_elements=CURRENT_KEY, set_=new, where=replaceable))


def _values(row: NewCatalog) -> dict[str, Any]:
    values = row._asdict() | {"n_rows": int(row.n_rows), "created": now()}
    values |= {name: clean_float(values[name]) for name in ("seeing", "depth", "depth_aperture")}
    return values | {"apertures": canonical_json([clean_float(value) for value in row.apertures])}


def close_run(conn: sa.Connection, run_id: int, counts: Mapping[str, int] | None = None) -> None:
    """Record that a run has come to its end, and its counts; those of its catalogs and sources are added."""
    made = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(catalog.c.n_rows), 0)).where(catalog.c.run_id == run_id)
    n_catalogs, n_sources = conn.execute(made).one()
    text = canonical_json({**(counts or {}), "n_catalogs": int(n_catalogs), "n_sources": int(n_sources)})
    conn.execute(sa.update(run).where(run.c.run_id == run_id).values(ended=now(), counts=text))


def close_unfinished(conn: sa.Connection, recipe_id: int) -> None:
    """Close the runs of a recipe that were stopped after their last frame; to be called when nothing is left to do."""
    unfinished = sa.select(run.c.run_id).where(run.c.recipe_id == recipe_id, run.c.ended.is_(None))
    for run_id in conn.execute(unfinished).scalars().all():
        close_run(conn, run_id)


def pin_run(conn: sa.Connection, run_id: int, frame_ids: Iterable[int] | None = None) -> int:
    """Make light curves use the catalogs of a run, also when newer ones come.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    run_id : int
    frame_ids : iterable of int, optional
        Only for these frames.

    Returns
    -------
    int
        How many catalogs were pinned.

    Raises
    ------
    InputError
        If the run has no catalogs, or is withdrawn.
    """
    if conn.execute(sa.select(run.c.run_id).where(run.c.run_id == run_id, ~_COUNTS)).first():
        raise InputError(f"run_id {run_id}: is withdrawn; `ezarchive withdraw --restore` makes it count again")
    names = (*CURRENT_KEY, "catalog_id", "run_id")
    query = sa.select(*(catalog.c[name] for name in names)).where(catalog.c.run_id == run_id)
    rows = [dict(row) for row in conn.execute(query).mappings()]
    if not rows:
        raise InputError(f"run_id {run_id}: has no catalogs; `ezarchive runs` lists the runs")
    if frame_ids is not None:
        wanted = set(frame_ids)
        rows = [row for row in rows if row["frame_id"] in wanted]
    statement = insert(conn, current_run)
    new = {"catalog_id": statement.excluded.catalog_id, "run_id": run_id, "pinned": True}
    statement = statement.on_conflict_do_update(index_elements=CURRENT_KEY, set_=new)
    for part in chunks(rows):
        conn.execute(statement, [{**row, "pinned": True} for row in part])
    return len(rows)


def unpin(conn: sa.Connection, method: str, frame_ids: Iterable[int] | None = None) -> int:
    """Make light curves use the newest catalogs again, where a run had been pinned.

    Returns
    -------
    int
        How many catalogs were freed.
    """
    chosen = sa.and_(current_run.c.method == method, current_run.c.pinned.is_(True))
    pinned = list(conn.execute(sa.select(current_run.c.frame_id).where(chosen)).scalars())
    ids = pinned if frame_ids is None else list({*pinned}.intersection(frame_ids))
    freed = 0
    for part in chunks(sorted(set(ids))):
        values = {"catalog_id": newest_catalog(catalog.c.catalog_id), "run_id": newest_catalog(catalog.c.run_id), "pinned": False}
        freed += conn.execute(sa.update(current_run).where(chosen, in_ids(current_run.c.frame_id, part)).values(values)).rowcount
    return freed


def newest_catalog(column: sa.Column[int]) -> sa.ScalarSelect[int]:
    """Return a column of the newest catalog that may take the place of a row of ``current_run``; NULL where there is none."""
    same = sa.and_(*(catalog.c[name] == current_run.c[name] for name in CURRENT_KEY))
    newest = sa.select(column).where(same, of_run_that_counts()).order_by(catalog.c.run_id.desc()).limit(1)
    return newest.correlate(current_run).scalar_subquery()


def of_run_that_counts() -> sa.ColumnElement[bool]:
    """Return whether a row of ``catalog`` is of a run that is not withdrawn."""
    return catalog.c.run_id.not_in(sa.select(run.c.run_id).where(~_COUNTS))


def list_runs(conn: sa.Connection) -> list[dict[str, Any]]:
    """Return every run, newest first.

    Returns
    -------
    list of dict
        run_id, recipe_id, method, started, ended (MJD UTC), n_catalogs, n_pinned, withdrawn (MJD UTC, None: it counts), counts,
        versions, parameters, apertures.
    """
    made = sa.select(catalog.c.run_id, sa.func.count().label("n")).group_by(catalog.c.run_id).subquery()
    pinned = sa.and_(current_run.c.run_id == run.c.run_id, current_run.c.pinned.is_(True))
    pins = sa.select(sa.func.count()).select_from(current_run).where(pinned).correlate(run).scalar_subquery()
    query = (
        sa.select(
            run.c.run_id, run.c.recipe_id, recipe.c.method, run.c.started, run.c.ended, sa.func.coalesce(made.c.n, 0).label("n_catalogs"),
            pins.label("n_pinned"), run.c.withdrawn,
            run.c.counts, run.c.versions, recipe.c.parameters, recipe.c.apertures,
        )
        .join(recipe, recipe.c.recipe_id == run.c.recipe_id)
        .outerjoin(made, made.c.run_id == run.c.run_id)
        .order_by(run.c.run_id.desc())
    )  # fmt: skip
    rows = [dict(row) for row in conn.execute(query).mappings()]
    for row in rows:
        for name in ("counts", "versions", "parameters", "apertures"):
            row[name] = None if row[name] is None else json.loads(row[name])
    return rows


def add_product(
    conn: sa.Connection,
    frame_id: int,
    kind: str,
    path: str,
    *,
    run_id: int | None = None,
    size: int | None = None,
    sha256: str | None = None,
) -> int:
    """Record a map or mask in the archive's home (path relative to it); a second call with the same path writes the row again.

    Returns
    -------
    int
        product_id.
    """
    values = {"frame_id": frame_id, "kind": kind, "run_id": run_id, "size": size, "sha256": sha256, "created": now()}
    add_products(conn, [{"path": path, **values}])
    return conn.execute(sa.select(product.c.product_id).where(product.c.path == path)).scalar_one()


def add_products(conn: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Record maps and masks, many at once: ``frame_id``, ``kind``, ``path``, ``run_id``, ``size``, ``sha256``; see `add_product`."""
    if not rows:
        return
    insertion = insert(conn, product)
    new = {name: insertion.excluded[name] for name in ("frame_id", "kind", "run_id", "size", "sha256", "created")}
    conn.execute(insertion.on_conflict_do_update(index_elements=["path"], set_=new), [{"created": now(), **row} for row in rows])
