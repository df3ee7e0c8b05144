"""From pixels to shades between 0 and 1: limits, then contrast and bias, then a stretch; and back, for colour bars."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ezarchive.errors import InputError

__all__ = ["STRETCHES", "contrast_bias", "drag_contrast_bias", "rendered", "stretch", "unrendered"]

_ARCSINH, _LOG = 0.1, 1000.0
"""Where arcsinh goes from linear to logarithmic, and the factor of log."""

_ARCSINH_1, _LOG_1 = np.arcsinh(1.0 / _ARCSINH), np.log(_LOG + 1.0)
"""What they make of 1, before it is made 1."""

_CONTRAST, _BIAS = (0.0, 4.0), (0.0, 1.0)
"""Ranges."""

_PIXELS = 1 << 20
"""Of a strip of rows, about."""

Floats = NDArray[np.float64]

_FORWARD: dict[str, Callable[[Floats], Floats]] = {
    "linear": lambda x: x,
    "sqrt": np.sqrt,
    "arcsinh": lambda x: np.arcsinh(x / _ARCSINH) / _ARCSINH_1,
    "log": lambda x: np.log(_LOG * x + 1.0) / _LOG_1,
}
_INVERSE: dict[str, Callable[[Floats], Floats]] = {
    "linear": lambda y: y,
    "sqrt": np.square,
    "arcsinh": lambda y: np.sinh(y * _ARCSINH_1) / np.sinh(_ARCSINH_1),
    "log": lambda y: np.expm1(y * _LOG_1) / np.expm1(_LOG_1),
}

STRETCHES = tuple(_FORWARD)
"""The names of the stretches."""


def stretch(values: ArrayLike, name: str = "linear", *, inverse: bool = False) -> Floats:
    """Return values between 0 and 1, stretched: 0 stays 0 and 1 stays 1.

    Parameters
    ----------
    values : array_like
        What lies outside 0 to 1 is set to the nearer of them; NaN stays NaN.
    name : {'linear', 'sqrt', 'arcsinh', 'log'}
        x; sqrt(x); asinh(x / 0.1) / asinh(10); ln(1000 x + 1) / ln(1001).
    inverse : bool
        From stretched values back.

    Returns
    -------
    ndarray
        An array of its own, shape of `values`.

    Raises
    ------
    InputError
        If there is no such stretch: "Invalid stretch".
    """
    checked = checked_stretch(name)
    x = np.clip(np.asarray(values, np.float64), 0.0, 1.0)
    # Rounding may leave 0 to 1 by an ulp.
    return np.clip((_INVERSE if inverse else _FORWARD)[checked](x), 0.0, 1.0)


def contrast_bias(values: ArrayLike, contrast: float = 1.0, bias: float = 0.5, *, inverse: bool = False) -> Floats:
    """Return (x - bias) contrast + 0.5, set to 0 or 1 outside of them.

    Parameters
    ----------
    values : array_like
        Between 0 and 1; NaN stays NaN.
    contrast : float
        From 0 to 4; 1 with a bias of 0.5 changes nothing.
    bias : float
        From 0 to 1: the value that becomes 0.5.
    inverse : bool
        The value x that gives such a shade; not set to 0 or 1.

    Returns
    -------
    ndarray
        An array of its own, shape of `values`.

    Raises
    ------
    InputError
        If a number is not in its range, or the inverse of contrast 0 is asked for.
    """
    slope, middle = checked_contrast_bias(contrast, bias)
    x = np.asarray(values, np.float64)
    if not inverse:
        return np.clip((x - middle) * slope + 0.5, 0.0, 1.0)
    if slope == 0.0:
        raise InputError("contrast=0: all values have one shade; must be above 0 to find the values of shades")
    return (x - 0.5) / slope + middle


def drag_contrast_bias(x: float, y: float, width: float, height: float) -> tuple[float, float]:
    """Return the contrast and bias that a mouse means that is dragged over an image.

    Parameters
    ----------
    x, y : float
        Pixels of the screen from the left and from the top; what lies outside counts as at the edge.
    width, height : float
        Pixels of the view, above 1.

    Returns
    -------
    contrast : float
        4 (1 - y / (height - 1)).
    bias : float
        x / (width - 1).

    Raises
    ------
    InputError
        If a number is not finite, or a size not above 1.
    """
    for value, name in ((x, "x"), (y, "y"), (width, "width"), (height, "height")):
        _finite(value, name)
    for value, name in ((width, "width"), (height, "height")):
        if value <= 1:
            raise InputError(f"{name}={value!r}: must be above 1")
    across, down = (min(max(float(at) / (float(size) - 1.0), 0.0), 1.0) for at, size in ((x, width), (y, height)))
    return _CONTRAST[1] * (1.0 - down), across


def rendered(
    data: ArrayLike, limits: Iterable[float] = (0.0, 1.0), name: str = "linear", *, contrast: float = 1.0, bias: float = 0.5
) -> NDArray[np.float32]:
    """Return pixels as shades between 0 and 1, to be given to a colour map.

    Parameters
    ----------
    data : array_like
        Pixels.
    limits : Limits or pair of floats
        What becomes 0 and 1 (see `display_limits`). Where the two are equal, only what lies above is 1. If one is NaN, so are all shades.
    name : {'linear', 'sqrt', 'arcsinh', 'log'}
        See `stretch`.
    contrast, bias : float
        See `contrast_bias`; they come before the stretch.

    Returns
    -------
    ndarray of float32
        Shape of `data`, within 2**-24 of the exact shades; NaN where `data` is.

    Raises
    ------
    InputError
        If an argument is not as it must be.

    Examples
    --------
    >>> rendered([0.0, 25.0, 100.0, 200.0], (0, 100), "sqrt").tolist()
    [0.0, 0.5, 1.0, 1.0]
    """
    values, (low, high) = np.asarray(data), checked_limits(limits)
    checked_stretch(name), checked_contrast_bias(contrast, bias)
    if values.dtype.kind not in "biuf":
        raise InputError(f"data: must be real numbers, found {values.dtype}")
    out = np.empty(values.shape, np.float32)
    step = max(1, _PIXELS // max(1, math.prod(values.shape[1:]))) if values.ndim else 1
    for first in range(0, len(values), step) if values.ndim else [...]:
        part = slice(first, first + step) if values.ndim else ...
        shade = contrast_bias(_scaled(values[part], low, high), contrast, bias)
        out[part] = stretch(shade, name)
    return out


def unrendered(
    shades: ArrayLike, limits: Iterable[float] = (0.0, 1.0), name: str = "linear", *, contrast: float = 1.0, bias: float = 0.5
) -> Floats:
    """Return the pixels that `rendered` shows in some shades: the ticks of a colour bar.

    Parameters
    ----------
    shades : array_like
        Between 0 and 1.
    limits, name, contrast, bias
        As of `rendered`.

    Returns
    -------
    ndarray
        Shape of `shades`. Contrast and bias can make them leave the limits, where the shades do not occur in the picture.

    Raises
    ------
    InputError
        If an argument is not as it must be, or contrast is 0.
    """
    low, high = checked_limits(limits)
    x = contrast_bias(stretch(shades, name, inverse=True), contrast, bias, inverse=True)
    step = high - low
    return low + x * step if math.isfinite(step) else low * (1.0 - x) + high * x


def checked_limits(limits: Any) -> tuple[float, float]:
    """Return two limits as floats; NaN stands for an image without finite pixels.

    Raises
    ------
    InputError
        If they are not two numbers, the first not above the second: "Invalid cut levels".
    """
    try:
        low, high = (float(value) for value in limits)
    except (TypeError, ValueError) as err:
        raise InputError(f"Invalid cut levels: limits={limits!r} must be two numbers") from err
    if low > high or math.isinf(low) or math.isinf(high):
        raise InputError(f"Invalid cut levels: limits={limits!r} must be finite, the first not above the second")
    return low, high


def _scaled(values: NDArray[Any], low: float, high: float) -> Floats:
    """Return where pixels lie between the limits, 0 to 1."""
    x = values.astype(np.float64)
    if low == high:
        return np.where(np.isnan(x), np.nan, x > high)
    half = 1.0 if math.isfinite(high - low) else 0.5
    with np.errstate(invalid="ignore", over="ignore"):
        return np.clip((x * half - low * half) / (high * half - low * half), 0.0, 1.0)


def checked_stretch(name: Any) -> str:
    """Return the name of a stretch.

    Raises
    ------
    InputError
        If there is none of it: "Invalid stretch".
    """
    if not isinstance(name, str) or name not in _FORWARD:
        raise InputError(f"Invalid stretch: {name!r} must be one of {', '.join(_FORWARD)}")
    return name


def checked_contrast_bias(contrast: Any, bias: Any) -> tuple[float, float]:
    """Return contrast and bias as floats.

    Raises
    ------
    InputError
        If one is no number, or not in its range.
    """
    return _ranged(contrast, "contrast", _CONTRAST), _ranged(bias, "bias", _BIAS)


def _finite(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise InputError(f"{name}={value!r}: must be a finite number")
    return float(value)


def _ranged(value: Any, name: str, ends: tuple[float, float]) -> float:
    number = _finite(value, name)
    if not ends[0] <= number <= ends[1]:
        raise InputError(f"{name}={value!r}: must be from {ends[0]:g} to {ends[1]:g}")
    return number
