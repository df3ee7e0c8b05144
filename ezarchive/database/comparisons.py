"""Comparisons of images: rows that `fit_photometry` and `anchor` write, and those that count.

Of a frame, a method and a reference the newest run that could fit it counts, or if none could, the newest; so it is with anchors, by
target, band, reference and file. What a withdrawn run made does not count; nothing is deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import sqlalchemy as sa

from ezarchive.database.models import FITTED, NAME_IDS, NAME_TABLES, anchor, frame, frame_file, image_fit, run
from ezarchive.database.parts import chunks, in_ids, plain_rows, replace_rows
from ezarchive.database.rows import clean_float, now
from ezarchive.database.runs import canonical_json

_FRAME_NAMES = ("objname", "telname", "filter")
_FRAME_FACTS = {"night": pa.string(), "mjd_mid": pa.float64(), "exptime": pa.float64()}

IMAGE_FIT_FIELDS: dict[str, pa.DataType] = {
    **dict.fromkeys(("frame_id", "run_id"), pa.int64()),
    **dict.fromkeys(_FRAME_NAMES, pa.string()),
    **_FRAME_FACTS,
    **dict.fromkeys(("method", "reference"), pa.string()),
    "reference_id": pa.int64(),
    **dict.fromkeys(("status", "code", "message"), pa.string()),
    **{name + suffix: pa.float64() for name in FITTED for suffix in ("", "_err")},
    **dict.fromkeys(("rms", "chi2"), pa.float64()),
    "n_pixels": pa.int64(),
    **dict.fromkeys(("unit", "fixed"), pa.string()),
}
"""Columns of `image_fits_table`."""

ANCHOR_FIELDS: dict[str, pa.DataType] = {
    **dict.fromkeys(("run_id", "frame_id"), pa.int64()),
    **dict.fromkeys(("target", "band", "kind", "reference", "resolution", "status", "code", "message"), pa.string()),
    **{name + suffix: pa.float64() for name in ("anchor_offset", "slope", "intercept") for suffix in ("", "_err")},
    **dict.fromkeys(("range_low", "range_high"), pa.float64()),
    **dict.fromkeys(("n_bins", "n_cells"), pa.int64()),
    "used": pa.bool_(),
    **dict.fromkeys(("unit", "file", "output"), pa.string()),
}
"""Columns of `anchors_table`."""


class NewImageFit(NamedTuple):
    """A fit of one frame to be recorded: the columns of the table ``image_fit``.

    ``values`` holds those of `models.FITTED` with their errors (``fwhm``, ``fwhm_err`` ...), ``rms``, ``chi2`` and ``n_pixels``; a fit that
    failed has none, but a ``code`` and a ``message``. ``fixed`` names what was not fitted.
    """

    frame_id: int
    run_id: int
    method: str
    reference: str
    status: str = "ok"
    reference_id: int | None = None
    code: str | None = None
    message: str | None = None
    unit: str | None = None
    fixed: Sequence[str] = ()
    values: Mapping[str, float | None] = {}
    details: Mapping[str, Any] | None = None


class NewAnchor(NamedTuple):
    """A fit of one band's level to be recorded: the columns of the table ``anchor``.

    ``anchor_offset`` is what is added to the image, in ``unit``; ``used`` says whether the image got it from this fit. A fit that failed
    has a ``code`` and a ``message``, and None for the numbers. ``file`` and ``output`` are paths of the image and of the anchored one.
    """

    run_id: int
    target: str
    band: str
    kind: str
    reference: str
    status: str = "ok"
    used: bool = False
    resolution: str | None = None
    slope: float | None = None
    slope_err: float | None = None
    intercept: float | None = None
    intercept_err: float | None = None
    anchor_offset: float | None = None
    anchor_offset_err: float | None = None
    range_low: float | None = None
    range_high: float | None = None
    n_bins: int | None = None
    n_cells: int | None = None
    code: str | None = None
    message: str | None = None
    unit: str | None = None
    file: str | None = None
    output: str | None = None
    frame_id: int | None = None
    details: Mapping[str, Any] | None = None


_FIT_NUMBERS = (*(name + suffix for name in FITTED for suffix in ("", "_err")), "rms", "chi2")
_ANCHOR_NUMBERS = tuple(name for name, kind in ANCHOR_FIELDS.items() if kind == pa.float64())


def add_image_fits(conn: sa.Connection, rows: Sequence[NewImageFit]) -> None:
    """Record fits of one run; those that it had of the same frames are replaced.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    rows : sequence of NewImageFit
        All of a frame together. A number that is not finite becomes NULL.
    """
    replace_rows(conn, image_fit, rows, _fit_values)


def add_anchors(conn: sa.Connection, rows: Sequence[NewAnchor]) -> None:
    """Record anchors of one run; those that it had of the same targets are replaced.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    rows : sequence of NewAnchor
        All of a target together. A number that is not finite becomes NULL.
    """
    for run_id in {row.run_id for row in rows}:
        targets = {row.target for row in rows if row.run_id == run_id}
        conn.execute(sa.delete(anchor).where(anchor.c.run_id == run_id, anchor.c.target.in_(sorted(targets))))
    for part in chunks(rows):
        conn.execute(sa.insert(anchor), [_anchor_values(row) for row in part])


def fitted(conn: sa.Connection, recipe_id: int, frame_ids: Iterable[int]) -> set[int]:
    """Return those of the frames that a run of this recipe has fitted; what failed is not among them."""
    done: set[int] = set()
    for part in chunks(frame_ids):
        query = sa.select(image_fit.c.frame_id).join(run, run.c.run_id == image_fit.c.run_id)
        query = query.where(run.c.recipe_id == recipe_id, run.c.withdrawn.is_(None), image_fit.c.status != "failed")
        done.update(conn.execute(query.where(in_ids(image_fit.c.frame_id, part))).scalars())
    return done


def image_fits_table(conn: sa.Connection, *, frame_ids: Iterable[int] | None = None, run_id: int | None = None) -> pa.Table:
    """Return the image fits that count, with when and of what the frames are, by frame.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    frame_ids : iterable of int, optional
        Only of these frames.
    run_id : int, optional
        Those of this run instead, whether they count or not.

    Returns
    -------
    pyarrow.Table
        Columns `IMAGE_FIT_FIELDS`.
    """
    names = {name: NAME_TABLES[name] for name in _FRAME_NAMES}
    found = []
    for name in IMAGE_FIT_FIELDS:
        found.append(names[name].c.name if name in names else frame.c[name] if name in _FRAME_FACTS else image_fit.c[name])
    statement = sa.select(*(column.label(f"c{place}") for place, column in enumerate(found))).select_from(image_fit)
    statement = statement.join(frame, frame.c.frame_id == image_fit.c.frame_id)
    for name, table in names.items():
        statement = statement.outerjoin(table, table.c[NAME_IDS[name]] == frame.c[NAME_IDS[name]])
    if run_id is None:
        keys = (image_fit.c.frame_id, image_fit.c.method, image_fit.c.reference)
        statement = statement.where(image_fit.c.image_fit_id.in_(_counting(image_fit, image_fit.c.image_fit_id, keys)))
        statement = statement.where(sa.exists().where(frame_file.c.frame_id == image_fit.c.frame_id))
    else:
        statement = statement.where(image_fit.c.run_id == run_id)
    statement = statement.order_by(image_fit.c.frame_id, image_fit.c.image_fit_id)
    parts = [statement] if frame_ids is None else [statement.where(in_ids(image_fit.c.frame_id, part)) for part in chunks(frame_ids)]
    return _table([row for part in parts for row in plain_rows(conn, part)], IMAGE_FIT_FIELDS)


def anchors_table(conn: sa.Connection, *, run_id: int | None = None) -> pa.Table:
    """Return the anchors that count, by target and band, or all of one run.

    Returns
    -------
    pyarrow.Table
        Columns `ANCHOR_FIELDS`.
    """
    statement = sa.select(*(anchor.c[name] for name in ANCHOR_FIELDS))
    if run_id is None:
        keys = tuple(anchor.c[name] for name in ("target", "band", "kind", "reference", "file"))
        statement = statement.where(anchor.c.anchor_id.in_(_counting(anchor, anchor.c.anchor_id, keys)))
    else:
        statement = statement.where(anchor.c.run_id == run_id)
    return _table(plain_rows(conn, statement.order_by(anchor.c.target, anchor.c.band, anchor.c.anchor_id)), ANCHOR_FIELDS)


def _counting(table: sa.Table, key: sa.Column[int], keys: Sequence[sa.Column[Any]]) -> sa.Select[Any]:
    """Select the ids of the rows that count: of equal keys the newest that did not fail, else the newest."""
    order = (sa.case((table.c.status == "failed", 1), else_=0), table.c.run_id.desc(), key.desc())
    place = sa.func.row_number().over(partition_by=keys, order_by=order).label("place")
    ranked = sa.select(key.label("id"), place).join(run, run.c.run_id == table.c.run_id).where(run.c.withdrawn.is_(None)).subquery()
    return sa.select(ranked.c.id).where(ranked.c.place == 1)


def _fit_values(row: NewImageFit) -> dict[str, Any]:
    values = row._asdict()
    given = values.pop("values")
    values |= {name: clean_float(given.get(name)) for name in _FIT_NUMBERS}
    n_pixels = given.get("n_pixels")
    values |= {"n_pixels": None if n_pixels is None else int(n_pixels), "fixed": ",".join(row.fixed) or None, "created": now()}
    return values | {"details": None if row.details is None else canonical_json(row.details)}


def _anchor_values(row: NewAnchor) -> dict[str, Any]:
    values = row._asdict() | {"created": now()}
    values |= {name: clean_float(values[name]) for name in _ANCHOR_NUMBERS}
    return values | {"details": None if row.details is None else canonical_json(row.details)}


def _table(rows: Sequence[Sequence[Any]], fields: Mapping[str, pa.DataType]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(fields)
    arrays = []
    for values, kind in zip(columns, fields.values(), strict=True):
        # SQLite has numbers for booleans.
        plain = [None if value is None else bool(value) for value in values] if kind == pa.bool_() else values
        arrays.append(pa.array(plain, type=kind))
    return pa.table(arrays, schema=pa.schema(fields.items()))
