"""Two images at one resolution, wherever their pixels lie: brought onto the pixels of the reference and fitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.wcs import WCS
from numpy.typing import NDArray

from ezarchive import sky
from ezarchive.compare.anchoring.offsets import OffsetFit, fit_offset
from ezarchive.compare.anchoring.reprojection import reproject_to
from ezarchive.errors import InputError

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Level:
    """An image at the resolution in common.

    Attributes
    ----------
    data : ndarray, shape (ny, nx)
        Surface brightness; NaN: blank.
    wcs : WCS
        Celestial, two axes.
    coverage : ndarray, shape (ny, nx), or None
        Share of the beam that lay on pixels (see `convolve_to`); None: 1 everywhere.
    """

    data: NDArray[Any]
    wcs: WCS
    coverage: NDArray[Any] | None = None


@dataclass(frozen=True, eq=False)
class Matched:
    """Two images on the same pixels, and the smaller coverage of the two (None: not known of either)."""

    reference: Floats
    image: Floats
    coverage: Floats | None


def anchor_fit(
    image: Level,
    reference: Level,
    *,
    fwhm: float,
    kind: str = "external",
    method: str = "robust",
    reproject: str = "interp",
    **options: Any,
) -> tuple[OffsetFit, Matched]:
    """Fit an image against a reference that has other pixels.

    Parameters
    ----------
    image, reference : Level
        Through the same beam, in the same unit.
    fwhm : float
        Of that beam, arcsec.
    kind, method : str
        See `fit_offset`.
    reproject : {"interp", "exact", "adaptive"}
        See `reproject_to`.
    **options
        Of `fit_offset`; arrays among them (mask, region) are on the reference's pixels.

    Returns
    -------
    fit : OffsetFit
    matched : Matched

    Raises
    ------
    InputError
        If an argument is wrong.
    CompareError
        ``no_overlap``, or as `fit_offset` says.
    """
    if not 0 < fwhm < np.inf:
        raise InputError(f"fwhm {fwhm!r}: must be positive, in arcsec")
    matched = match_levels(image, reference, reproject=reproject, points=2 if (kind, method) == ("external", "robust") else 1)
    ny, nx = matched.reference.shape
    beam = fwhm / float(sky.pixel_scale(reference.wcs, (nx - 1) / 2, (ny - 1) / 2))
    fit = fit_offset(matched.reference, matched.image, method=method, kind=kind, beam_pixels=beam, coverage=matched.coverage, **options)
    return fit, matched


def match_levels(image: Level, reference: Level, *, reproject: str = "interp", points: int = 1) -> Matched:
    """Bring an image onto the pixels of a reference (see `reproject_to`)."""
    there = np.asarray(reference.data, float)
    if there.ndim != 2:
        raise InputError(f"reference: must have two axes, found shape {there.shape}")
    own = image.coverage
    if own is None and reference.coverage is not None:
        own = np.ones(np.shape(image.data), np.float32)
    made = reproject_to(image.data, image.wcs, reference.wcs, there.shape, method=reproject, coverage=own, points=points)
    coverage = made.coverage
    if reference.coverage is not None:
        coverage = np.minimum(coverage, reference.coverage)
    return Matched(there, made.data, coverage)
