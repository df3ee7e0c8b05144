"""Fixtures of the whole suite."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import ezarchive
from ezarchive import simulate
from ezarchive.photometry.detection import SexOptions, sex
from ezarchive.simulate import ToyArchive
from ezarchive.warmup import warm_up

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
    """Compile the measuring loops once, before the workers of pytest-xdist are started: no test waits for it."""
    if getattr(config.option, "numprocesses", None):
        for dtype in ("float32", "float64"):
            warm_up(dtype)


def pytest_terminal_summary(terminalreporter):
    """Say how many tests were skipped for want of the real frames."""
    wanting = [r for r in terminalreporter.stats.get("skipped", ()) if "EZARCHIVE_TEST_DATA" in str(r.longrepr)]
    terminalreporter.write_line(f"{len(wanting)} tests skipped for want of the real frames ({data_folder().name})")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Compile the loops of detection and measurement before the first test's clock runs: where no run has done it that takes a minute."""
    room = REPOSITORY / "ezarchive"
    compiled = [path.stat().st_mtime for path in (room / "photometry" / "__pycache__").glob("kernels_sources.measure-*.nbi")]
    sources = [path.stat().st_mtime for path in (*room.glob("photometry/kernels_*.py"), *room.glob("kernels/*.py"))]
    if not session.items or session.config.option.collectonly or max(compiled, default=0.0) > max(sources, default=0.0):
        return
    for dtype in (np.float32, np.float64):
        star = np.zeros((40, 40), dtype)
        star[15:25, 15:25] = 100.0
        sex(star, SexOptions(satur_level=1e3), noise=np.ones_like(star))
        sex(star, SexOptions(satur_level=1e3), noise=1.0, mask=np.zeros(star.shape, bool))


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
