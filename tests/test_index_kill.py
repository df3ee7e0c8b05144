"""An index that is killed anywhere and run again leaves the rows of one clean run."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trees

from ezarchive.index import index

# For every line of its input, "home when number", a process is forked that runs the indexer and kills itself before or after the
# n-th commit (before: the transaction is lost; after: it is kept), or, for "time", is killed after so many microseconds.
NURSERY = """
import os, signal, sys
from contextlib import contextmanager
from types import SimpleNamespace
from pathlib import Path
from ezarchive import config
from ezarchive.database.session import Database
from ezarchive.index import index

roots = {Path(r).name: config.root_settings(Path(r).name, {"path": r, "layout": "", "kind": "science"}) for r in sys.argv[1:]}
settings = config.Settings(roots=roots, index=config.IndexSettings(workers=1, batch_size=4))
begin = Database.begin

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def run(home, when, number):
    count = 0

    @contextmanager
    def deadly(self):
        nonlocal count
        with begin(self) as conn:
            yield conn
            if when == "before" and count == number:
                die()
        if when == "after" and count == number:
            die()
        count += 1

    Database.begin = deadly
    if when == "time":
        signal.setitimer(signal.ITIMER_REAL, number / 1e6)  # SIGALRM kills as SIGKILL does: nothing of ours handles it
    index(SimpleNamespace(home=home, settings=settings, database=Database.open(f"sqlite:///{home / 'archive.db'}")))

if __name__ == "__main__":
    for line in sys.stdin:
        home, when, number = line.split()
        child = os.fork()
        if not child:
            run(Path(home), when, int(number))
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture
def killed(tmp_path: Path):
    """A function that runs the indexer and kills it; it says whether that was before the end."""
    script = tmp_path / "nursery.py"
    script.write_text(NURSERY)
    roots = [str(tmp_path / "one"), str(tmp_path / "two")]
    with subprocess.Popen([sys.executable, str(script), *roots], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def run(home: Path, when: str, number: int) -> bool:
            process.stdin.write(f"{home} {when} {number}\n")
            process.stdin.flush()
            code = int(process.stdout.readline())
            assert code in (0, -signal.SIGKILL, -signal.SIGALRM)
            return code != 0

        yield run
        process.stdin.close()


@pytest.fixture
def scene(tmp_path: Path):
    """Two trees, and a function that makes an archive over them, new or as a copy of another one's home."""
    one, two = tmp_path / "one", tmp_path / "two"
    trees.first_state(one, two)

    def make(name: str, known: Path | None = None):
        made = trees.archive_of(tmp_path / name, index={"batch_size": 4}, one=one, two=two)
        made.database.dispose()
        if known is not None:
            shutil.copytree(known, made.home, dirs_exist_ok=True)
        return made

    return one, two, make


def kill_at_every_commit(killed, make, when: str, known: Path | None, expected) -> int:
    number = 0
    while True:
        archive = make(f"home{number}", known)
        if not killed(archive.home, when, number):
            break
        index(archive)
        assert trees.dump(archive) == expected, f"killed {when} commit {number}"
        archive.database.dispose()
        shutil.rmtree(archive.home)
        number += 1
    shutil.rmtree(archive.home)
    return number


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_every_commit_of_the_first_index_and_of_one_after_many_changes(scene, killed, when, tmp_path):
    one, two, make = scene
    clean = make("clean")
    index(clean)
    first = trees.dump(clean)
    assert kill_at_every_commit(killed, make, when, None, first) >= 6
    clean.database.dispose()
    known = tmp_path / "known"
    shutil.copytree(clean.home, known)
    trees.second_state(one, two)
    index(clean)
    second = trees.dump(clean)
    assert second != first
    assert kill_at_every_commit(killed, make, when, known, second) >= 6


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_killed_at_random_times_again_and_again(scene, killed):
    one, two, make = scene
    clean, archive = make("clean"), make("killed")
    dice = random.Random(5)
    for change in (None, trees.second_state):
        if change is not None:
            change(one, two)
        index(clean)
        for _ in range(20):
            killed(archive.home, "time", dice.randrange(1, 150_000))
        index(archive)
        assert trees.dump(archive) == trees.dump(clean)
