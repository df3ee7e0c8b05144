"""Fits of many images in several processes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import psutil
import pytest

from ezarchive.compare import (
    FitImageAndStarPhotometryMP,
    FitImagePhotometryMP,
    FitStarPhotometryMP,
    UserError,
    WorkerError,
)
from ezarchive.compare.iterators import _workers
from ezarchive.errors import FrameError, InputError
from ezarchive.simulate.pairs import image_pair

FREE = {"fix_beta": 2.5}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A reference, and images of it that lie at dx = .05, .10, .15, .20 arcsec."""
    made = tmp_path_factory.mktemp("iterators")
    for i in range(4):
        pair = image_pair(shape=(80, 90), seed=5, n_discs=10, n_stars=2, dx=0.05 * (i + 1))
        shutil.move(pair.write(made) / "image.fits", made / f"image{i}.fits")
    return made


@pytest.fixture(scope="module")
def star():
    return (*image_pair(shape=(80, 90), seed=5, n_discs=10, n_stars=2).star, 2.5)


def images(folder):
    return [folder / f"image{i}.fits" for i in range(4)]


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.truth
def test_results_come_in_the_order_of_the_images(folder):
    paths = images(folder)[::-1]
    with FitImagePhotometryMP(folder / "reference.fits", paths, FREE, nworker=2) as fits:
        assert fits.nworker == 2
        assert len(fits) == 4
        found = [(result.name, result.dx.value) for result in fits]
    assert [name for name, _ in found] == ["image3", "image2", "image1", "image0"]
    assert [dx for _, dx in found] == pytest.approx([0.20, 0.15, 0.10, 0.05], abs=0.005)


@pytest.mark.truth
def test_in_this_process(folder, star):
    fits = FitStarPhotometryMP(str(folder / "reference.fits"), [str(path) for path in images(folder)[:2]], {"star": star}, 1)
    assert next(fits).name == "image0"
    assert fits.next().name == "image1"
    with pytest.raises(StopIteration):
        next(fits)


@pytest.mark.truth
def test_pairs_of_results(folder, star):
    with FitImageAndStarPhotometryMP(folder / "reference.fits", images(folder)[:1], {"star": star, **FREE}) as fits:
        ((of_image, of_star),) = fits
    assert (of_image.method, of_star.method) == ("image", "stars")


@pytest.mark.pure
def test_one_path_and_none(folder):
    with FitImagePhotometryMP(folder / "reference.fits", folder / "image0.fits", FREE) as fits:
        assert [result.name for result in fits] == ["image0"]
    assert list(FitImagePhotometryMP(folder / "reference.fits", [])) == []


@pytest.mark.pure
def test_a_file_that_is_not_there_does_not_end_the_others(folder):
    fits = FitImagePhotometryMP(folder / "reference.fits", [folder / "none.fits", folder / "image0.fits"], FREE, nworker=1)
    with pytest.raises(FrameError, match="none.fits: is not there"):
        next(fits)
    assert next(fits).name == "image0"


@pytest.mark.pure
def test_after_the_block_no_results_come(folder):
    with FitImagePhotometryMP(folder / "reference.fits", images(folder), FREE, nworker=1) as fits:
        next(fits)
    with pytest.raises(StopIteration):
        next(fits)


@pytest.mark.pure
@pytest.mark.parametrize(
    ("kind", "kwargs", "message"),
    [
        (FitStarPhotometryMP, {}, "star None: must be three numbers"),
        (FitStarPhotometryMP, {"star": (1.0, 2.0, -3.0)}, "its radius must be a positive number"),
        (FitImageAndStarPhotometryMP, {"star": "abc"}, "must be three numbers"),
        (FitImagePhotometryMP, {"star": (1.0, 2.0)}, "must be three numbers"),
        (FitImagePhotometryMP, {"beta": 2}, "kwargs: 'beta' must not be given; fit_image_photometry takes regions, "),
        (FitImagePhotometryMP, {"muse": 2}, "kwargs: 'muse' must not be given"),
        (FitImagePhotometryMP, ["star"], "kwargs: must be a mapping of arguments of fit_image_photometry, found list"),
    ],
)
def test_wrong_arguments_are_told_at_once(kind, kwargs, message):
    with pytest.raises(UserError, match=message):
        kind("hst.fits", ["muse.fits"], kwargs)


@pytest.mark.pure
def test_only_files():
    with pytest.raises(InputError, match="muse_filenames: must be paths of files, found int"):
        FitImagePhotometryMP("hst.fits", [3])
    with pytest.raises(InputError, match=r"nworker=1\.5: must be a whole number of processes"):
        FitImagePhotometryMP("hst.fits", ["a.fits"], {}, 1.5)


@pytest.mark.pure
def test_how_many_processes(monkeypatch):
    monkeypatch.setattr("ezarchive.pool.worker_count", lambda asked: 8)
    assert [_workers(asked, 20) for asked in (0, -1, -7, -8, -50, 3, 30)] == [8, 7, 1, 1, 1, 3, 20]
    assert [_workers(asked, 2) for asked in (0, -1, 3)] == [2, 2, 2]
    assert _workers(0, 0) == 1


class Broken:
    """An argument that no fit can use."""

    def __str__(self):
        raise ZeroDivisionError("by zero")


@pytest.mark.pure
def test_any_other_error_is_a_worker_error(folder):
    with FitImagePhotometryMP(folder / "reference.fits", images(folder)[:1], {"title": 1, "hardcopy": Broken()}, nworker=1) as fits:
        with pytest.raises(WorkerError, match="image0.fits: ZeroDivisionError: by zero") as err:
            next(fits)
    assert "Traceback" in err.value.traceback and "in fit_image_photometry" in err.value.traceback


class Deadly:
    """An argument that ends the process that it comes to."""

    def __reduce__(self):
        return os._exit, (9,)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.pure
def test_an_image_that_kills_its_process(folder):
    with FitImagePhotometryMP(folder / "reference.fits", images(folder)[:2], {"title": Deadly()}, nworker=2) as fits:
        with pytest.raises(WorkerError, match="image0.fits: the process that worked on it died"):
            next(fits)
        with pytest.raises(WorkerError, match="image1.fits: the process that worked on it died"):
            next(fits)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.pure
def test_a_process_that_is_killed_costs_no_image(folder):
    paths = images(folder) * 3
    with FitImagePhotometryMP(folder / "reference.fits", paths, FREE, nworker=2) as fits:
        first = next(fits)
        for child in children()[:1]:
            child.send_signal(signal.SIGKILL)
        names = [first.name, *(result.name for result in fits)]
    assert names == [f"image{i}" for i in range(4)] * 3


def children():
    """Processes that were started here and work."""
    return [one for one in psutil.Process().children() if "spawn_main" in " ".join(one.cmdline())]


SCRIPT = """
import sys
from ezarchive.compare import FitImagePhotometryMP

with FitImagePhotometryMP(sys.argv[1], sys.argv[2:], {"fix_beta": 2.5}, nworker=2) as fits:
    for result in fits:
        print(result.name, flush=True)
"""


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.pure
def test_ctrl_c_ends_a_script_without_a_main_guard(folder, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    arguments = [sys.executable, str(script), str(folder / "reference.fits"), *(str(path) for path in images(folder) * 50)]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout.readline() == "image0\n"
    workers = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in told
    end = time.monotonic() + 20
    while any(worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE for worker in workers) and time.monotonic() < end:
        time.sleep(0.1)
    assert not [worker for worker in workers if worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE]
