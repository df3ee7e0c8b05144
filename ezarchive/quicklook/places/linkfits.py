"""The models of a link: nodes over two images, and the simplest map that leads from the ones to the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ezarchive.errors import InputError
from ezarchive.quicklook.places.pixelmaps import (
    Grid,
    Polynomial,
    deviations,
    fit_offset,
    fit_polynomial,
    full_map,
    grid_over,
    inside,
    inverse_affine,
)

Floats = NDArray[np.float64]

_RETURN = 0.01
"""How far (pixels of the reference) the full WCS may miss a node on the way back; a coarser image may miss by more, in proportion."""
_EDGE = 1e-3
"""Pixels beyond an edge that count as on it, so that images of the same outline overlap as a whole."""
_NOISE = 1e-6
"""Pixels below which deviations are rounding."""


@dataclass(frozen=True, eq=False)
class Nodes:
    """A grid over the reference, where its nodes lie on the image, and what the images have in common.

    Attributes
    ----------
    grid : Grid
        With the nodes that the full WCS brings back.
    u, v : ndarray
        The nodes on the image.
    back_x, back_y : ndarray
        Where the full WCS brings `u` and `v` back to.
    overlap, image_overlap : float
        See `ezarchive.quicklook.places.links.Link`.
    """

    grid: Grid
    u: Floats
    v: Floats
    back_x: Floats
    back_y: Floats
    overlap: float
    image_overlap: float


@dataclass(frozen=True, eq=False)
class Fit:
    """The model of a link; its fields are those of `ezarchive.quicklook.places.links.Link`."""

    kind: str = "wcs"
    model: str = "full"
    models: tuple[Polynomial, Polynomial] | None = None
    max_error: float = 0.0
    rms_error: float = 0.0
    inverse_max_error: float = 0.0
    offset_max_error: float = np.nan
    affine_max_error: float = np.nan
    affine_rms_error: float = np.nan
    reason: str = ""


def nodes_between(first: Any, second: Any, shape: tuple[int, int], image_shape: tuple[int, int]) -> Nodes:
    """Walk from nodes over the reference to the image and back.

    Parameters
    ----------
    first, second : WCS or object of the common interface
        Of the reference and of the image.
    shape, image_shape : (ny, nx)

    Raises
    ------
    InputError
        If no node of either has a place on the other.
    """
    try:
        forward, backward = full_map(first, second), full_map(second, first)
        x, y = grid_over(shape)
        u, v = forward(x, y)
        on_reference = inside(*(back := backward(*grid_over(image_shape))), shape, _EDGE)
        overlap = float(np.mean(inside(u, v, image_shape, _EDGE)))
        if not (np.isfinite(u) & np.isfinite(v)).any() and on_reference.any():
            # All of the image lies between the nodes: a grid over that piece alone.
            x, y = _grid_around(back[0][on_reference], back[1][on_reference])
            u, v = forward(x, y)
        back_x, back_y = backward(u, v)
    except (ValueError, NotImplementedError) as err:
        raise InputError(f"the WCS cannot be walked both ways: {err}") from err
    if not (np.isfinite(u) & np.isfinite(v)).any():
        raise InputError("no pixel of the reference has a place in the image")
    missed = np.hypot(back_x - x, back_y - y)
    with np.errstate(invalid="ignore"):
        good = missed <= _RETURN * max(1.0, _coarseness(x, y, u, v))
    return Nodes(Grid(x, y, good), u, v, back_x, back_y, overlap, float(np.mean(on_reference)))


def _grid_around(x: Floats, y: Floats, side: int = 33) -> tuple[Floats, Floats]:
    columns, rows = (np.linspace(axis.min() - 1e-6, axis.max() + 1e-6, side) for axis in (x, y))
    grid_x, grid_y = np.meshgrid(columns, rows)
    return grid_x, grid_y


def _coarseness(x: Floats, y: Floats, u: Floats, v: Floats) -> float:
    """Return how many pixels of the reference one of the image is, roughly."""
    steps = np.hypot(np.diff(u, axis=1), np.diff(v, axis=1))
    steps = steps[np.isfinite(steps)]
    median = float(np.median(steps)) if steps.size else 0.0
    return float(x[0, 1] - x[0, 0]) / median if median > 0 else 1.0


def best_fit(nodes: Nodes, tolerance: float, degree: int) -> Fit:
    """Return the simplest model within the tolerance, or the full WCS.

    Parameters
    ----------
    nodes : Nodes
    tolerance : float
        Pixels, there and back.
    degree : int
        The highest degree to try.
    """
    good = nodes.grid.good
    x, y, u, v, back_x, back_y = (part[good] for part in (nodes.grid.x, nodes.grid.y, nodes.u, nodes.v, nodes.back_x, nodes.back_y))
    affine = fit_polynomial(x, y, u, v, 1)
    if affine is None:
        return Fit(reason=f"full WCS: {x.size} nodes of the grid do not fix an affine map")
    known = _errors(affine, x, y, u, v)
    offset = fit_offset(x, y, u, v)
    offset_max, _ = _errors(offset, x, y, u, v)
    common: dict[str, Any] = {"offset_max_error": offset_max, "affine_max_error": known[0], "affine_rms_error": known[1]}
    undone = inverse_affine(affine)
    back = np.inf if undone is None else _errors(undone, u, v, back_x, back_y)[0]
    tries: list[tuple[str, Polynomial | None, Polynomial | None]] = [("affine", affine, undone)]
    if offset_max <= known[0] + _NOISE:
        tries.insert(0, ("offset", offset, inverse_affine(offset)))
    for model, forward, inverse in tries:
        if (fit := _accepted(model, forward, inverse, (x, y, u, v, back_x, back_y), tolerance)) is not None:
            return Fit(**fit, **common)
    for power in range(2, degree + 1):
        pair = fit_polynomial(x, y, u, v, power), fit_polynomial(u, v, back_x, back_y, power)
        if (fit := _accepted("polynomial", *pair, (x, y, u, v, back_x, back_y), tolerance)) is not None:
            return Fit(**fit, **common)
    reason = f"full WCS: the affine map is off by up to {known[0]:.3g} pixels, {back:.3g} of the reference on the way back"
    reason += f"; the tolerance is {tolerance:g}"
    return Fit(**common, reason=reason if degree == 1 else f"{reason}; polynomials up to degree {degree} do not do either")


def _errors(model: Polynomial, x: Floats, y: Floats, u: Floats, v: Floats) -> tuple[float, float]:
    off = deviations(model, x, y, u, v)
    return float(off.max()), float(np.sqrt(np.mean(off**2)))


def _accepted(
    model: str, forward: Polynomial | None, inverse: Polynomial | None, points: tuple[Floats, ...], tolerance: float
) -> dict[str, Any] | None:
    if forward is None or inverse is None:
        return None
    x, y, u, v, back_x, back_y = points
    largest, rms = _errors(forward, x, y, u, v)
    back, _ = _errors(inverse, u, v, back_x, back_y)
    if not (largest <= tolerance and back <= tolerance):
        return None
    kind = "polynomial" if model == "polynomial" else "affine"
    found = {"kind": kind, "model": model, "models": (forward, inverse)}
    return {**found, "max_error": largest, "rms_error": rms, "inverse_max_error": back}
