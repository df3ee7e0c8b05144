"""FITS files: opened with reasons of failure as codes; full maps written whole or not at all and a strip at a time."""

from __future__ import annotations

import os
import re
import textwrap
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from astropy.io import fits

from ezarchive.errors import EzarchiveError, FrameError, InputError
from ezarchive.files import atomic_write

STRIP_PIXELS = 1 << 21
"""Pixels of a map that are evaluated at once where all are wanted."""
_KEPT_OUT = re.compile(
    r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|GROUPS|BSCALE|BZERO|BLANK|DATAMIN|DATAMAX|CHECKSUM|DATASUM|END"
    r"|TFIELDS|TTYPE\d+|TFORM\d+|TUNIT\d+|THEAP|Z(IMAGE|SIMPLE|TENSION|EXTEND|PCOUNT|GCOUNT|BITPIX|NAXIS\d*|TILE\d+|CMPTYPE|NAME\d+|VAL\d+"
    r"|QUANTIZ|DITHER0|BLANK|SCALE|ZERO|HECKSUM|DATASUM)"
)
"""Cards that describe the pixels of another file, tile-compressed ones too."""
_FILTERS = Lock()
"""The filters of warnings are those of all threads."""


@contextmanager
def open_fits(path: str | os.PathLike[str], *, failed: str = "cannot be read as FITS", **options: Any) -> Iterator[fits.HDUList]:
    """Open a FITS file for reading; what goes wrong, then and while it is read, is told with a code.

    Parameters
    ----------
    path : path
    failed : str
        What is said of a file that is there and cannot be read.
    **options
        Of `astropy.io.fits.open`. By default files are not mapped, so that no page of them counts as memory.

    Yields
    ------
    HDUList

    Raises
    ------
    FrameError
        ``vanished``, ``no_permission``, or ``unreadable``: it is no FITS file, or damaged.
    """
    with read_errors(path, failed):
        with _FILTERS, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            units = fits.open(path, **({"mode": "readonly", "memmap": False, "lazy_load_hdus": False} | options))
        with units:
            yield units


@contextmanager
def read_errors(path: str | os.PathLike[str], failed: str = "cannot be read as FITS") -> Iterator[None]:
    """Turn what goes wrong while a FITS file is read into a `FrameError`, as `open_fits` does."""
    try:
        yield
    except FileNotFoundError as err:
        raise FrameError("vanished", f"{path}: is not there") from err
    except PermissionError as err:
        raise FrameError("no_permission", f"{path}: may not be read") from err
    except EzarchiveError:
        raise
    except (OSError, ValueError, TypeError, EOFError) as err:
        raise FrameError("unreadable", f"{path}: {failed}: {err}") from err


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
        Its cards are copied, but for those that describe other pixels; such as the standard does not allow become comments. It is not
        changed.

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
    for card in () if header is None else standard_cards(header):
        cards.append(card, bottom=True)
    stored, written = np.dtype(dtype).newbyteorder(">"), 0
    with atomic_write(path) as stream:
        stream.write(cards.tostring().encode("ascii"))
        for rows in strips(shape):
            written += stream.write(np.ascontiguousarray(read(rows), stored).tobytes())
        stream.write(b"\0" * (-written % 2880))
    return path


def standard_cards(header: fits.Header) -> Iterator[fits.Card]:
    """Yield the cards of a header that may stand before any pixels; those that the standard does not allow as comments."""
    for card in header.cards:
        if _KEPT_OUT.fullmatch(card.keyword):
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                # A card that was parsed before does not complain again.
                fresh = fits.Card.fromstring(card.image[:80])
                _ = fresh.keyword, fresh.value
                card.verify("exception")
            yield card
        except (fits.VerifyError, ValueError, Warning):
            yield from (fits.Card("COMMENT", line) for line in textwrap.wrap(card.image.strip(), 72))


class FullMaps:
    """What a model of level and noise needs to be written as full maps."""

    shape: tuple[int, int]

    def to_fits(self, path: str | os.PathLike[str], header: fits.Header | None = None, *, what: str = "level") -> Path:
        """Write the level (or the noise) of all pixels as FITS of float32, whole or not at all.

        Parameters
        ----------
        path : path
            What is there already is replaced when the new file is whole.
        header : Header, optional
            Its cards (WCS, exposure) go with it.
        what : {"level", "rms"}

        Returns
        -------
        Path

        Raises
        ------
        InputError
            If `what` is another word, or the suffix that of no FITS file.
        """
        if what not in ("level", "rms"):
            raise InputError(f"what={what!r}: must be 'level' or 'rms'")
        return write_fits(path, self.shape, lambda rows: getattr(self, what)((rows, slice(None))), np.float32, header)
