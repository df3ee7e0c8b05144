"""The centre of mass in a region, and a region moved there until it stays, right at the edges of the image too."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import photutils.aperture as ap
import regions as rg
from astropy.coordinates import SkyCoord
from numpy.typing import NDArray

from ezarchive.errors import InputError
from ezarchive.quicklook.apertures.backgrounds import background_levels
from ezarchive.quicklook.apertures.overlaps import overlap
from ezarchive.quicklook.planes.inputs import picture as as_picture
from ezarchive.quicklook.planes.pictures import Picture
from ezarchive.quicklook.planes.skywcs import to_sky
from ezarchive.quicklook.regions.regionkinds import shape_of, to_region
from ezarchive.quicklook.regions.shapebase import number
from ezarchive.quicklook.regions.shapes import Annulus, Combined, Inverted, Raster, Shape

Weights = Literal["center", "exact"]
TO_AND_FRO = "it goes to and fro between two places, and this is the middle of them"
COMPOSITE = "a region of several parts is not recentred: recentre its parts"


@dataclass(frozen=True)
class Recentered:
    """A region moved to the centre of mass of its pixels.

    Attributes
    ----------
    region : Any
        Of the kind that was given, moved; as it was where nothing could be found.
    shape : Shape
        The same on the pixels of the image.
    x, y : float
        Its centre, 0-based pixels.
    n_iter : int
        Steps taken.
    converged : bool
        Whether the last step was below the tolerance.
    reason : str
        Why not; empty if it was.
    """

    region: Any
    shape: Shape
    x: float
    y: float
    n_iter: int
    converged: bool
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return numbers and words only; the region as its shape."""
        names = ("x", "y", "n_iter", "converged", "reason")
        return {"shape": self.shape.to_dict()} | {name: getattr(self, name) for name in names}


def centroid(
    data: np.ndarray, shape: Shape, *, background: float = 0.0, good: NDArray[np.bool_] | None = None, weights: Weights = "center"
) -> tuple[float, float]:
    """Return the centre of mass of the pixels in a shape.

    Parameters
    ----------
    data : ndarray, shape (ny, nx)
    shape : Shape
    background : float
        Subtracted from each pixel.
    good : ndarray of bool, shape (ny, nx), optional
        Pixels to use; those that are not finite never are.
    weights : {'center', 'exact'}
        Pixels whose centres are inside, without weights, or all pixels that it touches, by the share of their area.

    Returns
    -------
    x, y : float
        0-based pixels of the whole image, also for a shape that crosses an edge; NaN where the sum of the pixels is not above 0.

    Notes
    -----
    ``sum(w I x) / sum(w I)`` over the pixels that are on the image, each with its own coordinates.
    """
    found = overlap(shape, data.shape)
    rows, columns = found.slices
    part = np.asarray(data[rows, columns], float) - background
    weight = found.inside.astype(float) if weights == "center" else found.weights
    use = np.isfinite(part) & (weight > 0)
    if good is not None:
        use &= good[rows, columns]
    light = np.where(use, part, 0.0) * weight
    total = float(light.sum())
    if not total > 0:
        return math.nan, math.nan
    height, width = part.shape
    x = float(light.sum(axis=0) @ np.arange(width)) / total + found.x0
    y = float(light.sum(axis=1) @ np.arange(height)) / total + found.y0
    return x, y


def recenter(
    image: Any,
    region: Any,
    *,
    background: Any = 0.0,
    max_iter: int = 100,
    tolerance: float = 1e-3,
    max_shift: float | None = None,
    weights: Weights = "center",
    wcs: Any = None,
    unit: Any = None,
    header: Mapping[str, Any] | None = None,
) -> Recentered:
    """Move a region to the centre of mass of the pixels in it, again and again until it stays.

    Parameters
    ----------
    image : path, Image, Picture, NDData or array of shape (ny, nx)
    region : what `ezarchive.quicklook.shape_of` takes
        An annulus moves with the centre of mass of all within its outer edge, its hole included, as it surrounds a source; a mask moves by
        whole pixels; a polygon from the centre of its area. A region of several parts is not moved.
    background : float, Quantity, Annulus or region
        What is subtracted from the pixels first. A ring is measured anew at each place. A sky that is left in draws the centre of mass
        to the middle of the region, so that more steps are needed.
    max_iter : int
        Steps at most, 1 or more; one is what the reference viewer does at a click.
    tolerance : float
        Pixels: a step below it ends the search.
    max_shift : float, optional
        Pixels: a place further from the first one is refused.
    weights : {'center', 'exact'}
        As `centroid`. Where pixels come and go at the rim in turn, without an end, the search goes on between the two places with exact
        weights; where these have no end either, it ends there, and says so.
    wcs, unit, header : optional
        In place of those of `image`.

    Returns
    -------
    Recentered
        Where there is no centre of mass the region is not moved, and the reason is said.

    Raises
    ------
    InputError
        If an argument is wrong, or the region is none.

    Examples
    --------
    >>> import numpy as np
    >>> from ezarchive.quicklook.regions.shapes import Circle
    >>> image = np.zeros((10, 8))
    >>> image[0, 0] = 1
    >>> found = recenter(image, Circle(2, 2, 3))
    >>> found.x, found.y, found.converged
    (0.0, 0.0, True)
    """
    if isinstance(max_iter, bool) or not isinstance(max_iter, (int, np.integer)) or max_iter < 1:
        raise InputError(f"max_iter={max_iter!r}: must be a whole number of 1 or more")
    number(tolerance, "tolerance", positive=True)
    if max_shift is not None:
        number(max_shift, "max_shift", positive=True)
    if weights not in ("center", "exact"):
        raise InputError(f"weights={weights!r}: must be 'center' or 'exact'")
    picture = as_picture(image, "image", wcs=wcs, unit=unit, header=header)
    start = shape_of(region, picture)
    if isinstance(start, (Combined, Inverted)):
        return Recentered(region, start, *start.center, 0, False, COMPOSITE)
    end, n_iter, reason, lost = _search(picture, start, background, int(max_iter), float(tolerance), max_shift, weights)
    if lost:
        return Recentered(region, start, *start.center, n_iter, False, reason)
    return Recentered(moved_region(region, end, picture), end, *end.center, n_iter, not reason, reason)


def _search(
    picture: Picture, start: Shape, background: Any, max_iter: int, tolerance: float, max_shift: float | None, asked: Weights
) -> tuple[Shape, int, str, bool]:
    """Return the last place, the steps, why it is not settled, and whether it is lost."""
    weights = asked
    good = None if picture.mask is None else ~picture.mask
    shape, before, levels = start, None, None
    for step in range(1, max_iter + 1):
        if levels is None or weights == asked:
            levels = background_levels(picture, background, [shape], good=good)
        if levels.reason[0]:
            return start, step, levels.reason[0], True
        whole = shape.outer if isinstance(shape, Annulus) else shape
        x, y = centroid(picture.data, whole, background=float(levels.level[0]), good=good, weights=weights)
        if not (math.isfinite(x) and math.isfinite(y)):
            return start, step, _why_none(picture, whole, weights), True
        x0, x1, y0, y1 = whole.bounds
        if not (x0 - 0.5 <= x <= x1 + 0.5 and y0 - 0.5 <= y <= y1 + 0.5):
            return start, step, "the centre of mass is outside the region, as negative pixels make it", True
        found = _placed(shape, x, y)
        if max_shift is not None and math.dist(found.center, start.center) > max_shift:
            return start, step, f"the centre of mass is more than max_shift={max_shift:g} pixels away", True
        if math.dist(found.center, shape.center) < tolerance:
            return found, step, "", False
        if before is not None and math.dist(found.center, before.center) < tolerance:
            middle = _between(found, shape)
            if weights == "exact" or isinstance(shape, Raster):
                return middle, step, TO_AND_FRO, False
            # Whole pixels come and go at the rim; shares of them do not jump, nor does a background that is kept.
            weights, before, shape = "exact", None, middle
            continue
        before, shape = shape, found
    return shape, max_iter, f"it was still moving after {max_iter} steps", False


def _why_none(picture: Picture, shape: Shape, weights: Weights) -> str:
    """Return why a shape has no centre of mass."""
    found = overlap(shape, picture.shape)
    if not np.any(found.inside if weights == "center" else found.weights > 0):
        held = "has its centre in the region" if weights == "center" else "is in the region"
        return f"there is no centre of mass: no pixel of the image {held}"
    return "there is no centre of mass: the sum of the pixels in the region is not above 0"


def _placed(shape: Shape, x: float, y: float) -> Shape:
    if isinstance(shape, Raster):
        return shape.moved(round(x - shape.center[0]), round(y - shape.center[1]))
    return shape.at(x, y)


def _between(one: Shape, other: Shape) -> Shape:
    if isinstance(one, Raster):
        return one
    (x1, y1), (x2, y2) = one.center, other.center
    return one.at((x1 + x2) / 2.0, (y1 + y2) / 2.0)


def moved_region(region: Any, shape: Shape, picture: Picture) -> Any:
    """Return a region with the centre that a shape on the pixels of an image has, of the kind that it was.

    A region on the sky keeps its sizes and angle there, a polygon of the sky becomes that of the shape; a mask of the image stays one, cut
    at its edges; a dict becomes that of the shape.
    """
    if isinstance(region, dict):
        return shape.to_dict()
    if isinstance(region, np.ndarray) and isinstance(shape, Raster):
        rows, columns = np.indices(picture.shape)
        return shape.contains(columns, rows)
    if isinstance(region, (rg.Region, ap.Aperture)):
        return _moved(region, shape, picture)
    return shape


def _moved(region: Any, shape: Shape, picture: Picture) -> Any:
    if isinstance(region, (rg.PolygonPixelRegion, rg.PolygonSkyRegion)):
        made = to_region(shape, picture.wcs if isinstance(region, rg.SkyRegion) else None)
        made.meta, made.visual = region.meta.copy(), region.visual.copy()
        return made
    place: Any = shape.center
    if isinstance(region, (rg.SkyRegion, ap.SkyAperture)):
        center = region.center if isinstance(region, rg.SkyRegion) else region.positions
        ra, dec = to_sky(picture.wcs, *shape.center)
        place = SkyCoord(float(ra), float(dec), unit="deg", frame="icrs").transform_to(center.frame.replicate_without_data())
    if isinstance(region, rg.Region):
        return region.copy(center=rg.PixCoord(*place) if isinstance(place, tuple) else place)
    made = copy.deepcopy(region)
    made.positions = place
    return made
