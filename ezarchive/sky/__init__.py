"""Geometry on the sky: positions, HEALPix cells, footprints, and the local Jacobian between pixels and sky.

``positions`` reads what users write, ``polygons`` asks what lies in a footprint, ``cells`` covers areas with HEALPix cells, ``pixels``
goes between a WCS and ICRS. All angles are degrees, all positions ICRS, all pixels 0-based.
"""

from __future__ import annotations

from ezarchive.sky.cells import CELL_ORDER, cell_of, cells_of_cone, cells_of_polygon
from ezarchive.sky.pixels import (
    FieldOfView,
    centre_radius,
    field_of_view,
    footprint,
    icrs_to_pixel,
    jacobian,
    native_jacobian,
    pa_to_theta,
    pixel_scale,
    pixel_to_icrs,
    theta_to_pa,
)
from ezarchive.sky.polygons import (
    edge_distances,
    parse_region,
    polygon_contains,
    polygon_meets_cone,
    polygons_contain,
    polygons_meet_cone,
    s_region,
)
from ezarchive.sky.positions import from_vectors, parse_angle, parse_position, separation, unit_vectors

__all__ = [
    "CELL_ORDER",
    "FieldOfView",
    "cell_of",
    "cells_of_cone",
    "cells_of_polygon",
    "centre_radius",
    "edge_distances",
    "field_of_view",
    "footprint",
    "from_vectors",
    "icrs_to_pixel",
    "jacobian",
    "native_jacobian",
    "pa_to_theta",
    "parse_angle",
    "parse_position",
    "parse_region",
    "pixel_scale",
    "pixel_to_icrs",
    "polygon_contains",
    "polygon_meets_cone",
    "polygons_contain",
    "polygons_meet_cone",
    "s_region",
    "separation",
    "theta_to_pa",
    "unit_vectors",
]
