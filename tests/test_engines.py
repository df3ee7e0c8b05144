"""Engines that an archive keeps between questions."""

from __future__ import annotations

import multiprocessing
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
import surveys

from ezarchive import Archive, engines
from ezarchive.engines import _OutdatedError
from ezarchive.errors import InputError, StoreError


@pytest.fixture
def archive(toy_sky, tmp_path):
    with Archive.create(tmp_path / "home", roots={"scidata": toy_sky.scidata}) as opened:
        opened.index(progress=False)
        yield opened


def kept(archive, aperture=5.0):
    return archive.engines.get(archive, aperture=aperture, method=None, run=None)


def test_an_engine_is_kept_while_nothing_changes(archive):
    first = kept(archive)
    assert archive.sql("SELECT count(*) AS n FROM frames")[0].n == 2
    assert kept(archive) is first
    assert kept(archive, 7.0) is not first
    for n in range(engines.KEPT):
        kept(archive, 10.0 + n)
    assert kept(archive) is not first
    archive.engines.clear()
    assert len(first.query("SELECT 1")) == 1


def test_what_changes_is_seen(archive):
    first = kept(archive)
    assert archive.sql("SELECT count(*) AS n FROM catalogs")[0].n == 0
    archive.measure(workers=1, progress=False)
    assert archive.sql("SELECT count(*) AS n FROM catalogs")[0].n == 2
    assert kept(archive) is not first
    with pytest.raises(_OutdatedError):
        first.query("SELECT path FROM catalogs")
    assert len(archive.sql("SELECT DISTINCT frame_id FROM light_curve")) == 2


def test_a_change_between_engine_and_table_is_followed(archive, monkeypatch):
    get, times = engines.Engines.get, []

    def late(self, *args, **options):
        engine = get(self, *args, **options)
        if len(times) < 2:
            times.append(1)
            with archive.database.begin() as conn:
                conn.exec_driver_sql("UPDATE frame SET seeing = 2.5")
        return engine

    monkeypatch.setattr(engines.Engines, "get", late)
    assert [row.seeing for row in archive.sql("SELECT seeing FROM frames")] == [2.5, 2.5]
    assert len(times) == 2
    monkeypatch.setattr(engines, "_TRIES", 1)
    times.clear()
    assert len(archive.sql("SELECT exptime FROM frames")) == 2


def test_a_version_that_is_removed_while_it_is_read_is_followed(tmp_path):
    survey = surveys.Survey(tmp_path / "home")
    survey.catalog(survey.frame(10, 10, surveys.MJD), [10.0], [10.0], [100.0])
    survey.archive.associate(progress=False)
    asked = []

    def count(engine):
        asked.append(engine)
        if len(asked) == 1:
            for night in (1, 2):  # the first version is gone then
                survey.catalog(survey.frame(10, 10, surveys.MJD + night), [10.0], [10.0], [100.0])
                survey.archive.associate(progress=False)
        return engine.query("SELECT count(*) FROM light_curve").to_arrow()[0][0].as_py()

    assert engines.ask(survey.archive, count) == 3
    assert len(asked) == 2
    shutil.rmtree(survey.home / "store")
    with pytest.raises(StoreError, match="cannot be read"):
        engines.ask(survey.archive, count)
    assert len(asked) == 3


def test_threads_share_an_archive(archive):
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: archive.sql("SELECT count(*) AS n FROM frames WHERE frame_id <= ?", [n])[0].n, [0, 1, 2] * 5))
    assert found == [0, 1, 2] * 5


def _frames_of(archive, pipe):
    pipe.send(archive.sql("SELECT count(*) AS n FROM frames")[0].n)
    with archive.database.begin() as conn:
        conn.exec_driver_sql("UPDATE frame SET seeing = 1.5")
    pipe.send([row.seeing for row in archive.sql("SELECT seeing FROM frames")])
    archive.close()


def test_an_archive_survives_a_fork(archive):
    assert archive.sql("SELECT count(*) AS n FROM frames")[0].n == 2
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=_frames_of, args=(archive, theirs))
    child.start()
    try:
        assert ours.poll(20)
        assert ours.recv() == 2
        assert ours.recv() == [1.5, 1.5]
        child.join(20)
        assert child.exitcode == 0
    finally:
        child.kill()
    assert [row.seeing for row in archive.sql("SELECT seeing FROM frames")] == [1.5, 1.5]


def test_an_archive_is_pickled_without_its_engines(archive):
    first = kept(archive)
    with pickle.loads(pickle.dumps(archive)) as other:
        assert other.sql("SELECT count(*) AS n FROM frames")[0].n == 2
    assert kept(archive) is first


def test_an_aperture_is_an_angle(archive):
    assert engines.arcsec("aperture", "1 arcmin") == 60
    with pytest.raises(InputError, match="aperture '7': has no unit"):
        engines.ask(archive, lambda engine: engine, aperture="7")
