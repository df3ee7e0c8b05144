"""Which columns of a table a query names, so that no others are read."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ezarchive.catalogs.trees import Node, table_path, walk

_WORD = re.compile(r"\w+")


def named_columns(sql: str, tree: Node, table: str, columns: Sequence[str]) -> list[str] | None:
    """Return the columns of a table that a query can need.

    Parameters
    ----------
    sql : str
        The query.
    tree : dict
        Its tree.
    table : str
        The table's name.
    columns : sequence of str
        Its columns.

    Returns
    -------
    list of str or None
        Those that come as a word in the query, in the table's order; None: no row is needed, its columns only (``DESCRIBE``, or the
        table is not named).

    Notes
    -----
    Whatever may mean a column without naming it (``*``, ``COLUMNS(...)``, ``NATURAL JOIN``, a whole row, ``PIVOT``, renamed columns) makes
    it all of them. A word too many costs time only; one too few would be an error of DuckDB's, after which the caller takes all.
    """
    nodes = list(walk(tree))
    places = [node for node in nodes if node.get("type") == "BASE_TABLE" and table_path(node)[-1] == table]
    if not places or _is_described(tree):
        return None
    words = {word.lower() for word in _WORD.findall(sql)}
    if any(node.get("column_name_alias") for node in places) or _means_more(nodes, table, places):
        return list(columns)
    return [name for name in columns if name.lower() in words]


def _is_described(tree: Node) -> bool:
    """Tell whether the whole statement asks for names and types only."""
    shown = tree["statements"][0]["node"].get("from_table") or {}
    return shown.get("type") == "SHOW_REF" and str(shown.get("show_type")) == "DESCRIBE"


def _means_more(nodes: list[Node], table: str, places: list[Node]) -> bool:
    aliases = {(node.get("alias") or table).lower() for node in places}
    for node in nodes:
        kind, joined = node.get("type"), node.get("from_table")
        if kind == "JOIN" and node.get("ref_type") == "NATURAL":
            return True
        if node.get("class") == "COLUMN_REF" and len(node["column_names"]) == 1 and node["column_names"][0].lower() in aliases:
            return True
        if kind in ("PIVOT", "SHOW_REF") and _holds(node, table):
            return True
        if kind == "SELECT_NODE" and _holds(joined, table, direct=True) and any(_starred(item, aliases) for item in _own(node)):
            return True
    return False


def _own(node: Node) -> list[Node]:
    """Return the objects of a SELECT that are not of its FROM, subqueries in expressions included."""
    return [item for key, value in node.items() if key != "from_table" for item in walk(value)]


def _starred(node: Node, aliases: set[str]) -> bool:
    if node.get("class") == "POSITIONAL_REFERENCE":
        return True
    if node.get("class") != "STAR":
        return False
    return bool(node.get("columns")) or not node.get("relation_name") or node["relation_name"].lower() in aliases


def _holds(node: Node | None, table: str, *, direct: bool = False) -> bool:
    """Tell whether a table is read in a part of a tree; `direct`: not in a subquery of it."""
    if not node:
        return False
    if node.get("type") == "BASE_TABLE":
        return table_path(node)[-1] == table
    if direct and node.get("type") == "SUBQUERY":
        return False
    if direct and node.get("type") == "JOIN":
        return any(_holds(node[side], table, direct=True) for side in ("left", "right"))
    return any(item.get("type") == "BASE_TABLE" and table_path(item)[-1] == table for item in walk(node))
