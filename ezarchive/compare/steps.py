"""From files to files: reference images on the grid of another image, and wide-band images of cubes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from ezarchive.compare.bandpass import bandpass_image, filter_curve
from ezarchive.compare.cube import flux_cube
from ezarchive.compare.fluximage import FluxImage, flux_image
from ezarchive.compare.grid import grid_of
from ezarchive.compare.regrid import regrid_hst_like_muse
from ezarchive.compare.rescale import rescale_hst_like_muse
from ezarchive.errors import InputError
from ezarchive.files import check_folder
from ezarchive.images.planes import stem

Floats = NDArray[np.float64]

_FILTERS = ("FILTER", "FILTNAM1", "FILTNAM2", "FILTER1", "FILTER2")
_CUBE = re.compile(r"(datacube|cube)", re.IGNORECASE)


def regrid_files(
    muse: str | os.PathLike[str], hst: Iterable[str | os.PathLike[str]], *, field: str | None = None,
    outdir: str | os.PathLike[str] | None = None, rescale: bool = True,
) -> Iterator[Path]:  # fmt: skip
    """Put reference images on the grid, and into the unit, of an image.

    Parameters
    ----------
    muse : path
        The image, or a cube.
    hst : iterable of path
        The reference images.
    field : str, optional
        In the names of the files; by default the name of `muse`.
    outdir : path, optional
        By default the present folder.
    rescale : bool
        Whether fluxes are brought to the unit of `muse` too (`rescale_hst_like_muse`).

    Yields
    ------
    Path
        ``hst_<FILTER>_for_<field>.fits``, as each is written; of other telescopes their name in place of ``hst``.

    Raises
    ------
    InputError
        If two would have one name or the folder cannot be written, before anything is; or as of `rescale_hst_like_muse`.
    CompareError, FrameError
        As of `regrid_hst_like_muse`.
    """
    grid = grid_of(muse, "muse")
    if field is not None and (not field or Path(field).name != field):
        raise InputError(f"field {field!r}: must be a name without folders")
    references = list(hst)
    folder = _folder(outdir)
    # One at a time: names need headers only, pixels are read again.
    names = [folder / f"{_label(flux_image(one, 'hst'))}_for_{field or stem(Path(muse))}.fits" for one in references]
    _once(names, references)
    for path, source in zip(names, references, strict=True):
        made = regrid_hst_like_muse(source, grid)
        yield (rescale_hst_like_muse(made, grid) if rescale else made).write(path)


def wideband_files(
    curve: str | os.PathLike[str], cubes: Iterable[str | os.PathLike[str]], *, prefix: str | None = None, wave_units: str = "Angstrom",
    nprocess: int = 0, interpolation: str = "linear", truncation_warning: bool = True, outdir: str | os.PathLike[str] | None = None,
) -> Iterator[Path]:  # fmt: skip
    """Make the images that a filter would show of cubes.

    Parameters
    ----------
    curve : path
        Two columns of text: wavelength and sensitivity.
    cubes : iterable of path
    prefix : str, optional
        First part of the names of the files; by default the name of `curve` up to its first point.
    wave_units, nprocess, interpolation, truncation_warning
        As of `bandpass_image`.
    outdir : path, optional
        By default the present folder.

    Yields
    ------
    Path
        ``<prefix>_<cube>``, as each is written; in the name of the cube the first ``datacube`` or ``cube`` has become ``image``.

    Raises
    ------
    InputError
        If the curve cannot be read, two images would have one name or the folder cannot be written, before anything is; or as of
        `bandpass_image`.
    CompareError, FrameError
        As of `bandpass_image`.
    """
    wavelengths, sensitivities = read_curve(curve)
    sources = [Path(cube) for cube in cubes]
    begin = Path(curve).name.split(".")[0] if prefix is None else prefix
    if not begin or Path(begin).name != begin:
        raise InputError(f"prefix {begin!r}: must be a name without folders")
    folder = _folder(outdir)
    names = [folder / f"{begin}_{_image_name(source)}" for source in sources]
    _once(names, sources)
    for path, source in zip(names, sources, strict=True):
        made = bandpass_image(flux_cube(source), wavelengths, sensitivities, wave_units, interpolation, truncation_warning, nprocess)
        yield made.write(path)


def read_curve(path: str | os.PathLike[str]) -> tuple[Floats, Floats]:
    """Read a filter curve: two columns of numbers, with blanks or commas between; lines from ``#`` on are comments.

    Returns
    -------
    wavelengths, sensitivities : ndarray, shape (n,)

    Raises
    ------
    InputError
        If there is no such file, or a line has no two numbers: it names the line; or the numbers are no curve (see `bandpass_image`).
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as err:
        raise InputError(f"curve {path}: must be a text file of wavelengths and sensitivities: {err}") from err
    rows = []
    for number, line in enumerate(lines, start=1):
        words = line.split("#")[0].replace(",", " ").split()
        if not words:
            continue
        try:
            rows.append((float(words[0]), float(words[1])))
        except (ValueError, IndexError) as err:
            raise InputError(f"curve {path}, line {number}: {line.strip()!r} must be a wavelength and a sensitivity") from err
    if not rows:
        raise InputError(f"curve {path}: must hold lines of wavelength and sensitivity, found none")
    wavelengths, sensitivities = np.array(rows).T
    try:
        filter_curve(wavelengths, sensitivities)
    except InputError as err:
        raise InputError(f"curve {path}: {err}") from err
    return wavelengths, sensitivities


def _label(image: FluxImage) -> str:
    """Return telescope and filter, for a file's name."""
    headers = (image.header, image.primary)
    told = (str(header.get("TELESCOP") or "").strip().lower() for header in headers)
    parts = (next((one for one in told if one), "hst"), next(_filters(headers), image.name))
    return "_".join(re.sub(r"[^\w.+-]", "-", part) for part in parts)


def _filters(headers: tuple[fits.Header, ...]) -> Iterator[str]:
    """Give the names of filters in headers, wheels that were left clear apart."""
    for keyword in _FILTERS:
        for header in headers:
            name = header.get(keyword)
            if isinstance(name, str) and name.strip() and not name.strip().upper().startswith("CLEAR"):
                yield name.strip()


def _image_name(cube: Path) -> str:
    name = cube.name if cube.name.lower().endswith((".fits", ".fit", ".fts")) else f"{stem(cube)}.fits"
    return _CUBE.sub(lambda found: "IMAGE" if found[0].isupper() else "image", name, count=1)


def _folder(outdir: str | os.PathLike[str] | None) -> Path:
    folder = Path() if outdir is None else Path(outdir)
    check_folder(folder, f"outdir {str(folder)!r}")
    return folder


def _once(names: list[Path], sources: list[Any]) -> None:
    known: dict[Path, Any] = {}
    for name, source in zip(names, sources, strict=True):
        if name in known:
            raise InputError(f"{name}: would be made of {known[name]} and of {source}; another field, prefix or outdir keeps them apart")
        if name.exists() and any(name.samefile(one) for one in sources if Path(one).exists()):
            raise InputError(f"{name}: would replace what it is made of; name another outdir")
        known[name] = source
