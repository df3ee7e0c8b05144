"""The files that a fit leaves beside its image: figures, corrected image, and what was compared.

Of ``<folder>/<image>.fits``, all start with ``<folder>/<image>``:

======================================================================== ==================================================
``_image_fit.S``, ``_star_fit.S``                                        figures; S is png, pdf or svg
``_aligned.fits``                                                        the corrected image (PRIMARY, DATA, STAT, DQ)
``_image.fits``, ``_hst_model.fits``, ``_residual.fits``                 what was compared: the part of the image, the model,
                                                                         and their difference, as 64-bit floats
``_fft.fits``, ``_hst_model_fft.fits``, ``_residual_fft.fits``           amplitudes of their spectra, the zero frequency at
                                                                         CRPIX; cycles per degree
======================================================================== ==================================================
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from ezarchive.compare.fluximage import FluxImage
from ezarchive.errors import InputError
from ezarchive.files import atomic_write, check_folder
from ezarchive.images.planes import stem
from ezarchive.plots.common import FORMATS

_KEPT = ("OBJECT", "TELESCOP", "INSTRUME", "FILTER", "DATE-OBS", "MJD-OBS", "EXPTIME", "BUNIT")


def output_prefix(image: FluxImage, outdir: str | os.PathLike[str] | None = None) -> Path:
    """Return what the names of the files start with: in `outdir`, by default the folder of the image (or the present one)."""
    folder = Path(outdir) if outdir is not None else Path() if image.path is None else image.path.parent
    return folder / (image.name if image.path is None else stem(image.path))


def check_outputs(prefix: Path, hardcopy: str | None, *, writes: bool) -> str | None:
    """Return the suffix of figures, after a look whether files can be written.

    Parameters
    ----------
    prefix : Path
        See `output_prefix`.
    hardcopy : str or None
        ``png``, ``pdf`` or ``svg``, with a point before it or not; None or ``"none"``: no figure.
    writes : bool
        Whether other files than figures are to be written.

    Raises
    ------
    InputError
        If the format is another one, or the folder is none or may not be written.
    """
    suffix = None if hardcopy is None or str(hardcopy).lower() in ("none", "") else str(hardcopy).lower().removeprefix(".")
    if suffix is not None and suffix not in FORMATS:
        raise InputError(f"hardcopy {hardcopy!r}: must be one of {', '.join(FORMATS)}, or none")
    if writes or suffix is not None:
        check_folder(prefix.parent, f"outdir {str(prefix.parent)!r}, for {prefix.name}_*")
    return suffix


def beside(prefix: Path, ending: str) -> Path:
    """Return the path of one of the files."""
    return prefix.with_name(prefix.name + ending)


def save_products(prefix: Path, image: FluxImage, products: Any) -> list[Path]:
    """Write what was compared, and its spectra.

    Parameters
    ----------
    prefix : Path
    image : FluxImage
        That was fitted.
    products : ImageFitProducts

    Returns
    -------
    list of Path
        Six files, each whole or not at all.
    """
    header = fits.Header()
    header.update({key: source[key] for source in (image.primary, image.header) for key in _KEPT if key in source})
    sky = header.copy()
    if products.wcs is not None:
        sky.update(products.wcs.to_header(relax=True))
    frequencies = header.copy()
    frequencies.remove("BUNIT", ignore_missing=True)
    for axis, values in ((1, products.fx), (2, products.fy)):
        frequencies[f"CTYPE{axis}"] = "LINEAR"
        frequencies[f"CRPIX{axis}"], frequencies[f"CRVAL{axis}"] = int(np.argmin(np.abs(values))) + 1, 0.0
        frequencies[f"CUNIT{axis}"] = "deg-1"
        step = 3600.0 * float(values[1] - values[0]) if len(values) > 1 else 0.0
        frequencies[f"CD{axis}_{axis}"], frequencies[f"CD{axis}_{3 - axis}"] = step, 0.0
    planes = (("_image", products.image), ("_hst_model", products.model), ("_residual", products.residual))
    spectra = (("_fft", products.image_fft), ("_hst_model_fft", products.model_fft), ("_residual_fft", products.residual_fft))
    made = [_write(beside(prefix, f"{name}.fits"), values, sky) for name, values in planes]
    return made + [_write(beside(prefix, f"{name}.fits"), values, frequencies) for name, values in spectra]


def _write(path: Path, values: np.ndarray, header: fits.Header) -> Path:
    whole = io.BytesIO()
    fits.PrimaryHDU(np.asarray(values, dtype=np.float64), header).writeto(whole, output_verify="silentfix+ignore")
    with atomic_write(path) as stream:
        stream.write(whole.getbuffer())
    return path
