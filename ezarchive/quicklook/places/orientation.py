"""The compass of an image: where north and east are, how the pixels lie on the sky, and what part of it a view shows."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ezarchive.errors import InputError
from ezarchive.quicklook.places.compassdrawing import svg_of
from ezarchive.quicklook.places.links import Link, checked_link, view_box
from ezarchive.quicklook.places.scalebars import ScaleBar, scale_bar
from ezarchive.quicklook.planes.inputs import picture
from ezarchive.quicklook.planes.skywcs import to_pixel, to_sky
from ezarchive.quicklook.regions.skyshapes import local_jacobian

Floats = NDArray[np.float64]
Point = tuple[float, float]

_PROBE = math.radians(0.1 / 3600)
"""The step on the sky, 0.1 arcsec, that tells how many pixels an angle is."""
_AXES = 0.25
"""Length of the X and Y arms in terms of the shorter side."""
_NOWHERE = (math.nan, math.nan)


@dataclass(frozen=True)
class Compass:
    """Directions on an image; pixels are 0-based, NaN is unknown (no WCS).

    Attributes
    ----------
    label : str
        Of the image.
    shape : tuple of int
        Rows and columns.
    x, y : float
        Where the arms start.
    radius : float
        Length of the arms to north and east in pixels.
    xn, yn, xe, ye : float
        The ends of those arms: of ICRS north and of east.
    north_angle : float
        Degrees of the north arm clockwise from up (+y).
    east_angle : float
        Degrees of the east arm clockwise from the north arm, -180 to 180: -90 where east is left of north.
    flip : bool
        East is right of north: the image is mirrored. The sign of `north_angle` is then turned, as a viewer wants that mirrors the
        drawing.
    x_arm, y_arm : tuple of float
        The ends of the arms along +x and +y, a quarter of the shorter side long.
    ra, dec : float
        ICRS degrees of the start.
    position_angle : float
        Degrees from north through east to the +y axis at the start, 0 to 360 (ORIENTAT of HST, PA_APER of JWST).
    parity : int
        -1 where the image shows the sky as we see it (east left of north), the sign of the determinant of d(east, north) / d(x, y); 1 where
        it is mirrored; 0 if unknown.
    pixel_scale, scale_x, scale_y : float
        Arcsec: the side of a square of the pixel's area, the steps along x and along y.
    zoom : tuple of four (x, y), or None
        The lower left, upper left, upper right and lower right corner of the view, on this image.
    reason : str
        Why there are no arms; else empty.
    """

    label: str
    shape: tuple[int, int]
    x: float
    y: float
    radius: float
    x_arm: Point
    y_arm: Point
    xn: float = math.nan
    yn: float = math.nan
    xe: float = math.nan
    ye: float = math.nan
    north_angle: float = math.nan
    east_angle: float = math.nan
    flip: bool = False
    ra: float = math.nan
    dec: float = math.nan
    position_angle: float = math.nan
    parity: int = 0
    pixel_scale: float = math.nan
    scale_x: float = math.nan
    scale_y: float = math.nan
    zoom: tuple[Point, Point, Point, Point] | None = None
    reason: str = ""

    @property
    def has_arms(self) -> bool:
        """North and east are known."""
        return math.isfinite(self.xn + self.yn + self.xe + self.ye)

    def scale_bar(self, fraction: float = 0.25) -> ScaleBar | None:
        """Return a bar of a round angle, at most that part of the view (or of the image) wide; None without a WCS."""
        if not math.isfinite(self.scale_x):
            return None
        known = self.zoom is not None and bool(np.isfinite(self.zoom).all())
        return scale_bar(self.pixel_scale, math.dist(self.zoom[0], self.zoom[3]) if known else self.shape[1], fraction)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain values; NaN is None."""
        return {item.name: _plain(getattr(self, item.name)) for item in fields(self)}

    def svg(self, size: int = 240, *, href: str | None = None) -> str:
        """Return the compass as the text of an SVG figure.

        Parameters
        ----------
        size : int
            Pixels of the longer side.
        href : str, optional
            Address or ``data:`` text of a picture of the whole image to lie below.

        Returns
        -------
        str
            The same for the same compass; +y is up.
        """
        return svg_of(self, size, href)


def compass(
    image: Any,
    r_fac: float = 0.4,
    *,
    at: str | Point | None = None,
    zoom: tuple[float, float, float, float] | None = None,
    link: Link | None = None,
    wcs: Any = None,
    header: Any = None,
) -> Compass:
    """Return where north and east are on an image.

    Parameters
    ----------
    image : path, Image, Picture, NDData or array
    r_fac : float
        Length of the arms to north and east in terms of the shorter side.
    at : None, "center", "view" or (x, y)
        Where the arms start: (nx/2, ny/2), half a pixel off the centre, as the reference viewer has it; the centre itself,
        ((nx - 1)/2, (ny - 1)/2); the centre of `zoom`; or a pixel.
    zoom : x0, x1, y0, y1, optional
        The view, in pixels of the image, or with `link` of its reference. A view that is not finite counts as none.
    link : Link, optional
        From the image that `zoom` is of to this one.
    wcs, header : optional
        In place of those of the image.

    Returns
    -------
    Compass

    Raises
    ------
    InputError
        If an argument is wrong. Without a WCS, or where it fails, there are no arms, and ``reason`` tells.

    Notes
    -----
    An offset (xi east, eta north) in the tangent plane leads from (ra, dec) to ra + atan2(xi, cos dec - eta sin dec) and
    atan2(sin dec + eta cos dec, hypot(xi, cos dec - eta sin dec)): the inverse gnomonic projection (Calabretta & Greisen 2002, A&A
    395, 1077).
    The pixels of 0.1 arcsec are measured to the north and to the east, and both arms scaled to the same length.
    """
    if isinstance(r_fac, bool) or not isinstance(r_fac, (int, float, np.number)) or not (np.isfinite(r_fac) and r_fac > 0):
        raise InputError(f"r_fac: must be a number above 0, found {r_fac!r}")
    given = picture(image, wcs=wcs, header=header)
    ny, nx = given.shape
    corners = _corners(zoom, link, given.shape)
    x, y = _start(at, (nx, ny), corners)
    short = min(nx, ny)
    common: dict[str, Any] = {
        "label": given.label,
        "shape": (ny, nx),
        "x": x,
        "y": y,
        "radius": float(r_fac * short),
        "x_arm": (x + _AXES * short, y),
        "y_arm": (x, y + _AXES * short),
        "zoom": corners,
    }
    if given.wcs is None:
        return Compass(**common, reason=f"{given.label}: has no celestial WCS that works")
    try:
        known = _on_sky(given.wcs, x, y) | _arms(given.wcs, x, y, float(r_fac * short))
    except (ValueError, NotImplementedError) as err:
        return Compass(**common, reason=f"{given.label}: the WCS fails at ({x:g}, {y:g}): {err}")
    made = Compass(**common, **known)
    if made.has_arms:
        return made
    return Compass(**common, **known, reason=f"{given.label}: the WCS has no sky around ({x:g}, {y:g})")


def _corners(zoom: Any, link: Link | None, shape: tuple[int, int]) -> tuple[Point, Point, Point, Point] | None:
    box = view_box(zoom)
    if box is None:
        return None
    if link is not None:
        points = checked_link(link, shape).polygon(box)
    else:
        x0, x1, y0, y1 = box
        points = np.array([(x0, y0), (x0, y1), (x1, y1), (x1, y0)])
    a, b, c, d = ((float(px), float(py)) for px, py in points)
    return (a, b, c, d)


def _start(at: Any, size: tuple[int, int], corners: tuple[Point, ...] | None) -> Point:
    nx, ny = size
    if at is None:
        return nx / 2, ny / 2
    if isinstance(at, str):
        if at not in ("center", "view"):
            raise InputError(f"at: must be None, 'center', 'view' or (x, y), found {at!r}")
        middle = np.mean(corners, axis=0) if at == "view" and corners is not None else np.array([np.nan])
        # A view that is not on this image's sky is none.
        return (float(middle[0]), float(middle[1])) if np.isfinite(middle).all() else ((nx - 1) / 2, (ny - 1) / 2)
    if np.size(at) != 2:
        raise InputError(f"at: must be None, 'center', 'view' or (x, y), found {at!r}")
    try:
        x, y = (float(value) for value in at)
    except (TypeError, ValueError) as err:
        raise InputError(f"at: must be two numbers, found {at!r}") from err
    if not (math.isfinite(x) and math.isfinite(y)):
        raise InputError(f"at: must be two finite numbers, found {at!r}")
    return x, y


def _offset(ra: float, dec: float, xi: float, eta: float) -> tuple[float, float]:
    """Return the position at an offset in the tangent plane: radians to the east and to the north."""
    sine, cosine = math.sin(math.radians(dec)), math.cos(math.radians(dec))
    down = cosine - eta * sine
    new_ra = ra + math.degrees(math.atan2(xi, down))
    return new_ra % 360.0, math.degrees(math.atan2(sine + eta * cosine, math.hypot(xi, down)))


def _arms(wcs: Any, x: float, y: float, radius: float) -> dict[str, Any]:
    ra, dec = (float(value) for value in to_sky(wcs, x, y))
    known: dict[str, Any] = {"ra": ra, "dec": dec}
    ends = []
    for east, north in ((0.0, _PROBE), (_PROBE, 0.0)):
        px, py = to_pixel(wcs, *_offset(ra, dec, east, north))
        step = math.hypot(float(px) - x, float(py) - y)
        if not step > 0:
            return known
        factor = radius / step
        ends.append([float(value) for value in to_pixel(wcs, *_offset(ra, dec, east * factor, north * factor))])
    (xn, yn), (xe, ye) = ends
    north = math.atan2(xn - x, yn - y)
    across, along = xe - x, ye - y
    turned = across * math.cos(north) - along * math.sin(north), across * math.sin(north) + along * math.cos(north)
    east = math.atan2(*turned)
    flip = east > 0
    north = -north if flip and north != 0 else north
    return known | {
        "xn": xn, "yn": yn, "xe": xe, "ye": ye, "north_angle": math.degrees(north), "east_angle": math.degrees(east), "flip": flip,
    }  # fmt: skip


def _on_sky(wcs: Any, x: float, y: float) -> dict[str, Any]:
    """Return position angle, parity and scales from the local derivatives."""
    (ex, ey), (nx, ny) = local_jacobian(wcs, [x], [y])[0].tolist()
    determinant = float(ex * ny - ey * nx)
    if not math.isfinite(determinant):
        return {}
    return {
        "position_angle": math.degrees(math.atan2(ey, ny)) % 360 % 360,
        "parity": int(np.sign(determinant)),
        "pixel_scale": math.sqrt(abs(determinant)),
        "scale_x": math.hypot(ex, nx),
        "scale_y": math.hypot(ey, ny),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
