"""Simulated skies with known truth: toy archives for demos, documentation and tests, and single frames of any size.

``toy_archive(folder)`` writes a tree like the tutorial's; ``frame(...)`` makes one frame in memory. Both hand back the truth: every
source's position, magnitude and noise-free flux in any aperture.
"""

from __future__ import annotations

from ezarchive.simulate.exposure import Exposure
from ezarchive.simulate.field import TARGETS, Target
from ezarchive.simulate.optics import TELESCOPES, Telescope
from ezarchive.simulate.single import SimulatedFrame, frame
from ezarchive.simulate.tree import ToyArchive, toy_archive
from ezarchive.simulate.truth import FrameTruth, ToyTruth

__all__ = [
    "TARGETS",
    "TELESCOPES",
    "Exposure",
    "FrameTruth",
    "SimulatedFrame",
    "Target",
    "Telescope",
    "ToyArchive",
    "ToyTruth",
    "frame",
    "toy_archive",
]
