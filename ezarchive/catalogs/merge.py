"""Several lists of positions as one list of objects, whichever list comes first."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from ezarchive.errors import InputError
from ezarchive.sky import unit_vectors

Ints = NDArray[np.int64]


def group(ra: ArrayLike, dec: ArrayLike, owner: ArrayLike, max_distance_arcsec: float) -> Ints:
    """Return which positions are of one object.

    Parameters
    ----------
    ra, dec : array_like, shape (n,)
        ICRS degrees, finite.
    owner : array_like of int, shape (n,)
        The list that each is from: of one list an object has one position at most.
    max_distance_arcsec : float
        Positions farther apart are never joined directly; nor are groups whose means are.

    Returns
    -------
    ndarray of int, shape (n,)
        The object of each, from 0, by right ascension and declination of the objects' means.

    Raises
    ------
    InputError
        If the distance is not positive and at most 1 degree.

    Notes
    -----
    Pairs are joined from the closest on, unless their groups share a list or lie too far apart: nothing depends on the order of the lists
    or of the rows, but for pairs at the very same distance, which are taken by their coordinates.
    """
    if isinstance(max_distance_arcsec, bool) or not 0 < max_distance_arcsec <= 3600:
        raise InputError(f"max_distance_arcsec={max_distance_arcsec!r}: must be more than 0 and at most 3600")
    ra, dec, owner = np.asarray(ra, float), np.asarray(dec, float), np.asarray(owner, np.int64)
    if not len(ra):
        return np.zeros(0, np.int64)
    vectors = np.atleast_2d(unit_vectors(ra, dec))
    reach = 2 * np.sin(np.radians(max_distance_arcsec / 3600) / 2)
    pairs = cKDTree(vectors).query_pairs(reach * (1 + 1e-12), output_type="ndarray")
    n = len(ra)
    near = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    found, labels = connected_components(near, directed=False)
    labels = labels.astype(np.int64)
    hard = _hard(labels, found, vectors, owner, reach)
    if hard.any():
        chosen = pairs[hard[labels[pairs[:, 0]]]]
        labels = _closest_first(labels, hard, chosen, vectors, owner, reach, np.lexsort((dec, ra)).argsort())
    return _by_place(labels, vectors)


def _hard(labels: Ints, n: int, vectors: NDArray, owner: Ints, reach: float) -> NDArray[np.bool_]:
    """Tell the components with two positions of one list, or one far from their mean."""
    order = np.lexsort((owner, labels))
    twice = (np.diff(labels[order]) == 0) & (np.diff(owner[order]) == 0)
    hard = np.zeros(n, bool)
    hard[labels[order][1:][twice]] = True
    away = np.sqrt(((vectors - _means(labels, n, vectors)[labels]) ** 2).sum(axis=1))
    hard[labels[away > reach / 2]] = True
    return hard


def _means(labels: Ints, n: int, vectors: NDArray) -> NDArray[np.float64]:
    sums = np.stack([np.bincount(labels, weights=axis, minlength=n) for axis in vectors.T], axis=1)
    return sums / np.sqrt((sums**2).sum(axis=1))[:, None]


def _closest_first(
    labels: Ints, hard: NDArray[np.bool_], pairs: NDArray, vectors: NDArray, owner: Ints, reach: float, rank: NDArray
) -> Ints:
    """Return labels with the hard components taken apart and joined anew, the closest pair first."""
    distance = ((vectors[pairs[:, 0]] - vectors[pairs[:, 1]]) ** 2).sum(axis=1)
    ranks = np.sort(rank[pairs], axis=1)
    pairs = pairs[np.lexsort((ranks[:, 1], ranks[:, 0], distance))]
    members = np.flatnonzero(hard[labels])
    group_of = {int(row): int(row) for row in members}
    rows = {int(row): [int(row)] for row in members}
    owners = {int(row): {int(owner[row])} for row in members}
    sums = {int(row): vectors[row].copy() for row in members}
    for one, other in pairs.tolist():
        a, b = group_of[one], group_of[other]
        if a == b or owners[a] & owners[b]:
            continue
        apart = sums[a] / np.linalg.norm(sums[a]) - sums[b] / np.linalg.norm(sums[b])
        if np.linalg.norm(apart) > reach * (1 + 1e-12):
            continue
        a, b = (a, b) if len(rows[a]) >= len(rows[b]) else (b, a)
        for row in rows[b]:
            group_of[row] = a
        rows[a] += rows.pop(b)
        owners[a] |= owners.pop(b)
        sums[a] = sums[a] + sums.pop(b)
    new = labels.copy()
    new[members] = [labels.max() + 1 + group_of[int(row)] for row in members]
    return np.unique(new, return_inverse=True)[1]


def _by_place(labels: Ints, vectors: NDArray) -> Ints:
    """Return labels numbered by the right ascension and declination of the means."""
    _, labels = np.unique(labels, return_inverse=True)
    mean = _means(labels, labels.max() + 1, vectors)
    # Rounded: of two on one meridian the declination decides, not the last bit.
    ra = np.round(np.degrees(np.arctan2(mean[:, 1], mean[:, 0])) % 360, 9)
    number = np.empty(len(mean), np.int64)
    number[np.lexsort((mean[:, 2], ra))] = np.arange(len(mean))
    return number[labels]
