"""The archive's table functions in a query, and its subqueries over objects: answered first, and put into the query as tables.

``cone(ra, dec, radius_arcsec)`` gives objects, ``lc(object_id)`` one light curve, ``upper_limits(object_id)`` the frames that were
searched for an object and do not show it. DuckDB could not leave out files by their arguments; here the arguments are known before.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from ezarchive import columns
from ezarchive.catalogs import trees
from ezarchive.catalogs.sandbox import ARCHIVE_FUNCTIONS, Checked
from ezarchive.catalogs.trees import Node, Parameters, arguments, table_path, walk
from ezarchive.catalogs.wanted import OBJECT, Place, alias_of
from ezarchive.errors import SQLError

ARGUMENTS = {"cone": ("ra", "dec", "radius_arcsec"), "lc": (OBJECT,), "upper_limits": (OBJECT,)}
"""Function -> its arguments."""

COLUMNS = {
    "cone": (*(column.name for column in columns.OBJECT), "separation"),
    "lc": tuple(column.name for column in columns.LIGHT_CURVE),
}
"""Function -> its columns, of those whose rows DuckDB itself has given."""

MOST_ROWS = 1_000_000
"""Rows of a subquery up to which it is answered first."""

_OBJECTS = (
    "objects", "object_filters", "ambiguous", "aliases", "frames", "catalogs", "zero_points", "image_fits", "anchors",
    "aperture_photometry",
)  # fmt: skip
_PREFIX = "_asked_"
_EXACT, _MOST = 2**53, 2**63
"""Below them a float is every whole number, and a number fits into 64 bits."""
_UNSURE = (
    duckdb.BinderException, duckdb.CatalogException, duckdb.ConversionException, duckdb.InvalidInputException, duckdb.ParserException
)  # fmt: skip

Functions = Mapping[str, Callable[..., pa.Table]]


class Whole(NamedTuple):
    """What a query asks for whose rows are just those of a table function."""

    call: Node
    columns: list[str] | None
    """None: all of them."""


def whole(connection: duckdb.DuckDBPyConnection, checked: Checked) -> Whole | None:
    """Tell whether a query is ``SELECT * FROM cone(...)``, or of some columns of ``lc(...)``, and nothing else.

    Then its rows need not be put into a query of their own.
    """
    node = checked.tree["statements"][0]["node"]
    table = node.get("from_table") or {}
    name = (table.get("function") or {}).get("function_name")
    if checked.prefix or name not in COLUMNS or table.get("alias", "").lower() in COLUMNS[name]:
        return None
    like = _template(connection, f"SELECT * FROM {name}()")
    if _shape(node) != _shape(like):
        return None
    if _placeless(node["select_list"]) == _placeless(like["select_list"]):
        return Whole(table["function"], None)
    listed = [item.get("column_names") for item in node["select_list"] if item.get("class") == "COLUMN_REF" and not item.get("alias")]
    names = [path[0] for path in listed if len(path) == 1 and path[0] in COLUMNS[name]]
    return Whole(table["function"], names) if len(set(names)) == len(node["select_list"]) else None


class Rewriter:
    """Puts answers in the place of what they answer, in the tree of one query.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        The answers are registered in it.
    tree : dict
        The query's; it is changed.
    parameters : sequence, mapping or None
        The query's.
    names : list of str
        Names that are taken in this connection; those of the answers are added.

    Attributes
    ----------
    answered : dict
        Name -> rows, of all that was answered.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, tree: Node, parameters: Parameters, names: list[str]) -> None:
        self._connection, self._parameters, self._names = connection, parameters, names
        self.tree = tree
        self.answered: dict[str, pa.Table] = {}
        self._ctes = [entry for node in walk(tree) if "cte_map" in node for entry in node["cte_map"]["map"]]

    def functions(self, functions: Functions) -> None:
        """Answer the archive's table functions.

        Raises
        ------
        SQLError
            If an argument is missing, not known before the query runs, or no number.
        """
        for node in list(walk(self.tree)):
            if node.get("type") == "TABLE_FUNCTION" and str(node["function"]["function_name"]).lower() in ARCHIVE_FUNCTIONS:
                rows = self.rows_of(node["function"], functions)
                self._replace(node, rows, node.get("alias") or node["function"]["function_name"].lower())

    def rows_of(self, call: Node, functions: Functions) -> pa.Table:
        """Return the rows of one of the archive's table functions.

        Raises
        ------
        SQLError
            As of `functions`.
        """
        name = call["function_name"].lower()
        if name not in functions:
            raise SQLError(f"SQL: {name}() needs an archive with its database")
        return functions[name](*self._arguments(name, call))

    def subqueries(self, place: Place) -> None:
        """Answer what a view is joined with by ``object_id``, where that is of objects only: ``IN (SELECT ...)``, and subqueries."""
        for part in place.conditions:
            if part.get("type") == "SUBQUERY" and part.get("subquery_type") == "ANY" and place.is_id(part.get("child") or {}):
                rows = self._rows(part["subquery"]["node"])
                if rows is not None and rows.num_columns == 1:
                    part["subquery"]["node"] = self._select(rows)

    def derived(self, view: str) -> None:
        """Answer subqueries and common table expressions of objects in the FROM that reads a view, so that joins with them are plain."""
        for node in list(walk(self.tree)):
            if node.get("type") == "SELECT_NODE":
                tables = _leaves(node.get("from_table"))
                if len(tables) > 1 and any(_is_view(table, view) for table in tables):
                    for table in tables:
                        self._derive(table)

    def hint(self, place: Place) -> pa.Table | None:
        """Return the objects that pass the conditions on ``objects`` where a view is joined with it by ``object_id``; None: too many."""
        for table in place.tables:
            alias = alias_of(table)
            if table_path(table)[-1] not in ("objects", "object_filters") or alias in place.names or not place.equals(alias):
                continue
            own = [part for part in place.conditions if _is_of(part, alias)]
            if own:
                node = {**_template(self._connection, _CONDITION), "from_table": table, "where_clause": _all(own)}
                node["select_list"] = [{**node["select_list"][0], "column_names": [alias, OBJECT]}]
                return self._rows(node)
        return None

    def _derive(self, table: Node) -> None:
        if table.get("type") == "SUBQUERY" and not table.get("column_name_alias"):
            rows = self._rows(table["subquery"]["node"])
        elif table.get("type") == "BASE_TABLE" and len(table_path(table)) == 1 and any(_is_named(table, entry) for entry in self._ctes):
            rows = self._rows({**_template(self._connection, _STAR), "from_table": table})
        else:
            return
        if rows is not None:
            self._replace(table, rows, alias_of(table))

    def _rows(self, node: Node) -> pa.Table | None:
        """Return the rows of a query over objects; None where it reads measurements, has too many rows, or cannot stand alone."""
        inner = trees.parsed(self._connection, f"SELECT * FROM (SELECT 1) LIMIT {MOST_ROWS + 1}")
        outer = inner["statements"][0]["node"]
        outer["from_table"]["subquery"]["node"] = node
        outer["cte_map"] = {"map": self._ctes}
        if not _reads_objects_only(outer, {entry["key"].lower() for entry in self._ctes}):
            return None
        try:
            sql, values = trees.text(self._connection, inner, self._parameters)
            rows = self._connection.sql(sql, params=values).to_arrow_table()
        except _UNSURE:  # it names columns from outside, or is wrong, which the whole query will say
            return None
        return rows if len(rows) <= MOST_ROWS else None

    def _register(self, rows: pa.Table) -> Node:
        name = f"{_PREFIX}{len(self._names)}"
        self._names.append(name)
        self._connection.register(name, rows)
        self.answered[name] = rows
        node = copy.deepcopy(_template(self._connection, "SELECT * FROM temp.main._asked"))
        node["from_table"] |= {"table_name": name, "qualified_name": {"path": ["temp", "main", name]}}
        return node

    def _select(self, rows: pa.Table) -> Node:
        return self._register(rows)

    def _replace(self, node: Node, rows: pa.Table, alias: str) -> None:
        table = self._register(rows)["from_table"]
        kept = {"column_name_alias": node.get("column_name_alias") or [], "sample": node.get("sample")}
        node.clear()
        node.update({**table, **kept, "alias": alias})

    def _arguments(self, name: str, call: Node) -> list[Any]:
        wanted = ARGUMENTS[name]
        usage = f"{name}({', '.join(wanted)})"
        given: dict[str, Node] = {}
        for place, item in enumerate(call.get("arguments") or ()):
            key = (item.get("name") or "").lower() if "class" not in item else ""
            key = key or (wanted[place] if place < len(wanted) else "")
            if key not in wanted or key in given:
                raise SQLError(f"SQL: {usage}: has an argument too many")
            given[key] = arguments({"arguments": [item]})[0]
        values = []
        for key in wanted:
            if key not in given:
                raise SQLError(f"SQL: {usage}: {key} is missing")
            if not trees.is_constant(given[key]):
                raise SQLError(f"SQL: {usage}: {key} must be a constant or a parameter; for many objects join light_curve by object_id")
            values.append(self._number(usage, key, trees.value(self._connection, given[key], self._parameters)))
        return values

    def _number(self, usage: str, key: str, value: Any) -> float | int:
        if key == OBJECT:
            whole = int(value) if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT else value
            if isinstance(whole, int) and not isinstance(whole, bool) and abs(whole) < _MOST:
                return whole
            raise SQLError(f"SQL: {usage}: object_id must be a whole number of 64 bits, found {value!r}")
        number = None if isinstance(value, (str, bytes, bool)) else trees.finite(value)
        if number is None or (key == "dec" and abs(number) > 90) or (key == "radius_arcsec" and not 0 <= number <= 180 * 3600):
            bounds = {"dec": "from -90 to 90 degrees", "radius_arcsec": "from 0 to 648000 arcsec"}.get(key, "of degrees, finite")
            raise SQLError(f"SQL: {usage}: {key} must be a number {bounds}, found {value!r}")
        return number


def _shape(select: Node) -> Node:
    """Return all of a SELECT but its columns, and the arguments and the alias of the function that it reads."""
    table = select["from_table"]
    call = {**table["function"], "arguments": []}
    return _placeless({**select, "select_list": [], "from_table": {**table, "alias": "", "function": call}})


def _placeless(item: Any) -> Any:
    """Return a tree without where its parts stand in the text."""
    if isinstance(item, list):
        return [_placeless(part) for part in item]
    if not isinstance(item, dict):
        return item
    return {key: _placeless(part) for key, part in item.items() if not key.startswith("query_location")}


def _leaves(node: Node | None) -> list[Node]:
    """Return what plain inner joins join; nothing where another join is among them."""
    if not node:
        return []
    if node.get("type") != "JOIN":
        return [node]
    if node.get("join_type") != "INNER" or node.get("ref_type") not in ("REGULAR", "CROSS"):
        return []
    left, right = _leaves(node["left"]), _leaves(node["right"])
    return [*left, *right] if left and right else []


def _is_view(table: Node, view: str) -> bool:
    return table.get("type") == "BASE_TABLE" and table_path(table)[-1] == view


def _is_named(table: Node, entry: Node) -> bool:
    return entry["key"].lower() == table_path(table)[-1]


def _reads_objects_only(node: Node, ctes: set[str]) -> bool:
    for item in walk(node):
        if item.get("type") in ("SHOW_REF", "TABLE_FUNCTION") or item.get("sample"):
            return False
        if item.get("type") == "BASE_TABLE":
            path = table_path(item)
            if path[-1] not in _OBJECTS and not path[-1].startswith(_PREFIX) and not (len(path) == 1 and path[-1] in ctes):
                return False
    return True


def _is_of(part: Node, alias: str) -> bool:
    """Tell whether a condition is of one table alone, and the same each time."""
    found = False
    for node in walk(part):
        kind = node.get("class")
        if kind is None:
            continue
        if kind not in trees.EXPRESSIONS or (kind == "FUNCTION" and node["function_name"] not in trees.FUNCTIONS):
            return False
        if kind == "COLUMN_REF":
            if len(node["column_names"]) != 2 or node["column_names"][0].lower() != alias:
                return False
            found = True
    return found


def _all(conditions: Sequence[Node]) -> Node:
    if len(conditions) == 1:
        return conditions[0]
    return {"class": "CONJUNCTION", "type": "CONJUNCTION_AND", "alias": "", "children": list(conditions)}


def _template(connection: duckdb.DuckDBPyConnection, sql: str) -> Node:
    if sql not in _TEMPLATES:
        _TEMPLATES[sql] = trees.parsed(connection, sql)["statements"][0]["node"]
    return _TEMPLATES[sql]


_TEMPLATES: dict[str, Node] = {}
_CONDITION = "SELECT a.b FROM c WHERE true"
_STAR = "SELECT * FROM c"
