"""The solid angle of a pixel: of the user, of the header, of the WCS at the source, or of the instrument, with the rule that gave it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy import units as u
from astropy.wcs import WCS
from numpy.typing import ArrayLike, NDArray

from ezarchive import sky
from ezarchive.errors import InputError
from ezarchive.quicklook.planes.inputs import picture
from ezarchive.quicklook.planes.pictures import Picture
from ezarchive.quicklook.planes.skywcs import to_sky
from ezarchive.quicklook.planes.units import ARCSEC2, number_of

Floats = NDArray[np.float64]

INSTRUMENTS = {
    ("HST", "ACS", "WFC"): 0.05**2,
    ("HST", "ACS", "HRC"): 0.028 * 0.025,
    ("HST", "ACS", "SBC"): 0.034 * 0.030,
    ("HST", "WFC3", "UVIS"): 0.04**2,
}
"""Area of a pixel in square arcseconds by telescope, instrument and detector: the last resort."""


@dataclass(frozen=True)
class PixelArea:
    """The solid angle of one pixel, and how it was found.

    Attributes
    ----------
    arcsec2 : float or ndarray
        Square arcseconds; NaN where none could be found.
    rule : str
        ``user``, ``PIXAR_SR``, ``PIXAR_A2``, ``ASDF``, ``D001SCAL``, ``IDCSCALE``, ``WCS``, ``instrument``, or empty: none could be found.
    """

    arcsec2: float | Floats
    rule: str

    @property
    def sr(self) -> float | Floats:
        """Steradians."""
        return self.arcsec2 * ARCSEC2

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; what is not known is None."""
        values = np.asarray(self.arcsec2, float)
        plain = np.where(np.isfinite(values), values, None).tolist()
        return {"arcsec2": plain, "rule": self.rule}


def pixel_area(
    image: Any,
    x: ArrayLike | None = None,
    y: ArrayLike | None = None,
    *,
    value: Any = None,
    wcs: Any = None,
    header: Mapping[str, Any] | None = None,
) -> PixelArea:
    """Return the solid angle of one pixel.

    The first of these that there is: `value`; PIXAR_SR; PIXAR_A2; ``photometry.pixelarea_steradians`` or ``pixelarea_arcsecsq`` of nested
    metadata (ASDF); of drizzled images of HST the square of D001SCAL or IDCSCALE; the WCS at the place; a table of instruments. What the
    primary header says goes before what the extension says. A header's value that is no number above 0 is passed over.

    Parameters
    ----------
    image : path, Image, Picture, NDData or array
    x, y : array_like, optional
        The place on the image (0-based pixels) that the WCS is asked for, by default its middle.
    value : float or Quantity, optional
        The user's: square arcseconds, or a solid angle.
    wcs, header : optional
        As of `ezarchive.quicklook.picture`.

    Returns
    -------
    PixelArea
        Of one value, or of the WCS with x and y given, of their shape.

    Raises
    ------
    InputError
        If `value` is no solid angle above 0.
    """
    source = picture(image, wcs=wcs, header=header)
    if value is not None:
        return PixelArea(_given(value), "user")
    for rule, found in _of_headers(source):
        if _is_area(found):
            return PixelArea(float(found), rule)
    if source.wcs is not None:
        ny, nx = source.shape
        found = _of_wcs(source.wcs, (nx - 1) / 2.0 if x is None else x, (ny - 1) / 2.0 if y is None else y)
        if np.isfinite(found).any():
            return PixelArea(float(found) if found.ndim == 0 else found, "WCS")
    words = tuple(str(_card(source, name) or "").strip().upper() for name in ("TELESCOP", "INSTRUME", "DETECTOR"))
    if words in INSTRUMENTS:
        return PixelArea(INSTRUMENTS[words], "instrument")
    return PixelArea(np.nan, "")


def _given(value: Any) -> float:
    if isinstance(value, u.Quantity):
        if not value.unit.is_equivalent(u.sr):
            raise InputError(f"pixel_area={value}: must be a solid angle, as 0.01 arcsec2")
        value = value.to_value(u.arcsec**2)
    found = number_of(value, "pixel_area", "a number of square arcseconds, or a solid angle")
    if found <= 0:
        raise InputError(f"pixel_area={found!r}: must be above 0 square arcseconds (None: found for itself, 'off': not used)")
    return found


def _of_headers(source: Picture) -> Iterator[tuple[str, Any]]:
    steradian = _card(source, "PIXAR_SR")
    yield "PIXAR_SR", steradian / ARCSEC2 if _is_area(steradian) else None
    yield "PIXAR_A2", _card(source, "PIXAR_A2")
    steradian = _nested(source.meta, "pixelarea_steradians")
    yield "ASDF", steradian / ARCSEC2 if _is_area(steradian) else None
    yield "ASDF", _nested(source.meta, "pixelarea_arcsecsq")
    if str(_card(source, "TELESCOP") or "").strip().upper() == "HST" and _drizzled(source):
        for name in ("D001SCAL", "IDCSCALE"):
            scale = _card(source, name)
            yield name, scale**2 if _is_area(scale) else None


def _drizzled(source: Picture) -> bool:
    """Say whether an image's pixels are those of a drizzled grid: their IDCSCALE is not that of the distorted detector."""
    number = _card(source, "NDRIZIM")
    return _card(source, "D001SCAL") is not None or str(_card(source, "DRIZCORR") or "").strip().upper() == "COMPLETE" or _is_area(number)


def _card(source: Picture, name: str) -> Any:
    """Return what the primary header says, else the extension."""
    for header in (source.primary, source.meta):
        if header is not None and name in header:
            return header[name]
    return None


def _nested(meta: Mapping[str, Any], name: str) -> Any:
    for tree in (meta, meta.get("meta")):
        photometry = tree.get("photometry") if isinstance(tree, Mapping) else None
        if isinstance(photometry, Mapping) and name in photometry:
            found = photometry[name]
            return found.value if isinstance(found, u.Quantity) else found
    return None


def _is_area(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and bool(np.isfinite(value)) and value > 0


def _of_wcs(wcs: Any, x: ArrayLike, y: ArrayLike) -> Floats:
    """Return the area of a pixel at a place, square arcseconds: the determinant of the local Jacobian, so right for distorted images."""
    if isinstance(wcs, WCS):
        return np.asarray(sky.pixel_scale(wcs, x, y), float) ** 2
    x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
    ra, dec = to_sky(wcs, np.stack([x - 0.5, x + 0.5, x, x]), np.stack([y, y, y - 0.5, y + 0.5]))
    vectors = sky.unit_vectors(ra, dec)
    return np.linalg.norm(np.cross(vectors[1] - vectors[0], vectors[3] - vectors[2]), axis=-1) * (np.degrees(1.0) * 3600.0) ** 2
