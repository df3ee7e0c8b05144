"""Figures from arrays and tables.

Every function takes plain results and returns a `matplotlib.figure.Figure`; nothing is shown, nothing is kept, and pyplot is never
touched, so figures can be made in threads and on machines without a screen. matplotlib is imported when the first figure is made.

``lightcurve`` draws light curves, ``folded`` them folded with a period, ``variability`` many objects by how they vary, ``epochs`` stamps of
one place through time; ``images`` one image, ``overlays`` an image with what was measured on it, ``maps`` masks, backgrounds and noise
beside their image, ``choice`` a choice among frames; ``averaging`` makes images small, ``common`` writes the files.
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
from ezarchive.plots.variability import variability_plane

__all__ = [
    "FORMATS", "QUANTITIES", "Averaged", "Overlay", "Panel", "Stamp", "averaged", "averaged_from", "draw_apertures", "draw_image",
    "epoch_stamps", "folded", "image", "light_curve", "panels", "quality", "save", "sources", "step_for", "variability_plane",
]  # fmt: skip
