"""What the figures share."""

from __future__ import annotations

import subprocess
import sys

import matplotlib.axes
import numpy as np
import pytest

from ezarchive import plots
from ezarchive.errors import InputError


def figure_of_noise():
    return plots.image(np.random.default_rng(3).normal(size=(20, 30)))


@pytest.mark.pure
@pytest.mark.parametrize(("suffix", "magic"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml"), ("PNG", b"\x89PNG")])
def test_figures_are_saved_by_their_suffix(tmp_path, suffix, magic):
    path = plots.save(figure_of_noise(), tmp_path / "deep" / f"lc.{suffix}")
    assert path.read_bytes().startswith(magic)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.pure
@pytest.mark.parametrize("name", ["lc.jpg", "lc", "lc.fits"])
def test_other_suffixes_are_refused(tmp_path, name):
    with pytest.raises(InputError, match=r"must be one of \.png, \.pdf, \.svg"):
        plots.save(figure_of_noise(), tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.pure
def test_a_figure_that_fails_leaves_the_old_one(tmp_path, monkeypatch):
    path = plots.save(figure_of_noise(), tmp_path / "lc.png")
    before = path.read_bytes()
    figure = figure_of_noise()
    monkeypatch.setattr(matplotlib.axes.Axes, "draw", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError, match="division"):
        plots.save(figure, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["lc.png"]


@pytest.mark.pure
def test_pyplot_is_never_touched():
    code = (
        "import sys, numpy as np\nfrom ezarchive import plots\nassert 'matplotlib' not in sys.modules\n"
        "data = np.random.default_rng(1).normal(size=(9, 9))\n"
        "figures = [plots.image(data), plots.panels([plots.Panel(data, mask=data > 1)]),"
        "plots.sources(data, data, corner=(0, 0)), plots.quality([1.0], [2.0], [3.0], [True])]\n"
        "import io\nfor figure in figures: figure.savefig(io.BytesIO(), format='svg')\nassert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
