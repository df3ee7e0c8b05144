"""Small helpers of compiled loops: longer arrays, and sorting without numpy's sorts, which take seconds to compile."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def longer(array):  # pragma: no cover - compiled
    """Return a copy of a 1-D array with twice the room; the rest is zero."""
    grown = np.zeros(2 * array.size, array.dtype)
    for i in range(array.size):
        grown[i] = array[i]
    return grown


@njit(cache=True, nogil=True)
def taller(array):  # pragma: no cover - compiled
    """Return a copy of a 2-D array with twice the rows; the rest is zero."""
    grown = np.zeros((2 * array.shape[0], array.shape[1]), array.dtype)
    for i in range(array.shape[0]):
        for j in range(array.shape[1]):
            grown[i, j] = array[i, j]
    return grown


@njit(cache=True, nogil=True)
def sort(array, first, last):  # pragma: no cover - compiled
    """Sort ``array[first:last]`` in place (Shell's method: stretches are short here, or mostly sorted already)."""
    n = last - first
    gap = 1
    while gap < n // 4:
        gap = gap * 9 // 4 + 1
    while gap > 0:
        for i in range(first + gap, last):
            value = array[i]
            j = i
            while j >= first + gap and array[j - gap] > value:
                array[j] = array[j - gap]
                j -= gap
            array[j] = value
        gap = 0 if gap == 1 else max(gap * 4 // 9, 1)
