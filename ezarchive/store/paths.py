"""Every path below ``HOME/store``: built and parsed here, and nowhere else.

::

    store/<number>/manifest.json, collection.properties
                   <dataset>/hats.properties, properties, partition_info.csv, skymap.fits
                   <dataset>/dataset/_common_metadata, _metadata
                   <dataset>/dataset/Norder=K/Dir=D/Npix=P/<file>.parquet      light_curve, objects, object_filters, orphans,
                                                                               objects_margin
                   <dataset>/Norder=K/Npix=P/<file>.parquet                    sites, contents
                   unplaced/<file>.parquet
                   ambiguous.parquet aliases.parquet conservation.parquet
          .<number>.<pid>-<random>.tmp/                                        a version that is being made

``<file>`` is the number of the version that wrote it, in six digits, and ``-1``, ``-2`` ... for more than one. ``Dir`` is the pixel
rounded down to ten thousands, as HATS asks.
"""

from __future__ import annotations

import re
from pathlib import Path

from ezarchive.errors import InputError
from ezarchive.store.tree import Leaf

STORE = "store"
MANIFEST = "manifest.json"
HATS_DATASETS = ("light_curve", "objects", "object_filters", "orphans")
"""The datasets that are HATS catalogs."""

MARGIN = "objects_margin"
"""Objects around each leaf, for cross-matches: a HATS margin catalog."""

LEAF_DATASETS = (*HATS_DATASETS, MARGIN, "sites", "contents")
"""The datasets whose files belong to leaves."""

UNPLACED = "unplaced"
TABLES = ("ambiguous", "aliases", "conservation")
"""The tables that are one file each."""

_FILE = re.compile(r"(?P<version>\d{6,})(?:-(?P<more>[1-9]\d*))?\.parquet")
_LEAF = re.compile(r"Norder=(?P<order>\d+)/(?:Dir=\d+/)?Npix=(?P<pixel>\d+)")


def store_folder(home: Path | str) -> Path:
    """Return the folder of all versions."""
    return Path(home) / STORE


def version_folder(home: Path | str, number: int) -> Path:
    """Return the folder of a published version."""
    return store_folder(home) / str(number)


def leaf_folder(dataset: str, leaf: Leaf | None) -> str:
    """Return the folder of a leaf's files, relative to the version's.

    Parameters
    ----------
    dataset : str
        One of `LEAF_DATASETS`, or ``unplaced``, which has no leaves.
    leaf : Leaf or None

    Raises
    ------
    InputError
        If the dataset is none of these, or lacks a leaf.
    """
    if dataset == UNPLACED and leaf is None:
        return UNPLACED
    if dataset not in LEAF_DATASETS or leaf is None:
        raise InputError(
            f"dataset {dataset!r} of leaf {leaf!r}: must be one of {', '.join(LEAF_DATASETS)} with a leaf, or unplaced without"
        )
    if dataset in (*HATS_DATASETS, MARGIN):
        return f"{dataset}/dataset/{hats_pixel(leaf)}"
    return f"{dataset}/Norder={leaf.order}/Npix={leaf.pixel}"


def hats_pixel(leaf: Leaf) -> str:
    """Return the folder of a pixel below a HATS catalog's ``dataset``."""
    return f"Norder={leaf.order}/Dir={leaf.pixel // 10_000 * 10_000}/Npix={leaf.pixel}"


def file_path(dataset: str, leaf: Leaf | None, version: int, more: int = 0) -> str:
    """Return the path of a file, relative to the version's folder.

    Parameters
    ----------
    dataset : str
    leaf : Leaf or None
    version : int
        The version that writes it.
    more : int
        How many files of this leaf it wrote before.

    Examples
    --------
    >>> file_path("light_curve", Leaf(5, 12345), 17)
    'light_curve/dataset/Norder=5/Dir=10000/Npix=12345/000017.parquet'
    """
    return f"{leaf_folder(dataset, leaf)}/{version:06d}{f'-{more}' if more else ''}.parquet"


def parse(path: str) -> tuple[str, Leaf | None, int, int]:
    """Take a path that `file_path` made apart: dataset, leaf, version, more.

    Raises
    ------
    InputError
        If it is no such path.
    """
    dataset, _, _ = path.partition("/")
    name = _FILE.fullmatch(path.rpartition("/")[2])
    where = _LEAF.search(path)
    leaf = Leaf(int(where["order"]), int(where["pixel"])) if where else None
    known = dataset in LEAF_DATASETS if leaf else dataset == UNPLACED
    if name is None or not known or path != file_path(dataset, leaf, int(name["version"]), int(name["more"] or 0)):
        raise InputError(f"path {path!r}: is no file of the store, as {file_path('objects', Leaf(0, 0), 1)!r}")
    return dataset, leaf, int(name["version"]), int(name["more"] or 0)
