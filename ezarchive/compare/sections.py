"""Pieces of an image, of one in memory or of one that stays in its file until they are asked for."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from ezarchive.compare.fluximage import FluxImage, flux_image
from ezarchive.compare.resample import Piece, Source
from ezarchive.images.image import Image
from ezarchive.images.planes import ERROR_NAMES, QUALITY_NAME, VARIANCE_NAMES, data_hdu, quality_mask, siblings_of, stem, unit_of

_BLANK = 1e-10
"""Of the typical value that is not zero: what is smaller is a drizzled image's edge."""
_ROWS = 64
"""Of a file that are looked at for the typical value."""

Read = Callable[[int, int, int, int], Piece]


@dataclass(frozen=True)
class Sections:
    """An image of which pieces can be read: what is known of it, and the function of (row, last row + 1, column, last column + 1)."""

    shape: tuple[int, int]
    wcs: WCS | None
    unit: u.UnitBase | None
    header: fits.Header
    primary: fits.Header
    path: Path | None
    name: str
    has_variance: bool
    read: Read

    def source(self, *, zeros_are_blank: bool) -> Source:
        """Return it for `sample`; pixels of 0, and as good as 0, may count as bad."""
        if not zeros_are_blank:
            return Source(self.shape, self.read)
        blank = _BLANK * self._typical()

        def read(y0: int, y1: int, x0: int, x1: int) -> Piece:
            piece = self.read(y0, y1, x0, x1)
            return piece._replace(bad=piece.bad | (np.abs(piece.data) <= blank))

        return Source(self.shape, read)

    def _typical(self) -> float:
        """Return the median of what is not 0, of some rows."""
        rows = np.unique(np.linspace(0, self.shape[0] - 1, _ROWS).astype(int))
        pieces = [self.read(row, row + 1, 0, self.shape[1]) for row in rows]
        values = np.abs(np.concatenate([piece.data[~piece.bad] for piece in pieces]))
        return float(np.median(values[values > 0])) if (values > 0).any() else 0.0


def sections(source: Any, name: str = "image") -> Sections:
    """Return an image by pieces; takes what `flux_image` does. Of a path, nothing but headers is read."""
    if isinstance(source, (str, os.PathLike)):
        return _of_file(Path(source))
    image = flux_image(source, name)

    def read(y0: int, y1: int, x0: int, x1: int) -> Piece:
        place = slice(y0, y1), slice(x0, x1)
        return Piece(image.data[place], image.mask[place], None if image.variance is None else image.variance[place])

    known = image.wcs, image.unit, image.header, image.primary, image.path, image.name, image.variance is not None
    return Sections(image.shape, *known, read)


def _of_file(path: Path) -> Sections:
    hdu = data_hdu(path)
    siblings = siblings_of(path, hdu)
    names = VARIANCE_NAMES, ERROR_NAMES, (QUALITY_NAME,)
    data, (variance, error, quality) = Image(path, hdu), (_part(path, siblings, some) for some in names)
    primary = Image(path, 0).header.copy()

    def read(y0: int, y1: int, x0: int, x1: int) -> Piece:
        place = slice(y0, y1), slice(x0, x1)
        pixels = np.array(data.cut(*place), np.float64)
        bad = ~np.isfinite(pixels)
        if quality is not None:
            bad |= quality_mask(quality.cut(*place), primary)
        if variance is not None:
            return Piece(pixels, bad, np.array(variance.cut(*place), np.float64))
        return Piece(pixels, bad, None if error is None else np.array(error.cut(*place), np.float64) ** 2)

    header = data.header.copy()
    unit = unit_of(header) or unit_of(primary)
    has_variance = variance is not None or error is not None
    return Sections(data.shape, data.wcs, unit, header, primary, path, stem(path), has_variance, read)


def _part(path: Path, siblings: dict[str, int], names: tuple[str, ...]) -> Image | None:
    found = next((siblings[name] for name in names if name in siblings), None)
    return None if found is None else Image(path, found)


def whole(known: Sections, **fields: Any) -> FluxImage:
    """Return an image that is new but for what is known of the old one."""
    kept = {"unit": known.unit, "primary": known.primary.copy(), "path": known.path, "name": known.name}
    return FluxImage(**(kept | fields))
