"""Units of surface brightness: what pixels are multiplied by so that two images can be compared."""

from __future__ import annotations

import astropy.units as u

from ezarchive.compare.anchoring.psfkernels import both_steps
from ezarchive.errors import CompareError


def level_factor(
    unit: u.UnitBase | str | None,
    goal: u.UnitBase | str | None,
    step: float | tuple[float, float] | None = None,
    name: str = "image",
) -> float:
    """Return what pixels in one unit must be multiplied by to be in another.

    Parameters
    ----------
    unit, goal : Unit or str
        Of a surface brightness (``MJy / sr``, ``Jy / arcsec2``), or of a flux per pixel (``Jy``, ``Jy / pix``).
    step : float or (float, float), optional
        Arcsec of a pixel, or along (y, x): needed only where one is per pixel and the other is not.
    name : str
        Of the image, for messages.

    Returns
    -------
    float

    Raises
    ------
    CompareError
        ``unit``: if one is not known, or they do not describe the same thing.
    """
    have, want = _known(unit, name), _known(goal, "goal")
    if have == want:
        return 1.0
    for one in _forms(have, step):
        for other in _forms(want, step):
            if one.is_equivalent(other):
                return float(one.to(other))
    per_pixel = " (per pixel: give step)" if step is None else ""
    raise CompareError("unit", f"{name}: its unit must be one that can be brought to {want}, found {have}{per_pixel}")


def _forms(unit: u.UnitBase, step: float | tuple[float, float] | None) -> list[u.UnitBase]:
    """Return what a unit may mean, plain first: itself, without its pixel, and per solid angle of a pixel."""
    plain = [unit, unit * u.pix]
    if step is None:
        return plain
    along_y, along_x = both_steps(step)
    area = u.Unit(along_y * along_x * u.arcsec**2)
    return plain + [one / area for one in plain]


def _known(unit: u.UnitBase | str | None, name: str) -> u.UnitBase:
    try:
        found = None if unit is None or not str(unit).strip() else u.Unit(unit)
    except ValueError as err:
        raise CompareError("unit", f"{name}: its unit is not known: {unit!r}") from err
    if found is None:
        raise CompareError("unit", f"{name}: must say the unit of its pixels (BUNIT), found none")
    return found
