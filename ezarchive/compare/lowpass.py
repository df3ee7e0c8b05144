"""The low-pass filter of a regridded image: its transfer function, and the cards of a header that tell of it.

An image that is put on larger pixels must first lose whatever these could not hold. The filter is a radial Blackman window on the
frequencies of the new pixels. A fit needs its transfer function, so that the header of a regridded image names it:

======== ========================================================================================
keyword  meaning
======== ========================================================================================
LPWINDOW ``BLACKMAN``: the spectrum was multiplied by ``blackman(r)``
LPSTEPX  arcsec; ``r = 2 hypot(fx LPSTEPX, fy LPSTEPY)``, fx and fy in cycles per arcsec along x and y
LPSTEPY  arcsec
======== ========================================================================================
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from astropy.io import fits
from numpy.typing import ArrayLike, NDArray

from ezarchive.compare.moffat import blackman
from ezarchive.errors import InputError

WINDOW = "BLACKMAN"

Floats = NDArray[np.float64]


class LowPass(NamedTuple):
    """A radial Blackman window on the frequencies of pixels.

    ``step_y``, ``step_x`` are the sides of these pixels in arcsec: nothing passes from half a cycle per pixel on.
    """

    step_y: float
    step_x: float

    def transfer(self, fx: ArrayLike, fy: ArrayLike) -> Floats:
        """Return what frequencies are multiplied by; cycles per arcsec along x and y of the image, they broadcast."""
        return blackman(2 * np.hypot(np.asarray(fx) * self.step_x, np.asarray(fy) * self.step_y))

    def cards(self) -> dict[str, tuple[object, str]]:
        """Return the cards of a header that tell of it."""
        return {
            "LPWINDOW": (WINDOW, "low-pass filter applied when regridded"),
            "LPSTEPX": (float(self.step_x), "[arcsec] 1/2 cycle per this: cutoff along x"),
            "LPSTEPY": (float(self.step_y), "[arcsec] 1/2 cycle per this: cutoff along y"),
        }


def lowpass_of(header: fits.Header) -> LowPass | None:
    """Return the low-pass filter that a header tells of, None where it tells of none.

    Raises
    ------
    InputError
        If its cards are damaged.
    """
    if "LPWINDOW" not in header:
        return None
    window = str(header["LPWINDOW"]).strip().upper()
    if window != WINDOW:
        raise InputError(f"LPWINDOW: must be {WINDOW}, found {window!r}")
    steps = [header.get(keyword) for keyword in ("LPSTEPY", "LPSTEPX")]
    if not all(isinstance(step, (int, float)) and 0 < step < np.inf for step in steps):
        raise InputError(f"LPSTEPX, LPSTEPY: must be positive arcsec, found {steps[1]!r}, {steps[0]!r}")
    return LowPass(*map(float, steps))
