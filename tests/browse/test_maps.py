"""Maps in the archive's home."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ezarchive.browse.maps import _packed, pack_mask, read_map, save_map, unpack_mask
from ezarchive.errors import FrameError, InputError
from ezarchive.frames.record import Frame
from ezarchive.images.background import MeshBackground

pytestmark = pytest.mark.pure


@given(arrays(bool, st.tuples(st.integers(1, 20), st.integers(1, 20))))
def test_masks_come_back(mask):
    packed = pack_mask(mask)
    assert packed["bits"].nbytes == -(-mask.size // 8)
    assert (unpack_mask(packed) == mask).all()


@pytest.mark.parametrize(
    "value",
    [
        MeshBackground.constant(100.0, 3.0, (20, 30)),
        np.linspace(1, 2, 600, dtype=np.float32).reshape(20, 30),
        np.arange(600).reshape(20, 30) % 7 == 0,
    ],
)
def test_files_come_back(tmp_path, value):
    path = tmp_path / "a.npz"
    path.write_bytes(_packed(value, {"frame_id": 3}))
    found = read_map(path)
    if isinstance(value, MeshBackground):
        assert (found.level() == value.level()).all()
        assert (found.rms() == value.rms()).all()
    else:
        assert found.dtype == value.dtype
        assert (found == value).all()
    assert _packed(value, {"frame_id": 3}) == path.read_bytes()


@pytest.mark.parametrize("cut", [0, 10, 200])
def test_what_is_torn_is_told(tmp_path, cut):
    path = tmp_path / "a.npz"
    path.write_bytes(_packed(np.ones((20, 30), bool), {})[:cut])
    with pytest.raises(FrameError, match="is no whole map") as caught:
        read_map(path)
    assert caught.value.code == "bad_map"


def test_what_is_not_there_is_told(tmp_path):
    with pytest.raises(FrameError, match=r"b.npz: the archive names this map, but it is not there") as caught:
        read_map(tmp_path / "b.npz")
    assert caught.value.code == "vanished"


def test_arguments_are_checked():
    with pytest.raises(InputError, match="kind='noise': must be one of background, rms, mask"):
        save_map(None, Frame(frame_id=1), "noise", np.ones((2, 2)), {})
    with pytest.raises(InputError, match="save=True: the image must be a frame of an archive"):
        save_map(None, Frame(), "mask", np.ones((2, 2), bool), {})
