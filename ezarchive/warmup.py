"""Compile loops before many processes need them, once on a machine: those of measuring, of associating and of the quick look."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa

from ezarchive.images.image import Image
from ezarchive.measure import measure_image
from ezarchive.measureoptions import MeasureOptions
from ezarchive.quicklook.apertures.kernels_overlap import N_TOTALS, add_sums
from ezarchive.quicklook.apertures.kernels_statistics import COLUMNS, measure
from ezarchive.quicklook.apertures.packing import grid, pack
from ezarchive.quicklook.apertures.rings import Grid, ring_shares
from ezarchive.quicklook.display.imagestatistics import statistics
from ezarchive.quicklook.display.limits import display_limits
from ezarchive.quicklook.display.previews import preview
from ezarchive.quicklook.regions.shapes import Circle, Rectangle
from ezarchive.screen import say
from ezarchive.sky import cell_of
from ezarchive.store import ids, sites
from ezarchive.store.grouping import decide
from ezarchive.store.rows import Known, Rows
from ezarchive.store.summary import summarise

_PATIENCE = 2.0
"""Seconds after which a user is told what is being waited for."""


_LAST_LOOPS = {
    "measure": ("photometry/kernels_sources.measure",),
    "associate": ("kernels/friends.founders", "kernels/sharing.share", "timeseries/kernels_variability.measure_objects"),
    "quicklook": (
        "quicklook/apertures/kernels_overlap.add_sums",
        "quicklook/apertures/kernels_overlap.fill",
        "quicklook/apertures/kernels_statistics.measure",
        "quicklook/apertures/kernels_rings.shares",
    ),
}
"""The loops of each verb that are compiled last and hold most of the others: folder, file and name."""


def is_compiled(verb: str = "measure") -> bool:
    """Tell whether the loops of a verb lie compiled beside their source, or in ``NUMBA_CACHE_DIR``; False where that cannot be told.

    Parameters
    ----------
    verb : str
        ``measure``, ``associate`` or ``quicklook``.
    """
    return all(_lies_compiled(*loop.rsplit(".", 1)) for loop in _LAST_LOOPS[verb])


def _lies_compiled(file: str, name: str) -> bool:
    source = (Path(__file__).parent / file).with_suffix(".py")
    folder = Path(os.environ.get("NUMBA_CACHE_DIR") or source.parent / "__pycache__")
    made = [path.stat().st_mtime for path in folder.rglob(f"{source.stem}.{name}-*.nbi")]
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
    with _told("measuring loops", verbose):
        measure_image(Image(_scene(dtype)), MeasureOptions(aperture_diameter_pixel=(5.0,), saturation_level=30_000.0, gain=1.0))
    return time.monotonic() - started


def warm_up_association(*, verbose: bool = True) -> float:
    """Associate a few made-up measurements, as `warm_up` measures an image; parameters and result are alike."""
    started = time.monotonic()
    with _told("loops of the association", verbose):
        rows, known = _measurements()
        decide(rows, known, radius=1.0, min_nights=2, catalogs_of=lambda asked: (asked, np.full(len(asked), 9)), taken=known.object_id)
        summarise(_light_curve())
    return time.monotonic() - started


def warm_up_quicklook(*, verbose: bool = True) -> float:
    """Sum and measure two apertures, as `warm_up` measures an image; parameters and result are alike."""
    started = time.monotonic()
    with _told("loops of the quick look", verbose):
        box = (0, 9, 0, 9)
        outlines, both = pack([Circle(4.2, 4.1, 3.0), Rectangle(4.2, 4.1, 5.0, 3.0, 20.0)], np.array([box, box], np.int64)), np.arange(2)
        image, sky = np.random.default_rng(1).normal(size=(9, 9)), np.zeros(2)
        add_sums(image, np.zeros((0, 0)), 0, 0, outlines, both, sky, np.zeros((2, N_TOTALS)))
        measure(image, 0, 0, outlines, both, sky, np.zeros((2, len(COLUMNS))))
        grid(Circle(4.2, 4.1, 3.0), box)
        ring_shares(Grid(4.2, 4.1, 1.0, 3), np.arange(9.0), np.arange(9.0))
        for dtype in (np.float32, np.float64):
            large = np.zeros((600, 600), dtype)
            large[0, 0] = np.nan
            display_limits(large, "minmax")
            statistics(large)
            preview(large)
    return time.monotonic() - started


@contextmanager
def _told(what: str, verbose: bool) -> Iterator[None]:
    """Tell a user what is being waited for, where it lasts."""
    text = f"compiling the {what} for this machine; it is done once and takes half a minute"
    notice = threading.Timer(_PATIENCE, say, (text, verbose))
    notice.daemon = True
    notice.start()
    try:
        yield
    finally:
        notice.cancel()


def _scene(dtype: str) -> np.ndarray:
    """Return a few stars, two of them close together, on a sky with noise."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:200, :200]
    data = rng.normal(1000.0, 10.0, x.shape)
    for x0, y0, peak in (*((20 + 40 * i, 20 + 40 * j, 2000.0 + 300 * i) for i in range(5) for j in range(5)), (104.0, 101.0, 1500.0)):
        data += peak * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / 8.0)
    return data.astype(dtype)


def _measurements() -> tuple[Rows, Known]:
    """Return what two images show of a known object, of two that are too near to each other, and of a place that was forced."""
    ra, dec = np.tile([1.0, 1.0003, 1.01, 1.0101, 1.0], 2), np.zeros(10)
    cells, image, no, yes = cell_of(ra, dec, 29), np.repeat([1, 2], 5), np.zeros(10, np.bool_), np.ones(10, np.bool_)
    rows = Rows(
        cells, ra, dec, image, image, np.tile(np.arange(5), 2), 60_000.0 + image, image.astype(np.int32), np.tile(np.arange(5) == 4, 2),
        no, yes, no,
    )  # fmt: skip
    objects = ids.object_ids(cells[[0, 2]])
    flat = np.zeros(2)
    return rows, Known(objects, ra[[0, 2]], flat, flat > 0, flat, sites.site_of(cells[[0, 2]]), objects, flat > 0)


def _light_curve() -> pa.Table:
    """Return three rows of one object as the store has them."""
    numbers = {"mjd_mid": [1.0, 2.0, 3.0], "mag": [15.0, 15.1, 15.2], "object_id": [4, 4, 4], "flags": [0] * 3, "flags_aper": [0] * 3}
    alike = {
        "ra": 1.0,
        "dec": 2.0,
        "flux": 100.0,
        "flux_err": 1.0,
        "mag_err": 0.01,
        "zero_point_err": 0.01,
        "object_ra": 1.0,
        "object_dec": 2.0,
    }
    texts = {"kind": ["detection"] * 3, "filter": ["r", "r", "g"], "night": ["2025-01-01", "2025-01-02", "2025-01-03"]}
    return pa.table({**numbers, **{name: [value] * 3 for name, value in alike.items()}, **texts})
