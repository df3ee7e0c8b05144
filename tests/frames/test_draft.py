from __future__ import annotations

import pytest

from ezarchive import flags
from ezarchive.errors import InputError
from ezarchive.frames.draft import Draft

pytestmark = pytest.mark.pure


def test_values_origins_notes_and_bits():
    draft = Draft()
    draft.put("gain", 2.0, "header:EGAIN")
    draft.put("naxis1", 5)
    draft.note("gain", "one")
    draft.note("gain", "two")
    draft.flag("NO_WCS")
    draft.flag("NO_WCS", "NO_TIME")
    assert draft.values == {"gain": 2.0, "naxis1": 5}
    assert draft.provenance() == {"gain": "header:EGAIN", "note:gain": "one; two"}
    assert flags.decode(draft.quality, flags.QUALITY) == ("NO_WCS", "NO_TIME")


def test_a_misspelt_bit():
    with pytest.raises(InputError, match="flag name 'NO_WCX'"):
        Draft().flag("NO_WCX")
