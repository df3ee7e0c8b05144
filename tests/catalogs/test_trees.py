"""Trees of SQL statements."""

from __future__ import annotations

import duckdb
import pytest

from ezarchive.catalogs import trees


@pytest.fixture
def connection():
    with duckdb.connect() as made:
        yield made


def expression(connection, text):
    return trees.parsed(connection, f"SELECT {text}")["statements"][0]["node"]["select_list"][0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("-5", -5),
        ("1.5e3", 1500.0),
        ("5 / 2", 2.5),
        ("2795521913950060970", 2795521913950060970),
        ("'7'::BIGINT + 1", 8),
        ("NULL", None),
        ("'a'", "a"),
        ("true", True),
        ("$x", 11),
        ("-$x * 2", -22),
        ("lower('AB')", "ab"),
    ],
)
def test_values_of_constants(connection, text, value):
    node = expression(connection, text)
    assert trees.is_constant(node)
    assert trees.value(connection, node, {"x": 11, "unused": 3}) == value


@pytest.mark.parametrize("text", ["x", "random()", "(SELECT 1)", "x + 1", "[y FOR y IN [1]]", "getenv('HOME')"])
def test_what_is_no_constant(connection, text):
    assert not trees.is_constant(expression(connection, text))


def test_parameters_are_numbered_anew(connection):
    tree = trees.parsed(connection, "SELECT $b AS x, $a AS y, $b AS z")
    tree["statements"][0]["node"]["select_list"].pop(1)
    sql, values = trees.text(connection, tree, {"a": 1, "b": 2})
    assert connection.execute(sql, values).fetchall() == [(2, 2)]
    sql, values = trees.text(connection, trees.parsed(connection, "SELECT ? - ?"), [5, 3])
    assert connection.execute(sql, values).fetchall() == [(2,)]


def test_conjuncts_and_finite_numbers(connection):
    where = trees.parsed(connection, "SELECT 1 WHERE a AND (b OR c) AND (d AND e)")["statements"][0]["node"]["where_clause"]
    assert len(trees.conjuncts(where)) == 4
    assert trees.conjuncts(None) == []
    assert [trees.finite(value) for value in (1, "2.5", None, "x", float("inf"))] == [1.0, 2.5, None, None, None]
