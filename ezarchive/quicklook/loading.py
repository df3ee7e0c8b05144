"""From files to pictures: which HDU is meant, and what its label is."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ezarchive.errors import FrameError
from ezarchive.images.fitsfile import open_fits
from ezarchive.images.image import Image
from ezarchive.images.planes import data_hdu, is_plane, stem
from ezarchive.quicklook.pictures import Picture

_HDU = re.compile(r"(.+)\[([^\[\]]+)\]")


def label_of(path: Path, hdu: int) -> str:
    """Return ``stem[EXTNAME,EXTVER]``; of an HDU without a name its number."""
    with open_fits(path) as units:
        unit = units[hdu]
        return f"{stem(path)}[{unit.name or hdu},{unit.ver}]"


def load_one(source: str | os.PathLike[str]) -> Picture:
    """Return one plane of a file: ``file.fits``, ``file.fits[SCI]``, ``file.fits[SCI,2]`` or ``file.fits[1]``."""
    text = os.fspath(source)
    named = None if Path(text).exists() else _HDU.fullmatch(text)
    path = Path(text if named is None else named[1])
    hdu = data_hdu(path) if named is None else _named(path, named[2])
    return Picture(Image(path, hdu), label_of(path, hdu))


def _named(path: Path, text: str) -> int:
    name, _, version = (part.strip() for part in text.partition(","))
    with open_fits(path) as units:
        for k, unit in enumerate(units):
            if (name == str(k) and not version) or (unit.name == name.upper() and (not version or str(unit.ver) == version)):
                if is_plane(unit):
                    return k
                raise FrameError("no_image", f"{path}[{text}]: must be a 2-D image, found {type(unit).__name__} of shape {unit.shape}")
    raise FrameError("no_image", f"{path}[{text}]: is not there")
