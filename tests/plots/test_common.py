"""What the figures share."""

from __future__ import annotations

import hashlib
import html
import json
import os
import subprocess
import sys
from pathlib import Path

import matplotlib.axes
import numpy as np
import pytest
from flatsky import tan
from PIL import Image

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


def a_figure(kind):
    if kind == "image":
        return plots.image(np.random.default_rng(3).normal(size=(20, 30)), wcs=tan(n=30), title="t", label="µJy")
    shapes = [{"kind": "circle", "x": 9, "y": 9, "radius": 4}, {"kind": "polygon", "vertices": [[1, 1], [9, 2], [4, 8]]}]
    data = np.random.default_rng(3).normal(size=(20, 30))
    return plots.view(data, wcs=tan(turn=20, n=30), regions=shapes, labels=["a", "b"], contours=3, contour_smooth=2, grid=True, unit="adu")


def digests(folder):
    """The hash of each kind of figure in each format."""
    made = {
        (kind, name): plots.save(a_figure(kind), Path(folder) / f"{kind}.{name}") for kind in ("image", "view") for name in plots.FORMATS
    }
    return {".".join(key): hashlib.sha256(path.read_bytes()).hexdigest() for key, path in made.items()}


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.pure
@pytest.mark.parametrize("name", plots.FORMATS)
def test_the_same_bytes_twice(tmp_path, name):
    figure = a_figure("view")
    first = plots.save(figure, tmp_path / f"first.{name}").read_bytes()
    plots.save(figure, tmp_path / "between.svg", size=(3, 9))
    assert plots.save(figure, tmp_path / f"second.{name}").read_bytes() == first


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.pure
def test_the_same_bytes_in_another_process(tmp_path):
    code = "import json, sys\nfrom plots.test_common import digests\nprint(json.dumps(digests(sys.argv[1])))"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "PYTHONHASHSEED": "77", "SOURCE_DATE_EPOCH": "12345"}
    other = subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(other.stdout) == digests(tmp_path)


@pytest.mark.pure
def test_settings_of_a_user_do_not_change_the_file(tmp_path):
    first = plots.save(figure_of_noise(), tmp_path / "a.png").read_bytes()
    with matplotlib.rc_context({"savefig.bbox": "tight", "savefig.facecolor": "red", "savefig.transparent": True}):
        assert plots.save(figure_of_noise(), tmp_path / "b.png").read_bytes() == first


@pytest.mark.pure
@pytest.mark.parametrize(("size", "dpi"), [((8, 6), 100), ((5.33, 3.1), 300), ((3.3, 4.7), 72.5)])
def test_the_size_in_pixels_is_that_asked_for(tmp_path, size, dpi):
    figure = figure_of_noise()
    before = tuple(figure.get_size_inches())
    with Image.open(plots.save(figure, tmp_path / "a.png", size=size, dpi=dpi)) as found:
        assert found.size == tuple(int(side * dpi + 1e-8) for side in size)
        assert found.info["dpi"] == pytest.approx((dpi, dpi), abs=0.02)
    assert tuple(figure.get_size_inches()) == before
    assert f'width="{size[0] * 72:g}pt"' in plots.save(figure, tmp_path / "a.svg", size=size).read_text()


@pytest.mark.pure
def test_what_a_figure_shows_is_written_into_the_file(tmp_path):
    figure = plots.view(np.arange(100.0).reshape(10, 10), label="a[SCI,1]", stretch="log", limits=(1, 50))
    more = {"title": "Tést", "exposure": np.float32(2.5), "seeing": np.nan, "counts": (1, 2)}
    with Image.open(plots.save(figure, tmp_path / "a.png", metadata=more)) as found:
        facts = json.loads(found.info["Description"])
        assert found.info["Software"] == "ezarchive"
        assert found.info["Title"] == "Tést"
    expected = {
        "label": "a[SCI,1]",
        "stretch": "log",
        "limits": [1, 50],
        "exposure": 2.5,
        "seeing": None,
        "counts": [1, 2],
        "title": "Tést",
    }
    assert {name: facts[name] for name in expected} == expected
    drawing = plots.save(figure, tmp_path / "a.svg").read_text()
    assert "<dc:date>" not in drawing
    assert "Matplotlib v" not in drawing
    assert '"stretch": "log"' in html.unescape(drawing)
    document = plots.save(figure, tmp_path / "a.pdf").read_bytes()
    assert b"CreationDate" not in document
    assert b"Matplotlib" not in document
    assert b"/Subject" in document


@pytest.mark.pure
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dpi": 0}, "dpi=0: must be a number above 0"),
        ({"dpi": "fine"}, "dpi='fine': must be a number above 0"),
        ({"size": 3}, "size=3: must be a width and a height in inches"),
        ({"size": (3, -1)}, "size=-1: must be a number above 0"),
        ({"metadata": {"a": object()}}, "metadata: must be words, numbers, lists and dicts"),
    ],
)
def test_wrong_files(tmp_path, arguments, message):
    with pytest.raises(InputError, match=message):
        plots.save(figure_of_noise(), tmp_path / "a.png", **arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.pure
@pytest.mark.parametrize(("text", "shown"), [("short", "short"), ("x" * 60, "x" * 60), ("begin" + "x" * 200 + "end", None)])
def test_titles_fit_the_figure(text, shown):
    figure = plots.view(np.eye(5), title=text, size=(5, 4))
    axes = figure.axes[0]
    figure.draw_without_rendering()
    assert axes.get_title() == (shown or axes.get_title())
    assert axes.get_title()[0] == text[0]
    assert axes.get_title()[-1] == text[-1]
    extent = axes.title.get_window_extent()
    assert extent.width < 5 * figure.dpi
