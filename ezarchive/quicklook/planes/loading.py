"""From files to pictures: which plane of which HDU is meant, and what its label is.

An address is a path with what is meant of the file in brackets: ``file.fits``, ``file.fits[SCI]``, ``file.fits[SCI,2]``, ``file.fits[1]``,
``file.fits[SCI,1][7]`` (a plane of a cube), ``file.fits[*]`` (all images).
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from astropy.io import fits

from ezarchive.errors import FrameError, InputError
from ezarchive.images.fitsfile import open_fits
from ezarchive.images.image import Image
from ezarchive.images.planes import DATA_NAMES, is_plane, stem
from ezarchive.quicklook.planes.pictures import Picture
from ezarchive.quicklook.planes.rasters import is_raster, read_raster

MOST_PLANES = 16
"""Planes of a cube that are loaded at most."""

_ADDRESS = re.compile(r"(?P<path>.+?)\[(?P<hdu>[^\[\]]+)\](?:\[(?P<plane>\d+)\])?")
_HIGH_AXES = re.compile(
    r"(?:NAXIS|CTYPE|CRVAL|CRPIX|CDELT|CUNIT|CROTA|CNAME|CRDER|CSYER)([3-9])[A-Z]?|(?:PC|CD)(?:[3-9]_\d|\d_[3-9])[A-Z]?|(?:PV|PS)[3-9]_\d+[A-Z]?"
)


class Address(NamedTuple):
    """A path, the HDU that is meant (None: the first image), and the plane of a cube (None: it is none)."""

    path: Path
    hdu: str | None = None
    plane: int | None = None

    @classmethod
    def of(cls, source: str | os.PathLike[str]) -> Address:
        """Take an address apart; a file of that very name goes before its brackets."""
        text = os.fspath(source)
        named = None if Path(text).exists() else _ADDRESS.fullmatch(text)
        if named is None:
            return cls(Path(text))
        return cls(Path(named["path"]), named["hdu"].strip(), None if named["plane"] is None else int(named["plane"]))


def label_of(path: Path, hdu: int) -> str:
    """Return ``stem[EXTNAME,EXTVER]``; of an HDU without a name its number."""
    with open_fits(path) as units:
        return unit_label(path, units[hdu], hdu)


def load_one(source: str | os.PathLike[str]) -> Picture:
    """Return one plane of a file.

    Parameters
    ----------
    source : path
        An address (see the module); PNG and JPEG become grey.

    Returns
    -------
    Picture
        Its pixels are not read yet, but for PNG, JPEG and planes of cubes.

    Raises
    ------
    InputError
        If more than one plane is named.
    FrameError
        If the file cannot be read or holds no such image.
    """
    found = Address.of(source)
    if is_raster(found.path):
        return _raster(found)
    if found.hdu == "*":
        raise InputError(f"{os.fspath(source)}: must name one image here, found [*], which is all of them")
    with open_fits(found.path) as units:
        k = _default(found.path, units) if found.hdu is None else _named(found, units)
        unit = units[k]
        if found.plane is None and is_plane(unit):
            return Picture(Image(found.path, k), unit_label(found.path, unit, k))
        if _is_cube(unit) and found.plane is not None:
            return next(_planes(found.path, unit, k, [found.plane]))
        raise _no_image(found, unit, k)


def load_file(source: str | os.PathLike[str]) -> list[Picture]:
    """Return what an address means: one image, all images of a file (``[*]``), or the planes of a cube.

    Parameters
    ----------
    source : path
        An address (see the module).

    Returns
    -------
    list of Picture
        Of a cube at most `MOST_PLANES`, with a warning where there are more.

    Raises
    ------
    FrameError
        If the file cannot be read or holds no such image.
    """
    found = Address.of(source)
    if is_raster(found.path):
        return [_raster(found)]
    with open_fits(found.path) as units:
        if found.hdu == "*":
            wanted = [k for k, unit in enumerate(units) if is_plane(unit) or _is_cube(unit)]
        else:
            wanted = [_default(found.path, units) if found.hdu is None else _named(found, units)]
        if not wanted:
            raise FrameError("no_image", f"{found.path}: must hold an image, found none in its {len(units)} HDUs")
        return [made for k in wanted for made in _of_unit(found, units[k], k)]


def plane_places(shape: tuple[int, ...], name: str) -> list[int]:
    """Return which planes of a cube are loaded, in the order in which they lie; a warning says where that is not all.

    Parameters
    ----------
    shape : tuple of int
        Of the whole, rows and columns last.
    name : str
        For the warning.
    """
    total = int(np.prod(shape[:-2]))
    if total > MOST_PLANES:
        warnings.warn(f"{name}: has {total} planes; only the first {MOST_PLANES} are loaded", UserWarning, stacklevel=2)
    return list(range(min(total, MOST_PLANES)))


def _of_unit(found: Address, unit: Any, k: int) -> Iterator[Picture]:
    if is_plane(unit) and found.plane is None:
        yield Picture(Image(found.path, k), unit_label(found.path, unit, k))
    elif _is_cube(unit):
        name = unit_label(found.path, unit, k)
        yield from _planes(found.path, unit, k, plane_places(unit.shape, name) if found.plane is None else [found.plane])
    else:
        raise _no_image(found, unit, k)


def _planes(path: Path, unit: Any, k: int, places: list[int]) -> Iterator[Picture]:
    """Yield planes of a cube, read."""
    label, total = unit_label(path, unit, k), int(np.prod(unit.shape[:-2]))
    header = _flat_header(Image(path, k).header)
    for place in places:
        if place >= total:
            raise FrameError("no_image", f"{label}[{place}]: is not there; the cube has {total} planes, from 0 to {total - 1}")
        where = np.unravel_index(place, unit.shape[:-2])
        pixels = unit.section[(*(int(one) for one in where), slice(None), slice(None))]
        primary = None if k == 0 else Image(path, 0).header
        yield Picture(Image(np.array(pixels), header=header), f"{label}[{place}]", primary=primary)


def _flat_header(header: fits.Header) -> fits.Header:
    """Return the header of a plane of a cube: without what is said of the axes above the second."""
    made = header.copy()
    for name in {name for name in made if _HIGH_AXES.fullmatch(name)}:
        del made[name]
    for name in ("NAXIS", "WCSAXES"):
        if name in made:
            made[name] = 2
    return made


def _raster(found: Address) -> Picture:
    if found.hdu is not None:
        raise FrameError("no_image", f"{found.path}[{found.hdu}]: a {found.path.suffix[1:].upper()} file has no HDUs")
    return Picture(Image(read_raster(found.path)), found.path.stem)


def unit_label(path: Path, unit: Any, k: int) -> str:
    """Return the label of an HDU of an open file."""
    return f"{stem(path)}[{unit.name or k},{unit.ver}]"


def _is_cube(unit: Any) -> bool:
    shape = unit.shape if unit.is_image else ()
    return len(shape) >= 3 and sum(n != 1 for n in shape[:-2]) == 1


def _default(path: Path, units: fits.HDUList) -> int:
    """Return the HDU that is meant where none is named: DATA, SCI or the first image, else the first cube."""
    images = [k for k, unit in enumerate(units) if is_plane(unit)]
    named = [k for k in images if units[k].name.upper() in DATA_NAMES]
    cubes = [k for k, unit in enumerate(units) if _is_cube(unit)]
    found = named or images or cubes
    if not found:
        raise FrameError("no_image", f"{path}: must hold a 2-D image, found none in its {len(units)} HDUs")
    return found[0]


def _named(found: Address, units: fits.HDUList) -> int:
    name, _, version = (part.strip() for part in (found.hdu or "").partition(","))
    for k, unit in enumerate(units):
        if (name == str(k) and not version) or (unit.name.upper() == name.upper() and (not version or str(unit.ver) == version)):
            return k
    known = ", ".join(f"[{unit.name},{unit.ver}]" if unit.name else f"[{k}]" for k, unit in enumerate(units))
    raise FrameError("no_image", f"{found.path}[{found.hdu}]: is not there; the file has {known}")


def _no_image(found: Address, unit: Any, k: int) -> FrameError:
    shape = tuple(unit.shape) if unit.is_image else ()
    what = f"has_data={bool(shape)}, is_image={unit.is_image}, name={unit.name!r}, ver={unit.ver}, ndim={len(shape)}"
    hint = f"; one plane of it is {found.path}[{found.hdu or k}][0]" if _is_cube(unit) and found.plane is None else ""
    where = f"{found.path}{'' if found.hdu is None else f'[{found.hdu}]'}"
    return FrameError("no_image", f"{where}: must be a 2-D image, found {what}, shape={shape}{hint}")
