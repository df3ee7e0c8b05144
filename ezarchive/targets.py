"""Lists of targets in any form that users have them: arrays, SkyCoord, tables, files, text; with identifiers that come back."""

from __future__ import annotations

import csv
import hashlib
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import ConvertError, SkyCoord
from astropy.table import QTable, Table

from ezarchive.errors import InputError
from ezarchive.sky import parse_position

ID_NAMES = ("target_id", "id", "name", "object_id", "source_id", "star_id", "objname", "object", "target", "main_id", "number")
"""Columns that may hold identifiers, the first one there is taken; upper and lower case are the same in all these lists."""
RA_NAMES = (
    "ra", "raj2000", "ra_j2000", "alpha_j2000", "ra_icrs", "radeg", "ra_deg", "ra_d", "_raj2000", "alpha", "x_world", "right_ascension",
)  # fmt: skip
DEC_NAMES = (
    "dec", "dej2000", "decj2000", "dec_j2000", "delta_j2000", "de_icrs", "dec_icrs", "dedeg", "decdeg", "dec_deg", "dec_d", "_dej2000",
    "delta", "de", "decl", "y_world", "declination",
)  # fmt: skip
X_NAMES = ("x", "x_image", "xcentroid", "x_centroid", "xpix", "x_pix")
Y_NAMES = ("y", "y_image", "ycentroid", "y_centroid", "ypix", "y_pix")
UNITS = ("coord", "pixel")

_FORMATS = {
    ".csv": "csv", ".txt": "csv", ".ecsv": "ascii.ecsv", ".fits": "fits", ".fit": "fits", ".vot": "votable", ".xml": "votable",
    ".votable": "votable", ".parquet": "parquet",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Targets:
    """A list of positions with identifiers.

    Attributes
    ----------
    ids : ndarray of str, shape (n,)
    ra, dec : ndarray, shape (n,), or None
        ICRS degrees, 0 <= ra < 360; NaN where a row has no position. None for a list in pixels.
    x, y : ndarray, shape (n,), or None
        0-based pixels; None for a list on the sky.
    extra : QTable
        The other columns of a table, row by row; it may have none.
    named : bool
        Whether the identifiers came with the list; else they are the places in it, from 0.
    """

    ids: np.ndarray
    ra: np.ndarray | None = None
    dec: np.ndarray | None = None
    x: np.ndarray | None = None
    y: np.ndarray | None = None
    extra: QTable = field(default_factory=QTable)
    named: bool = True

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def unit(self) -> str:
        """``coord`` for positions on the sky, ``pixel`` for pixels."""
        return "pixel" if self.ra is None else "coord"

    @property
    def positions(self) -> tuple[np.ndarray, np.ndarray]:
        """Both coordinates, in `unit`."""
        return (self.x, self.y) if self.ra is None else (self.ra, self.dec)

    def __getitem__(self, index: Any) -> Targets:
        rows = np.atleast_1d(np.arange(len(self))[index])
        picked = (None if value is None else value[rows] for value in (self.ra, self.dec, self.x, self.y))
        return Targets(self.ids[rows], *picked, extra=self.extra[rows] if len(self.extra.columns) else QTable(), named=self.named)

    def to_table(self) -> QTable:
        """Return ``target_id``, the coordinates with their unit, and the other columns."""
        first, second = self.positions
        names, unit = (("x", "y"), u.pix) if self.ra is None else (("ra", "dec"), u.deg)
        table = QTable({"target_id": self.ids, names[0]: first * unit, names[1]: second * unit})
        for name in self.extra.colnames:
            table[name if name not in table.colnames else f"{name}_given"] = self.extra[name]
        return table

    def digest(self) -> str:
        """Return 16 hex digits that tell lists apart: of identifiers and positions, in their order."""
        found = hashlib.blake2b(self.unit.encode(), digest_size=8)
        for text in self.ids:
            found.update(str(text).encode() + b"\0")
        for value in self.positions:
            found.update(np.ascontiguousarray(value, "<f8").tobytes())
        return found.hexdigest()


def read_targets(source: Any, *, unit: str | None = None, ids: Sequence[Any] | None = None) -> Targets:
    """Read a list of targets in any of the forms that users have it.

    Parameters
    ----------
    source : many kinds
        - `Targets`, which come back as they are;
        - ``SkyCoord``, scalar or 1-D, of any frame;
        - ``Table``, ``QTable``, pandas ``DataFrame`` or a dict of columns: coordinates from a ``SkyCoord`` column or from columns that
          are called as in `RA_NAMES` and `DEC_NAMES` (or `X_NAMES` and `Y_NAMES`); units are honoured, degrees where there is none, and
          text may be sexagesimal (hours for right ascension); identifiers from the first column of `ID_NAMES`;
        - a path, or text that ends as one: ``.csv``, ``.ecsv``, ``.fits``, ``.vot``, ``.xml``, ``.parquet``;
        - one position: ``(ra, dec)``, ``[ra, dec]`` or text such as ``"21:45:00 -77:15:44"``;
        - a list of positions, each such a pair or such a text, or an array of shape (n, 2);
        - a tuple of two arrays: all right ascensions and all declinations (for ``unit="pixel"`` x and y).
    unit : {"coord", "pixel"}, optional
        What the numbers are; by default a position on the sky, or what the columns of a table say (the sky, if they have both).
    ids : sequence, optional
        Identifiers, in place of the list's own.

    Returns
    -------
    Targets
        In the order of the source; none is dropped. Identifiers are text.

    Raises
    ------
    InputError
        If the source is none of these, a column is missing or a position is none.

    Examples
    --------
    >>> read_targets("21:45:00 -77:15:00").ra
    array([326.25])
    >>> read_targets({"name": ["a", "b"], "RA": [1.0, 2.0], "DEC": [3.0, 4.0]}).ids.tolist()
    ['a', 'b']
    """
    if unit not in (None, *UNITS):
        raise InputError(f"unit: must be 'coord' or 'pixel', found {unit!r}")
    if isinstance(source, (os.PathLike, str)) and _is_path(source):
        source = _read_file(Path(source))
    if isinstance(source, Targets):
        found = source
    elif isinstance(source, SkyCoord):
        found = _from_skycoord(source)
    elif isinstance(source, (Table, Mapping)) or hasattr(source, "iloc"):
        found = _from_table(_as_table(source), unit)
    else:
        found = _from_positions(source, unit or "coord")
    if unit is not None and found.unit != unit:
        raise InputError(f"targets: are given in unit {found.unit!r} and must be in {unit!r}")
    return found if ids is None else _with_ids(found, ids)


def _with_ids(found: Targets, ids: Sequence[Any]) -> Targets:
    listed = _texts([ids] if isinstance(ids, (str, bytes)) else ids)
    if len(listed) != len(found):
        raise InputError(f"ids: must be as many as targets ({len(found)}), found {len(listed)}")
    return Targets(listed, found.ra, found.dec, found.x, found.y, found.extra)


def _made(unit: str, first: Any, second: Any, ids: Any = None, extra: QTable | None = None) -> Targets:
    a, b = (np.atleast_1d(np.asarray(value, np.float64)) for value in (first, second))
    if a.ndim != 1 or a.shape != b.shape:
        raise InputError(f"targets: both coordinates must be 1-D and of equal length, found shapes {a.shape} and {b.shape}")
    named = ids is not None
    listed = _texts(ids) if named else np.arange(len(a)).astype(str)
    rest = QTable() if extra is None else extra
    if unit == "pixel":
        return Targets(listed, x=a, y=b, extra=rest, named=named)
    with np.errstate(invalid="ignore"):
        wrong = (np.abs(b) > 90) | (np.abs(a) > 360)
    if wrong.any():
        row = int(np.argmax(wrong))
        limits = "right ascension must lie in -360 to 360 and declination in -90 to 90 degrees"
        raise InputError(f"targets: {limits}, found ({a[row]}, {b[row]}) in row {row}")
    # The second remainder: -1e-20 % 360 is 360.0.
    return Targets(listed, ra=a % 360 % 360, dec=b, extra=rest, named=named)


def _from_skycoord(source: SkyCoord) -> Targets:
    try:
        icrs = source.icrs
    except (ConvertError, AttributeError) as err:  # astropy's AltAz without a place ends in the second
        raise InputError(f"targets: their frame {source.frame.name!r} must be one that can be converted to ICRS, found no way") from err
    return _made("coord", np.ravel(icrs.ra.deg), np.ravel(icrs.dec.deg))


def _from_positions(source: Any, unit: str) -> Targets:
    """Read positions that are no table: one, a list of them, or two arrays."""
    if isinstance(source, str):
        return _from_texts([source], unit)
    if isinstance(source, tuple) and len(source) == 2:
        both = [_degrees(value) if isinstance(value, u.Quantity) and unit == "coord" else value for value in source]
        if all(isinstance(value, str) for value in both):
            return _from_texts([" ".join(both)], unit)
        return _made(unit, *(_numbers(value) for value in both))
    if not isinstance(source, Iterable):
        raise InputError(f"targets: must be positions, a table or a file, found {type(source).__name__}")
    listed = source if isinstance(source, np.ndarray) else list(source)
    if len(listed) and all(isinstance(one, str) for one in listed):
        return _from_texts(list(listed), unit)
    if len(listed) and not isinstance(listed, np.ndarray) and any(isinstance(one, SkyCoord) for one in listed):
        return _made("coord", *np.transpose([parse_position(one, f"targets[{i}]") for i, one in enumerate(listed)]))
    pairs = _numbers(listed).reshape(0, 2) if not len(listed) else _numbers(listed)
    if pairs.shape == (2,):
        # One position; two would be pairs themselves.
        pairs = pairs[None]
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise InputError(f"targets: a list must hold pairs (ra, dec), texts or SkyCoords; found an array of shape {pairs.shape}")
    return _made(unit, pairs[:, 0], pairs[:, 1])


def _from_texts(texts: Sequence[str], unit: str) -> Targets:
    if unit == "pixel":
        raise InputError(f"targets: text is read as a position on the sky; pixels must be numbers, found {texts[0]!r}")
    found = [parse_position(str(text), f"targets[{i}]" if len(texts) > 1 else "targets") for i, text in enumerate(texts)]
    return _made("coord", *np.transpose(found))


def _degrees(value: u.Quantity) -> np.ndarray:
    try:
        return value.to_value(u.deg)
    except u.UnitConversionError as err:
        raise InputError(f"targets: must hold angles, found unit {value.unit}") from err


def _numbers(value: Any) -> np.ndarray:
    try:
        return np.ma.filled(np.ma.asarray(value, np.float64), np.nan)
    except (TypeError, ValueError, u.UnitConversionError) as err:
        raise InputError(f"targets: must hold numbers, found {str(value)[:60]!r}") from err


# ---------------------------------------------------------------------- tables


def _as_table(source: Any) -> Table:
    if isinstance(source, Table):
        return source
    names = [str(name) for name in (source.keys() if isinstance(source, Mapping) else source.columns)]
    columns = source.values() if isinstance(source, Mapping) else (source[name].to_numpy() for name in source.columns)
    try:
        return QTable(dict(zip(names, columns, strict=True)))
    except (TypeError, ValueError) as err:
        raise InputError(f"targets: must have columns of equal length: {err}") from err


def _from_table(table: Table, unit: str | None) -> Targets:
    lowered = {name.lower(): name for name in reversed(table.colnames)}
    id_name = next((lowered[name] for name in ID_NAMES if name in lowered), None)
    ids = None if id_name is None else _texts(table[id_name])
    coordinates = next((name for name in table.colnames if isinstance(table[name], SkyCoord)), None)
    if coordinates is not None and unit != "pixel":
        found, used = _from_skycoord(table[coordinates]), {coordinates}
        return _made("coord", found.ra, found.dec, ids, _rest(table, used | {id_name}))
    wanted = {"coord": (RA_NAMES, DEC_NAMES), "pixel": (X_NAMES, Y_NAMES)}
    for kind, (first, second) in wanted.items():
        a, b = (next((lowered[name] for name in names if name in lowered), None) for names in (first, second))
        if unit in (None, kind) and a is not None and b is not None:
            if kind == "pixel":
                values = _pixels(table[a], a), _pixels(table[b], b)
            else:
                values = _angles(table[a], a, hours=True), _angles(table[b], b, hours=False)
            return _made(kind, *values, ids, _rest(table, {a, b, id_name}))
    asked = "ra and dec, or x and y" if unit is None else "ra and dec" if unit == "coord" else "x and y"
    raise InputError(f"targets: must have columns {asked}, found {', '.join(table.colnames) or 'none'}")


def _rest(table: Table, used: set[str | None]) -> QTable:
    kept = [name for name in table.colnames if name not in used]
    return QTable(table[kept], copy=False) if kept else QTable()


def _pixels(column: Any, name: str) -> np.ndarray:
    unit = getattr(column, "unit", None)
    if unit is not None and unit not in (u.pix, u.dimensionless_unscaled):
        raise InputError(f"targets: column {name} must be in pixels, found unit {unit}")
    plain = np.ma.asarray(getattr(column, "value", column))
    try:
        return np.ma.filled(plain.astype(np.float64), np.nan)
    except (TypeError, ValueError) as err:
        raise InputError(f"targets: column {name} must hold numbers, found dtype {plain.dtype}") from err


def _angles(column: Any, name: str, *, hours: bool) -> np.ndarray:
    """Return degrees: of text, sexagesimal or not; of numbers, in their unit."""
    plain = np.ma.asarray(column.value if isinstance(column, u.Quantity) else column)
    if plain.dtype.kind in "SUO":
        return np.array([_angle(one, f"targets: column {name}, row {i}", hours=hours) for i, one in enumerate(_texts(plain))])
    if plain.dtype.kind not in "fiu":
        raise InputError(f"targets: column {name} must hold angles, found dtype {plain.dtype}")
    values, unit = np.ma.filled(plain.astype(np.float64), np.nan), getattr(column, "unit", None)
    if unit is None or unit == u.dimensionless_unscaled:
        return values
    try:
        return u.Quantity(values, unit).to_value(u.deg)
    except (u.UnitConversionError, TypeError, ValueError) as err:
        raise InputError(f"targets: column {name} has unit {unit}, which must be an angle") from err


def _angle(text: str, where: str, *, hours: bool) -> float:
    """Read one coordinate; what is empty is NaN."""
    text = text.strip()
    if text.lower() in ("", "nan", "--", "null", "none"):
        return np.nan
    # A position whose other half is known to be right is read by the one function that reads positions.
    pair = parse_position(f"{text.replace(' ', ':')} 0" if hours else f"0 {text.replace(' ', ':')}", where)
    return pair[0] if hours else pair[1]


def _texts(values: Any) -> np.ndarray:
    filled = np.ma.asarray(values)
    missing = np.ma.getmaskarray(filled)
    plain = (one.decode() if isinstance(one, bytes) else "" if gone or one is None else str(one)
             for one, gone in zip(np.ma.getdata(filled).tolist(), missing.tolist(), strict=True))  # fmt: skip
    return np.array(list(plain), dtype=str) if len(filled) else np.array([], dtype="U1")


# ----------------------------------------------------------------------- files


def _is_path(source: str | os.PathLike[str]) -> bool:
    return not isinstance(source, str) or Path(source).suffix.lower() in _FORMATS


def _read_file(path: Path) -> Table | Mapping[str, Any]:
    kind = _FORMATS.get(path.suffix.lower())
    if kind is None:
        raise InputError(f"targets {str(path)!r}: the suffix must be one of {', '.join(_FORMATS)}")
    if not path.is_file():
        raise InputError(f"targets {str(path)!r}: there is no such file")
    try:
        if kind == "csv":
            return _read_csv(path)
        with warnings.catch_warnings():
            # What astropy mends in a VOTable or a FITS header is of no concern here.
            warnings.simplefilter("ignore")
            return QTable.read(path, format=kind)
    except (OSError, ValueError, TypeError, KeyError, IndexError, EOFError, UnicodeDecodeError) as err:
        raise InputError(f"targets {str(path)!r}: cannot be read as {kind}: {err}") from err


def _read_csv(path: Path) -> Table:
    """Read a CSV file: columns of text, so that identifiers keep their zeros; numbers where every entry is one."""
    with path.open(newline="", encoding="utf-8-sig") as stream:
        rows = list(csv.reader((line for line in stream if line.strip() and not line.startswith("#")), skipinitialspace=True))
    if not rows:
        raise ValueError("it holds no line with the names of columns")  # noqa: TRY003 - the caller names the file
    names = [name.strip() for name in rows[0]]
    odd = next((i for i, row in enumerate(rows) if len(row) != len(names)), None)
    if odd is not None:
        raise ValueError(f"row {odd} has {len(rows[odd])} entries and must have {len(names)}")  # noqa: TRY003
    table = Table()
    for k, name in enumerate(names):
        texts = [row[k].strip() for row in rows[1:]]
        table[name] = texts if name.lower() in ID_NAMES else _numbers_or_texts(texts)
    return table


def _numbers_or_texts(texts: list[str]) -> np.ndarray:
    try:
        return np.array([float(text) if text else np.nan for text in texts], np.float64)
    except ValueError:
        return np.array(texts, dtype=str)
