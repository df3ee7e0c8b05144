"""Cuts: the values of one or several images along any line, with a width, errors, and the sky below it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import Table
from numpy.typing import NDArray

from ezarchive import sky
from ezarchive.errors import InputError
from ezarchive.quicklook.places.lineplaces import for_each, is_on_sky, pictures_of, pixel_place, plain_values, table_of
from ezarchive.quicklook.places.lines import ways_to
from ezarchive.quicklook.places.links import Link
from ezarchive.quicklook.places.segments import (
    Points,
    combined,
    median_factor,
    points_along,
    propagated,
    propagated_median,
    sampled,
    taps_of,
)
from ezarchive.quicklook.planes.pictures import Picture
from ezarchive.quicklook.planes.quality import bad_pixels, errors_of
from ezarchive.quicklook.planes.skywcs import to_sky

Floats = NDArray[np.float64]

_MOST = 20_000_000
"""Points that a cut may have."""
_SIDE = 256
"""Pixels along the cut looked at in one go."""
_AT_ONCE = 400_000
"""Pixels that points are interpolated from, in one go."""


@dataclass(frozen=True, eq=False)
class CutLine:
    """What one image has along a cut.

    Attributes
    ----------
    label : str
        Of the image.
    link : str
        How the cut came to it: ``self``, ``pixels``, ``affine`` or ``wcs``.
    x, y : ndarray, shape (n,)
        0-based pixels of this image on the middle line.
    value : ndarray, shape (n,)
        Mean or median across the width; NaN is a gap: off the image, or no finite pixel.
    err : ndarray, shape (n,)
        Standard deviation of `value`; NaN where it is not known.
    n : ndarray of int, shape (n,)
        Points across the width that `value` is of.
    std : ndarray, shape (n,)
        Standard deviation among them; NaN of fewer than two.
    err_from : {"map", "scatter", ""}
        What `err` follows from: errors of the pixels, or ``std / sqrt(n)``; empty where it is not known.
    unit : Unit or None
    """

    label: str
    link: str
    x: Floats
    y: Floats
    value: Floats
    err: Floats
    n: NDArray[np.int64]
    std: Floats
    err_from: str
    unit: u.UnitBase | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain values; NaN is None."""
        made = {name: plain_values(getattr(self, name)) for name in ("x", "y", "value", "err", "n", "std")}
        unit = None if self.unit is None else self.unit.to_string()
        return {"label": self.label, "link": self.link, "err_from": self.err_from, "unit": unit} | made


@dataclass(frozen=True, eq=False)
class Cut:
    """A cut through one or several images; `value`, `err`, `n`, `std` and `unit` are those of the first.

    Attributes
    ----------
    start, end : (x, y)
        Pixels of the first image (of a link's reference, where one was given).
    width, step : float
        Pixels of the first image.
    combine : {"mean", "median"}
    order : {0, 1, 3}
    distance : ndarray, shape (n,)
        Pixels of the first image from `start`.
    x, y : ndarray, shape (n,)
        Pixels of the first image on the middle line.
    ra, dec : ndarray, shape (n,), or None
        ICRS degrees there; None without a WCS.
    separation : ndarray, shape (n,), or None
        Arcsec on the sky from the first point.
    lines : tuple of CutLine
        One for each image.
    """

    start: tuple[float, float]
    end: tuple[float, float]
    width: float
    step: float
    combine: str
    order: int
    distance: Floats
    x: Floats
    y: Floats
    ra: Floats | None
    dec: Floats | None
    separation: Floats | None
    lines: tuple[CutLine, ...]

    @property
    def value(self) -> Floats:
        """Of the first image."""
        return self.lines[0].value

    @property
    def err(self) -> Floats:
        """Of the first image."""
        return self.lines[0].err

    @property
    def n(self) -> NDArray[np.int64]:
        """Of the first image."""
        return self.lines[0].n

    @property
    def std(self) -> Floats:
        """Of the first image."""
        return self.lines[0].std

    @property
    def unit(self) -> u.UnitBase | None:
        """Of the first image."""
        return self.lines[0].unit

    def to_table(self) -> Table:
        """Return a row for each point: distance, x, y, separation, ra and dec (with a WCS), value, err, std, n; with their units.

        Of several images the columns of the second and later ones end in ``_2``, ``_3``, ...; ``meta['labels']`` names the images.
        """
        columns: dict[str, Any] = {name: (getattr(self, name), u.pix) for name in ("distance", "x", "y")}
        if self.ra is not None:
            columns |= {"separation": (self.separation, u.arcsec), "ra": (self.ra, u.deg), "dec": (self.dec, u.deg)}
        for k, line in enumerate(self.lines):
            mark = "" if k == 0 else f"_{k + 1}"
            if k:
                columns |= {f"x{mark}": (line.x, u.pix), f"y{mark}": (line.y, u.pix)}
            columns |= {f"{name}{mark}": (getattr(line, name), line.unit) for name in ("value", "err", "std")}
            columns[f"n{mark}"] = line.n, None
        table = table_of(columns)
        table.meta |= {name: getattr(self, name) for name in ("width", "step", "combine", "order")}
        table.meta |= {"labels": [line.label for line in self.lines], "start": list(self.start), "end": list(self.end)}
        return table

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain values; NaN is None."""
        made = {item.name: getattr(self, item.name) for item in fields(self)}
        for name in ("distance", "x", "y", "ra", "dec", "separation"):
            made[name] = plain_values(made[name])
        return made | {"start": list(self.start), "end": list(self.end), "lines": [line.to_dict() for line in self.lines]}


def cut(  # noqa: PLR0913  wcs, unit and header are one thing: what the image does not know itself
    image: Any,
    start: Any,
    end: Any,
    width: float = 1.0,
    *,
    combine: str = "mean",
    step: float = 1.0,
    order: int = 1,
    error: Any = None,
    mask: Any = None,
    links: Link | Sequence[Link] | None = None,
    wcs: Any = None,
    unit: Any = None,
    header: Any = None,
) -> Cut:
    """Return the values of one or several images along a line.

    Parameters
    ----------
    image : path, Image, Picture, NDData or array, or a list of them
        Of a list the line is drawn in the first; the others are linked to it by WCS, or where that cannot be by pixels (``line.link``
        tells which), and are asked at the same places.
    start, end : (x, y), SkyCoord or str
        0-based pixels of the first image, or places on the sky; then every image must have a WCS.
    width : float
        Pixels across; strips of at most one pixel each, side by side, are combined.
    combine : {"mean", "median"}
        Of the strips.
    step : float
        Pixels between points; the first is at `start`, none lies beyond `end`.
    order : {0, 1, 3}
        Nearest pixel, bilinear or bicubic interpolation.
    error, mask : optional
        As for `aperture_photometry`; of several images one for all (None or ``"file"``) or a list. Masked pixels are gaps.
    links : Link, or of a list those of the images after the first, optional
        Of one image: `start` and `end` are pixels of the link's reference.
    wcs, unit, header : optional
        In place of those of one image.

    Returns
    -------
    Cut

    Raises
    ------
    InputError
        If an argument is wrong, both ends are the same place, or no point of the cut lies on an image.

    Notes
    -----
    A point is known where every pixel that it is interpolated from is finite; the others are left out and not counted in ``n``. With an
    error map ``err`` follows from it, with the covariance of points that share pixels; that of a median is for normal noise. Without one
    it is ``std / sqrt(n)`` (times the factor of a median): interpolation smooths noise, so it can be low.
    """
    _check(width, step, combine, order)
    pictures, several = pictures_of(image, wcs, unit, header)
    ways = ways_to(pictures, links, several, by_sky=is_on_sky(start) or is_on_sky(end))
    errors, masks = (for_each(value, len(pictures), name) for name, value in (("error", error), ("mask", mask)))
    first = pictures[0] if ways[0] is None else None
    ends = pixel_place(start, first, "start"), pixel_place(end, first, "end")
    length = math.dist(*ends)
    if not length > 0:
        raise InputError(f"start, end: must be two different places, found {ends[0]} twice")
    if (length / step + 1) * max(width, 1) > _MOST:
        raise InputError(f"step: must be larger, for the cut would have more than {_MOST} points, found {step}")
    points = points_along(*ends, float(step), float(width))
    settings = (combine, order)
    lines = tuple(
        _line(given, way, points, settings, errors_of(given, errors[k]), bad_pixels(given, masks[k]))
        for k, (given, way) in enumerate(zip(pictures, ways, strict=True))
    )
    if not any(np.any(_touches(line, given)) for line, given in zip(lines, pictures, strict=True)):
        raise InputError(f"start, end: the cut from {ends[0]} to {ends[1]} must meet the image, whose shape is {pictures[0].shape}")
    middle = _middle(points.x), _middle(points.y)
    ra, dec, separation = _below(pictures[0], lines[0])
    return Cut(*ends, float(width), float(step), combine, int(order), points.distance, *middle, ra, dec, separation, lines)


def _check(width: Any, step: Any, combine: Any, order: Any) -> None:
    for name, value in (("width", width), ("step", step)):
        if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not (math.isfinite(value) and value > 0):
            raise InputError(f"{name}: must be a number of pixels above 0, found {value!r}")
    if combine not in ("mean", "median"):
        raise InputError(f"combine: must be 'mean' or 'median', found {combine!r}")
    if isinstance(order, bool) or order not in (0, 1, 3):
        raise InputError(f"order: must be 0 (nearest), 1 (bilinear) or 3 (bicubic), found {order!r}")


def _middle(places: Floats) -> Floats:
    return 0.5 * (places[:, (places.shape[1] - 1) // 2] + places[:, places.shape[1] // 2])


def _touches(line: CutLine, given: Picture) -> NDArray[np.bool_]:
    """Tell which points of the middle line are on the image, or have a value beside it."""
    ny, nx = given.shape
    on = (line.x >= -0.5) & (line.x <= nx - 0.5) & (line.y >= -0.5) & (line.y <= ny - 0.5)
    return on | (line.n > 0)


def _below(given: Picture, line: CutLine) -> tuple[Floats | None, Floats | None, Floats | None]:
    if given.wcs is None:
        return None, None, None
    ra, dec = to_sky(given.wcs, line.x, line.y)
    return ra, dec, 3600 * np.asarray(sky.separation(ra[0], dec[0], ra, dec))


def _line(
    given: Picture, way: Link | None, points: Points, settings: tuple[str, int], error: Floats | None, bad: NDArray[np.bool_] | None
) -> CutLine:
    x, y = (points.x, points.y) if way is None else way.forward(points.x, points.y)
    blocks = _blocks(x, y, x.shape[1] * (settings[1] + 1) ** 2)
    parts = [_piece(given, x[rows], y[rows], settings, error, bad) for rows in blocks]
    value, n, std, err = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    err_from = "map" if error is not None else "scatter" if np.isfinite(err).any() else ""
    kind = "self" if way is None else way.kind
    return CutLine(given.label, kind, _middle(x), _middle(y), value, err, n, std, err_from, given.unit)


def _blocks(x: Floats, y: Floats, pixels: int) -> Iterator[slice]:
    """Cut the points into pieces, so that neither the work nor the rectangle of the image around them is large."""
    step = math.dist((x[0, 0], y[0, 0]), (x[-1, 0], y[-1, 0])) / max(len(x) - 1, 1)
    near = _SIDE / step if step > 1 else _SIDE
    rows = max(int(min(_AT_ONCE // pixels, near)), 1)
    return (slice(first, first + rows) for first in range(0, len(x), rows))


def _piece(
    given: Picture, x: Floats, y: Floats, settings: tuple[str, int], error: Floats | None, bad: NDArray[np.bool_] | None
) -> tuple[Floats, NDArray[np.int64], Floats, Floats]:
    combine, order = settings
    taps = taps_of(x, y, given.shape, order)
    if not taps.on.any():
        nothing = np.full(len(x), np.nan)
        return nothing, np.zeros(len(x), np.int64), nothing, nothing
    row, column = taps.row[taps.on], taps.column[taps.on]
    y0, x0, y1, x1 = int(row.min()), int(column.min()), int(row.max()) + 1, int(column.max()) + 1
    part = slice(y0, y1), slice(x0, x1)
    pixels = np.array(given.image.cut(*part), np.float64)
    if bad is not None:
        pixels[bad[part]] = np.nan
    taps = taps._replace(row=(taps.row - y0).clip(0, y1 - y0 - 1), column=(taps.column - x0).clip(0, x1 - x0 - 1))
    samples = sampled(pixels, taps)
    found = combined(samples, combine)
    if error is None:
        err = found.std / np.sqrt(np.maximum(found.n, 1)) * (median_factor(found.n) if combine == "median" else 1.0)
    else:
        variance = np.square(np.array(error[part], np.float64))
        err = (propagated if combine == "mean" else propagated_median)(variance, taps, np.isfinite(samples), found.n)
    return found.value, found.n, found.std, err
