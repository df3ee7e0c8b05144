"""SExtractor's eight flag bits for sources that sep detected (sep's own bits mean other things)."""

from __future__ import annotations

import numpy as np
import sep

from ezarchive import flags
from ezarchive.photometry import kernels_sources as kernels
from ezarchive.photometry.extraction import Detected

_BIT = {flag.name: flag.bit for flag in flags.FLAGS}
_OF_SEP = ((sep.OBJ_MERGED, "MERGED"), (sep.OBJ_TRUNC, "TRUNCATED"), (sep.OBJ_DOVERFLOW, "DEBLEND_OVERFLOW"))
_OF_MEASURES = (
    (kernels.CUT | kernels.HOLED, "APER_INCOMPLETE"), (kernels.CROWDED, "CROWDED"), (kernels.BROKEN, "ISO_INCOMPLETE")
)  # fmt: skip


def source_flags(found: Detected, measured: np.ndarray, peak_level: np.ndarray, saturation: float | None) -> np.ndarray:
    """Return FLAGS as SExtractor means them.

    Parameters
    ----------
    found : Detected
        Its objects bring sep's flags and those of what they swallowed in cleaning.
    measured : ndarray of int, shape (n,)
        Bits of ``kernels_sources``. As in SExtractor, neighbours count as crowding only where they are masked.
    peak_level : ndarray, shape (n,)
        Highest pixel, the background's level added.
    saturation : float or None
        Level from which pixels are saturated.

    Returns
    -------
    ndarray of int16, shape (n,)
    """
    bits = np.zeros(len(measured), np.int16)
    of_sep = found.objects["flag"] if found.eaten_flag is None else found.objects["flag"] | found.eaten_flag
    for source, table in ((of_sep, _OF_SEP), (measured, _OF_MEASURES)):
        for bit, name in table:
            bits[(source & bit) != 0] |= _BIT[name]
    if saturation is not None:
        bits[peak_level >= saturation] |= _BIT["SATURATED"]
    return bits
