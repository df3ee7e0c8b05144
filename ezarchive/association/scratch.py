"""Temporary tables between the steps of `associate`: Arrow files in the store's hidden folder, mapped into memory when they are read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from ezarchive.store import files

BATCH_ROWS = 65_536


def write(path: Path, table: pa.Table) -> None:
    """Write a table; texts as dictionaries, which are short."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = coded(table)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())


def read(path: Path) -> pa.Table:
    """Return a table; no column is in memory before it is looked at."""
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


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
