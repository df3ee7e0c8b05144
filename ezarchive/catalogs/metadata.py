"""What a catalog's file says of its columns: units, UCDs and meanings, in the two forms that astronomers' programs read.

`astropy` reads the YAML under ``table_meta_yaml``; TOPCAT, STILTS and ``format="parquet.votable"`` the VOTable without data under
``IVOA.VOTable-Parquet.content`` (Taylor et al. 2025, "Parquet in the VO", IVOA Note, version 1.0).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from xml.sax.saxutils import escape, quoteattr

import astropy.units as u
import numpy as np
import pyarrow as pa
from astropy.table import Column as TableColumn
from astropy.table import Table, meta

from ezarchive.columns import Column

ARROW_TYPES = {
    "bool": pa.bool_(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "str": pa.string(),
    "bytes": pa.binary(),
}
"""Arrow type of each of ``columns.DTYPES``."""

_VOTABLE_TYPES = {
    "bool": 'datatype="boolean"',
    "int16": 'datatype="short"',
    "int32": 'datatype="int"',
    "int64": 'datatype="long"',
    "float32": 'datatype="float"',
    "float64": 'datatype="double"',
    "str": 'datatype="unicodeChar"',
    "bytes": 'datatype="unsignedByte" arraysize="*"',
}


def arrow_schema(columns: tuple[Column, ...]) -> pa.Schema:
    """Return the Arrow schema of columns, without metadata."""
    return pa.schema([pa.field(column.name, ARROW_TYPES[column.dtype]) for column in columns])


@functools.lru_cache(maxsize=64)
def column_metadata(columns: tuple[Column, ...], lengths: tuple[int, ...]) -> dict[bytes, bytes]:
    """Return the schema metadata that both kinds of readers restore units and meanings from.

    Parameters
    ----------
    columns : tuple of Column
        The columns of the file, in their order.
    lengths : tuple of int
        For each column of text, in their order, the length of the longest one.

    Returns
    -------
    dict
        Of bytes; equal for equal arguments.
    """
    texts = [column.name for column in columns if column.dtype == "str"]
    sizes = dict(zip(texts, lengths, strict=True))
    return {
        **{f"table::len::{name}".encode(): str(size).encode() for name, size in sizes.items()},
        b"table_meta_yaml": _yaml(columns).encode(),
        b"IVOA.VOTable-Parquet.version": b"1.0",
        b"IVOA.VOTable-Parquet.content": _votable(columns, sizes).encode(),
    }


def _yaml(columns: tuple[Column, ...]) -> str:
    table = Table(
        [
            TableColumn(
                np.empty(0, dtype=_numpy_dtype(column.dtype)),
                name=column.name,
                unit=column.unit,
                description=column.description,
                meta={"ucd": column.ucd} if column.ucd else None,
            )
            for column in columns
        ]
    )
    return "\n".join(meta.get_yaml_from_table(table))


def _numpy_dtype(dtype: str) -> str:
    return {"str": "U1", "bytes": "S1"}.get(dtype, dtype)


def _votable(columns: tuple[Column, ...], sizes: Mapping[str, int]) -> str:
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">',
        '<RESOURCE type="results">',
        "<TABLE>",
    ]
    for column in columns:
        unit = "" if column.unit is None else f" unit={quoteattr(vounit(column.unit))}"
        ucd = f" ucd={quoteattr(column.ucd)}" if column.ucd else ""
        # astropy can only stack texts of a fixed length, so the length is said although Parquet's texts vary.
        kind = _VOTABLE_TYPES[column.dtype] + (f' arraysize="{sizes[column.name]}"' if column.dtype == "str" else "")
        lines.append(f"<FIELD name={quoteattr(column.name)} {kind}{unit}{ucd}>")
        lines.append(f"<DESCRIPTION>{escape(column.description)}</DESCRIPTION></FIELD>")
    lines += ["</TABLE>", "</RESOURCE>", "</VOTABLE>", ""]
    return "\n".join(lines)


def vounit(unit: str) -> str:
    """Return a unit as the VOUnit standard writes it, or as it stands where the standard does not know it.

    Examples
    --------
    >>> vounit("pix2"), vounit("count/s"), vounit("electron")
    ('pixel**2', 'count.s**-1', 'electron')
    """
    try:
        return u.Unit(unit).to_string("vounit")
    except ValueError:
        return unit
