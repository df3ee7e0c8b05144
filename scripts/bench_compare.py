"""One image against another, and the anchoring of bands: what is asked of them, what they reach, and what that costs.

``python scripts/bench_compare.py [--quick] [--draws 100] [--seeds 10] [--only NAME ...] [--tools FOLDER] [-o TABLE.ecsv]``

Every sky is simulated (``ezarchive.simulate``), its truth exact. Each group of rows is made in a child process of its own; below it stand
the processor seconds and the peak memory of that whole process, the simulation and the imports included. Where a limit is on time or
memory the row says what was measured: the processor or wall seconds of the call alone (wall seconds mean something where nothing else
runs), the peak of the largest process.

Part A, image and star fits: ``--draws`` noise draws of one pair (biases and pulls of fewer than 100 are not judged), ``--seeds`` skies.
Part B, anchoring: ``--seeds`` galaxies of each scenario, twice as many for the pulls; a row is met if at least nine of ten seeds are.
``--tools`` names a folder with ``image_pair.py`` and ``anchor_scene.py``: their skies are measured as well. The last line counts what was
met; the exit code is 1 if anything was not.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from astropy.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent))


class Row(NamedTuple):
    """One thing that is asked: `met` is None where nothing is."""

    what: str
    asked: str
    measured: str
    met: bool | None


class Effort(NamedTuple):
    """How much to do: noise draws, seeds, the folder of other generators or None, and a scratch folder."""

    draws: int
    seeds: int
    tools: Path | None
    folder: Path


def at_most(what: str, value: float, limit: float, form: str = ".5f", unit: str = "") -> Row:
    """Return a row of a number that must be at most a limit."""
    return Row(what, f"<= {limit:g}{unit}", f"{value:{form}}{unit}", bool(value <= limit))


def within(what: str, value: float, low: float, high: float, form: str = ".2f") -> Row:
    """Return a row of a number that must lie between two."""
    return Row(what, f"{low:g} .. {high:g}", f"{value:{form}}", bool(low <= value <= high))


def most_seeds(what: str, errors: list[float], limit: float) -> Row:
    """Return a row of errors, one a seed (NaN: no result), nine of ten of which must be at most a limit."""
    size = np.abs(np.array(errors, float))
    good = int((size <= limit).sum())
    shown = f"{good}/{len(size)}, median {np.nanmedian(size):.4f}, most {np.nanmax(size):.4f}" if np.isfinite(size).any() else "no result"
    return Row(what, f"<= {limit:g}, 9 of 10 seeds", shown, good >= 0.9 * len(size))


def clocks() -> tuple[float, float]:
    """Return processor seconds of this process and its finished children, and wall-clock seconds."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system, time.perf_counter()


def peak() -> float:
    """Return the peak memory in MB of this process, or of one that it has waited for if that is larger."""
    return max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024


def cases() -> dict[str, Callable[[Effort], list[Row]]]:
    """Return every group of rows by name, those of part A first."""
    from bench_compare_anchor import CASES as ANCHOR  # noqa: PLC0415
    from bench_compare_fits import CASES as FITS  # noqa: PLC0415

    return FITS | ANCHOR


def child(name: str, options: argparse.Namespace, folder: Path) -> tuple[list[Row], float, float, float]:
    """Make a group of rows in a process of its own; return it with processor seconds, wall seconds and peak MB."""
    output = folder / f"{name}.json"
    command = [sys.executable, __file__, "--case", name, "--draws", str(options.draws), "--seeds", str(options.seeds), "-o", str(output)]
    if options.tools:
        command += ["--tools", str(options.tools)]
    begin = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - begin
    if status or not output.is_file():
        rows = [Row(f"{name}: made at all", "yes", f"stopped, exit code {os.waitstatus_to_exitcode(status)}", False)]
    else:
        rows = [Row(*row) for row in json.loads(output.read_text())]
    return rows, usage.ru_utime + usage.ru_stime, seconds, usage.ru_maxrss / 1024


def show(name: str, rows: list[Row], cpu: float, wall: float, megabytes: float) -> None:
    """Print a group of rows."""
    print(f"\n{name}  ({cpu:.1f} CPU s, {wall:.1f} s wall, {megabytes:.0f} MB, whole process)")
    for row in rows:
        met = {True: "yes", False: "NO", None: "-"}[row.met]
        print(f"  {row.what:<66} {row.asked:<22} {row.measured:<40} {met}", flush=True)


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few draws and seeds: whether it runs, not how well")
    parser.add_argument("--draws", type=int, help="noise draws of one pair (100; quick 10)")
    parser.add_argument("--seeds", type=int, help="skies and galaxies (10; quick 1)")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these groups only")
    parser.add_argument("--tools", type=Path, help="folder of image_pair.py and anchor_scene.py")
    parser.add_argument("-o", "--output", type=Path, help="the table as a file")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    options.draws = options.draws or (10 if options.quick else 100)
    options.seeds = options.seeds or (1 if options.quick else 10)
    return options


def main(arguments: list[str] | None = None) -> int:
    options = parsed(arguments)
    made = cases()
    with tempfile.TemporaryDirectory(prefix="bench_compare_") as scratch:
        if options.case:
            rows = made[options.case](Effort(options.draws, options.seeds, options.tools, Path(scratch)))
            options.output.write_text(json.dumps(rows))
            return 0
        unknown = [name for name in options.only or () if name not in made]
        if unknown:
            sys.exit(f"--only {unknown[0]}: must be one of {', '.join(made)}")
        every: list[tuple[Any, ...]] = []
        for name in options.only or made:
            rows, cpu, wall, megabytes = child(name, options, Path(scratch))
            show(name, rows, cpu, wall, megabytes)
            every += [(name, row.what, row.asked, row.measured, {True: "yes", False: "no", None: ""}[row.met]) for row in rows]
    if options.output:
        Table(rows=every, names=("group", "what", "asked", "measured", "met")).write(options.output, overwrite=True)
    asked = [row for row in every if row[-1]]
    print(f"\n{sum(row[-1] == 'yes' for row in asked)} of {len(asked)} met")
    return int(any(row[-1] == "no" for row in asked))


if __name__ == "__main__":
    sys.exit(main())
