"""Scale bars: a round angle on the sky and how many pixels it is."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ezarchive.errors import InputError

_STEPS = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
"""What counts as round in minutes and seconds."""


@dataclass(frozen=True)
class ScaleBar:
    """A bar of `pixels`, `arcsec` long, and what to write beside it."""

    pixels: float
    arcsec: float
    label: str

    def to_dict(self) -> dict[str, Any]:
        """Return its fields."""
        return asdict(self)


def scale_bar(pixel_scale: float, across: float, fraction: float = 0.25) -> ScaleBar:
    """Return the longest bar of a round angle that takes at most a part of a view.

    Parameters
    ----------
    pixel_scale : float
        Arcsec a pixel.
    across : float
        Width of the view in pixels.
    fraction : float
        The largest part of it, above 0 to 1.

    Raises
    ------
    InputError
        If one of them is not above 0, or `fraction` above 1.
    """
    for name, value in (("pixel_scale", pixel_scale), ("across", across), ("fraction", fraction)):
        known = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
        if not (known and math.isfinite(value) and value > 0):
            raise InputError(f"{name}: must be a number above 0, found {value!r}")
    if fraction > 1:
        raise InputError(f"fraction: must be at most 1, found {fraction}")
    arcsec = _round_angle(pixel_scale * across * fraction)
    return ScaleBar(arcsec / pixel_scale, arcsec, _label(arcsec))


def _round_angle(most: float) -> float:
    """Return 1, 2, 5 times a power of ten in arcsec below one, or a round number of seconds, minutes or degrees."""
    for unit in (3600.0, 60.0):
        if most >= unit:
            steps = _STEPS if unit == 60.0 else (*_STEPS, 45.0, 60.0, 90.0)
            return unit * max(step for step in steps if step * unit <= most)
    if most >= 1:
        return max(step for step in _STEPS if step <= most)
    power = 10.0 ** math.floor(math.log10(most))
    return max(step * power for step in (1.0, 2.0, 5.0) if step * power <= most * (1 + 1e-12))


def _label(arcsec: float) -> str:
    for unit, mark in ((3600.0, "\N{DEGREE SIGN}"), (60.0, "\N{PRIME}"), (1.0, "\N{DOUBLE PRIME}")):
        if arcsec >= unit:
            return f"{arcsec / unit:g}{mark}"
    return f"{arcsec * 1e3:g} mas" if arcsec >= 1e-3 else f"{arcsec * 1e6:g} \N{MICRO SIGN}as"
