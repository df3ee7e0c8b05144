"""Which objects a query can need: ids and cones that it names, so that only their part of the store is opened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ezarchive.catalogs import trees
from ezarchive.catalogs.prune import cone_of, joined_tables, only_place
from ezarchive.catalogs.trees import Node, Parameters, conjuncts, table_path

OBJECT = "object_id"
_POSITION = ("ra", "dec")


class Wanted(NamedTuple):
    """What every row of a view must meet to count in a query; None: nothing is known."""

    ids: NDArray[np.int64] | None = None
    """The objects, in rising order."""
    cone: tuple[float, float, float] | None = None
    """Right ascension, declination and radius, degrees."""
    written: bool = False
    """The query itself compares ``object_id`` with the one id; DuckDB leaves out row groups by that."""


class Place:
    """The SELECT that reads a view, and how its columns are named there.

    Parameters
    ----------
    select : dict
        As `prune.only_place` gives it.
    view : str
    """

    def __init__(self, select: Node, view: str) -> None:
        self.select, self.view = select, view
        self.tables = joined_tables(select["from_table"])
        self.names = {alias_of(table) for table in self.tables if table_path(table)[-1] == view}
        self.alone = select["from_table"].get("type") == "BASE_TABLE"
        self.conditions = [*conjuncts(select.get("where_clause")), *_join_conditions(select["from_table"])]
        self._merged = _merged(select["from_table"], self.names)

    def is_id(self, node: Node) -> bool:
        """Tell whether an expression is the view's ``object_id``; without a table's name it is, or equals it, or DuckDB refuses it."""
        path = [part.lower() for part in node.get("column_names") or ()]
        return path == [OBJECT] or len(path) == 2 and path[0] in self.names and path[1] == OBJECT

    def equals(self, alias: str) -> bool:
        """Tell whether the ``object_id`` of another table of the join must equal the view's."""
        if alias in self._merged:
            return True
        for part in self.conditions:
            if part.get("type") == "COMPARE_EQUAL":
                sides = [[name.lower() for name in side.get("column_names") or ()] for side in (part["left"], part["right"])]
                paths = {tuple(side) for side in sides}
                if (alias, OBJECT) in paths and any((name, OBJECT) in paths for name in self.names):
                    return True
        return False


def place_of(tree: Node, view: str) -> Place | None:
    """Return where a view is read, if it is read at one place only, alone or in plain inner joins."""
    select = only_place(tree, view)
    return None if select is None else Place(select, view)


def alias_of(table: Node) -> str:
    """Return what a table is called in its query."""
    return str(table.get("alias") or table.get("table_name") or "").lower()


def wanted(
    connection: duckdb.DuckDBPyConnection, tree: Node, view: str, parameters: Parameters, answered: Mapping[str, pa.Table]
) -> Wanted:
    """Return which objects a query over a view can need.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
    tree : dict
        The statement.
    view : str
        One with columns ``object_id``, ``ra`` and ``dec``.
    parameters : sequence, mapping or None
        The query's parameters.
    answered : mapping
        Tables that the tree names and that are known already, with their rows.

    Returns
    -------
    Wanted
    """
    place = place_of(tree, view)
    if place is None:
        return Wanted()
    ids: NDArray[np.int64] | None = None
    cone = None
    try:
        for found in (*_of_conditions(connection, place, parameters, answered), *_of_joins(place, answered)):
            ids = found if ids is None else np.intersect1d(ids, found)
        for part in place.conditions:
            cone = cone or _cone(connection, place, part, parameters)
        written = ids is not None and len(ids) == 1 and _is_written(connection, place, int(ids[0]), parameters)
    except duckdb.Error:  # the query itself will say what is wrong with it
        return Wanted()
    return Wanted(ids, cone, written)


def _is_written(connection: duckdb.DuckDBPyConnection, place: Place, object_id: int, parameters: Parameters) -> bool:
    """Tell whether a condition is plainly ``object_id = ID``, of whole numbers."""
    for part in place.conditions:
        sides = [part["left"], part["right"]] if part.get("type") == "COMPARE_EQUAL" else []
        for ours, other in (sides, sides[::-1]) if sides else ():
            if place.is_id(ours) and trees.is_constant(other):
                found = trees.value(connection, other, parameters)
                return type(found) is int and found == object_id
    return False


def _of_conditions(
    connection: duckdb.DuckDBPyConnection, place: Place, parameters: Parameters, answered: Mapping[str, pa.Table]
) -> list[NDArray[np.int64]]:
    found = []
    for part in place.conditions:
        kind = part.get("type")
        if kind == "SUBQUERY":
            table = answered_subquery(part, answered) if place.is_id(part.get("child") or {}) else None
            if table is not None:
                found.append(_ids(table.column(0)))
            continue
        nodes = [part["left"], part["right"]] if kind == "COMPARE_EQUAL" else part.get("children", []) if kind == "COMPARE_IN" else []
        if kind == "COMPARE_EQUAL" and place.is_id(nodes[1]):
            nodes.reverse()
        if len(nodes) < 2 or not place.is_id(nodes[0]) or not all(trees.is_constant(node) for node in nodes[1:]):
            continue
        values = [_whole(trees.value(connection, node, parameters)) for node in nodes[1:]]
        if all(value is not False for value in values):
            found.append(np.unique(np.array([value for value in values if value is not None], np.int64)))
    return found


def _of_joins(place: Place, answered: Mapping[str, pa.Table]) -> list[NDArray[np.int64]]:
    found = []
    for table in place.tables:
        rows = answered.get(table_path(table)[-1])
        if rows is not None and OBJECT in rows.column_names and not table.get("column_name_alias") and place.equals(alias_of(table)):
            found.append(_ids(rows[OBJECT]))
    return found


def answered_subquery(part: Node, answered: Mapping[str, pa.Table]) -> pa.Table | None:
    """Return the rows of ``IN (SELECT * FROM table)`` where the table is known already."""
    if part.get("subquery_type") != "ANY" or part.get("comparison_type") != "COMPARE_EQUAL":
        return None
    table = part["subquery"]["node"].get("from_table") or {}
    return answered.get(table_path(table)[-1]) if table.get("type") == "BASE_TABLE" else None


def _cone(connection: duckdb.DuckDBPyConnection, place: Place, part: Node, parameters: Parameters) -> tuple[float, float, float] | None:
    nodes = cone_of(part, place.names, _POSITION, alone=place.alone)
    if nodes is None:
        return None
    ra, dec, radius = (trees.finite(trees.value(connection, node, parameters)) for node in nodes)
    if ra is None or dec is None or radius is None or abs(dec) > 90 or not 0 <= radius <= 180:
        return None
    return ra % 360, dec, radius


def _whole(value: Any) -> int | bool | None:
    """Return a value as a whole number; None: NULL, which equals nothing; False: not known."""
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return int(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63 else False


def _ids(column: pa.ChunkedArray) -> NDArray[np.int64]:
    if not pa.types.is_integer(column.type):
        raise duckdb.Error("object_id: no whole numbers")
    return np.unique(column.drop_null().to_numpy().astype(np.int64))


def _join_conditions(node: Node) -> list[Node]:
    if node.get("type") != "JOIN":
        return []
    return [*conjuncts(node.get("condition")), *_join_conditions(node["left"]), *_join_conditions(node["right"])]


def _merged(node: Node, names: set[str]) -> set[str]:
    """Return the tables that are joined with the view by ``USING (object_id)``."""
    if node.get("type") != "JOIN":
        return set()
    if OBJECT in [name.lower() for name in node.get("using_columns") or ()]:
        found = _with_id(node["left"]) | _with_id(node["right"])
        if found & names:
            return found
    return _merged(node["left"], names) | _merged(node["right"], names)


def _with_id(node: Node) -> set[str]:
    """Return the tables whose ``object_id`` is the one that a part of a join has."""
    if node.get("type") != "JOIN":
        return set() if table_path(node)[-1:] in _WITHOUT else {alias_of(node)}
    left, right = _with_id(node["left"]), _with_id(node["right"])
    if OBJECT in [name.lower() for name in node.get("using_columns") or ()] or not left or not right:
        return left | right
    return set()  # more than one: DuckDB will refuse to choose


_WITHOUT = (["frames"], ["catalogs"], ["zero_points"], ["image_fits"], ["anchors"], ["aperture_photometry"], ["measurements"])
