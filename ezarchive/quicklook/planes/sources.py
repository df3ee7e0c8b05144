"""Everything that a session loads at once: files, lists of files, cubes, NDData with mask and uncertainty, sets of frames."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.nddata import NDData

from ezarchive.errors import InputError
from ezarchive.images.image import Image
from ezarchive.images.planes import stem
from ezarchive.quicklook.planes.inputs import picture
from ezarchive.quicklook.planes.loading import Address, load_file, plane_places
from ezarchive.quicklook.planes.pictures import Picture


def load_all(
    source: Any, label: str | None = None, *, wcs: Any = None, unit: Any = None, header: Mapping[str, Any] | None = None
) -> list[Picture]:
    """Return every picture that a source means.

    Parameters
    ----------
    source : path, Image, Picture, NDData, array, or an iterable of such
        A path may name an HDU (``file.fits[SCI,2]``), a plane of a cube (``[SCI,1][7]``) or all images (``[*]``), and several files may be
        given with commas. PNG and JPEG become grey. Of an array or HDU of three axes at most 16 planes are taken, with a warning; axes of
        one pixel above the second do not count. Of NDData, mask and uncertainty become pictures of their own. A `FrameSet` is an iterable
        of images.
    label : str, optional
        In place of the file's name (``label[SCI,1]`` where there are several) or of ``image``.
    wcs, unit, header : optional
        In place of those of every image.

    Returns
    -------
    list of Picture

    Raises
    ------
    InputError
        If the source is nothing of the kind, or a label is given to several files.
    FrameError
        If a file cannot be read or holds no such image.
    """
    if label is not None and (not isinstance(label, str) or not label):
        raise InputError(f"label={label!r}: must be a text that is not empty")
    several = _several(source)
    if several is None:
        return [picture(made, wcs=wcs, unit=unit, header=header) for made in _of_one(source, label)]
    if label is not None:
        raise InputError(f"label={label!r}: must not be given with several images, found {len(several)}")
    return [made for one in several for made in load_all(one, wcs=wcs, unit=unit, header=header)]


def _several(source: Any) -> list[Any] | None:
    """Return the items of a list of images, None for one image."""
    if isinstance(source, (str, os.PathLike)):
        parts = _parts(os.fspath(source))
        return parts if len(parts) > 1 else None
    if isinstance(source, (Image, Picture, NDData, np.ndarray, u.Quantity)):
        return None
    if isinstance(source, Iterable) and not isinstance(source, (bytes, dict)):
        return list(source)
    return None


def _parts(text: str) -> list[str]:
    """Return the files of a list with commas; those in brackets, and those in the name of a file that is there, part nothing."""
    if os.path.lexists(Address.of(text).path):
        return [text]
    parts, depth = [""], 0
    for char in text:
        depth += (char == "[") - (char == "]")
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip() for part in parts if part.strip()] or [text]


def _of_one(source: Any, label: str | None) -> Iterator[Picture]:
    if isinstance(source, (str, os.PathLike)):
        yield from _of_file(source, label)
    elif isinstance(source, NDData):
        yield from _of_nddata(source, label or "image")
    elif isinstance(source, (np.ndarray, u.Quantity)):
        yield from _of_array(source, label or "image")
    else:
        made = picture(source)
        yield made if label is None else picture(made, label=label)


def _of_file(source: Any, label: str | None) -> Iterator[Picture]:
    found, name = load_file(source), stem(Address.of(source).path)
    for made in found:
        if label is None:
            yield made
        elif len(found) == 1:
            yield picture(made, label=label)
        else:
            yield picture(made, label=label + made.label.removeprefix(name))


def _of_array(array: np.ndarray, label: str) -> Iterator[Picture]:
    shape = array.shape
    leading = tuple(n for n in shape[:-2] if n != 1)
    if len(shape) < 2 or len(leading) > 1:
        ndim = len(leading) + min(len(shape), 2)
        raise InputError(f"{label}: must be a 2-D image or a 3-D cube, found ndim={ndim} (shape {shape})")
    if not leading:
        yield picture(array.reshape(shape[-2:]), label, label=label)
        return
    planes = array.reshape((*leading, *shape[-2:]))
    for k in plane_places(planes.shape, label):
        yield picture(planes[k], label, label=f"{label}[{k}]")


def _of_nddata(source: NDData, label: str) -> Iterator[Picture]:
    made = picture(source, label=f"{label}[DATA]")
    yield made
    kept = {"wcs": made.wcs, "header": made.meta if isinstance(made.meta, fits.Header) else None}
    if source.mask is not None:
        yield picture(np.broadcast_to(np.asarray(source.mask), made.shape).astype(float), label=f"{label}[MASK]", **kept)
    if source.uncertainty is not None:
        spread = source.uncertainty
        yield picture(np.asarray(spread.array), label=f"{label}[UNCERTAINTY]", unit=spread.unit, **kept)
