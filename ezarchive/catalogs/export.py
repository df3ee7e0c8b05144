"""Tables for other programs: ECSV, CSV, FITS, VOTable and Parquet, with units, written whole or not at all.

Missing values are empty in CSV and ECSV, NULL in Parquet, VOTable and (whole numbers) FITS, NaN in floats of FITS. CSV has no place for
units and meanings: there the names alone tell (`ezarchive columns`).
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits, votable
from astropy.table import Column as TableColumn
from astropy.table import MaskedColumn, Table

from ezarchive.catalogs.metadata import ARROW_TYPES, column_metadata
from ezarchive.columns import Column, lookup
from ezarchive.errors import InputError
from ezarchive.files import atomic_write

FORMATS = {".ecsv": "ecsv", ".csv": "csv", ".fits": "fits", ".fit": "fits", ".vot": "votable", ".xml": "votable", ".parquet": "parquet"}
"""Suffix of a file -> format."""

_KINDS = {"b": "bool", "i1": "int16", "u1": "int16", "i2": "int16", "u2": "int32", "i4": "int32", "u4": "int64", "i8": "int64"}


def write_table(table: Table, path: Path | str, form: str | None = None, *, facts: Mapping[str, Any] | None = None) -> Path:
    """Write a table in a format that other programs read.

    Parameters
    ----------
    table : Table
        With units, masked or not; it is not changed.
    path : path
        The file appears whole or not at all; one that is there is replaced.
    form : str, optional
        ``ecsv``, ``csv``, ``fits``, ``votable`` or ``parquet``; by default what the suffix says.
    facts : mapping, optional
        Where the rows come from, plain values; kept in the header of every format but CSV.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    InputError
        If the format is none of these, or the suffix says nothing.
    """
    path = Path(path)
    made = content(table, chosen_format(path, form, _WRITERS, FORMATS), facts)
    with atomic_write(path) as stream:
        stream.write(made)
    return path


def content(table: Table, form: str, facts: Mapping[str, Any] | None = None) -> bytes:
    """Return a table as the content of a file.

    Parameters
    ----------
    table : Table
        As of `write_table`.
    form : str
        One of the values of `FORMATS`.
    facts : mapping, optional
        As of `write_table`.
    """
    return _WRITERS[form](plain_table(table), {name: value for name, value in (facts or {}).items() if value is not None})


def plain_table(table: Table) -> Table:
    """Return a table of plain columns, masked where a value is missing, with units and descriptions; nothing is shared with it."""
    plain = Table()
    for name in table.colnames:
        column = table[name]
        info = column.info
        values = np.array(np.ma.getdata(getattr(getattr(column, "unmasked", column), "value", column)))
        missing = np.array(np.broadcast_to(getattr(column, "mask", False), values.shape))
        if values.dtype.kind == "f":
            missing |= np.isnan(values)
        if values.dtype.kind == "O":
            missing |= np.array([value is None for value in values], dtype=bool)
            values = np.array(["" if gone else str(value) for value, gone in zip(values, missing, strict=True)], dtype=str)
        known = _known(name)
        unit = info.unit if info.unit is not None and info.unit != u.dimensionless_unscaled else None
        meta = {"ucd": known.ucd} if known is not None and known.ucd else None
        about = {"name": name, "unit": unit, "description": info.description or (known.description if known else None), "meta": meta}
        plain[name] = MaskedColumn(values, mask=missing, **about) if missing.any() else TableColumn(values, **about)
    return plain


def _known(name: str) -> Column | None:
    try:
        return lookup(name)
    except InputError:
        return None


def _ascii(form: str) -> Callable[[Table, Mapping[str, Any]], bytes]:
    def write(table: Table, facts: Mapping[str, Any]) -> bytes:
        table.meta.update(facts)
        stream = io.StringIO()
        table.write(stream, format=form)
        return stream.getvalue().encode()

    return write


def _fits(table: Table, facts: Mapping[str, Any]) -> bytes:
    for name in table.colnames:
        if table[name].dtype.kind == "U":  # FITS knows no other letters than ASCII
            table[name] = _ascii_texts(table[name])
    hdu = fits.table_to_hdu(table)
    for name, value in facts.items():
        items = enumerate(value) if isinstance(value, (list, tuple)) else [("", value)]
        for index, item in items:
            # A keyword has eight letters; of a list each item has its own, as of the diameters in the order of the suffixes.
            keyword = f"{name[: 8 - len(str(index))]}{index}".upper()
            if item is not None and not (isinstance(item, float) and not np.isfinite(item)):  # FITS has no card for it
                hdu.header[keyword] = _escaped(item) if isinstance(item, str) else item
    for place, name in enumerate(table.colnames, start=1):
        if table[name].description:
            hdu.header.comments[f"TTYPE{place}"] = _escaped(table[name].description)[:47]
    stream = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(stream)
    return stream.getvalue()


def _ascii_texts(column: TableColumn) -> TableColumn:
    made = column.copy()
    texts = np.array([_escaped(str(text)) for text in np.ma.getdata(column)], dtype="S")
    return type(made)(texts, name=column.name, description=column.description, **({"mask": column.mask} if hasattr(column, "mask") else {}))


def _escaped(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode()


def _votable(table: Table, facts: Mapping[str, Any]) -> bytes:
    document = votable.from_table(table)
    (made,) = document.iter_tables()
    for name in table.colnames:
        made.get_field_by_id_or_name(name).ucd = (table[name].meta or {}).get("ucd")
    for name, value in facts.items():
        text = " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
        made.infos.append(votable.tree.Info(name=name, value=text))
    stream = io.BytesIO()
    # Only the binary form has a place for whole numbers that are missing.
    document.to_xml(stream, tabledata_format="binary2")
    return stream.getvalue()


def _parquet(table: Table, facts: Mapping[str, Any]) -> bytes:
    columns, arrays = [], []
    for name in table.colnames:
        column = _described(table[name])
        mask = np.ascontiguousarray(table[name].mask) if isinstance(table[name], MaskedColumn) else None
        values = np.ma.getdata(table[name])
        native = values.tolist() if values.dtype.kind in "US" else values.astype(values.dtype.newbyteorder("="))
        arrays.append(pa.array(native, mask=mask).cast(ARROW_TYPES[column.dtype]))
        columns.append(column)
    texts = (array for array, column in zip(arrays, columns, strict=True) if column.dtype == "str")
    lengths = tuple(max((len(text or "") for text in array.to_pylist()), default=1) or 1 for array in texts)
    arrow = pa.Table.from_arrays(arrays, names=table.colnames)
    metadata = column_metadata(tuple(columns), lengths)
    metadata = {**metadata, **{f"ezarchive.{name}".encode(): str(value).encode() for name, value in facts.items()}}
    sink = pa.BufferOutputStream()
    pq.write_table(arrow.replace_schema_metadata(metadata), sink, compression="zstd")
    return sink.getvalue().to_pybytes()


def _described(column: TableColumn) -> Column:
    kind = column.dtype.kind
    if kind in "US":
        dtype = "str"
    elif kind == "f":
        dtype = "float32" if column.dtype.itemsize <= 4 else "float64"
    else:
        dtype = _KINDS.get("b" if kind == "b" else f"{kind}{column.dtype.itemsize}", "float64")
    unit = None if column.unit is None else column.unit.to_string()
    return Column(column.name, dtype, unit, (column.meta or {}).get("ucd"), column.description or "")


def _quiet(write: Callable[[Table, Mapping[str, Any]], bytes]) -> Callable[[Table, Mapping[str, Any]], bytes]:
    """Keep astropy from warning of units that a standard spells otherwise; they are written as they stand."""

    def quiet(table: Table, facts: Mapping[str, Any]) -> bytes:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", u.UnitsWarning)
            warnings.simplefilter("ignore", fits.verify.VerifyWarning)
            return write(table, facts)

    return quiet


_WRITERS = {
    "ecsv": _ascii("ascii.ecsv"), "csv": _ascii("ascii.csv"), "fits": _quiet(_fits), "votable": _quiet(_votable), "parquet": _parquet
}  # fmt: skip


def chosen_format(path: Path, form: str | None, formats: Iterable[str], suffixes: Mapping[str, str]) -> str:
    """Return the format of a file: the one that is asked for, else what its suffix says.

    Parameters
    ----------
    path : Path
    form : str or None
        In any case.
    formats : iterable of str
        Those that there are.
    suffixes : mapping
        Suffix in lower case -> format.

    Returns
    -------
    str

    Raises
    ------
    InputError
        If the format is none of these, or the suffix says nothing.
    """
    found = suffixes.get(path.suffix.lower()) if form is None else form.lower()
    known = tuple(formats)
    if found not in known:
        said = f"format={form!r}" if form is not None else f"path={str(path)!r}: the suffix"
        raise InputError(f"{said}: must be one of {', '.join(known if form is not None else suffixes)}")
    return found
