"""Apertures as regions: for DS9 as text, in Python as ``regions.Regions``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import QTable
from astropy.wcs import WCS

from ezarchive import sky
from ezarchive.browse.overlay import apertures_of
from ezarchive.browse.places import row_names
from ezarchive.errors import InputError
from ezarchive.sky.ellipses import jacobian_at, on_sky

SYSTEMS = ("pixel", "sky")

_ROUND = {"pixel": 1e-9, "sky": 1e-4}


@dataclass(frozen=True)
class ApertureRegions:
    """Circles and ellipses of rows that have a position and a size.

    Attributes
    ----------
    system : {"pixel", "sky"}
        0-based pixels, or ICRS.
    x, y : ndarray (n,)
        Centres: pixels, or degrees.
    a, b : ndarray (n,)
        Semi-axes: pixels, or arcsec.
    angle : ndarray (n,)
        Degrees counter-clockwise from +x; on the sky, as DS9 has it, from west through north: the position angle of the major axis and 90.
    names : list of str
        Of the rows (`places.row_names`).
    """

    system: str
    x: np.ndarray
    y: np.ndarray
    a: np.ndarray
    b: np.ndarray
    angle: np.ndarray
    names: list[str]

    @property
    def round(self) -> np.ndarray:
        """Which of them are circles."""
        return np.abs(self.a - self.b) <= _ROUND[self.system] * self.a

    def to_text(self) -> str:
        """Return them as a DS9 region file (where pixels count from 1)."""
        first, unit, place = (1.0, "", ".6f") if self.system == "pixel" else (0.0, '"', ".9f")
        lines = ["# Region file format: DS9 ezarchive", "image" if self.system == "pixel" else "icrs"]
        rows = zip(self.x + first, self.y + first, self.a, self.b, self.angle, self.round, self.names, strict=True)
        for x, y, a, b, angle, is_circle, name in rows:
            sizes = f"{a:.6f}{unit}" if is_circle else f"{a:.6f}{unit},{b:.6f}{unit},{angle:.6f}"
            lines.append(f"{'circle' if is_circle else 'ellipse'}({x:{place}},{y:{place}},{sizes}) # text={{{name.replace('}', ')')}}}")
        return "\n".join(lines) + "\n"

    def to_regions(self) -> Any:
        """Return them as ``regions.Regions``; a thousand take 0.1 s on the pixels, 1 s on the sky."""
        import regions  # noqa: PLC0415  it takes a tenth of a second that few need

        if self.system == "pixel":
            makers = (regions.CirclePixelRegion, regions.EllipsePixelRegion)
            centres: Any = [regions.PixCoord(*place) for place in zip(self.x, self.y, strict=True)]
            axes: Any = self.a, self.b
        else:
            makers = (regions.CircleSkyRegion, regions.EllipseSkyRegion)
            centres = SkyCoord(self.x, self.y, unit="deg")
            axes = self.a * u.arcsec, self.b * u.arcsec
        made = []
        for centre, a, b, angle, is_circle, name in zip(centres, *axes, self.angle, self.round, self.names, strict=True):
            meta = {"text": name}
            made.append(makers[0](centre, a, meta=meta) if is_circle else makers[1](centre, 2 * a, 2 * b, angle=angle * u.deg, meta=meta))
        return regions.Regions(made)


def aperture_regions(table: QTable, measure: str, system: str, wcs: WCS | None) -> ApertureRegions:
    """Return the apertures of rows as regions; rows without a position or a size have none.

    Parameters
    ----------
    table : QTable
    measure : str
        One of `overlay.measures_of`.
    system : {"pixel", "sky"}
        Pixels of the image, or ICRS.
    wcs : WCS, optional
        Of the image; needed for the sky, where a circle is an ellipse if the pixels are not square.

    Raises
    ------
    InputError
        If the table holds no such measure, the system is none of these, or there is no WCS for the sky.
    """
    if system not in SYSTEMS:
        raise InputError(f"system={system!r}: must be 'pixel' or 'sky'")
    if system == "sky" and wcs is None:
        raise InputError("system='sky': the image has no WCS that works; must be 'pixel'")
    x, y, shapes = apertures_of(table, measure)
    good = np.flatnonzero(np.isfinite([x, y, shapes.a, shapes.b, shapes.theta]).all(axis=0) & (shapes.a > 0) & (shapes.b > 0))
    x, y, shapes = x[good], y[good], shapes[good]
    names = row_names(table[good])
    if system == "pixel":
        return ApertureRegions(system, x, y, shapes.a, shapes.b, shapes.theta, names)
    a, b, position_angle = on_sky(shapes, jacobian_at(wcs, x, y))
    return ApertureRegions(system, *sky.pixel_to_icrs(wcs, x, y), a, b, position_angle + 90.0, names)
