"""Maps in the archive's home: who may be stored, and as what; what comes back is tested with the images (browse/test_archive_image)."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ezarchive.errors import InputError
from ezarchive.files import sha256_file
from ezarchive.frames.record import Frame
from ezarchive.images.background import MeshBackground
from ezarchive.images.mapfile import read_map
from ezarchive.maps import save_map, write_map

pytestmark = pytest.mark.pure


def test_a_worker_writes_without_a_database(tmp_path):
    frame = Frame(frame_id=7, relpath="a/b.fits", telname="7DT01")
    stored = write_map(tmp_path, 3, frame, "background", MeshBackground.constant(100.0, 3.0, (20, 30)), {"parameters": {"box_size": 64}})
    path = tmp_path / stored.path
    assert stored.path == "maps/3/_/_/_/7DT01/_/b.7.background.npz"
    assert (stored.frame_id, stored.kind, stored.run_id) == (7, "background", 3)
    assert (stored.size, stored.sha256) == (path.stat().st_size, sha256_file(path))
    found = read_map(path)
    assert (found.frame_id, found.global_level, found.global_rms) == (7, 100.0, 3.0)
    with np.load(path) as arrays:
        provenance = json.loads(str(arrays["provenance"]))
    assert {name: provenance[name] for name in ("frame_id", "run_id", "parameters")} == {
        "frame_id": 7, "run_id": 3, "parameters": {"box_size": 64},
    }  # fmt: skip
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_arguments_are_checked():
    with pytest.raises(InputError, match="kind='noise': must be one of background, rms, mask"):
        save_map(None, Frame(frame_id=1), "noise", np.ones((2, 2)), {})
    with pytest.raises(InputError, match="save=True: the image must be a frame of an archive"):
        save_map(None, Frame(), "mask", np.ones((2, 2), bool), {})
