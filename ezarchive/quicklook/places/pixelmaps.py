"""From the pixels of one image to those of another: the full way over the sky, and fast models fitted to it on a grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from astropy.wcs import WCS, NoConvergence, WcsError
from numpy.typing import ArrayLike, NDArray

from ezarchive.errors import InputError
from ezarchive.quicklook.planes.skywcs import last_line, to_pixel, to_sky

Floats = NDArray[np.float64]

BLOCK = 16384
"""Points worked on at a time: what belongs to them stays in the processor's cache."""


def full_map(first: Any, second: Any) -> Callable[[Floats, Floats], tuple[Floats, Floats]]:
    """Return the function from pixels under one WCS to pixels under another.

    Parameters
    ----------
    first, second : WCS or object of the common interface

    Returns
    -------
    callable
        Takes 0-based pixels ``x, y`` (arrays of one shape), returns pixels; NaN where either WCS has nothing.

    Raises
    ------
    InputError
        If a WCS of FITS is singular; so does the callable.
    """
    try:
        direct = isinstance(first, WCS) and isinstance(second, WCS) and _system(first) == _system(second)
    except WcsError as err:
        raise InputError(f"wcs: must turn pixels into positions and back: {last_line(err)}") from err
    if direct:
        return lambda x, y: _directly(first, second, x, y)
    return lambda x, y: to_pixel(second, *to_sky(first, x, y))


def _system(wcs: WCS) -> tuple[Any, ...]:
    core = wcs.wcs
    equinox = float(core.equinox)
    return core.naxis, core.lngtyp.strip(), core.lattyp.strip(), core.radesys.strip(), None if np.isnan(equinox) else equinox


def _directly(first: WCS, second: WCS, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Map without ICRS between, for both are in the same system."""
    try:
        sky = first.all_pix2world(np.stack([x.ravel(), y.ravel()], axis=1), 0)
        world = np.empty_like(sky)
        world[:, second.wcs.lng], world[:, second.wcs.lat] = sky[:, first.wcs.lng], sky[:, first.wcs.lat]
        pixels = second.all_world2pix(world, 0, quiet=True)
    except NoConvergence as err:
        pixels = np.asarray(err.best_solution)
    except WcsError as err:
        raise InputError(f"wcs: must turn pixels into positions and back: {last_line(err)}") from err
    return pixels[:, 0].reshape(x.shape), pixels[:, 1].reshape(x.shape)


@dataclass(frozen=True, eq=False)
class Polynomial:
    """Two polynomials of two variables, of one total degree: (x, y) -> (u, v).

    Attributes
    ----------
    coefficients : ndarray, shape (degree + 1, degree + 1, 2)
        Of ``s**i t**j`` at [i, j], where s and t are x and y less `centre`, divided by `half`.
    centre, half : tuple of float
        They bring the points of the fit to -1 ... 1.
    """

    coefficients: Floats
    centre: tuple[float, float] = (0.0, 0.0)
    half: tuple[float, float] = (1.0, 1.0)

    @property
    def degree(self) -> int:
        """1 is affine."""
        return len(self.coefficients) - 1

    @cached_property
    def matrix(self) -> Floats:
        """Of an affine one: d(u, v) / d(x, y), shape (2, 2)."""
        return np.stack([self.coefficients[1, 0] / self.half[0], self.coefficients[0, 1] / self.half[1]], axis=1)

    @cached_property
    def offset(self) -> Floats:
        """Of an affine one: (u, v) at (0, 0)."""
        return self.coefficients[0, 0] - self.matrix @ np.array(self.centre)

    def __call__(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Return u and v."""
        shape, fill = np.shape(x), self._affine if self.degree == 1 else self._horner
        x, y = np.ravel(x), np.ravel(y)
        u, v, spare = np.empty(x.size), np.empty(x.size), np.empty(min(x.size, BLOCK))
        for first in range(0, x.size, BLOCK):
            part = slice(first, first + BLOCK)
            fill(x[part], y[part], (u[part], v[part]), spare[: x[part].size])
        return u.reshape(shape), v.reshape(shape)

    def _affine(self, x: Floats, y: Floats, out: tuple[Floats, Floats], spare: Floats) -> None:
        for (along_x, along_y), constant, found in zip(self.matrix.tolist(), self.offset.tolist(), out, strict=True):
            np.multiply(x, along_x, out=found)
            np.multiply(y, along_y, out=spare)
            found += spare
            found += constant

    def _horner(self, x: Floats, y: Floats, out: tuple[Floats, Floats], spare: Floats) -> None:
        s, t = (x - self.centre[0]) / self.half[0], (y - self.centre[1]) / self.half[1]
        for axis, total in enumerate(out):
            total[:] = 0.0
            for i in range(self.degree, -1, -1):
                spare[:] = 0.0
                for j in range(self.degree - i, -1, -1):
                    spare *= t
                    spare += self.coefficients[i, j, axis]
                total *= s
                total += spare


def fit_offset(x: Floats, y: Floats, u: Floats, v: Floats) -> Polynomial:
    """Return the pure shift that is nearest by least squares: the means of the differences."""
    coefficients = np.zeros((2, 2, 2))
    coefficients[0, 0] = np.mean(u - x), np.mean(v - y)
    coefficients[1, 0, 0] = coefficients[0, 1, 1] = 1.0
    return Polynomial(coefficients)


def fit_polynomial(x: Floats, y: Floats, u: Floats, v: Floats, degree: int) -> Polynomial | None:
    """Return the polynomial that is nearest by linear least squares; None where the points do not fix one.

    Parameters
    ----------
    x, y, u, v : ndarray, shape (n,)
        Finite.
    degree : int
        Total degree, from 1.
    """
    terms = [(i, j) for i in range(degree + 1) for j in range(degree + 1 - i)]
    if x.size < len(terms):
        return None
    centre = (float(x.max() + x.min()) / 2, float(y.max() + y.min()) / 2)
    half = (float(np.ptp(x)) / 2, float(np.ptp(y)) / 2)
    if not min(half) > 0:
        return None
    s, t = (x - centre[0]) / half[0], (y - centre[1]) / half[1]
    design = np.stack([s**i * t**j for i, j in terms], axis=1)
    # About their means, so that pixels far from 0 cost no digits.
    means = np.array([u.mean(), v.mean()])
    solution, _, rank, _ = np.linalg.lstsq(design, np.stack([u, v], axis=1) - means, rcond=None)
    if rank < len(terms):
        return None
    coefficients = np.zeros((degree + 1, degree + 1, 2))
    for (i, j), pair in zip(terms, solution, strict=True):
        coefficients[i, j] = pair
    coefficients[0, 0] += means
    return Polynomial(coefficients, centre, half)


def inverse_affine(model: Polynomial) -> Polynomial | None:
    """Return the inverse of an affine map, None where it has none."""
    matrix = model.matrix
    determinant = matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0]
    if not abs(determinant) > 1e-12 * np.abs(matrix).max() ** 2:
        return None
    inverse = np.array([[matrix[1, 1], -matrix[0, 1]], [-matrix[1, 0], matrix[0, 0]]]) / determinant
    coefficients = np.zeros((2, 2, 2))
    coefficients[0, 0], coefficients[1, 0], coefficients[0, 1] = -inverse @ model.offset, inverse[:, 0], inverse[:, 1]
    return Polynomial(coefficients)


def deviations(model: Callable[..., tuple[Floats, Floats]], x: Floats, y: Floats, u: Floats, v: Floats) -> Floats:
    """Return how far (in pixels of the target) a model lies from where it should."""
    found_u, found_v = model(x, y)
    return np.hypot(found_u - u, found_v - v)


@dataclass(frozen=True, eq=False)
class Grid:
    """Nodes over the whole of an image, its outer edges among them, and which of the cells between them are known to be good.

    Attributes
    ----------
    x, y : ndarray, shape (rows, columns)
        0-based pixels, from -0.5 to n - 0.5.
    good : ndarray of bool, shape (rows, columns)
    """

    x: Floats
    y: Floats
    good: NDArray[np.bool_]

    @cached_property
    def _cells(self) -> NDArray[np.bool_]:
        good = self.good
        return good[:-1, :-1] & good[1:, :-1] & good[:-1, 1:] & good[1:, 1:]

    @cached_property
    def bounds(self) -> tuple[float, float, float, float]:
        """x0, x1, y0, y1."""
        return float(self.x[0, 0]), float(self.x[0, -1]), float(self.y[0, 0]), float(self.y[-1, 0])

    def holds(self, x: Floats, y: Floats) -> NDArray[np.bool_] | None:
        """Tell which points lie in good cells; None says all of them."""
        x0, x1, y0, y1 = self.bounds
        whole = bool(self._cells.all())
        # The smallest and largest are NaN where one number is.
        if whole and x.size and x.min() >= x0 and x.max() <= x1 and y.min() >= y0 and y.max() <= y1:
            return None
        inside = (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
        if whole:
            return inside
        rows, columns = self._cells.shape
        with np.errstate(invalid="ignore"):
            column = np.where(inside, (x - x0) * (columns / (x1 - x0)), 0.0).astype(int).clip(0, columns - 1)
            row = np.where(inside, (y - y0) * (rows / (y1 - y0)), 0.0).astype(int).clip(0, rows - 1)
        return inside & self._cells[row, column]


def grid_over(shape: tuple[int, int], most: int = 33) -> tuple[Floats, Floats]:
    """Return the nodes of a regular grid over an image of shape (ny, nx), at most so many a side, edges and corners among them."""
    axes = [np.linspace(-0.5, n - 0.5, min(most, n + 1)) for n in shape]
    y, x = np.meshgrid(*axes, indexing="ij")
    return x, y


def inside(x: ArrayLike, y: ArrayLike, shape: tuple[int, int], margin: float = 0.0) -> NDArray[np.bool_]:
    """Tell which points lie on an image of shape (ny, nx), or within a margin of it; NaN does not."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    low, right, top = -0.5 - margin, shape[1] - 0.5 + margin, shape[0] - 0.5 + margin
    return (x >= low) & (x <= right) & (y >= low) & (y <= top)
