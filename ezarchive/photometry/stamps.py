"""Pixels around positions: stamps of one size, stacked on each other so that one call sums an aperture on all of them.

Only the pixels around the positions are ever read: from an array, from a file through anything with `cut` (``images.image.Image``), from a
background model that is evaluated where it is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ezarchive.errors import InputError

STACK_PIXELS = 1 << 20
"""Pixels that are stacked at once."""

_FRACTIONS = 2.0**30

LAYERS = ("MASKED", "NOT_FINITE", "SATURATED", "NEIGHBOUR")
"""Names of the flags that come from pixels."""


@runtime_checkable
class Cutouts(Protocol):
    """An image of which rectangles can be had, like ``images.image.Image``."""

    shape: tuple[int, int]

    def cut(self, rows: slice, cols: slice) -> np.ndarray:
        """Return the pixels of some rows and columns (steps of 1), as native numbers."""
        ...


@dataclass(frozen=True)
class ArrayCutouts:
    """An array of any real dtype and byte order, mapped from a file or not, as `Cutouts`."""

    array: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, columns."""
        return self.array.shape

    def cut(self, rows: slice, cols: slice) -> np.ndarray:
        """Return a view of a rectangle."""
        return self.array[rows, cols]


@dataclass(frozen=True)
class _ModelCutouts:
    """A model that gives its values for slices, as `Cutouts`; ``many`` gives those of many stamps at once."""

    shape: tuple[int, int]
    ask: Callable[[tuple[slice, slice]], np.ndarray]
    many: Callable[[np.ndarray, np.ndarray, tuple[int, int]], np.ndarray] | None = None

    def cut(self, rows: slice, cols: slice) -> np.ndarray:
        return self.ask((rows, cols))


@dataclass(frozen=True)
class Scene:
    """An image and what is known of its pixels.

    Attributes
    ----------
    data : Cutouts
        The image.
    background, noise : Cutouts, float or None
        Level of the sky that is to be subtracted, and noise of the sky, per pixel.
    mask : Cutouts or None
        Not zero: the pixel is left out.
    segmap : Cutouts or None
        Number of the source that a pixel belongs to, 0 for none.
    satur_level : float or None
        Level from which the pixels of `data` are saturated.
    """

    data: Cutouts
    background: Cutouts | float | None = None
    noise: Cutouts | float | None = None
    mask: Cutouts | None = None
    segmap: Cutouts | None = None
    satur_level: float | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, columns."""
        return tuple(self.data.shape)


@dataclass(frozen=True)
class Stamps:
    """Stamps of the same size, stacked along y.

    Attributes
    ----------
    data : ndarray, shape (n, h, w)
        Pixels less the background; 0 where they are left out.
    noise : ndarray of that shape, float or None
        Noise of the sky per pixel; 0 where pixels are left out.
    out : ndarray of bool, shape (n, h, w)
        Pixels that are left out: off the image, masked, or without a value.
    layers : dict of str to ndarray of bool, shape (n, h, w)
        Pixels of each kind in `LAYERS` that there are any of.
    sources : ndarray of bool, or None
        Pixels of any source; None without a segmentation map.
    x, y : ndarray, shape (n,)
        The positions in the stack ``data.reshape(n * h, w)``.
    sky, sigma : ndarray, shape (n,)
        Level that was subtracted and noise per pixel at the pixels nearest to the positions; NaN off the image and where there is none.
    """

    data: np.ndarray
    noise: np.ndarray | float | None
    out: np.ndarray
    layers: dict[str, np.ndarray]
    sources: np.ndarray | None
    x: np.ndarray
    y: np.ndarray
    sky: np.ndarray
    sigma: np.ndarray

    def has(self, layer: np.ndarray) -> np.ndarray:
        """Return which of the stamps hold any pixel of a layer."""
        return layer.any(axis=(1, 2))

    def plane(self, stack: np.ndarray) -> np.ndarray:
        """Return a stack as one image."""
        return stack.reshape(-1, stack.shape[2])


def as_cutouts(name: str, given: Any, kinds: str = "fiub") -> Cutouts:
    """Return an image as `Cutouts`.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    given : array of shape (ny, nx), or Cutouts
    kinds : str
        Kinds of dtype that an array may have.

    Raises
    ------
    InputError
        If it is neither, or is empty.
    """
    if not isinstance(given, np.ndarray) and hasattr(given, "cut") and hasattr(given, "shape"):
        return given
    array = np.asarray(given)
    if array.ndim != 2 or array.size == 0:
        raise InputError(f"{name}: must be a 2-D array that is not empty, or have a method cut(rows, cols), found shape {array.shape}")
    if array.dtype.kind not in kinds:
        wanted = "bool (True is bad) or integers" if kinds == "biu" else "real numbers"
        raise InputError(f"{name}: must hold {wanted}, found dtype {array.dtype}")
    return ArrayCutouts(array)


def as_level(name: str, given: Any, kind: str, shape: tuple[int, int]) -> Cutouts | float | None:
    """Return a level or a noise as a number or as `Cutouts`.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    given : None, float, array, Cutouts, or a model
        A model has a method called `kind` that takes two slices, like ``images.background.MeshBackground``.
    kind : {"level", "rms"}
    shape : tuple of two ints
        The shape it must have.

    Raises
    ------
    InputError
        If it is none of these, not finite, or of another shape.
    """
    if given is None:
        return None
    ask = getattr(given, kind, None)
    if callable(ask):
        found: Cutouts = _ModelCutouts(tuple(given.shape), ask, getattr(given, f"{kind}_stamps", None))
    elif not hasattr(given, "cut") and np.ndim(given) == 0:
        return _number(name, given, kind)
    else:
        found = as_cutouts(name, given)
    if tuple(found.shape) != tuple(shape):
        raise InputError(f"{name}: must be a number or have the shape of the image {tuple(shape)}, found {tuple(found.shape)}")
    return found


def as_layer(name: str, given: Any, shape: tuple[int, int]) -> Cutouts | None:
    """Return a mask or a segmentation map as `Cutouts`, None for None.

    Raises
    ------
    InputError
        If it is no array of bool or integers, or of another shape.
    """
    if given is None:
        return None
    found = as_cutouts(name, given, "biu")
    if tuple(found.shape) != tuple(shape):
        raise InputError(f"{name}: must have the shape of the image {tuple(shape)}, found {tuple(found.shape)}")
    return found


def stacked(scene: Scene, x: np.ndarray, y: np.ndarray, half: tuple[int, int]) -> Stamps:
    """Cut a stamp around each position.

    Parameters
    ----------
    scene : Scene
    x, y : ndarray, shape (n,)
        0-based pixels.
    half : tuple of two ints
        Pixels on either side of the central one, along y and along x. Stamps go on beyond the edges of the image, with pixels that are
        left out; those that are larger than the image are cut to it, and must come one at a time (`chunks`).

    Returns
    -------
    Stamps
    """
    # To a billionth of a pixel, so that a place in the stack is exact and sums do not depend on it.
    x, y = (np.rint(at * _FRACTIONS) / _FRACTIONS for at in (x, y))
    (y0, h), (x0, w) = (_windows(p, r, size) for p, r, size in zip((y, x), half, scene.shape, strict=True))
    raw = _stack(scene.data, y0, x0, (h, w), None)
    inside = _inside(y0, h, scene.shape[0])[:, :, None] & _inside(x0, w, scene.shape[1])[:, None, :]
    layers: dict[str, np.ndarray] = {}
    if scene.satur_level is not None:
        with np.errstate(invalid="ignore"):
            layers["SATURATED"] = (raw >= scene.satur_level) & (raw < np.inf) & inside
    level, noise = (one if one is None or isinstance(one, float) else _stack(one, y0, x0, (h, w), np.float32)
                    for one in (scene.background, scene.noise))  # fmt: skip
    if level is not None:
        raw -= raw.dtype.type(level) if isinstance(level, float) else level
    bad = ~np.isfinite(raw)
    if isinstance(noise, np.ndarray):
        with np.errstate(invalid="ignore"):
            bad |= ~(np.isfinite(noise) & (noise > 0))
    bad &= inside
    out = ~inside | bad
    layers["NOT_FINITE"] = bad
    if scene.mask is not None:
        layers["MASKED"] = (_stack(scene.mask, y0, x0, (h, w), np.int64) != 0) & inside
        out |= layers["MASKED"]
    row, col = np.rint(y).astype(np.int64) - y0, np.rint(x).astype(np.int64) - x0
    sources = _sources(scene, row, col, y0, x0, (h, w), layers)
    sky, sigma = (_at(one, row, col, inside) for one in (level, noise))
    raw[out] = 0.0
    if isinstance(noise, np.ndarray):
        noise[out] = 0.0
    layers = {name: layer for name, layer in layers.items() if layer.any()}
    return Stamps(raw, noise, out, layers, sources, x - x0, y - y0 + np.arange(len(y)) * h, sky, sigma)


def chunks(shape: tuple[int, int], y: np.ndarray, half: tuple[int, int]) -> list[np.ndarray]:
    """Return the indices of positions in portions whose stamps fit in memory, from the first rows of the image to the last."""
    order = np.argsort(y, kind="stable")
    whole = 2 * half[0] + 1 >= shape[0]
    step = 1 if whole else max(STACK_PIXELS // ((2 * half[0] + 1) * min(2 * half[1] + 1, shape[1])), 1)
    return [order[first : first + step] for first in range(0, len(order), step)]


def _number(name: str, given: Any, kind: str) -> float:
    try:
        value = float(given)
    except (TypeError, ValueError) as err:
        raise InputError(f"{name}: must be a number, an array, or have a method {kind}(slices), found {type(given).__name__}") from err
    if not np.isfinite(value) or (kind == "rms" and value <= 0):
        raise InputError(f"{name}: must be finite{' and positive' if kind == 'rms' else ''}, found {value}")
    return value


def _windows(at: np.ndarray, half: int, size: int) -> tuple[np.ndarray, int]:
    """Return the first pixels of windows along one axis, and their length."""
    if 2 * half + 1 >= size:
        return np.zeros(len(at), np.int64), size
    return np.rint(at).astype(np.int64) - half, 2 * half + 1


def _inside(first: np.ndarray, length: int, size: int) -> np.ndarray:
    pixel = first[:, None] + np.arange(length)
    return (pixel >= 0) & (pixel < size)


def _stack(layer: Cutouts, y0: np.ndarray, x0: np.ndarray, shape: tuple[int, int], dtype: Any) -> np.ndarray:
    """Return the stamps of one layer; 0 off the image."""
    many = getattr(layer, "many", None)
    if many is not None:
        return many(y0, x0, shape)
    (h, w), (ny, nx) = shape, layer.shape
    out: np.ndarray | None = None
    for i, (row, col) in enumerate(zip(y0.tolist(), x0.tolist(), strict=True)):
        top, left = max(row, 0), max(col, 0)
        part = layer.cut(slice(top, max(min(row + h, ny), top)), slice(left, max(min(col + w, nx), left)))
        if out is None:
            out = np.zeros((len(y0), h, w), _float_type(part.dtype) if dtype is None else dtype)
        out[i, top - row : top - row + part.shape[0], left - col : left - col + part.shape[1]] = part
    return np.zeros((0, h, w), np.float32 if dtype is None else dtype) if out is None else out


def _float_type(dtype: np.dtype) -> np.dtype:
    wide = dtype.itemsize > (4 if dtype.kind == "f" else 2)
    return np.dtype(np.float64 if wide else np.float32)


def _sources(
    scene: Scene, row: np.ndarray, col: np.ndarray, y0: np.ndarray, x0: np.ndarray, shape: tuple[int, int], layers: dict[str, np.ndarray]
) -> np.ndarray | None:
    """Return which pixels belong to any source, and add the layer of those that belong to another than the one at the position."""
    if scene.segmap is None:
        return None
    number = _stack(scene.segmap, y0, x0, shape, np.int64)
    own = number[np.arange(len(row)), np.clip(row, 0, shape[0] - 1), np.clip(col, 0, shape[1] - 1)]
    layers["NEIGHBOUR"] = (number != 0) & (number != own[:, None, None])
    return number != 0


def _at(stack: np.ndarray | float | None, row: np.ndarray, col: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return the values of a stack at one pixel of each stamp."""
    n, h, w = inside.shape
    if stack is None:
        return np.full(n, np.nan)
    known = (row >= 0) & (row < h) & (col >= 0) & (col < w)
    place = np.arange(n), np.clip(row, 0, h - 1), np.clip(col, 0, w - 1)
    return np.where(known & inside[place], stack[place] if isinstance(stack, np.ndarray) else stack, np.nan)
