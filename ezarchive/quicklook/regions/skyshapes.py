"""Shapes on the sky, and what they are on the pixels of an image: many at once, through the local Jacobian of its WCS.

Positions are ICRS degrees, lengths arcsec, position angles degrees east of ICRS north.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from astropy.wcs import WCS
from numpy.typing import ArrayLike, NDArray

from ezarchive import sky
from ezarchive.errors import InputError
from ezarchive.quicklook.planes.skywcs import to_pixel, to_sky
from ezarchive.quicklook.regions.shapes import Annulus, Circle, Combined, Ellipse, Inverted, Polygon, Rectangle, Shape

Floats = NDArray[np.float64]

ROUND = 0.01
"""How far from a circle the image of a circle may be (ratio of the axes less 1), and from a right angle that of a right angle (its cosine),
to be taken for one; its area is right either way."""
_ANGLES = 0.1
"""Degrees between the axes of the two ellipses or rectangles of an annulus up to which they are one."""
_ARCSEC = 206264.80624709636


@dataclass(frozen=True)
class SkyOutline:
    """A circle, an ellipse or a rectangle on the sky, or the annulus between two.

    Attributes
    ----------
    kind : {'circle', 'ellipse', 'rectangle'}
    ra, dec : float
    lengths : tuple of float
        The radius; the semi-axes; the full width and height.
    pa : float
        Of the first length.
    inner : tuple of float or None
        The lengths of what is left out in the middle.
    """

    kind: Literal["circle", "ellipse", "rectangle"]
    ra: float
    dec: float
    lengths: tuple[float, ...]
    pa: float = 0.0
    inner: tuple[float, ...] | None = None


@dataclass(frozen=True)
class SkyPolygon:
    """A polygon of positions (ra, dec), three or more; its sides are straight on the pixels."""

    vertices: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        if len(self.vertices) < 3:
            raise InputError(f"vertices: must be three positions or more, found {len(self.vertices)}")


@dataclass(frozen=True)
class SkyCombined:
    """Several shapes of the sky as one; see `ezarchive.quicklook.regions.shapes.Combined`."""

    operator: Literal["and", "or", "xor"]
    parts: tuple[SkyShape, ...]


@dataclass(frozen=True)
class SkyInverted:
    """Everything outside a shape of the sky."""

    part: SkyShape


SkyShape = SkyOutline | SkyPolygon | SkyCombined | SkyInverted


def project(shapes: Sequence[SkyShape], wcs: Any) -> list[Shape | InputError]:
    """Return shapes of the sky as shapes of pixels.

    Parameters
    ----------
    shapes : sequence of SkyShape
    wcs : WCS or object of the common interface

    Returns
    -------
    list of Shape or InputError
        One each; an error for a shape that is not on the projection, or that is none on the pixels.

    Notes
    -----
    With ``J`` the derivative of (east, north) by (x, y) at the centre, a vector ``u`` of the sky is ``J^-1 u`` on the pixels. The image of
    an ellipse is the ellipse with the singular vectors of ``J^-1`` times its axes. That of a circle is a circle of the same area where
    the ratio of its axes is within 1 per cent of 1, else an ellipse; that of a rectangle is a rectangle of the same area where its angles
    are right to 0.6 degrees, else a parallelogram, as a polygon.
    """
    outlines = [leaf for shape in shapes for leaf in leaves(shape) if isinstance(leaf, SkyOutline)]
    polygons = [leaf for shape in shapes for leaf in leaves(shape) if isinstance(leaf, SkyPolygon)]
    made = iter(_outlines(outlines, wcs))
    many = iter(_polygons(polygons, wcs))
    return [_assembled(shape, made, many) for shape in shapes]


def leaves(shape: SkyShape) -> Iterator[SkyOutline | SkyPolygon]:
    """Yield the simple shapes that one is made of, in order."""
    if isinstance(shape, SkyCombined):
        for part in shape.parts:
            yield from leaves(part)
    elif isinstance(shape, SkyInverted):
        yield from leaves(shape.part)
    else:
        yield shape


def sky_values(shape: SkyOutline | SkyPolygon) -> dict[str, Any]:
    """Return the kind and the numbers of a simple shape by name: degrees, arcsec; an annulus has ``inner_`` and ``outer_`` lengths."""
    if isinstance(shape, SkyPolygon):
        return {"kind": "polygon", "vertices": [list(one) for one in shape.vertices]}
    names = {"circle": ("radius",), "ellipse": ("a", "b"), "rectangle": ("width", "height")}[shape.kind]
    angle = {} if shape.kind == "circle" else {"pa": shape.pa % 360.0}
    place = {"kind": shape.kind, "ra": shape.ra, "dec": shape.dec}
    if shape.inner is None:
        return place | dict(zip(names, shape.lengths, strict=True)) | angle
    inner = {f"inner_{name}": value for name, value in zip(names, shape.inner, strict=True)}
    outer = {f"outer_{name}": value for name, value in zip(names, shape.lengths, strict=True)}
    return place | {"kind": "annulus"} | inner | outer | angle


def local_jacobian(wcs: Any, x: ArrayLike, y: ArrayLike) -> Floats:
    """Return d(east, north) / d(x, y) in arcsec per pixel, of any WCS.

    Parameters
    ----------
    wcs : WCS or object of the common interface
    x, y : array_like, shape (n,)
        0-based pixels.

    Returns
    -------
    ndarray, shape (n, 2, 2)
        NaN where a pixel is, or the WCS has no sky.
    """
    x, y = (np.asarray(one, float) for one in np.broadcast_arrays(x, y))
    found = np.full((*x.shape, 2, 2), np.nan)
    known = np.isfinite(x) & np.isfinite(y)
    if known.any():
        found[known] = sky.jacobian(wcs, x[known], y[known]) if isinstance(wcs, WCS) else _differences(wcs, x[known], y[known])
    return found


def _det(matrices: Floats) -> Floats:
    with np.errstate(invalid="ignore"):
        return matrices[..., 0, 0] * matrices[..., 1, 1] - matrices[..., 0, 1] * matrices[..., 1, 0]


def _differences(wcs: Any, x: Floats, y: Floats) -> Floats:
    """Central differences over one pixel, as `sky.jacobian` has them; one-sided ones where one side is beyond a bounding box."""
    ra, dec = to_sky(wcs, np.stack([x + 0.5, x - 0.5, x, x, x]), np.stack([y, y, y + 0.5, y - 0.5, y]))
    points = sky.unit_vectors(ra, dec)
    beyond = ~np.isfinite(points).all(axis=-1)
    points = np.where(beyond[..., None], points[4], points)
    steps = np.where(beyond[:4], 0.0, 0.5)
    with np.errstate(divide="ignore", invalid="ignore"):
        spans = ((points[k] - points[k + 1]) / (steps[k] + steps[k + 1])[:, None] for k in (0, 2))
        along = np.stack(list(spans), axis=-1) * _ARCSEC
    middle = points[:4].sum(axis=0)
    middle /= np.sqrt((middle**2).sum(-1))[:, None]
    longitude = np.arctan2(middle[:, 1], middle[:, 0])
    east = np.stack([-np.sin(longitude), np.cos(longitude), np.zeros_like(longitude)], axis=-1)
    return np.stack([east, np.cross(middle, east)], axis=1) @ along


def _positions(wcs: Any, ra: Floats, dec: Floats) -> tuple[Floats, Floats]:
    """Return pixels; NaN where the WCS does not lead back to the position, as beyond the horizon of a projection."""
    x, y = to_pixel(wcs, ra, dec)
    back = sky.unit_vectors(*to_sky(wcs, x, y))
    off = np.sqrt(((back - sky.unit_vectors(ra, dec)) ** 2).sum(-1)) * _ARCSEC
    with np.errstate(invalid="ignore"):
        scale = np.sqrt(np.abs(_det(local_jacobian(wcs, x, y))))
        good = off < 0.05 * scale
    return np.where(good, x, np.nan), np.where(good, y, np.nan)


def _outlines(shapes: Sequence[SkyOutline], wcs: Any) -> list[Shape | InputError]:
    if not shapes:
        return []
    ra, dec, pa = (np.array([getattr(one, name) for one in shapes], float) for name in ("ra", "dec", "pa"))
    x, y = _positions(wcs, ra, dec)
    inverse = np.full((len(shapes), 2, 2), np.nan)
    local = local_jacobian(wcs, x, y)
    good = np.abs(np.nan_to_num(_det(local))) > 0
    inverse[good] = np.linalg.inv(local[good])
    sin, cos = np.sin(np.radians(pa)), np.cos(np.radians(pa))
    # Columns: the unit vectors along the first length (at the position angle) and the second (90 degrees further), on the pixels.
    axes = inverse @ np.stack([np.stack([sin, cos], axis=-1), np.stack([cos, -sin], axis=-1)], axis=-1)
    return [_placed(one, float(x[k]), float(y[k]), axes[k]) if good[k] else _off(one.ra, one.dec) for k, one in enumerate(shapes)]


def _placed(outline: SkyOutline, x: float, y: float, axes: Floats) -> Shape | InputError:
    try:
        outer = _simple(outline.kind, x, y, outline.lengths, axes)
        if outline.inner is None:
            return outer
        inner = _simple(outline.kind, x, y, outline.inner, axes)
        if type(inner) is type(outer) and isinstance(inner, (Ellipse, Rectangle)) and _turned(inner, outer) < _ANGLES:
            inner = replace(inner, theta=outer.theta)
        if isinstance(inner, Polygon) or getattr(inner, "theta", 0.0) != getattr(outer, "theta", 0.0):
            return Combined("xor", (outer, inner))
        return Annulus(inner, outer)  # type: ignore[arg-type]
    except InputError as err:
        return err


def _simple(kind: str, x: float, y: float, lengths: tuple[float, ...], axes: Floats) -> Shape:
    if kind == "circle":
        long, short = np.linalg.svd(axes, compute_uv=False)
        if long / short - 1.0 <= ROUND:
            return Circle(x, y, lengths[0] * float(np.sqrt(long * short)))
        lengths, kind = (lengths[0], lengths[0]), "ellipse"
    if kind == "ellipse":
        return _ellipse(x, y, axes * lengths)
    return _rectangle(x, y, axes * lengths)


def _ellipse(x: float, y: float, axes: Floats) -> Ellipse:
    """Return the image of a unit circle; `a` is the axis next to the first column."""
    vectors, values, _ = np.linalg.svd(axes)
    first = int(abs(vectors[:, 1] @ axes[:, 0]) > abs(vectors[:, 0] @ axes[:, 0]))
    along = vectors[:, first] * np.sign(vectors[:, first] @ axes[:, 0])
    return Ellipse(x, y, float(values[first]), float(values[1 - first]), float(np.degrees(np.arctan2(along[1], along[0])) % 360.0))


def _rectangle(x: float, y: float, axes: Floats) -> Shape:
    width, height = np.sqrt((axes**2).sum(axis=0))
    area = abs(axes[0, 0] * axes[1, 1] - axes[0, 1] * axes[1, 0])
    if abs(axes[:, 0] @ axes[:, 1]) > ROUND * width * height:
        half = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
        return Polygon((half @ axes.T + (x, y)).tolist())
    # The direction between that of the first side and that of the second turned back by a right angle.
    sign = np.sign(axes[0, 0] * axes[1, 1] - axes[0, 1] * axes[1, 0])
    along = axes[:, 0] / width + sign * np.array([axes[1, 1], -axes[0, 1]]) / height
    keep = np.sqrt(area / (width * height))
    return Rectangle(x, y, float(width * keep), float(height * keep), float(np.degrees(np.arctan2(along[1], along[0])) % 360.0))


def _turned(one: Ellipse | Rectangle, other: Any) -> float:
    return abs((one.theta - other.theta + 90.0) % 180.0 - 90.0)


def _polygons(shapes: Sequence[SkyPolygon], wcs: Any) -> list[Shape | InputError]:
    if not shapes:
        return []
    places = np.concatenate([np.array(one.vertices, float).reshape(-1, 2) for one in shapes])
    corners = np.stack(_positions(wcs, places[:, 0], places[:, 1]), axis=1)
    ends = np.cumsum([len(one.vertices) for one in shapes])
    return [_polygon(part, one) for part, one in zip(np.split(corners, ends[:-1]), shapes, strict=True)]


def _polygon(corners: Floats, shape: SkyPolygon) -> Shape | InputError:
    lost = ~np.isfinite(corners).all(axis=1)
    if lost.any():
        return _off(*shape.vertices[int(np.argmax(lost))])
    try:
        return Polygon(corners.tolist())
    except InputError as err:
        return err


def _off(ra: float, dec: float) -> InputError:
    return InputError(f"({ra:.6f}, {dec:.6f}) deg is not on the projection of the image: its WCS does not reach so far")


def _assembled(shape: SkyShape, outlines: Iterator[Shape | InputError], polygons: Iterator[Shape | InputError]) -> Shape | InputError:
    if isinstance(shape, SkyOutline):
        return next(outlines)
    if isinstance(shape, SkyPolygon):
        return next(polygons)
    if isinstance(shape, SkyInverted):
        part = _assembled(shape.part, outlines, polygons)
        return part if isinstance(part, InputError) else Inverted(part)
    parts = [_assembled(part, outlines, polygons) for part in shape.parts]
    wrong = next((part for part in parts if isinstance(part, InputError)), None)
    return Combined(shape.operator, tuple(parts)) if wrong is None else wrong  # type: ignore[arg-type]
