"""Units of surface brightness."""

from __future__ import annotations

import astropy.units as u
import pytest

from ezarchive.compare.anchoring.levels import level_factor
from ezarchive.errors import CompareError

ARCSEC2 = float((u.arcsec**2).to(u.sr))


@pytest.mark.pure
@pytest.mark.parametrize(
    ("unit", "goal", "step", "factor"),
    [
        ("MJy/sr", "MJy/sr", None, 1),
        ("MJy / sr", "mJy / sr", None, 1e9),
        ("Jy/arcsec2", "MJy/sr", None, 1e-6 / ARCSEC2),
        ("Jy", "MJy/sr", 0.5, 1e-6 / (0.25 * ARCSEC2)),
        ("Jy/pix", "MJy/sr", (0.5, 0.2), 1e-6 / (0.1 * ARCSEC2)),
        ("MJy/sr", "Jy/pix", 0.5, 1e6 * 0.25 * ARCSEC2),
        ("Jy", "Jy/pix", None, 1),
        ("mJy/pix", "Jy", None, 1e-3),
        (u.DN / u.s, u.DN / u.s, None, 1),
    ],
)
def test_factors(unit, goal, step, factor):
    assert level_factor(unit, goal, step) == pytest.approx(factor, rel=1e-12)


@pytest.mark.pure
@pytest.mark.parametrize(
    ("unit", "text"),
    [
        ("K", "F1: its unit must be one that can be brought to MJy / sr, found K"),
        ("DN/s", "brought to MJy / sr, found DN / s"),
        ("Jy", "per pixel: give step"),
        (None, r"must say the unit of its pixels \(BUNIT\), found none"),
        ("", r"must say the unit of its pixels \(BUNIT\), found none"),
        ("furlongs per fortnight^", "its unit is not known"),
    ],
)
def test_units_that_cannot_be_compared(unit, text):
    with pytest.raises(CompareError, match=text) as err:
        level_factor(unit, "MJy/sr", name="F1")
    assert err.value.code == "unit"
