"""Errors and bad pixels that go with an image: given, its own, or of the same file."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy import units as u
from numpy.typing import NDArray

from ezarchive.errors import FrameError, InputError
from ezarchive.images.image import Image
from ezarchive.images.planes import QUALITY_NAME, quality_mask, siblings_of
from ezarchive.quicklook.planes.inputs import picture as as_picture
from ezarchive.quicklook.planes.pictures import Picture, error_of
from ezarchive.quicklook.planes.units import in_unit

FILE = "file"


def errors_of(picture: Picture, error: Any) -> NDArray[np.float64] | None:
    """Return the errors of the pixels, in their unit.

    Parameters
    ----------
    picture : Picture
    error : None, "file", float, array, Quantity, path or Image
        None: the image's own (of an NDData), if any. "file": ERR, or the root of VAR, of the file that the image is of.

    Returns
    -------
    ndarray of float64 or None
        Standard deviations, of the shape of the image.

    Raises
    ------
    InputError
        If it is nothing of the kind, negative, of another shape, or its unit conflicts with that of the image.
    FrameError
        If the file has none.
    """
    if error is None:
        found = picture.error
    elif isinstance(error, str) and error == FILE:
        _file_of(picture, "error")
        found = error_of(picture.path, picture.image.hdu)
        if found is None:
            raise FrameError("no_error", f"{picture.path}: must hold ERR or VAR beside {picture.label} for error='file', found none")
    elif isinstance(error, (u.Quantity, np.ndarray, int, float, np.number)) and not isinstance(error, bool):
        found = in_unit(error, "error", picture.unit)
    else:
        given = as_picture(error, "error")
        found = given.data if given.unit is None or picture.unit is None else in_unit(given.data * given.unit, "error", picture.unit)
    if found is None:
        return None
    values = np.asarray(found, np.float64)
    if values.ndim and values.shape != picture.shape:
        raise InputError(f"error: must have the shape of the image {picture.shape}, found {values.shape}")
    if np.any(values < 0):
        raise InputError("error: must not be negative")
    return np.broadcast_to(values, picture.shape)


def bad_pixels(picture: Picture, mask: Any, *, name: str = "mask", own: bool = True) -> NDArray[np.bool_] | None:
    """Return which pixels must not be used.

    Parameters
    ----------
    picture : Picture
    mask : None, "file", array of bool, path or Image
        True (a path or Image: not 0) where a pixel is bad. "file": DQ of the file that the image is of; of JWST its bit DO_NOT_USE.
    name : str
        The argument, for messages.
    own : bool
        Whether the image's own mask (NDData, masked array) counts too.

    Returns
    -------
    ndarray of bool or None
        None: no pixel is known to be bad.

    Raises
    ------
    InputError
        If it is nothing of the kind, or of another shape.
    FrameError
        If the file has none.
    """
    kept = picture.mask if own else None
    if mask is None:
        return kept
    if isinstance(mask, str) and mask == FILE:
        found = _quality(picture, name)
    elif isinstance(mask, np.ndarray):
        if mask.dtype != np.bool_:
            raise InputError(f"{name}: must be an array of bool, True where a pixel is bad, found {mask.dtype}")
        found = mask
    else:
        found = np.nan_to_num(as_picture(mask, name).data, nan=1.0) != 0
    if found.shape != picture.shape:
        raise InputError(f"{name}: must have the shape of the image {picture.shape}, found {found.shape}")
    return found if kept is None else found | kept


def _quality(picture: Picture, name: str) -> NDArray[np.bool_]:
    _file_of(picture, name)
    hdu = siblings_of(picture.path, picture.image.hdu).get(QUALITY_NAME)
    if hdu is None:
        raise FrameError("no_mask", f"{picture.path}: must hold {QUALITY_NAME} beside {picture.label} for {name}='file', found none")
    return quality_mask(Image(picture.path, hdu).load(), Image(picture.path, 0).header)


def _file_of(picture: Picture, name: str) -> None:
    if picture.path is None:
        raise InputError(f"{name}='file': the image must come from a file, found {picture.label!r}, which does not")
