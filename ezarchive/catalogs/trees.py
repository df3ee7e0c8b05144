"""Trees of SQL statements, as DuckDB's ``json_serialize_sql`` gives them: taken apart, filled in, and made text again."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import duckdb

Node = dict[str, Any]
Parameters = Sequence[Any] | Mapping[str, Any] | None

EXPRESSIONS = frozenset(
    ("COMPARISON", "CONJUNCTION", "CONSTANT", "COLUMN_REF", "OPERATOR", "BETWEEN", "PARAMETER", "CAST", "TYPE", "FUNCTION")
)
"""Classes of expressions whose value depends on nothing but what they name."""

FUNCTIONS = frozenset(("~~", "!~~", "~~*", "!~~*", "~~~", "lower", "upper", "+", "-", "*", "/", "regexp_matches", "regexp_full_match"))
"""Functions that are the same each time."""


def walk(node: Any) -> Iterator[Node]:
    """Yield every object of a tree."""
    stack = [node]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            yield item
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


def table_path(node: Node) -> list[str]:
    """Return the parts of a table's name in lower case, empty ones left out."""
    parts = (node.get("catalog_name"), node.get("schema_name"), node.get("table_name"))
    return [part.lower() for part in parts if part]


def parsed(connection: duckdb.DuckDBPyConnection, sql: str) -> Node:
    """Return the tree of a query; of what is none, an object with ``error``."""
    return json.loads(connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchall()[0][0])


def text(connection: duckdb.DuckDBPyConnection, tree: Node, parameters: Parameters) -> tuple[str, dict[str, Any] | None]:
    """Make a tree text again.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
    tree : dict
        One statement; its parameters are numbered anew.
    parameters : sequence, mapping or None
        The values for the statement that the tree, or parts of it, came from.

    Returns
    -------
    sql : str
    values : dict or None
        Of the parameters that are left in it, by name.
    """
    names = dict.fromkeys(node["identifier"] for node in walk(tree) if node.get("class") == "PARAMETER")
    known = named(parameters)
    used = {name: known[name] for name in names if name in known}
    tree["statements"][0]["named_param_map"] = [{"key": name, "value": place} for place, name in enumerate(used, 1)]
    sql = connection.execute("SELECT json_deserialize_sql(?::JSON)", [json.dumps(tree)]).fetchall()[0][0]
    return sql, used or None


def named(parameters: Parameters) -> Mapping[str, Any]:
    """Return parameters by name; those of ``?`` are ``1``, ``2`` ..."""
    if isinstance(parameters, Mapping):
        return parameters
    return {str(place): value for place, value in enumerate(parameters or (), 1)}


def filled(node: Any, values: Mapping[str, Node]) -> Any:
    """Return a tree with the columns of these names replaced."""
    if isinstance(node, list):
        return [filled(item, values) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("class") == "COLUMN_REF" and len(node["column_names"]) == 1 and node["column_names"][0] in values:
        return values[node["column_names"][0]]
    return {key: filled(item, values) for key, item in node.items()}


def conjuncts(node: Node | None) -> list[Node]:
    """Return the conditions that must all be true for a condition to be."""
    if not node:
        return []
    if node.get("type") == "CONJUNCTION_AND":
        return [part for child in node["children"] for part in conjuncts(child)]
    return [node]


def argument(item: Node) -> Node:
    """Return the expression of a function's argument."""
    return item["expression"] if "expression" in item and "class" not in item else item


def arguments(call: Node) -> list[Node]:
    """Return the arguments of a function, or the children of an operator."""
    return [argument(item) for item in call.get("arguments") or call.get("children") or ()]


def is_constant(node: Node) -> bool:
    """Tell whether an expression is of constants and parameters alone, and gives the same each time."""
    return all(
        part["class"] in EXPRESSIONS
        and part["class"] != "COLUMN_REF"
        and (part["class"] != "FUNCTION" or part["function_name"] in FUNCTIONS)
        for part in walk(node)
        if "class" in part
    )


def value(connection: duckdb.DuckDBPyConnection, node: Node, parameters: Parameters) -> Any:
    """Return the value of an expression of `is_constant`.

    Raises
    ------
    duckdb.Error
        If it has none: a parameter that is not given, a text that is no number.
    """
    known = named(parameters)
    if node.get("class") == "PARAMETER" and node["identifier"] in known:
        return known[node["identifier"]]
    literal = node.get("literal", {}) if node.get("class") == "CONSTANT" else {}
    if literal.get("kind") in _LITERALS:
        return _LITERALS[literal["kind"]](literal["text"])
    key = None if any(part.get("class") == "PARAMETER" for part in walk(node)) else json.dumps(node)
    if key is not None and key in _CONSTANTS:
        return _CONSTANTS[key]
    sql, values = text(connection, filled(parsed(connection, "SELECT _value"), {"_value": node}), parameters)
    found = connection.execute(sql, values).fetchall()[0][0]
    if key is not None:
        if len(_CONSTANTS) >= _MOST_CONSTANTS:
            _CONSTANTS.clear()
        _CONSTANTS[key] = found
    return found


def finite(found: Any) -> float | None:
    """Return a value as a finite number, None if it is none."""
    try:
        number = float(found)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


_CONSTANTS: dict[str, Any] = {}
"""Values of expressions without parameters that were asked for: to evaluate one takes longer than to open a file."""
_MOST_CONSTANTS = 1000
_LITERALS = {"INTEGER": int, "NUMERIC": float, "STRING": str, "NULL_LITERAL": lambda _: None}
