"""How a version comes to be: nothing is seen before, nothing is lost, equal steps are equal bytes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from storetables import all_rows, contents, light_curves, objects, publish, random_places, second_night, split, table_of

from ezarchive.errors import InputError, StoreError
from ezarchive.store import build, files
from ezarchive.store.build import Builder, clean
from ezarchive.store.tree import Leaf, Tree
from ezarchive.store.version import Place, Version, published


@pytest.fixture
def rng():
    return np.random.default_rng(11)


@pytest.fixture
def sky(rng):
    return random_places(rng, 400, ra=(0, 360), dec=(-90, 90))


def names(home):
    return sorted(path.name for path in (home / "store").iterdir())


def test_nothing_is_seen_before_publication(tmp_path, rng, sky):
    with Builder(tmp_path, Version.none(tmp_path), 1, {}) as builder:
        for leaf, table in split(light_curves(rng, *sky, 3), builder.tree).items():
            builder.add(leaf, table)
        assert published(tmp_path) == []
        assert builder.current().totals["light_curve"] == 1200
        assert all_rows(builder.current()).num_rows == 1200
    assert names(tmp_path) == []


def test_an_error_leaves_nothing(tmp_path, rng, sky):
    with pytest.raises(RuntimeError, match="stop"), Builder(tmp_path, Version.none(tmp_path), 1, {}):
        raise RuntimeError("stop")
    assert names(tmp_path) == []


def test_unchanged_files_are_links(tmp_path, rng, sky):
    first = publish(tmp_path, 1, curves=light_curves(rng, *sky, 2), objs=objects(rng, *sky))
    second = publish(tmp_path, 2, objs=objects(rng, *sky), previous=first)
    for file, other in zip(first.paths("light_curve"), second.paths("light_curve"), strict=True):
        assert file.samefile(other)
    assert not any(path.samefile(other) for path, other in zip(first.paths("objects"), second.paths("objects"), strict=True))
    shutil.rmtree(first.folder)
    assert second.check(hashes=True) == []


def test_copies_where_links_fail(tmp_path, rng, sky, monkeypatch):
    def refused(*_):
        raise PermissionError(1, "Operation not permitted")

    first = publish(tmp_path, 1, curves=light_curves(rng, *sky, 2))
    monkeypatch.setattr(os, "link", refused)
    second = publish(tmp_path, 2, previous=first)
    assert all(file.stat().st_nlink == 1 for file in second.paths("light_curve"))
    assert second.check(hashes=True) == []
    assert all_rows(second).equals(all_rows(first))


def test_a_missing_file_of_the_version_before(tmp_path, rng, sky):
    first = publish(tmp_path, 1, curves=light_curves(rng, *sky, 2))
    first.paths("light_curve")[0].unlink()
    with pytest.raises(StoreError, match="is missing from the light-curve store"), Builder(tmp_path, first, 2, {}):
        pass


def test_an_old_version_never_changes(tmp_path, rng, sky):
    first = publish(tmp_path, 1, curves=light_curves(rng, *sky, 2), objs=objects(rng, *sky))
    before = contents(first.folder)
    with Builder(tmp_path, first, 2, {}) as builder:
        leaf = first.leaves("light_curve")[0]
        builder.divide(leaf)
        other = first.leaves("light_curve")[1]
        builder.rewrite(other, [first.read("light_curve", other).slice(0, 10)])
        builder.replace(other, "objects", files.schema("objects").empty_table())
        builder.publish()
    assert contents(first.folder) == before


def test_equal_steps_are_equal_bytes(tmp_path, sky):
    made = []
    for name in ("a", "b"):
        rng = np.random.default_rng(3)
        first = publish(
            tmp_path / name, 1, curves=light_curves(rng, *sky, 2), objs=objects(rng, *sky), parameters={"b": 1, "a": [2.5, None]}
        )
        with Builder(tmp_path / name, first, 2, {}) as builder:
            builder.divide(first.leaves("light_curve")[0])
            builder.publish()
        made.append(contents(tmp_path / name / "store"))
    assert made[0] == made[1]
    assert len(made[0]) > 100


def test_rows_in_any_order_are_equal_bytes(tmp_path, rng, sky):
    curves = light_curves(rng, *sky, 4)
    shuffled = curves.take(pa.array(rng.permutation(len(curves))))
    one, other = publish(tmp_path / "a", curves=curves), publish(tmp_path / "b", curves=shuffled)
    assert contents(one.folder) == contents(other.folder)


def test_divide_keeps_every_row_and_what_was_written_apart(tmp_path, rng, sky):
    first = publish(tmp_path, 1, curves=light_curves(rng, *sky, 2), objs=objects(rng, *sky))
    second = publish(tmp_path, 2, curves=light_curves(rng, *sky, 2, first_catalog=3), previous=first)
    leaf = second.leaves("light_curve")[3]
    with Builder(tmp_path, second, 3, {}) as builder:
        site = leaf.cells[0] >> 18
        builder.replace(leaf, "sites", table_of("sites", {"site": [~(site + 5), site], "object_id": [2, 1]}))
        orphan_cells = [leaf.cells[0] + 7, leaf.cells[1] - 1]
        builder.replace(
            leaf, "orphans", table_of("orphans", {"_healpix_29": orphan_cells, "row": [1, 2], "catalog_id": [1, 1], "frame_id": [1, 1]})
        )
        children = builder.divide(leaf)
        third = builder.publish()
    assert children == leaf.children()
    assert leaf not in third.tree.leaves
    for dataset in ("light_curve", "objects"):
        assert all_rows(third, dataset).equals(all_rows(second, dataset))
    assert third.read("sites", children[0])["site"].to_pylist() == [~(site + 5), site]
    assert [third.rows("orphans", child) for child in children] == [1, 0, 0, 1]
    assert {len(third.files_of("light_curve", child)) for child in children} == {2}
    assert third.leaves_with([1]) == third.leaves("light_curve")
    assert not any(f"Norder=0/Dir=0/Npix={leaf.pixel}" in path for path in contents(third.folder))


def test_leaves_that_are_too_large(tmp_path, rng):
    ra, dec = random_places(rng, 100, ra=(40, 50), dec=(20, 30))
    version = publish(tmp_path, 1, curves=light_curves(rng, ra, dec, 20))
    with Builder(tmp_path, version, 2, {}) as builder:
        while large := builder.too_large(500):
            for leaf in large:
                builder.divide(leaf)
        made = builder.publish()
    assert max(made.rows("light_curve", leaf) for leaf in made.tree.leaves) <= 500
    assert all_rows(made).equals(all_rows(version))


def test_one_place_cannot_be_divided_for_ever(tmp_path, rng):
    version = publish(tmp_path, 1, curves=light_curves(rng, np.array([10.0]), np.array([10.0]), 30))
    with Builder(tmp_path, version, 2, {}) as builder:
        while large := builder.too_large(10):
            builder.divide(large[0])
        assert builder.current().leaves("light_curve")[0].order == 12


def test_what_is_empty_goes(tmp_path, rng, sky):
    version = publish(tmp_path, 1, curves=light_curves(rng, *sky, 2), objs=objects(rng, *sky))
    leaf = version.leaves("light_curve")[0]
    with Builder(tmp_path, version, 2, {}) as builder:
        builder.replace(leaf, "objects", files.schema("objects").empty_table())
        builder.rewrite(leaf, [])
        made = builder.publish()
    assert leaf not in made.leaves("light_curve")
    assert leaf not in made.leaves("contents")
    assert Place("objects", leaf) not in made.files
    assert len(made.paths("light_curve")) == len(version.paths("light_curve")) - 1


def test_two_additions_to_a_leaf(tmp_path, rng):
    one = light_curves(rng, np.array([10.0]), np.array([10.0]), 2)
    other = light_curves(rng, np.array([10.0]), np.array([10.0]), 2, first_catalog=3)
    with Builder(tmp_path, Version.none(tmp_path), 1, {}) as builder:
        leaf = next(iter(split(one, builder.tree)))
        builder.add(leaf, one)
        builder.add(leaf, other)
        builder.add(leaf, one.slice(0, 0))
        version = builder.publish()
    assert [file.path.rpartition("/")[2] for file in version.files_of("light_curve", leaf)] == ["000001.parquet", "000001-1.parquet"]
    assert version.read("light_curve", leaf)["catalog_id"].to_pylist() == [1, 2, 3, 4]


def test_a_leftover_folder_of_the_number_is_replaced(tmp_path, rng, sky):
    publish(tmp_path, 1, curves=light_curves(rng, *sky, 5))
    version = publish(tmp_path, 1, curves=light_curves(rng, *sky, 1))
    assert Version.open(tmp_path, 1).totals["light_curve"] == 400
    assert version.check(hashes=True) == []
    assert names(tmp_path) == ["1"]


def test_clean(tmp_path, rng, sky):
    version = publish(tmp_path, 1, curves=light_curves(rng, *sky, 1))
    for number in (2, 3):
        version = publish(tmp_path, number, previous=version)
    (tmp_path / "store" / ".4.77-abcd.tmp" / "x").mkdir(parents=True)
    (tmp_path / "store" / "notes").mkdir()
    removed = clean(tmp_path, keep={2, 3})
    assert [path.name for path in removed] == [".4.77-abcd.tmp", "1"]
    assert names(tmp_path) == ["2", "3", "notes"]
    assert version.check(hashes=True) == []
    assert clean(tmp_path / "nowhere") == []


def test_bad_arguments(tmp_path, rng, sky):
    version = publish(tmp_path, 1, curves=light_curves(rng, *sky, 1))
    with pytest.raises(InputError, match="number 1: must be higher than that of the version before, 1"):
        Builder(tmp_path, version, 1, {})
    with pytest.raises(InputError, match="tree: can be given for a version that begins without files only"):
        Builder(tmp_path, version, 2, {}, tree=Tree.base())
    with Builder(tmp_path, version, 2, {}) as builder:
        change = builder.writer.add(Leaf(1, 0), light_curves(rng, np.array([45.0]), np.array([2.0]), 1))
        with pytest.raises(InputError, match="must be of a leaf of the tree"):
            builder.apply(change)
        with pytest.raises(InputError, match="is no leaf of this tree"):
            builder.divide(Leaf(1, 0))


KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from ezarchive.store import build, files, hats
from storetables import second_night
home, at = sys.argv[1], int(sys.argv[2])
calls = 0
def counted(function):
    def wrapper(*args, **kwargs):
        global calls
        calls += 1
        if calls == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)
    return wrapper
files.write = counted(files.write)
hats.write = counted(hats.write)
build.sync_files = counted(build.sync_files)
build.sync_folder = counted(build.sync_folder)
os.link = counted(os.link)
from pathlib import Path
Path.rename = counted(Path.rename)
second_night(home)
print(calls)
"""


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_killed_at_each_step(tmp_path, rng):
    """Killed anywhere, the version before is whole; the same call then makes the same bytes as a clean one."""
    sky = random_places(np.random.default_rng(2), 60, ra=(0, 100), dec=(-20, 20))
    script = tmp_path / "killed.py"
    script.write_text(KILLED.format(tests=str(Path(__file__).parents[1])))

    def run(home, at):
        return subprocess.run([sys.executable, str(script), str(home), str(at)], capture_output=True, text=True, check=False)

    publish(tmp_path / "clean", 1, curves=light_curves(np.random.default_rng(4), *sky, 3))
    done = run(tmp_path / "clean", 0)
    assert done.returncode == 0, done.stderr
    steps = int(done.stdout)
    expected = contents(tmp_path / "clean" / "store")
    for at in sorted({*range(1, steps + 1, max(1, steps // 4)), steps - 1, steps}):
        home = tmp_path / f"killed{at}"
        shutil.copytree(tmp_path / "clean" / "store" / "1", home / "store" / "1")
        assert run(home, at).returncode == -signal.SIGKILL
        assert Version.open(home, 1).check(hashes=True) == []
        clean(home, keep={1})
        assert names(home) == ["1"]
        second_night(home)
        assert contents(home / "store") == expected


def test_builder_says_what_it_exports():
    assert build.__all__ == ["Builder", "Change", "Writer", "clean"]
