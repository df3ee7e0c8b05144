"""Which measurements are of one star: by their objects where there are any, else by position."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from ezarchive import sky
from ezarchive.catalogs.match import match_sky

NO_STAR = -1
_SITE_ORDER = 20  # cells of 0.2 arcsec: however many epochs there are, a star has few

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def join(object_id: Ints, frame: Ints, ra: Floats, dec: Floats, radius: float) -> Ints:
    """Return numbers of the stars that measurements are of.

    Parameters
    ----------
    object_id : ndarray of int64, shape (n,)
        The object of each measurement, -1 of one without.
    frame : ndarray of int64, shape (n,)
        The frame that it is on.
    ra, dec : ndarray of float, shape (n,)
        ICRS degrees, finite.
    radius : float
        Arcsec within which measurements without an object belong to one, or to each other.

    Returns
    -------
    ndarray of int64, shape (n,)
        Number of the star, from 0; -1 of measurements that share star and frame with another one.

    Notes
    -----
    Without objects, measurements are of one star if a chain of steps of up to `radius` leads from one to the other, as in association.
    """
    _, star = np.unique(object_id, return_inverse=True)
    star = np.where(object_id >= 0, star, NO_STAR).astype(np.int64)
    loose = np.flatnonzero(star < 0)
    if len(loose) and len(loose) < len(star):
        star[loose] = _nearest_object(star, ra, dec, loose, radius)
        loose = np.flatnonzero(star < 0)
    if len(loose):
        star[loose] = star.max() + 1 + _chains(ra[loose], dec[loose], radius)
    return _without_doubles(star, frame)


def mean_places(star: Ints, ra: Floats, dec: Floats, n: int) -> tuple[Floats, Floats]:
    """Return the mean positions of the stars that measurements are of, degrees; ``star`` from 0 to below ``n``, none negative."""
    vectors = sky.unit_vectors(ra, dec)
    return sky.from_vectors(np.stack([np.bincount(star, weights=vectors[:, axis], minlength=n) for axis in range(3)], axis=1))


def _nearest_object(star: Ints, ra: Floats, dec: Floats, loose: NDArray[np.intp], radius: float) -> Ints:
    """Return the number of the nearest object for measurements that have none, -1 where it is too far."""
    known = np.flatnonzero(star >= 0)
    numbers, place = np.unique(star[known], return_inverse=True)
    mean_ra, mean_dec = mean_places(place, ra[known], dec[known], len(numbers))
    found = np.full(len(loose), NO_STAR, np.int64)
    matches = match_sky(mean_ra, mean_dec, ra[loose], dec[loose], radius, nearest=True)
    found[matches.wanted] = numbers[matches.row]
    return found


def _chains(ra: Floats, dec: Floats, radius: float) -> Ints:
    """Return numbers, from 0, of what hangs together by steps of up to a radius."""
    cells, site = np.unique(sky.cell_of(ra, dec, _SITE_ORDER), return_inverse=True)
    site_ra, site_dec = mean_places(site, ra, dec, len(cells))
    chord = 2 * np.sin(np.radians(radius / 3600) / 2)
    pairs = cKDTree(sky.unit_vectors(site_ra, site_dec)).query_pairs(chord, output_type="ndarray")
    links = coo_matrix((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(len(cells), len(cells)))
    return connected_components(links, directed=False)[1][site].astype(np.int64)


def _without_doubles(star: Ints, frame: Ints) -> Ints:
    """Take measurements off their star where one frame has several of them: nobody knows which is the star's."""
    order = np.lexsort((frame, star))
    same = (np.diff(star[order]) == 0) & (np.diff(frame[order]) == 0)
    double = np.zeros(len(star), bool)
    double[order[1:]] |= same
    double[order[:-1]] |= same
    return np.where(double, NO_STAR, star)
