"""Comparisons in parts: the same records in the same order, however they are shared out."""

from __future__ import annotations

from pathlib import Path

import pytest

from ezarchive.compare.anchoring import tasks as module
from ezarchive.compare.anchoring.tasks import images_at_once, run_tasks, split_task
from ezarchive.compare.anchoring.work import AnchorJob, AnchorTask, BandImage
from ezarchive.errors import MeasurementError


def task(folder, name, surveys=(), references=(), prepare=False):
    path = folder / name
    path.write_bytes(b"x" * len(surveys))
    return AnchorTask(AnchorJob(paths=None, common="gauss4", threads=4), BandImage("F770W", path), surveys, references, prepare)


@pytest.mark.pure
def test_parts_of_a_task(tmp_path):
    other = BandImage("F1000W", Path("o.fits"))
    parts = split_task(task(tmp_path, "a.fits", ("one", "two"), (other,), prepare=True), 3)
    assert [(part.surveys, part.references, part.prepare) for part in parts] == [
        (("one",), (), False),
        (("two",), (), False),
        ((), (other,), True),
    ]
    assert {part.job.threads for part in parts} == {3}
    assert len(split_task(task(tmp_path, "a.fits"), 1)) == 1, "a task of nothing is still one"


@pytest.mark.pure
@pytest.mark.parametrize("at_once", [1, 2, 4])
def test_records_are_in_the_order_of_tasks(tmp_path, monkeypatch, at_once):
    def fit(part):
        if part.surveys == ("dies",):
            raise MeasurementError("worker_died", "the process died")
        return tuple(f"{part.target.image.name} {name}" for name in part.surveys)

    monkeypatch.setattr(module, "fit_image", fit)
    monkeypatch.setattr(module, "images_at_once", lambda _: at_once)
    given = [task(tmp_path, "a.fits", ("one", "dies", "two")), task(tmp_path, "b.fits", ("one", "two", "three", "four"))]
    made = run_tasks(given, 1, module.pool.Team(1))
    assert [one for one, _ in made] == given
    first, second = (records for _, records in made)
    assert (first[0], first[2]) == ("a.fits one", "a.fits two") and first[1].code == "worker_died"
    assert second == ("b.fits one", "b.fits two", "b.fits three", "b.fits four")


@pytest.mark.pure
def test_errors_of_the_machine_stop_all(tmp_path, monkeypatch):
    def full(_):
        raise OSError("no space left on device")

    monkeypatch.setattr(module, "fit_image", full)
    with pytest.raises(OSError, match="no space left"):
        run_tasks([task(tmp_path, "a.fits", ("one", "two"))], 1, module.pool.Team(1))


@pytest.mark.pure
def test_images_are_worked_on_at_once_as_memory_allows(tmp_path, monkeypatch):
    path = tmp_path / "a.fits"
    path.write_bytes(b"x" * 1000)
    asked = {}
    monkeypatch.setattr(module.pool, "worker_count", lambda asked_for, bytes_each: asked.update(n=asked_for, each=bytes_each) or 3)
    assert images_at_once([path, tmp_path / "gone.fits"]) == 3
    assert asked == {"n": None, "each": 16_000}
