"""Compiled exact shares of pixels in concentric rings, circular or elliptical: one pass over the pixels, whatever the number of rings."""

from __future__ import annotations

import numpy as np
from numba import njit

from ezarchive.quicklook.apertures.kernels_overlap import pixel_in_ellipse

_HALF_DIAGONAL = 0.70711
"""Of a pixel, rounded up: no point of it is farther from its centre."""


@njit(cache=True, nogil=True, error_model="numpy")
def shares(x, y, ratio, cos, sin, step, n, rings, pixels, weights):  # pragma: no cover - compiled
    """Fill ring, pixel and share of the pixel's area in the ring, for each ring that a pixel touches; return how many.

    Ring k lies between the ellipses of semi-axes (k step, k step ratio) and ((k + 1) step, (k + 1) step ratio) about the origin, with the
    first axis along (cos, sin). Pixels have their centres at x, y. Where the three arrays are full the rest is only counted.
    """
    numbers = np.empty(6)
    numbers[4], numbers[5] = cos, sin
    reach = _HALF_DIAGONAL * max(1.0, 1.0 / ratio)
    count = 0
    for i in range(x.size):
        radius = np.hypot(x[i] * cos + y[i] * sin, (y[i] * cos - x[i] * sin) / ratio)
        first, last = max(int(np.floor((radius - reach) / step)), 0), int(np.floor((radius + reach) / step))
        before = 0.0
        for k in range(first, min(last, n - 1) + 1):
            share = 1.0
            if k < last:
                numbers[2], numbers[3] = (k + 1) * step, (k + 1) * step * ratio
                share = pixel_in_ellipse(x[i] - 0.5, y[i] - 0.5, numbers)
            if share > before:
                if count < rings.size:
                    rings[count], pixels[count], weights[count] = k, i, share - before
                count += 1
                before = share
    return count
