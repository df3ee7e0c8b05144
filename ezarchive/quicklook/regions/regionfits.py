"""The table of regions of a FITS file (ASC-FITS-REGION), whose pixels are counted from 1.

The package ``regions`` reads and writes the numbers as they stand, as 0-based pixels; files that it wrote itself are told by ORIGIN.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import regions as rg
from astropy.io import fits
from astropy.table import QTable
from astropy.utils.exceptions import AstropyWarning
from regions.io.fits.core import FITSParserError

from ezarchive.errors import FrameError, InputError
from ezarchive.quicklook.regions.regiontexts import Statement

_OTHER_ORIGIN = "astropy/regions"
_NO_FORM = (rg.EllipseAnnulusPixelRegion, rg.RectangleAnnulusPixelRegion, rg.CompoundPixelRegion)
_ERRORS = (ValueError, KeyError, IndexError, TypeError, AttributeError, FITSParserError)


def fits_statements(raw: bytes, name: str) -> Iterator[Statement]:
    """Yield the regions of a FITS file, a row each."""
    try:
        with fits.open(io.BytesIO(raw)) as units:
            unit = next((one for one in units if one.name == "REGION" and isinstance(one, fits.BinTableHDU)), None)
            if unit is None:
                raise FrameError("no_regions", f"{name}: must hold a table with EXTNAME = REGION")
            shift = 0.0 if str(unit.header.get("ORIGIN", "")) == _OTHER_ORIGIN else 1.0
            table = QTable.read(unit)
    except (OSError, ValueError) as err:
        raise FrameError("unreadable", f"{name}: the region file cannot be read: {err}") from err
    for k in range(len(table)):
        yield _row(table[k : k + 1], shift)


def region_table(regions: Sequence[Any]) -> fits.BinTableHDU:
    """Return the table of pixel regions.

    Raises
    ------
    InputError
        If a region has no form in it.
    """
    excluded, moved = [], []
    for k, region in enumerate(regions):
        if isinstance(region, _NO_FORM) or not isinstance(region, rg.PixelRegion):
            raise InputError(f"regions: {k}, {type(region).__name__}, has no form in a FITS table of regions")
        excluded.append(region.meta.get("include", True) in (False, 0, "-"))
        bare = _shifted(region, 1.0)
        bare.meta = rg.RegionMeta()
        moved.append(bare)
    table = rg.Regions(_padded(moved)).serialize(format="fits")
    table["SHAPE"] = [("!" if out else "") + str(shape).strip() for out, shape in zip(excluded, table["SHAPE"], strict=True)]
    unit = fits.BinTableHDU(table, name="REGION")
    cards = (("HDUCLASS", "ASC"), ("HDUCLAS1", "REGION"), ("HDUCLAS2", "STANDARD"), ("HDUVERS", "1.2.0"), ("CONTENT", "REGION"))
    unit.header.update([*cards, ("ORIGIN", "ezarchive")])
    return unit


def _row(table: QTable, shift: float) -> Statement:
    text = f"{str(table['SHAPE'][0]).strip() if 'SHAPE' in table.colnames else 'point'}"
    if "elliptannulus" in text.lower() and shift:
        return Statement(text, (), "", "not implemented: an elliptical annulus of a FITS table, whose axes are written in several ways")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", AstropyWarning)
        try:
            made = list(rg.Regions.parse(table, format="fits"))
        except _ERRORS as err:
            return Statement(text, (), "", f"it cannot be understood: {err}")
    if not made:
        return Statement(text, (), "", f"it cannot be understood: {'; '.join(str(one.message) for one in caught)}")
    if text.startswith("!"):
        made[0].meta["include"] = False
    return Statement(text, tuple(_shifted(_unpadded(one), -shift) for one in made), "image", "")


def _unpadded(region: Any) -> Any:
    if not isinstance(region, rg.PolygonPixelRegion):
        return region
    x, y = (np.asarray(axis, float) for axis in region.vertices.xy)
    keep = x.size - _padding(x, y)
    return rg.PolygonPixelRegion(rg.PixCoord(x[:keep], y[:keep]), meta=region.meta.copy(), visual=region.visual.copy())


def _padded(regions: Sequence[Any]) -> list[Any]:
    """Return polygons with the first corner repeated until all have as many."""
    most = max((one.vertices.x.size for one in regions if isinstance(one, rg.PolygonPixelRegion)), default=0)
    found = []
    for one in regions:
        if isinstance(one, rg.PolygonPixelRegion):
            x, y = (np.concatenate([axis, np.full(most - axis.size, axis[0])]) for axis in one.vertices.xy)
            one = rg.PolygonPixelRegion(rg.PixCoord(x, y))
        found.append(one)
    return found


def _shifted(region: Any, by: float) -> Any:
    """Return a region moved by pixels along both axes."""
    if isinstance(region, rg.PolygonPixelRegion):
        x, y = (np.asarray(axis, float) + by for axis in region.vertices.xy)
        return rg.PolygonPixelRegion(rg.PixCoord(x, y), meta=region.meta.copy(), visual=region.visual.copy())
    return region.copy(center=rg.PixCoord(float(region.center.x) + by, float(region.center.y) + by))


def _padding(x: np.ndarray, y: np.ndarray) -> int:
    """Return how many corners at the end are none: zeros, or the first one again, as rows are as long as that of the longest polygon."""
    keep = x.size
    while keep > 3 and ((x[keep - 1] == 0 and y[keep - 1] == 0) or (x[keep - 1] == x[0] and y[keep - 1] == y[0])):
        keep -= 1
    return int(x.size - keep)
