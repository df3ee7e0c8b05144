"""What the functions of the quick look take for an image: `picture` makes a `Picture` of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.nddata import NDData, UnknownUncertainty, VarianceUncertainty

from ezarchive.errors import InputError
from ezarchive.images.image import Image
from ezarchive.images.pixelmap import checked_array
from ezarchive.quicklook.planes.loading import label_of, load_one
from ezarchive.quicklook.planes.pictures import Picture, usual_unit
from ezarchive.quicklook.planes.skywcs import checked_wcs


def picture(
    image: Any,
    name: str = "image",
    *,
    wcs: Any = None,
    unit: Any = None,
    header: Mapping[str, Any] | None = None,
    label: str | None = None,
) -> Picture:
    """Return what was given as a `Picture`.

    Parameters
    ----------
    image : path, Image, Picture, NDData or array of shape (ny, nx)
        A path may name an HDU: ``file.fits[SCI]``, ``file.fits[SCI,2]``, ``file.fits[1]``; else it is DATA, SCI or the first image.
        PNG and JPEG become grey.
    name : str
        The argument, for messages.
    wcs, unit, header : optional
        In place of those of `image`; a unit is what astropy takes for one.
    label : str, optional
        By default ``stem[EXTNAME,EXTVER]`` of a file, else `name`.

    Raises
    ------
    InputError
        If it is nothing of the kind, or `unit` or `wcs` are none.
    FrameError
        If a file cannot be read or holds no such image.
    """
    made = _made(image, name)
    if wcs is None and unit is None and header is None and label is None:
        return made
    return Picture(
        made.image if header is None else Image(made.data, header=fits.Header(header)),
        made.label if label is None else str(label),
        wcs=made._wcs if wcs is None else checked_wcs(wcs),
        unit=made._unit if unit is None else _unit(unit),
        meta=made._meta if header is None else header,
        primary=made._primary,
        mask=made.mask,
        error=made.error,
    )


def _made(image: Any, name: str) -> Picture:
    if isinstance(image, Picture):
        return image
    if isinstance(image, (str, os.PathLike)):
        return load_one(image)
    if isinstance(image, Image):
        return Picture(image, name if image.path is None else label_of(image.path, image.hdu))
    if isinstance(image, NDData):
        return _from_nddata(image, name)
    if isinstance(image, u.Quantity):
        return Picture(Image(checked_array(image.value, name)), name, unit=image.unit)
    if isinstance(image, np.ndarray):
        return _from_array(image, name)
    raise InputError(f"{name}: must be a path, an Image, an NDData or a 2-D array, found {type(image).__name__}")


def _from_array(array: np.ndarray, name: str) -> Picture:
    mask = np.ma.getmaskarray(array) if np.ma.isMaskedArray(array) and np.ma.is_masked(array) else None
    return Picture(Image(checked_array(np.ma.getdata(array), name)), name, mask=mask)


def _from_nddata(source: NDData, name: str) -> Picture:
    pixels = checked_array(source.data, name)
    mask = None
    if source.mask is not None:
        if np.ndim(source.mask) and np.shape(source.mask) != pixels.shape:
            raise InputError(f"{name}: its mask must have the shape of its data, {pixels.shape}, found {np.shape(source.mask)}")
        mask = np.broadcast_to(np.asarray(source.mask, bool), pixels.shape)
    header = source.meta if isinstance(source.meta, fits.Header) else None
    unit = None if source.unit is None else u.Unit(source.unit)
    image = Image(pixels, header=header)
    return Picture(image, name, wcs=checked_wcs(source.wcs), unit=unit, meta=source.meta, mask=mask, error=_spread(source, name))


def _spread(source: NDData, name: str) -> np.ndarray | None:
    """Return the standard deviations of NDData in the unit of its pixels, None where its uncertainty is none or of a kind without any."""
    if source.uncertainty is None or isinstance(source.uncertainty, UnknownUncertainty):
        return None
    # Of no weight the error is infinite, and of a variance below 0 nothing is known.
    with np.errstate(divide="ignore"):
        variance = source.uncertainty.represent_as(VarianceUncertainty)
    if np.shape(variance.array) != np.shape(source.data):
        raise InputError(f"{name}: its uncertainty must have the shape of its data, {source.data.shape}, found {np.shape(variance.array)}")
    with np.errstate(invalid="ignore"):
        spread = np.sqrt(variance.array)
    if source.unit is None or variance.unit is None:
        return spread
    return spread * (u.Unit(variance.unit) ** 0.5).to(source.unit)


def _unit(unit: Any) -> u.UnitBase:
    if isinstance(unit, (bool, int, float, np.number, np.bool_)):
        raise InputError(f"unit={unit!r}: must be a unit that astropy knows, found a number")
    try:
        return u.Unit(usual_unit(unit) if isinstance(unit, str) else unit)
    except (ValueError, TypeError) as err:
        raise InputError(f"unit={unit!r}: must be a unit that astropy knows ({str(err).splitlines()[0]})") from err
