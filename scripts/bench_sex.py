"""How long `sex` takes on a full 7DT frame, beside source-extractor with the same settings.

``python scripts/bench_sex.py [--rows 6388] [--columns 9576] [--stars 20000] [--rounds 5] [--frame FILE]``

A frame is simulated (or taken from a file), then measured by turns: once by us, once by source-extractor, each in a child process of its
own, ``rounds`` times after one that does not count. Both read the file, estimate a 64-pixel background, detect at 3 sigma and measure
the same columns: AUTO, five circular apertures, windowed positions, half-light radii, shapes, sky positions, flags. Seconds are wall clock:
ours from the opening of the file to the finished table (the start of Python and imports are shown apart), source-extractor's the whole
process with its catalog. RSS is the peak of the whole child process. Medians are compared.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from astropy.io import fits
from astropy.table import Table
from scipy.spatial import cKDTree

from ezarchive import simulate
from ezarchive.images import background
from ezarchive.images.image import Image
from ezarchive.photometry.detection import SexOptions, sex

APERTURES = (9.9, 13.86, 19.8, 15.8, 22.1)
THRESHOLD = 3.0
SCALE = 0.505

COLUMNS = (
    "NUMBER", "FLUX_AUTO", "FLUXERR_AUTO", "MAG_AUTO", "MAGERR_AUTO", f"FLUX_APER({len(APERTURES)})", f"FLUXERR_APER({len(APERTURES)})",
    f"MAG_APER({len(APERTURES)})", f"MAGERR_APER({len(APERTURES)})", "FLUX_ISO", "FLUXERR_ISO", "FLUX_MAX", "KRON_RADIUS", "FLUX_RADIUS",
    "FWHM_IMAGE", "FWHM_WORLD", "X_IMAGE", "Y_IMAGE", "XWIN_IMAGE", "YWIN_IMAGE", "X_WORLD", "Y_WORLD", "ALPHA_J2000", "DELTA_J2000",
    "A_IMAGE", "B_IMAGE", "THETA_IMAGE", "THETA_WORLD", "THETA_SKY", "THETA_J2000", "ELONGATION", "ELLIPTICITY", "X2_IMAGE", "Y2_IMAGE",
    "XY_IMAGE", "ISOAREA_IMAGE", "THRESHOLD", "BACKGROUND", "FLAGS",
)  # fmt: skip

SETTINGS = f"""CATALOG_NAME out.cat
CATALOG_TYPE FITS_1.0
PARAMETERS_NAME out.param
DETECT_MINAREA 5
DETECT_THRESH {THRESHOLD}
ANALYSIS_THRESH {THRESHOLD}
FILTER Y
FILTER_NAME pyramid.conv
DEBLEND_NTHRESH 32
DEBLEND_MINCONT 0.005
CLEAN Y
CLEAN_PARAM 1.0
MASK_TYPE CORRECT
PHOT_APERTURES {",".join(map(str, APERTURES))}
PHOT_AUTOPARAMS 2.5,3.5
PHOT_FLUXFRAC 0.5
GAIN_KEY NONE
SATUR_KEY NONE
PIXEL_SCALE {SCALE}
BACK_SIZE 64
BACK_FILTERSIZE 3
VERBOSE_TYPE QUIET
"""


class Child(NamedTuple):
    """What a child process used: wall clock and processor time of all of it, and peak RSS in MB."""

    seconds: float
    cpu: float
    megabytes: float


def measure(frame: Path, gain: float, saturation: float, output: Path) -> None:
    """Measure the frame once, in this process; the seconds and each part of them go to standard output as JSON."""
    marks, cpu = [("", time.perf_counter())], time.process_time()

    def mark(name: str) -> None:
        marks.append((name, time.perf_counter()))

    image = Image(frame)
    pixels = image.load()
    mark("read")
    mesh = background.estimate(pixels)
    mesh.subtract(pixels, out=pixels)
    mark("background")
    options = SexOptions(detect_thresh=THRESHOLD, phot_apertures=APERTURES, gain=gain, satur_level=saturation)
    table = sex(pixels, options, noise=mesh.global_rms, background=mesh, wcs=image.wcs, scratch=True)
    mark("sex")
    cpu = time.process_time() - cpu
    parts = {name: now - before for (_, before), (name, now) in zip(marks, marks[1:], strict=False)}
    wanted = ("X_IMAGE", "Y_IMAGE", "FLUX_AUTO", "FLUX_APER", "FLAGS")
    np.savez(output, **{name: np.asarray(getattr(table[name], "value", table[name])) for name in wanted})
    print(json.dumps({"total": marks[-1][1] - marks[0][1], "cpu": cpu, **parts}))


def child(command: list[str], folder: Path, stdout: Path) -> Child:
    """Run a command and return what it used."""
    begin = time.perf_counter()
    with stdout.open("w") as stream:
        pid = os.posix_spawnp(command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, stream.fileno(), 1)])
        _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - begin
    if status:
        sys.exit(f"{command[0]} failed in {folder}: status {os.waitstatus_to_exitcode(status)}")
    return Child(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def ours(frame: Path, gain: float, saturation: float, folder: Path) -> tuple[Child, dict[str, float]]:
    """Measure with this library in a child process."""
    command = [sys.executable, __file__, "--child", str(frame), "--gain", str(gain), "--saturation", str(saturation), "--keep", str(folder)]
    used = child(command, folder, folder / "ours.json")
    return used, json.loads((folder / "ours.json").read_text())


def theirs(frame: Path, gain: float, saturation: float, folder: Path) -> Child:
    """Measure with source-extractor in a child process."""
    (folder / "out.sex").write_text(SETTINGS)
    (folder / "out.param").write_text("\n".join(COLUMNS) + "\n")
    (folder / "pyramid.conv").write_text("CONV NORM\n1 2 1\n2 4 2\n1 2 1\n")
    before = Path.cwd()
    os.chdir(folder)
    try:
        command = ["source-extractor", str(frame), "-c", "out.sex", "-GAIN", str(gain), "-SATUR_LEVEL", str(saturation)]
        return child(command, folder, folder / "theirs.txt")
    finally:
        os.chdir(before)


def agreement(folder: Path) -> str:
    """Compare the two catalogs."""
    with np.load(folder / "ours.npz") as columns:
        found = dict(columns)
    other = Table.read(folder / "out.cat", hdu=1)
    tree = cKDTree(np.c_[found["X_IMAGE"], found["Y_IMAGE"]])
    distance, nearest = tree.query(np.c_[other["X_IMAGE"] - 1, other["Y_IMAGE"] - 1])
    good = (np.asarray(other["FLAGS"]) == 0) & (distance < 0.5)
    auto = np.median(np.abs(found["FLUX_AUTO"][nearest[good]] / np.asarray(other["FLUX_AUTO"], float)[good] - 1))
    aper = np.median(np.abs(found["FLUX_APER"][nearest[good]] / np.asarray(other["FLUX_APER"], float)[good, 0] - 1))
    share = np.mean(distance < 0.5)
    return (
        f"sources: {len(found['X_IMAGE'])} and {len(other)}, {share:.2%} of theirs within 0.5 px of ours; "
        f"median difference of FLAGS 0 sources: FLUX_AUTO {auto:.1e}, FLUX_APER {aper:.1e}"
    )


def simulated(arguments: argparse.Namespace, folder: Path) -> tuple[Path, float, float]:
    """Write the frame, unless one is given; return its path, gain and saturation."""
    if arguments.frame is not None:
        header = fits.getheader(arguments.frame)
        return arguments.frame.absolute(), float(header.get("EGAIN", 1.0)), float(header.get("SATURATE", 60000.0))
    path = folder / "frame.fits"
    size = ["--rows", str(arguments.rows), "--columns", str(arguments.columns), "--stars", str(arguments.stars)]
    # In a child of its own: the peak RSS of a process starts from that of its parent.
    used = child([sys.executable, __file__, "--simulate", str(path), *size], folder, folder / "simulated.txt")
    print(f"simulated {arguments.columns} x {arguments.rows} float32, {arguments.stars} sources: {used.seconds:.1f} s")
    header = fits.getheader(path)
    return path, float(header["EGAIN"]), float(header["SATURATE"])


def compare(arguments: argparse.Namespace, folder: Path) -> None:
    """Run both by turns and print the table."""
    frame, gain, saturation = simulated(arguments, folder)
    beside = shutil.which("source-extractor") is not None
    mine: list[tuple[Child, dict[str, float]]] = []
    others: list[Child] = []
    for round_ in range(arguments.rounds + 1):
        one = ours(frame, gain, saturation, folder)
        other = theirs(frame, gain, saturation, folder) if beside else None
        if round_:
            mine.append(one)
            others += [other] if other is not None else []
    print_table(mine, others)
    if beside:
        print(agreement(folder))
    else:
        print("source-extractor is not installed (Debian: apt-get install source-extractor); only our own times are shown")


def print_table(mine: list[tuple[Child, dict[str, float]]], others: list[Child]) -> None:
    """Print medians, extremes and the ratio."""
    start = statistics.median(used.seconds - parts["total"] for used, parts in mine)
    rows = [
        (
            "ezarchive sex", [parts["total"] for _, parts in mine], [parts["cpu"] for _, parts in mine],
            max(used.megabytes for used, _ in mine), f"start of Python and imports {start:.1f} s more",
        )
    ]  # fmt: skip
    if others:
        cpus = [used.cpu for used in others]
        rows.append(("source-extractor", [used.seconds for used in others], cpus, max(used.megabytes for used in others), "whole process"))
    print(f"\n{'':18s}{'median s':>10s}{'least s':>10s}{'most s':>10s}{'CPU s':>10s}{'peak MB':>10s}")
    for name, seconds, cpus, megabytes, note in rows:
        middle = statistics.median(seconds)
        print(f"{name:18s}{middle:10.2f}{min(seconds):10.2f}{max(seconds):10.2f}{statistics.median(cpus):10.2f}{megabytes:10.0f}   {note}")
    parts = {name: statistics.median(item[1][name] for item in mine) for name in ("read", "background", "sex")}
    print("our parts: " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in parts.items()))
    if others:
        wall, cpu = (statistics.median(rows[0][i]) / statistics.median(rows[1][i]) for i in (1, 2))
        print(f"ratio of medians: {wall:.2f} wall clock (wanted: at most 1.50), {cpu:.2f} processor time; peak RSS wanted: under 1000 MB")
        print(f"load average of the last minute {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def parsed(arguments: list[str] | None = None) -> Any:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=6388)
    parser.add_argument("--columns", type=int, default=9576)
    parser.add_argument("--stars", type=int, default=20000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frame", type=Path, help="a FITS file to use in place of a simulated one")
    parser.add_argument("--simulate", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--gain", type=float, default=1.0, help=argparse.SUPPRESS)
    parser.add_argument("--saturation", type=float, default=60000.0, help=argparse.SUPPRESS)
    parser.add_argument("--keep", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main() -> None:
    arguments = parsed()
    if arguments.child is not None:
        measure(arguments.child, arguments.gain, arguments.saturation, arguments.keep / "ours.npz")
        return
    if arguments.simulate is not None:
        made = simulate.frame((arguments.rows, arguments.columns), n_stars=arguments.stars, seed=1)
        fits.writeto(arguments.simulate, made.data, made.header)
        return
    with tempfile.TemporaryDirectory(prefix="bench_sex_") as folder:
        compare(arguments, Path(folder))


if __name__ == "__main__":
    main()
