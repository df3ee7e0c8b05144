"""PNG and JPEG pictures as grey images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Raster
from PIL import UnidentifiedImageError

from ezarchive.errors import FrameError

SUFFIXES = (".png", ".jpg", ".jpeg")
WEIGHTS = (0.2125, 0.7154, 0.0721)
"""Of red, green and blue in grey (luminance of Rec. 709 with D65, as CRT phosphors have it)."""

_FULL = {1: 1.0, 8: 255.0, 16: 65535.0}


def is_raster(path: Path) -> bool:
    """Say whether a file is one by its suffix."""
    return path.suffix.lower() in SUFFIXES


def read_raster(path: Path) -> NDArray[np.float64]:
    """Return a PNG or JPEG as grey levels from 0 to 1, its lowest row first.

    Parameters
    ----------
    path : Path

    Returns
    -------
    ndarray, shape (ny, nx)
        ``0.2125 R + 0.7154 G + 0.0721 B``; what is transparent shows white. Rows are turned, so that [0, 0] is the lower left corner.

    Raises
    ------
    FrameError
        ``vanished``, ``no_permission``, or ``unreadable``.
    """
    try:
        with Raster.open(path) as opened:
            grey = _grey(opened)
    except FileNotFoundError as err:
        raise FrameError("vanished", f"{path}: is not there") from err
    except PermissionError as err:
        raise FrameError("no_permission", f"{path}: may not be read") from err
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as err:
        raise FrameError("unreadable", f"{path}: cannot be read as {path.suffix[1:].upper()}: {err}") from err
    return np.ascontiguousarray(grey[::-1])


def _grey(opened: Raster.Image) -> NDArray[np.float64]:
    if opened.mode.startswith("I") or opened.mode in ("L", "1"):
        bits = 16 if opened.mode.startswith("I") else 1 if opened.mode == "1" else 8
        return np.asarray(opened, float) / _FULL[bits]
    levels = np.asarray(opened.convert("RGBA"), float) / 255.0
    opaque = levels[..., 3:]
    return (levels[..., :3] * opaque + (1.0 - opaque)) @ np.array(WEIGHTS)
