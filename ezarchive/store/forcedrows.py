"""Forced measurements: each goes to the object that has a site within the radius of its own."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ezarchive.kernels import friends
from ezarchive.sky import unit_vectors
from ezarchive.store import sites
from ezarchive.store.rows import Known, Rows


class Owned(NamedTuple):
    """Detected sites of objects; an object has many, and a site in an ambiguous component may have several."""

    site: NDArray[np.int64]
    entity: NDArray[np.int64]


class Forced(NamedTuple):
    """Forced measurements given to objects.

    Attributes
    ----------
    rows, entity : ndarray of int64, shape (r,)
        Forced rows and the object of each; -1: none near it.
    one, other : ndarray of int64, shape (p,)
        Objects that are both near to a forced measurement.
    separation : ndarray, shape (p,)
        Arcsec between their mean positions.
    """

    rows: NDArray[np.int64]
    entity: NDArray[np.int64]
    one: NDArray[np.int64]
    other: NDArray[np.int64]
    separation: NDArray[np.float64]


def attach(
    rows: Rows, known: Known, entity: NDArray[np.int64], survivor: NDArray[np.int64], owned: Owned, names: NDArray[np.int64], radius: float
) -> Forced:
    """Give forced measurements to objects.

    Parameters
    ----------
    rows : Rows
    known : Known
    entity : ndarray of int64, shape (n,)
        Object of each detection: its place in `names`; -1: none.
    survivor : ndarray of int64, shape (k,)
        What each known object is by now: a place in `names`.
    owned : Owned
    names : ndarray of int64
        Ids of all objects.
    radius : float
        Arcsec.

    Returns
    -------
    Forced
        Where several objects are near, the one with the nearest mean position is taken (the lower id of two equally near) and the pairs
        are told; so they are where an object has come near to a measurement given away before.
    """
    mine = np.flatnonzero(rows.forced)
    place = ~sites.site_of(rows.healpix_29[mine])
    earlier = np.flatnonzero(known.site < 0)
    if not (mine.size or earlier.size):
        none = np.empty(0, np.int64)
        return Forced(none, none, none, none, np.empty(0))
    found, index = np.unique(np.concatenate([place, known.site[earlier]]), return_inverse=True)
    points = sites.centres(~found)
    holder = survivor[sites.places(known.object_id, known.site_object[earlier])]
    near = _near(points, owned, radius)
    near = np.unique(np.concatenate([near, np.column_stack([index[len(mine) :], holder])]), axis=0)
    crowded = np.bincount(near[:, 0], minlength=len(found))[near[:, 0]] > 1
    means = _means(rows, known, entity, np.unique(near[crowded, 1]), len(names))
    apart = np.zeros(len(near))
    apart[crowded] = sites.arcsec(points[near[crowded, 0]], means[near[crowded, 1]])
    near = near[np.lexsort([names[near[:, 1]], apart, near[:, 0]])]
    first = np.ones(len(near), np.bool_)
    first[1:] = near[1:, 0] != near[:-1, 0]
    chosen = np.full(len(found), -1, np.int64)
    chosen[near[first, 0]] = near[first, 1]
    one, other = chosen[near[~first, 0]], near[~first, 1]
    return Forced(mine, chosen[index[: len(mine)]], one, other, sites.arcsec(means[one], means[other]))


def _near(points: NDArray[np.float64], owned: Owned, radius: float) -> NDArray[np.int64]:
    """Return (point, object) of the objects within the radius of each point, with repeats."""
    reach = sites.chord(radius)
    others = sites.centres(owned.site)
    keys, other_keys = sites.grid(points, reach), sites.grid(others, reach)
    order, other_order = np.argsort(keys, kind="stable"), np.argsort(other_keys, kind="stable")
    found = friends.touches(
        keys[order], points[order], other_keys[other_order], others[other_order], owned.entity[other_order], reach * reach
    )
    found[:, 0] = order[found[:, 0]]
    return found


def _means(rows: Rows, known: Known, entity: NDArray[np.int64], wanted: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """Return unit vectors to the mean positions of the objects that are wanted; zeros for all others."""
    out = np.zeros((count, 3))
    old = wanted[wanted < len(known.object_id)]
    out[old] = unit_vectors(known.ra[old], known.dec[old])
    is_wanted = np.zeros(count + 1, np.bool_)
    is_wanted[wanted[wanted >= len(known.object_id)]] = True
    members = np.flatnonzero(is_wanted[entity])
    # In the order of ids of rows, so that sums do not depend on that of arrival.
    members = members[np.lexsort([rows.row[members], rows.catalog_id[members]])]
    np.add.at(out, entity[members], unit_vectors(rows.ra[members], rows.dec[members]))
    length = np.sqrt((out**2).sum(axis=1, keepdims=True))
    return out / np.where(length > 0, length, 1.0)
