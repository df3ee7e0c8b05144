"""What the grouping sees: the components of detections and known objects, and what kind each of them is."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ezarchive.errors import InputError
from ezarchive.store import sites
from ezarchive.store.rows import Ids, Known, Rows

CatalogsOf = Callable[[Ids], tuple[Ids, Ids]]

MAX_RADIUS = 5.0
"""Arcsec; beyond it margins are too narrow."""


class View(NamedTuple):
    """What is in view, detections and objects by component."""

    detection: Ids  # rows that are detections
    site: Ids  # of each detection: place in `graph.site`
    component: Ids  # of each detection
    known_site: Ids  # of each detected site of a known object: place in `graph.site`
    owner: Ids  # of each of those: place in `known.object_id`
    known_component: Ids  # of each known object; -1 of one without a site in view
    graph: sites.Components


class Facts(NamedTuple):
    """What is known of each component; every field has shape (c,)."""

    objects: Ids
    nights: Ids
    inside: NDArray[np.bool_]
    unseen: NDArray[np.bool_]  # reaches out of view and holds no row to decide: another's business
    ambiguous: NDArray[np.bool_]


def check(rows: Rows, known: Known, radius: float, min_nights: int) -> None:
    """Refuse what cannot be joined."""
    if not 0 < radius <= MAX_RADIUS:
        raise InputError(f"radius {radius!r}: must lie in 0 to {MAX_RADIUS:g} arcsec")
    if min_nights < 1:
        raise InputError(f"min_nights {min_nights!r}: must be 1 or more")
    for name, fields in (("rows", rows), ("known: fields of objects", known[:5]), ("known: fields of sites", known[5:])):
        found = sorted({len(field) for field in fields})
        if len(found) > 1:
            raise InputError(f"{name}: must have one length, found {found}")
    if len(sites.distinct(known.object_id)) < len(known.object_id):
        raise InputError("known.object_id: each object must be given once, found repeats")
    strangers = ~sites.among(known.site_object, known.object_id)
    if strangers.any():
        raise InputError(f"known.site_object: must be ids of known.object_id, found {known.site_object[strangers][0]}")
    if not (np.isfinite(rows.mjd_mid).all() and np.isfinite(rows.ra).all() and (np.abs(rows.dec) <= 90).all()):
        raise InputError("rows: ra, dec and mjd_mid must be finite, with a declination in -90 to 90 degrees")


def thinned(known: Known, rows: Rows, radius: float) -> Known:
    """Return the known objects with only those of their sites that can matter to the rows.

    Parameters
    ----------
    known : Known
    rows : Rows
    radius : float
        Arcsec.

    Returns
    -------
    Known
        With the sites in which there are rows, those around new sites and forced measurements, and all of ambiguous objects. Others meet
        nothing new, and sites of different objects do not meet but in ambiguous components. A site is at the rim where any of its
        object is.
    """
    if not known.site.size:
        return known
    order = np.argsort(known.site, kind="stable") if (np.diff(known.site) < 0).any() else slice(None)
    site, owner = known.site[order], known.site_object[order]
    first = int(np.searchsorted(site, 0))
    found = sites.distinct(sites.site_of(rows.healpix_29[~rows.forced]))
    forced = sites.distinct(sites.site_of(rows.healpix_29[rows.forced]))
    low, high = (np.searchsorted(site[first:], found, side=side) for side in ("left", "right"))
    near = sites.around(np.concatenate([found[low == high], forced]), radius)
    keep = sites.among(owner, known.object_id[known.ambiguous])
    keep[:first] = near.holds(~site[:first])
    marks = np.zeros(len(site) - first + 1, np.int64)
    for begin, end in ((low, high), (np.searchsorted(site[first:], near.low), np.searchsorted(site[first:], near.high))):
        np.add.at(marks, begin, 1)
        np.add.at(marks, end, -1)
    keep[first:] |= np.cumsum(marks)[:-1] > 0
    rim = sites.among(owner[keep], known.site_object[known.site_rim])
    return known._replace(site=site[keep], site_object=owner[keep], site_rim=rim)


def see(rows: Rows, known: Known, radius: float) -> View:
    """Return detections and objects by component."""
    detection = np.flatnonzero(~rows.forced)
    site = sites.site_of(rows.healpix_29[detection])
    detected = known.site >= 0
    owner = sites.places(known.object_id, known.site_object)[detected]
    graph = sites.components(np.concatenate([site, known.site[detected]]), radius, joined=known.site[detected], group=owner)
    place = np.searchsorted(graph.site, site)
    known_site = np.searchsorted(graph.site, known.site[detected])
    known_component = np.full(len(known.object_id), -1, np.int64)
    known_component[owner] = graph.component[known_site]
    return View(detection, place, graph.component[place], known_site, owner, known_component, graph)


def judge(rows: Rows, known: Known, view: View, min_nights: int, catalogs_of: CatalogsOf) -> Facts:
    """Return what kind each component is."""
    count = view.graph.count
    held = view.known_component >= 0
    objects = np.bincount(view.known_component[held], minlength=count)
    inside, rim, doubtful, old = (np.zeros(count, np.bool_) for _ in range(4))
    inside[view.component[rows.inside[view.detection]]] = True
    rim[view.component[rows.rim[view.detection]]] = True
    rim[view.graph.component[view.known_site[known.site_rim[known.site >= 0]]]] = True
    doubtful[view.known_component[held & known.ambiguous]] = True
    old[view.component[rows.old[view.detection]]] = True
    catalog = rows.catalog_id[view.detection]
    doubtful[_repeated(view.component, catalog)] = True
    asked = ~doubtful & ~rim & ((objects > 1) | ((objects == 1) & old))
    doubtful[_met_again(known, view, catalog, asked, catalogs_of)] = True
    unseen = rim & ~inside
    return Facts(objects, sites.nights(view.component, rows.night[view.detection], count), inside, unseen, (doubtful | rim) & ~unseen)


def _met_again(known: Known, view: View, catalog: Ids, asked: NDArray[np.bool_], catalogs_of: CatalogsOf) -> Ids:
    """Return which of the components asked for have a catalog twice, what is in the store counted."""
    wanted = np.flatnonzero(sites.flagged(asked, view.known_component))
    if not wanted.size:
        return np.empty(0, np.int64)
    object_id, stored = (np.asarray(array, np.int64) for array in catalogs_of(np.sort(known.object_id[wanted])))
    if not sites.among(object_id, known.object_id[wanted]).all():
        raise InputError("catalogs_of: must tell of the objects that it was asked for, found others")
    mine = asked[view.component]
    component = np.concatenate([view.component[mine], view.known_component[sites.places(known.object_id, object_id)]])
    return _repeated(component, np.concatenate([catalog[mine], stored]))


def _repeated(group: Ids, catalog: Ids) -> Ids:
    """Return the groups in which a catalog stands twice, with repeats."""
    if not group.size:
        return group
    low = int(catalog.min())
    span = int(catalog.max()) - low + 1
    if span > 1 << 31:
        catalog, low = np.unique(catalog, return_inverse=True)[1], 0
        span = int(catalog.max()) + 1
    marks = sites.marked(group, catalog - low, int(group.max()) + 1, span)
    if marks is not None and np.count_nonzero(marks) == len(group):
        return group[:0]
    key = np.sort(group * span + (catalog - low))
    return key[1:][key[1:] == key[:-1]] // span
