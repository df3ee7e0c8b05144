from __future__ import annotations

import math

import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from ezarchive.frames.cards import Cards

pytestmark = pytest.mark.pure


def one(text, *more):
    return Cards(b"".join((line if isinstance(line, bytes) else line.encode("latin-1")).ljust(80) for line in (text, *more)))


@pytest.mark.parametrize(
    ("card", "value", "text"),
    [
        ("OBJECT  = 'M 31    '           / target", "M 31", "M 31"),
        ("OBJECT  = 'O''Neil'", "O'Neil", "O'Neil"),
        ("OBJECT  = ''", "", None),
        ("OBJECT  = '  a/b '", "  a/b", "a/b"),
        ("OBJECT  =                 0042 / number", 42, "0042"),
        ("OBJECT  =                 -1.5", -1.5, "-1.5"),
        ("OBJECT  =              1.5D-03", 1.5e-3, "1.5D-03"),
        ("OBJECT  =                    T / yes", True, "T"),
        ("OBJECT  =           (1.0, 2.0)", 1 + 2j, "(1.0, 2.0)"),
        ("OBJECT  =                      / nothing", None, None),
        ("OBJECT  = 73161  / free format", 73161, "73161"),
    ],
)
def test_values(card, value, text):
    cards = one(card)
    assert cards["OBJECT"] == value
    assert type(cards["OBJECT"]) is type(value)
    assert cards.text("OBJECT") == text
    assert not cards.bad


@pytest.mark.parametrize(
    ("card", "value"),
    [
        ("OBJECT  = 'not closed", "not closed"),
        ("OBJECT  = NGC 1566 / no quotes", "NGC 1566"),
        ("object  = 'lower'", "lower"),
        ("OBJECT  ='no space'", "no space"),
        ("OBJ@CT  = 'illegal keyword'", "illegal keyword"),
        (b"OBJECT  = 'caf\xc3\xa9'", "café"),
        (b"OBJECT  = 'caf\xe9'", "café"),
        (b"OBJECT  = 'a\0b\tc'", "abc"),
        ("OBJECT  = 'fine'   / bad \x07 comment", "fine"),
    ],
)
def test_illegal_cards_are_read_and_reported(card, value):
    cards = one(card)
    assert next(iter(cards.values())) == value
    assert cards.bad


@pytest.mark.parametrize(("text", "wanted"), [("NaN", math.nan), ("-inf", -math.inf), ("1.0E400", math.inf)])
def test_what_is_not_finite(text, wanted):
    cards = one(f"CRVAL1  = {text:>20}")
    assert cards["CRVAL1"] == pytest.approx(wanted, nan_ok=True)
    assert cards.number("CRVAL1") is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("'120.0'", 120.0),
        ("'120 s'", 120.0),
        ("' 1.2D2 '", 120.0),
        ("'abc'", None),
        ("T", None),
        ("120", 120.0),
        ("''", None),
        ("'12:30'", None),
    ],
)
def test_numbers_out_of_strings(text, number):
    assert one(f"EXPTIME = {text}").number("EXPTIME") == number


def test_first_card_of_a_keyword_counts():
    assert one("RA      = 1", "RA      = 2")["RA"] == 1


def test_long_strings_go_on():
    cards = one("LONG    = 'abc&'", "CONTINUE  'def&'", "CONTINUE  '' / end", "NEXT    = 1")
    assert cards["LONG"] == "abcdef"
    assert list(cards) == ["LONG", "NEXT"]


def test_long_keywords():
    cards = one("HIERARCH ESO DET GAIN =         1 / x", "HIERARCH UL5SKY_APER_1 = 22.5", "HIERARCH no value here")
    assert dict(cards) == {"ESO DET GAIN": 1, "UL5SKY_APER_1": 22.5}
    assert not cards.bad


def test_comments_are_no_values():
    cards = one("HISTORY = 1", "COMMENT = 2", "        = 3", "ESO-LOG 00:00> DATE   = 'x'", "TEXT      without a value")
    assert len(cards) == 0
    assert not cards.bad


def test_nothing_counts_after_the_end():
    cards = one("A       = 1", "END", "B       = 2")
    assert list(cards) == ["A"]
    assert len(cards.raw) == 80


def test_extensions_ask_the_primary_header():
    primary = one("OBJECT  = 'M 31'", "CTYPE1  = 'RA---TAN'", "BUNIT   = 'adu'", "FILTER  = 'r'")
    cards = Cards("FILTER  = 'g'".ljust(80).encode(), primary)
    assert cards["OBJECT"] == cards.text("OBJECT") == "M 31"
    assert cards["FILTER"] == "g"
    assert "OBJECT" in cards
    for keyword in ("CTYPE1", "BUNIT"):
        assert keyword not in cards
        assert cards.get(keyword) is None
    with pytest.raises(KeyError, match="BUNIT"):
        cards["BUNIT"]


SCALARS = st.one_of(
    st.integers(-(10**15), 10**15),
    st.floats(allow_nan=False, allow_infinity=False, width=32).map(float),
    st.booleans(),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60),
)


@given(st.lists(SCALARS, min_size=1, max_size=8))
def test_agrees_with_astropy(values):
    header = fits.Header()
    for index, value in enumerate(values):
        header[f"KEY{index}"] = (value, "comment")
    cards = Cards.of(header)
    header = fits.Header.fromstring(header.tostring())
    assert not cards.bad
    for index, value in enumerate(values):
        got = cards[f"KEY{index}"]
        assert got == (header[f"KEY{index}"].rstrip() if isinstance(value, str) else header[f"KEY{index}"])
        assert isinstance(got, type(value))


@given(st.binary(min_size=0, max_size=400))
def test_any_bytes_are_survived(raw):
    cards = Cards(raw)
    for keyword in cards:
        cards.get(keyword)
        cards.text(keyword)
        cards.number(keyword)
