"""Exact sums over circles and ellipses on a plane, by sep or by photutils."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import sep

from ezarchive.sky.ellipses import Ellipses

ENGINES = ("sep", "photutils")

_NUDGE = 11 / 2.0**30, 7 / 2.0**30
"""Where an aperture and the pixels are symmetric to each other, corners lie on its edge or its axes, and sep 1.4's overlap is wrong (by
10 % and more, or NaN). A hundred-millionth of a pixel aside it is right to 1e-10."""


class Sums(NamedTuple):
    """``sum w v`` and, where a noise was given, ``sum w s^2``; shape (n,)."""

    value: np.ndarray
    variance: np.ndarray | None


def exact_sums(engine: str, plane: np.ndarray, x: np.ndarray, y: np.ndarray, ellipses: Ellipses, noise: np.ndarray | None = None) -> Sums:
    """Sum a plane over apertures, every pixel with the exact fraction of it that lies inside.

    Parameters
    ----------
    engine : {"sep", "photutils"}
        Both are exact; they agree to 1e-6 of the sum of absolute values (sep takes pixels as float32).
    plane : ndarray of float32 or float64, shape (ny, nx)
    x, y : ndarray, shape (n,)
        Centres, 0-based pixels.
    ellipses : Ellipses
    noise : ndarray, shape (ny, nx), optional
        Standard deviation of the pixels.

    Returns
    -------
    Sums
    """
    return (_by_sep if engine == "sep" else _by_photutils)(plane, x, y, ellipses, noise)


def _by_sep(plane: np.ndarray, x: np.ndarray, y: np.ndarray, ellipses: Ellipses, noise: np.ndarray | None) -> Sums:
    x, y = x + _NUDGE[0], y + _NUDGE[1]
    if (ellipses.a == ellipses.b).all():
        value, error, _ = sep.sum_circle(plane, x, y, ellipses.a, err=noise, subpix=0)
    else:
        angle = np.radians(ellipses.theta)
        value, error, _ = sep.sum_ellipse(plane, x, y, ellipses.a, ellipses.b, angle, 1.0, err=noise, subpix=0)
    return Sums(value, None if noise is None else np.square(error))


def _by_photutils(plane: np.ndarray, x: np.ndarray, y: np.ndarray, ellipses: Ellipses, noise: np.ndarray | None) -> Sums:
    # Slow to import, and seldom asked for.
    from photutils.aperture import CircularAperture, EllipticalAperture, aperture_photometry  # noqa: PLC0415

    value, variance = np.zeros(len(x)), None if noise is None else np.zeros(len(x))
    shapes, which = np.unique(np.stack([ellipses.a, ellipses.b, ellipses.theta]), axis=1, return_inverse=True)
    for k, (a, b, theta) in enumerate(shapes.T):
        index = np.flatnonzero(which.ravel() == k)
        positions = np.stack([x[index], y[index]], axis=-1)
        shape = CircularAperture(positions, a) if a == b else EllipticalAperture(positions, a, b, theta=np.radians(theta))
        value[index] = np.asarray(aperture_photometry(plane, shape, method="exact")["aperture_sum"])
        if noise is not None:
            squares = np.square(noise, dtype=np.float64)
            variance[index] = np.asarray(aperture_photometry(squares, shape, method="exact")["aperture_sum"])
    return Sums(value, variance)
