"""`Picture`: one plane of pixels with its label, unit, WCS and headers; what every function of the quick look works on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.io import fits

from ezarchive.images.image import Image
from ezarchive.images.planes import ERROR_NAMES, VARIANCE_NAMES, siblings_of, unit_of

_COUNTED = re.compile(r"\b(electron|count|photon)s?\b", re.IGNORECASE)
"""What headers write in capitals and in the plural: ELECTRONS/S."""


class Picture:
    """One plane of pixels and what is known of it; nothing is read before it is asked for, and nothing is ever changed.

    Made by `ezarchive.quicklook.picture`.

    Attributes
    ----------
    image : Image
        The pixels.
    label : str
        For tables and legends.
    meta : mapping
        The extension's metadata: a FITS header, or a nested dict (ASDF, NDData).
    primary : mapping or None
        The primary header of the file, where the plane is in another HDU.
    """

    def __init__(
        self,
        image: Image,
        label: str,
        *,
        wcs: Any = None,
        unit: u.UnitBase | None = None,
        meta: Mapping[str, Any] | None = None,
        primary: Mapping[str, Any] | None = None,
        mask: np.ndarray | None = None,
        error: np.ndarray | None = None,
    ) -> None:
        self.image, self.label = image, label
        self.mask, self.error = mask, error
        self._wcs, self._unit, self._meta, self._primary = wcs, unit, meta, primary

    @property
    def data(self) -> np.ndarray:
        """The pixels, shape (ny, nx); treat them as read-only."""
        return self.image.data

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.image.shape

    @property
    def path(self) -> Path | None:
        """The file, None for an array."""
        return self.image.path

    @cached_property
    def meta(self) -> Mapping[str, Any]:
        """See the class."""
        return self.image.header if self._meta is None else self._meta

    @cached_property
    def primary(self) -> Mapping[str, Any] | None:
        """See the class."""
        if self._primary is not None or self.path is None or self.image.hdu == 0:
            return self._primary
        return Image(self.path, 0).header

    @cached_property
    def wcs(self) -> Any:
        """The celestial WCS (of FITS, or any object of the common interface), None without one."""
        return self.image.wcs if self._wcs is None else self._wcs

    @cached_property
    def unit_text(self) -> str:
        """BUNIT as it stands, empty where there is none."""
        for header in (self.meta, self.primary or {}):
            if text := str(header.get("BUNIT", "") or "").strip():
                return text
        return ""

    @cached_property
    def unit(self) -> u.UnitBase | None:
        """The unit of the pixels; None where there is none, or none that is known (see `unit_text`)."""
        if self._unit is not None:
            return self._unit
        return unit_of(fits.Header({"BUNIT": usual_unit(self.unit_text)}))

    def __repr__(self) -> str:
        ny, nx = self.shape
        return f"Picture({self.label!r}, {ny} x {nx}, {self.unit_text if self.unit is None else self.unit.to_string()!r})"


def usual_unit(text: str) -> str:
    """Return a unit as astropy writes it; the S of ELECTRONS/S is a second."""
    if _COUNTED.search(text) is None:
        return text
    return _COUNTED.sub(lambda found: found[1].lower(), text.lower() if text.isupper() else text)


def error_of(path: Path, hdu: int) -> np.ndarray | None:
    """Return the errors that a file holds beside a plane (ERR, or the root of VAR: NaN where that is negative), None without any."""
    siblings = siblings_of(path, hdu)
    for names, power in ((ERROR_NAMES, 1.0), (VARIANCE_NAMES, 0.5)):
        found = next((siblings[one] for one in names if one in siblings), None)
        if found is not None:
            values = Image(path, found).load()
            # Of a variance below 0 nothing is known.
            return values if power == 1.0 else np.sqrt(np.where(values < 0, np.nan, values))
    return None
