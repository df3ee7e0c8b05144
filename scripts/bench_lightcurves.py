"""How fast objects, their store and its light curves are, with LSDB on the same store beside us.

    python scripts/bench_lightcurves.py [--rows 100000000] [--folder FOLDER] [--workers 2]

The archive is synthetic from the catalogs on: fields of 1.3 x 0.9 degrees side by side, 25,000 stars a field, 100 epochs in two filters
on 50 nights, astrometric scatter 0.05 to 0.3 arcsec, 2 % of the stars variable, 3 % of the detections missing. Frames are rows of the
database (no FITS), catalogs are written by `write_catalog`, then everything goes through `Archive.associate`, `Archive.compact` and
`Archive.sql`. All but the last night are joined at once, the last night as a delta, then all is compacted. Times of questions are
medians over different objects in one process with files in the page cache; "first" is the first of them. With ``--folder`` the archive
stays: what an earlier run has made is not made again.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import psutil

from ezarchive import Archive, sky
from ezarchive.catalogs.parquet import write_catalog
from ezarchive.catalogs.paths import catalog_path
from ezarchive.database import ingest, runs, stores
from ezarchive.frames.record import Frame
from ezarchive.store.version import Version

STARS, EPOCHS, FILTERS = 25_000, 100, ("m600", "r")
WIDTH, HEIGHT = 1.3, 0.9
CENTRE = (150.0, 2.0)
MJD_0, NIGHTS = 60900, 50
ZERO_POINT, SKY_SIGMA, EXPOSURE = 24.5, 60.0, 100.0
NAMES = {"observatory": "7DT", "telkey": "7DT_C361K_HIGH_1x1", "telname": "7DT01"}


def centres(n_fields: int) -> list[tuple[float, float]]:
    """Return the centres of fields side by side, row by row."""
    across = int(np.ceil(np.sqrt(n_fields)))
    places = ((number % across, number // across) for number in range(n_fields))
    return [(CENTRE[0] + x * WIDTH, CENTRE[1] + y * HEIGHT) for x, y in places]


def stars(field: int, centre: tuple[float, float]) -> dict[str, np.ndarray]:
    """Return the true stars of a field: no two within 3 arcsec, magnitudes 12 to 18, a few variable."""
    rng = np.random.default_rng([1, field])
    side = np.sqrt(WIDTH * HEIGHT / STARS)
    columns, rows = int(WIDTH / side), int(HEIGHT / side)
    chosen = rng.permutation(columns * rows)[:STARS]
    jitter = rng.uniform(-0.35, 0.35, (2, len(chosen)))
    ra = centre[0] + ((chosen % columns + 0.5 + jitter[0]) / columns - 0.5) * WIDTH
    dec = centre[1] + ((chosen // columns + 0.5 + jitter[1]) / rows - 0.5) * HEIGHT
    mag = 18 - rng.exponential(1.6, len(chosen)).clip(0, 6)
    amplitude = np.where(rng.random(len(chosen)) < 0.02, rng.uniform(0.1, 0.8, len(chosen)), 0.0)
    return {"ra": ra, "dec": dec, "mag": mag, "amplitude": amplitude, "period": rng.uniform(0.3, 20, len(chosen))}


def epoch(number: int) -> tuple[float, str, str]:
    """Return time, night and filter of an epoch."""
    night = number * NIGHTS // EPOCHS
    evening = np.datetime64("1858-11-17") + MJD_0 + night - 1
    return MJD_0 + night + 0.2 + 0.002 * (number % 2), str(evening), FILTERS[number % 2]


def catalog(field: int, number: int, truth: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return what one epoch measures of a field."""
    rng = np.random.default_rng([2, field, number])
    mjd = epoch(number)[0]
    seen = np.flatnonzero(rng.random(len(truth["ra"])) > 0.03)
    mag = truth["mag"][seen] + truth["amplitude"][seen] * np.sin(2 * np.pi * mjd / truth["period"][seen])
    flux = 10 ** (0.4 * (ZERO_POINT - mag))
    err = np.sqrt(flux / 0.25 + SKY_SIGMA**2)
    scatter = np.hypot(0.05, 1.0 * err / flux) / 3600
    ra = truth["ra"][seen] + scatter * rng.standard_normal(len(seen)) / np.cos(np.radians(truth["dec"][seen]))
    dec = truth["dec"][seen] + scatter * rng.standard_normal(len(seen))
    n = len(seen)
    return {
        "_healpix_29": sky.cell_of(ra, dec, 29), "NUMBER": np.arange(1, n + 1, dtype=np.int32), "ALPHA_J2000": ra, "DELTA_J2000": dec,
        "FLUX_APER": flux + err * rng.standard_normal(n), "FLUXERR_APER": err, "SKYSIG_APER": np.full(n, SKY_SIGMA),
        "FLAGS_APER": np.zeros(n, np.int16), "FLAGS": np.zeros(n, np.int16),
    }  # fmt: skip


def write_field(home: str, run_id: int, field: int, centre: tuple[float, float], frame_ids: list[int]) -> list[runs.NewCatalog]:
    """Write the catalogs of a field."""
    truth, made = stars(field, centre), []
    for number, frame_id in enumerate(frame_ids):
        mjd, _, band = epoch(number)
        names = {**NAMES, "objname": f"F{field:04d}", "filter": band}
        path = str(catalog_path(run_id, frame_id, names=names, relpath=f"f{field:04d}_{number:03d}.fits"))
        link = {"frame_id": frame_id, "run_id": run_id, "telname": "7DT01", "filter": band, "mjd_mid": mjd, "exptime": EXPOSURE}
        written = write_catalog(Path(home) / path, catalog(field, number, truth), link=link, provenance={}, durable=False)
        made.append(runs.NewCatalog(frame_id, run_id, "sex", path, written.rows, written.sha256, 2.0, 19.0, 5.0, (5.0,)))
    return made


def frames(field: int, centre: tuple[float, float]) -> list[tuple[Frame, np.ndarray, bytes]]:
    """Return records, cells and paths of the frames of a field."""
    x, y = WIDTH / 2, HEIGHT / 2
    outline = np.array([[centre[0] + dx, centre[1] + dy] for dx, dy in ((-x, -y), (x, -y), (x, y), (-x, y))])
    cells, region, made = sky.cells_of_polygon(outline), sky.s_region(outline), []
    for number in range(EPOCHS):
        mjd, night, band = epoch(number)
        key = f"{field:08d}{number:04d}"
        record = Frame(
            **NAMES, objname=f"F{field:04d}", filter=band, kind="science", object_raw=f"F{field:04d}", night=night, mjd_start=mjd - 0.0006,
            mjd_mid=mjd, mjd_end=mjd + 0.0006, exptime=EXPOSURE, ncombine=1, naxis1=9576, naxis2=6388, wcs_ok=True, ra=centre[0],
            dec=centre[1], radius=0.7906, s_region=region, pixel_scale=0.505, gain=0.25, bunit="ADU", seeing=2.0, depth=19.0,
            depth_aperture=5.0, zero_point=ZERO_POINT, zero_point_err=0.003, zero_point_aperture=5.0, zero_point_system="AB", quality=0,
            header_hash=key, data_sample=key, origin={},
        )  # fmt: skip
        made.append((record, cells, f"7DT/7DT_C361K_HIGH_1x1/F{field:04d}/7DT01/{band}/f{field:04d}_{number:03d}.fits".encode()))
    return made


def fill(folder: Path, n_fields: int, workers: int) -> None:
    """Make the archive: frames and catalogs of every epoch. Those of the last night are written, but not recorded."""
    root = folder / "data"
    root.mkdir(parents=True)
    archive = Archive.create(folder / "archive", roots={"scidata": root})
    places, frame_ids = centres(n_fields), []
    with archive.database.begin() as conn:
        number = ingest.upsert_root(conn, "scidata", str(root), "science")
        for field, centre in enumerate(places):
            items = frames(field, centre)
            rows = [(path, 1000, 10**18 + field, field * EPOCHS + k + 1, "ok") for k, (_, _, path) in enumerate(items)]
            file_ids = ingest.upsert_files(conn, number, rows)
            ids = ingest.insert_frames(conn, [(record, cells, None) for record, cells, _ in items])
            ingest.link(conn, [(frame_id, file_id, 0) for frame_id, file_id in zip(ids, file_ids, strict=True)])
            ingest.refresh(conn, ids)
            frame_ids.append(ids)
        recipe = runs.get_recipe(conn, "sex", {"bench": True}, [5.0])
        run_id = runs.open_run(conn, recipe, {"bench": "1"}).run_id
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(write_field, str(archive.home), run_id, k, centre, frame_ids[k]) for k, centre in enumerate(places)]
        rows = [row for job in jobs for row in job.result()]
    late = {frame_id for ids in frame_ids for frame_id in ids[-EPOCHS // NIGHTS :]}
    with archive.database.begin() as conn:
        runs.add_catalogs(conn, [row for row in rows if row.frame_id not in late])
    (folder / "last_night.json").write_text(json.dumps([row for row in rows if row.frame_id in late]))
    archive.close()


def current(archive: Archive) -> int | None:
    """Return the number of the store's version."""
    with archive.database.connect() as conn:
        return stores.current(conn)


class Memory:
    """The most anonymous memory that this process and those below it have held together, MB."""

    def __init__(self) -> None:
        self.most, self._over = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def _sample(self) -> None:
        me = psutil.Process()
        while not self._over.wait(0.1):
            held = 0
            for process in (me, *me.children(recursive=True)):
                try:
                    info = process.memory_info()
                    held += info.rss - info.shared
                except psutil.Error:
                    continue
            self.most = max(self.most, held / 1e6)


def timed(label: str, rows: int, function: Callable[[], Any], wanted: str) -> Any:
    """Run something that handles rows, and print its rate and memory."""
    cpu = _cpu()
    started = time.perf_counter()
    with Memory() as memory:
        answer = function()
    took, cpu = time.perf_counter() - started, _cpu() - cpu
    print(f"{label:46s}{took:9.1f} s {rows / took / 1e3:9,.0f} k rows/s {rows / cpu / 1e3:9,.0f} k rows/s of CPU time "
          f"{memory.most:7,.0f} MB   (wanted {wanted})", flush=True)  # fmt: skip
    return answer


def _cpu() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def associate(archive: Archive, late: list[runs.NewCatalog], workers: int) -> None:
    """Join everything: all nights but one at once, the last as a delta; compact. What is done already is not done again."""
    with archive.database.connect() as conn:
        rows = conn.exec_driver_sql("SELECT sum(n_rows) FROM catalog").scalar_one()
        number = stores.current(conn) or 0
    if number < 1:
        print(timed("associate, all but one night", rows, lambda: archive.associate(workers=workers), "200 k/s a core, 2,000 MB"))
    if number < 2:
        with archive.database.begin() as conn:
            runs.add_catalogs(conn, late)
        rows = sum(row.n_rows for row in late)
        print(timed("associate, one night more", rows, lambda: archive.associate(workers=workers), "200 k/s a core"))
    if number < 3:
        with archive.database.connect() as conn:
            rows = conn.exec_driver_sql("SELECT sum(n_rows) FROM catalog").scalar_one()
        timed("compact the whole store", rows, lambda: archive.compact(workers=workers), "1,000 k/s, 2,000 MB")


def asked(label: str, questions: list[Callable[[], Any]], wanted: str, others: list[Callable[[], Any]] | None = None) -> None:
    """Print the median time of questions, ours and those of LSDB."""
    ours, n = _times(questions)
    line = f"{label:46s}{_ms(ours[0])} first {_ms(statistics.median(ours))} median {_ms(max(ours))} most {n:10,d} rows   (wanted {wanted})"
    if others:
        theirs, m = _times(others)
        line += f"   LSDB {_ms(statistics.median(theirs))} median {m:10,d} rows"
    print(line, flush=True)


def _times(questions: list[Callable[[], Any]]) -> tuple[list[float], int]:
    times, rows = [], 0
    for question in questions:
        started = time.perf_counter()
        answer = question()
        times.append(1000 * (time.perf_counter() - started))
        rows = len(answer) if hasattr(answer, "__len__") else 1
    return times, rows


def _ms(value: float) -> str:
    return f"{value:9.1f} ms"


def ask(archive: Archive) -> None:
    """Ask what LSDB's own users ask."""
    started = time.perf_counter()
    totals = archive.sql("SELECT count(*) AS objects, sum(n_det) AS detections FROM objects").to_pandas()
    print(f"\nfirst query of the process: {1000 * (time.perf_counter() - started):.0f} ms; {totals.to_dict('records')[0]}")
    sample = "SELECT object_id, ra, dec FROM objects WHERE n_det > 50 USING SAMPLE reservoir(1000 ROWS) REPEATABLE (7)"
    some = archive.sql(sample).to_pandas()
    ids, places = some["object_id"].tolist(), list(zip(some["ra"], some["dec"], strict=True))
    peer = Peer(archive)
    asked("one object by id, SQL", [_sql(archive, "SELECT * FROM light_curve WHERE object_id = ?", [i]) for i in ids[:300]], "10 ms",
          [lambda i=i: peer.by_id([i]) for i in ids[:5]])  # fmt: skip
    asked("one object by id, lc()", [_sql(archive, f"SELECT mjd_mid, mag, mag_err FROM lc({i})", None) for i in ids[:300]], "10 ms")
    asked("one object by id, archive.light_curve", [lambda i=i: archive.light_curve(i) for i in ids[:100]], "-")
    cone = "SELECT * FROM light_curve WHERE angular_separation(ra, dec, ?, ?) < 5 / 3600"
    asked("cone of 5 arcsec, light curves", [_sql(archive, cone, list(place)) for place in places[:300]], "15 ms",
          [lambda place=place: peer.cone("light_curve", *place, 5) for place in places[:5]])  # fmt: skip
    asked("cone of 5 arcsec, objects", [_sql(archive, "SELECT * FROM cone(?, ?, 5)", list(place)) for place in places[:300]], "15 ms",
          [lambda place=place: peer.cone("objects", *place, 5) for place in places[:5]])  # fmt: skip
    asked("cone of 1 degree, objects", [_sql(archive, "SELECT * FROM cone(?, ?, 3600)", list(place)) for place in places[:5]], "500 ms",
          [lambda place=place: peer.cone("objects", *place, 3600) for place in places[:3]])  # fmt: skip
    many = f"SELECT object_id, mjd_mid, mag, mag_err FROM light_curve WHERE object_id IN ({', '.join(map(str, ids))})"
    asked("1,000 light curves over the whole sky", [_sql(archive, many, None)] * 3, "1,000 ms", [lambda: peer.by_id(ids)])
    near = "SELECT object_id, mjd_mid, mag, mag_err FROM light_curve JOIN cone(?, ?, 420) USING (object_id)"
    asked("about 1,000 light curves, a cone of 7 arcmin", [_sql(archive, near, list(place)) for place in places[:5]], "1,000 ms")
    asked("one column of the whole sky: mean of mag", [_sql(archive, "SELECT avg(mag) FROM light_curve", None)] * 3, "-",
          [lambda: peer.mean("light_curve", "mag")])  # fmt: skip
    best = "SELECT object_id, ra, dec, chi2_reduced, amplitude FROM objects WHERE n_good > 20 ORDER BY chi2_reduced DESC LIMIT 100"
    asked("the most variable 100 objects", [_sql(archive, best, None)] * 3, "10,000 ms", [peer.most_variable])


def _sql(archive: Archive, query: str, parameters: list[Any] | None) -> Callable[[], Any]:
    return lambda: archive.sql(query, parameters)


class Peer:
    """LSDB on the same files."""

    def __init__(self, archive: Archive) -> None:
        import lsdb  # noqa: PLC0415  an extra

        self.folder = archive.home / "store" / str(current(archive))
        self.open = lsdb.open_catalog

    def by_id(self, ids: list[int]) -> Any:
        """Return light curves."""
        columns = ["object_id", "mjd_mid", "mag", "mag_err"]
        return self._quiet(lambda: self.open(self.folder / "light_curve", columns=columns, filters=[("object_id", "in", ids)]).compute())

    def cone(self, name: str, ra: float, dec: float, arcsec: float) -> Any:
        """Return the rows in a cone."""
        return self._quiet(lambda: self.open(self.folder / name).cone_search(ra, dec, arcsec).compute())

    def mean(self, name: str, column: str) -> Any:
        """Return the mean of a column."""
        return self._quiet(lambda: self.open(self.folder / name, columns=[column])[column].mean().compute())

    def most_variable(self) -> Any:
        """Return the objects of largest chi2."""
        columns = ["object_id", "ra", "dec", "chi2_reduced", "amplitude", "n_good"]
        read = self.open(self.folder / "objects", columns=columns, filters=[("n_good", ">", 20)])
        return self._quiet(lambda: read.compute().nlargest(100, "chi2_reduced"))

    @staticmethod
    def _quiet(function: Callable[[], Any]) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function()


def partitions(archive: Archive) -> None:
    """Print the partitions and files of the store, and what follows for larger ones."""
    files = Version.open(archive.home, current(archive)).paths("light_curve")
    size = sum(path.stat().st_size for path in files)
    rows = archive.sql("SELECT count(*) AS n FROM light_curve WHERE object_id IS NOT NULL").to_pandas()["n"][0]
    print(f"\n{len(files)} files of light curves, {size / 1e9:.2f} GB, {size / rows:.1f} bytes a row, {rows / len(files):,.0f} rows a file")
    for power in (9, 11):
        n = 10**power
        follows = f"{n * len(files) / rows:,.0f} files, {n * size / rows / 1e12:.2f} TB"
        print(f"10^{power} rows: {follows}; a question by id or cone opens one to four of them, as here")


def machine() -> str:
    """Return what this was measured on."""
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=lambda text: int(float(text)), default=100_000_000)
    parser.add_argument("--folder", type=Path, help="where the archive stays for the next time")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--fill-only", action="store_true", help="only write the catalogs")
    arguments = parser.parse_args()
    n_fields = max(1, round(arguments.rows / STARS / EPOCHS / 0.97))
    print(f"{machine()}; {n_fields} fields of {STARS:,d} stars, {EPOCHS} epochs", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary) / "bench"
        if not (folder / "last_night.json").exists():
            started = time.perf_counter()
            fill(folder, n_fields, arguments.workers)
            print(f"catalogs written in {time.perf_counter() - started:.0f} s", flush=True)
        late = [runs.NewCatalog(*row) for row in json.loads((folder / "last_night.json").read_text())]
        with Archive.open(folder / "archive") as archive:
            if not arguments.fill_only:
                associate(archive, late, arguments.workers)
                ask(archive)
                partitions(archive)
    return 0


if __name__ == "__main__":
    sys.exit(main())
