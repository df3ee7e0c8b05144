"""From shapes on pixels to shapes on the sky, and from one image to another."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ezarchive.errors import InputError
from ezarchive.quicklook.planes.pictures import Picture
from ezarchive.quicklook.planes.skywcs import to_pixel, to_sky
from ezarchive.quicklook.regions.shapes import Annulus, Circle, Combined, Ellipse, Inverted, Polygon, Raster, Rectangle, Shape
from ezarchive.quicklook.regions.skyshapes import ROUND, SkyCombined, SkyInverted, SkyOutline, SkyPolygon, SkyShape, local_jacobian, project

Floats = NDArray[np.float64]


def to_sky_shape(shape: Shape, wcs: Any) -> SkyShape:
    """Return a shape on the pixels of an image as one on the sky: the inverse of `project`.

    Parameters
    ----------
    shape : Shape
    wcs : WCS or object of the common interface

    Raises
    ------
    InputError
        If the WCS has no sky there, or the shape is a mask, which has no outline.
    """
    if isinstance(shape, Inverted):
        return SkyInverted(to_sky_shape(shape.part, wcs))
    if isinstance(shape, Combined):
        return SkyCombined(shape.operator, tuple(to_sky_shape(part, wcs) for part in shape.parts))
    if isinstance(shape, Raster):
        raise InputError("shape: a mask of pixels has no outline on the sky")
    if isinstance(shape, Polygon):
        return _polygon(shape.corners, wcs)
    if isinstance(shape, Annulus):
        outer, inner = to_sky_shape(shape.outer, wcs), to_sky_shape(shape.inner, wcs)
        if isinstance(outer, SkyOutline) and isinstance(inner, SkyOutline) and _one_angle(outer, inner):
            return SkyOutline(outer.kind, outer.ra, outer.dec, outer.lengths, outer.pa, inner.lengths)
        return SkyCombined("xor", (outer, inner))
    return _outline(shape, wcs)


def on_other(shape: Shape, parent: Picture, picture: Picture) -> Shape:
    """Return a shape on the pixels of one image as a shape on those of another, by way of the sky.

    A mask becomes that of the pixels whose centres lie in its pixels.

    Raises
    ------
    InputError
        If one of the images has no WCS, or the shape is out of its reach, or a mask has no pixel left.
    """
    for one in (parent, picture):
        if one.wcs is None:
            raise InputError(f"{one.label}: must have a WCS to bring a region from one image to another")
    if isinstance(shape, Raster):
        return _resampled(shape, parent, picture)
    (found,) = project([to_sky_shape(shape, parent.wcs)], picture.wcs)
    if isinstance(found, InputError):
        raise found
    return found


def _outline(shape: Shape, wcs: Any) -> SkyShape:
    x, y = shape.center
    ra, dec = (float(one) for one in to_sky(wcs, x, y))
    local = local_jacobian(wcs, np.array([x]), np.array([y]))[0]
    if not (math.isfinite(ra) and np.all(np.isfinite(local))):
        raise InputError(f"shape: the WCS must have a sky at its centre ({x:g}, {y:g})")
    if isinstance(shape, Circle):
        long, short = np.linalg.svd(local, compute_uv=False)
        if long / short - 1.0 <= ROUND:
            return SkyOutline("circle", ra, dec, (shape.radius * float(np.sqrt(long * short)),))
        return _ellipse(ra, dec, local * shape.radius)
    if isinstance(shape, Ellipse):
        return _ellipse(ra, dec, local @ _axes(shape.theta, shape.a, shape.b))
    if isinstance(shape, Rectangle):
        axes = local @ _axes(shape.theta, shape.width, shape.height)
        width, height = np.sqrt((axes**2).sum(axis=0))
        if abs(axes[:, 0] @ axes[:, 1]) > ROUND * width * height:
            return _polygon(np.array(shape.corners), wcs)
        keep = math.sqrt(abs(float(np.linalg.det(axes))) / (width * height))
        sign = math.copysign(1.0, float(np.linalg.det(axes)))
        along = axes[:, 0] / width + sign * np.array([axes[1, 1], -axes[0, 1]]) / height
        return SkyOutline("rectangle", ra, dec, (float(width * keep), float(height * keep)), _pa(along))
    raise InputError(f"shape: {type(shape).__name__} has no form on the sky")


def _axes(theta: float, first: float, second: float) -> Floats:
    sin, cos = math.sin(math.radians(theta)), math.cos(math.radians(theta))
    return np.array([[first * cos, -second * sin], [first * sin, second * cos]])


def _ellipse(ra: float, dec: float, axes: Floats) -> SkyOutline:
    vectors, values, _ = np.linalg.svd(axes)
    first = int(abs(vectors[:, 1] @ axes[:, 0]) > abs(vectors[:, 0] @ axes[:, 0]))
    along = vectors[:, first] * np.sign(vectors[:, first] @ axes[:, 0])
    return SkyOutline("ellipse", ra, dec, (float(values[first]), float(values[1 - first])), _pa(along))


def _pa(along: Floats) -> float:
    """Return the position angle of a vector (east, north)."""
    return float(np.degrees(np.arctan2(along[0], along[1])) % 360.0)


def _one_angle(one: SkyOutline, other: SkyOutline) -> bool:
    return one.kind == other.kind and abs((one.pa - other.pa + 90.0) % 180.0 - 90.0) < 0.1


def _polygon(corners: Floats, wcs: Any) -> SkyPolygon:
    ra, dec = to_sky(wcs, corners[:, 0], corners[:, 1])
    if not (np.all(np.isfinite(ra)) and np.all(np.isfinite(dec))):
        raise InputError("shape: the WCS must have a sky at all its corners")
    return SkyPolygon(tuple(zip(ra.tolist(), dec.tolist(), strict=True)))


def _resampled(shape: Raster, parent: Picture, picture: Picture) -> Raster:
    x0, x1, y0, y1 = shape.bounds
    t = np.linspace(0.0, 1.0, 17)
    edge_x = np.concatenate([x0 + (x1 - x0) * t, np.full(17, x1), x1 + (x0 - x1) * t, np.full(17, x0)])
    edge_y = np.concatenate([np.full(17, y0), y0 + (y1 - y0) * t, np.full(17, y1), y1 + (y0 - y1) * t])
    px, py = to_pixel(picture.wcs, *to_sky(parent.wcs, edge_x, edge_y))
    ny, nx = picture.shape
    if not (np.all(np.isfinite(px)) and np.all(np.isfinite(py))):
        raise InputError(f"mask: must be within the reach of the WCS of {picture.label}")
    left, right = max(0, math.floor(px.min()) - 1), min(nx, math.ceil(px.max()) + 2)
    bottom, top = max(0, math.floor(py.min()) - 1), min(ny, math.ceil(py.max()) + 2)
    if left >= right or bottom >= top:
        raise InputError(f"mask: must have a pixel on {picture.label}, found none")
    rows, columns = np.mgrid[bottom:top, left:right]
    found = shape.contains(*to_pixel(parent.wcs, *to_sky(picture.wcs, columns, rows)))
    if not found.any():
        raise InputError(f"mask: must have a pixel on {picture.label}, found none")
    return Raster(found, left, bottom).trimmed()
