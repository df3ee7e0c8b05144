"""The error tree and its messages."""

from __future__ import annotations

import inspect
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ezarchive import errors
from ezarchive.errors import EzarchiveError, FrameError, MeasurementError, UnknownNameError, near_misses

CLASSES = {name: c for name, c in vars(errors).items() if inspect.isclass(c) and issubclass(c, Exception)}


def test_every_error_is_of_the_tree() -> None:
    assert all(issubclass(c, EzarchiveError) for c in CLASSES.values())


def test_the_tree_is_drawn() -> None:
    drawn = errors.__doc__ or ""
    for name in CLASSES:
        if name != "CodedError":  # the shared part of two leaves
            assert name in drawn, name
    # The indentation says who is whose child.
    parents: list[str] = []
    for line in drawn.splitlines():
        head, _, rest = line.partition("+-- ")
        if rest:
            name = rest.split("(")[0].split()[0]
            depth = head.replace("|", " ").count("    ") - 1
            parents = parents[:depth] + [name]
            expected = CLASSES[parents[depth - 1]] if depth else EzarchiveError
            assert issubclass(CLASSES[name], expected), name


@pytest.mark.parametrize("name", ["ConfigError", "InputError", "QueryError", "SQLError", "UnknownNameError"])
def test_wrong_arguments_are_value_errors(name: str) -> None:
    assert issubclass(CLASSES[name], ValueError)


@pytest.mark.parametrize("name", CLASSES)
def test_errors_cross_processes(name: str) -> None:
    cls = CLASSES[name]
    if issubclass(cls, errors.CodedError):
        error = cls("truncated", "x.fits: is cut")
    elif cls is UnknownNameError:
        error = cls("objname", "T0528", ["T00528"])
    else:
        error = cls("x: must be y")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is cls
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


@pytest.mark.parametrize("cls", [FrameError, MeasurementError])
def test_codes(cls: type[errors.CodedError]) -> None:
    error = cls("empty", "x.fits: has no bytes")
    assert (error.code, str(error)) == ("empty", "x.fits: has no bytes")


def test_unknown_names_offer_near_misses() -> None:
    error = UnknownNameError("objname", "T0528", iter(["T00528", "T00139", "NGC1365"]))
    assert str(error) == "objname 'T0528': did you mean 'T00528'?"
    assert error.known == ("T00528", "T00139", "NGC1365")


@pytest.mark.parametrize(
    ("found", "known", "sentence"),
    [
        ("M60", ["m600", "m609", "r"], "did you mean 'm609' or 'm600'?"),
        ("xyz", ["m600", "m625"], "must be one of 'm600', 'm625'"),
        ("x", [], "there is none here"),
        ("x", [f"m{n}" for n in range(10, 30)], "must be one of 'm10', 'm11', 'm12', 'm13', 'm14', 'm15', 'm16', 'm17', ..."),
        ("abc", ["abcd", "abce", "abcf", "abcg"], "did you mean 'abcg' or 'abcf' or 'abce'?"),
        (3, [1, 2], "must be one of '1', '2'"),
    ],
)
def test_near_misses(found: str, known: list[str], sentence: str) -> None:
    assert near_misses(found, known) == sentence


@pytest.mark.pure
@given(st.text(max_size=20), st.lists(st.text(max_size=20), max_size=20))
def test_near_misses_is_always_one_sentence(found: str, known: list[str]) -> None:
    sentence = near_misses(found, known)
    assert sentence
    if known:
        assert any(repr(name) in sentence for name in known)
