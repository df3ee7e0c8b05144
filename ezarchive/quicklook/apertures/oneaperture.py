"""One aperture on one image with everything that goes with it: what the curve of growth and the radial profile begin with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ezarchive.errors import InputError
from ezarchive.quicklook.apertures.backgrounds import background_levels
from ezarchive.quicklook.planes.inputs import picture
from ezarchive.quicklook.planes.pictures import Picture
from ezarchive.quicklook.planes.quality import bad_pixels, errors_of
from ezarchive.quicklook.regions.regionkinds import shape_of
from ezarchive.quicklook.regions.shapebase import Shape


@dataclass(frozen=True, eq=False)
class OneAperture:
    """An aperture on an image.

    Attributes
    ----------
    picture : Picture
    shape : Shape
        On its pixels.
    level, level_err : float
        Background, unit of the pixels; the error is NaN for a level that was given.
    good : ndarray of bool, or None
        True where a pixel may be used.
    variance : ndarray or None
        Of the pixels.
    """

    picture: Picture
    shape: Shape
    level: float
    level_err: float
    good: NDArray[np.bool_] | None
    variance: NDArray[np.float64] | None


def one_aperture(
    image: Any,
    region: Any,
    *,
    background: Any = 0.0,
    background_method: str = "median",
    background_mask: Any = None,
    error: Any = None,
    mask: Any = None,
    label: str | None = None,
    wcs: Any = None,
    unit: Any = None,
    header: Mapping[str, Any] | None = None,
) -> OneAperture:
    """Return image, shape, background and planes; the arguments are those of `aperture_photometry`.

    Raises
    ------
    InputError
        If an argument is not as it must be, or the background cannot be measured.
    FrameError
        If a file cannot be read.
    """
    shown = picture(image, wcs=wcs, unit=unit, header=header, label=label)
    shape = shape_of(region, shown)
    bad, errors = bad_pixels(shown, mask), errors_of(shown, error)
    good = None if bad is None else ~bad
    without = bad_pixels(shown, background_mask, name="background_mask", own=False)
    free = good if without is None else ~without if good is None else good & ~without
    levels = background_levels(shown, background, [shape], method=background_method, good=free)
    if levels.reason[0]:
        raise InputError(levels.reason[0])
    return OneAperture(shown, shape, float(levels.level[0]), float(levels.error[0]), good, None if errors is None else errors**2)
