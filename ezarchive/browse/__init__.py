"""Browse an archive: `DataBrowser` asks, `FrameSet` and `CatalogSet` answer, `ArchiveImage` knows its frame.

``selection`` is the question as a frozen object, ``browser`` the surface that users see; ``frameset``, ``frametable`` and ``catalogset``
are the answers; ``archive_image`` calculates masks, backgrounds and noise, ``shown_image`` draws, ``maps`` stores what was calculated;
``handle`` is the hold on the archive that travels to other processes.
"""

from __future__ import annotations

from ezarchive.browse.archive_image import ArchiveImage
from ezarchive.browse.browser import DataBrowser
from ezarchive.browse.catalog import Catalog
from ezarchive.browse.catalogset import CatalogSet
from ezarchive.browse.frameset import FrameSet

__all__ = ["ArchiveImage", "Catalog", "CatalogSet", "DataBrowser", "FrameSet"]
