"""Quality bits: every one is pinned. A bit that has been stored may never change its meaning."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ezarchive.errors import InputError
from ezarchive.flags import FLAG_VERSION, FLAGS, FLAGS_APER, FLAGS_LOOK, QUALITY, decode, value

PINNED = {
    "FLAGS": {
        1: "CROWDED", 2: "MERGED", 4: "SATURATED", 8: "TRUNCATED", 16: "APER_INCOMPLETE", 32: "ISO_INCOMPLETE",
        64: "DEBLEND_OVERFLOW", 128: "EXTRACT_OVERFLOW",
    },
    "FLAGS_APER": {
        1: "OFF_IMAGE_PARTLY", 2: "OFF_IMAGE", 4: "MASKED", 8: "NOT_FINITE", 16: "SATURATED", 32: "NEIGHBOUR", 64: "NON_POSITIVE",
        128: "NO_GAIN", 256: "NO_SKY",
    },
    "FLAGS_LOOK": {
        1: "OFF_IMAGE_PARTLY", 2: "OFF_IMAGE", 4: "MASKED", 8: "NOT_FINITE", 16: "NO_CENTRE", 32: "NO_PIXEL_AREA", 64: "NON_POSITIVE",
        128: "FACTOR_UNUSED", 256: "FAILED",
    },
    "QUALITY": {
        1: "NO_WCS", 2: "NO_TIME", 4: "NO_EXPTIME", 8: "TIME_DISAGREES", 16: "FIELD_DISAGREES", 32: "BAD_CARDS", 64: "NIGHT_UTC",
        128: "NO_GAIN",
    },
}  # fmt: skip
FAMILIES = {"FLAGS": FLAGS, "FLAGS_APER": FLAGS_APER, "FLAGS_LOOK": FLAGS_LOOK, "QUALITY": QUALITY}


@pytest.mark.parametrize("family", PINNED)
def test_bits_are_pinned(family: str) -> None:
    found = {flag.bit: flag.name for flag in FAMILIES[family]}
    kept = {bit: name for bit, name in found.items() if bit in PINNED[family]}
    assert kept == PINNED[family], "a stored bit changed its meaning"
    assert found == PINNED[family], "a new bit: pin it here, and raise FLAG_VERSION"
    assert FLAG_VERSION == 2


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_bits_are_powers_of_two_in_order_and_have_meanings(family: tuple) -> None:
    bits = [flag.bit for flag in family]
    assert bits == [1 << n for n in range(len(bits))]
    assert len({flag.name for flag in family}) == len(family)
    assert all(flag.name.isupper() and len(flag.meaning) > 10 for flag in family)


@pytest.mark.pure
@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
@given(bits=st.integers(0, 255))
def test_decode_and_value_are_inverse(family: tuple, bits: int) -> None:
    assert value(family, *decode(bits, family)) == bits


def test_decode_takes_numpy_integers() -> None:
    import numpy as np

    assert decode(np.int16(5)) == ("CROWDED", "SATURATED")
    assert decode(0) == ()


@pytest.mark.parametrize("bits", [512, -1, 1 << 20])
def test_undefined_bits_are_refused(bits: int) -> None:
    with pytest.raises(InputError, match=rf"flag value {bits}: holds bits that are not defined \(all of them: 255\)"):
        decode(bits)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(InputError, match="flag name 'SATURATE': must be one of CROWDED, MERGED, SATURATED"):
        value(FLAGS, "CROWDED", "SATURATE")


def test_value_ors() -> None:
    assert value(FLAGS, "CROWDED", "CROWDED", "SATURATED") == 5
    assert value(FLAGS) == 0
