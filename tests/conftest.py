"""Fixtures of the whole suite."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

import ezarchive
from ezarchive import simulate
from ezarchive.database import migrate
from ezarchive.images.mask import source_mask
from ezarchive.photometry import forced
from ezarchive.photometry.detection import SexOptions, sex
from ezarchive.simulate import ToyArchive
from ezarchive.warmup import warm_up, warm_up_association, warm_up_quicklook

REPOSITORY = Path(__file__).resolve().parents[1]


def data_folder() -> Path:
    """Return the folder of real frames: `EZARCHIVE_TEST_DATA`, or `../shared/data` beside the repository."""
    return Path(os.environ.get("EZARCHIVE_TEST_DATA", REPOSITORY.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real frames; tests that need it are skipped where it is absent."""
    folder = data_folder()
    if not (folder / "decam").is_dir():
        pytest.skip("no real frames: set EZARCHIVE_TEST_DATA to their folder")
    return folder


def pytest_configure(config: pytest.Config) -> None:
    """Compile all loops once, before the workers of pytest-xdist are started: no test waits for it."""
    if getattr(config.option, "numprocesses", None) and not config.option.collectonly:
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ.setdefault(name, "1")  # several threads in each worker would spin on the others' cores: fits take twice as long
        compile_loops()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Compile all loops before the first test's clock runs: where no run has done it that takes minutes."""
    in_worker = hasattr(session.config, "workerinput")
    if session.items and not session.config.option.collectonly and not in_worker:
        compile_loops()


def compile_loops() -> None:
    """Call the compiled loops with every type of array that tests give them; what is compiled is kept beside the source."""
    for dtype in (np.float32, np.float64):
        warm_up(np.dtype(dtype).name)
        star = np.zeros((40, 40), dtype)
        star[15:25, 15:25] = 100.0
        sex(star, SexOptions(satur_level=1e3), noise=np.ones_like(star))
        for kind in (np.bool_, np.int16):
            sex(star, SexOptions(satur_level=1e3), noise=1.0, mask=np.zeros(star.shape, kind))
        forced.circular(star, np.array([20.0]), np.array([20.0]), 4.0, forced.ForcedOptions(gain=1.0, annulus_width=8.0))
        source_mask(np.pad(star, 60) + np.random.default_rng(1).normal(size=(160, 160)).astype(dtype), saturation=50.0)
    warm_up_association()
    warm_up_quicklook()


def pytest_terminal_summary(terminalreporter):
    """Say how many tests were skipped for want of the real frames."""
    wanting = [r for r in terminalreporter.stats.get("skipped", ()) if "EZARCHIVE_TEST_DATA" in str(r.longrepr)]
    terminalreporter.write_line(f"{len(wanting)} tests skipped for want of the real frames ({data_folder().name})")


STEPS_MATTER = {"test_schema.py", "test_session.py"}
"""Files whose databases go through all the steps of the schema themselves."""

_through_all_steps = migrate._upgrade_sqlite
_empty = sqlite3.connect(":memory:", check_same_thread=False)
"""What the steps made of the first empty database of a process."""


def _upgrade_or_copy(engine: sa.Engine, config: Any, to: str) -> None:
    """Bring an empty SQLite database to the newest step by a copy of one that went there, which takes a tenth of the time."""
    with engine.connect() as conn:
        tables = sa.inspect(conn).get_table_names()
    if tables or to != "head" or config.get_main_option("script_location") != str(migrate.scripts()):
        _through_all_steps(engine, config, to)
        return
    made = bool(_empty.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    if not made:
        _through_all_steps(engine, config, to)
    with engine.connect() as conn:
        ours = conn.connection.driver_connection
        (_empty.backup(ours) if made else ours.backup(_empty))
        conn.invalidate()


@pytest.fixture(scope="session", autouse=True)
def copied_schema() -> Iterator[None]:
    """Let databases that tests make in this process begin as copies of the first one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrate, "_upgrade_sqlite", _upgrade_or_copy)
        yield


@pytest.fixture(autouse=True)
def all_steps(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """But not where the steps are what is tested."""
    if request.path.name in STEPS_MATTER:
        monkeypatch.setattr(migrate, "_upgrade_sqlite", _through_all_steps)


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator of random numbers with a fixed seed."""
    return np.random.default_rng(20260101)


@pytest.fixture(scope="session")
def toy_sky(tmp_path_factory: pytest.TempPathFactory) -> ToyArchive:
    """Two science frames of one field, in two filters, with reference and calibration frames."""
    folder = tmp_path_factory.mktemp("toy")
    return simulate.toy_archive(
        folder, shape=(200, 220), targets=simulate.TARGETS[:1], telescopes=("7DT01",), filters=("m600", "m625"), n_epochs=1, lacking=0.0
    )


@pytest.fixture
def small_archive(toy_sky: ToyArchive) -> Callable[..., Path]:
    """Make an archive of a copy of `toy_sky`'s science frames, which lies beside the home; return the home."""

    def make(home: Path, *, indexed: bool = True) -> Path:
        tree = shutil.copytree(toy_sky.scidata, home.with_name(f"{home.name}-scidata"))
        with ezarchive.Archive.create(home, roots={"scidata": tree}) as archive:
            if indexed:
                archive.index(progress=False)
        return home

    return make
