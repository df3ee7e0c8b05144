"""Files of maps: what goes in comes back, and what is torn is told."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from astropy.io import fits

from ezarchive.errors import FrameError, InputError
from ezarchive.frames.record import Frame
from ezarchive.images.background import MeshBackground, estimate
from ezarchive.images.compact import Mask
from ezarchive.images.image import Image
from ezarchive.images.mapfile import digest, pack, read_map
from ezarchive.images.noise import Masters, PropagatedNoise, SourceNoise, propagated_noise, source_noise
from ezarchive.images.pixelmap import PixelMap

pytestmark = pytest.mark.pure

SHAPE = (20, 30)


@pytest.fixture
def stored(tmp_path):
    """Write and read back, with the images of frames by their ids."""

    def through(value, frames=None):
        path = tmp_path / "a.npz"
        path.write_bytes(pack(value, {"frame_id": 3}))
        assert pack(value, {"frame_id": 3}) == path.read_bytes()
        return read_map(path, None if frames is None else frames.__getitem__)

    return through


@pytest.fixture
def frames(tmp_path, rng):
    """Images of frames 3 (science), 4 (dark) and 5 (flat)."""
    made = {}
    for frame_id, level in ((3, 100.0), (4, 5.0), (5, 1.0)):
        path = tmp_path / f"{frame_id}.fits"
        fits.writeto(path, rng.normal(level, 0.05, SHAPE).astype(np.float32))
        made[frame_id] = Image(path, frame=Frame(frame_id=frame_id, naxis1=30, naxis2=20, data_sample=f"sample {frame_id}", path=str(path)))
    return made


def propagated(frames, **changes):
    given = {"bias": np.zeros(SHAPE), "dark": frames[4], "flat": frames[5], "flat_err": 0.01, "bias_frames": 9, "dark_frames": 7, **changes}
    mesh = estimate(frames[3].load(), None, 10)
    return propagated_noise(mesh, Masters(**given), gain=2.0, read_noise=5.0)


def test_a_mesh(stored, rng):
    mesh = estimate(rng.normal(100, 3, (50, 60)), None, 16)
    found = stored(mesh)
    assert isinstance(found, MeshBackground)
    assert found.frame_id == 3
    np.testing.assert_array_equal(found.level(), mesh.level())
    np.testing.assert_array_equal(found.rms(), mesh.rms())


@pytest.mark.parametrize("value", [np.arange(600).reshape(SHAPE) % 7 == 0, Mask.of(np.arange(600).reshape(SHAPE) % 5 == 0, frame_id=8)])
def test_a_mask(stored, value):
    found = stored(value)
    assert isinstance(found, Mask)
    assert found.frame_id == 3
    np.testing.assert_array_equal(found, value)


@pytest.mark.parametrize("kind", ["background", "rms"])
def test_pixels(stored, rng, kind):
    pixels = rng.normal(10, 1, SHAPE).astype(np.float32)
    found = stored(PixelMap(pixels, kind))
    assert (type(found), found.kind, found.frame_id) == (PixelMap, kind, 3)
    np.testing.assert_array_equal(np.asarray(found), pixels)
    assert isinstance(stored(pixels), PixelMap)


def test_propagated_noise_names_its_masters(stored, frames):
    noise = propagated(frames)
    found = stored(noise, frames)
    assert isinstance(found, PropagatedNoise)
    assert found.dark.source is frames[4]
    assert (found.gain, found.readout, found.bias_variance, found.dark_frames) == (2.0, 6.25, 6.25 / 9, 7.0)
    np.testing.assert_array_equal(found.rms(), noise.rms())
    sources = source_noise(frames[3], noise.background, noise, 2.0)
    again = stored(sources, frames)
    assert isinstance(again, SourceNoise)
    np.testing.assert_array_equal(again.rms(), sources.rms())
    with pytest.raises(FrameError, match="frame 4: this map leans on it and can be read through its archive only"):
        stored(noise)


def test_pixels_of_nobody_are_evaluated(stored, frames):
    noise = propagated(frames, dark=np.full(SHAPE, 5.0))
    found = stored(noise)
    assert (type(found), found.kind) == (PixelMap, "rms")
    np.testing.assert_array_equal(found.rms(), noise.rms())


def test_a_master_that_changed_is_told(stored, frames):
    noise = propagated(frames)
    frames[5] = Image(frames[5].path, frame=Frame(frame_id=5, naxis1=30, naxis2=20, data_sample="another", path=str(frames[5].path)))
    with pytest.raises(FrameError, match=r"5\.fits: its pixels changed since a map was made of it") as caught:
        stored(noise, frames)
    assert caught.value.code == "changed"


@pytest.mark.parametrize("cut", [0, 10, 200])
def test_what_is_torn_is_told(tmp_path, cut):
    path = tmp_path / "a.npz"
    path.write_bytes(pack(np.ones(SHAPE, bool), {})[:cut])
    with pytest.raises(FrameError, match="is no whole map") as caught:
        read_map(path)
    assert caught.value.code == "bad_map"


def test_other_files_are_told(tmp_path):
    with pytest.raises(FrameError, match=r"b.npz: the archive names this map, but it is not there") as caught:
        read_map(tmp_path / "b.npz")
    assert caught.value.code == "vanished"
    np.savez(tmp_path / "c.npz", a=np.ones(3))
    with pytest.raises(FrameError, match=r"c\.npz: is no whole map: .*neither nodes nor bits nor pixels"):
        read_map(tmp_path / "c.npz")


def test_the_first_layout_is_read(tmp_path):
    """Files of version 0.1.0 did not say what they hold."""
    mask, mesh = np.arange(600).reshape(SHAPE) % 7 == 0, MeshBackground.constant(3.0, 1.0, SHAPE)
    provenance = np.array(json.dumps({"frame_id": 9}))
    for value, arrays in ((mask, {"bits": np.packbits(mask), "shape": np.array(SHAPE)}), (mesh, mesh.to_arrays()),
                          (np.ones(SHAPE), {"map": np.ones(SHAPE)})):  # fmt: skip
        np.savez_compressed(tmp_path / "old.npz", **arrays, provenance=provenance)
        found = read_map(tmp_path / "old.npz")
        assert found.frame_id == 9
        np.testing.assert_array_equal(found.level() if found.__class__ is MeshBackground else np.asarray(found),
                                      value.level() if value is mesh else value)  # fmt: skip


def test_digests_tell_maps_apart(frames):
    mesh = estimate(frames[3].load(), None, 10)
    maps = [mesh, estimate(frames[3].load(), None, 5), mesh.level() > 100, np.asarray(mesh.level()), 3.0, 4.0, propagated(frames),
            propagated(frames, dark_frames=8), PixelMap(mesh.level(), "background")]  # fmt: skip
    assert len({digest(item) for item in maps}) == len(maps)
    assert digest(mesh) == digest(MeshBackground.from_arrays(mesh.to_arrays()))
    assert digest(mesh.level() > 100) == digest(Mask.of(mesh.level() > 100))


def test_what_is_no_map():
    for wrong in (np.ones(3), np.array([["a"]])):
        with pytest.raises(InputError, match="value: must be a map or a 2-D array of numbers"):
            pack(wrong, {})
    assert io.BytesIO(pack(np.ones((2, 2)), {})).read(2) == b"PK"
