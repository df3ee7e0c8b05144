"""Regions of every kind as shapes on the pixels of an image, and shapes as regions again."""

from __future__ import annotations

import operator as op
from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Any, Literal

import numpy as np
import photutils.aperture as ap
import regions as rg
from astropy import units as u
from astropy.coordinates import SkyCoord

from ezarchive.errors import InputError
from ezarchive.quicklook.planes.inputs import picture as as_picture
from ezarchive.quicklook.planes.pictures import Picture
from ezarchive.quicklook.planes.skywcs import checked_wcs
from ezarchive.quicklook.regions.shapebase import number
from ezarchive.quicklook.regions.shapes import (
    Annulus,
    Circle,
    Combined,
    Ellipse,
    Inverted,
    Polygon,
    Raster,
    Rectangle,
    Shape,
    shape_from_dict,
)
from ezarchive.quicklook.regions.skyback import to_sky_shape
from ezarchive.quicklook.regions.skyregions import OPERATORS, sky_shapes
from ezarchive.quicklook.regions.skyshapes import SkyCombined, SkyInverted, SkyOutline, SkyPolygon, SkyShape, project

NO_WCS = "Sky region provided but data has no valid WCS"
NO_MASK = "Mask creation failed"
_SKY_REGIONS = (rg.SkyRegion, ap.SkyAperture)
_SKY_SHAPES = (SkyOutline, SkyPolygon, SkyCombined, SkyInverted)
_SKY_KINDS = {
    "ellipse": (rg.EllipseSkyRegion, rg.EllipseAnnulusSkyRegion),
    "rectangle": (rg.RectangleSkyRegion, rg.RectangleAnnulusSkyRegion),
}
_JOINED = {"and": op.and_, "or": op.or_, "xor": op.xor}


def shape_of(region: Any, picture: Any = None) -> Shape:
    """Return a region as a shape on the pixels of an image.

    Parameters
    ----------
    region : Shape, dict, regions.Region, photutils aperture, or ndarray of bool, shape (ny, nx)
        A dict is one that ``Shape.to_dict`` wrote; a mask has the shape of the image. Regions and apertures on the sky are projected
        with the WCS of the image, with angles of either package as that package means them.
    picture : Picture, or what `ezarchive.quicklook.picture` takes, optional
        The image; needed for the sky only.

    Returns
    -------
    Shape

    Raises
    ------
    InputError
        If it is no region, has no area (points, lines, texts), is on the sky of an image without a WCS or out of its reach, has a size
        that is not above 0, or is a mask of another shape than the image.
    """
    found = shapes_of([region], picture)
    if len(found) != 1:
        raise InputError(f"region: must be one, found an aperture with {len(found)} positions; `shapes_of` takes it")
    return found[0]


def shapes_of(regions: Any, picture: Any = None) -> list[Shape]:
    """Return regions as shapes on the pixels of an image: `shape_of` for many, those on the sky projected together.

    Parameters
    ----------
    regions : iterable of regions, or one
        As `shape_of`; an aperture with n positions makes n shapes.
    picture : optional
        As `shape_of`.

    Raises
    ------
    InputError
        As `shape_of`; the message says which region, counted from 0.
    """
    found = outcomes(regions, picture)
    for k, one in enumerate(found):
        if isinstance(one, InputError):
            raise InputError(f"region{'' if len(found) == 1 else f' {k}'}: {one}") from one
    return found  # type: ignore[return-value]


def outcomes(regions: Any, picture: Any = None) -> list[Shape | InputError]:
    """Return, for each region, its shape or the error that says why there is none; see `shapes_of`."""
    given = [part for region in listed(regions) for part in _single(region)]
    picture = None if picture is None else as_picture(picture, "image")
    found: list[Any] = [None] * len(given)
    on_sky: list[tuple[int, SkyShape]] = []
    for k, region in enumerate(given):
        try:
            made = _shape(region, picture)
        except InputError as err:
            made = err
        if isinstance(made, _SKY_SHAPES):
            on_sky.append((k, made))
        found[k] = made
    regions_left = [k for k, region in enumerate(given) if found[k] is None]
    on_sky += _drafted(given, regions_left, found)
    for k, made in _projected(on_sky, picture):
        found[k] = made
    return found


def listed(regions: Any) -> list[Any]:
    """Return regions as a list: one, or what an iterable of them holds."""
    if isinstance(regions, rg.Regions):
        return list(regions)  # it can be run through, but has no __iter__
    if isinstance(regions, (Shape, rg.Region, ap.Aperture, np.ndarray, dict, *_SKY_SHAPES)) or not isinstance(regions, Iterable):
        return [regions]
    return list(regions)


def from_box(kind: Literal["circle", "ellipse", "rectangle"], x0: float, y0: float, x1: float, y1: float) -> Circle | Ellipse | Rectangle:
    """Return the shape that was drawn between two corners of a box, in any order.

    Parameters
    ----------
    kind : {'circle', 'ellipse', 'rectangle'}
    x0, y0, x1, y1 : float
        Pixels. A circle has the mean of the half sides as its radius, which for a square is its half side.

    Raises
    ------
    InputError
        If `kind` is another, or the box has no area.
    """
    x0, y0, x1, y1 = (number(value, name) for value, name in ((x0, "x0"), (y0, "y0"), (x1, "x1"), (y1, "y1")))
    x, y, width, height = (x0 + x1) / 2.0, (y0 + y1) / 2.0, abs(x1 - x0), abs(y1 - y0)
    if not (width > 0 and height > 0):
        raise InputError(f"box: must have an area, found {width:g} x {height:g} pixels")
    if kind == "circle":
        return Circle(x, y, (width + height) / 4.0)
    if kind == "ellipse":
        return Ellipse(x, y, width / 2.0, height / 2.0)
    if kind == "rectangle":
        return Rectangle(x, y, width, height)
    raise InputError(f"kind={kind!r}: must be circle, ellipse or rectangle")


def to_region(shape: Shape, wcs: Any = None) -> rg.Region:
    """Return a shape as a region of the package ``regions``.

    Parameters
    ----------
    shape : Shape
    wcs : WCS, optional
        If given, the region is on the sky.

    Raises
    ------
    InputError
        If the package has none for it: the outside of a shape, or a mask; or `wcs` is none.

    Notes
    -----
    On the sky it is the image of the shape by the derivatives of the WCS at its centre: an ellipse of a circle where pixels are oblong.
    """
    if not isinstance(shape, Shape):
        raise InputError(f"shape: must be a shape, found {type(shape).__name__}")
    region = _region(shape)
    return region if wcs is None else sky_region(to_sky_shape(shape, checked_wcs(wcs)))


def sky_region(shape: SkyShape) -> rg.SkyRegion:
    """Return a shape of the sky as a region of the package ``regions``, ICRS.

    Raises
    ------
    InputError
        If it is the outside of a shape.
    """
    if isinstance(shape, SkyInverted):
        raise InputError("shape: there is no region for the outside of a shape")
    if isinstance(shape, SkyCombined):
        joined = _JOINED[shape.operator]
        return reduce(lambda one, other: rg.CompoundSkyRegion(one, other, joined), map(sky_region, shape.parts))
    if isinstance(shape, SkyPolygon):
        return rg.PolygonSkyRegion(SkyCoord(*np.array(shape.vertices, float).T, unit="deg"))
    center, angle = SkyCoord(shape.ra, shape.dec, unit="deg"), ((shape.pa + 90.0) % 360.0) * u.deg
    full = (2.0 if shape.kind == "ellipse" else 1.0) * u.arcsec
    outer = [length * full for length in shape.lengths]
    inner = [length * full for length in shape.inner or ()]
    if shape.kind == "circle":
        return rg.CircleAnnulusSkyRegion(center, *inner, *outer) if inner else rg.CircleSkyRegion(center, *outer)
    simple, ring = _SKY_KINDS[shape.kind]
    return ring(center, inner[0], outer[0], inner[1], outer[1], angle) if inner else simple(center, *outer, angle)


def on_sky(region: Any) -> SkyShape | None:
    """Return what a region is on the sky, None for one of pixels."""
    if isinstance(region, _SKY_SHAPES):
        return region
    if isinstance(region, _SKY_REGIONS):
        return sky_shapes([region])[0]
    return None


def _single(region: Any) -> Sequence[Any]:
    if isinstance(region, ap.Aperture) and not region.isscalar:
        return [region[k] for k in range(len(region))]
    return [region]


def _drafted(given: Sequence[Any], indices: Sequence[int], found: list[Any]) -> list[tuple[int, SkyShape]]:
    """Turn the sky regions at these indices into sky shapes; one by one if one of them is none, to say which."""
    try:
        return list(zip(indices, sky_shapes([given[k] for k in indices]), strict=True))
    except InputError:
        made = []
        for k in indices:
            try:
                made.append((k, sky_shapes([given[k]])[0]))
            except InputError as err:
                found[k] = err
        return made


def _projected(items: Sequence[tuple[int, SkyShape]], picture: Picture | None) -> Iterable[tuple[int, Shape | InputError]]:
    if not items:
        return []
    wcs = None if picture is None else picture.wcs
    if wcs is None:
        return [(k, InputError(NO_WCS)) for k, _ in items]
    try:
        return list(zip([k for k, _ in items], project([one for _, one in items], wcs), strict=True))
    except InputError as err:
        return [(k, err) for k, _ in items]


def _shape(region: Any, picture: Picture | None) -> Shape | SkyShape | None:
    """Return a shape, or a sky shape as it is, or None for a sky region of another package."""
    if isinstance(region, (Shape, *_SKY_SHAPES)):
        return region
    if isinstance(region, dict):
        return shape_from_dict(region)
    if isinstance(region, _SKY_REGIONS):
        return None
    if isinstance(region, rg.PixelRegion):
        return _from_region(region)
    if isinstance(region, ap.PixelAperture):
        return _from_aperture(region)
    if isinstance(region, np.ndarray) and region.dtype == np.bool_:
        if picture is not None and region.shape != picture.shape:
            raise InputError(f"{NO_MASK}: a mask must have the shape of the image, {picture.shape}, found {region.shape}")
        return Raster(region).trimmed()
    raise InputError(f"{NO_MASK}: must be a region, an aperture, a shape or a mask of bool, found {type(region).__name__}")


def _from_region(region: rg.PixelRegion) -> Shape:
    if isinstance(region, rg.CompoundPixelRegion):
        if region.operator not in OPERATORS:
            raise InputError(f"must be combined by and, or, xor, found {getattr(region.operator, '__name__', region.operator)}")
        return Combined(OPERATORS[region.operator], (_from_region(region.region1), _from_region(region.region2)))  # type: ignore[arg-type]
    if isinstance(region, rg.PolygonPixelRegion):
        return Polygon(tuple(zip(*(np.asarray(axis).tolist() for axis in region.vertices.xy), strict=True)))
    if not hasattr(region, "center") or isinstance(region, (rg.PointPixelRegion, rg.TextPixelRegion)):
        raise InputError(f"not implemented: {type(region).__name__} has no area")
    x, y = (float(axis) for axis in region.center.xy)
    theta = float(region.angle.to_value(u.deg)) if hasattr(region, "angle") else 0.0
    if isinstance(region, rg.CirclePixelRegion):
        return Circle(x, y, region.radius)
    if isinstance(region, rg.EllipsePixelRegion):
        return Ellipse(x, y, region.width / 2.0, region.height / 2.0, theta)
    if isinstance(region, rg.RectanglePixelRegion):
        return Rectangle(x, y, region.width, region.height, theta)
    if isinstance(region, rg.CircleAnnulusPixelRegion):
        return Annulus(Circle(x, y, region.inner_radius), Circle(x, y, region.outer_radius))
    inner, outer = (region.inner_width, region.inner_height), (region.outer_width, region.outer_height)
    if isinstance(region, rg.EllipseAnnulusPixelRegion):
        return Annulus(Ellipse(x, y, inner[0] / 2.0, inner[1] / 2.0, theta), Ellipse(x, y, outer[0] / 2.0, outer[1] / 2.0, theta))
    return Annulus(Rectangle(x, y, *inner, theta), Rectangle(x, y, *outer, theta))


def _from_aperture(aperture: ap.PixelAperture) -> Shape:
    x, y = (float(one) for one in aperture.positions)
    theta = float(u.Quantity(aperture.theta, u.rad).to_value(u.deg)) if hasattr(aperture, "theta") else 0.0
    if isinstance(aperture, ap.CircularAperture):
        return Circle(x, y, aperture.r)
    if isinstance(aperture, ap.EllipticalAperture):
        return Ellipse(x, y, aperture.a, aperture.b, theta)
    if isinstance(aperture, ap.RectangularAperture):
        return Rectangle(x, y, aperture.w, aperture.h, theta)
    if isinstance(aperture, ap.CircularAnnulus):
        return Annulus(Circle(x, y, aperture.r_in), Circle(x, y, aperture.r_out))
    if isinstance(aperture, ap.EllipticalAnnulus):
        return Annulus(Ellipse(x, y, aperture.a_in, aperture.b_in, theta), Ellipse(x, y, aperture.a_out, aperture.b_out, theta))
    if isinstance(aperture, ap.RectangularAnnulus):
        return Annulus(Rectangle(x, y, aperture.w_in, aperture.h_in, theta), Rectangle(x, y, aperture.w_out, aperture.h_out, theta))
    raise InputError(f"not implemented: {type(aperture).__name__}")


def _region(shape: Shape) -> rg.PixelRegion:
    center = rg.PixCoord(*shape.center)
    if isinstance(shape, Circle):
        return rg.CirclePixelRegion(center, shape.radius)
    if isinstance(shape, Ellipse):
        return rg.EllipsePixelRegion(center, 2.0 * shape.a, 2.0 * shape.b, shape.theta * u.deg)
    if isinstance(shape, Rectangle):
        return rg.RectanglePixelRegion(center, shape.width, shape.height, shape.theta * u.deg)
    if isinstance(shape, Annulus):
        return _ring(shape, center)
    if isinstance(shape, Polygon):
        return rg.PolygonPixelRegion(rg.PixCoord(*shape.corners.T.copy()))
    if isinstance(shape, Combined):
        first, *others = (_region(part) for part in shape.parts)
        for other in others:
            first = rg.CompoundPixelRegion(first, other, _JOINED[shape.operator])
        return first
    raise InputError(f"shape: there is no region for {'the outside of a shape' if isinstance(shape, Inverted) else 'a mask of pixels'}")


def _ring(shape: Annulus, center: rg.PixCoord) -> rg.PixelRegion:
    inner, outer = shape.inner, shape.outer
    if isinstance(inner, Circle) and isinstance(outer, Circle):
        return rg.CircleAnnulusPixelRegion(center, inner.radius, outer.radius)
    if isinstance(inner, Ellipse) and isinstance(outer, Ellipse):
        return rg.EllipseAnnulusPixelRegion(center, 2 * inner.a, 2 * outer.a, 2 * inner.b, 2 * outer.b, outer.theta * u.deg)
    return rg.RectangleAnnulusPixelRegion(center, inner.width, outer.width, inner.height, outer.height, outer.theta * u.deg)  # type: ignore[union-attr]
