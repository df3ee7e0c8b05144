"""An elongated kernel and what it makes of a round source: whether a kernel's angle survives shows at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ezarchive.errors import InputError

_FWHM = 2 * np.sqrt(2 * np.log(2))

Floats = NDArray[np.float64]


class ElongatedScene(NamedTuple):
    """A round source, an elongated kernel, and the source convolved with it.

    ``image`` and ``convolved`` have `pixel` arcsec, ``kernel`` has `kernel_pixel`; ``angle`` is that of the long axis in degrees from +x
    to +y; ``major``, ``minor`` are the variances of the convolved source along its axes, in pixels squared.
    """

    image: Floats
    kernel: Floats
    convolved: Floats
    pixel: float
    kernel_pixel: float
    angle: float
    major: float
    minor: float


def elongated_kernel(major: float, minor: float, angle: float, pixel: float) -> Floats:
    """Return an elliptical Gaussian kernel: odd, centred, peak 1 (not unit sum).

    Parameters
    ----------
    major, minor : float
        FWHM along the axes, arcsec.
    angle : float
        Of the long axis, degrees from +x to +y.
    pixel : float
        Arcsec.

    Raises
    ------
    InputError
        If an argument is wrong.
    """
    if not 0 < minor <= major < np.inf:
        raise InputError(f"minor {minor!r}: must be positive and at most major, {major!r}")
    if not 0 < pixel < np.inf:
        raise InputError(f"pixel {pixel!r}: must be positive")
    half = int(np.ceil(5 * major / _FWHM / pixel))
    return _ellipse(2 * half + 1, 2 * half + 1, (major / _FWHM / pixel) ** 2, (minor / _FWHM / pixel) ** 2, angle)


def elongated_scene(
    shape: tuple[int, int] = (201, 201),
    *,
    pixel: float = 0.1,
    source: float = 0.471,
    major: float = 1.884,
    minor: float = 0.706,
    angle: float = 30.0,
    oversampling: int = 2,
) -> ElongatedScene:
    """Make a round Gaussian source on a faint level, a kernel, and what the source convolved with it is.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns.
    pixel : float
        Of the image, arcsec.
    source, major, minor : float
        FWHM of the source and of the kernel along its axes, arcsec.
    angle : float
        Of the kernel's long axis, degrees from +x to +y.
    oversampling : int
        Kernel pixels per image pixel.

    Returns
    -------
    ElongatedScene

    Notes
    -----
    The convolution of two Gaussians is one whose covariance is the sum of theirs. Values are those at the centres of pixels.
    """
    kernel = elongated_kernel(major, minor, angle, pixel / oversampling)
    variances = [(fwhm / _FWHM / pixel) ** 2 for fwhm in (source, major, minor)]
    along, across = variances[0] + variances[1], variances[0] + variances[2]
    image = _ellipse(*shape, variances[0], variances[0], 0.0) + 1e-6
    convolved = _ellipse(*shape, along, across, angle) * variances[0] / np.sqrt(along * across) + 1e-6
    return ElongatedScene(image, kernel, convolved, pixel, pixel / oversampling, angle, along, across)


def second_moments(image: Floats) -> tuple[float, float, float]:
    """Return the variances along the long and the short axis of an image's light, in pixels squared, and the angle in [0, 180) degrees."""
    y, x = np.indices(image.shape, float)
    total = image.sum()
    x, y = x - (image * x).sum() / total, y - (image * y).sum() / total
    xx, yy, xy = ((image * a * b).sum() / total for a, b in ((x, x), (y, y), (x, y)))
    middle, half = (xx + yy) / 2, float(np.hypot((xx - yy) / 2, xy))
    return float(middle + half), float(middle - half), float(np.degrees(np.arctan2(2 * xy, xx - yy)) / 2 % 180)


def _ellipse(ny: int, nx: int, along: float, across: float, angle: float) -> Floats:
    """Return a centred Gaussian of peak 1 with these variances, in pixels squared."""
    y, x = np.mgrid[:ny, :nx] - np.array([(ny - 1) / 2, (nx - 1) / 2])[:, None, None]
    c, d = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return np.exp(-0.5 * ((c * x + d * y) ** 2 / along + (c * y - d * x) ** 2 / across))
