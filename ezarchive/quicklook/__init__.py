"""Quick look: what one does with an image on a screen, as functions that take plain inputs, return plain results and never draw.

The names in ``__all__`` are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "Annulus": "ezarchive.quicklook.backgrounds",
    "Compass": "ezarchive.quicklook.orientation",
    "Cut": "ezarchive.quicklook.cuts",
    "GrowthCurve": "ezarchive.quicklook.growth",
    "Limits": "ezarchive.quicklook.limits",
    "LineProfiles": "ezarchive.quicklook.lines",
    "Link": "ezarchive.quicklook.links",
    "Metadata": "ezarchive.quicklook.headers",
    "PhotometryResults": "ezarchive.quicklook.results",
    "Picture": "ezarchive.quicklook.pictures",
    "Preview": "ezarchive.quicklook.previews",
    "ProfileFit": "ezarchive.quicklook.profilefit",
    "QuickLook": "ezarchive.quicklook.session",
    "RadialProfile": "ezarchive.quicklook.radial",
    "Subset": "ezarchive.quicklook.subsets",
    "Subsets": "ezarchive.quicklook.subsets",
    "all_headers": "ezarchive.quicklook.headers",
    "aperture_photometry": "ezarchive.quicklook.photometry",
    "aperture_statistics": "ezarchive.quicklook.overlaps",
    "aperture_sums": "ezarchive.quicklook.overlaps",
    "centroid": "ezarchive.quicklook.centroids",
    "compass": "ezarchive.quicklook.orientation",
    "contour_levels": "ezarchive.quicklook.contouring",
    "contours": "ezarchive.quicklook.contouring",
    "contrast_bias": "ezarchive.quicklook.stretches",
    "cursor": "ezarchive.quicklook.readout",
    "curve_of_growth": "ezarchive.quicklook.growth",
    "cut": "ezarchive.quicklook.cuts",
    "display_limits": "ezarchive.quicklook.limits",
    "drag_contrast_bias": "ezarchive.quicklook.stretches",
    "fit_profile": "ezarchive.quicklook.profilefit",
    "from_box": "ezarchive.quicklook.regionkinds",
    "line_profiles": "ezarchive.quicklook.lines",
    "link": "ezarchive.quicklook.links",
    "load_all": "ezarchive.quicklook.sources",
    "metadata": "ezarchive.quicklook.headers",
    "metadata_differences": "ezarchive.quicklook.headers",
    "overlap": "ezarchive.quicklook.overlaps",
    "parse_regions": "ezarchive.quicklook.regionfiles",
    "picture": "ezarchive.quicklook.inputs",
    "pixel_area": "ezarchive.quicklook.pixelarea",
    "preview": "ezarchive.quicklook.previews",
    "radial_profile": "ezarchive.quicklook.radial",
    "read_regions": "ezarchive.quicklook.regionfiles",
    "read_results": "ezarchive.quicklook.results",
    "recenter": "ezarchive.quicklook.centroids",
    "rendered": "ezarchive.quicklook.stretches",
    "shape_of": "ezarchive.quicklook.regionkinds",
    "shapes_of": "ezarchive.quicklook.regionkinds",
    "statistics": "ezarchive.quicklook.imagestatistics",
    "stcs": "ezarchive.quicklook.regionfiles",
    "stretch": "ezarchive.quicklook.stretches",
    "to_region": "ezarchive.quicklook.regionkinds",
    "write_regions": "ezarchive.quicklook.regionfiles",
}

__all__ = [
    "Annulus",
    "Compass",
    "Cut",
    "GrowthCurve",
    "Limits",
    "LineProfiles",
    "Link",
    "Metadata",
    "PhotometryResults",
    "Picture",
    "Preview",
    "ProfileFit",
    "QuickLook",
    "RadialProfile",
    "Subset",
    "Subsets",
    "all_headers",
    "aperture_photometry",
    "aperture_statistics",
    "aperture_sums",
    "centroid",
    "compass",
    "contour_levels",
    "contours",
    "contrast_bias",
    "cursor",
    "curve_of_growth",
    "cut",
    "display_limits",
    "drag_contrast_bias",
    "fit_profile",
    "from_box",
    "line_profiles",
    "link",
    "load_all",
    "metadata",
    "metadata_differences",
    "overlap",
    "parse_regions",
    "picture",
    "pixel_area",
    "preview",
    "radial_profile",
    "read_regions",
    "read_results",
    "recenter",
    "rendered",
    "shape_of",
    "shapes_of",
    "statistics",
    "stcs",
    "stretch",
    "to_region",
    "write_regions",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ezarchive.quicklook' has no attribute {name!r}")
    found = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
