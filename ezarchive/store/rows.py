"""What goes into the grouping of measurements, and what comes out of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]

PAIR = np.dtype([("object_id", np.int64), ("other_id", np.int64), ("separation", np.float64)])
"""Two objects whose measurements may be mixed up: `other_id` 0 has no id, `separation` in arcsec (NaN where there is none)."""


class Rows(NamedTuple):
    """Measurements in view that belong to no object yet, in any order; every field has shape (n,).

    Attributes
    ----------
    healpix_29 : ndarray of int64
        NESTED cell of order 29 of `ra`, `dec`.
    ra, dec : ndarray of float64
        ICRS degrees.
    catalog_id, frame_id, row : ndarray of int64
        Where it was measured; a row of a catalog is given once.
    mjd_mid : ndarray of float64
    night : ndarray of int32
        Number of the night.
    forced : ndarray of bool
        A forced measurement, not a detection.
    old : ndarray of bool
        Was in view before, and left without an object.
    inside : ndarray of bool
        Decided here; the others lie in the margin, and are seen for the sake of those.
    rim : ndarray of bool
        May have friends that are out of view (``sites.on_rim``).
    """

    healpix_29: Ids
    ra: NDArray[np.float64]
    dec: NDArray[np.float64]
    catalog_id: Ids
    frame_id: Ids
    row: Ids
    mjd_mid: NDArray[np.float64]
    night: NDArray[np.int32]
    forced: NDArray[np.bool_]
    old: NDArray[np.bool_]
    inside: NDArray[np.bool_]
    rim: NDArray[np.bool_]


class Known(NamedTuple):
    """Objects in view, under their present ids: k of them, with s sites.

    Attributes
    ----------
    object_id : ndarray of int64, shape (k,)
        In any order, each once.
    ra, dec : ndarray of float64, shape (k,)
        Mean positions, ICRS degrees.
    ambiguous : ndarray of bool, shape (k,)
    mjd_first : ndarray of float64, shape (k,)
        Time of the first detection.
    site, site_object : ndarray of int64, shape (s,)
        Sites as ``Decision.sites`` gave them, and the object of each.
    site_rim : ndarray of bool, shape (s,)
        May have friends that are out of view (``sites.on_rim``).
    """

    object_id: Ids
    ra: NDArray[np.float64]
    dec: NDArray[np.float64]
    ambiguous: NDArray[np.bool_]
    mjd_first: NDArray[np.float64]
    site: Ids
    site_object: Ids
    site_rim: NDArray[np.bool_]

    @classmethod
    def none(cls) -> Known:
        """Return no objects."""
        whole, real, truth = np.empty(0, np.int64), np.empty(0), np.empty(0, np.bool_)
        return cls(whole, real, real, truth, real, whole, whole, truth)


class Decision(NamedTuple):
    """What is to be done with the measurements.

    Attributes
    ----------
    object_id : ndarray of int64, shape (n,)
        Object of each row; 0: none, or not decided here.
    minted : ndarray of int64
        Objects that are new, each with a row that was decided here; ascending.
    merged : ndarray of int64, shape (m, 2)
        Known objects that are another one from now on, and which. The survivor is none of the first.
    ambiguous : ndarray of int64
        Objects to be marked ambiguous that are not yet; ascending.
    pairs : ndarray of PAIR
        Objects whose measurements may be mixed up, the smaller id first, or with 0 for what has no id; ascending. Those known before are
        told again.
    sites : ndarray of int64, shape (p, 2)
        Sites that are new to the objects of the rows decided here, and those objects; negative ones are of forced rows. Ascending.
    """

    object_id: Ids
    minted: Ids
    merged: Ids
    ambiguous: Ids
    pairs: np.ndarray
    sites: Ids
