"""What lies just outside each leaf: copies of the objects of its neighbours, for cross-matches across the border.

Programs that match leaf by leaf (LSDB) need them to find the nearest object where that is on the other side. Nothing in the archive
reads them.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ezarchive.store import files
from ezarchive.store.paths import MARGIN
from ezarchive.store.tree import Leaf
from ezarchive.store.version import Place, Version
from ezarchive.store.writer import Change, Writer

THRESHOLD_ARCSEC = 20.0
"""Every object within this of a leaf is in its margin."""


def renewed(version: Version, previous: Version, writer: Writer) -> tuple[Change, ...]:
    """Write the margins of the leaves that have changed objects in or around them.

    Parameters
    ----------
    version : Version
        The one that is being made, with all its objects.
    previous : Version
        The one that it began as: where no objects changed, its margins stay.
    writer : Writer

    Returns
    -------
    tuple of Change
        For `Builder.apply`.
    """
    places = {place for place in (*version.files, *previous.files) if place.dataset == "objects"}
    changed = {place.leaf for place in places if version.files.get(place) != previous.files.get(place)} & set(version.tree.leaves)
    near = changed.union(*(version.tree.neighbours(leaf) for leaf in changed))
    filled = set(version.leaves("objects"))
    targets = sorted(near & filled, key=lambda leaf: leaf.cells)
    found = _of_neighbours(version, set(targets), filled)
    gone = [Change(Place(MARGIN, leaf), True, ()) for leaf in sorted(near - filled) if Place(MARGIN, leaf) in version.files]
    empty = files.schema(MARGIN).empty_table()
    made = [change for leaf in targets for change in writer.replace(leaf, MARGIN, pa.concat_tables([empty, *found.get(leaf, [])]))]
    return (*gone, *made)


def _of_neighbours(version: Version, targets: set[Leaf], filled: set[Leaf]) -> dict[Leaf, list[pa.Table]]:
    """Return the objects near each of the leaves, of the others."""
    around = set().union(*(version.tree.neighbours(leaf) for leaf in targets)) & filled
    found: dict[Leaf, list[pa.Table]] = {}
    for leaf in sorted(around, key=lambda leaf: leaf.cells):
        rows, places = version.tree.others_near(version.read("objects", leaf, ["_healpix_29"])["_healpix_29"].to_numpy())
        if not len(rows):
            continue
        table = version.read("objects", leaf)
        for place in np.unique(places).tolist():
            target = version.tree.leaves[place]
            if target in targets:
                found.setdefault(target, []).append(table.take(pa.array(rows[places == place])))
    return found
