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

import numpy as np

from ezarchive.kernels import friends
from ezarchive.store import blends, forcedrows, ids, sites
from ezarchive.store.rows import PAIR, Decision, Ids, Known, Rows
from ezarchive.store.view import CatalogsOf, Facts, View, check, judge, see, thinned

__all__ = ["PAIR", "Decision", "Known", "Rows", "decide"]


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
    check(rows, known, radius, min_nights)
    known = thinned(known, rows, radius)
    view = see(rows, known, radius)
    facts = judge(rows, known, view, min_nights, catalogs_of)
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


def _survivors(known: Known, view: View, facts: Facts) -> Ids:
    """Return the place of the object that each known one is by now: in a simple component the one founded first."""
    survivor = np.arange(len(known.object_id))
    mergeable = ~facts.ambiguous & ~facts.unseen & (facts.objects > 1)
    several = np.flatnonzero(sites.flagged(mergeable, view.known_component))
    if several.size:
        several = several[np.lexsort([known.object_id[several], known.mjd_first[several], view.known_component[several]])]
        component = view.known_component[several]
        survivor[several] = several[np.searchsorted(component, component)]
    return survivor


def _simple(rows: Rows, view: View, facts: Facts, survivor: Ids, min_nights: int) -> tuple[Ids, int]:
    """Return the object of each row in a simple component, new ones numbered behind the known, and the number after the last."""
    plain = ~facts.ambiguous & ~facts.unseen
    new = plain & (facts.objects == 0) & (facts.nights >= min_nights)
    owner = np.full(view.graph.count, -1, np.int64)
    owner[new] = len(survivor) + np.arange(np.count_nonzero(new))
    held = sites.flagged(plain, view.known_component)
    owner[view.known_component[held]] = survivor[held]
    entity = np.full(len(rows.row), -1, np.int64)
    entity[view.detection] = owner[view.component]
    return entity, len(survivor) + int(np.count_nonzero(new))


def _crowd(rows: Rows, known: Known, view: View, facts: Facts, *, radius: float, min_nights: int, first_new: int) -> blends.Crowd:
    """Share the detections of ambiguous components."""
    component = np.full(len(rows.row), -1, np.int64)
    component[view.detection] = np.where(facts.ambiguous[view.component], view.component, -1)
    known_component = np.where(sites.flagged(facts.ambiguous, view.known_component), view.known_component, -1)
    return blends.share(rows, known, component, known_component, radius=radius, min_nights=min_nights, first_new=first_new)


def _names(rows: Rows, known: Known, entity: Ids, count: int, taken: Ids) -> Ids:
    """Return the ids of all objects: the known ones, and new ones after their founders."""
    k = len(known.object_id)
    founder = friends.founders(entity - k, rows.mjd_mid, rows.healpix_29, rows.frame_id, rows.row, count - k)
    names = np.concatenate([known.object_id, ids.object_ids(rows.healpix_29[founder])])
    # 0 stands for none.
    used = np.concatenate([[0], known.object_id, np.asarray(taken, np.int64)])
    new = names[k:]
    clash = sites.among(new, used)
    if clash.any() or len(sites.distinct(new)) < len(new):
        occupied = set(used.tolist())
        for i in np.lexsort([array[founder] for array in (rows.row, rows.frame_id, rows.healpix_29, rows.mjd_mid)]):
            new[i] = _free(int(new[i]), occupied)
            occupied.add(int(new[i]))
    return names


def _free(name: int, occupied: set[int]) -> int:
    """Return the next id that is free, up or, where the cell of order 12 ends before, down: the one after it may be far away."""
    found = name
    while found in occupied:
        found += 1
    if not ids.same_cell_12(found, name):
        found = name
        while found in occupied:
            found -= 1
    return found


def _owned(view: View, entity: Ids, survivor: Ids, count: int) -> forcedrows.Owned:
    """Return which objects have which detected sites."""
    mine = entity[view.detection]
    site = np.concatenate([view.known_site, view.site[mine >= 0]])
    owner = np.concatenate([survivor[view.owner], mine[mine >= 0]])
    pair = sites.distinct_pairs(site, owner, len(view.graph.site), max(count, 1))
    return forcedrows.Owned(view.graph.site[pair // max(count, 1)], pair % max(count, 1))


def _merged(known: Known, view: View, facts: Facts, survivor: Ids) -> Ids:
    """Return what became of known objects in components with a row that is decided here."""
    gone = np.flatnonzero(survivor != np.arange(len(survivor)))
    gone = gone[facts.inside[view.known_component[gone]]]
    merged = np.column_stack([known.object_id[gone], known.object_id[survivor[gone]]])
    return merged[np.argsort(merged[:, 0])]


def _newly_ambiguous(known: Known, view: View, facts: Facts, crowd: blends.Crowd, names: Ids, minted: Ids) -> Ids:
    """Return the objects of ambiguous components with a row that is decided here, as far as they are not known to be ambiguous."""
    held = sites.flagged(facts.ambiguous & facts.inside, view.known_component) & ~known.ambiguous
    return np.union1d(known.object_id[held], names[np.intersect1d(crowd.entity, minted)])


def _pairs(facts: Facts, crowd: blends.Crowd, forced: forcedrows.Forced, names: Ids, radius: float) -> np.ndarray:
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


def _new_sites(rows: Rows, known: Known, view: View, entity: Ids, survivor: Ids, names: Ids) -> Ids:
    """Return the sites that the objects of the rows decided here did not have."""
    mine = (entity[view.detection] >= 0) & rows.inside[view.detection]
    size = (len(view.graph.site), max(len(names), 1))
    at, owner = _unlike(view.site[mine], entity[view.detection[mine]], view.known_site, survivor[view.owner], size)
    forced = np.flatnonzero(rows.forced & rows.inside & (entity >= 0))
    earlier = known.site < 0
    place, index = np.unique(np.concatenate([~sites.site_of(rows.healpix_29[forced]), known.site[earlier]]), return_inverse=True)
    holder = survivor[sites.places(known.object_id, known.site_object[earlier])]
    also, holder = _unlike(index[: len(forced)], entity[forced], index[len(forced) :], holder, (len(place), size[1]))
    found = np.column_stack([np.concatenate([place[also], view.graph.site[at]]), names[np.concatenate([holder, owner])]])
    return found[np.lexsort([found[:, 1], found[:, 0]])]


def _unlike(site: Ids, owner: Ids, known_site: Ids, known_owner: Ids, size: tuple[int, int]) -> tuple[Ids, Ids]:
    """Return the pairs (site, owner), each once, that are not among the known ones; `size`: how many sites and owners there are."""
    pair = sites.distinct_pairs(site, owner, *size)
    if len(known_site):
        earlier = np.sort(known_site * size[1] + known_owner)
        pair = pair[earlier[np.minimum(np.searchsorted(earlier, pair), len(earlier) - 1)] != pair]
    return pair // size[1], pair % size[1]
