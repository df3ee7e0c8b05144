"""Small light-curve stores over the archives of `conftest`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ezarchive import sky
from ezarchive.catalogs.sources import Given
from ezarchive.catalogs.sql import Engine
from ezarchive.catalogs.stored import Stored
from ezarchive.store import files, ids
from ezarchive.store.build import Builder
from ezarchive.store.summary import summarise
from ezarchive.store.tree import Leaf
from ezarchive.store.version import Version

STARS = {"A": (10.0, 20.0), "B": (10.003, 20.0), "C": (359.99999, 0.00001), "D": (200.0, -60.0)}
LONELY = (10.01, 20.01)
"""A place where something is seen once."""
OBJECTS = {name: int(ids.object_ids(sky.cell_of(*place, 29))[0]) for name, place in STARS.items()}
OLD = OBJECTS["B"] + 2
"""An id that became B's."""


def fill(archive: Any, frames: int = 6) -> None:
    """Add frames of the stars, with a magnitude of 15 + the star's place; the first shows something more, the second has no position."""
    for n in range(frames):
        places = list(STARS.values()) + ([LONELY] if n == 0 else [(np.nan, np.nan)] if n == 1 else [])
        fluxes = np.array([10 ** ((25 - 15 - k) / 2.5) * 30 * (1 + 0.1 * (n % 2)) for k in range(len(places))])
        frame = {
            "filter": "rg"[n % 2], "telname": "7DT01", "mjd_mid": 60000.0 + n, "exptime": 30.0, "night": f"2025-01-0{n + 1}",
            "ra": 10.0, "dec": 20.0, "radius": 180.0, "objname": f"T{n}",
        }  # fmt: skip
        archive.add(frame, {5.0: fluxes, 7.0: fluxes * 1.1}, ra=[p[0] for p in places], dec=[p[1] for p in places], sky_sigma=2.0)
        archive.calibrate(n + 1, 5.0, 25.0 + 2.5 * np.log10(30.0))


def store(archive: Any, *, pending: tuple[int, ...] = (105,), left_out: tuple[int, ...] = (), old_of_b: bool = False) -> Stored:
    """Build the store of all catalogs but the pending ones."""
    with archive.engine() as engine:
        rows = engine.query("SELECT * FROM light_curve").to_arrow()
    rows = rows.filter(pc.invert(pc.is_in(rows["catalog_id"], pa.array(pending, pa.int64()))))
    ra, dec = (rows[name].to_numpy() for name in ("ra", "dec"))
    placed = np.isfinite(ra)
    near = {name: np.hypot((ra - place[0]) * np.cos(np.radians(place[1])), dec - place[1]) < 1e-4 for name, place in STARS.items()}
    with Builder(archive.home, Version.none(archive.home), 1, {"aperture": 5.0}) as builder:
        for leaf in builder.tree.leaves:
            parts = []
            for name, mask in near.items():
                if leaf.range[0] <= OBJECTS[name] < leaf.range[1]:
                    object_id = OLD if old_of_b and name == "B" else OBJECTS[name]
                    parts.append(_owned(rows.filter(pa.array(mask & placed)), object_id))
            if parts:
                table = pa.concat_tables(parts)
                builder.add(leaf, table)
                _summaries(builder, leaf, table)
        lonely = placed & ~np.any(list(near.values()), axis=0)
        cells = sky.cell_of(ra[lonely], dec[lonely], 29)
        orphans = rows.filter(pa.array(lonely)).append_column("_healpix_29", pa.array(cells))
        for leaf in builder.tree.leaves:
            here = (cells >= leaf.cells[0]) & (cells < leaf.cells[1])
            builder.replace(leaf, "orphans", orphans.filter(pa.array(here)))
        unplaced = rows.filter(pa.array(~placed))
        builder.unplaced(unplaced.append_column("_healpix_29", pa.nulls(len(unplaced), pa.int64())))
        if old_of_b:
            builder.set_aliases(pa.table({"old_id": [OLD], "object_id": [OBJECTS["B"]]}))
        pair = {"object_id": [OBJECTS["A"]], "other_id": [OBJECTS["B"]], "separation": [10.1]}
        builder.set_ambiguous(pa.table(pair))
        version = builder.publish()
    frames = {row["catalog_id"]: row["frame_id"] for row in archive.catalogs}
    waiting = pa.table({"catalog_id": pa.array(pending, pa.int64()), "frame_id": pa.array([frames[n] for n in pending], pa.int64())})
    return Stored(version, 5.0, waiting, pa.array(left_out, pa.int64()))


def engine(archive: Any, stored: Stored | None, **options: Any) -> Engine:
    """Return an engine over an archive of `conftest` and a store."""
    source = Given(*archive.tables())
    return Engine.over(source, archive.home, stored=stored, **options)


def _owned(rows: pa.Table, object_id: int) -> pa.Table:
    ra, dec = ids.place([object_id])
    rows = rows.set_column(rows.column_names.index("object_id"), "object_id", pa.array([object_id] * len(rows), pa.int64()))
    rows = rows.append_column("object_ra", pa.array(np.repeat(ra, len(rows)))).append_column(
        "object_dec", pa.array(np.repeat(dec, len(rows)))
    )
    return rows.append_column("_healpix_29", pa.array([object_id >> 1] * len(rows), pa.int64()))


def _summaries(builder: Builder, leaf: Leaf, table: pa.Table) -> None:
    table = files.conform(table, "light_curve")
    table = table.take(pa.array(files.sort_order(table, files.ORDERS["light_curve"])))
    table = table.set_column(
        0, "object_id", pa.array(np.where(table["object_id"].to_numpy() == OLD, OBJECTS["B"], table["object_id"].to_numpy()))
    )
    objects, filters = summarise(table.take(pa.array(np.argsort(table["object_id"].to_numpy(), kind="stable"))))
    builder.replace(leaf, "objects", objects)
    builder.replace(leaf, "object_filters", filters)
