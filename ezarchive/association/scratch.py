"""Temporary tables between the steps of `associate`: Arrow files in the store's hidden folder, mapped into memory when they are read.

More than half of a row of a light curve follows from its catalog, its fluxes and its object. Rows of new catalogs go from step to step
without that (`Rows`): writing it to memory and to files three times took longer than everything that is decided about them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ezarchive.store import calibration, files, ids
from ezarchive.store.calibration import CALIBRATION

_OF_FRAME = (
    ("frame_id", pa.int64()), ("run_id", pa.int64()), ("telname", pa.string()), ("filter", pa.string()), ("mjd_mid", pa.float64()),
    ("exptime", pa.float64()), ("aperture_arcsec", pa.float64()), ("kind", pa.string()), ("night", pa.string()),
)  # fmt: skip
FACTS = pa.schema([*CALIBRATION, *_OF_FRAME])
"""What is known of a catalog: its calibration, and the columns that all of its rows share."""

OWN = ("catalog_id", "row", "ra", "dec", "flux", "flux_err", "flags", "flags_aper", "flux_limit", "target_id")
"""The columns of a row that do not follow from anything else."""

_CALIBRATED = frozenset(("mag", "mag_err", "flux_ujy", "flux_ujy_err", "mag_limit", "zero_point", "zero_point_err"))
_OF_OBJECT = frozenset(("object_ra", "object_dec", "_healpix_29"))
_FACTS_KEY = b"facts"


@dataclass(frozen=True)
class Rows:
    """Rows of ``light_curve`` or ``orphans``, with all their columns or without those that follow from the others.

    Attributes
    ----------
    table : pyarrow.Table
        All columns, or `OWN` with ``object_id`` (light curves) or ``_healpix_29`` (orphans).
    facts : pyarrow.Table or None
        `FACTS` of the catalogs, by ``catalog_id``; None: the table has all columns.
    """

    table: pa.Table
    facts: pa.Table | None = None

    def __len__(self) -> int:
        return len(self.table)

    @classmethod
    def joined(cls, parts: Iterable[Rows], dataset: str) -> Self:
        """Return rows of a dataset one after the other."""
        parts = [part for part in parts if len(part)]
        if not parts or any(part.facts is None for part in parts):
            return cls(joined([part.whole() for part in parts], dataset))
        names = parts[0].table.column_names
        facts = _first_rows(pa.concat_tables([part.facts for part in parts]), "catalog_id").combine_chunks()
        return cls(pa.concat_tables([part.table.select(names) for part in parts]).unify_dictionaries().combine_chunks(), facts)

    def column(self, name: str) -> NDArray:
        """Return a column of the table, of numbers without NULL."""
        return column(self.table, name)

    def slice(self, start: int, length: int) -> Rows:
        """Return rows that follow one another."""
        return Rows(self.table.slice(start, length), self.facts)

    def take(self, rows: NDArray) -> Rows:
        """Return some rows, by number or by mask."""
        return Rows(take(self.table, rows), self.facts)

    def with_objects(self, object_id: NDArray[np.int64]) -> Rows:
        """Return the rows as light curves of these objects."""
        if self.facts is None:
            return Rows(with_objects(self.table, object_id))
        return Rows(pa.table([pa.array(object_id), *(self.table[name] for name in OWN)], names=["object_id", *OWN]), self.facts)

    def select(self, names: Sequence[str], rows: NDArray[np.int64] | None = None) -> pa.Table:
        """Return columns of all rows, or of those with these numbers; texts as dictionaries."""
        own = [name for name in names if name in self.table.column_names]
        table = self.table.select(own) if rows is None else self.table.select(own).take(pa.array(rows))
        if len(own) == len(names):
            return table
        catalogs = self.column("catalog_id")
        made = self._made([name for name in names if name not in own], catalogs if rows is None else catalogs[rows])
        return pa.table([made[name] if name in made else table[name] for name in names], names=list(names))

    def epochs(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return two numbers of each of these rows that sort as those columns of ``files.ORDERS`` do that do not tell its place."""
        names = files.ORDERS["light_curve"][1:-1]
        catalog = self.column("catalog_id")[rows]
        facts = self._coded_facts if self.facts is not None else _first_rows(self.table, "catalog_id")
        rank = np.empty(len(facts), np.int64)
        rank[files.sort_order(facts, names)] = np.arange(len(facts))
        return rank[np.searchsorted(column(facts, "catalog_id"), catalog)], self.column("row")[rows]

    def whole(self) -> pa.Table:
        """Return all rows with all columns."""
        if self.facts is None:
            return self.table
        return self.select(files.schema("light_curve" if "object_id" in self.table.column_names else "orphans").names)

    @cached_property
    def _coded_facts(self) -> pa.Table:
        return coded(self.facts).combine_chunks()

    def _made(self, names: Sequence[str], catalogs: NDArray[np.int64]) -> dict[str, pa.Array]:
        """Return columns that follow from others."""
        facts = self._coded_facts
        place = np.searchsorted(column(facts, "catalog_id"), catalogs)
        chosen = pa.array(place)
        made = {name: facts[name].take(chosen) for name, _ in _OF_FRAME if name in names}
        fields = files.schema("light_curve")
        if not _CALIBRATED.isdisjoint(names):
            of = {name: facts[name].fill_null(np.nan).to_numpy() for name in CALIBRATION.names[1:]}
            found = calibration.from_fluxes(self.table, of, place)
            made |= {name: calibration.nullable(values, fields.field(name).type) for name, values in found.items()}
        if not _OF_OBJECT.isdisjoint(names):
            made |= _places(self.column("object_id"))
        return made


def _first_rows(table: pa.Table, name: str) -> pa.Table:
    """Return a row of each value of a column, by the values."""
    _, first = np.unique(column(table, name), return_index=True)
    return table.take(pa.array(first))


def _places(object_id: NDArray[np.int64]) -> dict[str, pa.Array]:
    """Return what the ids of objects say of their places."""
    first = np.append(True, object_id[1:] != object_id[:-1])[: len(object_id)]  # the rows of an object lie together, as a rule
    which = np.cumsum(first) - 1
    ra, dec = ids.place(object_id[first])
    return {
        "object_ra": pa.array(ra[which]), "object_dec": pa.array(dec[which]), "_healpix_29": pa.array(ids.healpix_29(object_id)),
    }  # fmt: skip


def with_objects(table: pa.Table, object_id: NDArray[np.int64]) -> pa.Table:
    """Return rows with all columns as ``light_curve`` has them: with their object and its place."""
    made = {"object_id": pa.array(object_id), **_places(object_id)}
    names = files.schema("light_curve").names
    return pa.table([made[name] if name in made else table[name] for name in names], names=names)


def write(path: Path, table: pa.Table | Rows) -> None:
    """Write a table, or rows with what is known of their catalogs; texts as dictionaries, which are short."""
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = table.facts if isinstance(table, Rows) else None
    table = coded(table.table if isinstance(table, Rows) else table).combine_chunks()
    if facts is not None:
        table = table.replace_schema_metadata({_FACTS_KEY: _packed(facts)})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def _packed(facts: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, facts.schema) as writer:
        writer.write_table(facts)
    return sink.getvalue().to_pybytes()


def rows(path: Path) -> Rows:
    """Return what was written as rows, or a table of all columns; no column is in memory before it is looked at."""
    with pa.memory_map(str(path)) as source:
        table = pa.ipc.open_file(source).read_all()
    metadata = table.schema.metadata or {}
    if _FACTS_KEY not in metadata:
        return Rows(table)
    return Rows(table.replace_schema_metadata(None), pa.ipc.open_stream(metadata[_FACTS_KEY]).read_all())


def read(path: Path) -> pa.Table:
    """Return a table with all its columns."""
    return rows(path).whole()


def coded(table: pa.Table) -> pa.Table:
    """Return a table whose texts are dictionaries, one for the whole table."""
    for index, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            table = table.set_column(index, field.name, table[field.name].dictionary_encode())
    return table.unify_dictionaries()


def joined(parts: list[pa.Table], dataset: str) -> pa.Table:
    """Return tables of a dataset as one, its columns in their order, texts as dictionaries."""
    names = files.schema(dataset).names
    parts = [coded(part.select(names)) for part in parts if len(part)]
    if not parts:
        return coded(files.schema(dataset).empty_table())
    return pa.concat_tables(parts).unify_dictionaries().combine_chunks()


def column(table: pa.Table, name: str) -> np.ndarray:
    """Return a column of numbers without NULL as an array."""
    return table[name].to_numpy()


def take(table: pa.Table, rows: np.ndarray) -> pa.Table:
    """Return some rows of a table, by number or by mask."""
    return table.filter(pa.array(rows)) if rows.dtype == np.bool_ else table.take(pa.array(rows))
