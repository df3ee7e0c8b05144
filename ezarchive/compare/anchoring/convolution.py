"""Convolution of an image to a wider beam: blank pixels left out, with the share of the beam that fell on pixels, and errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from ezarchive.compare.anchoring.psfkernels import PsfKernel, check_kernel, resample_kernel
from ezarchive.errors import CompareError, InputError

Floats = NDArray[np.float32]

_COVERED = 1e-3
_LEAST_COVERAGE = 1e-3
"""Below it a normalised convolution is rounding, or negative lobes of the kernel have eaten the weight."""


@dataclass(frozen=True, eq=False)
class Convolved:
    """A convolved image.

    Attributes
    ----------
    data : ndarray of float32, shape (ny, nx)
        In the units of what was convolved; NaN where that was blank and where the coverage is too small.
    coverage : ndarray of float32, shape (ny, nx)
        The share of the kernel that lay on pixels with a value, 1 far from edges and holes. Kernels with negative lobes may reach
        somewhat beyond 0 and 1.
    error : ndarray of float32, shape (ny, nx), or None
        Standard deviation of each pixel of `data`; neighbours are correlated over the kernel.
    """

    data: Floats
    coverage: Floats
    error: Floats | None = None


def convolve_to(
    data: ArrayLike,
    kernel: ArrayLike | PsfKernel,
    *,
    step: float | tuple[float, float] | None = None,
    error: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    blank_zeros: bool = True,
    min_coverage: float = 0.0,
    edges: bool = False,
    workers: int = 1,
) -> Convolved:
    """Convolve an image with a kernel, over the pixels that have a value.

    Parameters
    ----------
    data : array_like, shape (ny, nx)
        Surface brightness, of any unit. NaN and infinite pixels are blank.
    kernel : array_like of odd shape, or PsfKernel
        In pixels of `data` and ``[y, x]`` like it, centre in the middle, of any positive sum; or one read from a file, which is put on
        pixels of `step`.
    step : float or (float, float), optional
        Arcsec of a pixel of `data`, or along (y, x); needed with a `PsfKernel` only.
    error : array_like, shape (ny, nx), optional
        Standard deviations of `data`, independent from pixel to pixel; where they are not finite they count as 0.
    mask : array_like of bool, shape (ny, nx), optional
        True: blank.
    blank_zeros : bool
        Whether pixels of exactly 0 are blank, as mosaics write pixels without exposure.
    min_coverage : float
        Pixels with a smaller coverage are NaN.
    edges : bool
        Whether pixels near an edge are freed, to first order, of what is missing beyond it (see Notes).
    workers : int
        Threads of the Fourier transforms. The result does not depend on their number.

    Returns
    -------
    Convolved

    Raises
    ------
    InputError
        If shapes differ, or the kernel is even-sized, off its centre, not finite or of no positive sum.
    CompareError
        ``no_pixels``: if every pixel is blank.

    Notes
    -----
    Normalised convolution: with w 1 where there is a value and 0 elsewhere (the outside too), K of unit sum and the convolution ``*``,

        data = (K * w d) / (K * w),   coverage = K * w,   variance = (K^2 * w error^2) / coverage^2.

    Blank pixels stay blank. The transforms are real and of single precision; the median is taken out of the data before, so that a
    constant image stays constant to a part in 10^7 or so. Near an edge the light beyond it is made up: use the coverage.

    With `edges`, where the kernel lay on blank pixels the image counts as a plane rather than as constant: the part of the kernel in use
    has its centre off by d = integral of (x' - x) K w / (K * w), and the gradient times d is taken off. For a Gaussian kernel d is its
    covariance times grad(K * w) / (K * w); of another one the covariance is that of the Gaussian whose x K = -S grad K comes closest in
    least squares, S = (sum of K^2) / 2 times the inverse of the sum of (grad K) (grad K)^T.
    """
    data = np.asarray(data, np.float32)
    if data.ndim != 2 or not data.size:
        raise InputError(f"data: must be a 2-D array with at least one pixel, found shape {data.shape}")
    if not 0 <= min_coverage <= 1:
        raise InputError(f"min_coverage {min_coverage!r}: must be from 0 to 1")
    kernel = _on_pixels(kernel, step)
    valid = _valid(data, mask, blank_zeros)
    if not valid.any():
        raise CompareError("no_pixels", f"data: every one of its {data.size} pixels is blank (masked, not finite or 0)")
    plan = _Plan(data.shape, kernel, workers)
    level = np.median(data[valid])
    coverage = plan.apply(valid.astype(np.float32))
    bad = ~valid | (coverage < max(min_coverage, _LEAST_COVERAGE))
    made = plan.apply(np.where(valid, data - level, np.float32(0)))
    np.divide(made, coverage, out=made, where=~bad)
    if edges:
        _take_off_edges(made, coverage, ~bad, _gaussian_covariance(kernel))
    made += level
    made[bad] = np.nan
    spread = None
    if error is not None:
        plan = _Plan(data.shape, kernel**2, workers)
        spread = _propagated(plan, _of_shape("error", error, data.shape, np.float32), valid, coverage, bad)
    return Convolved(made, coverage, spread)


def _on_pixels(kernel: Any, step: float | tuple[float, float] | None) -> NDArray[np.float64]:
    if not isinstance(kernel, PsfKernel):
        return check_kernel(kernel)
    if step is None:
        raise InputError("step: must be given with a PsfKernel: arcsec of a pixel of data")
    return resample_kernel(kernel, step)


def _valid(data: Floats, mask: ArrayLike | None, blank_zeros: bool) -> NDArray[np.bool_]:
    valid = np.isfinite(data)
    if blank_zeros:
        valid &= data != 0
    if mask is not None:
        valid &= ~_of_shape("mask", mask, data.shape, np.bool_)
    return valid


def _of_shape(name: str, values: ArrayLike, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    array = np.asarray(values, dtype)
    if array.shape != shape:
        raise InputError(f"{name}: must have the shape of data, {shape}, found {array.shape}")
    return array


def _gaussian_covariance(kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the covariance (2, 2), along y and x in pixels, of the Gaussian that is most like a kernel in its core."""
    slopes = np.stack(np.gradient(np.pad(kernel, 1))).reshape(2, -1)
    return np.linalg.inv(slopes @ slopes.T) * (kernel**2).sum() / 2


def _take_off_edges(made: Floats, coverage: Floats, good: NDArray[np.bool_], covariance: NDArray[np.float64]) -> None:
    """Take off, in place, the gradient times how far the centre of the kernel in use lay off."""
    where = np.flatnonzero(good & (coverage < 1 - _COVERED))
    share = coverage.ravel()[where]
    shift = covariance @ _gradients(coverage, np.ones(good.shape, bool), where) / share
    made.ravel()[where] -= (shift * _gradients(made, good, where)).sum(0).astype(np.float32)


def _gradients(plane: Floats, good: NDArray[np.bool_], where: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the gradient (2, n) along y and x at pixels (flat indices), from the neighbours that are good; 0 where there is none."""
    nx = plane.shape[1]
    wide, use = np.pad(plane, 1).ravel(), np.pad(good, 1).ravel()
    middle = where + where // nx * 2 + nx + 3
    here, found = wide[middle], np.empty((2, where.size))
    for axis, stride in enumerate((nx + 2, 1)):
        after, before = use[middle + stride], use[middle - stride]
        change = np.where(after, wide[middle + stride], here).astype(float) - np.where(before, wide[middle - stride], here)
        found[axis] = change / np.maximum(after.astype(np.int8) + before, 1)
    return found


def _propagated(plan: _Plan, error: Floats, valid: NDArray[np.bool_], coverage: Floats, bad: NDArray[np.bool_]) -> Floats:
    known = valid & np.isfinite(error)
    scale = np.float32(np.max(np.abs(error), where=known, initial=0)) or np.float32(1)
    made = plan.apply(np.where(known, (error / scale) ** 2, np.float32(0)))
    np.sqrt(np.maximum(made, 0, out=made), out=made)
    made *= scale
    np.divide(made, coverage, out=made, where=~bad)
    made[bad] = np.nan
    return made


class _Plan:
    """Convolution of planes of one shape with one kernel, zero outside; the kernel is transformed once."""

    def __init__(self, shape: tuple[int, int], kernel: NDArray[np.float64], workers: int) -> None:
        self._shape, self._workers = shape, workers
        self._start = (kernel.shape[0] // 2, kernel.shape[1] // 2)
        room = [max(n + k // 2, k) for n, k in zip(shape, kernel.shape, strict=True)]
        self._size = fft.next_fast_len(room[0]), fft.next_fast_len(room[1], real=True)
        self._transfer = self._transformed(kernel.astype(np.float32))

    def apply(self, plane: Floats) -> Floats:
        """Return the convolution of a plane."""
        spectrum = self._forward(plane)
        spectrum *= self._transfer
        spectrum = fft.ifft(spectrum, axis=0, overwrite_x=True, workers=self._workers)[: self._shape[0]]
        return fft.irfft(spectrum, n=self._size[1], axis=1, overwrite_x=True, workers=self._workers)[:, : self._shape[1]].copy()

    def _forward(self, plane: Floats) -> NDArray[np.complex64]:
        """Transform along x first: rows that are all padding need none."""
        rows = fft.rfft(plane, n=self._size[1], axis=1, workers=self._workers)
        return fft.fft(rows, n=self._size[0], axis=0, overwrite_x=True, workers=self._workers)

    def _transformed(self, kernel: Floats) -> NDArray[np.complex64]:
        """Return the transform of the kernel with its centre at the first pixel, wrapped around."""
        (ny, nx), (y, x) = kernel.shape, self._start
        made = np.zeros((ny, self._size[1]), np.float32)
        made[:, :nx] = kernel
        rows = fft.rfft(np.roll(made, -x, axis=1), axis=1, overwrite_x=True, workers=self._workers)
        planes = np.zeros((self._size[0], rows.shape[1]), np.complex64)
        planes[: ny - y], planes[self._size[0] - y :] = rows[y:], rows[:y]
        return fft.fft(planes, axis=0, overwrite_x=True, workers=self._workers)
