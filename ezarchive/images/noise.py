"""Noise per pixel from the parts that make it: sky, dark current, read-out, and the calibration frames themselves.

Derivation
----------
Let ``B`` be the level on the calibrated frame, ``F`` the master flat, ``D`` the master dark, ``g`` the gain (electrons per stored unit)
and ``R`` the read noise of one exposure, all but ``g`` in the stored unit. The detector saw ``B F + D`` above its bias::

    raw        = bias + B F + D + noise             variance (B F + D) / g + R^2
    calibrated = (raw - master bias - master dark) / F

so that, with the noise of the masters,

``sigma^2 = B / (g F) + D / (g F^2) + R^2 / F^2 + k V_b / F^2 + V_d / F^2 + (B s_F / F)^2``

``V_b = R^2 / N_b`` is the noise of a master bias of ``N_b`` frames, ``V_d = (R^2 + D / g) / N_d`` that of a master dark of ``N_d`` frames,
``s_F`` the error of the flat. ``k`` counts how often the noise of a master bias enters: once if the bias of the darks was taken out
without noise of its own, not at all if it was the same master bias (it cancels), twice if it was another. Fixed pattern of bias and
dark is in the raw frame as well and goes away with them: it is no noise.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from ezarchive.errors import InputError
from ezarchive.images.background import MeshBackground
from ezarchive.images.fitsfile import strips, write_fits
from ezarchive.images.pixelmap import Level, PixelMap, Pixels, Slices, nearest_pixels, sample_rows

ASSUMED_BIAS_FRAMES = 9
"""How many frames a master bias is taken to hold where its header does not say."""


@dataclass(frozen=True, kw_only=True)
class Masters:
    """Master frames and what is known of them, in the stored unit.

    Attributes
    ----------
    bias : array of shape (ny, nx), or Image
        Master bias; only its scatter matters, and only where the read noise or ``bias_frames`` is not known.
    dark : array or Image
        Master dark of the same exposure time, bias subtracted.
    flat : array or Image
        Master flat, near 1.
    flat_err : array, Image or float
        Error of the flat.
    bias_frames, dark_frames : int or None
        How many frames were combined; None for a header that does not say.
    bias_terms : {0, 1, 2}
        How often the noise of a master bias enters (see the module): 0 where the darks were corrected by the same one.
    """

    bias: np.ndarray | Pixels
    dark: np.ndarray | Pixels
    flat: np.ndarray | Pixels
    flat_err: np.ndarray | Pixels | float = 0.0
    bias_frames: int | None = None
    dark_frames: int | None = None
    bias_terms: int = 1


class _NoiseMap:
    """What every lazy noise map does with its variance."""

    shape: tuple[int, int]

    def variance(self, slices: Slices | None = None) -> np.ndarray:
        raise NotImplementedError

    def rms(self, slices: Slices | None = None) -> np.ndarray:
        """Evaluate the noise per pixel.

        Parameters
        ----------
        slices : tuple of two slices, optional
            Rows and columns; the whole image by default.

        Returns
        -------
        ndarray of float32
            Stored unit; NaN where the variance is not known.
        """
        if slices is not None:
            return np.sqrt(self.variance(slices)).astype(np.float32)
        out = np.empty(self.shape, np.float32)
        for rows in strips(self.shape, 1 << 18):
            out[rows] = np.sqrt(self.variance((rows, slice(None))))
        return out

    def rms_at(self, x: Any, y: Any) -> np.ndarray:
        """Return the noise of the pixels nearest to 0-based positions; NaN off the image."""
        return nearest_pixels(self.shape, lambda rows: self.rms((rows, slice(None))), x, y)

    @cached_property
    def global_rms(self) -> float:
        """Median over a sample of rows."""
        found = np.concatenate([self.rms((rows, slice(None))).ravel() for rows in sample_rows(self.shape)])
        found = found[np.isfinite(found)]
        return float(np.median(found)) if found.size else float("nan")

    def to_fits(self, path: str | os.PathLike[str], header: fits.Header | None = None) -> Path:
        """Write the noise of all pixels as FITS, whole or not at all, with the cards of a header (WCS)."""
        return write_fits(path, self.shape, lambda rows: self.rms((rows, slice(None))), np.float32, header)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("a noise map is evaluated; an array of it is always a copy")
        return self.rms().astype(np.float32 if dtype is None else dtype, copy=False)


@dataclass(frozen=True, eq=False)
class PropagatedNoise(_NoiseMap):
    """Noise of the sky after bias, dark and flat correction, evaluated for the pixels that are asked for.

    It keeps the masters themselves, which may stay on disk, and a few numbers.

    Attributes
    ----------
    background : MeshBackground or PixelMap
        Level of the sky on the calibrated frame, stored unit.
    dark, flat : PixelMap
        The masters.
    flat_err : PixelMap or float
        Error of the flat.
    gain : float
        Electrons per stored unit.
    readout : float
        Variance ``R^2`` of one read-out, stored unit squared.
    bias_variance : float
        ``k V_b``, stored unit squared.
    dark_frames : float
        ``N_d``.
    frame_id : int or None
        The frame that it belongs to.
    """

    background: MeshBackground | PixelMap
    dark: PixelMap
    flat: PixelMap
    flat_err: PixelMap | float
    gain: float
    readout: float
    bias_variance: float
    dark_frames: float
    frame_id: int | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.background.shape

    def of_frame(self, frame_id: int | None) -> PropagatedNoise:
        """Return the same map, made known as that of a frame."""
        return replace(self, frame_id=frame_id)

    def variance(self, slices: Slices | None = None) -> np.ndarray:
        """Evaluate ``sigma^2`` of the module's formula, float64; NaN where the flat is not positive."""
        return self.variance_at_level(self.background.level(slices), slices)

    def variance_at_level(self, level: np.ndarray, slices: Slices | None = None) -> np.ndarray:
        """Evaluate it for another level of light than that of the sky (with sources, say) in the same pixels."""
        error = self.flat_err if isinstance(self.flat_err, float) else self.flat_err.level(slices)
        return self._combined(level, self.dark.level(slices), self.flat.level(slices), error)

    def rms_stamps(self, y0: np.ndarray, x0: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """Evaluate the noise on many stamps of one size, as of a `MeshBackground`; what it is beyond the image means nothing."""
        level, dark = (item.level_stamps(y0, x0, shape) for item in (self.background, self.dark))
        error = self.flat_err if isinstance(self.flat_err, float) else self.flat_err.level_stamps(y0, x0, shape)
        return np.sqrt(self._combined(level, dark, self.flat.level_stamps(y0, x0, shape, 1.0), error)).astype(np.float32)

    def _combined(self, level: np.ndarray, dark: np.ndarray, flat: np.ndarray, error: np.ndarray | float) -> np.ndarray:
        level, dark, flat = (np.asarray(item, np.float64) for item in (level, dark, flat))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            inverse = np.where(flat > 0, 1.0 / flat, np.nan)
            # Photons are counted, so that noise that makes a signal negative adds none.
            found = np.maximum(level * flat + dark, 0.0)
            found += np.maximum(dark, 0.0) / self.dark_frames
            found *= 1.0 / self.gain
            found += self.readout * (1.0 + 1.0 / self.dark_frames) + self.bias_variance
            if not (isinstance(error, float) and error == 0.0):
                found += np.square(level * error)
        return np.multiply(found, np.square(inverse), out=found)


@dataclass(frozen=True, eq=False)
class SourceNoise(_NoiseMap):
    """Noise of the sky and of the photons of the sources: ``sqrt(rms^2 + max(image - background, 0) / gain)``.

    Of a `PropagatedNoise`, its formula is evaluated at the brighter of sky and image instead, which treats flat and dark rightly.

    Attributes
    ----------
    image : PixelMap
        The frame, background not subtracted.
    background : MeshBackground or PixelMap
        Its sky.
    sky : MeshBackground, PixelMap or PropagatedNoise
        Noise of the sky.
    gain : float
        Electrons per stored unit.
    frame_id : int or None
        The frame that it belongs to.
    """

    image: PixelMap
    background: MeshBackground | PixelMap
    sky: MeshBackground | PixelMap | PropagatedNoise
    gain: float
    frame_id: int | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.image.shape

    def of_frame(self, frame_id: int | None) -> SourceNoise:
        """Return the same map, made known as that of a frame."""
        return replace(self, frame_id=frame_id)

    def variance(self, slices: Slices | None = None) -> np.ndarray:
        """Evaluate the variance per pixel, float64."""
        data, level = (np.asarray(item.level(slices), np.float64) for item in (self.image, self.background))
        if isinstance(self.sky, PropagatedNoise):
            return self.sky.variance_at_level(np.maximum(data, level), slices)
        return np.square(self.sky.rms(slices), dtype=float) + np.maximum(data - level, 0.0) / self.gain


def propagated_noise(
    background: Any, masters: Masters, *, gain: float, read_noise: float | None = None, frame_id: int | None = None
) -> PropagatedNoise:
    """Propagate the noise of the sky through bias, dark and flat correction.

    Parameters
    ----------
    background : MeshBackground, PixelMap, Image, array of shape (ny, nx)
        Level of the sky on the calibrated frame, stored unit.
    masters : Masters
        The calibration frames that were applied. Images of files stay on disk.
    gain : float
        Electrons per stored unit.
    read_noise : float, optional
        Of one exposure as it is, in electrons; estimated from the scatter of the master bias otherwise.
    frame_id : int, optional
        The frame of an archive that it belongs to.

    Returns
    -------
    PropagatedNoise
        ``.rms(slices)``, in the stored unit; NaN where the flat is not positive.

    Raises
    ------
    InputError
        If a shape or a number is wrong.

    Notes
    -----
    The formula is derived in the module. With read noise and ``bias_frames`` known, ``V_b = R^2 / N_b``. Otherwise ``V_b`` is measured
    (`bias_scatter`), and ``R^2 = N_b V_b``, with `ASSUMED_BIAS_FRAMES` where the number is not known either. A master dark whose
    number is not known is taken to hold as many frames as the bias.
    """
    background = as_level("background", background)
    shape = background.shape
    dark, flat = (_shaped(name, getattr(masters, name), shape) for name in ("dark", "flat"))
    flat_err = float(masters.flat_err) if np.ndim(masters.flat_err) == 0 and not hasattr(masters.flat_err, "cut") else None
    _check_numbers(gain, read_noise, masters.bias_terms)
    bias, bias_frames = _shaped("bias", masters.bias, shape), masters.bias_frames or ASSUMED_BIAS_FRAMES
    if read_noise is None:
        scatter = bias_scatter(bias)
        readout = scatter * bias_frames
    else:
        readout = (float(read_noise) / gain) ** 2
        scatter = readout / bias_frames if masters.bias_frames else min(bias_scatter(bias), readout)
    return PropagatedNoise(
        background, dark, flat, _shaped("flat_err", masters.flat_err, shape) if flat_err is None else flat_err,
        float(gain), readout, masters.bias_terms * scatter, float(masters.dark_frames or bias_frames), frame_id,
    )  # fmt: skip


def propagated_rms(background: Any, masters: Masters, *, gain: float, read_noise: float | None = None) -> np.ndarray:
    """Return the whole map of `propagated_noise`, float32."""
    return propagated_noise(background, masters, gain=gain, read_noise=read_noise).rms()


def bias_scatter(bias: Level | np.ndarray) -> float:
    """Return the robust variance of the noise in the central ninth of a master bias.

    Parameters
    ----------
    bias : array of shape (ny, nx), or PixelMap
        The master bias.

    Returns
    -------
    float
        The least of the variances of the pixels and of half the differences between neighbours along x and along y, each from the median
        absolute deviation: gradients, and patterns of rows or of columns, are no noise.

    Raises
    ------
    InputError
        If no pixel there is finite.
    """
    ny, nx = bias.shape
    middle = (slice(ny // 3, max(2 * ny // 3, ny // 3 + 1)), slice(nx // 3, max(2 * nx // 3, nx // 3 + 1)))
    pixels = np.asarray(bias[middle] if isinstance(bias, np.ndarray) else bias.level(middle), np.float64)
    samples = [(pixels, 1.0), (pixels[1:] - pixels[:-1], 0.5), (pixels[:, 1:] - pixels[:, :-1], 0.5)]
    found = [factor * _robust_variance(sample) for sample, factor in samples]
    if np.isnan(found).all():
        raise InputError("bias: holds no finite pixel in its central ninth")
    return float(np.nanmin(found))


def source_noise(image: Any, background: Any, sky: Any, gain: float, *, frame_id: int | None = None) -> SourceNoise:
    """Add the photon noise of the sources to the noise of the sky, lazily.

    Parameters
    ----------
    image : Image, PixelMap or array of shape (ny, nx)
        The frame, background not subtracted.
    background : MeshBackground, PixelMap, Image or array
        Its sky.
    sky : MeshBackground, PixelMap, PropagatedNoise, Image or array
        Noise of the sky per pixel.
    gain : float
        Electrons per stored unit.
    frame_id : int, optional
        The frame of an archive that it belongs to.

    Raises
    ------
    InputError
        If a shape or the gain is wrong.
    """
    _check_numbers(gain, None, 1)
    pixels = as_level("image", image)
    level = as_level("background", background)
    noise = sky if isinstance(sky, (MeshBackground, PixelMap, PropagatedNoise)) else PixelMap(sky, "rms")
    for name, item in (("background", level), ("sky", noise)):
        if item.shape != pixels.shape:
            raise InputError(f"{name}: must have the shape of the image {pixels.shape}, found {item.shape}")
    return SourceNoise(pixels, level, noise, float(gain), frame_id)


def source_rms(sky_rms: np.ndarray, data: np.ndarray, gain: float) -> np.ndarray:
    """Add the photon noise of the sources to the noise of the sky: ``sqrt(rms^2 + max(data, 0) / gain)``.

    Parameters
    ----------
    sky_rms : array, shape (ny, nx)
        Noise of the sky per pixel, stored unit.
    data : array, shape (ny, nx)
        Background-subtracted image.
    gain : float
        Electrons per stored unit.
    """
    _check_numbers(gain, None, 1)
    data, rms = np.asarray(data), np.asarray(sky_rms)
    if rms.ndim and rms.shape != data.shape:
        raise InputError(f"sky_rms: must have the shape of the image {data.shape}, found {rms.shape}")
    return np.sqrt(np.square(rms, dtype=float) + np.maximum(data, 0.0) / gain).astype(np.float32)


def as_level(name: str, given: Any) -> Any:
    """Return what gives a level everywhere: a mesh or `PixelMap` as it is, an image or array of pixels as a `PixelMap`."""
    if isinstance(given, np.ndarray) or hasattr(given, "cut"):
        return PixelMap(given, "background")
    if not (hasattr(given, "level") and hasattr(given, "shape")):
        raise InputError(f"{name}: must be a background, an image or an array, found {type(given).__name__}")
    return given


def _shaped(name: str, frame: Any, shape: tuple[int, int]) -> PixelMap:
    pixels = as_level(name, frame)
    if pixels.shape != tuple(shape):
        raise InputError(f"{name}: must have the shape of the background {tuple(shape)}, found {pixels.shape}")
    return pixels


def _check_numbers(gain: float, read_noise: float | None, bias_terms: int) -> None:
    if not (np.isfinite(gain) and gain > 0):
        raise InputError(f"gain: must be positive and finite (electrons per stored unit), found {gain}")
    if read_noise is not None and not (np.isfinite(read_noise) and read_noise >= 0):
        raise InputError(f"read_noise: must not be negative (electrons), found {read_noise}")
    if bias_terms not in (0, 1, 2):
        raise InputError(f"bias_terms: must be 0, 1 or 2, found {bias_terms}")


def _robust_variance(values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float((1.4826 * np.median(np.abs(values - np.median(values)))) ** 2) if values.size else float("nan")
