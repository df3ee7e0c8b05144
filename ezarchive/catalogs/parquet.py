"""One Parquet file per frame and run: the immutable truth of what was measured.

The rows are sorted by ``_healpix_29``, then ``NUMBER``. The constant columns ``columns.CATALOG_LINK`` come first; missing values are
NULL, never NaN. The footer says what every column means (`ezarchive.catalogs.metadata`) and, under ``ezarchive.*``, where the rows
come from. Equal input gives equal bytes.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from astropy.table import QTable, Table

from ezarchive.catalogs.metadata import ARROW_TYPES, column_metadata
from ezarchive.catalogs.result import arrow_to_qtable
from ezarchive.columns import CATALOG_LINK, Column, lookup
from ezarchive.errors import CatalogError, InputError
from ezarchive.files import atomic_write
from ezarchive.flags import FLAG_VERSION

FORMAT_VERSION = 1
"""Version of the file's layout; a reader of an older version reads what it knows."""

PREFIX = "ezarchive."
ROW_GROUP = 16384
"""Rows of a row group: fewer make reading slow, more make it read rows that a cone does not need."""

_FEW_ROWS = 100
"""Of so few rows compression makes columns longer, and takes as much time as all the rest."""

_LINK_COLUMNS = {column.name: column for column in CATALOG_LINK}
_LINK_NAMES = tuple(_LINK_COLUMNS)
_UNIQUE = ("_healpix_29", "NUMBER")
_PRUNED_BY = frozenset((*_LINK_NAMES, "_healpix_29", "ALPHA_J2000", "DELTA_J2000"))


@dataclass(frozen=True)
class Written:
    """A catalog's file that is safely on disk."""

    path: Path
    rows: int
    sha256: str


def write_catalog(
    path: Path | str,
    table: Table | Mapping[str, np.ndarray],
    *,
    link: Mapping[str, Any],
    provenance: Mapping[str, Any],
    durable: bool = True,
) -> Written:
    """Write the catalog of one frame and run.

    Parameters
    ----------
    path : path
        Final name; the file appears whole or not at all.
    table : QTable or mapping
        One row a source, with columns of ``columns.SOURCE`` and ``columns.APERTURE``, in any order. Units are converted to those of
        ``columns``; masked and NaN values become NULL. It is not changed. Plain arrays by name are taken as they are.
    link : mapping
        Values of ``columns.CATALOG_LINK``; ``frame_id`` and ``run_id`` must be there, the others may be None.
    provenance : mapping
        What the footer keeps, each under ``ezarchive.<key>`` as JSON: recipe, header_hash, versions, apertures ...
    durable : bool
        As of `ezarchive.files.atomic_write`.

    Returns
    -------
    Written
        With the SHA-256 of the file.

    Raises
    ------
    InputError
        If a column is not one of ``columns``, or its values or unit do not fit.
    OSError
        If the file cannot be written.
    """
    arrow = _to_arrow(table, link)
    footer = _footer(arrow, link, provenance)
    sink = pa.BufferOutputStream()
    integers = [field.name for field in arrow.schema if pa.types.is_integer(field.type)]
    # Arrow's own copy of the schema would double the footer, and statistics of what nobody prunes by too.
    with pq.ParquetWriter(
        sink,
        arrow.schema,
        compression="zstd" if arrow.num_rows > _FEW_ROWS else "none",
        store_schema=False,
        use_dictionary=[*_LINK_NAMES, *(name for name in integers if name not in _UNIQUE)],
        write_statistics=[name for name in arrow.column_names if name in _PRUNED_BY],
    ) as writer:
        writer.write_table(arrow, row_group_size=ROW_GROUP)
        writer.add_key_value_metadata(footer)
    content = sink.getvalue()
    with atomic_write(path, durable=durable) as stream:
        stream.write(content)
    return Written(Path(path), arrow.num_rows, hashlib.sha256(content).hexdigest())


def read_catalog(path: Path | str) -> QTable:
    """Read a catalog.

    Parameters
    ----------
    path : path
        A file of `write_catalog`.

    Returns
    -------
    QTable
        With units, masked where NULL; ``meta`` holds the provenance.

    Raises
    ------
    CatalogError
        If the file is missing, torn or no catalog.
    """
    provenance = read_provenance(path)
    try:
        arrow = pq.read_table(path, partitioning=None)
    except (OSError, pa.ArrowException) as err:
        raise CatalogError(f"{path}: is damaged: {_first_line(err)}") from err
    table = arrow_to_qtable(arrow, _column)
    table.meta.update(provenance)
    return table


def read_provenance(path: Path | str) -> dict[str, Any]:
    """Read where the rows of a catalog come from, out of its footer alone.

    Returns
    -------
    dict
        The provenance given to `write_catalog`, with ``frame_id``, ``run_id``, ``format_version``, ``flag_version`` and ``rows``.

    Raises
    ------
    CatalogError
        If the file is missing, torn or no catalog.
    """
    try:
        footer = pq.read_metadata(path)
    except FileNotFoundError as err:
        raise CatalogError(f"{path}: does not exist") from err
    except (OSError, pa.ArrowException) as err:
        raise CatalogError(f"{path}: is no whole Parquet file: {_first_line(err)}") from err
    stored = {key.decode(): value for key, value in (footer.metadata or {}).items()}
    found = {key.removeprefix(PREFIX): value for key, value in stored.items() if key.startswith(PREFIX)}
    try:
        values = {key: json.loads(value) for key, value in found.items()}
    except ValueError as err:
        raise CatalogError(f"{path}: its footer is damaged: {err}") from err
    if "frame_id" not in values or "run_id" not in values:
        raise CatalogError(f"{path}: is a Parquet file, but no catalog of ezarchive (its footer names no frame and run)")
    return {**values, "rows": footer.num_rows}


def column_names(path: Path | str) -> tuple[str, ...]:
    """Return the names of a catalog's columns, out of its footer alone.

    Raises
    ------
    CatalogError
        If the file is missing or torn.
    """
    try:
        return tuple(pq.read_schema(path).names)
    except (OSError, pa.ArrowException) as err:
        raise CatalogError(f"{path}: is no whole Parquet file: {_first_line(err)}") from err


def read_columns(path: Path | str, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Return some columns of a catalog as plain floats, in the units of ``columns``; NaN where NULL.

    Parameters
    ----------
    path : path
    names : iterable of str
        Names of numbers; those that the catalog does not have are left out.

    Raises
    ------
    CatalogError
        If the file is missing or torn.
    """
    wanted = [name for name in column_names(path) if name in set(names)]
    try:
        table = pq.read_table(path, columns=wanted, partitioning=None)
    except (OSError, pa.ArrowException) as err:
        raise CatalogError(f"{path}: is damaged: {_first_line(err)}") from err
    return {name: table[name].cast(pa.float64()).to_numpy(zero_copy_only=False).copy() for name in wanted}


def _footer(arrow: pa.Table, link: Mapping[str, Any], provenance: Mapping[str, Any]) -> dict[bytes, bytes]:
    footer = dict(
        column_metadata(_columns(arrow.column_names), tuple(_longest(arrow[f.name]) for f in arrow.schema if f.type == pa.string()))
    )
    own = {"frame_id": int(link["frame_id"]), "run_id": int(link["run_id"]), "format_version": FORMAT_VERSION, "flag_version": FLAG_VERSION}
    for key, value in sorted({**provenance, **own}.items()):
        try:
            text = json.dumps(value, sort_keys=True, allow_nan=False)
        except (TypeError, ValueError) as err:
            raise InputError(f"provenance {key!r}: must be plain JSON values, found {value!r}: {err}") from err
        footer[f"{PREFIX}{key}".encode()] = text.encode()
    return footer


def _longest(column: pa.ChunkedArray) -> int:
    """Return the length of the longest text, NULL being ``None`` to astropy."""
    return max((len(str(text)) for text in column.unique().to_pylist()), default=1) or 1


@functools.lru_cache(maxsize=64)
def _unit(text: str | None) -> u.UnitBase:
    """Read a unit; for a table of a few rows that would take most of the time."""
    return u.Unit(text) if text else u.dimensionless_unscaled


@functools.lru_cache(maxsize=2048)
def _column(name: str) -> Column:
    """Return the column of a catalog with this name (a frame's column of the same name may say more)."""
    return _LINK_COLUMNS.get(name) or lookup(name)


def _columns(names: Sequence[str]) -> tuple[Column, ...]:
    return tuple(_column(name) for name in names)


def _to_arrow(table: Table | Mapping[str, np.ndarray], link: Mapping[str, Any]) -> pa.Table:
    names = list(table) if isinstance(table, Mapping) else table.colnames
    length = len(table[names[0]]) if isinstance(table, Mapping) else len(table)
    unknown = sorted(set(link) - set(_LINK_NAMES))
    if unknown or link.get("frame_id") is None or link.get("run_id") is None:
        raise InputError(f"link {dict(link)!r}: must hold frame_id and run_id, and may hold {', '.join(_LINK_NAMES[2:])}")
    columns = _columns([name for name in names if name not in _LINK_NAMES])
    arrays = []
    for column in CATALOG_LINK:
        value = link.get(column.name)
        missing = value is None or value != value  # NaN is not itself
        arrays.append(pa.repeat(pa.scalar(None if missing else value, ARROW_TYPES[column.dtype]), length))
    arrays += [_array(table[column.name], column) for column in columns]
    arrow = pa.Table.from_arrays(arrays, names=[*_LINK_NAMES, *(column.name for column in columns)])
    keys = [(name, "ascending") for name in ("_healpix_29", "NUMBER") if name in arrow.column_names]
    return arrow.take(pc.sort_indices(arrow, sort_keys=keys)) if keys and length > 1 else arrow


def _plain(values: Any, column: Column) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the bare values in the column's unit, and the mask of what is missing or None."""
    mask = getattr(values, "mask", None)
    unit = getattr(values, "unit", None)
    bare = getattr(values, "unmasked", values)
    wanted = _unit(column.unit)
    if unit is not None and unit == wanted:
        bare = getattr(bare, "value", bare)
    elif unit is not None:
        try:
            bare = u.Quantity(bare, unit, copy=False, dtype=np.asarray(bare).dtype)
            bare = bare.value if bare.unit == wanted else bare.to_value(wanted)
        except u.UnitConversionError as err:
            raise InputError(f"column {column.name!r}: unit must be {column.unit or 'none'}, found {unit}") from err
    array = np.ma.getdata(bare) if isinstance(bare, np.ma.MaskedArray) else np.asarray(bare)
    if array.ndim != 1:
        raise InputError(f"column {column.name!r}: must have one value a row, found shape {array.shape}")
    if array.dtype.kind == "f":
        nan = np.isnan(array)
        mask = nan if mask is None else nan | mask
    return array, None if mask is None else np.broadcast_to(mask, array.shape)


def _array(values: Any, column: Column) -> pa.Array:
    array, mask = _plain(values, column)
    target = ARROW_TYPES[column.dtype]
    mask = None if mask is None else np.ascontiguousarray(mask)
    try:
        if pa.types.is_string(target):
            return pa.array(array.tolist(), type=target, mask=mask)
        if pa.types.is_floating(target) and array.dtype.kind in "fiu":
            with np.errstate(over="ignore"):
                return pa.array(array.astype(column.dtype), mask=mask)
        if array.dtype.kind == "f" and mask is not None:
            array = np.where(mask, 0, array)  # a NaN under the mask is no number that a cast could keep
        return pa.array(array.astype(array.dtype.newbyteorder("=")), mask=mask).cast(target)
    except (pa.ArrowException, TypeError, ValueError) as err:
        raise InputError(f"column {column.name!r}: must be {column.dtype}, found {array.dtype}: {_first_line(err)}") from err


def _first_line(err: BaseException) -> str:
    return str(err).strip().splitlines()[0] if str(err).strip() else type(err).__name__
