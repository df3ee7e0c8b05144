"""The configuration of an anchoring: a TOML file with the arguments of `AnchoringStep`, for one target or several."""

from __future__ import annotations

import inspect
import os
import tomllib
from pathlib import Path
from typing import Any

from ezarchive.compare.anchoring.plan import names_of
from ezarchive.compare.anchoring.step import AnchoringStep
from ezarchive.errors import FrameError, InputError, UnknownNameError

_FOLDERS = ("in_dir", "ref_dir", "kernel_dir", "galaxy_table")
_EACH = "{target}"
_DEFAULTS = {"procs": 1, "out_subdir": "anchoring"}


def read_config(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Read a configuration.

    Parameters
    ----------
    path : path
        TOML whose keys are arguments of `AnchoringStep`; ``target`` may be a list, and ``{target}`` in a path stands for each. Paths are
        relative to the file's folder. ``procs`` is 1 and ``out_subdir`` ``"anchoring"`` unless given. For example::

            target = ["ngc0628", "ngc1365"]
            bands = ["F770W", "F1000W", "F1130W", "F2100W"]
            in_dir = "data/{target}"
            ref_dir = "refs"
            kernel_dir = "kernels"
            in_step_ext = "i2d_align"
            in_subdir = "lv3"
            internal_conv_band = "F2100W"
            [ref_band]
            miri = "F770W"
            [external_bands]
            miri = ["irac4_atgauss4", "w3_atgauss15"]

    Returns
    -------
    list of dict
        The arguments for each target.

    Raises
    ------
    FrameError
        If the file cannot be read.
    InputError
        If it is no TOML, lacks an argument that has no default, or has one that there is not.
    """
    path = Path(path)
    try:
        values = tomllib.loads(path.read_text())
    except OSError as err:
        raise FrameError("unreadable", f"{path}: cannot be read: {err.strerror}") from err
    except ValueError as err:
        raise InputError(f"{path}: must be TOML: {err}") from err
    known = inspect.signature(AnchoringStep).parameters
    for name in values:
        if name not in known:
            raise UnknownNameError(f"{path}: argument", name, known)
    values = _DEFAULTS | values
    missing = [name for name, parameter in known.items() if parameter.default is parameter.empty and name not in values]
    if missing:
        raise InputError(f"{path}: must say {', '.join(missing)}")
    folder = path.absolute().parent
    return [_of_target(values, target, folder) for target in names_of(f"{path}: target", values["target"])]


def _of_target(values: dict[str, Any], target: str, folder: Path) -> dict[str, Any]:
    made = {**values, "target": target}
    for name in _FOLDERS:
        if name in made:
            made[name] = _path(made[name], target, folder)
    masks = made.get("masks")
    if masks is not None:
        made["masks"] = {k: _path(v, target, folder) for k, v in masks.items()} if isinstance(masks, dict) else _path(masks, target, folder)
    return made


def _path(text: Any, target: str, folder: Path) -> Path:
    return folder / Path(str(text).replace(_EACH, target)).expanduser()
