"""Which catalogs a query can need at all: read off its WHERE, so that the others are not opened.

Only conditions are used that every row of the result must meet, and that can be decided for a whole catalog: on what is constant in it
(``frame_id``, ``filter``, ``mjd_mid`` ...), on the columns of ``frames`` when it is joined by ``frame_id``, cones written as
``angular_separation(ra, dec, RA, DEC) < R``, and ``target_id = X`` or ``IN (...)``, which only forced photometry can meet. What is not
understood prunes nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Container, Mapping, Sequence
from typing import Any

import duckdb

from ezarchive.catalogs.trees import EXPRESSIONS, FUNCTIONS, Node, arguments, conjuncts, filled, is_constant, parsed, table_path, text, walk
from ezarchive.catalogs.views import FORCED_METHODS

_OWN = {
    "light_curve": ("frame_id", "run_id", "catalog_id", "telname", "filter", "mjd_mid", "exptime", "night"),
    "measurements": ("frame_id", "run_id", "catalog_id"),
}
_POSITION = {"light_curve": ("ra", "dec"), "measurements": ("alpha_j2000", "delta_j2000")}
# A cone on sources as one on frames. A hundredth of a degree is added: sources lie within their frame's footprint but for half a pixel
# and the bend of its sides.
_CONE = """SELECT 1 WHERE l.frame_radius IS NULL OR
    angular_separation(l.frame_ra, l.frame_dec, _ra, _dec) <= _radius + l.frame_radius + 0.01"""
_FORCED = f"SELECT 1 WHERE l.method IN {FORCED_METHODS}"


def needed(
    connection: duckdb.DuckDBPyConnection,
    tree: Node,
    view: str,
    parameters: Sequence[Any] | Mapping[str, Any] | None,
    frame_columns: Sequence[str],
) -> list[int] | None:
    """Return the ids of the catalogs that a query over a view can need.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        With the tables ``_links`` and ``frames``.
    tree : dict
        The statement, as DuckDB's ``json_serialize_sql`` gives it.
    view : str
        ``light_curve`` or ``measurements``.
    parameters : sequence, mapping or None
        The query's parameters.
    frame_columns : sequence of str
        The columns of ``frames``.

    Returns
    -------
    list of int or None
        None: any of them.
    """
    kept = conditions(connection, tree, view, frame_columns)
    return chosen(connection, kept, parameters) if kept else None


def conditions(connection: duckdb.DuckDBPyConnection, tree: Node, view: str, frame_columns: Sequence[str]) -> list[Node]:
    """Return the conditions of `needed`, on ``_links l`` and ``frames f``: all of them hold for a catalog that the query can need."""
    place = only_place(tree, view)
    if place is None:
        return []
    resolver = _Resolver(place, view, frame_columns, cone=_where(connection, _CONE), forced=_where(connection, _FORCED))
    return [done for part in conjuncts(place.get("where_clause")) if (done := resolver.convert(part)) is not None]


def chosen(
    connection: duckdb.DuckDBPyConnection, kept: Sequence[Node], parameters: Sequence[Any] | Mapping[str, Any] | None
) -> list[int] | None:
    """Return the ids of the catalogs in ``_links`` that meet conditions; None where DuckDB refuses to tell."""
    try:
        return _ask(connection, kept, parameters)
    except duckdb.Error:  # the query itself will say what is wrong with it
        return None


def _ask(connection: duckdb.DuckDBPyConnection, kept: Sequence[Node], parameters: Sequence[Any] | Mapping[str, Any] | None) -> list[int]:
    where = " AND ".join(f"_{place}" for place in range(len(kept)))
    base = f"SELECT l.catalog_id FROM _links l LEFT JOIN frames f USING (frame_id) WHERE {where} ORDER BY l.catalog_id"
    tree = filled(parsed(connection, base), {f"_{place}": part for place, part in enumerate(kept)})
    sql, values = text(connection, tree, parameters)
    return [row[0] for row in connection.execute(sql, values).fetchall()]


def only_place(tree: Node, view: str) -> Node | None:
    """Return the SELECT that reads the view, if it is read only there, alone or in plain inner joins."""
    nodes = list(walk(tree))
    if any(node.get("type") == "SHOW_REF" for node in nodes):
        return None
    if sum(node.get("type") == "BASE_TABLE" and table_path(node)[-1] == view for node in nodes) != 1:
        return None
    for node in nodes:
        if node.get("type") == "SELECT_NODE" and any(table_path(table)[-1] == view for table in joined_tables(node.get("from_table"))):
            return node
    return None


def joined_tables(node: Node | None) -> list[Node]:
    """Return the tables of plain inner joins; none at all where something else is among them."""
    if not node:
        return []
    if node.get("type") == "BASE_TABLE" and not node.get("column_name_alias") and not node.get("sample"):
        return [node]
    if node.get("type") == "JOIN" and node.get("join_type") == "INNER" and node.get("ref_type") in ("REGULAR", "CROSS"):
        left, right = joined_tables(node["left"]), joined_tables(node["right"])
        return [*left, *right] if left and right else []
    return []


class _Resolver:
    """Turns conditions of a query into conditions on ``_links l`` and ``frames f``."""

    def __init__(self, place: Node, view: str, frame_columns: Sequence[str], *, cone: Node, forced: Node) -> None:
        self.cone = cone
        self.forced = forced
        self.own = frozenset(_OWN[view])
        self.position = _POSITION[view]
        self.view_names: set[str] = set()
        self.frame_names: set[str] = set()
        self.alone = place["from_table"].get("type") == "BASE_TABLE"
        for table in joined_tables(place["from_table"]):
            alias = (table.get("alias") or table["table_name"]).lower()
            if table_path(table)[-1] == view:
                self.view_names.add(alias)
            elif table_path(table)[-1] == "frames":
                self.frame_names.add(alias)
        joined = len(self.frame_names) == 1 and _joined_by_frame(place["from_table"], self.view_names | self.frame_names)
        self.frame_columns = frozenset(name.lower() for name in frame_columns) if joined else frozenset()

    def convert(self, part: Node) -> Node | None:
        """Return the condition for a whole catalog, None if there is none."""
        part = copy.deepcopy(part)
        cone = self._cone(part)
        if cone is not None:
            return cone
        if self._names_target(part):
            return self.forced
        found = False
        for node in walk(part):
            if "class" in node and node["class"] not in EXPRESSIONS:
                return None
            if node.get("class") == "FUNCTION" and node["function_name"] not in FUNCTIONS:
                return None
            if node.get("class") == "COLUMN_REF":
                names = self._resolve(node["column_names"])
                if names is None:
                    return None
                node["column_names"] = names
                found = True
        return part if found else None

    def _resolve(self, names: list[str]) -> list[str] | None:
        *table, name = [part.lower() for part in names]
        if len(table) > 1:
            return None
        if (not table or table[0] in self.view_names) and name in self.own:
            return ["l", name]
        if (table and table[0] in self.frame_names or not table) and name in self.frame_columns:
            return ["f", name]
        return None

    def _names_target(self, part: Node) -> bool:
        """Tell whether the condition is never true where ``target_id`` is NULL, whatever it is compared with."""
        if part.get("type") not in ("COMPARE_EQUAL", "COMPARE_IN"):
            return False
        sides = (part["left"], part["right"]) if part["type"] == "COMPARE_EQUAL" else (part.get("children") or [{}])[:1]
        for side in sides:
            *table, name = [word.lower() for word in side.get("column_names") or [""]]
            if name == "target_id" and (len(table) == 1 and table[0] in self.view_names or not table and self.alone):
                return True
        return False

    def _cone(self, part: Node) -> Node | None:
        """Turn a cone on sources into one on frames: the radius of the frame is added to that of the cone."""
        found = cone_of(part, self.view_names, self.position, alone=self.alone)
        return None if found is None else filled(self.cone, dict(zip(("_ra", "_dec", "_radius"), found, strict=True)))


def cone_of(part: Node, names: Container[str], position: tuple[str, str], *, alone: bool) -> list[Node] | None:
    """Return centre and radius (degrees) of a condition that is a cone on a view's positions.

    Parameters
    ----------
    part : dict
        The condition: ``angular_separation(ra, dec, RA, DEC) < R``, also with a factor as in ``3600 * angular_separation(...)``.
    names : container of str
        What the view is called in the query.
    position : (str, str)
        Its columns of right ascension and declination.
    alone : bool
        Columns without a table's name are the view's.

    Returns
    -------
    list of dict or None
        Expressions of constants; None: it is no such condition.
    """
    if part.get("type") not in ("COMPARE_LESSTHAN", "COMPARE_LESSTHANOREQUALTO"):
        return None
    call, radius = part["left"], part["right"]
    if call.get("function_name") == "*":
        factors = [item for item in arguments(call) if item.get("function_name") != "angular_separation"]
        inner = [item for item in arguments(call) if item.get("function_name") == "angular_separation"]
        if len(inner) != 1 or len(factors) != 1 or not is_constant(factors[0]) or not is_constant(radius):
            return None
        ratio = [{"name": "", "expression": radius}, {"name": "", "expression": factors[0]}]
        radius = {**call, "function_name": "/", "arguments": ratio, "qualified_name": {"path": ["/"]}}
        call = inner[0]
    given = arguments(call)
    if call.get("function_name") != "angular_separation" or len(given) != 4 or not is_constant(radius):
        return None
    ours = [item for item in (given[:2], given[2:]) if _is_position(item, names, position, alone=alone)]
    constants = [item for item in (*given, radius) if is_constant(item)]
    return constants if len(ours) == 1 and len(constants) == 3 else None


def _is_position(pair: list[Node], names: Container[str], position: tuple[str, str], *, alone: bool) -> bool:
    if any(item.get("class") != "COLUMN_REF" for item in pair):
        return False
    paths = [[part.lower() for part in item["column_names"]] for item in pair]
    own = all(len(path) == 1 and alone or len(path) == 2 and path[0] in names for path in paths)
    return own and tuple(path[-1] for path in paths) == position


def _joined_by_frame(node: Node, names: set[str]) -> bool:
    """Tell whether the view and ``frames`` are joined by equal ``frame_id``."""
    if node.get("type") != "JOIN":
        return False
    if "frame_id" in [name.lower() for name in node.get("using_columns") or ()]:
        return len(joined_tables(node)) == 2
    for part in conjuncts(node.get("condition")):
        if part.get("type") == "COMPARE_EQUAL":
            sides = [[name.lower() for name in side.get("column_names", ())] for side in (part["left"], part["right"])]
            if all(len(side) == 2 and side[1] == "frame_id" for side in sides) and {side[0] for side in sides} == names:
                return True
    return _joined_by_frame(node["left"], names) or _joined_by_frame(node["right"], names)


def _where(connection: duckdb.DuckDBPyConnection, sql: str) -> Node:
    if sql not in _WHERES:
        _WHERES[sql] = parsed(connection, sql)["statements"][0]["node"]["where_clause"]
    return _WHERES[sql]


_WHERES: dict[str, Node] = {}
