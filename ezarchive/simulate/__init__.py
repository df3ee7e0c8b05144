"""Simulated skies with known truth: toy archives for demos, documentation and tests, and single frames of any size.

``toy_archive(folder)`` writes a tree like the tutorial's, ``variable_archive(folder)`` one of many epochs of one field; ``frame(...)``
makes one frame in memory. All hand back the truth: every source's position, magnitude and noise-free flux in any aperture.
``measurements(...)`` makes no pixel: it gives arrays of what many epochs of many stars, constant and variable, would measure as.
``image_pair(...)`` makes a sharp and a blurred image of one sky, ``image_cube(...)`` the latter at many wavelengths,
``nebula_scene(folder)`` a galaxy through bands of wrong zero levels, ``elongated_scene(...)`` a round source through an elongated kernel.
"""

from __future__ import annotations

from ezarchive.simulate.cubes import PairCube, image_cube
from ezarchive.simulate.elongated import ElongatedScene, elongated_kernel, elongated_scene
from ezarchive.simulate.exposure import Exposure
from ezarchive.simulate.field import TARGETS, Target
from ezarchive.simulate.nebulae import NebulaPlan, NebulaScene, nebula_scene
from ezarchive.simulate.optics import TELESCOPES, Telescope
from ezarchive.simulate.pairs import ImagePair, PairPlan, fine_reference, image_pair
from ezarchive.simulate.single import SimulatedFrame, frame
from ezarchive.simulate.tree import ToyArchive, toy_archive
from ezarchive.simulate.truth import FrameTruth, ToyTruth
from ezarchive.simulate.variables import Measurements, SurveyPlan, VariableSurvey, measurements, variable_archive

__all__ = [
    "TARGETS",
    "TELESCOPES",
    "ElongatedScene",
    "Exposure",
    "FrameTruth",
    "ImagePair",
    "Measurements",
    "NebulaPlan",
    "NebulaScene",
    "PairCube",
    "PairPlan",
    "SimulatedFrame",
    "SurveyPlan",
    "Target",
    "Telescope",
    "ToyArchive",
    "ToyTruth",
    "VariableSurvey",
    "elongated_kernel",
    "elongated_scene",
    "fine_reference",
    "frame",
    "image_cube",
    "image_pair",
    "measurements",
    "nebula_scene",
    "toy_archive",
    "variable_archive",
]
