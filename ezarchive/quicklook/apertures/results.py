"""`PhotometryResults`: everything that was measured in a session, row by row, each in its own units; nothing is ever dropped."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy import units as u
from astropy.table import QTable, Table

from ezarchive.errors import FrameError, InputError
from ezarchive.files import atomic_write
from ezarchive.quicklook.apertures.resultcolumns import (
    SPECS,
    TEXTS,
    Flat,
    as_plain_table,
    empty,
    flat_of,
    rows_of,
    stacked,
    table_of,
    units_of,
)

FORMATS = {
    ".ecsv": "ecsv", ".csv": "csv", ".fits": "fits", ".fit": "fits", ".parquet": "parquet", ".json": "json", ".vot": "votable",
    ".votable": "votable", ".xml": "votable",
}  # fmt: skip
"""Formats of files by their suffixes."""

_READERS = {"ecsv": "ascii.ecsv", "csv": "ascii.csv", "fits": "fits", "votable": "votable"}


class PhotometryResults:
    """Rows of aperture photometry, to which more can be added and from which none is taken.

    Rows may have different units, and places on the sky or none: each keeps its own units in ``unit`` and ``sum_unit``. Ids run from 1.

    Parameters
    ----------
    table : QTable, optional
        Of `aperture_photometry`.

    Examples
    --------
    >>> results = PhotometryResults()
    >>> len(results)
    0
    """

    def __init__(self, table: Table | None = None) -> None:
        self._blocks: list[Flat] = []
        if table is not None:
            self.append(table)

    def append(self, table: Table | PhotometryResults) -> None:
        """Add the rows of a table of `aperture_photometry`, or of other results; they get the next ids.

        Raises
        ------
        InputError
            If it is no such table; what is here stays.
        """
        flat = table.flat() if isinstance(table, PhotometryResults) else flat_of(table)
        if len(flat["id"]):
            self._blocks.append(flat)

    def flat(self) -> Flat:
        """Return all rows as plain columns."""
        return stacked(self._blocks)

    def __len__(self) -> int:
        return sum(len(block["id"]) for block in self._blocks)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(rows_of(self.flat()))

    def __repr__(self) -> str:
        return f"PhotometryResults({len(self)} rows)"

    def to_table(self, columns: Any = "all") -> QTable:
        """Return a table, in common units where there are any; see `aperture_photometry` for `columns`."""
        return table_of(self.flat(), columns)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values: ``columns`` with their units and meanings, and ``rows``; NaN is None."""
        flat = self.flat()
        units = {name: unit.to_string() for name, unit in units_of(flat).items()}
        columns = {name: {"unit": units.get(name), "description": spec.description} for name, spec in SPECS.items()}
        return {"columns": columns, "rows": rows_of(flat)}

    def write(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write all rows, each in its own units, to a file that `read_results` reads.

        Parameters
        ----------
        path : path
            ``.ecsv``, ``.csv``, ``.fits``, ``.parquet``, ``.json``, or ``.vot``, ``.votable``, ``.xml`` (VOTable).
        overwrite : bool
            Replace a file that is there.

        Returns
        -------
        Path

        Raises
        ------
        InputError
            If the suffix is another, or the file is there.
        """
        path = Path(path)
        form = format_of(path)
        if path.exists() and not overwrite:
            raise InputError(f"{path}: exists already; overwrite=True replaces it")
        if not path.parent.is_dir():
            raise InputError(f"{path}: its folder must exist")
        content = self._content(form)
        with atomic_write(path) as file:
            file.write(content)
        return path

    def _content(self, form: str) -> bytes:
        if form == "json":
            return (json.dumps(self.to_dict(), allow_nan=False, indent=1) + "\n").encode()
        binary = io.BytesIO()
        if form == "parquet":
            pq.write_table(_arrow(self.flat()), binary, compression="zstd")
            return binary.getvalue()
        table = as_plain_table(self.flat())
        _fit_for(table, form)
        if form in ("fits", "votable"):
            table.write(binary, format=form)
            return binary.getvalue()
        text = io.StringIO()
        table.write(text, format=_READERS[form])
        return text.getvalue().encode()


def read_results(path: str | os.PathLike[str]) -> PhotometryResults:
    """Return the results that `PhotometryResults.write` wrote.

    Raises
    ------
    InputError
        If the suffix is none of a table.
    FrameError
        If the file is not there or holds nothing of the kind.
    """
    path = Path(path)
    form = format_of(path)
    if not path.is_file():
        raise FrameError("missing", f"{path}: is not there")
    results = PhotometryResults()
    try:
        if form == "json":
            flat = _from_rows(json.loads(path.read_text(encoding="utf-8"))["rows"])
        elif form == "parquet":
            flat = _from_rows(pq.read_table(path).to_pylist())
        else:
            flat = flat_of(_plainly(Table.read(path, format=_READERS[form])))
    except (ValueError, KeyError, TypeError, OSError, pa.ArrowException) as err:
        raise FrameError("bad_table", f"{path}: must be results of aperture photometry ({err})") from err
    if len(flat["id"]):
        results._blocks.append(flat)
    return results


def format_of(path: Path) -> str:
    """Return the format of a file of results by its suffix.

    Raises
    ------
    InputError
        If it is none of `FORMATS`.
    """
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError as err:
        raise InputError(f"{path}: its suffix must be one of {', '.join(FORMATS)}") from err


def _arrow(flat: Flat) -> pa.Table:
    units, fields, arrays = units_of(flat), [], []
    for name, values in flat.items():
        array = pa.array(values.tolist(), pa.string()) if name in TEXTS else pa.array(values)
        said = {"unit": units[name].to_string() if name in units else "", "description": SPECS[name].description if name in SPECS else ""}
        fields.append(pa.field(name, array.type, metadata={key: text for key, text in said.items() if text}))
        arrays.append(array)
    return pa.table(arrays, schema=pa.schema(fields))


def _fit_for(table: Table, form: str) -> None:
    """Take from a table what its format cannot hold: units that FITS and VOTable have no name for, letters beyond ASCII in FITS."""
    if form not in ("fits", "votable"):
        return
    for name in table.colnames:
        column = table[name]
        if column.unit is not None and not _named(column.unit, form):
            column.unit = None
        if form == "fits" and name in TEXTS:
            table[name] = [text.encode("ascii", "backslashreplace").decode() for text in column.tolist()]


def _named(unit: u.UnitBase, form: str) -> bool:
    name = "fits" if form == "fits" else "vounit"
    try:
        return u.Unit(unit.to_string(name), format=name) == unit
    except ValueError:
        return False


def _plainly(table: Table) -> Table:
    """Return a table without units: numbers as they stand, which are in the units of the rows."""
    plain = Table(table, copy=True)
    for name in plain.colnames:
        plain[name].unit = None
    return plain


def _from_rows(rows: list[dict[str, Any]]) -> Flat:
    flat = empty(len(rows))
    for name, column in flat.items():
        nothing = "" if name in TEXTS else 0 if column.dtype.kind == "i" else np.nan
        for k, row in enumerate(rows):
            found = row.get(name)
            column[k] = nothing if found is None else found
    return flat
