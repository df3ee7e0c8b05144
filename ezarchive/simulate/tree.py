"""Toy archives: a tree of science frames, one of references, one of master calibration frames, and their truth."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from astropy.table import QTable, vstack

from ezarchive.errors import InputError
from ezarchive.files import atomic_write
from ezarchive.simulate.exposure import Exposure, to_table
from ezarchive.simulate.field import TARGETS, Target, field, generator, number
from ezarchive.simulate.frames import Light, Masters, add_hot_pixel, expose, judge, place
from ezarchive.simulate.masters import write_image, write_masters
from ezarchive.simulate.optics import PIXEL_SCALE, TELESCOPES, Telescope, telescope
from ezarchive.simulate.plan import DITHER, FIRST_NIGHT, Plan, reference_exposures, science_exposures
from ezarchive.simulate.truth import FILES, ToyTruth

PLAN_FILE = "plan.json"
"""Beside the truth: the arguments that the archive was made with."""
_VERSION = 1
_BORDER = 8.0


@dataclass(frozen=True)
class ToyArchive:
    """Where a toy archive lies, and what is true of it."""

    folder: Path
    scidata: Path
    refdata: Path
    mcalibdata: Path
    truth: ToyTruth

    @property
    def roots(self) -> dict[str, Path]:
        """The data roots by name, as ``Archive.create`` takes them."""
        return {"scidata": self.scidata, "refdata": self.refdata, "mcalibdata": self.mcalibdata}

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> ToyArchive:
        """Open a toy archive that `toy_archive` made.

        Raises
        ------
        InputError
            If its truth is not there.
        """
        folder = Path(folder)
        return cls(folder, folder / "scidata", folder / "refdata", folder / "mcalibdata", ToyTruth.load(folder / "truth"))


def toy_archive(
    folder: str | os.PathLike[str],
    *,
    shape: tuple[int, int] = (512, 512),
    seed: int = 528,
    targets: Sequence[Target] = TARGETS,
    telescopes: Sequence[str | Telescope] = TELESCOPES,
    filters: Sequence[str] = ("m600", "m625", "r"),
    n_epochs: int = 8,
    density: float = 10.0,
    known_background: bool = False,
    lacking: float = 0.12,
) -> ToyArchive:
    """Simulate a tree of frames like the tutorial's, with its truth beside it.

    ::

        folder/scidata/7DT/7DT_C361K_HIGH_1x1/<objname>/<telname>/<filter>/calib_<telname>_<objname>_<date>_<time>_<filter>_<exptime>.fits
        folder/refdata/...           the same, one deep stack a target and filter
        folder/mcalibdata/7DT/7DT_C361K_HIGH_1x1/<imgtype>/<telname>/...   master bias, dark, flat
        folder/truth/                stars.ecsv frames.ecsv sources.parquet plan.json

    Every target is seen by every telescope in every filter at every epoch. The same arguments give the same bytes.

    Parameters
    ----------
    folder : path
        Made if it is not there. If it holds the toy archive of these very arguments, that is opened (or finished).
    shape : (int, int)
        Rows and columns of a frame.
    seed : int
        Seed of everything random.
    targets : sequence of Target
        Fields; the first has the tutorial's name and place, the second straddles RA 0.
    telescopes : sequence of str or Telescope
        By default a plain, a rotated and a mirrored one, the last two with SIP distortion.
    filters : sequence of str
        u, g, r, i, z or medium bands, as m600.
    n_epochs : int
        Epochs of a target that has no number of its own.
    density : float
        Sources per square arcmin.
    known_background : bool
        True: every sky is one constant level, without slopes. (The truth holds the sky in either case.)
    lacking : float
        Fraction of the science frames that lack one or two of the cards SEEING, DEPTH, ZP, SATURATE, AIRMASS, EGAIN, FILTER, OBJECT.

    Returns
    -------
    ToyArchive

    Raises
    ------
    InputError
        If an argument is out of range, or the folder holds another toy archive, or something under these names.
    """
    folder = Path(folder)
    cameras = tuple(telescope(value) for value in telescopes)
    plan = Plan(tuple(shape), seed, tuple(targets), cameras, tuple(filters), n_epochs, density, known_background, lacking)
    if _claim(folder, plan):
        return ToyArchive.load(folder)
    width = float(np.hypot(*shape)) * PIXEL_SCALE + 4 * DITHER
    # So far from the centre a star lies on every frame, however it is turned and offset.
    inner = max(min(shape) / 2 * PIXEL_SCALE - DITHER - _BORDER, _BORDER)
    stars = number([field(target, width, density, seed, inner=inner, t0=FIRST_NIGHT) for target in plan.targets], plan.targets)
    library = write_masters(folder / "mcalibdata", plan)
    exposures = [*science_exposures(plan), *reference_exposures(plan)]
    sources = []
    for index, exposure in enumerate(exposures):
        table = _write_frame(folder / exposure.root, exposure, stars[stars["target"] == exposure.objname], seed, library)
        table.remove_columns(["kind", "ra", "dec"])
        table.add_column(np.full(len(table), index, np.int32), index=0, name="frame")
        sources.append(table)
    ToyTruth(stars, to_table(exposures), vstack(sources, metadata_conflicts="silent")).save(folder / "truth")
    return ToyArchive.load(folder)


def _claim(folder: Path, plan: Plan) -> bool:
    """Note the plan in the folder; return whether that very archive is there, whole."""
    text = json.dumps({"version": _VERSION, **asdict(plan)}, default=int, indent=1) + "\n"
    noted = folder / "truth" / PLAN_FILE
    if noted.is_file():
        if noted.read_text() != text:
            raise InputError(f"folder {str(folder)!r}: holds a toy archive made with other arguments; name another folder")
        return all((folder / "truth" / name).is_file() for name in FILES)
    taken = [name for name in ("scidata", "refdata", "mcalibdata", "truth") if (folder / name).exists()]
    if taken:
        raise InputError(f"folder {str(folder)!r}: holds {taken[0]!r} already, and no toy archive; name a folder without it")
    with atomic_write(noted) as stream:
        stream.write(text.encode())
    return False


def _write_frame(root: Path, exposure: Exposure, stars: QTable, seed: int, library: Mapping[tuple[str, str], Masters]) -> QTable:
    """Write one frame and return the truth of its sources."""
    sources = place(stars, exposure)
    light = Light(sources, exposure)
    scene = add_hot_pixel(light.render(), exposure)
    masters = library[exposure.telname, exposure.filter] if exposure.root == "scidata" else None
    data = expose(scene, exposure, generator(seed, "noise", exposure.relpath), masters)
    write_image(root / exposure.relpath, data, exposure.header())
    return judge(sources, light, scene)
