"""Views bound to the files that one query can need: those of the store, those of per-image catalogs, or both."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from ezarchive.catalogs import prune
from ezarchive.catalogs.links import Links
from ezarchive.catalogs.measured import NOTHING, Measured
from ezarchive.catalogs.sources import Source
from ezarchive.catalogs.stored import SUMMARIES, Stored, StoreViews
from ezarchive.catalogs.trees import Node, Parameters, walk
from ezarchive.catalogs.views import APERTURE_TOLERANCE
from ezarchive.catalogs.wanted import Wanted

MEASURED = ("measurements", "light_curve")
"""Views that have rows of per-image catalogs."""

_WORD = re.compile(r"\w+")
_RARE = frozenset(("frame_id", "catalog_id", "run_id", "mjd_mid", "night", "objname"))
"""Words of conditions that few catalogs may meet."""

_SHARE = 4
"""How many times longer the way through the store must be, in rows, for few catalogs to be read from their own files."""


class Asked(NamedTuple):
    """A query, as far as its views depend on it."""

    tree: Node
    words: frozenset[str]
    """Those in its text, in lower case, and ``*`` where it asks for whole rows."""
    parameters: Parameters
    diameter: float
    """Of the apertures in ``light_curve``, arcsec."""
    notes: list[str]
    """What the reader must know is added."""


def words_of(sql: str, tree: Node) -> frozenset[str]:
    """Return `Asked.words` of a query."""
    starred = any(node.get("class") in ("STAR", "POSITIONAL_REFERENCE") for node in walk(tree))
    return frozenset({word.lower() for word in _WORD.findall(sql)} | ({"*"} if starred else set()))


class Binder:
    """Makes the views ``measurements``, ``light_curve``, ``objects`` and ``object_filters`` in a connection.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
    source : Source
    home : Path
        The archive's folder.
    ellipses : bool
        As of `sql.Engine`.
    stored : Stored or None
    from_store : bool
        As of `sql.Engine.over`.

    Attributes
    ----------
    read : dict
        View -> the catalogs that were opened for it: ``path``, ``frame_id`` ...
    store : StoreViews
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, source: Source, home: Path, *, ellipses: bool, stored: Stored | None, from_store: bool
    ) -> None:
        self._connection, self._stored = connection, stored
        self._from_store = from_store and stored is not None and not ellipses
        self._all = Links(connection, source, ellipses=ellipses)
        self._pending = self._all if stored is None else Links(connection, source, ellipses=ellipses, scope=stored.pending)
        self._shared = stored is not None and pc.any(pc.is_in(stored.pending["catalog_id"], stored.left_out)).as_py()
        self._source = source
        self._measured = Measured(connection, source, home, ellipses=ellipses)
        self._again: Callable[[], None] | None = None
        self._defined: dict[str, str] = {}
        self.store = StoreViews(connection, stored)
        self.read: dict[str, pa.Table] = {}
        for view in SUMMARIES:
            self._define(view, self.store.summary(view, Wanted()))
        for view in MEASURED:
            self._define(view, self._measured.text(view, NOTHING, named=False))

    def bind(self, view: str, asked: Asked, wanted: Wanted) -> None:
        """Make a view over what a query can need of it.

        Parameters
        ----------
        view : str
        asked : Asked
        wanted : Wanted
            The objects that it can need.
        """
        if view in SUMMARIES:
            self._define(view, self.store.summary(view, wanted))
        elif view == "measurements":
            self.read[view] = self._all.full(self._needed(self._all, view, asked), asked.diameter)
            self._define(view, self._measured.text(view, self.read[view]))
        else:
            self._bind_light_curve(asked, wanted)

    def bind_by_name(self) -> bool:
        """Make ``light_curve`` again, each file with the columns of its own footer; False where that would change nothing."""
        if self._again is None:
            return False
        self._again()
        self._again = None
        return True

    def forget(self) -> None:
        """Forget what was opened."""
        self.read, self._again = {}, None

    def _define(self, view: str, query: str) -> None:
        if self._defined.get(view) != query:  # what differs from query to query is in variables, so far as it can be
            self._defined.pop(view, None)
            self._connection.execute(f"CREATE OR REPLACE TEMP VIEW {view} AS {query}")
            self._defined[view] = query

    def _needed(self, links: Links, view: str, asked: Asked) -> list[int] | None:
        """Return the catalogs that meet the query's conditions, None: all."""
        kept = prune.conditions(self._connection, asked.tree, view, self._source.names("frames"))
        if not kept:
            return None
        links.thin(asked.words, placed="angular_separation" in asked.words)
        return prune.chosen(self._connection, kept, asked.parameters)

    def _bind_light_curve(self, asked: Asked, wanted: Wanted) -> None:
        stored = self._from_store and self._stored is not None and abs(self._stored.aperture - asked.diameter) <= APERTURE_TOLERANCE
        links, ids = self._pending if stored else self._all, None
        if wanted.ids is not None:
            ids = self._holding(wanted, stored=stored)
        elif stored and wanted.cone is None and (few := self._few(asked)) is not None:
            stored, links, ids = False, self._all, few
        elif not stored or len(links):
            ids = self._needed(links, "light_curve", asked)
        nothing = ids is not None and not ids or stored and not len(links)
        rows = NOTHING if nothing else self._measured.links(links, ids, asked.diameter, asked.notes)
        self.read["light_curve"] = rows
        branches = self.store.light_curve(wanted) if stored else []
        self._join(branches, rows, asked, wanted, by_name=False)
        if len(rows):
            self._again = lambda: self._join(branches, rows, asked, wanted, by_name=True)

    def _join(self, branches: Sequence[str], rows: pa.Table, asked: Asked, wanted: Wanted, *, by_name: bool) -> None:
        """Make ``light_curve`` of the store's rows and of those of catalogs."""
        parts = list(branches)
        if len(rows) or not parts:
            own = self._measured.text("light_curve", rows, by_name=by_name)
            if len(rows) and self._stored is not None and asked.words & {"object_id", "*"}:
                assigned = self.store.assigned(wanted, rows["catalog_id"].to_pylist())
                same = 'lc.catalog_id = a.catalog_id AND lc."row" = a."row"'
                own = f"SELECT lc.* REPLACE (a.object_id AS object_id) FROM ({own}) lc LEFT JOIN ({assigned}) a ON {same}"
            parts.append(own)
        self._define("light_curve", " UNION ALL ".join(parts))

    def _few(self, asked: Asked) -> list[int] | None:
        """Return the catalogs that a query can need where their own files are a shorter way than a store that is sorted on the sky."""
        if not asked.words & _RARE:
            return None
        ids = self._needed(self._all, "light_curve", asked)
        return ids if ids is not None and self._all.rows(ids) * _SHARE < self.store.rows() else None

    def _holding(self, wanted: Wanted, *, stored: bool) -> list[int]:
        """Return the catalogs whose own files must be opened for some objects."""
        if self._stored is None or (stored and not self._shared):
            return []  # what is not in the store has no object
        sql = f"SELECT DISTINCT catalog_id FROM ({self.store.assigned(wanted)}) ORDER BY catalog_id"
        return [row[0] for row in self._connection.execute(sql).fetchall()]
