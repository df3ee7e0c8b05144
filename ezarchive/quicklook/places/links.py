"""Links between images: which pixel of one shows what a pixel of the other does, by pixel or by WCS, with a fast model that is verified."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ezarchive.errors import InputError
from ezarchive.quicklook.places.linkfits import Fit, best_fit, nodes_between
from ezarchive.quicklook.places.pixelmaps import Grid, Polynomial, deviations, full_map
from ezarchive.quicklook.planes.inputs import picture
from ezarchive.quicklook.planes.pictures import Picture

Floats = NDArray[np.float64]
Map = Callable[[Floats, Floats], tuple[Floats, Floats]]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Link:
    """How the pixels of an image lie on those of a reference.

    Attributes
    ----------
    kind : {"self", "pixels", "affine", "polynomial", "wcs"}
        What is in use: nothing to do, equal pixel numbers, a model fitted to the WCS of both, or the WCS of both as they are.
    model : {"identity", "offset", "affine", "polynomial", "full"}
        The model; an offset is an affine map whose matrix is the unit matrix.
    reference, image : str
        Labels.
    tolerance : float or None
        The largest deviation from the full WCS that a model may have, in pixels of the image (and of the reference, for its inverse).
    max_error, rms_error : float
        How far what is in use lies from the full WCS at the nodes of the grid, in pixels of the image; 0 where it is no model.
    inverse_max_error : float
        The same of the way back, in pixels of the reference.
    offset_max_error, affine_max_error, affine_rms_error : float
        Those of the best pure offset and the best affine map, in use or not; NaN where none was fitted.
    n_points, n_valid : int
        Nodes of the grid, and those that the WCS takes to the image and back to where they were.
    overlap, image_overlap : float
        The share of the reference's nodes that lie on the image, and of the image's on the reference; NaN without a WCS.
    shape, image_shape : tuple of int
        Rows and columns of both.
    reason : str
        Why it is not what was asked for, or what else is worth knowing; else empty.
    """

    kind: str
    model: str
    reference: str
    image: str
    shape: tuple[int, int]
    image_shape: tuple[int, int]
    tolerance: float | None = None
    max_error: float = 0.0
    rms_error: float = 0.0
    inverse_max_error: float = 0.0
    offset_max_error: float = np.nan
    affine_max_error: float = np.nan
    affine_rms_error: float = np.nan
    n_points: int = 0
    n_valid: int = 0
    overlap: float = np.nan
    image_overlap: float = np.nan
    reason: str = ""
    _models: tuple[Polynomial, Polynomial] | None = field(default=None, repr=False)
    _wcs: tuple[Any, Any] | None = field(default=None, repr=False)
    _grid: Grid | None = field(default=None, repr=False)

    @property
    def link_type(self) -> str:
        """'self', 'pixels' or 'wcs'."""
        return self.kind if self.kind in ("self", "pixels") else "wcs"

    @property
    def matrix(self) -> Floats | None:
        """d(image x, y) / d(reference x, y), shape (2, 2); None of a polynomial and of the full WCS."""
        if self.model == "identity":
            return np.eye(2)
        return self._models[0].matrix.copy() if self.kind == "affine" else None

    @property
    def offset(self) -> Floats | None:
        """The pixel of the image that lies on pixel (0, 0) of the reference, by the model; None where `matrix` is."""
        if self.model == "identity":
            return np.zeros(2)
        return self._models[0].offset.copy() if self.kind == "affine" else None

    @property
    def bounds(self) -> Box | None:
        """x0, x1, y0, y1 in the reference where the model is used; beyond them the full WCS is. None where there is no model."""
        return None if self._models is None else self._grid.bounds

    def forward(self, x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
        """Return the pixels of the image that lie on pixels of the reference.

        Parameters
        ----------
        x, y : array_like
            0-based pixels of the reference; they broadcast.

        Returns
        -------
        x, y : ndarray
            0-based pixels of the image, on it or beyond its edges. Where the model was verified they are right to its error; elsewhere
            the full WCS is used, which gives NaN where it has nothing (outside the bounding box of a GWCS, off the projection).
        """
        x, y = _pair(x, y)
        if self.model == "identity":
            return x.copy(), y.copy()
        full = full_map(*self._wcs)
        if self._models is None:
            return full(x, y)
        u, v = self._models[0](x, y)
        return _replaced(u, v, x, y, self._grid.holds(x, y), full)

    def inverse(self, x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
        """Return the pixels of the reference that lie on pixels of the image: the way back of `forward`."""
        x, y = _pair(x, y)
        if self.model == "identity":
            return x.copy(), y.copy()
        full = full_map(*self._wcs[::-1])
        if self._models is None:
            return full(x, y)
        u, v = self._models[1](x, y)
        known = self._grid.holds(u, v)
        if self.kind == "polynomial":
            # Far away a polynomial can come back to where it was verified.
            returned = deviations(self._models[0], u, v, x, y) <= 2 * self.tolerance + 1e-6
            known = returned if known is None else known & returned
        return _replaced(u, v, x, y, known, full)

    def polygon(self, box: Box | None = None) -> Floats:
        """Return the corners of a view of the reference, on the image.

        Parameters
        ----------
        box : x0, x1, y0, y1, optional
            In pixels of the reference; by default its outer edges, -0.5 to n - 0.5.

        Returns
        -------
        ndarray, shape (4, 2)
            x and y in the image of the lower left, upper left, upper right and lower right corner.
        """
        ny, nx = self.shape
        x0, x1, y0, y1 = (-0.5, nx - 0.5, -0.5, ny - 0.5) if box is None else checked_box(box)
        return np.stack(self.forward([x0, x0, x1, x1], [y0, y1, y1, y0]), axis=1)

    def to_dict(self) -> dict[str, Any]:
        """Return all that is known of it as plain values; NaN is None."""
        made: dict[str, Any] = {name: getattr(self, name) for name in _PLAIN}
        made = {name: None if isinstance(value, float) and not np.isfinite(value) else value for name, value in made.items()}
        made["shape"], made["image_shape"] = list(self.shape), list(self.image_shape)
        made["link_type"], made["bounds"] = self.link_type, None if self.bounds is None else list(self.bounds)
        for name in ("matrix", "offset"):
            value = getattr(self, name)
            made[name] = None if value is None else value.tolist()
        return made


_PLAIN = (
    "kind", "model", "reference", "image", "tolerance", "max_error", "rms_error", "inverse_max_error", "offset_max_error",
    "affine_max_error", "affine_rms_error", "n_points", "n_valid", "overlap", "image_overlap", "reason",
)  # fmt: skip


def link(
    reference: Any,
    image: Any,
    link_type: str = "wcs",
    use_affine: bool = True,
    tolerance: float = 0.05,
    wcs_fallback: str | None = "pixels",
    error_on_fail: bool = False,
    *,
    degree: int = 1,
) -> Link | None:
    """Link an image to a reference.

    Parameters
    ----------
    reference, image : path, Image, Picture, NDData or array
    link_type : {"wcs", "pixels"}
        By the place on the sky, or pixel (0, 0) over pixel (0, 0).
    use_affine : bool
        Use a fitted model in place of both WCS where it is as good as `tolerance`.
    tolerance : float
        The largest deviation allowed, in pixels of the image, and for the way back in pixels of the reference.
    wcs_fallback : {"pixels", None}
        What to do where there is no link by WCS: link by pixels (``reason`` tells), or do without.
    error_on_fail : bool
        With ``wcs_fallback=None``: raise instead of warning.
    degree : int
        The highest degree of the polynomials to try, 1 (affine) to 5, before the full WCS is used.

    Returns
    -------
    Link or None
        None, with a warning, where there is no link by WCS and ``wcs_fallback`` is None.

    Raises
    ------
    InputError
        If an argument is wrong; or if there is no link by WCS, ``wcs_fallback`` is None and ``error_on_fail`` is set.

    Notes
    -----
    The full way (pixel, sky, pixel) is walked at the nodes of a regular grid over the reference, 33 a side at most, its outer edges and
    corners among them; a node counts where the way back leads to it again. Offset and affine map are the closed solutions of linear least
    squares. The affine map is preferred unless a pure offset is as good. It is refused if one node, there or on the way back, lies farther
    off than `tolerance`. In cells of the grid whose corners do not count, and beyond the reference, a link uses the full WCS.
    """
    _check(link_type, tolerance, wcs_fallback, degree)
    if not isinstance(use_affine, (bool, np.bool_)):
        raise InputError(f"use_affine: must be True or False, found {use_affine!r}")
    first, second = picture(reference, "reference"), picture(image, "image")
    if reference is image or _same(first, second):
        return _identity("self", first, second)
    if link_type == "pixels":
        return _identity("pixels", first, second)
    try:
        return _by_sky(first, second, tolerance, degree if use_affine else 0)
    except InputError as err:
        reason = str(err)
    if wcs_fallback == "pixels":
        return _identity("pixels", first, second, f"linked by pixels: {reason}")
    if error_on_fail:
        raise InputError(f"no link by WCS: {reason}")
    warnings.warn(f"no link by WCS: {reason}", stacklevel=2)
    return None


def checked_box(box: Any, name: str = "box") -> Box:
    """Return x0, x1, y0, y1 as finite numbers.

    Raises
    ------
    InputError
        If they are not four finite numbers, the first of each pair the smaller.
    """
    values = _four(box)
    x0, x1, y0, y1 = [math.nan] * 4 if values is None else values.tolist()
    if not (math.isfinite(x0 + x1 + y0 + y1) and x0 < x1 and y0 < y1):
        raise InputError(f"{name}: must be (x0, x1, y0, y1) with x0 < x1 and y0 < y1, found {box}")
    return x0, x1, y0, y1


def view_box(zoom: Any, name: str = "zoom") -> Box | None:
    """Return a view as x0, x1, y0, y1; None where there is none, or where a limit is not finite, as a viewer has it that shows nothing.

    Raises
    ------
    InputError
        If they are not four numbers, the first of each pair the smaller.
    """
    if zoom is None:
        return None
    values = _four(zoom)
    if values is not None and not np.isfinite(values).all():
        return None
    return checked_box(zoom, name)


def _four(box: Any) -> Floats | None:
    try:
        values = np.asarray(box, float).ravel()
    except (TypeError, ValueError):
        return None
    return values if values.size == 4 else None


def checked_link(way: Any, shape: tuple[int, int], name: str = "link") -> Link:
    """Return a link, after a look whether it leads to an image of this shape (ny, nx).

    Raises
    ------
    InputError
        If it does not, or is none.
    """
    if not isinstance(way, Link):
        raise InputError(f"{name}: must be a Link, found {type(way).__name__}")
    if way.image_shape != shape:
        raise InputError(f"{name}: must lead to this image of shape {shape}, found one to {way.image!r} of shape {way.image_shape}")
    return way


def _check(link_type: Any, tolerance: Any, wcs_fallback: Any, degree: Any) -> None:
    if link_type not in ("pixels", "wcs"):
        raise InputError(f"link_type: must be 'pixels' or 'wcs', found {link_type!r}")
    if wcs_fallback not in (None, "pixels"):
        raise InputError(f"wcs_fallback: must be 'pixels' or None, found {wcs_fallback!r}")
    number = isinstance(tolerance, (int, float, np.number)) and not isinstance(tolerance, bool)
    if not (number and np.isfinite(tolerance) and tolerance >= 0):
        raise InputError(f"tolerance: must be a number of pixels, 0 or more, found {tolerance!r}")
    if isinstance(degree, bool) or not isinstance(degree, (int, np.integer)) or not 1 <= degree <= 5:
        raise InputError(f"degree: must be 1 to 5, found {degree!r}")


def _same(first: Picture, second: Picture) -> bool:
    """Tell whether two pictures are of the same pixels, under one label, and were given the same sky."""
    one, other = first.image, second.image
    pixels = one is other or (one.path is not None and one.path == other.path and one.hdu == other.hdu)
    return pixels and first.label == second.label and first._wcs is second._wcs


def _identity(kind: str, first: Picture, second: Picture, reason: str = "") -> Link:
    return Link(kind, "identity", first.label, second.label, first.shape, second.shape, reason=reason)


def _by_sky(first: Picture, second: Picture, tolerance: float, degree: int) -> Link:
    for name, one in (("reference", first), ("image", second)):
        if one.wcs is None:
            raise InputError(f"{name} {one.label!r}: has no celestial WCS that works")
    nodes = nodes_between(first.wcs, second.wcs, first.shape, second.shape)
    fit = best_fit(nodes, tolerance, degree) if degree else Fit()
    reason = fit.reason
    if nodes.overlap == 0 and nodes.image_overlap == 0:
        reason = "; ".join(filter(None, [reason, "the images have no sky in common"]))
    return Link(
        kind=fit.kind,
        model=fit.model,
        reference=first.label,
        image=second.label,
        shape=first.shape,
        image_shape=second.shape,
        tolerance=float(tolerance),
        max_error=fit.max_error,
        rms_error=fit.rms_error,
        inverse_max_error=fit.inverse_max_error,
        offset_max_error=fit.offset_max_error,
        affine_max_error=fit.affine_max_error,
        affine_rms_error=fit.affine_rms_error,
        n_points=nodes.grid.x.size,
        n_valid=int(nodes.grid.good.sum()),
        overlap=nodes.overlap,
        image_overlap=nodes.image_overlap,
        reason=reason,
        _models=fit.models,
        _wcs=(first.wcs, second.wcs),
        _grid=nodes.grid,
    )


def _pair(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    try:
        x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
    except (TypeError, ValueError) as err:
        raise InputError(f"x, y: must be numbers that broadcast ({err})") from err
    return x, y


def _replaced(u: Floats, v: Floats, x: Floats, y: Floats, known: NDArray[np.bool_] | None, full: Map) -> tuple[Floats, Floats]:
    """Put the full WCS where the model was not verified; None says that it was everywhere."""
    if known is None or known.all():
        return u, v
    if u.ndim == 0:
        return full(x, y)
    stray = ~known
    u[stray], v[stray] = full(x[stray], y[stray])
    return u, v
