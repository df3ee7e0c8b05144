"""Sites: the HEALPix cells of order 20 (0.2 arcsec) in which something was detected, and which of them belong together.

Two detections are friends where the centres of their sites lie within a radius; friends of friends make a component. Which components
there are does not depend on the order in which detections arrive, and of an object no more needs to be remembered than its sites.
A forced measurement leaves a site too, written as ``~site`` (negative): it links nothing, but tells where the object was measured.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from astropy import units
from cdshealpix import nested
from numpy.typing import ArrayLike, NDArray

from ezarchive.errors import InputError
from ezarchive.kernels import friends
from ezarchive.sky import unit_vectors

ORDER = 20
"""Order of the sites."""

SIZE_ARCSEC = 0.5
"""No detection lies further than half of this from the centre of its site, with something to spare."""

_SHIFT = 2 * (29 - ORDER)
_LEAST_CELL = 1e-6

_MARKS_PER_ROW = 32
"""Up to so many marks a row a table of marks is faster than sorting."""


class Components(NamedTuple):
    """Sites and their friends of friends.

    Attributes
    ----------
    site : ndarray of int64, shape (s,)
        Ascending, each once.
    component : ndarray of int64, shape (s,)
        Component of each, 0 to `count`.
    count : int
    """

    site: NDArray[np.int64]
    component: NDArray[np.int64]
    count: int


def distinct(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the values, ascending, each once; several times as fast as ``np.unique``, which hashes."""
    values = np.sort(values)
    first = np.ones(len(values), np.bool_)
    first[1:] = values[1:] != values[:-1]
    return values[first]


def distinct_pairs(first: NDArray[np.int64], second: NDArray[np.int64], count: int, width: int) -> NDArray[np.int64]:
    """Return ``first * width + second``, ascending, each once; fast where nearly every `first` (0 to `count`) has but one `second`."""
    one = np.full(count, -1, np.int64)
    one[first] = second
    seen = np.flatnonzero(one >= 0)
    pair = seen * width + one[seen]
    other = np.flatnonzero(one[first] != second)
    return distinct(np.concatenate([pair, first[other] * width + second[other]])) if len(other) else pair


def marked(group: NDArray[np.int64], value: NDArray[np.int64], count: int, span: int) -> NDArray[np.bool_] | None:
    """Return which values (0 to `span`) occur in which groups, shape (count, span); None where that would be far larger than the rows."""
    if count * span > _MARKS_PER_ROW * len(group):
        return None
    marks = np.zeros(count * span, np.bool_)
    marks[group * span + value] = True
    return marks.reshape(count, span)


def among(values: NDArray[np.int64], members: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which values are members; several times as fast as ``np.isin``, which sorts the values."""
    members = distinct(members)
    if not members.size:
        return np.zeros(len(values), np.bool_)
    return members[np.minimum(np.searchsorted(members, values), len(members) - 1)] == values


def flagged(flags: NDArray[np.bool_], component: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return the flag of each component; False of those numbered -1."""
    return np.append(flags, np.False_)[component]


def places(values: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where each of `wanted` stands in an unsorted array that has them all."""
    if not values.size:
        return np.empty(0, np.int64)
    order = np.argsort(values)
    return order[np.searchsorted(values[order], wanted)]


def nights(group: NDArray[np.int64], night: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """Return on how many nights each group was seen."""
    if not group.size:
        return np.zeros(count, np.int64)
    span = int(night.max()) - int(night.min()) + 1
    marks = marked(group, night - night.min(), count, span)
    if marks is not None:
        return np.count_nonzero(marks, axis=1)
    return np.bincount(distinct(group * span + (night - night.min())) // span, minlength=count)


def site_of(healpix_29: ArrayLike) -> NDArray[np.int64]:
    """Return the site of positions given as NESTED cells of order 29.

    Parameters
    ----------
    healpix_29 : array_like of int64, shape (n,)

    Returns
    -------
    ndarray of int64, shape (n,)
    """
    return np.asarray(healpix_29, np.int64) >> _SHIFT


def healpix_29(site: ArrayLike) -> NDArray[np.int64]:
    """Return the first cell of order 29 in each site, of either kind.

    Parameters
    ----------
    site : array_like of int64, shape (n,)
        Sites; negative ones of forced measurements.

    Returns
    -------
    ndarray of int64, shape (n,)
    """
    site = np.asarray(site, np.int64)
    return np.where(site < 0, ~site, site) << _SHIFT


def centres(site: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return unit vectors to the centres of sites.

    Parameters
    ----------
    site : ndarray of int64, shape (n,)
        None of them negative.

    Returns
    -------
    ndarray, shape (n, 3)
    """
    if not site.size:
        return np.empty((0, 3))
    longitude, latitude = nested.healpix_to_lonlat(site.astype(np.uint64), np.uint8(ORDER), num_threads=1)
    return unit_vectors(longitude.to_value(units.deg), latitude.to_value(units.deg))


def chord(arcsec: float) -> float:
    """Return the distance of two unit vectors that are so many arcsec apart."""
    return 2 * math.sin(math.radians(arcsec / 3600) / 2)


def arcsec(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the angle between vectors of any length, arcsec.

    Parameters
    ----------
    one, other : ndarray, shape (n, 3)

    Returns
    -------
    ndarray, shape (n,)
    """
    across = np.sqrt((np.cross(one, other) ** 2).sum(axis=-1))
    return np.degrees(np.arctan2(across, (one * other).sum(axis=-1))) * 3600


def step_of(reach: float) -> float:
    """Return how wide the cells of `grid` are for a reach, both chords."""
    return max(reach * (1 + 1e-9), _LEAST_CELL)


def grid(points: NDArray[np.float64], reach: float) -> NDArray[np.int64]:
    """Return the cell of each point in a cubic grid at least `reach` wide, as the compiled loops take it.

    Parameters
    ----------
    points : ndarray, shape (n, 3)
        Unit vectors.
    reach : float
        A chord.

    Returns
    -------
    ndarray of int64, shape (n,)
    """
    step = step_of(reach)
    cell = np.floor(points / step).astype(np.int64) + (1 << 20)
    return cell[:, 0] << 42 | cell[:, 1] << 21 | cell[:, 2]


def components(
    site: NDArray[np.int64],
    radius: float,
    *,
    joined: NDArray[np.int64] | None = None,
    group: NDArray[np.int64] | None = None,
) -> Components:
    """Return the friends of friends among sites.

    Parameters
    ----------
    site : ndarray of int64, shape (n,)
        In any order, with repeats.
    radius : float
        Arcsec within which the centres of two sites are friends.
    joined, group : ndarray of int64, shape (m,)
        Sites, all of them in `site`, that belong together whatever their distance, and the group (0 or more) that each is of.

    Returns
    -------
    Components

    Raises
    ------
    InputError
        If the radius is not positive and below a degree.
    """
    if not 0 < radius < 3600:
        raise InputError(f"radius {radius!r}: must lie in 0 to 3600 arcsec")
    found = distinct(site)
    reach = chord(radius)
    points = centres(found)
    keys = grid(points, reach)
    order = np.argsort(keys, kind="stable")
    parent = np.arange(len(found))
    if joined is not None and group is not None and len(joined):
        place = np.empty(len(found), np.int64)
        place[order] = np.arange(len(found))
        friends.join_groups(parent, place[np.searchsorted(found, joined)], group, int(group.max()) + 1)
    friends.link(keys[order], points[order], parent, reach * reach)
    labels, count = friends.labels(parent)
    component = np.empty(len(found), np.int64)
    component[order] = labels
    return Components(found, component, int(count))


class Around(NamedTuple):
    """Ranges of sites, ascending: from `low` to `high`, which is left out."""

    low: NDArray[np.int64]
    high: NDArray[np.int64]

    def holds(self, site: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which sites lie in them."""
        if not len(self.low):
            return np.zeros(len(site), np.bool_)
        at = np.searchsorted(self.low, site, side="right") - 1
        return (at >= 0) & (site < self.high[at])


def around(site: NDArray[np.int64], radius: float) -> Around:
    """Return ranges that hold every site that can be a friend of one of the given ones, and others not much further.

    Parameters
    ----------
    site : ndarray of int64, shape (n,)
        None of them negative.
    radius : float
        Arcsec.

    Returns
    -------
    Around
    """
    order = _wide_order(radius)
    shift = 2 * (ORDER - order)
    cells = distinct(site >> shift)
    if cells.size:
        near = nested.neighbours(cells.astype(np.uint64), np.uint8(order), num_threads=1).astype(np.int64)
        cells = distinct(near[near >= 0])
    return Around(cells << shift, (cells + 1) << shift)


def _wide_order(radius: float) -> int:
    """Return the finest order whose cells are nowhere narrower than the reach of a site."""
    reach = math.radians((radius + 2 * SIZE_ARCSEC) / 3600)
    # The narrowest cells of an order are about half as wide as the square of the same area.
    return min(ORDER, math.floor(math.log2(math.sqrt(math.pi / 3) / (2.2 * reach))))


def on_rim(healpix_29: NDArray[np.int64], low: NDArray[np.int64], high: NDArray[np.int64], radius: float) -> NDArray[np.bool_]:
    """Tell which places may have friends outside the area in view.

    Parameters
    ----------
    healpix_29 : ndarray of int64, shape (n,)
        Places in the view, as NESTED cells of order 29.
    low, high : ndarray of int64, shape (m,)
        The view: ranges of such cells, ascending, apart from one another, their upper ends left out.
    radius : float
        Arcsec within which two sites are friends.

    Returns
    -------
    ndarray of bool, shape (n,)
        True where a cell of about twice the radius, or one that touches it, reaches out of the view.
    """
    order = _wide_order(radius)
    shift = 2 * (29 - order)
    cells, index = np.unique(np.asarray(healpix_29, np.int64) >> shift, return_inverse=True)
    if not cells.size:
        return np.empty(0, np.bool_)
    around = nested.neighbours(cells.astype(np.uint64), np.uint8(order), num_threads=1).astype(np.int64)
    exists = around >= 0
    at = np.searchsorted(low, around << shift, side="right") - 1
    seen = (at >= 0) & (high[at] >= (around + 1) << shift) if len(low) else np.zeros(around.shape, np.bool_)
    return (exists & ~seen).any(axis=1)[index]
