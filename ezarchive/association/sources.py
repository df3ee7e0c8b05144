"""Which catalogs go into the light-curve store, which leave it, and which are calibrated anew."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ezarchive.association.scratch import FACTS
from ezarchive.catalogs import depths, views
from ezarchive.database import stores, tables, zeropoints
from ezarchive.database.rows import now
from ezarchive.store.compact import CALIBRATION

FRAME_COLUMNS = (
    "frame_id", "telname", "filter", "night", "mjd_mid", "exptime", "ra", "dec", "radius", "bunit", "zero_point", "zero_point_err",
    "zero_point_aperture", "zero_point_system", "depth", "depth_aperture",
)  # fmt: skip
"""Columns of the frames that light curves are made of."""

_FACTS = ("frame_id", "run_id", "sha256", "telname", "filter", "night", "mjd_mid", "exptime", "place", "aperture", "per")
_CALIBRATION = ("zero_point", "zero_point_err", "zero_point_ab", "mag_limit")


class Sources(NamedTuple):
    """What a call of `associate` has to do.

    Attributes
    ----------
    frames, zero_points : pyarrow.Table
        Of the archive.
    catalogs : pyarrow.Table
        The catalogs that light curves use, with ``apertures``.
    links : pyarrow.Table
        Those that have the aperture, sorted by ``catalog_id``, with ``calibration``, ``n_rows`` and the columns of ``views.LINKS``.
    add, drop, recalibrate : ndarray of int64
        Catalogs whose rows come in, go out, get new magnitudes; one that is read anew is in the first two.
    without : int
        Catalogs that have no such aperture.
    as_of : float
        When the database was looked at, MJD UTC: what changed later is for the next time.
    """

    frames: pa.Table
    zero_points: pa.Table
    catalogs: pa.Table
    links: pa.Table
    add: np.ndarray
    drop: np.ndarray
    recalibrate: np.ndarray
    without: int
    as_of: float

    @property
    def changes(self) -> bool:
        """Whether there is anything to do."""
        return bool(len(self.add) or len(self.drop) or len(self.recalibrate))

    @classmethod
    def none(cls) -> Sources:
        """Return what there is where nothing is to be added or taken away."""
        fields = [*CALIBRATION, pa.field("calibration", pa.string()), pa.field("n_rows", pa.int64())]
        links, nothing = pa.schema(fields).empty_table(), np.empty(0, np.int64)
        empty = pa.table({})
        return cls(empty, empty, empty, links, nothing, nothing, nothing, 0, now())

    def calibration_of(self, catalog_ids: np.ndarray) -> pa.Table:
        """Return how catalogs are calibrated, as the store takes it (``compact.CALIBRATION``)."""
        return self.links_of(catalog_ids).select(CALIBRATION.names).cast(CALIBRATION)

    def facts_of(self, catalog_ids: np.ndarray) -> pa.Table:
        """Return what the rows of catalogs have in common (``scratch.FACTS``), by ``catalog_id``."""
        links = self.links_of(catalog_ids)
        forced = pc.is_in(links["method"], pa.array(views.FORCED_METHODS))
        made = {"aperture_arcsec": links["aperture"], "kind": pc.if_else(forced, "forced", "detection")}
        columns = [made[name] if name in made else links[name] for name in FACTS.names]
        return pa.table(columns, names=FACTS.names).cast(FACTS)

    def links_of(self, catalog_ids: np.ndarray) -> pa.Table:
        """Return the links of some catalogs."""
        return self.links.filter(pc.is_in(self.links["catalog_id"], pa.array(catalog_ids, pa.int64())))

    def added(self, counts: dict[int, int]) -> list[stores.StoredCatalog]:
        """Return the rows of the database for what was added or calibrated anew, with the counted rows of each."""
        chosen = self.links_of(np.union1d(self.add, self.recalibrate))
        pairs = zip(chosen["catalog_id"].to_pylist(), chosen["calibration"].to_pylist(), strict=True)
        return [stores.StoredCatalog(number, counts.get(number, 0), text) for number, text in pairs]


def find(conn: Any, aperture: float, *, rebuild: bool = False) -> Sources:
    """Compare the catalogs that light curves use with those in the store.

    Parameters
    ----------
    conn : sqlalchemy.Connection
    aperture : float
        Diameter in arcsec.
    rebuild : bool
        Whether the store is made anew: everything is added.

    Returns
    -------
    Sources

    Notes
    -----
    A catalog whose file, frame or unit has changed is read anew; one whose zero point alone has changed keeps its rows, with new
    magnitudes. Both are told by a hash that the store keeps of each catalog.
    """
    as_of = now()
    frames = tables.frames_table(conn, columns=FRAME_COLUMNS)
    catalogs = tables.catalogs_table(conn)
    zero_points = zeropoints.zero_points_table(conn)
    circles = catalogs.filter(pc.not_equal(catalogs["method"], views.ELLIPTICAL))
    links = _described(depths.depths(frames, circles, zero_points, aperture), circles)
    stored = stores.stored(conn)
    add, drop, recalibrate = _compared(links, stored.slice(0, 0) if rebuild else stored)
    return Sources(frames, zero_points, circles, links, add, drop, recalibrate, len(catalogs) - len(links), as_of)


def _described(links: pa.Table, catalogs: pa.Table) -> pa.Table:
    """Add to each link the hash and the number of rows of its file, and what says whether it has changed."""
    place = pc.index_in(links["catalog_id"], value_set=catalogs["catalog_id"].combine_chunks())
    for name in ("sha256", "n_rows"):
        links = links.append_column(name, catalogs[name].take(place))
    facts, calibration = _hashes(links, _FACTS), _hashes(links, _CALIBRATION)
    texts = [f"{one}-{other}" for one, other in zip(facts, calibration, strict=True)]
    return links.append_column("calibration", pa.array(texts, pa.string())).sort_by("catalog_id")


def _hashes(table: pa.Table, names: Sequence[str]) -> list[str]:
    return [_hash(values) for values in zip(*(table[name].to_pylist() for name in names), strict=True)]


def _hash(values: Sequence[Any]) -> str:
    return hashlib.blake2b(repr(values).encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()


def _compared(links: pa.Table, stored: pa.Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which catalogs are to be added, dropped and calibrated anew, each in rising order."""
    known = dict(zip(stored["catalog_id"].to_pylist(), stored["calibration"].to_pylist(), strict=True))
    wanted = dict(zip(links["catalog_id"].to_pylist(), links["calibration"].to_pylist(), strict=True))
    other = {number for number, text in known.items() if number in wanted and _facts(wanted[number]) != _facts(text)}
    add = {number for number in wanted if number not in known} | other
    drop = {number for number in known if number not in wanted} | other
    again = {number for number, text in wanted.items() if number in known and number not in other and known[number] != text}
    return tuple(np.array(sorted(numbers), np.int64) for numbers in (add, drop, again))


def _facts(text: str) -> str:
    return text.partition("-")[0]
