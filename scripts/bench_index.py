"""How fast the indexer is: a first index of many files, and a rescan with nothing changed.

    python scripts/bench_index.py [--frames 20000] [--rescan 100000] [--folder FOLDER]

Targets: 400 frames/s a core for a first index (headers of 150 cards, with WCS, footprint, cells and stored headers); 50,000 files/s
for a rescan. Small images (16x16), so that the headers count and not the pixels; the page cache is warm; the database is SQLite.
The rescan's rows are made by the indexer too, of files that are hard links where there are more of them than frames.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from astropy.io import fits

from ezarchive import config, pool
from ezarchive.database import ingest
from ezarchive.database.session import Database
from ezarchive.index import index

CARDS = 150


def header_block(number: int) -> bytes:
    """Return the header of one exposure: 150 cards, a TAN-SIP WCS, as a survey camera writes."""
    header = fits.PrimaryHDU(np.zeros((16, 16), "f4")).header
    values = {
        "OBJECT": f"T{number % 200:05d}", "TELESCOP": "7DT01", "FILTER": f"m{400 + 25 * (number % 20)}", "EXPTIME": 100.0,
        "DATE-OBS": "2025-09-01T00:00:00.000000", "EGAIN": 0.25, "IMAGETYP": "LIGHT", "SEEING": 1.8, "DEPTH": 19.1, "ZP": 24.5,
        "SATURATE": 60000.0, "AIRMASS": 1.2, "XBINNING": 1, "YBINNING": 1, "INSTRUME": "C361K", "CCD-TEMP": -10.0,
        "CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "CRVAL1": (number * 0.7919) % 360, "CRVAL2": -80 + (number * 0.331) % 160,
        "CRPIX1": 8.5, "CRPIX2": 8.5, "CD1_1": -0.05, "CD1_2": 1e-4, "CD2_1": 1e-4, "CD2_2": 0.05, "A_ORDER": 2, "B_ORDER": 2,
        "A_2_0": 1e-7, "A_0_2": 2e-7, "B_2_0": 1e-7, "B_1_1": 3e-7, "NUMBER": number,
    }  # fmt: skip
    for key, value in values.items():
        header[key] = value
    for filler in range(CARDS - len(header)):
        header[f"PAR{filler:05d}"] = (filler * 1.25, "a parameter that the pipeline left behind")
    return header.tostring().encode()


def make_tree(top: Path, n_files: int, n_frames: int) -> None:
    """Write ``n_frames`` files, 500 a folder, and links to them up to ``n_files``."""
    rng = np.random.default_rng(1)
    block = header_block(0)
    written: list[Path] = []
    for number in range(n_files):
        folder = top / "KCT" / f"7DT_C361K_HIGH_1x{1 + number % 2}" / f"T{number // 500:05d}" / "7DT01" / "m600"
        if number % 500 < 2:
            folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"calib_7DT01_T{number // 500:05d}_{number:07d}.fits"
        if number >= n_frames:
            os.link(written[number % n_frames], path)
            continue
        if number % 100 == 0:
            block = header_block(number)
        stamp = np.datetime64("2025-01-01T00:00:00.000000") + np.timedelta64(number * 101, "s")
        content = block.replace(b"2025-09-01T00:00:00.000000", str(stamp).encode())
        path.write_bytes(content + rng.bytes(1024).ljust(2880, b"\0"))
        written.append(path)


def archive_of(home: Path, top: Path) -> SimpleNamespace:
    """Make an archive over the tree."""
    home.mkdir()
    settings = config.Settings(roots={"scidata": config.root_settings("scidata", top)})
    return SimpleNamespace(home=home, settings=settings, database=Database.create(f"sqlite:///{home / 'archive.db'}"))


def enter_without_reading(archive: SimpleNamespace, top: Path) -> None:
    """Make the rows of files that the rescan will meet, without their frames (a rescan looks at files alone)."""
    rows = []
    for folder, _, names in os.walk(top):
        for name in names:
            path = Path(folder, name)
            status = path.stat()
            rows.append((os.fsencode(path.relative_to(top)), status.st_size, status.st_mtime_ns, status.st_ino, "ok"))
    with archive.database.begin() as conn:
        root = archive.settings.roots["scidata"]
        ingest.upsert_files(conn, ingest.upsert_root(conn, "scidata", str(root.path), "science"), rows)


def timed(archive: SimpleNamespace, **options: int) -> tuple[float, float, object]:
    """Return how long an index takes, the processor time of this process (workers not counted), and the report."""
    start, cpu = time.perf_counter(), time.process_time()
    report = index(archive, progress=False, **options)
    return time.perf_counter() - start, time.process_time() - cpu, report


def first_index(folder: Path, n_frames: int) -> None:
    """Time a first index with one process and with one for each core, and a rescan of what it made."""
    top = folder / "frames"
    make_tree(top, n_frames, n_frames)
    cores = pool.worker_count(None)
    for workers in dict.fromkeys((1, cores)):
        archive = archive_of(folder / f"home{workers}", top)
        elapsed, cpu, report = timed(archive, workers=workers)
        assert report.frames == n_frames, str(report)
        rate = n_frames / elapsed
        name = f"first index, {workers} process{'es' if workers > 1 else ''}"
        show(name, n_frames, (elapsed, cpu), f"{rate / min(workers, cores):8.0f} frames/s a core", rate / min(workers, cores) >= 400)
        elapsed, cpu, report = timed(archive)
        assert report.unchanged == n_frames, str(report)
        show("  rescan of these", n_frames, (elapsed, cpu), f"{n_frames / elapsed:8.0f} files/s", n_frames / elapsed >= 50_000)
        archive.database.dispose()


def rescan(folder: Path, n_files: int) -> None:
    """Time rescans of many files with nothing changed."""
    top = folder / "many"
    make_tree(top, n_files, min(n_files, 1000))
    archive = archive_of(folder / "home_many", top)
    enter_without_reading(archive, top)
    for _ in range(3):
        elapsed, cpu, report = timed(archive)
        assert report.unchanged == n_files, str(report)
        show("rescan, nothing changed", n_files, (elapsed, cpu), f"{n_files / elapsed:8.0f} files/s", n_files / elapsed >= 50_000)
    archive.database.dispose()


def show(name: str, number: int, times: tuple[float, float], rate: str, good: bool) -> None:
    """Print a line of the table."""
    elapsed, cpu = times
    text = f"{name:26} {number:>8} files {elapsed:8.2f} s (processor, main process: {cpu:6.2f} s) {rate:24}"
    print(text, "ok" if good else "BELOW TARGET", flush=True)


def main() -> None:
    """Run both and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=10_000, help="files of the first index")
    parser.add_argument("--rescan", type=int, default=100_000, help="files of the rescan")
    parser.add_argument("--folder", type=Path, help="where the files are made (a temporary folder)")
    asked = parser.parse_args()
    load = os.getloadavg()[0]
    cores = pool.worker_count(None)
    print(f"Python {platform.python_version()}, {cores} cores, load {load:.1f} before; {CARDS}-card headers, 16x16 pixels, SQLite")
    with tempfile.TemporaryDirectory(dir=asked.folder) as made:
        first_index(Path(made), asked.frames)
        rescan(Path(made), asked.rescan)


if __name__ == "__main__":
    sys.exit(main())
