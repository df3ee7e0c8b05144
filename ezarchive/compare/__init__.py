"""One image against another: grids, transfer functions, image and star fits, bandpass images, and the anchoring of bands.

The names in ``__all__`` are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "AnchoringStep": "ezarchive.compare.anchoring.step",
    "CompareError": "ezarchive.errors",
    "FIT_BOTH": "ezarchive.compare.arguments",
    "FIT_IMAGE": "ezarchive.compare.arguments",
    "FIT_STAR": "ezarchive.compare.arguments",
    "FitImageAndStarPhotometryMP": "ezarchive.compare.iterators",
    "FitImagePhotometryMP": "ezarchive.compare.iterators",
    "FitStarPhotometryMP": "ezarchive.compare.iterators",
    "FittedImagePhotometry": "ezarchive.compare.results",
    "FittedPhotometry": "ezarchive.compare.results",
    "FittedStarPhotometry": "ezarchive.compare.results",
    "FittedValue": "ezarchive.compare.results",
    "FluxImage": "ezarchive.compare.fluximage",
    "HstFilterInfo": "ezarchive.compare.hst",
    "ImphotArgumentParser": "ezarchive.compare.arguments",
    "Level": "ezarchive.compare.anchoring.matching",
    "PsfKernel": "ezarchive.compare.anchoring.psfkernels",
    "UserError": "ezarchive.errors",
    "WorkerError": "ezarchive.errors",
    "anchor_fit": "ezarchive.compare.anchoring.matching",
    "apply_corrections": "ezarchive.compare.corrections",
    "bandpass_image": "ezarchive.compare.bandpass",
    "chain_offset": "ezarchive.compare.anchoring.offsets",
    "convolve_to": "ezarchive.compare.anchoring.convolution",
    "extract_function_args": "ezarchive.compare.arguments",
    "fit_image_and_star_photometry": "ezarchive.compare.skin",
    "fit_image_photometry": "ezarchive.compare.skin",
    "fit_offset": "ezarchive.compare.anchoring.offsets",
    "fit_photometry_main": "ezarchive.cli.compare",
    "fit_star_photometry": "ezarchive.compare.skin",
    "flux_image": "ezarchive.compare.fluximage",
    "gaussian_to_gaussian": "ezarchive.compare.anchoring.psfkernels",
    "image_grids_aligned": "ezarchive.compare.grid",
    "make_wideband_image_main": "ezarchive.cli.compare",
    "read_anchor_config": "ezarchive.compare.anchoring.settings",
    "read_kernel": "ezarchive.compare.anchoring.psfkernels",
    "regrid_hst_like_muse": "ezarchive.compare.regrid",
    "regrid_hst_to_muse_main": "ezarchive.cli.compare",
    "resample_kernel": "ezarchive.compare.anchoring.psfkernels",
    "rescale_hst_like_muse": "ezarchive.compare.rescale",
}
_OTHER_NAMES = {"UserError": "InputError", "read_anchor_config": "read_config"}

__all__ = [
    "FIT_BOTH",
    "FIT_IMAGE",
    "FIT_STAR",
    "AnchoringStep",
    "CompareError",
    "FitImageAndStarPhotometryMP",
    "FitImagePhotometryMP",
    "FitStarPhotometryMP",
    "FittedImagePhotometry",
    "FittedPhotometry",
    "FittedStarPhotometry",
    "FittedValue",
    "FluxImage",
    "HstFilterInfo",
    "ImphotArgumentParser",
    "Level",
    "PsfKernel",
    "UserError",
    "WorkerError",
    "anchor_fit",
    "apply_corrections",
    "bandpass_image",
    "chain_offset",
    "convolve_to",
    "extract_function_args",
    "fit_image_and_star_photometry",
    "fit_image_photometry",
    "fit_offset",
    "fit_photometry_main",
    "fit_star_photometry",
    "flux_image",
    "gaussian_to_gaussian",
    "image_grids_aligned",
    "make_wideband_image_main",
    "read_anchor_config",
    "read_kernel",
    "regrid_hst_like_muse",
    "regrid_hst_to_muse_main",
    "resample_kernel",
    "rescale_hst_like_muse",
]


def __getattr__(name: str) -> Any:
    if name == "ds9regions":
        return import_module("ezarchive.compare.ds9regions")
    if name not in _HOMES:
        raise AttributeError(f"module 'ezarchive.compare' has no attribute {name!r}")
    found = getattr(import_module(_HOMES[name]), _OTHER_NAMES.get(name, name))
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
