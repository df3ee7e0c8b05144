"""How simulated sources vary: shapes of light curves, for any number of sources and times at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ezarchive.errors import UnknownNameError

PERIODIC = ("sine", "rrlyrae", "eclipsing")
KINDS = ("constant", *PERIODIC, "transient")
"""What a source can be."""
TRANSIENT_RISE = 3.0
"""Days in which a transient rises to its peak."""
_RISE = 0.15
_ECLIPSE, _SECONDARY = 0.03, 0.4


def variation(kind: str, since: ArrayLike, period: ArrayLike, amplitude: ArrayLike) -> NDArray[np.float64]:
    """Return how much fainter than its magnitude a source is.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    since : array_like
        Days since the source's epoch: of a sine its mean on the rise, of an RR Lyrae-like star the foot of the rise, of an eclipsing one
        the primary minimum, of a transient its beginning.
    period : array_like
        Days; of periodic kinds.
    amplitude : array_like
        Mag, from brightest to faintest; of an eclipsing source the depth of the primary minimum; of a transient its decline, mag per day.

    Returns
    -------
    ndarray
        Of the shape that the three have together; infinite where a transient has not begun.

    Raises
    ------
    UnknownNameError
        If there is no such kind.
    """
    since, period, amplitude = (np.asarray(values, float) for values in (since, period, amplitude))
    if kind not in KINDS:
        raise UnknownNameError("variability", kind, KINDS)
    if kind == "constant":
        return np.zeros(np.broadcast_shapes(since.shape, amplitude.shape))
    if kind == "transient":
        rising = -5 * np.log10(np.maximum(since, 1e-300) / TRANSIENT_RISE)
        return np.where(since <= 0, np.inf, np.where(since < TRANSIENT_RISE, rising, amplitude * (since - TRANSIENT_RISE)))
    phase = since / period % 1
    if kind == "sine":
        return -amplitude / 2 * np.sin(2 * np.pi * phase)
    if kind == "rrlyrae":  # a quick rise, a slow decline
        return amplitude * np.where(phase < _RISE, 0.5 - phase / _RISE, (phase - _RISE) / (1 - _RISE) - 0.5)
    primary = np.exp(-0.5 * (np.minimum(phase, 1 - phase) / _ECLIPSE) ** 2)
    return amplitude * (primary + _SECONDARY * np.exp(-0.5 * ((phase - 0.5) / _ECLIPSE) ** 2))
