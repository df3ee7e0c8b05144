"""What a user asks for, as a frozen object."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.table import Column

from ezarchive.browse.selection import Selection, add_condition, as_tuple, condition_names, matches, name_values, night_values
from ezarchive.errors import InputError, UnknownNameError
from ezarchive.frames.record import KINDS, Frame

pytestmark = pytest.mark.pure


def test_a_selection_never_changes():
    first = Selection()
    second = first.with_name("filter", ("m600",)).with_range("seeing", None, 3.0).with_region(1.0, 2.0, None).with_time(60000.0, None)
    assert first == Selection()
    assert (second.names, second.ranges) == ({"filter": ("m600",)}, {"seeing": (None, 3.0)})
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign"):
        second.root = "x"


def test_conditions_add_up():
    selection = Selection().with_range("seeing", 1.0, None).with_range("seeing", None, 3.0).with_range("seeing", 0.5, 4.0)
    assert selection.ranges == {"seeing": (1.0, 3.0)}
    assert Selection().with_time(1.0, 5.0).with_time(2.0, None).mjd == (2.0, 5.0)
    assert Selection().with_choice("exptime", (60, 100)).with_choice("exptime", (100, 120)).choices == {"exptime": (100,)}
    assert Selection().with_choice("exptime", (60,)).with_choice("exptime", (100,)).empty


def test_a_name_can_be_cleared():
    selection = Selection().with_name("filter", ("m600",)).with_name("filter", None)
    assert selection.names == {}
    assert not selection.empty


def test_the_query_gets_what_the_database_can_answer():
    selection = Selection(root="scidata").with_name("filter", ("m6*",)).with_range("seeing", None, 3.0).with_choice("exptime", (60, 100))
    selection = selection.with_region(10.0, 20.0, 0.5).with_time(60000.0, None)
    query = selection.query(kinds=("science",), pattern="*100.fits")
    assert (query.root, query.kinds, query.pattern) == ("scidata", ("science",), "*100.fits")
    assert dict(query.ranges) == {"seeing": (None, 3.0), "exptime": (60, 100)}
    assert (query.cone, query.point, query.mjd) == ((10.0, 20.0, 0.5), False, (60000.0, None))
    assert not selection.exact


def test_of_two_regions_the_smaller_is_asked_for():
    selection = Selection().with_region(10.0, 20.0, 0.5).with_region(11.0, 21.0, None)
    query = selection.query()
    assert (query.cone[:2], query.point) == ((11.0, 21.0), True)
    assert not selection.exact


def test_refine_tests_the_choices():
    frames = [Frame(frame_id=1, exptime=60.0), Frame(frame_id=2, exptime=80.0), Frame(frame_id=3), Frame(frame_id=4, exptime=100.0)]
    assert [f.frame_id for f in Selection().with_choice("exptime", (60, 100)).refine(frames)] == [1, 4]


def test_refine_tests_every_region():
    square = "POLYGON ICRS 9 -1 11 -1 11 1 9 1"
    frames = [Frame(frame_id=1, s_region=square, wcs_ok=True), Frame(frame_id=2)]
    both = Selection().with_region(10.0, 0.0, None).with_region(10.9, 0.0, None)
    assert [f.frame_id for f in both.refine(frames)] == [1]
    assert both.with_region(12.0, 0.0, None).refine(frames) == []
    assert [f.frame_id for f in both.with_region(12.0, 0.0, 1.1).refine(frames)] == [1]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("seeing", (None, 3.0), ("ranges", "seeing", (None, 3.0))),
        ("exptime", 100, ("ranges", "exptime", (100, 100))),
        ("exptime", [60, 100], ("choices", "exptime", (60, 100))),
        ("exptime", np.array([60.0, 100.0]), ("choices", "exptime", (60.0, 100.0))),
        ("wcs_ok", True, ("choices", "wcs_ok", (True,))),
        ("bunit", "MJy*", ("choices", "bunit", ("MJy*",))),
        ("date_obs", ("2025", "2026"), ("ranges", "date_obs", ("2025", "2026"))),
        ("ncombine", np.int64(3), ("ranges", "ncombine", (3, 3))),
    ],
)
def test_conditions_on_columns(key, value, expected):
    place, name, wanted = expected
    assert getattr(add_condition(Selection(), key, value), place) == {name: wanted}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("seeing", "3", "seeing='3': must be a number in arcsec"),
        ("seeing", float("nan"), "seeing=nan: must be a number in arcsec"),
        ("seeing", (1, 2, 3), r"seeing=\(1, 2, 3\): a tuple is a range \(low, high\)"),
        ("airmass", True, "airmass=True: must be a number"),
        ("wcs_ok", 1, "wcs_ok=1: must be True or False"),
        ("bunit", 1.0, "bunit=1.0: must be a text"),
    ],
)
def test_values_that_do_not_fit(key, value, message):
    with pytest.raises(InputError, match=message):
        add_condition(Selection(), key, value)


def test_misspelt_conditions():
    with pytest.raises(UnknownNameError, match="condition 'seing': did you mean 'seeing'"):
        add_condition(Selection(), "seing", 3)
    with pytest.raises(UnknownNameError, match="kind 'sciense': did you mean 'science'"):
        add_condition(Selection(), "kind", "sciense")


def test_kinds():
    assert add_condition(Selection(), "kind", "science").kinds == ("science",)
    assert add_condition(Selection(), "kind", ["dark", "bias"]).kinds == ("bias", "dark")
    assert add_condition(Selection(), "kind", "*").kinds == KINDS
    assert add_condition(add_condition(Selection(), "kind", "science"), "kind", "flat").empty


def test_nights():
    assert night_values("obsdate", ["20250901", "2025-09-02", "202509*", "2025*", "20250[12]*", "2025-1*"]) == (
        "2025-09-01", "2025-09-02", "2025-09*", "2025*", "2025-0[12]*", "2025-1*",
    )  # fmt: skip
    assert night_values("obsdate", None) is None
    with pytest.raises(InputError, match="obsdate='monday': must be a date"):
        night_values("obsdate", "monday")


def test_names():
    assert name_values("filter", "m600") == ("m600",)
    assert name_values("filter", ["m600", "m625", "m600"]) == ("m600", "m625")
    assert name_values("filter", np.array(["m600"])) == ("m600",)
    for wrong in (600, "", ["m600", None]):
        with pytest.raises(InputError, match="filter=.*must be a name"):
            name_values("filter", wrong)


def test_matches():
    assert matches("m600", ["m6*"])
    assert matches(100.0000001, [100])
    assert not matches(None, ["*"])
    assert not matches("M600", ["m600"])
    assert matches("a[1]", ["a[1]"])
    assert as_tuple("m600") == ("m600",)
    assert set(as_tuple({1, 2})) == {1, 2}
    assert {"objname", "obsdate", "night", "seeing", "egain"} <= set(condition_names())


def test_columns_of_tables_and_scalars_of_numpy_are_tuples():
    assert as_tuple(pd.Series(["a", "b"])) == as_tuple(pd.Index(["a", "b"])) == as_tuple(np.array(["a", "b"])) == ("a", "b")
    assert as_tuple(np.array("a")) == as_tuple(np.str_("a")) == ("a",)
    assert as_tuple(Column(["a", "b"])) == ("a", "b")
    assert as_tuple(3 * u.s) == (3 * u.s,)
