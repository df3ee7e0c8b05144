"""Zero points of frames from the stars that they share, without a reference catalog."""

from __future__ import annotations

from ezarchive.differential.report import DifferentialReport
from ezarchive.differential.verb import comparison_stars, differential

__all__ = ["DifferentialReport", "comparison_stars", "differential"]
