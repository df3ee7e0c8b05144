"""Aperture photometry of the quick look: rows that are saved, each once, and those that count.

A row is known by its calculation (a UUID) and its place in it, so that saving the same results twice adds nothing. What a withdrawn run
saved does not count; nothing is deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from ezarchive.columns import LOOK
from ezarchive.database.models import NAME_IDS, NAME_TABLES, aperture_photometry, frame, run
from ezarchive.database.parts import chunks, in_ids, plain_rows
from ezarchive.database.rows import clean_float, clean_int, clean_text, now

_FRAME_NAMES = ("objname", "telname", "filter")
_FRAME_FACTS = {"night": pa.string(), "mjd_mid": pa.float64(), "exptime": pa.float64()}
_KINDS = {"float64": pa.float64(), "int32": pa.int32(), "int64": pa.int64(), "str": pa.string()}
_CLEAN = {"float64": clean_float, "int32": clean_int, "int64": clean_int, "str": clean_text}

PHOTOMETRY_FIELDS: dict[str, pa.DataType] = {
    **dict.fromkeys(("run_id", "frame_id"), pa.int64()),
    **dict.fromkeys(_FRAME_NAMES, pa.string()),
    **_FRAME_FACTS,
    **{spec.name: _KINDS[spec.dtype] for spec in LOOK},
}
"""Columns of `photometry_table`."""


def unsaved(conn: sa.Connection, keys: Iterable[tuple[str, int]]) -> list[int]:
    """Return the places of those rows that are not saved yet.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    keys : iterable of (str, int)
        ``calculation`` and ``row`` of each.
    """
    listed = list(keys)
    known: set[tuple[str, int]] = set()
    table = aperture_photometry.c
    for part in chunks(sorted({calculation for calculation, _ in listed})):
        found = conn.execute(sa.select(table.calculation, table.row).where(table.calculation.in_(part)))
        known.update((calculation, row) for calculation, row in found)
    return [place for place, key in enumerate(listed) if key not in known]


def add_photometry(conn: sa.Connection, run_id: int, rows: Sequence[Mapping[str, Any]], frame_ids: Sequence[int | None]) -> None:
    """Save rows.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    run_id : int
    rows : sequence of mappings
        The columns of ``columns.LOOK``; what is not finite or empty becomes NULL. None is saved yet (`unsaved`).
    frame_ids : sequence of int or None
        Of each row: the frame that was measured, where it is one of the archive.
    """
    when = now()
    for part in chunks(list(zip(rows, frame_ids, strict=True))):
        values = [
            {spec.name: _CLEAN[spec.dtype](row.get(spec.name)) for spec in LOOK}
            | {"run_id": run_id, "frame_id": frame_id, "flags": int(row["flags"]), "row": int(row["row"]), "created": when}
            for row, frame_id in part
        ]
        conn.execute(sa.insert(aperture_photometry), values)


def photometry_table(conn: sa.Connection, *, frame_ids: Iterable[int] | None = None, run_id: int | None = None) -> pa.Table:
    """Return the rows that count, with what the frames are, in the order in which they were saved.

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
        Columns `PHOTOMETRY_FIELDS`.
    """
    names = {name: NAME_TABLES[name] for name in _FRAME_NAMES}
    table = aperture_photometry
    found = []
    for name in PHOTOMETRY_FIELDS:
        found.append(names[name].c.name if name in names else frame.c[name] if name in _FRAME_FACTS else table.c[name])
    statement = sa.select(*(column.label(f"c{place}") for place, column in enumerate(found))).select_from(table)
    statement = statement.join(run, run.c.run_id == table.c.run_id).outerjoin(frame, frame.c.frame_id == table.c.frame_id)
    for name, other in names.items():
        statement = statement.outerjoin(other, other.c[NAME_IDS[name]] == frame.c[NAME_IDS[name]])
    statement = statement.where(run.c.withdrawn.is_(None) if run_id is None else table.c.run_id == run_id)
    statement = statement.order_by(table.c.photometry_id)
    parts = [statement] if frame_ids is None else [statement.where(in_ids(table.c.frame_id, part)) for part in chunks(frame_ids)]
    rows = [row for part in parts for row in plain_rows(conn, part)]
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(PHOTOMETRY_FIELDS)
    arrays = [pa.array(values, type=kind) for values, kind in zip(columns, PHOTOMETRY_FIELDS.values(), strict=True)]
    return pa.table(arrays, schema=pa.schema(PHOTOMETRY_FIELDS.items()))
