"""Which detections are of one object: friends of friends, and what is done where they are too many.

A component of sites (see ``sites``) is *simple* where no image has two detections in it, where all of it is in view, and where none of
its objects is known to be ambiguous. Seen on enough nights it is one object: a new one, the one that is known, or several that turn out to
be one. As components do not depend on the order of arrival, nor does this.

Any other component is *ambiguous* and stays so: its objects are marked, and its detections are shared among the mean positions of its
objects, image after image (``blends``). Detections on too few nights belong to no object and are offered again the next time.

Forced measurements found nothing and link nothing: each goes to the object that has a site within the radius.

The chain of sites of a star with a high proper motion follows it as long as it moves by less than the radius between two detections.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ezarchive.errors import InputError
from ezarchive.kernels import friends
from ezarchive.store import blends, forcedrows, ids, sites

Ids = NDArray[np.int64]
CatalogsOf = Callable[[Ids], tuple[Ids, Ids]]

MAX_RADIUS = 5.0

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


class _View(NamedTuple):
    """What is in view, detections and objects by component."""

    detection: Ids  # rows that are detections
    site: Ids  # of each detection: place in `graph.site`
    component: Ids  # of each detection
    known_site: Ids  # of each detected site of a known object: place in `graph.site`
    owner: Ids  # of each of those: place in `known.object_id`
    known_component: Ids  # of each known object; -1 of one without a site in view
    graph: sites.Components


class _Facts(NamedTuple):
    """What is known of each component; every field has shape (c,)."""

    objects: Ids
    nights: Ids
    inside: NDArray[np.bool_]
    unseen: NDArray[np.bool_]  # reaches out of view and holds no row to decide: another's business
    ambiguous: NDArray[np.bool_]


def decide(rows: Rows, known: Known, *, radius: float, min_nights: int, catalogs_of: CatalogsOf, taken: Ids) -> Decision:
    """Join measurements into objects.

    Parameters
    ----------
    rows : Rows
        All measurements in view without an object, those left over from before included.
    known : Known
        All objects with a site in view.
    radius : float
        Arcsec within which two detections are of one object.
    min_nights : int
        Nights on which something must be detected to become an object.
    catalogs_of : callable
        Takes ids of known objects, gives (object_id, catalog_id) of all their detections; asked only where the answer matters.
    taken : ndarray of int64
        Ids that were ever given away, as far as they lie in view; those of `known` need not be among them.

    Returns
    -------
    Decision

    Raises
    ------
    InputError
        If arrays differ in length, a site is of no known object, an object is given twice, or a parameter is out of range.

    Notes
    -----
    The view must be the area to decide and a margin around it, and an area must be decided again when there is a new row anywhere in its
    view. Two areas that see a component whole decide alike on it. The result depends on the rows as a set, not on their order.
    """
    _check(rows, known, radius, min_nights)
    view = _see(rows, known, radius)
    facts = _judge(rows, known, view, min_nights, catalogs_of)
    survivor = _survivors(known, view, facts)
    entity, first_new = _simple(rows, view, facts, survivor, min_nights)
    crowd = _crowd(rows, known, view, facts, radius=radius, min_nights=min_nights, first_new=first_new)
    entity[crowd.rows] = crowd.entity
    names = _names(rows, known, entity, first_new + crowd.n_new, taken)
    forced = forcedrows.attach(rows, known, entity, survivor, _owned(view, entity, survivor, len(names)), names, radius)
    entity[forced.rows] = forced.entity
    minted = sites.distinct(entity[rows.inside & (entity >= len(known.object_id))])
    object_id, mine = np.zeros(len(entity), np.int64), rows.inside & (entity >= 0)
    object_id[mine] = names[entity[mine]]
    return Decision(
        object_id=object_id,
        minted=np.sort(names[minted]),
        merged=_merged(known, view, facts, survivor),
        ambiguous=_newly_ambiguous(known, view, facts, crowd, names, minted),
        pairs=_pairs(facts, crowd, forced, names, radius),
        sites=_new_sites(rows, known, view, entity, survivor, names),
    )


def _check(rows: Rows, known: Known, radius: float, min_nights: int) -> None:
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
    strangers = ~np.isin(known.site_object, known.object_id)
    if strangers.any():
        raise InputError(f"known.site_object: must be ids of known.object_id, found {known.site_object[strangers][0]}")
    if not (np.isfinite(rows.mjd_mid).all() and np.isfinite(rows.ra).all() and (np.abs(rows.dec) <= 90).all()):
        raise InputError("rows: ra, dec and mjd_mid must be finite, with a declination in -90 to 90 degrees")


def _see(rows: Rows, known: Known, radius: float) -> _View:
    """Return detections and objects by component."""
    detection = np.flatnonzero(~rows.forced)
    site = sites.site_of(rows.healpix_29[detection])
    detected = known.site >= 0
    owner = forcedrows.places(known.object_id, known.site_object)[detected]
    graph = sites.components(np.concatenate([site, known.site[detected]]), radius, joined=known.site[detected], group=owner)
    place = np.searchsorted(graph.site, site)
    known_site = np.searchsorted(graph.site, known.site[detected])
    known_component = np.full(len(known.object_id), -1, np.int64)
    known_component[owner] = graph.component[known_site]
    return _View(detection, place, graph.component[place], known_site, owner, known_component, graph)


def _judge(rows: Rows, known: Known, view: _View, min_nights: int, catalogs_of: CatalogsOf) -> _Facts:
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
    return _Facts(objects, blends.nights(view.component, rows.night[view.detection], count), inside, unseen, (doubtful | rim) & ~unseen)


def _met_again(known: Known, view: _View, catalog: Ids, asked: NDArray[np.bool_], catalogs_of: CatalogsOf) -> Ids:
    """Return which of the components asked for have a catalog twice, what is in the store counted."""
    wanted = np.flatnonzero((view.known_component >= 0) & asked[view.known_component])
    if not wanted.size:
        return np.empty(0, np.int64)
    object_id, stored = (np.asarray(array, np.int64) for array in catalogs_of(np.sort(known.object_id[wanted])))
    mine = asked[view.component]
    component = np.concatenate([view.component[mine], view.known_component[forcedrows.places(known.object_id, object_id)]])
    return _repeated(component, np.concatenate([catalog[mine], stored]))


def _survivors(known: Known, view: _View, facts: _Facts) -> Ids:
    """Return the place of the object that each known one is by now: in a simple component the one founded first."""
    survivor = np.arange(len(known.object_id))
    mergeable = ~facts.ambiguous & ~facts.unseen & (facts.objects > 1)
    several = np.flatnonzero((view.known_component >= 0) & mergeable[view.known_component])
    if several.size:
        several = several[np.lexsort([known.object_id[several], known.mjd_first[several], view.known_component[several]])]
        component = view.known_component[several]
        survivor[several] = several[np.searchsorted(component, component)]
    return survivor


def _simple(rows: Rows, view: _View, facts: _Facts, survivor: Ids, min_nights: int) -> tuple[Ids, int]:
    """Return the object of each row in a simple component, new ones numbered behind the known, and the number after the last."""
    plain = ~facts.ambiguous & ~facts.unseen
    new = plain & (facts.objects == 0) & (facts.nights >= min_nights)
    owner = np.full(view.graph.count, -1, np.int64)
    owner[new] = len(survivor) + np.arange(np.count_nonzero(new))
    held = (view.known_component >= 0) & plain[view.known_component] if plain.size else np.zeros(len(survivor), np.bool_)
    owner[view.known_component[held]] = survivor[held]
    entity = np.full(len(rows.row), -1, np.int64)
    entity[view.detection] = owner[view.component]
    return entity, len(survivor) + int(np.count_nonzero(new))


def _crowd(rows: Rows, known: Known, view: _View, facts: _Facts, *, radius: float, min_nights: int, first_new: int) -> blends.Crowd:
    """Share the detections of ambiguous components."""
    component = np.full(len(rows.row), -1, np.int64)
    component[view.detection] = np.where(facts.ambiguous[view.component], view.component, -1)
    known_component = view.known_component.copy()
    held = known_component >= 0
    known_component[held] = np.where(facts.ambiguous[known_component[held]], known_component[held], -1)
    return blends.share(rows, known, component, known_component, radius=radius, min_nights=min_nights, first_new=first_new)


def _names(rows: Rows, known: Known, entity: Ids, count: int, taken: Ids) -> Ids:
    """Return the ids of all objects: the known ones, and new ones after their founders."""
    k = len(known.object_id)
    founder = friends.founders(entity - k, rows.mjd_mid, rows.healpix_29, rows.frame_id, rows.row, count - k)
    names = np.concatenate([known.object_id, ids.object_ids(rows.healpix_29[founder])])
    # 0 stands for none.
    used = np.concatenate([[0], known.object_id, np.asarray(taken, np.int64)])
    new = names[k:]
    clash = np.isin(new, used)
    if clash.any() or len(sites.distinct(new)) < len(new):
        occupied = set(used.tolist())
        for i in np.lexsort([array[founder] for array in (rows.row, rows.frame_id, rows.healpix_29, rows.mjd_mid)]):
            while int(new[i]) in occupied:
                new[i] += 1
            occupied.add(int(new[i]))
    return names


def _owned(view: _View, entity: Ids, survivor: Ids, count: int) -> forcedrows.Owned:
    """Return which objects have which detected sites."""
    mine = entity[view.detection]
    site = np.concatenate([view.known_site, view.site[mine >= 0]])
    pair = sites.distinct(site * max(count, 1) + np.concatenate([survivor[view.owner], mine[mine >= 0]]))
    return forcedrows.Owned(view.graph.site[pair // max(count, 1)], pair % max(count, 1))


def _merged(known: Known, view: _View, facts: _Facts, survivor: Ids) -> Ids:
    """Return what became of known objects in components with a row that is decided here."""
    gone = np.flatnonzero(survivor != np.arange(len(survivor)))
    gone = gone[facts.inside[view.known_component[gone]]]
    merged = np.column_stack([known.object_id[gone], known.object_id[survivor[gone]]])
    return merged[np.argsort(merged[:, 0])]


def _newly_ambiguous(known: Known, view: _View, facts: _Facts, crowd: blends.Crowd, names: Ids, minted: Ids) -> Ids:
    """Return the objects of ambiguous components with a row that is decided here, as far as they are not known to be ambiguous."""
    here = facts.ambiguous & facts.inside
    held = (view.known_component >= 0) & ~known.ambiguous
    held[held] = here[view.known_component[held]]
    return np.union1d(known.object_id[held], names[np.intersect1d(crowd.entity, minted)])


def _pairs(facts: _Facts, crowd: blends.Crowd, forced: forcedrows.Forced, names: Ids, radius: float) -> np.ndarray:
    """Return all pairs by their ids."""
    one, other, separation = blends.pairs(crowd, facts.inside, radius)
    first, second = names[np.concatenate([one, forced.one])], names[np.concatenate([other, forced.other])]
    out = np.empty(len(first), PAIR)
    second = np.where(np.concatenate([other, forced.other]) < 0, 0, second)
    out["object_id"] = np.where(second == 0, first, np.minimum(first, second))
    out["other_id"] = np.where(second == 0, 0, np.maximum(first, second))
    out["separation"] = np.concatenate([separation, forced.separation])
    out = out[np.lexsort([out["separation"], out["other_id"], out["object_id"]])]
    return out[np.unique(out[["object_id", "other_id"]], return_index=True)[1]]


def _new_sites(rows: Rows, known: Known, view: _View, entity: Ids, survivor: Ids, names: Ids) -> Ids:
    """Return the sites that the objects of the rows decided here did not have."""
    mine = (entity[view.detection] >= 0) & rows.inside[view.detection]
    at, owner = _unlike(view.site[mine], entity[view.detection[mine]], view.known_site, survivor[view.owner], len(names))
    forced = np.flatnonzero(rows.forced & rows.inside & (entity >= 0))
    earlier = known.site < 0
    place, index = np.unique(np.concatenate([~sites.site_of(rows.healpix_29[forced]), known.site[earlier]]), return_inverse=True)
    holder = survivor[forcedrows.places(known.object_id, known.site_object[earlier])]
    also, holder = _unlike(index[: len(forced)], entity[forced], index[len(forced) :], holder, len(names))
    found = np.column_stack([np.concatenate([place[also], view.graph.site[at]]), names[np.concatenate([holder, owner])]])
    return found[np.lexsort([found[:, 1], found[:, 0]])]


def _unlike(site: Ids, owner: Ids, known_site: Ids, known_owner: Ids, count: int) -> tuple[Ids, Ids]:
    """Return the pairs (site, owner), each once, that are not among the known ones."""
    pair = sites.distinct(site * max(count, 1) + owner)
    if len(known_site):
        earlier = np.sort(known_site * max(count, 1) + known_owner)
        pair = pair[earlier[np.minimum(np.searchsorted(earlier, pair), len(earlier) - 1)] != pair]
    return pair // max(count, 1), pair % max(count, 1)


def _repeated(group: Ids, catalog: Ids) -> Ids:
    """Return the groups in which a catalog stands twice, with repeats."""
    if not group.size:
        return group
    low = int(catalog.min())
    span = int(catalog.max()) - low + 1
    if span > 1 << 31:
        catalog, low = np.unique(catalog, return_inverse=True)[1], 0
        span = int(catalog.max()) + 1
    key = np.sort(group * span + (catalog - low))
    return key[1:][key[1:] == key[:-1]] // span
