"""Curves of growth: the sum in an aperture of growing size, in the aperture's own shape, and the radii that hold half and 80 % of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import QTable
from numpy.typing import ArrayLike, NDArray

from ezarchive.errors import InputError
from ezarchive.quicklook.apertures import backgrounds
from ezarchive.quicklook.apertures.overlaps import aperture_sums, overlap
from ezarchive.quicklook.apertures.photometryrows import Options, measured
from ezarchive.quicklook.apertures.radial import plain
from ezarchive.quicklook.apertures.resultcolumns import Flat
from ezarchive.quicklook.planes.inputs import picture
from ezarchive.quicklook.planes.pictures import Picture
from ezarchive.quicklook.planes.quality import bad_pixels
from ezarchive.quicklook.planes.units import unit_text
from ezarchive.quicklook.regions.regionkinds import shape_of
from ezarchive.quicklook.regions.shapebase import Shape, number
from ezarchive.quicklook.regions.shapes import Annulus

Floats = NDArray[np.float64]
AXES = {"circle": ("Radius", "radius"), "ellipse": ("Semi-axis a", "a"), "rectangle": ("Width", "width")}
"""What grows, by the kind of shape: its name on an axis, and the attribute."""
EQUIVALENT = "Radius of the same area"
_COARSE, _FINE, _ROUNDS = 40, 20, 3
MOST = 10_000


@dataclass(frozen=True, eq=False)
class GrowthCurve:
    """Sums in an aperture of growing size about one centre; arrays of shape (n,).

    Attributes
    ----------
    radius : ndarray
        Pixels: what `axis` says; the shape's other lengths grow in proportion.
    sum, err : ndarray
        As ``sum`` and ``sum_err`` of `aperture_photometry` of that aperture, with the background of the whole region: times the pixel area
        for pixels per solid angle. The errors of one curve are correlated.
    area : ndarray
        Square pixels that were summed.
    on_image : ndarray
        Share of the aperture on the image.
    n_bad : ndarray of int64
        Pixels in the aperture that are masked or not finite.
    axis : str
        ``Radius``, ``Semi-axis a``, ``Width``, or ``Radius of the same area``; of a ring, of its outer edge.
    kind : str
        Of the region's shape.
    center : (float, float)
        x, y; the same for all.
    r50, r50_err, r80, r80_err : float
        The least `radius` that holds 50 and 80 % of the last sum, and its error (NaN where errors are not known).
    background, background_err : float
        Level that was taken from each pixel.
    pixarea_tot : float
        Solid angle of a pixel that is in `sum`, sr; NaN where none is.
    pixarea_rule, unit, label : str, Unit or None, str
        Where that comes from, the unit of `sum`, and the image.
    """

    radius: Floats
    sum: Floats
    err: Floats
    area: Floats
    on_image: Floats
    n_bad: NDArray[np.int64]
    axis: str
    kind: str
    center: tuple[float, float]
    r50: float
    r50_err: float
    r80: float
    r80_err: float
    background: float
    background_err: float
    pixarea_tot: float
    pixarea_rule: str
    unit: u.UnitBase | None
    label: str

    def __len__(self) -> int:
        return len(self.radius)

    @property
    def fraction(self) -> Floats:
        """Of the last sum."""
        return self.sum / self.sum[-1]

    def to_table(self) -> QTable:
        """Return the arrays as columns with units, all else in ``meta``."""
        units = {"radius": u.pix, "area": u.pix**2, "sum": self.unit, "err": self.unit}
        columns = {}
        for name in ("radius", "sum", "err", "area", "on_image", "n_bad"):
            unit = units.get(name)
            columns[name] = getattr(self, name) if unit is None else u.Quantity(getattr(self, name), unit)
        return QTable(columns, meta={name: value for name, value in self._words().items() if value is not None})

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; NaN becomes None."""
        return self._words() | {name: plain(getattr(self, name)) for name in ("radius", "sum", "err", "area", "on_image", "n_bad")}

    def _words(self) -> dict[str, Any]:
        numbers = ("r50", "r50_err", "r80", "r80_err", "background", "background_err", "pixarea_tot")
        words = {name: getattr(self, name) for name in ("label", "kind", "axis", "pixarea_rule")}
        return words | {"center": list(self.center), "unit": unit_text(self.unit)} | {name: plain(getattr(self, name)) for name in numbers}


def curve_of_growth(  # noqa: PLR0913  those of the aperture's photometry
    image: Any,
    region: Any,
    *,
    n: int = 10,
    radii: ArrayLike | None = None,
    background: Any = 0.0,
    background_method: str = "median",
    background_mask: Any = None,
    pixel_area: Any = None,
    counts_factor: Any = None,
    error: Any = None,
    mask: Any = None,
    label: str | None = None,
    wcs: Any = None,
    unit: Any = None,
    header: Mapping[str, Any] | None = None,
) -> GrowthCurve:
    """Return the sums in apertures of one shape and centre that grow up to a region.

    Parameters
    ----------
    image : path, Image, Picture, NDData or array of shape (ny, nx)
    region : region, aperture or Shape
        A circle, ellipse, rectangle, polygon or several as one; of a ring the outer edge grows from the inner one. A mask of pixels has no
        outline that could grow.
    n : int
        Sizes: k / n of the region's, k = 1 ... n; the last sum is that of `aperture_photometry`.
    radii : array_like, optional
        In place of `n`: pixels along the region's own length (see `GrowthCurve.axis`), above 0 and increasing, also beyond the region.
    background, background_method, background_mask, pixel_area, counts_factor, error, mask : optional
        As of `aperture_photometry`. A ring of the background lies around the whole region, and is the same for all sizes.
    label, wcs, unit, header : optional
        As of `ezarchive.quicklook.picture`.

    Returns
    -------
    GrowthCurve

    Raises
    ------
    InputError
        If an argument is not as it must be, or nothing of the region lies on the image.
    FrameError
        If a file cannot be read.

    Notes
    -----
    The radii of 50 and 80 % are found among sums in further apertures between the sizes, not by lines between the points. Their errors
    follow from the variance of S(r) - f S, whose two parts share their pixels, and the slope of the curve.
    """
    shown = picture(image, wcs=wcs, unit=unit, header=header, label=label)
    shape = shape_of(region, shown)
    series = _series(shape)
    sizes = _sizes(series, n, radii)
    if isinstance(background, backgrounds.Annulus):
        background = background.around(shape, shown)
    options = Options(background, background_method, background_mask, pixel_area, counts_factor, None, error, mask)
    flat = measured(shown, [series.at(size) for size in sizes], options)
    if not np.any(flat["sum_aper_area"] > 0):
        raise InputError(f"region: must lie on the image, with a usable pixel; found none of it there ({shown.label})")
    words = {name: (flat[name][-1].item()) for name in ("background", "background_err", "pixarea_tot")}
    return GrowthCurve(
        radius=sizes,
        sum=flat["sum"],
        err=flat["sum_err"],
        area=flat["sum_aper_area"],
        on_image=flat["on_image"],
        n_bad=flat["n_bad"],
        axis=series.axis,
        kind=shape.kind,
        center=shape.center,
        **_held(shown, series, flat, sizes, options),
        **words,
        pixarea_rule=str(flat["pixarea_rule"][-1]),
        unit=u.Unit(flat["sum_unit"][-1]) if flat["sum_unit"][-1] else None,
        label=shown.label,
    )


@dataclass(frozen=True)
class _Series:
    """A shape in all sizes: from `least` (exclusive) to `whole` and beyond."""

    axis: str
    least: float
    whole: float
    at: Callable[[float], Shape]


def _series(shape: Shape) -> _Series:
    if isinstance(shape, Annulus):
        axis, name = AXES[shape.outer.kind]
        return _Series(axis, getattr(shape.inner, name), getattr(shape.outer, name), lambda size: _ring(shape, name, size))
    if shape.kind in AXES:
        axis, name = AXES[shape.kind]
        whole = getattr(shape, name)
        return _Series(axis, 0.0, whole, lambda size: shape.scaled(size / whole))
    shape.scaled(0.5)
    area = shape.area if math.isfinite(shape.area) else _area(shape)
    whole = math.sqrt(area / math.pi)
    return _Series(EQUIVALENT, 0.0, whole, lambda size: shape.scaled(size / whole))


def _area(shape: Shape) -> float:
    """Return the area of several shapes as one."""
    x0, x1, y0, y1 = shape.bounds
    if not all(math.isfinite(edge) for edge in shape.bounds):
        raise InputError(f"region: must have an end, found a {shape.kind} without")
    moved = shape.moved(-math.floor(x0), -math.floor(y0))
    found = overlap(moved, (math.ceil(y1 - y0) + 3, math.ceil(x1 - x0) + 3)).area
    if not found > 0:
        raise InputError("region: must hold an area, found none")
    return found


def _ring(shape: Annulus, name: str, size: float) -> Annulus:
    """Return a ring whose outer edge has grown to a size; its other length grows in proportion between the two edges."""
    low, high = getattr(shape.inner, name), getattr(shape.outer, name)
    part = (size - low) / (high - low)
    lengths = {
        one: getattr(shape.inner, one) + part * (getattr(shape.outer, one) - getattr(shape.inner, one)) for one in shape.outer.lengths
    }
    return Annulus(shape.inner, shape.outer._with(**(lengths | {name: size})))


def _sizes(series: _Series, n: int, radii: ArrayLike | None) -> Floats:
    if radii is None:
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or not 1 <= n <= MOST:
            raise InputError(f"n={n!r}: must be a whole number from 1 to {MOST}")
        sizes = series.least + (series.whole - series.least) * np.arange(1, n + 1) / n
        sizes[-1] = series.whole
        return sizes
    if np.ndim(radii) != 1 or not 1 <= np.size(radii) <= MOST:
        raise InputError(f"radii: must be 1 to {MOST} numbers, found an array of shape {np.shape(radii)}")
    sizes = np.array([number(one, "radii") for one in np.asarray(radii).tolist()])
    if not (sizes[0] > series.least and np.all(np.diff(sizes) > 0)):
        raise InputError(f"radii: must be increasing and above {series.least:g} pixels, found {sizes.tolist()[:5]}")
    return sizes


def _held(shown: Picture, series: _Series, flat: Flat, sizes: Floats, options: Options) -> dict[str, float]:
    """Return the sizes that hold 50 and 80 % of the last sum, with errors."""
    nothing = {"r50": math.nan, "r50_err": math.nan, "r80": math.nan, "r80_err": math.nan}
    total = float(flat["sum_raw"][-1])
    if not total > 0:
        return nothing
    level = float(flat["background"][-1])
    bad = bad_pixels(shown, options.mask)
    good = None if bad is None else ~bad

    def sums(at: Floats) -> Floats:
        found = aperture_sums(shown.data, [series.at(size) for size in at.tolist()], background=level, good=good).sum
        return np.nan_to_num(found)

    found = {}
    coarse = np.union1d(series.least + (sizes[-1] - series.least) * np.arange(1, _COARSE + 1) / _COARSE, sizes)
    coarse = coarse[coarse <= sizes[-1]]
    first = sums(coarse)
    for name, part in (("r50", 0.5), ("r80", 0.8)):
        size, slope = _crossing(sums, np.append(series.least, coarse), np.append(0.0, first), part * total)
        found[name] = size
        found[f"{name}_err"] = _error(shown, series, size, slope, part, flat, options)
    return found


def _crossing(sums: Callable[[Floats], Floats], sizes: Floats, values: Floats, goal: float) -> tuple[float, float]:
    """Return the first size at which the sum reaches a goal, and the slope there."""
    for _ in range(_ROUNDS):
        k = int(np.argmax(values >= goal))
        between = np.linspace(sizes[k - 1], sizes[k], _FINE + 1)[1:-1]
        sizes = np.concatenate([sizes[k - 1 : k], between, sizes[k : k + 1]])
        values = np.concatenate([values[k - 1 : k], sums(between), values[k : k + 1]])
    k = int(np.argmax(values >= goal))
    slope = float((values[k] - values[k - 1]) / (sizes[k] - sizes[k - 1]))
    return float(sizes[k - 1] + (goal - values[k - 1]) / slope), slope


def _error(shown: Picture, series: _Series, size: float, slope: float, part: float, flat: Flat, options: Options) -> float:
    """Return the error of a size: V(S_r - f S) = V_r (1 - 2 f) + f^2 V without the background, plus (A_r - f A)^2 times its variance."""
    at = measured(shown, [series.at(size)], options)
    factor = float(flat["sum"][-1] / flat["sum_raw"][-1])
    own = 0.0 if math.isnan(flat["background_err"][-1]) else float(flat["background_err"][-1]) ** 2
    area, whole = float(at["sum_aper_area"][0]), float(flat["sum_aper_area"][-1])
    inner = (float(at["sum_err"][0]) / factor) ** 2 - own * area**2
    outer = (float(flat["sum_err"][-1]) / factor) ** 2 - own * whole**2
    variance = inner * (1.0 - 2.0 * part) + part**2 * outer + own * (area - part * whole) ** 2
    return math.sqrt(variance) / slope if variance >= 0 else math.nan
