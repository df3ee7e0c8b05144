"""What a cursor reads at a place of an image: pixel, value and position on the sky, as numbers and as texts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from numbers import Real
from typing import Any

from astropy.coordinates import SkyCoord

from ezarchive.errors import InputError
from ezarchive.quicklook.places.links import Link, checked_link
from ezarchive.quicklook.planes.inputs import picture
from ezarchive.quicklook.planes.pictures import Picture
from ezarchive.quicklook.planes.skywcs import to_sky

__all__ = ["Cursor", "cursor"]


@dataclass(frozen=True)
class Cursor:
    """The read-out at a place.

    Attributes
    ----------
    label : str
        Of the image.
    x, y : float
        Its pixels (0-based centres); NaN where a link leads nowhere.
    value : float or None
        Of the nearest pixel (that with the even number, between two); None outside the image.
    unit : str
        Of the value.
    masked : bool
        Whether that pixel is masked.
    ra, dec : float or None
        ICRS, degrees; None without a WCS, or where it has no sky.
    pixel_text, value_text, sky_text, degrees_text : str
        One decimal, padded with zeros to the width of the largest number of the image; sign, five decimals, exponent and unit; hours and
        degrees with four decimals of the seconds; degrees with ten decimals. Empty where there is nothing to tell.
    """

    label: str
    x: float
    y: float
    value: float | None
    unit: str
    masked: bool
    ra: float | None
    dec: float | None
    pixel_text: str
    value_text: str
    sky_text: str
    degrees_text: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, None for what is not finite."""
        return {name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in asdict(self).items()}


def cursor(
    image: Any,
    x: float,
    y: float,
    *,
    link: Link | None = None,
    wcs: Any = None,
    unit: Any = None,
    header: Mapping[str, Any] | None = None,
) -> Cursor:
    """Return what is at a place of an image.

    Parameters
    ----------
    image : path, Image, Picture, NDData or array of shape (ny, nx)
        What `ezarchive.quicklook.picture` takes; of a file that is not compressed one pixel is read.
    x, y : float
        Its pixels (0-based centres), or with a link those of the reference. They may lie outside.
    link : Link, optional
        How the image lies on the reference.
    wcs, unit, header : optional
        In place of those of `image`.

    Returns
    -------
    Cursor

    Raises
    ------
    InputError
        If `x` or `y` is no finite number, or the link is not one to this image.
    FrameError
        If a file cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> found = cursor(np.arange(20_000.0).reshape(100, 200), 12.3, 45, unit="Jy")
    >>> found.pixel_text, found.value_text
    ('x=0012.3, y=0045.0', '+9.01200e+03 Jy')
    """
    pic = picture(image, wcs=wcs, unit=unit, header=header)
    at = _finite(x, "x"), _finite(y, "y")
    if link is not None:
        at = tuple(float(axis) for axis in checked_link(link, pic.shape).forward(*at))
    value, masked = _value(pic, *at)
    name = pic.unit_text if pic.unit is None else pic.unit.to_string()
    place = _place(pic, *at)
    return Cursor(
        label=pic.label,
        x=at[0],
        y=at[1],
        value=value,
        unit=name,
        masked=masked,
        ra=None if place is None else place[0],
        dec=None if place is None else place[1],
        pixel_text=_pixel_text(pic.shape, *at),
        value_text="" if value is None else f"{value:+.5e} {name}".strip(),
        sky_text="" if place is None else SkyCoord(*place, unit="deg").to_string("hmsdms", precision=4, pad=True),
        degrees_text="" if place is None else f"{place[0]:.10f} {place[1]:.10f}",
    )


def _finite(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise InputError(f"{name}={value!r}: must be a finite number")
    return float(value)


def _value(pic: Picture, x: float, y: float) -> tuple[float | None, bool]:
    """Return the nearest pixel and whether it is masked; None outside (half a pixel beyond the last centres, and on the edge)."""
    ny, nx = pic.shape
    if not (-0.5 < x < nx - 0.5 and -0.5 < y < ny - 0.5):
        return None, False
    i, j = round(x), round(y)
    pixel = pic.image.cut(slice(j, j + 1), slice(i, i + 1))
    return float(pixel[0, 0]), pic.mask is not None and bool(pic.mask[j, i])


def _place(pic: Picture, x: float, y: float) -> tuple[float, float] | None:
    if pic.wcs is None or not math.isfinite(x + y):
        return None
    ra, dec = (float(axis) for axis in to_sky(pic.wcs, x, y))
    return (ra, dec) if math.isfinite(ra + dec) else None


def _pixel_text(shape: tuple[int, int], x: float, y: float) -> str:
    if not math.isfinite(x + y):
        return ""
    width = math.ceil(math.log10(max(shape))) + 3
    return f"x={x:0{width}.1f}, y={y:0{width}.1f}"
