"""Light curves for other programs: the formats of `export`, and the AAVSO's extended file format."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from astropy.table import Table

from ezarchive.catalogs import curvebins
from ezarchive.catalogs.export import FORMATS, write_table
from ezarchive.errors import InputError
from ezarchive.files import atomic_write
from ezarchive.plots.common import numbers

AAVSO = "aavso"

AAVSO_FILTERS = {
    **{name: name for name in ("U", "B", "V", "R", "I", "J", "H", "K", "TG", "TB", "TR", "CV", "CR", "Y")},
    "u": "SU", "g": "SG", "r": "SR", "i": "SI", "z": "SZ", "Rc": "R", "Ic": "I", "y": "Y", "zs": "ZS", "Ha": "HA", "clear": "CV",
}  # fmt: skip
"""Filter -> the AAVSO's code; others are ``O``, named in the notes."""

_HEADS = "NAME,DATE,MAG,MERR,FILT,TRANS,MTYPE,CNAME,CMAG,KNAME,KMAG,AMASS,GROUP,CHART,NOTES"
_LONGEST_NAME = 30
_JD = 2400000.5
_DATES = ("JD", "HJD")


def write(table: Table, path: Path, form: str | None = None, *, name: str | None, observer: str | None, **options: Any) -> Path:
    """Write a light curve.

    Parameters
    ----------
    table : Table
        A light curve.
    path : Path
        Its suffix tells the format: one of ``export.FORMATS``, or ``.aavso``.
    form : str, optional
        ``aavso`` or a format of ``export``, where the suffix does not tell.
    name, observer : str, optional
        As of `aavso`; only for it.
    **options
        Further arguments of `aavso`.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If the format is none of these, or an argument is wrong.
    """
    wanted = path.suffix.lower().removeprefix(".") if form is None else str(form).lower()
    if wanted == AAVSO:
        content = aavso(table, name=name, observer=observer, **options)
        with atomic_write(path) as stream:
            stream.write(content.encode("ascii"))
        return path
    if options or name is not None or observer is not None:
        given = ["name"] * (name is not None) + ["observer"] * (observer is not None) + list(options)
        raise InputError(f"{given[0]}: is for format='aavso' alone, found format={form!r} and {path.name!r}")
    if form is None and path.suffix.lower() not in FORMATS:
        raise InputError(f"path={str(path)!r}: the suffix must be one of {', '.join([*FORMATS, '.aavso'])}, or format= be given")
    if form is not None and wanted not in set(FORMATS.values()):
        raise InputError(f"format={form!r}: must be one of {', '.join([*dict.fromkeys(FORMATS.values()), AAVSO])}")
    return write_table(table, path, form, facts=_facts(table.meta))


def _facts(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a light curve is of, as plain values."""
    found = {key: value.value.item() if isinstance(value, u.Quantity) else value for key, value in meta.items()}
    found["notes"] = " ".join(found.get("notes") or ()) or None
    return {key: value for key, value in found.items() if value is not None and np.isscalar(value)}


def aavso(
    table: Table,
    *,
    name: str | None,
    observer: str | None,
    filters: Mapping[str, str] | None = None,
    date: str = "JD",
    chart: str | None = None,
    transformed: bool = False,
) -> str:
    """Return a light curve in the AAVSO's extended file format.

    Parameters
    ----------
    table : Table
        A light curve; rows without a calibrated magnitude or limit are left out.
    name : str
        Of the star, as the AAVSO knows it; at most 30 letters.
    observer : str
        The AAVSO's code of the observer.
    filters : mapping, optional
        Filter -> AAVSO's code, before `AAVSO_FILTERS`.
    date : {"JD", "HJD"}
        Middle of the exposure in UTC, or the column ``hjd_utc``.
    chart : str, optional
        Of the comparison stars.
    transformed : bool
        Whether magnitudes are in the standard system, colour terms included.

    Returns
    -------
    str
        ASCII text. MERR holds the error of the zero point too.

    Raises
    ------
    InputError
        If an argument is missing or not one, or no row has a magnitude or a limit.

    Notes
    -----
    https://www.aavso.org/aavso-extended-file-format, version 1.2: "fainter than" is a ``<`` before the magnitude; what is not known is
    ``na``. Zero points are of many stars at once: CNAME is ``ENSEMBLE``.
    """
    _check(name, observer, date)
    times = numbers(table["mjd_mid"]) + _JD if date == "JD" else _heliocentric(table)
    magnitude, limit = curvebins.of(table, "mag"), curvebins.of(table, "mag_limit")
    error = np.hypot(curvebins.of(table, "mag_err"), np.nan_to_num(curvebins.of(table, "zero_point_err")))
    codes = {**AAVSO_FILTERS, **(filters or {})}
    kind = curvebins.texts(table, "kind")
    lines = []
    for row, band in enumerate(curvebins.texts(table, "filter")):
        fainter = not np.isfinite(magnitude[row]) and kind[row] != "detection"
        value = limit[row] if fainter else magnitude[row]
        if np.isfinite(value) and np.isfinite(times[row]):
            shown = "na" if fainter or not np.isfinite(error[row]) else f"{error[row]:.3f}"
            code = codes.get(band, "O")
            cells = [name, f"{times[row]:.6f}", f"{'<' if fainter else ''}{value:.3f}", shown, code, "YES" if transformed else "NO", "STD"]
            notes = "na" if code != "O" else f"filter {_ascii(band) or 'unknown'}"
            lines.append(",".join([*cells, "ENSEMBLE", "na", "na", "na", "na", "na", chart or "na", notes]))
    if not lines:
        raise InputError("table: no row has a calibrated magnitude or limit, which the AAVSO's format is made of")
    parameters = [
        "TYPE=Extended",
        f"OBSCODE={observer}",
        f"SOFTWARE=ezarchive {version('ezarchive')}",
        "DELIM=,",
        f"DATE={date}",
        "OBSTYPE=CCD",
    ]
    return "\n".join([*(f"#{text}" for text in parameters), f"#{_HEADS}", *lines]) + "\n"


def _check(name: str | None, observer: str | None, date: str) -> None:
    for key, value in (("name", name), ("observer", observer)):
        if not isinstance(value, str) or not value.strip():
            raise InputError(f"{key}={value!r}: format='aavso' needs it, a text")
        if not value.isascii() or not value.isprintable() or "," in value or "#" in value:
            raise InputError(f"{key}={value!r}: must be ASCII without a comma or '#'")
    if len(name) > _LONGEST_NAME:
        raise InputError(f"name={name!r}: must have at most {_LONGEST_NAME} letters")
    if date not in _DATES:
        raise InputError(f"date={date!r}: must be JD or HJD")


def _heliocentric(table: Table) -> np.ndarray:
    if "hjd_utc" not in table.colnames:
        raise InputError("date='HJD': the table lacks the column 'hjd_utc'; light_curve(..., heliocentric=True) makes it")
    return numbers(table["hjd_utc"])


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode().replace(",", " ")
