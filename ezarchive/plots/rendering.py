"""From pixel values to colours and back: limits, contrast and bias, stretch; and the ticks of a colour bar."""

# ruff: noqa: PLC0415 - importing this module must not import matplotlib
from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ezarchive.errors import InputError
from ezarchive.plots.images import grey_limits

Floats = NDArray[np.float64]

_ASINH, _LOG = 0.1, 1000.0
CURVES: dict[str, tuple[Callable[[Floats], Floats], Callable[[Floats], Floats]]] = {
    "linear": (lambda y: y, lambda s: s),
    "sqrt": (np.sqrt, np.square),
    "arcsinh": (lambda y: np.arcsinh(y / _ASINH) / math.asinh(1 / _ASINH), lambda s: _ASINH * np.sinh(s * math.asinh(1 / _ASINH))),
    "log": (lambda y: np.log1p(_LOG * y) / math.log1p(_LOG), lambda s: np.expm1(s * math.log1p(_LOG)) / _LOG),
}
"""Stretches by name, each with its inverse, of 0 to 1."""

_SAMPLED = 1_000_000


@dataclass(frozen=True)
class Rendering:
    """How values become places on a colour map.

    Attributes
    ----------
    low, high : float
        The values at the ends.
    stretch : str
        A name of `CURVES`.
    contrast : float
        From 0; 1 changes nothing.
    bias : float
        Where the middle of the colours is on the way from `low` (0) to `high` (1); 0.5 changes nothing.

    Notes
    -----
    ``x = (value - low) / (high - low)`` clipped to 0..1, ``y = (x - bias) contrast + 0.5`` clipped to 0..1, then the stretch of y.
    """

    low: float
    high: float
    stretch: str = "linear"
    contrast: float = 1.0
    bias: float = 0.5

    def __post_init__(self) -> None:
        grey_limits(np.empty(0), (self.low, self.high))
        if self.stretch not in CURVES:
            raise InputError(f"Invalid stretch: stretch={self.stretch!r}: must be one of {', '.join(CURVES)}")
        for name, least, must in (("contrast", 0.0, "a number from 0"), ("bias", -math.inf, "a number")):
            value = getattr(self, name)
            good = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
            if not (good and math.isfinite(value) and value >= least):
                raise InputError(f"{name}={value!r}: must be {must}")

    def index(self, values: ArrayLike) -> Floats:
        """Return the places of values on the colour map, 0 to 1; NaN stays."""
        x = np.clip((np.asarray(values, float) - self.low) / (self.high - self.low), 0.0, 1.0)
        y = np.clip((x - self.bias) * self.contrast + 0.5, 0.0, 1.0)
        return CURVES[self.stretch][0](y)

    def value(self, index: ArrayLike) -> Floats:
        """Return the values at places on the colour map; NaN without contrast."""
        y = CURVES[self.stretch][1](np.clip(np.asarray(index, float), 0.0, 1.0))
        if self.contrast == 0:
            return np.full(y.shape, np.nan)
        return self.low + ((y - 0.5) / self.contrast + self.bias) * (self.high - self.low)

    @property
    def span(self) -> tuple[float, float]:
        """The part of the colour map in use: the places of `low` and `high`."""
        first, last = self.index([self.low, self.high])
        return float(first), float(last)


def limits_of(data: Any, limits: Any) -> tuple[float, float]:
    """Return the two values between which an image is drawn.

    Parameters
    ----------
    data : array_like (ny, nx)
        Those that are not finite do not count. Of more than a million pixels every second, third ... along each axis is taken, the
        same in each run.
    limits : number, str, pair, or with ``low`` and ``high``
        A percentage of the pixels, the middle ones (95: from 2.5 to 97.5 per cent); ``"minmax"``, ``"zscale"``; two values; or limits
        that were calculated, which may be the same or NaN.

    Returns
    -------
    low, high : float
        Apart, also where all pixels are the same.
    """
    if hasattr(limits, "low") and hasattr(limits, "high"):
        return _apart(float(limits.low), float(limits.high))
    if not isinstance(limits, str) and isinstance(limits, Iterable):
        return grey_limits(np.empty(0), tuple(limits))
    pixels = data[:: _every(data.shape), :: _every(data.shape)] if np.size(data) > _SAMPLED else data
    pixels = np.asarray(pixels, float)
    if isinstance(limits, str):
        return _apart(*grey_limits(pixels, limits))
    if isinstance(limits, bool) or not isinstance(limits, (int, float, np.number)) or not 0 < limits <= 100:
        raise InputError(f"limits={limits!r}: must be a percentage above 0 to 100, 'zscale', 'minmax' or two values")
    finite = pixels[np.isfinite(pixels)]
    if finite.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(finite, [(100.0 - limits) / 2, 100.0 - (100.0 - limits) / 2])
    return _apart(float(low), float(high))


def _every(shape: tuple[int, ...]) -> int:
    return math.ceil(math.sqrt(shape[0] * shape[1] / _SAMPLED))


def _apart(low: float, high: float) -> tuple[float, float]:
    if not math.isfinite(low + high):
        return 0.0, 1.0
    if low < high:
        return low, high
    half = abs(low) / 2 or 0.5
    return low - half, high + half


def bar_ticks(rendering: Rendering, number: int = 6) -> tuple[Floats, list[str]]:
    """Return round values for a colour bar, and their text.

    Parameters
    ----------
    rendering : Rendering
    number : int
        About how many.

    Returns
    -------
    values : ndarray
        Rising, each at another place on the colour map, about evenly over the part in use.
    texts : list of str
        All to the same or finer digits.
    """
    first, last = rendering.span
    if not last > first:
        return np.empty(0), []
    ends = rendering.value([first, last])
    if rendering.stretch == "linear":
        from matplotlib.ticker import MaxNLocator

        found = MaxNLocator(number, steps=[1, 2, 2.5, 5, 10]).tick_values(*ends)
    else:
        even = rendering.value(np.linspace(first, last, number + 1))
        gaps = np.minimum(np.diff(even, prepend=-np.inf), np.diff(even, append=np.inf))
        found = np.unique([_round(value, gap) for value, gap in zip(even, gaps, strict=True)])
    slack = 1e-9 * (ends[1] - ends[0])
    values = found[(found >= max(ends[0], rendering.low) - slack) & (found <= min(ends[1], rendering.high) + slack)]
    return values, [tick_text(value, values) for value in values]


def _round(value: float, gap: float) -> float:
    """Return a value to 1, 2 or 5 times a power of ten that is at most half of the gap to the next."""
    if not gap > 0:
        return value
    power = 10.0 ** math.floor(math.log10(gap / 2))
    step = max(factor * power for factor in (1, 2, 5) if factor * power <= gap / 2 * (1 + 1e-12))
    # By division where the step is below one: 3 * 0.1 is not 0.3.
    return round(value / step) * step if power >= 1 else round(value / step) / round(1 / power) * round(step / power)


def tick_text(value: float, values: Floats) -> str:
    """Return a tick's value with as few digits as tell it from its neighbours."""
    if value == 0:
        return "0"
    largest = float(np.abs(values).max())
    plain = 1e-4 <= largest < 1e6
    near = np.abs(values - value)
    closest = float(near[near > 0].min()) if (near > 0).any() else abs(value)
    for digits in range(1, 16):
        text = f"{value:.{digits}g}"
        if abs(float(text) - value) < 0.02 * closest:
            break
    number = float(text)
    if plain and abs(number) >= 1e-5:
        text = np.format_float_positional(number, trim="-")
    return text.replace("-", "\N{MINUS SIGN}")
