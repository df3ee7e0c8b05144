"""Images of one star for tests of sessions."""

from __future__ import annotations

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from ezarchive.quicklook import QuickLook

SHAPE = (60, 80)


def tan(dx=0.0, scale=1e-4, angle=0.0):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = [150.0, 2.0], [40.5 + dx, 30.5]
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    wcs.wcs.cd = scale * np.array([[-c, s], [s, c]])
    return wcs


def write(path, pixels, wcs=None, **cards):
    header = fits.Header() if wcs is None else wcs.to_header()
    header.update(cards)
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.asarray(pixels, float), header, name="SCI")]).writeto(path)
    return path


def star(x, y, flux=1000.0):
    yy, xx = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return flux / (2 * np.pi * 4) * np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / 8)


def session_of(tmp_path):
    """The same star on two images that are 3 pixels apart and in other units, and an image without a WCS."""
    made = QuickLook()
    made.load(write(tmp_path / "a.fits", star(40, 30), tan(), BUNIT="Jy"))
    made.load(write(tmp_path / "b.fits", 2 * star(43, 30), tan(3.0), BUNIT="electron/s"))
    made.load(write(tmp_path / "c.fits", star(40, 30) + 1))
    return made


A, B, C = "a[SCI,1]", "b[SCI,1]", "c[SCI,1]"
