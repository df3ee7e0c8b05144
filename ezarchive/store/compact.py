"""Make one file of a leaf's light curves again, leave out what was withdrawn, and calibrate anew.

The files of a leaf are each sorted by object. They are read side by side in steps of object ids that hold about `STEP_ROWS` rows, so
that memory does not grow with the leaf.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ezarchive import pool
from ezarchive.errors import StoreError
from ezarchive.magnitudes import AB_MICROJANSKY, MAG_PER_RELATIVE_ERROR
from ezarchive.store import files, ids
from ezarchive.store.build import Builder, Change, Writer
from ezarchive.store.tree import Leaf
from ezarchive.store.version import Place, Version, groups_with, object_bounds

STEP_ROWS = 400_000
"""Rows that are merged at once, about."""

CALIBRATION = pa.schema([
    ("catalog_id", pa.int64()), ("per", pa.float64()), ("zero_point", pa.float64()), ("zero_point_err", pa.float64()),
    ("zero_point_ab", pa.float64()), ("mag_limit", pa.float64()),
])  # fmt: skip
"""What is known of a catalog's calibration: ``per`` is what its fluxes were divided by, ``zero_point`` is the magnitude of 1 stored unit
per exposure, ``zero_point_ab`` the same in AB (NULL where it is not known), ``mag_limit`` the 5-sigma limit of its frame."""


class Counts(NamedTuple):
    """What became of a leaf's rows."""

    leaf: Leaf
    rows_in: int
    dropped: int
    """Of withdrawn catalogs."""
    moved_out: int
    """Of objects that are now another one, in another leaf."""
    moved_in: int
    """Of objects of other leaves that are now one of this."""
    rows_out: int
