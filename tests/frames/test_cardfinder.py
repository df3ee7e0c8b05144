"""One keyword out of raw cards, against `Cards`."""

from __future__ import annotations

import random

import pytest
from astropy.io import fits

from ezarchive.frames.cardfinder import END_CARD, CardFinder, RawHeader
from ezarchive.frames.cards import Cards

pytestmark = pytest.mark.pure

TEXTS = (
    "AIRMASS = 1.25", "AIRMASS =                  1.5 / air mass", "airmass = 7", "  AIRMASS= 3", "AIRMASS=4", "AIRMASS   no value",
    "AIRMASS1= 9", "OBJECT  = 'M 31    '", "OBJECT  = 'it''s'", "OBJECT  = ", "LONG    = 'one &'", "CONTINUE  'two &'", "CONTINUE  'three'",
    "HIERARCH ESO DET CHIPS = 4", "HIERARCH  ESO  DET CHIPS= 'five'", "HIERARCH AIRMASS = 11", "HIERARCH a very long name = T",
    "COMMENT AIRMASS = 2", "HISTORY END", "EXTEND  = T", "DATE-END= '2025'", "", "FLAG    = T", "Z       = (1.0, 2.0)", "A B     = 6",
    "BAD     = 1.2.3", "SEEING  = 'AIRMASS = 5'", "END", "end",
)  # fmt: skip
KEYWORDS = (
    "AIRMASS", "OBJECT", "LONG", "ESO DET CHIPS", "A VERY LONG NAME", "EXTEND", "DATE-END", "FLAG", "Z", "A B", "BAD", "SEEING", "NOWHERE",
    "AIRMASS1", "CHIPS", "ESO", "DET CHIPS",
)  # fmt: skip


def raw(*texts):
    return b"".join(text.encode("latin-1").ljust(80) for text in texts)


def test_the_same_as_of_all_cards():
    rng = random.Random(8)
    for _ in range(1500):
        cards = raw(*rng.choices(TEXTS, k=rng.randint(0, 25)))
        whole, header = Cards(cards), RawHeader(cards)
        for keyword in rng.sample(KEYWORDS, 6):
            found = CardFinder(keyword).find(header)
            inherited = header.primary is not None and keyword in Cards(header.primary.raw) and keyword not in whole
            if not inherited:
                assert found == ((whole[keyword], whole.text(keyword) or "") if keyword in whole else None), (keyword, cards)


def test_what_the_primary_header_says_counts_where_the_extension_is_silent():
    own, primary = raw("EXPTIME = 10", "CRVAL1  = 1.0"), raw("EXPTIME = 99", "AIRMASS = 1.25", "CRVAL2  = 2.0", "HISTORY x")
    for header in (RawHeader(own + END_CARD + primary), RawHeader(own, primary)):
        said = {key: CardFinder(key).find(header) for key in ("EXPTIME", "AIRMASS", "CRVAL1", "CRVAL2", "HISTORY")}
        assert {key: found and found.value for key, found in said.items()} == {
            "EXPTIME": 10, "AIRMASS": 1.25, "CRVAL1": 1.0, "CRVAL2": None, "HISTORY": None,
        }  # fmt: skip
        expected = Cards(own, Cards(primary))
        assert all((found is not None) == (key in expected) for key, found in said.items())


def test_keywords_in_any_form():
    header = RawHeader(raw("AIRMASS = 1.5", "HIERARCH ESO DET CHIPS = 4"))
    for keyword in ("airmass", " AIRMASS "):
        assert CardFinder(keyword).find(header) == (1.5, "1.5")
    for keyword in ("HIERARCH ESO DET CHIPS", "eso det  chips"):
        assert CardFinder(keyword).find(header).value == 4


def test_comments_and_history_are_texts_of_lines():
    header = RawHeader(raw("HISTORY flat", "OBJECT  = 'x'", "HISTORY sum", "COMMENT c"))
    assert CardFinder("HISTORY").find(header).value == CardFinder("history").find(header).text == "flat\nsum"
    assert CardFinder("COMMENT").find(RawHeader(raw("OBJECT  = 'x'"))) is None


def test_astropys_headers():
    made = fits.Header([("HIERARCH ESO DET CHIPS", 3), ("TEXT", "y" * 150), ("AIRMASS", 1.1), ("AIRMASS", 2.2), ("UNDEF", None)])
    header = RawHeader(Cards.of(made).raw)
    assert CardFinder("TEXT").find(header).value == "y" * 150
    assert CardFinder("AIRMASS").find(header).value == 1.1
    assert CardFinder("UNDEF").find(header) == (None, "")
