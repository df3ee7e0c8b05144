"""Ellipses on pixels and on the sky: axes and angles through the local Jacobian, and the quadratic form of an ellipse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy.wcs import WCS

from ezarchive.errors import InputError
from ezarchive.sky.pixels import jacobian as local_jacobian

THETA_FRAMES = ("pixel", "sky")
AXES_UNITS = ("pixel", "arcsec")


@dataclass(frozen=True)
class Ellipses:
    """Ellipses around positions; every field has shape (n,).

    Attributes
    ----------
    a, b : ndarray
        Semi-major and semi-minor axis, pixels; equal for circles.
    theta : ndarray
        Direction of the major axis, degrees counter-clockwise from +x, in (-90, 90].
    """

    a: np.ndarray
    b: np.ndarray
    theta: np.ndarray

    @classmethod
    def circles(cls, radius: float, n: int) -> Ellipses:
        """Return the same circle for each of `n` positions."""
        axis = np.full(n, float(radius))
        return cls(axis, axis, np.zeros(n))

    def __getitem__(self, index: np.ndarray) -> Ellipses:
        return Ellipses(self.a[index], self.b[index], self.theta[index])

    @property
    def area(self) -> np.ndarray:
        """Area in square pixels."""
        return np.pi * self.a * self.b

    def reach(self) -> tuple[np.ndarray, np.ndarray]:
        """Return half the width and half the height of the boxes around them."""
        cos, sin = np.cos(np.radians(self.theta)), np.sin(np.radians(self.theta))
        return np.hypot(self.a * cos, self.b * sin), np.hypot(self.a * sin, self.b * cos)

    def form(self) -> np.ndarray:
        """Return (xx, xy, yy), shape (n, 3): ``xx dx^2 + xy dx dy + yy dy^2`` is 1 on the ellipse."""
        cos, sin = np.cos(np.radians(self.theta)), np.sin(np.radians(self.theta))
        along, across = 1.0 / self.a**2, 1.0 / self.b**2
        return np.stack(
            [cos**2 * along + sin**2 * across, 2 * cos * sin * (along - across), sin**2 * along + cos**2 * across], axis=-1
        )  # fmt: skip

    def scaled(self, factor: float) -> Ellipses:
        """Return them with both axes multiplied."""
        return Ellipses(self.a * factor, self.b * factor, self.theta)


def on_pixels(
    a: np.ndarray, b: np.ndarray, theta: np.ndarray, *, theta_frame: str, unit: str, jacobian: np.ndarray | None = None
) -> Ellipses:
    """Return ellipses on the pixels.

    Parameters
    ----------
    a, b : ndarray, shape (n,)
        Semi-major and semi-minor axis.
    theta : ndarray, shape (n,)
        Direction of the major axis, degrees.
    theta_frame : {"pixel", "sky"}
        Whether `theta` is counted counter-clockwise from +x, or is a position angle: from north through east.
    unit : {"pixel", "arcsec"}
        Of the axes.
    jacobian : ndarray, shape (n, 2, 2), optional
        Derivative of (east, north; arcsec) by (x, y) at each position (``sky.jacobian``); needed unless all is in pixels.

    Returns
    -------
    Ellipses
        NaN where the Jacobian is.

    Raises
    ------
    InputError
        If axes are not positive and finite, `b` exceeds `a`, or there is no Jacobian but a need of one.

    Notes
    -----
    Axes in arcsec with an angle on the sky make an ellipse on the sky: with ``u`` its points and ``d = J^-1 u`` those on the pixels, its
    matrix ``S`` becomes ``J^-1 S J^-T``. An angle on the sky with axes in pixels gives the direction alone; an angle on the pixels with
    axes in arcsec takes the scale ``sqrt |det J|`` for both axes.
    """
    _check(a, b, theta)
    if theta_frame not in THETA_FRAMES:
        raise InputError(f"theta_frame: must be 'pixel' or 'sky', found {theta_frame!r}")
    if unit not in AXES_UNITS:
        raise InputError(f"axes_unit: must be 'pixel' or 'arcsec', found {unit!r}")
    if (theta_frame, unit) == ("pixel", "pixel"):
        return Ellipses(a, b, half_turn(theta))
    if jacobian is None:
        raise InputError("wcs: must be given for axes in arcsec or an angle on the sky, found None")
    if theta_frame == "pixel":
        scale = np.sqrt(np.abs(np.linalg.det(jacobian)))
        return Ellipses(a / scale, b / scale, half_turn(theta))
    inverse = _inverse(jacobian)
    if unit == "arcsec":
        # On the sky x is east and y is north, so that a position angle is counted from +y towards +x.
        return from_covariance(inverse @ _covariance(a, b, 90.0 - theta) @ np.swapaxes(inverse, -1, -2))
    angle = np.radians(theta)
    direction = inverse @ np.stack([np.sin(angle), np.cos(angle)], axis=-1)[..., None]
    return Ellipses(a, b, half_turn(np.degrees(np.arctan2(direction[:, 1, 0], direction[:, 0, 0]))))


def on_sky(ellipses: Ellipses, jacobian: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the semi-axes in arcsec and the position angle (degrees east of north, in (-90, 90]) of ellipses on the pixels."""
    covariance = jacobian @ _covariance(ellipses.a, ellipses.b, ellipses.theta) @ np.swapaxes(jacobian, -1, -2)
    found = from_covariance(covariance)
    return found.a, found.b, half_turn(90.0 - found.theta)


def from_covariance(matrix: np.ndarray) -> Ellipses:
    """Return the ellipses whose points are ``d' matrix^-1 d = 1``, of symmetric matrices of shape (n, 2, 2)."""
    xx, xy, yy = matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 1, 1]
    half, difference = (xx + yy) / 2, (xx - yy) / 2
    spread = np.hypot(difference, xy)
    with np.errstate(invalid="ignore", divide="ignore"):
        a = np.sqrt(half + spread)
        # The determinant does not cancel as half - spread would for a thin ellipse.
        b = np.sqrt(xx * yy - xy * xy) / a
    return Ellipses(a, b, half_turn(np.degrees(np.arctan2(xy, difference) / 2)))


def jacobian_at(wcs: WCS | None, x: np.ndarray, y: np.ndarray) -> np.ndarray | None:
    """Return ``sky.jacobian`` at positions, NaN where a position is, and None without a WCS."""
    if wcs is None:
        return None
    found = np.full((len(x), 2, 2), np.nan)
    known = np.isfinite(x) & np.isfinite(y)
    if known.any():
        found[known] = local_jacobian(wcs, x[known], y[known])
    return found


def half_turn(angle: np.ndarray) -> np.ndarray:
    """Bring directions of axes into (-90, 90] degrees."""
    return 90.0 - np.mod(90.0 - angle, 180.0)


def _covariance(a: np.ndarray, b: np.ndarray, theta: np.ndarray) -> np.ndarray:
    cos, sin = np.cos(np.radians(theta)), np.sin(np.radians(theta))
    xx, xy, yy = (a * cos) ** 2 + (b * sin) ** 2, (a * a - b * b) * cos * sin, (a * sin) ** 2 + (b * cos) ** 2
    return np.stack([np.stack([xx, xy], axis=-1), np.stack([xy, yy], axis=-1)], axis=-2)


def _inverse(matrix: np.ndarray) -> np.ndarray:
    """Invert 2x2 matrices; NaN where they are singular."""
    with np.errstate(divide="ignore", invalid="ignore"):
        determinant = matrix[..., 0, 0] * matrix[..., 1, 1] - matrix[..., 0, 1] * matrix[..., 1, 0]
        adjoint = np.stack(
            [np.stack([matrix[..., 1, 1], -matrix[..., 0, 1]], axis=-1), np.stack([-matrix[..., 1, 0], matrix[..., 0, 0]], axis=-1)],
            axis=-2,
        )
        return adjoint / np.where(determinant == 0, np.nan, determinant)[..., None, None]


def _check(a: np.ndarray, b: np.ndarray, theta: np.ndarray) -> None:
    for name, axis in (("a", a), ("b", b)):
        wrong = ~(np.isfinite(axis) & (axis > 0))
        if wrong.any():
            first = int(np.argmax(wrong))
            raise InputError(f"{name}: semi-axes must be positive and finite, found {axis[first]} in row {first}")
    if (b > a).any():
        first = int(np.argmax(b > a))
        raise InputError(f"a, b: the semi-minor axis must not exceed the semi-major one, found a={a[first]}, b={b[first]} in row {first}")
    if not np.isfinite(theta).all():
        raise InputError(f"theta: must be finite, found {theta[~np.isfinite(theta)][0]}")
