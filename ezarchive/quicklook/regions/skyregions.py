"""Sky regions of the package ``regions`` and sky apertures of photutils as `SkyShape`, positions of all at once.

The two count angles differently: `regions` from the longitude axis (west), anti-clockwise as seen on the sky, photutils from north through
east; a position angle is that of `regions` less 90 degrees. Both are of the frame that the centre is in, and are brought to ICRS here.
"""

from __future__ import annotations

import operator as op
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import photutils.aperture as ap
import regions as rg
from astropy import units as u
from astropy.coordinates import ICRS, SkyCoord, UnitSphericalRepresentation

from ezarchive.errors import InputError
from ezarchive.quicklook.regions.skyshapes import SkyCombined, SkyOutline, SkyPolygon, SkyShape

OPERATORS = {op.and_: "and", op.or_: "or", op.xor: "xor", np.logical_and: "and", np.logical_or: "or", np.logical_xor: "xor"}
SkyKind = rg.SkyRegion | ap.SkyAperture


@dataclass
class _Leaf:
    """A simple shape before its position is known in ICRS."""

    coord: SkyCoord
    make: Callable[[np.ndarray, np.ndarray, float], SkyShape]
    directed: bool = False
    ra: np.ndarray = field(default_factory=lambda: np.zeros(0))
    dec: np.ndarray = field(default_factory=lambda: np.zeros(0))
    north: float = 0.0

    def made(self) -> SkyShape:
        return self.make(self.ra, self.dec, self.north)


def sky_shapes(regions: Sequence[SkyKind]) -> list[SkyShape]:
    """Return sky regions and sky apertures as `SkyShape`.

    Parameters
    ----------
    regions : sequence of regions.SkyRegion or photutils.aperture.SkyAperture
        An aperture has one position.

    Raises
    ------
    InputError
        If one is a point, a line or a text, or combined by something else than and, or, xor.
    """
    trees = [_draft(one) for one in regions]
    _locate([leaf for tree in trees for leaf in _flat(tree)])
    return [_made(tree) for tree in trees]


def _draft(region: SkyKind) -> Any:
    """Return a leaf, or (operator, left, right)."""
    if isinstance(region, rg.CompoundSkyRegion):
        return _operator(region.operator), _draft(region.region1), _draft(region.region2)
    if isinstance(region, rg.PolygonSkyRegion):
        return _Leaf(region.vertices, lambda ra, dec, _: SkyPolygon(tuple(zip(ra.tolist(), dec.tolist(), strict=True))))
    kind, center, lengths, inner, pa = _numbers(region)
    outer = tuple(float(one.to_value(u.arcsec)) for one in lengths)
    left_out = None if inner is None else tuple(float(one.to_value(u.arcsec)) for one in inner)
    return _Leaf(
        center,
        lambda ra, dec, north: SkyOutline(kind, float(ra[0]), float(dec[0]), outer, pa + north, left_out),  # type: ignore[arg-type]
        directed=kind != "circle",
    )


def _operator(operator: Any) -> str:
    if operator not in OPERATORS:
        raise InputError(f"must be combined by and, or, xor, found {getattr(operator, '__name__', operator)}")
    return OPERATORS[operator]


def _numbers(region: SkyKind) -> tuple[str, SkyCoord, tuple[u.Quantity, ...], tuple[u.Quantity, ...] | None, float]:
    """Return kind, centre, lengths, inner lengths and position angle (of the frame of the centre)."""
    if isinstance(region, ap.SkyAperture):
        return _aperture_numbers(region)
    center = getattr(region, "center", None)
    if isinstance(region, rg.CircleSkyRegion):
        return "circle", center, (region.radius,), None, 0.0
    if isinstance(region, rg.CircleAnnulusSkyRegion):
        return "circle", center, (region.outer_radius,), (region.inner_radius,), 0.0
    pa = float(region.angle.to_value(u.deg)) - 90.0 if hasattr(region, "angle") else 0.0
    if isinstance(region, rg.EllipseSkyRegion):
        return "ellipse", center, (region.width / 2, region.height / 2), None, pa
    if isinstance(region, rg.RectangleSkyRegion):
        return "rectangle", center, (region.width, region.height), None, pa
    if isinstance(region, rg.EllipseAnnulusSkyRegion):
        return "ellipse", center, (region.outer_width / 2, region.outer_height / 2), (region.inner_width / 2, region.inner_height / 2), pa
    if isinstance(region, rg.RectangleAnnulusSkyRegion):
        return "rectangle", center, (region.outer_width, region.outer_height), (region.inner_width, region.inner_height), pa
    raise InputError(f"not implemented: {type(region).__name__} has no area")


def _aperture_numbers(aperture: ap.SkyAperture) -> tuple[str, SkyCoord, tuple[u.Quantity, ...], tuple[u.Quantity, ...] | None, float]:
    center = aperture.positions
    pa = float(aperture.theta.to_value(u.deg)) if hasattr(aperture, "theta") else 0.0
    if isinstance(aperture, ap.SkyCircularAperture):
        return "circle", center, (aperture.r,), None, 0.0
    if isinstance(aperture, ap.SkyCircularAnnulus):
        return "circle", center, (aperture.r_out,), (aperture.r_in,), 0.0
    if isinstance(aperture, ap.SkyEllipticalAperture):
        return "ellipse", center, (aperture.a, aperture.b), None, pa
    if isinstance(aperture, ap.SkyRectangularAperture):
        return "rectangle", center, (aperture.w, aperture.h), None, pa
    if isinstance(aperture, ap.SkyEllipticalAnnulus):
        return "ellipse", center, (aperture.a_out, aperture.b_out), (aperture.a_in, aperture.b_in), pa
    if isinstance(aperture, ap.SkyRectangularAnnulus):
        return "rectangle", center, (aperture.w_out, aperture.h_out), (aperture.w_in, aperture.h_in), pa
    raise InputError(f"not implemented: {type(aperture).__name__}")


def _flat(tree: Any) -> Iterator[_Leaf]:
    if isinstance(tree, _Leaf):
        yield tree
    else:
        yield from _flat(tree[1])
        yield from _flat(tree[2])


def _made(tree: Any) -> SkyShape:
    if isinstance(tree, _Leaf):
        return tree.made()
    return SkyCombined(tree[0], (_made(tree[1]), _made(tree[2])))


def _locate(leaves: Sequence[_Leaf]) -> None:
    """Fill in the ICRS positions, one transformation a frame."""
    groups: list[tuple[Any, list[_Leaf]]] = []
    for leaf in leaves:
        frame = leaf.coord.frame
        for known, members in groups:
            if type(known) is type(frame) and known.is_equivalent_frame(frame):
                members.append(leaf)
                break
        else:
            groups.append((frame.replicate_without_data(), [leaf]))
    for frame, members in groups:
        _locate_in(frame, members)


def _locate_in(frame: Any, leaves: Sequence[_Leaf]) -> None:
    spherical = [_angles(leaf.coord) for leaf in leaves]
    lon = np.concatenate([np.atleast_1d(one.lon.to_value(u.deg)) for one in spherical])
    lat = np.concatenate([np.atleast_1d(one.lat.to_value(u.deg)) for one in spherical])
    place = SkyCoord(lon, lat, unit="deg", frame=frame)
    found, north = place.icrs, np.zeros(len(lon))
    if not isinstance(frame, ICRS) and any(leaf.directed for leaf in leaves):
        ahead = place.directional_offset_by(0.0 * u.deg, 1.0 * u.arcsec).icrs
        north = found.position_angle(ahead).to_value(u.deg)
    ra, dec, start = found.ra.deg, found.dec.deg, 0
    for leaf, one in zip(leaves, spherical, strict=True):
        stop = start + np.size(one.lon)
        leaf.ra, leaf.dec, leaf.north = ra[start:stop], dec[start:stop], float(north[start])
        start = stop


def _angles(coord: SkyCoord) -> Any:
    """Return longitude and latitude; the data of the frame themselves where they hold nothing else, which is many times faster."""
    data = coord.frame.data
    return data if isinstance(data, UnitSphericalRepresentation) else coord.spherical
