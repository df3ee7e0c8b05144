"""The pixels of one measurement: checked, native, contiguous, and with the bad ones out of the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ezarchive.errors import InputError, MeasurementError


@runtime_checkable
class Level(Protocol):
    """A level of the sky that is known everywhere, like ``images.background.MeshBackground``."""

    global_level: float

    def at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the level at 0-based pixel positions."""
        ...


@dataclass(frozen=True)
class Pixels:
    """Background-subtracted pixels ready for sep.

    Attributes
    ----------
    data : ndarray, shape (ny, nx)
        Native, C-contiguous float32 or float64; bad pixels are zero.
    noise : float or ndarray, shape (ny, nx)
        Noise of the sky per pixel (one standard deviation); zero in bad pixels.
    bad : ndarray of bool, shape (ny, nx), or None
        Pixels that hold no value: NaN or infinite, or without a valid noise. None where there is none.
    """

    data: np.ndarray
    noise: float | np.ndarray
    bad: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, columns."""
        return self.data.shape

    @property
    def has_map(self) -> bool:
        """Whether the noise is a map."""
        return isinstance(self.noise, np.ndarray)


def prepare(data: np.ndarray, noise: float | np.ndarray, *, scratch: bool = False) -> Pixels:
    """Check an image and its noise and make them fit for sep.

    Parameters
    ----------
    data : array, shape (ny, nx)
        Background-subtracted pixels, any real dtype and byte order; NaN and infinite pixels are bad.
    noise : float or array, shape (ny, nx)
        Noise of the sky per pixel; in a map, pixels that are not finite and positive are bad.
    scratch : bool
        Whether `data` may be written to: then bad pixels are zeroed in it rather than in a copy.

    Returns
    -------
    Pixels
        Nothing is copied where nothing must change.

    Raises
    ------
    InputError
        If shapes or types are wrong.
    MeasurementError
        ``no_valid_pixels`` if every pixel is bad, ``no_noise`` if the noise is not positive and finite.
    """
    values = as_float("data", data)
    sigma, bad_noise = _checked_noise(noise, values.shape)
    bad = bad_pixels(values)
    if bad_noise is not None:
        bad = bad_noise if bad is None else bad | bad_noise
    if bad is None:
        return Pixels(values, sigma)
    if bad.all():
        raise MeasurementError("no_valid_pixels", "data: holds no finite pixel with a valid noise; nothing can be measured")
    if not scratch and np.may_share_memory(values, data):
        values = values.copy()
    values[bad] = 0.0
    if isinstance(sigma, np.ndarray):
        sigma = np.where(bad, sigma.dtype.type(0), sigma)
    return Pixels(values, sigma, bad)


def as_float(name: str, data: Any) -> np.ndarray:
    """Return an array as native, C-contiguous float32 (float64 where float32 would lose digits).

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    data : array, shape (ny, nx)
        Any real dtype.

    Returns
    -------
    ndarray
        The array itself where it fits already.

    Raises
    ------
    InputError
        If it is not a 2-D array of real numbers, or is empty.
    """
    values = np.asarray(data)
    if values.ndim != 2 or values.size == 0:
        raise InputError(f"{name}: must be a 2-D array that is not empty, found shape {values.shape}")
    if values.dtype.kind not in "fiub":
        raise InputError(f"{name}: must hold real numbers, found dtype {values.dtype}")
    wide = values.dtype.itemsize > (4 if values.dtype.kind == "f" else 2)
    values = np.ascontiguousarray(values, dtype=np.float64 if wide else np.float32)
    # sep wants buffers that may be written to, though it never does.
    return values if values.flags.writeable else values.copy()


def as_mask(name: str, mask: Any, shape: tuple[int, int]) -> np.ndarray | None:
    """Return a mask (bool, or integer bits) of the shape of the image, None for None.

    Raises
    ------
    InputError
        If the shape or the type is wrong.
    """
    if mask is None:
        return None
    values = np.asarray(mask)
    if values.shape != tuple(shape):
        raise InputError(f"{name}: must have the shape of the image {tuple(shape)}, found {values.shape}")
    if values.dtype.kind not in "biu":
        raise InputError(f"{name}: must be bool (True is bad) or integer bits, found dtype {values.dtype}")
    return values


def bad_pixels(data: np.ndarray) -> np.ndarray | None:
    """Return where an array is NaN or infinite, None where it is nowhere so."""
    with np.errstate(over="ignore", invalid="ignore"):
        # One pass without a temporary array: a NaN or an infinity makes the sum one.
        if np.isfinite(data.sum()):
            return None
    bad = ~np.isfinite(data)
    return bad if bad.any() else None


def level_at(background: Level | float | np.ndarray | None, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the level of the sky at pixel positions; NaN where no background is given.

    Parameters
    ----------
    background : Level, float, array or None
        A model, a constant or a full map.
    x, y : ndarray
        0-based pixel positions; a map is read at the nearest pixel.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    if background is None:
        return np.full(x.shape, np.nan)
    if isinstance(background, Level):
        return background.at(x, y)
    level = np.asarray(background, float)
    if level.ndim == 0:
        return np.full(x.shape, float(level))
    rows, cols = (np.clip(np.rint(v).astype(np.int64), 0, n - 1) for v, n in zip((y, x), level.shape, strict=True))
    return level[rows, cols]


def global_level(background: Level | float | np.ndarray | None) -> float:
    """Return one number for the level of the sky: the model's own, the constant, or the median of a map."""
    if background is None:
        return float("nan")
    if isinstance(background, Level):
        return float(background.global_level)
    return float(np.median(background))


def noise_at(noise: float | np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the noise of the sky per pixel at pixel positions."""
    return level_at(noise, x, y)


def _checked_noise(noise: float | np.ndarray, shape: tuple[int, int]) -> tuple[float | np.ndarray, np.ndarray | None]:
    if np.ndim(noise) == 0:
        sigma = float(noise)
        if not np.isfinite(sigma) or sigma <= 0:
            raise MeasurementError("no_noise", f"noise: must be positive and finite, found {sigma}; a constant image has none")
        return sigma, None
    sigma_map = as_float("noise", noise)
    if sigma_map.shape != tuple(shape):
        raise InputError(f"noise: must be a number or have the shape of the image {tuple(shape)}, found {sigma_map.shape}")
    good = np.isfinite(sigma_map) & (sigma_map > 0)
    if not good.any():
        raise MeasurementError("no_noise", "noise: holds no positive, finite pixel")
    return sigma_map, None if good.all() else ~good
