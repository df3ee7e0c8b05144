"""How fast photometry is: batches, one frame, forced positions, masks and meshes, beside source-extractor in the same run.

``python scripts/bench_photometry.py [--frames 20] [--rounds 1] [--only batch,single,forced,maps] [--folder FOLDER]``

Frames of 9576 x 6388 float32 pixels are simulated (scene *sparse*: about 2,500 sources at 3 sigma; *crowded*: about 25,000 at 1.5 sigma)
and lie in the page cache. source-extractor has the same settings: thresholds, apertures, mesh, columns, MASK_TYPE CORRECT.

batch
    ``archive.measure`` with two workers, from the call to the last committed row, against source-extractor two at a time; the start of the
    workers, their imports and the database are counted. Anonymous memory is the most of any worker.
single
    One frame in a new process: from the opening of the file to the catalog on disk, imports not counted, against the whole process of
    source-extractor.
forced
    Circles of five sizes around 1 and 2,000 positions of one frame, and around 1 position on 1,000 (sparse) files.
maps
    Mesh of the background and mask of the sources, the frame in memory.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import bench_sex
import numpy as np
from astropy.io import fits

from ezarchive import Archive, measure, simulate
from ezarchive.catalogs import parquet
from ezarchive.images import background, mask
from ezarchive.images.image import Image
from ezarchive.photometry import forced as circles

APERTURES = bench_sex.APERTURES
FULL = 6388 * 9576
"""Pixels of the frames that the scenes are described for."""
BRANCH = Path("7DT/7DT_C361K_HIGH_1x1/T00528/7DT01/m600")
NETWORK = Path("/usr/share/source-extractor/default.nnw")


class Scene(NamedTuple):
    """A kind of frame."""

    name: str
    stars: int
    sigma: float


SCENES = (Scene("sparse", 6_500, 3.0), Scene("crowded", 62_000, 1.5))


def write_frames(folder: Path, scene: Scene, shape: tuple[int, int], count: int) -> list[Path]:
    """Simulate a frame and write it many times, each time shifted along its rows and a minute later."""
    made = simulate.frame(shape, n_stars=scene.stars * shape[0] * shape[1] // FULL, seed=1)
    paths = []
    for index in range(count):
        stamp = f"2025-09-01T03:{index:02d}:00.000"
        made.header["DATE-OBS"], made.header["MJD-OBS"] = stamp, 60919.125 + index / 1440
        path = folder / scene.name / BRANCH / f"calib_7DT01_T00528_20250901_03{index:02d}00_m600_100.fits"
        path.parent.mkdir(parents=True, exist_ok=True)
        fits.writeto(path, np.roll(made.data, 37 * index, axis=1), made.header)
        paths.append(path)
    return paths


class Watch:
    """Samples the anonymous memory of all processes below this one, and keeps the most of any of them."""

    def __init__(self) -> None:
        self.most, self._stop = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(0.02):
            for process in below(os.getpid()):
                self.most = max(self.most, anonymous(process))


def below(process: int) -> list[int]:
    """Return the processes that a process has started, and theirs."""
    found = []
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            children = [int(word) for word in task.read_text().split()]
        except OSError:
            continue
        found += [*children, *(grandchild for child in children for grandchild in below(child))]
    return found


def anonymous(process: int | str) -> float:
    """Return the anonymous memory of a process in MB."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def settings(scene: Scene, folder: Path) -> None:
    """Write source-extractor's files."""
    folder.mkdir(parents=True, exist_ok=True)
    own = {"MASK_TYPE": "CORRECT", "DETECT_THRESH": scene.sigma, "ANALYSIS_THRESH": scene.sigma}
    lines = [line for line in bench_sex.SETTINGS.splitlines() if line.split(" ")[0] not in own]
    lines += [f"{key} {value}" for key, value in own.items()]
    columns = list(bench_sex.COLUMNS)
    if NETWORK.exists():
        columns.append("CLASS_STAR")
        lines += [f"STARNNW_NAME {NETWORK}", "SEEING_FWHM 3.0"]
    (folder / "out.sex").write_text("\n".join(lines) + "\n")
    (folder / "out.param").write_text("\n".join(columns) + "\n")
    (folder / "pyramid.conv").write_text("CONV NORM\n1 2 1\n2 4 2\n1 2 1\n")


def extract(frame: Path, folder: Path) -> float:
    """Measure a frame with source-extractor; return the seconds it took."""
    header = fits.getheader(frame)
    command = [
        "source-extractor", str(frame), "-c", "out.sex", "-CATALOG_NAME", f"{frame.stem}.cat", "-GAIN", str(header["EGAIN"]),
        "-SATUR_LEVEL", str(header["SATURATE"]),
    ]  # fmt: skip
    begin = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - begin


def options(scene: Scene) -> dict[str, Any]:
    """Return our options for a scene."""
    return {
        "detection_sigma": scene.sigma, "aperture_diameter_pixel": APERTURES,
        "aperture_diameter_arcsec": (), "aperture_diameter_seeing": (),
        "mask_type": "CORRECT",
    }  # fmt: skip


def batch(scene: Scene, frames: list[Path], folder: Path, workers: int) -> None:
    """Compare a batch with source-extractor, as many at a time as workers."""
    home = folder / f"home_{scene.name}_{time.monotonic_ns()}"
    archive = Archive.create(home, roots={"scidata": folder / scene.name})
    archive.index(progress=False)
    with Watch() as watch:
        begin = time.perf_counter()
        report = archive.measure(method="sex", workers=workers, progress=False, **options(scene))
        ours = time.perf_counter() - begin
    header = fits.getheader(frames[0])
    pixels = header["NAXIS1"] * header["NAXIS2"]
    if report.failed:
        sys.exit(f"failed: {report.failed[:3]}")
    shutil.rmtree(home)
    line("ezarchive", len(frames) / ours * 60, f"{ours:6.1f} s, {report.sources / len(frames):.0f} sources a frame")
    print(f"{'':20s}most anonymous memory of a process {watch.most:.0f} MB (wanted under {2 * pixels * 4 / 1e6 + 200:.0f})")
    if not shutil.which("source-extractor"):
        return
    place = folder / f"se_{scene.name}"
    settings(scene, place)
    begin = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda frame: extract(frame, place), frames))
    theirs = time.perf_counter() - begin
    line("source-extractor", len(frames) / theirs * 60, f"{theirs:6.1f} s")
    print(f"{'':20s}ratio {theirs / ours:.2f} (wanted at least 2)")


def line(name: str, per_minute: float, note: str) -> None:
    """Print one line of a table."""
    print(f"{name:20s}{per_minute:8.1f} frames/min   {note}", flush=True)


def single(scene: Scene, frame: Path, folder: Path, rounds: int) -> None:
    """Compare one frame alone, by turns."""
    place = folder / f"se_{scene.name}"
    settings(scene, place)
    ours, theirs = [], []
    for _ in range(rounds):
        command = [sys.executable, __file__, "--child", json.dumps([str(frame), options(scene), str(place / "ours.parquet"), time.time()])]
        ours.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        if shutil.which("source-extractor"):
            theirs.append(extract(frame, place))
    best = min(ours, key=lambda one: one["seconds"])
    print(f"{'ezarchive':20s}{best['seconds']:8.2f} s   second frame {min(one['again'] for one in ours):.2f} s, {best['sources']} sources, "
          f"start and imports {best['imports']:.2f} s more, anonymous memory at the end {best['anonymous']:.0f} MB")  # fmt: skip
    if theirs:
        print(f"{'source-extractor':20s}{min(theirs):8.2f} s", flush=True)


def measure_one(frame: str, chosen: dict[str, Any], output: str, launched: float) -> None:
    """Measure a frame twice in this new process, and print what it took as JSON."""
    imports = time.time() - launched
    header = fits.getheader(frame)
    facts = {"gain": header["EGAIN"], "saturation_level": header["SATURATE"], "seeing": header["SEEING"]}
    chosen = measure.MeasureOptions.from_arguments({**chosen, **facts}, "sex")
    seconds = []
    for _ in range(2):
        begin = time.perf_counter()
        found = measure.measure_image(Image(frame), chosen)
        parquet.write_catalog(Path(output), found.table, link={"frame_id": 1, "run_id": 1}, provenance={})
        seconds.append(time.perf_counter() - begin)
    took = {"seconds": seconds[0], "again": seconds[1], "imports": imports, "sources": len(found.table), "anonymous": anonymous("self")}
    print(json.dumps(took))


def best_of(function: Any, rounds: int = 5) -> float:
    """Return the least time of a few calls."""
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return min(times)


def maps(frame: Path) -> None:
    """Time the mesh and the source mask of a frame in memory."""
    data = Image(frame).load()
    print(f"{'read':20s}{best_of(lambda: Image(frame).load(), 3):8.2f} s")
    mesh = background.estimate(data)
    print(f"{'mesh':20s}{best_of(lambda: background.estimate(data), 3):8.2f} s   (wanted under 0.5)")
    print(f"{'subtraction':20s}{best_of(lambda: mesh.subtract(data, out=np.empty_like(data)), 3):8.2f} s")
    print(f"{'source mask':20s}{best_of(lambda: mask.source_mask(data), 2):8.2f} s   (wanted under 3, mesh included)", flush=True)


def forced(frame: Path, folder: Path, count: int) -> None:
    """Time circles around given positions."""
    rng, shape = np.random.default_rng(1), Image(frame).shape
    x, y = rng.uniform(50, shape[1] - 50, 2000), rng.uniform(50, shape[0] - 50, 2000)
    mesh = background.estimate(Image(frame).load())
    for number in (1, 2000):
        image = Image(frame)
        seconds = best_of(lambda n=number, i=image: circles.circular(i, x[:n], y[:n], APERTURES, noise=mesh, background=mesh))
        print(f"{f'{number} positions':20s}{1000 * seconds:8.1f} ms   (wanted under {10 if number == 1 else 500})", flush=True)
    many(folder, shape, count)


def many(folder: Path, shape: tuple[int, int], count: int) -> None:
    """Time one position on many sparse files through an archive."""
    header = simulate.frame((64, 64), n_stars=1, seed=1).header
    header["CRPIX1"], header["CRPIX2"] = shape[1] / 2, shape[0] / 2
    root = folder / "many" / BRANCH
    root.mkdir(parents=True)
    for index in range(count):
        header["DATE-OBS"] = f"2025-09-{1 + index // 400:02d}T{index // 60 % 24:02d}:{index % 60:02d}:00.000"
        header["MJD-OBS"] = 60919.0 + index / 1440
        unit = fits.PrimaryHDU(np.zeros((2, 2), np.float32), header)
        unit.header["NAXIS1"], unit.header["NAXIS2"] = shape[1], shape[0]
        path = root / f"calib_7DT01_T00528_2025{index:04d}_000000_m600_100.fits"
        path.write_bytes(unit.header.tostring().encode("ascii"))
        os.truncate(path, (path.stat().st_size + 4 * shape[0] * shape[1] + 2879) // 2880 * 2880)
    archive = Archive.create(folder / "home_many", roots={"scidata": folder / "many"})
    archive.index(progress=False)
    begin = time.perf_counter()
    report = archive.forced((header["CRVAL1"], header["CRVAL2"]), workers=1, progress=False)
    seconds = time.perf_counter() - begin
    note = f"{report.measured} measured, {len(report.failed)} failed"
    print(f"{f'1 on {count} frames':20s}{seconds:8.1f} s   (wanted under 10 for 1,000, one worker); {note}")


def machine() -> str:
    """Describe the processor."""
    names = [text.split(":")[1].strip() for text in Path("/proc/cpuinfo").read_text().splitlines() if text.startswith("model name")]
    return f"{os.cpu_count()} cores of {names[0] if names else 'unknown'}, load average {os.getloadavg()[0]:.1f}"


def parsed() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3, help="of single frames")
    parser.add_argument("--rows", type=int, default=6388)
    parser.add_argument("--columns", type=int, default=9576)
    parser.add_argument("--files", type=int, default=1000, help="on which one position is measured")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="batch,single,forced,maps")
    parser.add_argument("--scenes", default="sparse,crowded")
    parser.add_argument("--folder", type=Path, help="where the frames are made (and kept); a temporary folder by default")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args()


def run(arguments: argparse.Namespace, folder: Path) -> None:
    """Print every table that is asked for."""
    wanted, shape = arguments.only.split(","), (arguments.rows, arguments.columns)
    print(machine())
    for scene in SCENES:
        if scene.name not in arguments.scenes.split(","):
            continue
        frames = sorted((folder / scene.name / BRANCH).glob("*.fits")) or write_frames(folder, scene, shape, arguments.frames)
        print(f"\n{scene.name}: {len(frames)} frames of {shape[1]} x {shape[0]}, {scene.sigma:g} sigma")
        if "batch" in wanted:
            batch(scene, frames, folder, arguments.workers)
        if "single" in wanted:
            single(scene, frames[0], folder, arguments.rounds)
        if "maps" in wanted:
            maps(frames[0])
        if "forced" in wanted and scene is SCENES[0]:
            forced(frames[0], folder, arguments.files)


def main() -> None:
    """Run the benchmark, or one of its children."""
    arguments = parsed()
    if arguments.child is not None:
        measure_one(*json.loads(arguments.child))
        return
    if arguments.folder is not None:
        arguments.folder.mkdir(parents=True, exist_ok=True)
        run(arguments, arguments.folder)
        return
    with tempfile.TemporaryDirectory(prefix="bench_photometry_") as folder:
        run(arguments, Path(folder))


if __name__ == "__main__":
    main()
