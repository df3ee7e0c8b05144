"""Full maps as FITS files, written whole or not at all and a strip at a time."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from astropy.io import fits

from ezarchive.errors import InputError
from ezarchive.files import atomic_write

STRIP_PIXELS = 1 << 21
"""Pixels of a map that are evaluated at once where all are wanted."""
_KEPT_OUT = ("SIMPLE", "XTENSION", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "EXTEND", "PCOUNT", "GCOUNT", "BSCALE", "BZERO", "BLANK",
             "CHECKSUM", "DATASUM", "END")  # fmt: skip


def strips(shape: tuple[int, int], pixels: int = STRIP_PIXELS) -> list[slice]:
    """Return the rows of an image as stretches of at most so many pixels (at least one row each)."""
    step = max(pixels // max(shape[1], 1), 1)
    return [slice(first, min(first + step, shape[0])) for first in range(0, shape[0], step)]


def write_fits(
    path: str | os.PathLike[str],
    shape: tuple[int, int],
    read: Callable[[slice], np.ndarray],
    dtype: type[np.generic],
    header: fits.Header | None = None,
) -> Path:
    """Write an image of any size as the primary HDU of a FITS file.

    Parameters
    ----------
    path : path
        What is there already is replaced when the new file is whole.
    shape : tuple of two ints
        Rows and columns.
    read : callable
        Gives the pixels of a slice of rows.
    dtype : type
        Of the pixels in the file.
    header : Header, optional
        Its cards are copied, but for those that describe other pixels; it is not changed.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If the suffix is not ``.fits``, ``.fit`` or ``.fts``.
    """
    path = Path(path)
    if path.suffix.lower() not in (".fits", ".fit", ".fts"):
        raise InputError(f"path {str(path)!r}: the suffix must be .fits, .fit or .fts")
    cards = fits.PrimaryHDU(np.zeros((1, 1), dtype)).header
    cards["NAXIS1"], cards["NAXIS2"] = int(shape[1]), int(shape[0])
    extra = fits.Header() if header is None else header.copy(strip=True)
    for keyword in _KEPT_OUT:
        extra.remove(keyword, ignore_missing=True, remove_all=True)
    cards.extend(extra.cards, unique=False, update=False)
    stored, written = np.dtype(dtype).newbyteorder(">"), 0
    with atomic_write(path) as stream:
        stream.write(cards.tostring().encode("ascii"))
        for rows in strips(shape):
            written += stream.write(np.ascontiguousarray(read(rows), stored).tobytes())
        stream.write(b"\0" * (-written % 2880))
    return path
