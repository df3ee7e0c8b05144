"""One keyword out of raw cards: what `Cards` would say of it, at a small part of the time, for questions to all headers of an archive."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np

from ezarchive.frames.cards import CARD, Cards, Value

END_CARD = b"END".ljust(CARD)
"""What stands between the cards of an extension and those of its file's primary header, where both are kept together."""

_COMMENTARY = ("COMMENT", "HISTORY")
_HEAD = 8


class Found(NamedTuple):
    """A value with its type (None: it is not defined), and as it is written."""

    value: Value
    text: str


class RawHeader:
    """The cards of a header as they lie in a file.

    Parameters
    ----------
    raw : bytes
        80 bytes each. What follows an END card is the primary header of the file, whose keywords an extension inherits.
    primary : bytes, optional
        The same, apart.
    """

    def __init__(self, raw: bytes, primary: bytes | None = None) -> None:
        heads = np.frombuffer(raw, np.uint8, len(raw) // CARD * CARD).reshape(-1, CARD)[:, :_HEAD].tobytes().upper()
        at = _end(heads)
        self.raw = raw if at is None else raw[: at * CARD]
        self.heads = heads if at is None else heads[: at * _HEAD]
        rest = primary if at is None else raw[(at + 1) * CARD :]
        self.primary = None if rest is None else RawHeader(rest)

    @cached_property
    def upper(self) -> bytes:
        """The cards in capitals."""
        return self.raw.upper()

    @cached_property
    def hierarchic(self) -> bool:
        """Whether any card has a name that is longer than eight letters."""
        return b"HIERARCH" in self.heads


class CardFinder:
    """Finds one keyword.

    Parameters
    ----------
    keyword : str
        In any case of letters; ``ESO DET CHIPS`` is that of ``HIERARCH ESO DET CHIPS``.
    """

    def __init__(self, keyword: str) -> None:
        words = keyword.upper().split()
        self.keyword = " ".join(words[1:] if len(words) > 1 and words[0] == "HIERARCH" else words)
        self._last = self.keyword.rpartition(" ")[2].encode("latin-1", "replace")
        self._short = " " not in self.keyword and len(self.keyword) <= _HEAD

    def find(self, header: RawHeader) -> Found | None:
        """Return what the first card of the keyword says; None where neither the header nor what it inherits has it.

        Of COMMENT and HISTORY, all lines as one text.
        """
        if self.keyword in _COMMENTARY:
            return self._lines(header)
        card = self._card(header)
        if card is None and header.primary is not None:
            inherited = self._card(header.primary)
            card = None if inherited is None else Cards(b"", inherited)
        if card is None or self.keyword not in card:
            return None
        return Found(card[self.keyword], card.text(self.keyword) or "")

    def _card(self, header: RawHeader) -> Cards | None:
        whole = not self._short or header.hierarchic
        text, size = (header.upper, CARD) if whole else (header.heads, _HEAD)
        at = text.find(self._last)
        while at >= 0:
            place = at // size
            head = header.heads[place * _HEAD : (place + 1) * _HEAD].strip(b" \0")
            if head == b"HIERARCH" or not self._short or head == self._last:
                found = _one_card(header.raw, place * CARD)
                if self.keyword in found:
                    return found
            at = text.find(self._last, (place + 1) * size)
        return None

    def _lines(self, header: RawHeader) -> Found | None:
        word = self.keyword.encode()
        lines = [
            header.raw[place * CARD + _HEAD : (place + 1) * CARD].decode("latin-1").rstrip()
            for place in range(len(header.heads) // _HEAD)
            if header.heads[place * _HEAD : (place + 1) * _HEAD].strip(b" \0") == word
        ]
        return Found("\n".join(lines), "\n".join(lines)) if lines else None


def _one_card(raw: bytes, at: int) -> Cards:
    """Return the card at a byte with those that continue it."""
    end = at + CARD
    while raw[end : end + _HEAD] == b"CONTINUE":
        end += CARD
    return Cards(raw[at:end])


def _end(heads: bytes) -> int | None:
    """Return the place of the END card, None without any."""
    at = heads.find(b"END")
    while at >= 0:
        place = at // _HEAD
        if heads[place * _HEAD : (place + 1) * _HEAD].strip(b" \0") == b"END":
            return place
        at = heads.find(b"END", at + 1)
    return None
