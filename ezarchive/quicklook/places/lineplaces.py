"""What profiles and cuts share: places as users give them, in pixels, and columns as plain values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Column, Table
from numpy.typing import NDArray

from ezarchive import sky
from ezarchive.errors import InputError
from ezarchive.quicklook.planes.inputs import picture
from ezarchive.quicklook.planes.pictures import Picture
from ezarchive.quicklook.planes.skywcs import to_pixel

Floats = NDArray[np.float64]


def pictures_of(image: Any, wcs: Any, unit: Any, header: Any) -> tuple[list[Picture], bool]:
    """Return the images, and whether they were given as a list.

    Raises
    ------
    InputError
        If the list is empty, or something that belongs to one image is given with several.
    """
    if not isinstance(image, (list, tuple)):
        return [picture(image, wcs=wcs, unit=unit, header=header)], False
    if not image:
        raise InputError("image: must hold at least one image, found none")
    for name, value in (("wcs", wcs), ("unit", unit), ("header", header)):
        if value is not None:
            raise InputError(f"{name}: must not be given with a list of images: make each a picture with its own")
    return [picture(one, f"image[{k}]") for k, one in enumerate(image)], True


def for_each(value: Any, n: int, name: str) -> list[Any]:
    """Return what was given for each of n images: a list of so many, or one thing for all.

    Raises
    ------
    InputError
        If a list has another length.
    """
    if not isinstance(value, (list, tuple)):
        return [value] * n
    if len(value) != n:
        raise InputError(f"{name}: must be one for each image, {n}, found {len(value)}")
    return list(value)


def is_on_sky(place: Any) -> bool:
    """Tell whether a place is given on the sky and not in pixels."""
    return isinstance(place, (SkyCoord, str))


def pixel_place(place: Any, given: Picture | None, name: str) -> tuple[float, float]:
    """Return a place as pixels.

    Parameters
    ----------
    place : (x, y), SkyCoord or str
        0-based pixels, or a place on the sky as `ezarchive.sky.parse_position` reads it.
    given : Picture or None
        The image; None where pixels alone are allowed.
    name : str
        The argument, for messages.

    Raises
    ------
    InputError
        If it is no place, is not finite, or lies on the sky and the image has no WCS or does not reach there.
    """
    if is_on_sky(place):
        if given is None or given.wcs is None:
            label = "an image behind a link" if given is None else repr(given.label)
            raise InputError(f"{name}: must be pixels for {label}, which has no WCS to find a place on the sky, found {place}")
        x, y = (float(value) for value in to_pixel(given.wcs, *sky.parse_position(place, name)))
        if not (math.isfinite(x) and math.isfinite(y)):
            raise InputError(f"{name}: must be a place that the WCS of {given.label!r} reaches, found {place}")
        return x, y
    values = list(place) if isinstance(place, (tuple, list)) or (isinstance(place, np.ndarray) and place.ndim == 1) else []
    numbers = [float(value) for value in values if isinstance(value, (int, float, np.number)) and not isinstance(value, bool)]
    if len(values) != 2 or len(numbers) != 2 or not all(map(math.isfinite, numbers)):
        wanted = "two finite numbers of pixels (x, y), a SkyCoord or a text such as '21:45:00 -77:15:44'"
        raise InputError(f"{name}: must be {wanted}, found {place!r}")
    return numbers[0], numbers[1]


def plain_values(values: NDArray[Any] | None) -> list[Any] | None:
    """Return a column as a list; NaN is None."""
    if values is None or values.dtype.kind != "f":
        return None if values is None else values.tolist()
    return [one if math.isfinite(one) else None for one in values.tolist()]


def table_of(columns: dict[str, tuple[NDArray[Any], u.UnitBase | None]]) -> Table:
    """Return a table of columns with units.

    It is no QTable: astropy cannot write one that has a Quantity by the name of ``value``.
    """
    return Table([Column(values, name, unit=unit) for name, (values, unit) in columns.items()])
