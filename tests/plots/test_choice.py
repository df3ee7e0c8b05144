"""A choice among frames."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive import plots

pytestmark = pytest.mark.pure


def test_chosen_frames_are_coloured_by_their_score():
    seeing, depth = np.array([2.0, 3.0, np.nan, 4.0]), np.array([19.0, 18.5, 19.0, np.nan])
    score, kept = np.array([5.0, 2.0, np.nan, np.nan]), np.array([True, True, False, False])
    figure = plots.quality(seeing, depth, score, kept, limits=(3.5, None), title="2 of 4")
    axes = figure.axes[0]
    (points,) = axes.collections
    assert np.asarray(points.get_offsets()).tolist() == [[2, 19], [3, 18.5]]
    assert np.asarray(points.get_array()).tolist() == [5, 2]
    lines = [line.get_xdata() for line in axes.lines if line.get_linestyle() == "--"]
    assert [line[0] for line in lines] == [3.5]
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert texts == ["2 not chosen", "(2 of unknown seeing or depth)", "2 chosen"]
    assert figure.get_suptitle() == "2 of 4"


def test_nothing_known_at_all(tmp_path):
    nothing = np.full(3, np.nan)
    figure = plots.quality(nothing, nothing, nothing, np.zeros(3, bool))
    assert plots.save(figure, tmp_path / "a.pdf").stat().st_size > 1000
