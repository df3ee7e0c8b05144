"""Noise per pixel from the parts that make it: sky, dark current, read-out, and the calibration frames themselves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ezarchive.errors import InputError

ASSUMED_BIAS_FRAMES = 9
"""How many frames a master bias is taken to hold where its header does not say."""


@dataclass(frozen=True, kw_only=True)
class Masters:
    """Master frames and what is known of them, in the stored unit.

    Attributes
    ----------
    bias : ndarray, shape (ny, nx)
        Master bias; only its scatter matters.
    dark : ndarray, shape (ny, nx)
        Master dark of the same exposure time, bias subtracted.
    flat : ndarray, shape (ny, nx)
        Master flat, near 1.
    flat_err : ndarray or float
        Error of the flat.
    bias_frames, dark_frames : int or None
        How many frames were combined; None for a header that does not say.
    """

    bias: np.ndarray
    dark: np.ndarray
    flat: np.ndarray
    flat_err: np.ndarray | float = 0.0
    bias_frames: int | None = None
    dark_frames: int | None = None


def propagated_rms(background: np.ndarray, masters: Masters, *, gain: float, read_noise: float | None = None) -> np.ndarray:
    """Propagate the noise of the sky through bias, dark and flat correction.

    Parameters
    ----------
    background : array, shape (ny, nx)
        Level of the sky on the calibrated frame, stored unit.
    masters : Masters
        The calibration frames that were applied.
    gain : float
        Electrons per stored unit.
    read_noise : float, optional
        In electrons; estimated from the scatter of the master bias otherwise.

    Returns
    -------
    ndarray of float32, shape (ny, nx)
        Noise per pixel, stored unit; NaN where the flat is not positive.

    Raises
    ------
    InputError
        If a shape or a number is wrong.

    Notes
    -----
    The raw frame holds ``B F + D`` of sky and dark signal (``B`` the background, ``F`` the flat, ``D`` the dark), so that after division
    by the flat ``variance = (B F + D) / (g F^2) + (R^2 + V_b + V_d) / F^2 + (B s_F / F)^2``: photon noise, read-out noise ``R``, and the
    noise of the master bias (``V_b``), dark (``V_d = R^2 / N_d + V_b``) and flat (``s_F``). ``V_b`` is the robust variance of the central
    ninth of the master bias (fixed pattern included), and ``R^2 = V_b N_b`` where no read noise is given.
    """
    background = np.asarray(background, np.float64)
    dark, flat = _shaped("dark", masters.dark, background.shape), _shaped("flat", masters.flat, background.shape)
    flat_err = masters.flat_err if np.ndim(masters.flat_err) == 0 else _shaped("flat_err", masters.flat_err, background.shape)
    if not (np.isfinite(gain) and gain > 0):
        raise InputError(f"gain: must be positive and finite (electrons per stored unit), found {gain}")
    if read_noise is not None and not (np.isfinite(read_noise) and read_noise >= 0):
        raise InputError(f"read_noise: must not be negative (electrons), found {read_noise}")
    bias_variance = central_variance(_shaped("bias", masters.bias, background.shape))
    bias_frames = ASSUMED_BIAS_FRAMES if masters.bias_frames is None else masters.bias_frames
    readout = bias_variance * bias_frames if read_noise is None else (read_noise / gain) ** 2
    dark_variance = readout / (masters.dark_frames or bias_frames) + bias_variance
    with np.errstate(divide="ignore", invalid="ignore"):
        flat = np.where(flat > 0, flat, np.nan)
        signal = np.maximum(background * flat + dark, 0.0)
        variance = (signal / gain + readout + bias_variance + dark_variance) / flat**2 + np.square(background * flat_err / flat)
    return np.sqrt(variance).astype(np.float32)


def central_variance(frame: np.ndarray) -> float:
    """Return the robust variance (from the median absolute deviation) of the central ninth of a frame."""
    ny, nx = frame.shape
    middle = frame[ny // 3 : max(2 * ny // 3, ny // 3 + 1), nx // 3 : max(2 * nx // 3, nx // 3 + 1)]
    middle = middle[np.isfinite(middle)]
    if not middle.size:
        raise InputError("bias: holds no finite pixel in its central ninth")
    return float((1.4826 * np.median(np.abs(middle - np.median(middle)))) ** 2)


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
    if not (np.isfinite(gain) and gain > 0):
        raise InputError(f"gain: must be positive and finite (electrons per stored unit), found {gain}")
    data = np.asarray(data)
    rms = np.asarray(sky_rms) if np.ndim(sky_rms) == 0 else _shaped("sky_rms", sky_rms, data.shape)
    return np.sqrt(np.square(rms, dtype=float) + np.maximum(data, 0.0) / gain).astype(np.float32)


def _shaped(name: str, frame: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    frame = np.asarray(frame, np.float64)
    if frame.shape != tuple(shape):
        raise InputError(f"{name}: must have the shape of the background {tuple(shape)}, found {frame.shape}")
    return frame
