"""What makes a dataset of the store a HATS catalog, for ``hats``, LSDB and whatever else reads them.

::

    <dataset>/hats.properties, properties      what it is; the second name is what older programs look for
              partition_info.csv               the pixels that have rows
              skymap.fits                      rows in each cell of order 6
              dataset/_common_metadata         the schema, with units and UCDs as a VOTable
              dataset/_metadata                the footers of all files, while each pixel has one and they are few
              dataset/Norder=K/Dir=D/Npix=P/   a folder of files: hats_npix_suffix=/

``collection.properties`` beside the datasets makes objects and their margin (`ezarchive.store.margins`) one collection, so that LSDB
opens the version's folder itself and matches across the borders of pixels. Nothing is written that changes from one time to the next:
equal versions are equal bytes. ``hats`` itself is not needed.

References
----------
Caplar et al. 2025, "HATS: a standard for the hierarchical adaptive tiling scheme", IVOA Note; Taylor et al. 2025, "Parquet in the VO",
IVOA Note.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

import astropy.units as u
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits

from ezarchive.columns import Column
from ezarchive.errors import StoreError
from ezarchive.store import files
from ezarchive.store.files import MAP_ORDER, StoredFile
from ezarchive.store.margins import THRESHOLD_ARCSEC
from ezarchive.store.paths import HATS_DATASETS, MARGIN, hats_pixel
from ezarchive.store.tree import Leaf
from ezarchive.store.version import Version

MAX_METADATA_FILES = 1000
"""Files beyond which ``_metadata`` is left out: reading it takes longer than what it saves."""


class Kind(NamedTuple):
    """What the properties of a catalog say."""

    type: str
    ra: str
    dec: str
    title: str


KINDS = {
    "light_curve": Kind("source", "object_ra", "object_dec", "Measurements of objects, at the place in the object's id"),
    "objects": Kind("object", "ra", "dec", "Objects, at the mean of their detections"),
    "object_filters": Kind("source", "ra", "dec", "Objects in each filter, at the mean of their detections"),
    MARGIN: Kind("margin", "ra", "dec", "Objects around each pixel"),
    "orphans": Kind("source", "ra", "dec", "Measurements that belong to no object"),
}
"""Of each dataset that is a HATS catalog. Light curves are filed under the object's place, so that none straddles two pixels."""

_VOTABLE_TYPES = {"bool": "boolean", "int16": "short", "int32": "int", "int64": "long", "float32": "float", "float64": "double"}


def write(version: Version, dataset: str) -> None:
    """Write the metadata of a HATS catalog into the folder of a version that is being made; nothing where there are no rows.

    Parameters
    ----------
    version : Version
        With all its data files in place.
    dataset : str
        One of ``paths.HATS_DATASETS``.

    Raises
    ------
    StoreError
        If a data file is torn.
    """
    stored = {leaf: version.files_of(dataset, leaf) for leaf in version.leaves(dataset)}
    if not stored:
        return
    folder = version.folder / dataset
    text = properties(dataset, stored)
    for name in ("hats.properties", "properties"):
        (folder / name).write_text(text, encoding="utf-8")
    # Leaves are in the order of their cells, which is the order that hats sorts pixels into.
    lines = ["Norder,Npix", *(f"{leaf.order},{leaf.pixel}" for leaf in stored)]
    (folder / "partition_info.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if dataset != MARGIN:
        write_skymap(folder / "skymap.fits", [file for found in stored.values() for file in found])
    _write_schemas(version, dataset, stored)


def write_collection(version: Version) -> None:
    """Write what makes objects and their margin one HATS collection: LSDB opens the version's folder itself."""
    if not version.leaves("objects"):
        return
    values = {"obs_collection": "ezarchive", "hats_primary_table_url": "objects"}
    if version.leaves(MARGIN):
        values |= {"all_margins": MARGIN, "default_margin": MARGIN}
    text = "#HATS collection\n" + "".join(f"{key}={value}\n" for key, value in values.items())
    (version.folder / "collection.properties").write_text(text, encoding="utf-8")


def properties(dataset: str, stored: dict[Leaf, tuple[StoredFile, ...]]) -> str:
    """Return the text of ``hats.properties``.

    Parameters
    ----------
    dataset : str
    stored : dict
        The files of each leaf that has rows.
    """
    kind = KINDS[dataset]
    rows = [sum(file.rows for file in found) for found in stored.values()]
    nbytes = [sum(file.nbytes for file in found) for found in stored.values()]
    values = {
        "obs_collection": dataset,
        "obs_title": kind.title,
        "dataproduct_type": kind.type,
        "hats_nrows": sum(rows),
        "hats_col_ra": kind.ra,
        "hats_col_dec": kind.dec,
        "hats_col_healpix": "_healpix_29",
        "hats_col_healpix_order": 29,
        "hats_npix_suffix": "/",
        "hats_frame": "equatorial",
        "hats_order": max(leaf.order for leaf in stored),
        "hats_max_rows": max(rows),
        "hats_max_bytes": max(nbytes),
        "hats_estsize": math.ceil(sum(nbytes) / 1024),
        **({"hats_primary_table_url": "objects", "hats_margin_threshold": THRESHOLD_ARCSEC} if dataset == MARGIN else {}),
        **({"hats_skymap_order": MAP_ORDER} if dataset != MARGIN else {}),
        "moc_sky_fraction": f"{math.fsum(4.0**-leaf.order / 12 for leaf in stored):.8f}",
        "hats_builder": "ezarchive",
        "hats_version": "v1.0",
    }
    return "#HATS catalog\n" + "".join(f"{key}={value}\n" for key, value in values.items())


def write_skymap(path: Path, stored: Iterable[StoredFile]) -> None:
    """Write how many rows lie in each cell, as a HEALPix map in FITS (NESTED, explicit cells).

    Parameters
    ----------
    path : path
    stored : iterable of StoredFile
        Their ``cells`` are added up.
    """
    counts: dict[int, int] = {}
    for file in stored:
        for cell, rows in file.cells:
            counts[cell] = counts.get(cell, 0) + rows
    cells = np.array(sorted(counts), np.int64)
    values = np.array([counts[cell] for cell in cells.tolist()], np.int64)
    table = fits.BinTableHDU.from_columns(
        [fits.Column("PIXEL", "K", array=cells), fits.Column("VALUE", "K", array=values)], name="xtension"
    )
    cards = {
        "PIXTYPE": "HEALPIX",
        "INDXSCHM": "EXPLICIT",
        "ORDERING": "NESTED",
        "COORDSYS": "C",
        "NSIDE": 2**MAP_ORDER,
        "OBS_NPIX": len(cells),
    }
    table.header.update(cards)
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)


def _write_schemas(version: Version, dataset: str, stored: dict[Leaf, tuple[StoredFile, ...]]) -> None:
    folder = version.folder / dataset / "dataset"
    schema = files.schema(dataset)
    with pq.ParquetWriter(folder / "_common_metadata", schema, store_schema=False) as writer:
        writer.add_key_value_metadata({
            "IVOA.VOTable-Parquet.version": "1.0",
            "IVOA.VOTable-Parquet.content": votable(files.COLUMNS[dataset]),
        })  # fmt: skip
    if len(stored) > MAX_METADATA_FILES or any(len(found) > 1 for found in stored.values()):
        return
    footers = []
    for leaf, (file,) in stored.items():
        try:
            footer = pq.read_metadata(version.folder / file.path)
        except (OSError, pa.ArrowException) as err:
            raise StoreError(f"{version.folder / file.path}: is damaged ({files.first_line(err)}), it cannot be published") from err
        footer.set_file_path(f"{hats_pixel(leaf)}/{Path(file.path).name}")
        footers.append(footer)
    pq.write_metadata(schema, folder / "_metadata", footers, store_schema=False)


@lru_cache(maxsize=16)
def votable(columns: tuple[Column, ...]) -> str:
    """Return the VOTable without rows that says what columns mean, as "Parquet in the VO" has it.

    Parameters
    ----------
    columns : tuple of Column
    """
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">',
        '<RESOURCE type="results">',
        "<TABLE>",
    ]
    for column in columns:
        kind = 'datatype="unicodeChar" arraysize="*"' if column.dtype == "str" else f'datatype="{_VOTABLE_TYPES[column.dtype]}"'
        unit = f" unit={quoteattr(_vounit(column.unit))}" if column.unit else ""
        ucd = f" ucd={quoteattr(column.ucd)}" if column.ucd else ""
        lines += [
            f"<FIELD name={quoteattr(column.name)} {kind}{unit}{ucd}>",
            f"<DESCRIPTION>{escape(column.description)}</DESCRIPTION></FIELD>",
        ]
    return "\n".join([*lines, "</TABLE>", "</RESOURCE>", "</VOTABLE>", ""])


def _vounit(unit: str) -> str:
    try:
        return u.Unit(unit).to_string("vounit")
    except ValueError:
        return unit


__all__ = ["HATS_DATASETS", "KINDS", "properties", "votable", "write", "write_skymap"]
