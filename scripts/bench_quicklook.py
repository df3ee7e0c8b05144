"""How fast the quick look is: apertures beside photutils, links, limits and preview of a large frame.

``python scripts/bench_quicklook.py [--apertures 10000] [--size 4096] [--rounds 3] [--only apertures,links,frame]``

Everything lies in memory or in the page cache, loops are compiled. A line has the best of the rounds, by turns: seconds by the clock, and
seconds of CPU, which other work on the machine disturbs less.

apertures
    Sums in 10,000 circles (r = 10), ellipses (12 x 8, turned by 30 degrees) and rectangles (20 x 15, turned) of a float32 image of
    4096 x 4096, and full rows (all columns of `aperture_photometry`, its table included; the numbers alone by `aperture_sums` and
    `aperture_statistics`), each beside photutils: ``aperture_photometry`` and ``ApertureStats``. Then how far a batch is from one by one.
links
    One million points through the affine approximation of two tangent planes and through both WCS.
frame
    Limits of 95% and a preview of 800 pixels of a frame of 9576 x 6388 float32 pixels, in memory and as a file.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import photutils.aperture as theirs
from astropy.io import fits
from astropy.wcs import WCS
from photutils.aperture import ApertureStats, CircularAperture, EllipticalAperture, RectangularAperture

from ezarchive import quicklook, simulate
from ezarchive.quicklook.regions.shapes import Circle, Ellipse, Rectangle, Shape
from ezarchive.warmup import warm_up_quicklook

_TURN = 30.0


class Took(NamedTuple):
    """Seconds of something, the least of several rounds."""

    wall: float
    cpu: float


def times(jobs: dict[str, Callable[[], Any]], rounds: int) -> dict[str, Took]:
    """Run jobs by turns; return what each took at best."""
    best = dict.fromkeys(jobs, Took(math.inf, math.inf))
    for _ in range(rounds):
        for name, job in jobs.items():
            wall, cpu = time.perf_counter(), time.process_time()
            job()
            now = Took(time.perf_counter() - wall, time.process_time() - cpu)
            best[name] = Took(min(best[name].wall, now.wall), min(best[name].cpu, now.cpu))
    return best


def line(name: str, took: Took, note: str = "") -> None:
    """Print one line of a table."""
    print(f"{name:50s}{took.wall:9.3f} s{took.cpu:9.3f} s CPU   {note}", flush=True)


def kinds(x: np.ndarray, y: np.ndarray) -> dict[str, tuple[list[Shape], Any]]:
    """Return the apertures, ours and photutils'."""
    places, turn = np.column_stack([x, y]), math.radians(_TURN)
    pairs = list(zip(x.tolist(), y.tolist(), strict=True))
    return {
        "circles": ([Circle(*at, 10.0) for at in pairs], CircularAperture(places, 10.0)),
        "ellipses": ([Ellipse(*at, 12.0, 8.0, _TURN) for at in pairs], EllipticalAperture(places, 12.0, 8.0, theta=turn)),
        "rectangles": ([Rectangle(*at, 20.0, 15.0, _TURN) for at in pairs], RectangularAperture(places, 20.0, 15.0, theta=turn)),
    }


_STATISTICS = (
    "sum", "sum_aper_area", "min", "max", "mean", "median", "mode", "std", "mad_std", "var", "biweight_location", "biweight_midvariance",
    "x_centroid", "y_centroid", "fwhm", "semimajor_axis", "semiminor_axis", "orientation", "eccentricity",
)  # fmt: skip


def apertures(count: int, size: int, rounds: int) -> None:
    """Compare sums and rows with photutils, and a batch with one by one."""
    rng = np.random.default_rng(1)
    data = rng.normal(100.0, 10.0, (size, size)).astype(np.float32)
    x, y = rng.uniform(0, size - 1, (2, count))
    found = kinds(x, y)
    for kind, (ours, other) in found.items():
        took = times(
            {
                "ours": lambda ours=ours: quicklook.aperture_sums(data, ours),
                "photutils": lambda other=other: theirs.aperture_photometry(data, other),
            },
            rounds,
        )
        difference = np.abs(quicklook.aperture_sums(data, ours).sum / theirs.aperture_photometry(data, other)["aperture_sum"] - 1).max()
        line(f"{count} {kind}: sums", took["ours"], f"differ by {difference:.1e} at most")
        line("  photutils", took["photutils"], f"ratio {took['photutils'].cpu / took['ours'].cpu:.1f}")
    ours, other = found["circles"]
    took = times(
        {
            "rows": lambda: quicklook.aperture_photometry(data, ours, unit="Jy"),
            "numbers": lambda: (quicklook.aperture_sums(data, ours), quicklook.aperture_statistics(data, ours)),
        },
        rounds,
    )
    line(f"{count} circles: full rows, with their table", took["rows"], "(wanted: under 20 s)")
    line("  sums and statistics alone", took["numbers"])
    line("  photutils", times({"": lambda: ApertureStats(data, other, sum_method="exact").to_table(columns=_STATISTICS)}, 1)[""])
    one_by_one(data, ours, found)


def one_by_one(data: np.ndarray, ours: list[Shape], found: dict[str, tuple[list[Shape], Any]]) -> None:
    """Measure 300 apertures together and each by itself; print the largest relative difference of any number."""
    some = ours[:100] + found["ellipses"][0][:100] + found["rectangles"][0][:100]
    together = {"sum": quicklook.aperture_sums(data, some).sum} | quicklook.aperture_statistics(data, some)
    worst = 0.0
    for k, shape in enumerate(some):
        alone = {"sum": quicklook.aperture_sums(data, shape).sum} | quicklook.aperture_statistics(data, shape)
        for name, values in together.items():
            if values[k] != alone[name][0] and np.isfinite(values[k]):
                worst = max(worst, abs(values[k] - alone[name][0]) / abs(values[k]))
    print(f"{'batch against one by one':50s}{worst:9.1e}    (wanted: under 1e-10)")


def plane(ra: float, rotation: float) -> WCS:
    """Return a tangent plane of 0.3 arcsec a pixel."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [ra, 20.0], [2048.5, 2048.5]
    cos, sin = math.cos(math.radians(rotation)), math.sin(math.radians(rotation))
    wcs.wcs.cd = 0.3 / 3600 * np.array([[-cos, sin], [sin, cos]])
    return wcs


def links(rounds: int) -> None:
    """Compare the affine approximation with the WCS."""
    pixels = np.zeros((4096, 4096), np.float32)
    one, two = (quicklook.picture(pixels, wcs=plane(*at), label=f"{at}") for at in ((150.0, 0.0), (150.02, 25.0)))
    fast, full = quicklook.link(one, two), quicklook.link(one, two, use_affine=False)
    x, y = np.random.default_rng(2).uniform(0, 4095, (2, 1_000_000))
    took = times({"affine": lambda: fast.forward(x, y), "wcs": lambda: full.forward(x, y)}, rounds)
    error = max(np.abs(a - b).max() for a, b in zip(fast.forward(x, y), full.forward(x, y), strict=True))
    line(
        "10^6 points through a link: affine", took["affine"], f"{fast.kind}, off by {error:.1e} px at most ({fast.max_error:.1e} reported)"
    )
    line("  full WCS", took["wcs"], f"ratio {took['wcs'].cpu / took['affine'].cpu:.0f} (wanted: at least 30)")


def frame(rounds: int) -> None:
    """Limits and preview of a large frame."""
    made = simulate.frame((6388, 9576), n_stars=6_500, seed=1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frame.fits"
        fits.writeto(path, made.data, made.header)
        for name, source in (("in memory", made.data), ("a file in the page cache", path)):
            took = times(
                {
                    "limits": lambda source=source: quicklook.display_limits(source),
                    "preview": lambda source=source: quicklook.preview(source, 800),
                    "both": lambda source=source: (quicklook.display_limits(source), quicklook.preview(source, 800)),
                },
                rounds,
            )
            line(f"61 Mpix, {name}: limits of 95%", took["limits"], "(wanted: under 0.3 s)")
            line("  preview of 800 pixels", took["preview"])
            line("  both", took["both"], "(wanted: under 0.5 s)")


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--apertures", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="apertures,links,frame")
    given = parser.parse_args()
    warm_up_quicklook()
    wanted = given.only.split(",")
    if "apertures" in wanted:
        apertures(given.apertures, given.size, given.rounds)
    if "links" in wanted:
        links(given.rounds)
    if "frame" in wanted:
        frame(given.rounds)


if __name__ == "__main__":
    main()
