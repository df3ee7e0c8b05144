"""How a layer of a view is shown: checked settings with defaults, for one image or for several at once."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ezarchive.errors import InputError, near_misses
from ezarchive.quicklook.display.contouring import contour_levels
from ezarchive.quicklook.display.limits import Limits, checked_percentile, display_limits
from ezarchive.quicklook.display.stretches import checked_contrast_bias, checked_stretch, rendered

__all__ = ["PlotOptions", "mixed", "unified"]


@dataclass(frozen=True)
class PlotOptions:
    """How an image is shown.

    Parameters
    ----------
    visible, bitmap_visible, contour_visible : bool
        The layer, its shades and its contours.
    stretch : {'linear', 'sqrt', 'arcsinh', 'log'}
        See `ezarchive.quicklook.stretch`.
    percentile : float, str or pair of floats
        See `ezarchive.quicklook.display_limits`; two numbers are the limits themselves.
    contrast, bias : float
        From 0 to 4 and from 0 to 1; see `ezarchive.quicklook.contrast_bias`.
    cmap : str
        Name of a colour map.
    colour : str, optional
        One colour for the layer, from black, in place of the colour map.
    opacity : float
        From 0 to 1.
    contour_n : int
        Contours at equal distances between limits.
    contour_percentile : float, str or pair of floats
        Gives these limits.
    contour_levels : tuple of float, optional
        The levels themselves, in place of those; a text with commas is taken too.

    Raises
    ------
    InputError
        If a setting is not as it must be: "Invalid stretch", "Invalid autocut", "Invalid cut levels", "Invalid colormap" and others.

    Examples
    --------
    >>> shown = PlotOptions().changed(stretch="log", v_max=500.0, limits=(0.0, 100.0))
    >>> shown.percentile, shown.preset
    ((0.0, 500.0), 'custom')
    """

    visible: bool = True
    bitmap_visible: bool = True
    stretch: str = "linear"
    percentile: Any = 95.0
    contrast: float = 1.0
    bias: float = 0.5
    cmap: str = "gray"
    colour: str | None = None
    opacity: float = 1.0
    contour_visible: bool = False
    contour_n: int = 5
    contour_percentile: Any = 95.0
    contour_levels: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("visible", "bitmap_visible", "contour_visible"):
            if not isinstance(getattr(self, name), (bool, np.bool_)):
                raise InputError(f"{name}={getattr(self, name)!r}: must be True or False")
        checked_stretch(self.stretch)
        checked_contrast_bias(self.contrast, self.bias)
        _check_colours(self.cmap, self.colour)
        if not _is_real(self.opacity) or not 0.0 <= self.opacity <= 1.0:
            raise InputError(f"opacity={self.opacity!r}: must be from 0 to 1")
        if isinstance(self.contour_n, bool) or not isinstance(self.contour_n, Integral) or self.contour_n < 1:
            raise InputError(f"contour_n={self.contour_n!r}: must be a whole number above 0")
        for name in ("percentile", "contour_percentile"):
            object.__setattr__(self, name, checked_percentile(getattr(self, name)))
        if self.contour_levels is not None:
            object.__setattr__(self, "contour_levels", tuple(contour_levels(None, levels=self.contour_levels).tolist()))

    @property
    def preset(self) -> str:
        """Name of the limits: ``minmax``, ``zscale``, ``custom`` or a percentage (``95%``)."""
        if isinstance(self.percentile, tuple):
            return "custom"
        return self.percentile if isinstance(self.percentile, str) else f"{self.percentile:g}%"

    def changed(self, *, v_min: float | None = None, v_max: float | None = None, limits: Any = None, **values: Any) -> PlotOptions:
        """Return other settings.

        Parameters
        ----------
        v_min, v_max : float, optional
            Black or white level, which makes the limits custom ones.
        limits : Limits or pair of floats, optional
            What is shown now, needed where one of the two is given and the limits are none of one's own yet.
        **values
            Settings by their names.

        Raises
        ------
        InputError
            If there is no such setting, or its value is not as it must be.
        """
        known = [item.name for item in fields(self)]
        for name in values:
            if name not in known:
                raise InputError(f"{name}: no plot option; {near_misses(name, known)}")
        if v_min is not None or v_max is not None:
            values["percentile"] = self._edited(v_min, v_max, limits)
        return replace(self, **values)

    def _edited(self, v_min: Any, v_max: Any, limits: Any) -> tuple[Any, Any]:
        now = self.percentile if isinstance(self.percentile, tuple) else limits
        if now is None and (v_min is None or v_max is None):
            raise InputError("limits: must be given (see limits_of) to change one of v_min and v_max")
        low, high = (None, None) if now is None else now
        return (low if v_min is None else v_min), (high if v_max is None else v_max)

    def limits_of(self, image: Any) -> Limits:
        """Return the limits of an image (whatever `display_limits` takes)."""
        return display_limits(image, self.percentile)

    def shades(self, data: Any, limits: Any) -> NDArray[np.float32]:
        """Return pixels as shades between 0 and 1 (see `rendered`)."""
        return rendered(data, limits, self.stretch, contrast=self.contrast, bias=self.bias)

    def levels_of(self, image: Any) -> NDArray[np.float64]:
        """Return the levels of the contours of an image, none where contours are off."""
        if not self.contour_visible:
            return np.empty(0)
        return contour_levels(image, self.contour_n, self.contour_percentile, levels=self.contour_levels)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; ``PlotOptions(**made)`` reads them back."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def mixed(several: Iterable[PlotOptions]) -> tuple[str, ...]:
    """Return the names of the settings that are not the same in all.

    Parameters
    ----------
    several : iterable of PlotOptions

    Returns
    -------
    tuple of str
        In the order of the fields; empty for none or one.
    """
    listed = list(several)
    return tuple(item.name for item in fields(PlotOptions) if len({getattr(one, item.name) for one in listed}) > 1)


def unified(several: Iterable[PlotOptions], **values: Any) -> list[PlotOptions]:
    """Return the settings of several layers with some of them set in all.

    Parameters
    ----------
    several : iterable of PlotOptions
    **values
        What `PlotOptions.changed` takes.

    Raises
    ------
    InputError
        As there; then nothing is changed anywhere.
    """
    return [one.changed(**values) for one in several]


def _check_colours(cmap: Any, colour: Any) -> None:
    if not isinstance(cmap, str) or not cmap.strip():
        raise InputError(f"Invalid colormap: cmap={cmap!r} must be the name of a colour map")
    if colour is not None and (not isinstance(colour, str) or not colour.strip()):
        raise InputError(f"colour={colour!r}: must be the name of a colour, or None")


def _is_real(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
