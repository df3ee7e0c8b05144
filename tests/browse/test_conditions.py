"""The conditions of a selection, on whatever has the facts; `test_frameset` and `test_catalogset` test what they select."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ezarchive.browse.conditions import CRITERIA, check_names, given_conditions, made_tests
from ezarchive.errors import InputError, UnknownNameError

pytestmark = pytest.mark.pure

FACTS = SimpleNamespace(path="/data/m600/a.fits", filter="m600", exptime=100.0, seeing=2.5, depth=None, mjd_start=None, mjd_mid=60919.5)


def fulfils(**conditions):
    return [test(FACTS) for test in made_tests(conditions)]


def test_each_condition_is_one_test():
    assert fulfils(filter="m6*") == fulfils(exptime=[60, 100]) == fulfils(seeing=3) == fulfils(file_key="m600/a") == [True]
    assert fulfils(depth=10) == fulfils(seeing=2.5) == fulfils(file_key=["m600", "b"]) == [False]
    assert fulfils(obs_start=60919, obs_end=60920) == [True]
    assert fulfils(obs_start=60920) == [False]
    assert fulfils() == []


def test_only_what_was_given():
    values = [None] * len(CRITERIA)
    assert given_conditions(values, {}) == {}
    values[1] = "m600"
    assert given_conditions(values, {}) == {"filter": "m600"}
    with pytest.raises(UnknownNameError, match="argument 'filtre': did you mean 'filter'"):
        given_conditions(values, {"filtre": 1})
    with pytest.raises(InputError, match="seeing=True: must be a number"):
        fulfils(seeing=True)
    with pytest.raises(InputError, match="depth=nan: must be a number; nothing would fulfil it"):
        fulfils(depth=float("nan"))
    assert fulfils(seeing=float("inf")) == [True]


def test_names_need_an_archive_to_be_strange():
    check_names({"filter": "m6"}, [FACTS], None)
