"""Which catalogs a query can need at all: read off its WHERE, so that the others are not opened.

Only conditions are used that every row of the result must meet, and that can be decided for a whole catalog: on what is constant in it
(``frame_id``, ``filter``, ``mjd_mid`` ...), on the columns of ``frames`` when it is joined by ``frame_id``, cones written as
``angular_separation(ra, dec, RA, DEC) < R``, and ``target_id = X`` or ``IN (...)``, which only forced photometry can meet. What is not
understood prunes nothing.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from ezarchive.catalogs.sandbox import table_path, walk
from ezarchive.catalogs.views import FORCED_METHODS

Node = dict[str, Any]

_OWN = {
    "light_curve": ("frame_id", "run_id", "catalog_id", "telname", "filter", "mjd_mid", "exptime", "night"),
    "measurements": ("frame_id", "run_id", "catalog_id"),
}
_POSITION = {"light_curve": ("ra", "dec"), "measurements": ("alpha_j2000", "delta_j2000")}
_CLASSES = frozenset(("COMPARISON", "CONJUNCTION", "CONSTANT", "COLUMN_REF", "OPERATOR", "BETWEEN", "PARAMETER", "CAST", "FUNCTION"))
_FUNCTIONS = frozenset(("~~", "!~~", "~~*", "!~~*", "~~~", "lower", "upper", "+", "-", "*", "/", "regexp_matches", "regexp_full_match"))
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
    place = _only_place(tree, view)
    if place is None:
        return None
    resolver = _Resolver(place, view, frame_columns, cone=_where(connection, _CONE), forced=_where(connection, _FORCED))
    kept = [done for part in _conjuncts(place.get("where_clause")) if (done := resolver.convert(part)) is not None]
    if not kept:
        return None
    try:
        return _ask(connection, kept, parameters)
    except duckdb.Error:  # the query itself will say what is wrong with it
        return None


def _ask(connection: duckdb.DuckDBPyConnection, kept: list[Node], parameters: Sequence[Any] | Mapping[str, Any] | None) -> list[int]:
    where = " AND ".join(f"_{place}" for place in range(len(kept)))
    base = f"SELECT l.catalog_id FROM _links l LEFT JOIN frames f USING (frame_id) WHERE {where} ORDER BY l.catalog_id"
    tree = _filled(_parsed(connection, base), {f"_{place}": part for place, part in enumerate(kept)})
    names = [node["identifier"] for part in kept for node in walk(part) if node.get("class") == "PARAMETER"]
    if not isinstance(parameters, Mapping):
        parameters = {str(place): value for place, value in enumerate(parameters or (), 1)}
    used = {name: parameters[name] for name in dict.fromkeys(names) if name in parameters}
    tree["statements"][0]["named_param_map"] = [{"key": name, "value": place} for place, name in enumerate(used, 1)]
    sql = connection.execute("SELECT json_deserialize_sql(?::JSON)", [json.dumps(tree)]).fetchall()[0][0]
    return [row[0] for row in connection.execute(sql, used or None).fetchall()]


def _only_place(tree: Node, view: str) -> Node | None:
    """Return the SELECT that reads the view, if it is read only there, alone or in plain inner joins."""
    nodes = list(walk(tree))
    if any(node.get("type") == "SHOW_REF" for node in nodes):
        return None
    if sum(node.get("type") == "BASE_TABLE" and table_path(node)[-1] == view for node in nodes) != 1:
        return None
    for node in nodes:
        if node.get("type") == "SELECT_NODE" and any(table_path(table)[-1] == view for table in _tables(node.get("from_table"))):
            return node
    return None


def _tables(node: Node | None) -> list[Node]:
    """Return the tables of plain inner joins; none at all where something else is among them."""
    if not node:
        return []
    if node.get("type") == "BASE_TABLE" and not node.get("column_name_alias") and not node.get("sample"):
        return [node]
    if node.get("type") == "JOIN" and node.get("join_type") == "INNER" and node.get("ref_type") in ("REGULAR", "CROSS"):
        left, right = _tables(node["left"]), _tables(node["right"])
        return [*left, *right] if left and right else []
    return []


def _conjuncts(node: Node | None) -> list[Node]:
    if not node:
        return []
    if node.get("type") == "CONJUNCTION_AND":
        return [part for child in node["children"] for part in _conjuncts(child)]
    return [node]


class _Resolver:
    """Turns conditions of a query into conditions on ``_links l`` and ``frames f``."""

    def __init__(self, place: Node, view: str, frame_columns: Sequence[str], *, cone: Node, forced: Node) -> None:
        self.cone = cone
        self.forced = forced
        self.measured = view == "measurements"
        self.own = frozenset(_OWN[view])
        self.position = _POSITION[view]
        self.view_names: set[str] = set()
        self.frame_names: set[str] = set()
        self.alone = place["from_table"].get("type") == "BASE_TABLE"
        for table in _tables(place["from_table"]):
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
            if "class" in node and node["class"] not in _CLASSES:
                return None
            if node.get("class") == "FUNCTION" and node["function_name"] not in _FUNCTIONS:
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
        if part.get("type") not in ("COMPARE_EQUAL", "COMPARE_IN") or not self.measured:
            return False
        sides = (part["left"], part["right"]) if part["type"] == "COMPARE_EQUAL" else (part.get("children") or [{}])[:1]
        for side in sides:
            *table, name = [word.lower() for word in side.get("column_names") or [""]]
            if name == "target_id" and (len(table) == 1 and table[0] in self.view_names or not table and self.alone):
                return True
        return False

    def _cone(self, part: Node) -> Node | None:
        """Turn a cone on sources into one on frames: the radius of the frame is added to that of the cone."""
        if part.get("type") not in ("COMPARE_LESSTHAN", "COMPARE_LESSTHANOREQUALTO"):
            return None
        call, radius = part["left"], part["right"]
        arguments = [_argument(item) for item in call.get("arguments") or call.get("children") or ()]
        if call.get("function_name") != "angular_separation" or len(arguments) != 4:
            return None
        ours = [item for item in (arguments[:2], arguments[2:]) if self._is_position(item)]
        constants = [item for item in (*arguments, radius) if not any(node.get("class") == "COLUMN_REF" for node in walk(item))]
        plain = all(node["class"] in _CLASSES for item in constants for node in walk(item) if "class" in node)
        if len(ours) != 1 or len(constants) != 3 or not plain:
            return None
        return _filled(self.cone, dict(zip(("_ra", "_dec", "_radius"), constants, strict=True)))

    def _is_position(self, pair: list[Node]) -> bool:
        if any(item.get("class") != "COLUMN_REF" for item in pair):
            return False
        names = [[part.lower() for part in item["column_names"]] for item in pair]
        own = all(len(name) == 1 and self.alone or len(name) == 2 and name[0] in self.view_names for name in names)
        return own and tuple(name[-1] for name in names) == self.position


def _joined_by_frame(node: Node, names: set[str]) -> bool:
    """Tell whether the view and ``frames`` are joined by equal ``frame_id``."""
    if node.get("type") != "JOIN":
        return False
    if "frame_id" in [name.lower() for name in node.get("using_columns") or ()]:
        return len(_tables(node)) == 2
    for part in _conjuncts(node.get("condition")):
        if part.get("type") == "COMPARE_EQUAL":
            sides = [[name.lower() for name in side.get("column_names", ())] for side in (part["left"], part["right"])]
            if all(len(side) == 2 and side[1] == "frame_id" for side in sides) and {side[0] for side in sides} == names:
                return True
    return _joined_by_frame(node["left"], names) or _joined_by_frame(node["right"], names)


def _argument(item: Node) -> Node:
    return item["expression"] if "expression" in item and "class" not in item else item


def _parsed(connection: duckdb.DuckDBPyConnection, sql: str) -> Node:
    return json.loads(connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchall()[0][0])


def _where(connection: duckdb.DuckDBPyConnection, sql: str) -> Node:
    return _parsed(connection, sql)["statements"][0]["node"]["where_clause"]


def _filled(node: Any, values: Mapping[str, Node]) -> Any:
    """Return a tree with the columns of these names replaced."""
    if isinstance(node, list):
        return [_filled(item, values) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("class") == "COLUMN_REF" and len(node["column_names"]) == 1 and node["column_names"][0] in values:
        return values[node["column_names"][0]]
    return {key: _filled(item, values) for key, item in node.items()}
