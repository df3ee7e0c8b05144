"""Master calibration frames of the simulated telescopes."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from ezarchive.simulate.exposure import iso
from ezarchive.simulate.field import generator
from ezarchive.simulate.frames import Masters
from ezarchive.simulate.optics import CAMERA, OBSERVATORY, TELKEY, Telescope
from ezarchive.simulate.plan import FIRST_NIGHT, Plan

STACKED = {"bias": 20, "dark": 15, "flat": 10}
"""Frames in a master."""
_BIAS_LEVEL, _FLAT_LEVEL = 500.0, 30000.0


def write_image(path: Path, data: NDArray, header: fits.Header) -> None:
    """Write a FITS file of one 2-D image in the primary, and the folders to it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.PrimaryHDU(data.astype(">f4"), header).writeto(path, overwrite=True)


def write_masters(root: Path, plan: Plan) -> dict[tuple[str, str], Masters]:
    """Write the master frames of every telescope and return them; the last telescope's bias says not how many it is made of."""
    library = {}
    for camera in plan.telescopes:
        rng = generator(plan.seed, "masters", camera.name)
        noise, n_bias, n_dark = camera.read_noise / camera.gain, STACKED["bias"], STACKED["dark"]
        level = camera.dark * 100 / camera.gain
        bias = _BIAS_LEVEL + noise / n_bias**0.5 * rng.standard_normal(plan.shape, np.float32)
        dark = level + np.sqrt((noise**2 + level / camera.gain) / n_dark) * rng.standard_normal(plan.shape, np.float32)
        silent = camera is plan.telescopes[-1] and len(plan.telescopes) > 1
        _write_master(root, camera, "bias", bias, exptime=0.0, ncombine=None if silent else n_bias)
        _write_master(root, camera, "dark", dark, exptime=100.0, ncombine=n_dark)
        for name in plan.filters:
            response = _response(plan.shape) * (1 + 0.005 * rng.standard_normal(plan.shape, np.float32))
            relative = 1 / np.sqrt(_FLAT_LEVEL * camera.gain * STACKED["flat"])
            flat = response * (1 + relative * rng.standard_normal(plan.shape, np.float32))
            _write_master(root, camera, "flat", flat, exptime=5.0, ncombine=STACKED["flat"], name=name)
            library[camera.name, name] = Masters(bias, dark, flat.astype(np.float32), _BIAS_LEVEL, level, response)
    return library


@lru_cache(maxsize=2)
def _response(shape: tuple[int, int]) -> NDArray[np.float32]:
    """Vignetting: 8 % less light in the corners than in the middle, normalised to a mean of 1."""
    y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in shape)
    light = 1 - 0.04 * (y[:, None] ** 2 + x**2)
    return light / light.mean()


def _write_master(
    root: Path, camera: Telescope, kind: str, data: NDArray, *, exptime: float, ncombine: int | None, name: str | None = None
) -> None:
    header = fits.Header()
    header["OBSERVAT"], header["TELESCOP"], header["INSTRUME"] = OBSERVATORY, camera.name, CAMERA
    header["IMAGETYP"] = kind.upper()
    header["DATE-OBS"] = iso(FIRST_NIGHT - 1 + 0.9)
    header["EXPTIME"] = (exptime, "[s] exposure time")
    header["XBINNING"], header["YBINNING"] = 1, 1
    header["EGAIN"], header["RDNOISE"] = (camera.gain, "[e-/ADU] gain"), (camera.read_noise, "[e-] read noise of one frame")
    if name is not None:
        header["FILTER"] = name
    if ncombine is not None:
        header["NCOMBINE"] = (ncombine, "number of frames combined")
    header["BUNIT"] = "" if kind == "flat" else "adu"
    detail = {"bias": "", "dark": f"_{exptime:.0f}", "flat": f"_{name}"}[kind]
    folder = root / OBSERVATORY / TELKEY / kind.upper() / camera.name
    write_image(folder / f"{kind}_{camera.name}_{header['DATE-OBS'][:10].replace('-', '')}{detail}.fits", data, header)
