"""Figures from arrays and tables.

Every function takes plain results and returns a `matplotlib.figure.Figure`; nothing is shown, nothing is kept, and pyplot is never
touched, so figures can be made in threads and on machines without a screen. matplotlib is imported when the first figure is made.

``lightcurve`` draws light curves, ``folded`` them folded with a period, ``variability`` many objects by how they vary, ``epochs`` stamps of
one place through time; ``images`` one image, ``overlays`` an image with what was measured on it, ``maps`` masks, backgrounds and noise
beside their image, ``choice`` a choice among frames; ``view`` an image as a viewer shows it, ``profiles`` the curves measured on one;
``averaging`` makes images small, ``common`` writes the files.
"""

from __future__ import annotations

from ezarchive.plots.averaging import Averaged, averaged, averaged_from, step_for
from ezarchive.plots.choice import quality
from ezarchive.plots.common import FORMATS, save
from ezarchive.plots.epochs import Stamp, epoch_stamps
from ezarchive.plots.folded import folded
from ezarchive.plots.images import draw_apertures, draw_image, image
from ezarchive.plots.lightcurve import QUANTITIES, light_curve
from ezarchive.plots.maps import Panel, panels
from ezarchive.plots.overlays import Overlay, sources
from ezarchive.plots.profiles import cut, growth_curve, line_profiles, radial_profile
from ezarchive.plots.variability import variability_plane
from ezarchive.plots.view import view
from ezarchive.plots.viewlayers import Layer

__all__ = [
    "FORMATS", "QUANTITIES", "Averaged", "Layer", "Overlay", "Panel", "Stamp", "averaged", "averaged_from", "cut", "draw_apertures",
    "draw_image", "epoch_stamps", "folded", "growth_curve", "image", "light_curve", "line_profiles", "panels", "quality", "radial_profile",
    "save", "sources", "step_for", "variability_plane", "view",
]  # fmt: skip
