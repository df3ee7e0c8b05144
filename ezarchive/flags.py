"""Quality bits, each defined once: value, name, meaning.

Stored tables outlive code: a bit never changes its meaning (``tests/test_flags.py`` pins every one).

``FLAGS`` holds SExtractor's eight bits exactly (sep's own bits differ and are translated), ``FLAGS_APER`` ours for one
aperture, ``FLAGS_LOOK`` those of an aperture of the quick look, ``QUALITY`` those of a frame.
"""

from __future__ import annotations

from typing import NamedTuple

from ezarchive.errors import InputError

FLAG_VERSION = 2


class Flag(NamedTuple):
    """One bit: its value, its name, what it means."""

    bit: int
    name: str
    meaning: str


FLAGS = (
    Flag(1, "CROWDED", "neighbours bright and close enough to bias AUTO photometry, or bad pixels (over 10 % of the area)"),
    Flag(2, "MERGED", "the object was blended with another one"),
    Flag(4, "SATURATED", "at least one pixel is saturated, or very close to it"),
    Flag(8, "TRUNCATED", "the isophote is cut by an edge of the image"),
    Flag(16, "APER_INCOMPLETE", "the aperture data are incomplete or corrupted"),
    Flag(32, "ISO_INCOMPLETE", "the isophotal data are incomplete or corrupted"),
    Flag(64, "DEBLEND_OVERFLOW", "a memory overflow occurred during deblending"),
    Flag(128, "EXTRACT_OVERFLOW", "a memory overflow occurred during extraction"),
)
"""Bits of ``FLAGS`` (SExtractor manual, section "Flagging")."""

FLAGS_APER = (
    Flag(1, "OFF_IMAGE_PARTLY", "part of the aperture lies off the image"),
    Flag(2, "OFF_IMAGE", "the whole aperture lies off the image"),
    Flag(4, "MASKED", "masked pixels lie in the aperture"),
    Flag(8, "NOT_FINITE", "NaN or infinite pixels lie in the aperture"),
    Flag(16, "SATURATED", "saturated pixels lie in the aperture"),
    Flag(32, "NEIGHBOUR", "pixels of another source lie in the aperture"),
    Flag(64, "NON_POSITIVE", "the flux is zero or negative: no magnitude"),
    Flag(128, "NO_GAIN", "the gain is unknown: the error holds the noise of the sky only"),
    Flag(256, "NO_SKY", "no level or noise of the sky could be had (a ring with too few pixels): not measured, or without error"),
)
"""Bits of ``FLAGS_APER``."""

FLAGS_LOOK = (
    *FLAGS_APER[:4],
    Flag(16, "NO_CENTRE", "no usable pixel has its centre in the aperture: a sum at most, but no statistics"),
    Flag(32, "NO_PIXEL_AREA", "the pixels are per solid angle and the area of one is not known or not wanted: the sum is still per angle"),
    *(flag for flag in FLAGS_APER if flag.name == "NON_POSITIVE"),
    Flag(128, "FACTOR_UNUSED", "a factor was given that the unit of the image does not admit: not used"),
    Flag(256, "FAILED", "not measured: the reason is in the row"),
)
"""Bits of ``flags`` of the quick look's aperture photometry; those it shares with ``FLAGS_APER`` have the same value."""

QUALITY = (
    Flag(1, "NO_WCS", "no usable celestial WCS: the frame is not found by position"),
    Flag(2, "NO_TIME", "no time of exposure could be read"),
    Flag(4, "NO_EXPTIME", "no valid exposure time"),
    Flag(8, "TIME_DISAGREES", "two sources of the time disagree by more than the exposure"),
    Flag(16, "FIELD_DISAGREES", "path and header disagree about a field"),
    Flag(32, "BAD_CARDS", "the header holds cards that the FITS standard does not allow"),
    Flag(64, "NIGHT_UTC", "the night is counted from UTC noon: the site is unknown"),
    Flag(128, "NO_GAIN", "no gain in electrons per stored unit"),
)
"""Bits of ``frame.quality``."""


def value(family: tuple[Flag, ...], *names: str) -> int:
    """Return the sum of the bits with these names.

    Parameters
    ----------
    family : tuple of Flag
        ``FLAGS``, ``FLAGS_APER``, ``FLAGS_LOOK`` or ``QUALITY``.
    *names : str
        Names of bits.

    Returns
    -------
    int
        The bits, ORed.

    Raises
    ------
    InputError
        If a name is not of the family.
    """
    table = {flag.name: flag.bit for flag in family}
    unknown = [name for name in names if name not in table]
    if unknown:
        raise InputError(f"flag name {unknown[0]!r}: must be one of {', '.join(table)}")
    total = 0
    for name in names:
        total |= table[name]
    return total


def decode(bits: int, family: tuple[Flag, ...] = FLAGS) -> tuple[str, ...]:
    """Return the names of the bits that are set.

    Parameters
    ----------
    bits : int
        A value of a flag column.
    family : tuple of Flag
        ``FLAGS`` (default), ``FLAGS_APER``, ``FLAGS_LOOK`` or ``QUALITY``.

    Returns
    -------
    tuple of str
        Names in the order of their bits.

    Raises
    ------
    InputError
        If a bit is set that the family does not define.

    Examples
    --------
    >>> decode(5)
    ('CROWDED', 'SATURATED')
    """
    bits = int(bits)
    known = 0
    for flag in family:
        known |= flag.bit
    if bits < 0 or bits & ~known:
        raise InputError(f"flag value {bits}: holds bits that are not defined (all of them: {known})")
    return tuple(flag.name for flag in family if bits & flag.bit)
