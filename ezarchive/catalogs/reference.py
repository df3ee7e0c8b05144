"""Reference catalogs: stars whose magnitudes are known, from a user's file or table.

Which column means what is a mapping of the user's; a name may hold ``{filter}``, which stands for the filter of the frame.
"""

from __future__ import annotations

import functools
import hashlib
import re
import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pandas as pd
from astropy.table import Table
from numpy.typing import NDArray

from ezarchive import sky
from ezarchive.errors import InputError, MeasurementError, UnknownNameError
from ezarchive.targets import DEC_NAMES, RA_NAMES, read_targets

FORMATS = {
    ".csv": "csv", ".ecsv": "ascii.ecsv", ".fits": "fits", ".fit": "fits", ".fts": "fits", ".vot": "votable", ".xml": "votable",
    ".votable": "votable", ".parquet": "parquet",
}  # fmt: skip
"""Formats by suffix; ``.gz`` may follow those of CSV and FITS."""

QUERY_FAILED = "query_failed"
MARGIN = 1.2
"""How much wider than a frame a query asks, so that its answer serves neighbouring frames too."""

MEANINGS = ("ra", "dec", "mag", "mag_err", "colour")
"""What a column can be said to be."""

MAG_NAMES = ("{filter}_mag", "{filter}mag", "mag_{filter}", "{filter}")
MAG_ERR_NAMES = ("{filter}_mag_err", "{filter}_mag_error", "e_{filter}mag", "e_{filter}_mag", "mag_err_{filter}", "{filter}_err")
_BEYOND = 90.0  # magnitudes from here on stand for missing ones: 99, -99, 999
_ANSWERS = 16  # answers of queries that are kept
_DIFFERENCE = re.compile(r"\s+-\s+")


class Reference:
    """Stars of known magnitudes.

    Parameters
    ----------
    table : Table
        With its columns; it is not changed.
    columns : mapping, optional
        Any of `MEANINGS` -> the name of a column. ``ra`` and ``dec`` (ICRS; their units are honoured, degrees by default) are found by the
        usual names. ``mag`` and ``mag_err`` may hold ``{filter}``, or be a mapping of filter -> column; ``{filter}_mag`` and the like by
        default. ``colour`` is a column, or two as ``"g_mag - r_mag"``.
    label : str
        What messages call it.

    Raises
    ------
    InputError
        If a meaning is unknown, or there are no positions.
    UnknownNameError
        If a column does not exist.
    """

    def __init__(self, table: Table, columns: Mapping[str, Any] | None = None, *, label: str = "reference") -> None:
        self.columns, self.label, self.table = _checked_columns(columns), label, table
        self._lowered = {name.lower(): name for name in reversed(table.colnames)}
        targets = read_targets({"ra": table[self._position("ra", RA_NAMES)], "dec": table[self._position("dec", DEC_NAMES)]}, unit="coord")
        # In the order of declination, so that a cone is a slice and a test.
        self._order = np.argsort(np.where(np.isfinite(targets.dec), targets.dec, np.inf), kind="stable")
        self._ra, self._dec = targets.ra[self._order], targets.dec[self._order]

    def __len__(self) -> int:
        return len(self._ra)

    def near(self, ra: float, dec: float, radius_deg: float) -> NDArray[np.int64]:
        """Return which stars lie within a radius of a position: their places, for `stars`."""
        first, last = np.searchsorted(self._dec, [dec - radius_deg, dec + radius_deg])
        inside = sky.separation(self._ra[first:last], self._dec[first:last], ra, dec) <= radius_deg
        return first + np.flatnonzero(inside)

    def stars(self, band: str | None, chosen: NDArray | slice = slice(None)) -> dict[str, NDArray[np.float64]]:
        """Return positions, magnitudes and colours of some stars.

        Parameters
        ----------
        band : str or None
            Name of the filter.
        chosen : ndarray or slice
            Places of `near`; all by default.

        Returns
        -------
        dict of ndarray
            ``ra dec mag mag_err colour``; NaN where missing. Magnitudes from 90 or down to -90 stand for missing ones.

        Raises
        ------
        UnknownNameError
            If there is no column with magnitudes of that filter.
        """
        rows = self._order[chosen]
        error = self._column("mag_err", band)
        return {
            "ra": self._ra[chosen], "dec": self._dec[chosen],
            "mag": self._magnitudes(self._column("mag", band), rows),
            "mag_err": np.full(len(rows), np.nan) if error is None else self._magnitudes(error, rows),
            "colour": self._colours(band, rows),
        }  # fmt: skip

    def cone(self, band: str | None, ra: float, dec: float, radius_deg: float) -> dict[str, NDArray[np.float64]]:
        """Return the stars within a radius of a position, as of `stars`."""
        return self.stars(band, self.near(ra, dec, radius_deg))

    def identity(self) -> dict[str, Any]:
        """Return what a recipe records of it."""
        return {"reference": self.digest(), "columns": _plain(self.columns)}

    def has_band(self, band: str | None) -> bool:
        """Return whether there are magnitudes of a filter."""
        try:
            self._column("mag", band)
        except UnknownNameError:
            return False
        return True

    @property
    def of_one_band(self) -> str | None:
        """The column with magnitudes, if it is the same for every filter."""
        mag = self.columns.get("mag")
        return mag if isinstance(mag, str) and "{filter}" not in mag else None

    def median_colour(self, band: str | None) -> float | None:
        """Return the median colour of all stars that have a magnitude in a filter; None without colours."""
        stars = self.stars(band)
        known = stars["colour"][np.isfinite(stars["colour"]) & np.isfinite(stars["mag"])]
        return float(np.median(known)) if known.size else None

    def digest(self) -> str:
        """Return 16 hex digits that tell references apart: of their columns' names and values."""
        found = hashlib.blake2b(digest_size=8)
        for name in sorted(self.table.colnames):
            column = self.table[name]
            values = np.asarray(np.ma.filled(np.ma.asarray(getattr(column, "value", column))))
            found.update(name.encode())
            found.update(values.astype(str).tobytes() if values.dtype.kind == "O" else np.ascontiguousarray(values).tobytes())
        return found.hexdigest()

    def _position(self, meaning: str, usual: Sequence[str]) -> str:
        if meaning in self.columns:
            return self._existing(self.columns[meaning])
        found = next((self._lowered[name] for name in usual if name in self._lowered), None)
        if found is None:
            have = ", ".join(self.table.colnames) or "none"
            raise InputError(f"{self.label}: columns must name the one with {meaning}; found {have}")
        return found

    def _column(self, meaning: str, band: str | None) -> str | None:
        """Return the column of a meaning for a filter; None for an error that is not there."""
        named, optional = self.columns.get(meaning), meaning == "mag_err"
        if isinstance(named, Mapping):
            if band not in named:
                if optional:
                    return None
                raise UnknownNameError(f"{self.label}: filter", str(band), map(str, named))
            named = named[band]
        if named is not None:
            return self._existing(named.replace("{filter}", band or ""))
        found = self._usual(MAG_ERR_NAMES if optional else MAG_NAMES, band) if band else None
        if found is None and not optional:
            raise UnknownNameError(f"{self.label}: column with magnitudes of filter", str(band), self.table.colnames)
        return found

    def _usual(self, patterns: Sequence[str], band: str) -> str | None:
        """Return the first column that is named in a usual way, best in the very same letters.

        The case of a filter of one letter is kept: r is Sloan's, R is Cousins's.
        """
        letters = re.escape(band) if len(band) == 1 else f"(?i:{re.escape(band)})"
        for pattern in patterns:
            head, tail = pattern.split("{filter}")
            known = [name for name in self.table.colnames if re.fullmatch(f"(?i:{head}){letters}(?i:{tail})", name)]
            if known:
                exact = pattern.replace("{filter}", band)
                return exact if exact in known else known[0]
        return None

    def _existing(self, name: str) -> str:
        if name not in self.table.colnames:
            raise UnknownNameError(f"{self.label}: column", str(name), self.table.colnames)
        return name

    def _colours(self, band: str | None, rows: NDArray) -> NDArray[np.float64]:
        named = self.columns.get("colour")
        if named is None:
            return np.full(len(rows), np.nan)
        named = named.replace("{filter}", band or "")
        names = [named] if named in self.table.colnames else _DIFFERENCE.split(named.strip())
        if len(names) > 2:
            raise InputError(f"columns: colour {named!r}: must be a column, or two as 'g_mag - r_mag'")
        values = [self._magnitudes(self._existing(name), rows) for name in names]
        return values[0] if len(values) == 1 else values[0] - values[1]

    def _magnitudes(self, name: str, rows: NDArray) -> NDArray[np.float64]:
        column = self.table[name][rows]
        plain = np.ma.asarray(getattr(column, "value", getattr(column, "unmasked", column)))
        mask = np.ma.getmaskarray(plain) | np.asarray(getattr(column, "mask", False))
        try:
            values = np.array(np.ma.getdata(plain), dtype=float)
        except (TypeError, ValueError) as err:
            raise InputError(f"{self.label}: column {name!r} must hold numbers, found dtype {plain.dtype}") from err
        values *= self._in_magnitudes(name)
        values[mask | ~(np.abs(values) < _BEYOND)] = np.nan
        return values

    def _in_magnitudes(self, name: str) -> float:
        """Return the unit of a column in magnitudes; 1 where it has none."""
        unit = self.table[name].unit
        if unit is None or isinstance(unit, (u.UnrecognizedUnit, u.MagUnit)) or unit == u.dimensionless_unscaled:
            return 1.0
        if not unit.is_equivalent(u.mag):
            raise InputError(f"{self.label}: column {name!r} must hold magnitudes, found values in {unit}")
        return float(unit.to(u.mag))


class QueriedReference:
    """Stars of known magnitudes that a function fetches, cone by cone; the last answers are kept.

    Parameters
    ----------
    query : callable
        ``query(ra, dec, radius)``, all in degrees, gives a table. It is known by its name (and the arguments of a ``functools.partial``).
    columns : mapping, optional
        As of `Reference`.
    """

    def __init__(self, query: Callable[[float, float, float], Any], columns: Mapping[str, Any] | None = None) -> None:
        if not callable(query):
            raise InputError(f"query: must be a function of (ra, dec, radius) in degrees, found {type(query).__name__}")
        self.query, self.columns = query, _checked_columns(columns)
        self._answers: OrderedDict[tuple[float, float, float], Reference] = OrderedDict()

    def cone(self, band: str | None, ra: float, dec: float, radius_deg: float) -> dict[str, NDArray[np.float64]]:
        """Return the stars within a radius of a position, as of `Reference.stars`.

        Raises
        ------
        MeasurementError
            ``query_failed``: if the function raises an error.
        """
        for (known_ra, known_dec, known_radius), answer in self._answers.items():
            if float(sky.separation(known_ra, known_dec, ra, dec)) + radius_deg <= known_radius:
                return answer.cone(band, ra, dec, radius_deg)
        asked = (float(ra), float(dec), float(radius_deg) * MARGIN)
        try:
            given = self.query(*asked)
        except Exception as err:  # a user's function may raise anything; it is recorded with the frame
            raise MeasurementError(QUERY_FAILED, f"query{asked}: {type(err).__name__}: {err}") from err
        self._answers[asked] = read_reference(given, self.columns)
        if len(self._answers) > _ANSWERS:
            self._answers.popitem(last=False)
        return self._answers[asked].cone(band, ra, dec, radius_deg)

    def identity(self) -> dict[str, Any]:
        """Return what a recipe records of it."""
        return {"query": _named(self.query), "columns": _plain(self.columns)}

    @property
    def of_one_band(self) -> str | None:
        """As of `Reference`."""
        mag = self.columns.get("mag")
        return mag if isinstance(mag, str) and "{filter}" not in mag else None

    def median_colour(self, band: str | None) -> float | None:  # noqa: ARG002  as of `Reference`
        """Return None: the colours of all stars are not known."""
        return None


def _named(query: Any) -> str:
    """Return the name of a function, of one with some arguments given these too."""
    if isinstance(query, functools.partial):
        given = [*map(repr, query.args), *(f"{name}={value!r}" for name, value in sorted(query.keywords.items()))]
        return f"{_named(query.func)}({', '.join(given)})"
    return f"{getattr(query, '__module__', '')}.{getattr(query, '__qualname__', type(query).__qualname__)}"


def _checked_columns(columns: Any) -> dict[str, Any]:
    """Return what columns are said to mean, as a dict of one's own."""
    if columns is not None and not isinstance(columns, Mapping):
        raise InputError(f"columns: must be a mapping of meaning -> column, found {type(columns).__name__}")
    for meaning, name in (columns or {}).items():
        if meaning not in MEANINGS:
            raise UnknownNameError("columns: meaning", meaning, MEANINGS)
        by_filter = isinstance(name, Mapping) and meaning in ("mag", "mag_err")
        if not all(isinstance(item, str) for item in (name.values() if by_filter else [name])):
            more = ", or a mapping of filter -> name" if meaning in ("mag", "mag_err") else ""
            raise InputError(f"columns: {meaning}={name!r}: must be the name of a column{more}")
    return dict(columns or {})


def _plain(columns: Mapping[str, Any]) -> dict[str, Any]:
    return {name: dict(value) if isinstance(value, Mapping) else value for name, value in columns.items()}


def read_reference(source: Any, columns: Mapping[str, Any] | None = None) -> Reference:
    """Read a reference.

    Parameters
    ----------
    source : path, Table, DataFrame, dict of columns or Reference
        A file in one of `FORMATS` by its suffix.
    columns : mapping, optional
        As of `Reference`.

    Returns
    -------
    Reference

    Raises
    ------
    InputError
        If there is no such file, or it cannot be read.
    """
    if isinstance(source, Reference):
        return Reference(source.table, columns or source.columns, label=source.label)
    if isinstance(source, (str, Path)):
        path = Path(source)
        return Reference(_read(path), columns, label=f"reference {path.name}")
    if isinstance(source, Table):
        return Reference(source, columns)
    if isinstance(source, (pd.DataFrame, Mapping)):
        return Reference(_table({str(name): np.asarray(source[name]) for name in source}), columns)
    raise InputError(f"reference: must be a path, a table or a dict of columns, found {type(source).__name__}")


def _read(path: Path) -> Table:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    kind = FORMATS.get(next((suffix for suffix in reversed(suffixes) if suffix != ".gz"), ""))
    if kind is None:
        raise InputError(f"reference {path}: its suffix must be one of {', '.join(FORMATS)}")
    if not path.is_file():
        raise InputError(f"reference {path}: there is no such file")
    try:
        with warnings.catch_warnings():
            # What astropy mends in a VOTable or a FITS header is of no concern here.
            warnings.simplefilter("ignore")
            if kind == "csv":
                frame = pd.read_csv(path, comment="#", skipinitialspace=True)
                return _table({str(name).strip(): frame[name].to_numpy() for name in frame})
            return Table.read(path, format=kind)
    except (OSError, ValueError, TypeError, KeyError, IndexError, EOFError) as err:
        raise InputError(f"reference {path}: cannot be read as {kind}: {str(err).splitlines()[0] if str(err) else err!r}") from err


def _table(columns: Mapping[str, Any]) -> Table:
    arrays = {name: np.asarray(values) for name, values in columns.items()}
    try:
        # Objects are texts, or numbers with gaps: astropy keeps neither as such.
        return Table({name: values.astype(str) if values.dtype.kind in "OT" else values for name, values in arrays.items()})
    except ValueError as err:
        raise InputError(f"reference: must have columns of equal length: {err}") from err
