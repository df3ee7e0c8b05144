"""How long questions to the headers of a hundred thousand frames take, on SQLite and on PostgreSQL.

``python scripts/bench_keywords.py [--frames 100000] [--engine sqlite|postgresql|both] [--keep FOLDER]``

Headers are synthetic, of 150 cards. Times are of one process and one run: on the wall, and of its processor; the disk cache is warm. What
the search for the frames alone takes is in each of them.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from ezarchive import config
from ezarchive.browse import DataBrowser
from ezarchive.database import ingest
from ezarchive.database.session import Database
from ezarchive.frames.record import Frame

CARDS, PLACE, BATCH = 150, 70, 5000


def headers(n: int) -> Iterator[bytes]:
    """Yield headers in which a third of the cards differ from frame to frame, packed as the index packs them."""
    rng = np.random.default_rng(1)
    cards = [_card(k, rng.uniform(0, 1e4)) for k in range(CARDS)]
    for _ in range(n):
        for k in rng.integers(0, CARDS, CARDS // 3):
            cards[k] = _card(int(k), rng.uniform(0, 1e4))
        cards[PLACE] = f"AIRMASS = {1 + rng.random():20.6f} / air mass at mid exposure".encode().ljust(80)
        cards[PLACE + 1] = f"EXPTIME = {rng.choice([30, 60, 100]):20d} / s".encode().ljust(80)
        yield zlib.compress(b"".join(cards), 2)


def _card(k: int, value: float) -> bytes:
    return f"KEY{k:05d}= {value:20.8f} / comment number {k} of this header".encode().ljust(80)


def fill(url: str, folder: Path, n: int) -> DataBrowser:
    """Make an archive of synthetic frames, and return a browser."""
    home, root = folder / "home", folder / "scidata"
    home.mkdir(exist_ok=True)
    root.mkdir(exist_ok=True)
    database = Database.create(url or f"sqlite:///{home / 'archive.db'}")
    config.create(home, config.Settings(roots={"scidata": config.root_settings("scidata", {"path": root})}))
    packed = headers(n)
    with database.begin() as conn:
        root_id = ingest.upsert_root(conn, "scidata", str(root), "science")
        for first in range(0, n, BATCH):
            places = range(first, min(n, first + BATCH))
            files = ingest.upsert_files(conn, root_id, [(os.fsencode(f"f{k}.fits"), 100, 1, k, "ok") for k in places])
            ids = ingest.insert_frames(conn, [(_frame(k), (), next(packed)) for k in places])
            ingest.link(conn, [(frame_id, file_id, 0) for frame_id, file_id in zip(ids, files, strict=True)])
            ingest.refresh(conn, ids)
    return DataBrowser(SimpleNamespace(home=home, settings=config.load(home), database=database))


def _frame(k: int) -> Frame:
    return Frame(kind="science", filter="rg"[k % 2], mjd_mid=60000 + k * 1e-3, naxis1=2, naxis2=2, header_hash=f"{k:032x}")


def ask(browser: DataBrowser) -> None:
    """Ask, and print how long it took."""
    questions = {
        "the frames alone": lambda: len(browser.frames()),
        "AIRMASS above 1.9": lambda: browser.where_keyword("AIRMASS", above=1.9).count(),
        "a keyword that is nowhere": lambda: browser.where_keyword("NOWHERE", exists=True).count(),
        "AIRMASS above 1.9 in one filter of two": lambda: browser.where(filter="r").where_keyword("AIRMASS", above=1.9).count(),
        "a table of EXPTIME and AIRMASS": lambda: len(browser.keywords("EXPTIME", "AIRMASS")),
    }
    for name, question in questions.items():
        wall, processor = time.perf_counter(), time.process_time()
        found = question()
        print(f"{name:40s} {time.perf_counter() - wall:7.2f} s, processor {time.process_time() - processor:6.2f} s, {found} found")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--engine", choices=("sqlite", "postgresql", "both"), default="sqlite")
    parser.add_argument("--keep", type=Path, help="folder for the archives; by default a temporary one")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        for engine in ("sqlite", "postgresql") if chosen.engine == "both" else (chosen.engine,):
            folder = (chosen.keep or Path(temporary)) / engine
            folder.mkdir(parents=True, exist_ok=True)
            url = ""
            if engine == "postgresql":
                sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
                import engines  # noqa: PLC0415  of the tests, which alone know how to start a server

                url = engines.server().make()
            print(f"{engine}, {chosen.frames} frames")
            ask(fill(url, folder, chosen.frames))


if __name__ == "__main__":
    main()
