"""Compile the loops that measure images before many processes need them: once on a machine, then they are kept on disk."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import numpy as np

from ezarchive.images.image import Image
from ezarchive.measure import measure_image
from ezarchive.measureoptions import MeasureOptions
from ezarchive.screen import say

_PATIENCE = 2.0
"""Seconds after which a user is told what is being waited for."""


_LAST_LOOP = "photometry/kernels_sources.py"
"""Where the loop is that is compiled last and holds most of the others."""


def is_compiled() -> bool:
    """Tell whether the loops lie compiled beside their source, or in ``NUMBA_CACHE_DIR``; False where that cannot be told."""
    source = Path(__file__).parent / _LAST_LOOP
    folder = Path(os.environ.get("NUMBA_CACHE_DIR") or source.parent / "__pycache__")
    made = [path.stat().st_mtime for path in folder.rglob(f"{source.stem}.measure-*.nbi")]
    return bool(made) and max(made) > source.stat().st_mtime


def warm_up(dtype: str = "float32", *, verbose: bool = True) -> float:
    """Measure a small made-up image, so that everything that numba compiles for it is compiled and kept.

    Parameters
    ----------
    dtype : str
        Type of the pixels: ``float32`` or ``float64``.
    verbose : bool
        Say so where it takes more than two seconds.

    Returns
    -------
    float
        Seconds it took: some tenths of one where everything is there already, half a minute the first time.
    """
    started = time.monotonic()
    text = "compiling the measuring loops for this machine; it is done once and takes half a minute"
    notice = threading.Timer(_PATIENCE, say, (text, verbose))
    notice.daemon = True
    notice.start()
    try:
        measure_image(Image(_scene(dtype)), MeasureOptions(aperture_diameter_pixel=(5.0,), saturation_level=30_000.0, gain=1.0))
    finally:
        notice.cancel()
    return time.monotonic() - started


def _scene(dtype: str) -> np.ndarray:
    """Return a few stars, two of them close together, on a sky with noise."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:200, :200]
    data = rng.normal(1000.0, 10.0, x.shape)
    for x0, y0, peak in (*((20 + 40 * i, 20 + 40 * j, 2000.0 + 300 * i) for i in range(5) for j in range(5)), (104.0, 101.0, 1500.0)):
        data += peak * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / 8.0)
    return data.astype(dtype)
