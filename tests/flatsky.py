"""Gnomonic images for tests: the scale, angle and parity are what they are said to be."""

from __future__ import annotations

import numpy as np
from astropy.wcs import WCS


def tan(scale=0.5, turn=0.0, parity=-1, n=100, system="RA---TAN DEC--TAN"):
    """A WCS of `scale` arcsec, its north turned counter-clockwise by degrees; parity 1 is mirrored."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = system.split()
    wcs.wcs.crval, wcs.wcs.crpix = [10, 20], [n / 2 + 0.5, n / 2 + 0.5]
    cos, sin = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    wcs.wcs.cd = scale / 3600 * np.array([[parity * cos, parity * sin], [-sin, cos]])
    return wcs
