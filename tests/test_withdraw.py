"""A run that was measured is taken back, and given back."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from ezarchive import Archive, simulate
from ezarchive.database.withdrawals import Withdrawal
from ezarchive.errors import DatabaseError, InputError


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """An archive of two frames, measured at 5 sigma (run 1), and one of them at 3 sigma (run 2)."""
    folder = tmp_path_factory.mktemp("withdraw")
    toy = simulate.toy_archive(
        folder / "toy", shape=(320, 360), targets=simulate.TARGETS[:1], telescopes=("7DT01",), filters=("m600",), n_epochs=2, density=25
    )
    with Archive.create(folder / "home", roots={"scidata": toy.scidata}) as archive:
        archive.index(progress=False)
        archive.measure(workers=1, progress=False, detection_sigma=5)
        archive.measure([1], workers=1, progress=False, detection_sigma=3)
    return folder / "home"


@pytest.fixture
def archive(home):
    """The archive as it was measured."""
    with Archive.open(home) as archive:
        yield archive
        for number in (1, 2):
            archive.withdraw(number, restore=True)


def counted(archive) -> dict[int, int]:
    """Return how many rows of each run light curves have."""
    return dict(tuple(row) for row in archive.sql("SELECT run_id, count(*) FROM light_curve GROUP BY run_id ORDER BY run_id"))


def test_light_curves_go_back_to_the_run_before(archive):
    before = counted(archive)
    assert set(before) == {1, 2}
    assert archive.withdraw(2) == Withdrawal(1, 1, 0)
    after = counted(archive)
    assert set(after) == {1}
    assert after[1] > before[1]
    assert archive.withdraw(2, restore=True) == Withdrawal(1, 1, 0)
    assert counted(archive) == before


def test_a_frame_that_nothing_else_measured_is_left_out(archive):
    assert archive.withdraw(1) == Withdrawal(1, 0, 0)
    assert set(counted(archive)) == {2}
    archive.withdraw(2)
    assert counted(archive) == {}


def test_no_file_is_touched(archive):
    def hashes():
        return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in archive.home.rglob("*.parquet")}

    before = hashes()
    assert len(before) >= 3
    archive.withdraw(1)
    archive.withdraw(2)
    assert hashes() == before


def test_the_list_of_runs_tells(archive):
    archive.withdraw(2)
    found = {row.run_id: row.withdrawn for row in archive.runs().to_pandas().itertuples()}
    assert found[2] > 60000
    assert not found[1] > 0


def test_the_run_can_still_be_asked_for(archive):
    archive.withdraw(2)
    assert len(archive.sql("SELECT * FROM light_curve", run=2)) > 0


def test_the_next_measure_does_it_again_in_a_run_of_its_own(home, tmp_path):
    shutil.copytree(home, tmp_path / "home")
    with Archive.open(tmp_path / "home") as archive:
        before = counted(archive)
        archive.withdraw(2)
        report = archive.measure([1], workers=1, progress=False, detection_sigma=3)
        assert (report.measured, report.skipped) == (1, 0)
        assert list(counted(archive).values()) == list(before.values())
        assert set(counted(archive)) == {1, 3}


def test_twice_is_once(archive):
    archive.withdraw(2)
    assert archive.withdraw(2) == Withdrawal(0, 0, 0)


@pytest.mark.parametrize("wrong", [True, 1.0, "1", None])
def test_a_run_is_a_number(archive, wrong):
    with pytest.raises(InputError, match=f"run_id={wrong!r}: must be the number of a run"):
        archive.withdraw(wrong)


def test_what_cannot_be(archive, home):
    with pytest.raises(InputError, match="run_id 9: there is no such run; `ezarchive runs` lists the runs"):
        archive.withdraw(9)
    with Archive.open(home, write=False) as reader, pytest.raises(DatabaseError, match="opened for reading only"):
        reader.withdraw(1)
