"""The points of a fit of one image's brightness against another's: pixels, or means over cells of the beam's size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ezarchive.errors import CompareError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

COVERAGES = (0.98, 0.9)
"""What is asked of a pixel, and what is where that leaves too little."""
FEWEST_PIXELS, FEWEST_BEAMS, ENOUGH_BEAMS = 100, 8.0, 20.0
_FILLED = 0.5
_PARTS_OF_BEAM = 4


@dataclass(frozen=True, eq=False)
class Cells:
    """Both images on a grid of cells.

    Attributes
    ----------
    reference, image : ndarray, shape (ny, nx)
        Means over the pixels in use.
    used : ndarray of bool, shape (ny, nx)
        Cells at least half filled with them.
    region : ndarray of bool, shape (ny, nx)
        Cells that lie, by half at least, where the range is taken from.
    beam : float
        FWHM in cells.
    n_pixels : int
    beams : float
        Area of the pixels in use, in squares of the FWHM.
    coverage : float
        What was asked of them.
    lowered : bool
        Whether that is less than what was asked first.
    """

    reference: Floats
    image: Floats
    used: Bools
    region: Bools
    beam: float
    n_pixels: int
    beams: float
    coverage: float
    lowered: bool = False

    @property
    def flags(self) -> tuple[str, ...]:
        """What is weak about them (see `OffsetFit`)."""
        low = ("low_coverage",) if self.lowered else ()
        return low + (("few_beams",) if self.beams < ENOUGH_BEAMS else ())


def gathered(  # noqa: PLR0913
    reference: Floats,
    image: Floats,
    valid: Bools,
    coverage: Floats | None,
    region: Bools,
    beam: float,
    side: int,
    limits: tuple[float, ...] = COVERAGES,
) -> Cells:
    """Return the cells of the pixels with enough coverage.

    Parameters
    ----------
    reference, image : ndarray, shape (ny, nx)
    valid : ndarray of bool
        Pixels with a value in both.
    coverage : ndarray or None
    region : ndarray of bool
    beam : float
        FWHM in pixels.
    side : int
        Of a cell in pixels.
    limits : tuple of float
        What is asked of the coverage, one after the other until enough pixels have it.

    Raises
    ------
    CompareError
        ``too_few_pixels``: even with the lower coverage.
    """
    limits = (0.0,) if coverage is None else limits
    for limit in limits:
        used = valid if coverage is None else valid & (coverage >= limit)
        n = int(np.count_nonzero(used))
        if n >= FEWEST_PIXELS and n / beam**2 >= FEWEST_BEAMS:
            return replace(_averaged(reference, image, used, region, beam, side, limit), lowered=limit < limits[0])
    raise CompareError(
        "too_few_pixels",
        f"the images must have {FEWEST_PIXELS} pixels and {FEWEST_BEAMS:g} beams in common (coverage {limit:g}), "
        f"found {n} and {n / beam**2:.1f}",
    )


def cell_side(kind: str, beam: float) -> int:
    """Return the side of a cell in pixels: one FWHM (``internal``), or the largest that leaves 4 to the FWHM (``external``)."""
    return max(1, round(beam) if kind == "internal" else int(beam / _PARTS_OF_BEAM))


def _averaged(reference: Floats, image: Floats, used: Bools, region: Bools, beam: float, side: int, limit: float) -> Cells:
    number = _sums(used, side)
    full = number >= _FILLED * side**2
    means = [
        np.divide(_sums(np.where(used, plane, 0.0), side), number, where=full, out=np.zeros(full.shape)) for plane in (reference, image)
    ]
    inside = full & (_sums(used & region, side) >= 0.5 * number)
    n = int(np.count_nonzero(used))
    return Cells(*means, full, inside, beam / side, n, n / beam**2, limit)


def _sums(plane: NDArray[Any], side: int) -> Floats:
    """Return sums over squares of `side` pixels; those at the far edges may be smaller."""
    if side == 1:
        return plane.astype(float)
    sums = np.add.reduceat(plane, np.arange(0, plane.shape[0], side), axis=0, dtype=float)
    return np.add.reduceat(sums, np.arange(0, plane.shape[1], side), axis=1)
