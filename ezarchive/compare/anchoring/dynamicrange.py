"""The range of surface brightness that a comparison uses: percentiles, over all pixels or over the disc of a galaxy."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.wcs import WCS
from numpy.typing import ArrayLike, NDArray

from ezarchive import sky
from ezarchive.errors import CompareError, FrameError, InputError

_COLUMNS = ("name", "ra", "dec", "posang", "inclination", "size_reff")
_EDGE_ON = 85.0
"""Inclinations beyond it, degrees, are taken as this: a disc has thickness, and 1/cos has no bound."""


@dataclass(frozen=True)
class Galaxy:
    """A disc on the sky.

    Attributes
    ----------
    name : str
    ra, dec : float
        ICRS degrees.
    posang : float
        Of the major axis, degrees east of north.
    inclination : float
        Degrees, 0 face-on; 90 at most.
    size_reff : float
        Effective radius along the major axis, arcsec.
    """

    name: str
    ra: float
    dec: float
    posang: float
    inclination: float
    size_reff: float

    def __post_init__(self) -> None:
        for column in _COLUMNS[1:]:
            if not np.isfinite(getattr(self, column)):
                raise InputError(f"{column} of {self.name}: must be a finite number, found {getattr(self, column)!r}")
        if not 0 <= self.inclination <= 90:
            raise InputError(f"inclination of {self.name}: must be from 0 to 90 degrees, found {self.inclination:g}")
        if not self.size_reff > 0:
            raise InputError(f"size_reff of {self.name}: must be positive, in arcsec, found {self.size_reff:g}")
        if not -90 <= self.dec <= 90:
            raise InputError(f"dec of {self.name}: must be from -90 to 90 degrees, found {self.dec:g}")


def read_galaxy_table(path: str | os.PathLike[str], target: str) -> Galaxy:
    """Read the row of a target from a CSV table of galaxies.

    Parameters
    ----------
    path : path
        Columns name, ra, dec, posang, inclination (degrees) and size_reff (arcsec), in any order, others left alone; lines that begin
        with ``#`` are comments.
    target : str
        Of the column name, in capitals or not.

    Returns
    -------
    Galaxy

    Raises
    ------
    FrameError
        If the file is not there or may not be read.
    InputError
        If a column or the target is missing, the target is there twice, or a value is no number.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as err:
        raise FrameError("vanished", f"{path}: is not there") from err
    except (OSError, UnicodeDecodeError) as err:
        raise FrameError("unreadable", f"{path}: cannot be read as a CSV table: {err}") from err
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    rows = csv.DictReader(lines, skipinitialspace=True)
    rows.fieldnames = [str(name).strip().lower() for name in rows.fieldnames or ()]
    missing = [name for name in _COLUMNS if name not in rows.fieldnames]
    if missing:
        raise InputError(f"{path}: must have the columns {', '.join(_COLUMNS)}, found no {', '.join(missing)}")
    found = [row for row in rows if str(row["name"]).strip().lower() == target.strip().lower()]
    if len(found) != 1:
        raise InputError(f"{path}: must have one row whose name is {target!r}, found {len(found)}")
    return Galaxy(target, *(_number(found[0][name], f"{path}: {name} of {target}") for name in _COLUMNS[1:]))


def galaxy_radius(wcs: WCS, shape: tuple[int, int], galaxy: Galaxy) -> NDArray[np.float64]:
    """Return how far each pixel is from the centre of a galaxy, in the plane of its disc.

    Parameters
    ----------
    wcs : WCS
        Celestial, two axes.
    shape : (int, int)
        Rows and columns.
    galaxy : Galaxy

    Returns
    -------
    ndarray, shape `shape`
        Arcsec. NaN where the WCS has no sky.

    Notes
    -----
    Offsets are taken in the tangent plane at the centre (so right ascension 0 and the poles are like any other place); the one across
    the major axis is divided by the cosine of the inclination, of 85 degrees at most.
    """
    y, x = np.mgrid[: shape[0], : shape[1]]
    ra, dec = (np.radians(value) for value in sky.pixel_to_icrs(wcs, x, y))
    ra0, dec0, angle = np.radians([galaxy.ra, galaxy.dec, galaxy.posang])
    depth = np.sin(dec) * np.sin(dec0) + np.cos(dec) * np.cos(dec0) * np.cos(ra - ra0)
    with np.errstate(divide="ignore", invalid="ignore"):
        east = np.where(depth > 0, np.cos(dec) * np.sin(ra - ra0) / depth, np.inf)
        north = np.where(depth > 0, (np.sin(dec) * np.cos(dec0) - np.cos(dec) * np.sin(dec0) * np.cos(ra - ra0)) / depth, np.inf)
        along = east * np.sin(angle) + north * np.cos(angle)
        across = (east * np.cos(angle) - north * np.sin(angle)) / np.cos(np.radians(min(galaxy.inclination, _EDGE_ON)))
        radius = np.degrees(np.hypot(along, across)) * 3600
    radius[~(depth > 0)] = np.inf
    radius[~np.isfinite(depth)] = np.nan
    return radius


def galaxy_region(galaxy: Galaxy, wcs: WCS, shape: tuple[int, int], reff_factor: float = 2.0) -> NDArray[np.bool_]:
    """Return the pixels within `reff_factor` effective radii of a galaxy's centre, in the plane of its disc (see `galaxy_radius`)."""
    if not 0 < reff_factor < np.inf:
        raise InputError(f"reff_factor {reff_factor!r}: must be positive")
    return galaxy_radius(wcs, shape, galaxy) <= reff_factor * galaxy.size_reff


def dynamic_range(
    values: ArrayLike, percentiles: tuple[float, float] = (15.0, 60.0), *, region: ArrayLike | None = None
) -> tuple[float, float]:
    """Return the range between two percentiles of an image.

    Parameters
    ----------
    values : array_like
        Of the axis that is binned; what is not finite is left out.
    percentiles : (float, float)
        The lower and the upper one, 0 to 100.
    region : array_like of bool, optional
        Of the shape of `values`: where they are taken.

    Returns
    -------
    low, high : float

    Raises
    ------
    InputError
        If the percentiles are not in order or the shapes differ.
    CompareError
        ``no_range``: if no value is left, or all are the same.
    """
    low, high = (float(value) for value in percentiles)
    if not 0 <= low < high <= 100:
        raise InputError(f"percentiles {percentiles!r}: must be two numbers from 0 to 100, the lower one first")
    values = np.asarray(values, float)
    used = np.isfinite(values)
    if region is not None:
        region = np.asarray(region, bool)
        if region.shape != values.shape:
            raise InputError(f"region: must have the shape of the values, {values.shape}, found {region.shape}")
        used &= region
    if not used.any():
        raise CompareError("no_range", "no pixel with a value lies in the region that gives the range")
    start, stop = np.percentile(values[used], (low, high))
    if not start < stop:
        raise CompareError("no_range", f"the percentiles {low:g} and {high:g} of {np.count_nonzero(used)} pixels are the same, {start:g}")
    return float(start), float(stop)


def _number(text: str | None, name: str) -> float:
    try:
        return float(str(text))
    except ValueError as err:
        raise InputError(f"{name}: must be a number, found {text!r}") from err
