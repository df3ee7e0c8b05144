"""Browse an archive: `DataBrowser` asks, `FrameSet` and `CatalogSet` answer, `ArchiveImage` knows its frame.

``selection`` is the question as a frozen object, ``browser`` the surface that users see; ``frameset``, ``frametable`` and ``catalogset``
are the answers, ``conditions``, ``division`` and ``quality`` how they are narrowed; ``archive_image`` is an image that knows its frame;
``catalog`` is what was measured on one (``catalogrows`` its rows and facts, ``places`` how rows are found, ``overlay`` and ``ds9`` their
apertures as pictures and regions, ``merging`` the objects of several, ``lightcurve`` one source through them); ``pictures`` keeps
figures out of data roots; ``handle`` is the hold on the archive that travels to other processes.
"""

from __future__ import annotations

from ezarchive.browse.archive_image import ArchiveImage
from ezarchive.browse.browser import DataBrowser
from ezarchive.browse.catalog import Catalog
from ezarchive.browse.catalogset import CatalogSet
from ezarchive.browse.frameset import FrameSet
from ezarchive.browse.lightcurve import LightCurve

__all__ = ["ArchiveImage", "Catalog", "CatalogSet", "DataBrowser", "FrameSet", "LightCurve"]
