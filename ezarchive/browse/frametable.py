"""Frames as tables: pandas for the tutorial, astropy's QTable with units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from astropy import units as u
from astropy.table import MaskedColumn, QTable
from astropy.utils.masked import Masked

from ezarchive import columns
from ezarchive.frames.record import Frame

TUTORIAL_COLUMNS = (
    "image", "path", "filter", "exptime", "obsdate", "observatory", "telname", "objname", "seeing", "depth",
    "ra", "dec", "fov_ra", "fov_dec",
)  # fmt: skip
"""First columns of `dataframe`."""

_KEYS = {"frame_id": "int64", "hdu": "int64", "fov_ra": "float64", "fov_dec": "float64"}
_DTYPES = _KEYS | {column.name: column.dtype for column in columns.FRAME}


def dataframe(frames: Sequence[Frame], images: Sequence[Any]) -> pd.DataFrame:
    """Return frames and their images as a pandas table.

    Parameters
    ----------
    frames : sequence of Frame
    images : sequence
        What the column ``image`` holds, one a frame.

    Returns
    -------
    pandas.DataFrame
        `TUTORIAL_COLUMNS`, then ``frame_id``, ``telkey``, ``root``, ``hdu`` and the rest of ``columns.FRAME``; missing values are NaN
        (NA among whole numbers).
    """
    held = np.empty(len(images), dtype=object)
    for i, image in enumerate(images):
        held[i] = image  # one by one: numpy would take apart what looks like an array
    values = {"image": pd.Series(held, dtype=object)}
    values |= {name: _series(name, [_tutorial_value(frame, name) for frame in frames]) for name in TUTORIAL_COLUMNS[1:]}
    rest = ("frame_id", "telkey", "root", "hdu", *(column.name for column in columns.FRAME))
    values |= {name: _series(name, [getattr(frame, name) for frame in frames]) for name in rest if name not in values}
    return pd.DataFrame(values)


def _tutorial_value(frame: Frame, name: str) -> Any:
    if name in ("fov_ra", "fov_dec"):
        return frame.fov[name == "fov_dec"]
    return frame.date_obs if name == "obsdate" else getattr(frame, name)


def _series(name: str, values: list[Any]) -> pd.Series:
    dtype = _DTYPES.get(name, "str")
    if dtype.startswith("float"):
        return pd.Series(values, dtype="float64")
    if dtype.startswith("int"):
        return pd.Series(values, dtype="Int64" if None in values else "int64")
    return pd.Series(values, dtype="bool" if dtype == "bool" else "str")


def frame_table(frames: Sequence[Frame]) -> QTable:
    """Return frames as an astropy table.

    Parameters
    ----------
    frames : sequence of Frame

    Returns
    -------
    QTable
        ``frame_id``, ``path``, ``hdu``, ``columns.NAMES`` and ``columns.FRAME``, with units and descriptions; missing values are masked.
    """
    table = QTable()
    table["frame_id"] = _column([frame.frame_id for frame in frames], "int64", None)
    table["path"] = _column([frame.path for frame in frames], "str", None)
    table["hdu"] = _column([frame.hdu for frame in frames], "int32", None)
    for column in (*columns.NAMES, *columns.FRAME):
        table[column.name] = _column([getattr(frame, column.name) for frame in frames], column.dtype, column.unit)
        table[column.name].info.description = column.description
    return table


def _column(values: list[Any], dtype: str, unit: str | None) -> Any:
    missing = np.array([value is None for value in values], dtype=bool)
    fill: Any = "" if dtype == "str" else 0
    data = np.array([fill if value is None else value for value in values], dtype=str if dtype == "str" else np.dtype(dtype))
    if unit is None or not dtype.startswith("float"):
        return MaskedColumn(data, mask=missing) if missing.any() else data
    quantity = u.Quantity(data, unit)
    return Masked(quantity, mask=missing) if missing.any() else quantity


def shown(value: Any) -> str:
    """Return a value as a person reads it: ``-`` where it is missing."""
    if value is None:
        return "-"
    return f"{value:g}" if isinstance(value, float) else str(value)
