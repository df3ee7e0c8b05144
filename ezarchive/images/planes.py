"""The image planes of a FITS file: which HDU is the data, which its noise and mask, and what unit they are in."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from astropy.io import fits

from ezarchive.errors import FrameError
from ezarchive.images.fitsfile import open_fits

DATA_NAMES = ("DATA", "SCI")
VARIANCE_NAMES = ("STAT", "VAR", "VARIANCE")
ERROR_NAMES = ("ERR", "ERROR", "UNCERT")
QUALITY_NAME = "DQ"
_JWST_DO_NOT_USE = 1
_SUFFIXES = (".fits.gz", ".fits.fz", ".fits", ".fit", ".fts")


def unit_of(header: fits.Header) -> u.UnitBase | None:
    """Return the unit that BUNIT names, None where it names none that is known."""
    text = str(header.get("BUNIT", "")).strip()
    if not text:
        return None
    for form in ("fits", "generic", "vounit"):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", u.UnitsWarning)
                return u.Unit(text, format=form)
        except ValueError:
            continue
    return None


def quality_mask(quality: np.ndarray, primary: fits.Header) -> np.ndarray:
    """Return where the DQ plane of a file says that a pixel must not be used.

    Parameters
    ----------
    quality : ndarray
        Bits; NaN counts as set.
    primary : Header
        Of the file's first HDU.

    Returns
    -------
    ndarray of bool
        True where it is not 0; of JWST, where its first bit (DO_NOT_USE) is set.
    """
    bits = np.nan_to_num(quality, nan=1.0).astype(np.int64)
    return (bits & _JWST_DO_NOT_USE if str(primary.get("TELESCOP")).strip() == "JWST" else bits) != 0


def data_hdu(path: Path) -> int:
    """Return the number of the HDU whose pixels are read of a file: DATA, SCI or the first image.

    Raises
    ------
    FrameError
        If the file cannot be read or holds no image.
    """
    with open_fits(path, memmap=True) as units:
        planes = [k for k, unit in enumerate(units) if is_plane(unit)]
        named = [k for k in planes if units[k].name.upper() in DATA_NAMES]
    if not planes:
        raise FrameError("no_image", f"{path}: must hold a 2-D image, found none in its {len(units)} HDUs")
    return (named or planes)[0]


def siblings_of(path: Path, hdu: int) -> dict[str, int]:
    """Return the numbers of the other images of the same version (EXTVER) by their names.

    Raises
    ------
    FrameError
        If the file cannot be read.
    """
    with open_fits(path, memmap=True) as units:
        planes = [(k, unit) for k, unit in enumerate(units) if is_plane(unit) and k != hdu % len(units)]
        return {unit.name.upper(): k for k, unit in planes if unit.ver == units[hdu].ver}


def stem(path: Path) -> str:
    """Return the name of a FITS file without its suffix."""
    lowered = path.name.lower()
    return next((path.name[: -len(suffix)] for suffix in _SUFFIXES if lowered.endswith(suffix)), path.name)


def is_plane(unit: Any) -> bool:
    """Say whether an HDU is an image of two axes, others of one pixel apart."""
    shape = unit.shape if unit.is_image else ()
    return len(shape) >= 2 and all(n == 1 for n in shape[:-2])
