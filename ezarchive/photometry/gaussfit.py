"""Least-squares fits of two-dimensional Gaussians to many sources at once."""

from __future__ import annotations

import numpy as np

STAMP = 25
"""Side of the square of pixels that a Gaussian is fitted to."""

FWHM_PER_SIGMA = 2.3548200450309493

_BATCH = 512
_MOST_STEPS = 50
_DONE = 1e-8
_FEWEST_PIXELS = 7


def gaussian_fwhm(data: np.ndarray, x: np.ndarray, y: np.ndarray, sigma: np.ndarray, left_out: np.ndarray) -> np.ndarray:
    """Fit an elliptical Gaussian to the square of 25 x 25 pixels around each source and return its FWHM.

    Parameters
    ----------
    data : ndarray, shape (ny, nx)
        Background-subtracted pixels.
    x, y : ndarray, shape (n,)
        Positions to start from, 0-based pixels.
    sigma : ndarray, shape (n,)
        Standard deviations to start from, pixels.
    left_out : ndarray of int, shape (ny, nx)
        Pixels left out: negative for all sources, ``i + 1`` for all but source i; 0 for none.

    Returns
    -------
    ndarray, shape (n,)
        2.3548 times the geometric mean of both standard deviations, pixels; NaN where the fit does not converge or ends off the square.

    Notes
    -----
    Amplitude, centre and the three elements of the inverse covariance are free, the level is zero (Levenberg-Marquardt, all pixels of
    equal weight).
    """
    out = np.full(len(x), np.nan)
    good = np.flatnonzero(np.isfinite(x) & np.isfinite(y) & np.isfinite(sigma) & (sigma > 0))
    for first in range(0, len(good), _BATCH):
        index = good[first : first + _BATCH]
        out[index] = _fit(*_stamps(data, x[index], y[index], index + 1, left_out), sigma[index])
    return out


def _stamps(
    data: np.ndarray, x: np.ndarray, y: np.ndarray, number: np.ndarray, left_out: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return pixels and weights, shape (n, pixels), and the offsets of the pixels from the positions."""
    ny, nx = data.shape
    step = np.arange(STAMP) - STAMP // 2
    rows, cols = np.rint(y).astype(np.int64)[:, None] + step, np.rint(x).astype(np.int64)[:, None] + step
    inside = ((rows >= 0) & (rows < ny))[:, :, None] & ((cols >= 0) & (cols < nx))[:, None, :]
    where = np.clip(rows, 0, ny - 1)[:, :, None], np.clip(cols, 0, nx - 1)[:, None, :]
    owner = left_out[where]
    weight = inside & ((owner == 0) | (owner == number[:, None, None]))
    n = len(x)
    dx, dy = (np.broadcast_to(v, weight.shape).reshape(n, -1) for v in ((cols - x[:, None])[:, None, :], (rows - y[:, None])[:, :, None]))
    return np.where(weight, data[where], 0.0).reshape(n, -1).astype(float), weight.reshape(n, -1).astype(float), dx, dy


def _fit(values: np.ndarray, weight: np.ndarray, dx: np.ndarray, dy: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    n = len(values)
    peak = values.max(axis=1)
    usable = (peak > 0) & (weight.sum(axis=1) >= _FEWEST_PIXELS)
    values = values / np.where(usable, peak, 1.0)[:, None]
    inverse = 1.0 / sigma**2
    zero = np.zeros(n)
    parameters = np.stack([np.ones(n), zero, zero, inverse, zero, inverse], axis=1)
    done, damping = ~usable, np.full(n, 1e-3)
    chi2 = _residual(parameters, values, weight, dx, dy)[0]
    for _ in range(_MOST_STEPS):
        i = np.flatnonzero(~done)
        if not i.size:
            break
        some = values[i], weight[i], dx[i], dy[i]
        trial = parameters[i] + _step(parameters[i], *some, damping[i])
        found = _residual(trial, *some)[0]
        better = (found <= chi2[i]) & _positive(trial)
        done[i[better]] = (chi2[i] - found)[better] <= _DONE * chi2[i][better]
        parameters[i[better]], chi2[i[better]] = trial[better], found[better]
        damping[i] = np.where(better, damping[i] * 0.2, damping[i] * 8.0)
        # Where no step helps any more the least is reached.
        done[i[~better & (damping[i] > 1e8)]] = True
    half = STAMP / 2
    _, px, py, xx, xy, yy = parameters.T
    with np.errstate(invalid="ignore", divide="ignore"):
        width = FWHM_PER_SIGMA * (xx * yy - xy**2) ** -0.25
    good = usable & done & _positive(parameters) & (np.abs(px) < half) & (np.abs(py) < half) & (width < 2 * STAMP)
    return np.where(good, width, np.nan)


def _positive(parameters: np.ndarray) -> np.ndarray:
    """Whether amplitudes are positive and the matrices positive definite."""
    amplitude, _, _, xx, xy, yy = parameters.T
    return (amplitude > 0) & (xx > 0) & (xx * yy > xy**2)


def _residual(
    parameters: np.ndarray, values: np.ndarray, weight: np.ndarray, dx: np.ndarray, dy: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the sum of squares, the residuals, the model, and the offsets from its centre."""
    amplitude, px, py, xx, xy, yy = (p[:, None] for p in parameters.T)
    u, v = dx - px, dy - py
    model = weight * amplitude * np.exp(-0.5 * np.clip(xx * u**2 + 2 * xy * u * v + yy * v**2, -50.0, 200.0))
    residual = values - model
    return (residual**2).sum(axis=1), residual, model, u, v


def _step(
    parameters: np.ndarray, values: np.ndarray, weight: np.ndarray, dx: np.ndarray, dy: np.ndarray, damping: np.ndarray
) -> np.ndarray:
    """Return one Levenberg-Marquardt step for each source."""
    _, residual, model, u, v = _residual(parameters, values, weight, dx, dy)
    amplitude, _, _, xx, xy, yy = (p[:, None] for p in parameters.T)
    slopes = np.stack(
        [model / amplitude, model * (xx * u + xy * v), model * (xy * u + yy * v), -0.5 * model * u**2, -model * u * v, -0.5 * model * v**2],
        axis=1,
    )
    normal = slopes @ slopes.transpose(0, 2, 1)
    diagonal = np.einsum("ijj->ij", normal)
    diagonal += damping[:, None] * diagonal + 1e-12
    return np.linalg.solve(normal, (slopes @ residual[:, :, None]))[:, :, 0]
