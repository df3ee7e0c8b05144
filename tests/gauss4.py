"""The image of four Gaussians that numbers of the reference page belong to, with the noise of then and of now."""

from __future__ import annotations

import numpy as np
from photutils.datasets import make_4gaussians_image

_AMPLITUDE, _X, _Y = (50, 70, 150, 210), (160, 25, 150, 90), (70, 40, 25, 60)
_A, _B, _THETA = (15.2, 5.1, 3.0, 8.1), (2.6, 2.5, 3.0, 4.7), (145, 20, 0, 60)


def old() -> np.ndarray:
    """The Gaussians without end, over 5, with noise of 5 by numpy's legacy generator; shape (100, 200)."""
    y, x = np.mgrid[:100, :200]
    image = np.full((100, 200), 5.0)
    for amplitude, x0, y0, a, b, theta in zip(_AMPLITUDE, _X, _Y, _A, _B, np.radians(_THETA), strict=True):
        along, across = (x - x0) * np.cos(theta) + (y - y0) * np.sin(theta), (y - y0) * np.cos(theta) - (x - x0) * np.sin(theta)
        image += amplitude * np.exp(-0.5 * ((along / a) ** 2 + (across / b) ** 2))
    return image + np.random.RandomState(12345).normal(0.0, 5.0, (100, 200))  # noqa: NPY002


def new() -> np.ndarray:
    """What photutils makes of it today: Gaussians that end, and the noise of numpy's new generator; shape (100, 200)."""
    return make_4gaussians_image()
