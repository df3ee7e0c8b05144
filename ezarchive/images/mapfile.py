"""Maps as small files: meshes as their nodes, masks as bits, propagated noise as the names of what it is made of.

A file is an ``.npz`` (zlib) of plain arrays; its ``provenance``, JSON, tells under ``content`` what they are. A map that leans on frames of
an archive (the masters of a propagated noise) keeps their ids; one that leans on other pixels is evaluated, and its pixels are stored.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ezarchive.errors import FrameError, InputError
from ezarchive.images.background import MeshBackground
from ezarchive.images.compact import Mask
from ezarchive.images.noise import PropagatedNoise, SourceNoise
from ezarchive.images.pixelmap import PixelMap

if TYPE_CHECKING:
    from ezarchive.images.image import Image

MapLike = MeshBackground | Mask | PixelMap | PropagatedNoise | SourceNoise
"""What a map can be."""

OpenFrame = Callable[[int], "Image"]
"""Gives the image of a frame by its id."""

_NUMBERS = ("gain", "readout", "bias_variance", "dark_frames")
_PARTS = {"propagated": ("background", "dark", "flat", "flat_err"), "sources": ("image", "background", "sky")}


def pack(value: MapLike | np.ndarray, provenance: Mapping[str, Any]) -> bytes:
    """Return a map as the bytes of its file.

    Parameters
    ----------
    value : MeshBackground, Mask, PixelMap, PropagatedNoise, SourceNoise or array
        The map; a bool array is a mask, one of numbers pixels of a noise map.
    provenance : mapping
        Plain values that are kept with it; ``frame_id`` comes back with the map.

    Returns
    -------
    bytes
        The same for the same map and provenance.
    """
    arrays: dict[str, np.ndarray] = {}
    content = _described(_as_map(value), arrays, "")
    text = json.dumps({**provenance, "content": content}, sort_keys=True)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays, provenance=np.array(text))
    return buffer.getvalue()


def read_map(path: str | os.PathLike[str], open_frame: OpenFrame | None = None) -> MapLike:
    """Read a map.

    Parameters
    ----------
    path : path
        A file of `pack`.
    open_frame : callable, optional
        Gives the image of a frame; a map that leans on other frames cannot be read without.

    Returns
    -------
    MeshBackground, Mask, PixelMap, PropagatedNoise or SourceNoise
        With the ``frame_id`` it was stored with.

    Raises
    ------
    FrameError
        ``vanished`` if the file is not there, ``bad_map`` if it is damaged, ``changed`` if a frame that it leans on has other pixels now.
    """
    path = Path(path)
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        provenance = json.loads(str(arrays.pop("provenance", "{}")))
        found = _rebuilt(provenance.get("content") or _old_content(arrays), arrays, "", open_frame)
    except FileNotFoundError as err:
        raise FrameError("vanished", f"{path}: the archive names this map, but it is not there; calculate it again with save=True") from err
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as err:
        raise FrameError("bad_map", f"{path}: is no whole map: {err}") from err
    return found.of_frame(provenance.get("frame_id"))


def digest(value: MapLike | np.ndarray | float) -> str:
    """Return a short hash of a map, by which a recipe or another map can name it.

    Parameters
    ----------
    value : map, array or number
        Of a map that leans on frames, their ids count, not their pixels.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    arrays: dict[str, np.ndarray] = {}
    if np.ndim(value) == 0 and isinstance(value, (int, float, np.number)):
        content: Any = float(value)
    else:
        content = _described(_as_map(value), arrays, "")
    state = hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=16)
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        state.update(f"{name} {array.dtype.str} {array.shape}".encode())
        state.update(array.data)
    return state.hexdigest()


def _as_map(value: MapLike | np.ndarray) -> MapLike:
    if isinstance(value, MapLike):
        return value
    pixels = np.asarray(value)
    if pixels.dtype == bool:
        return Mask.of(pixels)
    if pixels.ndim != 2 or pixels.dtype.kind not in "fiu":
        raise InputError(f"value: must be a map or a 2-D array of numbers, found {pixels.dtype} {pixels.shape}")
    return PixelMap(pixels, "rms")


def _described(value: Any, arrays: dict[str, np.ndarray], prefix: str) -> Any:
    """Put a map's arrays into a dict; return what it is, as plain values."""
    if isinstance(value, float):
        return value
    if isinstance(value, (PropagatedNoise, SourceNoise)):
        if not _leans_on_frames_alone(value):
            return _described(PixelMap(value.rms(), "rms"), arrays, prefix)
        kind = "propagated" if isinstance(value, PropagatedNoise) else "sources"
        parts = {name: _described(getattr(value, name), arrays, f"{prefix}{name}_") for name in _PARTS[kind]}
        return {"type": kind, **{name: getattr(value, name) for name in _NUMBERS if hasattr(value, name)}, **parts}
    if isinstance(value, MeshBackground):
        arrays |= {f"{prefix}{name}": array for name, array in value.to_arrays().items()}
        return {"type": "mesh"}
    if isinstance(value, Mask):
        arrays |= {f"{prefix}bits": value.bits, f"{prefix}shape": np.array(value.shape)}
        return {"type": "mask"}
    frame = value.source.frame
    if _is_frame(value):
        return {"type": "frame", "kind": value.kind, "frame_id": frame.frame_id, "data_sample": frame.data_sample}
    arrays[f"{prefix}map"] = np.asarray(value)
    return {"type": "pixels", "kind": value.kind}


def _rebuilt(content: Any, arrays: Mapping[str, np.ndarray], prefix: str, open_frame: OpenFrame | None) -> Any:
    if isinstance(content, float):
        return content
    kind = content["type"]
    if kind == "mesh":
        return MeshBackground.from_arrays({name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)})
    if kind == "mask":
        bits, shape = arrays[f"{prefix}bits"], tuple(int(size) for size in arrays[f"{prefix}shape"])
        # The first layout ran the rows together.
        return Mask(bits, shape) if bits.ndim == 2 else Mask.of(np.unpackbits(bits, count=shape[0] * shape[1]).reshape(shape))
    if kind == "pixels":
        return PixelMap(arrays[f"{prefix}map"], content["kind"])
    if kind == "frame":
        return PixelMap(_opened(content, open_frame), content["kind"])
    parts = {name: _rebuilt(content[name], arrays, f"{prefix}{name}_", open_frame) for name in _PARTS[kind]}
    numbers = {name: content[name] for name in _NUMBERS if name in content}
    return (PropagatedNoise if kind == "propagated" else SourceNoise)(**parts, **numbers)


def _opened(content: Mapping[str, Any], open_frame: OpenFrame | None) -> Image:
    if open_frame is None:
        raise FrameError("no_archive", f"frame {content['frame_id']}: this map leans on it and can be read through its archive only")
    image = open_frame(content["frame_id"])
    now = image.frame.data_sample if image.frame is not None else None
    if content["data_sample"] is not None and now is not None and now != content["data_sample"]:
        raise FrameError("changed", f"{image.path}: its pixels changed since a map was made of it; calculate the map again with save=True")
    return image


def _is_frame(value: PixelMap) -> bool:
    image = value.source
    return image.path is not None and image.frame is not None and image.frame.frame_id is not None


def _leans_on_frames_alone(value: Any) -> bool:
    if isinstance(value, PixelMap):
        return _is_frame(value)
    if isinstance(value, (PropagatedNoise, SourceNoise)):
        return all(_leans_on_frames_alone(getattr(value, name)) for names in _PARTS.values() for name in names if hasattr(value, name))
    return True


def _old_content(arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Tell what a file of the first layout holds, which did not say so."""
    if "level_nodes" in arrays:
        return {"type": "mesh"}
    if "bits" in arrays:
        return {"type": "mask"}
    if "map" in arrays:
        return {"type": "pixels", "kind": "rms"}
    raise KeyError("neither nodes nor bits nor pixels")
