"""ezarchive: an archive of astronomical images, from a tree of FITS files to light curves.

The front door: the names in ``__all__``, each loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "AperturePhotometry": "ezarchive.aperture_photometry",
    "Archive": "ezarchive.archive",
    "ArchiveImage": "ezarchive.browse",
    "BatchReport": "ezarchive.driver",
    "Catalog": "ezarchive.browse",
    "CatalogSet": "ezarchive.browse",
    "DataBrowser": "ezarchive.browse",
    "EzarchiveError": "ezarchive.errors",
    "Frame": "ezarchive.frames.record",
    "FrameSet": "ezarchive.browse",
    "Image": "ezarchive.images.image",
    "IndexReport": "ezarchive.index",
    "LightCurve": "ezarchive.browse",
    "MeasureOptions": "ezarchive.measure",
    "QueryResult": "ezarchive.catalogs.result",
    "decode_flags": "ezarchive.flags",
    "read_catalog": "ezarchive.catalogs.parquet",
}
_OTHER_NAMES = {"decode_flags": "decode"}

__all__ = [
    "AperturePhotometry",
    "Archive",
    "ArchiveImage",
    "BatchReport",
    "Catalog",
    "CatalogSet",
    "DataBrowser",
    "EzarchiveError",
    "Frame",
    "FrameSet",
    "Image",
    "IndexReport",
    "LightCurve",
    "MeasureOptions",
    "QueryResult",
    "decode_flags",
    "read_catalog",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ezarchive' has no attribute {name!r}")
    found = getattr(import_module(_HOMES[name]), _OTHER_NAMES.get(name, name))
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
