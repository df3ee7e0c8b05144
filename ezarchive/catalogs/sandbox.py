"""What a user's SQL may do: read the archive's views, and nothing else.

DuckDB's own settings close the file system but for the catalogs, and lock themselves. They still let a statement write into the
catalogs' folder (``COPY``, ``ATTACH``; in DuckDB 2 even ``WITH x AS (COPY ...) SELECT``) and read any file there. So the statement's
tree is looked at before it runs: only plain queries, only known tables, only table functions that touch no file.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb

from ezarchive.catalogs.trees import arguments, parsed, table_path, walk
from ezarchive.errors import SQLError, near_misses

VIEWS = (
    "frames", "catalogs", "zero_points", "image_fits", "anchors", "aperture_photometry", "measurements", "light_curve", "objects",
    "object_filters", "ambiguous", "aliases",
)  # fmt: skip
"""The tables of the archive."""

ARCHIVE_FUNCTIONS = ("cone", "lc", "upper_limits")
"""The archive's own table functions; they are answered before DuckDB sees the query (`functions`)."""

TABLE_FUNCTIONS = frozenset(
    "range generate_series unnest repeat repeat_row json_each json_tree histogram histogram_values icu_calendar_names summary "
    "duckdb_columns duckdb_functions duckdb_keywords duckdb_settings duckdb_tables duckdb_types duckdb_views "
    "pragma_table_info pragma_version".split()
)
"""Table functions that touch no file and no memory of others."""

_REFUSED_FUNCTIONS = frozenset("getenv getvariable setval nextval write_log json_execute_serialized_sql".split())
_MAKERS = {"range": 0, "generate_series": 0, "repeat": 1, "lpad": 1, "rpad": 1, "list_resize": 1, "array_resize": 1}
"""Functions that make a value of any size at one stroke, which no limit of time or memory stops, and where their size stands."""
MOST_MADE = 1_000_000
_QUERY_NODES = frozenset(("SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"))
_SYSTEM_SCHEMAS = ("information_schema", "pg_catalog")
_EXPLAIN = re.compile(r"(?:\s+|--[^\n]*(?:\n|$)|/\*.*?\*/)*explain(?:\s+analyze\b)?(?:\s*\([^)]*\))?\s", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Checked:
    """A statement that may run: its text, its tree (of the query inside EXPLAIN, which `prefix` is), and the views that it names."""

    sql: str
    prefix: str
    tree: dict[str, Any]
    views: frozenset[str]

    @cached_property
    def rewritable(self) -> bool:
        """Whether parts of it may be answered first (`functions`)."""
        kinds = {str(node.get("type")) for node in walk(self.tree)}
        return bool(kinds & {"TABLE_FUNCTION", "SUBQUERY", "JOIN"})


def connect(memory_gb: float) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB in memory that looks at no Python variable, loads no extension and spills nothing to disk."""
    connection = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": f"{max(int(memory_gb * 1000), 1)}MB",
            "temp_directory": "",
            "python_enable_replacements": "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
            "allow_persistent_secrets": "false",
        },
    )
    connection.execute("SET parquet_metadata_cache = true")  # catalogs never change
    return connection


def close_doors(connection: duckdb.DuckDBPyConnection, *folders: Path) -> None:
    """Take the file system away, but for the catalogs and the store in `folders`, for good."""
    connection.execute(f"SET allowed_directories = [{', '.join(quoted(str(folder)) for folder in folders)}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def quoted(text: str) -> str:
    """Return a text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def check(connection: duckdb.DuckDBPyConnection, sql: str) -> Checked:
    """Look at a statement before it runs.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Used as the parser.
    sql : str
        What the user wrote.

    Returns
    -------
    Checked

    Raises
    ------
    SQLError
        If it is no single query, or names a table or a table function that it may not read.
    """
    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as err:
        raise SQLError(shortened(err)) from err
    if len(statements) != 1:
        raise SQLError(f"SQL: must be one statement, found {len(statements) or 'none'}")
    kind = statements[0].type.name
    query = sql
    if kind == "EXPLAIN":
        match = _EXPLAIN.match(sql)
        query = sql[match.end() :] if match else ""
    tree = _tree(connection, query) if kind in ("SELECT", "EXPLAIN", "MULTI") else None
    if tree is None:
        asked = "only queries may be asked (SELECT, WITH, VALUES, DESCRIBE, SHOW, SUMMARIZE, EXPLAIN)"
        raise SQLError(f"SQL: {_verb(query or sql)} is refused: {asked}")
    _check_nodes(tree)
    return Checked(sql, sql[: len(sql) - len(query)], tree, _views(tree))


def shortened(err: Exception) -> str:
    """Return DuckDB's message without the excerpt of the query; its near misses are kept."""
    text = re.split(r"\n\s*\n?LINE \d+:", str(err), maxsplit=1)[0]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "SQL: " + " ".join(lines[:3])


def _tree(connection: duckdb.DuckDBPyConnection, query: str) -> dict[str, Any] | None:
    """Return the tree of a query, None when it is not one query."""
    tree = parsed(connection, query)
    return tree if not tree["error"] and len(tree["statements"]) == 1 else None


def _verb(sql: str) -> str:
    words = re.sub(r"--[^\n]*|/\*.*?\*/", " ", sql, flags=re.DOTALL).split()
    return words[0].upper()[:20] if words else "an empty statement"


def _check_nodes(tree: dict[str, Any]) -> None:
    named = {entry["key"].lower() for node in walk(tree) if "cte_map" in node for entry in node["cte_map"]["map"]}
    for node in walk(tree):
        kind = str(node.get("type", ""))
        if kind.endswith("_NODE") and kind not in _QUERY_NODES:
            raise SQLError(f"SQL: {kind.split('_')[0]} is refused: only queries may be asked")
        if kind == "TABLE_FUNCTION":
            name = str(node["function"]["function_name"]).lower()
            if name not in TABLE_FUNCTIONS and name not in ARCHIVE_FUNCTIONS:
                readable = f"{', '.join(VIEWS)}, {', '.join(f'{function}()' for function in ARCHIVE_FUNCTIONS)}"
                raise SQLError(f"SQL: table function {name!r} is refused: queries read {readable}, and no files")
        if kind == "FUNCTION" and str(node.get("function_name", "")).lower() in _REFUSED_FUNCTIONS:
            raise SQLError(f"SQL: function {node['function_name']!r} is refused")
        if kind == "BASE_TABLE":
            _check_table(node, named)
    _check_makers(tree)


def _check_makers(tree: dict[str, Any]) -> None:
    """Refuse values that are too large, one by one or one inside the other."""
    tables = {id(node["function"]) for node in walk(tree) if node.get("type") == "TABLE_FUNCTION"}
    made = 1.0
    for node in walk(tree):
        name = str(node.get("function_name", "")).lower()
        if node.get("type") != "FUNCTION" or name not in _MAKERS or id(node) in tables:
            continue
        given = arguments(node)
        sizes = [_number(item) for item in given[_MAKERS[name] :][: 3 if _MAKERS[name] == 0 else 1]]
        made *= max(_length(sizes) if _MAKERS[name] == 0 else max(sizes, default=0), 1)
        if not made <= MOST_MADE:
            size = f"its size must be a plain number, at most {MOST_MADE:,} in all"
            raise SQLError(f"SQL: function {name!r} is refused: {size}; FROM range(...) gives rows of any number")


def _number(node: dict[str, Any]) -> float:
    """Return the number that is written there, infinite where none is."""
    literal = node.get("literal", {}) if node.get("class") == "CONSTANT" else {}
    return float(literal["text"]) if literal.get("kind") in ("INTEGER", "NUMERIC") else math.inf


def _length(sizes: list[float]) -> float:
    """Return about how many numbers ``range`` gives."""
    if not sizes:
        return 0.0
    first, last, step = [(0.0, *sizes, 1.0), (*sizes, 1.0), tuple(sizes)][len(sizes) - 1]
    return abs(last - first) / abs(step) if step else math.inf


def _check_table(node: dict[str, Any], named: set[str]) -> None:
    path = table_path(node)
    name = path[-1]
    if name in VIEWS or path[0] in _SYSTEM_SCHEMAS or (len(path) > 1 and path[1] in _SYSTEM_SCHEMAS):
        return
    if name in named and len(path) == 1 and not re.search(r"[./\\*]", name):
        return
    if name in TABLE_FUNCTIONS or name in ("sqlite_master", "sqlite_schema", "pg_tables", "pg_views"):
        return
    raise SQLError(f"SQL: table {node['table_name']!r}: {near_misses(node['table_name'], VIEWS)}")


def _views(tree: dict[str, Any]) -> frozenset[str]:
    named = {table_path(node)[-1] for node in walk(tree) if node.get("type") == "BASE_TABLE"}
    return frozenset(named & set(VIEWS))
