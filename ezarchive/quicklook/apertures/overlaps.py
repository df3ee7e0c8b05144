"""How much of each pixel lies in a shape, and what follows: sums and statistics of the pixels in many apertures at once.

Pixels are 0-based with whole numbers at the centres; a pixel ends half a pixel from its centre. Sums weigh a pixel with the exact share of
its area that lies in the shape; statistics take the pixels whose centres do, without weights. What is off the image does not count, a pixel
that is not finite or not good neither; nothing depends on whether apertures are measured together or one by one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ezarchive.errors import InputError
from ezarchive.quicklook.apertures import kernels_overlap as sums
from ezarchive.quicklook.apertures.kernels_overlap import Outlines, add_sums
from ezarchive.quicklook.apertures.kernels_statistics import COLUMNS, measure
from ezarchive.quicklook.apertures.packing import BLOCK, PLAIN, Box, box_of, boxes_of, centres, grid, pack, pack_grid, parts, rows_of
from ezarchive.quicklook.apertures.secondmoments import moment_ellipse
from ezarchive.quicklook.planes.inputs import picture
from ezarchive.quicklook.regions.shapebase import Bools, Shape

Floats = NDArray[np.float64]
MAD_TO_SIGMA = 1.482602218505602
"""Standard deviation of a normal distribution over its median absolute deviation."""
STATISTICS = (
    "n", "min", "max", "mean", "median", "mode", "std", "mad_std", "var", "biweight_location", "biweight_midvariance", "xcentroid",
    "ycentroid", "fwhm", "semimajor_sigma", "semiminor_sigma", "orientation", "eccentricity", "covariance_xx", "covariance_yy",
    "covariance_xy",
)  # fmt: skip
"""What `aperture_statistics` returns, in order."""


@dataclass(frozen=True, eq=False)
class Overlap:
    """How much of each pixel of an image lies in a shape.

    Attributes
    ----------
    y0, x0 : int
        The pixel of the arrays' first one.
    weights : ndarray, shape (h, w)
        Share of the pixel's area, 0 to 1; of shape (0, 0) where the shape is off the image.
    inside : ndarray of bool, shape (h, w)
        Whether the pixel's centre is in the shape; one on its edge is not, on the inner edge of an annulus it is.
    """

    y0: int
    x0: int
    weights: Floats
    inside: Bools

    @property
    def slices(self) -> tuple[slice, slice]:
        """The same pixels of the image: ``data[overlap.slices]``."""
        height, width = self.weights.shape
        return slice(self.y0, self.y0 + height), slice(self.x0, self.x0 + width)

    @property
    def area(self) -> float:
        """Area on the image, square pixels."""
        return float(self.weights.sum())

    def to_dict(self) -> dict[str, Any]:
        """Return numbers and lists only."""
        return {"y0": self.y0, "x0": self.x0, "weights": self.weights.tolist(), "inside": self.inside.tolist()}


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums over apertures; all arrays have the shape (n,).

    Attributes
    ----------
    sum : ndarray
        Sum of weight x (value - background); NaN where no usable pixel has a weight.
    area : ndarray
        Sum of the weights of the usable pixels, square pixels.
    variance : ndarray or None
        Sum of weight x variance, the convention of SExtractor and photutils; None where no variances are given, NaN where that of a pixel
        in the aperture is.
    strict_variance : ndarray or None
        Sum of weight^2 x variance, the variance of `sum` if the pixels' errors are independent.
    n_bad : ndarray of int64
        Pixels in the aperture, in part at least, that are not finite or not good.
    area_bad : ndarray
        Sum of their weights.
    on_image : ndarray
        Share of the shape's area that lies on the image, 0 to 1; NaN for a shape without end.
    """

    sum: Floats
    area: Floats
    variance: Floats | None
    strict_variance: Floats | None
    n_bad: NDArray[np.int64]
    area_bad: Floats
    on_image: Floats

    def __len__(self) -> int:
        return len(self.sum)

    def to_dict(self) -> dict[str, Any]:
        """Return lists; NaN becomes None."""
        return {field.name: _listed(getattr(self, field.name)) for field in fields(self)}


def overlap(shape: Shape, image_shape: tuple[int, int]) -> Overlap:
    """Return how much of each pixel of an image lies in a shape.

    Parameters
    ----------
    shape : Shape
    image_shape : (ny, nx)

    Returns
    -------
    Overlap
        Of the pixels that the shape's bounds touch, clipped to the image.

    Raises
    ------
    InputError
        If `shape` is none.

    Notes
    -----
    Exact (rounding apart) for circles, ellipses, rectangles at any angle, polygons, annuli and masks, and for compounds of them wherever at
    most one outline crosses a pixel; where two do, the pixel is divided into 32 x 32.

    Examples
    --------
    >>> from ezarchive.quicklook.regions.shapes import Rectangle
    >>> overlap(Rectangle(2.0, 2.0, 2.0, 1.0), (5, 5)).weights
    array([[0.5, 1. , 0.5]])
    """
    box = box_of(_shapes(shape)[0].bounds, image_shape)
    if _is_empty(box):
        return Overlap(box[0], box[2], np.zeros((0, 0)), np.zeros((0, 0), bool))
    return Overlap(box[0], box[2], *grid(shape, box))


def aperture_sums(
    data: Any,
    shapes: Shape | Iterable[Shape],
    *,
    background: ArrayLike = 0.0,
    good: ArrayLike | None = None,
    variance: ArrayLike | None = None,
) -> Sums:
    """Sum the pixels in apertures, each with the exact share of its area.

    Parameters
    ----------
    data : array of shape (ny, nx), or what `picture` takes
        A mask that it brings along counts as not good.
    shapes : Shape or iterable of n Shape
    background : float or array_like of shape (n,)
        Taken from each pixel, in the unit of the data.
    good : array_like of bool, shape (ny, nx), optional
        False where a pixel is not to be used.
    variance : array_like, shape (ny, nx), optional
        Squares of the pixels' errors.

    Returns
    -------
    Sums

    Raises
    ------
    InputError
        If shapes, background or planes are not as described.

    Notes
    -----
    At most some 16 million pixels are held at a time.

    Examples
    --------
    >>> import numpy as np
    >>> from ezarchive.quicklook.regions.shapes import Circle
    >>> found = aperture_sums(np.full((20, 20), 3.0), [Circle(9.5, 9.5, 5.0), Circle(-0.5, 9.5, 5.0)], background=2.0)
    >>> found.sum.round(6).tolist(), found.on_image.round(6).tolist()
    ([78.539816, 39.269908], [1.0, 0.5])
    """
    plane = _Plane(data, good, variance)
    shapes = _shapes(shapes)
    levels = _levels(background, len(shapes))
    totals = np.zeros((len(shapes), sums.N_TOTALS))
    for outlines, which, box, own in _work(shapes, plane.shape, split=True):
        image, spread = plane.cut(box)
        add_sums(image, spread, box[0], box[2], outlines, which, levels[own], totals[own])
    area, area_bad = totals[:, sums.AREA], totals[:, sums.AREA_BAD]
    used = area > 0
    known = variance is not None
    return Sums(
        np.where(used, totals[:, sums.SUM], np.nan),
        area.copy(),
        np.where(used, totals[:, sums.VARIANCE], np.nan) if known else None,
        np.where(used, totals[:, sums.STRICT_VARIANCE], np.nan) if known else None,
        totals[:, sums.N_BAD].astype(np.int64),
        area_bad.copy(),
        _on_image(shapes, plane.shape, area + area_bad),
    )


def aperture_statistics(
    data: Any, shapes: Shape | Iterable[Shape], *, background: ArrayLike = 0.0, good: ArrayLike | None = None
) -> dict[str, NDArray[Any]]:
    """Measure the usable pixels whose centres lie in apertures, without weights.

    Parameters
    ----------
    data, shapes, background, good
        As of `aperture_sums`.

    Returns
    -------
    dict of ndarray, shape (n,)
        `STATISTICS`, NaN where an aperture has no such pixel: ``n`` (int64), ``min``, ``max``, ``mean``, ``median``, ``mode``
        (3 median - 2 mean), ``std`` and ``var`` (of n, not n - 1), ``mad_std`` (1.4826 MAD), ``biweight_location`` (c = 6),
        ``biweight_midvariance`` (c = 9), all after the background; ``xcentroid``, ``ycentroid`` (sum of value x place over sum of values;
        0-based, right over any edge of the image), and what `moment_ellipse` returns.

    Raises
    ------
    InputError
        As of `aperture_sums`.

    Notes
    -----
    Biweights: Beers, Flynn & Gebhardt 1990, AJ 100, 32, as astropy has them. An aperture that cuts the wings of a star has second moments
    that are too small: of a Gaussian of sigma 3 the ``fwhm`` is 6.27 instead of 7.06 within 7 pixels. Medians need 24 bytes for each pixel
    of the box of the largest aperture.
    """
    plane = _Plane(data, good, None)
    shapes = _shapes(shapes)
    levels = _levels(background, len(shapes))
    found = np.full((len(shapes), len(COLUMNS)), np.nan)
    found[:, 0] = 0.0
    for outlines, which, box, own in _work(shapes, plane.shape, split=False):
        measure(plane.cut(box)[0], box[0], box[2], outlines, which, levels[own], found[own])
    have = dict(zip(COLUMNS, found.T, strict=True))
    made: dict[str, NDArray[Any]] = {name: have[name].copy() for name in COLUMNS if name in STATISTICS}
    made |= moment_ellipse(have["covariance_xx"], have["covariance_yy"], have["covariance_xy"])
    made["n"] = have["n"].astype(np.int64)
    made["mode"] = 3.0 * have["median"] - 2.0 * have["mean"]
    made["std"] = np.sqrt(have["var"])
    made["mad_std"] = MAD_TO_SIGMA * have["mad"]
    return {name: made[name] for name in STATISTICS}


class _Plane:
    """The pixels, read by parts: double precision, NaN where a pixel is not good."""

    def __init__(self, data: Any, good: ArrayLike | None, variance: ArrayLike | None) -> None:
        mask = None
        if type(data) is not np.ndarray:
            source = picture(data, "data")
            data, mask = source.data, source.mask
        if data.ndim != 2 or data.dtype.kind not in "fiub":
            raise InputError(f"data: must be a 2-D array of real numbers, found {data.dtype} of shape {data.shape}")
        self.shape: tuple[int, int] = data.shape
        self._data, self._mask = data, mask
        self._good = self._like(good, "good", "b")
        self._variance = self._like(variance, "variance", "fiu")

    def _like(self, plane: ArrayLike | None, name: str, kinds: str) -> np.ndarray | None:
        if plane is None:
            return None
        array = np.asarray(plane)
        if array.shape != self.shape or array.dtype.kind not in kinds:
            what = "bool" if kinds == "b" else "numbers"
            raise InputError(f"{name}: must be an array of {what} of the shape {self.shape}, found {array.dtype} of shape {array.shape}")
        return array

    def cut(self, box: Box) -> tuple[Floats, Floats]:
        """Return copies of the pixels of a box and of their variances, which have the shape (0, 0) without any."""
        place = slice(box[0], box[1]), slice(box[2], box[3])
        image = np.array(self._data[place], np.float64, order="C")
        if self._good is not None:
            image[~self._good[place]] = np.nan
        if self._mask is not None:
            image[self._mask[place]] = np.nan
        return image, np.zeros((0, 0)) if self._variance is None else np.array(self._variance[place], np.float64, order="C")


def _shapes(shapes: Shape | Iterable[Shape]) -> list[Shape]:
    found = [shapes] if isinstance(shapes, Shape) else list(shapes) if isinstance(shapes, Iterable) else [shapes]
    for k, one in enumerate(found):
        if not isinstance(one, Shape):
            raise InputError(f"shapes[{k}]: must be a shape (see `shape_of`), found {type(one).__name__}")
    return found


def _levels(background: ArrayLike, n: int) -> Floats:
    try:
        levels = np.asarray(background, float)
    except (TypeError, ValueError) as err:
        raise InputError(f"background={background!r}: must be a number, or {n} numbers") from err
    if levels.shape not in ((), (1,), (n,)):
        raise InputError(f"background: must be a number, or one for each of {n} shapes, found an array of shape {levels.shape}")
    if not np.all(np.isfinite(levels)):
        raise InputError("background: must be finite")
    return np.array(np.broadcast_to(levels, (n,)))


def _is_empty(box: Box) -> bool:
    return box[0] >= box[1] or box[2] >= box[3]


def _work(
    shapes: Sequence[Shape], image_shape: tuple[int, int], *, split: bool
) -> Iterator[tuple[Outlines, NDArray[np.int64], Box, slice]]:
    """Yield what the loops take: outlines, which of them, the pixels to be read, and which rows of the shapes' arrays are theirs.

    With `split`, for sums, large ones come in pieces; else, for statistics, at once, and compounds without weights.
    """
    boxes = boxes_of([shape.bounds for shape in shapes], image_shape)
    on = (boxes[:, 0] < boxes[:, 1]) & (boxes[:, 2] < boxes[:, 3])
    plain = np.array([isinstance(shape, PLAIN) for shape in shapes], bool)
    outlines = pack(shapes, boxes)
    for which, box in parts(boxes, np.flatnonzero(on & plain), split=split):
        yield outlines, which, box, slice(None)
    for k in np.flatnonzero(on & ~plain):
        whole: Box = tuple(boxes[k].tolist())  # type: ignore[assignment]
        if not split:
            yield pack_grid(np.zeros(0), centres(shapes[k], whole), whole), np.zeros(1, np.int64), whole, slice(k, k + 1)
            continue
        for box in rows_of(whole):
            yield pack_grid(*grid(shapes[k], box), box), np.zeros(1, np.int64), box, slice(k, k + 1)


def _on_image(shapes: Sequence[Shape], image_shape: tuple[int, int], covered: Floats) -> Floats:
    """Return which share of their areas lies on the image; exactly 1 where the bounds do."""
    ny, nx = image_shape
    shares = np.ones(len(shapes))
    x0, x1, y0, y1 = np.reshape([shape.bounds for shape in shapes], (-1, 4)).T
    for k in np.flatnonzero(~((x0 >= -0.5) & (y0 >= -0.5) & (x1 <= nx - 0.5) & (y1 <= ny - 0.5))):
        area = _whole_area(shapes[k])
        shares[k] = min(covered[k] / area, 1.0) if 0 < area < math.inf else math.nan
    return shares


def _whole_area(shape: Shape) -> float:
    """Return the area of a shape, on the image and off it; NaN where it is not known and the shape is too large to be counted."""
    x0, x1, y0, y1 = shape.bounds
    if not math.isnan(shape.area) or not all(math.isfinite(edge) for edge in shape.bounds) or (x1 - x0) * (y1 - y0) > 4 * BLOCK:
        return shape.area
    return float(grid(shape, box_of(shape.bounds))[0].sum())


def _listed(values: NDArray[Any] | None) -> list[float | None] | None:
    if values is None:
        return None
    return [None if value != value else value for value in values.tolist()]
