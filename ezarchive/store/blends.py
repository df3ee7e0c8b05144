"""Ambiguous components: their detections shared among mean positions, and which of those lie so close that they may be mixed up.

Images are taken in the order of time. In each, detections go one to one to the nearest objects within the radius, nearest pair first;
objects are those that are known and the new ones seen on enough nights by then. What is left goes, in the same way, to what was seen on
fewer nights, and what is left then founds something new. So a stray detection beside a star takes nothing from it, and two stars are told
apart once they were seen apart in one image on enough nights.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ezarchive.kernels import sharing
from ezarchive.sky import unit_vectors
from ezarchive.store import sites
from ezarchive.store.rows import Known, Rows

_CLOSE = 3.0
"""Radii within which two objects of a component are told as a pair."""


class Crowd(NamedTuple):
    """The ambiguous components, shared out.

    Attributes
    ----------
    rows : ndarray of int64, shape (r,)
        Rows of detections in them.
    entity : ndarray of int64, shape (r,)
        Object of each: its place in ``Known.object_id``, or, if new, counted from `first_new`; -1: seen on too few nights.
    n_new : int
    mean : ndarray, shape (c, 3)
        Mean positions of everything in them.
    mean_component, mean_entity : ndarray of int64, shape (c,)
        Component and object of each; -1: none.
    """

    rows: NDArray[np.int64]
    entity: NDArray[np.int64]
    n_new: int
    mean: NDArray[np.float64]
    mean_component: NDArray[np.int64]
    mean_entity: NDArray[np.int64]


def share(
    rows: Rows,
    known: Known,
    component: NDArray[np.int64],
    known_component: NDArray[np.int64],
    *,
    radius: float,
    min_nights: int,
    first_new: int,
) -> Crowd:
    """Share the detections of ambiguous components.

    Parameters
    ----------
    rows : Rows
    known : Known
    component : ndarray of int64, shape (n,)
        Ambiguous component of each row; -1 of all others.
    known_component : ndarray of int64, shape (k,)
        Ambiguous component of each known object; -1 of all others.
    radius : float
        Arcsec.
    min_nights : int
    first_new : int
        Number of the first new object.

    Returns
    -------
    Crowd
    """
    mine = np.flatnonzero(component >= 0)
    mine = mine[np.lexsort([array[mine] for array in (rows.row, rows.healpix_29, rows.catalog_id, rows.frame_id, rows.mjd_mid)])]
    objects = np.flatnonzero(known_component >= 0)
    objects = objects[np.argsort(known.object_id[objects])]
    if not mine.size:
        vectors = unit_vectors(known.ra[objects], known.dec[objects])
        return Crowd(mine, mine, 0, vectors, known_component[objects], objects)
    reach = sites.chord(radius)
    changes = np.diff(rows.frame_id[mine], prepend=-1) | np.diff(rows.catalog_id[mine], prepend=-1)
    centre, mean, group = sharing.share(
        unit_vectors(rows.ra[mine], rows.dec[mine]), component[mine], np.cumsum(changes != 0), rows.night[mine].astype(np.int64),
        rows.old[mine], unit_vectors(known.ra[objects], known.dec[objects]), known_component[objects], sites.step_of(reach), reach * reach,
        min_nights,
    )  # fmt: skip
    entity = np.full(len(mean), -1, np.int64)
    entity[: len(objects)] = objects
    seen = len(objects) + np.flatnonzero(sites.nights(centre, rows.night[mine], len(mean))[len(objects) :] >= min_nights)
    entity[seen] = first_new + np.arange(len(seen))
    return Crowd(mine, entity[centre], len(seen), mean, group, entity)


def pairs(crowd: Crowd, inside: NDArray[np.bool_], radius: float) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return what may be mixed up with what.

    Parameters
    ----------
    crowd : Crowd
    inside : ndarray of bool
        Of each component: whether it is decided here.
    radius : float
        Arcsec.

    Returns
    -------
    one, other : ndarray of int64, shape (p,)
        Objects; -1 in `other`: something without an id. Each object of an ambiguous component is in at least one pair.
    separation : ndarray, shape (p,)
        Arcsec; NaN where an object is alone.
    """
    here = np.flatnonzero(inside[crowd.mean_component])
    mean, component, entity = crowd.mean[here], crowd.mean_component[here], crowd.mean_entity[here]
    if not here.size:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    near = cKDTree(mean).query_pairs(sites.chord(_CLOSE * radius), output_type="ndarray")
    near = near[component[near[:, 0]] == component[near[:, 1]]]
    # The one with an id comes first.
    near = np.where((entity[near[:, 0]] < 0)[:, None], near[:, ::-1], near)
    near = near[entity[near[:, 0]] >= 0]
    lone = np.setdiff1d(np.flatnonzero(entity >= 0), near[entity[near] >= 0])
    near = np.concatenate([near, _neighbours(lone, mean, component)])
    one, other = entity[near[:, 0]], np.where(near[:, 1] >= 0, entity[near[:, 1]], -1)
    apart = np.where(near[:, 1] >= 0, sites.arcsec(mean[near[:, 0]], mean[near[:, 1]]), np.nan)
    # Of what has no id only the nearest is told.
    order = np.lexsort([apart, other, one])
    one, other, apart = one[order], other[order], apart[order]
    first = np.ones(len(one), np.bool_)
    first[1:] = (one[1:] != one[:-1]) | (other[1:] != other[:-1])
    return one[first], other[first], apart[first]


def _neighbours(lone: NDArray[np.int64], mean: NDArray[np.float64], component: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return each of `lone` with the nearest other of its component, however far; -1 where there is no other."""
    order = np.argsort(component, kind="stable")
    low, high = np.searchsorted(component[order], component[lone]), np.searchsorted(component[order], component[lone], side="right")
    found = np.full((len(lone), 2), -1, np.int64)
    found[:, 0] = lone
    for i in np.flatnonzero(high - low > 1):
        others = order[low[i] : high[i]]
        others = others[others != lone[i]]
        found[i, 1] = others[np.argmin(((mean[others] - mean[lone[i]]) ** 2).sum(axis=1))]
    return found
