"""A small association in memory: keeps what the store would, and hands batches of catalogs to the grouping in any order."""

from __future__ import annotations

import numpy as np
from cdshealpix import nested

from ezarchive.sky import cell_of, from_vectors, separation, unit_vectors
from ezarchive.store import sites
from ezarchive.store.grouping import Known, Rows, decide

FIELDS = ("ra", "dec", "catalog_id", "frame_id", "row", "mjd_mid", "night", "forced")


def table(ra, dec, catalog_id, night, *, forced=None, mjd_mid=None, row=None, frame_id=None):
    """Return measurements as a dict of arrays; a catalog is a frame unless told otherwise."""
    ra, dec = np.atleast_1d(np.asarray(ra, float)) % 360 % 360, np.atleast_1d(np.asarray(dec, float))
    catalog_id = np.broadcast_to(np.asarray(catalog_id, np.int64), ra.shape)
    night = np.broadcast_to(np.asarray(night, np.int32), ra.shape)
    row = np.arange(len(ra)) if row is None else np.asarray(row)
    mjd = 60000.0 + night + 0.001 * (catalog_id % 100) if mjd_mid is None else np.broadcast_to(np.asarray(mjd_mid, float), ra.shape)
    forced = np.zeros(len(ra), bool) if forced is None else np.broadcast_to(forced, ra.shape)
    frame_id = catalog_id if frame_id is None else np.broadcast_to(np.asarray(frame_id, np.int64), ra.shape)
    return dict(zip(FIELDS, (ra, dec, catalog_id, frame_id, row, mjd, night, forced), strict=True))


def joined(tables):
    """Return several tables as one."""
    return {name: np.concatenate([part[name] for part in tables]) for name in FIELDS}


def offset(ra, dec, east, north):
    """Return places so many arcsec east and north (gnomonic) of a place; right at poles and at RA 0."""
    at = unit_vectors(ra, dec)
    a, d = np.radians(ra), np.radians(dec)
    to_east = np.array([-np.sin(a), np.cos(a), 0.0])
    to_north = np.array([-np.sin(d) * np.cos(a), -np.sin(d) * np.sin(a), np.cos(d)])
    step = (
        np.radians(np.asarray(east, float)[..., None] / 3600) * to_east + np.radians(np.asarray(north, float)[..., None] / 3600) * to_north
    )
    return from_vectors(at + step)


class Sky:
    """All measurements so far and what became of them."""

    def __init__(self, *, radius=1.0, min_nights=2, leaf_order=None, shuffle=None):
        self.radius, self.min_nights, self.leaf_order, self.shuffle = radius, min_nights, leaf_order, shuffle
        self.rows = table([], [], [], [])
        self.object_id = np.empty(0, np.int64)
        self.sites = np.empty((0, 2), np.int64)
        self.ambiguous, self.pairs, self.alias, self.taken = set(), {}, {}, set()
        self.asked = 0

    def present(self, object_id):
        """Return what an id is by now."""
        while object_id in self.alias:
            object_id = self.alias[object_id]
        return object_id

    def add(self, batch):
        """Associate the catalogs of a batch."""
        before = len(self.object_id)
        self.rows = joined([self.rows, batch])
        self.object_id = np.concatenate([self.object_id, np.zeros(len(batch["ra"]), np.int64)])
        self.cell = cell_of(self.rows["ra"], self.rows["dec"], 29)
        open_rows = np.flatnonzero(self.object_id == 0)
        known = self.known()
        for low, high, inside in self.leaves(before):
            self.decide(open_rows, known, before, low, high, inside)
        self.settle()

    def leaves(self, before):
        """Yield the view, as ranges of cells, and the cells decided, of each leaf with new rows in view."""
        if self.leaf_order is None:
            yield np.array([0]), np.array([12 << 58]), None
            return
        shift = 2 * (29 - self.leaf_order)
        self.known_now = self.object_id.copy()
        new = np.unique(self.cell[before:] >> shift)
        around = nested.neighbours(new.astype(np.uint64), np.uint8(self.leaf_order), num_threads=1).astype(np.int64)
        for leaf in np.unique(around[around >= 0]):
            view = nested.neighbours(np.array([leaf], np.uint64), np.uint8(self.leaf_order), num_threads=1).astype(np.int64)
            view = np.unique(view[view >= 0])
            yield view << shift, (view + 1) << shift, leaf

    def decide(self, open_rows, known, before, low, high, leaf):
        def viewed(cells):
            at = np.searchsorted(low, cells, side="right") - 1
            return (at >= 0) & (cells < high[at])

        mine = open_rows[viewed(self.cell[open_rows])]
        if self.shuffle is not None:
            mine = self.shuffle.permutation(mine)
        inside = np.ones(len(mine), bool) if leaf is None else self.cell[mine] >> 2 * (29 - self.leaf_order) == leaf
        place = sites.healpix_29(known.site)
        seen = viewed(place)
        objects = np.isin(known.object_id, known.site_object[seen])
        part = Known(*(field[objects] for field in known[:5]), known.site[seen], known.site_object[seen], self.rim(place[seen], low, high))
        fields = {name: self.rows[name][mine] for name in FIELDS}
        cells = self.cell[mine]
        rows = Rows(healpix_29=cells, **fields, old=mine < before, inside=inside, rim=self.rim(cells, low, high))
        taken = np.array(sorted(self.taken), np.int64)
        answer = decide(rows, part, radius=self.radius, min_nights=self.min_nights, catalogs_of=self.catalogs_of, taken=taken)
        decided = mine[inside]
        assert (answer.object_id[~inside] == 0).all()
        self.pending.append((decided, answer.object_id[inside], answer))

    def rim(self, cells, low, high):
        return np.zeros(len(cells), bool) if self.leaf_order is None else sites.on_rim(cells, low, high, self.radius)

    pending: list

    def settle(self):
        for decided, object_id, answer in self.pending:
            self.object_id[decided] = object_id
            for old, new in answer.merged.tolist():
                if self.present(old) != self.present(new):
                    self.alias[self.present(old)] = self.present(new)
            self.sites = np.concatenate([self.sites, answer.sites])
            self.ambiguous |= set(answer.ambiguous.tolist())
            self.taken |= set(answer.minted.tolist())
            for one, other, apart in answer.pairs.tolist():
                self.pairs.setdefault((one, other), apart)
        self.pending = []
        self.object_id = self.now(self.object_id)
        self.sites[:, 1] = self.now(self.sites[:, 1])
        self.sites = np.unique(self.sites, axis=0)
        self.ambiguous = {self.present(one) for one in self.ambiguous}

    def now(self, array):
        return np.array([self.present(one) for one in array.tolist()], np.int64)

    def known(self):
        """Return all objects."""
        self.pending = []
        detected = ~self.rows["forced"] & (self.object_id > 0)
        objects = np.unique(self.object_id[self.object_id > 0])
        ra, dec, first = np.empty(len(objects)), np.empty(len(objects)), np.empty(len(objects))
        for i, one in enumerate(objects):
            mine = np.flatnonzero(detected & (self.object_id == one))
            mine = mine[np.lexsort([self.rows["row"][mine], self.rows["catalog_id"][mine]])]
            ra[i], dec[i] = from_vectors(unit_vectors(self.rows["ra"][mine], self.rows["dec"][mine]).sum(axis=0))
            first[i] = self.rows["mjd_mid"][mine].min()
        marked = np.isin(objects, list(self.ambiguous))
        return Known(objects, ra, dec, marked, first, self.sites[:, 0], self.sites[:, 1], np.zeros(len(self.sites), bool))

    def catalogs_of(self, object_id):
        self.asked += 1
        mine = ~self.rows["forced"] & np.isin(self.object_id, object_id)
        return self.object_id[mine], self.rows["catalog_id"][mine]

    @property
    def doubtful(self):
        """Ids whose grouping may depend on the order: marked, or in a pair."""
        told = ({self.present(one), self.present(other)} for one, other in self.pairs)
        # Two that turned out to be one are no pair any more.
        return set().union(*(pair for pair in told if len(pair) == 2)) - {0} | self.ambiguous

    def groups(self, *, sure=True, forced=True):
        """Return the rows (catalog, row) of each object as a set of sets; `sure`: without the doubtful objects."""
        out = {}
        for i, one in enumerate(self.object_id.tolist()):
            if one and (forced or not self.rows["forced"][i]) and not (sure and one in self.doubtful):
                out.setdefault(one, set()).add((int(self.rows["catalog_id"][i]), int(self.rows["row"][i])))
        return {frozenset(rows) for rows in out.values()}


def brute_force(rows, *, radius, min_nights):
    """Return the groups of simple components, found by comparing every two detections."""
    mine = np.flatnonzero(~rows["forced"])
    cells = cell_of(rows["ra"][mine], rows["dec"][mine], sites.ORDER)
    lon, lat = nested.healpix_to_lonlat(cells.astype(np.uint64), np.uint8(sites.ORDER), num_threads=1) if len(mine) else (None, None)
    groups, left = [], set(range(len(mine)))
    while left:
        group, queue = set(), [left.pop()]
        while queue:
            i = queue.pop()
            group.add(i)
            near = [j for j in left if separation(lon[i].deg, lat[i].deg, lon[j].deg, lat[j].deg) * 3600 <= radius]
            left -= set(near)
            queue += near
        groups.append(mine[sorted(group)])
    found = set()
    for group in groups:
        catalogs = rows["catalog_id"][group].tolist()
        if len(set(catalogs)) == len(catalogs) and len(set(rows["night"][group].tolist())) >= min_nights:
            found.add(frozenset((int(rows["catalog_id"][i]), int(rows["row"][i])) for i in group))
    return found
