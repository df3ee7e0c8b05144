"""Arguments of the anchoring, checked, and what follows from them before any pixel is read: images, groups, the plan, the marker."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import astropy.units as u
from astropy.table import QTable

from ezarchive.compare.anchoring.files import AnchorPaths, resolution_of
from ezarchive.compare.anchoring.table import VERSION
from ezarchive.compare.anchoring.work import AnchorJob, BandImage, image_instrument, resolution_kernel
from ezarchive.compare.ds9regions import Ds9Regions
from ezarchive.errors import CompareError, FrameError, InputError
from ezarchive.files import make_folder, temporary_name
from ezarchive.images.planes import data_hdu

REPROJECTIONS = ("interp", "adaptive", "exact")
METHODS = ("robust", "classic")
ANY = "*"
"""Key of names that are for every instrument."""


@dataclass(frozen=True)
class Group:
    """Images that are anchored together.

    Attributes
    ----------
    name : str
        The instrument, or ``*``.
    ranks : tuple of str
        Bands that may be the reference, upper case, the best first.
    images : tuple of BandImage
    """

    name: str
    ranks: tuple[str, ...]
    images: tuple[BandImage, ...]


def ranked(name: str, value: Any) -> dict[str, tuple[str, ...]]:
    """Return an argument that names bands, or surveys, for each instrument or for all.

    Parameters
    ----------
    name : str
        Of the argument.
    value : str, sequence of str, or mapping of str to these
        A mapping has instruments as keys; anything else is for every instrument. It is not changed.

    Returns
    -------
    dict of str to tuple of str
        Instrument, lower case, or ``*`` -> names, the preferred one first.

    Raises
    ------
    InputError
        If it is something else, or empty.
    """
    given = value if isinstance(value, Mapping) else {ANY: value}
    made = {str(key).lower(): names_of(name, item) for key, item in given.items() if item is not None}
    if not made:
        raise InputError(f"{name}: must name at least one, found {value!r}")
    return made


def names_of(name: str, value: Any) -> tuple[str, ...]:
    """Return one name or several as a tuple, each once."""
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, Iterable) or isinstance(names, Mapping):
        raise InputError(f"{name}: must be a name or a list of names, found {value!r}")
    names = tuple(names)
    if not names or not all(isinstance(item, str) and item and "/" not in item for item in names):
        raise InputError(f"{name}: must be a name or a list of names, found {value!r}")
    return tuple(dict.fromkeys(names))


def one_of(name: str, value: Any, known: Sequence[str]) -> str:
    """Return a word that must be one of some."""
    if value not in known:
        raise InputError(f"{name} {value!r}: must be one of {', '.join(known)}")
    return value


def given(name: str, value: Any) -> Any:
    """Return an argument that must not be left out."""
    if value is None:
        raise InputError(f"{name}: must be given")
    return value


def percentiles_of(value: Any) -> tuple[float, float] | None:
    """Return two percentiles, the lower one first; None stays."""
    if value is None:
        return None
    try:
        low, high = (float(item) for item in value)
    except (TypeError, ValueError) as err:
        raise InputError(f"percentile_range {value!r}: must be two numbers from 0 to 100, the lower one first") from err
    if not 0 <= low < high <= 100:
        raise InputError(f"percentile_range {value!r}: must be two numbers from 0 to 100, the lower one first")
    return low, high


def positive(name: str, value: Any) -> float:
    """Return a number that must be positive."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < value < float("inf"):
        raise InputError(f"{name} {value!r}: must be a positive number")
    return float(value)


def unit_of(name: str, value: Any) -> str:
    """Return the name of a unit."""
    try:
        return u.Unit(value).to_string()
    except (TypeError, ValueError) as err:
        raise InputError(f"{name} {value!r}: must be a unit of surface brightness: {err}") from err


def beams_of(value: Mapping[str, Any] | None) -> dict[str, float]:
    """Return FWHM in arcsec by band or resolution, lower case."""
    made = {}
    for name, fwhm in (value or {}).items():
        made[str(name).lower()] = positive(f"psf_fwhm of {name}, arcsec,", fwhm)
    return made


def masks_of(value: Any) -> dict[str, Path]:
    """Return mask files by band, lower case, or ``*``; a path alone is for every band.

    Raises
    ------
    InputError
        If one is not there, or is a region file that cannot be understood.
    FrameError
        If one is no FITS image.
    """
    if value is None:
        return {}
    masks = value if isinstance(value, Mapping) else {ANY: value}
    made = {str(band).lower(): Path(path) for band, path in masks.items()}
    for band, path in made.items():
        if not path.is_file():
            raise InputError(f"masks of {band}: must be files, {path} is not there")
        if path.suffix.lower() == ".reg":
            Ds9Regions(path)
        else:
            data_hdu(path)
    return made


def band_images(paths: AnchorPaths, files: Any, bands: Sequence[str]) -> tuple[BandImage, ...]:
    """Return images with bands and instruments.

    Parameters
    ----------
    paths : AnchorPaths
    files : mapping of anything to paths, or paths
    bands : sequence of str
        As they were asked for: their spelling.

    Raises
    ------
    InputError
        If a file lies in no band's folder.
    """
    groups = files.values() if isinstance(files, Mapping) else [files]
    listed = [Path(path) for group in groups for path in ([group] if isinstance(group, (str, os.PathLike)) else group)]
    spelt = {band.upper(): band for band in bands}
    found = [(path, paths.band(path)) for path in dict.fromkeys(listed)]
    for path, band in found:
        if band is None:
            raise InputError(f"{path}: must lie in the folder of a band, below {paths.in_dir}")
    number = {band: sum(other == band for _, other in found) for _, band in found}
    return tuple(BandImage(spelt.get(band, band), path, image_instrument(paths, path), number[band] == 1) for path, band in found)


def grouped(images: Sequence[BandImage], references: Mapping[str, tuple[str, ...]]) -> tuple[list[Group], list[BandImage]]:
    """Return images by what they are anchored to, and those of instruments that no reference band is named for."""
    members: dict[str, list[BandImage]] = {}
    others = []
    for image in images:
        key = image.instrument if image.instrument in references else ANY
        if key in references:
            members.setdefault(key, []).append(image)
        else:
            others.append(image)
    return [Group(key, tuple(band.upper() for band in references[key]), tuple(mine)) for key, mine in members.items()], others


def check_writable(folders: Iterable[Path]) -> None:
    """Refuse folders that cannot be made or written to, before anything is done; nothing is left in them.

    Raises
    ------
    InputError
        Names the folder.
    """
    for folder in dict.fromkeys(folders):
        there = folder
        while not there.exists() and there != there.parent:
            there = there.parent
        probe = there / temporary_name("probe")
        try:
            probe.touch(exist_ok=False)
            probe.unlink()
        except OSError as err:
            raise InputError(f"{folder}: must be a folder that can be written to: {err.strerror or err}") from err


def make_folders(folders: Iterable[Path]) -> None:
    """Make the folders that are missing."""
    for folder in dict.fromkeys(folders):
        make_folder(folder)


def planned(job: AnchorJob, groups: Sequence[Group], surveys: Mapping[str, tuple[str, ...]]) -> QTable:
    """Return what would be compared with what: band, file, kind, reference, resolution, kernel, problem; no pixel is read."""
    rows = []
    for group in groups:
        for image in group.images:
            name, band = image.image.name, image.band
            if band.upper() in group.ranks:
                wanted = surveys_of(image, surveys)
                rows += [(band, name, "external", survey, resolution_of(survey), *_how(job, band, survey)) for survey in wanted]
            if band.upper() != group.ranks[0]:
                rows.append((band, name, "internal", "/".join(group.ranks), job.common.lower(), *_how(job, band, None)))
    names = ("band", "file", "kind", "reference", "resolution", "kernel", "problem")
    return QTable(rows=rows or None, names=names, dtype=(str,) * len(names))


def surveys_of(image: BandImage, surveys: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return the references of true zero level for an image, the preferred one first."""
    return surveys.get(image.instrument, surveys.get(ANY, ()))


def _how(job: AnchorJob, band: str, survey: str | None) -> tuple[str, str]:
    problem = "" if survey is None or job.paths.reference(survey).is_file() else f"{job.paths.reference(survey)} is not there"
    try:
        how = resolution_kernel(job, band, job.common if survey is None else resolution_of(survey))
    except CompareError as err:
        return "", problem or str(err)
    if how is None:
        return "none needed", problem
    return (how.name, problem) if isinstance(how, Path) else (f"Gaussian {how[0]:g} to {how[1]:g} arcsec", problem)


def fingerprint(settings: Mapping[str, Any], files: Iterable[Path]) -> str:
    """Return what a run was made from and made, as JSON: settings, size and time of every file (null: not there)."""
    stats = {}
    for path in sorted(set(files)):
        try:
            found = path.stat()
        except OSError:
            stats[str(path)] = None
        else:
            stats[str(path)] = [found.st_size, found.st_mtime_ns]
    return json.dumps({"version": VERSION, "settings": dict(settings), "files": stats}, indent=1, sort_keys=True, default=str)


def read_marker(path: Path) -> str | None:
    """Return what stands in the marker; None if there is none."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as err:
        raise FrameError("unreadable", f"{path}: cannot be read: {err}") from err
