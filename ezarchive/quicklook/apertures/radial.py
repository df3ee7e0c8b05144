"""Radial profiles: means in rings of exact area, or every pixel with its distance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import Column, Table
from numpy.typing import NDArray
from scipy import sparse

from ezarchive.errors import InputError
from ezarchive.quicklook.apertures.oneaperture import OneAperture, one_aperture
from ezarchive.quicklook.apertures.overlaps import aperture_statistics
from ezarchive.quicklook.apertures.rings import Grid, ring_means, ring_shares
from ezarchive.quicklook.planes.units import unit_text
from ezarchive.quicklook.regions.shapebase import Shape, number
from ezarchive.quicklook.regions.shapes import Annulus, Circle, Ellipse

Floats = NDArray[np.float64]
RINGS = ("circular", "aperture")


@dataclass(frozen=True, eq=False)
class Pixels:
    """The pixels that a profile was made of, arrays of shape (p,): what a fit goes back to.

    Attributes
    ----------
    radius, value : ndarray
    variance : ndarray or None
    weights : csr_array of shape (n, p), or None
        What makes the means of rings of the values; None of a raw profile.
    """

    radius: Floats
    value: Floats
    variance: Floats | None
    weights: sparse.csr_array | None


@dataclass(frozen=True, eq=False)
class RadialProfile:
    """A profile about a centre; arrays of shape (n,), by radius.

    Attributes
    ----------
    radius : ndarray
        Pixels: the middle of each ring, or, raw, the distance of each pixel's centre. With elliptical rings the semi-axis `a`.
    value : ndarray
        Mean of the ring, or the pixel's value; background taken off. NaN for a ring without pixels.
    err : ndarray
        Error of `value`; NaN where it is not known. With an error map it follows from that; without, of rings, from the scatter in
        the ring, which holds the slope of the profile too.
    std : ndarray or None
        Scatter in the ring (weights as of the mean); None of a raw profile, as the next three.
    n : ndarray of int64 or None
        Pixels that the ring touches.
    area, fraction : ndarray or None
        Square pixels of the ring that were used, and their share of the whole ring: below 1 over edges and bad pixels.
    edges : ndarray of shape (n + 1,), or None
        Of the rings.
    x, y : ndarray of int64 or None
        Of a raw profile: the pixels.
    raw : bool
    center : (float, float)
        x, y.
    center_kind : str
        ``aperture``, ``centroid`` or ``given``.
    background, background_err : float
        What was taken off, and its error (NaN for a number that was given); the latter is not in `err`.
    unit : Unit or None
        Of `value`.
    label : str
        Of the image.
    pixels : Pixels
        For `fit_profile`.
    """

    radius: Floats
    value: Floats
    err: Floats
    std: Floats | None
    n: NDArray[np.int64] | None
    area: Floats | None
    fraction: Floats | None
    edges: Floats | None
    x: NDArray[np.int64] | None
    y: NDArray[np.int64] | None
    raw: bool
    center: tuple[float, float]
    center_kind: str
    background: float
    background_err: float
    unit: u.UnitBase | None
    label: str
    pixels: Pixels = field(repr=False)

    def __len__(self) -> int:
        return len(self.radius)

    def to_table(self) -> Table:
        """Return the arrays as columns with units (pix, that of the image); what the profile does not have is left out.

        A plain table: astropy cannot write one of quantities with a column of the name ``value``.
        """
        units = {"radius": u.pix, "value": self.unit, "err": self.unit, "std": self.unit, "area": u.pix**2}
        arrays = {name: getattr(self, name) for name in ("radius", "value", "err", "std", "n", "area", "fraction", "x", "y")}
        columns = [Column(array, name=name, unit=units.get(name)) for name, array in arrays.items() if array is not None]
        return Table(columns, meta={name: value for name, value in self._words().items() if value is not None})

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; NaN becomes None."""
        arrays = ("radius", "value", "err", "std", "n", "area", "fraction", "edges", "x", "y")
        return self._words() | {name: plain(getattr(self, name)) for name in arrays}

    def _words(self) -> dict[str, Any]:
        return {
            "label": self.label,
            "raw": self.raw,
            "center": list(self.center),
            "center_kind": self.center_kind,
            "background": self.background,
            "background_err": plain(self.background_err),
            "unit": unit_text(self.unit),
        }


def radial_profile(  # noqa: PLR0913  those of the aperture's photometry
    image: Any,
    region: Any,
    *,
    raw: bool = False,
    center: Any = "aperture",
    background: Any = 0.0,
    background_method: str = "median",
    background_mask: Any = None,
    step: float = 1.0,
    max_radius: float | None = None,
    rings: str = "circular",
    clip: bool = False,
    error: Any = None,
    mask: Any = None,
    label: str | None = None,
    wcs: Any = None,
    unit: Any = None,
    header: Mapping[str, Any] | None = None,
) -> RadialProfile:
    """Return how an image falls off around a place.

    Parameters
    ----------
    image : path, Image, Picture, NDData or array of shape (ny, nx)
    region : region, aperture, mask or Shape
        Gives centre and reach: the rings go on until they hold all of it.
    raw : bool
        Every pixel whose centre is within the last ring, by distance, in place of means.
    center : {'aperture', 'centroid'} or (x, y)
        Of the rings: the region's centre, the centre of mass of what it holds (background taken off), or pixels.
    background : float, Quantity, Annulus or region
        As of `aperture_photometry`; taken off every pixel.
    background_method, background_mask : optional
        As of `aperture_photometry`.
    step : float
        Width of a ring, pixels. The first one begins at 0, and `radius` is the middle: 0.5, 1.5, ...
    max_radius : float, optional
        Where the last ring ends, or just before; by default the farthest point of the region.
    rings : {'circular', 'aperture'}
        Circles, or ellipses like the region (an ellipse or a ring of two), whose `a` is then the radius.
    clip : bool
        Use only pixels whose centres are in the region.
    error, mask : optional
        As of `aperture_photometry`.
    label, wcs, unit, header : optional
        As of `ezarchive.quicklook.picture`.

    Returns
    -------
    RadialProfile

    Raises
    ------
    InputError
        If an argument is not as it must be, or no usable pixel lies within the reach.
    FrameError
        If a file cannot be read.

    Notes
    -----
    The shares of pixels in rings are exact. A pixel that is not finite or masked counts nowhere; `fraction` tells.
    """
    if rings not in RINGS:
        raise InputError(f"rings={rings!r}: must be one of {', '.join(RINGS)}")
    options = {"error": error, "mask": mask, "label": label, "wcs": wcs, "unit": unit, "header": header}
    level = {"background": background, "background_method": background_method, "background_mask": background_mask}
    one = one_aperture(image, region, **level, **options)
    place, kind = _center(one, center)
    grid = _grid(one.shape, place, number(step, "step", positive=True), max_radius, rings)
    pixels, x, y = _pixels(one, grid, clip)
    words = {
        "center": place,
        "center_kind": kind,
        "background": one.level,
        "background_err": one.level_err,
        "unit": one.picture.unit,
        "label": one.picture.label,
    }
    return _raw(pixels, x, y, grid, words) if raw else _binned(pixels, x, y, grid, words)


def _raw(pixels: Pixels, x: NDArray[np.int64], y: NDArray[np.int64], grid: Grid, words: dict[str, Any]) -> RadialProfile:
    order = np.argsort(pixels.radius, kind="stable")
    order = order[: np.searchsorted(pixels.radius[order], grid.edges[-1], side="right")]
    if not order.size:
        raise InputError("region: must hold a usable pixel, found none whose centre is within its reach")
    variance = None if pixels.variance is None else pixels.variance[order]
    radius, value = pixels.radius[order], pixels.value[order]
    err = np.full(len(order), np.nan) if variance is None else np.sqrt(variance)
    empty = dict.fromkeys(("std", "n", "area", "fraction", "edges"))
    return RadialProfile(
        radius, value, err, x=x[order], y=y[order], raw=True, pixels=Pixels(radius, value, variance, None), **empty, **words
    )


def _binned(pixels: Pixels, x: NDArray[np.int64], y: NDArray[np.int64], grid: Grid, words: dict[str, Any]) -> RadialProfile:
    found = ring_means(ring_shares(grid, x, y), pixels.value, pixels.variance)
    edges = grid.edges
    return RadialProfile(
        radius=(edges[1:] + edges[:-1]) / 2.0,
        value=found.mean,
        err=found.err,
        std=found.std,
        n=found.n,
        area=found.area,
        fraction=found.area / grid.areas,
        edges=edges,
        x=None,
        y=None,
        raw=False,
        pixels=Pixels(pixels.radius, pixels.value, pixels.variance, found.weights),
        **words,
    )


def _center(one: OneAperture, center: Any) -> tuple[tuple[float, float], str]:
    if isinstance(center, str):
        if center not in ("aperture", "centroid"):
            raise InputError(f"center={center!r}: must be aperture, centroid or (x, y)")
        return (one.shape.center, "aperture") if center == "aperture" else (_centroid(one), "centroid")
    if not isinstance(center, (tuple, list, np.ndarray)) or np.shape(center) != (2,):
        raise InputError(f"center={center!r}: must be aperture, centroid or (x, y)")
    return (number(center[0], "center x"), number(center[1], "center y")), "given"


def _centroid(one: OneAperture) -> tuple[float, float]:
    found = aperture_statistics(one.picture.data, one.shape, background=one.level, good=one.good)
    x, y = float(found["xcentroid"][0]), float(found["ycentroid"][0])
    if not (math.isfinite(x) and math.isfinite(y)):
        raise InputError("center='centroid': the region must hold light to have a centre of mass; give a place, or 'aperture'")
    return x, y


def _grid(shape: Shape, place: tuple[float, float], step: float, max_radius: float | None, rings: str) -> Grid:
    ratio, theta = 1.0, 0.0
    if rings == "aperture":
        outer = shape.outer if isinstance(shape, Annulus) else shape
        if not isinstance(outer, (Circle, Ellipse)):
            raise InputError(f"rings='aperture': the region must be a circle or an ellipse, found a {shape.kind}")
        ratio, theta = (outer.b / outer.a, outer.theta) if isinstance(outer, Ellipse) else (1.0, 0.0)
    if max_radius is not None:
        reach = number(max_radius, "max_radius", positive=True)
    else:
        reach = _reach(shape, place, rings)
    n = math.floor(reach / step + 1e-9) if max_radius is not None else math.ceil(reach / step - 1e-9)
    if n < 1:
        raise InputError(f"max_radius={reach}: must not be below step={step}")
    return Grid(*place, step, n, ratio, theta)


def _reach(shape: Shape, place: tuple[float, float], rings: str) -> float:
    """Return how far a region goes from its centre (a centre of mass is near to it)."""
    outer = shape.outer if isinstance(shape, Annulus) else shape
    if isinstance(outer, Circle):
        return outer.radius
    if isinstance(outer, Ellipse):
        return outer.a if rings == "aperture" else max(outer.a, outer.b)
    x0, x1, y0, y1 = outer.bounds
    corners = getattr(outer, "corners", ((x0, y0), (x0, y1), (x1, y0), (x1, y1)))
    found = max(math.hypot(x - place[0], y - place[1]) for x, y in corners)
    if not math.isfinite(found):
        raise InputError(f"max_radius: must be given for a region without end, as this {shape.kind}")
    return found


def _pixels(one: OneAperture, grid: Grid, clip: bool) -> tuple[Pixels, NDArray[np.int64], NDArray[np.int64]]:
    """Return the usable pixels that the rings may touch, and where they are."""
    box = grid.box(one.picture.shape)
    data = one.picture.data[box]
    use = np.isfinite(data)
    if one.good is not None:
        use &= one.good[box]
    if one.variance is not None:
        use &= np.isfinite(one.variance[box])
    rows, columns = np.arange(box[0].start, box[0].stop), np.arange(box[1].start, box[1].stop)
    if clip:
        use &= one.shape.contains(columns, rows[:, None])
    row, column = np.nonzero(use)
    if not row.size:
        raise InputError("region: must hold a usable pixel, found none on the image within its reach")
    variance = None if one.variance is None else one.variance[box][use]
    x, y = columns[column], rows[row]
    return Pixels(grid.radius(x, y), data[use].astype(np.float64) - one.level, variance, None), x, y


def plain(values: Any) -> Any:
    """Return numbers and lists that JSON takes: NaN becomes None."""
    if values is None or isinstance(values, (str, bool)):
        return values
    if isinstance(values, np.ndarray):
        return [plain(value) for value in values.tolist()]
    return None if isinstance(values, float) and not math.isfinite(values) else values
