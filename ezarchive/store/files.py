"""The Parquet files of the store: fixed schemas and orders, written and read.

Equal rows give equal bytes, whatever batches they come in: row groups begin at multiples of `ROW_GROUP`, texts are coded with sorted
dictionaries of each row group, nothing is written but the rows. Missing values are NULL.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ezarchive.columns import ALIAS, AMBIGUOUS, OBJECT, OBJECT_FILTER, ORPHAN, STORE, Column
from ezarchive.errors import InputError, StoreError
from ezarchive.files import sha256_file

ROW_GROUP = 40_960
"""Rows of a row group: with fewer a column of the whole sky takes longer, with more an object does."""

MAP_ORDER = 6
"""Order of the cells that rows are counted in, for the map of a HATS catalog."""

ARROW_TYPES = {
    "bool": pa.bool_(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "str": pa.string(),
}

_SITES = (
    Column("site", "int64", None, "pos.healpix", "HEALPix NESTED cell of order 20 that holds detections"),
    Column("object_id", "int64", None, "meta.id;src", "the object that they are of"),
)
_CONTENTS = (
    Column("catalog_id", "int64", None, "meta.id", "a catalog with rows in the leaf's light curves"),
    Column("rows", "int64", None, "meta.number", "how many"),
)
_CONSERVATION = (
    Column("catalog_id", "int64", None, "meta.id", "the catalog"),
    Column("rows", "int64", None, "meta.number", "rows that it holds"),
    Column("light_curve", "int64", None, "meta.number", "of them in light curves"),
    Column("orphans", "int64", None, "meta.number", "of them without an object"),
    Column("unplaced", "int64", None, "meta.number", "of them without a position"),
)
COLUMNS: dict[str, tuple[Column, ...]] = {
    "light_curve": STORE,
    "orphans": ORPHAN,
    "unplaced": ORPHAN,
    "objects": OBJECT,
    "object_filters": OBJECT_FILTER,
    "objects_margin": OBJECT,
    "sites": _SITES,
    "contents": _CONTENTS,
    "ambiguous": AMBIGUOUS,
    "aliases": ALIAS,
    "conservation": _CONSERVATION,
}
"""The columns of each dataset and table."""

_EPOCH = ("mjd_mid", "frame_id", "catalog_id", "row")
ORDERS: dict[str, tuple[str, ...]] = {
    "light_curve": ("object_id", *_EPOCH),
    "orphans": ("_healpix_29", *_EPOCH),
    "unplaced": ("catalog_id", "row"),
    "objects": ("object_id",),
    "object_filters": ("object_id", "filter"),
    "objects_margin": ("object_id",),
    "sites": ("site", "object_id"),
    "contents": ("catalog_id",),
    "ambiguous": ("object_id", "other_id", "separation"),
    "aliases": ("old_id",),
    "conservation": ("catalog_id",),
}
"""What the rows of each are sorted by, NULL last."""

_REPEATED = frozenset((
    "object_id", "frame_id", "run_id", "catalog_id", "telname", "filter", "mjd_mid", "exptime", "aperture_arcsec", "flags", "kind",
    "flags_aper", "zero_point", "zero_point_err", "target_id", "night", "object_ra", "object_dec",
))  # fmt: skip
_NOT_REPEATED = frozenset((("orphans", "object_id"), ("objects", "object_id"), ("objects_margin", "object_id")))
_PRUNED_BY = frozenset((
    "object_id", "mjd_mid", "_healpix_29", "catalog_id", "frame_id", "ra", "dec", "site", "chi2_reduced", "eta", "amplitude", "stetson_j",
    "n_det", "n_good", "mjd_last", "mag_mean", "mag_min", "filter", "old_id",
))  # fmt: skip


class StoredFile(NamedTuple):
    """One file of a version, as its manifest has it."""

    path: str
    """Relative to the version's folder."""
    rows: int
    nbytes: int
    sha256: str
    strays: tuple[int, ...] = ()
    """Order-12 cells in the ids of objects that lie in the leaf, but were founded in another one; sorted."""
    cells: tuple[tuple[int, int], ...] = ()
    """HEALPix cells of order `MAP_ORDER` and how many rows lie in each; sorted. Of the HATS catalogs alone."""


def schema(dataset: str) -> pa.Schema:
    """Return the Arrow schema of a dataset or table.

    Raises
    ------
    InputError
        If there is none of this name.
    """
    if dataset not in COLUMNS:
        raise InputError(f"dataset {dataset!r}: must be one of {', '.join(COLUMNS)}")
    return pa.schema([pa.field(column.name, ARROW_TYPES[column.dtype]) for column in COLUMNS[dataset]])


def conform(table: pa.Table, dataset: str, names: Sequence[str] | None = None) -> pa.Table:
    """Return a table with the columns of a dataset (or some) in their order and types; it may have more, and texts as dictionaries.

    Raises
    ------
    InputError
        If a column is missing or its values do not fit.
    """
    fields = schema(dataset) if names is None else pa.schema([schema(dataset).field(name) for name in names])
    arrays = []
    for field in fields:
        if field.name not in table.column_names:
            raise InputError(f"table of {dataset}: column {field.name!r} is missing, found {', '.join(table.column_names)}")
        column = table[field.name]
        if pa.types.is_dictionary(column.type) and column.type.value_type == field.type:
            arrays.append(column)
            continue
        try:
            arrays.append(column if column.type == field.type else column.cast(field.type))
        except pa.ArrowException as err:
            raise InputError(f"table of {dataset}: column {field.name!r} must be {field.type}, found {column.type}: {err}") from err
    return pa.Table.from_arrays(arrays, names=fields.names)


def sort_order(table: pa.Table, names: Sequence[str]) -> np.ndarray:
    """Return the stable order of a table's rows by columns, NULL last.

    Parameters
    ----------
    table : pyarrow.Table
        Tables that are made of a few sorted runs are merged, which is faster than sorting.
    names : sequence of str
        Numbers or texts; the first counts most.

    Returns
    -------
    ndarray of int64, shape (n,)
    """
    keys = [_sortable(table[name]) for name in names]
    first = np.argsort(keys[0], kind="stable")
    if len(keys) == 1 or not len(first):
        return first
    wrong = _wrong_pairs([key[first] for key in keys])
    if not wrong.any():
        return first
    lead = keys[0][first]
    starts = np.flatnonzero(np.r_[True, lead[1:] != lead[:-1]])
    group = np.cumsum(np.r_[False, lead[1:] != lead[:-1]])
    bad = np.zeros(len(starts), bool)
    bad[group[1:][wrong]] = True
    rows = np.flatnonzero(bad[group])  # whole groups, so that sorting them leaves all others in place
    chosen = first[rows]
    first[rows] = chosen[np.lexsort([key[chosen] for key in reversed(keys)])]
    return first


def _wrong_pairs(keys: list[np.ndarray]) -> np.ndarray:
    """Tell for each row but the first whether it must come before the one in front of it."""
    equal = np.ones(len(keys[0]) - 1, bool)
    wrong = np.zeros(len(keys[0]) - 1, bool)
    for key in keys:
        wrong |= equal & (key[1:] < key[:-1])
        equal &= key[1:] == key[:-1]
    return wrong


def _sortable(column: pa.ChunkedArray) -> np.ndarray:
    """Return numbers that sort as the values do, NULL last."""
    if pa.types.is_string(column.type) or pa.types.is_dictionary(column.type):
        coded = _sorted_dictionary(_in_one(column if pa.types.is_dictionary(column.type) else column.dictionary_encode()))
        return coded.indices.fill_null(len(coded.dictionary)).to_numpy(zero_copy_only=False)
    if column.null_count:
        column = column.fill_null(np.inf if pa.types.is_floating(column.type) else np.iinfo(column.type.to_pandas_dtype()).max)
    return column.to_numpy()


def is_sorted(table: pa.Table, names: Sequence[str]) -> bool:
    """Tell whether a table's rows are in the order of these columns."""
    return len(table) < 2 or not _wrong_pairs([_sortable(table[name]) for name in names]).any()


def write(path: Path, tables: Iterable[pa.Table], dataset: str) -> int:
    """Write a file of a dataset; it is neither fsynced nor renamed, which publishing the version does for all at once.

    Parameters
    ----------
    path : path
        Its folder is made.
    tables : iterable of pyarrow.Table
        One after the other the sorted rows.
    dataset : str

    Returns
    -------
    int
        Rows that were written; without any there is no file.

    Raises
    ------
    InputError
        If a table does not fit the dataset.
    OSError
        If it cannot be written; what there was of it is gone then.
    """
    rows, writer = 0, None
    try:
        for group in _row_groups(tables, dataset):
            if writer is None:
                path.parent.mkdir(parents=True, exist_ok=True)
                writer = _writer(path, dataset)
            writer.write_table(_canonical(group), row_group_size=ROW_GROUP)
            rows += len(group)
        if writer is not None:
            writer.close()
    except BaseException:
        if writer is not None:
            writer.close()
        path.unlink(missing_ok=True)
        raise
    return rows


def _writer(path: Path, dataset: str) -> pq.ParquetWriter:
    fields = schema(dataset)
    repeated = [name for name in fields.names if name in _REPEATED and (dataset, name) not in _NOT_REPEATED]
    plain = [field.name for field in fields if field.name not in repeated]
    encodings = {name: "BYTE_STREAM_SPLIT" if pa.types.is_floating(fields.field(name).type) else "PLAIN" for name in plain}
    encodings |= {name: "DELTA_BINARY_PACKED" for name in plain if fields.field(name).type in (pa.int64(), pa.int32())}
    coded = pa.schema(
        [pa.field(field.name, pa.dictionary(pa.int32(), pa.string())) if pa.types.is_string(field.type) else field for field in fields]
    )
    return pq.ParquetWriter(  # without Arrow's own schema, texts are texts to every reader
        path,
        coded,
        compression="zstd",
        compression_level=1,
        store_schema=False,
        use_dictionary=repeated,
        column_encoding=encodings,
        write_statistics=[name for name in fields.names if name in _PRUNED_BY],
    )


def _row_groups(tables: Iterable[pa.Table], dataset: str) -> Iterator[pa.Table]:
    """Cut the rows into tables of `ROW_GROUP` rows, the last of what is left."""
    waiting: list[pa.Table] = []
    count = 0
    for table in tables:
        part = conform(table, dataset)
        while count + len(part) >= ROW_GROUP:
            wanted = ROW_GROUP - count
            yield _joined([*waiting, part.slice(0, wanted)])
            part, waiting, count = part.slice(wanted), [], 0
        if len(part):
            waiting.append(part)
            count += len(part)
    if count:
        yield _joined(waiting)


def _joined(parts: list[pa.Table]) -> pa.Table:
    if len(parts) == 1:
        return parts[0]
    names = parts[0].column_names
    mixed = [name for name in names if len({part[name].type for part in parts}) > 1]
    for name in mixed:  # some as a dictionary, some not
        index = names.index(name)
        parts = [part.set_column(index, name, _decoded(part[name])) for part in parts]
    return pa.concat_tables(parts)


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _canonical(group: pa.Table) -> pa.Table:
    """Return the rows in one piece, texts coded with the sorted dictionary of those that occur."""
    group = group.unify_dictionaries().combine_chunks()
    for index, name in enumerate(group.column_names):
        column = group[name]
        kind = column.type
        if pa.types.is_string(kind):
            column = column.dictionary_encode()
        if pa.types.is_dictionary(column.type):
            group = group.set_column(index, name, _sorted_dictionary(_in_one(column)))
    return group


def _in_one(column: pa.ChunkedArray) -> pa.DictionaryArray:
    column = column.unify_dictionaries().combine_chunks()
    return column.chunk(0) if isinstance(column, pa.ChunkedArray) else column


def _sorted_dictionary(array: pa.DictionaryArray) -> pa.DictionaryArray:
    codes = array.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    used = np.flatnonzero(np.bincount(codes[codes >= 0], minlength=len(array.dictionary)))
    values = array.dictionary.take(pa.array(used))
    order = np.array(pc.sort_indices(values), np.int64)
    place = np.full(len(array.dictionary) + 1, -1, np.int64)
    place[used[order]] = np.arange(len(used))
    new = place[codes]
    return pa.DictionaryArray.from_arrays(pa.array(new.astype(np.int32), mask=new < 0), values.take(pa.array(order)))


def describe(path: Path, relpath: str, dataset: str) -> StoredFile:
    """Return what the manifest says of a file that was just written, but for what `StoredFile.strays` and `cells` hold."""
    rows = pq.read_metadata(path).num_rows
    return StoredFile(relpath, rows, path.stat().st_size, sha256_file(path))


def open_file(path: Path) -> pq.ParquetFile:
    """Open a file of the store; texts are read as dictionaries.

    Raises
    ------
    StoreError
        If it is missing or torn.
    """
    try:
        texts = [field.name for field in pq.read_schema(path) if pa.types.is_string(field.type)]
        return pq.ParquetFile(path, read_dictionary=texts, memory_map=False)
    except FileNotFoundError as err:
        raise StoreError(f"{path}: is missing from the light-curve store; `ezarchive associate HOME --rebuild` makes it anew") from err
    except (OSError, pa.ArrowException) as err:
        raise StoreError(f"{path}: is damaged ({first_line(err)}); `ezarchive associate HOME --rebuild` makes the store anew") from err


def read(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a file of the store; texts come as plain strings.

    Raises
    ------
    StoreError
        If it is missing or torn.
    """
    with open_file(path) as stream:
        return decoded(read_groups(stream, path, range(stream.metadata.num_row_groups), columns))


def read_groups(stream: pq.ParquetFile, path: Path, groups: Iterable[int], columns: Sequence[str] | None = None) -> pa.Table:
    """Read some row groups of an open file.

    Raises
    ------
    StoreError
        If the file is torn.
    """
    try:
        return stream.read_row_groups(list(groups), columns=None if columns is None else list(columns), use_threads=False)
    except (OSError, pa.ArrowException) as err:
        raise StoreError(f"{path}: is damaged ({first_line(err)}); `ezarchive associate HOME --rebuild` makes the store anew") from err


def decoded(table: pa.Table) -> pa.Table:
    """Return a table whose texts are plain strings."""
    for index, name in enumerate(table.column_names):
        if pa.types.is_dictionary(table[name].type):
            table = table.set_column(index, name, _decoded(table[name]))
    return table


def first_line(err: BaseException) -> str:
    """Return the first line of an error's message."""
    return str(err).strip().splitlines()[0] if str(err).strip() else type(err).__name__
