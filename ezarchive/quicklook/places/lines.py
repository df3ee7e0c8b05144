"""Line profiles: the row and the column through a pixel. Cuts along any line are in `ezarchive.quicklook.places.cuts`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import Table
from numpy.typing import NDArray

from ezarchive.errors import InputError
from ezarchive.quicklook.places.lineplaces import for_each, pictures_of, pixel_place, plain_values, table_of
from ezarchive.quicklook.places.links import Box, Link, checked_link, link, view_box
from ezarchive.quicklook.planes.pictures import Picture
from ezarchive.quicklook.planes.quality import bad_pixels, errors_of
from ezarchive.quicklook.planes.skywcs import to_sky

Floats = NDArray[np.float64]

_MARGIN = 0.05
"""What is left free below and above the values in view, in terms of the lowest and of the highest."""


@dataclass(frozen=True, eq=False)
class Profile:
    """One row or one column of an image.

    Attributes
    ----------
    axis : {"x", "y"}
        What runs along it: "x" of a row, "y" of a column.
    at : int
        The row or column.
    pixel : ndarray of int, shape (n,)
        0-based pixels along it.
    value : ndarray, shape (n,)
        NaN where a pixel is not finite or masked: a gap.
    err : ndarray, shape (n,), or None
        Standard deviations, where there is an error map.
    ra, dec : ndarray, shape (n,), or None
        ICRS degrees of the pixels; None without a WCS.
    unit : Unit or None
    first, last : int or None
        The first and the last pixel that the view shows, each of them included; None where it shows none.
    low, high : float
        The range to draw: that of the values in view and 5 % of the lowest and of the highest more; NaN where there is none.
    """

    axis: str
    at: int
    pixel: NDArray[np.int64]
    value: Floats
    err: Floats | None = None
    ra: Floats | None = None
    dec: Floats | None = None
    unit: u.UnitBase | None = None
    first: int | None = None
    last: int | None = None
    low: float = math.nan
    high: float = math.nan

    @property
    def title(self) -> str:
        """``X=5`` of a column, ``Y=5`` of a row."""
        return f"{'Y' if self.axis == 'x' else 'X'}={self.at}"

    @property
    def xlabel(self) -> str:
        """What is along the profile."""
        return f"{self.axis.upper()} (pix)"

    @property
    def ylabel(self) -> str:
        """The unit, or ``Value``."""
        text = "" if self.unit is None else self.unit.to_string()
        return text or "Value"

    @property
    def limits(self) -> tuple[int | None, int | None, float, float]:
        """`first`, `last`, `low`, `high`."""
        return self.first, self.last, self.low, self.high

    def to_table(self) -> Table:
        """Return pixel, value, and err, ra and dec where they are known; the columns have their units."""
        columns: dict[str, Any] = {"pixel": (self.pixel, u.pix), "value": (self.value, self.unit)}
        if self.err is not None:
            columns["err"] = self.err, self.unit
        if self.ra is not None:
            columns |= {"ra": (self.ra, u.deg), "dec": (self.dec, u.deg)}
        table = table_of(columns)
        table.meta |= {"axis": self.axis, "at": self.at}
        return table

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain values; NaN is None."""
        made: dict[str, Any] = {name: getattr(self, name) for name in ("axis", "at", "title", "xlabel", "ylabel")}
        made |= {name: plain_values(getattr(self, name)) for name in ("pixel", "value", "err", "ra", "dec")}
        made["unit"] = None if self.unit is None else self.unit.to_string()
        made["limits"] = [None if one is None or not math.isfinite(one) else one for one in self.limits]
        return made


@dataclass(frozen=True, eq=False)
class LineProfiles:
    """The row and the column through a pixel.

    Attributes
    ----------
    label : str
        Of the image.
    x, y : int
        The pixel.
    row, column : Profile or None
        None of an image of several that does not reach there.
    reason : str
        Why there are none; else empty.
    """

    label: str
    x: int
    y: int
    row: Profile | None
    column: Profile | None
    reason: str = field(default="")

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain values; NaN is None."""
        made: dict[str, Any] = {"label": self.label, "x": self.x, "y": self.y, "reason": self.reason}
        return made | {name: None if one is None else one.to_dict() for name, one in (("row", self.row), ("column", self.column))}


def line_profiles(
    image: Any,
    x: Any,
    y: float | None = None,
    *,
    zoom: Box | None = None,
    links: Link | Sequence[Link] | None = None,
    error: Any = None,
    mask: Any = None,
    wcs: Any = None,
    unit: Any = None,
    header: Any = None,
) -> LineProfiles | list[LineProfiles]:
    """Return the row and the column through a pixel.

    Parameters
    ----------
    image : path, Image, Picture, NDData or array, or a list of them
        Of a list the pixel is of the first; the others are linked to it by WCS, or where that cannot be by pixels.
    x, y : float
        0-based pixel, rounded (a half to the even one); or `x` alone a SkyCoord or a sexagesimal text.
    zoom : x0, x1, y0, y1, optional
        The view, for the limits; by default all of the image. A view that is not finite counts as none.
    links : Link, or of a list those of the images after the first, optional
        Of one image: `x`, `y` and `zoom` are pixels of the link's reference.
    error, mask : optional
        As for `aperture_photometry`: None is the image's own, if any; ``"file"`` its file's; or arrays. Masked pixels are gaps.
    wcs, unit, header : optional
        In place of those of the image.

    Returns
    -------
    LineProfiles, or a list of them

    Raises
    ------
    InputError
        If the pixel is not on the image, or an argument is wrong.

    Notes
    -----
    The range to draw goes from ``low - 0.05 |low|`` to ``high + 0.05 |high|``, so that negative values lie within it too; every pixel
    that the view shows a part of counts.
    """
    pictures, several = pictures_of(image, wcs, unit, header)
    box, ways = view_box(zoom), ways_to(pictures, links, several)
    errors, masks = (for_each(value, len(pictures), name) for name, value in (("error", error), ("mask", mask)))
    x, y = pixel_place(x if y is None else (x, y), pictures[0] if ways[0] is None else None, "x, y")
    made = []
    for k, (given, way) in enumerate(zip(pictures, ways, strict=True)):
        px, py = (x, y) if way is None else (float(value) for value in way.forward(x, y))
        view = box if way is None or box is None else _box_around(way.polygon(box))
        made.append(_through(given, px, py, view, (errors[k], masks[k]), strict=k == 0))
    return made if several else made[0]


def ways_to(pictures: list[Picture], links: Any, several: bool, *, by_sky: bool = False) -> list[Link | None]:
    """Return how the pixels that are asked for lead to each image; None where they are its own.

    Parameters
    ----------
    pictures : list of Picture
    links : None, Link, or a list of them
        Of one image a link to it, of several those of the images after the first; None links them to the first.
    several : bool
        Whether a list of images was given.
    by_sky : bool
        No link by pixels will do.

    Raises
    ------
    InputError
        If the links do not fit the images, or there is none by WCS where there must be.
    """
    if not several:
        return [None if links is None else checked_link(links, pictures[0].shape, "links")]
    if links is None:
        fallback = None if by_sky else "pixels"
        return [None, *(link(pictures[0], other, wcs_fallback=fallback, error_on_fail=True) for other in pictures[1:])]
    given = for_each(list(links) if not isinstance(links, Link) else [links], len(pictures) - 1, "links")
    return [None, *(checked_link(one, other.shape, "links") for one, other in zip(given, pictures[1:], strict=True))]


def _box_around(polygon: Floats) -> Box | None:
    if not np.isfinite(polygon).all():
        return None
    (x0, y0), (x1, y1) = polygon.min(axis=0), polygon.max(axis=0)
    return float(x0), float(x1), float(y0), float(y1)


def _through(given: Picture, x: float, y: float, view: Box | None, options: tuple[Any, Any], *, strict: bool) -> LineProfiles:
    ny, nx = given.shape
    column, row = (round(value) if math.isfinite(value) else -1 for value in (x, y))
    if not (0 <= column < nx and 0 <= row < ny):
        reason = f"x, y: must be a pixel of {given.label!r}, x from 0 to {nx - 1} and y from 0 to {ny - 1}, found ({x:g}, {y:g})"
        if strict:
            raise InputError(reason)
        return LineProfiles(given.label, column, row, None, None, reason)
    error, bad = errors_of(given, options[0]), bad_pixels(given, options[1])
    x0, x1, y0, y1 = (-0.5, nx - 0.5, -0.5, ny - 0.5) if view is None else view
    along_x = _profile(given, "x", row, (slice(row, row + 1), slice(0, nx)), (x0, x1), error, bad)
    along_y = _profile(given, "y", column, (slice(0, ny), slice(column, column + 1)), (y0, y1), error, bad)
    return LineProfiles(given.label, column, row, along_x, along_y)


def _profile(
    given: Picture,
    axis: str,
    at: int,
    part: tuple[slice, slice],
    view: tuple[float, float],
    error: Floats | None,
    bad: NDArray[np.bool_] | None,
) -> Profile:
    value = np.array(given.image.cut(*part), np.float64).ravel()
    value[~np.isfinite(value)] = np.nan
    if bad is not None:
        value[bad[part].ravel()] = np.nan
    pixel = np.arange(value.size)
    ra = dec = None
    if given.wcs is not None:
        ra, dec = to_sky(given.wcs, *((pixel, at) if axis == "x" else (at, pixel)))
    first, last = max(math.floor(view[0] + 0.5), 0), min(math.ceil(view[1] - 0.5), value.size - 1)
    shown = value[first : last + 1] if first <= last else value[:0]
    low = high = math.nan
    if np.isfinite(shown).any():
        low, high = float(np.nanmin(shown)), float(np.nanmax(shown))
        low, high = (-_MARGIN, _MARGIN) if low == high == 0 else (low - _MARGIN * abs(low), high + _MARGIN * abs(high))
    return Profile(
        axis=axis,
        at=at,
        pixel=pixel,
        value=value,
        err=None if error is None else np.array(error[part], np.float64).ravel(),
        ra=ra,
        dec=dec,
        unit=given.unit,
        first=first if first <= last else None,
        last=last if first <= last else None,
        low=low,
        high=high,
    )
